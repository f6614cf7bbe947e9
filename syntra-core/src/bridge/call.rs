//! One method call: JSON in, JSON out.

use super::host::ask;
use super::words::{
    Append, AsOf, AskParams, Complete, Count, Directory, Feedback, History, Ids, Index, Items, Learned, Listing,
    NewThread, Nothing, One, RecallParams, Scoped, Supersede, Texts, Threads, Turned, Update, read,
};
use super::{Batches, Bridged, Host};
use crate::chat::{Answered, Citation, FinishReason, Message, ToolCall};
use crate::documents::{IndexProgress, IndexReport};
use crate::error::{Error, Result};
use crate::turn::Trace;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Steps of an index that may wait for a slow listener.
const TOLD: usize = 256;

/// Every method of [`call`], and `stream`, which is [`stream`]: what a binding has to offer.
pub const METHODS: &[&str] = &[
    "append",
    "ask",
    "complete",
    "count_tokens",
    "create_thread",
    "delete_thread",
    "document_stats",
    "embed",
    "erase",
    "experiments",
    "export_learned",
    "feedback",
    "forget",
    "health",
    "history",
    "import_learned",
    "index_directory",
    "list_memories",
    "memories",
    "memories_as_of",
    "memory_stats",
    "embed_missing",
    "models",
    "plan",
    "providers",
    "recall",
    "remember",
    "remove_directory",
    "reset_learned",
    "stream",
    "supersede",
    "thread",
    "threads",
    "trace",
    "update_memory",
];

