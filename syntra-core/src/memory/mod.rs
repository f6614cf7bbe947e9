//! What is remembered: the four types, the store behind them, and recall over all strategies.
//!
//! May use [`crate::chat`], [`crate::error`], [`crate::embed`], [`crate::query`], [`crate::search`] and [`crate::storage`].

mod extract;
mod gather;
mod history;
mod recall;
#[cfg(test)]
mod recall_tests;
mod rerank;
mod sqlite;
mod types;
mod vectors;

pub use extract::{ExtractedFact, extract_facts};
pub use gather::Gathered;
pub use recall::{Memories, Recall, RecallRequest, Recalled, StrategyReport};
pub use rerank::RerankReport;
pub use sqlite::{IndexLimits, IndexUsage, SqliteMemoryStore};
pub use types::{
    DocumentChunk, Erased, Memory, MemoryPatch, MemorySource, MemoryStats, MemoryType, NewMemory, NewVector, Outcome,
    Page, Remembered,
};
pub(crate) use types::{FILE_CHUNKS, FILE_HASH, FOLDER};

use crate::chat::Scope;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::search::{Candidate, Filter, SearchQuery, Strategy};
use async_trait::async_trait;
use jiff::Timestamp;
use std::fmt::Debug;

/// Keeps memories. Every method names its [`Scope`] and never touches a row outside it: the scope is part of every query, not a
/// filter over its result. One conformance suite serves every implementation.
#[async_trait]
pub trait MemoryStore: Send + Sync + Debug + 'static {
    /// Writes `items` in order, all or none, and returns what became of each. When it returns, the rows are durable and every
    /// strategy finds them.
    ///
    /// What is there already is a duplicate: nothing is written, the id that is there is returned, and what the new one adds (a
    /// vector, a higher reliability, a title, a source, metadata) is merged into it.
    /// - An item with an id of the caller's is the memory of that id: a duplicate when the id is taken by the same content (type,
    ///   conversation, speaker by name and role, text but for case, white space and Unicode form), written otherwise, whatever other
    ///   memories say. The caller finds everything again that it gave an id.
    /// - An item without an id is a duplicate of a valid memory of the same content. An episodic one that says when it was said is
    ///   so only if that one was said at the same time: "ok" twice in a conversation was said twice, a fact twice is one fact.
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

    /// What `strategies` (each with the most that it returns, whatever [`SearchQuery::limit`] says) find together: each memory once,
    /// at most `most`, the strategies taking turns, with every signal of [`MemoryStore::signals`]. A strategy that fails says so in
    /// its report. As it is, it asks [`MemoryStore::recall`] and [`MemoryStore::signals`]; a store that finds all of it in one
    /// place does better.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`], when it is not a strategy that failed.
    async fn gather(
        &self,
        scope: &Scope,
        strategies: &[(Strategy, usize)],
        query: &SearchQuery<'_>,
        most: usize,
        clock: &dyn Clock,
    ) -> Result<Gathered> {
        gather::one_by_one(self, scope, strategies, query, most, clock).await
    }

    /// The memories with these ids that exist in the scope, in the order asked for; superseded ones too.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn get(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>>;

    /// Changes a memory; its indexes follow. A new text without its vector leaves the memory without one, never with the old
    /// text's.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the scope has no such id; [`crate::ErrorKind::InvalidInput`] as for
    /// [`MemoryStore::remember`].
    async fn update(&self, scope: &Scope, id: &str, patch: MemoryPatch) -> Result<Memory>;

    /// Writes `new` and ends the validity of `old` at the time `new` was said (not before `old` began), in one step; history stays
    /// readable. When a valid memory of the same content is there, that one takes `old`'s place; when it is `old` itself, nothing
    /// changes and the outcome is [`Outcome::Duplicate`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] as for [`MemoryStore::remember`], or when `new` has the id of a superseded memory;
    /// [`crate::ErrorKind::NotFound`] when `old` is not there, [`crate::ErrorKind::Conflict`] when it is superseded already.
    async fn supersede(&self, scope: &Scope, old: &str, new: NewMemory) -> Result<Remembered>;

    /// Writes `new`, a fact of which a user has one at a time, `attribute` saying which (a home, a name), and ends the validity of the valid
    /// fact of that attribute. Where that says the same, or was said later, it stays: nothing is written, and the outcome is
    /// [`Outcome::Duplicate`] with its id. Where several are valid, all of them end. As it is, it asks [`MemoryStore::list`] and
    /// [`MemoryStore::supersede`], so that two callers at once may leave two facts until the next is written; a store that does it in one step
    /// does better.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when `new` is no profile memory, and as for [`MemoryStore::remember`].
    async fn remember_fact(&self, scope: &Scope, attribute: &str, new: NewMemory) -> Result<Remembered> {
        let new = types::fact(attribute, new)?;
        let mut held = Vec::new();
        let filter = Filter { kinds: vec![MemoryType::Profile], ..Filter::default() };
        let is_one = |memory: &Memory| memory.valid_to.is_none() && memory.attribute() == Some(attribute);
        let see = |memory: Memory| {
            held.extend(Some(memory).filter(is_one));
            true
        };
        each(self, scope, &filter, see).await?;
        held.sort_by_key(|memory| memory.valid_from);
        let Some(newest) = held.pop() else {
            let written = self.remember(scope, vec![new]).await?;
            let none = || Error::new(ErrorKind::Storage, "the store did not say what became of a memory");
            return written.into_iter().next().ok_or_else(none);
        };
        if newest.stands_against(&new) {
            return Ok(Remembered { id: newest.id, outcome: Outcome::Duplicate });
        }
        let written = self.supersede(scope, &newest.id, new.clone()).await?;
        for older in held.into_iter().filter(|older| older.id != written.id) {
            self.supersede(scope, &older.id, new.clone()).await?;
        }
        Ok(written)
    }

    /// Removes memories for good, and the mention of them in what they replaced; how many there were.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64>;

    /// Counts a use of each of `ids` at `at`: one each, however often it is named. Ids that are not there are left out.
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

    /// Memories that held at the time `at`, whether or not they still do ("where did I live in May?"), in the order they were
    /// written, a page at a time.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn as_of(&self, scope: &Scope, at: Timestamp, filter: &Filter, page: Page) -> Result<Vec<Memory>> {
        // Right for every store; one that can ask its rows does better.
        let (mut held, mut skip) = (Vec::new(), page.offset);
        let see = |memory: Memory| {
            if held.len() as u64 >= page.limit {
                return false;
            }
            if memory.is_valid_at(at) {
                if skip > 0 {
                    skip -= 1;
                } else {
                    held.push(memory);
                }
            }
            true
        };
        each(self, scope, filter, see).await?;
        Ok(held)
    }

    /// The chunks of indexed files, in no order: all of the scope, or those of `folder`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn chunks(&self, scope: &Scope, folder: Option<&str>) -> Result<Vec<DocumentChunk>> {
        let mut chunks = Vec::new();
        let filter = Filter { kinds: vec![MemoryType::Semantic], ..Filter::default() };
        let see = |memory: Memory| {
            let chunk = DocumentChunk::of(&memory);
            chunks.extend(chunk.filter(|chunk| folder.is_none_or(|folder| chunk.folder == folder)));
            true
        };
        each(self, scope, &filter, see).await?;
        Ok(chunks)
    }

    /// The versions that held at some time from `since` to before `until` and have been replaced since by what is now one of `ids`, over as many
    /// steps as it takes: each with that id, the latest of an id first. A store that does not know returns none.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn replaced(
        &self,
        _scope: &Scope,
        _ids: &[String],
        _since: Timestamp,
        _until: Timestamp,
    ) -> Result<Vec<(String, Memory)>> {
        Ok(Vec::new())
    }

    /// At most `limit` valid memories that have no vector of the store's embedding model, oldest first: those written without one
    /// and those of another model. Empty when the store has no embedding model.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`]; [`crate::ErrorKind::Unsupported`] by a store that cannot tell.
    async fn missing_vectors(&self, _scope: &Scope, _limit: u64) -> Result<Vec<Memory>> {
        Err(Error::new(ErrorKind::Unsupported, "this store cannot tell which memories lack a vector"))
    }

    /// Gives memories their vectors of the store's embedding model; how many got one. A memory that is gone, or whose text has
    /// changed since, is left out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a vector that does not fit the model, and then none is written;
    /// [`crate::ErrorKind::Storage`]; [`crate::ErrorKind::Unsupported`] by a store that keeps vectors only with their memories.
    async fn set_vectors(&self, _scope: &Scope, _vectors: Vec<NewVector>) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "this store takes vectors only together with their memories"))
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

/// Hands `see` everything that `store` lists, until it has seen enough and says so.
async fn each<S: MemoryStore + ?Sized>(
    store: &S,
    scope: &Scope,
    filter: &Filter,
    mut see: impl FnMut(Memory) -> bool + Send,
) -> Result<()> {
    const BLOCK: u64 = 500;
    let mut offset = 0;
    loop {
        let block = store.list(scope, filter, Page { offset, limit: BLOCK }).await?;
        let last = (block.len() as u64) < BLOCK;
        if !block.into_iter().all(&mut see) || last {
            return Ok(());
        }
        offset += BLOCK;
    }
}
