//! What a stream carries.

use super::{Citation, FinishReason, NanoDollars, ToolCall, Usage};
use crate::error::{Error, Result};
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::Value;

/// A provider's stream: content events and then [`Event::Finish`], or an error. Dropping it cancels the call.
pub type EventStream = BoxStream<'static, Result<Event>>;

/// One event of a stream.
///
/// A provider emits `Started`, `Text`, `Reasoning`, `ToolCall`, `Refusal`, `Citation`, `Usage` and last `Finish`. A turn adds
/// its own steps before them and ends in exactly one terminal event, [`Event::Done`] or [`Event::Error`]. Serialised, each
/// is an object with a `type`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The server began to answer and named itself.
    Started {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model that the server says answers.
        model: Option<String>,
    },
    /// More of the answer.
    Text {
        /// The words to append.
        text: String,
    },
    /// More of the thinking. An `opaque` token closes the part it belongs to.
    Reasoning {
        /// The words to append; may be empty.
        text: String,
        /// See [`super::Reasoning::opaque`].
        #[serde(skip_serializing_if = "Option::is_none")]
        opaque: Option<Value>,
    },
    /// A tool call, complete, its arguments parsed.
    ToolCall(ToolCall),
    /// More of the model's own words of declining.
    Refusal {
        /// The words to append.
        text: String,
    },
    /// A source that the answer leans on.
    Citation(Citation),
    /// Token counts so far; a later one replaces an earlier one field by field.
    Usage(Usage),
    /// The model stopped.
    Finish {
        /// Why.
        reason: FinishReason,
    },

    /// The turn recalled memories.
    Recalled {
        /// What it goes to the model with, best first.
        items: Vec<RecalledItem>,
    },
    /// The turn chose a model; sent again when it falls back to another.
    Routed(Routed),
    /// A step for a host's animation.
    Thinking {
        /// What is being done, in words.
        content: String,
    },
    /// Searches that are being made.
    Searching {
        /// What is searched for.
        queries: Vec<String>,
    },
    /// A step of an agent or a phase of the turn began or ended.
    Node {
        /// The step's name.
        name: String,
        /// Whether it began, ended or failed.
        status: NodeStatus,
    },
    /// What was shown so far is void: another model starts again from nothing.
    Restart(Restart),
    /// The turn failed. Terminal: nothing follows.
    Error(Error),
    /// The turn succeeded. Terminal: nothing follows.
    Done(Box<Answered>),
}

/// Whether a step began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// It began.
    Started,
    /// It ended well.
    Finished,
    /// It failed; the turn goes on without it.
    Failed,
}

/// One recalled memory, as a stream shows it; the trace has the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecalledItem {
    /// The memory's id.
    pub id: String,
    /// The beginning of its text.
    pub snippet: String,
    /// Its rank score.
    pub score: f32,
    /// Where it is from (a document's path, a conversation), if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The model that was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routed {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// Why, in one sentence.
    pub reason: String,
}

/// Why an answer starts again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// Why, in one sentence.
    pub reason: String,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Answered {
    /// Id of the saved assistant message.
    pub message_id: String,
    /// The thread it belongs to.
    pub thread_id: String,
    /// The provider that answered; `None` when the answer is extractive.
    pub provider: Option<String>,
    /// The model that answered; `None` when the answer is extractive.
    pub model: Option<String>,
    /// True when no model answered and the text was extracted from memory.
    pub degraded: bool,
    /// True when the answer was given before and came from the cache: nothing was sent, and it is free.
    pub cached: bool,
    /// Consumption over all attempts of the turn.
    pub usage: Usage,
    /// What the turn cost over all attempts; `None` when a price is unknown.
    pub cost: Option<NanoDollars>,
    /// Milliseconds from the question to the end.
    pub elapsed_ms: u64,
    /// Milliseconds from the question to the first content event; `None` when there was none.
    pub first_token_ms: Option<u64>,
    /// Id of the turn, to ask [`crate::Syntra::trace`] about it.
    pub turn_id: String,
}

impl Answered {
    /// The end of the turn `turn_id` in `thread_id`, everything else unknown; for the turn and for tests.
    pub fn new(turn_id: impl Into<String>, thread_id: impl Into<String>, message_id: impl Into<String>) -> Self {
        Self {
            message_id: message_id.into(),
            thread_id: thread_id.into(),
            provider: None,
            model: None,
            degraded: false,
            cached: false,
            usage: Usage::default(),
            cost: None,
            elapsed_ms: 0,
            first_token_ms: None,
            turn_id: turn_id.into(),
        }
    }
}

impl Event {
    /// Whether a reader sees this as part of the answer: text, reasoning, a refusal or a tool call that is not empty. Before the
    /// first of these a turn may still fall back to another model unseen.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Text { text } | Self::Refusal { text } => !text.is_empty(),
            Self::Reasoning { text, .. } => !text.is_empty(),
            Self::ToolCall(_) => true,
            _ => false,
        }
    }

    /// Whether nothing may follow this in a turn's stream.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Error(_))
    }
}
