//! Streams in the words of Chat Completions.

use super::decode::Accumulator;
use super::words::words;
use crate::chat::{Event, FinishReason};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{StreamDecoder, error_shapes};
use crate::transport::Frame;
use serde_json::Value;

#[derive(Debug, Default)]
pub(super) struct ChatStream {
    answer: Accumulator,
    over: bool,
}

impl StreamDecoder for ChatStream {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim();
        if self.over || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.over = true;
            // The terminal frame came, so the answer is whole even where the server named no reason.
            self.answer.reason.get_or_insert(FinishReason::Stop);
            return self.answer.end(events);
        }
        // The first chunk names the answer and is read whole.
        if self.answer.started
            && frame.event != "error"
            && let Some(text) = words(data)
        {
            self.answer.text(text, events);
            return Ok(());
        }
        let value: Value = serde_json::from_str(data).map_err(|e| {
            let words = format!("an event of the stream is no JSON (line {}, column {})", e.line(), e.column());
            Error::new(ErrorKind::Decode, words)
        })?;
        if let Some(error) = error_shapes::error_in(&value).or_else(|| named_error(frame, &value)) {
            self.over = true;
            // What came with the error counts: text, and the tokens it cost.
            let _ = self.answer.chunk(&value, events);
            self.answer.give_usage(events);
            return Err(error);
        }
        self.answer.chunk(&value, events).inspect_err(|_| self.answer.give_usage(events))
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        if self.answer.reason.is_none() {
            self.answer.give_usage(events);
            let words = "the stream ended with neither a reason to finish nor `[DONE]`";
            return Err(Error::new(ErrorKind::Truncated, words));
        }
        self.answer.end(events)
    }
}

/// `event: error` with the error bare in its data.
fn named_error(frame: &Frame, value: &Value) -> Option<Error> {
    if frame.event != "error" {
        return None;
    }
    error_shapes::error_in(&serde_json::json!({ "error": value }))
}
