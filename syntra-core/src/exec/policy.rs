//! What a caller can choose about carrying a plan out.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often and how patiently a plan is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The most calls in all, over every target. Default 6.
    pub max_attempts: usize,
    /// The most calls to one target. Default 2: one and one retry.
    pub max_per_target: usize,
    /// The wait before the first retry of the same target, doubled for each further one, and up to 30 % more so that callers who
    /// failed together do not come back together. Default 250 ms.
    pub backoff: Duration,
    /// The longest wait that is accepted, also when a server asks for a longer one. Default 10 s.
    pub max_wait: Duration,
}

/// The most that jitter adds to a backoff, as a share of it.
const JITTER: f64 = 0.3;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            max_per_target: 2,
            backoff: Duration::from_millis(250),
            max_wait: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// The wait after the `calls`-th call to a target failed; `jitter` is between 0 and 1.
    pub(super) fn wait(&self, calls: usize, jitter: f64) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << calls.saturating_sub(1).min(16));
        doubled.saturating_add(doubled.min(self.max_wait).mul_f64(JITTER * jitter.clamp(0.0, 1.0)))
    }
}

/// What happens when a stream fails after its reader has seen some of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovery {
    /// A model that can go on from the text already shown does so, and the reader sees one text. Where none can, the answer ends in a
    /// typed error, phase [`crate::Phase::AfterContent`]. No text is ever shown twice.
    ///
    /// An answer of which nothing but thinking was shown is begun anew, with [`crate::Event::Restart`] before it.
    #[default]
    Resume,
    /// As [`Recovery::Resume`], and where no model can go on another answers anew: [`crate::Event::Restart`] tells the host to clear
    /// what it showed.
    ResumeOrRestart,
    /// A typed error at once.
    Fail,
}

impl Recovery {
    /// Its name in `snake_case`, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::ResumeOrRestart => "resume_or_restart",
            Self::Fail => "fail",
        }
    }
}

/// A source of numbers between 0 and 1 that spreads retries; injected, so that tests are exact.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    /// Numbers from `source`.
    pub fn new(source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// No jitter at all.
    pub fn none() -> Self {
        Self::new(|| 0.0)
    }

    pub(super) fn next(&self) -> f64 {
        (self.0)()
    }
}

impl Default for Jitter {
    /// Random numbers.
    fn default() -> Self {
        Self::new(rand::random::<f64>)
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}
