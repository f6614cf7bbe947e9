//! Streams in the words of the Responses API: typed events, one of which is terminal.

use super::decode::{Answer, item_key};
use crate::chat::Event;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{StreamDecoder, error_shapes};
use crate::transport::Frame;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(super) struct ResponsesStream {
    answer: Answer,
    over: bool,
    numbers: Numbers,
}

/// The numbers of the events. Trusted once they rise: some servers that speak this API number all events zero, or none.
#[derive(Debug, Default)]
struct Numbers {
    last: Option<u64>,
    rise: bool,
}

impl Numbers {
    /// Whether the event with `number` has come before.
    fn has_come(&mut self, number: u64) -> bool {
        match self.last {
            Some(last) if number <= last => self.rise,
            last => {
                self.rise = last.is_some();
                self.last = Some(number);
                false
            }
        }
    }
}

impl StreamDecoder for ResponsesStream {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim();
        if self.over || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let value: Value = serde_json::from_str(data).map_err(|e| {
            let words = format!("an event of the stream is no JSON (line {}, column {})", e.line(), e.column());
            Error::new(ErrorKind::Decode, words)
        })?;
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(frame.event.as_str());
        let number = value.get("sequence_number").and_then(Value::as_u64);
        // What ends an answer ends it whatever its number is.
        if number.is_some_and(|number| self.numbers.has_come(number)) && kind.ends_with(".delta") {
            return Ok(());
        }
        let done = self.event(kind, &value, events);
        self.over |= done.is_err() || matches!(events.last(), Some(Event::Finish { .. }));
        done
    }

    fn finish(&mut self, _events: &mut Vec<Event>) -> Result<()> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, "the stream ended before `response.completed`"))
    }
}

impl ResponsesStream {
    fn event(&mut self, kind: &str, value: &Value, events: &mut Vec<Event>) -> Result<()> {
        let at = value.get("output_index").and_then(Value::as_u64);
        let key = || match value.get("item_id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => format!("#{}", at.unwrap_or(0)),
        };
        let delta = || value.get("delta").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = value.get("response") {
                    self.answer.start(response, events);
                }
            }
            "response.output_text.delta" => {
                self.answer.first(&key(), "text");
                events.push(Event::Text { text: delta() });
            }
            "response.refusal.delta" => {
                self.answer.first(&key(), "refusal");
                events.push(Event::Refusal { text: delta() });
            }
            "response.reasoning_summary_part.added"
                if value.get("summary_index").and_then(Value::as_u64).unwrap_or(0) > 0 =>
            {
                events.push(Event::Reasoning { text: "\n\n".into(), opaque: None });
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.answer.first(&key(), "thought");
                events.push(Event::Reasoning { text: delta(), opaque: None });
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = value.get("annotation") {
                    self.answer.cite(annotation, events);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = value.get("item") {
                    self.answer.item(&item_key(item, at), item, events);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                let response = value.get("response").unwrap_or(value);
                self.answer.start(response, events);
                self.answer.close(response, events)?;
            }
            "error" => {
                // Nested, or flat with `code` and `message` beside the type.
                let inner = value.get("error").filter(|e| e.is_object()).unwrap_or(value);
                return Err(error_shapes::error_in(&json!({ "error": inner }))
                    .unwrap_or_else(|| Error::new(ErrorKind::Transient, "the server sent an error without a reason")));
            }
            _ if value.get("error").is_some_and(|e| !e.is_null()) => {
                return Err(error_shapes::error_in(value)
                    .unwrap_or_else(|| Error::new(ErrorKind::Transient, "the server sent an error without a reason")));
            }
            _ => {}
        }
        Ok(())
    }
}
