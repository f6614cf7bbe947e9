//! Memories in the SQLite file: rows are the truth, indexes in process are derived from them.

mod identity;
mod index;
mod read;
mod rows;
mod snapshot;
mod write;

pub use index::{IndexLimits, IndexUsage};

use super::types::fact;
use super::{
    DocumentChunk, Erased, Gathered, Memory, MemoryPatch, MemoryStats, MemoryStore, NewMemory, NewVector, Page,
    Remembered, StrategyReport,
};
use crate::chat::Scope;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::search::{Candidate, Filter, Found, Partition, SearchQuery, Strategy};
use crate::storage::{Database, blocking};
use async_trait::async_trait;
use identity::{check_reliability, check_text, unit_vector};
use index::{Change, IndexCache};
use jiff::Timestamp;
use snapshot::Snapshot;
use std::sync::Arc;
use write::{Model, Write, prepare};

/// A batch larger than this is checked, or read, off the runtime's threads.
const SMALL: usize = 32;

/// A [`MemoryStore`] over a [`Database`], which it may share with other stores and other processes.
///
/// ```
/// use std::sync::Arc;
/// use syntra_core::memory::{MemoryStore as _, MemoryType, NewMemory, SqliteMemoryStore};
/// use syntra_core::storage::Database;
/// use syntra_core::{Scope, SystemClock};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let store = SqliteMemoryStore::new(Database::in_memory()?, Arc::new(SystemClock::new()));
/// let scope = Scope::new("acme", "ada")?;
/// let item = NewMemory::new(MemoryType::Semantic, "The office is in Lisbon.").with_id("office");
/// store.remember(&scope, vec![item]).await?;
/// assert_eq!(store.get(&scope, &["office".into()]).await?[0].text, "The office is in Lisbon.");
/// # Ok::<(), syntra_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteMemoryStore {
    database: Database,
    clock: Arc<dyn Clock>,
    model: Option<Arc<Model>>,
    indexes: Arc<IndexCache>,
}

