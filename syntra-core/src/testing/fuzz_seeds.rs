//! What mutation starts from: for each decoder a small stream that reaches most of it.

/// The seed of the fuzz target `name`; empty for a name that there is not.
pub(super) fn seed(name: &str) -> &'static str {
    match name.split('_').next().unwrap_or(name) {
        "chat" => CHAT,
        "responses" => RESPONSES,
        "anthropic" => ANTHROPIC,
        "gemini" => GEMINI,
        "ollama" => OLLAMA,
        "sse" | "ndjson" | "json" => FRAMES,
        "failure" | "words" | "advice" => ERRORS,
        "question" | "wordpiece" => QUESTION,
        "document" => DOCUMENT,
        _ => "",
    }
}

const CHAT: &str = concat!(
    ": comment\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",",
    "\"content\":\"Hel\",\"reasoning_content\":\"hm\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\",\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",",
    "\"function\":{\"name\":\"add\",\"arguments\":\"{\\\"x\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},",
    "\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n",
    "data: [DONE]\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\n",
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\",\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}}\n\n",
    "event: response.output_item.added\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"i1\",\"type\":\"message\",\"content\":[]}}\n\n",
    "event: response.output_text.delta\n",
    "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"i1\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hello\"}\n\n",
    "event: response.function_call_arguments.delta\n",
    "data: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"i2\",\"output_index\":1,\"delta\":\"{}\"}\n\n",
    "event: response.output_item.done\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":\"i2\",\"type\":\"function_call\",\"call_id\":\"t1\",",
    "\"name\":\"add\",\"arguments\":\"{\\\"x\\\":1}\"}}\n\n",
    "event: response.completed\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r1\",\"status\":\"completed\",\"output\":[],",
    "\"usage\":{\"input_tokens\":9,\"output_tokens\":4}}}\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":\"m\",\"content\":[],",
    "\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"add\",\"input\":{}}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"x\\\":1}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"url\":\"https://a.example\"}}}\n\n",
    "event: message_delta\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const GEMINI: &str = concat!(
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hm\",\"thought\":true},",
    "{\"text\":\"Hel\",\"thoughtSignature\":\"c2ln\"}]},\"index\":0}],\"responseId\":\"r1\",\"modelVersion\":\"m\"}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"add\",\"willContinue\":true}}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a[0]['b']\",",
    "\"stringValue\":\"x\",\"willContinue\":true},{\"jsonPath\":\"$.n\",\"numberValue\":1}],\"willContinue\":true}}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}},{\"executableCode\":{\"code\":\"1\"}},",
    "{\"codeExecutionResult\":{\"output\":\"1\"}}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"lo\"}]},\"finishReason\":\"STOP\",\"groundingMetadata\":",
    "{\"groundingChunks\":[{\"web\":{\"uri\":\"https://a.example\",\"title\":\"A\"}}]}}],",
    "\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":4,\"thoughtsTokenCount\":2}}\n\n",
);

const OLLAMA: &str = concat!(
    "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n",
    "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"add\",\"arguments\":{\"x\":1}}}]},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":4}\n",
);

const FRAMES: &str = "\u{feff}: hi\r\nevent: a\rdata: {\"x\":\ndata: 1}\n\nid: 7\nretry: 5\ndata\n\ndata:é\n\n[{\"a\":1},[2]]\n{\"b\":2}\n";

const ERRORS: &str = concat!(
    "\u{3}retry-after-ms: 350\nRetry-After: Fri, 20 Nov 2026 07:10:00 GMT\nx-ratelimit-remaining-tokens: 0\n",
    "x-ratelimit-reset-tokens: 6m0s\nanthropic-ratelimit-requests-reset: 2026-11-20T06:00:17Z\n\n",
    "[{\"error\":{\"code\":429,\"message\":\"Please try again in 2.5s. sk-abcdefghijklmnopqrstuvwx\",\"status\":\"RESOURCE_EXHAUSTED\",",
    "\"type\":\"rate_limit_error\",\"details\":[{\"reason\":\"API_KEY_INVALID\"},{\"violations\":[{\"quotaId\":\"RequestsPerDay\"}]},",
    "{\"retryDelay\":\"34.4s\"}],\"metadata\":{\"raw\":\"busy\",\"headers\":{\"Retry-After\":\"3\"}}}}]",
);

const QUESTION: &str = "My sister Ada moved to Lyon on 2023-05-03.\nHow nice!\nWhere did she live in May, three weeks ago, or \
                        le 14 juillet? Schreib mir `vec.sort()` 東京 🍵 a[0]";

const DOCUMENT: &str = concat!(
    "\u{1}\u{20}# Tea\n\nSteep it. Drink it – 茶 🍵!\n\n## Cold\n\n- ice\n- <b>lemon</b>\n\n```rust\nfn main() {}\n```\n",
    "<html><h1>A</h1><p>Words &amp; words</p><table><tr><td>1</td></tr></table></html>\na,b\n1,2\n",
);
