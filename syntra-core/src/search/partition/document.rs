//! What a partition keeps of a document beside its terms, vector and entities.

use super::times::Stretch;
use super::wording::{PairsRead, has_name, is_number, is_of_oneself};
use crate::chat::Role;
use crate::memory::MemoryType;
use crate::query::resolve_statement_time;
use crate::search::IndexDocument;
use crate::search::lists::Span;
use crate::search::text::{TextAnalyzer, is_code, is_stop_word};
use jiff::Timestamp;
use jiff::tz::TimeZone;

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

/// What the signals read of a document, in one line of the processor's cache. What is longer (pairs of words, title, id) lies elsewhere.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Document {
    spoken: [f64; 2],
    /// When it was said, or else remembered.
    seconds: i64,
    nanoseconds: i32,
    speaker: u32,
    /// Its table of pairs, see [`super::wording::Pairs`].
    pub(super) pairs: Span,
    conversation: u32,
    /// Its place in its conversation.
    pub(super) position: u32,
    /// Not a number where nobody said.
    reliability: f32,
    pub(super) access_count: u32,
    pub(super) content_words: u32,
    marks: u16,
    pub(super) kind: MemoryType,
    pub(super) role: Option<Role>,
}

const _: () = assert!(size_of::<Document>() == 64);

/// Stands for none.
const NONE: u32 = u32::MAX;
/// Bytes of one in a snapshot.
pub(super) const WRITTEN: usize = 64;
const ROLES: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];

/// What a document is or has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// It is there: its slot is in use.
    Live,
    /// It says when it was said.
    Dated,
    /// It speaks of a time.
    Spoken,
    Question,
    TimeCue,
    Code,
    FirstPerson,
    Name,
    Number,
    Title,
}

impl Mark {
    fn of(marks: &[(Mark, bool)]) -> u16 {
        marks.iter().fold(0, |all, (mark, set)| all | u16::from(*set) << *mark as u16)
    }
}

impl Document {
    /// What an empty slot has.
    pub(super) const EMPTY: Document = Document {
        spoken: [0.0; 2],
        seconds: 0,
        nanoseconds: 0,
        speaker: NONE,
        pairs: Span::NONE,
        conversation: NONE,
        position: 0,
        reliability: f32::NAN,
        access_count: 0,
        content_words: 0,
        marks: 0,
        kind: MemoryType::Semantic,
        role: None,
    };

    pub(super) fn new(
        doc: &IndexDocument<'_>,
        reading: &Reading,
        speaker: Option<u32>,
        conversation: Option<u32>,
        pairs: Span,
    ) -> Self {
        let at = doc.said_at.unwrap_or(doc.created_at);
        Self {
            spoken: reading.spoken.map_or([0.0; 2], Stretch::ends),
            seconds: at.as_second(),
            nanoseconds: at.subsec_nanosecond(),
            speaker: speaker.unwrap_or(NONE),
            pairs,
            conversation: conversation.unwrap_or(NONE),
            position: 0,
            reliability: doc.reliability.filter(|r| r.is_finite()).unwrap_or(f32::NAN),
            access_count: uses(doc.access_count),
            content_words: reading.content_words,
            marks: Mark::of(&[
                (Mark::Live, true),
                (Mark::Dated, doc.said_at.is_some()),
                (Mark::Spoken, reading.spoken.is_some()),
                (Mark::Question, reading.is_question),
                (Mark::TimeCue, reading.time_cue),
                (Mark::Code, reading.is_code),
                (Mark::FirstPerson, reading.first_person),
                (Mark::Name, reading.has_name),
                (Mark::Number, reading.has_number),
                (Mark::Title, !reading.title.is_empty()),
            ]),
            kind: doc.kind,
            role: doc.role,
        }
    }

    #[inline]
    pub(super) fn is(&self, mark: Mark) -> bool {
        self.marks >> mark as u16 & 1 == 1
    }

    /// When it was said, or else remembered.
    pub(super) fn at(&self) -> Timestamp {
        // It was taken from one, or checked.
        Timestamp::new(self.seconds, self.nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(super) fn said_at(&self) -> Option<Timestamp> {
        self.is(Mark::Dated).then(|| self.at())
    }

    /// The time that it speaks of.
    pub(super) fn spoken(&self) -> Option<Stretch> {
        self.is(Mark::Spoken).then(|| Stretch::between(self.spoken))
    }

    pub(super) fn speaker(&self) -> Option<u32> {
        Some(self.speaker).filter(|speaker| *speaker != NONE)
    }

    pub(super) fn conversation(&self) -> Option<u32> {
        Some(self.conversation).filter(|conversation| *conversation != NONE)
    }

    pub(super) fn reliability(&self) -> Option<f32> {
        Some(self.reliability).filter(|reliability| !reliability.is_nan())
    }

    /// As bytes, for [`Document::read`].
    pub(super) fn written(&self) -> [u8; WRITTEN] {
        let two = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let kind = MemoryType::ALL.iter().position(|kind| *kind == self.kind).unwrap_or(0) as u8;
        let role = ROLES.iter().position(|role| Some(*role) == self.role).map_or(u8::MAX, |at| at as u8);
        let [low, high] = self.marks.to_le_bytes();
        let [from, to] = self.spoken.map(f64::to_bits);
        let words = [
            from,
            to,
            self.seconds.cast_unsigned(),
            u64::from_le_bytes(self.pairs.written()),
            two(self.nanoseconds.cast_unsigned(), self.speaker),
            two(self.conversation, self.position),
            two(self.reliability.to_bits(), self.access_count),
            two(self.content_words, u32::from_le_bytes([low, high, kind, role])),
        ];
        let mut bytes = [0; WRITTEN];
        bytes.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(to, word)| *to = word.to_le_bytes());
        bytes
    }

    /// Of the bytes of [`Document::written`]; `None` for what is no document.
    pub(super) fn read(bytes: &[u8; WRITTEN]) -> Option<Self> {
        let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let spoken = [f64::from_bits(word()), f64::from_bits(word())];
        let (seconds, pairs) = (word().cast_signed(), Span::read(&word().to_le_bytes()));
        let mut two = || {
            let two = word();
            ((two >> 32) as u32, two as u32)
        };
        let (nanoseconds, speaker) = two();
        let ((conversation, position), (reliability, access_count)) = (two(), two());
        let (content_words, rest) = two();
        let [low, high, kind, role] = rest.to_le_bytes();
        let document = Self {
            spoken,
            seconds,
            nanoseconds: nanoseconds.cast_signed(),
            speaker,
            pairs,
            conversation,
            position,
            reliability: f32::from_bits(reliability),
            access_count,
            content_words,
            marks: u16::from_le_bytes([low, high]),
            kind: *MemoryType::ALL.get(usize::from(kind))?,
            role: match role {
                u8::MAX => None,
                at => Some(*ROLES.get(usize::from(at))?),
            },
        };
        Timestamp::new(seconds, document.nanoseconds).ok()?;
        Some(document)
    }
}

/// How often a document was used, as far as it is counted: four thousand million times.
pub(super) fn uses(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
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
    /// The table of its pairs of neighbouring words.
    pub(super) pairs: Box<[u16]>,
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
