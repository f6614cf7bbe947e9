//! When to come back, in all the ways in which servers say it.

use jiff::Timestamp;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Longer waits than this are cut: nothing plans further ahead, and arithmetic on them stays safe.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the server asks to wait before the next try, `None` when it does not say.
///
/// Looked at in this order: `retry-after-ms`; `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3); Google's `RetryInfo` in
/// the body; words such as "try again in 1.5s" or "after 20 seconds" in the body; the reset times of rate-limit headers whose
/// remainder is used up (`x-ratelimit-reset-*` as Go durations, seconds or epoch milliseconds, `anthropic-ratelimit-*-reset` as
/// RFC 3339). `headers` have names in lower case; `now` is needed for dates.
///
/// ```
/// use syntra_core::{Timestamp, transport::retry_after};
/// let headers = [("retry-after".to_owned(), "17".to_owned())];
/// let wait = retry_after(&headers, b"", Timestamp::UNIX_EPOCH).unwrap();
/// assert_eq!(wait.as_secs(), 17);
/// ```
pub fn retry_after(headers: &[(String, String)], body: &[u8], now: Timestamp) -> Option<Duration> {
    let body_text = || String::from_utf8_lossy(body.get(..body.len().min(16 << 10)).unwrap_or_default());
    from_header(headers, "retry-after-ms")
        .and_then(|v| v.trim().parse::<f64>().ok())
        .and_then(|ms| seconds(ms / 1000.0))
        .or_else(|| from_header(headers, "retry-after").and_then(|v| header_value(v, now)))
        .or_else(|| from_json(body, now))
        .or_else(|| from_words(&body_text()))
        .or_else(|| from_limits(headers, now))
        .map(|wait| wait.min(LONGEST))
}

pub(super) fn from_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

fn seconds(s: f64) -> Option<Duration> {
    if s.is_finite() && s >= 0.0 { Duration::try_from_secs_f64(s.min(LONGEST.as_secs_f64())).ok() } else { None }
}

fn header_value(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(s) = value.parse::<f64>() {
        return seconds(s);
    }
    if let Ok(date) = httpdate::parse_http_date(value) {
        let now = SystemTime::from(now);
        // A date that has passed means now.
        return Some(date.duration_since(now).unwrap_or_default());
    }
    instant(value, now).or_else(|| parse_duration(value))
}

fn instant(value: &str, now: Timestamp) -> Option<Duration> {
    let at: Timestamp = value.parse().ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// `google.rpc.RetryInfo`, and OpenRouter's headers of the provider behind it.
fn from_json(body: &[u8], now: Timestamp) -> Option<Duration> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let value = value.get(0).unwrap_or(&value);
    let error = value.get("error")?;
    for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
        if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
            return parse_duration(delay);
        }
    }
    if let Some(s) = error.pointer("/metadata/retry_after_seconds").and_then(Value::as_f64) {
        return seconds(s);
    }
    let headers = error.pointer("/metadata/headers")?.as_object()?;
    let headers: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(k, v)| {
            let v = v.as_str().map(str::to_owned).or_else(|| v.as_number().map(ToString::to_string))?;
            Some((k.to_ascii_lowercase(), v))
        })
        .collect();
    from_header(&headers, "retry-after").and_then(|v| header_value(v, now)).or_else(|| from_limits(&headers, now))
}

/// "Please try again in 2.222s", "please retry in 34.4s", "try again after 1 seconds", "retry after 6m0s".
fn from_words(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    for cue in ["try again in ", "retry in ", "try again after ", "retry after ", "wait "] {
        for (at, _) in lower.match_indices(cue) {
            let rest = lower.get(at + cue.len()..).unwrap_or_default();
            if let Some(wait) = leading_duration(rest) {
                return Some(wait);
            }
        }
    }
    None
}

/// The duration at the beginning of `text`: `1.5s`, `20 seconds`, `6m0s`, `1 minute`.
fn leading_duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == 'µ')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = word.trim_end_matches('.');
    if let Some(wait) = parse_duration(word) {
        return Some(wait);
    }
    let number: f64 = word.parse().ok()?;
    let unit: String = rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let scale = match unit.as_str() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        _ => return None,
    };
    seconds(number * scale)
}

/// A duration as Go prints it: `6m0s`, `120ms`, `1h2m3.5s`, `7.66s`; every number has its unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|&n| n > 0)?;
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    seconds(total)
}

/// The longest reset among the limits of which nothing remains.
fn from_limits(headers: &[(String, String)], now: Timestamp) -> Option<Duration> {
    let mut longest: Option<Duration> = None;
    for (name, value) in headers {
        let remaining = if let Some(what) = name.strip_prefix("x-ratelimit-reset") {
            format!("x-ratelimit-remaining{what}")
        } else if let Some(what) = name.strip_prefix("anthropic-ratelimit-").and_then(|n| n.strip_suffix("-reset")) {
            format!("anthropic-ratelimit-{what}-remaining")
        } else {
            continue;
        };
        if from_header(headers, &remaining).and_then(|v| v.trim().parse::<f64>().ok()) != Some(0.0) {
            continue;
        }
        let wait = reset_in(value, now);
        longest = longest.max(wait);
    }
    longest
}

/// How far away the time in a `reset` header is.
pub(super) fn reset_in(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    match value.parse::<f64>() {
        // Epoch milliseconds, epoch seconds, or seconds from now, told apart by their size.
        Ok(n) if n > 1e11 => Timestamp::from_millisecond(n as i64).ok().map(|at| until(at, now)),
        Ok(n) if n > 1e8 => Timestamp::from_second(n as i64).ok().map(|at| until(at, now)),
        Ok(n) => seconds(n),
        Err(_) => parse_duration(value).or_else(|| instant(value, now)),
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}
