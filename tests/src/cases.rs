//! The behaviour cases: `cases/*.json`, one set for Rust, Python and Node.
//!
//! A case sets an assistant up, takes steps with it, and says what must be true of each step's result. `cases/README.md` is the format.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What the file is about.
    pub about: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What must be true, in one sentence.
    pub name: String,
    /// What the model server answers.
    #[serde(default)]
    pub server: Value,
    /// How the assistant is set up.
    #[serde(default)]
    pub setup: Setup,
    /// What is done.
    pub steps: Vec<Step>,
}

/// How the assistant is set up.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// Providers at the scripted server.
    pub providers: Vec<ProviderSetup>,
    /// Whether there is a folder on disk, which `reopen` opens again.
    pub disk: bool,
    /// Files of a folder that `$dir` stands for, by path.
    pub files: HashMap<String, String>,
    /// Budgets.
    pub budget: Option<Map<String, Value>>,
    /// Persona.
    pub persona: Option<Map<String, Value>>,
    /// What is allowed and wanted of the choice of a model.
    pub policy: Option<Value>,
    /// And for single organisations.
    pub organisation_policies: HashMap<String, Value>,
    /// Experiments.
    pub experiments: Vec<Value>,
    /// By provider, where it works on data.
    pub regions: HashMap<String, Vec<String>>,
    /// Retry policy.
    pub retry_policy: Option<Map<String, Value>>,
    /// What happens when a stream fails after content.
    pub recovery: Option<Value>,
    /// Where `yesterday` is understood.
    pub time_zone: Option<String>,
    /// Seconds that a turn may take.
    pub deadline: Option<f64>,
    /// Hedging.
    pub hedging: Option<Map<String, Value>>,
    /// What is sent to each provider at the most.
    pub pacing: Option<Map<String, Value>>,
    /// When a model that fails is left alone.
    pub breaker: Option<Map<String, Value>>,
    /// Answers to the same request.
    pub response_cache: Option<Map<String, Value>>,
    /// Answers to questions that mean the same.
    pub semantic_cache: Option<Map<String, Value>>,
    /// How much of the memories' indexes is held.
    pub index_limits: Option<Map<String, Value>>,
    /// Whether memory answers when no model does.
    pub extractive_fallback: Option<bool>,
    /// Whether a turn says its steps in words.
    pub thinking: Option<bool>,
    /// How many messages of a thread a turn reads back.
    pub history_messages: Option<u64>,
    /// Tools that the assistant runs itself, by name.
    pub tools: BTreeMap<String, ToolSetup>,
    /// How many times in a row.
    pub max_tool_rounds: Option<u32>,
}

/// A tool that returns a text or fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSetup {
    /// For the model.
    pub description: String,
    /// JSON schema of its arguments.
    pub parameters: Value,
    /// What it returns; `{name}` stands for an argument, `{user}` for the user who asks.
    #[serde(default)]
    pub returns: String,
    /// What it fails with instead.
    #[serde(default)]
    pub fails: Option<String>,
}

/// A provider at the scripted server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSetup {
    /// Its name.
    pub name: String,
    /// Its models.
    pub models: Vec<String>,
    /// Its key.
    #[serde(default)]
    pub api_key: Option<String>,
}

/// One thing that is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The method, in snake case; or `sent` (what the server was asked), `files` (writes files) or `reopen`.
    #[serde(rename = "do")]
    pub action: String,
    /// `organisation/user`.
    #[serde(default)]
    pub scope: Option<String>,
    /// Arguments by name.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// The name under which later steps know the result: `$name.path`.
    #[serde(default)]
    pub save: Option<String>,
    /// For `stream`: reads this many events of this type and then closes.
    #[serde(default)]
    pub stop_after: Option<String>,
    /// What must be true of the result: path, operation, value.
    #[serde(default)]
    pub expect: Vec<(String, String, Value)>,
    /// Tries again for up to five seconds until the expectations are met.
    #[serde(default)]
    pub eventually: bool,
    /// The error that must come.
    #[serde(default)]
    pub error: Option<Map<String, Value>>,
}

/// All files, by name.
///
/// # Panics
/// When a file cannot be read or is no file of cases.
pub fn load() -> Vec<(String, File)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), file)
    };
    files.into_iter().map(read).collect()
}

