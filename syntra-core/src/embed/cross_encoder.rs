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
    use super::*;
    use crate::error::ErrorKind;

    /// A field of a protocol buffer: a number, or bytes.
    fn number(field: u8, value: u8) -> Vec<u8> {
        vec![field << 3, value]
    }

    fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 1 << 14);
        let mut out = vec![field << 3 | 2];
        if content.len() < 128 {
            out.push(content.len() as u8);
        } else {
            out.extend([content.len() as u8 & 0x7f | 0x80, (content.len() >> 7) as u8]);
        }
        out.extend(content);
        out
    }

    fn node(inputs: &[&str], output: &str, kind: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut out: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
        out.extend(bytes(2, output.as_bytes()));
        out.extend(bytes(4, kind.as_bytes()));
        out.extend(attributes.iter().flat_map(|attribute| bytes(5, attribute)));
        bytes(1, &out)
    }

    /// A tensor of `kind` (1 float, 7 long) of two dimensions.
    fn value(field: u8, name: &str, kind: u8) -> Vec<u8> {
        let shape = [bytes(1, &bytes(2, b"texts")), bytes(1, &bytes(2, name.as_bytes()))].concat();
        let tensor = [number(1, kind), bytes(2, &shape)].concat();
        bytes(field, &[bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat())
    }

    /// An ONNX graph that reads the ids of the tokens and gives their sum as the score.
    fn graph() -> Vec<u8> {
        let to_float = [bytes(1, b"to"), number(3, 1), vec![0xa0, 0x01, 2]].concat();
        let axes = [bytes(1, b"axes"), number(8, 1), vec![0xa0, 0x01, 7]].concat();
        let graph = [
            node(&["input_ids", "attention_mask"], "read", "Mul", &[]),
            node(&["read"], "floats", "Cast", &[to_float]),
            node(&["floats"], "logits", "ReduceSum", &[axes]),
            bytes(2, b"sum"),
            value(11, "input_ids", 7),
            value(11, "attention_mask", 7),
            value(12, "logits", 1),
        ];
        [number(1, 7), bytes(7, &graph.concat()), bytes(8, &[bytes(1, b""), number(2, 11)].concat())].concat()
    }

    fn folder(with_graph: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let words = r#"{"[PAD]":0,"[UNK]":1,"cat":5,"dog":9}"#;
        let tokenizer = format!(
            r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
            "pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,"decoder":null,
            "model":{{"type":"WordLevel","vocab":{words},"unk_token":"[UNK]"}}}}"#
        );
        let files: [(&str, &[u8]); 4] = [
            ("model.onnx", with_graph),
            ("tokenizer.json", tokenizer.as_bytes()),
            ("config.json", br#"{"pad_token_id":0}"#),
            ("tokenizer_config.json", br#"{"model_max_length":64,"pad_token":"[PAD]"}"#),
        ];
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    /// Whether there is a runtime; without it these tests are skipped, and say so.
    fn has_runtime() -> bool {
        let there = std::env::var_os("ORT_DYLIB_PATH").is_some();
        if !there {
            eprintln!("skipped: set ORT_DYLIB_PATH to ONNX Runtime's library");
        }
        there
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_real_graph_scores_question_and_text_together() {
        if !has_runtime() {
            return;
        }
        let dir = folder(&graph());
        let reranker = FastReranker::from_dir(dir.path(), FastEmbedOptions::new().with_threads(1)).unwrap();
        assert!(reranker.name().starts_with("fastembed/"), "{}", reranker.name());
        let scores = reranker.rerank("cat", &["dog dog", "cat", "nothing of it"]).await.unwrap();
        assert_eq!(scores, [23.0, 10.0, 8.0]);
        assert_eq!(reranker.rerank("cat", &[]).await.unwrap(), Vec::<f32>::new());
        let many: Vec<&str> = (0..50).map(|n| if n % 2 == 0 { "cat" } else { "dog" }).collect();
        let scores = reranker.rerank("dog", &many).await.unwrap();
        assert!(
            scores.len() == 50 && scores[0] == 14.0 && scores[49] == 18.0,
            "the order is that of the texts: {scores:?}"
        );
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
            let dir = folder(b"no graph");
            let error = FastReranker::from_dir(dir.path(), FastEmbedOptions::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Embedding, "{error}");
        }
    }
}
