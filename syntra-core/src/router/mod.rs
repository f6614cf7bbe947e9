//! Which model: intent, the catalogue of models, and the plan.
//!
//! May use [`crate::chat`] and [`crate::error`]. A plan does no I/O and calls no model; it takes microseconds and explains itself.

mod catalogue;
mod near;
mod price;
mod types;

pub use catalogue::{Catalogue, ModelInfo, QualityPrior, WebSearch, cost};
pub use price::{Price, Rates, Tier, TokenPrice};
pub use types::{
    CandidateReport, Fleet, Intent, Needs, Plan, Planned, RouteOutcome, RouteQuery, Standing, Target, TargetHealth,
};

use crate::error::Result;
use std::fmt::Debug;

/// Chooses models.
pub trait Router: Send + Sync + Debug + 'static {
    /// The models of `fleet` to try for `query`, best first, with a report on every candidate.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] naming what no candidate can do; [`crate::ErrorKind::Config`] when the fleet is empty.
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan>;

    /// Learns how a call went. Does nothing by default.
    fn observe(&self, outcome: &RouteOutcome) {
        let _ = outcome;
    }
}
