//! Requests of ours and the exact bodies they have to become.

use super::Anthropic;
use crate::chat::*;
use crate::error::ErrorKind;
use crate::provider::{Dialect, WireRequest};
use serde_json::{Value, json};

fn wire(request: &Request) -> WireRequest {
    Anthropic::new().encode(request, false).unwrap()
}

fn body(request: &Request) -> Value {
    wire(request).body
}

fn refused(request: &Request) -> (ErrorKind, String) {
    let error = Anthropic::new().encode(request, false).unwrap_err();
    (error.kind(), error.message().to_owned())
}

fn ask(model: &str) -> Request {
    Request::new(model, vec![Message::user("Hello")])
}

fn hello() -> Value {
    json!([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}])
}

#[test]
fn a_plain_request() {
    let request = ask("claude-haiku-4-5").with_max_tokens(64);
    let wire = wire(&request);
    assert_eq!(wire.path, "/v1/messages");
    assert_eq!(wire.headers, [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(wire.body, json!({"model": "claude-haiku-4-5", "max_tokens": 64, "messages": hello()}));
    let streamed = Anthropic::new().encode(&request, true).unwrap().body;
    assert_eq!(streamed, json!({"model": "claude-haiku-4-5", "max_tokens": 64, "messages": hello(), "stream": true}));
}

#[test]
fn the_required_max_tokens_depends_on_the_model() {
    for (model, max) in [("claude-3-haiku-20240307", 4096), ("claude-haiku-4-5", 8192), ("claude-sonnet-5", 16384)] {
        assert_eq!(body(&ask(model))["max_tokens"], max, "{model}");
    }
}

#[test]
fn system_messages_move_to_the_top_in_order_and_empty_text_is_left_out() {
    let request = Request::new(
        "claude-haiku-4-5",
        vec![
            Message::system("One."),
            Message::user("Hello"),
            Message::system("  "),
            Message::system("Two."),
            Message::assistant(""),
        ],
    );
    let body = body(&request);
    assert_eq!(body["system"], json!([{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]));
    assert_eq!(body["messages"], hello());
}

#[test]
fn pictures_and_documents() {
    let pdf = Document {
        title: Some("Report".into()),
        source: DocumentSource::Bytes { media_type: "application/pdf".into(), data: "%PDF"[..].into() },
    };
    let notes = Document { title: None, source: DocumentSource::Text("Some notes".into()) };
    let remote = Document { title: None, source: DocumentSource::Url("https://example.com/a.pdf".into()) };
    let message = Message::user("Look")
        .with_image(Image::bytes("image/png", &b"\x89PNG"[..]))
        .with_image(Image::url("https://example.com/cat.jpg"))
        .with_image(Image::url("data:image/gif;base64,R0lG"))
        .with_part(Part::Document(pdf))
        .with_part(Part::Document(notes))
        .with_part(Part::Document(remote));
    let body = body(&Request::new("claude-haiku-4-5", vec![message]));
    let cite = json!({"enabled": true});
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "text", "text": "Look"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "Report",
                "citations": cite,
            },
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Some notes"},
                "citations": cite,
            },
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "citations": cite},
        ])
    );
}

#[test]
fn documents_are_not_cited_where_the_answer_follows_a_schema() {
    let notes = Document { title: None, source: DocumentSource::Text("Some notes".into()) };
    let message = Message::user("Look").with_part(Part::Document(notes));
    let request = Request::new("claude-haiku-4-5", vec![message]).with_json_schema("s", json!({"type": "object"}));
    assert!(body(&request)["messages"][0]["content"][1].get("citations").is_none());
}

#[test]
fn a_document_of_a_strange_type_is_refused() {
    let source = DocumentSource::Bytes { media_type: "application/zip".into(), data: "PK"[..].into() };
    let message = Message::user("Look").with_part(Part::Document(Document { title: None, source }));
    let (kind, words) = refused(&Request::new("claude-haiku-4-5", vec![message]));
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(words.contains("application/zip") && words.contains("application/pdf"), "{words}");
}

