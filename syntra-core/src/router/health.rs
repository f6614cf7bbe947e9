//! How the models have done lately: decayed latency and failures, load, and a breaker for each key of each model.

use super::{Fleet, RouteOutcome, Target, TargetHealth};
use crate::clock::Clock;
use crate::error::ErrorKind;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a target is left alone, and how fast the past is forgotten.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthOptions {
    /// Failures in a row after which a target is left alone. 3.
    pub failures: u32,
    /// Share of failed calls, 0 to 1, from which a target is left alone, once there are `minimum_calls`. 0.5.
    pub failure_rate: f64,
    /// Calls, decayed, without which a share says nothing. 10.
    pub minimum_calls: u32,
    /// How long it is left alone the first time; twice as long after each probe that fails, up to `longest_cool_down`. 15 s.
    pub cool_down: Duration,
    /// The longest cool-down; also the one after an error that a person has to mend (key, quota, region, unknown model). 5 min.
    pub longest_cool_down: Duration,
    /// The share of a cool-down, 0 to 1, by which chance may shorten it, so that many processes do not all come back at once. 0.1.
    pub jitter: f64,
    /// How soon the next probe may follow one that was dropped or found nothing out. 1 s.
    pub probe_interval: Duration,
    /// Time in which a call loses half its weight in the failure rate. 60 s.
    pub half_life: Duration,
    /// Weight of the newest call in the decayed latency and in the decayed tokens per second, 0 to 1. 0.3.
    pub latency_weight: f64,
    /// Targets remembered at most; the one longest unheard of is forgotten first. 1024.
    pub capacity: usize,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            failures: 3,
            failure_rate: 0.5,
            minimum_calls: 10,
            cool_down: Duration::from_secs(15),
            longest_cool_down: Duration::from_secs(300),
            jitter: 0.1,
            probe_interval: Duration::from_secs(1),
            half_life: Duration::from_secs(60),
            latency_weight: 0.3,
            capacity: 1024,
        }
    }
}

impl HealthOptions {
    /// That the options make sense.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the one that does not.
    pub fn check(&self) -> crate::Result<()> {
        let share = |name: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => {
                let problem = format!("breaker: {name} must be between 0 and 1, got {value}");
                Err(crate::Error::new(ErrorKind::Config, problem))
            }
        };
        share("failure_rate", self.failure_rate)?;
        share("jitter", self.jitter)?;
        share("latency_weight", self.latency_weight)
    }
}

/// The health of every target that was called, for [`Fleet`] snapshots. Shared between the router and whatever calls the models.
///
/// Each key of a target has a breaker. It opens after [`HealthOptions::failures`] failures in a row, at a failure rate of
/// [`HealthOptions::failure_rate`], and at once after an error that a person has to mend. Open, it lets nobody through until the
/// cool-down is over; then exactly one call, the probe, whose outcome closes it or doubles the cool-down. Only failures that
/// speak about the target count: a refused request, a content policy or a cancelled call say nothing about it, and a rate limit
/// shows in the failure rate but opens nothing, because the pacer waits for that.
#[derive(Debug)]
pub struct FleetHealth {
    clock: Arc<dyn Clock>,
    options: HealthOptions,
    /// The keys of each provider; one without a name where it is not listed.
    keys: HashMap<String, Vec<String>>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    targets: HashMap<Target, Vec<(String, State)>>,
    random: StdRng,
}

#[derive(Clone, Debug, Default)]
struct State {
    first_token: Option<Duration>,
    /// Tokens written after the first, and the seconds that they took, both decayed.
    written: (f64, f64),
    /// Calls, failures, and failures that speak for opening, each decayed to `at`.
    calls: f64,
    failed: f64,
    broken: f64,
    at: Duration,
    in_a_row: u32,
    in_flight: u32,
    open: Option<Open>,
    probing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    since: Duration,
    until: Duration,
    /// The cool-down without jitter, to be doubled.
    cool_down: Duration,
    /// The failure that opened it.
    cause: ErrorKind,
}

