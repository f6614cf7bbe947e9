//! Requests in the words of Chat Completions.

use super::{ChatQuirks, DocumentField, JsonSupport, Prefill, ReasoningField};
use crate::chat::{
    Document, DocumentSource, Image, ImageSource, Message, OutputFormat, Part, ReasoningEffort, Request, Role, Tool,
    ToolChoice,
};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::WireRequest;
use crate::provider::encoding::{base64, document_text, number, overlay};
use serde_json::{Map, Value, json};

pub(super) fn encode(quirks: &ChatQuirks, request: &Request, stream: bool) -> Result<WireRequest> {
    check(request)?;
    let mut body = Map::new();
    body.insert("model".into(), request.model.clone().into());
    body.insert("messages".into(), messages(quirks, request)?.into());
    if stream {
        body.insert("stream".into(), true.into());
        if quirks.include_usage {
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
    }
    tools(quirks, request, &mut body)?;
    output(quirks, request, &mut body)?;
    sampling(quirks, request, &mut body)?;
    reasoning(quirks, request, &mut body);
    prefill(quirks, request, &mut body);
    overlay(&mut body, &request.extra);
    Ok(WireRequest { path: "/chat/completions".into(), headers: Vec::new(), body: Value::Object(body) })
}

/// What is wrong with `request` in any OpenAI dialect.
pub(crate) fn check(request: &Request) -> Result<()> {
    if request.model.trim().is_empty() {
        return Err(Error::invalid("the request names no model"));
    }
    if request.messages.is_empty() {
        return Err(Error::invalid("the request has no message; give at least one"));
    }
    if let ToolChoice::Named(name) = &request.tool_choice
        && !request.tools.iter().any(|t| t.name == *name)
    {
        return Err(Error::invalid(format!("tool choice names `{name}`, which is not among the request's tools")));
    }
    Ok(())
}

fn messages(quirks: &ChatQuirks, request: &Request) -> Result<Vec<Value>> {
    let mut out = Vec::with_capacity(request.messages.len());
    // The stable prefix ends with the last of the leading system messages.
    let marked = if quirks.cache_marks && request.cache_prefix {
        request.messages.iter().take_while(|m| m.role == Role::System).count().checked_sub(1)
    } else {
        None
    };
    for (at, message) in request.messages.iter().enumerate() {
        // Results may stand in a message of any role; on this wire each is a message of its own.
        for result in message.tool_results() {
            out.push(json!({ "role": "tool", "tool_call_id": result.call_id, "content": result.content }));
        }
        match message.role {
            Role::Assistant => out.push(assistant(quirks, message)),
            Role::Tool if message.tool_results().next().is_none() => {
                return Err(Error::invalid("a tool message holds no tool result"));
            }
            Role::System | Role::User | Role::Tool => {
                let Some(content) = content(quirks, message, marked == Some(at))? else { continue };
                let role = if message.role == Role::System { "system" } else { "user" };
                let mut wire = json!({ "role": role, "content": content });
                if let (Some(name), Some(fields)) = (&message.name, wire.as_object_mut()) {
                    fields.insert("name".into(), name.clone().into());
                }
                out.push(wire);
            }
        }
    }
    Ok(out)
}

/// The parts of a system or user message; `None` when it held nothing but tool results.
fn content(quirks: &ChatQuirks, message: &Message, mark: bool) -> Result<Option<Value>> {
    let mut parts = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } => parts.push(json!({ "type": "text", "text": text })),
            Part::Image(image) => parts.push(image_part(image)),
            Part::Document(document) => parts.push(document_part(quirks.documents, document)?),
            Part::ToolResult(_) => {}
            Part::ToolCall(_) | Part::Reasoning(_) => {
                return Err(Error::invalid("only an assistant's message can hold tool calls or reasoning"));
            }
        }
    }
    if parts.is_empty() && message.tool_results().next().is_some() {
        return Ok(None);
    }
    if mark {
        if let Some(last) = parts.last_mut().and_then(Value::as_object_mut) {
            last.insert("cache_control".into(), json!({ "type": "ephemeral" }));
        }
        return Ok(Some(parts.into()));
    }
    // Plain text as a plain string: small servers know nothing else.
    let plain = message.parts.iter().all(|p| matches!(p, Part::Text { .. } | Part::ToolResult(_)));
    Ok(Some(if plain { message.text().into() } else { parts.into() }))
}

