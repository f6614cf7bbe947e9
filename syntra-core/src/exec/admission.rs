//! Leave to call a model: which key, whether its breaker lets through, and when its pace allows.

use super::pacer::{PaceLimits, PacePermit, PaceReport, Pacer};
use crate::chat::{Event, EventStream, Request, Response, Usage};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::provider::Provider;
use crate::router::{Closed, FleetHealth, HealthGuard, HealthOptions, KeyHealth, Target};
use crate::transport::RateLimits;
use futures::{Stream, StreamExt as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// Pacers that one process shares at most; past that a new host paces alone.
const SHARED: usize = 1_024;

/// How calls are let through.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdmissionOptions {
    /// The limits of each provider, for each of its keys, by the provider's name.
    pub pacing: HashMap<String, PaceLimits>,
    /// The limits of the others. None by default.
    pub default_pacing: PaceLimits,
    /// When a key of a model is left alone.
    pub health: HealthOptions,
    /// Whether calls with the same key are paced together with those of other hosts in this process. Default true.
    pub shared: bool,
    /// Where chance comes from; the operating system by default.
    pub seed: Option<u64>,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        Self {
            pacing: HashMap::new(),
            default_pacing: PaceLimits::default(),
            health: HealthOptions::default(),
            shared: true,
            seed: None,
        }
    }
}

/// Lets calls through. Cheap to clone; clones share everything.
///
/// Each call to a provider asks first. Of several keys two are drawn and the better one is taken, by decayed time to first token,
/// calls in flight and failures (power of two choices: nearly the best, without all callers running to the same one). A key whose breaker
/// is open is passed over, and one whose pace is used up too while another has leave.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use std::sync::Arc;
/// use syntra_core::exec::{AdmissionOptions, Admissions};
/// use syntra_core::router::Target;
/// use syntra_core::testing::{Script, ScriptedProvider};
/// use syntra_core::{Message, Request, SystemClock};
///
/// let provider = Arc::new(ScriptedProvider::always("p", Script::text("Hello")));
/// let admissions = Admissions::new(vec![provider], AdmissionOptions::default(), Arc::new(SystemClock::new()));
/// let admission = admissions.admit(&Target::new("p", "m"), 100, None).await?;
/// let answer = admission.complete(&Request::new("m", vec![Message::user("hi")])).await?;
/// assert_eq!(answer.text(), "Hello");
/// # Ok::<(), syntra_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Admissions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The keys of each provider, in the order in which they were added; never empty.
    providers: HashMap<String, Vec<Key>>,
    health: Arc<FleetHealth>,
    clock: Arc<dyn Clock>,
    random: Mutex<StdRng>,
}

#[derive(Debug)]
struct Key {
    provider: Arc<dyn Provider>,
    pacer: Arc<Pacer>,
}

impl From<Arc<HashMap<String, Arc<dyn Provider>>>> for Admissions {
    /// Lets calls through to `providers` with the default options, by the machine's clock.
    fn from(providers: Arc<HashMap<String, Arc<dyn Provider>>>) -> Self {
        let clock = Arc::new(crate::clock::SystemClock::new());
        Self::new(providers.values().cloned().collect(), AdmissionOptions::default(), clock)
    }
}

/// One key of a model: breaker, latency, load and pace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeyReport {
    /// Breaker, latency, failures and load.
    #[serde(flatten)]
    pub health: KeyHealth,
    /// Its pace.
    pub pace: PaceReport,
}

