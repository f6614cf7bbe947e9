//! The best few of many, by a heap of fixed size.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

#[derive(Clone, Copy, PartialEq)]
struct Entry {
    key: u32,
    score: f32,
}

impl Eq for Entry {}

impl Ord for Entry {
    /// The greatest is the worst: lowest score, and of equal ones the highest key.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.key.cmp(&other.key))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the `limit` best of what is pushed; ties by lower key, so the result does not depend on the order.
pub(crate) struct TopK {
    limit: usize,
    heap: BinaryHeap<Entry>,
    floor: f32,
}

impl TopK {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit.saturating_add(1).min(1 << 16)), floor: f32::NEG_INFINITY }
    }

    pub(crate) fn push(&mut self, key: u32, score: f32) {
        if score < self.floor || self.limit == 0 {
            return;
        }
        self.heap.push(Entry { key, score });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
        if self.heap.len() == self.limit {
            self.floor = self.heap.peek().map_or(f32::NEG_INFINITY, |worst| worst.score);
        }
    }

    /// Best first.
    pub(crate) fn into_sorted(self) -> Vec<(u32, f32)> {
        self.heap.into_sorted_vec().into_iter().map(|e| (e.key, e.score)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn equals_sorting(scores in proptest::collection::vec(-3i32..3, 0..60), limit in 0usize..20) {
            let mut top = TopK::new(limit);
            for (key, score) in scores.iter().enumerate() {
                top.push(key as u32, *score as f32);
            }
            let mut all: Vec<(u32, f32)> = scores.iter().enumerate().map(|(k, s)| (k as u32, *s as f32)).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(limit);
            proptest::prop_assert_eq!(top.into_sorted(), all);
        }
    }
}
