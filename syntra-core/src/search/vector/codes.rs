//! One bit a dimension: a first look at every vector that reads a thirty-second of it.
//!
//! The codes are those of RaBitQ (Gao and Long, SIGMOD 2024) without a centroid: the vector is turned by a fixed random rotation
//! and the signs of what comes out are kept, with `1 / sum |x'|`. For a question `q'`, turned the same way, `q' . sign(x') / sum |x'|`
//! is an estimate of the cosine without bias, whose error is about `0.75 / sqrt(dimensions)`.
//!
//! Codes lie in blocks of 32 rows, four bits of each row beside each other, so that one instruction looks up what those four bits of all
//! rows add to the product in a table of sixteen (Quick ADC: André, Kermarrec and Le Scouarnec, ICMR 2017). What they add is rounded to
//! six bits, which adds some thousandths to the error.

use super::kernel::{self, LOOKUP_MOST, ROWS};
use crate::search::beside::beside;
use crate::search::top::{places_of, sampled_floor};

/// Turns and rounds vectors of one number of dimensions.
#[derive(Debug)]
struct Coder {
    /// Dimensions after padding, a power of two and at least 64.
    padded: usize,
    /// A sign a dimension and round.
    signs: [Vec<f32>; ROUNDS],
}

const ROUNDS: usize = 2;
/// Blocks that are looked at to tell about where the best begin, and the share of all that they are at the most.
const SAMPLE_BLOCKS: usize = 128;
const SAMPLE_SHARE: usize = 4;

/// The codes of vectors, by row.
#[derive(Debug)]
pub(super) struct Codes {
    coder: Coder,
    blocks: Vec<u8>,
    /// What the signs of each code are worth.
    worth: Vec<f32>,
}

/// A question for [`Codes`].
struct Question {
    /// For each four bits what they add, in steps from the least.
    tables: Vec<u8>,
    /// The product is `by * steps + from`.
    by: f32,
    from: f32,
}

impl Coder {
    fn new(dimensions: usize) -> Self {
        let padded = dimensions.next_power_of_two().max(64);
        // The same for every process: codes are compared with each other only, but so are runs.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut sign = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 63 == 0 { 1.0 } else { -1.0 }
        };
        Self { padded, signs: std::array::from_fn(|_| (0..padded).map(|_| sign()).collect()) }
    }

    /// The vector turned: random signs and a Walsh-Hadamard transform, twice.
    fn turn(&self, vector: &[f32]) -> Vec<f32> {
        let mut turned = vec![0.0f32; self.padded];
        turned.iter_mut().zip(vector).for_each(|(to, x)| *to = *x);
        for signs in &self.signs {
            turned.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            // The first three steps within eight numbers, whose length the compiler knows.
            for eight in turned.as_chunks_mut::<8>().0 {
                let [a, b, c, d, e, f, g, h] = *eight;
                let (a, b, c, d) = (a + b, a - b, c + d, c - d);
                let (e, f, g, h) = (e + f, e - f, g + h, g - h);
                let (a, b, c, d) = (a + c, b + d, a - c, b - d);
                let (e, f, g, h) = (e + g, f + h, e - g, f - h);
                *eight = [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h];
            }
            let mut half = 8;
            while half < self.padded {
                for block in turned.chunks_exact_mut(2 * half) {
                    let (low, high) = block.split_at_mut(half);
                    for (a, b) in low.iter_mut().zip(high) {
                        (*a, *b) = (*a + *b, *a - *b);
                    }
                }
                half *= 2;
            }
        }
        let norm = (self.padded as f32).powf(-0.5 * ROUNDS as f32);
        turned.iter_mut().for_each(|x| *x *= norm);
        turned
    }

    fn question(&self, vector: &[f32]) -> Question {
        let turned = self.turn(vector);
        let fours = turned.as_chunks::<4>().0;
        let widest = fours.iter().map(|four| four.iter().map(|x| x.abs()).sum()).fold(1e-9f32, f32::max);
        let step = widest / f32::from(LOOKUP_MOST);
        let (mut tables, mut least) = (Vec::with_capacity(fours.len() * 16), 0.0);
        for four in fours {
            let lowest: f32 = four.iter().map(|x| x.min(0.0)).sum();
            least += lowest;
            for bits in 0..16u8 {
                let set = four.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
                tables.push(((set.map(|(_, x)| x).sum::<f32>() - lowest) / step).round() as u8);
            }
        }
        // A bit that is not set counts minus one.
        Question { tables, by: 2.0 * step, from: 2.0 * least - turned.iter().sum::<f32>() }
    }
}

