//! A router, a ranker and a context builder that live in a host language.

use super::{Host, ask, undecodable};
use crate::chat::Message;
use crate::context::{
    Context, ContextBuilder, ContextInput, ContextLine, Dropped, Section, count_message, count_messages,
};
use crate::error::{Error, ErrorKind, Result};
use crate::router::{
    CandidateReport, Fleet, Plan, Planned, RouteOutcome, RouteQuery, Router, Standing, Target, TargetHealth,
};
use crate::search::{Candidate, DefaultRanker, HybridRanker, RankQuery, Ranked, Signal};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A router that lives in a host language: `plan` is asked with the question and the fleet, `observe` is told how calls went.
#[derive(Clone, Debug)]
pub struct HostRouter {
    name: String,
    host: Arc<dyn Host>,
    observes: bool,
}

impl HostRouter {
    /// The host's object `name`; `observes` says whether it wants to hear how calls went.
    pub fn new(name: impl Into<String>, host: Arc<dyn Host>, observes: bool) -> Self {
        Self { name: name.into(), host, observes }
    }
}

/// A choice: `provider/model`, or the two with a reason.
#[derive(Deserialize)]
#[serde(untagged)]
enum Choice {
    Name(String),
    Named { model: String, provider: Option<String>, reason: Option<String> },
}

impl Choice {
    fn planned(self) -> Result<Planned> {
        let (provider, model, reason) = match self {
            Self::Name(name) => (None, name, None),
            Self::Named { model, provider, reason } => (provider, model, reason),
        };
        let target = match provider {
            Some(provider) => Target::new(provider, model),
            None => {
                let (provider, model) = model.split_once('/').ok_or_else(|| {
                    Error::new(ErrorKind::Decode, format!("a router names a model as provider/model, got {model:?}"))
                })?;
                Target::new(provider, model)
            }
        };
        Ok(Planned { target, reason: reason.map_or("chosen by the host's router".into(), Into::into) })
    }
}

fn fleet_json(fleet: &Fleet, query: &RouteQuery) -> Value {
    let one = |(target, health): &(Target, TargetHealth)| {
        json!({
            "provider": target.provider, "model": target.model, "available": health.available,
            "first_token_ms": health.first_token.map(millis), "failure_rate": health.failure_rate,
            "tokens_per_second": health.tokens_per_second, "in_flight": health.in_flight,
            "cached_tokens": query.cached_tokens(target),
        })
    };
    let may = |target: &Target| query.policies.permits(target) && query.policies.resides(target, &query.regions);
    fleet.targets.iter().filter(|(target, _)| may(target)).map(one).collect()
}

#[async_trait]
impl Router for HostRouter {
    fn plan(&self, _: &RouteQuery, _: &Fleet) -> Result<Plan> {
        Err(Error::new(ErrorKind::Unsupported, "a router of the host's language has to be waited for: use plan_async"))
    }

    async fn plan_async(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
        let argument = json!({
            "query": {
                "text": query.text, "intent": query.intent, "confidence": query.confidence, "needs": query.needs,
                "input_tokens": query.input_tokens, "output_tokens": query.output_tokens,
                "history_messages": query.history_messages, "pinned": query.pinned, "max_cost": query.cost_limit(),
                "organisation": query.organisation, "quality": query.quality.or(query.policies.quality()),
                "strategy": query.policies.strategy(),
            },
            // What the policies forbid is not offered.
            "fleet": fleet_json(fleet, query),
        });
        let choices: Vec<Choice> = ask(&self.host, &self.name, "plan", &argument).await?;
        let order: Vec<Planned> = choices.into_iter().map(Choice::planned).collect::<Result<_>>()?;
        if order.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "the host's router chose no model"));
        }
        let stranger = order.iter().find(|planned| !fleet.targets.iter().any(|(target, _)| *target == planned.target));
        if let Some(Planned { target, .. }) = stranger {
            let known: Vec<String> = fleet.targets.iter().map(|(target, _)| target.to_string()).collect();
            let problem = format!("the host's router chose {target}, which is not configured; configured: {known:?}");
            return Err(Error::new(ErrorKind::NotFound, problem));
        }
        let mut reports: Vec<CandidateReport> = order
            .iter()
            .enumerate()
            .map(|(rank, planned)| {
                let standing = if rank == 0 { Standing::Chosen } else { Standing::Fallback };
                CandidateReport::new(planned.target.clone(), standing, Some(rank), planned.reason.clone())
            })
            .collect();
        let others = fleet.targets.iter().filter(|(target, _)| !order.iter().any(|p| p.target == *target));
        reports.extend(others.map(|(target, _)| {
            CandidateReport::new(target.clone(), Standing::Excluded, None, "not named by the host's router")
        }));
        Ok(Plan::new(order, reports, query.intent, query.confidence))
    }

    fn observe(&self, outcome: &RouteOutcome) {
        if self.observes {
            let told = json!({
                "target": outcome.target, "intent": outcome.intent, "error": outcome.error,
                "first_token_ms": outcome.first_token.map(millis), "total_ms": millis(outcome.total),
                "cost": outcome.cost, "score": outcome.score, "sign": outcome.sign, "question": outcome.question,
                "input_tokens": outcome.input_tokens, "organisation": outcome.organisation,
                "cached_input_tokens": outcome.cached_input_tokens, "output_tokens": outcome.output_tokens,
            });
            self.host.notify(&self.name, "observe", told.to_string());
        }
    }
}

