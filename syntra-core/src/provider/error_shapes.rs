//! What the errors of model servers mean: shapes of bodies read, status, codes and words judged, in one place for every dialect.
//!
//! The order of the questions matters and is fixed: used-up quota before rate limit (both come as 429), overload before either
//! (Kimi's 429 is its own trouble, not the caller's), a bad key before a bad request (Gemini's is a 400), context and policy before the
//! plain 400 that they come as.

use super::WireFailure;
use crate::error::{Error, ErrorKind, Phase};
use crate::transport::{redact, retry_after};
use serde_json::Value;

/// The parts of a server's error that say what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorShape {
    /// The HTTP status, or the one that a body inside a 200 names.
    pub status: Option<u16>,
    /// The words for people; may quote keys, so it is redacted before it is shown.
    pub message: String,
    /// `type`, as in `insufficient_quota` or `overloaded_error`.
    pub kind: Option<String>,
    /// `code`, as in `context_length_exceeded`; numeric codes that are statuses go to `status`.
    pub code: Option<String>,
    /// `param`: which of the request's fields is meant.
    pub param: Option<String>,
    /// Google's status word (`RESOURCE_EXHAUSTED`) and the reasons and quota ids of its details.
    pub details: Vec<String>,
}

/// The error that a non-2xx answer means, message redacted, with status, code and retry advice; for
/// [`Dialect::classify`](super::Dialect::classify).
///
/// ```
/// use syntra_core::{ErrorKind, Timestamp, provider::{WireFailure, error_shapes}};
/// let body = br#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}"#[..].into();
/// let failure = WireFailure { status: 429, headers: &[], body: &body, now: Timestamp::UNIX_EPOCH };
/// assert_eq!(error_shapes::classify_failure(&failure).kind(), ErrorKind::QuotaExhausted);
/// ```
pub fn classify_failure(failure: &WireFailure<'_>) -> Error {
    let parsed: Option<Value> = serde_json::from_slice(failure.body).ok();
    let mut shape = parsed.as_ref().and_then(ErrorShape::read).unwrap_or_else(|| ErrorShape {
        message: plain_message(failure.status, failure.body),
        ..ErrorShape::default()
    });
    shape.status = Some(failure.status);
    let mut error = shape.to_error().with_status(failure.status);
    if let Some(wait) = retry_after(failure.headers, failure.body, failure.now) {
        error = error.with_retry_after(wait);
    }
    error
}

/// The error that a JSON value inside a 200 or a stream means, `None` when it is none (`error` is absent, null or false).
pub fn error_in(value: &Value) -> Option<Error> {
    ErrorShape::read(value).map(|shape| shape.to_error())
}

impl ErrorShape {
    /// Reads the error out of `value`: `{"error": {…}}`, `{"error": "words"}`, `[{"error": …}]`, `{"type": "error", …}`, `{"object": "error", …}`,
    /// `{"detail": …}`, `{"errors": […]}`, and the same as a JSON string. `None` when there is none.
    pub fn read(value: &Value) -> Option<Self> {
        if let Some(first) = value.as_array().and_then(|list| list.first()) {
            return Self::read(first);
        }
        let object = value.as_object()?;
        let is_error = |key: &str| object.get(key).and_then(Value::as_str) == Some("error");
        let mut shape = match object.get("error") {
            Some(Value::Object(fields)) if !fields.is_empty() => Self::of(object.get("error")?),
            Some(Value::String(words)) if !words.is_empty() => {
                Self { message: words.clone(), ..Self::of(&without_message(value)) }
            }
            _ if is_error("type") || is_error("object") => Self::of(value),
            None if object.contains_key("detail") && !object.contains_key("choices") => Self::of(value),
            None => object.get("errors").and_then(|e| e.get(0)).map(Self::of)?,
            Some(Value::Array(list)) => list.first().map(Self::of)?,
            _ => return None,
        };
        // The envelope's own type is no type of error.
        if shape.kind.as_deref() == Some("error") {
            shape.kind = None;
        }
        Some(shape)
    }

