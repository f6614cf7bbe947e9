//! Snapshots of large indexes: files in the folder `indexes` beside the database, so that a process need not read all texts again.
//!
//! Rows are the truth. A file is used if the database has its token for this scope and model, it is of this version of the library, and
//! its checksums are right; what was written since is read from the rows. In every other case the index is built from them.

use super::write::Model;
use crate::chat::Scope;
use crate::error::Result;
use crate::search::{Partition, fingerprint};
use crate::storage::storage;
use rusqlite::{Connection, OptionalExtension as _, params};
use rustc_hash::FxHasher;
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What a file begins with, and the version of its layout.
const MAGIC: &[u8; 8] = b"syntraix";
const LAYOUT: u32 = 5;
/// How the name of a file ends that is being written.
const UNFINISHED: &str = "part";
/// An index of fewer memories is built from its rows as quickly as anybody notices.
pub(super) const FROM: usize = 2_000;
/// A snapshot is made anew when more than one memory in this many was written since.
pub(super) const STALE_SHARE: usize = 4;

pub(super) type Token = [u8; 16];

/// The snapshot of one scope's index by one embedding model.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    folder: PathBuf,
    path: PathBuf,
}

/// A file that was written and is not in use before [`Snapshot::publish`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) token: Token,
    pub(super) revision: i64,
}

impl Snapshot {
    /// That of `scope`, beside the database `database`.
    pub(super) fn of(database: &Path, scope: &Scope) -> Self {
        let folder = database.with_file_name("indexes");
        let mut hash = Sha256::new();
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((scope.org().len() as u64).to_le_bytes());
        hash.update(scope.org());
        hash.update(scope.user());
        let name: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(name).with_extension("index");
        Self { folder, path }
    }

