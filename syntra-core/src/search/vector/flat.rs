//! Nearest neighbours by scanning everything: up to a million vectors as quick as a graph, without its costs.

use super::codes::Codes;
use super::kernel::{self, prefetch, prefetch_at};
use super::normalised;
use crate::error::Result;
use crate::search::VectorIndex;
use crate::search::bytes::{ColumnsIn, ColumnsOut};
use crate::search::top::{TopK, best_places};

/// From how many rows on the scan reads the quantised rows first.
const QUANTISED_FROM: usize = 1_000;
/// How many times `limit` rows the quantised scan hands on to be compared exactly, and how many at least.
const RERANK_FACTOR: usize = 4;
const RERANK_LEAST: usize = 64;
/// From how many rows on the scan reads one bit a dimension first (see [`super::codes`]), and how many of the best it hands on:
/// this many for each that is asked for and this many at least. The figures are in `docs/ranking.md`.
const CODED_FROM: usize = 8_000;
const CODED_FACTOR: usize = 6;
const CODED_LEAST: usize = 600;
/// How many rows are on their way from memory while one is compared, as 8-bit numbers and in full.
const AHEAD: usize = 16;
pub(crate) const FULL_AHEAD: usize = 4;
const NO_ROW: u32 = u32::MAX;

/// A scan over all vectors. Past a thousand of them it reads them as 8-bit numbers first and compares the best few dozen in
/// full precision; past eight thousand it reads one bit a dimension before that, which finds more than 99 of 100 of the ten nearest.
/// Insertion, replacement and removal take constant time.
///
/// ```
/// use syntra_core::search::{FlatIndex, VectorIndex};
/// let mut index = FlatIndex::new(2);
/// index.upsert(7, &[1.0, 0.0])?;
/// index.upsert(9, &[0.0, 2.0])?;
/// assert_eq!(index.search(&[0.1, 1.0], 1, None)?[0].0, 9);
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FlatIndex {
    dimensions: usize,
    keys: Vec<u32>,
    rows: Vec<f32>,
    small: Vec<i8>,
    scales: Vec<f32>,
    codes: Codes,
    row_of: Vec<u32>,
}