/// `value` with every string `$name` or `$name.path` replaced by what was saved under the name.
pub fn substitute(value: &Value, saved: &Map<String, Value>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix('$') {
            None => value.clone(),
            Some(reference) => {
                let (name, path) = reference.split_once('.').unwrap_or((reference, ""));
                let from = saved.get(name).ok_or_else(|| format!("nothing is saved as {name:?}"))?;
                resolve(from, path).into_iter().next().ok_or_else(|| format!("${reference} is nothing"))?
            }
        },
        Value::Array(items) => items.iter().map(|v| substitute(v, saved)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let field = |(k, v): (&String, &Value)| Ok((k.clone(), substitute(v, saved)?));
            Value::Object(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        _ => value.clone(),
    })
}

/// What is at `path` of `value`: names and places separated by dots, `*` for every element, `#` for how many. `null` is absent.
pub fn resolve(value: &Value, path: &str) -> Vec<Value> {
    let mut found = vec![value.clone()];
    for step in path.split('.').filter(|s| !s.is_empty()) {
        found = found
            .into_iter()
            .flat_map(|value| match (step, value) {
                ("*", Value::Array(items)) => items,
                ("*", Value::Object(fields)) => fields.into_iter().map(|(_, v)| v).collect(),
                ("#", Value::Array(items)) => vec![items.len().into()],
                ("#", Value::String(text)) => vec![text.chars().count().into()],
                (name, Value::Object(mut fields)) => fields.remove(name).into_iter().collect(),
                (place, Value::Array(mut items)) => match place.parse::<usize>() {
                    Ok(n) if n < items.len() => vec![items.swap_remove(n)],
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            })
            .collect();
    }
    found.retain(|v| !v.is_null());
    found
}

/// Says what is not as expected.
pub fn check(result: &Value, path: &str, operation: &str, expected: &Value) -> Result<(), String> {
    let found = resolve(result, path);
    let (negated, operation) = operation.strip_prefix("no_").map_or((false, operation), |rest| (true, rest));
    let holds = match operation {
        "absent" => found.is_empty(),
        "present" => !found.is_empty(),
        _ => found.iter().any(|value| passes(value, operation, expected)),
    };
    if holds == negated {
        let mut shown = Value::Array(found).to_string();
        if shown.len() > 2000 {
            shown = shown.chars().take(2000).collect();
        }
        let no = if negated { "no_" } else { "" };
        return Err(format!("{path:?} should be {no}{operation} {expected}, found {shown}"));
    }
    Ok(())
}

fn passes(value: &Value, operation: &str, expected: &Value) -> bool {
    match operation {
        "equals" => match (value.as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-6,
            _ => value == expected,
        },
        "contains" => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            expected.as_str().is_some_and(|needle| text.contains(needle))
        }
        "at_least" => value.as_f64().zip(expected.as_f64()).is_some_and(|(a, b)| a >= b),
        "at_most" => value.as_f64().zip(expected.as_f64()).is_some_and(|(a, b)| a <= b),
        "one_of" => expected.as_array().is_some_and(|all| all.contains(value)),
        "in_order" => {
            let Some((items, wanted)) = value.as_array().zip(expected.as_array()) else { return false };
            let mut rest = items.iter();
            wanted.iter().all(|w| rest.any(|item| item == w))
        }
        other => panic!("there is no operation {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_and_operations_tell_right_from_wrong() {
        let value = json!({"a": [{"b": "one"}, {"b": "two"}], "n": 3, "none": null});
        assert_eq!(resolve(&value, "a.*.b"), [json!("one"), json!("two")]);
        assert_eq!(resolve(&value, "a.#"), [json!(2)]);
        assert!(resolve(&value, "none").is_empty());
        for (path, operation, expected, holds) in [
            ("a.1.b", "equals", json!("two"), true),
            ("a.1.b", "equals", json!("one"), false),
            ("a.*.b", "contains", json!("tw"), true),
            ("a.*.b", "no_contains", json!("tw"), false),
            ("n", "at_least", json!(3), true),
            ("n", "at_most", json!(2), false),
            ("none", "absent", json!(true), true),
            ("a", "present", json!(true), true),
            ("", "in_order", json!([1]), false),
        ] {
            assert_eq!(check(&value, path, operation, &expected).is_ok(), holds, "{path} {operation} {expected}");
        }
    }

    #[test]
    fn saved_results_are_put_in() {
        let saved = json!({"r": [{"id": "x"}]});
        let out = substitute(&json!({"ids": ["$r.0.id"]}), saved.as_object().unwrap());
        assert_eq!(out, Ok(json!({"ids": ["x"]})));
        assert!(substitute(&json!("$q"), saved.as_object().unwrap()).is_err());
    }
}
