//! Answers of the Messages API, whole and streamed. Both go through one [`Decoder`], so that they cannot disagree.

use crate::chat::{Citation, Event, FinishReason, Response, ResponseBuilder, ToolCall, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::StreamDecoder;
use crate::provider::encoding::{count, made_up_id, text, tool_arguments};
use crate::provider::error_shapes::error_in;
use crate::transport::Frame;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// What the `signature` of a call begins with that was made from within server-side code; the caller object follows as JSON.
pub(super) const CALLER: &str = "anthropic-caller:";

/// No answer has more blocks open at once, nor longer arguments; a stream that says so is broken.
const MAX_OPEN: usize = 1024;
const MAX_JSON: usize = 16 << 20;

pub(super) fn decode(body: &[u8]) -> Result<Response> {
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        Error::new(ErrorKind::Decode, format!("the answer is no JSON (line {}, column {})", e.line(), e.column()))
    })?;
    if let Some(error) = error_in(&value) {
        return Err(error);
    }
    if !value.get("content").is_some_and(Value::is_array) {
        return Err(Error::new(ErrorKind::Decode, "the answer has no content array"));
    }
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    decoder.message(&value, &mut events)?;
    // A whole body cannot have been cut off: a reason that it does not give is unknown, not missing.
    decoder.stop_reason = text(&value, "stop_reason").map(str::to_owned);
    decoder.end(&mut events);
    let mut response = ResponseBuilder::new();
    events.iter().for_each(|e| response.push(e));
    Ok(response.build())
}

/// A content block that is still being sent.
enum Open {
    Text,
    Thinking {
        signature: String,
    },
    Call {
        block: Value,
        json: String,
    },
    /// Anything that is not for the client: kept as it is, to be sent back.
    Other {
        block: Map<String, Value>,
        json: String,
    },
}

/// The counts as the wire has them; each is replaced by a later one.
#[derive(Default)]
struct Counts {
    uncached: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    fn merge(&mut self, usage: &Value) {
        self.uncached = count(usage, "input_tokens").or(self.uncached);
        self.read = count(usage, "cache_read_input_tokens").or(self.read);
        self.written = count(usage, "cache_creation_input_tokens").or(self.written);
        self.output = count(usage, "output_tokens").or(self.output);
        let details = usage.get("output_tokens_details");
        self.thinking = details.and_then(|d| count(d, "thinking_tokens")).or(self.thinking);
    }

    /// The wire's `input_tokens` leaves out what was read from and written to the cache; ours has it all.
    fn usage(&self) -> Usage {
        let cached = self.read.unwrap_or(0).saturating_add(self.written.unwrap_or(0));
        Usage {
            input_tokens: self.uncached.map(|n| n.saturating_add(cached)),
            output_tokens: self.output,
            cached_input_tokens: self.read,
            cache_write_tokens: self.written,
            reasoning_tokens: self.thinking,
            ..Usage::default()
        }
    }
}

#[derive(Default)]
pub(super) struct Decoder {
    open: BTreeMap<u64, Open>,
    counts: Counts,
    stop_reason: Option<String>,
    /// Whether the finish has been told.
    ended: bool,
    /// The answer's id, for made-up ids of calls.
    answer: String,
    calls: usize,
    cited: HashSet<String>,
}

