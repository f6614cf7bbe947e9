//! Answers of `generateContent`, whole and streamed: each event of a stream has the shape of a whole answer, so both go through
//! one [`Decoder`] and cannot disagree.

use super::partial::PartialCall;
use crate::chat::{Citation, Event, FinishReason, Response, ResponseBuilder, ToolCall, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::StreamDecoder;
use crate::provider::encoding::{count, made_up_id, text};
use crate::provider::error_shapes::error_in;
use crate::transport::Frame;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

pub(super) fn decode(body: &[u8]) -> Result<Response> {
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        Error::new(ErrorKind::Decode, format!("the answer is no JSON (line {}, column {})", e.line(), e.column()))
    })?;
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    match &value {
        // The stream of a server that was not asked for events.
        Value::Array(chunks) => {
            for chunk in chunks {
                decoder.chunk(chunk, &mut events)?;
            }
        }
        chunk => {
            decoder.chunk(chunk, &mut events)?;
            // A whole body cannot have been cut off.
            if decoder.answered {
                decoder.finish.get_or_insert_with(|| "FINISH_REASON_UNSPECIFIED".to_owned());
            }
        }
    }
    StreamDecoder::finish(&mut decoder, &mut events)?;
    let mut response = ResponseBuilder::new();
    events.iter().for_each(|e| response.push(e));
    Ok(response.build())
}

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    /// What tells this answer from others, for made-up ids.
    answer: String,
    /// Whether a candidate has come.
    answered: bool,
    /// The last finish reason that nothing followed.
    finish: Option<String>,
    partial: Option<PartialCall>,
    calls: usize,
    cited: HashSet<String>,
    counts: Counts,
}

/// The counts as the wire has them; each is replaced by a later one.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    tool_use: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim();
        if data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let value: Value = serde_json::from_str(data).map_err(|_| {
            Error::new(ErrorKind::Decode, format!("a stream frame of {} bytes is no JSON", frame.data.len()))
        })?;
        self.chunk(&value, events)
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Some(reason) = self.finish.take() else {
            return Err(Error::new(ErrorKind::Truncated, "the answer ended before its finishReason"));
        };
        let failed = |kind, what: &str| {
            // The server's own words hold what the model wrote: they stay out.
            Err(Error::new(kind, format!("gemini stopped with {reason}: {what}")).with_code(reason.clone()))
        };
        let finish = match reason.to_ascii_uppercase().as_str() {
            "STOP" | "FINISH_REASON_UNSPECIFIED" | "FUNCTION_CALL" | "TOOL_CALLS" if self.partial.is_some() => {
                return Err(Error::new(ErrorKind::Truncated, "the answer ended within a tool call"));
            }
            // The server's own word for it is `STOP`; gateways in front of it have others.
            "STOP" | "FINISH_REASON_UNSPECIFIED" | "OTHER" if self.calls > 0 => FinishReason::ToolCalls,
            "FUNCTION_CALL" | "FUNCTION_CALLS" | "FUNCTION_CALLING" | "TOOL_CALL" | "TOOL_CALLS" | "TOOL_USE" => {
                FinishReason::ToolCalls
            }
            "STOP" => FinishReason::Stop,
            "MAX_TOKENS" | "CONTINUATION" => FinishReason::Length,
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "MODEL_ARMOR"
            | "ESCALATION"
            | "JAILBREAK" => FinishReason::ContentFilter,
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
                return failed(ErrorKind::Transient, "the model wrote a tool call that cannot be read");
            }
            "MALFORMED_RESPONSE" => return failed(ErrorKind::Transient, "the model's answer cannot be read"),
            "MISSING_THOUGHT_SIGNATURE" => {
                return failed(ErrorKind::BadRequest, "a tool call of the conversation has no thoughtSignature");
            }
            other => FinishReason::Other(other.to_ascii_lowercase()),
        };
        events.push(Event::Finish { reason: finish });
        Ok(())
    }
}

