//! The classic formula against values computed by hand, and what holds for every ranker.

use super::*;
use crate::query::{QueryAnalysis, QueryIntent};
use crate::search::{Candidate, HybridRanker, RankQuery, Ranked, Signal, Signals, Strategies};
use jiff::Timestamp;
use proptest::prelude::*;

fn candidate(id: &str, signals: &[(Signal, f32)]) -> Candidate {
    let mut all = Signals::new();
    signals.iter().for_each(|(signal, value)| all.set(*signal, *value));
    Candidate { id: id.into(), found_by: Strategies::new(), signals: all }
}

fn rank(ranker: &dyn HybridRanker, analysis: &QueryAnalysis, candidates: Vec<Candidate>) -> Vec<Ranked> {
    rank_some(ranker, analysis, candidates, usize::MAX)
}

fn rank_some(
    ranker: &dyn HybridRanker,
    analysis: &QueryAnalysis,
    candidates: Vec<Candidate>,
    limit: usize,
) -> Vec<Ranked> {
    let now = Timestamp::UNIX_EPOCH;
    ranker.rank(&RankQuery { text: "a question", analysis, intent: analysis.intent, now, limit }, candidates)
}

fn score(ranker: ClassicRanker, analysis: &QueryAnalysis, signals: &[(Signal, f32)]) -> f32 {
    rank(&ranker, analysis, vec![candidate("a", signals)])[0].score
}

#[test]
fn classic_is_the_documented_formula() {
    let analysis = QueryAnalysis::default();
    // .35 tanh(1) + .25 * .8 + .2 * .9 + .15 / 2 + .05 * ln 11 / ln 1001, by hand.
    let all = [
        (Signal::ClassicKeyword, 5.0),
        (Signal::Vector, 0.6),
        (Signal::Reliability, 0.9),
        (Signal::AgeDays, 30.0),
        (Signal::AccessCount, 10.0),
    ];
    let by_hand = 0.35 * 0.761_594_2 + 0.2 + 0.18 + 0.075 + 0.05 * 2.397_895_3 / 6.908_755;
    assert!((score(ClassicRanker::fixed(), &analysis, &all) - by_hand).abs() < 1e-6);
    // Nothing known: the two halves that the formula states, .2 * .5 + .15 * .5.
    assert!((score(ClassicRanker::fixed(), &analysis, &[]) - 0.175).abs() < 1e-6);
    // A thousand uses and a fresh, fully trusted, exact match reach the top: .35 + .25 + .2 + .15 + .05.
    let best = [
        (Signal::Keyword, 100.0),
        (Signal::Vector, 1.0),
        (Signal::Reliability, 1.0),
        (Signal::AgeDays, 0.0),
        (Signal::AccessCount, 1000.0),
    ];
    assert!((score(ClassicRanker::fixed(), &analysis, &best) - 1.0).abs() < 1e-5);
}

#[test]
fn classic_adapts_to_the_kind_of_query() {
    let signals = [(Signal::Vector, 1.0), (Signal::Reliability, 0.0), (Signal::AgeDays, 0.0)];
    for (intent, by_hand) in [
        (QueryIntent::Recall, 0.15 + 0.25),
        (QueryIntent::Question, 0.35 + 0.10),
        (QueryIntent::Conversation, 0.25 + 0.20),
        (QueryIntent::Command, 0.25 + 0.15),
    ] {
        let analysis = QueryAnalysis { intent, ..QueryAnalysis::default() };
        assert!((score(ClassicRanker::adaptive(), &analysis, &signals) - by_hand).abs() < 1e-6, "{intent:?}");
        assert!(
            (ClassicWeights::adaptive(intent).keyword
                + ClassicWeights::adaptive(intent).vector
                + ClassicWeights::adaptive(intent).reliability
                + ClassicWeights::adaptive(intent).recency
                + ClassicWeights::adaptive(intent).frequency
                - 1.0)
                .abs()
                < 1e-6
        );
    }
}

