use super::*;
use crate::chat::{
    Event, FinishReason, Image, Message, Part, ReasoningEffort, Request, ResponseBuilder, Role, ToolCall,
};
use crate::error::ErrorKind;
use crate::transport::{FrameDecoder, Framing};
use serde_json::{Value, json};

fn events(list: &[Value]) -> (Vec<Event>, Result<()>) {
    let text: String =
        list.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or("x"))).collect();
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    let mut cutter = FrameDecoder::new(Framing::Sse);
    cutter.push(text.as_bytes(), &mut frames).unwrap();
    cutter.finish(&mut frames).unwrap();
    let mut decoder = Responses::new().stream_decoder();
    let done = frames.iter().try_for_each(|f| decoder.frame(f, &mut events)).and_then(|()| decoder.finish(&mut events));
    (events, done)
}

fn streamed(list: &[Value]) -> (crate::Response, Result<()>) {
    let (events, done) = events(list);
    let mut answer = ResponseBuilder::new();
    events.iter().for_each(|e| answer.push(e));
    (answer.build(), done)
}

fn thought() -> Value {
    json!({ "type": "reasoning", "id": "rs1", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "zzz" })
}

fn message() -> Value {
    json!({ "type": "message", "id": "m1", "role": "assistant", "content": [{ "type": "output_text", "text": "So it is.",
        "annotations": [{ "type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2 }] }] })
}

fn search() -> Value {
    json!({ "type": "web_search_call", "id": "ws1", "status": "completed", "action": { "type": "search", "query": "q" } })
}

fn call() -> Value {
    json!({ "type": "function_call", "id": "fc1", "call_id": "c1", "name": "weather", "arguments": "{\"city\":\"Riga\"}" })
}

fn response(output: Value) -> Value {
    json!({ "id": "r1", "model": "gpt-5", "object": "response", "status": "completed", "output": output, "usage": {
        "input_tokens": 9, "input_tokens_details": { "cached_tokens": 4 }, "output_tokens": 7,
        "output_tokens_details": { "reasoning_tokens": 5 }, "total_tokens": 16 } })
}

fn whole(value: &Value) -> Result<crate::Response> {
    Responses::new().decode(value.to_string().as_bytes())
}

#[test]
fn a_request_in_all_its_parts() {
    let answer = whole(&response(json!([thought(), call()]))).unwrap();
    let mut request = Request::new(
        "gpt-5",
        vec![
            Message::system("Be brief."),
            Message::user("Look").with_image(Image::url("https://x/y.png")),
            answer.message,
            Message::tool_result("c1", "weather", "rain"),
        ],
    )
    .with_max_tokens(50)
    .with_temperature(0.1)
    .with_reasoning(ReasoningEffort::Low)
    .with_json_schema("s", json!({ "type": "object" }));
    request.seed = Some(1);
    let wire = Responses::new().encode(&request, true).unwrap();
    assert_eq!(wire.path, "/responses");
    assert_eq!(
        wire.body,
        json!({
            "model": "gpt-5", "store": false, "stream": true, "max_output_tokens": 50,
            "include": ["reasoning.encrypted_content"],
            "reasoning": { "effort": "low", "summary": "auto" },
            "text": { "format": { "type": "json_schema", "name": "s", "schema": { "type": "object" }, "strict": false } },
            "input": [
                { "role": "system", "content": [{ "type": "input_text", "text": "Be brief." }] },
                { "role": "user", "content": [
                    { "type": "input_text", "text": "Look" },
                    { "type": "input_image", "image_url": "https://x/y.png", "detail": "auto" },
                ] },
                thought(),
                { "type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{\"city\":\"Riga\"}" },
                { "type": "function_call_output", "call_id": "c1", "output": "rain" },
            ],
        })
    );
    request.stop = vec!["x".into()];
    assert_eq!(Responses::new().encode(&request, false).unwrap_err().kind(), ErrorKind::Unsupported);
    // A model that does not think is told of sampling and not of thinking; thoughts of others stay at home.
    let foreign = Part::Reasoning(crate::Reasoning { text: "hm".into(), opaque: Some(json!({ "anthropic": 1 })) });
    let call = Part::ToolCall(ToolCall { id: "t".into(), name: "n".into(), arguments: json!({}), signature: None });
    let turn = Message::new(Role::Assistant, vec![foreign, Part::Text { text: "so".into() }, call]);
    let request = Request::new("gpt-4o", vec![Message::user("u"), turn]).with_temperature(0.1);
    let wire = Responses::new().encode(&request, false).unwrap().body;
    assert_eq!(wire["temperature"], 0.1);
    assert!(wire.get("include").is_none());
    let kinds: Vec<_> =
        wire["input"].as_array().unwrap().iter().map(|i| i["type"].as_str().unwrap_or("message")).collect();
    assert_eq!(kinds, ["message", "message", "function_call"]);
}

#[test]
fn a_whole_answer() {
    let answer = whole(&response(json!([thought(), search(), message()]))).unwrap();
    assert_eq!((answer.id.as_deref(), answer.model.as_deref()), (Some("r1"), Some("gpt-5")));
    assert_eq!((answer.text().as_str(), answer.reasoning().as_str()), ("So it is.", "hm"));
    assert!(answer.tool_calls().is_empty(), "what the server ran itself is no call");
    assert_eq!(answer.citations[0].url, "https://a");
    assert_eq!(answer.finish, FinishReason::Stop);
    let usage = answer.usage;
    assert_eq!(
        (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens),
        (Some(9), Some(4), Some(7), Some(5))
    );
    let answer = whole(&response(json!([thought(), call()]))).unwrap();
    assert_eq!(answer.finish, FinishReason::ToolCalls);
    assert_eq!(
        (answer.tool_calls()[0].id.as_str(), &answer.tool_calls()[0].arguments),
        ("c1", &json!({ "city": "Riga" }))
    );
    let refusal = json!([{ "type": "message", "id": "m", "content": [{ "type": "refusal", "refusal": "No." }] }]);
    assert_eq!(whole(&response(refusal)).unwrap().refusal.as_deref(), Some("No."));
    assert!(whole(&response(json!([]))).unwrap().text().is_empty());
}

#[test]
fn a_stream_gives_what_the_whole_gives() {
    let created = json!({ "type": "response.created", "response": { "id": "r1", "model": "gpt-5", "status": "in_progress", "output": [] } });
    let item = |at: u64, item: Value| json!({ "type": "response.output_item.done", "output_index": at, "item": item });
    let text = |part: &str| json!({ "type": "response.output_text.delta", "item_id": "m1", "output_index": 2, "content_index": 0, "delta": part, "obfuscation": "xx" });
    let thinking =
        json!({ "type": "response.reasoning_summary_text.delta", "item_id": "rs1", "output_index": 0, "delta": "hm" });
    let output = json!([thought(), search(), message(), call()]);
    let list = |last: Value| {
        vec![
            created.clone(),
            thinking.clone(),
            item(0, thought()),
            json!({ "type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws1" }),
            item(1, search()),
            text("So it"),
            text(" is."),
            item(2, message()),
            json!({ "type": "response.function_call_arguments.delta", "item_id": "fc1", "delta": "{" }),
            item(3, call()),
            json!({ "type": "response.completed", "response": last }),
        ]
    };
    let want = whole(&response(output.clone())).unwrap();
    // Some servers repeat the output at the end, some leave it empty.
    for last in [output, json!([])] {
        let (answer, done) = streamed(&list(response(last)));
        done.unwrap();
        assert_eq!(answer, want);
    }
    // Nothing but the end is a stream too.
    let (answer, done) = streamed(&[
        json!({ "type": "response.completed", "response": response(json!([thought(), search(), message(), call()])) }),
    ]);
    done.unwrap();
    assert_eq!(answer, want);
}

#[test]
fn numbered_words_that_come_twice_are_given_once() {
    let words = |number: Option<u64>, text: &str| {
        let mut event =
            json!({ "type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "delta": text });
        if let Some(number) = number {
            event["sequence_number"] = json!(number);
        }
        event
    };
    let end = json!({ "type": "response.completed", "response": response(json!([message()])) });
    let said = |list: Vec<Value>| {
        let list: Vec<Value> = list.into_iter().chain([end.clone()]).collect();
        let (events, done) = events(&list);
        done.unwrap();
        let text = |e: &Event| if let Event::Text { text } = e { Some(text.clone()) } else { None };
        events.iter().filter_map(text).collect::<String>()
    };
    let numbered = [(1, "ha"), (2, "ha"), (2, "ha"), (1, "ha"), (3, "!")];
    assert_eq!(said(numbered.map(|(n, text)| words(Some(n), text)).to_vec()), "haha!");
    // A server that cannot count, and one that does not.
    assert_eq!(said(vec![words(Some(0), "ha"), words(Some(0), "ha")]), "haha");
    assert_eq!(said(vec![words(None, "ha"), words(None, "ha")]), "haha");
}

#[test]
fn how_streams_end() {
    let text = json!({ "type": "response.output_text.delta", "item_id": "m1", "delta": "hi" });
    let kind = |list: &[Value]| streamed(list).1.unwrap_err().kind();
    assert_eq!(kind(std::slice::from_ref(&text)), ErrorKind::Truncated);
    let failed = json!({ "type": "response.failed", "response": { "status": "failed", "error": { "code": "rate_limit_exceeded", "message": "slow" } } });
    assert_eq!(kind(&[text.clone(), failed]), ErrorKind::RateLimit);
    let flat = json!({ "type": "error", "code": "server_error", "message": "boom" });
    assert_eq!(kind(&[flat]), ErrorKind::Transient);
    let nested = json!({ "type": "error", "error": { "type": "invalid_request_error", "code": "context_length_exceeded", "message": "long" } });
    assert_eq!(kind(&[nested]), ErrorKind::ContextTooLong);
    for (reason, want) in [("max_output_tokens", FinishReason::Length), ("content_filter", FinishReason::ContentFilter)]
    {
        let end = json!({ "type": "response.incomplete", "response": { "status": "incomplete", "incomplete_details": { "reason": reason } } });
        let (answer, done) = streamed(&[text.clone(), end]);
        done.unwrap();
        assert_eq!((answer.finish, answer.message.text().as_str()), (want, "hi"));
    }
    assert_eq!(
        whole(&json!({ "status": "failed", "error": { "message": "boom" } })).unwrap_err().kind(),
        ErrorKind::Transient
    );
    assert_eq!(
        whole(&json!({ "error": { "message": "no", "type": "invalid_request_error" } })).unwrap_err().kind(),
        ErrorKind::BadRequest
    );
    assert_eq!(whole(&json!({ "hello": 1 })).unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn the_dialect_keeps_its_contract() {
    let output = json!([thought(), search(), message(), call()]);
    let item =
        |at: u64| json!({ "type": "response.output_item.done", "output_index": at, "item": output[at as usize] });
    let text =
        |part: &str| json!({ "type": "response.output_text.delta", "item_id": "m1", "output_index": 2, "delta": part });
    let list = [
        json!({ "type": "response.created", "response": { "id": "r1", "model": "gpt-5", "status": "in_progress" } }),
        item(0),
        item(1),
        text("So "),
        text("it is."),
        json!({ "type": "response.output_text.annotation.added", "item_id": "m1", "annotation": { "type": "url_citation", "url": "https://a", "title": "A" } }),
        item(2),
        item(3),
        json!({ "type": "response.completed", "response": response(output.clone()) }),
    ];
    let stream: String =
        list.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap())).collect();
    let whole = response(output.clone()).to_string();
    let fixtures = [crate::testing::DialectFixture { name: "responses", stream: &stream, whole: Some(&whole) }];
    crate::testing::dialect_conformance(&Responses::new(), &fixtures).unwrap();
}
