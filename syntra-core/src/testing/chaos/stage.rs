//! What a fault is made of: the answer that goes wrong, and what has to come of it.

use super::script::{DialectScript, FrameRole, Problem, Reply, ScriptFrame, decorated};
use crate::chat::Usage;
use crate::error::{ErrorKind, Retry};
use crate::testing::loopback::{Answer, Gate, Step};
use crate::transport::Deadlines;
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

/// The bounds and deadlines that an adapter under test is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The deadlines.
    pub deadlines: Deadlines,
    /// The most bytes of a whole body.
    pub max_body: usize,
    /// The most bytes of one line or event of a stream.
    pub max_frame: usize,
    /// The most bytes of all of a stream.
    pub max_stream: u64,
}

/// Long enough that nothing but a hang ever meets it.
const LONG: Duration = Duration::from_secs(60);
/// For faults in which nothing more ever comes: any length gives the same result, unless a busy machine lets it pass before the server
/// has heard of the call. That shows nothing, and is played again with the next.
pub(super) const SHORT: [Duration; 3] = [Duration::from_millis(150), Duration::from_secs(1), Duration::from_secs(6)];

/// Which deadline a fault waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Patience {
    #[default]
    Long,
    FirstToken,
    BetweenChunks,
}

impl Limits {
    pub(super) fn new(patience: Patience, streaming: bool) -> Self {
        Self::with_short(patience, streaming, SHORT[0])
    }

    pub(super) fn with_short(patience: Patience, streaming: bool, short: Duration) -> Self {
        let long = Deadlines::within(LONG).with_connect(LONG);
        let deadlines = match patience {
            Patience::Long => long,
            // A whole answer has one deadline.
            _ if !streaming => long.with_total(short),
            Patience::FirstToken => long.with_first_token(short),
            Patience::BetweenChunks => long.with_between_chunks(short),
        };
        Self { deadlines, max_body: 128 << 10, max_frame: 16 << 10, max_stream: 256 << 10 }
    }
}

/// What has to come of a fault.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expect {
    /// The whole answer with its exact usage.
    Whole,
    /// An error.
    Fails(Failure),
}

/// The error that has to come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) retry: Retry,
    /// Between these, where the server asks for a wait.
    pub(super) wait: Option<(Duration, Duration)>,
}

pub(super) fn fails(kind: ErrorKind) -> Expect {
    Expect::Fails(Failure { kind, retry: kind.advice(), wait: None })
}

/// One fault, ready to be served: what the server does, and what has to come of it.
#[derive(Debug)]
pub(super) struct Play {
    /// The answer to each call; nobody listens when there is none.
    pub(super) answers: Vec<Answer>,
    pub(super) expect: Expect,
    /// The frames that reach the caller whole before the fault.
    pub(super) told: Vec<ScriptFrame>,
    /// The answer that a server without the fault would give.
    pub(super) reply: Reply,
    pub(super) patience: Patience,
    /// Opened when the caller has its first content (at once when it asked for a whole answer).
    pub(super) gate: Option<Gate>,
    /// More than was told may reach the caller: how the network cut the bytes decides.
    pub(super) at_least: bool,
}

impl Play {
    /// Text and counts that reached the caller of a stream.
    pub(super) fn told_text(&self) -> String {
        let pieces = self.told.iter().filter(|f| f.role == FrameRole::Text).count();
        self.reply.pieces.iter().take(pieces).map(String::as_str).collect()
    }

