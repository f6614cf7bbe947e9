//! The prompt and who is to get it: what fits the likely model, which models can take it, and a smaller one where none can.

use super::policies::planned;
use super::warmth::Beginnings;
use super::window::{largest, likely, smaller, window_of};
use super::{Conversation, Known, Prepared, Turn};
use crate::chat::{Message, Request};
use crate::context::{self, Budget, Context, ContextInput};
use crate::error::{ErrorKind, Result};
use crate::exec::AttemptRecord;
use crate::router::{self, Fleet, IntentGuess, Plan, Planned, RouteQuery, Target};
use crate::thread::ThreadMessage;

/// Who answers.
pub(super) enum Choice {
    /// The models of a plan.
    Models(Plan, Box<Request>),
    /// Memory alone, and why.
    Memory(&'static str),
}

const NO_MODEL: &str = "No model is configured";
pub(super) const NONE_ANSWERS: &str = "No model could be reached";

/// build: what fits the budget and the window of the model that is likely to answer.
pub(super) async fn prepare(
    turn: &mut Turn,
    question: String,
    conversation: Conversation,
    known: Known,
) -> Result<Prepared> {
    let request = turn.request(vec![turn.ask.message.clone()]);
    let query = route_query(turn, &request, &question, &conversation.history);
    let guess = guess(turn, &conversation, &known);
    let target = likely(turn, &query, guess).await;
    let window = target.as_ref().and_then(|target| window_of(turn, target, &query));
    let model = target.map(|target| target.model).unwrap_or_default();
    let mut prepared = Prepared { question, conversation, known, context: Context::default(), model };
    prepared.context = match build(turn, &prepared, window).await {
        // What has to be there is too much for that model; another may have a larger window.
        Err(error) if error.kind() == ErrorKind::ContextTooLong && window.is_some() && turn.ask.model.is_none() => {
            let most = largest(turn, &turn.rooms.targets, &query);
            if most.is_some_and(|most| Some(most) <= window) {
                return Err(error);
            }
            build(turn, &prepared, most).await?
        }
        built => built?,
    };
    Ok(prepared)
}

/// Tokens that the prompt may come to, before it is built: a quarter of the characters there are, within the budget.
fn guess(turn: &Turn, conversation: &Conversation, known: &Known) -> u64 {
    let texts = known.memories.iter().map(|(memory, _)| memory.text.len());
    let said = conversation.history.iter().map(|m| m.message.text().len());
    let rest = (texts.sum::<usize>() + said.sum::<usize>()) / 4;
    let fixed = (turn.ask.message.text().len() + turn.system_text().len()) / 4;
    (rest.min(turn.rooms.budget.total) + fixed) as u64
}

/// System text first, the current message last, in between what fits the budget and `window`.
async fn build(turn: &mut Turn, prepared: &Prepared, window: Option<u64>) -> Result<Context> {
    let from = turn.elapsed();
    let Prepared { question, conversation, known, model, .. } = prepared;
    let system = turn.system_text();
    let messages: Vec<Message> = conversation.history.iter().map(|m| m.message.clone()).collect();
    let counter = context::counter_for(model);
    // A prompt is not the better for being full.
    let (memories, mut dropped) = context::relevant(question, &known.memories, counter.as_ref());
    let window = window.map(|tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
    let budget = &turn.rooms.budget;
    let budget = Budget { window: [budget.window, window].into_iter().flatten().min(), ..budget.clone() };
    let input = ContextInput {
        system: &system,
        memories: &memories,
        entities: &known.entities,
        summary: conversation.older.as_ref().and_then(|older| older.text.as_deref()),
        history: &messages,
        current: &turn.ask.message,
        budget: &budget,
        counter: counter.as_ref(),
        now: turn.now,
    };
    let context = turn.rooms.context.build_async(&input).await;
    turn.span("context_building", from);
    let mut context = context?;
    context.dropped.append(&mut dropped);
    turn.trace.context.clone_from(&context.lines);
    turn.trace.dropped.clone_from(&context.dropped);
    turn.trace.tokens.clone_from(&context.tokens);
    turn.trace.prompt_tokens = context.total_tokens;
    turn.trace.counter = Some(context.counter.clone());
    Ok(context)
}

/// Builds the prompt again for at most `window` tokens, and says so in the trace.
async fn rebuild(turn: &mut Turn, prepared: &mut Prepared, target: &Target, window: u64, why: &str) -> Result<()> {
    let before = prepared.context.total_tokens;
    let model = std::mem::replace(&mut prepared.model, target.model.clone());
    match build(turn, prepared, Some(window)).await {
        Ok(context) => {
            let after = context.total_tokens;
            prepared.context = context;
            turn.trace.warnings.push(format!("{why}: the prompt of {before} tokens was built again with {after}"));
            Ok(())
        }
        Err(error) => {
            prepared.model = model;
            Err(error)
        }
    }
}

/// plan: which models, in which order, and why. Where all are too small for the prompt, it is built again for the largest.
pub(super) async fn plan(turn: &mut Turn, prepared: &mut Prepared, fleet: &Fleet) -> Result<Choice> {
    let memory_may = turn.rooms.extractive_fallback && turn.ask.model.is_none();
    if turn.rooms.targets.is_empty() && memory_may {
        return Ok(Choice::Memory(NO_MODEL));
    }
    let from = turn.elapsed();
    let planned = route(turn, prepared, fleet).await;
    turn.span("planning", from);
    match planned {
        Ok((plan, request)) => Ok(Choice::Models(plan, Box::new(request))),
        // Every model that could answer is being left alone for failing: that is as good as none answering.
        Err(error) if memory_may && error.kind() == ErrorKind::Overloaded => {
            turn.trace.warnings.push(format!("no model to call: {error}"));
            Ok(Choice::Memory(NONE_ANSWERS))
        }
        Err(error) => Err(error),
    }
}

/// The router's plan for the prompt, or for a shorter one where it is too long for all.
pub(super) async fn route(turn: &mut Turn, prepared: &mut Prepared, fleet: &Fleet) -> Result<(Plan, Request)> {
    let (query, request) = asked(turn, prepared);
    match planned(turn, &query, fleet).await {
        Ok(plan) => Ok((plan, request)),
        Err(error) => {
            shorten(turn, prepared, fleet).await.ok_or(error)?;
            let (query, request) = asked(turn, prepared);
            Ok((planned(turn, &query, fleet).await?, request))
        }
    }
}

/// The prompt as a question to the router, and as a request.
fn asked(turn: &Turn, prepared: &Prepared) -> (RouteQuery, Request) {
    let request = turn.request(prepared.context.messages.clone());
    let mut query = route_query(turn, &request, &prepared.question, &prepared.conversation.history);
    query.input_tokens = prepared.context.total_tokens as u64;
    query.cached = turn.rooms.warmth.of(&Beginnings::of(turn.scope.org(), &request), query.input_tokens);
    (query, request)
}

/// Builds the prompt again for the largest model of those that could take it if it were shorter; `None` where length is not what
/// keeps them.
async fn shorten(turn: &mut Turn, prepared: &mut Prepared, fleet: &Fleet) -> Option<()> {
    let (query, _) = asked(turn, prepared);
    let (target, window) = too_small(turn, &query, fleet).await?.into_iter().max_by_key(|(_, window)| *window)?;
    let why = format!("no window is large enough, the largest is that of {target}");
    rebuild(turn, prepared, &target, window, &why).await.ok()
}

/// The models that are kept from a question by the length of the prompt alone, with what they take.
async fn too_small(turn: &Turn, query: &RouteQuery, fleet: &Fleet) -> Option<Vec<(Target, u64)>> {
    let open = planned(turn, &RouteQuery { input_tokens: 0, ..query.clone() }, fleet).await.ok()?;
    let targets = open.order.into_iter().map(|planned| planned.target);
    let small = targets.filter_map(|target| window_of(turn, &target, query).map(|window| (target, window)));
    Some(small.filter(|(_, window)| *window < query.input_tokens).collect())
}

/// What is left to try when no model of `plan` answered: those that found the prompt too long (`attempts` has what they said), and
/// else those that were left out for their windows, with a smaller prompt. `None` where length is not what it failed for.
pub(super) async fn again(
    turn: &mut Turn,
    prepared: &mut Prepared,
    plan: &Plan,
    attempts: &[AttemptRecord],
) -> Option<(Plan, Request)> {
    let (query, _) = asked(turn, prepared);
    let refused: Vec<&AttemptRecord> =
        attempts.iter().filter(|attempt| attempt.error == Some(ErrorKind::ContextTooLong)).collect();
    let (targets, window, why) = if let Some(last) = refused.last() {
        let exact = prepared.context.counter.1;
        let room = |attempt: &&AttemptRecord| {
            smaller(query.input_tokens, exact, query.output_tokens, attempt.message.as_deref().unwrap_or(""))
        };
        // What the most generous of them takes; those that take less are asked after it.
        let window = refused.iter().map(room).max()?;
        let targets: Vec<Target> = refused.iter().map(|attempt| attempt.target.clone()).collect();
        (targets, window, format!("{} found it too long", last.target))
    } else {
        let mut small = too_small(turn, &query, &turn.rooms.fleet()).await?;
        small.retain(|(target, _)| !attempts.iter().any(|attempt| attempt.target == *target));
        let window = small.iter().map(|(_, window)| *window).max()?;
        let targets = small.into_iter().filter(|(_, takes)| *takes == window).map(|(target, _)| target).collect();
        (targets, window, "no model with a larger window answered".to_owned())
    };
    rebuild(turn, prepared, targets.first()?, window, &why).await.ok()?;
    let reason = format!("a shorter prompt; {why}");
    let order = targets.into_iter().map(|target| Planned { target, reason: reason.clone().into() }).collect();
    let request = turn.request(prepared.context.messages.clone());
    Some((Plan::new(order, plan.candidates.clone(), plan.intent, plan.confidence), request))
}

/// What is asked for. It is asked several times in a turn, of the same question and conversation.
fn guessed(turn: &Turn, has_image: bool, question: &str, history: &[ThreadMessage]) -> IntentGuess {
    let of = if has_image { &turn.seen } else { &turn.read };
    let guess = || {
        let before: Vec<Message> = history.iter().map(|m| m.message.clone()).collect();
        router::classify(question, has_image, &before)
    };
    of.get_or_init(guess).clone()
}

fn route_query(turn: &Turn, request: &Request, question: &str, history: &[ThreadMessage]) -> RouteQuery {
    let guess = guessed(turn, request.has_image(), question, history);
    let mut query = RouteQuery::new(question, guess.intent);
    query.confidence = guess.confidence;
    query.needs = router::needs_of(request, guess.intent);
    query.output_tokens = request.max_tokens.map_or_else(|| router::predicted_output_tokens(guess.intent), u64::from);
    query.history_messages = history.len();
    query.pinned.clone_from(&turn.ask.model);
    query.max_cost = turn.ask.max_cost;
    turn.scope.org().clone_into(&mut query.organisation);
    query.policies = turn.policies.clone();
    query.regions = turn.rooms.policies.regions.clone();
    query.seed = router::stable_hash(turn.trace.turn_id.as_bytes());
    query
}
