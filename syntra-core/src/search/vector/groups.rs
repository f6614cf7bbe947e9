//! Like vectors beside each other, so that a question need not look at those it has nothing in common with (an inverted file: Jégou,
//! Douze and Schmid, PAMI 2011). Groups are made in two steps, each by spherical k-means over a sample (Dhillon and Modha, 2001): a vector
//! goes to the nearest of some centres, and of the centres into which those near that one were split.

use super::Rounded;
use super::kernel::{self, ROWS};
use std::ops::Range;

/// The most centres of each of the two steps: at most the square of it are groups.
const CENTRES: usize = 32;
/// Vectors that are looked at to find the centres, and how often the centres are moved.
const SAMPLE: usize = 1 << 15;
const ROUNDS: usize = 6;
/// How many of a sample a centre of the second step has at the least, about.
const LEAST: usize = 8;
/// The share of the vectors that a question looks at: those of the groups nearest to it. The figures are in `docs/benchmarks.md`.
const LOOKED_AT: f32 = 0.4;

/// Vectors by row, as 8-bit numbers with a scale each.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) dimensions: usize,
    pub(super) numbers: &'a [i8],
    pub(super) scales: &'a [f32],
}

impl Rows<'_> {
    fn row(&self, row: usize) -> &[i8] {
        self.numbers.get(row * self.dimensions..(row + 1) * self.dimensions).unwrap_or(&[])
    }
}

/// Centres, of length 1.
#[derive(Debug, Default)]
struct Centres {
    dimensions: usize,
    numbers: Vec<i8>,
    scales: Vec<f32>,
}

impl Centres {
    fn push(&mut self, centre: &[f32]) {
        let (numbers, scale) = kernel::quantise(centre);
        self.numbers.extend(numbers);
        self.scales.push(scale);
    }

    /// What each has in common with a vector, in no unit.
    fn alike(&self, numbers: &[i8], sum: i32) -> Vec<f32> {
        let mut found = vec![0.0; self.scales.len()];
        kernel::scan_i8(&self.numbers, self.dimensions, numbers, sum, &mut |first, dots| {
            let (to, scales) = (found.get_mut(first..).unwrap_or_default(), self.scales.get(first..).unwrap_or(&[]));
            kernel::weigh(dots, scales, to, |dot, scale| dot * scale);
        });
        found
    }

    fn row(&self, at: usize) -> &[i8] {
        self.numbers.get(at * self.dimensions..(at + 1) * self.dimensions).unwrap_or(&[])
    }

    fn nearest(&self, numbers: &[i8]) -> usize {
        let sum = numbers.iter().map(|x| i32::from(*x)).sum();
        let alike = self.alike(numbers, sum);
        (0..alike.len()).max_by(|a, b| alike[*a].total_cmp(&alike[*b])).unwrap_or_default()
    }

    /// At most `count` centres of the rows in `sample`.
    fn of(rows: Rows<'_>, sample: &[usize], count: usize) -> Self {
        let empty = || Self { dimensions: rows.dimensions, ..Self::default() };
        let mut centres = empty();
        for row in sample.iter().step_by((sample.len() / count.max(1)).max(1)).take(count) {
            let numbers: Vec<f32> = rows.row(*row).iter().map(|x| f32::from(*x)).collect();
            centres.push(&unit(numbers));
        }
        for _ in 0..ROUNDS {
            let mut sums = vec![vec![0.0f32; rows.dimensions]; centres.scales.len()];
            for row in sample {
                let (numbers, scale) = (rows.row(*row), rows.scales.get(*row).copied().unwrap_or_default());
                if let Some(sum) = sums.get_mut(centres.nearest(numbers)) {
                    sum.iter_mut().zip(numbers).for_each(|(sum, x)| *sum += f32::from(*x) * scale);
                }
            }
            let mut moved = empty();
            for (at, sum) in sums.into_iter().enumerate() {
                if sum.iter().any(|x| *x != 0.0) {
                    moved.push(&unit(sum));
                } else {
                    // Nobody's nearest stays where it is.
                    moved.numbers.extend_from_slice(centres.row(at));
                    moved.scales.extend(centres.scales.get(at));
                }
            }
            centres = moved;
        }
        centres
    }
}