impl Question {
    fn score(&self, steps: u16, worth: f32) -> f32 {
        (self.by * f32::from(steps) + self.from) * worth
    }

    /// The rows of `blocks` of which the estimated cosine is at least `floor`, with it.
    fn reaching(&self, blocks: &[u8], worth: &[f32], floor: f32) -> Vec<(u32, f32)> {
        let mut found = Vec::new();
        kernel::scan_nibbles(blocks, &self.tables, &mut |first, steps| {
            let worth = worth.get(first..).unwrap_or(&[]);
            let Some(worth) = worth.first_chunk::<ROWS>() else {
                let scores = steps.iter().zip(worth).map(|(steps, worth)| self.score(*steps, *worth));
                found.extend((first as u32..).zip(scores).filter(|(_, score)| *score >= floor));
                return;
            };
            // All rows of a block at once, whose number the compiler knows, and without a branch for each.
            let scores: [f32; ROWS] = std::array::from_fn(|i| self.score(steps[i], worth[i]));
            if scores.iter().map(|score| i32::from(*score >= floor)).sum::<i32>() != 0 {
                found.extend((first as u32..).zip(scores).filter(|(_, score)| *score >= floor));
            }
        });
        found
    }
}

impl Codes {
    pub(super) fn new(dimensions: usize) -> Self {
        Self { coder: Coder::new(dimensions), blocks: Vec::new(), worth: Vec::new() }
    }

    /// Whether vectors are short enough for their codes to be scanned.
    pub(super) fn are_scanned(&self) -> bool {
        self.coder.padded / 4 <= kernel::MOST_GROUPS
    }

    /// The bytes of a block of rows.
    fn block(&self) -> usize {
        self.coder.padded / 4 * 16
    }

    /// Where the four bits of `row` of the first group are, and by how many bits they are shifted there.
    fn place(&self, row: usize) -> (usize, u32) {
        (row / ROWS * self.block() + row % 16, if row % ROWS < 16 { 0 } else { 4 })
    }

    fn write(&mut self, row: usize, fours: impl Iterator<Item = u8>) {
        let (first, shift) = self.place(row);
        let places = self.blocks.get_mut(first..).unwrap_or_default().iter_mut().step_by(16);
        for (byte, four) in places.zip(fours) {
            *byte = *byte & !(15 << shift) | four << shift;
        }
    }

    /// Sets the code of `row`, which is there, to that of a vector of length 1.
    pub(super) fn set(&mut self, row: usize, vector: &[f32]) {
        let turned = self.coder.turn(vector);
        let four = |four: &[f32; 4]| four.iter().enumerate().fold(0, |bits, (at, x)| bits | u8::from(*x > 0.0) << at);
        self.write(row, turned.as_chunks::<4>().0.iter().map(four));
        if let Some(worth) = self.worth.get_mut(row) {
            *worth = 1.0 / turned.iter().map(|x| x.abs()).sum::<f32>().max(1e-9);
        }
    }

    /// Adds the code of a vector of length 1 as the last row.
    pub(super) fn push(&mut self, vector: &[f32]) {
        let row = self.worth.len();
        if row.is_multiple_of(ROWS) {
            self.blocks.resize(self.blocks.len() + self.block(), 0);
        }
        self.worth.push(0.0);
        self.set(row, vector);
    }

