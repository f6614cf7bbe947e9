//! Text to rows of a token table: BERT's basic tokenizer and greedy WordPiece, written for one pass without allocation.
//!
//! What differs from BERT on purpose: typographic quotes, dashes and ellipses are their ASCII forms; every symbol stands alone;
//! words of more than [`MAX_WORD_CHARS`] characters are cut instead of dropped; and a word that the vocabulary cannot spell is
//! handed over as it is ([`Piece::Unknown`]) instead of becoming `[UNK]`, so that a caller can hash it.

use unicode_normalization::char::decompose_canonical;

/// Longer words are cut into words of this many characters; it bounds the cost of a text without spaces.
pub(super) const MAX_WORD_CHARS: usize = 100;

/// What a text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A row of the table.
    Row(u32),
    /// A word in lower case, without accents, that the vocabulary cannot spell.
    Unknown(&'a str),
    /// A run of characters of a script written without spaces (Chinese, Japanese).
    Ideographs(&'a str),
    /// A symbol that the vocabulary does not have, an emoji for example.
    Symbol(&'a str),
}

/// The tokens of a table and where to find them: an open-addressing hash table over one block of text.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Start of each token in `text`, and the end of the last; the leading `##` of a continuation is not stored.
    starts: Vec<u32>,
    continuation: Vec<bool>,
    text: Vec<u8>,
    /// Row + 1, or 0 for a free slot; a power of two long, at most half full.
    slots: Vec<u32>,
    longest: usize,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over bytes, starting from a value that tells words from continuations.
fn start_hash(continuation: bool) -> u64 {
    if continuation { FNV_OFFSET ^ 0x5bd1_e995_27d4_eb2f } else { FNV_OFFSET }
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
}

/// FNV's low bits are weak; a final mix spreads the high ones.
fn slot_of(hash: u64, mask: usize) -> usize {
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 20 & mask
}

impl Vocabulary {
    /// Builds the table from tokens in row order, written as in a BERT vocabulary (`##ing` continues a word).
    ///
    /// An error names the first token that is empty or given twice.
    pub(super) fn new<'a>(tokens: impl ExactSizeIterator<Item = &'a str>) -> Result<Self, String> {
        let rows = tokens.len();
        let mask = (rows * 2).next_power_of_two().max(2) - 1;
        let mut this = Self {
            starts: Vec::with_capacity(rows + 1),
            continuation: Vec::with_capacity(rows),
            text: Vec::with_capacity(rows * 6),
            slots: vec![0; mask + 1],
            longest: 0,
        };
        this.starts.push(0);
        for (row, token) in tokens.enumerate() {
            let (continuation, bytes) = match token.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => (true, rest.as_bytes()),
                _ => (false, token.as_bytes()),
            };
            if bytes.is_empty() {
                return Err(format!("token {row} is empty"));
            }
            let hash = bytes.iter().fold(start_hash(continuation), |h, &b| step(h, b));
            let mut slot = slot_of(hash, mask);
            while this.slots[slot] != 0 {
                if this.is(this.slots[slot] - 1, continuation, bytes) {
                    return Err(format!("token {row} ({token:?}) is there twice"));
                }
                slot = (slot + 1) & mask;
            }
            this.text.extend_from_slice(bytes);
            this.starts.push(this.text.len() as u32);
            this.continuation.push(continuation);
            this.slots[slot] = row as u32 + 1;
            this.longest = this.longest.max(bytes.len());
        }
        Ok(this)
    }

    fn is(&self, row: u32, continuation: bool, bytes: &[u8]) -> bool {
        let row = row as usize;
        self.continuation[row] == continuation
            && &self.text[self.starts[row] as usize..self.starts[row + 1] as usize] == bytes
    }

    fn find(&self, hash: u64, continuation: bool, bytes: &[u8]) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(hash, mask);
        while self.slots[slot] != 0 {
            let row = self.slots[slot] - 1;
            if self.is(row, continuation, bytes) {
                return Some(row);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// The longest token that `bytes` begins with: its row and its length.
    fn longest_prefix(&self, bytes: &[u8], continuation: bool) -> Option<(u32, usize)> {
        // All prefix hashes in one pass, then the table is asked from the longest down. Tokens are at most 255 bytes long by
        // the file format; those of real vocabularies are under 20.
        let mut hashes = [0u64; 256];
        let n = bytes.len().min(self.longest).min(255);
        let mut hash = start_hash(continuation);
        for (out, &byte) in hashes.iter_mut().zip(&bytes[..n]) {
            hash = step(hash, byte);
            *out = hash;
        }
        (1..=n).rev().find_map(|len| Some((self.find(hashes[len - 1], continuation, &bytes[..len])?, len)))
    }

    /// Greedy WordPiece: the rows of a word into `rows`; false when the vocabulary cannot spell it.
    fn spell(&self, word: &str, rows: &mut Vec<u32>) -> bool {
        rows.clear();
        let bytes = word.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match self.longest_prefix(&bytes[at..], at > 0) {
                Some((row, len)) => {
                    rows.push(row);
                    at += len;
                }
                None => return false,
            }
        }
        true
    }

    /// Calls `each` for every piece of `text`, in order.
    pub(super) fn pieces(&self, text: &str, mut each: impl FnMut(Piece<'_>)) {
        let mut rows = Vec::with_capacity(16);
        words(text, |kind, word| {
            if kind != Kind::Ideographs && self.spell(word, &mut rows) {
                for &row in &rows {
                    each(Piece::Row(row));
                }
                return;
            }
            each(match kind {
                Kind::Word => Piece::Unknown(word),
                Kind::Ideographs => Piece::Ideographs(word),
                Kind::Symbol => Piece::Symbol(word),
            });
        });
    }

    #[cfg(test)]
    pub(super) fn token(&self, row: u32) -> String {
        let at = row as usize;
        let body = &self.text[self.starts[at] as usize..self.starts[at + 1] as usize];
        format!("{}{}", if self.continuation[at] { "##" } else { "" }, String::from_utf8_lossy(body))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Ideographs,
    Symbol,
}

/// Collects the characters of the word being read.
struct Run<F> {
    buffer: String,
    chars: usize,
    kind: Kind,
    each: F,
}

impl<F: FnMut(Kind, &str)> Run<F> {
    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            (self.each)(self.kind, &self.buffer);
            self.buffer.clear();
            self.chars = 0;
        }
    }

    fn push(&mut self, kind: Kind, c: char) {
        if self.kind != kind || self.chars >= MAX_WORD_CHARS || kind == Kind::Symbol {
            self.flush();
            self.kind = kind;
        }
        self.buffer.push(c);
        self.chars += 1;
    }

    fn ascii(&mut self, byte: u8) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => self.push(Kind::Word, char::from(byte)),
            b'A'..=b'Z' => self.push(Kind::Word, char::from(byte.to_ascii_lowercase())),
            b' ' | b'\t' | b'\n' | b'\r' => self.flush(),
            0..=31 | 127 => {}
            _ => self.push(Kind::Symbol, char::from(byte)),
        }
    }

    fn unicode(&mut self, c: char) {
        if let Some(plain) = plain_form(c) {
            plain.bytes().for_each(|b| self.ascii(b));
        } else if c.is_whitespace() {
            self.flush();
        } else if is_ignored(c) || is_accent(c) {
        } else if is_ideograph(c) {
            self.push(Kind::Ideographs, c);
        } else {
            decompose_canonical(c, |part| {
                if part.is_ascii() {
                    self.ascii(part as u8);
                } else if !is_accent(part) {
                    for lower in part.to_lowercase().filter(|&l| !is_accent(l)) {
                        let word = lower.is_alphanumeric() || unicode_normalization::char::is_combining_mark(lower);
                        self.push(if word { Kind::Word } else { Kind::Symbol }, lower);
                    }
                }
            });
        }
    }
}

