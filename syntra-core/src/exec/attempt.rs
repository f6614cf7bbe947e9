//! One call to one target, from its beginning to its record.

use super::CacheHit;
use crate::chat::{Event, EventStream, Request, ToolCall, Usage};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::router::Target;
use crate::transport::{Deadlines, Patience, TimeoutStage, after};
use futures::StreamExt as _;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Events before the first content that are held at the most; a stream that goes on like that is no answer.
const MOST_HELD: usize = 4_096;

/// One call and how it went, for the trace and for the fleet's health.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// The target.
    pub target: Target,
    /// The error, if it failed. [`ErrorKind::Cancelled`] when nobody waited for its end any more: another call was faster, the turn's
    /// time was up or the reader left; that says nothing about the target.
    pub error: Option<ErrorKind>,
    /// What was said of it.
    pub message: Option<String>,
    /// Milliseconds to the first content event.
    pub first_token_ms: Option<u64>,
    /// Milliseconds to the end.
    pub elapsed_ms: u64,
    /// What it consumed: as the server said, an abandoned attempt is billed too; estimated where text flowed and the server did not say.
    pub usage: Usage,
    /// True when it read along with an identical call in flight, which bears the cost.
    pub shared: bool,
    /// True when it gave an answer again that was given before: nothing was sent, and it is free.
    pub cached: bool,
    /// The similarity, up to 1, of the questions where a cached answer was found by meaning.
    pub similarity: Option<f32>,
    /// True when it was begun beside another that was slow.
    pub hedge: bool,
    /// True when it went on from text that another attempt had shown before it failed.
    pub resumed: bool,
}

/// Counts tokens where a server does not say what a call consumed.
#[derive(Clone)]
pub struct Meter {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of a text for a target's model.
    pub count: Arc<CountTokens>,
}

/// Tokens of a text for a target's model.
pub type CountTokens = dyn Fn(&Target, &str) -> u64 + Send + Sync;

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("prompt_tokens", &self.prompt_tokens).finish_non_exhaustive()
    }
}

/// Is told of each call that was on its way when its execution was dropped.
#[derive(Clone)]
pub struct OnDrop(Arc<dyn Fn(AttemptRecord) + Send + Sync>);

impl OnDrop {
    /// Calls `listener`, which must neither block nor panic.
    pub fn new(listener: impl Fn(AttemptRecord) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }
}

impl fmt::Debug for OnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDrop")
    }
}

/// What all calls of an execution have in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) meter: Option<Meter>,
    pub(super) on_drop: Option<OnDrop>,
    /// The names of the tools on offer; `None` when they are not known, because the host hands its own to the provider.
    pub(super) tools: Option<Arc<[String]>>,
    pub(super) streaming: bool,
}

impl Common {
    /// The tools that `request` offers. An empty offer is no offer: a server may have tools of its own configuration.
    pub(super) fn offered(request: &Request) -> Option<Arc<[String]>> {
        let known = !request.tools.is_empty() && !request.extra.contains_key("tools");
        known.then(|| request.tools.iter().map(|tool| tool.name.clone()).collect())
    }
}

/// A call on its way. Dropping it cancels it and tells [`OnDrop`]; [`Attempt::end`] ends it with its record.
pub(super) struct Attempt {
    /// Which candidate is called.
    pub(super) index: usize,
    /// Events up to the first content.
    pub(super) held: Vec<Event>,
    /// What the server said so far.
    pub(super) usage: Usage,
    pub(super) resumed: bool,
    pub(super) target: Target,
    stream: Option<EventStream>,
    common: Arc<Common>,
    /// What the model was given to go on from.
    told: String,
    /// All that the model wrote, for the estimate.
    generated: String,
    started: Duration,
    /// The deadlines that are ours to keep, and the beginning on the timer's clock.
    deadlines: Option<(Deadlines, Instant)>,
    patience: Patience,
    first_token: Option<Duration>,
    shared: bool,
    cached: Option<CacheHit>,
    hedge: bool,
    /// A tool call that cannot be made; it depends on the finish what that means.
    unusable: Option<Error>,
    settled: bool,
    finished: bool,
    expired: bool,
}