fn add_tool() -> Tool {
    Tool {
        name: "add".into(),
        description: "Adds two numbers.".into(),
        parameters: json!({"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}}),
    }
}

fn call(id: &str, x: u32) -> Part {
    let arguments = json!({"x": x, "y": 1});
    Part::ToolCall(ToolCall { id: id.into(), name: "add".into(), arguments, signature: None })
}

#[test]
fn tools_and_tool_choice() {
    let bare = Tool { name: "now".into(), description: String::new(), parameters: Value::Null };
    let mut request = ask("claude-haiku-4-5").with_tool(add_tool()).with_tool(bare);
    let sent = body(&request);
    assert_eq!(
        sent["tools"],
        json!([
            {
                "name": "add",
                "description": "Adds two numbers.",
                "input_schema": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                },
            },
            {"name": "now", "input_schema": {"type": "object"}},
        ])
    );
    assert!(sent.get("tool_choice").is_none());
    for (choice, expected) in [
        (ToolChoice::None, json!({"type": "none"})),
        (ToolChoice::Required, json!({"type": "any"})),
        (ToolChoice::Named("add".into()), json!({"type": "tool", "name": "add"})),
    ] {
        request.tool_choice = choice;
        assert_eq!(body(&request)["tool_choice"], expected);
    }
    request.tools.clear();
    assert_eq!(refused(&request).0, ErrorKind::InvalidInput);
}

#[test]
fn tool_results_come_first_in_one_user_turn_and_ids_are_made_acceptable() {
    let failed = ToolResult { call_id: "b".into(), name: None, content: "no such file".into(), is_error: true };
    let request = Request::new(
        "claude-haiku-4-5",
        vec![
            Message::user("Add"),
            Message::new(Role::Assistant, vec![call("functions.add:0", 1), call("b", 2)]),
            Message::user("while you are at it: hurry"),
            Message::tool_result("functions.add:0", "add", "2"),
            Message::new(Role::Tool, vec![Part::ToolResult(failed)]),
            Message::tool_result("c", "add", ""),
        ],
    );
    assert_eq!(
        body(&request)["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Add"}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "functions_add_0", "name": "add", "input": {"x": 1, "y": 1}},
                {"type": "tool_use", "id": "b", "name": "add", "input": {"x": 2, "y": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "functions_add_0", "content": "2"},
                {"type": "tool_result", "tool_use_id": "b", "content": "no such file", "is_error": true},
                {"type": "tool_result", "tool_use_id": "c"},
                {"type": "text", "text": "while you are at it: hurry"},
            ]},
        ])
    );
}

#[test]
fn arguments_that_were_cut_off_are_sent_back_in_an_object() {
    let cut = |arguments| {
        let call = ToolCall { id: "a".into(), name: "add".into(), arguments, signature: None };
        let messages = vec![Message::user("Add"), Message::new(Role::Assistant, vec![Part::ToolCall(call)])];
        body(&Request::new("claude-haiku-4-5", messages))["messages"][1]["content"][0]["input"].clone()
    };
    assert_eq!(cut(json!("{\"x\": 1")), json!({"unreadable": "{\"x\": 1"}));
    assert_eq!(cut(json!("{\"x\": 1}")), json!({"x": 1}));
    assert_eq!(cut(Value::Null), json!({}));
}

#[test]
fn own_thinking_goes_back_unchanged_and_that_of_others_is_left_out() {
    let opaque = |value: Value| Part::Reasoning(Reasoning { text: "First I".into(), opaque: Some(value) });
    let parts = vec![
        opaque(json!({"anthropic": {"type": "thinking", "signature": "c2ln"}})),
        opaque(json!({"anthropic": {"type": "redacted_thinking", "data": "ZGF0YQ=="}})),
        opaque(json!({"gemini": {"thought": true, "thoughtSignature": "Z2Vt"}})),
        Part::Reasoning(Reasoning { text: "unsigned".into(), opaque: None }),
        opaque(
            json!({"anthropic": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}}),
        ),
        Part::Text { text: "Done.".into() },
    ];
    let messages = vec![Message::user("Hello"), Message::new(Role::Assistant, parts), Message::user("And?")];
    assert_eq!(
        body(&Request::new("claude-haiku-4-5", messages))["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "First I", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "text", "text": "Done."},
        ])
    );
}

