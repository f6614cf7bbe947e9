//! How a text is worded, kept small: which words stand side by side, and whether it speaks of who says it, names or counts.

use crate::search::text::{TextAnalyzer, is_stop_word};
use crate::search::vector::prefetch_at;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Words of a text whose neighbourhood is kept.
const MOST_WORDS: usize = 4_000;

/// The pairs of neighbouring terms of a text as a table of 16-bit hashes with open addressing, 0 being empty: one or two reads
/// answer whether a pair is there, and about one in 40,000 that are not is said to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs<'a>(pub(super) &'a [u16]);

/// A table of `hashes`, none of which is 0.
fn table_of(mut hashes: Vec<u16>) -> Box<[u16]> {
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() {
        return Box::default();
    }
    let mut table = vec![0u16; (hashes.len() * 4 / 3 + 1).next_power_of_two()];
    for hash in hashes {
        if let Some(place) = probe(&table, hash).and_then(|at| table.get_mut(at)) {
            *place = hash;
        }
    }
    table.into()
}

impl Pairs<'_> {
    pub(super) fn contains(self, hash: u16) -> bool {
        probe(self.0, hash).and_then(|at| self.0.get(at)).is_some_and(|held| *held == hash)
    }

    /// Whether it is a table at all.
    pub(super) fn is_sound(self) -> bool {
        self.0.is_empty() || (self.0.len().is_power_of_two() && self.0.contains(&0))
    }

    /// Has the place where `hash` would stand brought near.
    pub(super) fn fetch(self, hash: u16) {
        if let Some(mask) = self.0.len().checked_sub(1) {
            prefetch_at(self.0, usize::from(hash) & mask);
        }
    }
}

/// The place of `hash`, or the empty one where it would be; nothing in an empty table.
fn probe(table: &[u16], hash: u16) -> Option<usize> {
    let mask = table.len().checked_sub(1)?;
    // Some places are always empty, so that this ends.
    (0..table.len())
        .map(|step| (usize::from(hash) + step) & mask)
        .find(|at| matches!(table.get(*at), Some(held) if *held == hash || *held == 0))
}

fn pair(before: &str, after: &str) -> u16 {
    let mut hasher = FxHasher::default();
    hasher.write(before.as_bytes());
    hasher.write_u8(b' ');
    hasher.write(after.as_bytes());
    let hash = hasher.finish();
    ((hash ^ (hash >> 32)) as u16 ^ (hash >> 16) as u16 ^ (hash >> 48) as u16).max(1)
}

/// Collects the pairs of a text that is read word by word.
#[derive(Debug, Default)]
pub(super) struct PairsRead {
    before: String,
    hashes: Vec<u16>,
}

impl PairsRead {
    pub(super) fn add(&mut self, term: &str) {
        if self.hashes.len() >= MOST_WORDS {
            return;
        }
        if !self.before.is_empty() {
            self.hashes.push(pair(&self.before, term));
        }
        self.before.clear();
        self.before.push_str(term);
    }

    /// What comes next does not stand beside what came last.
    pub(super) fn part(&mut self) {
        self.before.clear();
    }

    pub(super) fn done(self) -> Box<[u16]> {
        table_of(self.hashes)
    }
}

/// The distinct pairs of neighbouring words of a question of which at least one means something by itself.
pub(super) fn pairs_asked(analyzer: &TextAnalyzer, text: &str) -> Vec<u16> {
    let mut all = Vec::new();
    let (mut before, mut light_before) = (String::new(), false);
    analyzer.each_word(text, &mut |word, term, again| {
        if again {
            return;
        }
        let light = is_stop_word(word);
        if !(before.is_empty() || light && light_before) {
            let hash = pair(&before, term);
            if !all.contains(&hash) && all.len() < 64 {
                all.push(hash);
            }
        }
        before.clear();
        before.push_str(term);
        light_before = light;
    });
    all
}

/// Words by which people speak of themselves. Sorted.
const OF_ONESELF: &[&str] = &[
    "eu", "i", "i'd", "i'll", "i'm", "i've", "ich", "ik", "io", "j'ai", "je", "jeg", "me", "mein", "meine", "meinem",
    "meinen", "mes", "meu", "mi", "mig", "mij", "mijn", "mine", "minha", "mir", "mis", "mon", "my", "myself",
    "nosotros", "notre", "nous", "nuestra", "nuestro", "our", "ours", "us", "we", "we'll", "we're", "we've", "wir",
    "yo", "мне", "мой", "моя", "мы", "я",
];

const NUMBER_WORDS: &[&str] = &[
    "couple", "dozen", "eight", "eleven", "five", "four", "hundred", "nine", "once", "one", "seven", "several", "six",
    "ten", "thousand", "three", "twelve", "twice", "two",
];

/// Whether a lower-case word speaks of who says it.
pub(super) fn is_of_oneself(word: &str) -> bool {
    OF_ONESELF.binary_search(&word).is_ok()
}

/// Whether a lower-case word is a number.
pub(super) fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_numeric()) || NUMBER_WORDS.binary_search(&word).is_ok()
}

/// Whether a word in the middle of a sentence begins with a capital: a name, in most languages that have capitals.
pub(super) fn has_name(text: &str) -> bool {
    let mut before = [' ', ' '];
    let mut capital = false;
    for c in text.chars() {
        if capital && c.is_lowercase() {
            return true;
        }
        let [first, space] = before;
        capital = space == ' ' && (first.is_lowercase() || first == ',') && c.is_uppercase();
        before = [space, c];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Box<[u16]> {
        let mut pairs = PairsRead::default();
        TextAnalyzer::default().each_term(text, &mut |term| pairs.add(term));
        pairs.done()
    }

    fn share(question: &str, text: &str) -> (usize, usize) {
        let (asked, text) = (pairs_asked(&TextAnalyzer::default(), question), read(text));
        (asked.iter().filter(|hash| Pairs(&text).contains(**hash)).count(), asked.len())
    }

    #[test]
    fn words_side_by_side_are_known() {
        assert_eq!(share("support group", "I went to a LGBTQ support group yesterday"), (1, 1));
        assert_eq!(share("support groups", "a group I support"), (0, 1));
        // What is made of stop words alone is no pair: `did she`.
        assert_eq!(share("did she paint sunrises", "She paints a sunrise"), (1, 2));
        assert_eq!(share("", "anything"), (0, 0));
        assert_eq!(share("a lake house", ""), (0, 2));
    }

    #[test]
    fn names_are_told_by_capitals_within_a_sentence() {
        assert!(has_name("I met Ada there."));
        assert!(has_name("wir sahen Łukasz"));
        assert!(!has_name("We met there. She was well."));
        assert!(!has_name("so I said OK"));
    }

    #[test]
    fn numbers_and_oneself() {
        assert!(NUMBER_WORDS.is_sorted() && OF_ONESELF.is_sorted());
        assert!(is_number("3") && is_number("twice") && !is_number("to"));
        assert!(is_of_oneself("i've") && is_of_oneself("мы") && !is_of_oneself("in"));
    }

    proptest::proptest! {
        #[test]
        fn every_pair_that_is_there_is_found(words in proptest::collection::vec("[a-e]{1,2}", 0..60)) {
            let mut pairs = PairsRead::default();
            words.iter().for_each(|word| pairs.add(word));
            let pairs = pairs.done();
            for two in words.windows(2) {
                proptest::prop_assert!(Pairs(&pairs).contains(pair(&two[0], &two[1])));
            }
            proptest::prop_assert!(!Pairs(&pairs).contains(pair("not", "there")));
        }
    }
}
