//! Exact nearest neighbours by scanning everything: for small partitions the fastest there is, and never wrong.

use super::{kernel, normalised};
use crate::error::Result;
use crate::search::VectorIndex;
use crate::search::top::TopK;

/// From how many rows on the scan reads the quantised rows first.
const QUANTISED_FROM: usize = 1_000;
/// How many times `limit` rows the quantised scan hands on to be compared exactly, and how many at least.
const RERANK_FACTOR: usize = 4;
const RERANK_LEAST: usize = 64;
const NO_ROW: u32 = u32::MAX;

/// A scan over all vectors. Past a thousand of them it reads them as 8-bit numbers first and compares the best few dozen in
/// full precision. Insertion, replacement and removal take constant time.
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
        let (small, _) = kernel::quantise(query);
        let wide: Vec<i16> = small.iter().map(|x| i16::from(*x)).collect();
        let mut top = TopK::new((limit * RERANK_FACTOR).max(RERANK_LEAST).min(limit + 200));
        let rows = self.small.chunks_exact(self.dimensions.max(1));
        match keep {
            None => {
                for ((row, scale), key) in rows.zip(&self.scales).zip(&self.keys) {
                    top.push(*key, kernel::dot_i8(row, &wide) as f32 * scale);
                }
            }
            Some(keep) => {
                for ((row, scale), key) in rows.zip(&self.scales).zip(&self.keys) {
                    if keep(*key) {
                        top.push(*key, kernel::dot_i8(row, &wide) as f32 * scale);
                    }
                }
            }
        }
        let mut best = TopK::new(limit);
        for (key, _) in top.into_sorted() {
            if let Some(row) = self.get(key) {
                best.push(key, kernel::dot(query, row));
            }
        }
        best.into_sorted()
    }
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
        let quantised = self.len() >= QUANTISED_FROM && self.dimensions <= 1 << 16 && limit * 2 < self.len();
        Ok(if quantised { self.quantised(&query, limit, keep) } else { self.exact(&query, limit, keep) })
    }

    fn memory_bytes(&self) -> usize {
        self.rows.capacity() * 4
            + self.small.capacity()
            + (self.scales.capacity() + self.keys.capacity() + self.row_of.capacity()) * 4
    }
}
