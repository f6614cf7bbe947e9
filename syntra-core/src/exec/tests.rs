//! What a caller sees of attempts and fallback, with a provider whose every call is scripted.

use super::*;
use crate::chat::{Event, EventStream, FinishReason, Message, Request, Response, ResponseBuilder, Usage};
use crate::clock::SystemClock;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::provider::Provider;
use crate::router::{Intent, Plan, Planned, Target};
use async_trait::async_trait;
use futures::StreamExt as _;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One scripted call: fails at once, or streams these.
enum Call {
    Fail(Error),
    Stream(Vec<Result<Event>>),
}

#[derive(Debug)]
struct Scripted {
    name: &'static str,
    calls: Mutex<VecDeque<Call>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Call")
    }
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        let mut stream = self.stream(request).await?;
        let mut builder = ResponseBuilder::new();
        while let Some(event) = stream.next().await {
            builder.push(&event?);
        }
        Ok(builder.build())
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        self.log.lock().unwrap().push(format!("{}/{}", self.name, request.model));
        match self.calls.lock().unwrap().pop_front() {
            Some(Call::Stream(events)) => Ok(futures::stream::iter(events).boxed()),
            Some(Call::Fail(error)) => Err(error),
            None => Err(Error::new(ErrorKind::Transient, "the script is over")),
        }
    }
}

fn answer(text: &str) -> Call {
    let usage = Usage { input_tokens: Some(3), output_tokens: Some(2), ..Usage::default() };
    Call::Stream(vec![
        Ok(Event::Started { id: None, model: None }),
        Ok(Event::Text { text: text.into() }),
        Ok(Event::Usage(usage)),
        Ok(Event::Finish { reason: FinishReason::Stop }),
    ])
}

fn fail(kind: ErrorKind) -> Call {
    Call::Fail(Error::new(kind, "scripted"))
}

/// What a run came to: the text, the attempts' outcomes, the calls made, and the error.
struct Seen {
    text: String,
    attempts: Vec<Option<ErrorKind>>,
    calls: Vec<String>,
    error: Option<Error>,
    routed: Vec<String>,
}

