//! Questions that are asked again in the same words: a topic says what a model makes of such questions, this what it made of this one.

use crate::router::QuickHash;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Questions in each of two generations; no more than twice as many are known.
pub(super) const GENERATION: usize = 4_096;
/// Sums by model and question in a generation, so that many models do not take many times the room.
pub(super) const SUMS: usize = 32_768;
/// Outcomes that what is expected of such questions is worth against those of this very one.
const WEIGHT: f32 = 2.0;
/// Outcomes of a model after which half is forgotten, so that a model that has changed is seen to.
const FULL: f32 = 16.0;

/// A question by the hash of its words, of 52 bits: as a number in JSON it survives every reader.
pub(super) type Key = u64;

/// The key of `text`, the same on every machine; nothing but white space around it makes no difference.
pub(super) fn key(text: &str) -> Key {
    let step = |h: u64, word: u64| (h ^ word).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bytes = text.trim().as_bytes();
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let hash = words.iter().fold(bytes.len() as u64, |h, word| step(h, u64::from_le_bytes(*word)));
    let hash = step(hash, u64::from_le_bytes(last));
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ (hash >> 29)) >> 12
}

/// What one model made of one question.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The model's place.
    pub place: u16,
    /// How many outcomes.
    pub n: f32,
    /// Their scores.
    pub score: f32,
}

impl Seen {
    /// What is expected, where `usual` is for questions like this one.
    pub(super) fn mean(&self, usual: f32) -> f32 {
        (self.score + WEIGHT * usual) / (self.n + WEIGHT)
    }

    pub(super) fn is_sound(&self) -> bool {
        (0.0..=FULL).contains(&self.n) && (0.0..=self.n).contains(&self.score)
    }
}

type Generation = HashMap<Key, Vec<Seen>, QuickHash>;

/// The questions asked lately. When the younger generation is full it becomes the older one, and what is in the older one and was
/// not asked since is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    young: Generation,
    old: Generation,
    /// Sums in the younger.
    sums: usize,
}

impl Repeats {
    /// What the models made of the question.
    pub(super) fn of(&self, key: Key) -> &[Seen] {
        self.young.get(&key).or_else(|| self.old.get(&key)).map_or(&[], Vec::as_slice)
    }

    /// Learns that the model at `place` got `score` for the question.
    pub(super) fn learn(&mut self, key: Key, place: u16, score: f32) {
        let seen = self.slot(key);
        if let Some(seen) = seen.iter_mut().find(|seen| seen.place == place) {
            if seen.n >= FULL {
                (seen.n, seen.score) = (seen.n / 2.0, seen.score / 2.0);
            }
            (seen.n, seen.score) = (seen.n + 1.0, seen.score + score);
        } else {
            seen.push(Seen { place, n: 1.0, score });
            self.sums += 1;
        }
    }

    /// Adds a question that was kept.
    pub(super) fn keep(&mut self, key: Key, seen: Vec<Seen>) {
        let new = seen.len();
        let before = std::mem::replace(self.slot(key), seen).len();
        self.sums = self.sums + new - before;
    }

    fn slot(&mut self, key: Key) -> &mut Vec<Seen> {
        if self.sums >= SUMS || self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
            self.sums = 0;
        }
        let Self { young, old, sums } = self;
        young.entry(key).or_insert_with(|| {
            let seen = old.remove(&key).unwrap_or_default();
            *sums += seen.len();
            seen
        })
    }

    /// All of them, those first that are forgotten first.
    pub(super) fn all(&self) -> impl Iterator<Item = (Key, &Vec<Seen>)> {
        [&self.old, &self.young].into_iter().flat_map(|generation| {
            // In an order that is the same every time.
            let mut all: Vec<_> = generation.iter().map(|(key, seen)| (*key, seen)).collect();
            all.sort_unstable_by_key(|(key, _)| *key);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_all_words_and_a_number_in_every_json() {
        assert_eq!(key(" What is 2 + 2?\n"), key("What is 2 + 2?"));
        assert_ne!(key("What is 2 + 2?"), key("What is 2 - 2?"));
        let long = "word ".repeat(5_000);
        assert_ne!(key(&format!("{long}a{long}")), key(&format!("{long}b{long}")));
        // Padding is no part of a text.
        assert_ne!(key("a"), key("a\0"));
        // What was stored elsewhere is found here.
        assert_eq!(key("What is 2 + 2?"), 0x3_f1ec_42c4_7fed);
        assert!(key("What is 2 + 2?") < 1 << 53);
    }

    #[test]
    fn what_is_asked_again_stays_and_the_rest_is_forgotten() {
        let mut repeats = Repeats::default();
        for n in 0..5 * GENERATION as u64 {
            repeats.learn(n, 0, 0.5);
            repeats.learn(7, 1, 1.0);
            assert!(repeats.young.len() <= GENERATION && repeats.old.len() <= GENERATION);
        }
        assert_eq!(repeats.of(9), []);
        assert_eq!(repeats.of(5 * GENERATION as u64 - 1).len(), 1);
        let seen = repeats.of(7).iter().find(|seen| seen.place == 1).copied().unwrap();
        assert!(seen.is_sound() && seen.n > FULL / 2.0 && seen.mean(0.0) > 0.75, "{seen:?}");
        // Many models fill a generation sooner.
        for n in 0..1_000u64 {
            (0..256).for_each(|place| repeats.learn(n, place, 1.0));
            let sums = |generation: &Generation| generation.values().map(Vec::len).sum::<usize>();
            assert!(sums(&repeats.young) == repeats.sums && sums(&repeats.old) <= SUMS);
        }
        repeats.learn(7, 1, 1.0);
        // In the order of its export it is kept as it was.
        let mut copy = Repeats::default();
        repeats.all().for_each(|(key, seen)| copy.keep(key, seen.clone()));
        assert_eq!(copy.all().count(), repeats.all().count());
        assert_eq!(copy.of(7), repeats.of(7));
    }
}
