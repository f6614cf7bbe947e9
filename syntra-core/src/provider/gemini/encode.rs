//! A [`Request`] as the body of `generateContent`.

use crate::chat::{
    Document, DocumentSource, Image, Message, OutputFormat, Part, Reasoning, ReasoningEffort, Request, Role, ToolCall,
    ToolChoice, ToolResult,
};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::WireRequest;
use crate::provider::encoding::{
    MADE_UP, Pixels, SchemaCleaner, arguments_object, base64, called_tools, document_text, misplaced, number, overlay,
    parameters_object, pixels,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What the API knows of JSON Schema, after its documentation of `responseJsonSchema`.
const SCHEMA: SchemaCleaner = SchemaCleaner {
    keep: &[
        "type",
        "format",
        "title",
        "description",
        "enum",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "additionalProperties",
        "required",
        "propertyOrdering",
    ],
    close_objects: false,
};

/// Stands for the signature of a call that another model made; Gemini 3 refuses calls without any. From Google's documentation.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

pub(super) fn encode(request: &Request, stream: bool) -> Result<WireRequest> {
    let path = path(&request.model, stream)?;
    let version = version(&request.model);
    let mut turns = Turns {
        called: called_tools(&request.messages),
        strict: version >= (3, 0),
        system: Vec::new(),
        contents: Vec::new(),
    };
    for message in &request.messages {
        turns.push(message)?;
    }
    let Turns { system, contents, .. } = turns;
    if contents.is_empty() {
        return Err(Error::invalid("the request has no message with content beside system messages"));
    }
    let mut body = Map::new();
    body.insert("contents".into(), Value::Array(contents));
    if !system.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": system}));
    }
    tools(request, &mut body)?;
    let config = config(request, version)?;
    if !config.is_empty() {
        body.insert("generationConfig".into(), Value::Object(config));
    }
    overlay(&mut body, &request.extra);
    Ok(WireRequest { path, headers: Vec::new(), body: Value::Object(body) })
}

/// The path for `model`, a bare name or one with its collection (`models/…`, `tunedModels/…`).
fn path(model: &str, stream: bool) -> Result<String> {
    let (collection, name) = match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), name)) => (collection, name),
        _ => ("models", model),
    };
    if name.is_empty() {
        return Err(Error::invalid("the request names no model"));
    }
    let mut path = format!("/v1beta/{collection}/");
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path.push_str(if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" });
    Ok(path)
}

/// The version in a model's name; what has none there is as new as can be (`gemini-flash-latest`).
fn version(model: &str) -> (u32, u32) {
    let Some((_, rest)) = model.rsplit_once("gemini-") else { return (u32::MAX, 0) };
    let mut numbers = rest.split(['-', '.']).map_while(|t| t.parse::<u32>().ok());
    match numbers.next() {
        Some(major) => (major, numbers.next().filter(|n| *n < 100).unwrap_or(0)),
        None => (u32::MAX, 0),
    }
}

fn config(request: &Request, version: (u32, u32)) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    if let Some(t) = request.temperature {
        config.insert("temperature".into(), number("temperature", t)?);
    }
    if let Some(p) = request.top_p {
        config.insert("topP".into(), number("top_p", p)?);
    }
    if let Some(n) = request.max_tokens {
        config.insert("maxOutputTokens".into(), json!(n));
    }
    let stop: Vec<&str> = request.stop.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    if !stop.is_empty() {
        config.insert("stopSequences".into(), json!(stop));
    }
    if let Some(seed) = request.seed {
        // The server reads a signed 32-bit number.
        config.insert("seed".into(), json!(seed & 0x7fff_ffff));
    }
    // Effort is a hint: a model that cannot think does not.
    if let Some(effort) = request.reasoning.filter(|_| version >= (2, 5)) {
        config.insert("thinkingConfig".into(), thinking(&request.model, version, effort));
    }
    let json_wanted = request.output != OutputFormat::Text;
    if json_wanted {
        config.insert("responseMimeType".into(), json!("application/json"));
    }
    if json_wanted && version < (3, 0) && !request.tools.is_empty() {
        let message = format!("{} cannot answer in JSON and have tools at once", request.model);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if let OutputFormat::JsonSchema { schema, .. } = &request.output {
        if !schema.is_object() {
            return Err(Error::invalid("the output's JSON schema must be an object"));
        }
        config.insert("responseJsonSchema".into(), SCHEMA.clean(schema));
    }
    Ok(config)
}