impl Admissions {
    /// Lets calls to `providers` through as `options` say. Several of one name with different [`Provider::key_id`]s are one provider with
    /// several keys; one with the name and the key of an earlier one replaces it.
    pub fn new(providers: Vec<Arc<dyn Provider>>, options: AdmissionOptions, clock: Arc<dyn Clock>) -> Self {
        let mut keys: HashMap<String, Vec<Key>> = HashMap::new();
        for provider in providers {
            let limits = options.pacing.get(provider.name()).copied().unwrap_or(options.default_pacing);
            let group = provider.pace_group().filter(|_| options.shared);
            let pacer = match group {
                Some(group) => shared(group, limits, &clock),
                None => Pacer::new(limits, clock.clone()),
            };
            let all = keys.entry(provider.name().to_owned()).or_default();
            all.retain(|key| key.provider.key_id() != provider.key_id());
            all.push(Key { provider, pacer });
        }
        let mut health = FleetHealth::with_options(clock.clone(), options.health);
        for (name, all) in &keys {
            health = health.with_keys(name, all.iter().map(|key| key.provider.key_id().to_owned()).collect());
        }
        let random = match options.seed {
            Some(seed) => {
                health = health.with_seed(seed);
                StdRng::seed_from_u64(seed)
            }
            None => StdRng::from_os_rng(),
        };
        Self(Arc::new(Inner { providers: keys, health: Arc::new(health), clock, random: Mutex::new(random) }))
    }

