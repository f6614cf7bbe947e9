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

/// How many scores are looked at to tell about where the best begin, and from how many scores on that pays.
const SAMPLE: usize = 1_024;
const SAMPLED_FROM: usize = 4 * SAMPLE;

/// The places of a sample of `count` things, for [`sampled_floor`]; none where there are too few of them.
fn sample_of(count: usize) -> impl Iterator<Item = usize> {
    let there = if count >= SAMPLED_FROM { count } else { 0 };
    (0..there).step_by((count / SAMPLE).max(1))
}

/// About where the `limit` best of `count` begin, by the scores of a sample of them, or somewhat lower.
pub(crate) fn sampled_floor(mut sample: Vec<f32>, count: usize, limit: usize) -> f32 {
    let share = limit as f32 * sample.len() as f32 / count as f32;
    // Some more than the sample says, for it is one.
    let rank = (share + 4.0 * share.sqrt() + 8.0) as usize;
    if limit == 0 || rank >= sample.len() {
        return f32::NEG_INFINITY;
    }
    let (_, at, _) = sample.select_nth_unstable_by(rank, |a, b| b.total_cmp(a));
    *at
}

/// The places of the `limit` best of `scores`, in order; of equal ones at the end the first. A sample tells about where they begin, and
/// what lies below is passed over in blocks, without a branch for each.
pub(crate) fn best_places(scores: &[f32], limit: usize) -> Vec<u32> {
    let sample = sample_of(scores.len()).filter_map(|at| scores.get(at).copied()).collect();
    let floor = sampled_floor(sample, scores.len(), limit);
    let mut found = reaching(scores, floor);
    if found.len() < limit && floor > f32::NEG_INFINITY {
        found = reaching(scores, f32::NEG_INFINITY);
    }
    places_of(found, limit)
}

/// The places of the `limit` best of `found`, in order; of equal ones at the end the first.
pub(crate) fn places_of(mut found: Vec<(u32, f32)>, limit: usize) -> Vec<u32> {
    if found.len() > limit {
        if limit > 0 {
            found.select_nth_unstable_by(limit - 1, order);
        }
        found.truncate(limit);
    }
    let mut places: Vec<u32> = found.into_iter().map(|(place, _)| place).collect();
    places.sort_unstable();
    places
}

/// The scores of at least `floor`, with their places.
fn reaching(scores: &[f32], floor: f32) -> Vec<(u32, f32)> {
    const BLOCK: usize = 16;
    let mut found = Vec::new();
    let (blocks, rest) = scores.as_chunks::<BLOCK>();
    for (at, block) in blocks.iter().enumerate() {
        if block.iter().map(|score| i32::from(*score >= floor)).sum::<i32>() != 0 {
            let first = (at * BLOCK) as u32;
            found.extend((first..).zip(block.iter().copied()).filter(|(_, score)| *score >= floor));
        }
    }
    let first = (blocks.len() * BLOCK) as u32;
    found.extend((first..).zip(rest.iter().copied()).filter(|(_, score)| *score >= floor));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_right_where_the_sample_is_not() {
        // Only what the sample looks at is high.
        let scores: Vec<f32> = (0..50_000u32).map(|i| if i % 48 == 0 { 1e9 } else { (i % 97) as f32 }).collect();
        for limit in [0, 1, 40, 3_000, 50_000, 60_000] {
            let mut all: Vec<(u32, f32)> = (0u32..).zip(scores.iter().copied()).collect();
            all.sort_by(order);
            let mut expected: Vec<u32> = all.iter().take(limit).map(|(place, _)| *place).collect();
            expected.sort_unstable();
            assert_eq!(best_places(&scores, limit), expected, "{limit}");
        }
    }

    proptest::proptest! {
        #[test]
        fn places_are_those_of_sorting(seed: u64, count in 0usize..9_000, values in 1u64..4_000, limit in 0usize..600) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 33) % values) as f32
            };
            let scores: Vec<f32> = (0..count).map(|_| next()).collect();
            let mut all: Vec<(u32, f32)> = (0u32..).zip(scores.iter().copied()).collect();
            all.sort_by(order);
            let mut expected: Vec<u32> = all.iter().take(limit).map(|(place, _)| *place).collect();
            expected.sort_unstable();
            proptest::prop_assert_eq!(best_places(&scores, limit), expected);
        }

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
