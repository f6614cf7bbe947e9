//! One call after another until content flows.

use super::{CallKey, Coalescer};
use crate::chat::{Event, EventStream, Request, Routed, Scope, Usage};
use crate::clock::Clock;
use crate::error::{Attempt, Error, ErrorKind, Phase, Result, Retry};
use crate::provider::Provider;
use crate::router::{Plan, Planned, Target};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How often and how patiently a plan is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The most calls in all, over every target. Default 6.
    pub max_attempts: usize,
    /// The most calls to one target. Default 2: one and one retry.
    pub max_per_target: usize,
    /// The wait before the first retry of the same target, doubled for each further one. Default 250 ms.
    pub backoff: Duration,
    /// The longest wait that is accepted, also when a server asks for a longer one. Default 10 s.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            max_per_target: 2,
            backoff: Duration::from_millis(250),
            max_wait: Duration::from_secs(10),
        }
    }
}

/// What is to be carried out.
pub struct Execution {
    /// The targets in order.
    pub plan: Plan,
    /// On whose behalf; calls of different organisations are never shared.
    pub scope: Scope,
    /// Joins this with identical calls in flight.
    pub coalescer: Coalescer,
    /// The providers by name.
    pub providers: Arc<HashMap<String, Arc<dyn Provider>>>,
    /// The request; its model is set to each target's in turn.
    pub request: Request,
    /// Whether the answer is wanted as it comes.
    pub streaming: bool,
    /// How often and how patiently.
    pub policy: RetryPolicy,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// One call and how it went, for the trace and for the fleet's health.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// The target.
    pub target: Target,
    /// The error, if it failed.
    pub error: Option<ErrorKind>,
    /// What was said of it.
    pub message: Option<String>,
    /// Milliseconds to the first content event.
    pub first_token_ms: Option<u64>,
    /// Milliseconds to the end.
    pub elapsed_ms: u64,
    /// What it consumed, as far as the server said; an abandoned attempt is billed too.
    pub usage: Usage,
    /// True when it read along with an identical call in flight, which bears the cost.
    pub shared: bool,
}

/// What an execution yields.
#[derive(Debug)]
pub enum ExecutionUpdate {
    /// An event of the answer, or [`Event::Routed`] when a target was settled on.
    Event(Event),
    /// A call ended.
    Attempt(AttemptRecord),
}

/// The updates of an execution; it ends after the last attempt's record or with an error. Dropping it cancels the call.
pub type ExecutionStream = futures::stream::BoxStream<'static, Result<ExecutionUpdate>>;

/// Carries out a plan.
///
/// The targets are called in order. A failure before content goes to the next target that has not failed; while there is one
/// nobody sleeps. When all have failed in a way that may pass, the one that asks for the shortest wait is tried again, within the
/// [`RetryPolicy`]. A caller's own fault ends everything at once. The final error carries every attempt.
pub fn execute(execution: Execution) -> ExecutionStream {
    let state = Run::new(execution);
    futures::stream::unfold(state, |mut run| async move { run.next().await.map(|update| (update, run)) }).boxed()
}

/// A target and what is left to do with it.
struct Candidate {
    planned: Planned,
    calls: usize,
    /// Not before this (monotonic); `None` means that it is out.
    ready_at: Option<Duration>,
}

enum Phases {
    /// Looking for a target.
    Choosing,
    /// Content flows.
    Flowing(Box<Flow>),
    /// Nothing more to say.
    Ended,
}

struct Flow {
    stream: EventStream,
    call: Call,
}

/// A call on its way.
struct Call {
    target: Target,
    started: Duration,
    first_token: Option<Duration>,
    usage: Usage,
    shared: bool,
}

impl Call {
    fn record(self, now: Duration, error: Option<&Error>) -> AttemptRecord {
        AttemptRecord {
            target: self.target,
            error: error.map(Error::kind),
            message: error.map(|e| e.message().to_owned()),
            first_token_ms: self.first_token.map(|at| millis(at.saturating_sub(self.started))),
            elapsed_ms: millis(now.saturating_sub(self.started)),
            usage: self.usage,
            shared: self.shared,
        }
    }
}

