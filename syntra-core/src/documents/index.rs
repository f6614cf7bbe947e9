//! Carrying out a plan: chunks become memories, what is gone is forgotten.

use super::chunk::{ChunkOptions, chunk};
use super::extract::extract_text;
use super::plan::{self, ContentHash, FoundFile, IndexPlan, Skipped};
use super::{FileKind, plan_within as make_plan};
use crate::chat::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{FILE_CHUNKS, FILE_HASH, FOLDER, Memories, MemorySource, MemoryType, NewMemory};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How many chunks are written at once.
const BATCH: usize = 128;

/// Keeps folders indexed as semantic memories.
///
/// Each chunk of a file is one memory: its conversation is the file's path relative to the folder, its title the document's title and
/// the headings it stands under, its source the file and lines for citations; its metadata names the folder, the file's hash and
/// how many chunks the file has. Ids are made of folder, path, hash and place, so that writing twice is harmless, and a file
/// counts as indexed only when all its chunks are there: an index that was interrupted is completed by the next run.
#[derive(Clone, Debug)]
pub struct DirectoryIndexer {
    memories: Memories,
    options: ChunkOptions,
    only: Vec<String>,
}

/// How far an index has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexProgress {
    /// Files done.
    pub done: usize,
    /// Files that are to be done: the new and the changed.
    pub total: usize,
    /// The file that is being read; `None` at the end.
    pub path: Option<String>,
    /// Chunks written so far.
    pub chunks: usize,
}

/// What an index run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexReport {
    /// Files that were new.
    pub new: usize,
    /// Files that had changed.
    pub changed: usize,
    /// Files that were as they had been.
    pub unchanged: usize,
    /// Files that were gone.
    pub gone: usize,
    /// Chunks written.
    pub chunks_written: usize,
    /// Chunks removed, of changed files and of gone ones.
    pub chunks_removed: u64,
    /// Files left out, and why.
    pub skipped: Vec<Skipped>,
    /// Files that were read with something lost, and what.
    pub notes: Vec<Skipped>,
}

/// How much is indexed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DocumentStats {
    /// Files.
    pub documents: usize,
    /// Chunks.
    pub chunks: usize,
    /// Chunks by folder.
    pub folders: BTreeMap<String, usize>,
}

/// What the store has of a file.
#[derive(Default)]
struct Known {
    hash: String,
    expected: u64,
    ids: Vec<String>,
    /// Whether chunks of several versions are there.
    mixed: bool,
}

impl std::fmt::Display for IndexReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { new, changed, unchanged, gone, chunks_written, .. } = self;
        write!(f, "{new} new, {changed} changed, {unchanged} unchanged, {gone} gone; {chunks_written} chunks written")?;
        if !self.skipped.is_empty() {
            write!(f, "; {} skipped", self.skipped.len())?;
        }
        Ok(())
    }
}

impl DirectoryIndexer {
    /// An indexer that writes to `memories`, with the default chunk sizes.
    pub fn new(memories: Memories) -> Self {
        Self { memories, options: ChunkOptions::default(), only: Vec::new() }
    }

    /// Sets the chunk sizes. Files that are indexed already keep theirs until they change.
    ///
    /// # Errors
    /// Those of [`ChunkOptions::validate`].
    pub fn with_options(mut self, options: ChunkOptions) -> Result<Self> {
        options.validate()?;
        self.options = options;
        Ok(self)
    }

    /// Reads only these files and folders (relative to the folder that is indexed, or in it); what else is indexed of it stays as it is.
    /// None means all.
    pub fn with_only<S: Into<String>>(mut self, only: impl IntoIterator<Item = S>) -> Self {
        self.only = only.into_iter().map(Into::into).collect();
        self
    }