    /// Removes `row`, in whose place the last one comes.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let Some(last) = self.worth.len().checked_sub(1).filter(|last| row <= *last) else { return };
        let (first, shift) = self.place(last);
        let groups = self.coder.padded / 4;
        let bytes = self.blocks.get(first..).unwrap_or(&[]).iter().step_by(16).take(groups);
        let moved: Vec<u8> = bytes.map(|byte| byte >> shift & 15).collect();
        self.write(row, moved.into_iter());
        self.write(last, std::iter::repeat_n(0, groups));
        self.worth.swap_remove(row);
        self.blocks.truncate(last.div_ceil(ROWS) * self.block());
    }

    /// The codes and what each is worth, to be kept.
    pub(super) fn parts(&self) -> (&[u8], &[f32]) {
        (&self.blocks, &self.worth)
    }

    /// Takes over what [`Codes::parts`] gave, of `rows` rows; `None` where it does not fit.
    pub(super) fn restore(dimensions: usize, rows: usize, blocks: Vec<u8>, worth: Vec<f32>) -> Option<Self> {
        let codes = Self { blocks, worth, ..Self::new(dimensions) };
        let bytes = rows.div_ceil(ROWS).checked_mul(codes.block())?;
        (codes.worth.len() == rows && codes.blocks.len() == bytes).then_some(codes)
    }

    /// The estimated cosine of each row with `query`, which has length 1.
    pub(super) fn scores(&self, query: &[f32]) -> Vec<f32> {
        let question = self.coder.question(query);
        let mut scores = Vec::with_capacity(self.worth.len());
        kernel::scan_nibbles(&self.blocks, &question.tables, &mut |first, steps| {
            let worth = self.worth.get(first..).unwrap_or(&[]);
            scores.extend(steps.iter().zip(worth).map(|(steps, worth)| question.score(*steps, *worth)));
        });
        scores
    }

    /// The rows of the `limit` best, in order: a sample of blocks tells about where they begin, so that no score is kept of all the others.
    /// `None` where the sample said too much.
    pub(super) fn best(&self, query: &[f32], limit: usize) -> Option<Vec<u32>> {
        let (question, size, rows) = (self.coder.question(query), self.block(), self.worth.len());
        let whole = rows / ROWS;
        let looked_at = SAMPLE_BLOCKS.min(whole / SAMPLE_SHARE).max(1);
        let mut sample = Vec::with_capacity(looked_at * ROWS);
        for block in (0..whole).step_by((whole / looked_at).max(1)) {
            let codes = self.blocks.get(block * size..(block + 1) * size).unwrap_or(&[]);
            let worth = self.worth.get(block * ROWS..).unwrap_or(&[]);
            kernel::scan_nibbles(codes, &question.tables, &mut |_, steps| {
                sample.extend(steps.iter().zip(worth).map(|(steps, worth)| question.score(*steps, *worth)));
            });
        }
        let floor = sampled_floor(sample, rows, limit);
        let half = whole / 2;
        let (first, second) = self.blocks.split_at(half * size);
        let (first_worth, second_worth) = self.worth.split_at(half * ROWS);
        let (later, mut found) = beside(
            rows,
            || question.reaching(second, second_worth, floor),
            || question.reaching(first, first_worth, floor),
        );
        found.extend(later.into_iter().map(|(row, score)| (row + (half * ROWS) as u32, score)));
        (found.len() >= limit).then(|| places_of(found, limit))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() + self.worth.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cloud;
    use super::*;

    fn unit(vector: &[f32]) -> Vec<f32> {
        let length = kernel::dot(vector, vector).sqrt();
        vector.iter().map(|x| x / length).collect()
    }

    #[test]
    fn an_estimate_is_near_the_cosine_and_follows_what_is_replaced_and_removed() {
        for dimensions in [64, 100, 256, 4_096] {
            let vectors: Vec<Vec<f32>> = cloud(205, dimensions).iter().map(|v| unit(v)).collect();
            let mut codes = Codes::new(dimensions);
            let mut rows: Vec<&[f32]> = Vec::new();
            for vector in &vectors {
                codes.push(vector);
                rows.push(vector);
            }
            for at in [3, 40, 99] {
                codes.set(at, &vectors[at + 7]);
                rows[at] = &vectors[at + 7];
                codes.swap_remove(at * 2);
                rows.swap_remove(at * 2);
            }
            assert!(codes.are_scanned());
            let (mut error, mut worst, query) = (0.0, 0.0f32, &vectors[111]);
            let scores = codes.scores(query);
            assert_eq!(scores.len(), rows.len());
            for (score, row) in scores.iter().zip(&rows) {
                let off = score - kernel::dot(query, row);
                (error, worst) = (error + off * off, worst.max(off.abs()));
            }
            let (usual, root) = ((error / rows.len() as f32).sqrt(), (dimensions as f32).sqrt());
            assert!(usual < 0.9 / root && worst < 4.0 / root, "{dimensions}: {usual}, {worst}");
            // The same codes as when they are made of what is left.
            let mut anew = Codes::new(dimensions);
            rows.iter().for_each(|row| anew.push(row));
            assert_eq!(codes.parts(), anew.parts());
            let (blocks, worth) = (codes.blocks.clone(), codes.worth.clone());
            let kept = Codes::restore(dimensions, rows.len(), blocks, worth).unwrap();
            assert_eq!(kept.scores(query), scores);
            assert!(Codes::restore(dimensions, rows.len() + 32, kept.blocks, kept.worth).is_none());
        }
        assert!(!Codes::new(5_000).are_scanned());
    }
}
