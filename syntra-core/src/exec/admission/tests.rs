//! What a caller sees of leave to call: keys, breakers and pace, with time that the test moves.

use super::*;
use crate::chat::{FinishReason, Message};
use crate::testing::{Script, ScriptedProvider, TokioClock};
use async_trait::async_trait;

/// A provider with a key of its own.
#[derive(Debug)]
struct Keyed(ScriptedProvider, &'static str);

#[async_trait]
impl Provider for Keyed {
    fn name(&self) -> &str {
        self.0.name()
    }
    async fn complete(&self, request: &Request) -> Result<Response> {
        self.0.complete(request).await
    }
    async fn stream(&self, request: &Request) -> Result<EventStream> {
        self.0.stream(request).await
    }
    fn key_id(&self) -> &str {
        self.1
    }
}

fn target() -> Target {
    Target::new("p", "m")
}

fn request() -> Request {
    Request::new("m", vec![Message::user("hi")])
}

fn exact() -> AdmissionOptions {
    let mut options = AdmissionOptions { seed: Some(1), ..AdmissionOptions::default() };
    options.health.jitter = 0.0;
    options
}

fn admissions(providers: Vec<Arc<dyn Provider>>, options: AdmissionOptions) -> Admissions {
    Admissions::new(providers, options, Arc::new(TokioClock::new()))
}

fn one(script: impl IntoIterator<Item = Script>, options: AdmissionOptions) -> (ScriptedProvider, Admissions) {
    let provider = ScriptedProvider::new("p", script);
    (provider.clone(), admissions(vec![Arc::new(provider)], options))
}

async fn call(admissions: &Admissions) -> Result<Response> {
    let now = admissions.0.clock.monotonic();
    admissions.admit(&target(), 10, Some(now)).await?.complete(&request()).await
}

#[tokio::test(start_paused = true)]
async fn a_single_primary_that_fails_is_left_alone_and_probed_once() {
    let failing = std::iter::repeat_n(Script::error(ErrorKind::Transient), 4);
    let (provider, admissions) = one(failing.chain([Script::text("back")]), exact());
    for _ in 0..3 {
        assert_eq!(call(&admissions).await.unwrap_err().kind(), ErrorKind::Transient);
    }
    let error = call(&admissions).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::OtherTarget));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(15)));
    assert_eq!((error.provider(), error.model()), (Some("p"), Some("m")));
    tokio::time::advance(Duration::from_secs(15)).await;
    let probe = admissions.admit(&target(), 10, None).await.unwrap();
    assert!(probe.is_probe());
    assert_eq!(call(&admissions).await.unwrap_err().kind(), ErrorKind::Overloaded, "one probe at a time");
    assert_eq!(probe.complete(&request()).await.unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(call(&admissions).await.unwrap_err().retry_after(), Some(Duration::from_secs(30)), "twice as long");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(call(&admissions).await.unwrap().text(), "back");
    assert_eq!(provider.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_to_mend_is_said_also_by_the_open_breaker() {
    for kind in [ErrorKind::Credential, ErrorKind::QuotaExhausted, ErrorKind::Region, ErrorKind::ModelUnavailable] {
        let (provider, admissions) = one([Script::error(kind)], exact());
        assert_eq!(call(&admissions).await.unwrap_err().kind(), kind);
        let error = call(&admissions).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some("breaker_open")));
        assert_eq!(provider.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_passed_over_while_another_works() {
    let bad = ScriptedProvider::always("p", Script::error(ErrorKind::Credential));
    let good = ScriptedProvider::always("p", Script::text("yes"));
    let admissions = admissions(vec![Arc::new(Keyed(bad.clone(), "a")), Arc::new(Keyed(good.clone(), "b"))], exact());
    let answers = futures::future::join_all((0..20).map(|_| call(&admissions))).await;
    assert!(bad.calls() <= 1, "one refusal is enough");
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 20 - bad.calls());
    assert!(admissions.health().of(&target()).available);
}

#[tokio::test(start_paused = true)]
async fn calls_go_where_fewer_are_on_their_way() {
    let keys = ["a", "b"].map(|id| Arc::new(Keyed(ScriptedProvider::always("p", Script::text("x")), id)));
    let admissions = admissions(keys.iter().map(|k| k.clone() as Arc<dyn Provider>).collect(), exact());
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(admissions.admit(&target(), 1, None).await.unwrap());
    }
    let of_a = held.iter().filter(|a| a.key_id() == "a").count();
    assert_eq!(of_a, 5, "of two keys the less loaded one is always among those drawn");
    assert_eq!(admissions.health().of(&target()).in_flight, 10);
    drop(held);
    assert_eq!(admissions.health().of(&target()).in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn the_quicker_key_gets_more_and_failures_make_no_key_quicker() {
    let keys = ["slow", "quick", "broken"].map(|id| Keyed(ScriptedProvider::always("p", Script::text("x")), id));
    let mut options = exact();
    options.health.failures = u32::MAX;
    options.health.failure_rate = 2.0;
    let admissions = admissions(keys.into_iter().map(|k| Arc::new(k) as Arc<dyn Provider>).collect(), options);
    let mut count = HashMap::new();
    let broken = Error::new(ErrorKind::Transient, "broken");
    for _ in 0..300 {
        let admission = admissions.admit(&target(), 1, None).await.unwrap();
        *count.entry(admission.key_id().to_owned()).or_insert(0) += 1;
        match admission.key_id().to_owned().as_str() {
            "slow" => admission.settle(None, Some(Duration::from_millis(900)), None),
            "quick" => admission.settle(None, Some(Duration::from_millis(100)), None),
            // It fails at once, which must not look quick.
            _ => admission.settle(Some(&broken), Some(Duration::from_millis(1)), None),
        }
    }
    let of = |key: &str| count.get(key).copied().unwrap_or(0);
    assert!(of("quick") > of("slow") && of("quick") > of("broken"), "{count:?}");
    assert!(of("quick") >= 180, "two of three draws hold it: {count:?}");
}

#[tokio::test(start_paused = true)]
async fn the_pace_refuses_at_once_or_waits_as_long_as_it_may() {
    let mut options = exact();
    options.pacing.insert("p".into(), PaceLimits::default().with_requests_per_second(2.0).with_burst(1));
    let admissions = admissions(vec![Arc::new(ScriptedProvider::always("p", Script::text("x")))], options);
    call(&admissions).await.unwrap();
    let error = call(&admissions).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::RateLimit, Some("paced")));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(500)));
    assert_eq!(admissions.health().of(&target()).failure_rate, 0.0, "our own pace says nothing of the target");
    let before = tokio::time::Instant::now();
    let deadline = admissions.0.clock.monotonic() + Duration::from_secs(1);
    let admission = admissions.admit(&target(), 10, Some(deadline)).await.unwrap();
    assert_eq!((before.elapsed(), admission.waited()), (Duration::from_millis(500), Duration::from_millis(500)));
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_pace_is_used_up_is_passed_over() {
    let keys = ["a", "b"].map(|id| Arc::new(Keyed(ScriptedProvider::always("p", Script::text("x")), id)));
    let mut options = exact();
    options.default_pacing = PaceLimits::default().with_requests_per_second(1.0).with_burst(2);
    let admissions = admissions(keys.iter().map(|k| k.clone() as Arc<dyn Provider>).collect(), options);
    for n in 0..4 {
        assert!(call(&admissions).await.is_ok(), "call {n}");
    }
    assert_eq!(call(&admissions).await.unwrap_err().retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(keys.map(|k| k.0.calls()), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_429_closes_the_model_for_as_long_as_it_says_and_no_other() {
    let error = Error::new(ErrorKind::RateLimit, "slow down").with_retry_after(Duration::from_secs(7));
    let (_, admissions) = one([Script::Fails(error), Script::text("x"), Script::text("x")], exact());
    call(&admissions).await.unwrap_err();
    let refused = call(&admissions).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(7)));
    admissions.admit(&Target::new("p", "other"), 1, Some(Duration::ZERO)).await.unwrap();
    tokio::time::advance(Duration::from_secs(7)).await;
    call(&admissions).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_gives_everything_back_and_says_nothing() {
    let mut options = exact();
    options.default_pacing = PaceLimits::default().with_concurrency(1);
    let hanging = Script::Hangs(vec![Event::Text { text: "a".into() }]);
    let (provider, admissions) = one([hanging, Script::text("whole answer")], options);
    let admission = admissions.admit(&target(), 1, None).await.unwrap();
    let mut stream = admission.send(&request(), true).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(admissions.report(&target())[0].pace.in_flight, 1);
    assert_eq!(call(&admissions).await.unwrap_err().kind(), ErrorKind::RateLimit, "the only slot is taken");
    drop(stream);
    assert_eq!(provider.open_streams(), 0);
    let report = &admissions.report(&target())[0];
    assert_eq!((report.pace.in_flight, report.health.in_flight, report.health.failure_rate), (0, 0, 0.0));
    assert_eq!(report.health.first_token, None);
    assert_eq!(call(&admissions).await.unwrap().text(), "whole answer");
}

#[tokio::test(start_paused = true)]
async fn a_stream_settles_by_its_end_or_its_error() {
    let usage = Usage { input_tokens: Some(4), output_tokens: Some(6), ..Usage::default() };
    let whole = Script::Events(vec![
        Event::Text { text: "a".into() },
        Event::Usage(usage),
        Event::Finish { reason: FinishReason::Stop },
    ]);
    let broken = Error::new(ErrorKind::Connection, "gone");
    let cut = Script::FailsAfter(vec![Event::Text { text: "a".into() }], broken);
    let mut options = exact();
    options.default_pacing = PaceLimits::default().with_tokens_per_minute(100);
    let (_, admissions) = one([whole, cut], options);
    let first = admissions.admit(&target(), 90, None).await.unwrap();
    assert_eq!(first.send(&request(), true).await.unwrap().count().await, 3);
    let second = admissions.admit(&target(), 90, Some(admissions.0.clock.monotonic())).await;
    let second = second.expect("ten of the ninety tokens were taken in the end");
    assert_eq!(second.send(&request(), true).await.unwrap().count().await, 2);
    let report = &admissions.report(&target())[0].health;
    assert!(report.first_token.is_some() && report.failure_rate > 0.3, "{report:?}");
    assert_eq!(report.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn the_pace_of_an_answer_is_that_of_what_was_seen_of_it() {
    let answer = |thinking: bool| {
        let usage = Usage { output_tokens: Some(500), reasoning_tokens: Some(300), ..Usage::default() };
        let thought = Event::Reasoning { text: "hm".into(), opaque: None };
        let mut events = vec![Event::Text { text: "a".into() }, Event::Usage(usage)];
        events.push(Event::Finish { reason: FinishReason::Stop });
        Script::Events(thinking.then_some(thought).into_iter().chain(events).collect())
    };
    // 200 tokens were seen where thinking was not, 500 where it was; both in ten seconds after the first.
    for (thinking, pace) in [(false, 20.0), (true, 50.0)] {
        let (_, admissions) = one([answer(thinking)], exact());
        let admission = admissions.admit(&target(), 10, None).await.unwrap();
        let mut stream = admission.send(&request(), true).await.unwrap();
        tokio::time::advance(Duration::from_secs(3)).await;
        stream.next().await.unwrap().unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        while stream.next().await.is_some() {}
        let health = admissions.health().of(&target());
        assert_eq!((health.first_token, health.tokens_per_second), (Some(Duration::from_secs(3)), Some(pace)));
    }
    // A whole answer comes all at once.
    let (_, admissions) = one([answer(false)], exact());
    let admission = admissions.admit(&target(), 10, None).await.unwrap();
    admission.send(&request(), false).await.unwrap().count().await;
    assert_eq!(admissions.health().of(&target()).tokens_per_second, None);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_leaves_no_trace() {
    let mut options = exact();
    options.default_pacing = PaceLimits::default().with_concurrency(1);
    let (_, admissions) = one([Script::text("x")], options);
    let held = admissions.admit(&target(), 1, None).await.unwrap();
    for _ in 0..50 {
        let target = target();
        let waiting = admissions.admit(&target, 1, None);
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
    }
    assert_eq!(admissions.report(&target())[0].pace.waiting, 0);
    drop(held);
    call(&admissions).await.unwrap();
    assert_eq!(admissions.report(&target())[0].pace.in_flight, 0);
}

#[tokio::test]
async fn one_of_the_same_name_and_key_replaces() {
    let old = ScriptedProvider::always("p", Script::text("old"));
    let new = ScriptedProvider::always("p", Script::text("new"));
    let admissions = admissions(vec![Arc::new(old.clone()), Arc::new(new)], AdmissionOptions::default());
    assert_eq!(call(&admissions).await.unwrap().text(), "new");
    assert_eq!((old.calls(), admissions.report(&target()).len()), (0, 1));
    let unknown = admissions.admit(&Target::new("q", "m"), 1, None).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.retry()), (ErrorKind::Config, Retry::OtherTarget));
}

#[tokio::test]
async fn hosts_with_the_same_key_share_a_pace_by_the_stricter_limit() {
    use crate::provider::HttpProvider;
    let host = |key: &str, limits: PaceLimits| {
        let options = AdmissionOptions { default_pacing: limits, ..AdmissionOptions::default() };
        let provider = HttpProvider::openai(key).with_base_url("http://127.0.0.1:9/shared-pace").unwrap();
        admissions(vec![Arc::new(provider)], options)
    };
    let target = Target::new("openai", "m");
    let (a, b) = (
        host("key one", PaceLimits::default().with_concurrency(5)),
        host("key one", PaceLimits::default().with_concurrency(1)),
    );
    let other = host("key two", PaceLimits::default());
    let held = a.admit(&target, 1, None).await.unwrap();
    assert_eq!(b.admit(&target, 1, Some(Duration::ZERO)).await.unwrap_err().kind(), ErrorKind::RateLimit);
    other.admit(&target, 1, Some(Duration::ZERO)).await.unwrap();
    drop(held);
    b.admit(&target, 1, Some(Duration::ZERO)).await.unwrap();
}

/// A server on loopback, and leave to call it as `test/m`.
async fn over_http(
    answer: impl Fn(&crate::testing::loopback::Received) -> crate::testing::loopback::Answer + Send + Sync + 'static,
) -> (crate::testing::loopback::Loopback, Admissions) {
    let server = crate::testing::loopback::Loopback::start_with(answer).await.unwrap();
    let provider = crate::provider::HttpProvider::compatible("test", server.url(), Some("plain-key".into())).unwrap();
    // The machine's clock: sockets do not wait for a paused one.
    let clock = Arc::new(crate::clock::SystemClock::new());
    let admissions = Admissions::new(vec![Arc::new(provider)], exact(), clock);
    (server, admissions)
}

const WHOLE: &str = "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}";

#[tokio::test]
async fn what_a_servers_headers_say_is_left_is_kept_to() {
    use crate::testing::loopback::Answer;
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (server, admissions) = over_http(move |request| {
        let streaming = request.json()["stream"] == true;
        let answer = if streaming { Answer::events(stream) } else { Answer::new(200, WHOLE) };
        answer
            .with_header("x-ratelimit-limit-requests", "60")
            .with_header("x-ratelimit-remaining-requests", "0")
            .with_header("x-ratelimit-reset-requests", "1h0m0s")
    })
    .await;
    for streaming in [true, false] {
        let target = Target::new("test", if streaming { "m" } else { "n" });
        let request = Request::new(target.model.as_str(), vec![Message::user("hi")]);
        let admission = admissions.admit(&target, 1, Some(Duration::ZERO)).await.unwrap();
        let events: Vec<_> = admission.send(&request, streaming).await.unwrap().collect().await;
        assert!(events.iter().all(Result::is_ok), "{events:?}");
        let error = admissions.admit(&target, 1, Some(Duration::ZERO)).await.unwrap_err();
        let wait = error.retry_after().unwrap_or_default().as_secs();
        assert!((55..=60).contains(&wait), "60 an hour is one a minute: {error:?}");
    }
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_servers_429_closes_the_model_for_as_long_as_it_says() {
    use crate::testing::loopback::Answer;
    let (server, admissions) =
        over_http(|_| Answer::new(429, "{\"error\":{\"message\":\"slow\"}}").with_header("retry-after", "90")).await;
    let target = Target::new("test", "m");
    let admission = admissions.admit(&target, 1, Some(Duration::ZERO)).await.unwrap();
    let error = admission.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::RateLimit, Some(429)));
    let error = admissions.admit(&target, 1, Some(Duration::from_secs(5))).await.unwrap_err();
    let wait = error.retry_after().unwrap_or_default().as_secs();
    assert!((85..=90).contains(&wait) && error.code() == Some("paced"), "{error:?}");
    assert_eq!(server.received().len(), 1);
}
