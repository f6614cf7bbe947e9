//! The front door: [`Syntra`]. Every method hands on to the room that does the work; what a question goes through is in [`crate::turn`].

mod builder;

pub use builder::SyntraBuilder;
#[cfg(feature = "bridge")]
pub(crate) use builder::time_zone;

use crate::chat::{Message, Request, Response, ResponseBuilder, Scope};
use crate::context;
use crate::documents::{DirectoryIndexer, DocumentStats, IndexProgress, IndexReport};
use crate::embed::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::KeyReport;
use crate::memory::{
    Erased, Memory, MemoryPatch, MemoryStats, MemoryStore, NewMemory, Page, Recall, RecallRequest, Remembered,
};
use crate::router::{BreakerState, ExperimentReport, Plan, Target};
use crate::search::Filter;
use crate::thread::{NewThreadMessage, Thread, ThreadMessage};
use crate::turn::{Answer, Ask, Rooms, Trace, Turn, TurnStream};
use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One assistant over many models: it remembers, chooses the model, answers in a stream and can say why.
///
/// Cheap to clone; clones share everything. Nothing is needed to start: without a provider the answers are quoted from memory.
///
/// ```
/// use syntra_core::{Scope, Syntra};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> syntra_core::Result<()> {
/// let syntra = Syntra::builder().in_memory().build()?;
/// let ada = Scope::new("acme", "ada")?;
/// syntra.ask(&ada, "My favourite colour is dark green.").await?;
/// let answer = syntra.ask(&ada, "What is my favourite colour?").await?;
/// assert!(answer.text.contains("dark green"));
/// assert!(answer.turn.degraded, "no model is configured, so the answer is quoted from memory");
/// println!("{}", answer.trace.explain());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Syntra {
    rooms: Arc<Rooms>,
    embedder: Arc<dyn Embedder>,
    store: Arc<dyn MemoryStore>,
}

impl Syntra {
    /// A builder with the defaults: no provider, the in-package embedder, nothing on disk until a directory is named.
    pub fn builder() -> SyntraBuilder {
        SyntraBuilder::new()
    }