impl SqliteMemoryStore {
    /// A store over `database` that takes the time from `clock`, without an embedding model: it keeps no vectors.
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, model: None, indexes: Arc::new(IndexCache::new(1, IndexLimits::default())) }
    }

    /// The same store with vectors of the embedding model `name`, of `dimensions` numbers each. Vectors of other models stay in the
    /// file and are not used; [`MemoryStore::missing_vectors`] lists what waits for one of this.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for an empty name or no dimensions.
    pub fn with_model(mut self, name: impl Into<String>, dimensions: usize) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || dimensions == 0 || dimensions > 65_536 {
            return Err(Error::invalid("an embedding model needs a name and 1 to 65536 dimensions"));
        }
        self.indexes = Arc::new(IndexCache::new(dimensions, self.indexes.limits()));
        self.model = Some(Arc::new(Model { name, dimensions }));
        Ok(self)
    }

    /// The same store holding no more of its indexes than `limits` say.
    pub fn with_index_limits(mut self, limits: IndexLimits) -> Self {
        self.indexes = Arc::new(IndexCache::new(self.indexes.dimensions(), limits));
        self
    }

    /// What the indexes take.
    pub fn index_usage(&self) -> IndexUsage {
        self.indexes.usage()
    }

    /// Runs `search` on the scope's partition as the file has it now.
    async fn search<T>(&self, scope: &Scope, search: impl FnOnce(&Partition) -> T) -> Result<T> {
        let slot = self.indexes.slot(scope);
        // `None` when somebody writes to the only connection of a database in memory; then we wait off the runtime's threads.
        if let Some(now) = self.database.peek(|connection| index::revision(connection, scope)) {
            let index = slot.index.read().await;
            if index.revision == Some(now) {
                return Ok(search(&index.partition));
            }
        }
        let guard = Arc::clone(&slot.sync).lock_owned().await;
        // Whoever held it may have brought the index to where the file is.
        if let Some(now) = self.database.peek(|connection| index::revision(connection, scope)) {
            let index = slot.index.read().await;
            if index.revision == Some(now) {
                return Ok(search(&index.partition));
            }
        }
        let (slot_, scope_, model, indexes) = (slot.clone(), scope.clone(), self.model.clone(), self.indexes.clone());
        let snapshot = self.snapshot(scope);
        let snapshot_ = snapshot.clone();
        let written = self
            .database
            .read(move |connection| {
                let _guard = guard;
                let written = slot_.catch_up(connection, &scope_, model.as_deref(), snapshot_.as_ref())?;
                indexes.measure(&scope_, &slot_);
                Ok(written)
            })
            .await?;
        if let (Some(snapshot), Some(written)) = (snapshot, written) {
            let (scope_, model) = (scope.clone(), self.model.clone());
            // Without it the next process builds the index again.
            let _ = self
                .database
                .write(move |connection| snapshot.publish(connection, &scope_, model.as_deref(), written))
                .await;
        }
        // Whatever was written before the call is in it now; what is written since may be.
        let index = slot.index.read().await;
        Ok(search(&index.partition))
    }

    /// Where the scope's index has its snapshot; nowhere for a database in memory.
    fn snapshot(&self, scope: &Scope) -> Option<Snapshot> {
        self.database.path().map(|path| Snapshot::of(path, scope))
    }

    /// Removes what a snapshot would still tell of what is gone.
    async fn remove_snapshot(&self, scope: &Scope) -> Result<()> {
        match self.snapshot(scope) {
            None => Ok(()),
            Some(snapshot) => {
                let remove = move || {
                    snapshot.remove();
                    Ok(())
                };
                blocking(remove).await
            }
        }
    }

    /// Runs `job` as one change of the scope and lets its partition, if it is held, follow.
    async fn change<T: Send + 'static>(
        &self,
        scope: &Scope,
        job: impl FnOnce(&mut Write<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (scope_, model, now) = (scope.clone(), self.model.clone(), self.clock.now());
        let (result, change) = self
            .database
            .write(move |connection| {
                let mut write = Write::new(connection, &scope_, model.as_deref(), now);
                let result = job(&mut write)?;
                Ok((result, write.finish()))
            })
            .await?;
        if let Some(change) = change {
            self.follow(scope, change).await?;
        }
        Ok(result)
    }

    async fn follow(&self, scope: &Scope, change: Change) -> Result<()> {
        let Some(slot) = self.indexes.peek(scope) else { return Ok(()) };
        let (scope, indexes) = (scope.clone(), Arc::clone(&self.indexes));
        // Waited for here: threads that may block are bounded, and whoever holds it needs one.
        let guard = Arc::clone(&slot.sync).lock_owned().await;
        blocking(move || {
            let _guard = guard;
            // The rows are written; an index that cannot follow is loaded afresh by the next search, which reports why it fails.
            let _ = slot.follow(&change);
            if change.ops.len() >= SMALL {
                indexes.measure(&scope, &slot);
            }
            Ok(())
        })
        .await
    }

    async fn prepared(&self, items: Vec<NewMemory>) -> Result<Vec<write::Prepared>> {
        let model = self.model.clone();
        let few = items.len() <= SMALL;
        let all = move || items.into_iter().map(|item| prepare(item, model.as_deref())).collect::<Result<Vec<_>>>();
        // Hashing thousands of texts takes milliseconds.
        if few { all() } else { blocking(all).await }
    }

    fn unit(&self, vector: Vec<f32>) -> Result<Vec<f32>> {
        unit_vector(vector, self.model.as_deref().map(|m| m.dimensions))
    }
}

