//! What the methods take, as it is written in JSON. A field that does not exist is an error: a misspelt option never goes unnoticed.

use crate::chat::{Message, NanoDollars, OutputFormat, ReasoningEffort, Request, Scope, Tool, ToolChoice};
use crate::error::{Error, Result};
use crate::exec::Recovery;
use crate::memory::{MemoryPatch, MemoryType, NewMemory, Page, RecallRequest};
use crate::router::RoutingPolicy;
use crate::search::{Filter, Strategy};
use crate::turn::Ask;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// Reads the arguments of `method`.
pub(super) fn read<T: DeserializeOwned>(method: &str, params: &str) -> Result<T> {
    serde_json::from_str(params).map_err(|e| Error::invalid(format!("{method}: {e}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scoped {
    pub(super) scope: Scope,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskParams {
    pub(super) scope: Scope,
    ask: AskWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskWords {
    message: Message,
    thread: Option<String>,
    history: Option<Vec<Message>>,
    model: Option<String>,
    instructions: Option<String>,
    #[serde(default)]
    tools: Vec<Tool>,
    tool_choice: Option<ToolChoice>,
    output: Option<OutputFormat>,
    temperature: Option<f32>,
    max_tokens: Option<u32>,
    #[serde(default)]
    stop: Vec<String>,
    seed: Option<u64>,
    reasoning: Option<ReasoningEffort>,
    #[serde(default)]
    extra: Map<String, Value>,
    max_cost: Option<NanoDollars>,
    policy: Option<RoutingPolicy>,
    max_tool_rounds: Option<u32>,
    recall: Option<bool>,
    remember: Option<bool>,
    recall_limit: Option<usize>,
    now: Option<Timestamp>,
    recovery: Option<Recovery>,
    deadline: Option<Seconds>,
    cache: Option<bool>,
}

/// A time in seconds.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Seconds(Duration);

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(n: f64) -> Result<Self, String> {
        let words = |_| format!("a time must be a number of seconds of at least 0, got {n}");
        Duration::try_from_secs_f64(n).map(Self).map_err(words)
    }
}

impl AskParams {
    /// The scope and the question.
    pub(super) fn into_parts(self) -> (Scope, Ask) {
        let words = self.ask;
        let mut ask = Ask::message(words.message);
        ask.thread = words.thread;
        ask.history = words.history;
        ask.model = words.model;
        ask.instructions = words.instructions;
        ask.tools = words.tools;
        ask.max_tool_rounds = words.max_tool_rounds;
        ask.tool_choice = words.tool_choice.unwrap_or(ask.tool_choice);
        ask.output = words.output.unwrap_or(ask.output);
        ask.temperature = words.temperature;
        ask.max_tokens = words.max_tokens;
        ask.stop = words.stop;
        ask.seed = words.seed;
        ask.reasoning = words.reasoning;
        ask.extra = words.extra;
        ask.max_cost = words.max_cost;
        ask.policy = words.policy;
        ask.recall = words.recall.unwrap_or(ask.recall);
        ask.remember = words.remember.unwrap_or(ask.remember);
        ask.recall_limit = words.recall_limit.unwrap_or(ask.recall_limit);
        ask.now = words.now;
        ask.recovery = words.recovery;
        ask.cache = words.cache;
        ask.deadline = words.deadline.map(|Seconds(limit)| limit);
        (self.scope, ask)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Complete {
    pub(super) provider: String,
    pub(super) request: Request,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turned {
    pub(super) scope: Scope,
    pub(super) turn_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feedback {
    pub(super) scope: Scope,
    pub(super) turn_id: String,
    pub(super) score: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Learned {
    pub(super) scope: Scope,
    pub(super) learned: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Items {
    pub(super) scope: Scope,
    pub(super) items: Vec<NewMemory>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FilterWords {
    kinds: Vec<MemoryType>,
    conversation: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl From<FilterWords> for Filter {
    fn from(words: FilterWords) -> Self {
        Self { kinds: words.kinds, conversation: words.conversation, from: words.from, to: words.to }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PageWords {
    offset: Option<u64>,
    limit: Option<u64>,
}

impl From<PageWords> for Page {
    fn from(words: PageWords) -> Self {
        let all = Self::default();
        Self { offset: words.offset.unwrap_or(all.offset), limit: words.limit.unwrap_or(all.limit) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecallParams {
    pub(super) scope: Scope,
    query: String,
    limit: Option<usize>,
    #[serde(default)]
    filter: FilterWords,
    strategies: Option<Vec<Strategy>>,
    now: Option<Timestamp>,
    /// An IANA name.
    time_zone: Option<String>,
}

impl RecallParams {
    /// The scope and the request.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for an unknown time zone.
    pub(super) fn into_parts(self) -> Result<(Scope, RecallRequest)> {
        let mut request = RecallRequest::new(self.query);
        request.filter = self.filter.into();
        request.limit = self.limit.unwrap_or(request.limit);
        request.strategies = self.strategies.unwrap_or(request.strategies);
        request.now = self.now;
        request.time_zone = self.time_zone.as_deref().map(crate::syntra::time_zone).transpose()?;
        Ok((self.scope, request))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    pub(super) scope: Scope,
    pub(super) id: String,
    pub(super) patch: Patch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    text: Option<String>,
    vector: Option<Vec<f32>>,
    title: Option<String>,
    reliability: Option<f32>,
    metadata: Option<Map<String, Value>>,
}

impl From<Patch> for MemoryPatch {
    fn from(patch: Patch) -> Self {
        Self {
            text: patch.text,
            vector: patch.vector,
            title: patch.title,
            reliability: patch.reliability,
            metadata: patch.metadata,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Supersede {
    pub(super) scope: Scope,
    pub(super) old: String,
    pub(super) new: NewMemory,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    pub(super) scope: Scope,
    pub(super) ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    pub(super) scope: Scope,
    #[serde(default)]
    pub(super) filter: FilterWords,
    #[serde(default)]
    pub(super) page: PageWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AsOf {
    pub(super) scope: Scope,
    pub(super) at: Timestamp,
    #[serde(default)]
    pub(super) filter: FilterWords,
    #[serde(default)]
    pub(super) page: PageWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    pub(super) scope: Scope,
    pub(super) path: String,
    #[serde(default)]
    pub(super) only: Vec<String>,
    /// The host's object that hears of the progress.
    pub(super) progress: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) scope: Scope,
    pub(super) path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewThread {
    pub(super) scope: Scope,
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    pub(super) scope: Scope,
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Threads {
    pub(super) scope: Scope,
    #[serde(default)]
    pub(super) page: PageWords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    pub(super) scope: Scope,
    pub(super) thread: String,
    #[serde(default = "hundred")]
    pub(super) limit: u64,
    pub(super) before: Option<u64>,
}

fn hundred() -> u64 {
    100
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Append {
    pub(super) scope: Scope,
    pub(super) thread: String,
    pub(super) messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    pub(super) model: String,
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) texts: Vec<String>,
}
