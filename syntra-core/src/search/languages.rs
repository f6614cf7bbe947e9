//! Which language a text is in, as far as stemming needs it: by its function words and its letters, without a model.

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

/// A language in Latin script: its stemmer, its function words, and letters that few others have.
struct Language {
    algorithm: Algorithm,
    words: &'static str,
    letters: &'static str,
}

/// English is the first: of two that fit equally well it is the one.
const LANGUAGES: &[Language] = &[
    Language {
        algorithm: Algorithm::English,
        words: "a about an and are as at be but by can did do does for from had has have he her his how i if in into is it its me \
                my not of on or our she so than that the their them then there these they this to up us was we were what when \
                where which who why will with would you your",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Spanish,
        words: "el la los las un una unos unas y o de del al en con por para que qué quién como cómo cuando cuándo cuánto cuántos \
                dónde donde cuál es son era fue ser está están ha he han hay lo le les me te se nos mi mis tu tus su sus yo él \
                ella ellos esto eso este esta esa no sí más muy pero también ya sobre desde sin",
        letters: "ñ¿¡",
    },
    Language {
        algorithm: Algorithm::German,
        words: "der die das den dem des ein eine einen einem einer eines und oder aber ich du er sie es wir ihr mich mir dich dir \
                uns mein meine meinen sein seine ist sind war waren bin hat habe haben hatte wird wurde werden kann nicht kein \
                keine auch noch nur sehr zu zum zur von vom mit für auf am im bei aus nach über unter vor um als wie wer was \
                wann wo warum welche welcher welches wen wem dass weil wenn",
        letters: "ß",
    },
    Language {
        algorithm: Algorithm::French,
        words: "le la les un une des du de et ou où mais je tu il elle on nous vous ils elles me te se lui leur moi mon ma mes ton \
                ta tes son sa ses notre nos votre vos ce cette ces c'est est suis sont était étaient ai as avons avez ont avait \
                qui que quoi quand comment pourquoi combien quel quelle quels quelles dans en sur sous par pour avec sans chez \
                au aux ne pas plus très aussi",
        letters: "œ",
    },
    Language {
        algorithm: Algorithm::Portuguese,
        words: "o a os as um uma uns umas e ou de do da dos das em no na nos nas por pelo pela para com sem que quem como quando \
                onde qual quais é são era foi ser está estão eu tu ele ela eles elas você vocês nós me te se meu minha meus \
                minhas seu sua isto isso este esta não sim muito mais mas também já sobre entre desde ao à",
        letters: "ãõ",
    },
    Language {
        algorithm: Algorithm::Italian,
        words: "il lo la i gli le un uno una e o di del della dei delle al alla in nel nella con per da dal dalla su sul che chi \
                come quando dove quanto quale quali perché è sono era erano ho hai ha abbiamo hanno io tu lui lei noi voi loro \
                mi ti si ci mio mia miei tuo suo sua questo questa quello quella non più molto anche ma",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Dutch,
        words: "de het een en of maar ik jij je hij zij ze wij we jullie mij me hem haar ons mijn jouw zijn is was waren ben bent \
                heeft heb hebben had werd wordt kan niet geen ook nog maar zeer te van voor met op aan in bij uit naar over \
                onder om als hoe wie wat wanneer waar waarom welke dat die dit deze er",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Swedish,
        words: "en ett den det de och eller men jag du han hon vi ni mig dig honom henne oss min mitt mina din sin är var har \
                hade blev blir kan inte ingen också att av för med på i till från om under över som hur vem vad när var varför \
                vilken vilka denna detta",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Danish,
        words: "en et den det de og eller men jeg du han hun vi mig dig ham hende os min mit mine din sin er var har havde blev \
                bliver kan ikke ingen også at af for med på i til fra om under over som hvordan hvem hvad hvornår hvor hvorfor \
                hvilken denne dette",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Norwegian,
        words: "en ei et den det de og eller men jeg du han hun vi meg deg ham henne oss min mitt mine din sin er var har hadde \
                ble blir kan ikke ingen også å av for med på i til fra om under over som hvordan hvem hva når hvor hvorfor \
                hvilken denne dette",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Finnish,
        words: "minä sinä hän me te he minun sinun hänen on oli ovat olen olet ei en ja tai mutta että kun kuin jos mitä mikä kuka \
                missä milloin miksi miten tämä se ne nämä myös vain niin",
        letters: "",
    },
    Language {
        algorithm: Algorithm::Hungarian,
        words: "a az egy és vagy de én te ő mi ti ők nem is van volt vannak hogy ha mert mit ki hol mikor miért hogyan melyik ez \
                ezt azt csak már még volt meg",
        letters: "őű",
    },
    Language {
        algorithm: Algorithm::Romanian,
        words: "un o și sau dar eu tu el ea noi voi ei ele mă te îl este sunt era au am ai a fost nu da de la în pe cu din pentru \
                prin care ce cine când unde cum cât acest această mai foarte",
        letters: "ășțşţ",
    },
    Language {
        algorithm: Algorithm::Turkish,
        words: "bir ve veya ama ben sen o biz siz onlar bu şu var yok değil mi mı mu mü için ile gibi kadar ne kim nerede ne zaman \
                neden nasıl hangi çok daha da de ki",
        letters: "ğış",
    },
];

/// At most so many words of a text are looked at, and no more once so many are English.
const READ: usize = 60;
const ENOUGH: u32 = 16;
/// No function word has more bytes.
const LONGEST: usize = 16;

/// Which languages a function word belongs to, a bit each.
static WORDS: LazyLock<FxHashMap<&'static str, u16>> = LazyLock::new(|| {
    let mut words = FxHashMap::default();
    for (at, language) in LANGUAGES.iter().enumerate() {
        for word in language.words.split_ascii_whitespace() {
            *words.entry(word).or_insert(0) |= 1 << at;
        }
    }
    words
});

