//! The faults, by what breaks: the status, a header, the body, the stream, the connection.

use super::script::{FrameRole, Problem, Reply, ScriptFrame};
use super::stage::{Expect, Failure, Patience, Play, Stage, fails};
use crate::error::{ErrorKind, Retry};
use crate::testing::loopback::{Answer, Gate, Step};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultGroup {
    /// The server answers with a status that is no 200.
    Status,
    /// The head of the answer is not as it should be.
    Header,
    /// A 200 whose body is not as it should be.
    Body,
    /// A stream that is not as it should be; to a caller who asked for a whole answer the server streams all the same.
    Stream,
    /// The connection.
    Connection,
}

/// One fault, by name.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name in the table.
    pub name: &'static str,
    /// What breaks.
    pub group: FaultGroup,
    /// What the server does, in words.
    pub about: &'static str,
    pub(super) play: fn(&Stage<'_>) -> Play,
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fault").field("name", &self.name).field("group", &self.group).finish_non_exhaustive()
    }
}

/// All of them, in the order of the table.
pub fn faults() -> Vec<Fault> {
    let groups = [
        (FaultGroup::Status, STATUS),
        (FaultGroup::Header, HEADER),
        (FaultGroup::Body, BODY),
        (FaultGroup::Stream, STREAM),
        (FaultGroup::Connection, CONNECTION),
    ];
    let row = |group, &(name, about, play): &Row| Fault { name, group, about, play };
    groups.into_iter().flat_map(|(group, rows)| rows.iter().map(move |r| row(group, r))).collect()
}

type Row = (&'static str, &'static str, fn(&Stage<'_>) -> Play);

use ErrorKind as Kind;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn exactly(wait: Duration) -> (Duration, Duration) {
    (wait, wait)
}

fn html(status: u16) -> Answer {
    let page = "<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body>edge</body></html>";
    Answer::new(status, page).with_header("content-type", "text/html")
}

const STATUS: &[Row] = &[
    ("400", "malformed request", |x| x.error(400, Problem::BadRequest).then(fails(Kind::BadRequest))),
    ("400_context", "prompt too long for the window", |x| {
        x.error(400, Problem::ContextTooLong).then(fails(Kind::ContextTooLong))
    }),
    ("400_policy", "prompt refused by a filter", |x| x.error(400, Problem::Policy).then(fails(Kind::ContentPolicy))),
    ("401", "wrong key", |x| x.error(401, Problem::Credential).then(fails(Kind::Credential))),
    ("402", "payment required, empty body", |x| x.failing(Answer::new(402, "")).then(fails(Kind::QuotaExhausted))),
    ("403", "key not allowed", |x| x.error(403, Problem::Credential).then(fails(Kind::Credential))),
    ("404", "no such model", |x| x.error(404, Problem::ModelGone).then(fails(Kind::ModelUnavailable))),
    ("404_page", "a page of HTML: the wrong path", |x| x.failing(html(404)).then(fails(Kind::ModelUnavailable))),
    ("408", "request timeout", |x| x.error(408, Problem::Internal).then(fails(Kind::Transient))),
    ("409", "conflict", |x| x.error(409, Problem::Internal).then(fails(Kind::Transient))),
    ("413", "request too large, empty body", |x| x.failing(Answer::new(413, "")).then(fails(Kind::ContextTooLong))),
    ("422", "parameter refused", |x| x.error(422, Problem::BadRequest).then(fails(Kind::BadRequest))),
    ("429", "rate limit, no word of when", |x| x.error(429, Problem::RateLimit).then(fails(Kind::RateLimit))),
    ("429_seconds", "Retry-After: 7", |x| x.limited(&[("retry-after", "7".into())], None, exactly(s(7)))),
    ("429_date", "Retry-After as a date 90 s ahead", |x| {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() + s(90));
        x.limited(&[("retry-after", date)], None, (s(30), s(90)))
    }),
    ("429_milliseconds", "retry-after-ms: 350", |x| {
        x.limited(&[("retry-after-ms", "350".into())], None, exactly(Duration::from_millis(350)))
    }),
    ("429_retry_info", "RetryInfo of 4 s in the body", |x| {
        let info = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "4s" });
        let error = json!({ "code": 429, "message": "Exhausted.", "status": "RESOURCE_EXHAUSTED", "details": [info] });
        x.limited_by(Answer::json(429, &json!({ "error": error })), &[], exactly(s(4)))
    }),
    ("429_words", "\"try again in 1.5s\" in the message", |x| {
        x.limited(&[], Some("Please try again in 1.5s."), exactly(Duration::from_millis(1500)))
    }),
    ("429_reset", "x-ratelimit-reset headers of a limit that is used up", |x| {
        let headers = [("x-ratelimit-remaining-requests", "0".into()), ("x-ratelimit-reset-requests", "6m0s".into())];
        x.limited(&headers, None, exactly(s(360)))
    }),
    ("429_quota", "quota used up", |x| x.error(429, Problem::Quota).then(fails(Kind::QuotaExhausted))),
    ("451", "not in this region", |x| x.failing(Answer::new(451, "")).then(fails(Kind::Region))),
    ("500", "internal error", |x| x.error(500, Problem::Internal).then(fails(Kind::Transient))),
    ("502_page", "a page of HTML from an edge", |x| x.failing(html(502)).then(fails(Kind::Transient))),
    ("503", "no capacity", |x| x.error(503, Problem::Overloaded).then(fails(Kind::Overloaded))),
    ("504_page", "a page of HTML from an edge", |x| x.failing(html(504)).then(fails(Kind::Transient))),
    ("529", "overloaded", |x| x.error(529, Problem::Overloaded).then(fails(Kind::Overloaded))),
    ("204", "no content", |x| {
        let kind = if x.streaming { Kind::Truncated } else { Kind::Decode };
        x.failing(Answer::new(204, "")).then(fails(kind))
    }),
    ("307_elsewhere", "a redirect to another host", |x| {
        let to = Answer::new(307, "").with_header("location", "http://elsewhere.example/v1");
        let failure = Failure { kind: Kind::Config, retry: Retry::OtherTarget, wait: None };
        x.failing(to).then(Expect::Fails(failure))
    }),
];

