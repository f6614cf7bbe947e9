//! What a reader sees when a stream breaks in the middle, stalls or is slow, and what is billed for it.

use super::*;
use crate::chat::{
    Citation, Event, FinishReason, Message, NanoDollars, Request, ResponseBuilder, Scope, Tool, ToolCall, Usage,
};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Error, ErrorKind, Phase, Retry};
use crate::provider::Provider;
use crate::router::{Intent, Plan, Planned, Target};
use crate::testing::{Script, ScriptedProvider};
use futures::StreamExt as _;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

fn text(text: &str) -> Event {
    Event::Text { text: text.into() }
}

fn thought(text: &str) -> Event {
    Event::Reasoning { text: text.into(), opaque: None }
}

fn usage(input: u64, output: u64) -> Event {
    Event::Usage(Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() })
}

fn finish() -> Event {
    Event::Finish { reason: FinishReason::Stop }
}

fn called(name: &str, arguments: serde_json::Value) -> Event {
    Event::ToolCall(ToolCall { id: "1".into(), name: name.into(), arguments, signature: None })
}

fn cut(events: Vec<Event>) -> Script {
    Script::FailsAfter(events, Error::new(ErrorKind::Connection, "the line went dead"))
}

/// Everything that came out of an execution.
#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    records: Vec<AttemptRecord>,
    error: Option<Error>,
}

impl Seen {
    fn text(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            match event {
                Event::Text { text: more } => text.push_str(more),
                Event::Restart(_) => text.clear(),
                _ => {}
            }
        }
        text
    }

    fn names(&self) -> Vec<&'static str> {
        let name = |event: &Event| match event {
            Event::Routed(_) => "routed",
            Event::Text { .. } => "text",
            Event::Reasoning { .. } => "reasoning",
            Event::Restart(_) => "restart",
            Event::Finish { .. } => "finish",
            Event::Usage(_) => "usage",
            Event::ToolCall(_) => "tool_call",
            _ => "other",
        };
        self.events.iter().map(name).collect()
    }

    fn failures(&self) -> Vec<Option<ErrorKind>> {
        self.records.iter().map(|record| record.error).collect()
    }

    /// The last usage that a reader hears of.
    fn usage(&self) -> Usage {
        let usage = |event: &Event| if let Event::Usage(usage) = event { Some(usage.clone()) } else { None };
        self.events.iter().rev().find_map(usage).unwrap_or_default()
    }

    fn billed(&self) -> Usage {
        let mut all = Usage::default();
        self.records.iter().for_each(|record| all.add(&record.usage));
        all
    }
}

fn execution(providers: &[&ScriptedProvider]) -> Execution {
    let order = providers.iter().map(|p| Planned { target: Target::new(p.name(), "m"), reason: "test".into() });
    let plan = Plan::new(order.collect(), Vec::new(), Intent::QaRetrieval, 1.0);
    let by_name: HashMap<String, Arc<dyn Provider>> =
        providers.iter().map(|p| (p.name().to_owned(), Arc::new((*p).clone()) as Arc<dyn Provider>)).collect();
    let request = Request::new("", vec![Message::user("hello")]);
    let mut execution = Execution::new(plan, Scope::local(), Arc::new(by_name), request, Arc::new(SystemClock::new()));
    execution.jitter = Jitter::none();
    // A token a letter, a prompt of five.
    execution.meter = Some(Meter { prompt_tokens: 5, count: Arc::new(|_, text| text.chars().count() as u64) });
    execution
}

async fn run(execution: Execution) -> Seen {
    let mut seen = Seen::default();
    let mut updates = execute(execution);
    while let Some(update) = updates.next().await {
        assert!(seen.error.is_none(), "nothing follows an error");
        match update {
            Ok(ExecutionUpdate::Event(event)) => seen.events.push(event),
            Ok(ExecutionUpdate::Attempt(record)) => seen.records.push(record),
            Err(error) => seen.error = Some(error),
        }
    }
    seen
}

async fn recovered(recovery: Recovery, providers: &[&ScriptedProvider]) -> Seen {
    let mut execution = execution(providers);
    execution.recovery = recovery;
    run(execution).await
}

