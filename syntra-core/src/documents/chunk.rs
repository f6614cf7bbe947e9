//! Cutting a text into chunks.

use super::FileKind;
use super::sections::{definition, lines, sections};
use crate::error::{Error, Result};
use serde::Serialize;
use unicode_segmentation::GraphemeCursor;

/// How large chunks are, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ChunkOptions {
    /// The most characters of a chunk.
    pub max_chars: usize,
    /// How many characters a chunk repeats of the one before it, within a section.
    pub overlap: usize,
    /// How far from its end a chunk may be cut shorter to end with a sentence.
    pub sentence_window: usize,
}

impl Default for ChunkOptions {
    /// 1000 characters, 200 of them shared with the chunk before, sentences looked for in the last 100.
    fn default() -> Self {
        Self { max_chars: 1000, overlap: 200, sentence_window: 100 }
    }
}

impl ChunkOptions {
    /// Checks the sizes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when a chunk could hold no character or the overlap is more than half of it.
    pub fn validate(&self) -> Result<()> {
        if self.max_chars == 0 || self.overlap > self.max_chars / 2 {
            return Err(Error::invalid(format!(
                "chunks of at most {} characters with an overlap of {}: the size must be at least 1 and the overlap at most half of it",
                self.max_chars, self.overlap
            )));
        }
        Ok(())
    }
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// Its text, a slice of the document's.
    pub text: String,
    /// The headings it stands under, outermost first, with ` > ` between them; of code, its first definition.
    pub heading: Option<String>,
    /// Where it begins in the document, in bytes.
    pub start: usize,
    /// Where it ends, exclusive.
    pub end: usize,
    /// Its first line, counted from 1.
    pub line_from: u32,
    /// Its last line.
    pub line_to: u32,
}

/// Cuts `text` into chunks of at most [`ChunkOptions::max_chars`] characters, in order, which together hold every character that is not
/// white space. A chunk never crosses a Markdown or HTML heading; it ends, where there is one near enough, with a paragraph, a
/// sentence, a definition (code), a line or a word, and never inside a character as people see it unless that is longer than a
/// chunk. Sizes that [`ChunkOptions::validate`] refuses are brought into bounds. Always terminates: each cut lies behind the last.
///
/// ```
/// use syntra_core::documents::{ChunkOptions, FileKind, chunk};
/// let text = "# Guide\n\nHello.\n\n## Start\n\nRun it.\n";
/// let chunks = chunk(text, FileKind::Markdown, &ChunkOptions::default());
/// let found: Vec<_> = chunks.iter().map(|c| (c.heading.as_deref().unwrap(), c.line_from, c.line_to)).collect();
/// assert_eq!(found, [("Guide", 1, 3), ("Guide > Start", 5, 7)]);
/// ```
pub fn chunk(text: &str, kind: FileKind, options: &ChunkOptions) -> Vec<Chunk> {
    let max = options.max_chars.max(1);
    let cutter = Cutter { text, kind, max, overlap: options.overlap.min(max / 2), window: options.sentence_window };
    let mut places: Vec<(usize, usize, Option<String>)> = Vec::new();
    for section in sections(text, kind) {
        cutter.cut(section.start, section.end, |start, end| places.push((start, end, section.heading.clone())));
    }
    let starts: Vec<usize> = lines(text).map(|(start, _)| start).collect();
    let line = |at: usize| u32::try_from(starts.partition_point(|start| *start <= at).max(1)).unwrap_or(u32::MAX);
    places
        .into_iter()
        .filter_map(|(start, end, heading)| {
            let text = text.get(start..end)?;
            let heading = heading.or_else(|| (kind == FileKind::Code).then(|| definition(text)).flatten());
            Some(Chunk {
                text: text.to_owned(),
                heading,
                start,
                end,
                line_from: line(start),
                line_to: line(end.saturating_sub(1)),
            })
        })
        .collect()
}

struct Cutter<'a> {
    text: &'a str,
    kind: FileKind,
    max: usize,
    overlap: usize,
    window: usize,
}

