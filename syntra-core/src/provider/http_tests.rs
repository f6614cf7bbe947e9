//! The adapter over real sockets on loopback.

use super::*;
use crate::chat::{Event, FinishReason, Message, Request, ResponseBuilder};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::testing::loopback::{Answer, Gate, Loopback, Step};
use crate::testing::{FakeClock, provider_conformance, provider_failure_conformance};
use crate::transport::{Deadlines, Secret};
use futures::StreamExt;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "plain-word-as-key";
const STREAM: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Héllo \"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"there\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

fn whole() -> serde_json::Value {
    json!({ "id": "c", "model": "m", "usage": { "prompt_tokens": 3, "completion_tokens": 2 },
        "choices": [{ "index": 0, "message": { "content": "Héllo there" }, "finish_reason": "stop" }] })
}

fn request() -> Request {
    Request::new("m", vec![Message::user("hi")])
}

fn at(url: impl AsRef<str>) -> HttpProvider {
    HttpProvider::compatible("test", url, Some(KEY.into())).unwrap()
}

async fn all(provider: &HttpProvider) -> (Vec<Event>, Option<Error>) {
    let (mut events, mut error) = (Vec::new(), None);
    match provider.stream(&request()).await {
        Err(e) => error = Some(e),
        Ok(mut stream) => {
            while let Some(item) = stream.next().await {
                assert!(error.is_none(), "nothing follows an error");
                match item {
                    Ok(event) => events.push(event),
                    Err(e) => error = Some(e),
                }
            }
        }
    }
    (events, error)
}

fn text(events: &[Event]) -> String {
    let mut answer = ResponseBuilder::new();
    events.iter().for_each(|e| answer.push(e));
    answer.build().text()
}