/// A ranker that lives in a host language: it gets all candidates with their signals in one call and returns them scored.
#[derive(Clone, Debug)]
pub struct HostRanker {
    object: String,
    name: String,
    host: Arc<dyn Host>,
    topics: bool,
}

impl HostRanker {
    /// The host's object `object`, called `name` in traces; `topics` says whether it reads [`Signal::Topic`].
    pub fn new(object: impl Into<String>, name: impl Into<String>, host: Arc<dyn Host>, topics: bool) -> Self {
        Self { object: object.into(), name: name.into(), host, topics }
    }
}

/// One scored candidate: an id and a score, or the id with what each signal contributed.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scored {
    Pair(String, f32),
    Parts { id: String, score: Option<f32>, parts: Option<Parts> },
}

/// By name, as an object or as pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Parts {
    Named(BTreeMap<String, f32>),
    Pairs(Vec<(String, f32)>),
}

impl Parts {
    fn signals(self) -> Result<Vec<(Signal, f32)>> {
        let pairs = match self {
            Self::Named(map) => map.into_iter().collect(),
            Self::Pairs(pairs) => pairs,
        };
        let one = |(name, part): (String, f32)| {
            let signal = Signal::deserialize(Value::String(name.clone()));
            signal.map(|signal| (signal, part)).map_err(|_| {
                Error::new(ErrorKind::Decode, format!("a part of a score is named after a signal; {name:?} is none"))
            })
        };
        pairs.into_iter().map(one).collect()
    }
}

pub(super) fn signals_json(candidate: &Candidate) -> Value {
    let named = |(signal, value): (Signal, f32)| Some((signal_name(signal)?, json!(value)));
    let signals: serde_json::Map<String, Value> = candidate.signals.iter().filter_map(named).collect();
    json!({"id": candidate.id, "found_by": candidate.found_by, "signals": signals})
}

fn signal_name(signal: Signal) -> Option<String> {
    match serde_json::to_value(signal) {
        Ok(Value::String(name)) => Some(name),
        _ => None,
    }
}

#[async_trait]
impl HybridRanker for HostRanker {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants_topics(&self) -> bool {
        self.topics
    }

    /// What can be had without waiting for the host: the order of [`DefaultRanker`].
    fn rank(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Vec<Ranked> {
        DefaultRanker::default().rank(query, candidates)
    }

    async fn rank_async(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Result<Vec<Ranked>> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let argument = json!({
            "query": {"text": query.text, "analysis": query.analysis, "now": query.now, "limit": query.limit},
            "candidates": candidates.iter().map(signals_json).collect::<Vec<_>>(),
        });
        let scored: Vec<Scored> = ask(&self.host, &self.object, "rank", &argument).await?;
        let mut left: HashMap<Arc<str>, Candidate> = candidates.into_iter().map(|c| (c.id.clone(), c)).collect();
        let mut ranked = Vec::with_capacity(scored.len());
        for one in scored {
            let (id, score, parts) = match one {
                Scored::Pair(id, score) => (id, Some(score), Vec::new()),
                Scored::Parts { id, score, parts } => {
                    (id, score, parts.map(Parts::signals).transpose()?.unwrap_or_default())
                }
            };
            let problem = |what: &str| {
                let words = format!("the host's ranker returned {what} {id:?}");
                Error::new(ErrorKind::Decode, words)
            };
            let score = score.unwrap_or_else(|| parts.iter().map(|(_, part)| part).sum());
            if !score.is_finite() {
                return Err(problem("a score that is not finite for"));
            }
            let candidate = left.remove(id.as_str()).ok_or_else(|| problem("what it was not given, or twice:"))?;
            ranked.push(Ranked { candidate, score, parts });
        }
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.candidate.id.cmp(&b.candidate.id)));
        Ok(ranked)
    }
}

