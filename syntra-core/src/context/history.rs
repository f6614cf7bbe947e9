//! Rolling memory of a conversation: its last exchanges word for word, what is older as a summary.

use crate::chat::{Message, Role};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// After how many exchanges (a message of the user and what answers it) older ones are summarised.
pub const SUMMARY_EVERY: usize = 4;
/// The most words of a summary.
const MOST_WORDS: usize = 190;
/// The most words of a sentence that is taken over.
const MOST_SENTENCE: usize = 45;
/// The most bytes of one message that are read for a summary.
const MOST_READ: usize = 16 * 1024;

/// The state of a conversation's rolling memory; to be kept with the thread.
///
/// ```
/// use syntra_core::Message;
/// use syntra_core::context::Rolling;
/// let history: Vec<Message> = (1..=6)
///     .flat_map(|n| [Message::user(format!("My house number {n} is in Lisbon.")), Message::assistant("Noted.")])
///     .collect();
/// // Six exchanges, of which the last two are to stay as they are: the first four become a summary.
/// let rolling = Rolling::default().advance(&history, 2).unwrap();
/// assert_eq!(rolling.recent(&history).len(), 4);
/// assert!(rolling.summary.as_deref().unwrap().contains("My house number 1 is in Lisbon."));
/// assert!(rolling.advance(&history, 2).is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// What the covered messages said.
    pub summary: Option<String>,
    /// How many messages, from the conversation's first, the summary covers.
    pub covered: usize,
}

impl Rolling {
    /// The messages that the summary does not cover; all, where the history is shorter than what was covered (it was cut elsewhere).
    pub fn recent<'a>(&self, history: &'a [Message]) -> &'a [Message] {
        history.get(self.covered..).unwrap_or(history)
    }

    /// The state after older exchanges went into the summary: whole blocks of [`SUMMARY_EVERY`] that are older than the last `keep`
    /// exchanges. `None` when there is no such block. Pure; a host with a model may replace the summary by a better one.
    pub fn advance(&self, history: &[Message], keep: usize) -> Option<Self> {
        let covered = if self.covered <= history.len() { self.covered } else { 0 };
        let starts: Vec<usize> =
            history.iter().enumerate().skip(covered).filter(|(_, m)| begins_exchange(m)).map(|(i, _)| i).collect();
        let blocks = starts.len().saturating_sub(keep) / SUMMARY_EVERY;
        if blocks == 0 {
            return None;
        }
        let until = starts.get(blocks * SUMMARY_EVERY).copied().unwrap_or(history.len());
        let summary = summarise(self.summary.as_deref(), history.get(covered..until)?);
        Some(Self { summary, covered: until })
    }
}

/// Whether an exchange begins with `message`: the user speaks, and does not only hand in what a tool found.
pub(crate) fn begins_exchange(message: &Message) -> bool {
    message.role == Role::User && message.tool_results().next().is_none()
}