    pub(super) fn told_usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.told.iter().for_each(|frame| usage.merge(&frame.usage));
        usage
    }

    pub(super) fn then(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    pub(super) fn telling(mut self, told: Vec<ScriptFrame>) -> Self {
        self.told = told;
        self
    }

    pub(super) fn waiting(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn gated(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    pub(super) fn at_least(mut self) -> Self {
        self.at_least = true;
        self
    }

    pub(super) fn with_reply(mut self, reply: Reply) -> Self {
        self.reply = reply;
        self
    }
}

/// Where a fault is played: the dialect, the path, the answer that would be right.
pub(super) struct Stage<'a> {
    pub(super) script: &'a dyn DialectScript,
    pub(super) streaming: bool,
    pub(super) reply: Reply,
    pub(super) limits: Limits,
}

impl Stage<'_> {
    pub(super) fn frames(&self) -> Vec<ScriptFrame> {
        self.script.frames(&self.reply)
    }

    /// The frames before the first of `role`.
    pub(super) fn before(&self, role: FrameRole) -> Vec<ScriptFrame> {
        self.frames().into_iter().take_while(|f| f.role != role).collect()
    }

    /// The frames up to the first piece of text and with it.
    pub(super) fn first_text(&self) -> Vec<ScriptFrame> {
        let frames = self.frames();
        let end = frames.iter().position(|f| f.role == FrameRole::Text).map_or(frames.len(), |at| at + 1);
        frames.into_iter().take(end).collect()
    }

    pub(super) fn bytes(&self, frames: &[ScriptFrame]) -> Vec<u8> {
        frames.iter().map(|frame| self.script.render(frame)).collect::<String>().into_bytes()
    }

    /// The right answer in the form that the caller asked for, and its content type.
    pub(super) fn good(&self) -> (Vec<u8>, &'static str) {
        if self.streaming {
            (self.bytes(&self.frames()), self.script.stream_type())
        } else {
            (self.script.whole(&self.reply).to_string().into_bytes(), "application/json")
        }
    }

    fn play(&self, answers: Vec<Answer>) -> Play {
        let told = self.frames();
        Play {
            answers,
            expect: Expect::Whole,
            told,
            reply: self.reply.clone(),
            patience: Patience::Long,
            gate: None,
            at_least: false,
        }
    }

    /// Nobody listens.
    pub(super) fn nobody(&self) -> Play {
        self.play(Vec::new()).telling(Vec::new())
    }

    /// These answers, one a call, all of which have to be read as the right one.
    pub(super) fn answers(&self, answers: Vec<Answer>) -> Play {
        self.play(answers)
    }

    /// This answer, of which nothing can be read as one.
    pub(super) fn failing(&self, answer: Answer) -> Play {
        self.play(vec![answer]).telling(Vec::new())
    }

    /// A 200 with these bytes, of which nothing is known to reach the caller.
    pub(super) fn body(&self, bytes: impl Into<Bytes>, content_type: &str) -> Play {
        self.play(vec![Answer::new(200, bytes).with_header("content-type", content_type)]).telling(Vec::new())
    }

    /// A 200 that streams `frames`, whatever was asked for.
    pub(super) fn stream(&self, frames: Vec<ScriptFrame>) -> Play {
        let bytes = self.bytes(&frames);
        self.stream_bytes(bytes).telling(frames)
    }

    /// A 200 that streams these bytes.
    pub(super) fn stream_bytes(&self, bytes: impl Into<Bytes>) -> Play {
        self.stream_steps(vec![Step::Write(bytes.into())])
    }

    /// A 200 that streams as `steps` say.
    pub(super) fn stream_steps(&self, steps: Vec<Step>) -> Play {
        self.play(vec![Answer::steps(200, steps).with_header("content-type", self.script.stream_type())])
    }

    /// Every byte as given, from the status line on.
    pub(super) fn raw(&self, steps: Vec<Step>) -> Play {
        self.play(vec![Answer::raw(steps)])
    }

    /// A head with these lines beside status and length, and the right answer as the body.
    pub(super) fn with_head(&self, lines: &str) -> Play {
        let (body, content_type) = self.good();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
        self.raw(vec![Step::Write(format!("{head}{lines}\r\n").into()), Step::Write(body.into())])
    }

    /// An error with this status.
    pub(super) fn error(&self, status: u16, problem: Problem) -> Play {
        self.play(vec![Answer::json(status, &self.script.error(problem))]).telling(Vec::new())
    }

    /// A rate limit that asks for a wait in `headers` or in the words of its message.
    pub(super) fn limited(&self, headers: &[(&str, String)], words: Option<&str>, wait: (Duration, Duration)) -> Play {
        let mut body = self.script.error(Problem::RateLimit);
        if let Some(words) = words {
            let pointer = if body.pointer("/error/message").is_some() { "/error/message" } else { "/error" };
            if let Some(message) = body.pointer_mut(pointer) {
                *message = json!(format!("Rate limit reached. {words}"));
            }
        }
        self.limited_by(Answer::json(429, &body), headers, wait)
    }

    pub(super) fn limited_by(&self, answer: Answer, headers: &[(&str, String)], wait: (Duration, Duration)) -> Play {
        let answer = headers.iter().fold(answer, |a, (name, value)| a.with_header(*name, value));
        let kind = ErrorKind::RateLimit;
        let expect = Expect::Fails(Failure { kind, retry: kind.advice(), wait: Some(wait) });
        self.play(vec![answer]).telling(Vec::new()).then(expect)
    }

    /// The right answer in the caller's form, every object with more fields and with nulls.
    pub(super) fn decorated(&self) -> Play {
        if self.streaming {
            let mut frames = self.frames();
            for frame in frames.iter_mut().filter(|f| f.data.is_object()) {
                frame.data = decorated(self.script, &frame.data);
            }
            return self.stream(frames);
        }
        let body = decorated(self.script, &self.script.whole(&self.reply));
        self.body(body.to_string(), "application/json").telling(self.frames())
    }

    /// The data of the frames as JSON values, without last words that are none.
    pub(super) fn values(&self) -> Vec<String> {
        self.frames().into_iter().filter(|f| !matches!(f.data, Value::String(_))).map(|f| f.data.to_string()).collect()
    }
}
