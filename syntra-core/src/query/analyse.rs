//! The whole analysis of a question.

use super::entities::{self, Kind};
use super::intent::{self, Lowered};
use super::words::{cjk_pieces, clip, is_stop, language, words};
use super::{QueryAnalysis, time};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const MOST_KEYWORDS: usize = 15;
const MOST_ENTITIES: usize = 10;
const MOST_EXACT: usize = 15;

/// Understands a question: its intent, keywords, entities, the time it speaks of (`now` is the time of asking, `tz` where it is
/// asked), and whether memory can help. Pure, some microseconds for a sentence; of a text longer than 12 KiB the beginning and the
/// end are read. Never fails: what cannot be read is left out.
///
/// ```
/// use syntra_core::query::{QueryIntent, analyse};
/// let now = "2023-06-12T15:30:00Z".parse()?;
/// let a = analyse("Where did I meet Ada Lovelace last Tuesday?", now, &jiff::tz::TimeZone::UTC);
/// assert_eq!(a.intent, QueryIntent::Recall);
/// assert_eq!(a.entities, ["Ada Lovelace"]);
/// assert_eq!(a.keywords, ["meet", "ada", "lovelace", "tuesday"]);
/// let time = a.time.unwrap();
/// assert_eq!((time.phrase.as_str(), time.from.to_string().as_str()), ("last Tuesday", "2023-06-06T00:00:00Z"));
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn analyse(text: &str, now: Timestamp, tz: &TimeZone) -> QueryAnalysis {
    let text = clip(text);
    let words = words(&text);
    let language = language(&words);
    let found_time = time::find(&text, &words, language, now, tz);
    // Words of a relative time say nothing about its subject: `last` and `ago` are left out, `May` and `2023` stay.
    let fleeting = |i: usize| {
        found_time.as_ref().is_some_and(|f| {
            i.checked_sub(f.words.start).and_then(|k| f.lasting.get(k)).is_some_and(|lasting| !lasting)
        })
    };

    let mut keywords: Vec<String> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if keywords.len() >= MOST_KEYWORDS {
            break;
        }
        let mut add = |keyword: &str| {
            if keywords.len() < MOST_KEYWORDS && !keywords.iter().any(|k| k == keyword) {
                keywords.push(keyword.to_owned());
            }
        };
        if word.cjk {
            cjk_pieces(&word.lower).for_each(&mut add);
            continue;
        }
        let keyword = word.lower.strip_suffix("'s").unwrap_or(&word.lower);
        let letter = keyword.len() == 1 && !keyword.starts_with(|c: char| c.is_ascii_digit());
        // A weekday stays: people name it.
        if letter
            || is_stop(&word.lower, language)
            || is_stop(keyword, language)
            || (fleeting(i) && !keyword.ends_with("day"))
        {
            continue;
        }
        if !matches!(keyword, "today" | "yesterday") {
            add(keyword);
        }
    }

    let time_bytes =
        found_time.as_ref().and_then(|f| Some(words.get(f.words.start)?.start..words.get(f.words.end - 1)?.end));
    let (mut entities, mut exact): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for found in entities::find(&text, &words, language) {
        let Some(written) = text.get(found.range.clone()) else { continue };
        let in_time = time_bytes.as_ref().is_some_and(|t| t.start < found.range.end && found.range.start < t.end);
        if found.kind != Kind::Number
            && !in_time
            && entities.len() < MOST_ENTITIES
            && !entities.iter().any(|e| e.to_lowercase() == written.to_lowercase())
        {
            entities.push(written.to_owned());
        }
        if found.kind != Kind::Name && !in_time && exact.len() < MOST_EXACT && !exact.iter().any(|e| e == written) {
            exact.push(written.to_owned());
        }
    }

    let lowered = Lowered::new(&text, &words);
    let intent = intent::intent(&lowered);
    QueryAnalysis {
        intent,
        keywords,
        entities,
        time: found_time.map(|f| f.time),
        about_now: intent::about_now(&lowered),
        asks_when: intent::asks_when(&lowered),
        asks_for: intent::asks_for(&lowered),
        needs_memory: intent::needs_memory(&lowered),
        memory_types: intent::memory_types(&lowered, intent, language),
        exact,
    }
}

#[cfg(test)]
mod tests;
