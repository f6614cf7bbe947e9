//! Threads in the SQLite file.

use super::{NewThreadMessage, Thread, ThreadMessage, ThreadStore, ThreadSummary};
use crate::chat::{Message, Scope};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::values::{check_id, count, limit as sql_limit, micros, new_id, object, role_name, timestamp};
use crate::storage::{Database, damaged, next_change, storage};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::sync::Arc;

/// A [`ThreadStore`] over a [`Database`], which it may share with other stores and other processes.
///
/// ```
/// use std::sync::Arc;
/// use syntra_core::storage::Database;
/// use syntra_core::thread::{SqliteThreadStore, ThreadStore as _};
/// use syntra_core::{Message, Scope, SystemClock};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let store = SqliteThreadStore::new(Database::in_memory()?, Arc::new(SystemClock::new()));
/// let scope = Scope::new("acme", "ada")?;
/// let thread = store.create(&scope, None, Some("Moving")).await?;
/// store.append(&scope, &thread.id, vec![Message::user("We moved to Lisbon.").into()]).await?;
/// let newest = store.history(&scope, &thread.id, 10, None).await?;
/// assert_eq!(newest[0].message.text(), "We moved to Lisbon.");
/// # Ok::<(), syntra_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteThreadStore {
    database: Database,
    clock: Arc<dyn Clock>,
}

const THREAD: &str = "SELECT id, title, created_at, updated_at, messages FROM threads WHERE org = ?1 AND user = ?2";
const MESSAGE: &str =
    "SELECT id, place, message, created_at, metadata FROM messages WHERE org = ?1 AND user = ?2 AND thread = ?3";

impl SqliteThreadStore {
    /// A store over `database` that takes the time from `clock`.
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }
}

#[async_trait]
impl ThreadStore for SqliteThreadStore {
    async fn create(&self, scope: &Scope, id: Option<&str>, title: Option<&str>) -> Result<Thread> {
        if let Some(id) = id {
            check_id("thread", id)?;
        }
        let now = self.clock.now();
        let id = id.map_or_else(|| new_id(now), str::to_owned);
        let (scope, title, now) = (scope.clone(), title.map(str::to_owned), micros(now));
        self.database.write(move |connection| create(connection, &scope, &id, title.as_deref(), now)).await
    }

    async fn read(&self, scope: &Scope, id: &str) -> Result<Thread> {
        let (scope, id) = (scope.clone(), id.to_owned());
        self.database.read(move |connection| find(connection, &scope, &id)?.ok_or_else(not_found)).await
    }

