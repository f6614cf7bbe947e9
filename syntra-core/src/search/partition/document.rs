//! What a partition keeps of a document beside its terms, vector and entities.

use super::times::Stretch;
use super::wording::{Pairs, PairsRead, has_name, is_number, is_of_oneself};
use crate::chat::Role;
use crate::memory::MemoryType;
use crate::query::resolve_statement_time;
use crate::search::IndexDocument;
use crate::search::text::{TextAnalyzer, is_code, is_stop_word};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Words that tell a time. Sorted.
const TIME_WORDS: &[&str] = &[
    "ago",
    "april",
    "august",
    "autumn",
    "christmas",
    "day",
    "days",
    "december",
    "easter",
    "evening",
    "fall",
    "february",
    "friday",
    "halloween",
    "january",
    "july",
    "june",
    "last",
    "march",
    "monday",
    "month",
    "months",
    "morning",
    "next",
    "november",
    "october",
    "recently",
    "saturday",
    "september",
    "soon",
    "spring",
    "summer",
    "sunday",
    "thanksgiving",
    "thursday",
    "today",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "week",
    "weekend",
    "weeks",
    "winter",
    "year",
    "years",
    "yesterday",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// An assistant's long answer says what it is about at its beginning; what comes after this many words would outweigh every
/// message of the user.
const LEAD_WORDS: usize = 100;
const TAIL_WEIGHT: f32 = 0.25;
/// How much a term of each field counts.
pub(super) const TEXT_WEIGHT: f32 = 1.0;
pub(super) const TITLE_WEIGHT: f32 = 1.0;
pub(super) const CONTEXT_WEIGHT: f32 = 1.0;

#[derive(Debug)]
pub(super) struct Document {
    pub(super) id: Arc<str>,
    pub(super) kind: MemoryType,
    pub(super) role: Option<Role>,
    pub(super) speaker: Option<u32>,
    pub(super) conversation: Option<u32>,
    /// Its place in its conversation.
    pub(super) position: u32,
    pub(super) said_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) reliability: Option<f32>,
    pub(super) access_count: u64,
    pub(super) content_words: u32,
    pub(super) is_question: bool,
    pub(super) time_cue: bool,
    pub(super) is_code: bool,
    pub(super) first_person: bool,
    pub(super) has_name: bool,
    pub(super) has_number: bool,
    pub(super) spoken: Option<Stretch>,
    pub(super) pairs: Pairs,
    /// The terms of its title that mean something, each once.
    pub(super) title: Box<[u32]>,
}

impl Document {
    /// When it was said, or else remembered.
    pub(super) fn at(&self) -> Timestamp {
        self.said_at.unwrap_or(self.created_at)
    }
}

/// What reading a text once tells.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) terms: Vec<(String, f32)>,
    pub(super) content_words: u32,
    pub(super) is_question: bool,
    pub(super) time_cue: bool,
    pub(super) is_code: bool,
    pub(super) first_person: bool,
    pub(super) has_name: bool,
    pub(super) has_number: bool,
    /// The first time that it speaks of.
    pub(super) spoken: Option<Stretch>,
    pub(super) pairs: Pairs,
    /// The terms of the title, each once, without stop words.
    pub(super) title: Vec<String>,
}

/// Reads a document: the weighted terms of its text, title, speaker and date, and what its text is like.
pub(super) fn read(analyzer: &TextAnalyzer, doc: &IndexDocument<'_>) -> Reading {
    let mut reading = Reading::default();
    let tail = if doc.role == Some(Role::Assistant) { TAIL_WEIGHT } else { TEXT_WEIGHT };
    let mut words = 0;
    let mut pairs = PairsRead::default();
    analyzer.each_word(doc.text, &mut |word, term, again| {
        words += usize::from(!again);
        reading.terms.push((term.to_owned(), if words <= LEAD_WORDS { TEXT_WEIGHT } else { tail }));
        if again {
            return;
        }
        pairs.add(term);
        reading.first_person |= is_of_oneself(word);
        reading.has_number |= is_number(word);
        if !is_stop_word(word) {
            reading.content_words += 1;
        }
        let year = word.len() == 4
            && (word.starts_with("19") || word.starts_with("20"))
            && word.bytes().all(|b| b.is_ascii_digit());
        if year || TIME_WORDS.binary_search(&word).is_ok() {
            reading.time_cue = true;
        }
    });
    reading.is_code = is_code(doc.text);
    reading.is_question = doc.text.trim_end().ends_with(['?', '？', '؟']);
    reading.has_name = has_name(doc.text);
    // Times are told in words that are known, or in a language whose words are not looked at here.
    if reading.time_cue || !doc.text.is_ascii() {
        let spoken = resolve_statement_time(doc.text, doc.said_at.unwrap_or(doc.created_at), &TimeZone::UTC);
        reading.spoken = spoken.map(|time| Stretch::of(&time));
    }
    if let Some(title) = doc.title {
        pairs.part();
        analyzer.each_word(title, &mut |word, term, again| {
            reading.terms.push((term.to_owned(), TITLE_WEIGHT));
            if again {
                return;
            }
            pairs.add(term);
            if !is_stop_word(word) && !reading.title.iter().any(|t| t == term) {
                reading.title.push(term.to_owned());
            }
        });
    }
    reading.pairs = pairs.done();
    if let Some(speaker) = doc.speaker {
        analyzer.each_term(speaker, &mut |term| reading.terms.push((term.to_owned(), CONTEXT_WEIGHT)));
    }
    if doc.speaker.is_some()
        && let Some(at) = doc.said_at
    {
        let date = at.to_zoned(TimeZone::UTC).date();
        let month = MONTHS.get((date.month() - 1).max(0) as usize).copied().unwrap_or("");
        analyzer.each_term(month, &mut |term| reading.terms.push((term.to_owned(), CONTEXT_WEIGHT)));
        reading.terms.push((date.day().to_string(), CONTEXT_WEIGHT));
        reading.terms.push((date.year().to_string(), CONTEXT_WEIGHT));
    }
    reading
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_words_are_sorted() {
        assert!(super::TIME_WORDS.is_sorted());
    }
}
