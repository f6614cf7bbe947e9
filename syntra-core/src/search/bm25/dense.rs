//! The documents of a frequent term as one bit a slot: what several of them share is found some hundred slots at a time.

use super::Posting;

/// From how many postings on, and from which share of the slots, a term has one; and below which share it has none any more.
const FROM: usize = 4_096;
const SHARE: usize = 64;
const LEAST_SHARE: usize = 256;

/// A bit a slot; empty for a term that is not frequent.
#[derive(Debug, Default)]
pub(super) struct Dense(Vec<u64>);

impl Dense {
    /// That of a term with these postings, among so many slots.
    pub(super) fn of(postings: &[Posting], slots: usize) -> Self {
        if postings.len() < FROM || postings.len() * SHARE < slots {
            return Self::default();
        }
        let mut dense = Self(vec![0; slots.div_ceil(64)]);
        postings.iter().for_each(|posting| dense.set(posting.slot));
        dense
    }

    fn set(&mut self, slot: u32) {
        let at = slot as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Follows a posting that came.
    pub(super) fn inserted(&mut self, slot: u32, postings: &[Posting], slots: usize) {
        if self.is_there() {
            self.set(slot);
        } else if postings.len() >= FROM {
            *self = Self::of(postings, slots);
        }
    }

    /// Follows a posting that went.
    pub(super) fn removed(&mut self, slot: u32, postings: &[Posting], slots: usize) {
        if postings.len() < FROM / 2 || postings.len() * LEAST_SHARE < slots {
            *self = Self::default();
        } else if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !self.0.is_empty()
    }

    #[inline]
    pub(super) fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// The slots that all of `dense` have, in order.
    pub(super) fn shared(dense: &[&Dense]) -> Vec<u32> {
        let Some((first, rest)) = dense.split_first() else { return Vec::new() };
        let words = rest.iter().fold(first.0.len(), |least, other| least.min(other.0.len()));
        let mut all: Vec<u64> = first.0.get(..words).unwrap_or(&[]).to_vec();
        for other in rest {
            all.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
        }
        let mut slots = Vec::with_capacity(all.iter().map(|word| word.count_ones() as usize).sum());
        for (at, word) in (0u32..).zip(all) {
            let mut left = word;
            while left != 0 {
                slots.push(at * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
        slots
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.capacity() * 8 + size_of::<Self>()
    }
}
