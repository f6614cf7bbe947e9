//! The targets of a plan and what is left to do with each. Pure: it is told the time and the jitter.

use super::action::Action;
use super::policy::RetryPolicy;
use crate::error::{Error, ErrorKind};
use crate::router::{Plan, Planned};
use std::time::Duration;

/// A target and what is left to do with it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) planned: Planned,
    /// Calls so far.
    pub(super) calls: usize,
    /// Times that it could not be called.
    refusals: usize,
    /// Not before this (monotonic); `None` means that it is out.
    ready_at: Option<Duration>,
    /// Whether those that are not come first.
    later: bool,
    /// Its window in tokens, if known.
    window: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    /// Calls to all of them.
    calls: usize,
    /// Whether a provider's filter refused the content already.
    refused: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) index: usize,
    pub(super) wait: Duration,
}

impl Candidates {
    pub(super) fn new(plan: &Plan) -> Self {
        let window = |planned: &Planned| {
            plan.candidates.iter().find(|report| report.target == planned.target).and_then(|r| r.context_window)
        };
        let list = plan.order.iter().map(|planned| Candidate {
            planned: planned.clone(),
            calls: 0,
            refusals: 0,
            ready_at: Some(Duration::ZERO),
            later: false,
            window: window(planned),
        });
        Self { list: list.collect(), calls: 0, refused: false }
    }

    pub(super) fn get(&self, index: usize) -> Option<&Candidate> {
        self.list.get(index)
    }

    /// The next target to call and how long to wait before. `fit` says of each whether it will do, smaller is better.
    ///
    /// Untried targets that are ready come first, in the order of their fit and of the plan: a healthy candidate is never kept
    /// waiting behind a retry. Then the one that is ready soonest. Nothing that would only be ready after `until` is waited for.
    pub(super) fn next(
        &self,
        now: Duration,
        until: Option<Duration>,
        policy: &RetryPolicy,
        fit: impl Fn(&Candidate) -> Option<u8>,
    ) -> Option<Next> {
        if self.calls >= policy.max_attempts {
            return None;
        }
        let open = || {
            let open = self.list.iter().enumerate().filter(|(_, c)| c.calls < policy.max_per_target);
            open.filter_map(|(index, c)| Some((index, c, c.ready_at?, fit(c)?)))
        };
        let untried = open().filter(|(_, c, at, _)| c.calls == 0 && *at <= now);
        if let Some((index, ..)) = untried.min_by_key(|(index, c, _, fit)| (c.later, *fit, *index)) {
            return Some(Next { index, wait: Duration::ZERO });
        }
        let (index, _, at, _) = open()
            .filter(|(_, _, at, _)| until.is_none_or(|until| *at < until))
            .min_by_key(|(index, c, at, fit)| (c.later, *at, *fit, *index))?;
        Some(Next { index, wait: at.saturating_sub(now) })
    }

    /// Whether the call to `index` that has begun is the last resort for now: none of the others may be called any more, or this one was
    /// called before.
    pub(super) fn is_last(&self, index: usize, policy: &RetryPolicy) -> bool {
        let open = |c: &Candidate| c.ready_at.is_some() && c.calls < policy.max_per_target;
        let again = self.get(index).is_some_and(|c| c.calls + c.refusals > 1);
        again || !self.list.iter().enumerate().any(|(other, c)| other != index && open(c))
    }

    /// A call to `index` begins.
    pub(super) fn begin(&mut self, index: usize) {
        self.calls += 1;
        if let Some(candidate) = self.list.get_mut(index) {
            candidate.calls += 1;
        }
    }

    /// The call to `index` that had begun was not let through: no call was made, and none is counted.
    pub(super) fn refused(&mut self, index: usize, error: &Error, now: Duration, policy: &RetryPolicy) {
        let Some(candidate) = self.list.get_mut(index) else { return };
        self.calls = self.calls.saturating_sub(1);
        candidate.calls = candidate.calls.saturating_sub(1);
        candidate.refusals += 1;
        let wait = error.retry_after().unwrap_or(policy.backoff);
        let patient = wait <= policy.max_wait && candidate.refusals < policy.max_per_target.max(2);
        candidate.ready_at = patient.then_some(now.saturating_add(wait));
        // What is left alone for failing comes after what is merely busy.
        candidate.later |= error.kind() != ErrorKind::RateLimit;
    }

