//! The model inside the package: a table of token vectors, distilled from a sentence transformer (`docs/static-model.md`).
//!
//! The vector of a text is the normalised sum of the rows of its WordPiece tokens; the length of a row is the weight of its
//! token. Nothing is downloaded, nothing is decoded when it is loaded: rows stay quantised and are widened as they are added.
//! Words that the vocabulary cannot spell (other scripts, emoji) become signed hashes of their character n-grams, so the same
//! word meets itself in another text although its meaning is unknown.
//!
//! # The file
//!
//! Little-endian throughout; every length is checked before anything is read.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `SYNEMBED` |
//! | 4 | format version, 1 |
//! | 4 | dimensions: a multiple of 16, at most 1024 |
//! | 4 | rows: 1 to 1,000,000 |
//! | 4 | bits a number: 4 or 8 |
//! | 4 | bytes of the model's name |
//! | 4 | bytes of the vocabulary |
//! | 4 | weight of a word outside the vocabulary, `f32` |
//! | 4 | 0 |
//! | 8 | [checksum](checksum) of everything after it |
//! | … | the name, UTF-8 |
//! | … | the vocabulary: for each row one length byte and the token, UTF-8, `##` for a continuation |
//! | 4 a row | the scales, `f32` |
//! | | the rows: 8 bits: one signed byte a dimension; 4 bits: byte `i` holds dimension `i` in its low half and dimension `i + d/2` in its high half, each plus 8 |

use super::wordpiece::{Piece, Vocabulary};
use super::{Embedder, unusable};
use crate::error::{Error, ErrorKind, Result};
use async_trait::async_trait;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

static BUNDLED: &[u8] = include_bytes!("../../assets/static-en.bin");

const MAGIC: &[u8; 8] = b"SYNEMBED";
const HEADER: usize = 48;
/// Texts that are embedded before other tasks get their turn; some two milliseconds of work.
const BATCH: usize = 256;

/// The in-package embedder: English first, in microseconds, the same bits on every machine.
///
/// Cloning is cheap: all clones share one table.
///
/// ```
/// use syntra_core::embed::StaticEmbedder;
/// let embedder = StaticEmbedder::bundled()?;
/// let [cat, kitten, tax] = ["The cat sleeps.", "A kitten is napping.", "File your tax return."].map(|t| embedder.embed_one(t));
/// let (cat, kitten, tax) = (cat?, kitten?, tax?);
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
/// assert!(dot(&cat, &kitten) > dot(&cat, &tax) + 0.2);
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone)]
pub struct StaticEmbedder(Arc<Table>);

struct Table {
    name: String,
    dimensions: usize,
    bits: u32,
    unknown_weight: f32,
    vocabulary: Vocabulary,
    bytes: Cow<'static, [u8]>,
    scales_at: usize,
    rows_at: usize,
}

impl fmt::Debug for StaticEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticEmbedder").field("model", &self.0.name).field("dimensions", &self.0.dimensions).finish()
    }
}

impl StaticEmbedder {
    /// The model that comes with the crate; loaded once per process (a few milliseconds), then shared.
    ///
    /// # Errors
    /// [`ErrorKind::Embedding`] when the table in the binary is damaged.
    pub fn bundled() -> Result<Self> {
        static SHARED: OnceLock<Result<StaticEmbedder>> = OnceLock::new();
        SHARED.get_or_init(|| Self::from_bytes(BUNDLED)).clone()
    }

    /// A model in the same file format, as the distillation script writes it.
    ///
    /// # Errors
    /// [`ErrorKind::Embedding`] that names what is wrong with the bytes.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        Table::parse(bytes.into()).map(|table| Self(Arc::new(table))).map_err(|what| {
            Error::new(ErrorKind::Embedding, format!("this is not a usable static model: {what}"))
                .with_code("bad_model_file")
        })
    }

    /// A model from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] when the file cannot be read; otherwise as [`StaticEmbedder::from_bytes`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| {
            Error::new(ErrorKind::Storage, format!("the model file {} cannot be read: {e}", path.display()))
                .with_source(e)
        })?;
        Self::from_bytes(bytes)
    }

    /// The vector of one text: unit length, [`Embedder::dimensions`] long.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a text with nothing to read in it (empty, white space, control characters).
    pub fn embed_one(&self, text: &str) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.0.dimensions];
        self.embed_into(text, &mut out)?;
        Ok(out)
    }

    /// As [`StaticEmbedder::embed_one`], into a buffer of [`Embedder::dimensions`] numbers.
    ///
    /// # Errors
    /// As [`StaticEmbedder::embed_one`]; also [`ErrorKind::InvalidInput`] for a buffer of another length. The buffer's content is
    /// unspecified then.
    pub fn embed_into(&self, text: &str, out: &mut [f32]) -> Result<()> {
        let table = &*self.0;
        if out.len() != table.dimensions {
            return Err(Error::invalid(format!(
                "the buffer holds {} numbers, {} are needed",
                out.len(),
                table.dimensions
            )));
        }
        out.fill(0.0);
        let mut any = false;
        table.vocabulary.pieces(text, |piece| {
            any = true;
            table.add(piece, out);
        });
        if !any {
            return Err(super::nothing_to_embed());
        }
        if normalise(out) {
            return Ok(());
        }
        // Rows that cancel out or weigh nothing: the text still has an identity, and that is all that is known of it.
        out.fill(0.0);
        add_hashes(out, 1.0, std::iter::once(hash(SALT_TEXT, text.trim().bytes())));
        if normalise(out) { Ok(()) } else { Err(unusable("the vector has no length")) }
    }

    /// The vectors of several texts, in order.
    ///
    /// # Errors
    /// As [`StaticEmbedder::embed_one`]; the message names the text by its place.
    pub fn embed_batch(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        texts
            .iter()
            .enumerate()
            .map(|(i, text)| self.embed_one(text).map_err(|e| super::at_place(e, i, texts.len())))
            .collect()
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn model(&self) -> &str {
        &self.0.name
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut out = Vec::with_capacity(texts.len());
        for (i, text) in texts.iter().enumerate() {
            if i > 0 && i % BATCH == 0 {
                tokio::task::yield_now().await;
            }
            out.push(self.embed_one(text).map_err(|e| super::at_place(e, i, texts.len()))?);
        }
        Ok(out)
    }
}