/// From version 3 on a level, before that a budget in tokens. Pro models cannot be told not to think: they think as little as they can.
fn thinking(model: &str, version: (u32, u32), effort: ReasoningEffort) -> Value {
    use ReasoningEffort::*;
    let pro = model.contains("pro");
    let mut config = if version < (3, 0) {
        let budget = match effort {
            None if pro => 128,
            None => 0,
            Minimal => 512,
            Low => 2048,
            Medium => 8192,
            High => 24576,
        };
        json!({"thinkingBudget": budget})
    } else {
        let level = match effort {
            None | Minimal if pro => "low",
            None | Minimal => "minimal",
            Low => "low",
            // The first of the line knows two levels.
            Medium if pro && version == (3, 0) => "high",
            Medium => "medium",
            High => "high",
        };
        json!({"thinkingLevel": level})
    };
    if effort != None {
        config["includeThoughts"] = json!(true);
    }
    config
}

fn tools(request: &Request, body: &mut Map<String, Value>) -> Result<()> {
    if request.tools.is_empty() {
        return match request.tool_choice {
            ToolChoice::Auto | ToolChoice::None => Ok(()),
            _ => Err(Error::invalid("tool_choice wants a tool to be called, but the request has no tools")),
        };
    }
    let mut declarations = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        let parameters = Value::Object(parameters_object(&tool.name, &tool.parameters)?);
        let mut declaration = Map::new();
        declaration.insert("name".into(), json!(tool.name));
        declaration.insert("description".into(), json!(tool.description));
        // A tool without parameters has no schema.
        let none = parameters.get("properties").is_none_or(|p| p.as_object().is_some_and(Map::is_empty));
        if !none || parameters.get("$ref").is_some() || parameters.get("anyOf").is_some() {
            declaration.insert("parametersJsonSchema".into(), SCHEMA.clean(&parameters));
        }
        declarations.push(Value::Object(declaration));
    }
    body.insert("tools".into(), json!([{"functionDeclarations": declarations}]));
    let calling = match &request.tool_choice {
        ToolChoice::Auto => return Ok(()),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    body.insert("toolConfig".into(), json!({"functionCallingConfig": calling}));
    Ok(())
}

/// The conversation as it is built.
struct Turns<'a> {
    called: HashMap<&'a str, &'a str>,
    /// Whether calls without a signature are refused.
    strict: bool,
    system: Vec<Value>,
    contents: Vec<Value>,
}

impl<'a> Turns<'a> {
    fn push(&mut self, message: &'a Message) -> Result<()> {
        match message.role {
            Role::System => {
                for part in &message.parts {
                    match part {
                        Part::Text { text } if text.is_empty() => {}
                        Part::Text { text } => self.system.push(json!({"text": text})),
                        Part::Reasoning(_) => {}
                        _ => return Err(misplaced("gemini", Role::System, "picture, document or tool part")),
                    }
                }
            }
            Role::Assistant => {
                let parts = self.model_parts(message)?;
                self.turn("model", parts);
            }
            Role::User | Role::Tool => {
                let (mut results, mut parts) = (Vec::new(), Vec::new());
                for part in &message.parts {
                    match part {
                        Part::ToolResult(result) => results.push(self.result(result)?),
                        Part::Text { text } if text.is_empty() => {}
                        Part::Text { text } => parts.push(json!({"text": text})),
                        Part::Image(image) => parts.push(image_part(image)),
                        Part::Document(document) => parts.push(document_part(document)),
                        Part::ToolCall(_) => return Err(misplaced("gemini", message.role, "tool call")),
                        Part::Reasoning(_) => {}
                    }
                }
                self.results(results);
                self.turn("user", parts);
            }
        }
        Ok(())
    }

    fn turn(&mut self, role: &str, parts: Vec<Value>) {
        if !parts.is_empty() {
            self.contents.push(json!({"role": role, "parts": parts}));
        }
    }

    /// Results of parallel calls belong into one turn, right after the calls.
    fn results(&mut self, results: Vec<Value>) {
        let is_results = |c: &Value| c.pointer("/parts/0/functionResponse").is_some();
        let last = self.contents.last_mut().filter(|c| is_results(c));
        match last.and_then(|c| c["parts"].as_array_mut()) {
            Some(parts) => parts.extend(results),
            None => self.turn("user", results),
        }
    }

