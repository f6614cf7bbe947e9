//! Lists of small things by number, all in one buffer: no allocation a list, and read from a snapshot as they lie.

use super::bytes::{ColumnsIn, ColumnsOut};
use super::vector::{prefetch, prefetch_at};

/// Where a list lies in its [`Arena`]: the first 40 bits are its begin, the others its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span(u64);

const LENGTH_BITS: u32 = 24;
/// No list is longer.
const LONGEST: usize = (1 << LENGTH_BITS) - 1;
/// What nobody points to any more is cleared away when it is more than half of all, and at least so much.
const CLEARED_FROM: usize = 4_096;

impl Span {
    fn new(begin: usize, length: usize) -> Self {
        Self((begin as u64) << LENGTH_BITS | length as u64)
    }

    pub(crate) fn len(self) -> usize {
        (self.0 as usize) & LONGEST
    }

    /// What no list has.
    pub(crate) const NONE: Span = Span(u64::MAX);

    /// Its places in the buffer; `length` things from `begin` on.
    pub(crate) fn of(begin: usize, length: usize) -> Self {
        Self::new(begin, length.min(LONGEST))
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let begin = (self.0 >> LENGTH_BITS) as usize;
        begin..begin + self.len()
    }

    /// As bytes, for [`Span::read`].
    pub(crate) fn written(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    pub(crate) fn read(bytes: &[u8; 8]) -> Self {
        Self(u64::from_le_bytes(*bytes))
    }
}

/// A buffer of lists whose [`Span`]s somebody else keeps.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    items: Vec<T>,
    dead: usize,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { items: Vec::new(), dead: 0 }
    }
}

impl<T: Copy> Arena<T> {
    #[inline]
    pub(crate) fn get(&self, span: Span) -> &[T] {
        self.items.get(span.range()).unwrap_or(&[])
    }

    /// Adds a list; what is beyond sixteen million things is left out.
    pub(crate) fn push(&mut self, list: &[T]) -> Span {
        let list = list.get(..LONGEST).unwrap_or(list);
        if list.is_empty() {
            return Span::default();
        }
        let span = Span::new(self.items.len(), list.len());
        self.items.extend_from_slice(list);
        span
    }

    /// Gives a list up.
    pub(crate) fn free(&mut self, span: Span) {
        self.dead += span.len();
    }

    /// Whether [`Arena::clear_away`] pays.
    pub(crate) fn is_due(&self) -> bool {
        self.dead >= CLEARED_FROM && self.dead > self.items.len() / 2
    }

    /// Keeps the lists of `spans`, which come to where they lie from now on, and nothing else.
    pub(crate) fn clear_away<'s>(&mut self, spans: impl Iterator<Item = &'s mut Span>) {
        let before = std::mem::take(self);
        self.items.reserve(before.items.len().saturating_sub(before.dead));
        for span in spans {
            *span = self.push(before.get(*span));
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>()
    }

    /// Writes it, each thing by `item`.
    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>, const N: usize>(
        &self,
        out: &mut ColumnsOut<W>,
        item: impl Fn(&T) -> [u8; N],
    ) -> Result<(), E> {
        out.number(self.dead as u64)?;
        out.column(self.items.iter().map(item))
    }

    /// Reads what [`Arena::save`] wrote.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>, const N: usize>(
        from: &mut ColumnsIn<R>,
        item: impl Fn(&[u8; N]) -> T,
    ) -> Option<Self> {
        let dead = from.number()? as usize;
        let items = from.column(item)?;
        (dead <= items.len()).then_some(Self { items, dead })
    }
}

/// Lists by number; one that was never set is empty.
#[derive(Debug)]
pub(crate) struct Lists<T> {
    spans: Vec<Span>,
    arena: Arena<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { spans: Vec::new(), arena: Arena::default() }
    }
}

impl<T: Copy> Lists<T> {
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &[T] {
        self.spans.get(number as usize).map_or(&[], |span| self.arena.get(*span))
    }

    /// Has the lists of `numbers` brought near.
    pub(crate) fn fetch(&self, numbers: &[u32]) {
        numbers.iter().for_each(|number| prefetch_at(&self.spans, *number as usize));
        numbers.iter().for_each(|number| prefetch(self.get(*number)));
    }

    /// Sets the list of `number`.
    pub(crate) fn set(&mut self, number: u32, list: &[T]) {
        let at = number as usize;
        if self.spans.len() <= at {
            if list.is_empty() {
                return;
            }
            self.spans.resize(at + 1, Span::default());
        }
        if let Some(span) = self.spans.get_mut(at) {
            self.arena.free(*span);
            *span = self.arena.push(list);
        }
        if self.arena.is_due() {
            self.arena.clear_away(self.spans.iter_mut());
        }
    }

    /// Empties the list of `number`; what it held.
    pub(crate) fn take(&mut self, number: u32) -> Vec<T> {
        let list = self.get(number).to_vec();
        if !list.is_empty() {
            self.set(number, &[]);
        }
        list
    }

    /// All lists by number, as far as one was set.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.spans.iter().map(|span| self.arena.get(*span))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.arena.memory_bytes()
    }

    /// Writes them, each thing by `item`.
    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>, const N: usize>(
        &self,
        out: &mut ColumnsOut<W>,
        item: impl Fn(&T) -> [u8; N],
    ) -> Result<(), E> {
        out.column(self.spans.iter().map(|span| span.written()))?;
        self.arena.save(out, item)
    }

    /// Reads what [`Lists::save`] wrote.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>, const N: usize>(
        from: &mut ColumnsIn<R>,
        item: impl Fn(&[u8; N]) -> T,
    ) -> Option<Self> {
        Some(Self { spans: from.column(Span::read)?, arena: Arena::restore(from, item)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    proptest::proptest! {
        #[test]
        fn lists_are_what_was_set_last(writes in proptest::collection::vec((0u32..9, 0usize..900), 0..60)) {
            let (mut lists, mut expected): (Lists<u16>, BTreeMap<u32, Vec<u16>>) = Default::default();
            for (turn, (number, length)) in writes.iter().enumerate() {
                let list = vec![turn as u16; *length];
                lists.set(*number, &list);
                expected.insert(*number, list);
                for number in 0..10 {
                    proptest::prop_assert_eq!(lists.get(number), expected.get(&number).map_or(&[][..], |list| list));
                }
            }
            let held: usize = expected.values().map(Vec::len).sum();
            proptest::prop_assert!(lists.arena.items.len() <= (2 * held + 1).max(held + CLEARED_FROM));
            for number in 0..10 {
                proptest::prop_assert_eq!(lists.take(number), expected.remove(&number).unwrap_or_default());
                proptest::prop_assert!(lists.get(number).is_empty());
            }
        }
    }
}
