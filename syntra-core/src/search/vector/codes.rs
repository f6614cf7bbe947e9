//! One bit a dimension: a first look at every vector that reads a thirty-second of it.
//!
//! The codes are those of RaBitQ (Gao and Long, SIGMOD 2024) without a centroid: the vector is turned by a fixed random rotation
//! and the signs of what comes out are kept, with `1 / sum |x'|`. For a question `q'`, turned the same way, `q' . sign(x') / sum |x'|`
//! is an estimate of the cosine without bias, whose error is about `0.75 / sqrt(dimensions)`. The question is rounded to four bits.

use super::kernel::{self, Planes};

/// Turns and rounds vectors of one number of dimensions.
#[derive(Debug)]
pub(super) struct Coder {
    /// Dimensions after padding, a power of two and at least 64.
    padded: usize,
    /// A sign a dimension and round.
    signs: [Vec<f32>; ROUNDS],
}

const ROUNDS: usize = 2;

/// A question for [`Coder`]'s codes.
pub(super) struct Question {
    planes: Planes,
    /// What a step of the rounded question is worth, and the sum of the question.
    step: f32,
    sum: f32,
}

impl Coder {
    pub(super) fn new(dimensions: usize) -> Self {
        let padded = dimensions.next_power_of_two().max(64);
        // The same for every process: codes are compared with each other only, but so are runs.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut sign = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 63 == 0 { 1.0 } else { -1.0 }
        };
        Self { padded, signs: std::array::from_fn(|_| (0..padded).map(|_| sign()).collect()) }
    }

    /// 64-bit words of a code.
    pub(super) fn words(&self) -> usize {
        self.padded / 64
    }

    /// The vector turned: random signs and a Walsh-Hadamard transform, twice.
    fn turn(&self, vector: &[f32]) -> Vec<f32> {
        let mut turned = vec![0.0f32; self.padded];
        turned.iter_mut().zip(vector).for_each(|(to, x)| *to = *x);
        for signs in &self.signs {
            turned.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            // The first three steps within eight numbers, whose length the compiler knows.
            for eight in turned.as_chunks_mut::<8>().0 {
                let [a, b, c, d, e, f, g, h] = *eight;
                let (a, b, c, d) = (a + b, a - b, c + d, c - d);
                let (e, f, g, h) = (e + f, e - f, g + h, g - h);
                let (a, b, c, d) = (a + c, b + d, a - c, b - d);
                let (e, f, g, h) = (e + g, f + h, e - g, f - h);
                *eight = [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h];
            }
            let mut half = 8;
            while half < self.padded {
                for block in turned.chunks_exact_mut(2 * half) {
                    let (low, high) = block.split_at_mut(half);
                    for (a, b) in low.iter_mut().zip(high) {
                        (*a, *b) = (*a + *b, *a - *b);
                    }
                }
                half *= 2;
            }
        }
        let norm = (self.padded as f32).powf(-0.5 * ROUNDS as f32);
        turned.iter_mut().for_each(|x| *x *= norm);
        turned
    }

    /// Appends the code of a vector of length 1 to `codes`; what the sum over its signs is worth.
    pub(super) fn encode(&self, vector: &[f32], codes: &mut Vec<u64>) -> f32 {
        let turned = self.turn(vector);
        for chunk in turned.as_chunks::<64>().0 {
            codes.push(chunk.iter().enumerate().fold(0, |word, (at, x)| word | u64::from(*x > 0.0) << at));
        }
        1.0 / turned.iter().map(|x| x.abs()).sum::<f32>().max(1e-9)
    }

    pub(super) fn question(&self, vector: &[f32]) -> Question {
        let turned = self.turn(vector);
        let largest = turned.iter().fold(1e-9f32, |m, x| m.max(x.abs()));
        let step = largest / 7.0;
        let mut planes: Planes = std::array::from_fn(|_| vec![0u64; self.words()]);
        for (at, x) in turned.iter().enumerate() {
            // Two's complement: the highest of the four bits counts -8.
            let number = (x / step).round() as i8;
            for (bit, plane) in planes.iter_mut().enumerate() {
                if number >> bit & 1 == 1
                    && let Some(word) = plane.get_mut(at / 64)
                {
                    *word |= 1 << (at % 64);
                }
            }
        }
        Question { planes, step, sum: turned.iter().sum() }
    }
}

impl Question {
    /// The rows of which the estimated cosine is at least `floor`, with it.
    pub(super) fn scan_from(&self, codes: &[u64], words: usize, worth: &[f32], floor: f32) -> Vec<(u32, f32)> {
        let mut found = Vec::new();
        let (double, sum) = (2.0 * self.step, self.sum);
        let score = move |bits: i32, worth: f32| (double * bits as f32 - sum) * worth;
        kernel::scan_bits(codes, words, &self.planes, &mut |first, bits| {
            let worth = worth.get(first..).unwrap_or(&[]);
            // Eight at a time, whose number the compiler knows, and without a branch for each.
            let (eights, rest) = bits.as_chunks::<8>();
            let (worth_8, worth_rest) = worth.split_at(worth.len().min(eights.len() * 8));
            let mut row = first as u32;
            for (bits, worth) in eights.iter().zip(worth_8.as_chunks::<8>().0) {
                let scores: [f32; 8] = std::array::from_fn(|i| score(bits[i], worth[i]));
                if scores.iter().map(|score| i32::from(*score >= floor)).sum::<i32>() != 0 {
                    found.extend((row..).zip(scores).filter(|(_, score)| *score >= floor));
                }
                row += 8;
            }
            let rest = rest.iter().zip(worth_rest).map(|(bits, worth)| score(*bits, *worth));
            found.extend((row..).zip(rest).filter(|(_, score)| *score >= floor));
        });
        found
    }

    /// Sets the estimated cosine of each row.
    pub(super) fn scan(&self, codes: &[u64], words: usize, worth: &[f32], scores: &mut [f32]) {
        let (double, sum) = (2.0 * self.step, self.sum);
        kernel::scan_bits(codes, words, &self.planes, &mut |first, bits| {
            let (to, worth) = (scores.get_mut(first..).unwrap_or_default(), worth.get(first..).unwrap_or(&[]));
            kernel::weigh(bits, worth, to, move |bits, worth| (double * bits - sum) * worth);
        });
    }
}
