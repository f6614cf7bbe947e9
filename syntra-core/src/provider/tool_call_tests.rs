//! A stream that is cut off in the middle of a tool call never yields half a call, on any wire.

use super::{Dialect, anthropic::Anthropic, gemini::Gemini, ollama::Ollama, openai::Chat, responses::Responses};
use crate::chat::Event;
use crate::error::ErrorKind;
use crate::transport::{FrameDecoder, Framing};
use serde_json::{Value, json};

fn sse(events: &[Value]) -> String {
    let event = |event: &Value| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    events.iter().map(event).collect()
}

/// A call of `weather` with `{"city": "Riga"}`, its arguments in pieces where the wire has such.
fn streams() -> Vec<(Box<dyn Dialect>, String)> {
    let chunk = |delta: Value, finish: Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let piece = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "weather", "arguments": ""}}]});
    let chat = [
        chunk(first, Value::Null),
        chunk(piece("{\"ci"), Value::Null),
        chunk(piece("ty\": \"Riga\"}"), Value::Null),
        chunk(json!({}), json!("tool_calls")),
    ];
    let delta = |json: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": json}});
    let anthropic = [
        json!({"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}}),
        delta("{\"ci"),
        delta("ty\": \"Riga\"}"),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let item = |arguments: &str| json!({"type": "function_call", "id": "i", "call_id": "t1", "name": "weather", "arguments": arguments});
    let responses = [
        json!({"type": "response.created", "response": {"id": "r", "model": "m"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("")}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "i", "output_index": 0, "delta": "{\"ci"}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "i", "output_index": 0, "delta": "ty\": \"Riga\"}"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("{\"city\": \"Riga\"}")}),
        json!({"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": [item("{\"city\": \"Riga\"}")]}}),
    ];
    let call = json!({"functionCall": {"name": "weather", "args": {"city": "Riga"}}});
    let gemini = [
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "Let me see. "}]}}]}),
        json!({"candidates": [{"content": {"role": "model", "parts": [call]}, "finishReason": "STOP"}]}),
    ];
    let function = json!({"function": {"name": "weather", "arguments": {"city": "Riga"}}});
    let ollama = [
        json!({"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [function]}, "done": false}),
        json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop"}),
    ];
    vec![
        (Box::new(Chat::new()), sse(&chat) + "data: [DONE]\n\n"),
        (Box::new(Anthropic::new()), sse(&anthropic)),
        (Box::new(Responses::new()), sse(&responses)),
        (Box::new(Gemini::new()), sse(&gemini)),
        (Box::new(Ollama::new()), ollama.iter().map(|line| format!("{line}\n")).collect()),
    ]
}

#[test]
fn a_call_comes_whole_or_not_at_all() {
    for (dialect, body) in streams() {
        let (mut before, mut whole) = (0, 0);
        for cut in 0..=body.len() {
            let (mut frames, mut events) = (Vec::new(), Vec::new());
            let mut cutter = FrameDecoder::new(match dialect.framing() {
                Framing::Auto => Framing::Sse,
                framing => framing,
            });
            let mut decoder = dialect.stream_decoder();
            // As an adapter does: whatever came before an error was handed over.
            let mut ended = cutter.push(&body.as_bytes()[..cut], &mut frames).and_then(|()| cutter.finish(&mut frames));
            for frame in &frames {
                ended = ended.and_then(|()| decoder.frame(frame, &mut events));
            }
            ended = ended.and_then(|()| decoder.finish(&mut events));
            let calls: Vec<&Value> = events
                .iter()
                .filter_map(|event| if let Event::ToolCall(call) = event { Some(&call.arguments) } else { None })
                .collect();
            let name = dialect.name();
            assert!(calls.iter().all(|a| **a == json!({"city": "Riga"})), "{name} cut at {cut}: {calls:?}");
            let finished = events.iter().any(|event| matches!(event, Event::Finish { .. }));
            match ended {
                Ok(()) => {
                    assert!(finished && calls.len() == 1, "{name} cut at {cut} is taken for an answer");
                    whole += 1;
                }
                Err(error) => {
                    let cut_off = matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Decode);
                    assert!(cut_off && !finished, "{name} cut at {cut}: {error}");
                    before += 1;
                }
            }
        }
        assert!(before > body.len() / 2 && whole >= 1, "{}: {before} and {whole}", dialect.name());
    }
}
