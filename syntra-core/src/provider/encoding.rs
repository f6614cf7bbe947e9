//! What the encoders and decoders of several dialects share: merging pass-through fields, base64, made-up ids, JSON schemas.

use crate::chat::{Document, DocumentSource, Image, ImageSource, Message, Role, ToolCall};
use crate::error::{Error, ErrorKind, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Ids of tool calls that we made up begin with this; dialects whose servers know no ids leave them out again.
pub(crate) const MADE_UP: &str = "syntra_";

/// Lays `extra` over `body`: objects are merged, everything else replaces what was there.
pub(crate) fn overlay(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        match (body.get_mut(key), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => overlay(ours, theirs),
            _ => {
                body.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Standard base64.
pub(crate) fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// The media type and the base64 text of a `data:` URL; `None` for every other URL.
pub(crate) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or(media_type);
    Some((if media_type.is_empty() { "text/plain" } else { media_type }, data))
}

/// A picture as the encoders see it.
pub(crate) enum Pixels<'a> {
    /// The file in base64.
    Inline { media_type: &'a str, data: Cow<'a, str> },
    /// An address to fetch.
    Url(&'a str),
}

/// Where `image` is; `data:` URLs count as inline.
pub(crate) fn pixels(image: &Image) -> Pixels<'_> {
    match &image.source {
        ImageSource::Bytes { media_type, data } => Pixels::Inline { media_type, data: Cow::Owned(base64(data)) },
        ImageSource::Url(url) => match data_url(url) {
            Some((media_type, data)) => Pixels::Inline { media_type, data: Cow::Borrowed(data) },
            None => Pixels::Url(url),
        },
    }
}

/// The document as plain text under its title, for wires that know no documents; `None` when it is not text.
pub(crate) fn document_text(document: &Document) -> Option<String> {
    let text = match &document.source {
        DocumentSource::Text(text) => Cow::Borrowed(text.as_str()),
        DocumentSource::Bytes { media_type, data } if media_type.starts_with("text/") => String::from_utf8_lossy(data),
        _ => return None,
    };
    Some(match &document.title {
        Some(title) => format!("{title}\n\n{text}"),
        None => text.into_owned(),
    })
}

/// A tool call's arguments as the object that these wires want; what is none (the token limit cut it off) is wrapped in one.
pub(crate) fn arguments_object(call: &ToolCall) -> Value {
    match &call.arguments {
        Value::Object(_) => call.arguments.clone(),
        Value::Null => json!({}),
        Value::String(words) => match tool_arguments(words) {
            object @ Value::Object(_) => object,
            _ => json!({"unreadable": words}),
        },
        other => json!({"unreadable": other}),
    }
}

/// A call's arguments from their text: the object; an empty object for no text; the text itself, as a JSON string, where it is no
/// JSON object, because the token limit cut it off or the model wrote it wrongly.
pub(crate) fn tool_arguments(words: &str) -> Value {
    if words.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(words) {
        Ok(object @ Value::Object(_)) => object,
        Ok(Value::Null) => json!({}),
        _ => Value::String(words.to_owned()),
    }
}

/// The JSON schema of a tool's arguments, with the `type` that wires insist on.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when it is neither an object nor null.
pub(crate) fn parameters_object(name: &str, parameters: &Value) -> Result<Map<String, Value>> {
    let mut schema = match parameters {
        Value::Object(schema) => schema.clone(),
        Value::Null => Map::new(),
        _ => return Err(Error::invalid(format!("parameters of tool {name:?} must be a JSON schema object"))),
    };
    schema.entry("type").or_insert_with(|| json!("object"));
    Ok(schema)
}

/// An id for a tool call of a server that gives none: the same for the same answer, different within a conversation.
/// `answer` is what tells this answer from others, its id or time.
pub(crate) fn made_up_id(answer: &str, ordinal: usize, name: &str, arguments: &Value) -> String {
    let mut hash = Sha256::new();
    for part in [answer, name, &ordinal.to_string(), &arguments.to_string()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut id = String::from(MADE_UP);
    for byte in hash.finalize().iter().take(8) {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// The names of all tools called in `messages`, by call id: results may leave theirs out.
pub(crate) fn called_tools(messages: &[Message]) -> HashMap<&str, &str> {
    messages.iter().flat_map(Message::tool_calls).map(|call| (call.id.as_str(), call.name.as_str())).collect()
}

/// A count in a body: a non-negative whole number, also when it is written as a float.
pub(crate) fn count(value: &Value, key: &str) -> Option<u64> {
    let value = value.get(key)?;
    value.as_u64().or_else(|| value.as_f64().filter(|f| *f >= 0.0 && f.fract() == 0.0 && *f < 1e15).map(|f| f as u64))
}

/// A string in a body; `None` when absent, null, empty or no string.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|s| !s.is_empty())
}

/// A float without the digits that widening adds (0.2, not 0.20000000298).
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when it is negative or no finite number.
pub(crate) fn number(name: &str, value: f32) -> Result<Value> {
    value
        .to_string()
        .parse::<f64>()
        .ok()
        .filter(|v| v.is_finite() && *v >= 0.0)
        .map(|v| json!(v))
        .ok_or_else(|| Error::invalid(format!("{name} must be a number from 0, not {value}")))
}

/// The error for a part that `role` cannot hold on the wire `dialect`.
pub(crate) fn misplaced(dialect: &str, role: Role, what: &str) -> Error {
    let role = match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    Error::new(ErrorKind::Unsupported, format!("{dialect} takes no {what} in {role} messages"))
}

/// Rebuilds a JSON schema from the keywords that a server knows. What it does not know is told to the model in the
/// `description`, so that nothing is lost without a trace.
pub(crate) struct SchemaCleaner {
    /// Keywords kept as they are.
    pub(crate) keep: &'static [&'static str],
    /// Whether every object must say `additionalProperties: false`.
    pub(crate) close_objects: bool,
}

/// Deeper schemas are cut; the server would refuse them anyway.
const SCHEMA_DEPTH: usize = 64;

impl SchemaCleaner {
    /// `schema` in the server's subset.
    pub(crate) fn clean(&self, schema: &Value) -> Value {
        self.at(schema, 0)
    }

    fn at(&self, schema: &Value, depth: usize) -> Value {
        let Value::Object(schema) = schema else { return schema.clone() };
        if depth >= SCHEMA_DEPTH {
            return json!({});
        }
        let mut out = Map::new();
        for key in ["$defs", "definitions"] {
            if let Some(Value::Object(defs)) = schema.get(key) {
                out.insert(key.to_owned(), self.each(defs, depth));
            }
        }
        // A reference stands alone: servers refuse other keywords beside it.
        if let Some(reference) = schema.get("$ref") {
            out.insert("$ref".into(), reference.clone());
            return Value::Object(out);
        }
        let mut lost = Map::new();
        for (key, value) in schema {
            match (key.as_str(), value) {
                ("$defs" | "definitions" | "$schema" | "$id" | "$comment", _) => {}
                ("properties", Value::Object(properties)) => {
                    out.insert(key.clone(), self.each(properties, depth));
                }
                ("items", _) => {
                    out.insert(key.clone(), self.at(value, depth + 1));
                }
                // Exactly one of several is not checked anywhere: any of them is what servers offer.
                ("anyOf" | "oneOf", Value::Array(of)) => {
                    let of = of.iter().map(|s| self.at(s, depth + 1)).collect();
                    out.insert("anyOf".into(), Value::Array(of));
                }
                ("allOf", Value::Array(of)) if of.len() == 1 => {
                    if let Some(Value::Object(only)) = of.first().map(|s| self.at(s, depth + 1)) {
                        for (k, v) in only {
                            out.entry(k).or_insert(v);
                        }
                    }
                }
                ("allOf" | "prefixItems", Value::Array(of)) if self.keep.contains(&key.as_str()) => {
                    out.insert(key.clone(), Value::Array(of.iter().map(|s| self.at(s, depth + 1)).collect()));
                }
                ("const", _) if !self.keep.contains(&"const") => {
                    out.insert("enum".into(), json!([value]));
                }
                ("additionalProperties", _) if self.close_objects => {}
                ("additionalProperties", Value::Object(_)) if self.keep.contains(&"additionalProperties") => {
                    out.insert(key.clone(), self.at(value, depth + 1));
                }
                (name, _) if self.keep.contains(&name) => {
                    out.insert(key.clone(), value.clone());
                }
                _ => {
                    lost.insert(key.clone(), value.clone());
                }
            }
        }
        let is_object = schema.get("type").is_some_and(|t| t == "object") || schema.contains_key("properties");
        if self.close_objects && is_object {
            out.insert("additionalProperties".into(), Value::Bool(false));
        }
        if !lost.is_empty() {
            let hint = Value::Object(lost).to_string();
            let description = match out.get("description").and_then(Value::as_str) {
                Some(description) => format!("{description}\n\n{hint}"),
                None => hint,
            };
            out.insert("description".into(), Value::String(description));
        }
        Value::Object(out)
    }

    fn each(&self, schemas: &Map<String, Value>, depth: usize) -> Value {
        Value::Object(schemas.iter().map(|(k, v)| (k.clone(), self.at(v, depth + 1))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_wins_and_objects_merge() {
        let mut body = json!({"a": 1, "o": {"x": 1, "y": 1}}).as_object().unwrap().clone();
        overlay(&mut body, json!({"a": 2, "o": {"y": 2, "z": 2}, "n": null}).as_object().unwrap());
        assert_eq!(Value::Object(body), json!({"a": 2, "o": {"x": 1, "y": 2, "z": 2}, "n": null}));
    }

    #[test]
    fn data_urls_are_taken_apart() {
        assert_eq!(data_url("data:image/png;base64,AAAA"), Some(("image/png", "AAAA")));
        assert_eq!(data_url("data:text/plain;charset=utf-8;base64,QQ=="), Some(("text/plain", "QQ==")));
        assert_eq!(data_url("data:image/png,raw"), None);
        assert_eq!(data_url("https://example.com/a.png"), None);
    }

    #[test]
    fn made_up_ids_are_stable_and_tell_calls_apart() {
        let id = made_up_id("answer", 0, "add", &json!({"x": 1}));
        assert_eq!(id, made_up_id("answer", 0, "add", &json!({"x": 1})));
        assert!(id.starts_with(MADE_UP) && id.len() == MADE_UP.len() + 16);
        for other in [
            made_up_id("other", 0, "add", &json!({"x": 1})),
            made_up_id("answer", 1, "add", &json!({"x": 1})),
            made_up_id("answer", 0, "sub", &json!({"x": 1})),
            made_up_id("answer", 0, "add", &json!({"x": 2})),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn a_schema_keeps_what_the_server_knows_and_tells_the_model_the_rest() {
        let cleaner = SchemaCleaner { keep: &["type", "description", "enum", "required"], close_objects: true };
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "age": {"type": "integer", "minimum": 0, "description": "in years"},
                "kind": {"const": "person"},
                "home": {"$ref": "#/$defs/place", "description": "dropped beside a reference"},
                "either": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["age"],
            "additionalProperties": true,
            "$defs": {"place": {"type": "object", "properties": {}}}
        });
        assert_eq!(
            cleaner.clean(&schema),
            json!({
                "type": "object",
                "properties": {
                    "age": {"type": "integer", "description": "in years\n\n{\"minimum\":0}"},
                    "kind": {"enum": ["person"]},
                    "home": {"$ref": "#/$defs/place"},
                    "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["age"],
                "additionalProperties": false,
                "$defs": {"place": {"type": "object", "properties": {}, "additionalProperties": false}}
            })
        );
    }

    #[test]
    fn a_schema_of_any_depth_is_cut_not_followed_to_the_end() {
        let mut schema = json!({"type": "string"});
        for _ in 0..100 {
            schema = json!({"type": "array", "items": schema});
        }
        let cleaner = SchemaCleaner { keep: &["type"], close_objects: false };
        assert_eq!(cleaner.clean(&schema).to_string().matches("items").count(), SCHEMA_DEPTH);
    }
}