impl Open {
    fn closed(&self, now: Duration) -> Closed {
        Closed { wait: self.until.saturating_sub(now), cause: self.cause }
    }
}

/// Why a breaker lets nobody through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// For how long; zero while the probe is on its way and may end any moment.
    pub wait: Duration,
    /// The last failure that speaks about the target.
    pub cause: ErrorKind,
}

impl Closed {
    /// Whether a person has to mend it: the key, the quota, the region or the name of the model.
    pub fn is_lasting(&self) -> bool {
        verdict(self.cause) == Verdict::Lasting
    }
}

/// What an error says about its target.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    /// Nothing.
    Neutral,
    /// It is busy.
    Paced,
    /// It may pass.
    Passing,
    /// A person has to mend it.
    Lasting,
}

fn verdict(kind: ErrorKind) -> Verdict {
    use ErrorKind::*;
    match kind {
        RateLimit => Verdict::Paced,
        Transient | Timeout | Connection | Truncated | Decode | Overloaded | Unknown => Verdict::Passing,
        Credential | QuotaExhausted | Region | ModelUnavailable => Verdict::Lasting,
        _ => Verdict::Neutral,
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Nothing goes through until the cool-down is over.
    Open,
    /// The cool-down is over: the next call, or the one on its way, is the probe.
    HalfOpen,
}

/// How one key of a target has done lately.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyHealth {
    /// The key's fingerprint, empty for a provider without keys or with one of its own.
    pub key_id: String,
    /// Where its breaker stands.
    pub breaker: BreakerState,
    /// How long until a call may go through; zero where one may now.
    #[serde(serialize_with = "millis", rename = "closed_for_ms")]
    pub closed_for: Duration,
    /// Decayed time to first token; `None` before the first success.
    #[serde(serialize_with = "optional_millis", rename = "first_token_ms")]
    pub first_token: Option<Duration>,
    /// Decayed tokens per second after the first; `None` before enough was written to say.
    pub tokens_per_second: Option<f32>,
    /// Decayed share of calls that failed, 0 to 1.
    pub failure_rate: f32,
    /// Calls on their way.
    pub in_flight: u32,
}

fn millis<S: serde::Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

fn optional_millis<S: serde::Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match wait {
        Some(wait) => millis(wait, serializer),
        None => serializer.serialize_none(),
    }
}

/// A call on its way, begun by [`FleetHealth::begin`]. Settle it with how it went; dropping it says nothing about the target and
/// gives its place, the probe's too, back.
#[derive(Debug)]
pub struct HealthGuard {
    health: Arc<FleetHealth>,
    target: Target,
    key: String,
    began: Duration,
    probe: bool,
    written: Option<Written>,
    settled: bool,
}

/// Tokens that came after the first, and how long they took.
type Written = (u64, Duration);

impl HealthGuard {
    /// Whether this call is the one that an open breaker let through to find out.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Says that `tokens` were written in the time `took` after the first one came; to be said before it is settled, and heeded
    /// where it is settled as a success.
    pub fn wrote(&mut self, tokens: u64, took: Duration) {
        self.written = Some((tokens, took));
    }

    /// Learns how the call went: its error if it failed, its time to first token if it had one.
    pub fn settle(mut self, error: Option<ErrorKind>, first_token: Option<Duration>) {
        self.settled = true;
        self.health.end(&self, error, first_token);
    }
}

impl Drop for HealthGuard {
    fn drop(&mut self) {
        if !self.settled {
            self.health.end(self, Some(ErrorKind::Cancelled), None);
        }
    }
}