/// A language other than English, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detected(usize);

impl Detected {
    /// The language, not English, that `text` is most likely in: more of its function words and letters are there than those of any
    /// other. `None` where it is English, in another script, or where nothing tells.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut hits = [0u32; LANGUAGES.len()];
        let mut letters = 0;
        let words =
            text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '\u{2019}').filter(|w| !w.is_empty());
        let mut lower = String::new();
        for word in words.take(READ) {
            if word.len() <= LONGEST {
                lower.clear();
                lower.extend(word.chars().flat_map(char::to_lowercase));
                let bits = WORDS.get(lower.as_str()).copied().unwrap_or(0);
                if bits != 0 {
                    // What one language has alone says more than what several share.
                    let weight = if bits.count_ones() == 1 { 3 } else { 2 };
                    hits.iter_mut().enumerate().for_each(|(at, hit)| *hit += u32::from(bits >> at & 1) * weight);
                }
            }
            if !word.is_ascii() {
                letters |= marks(&word.to_lowercase());
            }
            if let [english, others @ ..] = &hits
                && *english >= ENOUGH
                && others.iter().all(|hit| hit * 2 < *english)
            {
                return None;
            }
        }
        if text.contains(['¿', '¡']) {
            letters |= 1 << 1;
        }
        for (at, hit) in hits.iter_mut().enumerate() {
            *hit += u32::from(letters >> at & 1) * 3;
        }
        let best = hits.iter().copied().max().filter(|best| *best > 1)?;
        let mut those = hits.iter().enumerate().filter(|(_, hit)| **hit == best).map(|(at, _)| at);
        match (those.next(), those.next()) {
            (Some(at), None) if at > 0 => Some(Self(at)),
            _ => None,
        }
    }

    /// Whether a lower-case word is a function word of the language.
    pub(super) fn is_function_word(self, word: &str) -> bool {
        WORDS.get(word).is_some_and(|bits| bits >> self.0 & 1 == 1)
    }
}

/// The languages that have a letter of `word` to themselves.
fn marks(word: &str) -> u16 {
    let mut bits = 0;
    for (at, language) in LANGUAGES.iter().enumerate() {
        if !language.letters.is_empty() && word.contains(|c: char| !c.is_ascii() && language.letters.contains(c)) {
            bits |= 1 << at;
        }
    }
    bits
}

/// The stemmers, made once each.
pub(super) struct Stemmers(Vec<Stemmer>);

impl Default for Stemmers {
    fn default() -> Self {
        Self(LANGUAGES.iter().map(|language| Stemmer::create(language.algorithm)).collect())
    }
}

impl Stemmers {
    pub(super) fn of(&self, language: Detected) -> Option<&Stemmer> {
        self.0.get(language.0)
    }
}

/// Inflexions of Hindi, the longest first: the light stemmer of Ramanathan and Rao (2003).
const HINDI: &[&[&str]] = &[
    &["ाएंगी", "ाएंगे", "ाऊंगी", "ाऊंगा", "ाइयाँ", "ाइयों", "ाइयां"],
    &[
        "ाएगी",
        "ाएगा",
        "ाओगी",
        "ाओगे",
        "एंगी",
        "ेंगी",
        "एंगे",
        "ेंगे",
        "ूंगी",
        "ूंगा",
        "ातीं",
        "नाओं",
        "नाएं",
        "ताओं",
        "ताएं",
        "ियाँ",
        "ियों",
        "ियां",
    ],
    &[
        "ाकर",
        "ाइए",
        "ाईं",
        "ाया",
        "ेगी",
        "ेगा",
        "ोगी",
        "ोगे",
        "ाने",
        "ाना",
        "ाते",
        "ाती",
        "ाता",
        "तीं",
        "ाओं",
        "ाएं",
        "ुओं",
        "ुएं",
        "ुआं",
    ],
    &["कर", "ाओ", "िए", "ाई", "ाए", "ने", "नी", "ना", "ते", "ीं", "ती", "ता", "ाँ", "ां", "ों", "ें"],
    &["ो", "े", "ू", "ु", "ी", "ि", "ा"],
];

/// The stem of a word in Devanagari: at least two characters stay.
pub(super) fn hindi(word: &str) -> &str {
    for suffixes in HINDI {
        for suffix in *suffixes {
            if let Some(stem) = word.strip_suffix(suffix)
                && stem.chars().count() >= 2
            {
                return stem;
            }
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_their_small_words() {
        let named = |text: &str| Detected::of(text).map(|d| format!("{:?}", LANGUAGES[d.0].algorithm));
        for (text, expected) in [
            ("Ayer compré tres libros en la librería del barrio", "Spanish"),
            ("Wir haben zwei Häuser am See gesehen", "German"),
            ("Nous avons acheté des chevaux pour la ferme", "French"),
            ("Eu comprei os livros na livraria", "Portuguese"),
            ("Ho comprato i libri nella libreria di Roma", "Italian"),
            ("Wij hebben twee huizen gezien bij het meer", "Dutch"),
            ("Jag köpte två böcker och en tidning", "Swedish"),
            ("Am cumpărat cărți și flori", "Romanian"),
        ] {
            assert_eq!(named(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "I went to the market with her",
            "python list comprehension",
            "declaring empty numpy array in python",
            "De novo mutations in the genome",
            "When did Caroline go to the support group?",
            "",
            "книги о море",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn hindi_endings_fall_away() {
        assert_eq!(hindi("किताबें"), hindi("किताबों"));
        assert_eq!(hindi("लड़का"), hindi("लड़के"));
        assert_eq!(hindi("घर"), "घर");
    }
}
