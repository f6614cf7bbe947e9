//! Names in a text, without a model: titles, capitalised spans, quoted strings, identifiers.

use super::text::{is_identifier, is_stop_word};
use unicode_segmentation::UnicodeSegmentation;

/// The most entities that one text contributes.
const MOST: usize = 64;
/// Small words that may stand inside a name.
const INSIDE: &[&str] =
    &["of", "the", "de", "da", "di", "du", "la", "le", "van", "von", "der", "den", "and", "for", "in", "&"];

/// The key under which a title or name is known: lower case, words joined by one space, without a trailing remark in brackets
/// (`Mercury (planet)` is `mercury`) and without a leading article.
pub(crate) fn entity_key(name: &str) -> String {
    let name = match name.find(" (") {
        Some(at) if at > 0 && name.ends_with(')') => name.get(..at).unwrap_or(name),
        _ => name,
    };
    let mut key = String::with_capacity(name.len());
    for word in name.unicode_words() {
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("\u{2019}s")).unwrap_or(word);
        if key.is_empty() && matches!(word, "The" | "the" | "A" | "a" | "An" | "an") {
            continue;
        }
        if !key.is_empty() {
            key.push(' ');
        }
        key.extend(word.chars().flat_map(char::to_lowercase));
    }
    key
}

/// The keys of the names in `text`, each once, in order of appearance.
pub(crate) fn entities_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut span: Vec<&str> = Vec::new();
    let mut starts_sentence = true;
    let mut span_starts_sentence = false;
    let mut previous_end = 0;
    for (at, word) in text.unicode_word_indices() {
        if found.len() >= MOST {
            break;
        }
        let gap = text.get(previous_end..at).unwrap_or("");
        previous_end = at + word.len();
        let broken = !gap.chars().all(|c| matches!(c, ' ' | '-' | '.' | '&' | '\u{a0}')) || gap.contains(". ");
        if gap.contains(['.', '!', '?', '\n', ':']) {
            starts_sentence = true;
        }
        if broken {
            close(&mut span, span_starts_sentence, &mut found);
        }
        let capital = word.chars().next().is_some_and(|c| c.is_uppercase());
        let number = !span.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if capital || number {
            if span.is_empty() {
                span_starts_sentence = starts_sentence;
            }
            span.push(word);
        } else if !span.is_empty() && !broken && INSIDE.contains(&word) {
            span.push(word);
        } else {
            close(&mut span, span_starts_sentence, &mut found);
            if is_identifier(word) && word.len() > 2 && !word.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                add(entity_key(word), &mut found);
            }
        }
        starts_sentence = false;
    }
    close(&mut span, span_starts_sentence, &mut found);
    found
}

fn add(key: String, found: &mut Vec<String>) {
    if key.len() > 1 && key.len() <= 96 && found.len() < MOST && !found.contains(&key) {
        found.push(key);
    }
}

/// Ends a span: small words at its end fall away, a sentence's first word does if it is an ordinary one.
fn close(span: &mut Vec<&str>, starts_sentence: bool, found: &mut Vec<String>) {
    while span.last().is_some_and(|w| INSIDE.contains(w)) {
        span.pop();
    }
    let mut words = span.as_slice();
    while let [first, rest @ ..] = words {
        if is_stop_word(&first.to_lowercase()) && (starts_sentence || rest.is_empty() || first.len() == 1) {
            words = rest;
        } else {
            break;
        }
    }
    if !words.is_empty() {
        add(entity_key(&words.join(" ")), found);
        // A long name is also known by its halves around the small words: `Bank of England` by `england`.
        if words.len() > 2 {
            for part in words.split(|w| INSIDE.contains(w)) {
                if part.len() < words.len() && !part.is_empty() {
                    add(entity_key(&part.join(" ")), found);
                }
            }
        }
    }
    span.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let found = entities_in(
            "Yesterday I met Ada Lovelace at the Bank of England. She works on parse_http with Bob's team.",
        );
        assert!(found.contains(&"ada lovelace".to_owned()), "{found:?}");
        assert!(found.contains(&"bank of england".to_owned()), "{found:?}");
        assert!(found.contains(&"bob".to_owned()), "{found:?}");
        assert!(found.contains(&"parse_http".to_owned()), "{found:?}");
        assert!(!found.contains(&"she".to_owned()), "{found:?}");
    }

    #[test]
    fn keys_are_normal() {
        assert_eq!(entity_key("The Mercury (planet)"), "mercury");
        assert_eq!(entity_key("Person-centered therapy"), "person centered therapy");
    }

    proptest::proptest! {
        #[test]
        fn any_text_will_do(text in "\\PC{0,120}") {
            proptest::prop_assert!(entities_in(&text).len() <= MOST);
        }
    }
}
