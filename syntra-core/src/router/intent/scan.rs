//! One pass over a text: its words by class, and its structure.

use super::lexicon::{CLASSES, Class, PHRASES};

/// The most words of a phrase in the lexicon.
pub(super) const MAX_PHRASE: usize = 6;
/// Characters looked at: the beginning and the end say what is asked, whatever lies between is material.
const HEAD_BYTES: usize = 1_600;
const TAIL_BYTES: usize = 600;

/// What a text shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Features {
    classes: [u16; CLASSES],
    /// Whether a class occurs within the first words, politeness aside.
    lead: u32,
    /// Words looked at.
    pub(super) words: usize,
    /// Words of the whole text, estimated from its length beyond what was looked at.
    pub(super) length: usize,
    pub(super) sentences: usize,
    pub(super) ends_with_question: bool,
    pub(super) exclaims: bool,
    pub(super) questions: usize,
    pub(super) numbers: usize,
    pub(super) fences: usize,
    pub(super) code_marks: usize,
    pub(super) identifiers: usize,
    pub(super) errors: usize,
    pub(super) file_names: usize,
    pub(super) latex: usize,
    pub(super) operators: usize,
    pub(super) prices: usize,
    pub(super) urls: usize,
    pub(super) recent_year: bool,
    /// Times of day: 7:00.
    pub(super) times: usize,
    pub(super) percents: usize,
    lines: usize,
    quotes: usize,
    /// A colon near the beginning: what follows it is material.
    colon: bool,
    /// `___` to be filled in.
    gaps: usize,
    /// `A)`, `(b)`: one of these is to be chosen.
    options: usize,
    buckets: Buckets,
}

/// Which of [`BUCKETS`] each of the first words falls into.
#[derive(Clone, Debug)]
struct Buckets([u16; BUCKETED], usize);

impl Default for Buckets {
    fn default() -> Self {
        Self([0; BUCKETED], 0)
    }
}

/// Buckets that words are hashed into, and how many words of a text are.
pub(super) const BUCKETS: usize = 2048;
const BUCKETED: usize = 64;
/// Numbers that say a text's structure to the model that is learned: three for each class, and [`Features::marks`].
pub(super) const NUMBERS: usize = 3 * CLASSES + MARKS;
const MARKS: usize = 36;
/// Buckets are weighed by this, so that their weights are of the size of the others.
const BUCKET_WEIGHT: f32 = 3.0;

impl Features {
    /// How often words of `class` occur.
    pub(super) fn count(&self, class: Class) -> usize {
        self.classes.get(class as usize).copied().unwrap_or(0).into()
    }

    /// The same, at most `most`, as a number to weigh.
    pub(super) fn up_to(&self, class: Class, most: usize) -> f32 {
        self.count(class).min(most) as f32
    }

    /// Whether it occurs at all.
    pub(super) fn has(&self, class: Class) -> bool {
        self.count(class) > 0
    }

    /// Calls `each` with the place and the value of each number that is not 0: [`NUMBERS`] of structure, then a bucket for each of the first words.
    pub(super) fn numbers(&self, mut each: impl FnMut(usize, f32)) {
        for (class, &count) in self.classes.iter().enumerate() {
            if count > 0 {
                each(3 * class, 1.0);
            }
            if count > 1 {
                each(3 * class + 1, f32::from(count.min(4) - 1));
            }
            if self.lead & (1 << class) != 0 {
                each(3 * class + 2, 1.0);
            }
        }
        for (mark, value) in self.marks().into_iter().enumerate() {
            if value > 0 {
                each(3 * CLASSES + mark, f32::from(value));
            }
        }
        let words = self.buckets.0.get(..self.buckets.1).unwrap_or_default();
        let weight = BUCKET_WEIGHT / (words.len().max(1) as f32).sqrt();
        words.iter().for_each(|bucket| each(NUMBERS + usize::from(*bucket), weight));
    }

    /// Length, form and marks, as small numbers.
    fn marks(&self) -> [u8; MARKS] {
        let up_to = |n: usize, most: usize| n.min(most) as u8;
        let is = u8::from;
        [
            is(self.length <= 2),
            is(self.length <= 4),
            is(self.length <= 8),
            is(self.length <= 14),
            is(self.length > 25),
            is(self.length > 60),
            is(self.length > 80),
            is(self.length > 200),
            is(self.sentences >= 2),
            up_to(self.sentences, 5),
            is(self.ends_with_question),
            is(self.exclaims),
            up_to(self.questions, 3),
            is(self.numbers > 0),
            up_to(self.numbers, 5),
            up_to(self.fences, 2),
            is(self.code_marks > 0),
            up_to(self.code_marks, 5),
            up_to(self.identifiers, 3),
            up_to(self.errors, 2),
            up_to(self.file_names, 2),
            up_to(self.latex, 3),
            is(self.operators > 0),
            up_to(self.operators, 4),
            is(self.prices > 0),
            is(self.urls > 0),
            is(self.recent_year),
            is(self.times > 0),
            is(self.percents > 0),
            is(self.lines > 0),
            up_to(self.lines, 4),
            is(self.quotes > 0),
            is(self.colon),
            is(self.gaps > 0),
            is(self.options >= 2),
            is(self.length <= 8 && !self.ends_with_question),
        ]
    }

