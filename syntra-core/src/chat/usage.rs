//! What a call consumed.

use super::NanoDollars;
use serde::{Deserialize, Serialize};

/// Tokens and money of one call, or of several added up. `None` means that the server did not say: absent is not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, those read from or written to a prompt cache included.
    pub input_tokens: Option<u64>,
    /// Tokens generated, reasoning included.
    pub output_tokens: Option<u64>,
    /// The part of `input_tokens` that was read from the provider's prompt cache.
    pub cached_input_tokens: Option<u64>,
    /// The part of `input_tokens` that was written to the provider's prompt cache.
    pub cache_write_tokens: Option<u64>,
    /// The part of `output_tokens` that was spent on reasoning.
    pub reasoning_tokens: Option<u64>,
    /// The cost as the provider itself reported it; preferred over a computed one.
    pub provider_cost: Option<NanoDollars>,
    /// True when the counts are ours (the server sent none), not the server's.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// Takes over each field that `newer` has, keeping the others: servers repeat and correct their counts during a stream,
    /// so a later value replaces an earlier one and is never added to it.
    pub fn merge(&mut self, newer: &Usage) {
        fn last<T: Copy>(old: &mut Option<T>, new: Option<T>) {
            *old = new.or(*old);
        }
        last(&mut self.input_tokens, newer.input_tokens);
        last(&mut self.output_tokens, newer.output_tokens);
        last(&mut self.cached_input_tokens, newer.cached_input_tokens);
        last(&mut self.cache_write_tokens, newer.cache_write_tokens);
        last(&mut self.reasoning_tokens, newer.reasoning_tokens);
        last(&mut self.provider_cost, newer.provider_cost);
        self.estimated = newer.estimated;
    }

    /// Adds the usage of another call (an abandoned attempt, say) to this one.
    pub fn add(&mut self, other: &Usage) {
        fn sum(a: &mut Option<u64>, b: Option<u64>) {
            *a = match (*a, b) {
                (Some(x), Some(y)) => Some(x.saturating_add(y)),
                (x, y) => x.or(y),
            };
        }
        sum(&mut self.input_tokens, other.input_tokens);
        sum(&mut self.output_tokens, other.output_tokens);
        sum(&mut self.cached_input_tokens, other.cached_input_tokens);
        sum(&mut self.cache_write_tokens, other.cache_write_tokens);
        sum(&mut self.reasoning_tokens, other.reasoning_tokens);
        self.provider_cost = match (self.provider_cost, other.provider_cost) {
            (Some(x), Some(y)) => Some(x + y),
            (x, y) => x.or(y),
        };
        self.estimated |= other.estimated;
    }

    /// Input and output together, `None` when neither is known.
    pub fn total_tokens(&self) -> Option<u64> {
        match (self.input_tokens, self.output_tokens) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        }
    }
}
