use super::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type Handler = dyn Fn(usize, &Call) -> (u16, &'static str, String) + Send + Sync;

/// A request as it came.
#[derive(Clone, Debug)]
struct Call {
    head: String,
    body: Value,
}

/// A server on loopback that answers each request (numbered from 0) with status, extra header lines and body.
struct Server {
    base: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    async fn start(handler: impl Fn(usize, &Call) -> (u16, &'static str, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (seen, handler): (_, Arc<Handler>) = (calls.clone(), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (seen, handler) = (seen.clone(), handler.clone());
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let call = loop {
                        let mut piece = [0; 65536];
                        let n = socket.read(&mut piece).await.unwrap();
                        bytes.extend_from_slice(&piece[..n]);
                        let text = String::from_utf8_lossy(&bytes);
                        if let Some((head, body)) = text.split_once("\r\n\r\n")
                            && let Ok(body) = serde_json::from_str(body)
                        {
                            break Call { head: head.to_lowercase(), body };
                        }
                        assert!(n > 0, "the request ended early");
                    };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(call.clone());
                        seen.len() - 1
                    };
                    let (status, headers, body) = handler(number, &call);
                    let head =
                        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
                    let _ = socket.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).await;
                });
            }
        });
        Self { base, calls }
    }

    fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn embedder(&self) -> HttpEmbedder {
        HttpEmbedder::compatible(&self.base, "tiny", 16).unwrap().with_key(KEY).with_retries(0)
    }
}

const KEY: &str = "sk-test-5f1c9a7e2b";

/// A vector that says which text it is of.
fn vector(text: &str) -> Vec<f32> {
    let mut state = text.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    (0..16)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e6 - 8.0
        })
        .collect()
}

fn inputs(call: &Call) -> Vec<String> {
    serde_json::from_value(call.body["input"].clone()).unwrap()
}

/// A well-behaved server that answers in reverse order, as the format allows.
fn good(_: usize, call: &Call) -> (u16, &'static str, String) {
    let data: Vec<Value> = inputs(call)
        .iter()
        .enumerate()
        .rev()
        .map(|(i, t)| json!({ "object": "embedding", "index": i, "embedding": vector(t) }))
        .collect();
    (200, "", json!({ "object": "list", "data": data, "model": "tiny", "usage": { "prompt_tokens": 1 } }).to_string())
}

#[tokio::test]
async fn it_conforms() {
    let server = Server::start(good).await;
    crate::testing::embedder_conformance(&server.embedder()).await.unwrap();
}

#[tokio::test]
async fn the_request_is_the_formats_and_the_key_is_in_the_header_alone() {
    let server = Server::start(good).await;
    let embedder = server.embedder().with_prefixes("doc: ", "ask: ").with_shortened(16);
    embedder.embed(&["one", "two"]).await.unwrap();
    embedder.embed_query("three").await.unwrap();
    let calls = server.calls.lock().unwrap().clone();
    assert!(calls[0].head.starts_with("post /v1/embeddings http/1.1"), "{}", calls[0].head);
    assert!(calls[0].head.contains(&format!("authorization: bearer {KEY}")));
    assert!(!calls[0].head.lines().next().unwrap().contains(KEY));
    assert_eq!(
        calls[0].body,
        json!({ "model": "tiny", "input": ["doc: one", "doc: two"], "encoding_format": "float", "dimensions": 16 })
    );
    assert_eq!(calls[1].body["input"], json!(["ask: three"]));
    assert_eq!(embedder.model(), "compatible/tiny@16");
}

#[tokio::test]
async fn gemini_tells_questions_from_documents() {
    let server = Server::start(|_, call| {
        let texts = call.body["requests"].as_array().unwrap();
        let one = |r: &Value| json!({ "values": vector(r["content"]["parts"][0]["text"].as_str().unwrap()) });
        (200, "", json!({ "embeddings": texts.iter().map(one).collect::<Vec<_>>() }).to_string())
    })
    .await;
    let embedder = HttpEmbedder::gemini(KEY).unwrap().with_base(&server.base).unwrap().with_shortened(16);
    let documents = embedder.embed(&["one", "two"]).await.unwrap();
    let question = embedder.embed_query("two").await.unwrap();
    assert_eq!(documents[1], question);
    let calls = server.calls.lock().unwrap().clone();
    assert!(calls[0].head.starts_with("post /v1/models/gemini-embedding-001:batchembedcontents http/1.1"));
    assert!(calls[0].head.contains(&format!("x-goog-api-key: {KEY}")));
    let first = &calls[0].body["requests"][0];
    assert_eq!(first["model"], "models/gemini-embedding-001");
    assert_eq!((&first["taskType"], &first["outputDimensionality"]), (&json!("RETRIEVAL_DOCUMENT"), &json!(16)));
    assert_eq!(calls[1].body["requests"][0]["taskType"], "RETRIEVAL_QUERY");
    crate::testing::embedder_conformance(&embedder).await.unwrap();
}

