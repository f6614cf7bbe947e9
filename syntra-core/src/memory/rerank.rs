//! The second look: a [`Reranker`] reads the best memories together with the question.

use super::Recalled;
use crate::error::{Error, ErrorKind, Result};
use crate::search::{Reranker, Signal};
use serde::Serialize;

/// What became of reading the best again.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RerankReport {
    /// The reranker's name.
    pub name: String,
    /// How many memories it read.
    pub read: usize,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
    /// How it failed, if it did; the order is the ranker's then.
    pub error: Option<Error>,
}

/// Puts the first [`Reranker::depth`] of `items` in the order of their own scores and the reranker's together. When it fails they
/// stay as they are, and the report says so.
pub(super) async fn rerank(reranker: &dyn Reranker, question: &str, items: &mut [Recalled]) -> RerankReport {
    let read = items.len().min(depth(reranker));
    let (best, _) = items.split_at_mut(read);
    let mut report = RerankReport { name: reranker.name().to_owned(), read, elapsed_us: 0, error: None };
    if best.is_empty() {
        return report;
    }
    match scores(reranker, question, best).await {
        Ok(scores) => {
            let (low, high) = scores
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), score| (low.min(*score), high.max(*score)));
            for (item, score) in best.iter_mut().zip(scores) {
                let share = if high > low { (score - low) / (high - low) } else { 1.0 };
                let part = reranker.weight().max(0.0) * share;
                item.parts.push((Signal::Rerank, part));
                item.score += part;
            }
            best.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.memory.id.cmp(&b.memory.id)));
        }
        Err(error) => (report.read, report.error) = (0, Some(error)),
    }
    report
}

/// How many of the best it reads.
pub(super) fn depth(reranker: &dyn Reranker) -> usize {
    reranker.depth().clamp(1, super::recall::MOST_RECALLED)
}

async fn scores(reranker: &dyn Reranker, question: &str, best: &[Recalled]) -> Result<Vec<f32>> {
    let texts: Vec<String> = best.iter().map(|item| text_of(&item.memory)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = reranker.rerank(question, &texts).await?;
    let wrong = |what: String| Error::new(ErrorKind::Embedding, format!("the reranker {} {what}", reranker.name()));
    if scores.len() != texts.len() {
        return Err(wrong(format!("returned {} scores for {} texts", scores.len(), texts.len())));
    }
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(wrong("returned a score that is not finite".to_owned()));
    }
    Ok(scores)
}

/// A memory as it is read: its title and who said it before what it says.
fn text_of(memory: &super::Memory) -> String {
    let mut text = String::new();
    if let Some(title) = memory.title.as_deref().filter(|title| !title.is_empty()) {
        text.push_str(title);
        text.push('\n');
    }
    if let Some(speaker) = memory.speaker.as_deref().filter(|speaker| !speaker.is_empty()) {
        text.push_str(speaker);
        text.push_str(": ");
    }
    text.push_str(&memory.text);
    text
}