    /// Whether the text begins with `class`, politeness aside.
    pub(super) fn leads(&self, class: Class) -> bool {
        self.lead & (1 << class as u8) != 0
    }
}

/// FNV-1a, which is fast on words and the same everywhere.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn step(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(PRIME)
}

/// The hash of a phrase, taken from its last word back to its first, so that a longer phrase ending at the same word takes one more step.
pub(super) fn phrase_hash(words: impl DoubleEndedIterator<Item = u64>) -> u64 {
    finish(words.rev().fold(FNV, grow))
}

fn grow(hash: u64, earlier: u64) -> u64 {
    step(hash, earlier).rotate_left(23)
}

/// The table takes the hash as it is, so its low bits must depend on all.
fn finish(hash: u64) -> u64 {
    hash ^ (hash >> 29)
}

/// Hashes of the words of `text`, in order.
pub(super) fn tokens_of(text: &str) -> Vec<u64> {
    let mut tokens = Vec::with_capacity(text.len() / 4 + 2);
    words(text, |hash, _, _| tokens.push(hash));
    tokens
}

/// Characters that are words by themselves, where words are not parted by spaces.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{309F}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FFFF}')
}

fn in_word(c: char) -> bool {
    // Indic vowel signs and joiners belong to the word; so does the long-vowel mark of Katakana; `c++` and `c#` are words.
    c.is_alphanumeric() || matches!(c, '_' | '+' | '#' | '\u{0900}'..='\u{0DFF}' | '\u{200C}' | '\u{200D}' | '\u{30FC}')
}

/// Calls `each` with the hash of each word in lower case, its first byte and the byte after its last. Apostrophes within words are
/// passed over, so that `what's` is `whats`.
fn words(text: &str, mut each: impl FnMut(u64, usize, usize)) {
    let mut hash = FNV;
    let mut start = None;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        if stands_alone(c) {
            if let Some(s) = start.take() {
                each(hash, s, end);
            }
            each(step(FNV, c as u64), at, at + c.len_utf8());
            hash = FNV;
        } else if in_word(c) {
            if start.is_none() {
                // An operator does not begin a word.
                if matches!(c, '+' | '#') {
                    continue;
                }
                start = Some(at);
                hash = FNV;
            }
            if c.is_ascii() {
                hash = step(hash, u64::from(c.to_ascii_lowercase() as u32));
            } else {
                for lower in c.to_lowercase() {
                    hash = step(hash, lower as u64);
                }
            }
            end = at + c.len_utf8();
        } else if matches!(c, '\'' | '\u{2019}') && start.is_some() {
            // stays within the word
        } else if let Some(s) = start.take() {
            each(hash, s, end);
        }
    }
    if let Some(s) = start {
        each(hash, s, end);
    }
}

/// The largest cut at or below `at` that does not split a character.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Everything that is read from `text`.
pub(super) fn scan(text: &str) -> Features {
    let mut f = Features::default();
    let head = text.get(..floor(text, HEAD_BYTES)).unwrap_or(text);
    let tail_from = floor(text, text.len().saturating_sub(TAIL_BYTES)).max(head.len());
    scan_part(head, true, &mut f);
    f.length = f.words;
    if let Some(tail) = text.get(tail_from..)
        && !tail.is_empty()
    {
        scan_part(tail, false, &mut f);
        f.length = f.words + (tail_from - head.len()) / 6;
    }
    f.exclaims = text.trim_end().ends_with(['!', '！']);
    f.ends_with_question = text.trim_end().ends_with(['?', '？', '؟']);
    f
}

fn scan_part(text: &str, is_head: bool, f: &mut Features) {
    scan_words(text, is_head, f);
    scan_marks(text, f);
}

