//! Cutting a text into words, and what is known of a word before any meaning: sentence starts, capitals, language, stop words.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_segmentation::UnicodeSegmentation;

/// A set of words, written with spaces between them.
macro_rules! word_set {
    ($name:ident, $text:expr) => {
        static $name: std::sync::LazyLock<std::collections::HashSet<&'static str>> =
            std::sync::LazyLock::new(|| $text.split_ascii_whitespace().collect());
    };
}

/// A list of phrases, written with bars between them.
macro_rules! phrases {
    ($name:ident, $text:expr) => {
        static $name: std::sync::LazyLock<Vec<&'static str>> = std::sync::LazyLock::new(|| $text.split('|').collect());
    };
}

pub(super) use {phrases, word_set};

/// How much of a long text is read: its beginning and its end, where questions stand.
const HEAD_BYTES: usize = 8 * 1024;
const TAIL_BYTES: usize = 4 * 1024;

/// A word of a text. A run of Chinese or Japanese characters is one word (see [`Word::cjk`]).
#[derive(Clone, Debug)]
pub(super) struct Word<'a> {
    /// As written.
    pub(super) text: &'a str,
    /// Lower case, with a plain apostrophe.
    pub(super) lower: Cow<'a, str>,
    /// Byte offsets in the text.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether a sentence begins with it.
    pub(super) first: bool,
    /// Whether its first letter is a capital.
    pub(super) capital: bool,
    /// Whether it is a run of Han, Hiragana, Katakana or Thai, which do not put spaces between words.
    pub(super) cjk: bool,
}

/// The part of `text` that is analysed, in composed form.
pub(super) fn clip(text: &str) -> Cow<'_, str> {
    let text = if text.len() <= HEAD_BYTES + TAIL_BYTES {
        Cow::Borrowed(text)
    } else {
        // Std's `floor_char_boundary` is younger than the oldest compiler supported.
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (head, tail) = (&text[..boundary(HEAD_BYTES)], &text[boundary(text.len() - TAIL_BYTES)..]);
        Cow::Owned(format!("{head}\n{tail}"))
    };
    if text.is_ascii() || is_nfc(&text) { text } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether a character belongs to a script that is written without spaces.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3134f}' | '\u{0e00}'..='\u{0e7f}')
}

/// The words of `text` in order.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut out: Vec<Word<'_>> = Vec::with_capacity(text.len() / 5 + 1);
    let mut sentence_start = true;
    let mut last_end = 0;
    for (start, piece) in text.unicode_word_indices() {
        let gap = text.get(last_end..start).unwrap_or("");
        if gap.chars().any(|c| matches!(c, '.' | '!' | '?' | '\n' | '。' | '！' | '？' | ';' | ':' | '…' | '؟')) {
            // `3:30` and `e.g` have no space after the mark; a sentence has, or ends a line.
            sentence_start |= gap.chars().any(char::is_whitespace) || !gap.is_ascii();
        }
        let end = start + piece.len();
        last_end = end;
        let initial = piece.chars().next().unwrap_or(' ');
        let cjk = is_cjk(initial);
        if let Some(last) = out.last_mut()
            && cjk
            && last.cjk
            && last.end == start
        {
            last.end = end;
            last.text = &text[last.start..end];
            last.lower = Cow::Borrowed(last.text);
            continue;
        }
        out.push(Word {
            text: piece,
            lower: lower(piece),
            start,
            end,
            first: std::mem::take(&mut sentence_start),
            capital: initial.is_uppercase(),
            cjk,
        });
    }
    out
}

fn lower(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'\'') {
        Cow::Borrowed(word)
    } else if word.is_ascii() {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Owned(word.to_lowercase().replace('\u{2019}', "'"))
    }
}

/// A language whose function words are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Language {
    #[default]
    English,
    Spanish,
    German,
    French,
    Portuguese,
}

impl Language {
    const ALL: [Language; 5] =
        [Language::English, Language::Spanish, Language::German, Language::French, Language::Portuguese];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The language that most function words of the text belong to; English where nothing speaks against it.
pub(super) fn language(words: &[Word<'_>]) -> Language {
    let mut hits = [0u32; 5];
    for word in words {
        let bits = STOP.get(word.lower.as_ref()).copied().unwrap_or(0);
        for (hit, language) in hits.iter_mut().zip(Language::ALL) {
            // A word of one language alone says more than one that several share.
            if bits & language.bit() != 0 {
                *hit += if bits.count_ones() == 1 { 2 } else { 1 };
            }
        }
    }
    let mut best = (hits[0], Language::English);
    for (hit, language) in hits.iter().zip(Language::ALL).skip(1) {
        if *hit > best.0 {
            best = (*hit, language);
        }
    }
    best.1
}

/// Whether `lower` says nothing about the subject in `language`. English function words count in every language, since
/// people mix it in.
pub(super) fn is_stop(lower: &str, language: Language) -> bool {
    let own = language.bit() | if language == Language::English { 0 } else { Language::English.bit() };
    STOP.get(lower).is_some_and(|bits| bits & own != 0)
        // `what's`, `who'd`, `l'`: an elided or shortened function word.
        || lower.split_once('\'').is_some_and(|(head, tail)| {
            STOP.get(head).is_some_and(|bits| bits & own != 0)
                && (tail.len() <= 2 || STOP.get(tail).is_some_and(|bits| bits & own != 0))
        })
}

static STOP: LazyLock<HashMap<&'static str, u8>> = LazyLock::new(|| {
    let mut map = HashMap::new();
    for (language, list) in [
        (Language::English, ENGLISH),
        (Language::Spanish, SPANISH),
        (Language::German, GERMAN),
        (Language::French, FRENCH),
        (Language::Portuguese, PORTUGUESE),
    ] {
        for word in list.split_ascii_whitespace() {
            *map.entry(word).or_insert(0) |= language.bit();
        }
    }
    map
});