/// A summary of `messages` by rule, joined to that of what came `before`: the sentences that say most, word for word, in order, each
/// with who said it, under 200 words in all. What a person said of themselves counts most, then names and numbers; of an answer
/// its first sentences count. Being extractive, it does not turn speech into the third person: for that a model is needed.
/// `None` when nothing was said. Pure and deterministic.
pub fn summarise(before: Option<&str>, messages: &[Message]) -> Option<String> {
    let mut sentences: Vec<Sentence> = Vec::new();
    for line in before.unwrap_or("").lines() {
        let line = line.trim().trim_start_matches("- ");
        let (who, text) = match line.split_once(": ") {
            Some((who @ ("User" | "Assistant"), text)) => (who, text),
            _ => ("", line),
        };
        // What is older fades: it was worth a line once.
        add(&mut sentences, who, text, if who == "Assistant" { 0 } else { 1 });
    }
    for message in messages {
        let (who, most) = match message.role {
            Role::User => ("User", usize::MAX),
            Role::Assistant => ("Assistant", 2),
            Role::System | Role::Tool => continue,
        };
        let text = message.text();
        let mut end = text.len().min(MOST_READ);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let worth = if who == "User" { 2 } else { 0 };
        for sentence in text.get(..end).unwrap_or("").unicode_sentences().take(most.min(200)) {
            add(&mut sentences, message.name.as_deref().unwrap_or(who), sentence, worth);
        }
    }
    let mut order: Vec<usize> = (0..sentences.len()).collect();
    // The best first; of equals the later, which is the fresher.
    order.sort_by_key(|&i| sentences.get(i).map(|s| (std::cmp::Reverse(s.score), std::cmp::Reverse(i))));
    let mut words = 0;
    let mut chosen: Vec<usize> = Vec::new();
    for i in order {
        let Some(sentence) = sentences.get(i) else { continue };
        if words + sentence.words <= MOST_WORDS {
            words += sentence.words;
            chosen.push(i);
        }
    }
    chosen.sort_unstable();
    let lines: Vec<&str> = chosen.iter().filter_map(|&i| sentences.get(i)).map(|s| s.line.as_str()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

struct Sentence {
    line: String,
    words: usize,
    score: i32,
}

fn add(out: &mut Vec<Sentence>, who: &str, text: &str, worth: i32) {
    const OWN: [&str; 14] =
        ["i", "i'm", "i've", "i'd", "my", "we", "our", "mine", "ich", "mein", "meine", "yo", "mi", "je"];
    const LASTING: [&str; 14] = [
        "prefer",
        "like",
        "love",
        "hate",
        "always",
        "never",
        "decided",
        "agreed",
        "remember",
        "important",
        "deadline",
        "name",
        "live",
        "work",
    ];
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.unicode_words().collect();
    if words.len() < 3 || words.len() > MOST_SENTENCE {
        return;
    }
    let mut score = worth;
    score += 2 * i32::from(words.iter().any(|w| OWN.contains(w)));
    score += i32::from(words.iter().any(|w| LASTING.contains(w)));
    score += i32::from(text.bytes().any(|b| b.is_ascii_digit()));
    score += text
        .unicode_words()
        .skip(1)
        .filter(|w| w.len() > 1 && w.chars().next().is_some_and(char::is_uppercase))
        .count()
        .min(2) as i32;
    score -= 2 * i32::from(text.ends_with('?'));
    let line = if who.is_empty() { format!("- {text}") } else { format!("- {who}: {text}") };
    if out.iter().any(|s| s.line == line) {
        return;
    }
    // The speaker counts as a word.
    out.push(Sentence { words: line.split_whitespace().count(), line, score });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn talk(n: usize) -> Vec<Message> {
        (0..n)
            .flat_map(|i| {
                [
                    Message::user(format!("Hi! I told Ada that my order {i} costs {} euros. Is that right?", i * 7)),
                    Message::assistant(format!("Yes, order {i} is right. Anything else that I can do for you today?")),
                ]
            })
            .collect()
    }

    #[test]
    fn older_exchanges_become_a_summary_four_at_a_time() {
        let mut rolling = Rolling::default();
        let mut covered = Vec::new();
        for n in 1..=16 {
            if let Some(next) = rolling.advance(&talk(n), 3) {
                rolling = next;
            }
            covered.push(rolling.covered);
        }
        assert_eq!(covered, [0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 16, 16, 16, 16, 24, 24]);
        let summary = rolling.summary.unwrap();
        assert!(
            summary.lines().all(|line| line.starts_with("- User: ") || line.starts_with("- Assistant: ")),
            "{summary}"
        );
        assert!(
            summary.contains("my order 0 costs 0 euros") && summary.contains("my order 11 costs 77 euros"),
            "{summary}"
        );
        assert!(!summary.contains("Hi!"));
    }

    #[test]
    fn tools_and_system_messages_are_no_exchange() {
        let mut history = talk(4);
        history.insert(0, Message::system("My rules are these."));
        history.insert(3, Message::tool_result("1", "look", "I found 3 of my things in Oslo."));
        let rolling = Rolling::default().advance(&history, 0).unwrap();
        assert_eq!(rolling.covered, history.len());
        let summary = rolling.summary.unwrap();
        assert!(!summary.contains("rules") && !summary.contains("Oslo"));
    }

    #[test]
    fn nothing_said_is_no_summary() {
        assert_eq!(summarise(None, &[]), None);
        assert_eq!(summarise(None, &[Message::user("hi"), Message::assistant("Hello!")]), None);
        assert_eq!(Rolling { summary: None, covered: 99 }.recent(&talk(1)).len(), 2);
    }

    proptest! {
        #[test]
        fn under_two_hundred_words_and_word_for_word(
            texts in prop::collection::vec("([A-Za-z0-9ä日]{1,9}[ ,.?!\n]{1,2}){0,60}", 0..20),
            before in prop::option::of("(- (User: )?[a-z ]{0,40}\n){0,30}"),
        ) {
            let messages: Vec<Message> = texts.iter().enumerate()
                .map(|(i, t)| if i % 2 == 0 { Message::user(t.as_str()) } else { Message::assistant(t.as_str()) }).collect();
            let summary = summarise(before.as_deref(), &messages);
            prop_assert_eq!(&summary, &summarise(before.as_deref(), &messages));
            if let Some(summary) = summary {
                prop_assert!(summary.split_whitespace().count() < 200);
                let all: String = texts.iter().map(String::as_str).chain(before.as_deref()).collect::<Vec<_>>().join("\n");
                let all = all.split_whitespace().collect::<Vec<_>>().join(" ");
                for line in summary.lines() {
                    let said = line.trim_start_matches("- ").trim_start_matches("User: ").trim_start_matches("Assistant: ");
                    prop_assert!(all.contains(said), "{said}");
                }
            }
        }
    }
}
