//! The indexes in process: one partition a scope, loaded when first asked, followed on write, evicted when cold.
//!
//! A partition knows the revision of its scope that it reflects. Each search compares it with the file's: whatever this process or
//! another wrote meanwhile, even if whoever wrote it was cancelled halfway, is read before the search goes on.

use super::rows::{DOCUMENT, document};
use super::snapshot::{self, Snapshot, Written};
use super::write::Model;
use crate::chat::{Role, Scope};
use crate::error::Result;
use crate::memory::{Memory, MemoryType};
use crate::search::{IndexDocument, LARGE, Partition};
use crate::storage::{lock, storage};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::RwLock;

/// Documents that go into a partition while searches wait.
const CHUNK: usize = 16;

/// What a write did to the rows of a scope.
pub(super) struct Change {
    pub(super) previous: i64,
    pub(super) revision: i64,
    pub(super) ops: Vec<IndexOp>,
}

/// One step that an index has to follow.
pub(super) enum IndexOp {
    Upsert(Box<Document>),
    Remove(String),
    Access(String, u64),
}

/// An index document that owns its texts.
pub(super) struct Document {
    id: String,
    kind: MemoryType,
    text: String,
    title: Option<String>,
    speaker: Option<String>,
    role: Option<Role>,
    conversation: Option<String>,
    said_at: Option<Timestamp>,
    created_at: Timestamp,
    reliability: Option<f32>,
    access_count: u64,
    vector: Option<Vec<f32>>,
}

impl Document {
    pub(super) fn new(memory: &Memory, vector: Option<Vec<f32>>) -> Self {
        Self {
            id: memory.id.clone(),
            kind: memory.kind,
            text: memory.text.clone(),
            title: memory.title.clone(),
            speaker: memory.speaker.clone(),
            role: memory.role,
            conversation: memory.conversation.clone(),
            said_at: Some(memory.said_at),
            created_at: memory.created_at,
            reliability: memory.reliability,
            access_count: memory.access_count,
            vector,
        }
    }

    fn of(borrowed: &IndexDocument<'_>) -> Self {
        Self {
            id: borrowed.id.to_owned(),
            kind: borrowed.kind,
            text: borrowed.text.to_owned(),
            title: borrowed.title.map(str::to_owned),
            speaker: borrowed.speaker.map(str::to_owned),
            role: borrowed.role,
            conversation: borrowed.conversation.map(str::to_owned),
            said_at: borrowed.said_at,
            created_at: borrowed.created_at,
            reliability: borrowed.reliability,
            access_count: borrowed.access_count,
            vector: borrowed.vector.map(<[f32]>::to_vec),
        }
    }

    fn borrow(&self) -> IndexDocument<'_> {
        IndexDocument {
            id: &self.id,
            kind: self.kind,
            text: &self.text,
            title: self.title.as_deref(),
            speaker: self.speaker.as_deref(),
            role: self.role,
            conversation: self.conversation.as_deref(),
            said_at: self.said_at,
            created_at: self.created_at,
            reliability: self.reliability,
            access_count: self.access_count,
            vector: self.vector.as_deref(),
        }
    }
}

/// A scope's place in the cache.
pub(super) struct Slot {
    /// Held by who brings the index up to date, so that only one does. To be waited for before a thread that may block is taken, never on one.
    pub(super) sync: Arc<tokio::sync::Mutex<()>>,
    pub(super) index: RwLock<Index>,
    graph_from: usize,
}

/// A partition and the revision it reflects; `None` before it was loaded, or while it is halfway.
pub(super) struct Index {
    pub(super) revision: Option<i64>,
    pub(super) partition: Partition,
}

impl Slot {
    fn new(dimensions: usize, graph_from: usize) -> Self {
        let index = Index { revision: None, partition: Partition::with_graph_from(dimensions, graph_from) };
        Self { sync: Arc::default(), index: RwLock::new(index), graph_from }
    }

    /// Follows a write of this process, if the index is where the write began; otherwise the next search reads what it missed.
    /// The caller holds `sync`; must run where it may block.
    pub(super) fn follow(&self, change: &Change) -> Result<()> {
        if self.index.blocking_read().revision != Some(change.previous) {
            return Ok(());
        }
        self.apply(&change.ops)?;
        self.index.blocking_write().revision = Some(change.revision);
        Ok(())
    }

