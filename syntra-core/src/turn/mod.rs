//! The corridor: one question from top to bottom.
//!
//! ```text
//! scope -> thread -> analyse -> recall -> build -> plan -> execute -> save
//! ```
//!
//! Read `run` and you have read the system: each step is a function over owned types, is a span of the [`Trace`], and says what it
//! does to the stream's reader. Rooms are called from here and know nothing of each other.

mod answer;
mod ask;
mod conversation;
mod entities;
mod escalate;
mod extractive;
mod feedback;
mod learned;
mod plan;
mod policies;
mod save;
mod stream;
mod tools;
mod trace;
mod traces;
mod warmth;
mod window;

pub use ask::{Answer, Ask};
pub use escalate::Escalation;
pub(crate) use learned::LearnedFiles;
pub(crate) use policies::HostPolicies;
pub use stream::TurnStream;
pub use trace::{Span, Trace, TracedMemory};
pub(crate) use traces::Traces;
pub(crate) use warmth::Warmth;
pub(crate) use window::alike;

use crate::chat::{Answered, Event, Message, NanoDollars, NodeStatus, RecalledItem, ResponseBuilder, Scope, Usage};
use crate::clock::Clock;
use crate::context::{Budget, Context, ContextBuilder, EntityLine};
use crate::error::{Error, Result};
use crate::exec::{Admissions, Coalescer, Hedger, Recovery, ResponseCache, RetryPolicy};
use crate::memory::{Memories, Memory, RecallRequest, Recalled};
use crate::query::{self, QueryAnalysis, Rewrite};
use crate::router::{
    self, Catalogue, ExperimentArm, Experiments, Fleet, IntentGuess, Plan, Policies, Router, Sign, Target,
};
use crate::search::Strategy;
use crate::thread::{ThreadMessage, ThreadStore};
use crate::tools::Toolbox;
use crate::voice::Persona;
use conversation::{Conversation, read_thread};
use jiff::Timestamp;
use plan::Choice;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a turn needs of the house; wired once by the front door.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(crate) memories: Memories,
    pub(crate) threads: Arc<dyn ThreadStore>,
    /// The providers, and leave to call them.
    pub(crate) admissions: Admissions,
    /// Every model that may be called.
    pub(crate) targets: Vec<Target>,
    /// The least window of them, where all count tokens alike.
    pub(crate) alike: Option<u64>,
    pub(crate) catalogue: Catalogue,
    pub(crate) router: Arc<dyn Router>,
    /// Where what the router learned is kept.
    pub(crate) learned: LearnedFiles,
    /// What is allowed and wanted of the choice of a model.
    pub(crate) policies: HostPolicies,
    pub(crate) experiments: Arc<Experiments>,
    /// Tools that run here, and how many times in a row.
    pub(crate) tools: Toolbox,
    pub(crate) max_tool_rounds: u32,
    pub(crate) context: Arc<dyn ContextBuilder>,
    pub(crate) persona: Persona,
    pub(crate) budget: Budget,
    pub(crate) policy: RetryPolicy,
    pub(crate) recovery: Recovery,
    /// From the question to the end of a turn.
    pub(crate) deadline: Option<Duration>,
    pub(crate) hedger: Option<Hedger>,
    pub(crate) coalescer: Coalescer,
    /// What the models have in their prompt caches.
    pub(crate) warmth: Warmth,
    /// Answers that were given before.
    pub(crate) cache: Option<ResponseCache>,
    pub(crate) time_zone: jiff::tz::TimeZone,
    pub(crate) clock: Arc<dyn Clock>,
    /// Messages of the thread that a turn reads back.
    pub(crate) history_messages: u64,
    /// Whether a turn that no model answers is answered from memory.
    pub(crate) extractive_fallback: bool,
    /// Whether a turn says its steps in words.
    pub(crate) thinking: bool,
    pub(crate) traces: Traces,
}

