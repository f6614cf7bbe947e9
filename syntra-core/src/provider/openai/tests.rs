use super::*;
use crate::chat::{
    Citation, Document, DocumentSource, Event, FinishReason, Image, Message, NanoDollars, OutputFormat, Part,
    Reasoning, ReasoningEffort, Request, ResponseBuilder, Role, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::error::ErrorKind;
use crate::transport::{FrameDecoder, Framing};
use serde_json::{Value, json};

fn body(quirks: ChatQuirks, request: &Request) -> Value {
    Chat::with_quirks(quirks).encode(request, false).unwrap().body
}

fn refused(quirks: ChatQuirks, request: &Request) -> ErrorKind {
    Chat::with_quirks(quirks).encode(request, false).unwrap_err().kind()
}

/// The events of a stream, and how it ended.
fn events(text: &str) -> (Vec<Event>, Result<()>) {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    let mut cutter = FrameDecoder::new(Framing::Sse);
    cutter.push(text.as_bytes(), &mut frames).unwrap();
    cutter.finish(&mut frames).unwrap();
    let mut decoder = Chat::new().stream_decoder();
    let done = frames.iter().try_for_each(|f| decoder.frame(f, &mut events)).and_then(|()| decoder.finish(&mut events));
    (events, done)
}

/// A stream of these chunks, each with `choices[0]` as given, folded.
fn streamed(chunks: &[Value]) -> (Response, Result<()>) {
    let text: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
    let (events, done) = events(&(text + "data: [DONE]\n\n"));
    let mut answer = ResponseBuilder::new();
    events.iter().for_each(|e| answer.push(e));
    (answer.build(), done)
}

fn delta(delta: Value) -> Value {
    json!({ "id": "c1", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

fn weather() -> Tool {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    Tool { name: "weather".into(), description: "Tells the weather".into(), parameters }
}

#[test]
fn a_request_in_all_its_parts() {
    let mut request = Request::new(
        "m",
        vec![
            Message::system("Be brief."),
            Message::user("What is this?").with_image(Image::bytes("image/png", &b"abc"[..])),
            Message::new(
                Role::Assistant,
                vec![
                    Part::Reasoning(Reasoning { text: "hm".into(), opaque: None }),
                    Part::ToolCall(ToolCall {
                        id: "t1".into(),
                        name: "weather".into(),
                        arguments: json!({ "city": "Riga" }),
                        signature: None,
                    }),
                ],
            ),
            Message::tool_result("t1", "weather", "rain"),
        ],
    )
    .with_tool(weather())
    .with_max_tokens(9)
    .with_temperature(0.2);
    request.top_p = Some(0.9);
    request.stop = vec!["END".into()];
    request.seed = Some(7);
    request.tool_choice = ToolChoice::Named("weather".into());
    request.extra.insert("temperature".into(), json!(0.5));
    request.extra.insert("logprobs".into(), json!(true));
    assert_eq!(
        body(ChatQuirks::default(), &request),
        json!({
            "model": "m",
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [
                    { "type": "text", "text": "What is this?" },
                    { "type": "image_url", "image_url": { "url": "data:image/png;base64,YWJj" } },
                ] },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "t1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Riga\"}" } },
                ] },
                { "role": "tool", "tool_call_id": "t1", "content": "rain" },
            ],
            "tools": [{ "type": "function", "function": {
                "name": "weather", "description": "Tells the weather", "parameters": weather().parameters } }],
            "tool_choice": { "type": "function", "function": { "name": "weather" } },
            "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 7, "logprobs": true,
        })
    );
    let wire = Chat::new().encode(&request, true).unwrap();
    assert_eq!(wire.path, "/chat/completions");
    assert_eq!(wire.body["stream_options"], json!({ "include_usage": true }));
}

