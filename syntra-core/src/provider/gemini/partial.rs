//! Arguments that are sent piece by piece (`partialArgs`, each with the JSON path of what it sets).

use crate::error::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

/// Bounds on what a stream may make us build.
const MAX_DEPTH: usize = 64;
const MAX_INDEX: usize = 1 << 12;
const MAX_BYTES: usize = 16 << 20;

/// A call whose arguments are still being sent.
#[derive(Debug, Default)]
pub(super) struct PartialCall {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) signature: Option<String>,
    arguments: Value,
    bytes: usize,
}

/// A step of a JSON path.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl PartialCall {
    /// Takes one element of `partialArgs`: a number, a boolean or a null is set, a string is appended to.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when its path makes no sense or the whole becomes too large.
    pub(super) fn apply(&mut self, piece: &Value) -> Result<()> {
        let path = piece.get("jsonPath").and_then(Value::as_str).unwrap_or("$");
        let steps = steps(path).ok_or_else(|| broken("has a path that cannot be followed"))?;
        let (string, value) = if let Some(text) = piece.get("stringValue").and_then(Value::as_str) {
            (Some(text), Value::Null)
        } else if let Some(number) = piece.get("numberValue").filter(|n| n.is_number()) {
            (None, whole(number))
        } else if let Some(flag) = piece.get("boolValue").and_then(Value::as_bool) {
            (None, json!(flag))
        } else if piece.get("nullValue").is_some() {
            (None, Value::Null)
        } else {
            // It says nothing: the end of a string, perhaps.
            return Ok(());
        };
        self.bytes += string.map_or(16, str::len);
        if self.bytes > MAX_BYTES {
            return Err(broken("is too large"));
        }
        let mut place = &mut self.arguments;
        for step in &steps {
            place = match step {
                Step::Key(key) => {
                    if place.is_null() {
                        *place = Value::Object(Map::new());
                    }
                    place
                        .as_object_mut()
                        .ok_or_else(|| broken("goes through what is no object"))?
                        .entry(key)
                        .or_insert(Value::Null)
                }
                Step::Index(index) => {
                    if place.is_null() {
                        *place = Value::Array(Vec::new());
                    }
                    let list = place.as_array_mut().ok_or_else(|| broken("goes through what is no array"))?;
                    if list.len() <= *index {
                        self.bytes += (*index + 1 - list.len()) * 16;
                        list.resize(*index + 1, Value::Null);
                    }
                    list.get_mut(*index).ok_or_else(|| broken("has an index out of range"))?
                }
            };
        }
        match (string, place) {
            (Some(text), Value::String(so_far)) => so_far.push_str(text),
            (Some(text), place) => *place = json!(text),
            (None, place) => *place = value,
        }
        Ok(())
    }

    /// The arguments so far; an empty object when none came.
    pub(super) fn arguments(self) -> (Option<String>, String, Option<String>, Value) {
        let arguments = if self.arguments.is_null() { json!({}) } else { self.arguments };
        (self.id, self.name, self.signature, arguments)
    }
}

fn broken(how: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("a piece of a tool call's arguments {how}"))
}

/// Numbers come as doubles; whole ones are meant as integers.
fn whole(number: &Value) -> Value {
    match number.as_f64() {
        Some(f) if f.fract() == 0.0 && f.abs() < 9e15 => json!(f as i64),
        _ => number.clone(),
    }
}

/// The steps of a normalised JSON path (RFC 9535, section 2.7, and its shorthand): `$.a.b[0]['c']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= MAX_DEPTH {
            return None;
        }
        if let Some(after) = rest.strip_prefix('[') {
            let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'));
            if let Some(quote) = quote {
                let (key, after) = quoted(after.get(1..)?, quote)?;
                steps.push(Step::Key(key));
                rest = after.strip_prefix(']')?;
            } else {
                let (digits, after) = after.split_once(']')?;
                steps.push(Step::Index(digits.trim().parse().ok().filter(|i| *i < MAX_INDEX)?));
                rest = after;
            }
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at_checked(end)?;
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
    }
    Some(steps)
}

/// A quoted name and what follows its closing quote; a backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            c if c == quote => return Some((name, text.get(at + c.len_utf8()..)?)),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(pieces: &[Value]) -> Result<Value> {
        let mut call = PartialCall::default();
        for piece in pieces {
            call.apply(piece)?;
        }
        Ok(call.arguments().3)
    }

    #[test]
    fn pieces_build_nested_arguments() {
        let built = build(&[
            json!({"jsonPath": "$.city", "stringValue": "San ", "willContinue": true}),
            json!({"jsonPath": "$.city", "stringValue": "José"}),
            json!({"jsonPath": "$.days[1].n", "numberValue": 2.0}),
            json!({"jsonPath": "$['odd.name']", "boolValue": true}),
            json!({"jsonPath": "$.half", "numberValue": 0.5}),
            json!({"jsonPath": "$.none", "nullValue": "NULL_VALUE"}),
            json!({"jsonPath": "$.city"}),
        ])
        .unwrap();
        assert_eq!(
            built,
            json!({"city": "San José", "days": [null, {"n": 2}], "odd.name": true, "half": 0.5, "none": null})
        );
        assert_eq!(build(&[]).unwrap(), json!({}));
    }

    #[test]
    fn paths_that_lead_nowhere_are_errors() {
        for piece in [
            json!({"jsonPath": "$.a[", "stringValue": "x"}),
            json!({"jsonPath": "$..", "stringValue": "x"}),
            json!({"jsonPath": "$.a[99999999]", "stringValue": "x"}),
            json!({"jsonPath": "$['a", "stringValue": "x"}),
        ] {
            assert_eq!(build(&[piece]).unwrap_err().kind(), ErrorKind::Decode);
        }
        let through =
            [json!({"jsonPath": "$.a", "stringValue": "x"}), json!({"jsonPath": "$.a.b", "stringValue": "y"})];
        assert_eq!(build(&through).unwrap_err().kind(), ErrorKind::Decode);
    }
}
