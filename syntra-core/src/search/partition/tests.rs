//! A partition, after any series of writes, equals one that was built from what is left.

use super::Partition;
use crate::chat::Role;
use crate::memory::MemoryType;
use crate::query::QueryAnalysis;
use crate::search::{Bm25Params, Candidate, Filter, IndexDocument, SearchQuery, Signal, Strategy, TextAnalyzer, idf};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use std::collections::BTreeMap;

const WORDS: &[&str] = &["red", "green", "blue", "Ada", "Bob", "house", "garden", "river", "2023", "readFile"];

fn doc<'a>(id: &'a str, text: &'a str) -> IndexDocument<'a> {
    IndexDocument {
        id,
        kind: MemoryType::Episodic,
        text,
        title: None,
        speaker: None,
        role: None,
        conversation: None,
        said_at: None,
        created_at: Timestamp::UNIX_EPOCH,
        reliability: None,
        access_count: 0,
        vector: None,
    }
}

fn ask<T>(text: &str, vector: Option<&[f32]>, filter: &Filter, f: impl FnOnce(&SearchQuery<'_>) -> T) -> T {
    let analysis = QueryAnalysis::default();
    f(&SearchQuery { text, analysis: &analysis, vector, filter, now: Timestamp::UNIX_EPOCH, limit: 100, topics: false })
}

#[derive(Clone, Debug)]
enum Write {
    Upsert { id: u8, words: Vec<usize>, conversation: Option<u8>, vector: Option<[f32; 2]> },
    Remove(u8),
}

fn writes() -> impl proptest::strategy::Strategy<Value = Vec<Write>> {
    let words = proptest::collection::vec(0..WORDS.len(), 0..8);
    let vector = proptest::option::of((0.1f32..1.0, -1.0f32..1.0).prop_map(|(x, y)| [x, y]));
    let upsert = (0u8..12, words, proptest::option::of(0u8..3), vector)
        .prop_map(|(id, words, conversation, vector)| Write::Upsert { id, words, conversation, vector });
    proptest::collection::vec(prop_oneof![3 => upsert, 1 => (0u8..12).prop_map(Write::Remove)], 1..60)
}

/// BM25 as the books have it, over whole texts.
fn naive_bm25(texts: &BTreeMap<String, String>, query: &str) -> BTreeMap<String, f32> {
    let analyzer = TextAnalyzer::default();
    let documents: BTreeMap<&String, Vec<String>> = texts.iter().map(|(id, t)| (id, analyzer.terms(t))).collect();
    let average = documents.values().map(Vec::len).sum::<usize>() as f32 / documents.len().max(1) as f32;
    let mut scores = BTreeMap::new();
    for term in analyzer.query_terms(query) {
        let df = documents.values().filter(|d| d.contains(&term)).count();
        for (id, words) in &documents {
            let tf = words.iter().filter(|w| **w == term).count() as f32;
            if tf > 0.0 {
                let part = Bm25Params::default().saturate(tf, words.len() as f32, average);
                *scores.entry((*id).clone()).or_insert(0.0) += idf(documents.len(), df) * part;
            }
        }
    }
    scores
}

proptest! {
    #[test]
    fn any_series_of_writes_is_exact(writes in writes(), asked in proptest::collection::vec(0..WORDS.len(), 1..4)) {
        let mut partition = Partition::new(2);
        let mut left: BTreeMap<String, String> = BTreeMap::new();
        let mut details: Vec<(String, Option<String>, Option<[f32; 2]>)> = Vec::new();
        for write in &writes {
            match write {
                Write::Upsert { id, words, conversation, vector } => {
                    let text = words.iter().map(|w| WORDS[*w]).collect::<Vec<_>>().join(" ");
                    let (id, conversation) = (id.to_string(), conversation.map(|c| c.to_string()));
                    partition.upsert(&IndexDocument {
                        conversation: conversation.as_deref(),
                        vector: vector.as_ref().map(|v| &v[..]),
                        ..doc(&id, &text)
                    })?;
                    left.insert(id.clone(), text);
                    // A document that changes its conversation goes to its end; one that stays keeps its place.
                    let detail = (id.clone(), conversation, *vector);
                    match details.iter().position(|(i, c, _)| *i == id && *c == detail.1) {
                        Some(at) => details[at] = detail,
                        None => {
                            details.retain(|(i, ..)| *i != id);
                            details.push(detail);
                        }
                    }
                }
                Write::Remove(id) => {
                    let id = id.to_string();
                    prop_assert_eq!(partition.remove(&id), left.remove(&id).is_some());
                    details.retain(|(i, ..)| *i != id);
                }
            }
        }
        prop_assert_eq!(partition.len(), left.len());

        let query = asked.iter().map(|w| WORDS[*w]).collect::<Vec<_>>().join(" ");
        let filter = Filter::default();
        let found = ask(&query, None, &filter, |q| partition.search(Strategy::Keyword, q))?;
        let expected = naive_bm25(&left, &query);
        prop_assert_eq!(found.len(), expected.len());
        for candidate in &found {
            let score = candidate.signals.get(Signal::Keyword).unwrap();
            prop_assert!((score - expected[&*candidate.id]).abs() < 1e-4, "{} {} {:?}", candidate.id, score, expected);
        }

        let mut fresh = Partition::new(2);
        for (id, conversation, vector) in &details {
            fresh.upsert(&IndexDocument {
                conversation: conversation.as_deref(),
                vector: vector.as_ref().map(|v| &v[..]),
                ..doc(id, &left[id])
            })?;
        }
        let ids: Vec<String> = left.keys().cloned().collect();
        let (a, b) = ask(&query, Some(&[0.6, 0.8]), &filter, |q| (partition.signals(&ids, q), fresh.signals(&ids, q)));
        prop_assert_eq!(a.len(), ids.len());
        for (a, b) in a.iter().zip(&b) {
            prop_assert_eq!(&a.id, &b.id);
            // Which of equally good documents is a seed of the graph depends on the order of writing.
            let of = |c: &Candidate| c.signals.iter().filter(|(s, _)| *s != Signal::Graph).collect::<BTreeMap<_, _>>();
            let (left, right) = (of(a), of(b));
            prop_assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
            for (signal, value) in left {
                prop_assert!((value - right[&signal]).abs() < 1e-3, "{:?} {} {}", signal, value, right[&signal]);
            }
        }

        // What is known of entities is the same, and is so of those documents alone.
        let (known, anew) = ask(&query, None, &filter, |q| (partition.entities(q), fresh.entities(q)));
        prop_assert_eq!(&known, &anew);
        for fact in &known {
            let naming = |text: &&String| text.to_lowercase().contains(&fact.name);
            prop_assert!(fact.memories >= 1 && left.values().filter(naming).count() as u64 >= fact.memories);
            prop_assert_eq!(fact.kinds.values().sum::<u64>(), fact.memories);
            prop_assert!(!fact.sources.is_empty() && fact.sources.len() as u64 <= fact.memories);
            for source in &fact.sources {
                prop_assert!(left[source].to_lowercase().contains(&fact.name), "{source} does not name {}", fact.name);
            }
            prop_assert!(!fact.related.contains(&fact.name));
        }

        // What is gathered at once is what is found one strategy after the other, with the signals of all.
        let runs = Strategy::ALL.map(|strategy| (strategy, 5));
        ask(&query, Some(&[0.6, 0.8]), &filter, |q| {
            let (reports, gathered) = partition.gather(&runs, q, 8, &|| std::time::Duration::ZERO);
            prop_assert!(gathered.len() <= 8);
            let mut together = std::collections::BTreeSet::new();
            for ((strategy, limit), report) in runs.into_iter().zip(&reports) {
                let alone = partition.search(strategy, &SearchQuery { limit, ..q.clone() })?;
                prop_assert_eq!(report.found.as_ref().ok(), Some(&alone.len()));
                for candidate in &gathered {
                    let found = alone.iter().any(|c| c.id == candidate.id);
                    prop_assert_eq!(found, candidate.found_by.contains(strategy), "{:?}", strategy);
                }
                together.extend(alone.into_iter().map(|c| c.id));
            }
            prop_assert_eq!(gathered.len(), together.len().min(8));
            let ids: Vec<String> = gathered.iter().map(|c| c.id.to_string()).collect();
            let signals: Vec<_> = gathered.into_iter().map(|c| c.signals).collect();
            prop_assert_eq!(partition.signals(&ids, q).into_iter().map(|c| c.signals).collect::<Vec<_>>(), signals);
            Ok(())
        })?;
    }
}

#[test]
fn entities_are_known_by_what_names_them() {
    let at = |day: i64| Some(Timestamp::from_second(day * 86_400).unwrap());
    let mut partition = Partition::new(2);
    let said = [
        ("a", "We met Ada Lovelace in Lisbon.", 1),
        ("b", "I asked Ada about Lisbon and the boat.", 3),
        ("c", "Then Ada Lovelace wrote to Ada from Oslo.", 9),
        ("d", "Nobody was there.", 4),
    ];
    for (id, text, day) in said {
        partition.upsert(&IndexDocument { said_at: at(day), ..doc(id, text) }).unwrap();
    }
    let titled = IndexDocument { kind: MemoryType::Semantic, title: Some("Ada"), ..doc("e", "She likes boats.") };
    partition.upsert(&titled).unwrap();
    let known = ask("What does Ada do in Lisbon?", None, &Filter::default(), |q| partition.entities(q));
    let [ada, lisbon] = &known[..] else { panic!("{known:?}") };
    assert_eq!((ada.name.as_str(), ada.memories, &ada.aliases[..]), ("ada", 3, &["ada lovelace".to_owned()][..]));
    assert_eq!(ada.kinds, BTreeMap::from([("episodic".to_owned(), 2), ("semantic".to_owned(), 1)]));
    assert_eq!(ada.related, ["lisbon", "oslo"], "what is asked about too comes first");
    assert_eq!((ada.first_said_at, ada.last_said_at), (at(3), at(9)));
    assert_eq!(ada.sources[0], "e", "what has it as its title is about it the most");
    assert_eq!((lisbon.memories, &lisbon.related[..]), (2, &["ada".to_owned(), "ada lovelace".to_owned()][..]));
    // A filter narrows what is known, too.
    let before = Filter { to: at(5), ..Filter::default() };
    let known = ask("Ada", None, &before, |q| partition.entities(q));
    assert_eq!((known[0].memories, &known[0].sources[..]), (2, &["e".to_owned(), "b".to_owned()][..]));
    assert!(ask("Bob", None, &Filter::default(), |q| partition.entities(q)).is_empty());
}

#[test]
fn filters_apply_before_the_search() {
    let mut partition = Partition::new(2);
    for i in 0..200 {
        let id = format!("other{i}");
        partition.upsert(&IndexDocument { vector: Some(&[1.0, 0.0]), ..doc(&id, "garden garden") }).unwrap();
    }
    partition
        .upsert(&IndexDocument {
            kind: MemoryType::Profile,
            vector: Some(&[0.0, 1.0]),
            ..doc("one", "a garden far away")
        })
        .unwrap();
    let filter = Filter { kinds: vec![MemoryType::Profile], ..Filter::default() };
    for strategy in [Strategy::Keyword, Strategy::Vector, Strategy::Recent, Strategy::Profile] {
        let analysis = QueryAnalysis::default();
        let query = SearchQuery {
            text: "garden",
            analysis: &analysis,
            vector: Some(&[1.0, 0.0]),
            filter: &filter,
            now: Timestamp::UNIX_EPOCH,
            limit: 1,
            topics: false,
        };
        let found = partition.search(strategy, &query).unwrap();
        assert_eq!(found.iter().map(|c| &*c.id).collect::<Vec<_>>(), ["one"], "{strategy:?}");
    }
}

#[test]
fn neighbours_help_between_people_and_not_beside_an_assistant() {
    let texts = ["What did you paint?", "A sunrise.", "Lovely!"];
    for (role, expected) in [(None, true), (Some(Role::Assistant), false)] {
        let mut partition = Partition::new(2);
        for (i, text) in texts.iter().enumerate() {
            let id = i.to_string();
            partition.upsert(&IndexDocument { conversation: Some("c"), role, ..doc(&id, text) }).unwrap();
        }
        let found = ask("paint", None, &Filter::default(), |q| partition.signals(&["1".into()], q));
        let signals = &found[0].signals;
        assert_eq!(signals.get(Signal::Keyword), Some(0.0));
        assert_eq!(signals.get(Signal::WindowKeyword).is_some_and(|s| s > 0.0), expected);
        assert!(signals.get(Signal::Conversation).is_some_and(|s| s > 0.0));
    }
}

/// The signals of each of `documents` for `text`, asked on 1 July 2023.
fn signals_of(documents: &[IndexDocument<'_>], text: &str) -> Vec<crate::search::Signals> {
    let mut partition = Partition::new(2);
    documents.iter().for_each(|doc| partition.upsert(doc).unwrap());
    let ids: Vec<String> = documents.iter().map(|doc| doc.id.to_owned()).collect();
    let now = "2023-07-01T12:00:00Z".parse().unwrap();
    let analysis = crate::query::analyse(text, now, &jiff::tz::TimeZone::UTC);
    let filter = Filter::default();
    let query =
        SearchQuery { text, analysis: &analysis, vector: None, filter: &filter, now, limit: 100, topics: false };
    partition.signals(&ids, &query).into_iter().map(|candidate| candidate.signals).collect()
}

#[test]
fn a_time_asked_for_is_matched_with_when_it_was_said_and_what_it_speaks_of() {
    let at = |text: &str| Some(text.parse().unwrap());
    let all = signals_of(
        &[
            IndexDocument { said_at: at("2023-05-08T13:00:00Z"), ..doc("told after", "I ran a race yesterday.") },
            IndexDocument { said_at: at("2023-05-07T13:00:00Z"), ..doc("said then", "I am running.") },
            IndexDocument { said_at: at("2023-06-20T13:00:00Z"), ..doc("later", "I ran a race last year.") },
            IndexDocument { kind: MemoryType::Semantic, ..doc("written", "The race of 7 May 2023 was won by Ada.") },
        ],
        "Who ran a race on May 7, 2023?",
    );
    let of = |at: usize, signal| all[at].get(signal);
    assert_eq!(of(1, Signal::Time), Some(1.0));
    assert!(of(0, Signal::Time).is_some_and(|near| near > 0.5 && near < 1.0));
    assert!(of(2, Signal::Time).is_some_and(|near| near < 0.01));
    assert_eq!((of(0, Signal::Spoken), of(3, Signal::Spoken)), (Some(1.0), Some(1.0)));
    assert_eq!((of(1, Signal::Spoken), of(3, Signal::Time)), (None, None), "what is absent is absent");
    assert!(of(2, Signal::Spoken).is_some_and(|share| share < 0.01));
    // A question that asks for no time has neither.
    let none = signals_of(
        &[IndexDocument { said_at: at("2023-05-08T13:00:00Z"), ..doc("a", "I ran yesterday.") }],
        "Who ran?",
    );
    assert_eq!((none[0].get(Signal::Time), none[0].get(Signal::Spoken)), (None, None));
}

#[test]
fn phrases_titles_and_what_answers_are_told() {
    let all = signals_of(
        &[
            IndexDocument { title: Some("The support group"), ..doc("a", "I meet Ada there twice a week.") },
            doc("b", "a group I support"),
        ],
        "How many support groups does Ada know?",
    );
    let of = |at: usize, signal: Signal| all[at].get(signal);
    // `many support`, `support group`, `groups does`, `does Ada`, `Ada know`.
    assert_eq!((of(0, Signal::Phrase), of(1, Signal::Phrase)), (Some(0.2), Some(0.0)));
    assert_eq!((of(0, Signal::Title), of(1, Signal::Title)), (Some(1.0), None));
    assert_eq!((of(0, Signal::Answers), of(1, Signal::Answers)), (Some(1.0), Some(0.0)), "twice is a number");
    assert_eq!((of(0, Signal::FirstPerson), of(1, Signal::FirstPerson)), (Some(1.0), Some(1.0)));
    let who = signals_of(&[doc("a", "Then Ada went."), doc("b", "Then she went.")], "Who went?");
    assert_eq!((who[0].get(Signal::Answers), who[1].get(Signal::Answers)), (Some(1.0), Some(0.0)));
    assert_eq!(who[0].get(Signal::FirstPerson), Some(0.0));
}

#[test]
fn what_stands_beside_it_is_weighed_between_people() {
    let turn = |id: &'static str, text: &'static str| IndexDocument { conversation: Some("c"), ..doc(id, text) };
    let all = signals_of(&[turn("a", "The lake house?"), turn("b", "Yes."), turn("c", "So far away.")], "lake house");
    let beside: Vec<f32> = all.iter().map(|signals| signals.get(Signal::Beside).unwrap()).collect();
    assert!(beside[0] < 0.01 && (beside[1] - 0.5).abs() < 0.01 && beside[2] < 0.01, "{beside:?}");
}

#[test]
fn what_is_absent_is_absent() {
    let mut partition = Partition::new(2);
    partition.upsert(&doc("a", "red")).unwrap();
    let found = ask("red", Some(&[1.0, 0.0]), &Filter::default(), |q| partition.signals(&["a".into(), "b".into()], q));
    assert_eq!(found.len(), 1);
    for absent in [Signal::Vector, Signal::WindowVector, Signal::Conversation, Signal::Reliability, Signal::UserSaid] {
        assert_eq!(found[0].signals.get(absent), None, "{absent:?}");
    }
}

#[test]
fn a_wrong_vector_changes_nothing() {
    let mut partition = Partition::new(2);
    partition.upsert(&IndexDocument { vector: Some(&[1.0, 0.0]), ..doc("a", "red") }).unwrap();
    for wrong in [&[1.0][..], &[0.0, 0.0], &[f32::NAN, 1.0]] {
        assert!(partition.upsert(&IndexDocument { vector: Some(wrong), ..doc("a", "green") }).is_err());
    }
    let found = ask("red", None, &Filter::default(), |q| partition.search(Strategy::Keyword, q)).unwrap();
    assert_eq!(found.len(), 1);
}
