//! What is remembered: the four types, the store behind them, and recall over all strategies.
//!
//! May use [`crate::chat`], [`crate::error`], [`crate::embed`], [`crate::query`] and [`crate::search`].

mod extract;
mod recall;
#[cfg(test)]
mod recall_tests;
mod types;

pub use extract::{ExtractedFact, extract_facts};
pub use recall::{Memories, Recall, RecallRequest, Recalled, StrategyReport};
pub use types::{
    Erased, Memory, MemoryPatch, MemorySource, MemoryStats, MemoryType, NewMemory, Outcome, Page, Remembered,
};

use crate::chat::Scope;
use crate::error::Result;
use crate::search::{Candidate, Filter, SearchQuery, Strategy};
use async_trait::async_trait;
use jiff::Timestamp;
use std::fmt::Debug;

/// Keeps memories. Every method names its [`Scope`] and never touches a row outside it: the scope is part of every query, not a
/// filter over its result. One conformance suite serves every implementation.
#[async_trait]
pub trait MemoryStore: Send + Sync + Debug + 'static {
    /// Writes `items` in order, all or none, and returns what became of each. An item whose id is taken by the same content, or
    /// whose content (type, conversation, speaker, normalised text) is already remembered as valid, is a duplicate: nothing is
    /// written, the id that is there is returned and what the new one adds (a vector, a higher reliability) is merged into it.
    /// When it returns, the rows are durable and every strategy finds them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for an empty text, an id taken by other content, or a vector that does not fit the
    /// store's embedding model; [`crate::ErrorKind::Storage`] when it cannot be written.
    async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>>;

    /// What `strategy` finds, best first. Only valid (not superseded) memories.
    ///
    /// # Errors
    /// When this strategy fails; others are not affected.
    async fn recall(&self, scope: &Scope, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>>;

    /// Every signal that the store can compute of the memories `ids` for `query`, whichever strategy found them, so that a ranker
    /// compares like with like (a keyword hit gets its cosine too). Ids that are not there are left out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn signals(&self, scope: &Scope, ids: &[String], query: &SearchQuery<'_>) -> Result<Vec<Candidate>>;

    /// The memories with these ids that exist in the scope, in the order asked for; superseded ones too.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn get(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>>;

    /// Changes a memory; its indexes follow.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the scope has no such id.
    async fn update(&self, scope: &Scope, id: &str, patch: MemoryPatch) -> Result<Memory>;

    /// Writes `new` and ends the validity of `old` at the time `new` was said, in one step; history stays readable.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when `old` is not there, [`crate::ErrorKind::Conflict`] when it is superseded already.
    async fn supersede(&self, scope: &Scope, old: &str, new: NewMemory) -> Result<Remembered>;

    /// Removes memories for good; how many there were.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64>;

    /// Counts a use of each of `ids` at `at`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn touch(&self, scope: &Scope, ids: &[String], at: Timestamp) -> Result<()>;

    /// Memories in the order they were written, superseded ones included, a page at a time.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn list(&self, scope: &Scope, filter: &Filter, page: Page) -> Result<Vec<Memory>>;

    /// The names of those who said something in the scope, the most frequent first. They are kept out of the text that is
    /// embedded as a question, where they mislead, and matched as structure instead. A store that does not know returns none.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn speakers(&self, _scope: &Scope) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// How many there are.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn stats(&self, scope: &Scope) -> Result<MemoryStats>;

    /// Removes everything of the scope: rows, vectors, indexes, caches.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`]; then nothing was removed.
    async fn erase(&self, scope: &Scope) -> Result<Erased>;
}
