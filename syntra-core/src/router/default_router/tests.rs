use super::*;
use crate::clock::SystemClock;
use crate::router::{FleetHealth, Needs, Price, QualityPrior, RouteOutcome, TokenPrice};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Debug)]
struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> jiff::Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(super) fn router(quality: f32) -> DefaultRouter {
    DefaultRouter::new(Catalogue::builtin(), RouterPreferences::quality(quality).unwrap(), Arc::new(Fixed))
}

pub(super) fn fleet(names: &[&str]) -> Fleet {
    let up = || TargetHealth { available: true, ..TargetHealth::default() };
    Fleet { targets: names.iter().map(|name| (target(name), up())).collect() }
}

pub(super) fn target(name: &str) -> Target {
    let (provider, model) = name.split_once('/').unwrap();
    Target::new(provider, model)
}

pub(super) fn names(plan: &Plan) -> Vec<String> {
    plan.order.iter().map(|p| p.target.to_string()).collect()
}

fn first(quality: f32, query: &RouteQuery, models: &[&str]) -> String {
    names(&router(quality).plan(query, &fleet(models)).unwrap()).swap_remove(0)
}

pub(super) fn query(intent: Intent) -> RouteQuery {
    RouteQuery { input_tokens: 500, ..RouteQuery::new("a question", intent) }
}

const MIX: [&str; 8] = [
    "openai/gpt-5.4-nano",
    "openai/gpt-5.4",
    "anthropic/claude-haiku-4-5",
    "anthropic/claude-opus-4-8",
    "gemini/gemini-2.5-flash-lite",
    "gemini/gemini-3.1-pro-preview",
    "perplexity/sonar",
    "deepseek/deepseek-v4-flash",
];

#[test]
fn each_intent_goes_where_it_belongs() {
    let strong = ["openai/gpt-5.4", "anthropic/claude-opus-4-8", "deepseek/deepseek-v4-flash"];
    for intent in [Intent::CodingHelp, Intent::ReasoningMath] {
        let chosen = first(0.5, &query(intent), &MIX);
        assert!(strong.contains(&chosen.as_str()), "{intent:?} {chosen}");
    }
    let cheap = ["openai/gpt-5.4-nano", "gemini/gemini-2.5-flash-lite", "deepseek/deepseek-v4-flash"];
    let chosen = first(0.5, &query(Intent::SocialChat), &MIX);
    assert!(cheap.contains(&chosen.as_str()), "{chosen}");
    let mut search = query(Intent::WebSearch);
    search.needs.web_search = true;
    assert_eq!(first(0.5, &search, &MIX), "perplexity/sonar");
    // A preference, no constraint: with no searching model there is still an answer.
    assert!(!first(0.5, &search, &["openai/gpt-5.4"]).is_empty());
}

#[test]
fn the_knob_goes_from_the_cheapest_to_the_best() {
    for intent in Intent::ALL {
        let plan = router(0.0).plan(&query(intent), &fleet(&MIX)).unwrap();
        let cheapest = plan.candidates.iter().min_by_key(|c| c.estimated_cost).unwrap();
        assert_eq!(plan.order[0].target, cheapest.target, "{intent:?}");
        assert_eq!(first(1.0, &query(intent), &MIX), "openai/gpt-5.4", "{intent:?}");
    }
    assert!(RouterPreferences::quality(1.5).is_err() && RouterPreferences::quality(f32::NAN).is_err());
}

#[test]
fn pictures_go_to_models_that_see() {
    let mut look = query(Intent::Vision);
    look.needs.vision = true;
    let models =
        ["openai/gpt-5.4-nano", "deepseek/deepseek-v4-flash", "mistral/codestral-latest", "ollama/llava", "unheard/of"];
    let plan = router(0.5).plan(&look, &fleet(&models)).unwrap();
    assert_eq!(names(&plan), ["openai/gpt-5.4-nano"]);
    let reason = |name: &str| plan.candidates.iter().find(|c| c.target == target(name)).unwrap().reason.clone();
    assert_eq!(reason("deepseek/deepseek-v4-flash"), "cannot see pictures");
    assert_eq!(reason("ollama/llava"), "is not known to see pictures");
}

