//! A question as a point: what it means, how it looks, and how it begins and ends.
//!
//! Meaning alone puts a sum in words beside a story with the same nouns; which model does well on a question shows as much in its form.

use crate::embed::{Embedder as _, StaticEmbedder};

/// Numbers of meaning: those of the in-package model.
const MEANING: usize = 256;
/// Numbers of form.
const FORM: usize = 20;
/// Places into which the first and last words are hashed.
const BORDERS: usize = 64;
/// Numbers of a point: the three together, filled up to a whole number of SIMD registers.
pub(super) const DIMENSIONS: usize = 352;
/// What 1.0 is in a point. The dot product of two points of length 1 is then at most 2^26, which `i32` holds.
pub(super) const UNIT: f32 = 8192.0;
/// How long form and borders are next to meaning, which is 1 long.
const WEIGHT: f32 = 0.7;
/// Bytes of the beginning and of the end that are read.
const HEAD: usize = 400;
const TAIL: usize = 200;

/// A question, of length [`UNIT`].
pub(super) type Point = [i16; DIMENSIONS];

/// The point of `text`; `None` where there is nothing to read in it.
pub(super) fn point(text: &str) -> Option<Point> {
    let cut = ends(text);
    let text = cut.as_deref().unwrap_or(text);
    let embedder = StaticEmbedder::bundled().ok().filter(|e| e.dimensions() == MEANING)?;
    let mut all = [0f32; DIMENSIONS];
    let (meaning, rest) = all.split_at_mut(MEANING);
    embedder.embed_into(text, meaning).ok()?;
    let (shape, rest) = rest.split_at_mut(FORM);
    form(text, shape);
    borders(text, rest.get_mut(..BORDERS)?);
    Some(quantised(&all))
}

/// `numbers` scaled to length [`UNIT`]; the zero point where they have no length.
pub(super) fn quantised(numbers: &[f32; DIMENSIONS]) -> Point {
    let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    let factor = if length > 1e-6 { UNIT / length } else { 0.0 };
    let mut point = [0i16; DIMENSIONS];
    for (out, x) in point.iter_mut().zip(numbers) {
        *out = nearest(x * factor).clamp(-UNIT, UNIT) as i16;
    }
    point
}

/// `x` with what makes a cut to a whole number a rounding; unlike `round` it is no call where the processor has no instruction for that.
pub(super) fn nearest(x: f32) -> f32 {
    x + 0.5f32.copysign(x)
}

/// The cosine of two points.
pub(super) fn cosine(a: &Point, b: &Point) -> f32 {
    let dot: i32 = a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
    dot as f32 / (UNIT * UNIT)
}

/// The beginning and the end of a long text: what is asked stands there, whatever lies between is material.
fn ends(text: &str) -> Option<String> {
    if text.len() <= HEAD + TAIL {
        return None;
    }
    let (head, tail) = (text.floor_char_boundary(HEAD), text.ceil_char_boundary(text.len() - TAIL));
    Some([text.get(..head)?, text.get(tail..)?].join(" "))
}

