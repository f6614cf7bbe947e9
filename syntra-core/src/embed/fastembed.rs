//! Sentence transformers in process, over ONNX Runtime: feature `fastembed`, with `fastembed-download` for fetching models.
//!
//! ONNX Runtime is a shared library that the host brings (the PyPI package `onnxruntime` and the npm package `onnxruntime-node`
//! hold it); it is loaded when the first model is opened, from [`FastEmbedOptions::library`], else from the variable
//! `ORT_DYLIB_PATH`, else by its usual name.

use super::{Embedder, at_place, check_vectors, is_blank, nothing_to_embed, to_unit, unusable};
use crate::error::{Error, ErrorKind, Result};
use ::fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a model of the usual layouts keeps its graph, best first.
const GRAPHS: [&str; 5] =
    ["model.onnx", "onnx/model.onnx", "model_optimized.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx"];
/// The variable that names ONNX Runtime's library.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// How to open a model.
///
/// ```
/// use syntra_core::embed::FastEmbedOptions;
/// let options = FastEmbedOptions::new().with_library("/opt/onnxruntime/libonnxruntime.so").with_threads(1);
/// assert_eq!(options.threads, Some(1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FastEmbedOptions {
    /// ONNX Runtime's shared library.
    pub library: Option<PathBuf>,
    /// Threads for one call; all cores unless set.
    pub threads: Option<usize>,
    /// Tokens of a text that are read; what follows is cut off. 512 unless set, and never more than the model's own limit.
    pub max_tokens: Option<usize>,
    /// Take the vector of the first token instead of the mean of all (BGE and Snowflake models). Unless set, the model's folder
    /// (`1_Pooling/config.json`) decides, and the mean where it says nothing.
    pub first_token: Option<bool>,
    /// Words put before documents, `passage: ` for E5.
    pub document_prefix: String,
    /// Words put before questions, `query: ` for E5.
    pub query_prefix: String,
}

impl FastEmbedOptions {
    /// What suits most models.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`FastEmbedOptions::library`].
    pub fn with_library(mut self, path: impl Into<PathBuf>) -> Self {
        self.library = Some(path.into());
        self
    }

    /// Sets [`FastEmbedOptions::threads`].
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Sets [`FastEmbedOptions::max_tokens`].
    pub fn with_max_tokens(mut self, tokens: usize) -> Self {
        self.max_tokens = Some(tokens.max(1));
        self
    }

    /// Sets [`FastEmbedOptions::first_token`].
    pub fn with_first_token(mut self, first: bool) -> Self {
        self.first_token = Some(first);
        self
    }

    /// Sets [`FastEmbedOptions::document_prefix`] and [`FastEmbedOptions::query_prefix`].
    pub fn with_prefixes(mut self, document: impl Into<String>, query: impl Into<String>) -> Self {
        (self.document_prefix, self.query_prefix) = (document.into(), query.into());
        self
    }
}

/// A sentence transformer in this process. Cloning is cheap and shares the model, which serves one call at a time.
#[derive(Clone)]
pub struct FastEmbedder(Arc<Inner>);

struct Inner {
    model: Mutex<TextEmbedding>,
    id: String,
    dimensions: usize,
    /// Texts in one run of the graph.
    batch: usize,
    document_prefix: String,
    query_prefix: String,
}

impl fmt::Debug for FastEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastEmbedder").field("model", &self.0.id).field("dimensions", &self.0.dimensions).finish()
    }
}

impl FastEmbedder {
    /// A model from a folder as hubs lay it out: `model.onnx` or `onnx/model.onnx`, `tokenizer.json`, `tokenizer_config.json` and
    /// `config.json`. Reads and prepares the model on this thread (a second or so): call it from `spawn_blocking` in async code.
    ///
    /// The model's name is that of the folder and a fingerprint of its files, so that vectors of an exchanged model are not mixed up.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when ONNX Runtime cannot be loaded or the folder lacks a file; [`ErrorKind::Embedding`] when the model does
    /// not work.
    pub fn from_dir(dir: impl AsRef<Path>, options: FastEmbedOptions) -> Result<Self> {
        let dir = dir.as_ref();
        let ModelFiles { onnx, tokenizer, name, quantised } = ModelFiles::read(dir)?;
        // Dynamic quantisation scales by what is in the batch: a text alone is the only batch that is always the same.
        let batch = if quantised { 1 } else { 32 };
        let pooling = match options.first_token.unwrap_or_else(|| takes_first_token(dir)) {
            true => Pooling::Cls,
            false => Pooling::Mean,
        };
        load_runtime(options.library.as_deref())?;
        let mut init = InitOptionsUserDefined::new().with_max_length(options.max_tokens.unwrap_or(512));
        init.intra_threads = options.threads;
        let model = UserDefinedEmbeddingModel::new(onnx, tokenizer).with_pooling(pooling);
        let model = guarded(|| TextEmbedding::try_new_from_user_defined(model, init))?;
        Self::probe(model, name, batch, &options)
    }

