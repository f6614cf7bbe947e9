//! Models in a folder, run in this process over ONNX Runtime, as a description in JSON says them: feature `fastembed`.

use super::config::config_error;
use super::servers::check_known;
use crate::embed::Embedder;
use crate::error::Result;
use crate::search::Reranker;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The name that says such a model.
pub(super) const FASTEMBED: &str = "fastembed";

/// A model in a folder.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(not(feature = "fastembed"), expect(dead_code, reason = "read where models are opened"))]
pub(super) struct LocalWords {
    /// With `model.onnx`, `tokenizer.json`, `tokenizer_config.json` and `config.json`.
    pub(super) folder: Option<PathBuf>,
    /// ONNX Runtime's shared library.
    library: Option<PathBuf>,
    /// Threads for one call.
    threads: Option<usize>,
    /// Tokens of a text that are read.
    max_tokens: Option<usize>,
}

/// A cross-encoder in a folder.
#[derive(Deserialize)]
pub(super) struct LocalRerankerWords {
    name: String,
    #[serde(flatten)]
    local: LocalWords,
    /// How many of the best it reads.
    depth: Option<usize>,
    /// What it adds to the score of the one that fits best.
    weight: Option<f32>,
    /// What nobody knows.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// What an embedder is besides a model in a folder.
#[derive(Debug)]
#[cfg_attr(not(feature = "fastembed"), expect(dead_code, reason = "read where models are opened"))]
pub(super) struct Embeds {
    pub(super) first_token: Option<bool>,
    pub(super) document_prefix: String,
    pub(super) query_prefix: String,
}

impl LocalWords {
    /// The embedder in the folder.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] without a folder, a file in it, ONNX Runtime or the feature; [`crate::ErrorKind::Embedding`] where the
    /// model does not work.
    pub(super) async fn embedder(&self, embeds: Embeds) -> Result<Arc<dyn Embedder>> {
        opened::embedder(self.folder("embedder")?, self, embeds).await
    }

    fn folder(&self, what: &str) -> Result<PathBuf> {
        let needed = || config_error(format!("the {what} {FASTEMBED:?} needs the `folder` of its model"));
        self.folder.clone().ok_or_else(needed)
    }
}

impl LocalRerankerWords {
    /// The reranker in the folder.
    ///
    /// # Errors
    /// As [`LocalWords::embedder`]; [`crate::ErrorKind::Config`] for a depth or weight that cannot be.
    pub(super) async fn reranker(self) -> Result<Arc<dyn Reranker>> {
        check_known("the reranker", &self.name, &self.rest)?;
        if self.name != FASTEMBED {
            return Err(config_error(format!(
                "unknown reranker {:?}: name {FASTEMBED:?}, or lend an object",
                self.name
            )));
        }
        opened::reranker(self.local.folder("reranker")?, &self.local, self.depth, self.weight).await
    }
}

#[cfg(feature = "fastembed")]
mod opened {
    use super::{Embeds, LocalWords};
    use crate::embed::{Embedder, FastEmbedOptions, FastEmbedder, FastReranker};
    use crate::error::{Error, ErrorKind, Result};
    use crate::search::Reranker;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn options(words: &LocalWords) -> FastEmbedOptions {
        let LocalWords { library, threads, max_tokens, .. } = words.clone();
        FastEmbedOptions { library, threads, max_tokens, ..FastEmbedOptions::default() }
    }

    /// Where it may take its time: reading a model takes a second or so.
    async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let ended = |e| Error::new(ErrorKind::Embedding, "opening the model ended early").with_source(e);
        tokio::task::spawn_blocking(work).await.map_err(ended)?
    }

    pub(super) async fn embedder(folder: PathBuf, words: &LocalWords, embeds: Embeds) -> Result<Arc<dyn Embedder>> {
        let mut options = options(words).with_prefixes(embeds.document_prefix, embeds.query_prefix);
        options.first_token = embeds.first_token;
        Ok(Arc::new(apart(move || FastEmbedder::from_dir(folder, options)).await?))
    }

    pub(super) async fn reranker(
        folder: PathBuf,
        words: &LocalWords,
        depth: Option<usize>,
        weight: Option<f32>,
    ) -> Result<Arc<dyn Reranker>> {
        let options = options(words);
        let mut made = apart(move || FastReranker::from_dir(folder, options)).await?;
        if let Some(depth) = depth {
            made = made.with_depth(depth)?;
        }
        if let Some(weight) = weight {
            made = made.with_weight(weight)?;
        }
        Ok(Arc::new(made))
    }
}

#[cfg(not(feature = "fastembed"))]
mod opened {
    use super::super::config::config_error;
    use super::{Embeds, LocalWords};
    use crate::embed::Embedder;
    use crate::error::{Error, Result};
    use crate::search::Reranker;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn absent() -> Error {
        let words = "models in a folder are not in this build: make it with the feature `fastembed`, or lend an object";
        config_error(words.into()).with_code("no_fastembed")
    }

    pub(super) async fn embedder(_: PathBuf, _: &LocalWords, _: Embeds) -> Result<Arc<dyn Embedder>> {
        Err(absent())
    }

    pub(super) async fn reranker(
        _: PathBuf,
        _: &LocalWords,
        _: Option<usize>,
        _: Option<f32>,
    ) -> Result<Arc<dyn Reranker>> {
        Err(absent())
    }
}
