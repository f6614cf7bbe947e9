//! The words in which times are spoken of, in five languages, as the concepts that [`super::time`] combines.

use super::words::{Language, Word};
use jiff::civil::Weekday;

/// A calendar unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
}

/// What a word means for time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concept {
    /// A number in digits or words.
    Number(i32),
    /// `7th`.
    Ordinal(i32),
    /// `1990s`.
    Decade(i32),
    /// `a`, `an`: one, before a unit.
    A,
    Article,
    Of,
    And,
    /// A number that is not exact, with its bounds.
    Vague(i32, i32),
    Unit(Unit),
    Weekday(Weekday),
    /// A month; `weak` when the word means other things too (may, march, mar).
    Month {
        month: i8,
        weak: bool,
    },
    /// A season by its first month.
    Season {
        month: i8,
        weak: bool,
    },
    Weekend,
    Last,
    Past,
    This,
    Next,
    Ago,
    /// `hace`, `vor`, `il y a`: ago, in front of its number.
    AgoBefore,
    Now,
    /// Today and its neighbours, in days from today.
    Day(i32),
    Tonight,
    /// A part of a day in hours.
    Part(i8, i8),
    Night,
    In,
    Since,
    Until,
    Before,
    After,
    Between,
    From,
    To,
    Early,
    Middle,
    Late,
    Other,
    /// A word that only leads to the one after it: `New` and `Year's` of `New Year's Eve`.
    Lead,
    /// `07.05.2023`, one word.
    Dotted,
    /// A feast by month, day and how many days it lasts; see [`holiday`].
    Feast(i8, i8, i8),
}

use Concept::{
    A, After, Ago, AgoBefore, And, Article, Before, Between, Day, Early, From, In, Last, Late, Middle, Month, Next,
    Night, Now, Number, Of, Ordinal, Other, Part, Past, Season, Since, This, To, Tonight, Until, Vague, Weekend,
};
use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};

