//! Long conversations from outside: what is older than the messages read back reaches the model as a summary that is kept with the thread.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use syntra_core::storage::Database;
use syntra_core::testing::{FakeClock, Script, ScriptedProvider};
use syntra_core::thread::{NewThreadMessage, SqliteThreadStore, Thread, ThreadMessage, ThreadStore, ThreadSummary};
use syntra_core::{Ask, Error, ErrorKind, Message, Role, Scope, Syntra};

fn ada() -> Scope {
    Scope::new("acme", "ada").unwrap()
}

/// A thread store that counts the messages it hands out, and loses summaries when told to.
#[derive(Debug)]
struct Counting {
    inner: SqliteThreadStore,
    read: AtomicU64,
    fails: AtomicBool,
}

impl Counting {
    fn new() -> Arc<Self> {
        let inner = SqliteThreadStore::new(Database::in_memory().unwrap(), Arc::new(FakeClock::default()));
        Arc::new(Self { inner, read: AtomicU64::new(0), fails: AtomicBool::new(false) })
    }
}

#[async_trait]
impl ThreadStore for Counting {
    async fn create(&self, scope: &Scope, id: Option<&str>, title: Option<&str>) -> syntra_core::Result<Thread> {
        self.inner.create(scope, id, title).await
    }
    async fn read(&self, scope: &Scope, id: &str) -> syntra_core::Result<Thread> {
        self.inner.read(scope, id).await
    }
    async fn list(&self, scope: &Scope, offset: u64, limit: u64) -> syntra_core::Result<Vec<Thread>> {
        self.inner.list(scope, offset, limit).await
    }
    async fn delete(&self, scope: &Scope, id: &str) -> syntra_core::Result<bool> {
        self.inner.delete(scope, id).await
    }
    async fn append(
        &self,
        scope: &Scope,
        id: &str,
        messages: Vec<NewThreadMessage>,
    ) -> syntra_core::Result<Vec<ThreadMessage>> {
        self.inner.append(scope, id, messages).await
    }
    async fn history(
        &self,
        scope: &Scope,
        id: &str,
        limit: u64,
        before: Option<u64>,
    ) -> syntra_core::Result<Vec<ThreadMessage>> {
        let messages = self.inner.history(scope, id, limit, before).await?;
        self.read.fetch_add(messages.len() as u64, Ordering::SeqCst);
        Ok(messages)
    }
    async fn summary(&self, scope: &Scope, id: &str) -> syntra_core::Result<ThreadSummary> {
        self.inner.summary(scope, id).await
    }
    async fn set_summary(&self, scope: &Scope, id: &str, from: u64, new: ThreadSummary) -> syntra_core::Result<bool> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Storage, "the disk is full"));
        }
        self.inner.set_summary(scope, id, from, new).await
    }
    async fn erase(&self, scope: &Scope) -> syntra_core::Result<u64> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Storage, "the disk is full"));
        }
        self.inner.erase(scope).await
    }
}

fn syntra(threads: &Arc<Counting>, provider: Option<&ScriptedProvider>) -> Syntra {
    let mut builder = Syntra::builder().in_memory().clock(Arc::new(FakeClock::default())).thread_store(threads.clone());
    if let Some(provider) = provider {
        builder = builder.provider(provider.clone()).models("p", ["m"]);
    }
    builder.build().unwrap()
}

fn line(n: usize) -> String {
    format!("My locker number {n} is in Lisbon.")
}

fn ask_line(n: usize) -> Ask {
    Ask::new(line(n)).with_thread("t").with_recall(false).with_remember(false)
}

