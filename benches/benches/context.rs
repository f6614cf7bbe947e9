//! Understanding a question, counting tokens, building a context, cutting a document.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use syntra_core::context::{
    Budget, ContextBuilder, ContextInput, DefaultContextBuilder, EstimatedCounter, TokenCounter, counter_for,
};
use syntra_core::documents::{ChunkOptions, FileKind, chunk};
use syntra_core::memory::{Memory, MemoryType};
use syntra_core::query::analyse;
use syntra_core::{Message, Timestamp};

const QUESTIONS: [&str; 5] = [
    "Where did I meet Ada Lovelace last Tuesday?",
    "hi",
    "What was the name of the restaurant that we went to in May 2023 with Grace and Tom from the climbing club?",
    "Explain how HttpClient::send retries when parse_header() fails with error 503, please.",
    "¿Qué hice la semana pasada en casa de mi abuela?",
];

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn prose(bytes: usize) -> String {
    let sentence = "The harbour was quiet when we came back from the island, and nobody spoke for a while. ";
    let mut text = String::with_capacity(bytes + 200);
    while text.len() < bytes {
        text.push_str(sentence);
        if text.len() % 1200 < sentence.len() {
            text.push_str("\n\n## A new part\n\n");
        }
    }
    text
}

fn memories(n: usize) -> Vec<(Memory, f32)> {
    (0..n)
        .filter_map(|i| {
            let value = serde_json::json!({
                "id": format!("m{i}"), "kind": MemoryType::ALL[i % 4], "text": format!("{} Fact {i}.", prose(300)),
                "said_at": now(), "created_at": now(), "valid_from": now(), "access_count": 0, "metadata": {},
            });
            Some((serde_json::from_value(value).ok()?, 1.0 - i as f32 / n as f32))
        })
        .collect()
}

fn benches(c: &mut Criterion) {
    let tz = jiff::tz::TimeZone::UTC;
    let mut group = c.benchmark_group("query");
    group.bench_function("analyse five questions", |b| {
        b.iter(|| QUESTIONS.map(|question| analyse(black_box(question), now(), &tz)));
    });
    group.finish();

    let text = prose(10_000);
    let exact = counter_for("gpt-4o");
    let mut group = c.benchmark_group("count 10 kB");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("o200k", |b| b.iter(|| exact.count(black_box(&text))));
    group.bench_function("estimate", |b| b.iter(|| EstimatedCounter::SMALL.count(black_box(&text))));
    group.finish();

    let known = memories(50);
    assert_eq!(known.len(), 50);
    let history: Vec<Message> =
        (0..10).flat_map(|i| [Message::user(format!("Question {i}?")), Message::assistant(prose(200))]).collect();
    let (current, budget) = (Message::user("Where did I meet Ada?"), Budget::default());
    let mut group = c.benchmark_group("build with 50 memories");
    for (name, counter) in [("o200k", counter_for("gpt-4o")), ("estimate", counter_for("claude-sonnet-4"))] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let input = ContextInput {
                    system: "You are Syntra.",
                    memories: &known,
                    entities: &[],
                    summary: None,
                    history: &history,
                    current: &current,
                    budget: &budget,
                    counter: &*counter,
                    now: now(),
                };
                DefaultContextBuilder::new().build(black_box(&input))
            });
        });
    }
    group.finish();

    let document = prose(100_000);
    let mut group = c.benchmark_group("chunk 100 kB");
    group.throughput(Throughput::Bytes(document.len() as u64));
    for (name, kind) in [("markdown", FileKind::Markdown), ("code", FileKind::Code)] {
        group.bench_function(name, |b| b.iter(|| chunk(black_box(&document), kind, &ChunkOptions::default())));
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
