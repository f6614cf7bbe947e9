//! One bit a dimension: a first look at every vector that reads a thirty-second of it.
//!
//! The codes are those of RaBitQ (Gao and Long, SIGMOD 2024) without a centroid: the vector is turned by a fixed random rotation
//! and the signs of what comes out are kept, with `1 / sum |x'|`. For a question `q'`, turned the same way, `q' . sign(x') / sum |x'|`
//! is an estimate of the cosine without bias, whose error is about `0.75 / sqrt(dimensions)`.
//!
//! Codes lie in blocks of 32 rows, four bits of each row beside each other, so that one instruction looks up what those four bits of all
//! rows add to the product in a table of sixteen (Quick ADC: André, Kermarrec and Le Scouarnec, ICMR 2017). What they add is rounded to
//! six bits, which adds some thousandths to the error.

use super::Rounded;
use super::groups::{Grouped, Groups, Rows};
use super::kernel::{self, LOOKUP_MOST, ROWS};
use crate::search::beside::beside;
use crate::search::bytes::{ColumnsIn, ColumnsOut};
use crate::search::top::{places_of, sampled_floor};
use std::ops::Range;

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
    /// By place, which is the row as long as nothing is in groups.
    blocks: Vec<u8>,
    /// What the signs of each code are worth.
    worth: Vec<f32>,
    grouped: Option<Grouped>,
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

    /// Adds the places of `blocks`, the first of which is `begin`, of which the estimated cosine is at least `floor`, with it.
    fn reaching(&self, blocks: &[u8], worth: &[f32], floor: f32, begin: u32, found: &mut Vec<(u32, f32)>) {
        kernel::scan_nibbles(blocks, &self.tables, &mut |first, steps| {
            let worth = worth.get(first..).unwrap_or(&[]);
            let Some(worth) = worth.first_chunk::<ROWS>() else {
                let scores = steps.iter().zip(worth).map(|(steps, worth)| self.score(*steps, *worth));
                found.extend((begin + first as u32..).zip(scores).filter(|(_, score)| *score >= floor));
                return;
            };
            // All rows of a block at once, whose number the compiler knows, and without a branch for each.
            let scores: [f32; ROWS] = std::array::from_fn(|i| self.score(steps[i], worth[i]));
            if scores.iter().map(|score| i32::from(*score >= floor)).sum::<i32>() != 0 {
                found.extend((begin + first as u32..).zip(scores).filter(|(_, score)| *score >= floor));
            }
        });
    }
}

impl Codes {
    pub(super) fn new(dimensions: usize) -> Self {
        Self { coder: Coder::new(dimensions), blocks: Vec::new(), worth: Vec::new(), grouped: None }
    }

    /// Whether vectors are short enough for their codes to be scanned.
    pub(super) fn are_scanned(&self) -> bool {
        self.coder.padded / 4 <= kernel::MOST_GROUPS
    }

    /// The bytes of a block of rows.
    fn block(&self) -> usize {
        self.coder.padded / 4 * 16
    }

    fn place(&self, row: usize) -> usize {
        self.grouped.as_ref().map_or(row, |grouped| grouped.place(row))
    }

    /// Where the first four bits of the code at `place` are, and by how many bits they are shifted there.
    fn bits(&self, place: usize) -> (usize, u32) {
        (place / ROWS * self.block() + place % 16, if place % ROWS < 16 { 0 } else { 4 })
    }

    fn read(&self, place: usize) -> Vec<u8> {
        let (first, shift) = self.bits(place);
        let bytes = self.blocks.get(first..).unwrap_or(&[]).iter().step_by(16).take(self.coder.padded / 4);
        bytes.map(|byte| byte >> shift & 15).collect()
    }

    fn write(&mut self, place: usize, fours: impl Iterator<Item = u8>) {
        let (first, shift) = self.bits(place);
        let places = self.blocks.get_mut(first..).unwrap_or_default().iter_mut().step_by(16);
        for (byte, four) in places.zip(fours) {
            *byte = *byte & !(15 << shift) | four << shift;
        }
    }

