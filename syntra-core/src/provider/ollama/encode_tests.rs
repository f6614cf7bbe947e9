//! Requests of ours and the exact bodies they have to become.

use super::Ollama;
use crate::chat::*;
use crate::error::ErrorKind;
use crate::provider::Dialect;
use serde_json::{Value, json};

fn body(request: &Request) -> Value {
    let wire = Ollama::new().encode(request, false).unwrap();
    assert_eq!((wire.path.as_str(), wire.headers.len()), ("/api/chat", 0));
    wire.body
}

fn refused(request: &Request) -> ErrorKind {
    Ollama::new().encode(request, false).unwrap_err().kind()
}

fn ask(model: &str) -> Request {
    Request::new(model, vec![Message::user("Hello")])
}

#[test]
fn a_plain_request() {
    let mut request = Request::new("qwen3:4b", vec![Message::system("Be brief."), Message::user("Hello")])
        .with_max_tokens(64)
        .with_temperature(0.2);
    request.top_p = Some(0.9);
    request.stop = vec!["END".into(), String::new()];
    request.seed = Some(u64::MAX);
    let mut expected = json!({
        "model": "qwen3:4b",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "stream": false,
        "options": {"num_predict": 64, "temperature": 0.2, "top_p": 0.9, "stop": ["END"], "seed": i64::MAX},
    });
    assert_eq!(body(&request), expected);
    expected["stream"] = json!(true);
    assert_eq!(Ollama::new().encode(&request, true).unwrap().body, expected);
}

#[test]
fn pictures_as_base64_and_documents_as_text() {
    let notes = Document { title: Some("Notes".into()), source: DocumentSource::Text("Some notes".into()) };
    let message = Message::user("Look")
        .with_image(Image::bytes("image/png", &b"\x89PNG"[..]))
        .with_image(Image::url("data:image/gif;base64,R0lG"))
        .with_part(Part::Document(notes));
    assert_eq!(
        body(&Request::new("gemma3:4b", vec![message]))["messages"],
        json!([{"role": "user", "content": "Look\n\nNotes\n\nSome notes", "images": ["iVBORw==", "R0lG"]}])
    );
    let remote = Message::user("Look").with_image(Image::url("https://example.com/cat.png"));
    assert_eq!(refused(&Request::new("gemma3:4b", vec![remote])), ErrorKind::Unsupported);
    let pdf = DocumentSource::Bytes { media_type: "application/pdf".into(), data: "%PDF"[..].into() };
    let pdf = Message::user("Look").with_part(Part::Document(Document { title: None, source: pdf }));
    assert_eq!(refused(&Request::new("gemma3:4b", vec![pdf])), ErrorKind::Unsupported);
}

fn add_tool() -> Tool {
    let parameters = json!({"type": "object", "properties": {"x": {"type": "number"}}});
    Tool { name: "add".into(), description: "Adds.".into(), parameters }
}

#[test]
fn tools_calls_and_results() {
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({"x": 1}), signature: None };
    let parts = vec![
        Part::Reasoning(Reasoning { text: "Add, then.".into(), opaque: None }),
        Part::Reasoning(Reasoning { text: "hidden".into(), opaque: Some(json!({"anthropic": {}})) }),
        Part::ToolCall(call),
    ];
    let nameless = ToolResult { call_id: "c1".into(), name: None, content: "2".into(), is_error: false };
    let request = Request::new(
        "qwen3:4b",
        vec![
            Message::user("Add"),
            Message::new(Role::Assistant, parts),
            Message::new(Role::Tool, vec![Part::ToolResult(nameless)]),
        ],
    )
    .with_tool(add_tool());
    let sent = body(&request);
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": "Add"},
            {
                "role": "assistant",
                "content": "",
                "thinking": "Add, then.",
                "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": {"x": 1}}}],
            },
            {"role": "tool", "content": "2", "tool_name": "add", "tool_call_id": "c1"},
        ])
    );
    assert_eq!(
        sent["tools"],
        json!([{"type": "function", "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {"x": {"type": "number"}}},
        }}])
    );
}

#[test]
fn tool_choice_as_far_as_the_wire_can_say_it() {
    let mut request = ask("qwen3:4b").with_tool(add_tool());
    request.tool_choice = ToolChoice::None;
    assert!(body(&request).get("tools").is_none());
    for choice in [ToolChoice::Required, ToolChoice::Named("add".into())] {
        request.tool_choice = choice;
        assert_eq!(refused(&request), ErrorKind::Unsupported);
    }
}

#[test]
fn formats() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}});
    assert_eq!(body(&ask("qwen3:4b").with_json_schema("thing", schema.clone()))["format"], schema);
    assert_eq!(refused(&ask("qwen3:4b").with_json_schema("thing", json!("x"))), ErrorKind::InvalidInput);
    let mut request = ask("qwen3:4b");
    request.output = OutputFormat::Json;
    assert_eq!(body(&request)["format"], "json");
}

#[test]
fn thinking_is_a_switch_or_a_level() {
    use ReasoningEffort::*;
    let think = |model: &str, effort| body(&ask(model).with_reasoning(effort))["think"].clone();
    assert_eq!([None, Minimal, High].map(|e| think("qwen3:4b", e)), [json!(false), json!(true), json!(true)]);
    assert_eq!([None, Medium, High].map(|e| think("gpt-oss:20b", e)), [json!("low"), json!("medium"), json!("high")]);
    assert!(body(&ask("qwen3:4b")).get("think").is_none());
}

#[test]
fn extra_fields_win_and_merge() {
    let mut request = ask("qwen3:4b").with_temperature(0.2);
    request.extra = json!({"keep_alive": "10m", "options": {"num_ctx": 8192}}).as_object().unwrap().clone();
    let sent = body(&request);
    assert_eq!(sent["keep_alive"], "10m");
    assert_eq!(sent["options"], json!({"temperature": 0.2, "num_ctx": 8192}));
}

#[test]
fn an_answer_that_has_begun_is_gone_on_with_and_not_thought_about() {
    let mut request = ask("qwen3:4b");
    assert!(body(&request).get("think").is_none());
    request.messages.push(Message::assistant("The tides are"));
    assert!(Ollama::new().can_resume(&request));
    let wire = body(&request);
    assert_eq!((&wire["think"], &wire["messages"][1]["content"]), (&json!(false), &json!("The tides are")));
    request.reasoning = Some(ReasoningEffort::High);
    assert!(!Ollama::new().can_resume(&request));
    request.reasoning = None;
    request.model = "gpt-oss:20b".into();
    assert!(!Ollama::new().can_resume(&request));
}
