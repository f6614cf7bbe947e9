//! What a routing decision costs: `cargo bench -p syntra-benches --bench router`.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use syntra_core::SystemClock;
use syntra_core::router::{
    Catalogue, DefaultRouter, FleetHealth, Intent, ModelInfo, RouteOutcome, RouteQuery, Router, RouterPreferences,
    Target, classify,
};

const QUESTIONS: [(&str, &str); 4] = [
    ("greeting", "hello, how are you?"),
    ("question", "Who was the first person to reach the South Pole, and in which year?"),
    (
        "code",
        "This fails with a TypeError, why?\n```python\ndef mean(xs):\n    return sum(xs) / len(xs)\nprint(mean(None))\n```",
    ),
    ("chinese", "今天北京的天气怎么样？需要带伞吗？"),
];

fn classification(c: &mut Criterion) {
    let mut group = c.benchmark_group("classify");
    for (name, text) in QUESTIONS {
        group.bench_function(name, |b| b.iter(|| classify(black_box(text), false, &[])));
    }
    let long = "Please rewrite the following report so that it reads better. ".to_owned()
        + &"The figures rose by 12 % in May. ".repeat(400);
    group.bench_function("13 kB", |b| b.iter(|| classify(black_box(&long), false, &[])));
    group.finish();
}

fn planning(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    for n in [3usize, 30, 300] {
        // The catalogue's own models, and where these are too few the same again at other providers.
        let mut catalogue = Catalogue::builtin();
        let models = catalogue.models().to_vec();
        let mut targets = Vec::new();
        for (at, model) in models.iter().cycle().take(n).enumerate() {
            let mut row: ModelInfo = model.clone();
            if at >= models.len() {
                row.provider = format!("{}-{}", row.provider, at / models.len());
                catalogue.insert(row.clone());
            }
            targets.push(Target::new(row.provider, row.model));
        }
        let router = DefaultRouter::new(catalogue, RouterPreferences::default(), Arc::new(SystemClock::new()));
        let health = FleetHealth::new(Arc::new(SystemClock::new()));
        let fleet = health.snapshot(&targets);
        let mut query = RouteQuery::new("Write a function that parses a date", Intent::CodingHelp);
        query.input_tokens = 1_200;
        group.bench_with_input(BenchmarkId::from_parameter(n), &n, |b, _| {
            b.iter(|| router.plan(black_box(&query), &fleet))
        });
        if n == 30 {
            group.bench_function("snapshot 30", |b| b.iter(|| health.snapshot(black_box(&targets))));
        }
    }
    group.finish();
}

/// What was learned from two thousand outcomes: a plan over thirty models, and one more outcome.
fn learning(c: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let targets: Vec<Target> =
        catalogue.models().iter().take(30).map(|row| Target::new(row.provider.as_str(), row.model.as_str())).collect();
    let router = DefaultRouter::new(catalogue, RouterPreferences::default(), Arc::new(SystemClock::new()));
    let words =
        ["tides", "parsers", "kings", "letters", "primes", "recipes", "ships", "poems", "taxes", "moons", "maps"];
    let text = |n: usize| {
        let word = |k: usize| words.get((n / k) % words.len()).copied().unwrap_or_default();
        format!("Tell me about {} and {} of kind {n}, and why {} matter.", word(1), word(11), word(121))
    };
    let outcome = |n: usize| {
        let target = targets.get(n % targets.len()).cloned().unwrap_or_else(|| Target::new("p", "m"));
        RouteOutcome::new(target, Intent::QaRetrieval, Duration::ZERO).scored(text(n), (n % 2) as f32).ok()
    };
    (0..2_000).filter_map(&outcome).for_each(|outcome| router.observe(&outcome));
    let fleet = FleetHealth::new(Arc::new(SystemClock::new())).snapshot(&targets);
    let query = RouteQuery::new(text(77), Intent::QaRetrieval);
    let mut group = c.benchmark_group("learned");
    group.bench_function("plan 30", |b| b.iter(|| router.plan(black_box(&query), &fleet)));
    let Some(more) = outcome(4_001) else { return };
    group.bench_function("feedback", |b| b.iter(|| router.observe(black_box(&more))));
    group.finish();
}

criterion_group!(benches, classification, planning, learning);
criterion_main!(benches);
