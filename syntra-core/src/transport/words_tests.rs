//! Redaction and retry advice.

use super::*;
use crate::Timestamp;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn keys_are_cut_out_and_words_stay() {
    for (text, want) in [
        (
            "Incorrect API key provided: sk-proj-abc***********************xyz. You can find",
            "Incorrect API key provided: [redacted]. You can find",
        ),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer [redacted]"),
        ("{\"api_key\":\"secretvalue\"}", "{\"api_key\":\"[redacted]\"}"),
        ("x-api-key: hunter22", "x-api-key: [redacted]"),
        ("Your api key: ****-key is invalid", "Your api key: [redacted] is invalid"),
        ("your key 3f9a8c7b2d1e4f5a6b7c8d9e is wrong", "your key [redacted] is wrong"),
        ("model llama-3.3-70b-versatile is overloaded", "model llama-3.3-70b-versatile is overloaded"),
        (
            "Limit 30000, Used 29911. Please try again in 2.222s.",
            "Limit 30000, Used 29911. Please try again in 2.222s.",
        ),
        ("API key not valid. Please pass a valid API key.", "API key not valid. Please pass a valid API key."),
        ("request 123e4567-e89b-12d3-a456-426614174000 failed", "request 123e4567-e89b-12d3-a456-426614174000 failed"),
    ] {
        assert_eq!(redact(text), want);
    }
    assert_eq!(redact(&"long ".repeat(1000)).chars().count(), 500);
}

#[test]
fn a_secret_is_seen_by_expose_alone() {
    let secret = Secret::from(" sk-abcdef123456\n");
    assert_eq!(secret.expose(), "sk-abcdef123456");
    assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[redacted] [redacted] Some([redacted])");
    assert_eq!(secret.scrub("the key sk-abcdef123456 is bad"), "the key [redacted] is bad");
    assert_eq!(Secret::from("x").scrub("text"), "text");
}

fn wait(headers: &[(&str, &str)], body: &str) -> Option<Duration> {
    let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    retry_after(&headers, body.as_bytes(), "2026-11-20T07:09:30Z".parse::<Timestamp>().unwrap())
}

#[test]
fn every_way_of_saying_when() {
    let ms = |n| Some(Duration::from_millis(n));
    assert_eq!(wait(&[("retry-after-ms", "350"), ("retry-after", "9")], "try again in 2.2s"), ms(350));
    assert_eq!(wait(&[("retry-after", "17")], ""), ms(17_000));
    assert_eq!(wait(&[("retry-after", "0.5")], ""), ms(500));
    assert_eq!(wait(&[("retry-after", "Fri, 20 Nov 2026 07:10:00 GMT")], ""), ms(30_000));
    assert_eq!(wait(&[("retry-after", "Fri, 20 Nov 2020 07:10:00 GMT")], ""), ms(0));
    let google =
        r#"{"error":{"message":"quota","details":[{"@type":"x"},{"@type":"y.RetryInfo","retryDelay":"34.4s"}]}}"#;
    assert_eq!(wait(&[], google), ms(34_400));
    assert_eq!(wait(&[], r#"{"error":{"message":"please try again after 1 seconds"}}"#), ms(1_000));
    assert_eq!(wait(&[], "Please try again in 1.5s."), ms(1_500));
    assert_eq!(wait(&[], "try again in 6m0s"), ms(360_000));
    assert_eq!(wait(&[], "Please retry shortly"), None);
    let limits = [
        ("x-ratelimit-reset-requests", "120ms"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("x-ratelimit-remaining-tokens", "12"),
    ];
    assert_eq!(wait(&limits, ""), ms(120));
    let anthropic = [
        ("anthropic-ratelimit-requests-reset", "2026-11-20T07:09:47Z"),
        ("anthropic-ratelimit-requests-remaining", "0"),
    ];
    assert_eq!(wait(&anthropic, ""), ms(17_000));
    assert_eq!(wait(&[("retry-after", "1e300")], ""), ms(7 * 24 * 3600 * 1000));
    for nonsense in ["-1", "NaN", "soon", ""] {
        assert_eq!(wait(&[("retry-after", nonsense)], ""), None, "{nonsense}");
    }
}

proptest! {
    #[test]
    fn a_key_never_survives(
        body in "[A-Za-z0-9]{16,48}", prefix in prop_oneof![Just("sk-"), Just("sk-ant-api03-"), Just("AIza"), Just("gsk_"), Just("xai-")],
        before in "[ -~]{0,60}", after in "[ -~]{0,60}",
    ) {
        let key = format!("{prefix}{body}");
        // Beside a word character the key is part of another word.
        let text = format!("{before} {key} {after}");
        prop_assert!(!redact(&text).contains(&key));
    }

    #[test]
    fn nothing_panics(text in any::<String>(), header in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let shown = redact(&text);
        prop_assert!(shown.chars().count() <= 500);
        let _ = parse_duration(&text);
        let headers = [("retry-after".to_owned(), header.clone()), ("x-ratelimit-reset".to_owned(), header), ("x-ratelimit-remaining".to_owned(), "0".to_owned())];
        let _ = retry_after(&headers, &bytes, Timestamp::MAX);
        let _ = retry_after(&headers, text.as_bytes(), Timestamp::MIN);
    }
}