impl Table {
    fn parse(bytes: Cow<'static, [u8]>) -> Result<Self, String> {
        let u32_at = |at: usize| -> Result<usize, String> {
            let b = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or("it ends inside the header")?;
            Ok(u32::from_le_bytes(b) as usize)
        };
        if bytes.get(..8) != Some(MAGIC.as_slice()) {
            return Err("it does not begin with the magic SYNEMBED".to_owned());
        }
        let version = u32_at(8)?;
        if version != 1 {
            return Err(format!("format version {version}, this crate reads version 1"));
        }
        let (dimensions, rows, bits) = (u32_at(12)?, u32_at(16)?, u32_at(20)?);
        let (name_len, vocabulary_len, weight) = (u32_at(24)?, u32_at(28)?, f32::from_bits(u32_at(32)? as u32));
        if dimensions == 0 || dimensions > 1024 || dimensions % 16 != 0 {
            return Err(format!("{dimensions} dimensions; a multiple of 16 up to 1024 was expected"));
        }
        if rows == 0 || rows > 1_000_000 {
            return Err(format!("{rows} rows; 1 to 1,000,000 were expected"));
        }
        if bits != 4 && bits != 8 {
            return Err(format!("{bits} bits a number; 4 or 8 were expected"));
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err("the weight of unknown words is not a positive number".to_owned());
        }
        let scales_at = HEADER + name_len.saturating_add(vocabulary_len);
        let rows_at = scales_at.saturating_add(rows * 4);
        let end = rows_at.saturating_add(rows * dimensions * bits / 8);
        if bytes.len() != end {
            return Err(format!("{} bytes; by its header it should have {end}", bytes.len()));
        }
        let stored = bytes.get(40..48).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        if stored != Some(checksum(&bytes[HEADER..])) {
            return Err("its checksum does not match".to_owned());
        }
        let name =
            std::str::from_utf8(&bytes[HEADER..HEADER + name_len]).map_err(|_| "its name is not UTF-8")?.to_owned();
        if name.is_empty() {
            return Err("it has no name".to_owned());
        }
        let mut tokens = Vec::with_capacity(rows);
        let mut rest = &bytes[HEADER + name_len..scales_at];
        for row in 0..rows {
            let (&len, after) =
                rest.split_first().ok_or_else(|| format!("the vocabulary ends at token {row} of {rows}"))?;
            let token = after.get(..len.into()).ok_or_else(|| format!("token {row} runs past the vocabulary"))?;
            tokens.push(std::str::from_utf8(token).map_err(|_| format!("token {row} is not UTF-8"))?);
            rest = &after[len.into()..];
        }
        if !rest.is_empty() {
            return Err(format!("{} bytes are left after the vocabulary", rest.len()));
        }
        let vocabulary = Vocabulary::new(tokens.into_iter())?;
        let bad = bytes[scales_at..rows_at].chunks_exact(4).position(|b| {
            let scale = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            !(scale.is_finite() && (0.0..1e6).contains(&scale))
        });
        if let Some(row) = bad {
            return Err(format!("the scale of row {row} is not a number from 0 to 1e6"));
        }
        Ok(Self { name, dimensions, bits: bits as u32, unknown_weight: weight, vocabulary, bytes, scales_at, rows_at })
    }

