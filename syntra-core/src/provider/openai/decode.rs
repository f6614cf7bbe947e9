//! Answers in the words of Chat Completions, whole and in pieces: both go through [`Accumulator`], so they agree.

use crate::chat::{Citation, Event, FinishReason, NanoDollars, Response, ResponseBuilder, ToolCall, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::encoding::{made_up_id, tool_arguments};
use crate::provider::error_shapes;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::HashSet;

/// The most tool calls, citations and reasoning details of one answer, and the most bytes of one call's arguments.
const MOST_ITEMS: usize = 4096;
const MOST_ARGUMENTS: usize = 16 << 20;

pub(super) fn decode(body: &[u8]) -> Result<Response> {
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        let why = if e.is_eof() { "ends in the middle" } else { "is no JSON" };
        Error::new(ErrorKind::Decode, format!("the answer's body {why} (line {}, column {})", e.line(), e.column()))
    })?;
    if let Some(error) = error_shapes::error_in(&value) {
        return Err(error);
    }
    let choices = value.get("choices").and_then(Value::as_array);
    if choices.is_none_or(|c| c.is_empty()) {
        return Err(Error::new(ErrorKind::Decode, "the answer has no `choices`").with_code("no_choices"));
    }
    let mut events = Vec::new();
    let mut answer = Accumulator { whole: true, ..Accumulator::default() };
    answer.chunk(&value, &mut events)?;
    if answer.reason.is_none() {
        answer.reason = Some(FinishReason::Stop);
    }
    answer.end(&mut events)?;
    let mut response = ResponseBuilder::new();
    events.iter().for_each(|event| response.push(event));
    Ok(response.build())
}

/// Puts one answer together from chunks (or from one whole, whose `message` is read like a `delta`).
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    /// A whole answer: its `message` counts, though some servers put an empty `delta` beside it.
    whole: bool,
    pub(super) started: bool,
    id: Option<String>,
    calls: Vec<Call>,
    cited: HashSet<String>,
    details: Vec<Value>,
    /// Text or reasoning has been given from deltas: a `message` that repeats the whole is ignored.
    spoke: bool,
    pub(super) reason: Option<FinishReason>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    given: bool,
}