struct Run {
    execution: Execution,
    candidates: Vec<Candidate>,
    failures: Vec<Attempt>,
    last_error: Option<Error>,
    calls: usize,
    phase: Phases,
    queue: VecDeque<Result<ExecutionUpdate>>,
}

impl Run {
    fn new(execution: Execution) -> Self {
        let candidates = execution
            .plan
            .order
            .iter()
            .map(|planned| Candidate { planned: planned.clone(), calls: 0, ready_at: Some(Duration::ZERO) })
            .collect();
        Self {
            execution,
            candidates,
            failures: Vec::new(),
            last_error: None,
            calls: 0,
            phase: Phases::Choosing,
            queue: VecDeque::new(),
        }
    }

    async fn next(&mut self) -> Option<Result<ExecutionUpdate>> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return Some(update);
            }
            match std::mem::replace(&mut self.phase, Phases::Ended) {
                Phases::Ended => return None,
                Phases::Choosing => match self.choose() {
                    None => self.give_up(),
                    Some((index, wait)) => {
                        if !wait.is_zero() {
                            tokio::time::sleep(wait).await;
                        }
                        self.call(index).await;
                    }
                },
                Phases::Flowing(mut flow) => {
                    let item = flow.stream.next().await;
                    self.flow(flow, item);
                }
            }
        }
    }

    /// The next target to call and how long to wait before: the first in order that is ready, else the one ready soonest.
    fn choose(&self) -> Option<(usize, Duration)> {
        let policy = &self.execution.policy;
        if self.calls >= policy.max_attempts {
            return None;
        }
        let now = self.execution.clock.monotonic();
        let open = || {
            self.candidates
                .iter()
                .enumerate()
                .filter_map(|(i, c)| c.ready_at.map(|at| (i, c, at)))
                .filter(|(_, c, _)| c.calls < policy.max_per_target)
        };
        // Untried targets come first: a healthy candidate is never kept waiting behind a retry.
        open()
            .find(|(_, c, _)| c.calls == 0)
            .map(|(i, _, _)| (i, Duration::ZERO))
            .or_else(|| open().min_by_key(|(i, _, at)| (*at, *i)).map(|(i, _, at)| (i, at.saturating_sub(now))))
    }

    async fn call(&mut self, index: usize) {
        let Some(candidate) = self.candidates.get_mut(index) else { return };
        candidate.calls += 1;
        self.calls += 1;
        let planned = candidate.planned.clone();
        let started = self.execution.clock.monotonic();
        let mut request = self.execution.request.clone();
        request.model.clone_from(&planned.target.model);
        let (opened, shared) = self.open(&planned.target, request);
        let mut call =
            Call { target: planned.target.clone(), started, first_token: None, usage: Usage::default(), shared };
        let mut held = Vec::new();
        let peeked = match opened {
            Err(error) => Err(error),
            Ok(stream) => peek(stream, &mut held, &mut call.usage).await,
        };
        match peeked {
            Ok(stream) => {
                if held.iter().any(Event::is_content) {
                    call.first_token = Some(self.execution.clock.monotonic());
                }
                let Target { provider, model } = call.target.clone();
                let routed = Event::Routed(Routed { provider, model, reason: self.reason(&planned) });
                let events = std::iter::once(routed).chain(held).map(|event| Ok(ExecutionUpdate::Event(event)));
                self.queue.extend(events);
                self.phase = Phases::Flowing(Box::new(Flow { stream, call }));
            }
            Err(error) => self.failed_before_content(index, call, error),
        }
    }

    /// The stream of a call to `target`, begun or joined, and whether it was joined. Nothing is sent before it is polled.
    fn open(&self, target: &Target, request: Request) -> (Result<EventStream>, bool) {
        let Execution { providers, scope, coalescer, streaming, .. } = &self.execution;
        let Some(provider) = providers.get(&target.provider).cloned() else {
            let problem = format!("no provider named {:?} is set up", target.provider);
            return (Err(Error::new(ErrorKind::Config, problem).with_retry(Retry::OtherTarget)), false);
        };
        let key = match CallKey::new(scope, &target.provider, &request, *streaming) {
            Ok(key) => key,
            Err(error) => return (Err(error), false),
        };
        let streaming = *streaming;
        let begin = async move {
            if streaming {
                return provider.stream(&request).await;
            }
            let events = provider.complete(&request).await?.into_events();
            Ok(futures::stream::iter(events.into_iter().map(Ok)).boxed())
        };
        let (stream, began) = coalescer.join(key, || futures::stream::once(begin).try_flatten().boxed());
        (Ok(stream), !began)
    }

    fn reason(&self, planned: &Planned) -> String {
        match self.failures.last() {
            None => planned.reason.clone(),
            Some(failure) => {
                format!("{}/{} failed ({}); {}", failure.provider, failure.model, failure.kind, planned.reason)
            }
        }
    }

    fn failed_before_content(&mut self, index: usize, call: Call, error: Error) {
        self.failed(call, &error);
        let now = self.execution.clock.monotonic();
        let policy = &self.execution.policy;
        let wait = error.retry_after();
        let retry = error.retry();
        if let Some(candidate) = self.candidates.get_mut(index) {
            candidate.ready_at = match retry {
                Retry::SameTarget => {
                    let backoff = policy.backoff.saturating_mul(1 << (candidate.calls.saturating_sub(1)).min(8) as u32);
                    let wait = wait.unwrap_or(backoff);
                    // A server that wants more patience than we have is left alone for this call.
                    (wait <= policy.max_wait).then_some(now + wait)
                }
                Retry::Never | Retry::OtherTarget => None,
            };
        }
        self.last_error = Some(error);
        self.phase = Phases::Choosing;
        if retry == Retry::Never {
            for candidate in &mut self.candidates {
                candidate.ready_at = None;
            }
        }
    }

    /// Notes a failed call for the trace and for the final error.
    fn failed(&mut self, call: Call, error: &Error) {
        let record = call.record(self.execution.clock.monotonic(), Some(error));
        self.failures.push(Attempt {
            provider: record.target.provider.clone(),
            model: record.target.model.clone(),
            kind: error.kind(),
            message: error.message().to_owned(),
            elapsed_ms: record.elapsed_ms,
        });
        self.queue.push_back(Ok(ExecutionUpdate::Attempt(record)));
    }

    fn flow(&mut self, mut flow: Box<Flow>, item: Option<Result<Event>>) {
        let now = self.execution.clock.monotonic();
        match item {
            Some(Ok(event)) => {
                if flow.call.first_token.is_none() && event.is_content() {
                    flow.call.first_token = Some(now);
                }
                if let Event::Usage(usage) = &event {
                    flow.call.usage.merge(usage);
                }
                self.queue.push_back(Ok(ExecutionUpdate::Event(event)));
                self.phase = Phases::Flowing(flow);
            }
            Some(Err(error)) => {
                let error = error.with_phase(Phase::AfterContent).with_retry(Retry::Never);
                self.failed(flow.call, &error);
                let attempts = std::mem::take(&mut self.failures);
                self.queue.push_back(Err(error.with_attempts(attempts)));
            }
            None => self.queue.push_back(Ok(ExecutionUpdate::Attempt(flow.call.record(now, None)))),
        }
    }

    fn give_up(&mut self) {
        let error = self
            .last_error
            .take()
            .unwrap_or_else(|| Error::new(ErrorKind::Config, "the plan has no target; configure a provider"));
        let attempts = std::mem::take(&mut self.failures);
        self.queue.push_back(Err(error.with_attempts(attempts)));
    }
}

/// Reads until the first content event or the end of an answer without content, holding events in `held`.
async fn peek(mut stream: EventStream, held: &mut Vec<Event>, usage: &mut Usage) -> Result<EventStream> {
    while let Some(event) = stream.next().await {
        let event =
            event.map_err(|e| if e.phase() == Phase::AfterContent { e.with_phase(Phase::BeforeContent) } else { e })?;
        if let Event::Usage(counts) = &event {
            usage.merge(counts);
        }
        let settled = event.is_content() || matches!(event, Event::Finish { .. });
        held.push(event);
        if settled {
            return Ok(stream);
        }
    }
    Err(Error::new(ErrorKind::Truncated, "the answer ended before it began").with_phase(Phase::BeforeContent))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
