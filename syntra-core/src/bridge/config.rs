//! A [`Syntra`] from a description in JSON.

use super::limits::{BreakerWords, IndexWords, PaceWords, ResponseCacheWords, SemanticCacheWords};
use super::local::LocalRerankerWords;
use super::servers::{EmbedServerWords, ServerWords};
use super::{
    Host, HostClock, HostContextBuilder, HostEmbedder, HostMemoryStore, HostProvider, HostRanker, HostReranker,
    HostRouter, HostThreadStore, HostTool,
};
use crate::Syntra;
use crate::chat::Tool;
use crate::context::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{HedgePolicy, Recovery, RetryPolicy};
use crate::router::{Catalogue, Experiment, RouterPreferences, RoutingPolicy};
use crate::search::{ClassicRanker, DefaultRanker, DefaultWeights, SignalWeights};
use crate::syntra::SyntraBuilder;
use crate::transport::HttpClient;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A [`Syntra`] and the host that lends objects to it.
#[derive(Clone, Debug)]
pub struct Bridged {
    /// The front door.
    pub syntra: Syntra,
    /// Who lends objects to it.
    pub host: Option<Arc<dyn Host>>,
    /// The host's clock, if it lent one.
    pub(super) clock: Option<Arc<HostClock>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// Takes providers and the folder from the environment first.
    from_env: bool,
    data_dir: Option<String>,
    providers: Vec<LentOr<HostedProvider, ServerWords>>,
    embedder: Option<LentOr<HostedEmbedder, EmbedServerWords>>,
    router: Option<RouterWords>,
    ranker: Option<LentOr<RankerWords, RankerOfTheHouse>>,
    reranker: Option<LentOr<RerankerWords, LocalRerankerWords>>,
    /// Functions that models may call and that the host runs.
    tools: Vec<ToolWords>,
    /// How many times in a row.
    max_tool_rounds: Option<u32>,
    context_builder: Option<Lent>,
    memory_store: Option<StoreWords>,
    thread_store: Option<StoreWords>,
    clock: Option<Lent>,
    /// Rows of a catalogue, merged into the built-in one, or the path of a file of them.
    catalogue: Option<Value>,
    discover_local_servers: bool,
    persona: Option<PersonaWords>,
    budget: Option<BudgetWords>,
    /// What the router aims at: 0 the cheapest capable model, 1 the best.
    quality: Option<f32>,
    /// What is allowed and wanted of the choice of a model, for everybody.
    policy: Option<RoutingPolicy>,
    /// And for single organisations.
    organisation_policies: Vec<OrganisationPolicy>,
    experiments: Vec<Experiment>,
    /// By provider, where it works on data.
    regions: BTreeMap<String, Vec<String>>,
    retry_policy: Option<RetryWords>,
    recovery: Option<Recovery>,
    /// Seconds.
    deadline: Option<f64>,
    hedging: Option<HedgeWords>,
    /// What is sent at the most to each provider that says nothing of its own.
    pacing: Option<PaceWords>,
    breaker: Option<BreakerWords>,
    response_cache: Option<ResponseCacheWords>,
    semantic_cache: Option<SemanticCacheWords>,
    /// How much of the memories' indexes is held.
    index_limits: Option<IndexWords>,
    time_zone: Option<String>,
    history_messages: Option<u64>,
    extractive_fallback: Option<bool>,
    thinking: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganisationPolicy {
    organisation: String,
    policy: RoutingPolicy,
}

/// An object of the host's, which has a `host`, or a description.
enum LentOr<L, D> {
    Lent(L),
    Described(Box<D>),
}

impl<'de, L: DeserializeOwned, D: DeserializeOwned> Deserialize<'de> for LentOr<L, D> {
    /// By hand, so that an error says what is wrong and not that nothing fits.
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> std::result::Result<Self, De::Error> {
        let words = Value::deserialize(deserializer)?;
        let made = match words.get("host") {
            Some(_) => serde_json::from_value(words).map(Self::Lent),
            None => serde_json::from_value(words).map(Box::new).map(Self::Described),
        };
        made.map_err(De::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostedProvider {
    /// The object's name, which is the provider's name too.
    host: String,
    streams: bool,
    #[serde(default)]
    resumes: bool,
    #[serde(default)]
    models: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostedEmbedder {
    host: String,
    model: String,
    dimensions: usize,
}

/// An object of the host's by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lent {
    host: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouterWords {
    host: String,
    /// Whether it wants to hear how calls went.
    #[serde(default)]
    observes: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RankerWords {
    host: String,
    /// What traces call it.
    name: String,
    #[serde(default)]
    wants_topics: bool,
}

/// One of the house beside the default one, or that one with other weights.
enum RankerOfTheHouse {
    Named(NamedRanker),
    Weighed(Box<DefaultRanker>),
}

impl<'de> Deserialize<'de> for RankerOfTheHouse {
    /// By hand, for the same reason as [`LentOr`].
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> std::result::Result<Self, De::Error> {
        let words = Value::deserialize(deserializer)?;
        if !words.is_object() {
            return serde_json::from_value(words).map(Self::Named).map_err(De::Error::custom);
        }
        let given: BTreeMap<String, BTreeMap<String, f32>> =
            serde_json::from_value(words).map_err(De::Error::custom)?;
        let mut weights = DefaultWeights::default();
        for (kind, of_kind) in &given {
            let no_kind = || format!("no weights for {kind:?}: name {}", DefaultWeights::NAMES.join(", "));
            let held = weights.get_mut(kind).ok_or_else(|| De::Error::custom(no_kind()))?;
            for (signal, weight) in of_kind {
                let no_signal = || format!("no weight {signal:?}: name {}", SignalWeights::NAMES.join(", "));
                *held.get_mut(signal).ok_or_else(|| De::Error::custom(no_signal()))? = *weight;
            }
        }
        Ok(Self::Weighed(Box::new(DefaultRanker::with_weights(weights))))
    }
}

/// A ranker of the house beside the default one.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum NamedRanker {
    /// [`ClassicRanker::adaptive`].
    Classic,
    /// [`ClassicRanker::fixed`].
    ClassicFixed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RerankerWords {
    host: String,
    /// What traces call it.
    name: String,
    /// How many of the best it reads.
    depth: Option<usize>,
    /// What it adds to the score of the one that fits best.
    weight: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolWords {
    host: String,
    name: String,
    #[serde(default)]
    description: String,
    parameters: Value,
    /// Seconds.
    timeout: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreWords {
    host: String,
    /// Those of the methods that need not be there that it has.
    #[serde(default)]
    methods: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonaWords {
    name: Option<String>,
    tone: Option<String>,
    instructions: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetWords {
    profile: Option<usize>,
    semantic: Option<usize>,
    episodic: Option<usize>,
    procedural: Option<usize>,
    entities: Option<usize>,
    history: Option<usize>,
    total: Option<usize>,
    window: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryWords {
    max_attempts: Option<usize>,
    max_per_target: Option<usize>,
    /// Seconds.
    backoff: Option<f64>,
    /// Seconds.
    max_wait: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HedgeWords {
    /// Seconds.
    after: Option<f64>,
    most_share: Option<f64>,
}

/// Makes a [`Syntra`] as `config` (JSON) says; `host` reaches the objects that it names. Call it inside a tokio runtime.
///
/// The connection pool is its own and not the process's: a process that forked has none to inherit.
///
/// # Errors
/// [`ErrorKind::Config`] or [`ErrorKind::InvalidInput`] naming the setting that is wrong; as [`SyntraBuilder::build`].
pub async fn build(config: &str, host: Option<Arc<dyn Host>>) -> Result<Bridged> {
    let config: Config = serde_json::from_str(config).map_err(|e| config_error(format!("the settings: {e}")))?;
    let client = HttpClient::new()?;
    let mut builder = Syntra::builder();
    if let Some(dir) = &config.data_dir {
        builder = builder.data_dir(dir);
    }
    if config.from_env {
        builder = builder.with_env_over(Some(&client))?;
    }
    let mut paced = Vec::new();
    for words in config.providers {
        if let LentOr::Described(server) = &words
            && let Some(pacing) = &server.pacing
        {
            builder = builder.pacing(server.name.as_str(), pacing.limits(&server.name));
            paced.push(server.name.clone());
        }
        builder = add_provider(builder, words, host.as_ref(), &client)?;
    }
    if config.discover_local_servers {
        builder = builder.discover_local_servers_over(Some(&client)).await;
    }
    match config.embedder {
        Some(LentOr::Lent(words)) => {
            let host = host.clone().ok_or_else(no_host)?;
            builder = builder.embedder(Arc::new(HostEmbedder::new(words.host, words.model, words.dimensions, host)?));
        }
        Some(LentOr::Described(words)) => builder = builder.embedder(words.embedder(&client).await?),
        None => {}
    }
    let lender = || host.clone().ok_or_else(no_host);
    if let Some(words) = config.router {
        builder = builder.router(Arc::new(HostRouter::new(words.host, lender()?, words.observes)));
    }
    match config.ranker {
        Some(LentOr::Lent(words)) => {
            builder = builder.ranker(Arc::new(HostRanker::new(words.host, words.name, lender()?, words.wants_topics)));
        }
        Some(LentOr::Described(ranker)) => {
            builder = builder.ranker(match *ranker {
                RankerOfTheHouse::Named(NamedRanker::Classic) => Arc::new(ClassicRanker::adaptive()),
                RankerOfTheHouse::Named(NamedRanker::ClassicFixed) => Arc::new(ClassicRanker::fixed()),
                RankerOfTheHouse::Weighed(ranker) => Arc::new(*ranker),
            });
        }
        None => {}
    }
    match config.reranker {
        Some(LentOr::Lent(words)) => {
            let reranker = HostReranker::new(words.host, words.name, lender()?, words.depth, words.weight)?;
            builder = builder.reranker(Arc::new(reranker));
        }
        Some(LentOr::Described(words)) => builder = builder.reranker(words.reranker().await?),
        None => {}
    }
    for words in config.tools {
        builder = builder.shared_tool(Arc::new(tool(words, lender()?)?));
    }
    if let Some(rounds) = config.max_tool_rounds {
        builder = builder.max_tool_rounds(rounds);
    }
    if let Some(Lent { host }) = config.context_builder {
        builder = builder.context_builder(Arc::new(HostContextBuilder::new(host, lender()?)));
    }
    if let Some(words) = config.memory_store {
        builder = builder.memory_store(Arc::new(HostMemoryStore::new(words.host, lender()?, words.methods)));
    }
    if let Some(words) = config.thread_store {
        builder = builder.thread_store(Arc::new(HostThreadStore::new(words.host, lender()?, words.methods)));
    }
    let mut clock = None;
    if let Some(Lent { host }) = config.clock {
        let told = Arc::new(HostClock::new(host, lender()?).await?);
        builder = builder.clock(told.clone());
        clock = Some(told);
    }
    if let Some(rows) = &config.catalogue {
        builder = builder.catalogue(catalogue(rows)?);
    }
    if let Some(words) = config.persona {
        let mut persona = crate::voice::Persona::default();
        persona.name = words.name.unwrap_or(persona.name);
        persona.tone = words.tone.unwrap_or(persona.tone);
        persona.instructions = words.instructions.unwrap_or(persona.instructions);
        builder = builder.persona(persona);
    }
    if let Some(words) = config.budget {
        let all = Budget::default();
        builder = builder.budget(Budget {
            profile: words.profile.unwrap_or(all.profile),
            semantic: words.semantic.unwrap_or(all.semantic),
            episodic: words.episodic.unwrap_or(all.episodic),
            procedural: words.procedural.unwrap_or(all.procedural),
            entities: words.entities.unwrap_or(all.entities),
            history: words.history.unwrap_or(all.history),
            total: words.total.unwrap_or(all.total),
            window: words.window.or(all.window),
        });
    }
    if let Some(quality) = config.quality {
        builder = builder.preferences(RouterPreferences::quality(quality)?);
    }
    if let Some(policy) = config.policy {
        builder = builder.policy(policy);
    }
    for OrganisationPolicy { organisation, policy } in config.organisation_policies {
        builder = builder.organisation_policy(organisation, policy);
    }
    builder = config.experiments.into_iter().fold(builder, SyntraBuilder::experiment);
    for (provider, regions) in config.regions {
        builder = regions.into_iter().fold(builder, |builder, region| builder.region(provider.as_str(), region));
    }
    if let Some(words) = config.retry_policy {
        let mut policy = RetryPolicy::default();
        policy.max_attempts = words.max_attempts.unwrap_or(policy.max_attempts);
        policy.max_per_target = words.max_per_target.unwrap_or(policy.max_per_target);
        policy.backoff = seconds("retry_policy.backoff", words.backoff, policy.backoff)?;
        policy.max_wait = seconds("retry_policy.max_wait", words.max_wait, policy.max_wait)?;
        builder = builder.retry_policy(policy);
    }
    if let Some(recovery) = config.recovery {
        builder = builder.recovery(recovery);
    }
    if config.deadline.is_some() {
        builder = builder.deadline(seconds("deadline", config.deadline, Duration::ZERO)?);
    }
    if let Some(words) = config.hedging {
        let mut policy = HedgePolicy::default();
        if words.after.is_some() {
            policy.after = Some(seconds("hedging.after", words.after, Duration::ZERO)?);
        }
        policy.most_share = words.most_share.unwrap_or(policy.most_share);
        builder = builder.hedging(policy)?;
    }
    if let Some(words) = config.pacing {
        builder = words.apply_to_all(builder, &paced);
    }
    if let Some(words) = config.breaker {
        builder = builder.breaker(words.options()?);
    }
    if let Some(words) = config.response_cache {
        builder = builder.response_cache(words.options()?);
    }
    if let Some(words) = config.semantic_cache {
        builder = builder.semantic_cache(words.options()?);
    }
    if let Some(words) = config.index_limits {
        builder = builder.index_limits(words.limits());
    }
    if let Some(zone) = &config.time_zone {
        builder = builder.time_zone(zone)?;
    }
    if let Some(n) = config.history_messages {
        builder = builder.history_messages(n);
    }
    if let Some(yes) = config.extractive_fallback {
        builder = builder.extractive_fallback(yes);
    }
    if let Some(yes) = config.thinking {
        builder = builder.thinking(yes);
    }
    Ok(Bridged { syntra: builder.build()?, host, clock })
}

impl Bridged {
    /// Asks the host's clock, where there is one; before everything that is done.
    pub(super) async fn tick(&self) -> Result<()> {
        match &self.clock {
            Some(clock) => clock.ask().await,
            None => Ok(()),
        }
    }
}

/// The built-in catalogue with the rows of the host's.
fn catalogue(rows: &Value) -> Result<Catalogue> {
    let text = match rows.as_str() {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| config_error(format!("the catalogue {path:?} cannot be read: {e}")))?,
        None if rows.is_array() => serde_json::json!({"header": {"schema": 1}, "models": rows}).to_string(),
        None => rows.to_string(),
    };
    let mut catalogue = Catalogue::builtin();
    catalogue.merge(Catalogue::from_json(&text)?);
    Ok(catalogue)
}

fn add_provider(
    builder: SyntraBuilder,
    words: LentOr<HostedProvider, ServerWords>,
    host: Option<&Arc<dyn Host>>,
    client: &HttpClient,
) -> Result<SyntraBuilder> {
    match words {
        LentOr::Lent(words) => {
            let host = host.cloned().ok_or_else(no_host)?;
            let builder =
                builder.provider(HostProvider::new(words.host.as_str(), host, words.streams).resuming(words.resumes));
            if words.models.is_empty() {
                return Err(config_error(format!("the provider {:?} names no `models` that it serves", words.host)));
            }
            Ok(builder.models(words.host, words.models))
        }
        LentOr::Described(words) => {
            let provider = words.provider(client)?;
            let builder = builder.provider(provider);
            Ok(match words.models {
                Some(models) => builder.models(words.name, models),
                None => builder,
            })
        }
    }
}

pub(super) fn seconds(name: &str, given: Option<f64>, default: Duration) -> Result<Duration> {
    match given {
        None => Ok(default),
        Some(n) => Duration::try_from_secs_f64(n)
            .map_err(|_| config_error(format!("{name} must be a number of seconds of at least 0, got {n}"))),
    }
}

pub(super) fn config_error(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn tool(words: ToolWords, host: Arc<dyn Host>) -> Result<HostTool> {
    let seconds = words.timeout.unwrap_or(30.0);
    let timeout = Duration::try_from_secs_f64(seconds).map_err(|_| {
        config_error(format!("tools: the timeout of {} is a number of seconds, not {seconds}", words.name))
    })?;
    let definition = Tool { name: words.name, description: words.description, parameters: words.parameters };
    Ok(HostTool::new(words.host, host, definition, timeout))
}

fn no_host() -> Error {
    config_error("an object of the host language is named, but there is no host".into())
}
