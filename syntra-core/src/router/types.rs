//! The words of routing.

use super::{ExperimentArm, Policies, RoutingStrategy};
use crate::chat::NanoDollars;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// By provider, the regions in which it works on data.
pub type Regions = BTreeMap<String, Vec<String>>;

/// What is being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Intent {
    /// Small talk.
    SocialChat,
    /// A question of knowledge.
    QaRetrieval,
    /// Programming.
    CodingHelp,
    /// Writing, translating, rewording.
    EditingWriting,
    /// Mathematics and logic.
    ReasoningMath,
    /// What only the web of today knows.
    WebSearch,
    /// Choosing and buying.
    Shopping,
    /// About a picture.
    Vision,
}

impl Intent {
    /// All eight.
    pub const ALL: [Intent; 8] = [
        Intent::SocialChat,
        Intent::QaRetrieval,
        Intent::CodingHelp,
        Intent::EditingWriting,
        Intent::ReasoningMath,
        Intent::WebSearch,
        Intent::Shopping,
        Intent::Vision,
    ];

    /// Its name in `snake_case`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SocialChat => "social_chat",
            Self::QaRetrieval => "qa_retrieval",
            Self::CodingHelp => "coding_help",
            Self::EditingWriting => "editing_writing",
            Self::ReasoningMath => "reasoning_math",
            Self::WebSearch => "web_search",
            Self::Shopping => "shopping",
            Self::Vision => "vision",
        }
    }
}

/// What a request requires of a model, beside its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// It carries pictures.
    pub vision: bool,
    /// It carries tools.
    pub tools: bool,
    /// It asks for JSON that follows a schema.
    pub json_schema: bool,
    /// It asks for reasoning effort.
    pub reasoning: bool,
    /// It wants knowledge of today from the web (a preference, not a hard constraint).
    pub web_search: bool,
}

/// A question as a router sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteQuery {
    /// The current message's text.
    pub text: String,
    /// What is being asked for.
    pub intent: Intent,
    /// How sure the classifier is, 0 to 1.
    pub confidence: f32,
    /// What is required.
    pub needs: Needs,
    /// Tokens of the whole prompt.
    pub input_tokens: u64,
    /// By target, tokens of the prompt's beginning that its provider is likely to have in its prompt cache, because it was sent the same
    /// lately. They are charged at the price of cache reads where that is known.
    pub cached: Vec<(Target, u64)>,
    /// Tokens that must stay free for the answer.
    pub output_tokens: u64,
    /// Messages in the conversation so far.
    pub history_messages: usize,
    /// `provider/model` that the caller insists on.
    pub pinned: Option<String>,
    /// The most the call may cost.
    pub max_cost: Option<NanoDollars>,
    /// Whose outcomes are learned from; empty where nobody's are told apart.
    pub organisation: String,
    /// Between the cheapest (0) and the best (1), for this question; where it is `None` what the policies say, else the host's preference.
    pub quality: Option<f32>,
    /// What is allowed and wanted of the choice.
    pub policies: Policies,
    /// Where providers work on data, for what the policies say of it.
    pub regions: Arc<Regions>,
    /// A number of the turn's own, by which [`RoutingStrategy::Weighted`] draws; 0 draws by the text alone.
    pub seed: u64,
}

impl RouteQuery {
    /// A question `text` of `intent` that needs nothing special.
    pub fn new(text: impl Into<String>, intent: Intent) -> Self {
        Self {
            text: text.into(),
            intent,
            confidence: 1.0,
            needs: Needs::default(),
            input_tokens: 0,
            cached: Vec::new(),
            output_tokens: 1024,
            history_messages: 0,
            pinned: None,
            max_cost: None,
            organisation: String::new(),
            quality: None,
            policies: Policies::default(),
            regions: Arc::default(),
            seed: 0,
        }
    }

    /// Tokens of the prompt that `target` is likely to have in its cache; never more than there are.
    pub fn cached_tokens(&self, target: &Target) -> u64 {
        let cached = self.cached.iter().find(|(warm, _)| warm == target).map_or(0, |(_, tokens)| *tokens);
        cached.min(self.input_tokens)
    }

    /// The most that the call may cost: the least of what the caller and the policies say.
    pub fn cost_limit(&self) -> Option<NanoDollars> {
        [self.max_cost, self.policies.max_cost()].into_iter().flatten().min()
    }
}

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
}

impl Target {
    /// `model` at `provider`.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into() }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// How a target has done lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetHealth {
    /// False while it is known not to answer.
    pub available: bool,
    /// Decayed time to first token; `None` before the first success. Failures never improve it.
    pub first_token: Option<Duration>,
    /// Decayed tokens per second of an answer after its first token; `None` before enough was written to say.
    pub tokens_per_second: Option<f32>,
    /// Decayed share of calls that failed, 0 to 1.
    pub failure_rate: f32,
    /// Calls on their way, over all keys.
    pub in_flight: u32,
}

/// The models that can be called now.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Each target with its health.
    pub targets: Vec<(Target, TargetHealth)>,
}

impl Fleet {
    /// Targets that nothing is known of yet, all of them available.
    pub fn untried(targets: impl IntoIterator<Item = Target>) -> Self {
        let fresh = || TargetHealth { available: true, ..TargetHealth::default() };
        Self { targets: targets.into_iter().map(|target| (target, fresh())).collect() }
    }
}