/// Two models that differ in nothing but their names and, of the second, its price; the first of what is asked for is chosen.
fn twins(dearer: f64, change: impl FnOnce(&mut RouteQuery, &mut Fleet)) -> Plan {
    let mut catalogue = Catalogue::empty();
    for (name, factor) in [("a", 1.0), ("b", dearer)] {
        let mut info = ModelInfo::new("p", name);
        info.price = Price::per_million_usd(2.0 * factor, 8.0 * factor).unwrap();
        info.price.base.cache_read = TokenPrice::per_million_usd(0.2 * factor);
        info.context_window = Some(100_000);
        let prior = QualityPrior { score: 0.7, source: "test".into() };
        info.quality = Intent::ALL.into_iter().map(|intent| (intent, prior.clone())).collect();
        catalogue.insert(info);
    }
    let mut query = RouteQuery::new("a question", Intent::QaRetrieval);
    query.input_tokens = 10_000;
    let mut fleet = fleet(&["p/a", "p/b"]);
    change(&mut query, &mut fleet);
    DefaultRouter::new(catalogue, RouterPreferences::default(), Arc::new(Fixed)).plan(&query, &fleet).unwrap()
}

#[test]
fn a_conversation_stays_where_the_cache_makes_it_cheaper() {
    let plain = twins(1.2, |_, _| {});
    assert_eq!(names(&plain), ["p/a", "p/b"]);
    let warm = twins(1.2, |query, _| query.cached = vec![(target("p/b"), 8_000)]);
    assert_eq!(names(&warm), ["p/b", "p/a"]);
    let report = &warm.candidates[0];
    // 2000 plain at 2.40 dollars a million, 8000 read at .24, 250 answered at 9.60.
    assert_eq!(report.estimated_cost.unwrap().nanos(), 4_800_000 + 1_920_000 + 2_400_000);
    assert_eq!((report.cached_tokens, warm.candidates[1].cached_tokens), (Some(8_000), None));
    assert!(warm.explain().contains("8000 tokens of the prompt in its cache"), "{}", warm.explain());
    // Where it is five times as dear the cache does not make up for it, and there is never more of it than of the prompt.
    assert_eq!(names(&twins(9.0, |query, _| query.cached = vec![(target("p/b"), 8_000)])), ["p/a", "p/b"]);
    let all = twins(1.0, |query, _| query.cached = vec![(target("p/b"), 1_000_000)]);
    assert_eq!(all.candidates[0].cached_tokens, Some(10_000));
}

#[test]
fn who_writes_faster_is_preferred_and_the_wait_for_the_first_token_is_not_all() {
    let heard = |fleet: &mut Fleet, at: usize, ms: u64, pace: f32| {
        let health = &mut fleet.targets[at].1;
        (health.first_token, health.tokens_per_second) = (Some(Duration::from_millis(ms)), Some(pace));
    };
    // 250 tokens: half a second and 12.5, or one and 2.5.
    let plan = twins(1.0, |_, fleet| (heard(fleet, 0, 500, 20.0), heard(fleet, 1, 1_000, 100.0)).1);
    assert_eq!(names(&plan), ["p/b", "p/a"]);
    let latencies: Vec<_> = plan.candidates.iter().map(|c| c.expected_latency_ms).collect();
    assert_eq!(latencies, [Some(3_500), Some(13_000)]);
    assert_eq!(plan.candidates[0].tokens_per_second, Some(100.0));
    assert!(plan.explain().contains("100 tokens a second"), "{}", plan.explain());
    // A second of waiting is worse than one of reading along.
    let plan = twins(1.0, |_, fleet| (heard(fleet, 0, 500, 100.0), heard(fleet, 1, 2_500, 1_000.0)).1);
    assert_eq!(names(&plan), ["p/a", "p/b"]);
    // Who was never heard is expected to be as the others are, and its report does not pretend to know.
    let plan = twins(1.0, |_, fleet| heard(fleet, 0, 500, 20.0));
    let silent = plan.candidates.iter().find(|c| c.target == target("p/b")).unwrap();
    assert_eq!((silent.expected_latency_ms, silent.tokens_per_second), (None, None));
}

