//! The SQLite stores without any embedder: writing one and many, opening, loading a partition, recalling from it.
//!
//! Every answer is checked, no id is used twice and no two questions in a row are the same: a refusal, a duplicate or the partition's
//! memo of the last question would each look wonderfully fast.
//!
//! `cargo bench -p syntra-benches --bench store`; with `-- 1000` or `-- load` only what has that in its name.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use syntra_core::memory::{MemoryStore, MemoryType, NewMemory, Outcome, Page, SqliteMemoryStore};
use syntra_core::query::QueryAnalysis;
use syntra_core::search::{Filter, SearchQuery, Strategy};
use syntra_core::storage::Database;
use syntra_core::thread::{SqliteThreadStore, ThreadStore};
use syntra_core::{Message, Result, Scope, SystemClock, Timestamp};

const DIMENSIONS: usize = 256;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// A generator that needs no crate and gives the same numbers every time (Numerical Recipes' constants).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
}

/// Turns of conversations: fifteen words each, common ones often, rare ones seldom, and a vector.
fn turns(from: usize, count: usize) -> Vec<NewMemory> {
    let mut numbers = Numbers(from as u64 + 1);
    let turn = |i: usize| {
        let word = |n: u32| format!("w{}", (n % 200) * (n / 200 % 100));
        let text: Vec<String> = (0..15).map(|_| word(numbers.next())).collect();
        let kind = if (from + i).is_multiple_of(50) { MemoryType::Profile } else { MemoryType::Episodic };
        let mut item = NewMemory::new(kind, format!("{} {}", text.join(" "), from + i))
            .with_id(format!("turn-{}", from + i))
            .with_speaker(if i.is_multiple_of(2) { "Ada" } else { "Bo" })
            .with_conversation(format!("session-{}", (from + i) / 25));
        item.vector = Some((0..DIMENSIONS).map(|_| numbers.next() as f32 / 2e9 - 0.5).collect());
        item
    };
    (0..count).map(turn).collect()
}

fn store(database: &Database) -> Result<SqliteMemoryStore> {
    SqliteMemoryStore::new(database.clone(), Arc::new(SystemClock::new())).with_model("bench", DIMENSIONS)
}

/// Ends the bench where a call fails: the time of a failure is no result.
fn must<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| stop(&error.to_string()))
}

fn stop(why: &str) -> ! {
    eprintln!("the bench failed: {why}");
    std::process::exit(1);
}

/// The next `size` turns, of ids that none had before.
fn fresh(next: &mut usize, size: usize) -> Vec<NewMemory> {
    let from = *next;
    *next += size;
    turns(from, size)
}

async fn create(store: &SqliteMemoryStore, scope: &Scope, items: Vec<NewMemory>) {
    let done = must(store.remember(scope, items).await);
    if done.iter().any(|remembered| remembered.outcome != Outcome::Created) {
        stop("an item was not written");
    }
}

/// A question's words and vector.
fn questions() -> Vec<(String, Vec<f32>)> {
    let mut numbers = Numbers(7);
    let mut question = || {
        let vector: Vec<f32> = (0..DIMENSIONS).map(|_| numbers.next() as f32 / 2e9 - 0.5).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let word = |n: u32| n % 200 * (n / 200 % 100);
        let text = format!("what of w{} and w{}", word(numbers.next()), word(numbers.next()));
        (text, vector.iter().map(|x| x / length).collect())
    };
    (0..64).map(|_| question()).collect()
}

async fn fill(dir: &Path, scope: &Scope, count: usize) -> Result<()> {
    let store = store(&Database::open(dir)?)?;
    for from in (0..count).step_by(1_000) {
        store.remember(scope, turns(from, 1_000)).await?;
    }
    Ok(())
}

fn benches(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        stop(&error.to_string());
    }
}