/// One question on its way.
pub(crate) struct Turn {
    rooms: Arc<Rooms>,
    scope: Scope,
    ask: Ask,
    /// What is allowed and wanted of the choice of a model: by the host, for the organisation, by the caller.
    policies: Policies,
    /// The arms of experiments that it is in.
    arms: Vec<ExperimentArm>,
    /// What the question is guessed to ask for, where nothing is to be looked at, and where there is.
    read: OnceLock<IntentGuess>,
    seen: OnceLock<IntentGuess>,
    /// What was said between the question and the answer: calls of our own tools and what they returned.
    exchange: Vec<Message>,
    /// What our own tools returned where the application has to run others before the model can go on.
    results: Option<Message>,
    /// What is wrong with its answer, as far as that shows.
    fault: Option<Sign>,
    /// Whether the reader wants events as they come.
    streaming: bool,
    /// Monotonic time of the question.
    started: Duration,
    now: Timestamp,
    trace: Trace,
}

/// What an answer came to.
#[derive(Default)]
struct Outcome {
    answer: ResponseBuilder,
    target: Option<Target>,
    first_token: Option<Duration>,
    degraded: bool,
    /// Whether it was given before.
    cached: bool,
    /// Memories that an extractive answer quotes.
    quoted: Vec<String>,
}

/// What is known before a model is asked.
struct Prepared {
    question: String,
    conversation: Conversation,
    known: Known,
    context: Context,
    /// The model that it was counted for.
    model: String,
}

/// What memory has on a question.
#[derive(Default)]
struct Known {
    /// Best first, with rank scores.
    memories: Vec<(Memory, f32)>,
    /// All that was recalled, what the history shows too.
    found: Vec<(Memory, f32)>,
    /// What is known of whom and what the question names.
    entities: Vec<EntityLine>,
}

impl Turn {
    pub(crate) fn new(rooms: Arc<Rooms>, scope: Scope, ask: Ask, streaming: bool) -> Result<Self> {
        let has_content = !ask.message.text().trim().is_empty()
            || ask.message.has_image()
            || ask.message.tool_results().next().is_some()
            || ask.message.parts.iter().any(|p| matches!(p, crate::chat::Part::Document(_)));
        if !has_content {
            return Err(Error::invalid("the message is empty: give it text, an image, a document or a tool result"));
        }
        if !matches!(ask.message.role, crate::chat::Role::User | crate::chat::Role::Tool) {
            return Err(Error::invalid(
                "the current message must be of role user or tool; use Ask::with_instructions for a system text",
            ));
        }
        if let Some(history) = &ask.history {
            if ask.thread.is_some() {
                return Err(Error::invalid(
                    "the conversation so far is that of a thread or the history given, not both",
                ));
            }
            if history.iter().any(|message| message.role == crate::chat::Role::System) {
                return Err(Error::invalid(
                    "the history has a message of role system; use Ask::with_instructions for a system text",
                ));
            }
        }
        if let Some(policy) = &ask.policy {
            policy.check()?;
        }
        if let Some(tool) = ask.tools.iter().find(|tool| rooms.tools.has(&tool.name)) {
            return Err(Error::invalid(format!(
                "the tool {} is one of the assistant's own, which it runs itself: give yours another name",
                tool.name
            )));
        }
        // Who names the model has chosen already.
        let arms = if ask.model.is_some() { Vec::new() } else { rooms.experiments.assign(&scope) };
        let (arms, wanted): (Vec<_>, Vec<_>) = arms.into_iter().unzip();
        let policies = rooms.policies.of(&scope, wanted, ask.policy.as_ref());
        let started = rooms.clock.monotonic();
        let now = ask.now.unwrap_or_else(|| rooms.clock.now());
        let thread_id = ask.thread.clone().unwrap_or_else(new_id);
        let trace = Trace::new(new_id(), thread_id, now);
        Ok(Self {
            rooms,
            scope,
            ask,
            policies,
            arms,
            read: OnceLock::new(),
            seen: OnceLock::new(),
            exchange: Vec::new(),
            results: None,
            fault: None,
            streaming,
            started,
            now,
            trace,
        })
    }

    /// The stream of this turn; nothing happens before it is polled.
    pub(crate) fn into_stream(self) -> TurnStream {
        TurnStream::new(self.trace.turn_id.clone(), |out, trace| run(self, out, trace))
    }

    fn elapsed(&self) -> Duration {
        self.rooms.clock.monotonic().saturating_sub(self.started)
    }

    /// The persona's words and the caller's.
    fn system_text(&self) -> String {
        let mut system = self.rooms.persona.system_text();
        if let Some(instructions) = &self.ask.instructions {
            system.push_str("\n\n");
            system.push_str(instructions);
        }
        system
    }

