//! Answers of our own making, in the shapes that the API documents.

use super::Anthropic;
use crate::chat::*;
use crate::error::{ErrorKind, Result};
use crate::provider::Dialect;
use crate::testing::{DialectFixture, dialect_conformance, fold, stream_events};
use serde_json::{Value, json};

/// An SSE body with one event for each of `events`, named after its type.
fn sse(events: &[Value]) -> String {
    events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or("message"))).collect()
}

fn start(usage: Value) -> Value {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage});
    json!({"type": "message_start", "message": message})
}

fn block(index: u64, block: Value, deltas: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": block})];
    events.extend(deltas.iter().map(|d| json!({"type": "content_block_delta", "index": index, "delta": d})));
    events.push(json!({"type": "content_block_stop", "index": index}));
    events
}

fn end(reason: &str, usage: Value) -> Vec<Value> {
    vec![
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

fn whole(content: Value, reason: &str, usage: Value) -> String {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": usage})
    .to_string()
}

fn text_delta(text: &str) -> Value {
    json!({"type": "text_delta", "text": text})
}

fn json_delta(text: &str) -> Value {
    json!({"type": "input_json_delta", "partial_json": text})
}

fn read(stream: &str) -> Result<Response> {
    stream_events(&Anthropic, stream.as_bytes(), 0).map(|events| fold(&events))
}

/// Thinking, redacted thinking, text with citations, a server-side search and two client calls.
fn rich() -> (String, String) {
    let cited = json!({"type": "web_search_result_location", "url": "https://example.com/tea", "title": "Tea",
        "cited_text": "Tea is steeped.", "encrypted_index": "eA=="});
    let in_document = json!({"type": "char_location", "cited_text": "Boil it.", "document_index": 0,
        "document_title": "Manual", "start_char_index": 0, "end_char_index": 8});
    let search = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
        {"type": "web_search_result", "url": "https://example.com/coffee", "title": "Coffee", "encrypted_content": "Yw=="}]});
    let opening = json!({"input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30, "output_tokens": 1});
    let closing = json!({"input_tokens": 40, "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 12},
        "server_tool_use": {"web_search_requests": 1}});
    let mut events = vec![start(opening), json!({"type": "ping"})];
    events.extend(block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        &[
            json!({"type": "thinking_delta", "thinking": "Tea, "}),
            json!({"type": "thinking_delta", "thinking": "perhaps."}),
            json!({"type": "signature_delta", "signature": "c2ln"}),
        ],
    ));
    events.extend(block(1, json!({"type": "redacted_thinking", "data": "aGlkZGVu"}), &[]));
    events.extend(block(2, search, &[json_delta("{\"query\": "), json_delta("\"tea\"}")]));
    events.extend(block(3, found.clone(), &[]));
    events.extend(block(
        4,
        json!({"type": "text", "text": ""}),
        &[
            text_delta("Steep "),
            json!({"type": "citations_delta", "citation": cited}),
            json!({"type": "citations_delta", "citation": in_document}),
            text_delta("it – 茶. 🍵"),
        ],
    ));
    events.extend(block(
        5,
        json!({"type": "tool_use", "id": "toolu_1", "name": "kettle", "input": {}}),
        &[json_delta(""), json_delta("{\"degrees\": 9"), json_delta("5}")],
    ));
    events.extend(block(6, json!({"type": "tool_use", "id": "toolu_2", "name": "timer", "input": {}}), &[]));
    events.extend(end("tool_use", closing));
    let usage = json!({"input_tokens": 40, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30,
        "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 12}});
    let content = json!([
        {"type": "thinking", "thinking": "Tea, perhaps.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "aGlkZGVu"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "tea"}},
        found,
        {"type": "text", "text": "Steep it – 茶. 🍵", "citations": [cited, in_document]},
        {"type": "tool_use", "id": "toolu_1", "name": "kettle", "input": {"degrees": 95}},
        {"type": "tool_use", "id": "toolu_2", "name": "timer", "input": {}},
    ]);
    (sse(&events), whole(content, "tool_use", usage))
}

#[test]
fn conforms() {
    let (stream, body) = rich();
    let mut plain = vec![start(json!({"input_tokens": 5, "output_tokens": 1}))];
    plain.extend(block(0, json!({"type": "text", "text": "Hel"}), &[text_delta("lo")]));
    plain.extend(end("end_turn", json!({"output_tokens": 3})));
    let plain_body =
        whole(json!([{"type": "text", "text": "Hello"}]), "end_turn", json!({"input_tokens": 5, "output_tokens": 3}));
    let plain = sse(&plain).replace('\n', "\r\n");
    let fixtures = [
        DialectFixture { name: "rich", stream: &stream, whole: Some(&body) },
        DialectFixture { name: "plain, CRLF", stream: &plain, whole: Some(&plain_body) },
    ];
    dialect_conformance(&Anthropic, &fixtures).unwrap();
}

#[test]
fn everything_in_its_place() {
    let answer = read(&rich().0).unwrap();
    assert_eq!(answer.id.as_deref(), Some("msg_1"));
    assert_eq!(answer.model.as_deref(), Some("claude-x"));
    assert_eq!(answer.text(), "Steep it – 茶. 🍵");
    assert_eq!(answer.reasoning(), "Tea, perhaps.");
    assert_eq!(answer.finish, FinishReason::ToolCalls);
    // The search is the server's own.
    let calls: Vec<_> = answer.tool_calls().iter().map(|c| (c.id.as_str(), c.arguments.clone())).collect();
    assert_eq!(calls, [("toolu_1", json!({"degrees": 95})), ("toolu_2", json!({}))]);
    // What was only found is not cited.
    let cited: Vec<_> = answer.citations.iter().map(|c| c.url.as_str()).collect();
    assert_eq!(cited, ["https://example.com/tea", "Manual"]);
    assert_eq!(answer.citations[0].snippet.as_deref(), Some("Tea is steeped."));
    let usage = &answer.usage;
    // 40 uncached (raised by message_delta) + 200 read + 30 written.
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(270), Some(90)));
    assert_eq!((usage.cached_input_tokens, usage.cache_write_tokens), (Some(200), Some(30)));
    assert_eq!(usage.reasoning_tokens, Some(12));
}

#[test]
fn an_answer_goes_back_as_it_came() {
    let answer = read(&rich().0).unwrap();
    let request = Request::new("claude-x", vec![Message::user("Tea?"), answer.message]);
    let sent = Anthropic.encode(&request, false).unwrap().body;
    let (_, body) = rich();
    let mut content = serde_json::from_str::<Value>(&body).unwrap()["content"].clone();
    content[4].as_object_mut().unwrap().remove("citations");
    assert_eq!(sent["messages"][1]["content"], content);
}

#[test]
fn a_call_from_server_side_code_keeps_its_caller() {
    let caller = json!({"type": "code_execution_20250825", "tool_id": "srvtoolu_9"});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"n": 1}, "caller": caller});
    let direct =
        json!({"type": "tool_use", "id": "toolu_2", "name": "roll", "input": {}, "caller": {"type": "direct"}});
    let answer = Anthropic.decode(whole(json!([call, direct]), "end_turn", json!({})).as_bytes()).unwrap();
    // Calls to answer are told, whatever the server calls the end.
    assert_eq!(answer.finish, FinishReason::ToolCalls);
    let sent = Anthropic.encode(&Request::new("claude-x", vec![Message::user("Play"), answer.message]), false).unwrap();
    assert_eq!(sent.body["messages"][1]["content"][0]["caller"], caller);
    assert!(sent.body["messages"][1]["content"][1].get("caller").is_none());
}

