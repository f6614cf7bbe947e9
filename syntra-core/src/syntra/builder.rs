//! Putting a [`Syntra`] together: every room with its default, replaced where the host says so.

use super::Syntra;
use crate::clock::{Clock, SystemClock};
use crate::context::{Budget, ContextBuilder, DefaultContextBuilder};
use crate::embed::{Embedder, StaticEmbedder};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{
    AdmissionOptions, Admissions, Coalescer, HedgePolicy, Hedger, PaceLimits, Recovery, ResponseCache,
    ResponseCacheOptions, RetryPolicy, SemanticCacheOptions,
};
use crate::memory::{IndexLimits, Memories, MemoryStore, SqliteMemoryStore};
use crate::provider::{self, HttpProvider, Provider};
use crate::router::{
    Catalogue, DefaultRouter, Experiment, Experiments, HealthOptions, Router, RouterPreferences, RoutingPolicy, Target,
};
use crate::search::{DefaultRanker, HybridRanker, Reranker};
use crate::storage::Database;
use crate::thread::{SqliteThreadStore, ThreadStore};
use crate::tools::{ToolHandler, Toolbox};
use crate::transport::HttpClient;
use crate::turn::{HostPolicies, LearnedFiles, Rooms, Traces, Warmth};
use crate::voice::Persona;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a local model server may take to tell its models.
const LOCAL_SERVER_WAIT: Duration = Duration::from_millis(300);

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `provider` over `client`, where one is given.
fn over(provider: HttpProvider, client: Option<&HttpClient>) -> HttpProvider {
    match client {
        Some(client) => provider.with_client(client.clone()),
        None => provider,
    }
}

