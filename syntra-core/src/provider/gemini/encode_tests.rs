//! Requests of ours and the exact bodies they have to become.

use super::Gemini;
use crate::chat::*;
use crate::error::ErrorKind;
use crate::provider::Dialect;
use serde_json::{Value, json};

fn body(request: &Request) -> Value {
    let wire = Gemini::new().encode(request, false).unwrap();
    assert!(wire.headers.is_empty());
    wire.body
}

fn refused(request: &Request) -> ErrorKind {
    Gemini::new().encode(request, false).unwrap_err().kind()
}

fn ask(model: &str) -> Request {
    Request::new(model, vec![Message::user("Hello")])
}

fn hello() -> Value {
    json!([{"role": "user", "parts": [{"text": "Hello"}]}])
}

#[test]
fn a_plain_request() {
    let mut request = Request::new("gemini-2.5-flash", vec![Message::system("Be brief."), Message::user("Hello")])
        .with_max_tokens(64)
        .with_temperature(0.2);
    request.top_p = Some(0.9);
    request.stop = vec!["END".into(), String::new()];
    request.seed = Some(0x1_0000_0007);
    assert_eq!(
        body(&request),
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": hello(),
            "generationConfig": {
                "maxOutputTokens": 64, "temperature": 0.2, "topP": 0.9, "stopSequences": ["END"], "seed": 7,
            },
        })
    );
}

#[test]
fn the_path_names_the_model_and_nothing_else() {
    let path = |model: &str, stream| Gemini::new().encode(&ask(model), stream).unwrap().path;
    assert_eq!(path("gemini-2.5-flash", false), "/v1beta/models/gemini-2.5-flash:generateContent");
    assert_eq!(path("models/gemini-2.5-pro", true), "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
    assert_eq!(path("tunedModels/mine", false), "/v1beta/tunedModels/mine:generateContent");
    assert_eq!(path("../x?key=1#é", false), "/v1beta/models/..%2Fx%3Fkey%3D1%23%C3%A9:generateContent");
    assert_eq!(refused(&ask("models/")), ErrorKind::InvalidInput);
}

#[test]
fn pictures_and_documents() {
    let pdf = DocumentSource::Bytes { media_type: "application/pdf".into(), data: "%PDF"[..].into() };
    let document = |title: Option<&str>, source| Part::Document(Document { title: title.map(str::to_owned), source });
    let message = Message::user("Look")
        .with_image(Image::bytes("image/png", &b"\x89PNG"[..]))
        .with_image(Image::url("https://example.com/cat.JPG?size=1"))
        .with_image(Image::url("data:image/gif;base64,R0lG"))
        .with_image(Image::url("https://example.com/picture"))
        .with_part(document(Some("Report"), pdf))
        .with_part(document(Some("Notes"), DocumentSource::Text("Some notes".into())))
        .with_part(document(None, DocumentSource::Url("https://example.com/a.pdf".into())));
    assert_eq!(
        body(&Request::new("gemini-2.5-flash", vec![message]))["contents"][0]["parts"],
        json!([
            {"text": "Look"},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
            {"fileData": {"fileUri": "https://example.com/cat.JPG?size=1", "mimeType": "image/jpeg"}},
            {"inlineData": {"mimeType": "image/gif", "data": "R0lG"}},
            {"fileData": {"fileUri": "https://example.com/picture"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
            {"text": "Notes\n\nSome notes"},
            {"fileData": {"fileUri": "https://example.com/a.pdf", "mimeType": "application/pdf"}},
        ])
    );
}

fn weather() -> Tool {
    Tool {
        name: "weather".into(),
        description: "Tells the weather.".into(),
        parameters: json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"city": {"type": "string", "minLength": 1}},
            "required": ["city"],
            "additionalProperties": false,
        }),
    }
}

