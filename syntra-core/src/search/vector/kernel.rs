//! The inner loops of the vector scan, for what the processor at hand can do: AVX-512 (with VNNI and VPOPCNTDQ), AVX2 or NEON,
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

/// The bits of a question: four planes of a vector of whole numbers from -8 to 7, least significant first, each as long as a row.
pub(crate) type Planes = [Vec<u64>; 4];

/// For each row of `codes` (rows of `words` 64-bit words) the sum of the question's numbers where the row has a bit, handed to
/// `found` some rows at a time with the number of the first.
#[inline]
pub(crate) fn scan_bits(codes: &[u64], words: usize, planes: &Planes, found: &mut impl FnMut(usize, &[i32])) {
    if words == 0 || planes.iter().any(|plane| plane.len() != words) {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    {
        let vector =
            std::arch::is_x86_feature_detected!("avx512vpopcntdq") && std::arch::is_x86_feature_detected!("avx512vl");
        if vector && words.is_multiple_of(4) {
            // SAFETY: AVX-512 VPOPCNTDQ and VL (and with them F) are there.
            return unsafe { x86::scan_bits_avx512(codes, words, planes, found) };
        }
        if std::arch::is_x86_feature_detected!("popcnt") {
            // SAFETY: POPCNT is there.
            return unsafe { x86::scan_bits_popcnt(codes, words, planes, found) };
        }
    }
    portable::scan_bits(codes, words, planes, found);
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

/// What every processor can do; the compiler makes of it what the target allows.
mod portable {
    use super::Planes;

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

    pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        // A plain sum over a block of a known length is what the compiler knows to widen, multiply and add in pairs.
        let (a32, a_rest) = a.as_chunks::<32>();
        let (b32, b_rest) = b.as_chunks::<32>();
        let product = |(x, y): (&i8, &i8)| i32::from(*x) * i32::from(*y);
        let whole: i32 = a32.iter().zip(b32).map(|(x, y)| x.iter().zip(y).map(product).sum::<i32>()).sum();
        whole + a_rest.iter().zip(b_rest).map(product).sum::<i32>()
    }

    #[inline(always)]
    pub(super) fn scan_bits(codes: &[u64], words: usize, planes: &Planes, found: &mut impl FnMut(usize, &[i32])) {
        let [p0, p1, p2, p3] = planes;
        super::by_blocks(codes, words, found, |row| {
            let (mut s0, mut s1, mut s2, mut s3) = (0u32, 0u32, 0u32, 0u32);
            for ((((word, a), b), c), d) in row.iter().zip(p0).zip(p1).zip(p2).zip(p3) {
                s0 += (word & a).count_ones();
                s1 += (word & b).count_ones();
                s2 += (word & c).count_ones();
                s3 += (word & d).count_ones();
            }
            s0 as i32 + 2 * s1 as i32 + 4 * s2 as i32 - 8 * s3 as i32
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Planes;
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
        let (a16, a_rest) = a.as_chunks::<16>();
        let (b16, b_rest) = b.as_chunks::<16>();
        let mut total = _mm256_setzero_si256();
        for (x, y) in a16.iter().zip(b16) {
            // SAFETY: a chunk has 16 bytes, half a register's width; unaligned reads are allowed.
            let (x, y) = unsafe { (_mm_loadu_si128(x.as_ptr().cast()), _mm_loadu_si128(y.as_ptr().cast())) };
            total = _mm256_add_epi32(total, _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), _mm256_cvtepi8_epi16(y)));
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

    /// `words` is a multiple of four, and so long is each plane.
    #[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq")]
    pub(super) fn scan_bits_avx512(
        codes: &[u64],
        words: usize,
        planes: &Planes,
        found: &mut impl FnMut(usize, &[i32]),
    ) {
        let fours = planes.each_ref().map(|plane| plane.as_chunks::<4>().0);
        if let (4, [[p0], [p1], [p2], [p3]]) = (words, fours) {
            return scan_256_bits(codes, [p0, p1, p2, p3], found);
        }
        let sum_of = |row: &[u64]| {
            let mut total = [0i64; 4];
            for (at, word) in row.as_chunks::<4>().0.iter().enumerate() {
                let mut sums = [0i64; 4];
                // SAFETY: four words are a register's width, unaligned reads are allowed, and the instructions are there.
                unsafe {
                    let word = _mm256_loadu_epi64(word.as_ptr().cast());
                    let count = |plane: &[[u64; 4]]| match plane.get(at) {
                        Some(bits) => {
                            _mm256_popcnt_epi64(_mm256_and_si256(word, _mm256_loadu_epi64(bits.as_ptr().cast())))
                        }
                        None => _mm256_setzero_si256(),
                    };
                    let low = _mm256_add_epi64(count(fours[0]), _mm256_slli_epi64::<1>(count(fours[1])));
                    let high = _mm256_sub_epi64(count(fours[2]), _mm256_slli_epi64::<1>(count(fours[3])));
                    _mm256_storeu_epi64(sums.as_mut_ptr(), _mm256_add_epi64(low, _mm256_slli_epi64::<2>(high)));
                }
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
            }
            total.iter().sum::<i64>() as i32
        };
        super::by_blocks(codes, words, found, sum_of);
    }

    /// Rows of four words, two a register and eight at a time.
    #[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq")]
    fn scan_256_bits(codes: &[u64], planes: [&[u64; 4]; 4], found: &mut impl FnMut(usize, &[i32])) {
        // SAFETY: four words are the width of what is read.
        let planes = planes.map(|plane| unsafe { _mm512_broadcast_i64x4(_mm256_loadu_epi64(plane.as_ptr().cast())) });
        let two_rows = |rows: &[u64; 8]| {
            // SAFETY: eight words are a register's width; unaligned reads are allowed.
            let rows = unsafe { _mm512_loadu_epi64(rows.as_ptr().cast()) };
            let [a, b, c, d] = planes.map(|plane| _mm512_popcnt_epi64(_mm512_and_si512(rows, plane)));
            let low = _mm512_add_epi64(a, _mm512_slli_epi64::<1>(b));
            let high = _mm512_sub_epi64(c, _mm512_slli_epi64::<1>(d));
            _mm512_add_epi64(low, _mm512_slli_epi64::<2>(high))
        };
        // Of two registers with two rows each, the four sums: the first and third in the lower half, the others in the upper.
        let four_sums = |a: __m512i, b: __m512i| {
            let pairs = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
            let sums = _mm512_add_epi64(pairs, _mm512_shuffle_i64x2::<0b10_11_00_01>(pairs, pairs));
            let mut out = [0i32; 8];
            // SAFETY: eight numbers are a register's width.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm512_cvtepi64_epi32(sums)) };
            [out[0], out[4], out[1], out[5]]
        };
        let (blocks, rest) = codes.as_chunks::<32>();
        for (block, eight) in blocks.iter().enumerate() {
            if let [a, b, c, d] = eight.as_chunks::<8>().0 {
                let (first, second) = (four_sums(two_rows(a), two_rows(b)), four_sums(two_rows(c), two_rows(d)));
                let [r0, r1, r2, r3] = first;
                let [r4, r5, r6, r7] = second;
                found(block * 8, &[r0, r1, r2, r3, r4, r5, r6, r7]);
            }
        }
        let mut padded = [0u64; 32];
        padded.iter_mut().zip(rest).for_each(|(to, word)| *to = *word);
        if let [a, b, c, d] = padded.as_chunks::<8>().0 {
            let (first, second) = (four_sums(two_rows(a), two_rows(b)), four_sums(two_rows(c), two_rows(d)));
            let all = [first, second].concat();
            found(blocks.len() * 8, all.get(..rest.len() / 4).unwrap_or(&[]));
        }
    }

    #[target_feature(enable = "popcnt")]
    pub(super) fn scan_bits_popcnt(
        codes: &[u64],
        words: usize,
        planes: &Planes,
        found: &mut impl FnMut(usize, &[i32]),
    ) {
        super::portable::scan_bits(codes, words, planes, found);
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(a: &[i8]) -> i32 {
        a.iter().map(|x| i32::from(*x)).sum()
    }

    proptest::proptest! {
        #[test]
        fn dot_is_the_sum_of_products(pairs in proptest::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 0..150)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let naive: f64 = pairs.iter().map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            proptest::prop_assert!((f64::from(dot(&a, &b)) - naive).abs() < 1e-4);
            proptest::prop_assert!((f64::from(portable::dot(&a, &b)) - naive).abs() < 1e-4);
            // The shorter one counts.
            proptest::prop_assert_eq!(dot(&a, b.get(..b.len() / 2).unwrap()), dot(&a[..b.len() / 2], &b[..b.len() / 2]));
        }

        #[test]
        fn dot_i8_is_exact(pairs in proptest::collection::vec((-127i8..=127, -127i8..=127), 0..300)) {
            let (a, b): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
            let naive: i32 = pairs.iter().map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
            proptest::prop_assert_eq!(dot_i8(&a, &b, sum_of(&b)), naive);
            proptest::prop_assert_eq!(dot_i8_of_any(&a, &b), naive);
            proptest::prop_assert_eq!(portable::dot_i8(&a, &b), naive);
            let mut found = Vec::new();
            let rows = [&a[..], &b[..], &a[..]].concat();
            scan_i8(&rows, b.len(), &b, sum_of(&b), &mut |row, dots| found.extend((row..).zip(dots.iter().copied())));
            let own: i32 = b.iter().map(|x| i32::from(*x) * i32::from(*x)).sum();
            let expected = if b.is_empty() { vec![] } else { vec![(0, naive), (1, own), (2, naive)] };
            proptest::prop_assert_eq!(found, expected);
        }

        #[test]
        fn scanned_bits_are_the_sums_of_the_numbers(
            words in 0usize..9,
            codes in proptest::collection::vec(proptest::num::u64::ANY, 0..80),
            numbers in proptest::collection::vec(-8i8..8, 8 * 64),
        ) {
            let mut planes: Planes = std::array::from_fn(|_| vec![0; words]);
            for (at, number) in numbers.iter().take(words * 64).enumerate() {
                for (bit, plane) in planes.iter_mut().enumerate() {
                    plane[at / 64] |= ((*number >> bit & 1) as u64) << (at % 64);
                }
            }
            let mut found = Vec::new();
            scan_bits(&codes, words, &planes, &mut |row, sums| found.extend((row..).zip(sums.iter().copied())));
            let naive = |row: &[u64]| -> i32 {
                let set = (0..words * 64).filter(|at| row[at / 64] >> (at % 64) & 1 == 1);
                set.map(|at| i32::from(numbers[at])).sum()
            };
            let expected: Vec<(usize, i32)> = codes.chunks_exact(words.max(1)).take(if words == 0 { 0 } else { 80 }).map(naive).enumerate().collect();
            proptest::prop_assert_eq!(&found, &expected);
            if words > 0 {
                let mut plain = Vec::new();
                portable::scan_bits(&codes, words, &planes, &mut |row, sums| plain.extend((row..).zip(sums.iter().copied())));
                proptest::prop_assert_eq!(&plain, &expected);
            }
        }
    }

    /// Each set of instructions that this processor has gives the same, not only the one that is chosen.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_set_of_instructions_agrees() {
        let a: Vec<i8> = (0..301).map(|i| (i * 37 % 255 - 127) as i8).collect();
        let b: Vec<i8> = (0..301).map(|i| (i * 91 % 255 - 127) as i8).collect();
        let (fa, fb): (Vec<f32>, Vec<f32>) = a.iter().zip(&b).map(|(x, y)| (f32::from(*x), f32::from(*y))).unzip();
        let expected = portable::dot_i8(&a, &b);
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 and FMA are there.
            let (whole, float) = unsafe { (x86::dot_i8_avx2(&a, &b), x86::dot_avx2(&fa, &fb)) };
            assert_eq!(whole, expected);
            assert!((float - expected as f32).abs() < 1.0);
        }
        if std::arch::is_x86_feature_detected!("avx512vnni") && std::arch::is_x86_feature_detected!("avx512bw") {
            // SAFETY: AVX-512 F, BW and VNNI are there.
            let (whole, float) = unsafe { (x86::dot_i8_vnni(&a, &b, sum_of(&b)), x86::dot_avx512(&fa, &fb)) };
            assert_eq!(whole, expected);
            assert!((float - expected as f32).abs() < 1.0);
        }
    }
}