/// Cuts a text into words (lower case, no accents), runs of ideographs, and symbols.
fn words(text: &str, each: impl FnMut(Kind, &str)) {
    let mut run = Run { buffer: String::with_capacity(64), chars: 0, kind: Kind::Word, each };
    for c in text.chars() {
        if c.is_ascii() { run.ascii(c as u8) } else { run.unicode(c) }
    }
    run.flush();
}

/// Typographic characters that mean what an ASCII one does.
fn plain_form(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{02bc}' => "'",
        '\u{201c}' | '\u{201d}' => "\"",
        '\u{2010}'..='\u{2015}' => "-",
        '\u{2026}' => "...",
        _ => return None,
    })
}

/// Control and format characters, and the mark of a failed decoding: nothing to read in them.
fn is_ignored(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
}

/// Marks that BERT strips and that change no word's identity in a search: Latin and Greek accents, variation selectors, Hebrew
/// and Arabic points. The vowel signs of Indic scripts and Thai are letters in all but name, and stay.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}'
        | '\u{5c4}'..='\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}')
}

/// Scripts written without spaces whose characters carry meaning one by one: Han, Hiragana, Katakana.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '\u{ff66}'..='\u{ff9f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vocabulary() -> Vocabulary {
        let tokens = ["the", "un", "##aff", "##able", "a", "##b", "!", "'", "s", "\u{b0}", "#", "##"];
        Vocabulary::new(tokens.iter().copied()).unwrap()
    }

    fn split(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        words(text, |_, w| out.push(w.to_owned()));
        out
    }

    fn spelled(text: &str) -> Vec<String> {
        let vocabulary = vocabulary();
        let mut out = Vec::new();
        vocabulary.pieces(text, |p| {
            out.push(match p {
                Piece::Row(row) => vocabulary.token(row),
                Piece::Unknown(w) => format!("?{w}"),
                Piece::Ideographs(w) => format!("i{w}"),
                Piece::Symbol(w) => format!("s{w}"),
            });
        });
        out
    }

    #[test]
    fn words_are_lower_case_without_accents_and_split_at_punctuation() {
        assert_eq!(split("Café-Noir, ÅNGSTRÖM!"), ["cafe", "-", "noir", ",", "angstrom", "!"]);
        assert_eq!(
            split("don\u{2019}t\u{2026} \u{201c}go\u{201d}"),
            ["don", "'", "t", ".", ".", ".", "\"", "go", "\""]
        );
        assert_eq!(split("a\u{200d}b\u{0}c\u{ad}d\tе\u{301}"), ["abcd", "е"]);
        assert_eq!(split("20°C ab東京cd"), ["20", "°", "c", "ab", "東京", "cd"]);
        assert_eq!(split(" \n\u{3000}\u{200b}"), Vec::<String>::new());
    }

    #[test]
    fn the_longest_token_wins_and_unknown_words_are_handed_over() {
        assert_eq!(spelled("unaffable THE!"), ["un", "##aff", "##able", "the", "!"]);
        assert_eq!(spelled("the's ab a°"), ["the", "'", "s", "a", "##b", "a", "°"]);
        assert_eq!(spelled("unx привет 東京 🎉"), ["?unx", "?привет", "i東京", "s🎉"]);
        assert_eq!(spelled("# ##"), ["#", "#", "#"]);
    }

    #[test]
    fn long_words_are_cut() {
        let cut = split(&"x".repeat(250));
        assert_eq!(cut.iter().map(String::len).collect::<Vec<_>>(), [100, 100, 50]);
    }

    #[test]
    fn a_token_given_twice_is_named() {
        assert!(Vocabulary::new(["a", "b", "a"].into_iter()).unwrap_err().contains("twice"));
        assert!(Vocabulary::new(["a", ""].into_iter()).unwrap_err().contains("empty"));
    }

    proptest! {
        #[test]
        fn spelling_gives_the_word_back(word in "[abunflethes]{1,40}") {
            let vocabulary = vocabulary();
            let mut rows = Vec::new();
            if vocabulary.spell(&word, &mut rows) {
                let joined: String = rows.iter().map(|&r| vocabulary.token(r).trim_start_matches("##").to_owned()).collect();
                prop_assert_eq!(joined, word);
            }
        }

        #[test]
        fn any_text_is_cut_without_loss_of_bounds(text in "\\PC*") {
            let mut ok = true;
            words(&text, |_, w| ok &= !w.is_empty() && w.chars().count() <= MAX_WORD_CHARS && !w.contains(char::is_whitespace));
            prop_assert!(ok);
        }

        #[test]
        fn cutting_cut_words_changes_nothing(text in "[ -~äéßøΑλ]{0,60}") {
            let once = split(&text);
            prop_assert_eq!(split(&once.join(" ")), once);
        }
    }
}
