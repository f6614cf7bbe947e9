//! Playing the faults to one adapter.

use super::faults::{Fault, FaultGroup, faults};
use super::script::{DialectScript, Reply};
use super::stage::{Expect, Limits, Patience, Play, SHORT, Stage};
use super::turn::{self, Shared};
use crate::chat::{Event, EventStream, FinishReason, Message, Request, Response, ResponseBuilder};
use crate::error::{Error, Phase, Result};
use crate::provider::{HttpProvider, Provider};
use crate::testing::loopback::{Gate, Loopback};
use crate::transport::{HttpClient, HttpOptions, Secret};
use futures::StreamExt;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(30);
/// Faults that are played side by side.
const AT_ONCE: usize = 12;

type Make = Box<dyn Fn(&str, &Limits) -> Result<Arc<dyn Provider>> + Send + Sync>;

/// An adapter under test: its wire, and how to make it.
pub struct ChaosSubject {
    pub(super) script: Arc<dyn DialectScript>,
    pub(super) make: Make,
}

impl std::fmt::Debug for ChaosSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChaosSubject").field("script", &self.script.name()).finish_non_exhaustive()
    }
}

impl ChaosSubject {
    /// An adapter for the wire of `script`. `make` gives one, named `primary`, for the server at an address (`http://127.0.0.1:port`)
    /// with these limits.
    pub fn new(
        script: Arc<dyn DialectScript>,
        make: impl Fn(&str, &Limits) -> Result<Arc<dyn Provider>> + Send + Sync + 'static,
    ) -> Self {
        Self { script, make: Box::new(make) }
    }

    /// What the wire looks like.
    pub fn script(&self) -> &dyn DialectScript {
        &*self.script
    }

    /// The adapter for the server at `url`, with deadlines that nothing but a hang meets.
    ///
    /// # Errors
    /// What the function that makes it fails with.
    pub fn adapter(&self, url: &str) -> Result<Arc<dyn Provider>> {
        (self.make)(url, &Limits::new(Patience::Long, true))
    }
}

/// The five dialects of this crate over [`HttpProvider`].
///
/// # Errors
/// As [`HttpClient::new`].
pub fn own_subjects() -> Result<Vec<ChaosSubject>> {
    let options = |limits: &Limits| {
        HttpOptions::default()
            .with_connect(limits.deadlines.connect)
            .with_max_body(limits.max_body)
            .with_max_frame(limits.max_frame)
            .with_max_stream(limits.max_stream)
    };
    // Building a pool reads the machine's certificates; the bounds are the same for all.
    let client = HttpClient::with_options(options(&Limits::new(Patience::Long, false)))?;
    let subject = |script: Arc<dyn DialectScript>| {
        let client = client.clone();
        let server = match script.name() {
            "chat" => "openai",
            "responses" => "openai-responses",
            other => other,
        };
        ChaosSubject::new(script, move |url, limits| {
            let provider = HttpProvider::named(server, Some(Secret::from("sk-chaos-0123456789")))?
                .with_base_url(url)?
                .with_name("primary")
                .with_client(client.clone())
                .with_deadlines(limits.deadlines);
            Ok(Arc::new(provider))
        })
    };
    Ok(super::scripts().into_iter().map(subject).collect())
}

/// What the caller asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A whole answer.
    Whole,
    /// A stream.
    Stream,
}

/// One fault as it was played, once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChaosRow {
    /// The dialect's name.
    pub dialect: &'static str,
    /// The fault's name.
    pub fault: &'static str,
    /// What broke.
    pub group: FaultGroup,
    /// What the server did.
    pub about: &'static str,
    /// What was asked for.
    pub asked: Asked,
    /// What the caller of the adapter saw, in words.
    pub alone: String,
    /// What the caller of a turn with a healthy fallback saw, in words.
    pub in_turn: String,
    /// What was not as it has to be; empty when all was.
    pub breaches: Vec<String>,
}