fn scan_words(text: &str, is_head: bool, f: &mut Features) {
    let mut recent = [0u64; MAX_PHRASE];
    let mut seen = 0usize;
    // The place of the first word that is not politeness.
    let mut first = 0usize;
    words(text, |hash, start, end| {
        recent.rotate_left(1);
        if let Some(last) = recent.last_mut() {
            *last = hash;
        }
        seen += 1;
        if let (true, Some(bucket)) = (is_head, f.buckets.0.get_mut(f.buckets.1)) {
            *bucket = (finish(hash) % BUCKETS as u64) as u16;
            f.buckets.1 += 1;
        }
        let mut polite = false;
        let mut phrase = FNV;
        for (back, word) in recent.iter().rev().take(seen).enumerate() {
            phrase = grow(phrase, *word);
            let Some(&bits) = PHRASES.get(&finish(phrase)) else { continue };
            let begins = seen - 1 - back;
            let mut rest = bits;
            while rest != 0 {
                let class = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if let Some(count) = f.classes.get_mut(class) {
                    *count = count.saturating_add(1);
                }
            }
            if is_head {
                if bits & (1 << Class::Polite as u8) != 0 && begins <= first + 1 {
                    polite = true;
                } else if begins == first {
                    f.lead |= bits;
                }
            }
        }
        if polite {
            first = seen;
            f.lead = 0;
            // "Could you", "I need to know" is courtesy, neither about the assistant nor a wish to buy.
            for class in [Class::You, Class::Want] {
                if let Some(count) = f.classes.get_mut(class as usize) {
                    *count = 0;
                }
            }
        }
        if let Some(word) = text.get(start..end) {
            look_at(word, text.get(end..).unwrap_or_default(), f);
        }
    });
    f.words += seen;
}

/// Structure within one word and right behind it.
fn look_at(word: &str, after: &str, f: &mut Features) {
    let bytes = word.as_bytes();
    let next = after.as_bytes().first().copied();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    if digits > 0 {
        if bytes.first().is_some_and(u8::is_ascii_digit) {
            f.numbers += 1;
        }
        // Later than the knowledge of most models in use; a fixed year, so that the same text always means the same.
        if digits == 4 && bytes.len() == 4 && ("2025".."2040").contains(&word) {
            f.recent_year = true;
        }
    } else if NUMBER_WORDS.contains(&word) {
        f.numbers += 1;
    }
    if SQL_WORDS.contains(&word) {
        f.identifiers += 1;
    }
    if digits > 0 && next == Some(b'%') {
        f.percents += 1;
    }
    if bytes.len() > 3 {
        let snake = bytes.iter().skip(1).take(bytes.len() - 2).any(|b| *b == b'_');
        // getElementById, not iPhone, eBay or YouTube.
        let camel = bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.get(1).is_some_and(u8::is_ascii_lowercase)
            && bytes.windows(2).any(|w| matches!(w, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
        if snake || camel {
            f.identifiers += 1;
        }
        if bytes.len() > 6
            && bytes.first().is_some_and(u8::is_ascii_uppercase)
            && (word.ends_with("Error") || word.ends_with("Exception"))
        {
            f.errors += 1;
        }
        if next == Some(b'(') && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            f.code_marks += 1;
        }
    }
    if next == Some(b'.') {
        let rest = after.as_bytes().get(1..6).unwrap_or_else(|| after.as_bytes().get(1..).unwrap_or_default());
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        if let Some(extension) = after.get(1..1 + len)
            && FILE_EXTENSIONS.contains(&extension)
        {
            f.file_names += 1;
        }
    }
}

const SQL_WORDS: [&str; 8] = ["SELECT", "FROM", "WHERE", "INSERT", "UPDATE", "DELETE", "JOIN", "NULL"];

const NUMBER_WORDS: [&str; 14] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "twenty", "thirty", "fifty",
    "hundred",
];

const FILE_EXTENSIONS: [&str; 22] = [
    "py", "rs", "js", "ts", "tsx", "jsx", "java", "cpp", "c", "h", "go", "rb", "php", "html", "css", "sql", "sh",
    "json", "yaml", "yml", "toml", "ipynb",
];

