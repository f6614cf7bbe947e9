//! Model servers: one file a wire dialect, one table of compatible servers, and the adapter that joins them to the wire.
//!
//! May use [`crate::chat`], [`crate::error`] and [`crate::transport`]. A [`Dialect`] is pure: bytes in, words out, so that it can
//! be fuzzed and benchmarked without a network.

pub mod anthropic;
mod compatible;
mod encoding;
pub mod error_shapes;
pub mod gemini;
mod http_provider;
pub mod ollama;
pub mod openai;
pub mod responses;
mod stream;
mod whole;

pub use compatible::{AuthStyle, Server, from_env, servers};
pub use http_provider::{Auth, HttpProvider};
#[cfg(any(test, feature = "testing"))]
pub(crate) use whole::read_whole;

use crate::chat::{Event, EventStream, Request, Response};
use crate::error::Result;
use crate::transport::{Deadlines, Frame, Framing, RateLimits};
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;

/// Sends one request to one model.
#[async_trait]
pub trait Provider: Send + Sync + Debug + 'static {
    /// Its name, as in `openai/gpt-4o-mini`; unique within a [`crate::Syntra`].
    fn name(&self) -> &str;

    /// Asks and returns the whole answer.
    ///
    /// # Errors
    /// Classified, with this provider's name, see [`crate::ErrorKind`].
    async fn complete(&self, request: &Request) -> Result<Response>;

    /// Asks and returns the answer as it comes. The stream ends after [`Event::Finish`] or an error; a server that stops without
    /// its terminal frame yields [`crate::ErrorKind::Truncated`]. Dropping the stream closes the connection.
    ///
    /// # Errors
    /// What is known before the first event; the rest comes in the stream.
    async fn stream(&self, request: &Request) -> Result<EventStream>;

    /// Whether `request`, whose last message is the assistant's own, is answered with what follows on those words: no less, and
    /// nothing of them again. The words end in no white space. Only what is documented of the server and the model counts; `false`
    /// unless an adapter says otherwise. An answer that was cut off is continued on models for which this is true.
    fn can_resume(&self, request: &Request) -> bool {
        let _ = request;
        false
    }

    /// The deadlines that whoever carries a plan out keeps for this provider, so that a stalled call ends; [`Deadlines::connect`] is not
    /// among them. `None` from a provider that keeps its own. The usual ones unless an adapter says otherwise.
    fn deadlines(&self) -> Option<Deadlines> {
        Some(Deadlines::default())
    }

    /// A short fingerprint of its key that says nothing about the key; it tells providers of one name with different keys apart.
    /// Empty, the default, where there is no key or only one.
    fn key_id(&self) -> &str {
        ""
    }

    /// What its calls share a server's limits with: those of the same group in one process are paced together. `None`, the default, for a
    /// pace of its own.
    fn pace_group(&self) -> Option<String> {
        None
    }

    /// What the server said last is left of its limits for `model`, if that was not taken before. `None` by default.
    fn take_rate_limits(&self, model: &str) -> Option<RateLimits> {
        let _ = model;
        None
    }
}

/// A wire format: encodes requests, decodes answers, classifies errors. Pure, without I/O or state.
pub trait Dialect: Send + Sync + Debug + 'static {
    /// Its name: `chat`, `responses`, `anthropic`, `gemini`, `ollama`.
    fn name(&self) -> &'static str;

    /// The HTTP request for `request`: path (relative to the base URL), extra headers and body. Authentication is the adapter's.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] or [`crate::ErrorKind::InvalidInput`] naming what this wire cannot say.
    fn encode(&self, request: &Request, stream: bool) -> Result<WireRequest>;

    /// The answer in a whole body that came with a 2xx status.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Decode`] when it is no answer; a classified error when it is an error inside a 200.
    fn decode(&self, body: &[u8]) -> Result<Response>;

    /// How this wire's streams are framed when the server does as asked: server-sent events unless a dialect says otherwise. A JSON
    /// body where events were due is decoded as a whole answer.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// A fresh decoder for one stream.
    fn stream_decoder(&self) -> Box<dyn StreamDecoder>;

    /// See [`Provider::can_resume`]: whether this wire, as the server speaks it, lets the model go on from the assistant's own words.
    fn can_resume(&self, request: &Request) -> bool {
        let _ = request;
        false
    }

    /// The error that a non-2xx answer means; provider and phase are filled in by the adapter.
    fn classify(&self, failure: &WireFailure<'_>) -> crate::Error;
}

/// Decodes one stream, frame by frame.
pub trait StreamDecoder: Send {
    /// Takes one frame and appends what it means to `events`.
    ///
    /// # Errors
    /// An error that the server sent in the stream (classified), or [`crate::ErrorKind::Decode`]. The stream ends with it.
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<()>;

    /// The connection ended in good order. Appends what was held back, [`Event::Usage`] and [`Event::Finish`] included.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Truncated`] when the terminal frame never came.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()>;
}

/// An encoded request.
#[derive(Clone, Debug, PartialEq)]
pub struct WireRequest {
    /// Path and query, relative to the base URL, beginning with `/`.
    pub path: String,
    /// Headers beside content type and authentication.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: serde_json::Value,
}

/// A failed answer as it came from the wire.
#[derive(Clone, Debug)]
pub struct WireFailure<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case and their values.
    pub headers: &'a [(String, String)],
    /// The body, cut at a bound.
    pub body: &'a Bytes,
    /// The date and time, for `Retry-After` given as a date.
    pub now: jiff::Timestamp,
}

#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod tool_call_tests;
