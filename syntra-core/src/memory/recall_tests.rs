//! Recall over a small store in memory whose strategies can be made to fail.

use super::recall::{Memories, RecallRequest};
use super::*;
use crate::SystemClock;
use crate::embed::Embedder;
use crate::error::{Error, ErrorKind};
use crate::search::{DefaultRanker, IndexDocument, Partition, Reranker, Signal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Letters counted: texts that share letters are near.
#[derive(Debug, Default)]
struct Letters {
    fails: bool,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl Embedder for Letters {
    fn model(&self) -> &str {
        "letters"
    }

    fn dimensions(&self) -> usize {
        26
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if self.fails {
            return Err(Error::new(ErrorKind::Embedding, "out of order"));
        }
        self.seen.lock().unwrap().extend(texts.iter().map(|t| (*t).to_owned()));
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

type Rows = BTreeMap<String, Memory>;

#[derive(Debug)]
struct Volatile {
    scopes: Mutex<BTreeMap<Scope, (Partition, Rows)>>,
    failing: Vec<Strategy>,
}

impl Volatile {
    fn new(failing: &[Strategy]) -> Self {
        Self { scopes: Mutex::default(), failing: failing.to_vec() }
    }

    fn with<T>(&self, scope: &Scope, f: impl FnOnce(&mut Partition, &mut Rows) -> T) -> T {
        let mut scopes = self.scopes.lock().unwrap();
        let (partition, rows) = scopes.entry(scope.clone()).or_insert_with(|| (Partition::new(26), BTreeMap::new()));
        f(partition, rows)
    }
}

#[async_trait]
impl MemoryStore for Volatile {
    async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        self.with(scope, |partition, rows| {
            let mut written = Vec::new();
            for item in items {
                let id = item.id.clone().unwrap_or_else(|| format!("m{}", rows.len()));
                let created_at = item.said_at.unwrap_or(Timestamp::UNIX_EPOCH);
                partition.upsert(&IndexDocument {
                    id: &id,
                    kind: item.kind,
                    text: &item.text,
                    title: item.title.as_deref(),
                    speaker: item.speaker.as_deref(),
                    role: item.role,
                    conversation: item.conversation.as_deref(),
                    said_at: item.said_at,
                    created_at,
                    reliability: item.reliability,
                    access_count: 0,
                    vector: item.vector.as_deref(),
                })?;
                let row = serde_json::json!({
                    "id": id, "kind": item.kind, "text": item.text, "title": item.title, "speaker": item.speaker,
                    "said_at": created_at, "created_at": created_at, "valid_from": created_at, "access_count": 0, "metadata": {},
                });
                let row = serde_json::from_value(row).map_err(|e| Error::new(ErrorKind::Storage, e.to_string()))?;
                rows.insert(id.clone(), row);
                written.push(Remembered { id, outcome: Outcome::Created });
            }
            Ok(written)
        })
    }

    async fn recall(&self, scope: &Scope, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        if self.failing.contains(&strategy) {
            return Err(Error::new(ErrorKind::Storage, format!("{strategy:?} is broken")));
        }
        self.with(scope, |partition, _| partition.search(strategy, query))
    }

    async fn signals(&self, scope: &Scope, ids: &[String], query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        Ok(self.with(scope, |partition, _| partition.signals(ids, query)))
    }

    async fn speakers(&self, scope: &Scope) -> Result<Vec<String>> {
        Ok(self.with(scope, |partition, _| partition.speakers()))
    }

    async fn get(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>> {
        Ok(self.with(scope, |_, rows| ids.iter().filter_map(|id| rows.get(id).cloned()).collect()))
    }

    async fn update(&self, scope: &Scope, id: &str, patch: MemoryPatch) -> Result<Memory> {
        self.with(scope, |_, rows| {
            let row = rows.get_mut(id).ok_or_else(|| Error::new(ErrorKind::NotFound, "no such memory"))?;
            assert!(patch.text.is_none() || patch.vector.is_some(), "a new text comes with its vector");
            row.text = patch.text.unwrap_or_else(|| row.text.clone());
            Ok(row.clone())
        })
    }

    async fn supersede(&self, scope: &Scope, _: &str, new: NewMemory) -> Result<Remembered> {
        assert!(new.vector.is_some());
        let mut written = self.remember(scope, vec![new]).await?;
        written.pop().ok_or_else(|| Error::new(ErrorKind::Storage, "nothing written"))
    }

    async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64> {
        Ok(self.with(scope, |partition, rows| {
            ids.iter().filter(|id| rows.remove(*id).is_some() && partition.remove(id)).count() as u64
        }))
    }

    async fn touch(&self, scope: &Scope, ids: &[String], _: Timestamp) -> Result<()> {
        self.with(scope, |_, rows| {
            for id in ids {
                if let Some(row) = rows.get_mut(id) {
                    row.access_count += 1;
                }
            }
        });
        Ok(())
    }

    async fn list(&self, scope: &Scope, _: &Filter, _: Page) -> Result<Vec<Memory>> {
        Ok(self.with(scope, |_, rows| rows.values().cloned().collect()))
    }

    async fn stats(&self, _: &Scope) -> Result<MemoryStats> {
        Ok(MemoryStats::default())
    }

    async fn erase(&self, scope: &Scope) -> Result<Erased> {
        self.scopes.lock().unwrap().remove(scope);
        Ok(Erased::default())
    }
}

fn memories(store: Volatile, embedder: Letters) -> Memories {
    Memories::new(Arc::new(store), Arc::new(embedder), Arc::new(DefaultRanker::default()), Arc::new(SystemClock::new()))
}

fn said(id: &str, speaker: &str, text: &str) -> NewMemory {
    NewMemory::new(MemoryType::Episodic, text).with_id(id).with_speaker(speaker).with_conversation("c1")
}

async fn with_some(failing: &[Strategy], fails: bool) -> (Memories, Scope) {
    let scope = Scope::local();
    let store = Volatile::new(failing);
    let embedder = Letters::default();
    let before = memories(store, embedder);
    let items = vec![
        said("a", "Ada", "I painted a sunrise last year."),
        said("b", "Bob", "Ada, that is lovely!"),
        said("c", "Ada", "The dog is called Rex."),
    ];
    before.remember(&scope, items).await.unwrap();
    let broken: Arc<dyn Embedder> = Arc::new(Letters { fails, ..Letters::default() });
    let ranker = Arc::new(DefaultRanker::default());
    (Memories::new(Arc::clone(before.store()), broken, ranker, Arc::new(SystemClock::new())), scope)
}

#[tokio::test]
async fn the_right_memory_comes_first_and_says_why() {
    let (memories, scope) = with_some(&[], false).await;
    let recall = memories.recall(&scope, RecallRequest::new("What did Ada paint?").with_limit(2)).await.unwrap();
    assert_eq!(recall.items.len(), 2);
    let first = &recall.items[0];
    assert_eq!(first.memory.id, "a");
    assert!(first.found_by.contains(&Strategy::Keyword) && first.found_by.contains(&Strategy::Vector));
    assert!((first.parts.iter().map(|(_, p)| p).sum::<f32>() - first.score).abs() < 1e-5);
    assert!(first.parts.iter().any(|(signal, part)| *signal == Signal::Keyword && *part > 0.0));
    assert_eq!(recall.after_dedup, 3);
    assert!(recall.before_dedup > 3);
    assert_eq!(recall.strategies.len(), 5);
    let spans: Vec<&str> = recall.spans.iter().map(|(name, _)| *name).collect();
    assert_eq!(spans, ["analyse", "embed", "strategies", "rank", "fetch"]);
}

#[tokio::test]
async fn one_strategy_failing_never_fails_the_rest() {
    for broken in Strategy::ALL {
        let (memories, scope) = with_some(&[broken], false).await;
        let recall = memories.recall(&scope, RecallRequest::new("What did Ada paint?")).await.unwrap();
        assert_eq!(recall.items[0].memory.id, "a", "without {broken:?}");
        for report in &recall.strategies {
            assert_eq!(report.error.is_some(), report.strategy == broken);
        }
    }
}

#[tokio::test]
async fn a_failing_embedder_leaves_the_other_strategies() {
    let (memories, scope) = with_some(&[], true).await;
    let recall = memories.recall(&scope, RecallRequest::new("What did Ada paint?")).await.unwrap();
    assert_eq!(recall.items[0].memory.id, "a");
    let failed: Vec<Strategy> = recall.strategies.iter().filter(|r| r.error.is_some()).map(|r| r.strategy).collect();
    assert_eq!(failed, [Strategy::Vector]);
    assert!(recall.items.iter().all(|item| item.parts.iter().all(|(signal, _)| *signal != Signal::Vector)));
    let outcome = memories.remember(&scope, vec![NewMemory::new(MemoryType::Semantic, "new")]).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Embedding);
}

#[tokio::test]
async fn all_strategies_failing_is_an_error() {
    let (memories, scope) = with_some(&Strategy::ALL, false).await;
    let outcome = memories.recall(&scope, RecallRequest::new("What did Ada paint?")).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Storage);
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let (memories, scope) = with_some(&[], false).await;
    for request in [
        RecallRequest::new("  "),
        RecallRequest::new("x").with_limit(0),
        RecallRequest::new("x").with_limit(201),
        RecallRequest::new("x").with_strategies([]),
    ] {
        let outcome = memories.recall(&scope, request).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn speakers_are_kept_out_of_the_embedded_question() {
    let (embedder, scope) = (Arc::new(Letters::default()), Scope::local());
    let ranker = Arc::new(DefaultRanker::default());
    let clock = Arc::new(SystemClock::new());
    let memories = Memories::new(Arc::new(Volatile::new(&[])), embedder.clone(), ranker, clock);
    memories.remember(&scope, vec![said("a", "Ada Byron", "Hello")]).await.unwrap();
    memories.recall(&scope, RecallRequest::new("What did Ada's friend, ADA, adapt?")).await.unwrap();
    memories.recall(&scope, RecallRequest::new("Ada?")).await.unwrap();
    let seen = embedder.seen.lock().unwrap();
    assert_eq!(seen[1..], ["What did friend, adapt?".to_owned(), "Ada?".to_owned()]);
}

#[tokio::test]
async fn long_texts_are_embedded_in_pieces_and_texts_that_change_again() {
    let (memories, scope) = with_some(&[], false).await;
    let long = "zebra quiz ".repeat(200) + "jukebox";
    let item = NewMemory::new(MemoryType::Semantic, long).with_id("long");
    memories.remember(&scope, vec![item]).await.unwrap();
    let request = RecallRequest::new("quiz zebra").with_strategies([Strategy::Vector]);
    assert_eq!(memories.recall(&scope, request).await.unwrap().items[0].memory.id, "long");
    let patch = MemoryPatch { text: Some("short".into()), ..MemoryPatch::default() };
    assert_eq!(memories.update(&scope, "long", patch).await.unwrap().text, "short");
    memories.supersede(&scope, "long", NewMemory::new(MemoryType::Semantic, "newer")).await.unwrap();
    memories.used(&scope, &["a".into()]).await.unwrap();
    assert_eq!(memories.get(&scope, &["a".into()]).await.unwrap()[0].access_count, 1);
}

type Answer = fn(Vec<f32>) -> Result<Vec<f32>>;

/// Likes what has a word; fails, or answers wrongly, where it is told to.
#[derive(Debug)]
struct Likes {
    word: &'static str,
    answer: Answer,
}

#[async_trait]
impl Reranker for Likes {
    fn name(&self) -> &str {
        "likes"
    }

    fn depth(&self) -> usize {
        3
    }

    async fn rerank(&self, _: &str, texts: &[&str]) -> Result<Vec<f32>> {
        (self.answer)(texts.iter().map(|text| if text.contains(self.word) { 40.0 } else { -40.0 }).collect())
    }
}

#[tokio::test]
async fn a_second_look_changes_the_order_and_says_so() {
    let (memories, scope) = with_some(&[], false).await;
    let plain = memories.recall(&scope, RecallRequest::new("What did Ada paint?").with_limit(1)).await.unwrap();
    assert!(plain.rerank.is_none() && plain.items[0].memory.id == "a");
    // It reads more than are wanted, and what it reads has the speaker's name in front.
    let memories = memories.with_reranker(Arc::new(Likes { word: "Ada: The dog", answer: Ok }));
    let recall = memories.recall(&scope, RecallRequest::new("What did Ada paint?").with_limit(1)).await.unwrap();
    assert_eq!(recall.items.len(), 1);
    let first = &recall.items[0];
    assert_eq!(first.memory.id, "c");
    assert!(first.parts.contains(&(Signal::Rerank, 1.0)));
    assert!((first.parts.iter().map(|(_, p)| p).sum::<f32>() - first.score).abs() < 1e-5);
    let report = recall.rerank.unwrap();
    assert_eq!((report.name.as_str(), report.read, report.error.is_none()), ("likes", 3, true));
    assert_eq!(recall.spans.last().map(|(name, _)| *name), Some("rerank"));
}

#[tokio::test]
async fn a_second_look_that_fails_leaves_the_ranking() {
    let (memories, scope) = with_some(&[], false).await;
    let request = || RecallRequest::new("What did Ada paint?").with_limit(2);
    let plain = memories.recall(&scope, request()).await.unwrap();
    let wrong: [Answer; 3] = [
        |_| Err(Error::new(ErrorKind::Embedding, "no")),
        |scores| Ok(scores.into_iter().skip(1).collect()),
        |scores| Ok(scores.into_iter().map(|_| f32::NAN).collect()),
    ];
    for answer in wrong {
        let memories = memories.clone().with_reranker(Arc::new(Likes { word: "dog", answer }));
        let recall = memories.recall(&scope, request()).await.unwrap();
        assert_eq!(recall.items, plain.items);
        let report = recall.rerank.unwrap();
        assert_eq!((report.read, report.error.map(|e| e.kind())), (0, Some(ErrorKind::Embedding)));
    }
}

#[tokio::test]
async fn what_has_no_vector_of_the_present_model_gets_one() {
    let clock = Arc::new(SystemClock::new());
    let database = crate::storage::Database::in_memory().unwrap();
    let store = SqliteMemoryStore::new(database, clock.clone()).with_model("letters", 26).unwrap();
    let (store, scope): (Arc<dyn MemoryStore>, _) = (Arc::new(store), Scope::local());
    let with = |embedder| {
        Memories::new(Arc::clone(&store), Arc::new(embedder), Arc::new(DefaultRanker::default()), clock.clone())
    };
    // More than are looked for at once.
    let items = (0..2_500).map(|n| NewMemory::new(MemoryType::Semantic, format!("Entry {n}"))).collect();
    store.remember(&scope, items).await.unwrap();
    let broken = with(Letters { fails: true, ..Letters::default() });
    assert_eq!(broken.embed_missing(&scope).await.unwrap_err().kind(), ErrorKind::Embedding);
    let memories = with(Letters::default());
    assert_eq!(memories.embed_missing(&scope).await.unwrap(), 2_500);
    assert_eq!(store.stats(&scope).await.unwrap().with_vector, 2_500);
    assert_eq!(memories.embed_missing(&scope).await.unwrap(), 0);
    let request = RecallRequest::new("entry 1234").with_strategies([Strategy::Vector]);
    assert!(!memories.recall(&scope, request).await.unwrap().items.is_empty());
}