    async fn list(&self, scope: &Scope, offset: u64, limit: u64) -> Result<Vec<Thread>> {
        let scope = scope.clone();
        self.database
            .read(move |connection| {
                let failed = |e| storage("could not list threads", e);
                let mut statement = connection
                    .prepare_cached(&format!("{THREAD} ORDER BY written DESC LIMIT ?3 OFFSET ?4"))
                    .map_err(failed)?;
                let mut rows = statement
                    .query(params![scope.org(), scope.user(), sql_limit(limit), sql_limit(offset)])
                    .map_err(failed)?;
                let mut threads = Vec::new();
                while let Some(row) = rows.next().map_err(failed)? {
                    threads.push(thread(row)?);
                }
                Ok(threads)
            })
            .await
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<bool> {
        let (scope, id) = (scope.clone(), id.to_owned());
        let there = self
            .database
            .write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM threads WHERE org = ?1 AND user = ?2 AND id = ?3")
                    .and_then(|mut s| s.execute(params![scope.org(), scope.user(), id]))
                    .map_err(|e| storage("could not delete a thread", e))
            })
            .await?
            > 0;
        if there {
            self.database.reclaim().await?;
        }
        Ok(there)
    }

    async fn append(&self, scope: &Scope, id: &str, messages: Vec<NewThreadMessage>) -> Result<Vec<ThreadMessage>> {
        check_ids(&messages)?;
        let (scope, id, now) = (scope.clone(), id.to_owned(), micros(self.clock.now()));
        self.database.write(move |connection| append(connection, &scope, &id, messages, now)).await
    }

    async fn append_or_create(
        &self,
        scope: &Scope,
        id: &str,
        messages: Vec<NewThreadMessage>,
    ) -> Result<Vec<ThreadMessage>> {
        check_id("thread", id)?;
        check_ids(&messages)?;
        let (scope, id, now) = (scope.clone(), id.to_owned(), micros(self.clock.now()));
        self.database
            .write(move |connection| {
                create(connection, &scope, &id, None, now)?;
                append(connection, &scope, &id, messages, now)
            })
            .await
    }

    async fn history(&self, scope: &Scope, id: &str, limit: u64, before: Option<u64>) -> Result<Vec<ThreadMessage>> {
        let (scope, id) = (scope.clone(), id.to_owned());
        self.database
            .read(move |connection| {
                let failed = |e| storage("could not read a thread's history", e);
                // One snapshot, or a thread deleted in between would look like an empty one.
                let snapshot = connection.transaction().map_err(failed)?;
                find(&snapshot, &scope, &id)?.ok_or_else(not_found)?;
                let mut statement = snapshot
                    .prepare_cached(&format!("{MESSAGE} AND place < ?4 ORDER BY place DESC LIMIT ?5"))
                    .map_err(failed)?;
                let before = before.map_or(i64::MAX, sql_limit);
                let mut rows = statement
                    .query(params![scope.org(), scope.user(), id, before, sql_limit(limit)])
                    .map_err(failed)?;
                let mut newest = Vec::new();
                while let Some(row) = rows.next().map_err(failed)? {
                    newest.push(message(row)?);
                }
                newest.reverse();
                Ok(newest)
            })
            .await
    }

    async fn summary(&self, scope: &Scope, id: &str) -> Result<ThreadSummary> {
        let (scope, id) = (scope.clone(), id.to_owned());
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT covered, summary FROM threads WHERE org = ?1 AND user = ?2 AND id = ?3")
                    .and_then(|mut s| {
                        s.query_row(params![scope.org(), scope.user(), id], |row| Ok((row.get(0)?, row.get(1)?)))
                            .optional()
                    })
                    .map_err(|e| storage("could not read a thread's summary", e))?
                    .map(|(covered, text)| Ok(ThreadSummary { covered: count(covered)?, text }))
                    .unwrap_or_else(|| Err(not_found()))
            })
            .await
    }

    async fn set_summary(&self, scope: &Scope, id: &str, from: u64, new: ThreadSummary) -> Result<bool> {
        let (scope, id) = (scope.clone(), id.to_owned());
        self.database
            .write(move |connection| {
                find(connection, &scope, &id)?.ok_or_else(not_found)?;
                // The condition is part of the write: of two writers one finds that the other was here.
                connection
                    .prepare_cached(
                        "UPDATE threads SET covered = ?4, summary = ?5
                          WHERE org = ?1 AND user = ?2 AND id = ?3 AND covered = ?6 AND ?4 > covered AND ?4 <= messages",
                    )
                    .and_then(|mut s| {
                        let (covered, from) = (sql_limit(new.covered), sql_limit(from));
                        s.execute(params![scope.org(), scope.user(), id, covered, new.text, from])
                    })
                    .map(|changed| changed > 0)
                    .map_err(|e| storage("could not keep a thread's summary", e))
            })
            .await
    }

    async fn erase(&self, scope: &Scope) -> Result<u64> {
        let scope = scope.clone();
        let messages = self
            .database
            .write(move |connection| {
                let failed = |e| storage("could not erase a scope's threads", e);
                let messages: i64 = connection
                    .prepare_cached("SELECT count(*) FROM messages WHERE org = ?1 AND user = ?2")
                    .and_then(|mut s| s.query_row(params![scope.org(), scope.user()], |row| row.get(0)))
                    .map_err(failed)?;
                connection
                    .prepare_cached("DELETE FROM threads WHERE org = ?1 AND user = ?2")
                    .and_then(|mut s| s.execute(params![scope.org(), scope.user()]))
                    .map_err(failed)?;
                count(messages)
            })
            .await?;
        self.database.reclaim().await?;
        Ok(messages)
    }
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "there is no thread of this id in the scope")
}

fn find(connection: &Connection, scope: &Scope, id: &str) -> Result<Option<Thread>> {
    let failed = |e| storage("could not read a thread", e);
    let mut statement = connection.prepare_cached(&format!("{THREAD} AND id = ?3")).map_err(failed)?;
    let mut rows = statement.query(params![scope.org(), scope.user(), id]).map_err(failed)?;
    rows.next().map_err(failed)?.map(thread).transpose()
}

