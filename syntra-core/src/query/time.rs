//! Times that a text speaks of, resolved against the time of speaking. Rules, no tables of the future: calendar weeks begin on Monday,
//! seasons are the northern ones, a time without a year is the latest one that has begun (or the next, when the text speaks of
//! the future), `before` and `after` are open at the far end.

use super::TimeRange;
use super::time_words::{Concept, Unit, concepts};
use super::words::{Language, Word, clip, language, words};
use jiff::civil::{Date, DateTime, Weekday, date, time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use std::ops::Range;

/// The open end of `before May`.
const LONG_AGO: Date = date(1, 1, 1);
/// The open end of `after May`.
const FAR_AHEAD: Date = date(9999, 1, 1);

/// The time that a statement speaks of, `said_at` being when it was made: `I moved last May` said in 2023 is May 2022 or 2023.
///
/// ```
/// use syntra_core::query::resolve_statement_time;
/// let said_at = "2023-05-08T13:56:00Z".parse()?;
/// let time = resolve_statement_time("I went to a support group yesterday.", said_at, &jiff::tz::TimeZone::UTC).unwrap();
/// assert_eq!(time.phrase, "yesterday");
/// assert_eq!(time.from.to_string(), "2023-05-07T00:00:00Z");
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn resolve_statement_time(text: &str, said_at: Timestamp, tz: &TimeZone) -> Option<TimeRange> {
    let text = clip(text);
    let words = words(&text);
    find(&text, &words, language(&words), said_at, tz).map(|found| found.time)
}

/// A time that was found, with the words that say it.
pub(super) struct Found {
    pub(super) time: TimeRange,
    pub(super) words: Range<usize>,
    /// For each of these words whether a text about that time would have it too (`May`, `2023`, not `last`).
    pub(super) lasting: Vec<bool>,
}

pub(super) fn find(text: &str, words: &[Word<'_>], language: Language, now: Timestamp, tz: &TimeZone) -> Option<Found> {
    let zoned = now.to_zoned(tz.clone());
    let concepts = concepts(words, language);
    if concepts.iter().all(Option::is_none) {
        return None;
    }
    let future = words.iter().any(|w| {
        matches!(
            w.lower.as_ref(),
            "will" | "gonna" | "i'll" | "we'll" | "upcoming" | "coming" | "planned" | "scheduled"
        )
    });
    let parser = Parser { text, words, concepts: &concepts, now: zoned.datetime(), future };
    let mut faint = None;
    let mut i = 0;
    while i < words.len() {
        let Some(hit) = parser.phrase(i, 0) else {
            i += 1;
            continue;
        };
        // `today` and `this week` give way to a time further off: "today I ask what I did last May".
        let near = matches!(concepts.get(hit.next - 1), Some(Some(Concept::Day(0) | Concept::Tonight | Concept::Now)));
        i = hit.next;
        if !near {
            return parser.found(hit, tz);
        }
        faint = faint.or(Some(hit));
    }
    faint.and_then(|hit| parser.found(hit, tz))
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    from: DateTime,
    to: DateTime,
    start: usize,
    next: usize,
    /// Whether the year was said or follows from today.
    dated: bool,
}

#[derive(Clone, Copy)]
struct Parser<'a> {
    text: &'a str,
    words: &'a [Word<'a>],
    concepts: &'a [Option<Concept>],
    now: DateTime,
    future: bool,
}

fn days(from: Date, n: i32) -> Option<Date> {
    from.checked_add(Span::new().try_days(n).ok()?).ok()
}

fn months(from: Date, n: i32) -> Option<Date> {
    from.checked_add(Span::new().try_months(n).ok()?).ok()
}

fn midnight(date: Date) -> DateTime {
    date.to_datetime(time(0, 0, 0, 0))
}

fn month_range(year: i16, month: i8, length: i32) -> Option<(Date, Date)> {
    let from = Date::new(year, month, 1).ok()?;
    Some((from, months(from, length)?))
}

impl<'a> Parser<'a> {
    fn at(&self, i: usize) -> Option<Concept> {
        self.concepts.get(i).copied().flatten()
    }

    fn before(&self, i: usize) -> Option<Concept> {
        i.checked_sub(1).and_then(|i| self.at(i))
    }

    fn skip(&self, mut i: usize, skipped: &[Concept]) -> usize {
        while self.at(i).is_some_and(|c| c == Concept::Lead || skipped.contains(&c)) {
            i += 1;
        }
        i
    }

