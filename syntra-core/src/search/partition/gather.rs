//! Several strategies at once: their union over slots, and ids only for what is handed out.

use super::{Found, Partition, find, signals};
use crate::search::{Candidate, SearchQuery, Strategies, Strategy};
use std::time::Duration;

pub(super) fn gather(
    partition: &Partition,
    strategies: &[(Strategy, usize)],
    query: &SearchQuery<'_>,
    most: usize,
    elapsed: &dyn Fn() -> Duration,
) -> (Vec<Found>, Vec<Candidate>) {
    let mut reports = Vec::with_capacity(strategies.len());
    let mut lists: Vec<Vec<(u32, f32)>> = Vec::with_capacity(strategies.len());
    for (strategy, limit) in strategies {
        let begin = elapsed();
        let found = find::slots(partition, *strategy, &SearchQuery { limit: *limit, ..query.clone() });
        let elapsed = elapsed().saturating_sub(begin);
        reports.push(Found { found: found.as_ref().map(Vec::len).map_err(Clone::clone), elapsed });
        lists.push(found.unwrap_or_default());
    }
    // Which of equal ones comes first says only which one is left out.
    if lists.iter().map(Vec::len).sum::<usize>() > most {
        lists.iter_mut().for_each(|list| find::ties_by_id(partition, list));
    }

    // The place of a slot among `slots`, counted from one.
    let mut place = partition.sheets.take(partition.slots.len());
    let mut slots: Vec<u32> = Vec::new();
    let mut found_by: Vec<Strategies> = Vec::new();
    for turn in 0..lists.iter().map(Vec::len).max().unwrap_or(0) {
        for ((strategy, _), list) in strategies.iter().zip(&lists) {
            let Some((slot, _)) = list.get(turn) else { continue };
            let Some(place) = place.get_mut(*slot as usize) else { continue };
            match (*place as usize).checked_sub(1).and_then(|at| found_by.get_mut(at)) {
                Some(by) => by.insert(*strategy),
                None if slots.len() < most => {
                    slots.push(*slot);
                    *place = slots.len() as u32;
                    found_by.push([*strategy].into_iter().collect());
                }
                None => {}
            }
        }
    }
    partition.sheets.give(place, slots.iter().copied());

    partition.ids.fetch(&slots);
    let signals = signals::of_slots(partition, &slots, query);
    let mut candidates = Vec::with_capacity(slots.len());
    for ((slot, by), signals) in slots.into_iter().zip(found_by).zip(signals) {
        let (Some(id), Some(signals)) = (partition.id(slot), signals) else { continue };
        candidates.push(Candidate { id: id.into(), found_by: by, signals });
    }
    (reports, candidates)
}
