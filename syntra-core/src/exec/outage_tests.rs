//! The bar: with the first model failing hard, 999 of 1,000 turns succeed all the same, and the first is left in peace.

use super::*;
use crate::chat::{Event, FinishReason, Message, Request, Role, Scope};
use crate::error::{Error, ErrorKind};
use crate::provider::Provider;
use crate::router::{Intent, Plan, Planned, Target};
use crate::testing::{Script, ScriptedProvider, TokioClock};
use async_trait::async_trait;
use futures::StreamExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const TURNS: usize = 10_000;
/// Turns at a time, a second apart.
const WAVE: usize = 20;

/// A provider that notes when it is called.
#[derive(Debug)]
struct Watched {
    inner: ScriptedProvider,
    calls: Arc<Mutex<Vec<Instant>>>,
}

#[async_trait]
impl Provider for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn complete(&self, request: &Request) -> crate::Result<crate::Response> {
        self.calls.lock().unwrap().push(Instant::now());
        self.inner.complete(request).await
    }
    async fn stream(&self, request: &Request) -> crate::Result<crate::EventStream> {
        self.calls.lock().unwrap().push(Instant::now());
        self.inner.stream(request).await
    }
}

fn text(text: &str) -> Event {
    Event::Text { text: text.into() }
}

/// Knows the answer, goes on with one that broke off, and has bad moments of its own.
#[derive(Debug, Default)]
struct Fallback(AtomicUsize);

#[async_trait]
impl Provider for Fallback {
    fn name(&self) -> &str {
        "fallback"
    }
    async fn complete(&self, _: &Request) -> crate::Result<crate::Response> {
        Err(Error::new(ErrorKind::Unsupported, "streams alone"))
    }
    async fn stream(&self, request: &Request) -> crate::Result<crate::EventStream> {
        if self.0.fetch_add(1, Ordering::Relaxed) % 50 == 49 {
            return Err(Error::new(ErrorKind::Transient, "a bad moment"));
        }
        let resumed = request.messages.last().is_some_and(|m| m.role == Role::Assistant);
        let mut events = vec![Ok(text(" whole")), Ok(Event::Finish { reason: FinishReason::Stop })];
        if !resumed {
            events.insert(0, Ok(text("half")));
        }
        Ok(futures::stream::iter(events).boxed())
    }
    fn can_resume(&self, _: &Request) -> bool {
        true
    }
}

/// One turn; whether the whole answer came.
async fn turn(admissions: Admissions, clock: Arc<TokioClock>, number: usize) -> bool {
    let order = ["primary", "fallback"].map(|name| Planned { target: Target::new(name, "m"), reason: "".into() });
    let plan = Plan::new(order.into(), Vec::new(), Intent::QaRetrieval, 1.0);
    let request = Request::new("", vec![Message::user(format!("question {number}"))]);
    let mut seen = String::new();
    let mut finished = false;
    let mut updates = execute(Execution::new(plan, Scope::local(), admissions, request, clock));
    while let Some(update) = updates.next().await {
        match update {
            Ok(ExecutionUpdate::Event(Event::Text { text })) => seen.push_str(&text),
            Ok(ExecutionUpdate::Event(Event::Finish { .. })) => finished = true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    finished && seen == "half whole"
}

/// Ten thousand turns while `primary` goes on like that.
async fn outage(primary: Script) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let watched = Watched { inner: ScriptedProvider::always("primary", primary), calls: calls.clone() };
    let clock = Arc::new(TokioClock::new());
    let providers: Vec<Arc<dyn Provider>> = vec![Arc::new(watched), Arc::new(Fallback::default())];
    let admissions = Admissions::new(providers, AdmissionOptions::default(), clock.clone());
    let mut succeeded = 0;
    for wave in 0..TURNS / WAVE {
        let turns = (0..WAVE).map(|n| tokio::spawn(turn(admissions.clone(), clock.clone(), wave * WAVE + n)));
        for ended in futures::future::join_all(turns).await {
            succeeded += usize::from(ended.unwrap());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(succeeded * 1_000 >= TURNS * 999, "{succeeded} of {TURNS} succeeded");
    let calls = calls.lock().unwrap();
    // Those who are under way find out together; then it is one probe after each cool-down, the shortest of which is 13.5 s.
    let found_out = calls.iter().filter(|at| **at - calls[0] < Duration::from_secs(1)).count();
    assert!(found_out <= WAVE && calls.len() >= found_out + 4, "{found_out} of {} calls found out", calls.len());
    for pair in calls[found_out - 1..].windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(13_500), "two calls within {:?}", pair[1] - pair[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_refuses_every_call() {
    outage(Script::error(ErrorKind::Transient)).await;
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_breaks_off_every_answer() {
    let broken = Error::new(ErrorKind::Connection, "the line went dead");
    outage(Script::FailsAfter(vec![text("half")], broken)).await;
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_says_nothing_at_all() {
    outage(Script::Hangs(vec![])).await;
}
