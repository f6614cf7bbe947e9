//! A provider that answers as scripted.

use crate::chat::{Event, EventStream, FinishReason, Request, Response, ResponseBuilder};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::provider::Provider;
use async_trait::async_trait;
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// What one call to a [`ScriptedProvider`] gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Script {
    /// These events and then the end; without [`Event::Finish`] among them the call ends in a truncation error, as on a real wire.
    Events(Vec<Event>),
    /// This error before any event.
    Fails(Error),
    /// These events and then this error.
    FailsAfter(Vec<Event>, Error),
    /// These events and then nothing, for ever.
    Hangs(Vec<Event>),
}

impl Script {
    /// A plain answer of `text`, cut into words.
    pub fn text(text: &str) -> Self {
        let mut events: Vec<Event> =
            text.split_inclusive(' ').map(|word| Event::Text { text: word.to_owned() }).collect();
        events.push(Event::Finish { reason: FinishReason::Stop });
        Self::Events(events)
    }

    /// An error of `kind` before any event.
    pub fn error(kind: ErrorKind) -> Self {
        Self::Fails(Error::new(kind, format!("scripted {kind}")))
    }
}

/// A [`Provider`] that follows a script and remembers what it was asked.
///
/// ```
/// # tokio_test(async {
/// use syntra_core::{Message, Request, provider::Provider, testing::{Script, ScriptedProvider}};
/// let provider = ScriptedProvider::new("test", [Script::text("Hello there")]);
/// let answer = provider.complete(&Request::new("m", vec![Message::user("hi")])).await.unwrap();
/// assert_eq!(answer.text(), "Hello there");
/// assert_eq!(provider.calls(), 1);
/// # });
/// # fn tokio_test(f: impl Future) { tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f); }
/// ```
#[derive(Clone, Debug)]
pub struct ScriptedProvider {
    name: String,
    resumes: bool,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    script: Mutex<VecDeque<Script>>,
    /// Given when the script is at its end.
    always: Option<Script>,
    requests: Mutex<Vec<Request>>,
    open: AtomicUsize,
    /// When there is one, each event needs a permit.
    steps: Option<Semaphore>,
}

impl ScriptedProvider {
    /// A provider that follows `script`, one entry a call, and then fails with [`ErrorKind::Unknown`].
    pub fn new(name: impl Into<String>, script: impl IntoIterator<Item = Script>) -> Self {
        Self::with(name.into(), script.into_iter().collect(), None, None)
    }

    /// A provider that gives `script` every time.
    pub fn always(name: impl Into<String>, script: Script) -> Self {
        Self::with(name.into(), VecDeque::new(), Some(script), None)
    }

    /// A provider whose every event waits for [`ScriptedProvider::step`].
    pub fn stepped(name: impl Into<String>, script: impl IntoIterator<Item = Script>) -> Self {
        Self::with(name.into(), script.into_iter().collect(), None, Some(Semaphore::new(0)))
    }

    fn with(name: String, script: VecDeque<Script>, always: Option<Script>, steps: Option<Semaphore>) -> Self {
        let state =
            State { script: Mutex::new(script), always, requests: Mutex::default(), open: AtomicUsize::new(0), steps };
        Self { name, resumes: false, state: Arc::new(state) }
    }

    /// The same, said to go on from the assistant's own words at the end of a conversation: see [`Provider::can_resume`].
    pub fn resuming(mut self) -> Self {
        self.resumes = true;
        self
    }

    /// Lets `n` more events pass, in a [`ScriptedProvider::stepped`] provider.
    pub fn step(&self, n: usize) {
        if let Some(steps) = &self.state.steps {
            steps.add_permits(n);
        }
    }

    /// Adds to the end of the script.
    pub fn push(&self, script: Script) {
        self.state.script.lock().unwrap_or_else(PoisonError::into_inner).push_back(script);
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many streams are open: given out, and neither at their end nor dropped.
    pub fn open_streams(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    fn next(&self, request: &Request) -> Script {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let next = self.state.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.or_else(|| self.state.always.clone())
            .unwrap_or_else(|| Script::Fails(Error::new(ErrorKind::Unknown, "the script is at its end")))
    }

    fn sign(&self, error: Error, request: &Request, content: bool) -> Error {
        let phase = if content { Phase::AfterContent } else { Phase::BeforeContent };
        error.with_provider(&self.name).with_model(&request.model).with_phase(phase)
    }
}

/// Counts a stream as open while it lives.
struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        let mut stream = self.stream(request).await?;
        let mut answer = ResponseBuilder::new();
        while let Some(event) = stream.next().await {
            answer.push(&event?);
        }
        Ok(answer.build())
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        let (mut events, end) = match self.next(request) {
            Script::Fails(error) => return Err(self.sign(error, request, false)),
            Script::Events(events) => (events, Some(None)),
            Script::FailsAfter(events, error) => (events, Some(Some(error))),
            Script::Hangs(events) => (events, None),
        };
        let content = events.iter().any(Event::is_content);
        let finish = events.iter().position(|e| matches!(e, Event::Finish { .. }));
        let end = match (finish, end) {
            // Nothing follows the end.
            (Some(at), _) => {
                events.truncate(at + 1);
                Some(None)
            }
            (None, Some(None)) => Some(Some(Error::new(ErrorKind::Truncated, "scripted stream without a finish"))),
            (None, other) => other,
        };
        let last = end.map(|error| error.map(|e| self.sign(e, request, content)));
        self.state.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.state.clone());
        let items: VecDeque<Event> = events.into();
        let stream = futures::stream::unfold((items, last, open), |(mut items, mut last, open)| async move {
            if let Some(steps) = &open.0.steps
                && let Ok(permit) = steps.acquire().await
            {
                permit.forget();
            }
            let item = match items.pop_front() {
                Some(event) => Ok(event),
                None => match &mut last {
                    Some(error) => Err(error.take()?),
                    None => std::future::pending().await,
                },
            };
            Some((item, (items, last, open)))
        });
        Ok(stream.boxed())
    }

    fn can_resume(&self, _: &Request) -> bool {
        self.resumes
    }
}