#[test]
fn a_budget_for_models_that_take_one() {
    let sent = body(&ask("claude-haiku-4-5").with_reasoning(ReasoningEffort::Medium));
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 8192}));
    assert_eq!(sent["max_tokens"], 8192 + 8192);
    // Room is left for the answer.
    let sent = body(&ask("claude-haiku-4-5").with_reasoning(ReasoningEffort::High).with_max_tokens(6000));
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 3000}));
    assert_eq!(sent["max_tokens"], 6000);
    let sent = body(&ask("claude-haiku-4-5").with_reasoning(ReasoningEffort::None));
    assert_eq!(sent["thinking"], json!({"type": "disabled"}));
    let (kind, words) = refused(&ask("claude-haiku-4-5").with_reasoning(ReasoningEffort::Low).with_max_tokens(1024));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(words.contains("1024"), "{words}");
}

#[test]
fn effort_for_models_that_adapt() {
    let sent = body(&ask("claude-opus-4-7").with_reasoning(ReasoningEffort::High).with_max_tokens(500));
    assert_eq!(
        sent,
        json!({
            "model": "claude-opus-4-7",
            "max_tokens": 500,
            "messages": hello(),
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "high"},
        })
    );
    let sent = body(&ask("claude-sonnet-5").with_reasoning(ReasoningEffort::Minimal));
    assert_eq!(sent["output_config"], json!({"effort": "low"}));
    let sent = body(&ask("claude-sonnet-5").with_reasoning(ReasoningEffort::None));
    assert_eq!(sent["thinking"], json!({"type": "disabled"}));
    assert!(sent.get("output_config").is_none());
}

#[test]
fn effort_is_a_hint_to_models_that_cannot_follow_it() {
    for effort in [ReasoningEffort::None, ReasoningEffort::Low] {
        let sent = body(&ask("claude-3-haiku-20240307").with_reasoning(effort));
        assert_eq!(sent, body(&ask("claude-3-haiku-20240307")));
    }
    // It always thinks: as little as it can, then.
    let sent = body(&ask("claude-fable-5").with_reasoning(ReasoningEffort::None));
    assert_eq!(sent["thinking"]["type"], "adaptive");
    assert_eq!(sent["output_config"], json!({"effort": "low"}));
}

#[test]
fn a_forced_tool_wins_over_thinking() {
    let mut request = ask("claude-sonnet-4-6").with_tool(add_tool()).with_reasoning(ReasoningEffort::High);
    request.tool_choice = ToolChoice::Required;
    let sent = body(&request);
    assert!(sent.get("thinking").is_none());
    assert_eq!(sent["output_config"], json!({"effort": "high"}));
    assert_eq!(sent["tool_choice"], json!({"type": "any"}));
}

#[test]
fn a_tool_loop_that_another_model_began_goes_on_without_a_budget() {
    let thought =
        Reasoning { text: "Hm".into(), opaque: Some(json!({"anthropic": {"type": "thinking", "signature": "c2ln"}})) };
    let turns = |first: Option<Reasoning>| {
        let mut parts: Vec<Part> = first.into_iter().map(Part::Reasoning).collect();
        parts.push(call("a", 1));
        vec![Message::user("Add"), Message::new(Role::Assistant, parts), Message::tool_result("a", "add", "2")]
    };
    let sent = |messages| body(&Request::new("claude-haiku-4-5", messages).with_reasoning(ReasoningEffort::Low));
    assert!(sent(turns(None)).get("thinking").is_none());
    assert_eq!(sent(turns(Some(thought)))["thinking"]["type"], "enabled");
}

#[test]
fn a_schema_in_the_subset_that_the_api_knows() {
    let schema =
        json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]});
    let sent =
        body(&ask("claude-sonnet-5").with_json_schema("person", schema.clone()).with_reasoning(ReasoningEffort::Low));
    assert_eq!(
        sent["output_config"],
        json!({
            "effort": "low",
            "format": {"type": "json_schema", "schema": {
                "type": "object",
                "properties": {"age": {"type": "integer", "description": "{\"minimum\":0}"}},
                "required": ["age"],
                "additionalProperties": false,
            }},
        })
    );
    assert_eq!(refused(&ask("claude-3-7-sonnet-latest").with_json_schema("person", schema)).0, ErrorKind::Unsupported);
    assert_eq!(refused(&ask("claude-sonnet-5").with_json_schema("person", json!(1))).0, ErrorKind::InvalidInput);
}

#[test]
fn any_json_is_asked_for_in_words() {
    let mut request = ask("claude-haiku-4-5");
    request.output = OutputFormat::Json;
    let sent = body(&request);
    assert_eq!(sent["system"][0]["text"], "Answer with one JSON object and nothing else, no code fence.");
}

