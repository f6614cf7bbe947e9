//! The `chat` dialect: OpenAI's Chat Completions, which most other servers speak with differences of their own.
//!
//! The differences are data: one [`ChatQuirks`] per server, kept in the table of [servers](super::servers).

mod decode;
mod encode;
mod stream;
#[cfg(test)]
mod tests;
mod words;

use super::{Dialect, StreamDecoder, WireFailure, WireRequest, error_shapes};
use crate::chat::{ReasoningEffort, Request, Response};
use crate::error::{Error, Result};

pub(crate) use decode::u64_at;
pub(crate) use encode::{check, data_url, is_openai_reasoning_model, openai_effort, strict_ready};

/// Chat Completions as one server speaks it.
#[derive(Clone, Debug, Default)]
pub struct Chat {
    quirks: ChatQuirks,
}

/// How a server differs from the common ground of Chat Completions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatQuirks {
    /// Says `max_completion_tokens` instead of `max_tokens`, always; otherwise it is said for OpenAI's reasoning models alone.
    pub max_completion_tokens: bool,
    /// Understands `stream_options.include_usage`; without it the server sends usage of its own accord, or none.
    pub include_usage: bool,
    /// How reasoning effort is said.
    pub reasoning: ReasoningField,
    /// Wants the assistant's `reasoning_content` back beside its tool calls.
    pub echo_reasoning: bool,
    /// Takes tools.
    pub tools: bool,
    /// What it does with a JSON schema.
    pub json: JsonSupport,
    /// The name of the field for the seed; `None` where there is none, and the seed is dropped.
    pub seed: Option<&'static str>,
    /// Takes `stop`; without it a request with stop texts is refused, because the answer would run past them.
    pub stop: bool,
    /// How documents are handed over.
    pub documents: DocumentField,
    /// Wants marks (`cache_control`) on what its prompt cache is to keep.
    pub cache_marks: bool,
    /// Which of its models go on from the assistant's own words at the end of a conversation.
    pub prefill: Prefill,
    /// Its reasoning models refuse `temperature` and `top_p` (OpenAI): they are dropped for those.
    pub fixed_sampling: bool,
}

/// How a server is told how hard to think. Effort is a hint: where a server or model has no such setting it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReasoningField {
    /// Not at all.
    Dropped,
    /// `reasoning_effort`.
    Effort,
    /// `reasoning_effort`, for the models alone that OpenAI names as reasoning models; others refuse it.
    OpenAi,
    /// `reasoning: {effort}` (OpenRouter).
    Object,
    /// `thinking: {type: enabled | disabled}` (Kimi, DeepSeek).
    Thinking,
    /// `chat_template_kwargs: {enable_thinking}` (llama.cpp, vLLM).
    Template,
}

/// What a server does with structured output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonSupport {
    /// `response_format` with a schema.
    Schema,
    /// Any JSON object, no schema: a schema is refused before sending.
    ObjectOnly,
}

/// How a server takes documents; plain text goes as text everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentField {
    /// Text alone; files and addresses are refused before sending.
    TextOnly,
    /// `file` parts with the bytes as a data URL (OpenAI).
    File,
    /// `file` parts with bytes or an address (OpenRouter).
    FileOrUrl,
    /// `file_url` parts with bytes or an address (Perplexity).
    FileUrl,
}

/// Which models of a server go on from the assistant's own words, where a conversation ends with them. What is not documented is not
/// relied on: DeepSeek does so at another address alone, Mistral says the words again, and OpenAI, xAI and Perplexity begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefill {
    /// None.
    None,
    /// All, while they do not think (llama.cpp): thinking is switched off then.
    NotThinking,
    /// All, while they do not think, when the message is marked `partial` (Kimi).
    Partial,
    /// Claude before 4.6, while it does not think (OpenRouter).
    Claude,
    /// The Llama models (Groq).
    Llama,
}

impl Default for ChatQuirks {
    /// What an unknown compatible server is most likely to understand.
    fn default() -> Self {
        Self {
            max_completion_tokens: false,
            include_usage: true,
            reasoning: ReasoningField::Effort,
            echo_reasoning: false,
            tools: true,
            json: JsonSupport::Schema,
            seed: Some("seed"),
            stop: true,
            documents: DocumentField::TextOnly,
            cache_marks: false,
            prefill: Prefill::None,
            fixed_sampling: false,
        }
    }
}

impl Chat {
    /// The common ground, for a server that nothing is known of.
    pub fn new() -> Self {
        Self::default()
    }

    /// As a server with these `quirks` speaks it.
    pub fn with_quirks(quirks: ChatQuirks) -> Self {
        Self { quirks }
    }

    /// The quirks it was made with.
    pub fn quirks(&self) -> &ChatQuirks {
        &self.quirks
    }
}

impl Dialect for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn encode(&self, request: &Request, stream: bool) -> Result<WireRequest> {
        encode::encode(&self.quirks, request, stream)
    }

    fn decode(&self, body: &[u8]) -> Result<Response> {
        decode::decode(body)
    }

    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::ChatStream::default())
    }

    fn can_resume(&self, request: &Request) -> bool {
        let model = request.model.as_str();
        let told_not_to_think = request.reasoning == Some(ReasoningEffort::None);
        match self.quirks.prefill {
            Prefill::None => false,
            Prefill::NotThinking => request.reasoning.is_none() || told_not_to_think,
            Prefill::Partial => {
                // The models before K2.5 think by name; those since do unless they are told not to.
                let older = model.starts_with("moonshot-v1") || model.starts_with("kimi-k2-") || model == "kimi-latest";
                !model.contains("thinking") && (older || told_not_to_think)
            }
            Prefill::Claude => model.contains("claude-") && super::anthropic::takes_prefill(request),
            Prefill::Llama => model.rsplit('/').next().is_some_and(|name| name.starts_with("llama-")),
        }
    }

    fn classify(&self, failure: &WireFailure<'_>) -> Error {
        error_shapes::classify_failure(failure)
    }
}