    /// Says a step in words, for a host's animation.
    async fn think(&self, out: &stream::Emitter, content: String) {
        if self.rooms.thinking {
            out.emit(Event::Thinking { content }).await;
        }
    }

    /// What `question` is, found out when somebody first asks: of a model alone that is nobody.
    fn understand(&mut self, question: &str) -> &QueryAnalysis {
        let (now, zone) = (self.now, &self.rooms.time_zone);
        self.trace.analysis.get_or_insert_with(|| query::analyse(question, now, zone))
    }

    /// Ends the span `name` that began at `from`.
    fn span(&mut self, name: &'static str, from: Duration) {
        let elapsed = self.elapsed();
        self.trace.span(name, from, elapsed.saturating_sub(from));
    }
}

/// The corridor. Ends in exactly one terminal event; the trace is kept either way.
async fn run(mut turn: Turn, out: stream::Emitter, kept: Arc<OnceLock<Arc<Trace>>>) {
    let ended = corridor(&mut turn, &out).await;
    feedback::note(&turn, &ended);
    let last = match ended {
        Ok(answered) => Event::Done(Box::new(answered)),
        Err(error) => {
            turn.trace.error = Some(error.clone());
            Event::Error(error)
        }
    };
    let trace = Arc::new(turn.trace);
    turn.rooms.traces.keep(turn.scope, trace.clone());
    // The cell is this turn's own and empty.
    let _ = kept.set(trace);
    out.emit(last).await;
}

async fn corridor(turn: &mut Turn, out: &stream::Emitter) -> Result<Answered> {
    let conversation = read_thread(turn).await?;
    let question = read(turn, &conversation.history);
    let known = recall(turn, out, &question, &conversation.history).await;
    let mut prepared = plan::prepare(turn, question, conversation, known).await?;
    let fleet = turn.rooms.fleet();
    let outcome = match plan::plan(turn, &mut prepared, &fleet).await? {
        Choice::Models(plan, request) => {
            if let Some(first) = plan.order.first() {
                turn.think(out, format!("Asking {}", first.target)).await;
            }
            answer::answer(turn, out, &mut prepared, plan, *request).await?
        }
        Choice::Memory(why) => {
            turn.think(out, "Answering from memory".to_owned()).await;
            answer::extract(turn, out, &prepared, why).await
        }
    };
    save::save(turn, prepared, outcome).await
}

/// analyse: the question with its references resolved, and what it is, where memory is asked.
fn read(turn: &mut Turn, history: &[ThreadMessage]) -> String {
    let from = turn.elapsed();
    let asked = turn.ask.message.text();
    let messages: Vec<Message> = history.iter().map(|m| m.message.clone()).collect();
    let question = match query::rewrite(&asked, &messages) {
        Rewrite::Rewritten { text, .. } => {
            turn.trace.rewritten = Some(text.clone());
            text
        }
        Rewrite::Unchanged | Rewrite::Ambiguous { .. } => asked,
    };
    turn.trace.question.clone_from(&question);
    if turn.ask.recall {
        turn.understand(&question);
    }
    turn.span("query_analysis", from);
    question
}

