//! Answers in the words of the Responses API, whole and in pieces: both end in [`Answer::close`], so they agree.

use crate::chat::{Citation, Event, FinishReason, NanoDollars, Response, ResponseBuilder, ToolCall, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::encoding::tool_arguments;
use crate::provider::error_shapes;
use crate::provider::openai::u64_at;
use serde_json::{Value, json};
use std::collections::HashSet;

/// The most items of one answer that are remembered.
const MOST_ITEMS: usize = 65_536;

pub(super) fn decode(body: &[u8]) -> Result<Response> {
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        let why = if e.is_eof() { "ends in the middle" } else { "is no JSON" };
        Error::new(ErrorKind::Decode, format!("the answer's body {why} (line {}, column {})", e.line(), e.column()))
    })?;
    if value.get("output").is_none() && value.get("status").is_none() {
        return Err(error_shapes::error_in(&value).unwrap_or_else(|| {
            Error::new(ErrorKind::Decode, "the answer has neither `output` nor `status`").with_code("no_output")
        }));
    }
    let (mut answer, mut events) = (Answer::default(), Vec::new());
    answer.start(&value, &mut events);
    answer.close(&value, &mut events)?;
    let mut response = ResponseBuilder::new();
    events.iter().for_each(|event| response.push(event));
    Ok(response.build())
}

/// What was given of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    started: bool,
    /// What was given already, by item and kind, so that the items of the end do not repeat it.
    given: HashSet<String>,
    cited: HashSet<String>,
    /// A call of the application's own tools was given.
    called: bool,
}