/// Length, kinds of characters, lines, sentences: each about 0 for a usual question and 1 for one that has much of it.
fn form(text: &str, out: &mut [f32]) {
    let mut counts = [0f32; 13];
    let mut tally = |c: char, times: f32| {
        let is = [
            c.is_numeric(),
            !c.is_alphanumeric() && !c.is_whitespace(),
            c.is_uppercase(),
            c == '\n',
            matches!(c, '?' | '？'),
            c == '$',
            c == '\\',
            matches!(c, '(' | ')' | '{' | '}' | '[' | ']' | '=' | '<' | '>' | '_'),
            c == ',',
            matches!(c, '.' | '!' | '?' | '。' | '！' | '？'),
            matches!(c, '"' | '\''),
            c == '_',
            c == ':',
        ];
        for (count, is) in counts.iter_mut().zip(is) {
            *count += if is { times } else { 0.0 };
        }
    };
    let (mut chars, mut words, mut inside) = (0f32, 0f32, false);
    // How often each of ASCII comes is counted first, so that each is looked at once.
    let mut ascii = [0u16; 128];
    for c in text.chars() {
        chars += 1.0;
        let space = c.is_whitespace();
        words += f32::from(!inside && !space);
        inside = !space;
        match ascii.get_mut(c as usize) {
            Some(count) => *count += 1,
            None => tally(c, 1.0),
        }
    }
    for (c, count) in (0u8..).map(char::from).zip(ascii).filter(|(_, count)| *count > 0) {
        tally(c, f32::from(count));
    }
    let [digit, mark, upper, line, question, dollar, slash, code, comma, stop, quote, under, colon] = counts;
    let n = chars + 1.0;
    let (trimmed, yes) = (text.trim(), |is: bool| f32::from(is));
    // What it is, what is usual, and how far from it is far.
    let rows: [(f32, f32, f32); FORM] = [
        (n.ln() / 3.0 - 2.0, -0.2, 0.45),
        ((4.0 * digit / n).min(1.0), 0.05, 0.1),
        ((5.0 * mark / n).min(1.0), 0.2, 0.2),
        ((5.0 * upper / n).min(1.0), 0.15, 0.1),
        ((line / 10.0).min(1.0), 0.25, 0.4),
        ((question / 2.0).min(1.0), 0.35, 0.3),
        ((chars - words) / (words + 1.0) / 8.0, 0.55, 0.1),
        (yes(trimmed.ends_with(['?', '？'])), 0.4, 0.5),
        (yes(trimmed.ends_with(['.', '。'])), 0.2, 0.4),
        (yes(text.starts_with(char::is_uppercase)), 0.8, 0.35),
        ((dollar / 4.0).min(1.0), 0.05, 0.25),
        ((slash / 4.0).min(1.0), 0.1, 0.3),
        ((20.0 * code / n).min(1.0), 0.15, 0.25),
        ((20.0 * comma / n).min(1.0), 0.15, 0.2),
        ((stop / 8.0).min(1.0), 0.4, 0.4),
        (yes(line > 0.0), 0.35, 0.5),
        (yes(quote > 0.0), 0.35, 0.5),
        (yes(under > 0.0), 0.15, 0.35),
        (yes(digit > 0.0), 0.4, 0.5),
        (yes(colon > 0.0), 0.3, 0.45),
    ];
    let factor = WEIGHT / (FORM as f32).sqrt();
    for (out, (value, usual, far)) in out.iter_mut().zip(rows) {
        *out = factor * ((value - usual) / far).clamp(-4.0, 4.0);
    }
}

/// The first two and last two words, and the first two together, as signed hashes.
fn borders(text: &str, out: &mut [f32]) {
    let lower = |word: &str| word.to_lowercase();
    let mut forwards = words(text);
    let first: Vec<String> = forwards.by_ref().take(2).map(lower).collect();
    let end = text.len().saturating_sub(200);
    let tail = text.get(text.ceil_char_boundary(end)..).unwrap_or(text);
    let last: Vec<&str> = words(tail).collect();
    let last = last.iter().rev().take(2).map(|word| ('l', lower(word)));
    let both = std::iter::once(('b', first.join(" ")));
    let places = out.len() as u64;
    for (kind, word) in first.iter().cloned().map(|word| ('f', word)).chain(last).chain(both) {
        let start = 0xcbf2_9ce4_8422_2325 ^ kind as u64;
        let hash = word.bytes().fold(start, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        let hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
        if let Some(place) = out.get_mut((hash % places) as usize) {
            *place += WEIGHT / 5f32.sqrt() * if hash & 0x0100_0000 == 0 { 1.0 } else { -1.0 };
        }
    }
}

/// Runs of letters and digits, and single marks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let len = if first.is_alphanumeric() {
            rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at_checked(len)?;
        rest = after;
        Some(word)
    })
}