    /// The provider of this name, with the key that was added first.
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.providers.get(name).and_then(|keys| keys.first()).map(|key| &key.provider)
    }

    /// The health that settled calls feed, for routers.
    pub fn health(&self) -> &Arc<FleetHealth> {
        &self.0.health
    }

    /// The names of the providers, sorted.
    pub fn providers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.providers.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Where each key of `target` stands; empty for a provider that is not there.
    pub fn report(&self, target: &Target) -> Vec<KeyReport> {
        let keys = self.0.providers.get(&target.provider).map_or(&[][..], Vec::as_slice);
        let pace = |id: &str| keys.iter().find(|k| k.provider.key_id() == id).map(|k| k.pacer.report(&target.model));
        let health = self.0.health.keys_of(target).into_iter();
        health.filter_map(|health| Some(KeyReport { pace: pace(&health.key_id)?, health })).collect()
    }

    /// Leave to call `target` with about `tokens` tokens (prompt and answer), waiting for the pace until `deadline` ([`Clock::monotonic`])
    /// at most; with a deadline of now it never waits.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] with code `breaker_open` while the breakers of all keys are open, with the time until the next probe, or
    /// again the failure that opened them where somebody has to mend it (credential, quota, region, unknown model);
    /// [`ErrorKind::RateLimit`] with code `paced` when the pace cannot be kept before the deadline, with the wait it would take, at once;
    /// [`ErrorKind::Config`] for a provider that is not there.
    pub async fn admit(&self, target: &Target, tokens: u64, deadline: Option<Duration>) -> Result<Admission> {
        self.let_through(target, tokens, deadline, true).await
    }

    /// As [`Admissions::admit`] without the breaker, for a call that somebody chose to make whatever is known of the target: it has a key
    /// and a place in its pace, and says nothing about the target's health.
    ///
    /// # Errors
    /// As [`Admissions::admit`], but for [`ErrorKind::Overloaded`].
    pub async fn admit_regardless(
        &self,
        target: &Target,
        tokens: u64,
        deadline: Option<Duration>,
    ) -> Result<Admission> {
        self.let_through(target, tokens, deadline, false).await
    }

    async fn let_through(
        &self,
        target: &Target,
        tokens: u64,
        deadline: Option<Duration>,
        guarded: bool,
    ) -> Result<Admission> {
        let name = |error: Error| error.with_provider(&target.provider).with_model(&target.model);
        let Some(keys) = self.0.providers.get(&target.provider) else {
            let problem = format!("no provider named {:?} is set up", target.provider);
            return Err(Error::new(ErrorKind::Config, problem).with_retry(Retry::OtherTarget));
        };
        let mut open: Option<Closed> = None;
        let mut paced: Option<(Duration, &Key, Error)> = None;
        for place in self.order(target, keys) {
            let Some(key) = keys.get(place) else { continue };
            match self.through(target, key, tokens, Some(Duration::ZERO), guarded).await {
                Ok(admission) => return Ok(admission),
                Err(Refusal::Open(closed)) => {
                    // One that may pass by itself says more than one that somebody has to mend.
                    open = Some(open.map_or(closed, |least| {
                        std::cmp::min_by_key(least, closed, |closed| (closed.is_lasting(), closed.wait))
                    }));
                }
                Err(Refusal::Paced(error)) => {
                    let wait = key.pacer.wait_for(&target.model, tokens);
                    if paced.as_ref().is_none_or(|(least, ..)| wait < *least) {
                        paced = Some((wait, key, error));
                    }
                }
            }
        }
        let patience = deadline.map(|at| at.saturating_sub(self.0.clock.monotonic()));
        if let Some((_, key, error)) = paced {
            if patience.is_some_and(|p| p.is_zero()) {
                return Err(name(error));
            }
            return self.through(target, key, tokens, patience, guarded).await.map_err(|refusal| match refusal {
                Refusal::Paced(error) => name(error),
                Refusal::Open(closed) => name(left_alone(closed)),
            });
        }
        let unknown = Closed { wait: Duration::ZERO, cause: ErrorKind::Overloaded };
        Err(name(left_alone(open.unwrap_or(unknown))))
    }

    /// Leave with one key.
    async fn through(
        &self,
        target: &Target,
        key: &Key,
        tokens: u64,
        patience: Option<Duration>,
        guarded: bool,
    ) -> Result<Admission, Refusal> {
        let id = key.provider.key_id();
        // Looked at before, so that an open breaker costs no place; begun after, so that the probe is not spent waiting.
        if guarded && let Some(closed) = self.0.health.closed(target, id) {
            return Err(Refusal::Open(closed));
        }
        let permit = key.pacer.acquire(&target.model, tokens, patience).await.map_err(Refusal::Paced)?;
        let guard = guarded.then(|| self.0.health.begin(target, id)).transpose().map_err(Refusal::Open)?;
        let open = Some(Open { guard, permit });
        Ok(Admission {
            target: target.clone(),
            provider: key.provider.clone(),
            pacer: key.pacer.clone(),
            clock: self.0.clock.clone(),
            open,
        })
    }

    /// The keys in the order to be tried: the better of two drawn first, then the other, then the rest.
    fn order(&self, target: &Target, keys: &[Key]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        if keys.len() < 2 {
            return order;
        }
        {
            let mut random = self.0.random.lock().unwrap_or_else(PoisonError::into_inner);
            for place in (1..order.len()).rev() {
                order.swap(place, random.random_range(0..=place));
            }
        }
        let health = self.0.health.keys_of(target);
        let usual = health.iter().filter_map(|h| h.first_token).min();
        let burden = |place: usize| {
            let id = keys.get(place).map_or("", |key| key.provider.key_id());
            health.iter().find(|h| h.key_id == id).map_or(f64::INFINITY, |h| burden(h, usual))
        };
        // The other orders keep what chance gave.
        order.sort_by_key(|place| health.get(*place).is_some_and(|h| !h.closed_for.is_zero()));
        if let [first, second, ..] = order.as_slice()
            && burden(*second) < burden(*first)
        {
            order.swap(0, 1);
        }
        order
    }
}

/// What a call with a key is expected to bear, for comparison: its time to first token, with those on their way before it, and again for
/// each that is expected to fail. A key that was never heard is taken for as quick as the quickest, so that it is tried.
fn burden(key: &KeyHealth, usual: Option<Duration>) -> f64 {
    let seconds = key.first_token.or(usual).map_or(1.0, |t| t.as_secs_f64().max(1e-3));
    let healthy = f64::from(1.0 - key.failure_rate).max(0.01);
    seconds * f64::from(key.in_flight + 1) / (healthy * healthy)
}

