//! What is learned: a linear model over what a text means (the in-package embedding), its structure and words by class, and its first words hashed into
//! buckets. It adds to the scores of `mod.rs`, so that it says only what these leave open.
//!
//! Its weights are `meaning.bin`: for each of the three [`PARTS`] and each of [`Intent::ALL`](super::Intent::ALL) a scale (little-endian `f32`) and an 8-bit
//! number for each input. They are learned from the project's own questions (`benches/data/intents_own.jsonl`) by `eval intents FILE --learn OUT`. They are logits.

use super::gloss;
use super::scan::{BUCKETS, Features, NUMBERS};
use crate::embed::{Embedder as _, StaticEmbedder};
use std::sync::LazyLock;

/// Dimensions of the embedding, which is 1 long.
pub(super) const DIMENSIONS: usize = 256;
const INTENTS: usize = 8;
/// Inputs: the embedding and the bias; structure and classes; buckets.
pub(super) const PARTS: [usize; 3] = [DIMENSIONS + 1, NUMBERS, BUCKETS];
/// The embedding is multiplied by this, so that its weights are of the size of the others.
const STRETCH: f32 = 3.0;
/// Bytes of the beginning and of the end that are read.
const HEAD: usize = 160;
const TAIL: usize = 80;

static BYTES: &[u8] = include_bytes!("meaning.bin");

/// For each input a weight for each intent.
static MODEL: LazyLock<Option<Vec<[f32; INTENTS]>>> = LazyLock::new(|| {
    let mut model = Vec::with_capacity(PARTS.iter().sum());
    let mut rest = BYTES;
    for inputs in PARTS {
        let first = model.len();
        model.resize(first + inputs, [0.0; INTENTS]);
        for intent in 0..INTENTS {
            let (scale, after) = rest.split_first_chunk::<4>()?;
            let (numbers, after) = after.split_at_checked(inputs)?;
            let scale = f32::from_le_bytes(*scale);
            for (weights, number) in model.iter_mut().skip(first).zip(numbers) {
                *weights.get_mut(intent)? = scale * f32::from(number.cast_signed());
            }
            rest = after;
        }
    }
    rest.is_empty().then_some(model)
});

/// Calls `each` with the place and the value of each input that is not 0. Nothing is said of a meaning where there is none.
pub(super) fn inputs(features: &Features, text: &str, mut each: impl FnMut(usize, f32)) {
    if let Some(point) = embedding(text) {
        point.iter().enumerate().for_each(|(place, x)| each(place, x * STRETCH));
        each(DIMENSIONS, 1.0);
    }
    features.numbers(|place, x| each(DIMENSIONS + 1 + place, x));
}

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
    let english = if other * 4 > latin { Some(gloss::english(text)?) } else { gloss::from_latin(text) };
    let embedder = StaticEmbedder::bundled().ok().filter(|e| e.dimensions() == DIMENSIONS)?;
    let mut out = [0.0; DIMENSIONS];
    embedder.embed_into(english.as_deref().unwrap_or(text), &mut out).ok()?;
    Some(out)
}

/// Adds to `scores`, by place in [`Intent::ALL`](super::Intent::ALL), what was learned.
pub(super) fn add(features: &Features, text: &str, scores: &mut [f32; INTENTS]) {
    let Some(model) = MODEL.as_ref() else { return };
    let mut sums = [0f32; INTENTS];
    inputs(features, text, |place, x| {
        if let Some(weights) = model.get(place) {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
    });
    scores.iter_mut().zip(sums).for_each(|(score, sum)| *score += super::TEMPERATURE * sum);
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
        let text = "the plot of a novel";
        let mut scores = [0f32; INTENTS];
        add(&super::super::scan::scan(text), text, &mut scores);
        assert!(scores.iter().any(|s| s.abs() > 0.1));
        // A text without a meaning still has its structure.
        let mut scores = [0f32; INTENTS];
        add(&super::super::scan::scan("247+389"), "247+389", &mut scores);
        assert!(scores.iter().any(|s| s.abs() > 0.1));
    }

    #[test]
    fn european_languages_have_their_meaning_and_english_stays_as_it_is() {
        let like = |a: &str, b: &str| {
            let (a, b) = (embedding(a).unwrap(), embedding(b).unwrap());
            a.iter().zip(&b).map(|(x, y)| x * y).sum::<f32>()
        };
        for (theirs, ours) in [
            ("¿cuánto cuesta la lavadora?", "how much does the washing machine cost"),
            ("wie wird das wetter morgen", "how is the weather tomorrow"),
            ("quel aspirateur acheter", "which vacuum cleaner to buy"),
            ("traduza esta frase", "translate this sentence"),
        ] {
            assert!(like(theirs, ours) > 0.6, "{theirs}: {}", like(theirs, ours));
        }
        for english in ["what was the war about", "the fin of a shark", "chat with me", "pain in my hand"] {
            assert!(gloss::from_latin(english).is_none(), "{english}");
        }
    }
}
