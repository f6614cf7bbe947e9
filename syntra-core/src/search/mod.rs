//! Finding: vector indexes (flat, HNSW), BM25, the entity graph, and the ranking that joins them.
//!
//! May use [`crate::chat`], [`crate::error`] and [`crate::query`]. Everything here is derived data in process: it can be rebuilt from
//! a [`crate::memory::MemoryStore`] and knows nothing of one.

mod beside;
mod bm25;
mod bytes;
mod dictionary;
mod entities;
mod graph;
mod languages;
mod lists;
mod partition;
mod rank;
mod sheets;
mod signals;
mod text;
mod top;
mod vector;

pub use bm25::{Bm25Params, idf};
pub use partition::{Found, Partition};
pub(crate) use partition::{LARGE, fingerprint};
pub use rank::{ClassicRanker, ClassicWeights, DefaultRanker, DefaultWeights, Reranker, SignalWeights};
pub use signals::{Candidate, Signal, Signals, Strategies, Strategy};
pub use text::TextAnalyzer;
pub(crate) use text::{code_words, is_code, is_stop_word, words};
pub(crate) use vector::scan_i8;
pub use vector::{FlatIndex, HnswIndex};

use crate::chat::Role;
use crate::error::Result;
use crate::memory::MemoryType;
use crate::query::{QueryAnalysis, QueryIntent};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A document as an index sees it; borrowed, so that a store can feed its rows without copying.
#[derive(Clone, Debug)]
pub struct IndexDocument<'a> {
    /// The memory's id, unique in its partition.
    pub id: &'a str,
    /// Its type.
    pub kind: MemoryType,
    /// Its text.
    pub text: &'a str,
    /// A title or heading path.
    pub title: Option<&'a str>,
    /// Who said it, by name.
    pub speaker: Option<&'a str>,
    /// Who said it, by role.
    pub role: Option<Role>,
    /// The conversation or document it belongs to.
    pub conversation: Option<&'a str>,
    /// When it was said or written.
    pub said_at: Option<Timestamp>,
    /// When it was remembered.
    pub created_at: Timestamp,
    /// How far it is to be trusted, 0 to 1; `None` if nobody said.
    pub reliability: Option<f32>,
    /// How often it was used.
    pub access_count: u64,
    /// Its vector, unit length; `None` when it was remembered without one.
    pub vector: Option<&'a [f32]>,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct SearchQuery<'a> {
    /// The question as it was asked.
    pub text: &'a str,
    /// What was understood of it.
    pub analysis: &'a QueryAnalysis,
    /// Its vector, unit length; `None` leaves the vector strategy out.
    pub vector: Option<&'a [f32]>,
    /// What to search within.
    pub filter: &'a Filter,
    /// The time of asking.
    pub now: Timestamp,
    /// The most candidates a strategy returns.
    pub limit: usize,
    /// Whether [`Signal::Topic`] is wanted, see [`HybridRanker::wants_topics`].
    pub topics: bool,
}

/// What memory knows of somebody or something that a question names, by the graph of who is named in what.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct EntityFact {
    /// Its name, as the question or else the memories spell it.
    pub name: String,
    /// Longer and shorter names that stand beside it: `Ada Lovelace` for `Ada`.
    pub aliases: Vec<String>,
    /// How many memories name it.
    pub memories: u64,
    /// How many of them there are of each type.
    pub kinds: BTreeMap<String, u64>,
    /// Other names in the same memories: those that the question names too, then the most frequent.
    pub related: Vec<String>,
    /// When the oldest and the newest of them were said, facts and documents not counted; `None` where there is nothing else.
    pub first_said_at: Option<Timestamp>,
    /// See [`EntityFact::first_said_at`].
    pub last_said_at: Option<Timestamp>,
    /// The ids of the memories that are about it the most.
    pub sources: Vec<String>,
}

/// Narrows a search before it begins.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Filter {
    /// Only these types; empty means all.
    pub kinds: Vec<MemoryType>,
    /// Only this conversation.
    pub conversation: Option<String>,
    /// Only said at or after this.
    pub from: Option<Timestamp>,
    /// Only said before this.
    pub to: Option<Timestamp>,
}

/// Vectors by key, nearest first. One conformance suite serves every implementation.
pub trait VectorIndex: Send + Sync + Debug {
    /// How many numbers a vector has.
    fn dimensions(&self) -> usize;
    /// How many vectors it holds.
    fn len(&self) -> usize;
    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Adds the vector of `key`, or replaces it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a wrong dimension, a number that is not finite or a zero vector; nothing changes then.
    fn upsert(&mut self, key: u32, vector: &[f32]) -> Result<()>;
    /// Removes `key`; whether it was there.
    fn remove(&mut self, key: u32) -> bool;
    /// The at most `limit` nearest keys that `keep` lets through with their cosines, best first, ties by lower key.
    ///
    /// # Errors
    /// As [`VectorIndex::upsert`], for the query.
    fn search(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Result<Vec<(u32, f32)>>;
    /// Bytes held, about.
    fn memory_bytes(&self) -> usize;
}

/// Puts candidates in order.
#[async_trait]
pub trait HybridRanker: Send + Sync + Debug + 'static {
    /// Its name, for the trace.
    fn name(&self) -> &str;
    /// Whether it reads [`Signal::Topic`], which is computed only then. It does not by default.
    fn wants_topics(&self) -> bool {
        false
    }
    /// Scores `candidates` (one an id, signals of all strategies merged) and returns them best first, ties by id. Each score part is
    /// named and they add up to the score. A signal that a candidate does not have is left out, never taken as neutral. Only the
    /// first [`RankQuery::limit`] are needed; it may return more.
    fn rank(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Vec<Ranked>;
    /// As [`HybridRanker::rank`], and what a recall calls: a ranker that has to wait for somebody (a service, an object of a host's
    /// language) says it here. As it is, it ranks at once.
    ///
    /// # Errors
    /// Why it cannot rank; the recall then fails with it.
    async fn rank_async(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Result<Vec<Ranked>> {
        Ok(self.rank(query, candidates))
    }
}

/// What a ranker knows of the question.
#[derive(Clone, Debug)]
pub struct RankQuery<'a> {
    /// The question as it was asked.
    pub text: &'a str,
    /// What was understood of it.
    pub analysis: &'a QueryAnalysis,
    /// Its kind, a copy of the analysis' own.
    pub intent: QueryIntent,
    /// The time of asking.
    pub now: Timestamp,
    /// How many of the best are wanted.
    pub limit: usize,
}

/// A candidate in its place.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Ranked {
    /// The candidate.
    pub candidate: Candidate,
    /// The sum of the parts.
    pub score: f32,
    /// What each signal contributed.
    pub parts: Vec<(Signal, f32)>,
}
