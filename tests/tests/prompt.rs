//! What goes into a prompt, from outside: names, relevance, and the window of the model that is asked.

use std::sync::Arc;
use syntra_core::context::{Budget, Section};
use syntra_core::memory::{MemoryType, NewMemory};
use syntra_core::testing::{FakeClock, Script, ScriptedProvider};
use syntra_core::{Message, Scope, Syntra};

fn ada() -> Scope {
    Scope::new("acme", "ada").unwrap()
}

/// All the text that the last call was sent.
fn sent(provider: &ScriptedProvider) -> String {
    provider.requests().last().unwrap().messages.iter().map(|m: &Message| m.text() + "\n").collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_name_stays_within_its_budget_and_its_scope() {
    for (entities, total, lines) in [(300, 5000, 3), (70, 70, 1), (0, 0, 0)] {
        let provider = ScriptedProvider::always("p", Script::text("Ok."));
        let mut budget = Budget { entities, total, ..Default::default() };
        (budget.profile, budget.semantic, budget.episodic, budget.procedural, budget.history) = (0, 0, 0, 0, 0);
        let syntra = Syntra::builder()
            .in_memory()
            .clock(Arc::new(FakeClock::default()))
            .provider(provider.clone())
            .models("p", ["m"])
            .budget(budget)
            .build()
            .unwrap();
        let said = ["Ada met Grace in Oslo.", "Ada and Grace went to Turin.", "Grace left Turin with Barbara."];
        let items = |texts: &[&str]| texts.iter().map(|t| NewMemory::new(MemoryType::Episodic, *t)).collect::<Vec<_>>();
        syntra.remember(&ada(), items(&said)).await.unwrap();
        let bob = Scope::new("acme", "bob").unwrap();
        syntra.remember(&bob, items(&["Grace met Charles.", "Grace wrote to Charles."])).await.unwrap();
        let answer = syntra.ask(&ada(), "What did Ada, Grace and Barbara do in Turin?").await.unwrap();
        let known: Vec<_> = answer.trace.context.iter().filter(|l| l.section == Section::Entities).collect();
        assert!(known.len() >= lines && (lines > 0 || known.is_empty()), "{known:?}");
        if total < 100 {
            assert!(known.iter().map(|l| l.tokens).sum::<usize>() <= total);
            assert!(answer.trace.dropped.iter().any(|d| d.section == Section::Entities));
        }
        for line in &known {
            let sources = syntra.memories(&ada(), &line.sources).await.unwrap();
            assert!(!line.sources.is_empty() && sources.len() == line.sources.len(), "{line:?}");
            assert!(sent(&provider).contains(line.text.as_deref().unwrap()), "{line:?}");
            assert!(answer.trace.explain().contains(line.text.as_deref().unwrap()));
        }
        assert!(!sent(&provider).contains("Charles"));
    }
}