/// What the last call was sent: the system text, and the other messages.
fn sent(provider: &ScriptedProvider) -> (String, Vec<Message>) {
    let messages = provider.requests().last().unwrap().messages.clone();
    let (system, rest): (Vec<Message>, Vec<Message>) = messages.into_iter().partition(|m| m.role == Role::System);
    (system.iter().map(Message::text).collect(), rest)
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_long_conversation_falls_between_summary_and_history() {
    let provider = ScriptedProvider::always("p", Script::text("Noted, it is written down."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    for n in 0..40usize {
        let answer = syntra.ask(&ada(), ask_line(n)).await.unwrap();
        assert!(answer.trace.warnings.is_empty(), "{:?}", answer.trace.warnings);
        let (system, rest) = sent(&provider);
        let shown: Vec<String> = rest.iter().map(Message::text).collect();
        // The newest ten exchanges and the question, word for word.
        let from = n.saturating_sub(10);
        assert_eq!(shown.iter().filter(|text| text.starts_with("My locker")).count(), n - from + 1);
        for older in 0..from {
            assert!(!shown.contains(&line(older)), "{older} of {n} is in the history");
        }
        // A summary has room for some twenty such lines; the newest of what is older are always among them.
        for older in from.saturating_sub(12)..from {
            assert!(system.contains(&line(older)), "{older} of {n} is lost: {system}");
        }
        let covered = answer.trace.summary.as_ref().map(|s| s.covered);
        assert_eq!(covered, (from > 0).then_some(2 * from as u64), "turn {n}");
        // What is kept grows by four exchanges, and never over what is shown.
        let kept = threads.summary(&ada(), "t").await.unwrap().covered;
        assert_eq!(kept, 8 * (from as u64 / 4), "turn {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_costs_what_is_new_and_not_the_whole_thread() {
    let provider = ScriptedProvider::always("p", Script::text("Noted, it is written down."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    for n in 0..60usize {
        threads.read.store(0, Ordering::SeqCst);
        syntra.ask(&ada(), ask_line(n)).await.unwrap();
        let read = threads.read.load(Ordering::SeqCst);
        assert!(read <= 36, "turn {n} read {read} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_was_written_without_turns_is_summarised_at_once() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    syntra.create_thread(&ada(), Some("t"), None).await.unwrap();
    let talk = (0..300usize).flat_map(|n| [Message::user(line(n)), Message::assistant("Noted.")]).collect();
    syntra.append(&ada(), "t", talk).await.unwrap();
    let answer = syntra.ask(&ada(), ask_line(300)).await.unwrap();
    assert!(sent(&provider).0.contains(&line(289)), "{}", sent(&provider).0);
    assert_eq!(answer.trace.summary.as_ref().unwrap().covered, 580);
    assert_eq!(threads.summary(&ada(), "t").await.unwrap().covered, 576);
    threads.read.store(0, Ordering::SeqCst);
    syntra.ask(&ada(), ask_line(301)).await.unwrap();
    assert!(threads.read.load(Ordering::SeqCst) <= 36);
}

#[tokio::test(start_paused = true)]
async fn a_very_long_thread_is_summarised_over_several_turns_and_says_so() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    syntra.create_thread(&ada(), Some("t"), None).await.unwrap();
    let talk = (0..2_000usize).flat_map(|n| [Message::user(line(n)), Message::assistant("Noted.")]).collect();
    syntra.append(&ada(), "t", talk).await.unwrap();
    let mut behind = Vec::new();
    for n in 0..3 {
        let answer = syntra.ask(&ada(), ask_line(2_000 + n)).await.unwrap();
        behind.push(answer.trace.warnings.iter().filter(|w| w.contains("wait for the next turns")).count());
        assert!(threads.read.swap(0, Ordering::SeqCst) <= 2_048 + 128 + 36);
    }
    assert_eq!(behind, [1, 0, 0]);
    assert!(sent(&provider).0.contains(&line(1_991)), "{}", sent(&provider).0);
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_cannot_be_kept_is_a_warning_and_made_again() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    for n in 0..14 {
        syntra.ask(&ada(), ask_line(n)).await.unwrap();
    }
    threads.fails.store(true, Ordering::SeqCst);
    let answer = syntra.ask(&ada(), ask_line(14)).await.unwrap();
    assert_eq!(answer.text, "Noted.");
    assert!(answer.trace.warnings.iter().any(|w| w.contains("summary")), "{:?}", answer.trace.warnings);
    threads.fails.store(false, Ordering::SeqCst);
    let answer = syntra.ask(&ada(), ask_line(15)).await.unwrap();
    assert!(answer.trace.warnings.is_empty());
    assert!((0..5).all(|n| sent(&provider).0.contains(&line(n))));
    assert_eq!(threads.summary(&ada(), "t").await.unwrap().covered, 8);
}

#[tokio::test(start_paused = true)]
async fn turns_at_once_in_one_thread_lose_nothing_and_cover_nothing_twice() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    for round in 0..8 {
        let asked = (0..6).map(|i| {
            let syntra = syntra.clone();
            async move { syntra.ask(&ada(), ask_line(round * 6 + i)).await.unwrap() }
        });
        for answer in futures::future::join_all(asked).await {
            assert!(answer.trace.warnings.is_empty(), "{:?}", answer.trace.warnings);
        }
    }
    let kept = threads.summary(&ada(), "t").await.unwrap();
    let text = kept.text.unwrap();
    for said in text.lines() {
        assert_eq!(text.matches(said).count(), 1, "covered twice: {said}");
    }
    // Every line that the summary does not cover is still in the thread after it.
    let all = syntra.history(&ada(), "t", 1_000, None).await.unwrap();
    assert_eq!(all.len(), 96);
    assert!(kept.covered <= 96 - 20);
    let last = &all[kept.covered as usize - 2].message.text();
    assert!(text.contains(last.as_str()), "the newest of what is covered is {last}: {text}");
}

#[tokio::test(start_paused = true)]
async fn the_summary_goes_with_its_thread_and_with_its_user() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    let fill = async || {
        for n in 0..15 {
            syntra.ask(&ada(), ask_line(n)).await.unwrap();
        }
        assert_eq!(threads.summary(&ada(), "t").await.unwrap().covered, 16 - 8);
    };
    fill().await;
    assert!(syntra.delete_thread(&ada(), "t").await.unwrap());
    syntra.ask(&ada(), ask_line(99)).await.unwrap();
    assert!(!sent(&provider).0.contains("locker"), "{}", sent(&provider).0);
    syntra.delete_thread(&ada(), "t").await.unwrap();
    fill().await;
    syntra.erase(&ada()).await.unwrap();
    syntra.ask(&ada(), ask_line(99)).await.unwrap();
    assert!(!sent(&provider).0.contains("locker"));
    let bob = Scope::new("acme", "bob").unwrap();
    syntra.ask(&bob, ask_line(99)).await.unwrap();
    assert!(!sent(&provider).0.contains("locker"));
}

#[tokio::test(start_paused = true)]
async fn what_memory_answered_for_a_model_is_not_said_again_in_a_summary() {
    let threads = Counting::new();
    let syntra = syntra(&threads, None);
    for n in 0..15 {
        let question = if n == 0 { line(0) } else { "Where is my locker number 0, do you know?".into() };
        let answer = syntra.ask(&ada(), Ask::new(question).with_thread("t")).await.unwrap();
        assert!(answer.turn.degraded);
    }
    let kept = threads.summary(&ada(), "t").await.unwrap();
    let text = kept.text.unwrap();
    assert!(text.contains("- User: My locker number 0 is in Lisbon."), "{text}");
    assert!(!text.contains("Assistant"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_wants_no_history_gets_no_summary() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let syntra = Syntra::builder()
        .in_memory()
        .clock(Arc::new(FakeClock::default()))
        .provider(provider.clone())
        .models("p", ["m"])
        .history_messages(0)
        .build()
        .unwrap();
    for n in 0..12 {
        syntra.ask(&ada(), ask_line(n)).await.unwrap();
    }
    let (system, rest) = sent(&provider);
    assert!(!system.contains("locker") && rest.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_of_which_a_part_fails_does_the_others_and_says_so() {
    let provider = ScriptedProvider::always("p", Script::text("Ok."));
    let threads = Counting::new();
    let syntra = syntra(&threads, Some(&provider));
    let answer = syntra.ask(&ada(), ask_line(1)).await.unwrap();
    threads.fails.store(true, Ordering::SeqCst);
    assert_eq!(syntra.erase(&ada()).await.unwrap_err().kind(), ErrorKind::Storage);
    assert!(syntra.trace(&ada(), &answer.turn.turn_id).is_none());
    assert_eq!(syntra.memory_stats(&ada()).await.unwrap().total, 0);
    threads.fails.store(false, Ordering::SeqCst);
    assert_eq!(syntra.erase(&ada()).await.unwrap().messages, 2);
}
