//! The one SQLite file that memories, threads and whatever else must last live in.
//!
//! A [`Database`] is one writer (a thread that gathers waiting writes into one durable transaction) and a few readers; neither
//! holds up the async runtime: what reads more than a few rows by their key does so on a thread of its own. Several processes may
//! open the same file. The schema is in `schema/*.sql`, explained in `docs/storage.md`. May use [`crate::chat`] and [`crate::error`]; the rooms that keep something use this one.

mod failure;
mod schema;
#[cfg(test)]
mod tests;
pub(crate) mod values;
mod writer;

pub(crate) use failure::{damaged, storage};

use crate::error::{Error, ErrorKind, Result};
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use writer::Writer;

/// The file's name in its directory.
pub const FILE_NAME: &str = "syntra.db";

/// How long a statement waits for another process before it fails as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read at the same time.
const READERS: usize = 4;

/// One SQLite file, open; cheap to clone. Closed when the last clone and every store over it are dropped.
///
/// ```
/// use syntra_core::storage::Database;
/// let dir = tempfile::tempdir()?;
/// let database = Database::open(dir.path())?;
/// assert!(database.path().is_some_and(|path| path.ends_with("syntra.db")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    /// `None` for a database in memory, whose only connection is the writer's.
    readers: Option<Readers>,
    /// The connection for a look at a counter or two; in memory, the only one.
    peek: Arc<Mutex<Connection>>,
    writer: Writer,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens, or creates, the file `syntra.db` in the directory `dir`, which is created too (readable by its owner alone). A file of
    /// an older version is migrated. It takes a few milliseconds whatever the file holds.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`], with [`Error::code`] `cannot_open`, `read_only`, `not_a_database`, `corrupt`, `newer_schema`,
    /// `foreign_database` or `busy`.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let path = dir.join(FILE_NAME);
        create(dir, &path).map_err(|e| {
            Error::new(ErrorKind::Storage, format!("could not create {}: {e}", path.display())).with_code("cannot_open")
        })?;
        let named = |e: Error| {
            let code = e.code().unwrap_or("sqlite").to_owned();
            let retry = e.retry();
            Error::new(ErrorKind::Storage, format!("{}: {}", path.display(), e.message()))
                .with_code(code)
                .with_retry(retry)
        };
        let mut writer = connect(&path).map_err(named)?;
        prepare_file(&mut writer).map_err(named)?;
        let peek = Arc::new(Mutex::new(reader(&path).map_err(named)?));
        let readers = Readers { idle: Mutex::new(Vec::new()), permits: Arc::new(Semaphore::new(READERS)) };
        let writer = Writer::start(Arc::new(Mutex::new(writer)))?;
        Ok(Self(Arc::new(Inner { path: Some(path), readers: Some(readers), peek, writer })))
    }

    /// A database that lives in memory and ends with the last clone of it.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] when SQLite has no memory for it.
    pub fn in_memory() -> Result<Self> {
        let mut connection =
            Connection::open_in_memory().map_err(|e| storage("could not open a database in memory", e))?;
        configure(&connection)?;
        schema::migrate(&mut connection)?;
        let connection = Arc::new(Mutex::new(connection));
        let writer = Writer::start(Arc::clone(&connection))?;
        Ok(Self(Arc::new(Inner { path: None, readers: None, peek: connection, writer })))
    }

    /// The file; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The version of the schema that this library writes.
    pub fn schema_version() -> i64 {
        schema::VERSION
    }

    /// Reads the whole file and checks every page, index and reference.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] with code `corrupt` when something is wrong with it.
    pub async fn check(&self) -> Result<()> {
        self.read(|connection| {
            let failed = |e| storage("could not check the database", e);
            let verdict: String =
                connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
            let mut orphans = connection.prepare("PRAGMA foreign_key_check").map_err(failed)?;
            if verdict != "ok" {
                Err(Error::new(ErrorKind::Storage, format!("the database is damaged: {verdict}")).with_code("corrupt"))
            } else if orphans.exists([]).map_err(failed)? {
                Err(Error::new(ErrorKind::Storage, "the database has rows without their parents").with_code("corrupt"))
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Runs `job` in a transaction of the writer, together with others that wait; when it returns, the rows are on the disk. A
    /// job that fails leaves nothing behind. A caller that is gone before its job began has not written.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.writer.write(job).await
    }

    /// Gives the space of what was removed back: deleted bytes are overwritten already (`secure_delete`), this moves the log into
    /// the file, empties it and shrinks the file. When another process is at it meanwhile, the rest is done at a later call or at
    /// closing: what was removed is removed, so that is no error.
    pub(crate) async fn reclaim(&self) -> Result<()> {
        let done = self
            .0
            .writer
            .alone(|connection| {
                let failed = |e| storage("could not reclaim the space of what was removed", e);
                // Others must not hold up our writing for long.
                connection.busy_timeout(Duration::from_millis(250)).map_err(failed)?;
                let done = vacuum(connection).and_then(|()| {
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)
                });
                connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
                done
            })
            .await;
        match done {
            Err(error) if error.code() == Some("busy") => Ok(()),
            other => other,
        }
    }

    /// Runs `job` on a connection that reads, off the runtime's threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let permit = match &inner.readers {
            // The semaphore is never closed; were it, reading goes on unbounded rather than fail.
            Some(readers) => Arc::clone(&readers.permits).acquire_owned().await.ok(),
            None => None,
        };
        blocking(move || {
            let _permit = permit;
            let (Some(readers), Some(path)) = (&inner.readers, &inner.path) else {
                return job(&mut lock(&inner.peek));
            };
            let idle = lock(&readers.idle).pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => reader(path)?,
            };
            let result = job(&mut connection);
            // A connection that failed is not worth keeping.
            if result.is_ok() {
                lock(&readers.idle).push(connection);
            }
            result
        })
        .await
    }

    /// Runs `job`, which reads a few rows by their key, right here on a reading connection that is idle: it costs microseconds where
    /// the way to another thread and back costs a hundred. `None` when none is idle; then [`Database::read`] serves.
    pub(crate) fn read_here<T>(&self, job: impl FnOnce(&mut Connection) -> Result<T>) -> Option<Result<T>> {
        let Some(readers) = &self.0.readers else { return self.0.peek.try_lock().ok().map(|mut only| job(&mut only)) };
        let _permit = readers.permits.try_acquire().ok()?;
        let mut connection = lock(&readers.idle).pop()?;
        let result = job(&mut connection);
        // A connection that failed is not worth keeping.
        if result.is_ok() {
            lock(&readers.idle).push(connection);
        }
        Some(result)
    }

    /// Runs `job`, which looks up a row or two, right here: microseconds, and never a wait for another's transaction. `None` when that
    /// would be needed; then [`Database::read`] serves.
    pub(crate) fn peek<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let guard = if self.0.readers.is_some() { Some(lock(&self.0.peek)) } else { self.0.peek.try_lock().ok() };
        job(&*guard?).ok()
    }
}

