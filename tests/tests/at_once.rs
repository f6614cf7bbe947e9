//! Many at once over the same users' memories, threads and documents, where one thread may block: nobody waits for what another holds, and what is left
//! halfway leaves nothing half done.

use futures::StreamExt as _;
use futures::future::join_all;
use std::future::Future;
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};
use syntra_core::memory::{MemoryPatch, MemoryType, NewMemory, Page, RecallRequest};
use syntra_core::search::Filter;
use syntra_core::testing::{Script, ScriptedProvider};
use syntra_core::{Ask, Error, ErrorKind, Event, Message, Result, Role, Scope, Syntra, Timestamp};
use tokio::runtime::Runtime;

/// Only ends what would never end: what is done takes seconds.
const BOUND: Duration = Duration::from_secs(120);

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap()
}

/// With `fails`, one call of the model in eleven is refused and one in thirteen breaks off.
fn open(folder: &Path, fails: bool) -> Syntra {
    let answer = Script::text("some words of an answer");
    let script = |call: usize| match (call % 11, call % 13) {
        (3, _) => Script::error(ErrorKind::Overloaded),
        (_, 5) => {
            let begun = vec![Event::Text { text: "some words".to_owned() }];
            Script::FailsAfter(begun, Error::new(ErrorKind::Overloaded, "no capacity"))
        }
        _ => answer.clone(),
    };
    let provider = match fails {
        true => ScriptedProvider::new("scripted", (0..5_000).map(script)),
        false => ScriptedProvider::always("scripted", answer.clone()),
    };
    Syntra::builder().data_dir(folder).provider(provider).models("scripted", ["m"]).build().unwrap()
}

#[test]
fn two_hundred_turns_of_one_user_need_one_thread_that_may_block() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let (syntra, scope) = (open(folder.path(), false), Scope::local());
    let turns: Vec<_> = (0..200)
        .map(|n| {
            let (syntra, scope) = (syntra.clone(), scope.clone());
            runtime.spawn(async move { syntra.ask(&scope, format!("My ticket is number {n}.")).await.unwrap() })
        })
        .collect();
    let done = runtime.block_on(async { tokio::time::timeout(BOUND, join_all(turns)).await });
    if done.is_ok() {
        let known = runtime.block_on(syntra.recall(&scope, "Which ticket is number 117?")).unwrap();
        assert!(known.items[0].memory.text.contains("number 117"), "{:?}", known.items[0].memory.text);
    }
    // Without a wait for what would never end.
    runtime.shutdown_background();
    done.expect("they wait for each other").into_iter().for_each(|turn| assert!(!turn.unwrap().text.is_empty()));
}

#[test]
fn of_forty_homes_stated_at_once_one_holds() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let both = [open(folder.path(), false), open(folder.path(), false)];
    // However much else is known of the user.
    let likes = (0..1_001).map(|n| NewMemory::new(MemoryType::Profile, format!("The user says: I like boat {n}.")));
    runtime.block_on(both[0].remember(&user(0), likes.collect())).unwrap();
    let turns: Vec<_> = (0..40)
        .map(|n| {
            let syntra = both[n % 2].clone();
            runtime.spawn(async move { syntra.ask(&user(0), format!("I live in town number {n}.")).await.unwrap() })
        })
        .collect();
    let done = runtime.block_on(async { tokio::time::timeout(BOUND, join_all(turns)).await });
    done.expect("they wait for each other").into_iter().for_each(|turn| drop(turn.unwrap()));
    let homes = runtime.block_on(homes(&both[0], 0));
    assert_eq!(homes.len(), 1, "{homes:?}");
}

/// Where the user lives, by what holds.
async fn homes(syntra: &Syntra, number: usize) -> Vec<String> {
    let (mut profile, page) = (Filter::default(), Page { offset: 0, limit: 10_000 });
    profile.kinds.push(MemoryType::Profile);
    let facts = syntra.list_memories(&user(number), &profile, page).await.unwrap();
    let holds = facts.into_iter().filter(|memory| memory.valid_to.is_none()).map(|memory| memory.text);
    holds.filter(|text| text.contains("lives in")).collect()
}

/// Numbers that are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Polls at most so many times, then lets go of it, as one does who waits no longer.
async fn for_some_polls<F: Future>(future: F, mut left: usize) {
    let mut future = Box::pin(future);
    futures::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        future.as_mut().poll(context).map(drop)
    })
    .await;
}

fn user(number: usize) -> Scope {
    Scope::new("acme", format!("user-{number}")).unwrap()
}

fn numbered(n: usize) -> NewMemory {
    NewMemory::new(MemoryType::Semantic, format!("The fact that has number {n}")).with_id(format!("fact-{n}"))
}

