//! A clock that lives in a host language.

use super::{Host, ask};
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A clock that lives in a host language. The library wants the time in places that cannot wait, some of them with a lock in hand, so the
/// host is asked at the beginning of each call and of each read of a stream, and until the next time [`Clock::now`] is what it said.
/// Durations are the machine's; where the host has a `monotonic` too they jump ahead with it.
#[derive(Debug)]
pub struct HostClock {
    name: String,
    host: Arc<dyn Host>,
    machine: SystemClock,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    now: Option<Timestamp>,
    /// The host's monotonic time when it was first asked.
    first: Option<f64>,
    /// How far the host's durations have run ahead of the machine's.
    ahead: Duration,
}

#[derive(Deserialize)]
struct Time {
    now: Timestamp,
    /// Seconds since some fixed point.
    monotonic: Option<f64>,
}

impl HostClock {
    /// The host's object `name`, asked once.
    ///
    /// # Errors
    /// The host's.
    pub async fn new(name: impl Into<String>, host: Arc<dyn Host>) -> Result<Self> {
        let clock = Self { name: name.into(), host, machine: SystemClock::new(), told: Mutex::default() };
        clock.ask().await?;
        Ok(clock)
    }

    /// Asks the host what time it is.
    ///
    /// # Errors
    /// The host's; the time is then as it was.
    pub async fn ask(&self) -> Result<()> {
        let time: Time = ask(&self.host, &self.name, "tell", &Value::Null).await?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.now = Some(time.now);
        if let Some(monotonic) = time.monotonic.filter(|seconds| seconds.is_finite()) {
            let first = *told.first.get_or_insert(monotonic);
            let passed = Duration::try_from_secs_f64(monotonic - first).unwrap_or_default();
            // Never back, whatever the host says.
            told.ahead = told.ahead.max(passed.saturating_sub(self.machine.monotonic()));
        }
        Ok(())
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.now.unwrap_or_else(|| self.machine.now())
    }

    fn monotonic(&self) -> Duration {
        let ahead = self.told.lock().unwrap_or_else(PoisonError::into_inner).ahead;
        self.machine.monotonic().saturating_add(ahead)
    }
}
