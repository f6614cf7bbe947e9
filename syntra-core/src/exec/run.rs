//! Carrying a plan out: one call after another until the answer is whole.

use super::action::{Action, action};
use super::attempt::{Attempt, AttemptRecord, Begin, Common};
use super::candidates::{Candidate, Candidates, Next};
use super::execution::{Execution, ExecutionStream, ExecutionUpdate};
use super::hedge::Hedger;
use super::policy::Recovery;
use super::shown::{Shown, resumed};
use super::{CacheHit, CallKey};
use crate::chat::{Event, EventStream, Request, Restart, Routed, Usage};
use crate::error::{Attempt as Tried, Error, ErrorKind, Phase, Result, Retry};
use crate::router::{Intent, RouteOutcome, Target};
use crate::transport::after;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Carries out a plan.
///
/// The targets are called in order, and what a failure leads to is said by [`action`](super::action()). While there is a target that
/// was not tried nobody sleeps; when all have failed, the one that may be called again soonest is, within the [`RetryPolicy`](super::RetryPolicy).
///
/// Events are held until the first content: up to there a failure is unseen. After it, [`Recovery`] decides. Every call ends in one
/// [`ExecutionUpdate::Attempt`], abandoned ones included, and the events' usage is the sum over all of them. The final error carries
/// every attempt.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use futures::StreamExt as _;
/// use std::sync::Arc;
/// use syntra_core::exec::{AdmissionOptions, Admissions, Execution, ExecutionUpdate, execute};
/// use syntra_core::router::{Intent, Plan, Planned, Target};
/// use syntra_core::testing::{Script, ScriptedProvider};
/// use syntra_core::{Error, ErrorKind, Event, Message, Request, Scope, SystemClock};
///
/// // The first breaks off in the middle; the second can go on from what was shown.
/// let line = Error::new(ErrorKind::Connection, "the line went dead");
/// let first = ScriptedProvider::new("first", [Script::FailsAfter(vec![Event::Text { text: "Half ".into() }], line)]);
/// let second = ScriptedProvider::new("second", [Script::text("and half.")]).resuming();
/// let clock = Arc::new(SystemClock::new());
/// let admissions = Admissions::new(vec![Arc::new(first), Arc::new(second)], AdmissionOptions::default(), clock.clone());
/// let target = |name| Planned { target: Target::new(name, "m"), reason: "as planned".into() };
/// let plan = Plan::new(vec![target("first"), target("second")], vec![], Intent::QaRetrieval, 1.0);
/// let request = Request::new("", vec![Message::user("Say it")]);
///
/// let mut updates = execute(Execution::new(plan, Scope::local(), admissions, request, clock));
/// let (mut text, mut calls) = (String::new(), Vec::new());
/// while let Some(update) = updates.next().await {
///     match update? {
///         ExecutionUpdate::Event(Event::Text { text: more }) => text.push_str(&more),
///         ExecutionUpdate::Event(_) => {}
///         ExecutionUpdate::Attempt(record) => calls.push(record),
///     }
/// }
/// assert_eq!(text, "Half and half.");
/// assert_eq!(calls.iter().map(|call| call.error).collect::<Vec<_>>(), [Some(ErrorKind::Connection), None]);
/// # Ok::<(), Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn execute(execution: Execution) -> ExecutionStream {
    // Boxed: the state would be moved with every update.
    let run = Box::new(Run::new(execution));
    futures::stream::unfold(run, |mut run| async move { run.next().await.map(|update| (update, run)) }).boxed()
}

struct Run {
    execution: Execution,
    common: Arc<Common>,
    candidates: Candidates,
    failures: Vec<Tried>,
    last_error: Option<Error>,
    /// The error that cut off what the reader saw.
    cut: Option<Error>,
    shown: Shown,
    /// What the calls that have ended consumed.
    billed: Usage,
    /// The end of the turn's time; set at the first poll.
    until: Option<Instant>,
    stage: Stage,
    queue: VecDeque<Result<ExecutionUpdate>>,
}