/// The commonest frame, read without building a tree.
#[derive(Deserialize)]
struct DeltaFrame<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(default)]
    citation: Option<Value>,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim();
        if self.ended || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        if frame.event == "content_block_delta"
            && let Ok(DeltaFrame { index, delta }) = serde_json::from_str(data)
        {
            return self.delta(index, delta, events);
        }
        let value: Value = serde_json::from_str(data).map_err(|_| {
            Error::new(ErrorKind::Decode, format!("a stream frame of {} bytes is no JSON", frame.data.len()))
        })?;
        if let Some(error) = error_in(&value) {
            return Err(error);
        }
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(&frame.event);
        match kind {
            "message_start" => {
                if let Some(message) = value.get("message") {
                    self.message(message, events)?;
                }
            }
            "content_block_start" => {
                if let (Some(index), Some(block)) = (count(&value, "index"), value.get("content_block")) {
                    // A block that begins where one is open ends that one.
                    self.close(index, events);
                    self.begin(index, block, events)?;
                }
            }
            "content_block_delta" => {
                if let Ok(DeltaFrame { index, delta }) = DeltaFrame::deserialize(&value) {
                    self.delta(index, delta, events)?;
                }
            }
            "content_block_stop" => {
                if let Some(index) = count(&value, "index") {
                    self.close(index, events);
                }
            }
            "message_delta" => {
                if let Some(reason) = value.get("delta").and_then(|d| text(d, "stop_reason")) {
                    self.stop_reason = Some(reason.to_owned());
                }
                if let Some(usage) = value.get("usage") {
                    self.count(usage, events);
                }
            }
            "message_stop" => self.end(events),
            // `ping`, and what may come to be.
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        // With the reason everything has been said but the last word.
        if self.stop_reason.is_none() {
            return Err(Error::new(ErrorKind::Truncated, "the stream ended before message_stop"));
        }
        self.end(events);
        Ok(())
    }
}

impl Decoder {
    /// A message object: the whole answer, or the beginning of a stream.
    fn message(&mut self, message: &Value, events: &mut Vec<Event>) -> Result<()> {
        let own = |key| text(message, key).map(str::to_owned);
        self.answer = own("id").unwrap_or_default();
        events.push(Event::Started { id: own("id"), model: own("model") });
        for block in message.get("content").and_then(Value::as_array).into_iter().flatten() {
            // Indices of a whole message are never open before or after.
            self.begin(u64::MAX, block, events)?;
            self.close(u64::MAX, events);
        }
        if let Some(usage) = message.get("usage") {
            self.count(usage, events);
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        for index in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(index, events);
        }
        let reason = match self.stop_reason.as_deref() {
            Some("end_turn" | "stop_sequence") if self.calls > 0 => FinishReason::ToolCalls,
            Some("end_turn" | "stop_sequence") => FinishReason::Stop,
            Some("tool_use") => FinishReason::ToolCalls,
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
            Some("pause_turn") => FinishReason::Pause,
            // Said by the API's classifiers, not by the model.
            Some("refusal") => FinishReason::ContentFilter,
            Some(other) => FinishReason::Other(other.to_owned()),
            None => FinishReason::Other("unknown".to_owned()),
        };
        self.ended = true;
        events.push(Event::Finish { reason });
    }

    fn count(&mut self, usage: &Value, events: &mut Vec<Event>) {
        self.counts.merge(usage);
        events.push(Event::Usage(self.counts.usage()));
    }

