//! Keeping within a provider's limits: requests, tokens, bursts and concurrency, shared by every call with the same key.
//!
//! Rates follow the generic cell rate algorithm (ITU-T I.371): one number, the theoretical arrival time of the next call, says
//! whether a call conforms. Who waits holds a place in a queue, one for each model, and never a lock, so that a penalty or a
//! raised limit reaches the waiting too. The `governor` crate has no rate that changes, no place to give back and no answer to
//! "how long would it take"; this is why the arithmetic is here.

mod bucket;
mod limits;
mod permit;

pub use limits::PaceLimits;
pub use permit::PacePermit;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{RateLimits, RateWindow};
use bucket::{Bucket, Cut, learnt, recover, seconds};
use permit::{Charged, Place};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slowest that a penalty makes a pacer: one call in five seconds.
const FLOOR: f64 = 0.2;
/// What a 429 leaves of the rate.
const PENALTY: f64 = 0.7;
/// The first wait after a 429 that names none, doubled with each further one in a row.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// What arithmetic with fractions may be off.
const ROUNDING: Duration = Duration::from_nanos(100);
/// Models of one key that are remembered.
const MODELS: usize = 256;

/// Paces the calls with one key.
#[derive(Debug)]
pub struct Pacer {
    clock: Arc<dyn Clock>,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limits: PaceLimits,
    /// Slots to be taken out of use as they come back, when a limit was lowered.
    surplus: usize,
    in_flight: usize,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    models: HashMap<String, Lane>,
}

/// What was learnt of one model.
#[derive(Debug)]
struct Lane {
    /// One permit: who has it is first in the queue. Fair, and given back when a waiting call is dropped.
    turnstile: Arc<Semaphore>,
    /// Calls and tokens that wait.
    waiting: usize,
    waiting_tokens: u64,
    /// Nobody goes before this.
    closed_until: Duration,
    /// The rate after penalties.
    cut: Option<Cut>,
    /// Rate limits in a row, without a success between.
    refused: u32,
    /// Calls a second lately, decayed to `counted_at`.
    rate: f64,
    counted_at: Duration,
    /// What the provider's headers said.
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Lane {
    fn new(now: Duration) -> Self {
        Self {
            turnstile: Arc::new(Semaphore::new(1)),
            waiting: 0,
            waiting_tokens: 0,
            closed_until: Duration::ZERO,
            cut: None,
            refused: 0,
            rate: 0.0,
            counted_at: now,
            requests: None,
            tokens: None,
        }
    }

    /// The rate of calls at `now`, over about the last ten seconds.
    fn seen_rate(&self, now: Duration) -> f64 {
        self.rate * (-now.saturating_sub(self.counted_at).as_secs_f64() / 10.0).exp()
    }
}

/// Where a pacer stands with one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PaceReport {
    /// Calls on their way, over all models of the key.
    pub in_flight: usize,
    /// Calls that wait for leave.
    pub waiting: usize,
    /// Calls a second that it lets through now; `None` for no limit.
    pub requests_per_second: Option<f64>,
    /// How long the next call would have to wait, in milliseconds.
    pub wait_ms: u64,
}

impl Pacer {
    /// A pacer that begins with a full burst.
    pub fn new(limits: PaceLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        let now = clock.monotonic();
        let slots = limits.concurrency.unwrap_or(Semaphore::MAX_PERMITS).clamp(1, Semaphore::MAX_PERMITS);
        let mut state =
            State { limits, surplus: 0, in_flight: 0, requests: None, tokens: None, models: HashMap::new() };
        state.fill(now);
        Arc::new(Self { clock, slots: Arc::new(Semaphore::new(slots)), state: Mutex::new(state) })
    }

