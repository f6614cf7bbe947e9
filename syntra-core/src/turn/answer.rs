//! Answering: the models of the plan, or memory itself.

use super::escalate::{Hold, escalate};
use super::feedback::{asked_again, signs};
use super::plan::{NONE_ANSWERS, again};
use super::tools::{Earlier, run_tools};
use super::warmth::Beginnings;
use super::{Outcome, Prepared, Turn, extractive, snippet, stream};
use crate::chat::{Citation, Event, FinishReason, Request, ResponseBuilder, Usage};
use crate::context;
use crate::error::{Error, Result, Retry};
use crate::exec::{AttemptRecord, Execution, ExecutionUpdate, Meaning, Meter, ResponseCache, execute};
use crate::memory::Memory;
use crate::router::{Intent, Plan, RouteOutcome, Target, predicted_output_tokens};
use futures::StreamExt as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// execute: the models of the plan, one after another, until one answers; with a smaller prompt, once, where they found it too long;
/// memory itself if none does.
pub(super) async fn answer(
    turn: &mut Turn,
    out: &stream::Emitter,
    prepared: &mut Prepared,
    plan: Plan,
    request: Request,
) -> Result<Outcome> {
    let before = turn.trace.attempts.len();
    asked_again(turn, prepared, plan.intent);
    let (plan, mut request) = (Arc::new(plan), Arc::new(request));
    let mut used = plan.clone();
    let mut reply = call(turn, out, prepared, used.clone(), request.clone(), Earlier::default()).await;
    if let Some(error) = &reply.failed
        && error.retry() != Retry::Never
        && !reply.outcome.answer.has_content()
    {
        let attempts: Vec<AttemptRecord> = turn.trace.attempts.iter().skip(before).cloned().collect();
        if let Some((shorter_plan, shorter)) = again(turn, prepared, &plan, &attempts).await {
            turn.think(out, "Asking again, more briefly".to_owned()).await;
            (used, request) = (Arc::new(shorter_plan), Arc::new(shorter));
            reply = call(turn, out, prepared, used.clone(), request.clone(), Earlier::default()).await;
        }
    }
    let reply = run_tools(turn, out, prepared, &mut used, &mut request, reply).await;
    let reply = escalate(turn, out, prepared, &plan, &request, reply).await;
    let Reply { outcome, failed, earlier, .. } = reply.show(turn, out, prepared).await;
    let shown = outcome.answer.has_content() || !earlier.events.is_empty();
    signs(turn, plan.intent, &request, &outcome, failed.as_ref());
    drop(used);
    turn.trace.plan = Some(Arc::unwrap_or_clone(plan));
    match failed {
        None => Ok(outcome),
        // A caller's own fault, a pinned model, or text that was shown already: the caller has to know.
        Some(error) if !turn.rooms.extractive_fallback || turn.ask.model.is_some() || shown => Err(error),
        Some(error) if error.retry() == Retry::Never => Err(error),
        Some(error) => {
            turn.trace.warnings.push(format!("no model answered: {error}"));
            Ok(extract(turn, out, prepared, NONE_ANSWERS).await)
        }
    }
}

/// What came of carrying a plan out.
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    /// The error it failed with.
    pub(super) failed: Option<Error>,
    /// Whether the reader saw any of its words, and of its thinking.
    pub(super) shown: bool,
    pub(super) thought: bool,
    /// What the reader has not seen yet.
    held: Vec<Event>,
    finish: Option<Event>,
    /// What it saw of the rounds before, in which tools were called.
    pub(super) earlier: Earlier,
}

impl Reply {
    /// The answer, to be shown again after it was taken back.
    pub(super) fn again(mut self) -> Self {
        if self.shown || self.thought {
            let whole = self.outcome.answer.clone().build().into_events();
            self.held = whole.into_iter().filter(|e| !matches!(e, Event::Finish { .. })).collect();
        }
        self
    }

    /// Shows the rounds before again, after all was taken back.
    pub(super) async fn show_earlier(&self, out: &stream::Emitter) {
        for event in &self.earlier.events {
            out.emit(event.clone()).await;
        }
    }

    /// Ends a round in which only our own tools were called: shows what was held back of it, or forgets that if `words` are of no use.
    pub(super) async fn end_round(mut self, turn: &Turn, out: &stream::Emitter, words: bool) -> Earlier {
        let forgotten = !words && !self.held.is_empty();
        if forgotten {
            self.held.clear();
        }
        self.release(out).await;
        self.drop_calls(turn);
        let said = self.outcome.answer.build().into_events().into_iter();
        let mut events = self.earlier.events;
        events.extend(said.filter(|event| match event {
            Event::Text { .. } | Event::Refusal { .. } => !forgotten,
            event => event.is_content() || matches!(event, Event::Citation(_)),
        }));
        Earlier { events, target: self.outcome.target }
    }

