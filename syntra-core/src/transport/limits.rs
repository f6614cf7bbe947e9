//! What a server says is left of its limits.

use super::retry_after::{from_header, reset_in};
use jiff::Timestamp;
use std::time::Duration;

/// What is left of a server's limits, as the headers of an answer say it; see [`rate_limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// Of calls.
    pub requests: Option<RateWindow>,
    /// Of tokens.
    pub tokens: Option<RateWindow>,
    /// Nothing is left until then: how long that is.
    pub closed_for: Option<Duration>,
}

/// What is left of one limit that refills steadily.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// How much there is when nothing is used.
    pub limit: u64,
    /// How much there is now.
    pub remaining: u64,
    /// How long until there is [`RateWindow::limit`] again.
    pub reset: Duration,
}

/// Longer resets than this are cut, as longer waits are.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The limits in `headers` (names in lower case), `None` where there are none.
///
/// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI and its kin send them and `anthropic-ratelimit-{requests,tokens}-*`
/// describe buckets that refill steadily; `x-ratelimit-{remaining,reset}` alone, as gateways send it, a window that ends.
///
/// ```
/// use syntra_core::{Timestamp, transport::rate_limits};
/// let headers = [("limit", "60"), ("remaining", "59"), ("reset", "1s")]
///     .map(|(name, value)| (format!("x-ratelimit-{name}-requests"), value.to_owned()));
/// let seen = rate_limits(&headers, Timestamp::UNIX_EPOCH).unwrap().requests.unwrap();
/// assert_eq!((seen.limit, seen.remaining, seen.reset.as_secs()), (60, 59, 1));
/// ```
pub fn rate_limits(headers: &[(String, String)], now: Timestamp) -> Option<RateLimits> {
    if !headers.iter().any(|(name, _)| name.contains("ratelimit-")) {
        return None;
    }
    let number = |name: &str| {
        let value = from_header(headers, name)?.trim().parse::<f64>().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value as u64)
    };
    let reset = |name: &str| from_header(headers, name).and_then(|v| reset_in(v, now)).map(|wait| wait.min(LONGEST));
    let mut seen = RateLimits::default();
    let mut read = |names: [String; 3]| -> Option<RateWindow> {
        let [limit, remaining, until] = names;
        let (limit, remaining, reset) = (number(&limit), number(&remaining)?, reset(&until)?);
        match limit {
            Some(limit) if limit > 0 => Some(RateWindow { limit, remaining, reset }),
            // Without the limit there is no telling how it refills.
            _ => {
                if remaining == 0 {
                    seen.closed_for = seen.closed_for.max(Some(reset));
                }
                None
            }
        }
    };
    let mut either = |what: &str| {
        let dashed = ["limit", "remaining", "reset"];
        read(dashed.map(|part| format!("x-ratelimit-{part}-{what}")))
            .or_else(|| read(dashed.map(|part| format!("anthropic-ratelimit-{what}-{part}"))))
    };
    let (requests, tokens) = (either("requests"), either("tokens"));
    if number("x-ratelimit-remaining") == Some(0) {
        seen.closed_for = seen.closed_for.max(reset("x-ratelimit-reset"));
    }
    seen.requests = requests;
    seen.tokens = tokens;
    (seen != RateLimits::default()).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn both_buckets_of_openai_are_read() {
        let seen = rate_limits(
            &headers(&[
                ("x-ratelimit-limit-requests", "500"),
                ("x-ratelimit-remaining-requests", "499"),
                ("x-ratelimit-reset-requests", "120ms"),
                ("x-ratelimit-limit-tokens", "30000"),
                ("x-ratelimit-remaining-tokens", "20000"),
                ("x-ratelimit-reset-tokens", "20s"),
            ]),
            now(),
        )
        .unwrap();
        let requests = RateWindow { limit: 500, remaining: 499, reset: Duration::from_millis(120) };
        let tokens = RateWindow { limit: 30_000, remaining: 20_000, reset: Duration::from_secs(20) };
        assert_eq!((seen.requests, seen.tokens, seen.closed_for), (Some(requests), Some(tokens), None));
    }

    #[test]
    fn anthropic_says_dates() {
        let seen = rate_limits(
            &headers(&[
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-01-01T00:01:00Z"),
            ]),
            now(),
        )
        .unwrap();
        let requests = RateWindow { limit: 50, remaining: 0, reset: Duration::from_secs(60) };
        assert_eq!((seen.requests, seen.tokens), (Some(requests), None));
    }

    #[test]
    fn a_window_without_a_limit_closes_only_when_it_is_used_up() {
        let at = now().as_millisecond() + 5_000;
        let of = |remaining: &str| {
            let (remaining, reset) = (remaining.to_owned(), at.to_string());
            rate_limits(&headers(&[("x-ratelimit-remaining", &remaining), ("x-ratelimit-reset", &reset)]), now())
        };
        assert_eq!(of("3"), None);
        assert_eq!(of("0").unwrap().closed_for, Some(Duration::from_secs(5)));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for value in ["", "many", "-1", "NaN", "inf", "99999999999999999999999999"] {
            let seen = rate_limits(
                &headers(&[
                    ("x-ratelimit-limit-requests", value),
                    ("x-ratelimit-remaining-requests", value),
                    ("x-ratelimit-reset-requests", value),
                ]),
                now(),
            );
            assert!(seen.is_none_or(|s| s.requests.is_none_or(|w| w.reset <= LONGEST)), "{value}: {seen:?}");
        }
        assert_eq!(rate_limits(&headers(&[("content-type", "text/html")]), now()), None);
    }
}
