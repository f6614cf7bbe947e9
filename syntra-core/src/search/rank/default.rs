//! The default ranker: weighted sums of what the candidates have, each signal scaled over the candidates of the question.

use super::{rank_by, recency};
use crate::search::{Candidate, HybridRanker, RankQuery, Ranked, Signal, text};

/// The weights of the default ranker. Relevance (the first five) is a weighted mean of what a candidate has; the rest is added.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DefaultWeights {
    /// Share of the keyword score in each pair of keyword and vector; the vector has the rest.
    pub keyword: f32,
    /// The same where most of what was found are documents, not things that somebody said.
    pub keyword_documents: f32,
    /// The same where most of it is code.
    pub keyword_code: f32,
    /// Of the candidate itself.
    pub own: f32,
    /// Of it with its neighbours.
    pub window: f32,
    /// Of its conversation as a whole.
    pub conversation: f32,
    /// Of the gain by the entity graph.
    pub graph: f32,
    /// Of exact strings found.
    pub exact: f32,
    /// Of the question's entities found.
    pub entity: f32,
    /// Of a time within the time asked for.
    pub time: f32,
    /// Of a time word, where the question asks when.
    pub time_cue: f32,
    /// Of a speaker named in the question.
    pub speaker: f32,
    /// Of `min(ln(1 + content words) / ln 31, 1.2) - 1.2`: what is short loses, in conversations between people.
    pub length: f32,
    /// Of being itself a question; negative.
    pub is_question: f32,
    /// What the assistant's words lose against the user's, unless the question is about what the assistant said.
    pub user_said: f32,
    /// Of recency, where the question is about now.
    pub recency: f32,
    /// Of the reliability.
    pub reliability: f32,
    /// Of `ln(1 + uses) / ln(1001)`.
    pub frequency: f32,
}

impl Default for DefaultWeights {
    fn default() -> Self {
        Self {
            keyword: 0.4,
            keyword_documents: 0.5,
            keyword_code: 0.6,
            own: 0.5,
            window: 0.5,
            conversation: 0.3,
            graph: 1.0,
            exact: 0.1,
            entity: 0.0,
            time: 0.1,
            time_cue: 0.1,
            speaker: 0.07,
            length: 0.2,
            is_question: -0.08,
            user_said: 0.3,
            recency: 0.15,
            reliability: 0.05,
            frequency: 0.02,
        }
    }
}

/// The default ranker.
///
/// Keyword and vector scores, those of the neighbours and the conversation's are scaled by min-max over the candidates; the
/// relevance of a candidate is their weighted mean over what it has (an absent one is left out and the weights are
/// renormalised). What else is known of it is added: hops over the entity graph, exact strings, time, speaker, length,
/// whether it is a question, who said it, and recency only where the question is about now. The formula and the figures
/// behind each part are in `docs/ranking.md`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultRanker {
    weights: DefaultWeights,
}

impl DefaultRanker {
    /// With weights of the caller's own.
    pub fn with_weights(weights: DefaultWeights) -> Self {
        Self { weights }
    }

    /// Its weights.
    pub fn weights(&self) -> &DefaultWeights {
        &self.weights
    }
}

/// Min-max over the candidates that have the signal.
#[derive(Clone, Copy)]
struct Scale {
    low: f32,
    spread: f32,
}

impl Scale {
    fn of(candidates: &[Candidate], signal: Signal) -> Self {
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for value in candidates.iter().filter_map(|c| c.signals.get(signal)) {
            (low, high) = (low.min(value), high.max(value));
        }
        // A conversation's score is a share of the best one's: where all conversations fit about as well, they differ little.
        if signal == Signal::Conversation {
            low = low.min(0.0);
        }
        Self { low, spread: high - low }
    }

    /// 0 to 1; where all have the same, 1 if that is more than nothing.
    fn apply(self, value: f32) -> f32 {
        if self.spread > 1e-9 {
            ((value - self.low) / self.spread).clamp(0.0, 1.0)
        } else {
            f32::from(u8::from(value > 0.0))
        }
    }
}

const SCALED: [Signal; 5] =
    [Signal::Keyword, Signal::Vector, Signal::WindowKeyword, Signal::WindowVector, Signal::Conversation];

