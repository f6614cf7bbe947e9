//! What a pacer lets through, with time that the test moves.

use super::*;
use crate::testing::TokioClock;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;

fn pacer(limits: PaceLimits) -> Arc<Pacer> {
    Pacer::new(limits, Arc::new(TokioClock::new()))
}

fn rate(per_second: f64, burst: u32) -> PaceLimits {
    PaceLimits::default().with_requests_per_second(per_second).with_burst(burst)
}

const NOW: Option<Duration> = Some(Duration::ZERO);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Takes leave and uses it.
async fn go(pacer: &Arc<Pacer>, tokens: u64, patience: Option<Duration>) -> Result<PacePermit> {
    let mut permit = pacer.acquire("m", tokens, patience).await?;
    permit.sent();
    Ok(permit)
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
    let (pacer, began) = (pacer(rate(2.0, 5)), Instant::now());
    let mut times = Vec::new();
    for _ in 0..9 {
        drop(go(&pacer, 0, None).await.unwrap());
        times.push(began.elapsed().as_millis());
    }
    assert_eq!(times, [0, 0, 0, 0, 0, 500, 1_000, 1_500, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn without_limits_a_thousand_go_at_once() {
    let pacer = pacer(PaceLimits::default());
    let began = Instant::now();
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(go(&pacer, 1_000_000, NOW).await.unwrap());
    }
    assert_eq!((began.elapsed(), pacer.report("m").in_flight), (Duration::ZERO, 1_000));
    drop(held);
    assert_eq!(pacer.report("m").in_flight, 0);
}

/// Callers that come at the same moment on different threads: none is turned away for another's sake.
#[test]
fn where_there_is_room_nobody_is_refused() {
    let clock = Arc::new(crate::clock::SystemClock::new());
    let pacer = Pacer::new(PaceLimits::default().with_concurrency(8), clock);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..5_000 {
                        drop(go(&pacer, 1, NOW).await.expect("eight at once may go"));
                    }
                });
            });
        }
    });
    assert_eq!(pacer.report("m").in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_in_vain() {
    let pacer = pacer(rate(1.0, 1));
    go(&pacer, 0, NOW).await.unwrap();
    let began = Instant::now();
    let error = go(&pacer, 0, Some(ms(900))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimit, Some(ms(1_000))));
    assert_eq!(began.elapsed(), Duration::ZERO, "refused at once");
    // Two wait already: a third would be the third second.
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let pacer = pacer.clone();
            tokio::spawn(async move { go(&pacer, 0, None).await.map(|_| ()) })
        })
        .collect();
    tokio::task::yield_now().await;
    let error = go(&pacer, 0, Some(ms(2_500))).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(ms(3_000)));
    go(&pacer, 0, Some(ms(3_500))).await.unwrap();
    assert_eq!(began.elapsed(), ms(3_000));
    for wait in waiting {
        wait.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_nobody_gives_back_is_waited_for_until_the_deadline() {
    let pacer = pacer(PaceLimits::default().with_concurrency(1));
    let held = go(&pacer, 0, NOW).await.unwrap();
    let began = Instant::now();
    let error = go(&pacer, 0, Some(ms(700))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after(), began.elapsed()), (ErrorKind::RateLimit, None, ms(700)));
    assert_eq!(pacer.report("m").waiting, 0);
    drop(held);
    go(&pacer, 0, NOW).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served() {
    let pacer = pacer(rate(10.0, 1).with_concurrency(2));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for n in 0..20 {
        let (pacer, order) = (pacer.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let permit = go(&pacer, 0, None).await.unwrap();
            order.lock().unwrap().push(n);
            tokio::time::sleep(ms(37)).await;
            drop(permit);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_gives_its_place_back() {
    let pacer = pacer(rate(1.0, 1));
    go(&pacer, 0, NOW).await.unwrap();
    let began = Instant::now();
    let impatient = {
        let pacer = pacer.clone();
        tokio::spawn(async move { go(&pacer, 0, None).await.map(|_| ()) })
    };
    tokio::task::yield_now().await;
    let next = {
        let pacer = pacer.clone();
        tokio::spawn(async move { go(&pacer, 0, None).await.map(|_| ()) })
    };
    tokio::task::yield_now().await;
    assert_eq!(pacer.report("m").waiting, 2);
    impatient.abort();
    next.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), ms(1_000), "the place of the one that left");
    // Leave that was never used is leave for another.
    tokio::time::advance(ms(1_000)).await;
    drop(pacer.acquire("m", 0, NOW).await.unwrap());
    go(&pacer, 0, NOW).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tokens_are_weighed_and_settled() {
    let pacer = pacer(PaceLimits::default().with_tokens_per_minute(6_000));
    let mut first = go(&pacer, 6_000, NOW).await.unwrap();
    assert_eq!(go(&pacer, 600, NOW).await.unwrap_err().retry_after(), Some(Duration::from_secs(6)));
    first.settle_tokens(3_000);
    go(&pacer, 3_000, NOW).await.unwrap();
    assert!(go(&pacer, 600, NOW).await.is_err());
    // More than fits into a minute goes when the whole minute is there.
    assert_eq!(pacer.wait_for("m", 1_000_000), Duration::from_secs(60));
    tokio::time::advance(Duration::from_secs(60)).await;
    let mut large = go(&pacer, 1_000_000, NOW).await.unwrap();
    // What was taken long ago has leaked and is not given back twice.
    large.settle_tokens(6_000);
    assert_eq!(pacer.wait_for("m", 6_000), Duration::from_secs(60));
    tokio::time::advance(Duration::from_secs(60)).await;
    large.settle_tokens(0);
    go(&pacer, 6_000, NOW).await.unwrap();
    assert!(go(&pacer, 600, NOW).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_429_slows_down_and_good_seconds_speed_up_again() {
    let pacer = pacer(rate(2.0, 5));
    let permit = go(&pacer, 0, NOW).await.unwrap();
    tokio::time::advance(ms(1)).await;
    pacer.penalise("m", permit.admitted(), Some(Duration::from_secs(3)));
    assert_eq!(pacer.report("m").requests_per_second, Some(1.4));
    assert_eq!(pacer.wait_for("m", 0), Duration::from_secs(3));
    // Another call of the same time was refused for the same reason.
    pacer.penalise("m", permit.admitted(), None);
    assert_eq!(pacer.report("m").requests_per_second, Some(1.4));
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        let permit = go(&pacer, 0, None).await.unwrap();
        last = permit.admitted();
        tokio::time::advance(ms(1)).await;
        pacer.penalise("m", last, Some(Duration::ZERO));
    }
    assert_eq!(pacer.report("m").requests_per_second, Some(0.2), "the floor");
    pacer.passed("m", last + ms(2));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(pacer.report("m").requests_per_second, Some(0.2), "a minute's penalty");
    tokio::time::advance(Duration::from_secs(10)).await;
    let rate = pacer.report("m").requests_per_second.unwrap();
    assert!((rate - 1.2).abs() < 1e-6, "a tenth a second: {rate}");
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(pacer.report("m").requests_per_second, Some(2.0));
    assert_eq!(pacer.wait_for("other", 0), Duration::ZERO, "another model was never refused");
}

#[tokio::test(start_paused = true)]
async fn refusals_without_a_time_are_waited_for_longer_and_longer() {
    let pacer = pacer(PaceLimits::default());
    let mut waits = Vec::new();
    for _ in 0..9 {
        let permit = go(&pacer, 0, None).await.unwrap();
        tokio::time::advance(ms(1)).await;
        pacer.penalise("m", permit.admitted(), None);
        waits.push(pacer.wait_for("m", 0).as_secs_f64().round() as u64);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn headers_are_believed() {
    let pacer = pacer(PaceLimits::default());
    let window = |limit, remaining, reset| Some(RateWindow { limit, remaining, reset: Duration::from_secs(reset) });
    // 60 a minute, none left: one comes back each second.
    let mut seen = RateLimits { requests: window(60, 0, 60), ..RateLimits::default() };
    pacer.learn("m", &seen);
    assert_eq!(pacer.wait_for("m", 0), Duration::from_secs(1));
    assert_eq!(pacer.wait_for("other", 0), Duration::ZERO);
    // Ten left: ten go, the next waits.
    seen.requests = window(60, 10, 50);
    pacer.learn("m", &seen);
    for _ in 0..10 {
        go(&pacer, 0, NOW).await.unwrap();
    }
    assert_eq!(go(&pacer, 0, NOW).await.unwrap_err().retry_after(), Some(Duration::from_secs(1)));
    // Tokens: 1000 a minute, 400 left.
    let seen = RateLimits { tokens: window(1_000, 400, 36), ..RateLimits::default() };
    pacer.learn("t", &seen);
    assert_eq!(pacer.wait_for("t", 400), Duration::ZERO);
    assert_eq!(pacer.wait_for("t", 500), Duration::from_secs(6));
    let seen = RateLimits { closed_for: Some(Duration::from_secs(9)), ..RateLimits::default() };
    pacer.learn("c", &seen);
    assert_eq!(pacer.wait_for("c", 0), Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_holds_for_slots_on_loan_too() {
    let pacer = pacer(PaceLimits::default().with_concurrency(4));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(go(&pacer, 0, NOW).await.unwrap());
    }
    pacer.tighten(PaceLimits::default().with_concurrency(2));
    assert!(go(&pacer, 0, NOW).await.is_err());
    drop(held.pop());
    assert!(go(&pacer, 0, NOW).await.is_err(), "two are still on their way");
    drop(held.pop());
    held.push(go(&pacer, 0, NOW).await.unwrap());
    assert!(go(&pacer, 0, NOW).await.is_err());
    drop(held);
    let both = [go(&pacer, 0, NOW).await.unwrap(), go(&pacer, 0, NOW).await.unwrap()];
    assert!(go(&pacer, 0, NOW).await.is_err());
    drop(both);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_hangs_nobody() {
    let pacer = Pacer::new(rate(1.0, 1), Arc::new(crate::testing::FakeClock::default()));
    go(&pacer, 0, None).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(30), go(&pacer, 0, None)).await;
    assert!(waited.expect("the runtime's timer counts").is_ok());
}

#[test]
fn models_of_one_key_are_bounded() {
    let pacer = Pacer::new(PaceLimits::default(), Arc::new(crate::testing::FakeClock::default()));
    for n in 0..2_000 {
        pacer.wait_for(&format!("m{n}"), 1);
    }
    assert!(pacer.lock().models.len() <= MODELS);
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    for limits in [
        rate(0.0, 1),
        rate(f64::NAN, 1),
        rate(f64::INFINITY, 1),
        rate(-1.0, 1),
        rate(1.0, 0),
        PaceLimits::default().with_concurrency(0),
        PaceLimits::default().with_concurrency(usize::MAX),
        PaceLimits::default().with_tokens_per_minute(0),
    ] {
        assert_eq!(limits.check().unwrap_err().kind(), ErrorKind::Config, "{limits:?}");
    }
    for provider in ["openai", "perplexity", "ollama", "unheard of"] {
        PaceLimits::classic(provider).check().unwrap();
    }
    assert_eq!(PaceLimits::classic("perplexity").requests_per_second, Some(1.0));
}

/// One caller: comes after a pause, takes tokens, stays a while, may leave while it waits.
#[derive(Clone, Debug)]
struct Caller {
    after: u64,
    tokens: u64,
    stays: u64,
    leaves: Option<u64>,
    patience: Option<u64>,
}

fn caller() -> impl Strategy<Value = Caller> {
    (
        0..400_u64,
        0..300_u64,
        0..900_u64,
        proptest::option::weighted(0.2, 0..800_u64),
        proptest::option::of(0..3_000_u64),
    )
        .prop_map(|(after, tokens, stays, leaves, patience)| Caller { after, tokens, stays, leaves, patience })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever comes and goes, in any stretch of time no more calls go than the burst and the rate allow, no more tokens than
    /// a minute's, never more at once than may; all who have patience are let through, and in the end everything is given back.
    #[test]
    fn no_schedule_exceeds_the_limits(
        callers in proptest::collection::vec(caller(), 1..60),
        per_second in 1.0..20.0_f64,
        burst in 1..6_u32,
        concurrency in 1..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            const PER_MINUTE: u64 = 2_000;
            let limits = rate(per_second, burst).with_concurrency(concurrency).with_tokens_per_minute(PER_MINUTE);
            let pacer = pacer(limits);
            let went = Arc::new(Mutex::new(Vec::<(f64, u64)>::new()));
            let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let began = Instant::now();
            let mut tasks = Vec::new();
            for caller in callers.clone() {
                tokio::time::sleep(ms(caller.after)).await;
                let (pacer, went, busy, most) = (pacer.clone(), went.clone(), busy.clone(), most.clone());
                tasks.push(tokio::spawn(async move {
                    let leave = go(&pacer, caller.tokens, caller.patience.map(ms));
                    let got = match caller.leaves {
                        Some(after) => tokio::time::timeout(ms(after), leave).await.ok(),
                        None => Some(leave.await),
                    };
                    let patient = caller.patience.is_none() && caller.leaves.is_none();
                    let Some(Ok(permit)) = got else { return !patient };
                    went.lock().unwrap().push((began.elapsed().as_secs_f64(), caller.tokens));
                    most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(ms(caller.stays)).await;
                    busy.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                    true
                }));
            }
            for task in tasks {
                assert!(task.await.unwrap(), "a patient caller was refused");
            }
            assert!(most.load(Ordering::SeqCst) <= concurrency);
            let went = went.lock().unwrap().clone();
            for (i, (from, _)) in went.iter().enumerate() {
                let (mut calls, mut tokens) = (0.0, 0.0);
                for (at, weight) in &went[i..] {
                    calls += 1.0;
                    tokens += *weight as f64;
                    let stretch = at - from;
                    assert!(calls <= f64::from(burst) + stretch * per_second + 1e-4, "{calls} calls in {stretch} s");
                    let minute = PER_MINUTE as f64;
                    assert!(tokens <= minute + stretch * minute / 60.0 + 1e-2, "{tokens} tokens in {stretch} s");
                }
            }
            let report = pacer.report("m");
            assert_eq!((report.in_flight, report.waiting), (0, 0));
            tokio::time::advance(Duration::from_secs(61)).await;
            let mut held = Vec::new();
            for _ in 0..(burst as usize).min(concurrency) {
                held.push(go(&pacer, 0, NOW).await.expect("everything was given back"));
            }
        });
    }
}