enum Refusal {
    /// The breaker.
    Open(Closed),
    /// The pace.
    Paced(Error),
}

fn left_alone(Closed { wait, cause }: Closed) -> Error {
    let words = if wait.is_zero() {
        format!("left alone after failures ({cause}); a probe is finding out whether it is back")
    } else {
        format!("left alone after failures ({cause}); the next try is in {:.1} s", wait.as_secs_f64())
    };
    // What somebody has to mend is said again; anything else is that it is not there now.
    let lasting = Closed { wait, cause }.is_lasting();
    Error::new(if lasting { cause } else { ErrorKind::Overloaded }, words)
        .with_code("breaker_open")
        .with_retry_after(wait)
}

/// The process's pacer for `group`.
fn shared(group: String, limits: PaceLimits, clock: &Arc<dyn Clock>) -> Arc<Pacer> {
    type Pacers = HashMap<(u32, String), Weak<Pacer>>;
    static PACERS: Mutex<Option<Pacers>> = Mutex::new(None);
    let mut pacers = PACERS.lock().unwrap_or_else(PoisonError::into_inner);
    let pacers = pacers.get_or_insert_default();
    // A forked child inherits slots that nobody will give back, and so paces anew.
    let name = (std::process::id(), group);
    if let Some(pacer) = pacers.get(&name).and_then(Weak::upgrade) {
        pacer.tighten(limits);
        return pacer;
    }
    let pacer = Pacer::new(limits, clock.clone());
    pacers.retain(|_, pacer| pacer.strong_count() > 0);
    if pacers.len() < SHARED {
        pacers.insert(name, Arc::downgrade(&pacer));
    }
    pacer
}

/// Leave to call. Use it with [`Admission::send`] or [`Admission::complete`], which settle it by what comes back; or call
/// [`Admission::provider`] and [`Admission::settle`] it. Dropping it before says nothing about the target and gives everything back.
#[derive(Debug)]
pub struct Admission {
    target: Target,
    provider: Arc<dyn Provider>,
    pacer: Arc<Pacer>,
    clock: Arc<dyn Clock>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    guard: Option<HealthGuard>,
    permit: PacePermit,
}

impl Admission {
    /// Whom to call: the provider with the key that was chosen.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// The fingerprint of the key that was chosen.
    pub fn key_id(&self) -> &str {
        self.provider.key_id()
    }

    /// How long the pace made it wait.
    pub fn waited(&self) -> Duration {
        self.open.as_ref().map_or(Duration::ZERO, |open| open.permit.waited())
    }

    /// Whether this call finds out if a target that failed is back.
    pub fn is_probe(&self) -> bool {
        self.open.as_ref().and_then(|open| open.guard.as_ref()).is_some_and(HealthGuard::is_probe)
    }

    /// Sends `request` (its model is the target's) and returns the answer as it comes, whole at once where `streaming` is false. The
    /// stream carries this admission: it is settled by the first error or the end, and given back when the stream is dropped.
    ///
    /// # Errors
    /// The provider's, before the first event.
    pub async fn send(mut self, request: &Request, streaming: bool) -> Result<EventStream> {
        let started = self.clock.monotonic();
        self.sent();
        let opened = if streaming {
            self.provider.stream(request).await
        } else {
            let whole = self.provider.complete(request).await;
            whole.map(|answer| futures::stream::iter(answer.into_events().into_iter().map(Ok)).boxed())
        };
        self.learn();
        match opened {
            Ok(inner) => {
                let answer = Settling {
                    inner,
                    admission: Some(self),
                    started,
                    streaming,
                    first_token: None,
                    thought: false,
                    usage: Usage::default(),
                };
                Ok(answer.boxed())
            }
            Err(error) => {
                self.settle(Some(&error), None, None);
                Err(error)
            }
        }
    }