/// At length 1.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = kernel::dot(&vector, &vector).sqrt().max(1e-9);
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Which places hold the vectors of which group: those of a group lie beside each other.
#[derive(Debug)]
pub(super) struct Groups {
    centres: Centres,
    /// Where each begins, and where the last one ends.
    begins: Vec<u32>,
}

/// The numbers of [`Groups`], to be kept: the centres with their scales, and where groups begin.
pub(super) type Parts<'a> = (&'a [i8], &'a [f32], &'a [u32]);

impl Groups {
    /// Groups of `rows`, and which row comes to which place.
    pub(super) fn of(rows: Rows<'_>) -> (Self, Vec<u32>) {
        let count = rows.scales.len();
        let sample: Vec<usize> = (0..count).step_by((count / SAMPLE).max(1)).collect();
        let first = Centres::of(rows, &sample, CENTRES);
        let mut members = vec![Vec::new(); first.scales.len()];
        for row in &sample {
            if let Some(members) = members.get_mut(first.nearest(rows.row(*row))) {
                members.push(*row);
            }
        }
        let split = |members: &Vec<usize>| Centres::of(rows, members, (members.len() / LEAST).clamp(1, CENTRES));
        let mut second: Vec<Centres> = members.iter().map(split).collect();
        // One near which none of the sample is may be the nearest of others.
        for (at, centres) in second.iter_mut().enumerate().filter(|(_, centres)| centres.scales.is_empty()) {
            centres.numbers.extend_from_slice(first.row(at));
            centres.scales.extend(first.scales.get(at));
        }
        // The number of the first group of each of the first centres.
        let mut number = 0;
        let numbers: Vec<usize> = second.iter().map(|centres| (number, number += centres.scales.len()).0).collect();
        let mut groups = vec![Vec::new(); number];
        for row in 0..count {
            let vector = rows.row(row);
            let near = first.nearest(vector);
            if let (Some(number), Some(centres)) = (numbers.get(near), second.get(near))
                && let Some(group) = groups.get_mut(number + centres.nearest(vector))
            {
                group.push(row as u32);
            }
        }
        let mut centres = Centres { dimensions: rows.dimensions, ..Centres::default() };
        for of in second {
            centres.numbers.extend(of.numbers);
            centres.scales.extend(of.scales);
        }
        let mut begins = vec![0];
        begins.extend(groups.iter().scan(0, |end, group| {
            *end += group.len() as u32;
            Some(*end)
        }));
        (Self { centres, begins }, groups.concat())
    }

    /// How many places are in groups: the first ones.
    fn end(&self) -> usize {
        self.begins.last().map_or(0, |end| *end as usize)
    }

    /// The places of the groups nearest to `question`, a good share of all, one range a group.
    fn near(&self, question: &Rounded) -> Vec<Range<usize>> {
        let alike = self.centres.alike(&question.numbers, question.sum);
        let mut order: Vec<usize> = (0..alike.len()).collect();
        order.sort_unstable_by(|a, b| alike[*b].total_cmp(&alike[*a]));
        let mut left = (self.end() as f32 * LOOKED_AT).ceil() as usize;
        let mut near = Vec::new();
        for group in order {
            let Some([begin, end]) = self.begins.get(group..group + 2) else { continue };
            let places = *begin as usize..*end as usize;
            left = left.saturating_sub(places.len());
            near.push(places);
            if left == 0 {
                break;
            }
        }
        near
    }

