//! Recall and remember through [`Memories`] with the in-package embedder over the SQLite store, embedding included.
//!
//! `cargo bench -p syntra-benches --bench recall`; with `-- 10000` only that size. A million memories of one user take minutes to fill:
//! `RECALL_SIZES=1000000 cargo bench -p syntra-benches --bench recall` does them, and only them.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use syntra_benches::recall_set::{memories, question, turn};
use syntra_core::memory::{Memories, RecallRequest};
use syntra_core::{Error, Result, Scope};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// The sizes that the environment names, or else [`SIZES`].
fn sizes() -> Result<Vec<usize>> {
    let Ok(named) = std::env::var("RECALL_SIZES") else { return Ok(SIZES.to_vec()) };
    let size = |word: &str| word.parse().map_err(|_| Error::invalid(format!("RECALL_SIZES: {word:?} is no size")));
    named.split_whitespace().map(size).collect()
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
    for size in sizes()? {
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
        group.bench_function(BenchmarkId::new("with a writer", size), |bencher| {
            ready();
            let stop = Arc::new(AtomicBool::new(false));
            let writer = runtime.spawn({
                let (stored, scope, stop) = (stored.clone(), scope.clone(), Arc::clone(&stop));
                async move {
                    for at in size.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        stored.remember(&scope, vec![turn(at)]).await?;
                    }
                    Ok::<(), Error>(())
                }
            });
            bencher.iter(|| {
                asked += 1;
                black_box(must(runtime.block_on(stored.recall(&scope, RecallRequest::new(question(asked))))))
            });
            stop.store(true, Ordering::Relaxed);
            must(runtime.block_on(writer).unwrap_or_else(|e| Err(Error::invalid(e.to_string()))));
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
