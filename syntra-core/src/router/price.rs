//! Prices of tokens and what a call costs, exactly.

use crate::chat::{NanoDollars, Usage};
use crate::error::{Error, Result};
use std::fmt;

/// The price of tokens, held in nano-dollars per million so that every list price (0.0375 USD a million, say, which is no whole
/// number of nano-dollars a token) is exact.
///
/// ```
/// use syntra_core::router::TokenPrice;
/// let price = TokenPrice::per_million_usd(0.0375).unwrap();
/// assert_eq!(price.of(1_000_000).nanos(), 37_500_000);
/// assert_eq!(price.to_string(), "$0.0375/M");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenPrice(u64);

impl TokenPrice {
    /// Costs nothing: known to be free, which is not the same as unknown.
    pub const FREE: TokenPrice = TokenPrice(0);

    /// `usd` dollars per million tokens; `None` when it is negative, not finite or beyond a million dollars.
    pub fn per_million_usd(usd: f64) -> Option<Self> {
        let nanos = (usd * 1e9).round();
        (nanos.is_finite() && (0.0..=1e15).contains(&nanos)).then_some(Self(nanos as u64))
    }

    /// Dollars per million tokens, for display.
    pub fn usd_per_million(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// What one token costs, rounded to a nano-dollar. Sums are made with [`TokenPrice::of`], which rounds once.
    pub const fn per_token(self) -> NanoDollars {
        self.of(1)
    }

    /// What `tokens` cost, rounded half up to a nano-dollar.
    pub const fn of(self, tokens: u64) -> NanoDollars {
        round(self.0 as u128 * tokens as u128)
    }

    const fn exact(self, tokens: u64) -> u128 {
        // Both factors are below 2^64, so the product fits.
        self.0 as u128 * tokens as u128
    }
}

impl fmt::Display for TokenPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}/M", self.usd_per_million())
    }
}

/// Nano-dollars from millionths of nano-dollars, half up, saturating.
const fn round(millionths: u128) -> NanoDollars {
    // Dividing 128 bits takes ten times as long as 64, and nearly every sum fits these.
    if millionths <= (u64::MAX / 2) as u128 {
        return NanoDollars::from_nanos((millionths as u64 + 500_000) / 1_000_000);
    }
    let nanos = (millionths + 500_000) / 1_000_000;
    NanoDollars::from_nanos(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 })
}

/// What the tokens of a model cost. `None` is unknown, never free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// The prices up to the first tier.
    pub base: Rates,
    /// A fee on every call beside its tokens: the search of a model that always searches.
    pub request: Option<NanoDollars>,
    /// Higher prices of long prompts, by rising threshold.
    pub tiers: Vec<Tier>,
}

/// Prices of the four kinds of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// A token of the prompt.
    pub input: Option<TokenPrice>,
    /// A token of the answer, reasoning included.
    pub output: Option<TokenPrice>,
    /// A token of the prompt that came out of the provider's prompt cache.
    pub cache_read: Option<TokenPrice>,
    /// A token of the prompt that went into the provider's prompt cache.
    pub cache_write: Option<TokenPrice>,
}

/// The prices of a whole call whose prompt is longer than a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Prompts of more tokens than this.
    pub above: u64,
    /// Their prices; every token of the call is charged at them, not only those above the threshold.
    pub rates: Rates,
}

impl Price {
    /// Known to cost nothing, as a model on one's own machine does.
    pub fn free() -> Self {
        let free = Some(TokenPrice::FREE);
        Self {
            base: Rates { input: free, output: free, cache_read: free, cache_write: free },
            request: None,
            tiers: Vec::new(),
        }
    }

    /// `input` and `output` dollars per million tokens.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when one is negative, not finite or beyond a million dollars.
    pub fn per_million_usd(input: f64, output: f64) -> Result<Self> {
        let price = |what: &str, usd: f64| {
            TokenPrice::per_million_usd(usd).ok_or_else(|| {
                Error::invalid(format!("{what} price {usd} is not between 0 and 1000000 USD per million tokens"))
            })
        };
        let base =
            Rates { input: Some(price("input", input)?), output: Some(price("output", output)?), ..Rates::default() };
        Ok(Self { base, ..Self::default() })
    }

    /// Whether the prices of plain input and output are known.
    pub fn is_known(&self) -> bool {
        self.base.input.is_some() && self.base.output.is_some()
    }

    /// The prices that hold for a prompt of `input_tokens`.
    pub fn rates(&self, input_tokens: u64) -> Rates {
        self.tiers.iter().rev().find(|tier| input_tokens > tier.above).map_or(self.base, |tier| tier.rates)
    }

