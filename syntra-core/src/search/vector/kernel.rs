//! The inner loops of the vector scan, for what the processor at hand can do: AVX-512 (with VNNI), AVX2 or NEON,
//! chosen once a call, and portable code of the same result everywhere else.
//!
//! The one file of the crate with `unsafe` in it. Three things need it: calling a function that is compiled for instructions which
//! the processor may lack (each is called after asking for exactly those), reading a register's width from a slice (each read
//! is of a chunk whose length the type guarantees), and asking for memory ahead (of a slice, whose addresses are valid).
#![allow(unsafe_code)]

/// Asks the processor to bring the memory of `of` near and does not wait for it: of many things that lie apart each is then on its way
/// while the ones before it are worked on. Does nothing where the processor cannot be asked.
#[inline(always)]
pub(crate) fn prefetch<T>(of: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let (begin, bytes) = (of.as_ptr().cast::<i8>(), size_of_val(of));
        for at in (0..bytes).step_by(64) {
            // SAFETY: the address is within the slice, and nothing is read that anybody sees; every x86-64 has the instruction.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(begin.add(at)) };
        }
        if bytes > 0 {
            // SAFETY: as above; the slice need not begin where a line of the cache does.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(begin.add(bytes - 1)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = of;
}

/// [`prefetch`] of one thing of many.
#[inline(always)]
pub(crate) fn prefetch_at<T>(of: &[T], at: usize) {
    prefetch(of.get(at..at.saturating_add(1)).unwrap_or(&[]));
}

/// The dot product of two vectors; the shorter length counts. Which instructions add it up decides its last bits.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (a.get(..n).unwrap_or(a), b.get(..n).unwrap_or(b));
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: AVX-512F is there.
            return unsafe { x86::dot_avx512(a, b) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 and FMA are there.
            return unsafe { x86::dot_avx2(a, b) };
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        // SAFETY: NEON is there.
        return unsafe { arm::dot_neon(a, b) };
    }
    portable::dot(a, b)
}

/// How many fine steps make a coarse one, see [`dot_split`]: half of one, the most that is left over, is 127 of them.
pub(crate) const FINE: f32 = 254.0;

/// The dot product of `query` with a vector that is split into coarse numbers and fine ones, in steps of the fine: each of its numbers is
/// `coarse * FINE + fine`. All have the same length.
#[inline]
pub(crate) fn dot_split(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
    let n = query.len().min(coarse.len()).min(fine.len());
    let query = query.get(..n).unwrap_or(query);
    let (coarse, fine) = (coarse.get(..n).unwrap_or(coarse), fine.get(..n).unwrap_or(fine));
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw") {
            // SAFETY: AVX-512F and BW are there.
            return unsafe { x86::dot_split_avx512(query, coarse, fine) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 and FMA are there.
            return unsafe { x86::dot_split_avx2(query, coarse, fine) };
        }
    }
    portable::dot_split(query, coarse, fine)
}

/// The longest vectors of small whole numbers of which no sum overflows.
pub(crate) const LONGEST: usize = 1 << 16;

/// The dot product of two vectors of small whole numbers of the same length, exactly; at most [`LONGEST`] of them, none of them -128.
/// `sum` is that of `b`.
#[inline]
pub(crate) fn dot_i8(a: &[i8], b: &[i8], sum: i32) -> i32 {
    let n = a.len().min(b.len());
    let (a, b) = (a.get(..n).unwrap_or(a), b.get(..n).unwrap_or(b));
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512vnni") && std::arch::is_x86_feature_detected!("avx512bw") {
        // SAFETY: AVX-512 VNNI and BW (and with them F) are there.
        return unsafe { x86::dot_i8_vnni(a, b, sum) };
    }
    let _ = sum;
    dot_i8_of_any(a, b)
}

/// [`dot_i8`] where the sum of neither is known.
#[inline]
pub(crate) fn dot_i8_of_any(a: &[i8], b: &[i8]) -> i32 {
    let n = a.len().min(b.len());
    let (a, b) = (a.get(..n).unwrap_or(a), b.get(..n).unwrap_or(b));
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 is there.
        return unsafe { x86::dot_i8_avx2(a, b) };
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        // SAFETY: NEON is there.
        return unsafe { arm::dot_i8_neon(a, b) };
    }
    portable::dot_i8(a, b)
}

