//! Learning from outcomes: how good each model is on questions of this kind, and what it really costs.
//!
//! Outcomes are added up, not kept: by model, by model and intent, and by model and topic (at most 512 topics an organisation, each the mean
//! of questions that are alike), and by model and question for the questions asked lately, of which a hash is known. No text is stored. What
//! is expected of a model is its mean on this very question, shrunk towards the mean over the topics near it, shrunk towards its mean for
//! the intent, shrunk towards its mean, shrunk towards the prior; so a dozen outcomes move the choice a little and a thousand decide it.
//! `docs/routing.md` has the formula and the figures.

mod features;
mod repeats;
mod store;
#[cfg(test)]
mod tests;
mod topics;

use super::{RouteQuery, Sign, Target};
use crate::error::Result;
use crate::router::Intent;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
pub(super) use topics::View;
use topics::{Outcomes, Sum};

/// Organisations that are learned of at the same time; beyond, the one that learned longest ago is let go.
const ORGANISATIONS: usize = 64;

/// What each organisation's outcomes say.
#[derive(Debug, Default)]
pub(super) struct Learner(RwLock<HashMap<String, Kept>>);

#[derive(Debug, Default)]
struct Kept {
    outcomes: Outcomes,
    /// When it last learned, by a count of all that was learned.
    touched: u64,
}

/// One outcome with a score.
pub(super) struct Scored<'a> {
    pub organisation: &'a str,
    pub question: &'a str,
    pub intent: Intent,
    pub target: &'a Target,
    pub prior: f32,
    /// 0 to 1.
    pub score: f32,
    /// Dollars, and what was expected, where both are known.
    pub cost: Option<(f64, f64)>,
}

impl Learner {
    /// Learns from one outcome.
    pub(super) fn learn(&self, scored: &Scored<'_>) {
        let (key, point) = (repeats::key(scored.question), features::point(scored.question));
        let (cost, expected) = scored.cost.filter(|(_, expected)| *expected > 0.0).unwrap_or_default();
        let sum = Sum { n: 1.0, score: scored.score, cost: cost as f32, expected: expected as f32 };
        self.change(scored.organisation, |outcomes| {
            outcomes.learn((key, point.as_ref()), scored.intent, scored.target, scored.prior, &sum);
        });
    }

    /// Learns what an answer of `target` came to without anybody saying it.
    pub(super) fn sign(&self, organisation: &str, target: &Target, sign: Sign) {
        self.change(organisation, |outcomes| outcomes.sign(target, sign));
    }

    fn change(&self, organisation: &str, change: impl FnOnce(&mut Outcomes)) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let now = all.values().map(|kept| kept.touched).max().unwrap_or(0) + 1;
        if !all.contains_key(organisation) && all.len() >= ORGANISATIONS {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.touched).map(|(name, _)| name.clone());
            oldest.and_then(|name| all.remove(&name));
        }
        let kept = all.entry(organisation.to_owned()).or_default();
        kept.touched = now;
        change(&mut kept.outcomes);
    }

    /// Gives `read` what was learned for `query`; `None` where there is nothing.
    pub(super) fn with_view<T>(&self, query: &RouteQuery, read: impl FnOnce(Option<&View<'_>>) -> T) -> T {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let view = all.get(&query.organisation).filter(|kept| !kept.outcomes.targets.is_empty()).map(|kept| {
            // The question is only looked at where there is something to compare it with.
            let point = if kept.outcomes.topics.is_empty() { None } else { features::point(&query.text) };
            let key = point.as_ref().map(|_| repeats::key(&query.text));
            kept.outcomes.view(key, point.as_ref(), query.intent)
        });
        read(view.as_ref())
    }

    /// Everything that was learned for `organisation`.
    pub(super) fn export(&self, organisation: &str) -> Option<serde_json::Value> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        store::write(&all.get(organisation)?.outcomes)
    }

    /// Takes over what was exported, in place of what is there.
    pub(super) fn import(&self, organisation: &str, learned: &serde_json::Value) -> Result<()> {
        let outcomes = store::read(learned)?;
        self.change(organisation, |kept| *kept = outcomes);
        Ok(())
    }

    /// Forgets everything of `organisation`; whether there was something.
    pub(super) fn reset(&self, organisation: &str) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(organisation).is_some()
    }
}
