//! A question from top to bottom, seen from outside: what the reader of the stream gets, what the model was sent, what is kept.

use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use syntra_core::memory::{MemoryType, NewMemory, Page, RecallRequest};
use syntra_core::search::Filter;
use syntra_core::testing::{FakeClock, Script, ScriptedProvider};
use syntra_core::{
    Answer, Ask, ErrorKind, Event, FinishReason, Image, Message, NanoDollars, Role, Scope, Syntra, Usage,
};

fn ada() -> Scope {
    Scope::new("acme", "ada").unwrap()
}

/// An assistant with `providers`, each under its own name with the model `m`.
fn syntra(providers: &[&ScriptedProvider]) -> Syntra {
    let mut builder = Syntra::builder().in_memory().clock(Arc::new(FakeClock::default()));
    for provider in providers {
        let name = syntra_core::provider::Provider::name(*provider).to_owned();
        builder = builder.provider((*provider).clone()).models(name, ["m"]);
    }
    builder.build().unwrap()
}

async fn events(syntra: &Syntra, ask: impl Into<Ask>) -> Vec<Event> {
    syntra.stream(&ada(), ask).unwrap().collect().await
}

fn text_of(events: &[Event]) -> String {
    events.iter().filter_map(|e| if let Event::Text { text } = e { Some(text.as_str()) } else { None }).collect()
}

/// The text that the model was sent as the system message and the memory block.
fn sent(provider: &ScriptedProvider, call: usize) -> String {
    provider.requests()[call].messages.iter().map(|m| m.text() + "\n").collect()
}

