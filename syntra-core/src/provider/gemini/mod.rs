//! Google's Gemini API (`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent?alt=sse`).
//!
//! What each word of ours becomes on this wire, and what is dropped or refused, is tabled in `docs/providers.md`.

mod decode;
#[cfg(test)]
mod decode_tests;
mod encode;
#[cfg(test)]
mod encode_tests;
mod partial;

use super::{Dialect, StreamDecoder, WireFailure, WireRequest, error_shapes};
use crate::chat::{Request, Response};
use crate::error::{Error, Result};

/// The generateContent dialect. Authentication is the adapter's: the header `x-goog-api-key`, never the URL.
///
/// ```
/// use syntra_core::provider::{Dialect, gemini::Gemini};
/// use syntra_core::{Message, Request};
/// let request = Request::new("gemini-2.5-flash", vec![Message::system("Be brief."), Message::user("Hello")]);
/// let wire = Gemini::new().encode(&request, true)?;
/// assert_eq!(wire.path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
/// assert_eq!(wire.body["contents"][0]["parts"][0]["text"], "Hello");
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

impl Gemini {
    /// The dialect; it has no settings.
    pub fn new() -> Self {
        Self
    }
}

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn encode(&self, request: &Request, stream: bool) -> Result<WireRequest> {
        encode::encode(request, stream)
    }

    fn decode(&self, body: &[u8]) -> Result<Response> {
        decode::decode(body)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(decode::Decoder::default())
    }

    fn classify(&self, failure: &WireFailure<'_>) -> Error {
        error_shapes::classify_failure(failure)
    }
}
