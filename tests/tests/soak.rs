//! Many at once, and for long: 2,000 streams side by side, and an hour of turns in virtual time.

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use syntra_core::chat::EventStream;
use syntra_core::provider::Provider;
use syntra_core::testing::chaos::{FrameRole, Reply, own_subjects};
use syntra_core::testing::loopback::{Answer, Gate, Loopback, Step};
use syntra_core::{
    Ask, Clock, Error, ErrorKind, Event, FinishReason, Message, Request, Response, Result, Scope, Syntra, Timestamp,
};

const STREAMS: usize = 2_000;
const ROUNDS: usize = 8;

/// One at a time: what the process holds is measured.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Megabytes that this process holds in memory; `None` where the system does not say it this way.
fn resident() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096.0 / 1e6)
}

/// Every stream begins before any goes on, and all go on round by round: all are under way all the time. Gives the megabytes held when
/// all had begun.
async fn batch(streams: usize, server: &Loopback, provider: &Arc<dyn Provider>, rounds: &[Gate]) -> Option<f64> {
    let open = join_all((0..streams).map(|n| {
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
    assert_eq!(server.take_received().len(), streams, "all of them are under way");
    let at_once = resident();
    let readers: Vec<_> = open
        .into_iter()
        .enumerate()
        .map(|(n, (stream, first))| tokio::spawn(async move { (n, rest(stream, first).await) }))
        .collect();
    rounds.iter().for_each(|gate| gate.open_for(streams));
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
    let _alone = ALONE.lock().await;
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
    let first = batch(STREAMS, &server, &provider, &rounds).await;
    let between = resident();
    // What a stream left behind would add up here, while what all at once need is there already.
    for _ in 0..10 {
        batch(STREAMS / 5, &server, &provider, &rounds).await;
    }
    let end = resident();
    if let (Some(begin), Some(first), Some(between), Some(end)) = (begin, first, between, end) {
        println!(
            "{begin:.0} MB, {first:.0} with {STREAMS} streams, {between:.0} after them, {end:.0} after three times as many"
        );
        // Both ends, their buffers and the requests that the server keeps.
        let each = (first - begin) * 1e3 / STREAMS as f64;
        assert!(each < 120.0, "{each:.0} kB a stream");
        assert!(end - between < 20.0, "{between:.0} MB after {STREAMS} streams and {end:.0} after three times as many");
    }
}

/// Virtual time: what tokio's paused clock shows.
#[derive(Debug)]
struct Virtual(tokio::time::Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_355_200).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What the call of a turn comes to, by the turn's number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answers,
    Overloaded,
    BreaksOff,
    Hangs,
}

fn fate(turn: usize) -> Fate {
    match turn % 60 {
        13 => Fate::Overloaded,
        29 => Fate::BreaksOff,
        41 => Fate::Hangs,
        _ => Fate::Answers,
    }
}

/// A provider of which every stream holds on to `held` until it is dropped.
#[derive(Debug)]
struct Mixed {
    name: &'static str,
    always_answers: bool,
    held: Arc<()>,
}

impl Mixed {
    fn fate(&self, request: &Request) -> Fate {
        let question = request.messages.last().map(Message::text).unwrap_or_default();
        let number = question.rsplit_once("number ").and_then(|(_, n)| n.trim_end_matches('?').parse().ok());
        if self.always_answers { Fate::Answers } else { fate(number.unwrap_or(0)) }
    }
}

#[async_trait]
impl Provider for Mixed {
    fn name(&self) -> &str {
        self.name
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        let mut stream = self.stream(request).await?;
        let mut answer = syntra_core::chat::ResponseBuilder::new();
        while let Some(event) = stream.next().await {
            answer.push(&event?);
        }
        Ok(answer.build())
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        let said = || Ok(Event::Text { text: "Some words. ".to_owned() });
        let overloaded = || Error::new(ErrorKind::Overloaded, "no capacity");
        let (items, hangs) = match self.fate(request) {
            Fate::Answers => (vec![said(), Ok(Event::Finish { reason: FinishReason::Stop })], false),
            Fate::Overloaded => return Err(overloaded()),
            Fate::BreaksOff => (vec![said(), Err(overloaded())], false),
            Fate::Hangs => (vec![said()], true),
        };
        let held = self.held.clone();
        let tail = futures::stream::pending().take(usize::from(hangs));
        Ok(futures::stream::iter(items).chain(tail).inspect(move |_| _ = &held).boxed())
    }
}

/// A turn a second for an hour: most are answered, some fail, break off, hang or are left by their readers.
#[tokio::test(start_paused = true)]
async fn an_hour_of_turns_leaves_nothing_behind() {
    const TURNS: usize = 3_600;
    let _alone = ALONE.lock().await;
    let (first_held, second_held) = (Arc::new(()), Arc::new(()));
    let first = Mixed { name: "first", always_answers: false, held: first_held.clone() };
    let second = Mixed { name: "second", always_answers: true, held: second_held.clone() };
    let syntra = Syntra::builder()
        .in_memory()
        .clock(Arc::new(Virtual(tokio::time::Instant::now())))
        .provider(first)
        .provider(second)
        .models("first", ["m"])
        .models("second", ["m"])
        .build()
        .unwrap();
    let (mut turns, mut answered, mut settled) = (Vec::new(), 0, None);
    for n in 0..TURNS {
        let scope = Scope::new("acme", format!("user-{}", n % 50)).unwrap();
        // What is remembered is meant to stay; here only what is left over is looked for.
        let ask = Ask::new(format!("What is the answer to number {n}?"))
            .with_remember(false)
            .with_thread(format!("t{}", n % 50));
        if n % 2 == 0 {
            answered += usize::from(syntra.ask(&scope, ask).await.is_ok());
        } else {
            let mut stream = syntra.stream(&scope, ask).unwrap();
            turns.push((scope, stream.turn_id().to_owned()));
            // Every seventh reader leaves at the first words.
            while let Some(event) = stream.next().await {
                answered += usize::from(matches!(event, Event::Done(_)));
                if n % 7 == 0 && matches!(event, Event::Text { .. }) {
                    break;
                }
            }
        }
        assert_eq!(Arc::strong_count(&first_held) + Arc::strong_count(&second_held), 4, "turn {n} leaves a call open");
        if n == TURNS / 3 {
            settled = resident();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(answered * 100 > TURNS * 85, "{answered} of {TURNS} answered");
    // Traces are kept to a bound: the last can be asked about, the first cannot.
    let known = |(scope, turn): &(Scope, String)| syntra.trace(scope, turn).is_some();
    assert!(!known(&turns[0]) && turns.iter().rev().take(50).any(known));
    if let (Some(settled), Some(end)) = (settled, resident()) {
        println!("{settled:.0} MB after a third of the turns, {end:.0} MB after all {TURNS}");
        assert!(end - settled < 40.0, "{settled:.0} MB after a third of the turns, {end:.0} MB after all");
    }
}
