//! Anthropic's Messages API (`POST /v1/messages`), version `2023-06-01`.
//!
//! What each word of ours becomes on this wire, and what is dropped or refused, is tabled in `docs/providers.md`.

mod decode;
#[cfg(test)]
mod decode_tests;
mod encode;
#[cfg(test)]
mod encode_tests;
mod model;

use super::{Dialect, StreamDecoder, WireFailure, WireRequest, error_shapes};
use crate::chat::{ReasoningEffort, Request, Response};
use crate::error::{Error, Result};

/// The Messages dialect. Authentication (`x-api-key`) is the adapter's; `anthropic-version` is sent by [`Dialect::encode`].
///
/// ```
/// use syntra_core::provider::{Dialect, anthropic::Anthropic};
/// use syntra_core::{Message, Request};
/// let request = Request::new("claude-haiku-4-5", vec![Message::system("Be brief."), Message::user("Hello")]);
/// let wire = Anthropic::new().encode(&request, false)?;
/// assert_eq!(wire.path, "/v1/messages");
/// assert_eq!(wire.body["system"][0]["text"], "Be brief.");
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

impl Anthropic {
    /// The dialect; it has no settings.
    pub fn new() -> Self {
        Self
    }
}

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
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

    fn can_resume(&self, request: &Request) -> bool {
        takes_prefill(request)
    }

    fn classify(&self, failure: &WireFailure<'_>) -> Error {
        error_shapes::classify_failure(failure)
    }
}

/// Whether a Claude goes on from the assistant's own words at the end of `request`: those before 4.6 do while they do not think.
pub(crate) fn takes_prefill(request: &Request) -> bool {
    let traits = model::traits(&request.model);
    let thinks = traits.thinking != model::Thinking::Never
        && request.reasoning.is_some_and(|effort| effort != ReasoningEffort::None);
    traits.prefill && !thinks
}