#[tokio::test]
async fn it_keeps_the_contract_of_providers() {
    let server = Loopback::start_with(|request| {
        if request.json()["stream"] == true { Answer::events(STREAM) } else { Answer::json(200, &whole()) }
    })
    .await
    .unwrap();
    provider_conformance(|| at(server.url()), request()).await;
    let received = &server.received()[0];
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/chat/completions"));
    assert_eq!(received.header("authorization"), Some("Bearer plain-word-as-key"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.json()["messages"][0]["content"], "hi");
}

#[tokio::test]
async fn failures_keep_it_too() {
    let server = Loopback::start_with(|_| Answer::json(401, &json!({ "error": { "message": "no" } }))).await.unwrap();
    provider_failure_conformance(|| at(server.url()), ErrorKind::Credential).await;
    let cut = Loopback::start_with(|request| {
        if request.json()["stream"] == true {
            Answer::events(
                STREAM.split("data: {\"choices\":[{\"index\":0,\"delta\":{},").next().unwrap_or_default().to_owned(),
            )
        } else {
            Answer::new(200, "").with_header("content-type", "application/json")
        }
    })
    .await
    .unwrap();
    let (events, error) = all(&at(cut.url())).await;
    assert_eq!(text(&events), "Héllo there");
    let error = error.unwrap();
    assert_eq!((error.kind(), error.phase(), error.status()), (ErrorKind::Truncated, Phase::AfterContent, Some(200)));
    assert_eq!(at(cut.url()).complete(&request()).await.unwrap_err().code(), Some("empty_body"));
}

#[tokio::test]
async fn the_key_goes_into_a_header_and_nowhere_else() {
    let words = format!("the key {KEY} is wrong, as is sk-other0123456789");
    let server =
        Loopback::start([Answer::json(401, &json!({ "error": { "message": words, "code": "invalid_api_key" } }))])
            .await
            .unwrap();
    let provider = at(server.url()).with_header("x-org", "secret-organisation");
    let error = provider.complete(&request()).await.unwrap_err();
    assert_eq!(error.message(), "the key [redacted] is wrong, as is [redacted]");
    assert_eq!(
        (error.kind(), error.code(), error.status()),
        (ErrorKind::Credential, Some("invalid_api_key"), Some(401))
    );
    for shown in [format!("{provider:?}"), format!("{error:?}"), error.to_string()] {
        assert!(!shown.contains(KEY) && !shown.contains("secret-organisation"), "{shown}");
    }
    // Inside a 200, whole and in a stream, too.
    let said = json!({ "error": { "message": format!("bad key {KEY}"), "code": 429 } });
    server.push(Answer::json(200, &said));
    server.push(Answer::events(format!("data: {said}\n\n")));
    for error in [provider.complete(&request()).await.unwrap_err(), all(&provider).await.1.unwrap()] {
        assert_eq!(
            (error.message(), error.kind(), error.status()),
            ("bad key [redacted]", ErrorKind::RateLimit, Some(429))
        );
        assert_eq!((error.provider(), error.model()), (Some("test"), Some("m")));
    }
    let received = &server.received()[0];
    assert!(!received.path.contains(KEY));
    assert_eq!(received.header("x-org"), Some("secret-organisation"));
    let named = HttpProvider::anthropic(Secret::from(KEY)).with_base_url(server.url()).unwrap();
    let _ = named.complete(&Request::new("m", vec![Message::user("hi")]).with_max_tokens(5)).await;
    assert_eq!(server.received()[3].header("x-api-key"), Some(KEY));
}

#[tokio::test]
async fn advice_on_when_to_come_back_is_kept() {
    let clock = Arc::new(FakeClock::at("2026-11-20T07:09:30Z".parse().unwrap()));
    let busy = || Answer::json(429, &json!({ "error": { "message": "slow down", "type": "rate_limit_error" } }));
    let server = Loopback::start([
        busy().with_header("Retry-After", "Fri, 20 Nov 2026 07:10:00 GMT"),
        busy().with_header("retry-after-ms", "350"),
    ])
    .await
    .unwrap();
    let provider = at(server.url()).with_clock(clock.clone());
    for want in [Duration::from_secs(30), Duration::from_millis(350)] {
        let error = provider.complete(&request()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimit, Some(want)));
    }
    assert_eq!(clock.monotonic(), Duration::ZERO);
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let (head, rest) = STREAM.split_at(STREAM.find("\n\n").unwrap() + 2);
    let gate = Gate::new();
    let steps = vec![Step::Write(head.into()), Step::Wait(gate.clone()), Step::Write(rest.into())];
    let server =
        Loopback::start([Answer::steps(200, steps).with_header("content-type", "text/event-stream")]).await.unwrap();
    let mut stream = at(server.url()).stream(&request()).await.unwrap();
    while !matches!(stream.next().await.unwrap().unwrap(), Event::Text { .. }) {}
    drop(stream);
    server.abandoned(1).await;
}

#[tokio::test]
async fn events_are_handed_over_as_they_come() {
    let (head, rest) = STREAM.split_at(STREAM.find("\n\n").unwrap() + 2);
    let gate = Gate::new();
    let steps = vec![Step::Write(head.into()), Step::Wait(gate.clone()), Step::Write(rest.into())];
    let server = Loopback::start([Answer::steps(200, steps)]).await.unwrap();
    let mut stream = at(server.url()).stream(&request()).await.unwrap();
    // The gate is closed, so this text cannot have waited for the rest.
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, Event::Started { .. }));
    assert!(matches!(stream.next().await.unwrap().unwrap(), Event::Text { text } if text == "Héllo "));
    gate.open();
    let rest: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert!(matches!(rest.last(), Some(Event::Finish { reason: FinishReason::Stop })));
}

