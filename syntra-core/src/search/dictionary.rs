//! Texts by number and numbers by text, in one buffer.

use super::bytes::{ColumnsIn, ColumnsOut};
use super::lists::Span;
use super::vector::prefetch_at;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher as _;
use std::sync::OnceLock;

/// What nobody points to any more is cleared away when it is more than half of all, and at least so many bytes.
const CLEARED_FROM: usize = 1 << 16;

/// Different texts, each with a number from 0 on; the number of one that was removed is given to the next new one. The table that finds a
/// number by its text is made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    texts: String,
    spans: Vec<Span>,
    free: Vec<u32>,
    dead: usize,
    table: OnceLock<HashTable<u32>>,
}

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

impl Dictionary {
    /// The text of `number`; `None` for a number that is free.
    #[inline]
    pub(crate) fn text(&self, number: u32) -> Option<&str> {
        self.spans.get(number as usize).and_then(|span| self.texts.get(span.range()))
    }

    /// Has the texts of `numbers` brought near.
    pub(crate) fn fetch(&self, numbers: &[u32]) {
        numbers.iter().for_each(|number| prefetch_at(&self.spans, *number as usize));
        for span in numbers.iter().filter_map(|number| self.spans.get(*number as usize)) {
            prefetch_at(self.texts.as_bytes(), span.range().start);
        }
    }

    /// The number of `text`.
    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        let table = self.table.get_or_init(|| self.made());
        table.find(hash(text), |number| self.text(*number) == Some(text)).copied()
    }

    fn made(&self) -> HashTable<u32> {
        let mut table = HashTable::with_capacity(self.len());
        let hash_of = |number: &u32| self.text(*number).map_or(0, hash);
        for number in 0..self.spans.len() as u32 {
            if let Some(text) = self.text(number) {
                table.insert_unique(hash(text), number, hash_of);
            }
        }
        table
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len() - self.free.len()
    }

    /// One more than the highest number that was ever given.
    pub(crate) fn numbers(&self) -> usize {
        self.spans.len()
    }

    /// The number of `text`, which is added where it is new.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.number(text) {
            return number;
        }
        let begin = self.texts.len();
        self.texts.push_str(text);
        let span = Span::of(begin, text.len());
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(place) = self.spans.get_mut(number as usize) {
                    *place = span;
                }
                number
            }
            None => {
                self.spans.push(span);
                (self.spans.len() - 1) as u32
            }
        };
        let (texts, spans) = (&self.texts, &self.spans);
        let hash_of = |number: &u32| {
            let text = spans.get(*number as usize).and_then(|span| texts.get(span.range()));
            text.map_or(0, hash)
        };
        if let Some(table) = self.table.get_mut() {
            table.insert_unique(hash(text), number, hash_of);
        }
        number
    }

    /// Takes the text of `number` out and gives the number free.
    pub(crate) fn remove(&mut self, number: u32) {
        let Some(text) = self.text(number) else { return };
        let (hash, length) = (hash(text), text.len());
        if let Some(table) = self.table.get_mut()
            && let Ok(entry) = table.find_entry(hash, |held| *held == number)
        {
            entry.remove();
        }
        if let Some(span) = self.spans.get_mut(number as usize) {
            *span = Span::NONE;
        }
        self.free.push(number);
        self.dead += length;
        if self.dead >= CLEARED_FROM && self.dead > self.texts.len() / 2 {
            self.clear_away();
        }
    }

    fn clear_away(&mut self) {
        let before = std::mem::take(&mut self.texts);
        self.texts.reserve(before.len().saturating_sub(self.dead));
        for span in &mut self.spans {
            if let Some(text) = before.get(span.range()) {
                *span = Span::of(self.texts.len(), text.len());
                self.texts.push_str(text);
            }
        }
        self.dead = 0;
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.texts.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.free.capacity() * 4
            + self.table.get().map_or(0, |table| table.capacity() * 6)
    }

    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        out.number(self.dead as u64)?;
        out.bytes(self.texts.as_bytes())?;
        out.column(self.spans.iter().map(|span| span.written()))?;
        out.numbers(&self.free)
    }

    /// Reads what [`Dictionary::save`] wrote; `None` where a text is none or a number is free and not.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>>(from: &mut ColumnsIn<R>) -> Option<Self> {
        let dead = from.number()? as usize;
        let texts = String::from_utf8(from.bytes()?).ok()?;
        let spans = from.column(Span::read)?;
        let free = from.numbers()?;
        let held = spans.iter().filter(|span| **span != Span::NONE);
        if dead > texts.len() || held.clone().count() + free.len() != spans.len() {
            return None;
        }
        let is_text = |span: &Span| texts.get(span.range()).is_some();
        let is_free = |number: &u32| spans.get(*number as usize) == Some(&Span::NONE);
        if !held.clone().all(is_text) || !free.iter().all(is_free) {
            return None;
        }
        Some(Self { texts, spans, free, dead, table: OnceLock::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    fn again(dictionary: &Dictionary) -> Option<Dictionary> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let Ok(()) = dictionary.save(&mut ColumnsOut::new(|part: &[u8]| {
            parts.push(part.to_vec());
            Ok::<(), Infallible>(())
        }));
        let mut parts = parts.into_iter();
        Dictionary::restore(&mut ColumnsIn::new(|buffer| parts.next().map(|part| *buffer = part), 1 << 20))
    }

    proptest::proptest! {
        #[test]
        fn texts_have_the_numbers_that_they_were_given(steps in proptest::collection::vec(("[a-cä]{0,3}", proptest::bool::ANY), 0..80)) {
            let (mut dictionary, mut expected): (Dictionary, BTreeMap<String, u32>) = Default::default();
            for (text, add) in steps {
                // Long enough for what is dead to be cleared away.
                let text = text.repeat(4_000);
                if add {
                    let number = dictionary.intern(&text);
                    let held = *expected.entry(text).or_insert(number);
                    proptest::prop_assert_eq!(number, held);
                } else if let Some(number) = expected.remove(&text) {
                    dictionary.remove(number);
                }
                let live: usize = expected.keys().map(String::len).sum();
                proptest::prop_assert_eq!(dictionary.texts.len(), live + dictionary.dead);
                proptest::prop_assert!(dictionary.dead <= (live + 1).max(CLEARED_FROM));
            }
            for dictionary in [&again(&dictionary).unwrap(), &dictionary] {
                proptest::prop_assert_eq!(dictionary.len(), expected.len());
                for (text, number) in &expected {
                    proptest::prop_assert_eq!(dictionary.number(text), Some(*number));
                    proptest::prop_assert_eq!(dictionary.text(*number), Some(text.as_str()));
                }
                proptest::prop_assert_eq!(dictionary.number("zzz"), None);
            }
        }
    }
}