    /// The assistant whose memory is in `dir` (made if it is not there), without a provider.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] when the directory or the file in it cannot be used.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::builder().data_dir(dir).build()
    }

    /// The assistant that the environment describes: a provider for each key variable that is set (`OPENAI_API_KEY`,
    /// `ANTHROPIC_API_KEY`, `GEMINI_API_KEY`, `PERPLEXITY_API_KEY`, `MOONSHOT_API_KEY`, `OPENROUTER_API_KEY`, …, see
    /// [`crate::provider`]), its memory in `SYNTRA_DATA_DIR` or in `.syntra`.
    ///
    /// # Errors
    /// As [`Syntra::open`]; [`ErrorKind::Config`] when a variable has no usable value.
    pub fn from_env() -> Result<Self> {
        Self::builder().from_env()?.build()
    }

    /// Asks `question` for `scope` and returns the whole answer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty question; what the last model said when all failed and memory may not answer; the
    /// caller's own fault at once. The error's attempts tell what was tried.
    pub async fn ask(&self, scope: &Scope, question: impl Into<Ask>) -> Result<Answer> {
        let mut stream = Turn::new(self.rooms.clone(), scope.clone(), question.into(), false)?.into_stream();
        let mut builder = ResponseBuilder::new();
        while let Some(event) = stream.next().await {
            match event {
                crate::Event::Error(error) => return Err(error),
                crate::Event::Done(turn) => {
                    let Some(trace) = stream.trace() else { break };
                    return Ok(Answer::new(builder.build(), *turn, trace));
                }
                event => builder.push(&event),
            }
        }
        Err(Error::new(ErrorKind::Truncated, "the turn ended without a terminal event"))
    }

    /// Asks `question` for `scope` and returns the answer as it comes, ending in exactly one [`crate::Event::Done`] or
    /// [`crate::Event::Error`]. Dropping the stream cancels the turn and closes the connection upstream; nothing is saved then.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty question; everything else comes in the stream.
    pub fn stream(&self, scope: &Scope, question: impl Into<Ask>) -> Result<TurnStream> {
        Ok(Turn::new(self.rooms.clone(), scope.clone(), question.into(), true)?.into_stream())
    }

    /// Which models a turn would try now, in which order, and why. Calls none.
    ///
    /// # Errors
    /// As [`crate::router::Router::plan`], and [`ErrorKind::InvalidInput`] for an empty question.
    pub async fn plan(&self, scope: &Scope, question: impl Into<Ask>) -> Result<Plan> {
        self.rooms.dry_run(scope, question.into()).await
    }

    /// Why the turn `turn_id` of `scope` did what it did; `None` when there is no such turn or it is too long ago (the last 1,000
    /// turns are kept, in memory).
    pub fn trace(&self, scope: &Scope, turn_id: &str) -> Option<Arc<Trace>> {
        self.rooms.traces.get(scope, turn_id)
    }

    /// Tells the router how good the answer of the turn `turn_id` was, from 0 (useless) to 1 (perfect), once. What it learns from it is
    /// the organisation's, moves its choice for questions like this one, and lasts where there is a data directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a turn of which there is no trace any more (see [`Syntra::trace`]); [`ErrorKind::InvalidInput`] for a
    /// score that is not between 0 and 1; [`ErrorKind::Unsupported`] when no model answered the turn; [`ErrorKind::Conflict`] when it
    /// has its score already; [`ErrorKind::Storage`] when what was learned could not be written, though it is known until the end.
    pub async fn feedback(&self, scope: &Scope, turn_id: &str, score: f32) -> Result<()> {
        self.rooms.feedback(scope, turn_id, score)?;
        self.rooms.learned.save(scope.org()).await
    }

    /// What the router learned from the outcomes of the scope's organisation, as JSON without any text of a question, for another
    /// assistant's [`Syntra::import_learned`]; `None` when there is nothing.
    pub fn export_learned(&self, scope: &Scope) -> Option<Value> {
        self.rooms.router.export_learned(scope.org())
    }

    /// Takes over what [`Syntra::export_learned`] gave, in place of what was learned for the scope's organisation. It lasts where there is a
    /// data directory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming what is wrong with it, and then nothing changes; [`ErrorKind::Unsupported`] for a router of the
    /// host's own that does not learn; [`ErrorKind::Storage`] when it could not be written.
    pub async fn import_learned(&self, scope: &Scope, learned: &Value) -> Result<()> {
        self.rooms.router.import_learned(scope.org(), learned)?;
        self.rooms.learned.anybodys(scope.org());
        self.rooms.learned.save(scope.org()).await
    }

    /// Forgets what the router learned for the scope's organisation, in the data directory too; whether there was something.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] when the file could not be removed.
    pub async fn reset_learned(&self, scope: &Scope) -> Result<bool> {
        self.rooms.learned.forget(scope.org()).await
    }

    /// What came of each experiment for the scope's organisation: by arm the turns, the scores of [`Syntra::feedback`], what went wrong, cost and
    /// time to the first token, with intervals that hold however often this is called.
    pub fn experiments(&self, scope: &Scope) -> Vec<ExperimentReport> {
        self.rooms.experiments.report(scope.org())
    }

    /// Remembers `items` in order, all or none.
    ///
    /// # Errors
    /// As [`crate::memory::Memories::remember`].
    pub async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        self.rooms.memories.remember(scope, items).await
    }

    /// What memory has on `request`, ranked, with the parts of each score. Words like "yesterday" are meant in the request's time zone, or else in
    /// that of [`SyntraBuilder::time_zone`].
    ///
    /// # Errors
    /// As [`crate::memory::Memories::recall`].
    pub async fn recall(&self, scope: &Scope, request: impl Into<RecallRequest>) -> Result<Recall> {
        let mut request = request.into();
        request.time_zone.get_or_insert_with(|| self.rooms.time_zone.clone());
        self.rooms.memories.recall(scope, request).await
    }

    /// Changes a memory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn update_memory(&self, scope: &Scope, id: &str, patch: MemoryPatch) -> Result<Memory> {
        self.rooms.memories.update(scope, id, patch).await
    }

    /// Writes `new` and ends the validity of `old`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] when `old` is superseded already.
    pub async fn supersede(&self, scope: &Scope, old: &str, new: NewMemory) -> Result<Remembered> {
        self.rooms.memories.supersede(scope, old, new).await
    }

    /// Removes memories for good; how many there were.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64> {
        self.rooms.memories.forget(scope, ids).await
    }

    /// The memories with these ids, in the order asked for; those that are not there are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn memories(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>> {
        self.store.get(scope, ids).await
    }

    /// Memories in the order they were written, superseded ones included.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn list_memories(&self, scope: &Scope, filter: &Filter, page: Page) -> Result<Vec<Memory>> {
        self.store.list(scope, filter, page).await
    }

    /// Memories that held at the time `at`, whether or not they still do, in the order they were written. A question that names a time
    /// ("Where did I live in May?") finds them by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn memories_as_of(
        &self,
        scope: &Scope,
        at: Timestamp,
        filter: &Filter,
        page: Page,
    ) -> Result<Vec<Memory>> {
        self.store.as_of(scope, at, filter, page).await
    }

    /// How many memories there are.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn memory_stats(&self, scope: &Scope) -> Result<MemoryStats> {
        self.store.stats(scope).await
    }

    /// Gives a vector to the valid memories that have none of the present embedder's, after another [`embedder`](crate::SyntraBuilder::embedder) was
    /// set: until then what was remembered before is found by its words and all else, not by its meaning. How many got one
    /// ([`MemoryStats::with_vector`](crate::memory::MemoryStats::with_vector) says how many have). It may be dropped, and called again to go on.
    ///
    /// # Errors
    /// Those of the embedder; [`ErrorKind::Storage`]; [`ErrorKind::Unsupported`] by a store of the host's that cannot tell which these are.
    pub async fn embed_missing(&self, scope: &Scope) -> Result<u64> {
        self.rooms.memories.embed_missing(scope).await
    }

    /// Removes everything of the scope: memories, indexes, threads, traces, kept answers; and what the router learned for its organisation
    /// where it learned from scores of this user, or nobody knows from whose, because sums cannot be taken apart. Where all scores were others'
    /// it stays, as does how many answers of each model were no good. It is done to its end even if nobody waits for it, and where a part of it
    /// fails the others are done: call it again.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn erase(&self, scope: &Scope) -> Result<Erased> {
        let (syntra, scope) = (self.clone(), scope.clone());
        // A task of its own, which goes on when the caller lets go of it.
        let all = tokio::spawn(async move {
            let memories = syntra.store.erase(&scope).await;
            let messages = syntra.rooms.threads.erase(&scope).await;
            let learned = syntra.rooms.learned.forget_user(&scope).await;
            if let Some(cache) = &syntra.rooms.cache {
                cache.erase(&scope);
            }
            syntra.rooms.traces.erase(&scope);
            let erased = Erased { messages: messages?, ..memories? };
            learned.map(|_| erased)
        });
        all.await
            .map_err(|e| Error::new(ErrorKind::Unknown, "the erasure was broken off: call it again").with_source(e))?
    }

    /// Reads the documents in the folder `path` into the memory of `scope`: all of them, or those of `only` (files and folders relative to
    /// it). Only what is new or changed is written, and what is gone is forgotten. `progress` hears of each file before it is read.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when `path` is no folder that can be read or one of `only` is not there, [`ErrorKind::InvalidInput`] when it does
    /// not lie in the folder; a file that cannot be read is in the report.
    pub async fn index_directory(
        &self,
        scope: &Scope,
        path: impl AsRef<Path>,
        only: &[String],
        progress: impl FnMut(IndexProgress) + Send,
    ) -> Result<IndexReport> {
        let indexer = DirectoryIndexer::new(self.rooms.memories.clone()).with_only(only);
        indexer.index(scope, path, progress).await
    }

    /// What is indexed in the scope.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn document_stats(&self, scope: &Scope) -> Result<DocumentStats> {
        DirectoryIndexer::new(self.rooms.memories.clone()).stats(scope).await
    }

    /// Forgets what was indexed from the folder `path`; how many chunks there were.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn remove_directory(&self, scope: &Scope, path: impl AsRef<Path>) -> Result<u64> {
        DirectoryIndexer::new(self.rooms.memories.clone()).remove(scope, path).await
    }

    /// Creates a thread; with an `id` of the caller's, returns the one that is there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an unusable id; [`ErrorKind::Storage`].
    pub async fn create_thread(&self, scope: &Scope, id: Option<&str>, title: Option<&str>) -> Result<Thread> {
        self.rooms.threads.create(scope, id, title).await
    }

    /// A thread.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn thread(&self, scope: &Scope, id: &str) -> Result<Thread> {
        self.rooms.threads.read(scope, id).await
    }

    /// Threads, the one written to last first.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn threads(&self, scope: &Scope, page: Page) -> Result<Vec<Thread>> {
        self.rooms.threads.list(scope, page.offset, page.limit).await
    }

    /// The newest `limit` messages of a thread, oldest of them first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn history(
        &self,
        scope: &Scope,
        thread: &str,
        limit: u64,
        before: Option<u64>,
    ) -> Result<Vec<ThreadMessage>> {
        self.rooms.threads.history(scope, thread, limit, before).await
    }

    /// Appends messages to a thread together.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn append(&self, scope: &Scope, thread: &str, messages: Vec<Message>) -> Result<Vec<ThreadMessage>> {
        let messages = messages.into_iter().map(NewThreadMessage::from).collect();
        self.rooms.threads.append(scope, thread, messages).await
    }

    /// Deletes a thread and its messages; whether it was there. Memories of it stay.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn delete_thread(&self, scope: &Scope, id: &str) -> Result<bool> {
        self.rooms.threads.delete(scope, id).await
    }

    /// One request to one model, without memory, routing or fallback, whatever is known of the model's health; the pace holds for it too.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such provider; as [`crate::exec::Admissions::admit_regardless`]; else the provider's.
    pub async fn complete(&self, provider: &str, request: &Request) -> Result<Response> {
        let names = self.rooms.admissions.providers();
        if !names.contains(&provider) {
            let problem = format!("no provider named {provider:?}; configured: {names:?}");
            return Err(Error::new(ErrorKind::Config, problem));
        }
        let target = Target::new(provider, &request.model);
        let prompt: usize = request.messages.iter().map(|m| self.count_tokens(&request.model, &m.text()).0).sum();
        let tokens = prompt as u64 + u64::from(request.max_tokens.unwrap_or(1_024));
        let deadline = self.rooms.clock.monotonic().saturating_add(self.rooms.policy.max_wait);
        self.rooms.admissions.admit_regardless(&target, tokens, Some(deadline)).await?.complete(request).await
    }

    /// The names of the configured providers, sorted.
    pub fn providers(&self) -> Vec<String> {
        self.rooms.admissions.providers().into_iter().map(str::to_owned).collect()
    }

    /// Every model that may be called.
    pub fn models(&self) -> &[Target] {
        &self.rooms.targets
    }

    /// Tokens of `text` as `model` counts them, and whether the count is exact.
    pub fn count_tokens(&self, model: &str, text: &str) -> (usize, bool) {
        let counter = context::counter_for(model);
        (counter.count(text), counter.is_exact())
    }

    /// The vectors of `texts`, in order.
    ///
    /// # Errors
    /// As [`Embedder::embed`].
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.embedder.embed(texts).await
    }

    /// Whether the store answers, how each model has done lately, and where the breaker and the pace of each key stand.
    pub async fn health(&self) -> Health {
        let store = self.store.stats(&Scope::local()).await.err();
        let fleet = self.rooms.fleet();
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let keys = |target: &Target| -> Vec<ModelKey> {
            let reports = self.rooms.admissions.report(target).into_iter();
            let key = |KeyReport { health, pace, .. }| ModelKey {
                key_id: health.key_id,
                breaker: health.breaker,
                closed_for_ms: millis(health.closed_for),
                first_token_ms: health.first_token.map(millis),
                tokens_per_second: health.tokens_per_second,
                failure_rate: health.failure_rate,
                in_flight: health.in_flight,
                waiting: pace.waiting,
                requests_per_second: pace.requests_per_second,
                wait_ms: pace.wait_ms,
            };
            reports.map(key).collect()
        };
        Health {
            ready: store.is_none(),
            store_error: store.map(|e| e.to_string()),
            embedder: self.embedder.model().to_owned(),
            models: fleet
                .targets
                .into_iter()
                .map(|(target, health)| ModelHealth {
                    model: target.to_string(),
                    available: health.available,
                    first_token_ms: health.first_token.map(millis),
                    tokens_per_second: health.tokens_per_second,
                    failure_rate: health.failure_rate,
                    in_flight: health.in_flight,
                    keys: keys(&target),
                })
                .collect(),
        }
    }
}

