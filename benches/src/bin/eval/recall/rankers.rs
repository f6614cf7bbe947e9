//! Rankers to compare: the default (with weights changed, for ablation), the classic ones, one signal alone.

use std::sync::Arc;
use syntra_core::search::{
    Candidate, ClassicRanker, DefaultRanker, DefaultWeights, HybridRanker, RankQuery, Ranked, Signal, SignalWeights,
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

/// The default weights with `name=value` changed in all kinds, `kind.name=value` in one.
fn changed(changes: &[(String, f32)]) -> Result<DefaultWeights> {
    let mut weights = DefaultWeights::default();
    let DefaultWeights { people, assistant, documents, statements, code, .. } = &mut weights;
    let mut kinds = [
        ("people", people),
        ("assistant", assistant),
        ("documents", documents),
        ("statements", statements),
        ("code", code),
    ];
    for (change, value) in changes {
        let (kind, name) = change.split_once('.').map_or((None, change.as_str()), |(kind, name)| (Some(kind), name));
        let mut known = false;
        for (_, weights) in kinds.iter_mut().filter(|(known, _)| kind.is_none_or(|kind| kind == *known)) {
            if let Some(place) = weights.get_mut(name) {
                *place = *value;
                known = true;
            }
        }
        if !known {
            let names = SignalWeights::NAMES.join(", ");
            return Err(Error::invalid(format!(
                "the default ranker has no weight {change:?}: use one of {names}, alone or after people., assistant., documents., statements. or code."
            )));
        }
    }
    Ok(weights)
}

/// What an ablation compares: the baselines, the default ranker, and it without each of its weights.
pub(super) fn ablation() -> Result<Vec<(String, Arc<dyn HybridRanker>)>> {
    let mut all = Vec::new();
    for name in ["keyword", "vector", "classic", "classic-adaptive", "default"] {
        all.push((name.to_owned(), by_name(name, &[])?));
    }
    for name in SignalWeights::NAMES {
        all.push((format!("without {name}"), by_name("default", &[(name.to_owned(), 0.0)])?));
    }
    let window = [("window_keyword".to_owned(), 0.0), ("window_vector".to_owned(), 0.0)];
    all.push(("without window".to_owned(), by_name("default", &window)?));
    Ok(all)
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