/// The time zone of the IANA name `name`.
pub(crate) fn time_zone(name: &str) -> Result<jiff::tz::TimeZone> {
    jiff::tz::TimeZone::get(name)
        .map_err(|_| Error::invalid(format!("unknown time zone {name:?}: use an IANA name such as Europe/Lisbon")))
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
    reranker: Option<Arc<dyn Reranker>>,
    router: Option<Arc<dyn Router>>,
    preferences: RouterPreferences,
    policies: HostPolicies,
    experiments: Vec<Experiment>,
    catalogue: Option<Catalogue>,
    tools: Vec<Arc<dyn ToolHandler>>,
    max_tool_rounds: u32,
    context: Arc<dyn ContextBuilder>,
    persona: Persona,
    budget: Budget,
    policy: RetryPolicy,
    recovery: Recovery,
    deadline: Option<Duration>,
    hedger: Option<Hedger>,
    admission: AdmissionOptions,
    response_cache: Option<ResponseCacheOptions>,
    semantic_cache: Option<SemanticCacheOptions>,
    index_limits: IndexLimits,
    time_zone: jiff::tz::TimeZone,
    clock: Arc<dyn Clock>,
    history_messages: u64,
    extractive_fallback: bool,
    thinking: bool,
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
    pub(super) fn new() -> Self {
        Self {
            data_dir: None,
            providers: Vec::new(),
            models: HashMap::new(),
            embedder: None,
            store: None,
            threads: None,
            ranker: Arc::new(DefaultRanker::default()),
            reranker: None,
            router: None,
            preferences: RouterPreferences::default(),
            policies: HostPolicies::default(),
            experiments: Vec::new(),
            catalogue: None,
            tools: Vec::new(),
            max_tool_rounds: 8,
            context: Arc::new(DefaultContextBuilder::default()),
            persona: Persona::default(),
            budget: Budget::default(),
            policy: RetryPolicy::default(),
            recovery: Recovery::default(),
            deadline: None,
            hedger: None,
            admission: AdmissionOptions::default(),
            response_cache: None,
            semantic_cache: None,
            index_limits: IndexLimits::default(),
            time_zone: jiff::tz::TimeZone::UTC,
            clock: Arc::new(SystemClock::new()),
            history_messages: 20,
            extractive_fallback: true,
            thinking: true,
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

    /// Adds a provider. One of the same name with another key (see [`Provider::key_id`]) adds a key: calls are balanced over the keys of a
    /// provider, and each has its own pace and breaker. One of the same name and key is replaced. Its models are those of the catalogue,
    /// unless [`SyntraBuilder::models`] names others.
    pub fn provider(mut self, provider: impl Provider) -> Self {
        self.add_provider(Arc::new(provider));
        self
    }

    /// Adds a provider that is shared.
    pub fn shared_provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.add_provider(provider);
        self
    }

    /// The names of the providers so far, each once.
    #[cfg(feature = "bridge")]
    pub(crate) fn provider_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.providers.iter().map(|p| p.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn add_provider(&mut self, provider: Arc<dyn Provider>) {
        self.providers.retain(|p| (p.name(), p.key_id()) != (provider.name(), provider.key_id()));
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
    pub fn from_env(self) -> Result<Self> {
        self.with_env_over(None)
    }

    /// As [`SyntraBuilder::from_env`], over `client` instead of the process's pool.
    pub(crate) fn with_env_over(mut self, client: Option<&HttpClient>) -> Result<Self> {
        for provider in provider::from_env(env)? {
            self.add_provider(Arc::new(over(provider, client)));
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
    pub async fn discover_local_servers(self) -> Self {
        self.discover_local_servers_over(None).await
    }

    /// As [`SyntraBuilder::discover_local_servers`], over `client` instead of the process's pool.
    pub(crate) async fn discover_local_servers_over(mut self, client: Option<&HttpClient>) -> Self {
        for server in provider::servers().filter(|server| server.local) {
            let found = match self.providers.iter().find(|p| p.name() == server.name) {
                // Its address was given; its models may still be unknown.
                Some(_) if self.models.contains_key(server.name) => continue,
                _ => match server.configured(env) {
                    Ok(found) => over(found, client),
                    Err(_) => continue,
                },
            };
            let Ok(models) = found.list_models_within(LOCAL_SERVER_WAIT).await else { continue };
            if !models.is_empty() {
                self.models.insert(server.name.to_owned(), models);
                self.providers.retain(|p| p.name() != server.name);
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

    /// Has the best of what is recalled read again together with the question, by a cross-encoder say; nothing is unless this
    /// is set. Where it fails, the ranking stays and [`crate::memory::Recall::rerank`] says so.
    pub fn reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        self.reranker = Some(reranker);
        self
    }

    /// Adds a tool that models may call in every turn and that runs here: the model reads what it returns and goes on.
    pub fn tool(self, tool: impl ToolHandler) -> Self {
        self.shared_tool(Arc::new(tool))
    }

    /// As [`SyntraBuilder::tool`].
    pub fn shared_tool(mut self, tool: Arc<dyn ToolHandler>) -> Self {
        self.tools.push(tool);
        self
    }

    /// Sets how many times in a row a turn runs the model's calls of these tools before it has to answer. Default 8.
    pub fn max_tool_rounds(mut self, rounds: u32) -> Self {
        self.max_tool_rounds = rounds;
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

    /// Sets what is allowed and wanted of the choice of a model, for everybody: a strategy by name, lists, regions, a limit on the cost of a
    /// call. It holds whatever router there is.
    pub fn policy(mut self, policy: RoutingPolicy) -> Self {
        self.policies.all = Arc::new(policy);
        self
    }

    /// Sets what is allowed and wanted beside that for one organisation.
    pub fn organisation_policy(mut self, organisation: impl Into<String>, policy: RoutingPolicy) -> Self {
        self.policies.by_organisation.insert(organisation.into(), Arc::new(policy));
        self
    }

    /// Adds an experiment: each user is in one of its arms and stays there, and [`Syntra::experiments`] says what came of it.
    pub fn experiment(mut self, experiment: Experiment) -> Self {
        self.experiments.push(experiment);
        self
    }

    /// Says in which region `provider` works on data (`eu`, say), for [`RoutingPolicy::residency`]. Several for one that may use any of them.
    pub fn region(mut self, provider: impl Into<String>, region: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.policies.regions).entry(provider.into()).or_default().push(region.into());
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

    /// Sets what happens when a stream fails after its reader has seen some of the answer; [`Ask::with_recovery`](crate::Ask::with_recovery)
    /// for one question. [`Recovery::Resume`] by default.
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Sets how long a turn may take from the question to its end; [`Ask::with_deadline`](crate::Ask::with_deadline) for one question.
    /// A turn that is not over by then ends in [`ErrorKind::Timeout`], code `turn_timeout`. No limit by default.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Calls a second model beside one that is slow to answer, within a budget. Off by default.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the share is not between 0 and 1.
    pub fn hedging(mut self, policy: HedgePolicy) -> Result<Self> {
        self.hedger = Some(Hedger::new(policy)?);
        Ok(self)
    }

    /// Sets what is sent to `provider` at the most with each of its keys, in place of [`SyntraBuilder::default_pacing`]. The default has
    /// no limits of its own and learns from what the provider says; [`PaceLimits::classic`] is cautious from the start.
    pub fn pacing(mut self, provider: impl Into<String>, limits: PaceLimits) -> Self {
        self.admission.pacing.insert(provider.into(), limits);
        self
    }

    /// Sets what is sent at the most to each provider for which [`SyntraBuilder::pacing`] says nothing.
    pub fn default_pacing(mut self, limits: PaceLimits) -> Self {
        self.admission.default_pacing = limits;
        self
    }

    /// Gives an answer again to the same request: the same organisation, model, persona, memories, conversation and words. Off by
    /// default, because who asks twice in a conversation may want another answer; [`Ask::with_cache`](crate::Ask::with_cache) for one question.
    pub fn response_cache(mut self, options: ResponseCacheOptions) -> Self {
        self.response_cache = Some(options);
        self
    }

    /// Gives an answer again to a question that means the same, everything else being the same. Never where the question speaks of a
    /// time or of now, or where there are tools. Off by default: what is alike is not the same.
    pub fn semantic_cache(mut self, options: SemanticCacheOptions) -> Self {
        self.semantic_cache = Some(options);
        self
    }

    /// Sets how much of the memories' indexes is held, and from when on they have a graph. A store of the host's own has its own ways.
    pub fn index_limits(mut self, limits: IndexLimits) -> Self {
        self.index_limits = limits;
        self
    }

    /// Sets when a key of a model that fails is left alone, and for how long.
    pub fn breaker(mut self, options: HealthOptions) -> Self {
        self.admission.health = options;
        self
    }

    /// Sets the time zone in which `yesterday` is understood. UTC by default.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no zone of that IANA name.
    pub fn time_zone(mut self, name: &str) -> Result<Self> {
        self.time_zone = time_zone(name)?;
        Ok(self)
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        // Pacers of different times cannot be one.
        self.admission.shared = false;
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

    /// Whether a turn says its steps in words ([`crate::Event::Thinking`]), for a host's animation. It does by default.
    pub fn thinking(mut self, yes: bool) -> Self {
        self.thinking = yes;
        self
    }

    /// The assistant.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] when the directory cannot be used; [`ErrorKind::Config`] when models are named for a provider that is
    /// not there; [`ErrorKind::InvalidInput`] for tools of the same name, or whose name or schema no provider would take.
    pub fn build(self) -> Result<Syntra> {
        for name in self.models.keys() {
            if !self.providers.iter().any(|p| p.name() == name) {
                return Err(unknown_provider("models are named", name, &self.providers));
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
                                .with_model(embedder.model(), embedder.dimensions())?
                                .with_index_limits(self.index_limits),
                        ),
                    },
                    threads.unwrap_or_else(|| Arc::new(SqliteThreadStore::new(database, self.clock.clone()))),
                )
            }
        };
        let catalogue = self.catalogue.unwrap_or_else(Catalogue::builtin);
        let mut targets = Vec::new();
        let mut seen = HashSet::new();
        for provider in self.providers.iter().filter(|p| seen.insert(p.name())) {
            let named = self.models.get(provider.name());
            let models =
                named.cloned().unwrap_or_else(|| current_models(&catalogue, provider.name(), self.clock.now()));
            targets.extend(models.into_iter().map(|model| Target::new(provider.name(), model)));
        }
        let router = self
            .router
            .unwrap_or_else(|| Arc::new(DefaultRouter::new(catalogue.clone(), self.preferences, self.clock.clone())));
        drop(seen);
        let experiments = Arc::new(Experiments::new(self.experiments)?);
        let learned = LearnedFiles::open(self.data_dir.as_deref(), router.clone(), experiments.clone())?;
        for limits in self.admission.pacing.values().chain([&self.admission.default_pacing]) {
            limits.check()?;
        }
        self.admission.health.check()?;
        self.policies.check()?;
        for name in self.admission.pacing.keys() {
            if !self.providers.iter().any(|p| p.name() == name) {
                return Err(unknown_provider("pacing is set", name, &self.providers));
            }
        }
        let cache = match (self.response_cache, self.semantic_cache) {
            (None, None) => None,
            (exact, semantic) => Some(ResponseCache::new(exact, semantic, self.clock.clone())?),
        };
        let admissions = Admissions::new(self.providers, self.admission, self.clock.clone());
        let memories = Memories::new(store.clone(), embedder.clone(), self.ranker, self.clock.clone());
        let rooms = Rooms {
            memories: match self.reranker {
                Some(reranker) => memories.with_reranker(reranker),
                None => memories,
            },
            threads,
            admissions,
            alike: crate::turn::alike(&targets, &catalogue),
            targets,
            catalogue,
            router,
            learned,
            policies: self.policies,
            experiments,
            tools: Toolbox::new(self.tools)?,
            max_tool_rounds: self.max_tool_rounds,
            context: self.context,
            persona: self.persona,
            budget: self.budget,
            policy: self.policy,
            recovery: self.recovery,
            deadline: self.deadline,
            hedger: self.hedger,
            coalescer: Coalescer::new(),
            warmth: Warmth::new(self.clock.clone()),
            cache,
            time_zone: self.time_zone,
            clock: self.clock,
            history_messages: self.history_messages,
            extractive_fallback: self.extractive_fallback,
            thinking: self.thinking,
            traces: Traces::default(),
        };
        Ok(Syntra { rooms: Arc::new(rooms), embedder, store })
    }
}

fn unknown_provider(what: &str, name: &str, providers: &[Arc<dyn Provider>]) -> Error {
    let mut known: Vec<&str> = providers.iter().map(|p| p.name()).collect();
    known.dedup();
    let problem = format!("{what} for provider {name:?}, which is not configured; configured: {known:?}");
    Error::new(ErrorKind::Config, problem)
}

/// The models of `provider` in the catalogue that are not retired.
fn current_models(catalogue: &Catalogue, provider: &str, now: jiff::Timestamp) -> Vec<String> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let models = catalogue.models().iter().filter(|m| m.provider == provider && !m.is_retired(today));
    models.map(|m| m.model.clone()).collect()
}
