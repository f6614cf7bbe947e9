//! Who has been called how often lately, for those who are called in turns.

use crate::router::Target;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Targets that are counted.
const TARGETS: usize = 1_024;
/// Calls by which a target may lag behind the others: one that was away is not to make up for all of them at once.
const LAG: u64 = 2;

/// Calls by target. What counts is the difference.
#[derive(Debug, Default)]
pub(super) struct Rounds(RwLock<HashMap<Target, u64>>);

impl Rounds {
    /// Counts a call to `target`.
    pub(super) fn called(&self, target: &Target) {
        let mut calls = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let least = calls.values().copied().min().unwrap_or(0);
        if calls.len() >= TARGETS && !calls.contains_key(target) {
            // Who is called now counts anew.
            calls.clear();
        }
        let count = calls.entry(target.clone()).or_insert(least.saturating_sub(1));
        *count += 1;
        let most = *count;
        let floor = most.saturating_sub(LAG);
        if least < floor {
            calls.values_mut().for_each(|n| *n = (*n).max(floor));
        }
    }

    /// The count of `target`; one that was never called comes before the least called.
    pub(super) fn of(&self, target: &Target) -> u64 {
        let calls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let least = || calls.values().copied().min().unwrap_or(0).saturating_sub(1);
        calls.get(target).copied().unwrap_or_else(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_was_away_does_not_make_up_for_all_of_it() {
        let rounds = Rounds::default();
        let [a, b] = ["a", "b"].map(|model| Target::new("p", model));
        rounds.called(&b);
        for _ in 0..100 {
            rounds.called(&a);
        }
        assert_eq!(rounds.of(&a) - rounds.of(&b), LAG);
        // A newcomer comes next, and has little to make up for.
        assert_eq!(rounds.of(&Target::new("p", "new")) + 1, rounds.of(&b));
    }

    #[test]
    fn counts_are_bounded() {
        let rounds = Rounds::default();
        for n in 0..5_000 {
            rounds.called(&Target::new("p", n.to_string()));
        }
        assert!(rounds.0.read().unwrap().len() <= TARGETS);
    }
}