    /// Sets the code of `row`, which is there, to that of a vector of length 1.
    pub(super) fn set(&mut self, row: usize, vector: &[f32]) {
        let place = self.place(row);
        if let Some(grouped) = &mut self.grouped {
            grouped.strayed(place);
        }
        let turned = self.coder.turn(vector);
        let four = |four: &[f32; 4]| four.iter().enumerate().fold(0, |bits, (at, x)| bits | u8::from(*x > 0.0) << at);
        self.write(place, turned.as_chunks::<4>().0.iter().map(four));
        if let Some(worth) = self.worth.get_mut(place) {
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
        if let Some(grouped) = &mut self.grouped {
            grouped.push();
        }
        self.set(row, vector);
    }

    /// Removes `row`, in whose place the last one comes.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let Some(last) = self.worth.len().checked_sub(1).filter(|last| row <= *last) else { return };
        let (place, moved) = (self.place(row), self.read(last));
        self.write(last, std::iter::repeat_n(0, moved.len()));
        if place != last {
            self.write(place, moved.into_iter());
        }
        self.worth.swap_remove(place);
        if let Some(grouped) = &mut self.grouped {
            grouped.swap_remove(row);
        }
        self.blocks.truncate(last.div_ceil(ROWS) * self.block());
    }

    /// Puts the codes of like ones of `rows` beside each other: from now on a question looks at those of the nearest groups, at what was
    /// written later, and at little else.
    pub(super) fn arrange(&mut self, rows: Rows<'_>) {
        let (groups, row_at) = Groups::of(rows);
        let mut arranged = Self { blocks: vec![0; self.blocks.len()], ..Self::new(rows.dimensions) };
        for (place, row) in row_at.iter().enumerate() {
            let old = self.place(*row as usize);
            arranged.write(place, self.read(old).into_iter());
            arranged.worth.extend(self.worth.get(old));
        }
        let strays = vec![false; row_at.len().div_ceil(ROWS)];
        if let Some(grouped) = Grouped::of(groups, row_at, strays) {
            *self = Self { grouped: Some(grouped), ..arranged };
        }
    }

    /// Whether [`Codes::arrange`] is worth its time: nothing is in groups, or less than was written since.
    pub(super) fn are_astray(&self) -> bool {
        self.grouped.as_ref().is_none_or(|of| of.astray() > self.worth.len() / 2)
    }

    /// Writes all of it, for [`Codes::restore`].
    pub(super) fn save<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        out.bytes(&self.blocks)?;
        out.floats(&self.worth)?;
        let grouped = self.grouped.as_ref();
        let (numbers, scales, begins) = grouped.map_or((&[][..], &[][..], &[][..]), |of| of.groups.parts());
        out.numbers(begins)?;
        out.floats(scales)?;
        out.column(numbers.iter().map(|x| x.to_le_bytes()))?;
        out.numbers(grouped.map_or(&[], |of| &of.row_at))?;
        out.column(grouped.map_or(&[][..], |of| &of.strays).iter().map(|stray| [u8::from(*stray)]))
    }

    /// What [`Codes::save`] wrote of `rows` rows; `None` where it does not fit together.
    pub(super) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>>(
        dimensions: usize,
        rows: usize,
        from: &mut ColumnsIn<R>,
    ) -> Option<Self> {
        let codes = Self { blocks: from.bytes()?, worth: from.floats()?, ..Self::new(dimensions) };
        let bytes = rows.div_ceil(ROWS).checked_mul(codes.block())?;
        if codes.worth.len() != rows || codes.blocks.len() != bytes {
            return None;
        }
        let (begins, scales) = (from.numbers()?, from.floats()?);
        let numbers = from.column(|x| i8::from_le_bytes(*x))?;
        let row_at = from.numbers()?;
        let strays = from.column(|[stray]| *stray != 0)?;
        if begins.is_empty() {
            return (row_at.is_empty() && strays.is_empty()).then_some(codes);
        }
        let groups = Groups::restore(dimensions, numbers, scales, begins)?;
        let grouped = Grouped::of(groups, row_at, strays).filter(|grouped| grouped.row_at.len() == rows)?;
        Some(Self { grouped: Some(grouped), ..codes })
    }

    /// The estimated cosine of each row with `query`, which has length 1.
    pub(super) fn scores(&self, query: &[f32]) -> Vec<f32> {
        let question = self.coder.question(query);
        let mut scores = Vec::with_capacity(self.worth.len());
        kernel::scan_nibbles(&self.blocks, &question.tables, &mut |first, steps| {
            let worth = self.worth.get(first..).unwrap_or(&[]);
            scores.extend(steps.iter().zip(worth).map(|(steps, worth)| question.score(*steps, *worth)));
        });
        match &self.grouped {
            Some(of) => of.place_of.iter().map(|at| scores.get(*at as usize).copied().unwrap_or_default()).collect(),
            None => scores,
        }
    }

    /// The rows of the `limit` best, in order: a sample of blocks tells about where they begin, so that no score is kept of all the others.
    /// `None` where the sample said too much.
    pub(super) fn best(&self, query: &[f32], rounded: &Rounded, limit: usize) -> Option<Vec<u32>> {
        let (question, all) = (self.coder.question(query), self.worth.len().div_ceil(ROWS));
        let looked_at = match &self.grouped {
            Some(of) => of.blocks(rounded, all),
            None => std::iter::once(0..all).collect(),
        };
        let count: usize = looked_at.iter().map(Range::len).sum();
        let sampled = SAMPLE_BLOCKS.min(count / SAMPLE_SHARE).max(1);
        let mut sample = Vec::with_capacity(sampled * ROWS);
        for block in looked_at.iter().cloned().flatten().step_by((count / sampled).max(1)) {
            let (codes, worth) = self.within(&(block..block + 1));
            kernel::scan_nibbles(codes, &question.tables, &mut |_, steps| {
                sample.extend(steps.iter().zip(worth).map(|(steps, worth)| question.score(*steps, *worth)));
            });
        }
        let floor = sampled_floor(sample, count * ROWS, limit);
        let (first, second) = halves(looked_at);
        let reaching = |ranges: &[Range<usize>]| {
            let mut found = Vec::new();
            for range in ranges {
                let (codes, worth) = self.within(range);
                question.reaching(codes, worth, floor, (range.start * ROWS) as u32, &mut found);
            }
            found
        };
        let (later, mut found) = beside(count * ROWS, || reaching(&second), || reaching(&first));
        found.extend(later);
        if let Some(of) = &self.grouped {
            found.iter_mut().for_each(|(at, _)| *at = of.row_at.get(*at as usize).copied().unwrap_or_default());
        }
        (found.len() >= limit).then(|| places_of(found, limit))
    }

    /// The codes in `blocks`, and what each is worth.
    fn within(&self, blocks: &Range<usize>) -> (&[u8], &[f32]) {
        let codes = self.blocks.get(blocks.start * self.block()..blocks.end * self.block()).unwrap_or(&[]);
        let end = (blocks.end * ROWS).min(self.worth.len());
        (codes, self.worth.get(blocks.start * ROWS..end).unwrap_or(&[]))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let grouped = self.grouped.as_ref().map_or(0, Grouped::memory_bytes);
        self.blocks.capacity() + self.worth.capacity() * 4 + grouped
    }
}