    /// Lowers its limits to those of `limits` that are stricter: what several hosts of a process agreed on with one key.
    pub fn tighten(&self, limits: PaceLimits) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let before = state.limits;
        state.limits = before.stricter(limits);
        state.fill(now);
        let of = |limits: PaceLimits| limits.concurrency.unwrap_or(Semaphore::MAX_PERMITS).max(1);
        let fewer = of(before).saturating_sub(of(state.limits));
        let gone = self.slots.forget_permits(fewer);
        state.surplus += fewer - gone;
    }

    /// What it keeps to of its own accord.
    pub fn limits(&self) -> PaceLimits {
        self.lock().limits
    }

    /// Waits for leave to call `model` with about `tokens` tokens, at most for `patience`. First come, first served for each model;
    /// a wait that is dropped gives its place to the next.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimit`] with the wait that it would take, at once when that is longer than `patience`: nobody waits in vain.
    pub async fn acquire(self: &Arc<Self>, model: &str, tokens: u64, patience: Option<Duration>) -> Result<PacePermit> {
        let began = self.clock.monotonic();
        // Nobody waits and there is room: the usual case, without a queue.
        if let Some(permit) = self.try_acquire(model, tokens, began) {
            return Ok(permit);
        }
        if patience.is_some_and(|patience| patience.is_zero()) {
            return Err(self.refusal(self.estimate(model, Some(tokens))));
        }
        let place = Place::new(self, model, tokens);
        if let Some(patience) = patience {
            let wait = self.estimate(model, None);
            if wait > patience {
                return Err(self.refusal(wait));
            }
        }
        let admitted = self.in_turn(&place, model, tokens, began);
        match patience {
            None => admitted.await,
            // Slots come back when calls end, which nobody can foretell.
            Some(patience) => match tokio::time::timeout(patience, admitted).await {
                Ok(permit) => permit,
                Err(_) => Err(self.refusal(self.estimate(model, None))),
            },
        }
    }

    /// Leave to call `model` now, or `None` where others wait or there is none. All under one lock: of two that come together neither is
    /// turned away for the other's sake.
    fn try_acquire(self: &Arc<Self>, model: &str, tokens: u64, now: Duration) -> Option<PacePermit> {
        let (slot, charged) = {
            let mut state = self.lock();
            if state.lane(model, now).waiting > 0 {
                return None;
            }
            let slot = self.slots.clone().try_acquire_owned().ok()?;
            (slot, state.take(model, tokens, now).ok()?)
        };
        Some(self.permit(slot, model, tokens, charged, (now, Duration::ZERO)))
    }

    async fn in_turn(self: &Arc<Self>, place: &Place, model: &str, tokens: u64, began: Duration) -> Result<PacePermit> {
        let closed = || Error::new(ErrorKind::Cancelled, "the pacer is closed");
        let _turn = place.turnstile.acquire().await.map_err(|_| closed())?;
        // What was slept counts too: a clock that a test moves by hand may stand still while the runtime's timer does not.
        let mut slept = Duration::ZERO;
        loop {
            // The slot before the rate, so that leave once given is used at once; not kept while sleeping, others may use it.
            let slot = self.slots.clone().acquire_owned().await.map_err(|_| closed())?;
            let now = self.clock.monotonic().max(began + slept);
            let taken = self.lock().take(model, tokens, now);
            match taken {
                Ok(charged) => {
                    return Ok(self.permit(slot, model, tokens, charged, (now, now.saturating_sub(began))));
                }
                Err(wait) => {
                    drop(slot);
                    // Not too long at once: a penalty may end or a place be given back meanwhile.
                    let wait = wait.clamp(Duration::from_millis(1), Duration::from_secs(1));
                    tokio::time::sleep(wait).await;
                    slept = now.saturating_sub(began) + wait;
                }
            }
        }
    }

    fn permit(
        self: &Arc<Self>,
        slot: OwnedSemaphorePermit,
        model: &str,
        tokens: u64,
        charged: Charged,
        (admitted, waited): (Duration, Duration),
    ) -> PacePermit {
        let (pacer, model) = (self.clone(), model.to_owned());
        PacePermit { pacer, slot: Some(slot), model, tokens, charged, admitted, waited, sent: false }
    }

    /// How long a call of so many tokens that came now, or else the one that came last, has to wait, those before it included; zero where
    /// only slots are missing.
    fn estimate(&self, model: &str, newcomer: Option<u64>) -> Duration {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let (before, tokens) = {
            let lane = state.lane(model, now);
            match newcomer {
                Some(tokens) => (lane.waiting as f64, lane.waiting_tokens.saturating_add(tokens)),
                None => (lane.waiting.saturating_sub(1) as f64, lane.waiting_tokens),
            }
        };
        let at = state.ready_at(model, tokens, now);
        let lane = state.models.get(model);
        let slowest = |bucket: &Option<Bucket>| bucket.map_or(0.0, |b| b.interval);
        let each = slowest(&state.requests)
            .max(lane.map_or(0.0, |l| slowest(&l.requests)))
            .max(lane.and_then(|l| l.cut).map_or(0.0, |cut| 1.0 / cut.rate));
        // Those before take what conforms now; each further one an interval.
        let queue = if at > now { seconds(each * before) } else { Duration::ZERO };
        at.saturating_sub(now).saturating_add(queue)
    }

    /// How long a call to `model` that came now would have to wait for the rates; zero where only slots are missing.
    pub fn wait_for(&self, model: &str, tokens: u64) -> Duration {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.ready_at(model, tokens, now).saturating_sub(now)
    }

    fn refusal(&self, wait: Duration) -> Error {
        let state = self.lock();
        let words = if wait.is_zero() {
            format!("our own pace: {} calls are in flight already", state.in_flight)
        } else {
            format!("our own pace allows the next call in {} ms", wait.as_millis())
        };
        let error = Error::new(ErrorKind::RateLimit, words).with_code("paced");
        if wait.is_zero() { error } else { error.with_retry_after(wait) }
    }

    /// Where it stands with `model`.
    pub fn report(&self, model: &str) -> PaceReport {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let at = state.ready_at(model, 1, now);
        let lane = state.models.get(model);
        let cut = lane.and_then(|l| l.cut).map(|cut| cut.rate);
        let own = state.limits.requests_per_second;
        PaceReport {
            in_flight: state.in_flight,
            waiting: lane.map_or(0, |l| l.waiting),
            requests_per_second: match (own, cut) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            wait_ms: u64::try_from(at.saturating_sub(now).as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The provider said too much to a call that was let through at `admitted`: nobody goes before `retry_after` is over, and the
    /// rate falls to seven tenths, for a minute at least. Calls that were on their way already are one offence, not many.
    pub fn penalise(&self, model: &str, admitted: Duration, retry_after: Option<Duration>) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let own = state.limits.requests_per_second;
        let lane = state.lane(model, now);
        let stale = lane.cut.is_some_and(|cut| admitted <= cut.at);
        if !stale {
            let rate = match lane.cut {
                Some(cut) => cut.rate,
                // What was sent lately; a single call tells no rate, and counts as one a second.
                None => own.unwrap_or_else(|| lane.seen_rate(now).max(1.0)),
            };
            let base = lane.cut.map_or(rate, |cut| cut.base);
            let rate = (rate * PENALTY).max(FLOOR.min(base));
            let next = now + seconds(1.0 / rate);
            lane.cut = Some(Cut { at: now, base, rate, since: now, next });
            lane.refused = lane.refused.saturating_add(1);
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << lane.refused.saturating_sub(1).min(6)).min(LONGEST_WAIT);
        let wait = match retry_after {
            Some(wait) => wait,
            None if stale => Duration::ZERO,
            None => doubled,
        };
        lane.closed_until = lane.closed_until.max(now.saturating_add(wait));
    }

    /// A call that was let through at `admitted` was not refused for its pace.
    pub fn passed(&self, model: &str, admitted: Duration) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let lane = state.lane(model, now);
        if lane.cut.is_none_or(|cut| admitted > cut.at) {
            lane.refused = 0;
        }
    }

    /// Learns what the provider says is left of `model`'s limits.
    pub fn learn(&self, model: &str, seen: &RateLimits) {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let lane = state.lane(model, now);
        let bucket = |old: Option<Bucket>, window: Option<RateWindow>| match window {
            Some(window) => learnt(window, now).or(old),
            None => old,
        };
        lane.requests = bucket(lane.requests, seen.requests);
        lane.tokens = bucket(lane.tokens, seen.tokens);
        if let Some(wait) = seen.closed_for {
            lane.closed_until = lane.closed_until.max(now.saturating_add(wait));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves numbers behind, never half a state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The buckets of its own limits, full, or as they were where they were there.
    fn fill(&mut self, now: Duration) {
        let at = |bucket: Option<Bucket>| bucket.map_or(now, |b| b.full_at);
        let PaceLimits { requests_per_second, burst, tokens_per_minute, .. } = self.limits;
        let rate = requests_per_second.filter(|rate| rate.is_finite() && *rate > 0.0);
        self.requests = rate.map(|rate| {
            let size = f64::from(burst.max(1));
            Bucket { interval: 1.0 / rate, size, full_at: at(self.requests) }
        });
        // A minute's tokens may go at once after a pause.
        self.tokens = tokens_per_minute.filter(|n| *n > 0).map(|n| {
            let size = n as f64;
            Bucket { interval: 60.0 / size, size, full_at: at(self.tokens) }
        });
    }

    fn lane(&mut self, model: &str, now: Duration) -> &mut Lane {
        if !self.models.contains_key(model) {
            if self.models.len() >= MODELS {
                let idle = self.models.iter().filter(|(_, lane)| lane.waiting == 0);
                let oldest = idle.min_by_key(|(name, lane)| (lane.counted_at, (*name).clone()));
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    self.models.remove(&oldest);
                }
            }
            self.models.insert(model.to_owned(), Lane::new(now));
        }
        self.models.entry(model.to_owned()).or_insert_with(|| Lane::new(now))
    }

    /// Takes what a call needs, or says how long to wait before asking again.
    fn take(&mut self, model: &str, tokens: u64, now: Duration) -> Result<Charged, Duration> {
        let at = self.ready_at(model, tokens, now);
        if at > now + ROUNDING {
            return Err(at - now);
        }
        let mut charged = Charged::default();
        if let Some(bucket) = &mut self.requests {
            bucket.take(1.0, now);
            charged.requests = bucket.full_at;
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens as f64, now);
            charged.tokens = bucket.full_at;
        }
        self.in_flight += 1;
        let lane = self.lane(model, now);
        lane.rate = lane.seen_rate(now) + 0.1;
        lane.counted_at = now;
        if let Some(bucket) = &mut lane.requests {
            bucket.take(1.0, now);
        }
        if let Some(bucket) = &mut lane.tokens {
            bucket.take(tokens as f64, now);
        }
        if let Some(cut) = &mut lane.cut {
            cut.next = now + seconds(1.0 / cut.rate);
        }
        Ok(charged)
    }

    /// When a call conforms to everything but slots.
    fn ready_at(&mut self, model: &str, tokens: u64, now: Duration) -> Duration {
        let ready = |bucket: &Option<Bucket>, units: f64| bucket.map_or(Duration::ZERO, |b| b.ready_at(units));
        let tokens = tokens as f64;
        let own = ready(&self.requests, 1.0).max(ready(&self.tokens, tokens));
        let limit = self.limits.requests_per_second;
        let lane = self.lane(model, now);
        recover(&mut lane.cut, limit, now);
        let cut = lane.cut.map_or(Duration::ZERO, |cut| cut.next);
        own.max(ready(&lane.requests, 1.0)).max(ready(&lane.tokens, tokens)).max(cut).max(lane.closed_until)
    }
}

#[cfg(test)]
mod tests;
