//! A reranker that lives in a host language.

use super::{Host, ask};
use crate::error::{Error, Result};
use crate::search::Reranker;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;

/// A reranker that lives in a host language: it gets the question and all texts in one call and returns a score a text.
#[derive(Clone, Debug)]
pub struct HostReranker {
    object: String,
    name: String,
    host: Arc<dyn Host>,
    depth: usize,
    weight: f32,
}

impl HostReranker {
    /// The host's object `object`, called `name` in traces, which reads the best `depth` (20) and weighs `weight` (1).
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a depth outside of 1 to 200, or a weight below 0 or that is not finite.
    pub fn new(
        object: impl Into<String>,
        name: impl Into<String>,
        host: Arc<dyn Host>,
        depth: Option<usize>,
        weight: Option<f32>,
    ) -> Result<Self> {
        let (depth, weight) = (depth.unwrap_or(20), weight.unwrap_or(1.0));
        if !(1..=200).contains(&depth) {
            return Err(Error::invalid(format!("a reranker's depth is 1 to 200, not {depth}")));
        }
        if !weight.is_finite() || weight < 0.0 {
            return Err(Error::invalid(format!("a reranker's weight is 0 or more, not {weight}")));
        }
        Ok(Self { object: object.into(), name: name.into(), host, depth, weight })
    }
}

#[async_trait]
impl Reranker for HostReranker {
    fn name(&self) -> &str {
        &self.name
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn weight(&self) -> f32 {
        self.weight
    }

    async fn rerank(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>> {
        ask(&self.host, &self.object, "rerank", &json!({"question": question, "texts": texts})).await
    }
}
