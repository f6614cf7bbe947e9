//! Answers of our own making, in the shapes that the API documents.

use super::Gemini;
use crate::chat::*;
use crate::error::{ErrorKind, Result};
use crate::provider::Dialect;
use crate::testing::{DialectFixture, dialect_conformance, fold, stream_events};
use serde_json::{Value, json};

fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|c| format!("data: {c}\r\n\r\n")).collect()
}

fn chunk(parts: Value, finish: Option<&str>, usage: Value) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "r1"})
}

fn read(chunks: &[Value]) -> Result<Response> {
    stream_events(&Gemini, sse(chunks).as_bytes(), 0).map(|events| fold(&events))
}

fn whole(parts: Value, finish: &str, usage: Value) -> Result<Response> {
    Gemini.decode(chunk(parts, Some(finish), usage).to_string().as_bytes())
}

/// Thoughts, code that the server runs, text with a signature, parallel calls, grounding; a `STOP` comes before the end.
fn rich() -> (Vec<Value>, Value) {
    let grounding = json!({"groundingChunks": [
        {"web": {"uri": "https://example.com/tea", "title": "example.com"}},
        {"web": {"uri": "https://example.com/tea", "title": "example.com"}},
        {"retrievedContext": {"uri": "gs://tea", "title": "Tea", "text": "Tea is steeped."}},
    ], "webSearchQueries": ["tea"]});
    let code = json!({"executableCode": {"language": "PYTHON", "code": "print(95)"}});
    let result = json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "95\n"}});
    let first =
        json!({"functionCall": {"name": "kettle", "args": {"degrees": 95}, "id": "k1"}, "thoughtSignature": "c2ln"});
    let second = json!({"functionCall": {"name": "kettle", "args": {"degrees": 80}}});
    let early = json!({"promptTokenCount": 20, "thoughtsTokenCount": 5, "totalTokenCount": 25});
    let late = json!({"promptTokenCount": 20, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 9,
        "thoughtsTokenCount": 12, "cachedContentTokenCount": 16, "totalTokenCount": 48});
    let thought = |text: &str| json!({"text": text, "thought": true});
    let mut last = chunk(json!([{"text": "", "thoughtSignature": "ZW5k"}, first, second]), Some("STOP"), late.clone());
    last["candidates"][0]["groundingMetadata"] = grounding.clone();
    let stream = vec![
        chunk(json!([thought("Tea, ")]), None, early.clone()),
        chunk(json!([thought("perhaps.")]), None, early.clone()),
        chunk(json!([{"text": "Steep "}]), None, early.clone()),
        chunk(json!([code]), Some("STOP"), early.clone()),
        chunk(json!([result]), None, early),
        chunk(json!([{"text": "it – "}, {"text": "茶. 🍵"}]), None, json!({})),
        last,
    ];
    let mut body = chunk(
        json!([
            thought("Tea, perhaps."), {"text": "Steep "}, code, result, {"text": "it – 茶. 🍵"},
            {"text": "", "thoughtSignature": "ZW5k"}, first, second,
        ]),
        Some("STOP"),
        late,
    );
    body["candidates"][0]["groundingMetadata"] = grounding;
    (stream, body)
}

fn partial(call: Value) -> Value {
    json!([{"functionCall": call}])
}

fn pieces() -> Vec<Value> {
    let piece = |path: &str, text: &str| json!({"jsonPath": path, "stringValue": text, "willContinue": true});
    vec![
        chunk(
            json!([{"functionCall": {"name": "book", "willContinue": true}, "thoughtSignature": "c2ln"}]),
            None,
            json!({}),
        ),
        chunk(partial(json!({"partialArgs": [piece("$.trip.city", "Kyo")], "willContinue": true})), None, json!({})),
        chunk(
            partial(
                json!({"partialArgs": [piece("$.trip.city", "to"), {"jsonPath": "$.trip.days[0]", "numberValue": 3}],
                "willContinue": true}),
            ),
            None,
            json!({}),
        ),
        chunk(partial(json!({})), None, json!({})),
        chunk(partial(json!({"name": "now", "args": {}})), Some("STOP"), json!({"promptTokenCount": 4})),
    ]
}

#[test]
fn conforms() {
    let (stream, body) = rich();
    let (stream, body) = (sse(&stream), body.to_string());
    let pieces = sse(&pieces());
    let plain = sse(&[
        chunk(json!([{"text": "Hel"}]), None, json!({})),
        chunk(json!([{"text": "lo"}]), Some("STOP"), json!({})),
    ]);
    let plain_body = chunk(json!([{"text": "Hello"}]), Some("STOP"), json!({})).to_string();
    let fixtures = [
        DialectFixture { name: "rich", stream: &stream, whole: Some(&body) },
        DialectFixture { name: "pieces", stream: &pieces, whole: None },
        DialectFixture { name: "plain", stream: &plain, whole: Some(&plain_body) },
    ];
    dialect_conformance(&Gemini, &fixtures).unwrap();
}

