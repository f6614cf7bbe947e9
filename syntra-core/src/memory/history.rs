//! What held at the time that a question asks about, where something else has taken its place since.

use super::{Memory, MemoryStore, Recalled};
use crate::chat::Scope;
use crate::error::Result;
use crate::query::TimeRange;
use crate::search::Filter;
use jiff::Timestamp;
use std::collections::HashMap;

/// Puts beside each of `items` the versions of it that held at the `asked` time and have been replaced since ("Where did I live in May?"),
/// with its score: before it where it did not hold then itself, after it where it did.
pub(super) async fn add_what_held(
    store: &dyn MemoryStore,
    scope: &Scope,
    asked: Option<&TimeRange>,
    now: Timestamp,
    filter: &Filter,
    items: &mut Vec<Recalled>,
) -> Result<()> {
    let Some(asked) = asked.filter(|asked| asked.from < now) else { return Ok(()) };
    let ids: Vec<String> = items.iter().map(|item| item.memory.id.clone()).collect();
    let mut replaced: HashMap<String, Vec<Memory>> = HashMap::new();
    for (id, memory) in store.replaced(scope, &ids, asked.from, asked.to).await? {
        if lets(filter, &memory) {
            replaced.entry(id).or_default().push(memory);
        }
    }
    if replaced.is_empty() {
        return Ok(());
    }
    let mut all = Vec::with_capacity(items.len() + replaced.len());
    for item in items.drain(..) {
        let versions = replaced.remove(&item.memory.id).unwrap_or_default();
        let versions = versions.into_iter().map(|memory| Recalled { memory, ..item.clone() });
        let first = all.len();
        all.extend(versions);
        let held_itself = item.memory.valid_from < asked.to;
        all.insert(if held_itself { first } else { all.len() }, item);
    }
    *items = all;
    Ok(())
}

fn lets(filter: &Filter, memory: &Memory) -> bool {
    (filter.kinds.is_empty() || filter.kinds.contains(&memory.kind))
        && filter.conversation.as_ref().is_none_or(|conversation| memory.conversation.as_ref() == Some(conversation))
        && filter.from.is_none_or(|from| memory.said_at >= from)
        && filter.to.is_none_or(|to| memory.said_at < to)
}