#[tokio::test]
async fn batches_keep_to_the_limits_and_the_order() {
    let server = Server::start(good).await;
    let texts: Vec<String> = (0..100).map(|i| format!("text {i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = server.embedder().with_batch(7).embed(&texts).await.unwrap();
    assert_eq!(server.count(), 15);
    assert!(server.calls.lock().unwrap().iter().all(|c| inputs(c).len() <= 7));
    for (text, got) in texts.iter().zip(vectors) {
        let mut expected = vector(text);
        to_unit(&mut expected, 0).unwrap();
        assert_eq!(got, expected, "{text}");
    }
    // By bytes too: three texts of 100,000 fit two requests.
    let long = "word ".repeat(20_000);
    server.embedder().embed(&[&long, &long, &long]).await.unwrap();
    assert_eq!(server.count(), 17);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_a_typed_error() {
    let v = vec![0.5; 16];
    let zero = vec![0.0; 16];
    let cases: Vec<(String, ErrorKind, Option<&str>)> = vec![
        (json!({ "data": [{ "index": 0, "embedding": v }] }).to_string(), ErrorKind::Embedding, Some("count_mismatch")),
        (json!({ "data": [] }).to_string(), ErrorKind::Embedding, Some("count_mismatch")),
        (two(&json!(0), &json!(0), &v, &v), ErrorKind::Embedding, Some("bad_index")),
        (two(&json!(0), &json!(2), &v, &v), ErrorKind::Embedding, Some("bad_index")),
        (two(&json!(null), &json!(1), &v, &v), ErrorKind::Embedding, Some("bad_index")),
        (two(&json!(0), &json!(1), &v, &zero), ErrorKind::Embedding, Some("zero_vector")),
        (two(&json!(0), &json!(1), &v, &v[..15]), ErrorKind::Embedding, Some("wrong_dimension")),
        (two(&json!(0), &json!(1), &v, &[]), ErrorKind::Embedding, Some("zero_vector")),
        (two(&json!(0), &json!(1), &v, &v).replacen("0.5", "1e39", 1), ErrorKind::Embedding, Some("not_finite")),
        (two(&json!(0), &json!(1), &v, &v).replacen("0.5", "NaN", 1), ErrorKind::Decode, None),
        (two(&json!(0), &json!(1), &v, &v).replacen("0.5", "null", 1), ErrorKind::Decode, None),
        ("<html>".to_owned(), ErrorKind::Decode, None),
        (json!({ "error": { "message": "Rate limit reached", "code": 429 } }).to_string(), ErrorKind::RateLimit, None),
    ];
    for (body, kind, code) in cases {
        let answer = body.clone();
        let server = Server::start(move |_, _| (200, "", answer.clone())).await;
        let error = server.embedder().embed(&["one", "two"]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{body}: {error}");
        if code.is_some() {
            assert_eq!(error.code(), code, "{body}: {error}");
        }
        assert_eq!(error.provider(), Some("compatible"), "{body}");
    }
}

fn two(i: &Value, j: &Value, a: &[f32], b: &[f32]) -> String {
    json!({ "data": [{ "index": i, "embedding": a }, { "index": j, "embedding": b }] }).to_string()
}

/// Some servers leave the index out; then the order counts.
#[tokio::test]
async fn an_answer_without_indices_is_taken_in_order() {
    let server = Server::start(|_, call| {
        let data: Vec<Value> = inputs(call).iter().map(|t| json!({ "embedding": vector(t) })).collect();
        (200, "", json!({ "data": data }).to_string())
    })
    .await;
    crate::testing::embedder_conformance(&server.embedder()).await.unwrap();
}

#[tokio::test]
async fn failures_that_may_pass_are_tried_again_and_others_are_not() {
    let server = Server::start(|n, call| match n {
        0 => (503, "", r#"{"error":{"message":"later"}}"#.to_owned()),
        1 => (429, "retry-after: 0\r\n", r#"{"error":{"message":"slow down"}}"#.to_owned()),
        _ => good(n, call),
    })
    .await;
    server.embedder().with_retries(2).embed(&["one"]).await.unwrap();
    assert_eq!(server.count(), 3);

    let server = Server::start(|_, _| (503, "", String::new())).await;
    let error = server.embedder().with_retries(1).embed(&["one"]).await.unwrap_err();
    assert_eq!((server.count(), error.status()), (2, Some(503)));

    let server = Server::start(|_, _| (429, "retry-after: 3600\r\n", String::new())).await;
    let error = server.embedder().with_retries(5).embed(&["one"]).await.unwrap_err();
    assert_eq!((server.count(), error.retry_after()), (1, Some(Duration::from_secs(3600))));
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_not_shown() {
    let body =
        json!({ "error": { "message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key" } });
    let server = Server::start(move |_, _| (401, "", body.to_string())).await;
    let embedder = server.embedder().with_retries(3);
    let error = embedder.embed(&["one"]).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (ErrorKind::Credential, 1));
    let down = HttpEmbedder::compatible("http://127.0.0.1:9", "m", 4).unwrap().with_key(KEY).with_retries(0);
    let refused = down.embed(&["one"]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Connection);
    for shown in [format!("{error} {error:?} {refused} {refused:?}"), format!("{embedder:?}")] {
        assert!(!shown.contains("5f1c9a7e2b"), "{shown}");
    }
}

#[tokio::test]
async fn empty_texts_are_refused_before_anything_is_sent() {
    let server = Server::start(good).await;
    for texts in [&[""][..], &["good", " \n"], &["\u{0}\t"]] {
        assert_eq!(server.embedder().embed(texts).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_dimension_can_be_asked_from_the_server() {
    let server = Server::start(good).await;
    let embedder = HttpEmbedder::connect(&server.base, "tiny", Some(KEY.into())).await.unwrap();
    assert_eq!((embedder.dimensions(), embedder.model()), (16, "compatible/tiny@16"));
    crate::testing::embedder_conformance(&embedder).await.unwrap();
}

#[test]
fn a_base_that_could_hold_a_key_is_refused() {
    for base in ["ftp://host/v1", "nonsense", "http://user:secret@host/v1", "http://host/v1?key=secret"] {
        let error = HttpEmbedder::compatible(base, "m", 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
