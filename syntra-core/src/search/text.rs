//! Text to search terms: Unicode words, normalised, split where they are identifiers, stemmed.
//!
//! A term is always a whole word, a part of an identifier, or (in scripts that write no spaces) a pair of neighbouring
//! characters; never a substring. The same analysis serves documents and questions; questions also lose their stop words.

use super::languages::{Detected, Stemmers, hindi};
use rust_stemmers::{Algorithm, Stemmer};
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

/// Words longer than this many bytes are cut: they are base64, hashes or noise, and must not fill the vocabulary.
const LONGEST_WORD: usize = 64;

/// Turns text into search terms.
///
/// ```
/// use syntra_core::search::TextAnalyzer;
/// let analyzer = TextAnalyzer::default();
/// assert_eq!(analyzer.terms("Painted sunrises"), ["paint", "sunris"]);
/// assert_eq!(analyzer.terms("parseHttpHeader"), ["pars", "http", "header", "parsehttpheader"]);
/// assert_eq!(analyzer.terms("東京都"), ["東京", "京都"]);
/// assert_eq!(analyzer.query_terms("When did she paint it?"), ["paint"]);
/// // A text in another language has the stems of that language beside those that any text gets.
/// assert!(analyzer.terms("Wir sahen die Häuser").contains(&"haus".to_owned()));
/// ```
pub struct TextAnalyzer {
    latin: Stemmer,
    russian: Stemmer,
    greek: Stemmer,
    arabic: Stemmer,
    tamil: Stemmer,
    native: Stemmers,
}

impl std::fmt::Debug for TextAnalyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TextAnalyzer")
    }
}

impl Default for TextAnalyzer {
    fn default() -> Self {
        Self::new(Algorithm::English)
    }
}

impl TextAnalyzer {
    /// An analyser whose words in Latin script are stemmed by `latin`, whatever the language, so that texts meet in which nothing
    /// tells the language; where something does, by the language's own stemmer too. Cyrillic, Greek, Arabic, Tamil and Devanagari
    /// have stemmers by their script.
    pub fn new(latin: Algorithm) -> Self {
        Self {
            latin: Stemmer::create(latin),
            russian: Stemmer::create(Algorithm::Russian),
            greek: Stemmer::create(Algorithm::Greek),
            arabic: Stemmer::create(Algorithm::Arabic),
            tamil: Stemmer::create(Algorithm::Tamil),
            native: Stemmers::default(),
        }
    }