#[tokio::test]
async fn deadlines_are_told_apart() {
    let (head, _) = STREAM.split_at(STREAM.find("\n\n").unwrap() + 2);
    // No gate here is ever opened: nothing but the deadline can end the wait.
    let hang = || Step::Wait(Gate::new());
    let long = Deadlines::default();
    let short = Duration::from_millis(40);
    for (steps, deadlines, code, phase) in [
        (vec![hang()], long.with_first_token(short), "first_token_timeout", Phase::BeforeContent),
        // A keep-alive is no token.
        (
            vec![Step::Write(": ping\n\n".into()), hang()],
            long.with_first_token(short),
            "first_token_timeout",
            Phase::BeforeContent,
        ),
        (
            vec![Step::Write(head.to_owned().into()), hang()],
            long.with_between_chunks(short),
            "idle_timeout",
            Phase::AfterContent,
        ),
        (vec![hang()], long.with_total(short), "total_timeout", Phase::BeforeContent),
    ] {
        let server = Loopback::start([Answer::steps(200, steps)]).await.unwrap();
        let (_, error) = all(&at(server.url()).with_deadlines(deadlines)).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.code(), error.phase()), (ErrorKind::Timeout, Some(code), phase));
    }
    let server = Loopback::start([Answer::steps(200, vec![hang()])]).await.unwrap();
    let error = at(server.url()).with_deadlines(long.with_total(short)).complete(&request()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, Some("total_timeout")));
    // Endless is a deadline too.
    let server = Loopback::start([Answer::json(200, &whole())]).await.unwrap();
    at(server.url()).with_deadlines(Deadlines::within(Duration::MAX)).complete(&request()).await.unwrap();
}

#[tokio::test]
async fn broken_connections() {
    // A port that nobody listens on.
    let server = Loopback::start([]).await.unwrap();
    let url = server.url();
    drop(server);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = at(&closed).complete(&request()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connection, Phase::BeforeSend), "{url} {error}");
    assert!(!error.to_string().contains("127.0.0.1/"), "the URL stays out of errors: {error}");

    let cut = |upto: &str| {
        let (head, _) = STREAM.split_at(STREAM.find(upto).unwrap());
        Answer::events(head.to_owned()).then(Step::Disconnect)
    };
    let server =
        Loopback::start([cut("data: {\"choices\""), cut("data: [DONE]"), Answer::new(200, "").then(Step::Disconnect)])
            .await
            .unwrap();
    let (events, error) = all(&at(server.url())).await;
    let error = error.unwrap();
    assert_eq!(
        (text(&events).as_str(), error.kind(), error.phase()),
        ("Héllo ", ErrorKind::Connection, Phase::AfterContent)
    );
    // What had come to its reason to finish is whole, though the connection broke.
    let (events, error) = all(&at(server.url())).await;
    assert!(error.is_none() && text(&events) == "Héllo there");
    let error = at(server.url()).complete(&request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn servers_that_answer_otherwise_than_asked() {
    let html = "<html><head><title>Welcome</title></head></html>";
    let server = Loopback::start([
        // JSON, or an error, where events were asked for, whatever the header says.
        Answer::new(200, whole().to_string()).with_header("content-type", "text/event-stream"),
        Answer::json(200, &json!({ "error": { "message": "overloaded", "code": 529 } })),
        Answer::new(200, html),
        Answer::new(502, html),
    ])
    .await
    .unwrap();
    let (events, error) = all(&at(server.url())).await;
    assert!(error.is_none() && text(&events) == "Héllo there");
    assert_eq!(all(&at(server.url())).await.1.unwrap().kind(), ErrorKind::Overloaded);
    assert_eq!(all(&at(server.url())).await.1.unwrap().code(), Some("html_body"));
    let error = all(&at(server.url())).await.1.unwrap();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Transient, Some(502)));
    assert_eq!(error.message(), "HTTP 502 with a page of HTML: Welcome");

    // Events where JSON was asked for; a redirect to another host.
    let server = Loopback::start([
        Answer::events(STREAM),
        Answer::new(200, html),
        Answer::new(307, "").with_header("location", "http://elsewhere.example/v1"),
    ])
    .await
    .unwrap();
    assert_eq!(at(server.url()).complete(&request()).await.unwrap().text(), "Héllo there");
    assert_eq!(at(server.url()).complete(&request()).await.unwrap_err().code(), Some("html_body"));
    let error = at(server.url()).complete(&request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("elsewhere.example"), "{error}");
}

