//! The best few of many.

use std::cmp::Ordering;

/// Highest score first, and of equal ones the lowest key.
fn order(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Keeps the `limit` best of what is pushed; ties by lower key, so the result does not depend on the order. What may still be
/// among them is gathered until there is twice as much, then halved: constant time a push, where a heap takes a logarithm.
pub(crate) struct TopK {
    limit: usize,
    held: Vec<(u32, f32)>,
    /// The last of the best so far: nothing after it can be among them.
    floor: (u32, f32),
}

impl TopK {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::with_capacity(limit.saturating_mul(2).min(1 << 16)),
            floor: (u32::MAX, f32::NEG_INFINITY),
        }
    }

    /// Whether a push of it may change what is kept; asked before what costs more than the score.
    #[inline]
    pub(crate) fn takes(&self, key: u32, score: f32) -> bool {
        !(score < self.floor.1 || (score == self.floor.1 && key > self.floor.0) || self.limit == 0)
    }

    /// The score below which nothing is taken any more.
    #[inline]
    pub(crate) fn floor(&self) -> f32 {
        self.floor.1
    }

    #[inline]
    pub(crate) fn push(&mut self, key: u32, score: f32) {
        if !self.takes(key, score) {
            return;
        }
        self.held.push((key, score));
        if self.held.len() >= self.limit.saturating_mul(2) {
            self.halve();
        }
    }

    fn halve(&mut self) {
        if self.held.len() <= self.limit {
            return;
        }
        let (_, worst, _) = self.held.select_nth_unstable_by(self.limit - 1, order);
        self.floor = *worst;
        self.held.truncate(self.limit);
    }

    /// In no order.
    pub(crate) fn into_best(mut self) -> Vec<(u32, f32)> {
        self.halve();
        self.held
    }

    /// Best first.
    pub(crate) fn into_sorted(mut self) -> Vec<(u32, f32)> {
        self.halve();
        self.held.sort_unstable_by(order);
        self.held
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
