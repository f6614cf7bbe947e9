use super::*;
use proptest::prelude::*;

fn decode(framing: Framing, pieces: &[&[u8]]) -> (Vec<Frame>, Result<(), String>) {
    let mut decoder = FrameDecoder::new(framing).with_limit(4096);
    let mut frames = Vec::new();
    for piece in pieces {
        if let Err(e) = decoder.push(piece, &mut frames) {
            return (frames, Err(e.to_string()));
        }
    }
    let end = decoder.finish(&mut frames).map_err(|e| e.to_string());
    (frames, end)
}

fn data(framing: Framing, text: &str) -> Vec<String> {
    decode(framing, &[text.as_bytes()]).0.into_iter().map(|f| f.data).collect()
}

#[test]
fn sse_follows_the_standard() {
    let text =
        "\u{feff}: hello\r\n\r\nevent: a\rdata: 1\rdata:2\r\rdata\n\nid: 7\nretry: 9\nevent: lost\n\ndata:  x\n\n";
    let (frames, end) = decode(Framing::Sse, &[text.as_bytes()]);
    end.unwrap();
    let seen: Vec<_> = frames.iter().map(|f| (f.event.as_str(), f.data.as_str())).collect();
    assert_eq!(seen, [("a", "1\n2"), ("", ""), ("", " x")]);
}

#[test]
fn an_unfinished_event_counts_only_when_its_data_is_whole() {
    assert_eq!(data(Framing::Sse, "data: {\"a\":1}\n\ndata: [DONE]"), ["{\"a\":1}", "[DONE]"]);
    assert_eq!(data(Framing::Sse, "data: {\"a\":1}\n\ndata: {\"a\":"), ["{\"a\":1}"]);
    assert_eq!(data(Framing::Sse, "data: {\"a\":1}\n"), ["{\"a\":1}"]);
}

#[test]
fn json_is_cut_where_brackets_close() {
    let pretty = "{\n \"a\": \"}\\\"{\"\n}\n{\"b\":[{}]}{\"c\":1}";
    assert_eq!(data(Framing::Ndjson, pretty), ["{\n \"a\": \"}\\\"{\"\n}", "{\"b\":[{}]}", "{\"c\":1}"]);
    assert_eq!(data(Framing::JsonArray, "[{\"a\":[1,2]}\n,\r\n{\"b\":\"]\"}]"), ["{\"a\":[1,2]}", "{\"b\":\"]\"}"]);
    assert_eq!(data(Framing::JsonArray, "[]"), [""; 0]);
    assert_eq!(data(Framing::Ndjson, "oops\n{\"a\":1}"), ["oops", "{\"a\":1}"]);
    // What is cut off in the middle is no frame.
    assert_eq!(data(Framing::Ndjson, "{\"a\":1}\n{\"b\":"), ["{\"a\":1}"]);
}

#[test]
fn a_server_that_lies_is_found_out() {
    let mut decoder = FrameDecoder::new(Framing::Sse);
    let mut frames = Vec::new();
    decoder.push(b"\r\n {\"error\": 1}", &mut frames).unwrap();
    assert_eq!(decoder.framing(), Some(Framing::Ndjson));
    assert_eq!(frames[0].data, "{\"error\": 1}");
    let (frames, end) = decode(Framing::Sse, &[b"<html><body>Bad gateway"]);
    assert!(frames.is_empty() && end.unwrap_err().contains("HTML"));
    assert_eq!(FrameDecoder::for_content_type(Some("Text/Event-Stream; charset=utf-8")), Framing::Sse);
    assert_eq!(FrameDecoder::for_content_type(Some("application/x-ndjson")), Framing::Ndjson);
    assert_eq!(FrameDecoder::for_content_type(None), Framing::Auto);
}

#[test]
fn nothing_grows_past_its_bound() {
    let long = "x".repeat(5000);
    for text in
        [format!("data: {long}"), format!("data: {}\n", "y".repeat(3000)).repeat(2), format!("{{\"a\":\"{long}\"}}")]
    {
        let (frames, end) = decode(Framing::Auto, &[text.as_bytes()]);
        assert!(frames.is_empty());
        assert!(end.unwrap_err().contains("4096"));
    }
    // Keep-alives for ever are fine.
    let (frames, end) = decode(Framing::Sse, &[": ping\n\n".repeat(5000).as_bytes()]);
    assert!(frames.is_empty() && end.is_ok());
}

/// Bytes that look enough like streams to reach every state.
fn streamish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data".to_vec()),
        Just(b"event: e".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b": c".to_vec()),
        Just(b"{\"a\":\"\\\"}\"}".to_vec()),
        Just(b"{".to_vec()),
        Just(b"}".to_vec()),
        Just(b"[".to_vec()),
        Just(b"]".to_vec()),
        Just(b",".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just("é😊".as_bytes().to_vec()),
        Just(vec![0xEF, 0xBB, 0xBF]),
        Just(vec![0xFF]),
        Just(b"[DONE]".to_vec()),
        Just(b" ".to_vec()),
        Just(b"<".to_vec()),
        Just(vec![b'z'; 1500]),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn any_chunking_equals_the_whole(
        bytes in streamish(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        framing in prop_oneof![Just(Framing::Sse), Just(Framing::Ndjson), Just(Framing::JsonArray), Just(Framing::Auto)],
    ) {
        let whole = decode(framing, &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&whole, &decode(framing, &single));
        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(&whole, &decode(framing, &pieces));
    }

    #[test]
    fn what_a_server_writes_as_events_comes_out(
        events in proptest::collection::vec(("[a-z_.]{0,8}", "[ -~é😊]{1,40}(\n[ -~]{0,20}){0,2}"), 0..6),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        let mut text = String::new();
        for (event, data) in &events {
            if !event.is_empty() { text.push_str(&format!("event: {event}{end}")); }
            for line in data.split('\n') { text.push_str(&format!("data: {line}{end}")); }
            text.push_str(end);
        }
        let (frames, done) = decode(Framing::Sse, &[text.as_bytes()]);
        prop_assert!(done.is_ok());
        let seen: Vec<_> = frames.into_iter().map(|f| (f.event, f.data)).collect();
        prop_assert_eq!(seen, events);
    }
}
