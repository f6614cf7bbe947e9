//! Objects of a host language as parts of the house, over one text-in, text-out call: here a provider and an embedder, the others in the
//! files of the folder.

mod clock;
mod rerank;
mod rooms;
mod stores;
#[cfg(test)]
mod tests;
mod tools;

pub use clock::HostClock;
pub use rerank::HostReranker;
pub use rooms::{HostContextBuilder, HostRanker, HostRouter};
pub use stores::{HostMemoryStore, HostThreadStore};
pub use tools::HostTool;

use crate::chat::{Citation, Event, EventStream, FinishReason, Request, Response, ResponseBuilder, ToolCall, Usage};
use crate::embed::Embedder;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::provider::Provider;
use crate::transport::Deadlines;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

/// A host language that keeps objects for us. Everything crosses as JSON text, so that a binding knows no type of ours.
#[async_trait]
pub trait Host: Send + Sync + Debug + 'static {
    /// Calls `method` of the object named `object` (a provider's own name, or that of a room, `router:room` say) with `argument` (JSON) and waits for its reply: `{"ok": value}`, or
    /// `{"error": {"message", "kind"?, "status"?, "retry_after_ms"?, "failure"?}}` where `failure` is the number under which the host
    /// keeps the exception that was raised. Dropping the future tells the host that nobody waits any more.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] when the host is gone.
    async fn call(&self, object: &str, method: &str, argument: String) -> Result<String>;

    /// Calls `method` and does not wait.
    fn notify(&self, object: &str, method: &str, argument: String);
}

/// The exception of a host's object, as the `source` of an [`Error`]: the host keeps the exception itself under `number`.
#[derive(Clone, Debug)]
pub struct HostFailure {
    /// The host's number for the exception.
    pub number: u64,
    message: String,
}

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostFailure {}

/// `error` as JSON, with `failure`: the number of the host's exception that caused it, if one did.
pub fn error_json(error: &Error) -> Value {
    let mut value = serde_json::to_value(error)
        .unwrap_or_else(|_| json!({"kind": error.kind().as_str(), "message": error.message()}));
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<HostFailure>() {
            value["failure"] = failure.number.into();
            break;
        }
        source = cause.source();
    }
    value
}

/// The error that a host's `{"error": ...}` means; of kind `other` where the host names none of ours.
fn host_error(object: &str, error: &Value, other: ErrorKind) -> Error {
    let message = error["message"].as_str().unwrap_or("it failed without saying why");
    let message = crate::transport::redact(message);
    let kind = ErrorKind::deserialize(&error["kind"]).ok();
    let room = object.strip_suffix(":room");
    // An exception of no kind of ours says that this object cannot answer, not that another could not.
    let mut out = match (kind, room) {
        (Some(kind), _) => Error::new(kind, message.clone()),
        (None, Some(room)) => Error::new(other, format!("the host's {room}: {message}")),
        (None, None) => Error::new(other, message.clone()).with_retry(Retry::OtherTarget),
    };
    if let Some(status) = error["status"].as_u64().and_then(|s| u16::try_from(s).ok()) {
        out = out.with_status(status);
    }
    if let Some(wait) = error["retry_after_ms"].as_u64() {
        out = out.with_retry_after(Duration::from_millis(wait));
    }
    if let Some(number) = error["failure"].as_u64() {
        out = out.with_source(HostFailure { number, message });
    }
    if room.is_none() { out.with_provider(object) } else { out }
}

/// Calls `method` of the host's `object` and reads its reply.
pub(super) async fn ask<T: DeserializeOwned>(
    host: &Arc<dyn Host>,
    object: &str,
    method: &str,
    argument: &Value,
) -> Result<T> {
    ask_of(host, object, method, argument, ErrorKind::Unknown).await
}

/// As [`ask`]; an exception of no kind of ours is of kind `other`.
async fn ask_of<T: DeserializeOwned>(
    host: &Arc<dyn Host>,
    object: &str,
    method: &str,
    argument: &Value,
    other: ErrorKind,
) -> Result<T> {
    let reply = host.call(object, method, argument.to_string()).await?;
    let mut reply: Value = serde_json::from_str(&reply).map_err(|e| undecodable(object, method, &e))?;
    if let Some(error) = reply.get("error") {
        return Err(host_error(object, error, other));
    }
    serde_json::from_value(reply["ok"].take()).map_err(|e| undecodable(object, method, &e))
}

