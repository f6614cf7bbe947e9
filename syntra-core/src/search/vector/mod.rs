//! Vector indexes behind [`crate::search::VectorIndex`]: a scan and a graph.

mod codes;
mod flat;
mod groups;
mod hnsw;
mod kernel;
#[cfg(test)]
mod tests;

pub use flat::FlatIndex;
pub(crate) use flat::{FULL_AHEAD, Rounded};
pub use hnsw::HnswIndex;
pub(crate) use kernel::{dot, prefetch, prefetch_at, scan_i8};

use crate::error::{Error, Result};

/// `vector` at length 1.
///
/// # Errors
/// [`crate::ErrorKind::InvalidInput`] for a wrong dimension, a number that is not finite or a vector of no length.
pub(crate) fn normalised(dimensions: usize, vector: &[f32]) -> Result<Vec<f32>> {
    if vector.len() != dimensions {
        return Err(Error::invalid(format!(
            "a vector of {} numbers does not fit an index of {dimensions}: use the embedder that made the index",
            vector.len()
        )));
    }
    let norm = dot(vector, vector).sqrt();
    if !norm.is_finite() || vector.iter().any(|x| !x.is_finite()) {
        return Err(Error::invalid("a vector must hold finite numbers only"));
    }
    if norm < 1e-12 {
        return Err(Error::invalid("a zero vector has no direction: leave the vector out instead"));
    }
    Ok(vector.iter().map(|x| x / norm).collect())
}