async fn ask(syntra: &Syntra, question: impl Into<Ask>) -> Answer {
    syntra.ask(&ada(), question).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_in_exactly_one_terminal_event() {
    for script in [Script::text("Hello there"), Script::error(ErrorKind::BadRequest)] {
        let provider = ScriptedProvider::new("p", [script]);
        let events = events(&syntra(&[&provider]), "Hello?").await;
        assert_eq!(events.iter().filter(|e| e.is_terminal()).count(), 1, "{events:?}");
        assert!(events.last().unwrap().is_terminal());
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_turn_come_in_order() {
    let provider = ScriptedProvider::new("p", [Script::text("Lisbon is sunny.")]);
    let syntra = syntra(&[&provider]);
    syntra
        .remember(&ada(), vec![NewMemory::new(MemoryType::Semantic, "Lisbon has 2800 hours of sun a year.")])
        .await
        .unwrap();
    let names: Vec<String> = events(&syntra, "How sunny is Lisbon?")
        .await
        .iter()
        .map(|e| serde_json::to_value(e).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    let place = |name: &str| names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    assert!(place("searching") < place("recalled"));
    assert!(place("recalled") < place("routed"));
    assert!(place("routed") < place("text"));
    assert!(place("text") < place("usage"));
    assert!(place("usage") < place("finish"));
    assert!(place("finish") < place("done"));
}

#[tokio::test(start_paused = true)]
async fn streamed_and_whole_answers_agree() {
    let words = "One voice, streamed or not.";
    let streamed = text_of(&events(&syntra(&[&ScriptedProvider::new("p", [Script::text(words)])]), "Say it.").await);
    let whole = ask(&syntra(&[&ScriptedProvider::new("p", [Script::text(words)])]), "Say it.").await;
    assert_eq!((streamed.as_str(), whole.text.as_str()), (words, words));
    assert_eq!(whole.finish, FinishReason::Stop);
    assert_eq!(whole.turn.model.as_deref(), Some("m"));
}

#[tokio::test(start_paused = true)]
async fn what_was_said_in_one_thread_is_known_in_another() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let syntra = syntra(&[&provider]);
    ask(&syntra, Ask::new("The launch of Falcon is on the ninth of March.").with_thread("one")).await;
    ask(&syntra, Ask::new("When is the launch of Falcon?").with_thread("two")).await;
    assert!(sent(&provider, 1).contains("ninth of March"), "{}", sent(&provider, 1));
}

#[tokio::test(start_paused = true)]
async fn the_thread_is_read_back_newest_last_and_the_question_once() {
    let provider = ScriptedProvider::always("p", Script::text("Fine."));
    let syntra = syntra(&[&provider]);
    for n in 0..15 {
        ask(&syntra, Ask::new(format!("Line number {n}.")).with_thread("t").with_recall(false)).await;
    }
    let messages = provider.requests().last().unwrap().messages.clone();
    let users: Vec<String> = messages.iter().filter(|m| m.role == Role::User).map(Message::text).collect();
    assert_eq!(users.last().unwrap(), "Line number 14.");
    assert_eq!(users.iter().filter(|u| u.contains("number 14")).count(), 1);
    assert_eq!(users[users.len() - 2], "Line number 13.");
    let history = syntra.history(&ada(), "t", 100, None).await.unwrap();
    assert_eq!(history.len(), 30);
    assert_eq!(history[29].message.text(), "Fine.");
}

#[tokio::test(start_paused = true)]
async fn another_user_never_sees_it() {
    let provider = ScriptedProvider::always("p", Script::text("Ok."));
    let syntra = syntra(&[&provider]);
    ask(&syntra, Ask::new("My secret word is xylophone.").with_thread("t")).await;
    for (org, user) in [("acme", "bob"), ("other", "ada")] {
        let other = Scope::new(org, user).unwrap();
        let answer = syntra.ask(&other, Ask::new("What is the secret word?").with_thread("t")).await.unwrap();
        assert!(answer.trace.recalled.is_empty());
        assert!(syntra.trace(&ada(), &answer.turn.turn_id).is_none());
    }
    assert!((1..3).all(|call| !sent(&provider, call).contains("xylophone")));
}

#[tokio::test(start_paused = true)]
async fn a_failing_model_is_replaced_before_its_first_word() {
    let broken = ScriptedProvider::always("broken", Script::error(ErrorKind::Overloaded));
    let healthy = ScriptedProvider::always("healthy", Script::text("Here."));
    let answer = ask(&syntra(&[&broken, &healthy]), Ask::new("Where are you?")).await;
    assert_eq!(answer.text, "Here.");
    assert!(!answer.turn.degraded);
    assert_eq!(answer.turn.provider.as_deref(), Some("healthy"));
    let failed = answer.trace.attempts.iter().filter(|a| a.error.is_some()).count();
    assert_eq!(failed, broken.calls());
}

#[tokio::test(start_paused = true)]
async fn a_pinned_model_is_not_replaced() {
    let broken = ScriptedProvider::always("broken", Script::error(ErrorKind::Credential));
    let healthy = ScriptedProvider::always("healthy", Script::text("Here."));
    let error = syntra(&[&broken, &healthy]).ask(&ada(), Ask::new("Hello?").with_model("broken/m")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert_eq!(healthy.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_every_model_down_memory_answers_and_says_so() {
    let broken = ScriptedProvider::always("p", Script::error(ErrorKind::Transient));
    let syntra = syntra(&[&broken]);
    let fact =
        NewMemory::new(MemoryType::Semantic, "The boiler room key hangs behind the blue door.").with_title("Keys");
    syntra.remember(&ada(), vec![fact]).await.unwrap();
    let answer = ask(&syntra, "Where is the boiler room key?").await;
    assert!(answer.turn.degraded);
    assert!(answer.text.contains("behind the blue door"), "{}", answer.text);
    assert_eq!(answer.citations.len(), 1);
    assert!(answer.trace.attempts.iter().all(|a| a.error == Some(ErrorKind::Transient)));
}

#[tokio::test(start_paused = true)]
async fn without_a_model_an_unknown_thing_is_admitted() {
    let answer = ask(&syntra(&[]), "Who won the regatta of 1907?").await;
    assert!(answer.turn.degraded);
    assert!(answer.text.contains("nothing in memory"), "{}", answer.text);
    assert!(answer.citations.is_empty());
    let statement = ask(&syntra(&[]), "The regatta of 1907 was rained off.").await;
    assert!(statement.text.contains("is remembered"), "{}", statement.text);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_answer_is_not_remembered_as_news() {
    let syntra = syntra(&[]);
    ask(&syntra, "The spare tyre is under the boat.").await;
    for _ in 0..3 {
        ask(&syntra, "Where is the spare tyre?").await;
    }
    let all = syntra.list_memories(&ada(), &Filter::default(), Page::default()).await.unwrap();
    assert!(all.iter().all(|m| m.role != Some(Role::Assistant)), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn with_extractive_fallback_off_it_is_an_error() {
    let syntra = Syntra::builder().in_memory().extractive_fallback(false).build().unwrap();
    assert_eq!(syntra.ask(&ada(), "Hello?").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn text_that_was_shown_is_never_shown_twice() {
    let cut = Script::FailsAfter(
        vec![Event::Text { text: "half a ".into() }],
        syntra_core::Error::new(ErrorKind::Truncated, "cut"),
    );
    let (first, second) = (ScriptedProvider::always("a", cut.clone()), ScriptedProvider::always("b", cut));
    let events = events(&syntra(&[&first, &second]), "Tell me.").await;
    assert_eq!(text_of(&events), "half a ");
    assert_eq!(first.calls() + second.calls(), 1);
    let Some(Event::Error(error)) = events.last() else { panic!("{events:?}") };
    assert_eq!(error.kind(), ErrorKind::Truncated);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_gives_the_call_back_and_saves_nothing() {
    let provider = ScriptedProvider::always("p", Script::Hangs(vec![Event::Text { text: "I am ".into() }]));
    let syntra = syntra(&[&provider]);
    let mut stream = syntra.stream(&ada(), Ask::new("Who are you?").with_thread("t")).unwrap();
    while let Some(event) = stream.next().await {
        if event.is_content() {
            break;
        }
    }
    assert_eq!(provider.open_streams(), 1);
    drop(stream);
    assert_eq!(provider.open_streams(), 0);
    assert_eq!(syntra.thread(&ada(), "t").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(syntra.memory_stats(&ada()).await.unwrap().total, 0);
}

#[tokio::test(start_paused = true)]
async fn usage_is_counted_where_the_server_does_not() {
    let answer = ask(&syntra(&[&ScriptedProvider::always("p", Script::text("Four words are here."))]), "Count.").await;
    let usage = answer.usage();
    assert!(usage.estimated);
    assert!(usage.input_tokens.unwrap() > 0 && usage.output_tokens.unwrap() >= 4, "{usage:?}");
}

#[tokio::test(start_paused = true)]
async fn abandoned_attempts_are_on_the_one_bill() {
    let spent = |n, cost| {
        let mut usage = Usage::default();
        usage.input_tokens = Some(n);
        usage.output_tokens = Some(1);
        usage.provider_cost = Some(NanoDollars::from_nanos(cost));
        Event::Usage(usage)
    };
    let wasted = Script::FailsAfter(vec![spent(100, 7)], syntra_core::Error::new(ErrorKind::Overloaded, "busy"));
    let done = Script::Events(vec![
        Event::Text { text: "Yes.".into() },
        spent(50, 5),
        Event::Finish { reason: FinishReason::Stop },
    ]);
    let (a, b) = (ScriptedProvider::always("a", wasted), ScriptedProvider::always("b", done));
    let answer = ask(&syntra(&[&a, &b]), "Is it?").await;
    let wasted_calls = a.calls() as u64;
    assert_eq!(answer.usage().input_tokens, Some(50 + 100 * wasted_calls));
    assert_eq!(answer.turn.cost, Some(NanoDollars::from_nanos(5 + 7 * wasted_calls)));
}

#[tokio::test(start_paused = true)]
async fn small_talk_goes_to_the_model_with_the_profile_alone() {
    let provider = ScriptedProvider::always("p", Script::text("Hello Ada!"));
    let syntra = syntra(&[&provider]);
    ask(&syntra, "My name is Ada.").await;
    syntra
        .remember(&ada(), vec![NewMemory::new(MemoryType::Semantic, "Hello is a greeting in English.")])
        .await
        .unwrap();
    let answer = ask(&syntra, "Hello!").await;
    let kinds: Vec<MemoryType> = answer.trace.recalled.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [MemoryType::Profile]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_fact_supersedes_and_history_stays() {
    let provider = ScriptedProvider::always("p", Script::text("Noted."));
    let syntra = syntra(&[&provider]);
    ask(&syntra, "I live in Oslo.").await;
    ask(&syntra, "I moved to Lisbon.").await;
    let mut profile = Filter::default();
    profile.kinds = vec![MemoryType::Profile];
    let facts = syntra.list_memories(&ada(), &profile, Page::default()).await.unwrap();
    let (old, new) = (&facts[0], &facts[1]);
    assert_eq!((old.text.as_str(), new.text.as_str()), ("The user lives in Oslo.", "The user lives in Lisbon."));
    assert_eq!(old.superseded_by.as_ref(), Some(&new.id));
    assert!(old.valid_to.is_some() && new.valid_to.is_none());
    let recalled =
        syntra.recall(&ada(), RecallRequest::new("Where does the user live?").with_filter(profile)).await.unwrap();
    let texts: Vec<&str> = recalled.items.iter().map(|i| i.memory.text.as_str()).collect();
    assert_eq!(texts, ["The user lives in Lisbon."]);
}

#[tokio::test(start_paused = true)]
async fn memories_that_are_used_count_as_used() {
    let provider = ScriptedProvider::always("p", Script::text("It is 42 [1]."));
    let syntra = syntra(&[&provider]);
    let items =
        vec![NewMemory::new(MemoryType::Semantic, "The answer to the riddle of the sphinx is 42.").with_id("riddle")];
    syntra.remember(&ada(), items).await.unwrap();
    let answer = ask(&syntra, "What is the answer to the riddle of the sphinx?").await;
    assert_eq!(answer.citations[0].url, "memory:riddle");
    assert_eq!(syntra.memories(&ada(), &["riddle".into()]).await.unwrap()[0].access_count, 1);
}

#[tokio::test(start_paused = true)]
async fn remembering_and_recalling_can_be_left_out() {
    let provider = ScriptedProvider::always("p", Script::text("Ok."));
    let syntra = syntra(&[&provider]);
    ask(&syntra, Ask::new("My name is Ada.").with_remember(false)).await;
    assert_eq!(syntra.memory_stats(&ada()).await.unwrap().total, 0);
    syntra.remember(&ada(), vec![NewMemory::new(MemoryType::Semantic, "Penguins cannot fly.")]).await.unwrap();
    let answer = ask(&syntra, Ask::new("Can penguins fly?").with_recall(false)).await;
    assert!(answer.trace.recalled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_trace_tells_why() {
    let provider = ScriptedProvider::always("p", Script::text("Green."));
    let syntra = syntra(&[&provider]);
    syntra
        .remember(&ada(), vec![NewMemory::new(MemoryType::Semantic, "The harbour gate is painted green.")])
        .await
        .unwrap();
    let answer = ask(&syntra, "What colour is the harbour gate?").await;
    let trace = syntra.trace(&ada(), &answer.turn.turn_id).unwrap();
    let recalled = &trace.recalled[0];
    let sum: f32 = recalled.parts.iter().map(|(_, v)| v).sum();
    assert!((sum - recalled.score).abs() < 1e-3, "{recalled:?}");
    assert!(!recalled.found_by.is_empty());
    assert_eq!(trace.plan.as_ref().unwrap().candidates.len(), 1);
    assert_eq!(trace.attempts.len(), 1);
    assert!(trace.prompt_tokens > 0 && trace.counter.is_some());
    for name in ["setup", "query_analysis", "retrieval", "context_building", "planning", "llm", "save_response"] {
        assert!(trace.elapsed(name).is_some(), "no span {name}");
    }
    let words = trace.explain();
    assert!(words.contains("p/m") && words.contains("Recalled"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_and_calls_nobody() {
    let provider = ScriptedProvider::always("p", Script::text("Hi."));
    let syntra = syntra(&[&provider]);
    let plan = syntra.plan(&ada(), "Write a function that sorts a list.").await.unwrap();
    assert_eq!(plan.order[0].target.to_string(), "p/m");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn erasing_who_gave_no_score_keeps_what_the_others_taught() {
    let provider = ScriptedProvider::new("p", vec![Script::text("Four."); 2]);
    let syntra = syntra(&[&provider]);
    let eve = Scope::new("acme", "eve").unwrap();
    let answer = ask(&syntra, "What is two and two?").await;
    syntra.ask(&eve, "What is two and three?").await.unwrap();
    syntra.feedback(&ada(), &answer.turn.turn_id, 1.0).await.unwrap();
    let before = syntra.export_learned(&ada()).unwrap();
    syntra.erase(&eve).await.unwrap();
    assert_eq!(syntra.export_learned(&ada()), Some(before));
    syntra.erase(&ada()).await.unwrap();
    assert_eq!(syntra.export_learned(&ada()), None);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_with_the_model_whose_cache_holds_it() {
    let clock = Arc::new(FakeClock::default());
    let provider = ScriptedProvider::new("openai", vec![Script::text("Noted."); 3]);
    let models = ["gpt-6-luna", "gpt-6.1-terra"];
    let builder = Syntra::builder().in_memory().clock(clock.clone());
    let syntra = builder.provider(provider.clone()).models("openai", models).build().unwrap();
    let long = format!("Keep this for later: {}", "the tide comes and goes; ".repeat(600));
    let first = ask(&syntra, Ask::new(long.as_str()).with_thread("t").with_model("openai/gpt-6.1-terra")).await;
    let next = || Ask::new("How often does it come?").with_thread("t");
    let report = |plan: &syntra_core::router::Plan, model: &str| {
        plan.candidates.iter().find(|c| c.target.model == model).cloned().unwrap()
    };
    let plan = syntra.plan(&ada(), next()).await.unwrap();
    let warm = report(&plan, "gpt-6.1-terra");
    let cached = warm.cached_tokens.unwrap();
    // By its share of the text, so that it is about what was sent.
    let sent = first.trace.prompt_tokens as u64;
    assert!(sent > 2_000 && cached.abs_diff(sent) < sent / 20, "{cached} of {sent}");
    assert!(plan.explain().contains("tokens of the prompt in its cache"), "{}", plan.explain());
    assert_eq!(report(&plan, "gpt-6-luna").cached_tokens, None);
    clock.advance(Duration::from_secs(301));
    let plan = syntra.plan(&ada(), next()).await.unwrap();
    let cold = report(&plan, "gpt-6.1-terra");
    assert_eq!(cold.cached_tokens, None, "it is forgotten after five minutes");
    assert!(cold.estimated_cost > warm.estimated_cost);
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_comes_back_to_the_caller_and_its_result_to_the_model() {
    let call = syntra_core::ToolCall {
        id: "c1".into(),
        name: "weather".into(),
        arguments: serde_json::json!({"city": "Lisbon"}),
        signature: None,
    };
    let asks = Script::Events(vec![Event::ToolCall(call), Event::Finish { reason: FinishReason::ToolCalls }]);
    let provider = ScriptedProvider::new("p", [asks, Script::text("Sunny.")]);
    let syntra = syntra(&[&provider]);
    let tool = syntra_core::Tool {
        name: "weather".into(),
        description: "The weather of a city".into(),
        parameters: serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    };
    let first = ask(&syntra, Ask::new("Weather in Lisbon?").with_thread("t").with_tool(tool.clone())).await;
    assert_eq!(first.tool_calls[0].name, "weather");
    assert_eq!(first.finish, FinishReason::ToolCalls);
    let result = Message::tool_result("c1", "weather", "{\"sky\":\"clear\"}");
    let second = ask(&syntra, Ask::message(result).with_thread("t").with_tool(tool)).await;
    assert_eq!(second.text, "Sunny.");
    let messages = &provider.requests()[1].messages;
    let at = messages.iter().position(|m| m.tool_calls().next().is_some()).expect("the call is sent back");
    assert!(messages[at + 1].tool_results().next().is_some(), "the result follows its call");
}

#[tokio::test(start_paused = true)]
async fn pictures_reach_the_model() {
    let provider = ScriptedProvider::always("openai", Script::text("A cat."));
    let syntra =
        Syntra::builder().in_memory().provider(provider.clone()).models("openai", ["gpt-4o-mini"]).build().unwrap();
    let picture = Image::bytes("image/png", vec![1_u8, 2, 3]);
    let answer = syntra.ask(&ada(), Ask::new("What is this?").with_image(picture)).await.unwrap();
    assert_eq!(answer.text, "A cat.");
    assert!(provider.requests()[0].has_image());
    assert_eq!(answer.trace.plan.as_ref().unwrap().intent.as_str(), "vision");
}

#[tokio::test(start_paused = true)]
async fn wrong_input_is_named() {
    let syntra = syntra(&[]);
    for wrong in [Ask::new("   "), Ask::message(Message::assistant("I speak first"))] {
        let error = syntra.ask(&ada(), wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let unknown = syntra.ask(&ada(), Ask::new("hi").with_model("nobody/none")).await.unwrap_err();
    assert!(unknown.message().contains("nobody"), "{unknown}");
    let error = Syntra::builder().in_memory().models("ghost", ["m"]).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn erasing_a_user_leaves_nothing_of_them() {
    let provider = ScriptedProvider::always("p", Script::text("Ok."));
    let syntra = syntra(&[&provider]);
    let answer = ask(&syntra, Ask::new("My name is Ada and I live in Lisbon.").with_thread("t")).await;
    let erased = syntra.erase(&ada()).await.unwrap();
    assert!(erased.memories >= 2 && erased.messages == 2, "{erased:?}");
    assert!(syntra.trace(&ada(), &answer.turn.turn_id).is_none());
    assert!(syntra.threads(&ada(), Page::default()).await.unwrap().is_empty());
    let after = ask(&syntra, Ask::new("What is my name?").with_remember(false)).await;
    assert!(after.trace.recalled.is_empty());
}

#[tokio::test]
async fn an_erasure_is_done_to_its_end_whether_or_not_somebody_waits() {
    let provider = ScriptedProvider::always("p", Script::text("Ok."));
    let syntra = syntra(&[&provider]);
    let answer = ask(&syntra, Ask::new("My name is Ada and I live in Lisbon.").with_thread("t")).await;
    // Begun, and let go of.
    assert!(futures::poll!(std::pin::pin!(syntra.erase(&ada()))).is_pending());
    let gone = async {
        while syntra.memory_stats(&ada()).await.unwrap().total > 0
            || !syntra.threads(&ada(), Page::default()).await.unwrap().is_empty()
            || syntra.trace(&ada(), &answer.turn.turn_id).is_some()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("a part of it is still there");
}

#[tokio::test]
async fn memory_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    {
        let syntra = Syntra::open(dir.path()).unwrap();
        syntra.ask(&ada(), "The tide tables are in the red folder.").await.unwrap();
    }
    let syntra = Syntra::open(dir.path()).unwrap();
    let answer = syntra.ask(&ada(), "Where are the tide tables?").await.unwrap();
    assert!(answer.text.contains("red folder"), "{}", answer.text);
}

#[tokio::test]
async fn a_call_that_stays_silent_ends_with_the_stream() {
    let provider = ScriptedProvider::always("p", Script::Hangs(vec![]));
    let syntra = syntra(&[&provider]);
    let mut stream = syntra.stream(&ada(), "Are you there?").unwrap();
    let waited =
        tokio::time::timeout(Duration::from_millis(200), async { while stream.next().await.is_some() {} }).await;
    assert!(waited.is_err(), "the stream waits as long as its reader does");
    drop(stream);
    assert_eq!(provider.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn yesterday_is_that_of_the_users_time_zone() {
    let builder = || Syntra::builder().in_memory();
    let syntra = builder().time_zone("Asia/Tokyo").unwrap().build().unwrap();
    // In Tokyo it is the 3rd already.
    let now = "2026-03-02T20:00:00Z".parse().unwrap();
    let answer = ask(&syntra, Ask::new("What did I do yesterday?").with_now(now)).await;
    let time = answer.trace.analysis.clone().unwrap().time.unwrap();
    assert_eq!(time.from.to_string(), "2026-03-01T15:00:00Z");
    assert_eq!(builder().time_zone("Mars/Olympus").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn fifty_identical_questions_at_once_cost_one_call() {
    let usage = |cost| {
        let mut usage = Usage::default();
        (usage.input_tokens, usage.output_tokens) = (Some(10), Some(2));
        usage.provider_cost = Some(NanoDollars::from_nanos(cost));
        Event::Usage(usage)
    };
    let answer = vec![
        Event::Text { text: "All ".into() },
        Event::Text { text: "the same.".into() },
        usage(9),
        Event::Finish { reason: FinishReason::Stop },
    ];
    let provider = ScriptedProvider::stepped("p", vec![Script::Events(answer); 60]);
    let syntra = syntra(&[&provider]);
    let question = || Ask::new("Is it the same?").with_recall(false).with_remember(false);
    let streams: Vec<_> = (0..50).map(|_| syntra.stream(&ada(), question()).unwrap().collect::<Vec<Event>>()).collect();
    let all = tokio::spawn(futures::future::join_all(streams));
    // Everybody is aboard before the first word comes.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    provider.step(1_000);
    let all = all.await.unwrap();
    assert_eq!(provider.calls(), 1);
    let mut bill = NanoDollars::ZERO;
    for events in &all {
        assert_eq!(text_of(events), "All the same.");
        let Some(Event::Done(done)) = events.last() else { panic!("{events:?}") };
        bill += done.cost.unwrap();
    }
    assert_eq!(bill, NanoDollars::from_nanos(9));
    // The same question again is a call of its own: nothing finished is replayed.
    provider.step(1_000);
    let again = syntra.stream(&ada(), question()).unwrap().collect::<Vec<Event>>().await;
    assert_eq!((text_of(&again).as_str(), provider.calls()), ("All the same.", 2));
}

#[tokio::test(start_paused = true)]
async fn the_last_turns_can_be_asked_about_however_many_there_were() {
    let syntra = Syntra::builder().in_memory().build().unwrap();
    let question = || Ask::new("Is it?").with_recall(false).with_remember(false);
    let first = ask(&syntra, question()).await;
    let mut turns = Vec::new();
    for n in 0..1_500 {
        turns.push(ask(&syntra, question()).await.turn.turn_id);
        // Old turns that are read again and again do not keep new ones out.
        for old in turns.iter().take(if n < 1_000 { 0 } else { 900 }) {
            let _ = syntra.trace(&ada(), old);
        }
    }
    let kept = turns.iter().rev().take(50).filter(|id| syntra.trace(&ada(), id).is_some()).count();
    assert_eq!(kept, 50);
    assert!(syntra.trace(&ada(), &first.turn.turn_id).is_none(), "the number kept is bounded");
    assert_eq!(first.trace.turn_id, first.turn.turn_id, "an answer brings its own trace");
}
