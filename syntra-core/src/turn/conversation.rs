//! The conversation as a turn reads it: its newest messages word for word, what is older as a summary.

use super::Turn;
use crate::chat::Message;
use crate::context::{Rolling, SUMMARY_EVERY, begins_exchange, summarise};
use crate::error::{ErrorKind, Result};
use crate::thread::{ThreadMessage, ThreadSummary};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Messages read beside the newest: those that wait for their block of exchanges to be whole, as a rule.
const MARGIN: u64 = 4 * SUMMARY_EVERY as u64;
/// Messages read at once where a summary is behind, and how many times a turn does so. What is left waits for the next turns.
const PAGE: u64 = 128;
const MOST_PAGES: usize = 16;

/// What a turn knows of its thread.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The newest messages, oldest of them first, from the beginning of an exchange on where there is one among them.
    pub(super) history: Vec<ThreadMessage>,
    /// What came before them; `None` where nothing did.
    pub(super) older: Option<ThreadSummary>,
    /// What is to be kept with the thread, and how many messages the summary covers that it replaces.
    pub(super) next: Option<(u64, ThreadSummary)>,
}

/// thread: the conversation so far. It costs what was said since the summary that is kept, not what was said in all: the kept one
/// grows by whole blocks of [`SUMMARY_EVERY`] exchanges, and for this turn by what lies between it and the newest messages.
pub(super) async fn read_thread(turn: &mut Turn) -> Result<Conversation> {
    let from = turn.elapsed();
    let conversation = read(turn).await;
    turn.span("setup", from);
    if let Ok(conversation) = &conversation {
        turn.trace.summary.clone_from(&conversation.older);
    }
    conversation
}

/// The conversation that the caller keeps: the newest `keep` messages, what is older as a summary of this turn's own.
fn given(history: &[Message], keep: u64, now: Timestamp) -> Conversation {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let message = |(place, message): (usize, &Message)| ThreadMessage {
        id: String::new(),
        place: place as u64,
        message: message.clone(),
        created_at: now,
        metadata: Map::new(),
    };
    let mut messages: Vec<ThreadMessage> = history.iter().enumerate().map(message).collect();
    if messages.len() <= keep || keep == 0 {
        messages.truncate(keep);
        return Conversation { history: messages, ..Conversation::default() };
    }
    let boundary = boundary(&messages, (messages.len() - keep) as u64);
    let older: Vec<ThreadMessage> = messages.extract_if(.., |m| m.place < boundary).collect();
    let older = ThreadSummary { covered: older.len() as u64, text: summarise(None, &said(&older)) };
    Conversation { history: messages, older: Some(older).filter(|older| older.covered > 0), next: None }
}

async fn read(turn: &mut Turn) -> Result<Conversation> {
    if let Some(history) = &turn.ask.history {
        return Ok(given(history, turn.rooms.history_messages, turn.now));
    }
    let Some(id) = turn.ask.thread.clone() else { return Ok(Conversation::default()) };
    let (threads, scope, keep) = (turn.rooms.threads.clone(), turn.scope.clone(), turn.rooms.history_messages);
    if keep == 0 {
        return Ok(Conversation::default());
    }
    let mut messages = match threads.history(&scope, &id, keep.saturating_add(MARGIN), None).await {
        // A thread that is not there yet begins with this turn.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Conversation::default()),
        other => other?,
    };
    let (Some(first), Some(last)) = (messages.first().map(|m| m.place), messages.last().map(|m| m.place)) else {
        return Ok(Conversation::default());
    };
    let boundary = boundary(&messages, last.saturating_add(1).saturating_sub(keep));
    let mut state = match threads.summary(&scope, &id).await {
        Ok(state) => state,
        Err(error) => {
            turn.trace.warnings.push(format!("the summary of the thread was not read: {error}"));
            messages.retain(|m| m.place >= boundary);
            return Ok(Conversation { history: messages, ..Conversation::default() });
        }
    };
    let kept = state.covered;

    // What lies between the summary and the messages at hand.
    for _ in 0..MOST_PAGES {
        if first.saturating_sub(state.covered) <= PAGE {
            break;
        }
        let until = state.covered + PAGE;
        let page = threads.history(&scope, &id, PAGE, Some(until)).await?;
        state = ThreadSummary { covered: until, text: summarise(state.text.as_deref(), &said(&page)) };
    }
    let behind = first.saturating_sub(state.covered);
    if behind > PAGE {
        turn.trace.warnings.push(format!(
            "the summary covers the first {} messages; {behind} after them wait for the next turns",
            state.covered
        ));
    } else {
        if behind > 0 {
            let mut page = threads.history(&scope, &id, behind, Some(first)).await?;
            page.append(&mut messages);
            messages = page;
        }
        state = advance(state, &messages, boundary);
    }

    let waiting: Vec<ThreadMessage> =
        messages.extract_if(.., |m| m.place < boundary).filter(|m| m.place >= state.covered).collect();
    let text = match waiting.is_empty() {
        true => state.text.clone(),
        false => summarise(state.text.as_deref(), &said(&waiting)),
    };
    let older = (boundary > 0).then_some(ThreadSummary { covered: boundary, text });
    let next = (state.covered > kept).then_some((kept, state));
    Ok(Conversation { history: messages, older, next })
}

/// The place from which on messages stay as they are: that of the first exchange that begins at `from` or after it, for half an
/// exchange is left out of a prompt; `from` itself where none begins.
fn boundary(messages: &[ThreadMessage], from: u64) -> u64 {
    let begins = |m: &&ThreadMessage| m.place >= from && begins_exchange(&m.message);
    match from {
        0 => 0,
        from => messages.iter().find(begins).map_or(from, |m| m.place),
    }
}

/// The kept summary after whole blocks of exchanges older than `boundary` went into it. `messages` follow it without a gap.
fn advance(state: ThreadSummary, messages: &[ThreadMessage], boundary: u64) -> ThreadSummary {
    let uncovered = messages.get(messages.partition_point(|m| m.place < state.covered)..).unwrap_or_default();
    let newest = uncovered.iter().filter(|m| m.place >= boundary && begins_exchange(&m.message)).count();
    let rolling = Rolling { summary: state.text.clone(), covered: 0 };
    match rolling.advance(&said(uncovered), newest.max(1)) {
        Some(next) => ThreadSummary { covered: state.covered + next.covered as u64, text: next.summary },
        None => state,
    }
}

/// What was said. An extractive answer repeats memory and is not news.
fn said(messages: &[ThreadMessage]) -> Vec<Message> {
    let degraded = |m: &ThreadMessage| m.metadata.get("degraded") == Some(&Value::Bool(true));
    messages.iter().map(|m| if degraded(m) { Message::assistant("") } else { m.message.clone() }).collect()
}
