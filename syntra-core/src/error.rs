//! The one error type.
//!
//! An [`Error`] says what kind of thing went wrong, who said so, whether trying again can help and where, and how far the
//! call had come. It never holds a key or a prompt: messages from servers pass through [`redact`](crate::transport::redact)
//! before they get here.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Shorthand for results with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong. One action follows from each, see [`ErrorKind::advice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave something wrong; the message names it and what would be right.
    InvalidInput,
    /// A thing that was named does not exist (thread, memory, file, unknown model name of ours).
    NotFound,
    /// A write met a newer state than it expected.
    Conflict,
    /// The provider refused the request as malformed: the caller's own fault, never retried elsewhere.
    BadRequest,
    /// The key is missing, wrong or not allowed.
    Credential,
    /// The provider does not serve this region or account.
    Region,
    /// The model is unknown to the provider, retired, or not open to this key.
    ModelUnavailable,
    /// The conversation does not fit the model's window.
    ContextTooLong,
    /// The provider's policy filter refused the content.
    ContentPolicy,
    /// Too many requests or tokens in too short a time.
    RateLimit,
    /// The paid quota or balance is used up.
    QuotaExhausted,
    /// The provider has no capacity now (529, `engine_overloaded`).
    Overloaded,
    /// The provider failed in passing (500, 502, 503, 504).
    Transient,
    /// A deadline passed.
    Timeout,
    /// The connection could not be made or broke.
    Connection,
    /// The answer ended before its end.
    Truncated,
    /// The answer could not be understood.
    Decode,
    /// The model or provider cannot do what was asked; known before sending.
    Unsupported,
    /// The embedder failed or gave a vector that cannot be used.
    Embedding,
    /// The store failed.
    Storage,
    /// The call was cancelled.
    Cancelled,
    /// The set-up is wrong or incomplete.
    Config,
    /// A limit that the host set (quota, budget) is reached.
    LimitReached,
    /// None of these: not tried again here, though another target may do better.
    Unknown,
}

/// Whether, and where, trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It cannot.
    Never,
    /// The same target may do better, after the error's [`Error::retry_after`] or a backoff.
    SameTarget,
    /// Another provider or model may do better; this one will not soon.
    OtherTarget,
}

/// How far a call had come when it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing was sent.
    #[default]
    BeforeSend,
    /// Sent, but no content had come back.
    BeforeContent,
    /// Content had come back.
    AfterContent,
}

impl ErrorKind {
    /// What to do about an error of this kind.
    pub fn advice(self) -> Retry {
        use ErrorKind::*;
        match self {
            Transient | RateLimit | Timeout | Connection | Truncated | Decode => Retry::SameTarget,
            Overloaded | QuotaExhausted | Credential | Region | ModelUnavailable | ContextTooLong | ContentPolicy
            | Unsupported | Unknown => Retry::OtherTarget,
            InvalidInput | NotFound | Conflict | BadRequest | Embedding | Storage | Cancelled | Config
            | LimitReached => Retry::Never,
        }
    }

    /// Its name in `snake_case`, as it is serialised.
    pub fn as_str(self) -> &'static str {
        use ErrorKind::*;
        match self {
            InvalidInput => "invalid_input",
            NotFound => "not_found",
            Conflict => "conflict",
            BadRequest => "bad_request",
            Credential => "credential",
            Region => "region",
            ModelUnavailable => "model_unavailable",
            ContextTooLong => "context_too_long",
            ContentPolicy => "content_policy",
            RateLimit => "rate_limit",
            QuotaExhausted => "quota_exhausted",
            Overloaded => "overloaded",
            Transient => "transient",
            Timeout => "timeout",
            Connection => "connection",
            Truncated => "truncated",
            Decode => "decode",
            Unsupported => "unsupported",
            Embedding => "embedding",
            Storage => "storage",
            Cancelled => "cancelled",
            Config => "config",
            LimitReached => "limit_reached",
            Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of any part of the crate: one pointer wide, cheap to clone.
///
/// ```
/// use syntra_core::{Error, ErrorKind, Retry};
/// let error = Error::new(ErrorKind::RateLimit, "too many requests").with_provider("openai").with_status(429);
/// assert_eq!(error.retry(), Retry::SameTarget);
/// assert_eq!(error.to_string(), "rate_limit: openai (HTTP 429): too many requests");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    provider: Option<String>,
    model: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    retry: Option<Retry>,
    phase: Phase,
    attempts: Vec<Attempt>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// One try of a call that failed in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The provider that was tried.
    pub provider: String,
    /// The model that was tried.
    pub model: String,
    /// How it failed.
    pub kind: ErrorKind,
    /// What was said.
    pub message: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

impl Error {
    /// An error of `kind` whose message names what was wrong and, if it can be known, what would be right.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            provider: None,
            model: None,
            status: None,
            code: None,
            retry_after: None,
            retry: None,
            phase: Phase::default(),
            attempts: Vec::new(),
            source: None,
        }))
    }

    /// Shorthand for [`ErrorKind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Names the provider.
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = Some(provider.into());
        self
    }

    /// Names the model.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.0.model = Some(model.into());
        self
    }

    /// Adds the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the provider's own code for the error, `insufficient_quota` say.
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds how long the server asks to wait.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Overrides the advice that follows from the kind.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = Some(retry);
        self
    }

    /// Says how far the call had come.
    pub fn with_phase(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    /// Adds the tries that led here.
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Adds the underlying error. It must not hold a key or a prompt.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was wrong, in words, without the prefix that `Display` adds.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The provider that said so.
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The model that was asked.
    pub fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The provider's own code.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether, and where, trying again can help.
    pub fn retry(&self) -> Retry {
        self.0.retry.unwrap_or_else(|| self.0.kind.advice())
    }

    /// How far the call had come.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// The tries that led here, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.0.kind)?;
        if let Some(provider) = &self.0.provider {
            f.write_str(provider)?;
            if let Some(model) = &self.0.model {
                write!(f, "/{model}")?;
            }
            if let Some(status) = self.0.status {
                write!(f, " (HTTP {status})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &e.kind).field("message", &e.message);
        if let Some(provider) = &e.provider {
            out.field("provider", provider);
        }
        if let Some(model) = &e.model {
            out.field("model", model);
        }
        if let Some(status) = e.status {
            out.field("status", &status);
        }
        if let Some(code) = &e.code {
            out.field("code", code);
        }
        if let Some(wait) = e.retry_after {
            out.field("retry_after", &wait);
        }
        out.field("retry", &self.retry()).field("phase", &e.phase);
        if !e.attempts.is_empty() {
            out.field("attempts", &e.attempts);
        }
        if let Some(source) = &e.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| s.as_ref() as _)
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let e = &self.0;
        let mut out = serializer.serialize_struct("Error", 10)?;
        out.serialize_field("kind", &e.kind)?;
        out.serialize_field("message", &e.message)?;
        out.serialize_field("provider", &e.provider)?;
        out.serialize_field("model", &e.model)?;
        out.serialize_field("status", &e.status)?;
        out.serialize_field("code", &e.code)?;
        out.serialize_field("retry_after_ms", &e.retry_after.map(|d| d.as_millis() as u64))?;
        out.serialize_field("retry", &self.retry())?;
        out.serialize_field("phase", &e.phase)?;
        out.serialize_field("attempts", &e.attempts)?;
        out.end()
    }
}
