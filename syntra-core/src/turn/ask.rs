//! What is asked of the assistant, and what it answers.

use super::Trace;
use crate::chat::{
    Answered, Citation, FinishReason, Image, Message, NanoDollars, OutputFormat, Part, ReasoningEffort, Request,
    Response, Role, Tool, ToolCall, ToolChoice, Usage,
};
use crate::exec::Recovery;
use crate::router::RoutingPolicy;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// A question to [`crate::Syntra`]; a plain string is one.
///
/// ```
/// use syntra_core::Ask;
/// let ask = Ask::new("And in French?").with_thread("t1").with_max_tokens(200);
/// assert_eq!(ask.thread.as_deref(), Some("t1"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ask {
    /// The current message.
    pub message: Message,
    /// The thread it belongs to; created if it is not there. A new thread where there is none.
    pub thread: Option<String>,
    /// The conversation so far, where the caller keeps it: it takes the place of a thread, and nothing is written to one.
    pub history: Option<Vec<Message>>,
    /// `provider/model` that must answer.
    pub model: Option<String>,
    /// Instructions for this turn, after the persona's own.
    pub instructions: Option<String>,
    /// Tools that the model may call and that the caller runs: see [`Answer::tool_calls`].
    pub tools: Vec<Tool>,
    /// How many times in a row the model's calls of the assistant's own tools ([`crate::tools`]) are run; 0 keeps them from it. As the
    /// assistant was set up by default.
    pub max_tool_rounds: Option<u32>,
    /// Whether and which tool has to be called.
    pub tool_choice: ToolChoice,
    /// The shape that the answer must have.
    pub output: OutputFormat,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// The most tokens to generate.
    pub max_tokens: Option<u32>,
    /// Texts at which generation ends.
    pub stop: Vec<String>,
    /// Seed for repeatable sampling.
    pub seed: Option<u64>,
    /// How hard to think.
    pub reasoning: Option<ReasoningEffort>,
    /// Provider fields passed through untouched.
    pub extra: Map<String, Value>,
    /// The most the call may cost; dearer models are left out.
    pub max_cost: Option<NanoDollars>,
    /// What is allowed and wanted of the choice of a model for this question, beside what the host says for all.
    pub policy: Option<RoutingPolicy>,
    /// Whether memory is recalled. Default true.
    pub recall: bool,
    /// Whether the exchange is remembered (the thread is written either way). Default true.
    pub remember: bool,
    /// How many memories to recall at the most. Default 20.
    pub recall_limit: usize,
    /// Whether an answer that was given before will do, where there is a cache; `None` for yes.
    pub cache: Option<bool>,
    /// The time of asking, where it is not now.
    pub now: Option<Timestamp>,
    /// What happens when the stream fails after some of the answer was shown; as the assistant was set up by default.
    pub recovery: Option<Recovery>,
    /// How long the turn may take to its end; as the assistant was set up by default.
    pub deadline: Option<Duration>,
}