/// Plays all [`faults`] to `subject`, for a whole answer and for a stream, alone and in a turn with a healthy fallback. Every row whose
/// `breaches` are not empty is a failure.
///
/// # Errors
/// When loopback cannot be bound or the adapter cannot be made.
pub async fn chaos(subject: &ChaosSubject) -> Result<Vec<ChaosRow>> {
    let shared = Shared::new()?;
    let plays = faults().into_iter().flat_map(|fault| [Asked::Whole, Asked::Stream].map(|asked| (fault, asked)));
    let rows = futures::stream::iter(plays).map(|(fault, asked)| one(subject, fault, asked, &shared));
    let mut rows: Vec<(usize, ChaosRow)> = rows
        .buffer_unordered(AT_ONCE)
        .enumerate()
        .map(|(at, row)| row.map(|row| (at, row)))
        .collect::<Vec<Result<_>>>()
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    let order: Vec<&str> = faults().iter().map(|f| f.name).collect();
    rows.sort_by_key(|(_, row)| (order.iter().position(|name| *name == row.fault), row.asked));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The answer that is right.
pub(super) fn right() -> Reply {
    Reply::text(["Grüße ", "aus ", "Köln 🙂 ", "und zurück."], 11, 7)
}

async fn one(subject: &ChaosSubject, fault: Fault, asked: Asked, shared: &Shared) -> Result<ChaosRow> {
    let mut breaches = Vec::new();
    let alone = tokio::time::timeout(HANG, alone(subject, fault, asked, &mut breaches)).await;
    let alone = alone.unwrap_or_else(|_| Ok("a hang".into()))?;
    let in_turn = tokio::time::timeout(HANG, turn::with_fallback(subject, fault, asked, shared, &mut breaches)).await;
    let in_turn = in_turn.unwrap_or_else(|_| Ok("a hang".into()))?;
    for hung in [("alone", &alone), ("in a turn", &in_turn)].into_iter().filter(|(_, seen)| *seen == "a hang") {
        breaches.push(format!("{}: hangs", hung.0));
    }
    let Fault { name, group, about, .. } = fault;
    Ok(ChaosRow { dialect: subject.script.name(), fault: name, group, about, asked, alone, in_turn, breaches })
}

/// The play of a fault, its server, and the adapter in front of it.
pub(super) struct Set {
    pub(super) play: Play,
    pub(super) server: Loopback,
    pub(super) provider: Arc<dyn Provider>,
}

impl Set {
    /// Whether a short deadline passed before the server had heard of every call.
    pub(super) fn is_too_soon(&self) -> bool {
        self.play.patience != Patience::Long && self.server.received().len() < self.play.answers.len()
    }
}

pub(super) async fn set(subject: &ChaosSubject, fault: Fault, asked: Asked, short: Duration) -> Result<Set> {
    let streaming = asked == Asked::Stream;
    let script = &*subject.script;
    let draft = Stage { script, streaming, reply: right(), limits: Limits::new(Patience::Long, streaming) };
    let play = (fault.play)(&draft);
    let limits = Limits::with_short(play.patience, streaming, short);
    let server = Loopback::start(play.answers.clone()).await.map_err(no_loopback)?;
    let url = if play.answers.is_empty() { closed_port()? } else { server.url() };
    let provider = (subject.make)(&url, &limits)?;
    if let (Some(gate), false) = (&play.gate, streaming) {
        gate.open();
    }
    Ok(Set { play, server, provider })
}

pub(super) fn no_loopback(error: std::io::Error) -> Error {
    Error::new(crate::ErrorKind::Config, format!("loopback cannot be used: {error}"))
}

/// An address that nobody listens at.
fn closed_port() -> Result<String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(no_loopback)?;
    Ok(format!("http://{}", listener.local_addr().map_err(no_loopback)?))
}

/// What came of a call.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) answer: ResponseBuilder,
    pub(super) finished: bool,
    pub(super) error: Option<Error>,
    pub(super) breaches: Vec<String>,
}

async fn alone(subject: &ChaosSubject, fault: Fault, asked: Asked, breaches: &mut Vec<String>) -> Result<String> {
    let mut told = String::new();
    for short in SHORT {
        let set = set(subject, fault, asked, short).await?;
        let mut found = Vec::new();
        told = alone_once(&set, fault, asked, &mut found).await;
        if !set.is_too_soon() || Some(&short) == SHORT.last() {
            breaches.append(&mut found);
            break;
        }
    }
    Ok(told)
}

async fn alone_once(set: &Set, fault: Fault, asked: Asked, breaches: &mut Vec<String>) -> String {
    let Set { play, server, provider } = set;
    let request = Request::new("m", vec![Message::user("Wie ist das Wetter?")]).with_max_tokens(64);
    let calls = play.answers.len().max(1);
    let mut told = String::new();
    let mut breach = |what: String| breaches.push(format!("alone: {what}"));
    for _ in 0..calls {
        let seen = match asked {
            Asked::Whole => match provider.complete(&request).await {
                Ok(response) => whole(response),
                Err(error) => Seen { error: Some(error), ..Seen::default() },
            },
            Asked::Stream => match provider.stream(&request).await {
                Ok(stream) => read(stream, play.gate.as_ref()).await,
                Err(error) => Seen { error: Some(error), ..Seen::default() },
            },
        };
        judge(play, asked, seen, &mut told, &mut breach);
    }
    let received = server.received();
    if received.len() != play.answers.len() {
        breach(format!("{} calls reached the server, not {}", received.len(), play.answers.len()));
    }
    if received.iter().any(|r| r.path.contains("sk-chaos")) {
        breach("the key is in the URL".into());
    }
    if play.patience != Patience::Long
        && !set.is_too_soon()
        && tokio::time::timeout(HANG / 3, server.abandoned(1)).await.is_err()
    {
        breach("the connection to a server that stalls is not closed".into());
    }
    if fault.name == "kept_alive" && asked == Asked::Whole && server.connections() != 1 {
        breach(format!("{} connections for two calls that could share one", server.connections()));
    }
    told
}

