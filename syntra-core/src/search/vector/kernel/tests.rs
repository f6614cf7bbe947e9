//! What the inner loops say, against plain sums, and each set of instructions against the others.
#![allow(unsafe_code)]

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
    fn dot_split_is_that_of_the_whole_numbers(
        numbers in proptest::collection::vec((-1.0f32..1.0, -127i8..=127, -127i8..=127), 0..150),
    ) {
        let query: Vec<f32> = numbers.iter().map(|(x, ..)| *x).collect();
        let (coarse, fine): (Vec<i8>, Vec<i8>) = numbers.iter().map(|(_, coarse, fine)| (*coarse, *fine)).unzip();
        let whole = |(x, coarse, fine): &(f32, i8, i8)| f64::from(*x) * (f64::from(*coarse) * 254.0 + f64::from(*fine));
        let naive: f64 = numbers.iter().map(whole).sum();
        proptest::prop_assert!((f64::from(dot_split(&query, &coarse, &fine)) - naive).abs() < 1.0);
        proptest::prop_assert!((f64::from(portable::dot_split(&query, &coarse, &fine)) - naive).abs() < 1.0);
    }

    #[test]
    fn what_is_left_over_makes_a_vector_whole(vector in proptest::collection::vec(-1.0f32..1.0, 1..300)) {
        let (coarse, scale) = quantise(&vector);
        let fine = left_over(&vector, &coarse, scale);
        for ((x, coarse), fine) in vector.iter().zip(&coarse).zip(&fine) {
            let whole = (f32::from(*coarse) * FINE + f32::from(*fine)) * scale / FINE;
            proptest::prop_assert!((x - whole).abs() <= scale / FINE * 0.51, "{} {}", x, whole);
        }
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
    fn scanned_nibbles_are_the_sums_of_what_they_add(
        eights in 1usize..4,
        blocks in 0usize..4,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 3 * 8 * 16 * 3),
        tables in proptest::collection::vec(0u8..=LOOKUP_MOST, 3 * 8 * 16),
    ) {
        let (tables, size) = (&tables[..eights * 128], eights * 128);
        let codes = &bytes[..blocks * size];
        let mut found = Vec::new();
        scan_nibbles(codes, tables, &mut |row, sums| found.extend((row..).zip(sums.iter().copied())));
        let of = |row: usize| -> u16 {
            let four = |group: usize| {
                let byte = codes[row / ROWS * size + group * 16 + row % 16];
                if row % ROWS < 16 { byte & 15 } else { byte >> 4 }
            };
            (0..eights * 8).map(|group| u16::from(tables[group * 16 + usize::from(four(group))])).sum()
        };
        let expected: Vec<(usize, u16)> = (0..blocks * ROWS).map(|row| (row, of(row))).collect();
        proptest::prop_assert_eq!(&found, &expected);
        let mut plain = Vec::new();
        portable::scan_nibbles(codes, tables, &mut |row, sums| plain.extend((row..).zip(sums.iter().copied())));
        proptest::prop_assert_eq!(&plain, &expected);
    }
}

/// The largest sums there can be are whole.
#[test]
fn no_sum_of_nibbles_overflows() {
    let (codes, tables) = (vec![0x5a; MOST_GROUPS * 16], vec![LOOKUP_MOST; MOST_GROUPS * 16]);
    let mut found = Vec::new();
    scan_nibbles(&codes, &tables, &mut |_, sums| found.extend_from_slice(sums));
    assert_eq!(found, [u16::from(LOOKUP_MOST) * MOST_GROUPS as u16; ROWS]);
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
        // SAFETY: as above.
        let split = unsafe { x86::dot_split_avx2(&fa, &b, &a) };
        assert!((split - portable::dot_split(&fa, &b, &a)).abs() <= split.abs() * 1e-4, "{split}");
    }
    if std::arch::is_x86_feature_detected!("avx512vnni") && std::arch::is_x86_feature_detected!("avx512bw") {
        // SAFETY: AVX-512 F, BW and VNNI are there.
        let (whole, float) = unsafe { (x86::dot_i8_vnni(&a, &b, sum_of(&b)), x86::dot_avx512(&fa, &fb)) };
        assert_eq!(whole, expected);
        assert!((float - expected as f32).abs() < 1.0);
        // SAFETY: as above.
        let split = unsafe { x86::dot_split_avx512(&fa, &b, &a) };
        assert!((split - portable::dot_split(&fa, &b, &a)).abs() <= split.abs() * 1e-4, "{split}");
    }
}