    /// Brings the index to the revision of the file. The caller holds `sync`; must run where it may block. Where everything was read and it
    /// is much, a snapshot is written, which the caller is to publish.
    pub(super) fn catch_up(
        &self,
        connection: &mut Connection,
        scope: &Scope,
        model: Option<&Model>,
        snapshot: Option<&Snapshot>,
    ) -> Result<Option<Written>> {
        let failed = |e| storage("could not load a scope's memories", e);
        let since = self.index.blocking_read().revision;
        // One snapshot for the revision and the rows.
        let rows = connection.transaction().map_err(failed)?;
        let (revision, removed): (i64, i64) = rows
            .prepare_cached("SELECT revision, removed FROM memory_scopes WHERE org = ?1 AND user = ?2")
            .and_then(|mut s| {
                s.query_row(params![scope.org(), scope.user()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(failed)?
            .unwrap_or_default();
        match since {
            Some(since) if since == revision => {}
            // Rows that are gone leave no trace, so after a removal everything is read again.
            Some(since) if since < revision && removed <= since && since > 0 => {
                self.read_changes(&rows, scope, model, since)?;
                self.index.blocking_write().revision = Some(revision);
            }
            _ => {
                let (mut partition, read) = load(&rows, scope, model, self.graph_from, snapshot, revision, removed)?;
                // Before it is shared: nobody waits for a lock meanwhile. A disk that is full costs the next process its time.
                let is_due = partition.len() >= snapshot::FROM && read > partition.len() / snapshot::STALE_SHARE;
                if is_due {
                    partition.arrange();
                }
                let written = snapshot.filter(|_| is_due).and_then(|s| s.write(&partition, revision).ok());
                *self.index.blocking_write() = Index { revision: Some(revision), partition };
                return Ok(written);
            }
        }
        Ok(None)
    }

    fn read_changes(&self, connection: &Connection, scope: &Scope, model: Option<&Model>, since: i64) -> Result<()> {
        let mut ops = Vec::new();
        each_document(connection, scope, model, Some(since), |doc, valid| {
            ops.push(if valid {
                IndexOp::Upsert(Box::new(Document::of(doc)))
            } else {
                IndexOp::Remove(doc.id.to_owned())
            });
            if ops.len() >= CHUNK {
                self.apply(&std::mem::take(&mut ops))?;
            }
            Ok(())
        })?;
        self.apply(&ops)
    }

    fn apply(&self, ops: &[IndexOp]) -> Result<()> {
        for chunk in ops.chunks(CHUNK) {
            let mut index = self.index.blocking_write();
            for op in chunk {
                match op {
                    IndexOp::Upsert(document) => {
                        if let Err(error) = index.partition.upsert(&document.borrow()) {
                            // Halfway is nowhere: the next search loads it afresh.
                            index.revision = None;
                            return Err(error);
                        }
                    }
                    IndexOp::Remove(id) => {
                        index.partition.remove(id);
                    }
                    IndexOp::Access(id, count) => index.partition.set_access(id, *count),
                }
            }
        }
        Ok(())
    }
}

/// The scope's revision in the file; 0 when it has nothing.
pub(super) fn revision(connection: &Connection, scope: &Scope) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT revision FROM memory_scopes WHERE org = ?1 AND user = ?2")?
        .query_row(params![scope.org(), scope.user()], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// The scope's partition as of `revision`, from its snapshot and what was written since, or from all rows; and how many rows were read.
fn load(
    connection: &Connection,
    scope: &Scope,
    model: Option<&Model>,
    graph_from: usize,
    snapshot: Option<&Snapshot>,
    revision: i64,
    removed: i64,
) -> Result<(Partition, usize)> {
    let found = match snapshot {
        Some(snapshot) if revision > 0 => snapshot.load(connection, scope, model, graph_from)?,
        _ => None,
    };
    let (since, mut partition) = match found.filter(|(since, _)| removed <= *since && *since <= revision && *since > 0)
    {
        Some((since, partition)) => (Some(since), partition),
        None => (None, Partition::with_graph_from(dimensions(model), graph_from)),
    };
    let mut read = 0;
    if since != Some(revision) {
        each_document(connection, scope, model, since, |doc, valid| {
            read += 1;
            if valid {
                partition.upsert(doc)
            } else {
                partition.remove(doc.id);
                Ok(())
            }
        })?;
    }
    Ok((partition, read))
}

/// The partition's dimensions; without a model no vector ever comes.
pub(super) fn dimensions(model: Option<&Model>) -> usize {
    model.map_or(1, |m| m.dimensions)
}

/// Every valid row in the order of writing; or, of those that changed since a revision, the superseded ones too.
fn each_document(
    connection: &Connection,
    scope: &Scope,
    model: Option<&Model>,
    since: Option<i64>,
    mut visit: impl FnMut(&IndexDocument<'_>, bool) -> Result<()>,
) -> Result<()> {
    let failed = |e| storage("could not load a scope's memories", e);
    let which = if since.is_some() { "m.revision > ?4" } else { "?4 IS NULL AND m.valid_to IS NULL" };
    let by = if since.is_some() { "memories_changed" } else { "memories_order" };
    let number: Option<i64> = match model {
        Some(model) => connection
            .prepare_cached("SELECT model FROM embedding_models WHERE name = ?1 AND dimensions = ?2")
            .and_then(|mut s| s.query_row(params![model.name, model.dimensions as i64], |row| row.get(0)).optional())
            .map_err(failed)?,
        None => None,
    };
    let mut statement = connection
        .prepare_cached(&format!(
            "SELECT {DOCUMENT} FROM memories m INDEXED BY {by}
               LEFT JOIN memory_vectors v ON v.memory = m.seq AND v.model = ?3
              WHERE m.org = ?1 AND m.user = ?2 AND {which} ORDER BY m.seq"
        ))
        .map_err(failed)?;
    let mut rows = statement.query(params![scope.org(), scope.user(), number, since]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        document(row, dimensions(model), &mut visit)?;
    }
    Ok(())
}

/// How much of the indexes is held in memory, and from when on vectors are searched by a graph.
///
/// ```
/// use syntra_core::memory::IndexLimits;
/// let small = IndexLimits { bytes: 64 << 20, ..IndexLimits::default() };
/// assert_eq!(small.partitions, 256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexLimits {
    /// The most scopes whose indexes are held, the least recently used going first. Default 256.
    pub partitions: usize,
    /// The most bytes that all of them take, about; one scope's are held however large they are. Default 512 MiB.
    pub bytes: usize,
    /// From how many vectors of one scope on a graph (HNSW) is built beside the scan, by a thread of its own, and answers searches without
    /// a filter. Default 2,000,000: up to a million the scan is as quick, finds more, and costs neither the time nor the memory of a
    /// graph.
    pub graph_from: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self { partitions: 256, bytes: 512 << 20, graph_from: LARGE }
    }
}

/// What is held in memory, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexUsage {
    /// Scopes whose indexes are held.
    pub partitions: usize,
    /// Bytes they take, about, as measured when each was loaded or last grew.
    pub bytes: usize,
}

/// Partitions by scope, the least recently used evicted first.
#[derive(Debug)]
pub(super) struct IndexCache {
    dimensions: usize,
    limits: IndexLimits,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_scope: HashMap<Scope, Entry>,
    tick: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot>,
    used: u64,
    bytes: usize,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl IndexCache {
    pub(super) fn new(dimensions: usize, limits: IndexLimits) -> Self {
        Self { dimensions, limits, entries: Mutex::default() }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(super) fn limits(&self) -> IndexLimits {
        self.limits
    }

    /// The scope's slot, made when there is none, and the most recently used from now on.
    pub(super) fn slot(&self, scope: &Scope) -> Arc<Slot> {
        let mut entries = lock(&self.entries);
        entries.tick += 1;
        let tick = entries.tick;
        if let Some(entry) = entries.by_scope.get_mut(scope) {
            entry.used = tick;
            return Arc::clone(&entry.slot);
        }
        let slot = Arc::new(Slot::new(self.dimensions, self.limits.graph_from));
        let entry = Entry { slot: Arc::clone(&slot), used: tick, bytes: 0 };
        entries.by_scope.insert(scope.clone(), entry);
        self.evict(&mut entries);
        slot
    }

    /// The scope's slot, if there is one.
    pub(super) fn peek(&self, scope: &Scope) -> Option<Arc<Slot>> {
        lock(&self.entries).by_scope.get(scope).map(|entry| Arc::clone(&entry.slot))
    }

    /// Notes how large a partition is and makes room. Must run where it may block.
    pub(super) fn measure(&self, scope: &Scope, slot: &Arc<Slot>) {
        let bytes = slot.index.blocking_read().partition.memory_bytes();
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.by_scope.get_mut(scope).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) else {
            return;
        };
        let before = std::mem::replace(&mut entry.bytes, bytes);
        entries.bytes = entries.bytes.saturating_sub(before).saturating_add(bytes);
        self.evict(&mut entries);
    }

    /// Lets go of the scope's partition.
    pub(super) fn drop_scope(&self, scope: &Scope) {
        let mut entries = lock(&self.entries);
        if let Some(entry) = entries.by_scope.remove(scope) {
            entries.bytes = entries.bytes.saturating_sub(entry.bytes);
        }
    }

    pub(super) fn usage(&self) -> IndexUsage {
        let entries = lock(&self.entries);
        IndexUsage { partitions: entries.by_scope.len(), bytes: entries.bytes }
    }

    /// Lets the least recently used go until the bounds hold; the last one stays however large it is, for somebody is using it.
    fn evict(&self, entries: &mut Entries) {
        while entries.by_scope.len() > self.limits.partitions.max(1)
            || (entries.bytes > self.limits.bytes && entries.by_scope.len() > 1)
        {
            let coldest = entries.by_scope.iter().min_by_key(|(_, entry)| entry.used).map(|(scope, _)| scope.clone());
            let Some(entry) = coldest.and_then(|scope| entries.by_scope.remove(&scope)) else { return };
            entries.bytes = entries.bytes.saturating_sub(entry.bytes);
        }
    }
}
