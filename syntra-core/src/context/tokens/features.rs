//! What a text consists of, as a tokenizer sees it: the features of which the estimate is a weighted sum.

/// How many features there are.
pub(super) const FEATURES: usize = 23;

/// Names of the features, in order.
#[cfg(test)]
pub(super) const NAMES: [&str; FEATURES] = [
    "words",
    "letters beyond the fourth of a word",
    "capitals in a run",
    "words in a text with western accents",
    "letters in a text with western accents",
    "groups of three digits",
    "runs of punctuation",
    "punctuation beyond the first of a run",
    "line breaks",
    "runs of two spaces or more",
    "cyrillic letters",
    "arabic letters",
    "devanagari letters",
    "letters of thailand and its neighbours",
    "han characters",
    "kana",
    "hangul syllables",
    "bytes of emoji and everything else",
    "words in a text with other accents",
    "letters in a text with other accents",
    "greek letters",
    "hebrew letters",
    "letters of india other than devanagari",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Accented,
    OtherAccented,
    Digit,
    Space,
    Newline,
    Punctuation,
    Script(usize),
    Other,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' => Class::Lower,
        'A'..='Z' => Class::Upper,
        '0'..='9' => Class::Digit,
        ' ' | '\t' => Class::Space,
        '\n' | '\r' => Class::Newline,
        '\u{21}'..='\u{7e}' => Class::Punctuation,
        'À'..='ÿ' | 'ª' | 'º' | 'µ' => Class::Accented,
        'Ā'..='ɏ' | 'Ḁ'..='ỿ' => Class::OtherAccented,
        '\u{0370}'..='\u{03ff}' => Class::Script(20),
        '\u{0400}'..='\u{052f}' => Class::Script(10),
        '\u{0590}'..='\u{05ff}' => Class::Script(21),
        '\u{0600}'..='\u{08ff}' => Class::Script(11),
        '\u{0900}'..='\u{097f}' => Class::Script(12),
        '\u{0980}'..='\u{0dff}' => Class::Script(22),
        '\u{0e00}'..='\u{109f}' => Class::Script(13),
        '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}' => Class::Script(14),
        '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ffef}' => Class::Script(15),
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => Class::Script(16),
        '\u{2010}'..='\u{2027}' | '¡' | '¿' | '«' | '»' | '·' | '°' | '§' => Class::Punctuation,
        _ => Class::Other,
    }
}

/// The features of `text`, in one pass and without allocation.
pub(super) fn features(text: &str) -> [f32; FEATURES] {
    let mut out = [0f32; FEATURES];
    let (mut words, mut letters, mut beyond, mut western, mut other) = (0f32, 0f32, 0f32, 0f32, 0f32);
    let mut previous = Class::Newline;
    let mut run = 0u32;
    for c in text.chars() {
        let now = class(c);
        // A hump of camelCase begins a word; a capital before lower case belongs to its word.
        let goes_on = match (previous, now) {
            (
                Class::Lower | Class::Accented | Class::OtherAccented,
                Class::Lower | Class::Accented | Class::OtherAccented,
            ) => true,
            (Class::Upper, Class::Lower | Class::Accented | Class::OtherAccented) => run == 1,
            (a, b) => a == b,
        };
        run = if goes_on { run.saturating_add(1) } else { 1 };
        match now {
            Class::Lower | Class::Upper | Class::Accented | Class::OtherAccented => {
                letters += 1.0;
                if run == 1 {
                    words += 1.0;
                } else if run > 4 {
                    beyond += 1.0;
                }
                if now == Class::Upper && run > 1 {
                    out[2] += 1.0;
                }
                match now {
                    Class::Accented => western += 1.0,
                    Class::OtherAccented => other += 1.0,
                    _ => {}
                }
            }
            Class::Digit if run % 3 == 1 => out[5] += 1.0,
            Class::Digit => {}
            Class::Space if run == 2 => out[9] += 1.0,
            Class::Space => {}
            Class::Newline if run == 1 => out[8] += 1.0,
            Class::Newline => {}
            Class::Punctuation if run == 1 => out[6] += 1.0,
            Class::Punctuation => out[7] += 1.0,
            Class::Script(feature) => {
                if let Some(slot) = out.get_mut(feature) {
                    *slot += 1.0;
                }
            }
            Class::Other => out[17] += c.len_utf8() as f32,
        }
        previous = now;
    }
    // One accent in sixty letters: not English, of which tokenizers have learnt the most.
    let (word_slot, letter_slot, letters) = match () {
        () if other * 60.0 > letters => (18, 19, letters),
        () if western * 60.0 > letters => (3, 4, letters),
        () => (0, 1, beyond),
    };
    out[word_slot] = words;
    out[letter_slot] = letters;
    out
}
