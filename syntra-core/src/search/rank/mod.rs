//! The rankers: the documented classic formula, and the default one.

mod classic;
mod default;
#[cfg(test)]
mod tests;

pub use classic::{ClassicRanker, ClassicWeights};
pub use default::{DefaultRanker, DefaultWeights};

use super::{Candidate, Ranked, Signal};

/// What recency is halved by, in days.
const HALF_LIFE_DAYS: f32 = 30.0;

/// `2^(-age / 30 days)`.
fn recency(age_days: f32) -> f32 {
    (-std::f32::consts::LN_2 / HALF_LIFE_DAYS * age_days.max(0.0)).exp()
}

/// A candidate whose score is the sum of its parts.
fn ranked(candidate: Candidate, parts: Vec<(Signal, f32)>) -> Ranked {
    // An empty sum of floats is -0.0, which total order puts below 0.0.
    Ranked { score: parts.iter().map(|(_, part)| part).sum::<f32>() + 0.0, candidate, parts }
}

/// Best first, ties by id.
fn sort(ranked: &mut [Ranked]) {
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.candidate.id.cmp(&b.candidate.id)));
}
