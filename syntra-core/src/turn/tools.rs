//! The model's calls of the assistant's own tools: run, and the model asked again with what they returned.

use super::answer::{Reply, call};
use super::{Prepared, Turn, stream};
use crate::chat::{Event, Message, NodeStatus, OutputFormat, Part, Request, Role, ToolCall, ToolChoice};
use crate::router::{Plan, Target};
use std::sync::Arc;

/// What the reader saw before the last round, for when an answer begins anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Earlier {
    pub(super) events: Vec<Event>,
    /// Who said it.
    pub(super) target: Option<Target>,
}

impl Earlier {
    /// Whether words were shown, from which the next ones have to stand apart.
    pub(super) fn has_text(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Text { text } if !text.is_empty()))
    }
}

impl Turn {
    /// How many times in a row calls of our own tools are run.
    pub(super) fn tool_rounds(&self) -> u32 {
        if self.rooms.tools.is_empty() || self.ask.tool_choice == ToolChoice::None {
            return 0;
        }
        self.ask.max_tool_rounds.unwrap_or(self.rooms.max_tool_rounds)
    }

    /// Whether a call of the tool `name` is ours to run.
    pub(super) fn runs(&self, name: &str) -> bool {
        self.tool_rounds() > 0 && self.rooms.tools.has(name)
    }

    /// The request to a model whose context is `messages`: what is asked, with our own tools.
    pub(super) fn request(&self, messages: Vec<Message>) -> Request {
        let mut request = self.ask.request(messages);
        if self.tool_rounds() > 0 {
            request.tools.extend(self.rooms.tools.definitions().cloned());
        }
        request
    }
}

/// Carries a plan out and runs the calls of our own tools that the model makes, until it answers or has called often enough. `plan` and
/// `request` become those of the last call.
pub(super) async fn converse(
    turn: &mut Turn,
    out: &stream::Emitter,
    prepared: &Prepared,
    plan: &mut Arc<Plan>,
    request: &mut Arc<Request>,
    earlier: Earlier,
) -> Reply {
    let reply = call(turn, out, prepared, plan.clone(), request.clone(), earlier).await;
    run_tools(turn, out, prepared, plan, request, reply).await
}

/// As [`converse`], from the first answer on.
pub(super) async fn run_tools(
    turn: &mut Turn,
    out: &stream::Emitter,
    prepared: &Prepared,
    plan: &mut Arc<Plan>,
    request: &mut Arc<Request>,
    mut reply: Reply,
) -> Reply {
    let rounds = turn.tool_rounds();
    for round in 1..=rounds {
        let said = reply.outcome.answer.clone().build().message;
        let calls: Vec<ToolCall> = said.tool_calls().cloned().collect();
        if reply.failed.is_some() || !calls.iter().any(|call| turn.runs(&call.name)) {
            return reply;
        }
        let results = run(turn, out, &calls).await;
        if calls.iter().any(|call| !turn.runs(&call.name)) {
            // The rest is the application's to run; our results wait in the thread for its own.
            turn.results = Some(results);
            return reply;
        }
        // A word before a JSON document would spoil it.
        let first_token = reply.outcome.first_token;
        let earlier = reply.end_round(turn, out, request.output == OutputFormat::Text).await;
        prefer(Arc::make_mut(plan), earlier.target.as_ref());
        let next = Arc::make_mut(request);
        for message in [said, results] {
            turn.exchange.push(message.clone());
            next.messages.push(message);
        }
        // What had to be called was called; and in the end there has to be an answer.
        next.tool_choice = if round == rounds { ToolChoice::None } else { ToolChoice::Auto };
        turn.think(out, "Reading what the tools returned".to_owned()).await;
        reply = call(turn, out, prepared, plan.clone(), request.clone(), earlier).await;
        reply.outcome.first_token = first_token.or(reply.outcome.first_token);
    }
    if reply.drop_calls(turn) {
        turn.trace.warnings.push(format!("the model wants to call tools again after {rounds} rounds of them"));
    }
    reply
}

/// Runs those of `calls` that are of our own tools; the message that answers them.
async fn run(turn: &mut Turn, out: &stream::Emitter, calls: &[ToolCall]) -> Message {
    let from = turn.elapsed();
    let ours: Vec<&str> = calls.iter().map(|call| call.name.as_str()).filter(|name| turn.runs(name)).collect();
    turn.think(out, format!("Using {}", ours.join(", "))).await;
    for name in &ours {
        out.emit(Event::Node { name: format!("tool.{name}"), status: NodeStatus::Started }).await;
    }
    let limit = turn.ask.deadline.or(turn.rooms.deadline).map(|limit| limit.saturating_sub(from));
    let ran = turn.rooms.tools.run(calls, &turn.scope, &turn.trace.turn_id, limit).await;
    let mut parts = Vec::with_capacity(ran.len());
    for (result, run) in ran {
        let status = if run.error.is_some() { NodeStatus::Failed } else { NodeStatus::Finished };
        out.emit(Event::Node { name: format!("tool.{}", run.name), status }).await;
        turn.trace.tools.push(run);
        parts.push(Part::ToolResult(result));
    }
    turn.span("tools", from);
    Message::new(Role::Tool, parts)
}

/// Puts the model that called the tools first: its thinking may be sealed for its own provider.
fn prefer(plan: &mut Plan, target: Option<&Target>) {
    if let Some(place) = plan.order.iter().position(|planned| Some(&planned.target) == target) {
        let planned = plan.order.remove(place);
        plan.order.insert(0, planned);
    }
}