fn assistant(quirks: &ChatQuirks, message: &Message) -> Value {
    let text = message.text();
    let calls: Vec<Value> = message
        .tool_calls()
        .map(|call| {
            let arguments = match &call.arguments {
                // What the model cut off or wrote wrongly goes back as it came.
                Value::String(raw) => raw.clone(),
                other => other.to_string(),
            };
            let function = json!({ "name": call.name, "arguments": arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        })
        .collect();
    let mut wire = Map::new();
    wire.insert("role".into(), "assistant".into());
    wire.insert("content".into(), if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() });
    let mut thoughts = String::new();
    let mut details = Vec::new();
    for part in &message.parts {
        if let Part::Reasoning(reasoning) = part {
            thoughts.push_str(&reasoning.text);
            let own = reasoning.opaque.as_ref().and_then(|o| o.get("chat")).and_then(Value::as_array);
            details.extend(own.into_iter().flatten().cloned());
        }
    }
    if !details.is_empty() {
        wire.insert("reasoning_details".into(), details.into());
    }
    if quirks.echo_reasoning && !calls.is_empty() {
        // Required beside tool calls while thinking is on, even when another model called them and left no thoughts.
        wire.insert("reasoning_content".into(), thoughts.into());
    }
    if !calls.is_empty() {
        wire.insert("tool_calls".into(), calls.into());
    }
    Value::Object(wire)
}

fn image_part(image: &Image) -> Value {
    let mut inner = Map::new();
    let url = match &image.source {
        ImageSource::Bytes { media_type, data } => data_url(media_type, data),
        ImageSource::Url(url) => url.clone(),
    };
    inner.insert("url".into(), url.into());
    if let Some(detail) = &image.detail {
        inner.insert("detail".into(), detail.clone().into());
    }
    json!({ "type": "image_url", "image_url": inner })
}

pub(crate) fn data_url(media_type: &str, data: &[u8]) -> String {
    format!("data:{media_type};base64,{}", base64(data))
}

fn document_part(field: DocumentField, document: &Document) -> Result<Value> {
    let title = document.title.as_deref().unwrap_or("document");
    let refused = |what: &str| {
        let words = format!("this server takes no {what} as a document; hand its text over instead");
        Error::new(ErrorKind::Unsupported, words)
    };
    if let Some(text) = document_text(document) {
        return Ok(json!({ "type": "text", "text": text }));
    }
    Ok(match (&document.source, field) {
        (DocumentSource::Url(_), DocumentField::TextOnly | DocumentField::File) => return Err(refused("address")),
        (DocumentSource::Url(url), DocumentField::FileOrUrl) => {
            json!({ "type": "file", "file": { "filename": title, "file_data": url } })
        }
        (DocumentSource::Url(url), DocumentField::FileUrl) => {
            json!({ "type": "file_url", "file_url": { "url": url } })
        }
        // Perplexity wants the bare base64, without the head of a data URL.
        (DocumentSource::Bytes { data, .. }, DocumentField::FileUrl) => {
            json!({ "type": "file_url", "file_url": { "url": base64(data) }, "file_name": title })
        }
        (DocumentSource::Bytes { media_type, data }, DocumentField::File | DocumentField::FileOrUrl) => {
            json!({ "type": "file", "file": { "filename": title, "file_data": data_url(media_type, data) } })
        }
        (DocumentSource::Bytes { .. } | DocumentSource::Text(_), _) => return Err(refused("file")),
    })
}

fn tools(quirks: &ChatQuirks, request: &Request, body: &mut Map<String, Value>) -> Result<()> {
    if request.tools.is_empty() {
        return Ok(());
    }
    if !quirks.tools {
        return Err(Error::new(ErrorKind::Unsupported, "this server takes no tools; leave them out or ask another"));
    }
    let tool = |tool: &Tool| {
        let mut function = json!({ "name": tool.name, "parameters": tool.parameters });
        if let (false, Some(fields)) = (tool.description.is_empty(), function.as_object_mut()) {
            fields.insert("description".into(), tool.description.clone().into());
        }
        json!({ "type": "function", "function": function })
    };
    body.insert("tools".into(), request.tools.iter().map(tool).collect::<Vec<_>>().into());
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return Ok(()),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    };
    body.insert("tool_choice".into(), choice);
    Ok(())
}

fn output(quirks: &ChatQuirks, request: &Request, body: &mut Map<String, Value>) -> Result<()> {
    let format = match &request.output {
        OutputFormat::Text => return Ok(()),
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::JsonSchema { .. } if quirks.json == JsonSupport::ObjectOnly => {
            let words = "this server knows JSON objects but no JSON schema; ask for JSON or ask another server";
            return Err(Error::new(ErrorKind::Unsupported, words));
        }
        OutputFormat::JsonSchema { name, schema } => {
            let inner = json!({ "name": name, "schema": schema, "strict": strict_ready(schema) });
            json!({ "type": "json_schema", "json_schema": inner })
        }
    };
    body.insert("response_format".into(), format);
    Ok(())
}

