//! Answers that were given before, seen from outside.

use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use syntra_core::exec::{ResponseCacheOptions, SemanticCacheOptions};
use syntra_core::testing::{FakeClock, Script, ScriptedProvider};
use syntra_core::{Ask, Event, Scope, Syntra, SyntraBuilder};

fn user(name: &str) -> Scope {
    Scope::new("acme", name).unwrap()
}

/// A question that stands for itself: nothing recalled, nothing remembered.
fn alone(question: &str) -> Ask {
    Ask::new(question).with_recall(false).with_remember(false)
}

fn set_up(provider: &ScriptedProvider, with: impl FnOnce(SyntraBuilder) -> SyntraBuilder) -> (Arc<FakeClock>, Syntra) {
    let clock = Arc::new(FakeClock::default());
    let builder = Syntra::builder().in_memory().clock(clock.clone()).provider(provider.clone()).models("p", ["m"]);
    (clock, with(builder).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_hit_is_marked_free_and_no_call() {
    let provider = ScriptedProvider::always("p", Script::text("Four, of course."));
    let (clock, syntra) = set_up(&provider, |b| b.response_cache(ResponseCacheOptions::default()));
    let first = syntra.ask(&user("ada"), alone("What is two and two?")).await.unwrap();
    assert!(!first.turn.cached);
    let again = syntra.ask(&user("bob"), alone("What is two and two?")).await.unwrap();
    assert!(again.turn.cached && again.trace.attempts[0].cached);
    assert_eq!((again.text.as_str(), again.turn.usage.total_tokens()), ("Four, of course.", Some(0)));
    assert_eq!(again.turn.cost.map(|c| c.nanos()), Some(0));
    assert!(again.trace.explain().contains("to the same request"));
    let events: Vec<Event> = syntra.stream(&user("ada"), alone("What is two and two?")).unwrap().collect().await;
    assert!(matches!(events.last(), Some(Event::Done(done)) if done.cached));
    assert!(!syntra.ask(&user("ada"), alone("What is two and two?").with_cache(false)).await.unwrap().turn.cached);
    assert_eq!(provider.calls(), 2);
    clock.advance(Duration::from_secs(300));
    assert!(!syntra.ask(&user("ada"), alone("What is two and two?")).await.unwrap().turn.cached);
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_nothing_is_given_again() {
    let provider = ScriptedProvider::always("p", Script::text("Yes."));
    let (_, syntra) = set_up(&provider, |b| b);
    for _ in 0..2 {
        assert!(!syntra.ask(&user("ada"), alone("Is it?")).await.unwrap().turn.cached);
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_erased_users_answers_are_gone() {
    let provider = ScriptedProvider::always("p", Script::text("Yes."));
    let (_, syntra) = set_up(&provider, |b| {
        b.response_cache(ResponseCacheOptions::default()).semantic_cache(SemanticCacheOptions::default())
    });
    syntra.ask(&user("ada"), alone("Is Ada's secret safe?")).await.unwrap();
    syntra.ask(&user("bob"), alone("Is the shop open?")).await.unwrap();
    syntra.erase(&user("ada")).await.unwrap();
    assert!(!syntra.ask(&user("ada"), alone("Is Ada's secret safe?")).await.unwrap().turn.cached);
    assert!(syntra.ask(&user("bob"), alone("Is the shop open?")).await.unwrap().turn.cached);
}

#[tokio::test(start_paused = true)]
async fn fifty_at_once_are_one_call_and_fill_the_cache_once() {
    let provider = ScriptedProvider::always("p", Script::text("One answer for all."));
    let (_, syntra) = set_up(&provider, |b| b.response_cache(ResponseCacheOptions::default()));
    let ada = user("ada");
    let answers = futures::future::join_all((0..50).map(|_| syntra.ask(&ada, alone("What is it?")))).await;
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|a| a.text == "One answer for all.")));
    assert_eq!(provider.calls(), 1);
    assert!(syntra.ask(&ada, alone("What is it?")).await.unwrap().turn.cached);
    assert_eq!(provider.calls(), 1);
}

/// With the embedder in the package and the default threshold: what is near enough, and what only looks so.
#[tokio::test(start_paused = true)]
async fn the_default_threshold_tells_the_same_from_the_alike() {
    let same = [
        ("How do I reset my password?", "how do I reset my password"),
        ("Which documents do I need to open an account?", "which documents do I need to open an account"),
        ("Do you ship to Portugal?", "do you ship to Portugal"),
    ];
    let alike = [
        // The same in meaning, at 0.944: the default is on the careful side.
        ("What are your opening hours?", "What are the opening hours?"),
        ("How do I enable notifications?", "How do I disable notifications?"),
        ("What does the basic plan cost?", "What does the premium plan cost?"),
        ("How do I open an account?", "How do I close an account?"),
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("Can I pay by card?", "Can I not pay by card?"),
        ("What is 12 times 3?", "What is 12 times 4?"),
        ("Is it safe for cats?", "Is it safe for dogs?"),
        ("What did we decide yesterday?", "What did we decide yesterday evening?"),
    ];
    for (is_same, pairs) in [(true, same.as_slice()), (false, alike.as_slice())] {
        for (first, second) in pairs {
            let provider = ScriptedProvider::always("p", Script::text("An answer."));
            let (_, syntra) = set_up(&provider, |b| b.semantic_cache(SemanticCacheOptions::default()));
            syntra.ask(&user("ada"), alone(first)).await.unwrap();
            let hit = syntra.ask(&user("ada"), alone(second)).await.unwrap();
            let vectors = syntra.embed(&[first, second]).await.unwrap();
            let cosine: f32 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
            assert_eq!(hit.turn.cached, is_same, "{cosine:.3} {first} / {second}");
            assert_eq!(hit.trace.attempts[0].similarity.is_some(), is_same);
        }
    }
}
