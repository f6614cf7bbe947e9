//! Which model: intent, the catalogue of models, and the plan.
//!
//! May use [`crate::chat`], [`crate::error`], the in-package model of [`crate::embed`], by which it knows questions that are alike, and the dot products of [`crate::search`]. A plan does no I/O and calls no model; it takes microseconds and explains itself.

mod catalogue;
mod constraints;
mod default_router;
mod experiments;
mod explain;
mod health;
mod intent;
mod learning;
mod near;
mod policy;
mod price;
mod types;

pub use catalogue::{Catalogue, ModelInfo, QualityPrior, WebSearch, cost};
pub use default_router::{DefaultRouter, RouterPreferences};
pub use experiments::{Arm, ArmReport, Estimate, Experiment, ExperimentArm, ExperimentReport, GuardRails};
pub(crate) use experiments::{Experiments, TurnResult};
pub use health::{BreakerState, Closed, FleetHealth, HealthGuard, HealthOptions, KeyHealth};
pub use intent::{INTENT_INPUTS, IntentGuess, classify, intent_features, needs_of, predicted_output_tokens};
pub use policy::{Policies, RoutingPolicy, RoutingStrategy};
pub use price::{Price, Rates, Tier, TokenPrice};
pub use types::{
    CandidateReport, Fleet, Intent, Needs, Plan, Planned, Regions, RouteOutcome, RouteQuery, Sign, Standing, Target,
    TargetHealth,
};

use crate::error::Result;
use async_trait::async_trait;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};

/// FNV-1a of `bytes`: the same on every machine and in every version, for what has to fall the same way again.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    fnv(0xcbf2_9ce4_8422_2325, bytes)
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A quick hash of names, eight bytes at a time, for tables that a host fills and for what may fall otherwise in another version.
#[derive(Clone, Copy, Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let rest = (!rest.is_empty()).then_some(&last);
        for word in words.iter().chain(rest) {
            self.write_u64(u64::from_le_bytes(*word));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Makes [`Quick`] hashes.
type QuickHash = BuildHasherDefault<Quick>;

/// A number between 0 and 1 from a hash: SplitMix64's finaliser, whose bits are as good as any.
fn uniform(hash: u64) -> f64 {
    let z = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Chooses models.
#[async_trait]
pub trait Router: Send + Sync + Debug + 'static {
    /// The models of `fleet` to try for `query`, best first, with a report on every candidate.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] naming what no candidate can do; [`crate::ErrorKind::Overloaded`] when those that could are
    /// left alone after failures; [`crate::ErrorKind::NotFound`] with near misses for a pinned model that is not in the fleet;
    /// [`crate::ErrorKind::Config`] when the fleet is empty.
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan>;

    /// As [`Router::plan`], and what a turn calls: a router that has to wait for somebody (a service, an object of a host's language)
    /// says it here. As it is, it plans at once.
    ///
    /// # Errors
    /// As [`Router::plan`].
    async fn plan_async(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
        self.plan(query, fleet)
    }

    /// Learns how a call went. Does nothing by default.
    fn observe(&self, outcome: &RouteOutcome) {
        let _ = outcome;
    }

    /// Everything that was learned for `organisation`, as JSON without any text of a question; `None` when nothing was.
    fn export_learned(&self, organisation: &str) -> Option<serde_json::Value> {
        let _ = organisation;
        None
    }

    /// Takes over what [`Router::export_learned`] gave, in place of what was learned for `organisation`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] naming what is wrong with it; [`crate::ErrorKind::Unsupported`] by default.
    fn import_learned(&self, organisation: &str, learned: &serde_json::Value) -> Result<()> {
        let _ = (organisation, learned);
        Err(crate::Error::new(crate::ErrorKind::Unsupported, "this router does not learn"))
    }

    /// Forgets what was learned for `organisation`; whether there was something.
    fn reset_learned(&self, organisation: &str) -> bool {
        let _ = organisation;
        false
    }
}