#[test]
fn sampling_as_far_as_the_model_takes_it() {
    let mut request = ask("claude-haiku-4-5").with_temperature(1.7);
    request.top_p = Some(0.9);
    request.seed = Some(7);
    request.stop = vec!["END".into(), String::new()];
    let sent = body(&request);
    assert_eq!(sent["temperature"], 1.0);
    assert!(sent.get("top_p").is_none() && sent.get("seed").is_none());
    assert_eq!(sent["stop_sequences"], json!(["END"]));
    request.temperature = None;
    assert_eq!(body(&request)["top_p"], 0.9);
    request.temperature = Some(0.2);
    assert_eq!(body(&request)["temperature"], 0.2);

    // Dropped while thinking, and by models that know no sampling.
    assert!(body(&request.clone().with_reasoning(ReasoningEffort::Low)).get("temperature").is_none());
    request.model = "claude-opus-4-7".into();
    assert!(body(&request).get("temperature").is_none());

    request.stop = vec!["\n".into()];
    assert_eq!(refused(&request).0, ErrorKind::Unsupported);
    assert_eq!(refused(&ask("claude-haiku-4-5").with_temperature(f32::NAN)).0, ErrorKind::InvalidInput);
}

#[test]
fn one_cache_mark_at_the_end_of_the_stable_prefix() {
    let mut request = Request::new(
        "claude-haiku-4-5",
        vec![Message::system("One."), Message::system("Two."), Message::user("Hello")],
    )
    .with_tool(add_tool());
    request.cache_prefix = true;
    let sent = body(&request);
    let mark = json!({"type": "ephemeral"});
    assert!(sent["system"][0].get("cache_control").is_none());
    assert_eq!(sent["system"][1]["cache_control"], mark);
    assert!(sent["tools"][0].get("cache_control").is_none());
    request.messages.drain(..2);
    assert_eq!(body(&request)["tools"][0]["cache_control"], mark);
}

#[test]
fn extra_fields_win_and_betas_become_a_header() {
    let mut request = ask("claude-sonnet-5").with_reasoning(ReasoningEffort::Low);
    request.extra = json!({
        "service_tier": "standard_only",
        "output_config": {"effort": "max"},
        "anthropic_beta": ["one-2025-01-01", "two-2026-01-01"],
    })
    .as_object()
    .unwrap()
    .clone();
    let sent = wire(&request);
    assert_eq!(sent.body["service_tier"], "standard_only");
    assert_eq!(sent.body["output_config"], json!({"effort": "max"}));
    assert!(sent.body.get("anthropic_beta").is_none());
    assert_eq!(sent.headers[1], ("anthropic-beta", "one-2025-01-01,two-2026-01-01".to_owned()));
    request.extra.insert("anthropic_beta".into(), json!("a\r\nb: c"));
    assert_eq!(refused(&request).0, ErrorKind::InvalidInput);
}

#[test]
fn a_prefill_ends_without_white_space() {
    let messages = vec![Message::user("Hello"), Message::assistant("It is ")];
    let sent = body(&Request::new("claude-haiku-4-5", messages));
    assert_eq!(sent["messages"][1]["content"][0]["text"], "It is");
}

#[test]
fn parts_in_the_wrong_place_are_refused() {
    for message in [
        Message::new(Role::Assistant, vec![Part::Image(Image::url("https://example.com/a.png"))]),
        Message::new(Role::User, vec![call("a", 1)]),
        Message::new(Role::System, vec![call("a", 1)]),
    ] {
        let request = Request::new("claude-haiku-4-5", vec![Message::user("Hello"), message]);
        assert_eq!(refused(&request).0, ErrorKind::Unsupported);
    }
}

#[test]
fn an_answer_is_gone_on_with_by_models_before_4_6_that_do_not_think() {
    let mut request = Request::new("claude-sonnet-4-5", vec![Message::user("q"), Message::assistant("half")]);
    assert!(Anthropic::new().can_resume(&request));
    request.reasoning = Some(ReasoningEffort::None);
    assert!(Anthropic::new().can_resume(&request));
    request.reasoning = Some(ReasoningEffort::Low);
    assert!(!Anthropic::new().can_resume(&request));
    request.model = "claude-sonnet-4-6".into();
    request.reasoning = None;
    assert!(!Anthropic::new().can_resume(&request));
}
