//! Tenants do not leak: whatever one scope calls, another with the same content is not changed, and cannot be noticed.

use proptest::prelude::*;
use standing::FixedClock;
use std::collections::BTreeSet;
use std::sync::Arc;
use syntra_core::memory::{
    MemoryPatch, MemorySource, MemoryStore, MemoryType, NewMemory, NewVector, Page, SqliteMemoryStore,
};
use syntra_core::query::QueryAnalysis;
use syntra_core::search::{Candidate, Filter, SearchQuery, Signal, Strategy as Finding};
use syntra_core::storage::Database;
use syntra_core::thread::{NewThreadMessage, SqliteThreadStore, ThreadStore, ThreadSummary};
use syntra_core::{Message, Scope, SystemClock, Timestamp};

mod standing {
    use std::time::Duration;
    use syntra_core::{Clock, Timestamp};

    /// A clock that stands still.
    #[derive(Debug)]
    pub(super) struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }
}

const WORDS: [&str; 6] = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"];

/// Every call of both stores. `every_call_of_the_traits_is_here` fails when a trait gets one that is missing.
#[derive(Clone, Debug)]
enum Call {
    Remember(Vec<(Option<usize>, usize)>),
    Recall(usize, usize),
    Signals(Vec<usize>, usize),
    Gather(usize),
    Get(Vec<usize>),
    Update(usize, usize),
    Supersede(usize, Option<usize>, usize),
    RememberFact(usize, Option<usize>, usize),
    Chunks(bool),
    Forget(Vec<usize>),
    Touch(Vec<usize>),
    List(Option<usize>),
    AsOf(i64),
    Replaced(Vec<usize>, i64),
    MissingVectors,
    SetVectors(usize, usize),
    Speakers,
    Stats,
    Erase,
    ThreadCreate(Option<usize>),
    ThreadRead(usize),
    ThreadList,
    ThreadDelete(usize),
    ThreadAppend(usize, Option<usize>, usize),
    ThreadHistory(usize),
    ThreadSummary(usize),
    ThreadSetSummary(usize, usize),
    ThreadAppendOrCreate(usize, usize),
    ThreadErase,
}

impl Call {
    /// The trait's method; a new kind of call does not compile without its name.
    fn method(&self) -> &'static str {
        match self {
            Call::Remember(_) => "memory.remember",
            Call::Recall(..) => "memory.recall",
            Call::Signals(..) => "memory.signals",
            Call::Gather(..) => "memory.gather",
            Call::Get(_) => "memory.get",
            Call::Update(..) => "memory.update",
            Call::Supersede(..) => "memory.supersede",
            Call::RememberFact(..) => "memory.remember_fact",
            Call::Chunks(_) => "memory.chunks",
            Call::Forget(_) => "memory.forget",
            Call::Touch(_) => "memory.touch",
            Call::List(_) => "memory.list",
            Call::AsOf(_) => "memory.as_of",
            Call::Replaced(..) => "memory.replaced",
            Call::MissingVectors => "memory.missing_vectors",
            Call::SetVectors(..) => "memory.set_vectors",
            Call::Speakers => "memory.speakers",
            Call::Stats => "memory.stats",
            Call::Erase => "memory.erase",
            Call::ThreadCreate(_) => "thread.create",
            Call::ThreadRead(_) => "thread.read",
            Call::ThreadList => "thread.list",
            Call::ThreadDelete(_) => "thread.delete",
            Call::ThreadAppend(..) => "thread.append",
            Call::ThreadAppendOrCreate(..) => "thread.append_or_create",
            Call::ThreadHistory(_) => "thread.history",
            Call::ThreadSummary(_) => "thread.summary",
            Call::ThreadSetSummary(..) => "thread.set_summary",
            Call::ThreadErase => "thread.erase",
        }
    }
}