#[tokio::test(start_paused = true)]
async fn a_model_that_can_goes_on_from_the_text_already_shown() {
    let first = ScriptedProvider::new("a", [cut(vec![usage(9, 1), text("The tides are "), text("caused \n")])]);
    let cannot = ScriptedProvider::always("b", Script::text("The tides from scratch"));
    let can =
        ScriptedProvider::new("c", [Script::Events(vec![text(" \nby"), text(" the moon."), usage(20, 4), finish()])]);
    let can = can.resuming();
    let seen = recovered(Recovery::Resume, &[&first, &cannot, &can]).await;
    assert_eq!(seen.text(), "The tides are caused \nby the moon.");
    assert!(seen.error.is_none());
    assert_eq!(cannot.calls(), 0);
    let request = &can.requests()[0];
    assert_eq!(request.messages.last(), Some(&Message::assistant("The tides are caused")));
    assert_eq!(request.messages.len(), 2);
    assert_eq!(seen.names().iter().filter(|n| **n == "finish").count(), 1);
    assert!(!seen.names().contains(&"restart"));
    assert_eq!(seen.failures(), [Some(ErrorKind::Connection), None]);
    assert!(seen.records[1].resumed && !seen.records[0].resumed);
    // The first said what it read and had written 22 letters when it broke off.
    assert_eq!(seen.records[0].usage.output_tokens, Some(22));
    assert!(seen.records[0].usage.estimated);
    assert_eq!((seen.usage().input_tokens, seen.usage().output_tokens), (Some(29), Some(26)));
    assert_eq!(seen.usage(), seen.billed());
}

#[tokio::test(start_paused = true)]
async fn white_space_at_the_seam_is_shown_once() {
    let first = ScriptedProvider::new("a", [cut(vec![text("one ")])]);
    let can = ScriptedProvider::new("b", [Script::Events(vec![text(" "), text("two"), finish()])]).resuming();
    let seen = recovered(Recovery::Resume, &[&first, &can]).await;
    assert_eq!(seen.text(), "one two");
}

