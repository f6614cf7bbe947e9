//! Strategies by name: what each puts first, and what none of them passes over.

use super::tests::{fleet, names, query, router, target};
use super::*;
use crate::router::{Policies, RoutingPolicy};
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Duration;

const MIX: [&str; 4] = ["openai/gpt-6-luna", "openai/gpt-6.1-terra", "openai/gpt-6-astra", "anthropic/claude-sonnet-5"];

fn by(policy: RoutingPolicy) -> RouteQuery {
    RouteQuery { policies: Policies::new([Arc::new(policy)]), ..query(Intent::CodingHelp) }
}

fn strategy(strategy: RoutingStrategy) -> RouteQuery {
    by(RoutingPolicy::new().with_strategy(strategy))
}

#[test]
fn each_strategy_puts_first_what_it_says() {
    let router = router(0.5);
    let plan = |strategy_| router.plan(&strategy(strategy_), &fleet(&MIX)).unwrap();
    let report = |plan: &Plan, at: usize| {
        let report = plan.candidates[at].clone();
        (report.estimated_cost.unwrap(), report.predicted_quality.unwrap())
    };
    let cheapest = plan(RoutingStrategy::Cheapest);
    let best = plan(RoutingStrategy::Best);
    for at in 1..MIX.len() {
        assert!(report(&cheapest, 0).0 <= report(&cheapest, at).0);
        assert!(report(&best, 0).1 >= report(&best, at).1);
    }
    let ladder = plan(RoutingStrategy::Ladder);
    assert_eq!(names(&ladder)[0], names(&cheapest)[0]);
    let rungs = (1..MIX.len()).take_while(|at| report(&ladder, *at).1 > report(&ladder, at - 1).1);
    let top = rungs.last().unwrap();
    assert!(report(&ladder, top).1 >= report(&best, 0).1, "the ladder goes up to the best: {}", ladder.explain());
    for at in 1..=top {
        assert!(report(&ladder, at).0 >= report(&ladder, at - 1).0, "{}", ladder.explain());
    }
    assert!(cheapest.explain().contains("cheapest") && best.strategy == RoutingStrategy::Best);
}

#[test]
fn the_fastest_is_the_one_that_was_heard_first_and_does_not_fail() {
    let mut fleet = fleet(&MIX);
    for (at, (_, health)) in fleet.targets.iter_mut().enumerate() {
        health.first_token = Some(Duration::from_millis([900, 300, 800, 310][at]));
    }
    let first = |fleet: &Fleet| {
        let plan = router(0.5).plan(&strategy(RoutingStrategy::Fastest), fleet).unwrap();
        names(&plan).swap_remove(0)
    };
    assert_eq!(first(&fleet), MIX[1]);
    fleet.targets[1].1.failure_rate = 0.4;
    assert_eq!(first(&fleet), MIX[3]);
}

#[test]
fn in_turns_each_is_called_as_often_and_calls_on_their_way_count() {
    let router = router(0.5);
    let mut calls: HashMap<String, usize> = HashMap::new();
    for _ in 0..40 {
        let plan = router.plan(&strategy(RoutingStrategy::RoundRobin), &fleet(&MIX)).unwrap();
        let chosen = names(&plan).swap_remove(0);
        router.observe(&RouteOutcome::new(target(&chosen), Intent::CodingHelp, Duration::ZERO));
        *calls.entry(chosen).or_default() += 1;
    }
    assert!(calls.len() == 4 && calls.values().all(|n| *n == 10), "{calls:?}");
    let mut busy = fleet(&MIX);
    busy.targets.iter_mut().take(3).for_each(|(_, health)| health.in_flight = 2);
    let plan = router.plan(&strategy(RoutingStrategy::RoundRobin), &busy).unwrap();
    assert_eq!(names(&plan)[0], MIX[3]);
}

#[test]
fn weights_are_shares_and_a_turn_draws_the_same_again() {
    let policy = RoutingPolicy::new()
        .with_strategy(RoutingStrategy::Weighted)
        .with_weight(MIX[0], 3.0)
        .with_weight(MIX[1], 1.0)
        .with_weight("anthropic", 0.0)
        .with_weight(MIX[2], 0.0);
    let router = router(0.5);
    let drawn = |seed| {
        let plan = router.plan(&RouteQuery { seed, ..by(policy.clone()) }, &fleet(&MIX)).unwrap();
        names(&plan).swap_remove(0)
    };
    let mut calls: HashMap<String, usize> = HashMap::new();
    for seed in 1..=2_000 {
        *calls.entry(drawn(seed)).or_default() += 1;
    }
    assert_eq!(drawn(7), drawn(7));
    let share = calls[MIX[0]] as f64 / 2_000.0;
    // Three quarters; the standard error is below one hundredth, and the draws are the same on every run.
    assert!(calls.len() == 2 && (0.71..0.79).contains(&share), "{calls:?}");
}

#[test]
fn a_policys_quality_counts_and_the_questions_own_before_it() {
    let router = router(0.5);
    let cheap = by(RoutingPolicy::new().with_quality(0.0));
    let first = |query: &RouteQuery| names(&router.plan(query, &fleet(&MIX)).unwrap()).swap_remove(0);
    let best = first(&RouteQuery { quality: Some(1.0), ..cheap.clone() });
    assert_eq!(first(&cheap), MIX[0]);
    assert_ne!(best, MIX[0]);
}

proptest! {
    #[test]
    fn no_strategy_passes_a_constraint_over(
        at in 0..RoutingStrategy::ALL.len(),
        deny in proptest::collection::vec(0..MIX.len(), 0..3),
        max in proptest::option::of(1u64..100_000_000),
        seed in any::<u64>(),
    ) {
        let strategy = RoutingStrategy::ALL[at];
        let mut policy = RoutingPolicy::new().with_strategy(strategy).with_deny(deny.iter().map(|at| MIX[*at]));
        policy.max_cost = max.map(NanoDollars::from_nanos);
        let query = RouteQuery { seed, ..by(policy.clone()) };
        match router(0.5).plan(&query, &fleet(&MIX)) {
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Unsupported),
            Ok(plan) => {
                prop_assert_eq!(plan.candidates.len(), MIX.len());
                for planned in &plan.order {
                    prop_assert!(policy.permits(&planned.target));
                }
                for (at, report) in plan.candidates.iter().enumerate() {
                    prop_assert_eq!(report.rank, (report.standing != Standing::Excluded).then_some(at));
                    if let (Some(most), Some(_)) = (policy.max_cost, report.rank) {
                        prop_assert!(report.estimated_cost.unwrap() <= most);
                    }
                }
                let mut seen: Vec<_> = plan.order.iter().map(|p| &p.target).collect();
                seen.sort();
                seen.dedup();
                prop_assert_eq!(seen.len(), plan.order.len());
            }
        }
    }
}
