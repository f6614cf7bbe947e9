//! What the fuzz targets and the property tests call: every decoder over bytes of any kind. They return nothing; that they return is
//! the point, along with what they assert.

use super::dialect::{fold, stream_events};
use crate::chat::{Event, Message, Request};
use crate::documents::{ChunkOptions, FileKind, chunk, extract_text};
use crate::embed::StaticEmbedder;
use crate::provider::anthropic::Anthropic;
use crate::provider::gemini::Gemini;
use crate::provider::ollama::Ollama;
use crate::provider::openai::Chat;
use crate::provider::responses::Responses;
use crate::provider::{Dialect, WireFailure, error_shapes, read_whole};
use crate::query;
use crate::transport::{Frame, FrameDecoder, Framing, redact, retry_after};
use bytes::Bytes;
use jiff::Timestamp;
use std::sync::OnceLock;

fn frames(framing: Framing, bytes: &[u8], piece: usize) -> (Vec<Frame>, Option<String>) {
    let mut frames = Vec::new();
    let mut decoder = FrameDecoder::new(framing).with_limit(1 << 16);
    for part in bytes.chunks(piece.max(1)) {
        if let Err(error) = decoder.push(part, &mut frames) {
            return (frames, Some(error.to_string()));
        }
    }
    let end = decoder.finish(&mut frames).err().map(|e| e.to_string());
    (frames, end)
}

fn framing(framing: Framing, bytes: &[u8]) {
    let whole = frames(framing, bytes, bytes.len());
    for piece in [1, 3, 64] {
        assert_eq!(frames(framing, bytes, piece), whole, "pieces of {piece} bytes are cut otherwise than the whole");
    }
}

fn stream(dialect: &dyn Dialect, bytes: &[u8]) {
    let whole = stream_events(dialect, bytes, 0);
    let single = stream_events(dialect, bytes, 1);
    match (whole, single) {
        (Ok(whole), Ok(single)) => {
            assert_eq!(format!("{whole:?}"), format!("{single:?}"), "chunked otherwise, decoded otherwise");
            assert!(matches!(whole.last(), Some(Event::Finish { .. })), "a stream without error ends in Finish");
            let ends = whole.iter().filter(|e| matches!(e, Event::Finish { .. })).count();
            assert_eq!(ends, 1, "Finish comes once");
            echo(dialect, fold(&whole).message);
        }
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string(), "chunked otherwise, failed otherwise"),
        (a, b) => assert_eq!(a.is_ok(), b.is_ok(), "chunked otherwise, ended otherwise"),
    }
}

fn body(dialect: &dyn Dialect, bytes: &[u8]) {
    let decoded = dialect.decode(bytes);
    // In whatever form it comes: what the dialect reads is read the same, and what it does not may still be a stream.
    let read = read_whole(dialect, bytes);
    if let (Ok(decoded), Ok(read)) = (&decoded, &read) {
        assert_eq!(decoded, read, "read otherwise than decoded");
    }
    for answer in [decoded, read].into_iter().flatten() {
        echo(dialect, answer.message);
    }
}

/// What a server said can be sent back to it.
fn echo(dialect: &dyn Dialect, message: Message) {
    let request = Request::new("a-model", vec![Message::user("go on"), message, Message::user("more")]);
    let _ = dialect.encode(&request, true);
}

/// Server-sent events: any chunking equals the whole.
pub fn sse(bytes: &[u8]) {
    framing(Framing::Sse, bytes);
}

/// JSON values in a row: any chunking equals the whole.
pub fn ndjson(bytes: &[u8]) {
    framing(Framing::Ndjson, bytes);
}

/// A JSON array: any chunking equals the whole.
pub fn json_array(bytes: &[u8]) {
    framing(Framing::JsonArray, bytes);
}

/// A stream of Chat Completions.
pub fn chat_stream(bytes: &[u8]) {
    stream(&Chat::new(), bytes);
}

