//! The one writer: a thread that runs waiting jobs together in one transaction, so that many callers share one flush to the disk.

use super::{failure::storage, lock};
use crate::error::{Error, ErrorKind, Result};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait; further callers wait to be let in.
const QUEUE: usize = 256;
/// Jobs in one transaction at the most.
const GROUP: usize = 64;

/// The writer's thread; ends, with every job done, when it is dropped.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

enum Work {
    /// To be run in a transaction with others.
    Together(Box<dyn Job>),
    /// To be run outside of any transaction.
    Alone(Box<dyn Job>),
}

/// A job whose result type is forgotten.
trait Job: Send {
    /// Whether somebody still waits for it.
    fn wanted(&self) -> bool;
    /// Does it and keeps the result; whether it may be committed.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells the caller: the result, or why it could not be made to last.
    fn finish(self: Box<Self>, committed: Result<()>);
}

struct Typed<T, F> {
    job: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T> + Send> Job for Typed<T, F> {
    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(job) = self.job.take() else { return false };
        // A panic must not end the writer for everybody.
        let result = catch_unwind(AssertUnwindSafe(|| job(connection)))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Storage, "a write panicked and was rolled back")));
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let result = match (committed, self.result) {
            // The job's own failure says more than that of the transaction.
            (_, Some(Err(error))) => Err(error),
            (Err(error), _) => Err(error),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(Error::new(ErrorKind::Cancelled, "the write did not begin")),
        };
        // Nobody may be waiting any more.
        let _ = self.reply.send(result);
    }
}

impl Writer {
    /// Starts the thread over `connection`.
    pub(super) fn start(connection: Arc<Mutex<Connection>>) -> Result<Self> {
        let (queue, mut jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("syntra-writer".into())
            .spawn(move || {
                let mut next = None;
                while let Some(work) = next.take().or_else(|| jobs.blocking_recv()) {
                    let mut group = Vec::new();
                    match work {
                        Work::Alone(mut job) => {
                            job.run(&lock(&connection));
                            job.finish(Ok(()));
                            continue;
                        }
                        Work::Together(job) => group.push(job),
                    }
                    while group.len() < GROUP {
                        match jobs.try_recv() {
                            Ok(Work::Together(job)) => group.push(job),
                            Ok(alone) => {
                                next = Some(alone);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    commit_group(&lock(&connection), group);
                }
            })
            .map_err(|e| Error::new(ErrorKind::Storage, format!("could not start the writer's thread: {e}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `job` in a transaction; returns when it is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(job, Work::Together).await
    }

    /// Runs `job` outside of any transaction.
    pub(super) async fn alone<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(job, Work::Alone).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        kind: fn(Box<dyn Job>) -> Work,
    ) -> Result<T> {
        let stopped = || Error::new(ErrorKind::Storage, "the database's writer has stopped");
        let (reply, result) = oneshot::channel();
        let work = kind(Box::new(Typed { job: Some(job), result: None, reply }));
        self.queue.as_ref().ok_or_else(stopped)?.send(work).await.map_err(|_| stopped())?;
        result.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A job may hold the last clone of the database; its thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// Runs the jobs of `group`, each in a savepoint of its own, and commits them together.
fn commit_group(connection: &Connection, group: Vec<Box<dyn Job>>) {
    let group: Vec<_> = group.into_iter().filter(|job| job.wanted()).collect();
    if group.is_empty() {
        return;
    }
    let mut group = group;
    let committed = run_group(connection, &mut group);
    if committed.is_err() && !connection.is_autocommit() {
        // What cannot be rolled back here is when the next BEGIN fails, and says so.
        let _ = connection.execute_batch("ROLLBACK");
    }
    for job in group {
        job.finish(committed.clone());
    }
}

fn run_group(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<()> {
    let statement = |sql: &str| connection.prepare_cached(sql).and_then(|mut s| s.execute([]));
    let failed = |e| storage("could not write to the database", e);
    // IMMEDIATE takes the write lock at once and waits for it; a transaction that began by reading could not.
    statement("BEGIN IMMEDIATE").map_err(failed)?;
    for job in group {
        statement("SAVEPOINT job").map_err(failed)?;
        if !job.run(connection) {
            statement("ROLLBACK TO job").map_err(failed)?;
        }
        statement("RELEASE job").map_err(failed)?;
    }
    statement("COMMIT").map(|_| ()).map_err(failed)
}
