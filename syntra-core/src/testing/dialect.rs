//! What every [`Dialect`] has to do, as one call.

use crate::chat::{Event, Message, Request, Response, ResponseBuilder};
use crate::error::{ErrorKind, Result};
use crate::provider::{Dialect, WireFailure};
use crate::transport::FrameDecoder;
use bytes::Bytes;
use serde_json::{Value, json};

/// One answer in both forms in which a server gives it.
#[derive(Clone, Copy, Debug)]
pub struct DialectFixture<'a> {
    /// What a breach is reported under.
    pub name: &'a str,
    /// The answer as a stream: the bytes of the HTTP body.
    pub stream: &'a str,
    /// The same answer as a whole body; `None` where the wire cannot say it in one piece.
    pub whole: Option<&'a str>,
}

/// The events of a streamed body that arrives in pieces of `piece` bytes (0: whole), through the framing that `dialect` names.
///
/// # Errors
/// What the framing or the stream decoder found wrong; the events before it are lost.
pub fn stream_events(dialect: &dyn Dialect, body: &[u8], piece: usize) -> Result<Vec<Event>> {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    let mut cutter = FrameDecoder::new(dialect.framing());
    for bytes in body.chunks(if piece == 0 { body.len().max(1) } else { piece }) {
        cutter.push(bytes, &mut frames)?;
    }
    cutter.finish(&mut frames)?;
    let mut decoder = dialect.stream_decoder();
    for frame in &frames {
        decoder.frame(frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

/// The answer that `events` add up to.
pub fn fold(events: &[Event]) -> Response {
    let mut answer = ResponseBuilder::new();
    events.iter().for_each(|event| answer.push(event));
    answer.build()
}

/// Checks a dialect against the contracts of [`Dialect`] and [`StreamDecoder`](crate::provider::StreamDecoder) with answers of its
/// wire, and returns every breach, in words:
///
/// - any chunking of a stream gives the same events as the whole, [`Event::Finish`] once and last;
/// - a stream folds to the same [`Response`] as the whole body decodes to;
/// - a stream that is cut off anywhere is an error or complete, never a shorter answer;
/// - the answer's message can be sent back, and is encoded the same way each time;
/// - a body or a frame with any one value replaced by another is an answer or an error, never a panic;
/// - every HTTP status with any of some bodies is an error with that status;
/// - a request without messages or model is [`ErrorKind::InvalidInput`].
///
/// # Errors
/// The list of breaches, at least one.
pub fn dialect_conformance(dialect: &dyn Dialect, fixtures: &[DialectFixture<'_>]) -> Result<(), Vec<String>> {
    let mut suite = Suite { dialect, breaches: Vec::new() };
    for fixture in fixtures {
        suite.chunking(fixture);
        suite.truncation(fixture);
        suite.whole(fixture);
        suite.echo(fixture);
        suite.mutations(fixture);
    }
    suite.failures();
    suite.empty_requests();
    if suite.breaches.is_empty() { Ok(()) } else { Err(suite.breaches) }
}

struct Suite<'a> {
    dialect: &'a dyn Dialect,
    breaches: Vec<String>,
}

fn shown(events: &[Event]) -> String {
    serde_json::to_string(events).unwrap_or_default()
}

impl Suite<'_> {
    fn check(&mut self, holds: bool, breach: impl FnOnce() -> String) {
        if !holds {
            self.breaches.push(breach());
        }
    }

    fn chunking(&mut self, fixture: &DialectFixture<'_>) {
        let name = fixture.name;
        let whole = match stream_events(self.dialect, fixture.stream.as_bytes(), 0) {
            Ok(events) => events,
            Err(error) => return self.breaches.push(format!("{name}: the stream is an error: {error}")),
        };
        let ends = whole.iter().filter(|e| matches!(e, Event::Finish { .. })).count();
        let last = matches!(whole.last(), Some(Event::Finish { .. }));
        self.check(ends == 1 && last, || format!("{name}: Finish must come once and last, not {ends} times"));
        for piece in [1, 2, 3, 7, 64] {
            match stream_events(self.dialect, fixture.stream.as_bytes(), piece) {
                Ok(events) => {
                    let (a, b) = (shown(&events), shown(&whole));
                    self.check(a == b, || format!("{name}: pieces of {piece} bytes give {a}, the whole gives {b}"));
                }
                Err(error) => self.breaches.push(format!("{name}: pieces of {piece} bytes are an error: {error}")),
            }
        }
    }

    fn truncation(&mut self, fixture: &DialectFixture<'_>) {
        let Ok(whole) = stream_events(self.dialect, fixture.stream.as_bytes(), 0) else { return };
        let whole = fold(&whole);
        // Every byte of a short stream, fewer of a long one.
        let step = (fixture.stream.len() / 1500).max(1);
        for end in (0..fixture.stream.len()).step_by(step) {
            let Some(cut) = fixture.stream.as_bytes().get(..end) else { continue };
            if let Ok(events) = stream_events(self.dialect, cut, 0) {
                let answer = fold(&events);
                if answer.message != whole.message || answer.finish != whole.finish {
                    let breach = format!("{}: cut after {end} bytes it passes for a whole answer", fixture.name);
                    return self.breaches.push(breach);
                }
            }
        }
    }

    fn whole(&mut self, fixture: &DialectFixture<'_>) {
        let (Some(body), name) = (fixture.whole, fixture.name) else { return };
        let streamed = stream_events(self.dialect, fixture.stream.as_bytes(), 0).map(|e| fold(&e));
        match (self.dialect.decode(body.as_bytes()), streamed) {
            (Ok(whole), Ok(streamed)) => {
                self.check(whole == streamed, || format!("{name}: whole {whole:?}\n  streamed {streamed:?}"));
            }
            (Err(error), _) => self.breaches.push(format!("{name}: the whole body is an error: {error}")),
            (_, Err(_)) => {}
        }
    }

    fn echo(&mut self, fixture: &DialectFixture<'_>) {
        let name = fixture.name;
        let Ok(events) = stream_events(self.dialect, fixture.stream.as_bytes(), 0) else { return };
        let request =
            Request::new("a-model", vec![Message::user("go on"), fold(&events).message, Message::user("more")]);
        match (self.dialect.encode(&request, false), self.dialect.encode(&request, false)) {
            (Ok(once), Ok(again)) => {
                self.check(once == again, || format!("{name}: encoding differs from time to time"))
            }
            (Err(error), _) | (_, Err(error)) => {
                self.breaches.push(format!("{name}: the answer cannot be sent back: {error}"));
            }
        }
    }

    fn mutations(&mut self, fixture: &DialectFixture<'_>) {
        if let Some(Ok(body)) = fixture.whole.map(serde_json::from_str::<Value>) {
            for mutant in mutants(&body) {
                // Whether it is an answer or an error does not matter; that it returns does.
                let _ = self.dialect.decode(mutant.to_string().as_bytes());
            }
        }
        let mut frames = Vec::new();
        let mut cutter = FrameDecoder::new(self.dialect.framing());
        let _ = cutter.push(fixture.stream.as_bytes(), &mut frames);
        let _ = cutter.finish(&mut frames);
        for at in 0..frames.len() {
            let Some(Ok(data)) = frames.get(at).map(|f| serde_json::from_str::<Value>(&f.data)) else { continue };
            for mutant in mutants(&data) {
                let (mut decoder, mut events) = (self.dialect.stream_decoder(), Vec::new());
                for (i, frame) in frames.iter().enumerate() {
                    let mut frame = frame.clone();
                    if i == at {
                        frame.data = mutant.to_string();
                    }
                    if decoder.frame(&frame, &mut events).is_err() {
                        break;
                    }
                }
                let _ = decoder.finish(&mut events);
                let request = Request::new("a-model", vec![Message::user("go on"), fold(&events).message]);
                let _ = self.dialect.encode(&request, true);
            }
        }
    }

    fn failures(&mut self) {
        let bodies: [&[u8]; 10] = [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"upstream connect error",
            b"<html><title>Bad Gateway</title></html>",
            b"{\"error\":\"words\"}",
            b"{\"error\":{\"message\":null,\"code\":null}}",
            b"{\"error\":{\"message\":\"words\",\"type\":\"a_type\",\"details\":[1,null,{}]}}",
            b"\xff\xfe{",
        ];
        for status in 300..=599u16 {
            for body in bodies {
                let body = Bytes::from_static(body);
                let failure = WireFailure { status, headers: &[], body: &body, now: jiff::Timestamp::UNIX_EPOCH };
                let error = self.dialect.classify(&failure);
                let kind = error.kind();
                let got = error.status();
                self.check(got == Some(status), || format!("an answer with status {status} is an error with {got:?}"));
                let local = matches!(kind, ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Storage);
                self.check(!local, || format!("status {status} is classified as {kind}, which is none of a server's"));
            }
        }
    }

    fn empty_requests(&mut self) {
        let cases = [Request::new("a-model", vec![]), Request::new("", vec![Message::user("hello")])];
        for request in cases {
            let kind = self.dialect.encode(&request, false).map_err(|e| e.kind());
            let right = matches!(kind, Err(ErrorKind::InvalidInput));
            self.check(right, || "a request without a model or without messages must be InvalidInput".to_owned());
        }
    }
}

/// `value` with each of its values in turn replaced by something else, or left out.
fn mutants(value: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    collect(value, String::new(), &mut pointers);
    let others = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}é\u{1f600}"),
        json!([]),
        json!([[{}]]),
        json!({}),
        json!({"type": "error", "error": {}}),
    ];
    let mut out = Vec::new();
    for pointer in pointers.iter().take(400) {
        for other in &others {
            let mut mutant = value.clone();
            if let Some(place) = mutant.pointer_mut(pointer) {
                *place = other.clone();
                out.push(mutant);
            }
        }
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        let mut mutant = value.clone();
        if let Some(Value::Object(map)) = mutant.pointer_mut(parent) {
            map.remove(&key.replace("~1", "/").replace("~0", "~"));
            out.push(mutant);
        }
    }
    out
}

fn collect(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                collect(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                collect(inner, format!("{at}/{i}"), out);
            }
        }
        _ => {}
    }
    out.push(at);
}
