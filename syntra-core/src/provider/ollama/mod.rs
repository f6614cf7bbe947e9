//! Ollama's own chat API (`POST /api/chat`), streamed as one JSON object a line.
//!
//! What each word of ours becomes on this wire, and what is dropped or refused, is tabled in `docs/providers.md`. Answers of
//! `/api/generate` are understood too.

mod decode;
#[cfg(test)]
mod decode_tests;
mod encode;
#[cfg(test)]
mod encode_tests;

use super::{Dialect, StreamDecoder, WireFailure, WireRequest, error_shapes};
use crate::chat::{ReasoningEffort, Request, Response};
use crate::error::{Error, Result};
use crate::transport::Framing;

/// The `/api/chat` dialect.
///
/// ```
/// use syntra_core::provider::{Dialect, ollama::Ollama};
/// use syntra_core::{Message, Request};
/// let request = Request::new("qwen3:4b", vec![Message::user("Hello")]).with_max_tokens(64);
/// let wire = Ollama::new().encode(&request, false)?;
/// assert_eq!(wire.path, "/api/chat");
/// assert_eq!(wire.body["options"]["num_predict"], 64);
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

impl Ollama {
    /// The dialect; it has no settings.
    pub fn new() -> Self {
        Self
    }
}

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn encode(&self, request: &Request, stream: bool) -> Result<WireRequest> {
        encode::encode(request, stream)
    }

    fn decode(&self, body: &[u8]) -> Result<Response> {
        decode::decode(body)
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(decode::Decoder::default())
    }

    fn can_resume(&self, request: &Request) -> bool {
        // Its templates leave the assistant's last message open. Those of gpt-oss speak in channels and do not.
        let told_to_think = request.reasoning.is_some_and(|effort| effort != ReasoningEffort::None);
        !told_to_think && !request.model.contains("gpt-oss")
    }

    fn classify(&self, failure: &WireFailure<'_>) -> Error {
        error_shapes::classify_failure(failure)
    }
}