#[test]
fn several_results_become_several_messages() {
    let result =
        |id: &str| Part::ToolResult(ToolResult { call_id: id.into(), name: None, content: id.into(), is_error: false });
    let request = Request::new(
        "m",
        vec![Message::new(Role::User, vec![result("a"), result("b")]).with_part(Part::Text { text: "go on".into() })],
    );
    assert_eq!(
        body(ChatQuirks::default(), &request)["messages"],
        json!([
            { "role": "tool", "tool_call_id": "a", "content": "a" },
            { "role": "tool", "tool_call_id": "b", "content": "b" },
            { "role": "user", "content": "go on" },
        ])
    );
}

#[test]
fn servers_differ_by_their_quirks() {
    let mut request = Request::new("o4-mini", vec![Message::system("s"), Message::user("u")])
        .with_max_tokens(5)
        .with_temperature(1.0);
    request.reasoning = Some(ReasoningEffort::Low);
    request.cache_prefix = true;
    let openai = ChatQuirks { reasoning: ReasoningField::OpenAi, fixed_sampling: true, ..ChatQuirks::default() };
    let wire = body(openai.clone(), &request);
    assert_eq!(wire["max_completion_tokens"], 5, "a reasoning model knows no max_tokens");
    assert_eq!(wire["reasoning_effort"], "low");
    assert!(wire.get("temperature").is_none(), "a reasoning model of OpenAI refuses it");
    request.model = "gpt-4o".into();
    let wire = body(openai, &request);
    assert_eq!((&wire["temperature"], &wire["max_tokens"]), (&json!(1.0), &json!(5)));
    assert!(wire.get("reasoning_effort").is_none(), "another model of OpenAI refuses that");
    for (field, name, want) in [
        (ReasoningField::Object, "reasoning", json!({ "effort": "low" })),
        (ReasoningField::Thinking, "thinking", json!({ "type": "enabled" })),
        (ReasoningField::Template, "chat_template_kwargs", json!({ "enable_thinking": true })),
        (ReasoningField::Effort, "reasoning_effort", json!("low")),
    ] {
        assert_eq!(body(ChatQuirks { reasoning: field, ..ChatQuirks::default() }, &request)[name], want);
    }
    let marked = body(ChatQuirks { cache_marks: true, ..ChatQuirks::default() }, &request);
    assert_eq!(marked["messages"][0]["content"][0]["cache_control"], json!({ "type": "ephemeral" }));
    assert_eq!(marked["messages"][1]["content"], "u");
}

#[test]
fn effort_is_said_in_words_that_the_model_knows() {
    use ReasoningEffort::{High, Minimal, None};
    for (model, effort, want) in [
        ("o3", None, "low"),
        ("o4-mini", Minimal, "low"),
        ("o3", High, "high"),
        ("gpt-5", None, "minimal"),
        ("gpt-5-mini", Minimal, "minimal"),
        ("gpt-5.1", None, "none"),
        ("openai/gpt-5.2", Minimal, "none"),
    ] {
        assert_eq!(openai_effort(model, effort), want, "{model}");
    }
}