impl FleetHealth {
    /// Health that knows nothing yet, with the default options.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_options(clock, HealthOptions::default())
    }

    /// Health that knows nothing yet.
    pub fn with_options(clock: Arc<dyn Clock>, options: HealthOptions) -> Self {
        let inner = Inner { targets: HashMap::new(), random: StdRng::from_os_rng() };
        Self { clock, options, keys: HashMap::new(), inner: Mutex::new(inner) }
    }

    /// The same with its chance from `seed`, for exact tests.
    pub fn with_seed(self, seed: u64) -> Self {
        self.lock().random = StdRng::seed_from_u64(seed);
        self
    }

    /// The same where `provider` has several keys, by their fingerprints: a target of it is available while one of them is.
    pub fn with_keys(mut self, provider: impl Into<String>, key_ids: Vec<String>) -> Self {
        self.keys.insert(provider.into(), key_ids);
        self
    }

    /// `targets` with their health, for [`super::Router::plan`]. A target whose cool-down is over is available; which call becomes
    /// its probe is decided when it is made.
    pub fn snapshot(&self, targets: &[Target]) -> Fleet {
        let now = self.clock.monotonic();
        let inner = self.lock();
        let targets = targets.iter().map(|target| (target.clone(), self.health_of(&inner, target, now))).collect();
        Fleet { targets }
    }

    /// The health of `target`: of its best key, with the load of all.
    pub fn of(&self, target: &Target) -> TargetHealth {
        self.health_of(&self.lock(), target, self.clock.monotonic())
    }

    /// The health of each key of `target`.
    pub fn keys_of(&self, target: &Target) -> Vec<KeyHealth> {
        let now = self.clock.monotonic();
        let inner = self.lock();
        self.each_key(&inner, target).map(|(key, state)| self.key_health(key, state, now)).collect()
    }

    /// Whether the breaker of a key of `target` lets nobody through; `None` when a call may go.
    pub fn closed(&self, target: &Target, key_id: &str) -> Option<Closed> {
        let now = self.clock.monotonic();
        let inner = self.lock();
        let (_, state) = inner.targets.get(target)?.iter().find(|(key, _)| key == key_id)?;
        let open = state.open.filter(|_| !Self::free(state, now))?;
        Some(open.closed(now))
    }

    /// Begins a call to `target` with the key of the fingerprint `key_id`.
    ///
    /// # Errors
    /// [`Closed`] while the breaker lets nobody through.
    pub fn begin(self: &Arc<Self>, target: &Target, key_id: &str) -> Result<HealthGuard, Closed> {
        let now = self.clock.monotonic();
        let mut inner = self.lock();
        let mut probe = false;
        if let Some(state) = self.state(&mut inner, target, key_id, now) {
            if let Some(open) = state.open {
                if now < open.until || state.probing {
                    return Err(open.closed(now));
                }
                probe = true;
                state.probing = true;
            }
            state.in_flight = state.in_flight.saturating_add(1);
        }
        let (target, key) = (target.clone(), key_id.to_owned());
        Ok(HealthGuard { health: self.clone(), target, key, began: now, probe, written: None, settled: false })
    }

    /// Learns how a call went that was not begun with [`FleetHealth::begin`], on the provider's only key.
    pub fn record(&self, outcome: &RouteOutcome) {
        let now = self.clock.monotonic();
        let mut inner = self.lock();
        let draw = inner.random.random::<f64>();
        if let Some(state) = self.state(&mut inner, &outcome.target, "", now) {
            // It stands for the probe that may have been due.
            let written = outcome.first_token.zip(outcome.output_tokens);
            let written = written.map(|(first, tokens)| (tokens, outcome.total.saturating_sub(first)));
            let call = Ended { began: now, probe: state.open.is_some_and(|open| now >= open.until), draw, written };
            self.learn(state, call, outcome.error, outcome.first_token, now);
        }
    }

    fn end(&self, guard: &HealthGuard, error: Option<ErrorKind>, first_token: Option<Duration>) {
        let now = self.clock.monotonic();
        let mut inner = self.lock();
        let draw = inner.random.random::<f64>();
        // Looked up anew: it may have been forgotten meanwhile.
        let known = inner.targets.get_mut(&guard.target);
        let Some(state) = known.and_then(|keys| keys.iter_mut().find(|(key, _)| *key == guard.key)) else { return };
        let state = &mut state.1;
        state.in_flight = state.in_flight.saturating_sub(1);
        if guard.probe {
            state.probing = false;
        }
        let call = Ended { began: guard.began, probe: guard.probe, draw, written: guard.written };
        self.learn(state, call, error, first_token, now);
    }

    fn learn(
        &self,
        state: &mut State,
        call: Ended,
        error: Option<ErrorKind>,
        first_token: Option<Duration>,
        now: Duration,
    ) {
        if error.map(verdict) == Some(Verdict::Neutral) {
            if let (true, Some(open)) = (call.probe, &mut state.open) {
                // The probe found nothing out: another may, but not one after the other without a pause.
                open.until = open.until.max(call.began + self.options.probe_interval);
            }
            return;
        }
        let keep = self.kept(state, now);
        state.failed *= keep;
        state.broken *= keep;
        state.calls = state.calls * keep + 1.0;
        state.at = now;
        let Some(cause) = error else { return self.succeeded(state, call, first_token) };
        let verdict = verdict(cause);
        state.failed += 1.0;
        if verdict == Verdict::Paced {
            if let (true, Some(open)) = (call.probe, &mut state.open) {
                open.until = open.until.max(now + self.options.probe_interval);
            }
            return;
        }
        state.broken += 1.0;
        state.in_a_row = state.in_a_row.saturating_add(1);
        let (first, longest) = (self.options.cool_down, self.options.longest_cool_down);
        let cool_down = match (verdict, state.open) {
            (Verdict::Lasting, _) => longest,
            (_, Some(open)) if call.probe => open.cool_down.saturating_mul(2).min(longest),
            // One that was on its way when it opened says nothing new.
            (_, Some(_)) => return,
            (_, None) if state.in_a_row >= self.options.failures.max(1) => first.min(longest),
            (_, None) if self.too_many(state) => first.min(longest),
            (_, None) => return,
        };
        let wait = cool_down.mul_f64(1.0 - self.options.jitter.clamp(0.0, 1.0) * call.draw);
        state.open = Some(Open { since: now, until: now + wait, cool_down, cause });
    }

    fn succeeded(&self, state: &mut State, call: Ended, first_token: Option<Duration>) {
        if let Some(new) = first_token {
            let weight = self.options.latency_weight.clamp(0.0, 1.0);
            state.first_token =
                Some(state.first_token.map_or(new, |old| old.mul_f64(1.0 - weight) + new.mul_f64(weight)));
        }
        if let Some((tokens, took)) = call.written.filter(|(tokens, _)| *tokens > 0) {
            // Both sums, so that a long answer says more than a short one.
            let keep = 1.0 - self.options.latency_weight.clamp(0.0, 1.0);
            let (written, seconds) = state.written;
            state.written = (written * keep + tokens as f64, seconds * keep + took.as_secs_f64());
        }
        match state.open {
            // One that began before it opened says what was, not what is.
            Some(open) if !call.probe && call.began < open.since => {}
            Some(_) => {
                state.open = None;
                state.in_a_row = 0;
                // The share of before is not to open it again before there is news.
                let calls = f64::from(self.options.minimum_calls) / 2.0;
                if state.calls > calls {
                    let share = calls / state.calls;
                    state.calls *= share;
                    state.failed *= share;
                    state.broken *= share;
                }
            }
            None => state.in_a_row = 0,
        }
    }

    fn too_many(&self, state: &State) -> bool {
        let enough = state.calls >= f64::from(self.options.minimum_calls.max(1)) - 1e-9;
        enough && state.broken / state.calls >= self.options.failure_rate
    }

    /// The state of a key of a target, made if there is room; the target longest unheard of makes room.
    fn state<'a>(&self, inner: &'a mut Inner, target: &Target, key: &str, now: Duration) -> Option<&'a mut State> {
        if self.options.capacity == 0 {
            return None;
        }
        if !inner.targets.contains_key(target) && inner.targets.len() >= self.options.capacity {
            let heard = |keys: &[(String, State)]| {
                let busy = keys.iter().any(|(_, s)| s.in_flight > 0);
                (busy, keys.iter().map(|(_, s)| s.at).max())
            };
            let oldest = inner.targets.iter().min_by_key(|(target, keys)| (heard(keys), (*target).clone()));
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                inner.targets.remove(&oldest);
            }
        }
        let keys = inner.targets.entry(target.clone()).or_default();
        let place = keys.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
            keys.push((key.to_owned(), State { at: now, ..State::default() }));
            keys.len() - 1
        });
        keys.get_mut(place).map(|(_, state)| state)
    }

    /// The keys of `target`, those of which nothing is known yet included.
    fn each_key<'a>(
        &'a self,
        inner: &'a Inner,
        target: &Target,
    ) -> impl Iterator<Item = (&'a str, Option<&'a State>)> + 'a {
        const ONE: &[String] = &[String::new()];
        let names: &[String] = self.keys.get(&target.provider).map_or(ONE, Vec::as_slice);
        let states: &[(String, State)] = inner.targets.get(target).map_or(&[], Vec::as_slice);
        names
            .iter()
            .map(move |name| (name.as_str(), states.iter().find(|(key, _)| key == name).map(|(_, state)| state)))
    }

    fn health_of(&self, inner: &Inner, target: &Target, now: Duration) -> TargetHealth {
        let mut all = TargetHealth::default();
        let mut best: Option<(bool, f32)> = None;
        for (_, state) in self.each_key(inner, target) {
            let Some(state) = state else {
                all.available = true;
                best = Some((true, 0.0));
                continue;
            };
            let available = Self::free(state, now);
            let rate = self.failure_rate(state, now);
            all.available |= available;
            all.in_flight = all.in_flight.saturating_add(state.in_flight);
            all.first_token = match (all.first_token, state.first_token) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            all.tokens_per_second = match (all.tokens_per_second, pace(state)) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
            best = match best {
                Some((true, old)) if !available => Some((true, old)),
                Some((was, old)) if was == available => Some((was, old.min(rate))),
                _ => Some((available, rate)),
            };
        }
        all.failure_rate = best.map_or(0.0, |(_, rate)| rate);
        all
    }

    fn key_health(&self, key: &str, state: Option<&State>, now: Duration) -> KeyHealth {
        let fresh = State::default();
        let state = state.unwrap_or(&fresh);
        let closed_for = state.open.map_or(Duration::ZERO, |open| open.until.saturating_sub(now));
        let breaker = match state.open {
            None => BreakerState::Closed,
            Some(open) if now < open.until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        };
        KeyHealth {
            key_id: key.to_owned(),
            breaker,
            closed_for,
            first_token: state.first_token,
            tokens_per_second: pace(state),
            failure_rate: self.failure_rate(state, now),
            in_flight: state.in_flight,
        }
    }

    fn free(state: &State, now: Duration) -> bool {
        state.open.is_none_or(|open| now >= open.until && !state.probing)
    }

    /// One imagined success is among the calls, so that a single failure is no rate of 1 and an old rate fades.
    fn failure_rate(&self, state: &State, now: Duration) -> f32 {
        let keep = self.kept(state, now);
        (state.failed * keep / (state.calls * keep + 1.0)) as f32
    }

    /// The share that what was counted at `state.at` still has.
    fn kept(&self, state: &State, now: Duration) -> f64 {
        let half_life = self.options.half_life.as_secs_f64().max(1e-3);
        0.5f64.powf(now.saturating_sub(state.at).as_secs_f64() / half_life)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves counts behind, never half a state: each update is a few assignments.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokens without which a pace says nothing.
const PACE_TOKENS: f64 = 16.0;
/// Tokens per second beyond which nothing is told apart: what a server held back comes all at once.
const PACE_MOST: f64 = 10_000.0;

fn pace(state: &State) -> Option<f32> {
    let (tokens, seconds) = state.written;
    (tokens >= PACE_TOKENS).then(|| (tokens / seconds.max(tokens / PACE_MOST)) as f32)
}

/// A call that ended.
#[derive(Clone, Copy)]
struct Ended {
    began: Duration,
    probe: bool,
    written: Option<Written>,
    /// Chance, 0 to 1, for the jitter of a cool-down.
    draw: f64,
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