/// Structure in the marks between words.
fn scan_marks(text: &str, f: &mut Features) {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b' ');
    let (mut dollars, mut latex_marks) = (0usize, 0usize);
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'`' if at(i + 1) == b'`' && at(i + 2) == b'`' => f.fences += 1,
            b'`' if at(i + 1).is_ascii_alphabetic() => f.code_marks += 1,
            b'{' | b'}' | b';' if matches!(at(i + 1), b'\n' | b'\r') => f.code_marks += 1,
            b'=' if at(i + 1) == b'=' || at(i + 1) == b'>' => f.code_marks += 1,
            b'!' if at(i + 1) == b'=' => f.code_marks += 1,
            b'&' if at(i + 1) == b'&' => f.code_marks += 1,
            b'|' if at(i + 1) == b'|' => f.code_marks += 1,
            b'-' if at(i + 1) == b'>' => f.code_marks += 1,
            b':' if at(i + 1) == b':' => f.code_marks += 1,
            b':' if i > 0
                && at(i - 1).is_ascii_digit()
                && at(i + 1).is_ascii_digit()
                && at(i + 2).is_ascii_digit()
                && !at(i + 3).is_ascii_digit() =>
            {
                f.times += 1
            }
            b'<' if at(i + 1) == b'/' || (at(i + 1).is_ascii_lowercase() && text.get(i..).is_some_and(is_tag)) => {
                f.code_marks += 1
            }
            b'>' if at(i + 1) == b'>' && at(i + 2) == b'>' => f.code_marks += 1,
            b'[' if at(i + 1) == b']' || (at(i + 1).is_ascii_digit() && matches!(at(i + 2), b',' | b']')) => {
                f.code_marks += 1
            }
            b'#' if text.get(i..).is_some_and(|t| t.starts_with("#include") || t.starts_with("#!/")) => {
                f.code_marks += 3
            }
            b':' if i < 90 && matches!(at(i + 1), b' ' | b'\n') => f.colon = true,
            b'"' => f.quotes += 1,
            b'_' if at(i + 1) == b'_' && at(i + 2) == b'_' => f.gaps += 1,
            b')' if at(i.wrapping_sub(1)).is_ascii_alphabetic()
                && matches!(at(i.wrapping_sub(2)), b' ' | b'(' | b'\n') =>
            {
                f.options += 1
            }
            b'\n' => {
                f.lines += 1;
                let line = text.get(i + 1..).unwrap_or_default().trim_start();
                if CODE_LINES.iter().any(|start| line.starts_with(start)) {
                    f.code_marks += 2;
                }
                if line.starts_with("at ") && line.get(..line.len().min(80)).is_some_and(|l| l.contains('(')) {
                    f.errors += 1;
                }
            }
            b'\\' if at(i + 1).is_ascii_alphabetic() || matches!(at(i + 1), b'(' | b'[') => latex_marks += 1,
            b'$' => {
                dollars += 1;
                if at(i + 1).is_ascii_digit() {
                    f.prices += 1;
                }
            }
            b'^' if at(i + 1) != b' ' => f.operators += 1,
            b'+' | b'*' | b'/' | b'=' | b'<' | b'>' | b'-' => {
                let from = (0..i).rev().find(|&p| at(p) != b' ').unwrap_or(i);
                let left = at(from);
                let right = (i + 1..i + 3).map(at).find(|b| *b != b' ').unwrap_or(b' ');
                let alone = from == 0 || !at(from - 1).is_ascii_alphabetic();
                let left_is = left.is_ascii_digit() || (left.is_ascii_lowercase() && alone);
                let right_is = right.is_ascii_digit()
                    || (right == b'?' && b == b'=')
                    || (right.is_ascii_lowercase()
                        && !at(i + 2).is_ascii_alphabetic()
                        && !at(i + 3).is_ascii_alphabetic());
                let dash = matches!(b, b'-' | b'/');
                // 7-year-old and and/or are no sums; 3-2 and a - b are.
                if left_is
                    && right_is
                    && (!dash || (left.is_ascii_digit() && right.is_ascii_digit()) || at(i + 1) == b' ')
                {
                    f.operators += 1;
                }
            }
            b'h' if text.get(i..).is_some_and(|t| t.starts_with("http://") || t.starts_with("https://")) => f.urls += 1,
            b'w' if !at(i.wrapping_sub(1)).is_ascii_alphanumeric()
                && text.get(i..).is_some_and(|t| t.starts_with("www."))
                && at(i.wrapping_sub(1)) != b'/' =>
            {
                f.urls += 1
            }
            b'?' => {
                f.questions += 1;
                f.sentences += 1;
            }
            b'.' | b'!' if matches!(at(i + 1), b' ' | b'\n') => f.sentences += 1,
            // The first bytes of €, £ and ¥, ₹ and of the marks of other scripts and of mathematics.
            0xE2 | 0xC2 | 0xC3 | 0xE3 | 0xEF => {
                if let Some(c) = text.get(i..).and_then(|t| t.chars().next()) {
                    match c {
                        '€' | '£' | '₹' | '¥' => f.prices += 1,
                        '×' | '÷' | '√' | '∫' | '∑' | '≤' | '≥' | 'π' | '∞' | '²' | '³' | '≠' => {
                            f.operators += 1
                        }
                        '？' => {
                            f.questions += 1;
                            f.sentences += 1;
                        }
                        '。' | '！' => f.sentences += 1,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    f.latex += latex_marks;
    if dollars >= 2 && (latex_marks > 0 || f.operators > 0 || f.prices < dollars) {
        // Dollars in pairs around formulae are no prices.
        f.latex += dollars / 2;
        f.prices = 0;
    }
}

fn is_tag(text: &str) -> bool {
    text.bytes().skip(1).take(30).find(|b| !b.is_ascii_alphanumeric()).is_some_and(|b| matches!(b, b'>' | b' ' | b'/'))
        && text.bytes().take(120).any(|b| b == b'>')
}

const CODE_LINES: [&str; 14] = [
    "def ", "class ", "import ", "from ", "return ", "for (", "if (", "while (", "public ", "fn ", "const ", "let ",
    "SELECT ", "print(",
];