impl Cutter<'_> {
    fn cut(&self, from: usize, to: usize, mut emit: impl FnMut(usize, usize)) {
        // Where the next chunk may begin, and how far everything has been covered.
        let (mut next, mut covered) = (from, from);
        while let Some((start, first)) = self.start(next, to) {
            let limit = self.forward(start, self.max, to);
            let end = if limit >= to { to } else { self.end(start, limit, covered.max(first)) };
            let trimmed = start + self.text.get(start..end).map_or(0, |t| t.trim_end().len());
            if trimmed > covered {
                emit(start, trimmed);
            }
            covered = end;
            if end >= to {
                return;
            }
            next = self.overlapped(start, end);
        }
    }

    /// Where a chunk begins, and its first character from `at` that is not white space: the same place, but in code the indentation
    /// of its line goes with it.
    fn start(&self, at: usize, to: usize) -> Option<(usize, usize)> {
        let rest = self.text.get(at..to)?;
        let first = at + rest.find(|c: char| !c.is_whitespace())?;
        if matches!(self.kind, FileKind::Code | FileKind::Data) {
            let line = self.text.get(at..first)?.rfind('\n').map_or(at, |i| at + i + 1);
            if self.text.get(line..first)?.chars().count() <= self.max / 2 {
                return Some((line, first));
            }
        }
        Some((first, first))
    }

    /// The place `n` characters after `at`, at most `to`.
    fn forward(&self, at: usize, n: usize, to: usize) -> usize {
        let rest = self.text.get(at..to).unwrap_or("");
        rest.char_indices().nth(n).map_or(to, |(i, _)| at + i)
    }

    /// The place `n` characters before `at`, at least `from`.
    fn back(&self, at: usize, n: usize, from: usize) -> usize {
        let before = self.text.get(from..at).unwrap_or("");
        match n.checked_sub(1) {
            None => at,
            Some(n) => before.char_indices().rev().nth(n).map_or(from, |(i, _)| from + i),
        }
    }

    /// The best place to end a chunk in (`after`, `limit`].
    fn end(&self, start: usize, limit: usize, after: usize) -> usize {
        let within = |chars: usize| self.back(limit, chars, start).max(after);
        let found = match self.kind {
            FileKind::Code => self
                .last(within(self.max * 3 / 5), limit, blank_then_unindented)
                .or_else(|| self.last(within(self.max * 2 / 5), limit, after_blank_line))
                .or_else(|| self.last(within(self.max * 3 / 5), limit, after_line)),
            FileKind::Data => self.last(within(self.max * 3 / 5), limit, after_line),
            _ => self
                .last(within(self.window.saturating_mul(3)), limit, after_blank_line)
                .or_else(|| self.last(within(self.window), limit, after_sentence))
                .or_else(|| self.last(within(self.window.saturating_mul(2)), limit, after_line)),
        };
        found
            .or_else(|| self.last(within(self.window.max(self.max / 10)), limit, after_space))
            .unwrap_or_else(|| self.whole_character(limit, after))
    }

    /// The last place in (`from`, `to`] of which `good` holds, given the text before it and behind it.
    fn last(&self, from: usize, to: usize, good: fn(&str, &str) -> bool) -> Option<usize> {
        let places = self.text.get(from..to)?.char_indices().rev().map(|(i, _)| from + i).filter(|i| *i > from);
        std::iter::once(to).filter(|to| *to > from).chain(places).find(|&i| self.holds(i, good))
    }

    /// Whether `good` holds of the text before `i`, of which a few words are enough, and behind it.
    fn holds(&self, i: usize, good: fn(&str, &str) -> bool) -> bool {
        let mut from = i.saturating_sub(128);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        matches!((self.text.get(from..i), self.text.get(i..)), (Some(before), Some(behind)) if good(before, behind))
    }

    /// `at`, or the last place before it and behind `after` that does not split a character with its accents or an emoji.
    fn whole_character(&self, at: usize, after: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        match cursor.is_boundary(self.text, 0) {
            Ok(false) => match cursor.prev_boundary(self.text, 0) {
                Ok(Some(place)) if place > after => place,
                _ => at,
            },
            _ => at,
        }
    }

    /// Where the chunk after one that is `start..end` begins: up to the overlap before its end, at the beginning of a sentence, line or
    /// word. Always behind `start`.
    fn overlapped(&self, start: usize, end: usize) -> usize {
        let from = self.back(end, self.overlap, start);
        if from <= start || from >= end {
            return end;
        }
        let good: fn(&str, &str) -> bool = match self.kind {
            FileKind::Code | FileKind::Data => after_line,
            _ => after_sentence,
        };
        let places = || self.text.get(from..end).into_iter().flat_map(|t| t.char_indices().map(|(i, _)| from + i));
        let at = |good: fn(&str, &str) -> bool| places().find(|&i| self.holds(i, good));
        at(good).or_else(|| at(after_space)).unwrap_or_else(|| {
            let place = self.whole_character(from, start);
            if place > start { place } else { end }
        })
    }
}

fn after_line(before: &str, _: &str) -> bool {
    before.ends_with('\n')
}

fn after_blank_line(before: &str, _: &str) -> bool {
    before.strip_suffix('\n').is_some_and(|b| b.trim_end_matches([' ', '\t', '\r']).ends_with('\n'))
}

fn blank_then_unindented(before: &str, behind: &str) -> bool {
    after_blank_line(before, behind)
        && behind.starts_with(|c: char| !c.is_whitespace() && !matches!(c, '}' | ')' | ']'))
}

fn after_space(before: &str, behind: &str) -> bool {
    before.ends_with(char::is_whitespace) && !behind.starts_with(char::is_whitespace)
}

/// A full stop, question or exclamation mark (closing quotes and brackets after it) with white space behind it, or one of the East
/// Asian marks.
fn after_sentence(before: &str, behind: &str) -> bool {
    let ended = before.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»', '」', '』']);
    if ended.ends_with(['。', '！', '？', '．']) {
        return true;
    }
    let spaced = behind.starts_with(char::is_whitespace) && ended.ends_with(['.', '!', '?', '…']);
    let next = before
        .strip_suffix(char::is_whitespace)
        .is_some_and(|b| b.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']).ends_with(['.', '!', '?', '…']));
    spaced || next || after_blank_line(before, behind)
}

#[cfg(test)]
mod tests;
