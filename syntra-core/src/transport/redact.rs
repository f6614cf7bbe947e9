//! Keys kept out of sight.

use std::fmt;
use std::sync::Arc;

/// What stands in a text where a key was.
const MARK: &str = "[redacted]";
/// The most characters of a server's words that are kept.
const SHOWN: usize = 500;

/// A key or another thing that must not be seen: it prints as `[redacted]`, cannot be serialised, and is handed out by
/// [`Secret::expose`] alone.
///
/// ```
/// use syntra_core::transport::Secret;
/// let key = Secret::new("sk-very-private");
/// assert_eq!(format!("{key} {key:?}"), "[redacted] [redacted]");
/// assert_eq!(key.expose(), "sk-very-private");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps `value`, blanks around it (a file's last newline, say) removed.
    pub fn new(value: impl AsRef<str>) -> Self {
        Self(Arc::from(value.as_ref().trim()))
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with every occurrence of this secret replaced. Secrets of fewer than four characters are left alone: they are
    /// placeholders of local servers, and would tear words apart.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.len() < 4 { text.to_owned() } else { text.replace(&*self.0, MARK) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

/// Cuts `text` to what may be shown: keys, tokens and what follows a word for one become `[redacted]`, at most 500 characters
/// are kept. Servers do quote keys: `Incorrect API key provided: sk-abc***xyz`.
///
/// ```
/// use syntra_core::transport::redact;
/// assert_eq!(redact("Incorrect API key provided: sk-abcd****wxyz."), "Incorrect API key provided: [redacted].");
/// assert_eq!(redact("GET /models?key=AIzaSyExample0123456789&alt=sse"), "GET /models?key=[redacted]&alt=sse");
/// ```
pub fn redact(text: &str) -> String {
    // Far more than is shown, so that a key at the border is seen whole, and far less than a body that is a book.
    let text: String = text.chars().take(SHOWN * 8).collect();
    let mut out = String::with_capacity(text.len());
    // How strongly the words just before suggest that a key comes next.
    let mut expect = Expect::Nothing;
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if !is_word(first) {
            // A sentence's end takes the expectation back.
            if matches!(first, '\n' | ';' | '!' | '?' | '(') || (first == '.' && rest.starts_with(". ")) {
                expect = Expect::Nothing;
            }
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (mut word, _) = rest.split_at(len);
        // Full stops that end a sentence are not the key's.
        word = word.trim_end_matches('.');
        if word.is_empty() {
            word = rest.get(..len).unwrap_or_default();
        }
        let after = rest.get(word.len()..).unwrap_or_default();
        let assigned = matches!(after.chars().next(), Some('=' | ':'))
            || after.starts_with("\":")
            || after.starts_with("\" :")
            || after.starts_with("':");
        let lower = word.to_ascii_lowercase();
        if is_key(word) || expect.takes(word) {
            out.push_str(MARK);
            expect = Expect::Nothing;
        } else {
            out.push_str(word);
            expect = expect.next(&lower, assigned);
        }
        rest = after;
    }
    out.chars().take(SHOWN).collect()
}

#[derive(Clone, Copy)]
enum Expect {
    Nothing,
    /// Within so many words something that looks random is a key.
    Likely(u8),
    /// The very next word is a key, whatever it looks like.
    Surely,
}

impl Expect {
    fn takes(self, word: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Likely(_) => looks_random(word, 8),
            Self::Surely => word.len() >= 4 && !matches!(word, "null" | "none" | "true" | "false"),
        }
    }

    fn next(self, lower: &str, assigned: bool) -> Self {
        const NAMES: [&str; 9] =
            ["key", "apikey", "token", "secret", "password", "authorization", "credential", "bearer", "basic"];
        let named = NAMES.iter().any(|name| {
            lower == *name || lower.strip_suffix(name).is_some_and(|before| before.ends_with(['_', '-', '.']))
        });
        match self {
            _ if lower == "bearer" => Self::Surely,
            // `authorization: Bearer x`: the scheme itself is no key.
            _ if lower == "basic" => Self::Likely(2),
            _ if named && assigned => {
                if lower.ends_with("authorization") {
                    Self::Likely(3)
                } else {
                    Self::Surely
                }
            }
            _ if named => Self::Likely(6),
            Self::Likely(n) if n > 1 => Self::Likely(n - 1),
            _ => Self::Nothing,
        }
    }
}

/// Characters of which keys consist; `*` and `…` because servers mask the middle.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '…' | '+' | '/' | '~')
}

/// Whether `word` shows by itself that it is a key, or the rest of one.
fn is_key(word: &str) -> bool {
    const PREFIXES: [&str; 20] = [
        "sk-",
        "sk_",
        "pk-",
        "rk_",
        "AIza",
        "AQ.",
        "ya29.",
        "pplx-",
        "gsk_",
        "xai-",
        "hf_",
        "r8_",
        "nvapi-",
        "tgp_v1_",
        "fw_",
        "ghp_",
        "github_pat_",
        "AKIA",
        "eyJ",
        "ak-",
    ];
    let masked = word.contains("***") || word.contains("…");
    let prefixed = PREFIXES.iter().any(|p| word.strip_prefix(p).is_some_and(|rest| rest.len() >= 6));
    (masked && word.len() >= 6) || prefixed || looks_random(word, 32) && !word.contains('/') && !is_uuid(word)
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Letters and digits mixed, long enough: no word of a language, and no plain number.
fn looks_random(word: &str, min: usize) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    word.len() >= min && ((digits >= 2 && letters >= 2) || word.contains("***"))
}