/// A context builder that lives in a host language. Tokens are counted here, for what it gets and for what it returns.
#[derive(Clone, Debug)]
pub struct HostContextBuilder {
    name: String,
    host: Arc<dyn Host>,
}

impl HostContextBuilder {
    /// The host's object `name`.
    pub fn new(name: impl Into<String>, host: Arc<dyn Host>) -> Self {
        Self { name: name.into(), host }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Built {
    Messages(Vec<Message>),
    Whole {
        messages: Vec<Message>,
        #[serde(default)]
        lines: Vec<LineWords>,
        #[serde(default)]
        dropped: Vec<DroppedWords>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineWords {
    section: Section,
    label: Option<u32>,
    memory_id: Option<String>,
    #[serde(default)]
    tokens: usize,
    text: Option<String>,
    #[serde(default)]
    sources: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DroppedWords {
    section: Section,
    memory_id: Option<String>,
    #[serde(default)]
    tokens: usize,
    reason: String,
}

#[async_trait]
impl ContextBuilder for HostContextBuilder {
    fn build(&self, _: &ContextInput<'_>) -> Result<Context> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "a context builder of the host's language has to be waited for: use build_async",
        ))
    }

    async fn build_async(&self, input: &ContextInput<'_>) -> Result<Context> {
        let counter = input.counter;
        let memory = |(memory, score): &(crate::memory::Memory, f32)| json!({"memory": memory, "score": score, "tokens": counter.count(&memory.text)});
        let argument = json!({
            "system": input.system, "system_tokens": counter.count(input.system),
            "memories": input.memories.iter().map(memory).collect::<Vec<_>>(),
            "entities": input.entities, "summary": input.summary,
            "history": input.history,
            "history_tokens": input.history.iter().map(|m| count_message(counter, m)).collect::<Vec<_>>(),
            "current": input.current, "current_tokens": count_message(counter, input.current),
            "budget": input.budget, "counter": counter.name(), "counter_exact": counter.is_exact(), "now": input.now,
        });
        let (messages, lines, dropped) = match ask::<Built>(&self.host, &self.name, "build", &argument).await? {
            Built::Messages(messages) => (messages, Vec::new(), Vec::new()),
            Built::Whole { messages, lines, dropped } => (messages, lines, dropped),
        };
        if messages.is_empty() {
            return Err(undecodable(&self.name, "build", &"no message is left to send"));
        }
        let total_tokens = count_messages(counter, &messages);
        if let Some(window) = input.budget.window.filter(|window| total_tokens > *window) {
            let problem = format!(
                "the host's context builder made a prompt of {total_tokens} tokens for a context window of {window}"
            );
            return Err(Error::new(ErrorKind::ContextTooLong, problem));
        }
        let lines: Vec<ContextLine> = lines.into_iter().map(LineWords::line).collect();
        let dropped = dropped.into_iter().map(DroppedWords::dropped).collect();
        let mut tokens: BTreeMap<Section, usize> = BTreeMap::new();
        for line in &lines {
            *tokens.entry(line.section).or_default() += line.tokens;
        }
        let tokens = tokens.into_iter().collect();
        let counter = (counter.name().to_owned(), counter.is_exact());
        Ok(Context { messages, lines, dropped, tokens, total_tokens, counter })
    }
}

impl LineWords {
    fn line(self) -> ContextLine {
        let mut line = ContextLine::new(self.section, self.tokens);
        (line.label, line.memory_id, line.text, line.sources) = (self.label, self.memory_id, self.text, self.sources);
        line
    }
}

impl DroppedWords {
    fn dropped(self) -> Dropped {
        Dropped { section: self.section, memory_id: self.memory_id, tokens: self.tokens, reason: self.reason }
    }
}
