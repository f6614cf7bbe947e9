//! The front door: [`Syntra`] and its builder. Wiring only; what a question goes through is in [`crate::turn`].

use crate::chat::{Message, Request, Response, ResponseBuilder, Scope};
use crate::clock::{Clock, SystemClock};
use crate::context::{self, Budget, ContextBuilder, DefaultContextBuilder};
use crate::documents::{DirectoryIndexer, DocumentStats, IndexProgress, IndexReport};
use crate::embed::{Embedder, StaticEmbedder};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Coalescer, RetryPolicy};
use crate::memory::{
    Erased, Memories, Memory, MemoryPatch, MemoryStats, MemoryStore, NewMemory, Page, Recall, RecallRequest,
    Remembered, SqliteMemoryStore,
};
use crate::provider::{self, Provider};
use crate::router::{Catalogue, DefaultRouter, FleetHealth, Plan, Router, RouterPreferences, Target};
use crate::search::{DefaultRanker, Filter, HybridRanker};
use crate::storage::Database;
use crate::thread::{NewThreadMessage, SqliteThreadStore, Thread, ThreadMessage, ThreadStore};
use crate::turn::{Answer, Ask, Rooms, Trace, Turn, TurnStream};
use crate::voice::Persona;
use futures::StreamExt as _;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
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
                    let trace = self.trace(scope, &turn.turn_id).ok_or_else(|| {
                        Error::new(ErrorKind::NotFound, "the turn's trace was evicted before it was read")
                    })?;
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
    /// As [`Router::plan`], and [`ErrorKind::InvalidInput`] for an empty question.
    pub async fn plan(&self, scope: &Scope, question: impl Into<Ask>) -> Result<Plan> {
        self.rooms.dry_run(scope, question.into()).await
    }

    /// Why the turn `turn_id` of `scope` did what it did; `None` when there is no such turn or it is too long ago (the last 1,000
    /// turns are kept, in memory).
    pub fn trace(&self, scope: &Scope, turn_id: &str) -> Option<Arc<Trace>> {
        self.rooms.traces.get(&(scope.clone(), turn_id.to_owned()))
    }

    /// Remembers `items` in order, all or none.
    ///
    /// # Errors
    /// As [`Memories::remember`].
    pub async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        self.rooms.memories.remember(scope, items).await
    }

    /// What memory has on `request`, ranked, with the parts of each score.
    ///
    /// # Errors
    /// As [`Memories::recall`].
    pub async fn recall(&self, scope: &Scope, request: impl Into<RecallRequest>) -> Result<Recall> {
        self.rooms.memories.recall(scope, request.into()).await
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

    /// How many memories there are.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn memory_stats(&self, scope: &Scope) -> Result<MemoryStats> {
        self.store.stats(scope).await
    }

    /// Removes everything of the scope: memories, indexes, threads, traces.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub async fn erase(&self, scope: &Scope) -> Result<Erased> {
        let mut erased = self.store.erase(scope).await?;
        erased.messages = self.rooms.threads.erase(scope).await?;
        let owner = scope.clone();
        // The predicate runs as entries are met; a lookup never returns one that it condemns.
        let _ = self.rooms.traces.invalidate_entries_if(move |(scope, _), _| *scope == owner);
        Ok(erased)
    }

    /// Reads the documents in the folder `path` into the memory of `scope`: all of them, or those of `only` (files and folders relative to
    /// it). Only what is new or changed is written, and what is gone is forgotten. `progress` hears of each file before it is read.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when `path` is no folder; a file that cannot be read is in the report.
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

    /// One request to one model, without memory, routing or fallback.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such provider; else the provider's.
    pub async fn complete(&self, provider: &str, request: &Request) -> Result<Response> {
        match self.rooms.providers.get(provider) {
            Some(provider) => provider.complete(request).await,
            None => Err(Error::new(
                ErrorKind::Config,
                format!("no provider named {provider:?}; configured: {:?}", self.providers()),
            )),
        }
    }

    /// The names of the configured providers, sorted.
    pub fn providers(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rooms.providers.keys().cloned().collect();
        names.sort_unstable();
        names
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

    /// Whether the store answers and how each model has done lately.
    pub async fn health(&self) -> Health {
        let store = self.store.stats(&Scope::local()).await.err();
        let fleet = self.rooms.fleet();
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
                    first_token_ms: health.first_token.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
                    failure_rate: health.failure_rate,
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
    /// Decayed share of failed calls, 0 to 1.
    pub failure_rate: f32,
}

/// How long a local model server may take to tell its models.
const LOCAL_SERVER_WAIT: Duration = Duration::from_millis(300);

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Puts a [`Syntra`] together. Everything has a default.
pub struct SyntraBuilder {
    data_dir: Option<PathBuf>,
    providers: Vec<Arc<dyn Provider>>,
    models: HashMap<String, Vec<String>>,
    embedder: Option<Arc<dyn Embedder>>,
    store: Option<Arc<dyn MemoryStore>>,
    threads: Option<Arc<dyn ThreadStore>>,
    ranker: Arc<dyn HybridRanker>,
    router: Option<Arc<dyn Router>>,
    preferences: RouterPreferences,
    catalogue: Option<Catalogue>,
    context: Arc<dyn ContextBuilder>,
    persona: Persona,
    budget: Budget,
    policy: RetryPolicy,
    time_zone: jiff::tz::TimeZone,
    clock: Arc<dyn Clock>,
    history_messages: u64,
    extractive_fallback: bool,
}

impl fmt::Debug for SyntraBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let providers: Vec<&str> = self.providers.iter().map(|p| p.name()).collect();
        f.debug_struct("SyntraBuilder")
            .field("data_dir", &self.data_dir)
            .field("providers", &providers)
            .finish_non_exhaustive()
    }
}