fn undecodable(object: &str, method: &str, error: &dyn fmt::Display) -> Error {
    let problem = |what: &str| format!("{method} of the host's {what} returned what cannot be read: {error}");
    match object.strip_suffix(":room") {
        Some(room) => Error::new(ErrorKind::Decode, problem(room)),
        None => Error::new(ErrorKind::Decode, problem("object")).with_provider(object).with_retry(Retry::OtherTarget),
    }
}

/// What a host's provider returns from `complete`: its text, or the whole.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Text(String),
    Whole(Box<Whole>),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    reasoning: String,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
    #[serde(default)]
    citations: Vec<Citation>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    finish: Option<FinishReason>,
}

/// What a host's provider yields from `stream`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Text(String),
    Event(HostEvent),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum HostEvent {
    Started {
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        model: Option<String>,
    },
    Text {
        text: String,
    },
    Reasoning {
        text: String,
        #[serde(default)]
        opaque: Option<Value>,
    },
    ToolCall(ToolCall),
    Refusal {
        text: String,
    },
    Citation(Citation),
    Usage(Usage),
    Finish {
        reason: FinishReason,
    },
}

impl From<Piece> for Event {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Text(text) | Piece::Event(HostEvent::Text { text }) => Self::Text { text },
            Piece::Event(HostEvent::Started { id, model }) => Self::Started { id, model },
            Piece::Event(HostEvent::Reasoning { text, opaque }) => Self::Reasoning { text, opaque },
            Piece::Event(HostEvent::ToolCall(call)) => Self::ToolCall(call),
            Piece::Event(HostEvent::Refusal { text }) => Self::Refusal { text },
            Piece::Event(HostEvent::Citation(citation)) => Self::Citation(citation),
            Piece::Event(HostEvent::Usage(usage)) => Self::Usage(usage),
            Piece::Event(HostEvent::Finish { reason }) => Self::Finish { reason },
        }
    }
}

impl Whole {
    fn into_response(self) -> Response {
        let mut builder = ResponseBuilder::new();
        builder.push(&Event::Started { id: self.id, model: self.model });
        if !self.reasoning.is_empty() {
            builder.push(&Event::Reasoning { text: self.reasoning, opaque: None });
        }
        if !self.text.is_empty() {
            builder.push(&Event::Text { text: self.text });
        }
        let default = match &self.refusal {
            Some(_) => FinishReason::Refusal,
            None if self.tool_calls.is_empty() => FinishReason::Stop,
            None => FinishReason::ToolCalls,
        };
        for call in self.tool_calls {
            builder.push(&Event::ToolCall(call));
        }
        for citation in self.citations {
            builder.push(&Event::Citation(citation));
        }
        if let Some(text) = self.refusal {
            builder.push(&Event::Refusal { text });
        }
        builder.push(&Event::Usage(self.usage));
        builder.push(&Event::Finish { reason: self.finish.unwrap_or(default) });
        builder.build()
    }
}

/// A provider that lives in a host language.
#[derive(Clone, Debug)]
pub struct HostProvider {
    name: String,
    host: Arc<dyn Host>,
    streams: bool,
    resumes: bool,
}

impl HostProvider {
    /// The host's object `name`; `streams` says whether it has a `stream` method, otherwise its `complete` serves both.
    pub fn new(name: impl Into<String>, host: Arc<dyn Host>, streams: bool) -> Self {
        Self { name: name.into(), host, streams, resumes: false }
    }

    /// The same, said to go on from the assistant's own words at the end of a conversation: see [`Provider::can_resume`].
    pub fn resuming(mut self, yes: bool) -> Self {
        self.resumes = yes;
        self
    }
}

#[derive(Deserialize)]
struct Opened {
    stream: u64,
}

#[derive(Deserialize)]
struct Batch {
    events: Vec<Piece>,
    done: bool,
}

/// Tells the host that nobody reads its stream any more.
struct Open {
    host: Arc<dyn Host>,
    object: String,
    stream: u64,
    done: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.done {
            self.host.notify(&self.object, "close", json!({"stream": self.stream}).to_string());
        }
    }
}