/// One of what a caller may do with memories, which may fail where another was quicker.
async fn with_memories(syntra: &Syntra, draw: &mut Draw) -> Result<()> {
    let (scope, n, thread) = (user(draw.below(2)), draw.below(300), format!("thread-{}", draw.below(5)));
    let id = format!("fact-{n}");
    match draw.below(12) {
        0 if n % 2 == 0 => drop(syntra.ask(&scope, format!("I live in town number {n}.")).await?),
        0 => drop(syntra.ask(&scope, format!("My ticket is number {n}.")).await?),
        1 => drop(syntra.ask(&scope, Ask::new(format!("My boat is number {n}.")).with_thread(thread)).await?),
        2 => {
            let mut stream = syntra.stream(&scope, format!("My dog is number {n}."))?;
            for _ in 0..n % 12 {
                stream.next().await;
            }
        }
        3..=5 => drop(syntra.recall(&scope, format!("Which is number {n}?")).await?),
        6 => drop(syntra.remember(&scope, (n..n + n % 40).map(numbered).collect()).await?),
        7 => drop(syntra.forget(&scope, &[id]).await?),
        8 => {
            let patch = MemoryPatch { text: Some(format!("The fact that had number {n}")), ..MemoryPatch::default() };
            drop(syntra.update_memory(&scope, &id, patch).await?);
        }
        9 => drop(syntra.supersede(&scope, &id, NewMemory::new(MemoryType::Semantic, format!("Now {n}"))).await?),
        10 => drop(syntra.append(&scope, &thread, vec![Message::user("hi"), Message::assistant("ho")]).await?),
        _ if n % 4 == 0 => drop(syntra.erase(&scope).await?),
        _ => drop(syntra.memory_stats(&scope).await?),
    }
    Ok(())
}

/// One of what a caller may do with three threads.
async fn with_threads(syntra: &Syntra, draw: &mut Draw) -> Result<()> {
    let (scope, n, thread) = (user(0), draw.below(100), format!("thread-{}", draw.below(3)));
    let ask = Ask::new(format!("Question {n}: {}", "words and more words ".repeat(n))).with_thread(&thread);
    let ask = ask.with_recall(false).with_remember(false);
    match draw.below(8) {
        0..=3 => drop(syntra.ask(&scope, ask).await?),
        4 => {
            let mut stream = syntra.stream(&scope, ask)?;
            for _ in 0..n % 12 {
                stream.next().await;
            }
        }
        5 => drop(syntra.append(&scope, &thread, vec![Message::user("hi"), Message::assistant("ho")]).await?),
        6 if n % 10 == 0 => drop(syntra.delete_thread(&scope, &thread).await?),
        _ => drop(syntra.history(&scope, &thread, 50, None).await?),
    }
    Ok(())
}