impl DefaultRanker {
    fn parts(&self, question: &Question, scales: &[Scale; 5], candidate: &Candidate, parts: &mut Vec<(Signal, f32)>) {
        let w = &self.weights;
        let keyword = match question.searched {
            Searched::Said => w.keyword,
            Searched::Documents => w.keyword_documents,
            Searched::Code => w.keyword_code,
        };
        let own = [(Signal::Keyword, keyword), (Signal::Vector, 1.0 - keyword)];
        let window = [(Signal::WindowKeyword, keyword), (Signal::WindowVector, 1.0 - keyword)];
        let signals = &candidate.signals;
        let scaled = |signal: Signal| {
            let scale = SCALED.iter().position(|s| *s == signal).and_then(|at| scales.get(at))?;
            signals.get(signal).map(|value| scale.apply(value))
        };

        // Each pair is a mean over what is there of it, and relevance a mean over the pairs that are there.
        let mut total = 0.0;
        for (pair, weight) in [(own, w.own), (window, w.window)] {
            let there = pair.map(|(s, share)| scaled(s).map(|value| (s, share, value)));
            let shares: f32 = there.iter().flatten().map(|(_, share, _)| share).sum();
            if shares > 0.0 {
                total += weight;
                parts.extend(there.iter().flatten().map(|(s, share, value)| (*s, weight * share / shares * value)));
            }
        }
        if let Some(value) = scaled(Signal::Conversation) {
            total += w.conversation;
            parts.push((Signal::Conversation, w.conversation * value));
        }
        if total > 0.0 {
            parts.iter_mut().for_each(|(_, part)| *part /= total);
        }

        let mut add = |signal: Signal, weight: f32, shape: &dyn Fn(f32) -> f32| {
            if weight != 0.0
                && let Some(value) = signals.get(signal)
            {
                parts.push((signal, weight * shape(value)));
            }
        };
        let as_is = |value: f32| value;
        add(Signal::Graph, w.graph, &as_is);
        add(Signal::Exact, w.exact, &as_is);
        add(Signal::Entity, w.entity, &as_is);
        add(Signal::Time, w.time, &as_is);
        add(Signal::Speaker, w.speaker, &as_is);
        // Between people a short turn rarely holds the answer; beside an assistant, in documents and in code length says little.
        if signals.get(Signal::Conversation).is_some() && signals.get(Signal::UserSaid).is_none() {
            add(Signal::Length, w.length, &|n| (n.max(0.0).ln_1p() / 31f32.ln()).min(1.2) - 1.2);
        }
        // Nor does it matter there who asks: beside an assistant a question of the user's says what it is about.
        if signals.get(Signal::UserSaid).is_none() {
            add(Signal::IsQuestion, w.is_question, &as_is);
        }
        if question.when {
            add(Signal::TimeCue, w.time_cue, &as_is);
        }
        if !question.of_assistant {
            add(Signal::UserSaid, w.user_said, &|user| user - 1.0);
        }
        if question.about_now {
            add(Signal::AgeDays, w.recency, &recency);
        }
        add(Signal::Reliability, w.reliability, &as_is);
        add(Signal::AccessCount, w.frequency, &|n| n.max(0.0).ln_1p() / 1001f32.ln());
    }
}

/// What kind of question it is.
struct Question {
    when: bool,
    about_now: bool,
    /// Whether it asks for what the assistant said.
    of_assistant: bool,
    searched: Searched,
}

/// What most of the candidates are.
enum Searched {
    Said,
    Documents,
    Code,
}

impl Searched {
    fn of(candidates: &[Candidate]) -> Self {
        let most = |is: &dyn Fn(&Candidate) -> bool| candidates.iter().filter(|c| is(c)).count() * 2 > candidates.len();
        let said = |c: &Candidate| {
            c.signals.get(Signal::Speaker).is_some()
                || c.signals.get(Signal::UserSaid).is_some()
                || c.signals.get(Signal::WindowKeyword).is_some()
        };
        if most(&|c| c.signals.get(Signal::Code).is_some_and(|code| code > 0.5)) {
            Self::Code
        } else if most(&|c| !said(c)) {
            Self::Documents
        } else {
            Self::Said
        }
    }
}

impl Question {
    fn of(query: &RankQuery<'_>, candidates: &[Candidate]) -> Self {
        let words = text::words(query.text);
        let said = ["suggest", "suggested", "recommend", "recommended", "said", "told", "mentioned", "gave", "advised"];
        let you = words.iter().any(|w| w == "you" || w == "assistant");
        Self {
            when: query.analysis.asks_when || words.first().is_some_and(|w| w == "when"),
            about_now: query.analysis.about_now,
            of_assistant: you && words.iter().any(|w| said.contains(&w.as_str())),
            searched: Searched::of(candidates),
        }
    }
}

impl HybridRanker for DefaultRanker {
    fn name(&self) -> &str {
        "default"
    }

    fn rank(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Vec<Ranked> {
        let question = Question::of(query, &candidates);
        let scales = SCALED.map(|signal| Scale::of(&candidates, signal));
        rank_by(candidates, query.limit, |candidate, parts| self.parts(&question, &scales, candidate, parts))
    }
}