/// A report on store, embedder and models.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether questions can be taken.
    pub ready: bool,
    /// What the store said, if it failed.
    pub store_error: Option<String>,
    /// The embedding model.
    pub embedder: String,
    /// Each model that may be called.
    pub models: Vec<ModelHealth>,
}

/// How a model has done lately.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelHealth {
    /// `provider/model`.
    pub model: String,
    /// False while it is known not to answer.
    pub available: bool,
    /// Decayed time to first token in milliseconds; `None` before the first success.
    pub first_token_ms: Option<u64>,
    /// Decayed tokens per second of an answer after its first; `None` before enough was written to say.
    pub tokens_per_second: Option<f32>,
    /// Decayed share of failed calls, 0 to 1.
    pub failure_rate: f32,
    /// Calls on their way, over all keys.
    pub in_flight: u32,
    /// Each key of its provider: one, where the provider has none or one of its own.
    pub keys: Vec<ModelKey>,
}

/// Where one key of a model stands: its breaker and its pace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelKey {
    /// The key's fingerprint, which says nothing about the key; empty where there is none.
    pub key_id: String,
    /// Where its breaker stands.
    pub breaker: BreakerState,
    /// Milliseconds until the breaker lets a call through; 0 where it does now.
    pub closed_for_ms: u64,
    /// Decayed time to first token in milliseconds; `None` before the first success.
    pub first_token_ms: Option<u64>,
    /// Decayed tokens per second of an answer after its first; `None` before enough was written to say.
    pub tokens_per_second: Option<f32>,
    /// Decayed share of failed calls, 0 to 1.
    pub failure_rate: f32,
    /// Calls on their way.
    pub in_flight: u32,
    /// Calls that wait for the pace.
    pub waiting: usize,
    /// Calls a second that the pace lets through now; `None` for no limit.
    pub requests_per_second: Option<f64>,
    /// Milliseconds that the next call would have to wait for the pace.
    pub wait_ms: u64,
}