/// Where a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// First in line.
    Chosen,
    /// To be tried if those before it fail.
    Fallback,
    /// Not to be tried; the report says why.
    Excluded,
}

/// What the router thought of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CandidateReport {
    /// The candidate.
    pub target: Target,
    /// Where it stands.
    pub standing: Standing,
    /// Its place, 0 is the first to be tried; `None` when excluded.
    pub rank: Option<usize>,
    /// How good its answer is expected to be, 0 to 1; `None` when that was not estimated.
    pub predicted_quality: Option<f32>,
    /// Where that is from: the prior's source, or how many outcomes of the model it rests on.
    pub quality_source: Option<Cow<'static, str>>,
    /// What the call would cost with the predicted output, as its price and what was learned of its calls say; `None` when the price
    /// is unknown.
    pub estimated_cost: Option<NanoDollars>,
    /// Tokens of the prompt that are expected to come out of its provider's cache, which is in the cost; `None` when there are none.
    pub cached_tokens: Option<u64>,
    /// The expected time to first token, if it was ever seen.
    pub expected_first_token_ms: Option<u64>,
    /// The expected time to the end of an answer of the predicted length: the time to first token, and the predicted tokens at
    /// its tokens per second; `None` where one of the two was never seen.
    pub expected_latency_ms: Option<u64>,
    /// How many tokens per second it writes after the first, as seen lately.
    pub tokens_per_second: Option<f32>,
    /// Its window in tokens, if known.
    pub context_window: Option<u64>,
    /// Why it stands where it stands, in one sentence; with figures for the excluded and the first sixteen, for the rest these are in the fields alone.
    pub reason: Cow<'static, str>,
}

impl CandidateReport {
    /// A report on `target` with nothing estimated.
    pub fn new(target: Target, standing: Standing, rank: Option<usize>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            target,
            standing,
            rank,
            predicted_quality: None,
            quality_source: None,
            estimated_cost: None,
            cached_tokens: None,
            expected_first_token_ms: None,
            expected_latency_ms: None,
            tokens_per_second: None,
            context_window: None,
            reason: reason.into(),
        }
    }
}

/// One target to be tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// The target.
    pub target: Target,
    /// Why, in one sentence.
    pub reason: Cow<'static, str>,
}

/// An ordered choice with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The targets to try, best first; at least one.
    pub order: Vec<Planned>,
    /// A report on every candidate, in the order of their places, the excluded last.
    pub candidates: Vec<CandidateReport>,
    /// What is being asked for.
    pub intent: Intent,
    /// How sure the classifier is.
    pub confidence: f32,
    /// How the candidates were put in order.
    pub strategy: RoutingStrategy,
    /// The arms of experiments that it was made for.
    pub experiments: Vec<ExperimentArm>,
}

impl Plan {
    /// A plan that tries `order`, for routers of a host's own.
    pub fn new(order: Vec<Planned>, candidates: Vec<CandidateReport>, intent: Intent, confidence: f32) -> Self {
        Self { order, candidates, intent, confidence, strategy: RoutingStrategy::default(), experiments: Vec::new() }
    }
}

/// What an answer came to, as far as that shows without anybody saying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sign {
    /// Nothing is wrong that can be seen.
    Fine,
    /// The model declined, or a filter of its provider stopped it.
    Refused,
    /// It said nothing.
    Empty,
    /// It is not the JSON that was asked for.
    Malformed,
    /// The same was asked again.
    AskedAgain,
}

impl Sign {
    /// Its name in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Refused => "refused",
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::AskedAgain => "asked again",
        }
    }
}

/// How a call went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteOutcome {
    /// The target.
    pub target: Target,
    /// What was being asked for.
    pub intent: Intent,
    /// The error, if it failed.
    pub error: Option<ErrorKind>,
    /// Time to the first content event.
    pub first_token: Option<Duration>,
    /// Time to the end.
    pub total: Duration,
    /// What it cost.
    pub cost: Option<NanoDollars>,
    /// How good the answer was, 0 to 1, where somebody said so.
    pub score: Option<f32>,
    /// What the answer came to without anybody saying it: weighs less than a score. An outcome with neither is learned nothing from.
    pub sign: Option<Sign>,
    /// The question, for what is learned of questions like it.
    pub question: String,
    /// Tokens of the whole prompt.
    pub input_tokens: u64,
    /// Tokens of the prompt that came out of the provider's cache, where it said so.
    pub cached_input_tokens: Option<u64>,
    /// Tokens of the answer, thinking included, where they are known.
    pub output_tokens: Option<u64>,
    /// Whose outcome it is, as in [`RouteQuery::organisation`].
    pub organisation: String,
}

impl RouteOutcome {
    /// An outcome of a call to `target` that took `total`.
    pub fn new(target: Target, intent: Intent, total: Duration) -> Self {
        Self {
            target,
            intent,
            error: None,
            first_token: None,
            total,
            cost: None,
            score: None,
            sign: None,
            question: String::new(),
            input_tokens: 0,
            cached_input_tokens: None,
            output_tokens: None,
            organisation: String::new(),
        }
    }

    /// The outcome with a score from 0 (useless) to 1 (perfect) for `question`, to be learned from.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the score is not between 0 and 1.
    pub fn scored(mut self, question: impl Into<String>, score: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&score) {
            return Err(Error::invalid(format!("score {score} is not between 0 (useless) and 1 (perfect)")));
        }
        (self.question, self.score) = (question.into(), Some(score));
        Ok(self)
    }
}