fn whole(response: Response) -> Seen {
    let mut seen = Seen { finished: true, ..Seen::default() };
    response.into_events().iter().for_each(|event| seen.answer.push(event));
    seen
}

async fn read(mut stream: EventStream, gate: Option<&Gate>) -> Seen {
    let mut seen = Seen::default();
    while let Some(item) = stream.next().await {
        if seen.finished || seen.error.is_some() {
            seen.breaches.push("something follows the end of the stream".into());
        }
        match item {
            Ok(event) => {
                seen.finished |= matches!(event, Event::Finish { .. });
                if event.is_content()
                    && let Some(gate) = gate
                {
                    gate.open();
                }
                seen.answer.push(&event);
            }
            Err(error) => seen.error = Some(error),
        }
    }
    seen
}

/// Holds what was seen against what has to be; `told` says it in words.
fn judge(play: &Play, asked: Asked, seen: Seen, told: &mut String, breach: &mut impl FnMut(String)) {
    let Seen { answer, finished, error, breaches } = seen;
    breaches.into_iter().for_each(&mut *breach);
    let answer = answer.build();
    let text = answer.text();
    match (&play.expect, error) {
        (Expect::Whole, Some(error)) => {
            *told = words(&error);
            breach(format!("has to be the whole answer and is {error}"));
        }
        (Expect::Whole, None) => {
            *told = "the answer".into();
            if !finished {
                breach("the stream ends without Finish or an error".into());
            }
            complete(play, &answer, &text, breach);
        }
        (Expect::Fails(_), None) => {
            *told = "the answer".into();
            breach(format!("has to fail and gives {text:?}, which is silently wrong"));
        }
        (Expect::Fails(failure), Some(error)) => {
            *told = words(&error);
            if error.kind() != failure.kind {
                breach(format!("has to be {}, is {error}", failure.kind));
            }
            if error.retry() != failure.retry {
                breach(format!("the advice has to be {:?}, is {:?}", failure.retry, error.retry()));
            }
            match (failure.wait, error.retry_after()) {
                (None, None) => {}
                (Some((least, most)), Some(wait)) if (least..=most).contains(&wait) => {}
                (want, wait) => breach(format!("the wait has to be {want:?}, is {wait:?}")),
            }
            let shown = if asked == Asked::Stream { play.told_text() } else { String::new() };
            let right = if play.at_least {
                text.starts_with(&shown) && play.reply.whole_text().starts_with(&text)
            } else {
                text == shown
            };
            if !right {
                breach(format!("the text before the error has to be {shown:?}, is {text:?}"));
            }
            let phase = match (play.answers.is_empty(), shown.is_empty()) {
                (true, _) => Phase::BeforeSend,
                (false, true) => Phase::BeforeContent,
                (false, false) => Phase::AfterContent,
            };
            if error.phase() != phase {
                breach(format!("the phase has to be {phase:?}, is {:?}", error.phase()));
            }
            if asked == Asked::Stream && answer.usage != play.told_usage() {
                breach(format!("the usage has to be {:?}, is {:?}", play.told_usage(), answer.usage));
            }
            if !answer.tool_calls().is_empty() {
                breach("a tool call is given that was not complete".into());
            }
            if error.provider() != Some("primary") || error.model() != Some("m") {
                breach(format!("does not name provider and model: {error}"));
            }
            if format!("{error:?}").contains("sk-chaos") {
                breach("the key is in the error".into());
            }
        }
    }
}

/// Whether `answer` is the whole of the play's reply.
pub(super) fn complete(play: &Play, answer: &Response, text: &str, breach: &mut impl FnMut(String)) {
    let reply = &play.reply;
    if text != reply.whole_text() {
        breach(format!("the text has to be {:?}, is {text:?}", reply.whole_text()));
    }
    let calls: Vec<_> = answer.tool_calls().iter().map(|c| (c.name.clone(), c.arguments.clone())).collect();
    if calls != reply.tool.iter().cloned().collect::<Vec<_>>() {
        breach(format!("the tool calls have to be {:?}, are {calls:?}", reply.tool));
    }
    let finish = if reply.tool.is_some() { FinishReason::ToolCalls } else { FinishReason::Stop };
    if answer.finish != finish {
        breach(format!("the reason to finish has to be {finish:?}, is {:?}", answer.finish));
    }
    if answer.usage != reply.usage() {
        breach(format!("the usage has to be {:?}, is {:?}", reply.usage(), answer.usage));
    }
}

/// An error in the words of the table.
pub(super) fn words(error: &Error) -> String {
    let phase = match error.phase() {
        Phase::BeforeSend => ", before anything was sent",
        Phase::BeforeContent => "",
        Phase::AfterContent => ", after content",
    };
    let wait = error.retry_after().map(|wait| match wait.as_secs() {
        // A date is as far away as the clock says.
        30..=90 => ", wait told".to_owned(),
        _ => format!(", wait {wait:?}"),
    });
    format!("`{}`{phase}{}", error.kind(), wait.unwrap_or_default())
}
