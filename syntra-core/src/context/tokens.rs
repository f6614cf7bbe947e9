//! Counting tokens: exactly where the model's tokenizer is public (tiktoken), by a calibrated estimate elsewhere.

mod features;
mod known;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use super::TokenCounter;
use crate::chat::{DocumentSource, Image, Message, Part};
use features::{FEATURES, features};
use known::Known;
use std::sync::{Arc, LazyLock};
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

/// Tokens that a message costs beyond its content (role and separators), as OpenAI documents it for its chat format; others are close.
pub const MESSAGE_OVERHEAD: usize = 3;
/// Tokens with which the answer is opened, once a request.
pub const REPLY_OVERHEAD: usize = 3;
/// Tokens of a picture in low detail (OpenAI's fixed price for one).
pub const IMAGE_TOKENS_LOW: usize = 85;
/// Tokens of any other picture, whose size nobody knows before decoding it: what Anthropic states as the most for one, more
/// than OpenAI's 765 for 1024 by 1024 pixels and Gemini's 258 a tile.
pub const IMAGE_TOKENS: usize = 1600;
/// Tokens of a binary document of unknown length: about a page; more for a file of more than 50 kB, at 25 bytes a token.
pub const DOCUMENT_TOKENS: usize = 2000;
/// Tokens of the frame around a tool call or its result.
pub const TOOL_OVERHEAD: usize = 8;

/// The most bytes that go to the tokenizer at once: its regular expression fails on a million spaces in a row.
const SEGMENT: usize = 64 * 1024;

/// The counter of `model`, by the name its provider knows it by (`gpt-4o-mini`, `openai/gpt-4.1`, `claude-sonnet-4`): OpenAI's
/// models exactly, all others by an estimate that errs on the high side. Never fails; tokenizers are loaded when first used
/// (o200k takes some 100 ms, once a process).
///
/// ```
/// use syntra_core::context::counter_for;
/// let exact = counter_for("gpt-4o-mini");
/// assert_eq!((exact.name(), exact.is_exact(), exact.count("Hello world")), ("o200k_base", true, 2));
/// assert!(!counter_for("claude-sonnet-4").is_exact());
/// ```
pub fn counter_for(model: &str) -> Arc<dyn TokenCounter> {
    let name = model.to_ascii_lowercase();
    let name = name.strip_prefix("ft:").unwrap_or(&name);
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name);
    match get_tokenizer(name) {
        // The harmony encoding differs from o200k in special tokens alone, which text never becomes.
        Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => return Arc::new(Tiktoken::O200k),
        Some(Tokenizer::Cl100kBase) => return Arc::new(Tiktoken::Cl100k),
        _ => {}
    }
    Arc::new(EstimatedCounter::for_model(name))
}

/// The exact counter of OpenAI's models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tiktoken {
    /// `o200k_base`: gpt-4o, gpt-4.1, gpt-5, the o series, gpt-oss.
    O200k,
    /// `cl100k_base`: gpt-4, gpt-3.5-turbo, the embedding models.
    Cl100k,
}

impl Tiktoken {
    fn bpe(self) -> &'static CoreBPE {
        match self {
            Self::O200k => o200k_base_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        }
    }

    /// What was counted lately: the system text and the conversation so far are the same from turn to turn.
    fn known(self) -> &'static Known {
        static O200K: LazyLock<Known> = LazyLock::new(Known::default);
        static CL100K: LazyLock<Known> = LazyLock::new(Known::default);
        match self {
            Self::O200k => &O200K,
            Self::Cl100k => &CL100K,
        }
    }

    fn count_by(self, text: &str, segment: usize) -> usize {
        segments(text, segment).map(|part| self.bpe().count_ordinary(part)).sum()
    }
}

impl TokenCounter for Tiktoken {
    fn name(&self) -> &str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn count(&self, text: &str) -> usize {
        self.known().count(text, |text| self.count_by(text, SEGMENT))
    }
}

/// Cuts `text` into parts of at most `most` bytes (and at least a character), in front of a space that follows something else where
/// there is one: tokenizers never join across such a place, so the parts' counts add up to the whole's.
fn segments(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest.len() <= most {
            return Some(std::mem::take(&mut rest));
        }
        let mut end = most;
        while end > 0 && !rest.is_char_boundary(end) {
            end -= 1;
        }
        let bytes = rest.as_bytes();
        let joint =
            |i: usize| bytes.get(i) == Some(&b' ') && bytes.get(i - 1).is_some_and(|b| b.is_ascii_alphanumeric());
        let cut = (1..=end).rev().find(|&i| joint(i)).unwrap_or(end);
        let cut = if cut == 0 { rest.chars().next().map_or(rest.len(), char::len_utf8) } else { cut };
        let (part, tail) = rest.split_at(cut);
        rest = tail;
        Some(part)
    })
}

