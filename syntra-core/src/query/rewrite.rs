//! Coreference by rule: what `he`, `it` and `there` of a follow-up question mean, read from the conversation before it.

use super::entities::{self, Kind};
use super::words::{Language, Word, clip, is_stop, language, word_set, words};
use crate::chat::{Message, Role};
use serde::Serialize;

/// How many messages back a reference may reach.
const WINDOW: usize = 8;
/// How many readings are offered when several are possible.
const MOST_OPTIONS: usize = 3;

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rewrite {
    /// It refers to nothing before it, or to nothing that was found.
    Unchanged,
    /// It stands on its own now.
    Rewritten {
        /// The question with the reference replaced.
        text: String,
        /// The word that was replaced, as written.
        reference: String,
        /// What it means.
        meaning: String,
    },
    /// The reference can mean several things; ask which, and offer something other than the options too.
    Ambiguous {
        /// The word in question, as written.
        reference: String,
        /// At most three things it can mean, the latest spoken of first.
        options: Vec<String>,
    },
}

/// Makes a follow-up question stand on its own: `When did she move?` after talk of Ada becomes `When did Ada move?`.
///
/// Looks at the last eight messages of `history` (oldest first, the question itself not among them), the latest first: the message
/// that names something fit for the reference decides. It is substituted if there is one such thing, or one that the person
/// named in the message before; several make it [`Rewrite::Ambiguous`], none leaves it [`Rewrite::Unchanged`]. A reference that
/// the question itself resolves (`Did Ada say that she …`) and an `it` that means nothing (`is it raining`) are left alone.
/// English; other languages come back unchanged. A model does this better; these are the rules for where there is none.
///
/// ```
/// use syntra_core::Message;
/// use syntra_core::query::{Rewrite, rewrite};
/// let history = [Message::user("My sister Ada moved to Lisbon."), Message::assistant("How nice for her!")];
/// let Rewrite::Rewritten { text, .. } = rewrite("When did she move?", &history) else { panic!() };
/// assert_eq!(text, "When did Ada move?");
/// assert_eq!(rewrite("What is the capital of France?", &history), Rewrite::Unchanged);
/// ```
pub fn rewrite(question: &str, history: &[Message]) -> Rewrite {
    if history.is_empty() {
        return Rewrite::Unchanged;
    }
    let text = clip(question);
    let asked = words(&text);
    let tongue = language(&asked);
    if tongue != Language::English || asked.len() > 60 {
        return Rewrite::Unchanged;
    }
    let Some((at, reference)) = reference(&text, &asked) else { return Rewrite::Unchanged };
    let Some(word) = asked.get(at) else { return Rewrite::Unchanged };
    // What the question names before the reference is the likelier antecedent.
    if entities::find(&text, &asked, tongue).iter().any(|f| f.range.end <= word.start && f.kind != Kind::Number) {
        return Rewrite::Unchanged;
    }
    let mut options = candidates(history, reference);
    match (options.pop(), options.is_empty()) {
        (None, _) => Rewrite::Unchanged,
        (Some(meaning), true) => {
            let put = if reference.possessive { format!("{meaning}'s") } else { meaning.clone() };
            let put = if reference.place { format!("in {put}") } else { put };
            let text = format!("{}{put}{}{}", &text[..word.start], reference.tail, &text[word.end..]);
            Rewrite::Rewritten { text, reference: word.text.to_owned(), meaning }
        }
        (Some(last), false) => {
            options.push(last);
            Rewrite::Ambiguous { reference: word.text.to_owned(), options }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Reference {
    /// Whether it can mean a person, a thing.
    person: bool,
    thing: bool,
    possessive: bool,
    place: bool,
    /// What of the word stays: the `'s` of `she's`.
    tail: &'static str,
}

/// The first word of the question that refers to something before it.
fn reference(text: &str, words: &[Word<'_>]) -> Option<(usize, Reference)> {
    let person = Reference { person: true, thing: false, possessive: false, place: false, tail: "" };
    let thing = Reference { person: false, thing: true, ..person };
    let either = Reference { thing: true, ..person };
    let at = |i: usize| words.get(i).map_or("", |w| w.lower.as_ref());
    let gap_after = |i: usize| match (words.get(i), words.get(i + 1)) {
        (Some(a), Some(b)) => text.get(a.end..b.start).unwrap_or(""),
        _ => "",
    };
    // A noun follows when the next word is joined by a space and is no function word.
    let noun_next =
        |i: usize| gap_after(i) == " " && words.get(i + 1).is_some_and(|w| !is_stop(&w.lower, Language::English));
    let last = |i: usize| i + 1 == words.len() || gap_after(i) != " ";
    (0..words.len()).find_map(|i| {
        let found = match at(i) {
            "he" | "she" | "him" => person,
            "he's" | "she's" => Reference { tail: "'s", ..person },
            "he'll" | "she'll" => Reference { tail: " will", ..person },
            "he'd" | "she'd" => Reference { tail: " would", ..person },
            "his" | "her" => Reference { possessive: at(i) == "his" || noun_next(i), ..person },
            "hers" => Reference { possessive: true, ..person },
            "they" | "them" => either,
            "they're" => Reference { tail: " are", ..either },
            "their" => Reference { possessive: true, ..either },
            "its" => Reference { possessive: true, ..thing },
            "it" if !means_nothing(words, i) => thing,
            "it's" if i > 0 && !means_nothing(words, i) => Reference { tail: " is", ..thing },
            // `tell me more about that`, not `that book`, `I know that he …`.
            "that" | "this" if last(i) && i > 0 => thing,
            "there"
                if last(i)
                    && i > 0
                    && !matches!(at(i - 1), "is" | "are" | "was" | "were" | "hi" | "hello" | "hey" | "out") =>
            {
                Reference { place: true, ..thing }
            }
            _ => return None,
        };
        Some((i, found))
    })
}

/// Whether an `it` stands for no thing: weather, time, `is it possible`.
fn means_nothing(words: &[Word<'_>], i: usize) -> bool {
    word_set!(BEING, "is was be will would isn't wasn't does really");
    word_set!(
        EMPTY,
        "raining rain snowing snow cold hot warm sunny windy late early possible important necessary true ok okay \
        likely clear safe legal normal worth time better best hard easy difficult fair wise take mean matter going \
        that"
    );
    (i + 1..=i + 3)
        .map_while(|k| words.get(k))
        .find(|w| !BEING.contains(w.lower.as_ref()))
        .is_some_and(|w| EMPTY.contains(w.lower.as_ref()))
}

/// What the reference can mean, the latest first; at most [`MOST_OPTIONS`].
fn candidates(history: &[Message], reference: Reference) -> Vec<String> {
    let mut turns =
        history.iter().rev().filter(|m| matches!(m.role, Role::User | Role::Assistant)).take(WINDOW).map(|m| {
            let text = m.text();
            let clipped = clip(&text);
            (m.role, named(&clipped, reference))
        });
    while let Some((role, found)) = turns.next() {
        if found.is_empty() {
            continue;
        }
        if found.len() > 1 && role == Role::Assistant {
            // An answer names much; what the person had named just before is what the talk is about.
            if let Some((Role::User, topic)) = turns.next()
                && let [one] = topic.as_slice()
            {
                return vec![one.clone()];
            }
        }
        return found.into_iter().rev().take(MOST_OPTIONS).collect();
    }
    Vec::new()
}

/// The names in a message that fit the reference, each once, in order.
fn named(text: &str, reference: Reference) -> Vec<String> {
    let words = words(text);
    let mut out: Vec<String> = Vec::new();
    for found in entities::find(text, &words, language(&words)) {
        let Some(name) = text.get(found.range.clone()) else { continue };
        let (person, thing, place) = nature(&words, &found, name);
        let fits = if reference.place { place } else { (reference.person && person) || (reference.thing && thing) };
        if fits && !out.iter().any(|n| n.eq_ignore_ascii_case(name)) {
            out.push(name.to_owned());
        }
    }
    out
}

/// Whether a name can be a person, a thing, a place, by what it looks like and what stands around it.
fn nature(words: &[Word<'_>], found: &entities::Found, name: &str) -> (bool, bool, bool) {
    word_set!(
        KIN,
        "sister brother mother father mom mum dad wife husband son daughter friend boss colleague neighbour neighbor \
        uncle aunt cousin partner girlfriend boyfriend teacher doctor mr mrs ms dr professor prof manager coworker \
        grandmother grandfather roommate nephew niece with"
    );
    word_set!(
        DOING,
        "said says told thinks thought likes loves wants went lives works moved asked called met married bought \
        wrote studies plays"
    );
    word_set!(
        MOVING,
        "moved move moving went go going gone flew fly flying travelled traveled travel trip drove drive came come back \
        relocated returned sailed am i'm is was"
    );
    word_set!(PLACED, "in at to from near visit visited");
    match found.kind {
        Kind::Number => return (false, false, false),
        Kind::Quoted | Kind::Identifier => return (false, true, false),
        Kind::Address => return (name.starts_with('@'), !name.starts_with('@'), false),
        Kind::Name => {}
    }
    let first = words.iter().position(|w| w.start >= found.range.start).unwrap_or(0);
    let before = first.checked_sub(1).and_then(|p| words.get(p)).map_or("", |w| w.lower.as_ref());
    let after = words.iter().find(|w| w.start >= found.range.end).map_or("", |w| w.lower.as_ref());
    if KIN.contains(before) || DOING.contains(after) {
        return (true, false, false);
    }
    // `moved to Lisbon` is a place; `to Lisbon` or `from Ada` alone may be a person.
    let verb = first.checked_sub(2).and_then(|p| words.get(p)).map_or("", |w| w.lower.as_ref());
    if PLACED.contains(before) && (!(before == "to" || before == "from") || MOVING.contains(verb)) {
        return (false, true, true);
    }
    let acronym = name.chars().all(|c| !c.is_lowercase());
    if before == "the" || acronym {
        return (false, true, before != "the");
    }
    (true, true, PLACED.contains(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(question: &str, history: &[Message]) -> String {
        match rewrite(question, history) {
            Rewrite::Rewritten { text, .. } => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn one_candidate_is_put_in_place() {
        let user = |t: &str| [Message::user(t)];
        for (said, asked, expected) in [
            ("My brother Tom likes chess.", "How old is he?", "How old is Tom?"),
            ("My brother Tom likes chess.", "What's his name for it?", "What's Tom's name for it?"),
            ("Ada Lovelace wrote the first program.", "Where was she born?", "Where was Ada Lovelace born?"),
            ("I met Grace with my dog.", "What did I tell her?", "What did I tell Grace?"),
            ("I met Grace yesterday.", "What is her job?", "What is Grace's job?"),
            ("I use `tokio` a lot.", "What is it good for?", "What is tokio good for?"),
            ("We talked about PostgreSQL today.", "Tell me more about that.", "Tell me more about PostgreSQL."),
            ("I lived in Lisbon for a year.", "What did I do there?", "What did I do in Lisbon?"),
        ] {
            assert_eq!(rewritten(asked, &user(said)), expected);
        }
    }

    #[test]
    fn what_refers_to_nothing_stays() {
        let history = [Message::user("My brother Tom likes chess.")];
        for asked in [
            "What is the capital of France?",
            "Is it raining?",
            "Is it possible to fly?",
            "Did Ada say that she moved?",
            "Hello there",
            "What about that book?",
            "",
        ] {
            assert_eq!(rewrite(asked, &history), Rewrite::Unchanged, "{asked}");
        }
        assert_eq!(rewrite("How old is he?", &[]), Rewrite::Unchanged);
        assert_eq!(rewrite("How old is he?", &[Message::user("nothing of note")]), Rewrite::Unchanged);
    }

    #[test]
    fn several_candidates_are_offered() {
        let history =
            [Message::user("My friends met: my brother Tom, my colleague Max, my uncle Bob and my boss Jim.")];
        let Rewrite::Ambiguous { reference, options } = rewrite("How old is he?", &history) else { panic!() };
        assert_eq!((reference.as_str(), options), ("he", vec!["Jim".to_owned(), "Bob".into(), "Max".into()]));
    }

    #[test]
    fn the_latest_message_and_the_persons_own_topic_decide() {
        let history = [
            Message::user("My brother Tom likes chess."),
            Message::assistant("Nice."),
            Message::user("My uncle Bob said so."),
        ];
        assert_eq!(rewritten("How old is he?", &history), "How old is Bob?");
        let history = [
            Message::user("Tell me of my uncle Bob."),
            Message::assistant("Bob said that Tom likes chess and Jim thinks so too."),
        ];
        assert_eq!(rewritten("How old is he?", &history), "How old is Bob?");
    }

    #[test]
    fn the_window_is_eight_messages() {
        let mut history = vec![Message::user("My brother Tom likes chess.")];
        history.extend((0..7).map(|_| Message::assistant("go on")));
        assert_eq!(rewritten("How old is he?", &history), "How old is Tom?");
        history.push(Message::assistant("go on"));
        assert_eq!(rewrite("How old is he?", &history), Rewrite::Unchanged);
    }
}
