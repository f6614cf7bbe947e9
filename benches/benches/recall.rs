//! Recall and remember through [`Memories`] with the in-package embedder over the SQLite store, embedding included.
//!
//! `cargo bench -p syntra-benches --bench recall`; with `-- 10000` only that size.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use syntra_core::embed::{Embedder, StaticEmbedder};
use syntra_core::memory::{Memories, MemoryType, NewMemory, RecallRequest, SqliteMemoryStore};
use syntra_core::search::DefaultRanker;
use syntra_core::storage::Database;
use syntra_core::{Result, Scope, SystemClock, Timestamp};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const SPEAKERS: [&str; 2] = ["Ada", "Bo"];
const VERBS: [&str; 12] = [
    "painted", "bought", "lost", "visited", "sold", "repaired", "read", "wrote", "cooked", "planned", "missed", "found",
];
const THINGS: [&str; 16] = [
    "a bicycle",
    "the garden",
    "an old map",
    "a violin",
    "the harbour",
    "a novel",
    "the kitchen",
    "a telescope",
    "a letter",
    "the museum",
    "a lamp",
    "some bread",
    "the roof",
    "a camera",
    "a boat",
    "the library",
];
const WHERE: [&str; 14] = [
    "in Lisbon",
    "near the river",
    "with my sister",
    "after work",
    "for the party",
    "on the mountain",
    "at the station",
    "during the storm",
    "before breakfast",
    "with the neighbours",
    "in the old town",
    "by train",
    "on holiday",
    "at school",
];

/// The turn number `i`: a sentence that few others share, a day after the one before for each conversation of 25.
fn turn(i: usize) -> NewMemory {
    let pick = |list: &[&'static str], by: usize| list.get((i / by) % list.len().max(1)).copied().unwrap_or("");
    let text = format!(
        "I {} {} {} and then we talked about item {} for a while.",
        pick(&VERBS, 1),
        pick(&THINGS, 5),
        pick(&WHERE, 3),
        i * 7 % 9_973
    );
    let day = (i / 25) as i64 * 86_400;
    let said_at = Timestamp::from_second(1_600_000_000 + day + i as i64 % 25).unwrap_or(Timestamp::UNIX_EPOCH);
    NewMemory::new(MemoryType::Episodic, text)
        .with_id(format!("turn-{i}"))
        .with_speaker(pick(&SPEAKERS, 1))
        .with_conversation(format!("session-{}", i / 25))
        .with_said_at(said_at)
}

fn memories(dir: &Path) -> Result<Memories> {
    let (embedder, clock) = (StaticEmbedder::bundled()?, Arc::new(SystemClock::new()));
    let store = SqliteMemoryStore::new(Database::open(dir)?, clock.clone())
        .with_model(embedder.model(), embedder.dimensions())?;
    Ok(Memories::new(Arc::new(store), Arc::new(embedder), Arc::new(DefaultRanker::default()), clock))
}

/// The question number `i`: about a thing, a place, a person or an item; no two in a row are the same, so no memo of the last one
/// is timed.
fn question(i: usize) -> String {
    let pick = |list: &[&'static str], by: usize| list.get((i / by) % list.len().max(1)).copied().unwrap_or("");
    match i % 4 {
        0 => format!("What did Ada do with {} {}?", pick(&THINGS, 4), pick(&WHERE, 1)),
        1 => format!("When did Bo say that he {} {}?", pick(&VERBS, 4), pick(&THINGS, 1)),
        2 => format!("Who {} something {}?", pick(&VERBS, 1), pick(&WHERE, 4)),
        _ => format!("Where did we talk about item {}?", i * 13 % 9_973),
    }
}

async fn fill(memories: &Memories, scope: &Scope, size: usize) -> Result<()> {
    for from in (0..size).step_by(1_000) {
        memories.remember(scope, (from..from + 1_000).map(turn).collect()).await?;
    }
    Ok(())
}

/// Ends the bench where a call fails: the time of a failure is no result.
fn must<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("the bench failed: {error}");
        std::process::exit(1);
    })
}

fn benches(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        eprintln!("the bench failed: {error}");
        std::process::exit(1);
    }
}

fn run(criterion: &mut Criterion) -> Result<()> {
    let failed = |e: std::io::Error| syntra_core::Error::invalid(e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let scope = Scope::local();
    let mut group = criterion.benchmark_group("recall");
    group.sample_size(20);
    for size in SIZES {
        let folder = tempfile::tempdir().map_err(failed)?;
        let memories = memories(folder.path())?;
        // Filled when the first bench of this size asks for it, so that a filter on the command line spares the other sizes.
        let filled = std::cell::OnceCell::new();
        let ready = || {
            filled.get_or_init(|| must(runtime.block_on(fill(&memories, &scope, size))));
        };
        let mut asked = 0usize;
        group.bench_function(BenchmarkId::new("embedding included", size), |bencher| {
            ready();
            bencher.iter(|| {
                asked += 1;
                let recall = must(runtime.block_on(memories.recall(&scope, RecallRequest::new(question(asked)))));
                assert!(!recall.items.is_empty());
                black_box(recall)
            });
        });
        group.bench_function(BenchmarkId::new("open and first recall", size), |bencher| {
            ready();
            bencher.iter(|| {
                asked += 1;
                let opened = must(self::memories(folder.path()));
                black_box(must(runtime.block_on(opened.recall(&scope, RecallRequest::new(question(asked))))))
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("remember");
    group.sample_size(10);
    let folder = tempfile::tempdir().map_err(failed)?;
    let memories = memories(folder.path())?;
    let mut next = 0usize;
    for batch in [1usize, 1_000] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("embedding included", batch), |bencher| {
            bencher.iter(|| {
                let items = (next..next + batch).map(turn).collect();
                next += batch;
                black_box(runtime.block_on(memories.remember(&scope, items)))
            });
        });
    }
    group.finish();
    Ok(())
}

criterion_group!(all, benches);
criterion_main!(all);