/// [`dot_i8`] of each row of `rows` (of `length` numbers each, as many as `b` has), handed to `found` some rows at a time with
/// the number of the first.
#[inline]
pub(crate) fn scan_i8(rows: &[i8], length: usize, b: &[i8], sum: i32, found: &mut impl FnMut(usize, &[i32])) {
    if length == 0 || b.len() != length {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512vnni") && std::arch::is_x86_feature_detected!("avx512bw") {
            // SAFETY: AVX-512 VNNI and BW (and with them F) are there.
            return unsafe { x86::scan_i8_vnni(rows, length, b, sum, found) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 is there.
            return unsafe { x86::scan_i8_avx2(rows, length, b, found) };
        }
    }
    by_blocks(rows, length, found, |row| dot_i8(row, b, sum));
}

/// Hands `found` what `of` says of each row, some rows at a time.
#[inline(always)]
fn by_blocks<T>(rows: &[T], length: usize, found: &mut impl FnMut(usize, &[i32]), of: impl Fn(&[T]) -> i32) {
    let mut block = [0i32; BLOCK];
    for (at, rows) in rows.chunks(length * BLOCK).enumerate() {
        let mut held = 0;
        for (place, row) in block.iter_mut().zip(rows.chunks_exact(length)) {
            *place = of(row);
            held += 1;
        }
        found(at * BLOCK, block.get(..held).unwrap_or(&[]));
    }
}

/// Rows that are handed on at a time.
const BLOCK: usize = 16;

/// The scores of a block of rows from what a scan found of them and what each row's numbers are worth. Blocks are of eight rows, but for
/// the last: their number is known, so that the compiler makes few wide instructions of it.
#[inline(always)]
pub(crate) fn weigh(found: &[i32], worth: &[f32], to: &mut [f32], score: impl Fn(f32, f32) -> f32) {
    let (found_8, found_rest) = found.as_chunks::<8>();
    let (worth_8, worth_rest) = worth.split_at(worth.len().min(found_8.len() * 8));
    let (to_8, to_rest) = to.split_at_mut(to.len().min(found_8.len() * 8));
    for ((found, worth), to) in found_8.iter().zip(worth_8.as_chunks::<8>().0).zip(to_8.as_chunks_mut::<8>().0) {
        // By way of an array of its own, which cannot overlap with what the score is computed from.
        let mut scores = [0.0; 8];
        for i in 0..8 {
            scores[i] = score(found[i] as f32, worth[i]);
        }
        *to = scores;
    }
    for ((found, worth), to) in found_rest.iter().zip(worth_rest).zip(to_rest) {
        *to = score(*found as f32, *worth);
    }
}

/// Rows of a block of codes.
pub(crate) const ROWS: usize = 32;
/// The most that four bits add to a sum, and the most groups of four bits a row has: their sum is a 16-bit number.
pub(crate) const LOOKUP_MOST: u8 = 63;
pub(crate) const MOST_GROUPS: usize = 1_024;

/// For each row the sum of what `tables` has for its groups of four bits, a block of rows at a time, handed to `found` with the number of
/// the first. A block of codes has sixteen bytes a group, the `i`-th of which has that of row `i` in its lower half and that of row `i + 16` in
/// its upper one; the tables have as many, one for each value of four bits, at most [`LOOKUP_MOST`]. The number of groups is a multiple
/// of eight and at most [`MOST_GROUPS`].
#[inline]
pub(crate) fn scan_nibbles(codes: &[u8], tables: &[u8], found: &mut impl FnMut(usize, &[u16; ROWS])) {
    if tables.is_empty() || !tables.len().is_multiple_of(128) || tables.len() > MOST_GROUPS * 16 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 is there.
        return unsafe { x86::scan_nibbles_avx2(codes, tables, found) };
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        // SAFETY: NEON is there.
        return unsafe { arm::scan_nibbles_neon(codes, tables, found) };
    }
    portable::scan_nibbles(codes, tables, found);
}

/// `vector` as whole numbers of -127 to 127, and what one of them is worth.
pub(crate) fn quantise(vector: &[f32]) -> (Vec<i8>, f32) {
    let largest = vector.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    if largest <= 0.0 {
        return (vec![0; vector.len()], 0.0);
    }
    let scale = 127.0 / largest;
    (vector.iter().map(|x| (x * scale).round() as i8).collect(), largest / 127.0)
}