    /// The terms of `text`, in order, repeated where they repeat.
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        self.each_term(text, &mut |term| out.push(term.to_owned()));
        out
    }

    /// The distinct terms of a question without its stop words; with them, where it has nothing else.
    pub fn query_terms(&self, text: &str) -> Vec<String> {
        let mut content: Vec<String> = Vec::new();
        let mut all: Vec<String> = Vec::new();
        let language = Detected::of(text);
        self.each_word_of(text, language, &mut |word, term, _| {
            if !all.iter().any(|t| t == term) {
                all.push(term.to_owned());
                if !is_stop_word(word) && !language.is_some_and(|l| l.is_function_word(word)) {
                    content.push(term.to_owned());
                }
            }
        });
        if content.is_empty() { all } else { content }
    }

    /// Calls `f` with each term of `text`, in order.
    pub fn each_term(&self, text: &str, f: &mut dyn FnMut(&str)) {
        self.each_word(text, &mut |_, term, _| f(term));
    }

    /// Calls `f` with each term, the lower-case word that it is from, and whether that word had a term before: its language's own stem
    /// comes after the one that any text gets, where they differ.
    pub(crate) fn each_word(&self, text: &str, f: &mut dyn FnMut(&str, &str, bool)) {
        self.each_word_of(text, Detected::of(text), f);
    }

    fn each_word_of(&self, text: &str, language: Option<Detected>, f: &mut dyn FnMut(&str, &str, bool)) {
        let native = language.and_then(|language| self.native.of(language));
        let text = normalise(text);
        let mut run = String::new();
        let mut run_end = 0;
        for (at, word) in text.unicode_word_indices() {
            if word.chars().next().is_some_and(is_unspaced) {
                if at != run_end {
                    flush_run(&mut run, f);
                }
                run.push_str(word);
                run_end = at + word.len();
            } else {
                flush_run(&mut run, f);
                self.spaced_word(word, native, f);
            }
        }
        flush_run(&mut run, f);
    }

    fn spaced_word(&self, word: &str, native: Option<&Stemmer>, f: &mut dyn FnMut(&str, &str, bool)) {
        let word = cut(word, LONGEST_WORD);
        let lower = if word.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
            Cow::Owned(word.to_lowercase())
        } else {
            Cow::Borrowed(word)
        };
        if !is_identifier(word) {
            let term = self.stem(&lower);
            f(&lower, &term, false);
            if let Some(native) = native.filter(|_| lower.starts_with(is_latin)) {
                // `l'école` is the school.
                let elided = lower.split_once('\'').filter(|(head, tail)| head.len() <= 5 && tail.len() > 2);
                let own = without_marks(native.stem(elided.map_or(&lower, |(_, tail)| tail)));
                if own != term && !own.is_empty() {
                    f(&lower, &own, true);
                }
            }
            return;
        }
        let mut parts = 0;
        each_part(word, |part| {
            parts += 1;
            let part = part.to_lowercase();
            let term = self.stem(&part);
            f(&part, &term, false);
        });
        if parts > 1 {
            f(&lower, &lower, false);
        }
    }

    /// The stem of a lower-case word, by its script, without diacritics.
    fn stem<'a>(&self, lower: &'a str) -> Cow<'a, str> {
        let Some(first) = lower.chars().next() else { return Cow::Borrowed(lower) };
        if first.is_ascii_digit() {
            return Cow::Borrowed(lower);
        }
        let stemmer = match first {
            '\u{0370}'..='\u{03FF}' => &self.greek,
            '\u{0400}'..='\u{04FF}' => &self.russian,
            '\u{0600}'..='\u{06FF}' => &self.arabic,
            '\u{0B80}'..='\u{0BFF}' => &self.tamil,
            '\u{0900}'..='\u{097F}' => return Cow::Borrowed(hindi(lower)),
            _ => &self.latin,
        };
        let stem = stemmer.stem(lower);
        if stem.is_empty() {
            return Cow::Borrowed(lower);
        }
        if stem.is_ascii() || !first.is_alphabetic() || first >= '\u{0250}' {
            return stem;
        }
        without_marks(stem)
    }
}

fn is_latin(c: char) -> bool {
    c.is_alphabetic() && c < '\u{0250}'
}

/// Without diacritics.
fn without_marks(stem: Cow<'_, str>) -> Cow<'_, str> {
    if stem.is_ascii() {
        return stem;
    }
    Cow::Owned(stem.nfd().filter(|c| !is_combining_mark(*c)).collect())
}

/// NFKC and plain apostrophes; borrowed where there is nothing to do.
fn normalise(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfkc().map(|c| if matches!(c, '\u{2019}' | '\u{02BC}') { '\'' } else { c }).collect())
}

/// The words of `text` in lower case, without a possessive `'s`.
pub(crate) fn words(text: &str) -> Vec<String> {
    let text = normalise(text);
    text.unicode_words().map(|w| w.strip_suffix("'s").unwrap_or(w).to_lowercase()).collect()
}