#[async_trait]
impl MemoryStore for SqliteMemoryStore {
    async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let items = self.prepared(items).await?;
        self.change(scope, move |write| items.into_iter().map(|item| write.remember(item)).collect()).await
    }

    async fn recall(&self, scope: &Scope, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        self.search(scope, |partition| partition.search(strategy, query)).await?
    }

    async fn signals(&self, scope: &Scope, ids: &[String], query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        self.search(scope, |partition| partition.signals(ids, query)).await
    }

    async fn gather(
        &self,
        scope: &Scope,
        strategies: &[(Strategy, usize)],
        query: &SearchQuery<'_>,
        most: usize,
        clock: &dyn Clock,
    ) -> Result<Gathered> {
        // One look at the partition, so that what is known of an entity and what was found are of the same moment.
        let gather = |partition: &Partition| {
            let entities = match strategies.iter().any(|(strategy, _)| *strategy == Strategy::Graph) {
                true => partition.entities(query),
                false => Vec::new(),
            };
            (partition.gather(strategies, query, most, &|| clock.monotonic()), entities)
        };
        let ((found, candidates), entities) = self.search(scope, gather).await?;
        let report = |((strategy, _), found): (&(Strategy, usize), Found)| StrategyReport {
            strategy: *strategy,
            found: *found.found.as_ref().unwrap_or(&0),
            elapsed_us: found.elapsed.as_micros() as u64,
            error: found.found.err(),
        };
        Ok(Gathered { reports: strategies.iter().zip(found).map(report).collect(), candidates, entities })
    }

    async fn get(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>> {
        if ids.len() <= SMALL
            && let Some(memories) = self.database.read_here(|connection| read::get(connection, scope, ids))
        {
            return memories;
        }
        let (scope, ids) = (scope.clone(), ids.to_vec());
        self.database.read(move |connection| read::get(connection, &scope, &ids)).await
    }

    async fn update(&self, scope: &Scope, id: &str, mut patch: MemoryPatch) -> Result<Memory> {
        if let Some(text) = &patch.text {
            check_text(text)?;
        }
        check_reliability(patch.reliability)?;
        patch.vector = patch.vector.map(|vector| self.unit(vector)).transpose()?;
        let id = id.to_owned();
        let retold = patch.text.is_some();
        let memory = self.change(scope, move |write| write.update(&id, patch)).await?;
        if retold {
            self.remove_snapshot(scope).await?;
        }
        Ok(memory)
    }

    async fn supersede(&self, scope: &Scope, old: &str, new: NewMemory) -> Result<Remembered> {
        let new = prepare(new, self.model.as_deref())?;
        let old = old.to_owned();
        self.change(scope, move |write| write.supersede(&old, new)).await
    }

    async fn remember_fact(&self, scope: &Scope, attribute: &str, new: NewMemory) -> Result<Remembered> {
        let new = prepare(fact(attribute, new)?, self.model.as_deref())?;
        let attribute = attribute.to_owned();
        self.change(scope, move |write| write.remember_fact(&attribute, new)).await
    }

    async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64> {
        let ids = ids.to_vec();
        let forgotten = self.change(scope, move |write| write.forget(&ids)).await?;
        if forgotten > 0 {
            self.remove_snapshot(scope).await?;
            self.database.reclaim().await?;
        }
        Ok(forgotten)
    }

    async fn touch(&self, scope: &Scope, ids: &[String], at: Timestamp) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.to_vec();
        self.change(scope, move |write| write.touch(&ids, at)).await
    }

    async fn list(&self, scope: &Scope, filter: &Filter, page: Page) -> Result<Vec<Memory>> {
        let (scope, filter) = (scope.clone(), filter.clone());
        self.database.read(move |connection| read::list(connection, &scope, &filter, None, page)).await
    }

    async fn as_of(&self, scope: &Scope, at: Timestamp, filter: &Filter, page: Page) -> Result<Vec<Memory>> {
        let (scope, filter) = (scope.clone(), filter.clone());
        self.database.read(move |connection| read::list(connection, &scope, &filter, Some(at), page)).await
    }

    async fn chunks(&self, scope: &Scope, folder: Option<&str>) -> Result<Vec<DocumentChunk>> {
        let (scope, folder) = (scope.clone(), folder.map(str::to_owned));
        self.database.read(move |connection| read::chunks(connection, &scope, folder.as_deref())).await
    }

    async fn replaced(
        &self,
        scope: &Scope,
        ids: &[String],
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(String, Memory)>> {
        let (scope, ids) = (scope.clone(), ids.to_vec());
        self.database.read(move |connection| read::replaced(connection, &scope, &ids, since, until)).await
    }

    async fn missing_vectors(&self, scope: &Scope, limit: u64) -> Result<Vec<Memory>> {
        let Some(model) = self.model.clone() else { return Ok(Vec::new()) };
        let scope = scope.clone();
        self.database.read(move |connection| read::missing_vectors(connection, &scope, &model, limit)).await
    }

    async fn set_vectors(&self, scope: &Scope, vectors: Vec<NewVector>) -> Result<u64> {
        let vectors: Vec<NewVector> = vectors
            .into_iter()
            .map(|new| Ok(NewVector { vector: self.unit(new.vector)?, ..new }))
            .collect::<Result<_>>()?;
        let job = move |write: &mut Write<'_>| {
            let mut set = 0;
            for new in vectors {
                set += u64::from(write.set_vector(new)?);
            }
            Ok(set)
        };
        self.change(scope, job).await
    }

    async fn speakers(&self, scope: &Scope) -> Result<Vec<String>> {
        self.search(scope, Partition::speakers).await
    }

    async fn stats(&self, scope: &Scope) -> Result<MemoryStats> {
        let (scope, model) = (scope.clone(), self.model.clone());
        self.database.read(move |connection| read::stats(connection, &scope, model.as_deref())).await
    }

    async fn erase(&self, scope: &Scope) -> Result<Erased> {
        let scope_ = scope.clone();
        let erased = self.database.write(move |connection| write::erase(connection, &scope_)).await?;
        self.indexes.drop_scope(scope);
        self.remove_snapshot(scope).await?;
        self.database.reclaim().await?;
        Ok(erased)
    }
}
