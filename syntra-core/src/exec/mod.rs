//! Carrying a plan out: attempts, fallback before the first content event, and coalescing of identical calls.
//!
//! May use [`crate::chat`], [`crate::clock`], [`crate::error`], [`crate::provider`] and the words of [`crate::router`]. Events are
//! held back until the first that a reader would see; up to there a failure moves on to the next target of the plan unseen.
//! After it, a failure is a typed error: text is never shown twice. Identical calls in flight share one call upstream.

mod attempt;
mod coalesce;

pub use coalesce::{CallKey, Coalescer};

pub use attempt::{AttemptRecord, Execution, ExecutionStream, ExecutionUpdate, RetryPolicy, execute};

#[cfg(test)]
mod tests;
