//! Many at once over the same users' memories, where one thread may block: nobody waits for what another holds, and what is left halfway
//! leaves nothing half done.

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::join_all;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use syntra_core::chat::EventStream;
use syntra_core::memory::{MemoryPatch, MemoryType, NewMemory, RecallRequest};
use syntra_core::provider::Provider;
use syntra_core::{
    Ask, Error, ErrorKind, Event, FinishReason, Message, Request, Response, Result, Scope, Syntra, Timestamp,
};
use tokio::runtime::Runtime;
use tokio::task::yield_now;

/// Only ends what would never end: what is done takes seconds.
const BOUND: Duration = Duration::from_secs(120);

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap()
}

/// A provider that lets others run before every event. With `fails`, one call in eleven is refused and one in thirteen breaks off.
#[derive(Debug, Default)]
struct Slow {
    calls: AtomicUsize,
    fails: bool,
}

#[async_trait]
impl Provider for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        let mut stream = self.stream(request).await?;
        let mut answer = syntra_core::chat::ResponseBuilder::new();
        while let Some(event) = stream.next().await {
            answer.push(&event?);
        }
        Ok(answer.build())
    }

    async fn stream(&self, _: &Request) -> Result<EventStream> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let overloaded = || Error::new(ErrorKind::Overloaded, "no capacity");
        yield_now().await;
        if self.fails && call % 11 == 3 {
            return Err(overloaded());
        }
        let end = match self.fails && call % 13 == 5 {
            true => Err(overloaded()),
            false => Ok(Event::Finish { reason: FinishReason::Stop }),
        };
        let words = (0..8).map(|n| Ok(Event::Text { text: format!("word {n} ") }));
        let events: Vec<Result<Event>> = words.chain([end]).collect();
        let one_by_one = |event| async move {
            yield_now().await;
            event
        };
        Ok(futures::stream::iter(events).then(one_by_one).boxed())
    }
}

fn open(folder: &Path, fails: bool) -> Syntra {
    let provider = Slow { fails, ..Slow::default() };
    Syntra::builder().data_dir(folder).provider(provider).models("slow", ["m"]).build().unwrap()
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

/// One of what a caller may do, which may fail where another was quicker.
async fn anything(syntra: &Syntra, draw: &mut Draw) -> Result<()> {
    let (scope, n, thread) = (user(draw.below(2)), draw.below(300), format!("thread-{}", draw.below(5)));
    let id = format!("fact-{n}");
    match draw.below(12) {
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
        _ if n % 20 == 0 => drop(syntra.erase(&scope).await?),
        _ => drop(syntra.memory_stats(&scope).await?),
    }
    Ok(())
}

#[test]
fn whatever_is_done_at_once_and_left_halfway_the_indexes_are_what_the_rows_say() {
    for seed in 0..2 {
        let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
        // As two processes would have it open.
        let both = [open(folder.path(), true), open(folder.path(), true)];
        let callers: Vec<_> = (0..32)
            .map(|caller| {
                let (syntra, mut draw) = (both[caller as usize % 2].clone(), Draw(seed * 1_000 + caller));
                runtime.spawn(async move {
                    for _ in 0..20 {
                        let polls = if draw.below(4) == 0 { 1 + draw.below(12) } else { usize::MAX };
                        for_some_polls(anything(&syntra, &mut draw), polls).await;
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
        });
        assert!(found > 0, "seed {seed}: nothing was remembered");
        runtime.shutdown_background();
    }
}
