//! What a host lets itself send.

use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::sync::Semaphore;

/// What a host lets itself send to a provider with one key.
///
/// The default has no limits of its own: calls go as they come until the provider says otherwise, by the remainders in its headers
/// or by a 429, and the pacer learns. [`PaceLimits::classic`] has cautious fixed ones.
///
/// ```
/// use syntra_core::exec::PaceLimits;
/// let limits = PaceLimits::default().with_requests_per_second(10.0).with_burst(20).with_concurrency(50);
/// assert_eq!(limits.tokens_per_minute, None);
/// assert_eq!(PaceLimits::classic("perplexity").requests_per_second, Some(1.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PaceLimits {
    /// Calls a second, sustained; `None` for no limit.
    pub requests_per_second: Option<f64>,
    /// Calls that may go at once after a pause; at least 1. Without `requests_per_second` it says nothing.
    pub burst: u32,
    /// Calls in flight at once; `None` for no limit.
    pub concurrency: Option<usize>,
    /// Tokens a minute, prompt and answer together; `None` for no limit.
    pub tokens_per_minute: Option<u64>,
}

impl Default for PaceLimits {
    fn default() -> Self {
        Self { requests_per_second: None, burst: 5, concurrency: None, tokens_per_minute: None }
    }
}

impl PaceLimits {
    /// Cautious limits that the smallest plans of the large providers bear: 2 calls a second, bursts of 5, 5 in flight; for Perplexity and
    /// for providers that are not known 1, 2 and 3; for servers on one's own machine 4 in flight and no rate.
    pub fn classic(provider: &str) -> Self {
        let (rate, burst, concurrency) = match provider {
            "openai" | "openai-responses" | "anthropic" | "gemini" | "google" | "openrouter" | "moonshot" | "kimi" => {
                (Some(2.0), 5, 5)
            }
            "llama_cpp" | "llamacpp" | "llama.cpp" | "ollama" => (None, 5, 4),
            _ => (Some(1.0), 2, 3),
        };
        Self { requests_per_second: rate, burst, concurrency: Some(concurrency), tokens_per_minute: None }
    }

    /// Sets [`PaceLimits::requests_per_second`].
    pub fn with_requests_per_second(mut self, rate: f64) -> Self {
        self.requests_per_second = Some(rate);
        self
    }

    /// Sets [`PaceLimits::burst`].
    pub fn with_burst(mut self, calls: u32) -> Self {
        self.burst = calls;
        self
    }

    /// Sets [`PaceLimits::concurrency`].
    pub fn with_concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Sets [`PaceLimits::tokens_per_minute`].
    pub fn with_tokens_per_minute(mut self, tokens: u64) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// That every limit can be kept.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the one that cannot.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Config, format!("pacing: {what}")));
        match self.requests_per_second {
            Some(rate) if !(rate.is_finite() && rate >= 0.001) => {
                wrong(&format!("requests_per_second must be at least 0.001, got {rate}; leave it out for no limit"))
            }
            _ if self.burst == 0 => wrong("burst must be at least 1"),
            _ if self.concurrency == Some(0) => wrong("concurrency must be at least 1; leave it out for no limit"),
            _ if self.concurrency.is_some_and(|n| n > Semaphore::MAX_PERMITS) => {
                wrong("concurrency is larger than can be counted; leave it out for no limit")
            }
            _ if self.tokens_per_minute == Some(0) => {
                wrong("tokens_per_minute must be at least 1; leave it out for no limit")
            }
            _ => Ok(()),
        }
    }

    /// The stricter of each limit.
    pub(super) fn stricter(self, other: Self) -> Self {
        fn least<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(if b < a { b } else { a }),
                (a, b) => a.or(b),
            }
        }
        let burst = match (self.requests_per_second, other.requests_per_second) {
            (None, Some(_)) => other.burst,
            (Some(_), None) => self.burst,
            _ => self.burst.min(other.burst),
        };
        Self {
            requests_per_second: least(self.requests_per_second, other.requests_per_second),
            burst,
            concurrency: least(self.concurrency, other.concurrency),
            tokens_per_minute: least(self.tokens_per_minute, other.tokens_per_minute),
        }
    }
}
