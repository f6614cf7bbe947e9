//! The default ranker: weighted sums of what the candidates have, each signal scaled over the candidates of the question.

use super::{learned, rank_by, recency};
use crate::query::QueryIntent;
use crate::search::{Candidate, HybridRanker, RankQuery, Ranked, Signal, Signals, text};

/// What each signal counts where a kind of thing is searched. Relevance (the first five) is a weighted mean over what a candidate
/// has; the rest is added.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SignalWeights {
    /// Of the keyword score, scaled by min-max like the next four.
    pub keyword: f32,
    /// Of the cosine.
    pub vector: f32,
    /// Of the keyword score with the neighbours.
    pub window_keyword: f32,
    /// Of the cosine with the neighbours.
    pub window_vector: f32,
    /// Of its conversation's score as a whole, as a share of the best one's.
    pub conversation: f32,
    /// Of the gain by the entity graph.
    pub graph: f32,
    /// Of exact strings found.
    pub exact: f32,
    /// Of the question's entities found.
    pub entity: f32,
    /// Of the question's neighbouring words that are neighbours in it.
    pub phrase: f32,
    /// Of its title's words that the question has.
    pub title: f32,
    /// Of having the kind of thing that is asked for.
    pub answers: f32,
    /// Of having been said in the time asked for, or near it.
    pub time: f32,
    /// Of speaking of the time asked for.
    pub spoken: f32,
    /// Of a time word, where the question asks when.
    pub time_cue: f32,
    /// Of a speaker named in the question.
    pub speaker: f32,
    /// Of `min(ln(1 + content words) / ln 31, 1.2) - 1.2`: what is short loses.
    pub length: f32,
    /// Of `min(ln(1 + content words) / ln 31, 2)`, negative: what is long speaks of much else.
    pub long: f32,
    /// Of being itself a question; negative.
    pub is_question: f32,
    /// Of the fit of the question asked just before it.
    pub asked: f32,
    /// Of the fit of what was said two turns before it.
    pub earlier: f32,
    /// Of the fit of what was said just before and after it, negative: what fits better by itself takes what the neighbours lend.
    pub beside: f32,
    /// Of speaking of oneself.
    pub first_person: f32,
    /// What the assistant's words lose against the user's, unless the question is about what the assistant said.
    pub user_said: f32,
    /// Of recency, where the question is about now.
    pub recency: f32,
    /// Of the reliability.
    pub reliability: f32,
    /// Of `ln(1 + uses) / ln(1001)`.
    pub frequency: f32,
}

impl SignalWeights {
    /// The names of the weights, in order.
    pub const NAMES: [&'static str; 26] = [
        "keyword",
        "vector",
        "window_keyword",
        "window_vector",
        "conversation",
        "graph",
        "exact",
        "entity",
        "phrase",
        "title",
        "answers",
        "time",
        "spoken",
        "time_cue",
        "speaker",
        "length",
        "long",
        "is_question",
        "asked",
        "earlier",
        "beside",
        "first_person",
        "user_said",
        "recency",
        "reliability",
        "frequency",
    ];

    /// The weight `name`, to be changed; `None` if there is none of that name.
    ///
    /// ```
    /// use syntra_core::search::DefaultWeights;
    /// let mut weights = DefaultWeights::default();
    /// *weights.people.get_mut("length").unwrap() = 0.0;
    /// assert_eq!(weights.people.length, 0.0);
    /// ```
    pub fn get_mut(&mut self, name: &str) -> Option<&mut f32> {
        Some(match name {
            "keyword" => &mut self.keyword,
            "vector" => &mut self.vector,
            "window_keyword" => &mut self.window_keyword,
            "window_vector" => &mut self.window_vector,
            "conversation" => &mut self.conversation,
            "graph" => &mut self.graph,
            "exact" => &mut self.exact,
            "entity" => &mut self.entity,
            "phrase" => &mut self.phrase,
            "title" => &mut self.title,
            "answers" => &mut self.answers,
            "time" => &mut self.time,
            "spoken" => &mut self.spoken,
            "time_cue" => &mut self.time_cue,
            "speaker" => &mut self.speaker,
            "length" => &mut self.length,
            "long" => &mut self.long,
            "is_question" => &mut self.is_question,
            "asked" => &mut self.asked,
            "earlier" => &mut self.earlier,
            "beside" => &mut self.beside,
            "first_person" => &mut self.first_person,
            "user_said" => &mut self.user_said,
            "recency" => &mut self.recency,
            "reliability" => &mut self.reliability,
            "frequency" => &mut self.frequency,
            _ => return None,
        })
    }
}

