//! Experiments: two or more ways to choose a model, each for its share of the users, and what came of it.
//!
//! An arm is a [`RoutingPolicy`]. Who is in which follows from a hash of experiment, organisation and user, so that it is the same on every
//! machine and after every restart, and nothing is stored for it. What came of it is added up by arm, for each organisation; the intervals
//! of the report hold however often it is looked at (see `interval.rs`), and a guard-rail that is broken for sure ends an arm.

mod interval;
mod report;

pub use interval::Estimate;
pub use report::{ArmReport, ExperimentReport};

use super::{RoutingPolicy, stable_hash};
use crate::chat::Scope;
use crate::error::{Error, Result};
use interval::{Bounded, Running};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Experiments of an assistant, arms of an experiment, and organisations whose results are kept.
const EXPERIMENTS: usize = 32;
const ARMS: usize = 16;
const ORGANISATIONS: usize = 64;

/// One way to choose a model, for a share of the users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Its share of the users, against the sum over all arms.
    #[serde(default = "one")]
    pub weight: f64,
    /// What is allowed and wanted of the choice, beside what holds for all.
    #[serde(default)]
    pub policy: RoutingPolicy,
}

fn one() -> f64 {
    1.0
}

/// What an arm must keep to. When its interval lies wholly beyond a limit it is ended: its users go to the first arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GuardRails {
    /// The least mean score, 0 to 1.
    pub min_score: Option<f64>,
    /// The most of its turns that may go wrong, 0 to 1: no model answered, or the answer was refused, empty or malformed.
    pub max_bad_rate: Option<f64>,
    /// The most that a turn may cost on the average, in dollars.
    pub max_cost_usd: Option<f64>,
    /// The most milliseconds to the first token on the average.
    pub max_first_token_ms: Option<f64>,
}

/// A named experiment. The first arm is the one that the others are compared with.
///
/// ```
/// use syntra_core::router::{Experiment, RoutingPolicy, RoutingStrategy};
/// let experiment = Experiment::new("cheaper")
///     .with_arm("as it is", 1.0, RoutingPolicy::new())
///     .with_arm("cheapest", 1.0, RoutingPolicy::new().with_strategy(RoutingStrategy::Cheapest));
/// experiment.check()?;
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Experiment {
    /// Its name; another name shuffles the users anew and begins with no results.
    pub name: String,
    /// Two or more.
    pub arms: Vec<Arm>,
    /// What the arms but the first must keep to.
    #[serde(default)]
    pub guard_rails: GuardRails,
    /// The chance, over all time, that a difference which is reported is one. 0.95.
    #[serde(default = "usual_confidence")]
    pub confidence: f64,
}

fn usual_confidence() -> f64 {
    0.95
}