    /// One of the models that the fastembed library knows, by its name on the hub (`Xenova/all-MiniLM-L6-v2`), downloaded into
    /// `cache` unless it is there. Blocks, as [`FastEmbedder::from_dir`] does.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when ONNX Runtime cannot be loaded or the model is unknown (the message lists those known);
    /// [`ErrorKind::Embedding`] when it cannot be fetched or does not work.
    #[cfg(feature = "fastembed-download")]
    pub fn download(model: &str, cache: impl Into<PathBuf>, options: FastEmbedOptions) -> Result<Self> {
        use ::fastembed::{QuantizationMode, TextInitOptions};
        let known = TextEmbedding::list_supported_models();
        let Some(found) = known.iter().find(|m| m.model_code.eq_ignore_ascii_case(model)) else {
            let names: Vec<&str> = known.iter().map(|m| m.model_code.as_str()).collect();
            return Err(config(format!("fastembed does not know the model {model}; it knows {}", names.join(", "))));
        };
        load_runtime(options.library.as_deref())?;
        let mut init = TextInitOptions::new(found.model.clone()).with_cache_dir(cache.into());
        init.max_length = options.max_tokens.unwrap_or(512);
        init.intra_threads = options.threads;
        init.show_download_progress = false;
        let dynamic = TextEmbedding::get_quantization_mode(&found.model) == QuantizationMode::Dynamic;
        let loaded = guarded(|| TextEmbedding::try_new(init))?;
        let name = format!("fastembed/{}:{}", found.model_code, found.model_file);
        Self::probe(loaded, name, if dynamic { 1 } else { 32 }, &options)
    }

    /// Asks the model for one vector: it works, and has this many dimensions.
    fn probe(model: TextEmbedding, name: String, batch: usize, options: &FastEmbedOptions) -> Result<Self> {
        let mut inner = Inner {
            model: Mutex::new(model),
            id: name,
            dimensions: 0,
            batch,
            document_prefix: options.document_prefix.clone(),
            query_prefix: options.query_prefix.clone(),
        };
        inner.dimensions = inner.run(&["dimensions".to_owned()])?.first().map_or(0, Vec::len);
        if inner.dimensions == 0 {
            return Err(unusable("the model's vectors have no dimensions").with_code("wrong_dimension"));
        }
        Ok(Self(Arc::new(inner)))
    }

    async fn run(&self, prefix: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if let Some(i) = texts.iter().position(|t| is_blank(t)) {
            return Err(at_place(nothing_to_embed(), i, texts.len()));
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let (inner, count) = (self.0.clone(), texts.len());
        let vectors = tokio::task::spawn_blocking(move || inner.run(&texts))
            .await
            .map_err(|e| unusable("the embedding task ended early").with_source(e))??;
        check_vectors(&vectors, count, self.0.dimensions)?;
        Ok(vectors)
    }
}

impl Inner {
    fn run(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        // A panic inside leaves nothing half done: the session holds no state between runs.
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let mut vectors = guarded(|| model.embed(texts, Some(self.batch)))?;
        for (i, vector) in vectors.iter_mut().enumerate() {
            to_unit(vector, i)?;
        }
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for FastEmbedder {
    fn model(&self) -> &str {
        &self.0.id
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.run(&self.0.document_prefix, texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vectors = self.run(&self.0.query_prefix, &[text]).await?;
        vectors.pop().ok_or_else(|| unusable("the model returned no vector"))
    }
}

/// What a model's folder holds.
pub(super) struct ModelFiles {
    pub(super) onnx: Vec<u8>,
    pub(super) tokenizer: TokenizerFiles,
    /// The folder's name and a fingerprint.
    pub(super) name: String,
    quantised: bool,
}

impl ModelFiles {
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let graph = GRAPHS.iter().map(|name| dir.join(name)).find(|path| path.is_file());
        let graph = graph.ok_or_else(|| {
            config(format!("{} holds no model: none of {} is there", dir.display(), GRAPHS.join(", ")))
        })?;
        let onnx = read(&graph)?;
        let tokenizer = TokenizerFiles {
            tokenizer_file: read(&dir.join("tokenizer.json"))?,
            config_file: read(&dir.join("config.json"))?,
            // Newer models leave it out: `tokenizer.json` has the special tokens.
            special_tokens_map_file: std::fs::read(dir.join("special_tokens_map.json"))
                .unwrap_or_else(|_| b"{}".into()),
            tokenizer_config_file: read(&dir.join("tokenizer_config.json"))?,
        };
        let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
        let name = format!("fastembed/{folder}#{}", fingerprint(&onnx, &tokenizer.tokenizer_file));
        let quantised = graph.to_string_lossy().contains("quantized");
        Ok(Self { onnx, tokenizer, name, quantised })
    }
}

pub(super) fn config(what: String) -> Error {
    Error::new(ErrorKind::Config, what)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|e| config(format!("the model file {} cannot be read: {e}", path.display())).with_source(e))
}

/// Loads ONNX Runtime before anything asks for it: later, a missing library would be a panic.
pub(super) fn load_runtime(library: Option<&Path>) -> Result<()> {
    let named = library.map(Path::to_owned).or_else(|| std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from));
    let path = named.unwrap_or_else(|| {
        PathBuf::from(match std::env::consts::OS {
            "windows" => "onnxruntime.dll",
            "macos" => "libonnxruntime.dylib",
            _ => "libonnxruntime.so",
        })
    });
    let missing = |why: String| {
        config(format!(
            "ONNX Runtime cannot be loaded from {}: {why}; name its library in the options or in {LIBRARY_VARIABLE}",
            path.display()
        ))
        .with_code("no_onnx_runtime")
    };
    match catch_unwind(|| ort::init_from(&path)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(missing(why.to_string())),
        Err(_) => Err(missing("it does not fit".to_owned())),
    }
}

/// Runs what the library does, its panics turned to errors like its own.
pub(super) fn guarded<T>(work: impl FnOnce() -> ::fastembed::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Embedding, format!("fastembed: {error}")).with_source(error)),
        Err(_) => Err(Error::new(ErrorKind::Embedding, "fastembed panicked")),
    }
}

