//! The arithmetic of rates: buckets that refill, and a rate that was cut and comes back. Pure.

use crate::transport::RateWindow;
use std::time::Duration;

/// How long a rate stays cut before it recovers.
const PENALTY_TIME: Duration = Duration::from_secs(60);
/// What a second without a 429 gives back, in calls a second, and as a share of the rate that was cut.
const RECOVERY: f64 = 0.1;
const RECOVERY_SHARE: f64 = 0.05;

/// A leaky bucket as the generic cell rate algorithm keeps it: `full_at` is when nothing of it is used any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Seconds that one unit takes to come back.
    pub(super) interval: f64,
    /// Units that fit.
    pub(super) size: f64,
    pub(super) full_at: Duration,
}

impl Bucket {
    /// When `units` conform: the whole bucket has to do where they are more than fit.
    pub(super) fn ready_at(&self, units: f64) -> Duration {
        let spare = (self.size - units).max(0.0) * self.interval;
        self.full_at.saturating_sub(seconds(spare))
    }

    pub(super) fn take(&mut self, units: f64, now: Duration) {
        self.full_at = self.full_at.max(now).saturating_add(seconds(units * self.interval));
    }

    /// Gives `units` back that were taken when the bucket came to be full at `charged`; what has leaked since is gone.
    pub(super) fn give_back(&mut self, units: f64, charged: Duration, now: Duration) {
        let left = charged.saturating_sub(now);
        self.full_at = self.full_at.saturating_sub(seconds(units * self.interval).min(left));
    }
}

pub(super) fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX / 4)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) at: Duration,
    /// The rate that was too much.
    pub(super) base: f64,
    /// The rate at `since`.
    pub(super) rate: f64,
    pub(super) since: Duration,
    pub(super) next: Duration,
}

/// The bucket that a header describes. `reset` is when the bucket will be full again, which is what `full_at` is.
pub(super) fn learnt(window: RateWindow, now: Duration) -> Option<Bucket> {
    let RateWindow { limit, remaining, reset } = window;
    let (limit, used) = (limit as f64, limit.saturating_sub(remaining) as f64);
    if limit < 1.0 || used <= 0.0 || reset.is_zero() {
        return None;
    }
    Some(Bucket { interval: reset.as_secs_f64() / used, size: limit, full_at: now.saturating_add(reset) })
}

/// A rate that was cut comes back: a tenth of a call a second, or a twentieth of what it was, each second after the penalty. When it is
/// what it was the cut is over, and only the pacer's own limits hold.
pub(super) fn recover(cut: &mut Option<Cut>, limit: Option<f64>, now: Duration) {
    let Some(c) = cut else { return };
    let from = c.since.max(c.at + PENALTY_TIME);
    if now <= from {
        return;
    }
    let gained = (now - from).as_secs_f64() * RECOVERY.max(c.base * RECOVERY_SHARE);
    if c.rate + gained >= c.base.min(limit.unwrap_or(f64::INFINITY)) {
        *cut = None;
    } else {
        c.rate += gained;
        c.since = now;
    }
}