#[async_trait]
impl Provider for HostProvider {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        if self.streams {
            let mut events = self.stream(request).await?;
            let mut builder = ResponseBuilder::new();
            while let Some(event) = events.next().await {
                builder.push(&event?);
            }
            return Ok(builder.build());
        }
        let argument = serde_json::to_value(request).map_err(|e| undecodable(&self.name, "complete", &e))?;
        Ok(match ask::<Reply>(&self.host, &self.name, "complete", &argument).await? {
            Reply::Text(text) => Whole { text, ..Whole::default() }.into_response(),
            Reply::Whole(whole) => whole.into_response(),
        })
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        if !self.streams {
            let events = self.complete(request).await?.into_events();
            return Ok(stream::iter(events.into_iter().map(Ok)).boxed());
        }
        let argument = serde_json::to_value(request).map_err(|e| undecodable(&self.name, "stream", &e))?;
        let opened: Opened = ask(&self.host, &self.name, "stream", &argument).await?;
        let open = Open { host: self.host.clone(), object: self.name.clone(), stream: opened.stream, done: false };
        let state = (open, VecDeque::new(), false, FinishReason::Stop);
        Ok(stream::unfold(state, |(mut open, mut ready, mut finished, mut reason)| async move {
            loop {
                if let Some(event) = ready.pop_front() {
                    finished |= matches!(event, Event::Finish { .. });
                    if matches!(event, Event::ToolCall(_)) {
                        reason = FinishReason::ToolCalls;
                    }
                    return Some((Ok(event), (open, ready, finished, reason)));
                }
                if open.done {
                    if finished {
                        return None;
                    }
                    // A host's iterator that simply ends has said all it had to say.
                    let end = Event::Finish { reason: reason.clone() };
                    return Some((Ok(end), (open, ready, true, reason)));
                }
                match ask::<Batch>(&open.host, &open.object, "next", &json!({"stream": open.stream})).await {
                    Ok(batch) => {
                        open.done = batch.done;
                        ready.extend(batch.events.into_iter().map(Event::from));
                    }
                    Err(error) => {
                        (open.done, finished) = (true, true);
                        return Some((Err(error), (open, ready, finished, reason)));
                    }
                }
            }
        })
        .boxed())
    }

    fn can_resume(&self, _: &Request) -> bool {
        self.resumes
    }

    fn deadlines(&self) -> Option<Deadlines> {
        let usual = Deadlines::default();
        // Where the answer comes in one piece, its first token is its last.
        Some(if self.streams { usual } else { usual.with_first_token(usual.total) })
    }
}

/// An embedder that lives in a host language. Vectors are checked and brought to unit length.
#[derive(Clone, Debug)]
pub struct HostEmbedder {
    name: String,
    model: String,
    dimensions: usize,
    host: Arc<dyn Host>,
}

impl HostEmbedder {
    /// The host's object `name`, whose vectors are of `model` and have `dimensions` numbers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the model has no name or the vectors no dimensions.
    pub fn new(
        name: impl Into<String>,
        model: impl Into<String>,
        dimensions: usize,
        host: Arc<dyn Host>,
    ) -> Result<Self> {
        let model = model.into();
        if model.is_empty() || dimensions == 0 {
            return Err(Error::invalid("an embedder needs a `model` name and `dimensions` of at least 1"));
        }
        Ok(Self { name: name.into(), model, dimensions, host })
    }

    async fn vectors(&self, method: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.iter().any(|text| text.trim().is_empty()) {
            return Err(Error::invalid("an empty text cannot be embedded"));
        }
        let mut vectors: Vec<Vec<f32>> = ask(&self.host, &self.name, method, &json!({"texts": texts})).await?;
        if vectors.len() != texts.len() {
            return Err(self.failed(format!("returned {} vectors for {} texts", vectors.len(), texts.len())));
        }
        for vector in &mut vectors {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            if vector.len() != self.dimensions {
                let message = format!("returned {} dimensions instead of {}", vector.len(), self.dimensions);
                return Err(self.failed(message));
            }
            if !length.is_finite() || length == 0.0 {
                return Err(self.failed("returned a vector that is zero or not finite".into()));
            }
            vector.iter_mut().for_each(|x| *x /= length);
        }
        Ok(vectors)
    }

    fn failed(&self, what: String) -> Error {
        Error::new(ErrorKind::Embedding, format!("the host's embedder {what}")).with_model(self.model.as_str())
    }
}

#[async_trait]
impl Embedder for HostEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.vectors("embed", texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vectors = self.vectors("embed_query", &[text]).await?;
        vectors.pop().ok_or_else(|| self.failed("returned no vector".into()))
    }
}