    /// Sends `request` and returns the whole answer.
    ///
    /// # Errors
    /// The provider's.
    pub async fn complete(mut self, request: &Request) -> Result<Response> {
        let started = self.clock.monotonic();
        self.sent();
        let answer = self.provider.complete(request).await;
        self.learn();
        let took = self.clock.monotonic().saturating_sub(started);
        match &answer {
            Ok(answer) => self.settle(None, Some(took), answer.usage.total_tokens()),
            Err(error) => self.settle(Some(error), None, None),
        }
        answer
    }

    /// Says that `tokens` were written in the time `took` after the first one came; to be said before it is settled.
    pub fn wrote(&mut self, tokens: u64, took: Duration) {
        if let Some(guard) = self.open.as_mut().and_then(|open| open.guard.as_mut()) {
            guard.wrote(tokens, took);
        }
    }

    /// Says how the call went: the error if it failed, the time to first token if it had one, the tokens that it took if they are known.
    pub fn settle(mut self, error: Option<&Error>, first_token: Option<Duration>, tokens: Option<u64>) {
        let Some(Open { guard, mut permit }) = self.open.take() else { return };
        permit.sent();
        let model = &self.target.model;
        match error {
            None => self.pacer.passed(model, permit.admitted()),
            Some(error) if error.kind() == ErrorKind::RateLimit => {
                self.pacer.penalise(model, permit.admitted(), error.retry_after());
            }
            Some(error) if matches!(error.kind(), ErrorKind::Overloaded | ErrorKind::Transient) => {
                if error.retry_after().is_some() {
                    let seen = RateLimits { closed_for: error.retry_after(), ..RateLimits::default() };
                    self.pacer.learn(model, &seen);
                }
            }
            Some(_) => {}
        }
        if let Some(tokens) = tokens {
            permit.settle_tokens(tokens);
        }
        if let Some(guard) = guard {
            guard.settle(error.map(Error::kind), first_token);
        }
    }

    fn sent(&mut self) {
        if let Some(open) = &mut self.open {
            open.permit.sent();
        }
    }

    fn learn(&self) {
        if let Some(seen) = self.provider.take_rate_limits(&self.target.model) {
            self.pacer.learn(&self.target.model, &seen);
        }
    }
}

/// An answer that settles its admission.
struct Settling {
    inner: EventStream,
    admission: Option<Admission>,
    started: Duration,
    streaming: bool,
    first_token: Option<Duration>,
    /// Whether its thinking was shown.
    thought: bool,
    usage: Usage,
}

impl Settling {
    fn settle(&mut self, error: Option<&Error>) {
        if let Some(mut admission) = self.admission.take() {
            // A whole answer comes at once, whatever its pace was.
            if let (true, Some(first), Some(tokens)) = (self.streaming, self.first_token, self.usage.output_tokens) {
                let unseen = if self.thought { 0 } else { self.usage.reasoning_tokens.unwrap_or(0) };
                let took = admission.clock.monotonic().saturating_sub(self.started).saturating_sub(first);
                admission.wrote(tokens.saturating_sub(unseen), took);
            }
            admission.settle(error, self.first_token, self.usage.total_tokens());
        }
    }
}

impl Stream for Settling {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(item) = self.inner.poll_next_unpin(cx) else { return Poll::Pending };
        match &item {
            // Settled already, unless the end never came.
            None => self.settle(Some(&Error::new(ErrorKind::Truncated, "the stream ended before its terminal event"))),
            Some(Err(error)) => self.settle(Some(error)),
            Some(Ok(Event::Usage(usage))) => self.usage.merge(usage),
            Some(Ok(Event::Finish { .. })) => self.settle(None),
            Some(Ok(event)) if self.first_token.is_none() && event.is_content() => {
                self.thought = matches!(event, Event::Reasoning { .. });
                self.first_token =
                    self.admission.as_ref().map(|admission| admission.clock.monotonic().saturating_sub(self.started));
            }
            Some(Ok(_)) => {}
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests;
