//! The five strategies over a partition.

use super::Partition;
use super::newest::Newest;
use crate::error::Result;
use crate::search::beside::beside;
use crate::search::bm25::QueryTerm;
use crate::search::top::TopK;
use crate::search::{Candidate, Filter, SearchQuery, Signal, Signals, Strategy, VectorIndex};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::sync::Arc;

/// How many of each relevance strategy are looked at, at the least: as many as a recall asks for, so that all its strategies, the
/// walk of the graph and the signals share one search.
const POOL: usize = 150;
/// From how many documents the graph is walked.
const SEEDS: usize = 3;
/// The most that a document from which it is walked counts.
const MOST_OF_A_SEED: f32 = 1.2;
/// What the second hop keeps of the first one's gain.
const SECOND_HOP: f32 = 0.5;

/// What several strategies need of the same question, computed once: the last question's is kept.
#[derive(Debug)]
pub(super) struct Memo {
    version: u64,
    text: Box<str>,
    vector: Option<Box<[f32]>>,
    filter: Filter,
    limit: usize,
    found: Arc<Found>,
}

/// What the relevance strategies found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) terms: Vec<QueryTerm>,
    pub(super) keyword: Vec<(u32, f32)>,
    pub(super) vector: Vec<(u32, f32)>,
    /// The reach of the graph: gain by slot.
    pub(super) graph: FxHashMap<u32, f32>,
    pub(super) entities: Vec<u32>,
}

/// A filter in terms of slots.
pub(super) struct Keep<'a> {
    partition: &'a Partition,
    filter: &'a Filter,
    conversation: Option<Option<u32>>,
    all: bool,
}

impl<'a> Keep<'a> {
    pub(super) fn new(partition: &'a Partition, filter: &'a Filter) -> Self {
        let conversation = filter.conversation.as_ref().map(|name| partition.conversation_ids.number(name));
        Self { partition, filter, conversation, all: *filter == Filter::default() }
    }

    pub(super) fn slot(&self, slot: u32) -> bool {
        if self.all {
            return true;
        }
        let Some(doc) = self.partition.document(slot) else { return false };
        let at = doc.at();
        (self.filter.kinds.is_empty() || self.filter.kinds.contains(&doc.kind))
            && self.conversation.is_none_or(|c| c.is_some() && c == doc.conversation())
            && self.filter.from.is_none_or(|from| at >= from)
            && self.filter.to.is_none_or(|to| at < to)
    }
}