impl Accumulator {
    /// Takes a chunk or a whole answer.
    pub(super) fn chunk(&mut self, value: &Value, events: &mut Vec<Event>) -> Result<()> {
        self.start(value, events);
        self.count(value);
        let choices = value.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for choice in choices {
            // Of several answers the first is the answer.
            if choice.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
                continue;
            }
            if let Some(usage) = choice.get("usage") {
                self.merge_usage(read_usage(usage));
            }
            let (delta, message) = (choice.get("delta").filter(|d| d.is_object()), choice.get("message"));
            match (delta, message) {
                (_, Some(message)) if self.whole => self.delta(message, events)?,
                (Some(delta), _) => self.delta(delta, events)?,
                (None, Some(message)) if !self.spoke => self.delta(message, events)?,
                _ => {}
            }
            if let Some(word) = choice.get("finish_reason").and_then(Value::as_str) {
                self.finish_word(word, events)?;
            }
        }
        self.citations(value, events);
        Ok(())
    }

    fn start(&mut self, value: &Value, events: &mut Vec<Event>) {
        let word = |key: &str| value.get(key).and_then(Value::as_str).filter(|w| !w.is_empty()).map(str::to_owned);
        let (id, model) = (word("id"), word("model"));
        if !self.started && (id.is_some() || model.is_some()) {
            self.started = true;
            self.id = id.clone();
            events.push(Event::Started { id, model });
        }
    }

    /// Usage wherever a server puts it: beside the choices, in Groq's corner, or as llama.cpp's timings.
    fn count(&mut self, value: &Value) {
        let usage = value.get("usage").filter(|u| u.is_object()).or_else(|| value.get("x_groq")?.get("usage"));
        if let Some(usage) = usage {
            self.merge_usage(read_usage(usage));
        } else if let Some(timings) = value.get("timings").filter(|_| self.usage.is_none()) {
            let cached = u64_at(timings, "cache_n");
            let input = u64_at(timings, "prompt_n").map(|n| n + cached.unwrap_or(0));
            let output = u64_at(timings, "predicted_n");
            if input.is_some() && output.is_some() {
                self.usage = Some(Usage {
                    input_tokens: input,
                    output_tokens: output,
                    cached_input_tokens: cached,
                    ..Usage::default()
                });
            }
        }
    }

    fn merge_usage(&mut self, newer: Usage) {
        self.usage.get_or_insert_default().merge(&newer);
    }

    fn delta(&mut self, delta: &Value, events: &mut Vec<Event>) -> Result<()> {
        self.reasoning(delta, events)?;
        match delta.get("content") {
            Some(Value::String(text)) => self.text(text.clone(), events),
            // Mistral's thinking models and some gateways send parts.
            Some(Value::Array(parts)) => {
                for part in parts {
                    let text = part.get("text").and_then(Value::as_str);
                    match part.get("type").and_then(Value::as_str) {
                        Some("thinking") => {
                            let inner = part.get("thinking").and_then(Value::as_array).into_iter().flatten();
                            let words: String = inner.filter_map(|p| p.get("text").and_then(Value::as_str)).collect();
                            self.think(&words, events);
                        }
                        _ => self.text(text.unwrap_or_default().to_owned(), events),
                    }
                }
            }
            _ => {}
        }
        if let Some(text) = delta.get("refusal").and_then(Value::as_str).filter(|t| !t.is_empty()) {
            self.spoke = true;
            events.push(Event::Refusal { text: text.to_owned() });
        }
        for annotation in delta.get("annotations").and_then(Value::as_array).into_iter().flatten() {
            let inner = annotation.get("url_citation").unwrap_or(annotation);
            self.cite(inner, events);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, events)?;
        }
        // The form before tools; one call, without an id.
        if let Some(function) = delta.get("function_call").filter(|f| f.is_object()) {
            self.call(&json!({ "index": 0, "function": function }), events)?;
        }
        Ok(())
    }

    pub(super) fn text(&mut self, text: String, events: &mut Vec<Event>) {
        if !text.is_empty() {
            self.spoke = true;
            self.close_reasoning(events);
            events.push(Event::Text { text });
        }
    }

    fn think(&mut self, text: &str, events: &mut Vec<Event>) {
        if !text.is_empty() {
            self.spoke = true;
            events.push(Event::Reasoning { text: text.to_owned(), opaque: None });
        }
    }

    /// The thinking: `reasoning_content` (DeepSeek, Kimi, llama.cpp), `reasoning` (OpenRouter, Groq, Ollama), or the words in
    /// `reasoning_details`; servers that send several of them repeat themselves.
    fn reasoning(&mut self, delta: &Value, events: &mut Vec<Event>) -> Result<()> {
        let word = |key: &str| delta.get(key).and_then(Value::as_str).filter(|w| !w.is_empty());
        let details = delta.get("reasoning_details").and_then(Value::as_array);
        match word("reasoning_content").or_else(|| word("reasoning")) {
            Some(text) => self.think(text, events),
            None => {
                let words = details
                    .into_iter()
                    .flatten()
                    .filter_map(|d| ["text", "summary"].iter().find_map(|key| d.get(key).and_then(Value::as_str)));
                self.think(&words.collect::<String>(), events);
            }
        }
        for detail in details.into_iter().flatten() {
            self.detail(detail)?;
        }
        Ok(())
    }

    /// Keeps a reasoning detail; pieces of one (same index and type) are joined, as they have to go back whole.
    fn detail(&mut self, detail: &Value) -> Result<()> {
        let same = |a: &Value, b: &Value| {
            let index = a.get("index");
            index.is_some() && index == b.get("index") && a.get("type") == b.get("type")
        };
        if let Some(known) = self.details.last_mut().filter(|known| same(known, detail)) {
            let (Some(known), Some(more)) = (known.as_object_mut(), detail.as_object()) else { return Ok(()) };
            for (key, value) in more {
                match (known.get_mut(key), value) {
                    (Some(Value::String(old)), Value::String(new))
                        if matches!(key.as_str(), "text" | "summary" | "data") =>
                    {
                        if old.len() + new.len() > MOST_ARGUMENTS {
                            return Err(too_much("reasoning"));
                        }
                        old.push_str(new);
                    }
                    (_, Value::Null) => {}
                    _ => {
                        known.insert(key.clone(), value.clone());
                    }
                }
            }
            return Ok(());
        }
        if self.details.len() >= MOST_ITEMS {
            return Err(too_much("reasoning"));
        }
        self.details.push(detail.clone());
        Ok(())
    }

    fn close_reasoning(&mut self, events: &mut Vec<Event>) {
        if !self.details.is_empty() {
            let details = std::mem::take(&mut self.details);
            events.push(Event::Reasoning { text: String::new(), opaque: Some(json!({ "chat": details })) });
        }
    }

    fn call(&mut self, piece: &Value, events: &mut Vec<Event>) -> Result<()> {
        self.close_reasoning(events);
        let index = piece.get("index").and_then(Value::as_u64);
        let id = piece.get("id").and_then(Value::as_str).unwrap_or_default();
        let function = piece.get("function").unwrap_or(piece);
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
        let arguments = function.get("arguments");
        let more = arguments.is_some_and(|a| !a.is_null() && a.as_str() != Some(""));
        let at = self.slot(index, id, name, more)?;
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if call.id.is_empty() {
            call.id = id.to_owned();
        }
        if call.name.is_empty() {
            call.name = name.to_owned();
        }
        join_arguments(&mut call.arguments, arguments)
    }

    /// The call that a piece belongs to. Servers number them, name them by id, do both, or number them all zero.
    fn slot(&mut self, index: Option<u64>, id: &str, name: &str, more: bool) -> Result<usize> {
        let numbered = |calls: &[Call]| calls.iter().rposition(|c| index.is_some() && c.index == index);
        let found = if !id.is_empty() {
            self.calls.iter().rposition(|c| c.id == id).or_else(|| {
                // A number announced before its id, or a server that makes up a new id for each piece.
                numbered(&self.calls)
                    .filter(|&at| self.calls.get(at).is_some_and(|c| c.id.is_empty() || name.is_empty()))
            })
        } else if index.is_some() {
            // The same number again, with a name, after complete arguments: another call by a server that cannot count.
            let done = |c: &Call| !c.name.is_empty() && serde_json::from_str::<IgnoredAny>(&c.arguments).is_ok();
            numbered(&self.calls).filter(|&at| name.is_empty() || !more || !self.calls.get(at).is_some_and(done))
        } else if name.is_empty() {
            self.calls.len().checked_sub(1)
        } else {
            None
        };
        if let Some(at) = found {
            return Ok(at);
        }
        if self.calls.len() >= MOST_ITEMS {
            return Err(too_much("tool calls"));
        }
        self.calls.push(Call { index, ..Call::default() });
        Ok(self.calls.len() - 1)
    }

    /// Hands over the calls that were not yet; they are complete once a reason to finish has come.
    fn give_calls(&mut self, events: &mut Vec<Event>) -> bool {
        let answer = self.id.as_deref().unwrap_or_default();
        for (at, call) in self.calls.iter_mut().enumerate().filter(|(_, c)| !c.given && !c.name.is_empty()) {
            call.given = true;
            let arguments = tool_arguments(&call.arguments);
            let id = match call.id.as_str() {
                "" => made_up_id(answer, at, &call.name, &arguments),
                id => id.to_owned(),
            };
            events.push(Event::ToolCall(ToolCall { id, name: call.name.clone(), arguments, signature: None }));
        }
        self.calls.iter().any(|c| c.given)
    }

    fn finish_word(&mut self, word: &str, events: &mut Vec<Event>) -> Result<()> {
        let reason = match word {
            "" => return Ok(()),
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "complete" => FinishReason::Stop,
            "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => FinishReason::Length,
            "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
            "content_filter" | "sensitive" | "safety" => FinishReason::ContentFilter,
            "refusal" => FinishReason::Refusal,
            "insufficient_system_resource" => {
                let words = "the server ran out of resources in the middle of the answer";
                return Err(Error::new(ErrorKind::Overloaded, words).with_code(word));
            }
            "error" | "network_error" => {
                let words = "the server ended the answer with an error and gave no reason";
                return Err(Error::new(ErrorKind::Transient, words).with_code(word));
            }
            other => FinishReason::Other(other.to_owned()),
        };
        self.close_reasoning(events);
        let called = self.give_calls(events);
        // Some servers say "stop" whatever it was that stopped.
        self.reason = Some(if called && reason == FinishReason::Stop { FinishReason::ToolCalls } else { reason });
        Ok(())
    }

    /// Citations beside the choices: Perplexity's list of addresses, with the titles of its search results.
    fn citations(&mut self, value: &Value, events: &mut Vec<Event>) {
        let list = |key: &str| value.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (cited, results) = (list("citations"), list("search_results"));
        for citation in cited {
            let Some(url) = citation.as_str() else {
                self.cite(citation, events);
                continue;
            };
            let known = results.iter().find(|r| r.get("url").and_then(Value::as_str) == Some(url));
            match known {
                Some(result) => self.cite(result, events),
                None => self.cite(&json!({ "url": url }), events),
            }
        }
        if cited.is_empty() {
            results.iter().for_each(|result| self.cite(result, events));
        }
    }

    fn cite(&mut self, source: &Value, events: &mut Vec<Event>) {
        let word = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| source.get(key).and_then(Value::as_str));
            found.map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned)
        };
        let Some(url) = word(&["url"]) else { return };
        if self.cited.len() < MOST_ITEMS && self.cited.insert(url.clone()) {
            let (title, snippet) = (word(&["title"]), word(&["snippet", "content"]));
            events.push(Event::Citation(Citation { url, title, snippet }));
        }
    }

    /// The counts so far, once; for the end, and before an error that comes with them.
    pub(super) fn give_usage(&mut self, events: &mut Vec<Event>) {
        events.extend(self.usage.take().map(Event::Usage));
    }

    /// The answer is over: hands over what was held back.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) -> Result<()> {
        self.close_reasoning(events);
        let called = self.give_calls(events);
        self.give_usage(events);
        let Some(reason) = self.reason.take() else {
            return Err(Error::new(ErrorKind::Truncated, "the stream ended without a reason to finish"));
        };
        let reason = if called && reason == FinishReason::Stop { FinishReason::ToolCalls } else { reason };
        events.push(Event::Finish { reason });
        Ok(())
    }
}

