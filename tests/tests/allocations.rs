//! How often a routing decision asks for memory: a bound for each model, whatever the machine does meanwhile.

use std::sync::Arc;
use std::time::Duration;
use syntra_core::SystemClock;
use syntra_core::router::{
    Catalogue, DefaultRouter, Fleet, Intent, RouteOutcome, RouteQuery, Router, RouterPreferences, Target, classify,
};

/// `n` models: those of the catalogue, and the same again under other providers' names.
fn targets(n: usize) -> (Catalogue, Vec<Target>) {
    let mut catalogue = Catalogue::builtin();
    let models = catalogue.models().to_vec();
    let mut targets = Vec::new();
    for (at, model) in models.iter().cycle().take(n).enumerate() {
        let mut row = model.clone();
        if at >= models.len() {
            row.provider = format!("{}-{}", row.provider, at / models.len());
            catalogue.insert(row.clone());
        }
        targets.push(Target::new(row.provider, row.model));
    }
    (catalogue, targets)
}

/// Allocations of a plan over `n` models after `outcomes`.
fn of_a_plan(n: usize, outcomes: usize) -> u64 {
    let (catalogue, targets) = targets(n);
    let router = DefaultRouter::new(catalogue, RouterPreferences::default(), Arc::new(SystemClock::new()));
    for (at, target) in targets.iter().cycle().take(outcomes).enumerate() {
        let outcome = RouteOutcome::new(target.clone(), Intent::CodingHelp, Duration::ZERO);
        router.observe(&outcome.scored(format!("Write function number {at}"), 0.5).unwrap());
    }
    let fleet = Fleet::untried(targets);
    let query = RouteQuery::new("Write a function that parses a date", Intent::CodingHelp);
    router.plan(&query, &fleet).unwrap();
    let mut made = None;
    let counted = allocation_counter::measure(|| made = Some(router.plan(&query, &fleet)));
    assert!(made.unwrap().unwrap().candidates.len() == n);
    counted.count_total
}

#[test]
fn a_plan_allocates_a_few_times_a_model() {
    // Each model's name twice, once in the order and once in the report, and where its quality is from; a sentence twice for the first
    // sixteen.
    for n in [3, 30, 300] {
        let (cold, learned) = (of_a_plan(n, 0), of_a_plan(n, 200));
        let most = 6 * n as u64 + 4 * 16 + 40;
        assert!(cold <= most && learned <= most + 20, "{n} models: {cold}, {learned} after learning, of {most}");
    }
}

#[test]
fn classifying_hardly_allocates() {
    for text in ["hello, how are you?", "Who was the first person to reach the South Pole?", "今天北京的天气怎么样？"]
    {
        classify(text, false, &[]);
        let counted = allocation_counter::measure(|| drop(classify(text, false, &[])));
        assert!(counted.count_total <= 12, "{text}: {}", counted.count_total);
    }
}
