//! How a wire says an answer: what a scripted server needs to know of a dialect.

use crate::chat::Usage;
use serde_json::{Value, json};

/// The answer that a scripted server gives when nothing is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// The text, in the pieces in which it is streamed.
    pub pieces: Vec<String>,
    /// A call of the caller's own tool: name and arguments.
    pub tool: Option<(String, Value)>,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// What tells this answer from others: part of the ids that a server gives it.
    pub serial: u32,
}

impl Reply {
    /// An answer of these pieces of text.
    pub fn text<S: Into<String>>(pieces: impl IntoIterator<Item = S>, input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            pieces: pieces.into_iter().map(Into::into).collect(),
            tool: None,
            input_tokens,
            output_tokens,
            serial: 1,
        }
    }

    /// The same with a tool call after the text.
    pub fn with_tool(mut self, name: impl Into<String>, arguments: Value) -> Self {
        self.tool = Some((name.into(), arguments));
        self
    }

    /// The same as another answer, with ids of its own.
    pub fn with_serial(mut self, serial: u32) -> Self {
        self.serial = serial;
        self
    }

    /// All of its text.
    pub fn whole_text(&self) -> String {
        self.pieces.concat()
    }

    /// What a server that tells everything says that it consumed.
    pub fn usage(&self) -> Usage {
        Usage { input_tokens: Some(self.input_tokens), output_tokens: Some(self.output_tokens), ..Usage::default() }
    }
}

/// What a frame of a stream is for; the faults leave frames out, repeat them and cut them by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameRole {
    /// Before and around the content: nothing that a reader sees.
    Structure,
    /// A piece of text.
    Text,
    /// A tool call or a part of one.
    Call,
    /// Without this frame the answer is not complete.
    End,
    /// Token counts beside the end, in a frame of their own.
    Counts,
    /// A last word that real servers leave out, `[DONE]` say: the answer is complete without it.
    Trailer,
}

/// One frame of a scripted stream.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptFrame {
    /// What it is for.
    pub role: FrameRole,
    /// The name of the server-sent event; empty for none.
    pub event: &'static str,
    /// The data; a string is written as it is, anything else as JSON.
    pub data: Value,
    /// The token counts that it tells.
    pub usage: Usage,
}

impl ScriptFrame {
    /// A frame of `role` with `data`, without a name or token counts.
    pub fn new(role: FrameRole, data: Value) -> Self {
        Self { role, event: "", data, usage: Usage::default() }
    }

    /// The same as an event of this name.
    pub fn named(mut self, event: &'static str) -> Self {
        self.event = event;
        self
    }

    /// The same telling these token counts; `None` is not told.
    pub fn telling(mut self, input: Option<u64>, output: Option<u64>) -> Self {
        self.usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        self
    }
}

/// What a server complains about; every wire has words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The request is malformed.
    BadRequest,
    /// The key is wrong.
    Credential,
    /// There is no such model.
    ModelGone,
    /// The prompt is longer than the window.
    ContextTooLong,
    /// A policy filter refused the prompt.
    Policy,
    /// Too many requests.
    RateLimit,
    /// The quota is used up.
    Quota,
    /// There is no capacity.
    Overloaded,
    /// Something broke.
    Internal,
}

/// One wire, as a server speaks it. Implement it for an adapter of your own and hand it to [`chaos`](super::chaos).
pub trait DialectScript: Send + Sync + 'static {
    /// The wire's name, for the table.
    fn name(&self) -> &'static str;

    /// The answer in one JSON body.
    fn whole(&self, reply: &Reply) -> Value;

    /// The same answer as a stream, frame by frame, with exactly one frame of role [`FrameRole::End`].
    fn frames(&self, reply: &Reply) -> Vec<ScriptFrame>;

    /// The body of an error.
    fn error(&self, problem: Problem) -> Value;

    /// The frame of an error within a stream; by default the body of the error as an unnamed event.
    fn error_frame(&self, problem: Problem) -> ScriptFrame {
        ScriptFrame::new(FrameRole::Structure, self.error(problem))
    }

    /// The objects (JSON pointers into the whole body and into the data of a frame) that real servers send more fields in, and the
    /// names of optional fields that they send as null.
    fn optional_fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[("", &[])]
    }

    /// How a stream is framed: server-sent events, or lines of JSON.
    fn lines_of_json(&self) -> bool {
        false
    }

    /// What keeps a connection alive and means nothing.
    fn keep_alive(&self) -> &'static str {
        if self.lines_of_json() { "\n" } else { ": keep-alive\n\n" }
    }

    /// A frame as it goes over the wire.
    fn render(&self, frame: &ScriptFrame) -> String {
        let data = match &frame.data {
            Value::String(words) => words.clone(),
            value => value.to_string(),
        };
        match (self.lines_of_json(), frame.event) {
            (true, _) => format!("{data}\n"),
            (false, "") => format!("data: {data}\n\n"),
            (false, event) => format!("event: {event}\ndata: {data}\n\n"),
        }
    }

    /// The content type of a stream.
    fn stream_type(&self) -> &'static str {
        if self.lines_of_json() { "application/x-ndjson" } else { "text/event-stream" }
    }
}

/// `value` with every optional field as null and an unknown one beside them, in the objects that the dialect names.
pub(super) fn decorated(script: &dyn DialectScript, value: &Value) -> Value {
    let mut value = value.clone();
    for (pointer, names) in script.optional_fields() {
        let Some(object) = value.pointer_mut(pointer).and_then(Value::as_object_mut) else { continue };
        for name in *names {
            object.entry((*name).to_owned()).or_insert(Value::Null);
        }
        object.insert("x_not_yet_known".into(), json!({ "a": [1, null, "b"] }));
    }
    value
}