impl SyntraBuilder {
    fn new() -> Self {
        Self {
            data_dir: None,
            providers: Vec::new(),
            models: HashMap::new(),
            embedder: None,
            store: None,
            threads: None,
            ranker: Arc::new(DefaultRanker::default()),
            router: None,
            preferences: RouterPreferences::default(),
            catalogue: None,
            context: Arc::new(DefaultContextBuilder::default()),
            persona: Persona::default(),
            budget: Budget::default(),
            policy: RetryPolicy::default(),
            time_zone: jiff::tz::TimeZone::UTC,
            clock: Arc::new(SystemClock::new()),
            history_messages: 20,
            extractive_fallback: true,
        }
    }

    /// Keeps everything in one SQLite file in `dir`, which is made if it is not there.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Keeps everything in memory; it is gone with the last clone. The default.
    pub fn in_memory(mut self) -> Self {
        self.data_dir = None;
        self
    }

    /// Adds a provider; one of the same name is replaced. Its models are those of the catalogue, unless
    /// [`SyntraBuilder::models`] names others.
    pub fn provider(mut self, provider: impl Provider) -> Self {
        self.add_provider(Arc::new(provider));
        self
    }

    /// Adds a provider that is shared.
    pub fn shared_provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.add_provider(provider);
        self
    }

    fn add_provider(&mut self, provider: Arc<dyn Provider>) {
        self.providers.retain(|p| p.name() != provider.name());
        self.providers.push(provider);
    }

    /// Names the models of `provider` that may be called, in order of preference.
    pub fn models<S: Into<String>>(mut self, provider: impl Into<String>, models: impl IntoIterator<Item = S>) -> Self {
        self.models.insert(provider.into(), models.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a provider for each key variable of the environment that is set, takes the models that may be called from `SYNTRA_MODELS`
    /// (`provider/model`, separated by commas; the catalogue's where it is not set) and the directory from `SYNTRA_DATA_DIR`
    /// (`.syntra` where it is not set and none was named).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the variable whose value cannot be used.
    pub fn from_env(mut self) -> Result<Self> {
        for provider in provider::from_env(env)? {
            self.add_provider(Arc::new(provider));
        }
        for name in
            env("SYNTRA_MODELS").iter().flat_map(|list| list.split(',')).map(str::trim).filter(|n| !n.is_empty())
        {
            let (provider, model) = name.split_once('/').ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    format!("SYNTRA_MODELS lists provider/model, separated by commas; got {name:?}"),
                )
            })?;
            self.models.entry(provider.to_owned()).or_default().push(model.to_owned());
        }
        if let Some(dir) = std::env::var_os("SYNTRA_DATA_DIR") {
            self.data_dir = Some(dir.into());
        }
        self.data_dir.get_or_insert_with(|| ".syntra".into());
        Ok(self)
    }

    /// Looks for a llama.cpp and an Ollama server on this machine (`LLAMA_CPP_BASE_URL`, `OLLAMA_HOST`, or their usual ports) and adds
    /// those that answer within 300 ms, with the models that they serve. What does not answer is left out.
    pub async fn discover_local_servers(mut self) -> Self {
        for server in provider::servers().filter(|server| server.local) {
            let found = match self.providers.iter().find(|p| p.name() == server.name) {
                // Its address was given; its models may still be unknown.
                Some(_) if self.models.contains_key(server.name) => continue,
                _ => match server.configured(env) {
                    Ok(found) => found,
                    Err(_) => continue,
                },
            };
            let Ok(models) = found.list_models_within(LOCAL_SERVER_WAIT).await else { continue };
            if !models.is_empty() {
                self.models.insert(server.name.to_owned(), models);
                self.add_provider(Arc::new(found));
            }
        }
        self
    }

    /// Replaces the in-package embedder.
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Replaces the SQLite memory store.
    pub fn memory_store(mut self, store: Arc<dyn MemoryStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Replaces the SQLite thread store.
    pub fn thread_store(mut self, threads: Arc<dyn ThreadStore>) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Replaces the ranking of recalled memories.
    pub fn ranker(mut self, ranker: Arc<dyn HybridRanker>) -> Self {
        self.ranker = ranker;
        self
    }

    /// Replaces the router.
    pub fn router(mut self, router: Arc<dyn Router>) -> Self {
        self.router = Some(router);
        self
    }

    /// Sets what the default router aims at, from cheapest to best.
    pub fn preferences(mut self, preferences: RouterPreferences) -> Self {
        self.preferences = preferences;
        self
    }

    /// Replaces the catalogue of models and prices.
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = Some(catalogue);
        self
    }

    /// Replaces the context builder.
    pub fn context_builder(mut self, context: Arc<dyn ContextBuilder>) -> Self {
        self.context = context;
        self
    }

    /// Sets who speaks.
    pub fn persona(mut self, persona: Persona) -> Self {
        self.persona = persona;
        self
    }

    /// Sets the token budgets.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets how often and how patiently models are called.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the time zone in which `yesterday` is understood. UTC by default.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no zone of that IANA name.
    pub fn time_zone(mut self, name: &str) -> Result<Self> {
        self.time_zone = jiff::tz::TimeZone::get(name).map_err(|_| {
            Error::invalid(format!("unknown time zone {name:?}: use an IANA name such as Europe/Lisbon"))
        })?;
        Ok(self)
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how many messages of a thread a turn reads back. Default 20.
    pub fn history_messages(mut self, n: u64) -> Self {
        self.history_messages = n;
        self
    }

    /// Whether a question that no model answers is answered from memory (the default) or is an error.
    pub fn extractive_fallback(mut self, yes: bool) -> Self {
        self.extractive_fallback = yes;
        self
    }

    /// The assistant.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] when the directory cannot be used; [`ErrorKind::Config`] when models are named for a provider that is
    /// not there.
    pub fn build(self) -> Result<Syntra> {
        for name in self.models.keys() {
            if !self.providers.iter().any(|p| p.name() == name) {
                let known: Vec<&str> = self.providers.iter().map(|p| p.name()).collect();
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("models are named for provider {name:?}, which is not configured; configured: {known:?}"),
                ));
            }
        }
        let embedder: Arc<dyn Embedder> = match self.embedder {
            Some(embedder) => embedder,
            None => Arc::new(StaticEmbedder::bundled()?),
        };
        let (store, threads) = match (self.store, self.threads) {
            (Some(store), Some(threads)) => (store, threads),
            (store, threads) => {
                let database = match &self.data_dir {
                    Some(dir) => Database::open(dir)?,
                    None => Database::in_memory()?,
                };
                (
                    match store {
                        Some(store) => store,
                        None => Arc::new(
                            SqliteMemoryStore::new(database.clone(), self.clock.clone())
                                .with_model(embedder.model(), embedder.dimensions())?,
                        ),
                    },
                    threads.unwrap_or_else(|| Arc::new(SqliteThreadStore::new(database, self.clock.clone()))),
                )
            }
        };
        let catalogue = self.catalogue.unwrap_or_else(Catalogue::builtin);
        let health = Arc::new(FleetHealth::new(self.clock.clone()));
        let mut targets = Vec::new();
        for provider in &self.providers {
            let named = self.models.get(provider.name());
            let models =
                named.cloned().unwrap_or_else(|| current_models(&catalogue, provider.name(), self.clock.now()));
            targets.extend(models.into_iter().map(|model| Target::new(provider.name(), model)));
        }
        let router = self
            .router
            .unwrap_or_else(|| Arc::new(DefaultRouter::new(catalogue.clone(), self.preferences, self.clock.clone())));
        let providers = self.providers.into_iter().map(|p| (p.name().to_owned(), p)).collect();
        let rooms = Rooms {
            memories: Memories::new(store.clone(), embedder.clone(), self.ranker, self.clock.clone()),
            threads,
            providers: Arc::new(providers),
            targets,
            catalogue,
            router,
            health,
            context: self.context,
            persona: self.persona,
            budget: self.budget,
            policy: self.policy,
            coalescer: Coalescer::new(),
            time_zone: self.time_zone,
            clock: self.clock,
            history_messages: self.history_messages,
            extractive_fallback: self.extractive_fallback,
            traces: moka::sync::Cache::builder().max_capacity(1_000).support_invalidation_closures().build(),
        };
        Ok(Syntra { rooms: Arc::new(rooms), embedder, store })
    }
}

/// The models of `provider` in the catalogue that are not retired.
fn current_models(catalogue: &Catalogue, provider: &str, now: jiff::Timestamp) -> Vec<String> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let models = catalogue.models().iter().filter(|m| m.provider == provider && !m.is_retired(today));
    models.map(|m| m.model.clone()).collect()
}
