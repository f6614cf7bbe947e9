//! The rankers: the documented classic formula, and the default one; and who may read the best again.

mod classic;
mod default;
mod learned;
mod rerank;
#[cfg(test)]
mod tests;

pub use classic::{ClassicRanker, ClassicWeights};
pub use default::{DefaultRanker, DefaultWeights, SignalWeights};
pub use rerank::Reranker;

use super::{Candidate, Ranked, Signal};

/// What recency is halved by, in days.
const HALF_LIFE_DAYS: f32 = 30.0;

/// `2^(-age / 30 days)`.
fn recency(age_days: f32) -> f32 {
    (-std::f32::consts::LN_2 / HALF_LIFE_DAYS * age_days.max(0.0)).exp()
}

/// The `limit` best of `candidates`, best first, ties by id, each with its parts. `parts` writes what each signal contributes into an
/// empty list; the score is their sum. It is called for each candidate once, and once more for each that is returned: parts are
/// kept of those alone.
fn rank_by(
    mut candidates: Vec<Candidate>,
    limit: usize,
    parts: impl Fn(&Candidate, &mut Vec<(Signal, f32)>),
) -> Vec<Ranked> {
    let mut held: Vec<(Signal, f32)> = Vec::with_capacity(Signal::ALL.len());
    let mut order: Vec<(f32, usize)> = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.iter().enumerate() {
        held.clear();
        parts(candidate, &mut held);
        // An empty sum of floats is -0.0, which total order puts below 0.0.
        order.push((held.iter().map(|(_, part)| part).sum::<f32>() + 0.0, at));
    }
    let id = |at: usize| candidates.get(at).map(|c| &c.id);
    let best_first = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then_with(|| id(a.1).cmp(&id(b.1)));
    if limit < order.len() {
        order.select_nth_unstable_by(limit, best_first);
        order.truncate(limit);
    }
    order.sort_unstable_by(best_first);
    let mut taken: Vec<Option<Candidate>> = candidates.drain(..).map(Some).collect();
    let one = |(score, at): (f32, usize)| {
        let candidate = taken.get_mut(at)?.take()?;
        held.clear();
        parts(&candidate, &mut held);
        Some(Ranked { candidate, score, parts: held.clone() })
    };
    order.into_iter().filter_map(one).collect()
}