    fn add(&self, piece: Piece<'_>, out: &mut [f32]) {
        match piece {
            Piece::Row(row) => self.add_row(row as usize, out),
            Piece::Unknown(word) => self.add_unknown(word, 3, self.unknown_weight, out),
            Piece::Ideographs(run) => {
                self.add_unknown(run, 2, self.unknown_weight * (run.chars().count() as f32).sqrt(), out)
            }
            // An emoji says little next to words, but alone it is all there is.
            Piece::Symbol(symbol) => {
                add_hashes(out, self.unknown_weight * 0.25, std::iter::once(hash(SALT_WORD, symbol.bytes())))
            }
        }
    }

    fn add_row(&self, row: usize, out: &mut [f32]) {
        let s = self.scales_at + row * 4;
        let scale = f32::from_le_bytes([self.bytes[s], self.bytes[s + 1], self.bytes[s + 2], self.bytes[s + 3]]);
        let len = self.dimensions * self.bits as usize / 8;
        let data = &self.bytes[self.rows_at + row * len..][..len];
        if self.bits == 8 {
            for (o, &b) in out.iter_mut().zip(data) {
                *o += f32::from(b as i8) * scale;
            }
        } else {
            let (low, high) = out.split_at_mut(len);
            for ((l, h), &b) in low.iter_mut().zip(high).zip(data) {
                *l += (f32::from(b & 15) - 8.0) * scale;
                *h += (f32::from(b >> 4) - 8.0) * scale;
            }
        }
    }

    /// A word as the signed hashes of its n-grams: whole, and every `n` characters of it between its borders. Ideographs
    /// have no borders, and each of them counts alone as well.
    fn add_unknown(&self, word: &str, n: usize, weight: f32, out: &mut [f32]) {
        let mut chars = ['\u{2}'; super::wordpiece::MAX_WORD_CHARS + 8];
        let mut len = 0;
        let borders = usize::from(n > 2);
        for (slot, c) in chars[borders..super::wordpiece::MAX_WORD_CHARS + 4].iter_mut().zip(word.chars()) {
            *slot = c;
            len += 1;
        }
        let chars = &chars[..len + 2 * borders];
        let gram = |salt, g: &[char]| hash(salt, g.iter().flat_map(|&c| (c as u32).to_le_bytes()));
        if borders > 0 {
            let whole = std::iter::once(hash(SALT_WORD, word.bytes()));
            add_hashes(out, weight, whole.chain(chars.windows(n).map(|g| gram(SALT_GRAM, g))));
        } else {
            let single = chars.iter().map(|&c| gram(SALT_GRAM, &[c]));
            add_hashes(out, weight, single.chain(chars.windows(n).map(|g| gram(SALT_GRAM, g))));
        }
    }
}

const SALT_WORD: u64 = 1;
const SALT_GRAM: u64 = 2;
const SALT_TEXT: u64 = 3;

/// FNV-1a, 64 bits, over a salt and bytes.
fn hash(salt: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes.fold(start, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Places of a vector that one hash touches.
const TOUCHED: usize = 16;

/// Adds to `out` one sparse random vector for each hash, [`TOUCHED`] places plus or minus one unit, all together about `weight`
/// long. Two hashes meet in as little of their length as dense random vectors do, at a sixteenth of the work.
fn add_hashes(out: &mut [f32], weight: f32, hashes: impl Iterator<Item = u64> + Clone) {
    let count = hashes.clone().count().max(1);
    let unit = weight / ((count * TOUCHED) as f32).sqrt();
    let places = out.len() as u64;
    for h in hashes {
        for round in 1..=TOUCHED as u64 / 4 {
            let mut bits = mix(h.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            for _ in 0..4 {
                // Fifteen bits choose the place, the sixteenth the sign.
                if let Some(o) = out.get_mut((((bits & 0x7fff) * places) >> 15) as usize) {
                    *o += if bits & 0x8000 == 0 { unit } else { -unit };
                }
                bits >>= 16;
            }
        }
    }
}

/// Scales to length 1; false when there is no length to speak of. Sixteen partial sums in a fixed order: fast, and the same
/// on every machine.
fn normalise(out: &mut [f32]) -> bool {
    let mut sums = [0.0f32; 16];
    for part in out.chunks_exact(16) {
        for (s, x) in sums.iter_mut().zip(part) {
            *s += x * x;
        }
    }
    let length = sums.iter().sum::<f32>().sqrt();
    if !(length.is_finite() && length > 1e-6) {
        return false;
    }
    let factor = 1.0 / length;
    out.iter_mut().for_each(|x| *x *= factor);
    true
}

/// The checksum of a model file: over its 8-byte little-endian words (the last padded with zeros), from the length on,
/// `h = rotate_left(h xor word, 29) * 0x9e3779b97f4a7c15`. It finds damage, not forgery.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |h: u64, word: u64| (h ^ word).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(words.iter().fold(bytes.len() as u64, |h, w| step(h, u64::from_le_bytes(*w))), u64::from_le_bytes(last))
}

#[cfg(test)]
#[path = "static_model_tests.rs"]
mod tests;
