//! The classic hybrid formula, exactly as documented.

use super::{rank_by, recency};
use crate::query::QueryIntent;
use crate::search::{Candidate, HybridRanker, RankQuery, Ranked, Signal};

/// What a shared topic, a shared entity, and all of them together add.
const TOPIC_BONUS: f32 = 0.1;
const ENTITY_BONUS: f32 = 0.05;
const BONUS_MOST: f32 = 0.3;

/// The five weights of the classic formula. They sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassicWeights {
    /// Of `tanh(0.2 bm25)`.
    pub keyword: f32,
    /// Of `(cosine + 1) / 2`.
    pub vector: f32,
    /// Of the reliability, 0.5 where nobody said.
    pub reliability: f32,
    /// Of `2^(-age / 30 days)`, 0.5 where the age is unknown.
    pub recency: f32,
    /// Of `ln(1 + n) / ln(1001)`, n the number of uses.
    pub frequency: f32,
}

impl ClassicWeights {
    /// .35, .25, .20, .15, .05.
    pub const FIXED: ClassicWeights =
        ClassicWeights { keyword: 0.35, vector: 0.25, reliability: 0.20, recency: 0.15, frequency: 0.05 };

    /// The weights of the adaptive variant for a kind of query; those of a command are the fixed ones.
    pub fn adaptive(intent: QueryIntent) -> Self {
        let of = |keyword, vector, reliability, recency, frequency| Self {
            keyword,
            vector,
            reliability,
            recency,
            frequency,
        };
        match intent {
            QueryIntent::Recall => of(0.40, 0.15, 0.15, 0.25, 0.05),
            QueryIntent::Question => of(0.20, 0.35, 0.30, 0.10, 0.05),
            QueryIntent::Conversation => of(0.30, 0.25, 0.20, 0.20, 0.05),
            QueryIntent::Command => Self::FIXED,
        }
    }
}

/// The documented formula: `.35 tanh(.2 bm25) + .25 (cosine + 1) / 2 + .20 reliability + .15 recency + .05 frequency`; the adaptive
/// variant takes its weights by the kind of query and adds .1 for each shared topic and .05 for each shared entity, at most .3.
///
/// An unknown reliability and an unknown age count .5, because the formula says so. A missing BM25 score, cosine or count is
/// left out: its part is 0. BM25 is taken with k1 1.5 where there is such a score ([`Signal::ClassicKeyword`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassicRanker {
    adaptive: bool,
}

impl ClassicRanker {
    /// With the fixed weights.
    pub fn fixed() -> Self {
        Self { adaptive: false }
    }

    /// With weights by the kind of query, and the bonus.
    pub fn adaptive() -> Self {
        Self { adaptive: true }
    }

    fn parts(&self, query: &RankQuery<'_>, candidate: &Candidate, parts: &mut Vec<(Signal, f32)>) {
        let weights = if self.adaptive { ClassicWeights::adaptive(query.intent) } else { ClassicWeights::FIXED };
        let signals = &candidate.signals;
        if let Some(bm25) = signals.get(Signal::ClassicKeyword).or_else(|| signals.get(Signal::Keyword)) {
            parts.push((Signal::Keyword, weights.keyword * (0.2 * bm25).tanh()));
        }
        if let Some(cosine) = signals.get(Signal::Vector) {
            parts.push((Signal::Vector, weights.vector * (cosine + 1.0) / 2.0));
        }
        let reliability = signals.get(Signal::Reliability).unwrap_or(0.5);
        parts.push((Signal::Reliability, weights.reliability * reliability));
        let fresh = signals.get(Signal::AgeDays).map_or(0.5, recency);
        parts.push((Signal::AgeDays, weights.recency * fresh));
        if let Some(count) = signals.get(Signal::AccessCount) {
            parts.push((Signal::AccessCount, weights.frequency * count.max(0.0).ln_1p() / 1001f32.ln()));
        }
        if self.adaptive {
            let number = |signal, of: usize| signals.get(signal).map_or(0.0, |share| (share * of as f32).round());
            let topics = TOPIC_BONUS * number(Signal::Topic, query.analysis.keywords.len());
            let entities = ENTITY_BONUS * number(Signal::Entity, query.analysis.entities.len());
            let all = topics + entities;
            let share = if all > BONUS_MOST { BONUS_MOST / all } else { 1.0 };
            for (signal, bonus) in [(Signal::Topic, topics), (Signal::Entity, entities)] {
                if bonus > 0.0 {
                    parts.push((signal, bonus * share));
                }
            }
        }
    }
}

impl HybridRanker for ClassicRanker {
    fn name(&self) -> &str {
        if self.adaptive { "classic-adaptive" } else { "classic" }
    }

    fn wants_topics(&self) -> bool {
        self.adaptive
    }

    fn rank(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Vec<Ranked> {
        rank_by(candidates, query.limit, |candidate, parts| self.parts(query, candidate, parts))
    }
}
