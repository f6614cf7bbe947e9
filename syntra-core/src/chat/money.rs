//! Money as integer nano-dollars, so that sums are exact.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// An amount of US dollars in billionths, the unit of every price and cost in the crate.
///
/// One token at 0.15 USD per million tokens is 150 nano-dollars; a `u64` holds 18 billion dollars. Arithmetic saturates.
///
/// ```
/// use syntra_core::NanoDollars;
/// let cost = NanoDollars::per_million_tokens(0.15).unwrap().times(1_000);
/// assert_eq!(cost.nanos(), 150_000);
/// assert_eq!(cost.to_string(), "$0.00015");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoDollars(u64);

impl NanoDollars {
    /// No money.
    pub const ZERO: NanoDollars = NanoDollars(0);

    /// `nanos` billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The nearest amount to `usd` dollars; `None` when it is negative, not finite or too large.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let nanos = (usd * 1e9).round();
        (nanos.is_finite() && (0.0..1.8e19).contains(&nanos)).then_some(Self(nanos as u64))
    }

    /// The price of one token when a million cost `usd` dollars, rounded to a nano-dollar (list prices are multiples of
    /// 0.001 USD a million, so this is exact for them).
    pub fn per_million_tokens(usd: f64) -> Option<Self> {
        Self::from_usd(usd / 1e6)
    }

    /// Billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Dollars, for display and arithmetic that need not be exact.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This amount `n` times.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Add for NanoDollars {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoDollars {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for NanoDollars {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for NanoDollars {
    /// Dollars with as many decimals as are not zero, at least two: `$0.00015`, `$1.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.0 % 1_000_000_000);
        let trimmed = fraction.trim_end_matches('0');
        let digits = if trimmed.len() < 2 { &fraction[..2] } else { trimmed };
        write!(f, "${}.{digits}", self.0 / 1_000_000_000)
    }
}