impl Answer {
    pub(super) fn start(&mut self, response: &Value, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            let word = |key: &str| response.get(key).and_then(Value::as_str).map(str::to_owned);
            events.push(Event::Started { id: word("id"), model: word("model") });
        }
    }

    /// Notes that `what` of the item `id` is given; false when it was before.
    pub(super) fn first(&mut self, id: &str, what: &str) -> bool {
        self.given.len() < MOST_ITEMS && self.given.insert(format!("{what} {id}"))
    }

    fn has(&self, id: &str, what: &str) -> bool {
        self.given.contains(&format!("{what} {id}"))
    }

    /// An item that is complete. `key` tells items apart: their id, or their place.
    pub(super) fn item(&mut self, key: &str, item: &Value, events: &mut Vec<Event>) {
        let word = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        match word("type") {
            "message" | "" if item.get("content").is_some() => self.message(key, item, events),
            "reasoning" => self.reasoning(key, item, events),
            // The application's own tools; everything else that ends in `_call` the server ran itself.
            "function_call" if self.first(key, "call") => {
                self.called = true;
                let id = if word("call_id").is_empty() { word("id") } else { word("call_id") };
                events.push(Event::ToolCall(ToolCall {
                    id: id.to_owned(),
                    name: word("name").to_owned(),
                    arguments: tool_arguments(word("arguments")),
                    signature: None,
                }));
            }
            "custom_tool_call" if self.first(key, "call") => {
                self.called = true;
                events.push(Event::ToolCall(ToolCall {
                    id: word("call_id").to_owned(),
                    name: word("name").to_owned(),
                    arguments: json!({ "input": word("input") }),
                    signature: None,
                }));
            }
            _ => {}
        }
    }

    fn message(&mut self, key: &str, item: &Value, events: &mut Vec<Event>) {
        let (said, refused) = (self.has(key, "text"), self.has(key, "refusal"));
        for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
            let word = |name: &str| part.get(name).and_then(Value::as_str).filter(|w| !w.is_empty()).map(str::to_owned);
            match part.get("type").and_then(Value::as_str) {
                Some("refusal") => {
                    let text = word("refusal").filter(|_| !refused);
                    events.extend(text.map(|text| Event::Refusal { text }));
                    self.first(key, "refusal");
                }
                Some("output_text" | "text") => {
                    let text = word("text").filter(|_| !said);
                    events.extend(text.map(|text| Event::Text { text }));
                    self.first(key, "text");
                    for annotation in part.get("annotations").and_then(Value::as_array).into_iter().flatten() {
                        self.cite(annotation, events);
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn cite(&mut self, annotation: &Value, events: &mut Vec<Event>) {
        let inner = annotation.get("url_citation").unwrap_or(annotation);
        let word = |name: &str| inner.get(name).and_then(Value::as_str).filter(|w| !w.is_empty()).map(str::to_owned);
        let Some(url) = word("url") else { return };
        if self.cited.len() < MOST_ITEMS && self.cited.insert(url.clone()) {
            events.push(Event::Citation(Citation { url, title: word("title"), snippet: None }));
        }
    }

    fn reasoning(&mut self, key: &str, item: &Value, events: &mut Vec<Event>) {
        if !self.first(key, "item") {
            return;
        }
        let texts = |name: &str| {
            let parts = item.get(name).and_then(Value::as_array).into_iter().flatten();
            parts.filter_map(|p| p.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("\n\n")
        };
        let mut text = String::new();
        if !self.has(key, "thought") {
            // The thinking itself where the server shows it, else its summary.
            text = Some(texts("content")).filter(|t| !t.is_empty()).unwrap_or_else(|| texts("summary"));
        }
        let encrypted = item.get("encrypted_content").and_then(Value::as_str).is_some_and(|c| !c.is_empty());
        // Without its encrypted content a server that stores nothing could not make anything of the item.
        let opaque = encrypted.then(|| json!({ "responses": item }));
        if !text.is_empty() || opaque.is_some() {
            events.push(Event::Reasoning { text, opaque });
        }
    }

    /// The response is over: gives what its items hold and was not given yet, the usage and the reason.
    pub(super) fn close(&mut self, response: &Value, events: &mut Vec<Event>) -> Result<()> {
        for (at, item) in response.get("output").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let key = item_key(item, Some(at as u64));
            self.item(&key, item, events);
        }
        if let Some(usage) = response.get("usage").filter(|u| u.is_object()) {
            events.push(Event::Usage(read_usage(usage)));
        }
        let status = response.get("status").and_then(Value::as_str).unwrap_or("completed");
        let reason = match status {
            "failed" | "cancelled" => return Err(failed(response, status)),
            "incomplete" => match response.pointer("/incomplete_details/reason").and_then(Value::as_str) {
                Some("max_output_tokens") | None => FinishReason::Length,
                Some("content_filter") => FinishReason::ContentFilter,
                Some(other) => FinishReason::Other(other.to_owned()),
            },
            "completed" if self.called => FinishReason::ToolCalls,
            "completed" => FinishReason::Stop,
            other => {
                let words = format!("the server answered with a response that is still `{other}`");
                return Err(Error::new(ErrorKind::Truncated, crate::transport::redact(&words)));
            }
        };
        events.push(Event::Finish { reason });
        Ok(())
    }
}

/// What tells items apart across the events of a stream: the id, or the place where there is none.
pub(super) fn item_key(item: &Value, at: Option<u64>) -> String {
    match item.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None => format!("#{}", at.unwrap_or(0)),
    }
}

/// The error of a response that failed.
fn failed(response: &Value, status: &str) -> Error {
    let error = response.get("error").filter(|e| e.is_object());
    error.and_then(|e| error_shapes::error_in(&json!({ "error": e }))).unwrap_or_else(|| {
        let kind = if status == "cancelled" { ErrorKind::Cancelled } else { ErrorKind::Transient };
        Error::new(kind, format!("the server says that the response {status} and gives no reason"))
    })
}

fn read_usage(usage: &Value) -> Usage {
    let cost = usage.get("cost").and_then(Value::as_f64).or_else(|| usage.pointer("/cost/total_cost")?.as_f64());
    Usage {
        input_tokens: u64_at(usage, "input_tokens"),
        output_tokens: u64_at(usage, "output_tokens"),
        cached_input_tokens: u64_at(usage, "input_tokens_details/cached_tokens"),
        cache_write_tokens: u64_at(usage, "input_tokens_details/cache_write_tokens"),
        reasoning_tokens: u64_at(usage, "output_tokens_details/reasoning_tokens"),
        provider_cost: cost.and_then(NanoDollars::from_usd),
        estimated: false,
    }
}
