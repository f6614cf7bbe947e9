//! What the meaning of a text says of its intent, beside its structure: a linear model over the in-package embedding.
//!
//! Its weights are `meaning.bin`: for each of [`Intent::ALL`] a scale (little-endian `f32`) and an 8-bit number for each dimension and for
//! the bias. They are learned from the project's own questions (`benches/data/intents_own.jsonl`) by `eval intents FILE --learn OUT`, with what the structure
//! says as an offset, so that they say only what it leaves open. They are logits.

use super::gloss;
use crate::embed::{Embedder as _, StaticEmbedder};
use std::sync::LazyLock;

/// Dimensions of the embedding, which is 1 long.
pub(super) const DIMENSIONS: usize = 256;
const INTENTS: usize = 8;
/// The embedding is multiplied by this, so that its weights are of the size of the bias.
pub(super) const STRETCH: f32 = 3.0;
/// Bytes of the beginning and of the end that are read.
const HEAD: usize = 240;
const TAIL: usize = 120;

static BYTES: &[u8] = include_bytes!("meaning.bin");

struct Model {
    weights: [[f32; DIMENSIONS]; INTENTS],
    bias: [f32; INTENTS],
}

static MODEL: LazyLock<Option<Box<Model>>> = LazyLock::new(|| {
    let mut model = Box::new(Model { weights: [[0.0; DIMENSIONS]; INTENTS], bias: [0.0; INTENTS] });
    let rows = BYTES.chunks_exact(4 + DIMENSIONS + 1);
    if rows.len() != INTENTS || !rows.remainder().is_empty() {
        return None;
    }
    for ((row, weights), bias) in rows.zip(&mut model.weights).zip(&mut model.bias) {
        let (scale, numbers) = row.split_first_chunk::<4>()?;
        let scale = f32::from_le_bytes(*scale);
        let (last, numbers) = numbers.split_last()?;
        for (weight, number) in weights.iter_mut().zip(numbers) {
            *weight = STRETCH * scale * f32::from(number.cast_signed());
        }
        *bias = scale * f32::from(last.cast_signed());
    }
    Some(model)
});

/// The embedding of `text` as this model reads it: what stands in other than Latin letters, which the embedder was not made for, by what its words mean in
/// English. `None` where that says nothing: there are no words, or none that is known.
pub(super) fn embedding(text: &str) -> Option<[f32; DIMENSIONS]> {
    let (mut latin, mut other) = (0u32, 0u32);
    for c in text.chars().take(HEAD) {
        match c {
            'a'..='z' | 'A'..='Z' | '\u{C0}'..='\u{24F}' => latin += 1,
            c if c.is_alphabetic() => other += 1,
            _ => {}
        }
    }
    if latin == 0 && other == 0 {
        return None;
    }
    let cut = (text.len() > HEAD + TAIL).then(|| {
        let (head, tail) = (text.floor_char_boundary(HEAD), text.ceil_char_boundary(text.len() - TAIL));
        [text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default()].join(" ")
    });
    let text = cut.as_deref().unwrap_or(text);
    let english = if other * 4 > latin { Some(gloss::english(text)?) } else { None };
    let embedder = StaticEmbedder::bundled().ok().filter(|e| e.dimensions() == DIMENSIONS)?;
    let mut out = [0.0; DIMENSIONS];
    embedder.embed_into(english.as_deref().unwrap_or(text), &mut out).ok()?;
    Some(out)
}

/// Adds to `scores`, by place in [`Intent::ALL`](super::Intent::ALL), what the meaning of `text` says; whether it says anything.
pub(super) fn add(text: &str, scores: &mut [f32; INTENTS]) -> bool {
    let (Some(model), Some(point)) = (MODEL.as_ref(), embedding(text)) else { return false };
    for ((score, weights), bias) in scores.iter_mut().zip(&model.weights).zip(&model.bias) {
        // Eight sums side by side, which the compiler keeps in registers.
        let mut sums = [0f32; 8];
        for (w, x) in weights.as_chunks::<8>().0.iter().zip(point.as_chunks::<8>().0) {
            for (sum, (w, x)) in sums.iter_mut().zip(w.iter().zip(x)) {
                *sum += w * x;
            }
        }
        *score += super::MEANING_TEMPERATURE * (bias + sums.iter().sum::<f32>());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_whole_and_words_of_other_scripts_have_their_meaning() {
        assert!(MODEL.is_some());
        assert!(embedding("").is_none() && embedding("Привет").is_none() && embedding("12 + 5").is_none());
        let [chinese, hindi, english, other] =
            ["今天的天气", "आज का मौसम", "today's weather forecast", "a poem"].map(|text| embedding(text).unwrap());
        let like = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        for point in [&chinese, &hindi] {
            assert!(like(point, &english) > 0.8 && like(point, &other) < 0.4);
        }
        assert!(embedding("café au lait").is_some());
        assert!(embedding(&"Überlänge ".repeat(10_000)).is_some());
        let mut scores = [0.0; INTENTS];
        assert!(add("the plot of a novel", &mut scores));
        assert!(scores.iter().any(|s| s.abs() > 0.1));
    }
}