    /// A call to `index` failed, and `action` follows from it. `jitter` is between 0 and 1.
    pub(super) fn failed(
        &mut self,
        index: usize,
        error: &Error,
        action: Action,
        now: Duration,
        policy: &RetryPolicy,
        jitter: f64,
    ) {
        let Some(failed) = self.list.get_mut(index) else { return };
        let wait = error.retry_after().unwrap_or_else(|| policy.wait(failed.calls, jitter));
        failed.ready_at = match action {
            // A server that wants more patience than we have is left alone.
            Action::Again | Action::LastResort => (wait <= policy.max_wait).then_some(now.saturating_add(wait)),
            _ => None,
        };
        failed.later |= action == Action::LastResort;
        let (provider, window) = (failed.planned.target.provider.clone(), failed.window);
        match action {
            Action::End => self.close(|_| true),
            Action::Again | Action::LastResort | Action::Elsewhere => {}
            Action::OtherProviderFirst => {
                for candidate in self.list.iter_mut().filter(|c| c.planned.target.provider == provider) {
                    candidate.later = true;
                }
            }
            Action::LargerWindow => {
                // Where the window that was too small is unknown, nobody can be said to have a larger one.
                self.close(|c| c.window.zip(window).is_some_and(|(theirs, ours)| theirs <= ours));
                for candidate in &mut self.list {
                    candidate.later |= candidate.window.is_none();
                }
            }
            Action::OtherProviderOnce if self.refused => self.close(|_| true),
            Action::OtherProviderOnce => {
                self.refused = true;
                self.close(|c| c.planned.target.provider == provider);
            }
        }
    }

