//! What is carried out, and what comes out of it.

use super::attempt::{AttemptRecord, Meter, OnDrop};
use super::hedge::Hedger;
use super::policy::{Jitter, Recovery, RetryPolicy};
use super::{Admissions, Coalescer, Meaning, ResponseCache};
use crate::chat::{Event, Request, Scope};
use crate::clock::Clock;
use crate::error::Result;
use crate::router::Plan;
use std::sync::Arc;
use std::time::Duration;

/// What is to be carried out, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Execution {
    /// The targets in order.
    pub plan: Arc<Plan>,
    /// On whose behalf; calls of different organisations are never shared.
    pub scope: Scope,
    /// Lets calls through to the providers.
    pub admissions: Admissions,
    /// Tokens that a call is expected to take, prompt and answer together; for the pace. Default 0.
    pub estimated_tokens: u64,
    /// The request; its model is set to each target's in turn.
    pub request: Arc<Request>,
    /// The time, for stamps; waiting is tokio's.
    pub clock: Arc<dyn Clock>,
    /// Whether the answer is wanted as it comes. Default true.
    pub streaming: bool,
    /// Joins this with identical calls in flight. By default one that nobody else has.
    pub coalescer: Coalescer,
    /// Answers that were given before. `None`, the default: no cache.
    pub cache: Option<ResponseCache>,
    /// What the last message means, where it may be answered by meaning. `None`, the default: only the same request is.
    pub question: Option<Meaning>,
    /// How often and how patiently.
    pub policy: RetryPolicy,
    /// What happens when a stream fails after its reader has seen some of it.
    pub recovery: Recovery,
    /// The time that is left for everything: waits, calls and streaming. When it is over the execution ends in
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) with code `turn_timeout`. `None`, the default: no limit.
    pub deadline: Option<Duration>,
    /// Calls a second target beside a slow first one. `None`, the default: never.
    pub hedger: Option<Hedger>,
    /// Counts tokens where a server does not say what a call consumed. `None`, the default: unknown stays unknown.
    pub meter: Option<Meter>,
    /// Is told of calls that were on their way when the execution was dropped.
    pub on_drop: Option<OnDrop>,
    /// Spreads retries.
    pub jitter: Jitter,
}

impl Execution {
    /// Carries out `plan` with `request` on behalf of `scope`, everything else at its default.
    pub fn new(
        plan: impl Into<Arc<Plan>>,
        scope: Scope,
        admissions: impl Into<Admissions>,
        request: impl Into<Arc<Request>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            plan: plan.into(),
            scope,
            admissions: admissions.into(),
            estimated_tokens: 0,
            request: request.into(),
            clock,
            streaming: true,
            coalescer: Coalescer::new(),
            cache: None,
            question: None,
            policy: RetryPolicy::default(),
            recovery: Recovery::default(),
            deadline: None,
            hedger: None,
            meter: None,
            on_drop: None,
            jitter: Jitter::default(),
        }
    }
}

/// What an execution yields.
#[derive(Debug)]
pub enum ExecutionUpdate {
    /// An event of the answer, [`Event::Routed`] when a target was settled on, or [`Event::Restart`] before an answer that begins anew.
    /// [`Event::Usage`] counts all calls so far, [`Event::Finish`] comes once.
    Event(Event),
    /// A call ended.
    Attempt(AttemptRecord),
}

/// The updates of an execution; it ends after the last attempt's record or with an error. Dropping it cancels the call.
pub type ExecutionStream = futures::stream::BoxStream<'static, Result<ExecutionUpdate>>;