const ENGLISH: &str = "a about after again all also am an and any are aren't as at be been before being but by can can't \
cannot could couldn't did didn't do does doesn't doing don't each either else ever every for from get gets getting give \
given go goes going got had has hasn't have haven't having he he'd he'll he's her here hers herself him himself his how \
i i'd i'll i'm i've if in into is isn't it it'd it'll it's its itself just know let let's like lot make many may maybe me \
might more most much must my myself need no nor not of off oh ok okay on one only onto or other our ours out over own \
please quite rather really said same say says shall she she'd she'll she's should so some someone something than that \
that's the their theirs them themselves then there there's these they they'd they'll they're they've thing things this \
those through to too under until up upon us very want wants was wasn't we we'd we'll we're we've well were weren't what \
what's whatever when where which while who who's whom whose why will with within without won't would wouldn't yes yet \
you you'd you'll you're you've your yours yourself tell remember recall remind mention mentioned told ask asked";

const SPANISH: &str = "el la los las un una unos unas y e o u de del al a en con por para que qué quien quién quiénes como cómo \
cuando cuándo cuanto cuánto cuántos donde dónde cual cuál cuáles porque es son era fue ser estar está están estoy he ha han hay \
había lo le les me te se nos mi mis tu tus su sus nuestro nuestra yo tú él ella ellos ellas usted ustedes nosotros esto eso esta \
ese esa este estos estas no sí si muy más menos pero también ya sobre entre hasta desde sin dijo dije dijiste puede puedes";

const GERMAN: &str = "der die das den dem des ein eine einen einem einer eines und oder aber ich du er sie es wir ihr mich dich ihn \
uns euch mir dir ihm ihnen mein meine meinen meiner dein deine sein seine unser ist sind war waren bin bist sei sein haben habe \
hast hat hatte hatten werden wird wurde wurden kann kannst können muss soll will wollen nicht kein keine auch noch nur schon \
sehr zu zum zur von vom mit für auf an am im in bei aus nach über unter vor um als wie wer was wann wo wohin warum wieso weshalb \
welche welcher welches wen wem ob dass weil wenn dann da doch mal bitte etwas gesagt sagte";

const FRENCH: &str = "le la les l un une des du de d et ou où mais je j tu il elle on nous vous ils elles me m te t se s lui leur \
moi toi mon ma mes ton ta tes son sa ses notre nos votre vos ce c cet cette ces est es suis sont sommes êtes était étaient être \
ai as a avons avez ont avait avoir qui que qu quoi quand comment pourquoi combien quel quelle quels quelles dans en sur sous par \
pour avec sans chez vers à au aux ne n pas plus très aussi si y dit dis fait peux peut";

const PORTUGUESE: &str = "o a os as um uma uns umas e ou de do da dos das em no na nos nas por pelo pela para com sem que quê quem \
como quando quanto quantos onde qual quais porque é são era foi ser estar está estão estou eu tu ele ela eles elas você vocês nós \
me te se lhe meu minha meus minhas teu tua seu sua nosso nossa isto isso esse essa este esta não sim muito mais menos mas também já \
sobre entre até desde ao à às disse tem tenho ter há pode";

/// Characters between which a run of Chinese or Japanese can be cut into words: particles and question words.
pub(super) fn cjk_pieces(run: &str) -> impl Iterator<Item = &str> {
    run.split(|c: char| {
        matches!(
            c,
            'の' | 'は'
                | 'が'
                | 'を'
                | 'に'
                | 'で'
                | 'と'
                | 'も'
                | 'へ'
                | 'か'
                | 'ね'
                | 'よ'
                | '的'
                | '了'
                | '吗'
                | '嗎'
                | '呢'
                | '吧'
                | '是'
                | '在'
                | '我'
                | '你'
                | '他'
                | '她'
                | '它'
                | '们'
                | '們'
                | '和'
                | '也'
                | '就'
                | '都'
                | '把'
                | '被'
        )
    })
    .filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_starts_and_runs() {
        let words = words("Go on. She said good! 東京タワーはどこ? v1.2 at 3:30");
        let firsts: Vec<_> = words.iter().filter(|w| w.first).map(|w| w.text).collect();
        assert_eq!(firsts, ["Go", "She", "東京タワーはどこ", "v1.2"]);
    }

    #[test]
    fn the_language_is_that_of_the_function_words() {
        for (text, expected) in [
            ("what did I say about the trip", Language::English),
            ("¿qué dije sobre el viaje?", Language::Spanish),
            ("was habe ich über die Reise gesagt", Language::German),
            ("qu'est-ce que je dis sur le voyage", Language::French),
            ("o que eu disse sobre a viagem para você", Language::Portuguese),
            ("", Language::English),
        ] {
            assert_eq!(language(&words(text)), expected, "{text}");
        }
    }

    #[test]
    fn long_texts_keep_both_ends() {
        let text = format!("start {} ende", "ä".repeat(20_000));
        let clipped = clip(&text);
        assert!(clipped.len() < 13_000 && clipped.starts_with("start") && clipped.ends_with("ende"));
    }
}
