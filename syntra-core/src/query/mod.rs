//! What a question is: intent, keywords, entities, time, and whether memory is needed. Pure functions.
//!
//! May use [`crate::chat`] and [`crate::error`]. Word-boundary and Unicode aware: `go` never matches `good`.

mod analyse;
mod entities;
mod intent;
mod rewrite;
mod time;
mod time_words;
mod words;

pub use analyse::analyse;
pub use rewrite::{Rewrite, rewrite};
pub use time::resolve_statement_time;

use crate::memory::MemoryType;
use jiff::Timestamp;
use serde::Serialize;

/// What kind of utterance it is, which decides how memories are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueryIntent {
    /// Talk without a question.
    #[default]
    Conversation,
    /// A question.
    Question,
    /// Asks what was said or happened before.
    Recall,
    /// Asks for something to be done.
    Command,
}

/// A stretch of time that a question speaks of, resolved against the time of asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeRange {
    /// The words it was read from, `last Tuesday` say.
    pub phrase: String,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, exclusive.
    pub to: Timestamp,
    /// Whether it comes round each year and no year was said (`in June`, `at Christmas`): `from` and `to` are then the nearest.
    pub yearly: bool,
}

/// What kind of thing answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerKind {
    /// Somebody, a place, one of several things: who, where, which.
    Name,
    /// A number or an amount: how many, how long, how old.
    Number,
}

/// What was understood of a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueryAnalysis {
    /// The kind of utterance.
    pub intent: QueryIntent,
    /// Content words in order of appearance, lower case, unstemmed, at most 15.
    pub keywords: Vec<String>,
    /// Names and other things spoken of, as written, at most 10.
    pub entities: Vec<String>,
    /// The time it speaks of.
    pub time: Option<TimeRange>,
    /// Whether it asks about now (latest, current, still, …), which is when recency counts.
    pub about_now: bool,
    /// Whether it asks when something happened.
    pub asks_when: bool,
    /// What kind of thing it asks for, where that shows.
    pub asks_for: Option<AnswerKind>,
    /// Whether memory can help; false for greetings and thanks.
    pub needs_memory: bool,
    /// The types of memory that can help; empty means all.
    pub memory_types: Vec<MemoryType>,
    /// Quoted strings, numbers and identifiers that should match exactly.
    pub exact: Vec<String>,
}
