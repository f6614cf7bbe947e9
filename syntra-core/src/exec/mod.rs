//! Carrying a plan out: attempts, and fallback before the first content event.
//!
//! May use [`crate::chat`], [`crate::error`], [`crate::provider`] and [`crate::router`]. Events are held back until the first that a
//! reader would see; up to there a failure moves on to the next target of the plan unseen. After it, a failure is a typed
//! error: text is never shown twice. Identical calls in flight share one call upstream.

mod attempt;
mod coalesce;

pub use coalesce::{CallKey, Coalescer};

pub use attempt::{AttemptRecord, Execution, ExecutionStream, ExecutionUpdate, RetryPolicy, execute};

#[cfg(test)]
mod tests;
