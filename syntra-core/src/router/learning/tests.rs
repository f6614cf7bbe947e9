use super::features::{cosine, point};
use super::topics::{TOPICS, View};
use super::{Learner, Scored};
use crate::chat::NanoDollars;
use crate::clock::SystemClock;
use crate::error::ErrorKind;
use crate::router::{
    Catalogue, DefaultRouter, Fleet, Intent, ModelInfo, Price, QualityPrior, RouteOutcome, RouteQuery, Router,
    RouterPreferences, Sign, Target,
};
use std::sync::Arc;
use std::time::Duration;

/// A router over models of equal price with these priors.
fn router(priors: &[(&str, f32)]) -> (DefaultRouter, Fleet) {
    let mut catalogue = Catalogue::empty();
    for (model, score) in priors {
        let mut info = ModelInfo::new("p", *model);
        info.context_window = Some(1_000_000);
        info.price = Price::per_million_usd(1.0, 1.0).unwrap();
        let prior = QualityPrior { score: *score, source: "test".into() };
        info.quality = Intent::ALL.into_iter().map(|intent| (intent, prior.clone())).collect();
        catalogue.insert(info);
    }
    let fleet = Fleet::untried(priors.iter().map(|(model, _)| Target::new("p", *model)));
    (DefaultRouter::new(catalogue, RouterPreferences::quality(0.8).unwrap(), Arc::new(SystemClock::new())), fleet)
}

fn asked(text: &str, intent: Intent) -> RouteQuery {
    RouteQuery { organisation: "acme".into(), ..RouteQuery::new(text, intent) }
}

fn tell(router: &DefaultRouter, model: &str, text: &str, intent: Intent, score: f32) {
    let outcome = RouteOutcome::new(Target::new("p", model), intent, Duration::ZERO);
    let outcome = outcome.scored(text, score).unwrap();
    router.observe(&RouteOutcome { organisation: "acme".into(), ..outcome });
}

fn first(router: &DefaultRouter, fleet: &Fleet, query: &RouteQuery) -> String {
    router.plan(query, fleet).unwrap().order.swap_remove(0).target.model
}