    /// Brings the index of the folder at `path` up to date: reads what is new or changed, forgets what is gone, leaves the rest alone.
    /// `on_progress` is told of each file before it is read, and of the end.
    ///
    /// # Errors
    /// Those of [`plan()`](super::plan()) and of the memories. What was done until then stays, and the next run goes on from there. A
    /// single file that cannot be read is no error: it is reported as skipped, and what was indexed of it stays.
    pub async fn index(
        &self,
        scope: &Scope,
        path: impl AsRef<Path>,
        mut on_progress: impl FnMut(IndexProgress) + Send,
    ) -> Result<IndexReport> {
        let dir = path.as_ref().to_owned();
        let root = blocking(move || plan::root(&dir)).await?;
        let folder = root.display().to_string();
        let known = self.known(scope, &folder).await?;
        let hashes: BTreeMap<String, ContentHash> = known
            .iter()
            .map(|(path, k)| {
                // A file that is there in part has to be read again.
                let whole = !k.mixed && k.ids.len() as u64 == k.expected;
                (path.clone(), ContentHash::from_hex(if whole { k.hash.as_str() } else { "" }))
            })
            .collect();
        let IndexPlan { new, changed, unchanged, gone, skipped } = {
            let only = self.only.clone();
            blocking(move || make_plan(&root, &only, &hashes)).await?
        };

        let mut report = IndexReport { unchanged, gone: gone.len(), skipped, ..IndexReport::default() };
        let total = new.len() + changed.len();
        let files = new.into_iter().map(|f| (f, true)).chain(changed.into_iter().map(|f| (f, false)));
        for (done, (file, is_new)) in files.enumerate() {
            on_progress(IndexProgress { done, total, path: Some(file.path.clone()), chunks: report.chunks_written });
            let (path, options, place) = (file.path.clone(), self.options, folder.clone());
            let items = match blocking(move || Ok(read_file(&file, &place, &options))).await? {
                Ok((items, note)) => {
                    report.notes.extend(note.map(|reason| Skipped { path: path.clone(), reason }));
                    items
                }
                Err(error) => {
                    report.skipped.push(Skipped { path, reason: error.message().to_owned() });
                    continue;
                }
            };
            let ids: BTreeSet<String> = items.iter().filter_map(|item| item.id.clone()).collect();
            report.chunks_written += items.len();
            let mut rest = items.into_iter();
            loop {
                let batch: Vec<NewMemory> = rest.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                self.memories.remember(scope, batch).await?;
            }
            // The new is there before the old goes: whoever asks meanwhile finds one or both, never nothing.
            if let Some(before) = known.get(&path) {
                let old: Vec<String> = before.ids.iter().filter(|id| !ids.contains(*id)).cloned().collect();
                report.chunks_removed += self.forget(scope, &old).await?;
            }
            if is_new && ids.is_empty() {
                // An empty file: there is nothing to know of it, then or next time.
                report.unchanged += 1;
            } else if is_new {
                report.new += 1;
            } else {
                report.changed += 1;
            }
        }
        for path in &gone {
            if let Some(before) = known.get(path) {
                report.chunks_removed += self.forget(scope, &before.ids).await?;
            }
        }
        on_progress(IndexProgress { done: total, total, path: None, chunks: report.chunks_written });
        Ok(report)
    }

    /// Forgets everything that was indexed from the folder at `path`, whether it still exists or not; how many chunks there were.
    ///
    /// # Errors
    /// Those of the memories.
    pub async fn remove(&self, scope: &Scope, path: impl AsRef<Path>) -> Result<u64> {
        let path = path.as_ref().to_owned();
        let folder = blocking(move || Ok(plan::place(&path))).await?.display().to_string();
        let known = self.known(scope, &folder).await?;
        let ids: Vec<String> = known.into_values().flat_map(|k| k.ids).collect();
        self.forget(scope, &ids).await
    }

