//! Requests in the words of the Responses API.

use crate::chat::{DocumentSource, ImageSource, Message, OutputFormat, Part, Request, Role, ToolChoice};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::WireRequest;
use crate::provider::encoding::{document_text, number, overlay};
use crate::provider::openai::{check, data_url, is_openai_reasoning_model, openai_effort, strict_ready};
use serde_json::{Map, Value, json};

pub(super) fn encode(request: &Request, stream: bool) -> Result<WireRequest> {
    check(request)?;
    if !request.stop.is_empty() {
        let words = "the Responses API takes no stop texts; leave them out or use Chat Completions";
        return Err(Error::new(ErrorKind::Unsupported, words));
    }
    let thinks = is_openai_reasoning_model(&request.model);
    let mut body = Map::new();
    body.insert("model".into(), request.model.clone().into());
    let mut input = Vec::new();
    for message in &request.messages {
        items(message, &mut input)?;
    }
    body.insert("input".into(), input.into());
    // Nothing is kept at the server; what its reasoning needs to see again comes back encrypted and travels with us.
    body.insert("store".into(), false.into());
    if thinks {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
        if let Some(effort) = request.reasoning {
            body.insert(
                "reasoning".into(),
                json!({ "effort": openai_effort(&request.model, effort), "summary": "auto" }),
            );
        }
    } else {
        if let Some(t) = request.temperature {
            body.insert("temperature".into(), number("temperature", t)?);
        }
        if let Some(p) = request.top_p {
            body.insert("top_p".into(), number("top_p", p)?);
        }
    }
    if stream {
        body.insert("stream".into(), true.into());
    }
    if let Some(n) = request.max_tokens {
        body.insert("max_output_tokens".into(), n.into());
    }
    tools(request, &mut body);
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            body.insert("text".into(), json!({ "format": { "type": "json_object" } }));
        }
        OutputFormat::JsonSchema { name, schema } => {
            let strict = strict_ready(schema);
            let format = json!({ "type": "json_schema", "name": name, "schema": schema, "strict": strict });
            body.insert("text".into(), json!({ "format": format }));
        }
    }
    overlay(&mut body, &request.extra);
    Ok(WireRequest { path: "/responses".into(), headers: Vec::new(), body: Value::Object(body) })
}

fn tools(request: &Request, body: &mut Map<String, Value>) {
    if request.tools.is_empty() {
        return;
    }
    let tools = request.tools.iter().map(|tool| {
        json!({
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": strict_ready(&tool.parameters),
        })
    });
    body.insert("tools".into(), tools.collect::<Vec<_>>().into());
    let choice = match &request.tool_choice {
        ToolChoice::Auto => return,
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "name": name }),
    };
    body.insert("tool_choice".into(), choice);
}

/// The items of one message, parts in order: reasoning has to stand right before what it led to.
fn items(message: &Message, input: &mut Vec<Value>) -> Result<()> {
    let role = match message.role {
        Role::System => "system",
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    };
    let mut content = Vec::new();
    let flush = |content: &mut Vec<Value>, input: &mut Vec<Value>| {
        if !content.is_empty() {
            input.push(json!({ "role": role, "content": std::mem::take(content) }));
        }
    };
    for part in &message.parts {
        match part {
            Part::Text { text } => {
                let kind = if message.role == Role::Assistant { "output_text" } else { "input_text" };
                content.push(json!({ "type": kind, "text": text }));
            }
            Part::Image(image) => {
                let url = match &image.source {
                    ImageSource::Bytes { media_type, data } => data_url(media_type, data),
                    ImageSource::Url(url) => url.clone(),
                };
                let detail = image.detail.as_deref().unwrap_or("auto");
                content.push(json!({ "type": "input_image", "image_url": url, "detail": detail }));
            }
            Part::Document(document) => {
                let title = document.title.as_deref().unwrap_or("document");
                content.push(match (document_text(document), &document.source) {
                    (Some(text), _) => json!({ "type": "input_text", "text": text }),
                    (None, DocumentSource::Bytes { media_type, data }) => {
                        json!({ "type": "input_file", "filename": title, "file_data": data_url(media_type, data) })
                    }
                    (None, DocumentSource::Url(url)) => json!({ "type": "input_file", "file_url": url }),
                    (None, DocumentSource::Text(text)) => json!({ "type": "input_text", "text": text }),
                });
            }
            Part::ToolCall(call) => {
                flush(&mut content, input);
                let arguments = match &call.arguments {
                    Value::String(raw) => raw.clone(),
                    other => other.to_string(),
                };
                input.push(json!({
                    "type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments,
                }));
            }
            Part::ToolResult(result) => {
                flush(&mut content, input);
                input.push(json!({
                    "type": "function_call_output", "call_id": result.call_id, "output": result.content,
                }));
            }
            Part::Reasoning(reasoning) => {
                // Thoughts of other providers mean nothing here and are left out.
                if let Some(item) = reasoning.opaque.as_ref().and_then(|o| o.get("responses")) {
                    flush(&mut content, input);
                    input.push(item.clone());
                }
            }
        }
    }
    flush(&mut content, input);
    if message.role == Role::Tool && message.tool_results().next().is_none() {
        return Err(Error::invalid("a tool message holds no tool result"));
    }
    Ok(())
}