    fn close(&mut self, which: impl Fn(&Candidate) -> bool) {
        for candidate in self.list.iter_mut().filter(|c| which(c)) {
            candidate.ready_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{CandidateReport, Intent, Standing, Target};

    const NOW: Duration = Duration::from_secs(100);

    /// Candidates `provider/model` with their windows.
    fn candidates(of: &[(&str, &str, Option<u64>)]) -> Candidates {
        let target = |(p, m, _): &(&str, &str, Option<u64>)| Target::new(*p, *m);
        let order = of.iter().map(|c| Planned { target: target(c), reason: "".into() }).collect();
        let reports = of.iter().enumerate().map(|(rank, c)| {
            let mut report = CandidateReport::new(target(c), Standing::Fallback, Some(rank), "");
            report.context_window = c.2;
            report
        });
        Candidates::new(&Plan::new(order, reports.collect(), Intent::QaRetrieval, 1.0))
    }

    fn next(of: &Candidates) -> Option<(usize, u64)> {
        let next = of.next(NOW, None, &RetryPolicy::default(), |_| Some(0))?;
        Some((next.index, next.wait.as_millis() as u64))
    }

    fn fail(of: &mut Candidates, index: usize, kind: ErrorKind) {
        let error = Error::new(kind, "");
        of.begin(index);
        of.failed(index, &error, super::super::action::action(&error, false), NOW, &RetryPolicy::default(), 0.5);
    }

    /// Fails whatever is next with `kind` and whatever follows with a credential error, and lists who was asked.
    fn asked_after(of: &mut Candidates, kind: ErrorKind) -> Vec<usize> {
        let mut asked = Vec::new();
        while let Some((index, _)) = next(of) {
            fail(of, index, if asked.is_empty() { kind } else { ErrorKind::ModelUnavailable });
            asked.push(index);
        }
        asked
    }

    #[test]
    fn untried_targets_come_before_a_retry_and_the_backoff_has_jitter() {
        let mut two = candidates(&[("a", "m", None), ("b", "m", None)]);
        fail(&mut two, 0, ErrorKind::Transient);
        assert_eq!(next(&two), Some((1, 0)));
        fail(&mut two, 1, ErrorKind::ModelUnavailable);
        assert_eq!(next(&two), Some((0, 287)), "250 ms and half of 30 %");
        fail(&mut two, 0, ErrorKind::Transient);
        assert_eq!(next(&two), None, "twice is enough");
    }

    #[test]
    fn the_overloaded_are_asked_last() {
        let mut two = candidates(&[("a", "m", None), ("b", "m", None)]);
        fail(&mut two, 0, ErrorKind::Overloaded);
        fail(&mut two, 1, ErrorKind::Transient);
        assert_eq!(next(&two).map(|n| n.0), Some(1));
        fail(&mut two, 1, ErrorKind::Transient);
        assert_eq!(next(&two).map(|n| n.0), Some(0));
    }

    #[test]
    fn after_a_bad_key_other_providers_come_first() {
        let three = [("a", "m1", None), ("a", "m2", None), ("b", "m", None)];
        assert_eq!(asked_after(&mut candidates(&three), ErrorKind::Credential), [0, 2, 1]);
        assert_eq!(asked_after(&mut candidates(&three), ErrorKind::QuotaExhausted), [0, 1, 2]);
    }

    #[test]
    fn too_long_a_context_goes_to_larger_windows_alone() {
        let four = [("a", "m", Some(8_000)), ("b", "u", None), ("c", "s", Some(8_000)), ("d", "l", Some(128_000))];
        assert_eq!(asked_after(&mut candidates(&four), ErrorKind::ContextTooLong), [0, 3, 1]);
        let unknown = [("a", "m", None), ("b", "u", None), ("c", "s", Some(8_000))];
        assert_eq!(asked_after(&mut candidates(&unknown), ErrorKind::ContextTooLong), [0, 2, 1]);
    }

    #[test]
    fn a_content_policy_is_asked_of_one_other_provider_once() {
        let four = [("a", "m1", None), ("a", "m2", None), ("b", "m", None), ("c", "m", None)];
        let mut four = candidates(&four);
        fail(&mut four, 0, ErrorKind::ContentPolicy);
        assert_eq!(next(&four), Some((2, 0)));
        fail(&mut four, 2, ErrorKind::ContentPolicy);
        assert_eq!(next(&four), None);
    }

    #[test]
    fn what_was_not_let_through_is_no_call() {
        let mut two = candidates(&[("a", "m", None), ("b", "m", None)]);
        let policy = RetryPolicy::default();
        let refused = |kind, wait| Error::new(kind, "").with_retry_after(Duration::from_secs(wait));
        two.begin(0);
        assert!(!two.is_last(0, &policy), "nobody waits for a pace while another may be called");
        two.refused(0, &refused(ErrorKind::RateLimit, 2), NOW, &policy);
        assert_eq!(next(&two), Some((1, 0)));
        two.begin(1);
        two.refused(1, &refused(ErrorKind::Overloaded, 1), NOW, &policy);
        assert_eq!(next(&two), Some((0, 2_000)), "the busy before the broken");
        two.begin(0);
        assert!(two.is_last(0, &policy));
        fail(&mut two, 0, ErrorKind::Transient);
        assert_eq!(two.get(0).map(|c| c.calls), Some(2));
        two.refused(1, &refused(ErrorKind::Overloaded, 1), NOW, &policy);
        assert_eq!(next(&two), None, "refusals are bounded too");
    }

    #[test]
    fn the_callers_fault_ends_everything() {
        let mut two = candidates(&[("a", "m", None), ("b", "m", None)]);
        fail(&mut two, 0, ErrorKind::BadRequest);
        assert_eq!(next(&two), None);
    }

    #[test]
    fn nothing_is_waited_for_beyond_the_deadline_or_our_patience() {
        let mut one = candidates(&[("a", "m", None)]);
        let error = Error::new(ErrorKind::RateLimit, "").with_retry_after(Duration::from_secs(5));
        one.begin(0);
        one.failed(0, &error, Action::Again, NOW, &RetryPolicy::default(), 0.0);
        assert_eq!(next(&one), Some((0, 5_000)));
        let policy = RetryPolicy::default();
        assert_eq!(one.next(NOW, Some(NOW + Duration::from_secs(5)), &policy, |_| Some(0)), None);
        let error = error.with_retry_after(Duration::from_secs(11));
        one.failed(0, &error, Action::Again, NOW, &policy, 0.0);
        assert_eq!(next(&one), None);
    }
}