fn call() -> BoxedStrategy<Call> {
    use proptest::collection::vec;
    use proptest::option::of;
    let (i, w) = (0..8usize, 0..WORDS.len());
    prop_oneof![
        vec((of(i.clone()), w.clone()), 0..4).prop_map(Call::Remember),
        (0..5usize, w.clone()).prop_map(|(s, w)| Call::Recall(s, w)),
        (vec(i.clone(), 0..4), w.clone()).prop_map(|(ids, w)| Call::Signals(ids, w)),
        w.clone().prop_map(Call::Gather),
        vec(i.clone(), 0..4).prop_map(Call::Get),
        (i.clone(), w.clone()).prop_map(|(i, w)| Call::Update(i, w)),
        (i.clone(), of(i.clone()), w.clone()).prop_map(|(old, new, w)| Call::Supersede(old, new, w)),
        (0..2usize, of(i.clone()), w.clone()).prop_map(|(of, id, w)| Call::RememberFact(of, id, w)),
        (0..2usize).prop_map(|all| Call::Chunks(all == 0)),
        vec(i.clone(), 0..3).prop_map(Call::Forget),
        vec(i.clone(), 0..3).prop_map(Call::Touch),
        of(0..4usize).prop_map(Call::List),
        (-1..3i64).prop_map(Call::AsOf),
        (vec(i.clone(), 0..4), -1..3i64).prop_map(|(ids, from)| Call::Replaced(ids, from)),
        Just(Call::MissingVectors),
        (i.clone(), w.clone()).prop_map(|(i, w)| Call::SetVectors(i, w)),
        Just(Call::Speakers),
        Just(Call::Stats),
        Just(Call::Erase),
        of(i.clone()).prop_map(Call::ThreadCreate),
        i.clone().prop_map(Call::ThreadRead),
        Just(Call::ThreadList),
        i.clone().prop_map(Call::ThreadDelete),
        (i.clone(), of(i.clone()), w).prop_map(|(t, id, w)| Call::ThreadAppend(t, id, w)),
        i.clone().prop_map(Call::ThreadHistory),
        i.clone().prop_map(Call::ThreadSummary),
        (i.clone(), 0..3usize).prop_map(|(t, n)| Call::ThreadSetSummary(t, n)),
        (i, 0..WORDS.len()).prop_map(|(t, w)| Call::ThreadAppendOrCreate(t, w)),
        Just(Call::ThreadErase),
    ]
    .boxed()
}

fn text(word: usize) -> String {
    format!("Ada said {} in Lisbon", WORDS[word])
}

fn vector(word: usize) -> Vec<f32> {
    (0..8).map(|i| if i == word { 1.0 } else { 0.1 }).collect()
}

fn item(id: Option<usize>, word: usize) -> NewMemory {
    let kind = MemoryType::ALL[word % 4];
    let mut item = NewMemory::new(kind, text(word)).with_speaker("Ada").with_conversation("talk");
    item.id = id.map(|id| format!("k{id}"));
    item.source = Some(MemorySource { document: "talk".into(), line_from: None, line_to: None });
    item.metadata.insert("folder".into(), "folder".into());
    item.vector = word.is_multiple_of(2).then(|| vector(word));
    item
}

fn ids(of: &[usize]) -> Vec<String> {
    of.iter().map(|id| format!("k{id}")).collect()
}

struct Stores {
    memories: SqliteMemoryStore,
    threads: SqliteThreadStore,
}

impl Stores {
    fn new() -> Self {
        let database = Database::in_memory().unwrap();
        let clock = Arc::new(FixedClock);
        let memories = SqliteMemoryStore::new(database.clone(), clock.clone()).with_model("test", 8).unwrap();
        Self { memories, threads: SqliteThreadStore::new(database, clock) }
    }

    /// The same content for every scope.
    async fn fill(&self, scope: &Scope) {
        let items = (0..WORDS.len()).map(|i| item(Some(i), i)).collect();
        self.memories.remember(scope, items).await.unwrap();
        for thread in 0..2 {
            self.threads.create(scope, Some(&format!("k{thread}")), Some("title")).await.unwrap();
            let said = vec![Message::user("hello").into(), Message::assistant("yes").into()];
            self.threads.append(scope, &format!("k{thread}"), said).await.unwrap();
        }
    }

