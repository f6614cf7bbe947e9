//! A place in the queue, and leave to call.

use super::Pacer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A call that waits; dropping it gives its place back.
pub(super) struct Place {
    pacer: Arc<Pacer>,
    model: String,
    tokens: u64,
    pub(super) turnstile: Arc<Semaphore>,
}

impl Place {
    pub(super) fn new(pacer: &Arc<Pacer>, model: &str, tokens: u64) -> Self {
        let now = pacer.clock.monotonic();
        let turnstile = {
            let mut state = pacer.lock();
            let lane = state.lane(model, now);
            lane.waiting += 1;
            lane.waiting_tokens = lane.waiting_tokens.saturating_add(tokens);
            lane.turnstile.clone()
        };
        Self { pacer: pacer.clone(), model: model.to_owned(), tokens, turnstile }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lane) = self.pacer.lock().models.get_mut(&self.model) {
            lane.waiting = lane.waiting.saturating_sub(1);
            lane.waiting_tokens = lane.waiting_tokens.saturating_sub(self.tokens);
        }
    }
}

impl PacePermit {
    /// How long the call had to wait.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// When it was let through, on the pacer's clock.
    pub fn admitted(&self) -> Duration {
        self.admitted
    }

    /// Says that the call goes out: from here on dropping the permit gives the slot back, but not the place in the rate, which
    /// the provider has counted.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// The tokens that the call took in the end, in place of the estimate.
    pub fn settle_tokens(&mut self, actual: u64) {
        let estimate = std::mem::replace(&mut self.tokens, actual);
        let now = self.pacer.clock.monotonic();
        let mut state = self.pacer.lock();
        let lane = state.models.get_mut(&self.model).and_then(|lane| lane.tokens.as_mut());
        if actual > estimate {
            let more = (actual - estimate) as f64;
            lane.into_iter().for_each(|bucket| bucket.take(more, now));
            state.tokens.iter_mut().for_each(|bucket| bucket.take(more, now));
        } else if let Some(bucket) = &mut state.tokens {
            // The provider's own bucket is told by its headers.
            bucket.give_back((estimate - actual) as f64, self.charged.tokens, now);
        }
    }
}

impl Drop for PacePermit {
    fn drop(&mut self) {
        let mut state = self.pacer.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if !self.sent {
            let (now, charged) = (self.pacer.clock.monotonic(), self.charged);
            state.requests.iter_mut().for_each(|bucket| bucket.give_back(1.0, charged.requests, now));
            let tokens = self.tokens as f64;
            state.tokens.iter_mut().for_each(|bucket| bucket.give_back(tokens, charged.tokens, now));
        }
        if state.surplus > 0
            && let Some(slot) = self.slot.take()
        {
            state.surplus -= 1;
            slot.forget();
        }
    }
}

/// Leave to call; dropping it gives the slot back.
#[derive(Debug)]
pub struct PacePermit {
    pub(super) pacer: Arc<Pacer>,
    pub(super) slot: Option<OwnedSemaphorePermit>,
    pub(super) model: String,
    pub(super) tokens: u64,
    pub(super) charged: Charged,
    pub(super) admitted: Duration,
    pub(super) waited: Duration,
    pub(super) sent: bool,
}

/// When the pacer's own buckets came to be full with this call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charged {
    pub(super) requests: Duration,
    pub(super) tokens: Duration,
}