#[test]
fn everything_in_its_place() {
    let answer = read(&rich().0).unwrap();
    assert_eq!((answer.id.as_deref(), answer.model.as_deref()), (Some("r1"), Some("gemini-x")));
    assert_eq!(answer.text(), "Steep it – 茶. 🍵");
    assert_eq!(answer.reasoning(), "Tea, perhaps.");
    assert_eq!(answer.finish, FinishReason::ToolCalls);
    let calls = answer.tool_calls();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].id.as_str(), calls[0].signature.as_deref()), ("k1", Some("c2ln")));
    assert!(calls[1].id.starts_with("syntra_") && calls[1].signature.is_none());
    assert_eq!(calls[1].arguments, json!({"degrees": 80}));
    let cited: Vec<_> = answer.citations.iter().map(|c| (c.url.as_str(), c.snippet.as_deref())).collect();
    assert_eq!(cited, [("https://example.com/tea", None), ("gs://tea", Some("Tea is steeped."))]);
    let usage = &answer.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(27), Some(21)));
    assert_eq!((usage.cached_input_tokens, usage.reasoning_tokens), (Some(16), Some(12)));
    assert_eq!(usage.cache_write_tokens, None);
}

#[test]
fn an_answer_goes_back_with_its_signatures() {
    let answer = read(&rich().0).unwrap();
    let request = Request::new("gemini-3-flash-preview", vec![Message::user("Tea?"), answer.message]);
    let sent = Gemini.encode(&request, false).unwrap().body["contents"][1]["parts"].clone();
    assert_eq!(
        sent,
        json!([
            {"text": "Steep "},
            {"executableCode": {"language": "PYTHON", "code": "print(95)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "95\n"}},
            {"text": "it – 茶. 🍵"},
            {"text": "", "thoughtSignature": "ZW5k"},
            {"functionCall": {"name": "kettle", "args": {"degrees": 95}, "id": "k1"}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "kettle", "args": {"degrees": 80}}},
        ])
    );
}

#[test]
fn a_signature_on_text_finds_its_text_again() {
    let signed = [
        chunk(json!([{"text": "One, "}]), None, json!({})),
        chunk(json!([{"text": "zwölf.", "thoughtSignature": "c2ln"}]), Some("STOP"), json!({})),
    ];
    let answer = read(&signed).unwrap();
    assert_eq!(answer.text(), "One, zwölf.");
    let sent = Gemini.encode(&Request::new("gemini-3-flash", vec![Message::user("?"), answer.message]), false).unwrap();
    assert_eq!(
        sent.body["contents"][1]["parts"],
        json!([{"text": "One, "}, {"text": "zwölf.", "thoughtSignature": "c2ln"}])
    );
}

#[test]
fn arguments_in_pieces_make_calls() {
    let answer = read(&pieces()).unwrap();
    let calls: Vec<_> = answer.tool_calls().iter().map(|c| (c.name.as_str(), c.arguments.clone())).collect();
    assert_eq!(calls, [("book", json!({"trip": {"city": "Kyoto", "days": [3]}})), ("now", json!({}))]);
    assert_eq!(answer.tool_calls()[0].signature.as_deref(), Some("c2ln"));
    assert_eq!(answer.finish, FinishReason::ToolCalls);
    // The end of a call that never comes.
    let mut cut = pieces();
    cut.truncate(3);
    cut.push(json!({"candidates": [{"finishReason": "STOP"}]}));
    assert_eq!(read(&cut).unwrap_err().kind(), ErrorKind::Truncated);
}

#[test]
fn made_up_ids_tell_answers_apart() {
    let answer = |id: &str| {
        let mut body = chunk(
            json!([{"functionCall": {"name": "now"}}, {"functionCall": {"name": "now"}}]),
            Some("STOP"),
            json!({}),
        );
        body["responseId"] = json!(id);
        let answer = Gemini.decode(body.to_string().as_bytes()).unwrap();
        answer.tool_calls().iter().map(|c| c.id.clone()).collect::<Vec<_>>()
    };
    let (one, two) = (answer("r1"), answer("r2"));
    assert_eq!(one, answer("r1"));
    assert!(one[0] != one[1] && !two.contains(&one[0]) && !two.contains(&one[1]));
}

#[test]
fn every_finish_reason() {
    for (reason, finish) in [
        ("STOP", FinishReason::Stop),
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::ContentFilter),
        ("RECITATION", FinishReason::ContentFilter),
        ("PROHIBITED_CONTENT", FinishReason::ContentFilter),
        ("LANGUAGE", FinishReason::Other("language".into())),
        ("SOMETHING_NEW", FinishReason::Other("something_new".into())),
    ] {
        assert_eq!(whole(json!([{"text": "a"}]), reason, json!({})).unwrap().finish, finish);
    }
    for (reason, kind) in [
        ("MALFORMED_FUNCTION_CALL", ErrorKind::Transient),
        ("MALFORMED_RESPONSE", ErrorKind::Transient),
        ("MISSING_THOUGHT_SIGNATURE", ErrorKind::BadRequest),
    ] {
        let error = whole(json!([]), reason, json!({})).unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(reason)));
    }
    // What the model wrote stays out of the error.
    let body = json!({"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "call: secret(1)"}]});
    assert!(!Gemini.decode(body.to_string().as_bytes()).unwrap_err().to_string().contains("secret"));
}

#[test]
fn a_refused_prompt_is_a_policy_error() {
    let body =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}});
    for error in [Gemini.decode(body.to_string().as_bytes()).unwrap_err(), read(&[body]).unwrap_err()] {
        assert_eq!((error.kind(), error.code()), (ErrorKind::ContentPolicy, Some("PROHIBITED_CONTENT")));
    }
}