/// SplitMix64, as numbers from 0 to 1.
struct Dice(u64);
impl Dice {
    fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[test]
fn likeness_is_of_meaning_and_form() {
    let [sum, other_sum, story] = [
        "What is 17 + 25 * 3?",
        "What is 91 + 12 * 7?",
        "Tell me a long story about a knight who lost his horse, and of the girl who found it.",
    ]
    .map(|text| point(text).unwrap());
    assert!((cosine(&sum, &sum) - 1.0).abs() < 1e-2);
    assert!(cosine(&sum, &other_sum) > cosine(&sum, &story) + 0.4);
    assert!(point(" \n").is_none());
    let long = "ä€".repeat(40_000);
    assert!(point(&long).is_some());
}

#[test]
fn a_dozen_outcomes_move_the_choice_and_say_so() {
    let (router, fleet) = router(&[("famous", 0.8), ("humble", 0.6)]);
    let query = asked("Write a function that reverses a list", Intent::CodingHelp);
    assert_eq!(first(&router, &fleet, &query), "famous");
    for n in 0..12 {
        let text = format!("Write a function that sorts list number {n}");
        tell(&router, "famous", &text, Intent::CodingHelp, 0.2);
        tell(&router, "humble", &text, Intent::CodingHelp, 0.9);
    }
    let plan = router.plan(&query, &fleet).unwrap();
    assert_eq!(plan.order[0].target.model, "humble");
    let report = &plan.candidates[0];
    assert_eq!(report.quality_source.as_deref(), Some("learned from 12 outcomes"));
    assert!(report.predicted_quality.unwrap() > 0.7, "{report:?}");
    assert!(plan.explain().contains("learned from 12 outcomes"), "{}", plan.explain());
    // One organisation's outcomes are not another's.
    let elsewhere = RouteQuery { organisation: "umbrella".into(), ..query };
    let plan = router.plan(&elsewhere, &fleet).unwrap();
    assert_eq!(plan.order[0].target.model, "famous");
    assert_eq!(plan.candidates[0].quality_source.as_deref(), Some("test"));
}

#[test]
fn questions_that_are_alike_go_to_the_model_that_does_them_well() {
    let (router, fleet) = router(&[("sums", 0.6), ("rhymes", 0.6)]);
    for n in 0..20 {
        for (text, good, bad) in [
            (format!("What is {n} + {} * 3?", n + 2), "sums", "rhymes"),
            (format!("Compose a rhyme about my cat, verse {n}, please."), "rhymes", "sums"),
        ] {
            // All under one intent: what tells them apart is likeness alone.
            tell(&router, good, &text, Intent::QaRetrieval, 1.0);
            tell(&router, bad, &text, Intent::QaRetrieval, 0.0);
        }
    }
    assert_eq!(first(&router, &fleet, &asked("What is 50 + 61 * 3?", Intent::QaRetrieval)), "sums");
    assert_eq!(first(&router, &fleet, &asked("Compose a rhyme about my dog, please.", Intent::QaRetrieval)), "rhymes");
}

#[test]
fn the_same_question_again_goes_to_the_model_that_did_it_well() {
    let (router, fleet) = router(&[("a", 0.6), ("b", 0.6)]);
    // On such questions `a` is the better, on one of them alone it fails.
    for n in 0..20 {
        tell(&router, "a", &format!("What is {n} + {} * 3?", n + 2), Intent::ReasoningMath, 0.8);
        tell(&router, "b", &format!("What is {n} + {} * 3?", n + 2), Intent::ReasoningMath, 0.5);
    }
    let odd = "What is 77 + 79 * 3?";
    for _ in 0..3 {
        tell(&router, "a", odd, Intent::ReasoningMath, 0.0);
        tell(&router, "b", odd, Intent::ReasoningMath, 1.0);
    }
    assert_eq!(first(&router, &fleet, &asked(odd, Intent::ReasoningMath)), "b");
    assert_eq!(first(&router, &fleet, &asked("What is 78 + 80 * 3?", Intent::ReasoningMath)), "a");
    // A question without words is none that is asked again.
    tell(&router, "b", " ", Intent::Vision, 1.0);
    let learned = router.export_learned("acme").unwrap();
    assert_eq!(learned["repeats"].as_array().unwrap().len(), 21);
    // What was exported before single questions were known can be imported.
    let mut before = learned;
    before.as_object_mut().unwrap().remove("repeats");
    router.import_learned("acme", &before).unwrap();
    assert_eq!(first(&router, &fleet, &asked(odd, Intent::ReasoningMath)), "a");
}

#[test]
fn costs_are_learned() {
    let (router, fleet) = router(&[("terse", 0.6), ("wordy", 0.6)]);
    let query = asked("Explain the tides", Intent::QaRetrieval);
    let cost = |model: &str| {
        let plan = router.plan(&query, &fleet).unwrap();
        plan.candidates.iter().find(|c| c.target.model == model).unwrap().estimated_cost.unwrap().usd()
    };
    let before = cost("wordy");
    assert_eq!(before, cost("terse"));
    for n in 0..10 {
        for (model, factor) in [("terse", 1.0), ("wordy", 4.0)] {
            let outcome = RouteOutcome::new(Target::new("p", model), Intent::QaRetrieval, Duration::ZERO);
            let outcome = outcome.scored(format!("Explain phenomenon {n}"), 0.7).unwrap();
            let cost = NanoDollars::from_usd(before * factor);
            router.observe(&RouteOutcome { organisation: "acme".into(), cost, ..outcome });
        }
    }
    assert!((cost("terse") / before - 1.0).abs() < 0.01, "{}", cost("terse") / before);
    assert!((3.0..4.1).contains(&(cost("wordy") / before)), "{}", cost("wordy") / before);
}

/// Turns in which only the chosen model is scored, with quality that differs by kind of question and noise in every score: against
/// a router that keeps to the prior, what was learned costs next to nothing at first and wins in the end.
#[test]
fn learning_is_never_worse_than_the_prior_for_long() {
    let kinds = [
        ("What is {} + 7 * 3?", Intent::ReasoningMath),
        ("Write a Python function that parses format {}", Intent::CodingHelp),
        ("Who was the king of France in the year {}?", Intent::QaRetrieval),
        ("Please reword this letter to my landlord, draft {}.", Intent::EditingWriting),
    ];
    let (mut gained, mut lost, mut lost_most) = (0.0f32, 0.0f32, 0.0f32);
    for seed in 0..12u64 {
        let mut dice = Dice(seed);
        let truth: Vec<[f32; 4]> = (0..5).map(|_| [0; 4].map(|_: i32| 0.2 + 0.7 * dice.roll())).collect();
        let names = ["a", "b", "c", "d", "e"];
        // The prior knows each model's mean, and that not well.
        let priors: Vec<(&str, f32)> = names
            .iter()
            .zip(&truth)
            .map(|(name, by_kind)| {
                (*name, (by_kind.iter().sum::<f32>() / 4.0 + 0.2 * (dice.roll() - 0.5)).clamp(0.0, 1.0))
            })
            .collect();
        let (learning, fleet) = router(&priors);
        let (fixed, _) = router(&priors);
        let (mut ahead, mut worst) = (0.0f32, 0.0f32);
        for turn in 0..400 {
            let kind = (dice.roll() * 4.0) as usize % 4;
            let (text, intent) = kinds[kind];
            let query = asked(&text.replace("{}", &turn.to_string()), intent);
            let true_quality = |model: &str| truth[names.iter().position(|n| *n == model).unwrap()][kind];
            let choice = first(&learning, &fleet, &query);
            ahead += true_quality(&choice) - true_quality(&first(&fixed, &fleet, &query));
            worst = worst.min(ahead);
            let score = if dice.roll() < true_quality(&choice) { 1.0 } else { 0.0 };
            tell(&learning, &choice, &query.text, intent, score);
        }
        gained += ahead / 400.0 / 12.0;
        lost += worst / 12.0;
        lost_most = lost_most.min(worst);
    }
    assert!(lost > -4.0, "on the average it was at most {lost} answers of 400 behind the prior");
    assert!(lost_most > -30.0, "it was {lost_most} answers of 400 behind the prior");
    assert!(gained > 0.04, "{gained}");
}

#[test]
fn memory_is_bounded_whatever_is_told() {
    let learner = Learner::default();
    let mut dice = Dice(7);
    for n in 0..1_500u32 {
        let word = |x: f32| ["tax", "cat", "rust", "moon", "bread", "chess", "ode", "gene"][(x * 8.0) as usize % 8];
        let text = match n % 3 {
            0 => format!("{} {}\n{{{}}} = {}?", word(dice.roll()), n * 7919, word(dice.roll()), n),
            1 => format!("A {} of {}, {} and {}", word(dice.roll()), word(dice.roll()), word(dice.roll()), n),
            _ => format!("{}!!! {}", word(dice.roll()).repeat(n as usize % 9), word(dice.roll())),
        };
        let organisation = format!("org{}", if n % 10 == 0 { n } else { 0 });
        learner.learn(&Scored {
            organisation: &organisation,
            question: &text,
            intent: Intent::QaRetrieval,
            target: &Target::new("p", format!("m{}", n % 400)),
            prior: 0.5,
            score: 0.5,
            cost: None,
        });
    }
    let all = learner.0.read().unwrap();
    assert!(all.len() <= super::ORGANISATIONS);
    let big = &all["org0"].outcomes;
    assert!(big.topics.len() <= TOPICS && big.targets.len() <= super::topics::MODELS);
    assert_eq!(big.targets.len(), super::topics::MODELS);
}

#[test]
fn what_was_learned_travels_as_json_and_can_be_forgotten() {
    let (router, fleet) = router(&[("a", 0.7), ("b", 0.5)]);
    for n in 0..30 {
        let text = format!("Question {n} about the moons of planet {}", n % 8);
        tell(&router, "a", &text, Intent::QaRetrieval, 0.1);
        tell(&router, "b", &text, Intent::QaRetrieval, 0.8);
    }
    let learned = router.export_learned("acme").unwrap();
    assert!(!learned.to_string().contains("moons"), "no text of a question is kept");
    let (fresh, _) = self::router(&[("a", 0.7), ("b", 0.5)]);
    // Through text, as a file would have it.
    let read = serde_json::from_str(&learned.to_string()).unwrap();
    fresh.import_learned("acme", &read).unwrap();
    let query = asked("How many moons has Saturn?", Intent::QaRetrieval);
    assert_eq!(fresh.plan(&query, &fleet).unwrap(), router.plan(&query, &fleet).unwrap());
    assert_eq!(first(&fresh, &fleet, &query), "b");

    for (path, value) in [
        ("/version", 9.into()),
        ("/topics/0/centre", "AAAA".into()),
        ("/topics/0/sums/0/0", 77.into()),
        ("/topics/0/questions", (-1).into()),
        ("/models/0/by_intent/0/1/score", (-5).into()),
        ("/repeats/0/1/0/place", 77.into()),
        ("/repeats/0/1/0/score", 5.into()),
        ("/models", serde_json::Value::Null),
    ] {
        let mut damaged = learned.clone();
        *damaged.pointer_mut(path).unwrap() = value;
        let error = fresh.import_learned("acme", &damaged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
    }
    assert_eq!(first(&fresh, &fleet, &query), "b", "what is refused changes nothing");
    assert!(fresh.reset_learned("acme"));
    assert!(!fresh.reset_learned("acme") && fresh.export_learned("acme").is_none());
    assert_eq!(first(&fresh, &fleet, &query), "a");
}

fn sign(router: &DefaultRouter, model: &str, sign: Sign) {
    let mut outcome = RouteOutcome::new(Target::new("p", model), Intent::CodingHelp, Duration::ZERO);
    (outcome.sign, outcome.organisation) = (Some(sign), "acme".into());
    router.observe(&outcome);
}

#[test]
fn answers_that_are_no_good_count_against_a_model_within_a_bound() {
    let (router, fleet) = router(&[("a", 0.7), ("b", 0.66), ("c", 0.4)]);
    let query = asked("Write a function", Intent::CodingHelp);
    let quality = |model: &str| {
        let plan = router.plan(&query, &fleet).unwrap();
        plan.candidates.iter().find(|c| c.target.model == model).unwrap().predicted_quality.unwrap()
    };
    // Whoever is asked most is asked again most: what counts is the share, against the others'.
    for n in 0..40 {
        sign(&router, "a", Sign::Fine);
        if n % 10 == 0 {
            sign(&router, "a", Sign::AskedAgain);
        }
    }
    assert!((quality("a") - 0.7).abs() < 0.02, "{}", quality("a"));
    assert_eq!(first(&router, &fleet, &query), "a");
    for _ in 0..40 {
        sign(&router, "a", Sign::Refused);
        sign(&router, "b", Sign::Fine);
    }
    assert_eq!(first(&router, &fleet, &query), "b");
    let plan = router.plan(&query, &fleet).unwrap();
    assert!(plan.explain().contains("for answers that were no good"), "{}", plan.explain());
    // But never further than the bound, which a few scores outweigh.
    for _ in 0..5_000 {
        sign(&router, "a", Sign::Empty);
    }
    assert!(quality("a") > 0.7 - 0.151 && first(&router, &fleet, &query) != "c");
    for n in 0..12 {
        tell(&router, "a", &format!("Write a function number {n}"), Intent::CodingHelp, 1.0);
        tell(&router, "b", &format!("Write a function number {n}"), Intent::CodingHelp, 0.3);
    }
    assert_eq!(first(&router, &fleet, &query), "a");
    // And they travel with the rest.
    let learned = router.export_learned("acme").unwrap();
    let (fresh, _) = self::router(&[("a", 0.7), ("b", 0.66), ("c", 0.4)]);
    fresh.import_learned("acme", &learned).unwrap();
    assert_eq!(fresh.plan(&query, &fleet).unwrap(), router.plan(&query, &fleet).unwrap());
    let mut damaged = learned;
    damaged["models"][0]["signs"]["bad"] = 1e9.into();
    assert!(fresh.import_learned("acme", &damaged).is_err());
}

#[test]
fn scores_are_checked() {
    for score in [-0.1, 1.1, f32::NAN] {
        let outcome = RouteOutcome::new(Target::new("p", "m"), Intent::QaRetrieval, Duration::ZERO);
        assert_eq!(outcome.scored("q", score).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // Before any outcome there is no view.
    assert!(Learner::default().with_view(&asked("q", Intent::QaRetrieval), |view: Option<&View<'_>>| view.is_none()));
}