impl Ask {
    /// The question `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self::message(Message::user(text))
    }

    /// A question that is a whole message: with pictures, documents or tool results.
    pub fn message(message: Message) -> Self {
        Self {
            message,
            thread: None,
            history: None,
            model: None,
            instructions: None,
            tools: Vec::new(),
            max_tool_rounds: None,
            tool_choice: ToolChoice::Auto,
            output: OutputFormat::Text,
            temperature: None,
            max_tokens: None,
            stop: Vec::new(),
            seed: None,
            reasoning: None,
            extra: Map::new(),
            max_cost: None,
            policy: None,
            recall: true,
            remember: true,
            recall_limit: 20,
            cache: None,
            now: None,
            recovery: None,
            deadline: None,
        }
    }

    /// Continues the thread `id`, or begins it.
    pub fn with_thread(mut self, id: impl Into<String>) -> Self {
        self.thread = Some(id.into());
        self
    }

    /// Goes on from `history`, oldest first, which the caller keeps: users', assistants' and tools' messages.
    pub fn with_history(mut self, history: Vec<Message>) -> Self {
        self.history = Some(history);
        self
    }

    /// Insists on `provider/model`.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Adds instructions for this turn.
    pub fn with_instructions(mut self, text: impl Into<String>) -> Self {
        self.instructions = Some(text.into());
        self
    }

    /// Adds a picture.
    pub fn with_image(mut self, image: Image) -> Self {
        self.message.parts.push(Part::Image(image));
        self
    }

    /// Adds a tool.
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Sets how many times in a row calls of the assistant's own tools are run; 0 keeps them from the model.
    pub fn with_max_tool_rounds(mut self, rounds: u32) -> Self {
        self.max_tool_rounds = Some(rounds);
        self
    }

    /// Sets whether and which tool has to be called.
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Asks for JSON that follows `schema`.
    pub fn with_json_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.output = OutputFormat::JsonSchema { name: name.into(), schema };
        self
    }

    /// Sets the sampling temperature.
    pub fn with_temperature(mut self, t: f32) -> Self {
        self.temperature = Some(t);
        self
    }

    /// Sets the most tokens to generate.
    pub fn with_max_tokens(mut self, n: u32) -> Self {
        self.max_tokens = Some(n);
        self
    }

    /// Adds a text at which generation ends.
    pub fn with_stop(mut self, text: impl Into<String>) -> Self {
        self.stop.push(text.into());
        self
    }

    /// Sets the seed for repeatable sampling.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets how hard to think.
    pub fn with_reasoning(mut self, effort: ReasoningEffort) -> Self {
        self.reasoning = Some(effort);
        self
    }

    /// Passes the provider's own field `key` through.
    pub fn with_extra(mut self, key: impl Into<String>, value: Value) -> Self {
        self.extra.insert(key.into(), value);
        self
    }

    /// Leaves models out that would cost more than `cost`.
    pub fn with_max_cost(mut self, cost: NanoDollars) -> Self {
        self.max_cost = Some(cost);
        self
    }

    /// Sets what is allowed and wanted of the choice of a model: a strategy by name, lists, regions, a limit. What the host or the
    /// organisation forbids stays forbidden.
    pub fn with_policy(mut self, policy: RoutingPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Whether memory is recalled.
    pub fn with_recall(mut self, recall: bool) -> Self {
        self.recall = recall;
        self
    }

    /// Whether the exchange is remembered.
    pub fn with_remember(mut self, remember: bool) -> Self {
        self.remember = remember;
        self
    }

    /// Whether an answer that was given before will do. An answer to a question that says no is not kept either.
    pub fn with_cache(mut self, cache: bool) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets the time of asking.
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Sets what happens when the stream fails after some of the answer was shown.
    pub fn with_recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Sets how long the turn may take; when it is not over by then it ends in [`crate::ErrorKind::Timeout`], code `turn_timeout`.
    pub fn with_deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// The request to a model whose context is `messages`; the model is filled in for each attempt.
    pub(crate) fn request(&self, messages: Vec<Message>) -> Request {
        let mut request = Request::new("", messages);
        request.tools.clone_from(&self.tools);
        request.tool_choice.clone_from(&self.tool_choice);
        request.output.clone_from(&self.output);
        request.temperature = self.temperature;
        request.max_tokens = self.max_tokens;
        request.stop.clone_from(&self.stop);
        request.seed = self.seed;
        request.reasoning = self.reasoning;
        request.cache_prefix = true;
        request.extra.clone_from(&self.extra);
        request
    }
}

impl From<&str> for Ask {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Ask {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Message> for Ask {
    fn from(message: Message) -> Self {
        Self::message(message)
    }
}

/// The assistant's whole answer.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// The answer's text.
    pub text: String,
    /// The model's thinking, in words.
    pub reasoning: String,
    /// Calls that the model asks the application to make.
    pub tool_calls: Vec<ToolCall>,
    /// What the answer leans on.
    pub citations: Vec<Citation>,
    /// The model's own words when it declined.
    pub refusal: Option<String>,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// The answer as a message.
    pub message: Message,
    /// How the turn ended: who answered, in which thread, at what cost.
    #[serde(flatten)]
    pub turn: Answered,
    /// Why the turn did what it did.
    pub trace: Arc<Trace>,
}

impl Answer {
    pub(crate) fn new(response: Response, turn: Answered, trace: Arc<Trace>) -> Self {
        Self {
            text: response.text(),
            reasoning: response.reasoning(),
            tool_calls: response.tool_calls().into_iter().cloned().collect(),
            citations: response.citations,
            refusal: response.refusal,
            finish: response.finish,
            message: response.message,
            turn,
            trace,
        }
    }

    pub(crate) fn is_tool_result(message: &Message) -> bool {
        message.role == Role::Tool
    }

    /// What the turn consumed, all attempts included.
    pub fn usage(&self) -> &Usage {
        &self.turn.usage
    }
}
