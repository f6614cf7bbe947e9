//! What the strategies say of a candidate.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A way of finding memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nearest vectors.
    Vector,
    /// BM25 over words.
    Keyword,
    /// Shared entities, one or two hops.
    Graph,
    /// The user's profile.
    Profile,
    /// The newest.
    Recent,
}

impl Strategy {
    /// All five, in a fixed order.
    pub const ALL: [Strategy; 5] =
        [Strategy::Vector, Strategy::Keyword, Strategy::Graph, Strategy::Profile, Strategy::Recent];
}

/// A set of strategies, in one byte.
///
/// ```
/// use syntra_core::search::{Strategies, Strategy};
/// let found: Strategies = [Strategy::Recent, Strategy::Vector].into_iter().collect();
/// assert!(found.contains(Strategy::Vector) && !found.contains(Strategy::Graph));
/// assert_eq!(found.iter().collect::<Vec<_>>(), [Strategy::Vector, Strategy::Recent]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Strategies(u8);

impl Strategies {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `strategy`.
    pub fn insert(&mut self, strategy: Strategy) {
        self.0 |= 1 << strategy as u8;
    }

    /// Whether `strategy` is in it.
    pub fn contains(self, strategy: Strategy) -> bool {
        self.0 & (1 << strategy as u8) != 0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, in the order of [`Strategy::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Strategy> {
        Strategy::ALL.into_iter().filter(move |strategy| self.contains(*strategy))
    }

    /// Adds those of `other`.
    pub fn merge(&mut self, other: Strategies) {
        self.0 |= other.0;
    }
}

impl FromIterator<Strategy> for Strategies {
    fn from_iter<I: IntoIterator<Item = Strategy>>(strategies: I) -> Self {
        let mut all = Self::new();
        strategies.into_iter().for_each(|strategy| all.insert(strategy));
        all
    }
}

impl fmt::Debug for Strategies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Strategies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A named number that says something of a candidate. New ones may be added; a ranker ignores those it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// BM25 score, 0 and up.
    Keyword,
    /// BM25 score with the constants that the classic formula was made for.
    ClassicKeyword,
    /// Cosine, -1 to 1.
    Vector,
    /// Entity overlap and hops, 0 and up.
    Graph,
    /// How far it is to be trusted, 0 to 1.
    Reliability,
    /// Age in days.
    AgeDays,
    /// How often it was used.
    AccessCount,
    /// BM25 of the neighbours' text.
    WindowKeyword,
    /// Cosine of the neighbours' text.
    WindowVector,
    /// BM25 of the whole conversation or document.
    Conversation,
    /// How near the time at which it was said is to the time asked for: 1 within it, less further off, half of that before it.
    Time,
    /// 1 when its speaker is named in the question.
    Speaker,
    /// Length of the text in content words.
    Length,
    /// 1 when it is itself a question.
    IsQuestion,
    /// 1 when the user said it, 0 when the assistant did.
    UserSaid,
    /// 1 when it carries a date or time word.
    TimeCue,
    /// Share of the exact strings found.
    Exact,
    /// The share of the question's keywords that it has.
    Topic,
    /// The share of the question's entities that it names.
    Entity,
    /// 1 when it is program code.
    Code,
    /// 1 when it was said or happened (an episodic memory), 0 when it is a fact, a document or the like.
    Episodic,
    /// How well the question that was asked just before it fits, 0 to 1; between people.
    Asked,
    /// How well what was said two turns before it fits, 0 to 1; between people.
    Earlier,
    /// How well what was said just before and just after it fits by itself, 0 to 1, the mean of both; between people.
    Beside,
    /// The share of the time that it speaks of (`yesterday`, `in May 2023`) that lies in the time asked for.
    Spoken,
    /// The share of the question's pairs of neighbouring words that are neighbours in it too.
    Phrase,
    /// The share of its title's words that the question has.
    Title,
    /// 1 when it has what is asked for: a number for how many, a name for who, where and which.
    Answers,
    /// 1 when who says it speaks of himself or herself (I, my, we).
    FirstPerson,
    /// What a [`crate::search::Reranker`] says of it, against the others that it read: 0 to 1.
    Rerank,
}

impl Signal {
    /// All of them, in order; a signal's place here is its place in [`Signals`].
    pub const ALL: [Signal; 30] = [
        Signal::Keyword,
        Signal::ClassicKeyword,
        Signal::Vector,
        Signal::Graph,
        Signal::Reliability,
        Signal::AgeDays,
        Signal::AccessCount,
        Signal::WindowKeyword,
        Signal::WindowVector,
        Signal::Conversation,
        Signal::Time,
        Signal::Speaker,
        Signal::Length,
        Signal::IsQuestion,
        Signal::UserSaid,
        Signal::TimeCue,
        Signal::Exact,
        Signal::Topic,
        Signal::Entity,
        Signal::Code,
        Signal::Episodic,
        Signal::Asked,
        Signal::Earlier,
        Signal::Beside,
        Signal::Spoken,
        Signal::Phrase,
        Signal::Title,
        Signal::Answers,
        Signal::FirstPerson,
        Signal::Rerank,
    ];
}

// A new signal belongs at the end of the enum and of the list.
const _: () = assert!(Signal::ALL.len() == Signal::Rerank as usize + 1 && Signal::ALL.len() <= 32);

/// The signals that a candidate has; what is absent is absent, not zero. It holds them all in place, without an allocation.
///
/// ```
/// use syntra_core::search::{Signal, Signals};
/// let mut signals = Signals::new();
/// signals.set(Signal::Vector, 0.4);
/// assert_eq!((signals.get(Signal::Vector), signals.get(Signal::Keyword)), (Some(0.4), None));
/// ```
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Signals {
    /// A bit a signal: whether it is there.
    present: u32,
    /// Its value; 0 where it is absent.
    values: [f32; Signal::ALL.len()],
}

impl Signals {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `signal`, if the candidate has it.
    #[inline]
    pub fn get(&self, signal: Signal) -> Option<f32> {
        let at = signal as usize;
        if self.present & (1 << at) == 0 { None } else { self.values.get(at).copied() }
    }

    /// Sets `signal`; of two values the higher stays. A value that is not finite is ignored.
    #[inline]
    pub fn set(&mut self, signal: Signal, value: f32) {
        let at = signal as usize;
        if !value.is_finite() {
            return;
        }
        let there = self.present & (1 << at) != 0;
        if let Some(place) = self.values.get_mut(at) {
            *place = if there { place.max(value) } else { value };
            self.present |= 1 << at;
        }
    }

    /// All of them, in the order of [`Signal::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Signal, f32)> + '_ {
        Signal::ALL.into_iter().filter_map(|signal| self.get(signal).map(|value| (signal, value)))
    }

    /// Takes over every signal of `other`, the higher value winning.
    pub fn merge(&mut self, other: &Signals) {
        for (signal, value) in other.iter() {
            self.set(signal, value);
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Signals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A memory that some strategy found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The memory's id, shared with the index that found it.
    pub id: Arc<str>,
    /// The strategies that found it.
    pub found_by: Strategies,
    /// What is known of it.
    pub signals: Signals,
}
