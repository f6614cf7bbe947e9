//! Nearest neighbours by scanning: up to a million vectors as quick as a graph, without its costs.

use super::codes::Codes;
use super::groups::Rows;
use super::kernel::{self, prefetch, prefetch_at};
use super::normalised;
use crate::error::Result;
use crate::search::VectorIndex;
use crate::search::bytes::{ColumnsIn, ColumnsOut};
use crate::search::top::{TopK, best_places};
use std::ops::Range;

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

/// A scan over all vectors, whose numbers are kept with 16 bits: eight that say about what each is, and eight of what is left over, which
/// makes a cosine right to some hundred-thousandths. Past a thousand vectors it reads the first halves and compares the best few
/// dozen in full; past eight thousand it reads one bit a dimension before that, which finds more than 99 of 100 of the ten nearest
/// (some 97 where [`FlatIndex::arrange`] lets it look at a part of very many).
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
    /// The numbers of each row in whole steps of its scale, and what is left over in finer ones, see [`kernel::left_over`].
    coarse: Vec<i8>,
    fine: Vec<i8>,
    scales: Vec<f32>,
    codes: Codes,
    row_of: Vec<u32>,
}

impl FlatIndex {
    /// From how many vectors on [`FlatIndex::arrange`] does something.
    pub const ARRANGED_FROM: usize = 200_000;