impl Decoder {
    fn chunk(&mut self, chunk: &Value, events: &mut Vec<Event>) -> Result<()> {
        if let Some(error) = error_in(chunk) {
            return Err(error);
        }
        if !chunk.is_object() {
            return Err(Error::new(ErrorKind::Decode, "the answer is no JSON object"));
        }
        // No frame says that a stream is over: a `STOP` may come with every chunk. Another answer has another id.
        if self.finish.is_some()
            && text(chunk, "responseId").is_some_and(|id| !self.answer.is_empty() && id != self.answer)
        {
            return Ok(());
        }
        if !self.started {
            self.started = true;
            self.answer = text(chunk, "responseId").unwrap_or_default().to_owned();
            let own = |key| text(chunk, key).map(str::to_owned);
            events.push(Event::Started { id: own("responseId"), model: own("modelVersion") });
        }
        let candidates = chunk.get("candidates").and_then(Value::as_array);
        // Other candidates are other answers to the same question.
        let first = candidates.into_iter().flatten().find(|c| count(c, "index").unwrap_or(0) == 0);
        let mut outcome = Ok(());
        if let Some(candidate) = first {
            outcome = self.candidate(candidate, events);
        }
        if let Some(usage) = chunk.get("usageMetadata") {
            self.count(usage, events);
        }
        outcome?;
        if let Some(reason) = chunk.get("promptFeedback").and_then(|f| text(f, "blockReason"))
            && !self.answered
        {
            let message = format!("gemini refused the prompt: {reason}");
            return Err(Error::new(ErrorKind::ContentPolicy, message).with_code(reason));
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: &Value, events: &mut Vec<Event>) -> Result<()> {
        self.answered = true;
        let parts = candidate.get("content").and_then(|c| c.get("parts")).and_then(Value::as_array);
        let before = events.len();
        for part in parts.into_iter().flatten() {
            self.part(part, events)?;
        }
        // With code that the server runs a `STOP` comes before the result and the rest: what goes on has not ended.
        if events.iter().skip(before).any(goes_on) {
            self.finish = None;
        }
        let pending = parts.and_then(|p| p.last()).is_some_and(|last| last.get("executableCode").is_some());
        if let Some(grounding) = candidate.get("groundingMetadata") {
            for chunk in grounding.get("groundingChunks").and_then(Value::as_array).into_iter().flatten() {
                let source = ["web", "retrievedContext", "maps", "image"].iter().find_map(|key| chunk.get(key));
                source.into_iter().for_each(|s| self.cite(s, events));
            }
        }
        if let Some(cited) = candidate.get("citationMetadata") {
            let sources = ["citationSources", "citations"].iter().find_map(|key| cited.get(key)?.as_array());
            sources.into_iter().flatten().for_each(|s| self.cite(s, events));
        }
        if let Some(reason) = text(candidate, "finishReason").filter(|reason| !(pending && *reason == "STOP")) {
            self.finish = Some(reason.to_owned());
        }
        Ok(())
    }

    fn part(&mut self, part: &Value, events: &mut Vec<Event>) -> Result<()> {
        let signature = text(part, "thoughtSignature");
        if let Some(call) = part.get("functionCall").filter(|call| call.is_object()) {
            return self.function_call(call, signature, events);
        }
        let Some(words) = part.get("text").and_then(Value::as_str) else {
            // Code that the server runs, pictures, what may come to be: not for the client, kept to be sent back.
            let meant =
                |(key, value): (&String, &Value)| !value.is_null() && key != "thought" && key != "thoughtSignature";
            if part.as_object().is_some_and(|p| p.iter().any(meant)) {
                events.push(reasoning(String::new(), json!({"part": part})));
            }
            return Ok(());
        };
        if part.get("thought").and_then(Value::as_bool) == Some(true) {
            events.push(match signature {
                Some(signature) => reasoning(words.to_owned(), json!({"thought": true, "thoughtSignature": signature})),
                None if words.is_empty() => return Ok(()),
                None => Event::Reasoning { text: words.to_owned(), opaque: None },
            });
            return Ok(());
        }
        if !words.is_empty() {
            events.push(Event::Text { text: words.to_owned() });
        }
        if let Some(signature) = signature {
            events.push(reasoning(String::new(), json!({"thoughtSignature": signature, "textLength": words.len()})));
        }
        Ok(())
    }

    /// A call comes whole, or begins with `willContinue`, goes on in pieces and ends with a piece that will not continue.
    fn function_call(&mut self, call: &Value, signature: Option<&str>, events: &mut Vec<Event>) -> Result<()> {
        let continues = call.get("willContinue").and_then(Value::as_bool) == Some(true);
        let pieces = call.get("partialArgs").and_then(Value::as_array);
        let name = text(call, "name");
        if self.partial.is_none() && pieces.is_none() && !continues {
            let Some(name) = name else { return Ok(()) };
            let arguments = match call.get("args") {
                None | Some(Value::Null) => json!({}),
                Some(other) => other.clone(),
            };
            let id = text(call, "id").map(str::to_owned);
            self.emit(id, name.to_owned(), signature.map(str::to_owned), arguments, events);
            return Ok(());
        }
        // A name begins a call; one that was open has ended without saying so.
        if name.is_some() && self.partial.as_ref().is_some_and(|p| !p.name.is_empty()) {
            self.end_partial(events)?;
        }
        let partial = self.partial.get_or_insert_default();
        if let Some(name) = name {
            partial.name = name.to_owned();
        }
        if let Some(id) = text(call, "id") {
            partial.id = Some(id.to_owned());
        }
        if let Some(signature) = signature {
            partial.signature = Some(signature.to_owned());
        }
        for piece in pieces.into_iter().flatten() {
            partial.apply(piece)?;
        }
        if !continues {
            self.end_partial(events)?;
        }
        Ok(())
    }

    fn end_partial(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if let Some(partial) = self.partial.take() {
            let (id, name, signature, arguments) = partial.arguments();
            if name.is_empty() || !arguments.is_object() {
                let message = format!("the pieces of a call of tool {name:?} do not make a call");
                return Err(Error::new(ErrorKind::Decode, message));
            }
            self.emit(id, name, signature, arguments, events);
        }
        Ok(())
    }

    fn emit(
        &mut self,
        id: Option<String>,
        name: String,
        signature: Option<String>,
        arguments: Value,
        events: &mut Vec<Event>,
    ) {
        let id = id.unwrap_or_else(|| made_up_id(&self.answer, self.calls, &name, &arguments));
        self.calls += 1;
        events.push(Event::ToolCall(ToolCall { id, name, arguments, signature }));
    }

    /// `promptTokenCount` has the cached tokens in it but not what the server's own tools put in; `candidatesTokenCount`
    /// has no thoughts in it.
    fn count(&mut self, usage: &Value, events: &mut Vec<Event>) {
        let counts = &mut self.counts;
        let later = |old: &mut Option<u64>, key| *old = count(usage, key).or(*old);
        later(&mut counts.prompt, "promptTokenCount");
        later(&mut counts.tool_use, "toolUsePromptTokenCount");
        later(&mut counts.candidates, "candidatesTokenCount");
        later(&mut counts.thoughts, "thoughtsTokenCount");
        later(&mut counts.cached, "cachedContentTokenCount");
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let usage = Usage {
            input_tokens: sum(counts.prompt, counts.tool_use),
            output_tokens: sum(counts.candidates, counts.thoughts),
            cached_input_tokens: counts.cached,
            reasoning_tokens: counts.thoughts,
            ..Usage::default()
        };
        if usage != Usage::default() {
            events.push(Event::Usage(usage));
        }
    }

    fn cite(&mut self, source: &Value, events: &mut Vec<Event>) {
        let Some(url) = ["uri", "sourceUri"].iter().find_map(|key| text(source, key)) else { return };
        if self.cited.insert(url.to_owned()) {
            let own = |key| text(source, key).map(str::to_owned);
            events.push(Event::Citation(Citation { url: url.to_owned(), title: own("title"), snippet: own("text") }));
        }
    }
}

/// Whether an event shows that the answer has not ended before it; a bare signature may come late.
fn goes_on(event: &Event) -> bool {
    let part = |opaque: &Option<Value>| opaque.as_ref().is_some_and(|o| o.pointer("/gemini/part").is_some());
    event.is_content() || matches!(event, Event::Reasoning { opaque, .. } if part(opaque))
}

fn reasoning(text: String, kept: Value) -> Event {
    let opaque = Value::Object(Map::from_iter([("gemini".to_owned(), kept)]));
    Event::Reasoning { text, opaque: Some(opaque) }
}
