//! The parity gate: what the core's front door offers must stand in `tests/parity.json`, which the tests of Python and Node hold their
//! packages to. It reads the core's sources, so that nobody has to remember to add a line.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn parity() -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("parity.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn source(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../syntra-core/src").join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; has the file moved? see tests/tests/parity.rs", path.display()))
}

/// The lines between the line `begin` and the next that is a closing brace alone.
fn block<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let mut blocks = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, line) if line == begin => inside = true,
            (true, "}") => inside = false,
            (true, line) => blocks.push(line),
            _ => {}
        }
    }
    assert!(!blocks.is_empty(), "nothing begins with {begin:?}; see tests/tests/parity.rs");
    blocks
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn methods(file: &str, of: &str) -> BTreeSet<String> {
    let text = source(file);
    let lines = block(&text, &format!("impl {of} {{"));
    let after = |line: &&str| {
        let line = line.strip_prefix("    pub ")?;
        Some(word(line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?))
    };
    lines.iter().filter_map(after).collect()
}

fn fields(file: &str, of: &str) -> BTreeSet<String> {
    let text = source(file);
    let lines = block(&text, &format!("pub struct {of} {{"));
    lines.iter().filter_map(|line| line.strip_prefix("    pub ").map(word)).collect()
}

fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        Value::Object(map) => map.keys().cloned().collect(),
        _ => panic!("no list of names: {value}"),
    }
}

#[test]
fn every_method_of_the_front_door_is_listed_and_reachable_from_the_bindings() {
    let mut front_door = methods("syntra.rs", "Syntra");
    for made in ["builder", "open", "from_env"] {
        assert!(front_door.remove(made), "Syntra::{made} has gone");
    }
    assert_eq!(front_door, names(&parity()["methods"]), "tests/parity.json must list the methods of Syntra");
    let bridged: BTreeSet<String> = syntra_core::bridge::METHODS.iter().map(|&m| m.to_owned()).collect();
    assert_eq!(front_door, bridged, "syntra_core::bridge::METHODS must list the methods of Syntra");
}

#[test]
fn every_option_of_a_question_is_listed() {
    assert_eq!(fields("turn/ask.rs", "Ask"), names(&parity()["ask"]));
}

#[test]
fn every_setting_of_the_builder_is_listed() {
    let parity = parity();
    let known: BTreeSet<String> = ["settings", "builder"].into_iter().flat_map(|key| names(&parity[key])).collect();
    let missing: Vec<String> = methods("syntra/builder.rs", "SyntraBuilder").difference(&known).cloned().collect();
    assert!(missing.is_empty(), "the bindings have no setting for {missing:?}");
}

#[test]
fn every_kind_of_error_is_listed() {
    let text = source("error.rs");
    let kinds = block(&text, "pub enum ErrorKind {").iter().filter(|line| line.ends_with(',')).count();
    assert_eq!(kinds, names(&parity()["errors"]).len());
}

/// Where the struct behind each result stands.
const RESULTS: &[(&str, &str)] = &[
    ("Answer", "turn/ask.rs"),
    ("Answered", "chat/event.rs"),
    ("ArmReport", "router/experiments/report.rs"),
    ("AttemptRecord", "exec/attempt.rs"),
    ("Budget", "context/mod.rs"),
    ("CandidateReport", "router/types.rs"),
    ("Citation", "chat/message.rs"),
    ("ContextLine", "context/mod.rs"),
    ("DocumentStats", "documents/index.rs"),
    ("Dropped", "context/mod.rs"),
    ("EntityFact", "search/mod.rs"),
    ("Escalation", "turn/escalate.rs"),
    ("ToolRun", "tools/mod.rs"),
    ("Estimate", "router/experiments/interval.rs"),
    ("ExperimentArm", "router/experiments/mod.rs"),
    ("ExperimentReport", "router/experiments/report.rs"),
    ("Erased", "memory/types.rs"),
    ("Health", "syntra.rs"),
    ("HedgePolicy", "exec/hedge.rs"),
    ("IndexLimits", "memory/sqlite/index.rs"),
    ("IndexProgress", "documents/index.rs"),
    ("IndexReport", "documents/index.rs"),
    ("Memory", "memory/types.rs"),
    ("MemorySource", "memory/types.rs"),
    ("MemoryStats", "memory/types.rs"),
    ("Message", "chat/message.rs"),
    ("ModelHealth", "syntra.rs"),
    ("ModelKey", "syntra.rs"),
    ("NewMemory", "memory/types.rs"),
    ("PaceLimits", "exec/pacer/limits.rs"),
    ("Persona", "voice/mod.rs"),
    ("Plan", "router/types.rs"),
    ("QueryAnalysis", "query/mod.rs"),
    ("Recall", "memory/recall.rs"),
    ("Recalled", "memory/recall.rs"),
    ("RecalledItem", "chat/event.rs"),
    ("Remembered", "memory/types.rs"),
    ("Request", "chat/request.rs"),
    ("RerankReport", "memory/rerank.rs"),
    ("ResponseCacheOptions", "exec/cache.rs"),
    ("RetryPolicy", "exec/policy.rs"),
    ("SemanticCacheOptions", "exec/cache/semantic.rs"),
    ("Skipped", "documents/plan.rs"),
    ("Span", "turn/trace.rs"),
    ("StrategyReport", "memory/recall.rs"),
    ("Target", "router/types.rs"),
    ("Thread", "thread/mod.rs"),
    ("ThreadMessage", "thread/mod.rs"),
    ("ThreadSummary", "thread/mod.rs"),
    ("TimeRange", "query/mod.rs"),
    ("Tool", "chat/request.rs"),
    ("ToolCall", "chat/message.rs"),
    ("ToolResult", "chat/message.rs"),
    ("Trace", "turn/trace.rs"),
    ("TracedMemory", "turn/trace.rs"),
    ("Usage", "chat/usage.rs"),
];

#[test]
fn every_field_of_what_comes_out_is_listed() {
    let parity = parity();
    let listed = &parity["results"];
    for (name, file) in RESULTS {
        let mut public = fields(file, name);
        if *name == "Answer" {
            // How the turn ended stands in the answer itself.
            public.remove("turn");
        }
        let known = names(&listed[*name]);
        assert_eq!(public, known, "tests/parity.json must list the fields of {name} ({file})");
    }
    assert_eq!(names(listed).len(), RESULTS.len());
}