    /// The partition of the file and the revision that it shows, if it is to be trusted.
    pub(super) fn load(
        &self,
        connection: &Connection,
        scope: &Scope,
        model: Option<&Model>,
        graph_from: usize,
    ) -> Result<Option<(i64, Partition)>> {
        let (name, dimensions) = model.map_or(("", 1), |m| (m.name.as_str(), m.dimensions));
        let row: Option<(i64, Token)> = connection
            .prepare_cached(
                "SELECT revision, token FROM index_snapshots
                  WHERE org = ?1 AND user = ?2 AND model = ?3 AND dimensions = ?4",
            )
            .and_then(|mut s| {
                let key = params![scope.org(), scope.user(), name, dimensions as i64];
                s.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(|e| storage("could not look for a snapshot", e))?;
        let Some((revision, token)) = row else { return Ok(None) };
        // A file that cannot be read is one that is not there.
        Ok(self.read(token, dimensions, graph_from).ok().flatten().map(|partition| (revision, partition)))
    }

    fn read(&self, token: Token, dimensions: usize, graph_from: usize) -> io::Result<Option<Partition>> {
        let mut file = File::open(&self.path)?;
        let bytes = file.metadata()?.len();
        let mut head = [0; HEADER + 8];
        file.read_exact(&mut head)?;
        let Some((header, middle)) = head.split_last_chunk::<8>() else { return Ok(None) };
        let middle = u64::from_le_bytes(*middle);
        if header != self::header(token) || middle > bytes {
            return Ok(None);
        }
        // The vectors are most of it, so that two threads are done in half the time.
        let mut other = File::open(&self.path)?;
        other.seek(SeekFrom::Start(middle))?;
        let (partition, vectors) = std::thread::scope(|scope| {
            let vectors = std::thread::Builder::new()
                .name("syntra-snapshot".into())
                .spawn_scoped(scope, || Partition::restore_vectors(dimensions, parts(other, bytes), bytes));
            let partition = Partition::restore(dimensions, graph_from, parts(file, bytes), bytes);
            // Without a thread, or with one that panicked, the rows are read.
            (partition, vectors.ok().and_then(|thread| thread.join().ok().flatten()))
        });
        Ok(partition.zip(vectors).and_then(|(partition, vectors)| partition.with_vectors(vectors)))
    }

    /// Writes the file; nobody uses it before [`Snapshot::publish`].
    pub(super) fn write(&self, partition: &Partition, revision: i64) -> io::Result<Written> {
        let token = *uuid::Uuid::new_v4().as_bytes();
        let mut folder = DirBuilder::new();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
            folder.mode(0o700);
            options.mode(0o600);
        }
        folder.recursive(true).create(&self.folder)?;
        self.remove_unfinished();
        let name: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let unfinished = self.path.with_extension(format!("{name}.{UNFINISHED}"));
        let written = options.open(&unfinished).and_then(|file| {
            // Held until it is done or the process has ended, see `remove_unfinished`. Where locks are not known nobody takes it for left behind.
            let _ = file.try_lock();
            let mut file = BufWriter::with_capacity(1 << 16, file);
            file.write_all(&header(token))?;
            file.write_all(&[0; 8])?;
            partition.save(|part| write_part(&mut file, part))?;
            // Where the vectors begin.
            let middle = file.stream_position()?;
            file.seek(SeekFrom::Start(HEADER as u64))?;
            file.write_all(&middle.to_le_bytes())?;
            file.seek(SeekFrom::Start(middle))?;
            partition.save_vectors(|part| write_part(&mut file, part))?;
            file.flush()?;
            std::fs::rename(&unfinished, &self.path)
        });
        if let Err(error) = written {
            let _ = std::fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(Written { token, revision })
    }

    /// Takes the file into use, within a write, unless rows were taken away since; then it is removed.
    pub(super) fn publish(
        &self,
        connection: &Connection,
        scope: &Scope,
        model: Option<&Model>,
        written: Written,
    ) -> Result<()> {
        let (name, dimensions) = model.map_or(("", 1), |m| (m.name.as_str(), m.dimensions));
        let rows = connection
            .prepare_cached(
                "INSERT INTO index_snapshots (org, user, model, dimensions, revision, token)
                 SELECT org, user, ?3, ?4, ?5, ?6 FROM memory_scopes WHERE org = ?1 AND user = ?2 AND removed <= ?5
                 ON CONFLICT (org, user) DO UPDATE SET model = excluded.model, dimensions = excluded.dimensions,
                   revision = excluded.revision, token = excluded.token",
            )
            .and_then(|mut s| {
                s.execute(params![scope.org(), scope.user(), name, dimensions as i64, written.revision, written.token])
            })
            .map_err(|e| storage("could not note a snapshot", e))?;
        if rows == 0 {
            self.remove();
        }
        Ok(())
    }

    /// Removes the file, its bytes overwritten, and what was left of any that was not finished. Where that fails it is left, and is of no use
    /// without its row.
    pub(super) fn remove(&self) {
        if let Ok(file) = OpenOptions::new().write(true).open(&self.path) {
            wipe(file, &self.path);
        }
        self.remove_unfinished();
    }

    /// Removes files of this scope that were begun by a process that ended before they were done.
    fn remove_unfinished(&self) {
        let Some(own) = self.path.file_stem().and_then(|stem| stem.to_str()) else { return };
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(own)) else { continue };
            if !rest.ends_with(UNFINISHED) {
                continue;
            }
            // Whoever writes it holds its lock.
            let path = entry.path();
            if let Ok(file) = OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|file| file.try_lock().map(|()| file).map_err(Into::into))
            {
                wipe(file, &path);
            }
        }
    }
}

/// Removes a file, its bytes overwritten.
fn wipe(mut file: File, path: &Path) {
    let zeros = [0u8; 1 << 16];
    let mut left = file.metadata().map_or(0, |m| m.len());
    while left > 0 {
        let some = zeros.get(..(left as usize).min(zeros.len())).unwrap_or(&zeros);
        if file.write_all(some).is_err() {
            break;
        }
        left -= some.len() as u64;
    }
    let _ = file.sync_data();
    let _ = std::fs::remove_file(path);
}

/// Takes the snapshot of a scope out of use, within a write; whether there was one.
pub(super) fn forget(connection: &Connection, scope: &Scope) -> Result<bool> {
    connection
        .prepare_cached("DELETE FROM index_snapshots WHERE org = ?1 AND user = ?2")
        .and_then(|mut s| s.execute(params![scope.org(), scope.user()]))
        .map(|rows| rows > 0)
        .map_err(|e| storage("could not take a snapshot out of use", e))
}

const HEADER: usize = 8 + 4 + 8 + 16;

