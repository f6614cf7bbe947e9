//! What the strategies say of a candidate.

use serde::{Deserialize, Serialize};

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

/// A named number that says something of a candidate. New ones may be added; a ranker ignores those it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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
    /// 1 when its time lies in the time asked for.
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
}

/// The signals that a candidate has; what is absent is absent, not zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Signals(Vec<(Signal, f32)>);

impl Signals {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// None yet, with room for `capacity` of them.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// The value of `signal`, if the candidate has it.
    pub fn get(&self, signal: Signal) -> Option<f32> {
        self.0.iter().find(|(s, _)| *s == signal).map(|(_, v)| *v)
    }

    /// Sets `signal`; of two values the higher stays. A value that is not finite is ignored.
    pub fn set(&mut self, signal: Signal, value: f32) {
        if !value.is_finite() {
            return;
        }
        match self.0.iter_mut().find(|(s, _)| *s == signal) {
            Some((_, old)) => *old = old.max(value),
            None => self.0.push((signal, value)),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Signal, f32)> + '_ {
        self.0.iter().copied()
    }

    /// Takes over every signal of `other`, the higher value winning.
    pub fn merge(&mut self, other: &Signals) {
        for (signal, value) in other.iter() {
            self.set(signal, value);
        }
    }
}

/// A memory that some strategy found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The memory's id.
    pub id: String,
    /// The strategies that found it.
    pub found_by: Vec<Strategy>,
    /// What is known of it.
    pub signals: Signals,
}