fn check_ids(messages: &[NewThreadMessage]) -> Result<()> {
    messages.iter().filter_map(|new| new.id.as_deref()).try_for_each(|id| check_id("message", id))
}

/// The thread, made where it is not there.
fn create(connection: &Connection, scope: &Scope, id: &str, title: Option<&str>, now: i64) -> Result<Thread> {
    if let Some(thread) = find(connection, scope, id)? {
        return Ok(thread);
    }
    let change = next_change(connection)?;
    connection
        .prepare_cached(
            "INSERT INTO threads (org, user, id, title, created_at, updated_at, written)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
        )
        .and_then(|mut s| s.execute(params![scope.org(), scope.user(), id, title, now, change]))
        .map_err(|e| storage("could not create a thread", e))?;
    Ok(Thread::new(id, title.map(str::to_owned), timestamp(now)?))
}

fn append(
    connection: &Connection,
    scope: &Scope,
    id: &str,
    messages: Vec<NewThreadMessage>,
    now: i64,
) -> Result<Vec<ThreadMessage>> {
    let failed = |e| storage("could not append to a thread", e);
    // The writer's transaction holds the write lock already, so nobody takes a place between this and the insert.
    let at_now = timestamp(now)?;
    let mut place = find(connection, scope, id)?.ok_or_else(not_found)?.messages;
    let before = place;
    let mut same_id = connection.prepare_cached(&format!("{MESSAGE} AND id = ?4")).map_err(failed)?;
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO messages (org, user, thread, place, id, role, text, message, metadata, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .map_err(failed)?;
    let mut appended = Vec::with_capacity(messages.len());
    for new in messages {
        if let Some(own) = &new.id {
            let there = same_id
                .query_row(params![scope.org(), scope.user(), id, own], |row| Ok(message(row)))
                .optional()
                .map_err(failed)?
                .transpose()?;
            match there {
                Some(there) if there.message == new.message => {
                    appended.push(there);
                    continue;
                }
                Some(_) => {
                    return Err(Error::invalid(
                        "the thread has another message of this id: give each message an id of its own",
                    ));
                }
                None => {}
            }
        }
        let message_id = new.id.unwrap_or_else(|| new_id(at_now));
        let unwritable = |e| Error::invalid(format!("the message cannot be written as JSON: {e}"));
        let json = serde_json::to_string(&new.message).map_err(unwritable)?;
        let metadata = serde_json::to_string(&new.metadata).map_err(unwritable)?;
        insert
            .execute(params![
                scope.org(),
                scope.user(),
                id,
                sql_limit(place),
                message_id,
                role_name(new.message.role),
                new.message.text(),
                json,
                metadata,
                now
            ])
            .map_err(failed)?;
        appended.push(ThreadMessage {
            id: message_id,
            place,
            message: new.message,
            created_at: at_now,
            metadata: new.metadata,
        });
        place += 1;
    }
    if place > before {
        let change = next_change(connection)?;
        connection
            .prepare_cached(
                "UPDATE threads SET messages = ?4, updated_at = max(updated_at, ?5), written = ?6
                  WHERE org = ?1 AND user = ?2 AND id = ?3",
            )
            .and_then(|mut s| s.execute(params![scope.org(), scope.user(), id, sql_limit(place), now, change]))
            .map_err(failed)?;
    }
    Ok(appended)
}

fn thread(row: &Row<'_>) -> Result<Thread> {
    let failed = |e| storage("could not read a thread", e);
    Ok(Thread {
        id: row.get(0).map_err(failed)?,
        title: row.get(1).map_err(failed)?,
        created_at: at(row, 2)?,
        updated_at: at(row, 3)?,
        messages: count(row.get(4).map_err(failed)?)?,
    })
}

fn message(row: &Row<'_>) -> Result<ThreadMessage> {
    let failed = |e| storage("could not read a message", e);
    let text = |column| row.get_ref(column).map_err(failed).and_then(|v| v.as_str().map_err(|_| damaged("no text")));
    let message: Message =
        serde_json::from_str(text(2)?).map_err(|_| damaged("a message that this library cannot read"))?;
    Ok(ThreadMessage {
        id: row.get(0).map_err(failed)?,
        place: count(row.get(1).map_err(failed)?)?,
        message,
        created_at: at(row, 3)?,
        metadata: object(text(4)?)?,
    })
}

fn at(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    timestamp(row.get(column).map_err(|e| storage("could not read a time", e))?)
}