enum Stage {
    New,
    Choosing,
    /// Waiting until the candidate may be called again.
    Waiting(usize, Instant),
    /// Before the first content: one call, or two.
    Racing(Vec<Attempt>, Option<Instant>),
    /// Content flows.
    Flowing(Box<Attempt>),
    Ended,
}

/// The stream of a call, and whose it is.
struct Opened {
    stream: EventStream,
    shared: bool,
    cached: Option<CacheHit>,
}

/// What a step came to while it was borrowed.
enum Step {
    Waited(usize),
    Peeked(usize, Result<()>),
    Slow,
    Read(Option<Result<Event>>),
}

impl Run {
    fn new(execution: Execution) -> Self {
        let common = Common {
            clock: execution.clock.clone(),
            meter: execution.meter.clone(),
            on_drop: execution.on_drop.clone(),
            tools: Common::offered(&execution.request),
            streaming: execution.streaming,
        };
        Self {
            candidates: Candidates::new(&execution.plan),
            common: Arc::new(common),
            execution,
            failures: Vec::new(),
            last_error: None,
            cut: None,
            shown: Shown::default(),
            billed: Usage::default(),
            until: None,
            stage: Stage::New,
            queue: VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Option<Result<ExecutionUpdate>> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return Some(update);
            }
            match &self.stage {
                Stage::Ended => return None,
                Stage::New => {
                    self.until = self.execution.deadline.map(after);
                    self.stage = Stage::Choosing;
                }
                Stage::Choosing => self.choose(),
                _ => {
                    // What is under way stays in `self.stage`, so that a deadline that passes loses nothing.
                    let step = match self.until {
                        None => self.stage.step().await,
                        Some(until) => match timeout_at(until, self.stage.step()).await {
                            Ok(step) => step,
                            Err(_) => {
                                self.expire();
                                continue;
                            }
                        },
                    };
                    self.after(step);
                }
            }
        }
    }

    fn after(&mut self, step: Step) {
        match (step, std::mem::replace(&mut self.stage, Stage::Ended)) {
            (Step::Waited(index), _) => self.call(index),
            (Step::Peeked(at, result), Stage::Racing(attempts, hedge_at)) => {
                self.peeked(attempts, at, result, hedge_at)
            }
            (Step::Slow, Stage::Racing(attempts, _)) => self.hedge(attempts),
            (Step::Read(item), Stage::Flowing(attempt)) => self.flow(attempt, item),
            // A step belongs to the stage that it was taken from.
            (_, stage) => self.stage = stage,
        }
    }

    /// Chooses who is called next, or ends.
    fn choose(&mut self) {
        let now = self.execution.clock.monotonic();
        let until = self.until.map(|until| now.saturating_add(until.saturating_duration_since(Instant::now())));
        match self.candidates.next(now, until, &self.execution.policy, |candidate| self.fit(candidate)) {
            None => self.give_up(),
            Some(Next { index, wait }) if wait.is_zero() => self.call(index),
            Some(Next { index, wait }) => self.stage = Stage::Waiting(index, after(wait)),
        }
    }

    /// Whether `candidate` will do now, and how well: 0 is best.
    fn fit(&self, candidate: &Candidate) -> Option<u8> {
        if !self.shown.any() {
            return Some(0);
        }
        if self.resumption(&candidate.planned.target).is_some() {
            return Some(0);
        }
        let anew = self.execution.recovery == Recovery::ResumeOrRestart || self.shown.only_reasoning();
        anew.then_some(1)
    }

    /// The request with which `target` goes on from what was shown, if it can.
    fn resumption(&self, target: &Target) -> Option<Request> {
        if !self.shown.is_resumable() {
            return None;
        }
        let told = self.shown.told();
        let tokens = match &self.execution.meter {
            Some(meter) => (meter.count)(target, told),
            // As a rule of thumb, where nobody counts.
            None => told.len() as u64 / 4,
        };
        let mut request = resumed(&self.execution.request, told, tokens)?;
        request.model.clone_from(&target.model);
        let provider = self.execution.admissions.provider(&target.provider)?;
        // Where nothing but white space was shown there is nothing to go on from, and everybody can.
        (self.shown.told().is_empty() || provider.can_resume(&request)).then_some(request)
    }

    /// Calls the candidate at `index`.
    fn call(&mut self, index: usize) {
        if let Some(hedger) = &self.execution.hedger {
            hedger.pay_in();
        }
        let attempt = self.begin(index, false);
        let hedger = self.execution.hedger.as_ref().filter(|_| !self.shown.any());
        let hedge_at = hedger.and_then(|hedger| hedger.wait(&attempt.target)).map(after);
        self.stage = Stage::Racing(vec![attempt], hedge_at);
    }

    /// Begins a call. Nothing is sent before it is polled.
    fn begin(&mut self, index: usize, hedge: bool) -> Attempt {
        self.candidates.begin(index);
        let target = match self.candidates.get(index) {
            Some(candidate) => candidate.planned.target.clone(),
            None => Target::new("", ""),
        };
        let resumption = self.resumption(&target);
        let resumes = resumption.is_some();
        let told = resumption.is_some().then(|| self.shown.told().to_owned());
        let request = resumption.unwrap_or_else(|| {
            let mut request = Request::clone(&self.execution.request);
            request.model.clone_from(&target.model);
            request
        });
        let deadlines = self.execution.admissions.provider(&target.provider).and_then(|p| p.deadlines());
        let Opened { stream, shared, cached } = self.open(index, &target, request, resumes).unwrap_or_else(|error| {
            let stream = futures::stream::once(async { Err(error) }).boxed();
            Opened { stream, shared: false, cached: None }
        });
        Attempt::begin(Begin { index, target, stream, shared, cached, hedge, deadlines, told }, self.common.clone())
    }

    /// The stream of a call to `target`: begun, joined, or given before.
    fn open(&self, index: usize, target: &Target, request: Request, resumes: bool) -> Result<Opened> {
        let Execution { scope, coalescer, streaming, estimated_tokens, .. } = &self.execution;
        let (streaming, tokens) = (*streaming, *estimated_tokens);
        // The rest of an answer is no answer.
        let cache = self.execution.cache.as_ref().filter(|_| !resumes);
        let place = match cache {
            Some(cache) => {
                Some((cache.clone(), cache.place(scope, &target.provider, &request, self.execution.question.as_ref())?))
            }
            None => None,
        };
        if let Some((stream, hit)) = place.as_ref().and_then(|(cache, place)| cache.get(place)) {
            return Ok(Opened { stream, shared: false, cached: Some(hit) });
        }
        let key = CallKey::new(scope, &target.provider, &request, streaming)?;
        // Nobody waits for the pace of one target while another may be called.
        let patience = match self.candidates.is_last(index, &self.execution.policy) {
            true => self.execution.policy.max_wait,
            false => Duration::ZERO,
        };
        let deadline = self.execution.clock.monotonic().saturating_add(patience);
        let (admissions, target) = (self.execution.admissions.clone(), target.clone());
        let begin =
            async move { admissions.admit(&target, tokens, Some(deadline)).await?.send(&request, streaming).await };
        let (stream, began) = coalescer.join(key, || {
            let upstream = futures::stream::once(begin).try_flatten().boxed();
            match place {
                Some((cache, place)) => cache.filling(place, upstream),
                None => upstream,
            }
        });
        Ok(Opened { stream, shared: !began, cached: None })
    }

    /// The first call is slow: begins a second beside it, if there is another target and the budget allows.
    fn hedge(&mut self, mut attempts: Vec<Attempt>) {
        let now = self.execution.clock.monotonic();
        let next = self.candidates.next(now, None, &self.execution.policy, |candidate| {
            (candidate.calls == 0).then_some(0).filter(|_| self.fit(candidate) == Some(0))
        });
        if let Some(Next { index, wait }) = next
            && wait.is_zero()
            && self.execution.hedger.as_ref().is_some_and(Hedger::take)
        {
            let attempt = self.begin(index, true);
            attempts.push(attempt);
        }
        self.stage = Stage::Racing(attempts, None);
    }

    /// One of the calls came to its first content, or failed.
    fn peeked(&mut self, mut attempts: Vec<Attempt>, at: usize, result: Result<()>, hedge_at: Option<Instant>) {
        if at >= attempts.len() {
            self.stage = Stage::Choosing;
            return;
        }
        let attempt = attempts.swap_remove(at);
        match result {
            Err(error) => {
                let ends = self.failed(attempt, error);
                if ends {
                    self.abandon(attempts, "the other call showed that the request cannot be answered");
                    self.stage = Stage::Choosing;
                } else {
                    let racing = !attempts.is_empty();
                    self.stage = if racing { Stage::Racing(attempts, hedge_at) } else { Stage::Choosing };
                }
            }
            Ok(()) => {
                if let (Some(hedger), Some(first)) = (&self.execution.hedger, attempt.heard_after()) {
                    hedger.observe(&attempt.target, first);
                }
                self.abandon(attempts, "another call answered first");
                self.settle_on(attempt);
            }
        }
    }

    fn abandon(&mut self, attempts: Vec<Attempt>, why: &str) {
        for attempt in attempts {
            let record = attempt.abandon(why);
            self.bill(record);
        }
    }

    /// The reader hears of the target, and of what was held.
    fn settle_on(&mut self, mut attempt: Attempt) {
        let reason = self.reason(&attempt);
        if attempt.resumed {
            self.shown.resume();
        } else if self.shown.any() {
            let restart = Restart { reason: self.failure().unwrap_or_else(|| "the answer was cut off".into()) };
            self.push(Event::Restart(restart));
            self.shown.clear();
        }
        let Target { provider, model } = attempt.target.clone();
        self.push(Event::Routed(Routed { provider, model, reason }));
        for event in std::mem::take(&mut attempt.held) {
            self.tell(event, &attempt.usage);
        }
        self.stage = Stage::Flowing(Box::new(attempt));
    }

    fn failure(&self) -> Option<String> {
        self.failures.last().map(|failure| format!("{}/{} failed ({})", failure.provider, failure.model, failure.kind))
    }

    fn reason(&self, attempt: &Attempt) -> String {
        let planned = self.candidates.get(attempt.index).map(|c| &*c.planned.reason).unwrap_or_default();
        match self.failure() {
            None => planned.to_owned(),
            Some(failure) if attempt.resumed => {
                format!("{failure} after {} characters; goes on from there; {planned}", self.shown.characters())
            }
            Some(failure) => format!("{failure}; {planned}"),
        }
    }

    fn push(&mut self, event: Event) {
        self.queue.push_back(Ok(ExecutionUpdate::Event(event)));
    }

    /// Tells the reader of an event of the call that has consumed `usage` so far.
    fn tell(&mut self, event: Event, usage: &Usage) {
        let event = match event {
            Event::Usage(_) => {
                let mut all = self.billed.clone();
                all.add(usage);
                Some(Event::Usage(all))
            }
            other => self.shown.take(other),
        };
        if let Some(event) = event {
            self.push(event);
        }
    }

    fn flow(&mut self, attempt: Box<Attempt>, item: Option<Result<Event>>) {
        let error = match item {
            Some(Ok(event)) => {
                self.tell(event, &attempt.usage);
                self.stage = Stage::Flowing(attempt);
                return;
            }
            None if attempt.is_finished() => {
                let record = attempt.end(None);
                self.bill(record);
                return;
            }
            None => Error::new(ErrorKind::Truncated, "the stream ended before its terminal event")
                .with_provider(attempt.target.provider.clone())
                .with_model(attempt.target.model.clone()),
            Some(Err(error)) => error,
        };
        let shown = self.shown.any();
        let error = error.with_phase(if shown { Phase::AfterContent } else { Phase::BeforeContent });
        self.failed(*attempt, error.clone());
        if shown {
            self.cut = Some(error);
        }
        self.stage = Stage::Choosing;
        if shown && self.execution.recovery == Recovery::Fail {
            self.give_up();
        }
    }

    /// Notes a failed call, and says whether it ends everything.
    fn failed(&mut self, attempt: Attempt, error: Error) -> bool {
        let (index, was_resumed) = (attempt.index, attempt.resumed);
        if attempt.has_expired() {
            // The call does not know of our deadlines, and would be given back as if its reader had left.
            let target = attempt.target.clone();
            let mut outcome = RouteOutcome::new(target, Intent::QaRetrieval, Duration::ZERO);
            outcome.error = Some(error.kind());
            self.execution.admissions.health().record(&outcome);
        }
        let record = attempt.end(Some(&error));
        self.failures.push(Tried {
            provider: record.target.provider.clone(),
            model: record.target.model.clone(),
            kind: error.kind(),
            message: error.message().to_owned(),
            elapsed_ms: record.elapsed_ms,
        });
        self.bill(record);
        if is_refusal(&error) {
            let now = self.execution.clock.monotonic();
            self.candidates.refused(index, &error, now, &self.execution.policy);
            self.last_error = Some(error);
            return false;
        }
        let action = action(&error, was_resumed);
        let (now, jitter) = (self.execution.clock.monotonic(), self.execution.jitter.next());
        self.candidates.failed(index, &error, action, now, &self.execution.policy, jitter);
        self.last_error = Some(error);
        action == Action::End
    }

    fn bill(&mut self, record: AttemptRecord) {
        self.billed.add(&record.usage);
        self.queue.push_back(Ok(ExecutionUpdate::Attempt(record)));
    }

    /// Ends in the error that the reader should hear of.
    fn give_up(&mut self) {
        self.stage = Stage::Ended;
        let error = match (self.cut.take(), self.last_error.take()) {
            // What cut the text off says more than that nobody could go on. Asking again is not for us to do any more.
            (Some(cut), _) => cut.with_phase(Phase::AfterContent).with_retry(Retry::Never),
            (None, Some(last)) => last,
            (None, None) => Error::new(ErrorKind::Config, "the plan has no target; configure a provider"),
        };
        let attempts = std::mem::take(&mut self.failures);
        self.queue.push_back(Err(error.with_attempts(attempts)));
    }

    /// The turn's time is over.
    fn expire(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Racing(attempts, _) => self.abandon(attempts, "the turn's time was over"),
            Stage::Flowing(attempt) => self.abandon(vec![*attempt], "the turn's time was over"),
            _ => {}
        }
        let phase = if self.shown.any() { Phase::AfterContent } else { Phase::BeforeContent };
        let error = Error::new(ErrorKind::Timeout, "the turn's time was over before its answer")
            .with_code("turn_timeout")
            .with_retry(Retry::Never)
            .with_phase(phase)
            .with_attempts(std::mem::take(&mut self.failures));
        self.queue.push_back(Err(error));
    }
}

