//! What the in-package embedder costs: one text, a batch, loading its table, and a cache over it.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion writes undocumented items; a bench that cannot start may stop"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use syntra_core::embed::{CachedEmbedder, Embedder, StaticEmbedder};

const SENTENCE: &str =
    "Last weekend I went camping near the lake with my kids, and we told stories by the fire until late.";
const TECHNICAL: &str =
    "NF-κB signalling is up-regulated (p<0.05) in CD4+ T-cells; see https://example.org/a/b?c=d#e for the raw data.";
const OTHER: &str =
    "В прошлые выходные я ездил с детьми в поход к озеру, и мы до поздней ночи рассказывали истории у костра.";

fn static_model(c: &mut Criterion) {
    let embedder = StaticEmbedder::bundled().expect("the bundled table loads");
    let mut out = vec![0.0; embedder.dimensions()];
    let mut group = c.benchmark_group("static");
    for (name, text) in [("20 words", SENTENCE), ("technical", TECHNICAL), ("cyrillic", OTHER), ("1 word", "camping")] {
        group.bench_function(name, |b| b.iter(|| embedder.embed_into(black_box(text), &mut out)));
    }
    let page = SENTENCE.repeat(50);
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("1000 words", |b| b.iter(|| embedder.embed_into(black_box(&page), &mut out)));
    let texts = vec![SENTENCE; 1000];
    group.throughput(Throughput::Elements(1000));
    group.sample_size(20);
    group.bench_function("batch of 1000", |b| b.iter(|| embedder.embed_batch(black_box(&texts))));
    group.finish();
}

fn loading(c: &mut Criterion) {
    let bytes: &'static [u8] = include_bytes!("../../syntra-core/assets/static-en.bin");
    c.bench_function("static/load", |b| b.iter(|| StaticEmbedder::from_bytes(black_box(bytes))));
}

fn cache(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let inner = Arc::new(StaticEmbedder::bundled().expect("the bundled table loads"));
    let cached = CachedEmbedder::new(inner, 16 << 20);
    runtime.block_on(cached.embed_query(SENTENCE)).expect("a vector");
    c.bench_function("cache/hit", |b| b.to_async(&runtime).iter(|| cached.embed_query(black_box(SENTENCE))));
}

criterion_group!(benches, static_model, loading, cache);
criterion_main!(benches);
