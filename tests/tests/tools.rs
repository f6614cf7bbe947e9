//! Tools that the assistant runs itself: what happens to a turn when something fails in the middle of them.

use futures::StreamExt as _;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use syntra_core::exec::{Recovery, RetryPolicy};
use syntra_core::router::{Fleet, Plan, Planned, RouteQuery, Router, Target};
use syntra_core::testing::{FakeClock, Script, ScriptedProvider};
use syntra_core::tools::FunctionTool;
use syntra_core::{Ask, Error, ErrorKind, Event, FinishReason, Part, Role, Scope, Syntra, ToolCall};

fn ada() -> Scope {
    Scope::new("acme", "ada").unwrap()
}

/// A tool that counts its calls and returns how many there were.
fn counter(calls: &Arc<AtomicUsize>) -> FunctionTool {
    let calls = calls.clone();
    FunctionTool::new("count", "Counts.", json!({"type": "object"}), move |_| {
        let n = calls.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(n.to_string()) }
    })
}

/// Tries the models in the order in which they were given.
#[derive(Debug)]
struct AsListed;

impl Router for AsListed {
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> syntra_core::Result<Plan> {
        let listed = |(target, _): &(Target, _)| Planned { target: target.clone(), reason: "listed".into() };
        Ok(Plan::new(fleet.targets.iter().map(listed).collect(), Vec::new(), query.intent, query.confidence))
    }
}

fn syntra(providers: &[&ScriptedProvider], tool: FunctionTool) -> Syntra {
    let policy = RetryPolicy { backoff: Duration::ZERO, ..RetryPolicy::default() };
    let mut builder = Syntra::builder()
        .in_memory()
        .clock(Arc::new(FakeClock::default()))
        .retry_policy(policy)
        .router(Arc::new(AsListed))
        .recovery(Recovery::ResumeOrRestart)
        .tool(tool);
    for provider in providers {
        let name = syntra_core::provider::Provider::name(*provider).to_owned();
        builder = builder.provider((*provider).clone()).models(name, ["m"]);
    }
    builder.build().unwrap()
}

fn wants(text: &str) -> Script {
    let call = ToolCall { id: "c".into(), name: "count".into(), arguments: json!({}), signature: None };
    Script::Events(vec![
        Event::Text { text: text.into() },
        Event::ToolCall(call),
        Event::Finish { reason: FinishReason::ToolCalls },
    ])
}

/// What a reader has before him at the end, who drops all he has where he is told to.
fn read(events: &[Event]) -> String {
    events.iter().fold(String::new(), |text, event| match event {
        Event::Text { text: more } => text + more,
        Event::Restart(_) => String::new(),
        _ => text,
    })
}

async fn stream(syntra: &Syntra, ask: impl Into<Ask>) -> Vec<Event> {
    syntra.stream(&ada(), ask).unwrap().collect().await
}

#[tokio::test(start_paused = true)]
async fn another_model_goes_on_with_what_the_tool_returned() {
    let calls = Arc::default();
    let first = ScriptedProvider::new("a", [wants("Let me count."), Script::error(ErrorKind::Credential)]);
    let second = ScriptedProvider::always("b", Script::text("One."));
    let syntra = syntra(&[&first, &second], counter(&calls));
    let events = stream(&syntra, Ask::new("Count!").with_thread("t")).await;
    assert_eq!((first.calls(), second.calls(), calls.load(Ordering::SeqCst)), (2, 1, 1));
    assert_eq!(read(&events), "Let me count.\n\nOne.");
    let sent = &second.requests()[0];
    assert!(sent.messages.iter().any(|m| m.tool_results().any(|result| result.content == "1")), "{sent:?}");
    let history = syntra.history(&ada(), "t", 10, None).await.unwrap();
    let roles: Vec<Role> = history.iter().map(|m| m.message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant]);
}

#[tokio::test(start_paused = true)]
async fn a_second_round_that_begins_anew_keeps_the_first() {
    let calls = Arc::default();
    let half = vec![Event::Text { text: "Half an".into() }];
    let lost = Error::new(ErrorKind::Connection, "gone");
    let provider =
        ScriptedProvider::new("a", [wants("Let me count."), Script::FailsAfter(half, lost), Script::text("One.")]);
    let syntra = syntra(&[&provider], counter(&calls));
    let events = stream(&syntra, "Count!").await;
    assert_eq!(read(&events), "Let me count.\n\nOne.", "{events:?}");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Restart(_))).count(), 1);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(!events.iter().any(|event| matches!(event, Event::ToolCall(_))));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_fails_after_words_says_so_and_keeps_nothing() {
    let calls = Arc::default();
    let provider = ScriptedProvider::new("a", [wants("Let me count."), Script::error(ErrorKind::BadRequest)]);
    let syntra = syntra(&[&provider], counter(&calls));
    let events = stream(&syntra, Ask::new("Count!").with_thread("t")).await;
    assert!(matches!(events.last(), Some(Event::Error(error)) if error.kind() == ErrorKind::BadRequest), "{events:?}");
    assert!(syntra.history(&ada(), "t", 10, None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_ends_with_the_turns_deadline() {
    let hangs = FunctionTool::new("count", "", json!({"type": "object"}), |_| futures::future::pending());
    let provider = ScriptedProvider::new("a", [wants(""), Script::text("I could not.")]);
    let syntra = syntra(&[&provider], hangs.with_timeout(Duration::from_secs(5)));
    let answer = syntra.ask(&ada(), "Count!").await.unwrap();
    assert_eq!(answer.text, "I could not.");
    assert_eq!(answer.trace.tools[0].error.as_deref(), Some("it took longer than 5s"));
    let said = provider.requests()[1].messages.last().cloned().unwrap();
    assert!(said.parts.iter().all(|part| matches!(part, Part::ToolResult(result) if result.is_error)), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn an_assistant_whose_tools_are_none_is_not_built() {
    let twice = Syntra::builder().in_memory().tool(counter(&Arc::default())).tool(counter(&Arc::default()));
    let error = twice.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("count"), "{error}");
}
