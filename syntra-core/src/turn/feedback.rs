//! What a score for an answer teaches the router.

use super::escalate::fault;
use super::{Outcome, Prepared, Rooms, Trace, Turn};
use crate::chat::{Answered, NanoDollars, Request, Role, Scope};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::router::{Intent, RouteOutcome, Sign, Target, TurnResult};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Tells the router what the answers of a turn came to: those that a stronger model was asked instead of, and the last.
pub(super) fn signs(turn: &mut Turn, intent: Intent, request: &Request, outcome: &Outcome, failed: Option<&Error>) {
    for escalation in &turn.trace.escalations {
        observe(turn, intent, &escalation.from, escalation.why);
    }
    let last = turn.trace.attempts.last();
    // What was answered before, or is another's answer too, was counted then and there; a failure is no answer.
    if failed.is_none()
        && !outcome.cached
        && last.is_some_and(|attempt| !attempt.shared)
        && let Some(target) = &outcome.target
        && !turn.trace.escalations.iter().any(|escalation| escalation.from == *target)
    {
        turn.fault = fault(&outcome.answer.clone().build(), &request.output);
        observe(turn, intent, target, turn.fault.unwrap_or(Sign::Fine));
    }
}

/// Tells the router when the question was answered before in the same conversation, just now: who asks again was not content.
pub(super) fn asked_again(turn: &Turn, prepared: &Prepared, intent: Intent) {
    let mut before = prepared.conversation.history.iter().rev();
    let answered = before.by_ref().find(|message| message.message.role == Role::Assistant);
    let asked = before.find(|message| message.message.role == Role::User);
    let (Some(answered), Some(asked)) = (answered, asked) else { return };
    let plain = |text: &str| -> String {
        let letters = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' });
        letters.flat_map(char::to_lowercase).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let question = plain(&turn.ask.message.text());
    let word = |name: &str| answered.metadata.get(name).and_then(Value::as_str);
    // "Yes" twice is no complaint.
    if question.chars().count() >= 8
        && question == plain(&asked.message.text())
        && let (Some(provider), Some(model)) = (word("provider"), word("model"))
    {
        observe(turn, intent, &Target::new(provider, model), Sign::AskedAgain);
    }
}

fn observe(turn: &Turn, intent: Intent, target: &Target, sign: Sign) {
    let mut outcome = RouteOutcome::new(target.clone(), intent, Duration::ZERO);
    outcome.sign = Some(sign);
    turn.scope.org().clone_into(&mut outcome.organisation);
    turn.rooms.router.observe(&outcome);
    if sign != Sign::Fine {
        // Rare, and worth keeping; nobody waits for it. What cannot be written now is with the next score, which says so.
        keep(turn);
    }
}

fn keep(turn: &Turn) {
    let (files, organisation) = (turn.rooms.learned.clone(), turn.scope.org().to_owned());
    tokio::spawn(async move { files.save(&organisation).await });
}

/// Counts the turn for the experiments that it was in; not where the caller himself is to blame for its end.
pub(super) fn note(turn: &Turn, ended: &Result<Answered>) {
    let own_fault = ended.as_ref().is_err_and(|error| error.retry() == Retry::Never);
    if turn.arms.is_empty() || own_fault {
        return;
    }
    let answered = ended.as_ref().ok();
    let called = !turn.trace.attempts.is_empty();
    let result = TurnResult {
        bad: turn.fault.is_some() || turn.trace.degraded || answered.is_none(),
        cost: turn.trace.cost.filter(|_| called).map(NanoDollars::usd),
        first_token_ms: answered.filter(|a| !a.degraded).and_then(|a| a.first_token_ms).map(|ms| ms as f64),
    };
    if turn.rooms.experiments.note(turn.scope.org(), &turn.arms, &result) {
        keep(turn);
    }
}

impl Rooms {
    /// Tells the router how good the answer of the turn `turn_id` was.
    pub(crate) fn feedback(&self, scope: &Scope, turn_id: &str, score: f32) -> Result<()> {
        let trace = self.traces.get(scope, turn_id).ok_or_else(|| {
            let problem =
                format!("there is no turn {turn_id:?} of this scope, or it is too long ago (the last 1000 are known)");
            Error::new(ErrorKind::NotFound, problem)
        })?;
        let outcome = self.scored(scope, &trace, score)?;
        if trace.scored.swap(true, Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Conflict, format!("the turn {turn_id:?} has its score already")));
        }
        self.router.observe(&outcome);
        self.learned.gave(scope);
        if let Some(plan) = &trace.plan {
            self.experiments.score(scope.org(), &plan.experiments, f64::from(score));
        }
        Ok(())
    }

    fn scored(&self, scope: &Scope, trace: &Trace, score: f32) -> Result<RouteOutcome> {
        let answered = trace.attempts.iter().rev().find(|attempt| attempt.error.is_none()).zip(trace.plan.as_ref());
        let (attempt, plan) = answered.filter(|_| !trace.degraded).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "no model answered that turn, so there is nothing to learn from its score",
            )
        })?;
        let elapsed = Duration::from_millis(attempt.elapsed_ms);
        let outcome = RouteOutcome::new(attempt.target.clone(), plan.intent, elapsed);
        let mut outcome = outcome.scored(trace.question.as_str(), score)?;
        scope.org().clone_into(&mut outcome.organisation);
        // What another call bore, what was given before and what another attempt began says nothing of the price.
        if !(attempt.shared || attempt.cached || attempt.resumed) {
            outcome.cost = self.cost(&attempt.target, &attempt.usage);
            outcome.cached_input_tokens = attempt.usage.cached_input_tokens;
            outcome.output_tokens = attempt.usage.output_tokens;
            outcome.input_tokens = attempt.usage.input_tokens.unwrap_or(trace.prompt_tokens as u64);
        }
        Ok(outcome)
    }
}
