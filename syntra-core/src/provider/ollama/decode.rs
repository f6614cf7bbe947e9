//! Answers of `/api/chat` and `/api/generate`, whole and streamed. Both go through one [`Decoder`], so that they cannot disagree.

use crate::chat::{Event, FinishReason, Response, ResponseBuilder, ToolCall, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::StreamDecoder;
use crate::provider::encoding::{count, made_up_id, text, tool_arguments};
use crate::provider::error_shapes::error_in;
use crate::transport::Frame;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

pub(super) fn decode(body: &[u8]) -> Result<Response> {
    // A server that was told not to stream and does so all the same sends its lines as a body.
    let mut lines = serde_json::Deserializer::from_slice(body).into_iter::<Value>().peekable();
    if lines.peek().is_none() {
        return Err(Error::new(ErrorKind::Decode, "the answer is empty"));
    }
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for line in lines {
        let line = line.map_err(|e| {
            let message = format!("the answer is no JSON (line {}, column {})", e.line(), e.column());
            Error::new(ErrorKind::Decode, message)
        })?;
        if !decoder.ended {
            decoder.value(&line, &mut events)?;
        }
    }
    decoder.finish(&mut events)?;
    let mut response = ResponseBuilder::new();
    events.iter().for_each(|e| response.push(e));
    Ok(response.build())
}

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    /// When the first line was made: what tells this answer from others, as there is no id.
    created: String,
    calls: usize,
    /// Whether the finish has been told.
    ended: bool,
}

/// The commonest line, read without building a tree.
#[derive(Deserialize)]
struct Piece<'a> {
    done: bool,
    #[serde(borrow)]
    message: PieceMessage<'a>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct PieceMessage<'a> {
    #[serde(borrow, default)]
    content: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(default)]
    tool_calls: Option<Value>,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim();
        if self.ended || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        if self.started
            && let Ok(Piece { done: false, message, error: None }) = serde_json::from_str(data)
            && message.tool_calls.is_none()
        {
            words(message.thinking.as_deref(), Some(&message.content), events);
            return Ok(());
        }
        let value: Value = serde_json::from_str(data).map_err(|_| {
            Error::new(ErrorKind::Decode, format!("a stream frame of {} bytes is no JSON", frame.data.len()))
        })?;
        self.value(&value, events)
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, "the stream ended before a line with done"))
    }
}

fn words(thinking: Option<&str>, content: Option<&str>, events: &mut Vec<Event>) {
    if let Some(text) = thinking.filter(|t| !t.is_empty()) {
        events.push(Event::Reasoning { text: text.to_owned(), opaque: None });
    }
    if let Some(text) = content.filter(|t| !t.is_empty()) {
        events.push(Event::Text { text: text.to_owned() });
    }
}

impl Decoder {
    fn value(&mut self, line: &Value, events: &mut Vec<Event>) -> Result<()> {
        if let Some(error) = error_in(line) {
            return Err(error);
        }
        let message = line.get("message");
        if message.is_none() && line.get("response").is_none() && line.get("done").is_none() {
            return Err(Error::new(ErrorKind::Decode, "the answer has neither a message nor a response"));
        }
        if !self.started {
            self.started = true;
            self.created = text(line, "created_at").unwrap_or_default().to_owned();
            events.push(Event::Started { id: None, model: text(line, "model").map(str::to_owned) });
        }
        match message {
            Some(message) => {
                words(text(message, "thinking"), text(message, "content"), events);
                for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                    self.call(call, events);
                }
            }
            None => words(text(line, "thinking"), text(line, "response"), events),
        }
        if line.get("done").and_then(Value::as_bool) == Some(true) {
            let usage = Usage {
                // Absent when the whole prompt was cached.
                input_tokens: count(line, "prompt_eval_count"),
                output_tokens: count(line, "eval_count"),
                ..Usage::default()
            };
            if usage != Usage::default() {
                events.push(Event::Usage(usage));
            }
            let reason = match text(line, "done_reason") {
                // Older servers give no reason.
                Some("stop") | None if self.calls > 0 => FinishReason::ToolCalls,
                Some("stop") | None => FinishReason::Stop,
                Some("length") => FinishReason::Length,
                Some(other) => FinishReason::Other(other.to_owned()),
            };
            self.ended = true;
            events.push(Event::Finish { reason });
        }
        Ok(())
    }

    fn call(&mut self, call: &Value, events: &mut Vec<Event>) {
        let function = call.get("function").unwrap_or(call);
        let name = text(function, "name").unwrap_or_default().to_owned();
        let arguments = match function.get("arguments") {
            None | Some(Value::Null) => json!({}),
            // Proxies pass them on as OpenAI does.
            Some(Value::String(words)) => tool_arguments(words),
            Some(value) => value.clone(),
        };
        let id = match text(call, "id") {
            Some(id) => id.to_owned(),
            None => made_up_id(&self.created, self.calls, &name, &arguments),
        };
        self.calls += 1;
        events.push(Event::ToolCall(ToolCall { id, name, arguments, signature: None }));
    }
}
