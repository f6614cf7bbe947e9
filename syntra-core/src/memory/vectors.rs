//! Vectors of what is remembered and of what is asked.

use crate::embed::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::search::{code_words, is_code, words};
use std::borrow::Cow;

/// How many texts go to the embedder in one call.
pub(super) const BATCH: usize = 256;
/// A text longer than this many characters is embedded piece by piece.
const PIECE_CHARS: usize = 600;
/// How many pieces of a text are embedded; what comes after them is found by its words.
const MOST_PIECES: usize = 16;

/// The vector of a question without `names`, those of who speaks in the scope: who is asked about is matched as structure, and in the text it
/// would pull every turn that mentions the name.
pub(super) async fn of_question(embedder: &dyn Embedder, text: &str, names: &[String]) -> Result<Vec<f32>> {
    embedder.embed_query(&without_names(text, names)).await
}

/// Vectors of texts with their titles. A long text is embedded in pieces, and its vector is their mean.
pub(super) async fn of_texts(embedder: &dyn Embedder, texts: &[(&str, Option<&str>)]) -> Result<Vec<Vec<f32>>> {
    let mut pieces: Vec<String> = Vec::with_capacity(texts.len());
    let mut counts: Vec<usize> = Vec::with_capacity(texts.len());
    for (text, title) in texts {
        let before = pieces.len();
        // An embedder knows words, not identifiers.
        let text = if is_code(text) { Cow::Owned(code_words(text)) } else { Cow::Borrowed(*text) };
        let titled = match title {
            Some(title) if !title.is_empty() => Cow::Owned(format!("{title}\n{text}")),
            _ => text,
        };
        pieces.extend(split(&titled));
        counts.push(pieces.len() - before);
    }
    let mut vectors = Vec::with_capacity(pieces.len());
    for batch in pieces.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        vectors.extend(embedder.embed(&batch).await?);
    }
    if vectors.len() != pieces.len() {
        return Err(Error::new(
            ErrorKind::Embedding,
            format!("the embedder returned {} vectors for {} texts", vectors.len(), pieces.len()),
        ));
    }
    let mut vectors = vectors.into_iter();
    counts.into_iter().map(|count| mean(vectors.by_ref().take(count).collect())).collect()
}

/// `text` without the words of `names`; as it is where nothing else would be left.
fn without_names(text: &str, names: &[String]) -> String {
    let names: Vec<String> = names.iter().flat_map(|name| words(name)).collect();
    if names.is_empty() {
        return text.to_owned();
    }
    let is_name = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("\u{2019}s")).unwrap_or(bare);
        !bare.is_empty() && names.contains(&bare.to_lowercase())
    };
    let left: Vec<&str> = text.split_whitespace().filter(|word| !is_name(word)).collect();
    if left.iter().any(|word| word.chars().any(char::is_alphanumeric)) { left.join(" ") } else { text.to_owned() }
}

/// Pieces of about [`PIECE_CHARS`] characters, cut at white space where there is some.
fn split(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && pieces.len() < MOST_PIECES {
        let Some((end, _)) = rest.char_indices().nth(PIECE_CHARS) else {
            pieces.push(rest.to_owned());
            break;
        };
        let head = rest.get(..end).unwrap_or(rest);
        let cut = head.rfind(char::is_whitespace).filter(|at| *at > end / 2).unwrap_or(end);
        let (piece, tail) = rest.split_at(cut);
        if piece.chars().any(char::is_alphanumeric) {
            pieces.push(piece.to_owned());
        }
        rest = tail.trim_start();
    }
    if pieces.is_empty() {
        pieces.push(text.to_owned());
    }
    pieces
}

/// The mean direction of `vectors`.
fn mean(mut vectors: Vec<Vec<f32>>) -> Result<Vec<f32>> {
    if vectors.len() == 1
        && let Some(vector) = vectors.pop()
    {
        return Ok(vector);
    }
    let mut sum: Vec<f32> = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in &vectors {
        sum.iter_mut().zip(vector).for_each(|(total, x)| *total += x);
    }
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !norm.is_finite() || norm < 1e-9 {
        return Err(Error::new(ErrorKind::Embedding, "the pieces of a text have no common direction"));
    }
    sum.iter_mut().for_each(|x| *x /= norm);
    Ok(sum)
}