    /// What is to be kept.
    pub(super) fn parts(&self) -> Parts<'_> {
        (&self.centres.numbers, &self.centres.scales, &self.begins)
    }

    /// Takes over what [`Groups::parts`] gave; `None` where it does not fit.
    pub(super) fn restore(dimensions: usize, numbers: Vec<i8>, scales: Vec<f32>, begins: Vec<u32>) -> Option<Self> {
        let fits = scales.len().checked_mul(dimensions) == Some(numbers.len())
            && begins.len() == scales.len() + 1
            && begins.first() == Some(&0)
            && begins.is_sorted();
        fits.then_some(Self { centres: Centres { dimensions, numbers, scales }, begins })
    }

    fn memory_bytes(&self) -> usize {
        self.centres.numbers.capacity() + (self.centres.scales.capacity() + self.begins.capacity()) * 4
    }
}

/// Which code is where, once like ones lie beside each other. Those written since lie behind the groups.
#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) groups: Groups,
    pub(super) row_at: Vec<u32>,
    pub(super) place_of: Vec<u32>,
    /// For each block whether there are codes in it that belong elsewhere: it is looked at by every question.
    pub(super) strays: Vec<bool>,
}

impl Grouped {
    pub(super) fn of(groups: Groups, row_at: Vec<u32>, strays: Vec<bool>) -> Option<Self> {
        let mut place_of = vec![u32::MAX; row_at.len()];
        for (place, row) in (0u32..).zip(&row_at) {
            let known = place_of.get_mut(*row as usize)?;
            if *known != u32::MAX {
                return None;
            }
            *known = place;
        }
        let fits = strays.len() == groups.end().div_ceil(ROWS);
        fits.then_some(Self { groups, row_at, place_of, strays })
    }

    pub(super) fn place(&self, row: usize) -> usize {
        self.place_of.get(row).map_or(0, |place| *place as usize)
    }

    /// The code at `place` is another now.
    pub(super) fn strayed(&mut self, place: usize) {
        if let Some(stray) = self.strays.get_mut(place / ROWS) {
            *stray = true;
        }
    }

    fn put(&mut self, row: usize, place: usize) {
        if let (Some(at), Some(of)) = (self.row_at.get_mut(place), self.place_of.get_mut(row)) {
            (*at, *of) = (row as u32, place as u32);
        }
    }

    /// Row `row` is gone, the code of the last place has come to its place, and the last row is called `row`.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let Some(last) = self.row_at.len().checked_sub(1) else { return };
        let place = self.place(row);
        let moved = self.row_at.get(last).map_or(0, |row| *row as usize);
        if place != last {
            self.put(moved, place);
            self.strayed(place);
        }
        if row != last {
            self.put(row, self.place(last));
        }
        self.row_at.truncate(last);
        self.place_of.truncate(last);
    }

    /// Adds a row behind the groups.
    pub(super) fn push(&mut self) {
        let row = self.row_at.len() as u32;
        self.row_at.push(row);
        self.place_of.push(row);
    }

    /// How many codes, about, every question looks at: those of blocks with strays, and behind the groups.
    pub(super) fn astray(&self) -> usize {
        let strays = self.strays.iter().filter(|stray| **stray).count() * ROWS;
        strays + self.row_at.len().saturating_sub(self.groups.end())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let places = self.row_at.capacity() + self.place_of.capacity();
        self.groups.memory_bytes() + self.strays.capacity() + places * 4
    }

    /// The blocks of `all` that a question looks at, in order: those of the groups nearest to it, of strays, and behind the groups.
    pub(super) fn blocks(&self, question: &Rounded, all: usize) -> Vec<Range<usize>> {
        let mut looked_at = self.strays.clone();
        for places in self.groups.near(question) {
            let blocks = places.start / ROWS..places.end.div_ceil(ROWS);
            looked_at.get_mut(blocks).unwrap_or_default().fill(true);
        }
        looked_at.resize(all, true);
        let mut found: Vec<Range<usize>> = Vec::new();
        for block in (0..all).filter(|block| looked_at.get(*block) == Some(&true)) {
            match found.last_mut() {
                Some(last) if last.end == block => last.end += 1,
                _ => found.push(block..block + 1),
            }
        }
        found
    }
}
