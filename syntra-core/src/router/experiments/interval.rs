//! Means with intervals that stay valid however often they are looked at.
//!
//! A usual confidence interval holds for one look at a time that was fixed beforehand; whoever looks every day and stops when it is good is fooled
//! far more often than it says. A confidence sequence holds for all times at once: the chance that it ever leaves the mean out is at most alpha.

use serde::{Deserialize, Serialize};

/// The mean of numbers between 0 and 1.
///
/// The predictable plug-in empirical Bernstein confidence sequence, with its running intersection: Waudby-Smith and Ramdas, "Estimating means of
/// bounded random variables by betting", Journal of the Royal Statistical Society B 86(1), 2024, theorem 2 and equation 15.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bounded {
    n: u64,
    sum: f64,
    /// Squared deviations from the means of their times.
    squares: f64,
    lambdas: f64,
    lambda_x: f64,
    /// Σ v ψ(λ)
    variance: f64,
    low: f64,
    high: f64,
}

impl Default for Bounded {
    fn default() -> Self {
        Self { n: 0, sum: 0.0, squares: 0.0, lambdas: 0.0, lambda_x: 0.0, variance: 0.0, low: 0.0, high: 1.0 }
    }
}

impl Bounded {
    /// Takes `x`, from 0 to 1; the interval is for `alpha`, which has to be the same every time.
    pub(super) fn push(&mut self, x: f64, alpha: f64) {
        let x = x.clamp(0.0, 1.0);
        let t = (self.n + 1) as f64;
        let before = (0.5 + self.sum) / t;
        let spread = (0.25 + self.squares) / t;
        let target = (2.0 / alpha).ln();
        let lambda = (2.0 * target / (spread * t * t.ln_1p())).sqrt().min(0.5);
        let psi = (-(-lambda).ln_1p() - lambda) / 4.0;
        self.n += 1;
        self.sum += x;
        self.squares += (x - (0.5 + self.sum) / (t + 1.0)).powi(2);
        self.lambdas += lambda;
        self.lambda_x += lambda * x;
        self.variance += 4.0 * (x - before).powi(2) * psi;
        let (centre, width) = (self.lambda_x / self.lambdas, (target + self.variance) / self.lambdas);
        self.low = self.low.max(centre - width).min(1.0);
        self.high = self.high.min(centre + width).max(0.0);
    }

    pub(super) fn estimate(&self) -> Estimate {
        let some = self.n > 0;
        Estimate {
            count: self.n,
            mean: some.then(|| self.sum / self.n as f64),
            low: some.then_some(self.low),
            high: some.then_some(self.high),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        let all = [self.sum, self.squares, self.lambdas, self.lambda_x, self.variance];
        all.iter().all(|x| (0.0..1e12).contains(x))
            && (0.0..=1.0).contains(&self.low)
            && (0.0..=1.0).contains(&self.high)
            && self.n < 1 << 50
            && self.sum <= self.n as f64 + 1e-6
    }
}

/// The mean of numbers without a bound that is known.
///
/// The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
/// confidence sequences", Annals of Statistics 52(6), 2024, theorem 2.2, narrowest at some hundred numbers. It says nothing before [`ASYMPTOTIC`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Running {
    n: u64,
    mean: f64,
    /// Squared deviations from the mean, by Welford's recurrence.
    squares: f64,
}

/// Numbers before which a limit theorem says nothing.
const ASYMPTOTIC: u64 = 20;
/// Numbers at which the interval is to be at its narrowest.
const NARROWEST: f64 = 100.0;

impl Running {
    pub(super) fn push(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        self.n += 1;
        let from = x - self.mean;
        self.mean += from / self.n as f64;
        self.squares += from * (x - self.mean);
    }

    pub(super) fn estimate(&self, alpha: f64) -> Estimate {
        let t = self.n as f64;
        let width = (self.n >= ASYMPTOTIC).then(|| {
            let l = -2.0 * alpha.ln();
            let rho2 = (l + l.ln() + 1.0) / NARROWEST;
            let inner = t * rho2 + 1.0;
            (self.squares / t).sqrt() * (2.0 * inner / (t * t * rho2) * (inner.sqrt() / alpha).ln()).sqrt()
        });
        let mean = (self.n > 0).then_some(self.mean);
        let at = |sign: f64| mean.zip(width).map(|(mean, width)| mean + sign * width);
        Estimate { count: self.n, mean, low: at(-1.0), high: at(1.0) }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.mean.is_finite() && (0.0..1e300).contains(&self.squares) && self.n < 1 << 50
    }
}

/// A mean, and between which limits the true one lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Numbers that it rests on.
    pub count: u64,
    /// Their mean; `None` where there are none.
    pub mean: Option<f64>,
    /// The lower limit; `None` where there are too few numbers to say.
    pub low: Option<f64>,
    /// The upper limit.
    pub high: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SplitMix64, as numbers from 0 to 1.
    struct Dice(u64);
    impl Dice {
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    #[test]
    fn an_interval_that_is_looked_at_every_time_is_wrong_no_more_often_than_it_says() {
        for (p, seed) in [(0.5, 1), (0.9, 2), (0.05, 3)] {
            let mut dice = Dice(seed);
            let (mut ever_wrong, mut asymptotic_wrong) = (0, 0);
            for _ in 0..400 {
                let (mut bounded, mut running) = (Bounded::default(), Running::default());
                let (mut wrong, mut other) = (false, false);
                for _ in 0..600 {
                    let x = if dice.roll() < p { 1.0 } else { 0.0 };
                    bounded.push(x, 0.05);
                    running.push(x + 10.0 * dice.roll());
                    let (a, b) = (bounded.estimate(), running.estimate(0.05));
                    wrong |= !(a.low.unwrap()..=a.high.unwrap()).contains(&p);
                    other |= b.low.zip(b.high).is_some_and(|(low, high)| !(low..=high).contains(&(p + 5.0)));
                }
                ever_wrong += usize::from(wrong);
                asymptotic_wrong += usize::from(other);
            }
            // 20 of 400 are allowed; a usual interval looked at 600 times is wrong in some 150.
            assert!(ever_wrong <= 20, "{p}: {ever_wrong} of 400");
            assert!(asymptotic_wrong <= 24, "{p}: {asymptotic_wrong} of 400");
        }
    }

    #[test]
    fn what_differs_is_told_apart_in_the_end() {
        let mut dice = Dice(9);
        let (mut good, mut bad) = (Bounded::default(), Bounded::default());
        for _ in 0..400 {
            good.push(if dice.roll() < 0.9 { 1.0 } else { 0.0 }, 0.025);
            bad.push(if dice.roll() < 0.6 { 1.0 } else { 0.0 }, 0.025);
        }
        assert!(good.estimate().low.unwrap() > bad.estimate().high.unwrap(), "{good:?} {bad:?}");
        assert!((good.estimate().mean.unwrap() - 0.9).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn limits_are_in_order_and_only_come_closer(xs in proptest::collection::vec(0.0f64..=1.0, 1..200)) {
            let mut bounded = Bounded::default();
            let (mut low, mut high) = (0.0, 1.0);
            for x in xs {
                bounded.push(x, 0.05);
                let e = bounded.estimate();
                prop_assert!(e.low.unwrap() >= low && e.high.unwrap() <= high);
                (low, high) = (e.low.unwrap(), e.high.unwrap());
                prop_assert!(bounded.is_sound());
            }
        }
    }
}