    fn begin(&mut self, index: u64, block: &Value, events: &mut Vec<Event>) -> Result<()> {
        let open = match block.get("type").and_then(Value::as_str) {
            Some("text") => {
                if let Some(words) = text(block, "text") {
                    events.push(Event::Text { text: words.to_owned() });
                }
                for citation in block.get("citations").and_then(Value::as_array).into_iter().flatten() {
                    self.cite(citation, events);
                }
                Open::Text
            }
            Some("thinking") => {
                if let Some(words) = text(block, "thinking") {
                    events.push(Event::Reasoning { text: words.to_owned(), opaque: None });
                }
                Open::Thinking { signature: text(block, "signature").unwrap_or_default().to_owned() }
            }
            Some("tool_use") => Open::Call { block: block.clone(), json: String::new() },
            Some(_) => match block {
                Value::Object(block) => Open::Other { block: block.clone(), json: String::new() },
                _ => return Ok(()),
            },
            None => return Ok(()),
        };
        if self.open.len() >= MAX_OPEN {
            return Err(Error::new(ErrorKind::Decode, format!("the stream has more than {MAX_OPEN} blocks open")));
        }
        self.open.insert(index, open);
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: Delta<'_>, events: &mut Vec<Event>) -> Result<()> {
        match (&*delta.r#type, self.open.get_mut(&index)) {
            // Text needs no open block: nothing of an answer is thrown away.
            ("text_delta", _) => {
                if let Some(words) = delta.text.filter(|t| !t.is_empty()) {
                    events.push(Event::Text { text: words.into_owned() });
                }
            }
            ("thinking_delta", _) => {
                if let Some(words) = delta.thinking.filter(|t| !t.is_empty()) {
                    events.push(Event::Reasoning { text: words.into_owned(), opaque: None });
                }
            }
            ("signature_delta", Some(Open::Thinking { signature })) => {
                if let Some(part) = delta.signature.filter(|part| signature.len() + part.len() <= MAX_JSON) {
                    signature.push_str(&part);
                }
            }
            ("input_json_delta", Some(Open::Call { json, .. } | Open::Other { json, .. })) => {
                let part = delta.partial_json.unwrap_or_default();
                if json.len() + part.len() > MAX_JSON {
                    let message = format!("the arguments of a tool call are longer than {MAX_JSON} bytes");
                    return Err(Error::new(ErrorKind::Decode, message));
                }
                json.push_str(&part);
            }
            ("citations_delta", _) => {
                if let Some(citation) = &delta.citation {
                    self.cite(citation, events);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, index: u64, events: &mut Vec<Event>) {
        match self.open.remove(&index) {
            Some(Open::Thinking { signature }) if !signature.is_empty() => {
                let opaque = json!({"anthropic": {"type": "thinking", "signature": signature}});
                events.push(Event::Reasoning { text: String::new(), opaque: Some(opaque) });
            }
            Some(Open::Call { block, json }) => self.call(&block, &json, events),
            Some(Open::Other { mut block, json }) => {
                if let Ok(input) = serde_json::from_str::<Value>(&json) {
                    block.insert("input".into(), input);
                }
                let opaque = json!({"anthropic": block});
                events.push(Event::Reasoning { text: String::new(), opaque: Some(opaque) });
            }
            Some(Open::Text | Open::Thinking { .. }) | None => {}
        }
    }

    /// A call for the client, complete. Arguments come with the block, or piece by piece, or not at all when there are none.
    fn call(&mut self, block: &Value, json: &str, events: &mut Vec<Event>) {
        let name = text(block, "name").unwrap_or_default().to_owned();
        let arguments = if json.trim().is_empty() {
            block.get("input").filter(|input| !input.is_null()).cloned().unwrap_or_else(|| json!({}))
        } else {
            tool_arguments(json)
        };
        let caller = block.get("caller").filter(|c| text(c, "type").is_some_and(|t| t != "direct"));
        // Not every server that speaks this dialect gives ids.
        let id = text(block, "id").map(str::to_owned);
        events.push(Event::ToolCall(ToolCall {
            id: id.unwrap_or_else(|| made_up_id(&self.answer, self.calls, &name, &arguments)),
            name,
            arguments,
            signature: caller.map(|c| format!("{CALLER}{c}")),
        }));
        self.calls += 1;
    }

    /// Web results have a URL, search results of the application a source, documents a title or only their place.
    fn cite(&mut self, citation: &Value, events: &mut Vec<Event>) {
        let title = text(citation, "title").or_else(|| text(citation, "document_title"));
        let url = ["url", "source", "file_id"].iter().find_map(|key| text(citation, key)).or(title);
        let url = match (url, count(citation, "document_index")) {
            (Some(url), _) => url.to_owned(),
            (None, Some(index)) => format!("document:{index}"),
            (None, None) => return,
        };
        if self.cited.insert(url.clone()) {
            let snippet = text(citation, "cited_text").map(str::to_owned);
            events.push(Event::Citation(Citation { url, title: title.map(str::to_owned), snippet }));
        }
    }
}