/// Whether `text` is program code, by its punctuation and its keywords: at least one keyword that begins a line and a share of
/// the characters that prose does not have.
pub(crate) fn is_code(text: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "def",
        "class",
        "import",
        "from",
        "return",
        "fn",
        "pub",
        "let",
        "const",
        "var",
        "function",
        "public",
        "private",
        "static",
        "void",
        "int",
        "use",
        "if",
        "for",
        "while",
        "struct",
        "impl",
        "#include",
        "package",
        "func",
        "async",
        "export",
        "select",
        "create",
        "insert",
        "@Override",
        "self",
        "else",
        "try",
        "with",
        "namespace",
        "using",
        "type",
    ];
    let mut all = 0usize;
    let mut marks = 0usize;
    for c in text.chars().take(4_000).filter(|c| !c.is_whitespace()) {
        all += 1;
        marks += usize::from(matches!(
            c,
            '(' | ')' | '{' | '}' | '[' | ']' | '=' | ';' | '<' | '>' | '_' | '&' | '|' | '\\'
        ));
    }
    let lines = text.lines().take(100).filter(|line| {
        let first = line.split(|c: char| c.is_whitespace() || c == '(' || c == '.').find(|w| !w.is_empty());
        first.is_some_and(|word| KEYWORDS.contains(&word)) && line.contains(['(', '{', ':', ';', '='])
    });
    let lines = lines.count();
    all >= 20 && ((lines >= 1 && marks * 20 > all) || (lines >= 2 && marks * 33 > all))
}

/// Code as its words: identifiers split, marks left out.
pub(crate) fn code_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in normalise(text).unicode_words() {
        each_part(word, |part| {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(part);
        });
    }
    out
}

/// Whether `c` is of a script that puts no spaces between words.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
}

/// Hands out the pairs of neighbouring characters of a run, or its only character.
fn flush_run(run: &mut String, f: &mut dyn FnMut(&str, &str, bool)) {
    if run.is_empty() {
        return;
    }
    let mut previous: Option<usize> = None;
    let mut pairs = 0;
    for (at, c) in run.char_indices() {
        if let Some(start) = previous
            && let Some(pair) = run.get(start..at + c.len_utf8())
        {
            f(pair, pair, false);
            pairs += 1;
        }
        previous = Some(at);
    }
    if pairs == 0 {
        f(run, run, false);
    }
    run.clear();
}

/// The longest prefix of `word` of at most `bytes` bytes.
fn cut(word: &str, bytes: usize) -> &str {
    if word.len() <= bytes {
        return word;
    }
    let mut end = bytes;
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word.get(..end).unwrap_or(word)
}

/// Whether a word is made of parts: `snake_case`, `camelCase`, `utf8`, `example.com`.
pub(crate) fn is_identifier(word: &str) -> bool {
    let mut lower_before = false;
    let (mut letters, mut digits) = (false, false);
    for b in word.bytes() {
        match b {
            b'_' | b'.' | b':' if word.len() > 1 => {
                if letters || b == b'_' {
                    return true;
                }
            }
            b'A'..=b'Z' => {
                if lower_before {
                    return true;
                }
                letters = true;
            }
            b'0'..=b'9' => digits = true,
            _ => letters = true,
        }
        lower_before = b.is_ascii_lowercase();
    }
    letters && digits
}

/// The parts of an identifier: at `_`, `.`, `:`, between lower and upper case, between letters and digits, and before the last
/// capital of a run of capitals (`HTTPServer` is `HTTP`, `Server`).
fn each_part(word: &str, mut f: impl FnMut(&str)) {
    #[derive(PartialEq, Clone, Copy)]
    enum Class {
        Lower,
        Upper,
        Digit,
        Other,
    }
    let class = |c: char| {
        if matches!(c, '_' | '.' | ':' | '\'') {
            Class::Other
        } else if c.is_numeric() {
            Class::Digit
        } else if c.is_uppercase() {
            Class::Upper
        } else {
            Class::Lower
        }
    };
    let mut start = 0;
    let mut chars = word.char_indices().peekable();
    let mut before = Class::Other;
    let mut emit = |from: usize, to: usize| {
        if let Some(part) = word.get(from..to)
            && !part.is_empty()
        {
            f(part);
        }
    };
    while let Some((at, c)) = chars.next() {
        let now = class(c);
        let next = chars.peek().map(|(_, c)| class(*c));
        match (before, now) {
            (_, Class::Other) => {
                emit(start, at);
                start = at + c.len_utf8();
            }
            (Class::Other, _) => start = at,
            (Class::Upper, Class::Upper) if next == Some(Class::Lower) => {
                emit(start, at);
                start = at;
            }
            (Class::Upper, Class::Lower) => {}
            (a, b) if a != b => {
                emit(start, at);
                start = at;
            }
            _ => {}
        }
        before = now;
    }
    emit(start, word.len());
}

