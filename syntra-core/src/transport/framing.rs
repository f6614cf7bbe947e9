//! Streams of bytes cut into frames, incrementally: however the network chops the bytes, the frames are the same.

use crate::error::{Error, ErrorKind, Result};

/// One frame of a stream, whatever its framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The SSE event name; empty for NDJSON, JSON arrays and unnamed events.
    pub event: String,
    /// The data: for SSE the joined `data:` lines, for NDJSON one line, for a JSON array one element.
    pub data: String,
}

/// How a stream is cut into frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, after the WHATWG HTML standard, section 9.2.6.
    Sse,
    /// JSON values one after the other; usually one a line, but a value that is spread over lines is taken whole.
    Ndjson,
    /// One JSON array whose elements are the frames.
    JsonArray,
    /// Told from the first byte that counts.
    #[default]
    Auto,
}

/// The most bytes that one line or event may have unless [`FrameDecoder::with_limit`] says otherwise: pictures come inside events.
pub const DEFAULT_FRAME_LIMIT: usize = 16 << 20;

/// Cuts bytes into [`Frame`]s. Fed with any pieces, it gives the same frames as fed with the whole.
///
/// The first byte decides where servers lie: a body that begins with `{` or `[` is read as JSON even where events were
/// promised (the adapter then sees from [`FrameDecoder::framing`] that it holds no event stream), and one that begins with `<`
/// is an error, because an edge answered with a page of HTML.
///
/// ```
/// use syntra_core::transport::{FrameDecoder, Framing};
/// let mut decoder = FrameDecoder::new(Framing::Sse);
/// let mut frames = Vec::new();
/// decoder.push(b": keep-alive\n\nda", &mut frames).unwrap();
/// decoder.push(b"ta: {\"a\":1}\r\n\r\n", &mut frames).unwrap();
/// decoder.finish(&mut frames).unwrap();
/// assert_eq!(frames[0].data, r#"{"a":1}"#);
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    declared: Framing,
    state: State,
    limit: usize,
    /// Bytes before the first one that counts (a byte-order mark, perhaps in part).
    head: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Sniffing,
    Sse(Sse),
    Json(Json, Framing),
    Failed(Error),
}

impl FrameDecoder {
    /// A decoder for a stream that is said to have `framing`.
    pub fn new(framing: Framing) -> Self {
        Self { declared: framing, state: State::Sniffing, limit: DEFAULT_FRAME_LIMIT, head: Vec::new() }
    }

    /// The framing that the `Content-Type` of an answer promises; [`Framing::Auto`] where it says nothing of use.
    pub fn for_content_type(content_type: Option<&str>) -> Framing {
        let mime = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match mime.as_str() {
            "text/event-stream" => Framing::Sse,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Framing::Ndjson
            }
            _ => Framing::Auto,
        }
    }

    /// The same decoder with another bound, in bytes, on a line or event.
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The framing that was found, once the first byte has come.
    pub fn framing(&self) -> Option<Framing> {
        match &self.state {
            State::Sse(_) => Some(Framing::Sse),
            State::Json(_, framing) => Some(*framing),
            State::Sniffing | State::Failed(_) => None,
        }
    }

    /// Whether no frame is begun: what came since the last one was comments and blank lines.
    pub fn is_between_frames(&self) -> bool {
        match &self.state {
            State::Sniffing => true,
            State::Sse(sse) => sse.line.first().is_none_or(|&b| b == b':') && !sse.has_data && sse.event.is_empty(),
            State::Json(json, _) => json.value.is_empty(),
            State::Failed(_) => false,
        }
    }

    /// Takes the next bytes and appends the frames that they complete.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when a line or event passes the bound, or when the body is HTML. The decoder stays in that error.
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) -> Result<()> {
        let mut bytes = bytes;
        if let State::Sniffing = self.state {
            match self.sniff(bytes) {
                Some(rest) => bytes = rest,
                None => return Ok(()),
            }
        }
        let done = match &mut self.state {
            State::Sse(sse) => sse.push(bytes, self.limit, frames),
            State::Json(json, _) => json.push(bytes, self.limit, frames),
            State::Failed(error) => Err(error.clone()),
            State::Sniffing => Ok(()),
        };
        if let Err(error) = &done {
            self.state = State::Failed(error.clone());
        }
        done
    }

    /// The bytes are at their end. A last event without its blank line is still given when its data is complete (`[DONE]` or
    /// valid JSON: servers forget the last newline); anything else that is unfinished is dropped, as the standard has it, and the
    /// stream decoder sees that its terminal frame is missing.
    ///
    /// # Errors
    /// What [`FrameDecoder::push`] failed with.
    pub fn finish(&mut self, frames: &mut Vec<Frame>) -> Result<()> {
        match &mut self.state {
            State::Sse(sse) => sse.finish(frames),
            State::Json(json, _) => json.finish(frames),
            State::Failed(error) => return Err(error.clone()),
            State::Sniffing => {}
        }
        Ok(())
    }

    /// Looks for the first byte that counts and enters the state it means; gives what is left of `bytes` from there on.
    fn sniff<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];
        for (at, &byte) in bytes.iter().enumerate() {
            if self.head.len() < BOM.len() && BOM.get(self.head.len()) == Some(&byte) {
                self.head.push(byte);
                continue;
            }
            if byte.is_ascii_whitespace() {
                // Blank lines before the first event mean nothing in any framing.
                continue;
            }
            let head = std::mem::take(&mut self.head);
            self.state = match byte {
                b'{' => State::Json(Json::new(), Framing::Ndjson),
                b'[' => State::Json(Json::new(), Framing::JsonArray),
                b'<' => State::Failed(
                    Error::new(ErrorKind::Decode, "the server sent a page of HTML where a stream of JSON was due")
                        .with_code("html_body"),
                ),
                _ if self.declared == Framing::Ndjson || self.declared == Framing::JsonArray => {
                    State::Json(Json::new(), self.declared)
                }
                _ => {
                    let mut sse = Sse::default();
                    // A lone part of a byte-order mark is data like any other.
                    if head.len() < BOM.len() {
                        sse.line = head;
                    }
                    State::Sse(sse)
                }
            };
            return Some(bytes.get(at..).unwrap_or_default());
        }
        None
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::Decode, format!("the server sent a line or event of more than {limit} bytes"))
        .with_code("frame_too_large")
}