/// One of what a caller may do with the documents in `folder`, of which another may be reading the same.
async fn with_documents(syntra: &Syntra, folder: &Path, draw: &mut Draw) -> Result<()> {
    let (scope, n) = (user(0), draw.below(100));
    let file = folder.join(format!("file-{}.md", draw.below(6)));
    match draw.below(10) {
        0..=2 => {
            let part =
                |part| format!("# Part {part} of {n}\n\nThe words of part {part} are {}.\n\n", "many ".repeat(n));
            std::fs::write(&file, (0..1 + n % 7).map(part).collect::<String>()).unwrap();
        }
        // It may be gone already.
        3 => drop(std::fs::remove_file(&file)),
        4 => drop(syntra.recall(&scope, format!("What are the words of part {n}?")).await?),
        5 if n % 4 == 0 => drop(syntra.remove_directory(&scope, folder).await?),
        6 => drop(syntra.document_stats(&scope).await?),
        _ => drop(syntra.index_directory(&scope, folder, &[], |_| ()).await?),
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum With {
    Memories,
    Threads,
    Documents,
}

/// Has 32 callers do twenty things each over two handles of the folder, as two processes would have it open; one in four is left.
fn all_at_once(runtime: Runtime, folder: &Path, seed: u64, with: With) -> (Runtime, [Syntra; 2]) {
    let both = [open(folder, true), open(folder, true)];
    let callers: Vec<_> = (0..32)
        .map(|caller| {
            let (syntra, mut draw) = (both[caller as usize % 2].clone(), Draw(seed * 1_000 + caller));
            let documents = folder.join("documents");
            runtime.spawn(async move {
                for _ in 0..20 {
                    let polls = if draw.below(4) == 0 { 1 + draw.below(12) } else { usize::MAX };
                    match with {
                        With::Memories => for_some_polls(with_memories(&syntra, &mut draw), polls).await,
                        With::Threads => for_some_polls(with_threads(&syntra, &mut draw), polls).await,
                        With::Documents => for_some_polls(with_documents(&syntra, &documents, &mut draw), polls).await,
                    }
                }
            })
        })
        .collect();
    let done = runtime.block_on(async { tokio::time::timeout(BOUND, join_all(callers)).await });
    let Ok(done) = done else {
        runtime.shutdown_background();
        panic!("they wait for each other")
    };
    done.into_iter().for_each(|caller| caller.unwrap());
    (runtime, both)
}

#[test]
fn whatever_is_done_at_once_and_left_halfway_the_indexes_are_what_the_rows_say() {
    for seed in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let (runtime, both) = all_at_once(runtime(), folder.path(), seed, With::Memories);

        let (other, mut found) = (open(folder.path(), false), 0);
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let scores = async |from: &Syntra, number: usize, n: usize| {
            let request = RecallRequest::new(format!("Which is number {n}?")).with_now(now);
            let items = from.recall(&user(number), request).await.unwrap().items;
            items.iter().map(|item| item.score).collect::<Vec<f32>>()
        };
        runtime.block_on(async {
            let begun = Instant::now();
            for (number, n) in (0..2).flat_map(|number| (0..300).step_by(5).map(move |n| (number, n))) {
                loop {
                    let (kept, anew) = (scores(&both[n % 2], number, n).await, scores(&other, number, n).await);
                    // Sums that were kept up differ in their last bits from those that are made anew.
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 0.01;
                    if kept.len() == anew.len() && kept.iter().zip(&anew).all(near) {
                        found += kept.len();
                        break;
                    }
                    // What nobody waited for may still be written, between the one and the other.
                    let late = begun.elapsed() > BOUND;
                    assert!(!late, "seed {seed}: user {number}, number {n}: {kept:?}, anew {anew:?}");
                }
            }
            for number in 0..2 {
                let homes = homes(&other, number).await;
                assert!(homes.len() <= 1, "seed {seed}: user {number} lives in {homes:?}");
            }
        });
        assert!(found > 0, "seed {seed}: nothing was remembered");
        runtime.shutdown_background();
    }
}

#[test]
fn whatever_is_done_at_once_and_left_halfway_a_thread_is_questions_and_their_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, both) = all_at_once(runtime(), folder.path(), 0, With::Threads);
    let mut found = 0;
    for n in 0..3 {
        let history = runtime.block_on(both[n % 2].history(&user(0), &format!("thread-{n}"), 1_000, None));
        // It may have been deleted last.
        let history = history.unwrap_or_default();
        let places: Vec<u64> = history.iter().map(|message| message.place).collect();
        assert_eq!(places, (0..history.len() as u64).collect::<Vec<_>>(), "thread {n}");
        for (at, message) in history.iter().enumerate() {
            let role = if at % 2 == 0 { Role::User } else { Role::Assistant };
            assert_eq!(message.message.role, role, "thread {n}, message {at}");
        }
        found += history.len();
    }
    assert!(found > 0, "nothing was said");
    runtime.shutdown_background();
}

#[test]
fn whatever_is_indexed_at_once_and_left_halfway_the_next_index_is_what_the_files_say() {
    let folder = tempfile::tempdir().unwrap();
    let documents = folder.path().join("documents");
    std::fs::create_dir(&documents).unwrap();
    let (runtime, [one, _]) = all_at_once(runtime(), folder.path(), 0, With::Documents);
    let fresh = tempfile::tempdir().unwrap();
    let texts = async |from: &Syntra| {
        let page = Page { offset: 0, limit: 1_000 };
        let all = from.list_memories(&user(0), &Filter::default(), page).await.unwrap();
        let mut texts: Vec<(String, String)> = all.into_iter().map(|m| (m.id, m.text)).collect();
        texts.sort_unstable();
        texts
    };
    let (kept, anew) = runtime.block_on(async {
        let other = open(fresh.path(), false);
        other.index_directory(&user(0), &documents, &[], |_| ()).await.unwrap();
        let anew = texts(&other).await;
        let begun = Instant::now();
        loop {
            one.index_directory(&user(0), &documents, &[], |_| ()).await.unwrap();
            let kept = texts(&one).await;
            // What nobody waited for may still be written.
            if kept == anew || begun.elapsed() > BOUND {
                return (kept, anew);
            }
        }
    });
    assert_eq!(kept, anew);
    assert!(!anew.is_empty(), "nothing was indexed");
    runtime.shutdown_background();
}
