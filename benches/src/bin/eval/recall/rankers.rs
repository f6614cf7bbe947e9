//! Rankers to compare: the default (with weights changed, for ablation), the classic ones, one signal alone.

use std::sync::Arc;
use syntra_core::search::{
    Candidate, ClassicRanker, DefaultRanker, DefaultWeights, HybridRanker, RankQuery, Ranked, Signal,
};
use syntra_core::{Error, Result};

/// The ranker `name`; `weights` change those of the default one.
pub(super) fn by_name(name: &str, weights: &[(String, f32)]) -> Result<Arc<dyn HybridRanker>> {
    Ok(match name {
        "default" => Arc::new(DefaultRanker::with_weights(changed(weights)?)),
        "classic" => Arc::new(ClassicRanker::fixed()),
        "classic-adaptive" => Arc::new(ClassicRanker::adaptive()),
        "keyword" => Arc::new(OneSignal(Signal::Keyword)),
        "vector" => Arc::new(OneSignal(Signal::Vector)),
        _ => {
            return Err(Error::invalid(format!(
                "ranker {name:?}: use default, classic, classic-adaptive, keyword or vector"
            )));
        }
    })
}

fn changed(changes: &[(String, f32)]) -> Result<DefaultWeights> {
    let mut weights = DefaultWeights::default();
    for (name, value) in changes {
        let place = match name.as_str() {
            "keyword" => &mut weights.keyword,
            "keyword_documents" => &mut weights.keyword_documents,
            "keyword_code" => &mut weights.keyword_code,
            "own" => &mut weights.own,
            "window" => &mut weights.window,
            "conversation" => &mut weights.conversation,
            "graph" => &mut weights.graph,
            "exact" => &mut weights.exact,
            "entity" => &mut weights.entity,
            "time" => &mut weights.time,
            "time_cue" => &mut weights.time_cue,
            "speaker" => &mut weights.speaker,
            "length" => &mut weights.length,
            "is_question" => &mut weights.is_question,
            "user_said" => &mut weights.user_said,
            "recency" => &mut weights.recency,
            "reliability" => &mut weights.reliability,
            "frequency" => &mut weights.frequency,
            _ => return Err(Error::invalid(format!("the default ranker has no weight {name:?}"))),
        };
        *place = *value;
    }
    Ok(weights)
}

/// One signal alone, as a baseline.
#[derive(Debug)]
struct OneSignal(Signal);

impl HybridRanker for OneSignal {
    fn name(&self) -> &str {
        match self.0 {
            Signal::Keyword => "keyword alone",
            _ => "vector alone",
        }
    }

    fn rank(&self, _: &RankQuery<'_>, candidates: Vec<Candidate>) -> Vec<Ranked> {
        let score = |candidate: Candidate| {
            let score = candidate.signals.get(self.0)?;
            Some(Ranked { candidate, score, parts: vec![(self.0, score)] })
        };
        let mut all: Vec<Ranked> = candidates.into_iter().filter_map(score).collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.candidate.id.cmp(&b.candidate.id)));
        all
    }
}