const HEADER: &[Row] = &[
    ("type_wrong", "the content type of something else", |x| {
        let (body, _) = x.good();
        x.body(body, "text/html").telling(x.frames())
    }),
    ("type_missing", "no content type", |x| x.answers(vec![Answer::new(200, x.good().0)])),
    ("type_twice", "two content types that disagree", |x| {
        let (body, right) = x.good();
        let answer =
            Answer::new(200, body).with_header("content-type", "text/plain").with_header("content-type", right);
        x.answers(vec![answer])
    }),
    ("header_huge", "one header of 600 kB", |x| {
        x.with_head(&format!("x-huge: {}\r\n", "h".repeat(600 << 10))).telling(Vec::new()).then(fails(Kind::Connection))
    }),
    ("header_many", "150 headers", |x| {
        let lines: String = (0..150).map(|n| format!("x-{n}: {n}\r\n")).collect();
        x.with_head(&lines).telling(Vec::new()).then(fails(Kind::Connection))
    }),
    ("header_bytes", "a header value that is no text", |x| x.with_head("x-odd: \u{e9}\u{fffd}\r\n")),
    ("encoding_claimed", "says gzip and sends plain", |x| x.with_head("content-encoding: gzip\r\n")),
    ("status_garbage", "a first line that is no HTTP", |x| {
        x.raw(vec![Step::Write("SSH-2.0-OpenSSH_9.6\r\n\r\n".into())]).telling(Vec::new()).then(fails(Kind::Connection))
    }),
    ("early_hints", "103 before the 200", |x| {
        let (body, content_type) = x.good();
        let head = format!(
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        x.raw(vec![Step::Write(head.into()), Step::Write(body.into())])
    }),
    ("length_too_long", "promises more bytes than it sends", |x| {
        let (body, content_type) = x.good();
        let length = body.len() + 100;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
        let play = x.raw(vec![Step::Write(head.into()), Step::Write(body.into())]);
        // A stream had said its last word by then.
        if x.streaming { play } else { play.then(fails(Kind::Connection)) }
    }),
    ("length_too_short", "promises half of the bytes that it sends", |x| {
        let (body, content_type) = x.good();
        let told = x.first_text();
        let length = if x.streaming { x.bytes(&told).len() } else { body.len() / 2 };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
        let kind = if x.streaming { Kind::Truncated } else { Kind::Decode };
        x.raw(vec![Step::Write(head.into()), Step::Write(body.into())]).telling(told).then(fails(kind))
    }),
];

const BODY: &[Row] = &[
    ("empty", "nothing", |x| {
        let kind = if x.streaming { Kind::Truncated } else { Kind::Decode };
        x.body("", "application/json").then(fails(kind))
    }),
    ("spaces", "blank lines and nothing else", |x| {
        let kind = if x.streaming { Kind::Truncated } else { Kind::Decode };
        x.body("\n \n\n", "application/json").then(fails(kind))
    }),
    ("html", "a page of HTML with status 200", |x| x.failing(html(200)).then(fails(Kind::Decode))),
    ("json_cut", "JSON that ends in the middle", |x| {
        let whole = x.script.whole(&x.reply).to_string().into_bytes();
        let half = whole.get(..whole.len() / 2).unwrap_or_default().to_vec();
        let kind = if x.streaming && x.script.lines_of_json() { Kind::Truncated } else { Kind::Decode };
        x.body(half, "application/json").then(fails(kind))
    }),
    ("json_other", "JSON of another shape", |x| {
        let kind = if x.script.name() == "gemini" { Kind::Truncated } else { Kind::Decode };
        x.body(r#"{"hello":"world"}"#, "application/json").then(fails(kind))
    }),
    ("json_scalar", "JSON that is no object", |x| {
        // To server-sent events it is a field of an unknown name.
        let kind = if x.streaming && !x.script.lines_of_json() { Kind::Truncated } else { Kind::Decode };
        x.body("42", "application/json").then(fails(kind))
    }),
    ("huge", "more bytes than the bound", |x| {
        let size = x.limits.max_body + 1000;
        let reply = Reply::text([&"x".repeat(size)], 3, 4);
        x.body(x.script.whole(&reply).to_string(), "application/json").then(fails(Kind::Decode))
    }),
    ("utf8_broken", "bytes that are no UTF-8 within the text", |x| {
        let reply = Reply::text(["a\u{fffd}b"], 3, 4);
        let stage = Stage { reply: reply.clone(), ..*x };
        let (body, content_type) = stage.good();
        x.body(unreadable(body), content_type).telling(stage.frames()).with_reply(reply)
    }),
    ("error_in_200", "an error with status 200", |x| x.error(200, Problem::Overloaded).then(fails(Kind::Overloaded))),
    ("caller_fault_in_200", "the caller's own fault with status 200", |x| {
        // Words alone do not say whose fault it is.
        let kind = if x.script.name() == "ollama" { Kind::Transient } else { Kind::BadRequest };
        x.error(200, Problem::BadRequest).then(fails(kind))
    }),
    ("nulls_and_more", "optional fields null, unknown fields beside", |x| x.decorated()),
    ("bom", "a byte-order mark before it", |x| {
        let (body, content_type) = x.good();
        x.body([b"\xEF\xBB\xBF".as_slice(), &body].concat(), content_type).telling(x.frames())
    }),
    ("whole_for_stream", "one JSON body, whatever was asked for", |x| {
        x.body(x.script.whole(&x.reply).to_string(), "application/json").telling(x.frames())
    }),
    ("array_for_stream", "the stream as one JSON array", |x| {
        x.body(format!("[{}]", x.values().join(",\n")), "application/json").telling(x.frames())
    }),
    ("lines_for_stream", "the stream as lines of JSON", |x| {
        x.body(x.values().join("\n"), "application/json").telling(x.frames())
    }),
    ("events_for_lines", "the stream as server-sent events", |x| {
        let events: String = x.values().iter().map(|value| format!("data: {value}\n\n")).collect();
        x.body(events, "text/event-stream").telling(x.frames())
    }),
];

/// `body` with a byte that is no UTF-8 in the place of its U+FFFD.
fn unreadable(body: Vec<u8>) -> Vec<u8> {
    let mark = "\u{fffd}".as_bytes();
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body.as_slice();
    while let Some((&first, more)) = rest.split_first() {
        if rest.starts_with(mark) {
            out.push(0xFF);
            rest = rest.get(mark.len()..).unwrap_or_default();
        } else {
            out.push(first);
            rest = more;
        }
    }
    out
}

fn garbage() -> ScriptFrame {
    ScriptFrame::new(FrameRole::Structure, json!("%% no JSON %%"))
}

/// The frames with `between` before each of them.
fn interleaved(x: &Stage<'_>, between: &str) -> String {
    x.frames().iter().map(|frame| format!("{between}{}", x.script.render(frame))).collect()
}

/// The right stream, cut within its last piece of text at the byte that `cut` says; what came whole before.
fn cut_in_text(x: &Stage<'_>, cut: impl Fn(&[u8]) -> usize) -> Play {
    let frames = x.frames();
    let last = frames.iter().rposition(|f| f.role == FrameRole::Text).unwrap_or_default();
    let told: Vec<ScriptFrame> = frames.iter().take(last).cloned().collect();
    let half = frames.get(last).map(|f| x.script.render(f).into_bytes()).unwrap_or_default();
    let half = half.get(..cut(&half)).unwrap_or_default();
    let bytes = [x.bytes(&told).as_slice(), half].concat();
    x.stream_bytes(bytes).telling(told).then(fails(Kind::Truncated))
}

/// Never opened.
fn never() -> Step {
    Step::Wait(Gate::new())
}

fn with_tool<'a>(x: &Stage<'a>) -> Stage<'a> {
    let arguments = json!({ "city": "Köln", "days": [1, 2, 3] });
    Stage { reply: x.reply.clone().with_tool("forecast", arguments), ..*x }
}