/// A whole answer of Chat Completions.
pub fn chat_body(bytes: &[u8]) {
    body(&Chat::new(), bytes);
}

/// A stream of the Responses API.
pub fn responses_stream(bytes: &[u8]) {
    stream(&Responses::new(), bytes);
}

/// A whole answer of the Responses API.
pub fn responses_body(bytes: &[u8]) {
    body(&Responses::new(), bytes);
}

/// A stream of Anthropic Messages.
pub fn anthropic_stream(bytes: &[u8]) {
    stream(&Anthropic::new(), bytes);
}

/// A whole answer of Anthropic Messages.
pub fn anthropic_body(bytes: &[u8]) {
    body(&Anthropic::new(), bytes);
}

/// A stream of Gemini.
pub fn gemini_stream(bytes: &[u8]) {
    stream(&Gemini::new(), bytes);
}

/// A whole answer of Gemini.
pub fn gemini_body(bytes: &[u8]) {
    body(&Gemini::new(), bytes);
}

/// A stream of Ollama.
pub fn ollama_stream(bytes: &[u8]) {
    stream(&Ollama::new(), bytes);
}

/// A whole answer of Ollama.
pub fn ollama_body(bytes: &[u8]) {
    body(&Ollama::new(), bytes);
}

/// The body of a failure, for every dialect; the first two bytes choose the status.
pub fn failure(bytes: &[u8]) {
    let [high, low, rest @ ..] = bytes else { return };
    let status = 300 + u16::from_le_bytes([*high, *low]) % 300;
    let body = Bytes::copy_from_slice(rest);
    let failure = WireFailure { status, headers: &[], body: &body, now: Timestamp::UNIX_EPOCH };
    let dialects: [&dyn Dialect; 5] =
        [&Chat::new(), &Responses::new(), &Anthropic::new(), &Gemini::new(), &Ollama::new()];
    for dialect in dialects {
        assert_eq!(dialect.classify(&failure).status(), Some(status), "an error keeps its status");
    }
}

/// Redaction and retry advice over any text.
pub fn words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(redact(&text).chars().count() <= 500, "what is shown is bounded");
    let headers = [("retry-after".to_owned(), text.into_owned())];
    let _ = retry_after(&headers, bytes, Timestamp::UNIX_EPOCH);
}

/// Retry advice and classification with headers: lines of `name: value` up to an empty line, the rest is the body; the first byte
/// chooses the status.
pub fn advice(bytes: &[u8]) {
    let [choice, rest @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(rest);
    let (head, body) = text.split_once("\n\n").unwrap_or(("", &text));
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let now = Timestamp::UNIX_EPOCH;
    let failure = WireFailure { status: 300 + u16::from(*choice), headers: &headers, body: &body, now };
    let error = error_shapes::classify_failure(&failure);
    assert!(error.message().chars().count() <= 600, "an error of {} characters", error.message().chars().count());
    assert_eq!(error.retry_after(), retry_after(&headers, &body, now));
    if let Ok(value) = serde_json::from_slice(&body) {
        let _ = error_shapes::error_in(&value);
    }
}

/// Query analysis and rewriting: lines are the conversation, the last one is the question.
pub fn question(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let analysis = query::analyse(&text, Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC);
    assert!(analysis.keywords.len() <= 15 && analysis.entities.len() <= 10, "{analysis:?}");
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().unwrap_or_default();
    let history: Vec<Message> = lines
        .iter()
        .enumerate()
        .map(|(i, line)| if i % 2 == 0 { Message::user(*line) } else { Message::assistant(*line) })
        .collect();
    let _ = query::rewrite(last, &history);
}

/// The tokenizer of the in-package embedder: a vector of length one, or an error.
pub fn wordpiece(bytes: &[u8]) {
    static EMBEDDER: OnceLock<Option<StaticEmbedder>> = OnceLock::new();
    let text = String::from_utf8_lossy(bytes);
    let Some(embedder) = EMBEDDER.get_or_init(|| StaticEmbedder::bundled().ok()) else { return };
    if let Ok(vector) = embedder.embed_one(&text) {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-3, "a vector of length {length}");
    }
}

