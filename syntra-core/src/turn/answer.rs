//! Answering: the models of the plan, or memory itself.

use super::plan::{NONE_ANSWERS, again};
use super::{Outcome, Prepared, Turn, extractive, snippet, stream};
use crate::chat::{Citation, Event, FinishReason, Request, Usage};
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
    let (mut outcome, mut failed) = call(turn, out, prepared, plan.clone(), request).await;
    if let Some(error) = &failed
        && error.retry() != Retry::Never
        && !outcome.answer.has_content()
    {
        let attempts: Vec<AttemptRecord> = turn.trace.attempts.iter().skip(before).cloned().collect();
        if let Some((plan, request)) = again(turn, prepared, &plan, &attempts).await {
            turn.think(out, "Asking again, more briefly".to_owned()).await;
            (outcome, failed) = call(turn, out, prepared, plan, request).await;
        }
    }
    match failed {
        None => Ok(outcome),
        // A caller's own fault, a pinned model, or text that was shown already: the caller has to know.
        Some(error) if !turn.rooms.extractive_fallback || turn.ask.model.is_some() || outcome.answer.has_content() => {
            Err(error)
        }
        Some(error) if error.retry() == Retry::Never => Err(error),
        Some(error) => {
            turn.trace.warnings.push(format!("no model answered: {error}"));
            Ok(extract(turn, out, prepared, NONE_ANSWERS).await)
        }
    }
}

/// Carries a plan out: what came of it, and the error it failed with.
async fn call(
    turn: &mut Turn,
    out: &stream::Emitter,
    prepared: &Prepared,
    plan: Plan,
    request: Request,
) -> (Outcome, Option<Error>) {
    let from = turn.elapsed();
    let intent = plan.intent;
    let mut execution = execution(turn, prepared, plan, request);
    execution.question = meaning(turn, prepared, execution.cache.as_ref()).await;
    let mut updates = execute(execution);
    let mut outcome = Outcome::default();
    let mut failed = None;
    let mut finish = None;
    while let Some(update) = updates.next().await {
        match update {
            Ok(ExecutionUpdate::Attempt(record)) => {
                outcome.cached = record.cached;
                note_attempt(turn, intent, record);
            }
            Ok(ExecutionUpdate::Event(event)) => {
                if event.is_content() && outcome.first_token.is_none() {
                    outcome.first_token = Some(turn.elapsed());
                    turn.span("llm.first_token", from);
                }
                if let Event::Routed(routed) = &event {
                    outcome.target = Some(Target::new(&routed.provider, &routed.model));
                }
                outcome.answer.push(&event);
                match event {
                    // Our own citations come before the end, like everybody's.
                    Event::Finish { .. } => finish = Some(event),
                    event => out.emit(event).await,
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    turn.span("llm", from);
    if failed.is_none() {
        let mut last: Vec<Event> = cited(prepared, &outcome.answer.text()).into_iter().map(Event::Citation).collect();
        if outcome.answer.usage().total_tokens().is_none() {
            last.push(Event::Usage(turn.trace.usage.clone()));
        }
        last.extend(finish);
        for event in last {
            outcome.answer.push(&event);
            out.emit(event).await;
        }
    }
    (outcome, failed)
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
fn execution(turn: &Turn, prepared: &Prepared, plan: Plan, request: Request) -> Execution {
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
    let analysis = &prepared.analysis;
    let timeless = analysis.time.is_none() && !analysis.about_now && !analysis.asks_when;
    if !cache.is_some_and(ResponseCache::by_meaning) || !timeless || !turn.ask.tools.is_empty() {
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
    let extract = extractive::extract(&prepared.question, &prepared.analysis, &prepared.known.found, why);
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