fn write_part(file: &mut impl Write, part: &[u8]) -> io::Result<()> {
    file.write_all(&(part.len() as u64).to_le_bytes())?;
    file.write_all(&checksum(part).to_le_bytes())?;
    file.write_all(part)
}

/// Puts one part of the rest of `file` after the other into a buffer; nothing where one is damaged or the file ends. The file has `left` bytes.
fn parts(mut file: File, mut left: u64) -> impl FnMut(&mut Vec<u8>) -> Option<()> {
    move |buffer| {
        let mut frame = [0; 16];
        file.read_exact(&mut frame).ok()?;
        let [length, sum] = [frame.first_chunk::<8>()?, frame.last_chunk::<8>()?].map(|x| u64::from_le_bytes(*x));
        left = left.checked_sub(length)?;
        buffer.resize(usize::try_from(length).ok()?, 0);
        file.read_exact(buffer).ok()?;
        (checksum(buffer) == sum).then_some(())
    }
}

fn header(token: Token) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let fields = MAGIC
        .iter()
        .chain(&LAYOUT.to_le_bytes())
        .chain(&fingerprint().to_le_bytes())
        .chain(&token)
        .copied()
        .collect::<Vec<_>>();
    header.iter_mut().zip(fields).for_each(|(to, byte)| *to = byte);
    header
}