    /// What a call with `usage` costs: its plain, cached and cache-written input and its output, at the tier of its whole prompt,
    /// and the fee of the call. The sum is exact and rounded once, half up.
    ///
    /// `None` when a count or a price that is needed is not known. [`Usage::provider_cost`] is not looked at; see
    /// [`cost`](super::cost()).
    pub fn of(&self, usage: &Usage) -> Option<NanoDollars> {
        let (input, output) = (usage.input_tokens?, usage.output_tokens?);
        let read = usage.cached_input_tokens.unwrap_or(0).min(input);
        let written = usage.cache_write_tokens.unwrap_or(0).min(input - read);
        let rates = self.rates(input);
        let part = |price: Option<TokenPrice>, tokens: u64| match tokens {
            0 => Some(0),
            n => price.map(|p| p.exact(n)),
        };
        // An unknown price stays unknown even when this call has none of the tokens it is for: plain input and output are the
        // two that a priced model always has.
        rates.input.zip(rates.output)?;
        let tokens = part(rates.input, input - read - written)?
            + part(rates.cache_read, read)?
            + part(rates.cache_write, written)?
            + part(rates.output, output)?;
        Some(round(tokens) + self.request.unwrap_or(NanoDollars::ZERO))
    }

    /// What a call of `input` and `output` tokens costs when `cached` of its prompt come out of the provider's cache; they are charged in
    /// full where the price of cache reads is not known.
    pub fn estimate_cached(&self, input: u64, cached: u64, output: u64) -> Option<NanoDollars> {
        let rates = self.rates(input);
        let cached = cached.min(input);
        let plain = rates.input?;
        let read = rates.cache_read.unwrap_or(plain);
        let tokens = plain.exact(input - cached) + read.exact(cached) + rates.output?.exact(output);
        Some(round(tokens) + self.request.unwrap_or(NanoDollars::ZERO))
    }

    /// What a call of `input` and `output` tokens costs with nothing cached.
    pub fn estimate(&self, input: u64, output: u64) -> Option<NanoDollars> {
        self.estimate_cached(input, 0, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tiered() -> Price {
        let mut price = Price::per_million_usd(2.5, 15.0).unwrap();
        price.base.cache_read = TokenPrice::per_million_usd(0.25);
        let long = Price::per_million_usd(5.0, 22.5).unwrap().base;
        price.tiers =
            vec![Tier { above: 272_000, rates: Rates { cache_read: TokenPrice::per_million_usd(0.5), ..long } }];
        price
    }

    fn usage(input: u64, output: u64, read: u64) -> Usage {
        Usage {
            input_tokens: Some(input),
            output_tokens: Some(output),
            cached_input_tokens: Some(read),
            ..Usage::default()
        }
    }

    #[test]
    fn a_call_is_priced_part_by_part() {
        // 1000 plain at 2500, 500 cached at 250, 200 out at 15000 nano-dollars a token.
        assert_eq!(tiered().of(&usage(1_500, 200, 500)).unwrap().nanos(), 2_500_000 + 125_000 + 3_000_000);
    }

    #[test]
    fn a_tier_begins_above_its_threshold_and_holds_for_the_whole_call() {
        let price = tiered();
        assert_eq!(price.of(&usage(272_000, 0, 0)).unwrap().nanos(), 272_000 * 2_500);
        assert_eq!(price.of(&usage(272_001, 10, 0)).unwrap().nanos(), 272_001 * 5_000 + 10 * 22_500);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let price = Price::per_million_usd(1.0, 2.0).unwrap();
        assert_eq!(price.of(&Usage::default()), None, "no counts");
        assert_eq!(price.of(&usage(10, 10, 5)), None, "cache reads without their price");
        let mut half = price.clone();
        half.base.output = None;
        assert_eq!(half.of(&usage(10, 0, 0)), None, "a model with half a price has no price");
        assert_eq!(Price::default().estimate(1, 1), None);
        assert_eq!(Price::free().of(&usage(10, 10, 5)), Some(NanoDollars::ZERO));
        assert!(Price::per_million_usd(-1.0, 0.0).is_err() && Price::per_million_usd(0.0, f64::NAN).is_err());
    }

    #[test]
    fn more_cached_than_sent_is_not_charged_twice() {
        assert_eq!(tiered().of(&usage(100, 0, 1_000)), tiered().of(&usage(100, 0, 100)));
    }

    proptest! {
        #[test]
        fn cost_rises_with_each_count(input in 0u64..2_000_000, output in 0u64..200_000, read in 0u64..1_000, more in 1u64..500_000) {
            let price = tiered();
            let read = read.min(input);
            let before = price.of(&usage(input, output, read)).unwrap();
            prop_assert!(price.of(&usage(input + more, output, read)).unwrap() >= before);
            prop_assert!(price.of(&usage(input, output + more, read)).unwrap() >= before);
            // A cached token is never dearer than a plain one.
            prop_assert!(price.of(&usage(input + more, output, read + more)).unwrap() <= price.of(&usage(input + more, output, read)).unwrap());
        }

        #[test]
        fn below_the_tiers_costs_add_up_to_the_rounding(a in 0u64..100_000, b in 0u64..100_000, x in 0u64..50_000, y in 0u64..50_000) {
            let price = Price::per_million_usd(0.0375, 0.1234567).unwrap();
            let parts = price.of(&usage(a, x, 0)).unwrap().nanos() + price.of(&usage(b, y, 0)).unwrap().nanos();
            let whole = price.of(&usage(a + b, x + y, 0)).unwrap().nanos();
            prop_assert!(parts.abs_diff(whole) <= 1, "{} {}", parts, whole);
        }
    }
}
