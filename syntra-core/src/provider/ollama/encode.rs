//! A [`Request`] as the body of `POST /api/chat`.

use crate::chat::{Message, OutputFormat, Part, ReasoningEffort, Request, Role, ToolChoice};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::WireRequest;
use crate::provider::encoding::{
    Pixels, arguments_object, called_tools, document_text, misplaced, number, overlay, parameters_object, pixels,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

pub(super) fn encode(request: &Request, stream: bool) -> Result<WireRequest> {
    if request.model.is_empty() {
        return Err(Error::invalid("the request names no model"));
    }
    let called = called_tools(&request.messages);
    let mut messages = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        push(message, &called, &mut messages)?;
    }
    if messages.is_empty() {
        return Err(Error::invalid("the request has no message with content"));
    }
    let mut body = Map::new();
    body.insert("model".into(), json!(request.model));
    body.insert("messages".into(), Value::Array(messages));
    // The server streams unless it is told not to.
    body.insert("stream".into(), json!(stream));
    tools(request, &mut body)?;
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            body.insert("format".into(), json!("json"));
        }
        OutputFormat::JsonSchema { schema, .. } if schema.is_object() => {
            body.insert("format".into(), schema.clone());
        }
        OutputFormat::JsonSchema { .. } => return Err(Error::invalid("the output's JSON schema must be an object")),
    }
    if let Some(effort) = request.reasoning {
        body.insert("think".into(), think(&request.model, effort));
    } else if goes_on(request) {
        // An answer that has begun is not thought about again.
        body.insert("think".into(), json!(false));
    }
    let options = options(request)?;
    if !options.is_empty() {
        body.insert("options".into(), Value::Object(options));
    }
    overlay(&mut body, &request.extra);
    Ok(WireRequest { path: "/api/chat".into(), headers: Vec::new(), body: Value::Object(body) })
}

/// Whether the conversation ends with the assistant's own words, from which the model goes on.
fn goes_on(request: &Request) -> bool {
    let last = request.messages.last().filter(|m| m.role == Role::Assistant && m.tool_calls().next().is_none());
    last.is_some_and(|m| !m.text().is_empty()) && !request.model.contains("gpt-oss")
}

/// On or off; the gpt-oss models know three levels instead and cannot be told not to.
fn think(model: &str, effort: ReasoningEffort) -> Value {
    if !model.contains("gpt-oss") {
        return json!(effort != ReasoningEffort::None);
    }
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => json!("low"),
        ReasoningEffort::Medium => json!("medium"),
        ReasoningEffort::High => json!("high"),
    }
}

fn options(request: &Request) -> Result<Map<String, Value>> {
    let mut options = Map::new();
    if let Some(t) = request.temperature {
        options.insert("temperature".into(), number("temperature", t)?);
    }
    if let Some(p) = request.top_p {
        options.insert("top_p".into(), number("top_p", p)?);
    }
    if let Some(n) = request.max_tokens {
        options.insert("num_predict".into(), json!(n));
    }
    if let Some(seed) = request.seed {
        // The server reads a signed number.
        options.insert("seed".into(), json!(seed & (i64::MAX as u64)));
    }
    let stop: Vec<&str> = request.stop.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    if !stop.is_empty() {
        options.insert("stop".into(), json!(stop));
    }
    Ok(options)
}

fn tools(request: &Request, body: &mut Map<String, Value>) -> Result<()> {
    match &request.tool_choice {
        ToolChoice::Auto => {}
        // The wire has no word for "no tool": without the tools there is none to call.
        ToolChoice::None => return Ok(()),
        ToolChoice::Required | ToolChoice::Named(_) => {
            return Err(Error::new(ErrorKind::Unsupported, "ollama cannot be made to call a tool (tool_choice)"));
        }
    }
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        let parameters = parameters_object(&tool.name, &tool.parameters)?;
        let function = json!({"name": tool.name, "description": tool.description, "parameters": parameters});
        tools.push(json!({"type": "function", "function": function}));
    }
    if !tools.is_empty() {
        body.insert("tools".into(), Value::Array(tools));
    }
    Ok(())
}

fn push(message: &Message, called: &HashMap<&str, &str>, out: &mut Vec<Value>) -> Result<()> {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let (mut content, mut thinking) = (String::new(), String::new());
    let (mut images, mut calls) = (Vec::new(), Vec::new());
    let before = out.len();
    for part in &message.parts {
        match part {
            Part::Text { text } => content.push_str(text),
            Part::Image(image) => match pixels(image) {
                Pixels::Inline { data, .. } => images.push(json!(data)),
                Pixels::Url(_) => {
                    let message = "ollama fetches no pictures: give the bytes of the file instead of its URL";
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
            },
            Part::Document(document) => match document_text(document) {
                Some(text) => {
                    if !content.is_empty() {
                        content.push_str("\n\n");
                    }
                    content.push_str(&text);
                }
                None => {
                    let message = "ollama takes no documents but plain text";
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
            },
            Part::ToolCall(call) if message.role == Role::Assistant => {
                let function = json!({"name": call.name, "arguments": arguments_object(call)});
                calls.push(json!({"id": call.id, "function": function}));
            }
            Part::ToolCall(_) => return Err(misplaced("ollama", message.role, "tool call")),
            // Each result is a message of its own.
            Part::ToolResult(result) if matches!(message.role, Role::Tool | Role::User) => {
                let mut wire = Map::new();
                wire.insert("role".into(), json!("tool"));
                wire.insert("content".into(), json!(result.content));
                wire.insert("tool_call_id".into(), json!(result.call_id));
                if let Some(name) = result.name.as_deref().or_else(|| called.get(result.call_id.as_str()).copied()) {
                    wire.insert("tool_name".into(), json!(name));
                }
                out.push(Value::Object(wire));
            }
            Part::ToolResult(_) => return Err(misplaced("ollama", message.role, "tool result")),
            // Thinking that came with a token belongs to the provider that wrote the token.
            Part::Reasoning(reasoning) if message.role == Role::Assistant && reasoning.opaque.is_none() => {
                thinking.push_str(&reasoning.text);
            }
            Part::Reasoning(_) => {}
        }
    }
    let only_results = out.len() > before;
    if content.is_empty() && images.is_empty() && calls.is_empty() && (only_results || thinking.is_empty()) {
        return Ok(());
    }
    let mut wire = Map::new();
    wire.insert("role".into(), json!(role));
    wire.insert("content".into(), json!(content));
    if !thinking.is_empty() {
        wire.insert("thinking".into(), json!(thinking));
    }
    if !images.is_empty() {
        wire.insert("images".into(), Value::Array(images));
    }
    if !calls.is_empty() {
        wire.insert("tool_calls".into(), Value::Array(calls));
    }
    out.push(Value::Object(wire));
    Ok(())
}