#[test]
fn only_the_first_candidate_is_the_answer() {
    let mut body = chunk(json!([{"text": "first"}]), Some("STOP"), json!({}));
    let other = json!({"content": {"parts": [{"text": "second"}]}, "finishReason": "MAX_TOKENS", "index": 1});
    body["candidates"].as_array_mut().unwrap().insert(0, other);
    let answer = Gemini.decode(body.to_string().as_bytes()).unwrap();
    assert_eq!((answer.text().as_str(), answer.finish), ("first", FinishReason::Stop));
}

#[test]
fn an_array_of_chunks_is_an_answer_too() {
    let (stream, body) = rich();
    let array = Gemini.decode(Value::Array(stream.clone()).to_string().as_bytes()).unwrap();
    assert_eq!(array, Gemini.decode(body.to_string().as_bytes()).unwrap());
    let mut cut = stream;
    cut.truncate(3);
    assert_eq!(Gemini.decode(Value::Array(cut).to_string().as_bytes()).unwrap_err().kind(), ErrorKind::Truncated);
}

#[test]
fn errors_and_what_is_no_answer() {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    assert_eq!(Gemini.decode(error.to_string().as_bytes()).unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(
        read(&[chunk(json!([{"text": "a"}]), None, json!({})), error]).unwrap_err().kind(),
        ErrorKind::Overloaded
    );
    for body in ["", "not json", "3", "\"words\""] {
        assert_eq!(Gemini.decode(body.as_bytes()).unwrap_err().kind(), ErrorKind::Decode, "{body}");
    }
    // No candidate, no reason for it.
    for body in ["{}", "{\"candidates\": []}", "[]"] {
        assert_eq!(Gemini.decode(body.as_bytes()).unwrap_err().kind(), ErrorKind::Truncated, "{body}");
    }
    assert_eq!(read(&[chunk(json!([{"text": "a"}]), None, json!({}))]).unwrap_err().kind(), ErrorKind::Truncated);
}

#[test]
fn whatever_word_ends_a_call_it_is_a_call() {
    for word in ["STOP", "FUNCTION_CALL", "TOOL_CALLS", "tool_use", "FINISH_REASON_UNSPECIFIED", "stop"] {
        let body = json!({ "candidates": [{ "finishReason": word, "content": { "parts": [
            { "functionCall": { "name": "add", "args": { "a": 1 } } }] } }] });
        let answer = Gemini::new().decode(body.to_string().as_bytes()).unwrap();
        assert_eq!((answer.finish.clone(), answer.tool_calls().len()), (FinishReason::ToolCalls, 1), "{word}");
    }
}

#[test]
fn null_fields_are_absent_and_another_answer_is_another() {
    let chunk = |id: &str, words: &str, finish: serde_json::Value| {
        json!({ "responseId": id, "candidates": [{ "finishReason": finish, "content": { "parts": [
            { "text": words, "functionCall": null, "inlineData": null }] } }] })
    };
    let body = |rows: &[serde_json::Value]| rows.iter().map(|r| format!("data: {r}\n\n")).collect::<String>();
    let read = |text: String| fold(&stream_events(&Gemini::new(), text.as_bytes(), 0).unwrap()).text();
    // Older servers say STOP with every chunk.
    let stop = || json!("STOP");
    assert_eq!(read(body(&[chunk("a", "one ", stop()), chunk("a", "two", stop())])), "one two");
    assert_eq!(read(body(&[chunk("a", "one", stop()), chunk("b", "one", stop())])), "one");
}