#[test]
fn tools_and_tool_choice() {
    let bare = Tool { name: "now".into(), description: "The time.".into(), parameters: Value::Null };
    let mut request = ask("gemini-2.5-flash").with_tool(weather()).with_tool(bare);
    let sent = body(&request);
    assert_eq!(
        sent["tools"],
        json!([{"functionDeclarations": [
            {
                "name": "weather",
                "description": "Tells the weather.",
                "parametersJsonSchema": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "{\"minLength\":1}"}},
                    "required": ["city"],
                    "additionalProperties": false,
                },
            },
            {"name": "now", "description": "The time."},
        ]}])
    );
    assert!(sent.get("toolConfig").is_none());
    for (choice, expected) in [
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Required, json!({"mode": "ANY"})),
        (ToolChoice::Named("now".into()), json!({"mode": "ANY", "allowedFunctionNames": ["now"]})),
    ] {
        request.tool_choice = choice;
        assert_eq!(body(&request)["toolConfig"], json!({"functionCallingConfig": expected}));
    }
    request.tools.clear();
    assert_eq!(refused(&request), ErrorKind::InvalidInput);
}

fn call(id: &str, signature: Option<&str>) -> Part {
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: "weather".into(),
        arguments: json!({"city": id}),
        signature: signature.map(str::to_owned),
    })
}

#[test]
fn calls_and_results() {
    let request = Request::new(
        "gemini-3-flash-preview",
        vec![
            Message::user("Weather?"),
            Message::new(Role::Assistant, vec![call("a1", Some("c2ln")), call("syntra_00ff", None)]),
            Message::tool_result("a1", "weather", "{\"sky\": \"blue\"}"),
            Message::new(
                Role::Tool,
                vec![Part::ToolResult(ToolResult {
                    call_id: "syntra_00ff".into(),
                    name: None,
                    content: "no such city".into(),
                    is_error: true,
                })],
            ),
            Message::user("And?"),
        ],
    );
    assert_eq!(
        body(&request)["contents"],
        json!([
            {"role": "user", "parts": [{"text": "Weather?"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "a1", "name": "weather", "args": {"city": "a1"}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "weather", "args": {"city": "syntra_00ff"}}},
            ]},
            // Parallel results in one turn; ids that we made up are not the server's.
            {"role": "user", "parts": [
                {"functionResponse": {"id": "a1", "name": "weather", "response": {"sky": "blue"}}},
                {"functionResponse": {"name": "weather", "response": {"error": "no such city"}}},
            ]},
            {"role": "user", "parts": [{"text": "And?"}]},
        ])
    );
}

#[test]
fn plain_results_are_wrapped_and_must_name_a_tool() {
    let results = |content: &str| {
        let messages = vec![Message::user("Weather?"), Message::tool_result("a", "weather", content)];
        body(&Request::new("gemini-2.5-flash", messages))["contents"][1]["parts"][0]["functionResponse"]["response"]
            .clone()
    };
    assert_eq!(results("sunny"), json!({"result": "sunny"}));
    assert_eq!(results("[1]"), json!({"result": "[1]"}));
    let nameless = ToolResult { call_id: "a".into(), name: None, content: String::new(), is_error: false };
    let messages = vec![Message::user("Weather?"), Message::new(Role::Tool, vec![Part::ToolResult(nameless)])];
    assert_eq!(refused(&Request::new("gemini-2.5-flash", messages)), ErrorKind::InvalidInput);
}

#[test]
fn calls_of_another_model_get_the_documented_stand_in_for_a_signature() {
    let sent = |model: &str, parts| {
        let messages = vec![Message::user("Weather?"), Message::new(Role::Assistant, parts)];
        body(&Request::new(model, messages))["contents"][1]["parts"].clone()
    };
    let parts = sent("gemini-3.1-pro-preview", vec![call("a", None), call("b", None)]);
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert!(parts[1].get("thoughtSignature").is_none());
    // Signatures of other dialects are none.
    let parts = sent("gemini-flash-latest", vec![call("a", Some("anthropic-caller:{}"))]);
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    let parts = sent("gemini-2.5-flash", vec![call("a", None)]);
    assert!(parts[0].get("thoughtSignature").is_none());
}