#[tokio::test]
async fn models_are_listed_in_every_spelling() {
    let server = Loopback::start([
        Answer::json(200, &json!({ "data": [{ "id": "b" }, { "id": "a" }, { "id": "a" }] })),
        Answer::json(200, &json!({ "models": [{ "name": "qwen3:4b", "model": "qwen3:4b" }] })),
        Answer::json(200, &json!({ "models": [{ "name": "models/gemini-x" }] })),
        Answer::json(200, &json!({ "hello": 1 })),
        Answer::json(401, &json!({ "error": { "message": "no" } })),
    ])
    .await
    .unwrap();
    assert_eq!(at(server.url()).list_models().await.unwrap(), ["a", "b"]);
    assert_eq!(HttpProvider::ollama(server.url()).unwrap().list_models().await.unwrap(), ["qwen3:4b"]);
    let gemini = HttpProvider::gemini("AIzaxxxxxxxxx").with_base_url(server.url()).unwrap();
    assert_eq!(gemini.list_models().await.unwrap(), ["gemini-x"]);
    assert_eq!(at(server.url()).list_models().await.unwrap_err().kind(), ErrorKind::Decode);
    let error = at(server.url()).list_models().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Credential, Some("test")));
    let paths: Vec<_> = server.received().into_iter().map(|r| r.path).collect();
    assert_eq!(paths[..3], ["/models", "/api/tags", "/v1beta/models?pageSize=1000"]);
}

/// A proxy that is set for the world must not cut off the server on one's own machine. The environment belongs to a process, so this
/// runs another test in one whose proxy is a port that nobody listens on.
#[test]
fn no_proxy_stands_before_loopback() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "provider::http_tests::it_keeps_the_contract_of_providers"]);
    for name in ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[tokio::test]
async fn bodies_have_bounds() {
    let long = || {
        let mut answer = whole();
        answer["choices"][0]["message"]["content"] = "x".repeat(5000).into();
        Answer::in_pieces(200, answer.to_string(), 500)
    };
    let server = Loopback::start_with(move |_| long()).await.unwrap();
    let client = crate::transport::HttpClient::new().unwrap().with_max_body(2000);
    let bounded = at(server.url()).with_client(client);
    let error = bounded.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Decode, Some("body_too_large")));
    // The same where it came instead of events.
    assert_eq!(all(&bounded).await.1.unwrap().code(), Some("body_too_large"));
    assert_eq!(at(server.url()).complete(&request()).await.unwrap().text().len(), 5000);
}

