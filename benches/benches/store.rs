//! The SQLite stores without any embedder: writing one and many, opening, loading a partition, recalling from it.
//!
//! `cargo bench -p syntra-benches --bench store`; with `-- 1000` or `-- load` only what has that in its name.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use syntra_core::memory::{MemoryStore, MemoryType, NewMemory, SqliteMemoryStore};
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
        let mut item = NewMemory::new(MemoryType::Episodic, text.join(" "))
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

async fn fill(dir: &Path, scope: &Scope, count: usize) -> Result<()> {
    let store = store(&Database::open(dir)?)?;
    for from in (0..count).step_by(1_000) {
        store.remember(scope, turns(from, 1_000)).await?;
    }
    Ok(())
}

fn benches(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        eprintln!("the bench failed: {error}");
        std::process::exit(1);
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
            bench.to_async(&runtime).iter_batched(
                || {
                    next += size;
                    turns(next, size)
                },
                |items| async { memories.remember(&scope, items).await.map(|done| black_box(done.len())) },
                BatchSize::PerIteration,
            );
        });
    }
    runtime.block_on(threads.create(&scope, Some("t"), None))?;
    group.throughput(Throughput::Elements(2));
    group.bench_function("append/2", |bench| {
        let pair = || vec![Message::user("A question?").into(), Message::assistant("An answer.").into()];
        bench.to_async(&runtime).iter(|| async { threads.append(&scope, "t", pair()).await.map(black_box) });
    });
    group.throughput(Throughput::Elements(32));
    group.bench_function("remember/32 callers", |bench| {
        bench.to_async(&runtime).iter_batched(
            || {
                next += 32;
                turns(next, 32)
            },
            |items| {
                let one = |item| memories.remember(&scope, vec![item]);
                futures::future::join_all(items.into_iter().map(one))
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let analysis = QueryAnalysis::default();
    let filter = Filter::default();
    let vector: Vec<f32> = vec![1.0 / (DIMENSIONS as f32).sqrt(); DIMENSIONS];
    let query = SearchQuery {
        text: "what of w77 and w1200",
        analysis: &analysis,
        vector: Some(&vector),
        filter: &filter,
        now: Timestamp::now(),
        limit: 10,
    };
    for size in SIZES {
        let dir = tempfile::tempdir()?;
        runtime.block_on(fill(dir.path(), &scope, size))?;
        let mut group = criterion.benchmark_group(format!("store/{size}"));
        group.sample_size(10);
        group.bench_function("open", |bench| bench.iter(|| Database::open(dir.path())));
        let database = Database::open(dir.path())?;
        group.bench_function("load", |bench| {
            // A store of its own each time, whose indexes are cold.
            let cold = || store(&database);
            bench.to_async(&runtime).iter_batched(
                cold,
                |store| async { store?.recall(&scope, Strategy::Recent, &query).await },
                BatchSize::PerIteration,
            );
        });
        let warm = store(&database)?;
        runtime.block_on(warm.recall(&scope, Strategy::Recent, &query))?;
        group.sample_size(50);
        for strategy in Strategy::ALL {
            group.bench_function(format!("recall/{strategy:?}"), |bench| {
                bench.to_async(&runtime).iter(|| warm.recall(&scope, strategy, &query));
            });
        }
        let ids: Vec<String> = (0..10).map(|i| format!("turn-{}", i * 7)).collect();
        group.bench_function("get/10", |bench| bench.to_async(&runtime).iter(|| warm.get(&scope, &ids)));
        group.bench_function("remember/1 indexed", |bench| {
            let mut next = size * 2;
            bench.to_async(&runtime).iter_batched(
                || {
                    next += 1;
                    turns(next, 1)
                },
                |items| warm.remember(&scope, items),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
    Ok(())
}

criterion_group!(store_benches, benches);
criterion_main!(store_benches);
