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
/// Without jitter, so that times are exact.
fn set_up() -> (Arc<Hand>, Arc<FleetHealth>) {
    let clock = Arc::new(Hand::default());
    let options = HealthOptions { jitter: 0.0, ..HealthOptions::default() };
    (clock.clone(), Arc::new(FleetHealth::with_options(clock, options)))
}
fn begin(health: &Arc<FleetHealth>) -> Result<HealthGuard, Duration> {
    health.begin(&target(), "").map_err(|closed| closed.wait)
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
fn the_pace_is_of_what_comes_after_the_first_token() {
    let (_, health) = set_up();
    let wrote = |tokens: u64, total: Duration, error: Option<ErrorKind>| {
        let mut outcome = RouteOutcome::new(target(), Intent::QaRetrieval, total);
        (outcome.first_token, outcome.output_tokens, outcome.error) =
            (Some(Duration::from_secs(1)), Some(tokens), error);
        health.record(&outcome);
        health.of(&target()).tokens_per_second
    };
    let seconds = Duration::from_secs;
    assert_eq!(wrote(5, seconds(9), None), None, "five tokens are no pace");
    assert_eq!(wrote(500, seconds(11), Some(ErrorKind::Truncated)), None, "nor is what failed");
    // 5 and 100 tokens, in 8 and 2 seconds, the older ones at .7.
    let pace = wrote(100, seconds(3), None).unwrap();
    assert!((pace - 103.5 / 7.6).abs() < 0.01, "{pace}");
    for _ in 0..40 {
        wrote(200, seconds(5), None);
    }
    let pace = health.of(&target()).tokens_per_second.unwrap();
    assert!((pace - 50.0).abs() < 0.1, "{pace}");
    assert_eq!(health.keys_of(&target())[0].tokens_per_second, Some(pace));
    // All at once is fast, not infinite.
    for _ in 0..40 {
        wrote(200, seconds(1), None);
    }
    assert!(health.of(&target()).tokens_per_second.unwrap() <= 10_000.0);
    let mut guard = begin(&health).unwrap();
    guard.wrote(10_000, seconds(1_000));
    drop(guard);
    assert!(health.of(&target()).tokens_per_second.unwrap() > 5_000.0, "what was given up says nothing");
    let mut guard = begin(&health).unwrap();
    guard.wrote(10_000, seconds(1_000));
    guard.settle(None, None);
    assert!(health.of(&target()).tokens_per_second.unwrap() < 20.0);
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
    assert_eq!(begin(&health).unwrap_err(), Duration::from_secs(15));
    clock.pass(15);
    assert!(available(&health) && available(&health), "looking sends no probe");
    let probe = begin(&health).unwrap();
    assert!(probe.is_probe() && !available(&health));
    assert_eq!(begin(&health).unwrap_err(), Duration::ZERO, "one probe at a time");
    probe.settle(Some(ErrorKind::Transient), None);
    clock.pass(15);
    assert!(begin(&health).is_err(), "twice as long after a failed probe");
    clock.pass(15);
    begin(&health).unwrap().settle(None, Some(Duration::from_millis(5)));
    assert!(available(&health));
    assert!(!begin(&health).unwrap().is_probe());
}

#[test]
fn a_probe_that_is_dropped_frees_its_place_after_a_pause() {
    let (clock, health) = set_up();
    health.record(&outcome(Some(ErrorKind::Credential), None));
    assert!(!available(&health), "a wrong key needs no second try");
    clock.pass(299);
    assert!(!available(&health));
    clock.pass(1);
    drop(begin(&health).unwrap());
    assert!(begin(&health).is_err(), "not one after the other");
    clock.pass(1);
    let probe = begin(&health).unwrap();
    assert!(probe.is_probe());
    assert!(begin(&health).is_err());
    probe.settle(Some(ErrorKind::Cancelled), None);
    clock.pass(1);
    begin(&health).unwrap().settle(None, None);
    assert!(!begin(&health).unwrap().is_probe(), "closed again");
}

#[test]
fn a_share_of_failures_opens_it_once_there_are_enough_calls() {
    let (_, health) = set_up();
    for n in 0..9 {
        let error = (n % 2 == 1).then_some(ErrorKind::Timeout);
        begin(&health).unwrap().settle(error, None);
        assert!(available(&health), "{n}");
    }
    begin(&health).unwrap().settle(Some(ErrorKind::Timeout), None);
    assert!(!available(&health), "five of ten");
}

#[test]
fn a_rate_limit_shows_in_the_rate_and_opens_nothing() {
    let (_, health) = set_up();
    for _ in 0..50 {
        begin(&health).unwrap().settle(Some(ErrorKind::RateLimit), None);
    }
    assert!(available(&health));
    assert!(health.of(&target()).failure_rate > 0.9);
}

#[test]
fn what_was_on_its_way_when_it_opened_neither_doubles_nor_closes() {
    let (clock, health) = set_up();
    let early: Vec<HealthGuard> = (0..10).map(|_| begin(&health).unwrap()).collect();
    assert_eq!(health.of(&target()).in_flight, 10);
    for (n, call) in early.into_iter().enumerate() {
        clock.pass(1);
        let error = (n != 9).then_some(ErrorKind::Transient);
        call.settle(error, Some(Duration::from_secs(1)));
    }
    // It opened with the third, seven seconds ago.
    assert_eq!(begin(&health).unwrap_err(), Duration::from_secs(8));
    assert_eq!(health.of(&target()).in_flight, 0);
}

#[test]
fn chance_shortens_a_cool_down_by_a_tenth_at_most() {
    let clock = Arc::new(Hand::default());
    let waits: Vec<Duration> = (0..20)
        .map(|seed| {
            let health = Arc::new(FleetHealth::new(clock.clone()).with_seed(seed));
            for _ in 0..3 {
                begin(&health).unwrap().settle(Some(ErrorKind::Transient), None);
            }
            begin(&health).unwrap_err()
        })
        .collect();
    assert!(waits.iter().all(|w| (Duration::from_millis(13_500)..=Duration::from_secs(15)).contains(w)), "{waits:?}");
    assert!(waits.iter().any(|w| w != &waits[0]));
    let health = Arc::new(FleetHealth::new(clock).with_seed(0));
    for _ in 0..3 {
        begin(&health).unwrap().settle(Some(ErrorKind::Transient), None);
    }
    assert_eq!(begin(&health).unwrap_err(), waits[0], "the same seed, the same chance");
}

#[test]
fn a_target_is_available_while_one_of_its_keys_is() {
    let (_, health) = set_up();
    let keys = vec!["a".to_owned(), "b".to_owned()];
    let health = Arc::new(Arc::into_inner(health).unwrap().with_keys("p", keys));
    let begin = |key: &str| health.begin(&target(), key);
    begin("a").unwrap().settle(Some(ErrorKind::Credential), None);
    assert!(begin("a").is_err() && available(&health));
    assert!(health.of(&target()).failure_rate < 1e-6, "the key that would be called");
    begin("b").unwrap().settle(None, Some(Duration::from_secs(2)));
    begin("b").unwrap().settle(Some(ErrorKind::QuotaExhausted), None);
    assert!(!available(&health));
    let causes = ["a", "b"].map(|key| begin(key).unwrap_err().cause);
    assert_eq!(causes, [ErrorKind::Credential, ErrorKind::QuotaExhausted]);
    let states: Vec<(String, BreakerState)> =
        health.keys_of(&target()).into_iter().map(|k| (k.key_id, k.breaker)).collect();
    assert_eq!(states, [("a".into(), BreakerState::Open), ("b".into(), BreakerState::Open)]);
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
    assert_eq!(health.of(&target()), TargetHealth { available: true, ..TargetHealth::default() });
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
    let health = FleetHealth::with_options(clock.clone(), HealthOptions { capacity: 10, ..HealthOptions::default() });
    for n in 0..100 {
        let mut outcome = outcome(None, Some(1));
        outcome.target.model = format!("m{n}");
        health.record(&outcome);
        clock.pass(1);
    }
    assert_eq!(health.lock().targets.len(), 10);
    assert!(health.of(&Target::new("p", "m99")).first_token.is_some());
    assert!(health.of(&Target::new("p", "m0")).first_token.is_none());
}