impl FlatIndex {
    /// An empty index of vectors of `dimensions` numbers.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            keys: Vec::new(),
            rows: Vec::new(),
            small: Vec::new(),
            scales: Vec::new(),
            codes: Codes::new(dimensions),
            row_of: Vec::new(),
        }
    }

    fn row(&self, key: u32) -> Option<usize> {
        self.row_of.get(key as usize).copied().filter(|row| *row != NO_ROW).map(|row| row as usize)
    }

    /// The vector of `key`, of length 1.
    pub fn get(&self, key: u32) -> Option<&[f32]> {
        let row = self.row(key)?;
        self.rows.get(row * self.dimensions..(row + 1) * self.dimensions)
    }

    /// The cosine of `question` with the vector of `key`, both as 8-bit numbers: a quarter of the reading, and wrong by some
    /// thousandths.
    pub(crate) fn roughly(&self, key: u32, question: &Rounded) -> Option<f32> {
        let row = self.row(key)?;
        let numbers = self.small.get(row * self.dimensions..(row + 1) * self.dimensions)?;
        let dot = kernel::dot_i8(numbers, &question.numbers, question.sum);
        self.scales.get(row).map(|scale| dot as f32 * scale * question.scale)
    }

    /// Writes all of it, for [`FlatIndex::restore`].
    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        out.numbers(&self.keys)?;
        let (codes, worth) = self.codes.parts();
        out.bytes(codes)?;
        out.floats(worth)?;
        out.floats(&self.scales)?;
        out.column(self.small.iter().map(|x| x.to_le_bytes()))?;
        out.floats(&self.rows)
    }

    /// The index that [`FlatIndex::save`] wrote; nothing of it is computed anew. `None` where a key is there twice, or there are not as many
    /// numbers as keys of `dimensions` have.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>>(
        dimensions: usize,
        from: &mut ColumnsIn<R>,
    ) -> Option<Self> {
        let mut index = Self::new(dimensions);
        index.keys = from.numbers()?;
        let (codes, worth) = (from.bytes()?, from.floats()?);
        index.scales = from.floats()?;
        index.small = from.column(|x| i8::from_le_bytes(*x))?;
        index.rows = from.floats()?;
        let count = index.keys.len();
        index.codes = Codes::restore(dimensions, count, codes, worth)?;
        let numbers = count.checked_mul(dimensions)?;
        if index.scales.len() != count || [index.small.len(), index.rows.len()] != [numbers; 2] {
            return None;
        }
        let highest = index.keys.iter().max().map_or(0, |key| *key as usize + 1);
        // Few keys are free, so that a wrong one cannot take all memory.
        if highest > count.saturating_mul(64).saturating_add(1 << 16) {
            return None;
        }
        index.row_of = vec![NO_ROW; highest];
        for (row, key) in (0u32..).zip(&index.keys) {
            let place = index.row_of.get_mut(*key as usize)?;
            if *place != NO_ROW {
                return None;
            }
            *place = row;
        }
        Some(index)
    }

    /// Every key and its vector.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[f32])> + '_ {
        self.keys.iter().copied().zip(self.rows.chunks_exact(self.dimensions.max(1)))
    }

    fn exact(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<(u32, f32)> {
        let mut top = TopK::new(limit);
        for (key, row) in self.iter() {
            if keep.is_none_or(|keep| keep(key)) {
                top.push(key, kernel::dot(query, row));
            }
        }
        top.into_sorted()
    }

    fn quantised(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<(u32, f32)> {
        let Rounded { numbers: small, sum, .. } = Rounded::new(query);
        let mut scores = vec![0.0; self.keys.len()];
        kernel::scan_i8(&self.small, self.dimensions, &small, sum, &mut |first, dots| {
            let (to, scales) = (scores.get_mut(first..).unwrap_or_default(), self.scales.get(first..).unwrap_or(&[]));
            kernel::weigh(dots, scales, to, |dot, scale| dot * scale);
        });
        let rows = self.best_rows(&scores, second_look(limit), keep);
        self.in_full(query, limit, rows.into_iter().filter_map(|row| self.keys.get(row as usize).copied()))
    }

    fn coded(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<(u32, f32)> {
        let Rounded { numbers: small, sum, .. } = Rounded::new(query);
        let mut top = TopK::new(second_look(limit));
        // They come in the order in which they lie in memory.
        let rows = self.best_coded(query, limit * CODED_FACTOR + CODED_LEAST, keep);
        for (at, row) in rows.iter().enumerate() {
            if let Some(next) = rows.get(at + AHEAD) {
                let next = *next as usize;
                prefetch(self.small.get(next * self.dimensions..(next + 1) * self.dimensions).unwrap_or(&[]));
                prefetch_at(&self.keys, next);
                prefetch_at(&self.scales, next);
            }
            let row = *row as usize;
            let range = row * self.dimensions..(row + 1) * self.dimensions;
            if let (Some(key), Some(numbers), Some(scale)) =
                (self.keys.get(row), self.small.get(range), self.scales.get(row))
            {
                top.push(*key, kernel::dot_i8(numbers, &small, sum) as f32 * scale);
            }
        }
        self.in_full(query, limit, top.into_best().into_iter().map(|(key, _)| key))
    }

    /// The rows of the `limit` best by their codes of those that `keep` lets through, in order.
    fn best_coded(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<u32> {
        let best = if keep.is_none() { self.codes.best(query, limit) } else { None };
        best.unwrap_or_else(|| self.best_rows(&self.codes.scores(query), limit, keep))
    }

    /// Has the row of `key` brought near, in full or as 8-bit numbers.
    pub(crate) fn fetch(&self, key: u32, in_full: bool) {
        if let Some(row) = self.row(key) {
            let range = row * self.dimensions..(row + 1) * self.dimensions;
            match in_full {
                true => prefetch(self.rows.get(range).unwrap_or(&[])),
                false => prefetch(self.small.get(range).unwrap_or(&[])),
            }
        }
    }

    /// The rows of the `limit` best scores of those that `keep` lets through, in order.
    fn best_rows(&self, scores: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<u32> {
        let Some(keep) = keep else { return best_places(scores, limit) };
        let mut top = TopK::new(limit);
        for ((row, score), key) in (0u32..).zip(scores).zip(&self.keys) {
            if top.takes(row, *score) && keep(*key) {
                top.push(row, *score);
            }
        }
        let mut rows: Vec<u32> = top.into_best().into_iter().map(|(row, _)| row).collect();
        rows.sort_unstable();
        rows
    }

    /// The best of what was found, compared in full precision.
    fn in_full(&self, query: &[f32], limit: usize, found: impl Iterator<Item = u32>) -> Vec<(u32, f32)> {
        let mut best = TopK::new(limit);
        let keys: Vec<u32> = found.collect();
        keys.iter().for_each(|key| prefetch_at(&self.row_of, *key as usize));
        keys.iter().take(FULL_AHEAD).for_each(|key| self.fetch(*key, true));
        for (at, key) in keys.iter().enumerate() {
            if let Some(next) = keys.get(at + FULL_AHEAD) {
                self.fetch(*next, true);
            }
            let key = *key;
            if let Some(row) = self.get(key) {
                best.push(key, kernel::dot(query, row));
            }
        }
        best.into_sorted()
    }
}

/// A question as 8-bit numbers.
pub(crate) struct Rounded {
    numbers: Vec<i8>,
    sum: i32,
    scale: f32,
}

impl Rounded {
    pub(crate) fn new(question: &[f32]) -> Self {
        let (numbers, scale) = kernel::quantise(question);
        let sum = numbers.iter().map(|x| i32::from(*x)).sum();
        Self { numbers, sum, scale }
    }
}

/// How many rows the quantised scan hands on to be compared in full precision.
fn second_look(limit: usize) -> usize {
    (limit * RERANK_FACTOR).max(RERANK_LEAST).min(limit + 100)
}

impl VectorIndex for FlatIndex {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn upsert(&mut self, key: u32, vector: &[f32]) -> Result<()> {
        let vector = normalised(self.dimensions, vector)?;
        let (small, scale) = kernel::quantise(&vector);
        if let Some(row) = self.row(key) {
            let range = row * self.dimensions..(row + 1) * self.dimensions;
            if let Some(place) = self.rows.get_mut(range.clone()) {
                place.copy_from_slice(&vector);
            }
            if let Some(place) = self.small.get_mut(range) {
                place.copy_from_slice(&small);
            }
            if let Some(place) = self.scales.get_mut(row) {
                *place = scale;
            }
            self.codes.set(row, &vector);
            return Ok(());
        }
        let slot = key as usize;
        if self.row_of.len() <= slot {
            self.row_of.resize(slot + 1, NO_ROW);
        }
        if let Some(place) = self.row_of.get_mut(slot) {
            *place = self.keys.len() as u32;
        }
        self.keys.push(key);
        self.rows.extend_from_slice(&vector);
        self.small.extend_from_slice(&small);
        self.scales.push(scale);
        self.codes.push(&vector);
        Ok(())
    }

    fn remove(&mut self, key: u32) -> bool {
        let Some(row) = self.row(key) else { return false };
        let last = self.keys.len() - 1;
        let d = self.dimensions;
        self.rows.copy_within(last * d..(last + 1) * d, row * d);
        self.small.copy_within(last * d..(last + 1) * d, row * d);
        self.rows.truncate(last * d);
        self.small.truncate(last * d);
        self.keys.swap_remove(row);
        self.scales.swap_remove(row);
        self.codes.swap_remove(row);
        if let Some(place) = self.row_of.get_mut(key as usize) {
            *place = NO_ROW;
        }
        if let Some(moved) = self.keys.get(row)
            && let Some(place) = self.row_of.get_mut(*moved as usize)
        {
            *place = row as u32;
        }
        true
    }

    fn search(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Result<Vec<(u32, f32)>> {
        let query = normalised(self.dimensions, query)?;
        let quantised = self.len() >= QUANTISED_FROM && self.dimensions <= kernel::LONGEST && limit * 2 < self.len();
        let coded = self.len() >= CODED_FROM
            && self.codes.are_scanned()
            && (limit * CODED_FACTOR + CODED_LEAST) * 4 < self.len();
        Ok(match (quantised, coded) {
            (true, true) => self.coded(&query, limit, keep),
            (true, false) => self.quantised(&query, limit, keep),
            (false, _) => self.exact(&query, limit, keep),
        })
    }

    fn memory_bytes(&self) -> usize {
        self.rows.capacity() * 4
            + self.small.capacity()
            + self.codes.memory_bytes()
            + (self.scales.capacity() + self.keys.capacity() + self.row_of.capacity()) * 4
    }
}