/// Gives free pages back to the file system.
fn vacuum(connection: &Connection) -> Result<()> {
    let failed = |e| storage("could not give free pages back", e);
    let mut statement = connection.prepare("PRAGMA incremental_vacuum").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    // It works a page a step, so its rows must be drained.
    while rows.next().map_err(failed)?.is_some() {}
    Ok(())
}

/// Runs `job` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
        Error::new(ErrorKind::Config, "the store must be called from within a tokio runtime, and there is none")
    })?;
    runtime.spawn_blocking(job).await.unwrap_or_else(|e| {
        let why = if e.is_panic() { "panicked" } else { "was cut off by the runtime's end" };
        Err(Error::new(ErrorKind::Storage, format!("the store's task {why}")))
    })
}

/// A lock that a panic elsewhere does not take from everybody: connections roll back by themselves.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates the directory and the file, for their owner's eyes alone, where they are not there yet.
fn create(dir: &Path, path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.recursive(true).create(dir)?;
    if !path.exists() {
        options.append(true).create(true).open(path)?;
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| storage("could not open the database", e))?;
    configure(&connection)?;
    Ok(connection)
}

/// A connection that cannot write, even by mistake.
fn reader(path: &Path) -> Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true).map_err(|e| storage("could not open the database", e))?;
    Ok(connection)
}

/// What holds for a connection, not for the file.
fn configure(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(128);
    connection
        .busy_timeout(BUSY_TIMEOUT)
        // FULL: a commit that returned survives a power cut too, not only the process's end. Group commit pays for it.
        .and_then(|()| {
            connection.execute_batch(
                "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;
                 PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864;",
            )
        })
        .map_err(|e| storage("could not open the database", e))
}

/// What holds for the file: its log and its schema.
fn prepare_file(connection: &mut Connection) -> Result<()> {
    // Only takes effect on a file without tables; later the pages of removed rows can be given back.
    connection
        .execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")
        .map_err(|e| storage("could not prepare the database", e))?;
    // SQLite does not wait for others when it switches to the log, so we do.
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode.map_err(|e| storage("could not switch the database to its write-ahead log", e)) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => break,
            Ok(mode) => {
                return Err(Error::new(
                    ErrorKind::Storage,
                    format!("the file system has no write-ahead log (journal mode {mode}): use a local directory"),
                )
                .with_code("no_wal"));
            }
            Err(e) if e.code() == Some("busy") && Instant::now() < give_up => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(e) => return Err(e),
        }
    }
    schema::migrate(connection)
}

/// Raises the file's change counter, within a write; the number of the change.
pub(crate) fn next_change(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("UPDATE change_counter SET value = value + 1 WHERE only = 1 RETURNING value")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(|e| storage("could not count a change", e))
}