    /// What stands between word `i` and the next.
    fn gap(&self, i: usize) -> &'a str {
        match (self.words.get(i), self.words.get(i + 1)) {
            (Some(a), Some(b)) => self.text.get(a.end..b.start).unwrap_or(" "),
            _ => " ",
        }
    }

    fn today(&self) -> Date {
        self.now.date()
    }

    fn whole(&self, from: Date, to: Date, start: usize, next: usize, dated: bool) -> Option<Hit> {
        (from < to).then(|| Hit { from: midnight(from), to: midnight(to), start, next, dated })
    }

    fn found(&self, mut hit: Hit, tz: &TimeZone) -> Option<Found> {
        while self.before(hit.start) == Some(Concept::Lead) {
            hit.start -= 1;
        }
        let from = hit.from.to_zoned(tz.clone()).ok()?.timestamp();
        let to = hit.to.to_zoned(tz.clone()).ok()?.timestamp();
        let (first, last) = (self.words.get(hit.start)?, self.words.get(hit.next.checked_sub(1)?)?);
        let phrase = self.text.get(first.start..last.end)?.to_owned();
        let lasting = (hit.start..hit.next)
            .map(|i| match self.at(i) {
                Some(Concept::Number(n)) => n >= 1900 || !matches!(self.at(i + 1), Some(Concept::Unit(_))),
                Some(
                    Concept::Month { .. }
                    | Concept::Season { .. }
                    | Concept::Feast(..)
                    | Concept::Decade(_)
                    | Concept::Ordinal(_),
                ) => true,
                _ => false,
            })
            .collect();
        let time = TimeRange { phrase, from, to, yearly: !hit.dated };
        (from < to).then_some(Found { time, words: hit.start..hit.next, lasting })
    }

    /// A time with what opens or joins it: since, until, before, after, between … and, from … to.
    fn phrase(&self, i: usize, depth: u8) -> Option<Hit> {
        let inner = |i: usize| self.point(self.skip(i, &[Concept::Article, Concept::In, Concept::Of]), depth, true);
        match self.at(i)? {
            Concept::Between | Concept::From => {
                let first = self.skip(i + 1, &[Concept::Article]);
                let joint = |next: usize| matches!(self.at(next), Some(Concept::And | Concept::To | Concept::Until));
                // `between 3 and 7 May`: the first has its month from the second.
                if let Some(Concept::Number(day) | Concept::Ordinal(day)) = self.at(first)
                    && joint(first + 1)
                    && let Some(hit) = inner(first + 2)
                    && let Ok(from) = Date::new(hit.from.year(), hit.from.month(), i8::try_from(day).ok()?)
                {
                    return (midnight(from) < hit.to).then_some(Hit { from: midnight(from), start: i, ..hit });
                }
                let from = inner(first)?;
                if joint(from.next)
                    && let Some(to) = inner(from.next + 1)
                {
                    // `between May and July 2023`: the year of the second holds for the first.
                    let moved = Parser { now: to.to, ..*self };
                    let from = if from.dated { from } else { moved.point(from.start, depth, true).unwrap_or(from) };
                    return (from.from < to.to).then_some(Hit { from: from.from, start: i, ..to });
                }
                (self.at(i)? == Concept::From).then_some(Hit { start: i, ..from })
            }
            Concept::Since => {
                let hit = inner(i + 1)?;
                (hit.from < self.now).then_some(Hit { to: self.now, start: i, dated: true, ..hit })
            }
            Concept::Until => inner(i + 1).map(|hit| Hit { from: midnight(LONG_AGO), start: i, dated: true, ..hit }),
            Concept::Before => {
                let hit = inner(self.skip(i + 1, &[Concept::Of]))?;
                Some(Hit { from: midnight(LONG_AGO), to: hit.from, start: i, dated: true, ..hit })
            }
            Concept::After => {
                let hit = inner(i + 1)?;
                let end = if hit.to < self.now { self.now } else { midnight(FAR_AHEAD) };
                Some(Hit { from: hit.to, to: end, start: i, dated: true, ..hit })
            }
            _ => self.point(i, depth, false),
        }
    }

    /// The longest time that begins at word `i`; `sure` when what stands before it already speaks of time.
    fn point(&self, i: usize, depth: u8, sure: bool) -> Option<Hit> {
        if depth > 3 {
            return None;
        }
        [
            self.numeric_date(i),
            self.calendar_date(i, sure),
            self.relative_to(i, depth),
            self.part_of(i, depth),
            self.ago(i),
            self.shifted(i),
            self.day(i),
            self.season(i, sure),
            self.year(i, sure),
            self.weekday(i),
            self.feast(i),
        ]
        .into_iter()
        .flatten()
        .fold(None, |best: Option<Hit>, hit| if best.is_some_and(|b| b.next >= hit.next) { best } else { Some(hit) })
    }

    /// `2023-05-07`, `2023/05`, `07.05.2023`, `5/7/2023`.
    fn numeric_date(&self, i: usize) -> Option<Hit> {
        let word = self.words.get(i)?;
        let digits = |w: &Word<'_>| -> Option<i32> {
            let text = w.text.split(['T', 't']).next()?;
            (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
        };
        if word.text.matches('.').count() == 2 {
            let mut parts = word.text.split('.').map(|p| p.parse::<i16>().ok());
            let (day, month, year) = (parts.next()??, parts.next()??, parts.next()??);
            let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
            return (year >= 1000).then(|| self.whole(date, days(date, 1)?, i, i + 1, true))?;
        }
        let separator = self.gap(i);
        if !matches!(separator, "-" | "/") {
            return None;
        }
        let (a, b) = (digits(word)?, digits(self.words.get(i + 1)?)?);
        let third = (self.gap(i + 1) == separator).then(|| self.words.get(i + 2).and_then(digits)).flatten();
        let year = |y: i32| i16::try_from(y).ok().filter(|y| (1000..=9998).contains(y));
        let small = |n: i32| i8::try_from(n).ok();
        match third {
            Some(c) if a >= 1000 => {
                let date = Date::new(year(a)?, small(b)?, small(c)?).ok()?;
                self.whole(date, days(date, 1)?, i, i + 3, true)
            }
            Some(c) => {
                // Month first, as Americans write it with slashes, unless only day first can be.
                let (month, day) = if a > 12 || separator == "-" { (b, a) } else { (a, b) };
                let date = Date::new(year(c)?, small(month)?, small(day)?).ok()?;
                self.whole(date, days(date, 1)?, i, i + 3, true)
            }
            None if (1900..2100).contains(&a) && (1..=12).contains(&b) => {
                let (from, to) = month_range(year(a)?, small(b)?, 1)?;
                self.whole(from, to, i, i + 2, true)
            }
            None => None,
        }
    }

    fn year_at(&self, i: usize) -> Option<i16> {
        match self.at(i)? {
            Concept::Number(n @ 1000..=2999) if self.words.get(i).is_some_and(|w| w.text.len() == 4) => {
                i16::try_from(n).ok()
            }
            _ => None,
        }
    }

    /// `7 May 2023`, `May 7th, 2023`, `May of 2023`, `in May`.
    fn calendar_date(&self, i: usize, sure: bool) -> Option<Hit> {
        let day_at = |k: usize| match self.at(k) {
            Some(Concept::Number(n) | Concept::Ordinal(n)) if (1..=31).contains(&n) => i8::try_from(n).ok(),
            _ => None,
        };
        let (month_at, mut day) = match day_at(i) {
            Some(day) => (self.skip(i + 1, &[Concept::Of]), Some(day)),
            None => (i, None),
        };
        let Some(Concept::Month { month, weak }) = self.at(month_at) else { return None };
        let mut next = month_at + 1;
        if day.is_none()
            && let Some(after) = day_at(next)
            // `May 7` is a day, `May 20 people came` is not worth the trouble; `June 5 days` is no date.
            && !matches!(self.at(next + 1), Some(Concept::Unit(_)))
        {
            (day, next) = (Some(after), next + 1);
        }
        let year_at = self.skip(next, &[Concept::Of]);
        let year = self.year_at(year_at).filter(|_| !self.gap(next - 1).contains(['.', '?', '!', '\n']));
        if year.is_some() {
            next = year_at + 1;
        }
        if weak && !sure && day.is_none() && year.is_none() {
            use Concept::{After, Before, Between, Early, In, Last, Late, Middle, Next, Of, Past, Since, This, Until};
            let introduced =
                [In, Of, Last, Past, This, Next, Since, Until, Before, After, Between, Early, Middle, Late];
            if !self.before(i).is_some_and(|c| introduced.contains(&c)) {
                return None;
            }
        }
        let today = self.today();
        match day {
            Some(day) => {
                let chosen = match year {
                    Some(year) => Date::new(year, month, day).ok()?,
                    None => self.nearest(|year| Date::new(year, month, day).ok(), today)?,
                };
                self.whole(chosen, days(chosen, 1)?, i, next, year.is_some())
            }
            None => {
                let first = match year {
                    Some(year) => Date::new(year, month, 1).ok()?,
                    None => self.nearest(|year| Date::new(year, month, 1).ok(), today.first_of_month())?,
                };
                self.whole(first, months(first, 1)?, i, next, year.is_some())
            }
        }
    }

    /// The latest of a yearly date that is not after `limit`, or the first from `limit` when the text looks ahead.
    fn nearest(&self, make: impl Fn(i16) -> Option<Date>, limit: Date) -> Option<Date> {
        let year = self.now.year();
        // Eight years reach over a leap day that a century leaves out.
        let mut years = (0..=8i16).map(|n| if self.future { year.checked_add(n) } else { year.checked_sub(n) });
        years.find_map(|y| {
            let date = make(y?)?;
            (if self.future { date >= limit } else { date <= limit }).then_some(date)
        })
    }
}

mod spans;

#[cfg(test)]
mod tests;
