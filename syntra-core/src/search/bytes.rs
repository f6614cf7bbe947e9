//! Columns of numbers and texts as bytes, little-endian, for snapshots of an index. They are cut into parts of about a megabyte, so that
//! each is checked and taken over while it is near the processor. Reading says `None` where there are not as many bytes as were written.

/// Bytes of a part.
const PART: usize = 1 << 20;

/// Columns being written: `write` gets one part after the other.
pub(crate) struct ColumnsOut<W> {
    write: W,
    buffer: Vec<u8>,
}

impl<E, W: FnMut(&[u8]) -> Result<(), E>> ColumnsOut<W> {
    pub(crate) fn new(write: W) -> Self {
        Self { write, buffer: Vec::with_capacity(PART) }
    }

    /// A column of things that take `N` bytes each.
    pub(crate) fn column<const N: usize>(&mut self, items: impl ExactSizeIterator<Item = [u8; N]>) -> Result<(), E> {
        (self.write)(&(items.len() as u64).to_le_bytes())?;
        self.buffer.clear();
        for item in items {
            self.buffer.extend_from_slice(&item);
            if self.buffer.len() + N > PART {
                (self.write)(&self.buffer)?;
                self.buffer.clear();
            }
        }
        if self.buffer.is_empty() { Ok(()) } else { (self.write)(&self.buffer) }
    }

    pub(crate) fn number(&mut self, number: u64) -> Result<(), E> {
        (self.write)(&number.to_le_bytes())
    }

    pub(crate) fn numbers(&mut self, numbers: &[u32]) -> Result<(), E> {
        self.column(numbers.iter().map(|x| x.to_le_bytes()))
    }

    pub(crate) fn floats(&mut self, numbers: &[f32]) -> Result<(), E> {
        self.column(numbers.iter().map(|x| x.to_le_bytes()))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), E> {
        (self.write)(&(bytes.len() as u64).to_le_bytes())?;
        bytes.chunks(PART).try_for_each(&mut self.write)
    }
}

/// Columns being read: `next` puts the next part into the buffer that it gets.
pub(crate) struct ColumnsIn<R> {
    next: R,
    buffer: Vec<u8>,
    /// No column can be of more bytes.
    most: u64,
}

impl<R: FnMut(&mut Vec<u8>) -> Option<()>> ColumnsIn<R> {
    /// `most` is how many bytes there are in all, so that a wrong number cannot take all memory.
    pub(crate) fn new(next: R, most: u64) -> Self {
        Self { next, buffer: Vec::new(), most }
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        (self.next)(&mut self.buffer)?;
        Some(u64::from_le_bytes(self.buffer.as_slice().try_into().ok()?))
    }

    /// A column of things that take `N` bytes each; `None` too where `of` says so of one.
    pub(crate) fn column_of<const N: usize, T>(&mut self, mut of: impl FnMut(&[u8; N]) -> Option<T>) -> Option<Vec<T>> {
        let mut items = self.begin(N)?;
        while let Some(part) = self.part::<N, T>(&items)? {
            for item in part {
                items.1.push(of(item)?);
            }
        }
        Some(items.1)
    }

    /// As [`ColumnsIn::column_of`], for what any bytes are.
    pub(crate) fn column<const N: usize, T>(&mut self, of: impl Fn(&[u8; N]) -> T) -> Option<Vec<T>> {
        let mut items = self.begin(N)?;
        while let Some(part) = self.part::<N, T>(&items)? {
            items.1.extend(part.iter().map(&of));
        }
        Some(items.1)
    }

    fn begin<T>(&mut self, size: usize) -> Option<(usize, Vec<T>)> {
        let count = self.number()?;
        if count.checked_mul(size as u64)? > self.most {
            return None;
        }
        Some((count as usize, Vec::with_capacity(count as usize)))
    }

    /// The next things of a column of which some are there already; nothing at its end.
    fn part<const N: usize, T>(&mut self, (count, there): &(usize, Vec<T>)) -> Option<Option<&[[u8; N]]>> {
        let left = count - there.len();
        if left == 0 {
            return Some(None);
        }
        (self.next)(&mut self.buffer)?;
        let (items, rest) = self.buffer.as_chunks::<N>();
        let sound = rest.is_empty() && !items.is_empty() && items.len() <= left;
        sound.then_some(Some(items))
    }

    pub(crate) fn numbers(&mut self) -> Option<Vec<u32>> {
        self.column(|x| u32::from_le_bytes(*x))
    }

    pub(crate) fn floats(&mut self) -> Option<Vec<f32>> {
        self.column(|x| f32::from_le_bytes(*x))
    }

    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        self.column(|[x]| *x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60),
            numbers in proptest::collection::vec(proptest::num::u32::ANY, 0..20),
            floats in proptest::collection::vec(proptest::num::f32::ANY, 0..20),
            gone in 0usize..12,
        ) {
            let mut parts: Vec<Vec<u8>> = Vec::new();
            let mut out = ColumnsOut::new(|part: &[u8]| {
                parts.push(part.to_vec());
                Ok::<(), Infallible>(())
            });
            let Ok(()) = out.bytes(&bytes);
            let Ok(()) = out.numbers(&numbers);
            let Ok(()) = out.number(u64::MAX);
            let Ok(()) = out.floats(&floats);
            let read = |parts: &[Vec<u8>]| {
                let mut parts = parts.iter();
                let next = |buffer: &mut Vec<u8>| {
                    buffer.clear();
                    buffer.extend_from_slice(parts.next()?);
                    Some(())
                };
                let mut columns = ColumnsIn::new(next, 1_000);
                let read = (columns.bytes()?, columns.numbers()?, columns.number()?);
                Some((read, columns.floats()?.into_iter().map(f32::to_bits).collect::<Vec<_>>()))
            };
            let bits: Vec<u32> = floats.iter().map(|x| x.to_bits()).collect();
            let written = Some(((bytes, numbers, u64::MAX), bits));
            proptest::prop_assert_eq!(&read(&parts), &written);
            // Cut short it is nothing, and with a part missing not what was written: a part can look like another.
            if gone < parts.len() {
                proptest::prop_assert!(read(&parts[..gone]).is_none());
                parts.remove(gone);
                proptest::prop_assert_ne!(&read(&parts), &written);
            }
        }
    }

    #[test]
    fn long_columns_come_in_parts_and_wrong_counts_take_no_memory() {
        let numbers: Vec<u32> = (0..700_000).collect();
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let Ok(()) = ColumnsOut::new(|part: &[u8]| {
            parts.push(part.to_vec());
            Ok::<(), Infallible>(())
        })
        .numbers(&numbers);
        assert_eq!(parts.len(), 4);
        let read = |parts: &[Vec<u8>]| {
            let mut parts = parts.iter();
            ColumnsIn::new(|buffer| parts.next().map(|part| buffer.clone_from(part)), 1 << 30).numbers()
        };
        assert_eq!(read(&parts), Some(numbers));
        parts[0] = (1u64 << 60).to_le_bytes().to_vec();
        assert_eq!(read(&parts), None);
    }
}
