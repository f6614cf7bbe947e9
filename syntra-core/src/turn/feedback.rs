//! What a score for an answer teaches the router.

use super::{Rooms, Trace};
use crate::chat::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::router::RouteOutcome;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Rooms {
    /// Tells the router how good the answer of the turn `turn_id` was.
    pub(crate) fn feedback(&self, scope: &Scope, turn_id: &str, score: f32) -> Result<()> {
        let trace = self.traces.get(&(scope.clone(), turn_id.to_owned())).ok_or_else(|| {
            let problem =
                format!("there is no turn {turn_id:?} of this scope, or it is too long ago (the last 1000 are known)");
            Error::new(ErrorKind::NotFound, problem)
        })?;
        let outcome = self.scored(scope, &trace, score)?;
        if trace.scored.swap(true, Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Conflict, format!("the turn {turn_id:?} has its score already")));
        }
        self.router.observe(&outcome);
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
            outcome.input_tokens = attempt.usage.input_tokens.unwrap_or(trace.prompt_tokens as u64);
        }
        Ok(outcome)
    }
}