/// Whether the folder's own description asks for the first token's vector.
fn takes_first_token(dir: &Path) -> bool {
    let text = std::fs::read(dir.join("1_Pooling/config.json")).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    value["pooling_mode_cls_token"].as_bool().unwrap_or(false)
}

/// Eight hexadecimal digits that change when the model does: of its size, its first and last mebibyte, and its tokenizer.
fn fingerprint(onnx: &[u8], tokenizer: &[u8]) -> String {
    const PART: usize = 1 << 20;
    let mut hash = Sha256::new();
    hash.update((onnx.len() as u64).to_le_bytes());
    hash.update(&onnx[..onnx.len().min(PART)]);
    hash.update(&onnx[onnx.len().saturating_sub(PART)..]);
    hash.update(tokenizer);
    hash.finalize()[..4].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The folder of one of the small models that the tests of all languages read.
    pub(in crate::embed) fn model(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(name)
    }

    /// Whether there is a runtime; without it what needs one is skipped, and says so.
    pub(in crate::embed) fn has_runtime() -> bool {
        let there = std::env::var_os(LIBRARY_VARIABLE).is_some();
        if !there {
            eprintln!("skipped: set {LIBRARY_VARIABLE} to ONNX Runtime's library");
        }
        there
    }

    /// As that model, with a graph that is none.
    pub(in crate::embed) fn damaged(name: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in ["tokenizer.json", "config.json", "tokenizer_config.json"] {
            std::fs::copy(model(name).join(file), dir.path().join(file)).unwrap();
        }
        std::fs::write(dir.path().join("model.onnx"), b"no graph").unwrap();
        dir
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_model_conforms_and_knows_meaning() {
        if !has_runtime() {
            return;
        }
        let embedder = FastEmbedder::from_dir(model("embedder"), FastEmbedOptions::new().with_threads(2)).unwrap();
        crate::testing::embedder_conformance(&embedder).await.unwrap();
        let v = embedder.embed(&["The dog", "The puppy", "The key"]).await.unwrap();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        assert!(dot(&v[0], &v[1]) > dot(&v[0], &v[2]) + 0.1);
        let first = FastEmbedOptions::new().with_first_token(true).with_prefixes("cat ", "key ");
        let first = FastEmbedder::from_dir(model("embedder"), first).unwrap();
        assert_eq!(first.embed(&["dog"]).await.unwrap(), [[1.0, 0.0, 0.0, 0.0]]);
        assert_eq!(first.embed_query("dog").await.unwrap(), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(first.model(), embedder.model());
        assert!(embedder.model().starts_with("fastembed/embedder#"), "{}", embedder.model());
    }

    #[test]
    fn a_missing_library_is_an_error_and_not_a_panic() {
        let error = load_runtime(Some(Path::new("/nowhere/libonnxruntime.so")));
        // Once a library is loaded in this process, later names are not looked at.
        if let Err(error) = error {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some("no_onnx_runtime")));
            assert!(error.message().contains(LIBRARY_VARIABLE), "{error}");
        }
    }

    #[test]
    fn a_folder_without_a_model_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = FastEmbedder::from_dir(dir.path(), FastEmbedOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("model.onnx"), "{error}");
        std::fs::write(dir.path().join("model.onnx"), b"no graph").unwrap();
        let error = FastEmbedder::from_dir(dir.path(), FastEmbedOptions::new()).unwrap_err();
        assert!(error.message().contains("tokenizer.json"), "{error}");
    }

    #[test]
    fn a_damaged_graph_is_an_error() {
        if has_runtime() {
            let error = FastEmbedder::from_dir(damaged("embedder").path(), FastEmbedOptions::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Embedding, "{error}");
        }
    }

    #[cfg(feature = "fastembed-download")]
    #[test]
    fn an_unknown_name_is_answered_with_those_known() {
        let error = FastEmbedder::download("nobody/nothing", "/tmp", FastEmbedOptions::new()).unwrap_err();
        assert!(error.message().contains("all-MiniLM-L6-v2"), "{error}");
    }
}
