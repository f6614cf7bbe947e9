//! A router of one's own: one that wraps the default, and one that replaces it. `cargo run --example router`.
//!
//! It needs no key and no network: the models are scripted.

use std::sync::Arc;
use syntra_core::exec::RetryPolicy;
use syntra_core::router::{
    CandidateReport, Catalogue, DefaultRouter, Fleet, Intent, Plan, Planned, RouteOutcome, RouteQuery, Router,
    RouterPreferences, Standing,
};
use syntra_core::testing::{Script, ScriptedProvider};
use syntra_core::{Error, ErrorKind, Result, Scope, Syntra, SystemClock};

/// Wraps the default: what it says is kept, but questions about the company go to the model in the house.
#[derive(Debug)]
struct InHouse(DefaultRouter);

impl Router for InHouse {
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
        let mut plan = self.0.plan(query, fleet)?;
        if query.text.to_lowercase().contains("our company")
            && let Some(at) = plan.order.iter().position(|planned| planned.target.provider == "house")
        {
            let mut own = plan.order.remove(at);
            own.reason = "questions about us stay in the house".into();
            plan.order.insert(0, own);
        }
        Ok(plan)
    }

    // Everything else is handed on, so that it goes on learning.
    fn observe(&self, outcome: &RouteOutcome) {
        self.0.observe(outcome);
    }
    fn export_learned(&self, organisation: &str) -> Option<serde_json::Value> {
        self.0.export_learned(organisation)
    }
    fn import_learned(&self, organisation: &str, learned: &serde_json::Value) -> Result<()> {
        self.0.import_learned(organisation, learned)
    }
    fn reset_learned(&self, organisation: &str) -> bool {
        self.0.reset_learned(organisation)
    }
}

/// Replaces it: code goes to one model, the rest to another. Policies hold for it too, without its knowing.
#[derive(Debug)]
struct TwoWays;

impl Router for TwoWays {
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
        let wanted = if query.intent == Intent::CodingHelp { "cloud" } else { "house" };
        let mut targets: Vec<_> = fleet.targets.iter().filter(|(_, health)| health.available).collect();
        targets.sort_by_key(|(target, _)| target.provider != wanted);
        if targets.is_empty() {
            return Err(Error::new(ErrorKind::Overloaded, "no model is available"));
        }
        let reason = |target: &str| match target == wanted {
            true => format!("{} goes to {wanted}", query.intent.as_str()),
            false => "in case it is down".to_owned(),
        };
        let order: Vec<Planned> = targets
            .iter()
            .map(|(target, _)| Planned { target: target.clone(), reason: reason(&target.provider).into() })
            .collect();
        let reports = order.iter().enumerate().map(|(rank, planned)| {
            let standing = if rank == 0 { Standing::Chosen } else { Standing::Fallback };
            CandidateReport::new(planned.target.clone(), standing, Some(rank), planned.reason.clone())
        });
        let reports = reports.collect();
        Ok(Plan::new(order, reports, query.intent, query.confidence))
    }
}

fn assistant(router: Arc<dyn Router>) -> Result<Syntra> {
    let says = |name: &str| ScriptedProvider::new(name, vec![Script::text(&format!("This is {name}.")); 8]);
    Syntra::builder()
        .provider(says("house"))
        .models("house", ["own-model"])
        .provider(says("cloud"))
        .models("cloud", ["big-model"])
        .retry_policy(RetryPolicy::default())
        .router(router)
        .build()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let scope = Scope::new("acme", "ada")?;
    let default = DefaultRouter::new(Catalogue::builtin(), RouterPreferences::default(), Arc::new(SystemClock::new()));
    let questions = ["What does our company do?", "Write a function that sorts a list in Rust."];
    for (name, router) in [("wrapped", Arc::new(InHouse(default)) as Arc<dyn Router>), ("replaced", Arc::new(TwoWays))]
    {
        let assistant = assistant(router)?;
        println!("== {name}");
        for question in questions {
            let answer = assistant.ask(&scope, question).await?;
            println!("{question}\n  {}", answer.text);
            if let Some(plan) = &answer.trace.plan {
                print!("{}", plan.explain());
            }
        }
    }
    Ok(())
}