/// Tells chance damage; who can write the file can write the database too.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    // In pieces, so that each is hashed with what came before.
    for piece in bytes.chunks(1 << 12) {
        hasher.write(piece);
    }
    hasher.write_usize(bytes.len());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryPatch, MemoryStore as _, MemoryType, NewMemory, SqliteMemoryStore};
    use crate::query::QueryAnalysis;
    use crate::search::{Filter, SearchQuery, Strategy};
    use crate::storage::Database;
    use crate::{SystemClock, Timestamp};
    use std::sync::Arc;

    fn open(dir: &Path) -> SqliteMemoryStore {
        let store = SqliteMemoryStore::new(Database::open(dir).unwrap(), Arc::new(SystemClock::new()));
        store.with_model("test", 4).unwrap()
    }

    fn scope() -> Scope {
        Scope::new("acme", "ada").unwrap()
    }

    fn item(at: usize) -> NewMemory {
        let vector = vec![1.0, at as f32, (at % 7) as f32, 2.0];
        let text = format!("Entry {at} of the log, about boat {}", at % 90);
        NewMemory { vector: Some(vector), ..NewMemory::new(MemoryType::Semantic, text).with_id(format!("m{at}")) }
    }

    async fn found(store: &SqliteMemoryStore, text: &str) -> Vec<String> {
        let (analysis, filter) = (QueryAnalysis::default(), Filter::default());
        let query = SearchQuery {
            text,
            analysis: &analysis,
            vector: None,
            filter: &filter,
            now: Timestamp::UNIX_EPOCH,
            limit: 40,
            topics: false,
        };
        let found = store.recall(&scope(), Strategy::Keyword, &query).await.unwrap();
        found.into_iter().map(|candidate| candidate.id.to_string()).collect()
    }

    /// What the file would give a process that opens the database now.
    async fn usable(dir: &Path) -> Option<usize> {
        let database = Database::open(dir).unwrap();
        let snapshot = Snapshot::of(database.path().unwrap(), &scope());
        let model = Model { name: "test".into(), dimensions: 4 };
        let loaded = database.read(move |c| snapshot.load(c, &scope(), Some(&model), usize::MAX)).await.unwrap();
        loaded.map(|(_, partition)| partition.len())
    }

    fn file(dir: &Path) -> PathBuf {
        Snapshot::of(&dir.join("syntra.db"), &scope()).path
    }

    #[tokio::test]
    async fn a_snapshot_is_used_followed_and_never_trusted_over_the_rows() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.remember(&scope(), (0..FROM).map(item).collect()).await.unwrap();
        assert_eq!(usable(dir.path()).await, None, "nothing was asked yet");
        let boats = found(&store, "boat 17").await;
        assert_eq!(usable(dir.path()).await, Some(FROM));

        // Another process reads it, and what is written since by anybody.
        let other = open(dir.path());
        assert_eq!(found(&other, "boat 17").await, boats);
        store
            .remember(&scope(), vec![NewMemory::new(MemoryType::Semantic, "A lighthouse keeper").with_id("new")])
            .await
            .unwrap();
        store.supersede(&scope(), "m3", NewMemory::new(MemoryType::Semantic, "A zeppelin").with_id("z")).await.unwrap();
        assert_eq!(usable(dir.path()).await, Some(FROM), "little changed: it is kept");
        let third = open(dir.path());
        assert_eq!(found(&third, "lighthouse").await, ["new"]);
        assert_eq!(found(&third, "zeppelin").await, ["z"]);
        assert!(!found(&third, "entry 3").await.contains(&"m3".to_owned()));

        // Damage anywhere is noticed.
        let whole = std::fs::read(file(dir.path())).unwrap();
        for at in [3, 20, HEADER + 4, HEADER + 30, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            std::fs::write(file(dir.path()), damaged).unwrap();
            assert_eq!(usable(dir.path()).await, None, "byte {at}");
        }
        std::fs::write(file(dir.path()), &whole[..whole.len() - 9]).unwrap();
        let fourth = open(dir.path());
        assert_eq!(found(&fourth, "boat 17").await, boats, "the rows are read instead");
        assert_eq!(usable(dir.path()).await, Some(FROM + 1), "and it is made anew");
        // One of another time has another token.
        std::fs::write(file(dir.path()), &whole).unwrap();
        assert_eq!(usable(dir.path()).await, None);
    }

    #[tokio::test]
    async fn what_is_forgotten_leaves_the_snapshot_too() {
        for how in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            store.remember(&scope(), (0..FROM).map(item).collect()).await.unwrap();
            found(&store, "boat").await;
            assert!(usable(dir.path()).await.is_some() && file(dir.path()).exists());
            let other = open(dir.path());
            found(&other, "boat").await;
            match how {
                0 => drop(store.forget(&scope(), &["m5".into()]).await.unwrap()),
                1 => drop(store.erase(&scope()).await.unwrap()),
                _ => {
                    let patch = MemoryPatch { text: Some("Nothing of the kind".into()), ..MemoryPatch::default() };
                    store.update(&scope(), "m5", patch).await.unwrap();
                }
            }
            assert!(usable(dir.path()).await.is_none() && !file(dir.path()).exists());
            for store in [&store, &other, &open(dir.path())] {
                assert!(!found(store, "entry 5").await.contains(&"m5".to_owned()), "{how}");
            }
        }
    }

    #[tokio::test]
    async fn what_a_process_left_unfinished_goes_with_the_next_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.remember(&scope(), (0..FROM).map(item).collect()).await.unwrap();
        let folder = dir.path().join("indexes");
        std::fs::create_dir(&folder).unwrap();
        let begin = |snapshot: &Path, name: &str| {
            let path = snapshot.with_extension(format!("{name}.{UNFINISHED}"));
            std::fs::write(&path, "what Ada said").unwrap();
            path
        };
        let of_another = Snapshot::of(&dir.path().join("syntra.db"), &Scope::new("acme", "bob").unwrap()).path;
        let (left, written) = (begin(&file(dir.path()), "1"), begin(&file(dir.path()), "2"));
        let others = begin(&of_another, "3");
        let writer = File::open(&written).unwrap();
        writer.lock().unwrap();
        found(&store, "boat").await;
        assert_eq!([&left, &written, &others].map(|path| path.exists()), [false, true, true]);
        assert!(usable(dir.path()).await.is_some());
        let again = begin(&file(dir.path()), "4");
        store.erase(&scope()).await.unwrap();
        assert_eq!([&again, &written, &others].map(|path| path.exists()), [false, true, true]);
        drop(writer);
        store.erase(&scope()).await.unwrap();
        assert_eq!([&written, &others].map(|path| path.exists()), [false, true]);
    }

    #[tokio::test]
    async fn small_indexes_and_databases_in_memory_have_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.remember(&scope(), (0..50).map(item).collect()).await.unwrap();
        found(&store, "boat").await;
        assert!(!dir.path().join("indexes").exists());
        let memory = SqliteMemoryStore::new(Database::in_memory().unwrap(), Arc::new(SystemClock::new()));
        assert!(memory.snapshot(&scope()).is_none());
    }
}
