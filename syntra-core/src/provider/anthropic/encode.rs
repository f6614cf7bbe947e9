//! A [`Request`] as the body of `POST /v1/messages`.

use super::model::{Thinking, Traits, traits};
use crate::chat::{
    Document, DocumentSource, Image, Message, OutputFormat, Part, Reasoning, ReasoningEffort, Request, Role, ToolChoice,
};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::WireRequest;
use crate::provider::encoding::{
    Pixels, SchemaCleaner, arguments_object, base64, misplaced, number, overlay, parameters_object, pixels,
};
use serde_json::{Map, Value, json};

/// The smallest thinking budget that the API takes.
const LEAST_BUDGET: u32 = 1024;

/// What the API knows of JSON Schema, after its structured-outputs documentation.
const OUTPUT_SCHEMA: SchemaCleaner = SchemaCleaner {
    keep: &["type", "title", "description", "enum", "const", "required", "allOf", "format", "default"],
    close_objects: true,
};

pub(super) fn encode(request: &Request, stream: bool) -> Result<WireRequest> {
    if request.model.is_empty() {
        return Err(Error::invalid("the request names no model"));
    }
    let traits = traits(&request.model);
    let mut body = Map::new();
    body.insert("model".into(), json!(request.model));

    // Citations and structured output exclude each other.
    let cite = !matches!(request.output, OutputFormat::JsonSchema { .. });
    let mut turns = Turns { cite, ..Turns::default() };
    for message in &request.messages {
        turns.push(message)?;
    }
    let Turns { mut system, mut messages, .. } = turns;
    trim_prefill(&mut messages);
    if messages.is_empty() {
        return Err(Error::invalid("the request has no message with content beside system messages"));
    }

    let think = thinking(request, traits, &mut body)?;
    output(request, traits, &mut body, &mut system)?;
    sampling(request, traits, think, &mut body)?;
    tools(request, &mut body)?;

    if request.cache_prefix {
        // Tools come before the system prompt in the cached prefix: one mark at its end covers both.
        let last = match system.last_mut() {
            Some(block) => Some(block),
            None => body.get_mut("tools").and_then(Value::as_array_mut).and_then(|t| t.last_mut()),
        };
        if let Some(last) = last {
            last["cache_control"] = json!({"type": "ephemeral"});
        }
    }
    if !system.is_empty() {
        body.insert("system".into(), Value::Array(system));
    }
    body.insert("messages".into(), Value::Array(messages));
    if stream {
        body.insert("stream".into(), json!(true));
    }

    let mut headers = vec![("anthropic-version", "2023-06-01".to_owned())];
    let mut extra = request.extra.clone();
    // Betas are asked for in a header; as a field they would be refused.
    if let Some(betas) = extra.remove("anthropic_beta") {
        headers.push(("anthropic-beta", header_list(&betas)?));
    }
    overlay(&mut body, &extra);
    Ok(WireRequest { path: "/v1/messages".into(), headers, body: Value::Object(body) })
}

fn header_list(betas: &Value) -> Result<String> {
    let list: Option<Vec<&str>> = match betas {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let plain = |s: &&str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic());
    match list {
        Some(list) if !list.is_empty() && list.iter().all(plain) => Ok(list.join(",")),
        _ => Err(Error::invalid("extra field anthropic_beta must be a beta's name or a list of such names")),
    }
}

/// Sets `max_tokens`, `thinking` and `output_config.effort`; tells whether the model is made to think. Effort is a hint: a model
/// that cannot think does not, and one that always thinks does so as little as it can.
fn thinking(request: &Request, traits: Traits, body: &mut Map<String, Value>) -> Result<bool> {
    let set_max = |body: &mut Map<String, Value>, max: u32| body.insert("max_tokens".into(), json!(max));
    let effort = match (request.reasoning, traits.thinking) {
        (None, _) | (_, Thinking::Never) => {
            set_max(body, request.max_tokens.unwrap_or(traits.max_tokens));
            return Ok(traits.thinking == Thinking::Always);
        }
        (Some(ReasoningEffort::None), Thinking::Budget | Thinking::Adaptive) => {
            set_max(body, request.max_tokens.unwrap_or(traits.max_tokens));
            body.insert("thinking".into(), json!({"type": "disabled"}));
            return Ok(false);
        }
        (Some(effort), _) => effort,
    };
    let (budget, level) = match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal => (LEAST_BUDGET, "low"),
        ReasoningEffort::Low => (4096, "low"),
        ReasoningEffort::Medium => (8192, "medium"),
        ReasoningEffort::High => (16384, "high"),
    };
    let max = request.max_tokens.unwrap_or(traits.max_tokens + budget);
    set_max(body, max);
    let adaptive = traits.thinking != Thinking::Budget;
    if adaptive {
        body.insert("output_config".into(), json!({"effort": level}));
    }
    // A forced tool and thinking exclude each other; the tool was asked for by name, the effort is a wish.
    let forced =
        matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) && !request.tools.is_empty();
    if forced && traits.thinking != Thinking::Always {
        return Ok(false);
    }
    if adaptive {
        body.insert("thinking".into(), json!({"type": "adaptive", "display": "summarized"}));
        return Ok(true);
    }
    if max <= LEAST_BUDGET {
        return Err(Error::invalid(format!(
            "{} thinks with more than {LEAST_BUDGET} max_tokens, not {max}",
            request.model
        )));
    }
    // With a budget the API wants each turn of a running tool loop to begin with its thinking; a turn of another
    // provider has none to show.
    if in_tool_loop_without_thinking(&request.messages) {
        return Ok(false);
    }
    let budget = budget.min((max / 2).max(LEAST_BUDGET));
    body.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": budget}));
    Ok(true)
}