#[test]
fn addresses_are_checked() {
    for wrong in ["", "localhost:8080", "ftp://host/", "http://user:pass@host/", "http://host/?key=1", "not a url"] {
        let error = HttpProvider::compatible("test", wrong, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
        assert!(error.message().contains("test"), "{error}");
    }
    assert_eq!(HttpProvider::llama_cpp("http://127.0.0.1:9/v1/").unwrap().base_url(), "http://127.0.0.1:9/v1");
}

#[test]
fn the_environment_names_providers() {
    let found = |pairs: &'static [(&str, &str)]| {
        let lookup = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        from_env(lookup).map(|list| list.iter().map(|p| format!("{} {}", p.name(), p.base_url())).collect::<Vec<_>>())
    };
    assert!(found(&[]).unwrap().is_empty());
    assert!(found(&[("OPENAI_API_KEY", " ")]).unwrap().is_empty(), "an empty variable is none");
    assert_eq!(
        found(&[
            ("GOOGLE_API_KEY", "a"),
            ("PPLX_API_KEY", "b"),
            ("OPENAI_API_KEY", "c"),
            ("OPENAI_BASE_URL", "https://gate/v1/")
        ])
        .unwrap(),
        [
            "openai https://gate/v1",
            "gemini https://generativelanguage.googleapis.com",
            "perplexity https://api.perplexity.ai"
        ]
    );
    let keys = |list: &'static str| {
        let found = from_env(|name| (name == "GROQ_API_KEY").then(|| list.to_owned())).unwrap();
        found.iter().map(|p| (p.name().to_owned(), p.key_id().to_owned())).collect::<Vec<_>>()
    };
    let two = keys("gsk-one, gsk-two,");
    assert_eq!(two.len(), 2, "several keys of one provider");
    assert!(two[0].0 == two[1].0 && two[0].1 != two[1].1 && !two[0].1.contains("gsk"), "{two:?}");
    assert_eq!(keys("gsk-one")[0], two[0]);
    assert_eq!(found(&[("OLLAMA_HOST", "127.0.0.1:5")]).unwrap(), ["ollama http://127.0.0.1:5"]);
    assert_eq!(found(&[("OPENAI_API_KEY", "c"), ("OPENAI_BASE_URL", "gate:x")]).unwrap_err().kind(), ErrorKind::Config);
    // Rows are of one piece.
    for server in servers() {
        assert_eq!(server.provider(None).dialect().name(), server.dialect, "{}", server.name);
        assert!(!server.key_variables.is_empty() && url::Url::parse(server.base_url).is_ok());
        assert_eq!(servers().filter(|s| s.name == server.name).count(), 1);
    }
    assert_eq!(HttpProvider::named("nobody", None).unwrap_err().kind(), ErrorKind::Config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_chunking_on_the_wire_equals_the_whole(cuts in proptest::collection::vec(1usize..STREAM.len(), 0..12)) {
        let mut cuts: Vec<usize> = cuts;
        cuts.extend([0, STREAM.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|w| Step::Write(STREAM.as_bytes()[w[0]..w[1]].into())).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (events, error) = runtime.block_on(async {
            let server = Loopback::start([Answer::steps(200, pieces)]).await.unwrap();
            all(&at(server.url()).with_client(crate::transport::HttpClient::new().unwrap())).await
        });
        prop_assert!(error.is_none());
        prop_assert_eq!(text(&events), "Héllo there");
        prop_assert_eq!(events.len(), 5);
    }
}

#[tokio::test]
async fn connections_are_used_again_after_streams() {
    // The end of the body comes in a packet of its own, after the last event.
    let (events, end) = STREAM.split_at(STREAM.find("data: [DONE]").unwrap() + "data: [DONE]\n\n".len());
    assert!(end.is_empty());
    let steps = vec![Step::Write(events.into()), Step::Write(": bye\n\n".into())];
    let server = Loopback::start_with(move |_| Answer::steps(200, steps.clone())).await.unwrap();
    let provider = at(server.url());
    for _ in 0..30 {
        assert!(all(&provider).await.1.is_none());
    }
    assert!(server.connections() < 30, "30 calls, {} connections", server.connections());
}

#[tokio::test]
async fn no_server_of_the_table_gets_its_key_in_a_url() {
    let server = Loopback::start_with(|_| Answer::json(500, &json!({}))).await.unwrap();
    for row in servers() {
        let provider = row.provider(Some(KEY.into())).with_base_url(server.url()).unwrap();
        let before = server.received().len();
        let asked = Request::new("m", vec![Message::user("hi")]).with_max_tokens(5);
        let _ = provider.complete(&asked).await;
        let _ = provider.stream(&asked).await.map(drop);
        let _ = provider.list_models().await;
        let received = server.received();
        let new = &received[before..];
        assert_eq!(new.len(), 3, "{}", row.name);
        for request in new {
            assert!(!request.path.contains(KEY), "{}: {}", row.name, request.path);
            assert!(request.headers.iter().any(|(_, value)| value.contains(KEY)), "{} sends no key", row.name);
        }
    }
}