/// Words that say how something is asked, not what about: articles, pronouns, auxiliaries, question words, prepositions.
/// Sorted, for the binary search.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "am", "an", "and", "any", "are", "aren't", "as", "at", "be", "been", "before",
    "being", "between", "but", "by", "can", "can't", "could", "couldn't", "d", "did", "didn't", "do", "does",
    "doesn't", "doing", "don't", "during", "each", "for", "from", "had", "has", "have", "having", "he", "her", "hers",
    "him", "his", "how", "i", "i'd", "i'll", "i'm", "i've", "if", "in", "into", "is", "isn't", "it", "it's", "its",
    "ll", "m", "many", "me", "might", "mine", "much", "must", "my", "of", "on", "or", "our", "ours", "please", "re",
    "s", "shall", "she", "should", "so", "some", "t", "than", "that", "that's", "the", "their", "theirs", "them",
    "then", "there", "these", "they", "this", "those", "to", "too", "us", "ve", "very", "was", "wasn't", "we", "were",
    "what", "what's", "when", "where", "which", "who", "who's", "whom", "whose", "why", "will", "with", "would", "you",
    "your", "yours",
];

/// Whether a lower-case word carries no meaning of its own in a question.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        TextAnalyzer::default().terms(text)
    }

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn words_not_substrings() {
        assert!(!terms("good").contains(&"go".to_owned()));
        assert_eq!(terms("Caroline's dogs"), ["carolin", "dog"]);
        assert_eq!(terms("Caroline\u{2019}s"), terms("Caroline's"));
    }

    #[test]
    fn identifiers_are_split_and_kept() {
        assert_eq!(terms("read_file"), ["read", "file", "read_file"]);
        assert_eq!(terms("HTTPServer2"), ["http", "server", "2", "httpserver2"]);
        assert_eq!(terms("example.com"), ["exampl", "com", "example.com"]);
        assert_eq!(terms("3.14"), ["3.14"]);
        assert_eq!(terms("iPhone"), ["i", "phone", "iphone"]);
    }

    #[test]
    fn code_is_told_from_prose() {
        for code in [
            "def paste(xsel=False):\n    selection = 1 if xsel else 2\n    return run(selection)",
            "fn main() {\n    let x = parse(1);\n    println!(\"{x}\");\n}",
            "import { a } from 'b';\nconst c = (d) => d.e;\n",
        ] {
            assert!(is_code(code), "{code}");
        }
        for prose in [
            "I painted a sunrise last year (for the first time). Return soon!",
            "With this, we show that the class of functions = 3; see [1].",
            "If you like it: use it. For more, ask.",
            "",
        ] {
            assert!(!is_code(prose), "{prose}");
        }
        assert_eq!(code_words("self.writeBoolean(n_bytes)"), "self write Boolean n bytes");
    }

    #[test]
    fn other_scripts() {
        assert_eq!(terms("Über café"), ["uber", "cafe"]);
        assert_eq!(terms("книги"), terms("книга"));
        assert_eq!(terms("今日は"), ["今日", "日は"]);
        assert_eq!(terms("ＡＢＣ"), ["abc"]);
        assert_eq!(terms("水"), ["水"]);
        assert_eq!(terms("서울에서"), ["서울", "울에", "에서"]);
    }

    #[test]
    fn questions_lose_their_stop_words_unless_that_is_all() {
        let analyzer = TextAnalyzer::default();
        assert_eq!(analyzer.query_terms("Where did I go?"), ["go"]);
        assert_eq!(analyzer.query_terms("who are you"), ["who", "are", "you"]);
        assert!(analyzer.query_terms("?!").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_analysed(text in "\\PC{0,80}") {
            for term in terms(&text) {
                proptest::prop_assert!(!term.is_empty());
                proptest::prop_assert!(term.len() <= LONGEST_WORD * 4);
            }
        }
    }
}