/// The concept of each word, `None` for those that say nothing of time.
pub(super) fn concepts(words: &[Word<'_>], language: Language) -> Vec<Option<Concept>> {
    let mut out: Vec<Option<Concept>> = words.iter().map(|w| concept(w, language)).collect();
    for i in 0..words.len() {
        let at = |k: usize| words.get(i + k).map_or("", |w| w.lower.as_ref());
        let found: Option<(Concept, usize)> = match (at(0), at(1), at(2)) {
            ("il", "y", "a") => Some((AgoBefore, 3)),
            ("day", "before", "yesterday") => Some((Day(-2), 3)),
            ("day", "after", "tomorrow") => Some((Day(2), 3)),
            ("avant", "hier", _) => Some((Day(-2), 2)),
            ("après", "demain", _) => Some((Day(2), 2)),
            ("segunda" | "terça" | "quarta" | "quinta" | "sexta", "feira", _) => {
                let day = match at(0) {
                    "segunda" => Monday,
                    "terça" => Tuesday,
                    "quarta" => Wednesday,
                    "quinta" => Thursday,
                    _ => Friday,
                };
                Some((Concept::Weekday(day), 2))
            }
            ("christmas", "eve", _) => Some((Concept::Feast(12, 24, 1), 2)),
            ("christmas" | "boxing" | "new", "day" | "year" | "year's" | "years", tail) => {
                let new_year = at(0) == "new";
                match (new_year, at(1), tail) {
                    (true, "year's" | "years" | "year", "eve") => Some((Concept::Feast(12, 31, 1), 3)),
                    (true, "year's", "day") => Some((Concept::Feast(1, 1, 1), 3)),
                    (true, "year's", _) => Some((Concept::Feast(1, 1, 1), 2)),
                    (false, "day", _) if at(0) == "christmas" => Some((Concept::Feast(12, 25, 1), 2)),
                    (false, "day", _) => Some((Concept::Feast(12, 26, 1), 2)),
                    _ => None,
                }
            }
            ("valentine's" | "valentines", "day", _) => Some((Concept::Feast(2, 14, 1), 2)),
            _ => None,
        };
        if let Some((concept, len)) = found {
            for slot in out.iter_mut().skip(i).take(len) {
                *slot = Some(Concept::Lead);
            }
            // The concept goes last, so that what follows it is next to it.
            if let Some(slot) = out.get_mut(i + len - 1) {
                *slot = Some(concept);
            }
        }
    }
    out
}

fn concept(word: &Word<'_>, language: Language) -> Option<Concept> {
    let lower = word.lower.as_ref();
    if lower.starts_with(|c: char| c.is_ascii_digit()) {
        return numeric(lower);
    }
    if word.cjk {
        return chinese_or_japanese(lower);
    }
    let own = match language {
        Language::English => None,
        Language::Spanish => spanish(lower),
        Language::German => german(lower),
        Language::French => french(lower),
        Language::Portuguese => portuguese(lower),
    };
    own.or_else(|| english(lower, word)).or_else(|| unmistakable(lower))
}

fn numeric(lower: &str) -> Option<Concept> {
    let digits = lower.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = lower.split_at(digits);
    let number: i32 = if digits <= 4 { number.parse().ok()? } else { return None };
    match suffix {
        "" => Some(Number(number)),
        _ if suffix.matches('.').count() == 2 => Some(Concept::Dotted),
        "st" | "nd" | "rd" | "th" if number <= 31 => Some(Ordinal(number)),
        "s" | "'s" if number % 10 == 0 => match (digits, number) {
            (4, 1900..=2090) => Some(Concept::Decade(number)),
            (2, 30..=90) => Some(Concept::Decade(1900 + number)),
            (2, 0..=20) => Some(Concept::Decade(2000 + number)),
            _ => None,
        },
        _ => None,
    }
}

fn english(lower: &str, word: &Word<'_>) -> Option<Concept> {
    Some(match lower {
        "a" | "an" => A,
        "the" => Article,
        "of" => Of,
        "and" => And,
        "one" => Number(1),
        "two" => Number(2),
        "three" => Number(3),
        "four" => Number(4),
        "five" => Number(5),
        "six" => Number(6),
        "seven" => Number(7),
        "eight" => Number(8),
        "nine" => Number(9),
        "ten" => Number(10),
        "eleven" => Number(11),
        "twelve" => Number(12),
        "fourteen" => Number(14),
        "fifteen" => Number(15),
        "twenty" => Number(20),
        "thirty" => Number(30),
        "couple" => Vague(2, 3),
        "few" => Vague(2, 5),
        "several" => Vague(3, 7),
        "minute" | "minutes" | "mins" => Concept::Unit(Unit::Minute),
        "hour" | "hours" | "hrs" => Concept::Unit(Unit::Hour),
        "day" | "days" => Concept::Unit(Unit::Day),
        "week" | "weeks" | "week's" => Concept::Unit(Unit::Week),
        "month" | "months" | "month's" => Concept::Unit(Unit::Month),
        "quarter" | "quarters" => Concept::Unit(Unit::Quarter),
        "year" | "years" | "year's" => Concept::Unit(Unit::Year),
        "decade" | "decades" => Concept::Unit(Unit::Decade),
        "weekend" | "weekends" | "weekend's" => Weekend,
        "last" | "previous" => Last,
        "past" => Past,
        "this" => This,
        "next" | "coming" | "upcoming" => Next,
        "ago" => Ago,
        "now" => Now,
        "today" | "today's" => Day(0),
        "yesterday" | "yesterday's" => Day(-1),
        "tomorrow" | "tomorrow's" => Day(1),
        "tonight" | "tonight's" => Tonight,
        "morning" => Part(5, 12),
        "afternoon" => Part(12, 18),
        "evening" => Part(17, 24),
        "night" => Night,
        "in" | "on" | "at" | "during" | "over" | "around" | "circa" | "throughout" => In,
        "since" => Since,
        "until" | "till" | "by" => Until,
        "before" => Before,
        "after" => After,
        "between" => Between,
        "from" => From,
        "to" | "through" => To,
        "early" | "beginning" | "start" => Early,
        "mid" | "middle" => Middle,
        "late" | "end" => Late,
        "other" => Other,
        "monday" | "monday's" => Concept::Weekday(Monday),
        "tuesday" | "tuesday's" => Concept::Weekday(Tuesday),
        "wednesday" | "wednesday's" => Concept::Weekday(Wednesday),
        "thursday" | "thursday's" => Concept::Weekday(Thursday),
        "friday" | "friday's" => Concept::Weekday(Friday),
        "saturday" | "saturday's" => Concept::Weekday(Saturday),
        "sunday" | "sunday's" => Concept::Weekday(Sunday),
        "tue" | "tues" => Concept::Weekday(Tuesday),
        "thu" | "thurs" => Concept::Weekday(Thursday),
        "fri" => Concept::Weekday(Friday),
        "january" => strong(1),
        "february" => strong(2),
        "march" => Month { month: 3, weak: !mid_sentence_capital(word) },
        "april" => strong(4),
        "may" => Month { month: 5, weak: !mid_sentence_capital(word) },
        "june" => strong(6),
        "july" => strong(7),
        "august" => Month { month: 8, weak: !word.capital },
        "september" => strong(9),
        "october" => strong(10),
        "november" => strong(11),
        "december" => strong(12),
        "jan" => weak(1),
        "feb" => weak(2),
        "mar" => weak(3),
        "apr" => weak(4),
        "jun" => weak(6),
        "jul" => weak(7),
        "aug" => weak(8),
        "sep" | "sept" => weak(9),
        "oct" => weak(10),
        "nov" => weak(11),
        "dec" => weak(12),
        "spring" => Season { month: 3, weak: true },
        "summer" => Season { month: 6, weak: false },
        "autumn" => Season { month: 9, weak: false },
        "fall" => Season { month: 9, weak: true },
        "winter" => Season { month: 12, weak: false },
        "christmas" | "xmas" => Concept::Feast(12, 24, 4),
        "halloween" => Concept::Feast(10, 31, 1),
        "thanksgiving" => Concept::Feast(11, 0, 1),
        _ => return None,
    })
}

fn strong(month: i8) -> Concept {
    Month { month, weak: false }
}

fn weak(month: i8) -> Concept {
    Month { month, weak: true }
}

fn mid_sentence_capital(word: &Word<'_>) -> bool {
    word.capital && !word.first && word.text.chars().nth(1).is_some_and(char::is_lowercase)
}

/// Words of other languages that are no English words, known without looking at the rest.
fn unmistakable(lower: &str) -> Option<Concept> {
    Some(match lower {
        "ayer" | "gestern" | "ontem" => Day(-1),
        "hoy" | "heute" | "aujourd'hui" | "hoje" => Day(0),
        "mañana" | "demain" | "amanhã" => Day(1),
        "anteayer" | "vorgestern" | "anteontem" => Day(-2),
        "übermorgen" => Day(2),
        _ => return None,
    })
}

fn spanish(lower: &str) -> Option<Concept> {
    Some(match lower {
        "el" | "la" | "los" | "las" => Article,
        "un" | "una" | "uno" => Number(1),
        "dos" => Number(2),
        "tres" => Number(3),
        "cuatro" => Number(4),
        "cinco" => Number(5),
        "unos" | "unas" => Vague(2, 5),
        "de" | "del" => Of,
        "y" => And,
        "en" => In,
        "hace" => AgoBefore,
        "desde" => Since,
        "hasta" => Until,
        "antes" => Before,
        "después" => After,
        "entre" => Between,
        "pasado" | "pasada" | "pasados" | "pasadas" | "últimos" | "últimas" | "último" | "última" => Last,
        "este" | "esta" => This,
        "próximo" | "próxima" => Next,
        "minuto" | "minutos" => Concept::Unit(Unit::Minute),
        "hora" | "horas" => Concept::Unit(Unit::Hour),
        "día" | "días" => Concept::Unit(Unit::Day),
        "semana" | "semanas" => Concept::Unit(Unit::Week),
        "mes" | "meses" => Concept::Unit(Unit::Month),
        "año" | "años" => Concept::Unit(Unit::Year),
        "lunes" => Concept::Weekday(Monday),
        "martes" => Concept::Weekday(Tuesday),
        "miércoles" => Concept::Weekday(Wednesday),
        "jueves" => Concept::Weekday(Thursday),
        "viernes" => Concept::Weekday(Friday),
        "sábado" => Concept::Weekday(Saturday),
        "domingo" => Concept::Weekday(Sunday),
        "enero" => strong(1),
        "febrero" => strong(2),
        "marzo" => strong(3),
        "abril" => strong(4),
        "mayo" => weak(5),
        "junio" => strong(6),
        "julio" => strong(7),
        "agosto" => strong(8),
        "septiembre" | "setiembre" => strong(9),
        "octubre" => strong(10),
        "noviembre" => strong(11),
        "diciembre" => strong(12),
        "primavera" => Season { month: 3, weak: false },
        "verano" => Season { month: 6, weak: false },
        "otoño" => Season { month: 9, weak: false },
        "invierno" => Season { month: 12, weak: false },
        _ => return None,
    })
}

fn german(lower: &str) -> Option<Concept> {
    Some(match lower {
        "der" | "die" | "das" | "den" | "dem" | "des" => Article,
        "ein" | "eine" | "einer" | "einem" | "einen" => Number(1),
        "zwei" => Number(2),
        "drei" => Number(3),
        "vier" => Number(4),
        "fünf" => Number(5),
        "paar" | "einigen" => Vague(2, 5),
        "von" => Of,
        "und" => And,
        "im" | "am" | "in" => In,
        "vor" => AgoBefore,
        "seit" => Since,
        "bis" => Until,
        "nach" => After,
        "zwischen" => Between,
        "letzte" | "letzten" | "letzter" | "letztes" | "letztem" | "vergangene" | "vergangenen" | "vorige"
        | "vorigen" => Last,
        "diese" | "diesen" | "dieser" | "dieses" | "diesem" => This,
        "nächste" | "nächsten" | "nächster" | "nächstes" | "kommende" | "kommenden" => Next,
        "morgen" => Day(1),
        "minute" | "minuten" => Concept::Unit(Unit::Minute),
        "stunde" | "stunden" => Concept::Unit(Unit::Hour),
        "tag" | "tage" | "tagen" => Concept::Unit(Unit::Day),
        "woche" | "wochen" => Concept::Unit(Unit::Week),
        "monat" | "monate" | "monaten" => Concept::Unit(Unit::Month),
        "jahr" | "jahre" | "jahren" => Concept::Unit(Unit::Year),
        "wochenende" => Weekend,
        "montag" => Concept::Weekday(Monday),
        "dienstag" => Concept::Weekday(Tuesday),
        "mittwoch" => Concept::Weekday(Wednesday),
        "donnerstag" => Concept::Weekday(Thursday),
        "freitag" => Concept::Weekday(Friday),
        "samstag" | "sonnabend" => Concept::Weekday(Saturday),
        "sonntag" => Concept::Weekday(Sunday),
        "januar" | "jänner" => strong(1),
        "februar" => strong(2),
        "märz" => strong(3),
        "mai" => strong(5),
        "juni" => strong(6),
        "juli" => strong(7),
        "oktober" => strong(10),
        "dezember" => strong(12),
        "frühling" | "frühjahr" => Season { month: 3, weak: false },
        "sommer" => Season { month: 6, weak: false },
        "herbst" => Season { month: 9, weak: false },
        "weihnachten" => Concept::Feast(12, 24, 4),
        _ => return None,
    })
}

fn french(lower: &str) -> Option<Concept> {
    Some(match lower {
        "le" | "la" | "les" | "l" => Article,
        "un" | "une" => Number(1),
        "deux" => Number(2),
        "trois" => Number(3),
        "quatre" => Number(4),
        "cinq" => Number(5),
        "quelques" => Vague(2, 5),
        "de" | "du" => Of,
        "et" => And,
        "en" | "au" => In,
        "depuis" => Since,
        "jusqu'en" | "jusqu'à" | "jusqu'au" => Until,
        "avant" => Before,
        "après" => After,
        "entre" => Between,
        "dernier" | "dernière" | "derniers" | "dernières" | "passé" | "passée" => Last,
        "ce" | "cet" | "cette" => This,
        "prochain" | "prochaine" => Next,
        "hier" => Day(-1),
        "minutes" => Concept::Unit(Unit::Minute),
        "heure" | "heures" => Concept::Unit(Unit::Hour),
        "jour" | "jours" => Concept::Unit(Unit::Day),
        "semaine" | "semaines" => Concept::Unit(Unit::Week),
        "mois" => Concept::Unit(Unit::Month),
        "an" | "ans" | "année" | "années" | "l'année" | "l'an" => Concept::Unit(Unit::Year),
        "lundi" => Concept::Weekday(Monday),
        "mardi" => Concept::Weekday(Tuesday),
        "mercredi" => Concept::Weekday(Wednesday),
        "jeudi" => Concept::Weekday(Thursday),
        "vendredi" => Concept::Weekday(Friday),
        "samedi" => Concept::Weekday(Saturday),
        "dimanche" => Concept::Weekday(Sunday),
        "janvier" => strong(1),
        "février" => strong(2),
        "mars" => strong(3),
        "avril" => strong(4),
        "mai" => strong(5),
        "juin" => strong(6),
        "juillet" => strong(7),
        "août" => strong(8),
        "septembre" => strong(9),
        "octobre" => strong(10),
        "novembre" => strong(11),
        "décembre" => strong(12),
        "printemps" => Season { month: 3, weak: false },
        "été" | "l'été" => Season { month: 6, weak: true },
        "automne" | "l'automne" => Season { month: 9, weak: false },
        "hiver" | "l'hiver" => Season { month: 12, weak: false },
        "noël" => Concept::Feast(12, 24, 4),
        _ => return None,
    })
}

fn portuguese(lower: &str) -> Option<Concept> {
    Some(match lower {
        "o" | "a" | "os" | "as" => Article,
        "um" | "uma" => Number(1),
        "dois" | "duas" => Number(2),
        "três" => Number(3),
        "quatro" => Number(4),
        "cinco" => Number(5),
        "uns" | "umas" | "alguns" | "algumas" => Vague(2, 5),
        "de" | "do" | "da" => Of,
        "e" => And,
        "em" | "no" | "na" => In,
        "há" => AgoBefore,
        "atrás" => Ago,
        "desde" => Since,
        "até" => Until,
        "antes" => Before,
        "depois" => After,
        "entre" => Between,
        "passado" | "passada" | "último" | "última" | "últimos" | "últimas" => Last,
        "este" | "esta" | "deste" | "desta" | "neste" | "nesta" | "esse" | "essa" => This,
        "próximo" | "próxima" => Next,
        "minutos" => Concept::Unit(Unit::Minute),
        "hora" | "horas" => Concept::Unit(Unit::Hour),
        "dia" | "dias" => Concept::Unit(Unit::Day),
        "semana" | "semanas" => Concept::Unit(Unit::Week),
        "mês" | "meses" => Concept::Unit(Unit::Month),
        "ano" | "anos" => Concept::Unit(Unit::Year),
        "sábado" => Concept::Weekday(Saturday),
        "domingo" => Concept::Weekday(Sunday),
        "janeiro" => strong(1),
        "fevereiro" => strong(2),
        "março" => strong(3),
        "abril" => strong(4),
        "maio" => strong(5),
        "junho" => strong(6),
        "julho" => strong(7),
        "agosto" => strong(8),
        "setembro" => strong(9),
        "outubro" => strong(10),
        "novembro" => strong(11),
        "dezembro" => strong(12),
        "primavera" => Season { month: 3, weak: false },
        "verão" => Season { month: 6, weak: false },
        "outono" => Season { month: 9, weak: false },
        "inverno" => Season { month: 12, weak: false },
        "natal" => Concept::Feast(12, 24, 4),
        _ => return None,
    })
}

/// The commonest day words of Chinese and Japanese, found inside a run.
fn chinese_or_japanese(run: &str) -> Option<Concept> {
    const DAYS: &[(&str, i32)] = &[
        ("前天", -2),
        ("一昨日", -2),
        ("昨天", -1),
        ("昨日", -1),
        ("今天", 0),
        ("今日", 0),
        ("明天", 1),
        ("明日", 1),
        ("後天", 2),
    ];
    DAYS.iter().find(|(word, _)| run.contains(word)).map(|(_, offset)| Day(*offset))
}