impl Experiment {
    /// An experiment without arms yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), arms: Vec::new(), guard_rails: GuardRails::default(), confidence: usual_confidence() }
    }

    /// Adds an arm.
    pub fn with_arm(mut self, name: impl Into<String>, weight: f64, policy: RoutingPolicy) -> Self {
        self.arms.push(Arm { name: name.into(), weight, policy });
        self
    }

    /// Ends arms whose mean score is below `score` for sure.
    pub fn with_min_score(mut self, score: f64) -> Self {
        self.guard_rails.min_score = Some(score);
        self
    }

    /// Ends arms of whose turns more than this share goes wrong for sure.
    pub fn with_max_bad_rate(mut self, rate: f64) -> Self {
        self.guard_rails.max_bad_rate = Some(rate);
        self
    }

    /// Ends arms whose turns cost more than this on the average for sure, in dollars.
    pub fn with_max_cost_usd(mut self, usd: f64) -> Self {
        self.guard_rails.max_cost_usd = Some(usd);
        self
    }

    /// Ends arms whose first token takes more than this many milliseconds on the average for sure.
    pub fn with_max_first_token_ms(mut self, ms: f64) -> Self {
        self.guard_rails.max_first_token_ms = Some(ms);
        self
    }

    /// Sets the chance that a reported difference is one.
    pub fn with_confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// Checks what cannot be checked by its type.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] naming what is wrong.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::invalid(format!("experiment {:?}: {what}", self.name)));
        if self.name.trim().is_empty() || self.name.len() > 200 {
            return wrong("its name must be of 1 to 200 bytes".into());
        }
        if !(2..=ARMS).contains(&self.arms.len()) {
            return wrong(format!("it needs 2 to {ARMS} arms, got {}", self.arms.len()));
        }
        if !(0.5..1.0).contains(&self.confidence) {
            return wrong(format!("confidence {} is not between 0.5 and 1", self.confidence));
        }
        for (at, arm) in self.arms.iter().enumerate() {
            if arm.name.trim().is_empty() || self.arms.iter().take(at).any(|other| other.name == arm.name) {
                return wrong(format!("the arm {:?} has no name of its own", arm.name));
            }
            if !arm.weight.is_finite() || arm.weight < 0.0 {
                return wrong(format!("the weight {} of {:?} is no number of at least 0", arm.weight, arm.name));
            }
            arm.policy.check()?;
        }
        let GuardRails { min_score, max_bad_rate, max_cost_usd, max_first_token_ms } = self.guard_rails;
        if [min_score, max_bad_rate].into_iter().flatten().any(|share| !(0.0..=1.0).contains(&share)) {
            return wrong("min_score and max_bad_rate are between 0 and 1".into());
        }
        if [max_cost_usd, max_first_token_ms].into_iter().flatten().any(|most| !(most.is_finite() && most >= 0.0)) {
            return wrong("max_cost_usd and max_first_token_ms are numbers of at least 0".into());
        }
        if self.arms.iter().map(|arm| arm.weight).sum::<f64>() <= 0.0 {
            return wrong("one of the weights has to be more than 0".into());
        }
        Ok(())
    }

    /// The place of the arm that `scope` is in.
    fn place_of(&self, scope: &Scope) -> usize {
        // What stands between the parts keeps "ab"+"c" and "a"+"bc" apart.
        let key = [self.name.as_str(), scope.org(), scope.user()].join("\u{1f}");
        let total: f64 = self.arms.iter().map(|arm| arm.weight).sum();
        let mut at = super::uniform(stable_hash(key.as_bytes())) * total;
        let inside = |arm: &Arm| {
            at -= arm.weight;
            at < 0.0
        };
        self.arms.iter().position(inside).unwrap_or(0)
    }

    /// Of each interval: a difference has two, and each may be wrong in half of the cases.
    fn alpha(&self) -> f64 {
        (1.0 - self.confidence) / 2.0
    }
}

/// The arm of an experiment that a turn was in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExperimentArm {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// Whether the user's own arm was ended by a guard-rail, and this is the first.
    pub diverted: bool,
}

/// What came of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Results {
    turns: u64,
    score: Bounded,
    bad: Bounded,
    cost: Running,
    first_token: Running,
}

/// How a turn went, for its arms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnResult {
    pub(crate) bad: bool,
    /// Dollars.
    pub(crate) cost: Option<f64>,
    pub(crate) first_token_ms: Option<f64>,
}

/// By experiment and arm.
type Of = HashMap<String, HashMap<String, Results>>;

/// The experiments of an assistant, and what came of them for each organisation.
#[derive(Debug, Default)]
pub(crate) struct Experiments {
    all: Vec<(Experiment, Vec<Arc<RoutingPolicy>>)>,
    results: Mutex<HashMap<String, Of>>,
}

impl Experiments {
    /// `all`, with no results.
    ///
    /// # Errors
    /// As [`Experiment::check`]; when two have the same name or there are too many.
    pub(crate) fn new(all: Vec<Experiment>) -> Result<Self> {
        if all.len() > EXPERIMENTS {
            return Err(Error::invalid(format!("there are more than {EXPERIMENTS} experiments")));
        }
        for (at, experiment) in all.iter().enumerate() {
            experiment.check()?;
            if all.iter().take(at).any(|other| other.name == experiment.name) {
                return Err(Error::invalid(format!("two experiments are named {:?}", experiment.name)));
            }
        }
        let with_policies = |experiment: Experiment| {
            let policies = experiment.arms.iter().map(|arm| Arc::new(arm.policy.clone())).collect();
            (experiment, policies)
        };
        Ok(Self { all: all.into_iter().map(with_policies).collect(), results: Mutex::default() })
    }

