//! Slots by time: a long list that was sorted once, and a tree of what came since.

use jiff::Timestamp;
use std::collections::BTreeSet;

/// What a question asks for is at the end, so that the list need not be a tree: a quarter of the memory, and made in one go.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// In order; what is no longer there has another time or none in `gone`.
    sorted: Vec<(Timestamp, u32)>,
    /// Of `sorted`, what was removed.
    gone: BTreeSet<(Timestamp, u32)>,
    since: BTreeSet<(Timestamp, u32)>,
}

/// The list is made anew when so many came since or were removed, or a quarter of all.
const MADE_ANEW_FROM: usize = 1 << 16;

impl Newest {
    pub(super) fn of(mut all: Vec<(Timestamp, u32)>) -> Self {
        // It mostly is in order, which this sort sees.
        all.sort();
        Self { sorted: all, ..Self::default() }
    }

    pub(super) fn insert(&mut self, at: Timestamp, slot: u32) {
        let key = (at, slot);
        if !self.gone.remove(&key) {
            self.since.insert(key);
            self.make_anew();
        }
    }

    pub(super) fn remove(&mut self, at: Timestamp, slot: u32) {
        let key = (at, slot);
        if !self.since.remove(&key) && self.sorted.binary_search(&key).is_ok() {
            self.gone.insert(key);
            self.make_anew();
        }
    }

    fn make_anew(&mut self) {
        if self.since.len() + self.gone.len() < MADE_ANEW_FROM.max(self.sorted.len() / 4) {
            return;
        }
        let since = std::mem::take(&mut self.since);
        let gone = std::mem::take(&mut self.gone);
        self.sorted.retain(|key| !gone.contains(key));
        self.sorted.extend(since);
        self.sorted.sort();
    }

    /// The newest first; of the same time the highest slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut since = self.since.iter().rev().peekable();
        let mut sorted = self.sorted.iter().rev().filter(|key| !self.gone.contains(key)).peekable();
        std::iter::from_fn(move || match (sorted.peek(), since.peek()) {
            (Some(a), Some(b)) if a > b => sorted.next(),
            (_, Some(_)) => since.next(),
            _ => sorted.next(),
        })
        .map(|(_, slot)| *slot)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.sorted.capacity() * size_of::<(Timestamp, u32)>() + (self.since.len() + self.gone.len()) * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_is_in_order_after_any_writes(
            first in proptest::collection::btree_map(0u32..30, 0i64..12, 0..20),
            writes in proptest::collection::vec((0u32..30, proptest::option::of(0i64..12)), 0..60),
        ) {
            let at = |second: i64| Timestamp::new(second, 0).unwrap();
            let mut held = first.clone();
            let mut newest = Newest::of(first.iter().map(|(slot, time)| (at(*time), *slot)).collect());
            for (slot, time) in writes {
                if let Some(before) = held.remove(&slot) {
                    newest.remove(at(before), slot);
                }
                if let Some(time) = time {
                    held.insert(slot, time);
                    newest.insert(at(time), slot);
                }
                let mut expected: Vec<(i64, u32)> = held.iter().map(|(slot, time)| (*time, *slot)).collect();
                expected.sort_unstable_by(|a, b| b.cmp(a));
                let expected: Vec<u32> = expected.into_iter().map(|(_, slot)| slot).collect();
                proptest::prop_assert_eq!(newest.iter().collect::<Vec<_>>(), expected);
            }
            newest.remove(at(99), 3);
        }
    }
}
