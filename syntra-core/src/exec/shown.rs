//! What the reader has seen so far, and how another call goes on from it.

use crate::chat::{Event, Message, OutputFormat, Request, ToolChoice};

/// What the reader has seen since the beginning or the last restart.
#[derive(Debug, Default)]
pub(super) struct Shown {
    text: String,
    reasoning: bool,
    refusal: bool,
    tool_call: bool,
    /// White space at the end of what was shown that the model was not told of; it may begin with it.
    untold: String,
}

impl Shown {
    /// Whether the reader has seen any content.
    pub(super) fn any(&self) -> bool {
        !self.text.is_empty() || self.reasoning || self.refusal || self.tool_call
    }

    /// Whether an answer could go on from what was shown: words, and neither a tool call nor a refusal. White space alone is no
    /// beginning that anything depends on, but is not shown again either.
    pub(super) fn is_resumable(&self) -> bool {
        !self.text.is_empty() && !self.tool_call && !self.refusal
    }

    /// Whether nothing but thinking was shown: the answer itself has not begun.
    pub(super) fn only_reasoning(&self) -> bool {
        self.reasoning && self.text.is_empty() && !self.refusal && !self.tool_call
    }

    /// The characters of text shown.
    pub(super) fn characters(&self) -> usize {
        self.text.chars().count()
    }

    /// The text that a model is given to go on from: without the white space at its end, which some servers refuse and which sends
    /// most models astray.
    pub(super) fn told(&self) -> &str {
        self.text.trim_end()
    }

    /// The next call goes on from [`Shown::told`].
    pub(super) fn resume(&mut self) {
        self.untold = self.text.get(self.told().len()..).unwrap_or_default().to_owned();
    }

    /// Everything that was shown is void.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes `event` as the reader will see it: white space that was shown already is taken off the beginning of what a resumed call
    /// says. `None` when nothing is left.
    pub(super) fn take(&mut self, mut event: Event) -> Option<Event> {
        match &mut event {
            Event::Text { text } => {
                if !self.untold.is_empty() && !text.is_empty() {
                    let same: usize = self
                        .untold
                        .chars()
                        .zip(text.chars())
                        .take_while(|(a, b)| a == b)
                        .map(|(a, _)| a.len_utf8())
                        .sum();
                    if same == text.len() {
                        self.untold.drain(..same);
                        return None;
                    }
                    self.untold.clear();
                    text.drain(..same);
                }
                self.text.push_str(text);
            }
            Event::Reasoning { text, .. } => self.reasoning |= !text.is_empty(),
            Event::Refusal { text } => self.refusal |= !text.is_empty(),
            Event::ToolCall(_) => self.tool_call = true,
            _ => {}
        }
        Some(event)
    }
}

/// `request` with the assistant's own words `told` at its end, for a model to go on from. `None` when the shape of the answer or a
/// tool that has to be called leaves no room for that. `tokens` is what the words so far come to: they count against the limit.
pub(super) fn resumed(request: &Request, told: &str, tokens: u64) -> Option<Request> {
    let free =
        request.output == OutputFormat::Text && matches!(request.tool_choice, ToolChoice::Auto | ToolChoice::None);
    if !free {
        return None;
    }
    let mut request = request.clone();
    if !told.is_empty() {
        request.messages.push(Message::assistant(told));
        let used = u32::try_from(tokens).unwrap_or(u32::MAX);
        request.max_tokens = request.max_tokens.map(|most| most.saturating_sub(used).max(1));
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Event {
        Event::Text { text: text.into() }
    }

    /// What a reader sees who is shown `before`, then the pieces of `after` from a resumed call.
    fn joined(before: &str, after: &[&str]) -> String {
        let mut shown = Shown::default();
        shown.take(text(before));
        shown.resume();
        let mut seen = before.to_owned();
        for piece in after {
            if let Some(Event::Text { text }) = shown.take(text(piece)) {
                seen.push_str(&text);
            }
        }
        assert_eq!(seen, shown.text);
        seen
    }

    #[test]
    fn white_space_at_the_seam_is_neither_doubled_nor_lost() {
        assert_eq!(joined("one ", &[" two"]), "one two");
        assert_eq!(joined("one ", &["two"]), "one two");
        assert_eq!(joined("one", &[" two"]), "one two");
        assert_eq!(joined("one\n\n", &["\n", "\n", "two"]), "one\n\ntwo");
        assert_eq!(joined("one\n", &["\n\ntwo"]), "one\n\ntwo");
        assert_eq!(joined("one\u{3000} ", &["\u{3000}", "", " two  ", " "]), "one\u{3000} two   ");
        assert_eq!(joined(" ", &["one"]), " one");
    }

    proptest! {
        /// A model that goes on exactly where the text broke off gives the whole text, however it is cut.
        #[test]
        fn an_exact_continuation_gives_the_whole(
            words in proptest::collection::vec("[a-zé]{1,4}[ \n]{0,3}", 1..12),
            at in any::<proptest::sample::Index>(),
            step in 1usize..5,
        ) {
            let whole: Vec<char> = words.concat().chars().collect();
            let cut = at.index(whole.len()) + 1;
            let before: String = whole[..cut].iter().collect();
            let rest: String = whole[before.trim_end().chars().count()..].iter().collect();
            let rest: Vec<char> = rest.chars().collect();
            let pieces: Vec<String> = rest.chunks(step).map(|c| c.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(joined(&before, &pieces), whole.iter().collect::<String>());
        }
    }
}