/// Documents: text out of the bytes of a file, cut into chunks that hold everything, in order, within their size. The first byte
/// chooses the kind, the second the size.
pub fn document(bytes: &[u8]) {
    let [kind, size, rest @ ..] = bytes else { return };
    let kinds = [FileKind::Text, FileKind::Markdown, FileKind::Code, FileKind::Data, FileKind::Html];
    let kind = kinds.get(usize::from(*kind) % kinds.len()).copied().unwrap_or(FileKind::Text);
    let Ok(found) = extract_text(rest, kind) else { return };
    let max = usize::from(*size) + 1;
    let options = ChunkOptions { max_chars: max, overlap: max / 5, sentence_window: max / 10 };
    let text = found.text;
    let mut covered = 0;
    for piece in chunk(&text, kind, &options) {
        assert_eq!(text.get(piece.start..piece.end), Some(piece.text.as_str()), "a chunk is a slice of its text");
        assert!(piece.text.chars().count() <= max, "a chunk of more than {max} characters");
        let gap = text.get(covered.min(piece.start)..piece.start).unwrap_or_default();
        assert!(gap.trim().is_empty(), "left out: {gap:?}");
        assert!(piece.end > covered, "chunks go forward");
        covered = piece.end;
    }
    let rest = text.get(covered..).unwrap_or_default();
    assert!(rest.trim().is_empty(), "left out at the end: {rest:?}");
}

/// What mutations of a target's input should start from; empty for a name that there is not.
pub fn seed(name: &str) -> &'static str {
    super::fuzz_seeds::seed(name)
}

/// One of these functions.
pub type Target = fn(&[u8]);

/// Every function above by its name, for property tests and for a driver of fuzz targets.
pub const ALL: &[(&str, Target)] = &[
    ("sse", sse),
    ("ndjson", ndjson),
    ("json_array", json_array),
    ("chat_stream", chat_stream),
    ("chat_body", chat_body),
    ("responses_stream", responses_stream),
    ("responses_body", responses_body),
    ("anthropic_stream", anthropic_stream),
    ("anthropic_body", anthropic_body),
    ("gemini_stream", gemini_stream),
    ("gemini_body", gemini_body),
    ("ollama_stream", ollama_stream),
    ("ollama_body", ollama_body),
    ("failure", failure),
    ("words", words),
    ("advice", advice),
    ("question", question),
    ("wordpiece", wordpiece),
    ("document", document),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces of the wires' own words, put together at random: they reach states that random bytes never do.
    fn wireish() -> impl Strategy<Value = Vec<u8>> {
        const PIECES: &[&str] = &[
            "data: ",
            "event: error\n",
            "event: message_stop\n",
            "\n\n",
            "\n",
            "\r\n",
            "[DONE]",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "null",
            "1e999",
            "-1",
            "\"error\":",
            "\"type\":\"error\"",
            "\"type\":\"message_start\"",
            "\"type\":\"content_block_start\"",
            "\"type\":\"response.completed\"",
            "\"type\":\"response.output_item.done\"",
            "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\"}}]",
            "\"finish_reason\":\"stop\"",
            "\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]",
            "\"usage\":{\"prompt_tokens\":1}",
            "\"index\":0",
            "\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}]",
            "\"done\":true",
            "\"message\":{\"content\":\"x\"}",
            "\"output\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}]",
            "\"status\":\"completed\"",
            "😊",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        ];
        let piece = prop_oneof![
            8 => proptest::sample::select(PIECES).prop_map(|p| p.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..8),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|p| p.concat())
    }

    proptest! {
        #[test]
        fn nothing_panics_and_any_chunking_equals_the_whole(bytes in prop_oneof![wireish(), proptest::collection::vec(any::<u8>(), 0..400)]) {
            for (_, target) in ALL {
                target(&bytes);
            }
        }
    }
}