#[test]
fn own_thinking_goes_back_and_that_of_others_is_left_out() {
    let thought = |text: &str, opaque: Value| Part::Reasoning(Reasoning { text: text.into(), opaque: Some(opaque) });
    let text = |text: &str| Part::Text { text: text.into() };
    let code = json!({"executableCode": {"language": "PYTHON", "code": "print(1)"}});
    let parts = vec![
        thought("Hm", json!({"gemini": {"thought": true, "thoughtSignature": "YQ=="}})),
        thought("Hm", json!({"anthropic": {"type": "thinking", "signature": "c2ln"}})),
        Part::Reasoning(Reasoning { text: "unsigned".into(), opaque: None }),
        thought("", json!({"gemini": {"part": code}})),
        text("Hello there"),
        thought("", json!({"gemini": {"thoughtSignature": "Yg==", "textLength": 6}})),
        text("Bye"),
        thought("", json!({"gemini": {"thoughtSignature": "Yw==", "textLength": 0}})),
    ];
    let messages = vec![Message::user("Hello"), Message::new(Role::Assistant, parts)];
    assert_eq!(
        body(&Request::new("gemini-3-flash-preview", messages))["contents"][1]["parts"],
        json!([
            {"text": "Hm", "thought": true, "thoughtSignature": "YQ=="},
            code,
            {"text": "Hello"},
            {"text": " there", "thoughtSignature": "Yg=="},
            {"text": "Bye"},
            {"text": "", "thoughtSignature": "Yw=="},
        ])
    );
}

#[test]
fn a_budget_before_version_3_and_a_level_from_there_on() {
    use ReasoningEffort::*;
    let config =
        |model: &str, effort| body(&ask(model).with_reasoning(effort))["generationConfig"]["thinkingConfig"].clone();
    for (model, effort, expected) in [
        ("gemini-2.5-flash", None, json!({"thinkingBudget": 0})),
        ("gemini-2.5-flash-lite", Minimal, json!({"thinkingBudget": 512, "includeThoughts": true})),
        ("gemini-2.5-pro", None, json!({"thinkingBudget": 128})),
        ("gemini-2.5-pro", High, json!({"thinkingBudget": 24576, "includeThoughts": true})),
        ("gemini-3-flash-preview", None, json!({"thinkingLevel": "minimal"})),
        ("gemini-3-flash-preview", Medium, json!({"thinkingLevel": "medium", "includeThoughts": true})),
        ("gemini-3-pro-preview", None, json!({"thinkingLevel": "low"})),
        ("gemini-3-pro-preview", Medium, json!({"thinkingLevel": "high", "includeThoughts": true})),
        ("gemini-3.1-pro-preview", Medium, json!({"thinkingLevel": "medium", "includeThoughts": true})),
        ("gemini-flash-latest", Low, json!({"thinkingLevel": "low", "includeThoughts": true})),
        ("gemini-2.0-flash", High, Value::Null),
    ] {
        assert_eq!(config(model, effort), expected, "{model} {effort:?}");
    }
}

#[test]
fn json_and_schemas() {
    let schema = json!({"type": "object", "properties": {"kind": {"const": "a"}, "n": {"type": "integer", "exclusiveMinimum": 0}}});
    let mut request = ask("gemini-2.5-flash").with_json_schema("thing", schema);
    assert_eq!(
        body(&request)["generationConfig"],
        json!({
            "responseMimeType": "application/json",
            "responseJsonSchema": {
                "type": "object",
                "properties": {
                    "kind": {"enum": ["a"]},
                    "n": {"type": "integer", "description": "{\"exclusiveMinimum\":0}"},
                },
            },
        })
    );
    request.tools = vec![weather()];
    assert_eq!(refused(&request), ErrorKind::Unsupported);
    request.model = "gemini-3-flash-preview".into();
    assert!(body(&request)["generationConfig"]["responseJsonSchema"].is_object());
    request.output = OutputFormat::Json;
    assert_eq!(body(&request)["generationConfig"], json!({"responseMimeType": "application/json"}));
    assert_eq!(refused(&ask("gemini-2.5-flash").with_json_schema("thing", json!([]))), ErrorKind::InvalidInput);
}

#[test]
fn extra_fields_win_and_merge() {
    let mut request = ask("gemini-2.5-flash").with_temperature(0.2);
    request.extra = json!({"generationConfig": {"topK": 40, "temperature": 0.5}, "safetySettings": []})
        .as_object()
        .unwrap()
        .clone();
    assert_eq!(
        body(&request),
        json!({"contents": hello(), "generationConfig": {"topK": 40, "temperature": 0.5}, "safetySettings": []})
    );
}