#[test]
fn every_stop_reason() {
    for (reason, finish) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("pause_turn", FinishReason::Pause),
        ("refusal", FinishReason::ContentFilter),
        ("something_new", FinishReason::Other("something_new".into())),
    ] {
        assert_eq!(Anthropic.decode(whole(json!([]), reason, json!({})).as_bytes()).unwrap().finish, finish);
        let mut events = vec![start(json!({}))];
        events.extend(end(reason, json!({})));
        assert_eq!(read(&sse(&events)).unwrap().finish, finish);
    }
}

#[test]
fn absent_counts_stay_absent() {
    let answer = Anthropic.decode(whole(json!([]), "end_turn", json!({"output_tokens": 2})).as_bytes()).unwrap();
    assert_eq!(answer.usage, Usage { output_tokens: Some(2), ..Usage::default() });
}

#[test]
fn errors_in_a_stream_are_told_and_what_came_before_them_stays() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert_eq!(read(&sse(std::slice::from_ref(&overloaded))).unwrap_err().kind(), ErrorKind::Overloaded);

    let mut events = vec![start(json!({"input_tokens": 5}))];
    events.extend(block(0, json!({"type": "text", "text": ""}), &[text_delta("Half an ")]));
    events.push(overloaded);
    let stream = sse(&events);
    let mut frames = Vec::new();
    crate::transport::FrameDecoder::new(Anthropic.framing()).push(stream.as_bytes(), &mut frames).unwrap();
    let (mut decoder, mut seen) = (Anthropic.stream_decoder(), Vec::new());
    let error = frames.iter().find_map(|f| decoder.frame(f, &mut seen).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(fold(&seen).text(), "Half an ");
}