/// Well below the deadlines that these faults are played with.
const BEAT: Duration = Duration::from_millis(25);

const STREAM: &[Row] = &[
    ("end_missing", "ends without its terminal frame", |x| {
        x.stream(x.before(FrameRole::End)).then(fails(Kind::Truncated))
    }),
    ("last_word_missing", "ends without `[DONE]` or the like", |x| x.stream(x.before(FrameRole::Trailer))),
    ("cut_in_frame", "ends within a frame", |x| cut_in_text(x, |frame| frame.len() / 2)),
    ("cut_in_character", "ends within a character", |x| {
        cut_in_text(x, |frame| frame.windows(4).position(|w| w == "🙂".as_bytes()).unwrap_or_default() + 2)
    }),
    ("cut_in_call", "ends within the arguments of a tool call", |x| {
        let y = with_tool(x);
        let frames = y.frames();
        let last = frames.iter().rposition(|f| f.role == FrameRole::Call).unwrap_or_default();
        let told: Vec<ScriptFrame> = frames.iter().take(last).cloned().collect();
        let half = frames.get(last).map(|f| y.script.render(f).into_bytes()).unwrap_or_default();
        let bytes = [y.bytes(&told).as_slice(), half.get(..half.len() / 2).unwrap_or_default()].concat();
        x.stream_bytes(bytes).telling(told).with_reply(y.reply.clone()).then(fails(Kind::Truncated))
    }),
    ("call_in_pieces", "text and a tool call, one byte at a time", |x| {
        let y = with_tool(x);
        let bytes = y.bytes(&y.frames());
        let steps = bytes.chunks(1).map(|b| Step::Write(b.to_vec().into())).collect();
        y.stream_steps(steps).telling(y.frames())
    }),
    ("split_in_characters", "every character of more than a byte is split", |x| {
        let bytes = x.bytes(&x.frames());
        let mut steps = Vec::new();
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if at > from && (0x80..0xC0).contains(byte) {
                steps.push(Step::Write(bytes.get(from..at).unwrap_or_default().to_vec().into()));
                from = at;
            }
        }
        steps.push(Step::Write(bytes.get(from..).unwrap_or_default().to_vec().into()));
        x.stream_steps(steps)
    }),
    ("bytes_one_by_one", "one byte at a time", |x| {
        let bytes = x.bytes(&x.frames());
        x.stream_steps(bytes.chunks(1).map(|b| Step::Write(b.to_vec().into())).collect())
    }),
    ("frames_twice", "every frame that is no content comes twice, counts included", |x| {
        let twice = |f: ScriptFrame| if f.role == FrameRole::Text { vec![f] } else { vec![f.clone(), f] };
        x.stream(x.frames().into_iter().flat_map(twice).collect()).telling(x.frames())
    }),
    ("answer_twice", "a second answer after the end", |x| {
        let another = Stage { reply: x.reply.clone().with_serial(2), ..*x };
        x.stream([x.frames(), another.frames()].concat()).telling(x.frames())
    }),
    ("keep_alives_between", "comments between all frames", |x| {
        x.stream_bytes(interleaved(x, &x.script.keep_alive().repeat(3)))
    }),
    ("keep_alives_only", "comments and then the end", |x| {
        // Blank lines are no body at all.
        let kind = if x.script.lines_of_json() && !x.streaming { Kind::Decode } else { Kind::Truncated };
        x.stream_bytes(x.script.keep_alive().repeat(20)).telling(Vec::new()).then(fails(kind))
    }),
    ("empty_frames", "frames without data between all frames", |x| {
        x.stream_bytes(interleaved(
            x,
            if x.script.lines_of_json() { "\n\n" } else { "data:\n\ndata: \n\nid: 7\nretry: 10\n\n" },
        ))
    }),
    ("line_ends_crlf", "lines end in CR LF", |x| {
        x.stream_bytes(String::from_utf8_lossy(&x.bytes(&x.frames())).replace('\n', "\r\n"))
    }),
    ("line_ends_cr", "lines end in CR alone", |x| {
        x.stream_bytes(String::from_utf8_lossy(&x.bytes(&x.frames())).replace('\n', "\r"))
    }),
    ("garbage_first", "the first frame is no JSON", |x| {
        x.stream([vec![garbage()], x.frames()].concat()).telling(Vec::new()).then(fails(Kind::Decode))
    }),
    ("garbage_later", "a frame after content is no JSON", |x| {
        let told = x.first_text();
        x.stream([told.clone(), vec![garbage()], x.frames()].concat()).telling(told).then(fails(Kind::Decode))
    }),
    ("error_first", "an error as the first frame", |x| {
        let frames = vec![x.script.error_frame(Problem::Overloaded)];
        x.stream(frames).telling(Vec::new()).then(fails(Kind::Overloaded))
    }),
    ("caller_fault_first", "the caller's own fault as the first frame", |x| {
        let kind = if x.script.name() == "ollama" { Kind::Transient } else { Kind::BadRequest };
        x.stream(vec![x.script.error_frame(Problem::BadRequest)]).telling(Vec::new()).then(fails(kind))
    }),
    ("error_later", "an error after content", |x| {
        let told = x.first_text();
        let frames = [told.clone(), vec![x.script.error_frame(Problem::Overloaded)]].concat();
        x.stream(frames).telling(told).then(fails(Kind::Overloaded))
    }),
    ("stall_first", "headers, a keep-alive and then nothing more", |x| {
        let steps = vec![Step::Write(x.script.keep_alive().into()), never()];
        x.stream_steps(steps).telling(Vec::new()).waiting(Patience::FirstToken).then(fails(Kind::Timeout))
    }),
    ("stall_later", "nothing more after content", |x| {
        let told = x.first_text();
        let steps = vec![Step::Write(x.bytes(&told).into()), never()];
        x.stream_steps(steps).telling(told).waiting(Patience::BetweenChunks).then(fails(Kind::Timeout))
    }),
    ("keep_alives_for_ever", "keep-alives without end before content", |x| {
        let steps = vec![Step::Repeat(x.script.keep_alive().into(), BEAT)];
        x.stream_steps(steps).telling(Vec::new()).waiting(Patience::FirstToken).then(fails(Kind::Timeout))
    }),
    ("keep_alives_later_for_ever", "keep-alives without end after content", |x| {
        let told = x.first_text();
        let steps = vec![Step::Write(x.bytes(&told).into()), Step::Repeat(x.script.keep_alive().into(), BEAT)];
        x.stream_steps(steps).telling(told).waiting(Patience::BetweenChunks).then(fails(Kind::Timeout))
    }),
    ("frame_huge", "one frame of more bytes than the bound", |x| {
        let y = Stage { reply: Reply::text([&"y".repeat(x.limits.max_frame + 100)], 3, 4), ..*x };
        let play = y.stream(y.frames());
        let told = y.before(FrameRole::Text);
        // A whole body has its own bound.
        if x.streaming { play.telling(told).then(fails(Kind::Decode)) } else { play }
    }),
    ("stream_huge", "more bytes in all than the bound", |x| {
        let piece = "z".repeat(x.limits.max_frame / 4);
        let pieces = x.limits.max_stream as usize / piece.len() + 1;
        let y = Stage { reply: Reply::text(vec![piece; pieces], 3, 4), ..*x };
        let told = y.first_text();
        y.stream(y.frames()).telling(told).at_least().then(fails(Kind::Decode))
    }),
];

