//! The end of the corridor: the exchange goes to the thread, what is worth keeping to memory.

use super::{Outcome, Prepared, Turn};
use crate::chat::{Answered, Message, Role};
use crate::error::Result;
use crate::memory::{MemoryType, NewMemory, extract_facts};
use crate::thread::{NewThreadMessage, ThreadMessage};
use serde_json::{Map, Value, json};

/// Writes the exchange and ends the turn. The question and the answer are appended together, so that a failed or abandoned turn
/// leaves no half exchange behind and can be asked again. What fails here is a warning: the reader has the answer already.
pub(super) async fn save(turn: &mut Turn, prepared: Prepared, outcome: Outcome) -> Result<Answered> {
    let from = turn.elapsed();
    let response = outcome.answer.build();
    let mut answered = Answered::new(turn.trace.turn_id.clone(), turn.trace.thread_id.clone(), super::new_id());
    if let Some(target) = &outcome.target {
        answered.provider = Some(target.provider.clone());
        answered.model = Some(target.model.clone());
    }
    answered.degraded = outcome.degraded;
    answered.cached = outcome.cached;
    answered.usage = turn.trace.usage.clone();
    answered.cost = turn.trace.cost;
    answered.first_token_ms = outcome.first_token.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));

    match append(turn, &answered, response.message.clone()).await {
        Ok(written) => {
            if let Some((from, next)) = prepared.conversation.next.clone()
                && let Err(error) = turn.rooms.threads.set_summary(&turn.scope, &turn.trace.thread_id, from, next).await
            {
                turn.trace.warnings.push(format!("the summary of the thread was not kept: {error}"));
            }
            if turn.ask.remember
                && let Err(error) = remember(turn, &written, outcome.degraded).await
            {
                turn.trace.warnings.push(format!("the exchange was not remembered: {error}"));
            }
        }
        Err(error) => turn.trace.warnings.push(format!("the exchange was not saved: {error}")),
    }
    if let Err(error) = reinforce(turn, &prepared, outcome.quoted, &response.text()).await {
        turn.trace.warnings.push(format!("uses were not counted: {error}"));
    }
    turn.span("save_response", from);
    let elapsed = turn.elapsed();
    answered.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(answered)
}

async fn append(turn: &Turn, answered: &Answered, answer: Message) -> Result<Vec<ThreadMessage>> {
    if let Some(history) = &turn.ask.history {
        // The caller keeps the conversation; what was said may be remembered all the same.
        if !turn.ask.remember {
            return Ok(Vec::new());
        }
        let place = history.len() as u64;
        let one = |id, place, message| ThreadMessage { id, place, message, created_at: turn.now, metadata: Map::new() };
        let question = one(super::new_id(), place, turn.ask.message.clone());
        return Ok(vec![question, one(answered.message_id.clone(), place + 1, answer)]);
    }
    let threads = &turn.rooms.threads;
    let id = &turn.trace.thread_id;
    let mut metadata = Map::new();
    metadata.insert("turn_id".into(), json!(answered.turn_id));
    metadata.insert("provider".into(), json!(answered.provider));
    metadata.insert("model".into(), json!(answered.model));
    metadata.insert("degraded".into(), Value::Bool(answered.degraded));
    let question = NewThreadMessage::from(turn.ask.message.clone());
    let answer = NewThreadMessage { id: Some(answered.message_id.clone()), message: answer, metadata };
    let mut written = vec![question];
    written.extend(turn.exchange.iter().cloned().map(NewThreadMessage::from));
    written.push(answer);
    written.extend(turn.results.iter().cloned().map(NewThreadMessage::from));
    threads.append_or_create(&turn.scope, id, written).await
}

/// Remembers what was said, verbatim, and the facts that the user stated. A degraded answer is memory's own words and is not
/// remembered again, nor is a tool's.
async fn remember(turn: &Turn, written: &[ThreadMessage], degraded: bool) -> Result<()> {
    let mut items = Vec::new();
    for message in written {
        let role = message.message.role;
        let text = message.message.text();
        if text.trim().is_empty() || (role == Role::Assistant && degraded) || role == Role::Tool {
            continue;
        }
        let mut item = NewMemory::new(MemoryType::Episodic, text)
            .with_id(message.id.clone())
            .with_role(role)
            .with_conversation(turn.trace.thread_id.clone())
            .with_said_at(turn.now);
        item.speaker.clone_from(&message.message.name);
        items.push(item);
    }
    if !items.is_empty() {
        turn.rooms.memories.remember(&turn.scope, items).await?;
    }
    if turn.ask.message.role == Role::User {
        remember_facts(turn).await?;
    }
    Ok(())
}

/// A fact of which a user has only one (a home, a name) ends the validity of the one before it.
async fn remember_facts(turn: &Turn) -> Result<()> {
    let memories = &turn.rooms.memories;
    for fact in extract_facts(&turn.ask.message.text()) {
        let mut item = NewMemory::new(fact.kind, fact.text).with_said_at(turn.now).with_reliability(0.9);
        item.metadata.insert("evidence".into(), json!(fact.evidence));
        item.metadata.insert("thread".into(), json!(turn.trace.thread_id));
        match fact.attribute {
            Some(attribute) => drop(memories.remember_fact(&turn.scope, &attribute, item).await?),
            None => drop(memories.remember(&turn.scope, vec![item]).await?),
        }
    }
    Ok(())
}

/// Counts a use of each memory that the answer quotes or cites by its label; of each that was shown, where it cites none.
async fn reinforce(turn: &Turn, prepared: &Prepared, quoted: Vec<String>, answer: &str) -> Result<()> {
    let mut used = quoted;
    if !turn.trace.degraded {
        let shown = || prepared.context.lines.iter().filter_map(|l| l.label.zip(l.memory_id.clone()));
        used = shown().filter(|(label, _)| answer.contains(&format!("[{label}]"))).map(|(_, id)| id).collect();
        if used.is_empty() {
            used = shown().map(|(_, id)| id).collect();
        }
    }
    used.sort_unstable();
    used.dedup();
    if used.is_empty() {
        return Ok(());
    }
    turn.rooms.memories.used(&turn.scope, &used).await
}
