//! The patterns that are not plain dates: relative, shifted, partial, recurring.

use super::super::words::word_set;
use super::*;

use Concept::{
    A, After, Ago, AgoBefore, Article, Before, Between, Early, From, In, Last, Late, Middle, Next, Night, Now, Number,
    Of, Past, Since, This, Until, Vague,
};

impl Parser<'_> {
    /// The calendar period of `unit` that holds `of`, moved by `offset` periods.
    fn period(unit: Unit, of: Date, offset: i32) -> Option<(Date, Date)> {
        let year_of = |year: i32, length: i16| -> Option<(Date, Date)> {
            let year = i16::try_from(year).ok()?;
            Some((Date::new(year, 1, 1).ok()?, Date::new(year.checked_add(length)?, 1, 1).ok()?))
        };
        let from = match unit {
            Unit::Minute | Unit::Hour => return None,
            Unit::Day => days(of, offset)?,
            Unit::Week => days(of, offset.checked_mul(7)? - i32::from(of.weekday().to_monday_zero_offset()))?,
            Unit::Month => months(of.first_of_month(), offset)?,
            Unit::Quarter => {
                let first = Date::new(of.year(), (of.month() - 1) / 3 * 3 + 1, 1).ok()?;
                months(first, offset.checked_mul(3)?)?
            }
            Unit::Year => return year_of(i32::from(of.year()).checked_add(offset)?, 1),
            Unit::Decade => return year_of((i32::from(of.year()) / 10).checked_add(offset)?.checked_mul(10)?, 10),
        };
        let to = match unit {
            Unit::Day => days(from, 1),
            Unit::Week => days(from, 7),
            Unit::Month => months(from, 1),
            _ => months(from, 3),
        };
        Some((from, to?))
    }

    /// `date` moved by `n` units.
    fn moved(unit: Unit, date: Date, n: i32) -> Option<Date> {
        match unit {
            Unit::Minute | Unit::Hour => None,
            Unit::Day => days(date, n),
            Unit::Week => days(date, n.checked_mul(7)?),
            Unit::Month => months(date, n),
            Unit::Quarter => months(date, n.checked_mul(3)?),
            Unit::Year => months(date, n.checked_mul(12)?),
            Unit::Decade => months(date, n.checked_mul(120)?),
        }
    }

    /// A date that is right to within half a `unit`: `two weeks ago` is rarely meant to the day.
    fn around(unit: Unit, from: Date, to: Date) -> Option<(Date, Date)> {
        let slack = match unit {
            Unit::Week => 3,
            Unit::Month => 15,
            Unit::Quarter => 45,
            Unit::Year => 182,
            Unit::Decade => 1826,
            _ => 0,
        };
        Some((days(from, -slack)?, days(to, slack.checked_add(1)?)?))
    }

    /// `3`, `a`, `a few`, `a couple of`: least, most, and the word after.
    fn quantity(&self, i: usize) -> Option<(i32, i32, usize)> {
        let (vague, one) = match self.at(i)? {
            Number(n) if (0..=10_000).contains(&n) => return Some((n, n, i + 1)),
            Vague(..) => (i, None),
            A => (i + 1, Some((1, 1, i + 1))),
            Article => (i + 1, None),
            _ => return None,
        };
        match self.at(vague) {
            Some(Vague(low, high)) => Some((low, high, self.skip(vague + 1, &[Of]))),
            _ => one,
        }
    }

    fn unit(&self, i: usize) -> Option<Unit> {
        match self.at(i)? {
            Concept::Unit(unit) => Some(unit),
            _ => None,
        }
    }

    /// `3 days ago`, `hace 3 días`, `two weeks from now`.
    pub(super) fn ago(&self, i: usize) -> Option<Hit> {
        let leading = self.at(i)? == AgoBefore;
        let (low, high, unit_at) = self.quantity(if leading { i + 1 } else { i })?;
        let unit = self.unit(unit_at)?;
        let (sign, next) = match (leading, self.at(unit_at + 1), self.at(unit_at + 2)) {
            (true, ..) => (-1, unit_at + 1),
            (_, Some(Ago), _) => (-1, unit_at + 2),
            (_, Some(From), Some(Now | Concept::Day(0))) => (1, unit_at + 3),
            _ if self.future && self.before(i) == Some(In) => (1, unit_at + 1),
            _ => return None,
        };
        if let Unit::Minute | Unit::Hour = unit {
            let minutes = |n: i32| if unit == Unit::Hour { n.checked_mul(60) } else { Some(n) };
            let slack = if unit == Unit::Hour { 30 } else { 5 };
            let shift = |n: i32| self.now.checked_add(Span::new().try_minutes(n).ok()?).ok();
            let (near, far) = (minutes(low)?.checked_mul(sign)?, minutes(high)?.checked_mul(sign)?);
            let (from, to) = (shift(near.min(far) - slack)?, shift(near.max(far) + slack)?);
            return Some(Hit { from, to, start: i, next, dated: true });
        }
        let near = Self::moved(unit, self.today(), low.checked_mul(sign)?)?;
        let far = Self::moved(unit, self.today(), high.checked_mul(sign)?)?;
        let (from, to) = Self::around(unit, near.min(far), near.max(far))?;
        self.whole(from, to, i, next, true)
    }

    /// `last week`, `this Tuesday`, `next May`, `the last three months`, `semana pasada`, `the other day`.
    pub(super) fn shifted(&self, i: usize) -> Option<Hit> {
        let shift = |c: Concept| match c {
            Last => Some(-1),
            Past => Some(-1),
            This => Some(0),
            Next => Some(1),
            _ => None,
        };
        let first = self.at(i)?;
        if first == Concept::Other && self.unit(i + 1) == Some(Unit::Day) {
            return self.whole(days(self.today(), -10)?, self.today(), i, i + 2, true);
        }
        if let Some(offset) = shift(first) {
            let at = i + 1;
            if let (Some((_, n, unit_at)), true) = (self.quantity(at), offset != 0)
                && let Some(unit) = self.unit(unit_at)
            {
                return self.rolling(unit, n.checked_mul(offset)?, i, unit_at + 1);
            }
            if first == Past
                && let Some(unit) = self.unit(at)
            {
                return self.rolling(unit, -1, i, at + 1);
            }
            return self.shifted_period(at, offset, i, at + 1);
        }
        // `May last year`, `Tuesday next week`; then what Romance languages put behind: `lunes pasado`.
        let behind = self.skip(i + 1, &[Of, Article]);
        let offset = shift(self.at(behind)?)?;
        match (first, self.unit(behind + 1)) {
            (Concept::Weekday(day), Some(Unit::Week)) => {
                let (monday, _) = Self::period(Unit::Week, self.today(), offset)?;
                let date = days(monday, i32::from(day.to_monday_zero_offset()))?;
                self.whole(date, days(date, 1)?, i, behind + 2, true)
            }
            (Concept::Month { month, .. } | Concept::Season { month, .. }, Some(Unit::Year)) => {
                let year = self.now.year().checked_add(i16::try_from(offset).ok()?)?;
                let length = if matches!(first, Concept::Season { .. }) { 3 } else { 1 };
                let (from, to) = month_range(year, month, length)?;
                self.whole(from, to, i, behind + 2, true)
            }
            (_, Some(_)) => None,
            _ if behind == i + 1 && offset != 0 => self.shifted_period(i, offset, i, behind + 1),
            _ => None,
        }
    }

    /// The last or next `n` units, up to now or from now.
    fn rolling(&self, unit: Unit, n: i32, start: usize, next: usize) -> Option<Hit> {
        let far = match unit {
            Unit::Minute | Unit::Hour => {
                let minutes = if unit == Unit::Hour { n.checked_mul(60)? } else { n };
                self.now.checked_add(Span::new().try_minutes(minutes).ok()?).ok()?
            }
            _ => midnight(Self::moved(unit, self.today(), n)?),
        };
        // Up to now means including what was just said.
        let now = self.now.checked_add(Span::new().try_seconds(1).ok()?).ok()?;
        Some(Hit { from: far.min(now), to: far.max(now), start, next, dated: true }).filter(|hit| hit.from < hit.to)
    }

    fn shifted_period(&self, at: usize, offset: i32, start: usize, next: usize) -> Option<Hit> {
        let today = self.today();
        let past = offset < 0;
        let (from, to) = match self.at(at)? {
            Concept::Unit(unit) => Self::period(unit, today, offset)?,
            Concept::Weekend => {
                let (monday, _) = Self::period(Unit::Week, today, offset)?;
                (days(monday, 5)?, days(monday, 7)?)
            }
            Concept::Weekday(day) => {
                let date = match offset {
                    0 => days(Self::period(Unit::Week, today, 0)?.0, i32::from(day.to_monday_zero_offset()))?,
                    _ => today.nth_weekday(offset, day).ok()?,
                };
                return self.with_part(date, start, next);
            }
            Concept::Month { month, .. } => self.yearly(offset, |year| month_range(year, month, 1))?,
            Concept::Season { month, .. } => self.yearly(offset, |year| month_range(year, month, 3))?,
            Concept::Feast(month, day, length) => self.yearly(offset, |year| feast_range(year, month, day, length))?,
            Concept::Part(..) | Night if offset == 0 || (past && self.at(at)? == Night) => {
                return self.with_part_at(days(today, offset)?, at, start);
            }
            _ => return None,
        };
        self.whole(from, to, start, next, true)
    }

    /// The last one that is over, this year's, or the next one that has not begun.
    fn yearly(&self, offset: i32, make: impl Fn(i16) -> Option<(Date, Date)>) -> Option<(Date, Date)> {
        let (year, today) = (self.now.year(), self.today());
        match offset {
            0 => make(year),
            n if n < 0 => (0..=2).find_map(|k| make(year.checked_sub(k)?).filter(|(_, to)| *to <= today)),
            _ => (0..=2).find_map(|k| make(year.checked_add(k)?).filter(|(from, _)| *from > today)),
        }
    }

    /// `yesterday`, `tomorrow morning`, `tonight`.
    pub(super) fn day(&self, i: usize) -> Option<Hit> {
        match self.at(i)? {
            Concept::Day(offset) => self.with_part(days(self.today(), offset)?, i, i + 1),
            Concept::Tonight => self.hours(self.today(), 18, 30, i, i + 1),
            _ => None,
        }
    }

    /// A day, or the part of it that word `next` names.
    fn with_part(&self, date: Date, start: usize, next: usize) -> Option<Hit> {
        match self.at(next) {
            Some(Concept::Part(..) | Night) => self.with_part_at(date, next, start),
            _ => self.whole(date, days(date, 1)?, start, next, true),
        }
    }

    fn with_part_at(&self, date: Date, at: usize, start: usize) -> Option<Hit> {
        match self.at(at)? {
            Concept::Part(from, to) => self.hours(date, from, to, start, at + 1),
            Night => self.hours(date, 18, 30, start, at + 1),
            _ => None,
        }
    }

    fn hours(&self, date: Date, from: i8, to: i8, start: usize, next: usize) -> Option<Hit> {
        let at = |hours: i8| midnight(date).checked_add(Span::new().try_hours(i64::from(hours)).ok()?).ok();
        Some(Hit { from: at(from)?, to: at(to)?, start, next, dated: true })
    }

    /// `the week before 9 June`, `two days after Christmas`, `the Friday before 15 July 2023`, `the week before last`.
    pub(super) fn relative_to(&self, i: usize, depth: u8) -> Option<Hit> {
        let (n, at) = match self.quantity(i) {
            Some((low, high, at)) if low == high && self.at(i) != Some(Article) => (Some(low), at),
            _ => (None, i),
        };
        let what = self.at(at)?;
        if !matches!(what, Concept::Unit(_) | Concept::Weekday(_) | Concept::Weekend) {
            return None;
        }
        let joint = self.at(at + 1)?;
        if joint == Before && self.at(at + 2) == Some(Last) && n.is_none() {
            let Concept::Unit(unit) = what else { return None };
            let (from, to) = Self::period(unit, self.today(), -2)?;
            return self.whole(from, to, i, at + 3, true);
        }
        if !matches!(joint, Before | After | Of) {
            return None;
        }
        let target = self.point(self.skip(at + 2, &[Article, In]), depth + 1, true)?;
        let (from, to) = (target.from.date(), target.to.date());
        let sign = if joint == Before { -1 } else { 1 };
        let (from, to) = match (what, joint, n) {
            (Concept::Unit(Unit::Week), Of, None) if from.until(to).ok()?.get_days() <= 7 => {
                Self::period(Unit::Week, from, 0)?
            }
            (Concept::Weekend, Of, None) => {
                let (monday, _) = Self::period(Unit::Week, from, 0)?;
                (days(monday, 5)?, days(monday, 7)?)
            }
            (_, Of, _) => return None,
            (Concept::Unit(unit), _, Some(n)) => {
                let date = Self::moved(unit, from, n.checked_mul(sign)?)?;
                (date, days(date, 1)?)
            }
            (Concept::Unit(unit), Before, None) => (Self::moved(unit, from, -1)?, from),
            (Concept::Unit(unit), _, None) => (to, Self::moved(unit, to, 1)?),
            (Concept::Weekday(day), _, None) => {
                let date = if sign < 0 { from } else { days(to, -1)? }.nth_weekday(sign, day).ok()?;
                (date, days(date, 1)?)
            }
            (Concept::Weekend, _, None) => {
                let saturday =
                    if sign < 0 { days(from, -1)? } else { days(to, -1)? }.nth_weekday(sign, Weekday::Saturday).ok()?;
                (saturday, days(saturday, 2)?)
            }
            _ => return None,
        };
        self.whole(from, to, i, target.next, target.dated)
    }

    /// `early May`, `the end of last year`, `mid-2022`: a third of it.
    pub(super) fn part_of(&self, i: usize, depth: u8) -> Option<Hit> {
        let part = match self.at(i)? {
            Early => 0,
            Middle => 1,
            Late => 2,
            _ => return None,
        };
        let at = self.skip(i + 1, &[Of, Article, In]);
        let whole = match self.unit(at) {
            Some(unit) if at > i + 1 => {
                let (from, to) = Self::period(unit, self.today(), 0)?;
                self.whole(from, to, at, at + 1, true)?
            }
            _ => self.point(at, depth + 1, true)?,
        };
        let (from, to) = (whole.from.date(), whole.to.date());
        let length = from.until(to).ok()?.get_days();
        if length <= 2 {
            return Some(Hit { start: i, ..whole });
        }
        let third = |n: i32| days(from, length.checked_mul(n)? / 3);
        self.whole(third(part)?, third(part + 1)?, i, whole.next, whole.dated)
    }

    /// `in the summer of 2022`, `during winter`.
    pub(super) fn season(&self, i: usize, sure: bool) -> Option<Hit> {
        let Some(Concept::Season { month, weak }) = self.at(i) else { return None };
        let year_at = self.skip(i + 1, &[Of]);
        if let Some(year) = self.year_at(year_at) {
            let (from, to) = month_range(year, month, 3)?;
            return self.whole(from, to, i, year_at + 1, true);
        }
        if !(sure || self.introduced(i)) || (weak && self.before(i).is_none()) {
            return None;
        }
        let from = self.nearest(|year| Date::new(year, month, 1).ok(), self.today())?;
        self.whole(from, months(from, 3)?, i, i + 1, false)
    }

    /// Whether a word before `i`, articles and parts skipped, already speaks of time.
    fn introduced(&self, mut i: usize) -> bool {
        while matches!(self.before(i), Some(Article | Early | Middle | Late)) {
            i -= 1;
        }
        matches!(self.before(i), Some(In | Of | Since | Until | Before | After | Between | From))
    }

    /// `in 2023`, `the year 2023`, `the 1990s`.
    pub(super) fn year(&self, i: usize, sure: bool) -> Option<Hit> {
        word_set!(
            COUNTED,
            "words word characters chars tokens lines steps ms km miles meters metres dollars euros pounds calories kg g \
            ml pages times points rows bytes mb feet people items"
        );
        if let Some(Concept::Decade(year)) = self.at(i) {
            if !matches!(self.before(i), Some(In | Article | Since | Of | Early | Middle | Late)) {
                return None;
            }
            let year = i16::try_from(year).ok()?;
            return self.whole(Date::new(year, 1, 1).ok()?, Date::new(year + 10, 1, 1).ok()?, i, i + 1, true);
        }
        let year = self.year_at(i).filter(|year| (1800..2200).contains(year))?;
        let named = self.unit(i.wrapping_sub(1)) == Some(Unit::Year);
        let counted = self.unit(i + 1).is_some()
            || self.words.get(i + 1).is_some_and(|w| self.gap(i) == " " && COUNTED.contains(w.lower.as_ref()));
        if !(sure || named || self.introduced(i)) || counted || matches!(self.gap(i), "-" | "/" | ":") {
            return None;
        }
        self.whole(Date::new(year, 1, 1).ok()?, Date::new(year.checked_add(1)?, 1, 1).ok()?, i, i + 1, true)
    }

    /// `on Tuesday`, `Friday, 7 May`, `Friday morning`, `on the 7th`, `the weekend`.
    pub(super) fn weekday(&self, i: usize) -> Option<Hit> {
        let today = self.today();
        match self.at(i)? {
            Concept::Weekday(day) => {
                if let Some(date) =
                    self.numeric_date(i + 1).or_else(|| self.calendar_date(self.skip(i + 1, &[Article]), true))
                {
                    return Some(Hit { start: i, ..date });
                }
                if i.checked_sub(1)
                    .and_then(|p| self.words.get(p))
                    .is_some_and(|w| matches!(w.lower.as_ref(), "every" | "each"))
                {
                    return None;
                }
                let date = match today.weekday() == day {
                    true => today,
                    false => today.nth_weekday(if self.future { 1 } else { -1 }, day).ok()?,
                };
                self.with_part(date, i, i + 1)
            }
            Concept::Weekend if self.before(i) == Some(Article) => {
                let (monday, _) = Self::period(Unit::Week, today, 0)?;
                let monday = if today.weekday().to_monday_zero_offset() < 5 && !self.future {
                    days(monday, -7)?
                } else {
                    monday
                };
                self.whole(days(monday, 5)?, days(monday, 7)?, i, i + 1, true)
            }
            Concept::Ordinal(day) => {
                let ends = i + 1 >= self.words.len() || self.gap(i) != " ";
                if self.before(i) != Some(Article) || i < 2 || self.at(i - 2) != Some(In) || !ends {
                    return None;
                }
                let day = i8::try_from(day).ok()?;
                let mut month = today.first_of_month();
                for _ in 0..=3 {
                    if let Ok(date) = Date::new(month.year(), month.month(), day)
                        && (if self.future { date >= today } else { date <= today })
                    {
                        return self.whole(date, days(date, 1)?, i, i + 1, true);
                    }
                    month = months(month, if self.future { 1 } else { -1 })?;
                }
                None
            }
            _ => None,
        }
    }

    /// `Christmas`, `Halloween 2022`, `Thanksgiving`.
    pub(super) fn feast(&self, i: usize) -> Option<Hit> {
        let Some(Concept::Feast(month, day, length)) = self.at(i) else { return None };
        let year_at = self.skip(i + 1, &[Of]);
        if let Some(year) = self.year_at(year_at) {
            let (from, to) = feast_range(year, month, day, length)?;
            return self.whole(from, to, i, year_at + 1, true);
        }
        let from = self.nearest(|year| feast_range(year, month, day, length).map(|(from, _)| from), self.today())?;
        self.whole(from, days(from, i32::from(length))?, i, i + 1, false)
    }
}

/// A feast's days; day 0 is the fourth Thursday (Thanksgiving in the United States).
fn feast_range(year: i16, month: i8, day: i8, length: i8) -> Option<(Date, Date)> {
    let from = match day {
        0 => Date::new(year, month, 1).ok()?.nth_weekday_of_month(4, Weekday::Thursday).ok()?,
        _ => Date::new(year, month, day).ok()?,
    };
    Some((from, days(from, i32::from(length))?))
}
