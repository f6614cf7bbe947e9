//! What is known of the entities of a question: how often, in what, since when and beside whom they are named.

use super::Partition;
use super::find::Keep;
use crate::memory::MemoryType;
use crate::search::entities::entity_key;
use crate::search::{EntityFact, SearchQuery};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// The most entities of a question that are looked up.
const MOST_ENTITIES: usize = 5;
/// The newest documents of an entity that are read for it.
const MOST_READ: usize = 300;
/// The most names beside it, other names for it, and sources that are told.
const MOST_RELATED: usize = 4;
const MOST_ALIASES: usize = 2;
const MOST_SOURCES: usize = 3;
/// Words between two names that the graph also knows as one: `ada lovelace in lisbon`.
const JOINING: [&str; 3] = [" in ", " and ", " for "];

pub(super) fn known(partition: &Partition, query: &SearchQuery<'_>) -> Vec<EntityFact> {
    let keep = Keep::new(partition, query.filter);
    let asked = partition.graph.named(&query.analysis.entities, query.text);
    asked.iter().take(MOST_ENTITIES).filter_map(|entity| fact(partition, query, &keep, *entity, &asked)).collect()
}

fn fact(
    partition: &Partition,
    query: &SearchQuery<'_>,
    keep: &Keep<'_>,
    entity: u32,
    asked: &[u32],
) -> Option<EntityFact> {
    let graph = &partition.graph;
    let key = graph.name(entity)?;
    let spelt = query.analysis.entities.iter().find(|name| entity_key(name) == key);
    let mut fact = EntityFact { name: spelt.map_or(key, String::as_str).to_owned(), ..EntityFact::default() };
    let mut read: Vec<(Timestamp, u32, bool)> = Vec::new();
    let mut kinds = MemoryType::ALL.map(|kind| (kind, 0));
    for (slot, titled) in graph.documents(entity).filter(|(slot, _)| keep.slot(*slot)) {
        let Some(doc) = partition.document(slot) else { continue };
        fact.memories += 1;
        if let Some((_, count)) = kinds.iter_mut().find(|(kind, _)| *kind == doc.kind) {
            *count += 1;
        }
        // When a document was indexed says nothing of what it tells.
        if let Some(at) = doc.said_at().filter(|_| doc.kind != MemoryType::Semantic) {
            fact.first_said_at = Some(fact.first_said_at.map_or(at, |first| first.min(at)));
            fact.last_said_at = Some(fact.last_said_at.map_or(at, |last| last.max(at)));
        }
        read.push((doc.at(), slot, titled));
    }
    if read.is_empty() {
        return None;
    }
    let there = kinds.into_iter().filter(|(_, count)| *count > 0);
    fact.kinds = there.map(|(kind, count)| (kind.as_str().to_owned(), count)).collect();
    let id = |slot: u32| partition.id(slot);
    let newest_first =
        |a: &(Timestamp, u32, bool), b: &(Timestamp, u32, bool)| b.0.cmp(&a.0).then_with(|| id(a.1).cmp(&id(b.1)));
    if read.len() > MOST_READ {
        read.select_nth_unstable_by(MOST_READ, newest_first);
        read.truncate(MOST_READ);
    }
    read.sort_unstable_by(newest_first);
    let mut read: Vec<(u32, bool)> = read.into_iter().map(|(_, slot, titled)| (slot, titled)).collect();

    let mut beside: FxHashMap<u32, u64> = FxHashMap::default();
    for other in read.iter().flat_map(|(slot, _)| graph.entities_of(*slot)).filter(|other| **other != entity) {
        *beside.entry(*other).or_insert(0) += 1;
    }
    let mut beside: Vec<(u64, bool, &str)> = beside
        .into_iter()
        .filter_map(|(other, count)| graph.name(other).map(|name| (count, asked.contains(&other), name)))
        .filter(|(_, _, name)| !JOINING.iter().any(|word| name.contains(word)))
        .collect();
    // What is asked about too comes first, then what is named most.
    beside.sort_unstable_by_key(|(count, is_asked, name)| (Reverse(*is_asked), Reverse(*count), *name));
    let is_part = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with(' '));
    for (_, _, name) in beside {
        if is_part(key, name) || is_part(name, key) {
            if fact.aliases.len() < MOST_ALIASES {
                fact.aliases.push(name.to_owned());
            }
        } else if fact.related.len() < MOST_RELATED && !format!(" {key} ").contains(&format!(" {name} ")) {
            fact.related.push(name.to_owned());
        }
    }

    // Those of which it is the title, then those that name little else, then the newest.
    read.sort_by_key(|(slot, titled)| (Reverse(*titled), graph.entities_of(*slot).len()));
    fact.sources =
        read.iter().take(MOST_SOURCES).filter_map(|(slot, _)| partition.id(*slot).map(str::to_owned)).collect();
    Some(fact)
}
