//! What is asked of a model.

use super::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One request to one model, in nobody's wire format.
///
/// ```
/// use syntra_core::{Message, Request};
/// let request = Request::new("gpt-4o-mini", vec![Message::user("hello")]).with_max_tokens(64).with_temperature(0.2);
/// assert_eq!(request.max_tokens, Some(64));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// The provider's name for the model.
    pub model: String,
    /// The conversation, oldest first; system messages anywhere, dialects move them where the wire wants them.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Whether and which tool has to be called.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The shape that the answer must have.
    #[serde(default)]
    pub output: OutputFormat,
    /// Sampling temperature, 0 to 2.
    #[serde(default)]
    pub temperature: Option<f32>,
    /// Nucleus sampling, 0 to 1.
    #[serde(default)]
    pub top_p: Option<f32>,
    /// The most tokens to generate, reasoning included.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// Texts at which generation ends.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Seed for repeatable sampling.
    #[serde(default)]
    pub seed: Option<u64>,
    /// How hard to think.
    #[serde(default)]
    pub reasoning: Option<ReasoningEffort>,
    /// Marks the stable prefix (system messages and tools) for the provider's prompt cache, where it wants a mark.
    #[serde(default)]
    pub cache_prefix: bool,
    /// Provider fields passed through untouched; they win over what the dialect wrote.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// JSON schema of its arguments object.
    pub parameters: Value,
}

/// Whether tools are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
}

/// The shape of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    JsonSchema {
        /// A name for the schema, as the wire wants one.
        name: String,
        /// The JSON schema.
        schema: Value,
    },
}

/// How hard a reasoning model should think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReasoningEffort {
    /// Not at all, where the model can.
    None,
    /// As little as the model can.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// A lot.
    High,
}

impl ReasoningEffort {
    /// The wire word most providers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Request {
    /// A request to `model` with `messages` and no option set.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            output: OutputFormat::Text,
            temperature: None,
            top_p: None,
            max_tokens: None,
            stop: Vec::new(),
            seed: None,
            reasoning: None,
            cache_prefix: false,
            extra: Map::new(),
        }
    }

    /// Sets the most tokens to generate.
    pub fn with_max_tokens(mut self, n: u32) -> Self {
        self.max_tokens = Some(n);
        self
    }

    /// Sets the sampling temperature.
    pub fn with_temperature(mut self, t: f32) -> Self {
        self.temperature = Some(t);
        self
    }

    /// Adds a tool.
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Asks for JSON that follows `schema`.
    pub fn with_json_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.output = OutputFormat::JsonSchema { name: name.into(), schema };
        self
    }

    /// Sets how hard to think.
    pub fn with_reasoning(mut self, effort: ReasoningEffort) -> Self {
        self.reasoning = Some(effort);
        self
    }

    /// Whether any message carries a picture.
    pub fn has_image(&self) -> bool {
        self.messages.iter().any(Message::has_image)
    }
}
