//! Models in a folder, through the description that the bindings hand over. What needs ONNX Runtime is skipped, and says so, where
//! `ORT_DYLIB_PATH` does not name it; `tests/run.sh` brings it.

use std::path::{Path, PathBuf};
use syntra_core::bridge::build;
use syntra_core::embed::{Embedder as _, FastEmbedOptions, FastEmbedder, FastReranker};
use syntra_core::memory::{MemoryType, NewMemory, RecallRequest};
use syntra_core::search::Reranker as _;
use syntra_core::{ErrorKind, Scope, Syntra};
use syntra_tests::onnx;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// Whether there is a runtime.
fn has_runtime() -> bool {
    let there = std::env::var_os("ORT_DYLIB_PATH").is_some();
    if !there {
        eprintln!("skipped: set ORT_DYLIB_PATH to ONNX Runtime's library");
    }
    there
}

async fn opened(config: serde_json::Value) -> syntra_core::Result<Syntra> {
    build(&config.to_string(), None).await.map(|bridged| bridged.syntra)
}

#[test]
fn the_models_are_what_their_makers_write() {
    for (name, files) in [("embedder", onnx::embedder()), ("reranker", onnx::reranker())] {
        for (file, content) in files {
            let path = models().join(name).join(file);
            if std::env::var_os("SYNTRA_WRITE_MODELS").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &content).unwrap();
            }
            assert!(
                std::fs::read(&path).unwrap() == content,
                "{name}/{file}: run this test with SYNTRA_WRITE_MODELS=1"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentence_transformer_finds_by_meaning() {
    if !has_runtime() {
        return;
    }
    let folder = models().join("embedder");
    let embedder = FastEmbedder::from_dir(&folder, FastEmbedOptions::new().with_threads(1)).unwrap();
    assert!(embedder.model().starts_with("fastembed/embedder#"), "{}", embedder.model());
    let found = embedder.embed(&["cat", "Dog  dog", "cat dog"]).await.unwrap();
    let root = 0.5f32.sqrt();
    for (vector, right) in found.iter().zip([[1.0, 0.0], [0.0, 1.0], [root, root]]) {
        assert!(vector.iter().zip(right).all(|(x, y)| (x - y).abs() < 1e-6) && vector.len() == 4, "{vector:?}");
    }

    let config = serde_json::json!({"name": "fastembed", "folder": folder, "threads": 1, "cache_bytes": 4096, "query_prefix": "cat "});
    let syntra = opened(serde_json::json!({"embedder": config})).await.unwrap();
    assert_eq!(syntra.health().await.embedder, embedder.model());
    let scope = Scope::local();
    syntra
        .remember(&scope, ["puppy", "key", "kitten"].map(|text| NewMemory::new(MemoryType::Semantic, text)).to_vec())
        .await
        .unwrap();
    let found = syntra.recall(&scope, RecallRequest::new("lock")).await.unwrap();
    // The words put before the question turn it towards cats; no word of it is in any of them.
    assert_eq!(found.items.first().map(|item| item.memory.text.as_str()), Some("kitten"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cross_encoder_scores_question_and_text_together() {
    if !has_runtime() {
        return;
    }
    let folder = models().join("reranker");
    let reranker = FastReranker::from_dir(&folder, FastEmbedOptions::new().with_threads(1)).unwrap();
    assert_eq!(reranker.rerank("cat", &["dog dog", "cat", "nothing of it"]).await.unwrap(), [10.0, 4.0, 5.0]);
    assert_eq!(reranker.rerank("cat", &[]).await.unwrap(), Vec::<f32>::new());
    let many: Vec<&str> = (0..50).map(|n| if n % 2 == 0 { "cat" } else { "dog" }).collect();
    let scores = reranker.rerank("dog", &many).await.unwrap();
    assert!(scores.len() == 50 && scores[0] == 6.0 && scores[49] == 8.0, "the order is that of the texts: {scores:?}");

    let config = serde_json::json!({"name": "fastembed", "folder": folder, "depth": 2, "weight": 100.0});
    let syntra = opened(serde_json::json!({"reranker": config})).await.unwrap();
    let scope = Scope::local();
    let texts =
        ["The cat has a key.", "The key key key."].map(|text| NewMemory::new(MemoryType::Semantic, text)).to_vec();
    syntra.remember(&scope, texts).await.unwrap();
    let found = syntra.recall(&scope, RecallRequest::new("Where is the cat?")).await.unwrap();
    assert_eq!(found.items[0].memory.text, "The key key key.");
    let report = found.rerank.unwrap();
    assert!((report.name.as_str(), report.read) == (reranker.name(), 2) && report.error.is_none(), "{report:?}");
    let wrong = serde_json::json!({"name": "fastembed", "folder": models().join("reranker"), "depth": 0});
    assert_eq!(opened(serde_json::json!({"reranker": wrong})).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn what_is_wrong_with_a_description_is_named() {
    for (room, config, said) in [
        ("embedder", serde_json::json!({"name": "fastembed"}), "`folder`"),
        ("embedder", serde_json::json!({"name": "fastembed", "folder": "/nowhere/of/ours"}), "model.onnx"),
        ("embedder", serde_json::json!({"name": "openai", "folder": "/nowhere"}), "\"openai\" has no `folder`"),
        ("embedder", serde_json::json!({"name": "fastembed", "foldr": "/nowhere"}), "\"foldr\""),
        ("reranker", serde_json::json!({"name": "fastembed"}), "`folder`"),
        ("reranker", serde_json::json!({"name": "other", "folder": "/nowhere"}), "\"other\""),
        ("reranker", serde_json::json!({"name": "fastembed", "folder": "/nowhere", "depht": 2}), "\"depht\""),
    ] {
        let error = opened(serde_json::json!({room: config})).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().contains(said), "{said}: {error}");
    }
}
