//! What common words of Chinese, Japanese and Hindi mean in English, so that what the in-package embedder makes of a text, which is English first, can be
//! asked about them too.
//!
//! `gloss.txt` has a line for each concept: English words, then the words of the three languages that stand for it, with `|` between. Chinese and Japanese
//! do not part their words: the longest entry counts wherever one begins. A word of Hindi is found by what it begins with, since endings vary.

use super::super::stable_hash;
use super::lexicon::Identity;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

/// Bytes of English that are enough to know what a text is about.
const ENOUGH: usize = 360;
/// Letters and vowel signs that may follow the stem of a word of Hindi, and those that a stem has at least.
const ENDING: usize = 4;
const STEM: usize = 3;

/// By its first letter, what an entry is and what it means, the longest first.
static ENTRIES: LazyLock<HashMap<char, Vec<(&'static str, &'static str)>>> = LazyLock::new(|| {
    let mut all: HashMap<char, Vec<(&'static str, &'static str)>> = HashMap::new();
    for line in include_str!("gloss.txt").lines() {
        let Some((english, words)) = line.split_once('|') else { continue };
        for word in words.split(['|', ' ']) {
            // Latin letters mean what they are.
            if let Some(first) = word.chars().next().filter(|c| !c.is_ascii()) {
                let entries = all.entry(first).or_default();
                if !entries.iter().any(|(known, _)| *known == word) {
                    entries.push((word, english));
                }
            }
        }
    }
    all.values_mut().for_each(|entries| entries.sort_by_key(|(word, _)| std::cmp::Reverse(word.len())));
    all
});

fn entries(first: char) -> &'static [(&'static str, &'static str)] {
    ENTRIES.get(&first).map_or(&[], Vec::as_slice)
}

/// What is known of `text` in English, with its Latin words as they are; `None` where none of its other words is known.
pub(super) fn english(text: &str) -> Option<String> {
    let mut out = String::with_capacity(ENOUGH + 64);
    let (mut rest, mut known) = (text, false);
    let mut put = |words: &str| {
        out.push_str(words);
        out.push(' ');
        out.len() >= ENOUGH
    };
    while let Some(first) = rest.chars().next() {
        let (length, meaning) = if first.is_ascii_alphanumeric() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            (length, rest.get(..length))
        } else if is_devanagari(first) {
            let length = rest.find(|c: char| !is_devanagari(c)).unwrap_or(rest.len());
            let meaning = rest.get(..length).and_then(hindi);
            known |= meaning.is_some();
            (length, meaning)
        } else {
            let found = if first.is_alphabetic() { entries(first) } else { &[] };
            let found = found.iter().find(|(word, _)| rest.starts_with(word));
            known |= found.is_some();
            found.map_or((first.len_utf8(), None), |(word, english)| (word.len(), Some(*english)))
        };
        if meaning.is_some_and(&mut put) {
            break;
        }
        rest = rest.get(length..)?;
    }
    known.then_some(out)
}

fn is_devanagari(c: char) -> bool {
    // Its marks of punctuation are not part of words.
    ('\u{900}'..='\u{97F}').contains(&c) && !matches!(c, '\u{964}' | '\u{965}')
}

fn hindi(word: &str) -> Option<&'static str> {
    let found = entries(word.chars().next()?).iter().find(|(stem, _)| {
        let ending = word.strip_prefix(stem);
        ending
            .is_some_and(|ending| ending.is_empty() || stem.chars().count() >= STEM && ending.chars().count() <= ENDING)
    });
    found.map(|(_, english)| *english)
}

/// What a word of Spanish, German, French or Portuguese means in English, by its hash.
static LATIN: LazyLock<Table<&'static str>> = LazyLock::new(|| {
    let mut all = Table::default();
    for line in include_str!("gloss_latin.txt").lines() {
        let Some((english, words)) = line.split_once('|') else { continue };
        for word in words.split(' ') {
            all.entry(stable_hash(word.as_bytes())).or_insert(english);
        }
    }
    all
});

/// By the hash of a word.
type Table<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