/// recall: what memory has on the question. A failure here is a warning, not the end.
async fn recall(turn: &mut Turn, out: &stream::Emitter, question: &str, history: &[ThreadMessage]) -> Known {
    if !turn.ask.recall || question.trim().is_empty() || Answer::is_tool_result(&turn.ask.message) {
        return Known::default();
    }
    turn.think(out, looking_for(turn.trace.analysis.as_ref())).await;
    out.emit(Event::Node { name: "recall".into(), status: NodeStatus::Started }).await;
    out.emit(Event::Searching { queries: vec![question.to_owned()] }).await;
    let from = turn.elapsed();
    let mut request = RecallRequest::new(question)
        .with_limit(turn.ask.recall_limit)
        .with_now(turn.now)
        .with_time_zone(turn.rooms.time_zone.clone());
    // Small talk is answered knowing who speaks, and nothing more.
    if !turn.trace.analysis.as_ref().is_none_or(|a| a.needs_memory) {
        request = request.with_strategies([Strategy::Profile]);
    }
    let recall = match turn.rooms.memories.recall(&turn.scope, request).await {
        Ok(recall) => recall,
        Err(error) => {
            turn.trace.warnings.push(format!("recall failed: {error}"));
            out.emit(Event::Node { name: "recall".into(), status: NodeStatus::Failed }).await;
            return Known::default();
        }
    };
    turn.span("retrieval", from);
    let mut at = from;
    for (name, elapsed) in &recall.spans {
        turn.trace.span(format!("retrieval.{name}"), at, *elapsed);
        at += *elapsed;
    }
    turn.trace.warnings.extend(
        recall
            .strategies
            .iter()
            .filter_map(|s| s.error.as_ref().map(|e| format!("recall by {:?} failed: {e}", s.strategy))),
    );
    turn.trace.strategies = recall.strategies;
    if let Some(error) = recall.rerank.as_ref().and_then(|report| report.error.as_ref()) {
        turn.trace.warnings.push(format!("reading the recalled memories again failed: {error}"));
    }
    turn.trace.rerank = recall.rerank;
    // What the history shows anyway need not be shown twice to a model; an answer without one has nothing else to quote.
    let found = recall.items.iter().map(|item| (item.memory.clone(), item.score)).collect();
    let in_history: HashSet<&str> = history.iter().map(|m| m.id.as_str()).collect();
    let items: Vec<Recalled> =
        recall.items.into_iter().filter(|i| !in_history.contains(i.memory.id.as_str())).collect();
    turn.trace.recalled = items.iter().map(traced).collect();
    let shown = items
        .iter()
        .map(|item| RecalledItem {
            id: item.memory.id.clone(),
            snippet: snippet(&item.memory.text),
            score: item.score,
            source: extractive::source_of(&item.memory),
        })
        .collect();
    out.emit(Event::Recalled { items: shown }).await;
    out.emit(Event::Node { name: "recall".into(), status: NodeStatus::Finished }).await;
    let memories = items.into_iter().map(|item| (item.memory, item.score)).collect();
    Known { memories, found, entities: entities::lines(&recall.entities) }
}

/// What is looked for, in words: the first names of the question, else its keywords.
fn looking_for(analysis: Option<&QueryAnalysis>) -> String {
    let named = analysis.map(|a| if a.entities.is_empty() { &a.keywords } else { &a.entities });
    let named: Vec<String> = named.into_iter().flatten().take(3).map(|name| snippet(name)).collect();
    match named.is_empty() || !analysis.is_some_and(|a| a.needs_memory) {
        true => "Recalling who asks".to_owned(),
        false => format!("Looking for what I know about {}", named.join(", ")),
    }
}

fn traced(item: &Recalled) -> TracedMemory {
    TracedMemory {
        id: item.memory.id.clone(),
        kind: item.memory.kind,
        snippet: snippet(&item.memory.text),
        source: extractive::source_of(&item.memory).or_else(|| item.memory.conversation.clone()),
        score: item.score,
        parts: item.parts.clone(),
        found_by: item.found_by.clone(),
    }
}

impl Rooms {
    /// The fleet as it is known.
    pub(crate) fn fleet(&self) -> Fleet {
        self.admissions.health().snapshot(&self.targets)
    }

    /// What `usage` costs at `target`: what the provider said, else the catalogue's price; `None` when nobody knows.
    pub(crate) fn cost(&self, target: &Target, usage: &Usage) -> Option<NanoDollars> {
        usage.provider_cost.or_else(|| router::cost(&*self.catalogue.known(&target.provider, &target.model)?, usage))
    }

    /// The plan for `ask` without a call: what a turn would do now.
    pub(crate) async fn dry_run(self: &Arc<Self>, scope: &Scope, ask: Ask) -> Result<Plan> {
        let mut turn = Turn::new(self.clone(), scope.clone(), ask, false)?;
        let out = stream::Emitter::discard();
        let conversation = read_thread(&mut turn).await?;
        let question = read(&mut turn, &conversation.history);
        let known = recall(&mut turn, &out, &question, &conversation.history).await;
        let mut prepared = plan::prepare(&mut turn, question, conversation, known).await?;
        plan::route(&mut turn, &mut prepared, &self.fleet()).await.map(|(plan, _)| plan)
    }
}

fn snippet(text: &str) -> String {
    let mut out: String = text.chars().take(160).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
