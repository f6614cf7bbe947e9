use super::*;
use crate::router::RoutingStrategy;
use proptest::prelude::*;

fn scope(user: usize) -> Scope {
    Scope::new("acme", format!("user{user}")).unwrap()
}

fn experiment() -> Experiment {
    Experiment::new("cheaper").with_arm("control", 3.0, RoutingPolicy::new()).with_arm(
        "cheap",
        1.0,
        RoutingPolicy::new().with_strategy(RoutingStrategy::Cheapest),
    )
}

fn arm(experiments: &Experiments, user: usize) -> ExperimentArm {
    experiments.assign(&scope(user)).remove(0).0
}

#[test]
fn a_user_stays_in_an_arm_and_the_arms_have_their_shares() {
    let experiments = Experiments::new(vec![experiment()]).unwrap();
    let again = Experiments::new(vec![experiment()]).unwrap();
    let mut cheap = 0;
    for user in 0..4_000 {
        let assigned = arm(&experiments, user);
        assert_eq!(assigned, arm(&again, user));
        cheap += usize::from(assigned.arm == "cheap");
    }
    // A quarter; the hashes are the same on every run.
    assert!((900..1_100).contains(&cheap), "{cheap}");
    // Another experiment shuffles anew: who is cheap in both is a quarter of a quarter.
    let mut other = experiment();
    other.name = "other".into();
    let other = Experiments::new(vec![other]).unwrap();
    let both = (0..4_000).filter(|u| arm(&experiments, *u).arm == "cheap" && arm(&other, *u).arm == "cheap").count();
    assert!((190..310).contains(&both), "{both}");
    let (_, policy) = experiments.assign(&scope(0)).remove(0);
    assert_eq!(policy.strategy.is_some(), arm(&experiments, 0).arm == "cheap");
}

#[test]
fn the_report_says_what_is_sure_and_lasts() {
    let experiments = Experiments::new(vec![experiment()]).unwrap();
    for n in 0..600 {
        let assigned = [arm(&experiments, n)];
        let cheap = assigned[0].arm == "cheap";
        let result =
            TurnResult { bad: n % 50 == 0, cost: Some(if cheap { 0.001 } else { 0.01 }), first_token_ms: None };
        experiments.note("acme", &assigned, &result);
        experiments.score("acme", &assigned, if cheap { f64::from(u8::from(n % 10 == 0)) } else { 1.0 });
    }
    let report = experiments.report("acme").remove(0);
    let [control, cheap] = &report.arms[..] else { panic!("{report:?}") };
    assert_eq!(control.turns + cheap.turns, 600);
    assert_eq!((cheap.better, control.better), (Some(false), None));
    let (least, most) = cheap.score_difference.unwrap();
    assert!(least < most && most < 0.0);
    assert!((cheap.cost_usd.mean.unwrap() - 0.001).abs() < 1e-9 && cheap.first_token_ms.mean.is_none());
    assert_eq!((control.share, cheap.ended.clone()), (0.75, None));
    // Nobody else's.
    assert_eq!(experiments.report("umbrella")[0].arms[0].turns, 0);

    let kept = experiments.export("acme").unwrap();
    let read = serde_json::from_str(&kept.to_string()).unwrap();
    let fresh = Experiments::new(vec![experiment()]).unwrap();
    fresh.import("acme", &read).unwrap();
    let [fresh_arm, old] = [&fresh, &experiments].map(|e| e.report("acme").remove(0).arms.remove(1));
    assert_eq!((fresh_arm.turns, fresh_arm.score.count, fresh_arm.better), (old.turns, old.score.count, old.better));
    // A number written as decimals may come back a bit beside itself.
    let near = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
    assert!(near(fresh_arm.score.low, old.score.low) && near(fresh_arm.cost_usd.mean, old.cost_usd.mean));
    let mut damaged = read.clone();
    damaged["cheaper"]["cheap"]["score"]["sum"] = (-4).into();
    assert!(fresh.import("acme", &damaged).is_err() && fresh.import("acme", &1.into()).is_err());
    let none = Experiments::new(vec![Experiment { name: "new".into(), ..experiment() }]).unwrap();
    none.import("acme", &read).unwrap();
    assert_eq!(none.report("acme")[0].arms[0].turns, 0);
}

#[test]
fn a_broken_guard_rail_sends_an_arms_users_to_the_first() {
    let experiments = Experiments::new(vec![experiment().with_max_bad_rate(0.2)]).unwrap();
    let user = (0..100).find(|u| arm(&experiments, *u).arm == "cheap").unwrap();
    let mut turns = 0;
    while !arm(&experiments, user).diverted {
        experiments.note("acme", &[arm(&experiments, user)], &TurnResult { bad: true, ..TurnResult::default() });
        turns += 1;
        assert!(turns < 200, "an arm that always fails is ended");
    }
    assert!(turns > 3, "and not for one bad day");
    assert_eq!(arm(&experiments, user).arm, "control");
    let report = experiments.report("acme").remove(0);
    assert!(report.arms[1].ended.as_ref().unwrap().contains("went wrong"), "{report:?}");
    // The first arm has nobody to send its users to.
    for _ in 0..200 {
        let control = ExperimentArm { experiment: "cheaper".into(), arm: "control".into(), diverted: false };
        experiments.note("acme", &[control], &TurnResult { bad: true, ..TurnResult::default() });
    }
    assert_eq!(experiments.report("acme")[0].arms[0].ended, None);
}

#[test]
fn what_cannot_be_is_named() {
    for (experiment, word) in [
        (Experiment::new(" "), "name"),
        (Experiment::new("x").with_arm("a", 1.0, RoutingPolicy::new()), "arms"),
        (experiment().with_arm("cheap", 1.0, RoutingPolicy::new()), "name of its own"),
        (experiment().with_arm("b", -1.0, RoutingPolicy::new()), "weight"),
        (experiment().with_arm("b", 1.0, RoutingPolicy::new().with_quality(2.0)), "quality"),
        (experiment().with_confidence(1.0), "confidence"),
        (experiment().with_min_score(7.0), "min_score"),
        (experiment().with_max_cost_usd(f64::NAN), "max_cost_usd"),
    ] {
        let error = experiment.check().unwrap_err();
        assert!(error.message().contains(word), "{error}");
    }
    assert!(Experiments::new(vec![experiment(), experiment()]).is_err());
}

#[test]
fn memory_is_bounded() {
    let experiments = Experiments::new(vec![experiment()]).unwrap();
    for n in 0..300 {
        experiments.note(&format!("org{n}"), &[arm(&experiments, n)], &TurnResult::default());
    }
    assert!(experiments.results.lock().unwrap().len() <= ORGANISATIONS);
}

proptest! {
    #[test]
    fn everybody_is_in_an_arm_that_has_a_share(weights in proptest::collection::vec(0.0f64..5.0, 2..6), user in 0usize..10_000) {
        let mut experiment = Experiment::new("x");
        for (at, weight) in weights.iter().enumerate() {
            experiment = experiment.with_arm(format!("a{at}"), *weight, RoutingPolicy::new());
        }
        if weights.iter().sum::<f64>() > 0.1 {
            let place = experiment.place_of(&scope(user));
            prop_assert!(weights[place] > 0.0);
        }
    }
}
