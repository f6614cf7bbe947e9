//! Names, quotes, handles, addresses, identifiers and numbers in a text.

use super::time_words::{Concept, concepts};
use super::words::{Language, Word, is_stop, word_set};
use std::ops::Range;

/// Something spoken of, by its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Quoted words.
    Quoted,
    /// A URL, an e-mail address, a handle.
    Address,
    /// `snake_case`, `camelCase`, `path::to`, `file.rs`, `GPT-4o`.
    Identifier,
    /// A number with a digit, as written.
    Number,
    /// A capitalised span or a Katakana run.
    Name,
}

/// Everything of note in `text`, in order, no two overlapping.
pub(super) fn find(text: &str, words: &[Word<'_>], language: Language) -> Vec<Found> {
    let mut out = quoted(text);
    tokens(text, &mut out);
    names(text, words, language, &mut out);
    out.sort_by_key(|f| (f.range.start, std::cmp::Reverse(f.range.end)));
    out
}

fn free(out: &[Found], range: &Range<usize>) -> bool {
    out.iter().all(|f| f.range.end <= range.start || range.end <= f.range.start)
}

/// At most so many finds; texts are short, and so is what is made of them.
const MOST: usize = 64;

fn quoted(text: &str) -> Vec<Found> {
    const PAIRS: &[(char, char)] =
        &[('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('「', '」'), ('『', '』'), ('《', '》'), ('`', '`')];
    let mut out: Vec<Found> = Vec::new();
    let mut rest = 0;
    while let Some((at, open)) =
        text.get(rest..).and_then(|t| t.char_indices().find(|(_, c)| PAIRS.iter().any(|(o, _)| o == c)))
    {
        let start = rest + at + open.len_utf8();
        // A quote is closed within a line and 200 bytes, or it is none.
        let close = PAIRS.iter().filter(|(o, _)| *o == open).find_map(|(_, close)| {
            let inside = text.get(start..)?;
            let end = inside.find(*close)?;
            let quote = inside.get(..end)?;
            (end > 0 && end <= 200 && !quote.contains('\n') && !quote.trim().is_empty())
                .then_some((end, close.len_utf8()))
        });
        match close {
            Some((end, width)) if out.len() < MOST => {
                out.push(Found { range: start..start + end, kind: Kind::Quoted });
                rest = start + end + width;
            }
            Some(_) => break,
            None => rest = start,
        }
    }
    out
}

/// What is recognised by its characters, one token between spaces at a time.
fn tokens(text: &str, out: &mut Vec<Found>) {
    let mut at = 0;
    for token in text.split_inclusive(|c: char| c.is_whitespace()) {
        let start = at;
        at += token.len();
        if out.len() >= MOST {
            return;
        }
        let lead =
            token.len() - token.trim_start_matches(['(', '[', '{', '<', '"', '\'', '“', '‘', '¿', '¡', '«']).len();
        let body = token.get(lead..).unwrap_or("").trim_end();
        // A call's parentheses stay with its name.
        let cut = |c: char| {
            matches!(
                c,
                '.' | ','
                    | ';'
                    | ':'
                    | '!'
                    | '?'
                    | '"'
                    | '\''
                    | '”'
                    | '’'
                    | ']'
                    | '}'
                    | '>'
                    | '…'
                    | '»'
                    | '、'
                    | '。'
                    | '？'
            )
        };
        let mut body = body.trim_end_matches(cut);
        if !body.ends_with("()") {
            body = body.trim_end_matches(|c| c == ')' || c == '(' || cut(c));
        }
        let body = body.strip_suffix("'s").or_else(|| body.strip_suffix("’s")).unwrap_or(body);
        let Some(kind) = token_kind(body) else { continue };
        let range = start + lead..start + lead + body.len();
        if free(out, &range) {
            out.push(Found { range, kind });
        }
    }
}

fn token_kind(token: &str) -> Option<Kind> {
    if token.len() < 2 && !token.starts_with(|c: char| c.is_ascii_digit()) || token.len() > 300 {
        return None;
    }
    let ascii_name =
        |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if ["http://", "https://", "www.", "ftp://"]
        .iter()
        .any(|p| token.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p)))
    {
        return Some(Kind::Address);
    }
    if let Some(handle) = token.strip_prefix(['@', '#'])
        && handle.len() > 1
        && handle.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && !(token.starts_with('#') && handle.bytes().all(|b| b.is_ascii_digit()))
    {
        return Some(Kind::Address);
    }
    if let Some((user, host)) = token.split_once('@')
        && !user.is_empty()
        && host.contains('.')
        && host.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-')
    {
        return Some(Kind::Address);
    }
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let letters = token.chars().filter(|c| c.is_alphabetic()).count();
    let marked = token.trim_start_matches(['$', '€', '£', '¥', '#', '+', '-', '~']);
    if digits > 0 && letters == 0 {
        let number = marked.trim_end_matches(['%', '€', '$', '°']);
        return number
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b':' | b'-' | b'/'))
            .then_some(Kind::Number);
    }
    if !token.is_ascii() {
        return None;
    }
    let path = token.contains("::")
        || token.ends_with("()")
        || token.contains('/') && !token.contains("//") && token.matches('/').count() > 1;
    if path && letters > 1 {
        return Some(Kind::Identifier);
    }
    let inner = token.trim_matches(['_', '-', '.']);
    if token.contains('_') && letters > 0 && ascii_name(inner) {
        return Some(Kind::Identifier);
    }
    // `camelCase`, `PascalCase`, `iPhone`, `README.md`, `GPT-4o`, `CVE-2024-1`, `v1.2`; not `3pm`, `7th`, `Mary-Ann`.
    let bytes = token.as_bytes();
    let hump = bytes.windows(2).any(|w| matches!(w, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    if hump && ascii_name(token) {
        return Some(Kind::Identifier);
    }
    let file = token.rsplit_once('.').is_some_and(|(stem, end)| {
        stem.len() > 1
            && (1..=5).contains(&end.len())
            && end.bytes().all(|b| b.is_ascii_alphanumeric())
            && end.bytes().any(|b| b.is_ascii_alphabetic())
    });
    if file && ascii_name(token) && !matches!(token, "e.g" | "i.e" | "a.m" | "p.m" | "U.S" | "U.K") {
        return Some(Kind::Identifier);
    }
    let starts_with_letter = token.starts_with(|c: char| c.is_ascii_alphabetic());
    (digits > 0 && starts_with_letter && ascii_name(token)).then_some(Kind::Identifier)
}

/// Capitalised spans that are not merely the beginning of a sentence.
fn names(text: &str, words: &[Word<'_>], language: Language, out: &mut Vec<Found>) {
    let capitals = words.iter().filter(|w| w.capital).count();
    let times = concepts(words, language);
    // In a text that is all capitals, or a headline, capitals say nothing.
    let latin = words.iter().filter(|w| !w.cjk).count();
    let shouted = latin > 1 && words.iter().all(|w| w.cjk || !w.text.chars().any(char::is_lowercase));
    if shouted || (latin > 4 && capitals * 10 > latin * 8) {
        return katakana(words, out);
    }
    let plain = |w: &Word<'_>, i: usize| -> bool {
        let stop = is_stop(&w.lower, language) || w.lower.starts_with("i'");
        let acronym = w.text.len() > 1 && w.text.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
        !w.capital
            || (stop && !(acronym && w.text.len() > 2))
            || matches!(times.get(i), Some(Some(c)) if !matches!(c, Concept::Early | Concept::Other))
    };
    let mut i = 0;
    while i < words.len() && out.len() < MOST {
        let Some(word) = words.get(i) else { break };
        if plain(word, i) {
            i += 1;
            continue;
        }
        let mut end = i + 1;
        while let Some(next) = words.get(end) {
            let gap = text.get(words.get(end - 1).map_or(0, |w| w.end)..next.start).unwrap_or("\n");
            let joined = matches!(gap, " " | "-" | "\u{2019}" | "'" | " & " | "&" | ". ");
            // A full stop joins only after an initial: `J. R. Smith`.
            if !joined || (gap == ". " && words.get(end - 1).is_some_and(|w| w.text.chars().count() > 1)) {
                break;
            }
            if !plain(next, end) {
                end += 1;
                continue;
            }
            // `University of Oslo`, `Ludwig van Beethoven`.
            let linked = matches!(
                next.text,
                "of" | "the" | "de" | "da" | "del" | "la" | "van" | "von" | "der" | "du" | "di" | "y"
            ) && words.get(end + 1).is_some_and(|w| w.capital && !plain(w, end + 1))
                && gap == " "
                && text.get(next.end..words.get(end + 1).map_or(0, |w| w.start)) == Some(" ");
            if !linked {
                break;
            }
            end += 2;
        }
        let mut start = i;
        i = end;
        // The first word of a sentence is capital anyway: it stays only when something else speaks for it.
        if word.first && !speaks_for_itself(text, words, start, end, language) {
            start += 1;
        }
        let (Some(from), Some(to)) = (words.get(start), words.get(end - 1)) else { continue };
        if start >= end {
            continue;
        }
        let mut range = from.start..to.end;
        if to.lower.ends_with("'s") {
            range.end -= to.text.len() - to.text.rfind(['\'', '\u{2019}']).unwrap_or(to.text.len());
        }
        if free(out, &range) && !range.is_empty() {
            out.push(Found { range, kind: Kind::Name });
        }
    }
    katakana(words, out);
}

/// Whether a sentence's first word is a name all the same.
fn speaks_for_itself(text: &str, words: &[Word<'_>], start: usize, end: usize, language: Language) -> bool {
    let Some(word) = words.get(start) else { return false };
    let acronym = word.text.chars().count() > 1 && word.text.chars().all(|c| c.is_uppercase() || c.is_ascii_digit());
    let again = words.iter().any(|w| !w.first && w.capital && w.text == word.text);
    let possessive = word.lower.ends_with("'s") && !is_stop(&word.lower, language);
    // `Ada Lovelace wrote`, unless the first is a verb: `Ask Ada`, `Call Mary`.
    let spanned = end > start + 1 && !super::intent::is_imperative(&word.lower);
    word_set!(
        VERBS,
        "is was has had will does did said says told went likes loves lives works wants moved thinks asked mentioned \
        got came made can could would should ist war hat est es é"
    );
    let subject =
        words.get(end).is_some_and(|w| VERBS.contains(w.lower.as_ref()) && text.get(word.end..w.start) == Some(" "))
            && !word.lower.ends_with("ing");
    let addressed = end == start + 1
        && text.get(word.end..word.end + 1) == Some(",")
        && words.len() > end
        && !super::intent::is_opener(&word.lower);
    acronym || again || possessive || spanned || subject || addressed
}

/// Runs of Katakana, which writes foreign names and words, and what carries an honorific.
fn katakana(words: &[Word<'_>], out: &mut Vec<Found>) {
    for word in words.iter().filter(|w| w.cjk) {
        let mut start = None;
        let ends = word.text.char_indices().map(Some).chain([None]);
        for item in ends {
            let (at, inside) = match item {
                Some((at, c)) => (at, matches!(c, '\u{30a1}'..='\u{30ff}')),
                None => (word.text.len(), false),
            };
            match (start, inside) {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    let range = word.start + from..word.start + at;
                    if range.len() >= 6 && out.len() < MOST && free(out, &range) {
                        out.push(Found { range, kind: Kind::Name });
                    }
                    start = None;
                }
                _ => {}
            }
        }
        for honorific in ["さん", "先生", "様", "君"] {
            if let Some(end) = word.text.find(honorific)
                && (3..=18).contains(&end)
            {
                let range = word.start..word.start + end;
                if out.len() < MOST && free(out, &range) {
                    out.push(Found { range, kind: Kind::Name });
                }
            }
        }
    }
}
