//! A fault within a turn, with a healthy server beside the one that fails.

use super::faults::Fault;
use super::run::{Asked, ChaosSubject, Set, complete, no_loopback, set, words};
use super::script::Reply;
use super::stage::{Expect, Limits, Patience, Play, SHORT, Stage};
use crate::chat::{Event, ResponseBuilder, Usage};
use crate::embed::{Embedder, StaticEmbedder};
use crate::error::{Error, Result, Retry};
use crate::exec::{AttemptRecord, Recovery};
use crate::provider::Provider;
use crate::router::{Catalogue, Fleet, Plan, Planned, RouteQuery, Router};
use crate::testing::loopback::{Answer, Loopback};
use crate::turn::{Ask, Trace};
use crate::{Scope, Syntra};
use async_trait::async_trait;
use futures::StreamExt;
use std::sync::Arc;

/// What all turns of a run share, because it is dear to make.
pub(super) struct Shared {
    embedder: Arc<dyn Embedder>,
    catalogue: Catalogue,
    scope: Scope,
}

impl Shared {
    pub(super) fn new() -> Result<Self> {
        let embedder = Arc::new(StaticEmbedder::bundled()?);
        Ok(Self { embedder, catalogue: Catalogue::builtin(), scope: Scope::new("chaos", "caller")? })
    }
}

/// Tries the targets in the order in which they were configured.
#[derive(Debug)]
struct InOrder;

impl Router for InOrder {
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
        let planned = |target: &crate::router::Target| Planned { target: target.clone(), reason: "in order".into() };
        let order = fleet.targets.iter().map(|(target, _)| planned(target)).collect();
        Ok(Plan::new(order, Vec::new(), query.intent, query.confidence))
    }
}

/// The provider beside the one that fails, under its own name.
#[derive(Debug)]
struct Fallback(Arc<dyn Provider>);

#[async_trait]
impl Provider for Fallback {
    fn name(&self) -> &str {
        "fallback"
    }

    async fn complete(&self, request: &crate::Request) -> Result<crate::Response> {
        self.0.complete(request).await
    }

    async fn stream(&self, request: &crate::Request) -> Result<crate::chat::EventStream> {
        self.0.stream(request).await
    }

    fn can_resume(&self, request: &crate::Request) -> bool {
        self.0.can_resume(request)
    }

    fn deadlines(&self) -> Option<crate::transport::Deadlines> {
        self.0.deadlines()
    }
}

/// The answer of the healthy server: nothing of it is in the other's.
fn healthy() -> Reply {
    Reply::text(["Alles ", "gut."], 5, 3)
}

#[derive(Default)]
struct Seen {
    answer: ResponseBuilder,
    restarts: usize,
    provider: Option<String>,
    usage: Usage,
    error: Option<Error>,
    trace: Option<Arc<Trace>>,
    terminal: usize,
}

/// Plays `fault` in a turn; one that breaks an answer off after content is played for each [`Recovery`].
pub(super) async fn with_fallback(
    subject: &ChaosSubject,
    fault: Fault,
    asked: Asked,
    shared: &Shared,
    breaches: &mut Vec<String>,
) -> Result<String> {
    let (usual, broken_off) = once(subject, fault, asked, Recovery::Resume, shared, breaches).await?;
    if !broken_off {
        return Ok(usual);
    }
    let (anew, _) = once(subject, fault, asked, Recovery::ResumeOrRestart, shared, breaches).await?;
    // What comes of this is the adapter's own error; that it is so is judged all the same.
    once(subject, fault, asked, Recovery::Fail, shared, breaches).await?;
    Ok(if anew == usual { usual } else { format!("{usual} (`resume_or_restart`: {anew})") })
}

/// What the caller saw, in words, and whether it was after content.
async fn once(
    subject: &ChaosSubject,
    fault: Fault,
    asked: Asked,
    recovery: Recovery,
    shared: &Shared,
    breaches: &mut Vec<String>,
) -> Result<(String, bool)> {
    let mut seen = (String::new(), false);
    for short in SHORT {
        let set = set(subject, fault, asked, short).await?;
        let mut found = Vec::new();
        seen = with(&set, subject, asked, recovery, shared, &mut found).await?;
        if !set.is_too_soon() || Some(&short) == SHORT.last() {
            breaches.append(&mut found);
            break;
        }
    }
    Ok(seen)
}