#[test]
fn openai_reasoning_models_are_known_by_name() {
    for name in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.1", "gpt-5-mini", "openai/gpt-5.2"] {
        assert!(is_openai_reasoning_model(name), "{name}");
    }
    for name in ["gpt-4o", "gpt-4.1", "gpt-3.5-turbo", "gpt-5-chat-latest", "omni", "gpt-oss", "chatgpt-4o-latest"] {
        assert!(!is_openai_reasoning_model(name), "{name}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_before_sending() {
    let user = || vec![Message::user("u")];
    let plain = ChatQuirks::default;
    let schema = Request::new("m", user()).with_json_schema("s", json!({ "type": "object" }));
    assert_eq!(refused(ChatQuirks { json: JsonSupport::ObjectOnly, ..plain() }, &schema), ErrorKind::Unsupported);
    let tools = Request::new("m", user()).with_tool(weather());
    assert_eq!(refused(ChatQuirks { tools: false, ..plain() }, &tools), ErrorKind::Unsupported);
    let mut stop = Request::new("m", user());
    stop.stop = vec!["x".into()];
    assert_eq!(refused(ChatQuirks { stop: false, ..plain() }, &stop), ErrorKind::Unsupported);
    let file = DocumentSource::Bytes { media_type: "application/pdf".into(), data: (&b"%PDF"[..]).into() };
    let document = Message::user("read").with_part(Part::Document(Document { title: None, source: file }));
    let document = Request::new("m", vec![document]);
    assert_eq!(refused(plain(), &document), ErrorKind::Unsupported);
    let wire = body(ChatQuirks { documents: DocumentField::File, ..plain() }, &document);
    assert_eq!(wire["messages"][0]["content"][1]["file"]["file_data"], "data:application/pdf;base64,JVBERg==");
    assert_eq!(refused(plain(), &Request::new("m", vec![])), ErrorKind::InvalidInput);
    assert_eq!(refused(plain(), &Request::new(" ", user())), ErrorKind::InvalidInput);
    let mut choice = Request::new("m", user());
    choice.tool_choice = ToolChoice::Named("gone".into());
    assert_eq!(refused(plain(), &choice), ErrorKind::InvalidInput);
    assert_eq!(refused(plain(), &Request::new("m", user()).with_temperature(f32::NAN)), ErrorKind::InvalidInput);
    assert_eq!(refused(plain(), &Request::new("m", vec![Message::new(Role::Tool, vec![])])), ErrorKind::InvalidInput);
}

#[test]
fn strict_schemas_only_where_they_are_taken() {
    let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    assert!(strict_ready(&closed));
    assert!(!strict_ready(&weather().parameters));
    let nested = json!({ "type": "object", "properties": { "l": { "type": "array", "items": { "type": "object" } } },
        "required": ["l"], "additionalProperties": false });
    assert!(!strict_ready(&nested));
    let mut request = Request::new("m", vec![Message::user("u")]).with_json_schema("s", closed.clone());
    let format = &body(ChatQuirks::default(), &request)["response_format"];
    assert_eq!(
        *format,
        json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": closed, "strict": true } })
    );
    request.output = OutputFormat::Json;
    assert_eq!(body(ChatQuirks::default(), &request)["response_format"], json!({ "type": "json_object" }));
}

#[test]
fn thinking_goes_back_as_it_came() {
    let details = json!([{ "type": "reasoning.encrypted", "data": "xyz", "index": 0 }]);
    let answer = json!({ "id": "g", "choices": [{ "message": {
        "content": null, "reasoning": "hm", "reasoning_details": details,
        "tool_calls": [{ "id": "t", "function": { "name": "weather", "arguments": "{}" } }] },
        "finish_reason": "tool_calls" }] });
    let answer = Chat::new().decode(answer.to_string().as_bytes()).unwrap();
    assert_eq!(answer.reasoning(), "hm");
    let request =
        Request::new("m", vec![Message::user("u"), answer.message, Message::tool_result("t", "weather", "ok")]);
    let wire = body(ChatQuirks { echo_reasoning: true, ..ChatQuirks::default() }, &request);
    assert_eq!(wire["messages"][1]["reasoning_details"], details);
    assert_eq!(wire["messages"][1]["reasoning_content"], "hm");
    assert!(body(ChatQuirks::default(), &request)["messages"][1].get("reasoning_content").is_none());
}

#[test]
fn tool_calls_in_pieces_however_they_are_numbered() {
    let call = |value: Value| delta(json!({ "tool_calls": [value] }));
    let want = [("a", json!({ "x": 1 })), ("b", json!({}))];
    for (how, chunks) in [
        (
            "by number",
            vec![
                call(json!({ "index": 0, "id": "1", "function": { "name": "a", "arguments": "" } })),
                call(json!({ "index": 0, "function": { "arguments": "{\"x\":" } })),
                call(json!({ "index": 1, "id": "2", "function": { "name": "b", "arguments": "" } })),
                call(json!({ "index": 0, "function": { "arguments": "1}" } })),
            ],
        ),
        (
            "all zero, told apart by id",
            vec![
                call(json!({ "index": 0, "id": "1", "function": { "name": "a", "arguments": "{\"x\":1}" } })),
                call(json!({ "index": 0, "id": "2", "function": { "name": "b", "arguments": "{}" } })),
            ],
        ),
        (
            "all zero, no id",
            vec![
                call(json!({ "index": 0, "id": "", "function": { "name": "a", "arguments": "{\"x\":1}" } })),
                call(json!({ "index": 0, "id": "", "function": { "name": "b", "arguments": "{}" } })),
            ],
        ),
        (
            "no number, arguments parsed",
            vec![
                call(json!({ "id": "1", "function": { "name": "a", "arguments": { "x": 1 } } })),
                call(json!({ "id": "2", "function": { "name": "b", "arguments": null } })),
            ],
        ),
        (
            "a new id for each piece",
            vec![
                call(json!({ "index": 0, "id": "1", "function": { "name": "a", "arguments": "{\"x\"" } })),
                call(json!({ "index": 0, "id": "1b", "function": { "arguments": ":1}" } })),
                call(json!({ "index": 1, "id": "2", "function": { "name": "b" } })),
            ],
        ),
    ] {
        let chunks = [chunks, vec![finish("stop")]].concat();
        let (answer, done) = streamed(&chunks);
        done.unwrap();
        let calls: Vec<_> = answer.tool_calls().iter().map(|c| (c.name.as_str(), c.arguments.clone())).collect();
        assert_eq!(calls, want, "{how}");
        assert_eq!(answer.finish, FinishReason::ToolCalls, "{how}");
        assert!(answer.tool_calls().iter().all(|c| !c.id.is_empty()), "{how}");
    }
}

#[test]
fn arguments_cut_off_stay_as_text() {
    let cut = delta(
        json!({ "tool_calls": [{ "index": 0, "id": "1", "function": { "name": "a", "arguments": "{\"x\":" } }] }),
    );
    let (answer, done) = streamed(&[cut, finish("length")]);
    done.unwrap();
    assert_eq!(answer.tool_calls()[0].arguments, json!("{\"x\":"));
    assert_eq!(answer.finish, FinishReason::Length);
    // And go back as they came.
    let request = Request::new("m", vec![Message::user("u"), answer.message]);
    assert_eq!(
        body(ChatQuirks::default(), &request)["messages"][1]["tool_calls"][0]["function"]["arguments"],
        "{\"x\":"
    );
}

#[test]
fn the_first_of_several_answers_is_the_answer() {
    let other = json!({ "choices": [{ "index": 1, "delta": { "content": "no" }, "finish_reason": "length" }] });
    let (answer, done) = streamed(&[other.clone(), delta(json!({ "content": "yes" })), other, finish("stop")]);
    done.unwrap();
    assert_eq!((answer.text().as_str(), answer.finish), ("yes", FinishReason::Stop));
}

#[test]
fn usage_in_every_spelling() {
    let count = |usage: Value| {
        let whole = json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }], "usage": usage });
        Chat::new().decode(whole.to_string().as_bytes()).unwrap().usage
    };
    let openai =
        count(json!({ "prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": { "cached_tokens": 4 },
        "completion_tokens_details": { "reasoning_tokens": 2 } }));
    assert_eq!((openai.input_tokens, openai.output_tokens), (Some(9), Some(5)));
    assert_eq!(
        (openai.cached_input_tokens, openai.cache_write_tokens, openai.reasoning_tokens),
        (Some(4), None, Some(2))
    );
    assert_eq!(count(json!({ "prompt_tokens": 9, "cached_tokens": 3 })).cached_input_tokens, Some(3));
    assert_eq!(count(json!({ "prompt_tokens": 9, "prompt_cache_hit_tokens": 2 })).cached_input_tokens, Some(2));
    let router =
        count(json!({ "prompt_tokens": 1, "cost": 0.00021675, "prompt_tokens_details": { "cache_write_tokens": 8 } }));
    assert_eq!((router.provider_cost, router.cache_write_tokens), (Some(NanoDollars::from_nanos(216_750)), Some(8)));
    let perplexity = count(json!({ "prompt_tokens": 1, "cost": { "total_cost": 0.005, "request_cost": 0.005 } }));
    assert_eq!(perplexity.provider_cost, Some(NanoDollars::from_nanos(5_000_000)));
    // xAI's reasoning stands beside the output, as its total shows.
    let xai = count(
        json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35, "completion_tokens_details": { "reasoning_tokens": 20 } }),
    );
    assert_eq!(xai.output_tokens, Some(25));
    // Kimi's stands in the choice, Groq's in a corner, llama.cpp's may be timings alone.
    let kimi = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop", "usage": { "prompt_tokens": 3, "completion_tokens": 1 } }] });
    assert_eq!(streamed(&[kimi]).0.usage.input_tokens, Some(3));
    let groq = json!({ "choices": [], "x_groq": { "usage": { "prompt_tokens": 4 } } });
    assert_eq!(streamed(&[finish("stop"), groq]).0.usage.input_tokens, Some(4));
    let timings = json!({ "choices": [], "timings": { "cache_n": 2, "prompt_n": 3, "predicted_n": 7 } });
    let usage = streamed(&[finish("stop"), timings]).0.usage;
    assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.output_tokens), (Some(5), Some(2), Some(7)));
    // Of running counts the last one is the count.
    let running = |n: u64| json!({ "choices": [], "usage": { "prompt_tokens": 1, "completion_tokens": n } });
    assert_eq!(streamed(&[running(1), running(2), finish("stop"), running(9)]).0.usage.output_tokens, Some(9));
}