/// The weights of the default ranker by what is searched, which it tells by what most of the candidates are. The defaults are
/// learned, see `docs/ranking.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DefaultWeights {
    /// What people said to each other: neighbours are context.
    pub people: SignalWeights,
    /// What was said to or by an assistant, and what happened on its own.
    pub assistant: SignalWeights,
    /// Documents and facts, asked for by a question.
    pub documents: SignalWeights,
    /// Documents and facts, looked for by a statement or by key words: what is sought says it in much the same words.
    pub statements: SignalWeights,
    /// Program code.
    pub code: SignalWeights,
}

impl DefaultWeights {
    /// The names of the kinds, in order.
    pub const NAMES: [&'static str; 5] = ["people", "assistant", "documents", "statements", "code"];

    /// The weights where what is searched is of the kind `name`, to be changed; `None` if there is none of that name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut SignalWeights> {
        Some(match name {
            "people" => &mut self.people,
            "assistant" => &mut self.assistant,
            "documents" => &mut self.documents,
            "statements" => &mut self.statements,
            "code" => &mut self.code,
            _ => return None,
        })
    }
}

impl Default for DefaultWeights {
    fn default() -> Self {
        Self {
            people: learned::PEOPLE,
            assistant: learned::ASSISTANT,
            documents: learned::DOCUMENTS,
            statements: learned::STATEMENTS,
            code: learned::CODE,
        }
    }
}

/// The default ranker.
///
/// Keyword and vector scores, those of the neighbours and the conversation's are scaled by min-max over the candidates; the
/// relevance of a candidate is their weighted mean over what it has (an absent one is left out and the weights are
/// renormalised). What else is known of it is added: hops over the entity graph, exact strings, phrases, its title, time, speaker,
/// length, whether it is a question or answers one, who said it, and recency only where the question is about now. The weights are
/// learned for five kinds of what is searched; the formula, the script and the figures are in `docs/ranking.md`.
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
        let w = match question.searched {
            Searched::People => &self.weights.people,
            Searched::Assistant => &self.weights.assistant,
            Searched::Documents => &self.weights.documents,
            Searched::Statements => &self.weights.statements,
            Searched::Code => &self.weights.code,
        };
        let signals = &candidate.signals;

        // Relevance is a mean over what is there of it.
        let weights = [w.keyword, w.vector, w.window_keyword, w.window_vector, w.conversation];
        let mut total = 0.0;
        for ((signal, scale), weight) in SCALED.into_iter().zip(scales).zip(weights) {
            if weight > 0.0
                && let Some(value) = signals.get(signal)
            {
                total += weight;
                parts.push((signal, weight * scale.apply(value)));
            }
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
        add(Signal::Phrase, w.phrase, &as_is);
        add(Signal::Title, w.title, &as_is);
        add(Signal::Answers, w.answers, &as_is);
        add(Signal::Time, w.time, &as_is);
        add(Signal::Spoken, w.spoken, &as_is);
        add(Signal::Speaker, w.speaker, &as_is);
        if w.length != 0.0 || w.long != 0.0 {
            add(Signal::Length, 1.0, &|n| {
                let length = n.max(0.0).ln_1p() / 31f32.ln();
                w.length * (length.min(1.2) - 1.2) + w.long * length.min(2.0)
            });
        }
        add(Signal::IsQuestion, w.is_question, &as_is);
        add(Signal::Asked, w.asked, &as_is);
        add(Signal::Earlier, w.earlier, &as_is);
        add(Signal::Beside, w.beside, &as_is);
        add(Signal::FirstPerson, w.first_person, &as_is);
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
    People,
    Assistant,
    Documents,
    Statements,
    Code,
}

impl Searched {
    fn of(candidates: &[Candidate], intent: QueryIntent) -> Self {
        let most =
            |is: &dyn Fn(&Signals) -> bool| candidates.iter().filter(|c| is(&c.signals)).count() * 2 > candidates.len();
        let is = |signals: &Signals, signal| signals.get(signal).is_some_and(|value| value > 0.5);
        let said = |s: &Signals| {
            is(s, Signal::Episodic) || s.get(Signal::Speaker).is_some() || s.get(Signal::UserSaid).is_some()
        };
        if most(&|s| said(s) && s.get(Signal::WindowKeyword).or(s.get(Signal::WindowVector)).is_some()) {
            Self::People
        } else if most(&said) {
            Self::Assistant
        } else if most(&|s| is(s, Signal::Code)) {
            Self::Code
        } else if matches!(intent, QueryIntent::Question | QueryIntent::Recall) {
            Self::Documents
        } else {
            Self::Statements
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
            searched: Searched::of(candidates, query.intent),
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
