//! An answer that is no good: what is wrong with it, and asking a stronger model.

use super::answer::Reply;
use super::tools::converse;
use super::{Prepared, Trace, Turn, stream};
use crate::chat::{Event, FinishReason, OutputFormat, Request, Response, Restart};
use crate::exec::Recovery;
use crate::router::{Plan, Planned, Sign, Target};
use serde::Serialize;
use std::sync::Arc;

/// Stronger models that are asked one after another.
const MOST: usize = 2;

/// A turn that went on to a stronger model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Escalation {
    /// Whose answer was no good.
    pub from: Target,
    /// Who was asked instead.
    pub to: Target,
    /// What was wrong with it.
    pub why: Sign,
}

/// What of an answer is held back until it is known to be good.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    /// A refusal, while nothing else was said.
    pub(super) refusal: bool,
    /// Everything: half of a JSON document is of no use.
    pub(super) text: bool,
}

impl Hold {
    /// What is held back of the answer of a model of `plan`: nothing where nobody else could be asked.
    pub(super) fn of(turn: &Turn, plan: &Plan, request: &Request) -> Self {
        let possible = turn.ask.model.is_none() && turn.policies.escalate() && plan.order.len() > 1;
        Self { refusal: possible, text: possible && request.output != OutputFormat::Text }
    }
}

/// What is wrong with `response` as an answer to a request for `output`; `None` where nothing is, or where the caller's own limits say why.
pub(super) fn fault(response: &Response, output: &OutputFormat) -> Option<Sign> {
    let text = response.text();
    let said = !text.trim().is_empty();
    let declined = response.refusal.as_ref().is_some_and(|words| !words.trim().is_empty());
    if matches!(response.finish, FinishReason::Refusal | FinishReason::ContentFilter) || declined && !said {
        return Some(Sign::Refused);
    }
    if matches!(response.finish, FinishReason::Length | FinishReason::Pause) || !response.tool_calls().is_empty() {
        return None;
    }
    match said {
        false => Some(Sign::Empty),
        true => (!follows(&text, output)).then_some(Sign::Malformed),
    }
}

/// Whether `text` is what `output` asks for. A schema that is none cannot be followed, and that is not the answer's fault.
fn follows(text: &str, output: &OutputFormat) -> bool {
    if *output == OutputFormat::Text {
        return true;
    }
    let Ok(value) = serde_json::from_str(text) else { return false };
    match output {
        OutputFormat::JsonSchema { schema, .. } => {
            jsonschema::validator_for(schema).map_or(true, |validator| validator.is_valid(&value))
        }
        OutputFormat::Json => value.is_object(),
        OutputFormat::Text => true,
    }
}

/// The models of `plan` that are expected to do better than `from` and were not called, in its order; where the plan says nothing of their
/// quality, those that come after.
fn stronger(plan: &Plan, from: &Target, trace: &Trace) -> Vec<Target> {
    let quality = |target: &Target| {
        plan.candidates.iter().find(|report| report.target == *target).and_then(|report| report.predicted_quality)
    };
    let than = quality(from);
    let place = plan.order.iter().position(|planned| planned.target == *from);
    let better = |(at, planned): (usize, &Planned)| {
        let is = match (quality(&planned.target), than) {
            (Some(quality), Some(than)) => quality > than,
            _ => place.is_none_or(|place| at > place),
        };
        let called = trace.attempts.iter().any(|attempt| attempt.target == planned.target);
        (is && !called).then(|| planned.target.clone())
    };
    plan.order.iter().enumerate().filter_map(better).collect()
}

