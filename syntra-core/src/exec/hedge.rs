//! A second call beside a slow first one, within a budget that the process shares.

use crate::error::{Error, Result};
use crate::router::Target;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a second target is called beside a first that has not answered yet, and how often at the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgePolicy {
    /// The wait for the first content before a second target is called. `None`: the time within which 19 of 20 of the target's last
    /// calls had begun to answer; a target with fewer than 20 calls behind it is not hedged.
    pub after: Option<Duration>,
    /// The most calls that hedging may add, as a share of the others, 0 to 1. Default 0.05.
    pub most_share: f64,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { after: None, most_share: 0.05 }
    }
}

/// Calls of a target that are remembered for its 95th percentile.
const REMEMBERED: usize = 128;
/// Calls of a target before its 95th percentile is believed.
const ENOUGH: usize = 20;
/// Targets that are remembered.
const TARGETS: usize = 1_024;
/// Unused budget that is kept for a bad moment, in calls.
const SAVED: f64 = 10.0;

/// Keeps to a [`HedgePolicy`]: one for a process, shared by its clones.
///
/// The budget is a token bucket: each ordinary call adds [`HedgePolicy::most_share`] of a call, each hedge takes a whole one. When
/// every call is slow, because it is not the target but the network or we ourselves, hedging stays within its share.
///
/// ```
/// use std::time::Duration;
/// use syntra_core::exec::{HedgePolicy, Hedger};
/// let policy = HedgePolicy { after: Some(Duration::from_millis(800)), most_share: 0.05 };
/// let hedger = Hedger::new(policy)?;
/// assert_eq!(hedger.policy(), policy);
/// assert!(Hedger::new(HedgePolicy { most_share: 1.5, ..policy }).is_err());
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hedger {
    policy: HedgePolicy,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    budget: f64,
    first_tokens: HashMap<Target, VecDeque<Duration>>,
}

impl Hedger {
    /// Keeps to `policy`, with an empty budget.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when the share is not between 0 and 1.
    pub fn new(policy: HedgePolicy) -> Result<Self> {
        if !(0.0..=1.0).contains(&policy.most_share) {
            let words = format!("the share of hedged calls must be between 0 and 1, got {}", policy.most_share);
            return Err(Error::invalid(words));
        }
        Ok(Self { policy, state: Arc::default() })
    }

    /// What it keeps to.
    pub fn policy(&self) -> HedgePolicy {
        self.policy
    }

    /// An ordinary call begins, and pays into the budget.
    pub(super) fn pay_in(&self) {
        let mut state = self.lock();
        state.budget = (state.budget + self.policy.most_share).min(SAVED);
    }

    /// Takes a call out of the budget, if there is one in it.
    pub(super) fn take(&self) -> bool {
        let mut state = self.lock();
        // Twenty twentieths do not quite make one in binary.
        let enough = state.budget >= 1.0 - 1e-9;
        if enough {
            state.budget = (state.budget - 1.0).max(0.0);
        }
        enough
    }

    /// How long to wait for the first content of `target` before another is called beside it; `None` to leave it alone.
    pub(super) fn wait(&self, target: &Target) -> Option<Duration> {
        if self.policy.after.is_some() {
            return self.policy.after;
        }
        let mut times: Vec<Duration> = {
            let state = self.lock();
            let times = state.first_tokens.get(target).filter(|times| times.len() >= ENOUGH)?;
            times.iter().copied().collect()
        };
        let at = (times.len() * 95).div_ceil(100).saturating_sub(1);
        let (_, p95, _) = times.select_nth_unstable(at);
        Some(*p95)
    }

    /// A call to `target` had its first content after `first_token`.
    pub(super) fn observe(&self, target: &Target, first_token: Duration) {
        if self.policy.after.is_some() {
            return;
        }
        let mut state = self.lock();
        if !state.first_tokens.contains_key(target) {
            if state.first_tokens.len() >= TARGETS {
                return;
            }
            state.first_tokens.insert(target.clone(), VecDeque::new());
        }
        if let Some(times) = state.first_tokens.get_mut(target) {
            if times.len() >= REMEMBERED {
                times.pop_front();
            }
            times.push_back(first_token);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_at_the_most() {
        let hedger = Hedger::new(HedgePolicy::default()).unwrap();
        let taken = (0..1_000)
            .filter(|_| {
                hedger.pay_in();
                hedger.take()
            })
            .count();
        assert_eq!(taken, 50);
        (0..1_000).for_each(|_| hedger.pay_in());
        assert_eq!((0..1_000).filter(|_| hedger.take()).count(), 10, "what was saved is bounded");
    }

    #[test]
    fn the_wait_is_the_95th_percentile_of_the_last_calls() {
        let hedger = Hedger::new(HedgePolicy::default()).unwrap();
        let target = Target::new("p", "m");
        for ms in 1..20 {
            hedger.observe(&target, Duration::from_millis(ms));
        }
        assert_eq!(hedger.wait(&target), None, "too few calls to tell");
        for ms in 20..=100 {
            hedger.observe(&target, Duration::from_millis(ms));
        }
        assert_eq!(hedger.wait(&target), Some(Duration::from_millis(95)));
        for _ in 0..REMEMBERED {
            hedger.observe(&target, Duration::from_millis(7));
        }
        assert_eq!(hedger.wait(&target), Some(Duration::from_millis(7)), "old calls are forgotten");
        assert_eq!(hedger.wait(&Target::new("p", "other")), None);
    }
}