/// Calls `method` of [`crate::Syntra`] with `params`, a JSON object with its arguments by name, and returns its result as JSON.
/// Dropping the future cancels the call.
///
/// # Errors
/// [`crate::ErrorKind::InvalidInput`] for an unknown method and for arguments that do not fit, naming them; else the method's own.
pub async fn call(bridged: &Bridged, method: &str, params: &str) -> Result<String> {
    let syntra = &bridged.syntra;
    if method != "ask" {
        bridged.tick().await?;
    }
    match method {
        "ask" => {
            let (json, trace) = answered(bridged, params).await?;
            // In place of the closing brace.
            let trace = explained(&trace)?;
            Ok(format!("{},\"trace\":{trace}}}", json.strip_suffix('}').unwrap_or(&json)))
        }
        "plan" => {
            let (scope, ask) = read::<AskParams>(method, params)?.into_parts();
            let plan = syntra.plan(&scope, ask).await?;
            let mut value = json_of(&plan)?;
            value["explanation"] = plan.explain().into();
            Ok(value.to_string())
        }
        "trace" => {
            let p: Turned = read(method, params)?;
            match syntra.trace(&p.scope, &p.turn_id) {
                Some(trace) => Ok(explained(&trace)?.to_string()),
                None => Ok("null".into()),
            }
        }
        "feedback" => {
            let p: Feedback = read(method, params)?;
            syntra.feedback(&p.scope, &p.turn_id, p.score).await?;
            Ok("null".into())
        }
        "experiments" => {
            let p: Scoped = read(method, params)?;
            text(&syntra.experiments(&p.scope))
        }
        "export_learned" => {
            let p: Scoped = read(method, params)?;
            text(&json!({"learned": syntra.export_learned(&p.scope)}))
        }
        "import_learned" => {
            let p: Learned = read(method, params)?;
            syntra.import_learned(&p.scope, &p.learned).await?;
            Ok("null".into())
        }
        "reset_learned" => {
            let p: Scoped = read(method, params)?;
            text(&syntra.reset_learned(&p.scope).await?)
        }
        "complete" => {
            let p: Complete = read(method, params)?;
            text(&syntra.complete(&p.provider, &p.request).await?)
        }
        "remember" => {
            let p: Items = read(method, params)?;
            text(&syntra.remember(&p.scope, p.items).await?)
        }
        "recall" => {
            let (scope, request) = read::<RecallParams>(method, params)?.into_parts()?;
            let recall = syntra.recall(&scope, request).await?;
            let mut value = json_of(&recall)?;
            let micros =
                |(name, time): &(&str, Duration)| json!([name, u64::try_from(time.as_micros()).unwrap_or(u64::MAX)]);
            value["spans"] = recall.spans.iter().map(micros).collect();
            Ok(value.to_string())
        }
        "update_memory" => {
            let p: Update = read(method, params)?;
            text(&syntra.update_memory(&p.scope, &p.id, p.patch.into()).await?)
        }
        "supersede" => {
            let p: Supersede = read(method, params)?;
            text(&syntra.supersede(&p.scope, &p.old, p.new).await?)
        }
        "forget" => {
            let p: Ids = read(method, params)?;
            text(&syntra.forget(&p.scope, &p.ids).await?)
        }
        "memories" => {
            let p: Ids = read(method, params)?;
            text(&syntra.memories(&p.scope, &p.ids).await?)
        }
        "list_memories" => {
            let p: Listing = read(method, params)?;
            text(&syntra.list_memories(&p.scope, &p.filter.into(), p.page.into()).await?)
        }
        "memories_as_of" => {
            let p: AsOf = read(method, params)?;
            text(&syntra.memories_as_of(&p.scope, p.at, &p.filter.into(), p.page.into()).await?)
        }
        "memory_stats" => {
            let p: Scoped = read(method, params)?;
            text(&syntra.memory_stats(&p.scope).await?)
        }
        "embed_missing" => {
            let p: Scoped = read(method, params)?;
            text(&syntra.embed_missing(&p.scope).await?)
        }
        "erase" => {
            let p: Scoped = read(method, params)?;
            text(&syntra.erase(&p.scope).await?)
        }
        "index_directory" => {
            let p: Index = read(method, params)?;
            let listener = p.progress.clone().zip(bridged.host.clone());
            match listener {
                None => text(&syntra.index_directory(&p.scope, &p.path, &p.only, |_| {}).await?),
                Some((object, host)) => text(&indexed(bridged, &p, &object, &host).await?),
            }
        }
        "document_stats" => {
            let p: Scoped = read(method, params)?;
            text(&syntra.document_stats(&p.scope).await?)
        }
        "remove_directory" => {
            let p: Directory = read(method, params)?;
            text(&syntra.remove_directory(&p.scope, &p.path).await?)
        }
        "create_thread" => {
            let p: NewThread = read(method, params)?;
            text(&syntra.create_thread(&p.scope, p.id.as_deref(), p.title.as_deref()).await?)
        }
        "thread" => {
            let p: One = read(method, params)?;
            text(&syntra.thread(&p.scope, &p.id).await?)
        }
        "threads" => {
            let p: Threads = read(method, params)?;
            text(&syntra.threads(&p.scope, p.page.into()).await?)
        }
        "history" => {
            let p: History = read(method, params)?;
            text(&syntra.history(&p.scope, &p.thread, p.limit, p.before).await?)
        }
        "append" => {
            let p: Append = read(method, params)?;
            text(&syntra.append(&p.scope, &p.thread, p.messages).await?)
        }
        "delete_thread" => {
            let p: One = read(method, params)?;
            text(&syntra.delete_thread(&p.scope, &p.id).await?)
        }
        "count_tokens" => {
            let p: Count = read(method, params)?;
            let (tokens, exact) = syntra.count_tokens(&p.model, &p.text);
            text(&json!({"tokens": tokens, "exact": exact}))
        }
        "embed" => {
            let p: Texts = read(method, params)?;
            let texts: Vec<&str> = p.texts.iter().map(String::as_str).collect();
            text(&syntra.embed(&texts).await?)
        }
        "providers" => {
            let Nothing {} = read(method, params)?;
            text(&syntra.providers())
        }
        "models" => {
            let Nothing {} = read(method, params)?;
            text(&syntra.models())
        }
        "health" => {
            let Nothing {} = read(method, params)?;
            text(&syntra.health().await)
        }
        _ => Err(Error::invalid(format!("there is no method {method:?}"))),
    }
}

/// What [`reply`] answers: JSON, and the trace of a turn, which is written only for who wants it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The result as JSON, without the trace.
    pub json: String,
    /// Why the turn did what it did; [`trace_json`] writes it.
    pub trace: Option<Arc<Trace>>,
}