/// What is no UTF-8 in it is replaced. It is looked at whole first, as nearly every line is sound: the way of replacing goes byte by byte.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

/// Server-sent events.
#[derive(Debug, Default)]
struct Sse {
    line: Vec<u8>,
    /// The last byte was a CR, so that an LF now belongs to the same line end.
    after_cr: bool,
    event: String,
    data: String,
    has_data: bool,
}

impl Sse {
    fn push(&mut self, mut bytes: &[u8], limit: usize, frames: &mut Vec<Frame>) -> Result<()> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + part.len() + self.data.len() > limit {
                return Err(too_large(limit));
            }
            if end.is_none() {
                self.line.extend_from_slice(part);
                break;
            }
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            // Mostly a line comes whole and is read where it lies.
            if self.line.is_empty() {
                self.end_line(part, frames);
            } else {
                self.line.extend_from_slice(part);
                self.end_held_line(frames);
            }
        }
        Ok(())
    }

    fn end_held_line(&mut self, frames: &mut Vec<Frame>) {
        let mut line = std::mem::take(&mut self.line);
        self.end_line(&line, frames);
        line.clear();
        self.line = line;
    }

    fn end_line(&mut self, line: &[u8], frames: &mut Vec<Frame>) {
        if line.is_empty() {
            self.dispatch(frames);
            return;
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return,
            Some(colon) => {
                let value = line.get(colon + 1..).unwrap_or_default();
                (line.get(..colon).unwrap_or_default(), value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match name {
            b"data" if self.has_data => {
                self.data.push('\n');
                self.data.push_str(&text(value));
            }
            b"data" => {
                self.has_data = true;
                self.data = text(value);
            }
            b"event" => self.event = text(value),
            // `id` and `retry` are for reconnecting, which no model server supports; unknown fields are ignored.
            _ => {}
        }
    }

    fn dispatch(&mut self, frames: &mut Vec<Frame>) {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        if std::mem::take(&mut self.has_data) {
            frames.push(Frame { event, data });
        }
    }

    fn finish(&mut self, frames: &mut Vec<Frame>) {
        if !self.line.is_empty() {
            self.end_held_line(frames);
        }
        let complete = self.data == "[DONE]" || serde_json::from_str::<serde::de::IgnoredAny>(&self.data).is_ok();
        if complete {
            self.dispatch(frames);
        }
        *self = Self::default();
    }
}

/// JSON values, in a row or in an array, cut where their brackets close.
#[derive(Debug)]
struct Json {
    value: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Inside something that is no object or array: it goes to the end of its line.
    loose: bool,
}

impl Json {
    fn new() -> Self {
        Self { value: Vec::new(), depth: 0, in_string: false, escaped: false, loose: false }
    }

    fn push(&mut self, bytes: &[u8], limit: usize, frames: &mut Vec<Frame>) -> Result<()> {
        for &byte in bytes {
            if self.loose {
                if matches!(byte, b'\n' | b'\r') {
                    self.emit(frames);
                    continue;
                }
            } else if self.depth == 0 {
                match byte {
                    b'{' => self.depth = 1,
                    // Between values, and the brackets and commas of an array around them.
                    b'[' | b']' | b',' => continue,
                    _ if byte.is_ascii_whitespace() => continue,
                    _ => self.loose = true,
                }
            } else if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
            }
            if self.value.len() >= limit {
                return Err(too_large(limit));
            }
            self.value.push(byte);
            if self.depth == 0 && !self.loose {
                self.emit(frames);
            }
        }
        Ok(())
    }

    fn emit(&mut self, frames: &mut Vec<Frame>) {
        self.loose = false;
        let value = std::mem::take(&mut self.value);
        let data = text(value.trim_ascii_end());
        if !data.is_empty() {
            frames.push(Frame { event: String::new(), data });
        }
    }

    fn finish(&mut self, frames: &mut Vec<Frame>) {
        if self.loose {
            self.emit(frames);
        }
        *self = Self::new();
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
