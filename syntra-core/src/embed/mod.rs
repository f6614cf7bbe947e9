//! Texts to vectors: the in-package static model, `fastembed` (with cross-encoders beside it), HTTP embeddings, and a cache over any of them.
//!
//! May use [`crate::chat`], [`crate::error`], and, where it talks, [`crate::transport`] and the error shapes of [`crate::provider`];
//! cross-encoders implement [`crate::search::Reranker`].

mod cache;
#[cfg(feature = "fastembed")]
mod cross_encoder;
#[cfg(feature = "fastembed")]
mod fastembed;
mod http;
mod static_model;
mod wordpiece;

pub use cache::{CachedEmbedder, EmbedCacheStats};
#[cfg(feature = "fastembed")]
pub use cross_encoder::FastReranker;
#[cfg(feature = "fastembed")]
pub use fastembed::{FastEmbedOptions, FastEmbedder};
pub use http::{EmbedApi, HttpEmbedder};
pub use static_model::StaticEmbedder;

use crate::error::{Error, ErrorKind, Result};
use async_trait::async_trait;
use std::fmt::Debug;

/// Turns texts into vectors.
///
/// Implementations return one vector a text, in order, each of [`Embedder::dimensions`] finite numbers and of length 1 (within
/// 1e-3), so that the dot product is the cosine. A text that cannot be embedded is a typed error
/// ([`crate::ErrorKind::Embedding`], or [`crate::ErrorKind::InvalidInput`] for an empty one), never a zero vector.
#[async_trait]
pub trait Embedder: Send + Sync + Debug + 'static {
    /// Names the model and its version; vectors of different models are never compared.
    fn model(&self) -> &str;

    /// How many numbers a vector has.
    fn dimensions(&self) -> usize;

    /// The vectors of `texts`, as documents to be found.
    ///
    /// # Errors
    /// When any text is empty or cannot be embedded, or the model cannot be reached; nothing is returned then.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;

    /// The vector of a question, for models that treat questions differently.
    ///
    /// # Errors
    /// As [`Embedder::embed`].
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vectors = self.embed(&[text]).await?;
        vectors.pop().ok_or_else(|| crate::Error::new(crate::ErrorKind::Embedding, "the embedder returned no vector"))
    }
}

/// The error for a text with nothing to read in it.
fn nothing_to_embed() -> Error {
    Error::invalid("there is nothing to embed: the text is empty, or only white space and control characters")
}

/// The error for a vector that nobody should store.
fn unusable(what: &str) -> Error {
    Error::new(ErrorKind::Embedding, format!("the embedding cannot be used: {what}"))
}

/// Names the text that an error is about, in a batch.
fn at_place(error: Error, place: usize, of: usize) -> Error {
    if of < 2 {
        return error;
    }
    Error::new(error.kind(), format!("text {place} of {of}: {}", error.message()))
}

/// Checks what an embedder that is not ours returned: one vector a text, each usable.
fn check_vectors(vectors: &[Vec<f32>], texts: usize, dimensions: usize) -> Result<()> {
    if vectors.len() != texts {
        return Err(unusable(&format!("{} vectors for {texts} texts", vectors.len())).with_code("count_mismatch"));
    }
    for (i, vector) in vectors.iter().enumerate() {
        if vector.len() != dimensions {
            let what = format!("vector {i} has {} numbers, the model's have {dimensions}", vector.len());
            return Err(unusable(&what).with_code("wrong_dimension"));
        }
        let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if !length.is_finite() {
            return Err(unusable(&format!("vector {i} holds numbers that are not finite")).with_code("not_finite"));
        }
        if (length - 1.0).abs() > 1e-3 {
            return Err(unusable(&format!("vector {i} has length {length:.4}, not 1")).with_code("not_unit_length"));
        }
    }
    Ok(())
}

/// Scales to length 1 what a server or a model gave; an error for what has no direction.
fn to_unit(vector: &mut [f32], place: usize) -> Result<()> {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(unusable(&format!("vector {place} holds numbers that are not finite")).with_code("not_finite"));
    }
    if length < 1e-9 {
        return Err(unusable(&format!("vector {place} is a zero vector")).with_code("zero_vector"));
    }
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    Ok(())
}

/// Whether there is nothing in a text that a model could read.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control())
}