async fn run(streaming: bool, scripts: Vec<(&'static str, Vec<Call>)>) -> Seen {
    let log = Arc::new(Mutex::new(Vec::new()));
    let order: Vec<Planned> =
        scripts.iter().map(|(name, _)| Planned { target: Target::new(*name, "m"), reason: "first".into() }).collect();
    let providers: HashMap<String, Arc<dyn Provider>> = scripts
        .into_iter()
        .map(|(name, calls)| {
            let scripted = Scripted { name, calls: Mutex::new(calls.into()), log: log.clone() };
            (name.to_owned(), Arc::new(scripted) as Arc<dyn Provider>)
        })
        .collect();
    let mut execution = Execution::new(
        Plan::new(order, Vec::new(), Intent::QaRetrieval, 1.0),
        crate::chat::Scope::local(),
        Arc::new(providers),
        Request::new("", vec![Message::user("hello")]),
        Arc::new(SystemClock::new()),
    );
    execution.streaming = streaming;
    let mut updates = execute(execution);
    let mut seen = Seen { text: String::new(), attempts: vec![], calls: vec![], error: None, routed: vec![] };
    while let Some(update) = updates.next().await {
        match update {
            Ok(ExecutionUpdate::Event(Event::Text { text })) => seen.text.push_str(&text),
            Ok(ExecutionUpdate::Event(Event::Routed(routed))) => seen.routed.push(routed.provider),
            Ok(ExecutionUpdate::Event(_)) => {}
            Ok(ExecutionUpdate::Attempt(record)) => seen.attempts.push(record.error),
            Err(error) => seen.error = Some(error),
        }
    }
    seen.calls.clone_from(&log.lock().unwrap());
    seen
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_content_falls_back_unseen() {
    for streaming in [true, false] {
        let seen = run(streaming, vec![("a", vec![fail(ErrorKind::Overloaded)]), ("b", vec![answer("hello")])]).await;
        assert_eq!(seen.text, "hello");
        assert_eq!(seen.routed, ["b"], "the reader hears only of the target that answers");
        assert_eq!(seen.attempts, [Some(ErrorKind::Overloaded), None]);
        assert!(seen.error.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_stream_before_content_falls_back_too() {
    let broken = Call::Stream(vec![
        Ok(Event::Started { id: None, model: None }),
        Err(Error::new(ErrorKind::Transient, "in a 200").with_phase(Phase::AfterContent)),
    ]);
    let seen = run(true, vec![("a", vec![broken]), ("b", vec![answer("hi")])]).await;
    assert_eq!((seen.text.as_str(), seen.error.is_none()), ("hi", true));
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_is_no_answer() {
    let seen = run(true, vec![("a", vec![Call::Stream(vec![])]), ("b", vec![answer("hi")])]).await;
    assert_eq!(seen.text, "hi");
    assert_eq!(seen.attempts, [Some(ErrorKind::Truncated), None]);
}

#[tokio::test(start_paused = true)]
async fn after_content_a_failure_is_one_typed_error_and_nothing_is_repeated() {
    let cut = Call::Stream(vec![Ok(Event::Text { text: "half".into() }), Err(Error::new(ErrorKind::Truncated, "cut"))]);
    let seen = run(true, vec![("a", vec![cut]), ("b", vec![answer("whole")])]).await;
    assert_eq!(seen.text, "half");
    assert_eq!(seen.calls, ["a/m"]);
    let error = seen.error.expect("the cut is announced");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Truncated, Phase::AfterContent));
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_fault_is_never_tried_elsewhere() {
    for kind in [ErrorKind::BadRequest, ErrorKind::InvalidInput] {
        let seen = run(true, vec![("a", vec![fail(kind)]), ("b", vec![answer("no")])]).await;
        assert_eq!(seen.calls, ["a/m"]);
        assert_eq!(seen.error.map(|e| e.kind()), Some(kind));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_sleeps_while_another_target_is_untried() {
    let limited = Call::Fail(Error::new(ErrorKind::RateLimit, "slow down").with_retry_after(Duration::from_secs(9)));
    let before = tokio::time::Instant::now();
    let seen = run(true, vec![("a", vec![limited]), ("b", vec![answer("hi")])]).await;
    assert_eq!(seen.text, "hi");
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_of_the_only_target_is_retried_after_the_wait_it_asks_for() {
    let limited = Call::Fail(Error::new(ErrorKind::RateLimit, "slow down").with_retry_after(Duration::from_secs(3)));
    let before = tokio::time::Instant::now();
    let seen = run(true, vec![("a", vec![limited, answer("hi")])]).await;
    assert_eq!((seen.text.as_str(), seen.calls.len()), ("hi", 2));
    assert!(before.elapsed() >= Duration::from_secs(2), "virtual time, {:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_more_patience_than_we_have_is_not_waited_for() {
    let limited = Call::Fail(
        Error::new(ErrorKind::RateLimit, "come back tomorrow").with_retry_after(Duration::from_secs(86_400)),
    );
    let seen = run(true, vec![("a", vec![limited, answer("hi")])]).await;
    assert_eq!(seen.calls.len(), 1);
    assert_eq!(seen.error.and_then(|e| e.retry_after()), Some(Duration::from_secs(86_400)));
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_error_carries_every_attempt() {
    let seen =
        run(true, vec![("a", vec![fail(ErrorKind::Credential)]), ("b", vec![fail(ErrorKind::QuotaExhausted)])]).await;
    let error = seen.error.expect("nobody answered");
    let kinds: Vec<_> = error.attempts().iter().map(|a| (a.provider.as_str(), a.kind)).collect();
    assert_eq!(kinds, [("a", ErrorKind::Credential), ("b", ErrorKind::QuotaExhausted)]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded() {
    let script = |n| (0..n).map(|_| fail(ErrorKind::Transient)).collect();
    let seen = run(true, vec![("a", script(20)), ("b", script(20)), ("c", script(20)), ("d", script(20))]).await;
    assert_eq!(seen.calls.len(), RetryPolicy::default().max_attempts);
}
