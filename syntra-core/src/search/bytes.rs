//! Numbers and texts as bytes, little-endian, for snapshots of an index. Reading says `None` where the bytes are not what was written.

/// Bytes in the making.
#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn u8(&mut self, x: u8) {
        self.0.push(x);
    }

    pub(crate) fn u32(&mut self, x: u32) {
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, x: u64) {
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    pub(crate) fn f32(&mut self, x: f32) {
        self.u32(x.to_bits());
    }

    pub(crate) fn f64(&mut self, x: f64) {
        self.u64(x.to_bits());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A list of numbers with their count before it.
    pub(crate) fn list<const N: usize>(&mut self, numbers: impl ExactSizeIterator<Item = [u8; N]>) {
        self.u32(numbers.len() as u32);
        self.0.reserve(numbers.len() * N);
        numbers.for_each(|bytes| self.0.extend_from_slice(&bytes));
    }
}

/// Bytes being read.
#[derive(Debug)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[x]| x)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn f32(&mut self) -> Option<f32> {
        self.u32().map(f32::from_bits)
    }

    pub(crate) fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// A list of [`Out::list`].
    pub(crate) fn list<const N: usize>(&mut self) -> Option<&'a [[u8; N]]> {
        let count = self.u32()? as usize;
        let bytes = self.take(count.checked_mul(N)?)?;
        Some(bytes.as_chunks::<N>().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(text in ".{0,20}", numbers in proptest::collection::vec(proptest::num::u32::ANY, 0..20), x: f32, cut in 0usize..200) {
            let mut out = Out::default();
            out.u8(7);
            out.text(&text);
            out.f32(x);
            out.f64(f64::from(x));
            out.u64(u64::MAX);
            out.list(numbers.iter().map(|n| n.to_le_bytes()));
            let read = |bytes: &[u8]| {
                let mut bytes = In(bytes);
                let read = (bytes.u8()?, bytes.text()?.to_owned(), bytes.f32()?.to_bits(), bytes.f64()?.to_bits(), bytes.u64()?);
                let list: Vec<u32> = bytes.list()?.iter().map(|n| u32::from_le_bytes(*n)).collect();
                Some((read, list))
            };
            let expected = ((7, text, x.to_bits(), f64::from(x).to_bits(), u64::MAX), numbers);
            proptest::prop_assert_eq!(read(&out.0), Some(expected));
            let cut = cut.min(out.0.len());
            proptest::prop_assert!(cut == out.0.len() || read(&out.0[..cut]).is_none());
        }
    }
}
