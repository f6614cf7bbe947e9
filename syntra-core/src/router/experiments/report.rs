//! What came of an experiment, and which arms broke a guard-rail.

use super::interval::Estimate;
use super::{Experiment, Results};
use serde::Serialize;
use std::collections::HashMap;

/// What came of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExperimentReport {
    /// Its name.
    pub name: String,
    /// The chance, over all time, that a difference which is reported is one.
    pub confidence: f64,
    /// Its arms, the one that the others are compared with first.
    pub arms: Vec<ArmReport>,
}

/// What came of one arm. Every interval holds however often it is looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ArmReport {
    /// Its name.
    pub name: String,
    /// Its share of the users, 0 to 1.
    pub share: f64,
    /// Turns that were in it.
    pub turns: u64,
    /// The mean of the scores that were given.
    pub score: Estimate,
    /// The share of turns that went wrong.
    pub bad_rate: Estimate,
    /// What a turn costs, in dollars, where that is known.
    pub cost_usd: Estimate,
    /// Milliseconds to the first token.
    pub first_token_ms: Estimate,
    /// By how much its score differs from the first arm's, at the least and at the most.
    pub score_difference: Option<(f64, f64)>,
    /// Whether it is better (`true`) or worse (`false`) than the first arm for sure; `None` while that cannot be said.
    pub better: Option<bool>,
    /// The guard-rail that ended it, in words.
    pub ended: Option<String>,
}

impl Experiment {
    /// Why the arm at `place` is ended, if it is.
    pub(super) fn broken(&self, place: usize, known: Option<&HashMap<String, Results>>) -> Option<String> {
        let arm = self.arms.get(place).filter(|_| place > 0)?;
        let results = known?.get(&arm.name)?;
        let rails = &self.guard_rails;
        let above = |what: &str, limit: Option<f64>, estimate: Estimate| {
            let (limit, low) = limit.zip(estimate.low)?;
            (low > limit).then(|| format!("{what} is above {limit} for sure: at least {low:.4}"))
        };
        let below = |what: &str, limit: Option<f64>, estimate: Estimate| {
            let (limit, high) = limit.zip(estimate.high)?;
            (high < limit).then(|| format!("{what} is below {limit} for sure: at most {high:.4}"))
        };
        below("the mean score", rails.min_score, results.score.estimate())
            .or_else(|| above("the share of turns that went wrong", rails.max_bad_rate, results.bad.estimate()))
            .or_else(|| above("the cost of a turn", rails.max_cost_usd, results.cost.estimate(self.alpha())))
            .or_else(|| {
                above(
                    "the time to the first token",
                    rails.max_first_token_ms,
                    results.first_token.estimate(self.alpha()),
                )
            })
    }

    /// The report on what is `known`.
    pub(super) fn report(&self, known: Option<&HashMap<String, Results>>) -> ExperimentReport {
        let of = |name: &str| known.and_then(|arms| arms.get(name)).copied().unwrap_or_default();
        let total: f64 = self.arms.iter().map(|arm| arm.weight).sum();
        let control = self.arms.first().map(|arm| of(&arm.name).score.estimate());
        let arms = self.arms.iter().enumerate().map(|(place, arm)| {
            let results = of(&arm.name);
            let score = results.score.estimate();
            let limits = |e: Estimate| e.low.zip(e.high);
            let score_difference = control.filter(|_| place > 0).and_then(|control| {
                let ((low, high), (from, to)) = limits(score).zip(limits(control))?;
                Some((low - to, high - from))
            });
            let better = score_difference.and_then(|(least, most)| match (least > 0.0, most < 0.0) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            });
            ArmReport {
                name: arm.name.clone(),
                share: arm.weight / total,
                turns: results.turns,
                score,
                bad_rate: results.bad.estimate(),
                cost_usd: results.cost.estimate(self.alpha()),
                first_token_ms: results.first_token.estimate(self.alpha()),
                score_difference,
                better,
                ended: self.broken(place, known),
            }
        });
        ExperimentReport { name: self.name.clone(), confidence: self.confidence, arms: arms.collect() }
    }
}