/// Whether OpenAI's strict mode takes `schema`: every object closed and every property required.
pub(crate) fn strict_ready(schema: &Value) -> bool {
    fn ready(schema: &Value, depth: usize) -> bool {
        if depth == 0 {
            return false;
        }
        match schema {
            Value::Array(list) => list.iter().all(|s| ready(s, depth - 1)),
            Value::Object(fields) => {
                let is_object = fields.get("type").and_then(Value::as_str) == Some("object");
                let closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
                let required: Vec<&str> = fields
                    .get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let properties = fields.get("properties").and_then(Value::as_object);
                let whole = properties.is_none_or(|p| p.keys().all(|name| required.contains(&name.as_str())));
                let named = properties.is_none_or(|p| p.values().all(|s| ready(s, depth - 1)));
                let inner = ["items", "anyOf", "$defs", "definitions"].iter().filter_map(|k| fields.get(*k));
                let mut inner = inner.flat_map(|s| match s {
                    Value::Object(map) if !map.contains_key("type") && !map.contains_key("$ref") => {
                        map.values().collect()
                    }
                    other => vec![other],
                });
                (!is_object || (closed && whole)) && named && inner.all(|s| ready(s, depth - 1))
            }
            _ => true,
        }
    }
    schema.is_object() && ready(schema, 32)
}

fn sampling(quirks: &ChatQuirks, request: &Request, body: &mut Map<String, Value>) -> Result<()> {
    let thinks = request.reasoning.is_none_or(|effort| openai_effort(&request.model, effort) != "none");
    let fixed = quirks.fixed_sampling && thinks && is_openai_reasoning_model(&request.model);
    if !fixed {
        if let Some(t) = request.temperature {
            body.insert("temperature".into(), number("temperature", t)?);
        }
        if let Some(p) = request.top_p {
            body.insert("top_p".into(), number("top_p", p)?);
        }
    }
    if let Some(n) = request.max_tokens {
        let new = quirks.max_completion_tokens || is_openai_reasoning_model(&request.model);
        let name = if new { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), n.into());
    }
    if !request.stop.is_empty() {
        if !quirks.stop {
            return Err(Error::new(ErrorKind::Unsupported, "this server takes no stop texts; leave them out"));
        }
        body.insert("stop".into(), request.stop.clone().into());
    }
    if let (Some(seed), Some(name)) = (request.seed, quirks.seed) {
        body.insert(name.into(), seed.into());
    }
    Ok(())
}

fn reasoning(quirks: &ChatQuirks, request: &Request, body: &mut Map<String, Value>) {
    let Some(effort) = request.reasoning else { return };
    let on = effort != ReasoningEffort::None;
    match quirks.reasoning {
        ReasoningField::Dropped => {}
        ReasoningField::Effort => {
            body.insert("reasoning_effort".into(), effort.as_str().into());
        }
        ReasoningField::OpenAi if is_openai_reasoning_model(&request.model) => {
            body.insert("reasoning_effort".into(), openai_effort(&request.model, effort).into());
        }
        ReasoningField::OpenAi => {}
        ReasoningField::Object => {
            body.insert("reasoning".into(), json!({ "effort": effort.as_str() }));
        }
        ReasoningField::Thinking => {
            // Models with "thinking" in their name always think and refuse the field.
            if !request.model.contains("thinking") {
                body.insert("thinking".into(), json!({ "type": if on { "enabled" } else { "disabled" } }));
            }
        }
        ReasoningField::Template => {
            body.insert("chat_template_kwargs".into(), json!({ "enable_thinking": on }));
        }
    }
}

/// Says what a server has to be told when the conversation ends with the assistant's own words, for the model to go on from them.
fn prefill(quirks: &ChatQuirks, request: &Request, body: &mut Map<String, Value>) {
    let own = |m: &&Message| m.role == Role::Assistant && m.tool_calls().next().is_none() && !m.text().is_empty();
    if request.messages.last().filter(own).is_none() {
        return;
    }
    match quirks.prefill {
        Prefill::NotThinking => {
            body.insert("chat_template_kwargs".into(), json!({ "enable_thinking": false }));
        }
        Prefill::Partial => {
            let last = body.get_mut("messages").and_then(Value::as_array_mut).and_then(|m| m.last_mut());
            if let Some(last) = last.and_then(Value::as_object_mut) {
                last.insert("partial".into(), true.into());
            }
        }
        Prefill::None | Prefill::Claude | Prefill::Llama => {}
    }
}

/// Whether OpenAI serves `model` as a reasoning model, which takes effort and refuses sampling settings.
pub(crate) fn is_openai_reasoning_model(model: &str) -> bool {
    let model = model.rsplit('/').next().unwrap_or(model);
    let o_series = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let gpt =
        model.strip_prefix("gpt-").and_then(|rest| rest.split(['.', '-']).next()).and_then(|v| v.parse::<u32>().ok());
    o_series || (gpt.is_some_and(|version| (5..100).contains(&version)) && !model.contains("chat"))
}

/// The effort nearest to `effort` that OpenAI's `model` takes: the o series knows no `minimal`, GPT-5 no `none`, and its successors no
/// `minimal`.
pub(crate) fn openai_effort(model: &str, effort: ReasoningEffort) -> &'static str {
    let model = model.rsplit('/').next().unwrap_or(model);
    let first = model == "gpt-5" || model.starts_with("gpt-5-");
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal if model.starts_with('o') => "low",
        ReasoningEffort::None if first => "minimal",
        ReasoningEffort::Minimal if !first => "none",
        other => other.as_str(),
    }
}