#[test]
fn an_error_inside_a_200_and_what_is_no_answer() {
    let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}).to_string();
    assert_eq!(Anthropic.decode(error.as_bytes()).unwrap_err().kind(), ErrorKind::RateLimit);
    for body in ["", "not json", "[]", "{}", "{\"content\": \"words\"}"] {
        assert_eq!(Anthropic.decode(body.as_bytes()).unwrap_err().kind(), ErrorKind::Decode, "{body}");
    }
}

#[test]
fn a_stream_without_its_end_is_truncated() {
    let mut events = vec![start(json!({"input_tokens": 5}))];
    events.extend(block(0, json!({"type": "text", "text": ""}), &[text_delta("Half an ")]));
    assert_eq!(read(&sse(&events)).unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(read("").unwrap_err().kind(), ErrorKind::Truncated);
    // With the stop reason everything is there.
    events.push(end("end_turn", json!({"output_tokens": 3})).remove(0));
    assert_eq!(read(&sse(&events)).unwrap().finish, FinishReason::Stop);
}

#[test]
fn arguments_that_the_limit_cut_off_are_the_text_itself() {
    let mut events = vec![start(json!({}))];
    events.extend(block(
        0,
        json!({"type": "tool_use", "id": "toolu_1", "name": "kettle", "input": {}}),
        &[json_delta("{\"deg")],
    ));
    events.extend(end("max_tokens", json!({})));
    let answer = read(&sse(&events)).unwrap();
    assert_eq!(answer.finish, FinishReason::Length);
    assert_eq!(answer.tool_calls()[0].arguments, json!("{\"deg"));
}

#[test]
fn nothing_after_the_end_counts() {
    let mut events = vec![start(json!({}))];
    events.extend(end("end_turn", json!({})));
    events.extend(block(0, json!({"type": "text", "text": "late"}), &[]));
    assert_eq!(read(&sse(&events)).unwrap().text(), "");
}

#[test]
fn calls_without_ids_get_ids_that_tell_them_apart() {
    let call = json!({"type": "tool_use", "name": "now", "input": {}});
    let answer = Anthropic.decode(whole(json!([call, call]), "tool_use", json!({})).as_bytes()).unwrap();
    let ids: Vec<_> = answer.tool_calls().iter().map(|c| c.id.clone()).collect();
    assert!(ids[0].starts_with("syntra_") && ids[0] != ids[1], "{ids:?}");
}
