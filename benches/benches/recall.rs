//! Recall and remember through [`Memories`] with the in-package embedder over the SQLite store, embedding included.
//!
//! `cargo bench -p syntra-benches --bench recall`; with `-- 10000` only that size.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use syntra_benches::recall_set::{memories, question, turn};
use syntra_core::memory::{Memories, RecallRequest};
use syntra_core::{Result, Scope};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
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
        let stored = memories(folder.path())?;
        // Filled when the first bench of this size asks for it, so that a filter on the command line spares the other sizes.
        let filled = std::cell::OnceCell::new();
        let ready = || {
            filled.get_or_init(|| must(runtime.block_on(fill(&stored, &scope, size))));
        };
        let mut asked = 0usize;
        group.bench_function(BenchmarkId::new("embedding included", size), |bencher| {
            ready();
            bencher.iter(|| {
                asked += 1;
                let recall = must(runtime.block_on(stored.recall(&scope, RecallRequest::new(question(asked)))));
                assert!(!recall.items.is_empty());
                black_box(recall)
            });
        });
        group.bench_function(BenchmarkId::new("open and first recall", size), |bencher| {
            ready();
            bencher.iter(|| {
                asked += 1;
                let opened = must(memories(folder.path()));
                black_box(must(runtime.block_on(opened.recall(&scope, RecallRequest::new(question(asked))))))
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("remember");
    group.sample_size(10);
    let folder = tempfile::tempdir().map_err(failed)?;
    let stored = memories(folder.path())?;
    let mut next = 0usize;
    for batch in [1usize, 1_000] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("embedding included", batch), |bencher| {
            bencher.iter(|| {
                let items = (next..next + batch).map(turn).collect();
                next += batch;
                black_box(runtime.block_on(stored.remember(&scope, items)))
            });
        });
    }
    group.finish();
    Ok(())
}

criterion_group!(all, benches);
criterion_main!(all);