#[tokio::test(start_paused = true)]
async fn the_same_target_goes_on_when_it_is_the_only_one() {
    let script = [cut(vec![text("one ")]), cut(vec![text("two ")]), Script::Events(vec![text("three"), finish()])];
    let only = ScriptedProvider::new("a", script).resuming();
    let mut execution = execution(&[&only]);
    execution.policy.max_per_target = 3;
    let before = Instant::now();
    let seen = run(execution).await;
    assert_eq!(seen.text(), "one two three");
    assert_eq!(only.requests()[2].messages.last(), Some(&Message::assistant("one two")));
    assert!(before.elapsed() >= Duration::from_millis(750), "with its backoffs");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_go_on_the_caller_has_chosen() {
    for (recovery, whole) in [(Recovery::Resume, false), (Recovery::ResumeOrRestart, true), (Recovery::Fail, false)] {
        let first = ScriptedProvider::new("a", [cut(vec![text("half"), Event::Citation(Citation::default())])]);
        let second = ScriptedProvider::always("b", Script::Events(vec![text("whole"), usage(1, 1), finish()]));
        let seen = recovered(recovery, &[&first, &second]).await;
        assert_eq!(seen.text(), if whole { "whole" } else { "half" }, "{recovery:?}");
        assert_eq!(seen.names().contains(&"restart"), whole);
        let error = seen.error.as_ref().map(|e| (e.kind(), e.phase(), e.retry(), e.attempts().len()));
        let expected = (ErrorKind::Connection, Phase::AfterContent, Retry::Never, 1);
        assert_eq!(error, (!whole).then_some(expected));
        assert_eq!(second.calls(), usize::from(whole));
        if whole {
            let mut answer = ResponseBuilder::new();
            seen.events.iter().for_each(|event| answer.push(event));
            let answer = answer.build();
            assert_eq!((answer.text().as_str(), answer.citations.len()), ("whole", 0));
            assert_eq!(answer.usage, seen.billed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn going_on_is_preferred_to_starting_again() {
    let first = ScriptedProvider::new("a", [cut(vec![text("half ")])]);
    let cannot = ScriptedProvider::always("b", Script::text("from scratch"));
    let can = ScriptedProvider::new("c", [Script::text("whole")]).resuming();
    let seen = recovered(Recovery::ResumeOrRestart, &[&first, &cannot, &can]).await;
    assert_eq!((seen.text().as_str(), cannot.calls()), ("half whole", 0));
}

#[tokio::test(start_paused = true)]
async fn fail_is_final_even_where_somebody_could_go_on() {
    let first = ScriptedProvider::new("a", [cut(vec![text("half ")])]);
    let can = ScriptedProvider::always("b", Script::text("whole")).resuming();
    let seen = recovered(Recovery::Fail, &[&first, &can]).await;
    assert_eq!((seen.text().as_str(), can.calls(), seen.error.is_some()), ("half ", 0, true));
}

#[tokio::test(start_paused = true)]
async fn when_nothing_but_thinking_was_shown_the_answer_begins_anew() {
    let first = ScriptedProvider::new("a", [cut(vec![thought("Let me see.")])]);
    let second = ScriptedProvider::new("b", [Script::Events(vec![thought("Easy."), text("Four."), finish()])]);
    let seen = recovered(Recovery::Resume, &[&first, &second]).await;
    assert_eq!(seen.names(), ["routed", "reasoning", "restart", "routed", "reasoning", "text", "finish"]);
    let mut answer = ResponseBuilder::new();
    seen.events.iter().for_each(|event| answer.push(event));
    assert_eq!(answer.build().reasoning(), "Easy.");
}

#[tokio::test(start_paused = true)]
async fn after_a_tool_call_nobody_goes_on() {
    let script = || cut(vec![text("I look it up."), called("search", json!({"q": "tides"}))]);
    let (first, can) = (ScriptedProvider::new("a", [script()]), ScriptedProvider::always("b", Script::text("no")));
    let seen = recovered(Recovery::Resume, &[&first, &can.clone().resuming()]).await;
    assert_eq!((can.calls(), seen.error.map(|e| e.phase())), (0, Some(Phase::AfterContent)));
    let first = ScriptedProvider::new("a", [script()]);
    let seen = recovered(Recovery::ResumeOrRestart, &[&first, &can.resuming()]).await;
    assert_eq!((seen.text().as_str(), seen.names().contains(&"restart")), ("no", true));
}

#[tokio::test(start_paused = true)]
async fn a_shape_that_was_asked_for_is_not_gone_on_with() {
    let first = ScriptedProvider::new("a", [cut(vec![text("{\"a\":")])]);
    let can = ScriptedProvider::always("b", Script::text("1}")).resuming();
    let mut execution = execution(&[&first, &can]);
    let request = Request::clone(&execution.request).with_json_schema("s", json!({"type": "object"}));
    execution.request = request.into();
    let seen = run(execution).await;
    assert_eq!((can.calls(), seen.error.is_some()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_the_prefill_malformed_is_not_the_end() {
    let first = ScriptedProvider::new("a", [cut(vec![text("half ")])]);
    let refuses = ScriptedProvider::always("b", Script::error(ErrorKind::BadRequest)).resuming();
    let can = ScriptedProvider::always("c", Script::text("whole")).resuming();
    let seen = recovered(Recovery::Resume, &[&first, &refuses, &can]).await;
    assert_eq!(seen.text(), "half whole");
}

#[tokio::test(start_paused = true)]
async fn words_already_written_count_against_the_limit() {
    let first = ScriptedProvider::new("a", [cut(vec![text("12345")])]);
    let can = ScriptedProvider::always("b", Script::text("678")).resuming();
    let mut execution = execution(&[&first, &can]);
    Arc::make_mut(&mut execution.request).max_tokens = Some(8);
    run(execution).await;
    assert_eq!(can.requests()[0].max_tokens, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_simply_ends_is_cut_off() {
    #[derive(Debug)]
    struct Ends;
    #[async_trait::async_trait]
    impl Provider for Ends {
        fn name(&self) -> &str {
            "a"
        }
        async fn complete(&self, _: &Request) -> crate::Result<crate::Response> {
            Err(Error::new(ErrorKind::Unsupported, "streams alone"))
        }
        async fn stream(&self, _: &Request) -> crate::Result<crate::EventStream> {
            Ok(futures::stream::iter([Ok(text("half"))]).boxed())
        }
    }
    let mut execution = execution(&[&ScriptedProvider::new("a", [])]);
    execution.admissions = Arc::new(HashMap::from([("a".to_owned(), Arc::new(Ends) as Arc<dyn Provider>)])).into();
    let seen = run(execution).await;
    assert_eq!(seen.error.map(|e| (e.kind(), e.phase())), Some((ErrorKind::Truncated, Phase::AfterContent)));
}

fn tool(name: &str) -> Tool {
    Tool { name: name.into(), description: String::new(), parameters: json!({"type": "object"}) }
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_that_cannot_be_made_is_a_failure() {
    for (call, code) in [
        (called("search", json!("{\"q\": \"ti")), "invalid_tool_arguments"),
        (called("search", json!([1])), "invalid_tool_arguments"),
        (called("destroy", json!({})), "unknown_tool"),
    ] {
        let bad = vec![call, Event::Finish { reason: FinishReason::ToolCalls }];
        let first = ScriptedProvider::always("a", Script::Events(bad));
        let good = vec![called("search", json!({"q": "tides"})), Event::Finish { reason: FinishReason::ToolCalls }];
        let second = ScriptedProvider::new("b", [Script::Events(good)]);
        let mut both = execution(&[&first, &second]);
        both.request = Request::clone(&both.request).with_tool(tool("search")).into();
        let seen = run(both).await;
        assert_eq!(seen.names(), ["routed", "tool_call", "finish"], "{code}");
        assert_eq!(seen.failures(), [Some(ErrorKind::Decode), None]);
        let mut alone = execution(&[&first]);
        alone.request = Request::clone(&alone.request).with_tool(tool("search")).into();
        let error = run(alone).await.error.expect("nobody calls it right");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Decode, Some(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn after_text_a_tool_call_that_cannot_be_made_is_made_anew() {
    let bad =
        vec![text("Let me look. "), called("search", json!("{")), Event::Finish { reason: FinishReason::ToolCalls }];
    let first = ScriptedProvider::new("a", [Script::Events(bad)]);
    let good = vec![called("search", json!({})), Event::Finish { reason: FinishReason::ToolCalls }];
    let can = ScriptedProvider::new("b", [Script::Events(good)]).resuming();
    let seen = recovered(Recovery::Resume, &[&first, &can]).await;
    assert_eq!(seen.names(), ["routed", "text", "routed", "tool_call", "finish"]);
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_that_the_limit_cut_off_is_left_out() {
    let events =
        vec![text("Looking. "), called("search", json!("{\"q\"")), Event::Finish { reason: FinishReason::Length }];
    let only = ScriptedProvider::new("a", [Script::Events(events)]);
    let seen = run(execution(&[&only])).await;
    assert_eq!(seen.names(), ["routed", "text", "finish"]);
    assert!(seen.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn tools_that_the_host_hands_to_the_provider_itself_are_not_judged() {
    let events = vec![called("its_own", json!({})), Event::Finish { reason: FinishReason::ToolCalls }];
    let only = ScriptedProvider::always("a", Script::Events(events));
    let seen = run(execution(&[&only])).await;
    assert_eq!(seen.names(), ["routed", "tool_call", "finish"]);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_ends_before_and_after_content() {
    for events in [vec![], vec![Event::Started { id: None, model: None }]] {
        let stalls = ScriptedProvider::new("a", [Script::Hangs(events)]);
        let second = ScriptedProvider::new("b", [Script::text("here")]);
        let before = Instant::now();
        let seen = run(execution(&[&stalls, &second])).await;
        assert_eq!((seen.text().as_str(), before.elapsed().as_secs()), ("here", 60));
        assert_eq!(seen.failures(), [Some(ErrorKind::Timeout), None]);
        assert_eq!(stalls.open_streams(), 0);
    }
    let stalls = ScriptedProvider::new("a", [Script::Hangs(vec![text("half")])]);
    let before = Instant::now();
    let error = run(execution(&[&stalls])).await.error.expect("it stalls");
    assert_eq!((error.code(), before.elapsed().as_secs()), (Some("idle_timeout"), 60));
    assert_eq!(stalls.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_turns_deadline_bounds_waits_calls_and_streams() {
    let limited = Error::new(ErrorKind::RateLimit, "slow down").with_retry_after(Duration::from_secs(8));
    for (script, phase, spent, attempts) in [
        (Script::Hangs(vec![]), Phase::BeforeContent, 5, 1),
        (Script::Hangs(vec![text("half")]), Phase::AfterContent, 5, 1),
    ] {
        let provider = ScriptedProvider::always("a", script);
        let mut execution = execution(&[&provider]);
        execution.deadline = Some(Duration::from_secs(5));
        let before = Instant::now();
        let seen = run(execution).await;
        let error = seen.error.as_ref().expect("its time is over");
        assert_eq!(
            (error.kind(), error.code(), error.retry()),
            (ErrorKind::Timeout, Some("turn_timeout"), Retry::Never)
        );
        assert_eq!((error.phase(), before.elapsed().as_secs(), seen.records.len()), (phase, spent, attempts));
        assert_eq!(seen.failures(), [Some(ErrorKind::Cancelled)], "it says nothing about the target");
        assert_eq!(provider.open_streams(), 0);
    }
    // What could only be waited for in vain is not waited for at all.
    let provider = ScriptedProvider::new("a", [Script::Fails(limited), Script::text("late")]);
    let mut execution = execution(&[&provider]);
    execution.deadline = Some(Duration::from_secs(5));
    let before = Instant::now();
    let seen = run(execution).await;
    assert_eq!(seen.error.map(|e| e.kind()), Some(ErrorKind::RateLimit));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// Both calls of a hedged pair, the second begun after a second.
async fn hedged(share: f64, first: &ScriptedProvider, second: &ScriptedProvider) -> (Seen, Duration) {
    let mut execution = execution(&[first, second]);
    let policy = HedgePolicy { after: Some(Duration::from_secs(1)), most_share: share };
    execution.hedger = Some(Hedger::new(policy).unwrap());
    let before = Instant::now();
    let seen = run(execution).await;
    (seen, before.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_overtaken_and_let_go() {
    let slow = ScriptedProvider::new("a", [Script::Hangs(vec![usage(7, 0)])]);
    let quick = ScriptedProvider::new("b", [Script::text("here")]);
    let (seen, elapsed) = hedged(1.0, &slow, &quick).await;
    assert_eq!((seen.text().as_str(), elapsed.as_secs()), ("here", 1));
    assert_eq!(seen.failures(), [Some(ErrorKind::Cancelled), None]);
    assert_eq!(seen.records[0].usage.input_tokens, Some(7), "what is known of it is billed");
    assert!(seen.records[1].hedge && !seen.records[0].hedge);
    assert_eq!(slow.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_may_win_against_its_hedge() {
    let first = ScriptedProvider::stepped("a", [Script::text("here")]);
    let second = ScriptedProvider::new("b", [Script::Hangs(vec![])]);
    let stepping = first.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        stepping.step(10);
    });
    let (seen, _) = hedged(1.0, &first, &second).await;
    assert_eq!((seen.text().as_str(), second.calls(), second.open_streams()), ("here", 1, 0));
    assert_eq!(seen.failures(), [Some(ErrorKind::Cancelled), None]);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_leaves_the_first_alone() {
    let first = ScriptedProvider::stepped("a", [Script::text("here")]);
    let second = ScriptedProvider::new("b", [Script::error(ErrorKind::Overloaded)]);
    let stepping = first.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stepping.step(10);
    });
    let (seen, _) = hedged(1.0, &first, &second).await;
    assert_eq!(seen.text(), "here");
    assert_eq!(seen.failures(), [Some(ErrorKind::Overloaded), None]);
}

#[tokio::test(start_paused = true)]
async fn without_budget_nothing_is_hedged() {
    let slow = ScriptedProvider::new("a", [Script::Hangs(vec![])]);
    let quick = ScriptedProvider::new("b", [Script::text("here")]);
    let (seen, elapsed) = hedged(0.05, &slow, &quick).await;
    assert_eq!((seen.text().as_str(), elapsed.as_secs()), ("here", 60), "the first is given its time");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_stream_ends_every_call_and_tells_the_fleet() {
    for after in [0_u64, 500, 1_500] {
        let one = ScriptedProvider::new("a", [Script::Hangs(vec![usage(3, 0)])]);
        let two = ScriptedProvider::new("b", [Script::Hangs(vec![])]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut execution = execution(&[&one, &two]);
        let policy = HedgePolicy { after: Some(Duration::from_secs(1)), most_share: 1.0 };
        execution.hedger = Some(Hedger::new(policy).unwrap());
        let telling = told.clone();
        execution.on_drop = Some(OnDrop::new(move |record| telling.lock().unwrap().push(record)));
        let coalescer = execution.coalescer.clone();
        let mut updates = execute(execution);
        if after > 0 {
            let waited = tokio::time::timeout(Duration::from_millis(after), updates.next()).await;
            assert!(waited.is_err());
        }
        let under_way = one.open_streams() + two.open_streams();
        drop(updates);
        assert_eq!((one.open_streams(), two.open_streams(), coalescer.in_flight()), (0, 0, 0));
        let told = told.lock().unwrap();
        assert_eq!(told.len(), under_way, "{after} ms");
        assert!(told.iter().all(|record| record.error == Some(ErrorKind::Cancelled)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_begins_anew_unseen_whatever_the_recovery() {
    for recovery in [Recovery::Resume, Recovery::ResumeOrRestart, Recovery::Fail] {
        let first = ScriptedProvider::new("a", [cut(vec![text("half")])]);
        let second = ScriptedProvider::new("b", [Script::text("whole")]);
        let mut execution = execution(&[&first, &second]);
        (execution.streaming, execution.recovery) = (false, recovery);
        let seen = run(execution).await;
        assert_eq!((seen.text().as_str(), seen.names().contains(&"restart")), ("whole", false), "{recovery:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_stream_gives_every_permit_back() {
    let one = ScriptedProvider::always("a", Script::Hangs(vec![text("half")]));
    let mut options = AdmissionOptions { shared: false, ..AdmissionOptions::default() };
    options.default_pacing = PaceLimits { concurrency: Some(1), ..PaceLimits::default() };
    let clock = Arc::new(crate::testing::TokioClock::new());
    let admissions = Admissions::new(vec![Arc::new(one.clone())], options, clock.clone());
    let target = Target::new("a", "m");
    let now = || Some(clock.monotonic());
    for _ in 0..50 {
        let mut execution = execution(&[&one]);
        execution.admissions = admissions.clone();
        let mut updates = execute(execution);
        assert!(updates.next().await.is_some());
        assert!(admissions.admit(&target, 1, now()).await.is_err(), "the only place is taken");
        drop(updates);
        assert_eq!(one.open_streams(), 0);
        assert!(admissions.admit(&target, 1, now()).await.is_ok(), "and given back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_in_the_middle_is_billed_what_flowed() {
    let one = ScriptedProvider::new("a", [Script::Hangs(vec![text("12345")])]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut execution = execution(&[&one]);
    let telling = told.clone();
    execution.on_drop = Some(OnDrop::new(move |record| telling.lock().unwrap().push(record)));
    let mut updates = execute(execution);
    while let Some(Ok(ExecutionUpdate::Event(event))) = updates.next().await {
        if event.is_content() {
            break;
        }
    }
    drop(updates);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].usage.output_tokens, told[0].usage.estimated), (Some(5), true));
    assert_eq!(one.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_charged_is_summed_over_the_calls() {
    let priced = |nanos| {
        let mut usage = Usage { input_tokens: Some(1), output_tokens: Some(1), ..Usage::default() };
        usage.provider_cost = Some(NanoDollars::from_nanos(nanos));
        Event::Usage(usage)
    };
    let first = ScriptedProvider::new("a", [cut(vec![priced(30), text("x ")])]);
    let can = ScriptedProvider::new("b", [Script::Events(vec![text("y"), priced(12), finish()])]).resuming();
    let seen = recovered(Recovery::Resume, &[&first, &can]).await;
    assert_eq!(seen.usage().provider_cost, Some(NanoDollars::from_nanos(42)));
}
