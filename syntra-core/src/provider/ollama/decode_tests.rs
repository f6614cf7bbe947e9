//! Answers of our own making, in the shapes that the API documents.

use super::Ollama;
use crate::chat::*;
use crate::error::{ErrorKind, Result};
use crate::provider::Dialect;
use crate::testing::{DialectFixture, dialect_conformance, fold, stream_events};
use serde_json::{Value, json};

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|l| format!("{l}\n")).collect()
}

fn line(message: Value) -> Value {
    json!({"model": "qwen3:4b", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false})
}

fn end(message: Value, reason: &str) -> Value {
    json!({"model": "qwen3:4b", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": true,
        "done_reason": reason, "total_duration": 5, "prompt_eval_count": 21, "eval_count": 40})
}

fn words(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn read(stream: &str) -> Result<Response> {
    stream_events(&Ollama, stream.as_bytes(), 0).map(|events| fold(&events))
}

fn rich() -> (String, String) {
    let calls = json!([
        {"function": {"name": "kettle", "arguments": {"degrees": 95}}},
        {"function": {"name": "timer", "arguments": {}}, "id": "call_1"},
    ]);
    let stream = lines(&[
        line(json!({"role": "assistant", "content": "", "thinking": "Tea, "})),
        line(json!({"role": "assistant", "content": "", "thinking": "perhaps."})),
        line(words("Steep ")),
        line(words("it – 茶. 🍵")),
        line(json!({"role": "assistant", "content": "", "tool_calls": calls})),
        end(words(""), "stop"),
    ]);
    let message =
        json!({"role": "assistant", "content": "Steep it – 茶. 🍵", "thinking": "Tea, perhaps.", "tool_calls": calls});
    (stream, end(message, "stop").to_string())
}

#[test]
fn conforms() {
    let (stream, body) = rich();
    let plain = lines(&[line(words("Hel")), line(words("lo")), end(words(""), "length")]);
    let plain_body = end(words("Hello"), "length").to_string();
    let generated = lines(&[
        json!({"model": "m", "created_at": "t", "response": "Hel", "done": false}),
        json!({"model": "m", "created_at": "t", "response": "lo", "done": true, "done_reason": "stop", "context": [1, 2], "eval_count": 3}),
    ]);
    let generated_body =
        json!({"model": "m", "created_at": "t", "response": "Hello", "done": true, "done_reason": "stop", "eval_count": 3}).to_string();
    let fixtures = [
        DialectFixture { name: "rich", stream: &stream, whole: Some(&body) },
        DialectFixture { name: "plain", stream: &plain, whole: Some(&plain_body) },
        DialectFixture { name: "generate", stream: &generated, whole: Some(&generated_body) },
    ];
    dialect_conformance(&Ollama, &fixtures).unwrap();
}

#[test]
fn everything_in_its_place() {
    let answer = read(&rich().0).unwrap();
    assert_eq!((answer.id, answer.model.as_deref()), (None, Some("qwen3:4b")));
    assert_eq!(answer.message.text(), "Steep it – 茶. 🍵");
    assert_eq!(answer.finish, FinishReason::ToolCalls);
    let calls: Vec<_> = answer.message.tool_calls().collect();
    assert!(calls[0].id.starts_with("syntra_"));
    assert_eq!((calls[1].id.as_str(), &calls[1].arguments), ("call_1", &json!({})));
    assert_eq!(answer.usage, Usage { input_tokens: Some(21), output_tokens: Some(40), ..Usage::default() });
}

#[test]
fn an_answer_goes_back_as_it_came() {
    let answer = read(&rich().0).unwrap();
    let id = answer.tool_calls()[0].id.clone();
    let sent = Ollama.encode(&Request::new("qwen3:4b", vec![Message::user("Tea?"), answer.message]), false).unwrap();
    assert_eq!(
        sent.body["messages"][1],
        json!({
            "role": "assistant",
            "content": "Steep it – 茶. 🍵",
            "thinking": "Tea, perhaps.",
            "tool_calls": [
                {"id": id, "function": {"name": "kettle", "arguments": {"degrees": 95}}},
                {"id": "call_1", "function": {"name": "timer", "arguments": {}}},
            ],
        })
    );
}

#[test]
fn finish_reasons_and_absent_counts() {
    let done = |reason: Value| {
        let mut body = end(words("a"), "");
        body["done_reason"] = reason;
        body.as_object_mut().unwrap().remove("prompt_eval_count");
        Ollama.decode(body.to_string().as_bytes()).unwrap()
    };
    assert_eq!(done(json!("stop")).finish, FinishReason::Stop);
    assert_eq!(done(Value::Null).finish, FinishReason::Stop);
    assert_eq!(done(json!("length")).finish, FinishReason::Length);
    assert_eq!(done(json!("load")).finish, FinishReason::Other("load".into()));
    assert_eq!(done(json!("stop")).usage, Usage { output_tokens: Some(40), ..Usage::default() });
}

#[test]
fn arguments_as_a_string_are_read_too() {
    let call = |arguments: Value| {
        let message = json!({"content": "", "tool_calls": [{"function": {"name": "add", "arguments": arguments}}]});
        Ollama.decode(end(message, "stop").to_string().as_bytes()).unwrap().tool_calls()[0].arguments.clone()
    };
    assert_eq!(call(json!("{\"x\": 1}")), json!({"x": 1}));
    assert_eq!(call(json!("{\"x\": ")), json!("{\"x\": "));
    assert_eq!(call(Value::Null), json!({}));
}

#[test]
fn errors_at_every_place() {
    let error = json!({"error": "an error was encountered while running the model"});
    assert_eq!(Ollama.decode(error.to_string().as_bytes()).unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(read(&lines(&[line(words("Hi")), error])).unwrap_err().kind(), ErrorKind::Transient);
    for body in ["", "not json", "{}", "{\"models\": []}"] {
        assert_eq!(Ollama.decode(body.as_bytes()).unwrap_err().kind(), ErrorKind::Decode, "{body}");
    }
}

#[test]
fn an_answer_without_its_end_is_truncated() {
    let cut = lines(&[line(words("Half an "))]);
    assert_eq!(read(&cut).unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(Ollama.decode(cut.as_bytes()).unwrap_err().kind(), ErrorKind::Truncated);
    // A server that streams all the same.
    assert_eq!(Ollama.decode(rich().0.as_bytes()).unwrap(), Ollama.decode(rich().1.as_bytes()).unwrap());
}