const CONNECTION: &[Row] = &[
    ("refused", "nobody listens", |x| x.nobody().then(fails(Kind::Connection))),
    ("reset_before_head", "a reset once the request has come", |x| {
        x.raw(vec![Step::Reset]).telling(Vec::new()).then(fails(Kind::Connection))
    }),
    ("closed_before_head", "closed once the request has come", |x| {
        x.raw(vec![Step::Disconnect]).telling(Vec::new()).then(fails(Kind::Connection))
    }),
    ("closed_in_head", "closed within the headers", |x| {
        let steps = vec![Step::Write("HTTP/1.1 200 OK\r\ncontent-ty".into()), Step::Disconnect];
        x.raw(steps).telling(Vec::new()).then(fails(Kind::Connection))
    }),
    ("closed_in_body", "closed after content, without the end of the body", |x| {
        let told = x.first_text();
        let steps = vec![Step::Write(x.bytes(&told).into()), Step::Disconnect];
        x.stream_steps(steps).telling(told).then(fails(Kind::Connection))
    }),
    ("reset_in_body", "a reset after content", |x| {
        let (told, gate) = (x.first_text(), Gate::new());
        let steps = vec![Step::Write(x.bytes(&told).into()), Step::Wait(gate.clone()), Step::Reset];
        x.stream_steps(steps).telling(told).gated(gate).then(fails(Kind::Connection))
    }),
    ("closed_after_end", "closed after the last frame, without the end of the body", |x| {
        x.stream_steps(vec![Step::Write(x.bytes(&x.frames()).into()), Step::Disconnect]).then(if x.streaming {
            Expect::Whole
        } else {
            fails(Kind::Connection)
        })
    }),
    ("half_open", "takes the request and says nothing", |x| {
        x.raw(vec![never()]).telling(Vec::new()).waiting(Patience::FirstToken).then(fails(Kind::Timeout))
    }),
    ("head_never_ends", "begins the headers and says nothing more", |x| {
        let steps = vec![Step::Write("HTTP/1.1 200 OK\r\nserver: slow\r\n".into()), never()];
        x.raw(steps).telling(Vec::new()).waiting(Patience::FirstToken).then(fails(Kind::Timeout))
    }),
    ("error_body_never_ends", "a 500 whose body never ends", |x| {
        let body = x.script.error(Problem::Internal).to_string();
        let half = body.get(..body.len() / 2).unwrap_or_default().to_owned();
        let answer = Answer::steps(500, vec![Step::Write(half.into()), never()]);
        x.failing(answer).waiting(Patience::FirstToken).then(fails(Kind::Transient))
    }),
    ("head_byte_by_byte", "the headers one byte at a time", |x| {
        let (body, content_type) = x.good();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut steps: Vec<Step> = head.bytes().map(|b| Step::Write(vec![b].into())).collect();
        steps.push(Step::Write(body.into()));
        x.raw(steps)
    }),
    ("until_close", "HTTP/1.0: the body ends with the connection", |x| {
        let (body, content_type) = x.good();
        let head = format!("HTTP/1.0 200 OK\r\ncontent-type: {content_type}\r\n\r\n");
        x.raw(vec![Step::Write(head.into()), Step::Write(body.into())])
    }),
    ("closed_after_each", "says `connection: close` and does", |x| {
        let (body, content_type) = x.good();
        let answer = Answer::new(200, body)
            .with_header("content-type", content_type)
            .with_header("connection", "close")
            .closing();
        x.answers(vec![answer.clone(), answer])
    }),
    ("kept_alive", "two calls over one connection", |x| {
        let (body, content_type) = x.good();
        let answer = Answer::new(200, body).with_header("content-type", content_type);
        x.answers(vec![answer.clone(), answer])
    }),
];
