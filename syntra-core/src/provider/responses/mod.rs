//! The `responses` dialect: OpenAI's Responses API.
//!
//! Requests are stateless (`store: false`): the conversation is ours, and encrypted reasoning items travel with it as opaque
//! parts. Tools that the server runs itself (web search, file search, code interpreter, MCP) are asked for through
//! [`Request::extra`](crate::Request::extra) and are no tool calls of ours when they come back.

mod decode;
mod encode;
mod stream;
#[cfg(test)]
mod tests;

use super::{Dialect, StreamDecoder, WireFailure, WireRequest, error_shapes};
use crate::chat::{Request, Response};
use crate::error::{Error, Result};

/// OpenAI's Responses API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Responses;

impl Responses {
    /// The dialect; it has no settings.
    pub fn new() -> Self {
        Self
    }
}

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn encode(&self, request: &Request, stream: bool) -> Result<WireRequest> {
        encode::encode(request, stream)
    }

    fn decode(&self, body: &[u8]) -> Result<Response> {
        decode::decode(body)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::ResponsesStream::default())
    }

    fn classify(&self, failure: &WireFailure<'_>) -> Error {
        error_shapes::classify_failure(failure)
    }
}
