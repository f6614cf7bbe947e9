//! How near a time lies to the time that a question asks for.

use crate::query::TimeRange;
use jiff::Timestamp;

/// Things are told after they happened: from here on what is told later counts half. Half the length of what was asked for, in
/// days, within these bounds.
const HALVED_AFTER_DAYS: (f64, f64) = (2.0, 15.0);
/// What was told before it counts this much of that: a plan.
const BEFORE: f64 = 0.5;
/// What lies in the time asked for, but in another year than the nearest, where no year was said.
const ANOTHER_YEAR: f64 = 0.7;

const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.242_5 * DAY;

/// A stretch of time in seconds of the Unix epoch, the end exclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    from: f64,
    to: f64,
}

impl Stretch {
    pub(super) fn of(time: &TimeRange) -> Self {
        Self { from: time.from.as_second() as f64, to: time.to.as_second() as f64 }
    }

    /// Its ends, as [`Stretch::between`] takes them.
    pub(super) fn ends(self) -> [f64; 2] {
        [self.from, self.to]
    }

    pub(super) fn between([from, to]: [f64; 2]) -> Self {
        Self { from, to }
    }
}

/// The time asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    time: Stretch,
    yearly: bool,
}

impl Asked {
    pub(super) fn of(time: &TimeRange) -> Self {
        Self { time: Stretch::of(time), yearly: time.yearly }
    }

    /// The time asked for in the year that brings it nearest to `to`, and what that counts.
    fn nearest(&self, to: f64) -> (Stretch, f64) {
        let middle = (self.time.from + self.time.to) / 2.0;
        let years = if self.yearly { ((to - middle) / YEAR).round() } else { 0.0 };
        let shift = years * YEAR;
        let time = Stretch { from: self.time.from + shift, to: self.time.to + shift };
        (time, if years == 0.0 { 1.0 } else { ANOTHER_YEAR })
    }

    /// How near what was said at `at` is to the time asked for: 1 within it, less the further from it, half of that before it.
    pub(super) fn nearness(&self, at: Timestamp) -> f32 {
        let at = at.as_second() as f64;
        let (time, worth) = self.nearest(at);
        let halved = ((time.to - time.from) / 2.0 / DAY).clamp(HALVED_AFTER_DAYS.0, HALVED_AFTER_DAYS.1) * DAY;
        let near = match () {
            () if at < time.from => BEFORE * (-(time.from - at) / halved).exp2(),
            () if at < time.to => 1.0,
            () => (-(at - time.to) / halved).exp2(),
        };
        (worth * near) as f32
    }

    /// The share of `spoken` that lies in the time asked for.
    pub(super) fn share(&self, spoken: Stretch) -> f32 {
        let (time, worth) = self.nearest((spoken.from + spoken.to) / 2.0);
        let both = spoken.to.min(time.to) - spoken.from.max(time.from);
        let length = (spoken.to - spoken.from).max(1.0);
        (worth * (both.max(0.0) / length)).min(1.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(from: &str, to: &str, yearly: bool) -> TimeRange {
        let at = |text: &str| text.parse().unwrap();
        TimeRange { phrase: String::new(), from: at(from), to: at(to), yearly }
    }

    fn near(time: &TimeRange, at: &str) -> f32 {
        Asked::of(time).nearness(at.parse().unwrap())
    }

    #[test]
    fn what_is_told_after_is_nearer_than_what_is_told_before() {
        let may_3 = time("2023-05-03T00:00:00Z", "2023-05-04T00:00:00Z", false);
        assert_eq!(near(&may_3, "2023-05-03T12:00:00Z"), 1.0);
        let (next, week, before) = (
            near(&may_3, "2023-05-05T00:00:00Z"),
            near(&may_3, "2023-05-10T00:00:00Z"),
            near(&may_3, "2023-05-02T00:00:00Z"),
        );
        assert!(1.0 > next && next > week && week > 0.0 && next > before, "{next} {week} {before}");
        assert!(near(&may_3, "2022-05-03T12:00:00Z") < 1e-6);
    }

    #[test]
    fn a_month_without_a_year_is_that_of_any() {
        let june = time("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z", true);
        assert_eq!(near(&june, "2026-06-20T00:00:00Z"), 1.0);
        assert!((near(&june, "2023-06-20T00:00:00Z") - 0.7).abs() < 1e-6);
        assert!(near(&june, "2023-12-20T00:00:00Z") < 0.01);
        let spoken = Stretch::of(&time("2023-06-10T00:00:00Z", "2023-06-11T00:00:00Z", false));
        assert!((Asked::of(&june).share(spoken) - 0.7).abs() < 1e-6);
    }

    #[test]
    fn what_it_speaks_of_is_compared_as_a_share_of_it() {
        let may = time("2023-05-01T00:00:00Z", "2023-06-01T00:00:00Z", false);
        let day = Stretch::of(&time("2023-05-07T00:00:00Z", "2023-05-08T00:00:00Z", false));
        let year = Stretch::of(&time("2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z", false));
        let other = Stretch::of(&time("2022-05-07T00:00:00Z", "2022-05-08T00:00:00Z", false));
        let asked = Asked::of(&may);
        assert_eq!((asked.share(day), asked.share(other)), (1.0, 0.0));
        assert!((asked.share(year) - 31.0 / 365.0).abs() < 1e-3);
    }
}