fn run(criterion: &mut Criterion) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let scope = Scope::new("bench", "ada")?;

    let dir = tempfile::tempdir()?;
    let database = Database::open(dir.path())?;
    let memories = store(&database)?;
    let threads = SqliteThreadStore::new(database.clone(), Arc::new(SystemClock::new()));
    let mut next = 0;
    let mut group = criterion.benchmark_group("store/write");
    group.sample_size(20);
    for size in [1, 1_000] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("remember", size), |bench| {
            let batch = || fresh(&mut next, size);
            bench.to_async(&runtime).iter_batched(batch, |i| create(&memories, &scope, i), BatchSize::PerIteration);
        });
    }
    runtime.block_on(threads.create(&scope, Some("t"), None))?;
    group.throughput(Throughput::Elements(2));
    group.bench_function("append/2", |bench| {
        let pair = || vec![Message::user("A question?").into(), Message::assistant("An answer.").into()];
        bench.to_async(&runtime).iter(|| async { black_box(must(threads.append(&scope, "t", pair()).await)) });
    });
    group.throughput(Throughput::Elements(32));
    group.bench_function("remember/32 callers", |bench| {
        let batch = || fresh(&mut next, 32);
        let all = |items: Vec<NewMemory>| {
            futures::future::join_all(items.into_iter().map(|item| create(&memories, &scope, vec![item])))
        };
        bench.to_async(&runtime).iter_batched(batch, all, BatchSize::PerIteration);
    });
    group.finish();

    let analysis = QueryAnalysis::default();
    let filter = Filter::default();
    let questions = questions();
    let turn = AtomicUsize::new(0);
    let query = || {
        let (text, vector) = &questions[turn.fetch_add(1, Ordering::Relaxed) % questions.len()];
        SearchQuery {
            text,
            analysis: &analysis,
            vector: Some(vector),
            filter: &filter,
            now: Timestamp::now(),
            limit: 10,
            topics: false,
        }
    };
    for size in SIZES {
        let dir = tempfile::tempdir()?;
        runtime.block_on(fill(dir.path(), &scope, size))?;
        let mut group = criterion.benchmark_group(format!("store/{size}"));
        group.sample_size(10);
        group.bench_function("open", |bench| bench.iter(|| must(Database::open(dir.path()))));
        let database = Database::open(dir.path())?;
        group.bench_function("load", |bench| {
            // A store of its own each time, whose indexes are cold.
            let cold = || must(store(&database));
            let first = |store: SqliteMemoryStore| {
                let (scope, query) = (&scope, query());
                async move { must(store.recall(scope, Strategy::Recent, &query).await).len() }
            };
            bench.to_async(&runtime).iter_batched(cold, first, BatchSize::PerIteration);
        });
        // The rows alone, without their vectors: what of loading is reading.
        let warm = store(&database)?;
        group.bench_function("list", |bench| {
            let page = Page { offset: 0, limit: u64::MAX };
            bench.to_async(&runtime).iter(|| async { must(warm.list(&scope, &filter, page).await).len() });
        });
        must(runtime.block_on(warm.recall(&scope, Strategy::Recent, &query())));
        group.sample_size(50);
        for strategy in [Strategy::Vector, Strategy::Keyword, Strategy::Profile, Strategy::Recent] {
            group.bench_function(format!("recall/{strategy:?}"), |bench| {
                bench.to_async(&runtime).iter(|| async {
                    if must(warm.recall(&scope, strategy, &query()).await).is_empty() {
                        stop("a strategy found nothing");
                    }
                });
            });
        }
        let ids: Vec<String> = (0..10).map(|i| format!("turn-{}", i * 7)).collect();
        group.bench_function("get/10", |bench| {
            bench.to_async(&runtime).iter(|| async { black_box(must(warm.get(&scope, &ids).await)) });
        });
        let mut next = size;
        group.bench_function("remember/1 indexed", |bench| {
            let one = || fresh(&mut next, 1);
            bench.to_async(&runtime).iter_batched(one, |i| create(&warm, &scope, i), BatchSize::PerIteration);
        });
        group.finish();
    }
    Ok(())
}

criterion_group!(store_benches, benches);
criterion_main!(store_benches);