/// Whether `error` is [`Admissions`]' own: nothing was sent.
fn is_refusal(error: &Error) -> bool {
    error.phase() == Phase::BeforeSend && matches!(error.code(), Some("paced" | "breaker_open"))
}

impl Stage {
    /// Waits for what comes next. May be dropped at any time: everything stays where it was.
    async fn step(&mut self) -> Step {
        match self {
            Self::Waiting(index, until) => {
                sleep_until(*until).await;
                Step::Waited(*index)
            }
            Self::Flowing(attempt) => Step::Read(attempt.next().await),
            Self::Racing(attempts, hedge_at) => match (attempts.as_mut_slice(), hedge_at) {
                ([only], None) => Step::Peeked(0, only.peek().await),
                ([only], Some(at)) => match timeout_at(*at, only.peek()).await {
                    Ok(result) => Step::Peeked(0, result),
                    Err(_) => Step::Slow,
                },
                ([first, second, ..], _) => {
                    let (first, second) = (std::pin::pin!(first.peek().fuse()), std::pin::pin!(second.peek().fuse()));
                    match futures::future::select(first, second).await {
                        futures::future::Either::Left((result, _)) => Step::Peeked(0, result),
                        futures::future::Either::Right((result, _)) => Step::Peeked(1, result),
                    }
                }
                ([], _) => Step::Peeked(0, Ok(())),
            },
            Self::New | Self::Choosing | Self::Ended => Step::Read(None),
        }
    }
}