/// As [`call`], with the trace of an answer beside it instead of in it: most callers never look at it.
///
/// # Errors
/// As [`call`].
pub async fn reply(bridged: &Bridged, method: &str, params: &str) -> Result<Reply> {
    if method == "ask" {
        let (json, trace) = answered(bridged, params).await?;
        return Ok(Reply { json, trace: Some(trace) });
    }
    call(bridged, method, params).await.map(|json| Reply { json, trace: None })
}

/// A trace as JSON, with its words.
///
/// # Errors
/// [`crate::ErrorKind::Unknown`] when it cannot be written.
pub fn trace_json(trace: &Trace) -> Result<String> {
    Ok(explained(trace)?.to_string())
}

/// As [`call`] of `ask`, with the answer as it is, for a binding that makes objects of its own of it: reading JSON takes longer.
///
/// # Errors
/// As [`call`].
pub async fn answer(bridged: &Bridged, params: &str) -> Result<crate::Answer> {
    bridged.tick().await?;
    let (scope, ask) = read::<AskParams>("ask", params)?.into_parts();
    bridged.syntra.ask(&scope, ask).await
}

/// The answer as JSON without its trace, and its trace.
async fn answered(bridged: &Bridged, params: &str) -> Result<(String, Arc<Trace>)> {
    let answer = answer(bridged, params).await?;
    let words = Answer {
        text: &answer.text,
        reasoning: &answer.reasoning,
        tool_calls: &answer.tool_calls,
        citations: &answer.citations,
        refusal: answer.refusal.as_deref(),
        finish: &answer.finish,
        message: &answer.message,
        turn: &answer.turn,
    };
    Ok((text(&words)?, answer.trace))
}

/// [`crate::Answer`] without its trace.
#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    reasoning: &'a str,
    tool_calls: &'a [ToolCall],
    citations: &'a [Citation],
    refusal: Option<&'a str>,
    finish: &'a FinishReason,
    message: &'a Message,
    #[serde(flatten)]
    turn: &'a Answered,
}

/// Opens the stream of a turn; `params` are those of the method `ask`.
///
/// # Errors
/// As [`call`]; what goes wrong in the turn comes in the stream.
pub async fn stream(bridged: &Bridged, params: &str) -> Result<Batches> {
    let (scope, ask) = read::<AskParams>("stream", params)?.into_parts();
    bridged.tick().await?;
    Ok(Batches::new(bridged.syntra.stream(&scope, ask)?))
}

/// Indexes and tells `object` of the progress, in order and all of it before the end. What it raises is the call's error.
async fn indexed(bridged: &Bridged, index: &Index, object: &str, host: &Arc<dyn Host>) -> Result<IndexReport> {
    let (sender, mut receiver) = mpsc::channel(TOLD);
    let indexing = async {
        // A listener that is slower than the disk misses steps between, never the last.
        let mut last = None;
        let progress = |progress: IndexProgress| {
            last = match sender.try_send(progress) {
                Err(TrySendError::Full(progress)) => Some(progress),
                _ => None,
            };
        };
        let report = bridged.syntra.index_directory(&index.scope, &index.path, &index.only, progress).await;
        if let Some(progress) = last {
            let _ = sender.send(progress).await;
        }
        drop(sender);
        report
    };
    let telling = async {
        while let Some(progress) = receiver.recv().await {
            let told = async { ask::<Value>(host, object, "progress", &json_of(&progress)?).await }.await;
            if let Err(error) = told {
                // Otherwise the indexing would wait for room that never comes.
                receiver.close();
                return Err(error);
            }
        }
        Ok(())
    };
    let (report, told): (_, Result<()>) = futures::join!(indexing, telling);
    let report = report?;
    told?;
    Ok(report)
}

fn explained(trace: &Trace) -> Result<Value> {
    let mut value = json_of(trace)?;
    value["explanation"] = trace.explain().into();
    Ok(value)
}

fn json_of<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| unwritable(&e))
}

fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| unwritable(&e))
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::new(crate::ErrorKind::Unknown, format!("the result cannot be written as JSON: {error}"))
}