/// What a call is begun with.
pub(super) struct Begin {
    pub(super) index: usize,
    pub(super) target: Target,
    pub(super) stream: EventStream,
    pub(super) shared: bool,
    pub(super) cached: Option<CacheHit>,
    pub(super) hedge: bool,
    /// Those that are ours to keep.
    pub(super) deadlines: Option<Deadlines>,
    /// What the model goes on from, where it does.
    pub(super) told: Option<String>,
}

impl Attempt {
    pub(super) fn begin(begin: Begin, common: Arc<Common>) -> Self {
        Self {
            index: begin.index,
            held: Vec::new(),
            usage: Usage::default(),
            resumed: begin.told.is_some(),
            target: begin.target,
            stream: Some(begin.stream),
            told: begin.told.unwrap_or_default(),
            generated: String::new(),
            started: common.clock.monotonic(),
            deadlines: begin.deadlines.map(|deadlines| (deadlines, Instant::now())),
            patience: Patience::default(),
            first_token: None,
            shared: begin.shared,
            cached: begin.cached,
            hedge: begin.hedge,
            unusable: None,
            settled: false,
            finished: false,
            expired: false,
            common,
        }
    }

    /// Reads until the first content or the end of an answer without content, holding events in `held`. May be dropped and called
    /// again.
    pub(super) async fn peek(&mut self) -> Result<()> {
        loop {
            if self.held.len() >= MOST_HELD {
                let words = format!("{MOST_HELD} events came and no content among them");
                return Err(Error::new(ErrorKind::Decode, words).with_phase(Phase::BeforeContent));
            }
            let Some(event) = self.next().await else {
                return Err(Error::new(ErrorKind::Truncated, "the answer ended before it began")
                    .with_provider(self.target.provider.clone())
                    .with_model(self.target.model.clone())
                    .with_phase(Phase::BeforeContent));
            };
            let event = event
                .map_err(|e| if e.phase() == Phase::AfterContent { e.with_phase(Phase::BeforeContent) } else { e })?;
            let settled = event.is_content() || matches!(event, Event::Finish { .. });
            self.held.push(event);
            if settled {
                return Ok(());
            }
        }
    }

