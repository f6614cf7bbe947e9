use super::*;
use crate::clock::SystemClock;
use crate::embed::Embedder;
use crate::memory::{Page, RecallRequest, SqliteMemoryStore};
use crate::search::{DefaultRanker, Filter};
use crate::storage::Database;
use async_trait::async_trait;
use std::fs;
use std::sync::Arc;

/// Letters counted; enough to tell texts apart.
#[derive(Debug)]
struct Letters;

#[async_trait]
impl Embedder for Letters {
    fn model(&self) -> &str {
        "letters"
    }
    fn dimensions(&self) -> usize {
        26
    }
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let vector = |text: &&str| {
            let mut counts = [0.01f32; 26];
            for b in text.to_lowercase().bytes().filter(u8::is_ascii_lowercase) {
                counts[(b - b'a') as usize] += 1.0;
            }
            let norm = counts.iter().map(|x| x * x).sum::<f32>().sqrt();
            counts.iter().map(|x| x / norm).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }
}

fn memories() -> Memories {
    let clock = Arc::new(SystemClock::new());
    let store =
        SqliteMemoryStore::new(Database::in_memory().unwrap(), clock.clone()).with_model("letters", 26).unwrap();
    Memories::new(Arc::new(store), Arc::new(Letters), Arc::new(DefaultRanker::default()), clock)
}

#[tokio::test]
async fn a_folder_is_indexed_and_kept_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| fs::write(dir.path().join(path), text).unwrap();
    write("guide.md", "# Guide\n\nWelcome.\n\n## Set-up\n\nThe harbour crane needs a blue key.\n");
    write("code.rs", "fn open_gate() {\n    lift();\n}\n");
    write("latin.txt", "plain");
    fs::write(dir.path().join("old.txt"), b"caf\xe9 and more words").unwrap();
    fs::write(dir.path().join("binary.txt"), b"\0\x01\x02").unwrap();
    let (memories, scope) = (memories(), Scope::local());
    let indexer = DirectoryIndexer::new(memories.clone());

    let mut seen = Vec::new();
    let report = indexer.index(&scope, dir.path(), |p| seen.push((p.done, p.total, p.path))).await.unwrap();
    assert_eq!((report.new, report.changed, report.unchanged, report.gone), (4, 0, 0, 0));
    assert_eq!((report.chunks_written, report.chunks_removed), (5, 0));
    assert_eq!(report.skipped.iter().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["binary.txt"]);
    assert_eq!(report.notes.iter().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["old.txt"]);
    assert_eq!((seen.first().unwrap().2.as_deref(), seen.last().unwrap()), (Some("binary.txt"), &(5, 5, None)));

    // A chunk can be found and cited.
    let found = memories.recall(&scope, RecallRequest::new("Which key does the harbour crane need?")).await.unwrap();
    let best = &found.items[0].memory;
    assert_eq!(best.title.as_deref(), Some("Guide > Set-up"));
    assert_eq!(best.conversation.as_deref(), Some("guide.md"));
    let place = MemorySource { document: "guide.md".into(), line_from: Some(5), line_to: Some(7) };
    assert_eq!(best.source.as_ref(), Some(&place));

    // Nothing changed: nothing is written.
    let again = indexer.index(&scope, dir.path(), |_| ()).await.unwrap();
    assert_eq!(
        (again.new, again.changed, again.unchanged, again.chunks_written, again.chunks_removed),
        (0, 0, 4, 0, 0)
    );

    write("guide.md", "# Guide\n\nWelcome.\n\n## Set-up\n\nThe harbour crane needs a red key.\n");
    fs::remove_file(dir.path().join("code.rs")).unwrap();
    let third = indexer.index(&scope, dir.path(), |_| ()).await.unwrap();
    assert_eq!(
        (third.changed, third.gone, third.unchanged, third.chunks_written, third.chunks_removed),
        (1, 1, 2, 2, 3)
    );
    let texts: Vec<String> =
        memories.list(&scope, &Filter::default(), Page::default()).await.unwrap().into_iter().map(|m| m.text).collect();
    assert!(
        texts.iter().any(|t| t.contains("red key"))
            && !texts.iter().any(|t| t.contains("blue key") || t.contains("lift"))
    );

    let stats = indexer.stats(&scope).await.unwrap();
    assert_eq!((stats.documents, stats.chunks, stats.folders.len()), (3, 4, 1));
    assert_eq!(indexer.remove(&scope, dir.path()).await.unwrap(), 4);
    assert_eq!(indexer.stats(&scope).await.unwrap(), DocumentStats::default());
}