    fn of(error: &Value) -> Self {
        let word = |key: &str| error.get(key).and_then(Value::as_str).filter(|w| !w.is_empty()).map(str::to_owned);
        let number = |key: &str| error.get(key).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
        let is_status = |n: &u16| (400..600).contains(n);
        let status = ["code", "status", "status_code", "http_code"].iter().find_map(|k| number(k)).filter(is_status);
        let status = status.or_else(|| word("code").and_then(|c| c.parse().ok()).filter(is_status));
        let mut message = word("message")
            .or_else(|| word("msg"))
            .or_else(|| word("detail"))
            .or_else(|| error.get("detail").filter(|d| !d.is_null() && !d.is_string()).map(ToString::to_string))
            .or_else(|| error.get("message").filter(|m| !m.is_null() && !m.is_string()).map(ToString::to_string))
            .or_else(|| error.as_str().map(str::to_owned))
            .unwrap_or_default();
        // OpenRouter says "Provider returned error" and has the provider's own words beside it.
        if let Some(raw) = error.pointer("/metadata/raw").and_then(Value::as_str) {
            message = format!("{message}: {raw}");
        }
        let mut details: Vec<String> = word("status").into_iter().collect();
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            details.extend(detail.get("reason").and_then(Value::as_str).map(str::to_owned));
            for violation in detail.get("violations").and_then(Value::as_array).into_iter().flatten() {
                details.extend(violation.get("quotaId").and_then(Value::as_str).map(str::to_owned));
            }
        }
        // OpenRouter's moderation.
        if error.pointer("/metadata/flagged_input").is_some() {
            details.push("content_filter".into());
        }
        let code = word("code").filter(|c| c.parse::<u16>().is_err());
        Self { status, message, kind: word("type"), code, param: word("param"), details }
    }

    /// The error of this shape: classified, its message redacted, its code the server's most telling one.
    pub fn to_error(&self) -> Error {
        let message = redact(self.message.trim());
        let message = if message.is_empty() { "the server gave no reason".to_owned() } else { message };
        let mut error = Error::new(self.kind(), message);
        if let Some(code) = self.code.as_ref().or(self.kind.as_ref()).or(self.details.first()) {
            error = error.with_code(redact(code));
        }
        if let Some(status) = self.status {
            error = error.with_status(status);
        }
        error.with_phase(Phase::BeforeContent)
    }

    /// What kind of error this is; see the module's words on the order.
    pub fn kind(&self) -> ErrorKind {
        let message = self.message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| message.contains(w));
        let named = |names: &[&str]| {
            let own = [self.code.as_deref(), self.kind.as_deref()];
            own.into_iter().flatten().chain(self.details.iter().map(String::as_str)).any(|n| names.contains(&n))
        };
        let status = self.status.unwrap_or(0);

        // Google calls per-minute limits "quota" too; the quota's id tells which it is.
        if named(&["RESOURCE_EXHAUSTED"]) {
            let daily = self.details.iter().any(|d| d.contains("PerDay") || d.contains("PerMonth"));
            let spent = says(&["prepayment credits", "credits are depleted", "spending cap"]);
            return if daily || spent { ErrorKind::QuotaExhausted } else { ErrorKind::RateLimit };
        }
        if named(QUOTA_CODES) || status == 402 || says(QUOTA_WORDS) {
            return ErrorKind::QuotaExhausted;
        }
        let unavailable = matches!(status, 503 | 529);
        if unavailable || named(OVERLOAD_CODES) || (status != 400 && says(OVERLOAD_WORDS)) {
            return ErrorKind::Overloaded;
        }
        if status == 429 || named(RATE_CODES) || (status != 400 && says(RATE_WORDS)) {
            return ErrorKind::RateLimit;
        }
        if named(REGION_CODES) || says(REGION_WORDS) || status == 451 {
            return ErrorKind::Region;
        }
        if named(CONTEXT_CODES) || says(CONTEXT_WORDS) || status == 413 {
            return ErrorKind::ContextTooLong;
        }
        if named(POLICY_CODES) || says(POLICY_WORDS) {
            return ErrorKind::ContentPolicy;
        }
        if named(MODEL_CODES) || self.is_model_gone(&message, status) {
            return ErrorKind::ModelUnavailable;
        }
        if matches!(status, 401 | 403) || named(CREDENTIAL_CODES) || (status < 500 && says(CREDENTIAL_WORDS)) {
            return ErrorKind::Credential;
        }
        match status {
            408 | 409 | 425 | 499 | 500..=599 => ErrorKind::Transient,
            300..=399 => ErrorKind::Config,
            400..=498 => ErrorKind::BadRequest,
            _ if named(CALLER_CODES) || self.code.as_deref().is_some_and(|c| c.starts_with("invalid_")) => {
                ErrorKind::BadRequest
            }
            // An error without a status came inside a 200: the server began well and failed.
            _ => ErrorKind::Transient,
        }
    }

    fn is_model_gone(&self, message: &str, status: u16) -> bool {
        if status >= 500 || !message.contains("model") {
            let bare = self.kind.is_none() && self.code.is_none() && self.details.is_empty();
            // A 404 that says nothing of what was not found can only mean the path, which no other request will find either.
            return status == 404 && (bare || message.contains("endpoint"));
        }
        const GONE: [&str; 16] = [
            "does not exist",
            "not found",
            "not_found",
            "is not a valid model",
            "invalid model",
            "unknown model",
            "decommissioned",
            "been deprecated",
            "been retired",
            "no longer available",
            "no longer supported",
            "supported api model names",
            "is not supported for generatecontent",
            "not available",
            "do not have access",
            "does not have access",
        ];
        if self.param.as_deref().is_some_and(|p| p != "model") {
            return false;
        }
        let gone = GONE.iter().any(|w| message.contains(w));
        status == 404 || gone && !message.contains("tool") && !message.contains("parameter")
    }
}