    /// Takes the calls of our own tools out of the answer; whether there were any.
    pub(super) fn drop_calls(&mut self, turn: &Turn) -> bool {
        let whole = self.outcome.answer.clone().build();
        if !whole.tool_calls().iter().any(|call| turn.runs(&call.name)) {
            return false;
        }
        let mut rest = ResponseBuilder::new();
        let others = |event: &Event| !matches!(event, Event::ToolCall(call) if turn.runs(&call.name));
        whole.into_events().iter().filter(|event| others(event)).for_each(|event| rest.push(event));
        self.outcome.answer = rest;
        true
    }

    /// Takes an event of the answer: to the reader, or to what is held back.
    async fn take(&mut self, out: &stream::Emitter, event: Event, hold: Hold) {
        match &event {
            Event::Restart(_) => {
                self.held.clear();
                if std::mem::take(&mut self.shown) | std::mem::take(&mut self.thought) {
                    out.emit(event).await;
                    self.show_earlier(out).await;
                }
                return;
            }
            // Who called the tools goes on: that is no news.
            Event::Routed(routed)
                if self
                    .earlier
                    .target
                    .as_ref()
                    .is_some_and(|by| by.provider == routed.provider && by.model == routed.model) =>
            {
                return;
            }
            Event::Routed(_) | Event::Thinking { .. } => return out.emit(event).await,
            Event::Reasoning { .. } if self.held.is_empty() => self.thought |= event.is_content(),
            Event::Text { .. } | Event::Refusal { .. } if hold.text => return self.held.push(event),
            Event::Refusal { .. } if hold.refusal && !self.shown => return self.held.push(event),
            event if event.is_content() => {
                self.shown = true;
                self.release(out).await;
            }
            _ if !self.held.is_empty() => return self.held.push(event),
            _ => {}
        }
        out.emit(event).await;
    }

    async fn release(&mut self, out: &stream::Emitter) {
        for event in std::mem::take(&mut self.held) {
            self.shown |= event.is_content();
            out.emit(event).await;
        }
    }

    /// Shows what was held back, and ends the answer: our own citations come before the end, like everybody's.
    async fn show(mut self, turn: &Turn, out: &stream::Emitter, prepared: &Prepared) -> Self {
        self.release(out).await;
        if self.failed.is_none() {
            let text = self.outcome.answer.text();
            let mut last: Vec<Event> = cited(prepared, &text).into_iter().map(Event::Citation).collect();
            if self.outcome.answer.usage().total_tokens().is_none() {
                last.push(Event::Usage(turn.trace.usage.clone()));
            }
            last.extend(self.finish.take());
            for event in last {
                self.outcome.answer.push(&event);
                out.emit(event).await;
            }
        }
        self
    }
}

/// Carries a plan out.
pub(super) async fn call(
    turn: &mut Turn,
    out: &stream::Emitter,
    prepared: &Prepared,
    plan: Arc<Plan>,
    request: Arc<Request>,
    earlier: Earlier,
) -> Reply {
    let from = turn.elapsed();
    let intent = plan.intent;
    let hold = Hold::of(turn, &plan, &request);
    let beginnings = Beginnings::of(turn.scope.org(), &request);
    let mut execution = execution(turn, prepared, plan, request);
    execution.question = meaning(turn, prepared, execution.cache.as_ref()).await;
    let mut updates = execute(execution);
    let (outcome, held, finish) = (Outcome::default(), Vec::new(), None);
    // The words of two rounds stand apart.
    let mut apart = earlier.has_text();
    let mut reply = Reply { outcome, failed: None, shown: false, thought: false, held, finish, earlier };
    while let Some(update) = updates.next().await {
        match update {
            Ok(ExecutionUpdate::Attempt(record)) => {
                reply.outcome.cached = record.cached;
                if record.error.is_none() && !(record.shared || record.cached) {
                    let prompt = prepared.context.total_tokens as u64;
                    turn.rooms.warmth.sent(&beginnings, prompt, &record.target, &record.usage);
                }
                note_attempt(turn, intent, record);
            }
            Ok(ExecutionUpdate::Event(event)) => {
                if event.is_content() && reply.outcome.first_token.is_none() {
                    reply.outcome.first_token = Some(turn.elapsed());
                    turn.span("llm.first_token", from);
                }
                if let Event::Routed(routed) = &event {
                    reply.outcome.target = Some(Target::new(&routed.provider, &routed.model));
                }
                reply.outcome.answer.push(&event);
                match event {
                    Event::Finish { .. } => reply.finish = Some(event),
                    Event::ToolCall(call) if turn.runs(&call.name) => {}
                    Event::Restart(_) => {
                        apart = reply.earlier.has_text();
                        reply.take(out, event, hold).await;
                    }
                    Event::Text { text } if apart && !text.is_empty() => {
                        apart = false;
                        reply.take(out, Event::Text { text: format!("\n\n{text}") }, hold).await;
                    }
                    event => reply.take(out, event, hold).await,
                }
            }
            Err(error) => reply.failed = Some(error),
        }
    }
    turn.span("llm", from);
    reply
}