fn in_tool_loop_without_thinking(messages: &[Message]) -> bool {
    let after_user = messages.iter().rposition(|m| m.role == Role::User).map_or(0, |i| i + 1);
    let turns = messages.get(after_user..).unwrap_or_default();
    turns.iter().filter(|m| m.role == Role::Assistant && m.tool_calls().next().is_some()).any(|m| {
        let first = m.parts.iter().find(|p| !matches!(p, Part::Text { text } if text.trim().is_empty()));
        !matches!(first, Some(Part::Reasoning(r)) if is_thinking(r))
    })
}

fn is_thinking(reasoning: &Reasoning) -> bool {
    let kind = reasoning.opaque.as_ref().and_then(|o| o.pointer("/anthropic/type")).and_then(Value::as_str);
    matches!(kind, Some("thinking" | "redacted_thinking"))
}

fn output(request: &Request, traits: Traits, body: &mut Map<String, Value>, system: &mut Vec<Value>) -> Result<()> {
    match &request.output {
        OutputFormat::Text => {}
        // The wire has no mode for "any object".
        OutputFormat::Json => {
            system
                .push(json!({"type": "text", "text": "Answer with one JSON object and nothing else, no code fence."}));
        }
        OutputFormat::JsonSchema { schema, .. } => {
            if !traits.json_schema {
                let message = format!("{} cannot answer after a JSON schema", request.model);
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            if !schema.is_object() {
                return Err(Error::invalid("the output's JSON schema must be an object"));
            }
            let format = json!({"type": "json_schema", "schema": OUTPUT_SCHEMA.clean(schema)});
            let config = body.entry("output_config").or_insert_with(|| json!({}));
            config["format"] = format;
        }
    }
    Ok(())
}

fn sampling(request: &Request, traits: Traits, think: bool, body: &mut Map<String, Value>) -> Result<()> {
    if traits.sampling && !think {
        // Newer models refuse both at once; temperature is the commoner wish. It ends at 1 here. (`min` would hide a NaN.)
        if let Some(t) = request.temperature {
            body.insert("temperature".into(), number("temperature", if t > 1.0 { 1.0 } else { t })?);
        } else if let Some(p) = request.top_p {
            body.insert("top_p".into(), number("top_p", p)?);
        }
    }
    let stop: Vec<&str> = request.stop.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    if stop.iter().any(|s| s.trim().is_empty()) {
        return Err(Error::new(ErrorKind::Unsupported, "anthropic takes no stop text of white space alone"));
    }
    if !stop.is_empty() {
        body.insert("stop_sequences".into(), json!(stop));
    }
    Ok(())
}

fn tools(request: &Request, body: &mut Map<String, Value>) -> Result<()> {
    if request.tools.is_empty() {
        return match request.tool_choice {
            ToolChoice::Auto | ToolChoice::None => Ok(()),
            _ => Err(Error::invalid("tool_choice wants a tool to be called, but the request has no tools")),
        };
    }
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        let mut wire = Map::new();
        wire.insert("name".into(), json!(tool.name));
        if !tool.description.is_empty() {
            wire.insert("description".into(), json!(tool.description));
        }
        wire.insert("input_schema".into(), Value::Object(parameters_object(&tool.name, &tool.parameters)?));
        tools.push(Value::Object(wire));
    }
    body.insert("tools".into(), Value::Array(tools));
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return Ok(()),
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    body.insert("tool_choice".into(), choice);
    Ok(())
}

/// The conversation as it is built: system blocks apart, turns of one role joined.
#[derive(Default)]
struct Turns {
    system: Vec<Value>,
    messages: Vec<Value>,
    cite: bool,
}