/// Words of form that tell these languages from English, and those of English.
const FOREIGN: &str = "el la los las del de que qué y en un una unos por para con cómo está mi se lo al es der die das und ist ein eine einen \
    einem einer ich du nicht wie für mit zu zur zum den dem auf im von bei wer wo wann mir mein meine welche welcher le les des et est une je il \
    dans pour avec sur au aux du ce cette quel quelle où qui pas mon ma ton qu à o os as um uma do da em no na não meu minha e com qual quais ao \
    nos como me te su sus gibt hat sind was kann";
const ENGLISH: &str = "the of and what how is are you my for with it this that do does can i to which who when where why not your has have from \
    by be will at in about please write was were did";

/// Whether a word is in either.
static FORMS: LazyLock<Table<(bool, bool)>> = LazyLock::new(|| {
    let mut all: Table<(bool, bool)> = Table::default();
    let hash = |word: &str| stable_hash(word.as_bytes());
    FOREIGN.split_whitespace().for_each(|word| all.entry(hash(word)).or_default().0 = true);
    ENGLISH.split_whitespace().for_each(|word| all.entry(hash(word)).or_default().1 = true);
    all
});

/// As [`english`], of a text in Latin letters; `None` where it seems to be English already, or nothing of it is known.
pub(super) fn from_latin(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let (mut foreign, mut english) = (0, 0);
    for word in words_of(&lower) {
        let (theirs, ours) = FORMS.get(&stable_hash(word.as_bytes())).copied().unwrap_or_default();
        foreign += usize::from(theirs);
        english += usize::from(ours);
    }
    if english > 0 && foreign <= english {
        return None;
    }
    let known = words_of(&lower).filter(|word| meaning_of(word).is_some()).count();
    // A few words without a form: two of them have to be known, or one where accents say that it is not English.
    if known == 0 || foreign == 0 && known < 2 && text.is_ascii() {
        return None;
    }
    let mut out = String::with_capacity(ENOUGH + 64);
    for word in words_of(&lower) {
        out.push_str(meaning_of(word).unwrap_or(word));
        out.push(' ');
        if out.len() >= ENOUGH {
            break;
        }
    }
    Some(out)
}

/// The words of a text in lower case; what is left out at an apostrophe (`l'euro`) is a word of its own.
fn words_of(lower: &str) -> impl Iterator<Item = &str> {
    lower.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.is_empty())
}

/// Of a word, or of what it begins with but for an ending of one or two letters.
fn meaning_of(word: &str) -> Option<&'static str> {
    let known = |word: &str| LATIN.get(&stable_hash(word.as_bytes())).copied();
    known(word).or_else(|| {
        let ends = word.char_indices().rev().take(2).map(|(at, _)| at);
        ends.filter(|at| *at >= STEM_LATIN).find_map(|at| known(word.get(..at)?))
    })
}

/// Bytes that such a beginning has at least.
const STEM_LATIN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_known_where_no_spaces_part_them() {
        assert_eq!(english("今天北京的天气怎么样?").unwrap(), "today today's beijing shanghai china weather forecast ");
        assert_eq!(english("用Python写函数").unwrap(), "Python write draft function method ");
        assert_eq!(english("関数が動かない").unwrap(), "function method ");
        // The longer one counts: a running shoe is not a shoe that runs.
        assert_eq!(english("跑步 跑鞋").unwrap(), "sport exercise run shoes sneakers ");
    }

    #[test]
    fn endings_of_hindi_do_not_hide_its_words() {
        for word in ["किताब", "किताबें", "किताबों"] {
            assert_eq!(english(word).unwrap(), "book ", "{word}");
        }
        // What only begins alike is another word.
        assert_eq!(english("कबूतरखानेवालों"), None);
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        for text in ["", "hello", "Привет, Python", "안녕하세요", "12 + 5", "ฬฬ"] {
            assert_eq!(english(text), None, "{text}");
        }
    }

    #[test]
    fn every_line_has_a_meaning_and_words_of_three_languages() {
        for line in include_str!("gloss.txt").lines() {
            let columns: Vec<&str> = line.split('|').collect();
            assert_eq!(columns.len(), 4, "{line}");
            assert!(columns[0].is_ascii() && columns.iter().all(|c| !c.trim().is_empty()), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_at(text in "[a-z天気あाकि ।?]{0,80}") {
            if let Some(english) = english(&text) {
                prop_assert!(english.is_ascii() && english.len() < ENOUGH + 80, "{}", english);
            }
        }
    }
}