    /// How much is indexed in the scope.
    ///
    /// # Errors
    /// Those of the memories.
    pub async fn stats(&self, scope: &Scope) -> Result<DocumentStats> {
        let mut stats = DocumentStats::default();
        let mut documents = BTreeSet::new();
        for chunk in self.memories.chunks(scope, None).await? {
            stats.chunks += 1;
            *stats.folders.entry(chunk.folder.clone()).or_default() += 1;
            documents.insert((chunk.folder, chunk.path));
        }
        stats.documents = documents.len();
        Ok(stats)
    }

    async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64> {
        let mut removed = 0;
        for batch in ids.chunks(BATCH) {
            removed += self.memories.forget(scope, batch).await?;
        }
        Ok(removed)
    }

    /// What the store has of `folder`, by path.
    async fn known(&self, scope: &Scope, folder: &str) -> Result<BTreeMap<String, Known>> {
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for chunk in self.memories.chunks(scope, Some(folder)).await? {
            let entry = known.entry(chunk.path).or_default();
            entry.mixed |= !entry.ids.is_empty() && entry.hash != chunk.file_hash;
            entry.hash = chunk.file_hash;
            entry.expected = chunk.file_chunks;
            entry.ids.push(chunk.id);
        }
        Ok(known)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(ErrorKind::Unknown, "reading the folder was broken off").with_source(e))?
}

/// The chunks of a file as memories, and what its reader should know.
fn read_file(file: &FoundFile, folder: &str, options: &ChunkOptions) -> Result<(Vec<NewMemory>, Option<String>)> {
    let bytes =
        plan::read(&file.location).map_err(|e| Error::new(ErrorKind::NotFound, format!("cannot be read: {e}")))?;
    // The file may have changed since the plan was made: what counts is what is read now.
    let hash = ContentHash::of(&bytes);
    let modified = std::fs::metadata(&file.location).and_then(|m| m.modified()).ok();
    let said_at = modified.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let extracted = extract_text(&bytes, file.kind)?;
    let chunks = chunk(&extracted.text, file.kind, options);
    let title = title(&extracted.text, file);
    let place = ContentHash::of(format!("{folder}\0{}\0{}", file.path, hash.as_str()).as_bytes());
    let place = place.as_str().get(..20).unwrap_or_default();
    let count = chunks.len();
    let items = chunks
        .into_iter()
        .enumerate()
        .map(|(i, chunk)| {
            let heading = chunk.heading.filter(|heading| *heading != title);
            let heading = heading.map(|h| h.strip_prefix(&format!("{title} > ")).map(str::to_owned).unwrap_or(h));
            let full = heading.map_or_else(|| title.clone(), |heading| format!("{title} > {heading}"));
            let lines = extracted.has_lines.then_some((chunk.line_from, chunk.line_to));
            let mut memory = NewMemory::new(MemoryType::Semantic, chunk.text)
                .with_id(format!("{}#{place}-{i}", file.path))
                .with_conversation(file.path.as_str())
                .with_title(full)
                .with_source(MemorySource {
                    document: file.path.clone(),
                    line_from: lines.map(|(from, _)| from),
                    line_to: lines.map(|(_, to)| to),
                });
            memory.said_at = said_at;
            memory.metadata.insert(FOLDER.into(), folder.into());
            memory.metadata.insert(FILE_HASH.into(), hash.as_str().into());
            memory.metadata.insert(FILE_CHUNKS.into(), count.into());
            memory
        })
        .collect();
    Ok((items, extracted.note))
}

/// The first heading of a text with headings, else the file's path.
fn title(text: &str, file: &FoundFile) -> String {
    let headed = matches!(file.kind, FileKind::Markdown | FileKind::Html);
    let first = headed.then(|| text.lines().take(200).find_map(|line| line.strip_prefix("# "))).flatten();
    match first.map(str::trim).filter(|t| !t.is_empty()) {
        Some(heading) => heading.trim_end_matches('#').trim_end().chars().take(120).collect(),
        None => file.path.clone(),
    }
}

#[cfg(test)]
mod tests;
