//! How the models have done lately: decayed latency and failures, and a small breaker.

use super::{Fleet, RouteOutcome, Target, TargetHealth};
use crate::clock::Clock;
use crate::error::ErrorKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a target is left alone, and how fast the past is forgotten.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthOptions {
    /// Failures in a row after which a target is left alone. 3.
    pub failures: u32,
    /// How long it is left alone the first time; twice as long after each probe that fails, up to `longest_cool_down`. 15 s.
    pub cool_down: Duration,
    /// The longest cool-down; also the one after an error that a person has to mend (key, quota, region, unknown model). 5 min.
    pub longest_cool_down: Duration,
    /// How long a probe may take before another is let through. 30 s.
    pub probe: Duration,
    /// Time in which a call loses half its weight in the failure rate. 60 s.
    pub half_life: Duration,
    /// Weight of the newest latency in the decayed one, 0 to 1. 0.3.
    pub latency_weight: f64,
    /// Targets remembered at most; the one longest unheard of is forgotten first. 1024.
    pub capacity: usize,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            failures: 3,
            cool_down: Duration::from_secs(15),
            longest_cool_down: Duration::from_secs(300),
            probe: Duration::from_secs(30),
            half_life: Duration::from_secs(60),
            latency_weight: 0.3,
            capacity: 1024,
        }
    }
}

/// The health of every target that was called, for [`Fleet`] snapshots. Shared between the router and whatever calls the models.
///
/// A target that fails [`HealthOptions::failures`] times in a row is unavailable for a cool-down; then one snapshot sees it
/// as available again (the probe), and the outcome of that call decides. Only failures that speak about the target count: a
/// refused request, a content policy or a cancelled call say nothing about it.
#[derive(Debug)]
pub struct FleetHealth {
    clock: Arc<dyn Clock>,
    options: HealthOptions,
    targets: Mutex<HashMap<Target, State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    first_token: Option<Duration>,
    /// Failures and calls, each decayed to `at`.
    failed: f64,
    calls: f64,
    at: Duration,
    in_a_row: u32,
    /// Set while it is left alone: until when, and for how long that was.
    open: Option<(Duration, Duration)>,
    /// A probe is out until then.
    probe_until: Option<Duration>,
}

/// What an error says about its target.
enum Verdict {
    /// Nothing.
    Neutral,
    /// It may pass.
    Passing,
    /// A person has to mend it.
    Lasting,
}

fn verdict(kind: ErrorKind) -> Verdict {
    use ErrorKind::*;
    match kind {
        Transient | Timeout | Connection | Truncated | Decode | Overloaded | RateLimit | Unknown => Verdict::Passing,
        Credential | QuotaExhausted | Region | ModelUnavailable => Verdict::Lasting,
        _ => Verdict::Neutral,
    }
}