/// The memories that the answer cites by their labels, `[1]` and so on.
fn cited(prepared: &Prepared, text: &str) -> Vec<Citation> {
    let by_id: HashMap<&str, &Memory> = prepared.known.memories.iter().map(|(m, _)| (m.id.as_str(), m)).collect();
    let lines = prepared.context.lines.iter();
    lines
        .filter_map(|line| {
            let (label, id) = (line.label?, line.memory_id.as_deref()?);
            let memory = by_id.get(id)?;
            text.contains(&format!("[{label}]")).then(|| extractive::citation(memory, &snippet(&memory.text)))
        })
        .collect()
}

/// What is carried out for `turn`.
fn execution(turn: &Turn, prepared: &Prepared, plan: Arc<Plan>, request: Arc<Request>) -> Execution {
    let rooms = &turn.rooms;
    let output = request.max_tokens.map_or_else(|| predicted_output_tokens(plan.intent), u64::from);
    let mut execution =
        Execution::new(plan, turn.scope.clone(), rooms.admissions.clone(), request, rooms.clock.clone());
    execution.estimated_tokens = prepared.context.total_tokens as u64 + output;
    execution.streaming = turn.streaming;
    execution.coalescer = rooms.coalescer.clone();
    execution.cache = rooms.cache.clone().filter(|_| turn.ask.cache.unwrap_or(true));
    execution.policy = rooms.policy.clone();
    execution.recovery = turn.ask.recovery.unwrap_or(rooms.recovery);
    execution.deadline = turn.ask.deadline.or(rooms.deadline).map(|limit| limit.saturating_sub(turn.elapsed()));
    execution.hedger = rooms.hedger.clone();
    execution.meter = Some(Meter {
        prompt_tokens: prepared.context.total_tokens as u64,
        count: Arc::new(|target, text| context::counter_for(&target.model).count(text) as u64),
    });
    execution
}

/// What the question means, where an answer may be found by meaning: not where it speaks of a time or of now.
async fn meaning(turn: &mut Turn, prepared: &Prepared, cache: Option<&ResponseCache>) -> Option<Meaning> {
    let with_tools = !turn.ask.tools.is_empty() || turn.tool_rounds() > 0;
    if !cache.is_some_and(ResponseCache::by_meaning) || with_tools {
        return None;
    }
    let analysis = turn.understand(&prepared.question);
    if analysis.time.is_some() || analysis.about_now || analysis.asks_when {
        return None;
    }
    let question = turn.ask.message.text();
    match turn.rooms.memories.embedder().embed(&[&question]).await {
        Ok(vectors) => vectors.into_iter().next().map(|vector| Meaning::new(&question, vector)),
        Err(error) => {
            turn.trace.warnings.push(format!("no answer was looked for by meaning: {error}"));
            None
        }
    }
}

fn observed(record: &AttemptRecord, intent: Intent) -> RouteOutcome {
    let mut observed = RouteOutcome::new(record.target.clone(), intent, Duration::from_millis(record.elapsed_ms));
    observed.error = record.error;
    observed.first_token = record.first_token_ms.map(Duration::from_millis);
    observed.input_tokens = record.usage.input_tokens.unwrap_or(0);
    observed.cached_input_tokens = record.usage.cached_input_tokens;
    observed.output_tokens = record.usage.output_tokens;
    observed
}

/// Bills an attempt and tells the router how it went; the fleet's health knows from the call itself. A call that another bears is free,
/// as is an answer that was given before, and neither says anything of the model that was not said already.
fn note_attempt(turn: &mut Turn, intent: Intent, mut record: AttemptRecord) {
    if record.shared {
        record.usage.provider_cost = None;
    }
    turn.trace.usage.add(&record.usage);
    if record.shared || record.cached {
        turn.trace.attempts.push(record);
        return;
    }
    let cost = turn.rooms.cost(&record.target, &record.usage);
    if record.usage != Usage::default() {
        turn.trace.cost = turn.trace.cost.zip(cost).map(|(sum, cost)| sum + cost);
    }
    let mut observed = observed(&record, intent);
    observed.cost = cost;
    turn.rooms.router.observe(&observed);
    turn.trace.attempts.push(record);
}

/// The answer from memory alone, as events.
pub(super) async fn extract(turn: &mut Turn, out: &stream::Emitter, prepared: &Prepared, why: &str) -> Outcome {
    let analysis = turn.understand(&prepared.question);
    let extract = extractive::extract(&prepared.question, analysis, &prepared.known.found, why);
    turn.trace.degraded = true;
    let first_token = Some(turn.elapsed());
    let mut outcome = Outcome { degraded: true, first_token, quoted: extract.used, ..Outcome::default() };
    let mut events = vec![Event::Text { text: extract.text }];
    events.extend(extract.citations.into_iter().map(Event::Citation));
    events.push(Event::Finish { reason: FinishReason::Stop });
    for event in events {
        outcome.answer.push(&event);
        out.emit(event).await;
    }
    outcome
}
