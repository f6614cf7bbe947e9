//! Counts that are known already.

use std::hash::RandomState;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// Bytes of a text whose count is kept: a shorter one is counted as fast, a longer one seldom comes again.
const KEPT: RangeInclusive<usize> = 24..=32 * 1024;
/// Counts that are kept, a power of two; a newer one takes the place of an older.
const PLACES: usize = 2048;

/// The counts of some texts that were counted lately. The texts themselves are not kept, what they say being somebody's: they are told
/// apart by their length and 64 bits of a hash that is keyed anew in each process (SipHash).
#[derive(Debug)]
pub(super) struct Known {
    key: RandomState,
    places: Mutex<Vec<Counted>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    hash: u64,
    /// 0 in an empty place: no text of that length is kept.
    length: u32,
    tokens: u32,
}

impl Default for Known {
    fn default() -> Self {
        Self { key: RandomState::new(), places: Mutex::new(vec![Counted::default(); PLACES]) }
    }
}

impl Known {
    /// The tokens of `text`: those known, else those that `count` counts.
    pub(super) fn count(&self, text: &str, count: impl FnOnce(&str) -> usize) -> usize {
        if !KEPT.contains(&text.len()) {
            return count(text);
        }
        let hash = std::hash::BuildHasher::hash_one(&self.key, text);
        let length = u32::try_from(text.len()).unwrap_or(0);
        let place = hash as usize % PLACES;
        let known = || self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(place)
            && (found.hash, found.length) == (hash, length)
        {
            return found.tokens as usize;
        }
        // Without the lock: somebody else may count meanwhile.
        let tokens = count(text);
        if let (Some(slot), Ok(tokens)) = (known().get_mut(place), u32::try_from(tokens)) {
            *slot = Counted { hash, length, tokens };
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_text_is_counted_once_and_others_are_not_taken_for_it() {
        let (known, counted) = (Known::default(), Cell::new(0));
        let count = |text: &str| {
            known.count(text, |text| {
                counted.set(counted.get() + 1);
                text.len() / 4
            })
        };
        let (one, other) =
            ("what is said again and again, word for word", "and what is said just once, and is as long");
        for _ in 0..3 {
            assert_eq!(count(one), one.len() / 4);
        }
        assert_eq!(counted.get(), 1);
        assert_eq!(count(other), other.len() / 4);
        assert_eq!(counted.get(), 2);
        let (short, long) = ("short", "x".repeat(KEPT.end() + 1));
        for _ in 0..2 {
            assert_eq!((count(short), count(&long)), (1, long.len() / 4));
        }
        assert_eq!(counted.get(), 6);
    }
}