/// `ranges` in two parts with about as much in each.
fn halves(ranges: Vec<Range<usize>>) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let mut left = ranges.iter().map(Range::len).sum::<usize>() / 2;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for range in ranges {
        let middle = (range.start + left).min(range.end);
        left -= middle - range.start;
        first.extend((range.start < middle).then_some(range.start..middle));
        second.extend((middle < range.end).then_some(middle..range.end));
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::super::tests::cloud;
    use super::*;
    use crate::search::top::best_places;
    use std::convert::Infallible;

    fn unit(vector: &[f32]) -> Vec<f32> {
        let length = kernel::dot(vector, vector).sqrt();
        vector.iter().map(|x| x / length).collect()
    }

    /// What is read of what was written.
    fn kept(codes: &Codes, rows: usize) -> Option<Codes> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut out = ColumnsOut::new(|part: &[u8]| {
            parts.push(part.to_vec());
            Ok::<(), Infallible>(())
        });
        let Ok(()) = codes.save(&mut out);
        let bytes = parts.iter().map(Vec::len).sum::<usize>() as u64;
        let mut parts = parts.into_iter();
        let dimensions = codes.coder.padded;
        let next = |buffer: &mut Vec<u8>| parts.next().map(|part| *buffer = part);
        Codes::restore(dimensions, rows, &mut ColumnsIn::new(next, bytes))
    }

    /// Vectors around some centres.
    fn crowds(count: usize, dimensions: usize) -> Vec<Vec<f32>> {
        let (centres, around) = (cloud(40, dimensions), cloud(count, dimensions));
        let near = |(at, vector): (usize, &Vec<f32>)| {
            unit(&centres[at * 7 % 40].iter().zip(vector).map(|(c, x)| c + 0.3 * x).collect::<Vec<f32>>())
        };
        around.iter().enumerate().map(near).collect()
    }

    fn arranged(vectors: &[Vec<f32>]) -> Codes {
        let dimensions = vectors[0].len();
        let (mut codes, mut numbers, mut scales) = (Codes::new(dimensions), Vec::new(), Vec::new());
        for vector in vectors {
            codes.push(vector);
            let (of, scale) = kernel::quantise(vector);
            numbers.extend(of);
            scales.push(scale);
        }
        assert!(codes.are_astray());
        codes.arrange(Rows { dimensions, numbers: &numbers, scales: &scales });
        assert!(!codes.are_astray());
        codes
    }

    #[test]
    fn a_question_looks_at_a_part_of_what_is_arranged_and_finds_the_nearest() {
        let vectors = crowds(6_000, 64);
        let (codes, mut found, mut looked_at) = (arranged(&vectors), 0, 0);
        for query in vectors.iter().step_by(200) {
            let rounded = Rounded::new(query);
            looked_at += codes
                .grouped
                .as_ref()
                .unwrap()
                .blocks(&rounded, 6_000 / ROWS + 1)
                .iter()
                .map(Range::len)
                .sum::<usize>();
            let best = codes.best(query, &rounded, 200).unwrap();
            let exact: Vec<f32> = vectors.iter().map(|v| kernel::dot(v, query)).collect();
            found += best_places(&exact, 10).iter().filter(|row| best.contains(row)).count();
        }
        // Groups are smaller than blocks here: it looks at more than it has to.
        assert!(looked_at * 3 < 2 * 30 * 6_000 / ROWS, "{looked_at} blocks");
        assert!(found >= 290, "{found} of 300");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(24))]

        #[test]
        fn what_is_arranged_follows_every_write(writes in proptest::collection::vec((0u8..3, 0usize..400, 0usize..400), 0..120)) {
            let vectors = crowds(400, 64);
            let mut codes = arranged(&vectors[..300]);
            let mut rows: Vec<usize> = (0..300).collect();
            for (what, row, vector) in writes {
                let row = row % rows.len();
                match what {
                    0 => {
                        codes.set(row, &vectors[vector]);
                        rows[row] = vector;
                    }
                    1 if rows.len() > 1 => {
                        codes.swap_remove(row);
                        rows.swap_remove(row);
                    }
                    _ => {
                        codes.push(&vectors[vector]);
                        rows.push(vector);
                    }
                }
            }
            let mut anew = Codes::new(64);
            rows.iter().for_each(|row| anew.push(&vectors[*row]));
            let query = &vectors[7];
            proptest::prop_assert_eq!(codes.scores(query), anew.scores(query));
            let kept = kept(&codes, rows.len()).unwrap();
            proptest::prop_assert_eq!(kept.scores(query), anew.scores(query));
            // What was written since is looked at by every question, however far it is from it.
            let grouped = codes.grouped.as_ref().unwrap();
            let (rounded, all) = (Rounded::new(query), rows.len().div_ceil(ROWS));
            let looked_at = grouped.blocks(&rounded, all);
            for (row, vector) in rows.iter().enumerate().filter(|(row, vector)| *row != **vector) {
                let block = grouped.place(row) / ROWS;
                proptest::prop_assert!(looked_at.iter().any(|range| range.contains(&block)), "{} of {}", row, vector);
            }
            let best = |codes: &Codes| codes.best(query, &rounded, rows.len());
            proptest::prop_assert!(best(&codes).is_none_or(|found| found.len() == rows.len()));
            proptest::prop_assert_eq!(best(&kept), best(&codes));
        }

        #[test]
        fn what_does_not_fit_is_not_taken_over(at in 0usize..12, change in 1u8..=255) {
            let codes = arranged(&crowds(300, 64));
            let mut damaged = codes.grouped.unwrap();
            match at {
                0..4 => damaged.row_at[at * 70] = u32::from(change) + 300,
                4..8 => damaged.row_at[at * 30] = damaged.row_at[at * 30 + 1],
                _ => damaged.strays.truncate(usize::from(change) % damaged.strays.len()),
            }
            let Grouped { groups, row_at, strays, .. } = damaged;
            proptest::prop_assert!(Grouped::of(groups, row_at, strays).is_none());
        }
    }

    #[test]
    fn halves_are_all_of_it_in_order() {
        for ranges in [vec![], vec![0..1, 3..4], vec![2..9, 11..12, 20..22]] {
            let (first, second) = halves(ranges.clone());
            let all = |ranges: &[Range<usize>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
            assert_eq!([all(&first), all(&second)].concat(), all(&ranges));
            assert!(all(&second).len().abs_diff(all(&first).len()) <= 1);
        }
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
            assert_eq!((&codes.blocks, &codes.worth), (&anew.blocks, &anew.worth));
            let kept = kept(&codes, rows.len()).unwrap();
            assert_eq!(kept.scores(query), scores);
        }
        assert!(!Codes::new(5_000).are_scanned());
    }
}