    /// The arms that a turn of `scope` is in, with their policies.
    pub(crate) fn assign(&self, scope: &Scope) -> Vec<(ExperimentArm, Arc<RoutingPolicy>)> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let of = results.get(scope.org());
        let one = |(experiment, policies): &(Experiment, Vec<Arc<RoutingPolicy>>)| {
            let own = experiment.place_of(scope);
            let known = of.and_then(|of| of.get(&experiment.name));
            let ended = experiment.broken(own, known).is_some();
            let place = if ended { 0 } else { own };
            let (arm, policy) = (experiment.arms.get(place)?, policies.get(place)?);
            let (experiment, arm) = (experiment.name.clone(), arm.name.clone());
            Some((ExperimentArm { experiment, arm, diverted: ended }, policy.clone()))
        };
        self.all.iter().filter_map(one).collect()
    }

    /// Counts a turn of `organisation` that was in `arms`; whether it is time to write it down.
    pub(crate) fn note(&self, organisation: &str, arms: &[ExperimentArm], result: &TurnResult) -> bool {
        let mut due = false;
        self.change(organisation, arms, |results, alpha| {
            results.turns += 1;
            due |= results.turns % 16 == 1;
            results.bad.push(f64::from(u8::from(result.bad)), alpha);
            result.cost.into_iter().for_each(|usd| results.cost.push(usd));
            result.first_token_ms.into_iter().for_each(|ms| results.first_token.push(ms));
        });
        due
    }

    /// Counts the score of such a turn.
    pub(crate) fn score(&self, organisation: &str, arms: &[ExperimentArm], score: f64) {
        self.change(organisation, arms, |results, alpha| results.score.push(score, alpha));
    }

    fn change(&self, organisation: &str, arms: &[ExperimentArm], mut change: impl FnMut(&mut Results, f64)) {
        if arms.is_empty() {
            return;
        }
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() >= ORGANISATIONS && !results.contains_key(organisation) {
            let turns = |of: &Of| of.values().flat_map(HashMap::values).map(|r| r.turns).sum::<u64>();
            let least = results.iter().min_by_key(|(_, of)| turns(of)).map(|(name, _)| name.clone());
            least.and_then(|name| results.remove(&name));
        }
        let of = results.entry(organisation.to_owned()).or_default();
        for assigned in arms {
            let Some((experiment, _)) = self.all.iter().find(|(e, _)| e.name == assigned.experiment) else { continue };
            let arms = of.entry(assigned.experiment.clone()).or_default();
            change(arms.entry(assigned.arm.clone()).or_default(), experiment.alpha());
        }
    }

    /// What came of the experiments for `organisation`.
    pub(crate) fn report(&self, organisation: &str) -> Vec<ExperimentReport> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let of = results.get(organisation);
        self.all.iter().map(|(e, _)| e.report(of.and_then(|of| of.get(&e.name)))).collect()
    }

    /// The results of `organisation`, to be kept; `None` where there are none.
    pub(crate) fn export(&self, organisation: &str) -> Option<serde_json::Value> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_value(results.get(organisation)?).ok()
    }

    /// Takes over what was kept. Experiments and arms that there are no more are left out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when it is not what was kept.
    pub(crate) fn import(&self, organisation: &str, kept: &serde_json::Value) -> Result<()> {
        let bad = |what: &str| Error::invalid(format!("these are not the results of experiments: {what}"));
        let mut of = Of::deserialize(kept).map_err(|e| bad(&e.to_string()))?;
        let sound =
            |r: &Results| r.score.is_sound() && r.bad.is_sound() && r.cost.is_sound() && r.first_token.is_sound();
        if !of.values().flat_map(HashMap::values).all(sound) {
            return Err(bad("a number cannot be"));
        }
        of.retain(|name, arms| {
            let experiment = self.all.iter().find(|(e, _)| e.name == *name);
            arms.retain(|arm, _| experiment.is_some_and(|(e, _)| e.arms.iter().any(|a| a.name == *arm)));
            !arms.is_empty()
        });
        if !of.is_empty() {
            let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            if results.len() < ORGANISATIONS {
                results.insert(organisation.to_owned(), of);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
