//! What errors mean, shape by shape; bodies are written after the servers' documentation.

use super::error_shapes::{classify_failure, error_in};
use super::*;
use crate::error::ErrorKind::{self, *};
use proptest::prelude::*;
use serde_json::json;

fn kind(status: u16, body: &str) -> ErrorKind {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let error = classify_failure(&WireFailure { status, headers: &[], body: &body, now: jiff::Timestamp::UNIX_EPOCH });
    assert_eq!(error.status(), Some(status));
    error.kind()
}

fn error(status: u16, error: serde_json::Value) -> ErrorKind {
    kind(status, &json!({ "error": error }).to_string())
}

#[test]
fn quota_before_rate_limit_before_the_rest() {
    let says = |status, message: &str| error(status, json!({ "message": message }));
    assert_eq!(error(429, json!({ "code": "insufficient_quota", "message": "x" })), QuotaExhausted);
    assert_eq!(says(400, "Your credit balance is too low to access the API."), QuotaExhausted);
    assert_eq!(says(402, "x"), QuotaExhausted);
    assert_eq!(
        says(429, "Rate limit reached. You can raise it by adding a payment method at /account/billing."),
        RateLimit
    );
    assert_eq!(error(429, json!({ "type": "engine_overloaded_error", "message": "x" })), Overloaded);
    assert_eq!(error(403, json!({ "code": "rate_limit_exceeded", "message": "x" })), RateLimit);
    assert_eq!(says(529, "x"), Overloaded);
    assert_eq!(says(503, "Loading model"), Overloaded);
    assert_eq!(says(500, "x"), Transient);
    assert_eq!(says(408, "x"), Transient);
    assert_eq!(says(418, "x"), BadRequest);
}

#[test]
fn google_calls_two_things_quota() {
    let google = |id: &str| {
        error(
            429,
            json!({ "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota",
            "details": [{ "violations": [{ "quotaId": id }] }] }),
        )
    };
    assert_eq!(google("GenerateRequestsPerMinutePerProjectPerModel"), RateLimit);
    assert_eq!(google("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), QuotaExhausted);
    let bad_key = json!({ "code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid.", "details": [{ "reason": "API_KEY_INVALID" }] });
    assert_eq!(error(400, bad_key), Credential);
    assert_eq!(
        error(
            400,
            json!({ "status": "FAILED_PRECONDITION", "message": "User location is not supported for the API use." })
        ),
        Region
    );
}

#[test]
fn what_to_do_about_a_400() {
    let says = |message: &str| error(400, json!({ "message": message, "type": "invalid_request_error" }));
    assert_eq!(says("This model's maximum context length is 8192 tokens."), ContextTooLong);
    assert_eq!(says("prompt is too long: 212034 tokens > 200000 maximum"), ContextTooLong);
    assert_eq!(kind(413, ""), ContextTooLong);
    assert_eq!(says("The model `x` does not exist"), ModelUnavailable);
    assert_eq!(says("Unsupported value: 'role' does not support 'developer' with this model."), BadRequest);
    assert_eq!(says("tool_choice is not available for this model"), BadRequest);
    let param = json!({ "message": "max_tokens has been deprecated for this model", "param": "max_tokens" });
    assert_eq!(error(400, param), BadRequest);
    assert_eq!(says("Your input was flagged as potentially violating our usage policy"), ContentPolicy);
    assert_eq!(
        error(400, json!({ "code": "previous_response_not_found", "message": "Previous response not found." })),
        BadRequest
    );
    assert_eq!(error(403, json!({ "code": "unsupported_country_region_territory", "message": "x" })), Region);
    assert_eq!(error(403, json!({ "message": "x", "metadata": { "flagged_input": "…" } })), ContentPolicy);
    assert_eq!(kind(404, r#"{"error":"model 'x' not found"}"#), ModelUnavailable);
    assert_eq!(kind(401, "<html>"), Credential);
}

#[test]
fn errors_in_every_shape() {
    assert_eq!(kind(400, r#"[{"error":{"code":400,"message":"the context window is full"}}]"#), ContextTooLong);
    assert_eq!(
        kind(400, r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}"#),
        ModelUnavailable
    );
    assert_eq!(kind(401, r#"{"code":"odd","error":"Incorrect API key provided"}"#), Credential);
    assert_eq!(kind(422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#), BadRequest);
    let inside = |value: serde_json::Value| error_in(&value).map(|e| e.kind());
    for fine in [
        json!({ "error": null }),
        json!({ "error": {} }),
        json!({ "choices": [], "detail": "x" }),
        json!([]),
        json!("x"),
        json!({}),
    ] {
        assert_eq!(inside(fine.clone()), None, "{fine}");
    }
    assert_eq!(inside(json!({ "error": { "code": 502, "message": "x" } })), Some(Transient));
    assert_eq!(inside(json!({ "error": { "code": "429", "message": "x" } })), Some(RateLimit));
    assert_eq!(
        inside(json!({ "type": "error", "error": { "type": "overloaded_error", "message": "x" } })),
        Some(Overloaded)
    );
    assert_eq!(inside(json!({ "error": "the runner crashed" })), Some(Transient));
    let behind = json!({ "error": { "code": 400, "message": "Provider returned error", "metadata": { "raw": "prompt is too long" } } });
    assert_eq!(inside(behind), Some(ContextTooLong));
}

#[test]
fn bodies_that_say_nothing_still_make_sense() {
    let message = |status, body: &'static str| {
        let body = Bytes::from_static(body.as_bytes());
        classify_failure(&WireFailure { status, headers: &[], body: &body, now: jiff::Timestamp::UNIX_EPOCH })
            .message()
            .to_owned()
    };
    assert_eq!(message(500, ""), "HTTP 500 with an empty body");
    assert_eq!(message(502, "<html><TITLE>Bad</TITLE>"), "HTTP 502 with a page of HTML: Bad");
    assert_eq!(message(503, "upstream connect error"), "upstream connect error");
    assert_eq!(message(400, r#"{"error":{"message":""}}"#), "the server gave no reason");
    assert!(
        message(401, r#"{"error":{"message":"Incorrect API key provided: sk-abcd****wxyz"}}"#).ends_with("[redacted]")
    );
}

proptest! {
    #[test]
    fn any_body_is_some_error(status in 300u16..600, body in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
        let shaped = json!({ "error": { "message": text, "code": text, "type": text } }).to_string();
        for body in [Bytes::from(body), Bytes::from(shaped)] {
            let error = classify_failure(&WireFailure { status, headers: &[], body: &body, now: jiff::Timestamp::UNIX_EPOCH });
            prop_assert_eq!(error.status(), Some(status));
            prop_assert!(error.message().chars().count() <= 500);
        }
    }
}
