//! The commonest chunk of a stream, words and nothing else, read without building a tree of JSON.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A chunk whose only news is the next words. A field that is not here, an unknown object, a second choice or a value where `null`
/// is due makes it another kind of chunk, which is read with all its fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chunk {
    choices: [Choice; 1],
    #[serde(default, rename = "object")]
    _object: Option<Object>,
    #[serde(default, rename = "usage")]
    _usage: (),
    // What the first chunk said, and what no chunk is read for.
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
    #[serde(default, rename = "created")]
    _created: IgnoredAny,
    #[serde(default, rename = "provider")]
    _provider: IgnoredAny,
    #[serde(default, rename = "service_tier")]
    _service_tier: IgnoredAny,
    #[serde(default, rename = "system_fingerprint")]
    _system_fingerprint: IgnoredAny,
    #[serde(default, rename = "obfuscation")]
    _obfuscation: IgnoredAny,
}

/// `error` is one too, and is not here.
#[derive(Deserialize)]
enum Object {
    #[serde(rename = "chat.completion.chunk")]
    Chunk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    #[serde(default)]
    index: u64,
    delta: Delta,
    #[serde(default, rename = "finish_reason")]
    _finish_reason: (),
    #[serde(default, rename = "native_finish_reason")]
    _native_finish_reason: IgnoredAny,
    #[serde(default, rename = "stop_reason")]
    _stop_reason: IgnoredAny,
    #[serde(default, rename = "logprobs")]
    _logprobs: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delta {
    content: String,
    #[serde(default, rename = "role")]
    _role: IgnoredAny,
    #[serde(default, rename = "refusal")]
    _refusal: (),
    #[serde(default, rename = "tool_calls")]
    _tool_calls: (),
    #[serde(default, rename = "function_call")]
    _function_call: (),
    #[serde(default, rename = "reasoning")]
    _reasoning: (),
    #[serde(default, rename = "reasoning_content")]
    _reasoning_content: (),
}

/// The words of `data`, where it has nothing else to say.
pub(super) fn words(data: &str) -> Option<String> {
    let Chunk { choices: [choice], .. } = serde_json::from_str(data).ok()?;
    (choice.index == 0).then_some(choice.delta.content)
}

#[cfg(test)]
mod tests {
    use super::super::stream::ChatStream;
    use crate::provider::StreamDecoder as _;
    use crate::transport::Frame;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use serde_json::{Map, Value, json};

    /// What a decoder that has begun makes of `chunk`, and what it ends with after it.
    fn read(chunk: &Value) -> String {
        let frame = |value: &Value| Frame { event: String::new(), data: value.to_string() };
        let (mut stream, mut events) = (ChatStream::default(), Vec::new());
        stream.frame(&frame(&json!({ "id": "a", "model": "m", "choices": [] })), &mut events).unwrap();
        let read = stream.frame(&frame(chunk), &mut events).map_err(|e| e.to_string());
        let ended = stream.finish(&mut events).map_err(|e| e.to_string());
        format!("{events:?} {read:?} {ended:?}")
    }

    fn object(fields: Vec<(&'static str, Value)>) -> Value {
        Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
    }

    fn delta() -> impl Strategy<Value = Value> {
        let fields = vec![
            ("content", json!("a \"b\" \n ü")),
            ("content", json!("")),
            ("content", Value::Null),
            ("content", json!([{ "type": "text", "text": "part" }])),
            ("role", json!("assistant")),
            ("refusal", Value::Null),
            ("refusal", json!("no")),
            ("tool_calls", Value::Null),
            ("tool_calls", json!([{ "index": 0, "id": "c", "function": { "name": "f", "arguments": "{}" } }])),
            ("reasoning", json!("hm")),
            ("reasoning_content", Value::Null),
            ("annotations", json!([{ "url": "https://a.example" }])),
        ];
        subsequence(fields, 0..6).prop_map(object)
    }

    fn chunk() -> impl Strategy<Value = Value> {
        let choice = (delta(), select(vec![json!(0), json!(1), Value::Null]), select(vec![Value::Null, json!("stop")]))
            .prop_map(|(delta, index, reason)| json!({ "index": index, "delta": delta, "finish_reason": reason }));
        let fields = vec![
            ("object", json!("chat.completion.chunk")),
            ("object", json!("error")),
            ("usage", Value::Null),
            ("usage", json!({ "prompt_tokens": 3, "completion_tokens": 2 })),
            ("id", json!("a")),
            ("created", json!(7)),
            ("error", json!({ "message": "over" })),
            ("error", Value::Null),
            ("citations", json!(["https://b.example"])),
            ("timings", json!({ "prompt_n": 1, "predicted_n": 2 })),
        ];
        (proptest::collection::vec(choice, 0..3), subsequence(fields, 0..5)).prop_map(|(choices, fields)| {
            let mut chunk = object(fields);
            chunk["choices"] = Value::Array(choices);
            chunk
        })
    }

    proptest! {
        /// The short way and the long way say the same: a field that nobody reads sends a chunk the long way.
        #[test]
        fn the_short_way_says_what_the_long_way_says(chunk in chunk()) {
            let mut long = chunk.clone();
            long["a field that nobody reads"] = json!(1);
            prop_assert_eq!(read(&chunk), read(&long));
        }
    }

    #[test]
    fn the_usual_chunks_go_the_short_way_and_others_do_not() {
        let usual = |delta: Value| {
            json!({
                "id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": null,
                "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }], "usage": null,
            })
            .to_string()
        };
        assert_eq!(super::words(&usual(json!({ "content": "two words" }))).as_deref(), Some("two words"));
        assert_eq!(super::words(&usual(json!({ "content": "a", "tool_calls": [] }))), None);
        assert_eq!(super::words(&usual(json!({ "role": "assistant" }))), None);
    }
}