fn without_message(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("message");
    }
    value
}

/// What to say of a body that is no JSON: the title of a page, the beginning of plain text, or the status alone.
fn plain_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(8 << 10)).unwrap_or_default());
    let text = text.trim();
    if text.is_empty() {
        return format!("HTTP {status} with an empty body");
    }
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower.get(start..)?.find("</title>")? + start;
        text.get(start..end)
    });
    format!("HTTP {status} with a page of HTML: {}", title.unwrap_or("no title").trim())
}

/// Read where no status says it. Codes that begin with `invalid_` are of this kind too: those of keys and models were looked at before.
const CALLER_CODES: &[&str] = &[
    "invalid_request_error",
    "INVALID_ARGUMENT",
    "bad_request",
    "unsupported_parameter",
    "unsupported_value",
    "unknown_parameter",
    "missing_required_parameter",
];
const QUOTA_CODES: &[&str] = &[
    "insufficient_quota",
    "exceeded_current_quota_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_credits",
    "insufficient_balance",
    "billing_error",
    "quota_exceeded",
    "payment_required",
];
const QUOTA_WORDS: &[&str] = &[
    "credit balance is too low",
    "insufficient balance",
    "insufficient credit",
    "insufficient quota",
    "insufficient_quota",
    "exceeded your current quota",
    "requires more credits",
    "can only afford",
    "out of credits",
    "no credits",
    "billing hard limit",
    "quota exhausted",
    "reached your specified api usage limits",
    "monthly spend",
    "spending limit",
    "run out of credits",
    "used all available credits",
    "insufficient funds",
];
const OVERLOAD_CODES: &[&str] = &[
    "overloaded_error",
    "overloaded",
    "engine_overloaded",
    "engine_overloaded_error",
    "unavailable_error",
    "UNAVAILABLE",
    "server_overloaded",
    "slow_down",
    "model_overloaded",
    "capacity_exceeded",
];
const OVERLOAD_WORDS: &[&str] = &[
    "overloaded",
    "no capacity",
    "over capacity",
    "at capacity",
    "loading model",
    "server is busy",
    "temporarily unavailable",
    "service unavailable",
];
const RATE_CODES: &[&str] = &[
    "rate_limit_error",
    "rate_limit_exceeded",
    "rate_limit_reached_error",
    "rate_limit_reached",
    "too_many_requests",
    "rate_limited",
    "tokens_limit_reached",
];
const RATE_WORDS: &[&str] = &["rate limit", "rate-limit", "ratelimit", "too many requests"];
const REGION_CODES: &[&str] = &["unsupported_country_region_territory", "unsupported_location"];
const REGION_WORDS: &[&str] = &[
    "region, or territory",
    "location is not supported",
    "country or region",
    "not available in your country",
    "not available in your region",
    "not supported in your region",
    "unsupported country",
];
const CONTEXT_CODES: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size_error",
    "request_too_large",
    "context_window_exceeded",
    "prompt_too_long",
    "max_tokens_exceeded",
    "model_context_window_exceeded",
];
const CONTEXT_WORDS: &[&str] = &[
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "prompt is too long",
    "input is too long",
    "exceeds the available context size",
    "exceed the context",
    "exceeds the context",
    "exceeds the model's context",
    "context window",
    "input token count",
    "maximum number of tokens allowed",
    "exceed context limit",
    "reduce the length of the messages",
    "reduce the length of the prompt",
    "too many tokens",
    "exceeds the maximum length",
    "exceeded model token limit",
    "prompt too long",
    "request too large",
    "token limit exceeded",
    "exceeds model's maximum",
    "larger than the maximum context",
    "context length is only",
];
const POLICY_CODES: &[&str] = &[
    "content_policy_violation",
    "content_filter",
    "moderation_blocked",
    "content_filter_error",
    "content_policy",
    "PROHIBITED_CONTENT",
    "SAFETY",
    "bio_policy",
    "cyber_policy",
    "cyber_policy_violation",
    "content_policy_error",
    "image_content_policy_violation",
];
const POLICY_WORDS: &[&str] = &[
    "content policy",
    "usage policy",
    "usage policies",
    "content management policy",
    "safety system",
    "input was flagged",
    "was flagged as",
    "flagged for",
    "flagged by",
    "requires moderation",
    "responsible ai",
    "considered high risk",
    "blocked by content filtering",
    "violates our",
    "violating our",
    "content exists risk",
    "prohibited content",
    "content moderation",
];
const MODEL_CODES: &[&str] = &[
    "model_not_found",
    "model_not_available",
    "model_decommissioned",
    "model_terms_required",
    "invalid_model",
    "resource_not_found_error",
    "model_not_supported",
    "deployment_not_found",
    "DeploymentNotFound",
];
const CREDENTIAL_CODES: &[&str] = &[
    "invalid_api_key",
    "authentication_error",
    "permission_error",
    "API_KEY_INVALID",
    "API_KEY_SERVICE_BLOCKED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "invalid_authentication_error",
    "incorrect_api_key_error",
    "permission_denied_error",
    "invalid_authentication",
    "missing_api_key",
    "account_deactivated",
    "API_KEY_EXPIRED",
];
const CREDENTIAL_WORDS: &[&str] = &[
    "api key not valid",
    "incorrect api key",
    "invalid api key",
    "invalid api-key",
    "invalid x-api-key",
    "api key expired",
    "api key not found",
    "no api key",
    "didn't provide an api key",
    "authentication fails",
    "invalid authentication",
    "unauthorized",
    "api_key_invalid",
];
