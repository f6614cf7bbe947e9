//! A clock that a test moves.

use crate::clock::Clock;
use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A [`Clock`] that stands still until it is moved.
///
/// ```
/// use std::time::Duration;
/// use syntra_core::{Clock, testing::FakeClock};
/// let clock = FakeClock::at("2026-01-31T12:00:00Z".parse().unwrap());
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().to_string(), "2026-01-31T12:01:30Z");
/// assert_eq!(clock.monotonic(), Duration::from_secs(90));
/// ```
#[derive(Debug)]
pub struct FakeClock(Mutex<(Timestamp, Duration)>);

impl FakeClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Moves both of its times on.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        time.0 = time.0.checked_add(by).unwrap_or(Timestamp::MAX);
        time.1 = time.1.saturating_add(by);
    }

    /// Sets the date, forwards or back, as a user or a time server may; durations are not touched.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = now;
    }
}

impl Default for FakeClock {
    /// A clock that shows noon, universal time, of 2 January 2026.
    fn default() -> Self {
        Self::at(Timestamp::from_second(1_767_355_200).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// A [`Clock`] that follows the runtime's timer, so that `tokio::time::pause` and `advance` move it too. Make it inside a runtime.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use syntra_core::{Clock, testing::TokioClock};
/// let clock = TokioClock::new();
/// let before = clock.monotonic();
/// tokio::time::sleep(std::time::Duration::from_millis(2)).await;
/// assert!(clock.monotonic() > before && clock.now() > jiff::Timestamp::UNIX_EPOCH);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock(tokio::time::Instant);

impl TokioClock {
    /// A clock whose monotonic time begins now, at noon, universal time, of 2 January 2026.
    pub fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let noon = Timestamp::from_second(1_767_355_200).unwrap_or(Timestamp::UNIX_EPOCH);
        noon.checked_add(self.monotonic()).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