    /// Does `call` and tells all that its caller can see, ids that were made up apart.
    async fn run(&self, scope: &Scope, call: &Call) -> String {
        let (memories, threads) = (&self.memories, &self.threads);
        let analysis = QueryAnalysis::default();
        let every = Filter::default();
        let page = Page::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let asked = |word: usize| (text(word), vector(word));
        macro_rules! query {
            ($asked:expr) => {
                &SearchQuery {
                    text: &$asked.0,
                    analysis: &analysis,
                    vector: Some(&$asked.1),
                    filter: &every,
                    now: at(100),
                    limit: 100,
                    topics: false,
                }
            };
        }
        let thread = |t: &usize| format!("k{t}");
        let seen = match call {
            Call::Remember(items) => {
                let items = items.iter().map(|(id, word)| item(*id, *word)).collect();
                format!("{:?}", memories.remember(scope, items).await)
            }
            Call::Recall(strategy, word) => {
                let asked = asked(*word);
                candidates(memories.recall(scope, Finding::ALL[*strategy], query!(asked)).await.unwrap())
            }
            Call::Signals(of, word) => {
                let asked = asked(*word);
                candidates(memories.signals(scope, &ids(of), query!(asked)).await.unwrap())
            }
            Call::Gather(word) => {
                let asked = asked(*word);
                let strategies = Finding::ALL.map(|strategy| (strategy, 100));
                let clock = SystemClock::new();
                let found = memories.gather(scope, &strategies, query!(asked), 100, &clock).await.unwrap();
                let reports: Vec<_> = found.reports.iter().map(|r| (r.strategy, r.found, r.error.is_some())).collect();
                format!("{reports:?} {:?} {}", found.entities, candidates(found.candidates))
            }
            Call::Get(of) => format!("{:?}", memories.get(scope, &ids(of)).await),
            Call::Update(id, word) => {
                let patch = MemoryPatch { text: Some(text(*word)), ..MemoryPatch::default() };
                format!("{:?}", memories.update(scope, &format!("k{id}"), patch).await)
            }
            Call::Supersede(old, new, word) => {
                format!("{:?}", memories.supersede(scope, &format!("k{old}"), item(*new, *word)).await)
            }
            Call::RememberFact(of, id, word) => {
                let mut fact = item(*id, *word);
                fact.kind = MemoryType::Profile;
                format!("{:?}", memories.remember_fact(scope, ["home", "name"][*of], fact).await)
            }
            Call::Chunks(all) => format!("{:?}", memories.chunks(scope, (!all).then_some("folder")).await),
            Call::Forget(of) => format!("{:?}", memories.forget(scope, &ids(of)).await),
            Call::Touch(of) => format!("{:?}", memories.touch(scope, &ids(of), at(50)).await),
            Call::List(kind) => {
                let mut filter = Filter::default();
                filter.kinds.extend(kind.map(|kind| MemoryType::ALL[kind]));
                format!("{:?}", memories.list(scope, &filter, page).await)
            }
            Call::AsOf(seconds) => format!("{:?}", memories.as_of(scope, at(*seconds), &every, page).await),
            Call::Replaced(of, from) => {
                format!("{:?}", memories.replaced(scope, &ids(of), at(*from), at(from + 2)).await)
            }
            Call::MissingVectors => format!("{:?}", memories.missing_vectors(scope, 100).await),
            Call::SetVectors(id, word) => {
                let new = NewVector { id: format!("k{id}"), text: text(*word), vector: vector(*word) };
                format!("{:?}", memories.set_vectors(scope, vec![new]).await)
            }
            Call::Speakers => format!("{:?}", memories.speakers(scope).await),
            Call::Stats => format!("{:?}", memories.stats(scope).await),
            Call::Erase => format!("{:?}", memories.erase(scope).await),
            Call::ThreadCreate(id) => {
                format!("{:?}", threads.create(scope, id.as_ref().map(thread).as_deref(), None).await)
            }
            Call::ThreadRead(id) => format!("{:?}", threads.read(scope, &thread(id)).await),
            Call::ThreadList => format!("{:?}", threads.list(scope, 0, 100).await),
            Call::ThreadDelete(id) => format!("{:?}", threads.delete(scope, &thread(id)).await),
            Call::ThreadAppend(id, message, word) => {
                let mut new = NewThreadMessage::from(Message::user(text(*word)));
                new.id = message.as_ref().map(thread);
                format!("{:?}", threads.append(scope, &thread(id), vec![new]).await)
            }
            Call::ThreadAppendOrCreate(id, word) => {
                let new = NewThreadMessage::from(Message::user(text(*word)));
                format!("{:?}", threads.append_or_create(scope, &thread(id), vec![new]).await)
            }
            Call::ThreadHistory(id) => format!("{:?}", threads.history(scope, &thread(id), 100, None).await),
            Call::ThreadSummary(id) => format!("{:?}", threads.summary(scope, &thread(id)).await),
            Call::ThreadSetSummary(id, n) => {
                let new = ThreadSummary { covered: *n as u64 + 1, text: Some(text(*n)) };
                format!("{:?}", threads.set_summary(scope, &thread(id), *n as u64, new).await)
            }
            Call::ThreadErase => format!("{:?}", threads.erase(scope).await),
        };
        without_made_up_ids(&seen)
    }