#[test]
fn sources_in_every_spelling() {
    let chunk = |mut value: Value, key: &str, list: Value| {
        value[key] = list;
        value
    };
    let cited = json!(["https://a", "https://b", "https://a"]);
    let results = json!([{ "url": "https://b", "title": "B", "snippet": "bb" }, { "url": "https://c", "title": "C" }]);
    let first =
        chunk(chunk(delta(json!({ "content": "x[1]" })), "citations", cited), "search_results", results.clone());
    let (answer, _) = streamed(&[first.clone(), first, finish("stop")]);
    let bare = |url: &str| Citation { url: url.into(), ..Citation::default() };
    let b = Citation { url: "https://b".into(), title: Some("B".into()), snippet: Some("bb".into()) };
    assert_eq!(answer.citations, [bare("https://a"), b.clone()]);
    // Without citations the search results are the sources.
    let (answer, _) = streamed(&[chunk(delta(json!({ "content": "x" })), "search_results", results), finish("stop")]);
    assert_eq!(answer.citations.len(), 2);
    let annotation =
        json!({ "type": "url_citation", "url_citation": { "url": "https://b", "title": "B", "content": "bb" } });
    let (answer, _) =
        streamed(&[delta(json!({ "annotations": [annotation, { "type": "file", "file": {} }] })), finish("stop")]);
    assert_eq!(answer.citations, [b]);
}

