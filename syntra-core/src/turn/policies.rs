//! What a host allows and wants of the choice of a model: for everybody, and for each organisation.

use super::Turn;
use crate::chat::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::router::{Fleet, Plan, Policies, Regions, RouteQuery, RoutingPolicy};
use std::collections::HashMap;
use std::sync::Arc;

/// The host's policies.
#[derive(Debug, Default)]
pub(crate) struct HostPolicies {
    pub(crate) all: Arc<RoutingPolicy>,
    pub(crate) by_organisation: HashMap<String, Arc<RoutingPolicy>>,
    pub(crate) regions: Arc<Regions>,
}

impl HostPolicies {
    /// What counts for a question of `scope`, the most general first; `wanted` is what the experiments that it is in say.
    pub(super) fn of(&self, scope: &Scope, wanted: Vec<Arc<RoutingPolicy>>, asked: Option<&RoutingPolicy>) -> Policies {
        let own = self.by_organisation.get(scope.org()).cloned();
        let asked = asked.map(|policy| Arc::new(policy.clone()));
        Policies::new(std::iter::once(self.all.clone()).chain(own).chain(wanted).chain(asked))
    }

    /// Checks all of them.
    pub(crate) fn check(&self) -> Result<()> {
        self.by_organisation.values().chain([&self.all]).try_for_each(|policy| policy.check())
    }
}

/// The router's plan for `query`, without what the policies forbid: a host's own router need not know of them.
pub(super) async fn planned(turn: &Turn, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
    let mut plan = turn.rooms.router.plan_async(query, fleet).await?;
    plan.order.retain(|p| query.policies.permits(&p.target) && query.policies.resides(&p.target, &query.regions));
    plan.experiments.clone_from(&turn.arms);
    if plan.order.is_empty() {
        let problem = "a policy does not allow any of the models that the router chose";
        return Err(Error::new(ErrorKind::Unsupported, problem));
    }
    Ok(plan)
}