impl FleetHealth {
    /// Health that knows nothing yet, with the default options.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_options(clock, HealthOptions::default())
    }

    /// Health that knows nothing yet.
    pub fn with_options(clock: Arc<dyn Clock>, options: HealthOptions) -> Self {
        Self { clock, options, targets: Mutex::new(HashMap::new()) }
    }

    /// `targets` with their health, for [`super::Router::plan`]. A target whose cool-down is over is available in one snapshot, which
    /// is its probe, until the outcome is recorded or the probe has taken too long.
    pub fn snapshot(&self, targets: &[Target]) -> Fleet {
        let now = self.clock.monotonic();
        let mut states = self.lock();
        let targets = targets
            .iter()
            .map(|target| {
                let health = match states.get_mut(target) {
                    Some(state) => {
                        let health = self.health_of(state, now);
                        if health.available && state.open.is_some() {
                            state.probe_until = Some(now + self.options.probe);
                        }
                        health
                    }
                    None => TargetHealth { available: true, ..TargetHealth::default() },
                };
                (target.clone(), health)
            })
            .collect();
        Fleet { targets }
    }

    /// The health of `target` as the next snapshot would show it, without sending a probe.
    pub fn of(&self, target: &Target) -> TargetHealth {
        let now = self.clock.monotonic();
        match self.lock().get(target) {
            Some(state) => self.health_of(state, now),
            None => TargetHealth { available: true, ..TargetHealth::default() },
        }
    }

    /// Learns how a call went.
    pub fn record(&self, outcome: &RouteOutcome) {
        let now = self.clock.monotonic();
        let mut states = self.lock();
        if !states.contains_key(&outcome.target) {
            if self.options.capacity == 0 {
                return;
            }
            if states.len() >= self.options.capacity {
                let oldest = states.iter().min_by_key(|(target, s)| (s.at, (*target).clone())).map(|(t, _)| t.clone());
                if let Some(oldest) = oldest {
                    states.remove(&oldest);
                }
            }
        }
        let state = states.entry(outcome.target.clone()).or_default();
        let verdict = outcome.error.map(verdict);
        if let Some(Verdict::Neutral) = verdict {
            // The probe, if this was one, found nothing out: the next may.
            state.probe_until = None;
            state.at = state.at.max(now);
            return;
        }
        let keep = self.kept(state, now);
        state.failed *= keep;
        state.calls = state.calls * keep + 1.0;
        state.at = now;
        state.probe_until = None;
        match verdict {
            None => {
                state.in_a_row = 0;
                state.open = None;
                if let Some(new) = outcome.first_token {
                    let weight = self.options.latency_weight.clamp(0.0, 1.0);
                    state.first_token =
                        Some(state.first_token.map_or(new, |old| old.mul_f64(1.0 - weight) + new.mul_f64(weight)));
                }
            }
            Some(kind) => {
                state.failed += 1.0;
                state.in_a_row = state.in_a_row.saturating_add(1);
                let longest = self.options.longest_cool_down;
                let wait = match (kind, state.open) {
                    (Verdict::Lasting, _) => Some(longest),
                    (_, Some((_, last))) => Some((last * 2).min(longest)),
                    (_, None) if state.in_a_row >= self.options.failures.max(1) => {
                        Some(self.options.cool_down.min(longest))
                    }
                    (_, None) => None,
                };
                if let Some(wait) = wait {
                    state.open = Some((now + wait, wait));
                }
            }
        }
    }

    fn health_of(&self, state: &State, now: Duration) -> TargetHealth {
        let available = match state.open {
            None => true,
            Some((until, _)) => now >= until && state.probe_until.is_none_or(|probe| now >= probe),
        };
        let keep = self.kept(state, now);
        // One imagined success, so that a single failure is no rate of 1 and an old rate fades.
        let failure_rate = (state.failed * keep / (state.calls * keep + 1.0)) as f32;
        TargetHealth { available, first_token: state.first_token, failure_rate }
    }

    /// The share that what was counted at `state.at` still has.
    fn kept(&self, state: &State, now: Duration) -> f64 {
        let half_life = self.options.half_life.as_secs_f64().max(1e-3);
        0.5f64.powf(now.saturating_sub(state.at).as_secs_f64() / half_life)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, State>> {
        // A panic elsewhere leaves counts behind, never half a state: each update is a few assignments.
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Intent;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);
    impl Hand {
        fn pass(&self, seconds: u64) {
            self.0.fetch_add(seconds, Ordering::Relaxed);
        }
    }
    impl Clock for Hand {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    fn target() -> Target {
        Target::new("p", "m")
    }
    fn outcome(error: Option<ErrorKind>, first_token_ms: Option<u64>) -> RouteOutcome {
        let mut outcome = RouteOutcome::new(target(), Intent::QaRetrieval, Duration::from_secs(1));
        outcome.error = error;
        outcome.first_token = first_token_ms.map(Duration::from_millis);
        outcome
    }
    fn set_up() -> (Arc<Hand>, FleetHealth) {
        let clock = Arc::new(Hand::default());
        (clock.clone(), FleetHealth::new(clock))
    }
    fn available(health: &FleetHealth) -> bool {
        health.snapshot(&[target()]).targets[0].1.available
    }

    #[test]
    fn latency_is_learnt_from_successes_alone() {
        let (_, health) = set_up();
        assert_eq!(health.of(&target()).first_token, None);
        health.record(&outcome(None, Some(1_000)));
        health.record(&outcome(Some(ErrorKind::Timeout), Some(1)));
        assert_eq!(health.of(&target()).first_token, Some(Duration::from_secs(1)));
        health.record(&outcome(None, Some(2_000)));
        assert_eq!(health.of(&target()).first_token, Some(Duration::from_millis(1_300)));
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let (clock, health) = set_up();
        for _ in 0..2 {
            health.record(&outcome(Some(ErrorKind::Transient), None));
        }
        health.record(&outcome(None, None));
        for _ in 0..2 {
            health.record(&outcome(Some(ErrorKind::Transient), None));
        }
        assert!(available(&health), "never three in a row");
        health.record(&outcome(Some(ErrorKind::Connection), None));
        assert!(!available(&health));
        clock.pass(15);
        assert!(health.of(&target()).available && health.of(&target()).available, "looking sends no probe");
        assert!(available(&health), "the probe");
        assert!(!available(&health), "one probe at a time");
        health.record(&outcome(Some(ErrorKind::Transient), None));
        clock.pass(15);
        assert!(!available(&health), "twice as long after a failed probe");
        clock.pass(15);
        assert!(available(&health));
        health.record(&outcome(None, Some(5)));
        assert!(available(&health) && available(&health));
    }

    #[test]
    fn a_probe_that_is_never_heard_of_does_not_block_for_ever() {
        let (clock, health) = set_up();
        health.record(&outcome(Some(ErrorKind::Credential), None));
        assert!(!available(&health), "a wrong key needs no second try");
        clock.pass(299);
        assert!(!available(&health));
        clock.pass(1);
        assert!(available(&health) && !available(&health));
        clock.pass(30);
        assert!(available(&health));
    }

    #[test]
    fn the_callers_own_faults_say_nothing_about_the_target() {
        let (_, health) = set_up();
        for kind in [
            ErrorKind::BadRequest,
            ErrorKind::ContentPolicy,
            ErrorKind::ContextTooLong,
            ErrorKind::Cancelled,
            ErrorKind::InvalidInput,
        ] {
            for _ in 0..5 {
                health.record(&outcome(Some(kind), None));
            }
        }
        assert_eq!(health.of(&target()), TargetHealth { available: true, first_token: None, failure_rate: 0.0 });
    }

    #[test]
    fn the_failure_rate_rises_with_failures_and_fades_with_time() {
        let (clock, health) = set_up();
        health.record(&outcome(Some(ErrorKind::Transient), None));
        let one = health.of(&target()).failure_rate;
        assert!((one - 0.5).abs() < 1e-6);
        health.record(&outcome(Some(ErrorKind::Transient), None));
        assert!(health.of(&target()).failure_rate > one);
        health.record(&outcome(None, None));
        assert!((health.of(&target()).failure_rate - 0.5).abs() < 1e-6);
        clock.pass(3_600);
        assert!(health.of(&target()).failure_rate < 0.01);
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let clock = Arc::new(Hand::default());
        let health =
            FleetHealth::with_options(clock.clone(), HealthOptions { capacity: 10, ..HealthOptions::default() });
        for n in 0..100 {
            let mut outcome = outcome(None, Some(1));
            outcome.target.model = format!("m{n}");
            health.record(&outcome);
            clock.pass(1);
        }
        assert_eq!(health.lock().len(), 10);
        assert!(health.of(&Target::new("p", "m99")).first_token.is_some());
        assert!(health.of(&Target::new("p", "m0")).first_token.is_none());
    }
}