#[test]
fn reasoning_in_every_spelling_once() {
    for chunk in [
        json!({ "reasoning_content": "hm" }),
        json!({ "reasoning": "hm" }),
        json!({ "reasoning": "hm", "reasoning_content": "hm" }),
        json!({ "reasoning": "hm", "reasoning_details": [{ "type": "reasoning.text", "text": "hm", "index": 0 }] }),
        json!({ "reasoning_details": [{ "type": "reasoning.summary", "summary": "hm", "index": 0 }] }),
        json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }] }),
    ] {
        let (answer, done) = streamed(&[delta(chunk.clone()), delta(json!({ "content": "so" })), finish("stop")]);
        done.unwrap();
        assert_eq!((answer.reasoning().as_str(), answer.text().as_str()), ("hm", "so"), "{chunk}");
    }
    // Pieces of one detail go back as one.
    let piece =
        |text: &str| delta(json!({ "reasoning_details": [{ "type": "reasoning.text", "text": text, "index": 0 }] }));
    let (answer, _) = streamed(&[piece("a"), piece("b"), delta(json!({ "content": "c" })), finish("stop")]);
    let Part::Reasoning(reasoning) = &answer.message.parts[0] else { panic!("reasoning comes first") };
    assert_eq!(reasoning.opaque, Some(json!({ "chat": [{ "type": "reasoning.text", "text": "ab", "index": 0 }] })));
}