/// What `coarse` whole numbers, worth `scale` each, leave over of `vector`, in fine steps.
pub(crate) fn left_over(vector: &[f32], coarse: &[i8], scale: f32) -> Vec<i8> {
    let by = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    vector.iter().zip(coarse).map(|(x, coarse)| ((x * by - f32::from(*coarse)) * FINE).round() as i8).collect()
}

/// What every processor can do; the compiler makes of it what the target allows.
mod portable {
    use super::ROWS;

    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut lanes = [0.0f32; 16];
        let (a16, a_rest) = a.as_chunks::<16>();
        let (b16, b_rest) = b.as_chunks::<16>();
        for (x, y) in a16.iter().zip(b16) {
            for i in 0..16 {
                lanes[i] += x[i] * y[i];
            }
        }
        lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
    }

    /// Without a name of an instruction: inlined where those at hand are known, it becomes those.
    #[inline(always)]
    pub(super) fn dot_split(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
        let number = |coarse: i8, fine: i8| f32::from(i16::from(coarse) * super::FINE as i16 + i16::from(fine));
        let mut lanes = [0.0f32; 32];
        let (query_32, query_rest) = query.as_chunks::<32>();
        let (coarse_32, coarse_rest) = coarse.as_chunks::<32>();
        let (fine_32, fine_rest) = fine.as_chunks::<32>();
        for ((query, coarse), fine) in query_32.iter().zip(coarse_32).zip(fine_32) {
            for i in 0..32 {
                lanes[i] += query[i] * number(coarse[i], fine[i]);
            }
        }
        let rest = query_rest.iter().zip(coarse_rest).zip(fine_rest);
        lanes.iter().sum::<f32>() + rest.map(|((query, coarse), fine)| query * number(*coarse, *fine)).sum::<f32>()
    }

    pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        // A plain sum over a block of a known length is what the compiler knows to widen, multiply and add in pairs.
        let (a32, a_rest) = a.as_chunks::<32>();
        let (b32, b_rest) = b.as_chunks::<32>();
        let product = |(x, y): (&i8, &i8)| i32::from(*x) * i32::from(*y);
        let whole: i32 = a32.iter().zip(b32).map(|(x, y)| x.iter().zip(y).map(product).sum::<i32>()).sum();
        whole + a_rest.iter().zip(b_rest).map(product).sum::<i32>()
    }

    #[inline(always)]
    pub(super) fn scan_nibbles(codes: &[u8], tables: &[u8], found: &mut impl FnMut(usize, &[u16; ROWS])) {
        for (at, block) in codes.chunks_exact(tables.len()).enumerate() {
            let mut sums = [0u16; ROWS];
            let (low, high) = sums.split_at_mut(16);
            for (bytes, table) in block.as_chunks::<16>().0.iter().zip(tables.as_chunks::<16>().0) {
                for ((byte, low), high) in bytes.iter().zip(&mut *low).zip(&mut *high) {
                    *low += u16::from(table[usize::from(byte & 15)]);
                    *high += u16::from(table[usize::from(byte >> 4)]);
                }
            }
            found(at * ROWS, &sums);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::ROWS;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    pub(super) fn dot_avx512(a: &[f32], b: &[f32]) -> f32 {
        let (a32, a_rest) = a.as_chunks::<32>();
        let (b32, b_rest) = b.as_chunks::<32>();
        let (mut s0, mut s1) = (_mm512_setzero_ps(), _mm512_setzero_ps());
        for (x, y) in a32.iter().zip(b32) {
            // SAFETY: a chunk has 32 numbers, two registers of 16; unaligned reads are allowed.
            unsafe {
                s0 = _mm512_fmadd_ps(_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(y.as_ptr()), s0);
                s1 = _mm512_fmadd_ps(_mm512_loadu_ps(x.as_ptr().add(16)), _mm512_loadu_ps(y.as_ptr().add(16)), s1);
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(s0, s1)) + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
        let (a16, a_rest) = a.as_chunks::<16>();
        let (b16, b_rest) = b.as_chunks::<16>();
        let (mut s0, mut s1) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        for (x, y) in a16.iter().zip(b16) {
            // SAFETY: a chunk has 16 numbers, two registers of 8; unaligned reads are allowed.
            unsafe {
                s0 = _mm256_fmadd_ps(_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(y.as_ptr()), s0);
                s1 = _mm256_fmadd_ps(_mm256_loadu_ps(x.as_ptr().add(8)), _mm256_loadu_ps(y.as_ptr().add(8)), s1);
            }
        }
        let mut lanes = [0.0f32; 8];
        // SAFETY: eight numbers are a register's width.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_add_ps(s0, s1)) };
        lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn dot_split_avx512(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
        super::portable::dot_split(query, coarse, fine)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_split_avx2(query: &[f32], coarse: &[i8], fine: &[i8]) -> f32 {
        super::portable::dot_split(query, coarse, fine)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    pub(super) fn dot_i8_vnni(a: &[i8], b: &[i8], sum: i32) -> i32 {
        let (a64, a_rest) = a.as_chunks::<64>();
        let (b64, b_rest) = b.as_chunks::<64>();
        // The instruction multiplies unsigned by signed: 128 is added to each number of `a`, and what that adds taken off.
        let flip = _mm512_set1_epi8(-128);
        let mut total = _mm512_setzero_si512();
        for (x, y) in a64.iter().zip(b64) {
            // SAFETY: a chunk has 64 bytes, a register's width; unaligned reads are allowed.
            let (x, y) = unsafe { (_mm512_loadu_epi8(x.as_ptr()), _mm512_loadu_epi8(y.as_ptr())) };
            total = _mm512_dpbusd_epi32(total, _mm512_xor_si512(x, flip), y);
        }
        let rest: i32 = a_rest.iter().zip(b_rest).map(|(x, y)| (i32::from(*x) + 128) * i32::from(*y)).sum();
        _mm512_reduce_add_epi32(total) + rest - 128 * sum
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn dot_i8_avx2(a: &[i8], b: &[i8]) -> i32 {
        let (a32, a_rest) = a.as_chunks::<32>();
        let (b32, b_rest) = b.as_chunks::<32>();
        let (mut total, ones) = (_mm256_setzero_si256(), _mm256_set1_epi16(1));
        for (x, y) in a32.iter().zip(b32) {
            // SAFETY: a chunk has 32 bytes, a register's width; unaligned reads are allowed.
            let (x, y) = unsafe { (_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(y.as_ptr().cast())) };
            // The instruction multiplies unsigned by signed: the sign of `x` goes to `y`. Two products are at most 2 * 127 * 127, which fits.
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, ones));
        }
        let mut lanes = [0i32; 8];
        // SAFETY: eight numbers are a register's width.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), total) };
        let rest: i32 = a_rest.iter().zip(b_rest).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        lanes.iter().sum::<i32>() + rest
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn scan_i8_vnni(rows: &[i8], length: usize, b: &[i8], sum: i32, found: &mut impl FnMut(usize, &[i32])) {
        super::by_blocks(rows, length, found, |row| dot_i8_vnni(row, b, sum));
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn scan_i8_avx2(rows: &[i8], length: usize, b: &[i8], found: &mut impl FnMut(usize, &[i32])) {
        super::by_blocks(rows, length, found, |row| dot_i8_avx2(row, b));
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn scan_nibbles_avx2(codes: &[u8], tables: &[u8], found: &mut impl FnMut(usize, &[u16; ROWS])) {
        let (four_bits, low_byte) = (_mm256_set1_epi8(15), _mm256_set1_epi16(255));
        let zero = _mm256_setzero_si256();
        // SAFETY: 32 bytes are a register's width; unaligned reads are allowed.
        let load = |bytes: &[u8; 32]| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        for (at, block) in codes.chunks_exact(tables.len()).enumerate() {
            // Rows with an even and an odd number, of the lower and the upper half.
            let mut sums = [zero; 4];
            for (bytes, tables) in block.as_chunks::<128>().0.iter().zip(tables.as_chunks::<128>().0) {
                // Two groups a register; what four of them add fits in a byte.
                let (mut low, mut high) = (zero, zero);
                for (bytes, table) in bytes.as_chunks::<32>().0.iter().zip(tables.as_chunks::<32>().0) {
                    let (bytes, table) = (load(bytes), load(table));
                    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), four_bits);
                    low = _mm256_add_epi8(low, _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, four_bits)));
                    high = _mm256_add_epi8(high, _mm256_shuffle_epi8(table, upper));
                }
                sums[0] = _mm256_add_epi16(sums[0], _mm256_and_si256(low, low_byte));
                sums[1] = _mm256_add_epi16(sums[1], _mm256_srli_epi16::<8>(low));
                sums[2] = _mm256_add_epi16(sums[2], _mm256_and_si256(high, low_byte));
                sums[3] = _mm256_add_epi16(sums[3], _mm256_srli_epi16::<8>(high));
            }
            let [low_even, low_odd, high_even, high_odd] =
                sums.map(|x| _mm_add_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x)));
            let rows = [
                _mm_unpacklo_epi16(low_even, low_odd),
                _mm_unpackhi_epi16(low_even, low_odd),
                _mm_unpacklo_epi16(high_even, high_odd),
                _mm_unpackhi_epi16(high_even, high_odd),
            ];
            let mut out = [0u16; ROWS];
            for (to, rows) in out.as_chunks_mut::<8>().0.iter_mut().zip(rows) {
                // SAFETY: eight numbers are a register's width.
                unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), rows) };
            }
            found(at * ROWS, &out);
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::ROWS;
    use std::arch::aarch64::*;

    #[target_feature(enable = "neon")]
    pub(super) fn dot_neon(a: &[f32], b: &[f32]) -> f32 {
        let (a8, a_rest) = a.as_chunks::<8>();
        let (b8, b_rest) = b.as_chunks::<8>();
        let (mut s0, mut s1) = (vdupq_n_f32(0.0), vdupq_n_f32(0.0));
        for (x, y) in a8.iter().zip(b8) {
            // SAFETY: a chunk has 8 numbers, two registers of 4.
            unsafe {
                s0 = vfmaq_f32(s0, vld1q_f32(x.as_ptr()), vld1q_f32(y.as_ptr()));
                s1 = vfmaq_f32(s1, vld1q_f32(x.as_ptr().add(4)), vld1q_f32(y.as_ptr().add(4)));
            }
        }
        vaddvq_f32(vaddq_f32(s0, s1)) + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
    }

    #[target_feature(enable = "neon")]
    pub(super) fn dot_i8_neon(a: &[i8], b: &[i8]) -> i32 {
        let (a16, a_rest) = a.as_chunks::<16>();
        let (b16, b_rest) = b.as_chunks::<16>();
        let mut total = vdupq_n_s32(0);
        for (x, y) in a16.iter().zip(b16) {
            // SAFETY: a chunk has 16 bytes, a register's width.
            let (x, y) = unsafe { (vld1q_s8(x.as_ptr()), vld1q_s8(y.as_ptr())) };
            total = vpadalq_s16(total, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
            total = vpadalq_s16(total, vmull_high_s8(x, y));
        }
        vaddvq_s32(total) + a_rest.iter().zip(b_rest).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum::<i32>()
    }

    #[target_feature(enable = "neon")]
    pub(super) fn scan_nibbles_neon(codes: &[u8], tables: &[u8], found: &mut impl FnMut(usize, &[u16; ROWS])) {
        for (at, block) in codes.chunks_exact(tables.len()).enumerate() {
            let zero = vdupq_n_u16(0);
            let mut sums = [zero; 4];
            for (bytes, tables) in block.as_chunks::<64>().0.iter().zip(tables.as_chunks::<64>().0) {
                // What four groups add fits in a byte.
                let (mut low, mut high) = (vdupq_n_u8(0), vdupq_n_u8(0));
                for (bytes, table) in bytes.as_chunks::<16>().0.iter().zip(tables.as_chunks::<16>().0) {
                    // SAFETY: a chunk has 16 bytes, a register's width.
                    let (bytes, table) = unsafe { (vld1q_u8(bytes.as_ptr()), vld1q_u8(table.as_ptr())) };
                    low = vaddq_u8(low, vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(15))));
                    high = vaddq_u8(high, vqtbl1q_u8(table, vshrq_n_u8::<4>(bytes)));
                }
                sums[0] = vaddw_u8(sums[0], vget_low_u8(low));
                sums[1] = vaddw_high_u8(sums[1], low);
                sums[2] = vaddw_u8(sums[2], vget_low_u8(high));
                sums[3] = vaddw_high_u8(sums[3], high);
            }
            let mut out = [0u16; ROWS];
            for (to, rows) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                // SAFETY: eight numbers are a register's width.
                unsafe { vst1q_u16(to.as_mut_ptr(), rows) };
            }
            found(at * ROWS, &out);
        }
    }
}

#[cfg(test)]
mod tests;