/// What `strategy` finds, best first, ties by slot.
pub(super) fn slots(partition: &Partition, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<(u32, f32)>> {
    Ok(match strategy {
        Strategy::Keyword => found(partition, query)?.keyword.iter().take(query.limit).copied().collect(),
        Strategy::Vector => found(partition, query)?.vector.iter().take(query.limit).copied().collect(),
        Strategy::Graph => {
            let mut top = TopK::new(query.limit);
            for (slot, gain) in &found(partition, query)?.graph {
                top.push(*slot, *gain);
            }
            top.into_sorted()
        }
        Strategy::Profile => newest(&partition.profile, partition, query),
        Strategy::Recent => newest(&partition.newest, partition, query),
    })
}

/// Puts those of the same score in the order of their ids.
pub(super) fn ties_by_id(partition: &Partition, slots: &mut [(u32, f32)]) {
    let id = |slot| partition.id(slot);
    for same in slots.chunk_by_mut(|a, b| a.1 == b.1).filter(|same| same.len() > 1) {
        same.sort_unstable_by(|a, b| id(a.0).cmp(&id(b.0)));
    }
}

pub(super) fn search(partition: &Partition, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
    let signal = match strategy {
        Strategy::Keyword => Some(Signal::Keyword),
        Strategy::Vector => Some(Signal::Vector),
        Strategy::Graph => Some(Signal::Graph),
        Strategy::Profile | Strategy::Recent => None,
    };
    let candidate = |(slot, score): (u32, f32)| {
        let id = partition.id(slot)?.into();
        let mut signals = Signals::new();
        if let Some(signal) = signal {
            signals.set(signal, score);
        }
        Some(Candidate { id, found_by: [strategy].into_iter().collect(), signals })
    };
    let mut slots = slots(partition, strategy, query)?;
    if signal.is_some() {
        ties_by_id(partition, &mut slots);
    }
    Ok(slots.into_iter().filter_map(candidate).collect())
}

/// The newest of `by_time`.
fn newest(by_time: &Newest, partition: &Partition, query: &SearchQuery<'_>) -> Vec<(u32, f32)> {
    let keep = Keep::new(partition, query.filter);
    by_time.iter().filter(|slot| keep.slot(*slot)).take(query.limit).map(|slot| (slot, 0.0)).collect()
}

/// What the relevance strategies find, from the memo where the last question was the same.
pub(super) fn found(partition: &Partition, query: &SearchQuery<'_>) -> Result<Arc<Found>> {
    let pool = query.limit.max(POOL);
    if let Ok(memo) = partition.memo.lock()
        && let Some(memo) = memo.as_ref()
        && memo.version == partition.version
        && memo.limit == pool
        && &*memo.text == query.text
        && memo.vector.as_deref() == query.vector
        && memo.filter == *query.filter
    {
        return Ok(Arc::clone(&memo.found));
    }
    let found = Arc::new(find(partition, query, pool)?);
    if let Ok(mut memo) = partition.memo.lock() {
        *memo = Some(Memo {
            version: partition.version,
            text: query.text.into(),
            vector: query.vector.map(Into::into),
            filter: query.filter.clone(),
            limit: pool,
            found: Arc::clone(&found),
        });
    }
    Ok(found)
}

fn find(partition: &Partition, query: &SearchQuery<'_>, pool: usize) -> Result<Found> {
    let keep = Keep::new(partition, query.filter);
    let terms = partition.words.lookup(&partition.analyzer.query_terms(query.text));
    let in_filter = |slot: u32| keep.slot(slot);
    let filter = || (!keep.all).then_some(&in_filter as &dyn Fn(u32) -> bool);
    let (vector, keyword) = beside(
        query.vector.map_or(0, |_| partition.len()),
        || query.vector.map_or(Ok(Vec::new()), |vector| partition.vectors.search(vector, pool, filter())),
        || partition.words.best(&terms, pool, filter()),
    );
    let vector = vector?;
    let entities = partition.graph.named(&query.analysis.entities, query.text);
    let graph = walk(partition, &keyword, &vector, &entities, &keep);
    Ok(Found { terms, keyword, vector, graph, entities })
}

/// The best of both relevance strategies, half of each after min-max, and what one or two hops from them reach.
fn walk(
    partition: &Partition,
    keyword: &[(u32, f32)],
    vector: &[(u32, f32)],
    entities: &[u32],
    keep: &Keep<'_>,
) -> FxHashMap<u32, f32> {
    let mut joined: FxHashMap<u32, f32> =
        FxHashMap::with_capacity_and_hasher(keyword.len() + vector.len(), FxBuildHasher);
    for list in [keyword, vector] {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { continue };
        // The pool's end stands for "nothing": a keyword score starts at 0, a cosine where the pool ends.
        let floor = if std::ptr::eq(list, keyword) { 0.0 } else { last.1 };
        let spread = (first.1 - floor).max(1e-6);
        for (slot, score) in list {
            *joined.entry(*slot).or_insert(0.0) += 0.5 * (score - floor) / spread;
        }
    }
    // What names an entity of the question is as good a place to begin as what is like the question.
    let naming = partition.graph.naming(entities);
    for (slot, gain) in &naming {
        *joined.entry(*slot).or_insert(0.0) += gain;
    }
    let mut seeds = best(&joined, SEEDS);
    seeds.iter_mut().for_each(|(_, score)| *score = score.min(MOST_OF_A_SEED));
    let mut gains = partition.graph.hop(&seeds);
    let mut reached: FxHashMap<u32, f32> = joined;
    for (slot, gain) in &gains {
        *reached.entry(*slot).or_insert(0.0) += gain;
    }
    let second: Vec<(u32, f32)> = best(&reached, 2 * SEEDS)
        .into_iter()
        .filter(|(slot, _)| !seeds.iter().any(|(s, _)| s == slot))
        .take(SEEDS)
        .map(|(slot, score)| (slot, score.min(1.0) * SECOND_HOP))
        .collect();
    for (slot, gain) in partition.graph.hop(&second) {
        let held = gains.entry(slot).or_insert(0.0);
        *held = held.max(gain);
    }
    for (slot, gain) in naming {
        let held = gains.entry(slot).or_insert(0.0);
        *held = held.max(gain);
    }
    gains.retain(|slot, _| keep.slot(*slot));
    gains
}

fn best(scores: &FxHashMap<u32, f32>, limit: usize) -> Vec<(u32, f32)> {
    let mut top = TopK::new(limit);
    for (slot, score) in scores {
        top.push(*slot, *score);
    }
    top.into_sorted()
}
