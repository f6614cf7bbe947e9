//! The inner loops, written so that the compiler makes SIMD code of them on every target, without `unsafe`.

/// The dot product of two vectors; the shorter length counts.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (x, y) in a16.iter().zip(b16) {
        for i in 0..16 {
            lanes[i] += x[i] * y[i];
        }
    }
    let mut sum: f32 = lanes.iter().sum();
    if a16.len() == b16.len() {
        sum += a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>();
    }
    sum
}

/// The dot product of two vectors of small whole numbers; at most 2^16 of them, so that the sum cannot overflow.
pub(crate) fn dot_i8(a: &[i8], b: &[i16]) -> i32 {
    // A plain sum over a block of a known length is what the compiler knows to widen, multiply and add in pairs; the same written
    // out in lanes is four times slower.
    let (a32, a_rest) = a.as_chunks::<32>();
    let (b32, b_rest) = b.as_chunks::<32>();
    let mut sum = 0i32;
    for (x, y) in a32.iter().zip(b32) {
        sum += x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum::<i32>();
    }
    sum += a_rest.iter().zip(b_rest).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum::<i32>();
    sum
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

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn dot_is_the_sum_of_products(pairs in proptest::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 0..70)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let naive: f64 = pairs.iter().map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            proptest::prop_assert!((f64::from(dot(&a, &b)) - naive).abs() < 1e-4);
        }

        #[test]
        fn dot_i8_is_exact(pairs in proptest::collection::vec((-127i8..=127, -127i8..=127), 0..70)) {
            let (a, b): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
            let wide: Vec<i16> = b.iter().map(|x| i16::from(*x)).collect();
            let naive: i32 = pairs.iter().map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
            proptest::prop_assert_eq!(dot_i8(&a, &wide), naive);
        }
    }
}