async fn with(
    set: &Set,
    subject: &ChaosSubject,
    asked: Asked,
    recovery: Recovery,
    shared: &Shared,
    breaches: &mut Vec<String>,
) -> Result<(String, bool)> {
    let Set { play, server, provider } = set;
    let streaming = asked == Asked::Stream;
    let limits = Limits::new(Patience::Long, streaming);
    let stage = Stage { script: &*subject.script, streaming, reply: healthy(), limits };
    let (body, content_type) = stage.good();
    let answer = Answer::new(200, body).with_header("content-type", content_type);
    let beside = Loopback::start_with(move |_| answer.clone()).await.map_err(no_loopback)?;
    let fallback = Fallback((subject.make)(&beside.url(), &limits)?);
    let syntra = Syntra::builder()
        .in_memory()
        .embedder(shared.embedder.clone())
        .catalogue(shared.catalogue.clone())
        .router(Arc::new(InOrder))
        .extractive_fallback(false)
        .recovery(recovery)
        .shared_provider(provider.clone())
        .provider(fallback)
        .models("primary", ["m"])
        .models("fallback", ["m"])
        .build()?;
    let ask = Ask::new("Wie ist das Wetter?").with_recall(false).with_remember(false).with_max_tokens(64);
    let seen = match asked {
        Asked::Whole => whole(&syntra, &shared.scope, ask).await,
        Asked::Stream => stream(&syntra, &shared.scope, ask, play).await?,
    };
    let mut breach = |what: String| breaches.push(format!("in a turn: {what}"));
    let calls = (server.received().len(), beside.received().len());
    if seen.restarts > 0 && recovery != Recovery::ResumeOrRestart {
        breach("the answer is taken back, though the host did not ask for that".into());
    }
    if recovery == Recovery::Fail && asked == Asked::Stream && calls.1 > 0 && !play.told_text().is_empty() {
        breach("another model is called after content, though the host asked for an error".into());
    }
    let told = judge(play, asked, seen, calls, &mut breach);
    let broken_off = asked == Asked::Stream && !play.told_text().is_empty() && play.expect != Expect::Whole;
    Ok((told, broken_off))
}

async fn whole(syntra: &Syntra, scope: &Scope, ask: Ask) -> Seen {
    let mut seen = Seen { terminal: 1, ..Seen::default() };
    match syntra.ask(scope, ask).await {
        Err(error) => seen.error = Some(error),
        Ok(answer) => {
            let mut builder = ResponseBuilder::new();
            builder.push(&Event::Text { text: answer.text.clone() });
            answer.tool_calls.iter().for_each(|call| builder.push(&Event::ToolCall(call.clone())));
            builder.push(&Event::Finish { reason: answer.finish.clone() });
            seen.answer = builder;
            seen.provider = answer.turn.provider.clone();
            seen.usage = answer.turn.usage.clone();
            seen.trace = Some(answer.trace.clone());
        }
    }
    seen
}

async fn stream(syntra: &Syntra, scope: &Scope, ask: Ask, play: &Play) -> Result<Seen> {
    let mut stream = syntra.stream(scope, ask)?;
    let mut seen = Seen::default();
    while let Some(event) = stream.next().await {
        if event.is_content()
            && let Some(gate) = &play.gate
        {
            gate.open();
        }
        seen.answer.push(&event);
        match event {
            Event::Restart(_) => seen.restarts += 1,
            Event::Done(done) => {
                seen.terminal += 1;
                seen.provider = done.provider;
                seen.usage = done.usage;
            }
            Event::Error(error) => {
                seen.terminal += 1;
                seen.error = Some(error);
            }
            _ => {}
        }
    }
    seen.trace = stream.trace();
    Ok(seen)
}

