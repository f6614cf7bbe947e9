//! Time, injected so that tests are exact.

use jiff::Timestamp;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Tells the time. [`SystemClock`] in production, a clock that a test moves in tests.
pub trait Clock: Send + Sync + Debug + 'static {
    /// The date and time.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point, never going back; for durations.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