#[test]
fn classic_bonus_is_capped() {
    let keywords = (0..4).map(|i| format!("word{i}")).collect();
    let analysis = QueryAnalysis { keywords, entities: vec!["Ada".into(), "Bob".into()], ..QueryAnalysis::default() };
    let plain = score(ClassicRanker::adaptive(), &analysis, &[]);
    let some = score(ClassicRanker::adaptive(), &analysis, &[(Signal::Topic, 0.25), (Signal::Entity, 0.5)]);
    assert!((some - plain - 0.15).abs() < 1e-6);
    let many = score(ClassicRanker::adaptive(), &analysis, &[(Signal::Topic, 1.0), (Signal::Entity, 1.0)]);
    assert!((many - plain - 0.3).abs() < 1e-6);
    assert!((score(ClassicRanker::fixed(), &analysis, &[(Signal::Topic, 1.0)]) - 0.175).abs() < 1e-6);
}

#[test]
fn default_leaves_out_what_is_absent() {
    let analysis = QueryAnalysis::default();
    // One has no vector: its keyword score alone is its relevance, not .4 of it.
    let all = rank(
        &DefaultRanker::default(),
        &analysis,
        vec![
            candidate("a", &[(Signal::Keyword, 4.0)]),
            candidate("b", &[(Signal::Keyword, 4.0), (Signal::Vector, 0.1)]),
            candidate("c", &[(Signal::Keyword, 0.0), (Signal::Vector, 0.9)]),
        ],
    );
    assert_eq!(&*all[0].candidate.id, "a");
    assert!((all[0].score - 1.0).abs() < 1e-6);
    assert_eq!(all[0].parts, [(Signal::Keyword, 1.0)]);
}

#[test]
fn weights_are_those_of_what_is_searched() {
    // By words for code, by vectors for what is said, by words again for a question about documents.
    let mut weights = DefaultWeights::default();
    for (of, keyword) in [
        (&mut weights.people, 0.0),
        (&mut weights.assistant, 0.0),
        (&mut weights.statements, 0.0),
        (&mut weights.documents, 1.0),
        (&mut weights.code, 1.0),
    ] {
        *of.get_mut("keyword").unwrap() = keyword;
        *of.get_mut("vector").unwrap() = 1.0 - keyword;
    }
    assert!(weights.people.get_mut("no such weight").is_none());
    assert!(SignalWeights::NAMES.iter().all(|name| weights.people.get_mut(name).is_some()));
    let first = |also: &[(Signal, f32)], intent| {
        let of = |id, keyword, vector| {
            candidate(id, &[&[(Signal::Keyword, keyword), (Signal::Vector, vector)], also].concat())
        };
        let analysis = QueryAnalysis { intent, ..QueryAnalysis::default() };
        let all = rank(
            &DefaultRanker::with_weights(weights),
            &analysis,
            vec![of("words", 4.0, 0.1), of("vectors", 1.0, 0.9)],
        );
        all[0].candidate.id.to_string()
    };
    let (question, statement) = (QueryIntent::Question, QueryIntent::Conversation);
    assert_eq!(first(&[(Signal::Code, 1.0)], statement), "words");
    assert_eq!(first(&[(Signal::Episodic, 1.0)], question), "vectors");
    assert_eq!(first(&[(Signal::UserSaid, 1.0), (Signal::Code, 1.0)], question), "vectors");
    assert_eq!(first(&[(Signal::Episodic, 1.0), (Signal::WindowKeyword, 1.0)], question), "vectors");
    assert_eq!(first(&[(Signal::Episodic, 0.0)], question), "words");
    assert_eq!(first(&[(Signal::Episodic, 0.0)], statement), "vectors");
}

#[test]
fn default_counts_recency_only_when_asked_about_now() {
    let two = || vec![candidate("a", &[(Signal::AgeDays, 400.0)]), candidate("b", &[(Signal::AgeDays, 1.0)])];
    let mut analysis = QueryAnalysis::default();
    let order = |all: Vec<Ranked>| all.into_iter().map(|r| r.candidate.id.to_string()).collect::<Vec<_>>();
    assert_eq!(order(rank(&DefaultRanker::default(), &analysis, two())), ["a", "b"]);
    analysis.about_now = true;
    assert_eq!(order(rank(&DefaultRanker::default(), &analysis, two())), ["b", "a"]);
}