#[test]
fn refusals_and_filters() {
    let (answer, _) =
        streamed(&[delta(json!({ "refusal": "I can" })), delta(json!({ "refusal": "not." })), finish("stop")]);
    assert_eq!(answer.refusal.as_deref(), Some("I cannot."));
    assert_eq!(streamed(&[finish("content_filter")]).0.finish, FinishReason::ContentFilter);
    assert_eq!(streamed(&[finish("eos_token")]).0.finish, FinishReason::Stop);
    assert_eq!(streamed(&[finish("something")]).0.finish, FinishReason::Other("something".into()));
    assert_eq!(streamed(&[finish("insufficient_system_resource")]).1.unwrap_err().kind(), ErrorKind::Overloaded);
}

#[test]
fn how_streams_end() {
    let say = delta(json!({ "content": "hi", "obfuscation": "padding" }));
    let end = |text: String| {
        let (events, done) = events(&text);
        (events.len(), done.map_err(|e| e.kind()))
    };
    // Either mark is an end, neither is none.
    assert!(end(format!("data: {say}\n\ndata: {}\n\n", finish("stop"))).1.is_ok());
    assert!(end(format!("data: {say}\n\ndata: [DONE]\n\n")).1.is_ok());
    assert_eq!(end(format!("data: {say}\n\n")).1, Err(ErrorKind::Truncated));
    assert_eq!(end(String::new()).1, Err(ErrorKind::Truncated));
    assert_eq!(end(format!("data: {say}\n\ndata: {{\"cho")).1, Err(ErrorKind::Truncated));
    assert_eq!(end("data: nonsense\n\n".into()).1, Err(ErrorKind::Decode));
    // Nothing counts after the end.
    let (all, done) = events(&format!("data: {say}\n\ndata: [DONE]\n\ndata: {say}\n\n"));
    assert!(done.is_ok() && matches!(all.last(), Some(Event::Finish { reason: FinishReason::Stop })));
}

