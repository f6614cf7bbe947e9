//! Cross-encoders in process, over ONNX Runtime: feature `fastembed`.

use super::fastembed::{FastEmbedOptions, ModelFiles, config, guarded, load_runtime};
use super::unusable;
use crate::error::Result;
use crate::search::Reranker;
use ::fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};
use async_trait::async_trait;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Texts in one run of the graph.
const BATCH: usize = 16;

/// A cross-encoder in this process (one of the MS MARCO MiniLM family or a BGE reranker, say): it reads a question and a text together.
/// Cloning is cheap and shares the model, which serves one call at a time.
#[derive(Clone)]
pub struct FastReranker {
    model: Arc<Mutex<TextRerank>>,
    name: Arc<str>,
    depth: usize,
    weight: f32,
}

impl fmt::Debug for FastReranker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastReranker")
            .field("model", &self.name)
            .field("depth", &self.depth)
            .field("weight", &self.weight)
            .finish()
    }
}

impl FastReranker {
    /// A model from a folder as hubs lay it out: `model.onnx` or `onnx/model.onnx` with an output `logits`, `tokenizer.json`,
    /// `tokenizer_config.json` and `config.json`. Of the options [`FastEmbedOptions::library`], [`FastEmbedOptions::threads`] and
    /// [`FastEmbedOptions::max_tokens`] are read. It reads and prepares the model on this thread (a second or so): call it from
    /// `spawn_blocking` in async code.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when ONNX Runtime cannot be loaded or the folder lacks a file; [`crate::ErrorKind::Embedding`]
    /// when the model does not work.
    pub fn from_dir(dir: impl AsRef<Path>, options: FastEmbedOptions) -> Result<Self> {
        let files = ModelFiles::read(dir.as_ref())?;
        let name = files.name.clone();
        load_runtime(options.library.as_deref())?;
        let mut init = RerankInitOptionsUserDefined::new().with_max_length(options.max_tokens.unwrap_or(512));
        init.intra_threads = options.threads;
        let model = UserDefinedRerankingModel::new(files.onnx, files.tokenizer);
        let model = guarded(|| TextRerank::try_new_from_user_defined(model, init))?;
        let made = Self { model: Arc::new(Mutex::new(model)), name: name.into(), depth: 20, weight: 1.0 };
        // It works: what does not is found out here and not in the middle of a recall.
        made.scores("question", &["text".to_owned()])?;
        Ok(made)
    }

    /// Sets how many of the best it reads, 1 to 200; 20 unless set.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for another number.
    pub fn with_depth(mut self, depth: usize) -> Result<Self> {
        if !(1..=200).contains(&depth) {
            return Err(config(format!("a reranker's depth is 1 to 200, not {depth}")));
        }
        self.depth = depth;
        Ok(self)
    }

    /// Sets what it adds to the score of the one that fits best; 1 unless set.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for a weight below 0 or that is not finite.
    pub fn with_weight(mut self, weight: f32) -> Result<Self> {
        if !weight.is_finite() || weight < 0.0 {
            return Err(config(format!("a reranker's weight is 0 or more, not {weight}")));
        }
        self.weight = weight;
        Ok(self)
    }

    fn scores(&self, question: &str, texts: &[String]) -> Result<Vec<f32>> {
        // A panic inside leaves nothing half done: the session holds no state between runs.
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = guarded(|| model.rerank(question, &texts, false, Some(BATCH)))?;
        let mut scores = vec![f32::NAN; texts.len()];
        for result in found {
            if let Some(place) = scores.get_mut(result.index) {
                *place = result.score;
            }
        }
        match scores.iter().all(|score| score.is_finite()) {
            true => Ok(scores),
            false => Err(unusable("the cross-encoder gave no finite score for a text").with_code("not_finite")),
        }
    }
}

#[async_trait]
impl Reranker for FastReranker {
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
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (made, question) = (self.clone(), question.to_owned());
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        tokio::task::spawn_blocking(move || made.scores(&question, &texts))
            .await
            .map_err(|e| unusable("the reranking task ended early").with_source(e))?
    }
}

#[cfg(test)]
mod tests {
    use super::super::fastembed::tests::{damaged, has_runtime, model};
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn depth_and_weight_are_what_can_be() {
        if !has_runtime() {
            return;
        }
        let reranker = FastReranker::from_dir(model("reranker"), FastEmbedOptions::new().with_threads(1)).unwrap();
        assert_eq!((Reranker::depth(&reranker), Reranker::weight(&reranker)), (20, 1.0));
        let set = reranker.with_depth(7).unwrap().with_weight(0.5).unwrap();
        assert_eq!((Reranker::depth(&set), Reranker::weight(&set)), (7, 0.5));
        assert!(set.clone().with_depth(0).is_err() && set.with_weight(f32::NAN).is_err());
    }

    #[test]
    fn what_is_no_model_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        let error = FastReranker::from_dir(empty.path(), FastEmbedOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        if has_runtime() {
            let error = FastReranker::from_dir(damaged("reranker").path(), FastEmbedOptions::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Embedding, "{error}");
            // A graph without scores.
            let error = FastReranker::from_dir(model("embedder"), FastEmbedOptions::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Embedding, "{error}");
        }
    }
}