const SIGNALS: [Signal; 16] = [
    Signal::Asked,
    Signal::Earlier,
    Signal::Keyword,
    Signal::Vector,
    Signal::Graph,
    Signal::Reliability,
    Signal::AgeDays,
    Signal::AccessCount,
    Signal::WindowKeyword,
    Signal::WindowVector,
    Signal::Conversation,
    Signal::Time,
    Signal::Speaker,
    Signal::Exact,
    Signal::IsQuestion,
    Signal::Length,
];

fn candidates() -> impl proptest::strategy::Strategy<Value = Vec<Candidate>> {
    let signals = proptest::collection::vec((0..SIGNALS.len(), 0.0f32..1.0), 0..10);
    proptest::collection::vec(signals, 0..12).prop_map(|all| {
        let with_id = |(i, signals): (usize, Vec<(usize, f32)>)| {
            let signals: Vec<(Signal, f32)> = signals.iter().map(|(s, v)| (SIGNALS[*s], *v)).collect();
            candidate(&format!("id{i}"), &signals)
        };
        all.into_iter().enumerate().map(with_id).collect()
    })
}

fn rankers() -> [Box<dyn HybridRanker>; 3] {
    [Box::new(DefaultRanker::default()), Box::new(ClassicRanker::fixed()), Box::new(ClassicRanker::adaptive())]
}

proptest! {
    #[test]
    fn every_ranker_is_sound(candidates in candidates(), about_now: bool, seed in 0usize..100) {
        let analysis = QueryAnalysis { about_now, ..QueryAnalysis::default() };
        for ranker in rankers() {
            let all = rank(&*ranker, &analysis, candidates.clone());
            prop_assert_eq!(all.len(), candidates.len());
            for r in &all {
                prop_assert!(r.score.is_finite());
                prop_assert!((r.parts.iter().map(|(_, p)| p).sum::<f32>() - r.score).abs() < 1e-5);
                let mut names: Vec<Signal> = r.parts.iter().map(|(s, _)| *s).collect();
                names.sort();
                names.dedup();
                prop_assert_eq!(names.len(), r.parts.len());
            }
            for pair in all.windows(2) {
                let (a, b) = (&pair[0], &pair[1]);
                prop_assert!(a.score > b.score || (a.score == b.score && a.candidate.id < b.candidate.id));
            }
            let mut shuffled = candidates.clone();
            if !shuffled.is_empty() {
                let by = seed % shuffled.len();
                shuffled.rotate_left(by);
                shuffled.reverse();
            }
            prop_assert_eq!(&rank(&*ranker, &analysis, shuffled), &all);
            // Wanting fewer gives the first of them all.
            let few = seed % 7;
            let first = rank_some(&*ranker, &analysis, candidates.clone(), few);
            prop_assert_eq!(&first[..], &all[..few.min(all.len())]);
        }
    }

    /// More of a good signal never makes a candidate worse, nor lowers its place.
    #[test]
    fn every_ranker_is_monotone(candidates in candidates(), which in 0usize..12, signal in 0usize..14, more in 0.0f32..2.0) {
        let signal = SIGNALS[signal];
        let better = |c: &Candidate| match (signal, c.signals.get(signal)) {
            (_, None) => None,
            (Signal::AgeDays, Some(age)) => {
                let mut signals = Signals::new();
                c.signals.iter().filter(|(s, _)| *s != signal).for_each(|(s, v)| signals.set(s, v));
                signals.set(signal, age * 0.5);
                Some(Candidate { signals, ..c.clone() })
            }
            (_, Some(value)) => {
                let mut c = c.clone();
                c.signals.set(signal, value + more);
                Some(c)
            }
        };
        let Some(raised) = candidates.get(which).and_then(better) else { return Ok(()) };
        let place = |all: &[Ranked]| all.iter().position(|r| r.candidate.id == raised.id).unwrap();
        for ranker in rankers() {
            let analysis = QueryAnalysis::default();
            let before = place(&rank(&*ranker, &analysis, candidates.clone()));
            let mut changed = candidates.clone();
            changed[which] = raised.clone();
            let after = place(&rank(&*ranker, &analysis, changed));
            prop_assert!(after <= before, "{} {:?} {} {}", ranker.name(), signal, before, after);
        }
    }
}
