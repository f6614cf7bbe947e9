//! Many at once, and for long: 2,000 streams side by side, and an hour of turns in virtual time.

use futures::StreamExt as _;
use futures::future::join_all;
use std::sync::Arc;
use syntra_core::chat::EventStream;
use syntra_core::provider::Provider;
use syntra_core::testing::chaos::{FrameRole, Reply, own_subjects};
use syntra_core::testing::loopback::{Answer, Gate, Loopback, Step};
use syntra_core::{Event, Message, Request};

const STREAMS: usize = 2_000;
const ROUNDS: usize = 8;

/// Megabytes that this process holds in memory; `None` where the system does not say it this way.
fn resident() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096.0 / 1e6)
}

/// Every stream begins before any goes on, and all go on round by round: 2,000 are under way all the time.
async fn batch(server: &Loopback, provider: &Arc<dyn Provider>, rounds: &[Gate]) -> Option<f64> {
    let before = server.received().len();
    let open = join_all((0..STREAMS).map(|n| {
        let provider = provider.clone();
        async move {
            let request = Request::new("m", vec![Message::user(n.to_string())]).with_max_tokens(64);
            let mut stream = provider.stream(&request).await.unwrap();
            let first = loop {
                if let Event::Text { text } = stream.next().await.unwrap().unwrap() {
                    break text;
                }
            };
            (stream, first)
        }
    }))
    .await;
    assert_eq!(server.received().len() - before, STREAMS, "all of them are under way");
    let at_once = resident();
    let readers: Vec<_> = open
        .into_iter()
        .enumerate()
        .map(|(n, (stream, first))| tokio::spawn(async move { (n, rest(stream, first).await) }))
        .collect();
    rounds.iter().for_each(|gate| gate.open_for(STREAMS));
    for reader in readers {
        let (n, text) = reader.await.unwrap();
        let right: String = (0..=ROUNDS).map(|round| format!("{n}:{round} ")).collect();
        assert_eq!(text, right, "stream {n}: no event is lost, none out of order, none of another stream");
    }
    at_once
}

async fn rest(mut stream: EventStream, mut text: String) -> String {
    let mut finished = false;
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            Event::Text { text: more } => text.push_str(&more),
            Event::Finish { .. } => finished = true,
            _ => {}
        }
    }
    assert!(finished);
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_streams_at_once() {
    // Both ends of every connection are in this process.
    let files = rlimit::increase_nofile_limit(16_384).unwrap();
    assert!(files as usize > 2 * STREAMS + 100, "the system allows {files} open files, and this needs two a stream");
    let subjects = own_subjects().unwrap();
    let subject = &subjects[0];
    let rounds: Vec<Gate> = (0..ROUNDS).map(|_| Gate::new()).collect();
    let frames = subjects[0].script().frames(&Reply::text(["%"; ROUNDS + 1], 3, 4));
    let rendered: Vec<(FrameRole, String)> =
        frames.iter().map(|frame| (frame.role, subject.script().render(frame))).collect();
    let gates = rounds.clone();
    let server = Loopback::start_with(move |request| {
        let body = request.json();
        let n = body["messages"][0]["content"].as_str().unwrap().to_owned();
        let (mut steps, mut round) = (Vec::new(), 0_usize);
        for (role, frame) in &rendered {
            if *role != FrameRole::Text {
                steps.push(Step::Write(frame.clone().into()));
                continue;
            }
            if let Some(gate) = round.checked_sub(1).and_then(|last| gates.get(last)) {
                steps.push(Step::Wait(gate.clone()));
            }
            steps.push(Step::Write(frame.replace('%', &format!("{n}:{round} ")).into()));
            round += 1;
        }
        Answer::steps(200, steps).with_header("content-type", "text/event-stream")
    })
    .await
    .unwrap();
    let provider = subject.adapter(&server.url()).unwrap();
    let begin = resident();
    let first = batch(&server, &provider, &rounds).await;
    let between = resident();
    for _ in 0..2 {
        batch(&server, &provider, &rounds).await;
    }
    let end = resident();
    if let (Some(begin), Some(first), Some(between), Some(end)) = (begin, first, between, end) {
        println!(
            "{begin:.0} MB, {first:.0} with {STREAMS} streams, {between:.0} after them, {end:.0} after three times as many"
        );
        // Both ends, their buffers and the requests that the server keeps.
        let each = (first - begin) * 1e3 / STREAMS as f64;
        assert!(each < 120.0, "{each:.0} kB a stream");
        assert!(end - between < 40.0, "{between:.0} MB after {STREAMS} streams and {end:.0} after three times as many");
    }
}
