//! Reading the best again, each together with the question.

use crate::error::Result;
use async_trait::async_trait;
use std::fmt::Debug;

/// Reads a question and a text together and says how well they fit: a cross-encoder, as a rule. It is slow beside a ranker, some
/// milliseconds a text, so that it reads only the best that the ranker found; where it fails, these stay as they were.
///
/// ```
/// use async_trait::async_trait;
/// use syntra_core::search::Reranker;
///
/// /// Prefers what is short.
/// #[derive(Debug)]
/// struct Short;
///
/// #[async_trait]
/// impl Reranker for Short {
///     fn name(&self) -> &str {
///         "short"
///     }
///
///     async fn rerank(&self, _: &str, texts: &[&str]) -> syntra_core::Result<Vec<f32>> {
///         Ok(texts.iter().map(|text| -(text.len() as f32)).collect())
///     }
/// }
/// ```
#[async_trait]
pub trait Reranker: Send + Sync + Debug + 'static {
    /// Its name, for the trace.
    fn name(&self) -> &str;

    /// How many of the best it reads; 20 unless it says otherwise, at most 200.
    fn depth(&self) -> usize {
        20
    }

    /// What it adds to the score of the one that fits best, scaled down to nothing for the one that fits worst, against the ranker's
    /// own score, which is between 0 and 2 as a rule; 1 unless it says otherwise.
    fn weight(&self) -> f32 {
        1.0
    }

    /// A number for each text, in order; the higher, the better it fits. Any range will do.
    ///
    /// # Errors
    /// When the texts cannot be read; the ranker's order stays then.
    async fn rerank(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>>;
}