#[test]
fn errors_inside_a_200() {
    let whole = |text: &str| Chat::new().decode(text.as_bytes()).unwrap_err().kind();
    assert_eq!(whole(r#"{"error":{"code":502,"message":"Provider returned error"}}"#), ErrorKind::Transient);
    assert_eq!(whole(r#"{"choices":[]}"#), ErrorKind::Decode);
    assert_eq!(whole(r#"{"choices":[{"mess"#), ErrorKind::Decode);
    assert_eq!(whole("[]"), ErrorKind::Decode);
    let mut failed = delta(json!({ "content": "lo" }));
    failed["error"] = json!({ "code": 429, "message": "slow down" });
    failed["usage"] = json!({ "prompt_tokens": 3 });
    let (all, done) = events(&format!("data: {}\n\ndata: {failed}\n\n", delta(json!({ "content": "hel" }))));
    assert_eq!(done.unwrap_err().kind(), ErrorKind::RateLimit);
    let mut answer = ResponseBuilder::new();
    all.iter().for_each(|e| answer.push(e));
    assert_eq!(answer.usage().input_tokens, Some(3), "the tokens it cost are told");
    assert_eq!(answer.build().text(), "hello", "and so is what was said");
    let (_, done) = events("event: error\ndata: {\"message\":\"boom\",\"type\":\"server_error\"}\n\n");
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Transient);
}

#[test]
fn the_dialect_keeps_its_contract() {
    let usage =
        r#""usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"cost":0.5}"#;
    let details = r#"[{"type":"reasoning.encrypted","data":"zz","index":0}]"#;
    let stream = [
        ": keep-alive\n\n".to_owned(),
        format!(r#"data: {{"id":"c1","model":"m","choices":[{{"index":0,"delta":{{"role":"assistant","content":"","reasoning":"hm é","reasoning_details":{details}}}}}]}}"#),
        r#"data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hél"}},{"index":1,"delta":{"content":"no"}}],"citations":["https://a"]}"#.into(),
        r#"data: {"id":"c1","choices":[{"index":0,"delta":{"content":"lo 😊","refusal":null}}],"citations":["https://a"]}"#.into(),
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"add","arguments":"{\"x\":"}}]}}]}"#.into(),
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"id":"t2","function":{"name":"now","arguments":""}}]}}]}"#.into(),
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.into(),
        format!(r#"data: {{"choices":[],{usage}}}"#),
        "data: [DONE]".into(),
    ]
    .join("\r\n\r\n")
        + "\r\n\r\n";
    let whole = format!(
        r#"{{"id":"c1","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"Héllo 😊","reasoning":"hm é","reasoning_details":{details},
        "tool_calls":[{{"id":"t1","type":"function","function":{{"name":"add","arguments":"{{\"x\":1}}"}}}},{{"id":"t2","type":"function","function":{{"name":"now","arguments":""}}}}]}},
        "finish_reason":"tool_calls"}},{{"index":1,"message":{{"content":"no"}}}}],"citations":["https://a"],{usage}}}"#
    );
    let fixtures = [crate::testing::DialectFixture { name: "chat", stream: &stream, whole: Some(&whole) }];
    let dialect = Chat::with_quirks(ChatQuirks { echo_reasoning: true, ..ChatQuirks::default() });
    crate::testing::dialect_conformance(&dialect, &fixtures).unwrap();
}

#[test]
fn the_last_words_of_the_assistant_are_gone_on_with_as_the_server_wants_it() {
    let mut request = Request::new("m", vec![Message::user("q"), Message::assistant("The tides are")]);
    let with = |prefill| ChatQuirks { prefill, ..ChatQuirks::default() };
    let plain = body(with(Prefill::None), &request);
    assert!(plain["messages"][1].get("partial").is_none());
    assert_eq!(body(with(Prefill::Partial), &request)["messages"][1]["partial"], json!(true));
    assert_eq!(body(with(Prefill::NotThinking), &request)["chat_template_kwargs"], json!({ "enable_thinking": false }));
    // Only words of its own at the very end are such a beginning.
    request.messages.push(Message::user("and?"));
    assert_eq!(body(with(Prefill::Partial), &request), body(with(Prefill::None), &request));
}

#[test]
fn which_models_go_on_is_known_by_server_and_name() {
    use ReasoningEffort::{High, None as Off};
    for (prefill, model, reasoning, can) in [
        (Prefill::None, "gpt-4o", None, false),
        (Prefill::Partial, "moonshot-v1-32k", None, true),
        (Prefill::Partial, "kimi-k2-0905-preview", None, true),
        (Prefill::Partial, "kimi-k2-thinking", Some(Off), false),
        (Prefill::Partial, "kimi-k2.6", None, false),
        (Prefill::Partial, "kimi-k2.6", Some(Off), true),
        (Prefill::NotThinking, "any", None, true),
        (Prefill::NotThinking, "any", Some(High), false),
        (Prefill::Claude, "anthropic/claude-sonnet-4.5", None, true),
        (Prefill::Claude, "anthropic/claude-sonnet-4.6", None, false),
        (Prefill::Claude, "openai/gpt-4o", None, false),
        (Prefill::Llama, "llama-3.3-70b-versatile", None, true),
        (Prefill::Llama, "openai/gpt-oss-120b", None, false),
    ] {
        let mut request = Request::new(model, vec![Message::user("q"), Message::assistant("half")]);
        request.reasoning = reasoning;
        let chat = Chat::with_quirks(ChatQuirks { prefill, ..ChatQuirks::default() });
        assert_eq!(chat.can_resume(&request), can, "{prefill:?} {model} {reasoning:?}");
    }
}