    fn result(&self, result: &ToolResult) -> Result<Value> {
        let name = result.name.as_deref().or_else(|| self.called.get(result.call_id.as_str()).copied());
        let Some(name) = name else {
            let message = "a tool result must name its tool: gemini matches by name, and no call before it has its id";
            return Err(Error::invalid(message));
        };
        let content = match serde_json::from_str(&result.content) {
            Ok(object @ Value::Object(_)) if !result.is_error => object,
            _ => json!({(if result.is_error { "error" } else { "result" }): result.content}),
        };
        let mut response = json!({"name": name, "response": content});
        if !result.call_id.is_empty() && !result.call_id.starts_with(MADE_UP) {
            response["id"] = json!(result.call_id);
        }
        Ok(json!({"functionResponse": response}))
    }

    fn model_parts(&self, message: &Message) -> Result<Vec<Value>> {
        let mut parts: Vec<Value> = Vec::with_capacity(message.parts.len());
        // Of parallel calls the first alone is signed.
        let mut signed = !self.strict || message.tool_calls().any(|call| signature(call).is_some());
        for part in &message.parts {
            match part {
                Part::Text { text } if text.is_empty() => {}
                Part::Text { text } => parts.push(json!({"text": text})),
                Part::ToolCall(call) => {
                    let mut function = json!({"name": call.name, "args": arguments_object(call)});
                    if !call.id.is_empty() && !call.id.starts_with(MADE_UP) {
                        function["id"] = json!(call.id);
                    }
                    let mut part = json!({"functionCall": function});
                    if let Some(signature) = signature(call) {
                        part["thoughtSignature"] = json!(signature);
                    } else if !signed {
                        part["thoughtSignature"] = json!(NO_SIGNATURE);
                        signed = true;
                    }
                    parts.push(part);
                }
                Part::Reasoning(reasoning) => thought(reasoning, &mut parts),
                Part::Image(image) => parts.push(image_part(image)),
                Part::Document(document) => parts.push(document_part(document)),
                Part::ToolResult(_) => return Err(misplaced("gemini", Role::Assistant, "tool result")),
            }
        }
        Ok(parts)
    }
}

/// The call's signature if it is one of Gemini's: base64, so without a colon.
fn signature(call: &ToolCall) -> Option<&str> {
    call.signature.as_deref().filter(|s| !s.is_empty() && !s.contains(':'))
}

/// Sends back what [`super::decode`] kept in [`Reasoning::opaque`]; thinking without it is left out.
fn thought(reasoning: &Reasoning, parts: &mut Vec<Value>) {
    let Some(opaque) = reasoning.opaque.as_ref().and_then(|o| o.get("gemini")) else { return };
    let signature = opaque.get("thoughtSignature");
    if let Some(kept) = opaque.get("part") {
        parts.push(kept.clone());
    } else if opaque.get("thought").is_some() {
        parts.push(json!({"text": reasoning.text, "thought": true, "thoughtSignature": signature}));
    } else if let Some(length) = opaque.get("textLength").and_then(Value::as_u64) {
        // The signature belongs to the last `length` bytes of the text before it.
        let before = parts.last().and_then(|p| p.get("text")).and_then(Value::as_str).unwrap_or_default();
        let cut = usize::try_from(length).ok().and_then(|n| before.len().checked_sub(n)).unwrap_or(0);
        let (head, tail) = before.split_at_checked(cut).unwrap_or(("", before));
        let (head, tail) = (head.to_owned(), tail.to_owned());
        let plain = parts.last().is_some_and(|p| p.get("text").is_some() && p.get("thoughtSignature").is_none());
        if length == 0 || !plain {
            parts.push(json!({"text": "", "thoughtSignature": signature}));
            return;
        }
        parts.pop();
        if !head.is_empty() {
            parts.push(json!({"text": head}));
        }
        parts.push(json!({"text": tail, "thoughtSignature": signature}));
    }
}

fn file(url: &str) -> Value {
    let mut data = json!({"fileUri": url});
    if let Some(media_type) = media_type(url) {
        data["mimeType"] = json!(media_type);
    }
    json!({"fileData": data})
}

/// The media type that a URL's file extension stands for.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let extension = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "md" => "text/markdown",
        _ => return None,
    })
}

fn image_part(image: &Image) -> Value {
    match pixels(image) {
        Pixels::Inline { media_type, data } => json!({"inlineData": {"mimeType": media_type, "data": data}}),
        Pixels::Url(url) => file(url),
    }
}

fn document_part(document: &Document) -> Value {
    match (&document.source, document_text(document)) {
        (_, Some(text)) => json!({"text": text}),
        (DocumentSource::Bytes { media_type, data }, None) => {
            json!({"inlineData": {"mimeType": media_type, "data": base64(data)}})
        }
        (DocumentSource::Url(url), None) => file(url),
        // `document_text` takes every text.
        (DocumentSource::Text(text), None) => json!({"text": text}),
    }
}