impl Turns {
    fn push(&mut self, message: &Message) -> Result<()> {
        if message.role == Role::System {
            for part in &message.parts {
                match part {
                    Part::Text { text } if text.trim().is_empty() => {}
                    Part::Text { text } => self.system.push(json!({"type": "text", "text": text})),
                    Part::Reasoning(_) => {}
                    _ => return Err(misplaced("anthropic", Role::System, "picture, document or tool part")),
                }
            }
            return Ok(());
        }
        let assistant = message.role == Role::Assistant;
        let mut blocks = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            if let Some(block) = self.block(part, message.role)? {
                blocks.push(block);
            }
        }
        if blocks.is_empty() {
            return Ok(());
        }
        let role = if assistant { "assistant" } else { "user" };
        if let Some(last) = self.messages.last_mut().filter(|m| m["role"] == role)
            && let Some(content) = last["content"].as_array_mut()
        {
            // Tool results have to come first in the turn after the calls.
            let results = content.iter().take_while(|b| b["type"] == "tool_result").count();
            let (new_results, rest): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|b| b["type"] == "tool_result");
            content.splice(results..results, new_results);
            content.extend(rest);
            return Ok(());
        }
        if !assistant {
            blocks.sort_by_key(|b| b["type"] != "tool_result");
        }
        self.messages.push(json!({"role": role, "content": blocks}));
        Ok(())
    }

    fn block(&self, part: &Part, role: Role) -> Result<Option<Value>> {
        let assistant = role == Role::Assistant;
        Ok(match part {
            // The API refuses empty text.
            Part::Text { text } if text.trim().is_empty() => None,
            Part::Text { text } => Some(json!({"type": "text", "text": text})),
            Part::Image(_) if assistant => return Err(misplaced("anthropic", role, "picture")),
            Part::Image(image) => Some(image_block(image)),
            Part::Document(_) if assistant => return Err(misplaced("anthropic", role, "document")),
            Part::Document(document) => Some(document_block(document, self.cite)?),
            Part::ToolCall(_) if !assistant => return Err(misplaced("anthropic", role, "tool call")),
            Part::ToolCall(call) => {
                let id = wire_id(&call.id);
                let mut block =
                    json!({"type": "tool_use", "id": id, "name": call.name, "input": arguments_object(call)});
                // A call from within server-side code names its caller.
                if let Some(caller) = call.signature.as_deref().and_then(|s| s.strip_prefix(super::decode::CALLER))
                    && let Ok(caller) = serde_json::from_str::<Value>(caller)
                {
                    block["caller"] = caller;
                }
                Some(block)
            }
            Part::ToolResult(_) if assistant => return Err(misplaced("anthropic", role, "tool result")),
            Part::ToolResult(result) => {
                let mut block = json!({"type": "tool_result", "tool_use_id": wire_id(&result.call_id)});
                if !result.content.is_empty() {
                    block["content"] = json!(result.content);
                }
                if result.is_error {
                    block["is_error"] = json!(true);
                }
                Some(block)
            }
            // Thinking of another provider means nothing here; without its signature the API refuses it.
            Part::Reasoning(reasoning) if assistant => opaque_block(reasoning),
            Part::Reasoning(_) => None,
        })
    }
}

/// The block that this dialect kept in [`Reasoning::opaque`], as it came.
fn opaque_block(reasoning: &Reasoning) -> Option<Value> {
    let mut block = reasoning.opaque.as_ref()?.get("anthropic")?.as_object()?.clone();
    if block.get("type")? == "thinking" {
        block.insert("thinking".into(), json!(reasoning.text));
    }
    Some(Value::Object(block))
}

/// The id with what the API refuses in ids (other providers' have dots and colons) turned into `_`.
fn wire_id(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

fn image_block(image: &Image) -> Value {
    let source = match pixels(image) {
        Pixels::Inline { media_type, data } => json!({"type": "base64", "media_type": media_type, "data": data}),
        Pixels::Url(url) => json!({"type": "url", "url": url}),
    };
    json!({"type": "image", "source": source})
}

fn document_block(document: &Document, cite: bool) -> Result<Value> {
    let plain = |text: &str| json!({"type": "text", "media_type": "text/plain", "data": text});
    let source = match &document.source {
        DocumentSource::Text(text) => plain(text),
        DocumentSource::Url(url) => json!({"type": "url", "url": url}),
        DocumentSource::Bytes { media_type, data } if media_type == "application/pdf" => {
            json!({"type": "base64", "media_type": media_type, "data": base64(data)})
        }
        DocumentSource::Bytes { media_type, data } if media_type.starts_with("text/") => {
            plain(&String::from_utf8_lossy(data))
        }
        DocumentSource::Bytes { media_type, .. } => {
            let message = format!("anthropic takes documents of type application/pdf and text/*, not {media_type}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    let mut block = json!({"type": "document", "source": source});
    if let Some(title) = &document.title {
        block["title"] = json!(title);
    }
    if cite {
        block["citations"] = json!({"enabled": true});
    }
    Ok(block)
}

/// A conversation that ends with the assistant's own words is continued from them; the API refuses white space at their end.
fn trim_prefill(messages: &mut [Value]) {
    let Some(last) = messages.last_mut().filter(|m| m["role"] == "assistant") else { return };
    if let Some(block) = last["content"].as_array_mut().and_then(|c| c.last_mut())
        && block["type"] == "text"
        && let Some(text) = block["text"].as_str().map(|t| t.trim_end().to_owned())
    {
        block["text"] = json!(text);
    }
}