/// An estimate for models whose tokenizer is not public: a weighted sum of what the text consists of (words and their length, digits,
/// punctuation, characters by script). The weights are fitted to `o200k_base` (the large vocabularies: Gemini, Kimi, Qwen, …) and
/// to `cl100k_base` (the smaller ones, and whatever is unknown) so that they err on the high side; the tests state the bounds.
/// Claude's tokenizer, of which no copy exists, is taken to need a fifth more than `cl100k_base`: an assumption, not a
/// measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimatedCounter {
    weights: &'static [f32; FEATURES],
    factor: f32,
}

impl EstimatedCounter {
    /// The estimate for a vocabulary of some 200,000 tokens that knows many languages.
    pub const LARGE: Self = Self { weights: &LARGE, factor: 1.03 };
    /// The estimate for a vocabulary of some 100,000 tokens, mostly English.
    pub const SMALL: Self = Self { weights: &SMALL, factor: 1.03 };
    /// The estimate for Claude.
    pub const CLAUDE: Self = Self { weights: &SMALL, factor: 1.2 };

    /// The estimate for the model of this (lower case) name.
    fn for_model(name: &str) -> Self {
        const LARGE: [&str; 13] = [
            "gpt",
            "o1",
            "o3",
            "o4",
            "chatgpt",
            "gemini",
            "gemma",
            "kimi",
            "moonshot",
            "qwen",
            "deepseek",
            "llama-4",
            "sonar-reasoning",
        ];
        if name.contains("claude") {
            Self::CLAUDE
        } else if LARGE.iter().any(|family| name.starts_with(family)) {
            Self::LARGE
        } else {
            Self::SMALL
        }
    }
}

impl TokenCounter for EstimatedCounter {
    fn name(&self) -> &str {
        "estimate"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn count(&self, text: &str) -> usize {
        if text.is_empty() {
            return 0;
        }
        let sum: f32 = features(text).iter().zip(self.weights).map(|(n, weight)| n * weight).sum();
        // A float holds every whole number up to 2^24; far beyond any model's window the rest no longer matters.
        ((sum * self.factor).ceil() as usize).max(1)
    }
}

/// Weights in the order of [`features`], fitted to `o200k_base` by minimising the squared relative error over the samples beside
/// this file, an error below counting twelve times.
const LARGE: [f32; FEATURES] = [
    0.941, 0.046, 0.065, 0.661, 0.117, 1.366, 0.951, 0.016, 2.019, 0.607, 0.397, 0.427, 0.397, 0.372, 0.899, 0.749,
    0.683, 0.542, 0.19, 0.338, 0.444, 0.48, 0.435,
];

/// The same for `cl100k_base`.
const SMALL: [f32; FEATURES] = [
    0.982, 0.041, 0.06, 0.428, 0.246, 1.393, 0.818, 0.007, 2.998, 0.081, 0.683, 0.918, 1.29, 0.942, 1.563, 0.863,
    1.355, 0.661, 1.493, 0.252, 1.032, 1.186, 1.555,
];

/// Tokens of a message: its parts, [`MESSAGE_OVERHEAD`], and one more for a name. Pictures and documents count by the constants of
/// this module, reasoning by its words.
pub fn count_message(counter: &dyn TokenCounter, message: &Message) -> usize {
    let parts: usize = message.parts.iter().map(|part| count_part(counter, part)).sum();
    MESSAGE_OVERHEAD + parts + message.name.as_ref().map_or(0, |name| 1 + counter.count(name))
}

/// Tokens of a conversation: its messages and [`REPLY_OVERHEAD`].
pub fn count_messages(counter: &dyn TokenCounter, messages: &[Message]) -> usize {
    REPLY_OVERHEAD + messages.iter().map(|message| count_message(counter, message)).sum::<usize>()
}

fn count_part(counter: &dyn TokenCounter, part: &Part) -> usize {
    match part {
        Part::Text { text } => counter.count(text),
        Part::Image(Image { detail, .. }) if detail.as_deref() == Some("low") => IMAGE_TOKENS_LOW,
        Part::Image(_) => IMAGE_TOKENS,
        Part::Document(document) => match &document.source {
            DocumentSource::Text(text) => counter.count(text),
            DocumentSource::Bytes { data, .. } => DOCUMENT_TOKENS.max(data.len() / 25),
            DocumentSource::Url(_) => DOCUMENT_TOKENS,
        },
        Part::ToolCall(call) => TOOL_OVERHEAD + counter.count(&call.name) + counter.count(&call.arguments.to_string()),
        Part::ToolResult(result) => TOOL_OVERHEAD + counter.count(&result.content),
        Part::Reasoning(reasoning) => counter.count(&reasoning.text),
    }
}
