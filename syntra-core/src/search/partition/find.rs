//! The five strategies over a partition.

use super::Partition;
use crate::error::Result;
use crate::memory::MemoryType;
use crate::search::bm25::{Bm25Params, QueryTerm};
use crate::search::top::TopK;
use crate::search::{Candidate, Filter, SearchQuery, Signal, Signals, Strategy, VectorIndex};
use std::collections::HashMap;
use std::sync::Arc;

/// How many of each relevance strategy are looked at to choose the seeds of the graph and its reach.
const POOL: usize = 100;
/// From how many documents the graph is walked.
const SEEDS: usize = 3;
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
    pub(super) graph: HashMap<u32, f32>,
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
        let conversation =
            filter.conversation.as_ref().map(|name| partition.conversation_ids.get(name.as_str()).copied());
        Self { partition, filter, conversation, all: *filter == Filter::default() }
    }

    pub(super) fn slot(&self, slot: u32) -> bool {
        if self.all {
            return true;
        }
        let Some(doc) = self.partition.document(slot) else { return false };
        let at = doc.at();
        (self.filter.kinds.is_empty() || self.filter.kinds.contains(&doc.kind))
            && self.conversation.is_none_or(|c| c.is_some() && c == doc.conversation)
            && self.filter.from.is_none_or(|from| at >= from)
            && self.filter.to.is_none_or(|to| at < to)
    }
}

pub(super) fn search(partition: &Partition, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
    let keep = Keep::new(partition, query.filter);
    match strategy {
        Strategy::Keyword => {
            let found = found(partition, query)?;
            Ok(candidates(partition, strategy, Some(Signal::Keyword), &found.keyword, query.limit))
        }
        Strategy::Vector => {
            let found = found(partition, query)?;
            Ok(candidates(partition, strategy, Some(Signal::Vector), &found.vector, query.limit))
        }
        Strategy::Graph => {
            let found = found(partition, query)?;
            let mut top = TopK::new(query.limit);
            for (slot, gain) in &found.graph {
                top.push(*slot, *gain);
            }
            Ok(candidates(partition, strategy, Some(Signal::Graph), &top.into_sorted(), query.limit))
        }
        Strategy::Profile => Ok(newest(partition, strategy, query, &keep, Some(MemoryType::Profile))),
        Strategy::Recent => Ok(newest(partition, strategy, query, &keep, None)),
    }
}

/// The newest documents, of one type or of all.
fn newest(
    partition: &Partition,
    strategy: Strategy,
    query: &SearchQuery<'_>,
    keep: &Keep<'_>,
    kind: Option<MemoryType>,
) -> Vec<Candidate> {
    let mut best: std::collections::BinaryHeap<std::cmp::Reverse<(jiff::Timestamp, u32)>> = Default::default();
    // The newest mostly came last: from the end on, nearly all others are turned away at the first comparison.
    for (slot, doc) in partition.slots.iter().enumerate().rev() {
        let Some(doc) = doc else { continue };
        let entry = std::cmp::Reverse((doc.at(), slot as u32));
        if kind.is_some_and(|kind| kind != doc.kind)
            || (best.len() >= query.limit && best.peek().is_some_and(|oldest| entry >= *oldest))
            || !keep.slot(slot as u32)
        {
            continue;
        }
        best.push(entry);
        if best.len() > query.limit {
            best.pop();
        }
    }
    let slots: Vec<(u32, f32)> = best.into_sorted_vec().into_iter().map(|r| (r.0.1, 0.0)).collect();
    candidates(partition, strategy, None, &slots, query.limit)
}

fn candidates(
    partition: &Partition,
    strategy: Strategy,
    signal: Option<Signal>,
    slots: &[(u32, f32)],
    limit: usize,
) -> Vec<Candidate> {
    let mut found: Vec<(f32, &str)> = slots
        .iter()
        .take(limit)
        .filter_map(|(slot, score)| partition.document(*slot).map(|doc| (*score, &*doc.id)))
        .collect();
    if signal.is_some() {
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    }
    let candidate = |(score, id): (f32, &str)| {
        let mut signals = Signals::new();
        if let Some(signal) = signal {
            signals.set(signal, score);
        }
        Candidate { id: id.to_owned(), found_by: vec![strategy], signals }
    };
    found.into_iter().map(candidate).collect()
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
    let keyword = keyword(partition, &terms, &keep, pool);
    let vector = match query.vector {
        None => Vec::new(),
        Some(vector) if keep.all => partition.vectors.search(vector, pool, None)?,
        Some(vector) => partition.vectors.search(vector, pool, Some(&|slot| keep.slot(slot)))?,
    };
    let entities = partition.graph.named(&query.analysis.entities, query.text);
    let graph = walk(partition, &keyword, &vector, &entities, &keep);
    Ok(Found { terms, keyword, vector, graph, entities })
}

fn keyword(partition: &Partition, terms: &[QueryTerm], keep: &Keep<'_>, pool: usize) -> Vec<(u32, f32)> {
    let params = Bm25Params::default();
    let average = partition.words.average();
    let lengths = partition.words.lengths();
    let mut scores = vec![0.0f32; partition.slots.len()];
    let mut touched: Vec<u32> = Vec::new();
    for t in terms {
        for posting in partition.words.postings(t.term) {
            let (Some(score), Some(length)) =
                (scores.get_mut(posting.slot as usize), lengths.get(posting.slot as usize))
            else {
                continue;
            };
            if *score == 0.0 {
                if !keep.slot(posting.slot) {
                    continue;
                }
                touched.push(posting.slot);
            }
            *score += t.idf * params.saturate(posting.tf, *length, average);
        }
    }
    let mut top = TopK::new(pool);
    for slot in touched {
        top.push(slot, scores.get(slot as usize).copied().unwrap_or(0.0));
    }
    top.into_sorted()
}

/// The best of both relevance strategies, half of each after min-max, and what one or two hops from them reach.
fn walk(
    partition: &Partition,
    keyword: &[(u32, f32)],
    vector: &[(u32, f32)],
    entities: &[u32],
    keep: &Keep<'_>,
) -> HashMap<u32, f32> {
    let mut joined: HashMap<u32, f32> = HashMap::new();
    for list in [keyword, vector] {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { continue };
        // The pool's end stands for "nothing": a keyword score starts at 0, a cosine where the pool ends.
        let floor = if std::ptr::eq(list, keyword) { 0.0 } else { last.1 };
        let spread = (first.1 - floor).max(1e-6);
        for (slot, score) in list {
            *joined.entry(*slot).or_insert(0.0) += 0.5 * (score - floor) / spread;
        }
    }
    let seeds = best(&joined, SEEDS);
    let mut gains = partition.graph.hop(&seeds);
    let mut reached: HashMap<u32, f32> = joined.clone();
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
    for (slot, gain) in partition.graph.naming(entities) {
        let held = gains.entry(slot).or_insert(0.0);
        *held = held.max(gain);
    }
    gains.retain(|slot, _| keep.slot(*slot));
    gains
}

fn best(scores: &HashMap<u32, f32>, limit: usize) -> Vec<(u32, f32)> {
    let mut top = TopK::new(limit);
    for (slot, score) in scores {
        top.push(*slot, *score);
    }
    top.into_sorted()
}