#[test]
fn long_prompts_go_to_long_windows() {
    let mut long = query(Intent::QaRetrieval);
    long.input_tokens = 200_000;
    let models = [
        "openai/gpt-4o-mini",
        "openai/gpt-4.1-mini",
        "anthropic/claude-haiku-4-5",
        "gemini/gemini-2.5-flash",
        "openai/gpt-5-mini",
    ];
    let plan = router(0.5).plan(&long, &fleet(&models)).unwrap();
    let mut able = names(&plan);
    able.sort();
    // haiku's window is exactly 200,000: the answer needs room too.
    assert_eq!(able, ["gemini/gemini-2.5-flash", "openai/gpt-4.1-mini", "openai/gpt-5-mini"]);
    // 300,000 fit the window of gpt-5-mini (400,000) but not its prompt limit.
    long.input_tokens = 300_000;
    assert!(!names(&router(0.5).plan(&long, &fleet(&models)).unwrap()).contains(&"openai/gpt-5-mini".to_owned()));
}

#[test]
fn a_long_conversation_prefers_room_to_grow() {
    let mut talk = query(Intent::QaRetrieval);
    (talk.input_tokens, talk.history_messages) = (90_000, 40);
    let models = ["openai/gpt-4o-mini", "gemini/gemini-3.1-pro-preview"];
    assert_eq!(first(0.0, &talk, &models), "gemini/gemini-3.1-pro-preview");
    talk.history_messages = 2;
    assert_eq!(first(0.0, &talk, &models), "openai/gpt-4o-mini");
}

#[test]
fn an_unknown_price_comes_last_and_is_said() {
    let plan = router(1.0)
        .plan(&query(Intent::CodingHelp), &fleet(&["unheard/of", "openai/gpt-4o-mini", "openai/gpt-4.1"]))
        .unwrap();
    assert_eq!(names(&plan).last().unwrap(), "unheard/of");
    let report = &plan.candidates[2];
    assert!(report.estimated_cost.is_none() && report.reason.contains("price that is not known"), "{report:?}");
    let mut limited = query(Intent::CodingHelp);
    limited.max_cost = Some(NanoDollars::from_usd(0.01).unwrap());
    let plan = router(1.0).plan(&limited, &fleet(&["unheard/of", "openai/gpt-4o-mini", "openai/gpt-5.4-pro"])).unwrap();
    assert_eq!(names(&plan), ["openai/gpt-4o-mini"]);
    assert!(plan.candidates.iter().any(|c| c.reason.contains("its price is not known, so the limit of $0.01")));
    assert!(plan.candidates.iter().any(|c| c.reason.contains("the most allowed is $0.01")));
}

#[test]
fn local_models_are_free_and_say_so() {
    let models = ["ollama/llama3.2", "openai/gpt-5.4"];
    assert_eq!(first(0.5, &query(Intent::SocialChat), &models), "ollama/llama3.2");
    assert_eq!(first(0.5, &query(Intent::CodingHelp), &models), "openai/gpt-5.4");
    let plan = router(0.0).plan(&query(Intent::CodingHelp), &fleet(&models)).unwrap();
    assert_eq!(plan.candidates[0].estimated_cost, Some(NanoDollars::ZERO));
    assert!(plan.order[0].reason.contains("free on your own machine"), "{}", plan.order[0].reason);
    // A prompt beyond what such a server has by default goes elsewhere first, but may still go there.
    let mut long = query(Intent::SocialChat);
    long.input_tokens = 20_000;
    assert_eq!(names(&router(0.5).plan(&long, &fleet(&models)).unwrap()), ["openai/gpt-5.4", "ollama/llama3.2"]);
}

