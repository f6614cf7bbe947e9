//! A whole body that came with a 2xx, in whatever form the server chose to send it.

use super::Dialect;
use crate::chat::{Event, Response, ResponseBuilder};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{FrameDecoder, Framing};
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// `body` without a byte-order mark, and with U+FFFD for what is no UTF-8, as the framing of streams has it: an answer with a broken
/// character in it is better than none, and whole and streamed answers agree.
pub(super) fn readable(body: &[u8]) -> Cow<'_, [u8]> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match String::from_utf8_lossy(body) {
        Cow::Borrowed(_) => Cow::Borrowed(body),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Reads a whole body that came with a 2xx.
pub(crate) fn read_whole(dialect: &dyn Dialect, body: &[u8]) -> Result<Response> {
    let body = readable(body);
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        None => Err(Error::new(ErrorKind::Decode, "the server sent an empty body").with_code("empty_body")),
        Some(b'<') => {
            Err(Error::new(ErrorKind::Decode, "the server sent a page of HTML where JSON was due")
                .with_code("html_body"))
        }
        // Some gateways stream whatever was asked.
        Some(b'd' | b'e' | b'i' | b'r' | b':') => read_frames(dialect, &body, Framing::Sse),
        Some(_) => dialect.decode(&body).or_else(|error| {
            // As an array, or one after the other.
            let mut values = serde_json::Deserializer::from_slice(&body).into_iter::<IgnoredAny>();
            let first = matches!(values.next(), Some(Ok(_)));
            let streamed = body.trim_ascii_start().starts_with(b"[") || (first && values.next().is_some());
            if error.kind() == ErrorKind::Decode && streamed {
                read_frames(dialect, &body, Framing::Auto)
            } else {
                Err(error)
            }
        }),
    }
}

/// Reads a whole body that is a stream.
fn read_frames(dialect: &dyn Dialect, body: &[u8], framing: Framing) -> Result<Response> {
    let mut frames = Vec::new();
    let mut cutter = FrameDecoder::new(framing);
    cutter.push(body, &mut frames)?;
    cutter.finish(&mut frames)?;
    let (mut decoder, mut events) = (dialect.stream_decoder(), Vec::new());
    let over = |events: &[Event]| matches!(events.last(), Some(Event::Finish { .. }));
    for frame in &frames {
        // Nothing counts after the end.
        if over(&events) {
            break;
        }
        decoder.frame(frame, &mut events)?;
    }
    if !over(&events) {
        decoder.finish(&mut events)?;
    }
    let mut answer = ResponseBuilder::new();
    events.iter().for_each(|event| answer.push(event));
    Ok(answer.build())
}
