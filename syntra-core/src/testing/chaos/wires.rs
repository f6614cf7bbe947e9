//! The scripts of the five dialects of this crate.

use super::script::{DialectScript, FrameRole, Problem, Reply, ScriptFrame};
use serde_json::{Value, json};
use std::sync::Arc;

/// OpenAI Chat Completions and the many servers that speak it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatScript;
/// OpenAI Responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponsesScript;
/// Anthropic Messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnthropicScript;
/// Gemini generateContent.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeminiScript;
/// Ollama's own chat.
#[derive(Clone, Copy, Debug, Default)]
pub struct OllamaScript;

/// The scripts of all five.
pub fn scripts() -> [Arc<dyn DialectScript>; 5] {
    [
        Arc::new(ChatScript),
        Arc::new(ResponsesScript),
        Arc::new(AnthropicScript),
        Arc::new(GeminiScript),
        Arc::new(OllamaScript),
    ]
}

/// `text` cut about its middle, at a character's border.
fn halves(text: &str) -> (&str, &str) {
    let middle = (text.len() / 2..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    text.split_at(middle)
}

/// Words, type and code that several wires share.
fn openai_words(problem: Problem) -> (&'static str, &'static str, &'static str) {
    match problem {
        Problem::BadRequest => ("Invalid value for 'temperature'.", "invalid_request_error", "invalid_value"),
        Problem::Credential => ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
        Problem::ModelGone => ("The model does not exist.", "invalid_request_error", "model_not_found"),
        Problem::ContextTooLong => {
            ("This model's maximum context length is 8192 tokens.", "invalid_request_error", "context_length_exceeded")
        }
        Problem::Policy => ("Your request was rejected.", "invalid_request_error", "content_policy_violation"),
        Problem::RateLimit => ("Rate limit reached.", "requests", "rate_limit_exceeded"),
        Problem::Quota => ("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
        Problem::Overloaded => ("The engine is overloaded.", "server_error", "engine_overloaded"),
        Problem::Internal => ("The server had an error.", "server_error", "internal_error"),
    }
}

fn openai_error(problem: Problem) -> Value {
    let (message, kind, code) = openai_words(problem);
    json!({ "error": { "message": message, "type": kind, "code": code, "param": null } })
}

impl ChatScript {
    fn usage(reply: &Reply) -> Value {
        json!({ "prompt_tokens": reply.input_tokens, "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens })
    }
}

impl DialectScript for ChatScript {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut message = json!({ "role": "assistant", "content": reply.whole_text() });
        if let (Some((name, arguments)), Some(message)) = (&reply.tool, message.as_object_mut()) {
            let function = json!({ "name": name, "arguments": arguments.to_string() });
            message.insert("tool_calls".into(), json!([{ "id": "call_1", "type": "function", "function": function }]));
        }
        let finish = if reply.tool.is_some() { "tool_calls" } else { "stop" };
        json!({ "id": format!("chatcmpl-{}", reply.serial), "object": "chat.completion", "model": "m", "usage": Self::usage(reply),
            "choices": [{ "index": 0, "message": message, "finish_reason": finish }] })
    }

    fn frames(&self, reply: &Reply) -> Vec<ScriptFrame> {
        let chunk = |delta: Value, finish: Value| {
            json!({ "id": format!("chatcmpl-{}", reply.serial), "object": "chat.completion.chunk", "model": "m",
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        };
        let delta = |role, delta: Value| ScriptFrame::new(role, chunk(delta, Value::Null));
        let mut frames = vec![delta(FrameRole::Structure, json!({ "role": "assistant", "content": "" }))];
        frames.extend(reply.pieces.iter().map(|piece| delta(FrameRole::Text, json!({ "content": piece }))));
        if let Some((name, arguments)) = &reply.tool {
            let arguments = arguments.to_string();
            let (first, second) = halves(&arguments);
            let begin = json!({ "index": 0, "id": "call_1", "type": "function",
                "function": { "name": name, "arguments": first } });
            let more = json!({ "index": 0, "function": { "arguments": second } });
            frames.push(delta(FrameRole::Call, json!({ "tool_calls": [begin] })));
            frames.push(delta(FrameRole::Call, json!({ "tool_calls": [more] })));
        }
        let finish = if reply.tool.is_some() { "tool_calls" } else { "stop" };
        let counts = json!({ "id": format!("chatcmpl-{}", reply.serial), "model": "m", "choices": [], "usage": Self::usage(reply) });
        frames.push(ScriptFrame::new(FrameRole::End, chunk(json!({}), json!(finish))));
        frames.push(
            ScriptFrame::new(FrameRole::Counts, counts).telling(Some(reply.input_tokens), Some(reply.output_tokens)),
        );
        frames.push(ScriptFrame::new(FrameRole::Trailer, json!("[DONE]")));
        frames
    }

    fn error(&self, problem: Problem) -> Value {
        openai_error(problem)
    }

    fn optional_fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[
            ("", &["system_fingerprint", "service_tier", "error", "citations", "timings"]),
            ("/choices/0", &["logprobs", "finish_reason", "usage"]),
            ("/choices/0/message", &["refusal", "tool_calls", "function_call", "annotations", "audio", "reasoning"]),
            ("/choices/0/delta", &["refusal", "tool_calls", "function_call", "reasoning_content", "content"]),
            ("/usage", &["prompt_tokens_details", "completion_tokens_details", "cost"]),
        ]
    }
}

impl ResponsesScript {
    fn items(reply: &Reply) -> Vec<Value> {
        let content = json!([{ "type": "output_text", "text": reply.whole_text(), "annotations": [] }]);
        let mut items = vec![
            json!({ "id": format!("msg_{}", reply.serial), "type": "message", "role": "assistant", "status": "completed",
            "content": content }),
        ];
        if let Some((name, arguments)) = &reply.tool {
            items.push(json!({ "id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1",
                "name": name, "arguments": arguments.to_string() }));
        }
        items
    }
}

impl DialectScript for ResponsesScript {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn whole(&self, reply: &Reply) -> Value {
        json!({ "id": format!("resp_{}", reply.serial), "object": "response", "model": "m", "status": "completed", "output": Self::items(reply),
            "usage": { "input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens,
                "total_tokens": reply.input_tokens + reply.output_tokens } })
    }

    fn frames(&self, reply: &Reply) -> Vec<ScriptFrame> {
        let mut number = 0;
        let mut frame = |role, event: &'static str, mut data: Value| {
            if let Some(data) = data.as_object_mut() {
                data.insert("type".into(), json!(event));
                data.insert("sequence_number".into(), json!(number));
            }
            number += 1;
            ScriptFrame::new(role, data).named(event)
        };
        use FrameRole::{Call, End, Structure, Text};
        let began = json!({ "id": format!("resp_{}", reply.serial), "object": "response", "model": "m", "status": "in_progress", "output": [],
            "usage": null });
        let mut frames = vec![
            frame(Structure, "response.created", json!({ "response": began })),
            frame(Structure, "response.in_progress", json!({ "response": began })),
        ];
        let items = Self::items(reply);
        let empty = json!({ "id": format!("msg_{}", reply.serial), "type": "message", "role": "assistant", "status": "in_progress", "content": [] });
        frames.push(frame(Structure, "response.output_item.added", json!({ "output_index": 0, "item": empty })));
        for piece in &reply.pieces {
            let data = json!({ "item_id": format!("msg_{}", reply.serial), "output_index": 0, "content_index": 0, "delta": piece });
            frames.push(frame(Text, "response.output_text.delta", data));
        }
        let said = json!({ "item_id": format!("msg_{}", reply.serial), "output_index": 0, "content_index": 0, "text": reply.whole_text() });
        frames.push(frame(Structure, "response.output_text.done", said));
        frames.push(frame(Structure, "response.output_item.done", json!({ "output_index": 0, "item": items.first() })));
        if let Some((name, arguments)) = &reply.tool {
            let begun = json!({ "id": "fc_1", "type": "function_call", "status": "in_progress", "call_id": "call_1",
                "name": name, "arguments": "" });
            frames.push(frame(Structure, "response.output_item.added", json!({ "output_index": 1, "item": begun })));
            let arguments = arguments.to_string();
            let (first, second) = halves(&arguments);
            for part in [first, second] {
                let data = json!({ "item_id": "fc_1", "output_index": 1, "delta": part });
                frames.push(frame(Call, "response.function_call_arguments.delta", data));
            }
            let done = json!({ "output_index": 1, "item": items.get(1) });
            frames.push(frame(Structure, "response.output_item.done", done));
        }
        let end = frame(End, "response.completed", json!({ "response": self.whole(reply) }));
        frames.push(end.telling(Some(reply.input_tokens), Some(reply.output_tokens)));
        frames
    }

    fn error(&self, problem: Problem) -> Value {
        openai_error(problem)
    }

    fn error_frame(&self, problem: Problem) -> ScriptFrame {
        let (message, _, code) = openai_words(problem);
        let data = json!({ "type": "error", "code": code, "message": message, "param": null, "sequence_number": 99 });
        ScriptFrame::new(FrameRole::Structure, data).named("error")
    }

    fn optional_fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[
            ("", &["error", "incomplete_details", "instructions", "metadata", "temperature"]),
            ("/response", &["error", "incomplete_details", "instructions", "metadata"]),
            ("/output/0", &["phase"]),
            ("/output/0/content/0", &["logprobs"]),
            ("/usage", &["input_tokens_details", "output_tokens_details"]),
        ]
    }
}

impl DialectScript for AnthropicScript {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut content = vec![json!({ "type": "text", "text": reply.whole_text() })];
        if let Some((name, arguments)) = &reply.tool {
            content.push(json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": arguments }));
        }
        let stop = if reply.tool.is_some() { "tool_use" } else { "end_turn" };
        json!({ "id": format!("msg_{}", reply.serial), "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": stop, "usage": { "input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens } })
    }

    fn frames(&self, reply: &Reply) -> Vec<ScriptFrame> {
        use FrameRole::{Call, End, Structure, Text, Trailer};
        let frame = |role, event: &'static str, mut data: Value| {
            if let Some(data) = data.as_object_mut() {
                data.insert("type".into(), json!(event));
            }
            ScriptFrame::new(role, data).named(event)
        };
        let message = json!({ "id": format!("msg_{}", reply.serial), "type": "message", "role": "assistant", "model": "m", "content": [],
            "stop_reason": null, "usage": { "input_tokens": reply.input_tokens, "output_tokens": 1 } });
        let begin = frame(Structure, "message_start", json!({ "message": message }));
        let mut frames = vec![begin.telling(Some(reply.input_tokens), Some(1))];
        let block = json!({ "index": 0, "content_block": { "type": "text", "text": "" } });
        frames.push(frame(Structure, "content_block_start", block));
        frames.push(frame(Structure, "ping", json!({})));
        for piece in &reply.pieces {
            let data = json!({ "index": 0, "delta": { "type": "text_delta", "text": piece } });
            frames.push(frame(Text, "content_block_delta", data));
        }
        frames.push(frame(Structure, "content_block_stop", json!({ "index": 0 })));
        if let Some((name, arguments)) = &reply.tool {
            let block = json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": {} });
            frames.push(frame(Structure, "content_block_start", json!({ "index": 1, "content_block": block })));
            let arguments = arguments.to_string();
            let (first, second) = halves(&arguments);
            for part in [first, second] {
                let data = json!({ "index": 1, "delta": { "type": "input_json_delta", "partial_json": part } });
                frames.push(frame(Call, "content_block_delta", data));
            }
            frames.push(frame(Structure, "content_block_stop", json!({ "index": 1 })));
        }
        let stop = if reply.tool.is_some() { "tool_use" } else { "end_turn" };
        let end = json!({ "delta": { "stop_reason": stop, "stop_sequence": null },
            "usage": { "output_tokens": reply.output_tokens } });
        frames.push(frame(End, "message_delta", end).telling(None, Some(reply.output_tokens)));
        frames.push(frame(Trailer, "message_stop", json!({})));
        frames
    }

    fn error(&self, problem: Problem) -> Value {
        let (kind, message) = match problem {
            Problem::BadRequest => ("invalid_request_error", "max_tokens: must be at least 1"),
            Problem::Credential => ("authentication_error", "invalid x-api-key"),
            Problem::ModelGone => ("not_found_error", "model: m"),
            Problem::ContextTooLong => ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            Problem::Policy => ("invalid_request_error", "Output blocked by content filtering policy"),
            Problem::RateLimit => ("rate_limit_error", "This request would exceed your rate limit."),
            Problem::Quota => ("invalid_request_error", "Your credit balance is too low to access the API."),
            Problem::Overloaded => ("overloaded_error", "Overloaded"),
            Problem::Internal => ("api_error", "Internal server error"),
        };
        json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" })
    }

    fn error_frame(&self, problem: Problem) -> ScriptFrame {
        ScriptFrame::new(FrameRole::Structure, self.error(problem)).named("error")
    }

    fn optional_fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[
            ("", &["stop_sequence", "container", "context_management"]),
            ("/message", &["stop_sequence", "container"]),
            ("/content/0", &["citations"]),
            ("/content_block", &["citations"]),
            ("/delta", &["container"]),
            ("/usage", &["cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use"]),
        ]
    }
}

impl GeminiScript {
    fn usage(reply: &Reply) -> Value {
        json!({ "promptTokenCount": reply.input_tokens, "candidatesTokenCount": reply.output_tokens,
            "totalTokenCount": reply.input_tokens + reply.output_tokens })
    }
}

impl DialectScript for GeminiScript {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut parts = vec![json!({ "text": reply.whole_text() })];
        if let Some((name, arguments)) = &reply.tool {
            parts.push(json!({ "functionCall": { "name": name, "args": arguments } }));
        }
        json!({ "candidates": [{ "content": { "role": "model", "parts": parts }, "finishReason": "STOP", "index": 0 }],
            "usageMetadata": Self::usage(reply), "modelVersion": "m", "responseId": format!("r{}", reply.serial) })
    }

    fn frames(&self, reply: &Reply) -> Vec<ScriptFrame> {
        let chunk = |parts: Value| {
            json!({ "candidates": [{ "content": { "role": "model", "parts": parts }, "index": 0 }],
                "usageMetadata": { "promptTokenCount": reply.input_tokens }, "modelVersion": "m", "responseId": format!("r{}", reply.serial) })
        };
        let frame = |role, parts| ScriptFrame::new(role, chunk(parts)).telling(Some(reply.input_tokens), None);
        let mut frames: Vec<ScriptFrame> =
            reply.pieces.iter().map(|piece| frame(FrameRole::Text, json!([{ "text": piece }]))).collect();
        if let Some((name, arguments)) = &reply.tool {
            frames.push(frame(FrameRole::Call, json!([{ "functionCall": { "name": name, "args": arguments } }])));
        }
        let end = json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "" }] },
            "finishReason": "STOP", "index": 0 }], "usageMetadata": Self::usage(reply), "modelVersion": "m",
            "responseId": format!("r{}", reply.serial) });
        let end = ScriptFrame::new(FrameRole::End, end);
        frames.push(end.telling(Some(reply.input_tokens), Some(reply.output_tokens)));
        frames
    }

    fn error(&self, problem: Problem) -> Value {
        let (code, status, message, reason) = match problem {
            Problem::BadRequest => (400, "INVALID_ARGUMENT", "Invalid value at 'temperature'.", "BAD"),
            Problem::Credential => (400, "INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID"),
            Problem::ModelGone => (404, "NOT_FOUND", "models/m is not found for API version v1beta.", "NONE"),
            Problem::ContextTooLong => {
                let words = "The input token count exceeds the maximum number of tokens allowed.";
                (400, "INVALID_ARGUMENT", words, "NONE")
            }
            Problem::Policy => (400, "INVALID_ARGUMENT", "Blocked: prohibited content.", "PROHIBITED_CONTENT"),
            Problem::RateLimit => (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.", "RATE_LIMIT_EXCEEDED"),
            Problem::Quota => (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", "NONE"),
            Problem::Overloaded => (503, "UNAVAILABLE", "The model is overloaded.", "NONE"),
            Problem::Internal => (500, "INTERNAL", "An internal error has occurred.", "NONE"),
        };
        json!({ "error": { "code": code, "message": message, "status": status,
            "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason }] } })
    }

    fn optional_fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[
            ("", &["promptFeedback", "createTime", "error"]),
            ("/candidates/0", &["finishReason", "groundingMetadata", "citationMetadata", "safetyRatings"]),
            ("/candidates/0/content/parts/0", &["thoughtSignature", "functionCall"]),
            ("/usageMetadata", &["cachedContentTokenCount", "thoughtsTokenCount"]),
        ]
    }
}

impl DialectScript for OllamaScript {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut message = json!({ "role": "assistant", "content": reply.whole_text() });
        if let (Some((name, arguments)), Some(message)) = (&reply.tool, message.as_object_mut()) {
            message.insert("tool_calls".into(), json!([{ "function": { "name": name, "arguments": arguments } }]));
        }
        json!({ "model": "m", "created_at": "2026-01-31T12:00:00Z", "message": message, "done": true,
            "done_reason": "stop", "prompt_eval_count": reply.input_tokens, "eval_count": reply.output_tokens })
    }

    fn frames(&self, reply: &Reply) -> Vec<ScriptFrame> {
        let line = |message: Value| json!({ "model": "m", "created_at": "2026-01-31T12:00:00Z", "message": message, "done": false });
        let mut frames: Vec<ScriptFrame> = reply
            .pieces
            .iter()
            .map(|piece| ScriptFrame::new(FrameRole::Text, line(json!({ "role": "assistant", "content": piece }))))
            .collect();
        if let Some((name, arguments)) = &reply.tool {
            let calls = json!([{ "function": { "name": name, "arguments": arguments } }]);
            let message = json!({ "role": "assistant", "content": "", "tool_calls": calls });
            frames.push(ScriptFrame::new(FrameRole::Call, line(message)));
        }
        let end = json!({ "model": "m", "created_at": "2026-01-31T12:00:01Z", "done": true, "done_reason": "stop",
            "message": { "role": "assistant", "content": "" }, "prompt_eval_count": reply.input_tokens,
            "eval_count": reply.output_tokens });
        let end = ScriptFrame::new(FrameRole::End, end);
        frames.push(end.telling(Some(reply.input_tokens), Some(reply.output_tokens)));
        frames
    }

    fn error(&self, problem: Problem) -> Value {
        let words = match problem {
            Problem::BadRequest => "invalid options: temperature",
            Problem::Credential => "unauthorized",
            Problem::ModelGone => "model 'm' not found",
            Problem::ContextTooLong => "the input exceeds the maximum length: prompt too long",
            Problem::Policy => "refused by content policy",
            Problem::RateLimit => "too many requests",
            Problem::Quota => "you have reached your spending limit",
            Problem::Overloaded => "server busy, please try again: server overloaded",
            Problem::Internal => "an unexpected error occurred",
        };
        json!({ "error": words })
    }

    fn optional_fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[("", &["context", "error", "load_duration"]), ("/message", &["thinking", "images", "tool_calls"])]
    }

    fn lines_of_json(&self) -> bool {
        true
    }
}