    /// The next event; `None` after [`Event::Finish`], or when the stream ended. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if self.finished {
                return None;
            }
            let item = match self.read().await {
                None => return None,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(event)) => event,
            };
            match &item {
                Event::Usage(usage) => self.usage.merge(usage),
                Event::Text { text } | Event::Refusal { text } | Event::Reasoning { text, .. } => {
                    self.generated.push_str(text);
                }
                Event::ToolCall(call) => {
                    self.generated.push_str(&call.name);
                    if let Some(error) = self.unusable(call) {
                        self.unusable.get_or_insert(error);
                        continue;
                    }
                }
                Event::Finish { reason } => {
                    self.finished = true;
                    // The limit cut the call off: the answer is as long as it was allowed to be, and nothing can be called.
                    if let Some(error) = self.unusable.take()
                        && *reason != crate::chat::FinishReason::Length
                    {
                        return Some(Err(error));
                    }
                }
                _ => {}
            }
            if self.first_token.is_none() && item.is_content() {
                self.first_token = Some(self.common.clock.monotonic());
            }
            return Some(Ok(item));
        }
    }

    async fn read(&mut self) -> Option<Result<Event>> {
        let Some(stream) = &mut self.stream else { return None };
        let Some((deadlines, begun)) = self.deadlines else { return stream.next().await };
        let (wait, stage) = match (self.common.streaming, self.first_token) {
            // A whole answer is allowed to take its time.
            (false, _) => (deadlines.total, TimeoutStage::Total),
            (true, None) => (deadlines.first_token, TimeoutStage::FirstToken),
            (true, Some(_)) => (deadlines.between_chunks, TimeoutStage::BetweenChunks),
        };
        let until = match stage {
            TimeoutStage::BetweenChunks => after(wait),
            _ => begun.checked_add(wait).unwrap_or_else(|| after(wait)),
        };
        match self.patience.wait(until, stream.next()).await {
            Some(item) => item,
            None => {
                self.expired = !self.shared;
                let error = stage.error(wait);
                Some(Err(error.with_provider(self.target.provider.clone()).with_model(self.target.model.clone())))
            }
        }
    }

    /// Why `call` cannot be made, if it cannot.
    fn unusable(&self, call: &ToolCall) -> Option<Error> {
        let (problem, code) = if !call.arguments.is_object() {
            ("called a tool with arguments that are no JSON object", "invalid_tool_arguments")
        } else if self.common.tools.as_ref().is_some_and(|tools| !tools.contains(&call.name)) {
            ("called a tool that is not on offer", "unknown_tool")
        } else {
            return None;
        };
        let error = Error::new(ErrorKind::Decode, format!("the model {problem}")).with_code(code);
        Some(error.with_provider(self.target.provider.clone()).with_model(self.target.model.clone()))
    }

    /// Whether [`Event::Finish`] has come.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether a deadline that is ours to keep has passed on a call that is ours.
    pub(super) fn has_expired(&self) -> bool {
        self.expired
    }

    /// How long the target took to its first content; `None` for an answer that it did not give now.
    pub(super) fn heard_after(&self) -> Option<Duration> {
        self.first_token().filter(|_| self.cached.is_none())
    }

    fn first_token(&self) -> Option<Duration> {
        self.first_token.map(|at| at.saturating_sub(self.started))
    }

    /// Ends the call and closes its connection.
    pub(super) fn end(mut self, error: Option<&Error>) -> AttemptRecord {
        self.settled = true;
        self.stream = None;
        self.record(error.map(|e| (e.kind(), e.message().to_owned())))
    }

    /// Ends a call whose end nobody waits for any more, and says why.
    pub(super) fn abandon(mut self, why: &str) -> AttemptRecord {
        self.settled = true;
        self.stream = None;
        self.record(Some((ErrorKind::Cancelled, why.to_owned())))
    }

    fn record(&mut self, error: Option<(ErrorKind, String)>) -> AttemptRecord {
        let (error, message) = error.unzip();
        let now = self.common.clock.monotonic();
        AttemptRecord {
            usage: self.bill(error.is_none()),
            target: self.target.clone(),
            error,
            message,
            first_token_ms: self.first_token().map(millis),
            elapsed_ms: millis(now.saturating_sub(self.started)),
            shared: self.shared,
            cached: self.cached.is_some(),
            similarity: self.cached.and_then(|hit| hit.similarity),
            hedge: self.hedge,
            resumed: self.resumed,
        }
    }

    /// What the call consumed. An answer is as the server said, or counted where it said nothing. A call that ended before its end is
    /// counted where text had flowed: what the server said on the way is what it knew when it began to write.
    fn bill(&self, whole: bool) -> Usage {
        let mut usage = self.usage.clone();
        if self.cached.is_some() {
            return usage;
        }
        let Some(meter) = &self.common.meter else { return usage };
        let unsaid = if whole { usage.total_tokens().is_none() } else { !self.generated.is_empty() };
        if !unsaid {
            return usage;
        }
        let count = |text: &str| (meter.count)(&self.target, text);
        let written = count(&self.generated);
        if usage.input_tokens.is_none() {
            let told = if self.told.is_empty() { 0 } else { count(&self.told) };
            usage.input_tokens = Some(meter.prompt_tokens.saturating_add(told));
            usage.estimated = true;
        }
        if usage.output_tokens.is_none_or(|said| said < written) {
            usage.output_tokens = Some(written);
            usage.estimated = true;
        }
        usage
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        // The connection goes first: whoever listens finds the call gone.
        self.stream = None;
        if let Some(OnDrop(listener)) = self.common.on_drop.clone() {
            let why = "the reader left before the end".to_owned();
            listener(self.record(Some((ErrorKind::Cancelled, why))));
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