fn too_much(what: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("the answer has more {what} than any answer can have"))
}

/// Appends a piece of a call's arguments: a string, or an object where a server sends it parsed.
pub(crate) fn join_arguments(arguments: &mut String, piece: Option<&Value>) -> Result<()> {
    let text = match piece {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Null) | None => return Ok(()),
        Some(other) => std::borrow::Cow::Owned(other.to_string()),
    };
    if arguments.len() + text.len() > MOST_ARGUMENTS {
        return Err(too_much("tool arguments"));
    }
    arguments.push_str(&text);
    Ok(())
}

/// The unsigned number at `path`, names apart by `/`; a whole float counts.
pub(crate) fn u64_at(value: &Value, path: &str) -> Option<u64> {
    // `Value::pointer` copies each name to undo escapes, which are none here.
    let value = path.split('/').try_fold(value, |value, name| value.get(name))?;
    value.as_u64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9e15).contains(f)).map(|f| f as u64))
}

/// Token counts in any of the spellings of Chat Completions servers.
pub(super) fn read_usage(usage: &Value) -> Usage {
    let input = u64_at(usage, "prompt_tokens").or_else(|| u64_at(usage, "input_tokens"));
    let mut output = u64_at(usage, "completion_tokens").or_else(|| u64_at(usage, "output_tokens"));
    let cached = u64_at(usage, "prompt_tokens_details/cached_tokens")
        .or_else(|| u64_at(usage, "cached_tokens"))
        .or_else(|| u64_at(usage, "prompt_cache_hit_tokens"));
    let reasoning =
        u64_at(usage, "completion_tokens_details/reasoning_tokens").or_else(|| u64_at(usage, "reasoning_tokens"));
    let cost = usage.get("cost").map(|cost| cost.get("total_cost").unwrap_or(cost)).and_then(Value::as_f64);
    // xAI counts reasoning beside the output, not in it; the total tells.
    if let (Some(i), Some(o), Some(r), Some(total)) = (input, output, reasoning, u64_at(usage, "total_tokens"))
        && r > 0
        && i.checked_add(o).and_then(|n| n.checked_add(r)) == Some(total)
    {
        output = Some(o + r);
    }
    Usage {
        input_tokens: input,
        output_tokens: output,
        cached_input_tokens: cached,
        cache_write_tokens: u64_at(usage, "prompt_tokens_details/cache_write_tokens"),
        reasoning_tokens: reasoning,
        provider_cost: cost.and_then(NanoDollars::from_usd),
        estimated: false,
    }
}