#[test]
fn retired_models_are_left_out_by_date() {
    let plan = router(0.5).plan(&query(Intent::QaRetrieval), &fleet(&["openai/gpt-4", "openai/gpt-4o"])).unwrap();
    assert_eq!(names(&plan), ["openai/gpt-4o"]);
    assert!(plan.candidates[1].reason.contains("retired it on 2026-10-23"), "{:?}", plan.candidates[1]);
}

#[test]
fn a_pinned_model_is_the_only_one() {
    let router = router(0.5);
    let mut query = query(Intent::QaRetrieval);
    for pinned in ["openai/gpt-4o", "openai/gpt-4o-2024-08-06", "gpt-4o"] {
        query.pinned = Some(pinned.into());
        let plan = router.plan(&query, &fleet(&["openai/gpt-4o-mini", "openai/gpt-4o"])).unwrap();
        assert_eq!(names(&plan), ["openai/gpt-4o"], "{pinned}");
        assert!(plan.order[0].reason.starts_with("the caller insists on it"));
    }
    query.pinned = Some("openai/gpt4o".into());
    let error = router.plan(&query, &fleet(&["openai/gpt-4o-mini", "openai/gpt-4o"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("near misses: openai/gpt-4o"), "{error}");
    query.pinned = Some("openrouter/z-ai/glm-5.2".into());
    query.needs.vision = true;
    let error = router.plan(&query, &fleet(&["openrouter/z-ai/glm-5.2", "openai/gpt-4o"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("pictures are not seen by openrouter/z-ai/glm-5.2"), "{error}");
}

#[test]
fn when_nothing_is_left_each_constraint_is_named() {
    let mut query = query(Intent::Vision);
    query.needs = Needs { vision: true, tools: true, ..Needs::default() };
    query.input_tokens = 500_000;
    let models = ["deepseek/deepseek-v4-flash", "perplexity/sonar-pro", "openai/gpt-4o"];
    let error = router(0.5).plan(&query, &fleet(&models)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for part in [
        "pictures are not seen by deepseek/deepseek-v4-flash",
        "tools are not called by perplexity/sonar-pro",
        "the prompt is too long for openai/gpt-4o",
        "500000 tokens",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert_eq!(router(0.5).plan(&query, &Fleet::default()).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_failing_target_is_left_alone_and_its_absence_passes() {
    let router = router(0.5);
    let models = [target("openai/gpt-4o-mini"), target("gemini/gemini-2.5-flash")];
    let health = FleetHealth::new(Arc::new(SystemClock::new()));
    let before = router.plan(&query(Intent::SocialChat), &health.snapshot(&models)).unwrap();
    let favourite = before.order[0].target.clone();
    for _ in 0..3 {
        let mut outcome = RouteOutcome::new(favourite.clone(), Intent::SocialChat, Duration::from_secs(1));
        outcome.error = Some(ErrorKind::Transient);
        health.record(&outcome);
    }
    let after = router.plan(&query(Intent::SocialChat), &health.snapshot(&models)).unwrap();
    assert_eq!(after.order.len(), 1);
    assert_ne!(after.order[0].target, favourite);
    let error = router.plan(&query(Intent::SocialChat), &health.snapshot(&[favourite])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
}

#[test]
fn traffic_moves_to_the_faster_and_healthier() {
    let models = ["openai/gpt-5.4-nano", "gemini/gemini-3.1-flash-lite"];
    let mut fleet = fleet(&models);
    let router = router(0.5);
    let favourite = router.plan(&query(Intent::SocialChat), &fleet).unwrap().order.swap_remove(0).target;
    for (target, health) in &mut fleet.targets {
        let slow = *target == favourite;
        health.first_token = Some(Duration::from_millis(if slow { 9_000 } else { 300 }));
    }
    assert_ne!(router.plan(&query(Intent::SocialChat), &fleet).unwrap().order[0].target, favourite);
    for (target, health) in &mut fleet.targets {
        health.first_token = Some(Duration::from_millis(300));
        health.failure_rate = if *target == favourite { 0.8 } else { 0.0 };
    }
    assert_ne!(router.plan(&query(Intent::CodingHelp), &fleet).unwrap().order[0].target, favourite);
}

#[test]
fn the_chain_alternates_providers() {
    let models = [
        "openai/gpt-5.4-nano",
        "openai/gpt-5-nano",
        "openai/gpt-5-mini",
        "anthropic/claude-haiku-4-5",
        "gemini/gemini-2.5-flash",
    ];
    let plan = router(0.0).plan(&query(Intent::SocialChat), &fleet(&models)).unwrap();
    let providers: Vec<&str> = plan.order.iter().map(|p| p.target.provider.as_str()).collect();
    assert_eq!(providers[0], "openai");
    assert!(providers[..4].windows(2).all(|w| w[0] != w[1]), "{providers:?}");
    assert!(plan.order[1].reason.contains("in case openai is down"), "{}", plan.order[1].reason);
}

#[test]
fn two_wires_of_one_provider_are_one_provider() {
    let models = ["openai/gpt-5.4-nano", "openai-responses/gpt-5.4-nano", "gemini/gemini-2.5-flash"];
    let plan = router(0.0).plan(&query(Intent::SocialChat), &fleet(&models)).unwrap();
    assert!(plan.candidates.iter().all(|c| c.estimated_cost.is_some()));
    assert_eq!(plan.order[1].target.provider, "gemini");
}

#[test]
fn the_explanation_is_a_table() {
    let mut query = query(Intent::CodingHelp);
    query.needs.vision = true;
    let mut fleet = fleet(&["openai/gpt-5.4", "deepseek/deepseek-v4-flash"]);
    fleet.targets[0].1.first_token = Some(Duration::from_millis(420));
    let text = router(0.5).plan(&query, &fleet).unwrap().explain();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("coding_help (confidence 1.00)"));
    assert!(
        lines[2].starts_with(" 1  openai/gpt-5.4") && lines[2].contains("420 ms") && lines[2].contains("1.0M"),
        "{text}"
    );
    assert!(
        lines[3].starts_with(" -  deepseek/deepseek-v4-flash") && lines[3].ends_with("cannot see pictures"),
        "{text}"
    );
}

/// A catalogue of `n` models of two providers with arbitrary prices, windows and abilities.
fn any_case() -> impl Strategy<Value = (Vec<ModelInfo>, Vec<TargetHealth>, RouteQuery, f32)> {
    let model = (
        0u8..3,
        0u8..4,
        0.0f64..20.0,
        proptest::option::of(1_000u64..200_000),
        any::<bool>(),
        any::<bool>(),
        0.0f32..1.0,
    );
    let health = (any::<bool>(), proptest::option::of(1u64..5_000), 0.0f32..1.0);
    let query =
        (0usize..8, any::<bool>(), any::<bool>(), 0u64..150_000, proptest::option::of(1u64..100_000_000), 0usize..30);
    (proptest::collection::vec((model, health), 1..12), query, 0.0f32..=1.0).prop_map(|(rows, q, quality)| {
        let (models, healths) = rows
            .into_iter()
            .enumerate()
            .map(|(n, ((provider, price, usd, window, vision, tools, score), (up, ms, failing)))| {
                let mut info = ModelInfo::new(format!("p{provider}"), format!("m{n}"));
                if price > 0 {
                    info.price = Price::per_million_usd(usd, usd * f64::from(price)).unwrap();
                }
                info.context_window = window;
                info.modalities = vec!["text".into(), if vision { "image" } else { "pdf" }.into()];
                info.tools = Some(tools);
                let prior = crate::router::QualityPrior { score, source: "test".into() };
                info.quality = [(Intent::CodingHelp, prior)].into();
                let up = up || n == 0;
                (
                    info,
                    TargetHealth {
                        available: up,
                        first_token: ms.map(Duration::from_millis),
                        tokens_per_second: ms.map(|ms| 1.0 + ms as f32 / 10.0),
                        failure_rate: failing,
                        in_flight: 0,
                    },
                )
            })
            .unzip();
        let (intent, vision, web, input, max, history) = q;
        let mut query = RouteQuery::new("text", Intent::ALL[intent]);
        query.needs = Needs { vision, web_search: web, ..Needs::default() };
        (query.input_tokens, query.history_messages) = (input, history);
        query.max_cost = max.map(NanoDollars::from_nanos);
        (models, healths, query, quality)
    })
}

proptest! {
    #[test]
    fn every_plan_is_sound((models, healths, query, quality) in any_case()) {
        let mut catalogue = Catalogue::empty();
        models.iter().for_each(|m| catalogue.insert(m.clone()));
        let fleet = Fleet { targets: models.iter().map(|m| Target::new(&m.provider, &m.model)).zip(healths).collect() };
        let router = DefaultRouter::new(catalogue, RouterPreferences::quality(quality).unwrap(), Arc::new(Fixed));
        let plan = match router.plan(&query, &fleet) {
            Ok(plan) => plan,
            Err(error) => {
                prop_assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Overloaded), "{}", error);
                return Ok(());
            }
        };
        prop_assert_eq!(&plan, &router.plan(&query, &fleet).unwrap(), "the same question, the same plan");

        // Every candidate is reported once; the tried are in the order and meet every constraint; the excluded are not.
        prop_assert_eq!(plan.candidates.len(), models.len());
        for (target, health) in &fleet.targets {
            let reports: Vec<_> = plan.candidates.iter().filter(|c| c.target == *target).collect();
            prop_assert_eq!(reports.len(), 1);
            let place = plan.order.iter().position(|p| p.target == *target);
            prop_assert_eq!(reports[0].rank, place);
            prop_assert_eq!(reports[0].standing == Standing::Excluded, place.is_none());
            prop_assert!(!reports[0].reason.is_empty());
            if place.is_some() {
                let info = models.iter().find(|m| m.model == target.model).unwrap();
                prop_assert!(health.available && (!query.needs.vision || info.vision() == Some(true)));
                prop_assert!(info.context_window.is_none_or(|w| query.input_tokens + query.output_tokens <= w));
                prop_assert!(query.max_cost.is_none_or(|most| info.price.estimate(query.input_tokens, query.output_tokens).unwrap() <= most));
            }
        }
        prop_assert_eq!(plan.candidates[0].standing, Standing::Chosen);

        // Known prices before unknown ones.
        let known: Vec<bool> = plan.order.iter().map(|p| plan.candidates.iter().any(|c| c.target == p.target && c.estimated_cost.is_some())).collect();
        prop_assert!(known.windows(2).all(|w| w[0] || !w[1]), "{:?}", known);
    }

    #[test]
    fn of_two_equals_the_cheaper_is_first(usd in 0.01f64..20.0, more in 1.01f64..3.0, score in 0.0f32..1.0, quality in 0.0f32..=1.0, which in 0usize..8, swap: bool) {
        let mut catalogue = Catalogue::empty();
        for (name, usd) in [("cheap", usd), ("dear", usd * more)] {
            let mut info = ModelInfo::new("p", name);
            info.price = Price::per_million_usd(usd, usd).unwrap();
            info.context_window = Some(100_000);
            info.quality = [(Intent::CodingHelp, crate::router::QualityPrior { score, source: "test".into() })].into();
            catalogue.insert(info);
        }
        let router = DefaultRouter::new(catalogue, RouterPreferences::quality(quality).unwrap(), Arc::new(Fixed));
        let names = if swap { ["p/dear", "p/cheap"] } else { ["p/cheap", "p/dear"] };
        let plan = router.plan(&query(Intent::ALL[which]), &fleet(&names)).unwrap();
        prop_assert_eq!(plan.order[0].target.to_string(), "p/cheap");
    }

    #[test]
    fn amounts_are_shown_in_two_digits(nanos in 1u64..10_000_000_000_000) {
        let shown: f64 = Dollars(NanoDollars::from_nanos(nanos)).to_string()[1..].parse().unwrap();
        prop_assert!((shown * 1e9 - nanos as f64).abs() <= nanos as f64 * 0.06);
    }
}
