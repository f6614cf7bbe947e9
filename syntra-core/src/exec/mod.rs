//! Carrying a plan out: attempts, fallback, recovery of what breaks in the middle, hedging, and coalescing of identical calls.
//!
//! May use [`crate::chat`], [`crate::clock`], [`crate::error`], [`crate::provider`], the words and the health of [`crate::router`] and
//! deadlines and rate limits of [`crate::transport`]. Events are held back until the first that a reader would see; up to there a failure moves on to the next
//! target of the plan unseen. After it, a model that can goes on from the text already shown, and where none can the caller's
//! [`Recovery`] decides between a restart that is announced and a typed error: text is never shown twice and never lost unannounced.
//! Identical calls in flight share one call upstream, and each call upstream has leave: a key, a breaker that lets it through, a
//! place in the provider's pace.
//!
//! | file | what |
//! |---|---|
//! | `execution` | what is carried out, and what comes out of it |
//! | `run` | one execution from its plan to its end: [`execute`] |
//! | `attempt` | one call from its beginning to its record and bill |
//! | `action` | the failure taxonomy: one action for each kind |
//! | `candidates` | who is called next, and when |
//! | `shown` | what the reader has seen, and going on from it |
//! | `hedge` | a second call beside a slow one, within a budget |
//! | `policy` | what the caller can choose |
//! | `cache` | answers that were given before, exact or by meaning |
//! | `coalesce` | identical calls in flight share one |
//! | `admission` | leave to call: which of several keys, whether its breaker lets through |
//! | `pacer` | the pace of the calls with one key |

mod action;
mod admission;
mod attempt;
mod cache;
mod candidates;
mod coalesce;
mod execution;
mod hedge;
mod pacer;
mod policy;
mod run;
mod shown;

pub use action::{Action, action};
pub use admission::{Admission, AdmissionOptions, Admissions, KeyReport};
pub use attempt::{AttemptRecord, CountTokens, Meter, OnDrop};
pub use cache::{CacheHit, CachePlace, CacheScope, Meaning, ResponseCache, ResponseCacheOptions, SemanticCacheOptions};
pub use coalesce::{CallKey, Coalescer};
pub use execution::{Execution, ExecutionStream, ExecutionUpdate};
pub use hedge::{HedgePolicy, Hedger};
pub use pacer::{PaceLimits, PacePermit, PaceReport, Pacer};
pub use policy::{Jitter, Recovery, RetryPolicy};
pub use run::execute;

#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
