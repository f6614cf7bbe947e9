//! Several strategies of a store at once, each id once, every signal that can be computed of it.

use super::{MemoryStore, StrategyReport};
use crate::chat::Scope;
use crate::clock::Clock;
use crate::error::Result;
use crate::search::{Candidate, EntityFact, SearchQuery, Strategy};
use futures::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;

/// What several strategies found together, see [`MemoryStore::gather`].
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// One report a strategy, in the order asked for.
    pub reports: Vec<StrategyReport>,
    /// Each candidate once, with the strategies that found it and every signal that the store can compute.
    pub candidates: Vec<Candidate>,
    /// What the graph knows of the entities of the question; empty where it was not asked, or a store has none.
    pub entities: Vec<EntityFact>,
}

/// [`MemoryStore::gather`] by one call a strategy, all at once, and one for the signals.
pub(super) async fn one_by_one<S: MemoryStore + ?Sized>(
    store: &S,
    scope: &Scope,
    strategies: &[(Strategy, usize)],
    query: &SearchQuery<'_>,
    most: usize,
    clock: &dyn Clock,
) -> Result<Gathered> {
    let runs = strategies.iter().map(|(strategy, limit)| async move {
        let begin = clock.monotonic();
        let outcome = store.recall(scope, *strategy, &SearchQuery { limit: *limit, ..query.clone() }).await;
        let elapsed_us = clock.monotonic().saturating_sub(begin).as_micros() as u64;
        let (found, error) = match outcome {
            Ok(found) => (found, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        (StrategyReport { strategy: *strategy, found: found.len(), elapsed_us, error }, found)
    });
    let (reports, found): (Vec<_>, Vec<_>) = join_all(runs).await.into_iter().unzip();
    let mut candidates = union(found, most);
    if candidates.is_empty() {
        return Ok(Gathered { reports, candidates, ..Gathered::default() });
    }
    let ids: Vec<String> = candidates.iter().map(|c| c.id.to_string()).collect();
    let known = store.signals(scope, &ids, query).await?;
    let mut known: HashMap<Arc<str>, Candidate> = known.into_iter().map(|c| (c.id.clone(), c)).collect();
    for candidate in &mut candidates {
        if let Some(more) = known.remove(&candidate.id) {
            candidate.signals = more.signals;
        }
    }
    Ok(Gathered { reports, candidates, ..Gathered::default() })
}

/// Candidates of all strategies, each id once, strategies taking turns so that a bound cuts none of them off.
fn union(found: Vec<Vec<Candidate>>, most: usize) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    let mut place: HashMap<Arc<str>, usize> = HashMap::new();
    let mut lists: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
    loop {
        let mut more = false;
        for list in &mut lists {
            let Some(candidate) = list.next() else { continue };
            more = true;
            let full = all.len() >= most;
            match place.get(&candidate.id).and_then(|at| all.get_mut(*at)) {
                Some(held) => {
                    held.signals.merge(&candidate.signals);
                    held.found_by.merge(candidate.found_by);
                }
                None if !full => {
                    place.insert(candidate.id.clone(), all.len());
                    all.push(candidate);
                }
                None => {}
            }
        }
        if !more {
            break;
        }
    }
    all
}
