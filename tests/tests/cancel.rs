//! Whoever stops listening stops paying: a call that is dropped closes its connection upstream, on every dialect.

use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use syntra_core::testing::chaos::{DialectScript, FrameRole, Reply, own_subjects};
use syntra_core::testing::loopback::{Answer, Gate, Loopback, Step};
use syntra_core::{Ask, Event, Message, Request, Scope, Syntra};
use tokio::sync::Notify;

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(30);

/// An answer that begins and is never ended by the server.
fn endless(script: &dyn DialectScript) -> Answer {
    let reply = Reply::text(["one ", "two "], 3, 4);
    let begun: String =
        script.frames(&reply).iter().take_while(|f| f.role != FrameRole::End).map(|f| script.render(f)).collect();
    let steps = vec![Step::Write(begun.into()), Step::Wait(Gate::new())];
    Answer::steps(200, steps).with_header("content-type", script.stream_type())
}

fn request() -> Request {
    Request::new("m", vec![Message::user("hi")]).with_max_tokens(64)
}

async fn closed(server: &Loopback, n: usize, what: &str) {
    let closed = tokio::time::timeout(HANG, server.abandoned(n)).await;
    assert!(closed.is_ok(), "{what}: the connection upstream stays open");
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    for subject in own_subjects().unwrap() {
        let name = subject.script().name();
        let server = Loopback::start([endless(subject.script())]).await.unwrap();
        let mut stream = subject.adapter(&server.url()).unwrap().stream(&request()).await.unwrap();
        while !matches!(stream.next().await.unwrap().unwrap(), Event::Text { .. }) {}
        drop(stream);
        closed(&server, 1, name).await;
    }
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    for subject in own_subjects().unwrap() {
        let (came, answer) = (Arc::new(Notify::new()), Answer::raw(vec![Step::Wait(Gate::new())]));
        let told = came.clone();
        let server = Loopback::start_with(move |_| {
            told.notify_one();
            answer.clone()
        })
        .await
        .unwrap();
        let (adapter, request) = (subject.adapter(&server.url()).unwrap(), request());
        // Neither has an answer yet: one waits for a whole one, one for the head of a stream.
        for streaming in [false, true] {
            tokio::select! {
                _ = async { if streaming { adapter.stream(&request).await.map(drop) } else { adapter.complete(&request).await.map(drop) } } => {
                    panic!("a server that says nothing was answered for")
                }
                () = came.notified() => {}
            }
        }
        closed(&server, 2, subject.script().name()).await;
    }
}

#[tokio::test]
async fn a_dropped_turn_closes_its_connection() {
    let scope = Scope::new("acme", "ada").unwrap();
    for subject in own_subjects().unwrap() {
        let server = Loopback::start([endless(subject.script())]).await.unwrap();
        let adapter = subject.adapter(&server.url()).unwrap();
        let syntra = Syntra::builder().in_memory().shared_provider(adapter).models("primary", ["m"]).build().unwrap();
        let mut turn = syntra.stream(&scope, Ask::new("hi").with_max_tokens(64)).unwrap();
        while !matches!(turn.next().await.unwrap(), Event::Text { .. }) {}
        drop(turn);
        closed(&server, 1, subject.script().name()).await;
    }
}
