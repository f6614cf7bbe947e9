//! What goes to the model: memories, history and the question within a token budget, with provenance for each line.
//!
//! May use [`crate::chat`], [`crate::error`], [`crate::memory`] (its words only), how `search` cuts words, and tiktoken. Pure: no I/O.

mod builder;
mod history;
mod relevance;
mod tokens;

pub use builder::DefaultContextBuilder;
pub(crate) use history::begins_exchange;
pub use history::{Rolling, SUMMARY_EVERY, summarise};
pub use relevance::relevant;
pub use tokens::{
    DOCUMENT_TOKENS, EstimatedCounter, IMAGE_TOKENS, IMAGE_TOKENS_LOW, MESSAGE_OVERHEAD, REPLY_OVERHEAD, TOOL_OVERHEAD,
    Tiktoken, count_message, count_messages, counter_for,
};

use crate::chat::Message;
use crate::error::Result;
use crate::memory::Memory;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// Counts tokens as a model does.
pub trait TokenCounter: Send + Sync + Debug + 'static {
    /// The tokenizer's name, `o200k_base` say, or `estimate`.
    fn name(&self) -> &str;
    /// Whether the count is the model's own or an estimate (which then errs on the high side).
    fn is_exact(&self) -> bool;
    /// Tokens of `text`.
    fn count(&self, text: &str) -> usize;
}

/// Fits what is known into what the model can take.
#[async_trait]
pub trait ContextBuilder: Send + Sync + Debug + 'static {
    /// Chooses and orders. System first, then memories by section, then history with the newest last, then the current message, once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::ContextTooLong`] when the system text and the current message alone exceed [`Budget::window`];
    /// [`crate::ErrorKind::InvalidInput`] when the current message answers a tool call that the history does not end with.
    fn build(&self, input: &ContextInput<'_>) -> Result<Context>;

    /// As [`ContextBuilder::build`], and what a turn calls: a builder that has to wait for somebody (a summariser, an object of a host's
    /// language) says it here. As it is, it builds at once.
    ///
    /// # Errors
    /// As [`ContextBuilder::build`].
    async fn build_async(&self, input: &ContextInput<'_>) -> Result<Context> {
        self.build(input)
    }
}

/// What a context is built from.
#[derive(Clone, Debug)]
pub struct ContextInput<'a> {
    /// The system text (persona and instructions).
    pub system: &'a str,
    /// What was recalled, best first, with rank scores.
    pub memories: &'a [(Memory, f32)],
    /// Entities of the question with what is known of them.
    pub entities: &'a [EntityLine],
    /// A summary of what is older than the history.
    pub summary: Option<&'a str>,
    /// The conversation before the current message, oldest first.
    pub history: &'a [Message],
    /// The current message.
    pub current: &'a Message,
    /// The budgets.
    pub budget: &'a Budget,
    /// The counter of the model that is most likely to answer.
    pub counter: &'a dyn TokenCounter,
    /// The time of asking.
    pub now: Timestamp,
}

/// What is known of an entity of the question, in one line.
///
/// ```
/// use syntra_core::context::EntityLine;
/// let line = EntityLine::new("Falcon: named in 2 memories, with Lisbon").with_sources(["m1", "m2"]);
/// assert_eq!(line.sources, ["m1", "m2"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EntityLine {
    /// The line.
    pub text: String,
    /// The ids of the memories that it is known from.
    pub sources: Vec<String>,
}

impl EntityLine {
    /// A line that is known from nowhere in particular.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), sources: Vec::new() }
    }

    /// Sets the memories that it is known from.
    pub fn with_sources<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.sources = ids.into_iter().map(Into::into).collect();
        self
    }
}

/// Tokens by section. What a section does not use flows to the others in the order of their fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Profile memories.
    pub profile: usize,
    /// Semantic memories (facts, documents).
    pub semantic: usize,
    /// Episodic memories.
    pub episodic: usize,
    /// Procedural memories.
    pub procedural: usize,
    /// Entity lines.
    pub entities: usize,
    /// History and summary.
    pub history: usize,
    /// All sections together, the system text and the current message not counted.
    pub total: usize,
    /// The most tokens of the whole, system text and current message included: the model's window less what is kept for the answer.
    /// The sections shrink to fit it. `None` where nobody knows it.
    pub window: Option<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            profile: 600,
            semantic: 1500,
            episodic: 1500,
            procedural: 400,
            entities: 300,
            history: 300,
            total: 5000,
            window: None,
        }
    }
}

/// A section of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Section {
    /// The system text.
    System,
    /// Profile memories.
    Profile,
    /// Semantic memories.
    Semantic,
    /// Episodic memories.
    Episodic,
    /// Procedural memories.
    Procedural,
    /// Entity lines.
    Entities,
    /// Summary and history.
    History,
    /// The current message.
    Current,
}

/// One line (or message) of the context and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContextLine {
    /// The section it stands in.
    pub section: Section,
    /// The number by which an answer can cite it (`[1]`); memories only.
    pub label: Option<u32>,
    /// The memory it came from.
    pub memory_id: Option<String>,
    /// Its tokens.
    pub tokens: usize,
    /// What it says, where no memory or message is there to be looked up: entity lines and the summary.
    pub text: Option<String>,
    /// The memories that an entity line is known from.
    pub sources: Vec<String>,
}

impl ContextLine {
    /// A line of `section` that takes `tokens`, known from nowhere else.
    pub fn new(section: Section, tokens: usize) -> Self {
        Self { section, label: None, memory_id: None, tokens, text: None, sources: Vec::new() }
    }
}

/// Something that was left out, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dropped {
    /// The section it would have stood in.
    pub section: Section,
    /// The memory, if it was one.
    pub memory_id: Option<String>,
    /// Its tokens.
    pub tokens: usize,
    /// Why, in a few words.
    pub reason: String,
}

/// A context, ready to be sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Context {
    /// The messages: system, history, current.
    pub messages: Vec<Message>,
    /// Where each line is from, in order.
    pub lines: Vec<ContextLine>,
    /// What was left out.
    pub dropped: Vec<Dropped>,
    /// Tokens by section.
    pub tokens: Vec<(Section, usize)>,
    /// Tokens in all, message overhead included.
    pub total_tokens: usize,
    /// The counter's name, and whether it is exact.
    pub counter: (String, bool),
}