/// Holds what was seen against what has to be, and says it in words.
fn judge(
    play: &Play,
    asked: Asked,
    seen: Seen,
    (primary, beside): (usize, usize),
    breach: &mut impl FnMut(String),
) -> String {
    if seen.terminal != 1 {
        breach(format!("{} terminal events, not one", seen.terminal));
    }
    let sent = usize::from(!play.answers.is_empty());
    if primary != sent {
        breach(format!("{primary} calls reached the server that fails, not {sent}"));
    }
    if let Some(trace) = &seen.trace {
        bill(play, asked, &trace.attempts, &seen, breach);
    }
    let answer = seen.answer.build();
    let text = answer.text();
    let content = if asked == Asked::Stream { play.told_text() } else { String::new() };
    let fallback = healthy().whole_text();
    match (&play.expect, &seen.error) {
        (Expect::Whole, None) => {
            let counted = crate::Response { usage: play.reply.usage(), ..answer };
            complete(play, &counted, &text, breach);
            if beside != 0 || seen.provider.as_deref() != Some("primary") {
                breach(format!("{beside} calls reached the fallback, which was not needed"));
            }
            "its answer".into()
        }
        (Expect::Whole, Some(error)) => {
            breach(format!("has to be the whole answer and is {error}"));
            words(error)
        }
        (Expect::Fails(failure), Some(error)) if failure.retry == Retry::Never => {
            if error.kind() != failure.kind {
                breach(format!("has to be {}, is {error}", failure.kind));
            }
            if beside != 0 {
                breach(format!("the caller's own fault was tried again elsewhere, {beside} times"));
            }
            format!("{}, nothing else is tried", words(error))
        }
        // Nothing had been shown: the reader notices nothing.
        (Expect::Fails(_), None) if content.is_empty() => {
            if text != fallback || beside != 1 || seen.provider.as_deref() != Some("fallback") {
                breach(format!("has to be the fallback's answer by one call, is {text:?} by {beside}"));
            }
            "the fallback's answer".into()
        }
        (Expect::Fails(_), Some(error)) if content.is_empty() => {
            breach(format!("a healthy fallback stood by, and the caller gets {error}"));
            words(error)
        }
        // What was shown stays, is taken back by a restart, or is gone on from; never twice and never less without a word.
        (Expect::Fails(_), None) => {
            let again = text == fallback && seen.restarts == 1;
            let on = text.strip_suffix(fallback.as_str()).is_some_and(|shown| {
                seen.restarts == 0 && shown.starts_with(&content) && play.reply.whole_text().starts_with(shown)
            });
            if beside != 1 || !(again || on) {
                breach(format!("after {content:?} the answer is {text:?}, {} restarts, {beside} calls", seen.restarts));
            }
            if again {
                "a restart, then the fallback's answer".into()
            } else {
                "the fallback goes on from the text".into()
            }
        }
        (Expect::Fails(failure), Some(error)) => {
            let shown = text.starts_with(&content) && play.reply.whole_text().starts_with(&text);
            if error.kind() != failure.kind || !shown {
                breach(format!("after {content:?} has to be {}, is {text:?} and {error}", failure.kind));
            }
            words(error)
        }
    }
}

/// What every attempt is billed: what its server told and nothing twice.
fn bill(play: &Play, asked: Asked, attempts: &[AttemptRecord], seen: &Seen, breach: &mut impl FnMut(String)) {
    let mut sum = Usage::default();
    for attempt in attempts {
        sum.add(&attempt.usage);
        let told = match (attempt.target.provider.as_str(), &play.expect, asked) {
            ("fallback", ..) => healthy().usage(),
            (_, Expect::Whole, _) => play.reply.usage(),
            (_, Expect::Fails(_), Asked::Stream) => play.told_usage(),
            (_, Expect::Fails(_), Asked::Whole) => Usage::default(),
        };
        // Where the server told nothing our own count may stand, marked as such.
        let fits = |told: Option<u64>, billed: Option<u64>| {
            told == billed || (told.is_none() && attempt.usage.estimated) || (play.at_least && told <= billed)
        };
        let right = fits(told.input_tokens, attempt.usage.input_tokens)
            && (fits(told.output_tokens, attempt.usage.output_tokens)
                // A count of before the end may be raised by our own.
                || attempt.usage.estimated && told.output_tokens <= attempt.usage.output_tokens);
        if !right {
            breach(format!("{} is billed {:?}, its server told {told:?}", attempt.target, attempt.usage));
        }
    }
    if seen.error.is_none() && seen.usage != sum {
        breach(format!("the turn is billed {:?}, its attempts add up to {sum:?}", seen.usage));
    }
    if attempts.iter().filter(|a| a.target.provider == "primary").count() > 1 {
        breach("the server that fails was tried again while a healthy one stood by".into());
    }
}