    /// An empty index of vectors of `dimensions` numbers.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            keys: Vec::new(),
            coarse: Vec::new(),
            fine: Vec::new(),
            scales: Vec::new(),
            codes: Codes::new(dimensions),
            row_of: Vec::new(),
        }
    }

    fn row(&self, key: u32) -> Option<usize> {
        self.row_of.get(key as usize).copied().filter(|row| *row != NO_ROW).map(|row| row as usize)
    }

    fn range(&self, row: usize) -> Range<usize> {
        row * self.dimensions..(row + 1) * self.dimensions
    }

    /// The vector of `key`, of length 1 but for some hundred-thousandths.
    pub fn get(&self, key: u32) -> Option<Vec<f32>> {
        self.row(key).and_then(|row| self.vector(row))
    }

    fn vector(&self, row: usize) -> Option<Vec<f32>> {
        let (coarse, fine) = (self.coarse.get(self.range(row))?, self.fine.get(self.range(row))?);
        let step = self.scales.get(row)? / kernel::FINE;
        let number = |(coarse, fine): (&i8, &i8)| (f32::from(*coarse) * kernel::FINE + f32::from(*fine)) * step;
        Some(coarse.iter().zip(fine).map(number).collect())
    }

    /// The cosine of `question`, of length 1, with the vector of `key`.
    pub(crate) fn cosine(&self, key: u32, question: &[f32]) -> Option<f32> {
        self.row(key).and_then(|row| self.cosine_of(row, question))
    }

    fn cosine_of(&self, row: usize, question: &[f32]) -> Option<f32> {
        let (coarse, fine) = (self.coarse.get(self.range(row))?, self.fine.get(self.range(row))?);
        Some(kernel::dot_split(question, coarse, fine) * (self.scales.get(row)? / kernel::FINE))
    }

    /// The cosine of `question` with the vector of `key`, both as 8-bit numbers: half of the reading, and wrong by some thousandths.
    pub(crate) fn roughly(&self, key: u32, question: &Rounded) -> Option<f32> {
        let row = self.row(key)?;
        let numbers = self.coarse.get(self.range(row))?;
        let dot = kernel::dot_i8(numbers, &question.numbers, question.sum);
        self.scales.get(row).map(|scale| dot as f32 * scale * question.scale)
    }

    /// Writes all of it, for [`FlatIndex::restore`].
    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        out.numbers(&self.keys)?;
        self.codes.save(out)?;
        out.floats(&self.scales)?;
        out.column(self.coarse.iter().map(|x| x.to_le_bytes()))?;
        out.column(self.fine.iter().map(|x| x.to_le_bytes()))
    }

    /// The index that [`FlatIndex::save`] wrote; nothing of it is computed anew. `None` where a key is there twice, or there are not as many
    /// numbers as keys of `dimensions` have.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>>(
        dimensions: usize,
        from: &mut ColumnsIn<R>,
    ) -> Option<Self> {
        let mut index = Self::new(dimensions);
        index.keys = from.numbers()?;
        let count = index.keys.len();
        index.codes = Codes::restore(dimensions, count, from)?;
        index.scales = from.floats()?;
        index.coarse = from.column(|x| i8::from_le_bytes(*x))?;
        index.fine = from.column(|x| i8::from_le_bytes(*x))?;
        let numbers = count.checked_mul(dimensions)?;
        if index.scales.len() != count || [index.coarse.len(), index.fine.len()] != [numbers; 2] {
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

    /// Has like vectors looked at together, from [`ARRANGED_FROM`] vectors on and where that is not so already: a search without a filter then
    /// looks at a part of all, and may miss some of the nearest that lie elsewhere. It takes some microseconds a vector; what is written
    /// later is looked at by every search.
    ///
    /// [`ARRANGED_FROM`]: Self::ARRANGED_FROM
    pub fn arrange(&mut self) {
        if self.len() >= Self::ARRANGED_FROM && self.codes.are_scanned() && self.codes.are_astray() {
            self.arrange_all();
        }
    }

    pub(super) fn arrange_all(&mut self) {
        self.codes.arrange(Rows { dimensions: self.dimensions, numbers: &self.coarse, scales: &self.scales });
    }

    /// The keys there are vectors of.
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// Every key and its vector, see [`FlatIndex::get`].
    pub fn iter(&self) -> impl Iterator<Item = (u32, Vec<f32>)> + '_ {
        self.keys.iter().enumerate().filter_map(|(row, key)| Some((*key, self.vector(row)?)))
    }

    fn exact(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<(u32, f32)> {
        let mut top = TopK::new(limit);
        for (row, key) in self.keys.iter().enumerate() {
            if keep.is_none_or(|keep| keep(*key))
                && let Some(cosine) = self.cosine_of(row, query)
            {
                top.push(*key, cosine);
            }
        }
        top.into_sorted()
    }

    fn quantised(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<(u32, f32)> {
        let Rounded { numbers: small, sum, .. } = Rounded::new(query);
        let mut scores = vec![0.0; self.keys.len()];
        kernel::scan_i8(&self.coarse, self.dimensions, &small, sum, &mut |first, dots| {
            let (to, scales) = (scores.get_mut(first..).unwrap_or_default(), self.scales.get(first..).unwrap_or(&[]));
            kernel::weigh(dots, scales, to, |dot, scale| dot * scale);
        });
        let rows = self.best_rows(&scores, second_look(limit), keep);
        self.in_full(query, limit, rows.into_iter().filter_map(|row| self.keys.get(row as usize).copied()))
    }

    fn coded(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Vec<(u32, f32)> {
        let rounded = Rounded::new(query);
        let mut top = TopK::new(second_look(limit));
        // They come in the order in which they lie in memory.
        let rows = self.best_coded(query, &rounded, limit * CODED_FACTOR + CODED_LEAST, keep);
        for (at, row) in rows.iter().enumerate() {
            if let Some(next) = rows.get(at + AHEAD) {
                let next = *next as usize;
                prefetch(self.coarse.get(self.range(next)).unwrap_or(&[]));
                prefetch_at(&self.keys, next);
                prefetch_at(&self.scales, next);
            }
            let row = *row as usize;
            if let (Some(key), Some(numbers), Some(scale)) =
                (self.keys.get(row), self.coarse.get(self.range(row)), self.scales.get(row))
            {
                top.push(*key, kernel::dot_i8(numbers, &rounded.numbers, rounded.sum) as f32 * scale);
            }
        }
        self.in_full(query, limit, top.into_best().into_iter().map(|(key, _)| key))
    }

    /// The rows of the `limit` best by their codes of those that `keep` lets through, in order.
    fn best_coded(
        &self,
        query: &[f32],
        rounded: &Rounded,
        limit: usize,
        keep: Option<&dyn Fn(u32) -> bool>,
    ) -> Vec<u32> {
        let best = if keep.is_none() { self.codes.best(query, rounded, limit) } else { None };
        best.unwrap_or_else(|| self.best_rows(&self.codes.scores(query), limit, keep))
    }

    /// Has the row of `key` brought near, in full or as 8-bit numbers.
    pub(crate) fn fetch(&self, key: u32, in_full: bool) {
        if let Some(row) = self.row(key) {
            prefetch(self.coarse.get(self.range(row)).unwrap_or(&[]));
            if in_full {
                prefetch(self.fine.get(self.range(row)).unwrap_or(&[]));
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
            if let Some(cosine) = self.cosine(key, query) {
                best.push(key, cosine);
            }
        }
        best.into_sorted()
    }
}

/// A question as 8-bit numbers.
pub(crate) struct Rounded {
    pub(super) numbers: Vec<i8>,
    pub(super) sum: i32,
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
        let (coarse, scale) = kernel::quantise(&vector);
        let fine = kernel::left_over(&vector, &coarse, scale);
        if let Some(row) = self.row(key) {
            let range = self.range(row);
            for (all, own) in [(&mut self.coarse, coarse), (&mut self.fine, fine)] {
                if let Some(place) = all.get_mut(range.clone()) {
                    place.copy_from_slice(&own);
                }
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
        self.coarse.extend_from_slice(&coarse);
        self.fine.extend_from_slice(&fine);
        self.scales.push(scale);
        self.codes.push(&vector);
        Ok(())
    }

    fn remove(&mut self, key: u32) -> bool {
        let Some(row) = self.row(key) else { return false };
        let last = self.range(self.keys.len() - 1);
        for all in [&mut self.coarse, &mut self.fine] {
            all.copy_within(last.clone(), row * self.dimensions);
            all.truncate(last.start);
        }
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
        self.coarse.capacity()
            + self.fine.capacity()
            + self.codes.memory_bytes()
            + (self.scales.capacity() + self.keys.capacity() + self.row_of.capacity()) * 4
    }
}