#[tokio::test]
async fn an_interrupted_index_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..80).map(|i| format!("## Part {i}\n\nAbout the thing number {i}.\n\n")).collect();
    fs::write(dir.path().join("long.md"), text).unwrap();
    let (memories, scope) = (memories(), Scope::local());
    let indexer = DirectoryIndexer::new(memories.clone());
    assert_eq!(indexer.index(&scope, dir.path(), |_| ()).await.unwrap().chunks_written, 80);
    // As if the process had died after some of the chunks.
    let all = memories.list(&scope, &Filter::default(), Page { offset: 0, limit: 200 }).await.unwrap();
    let lost: Vec<String> = all.iter().skip(50).map(|m| m.id.clone()).collect();
    memories.forget(&scope, &lost).await.unwrap();
    let report = indexer.index(&scope, dir.path(), |_| ()).await.unwrap();
    assert_eq!((report.changed, report.chunks_removed), (1, 0));
    assert_eq!(indexer.stats(&scope).await.unwrap().chunks, 80);
}

#[tokio::test]
async fn folders_and_users_are_kept_apart() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&one, &two] {
        fs::write(dir.path().join("README.md"), "# Read me\n\nThe very same words.\n").unwrap();
    }
    let memories = memories();
    let indexer = DirectoryIndexer::new(memories.clone());
    let (ada, bob) = (Scope::new("acme", "ada").unwrap(), Scope::new("acme", "bob").unwrap());
    indexer.index(&ada, one.path(), |_| ()).await.unwrap();
    indexer.index(&ada, two.path(), |_| ()).await.unwrap();
    assert_eq!(indexer.stats(&ada).await.unwrap().folders.len(), 2);
    assert_eq!(indexer.stats(&bob).await.unwrap().chunks, 0);
    // What is gone from one folder stays in the other.
    fs::remove_file(one.path().join("README.md")).unwrap();
    assert_eq!(indexer.index(&ada, one.path(), |_| ()).await.unwrap().chunks_removed, 1);
    assert_eq!(indexer.stats(&ada).await.unwrap().chunks, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_indexed_of_a_folder_that_is_gone_can_be_removed_by_any_of_its_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("real/docs")).unwrap();
    fs::write(dir.path().join("real/docs/a.md"), "# A\n\nSome words.\n").unwrap();
    std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
    let indexer = DirectoryIndexer::new(memories());
    let here = std::env::current_dir().unwrap();
    let up = "../".repeat(here.components().count() - 1);
    let relative = format!("{up}{}", dir.path().join("link/docs").strip_prefix("/").unwrap().display());
    let (scope, names) = (Scope::local(), ["link/docs", "real/../link/docs", "real/docs/."]);
    let names = names.map(|name| dir.path().join(name)).into_iter().chain([relative.into()]);
    for name in names {
        indexer.index(&scope, dir.path().join("link/docs"), |_| ()).await.unwrap();
        fs::rename(dir.path().join("real/docs"), dir.path().join("real/elsewhere")).unwrap();
        assert_eq!(indexer.remove(&scope, &name).await.unwrap(), 1, "{}", name.display());
        fs::rename(dir.path().join("real/elsewhere"), dir.path().join("real/docs")).unwrap();
    }
}

#[tokio::test]
async fn a_missing_folder_is_an_error() {
    let indexer = DirectoryIndexer::new(memories());
    let error = indexer.index(&Scope::local(), "/no/such/folder", |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(indexer.with_options(ChunkOptions { max_chars: 0, ..ChunkOptions::default() }).is_err());
}