/// Asks stronger models while the answer is no good. What was shown already stays, unless the caller lets answers begin anew
/// ([`Recovery::ResumeOrRestart`]); where nobody does better the first answer is what there is.
pub(super) async fn escalate(
    turn: &mut Turn,
    out: &stream::Emitter,
    prepared: &Prepared,
    plan: &Plan,
    request: &Request,
    mut reply: Reply,
) -> Reply {
    if turn.ask.model.is_some() || !turn.policies.escalate() {
        return reply;
    }
    let anew = turn.ask.recovery.unwrap_or(turn.rooms.recovery) == Recovery::ResumeOrRestart;
    for _ in 0..MOST {
        if reply.failed.is_some() || reply.shown && !anew {
            break;
        }
        let Some(why) = fault(&reply.outcome.answer.clone().build(), &request.output) else { break };
        let Some(from) = reply.outcome.target.clone() else { break };
        let targets = stronger(plan, &from, &turn.trace);
        let Some(to) = targets.first().cloned() else { break };
        let reason = format!("the answer of {from} was {}; a stronger model is asked", why.as_str());
        let order = targets.into_iter().map(|target| Planned { target, reason: reason.clone().into() }).collect();
        turn.think(out, format!("Asking {to}")).await;
        if reply.shown || reply.thought {
            out.emit(Event::Restart(Restart { reason: reason.clone() })).await;
            reply.show_earlier(out).await;
        }
        let (mut next, mut request) = (Arc::new(Plan { order, ..plan.clone() }), Arc::new(request.clone()));
        turn.trace.escalations.push(Escalation { from, to, why });
        let next = converse(turn, out, prepared, &mut next, &mut request, reply.earlier.clone()).await;
        if let Some(error) = &next.failed
            && !next.shown
        {
            turn.trace.warnings.push(format!("no stronger model answered: {error}"));
            // Where its thinking, or it itself, was taken back, it is shown again.
            return reply.again();
        }
        reply = next;
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ResponseBuilder;
    use serde_json::json;

    fn answer(text: &str, refusal: &str, reason: FinishReason) -> Response {
        let mut builder = ResponseBuilder::new();
        for event in
            [Event::Text { text: text.into() }, Event::Refusal { text: refusal.into() }, Event::Finish { reason }]
        {
            let silent = matches!(&event, Event::Text { text } | Event::Refusal { text } if text.is_empty());
            if !silent {
                builder.push(&event);
            }
        }
        builder.build()
    }

    #[test]
    fn what_is_wrong_with_an_answer() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let schema = OutputFormat::JsonSchema { name: "n".into(), schema };
        let nonsense = OutputFormat::JsonSchema { name: "n".into(), schema: json!({"type": 7}) };
        for (text, refusal, finish, output, expected) in [
            ("Four.", "", FinishReason::Stop, OutputFormat::Text, None),
            ("", "", FinishReason::Stop, OutputFormat::Text, Some(Sign::Empty)),
            (" \n", "", FinishReason::Stop, OutputFormat::Text, Some(Sign::Empty)),
            // The caller's own limit.
            ("", "", FinishReason::Length, OutputFormat::Text, None),
            ("", "I would rather not.", FinishReason::Stop, OutputFormat::Text, Some(Sign::Refused)),
            ("Half", "", FinishReason::ContentFilter, OutputFormat::Text, Some(Sign::Refused)),
            (r#"{"n": 4}"#, "", FinishReason::Stop, schema.clone(), None),
            (r#"{"n": "four"}"#, "", FinishReason::Stop, schema.clone(), Some(Sign::Malformed)),
            (r#"{"n": 4"#, "", FinishReason::Stop, schema.clone(), Some(Sign::Malformed)),
            (r#"{"n": 4"#, "", FinishReason::Length, schema, None),
            (r#"{"n": "four"}"#, "", FinishReason::Stop, nonsense, None),
            ("[1]", "", FinishReason::Stop, OutputFormat::Json, Some(Sign::Malformed)),
            ("{}", "", FinishReason::Stop, OutputFormat::Json, None),
        ] {
            assert_eq!(fault(&answer(text, refusal, finish), &output), expected, "{text:?} {refusal:?} {output:?}");
        }
    }
}