    /// All that can be read of a scope.
    async fn everything(&self, scope: &Scope) -> Vec<String> {
        let mut calls = vec![
            Call::Get((0..8).collect()),
            Call::List(None),
            Call::AsOf(0),
            Call::Replaced((0..8).collect(), 0),
            Call::MissingVectors,
            Call::Chunks(true),
            Call::Speakers,
            Call::Stats,
            Call::ThreadList,
        ];
        calls.extend((0..5).map(|strategy| Call::Recall(strategy, 0)));
        calls.push(Call::Signals((0..8).collect(), 0));
        calls.push(Call::Gather(0));
        calls.extend((0..8).flat_map(|id| [Call::ThreadRead(id), Call::ThreadHistory(id), Call::ThreadSummary(id)]));
        let mut seen = Vec::new();
        for call in calls {
            seen.push(self.run(scope, &call).await);
        }
        seen
    }
}

/// What a caller sees of candidates; scores rounded, for sums may be taken in any order.
fn candidates(of: Vec<Candidate>) -> String {
    let mut seen: Vec<String> = of
        .iter()
        .map(|c| {
            let signal = |s| c.signals.get(s).map(|v| (v * 100.0).round());
            let signals = [Signal::Keyword, Signal::Vector, Signal::AccessCount, Signal::Graph].map(signal);
            without_made_up_ids(&format!("{:?} {:?} {signals:?}", c.id, c.found_by))
        })
        .collect();
    seen.sort();
    format!("{seen:?}")
}

fn without_made_up_ids(seen: &str) -> String {
    let made_up = |part: &&str| part.len() == 36 && part.matches('-').count() == 4;
    seen.split('"').map(|part| if made_up(&part) { "made up" } else { part }).collect::<Vec<_>>().join("\"")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_scope_neither_changes_nor_sees_another(
        calls in prop::collection::vec(call(), 1..16),
        (org, user) in prop_oneof![Just(("acme", "bo")), Just(("umbrella", "ada")), Just(("acmea", "da"))],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mine, theirs) = (Scope::new("acme", "ada").unwrap(), Scope::new(org, user).unwrap());
            let (shared, alone) = (Stores::new(), Stores::new());
            shared.fill(&theirs).await;
            let before = shared.everything(&theirs).await;
            shared.fill(&mine).await;
            alone.fill(&mine).await;
            for call in &calls {
                let seen = shared.run(&mine, call).await;
                let expected = alone.run(&mine, call).await;
                prop_assert_eq!(seen, expected, "{} shows that another scope exists", call.method());
            }
            prop_assert_eq!(shared.everything(&mine).await, alone.everything(&mine).await);
            prop_assert_eq!(shared.everything(&theirs).await, before, "another scope was changed");
            Ok(())
        })?;
    }
}

/// The names of the methods in the traits' sources, to be the same as those of [`Call`].
#[test]
fn every_call_of_the_traits_is_here() {
    let methods = |of: &str, source: &str, name: &str| -> BTreeSet<String> {
        let body = source.split_once(&format!("pub trait {name}")).unwrap().1;
        let body = body.split_once("\n}\n").unwrap().0;
        body.split("async fn ").skip(1).map(|rest| format!("{of}.{}", rest.split_once('(').unwrap().0)).collect()
    };
    let mut expected = methods("memory", include_str!("../../syntra-core/src/memory/mod.rs"), "MemoryStore");
    expected.extend(methods("thread", include_str!("../../syntra-core/src/thread/mod.rs"), "ThreadStore"));
    assert!(expected.len() > 15, "the traits' sources look different: {expected:?}");
    // Every alternative of the strategy, by sampling it long enough.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = call();
    let sampled: BTreeSet<String> =
        (0..2_000).map(|_| strategy.new_tree(&mut runner).unwrap().current().method().to_owned()).collect();
    assert_eq!(sampled, expected);
}
