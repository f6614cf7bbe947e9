//! What goes into a prompt, from outside: names, relevance, and the window of the model that is asked.

use futures::StreamExt as _;
use std::sync::Arc;
use syntra_core::context::{Budget, Section};
use syntra_core::memory::{MemoryType, NewMemory};
use syntra_core::router::{Catalogue, ModelInfo};
use syntra_core::testing::{FakeClock, Script, ScriptedProvider};
use syntra_core::{Ask, Error, ErrorKind, Event, Message, Scope, Syntra};

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

/// A catalogue in which each of `models` of provider `p` has that window.
fn windows(models: &[(&str, u64)]) -> Catalogue {
    let mut catalogue = Catalogue::empty();
    for (model, window) in models {
        let mut info = ModelInfo::new("p", *model);
        info.context_window = Some(*window);
        catalogue.insert(info);
    }
    catalogue
}

/// An assistant over the models of one scripted provider, with a memory that fills any prompt.
async fn full(provider: &ScriptedProvider, models: &[&str], known: &[(&str, u64)]) -> Syntra {
    let syntra = Syntra::builder()
        .in_memory()
        .clock(Arc::new(FakeClock::default()))
        .provider(provider.clone())
        .models("p", models.iter().copied())
        .catalogue(windows(known))
        .build()
        .unwrap();
    let items = (0..40).map(|n| {
        let text = format!(
            "The lighthouse number {n} on the northern cape was built by {n} brothers. {}",
            "It is tall. ".repeat(20)
        );
        NewMemory::new(MemoryType::Semantic, text)
    });
    syntra.remember(&ada(), items.collect()).await.unwrap();
    syntra
}

fn question() -> Ask {
    Ask::new("Who built the lighthouse on the northern cape?").with_max_tokens(300)
}

#[tokio::test(start_paused = true)]
async fn a_prompt_fits_the_window_of_the_model_that_is_asked() {
    for (window, most) in [(1_000, 700), (1_500, 1_200), (1_000_000, 6_000)] {
        let provider = ScriptedProvider::always("p", Script::text("Brothers."));
        let syntra = full(&provider, &["m"], &[("m", window)]).await;
        for ask in [question(), question().with_model("p/m")] {
            let answer = syntra.ask(&ada(), ask).await.unwrap();
            assert!(!answer.turn.degraded);
            assert!(answer.trace.prompt_tokens <= most, "{} of {window}", answer.trace.prompt_tokens);
            assert!(answer.trace.prompt_tokens > most / 3, "{} of {window}", answer.trace.prompt_tokens);
            assert!(answer.trace.warnings.is_empty(), "{:?}", answer.trace.warnings);
        }
    }
    // Nobody knows the window: the budget alone counts.
    let provider = ScriptedProvider::always("p", Script::text("Brothers."));
    let answer = full(&provider, &["m"], &[]).await.ask(&ada(), question()).await.unwrap();
    assert!(answer.trace.prompt_tokens > 2_000, "{}", answer.trace.prompt_tokens);
}

#[tokio::test(start_paused = true)]
async fn a_model_whose_window_is_smaller_takes_over_with_a_shorter_prompt() {
    let failing = Script::error(ErrorKind::Credential);
    let provider = ScriptedProvider::new("p", [failing, Script::text("Brothers.")]);
    // The larger one is tried first: the smaller cannot take the prompt.
    let syntra = full(&provider, &["large", "small"], &[("large", 100_000), ("small", 1_500)]).await;
    let answer = syntra.ask(&ada(), question()).await.unwrap();
    let asked: Vec<String> = provider.requests().iter().map(|r| r.model.clone()).collect();
    assert_eq!(asked, ["large", "small"]);
    assert!(answer.trace.prompt_tokens <= 1_200);
    assert!(answer.trace.warnings.iter().any(|w| w.contains("built again")), "{:?}", answer.trace.warnings);
    assert_eq!((answer.text.as_str(), answer.turn.degraded), ("Brothers.", false));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_was_too_long_is_sent_once_more_and_shorter() {
    let refused = |message: &str| Script::Fails(Error::new(ErrorKind::ContextTooLong, message));
    for (message, most) in [
        ("the context window is full", 0),
        ("This model's maximum context length is 2000 tokens. However, your messages resulted in 5200 tokens.", 1_700),
    ] {
        for pinned in [false, true] {
            let provider = ScriptedProvider::new("p", [refused(message), Script::text("Brothers.")]);
            let syntra = full(&provider, &["m"], &[]).await;
            let ask = if pinned { question().with_model("p/m") } else { question() };
            let events: Vec<Event> = syntra.stream(&ada(), ask.clone()).unwrap().collect().await;
            let Some(Event::Done(done)) = events.last() else { panic!("{events:?}") };
            assert!(!done.degraded);
            let trace = syntra.trace(&ada(), &done.turn_id).unwrap();
            assert_eq!(trace.attempts.len(), 2);
            assert_eq!(trace.attempts[0].error, Some(ErrorKind::ContextTooLong));
            assert!(trace.warnings.iter().any(|w| w.contains("built again")), "{:?}", trace.warnings);
            let length = |call: usize| provider.requests()[call].messages.iter().map(|m| m.text().len()).sum::<usize>();
            assert!(length(1) * 10 < length(0) * 7, "{} then {}", length(0), length(1));
            assert!(most == 0 || trace.prompt_tokens <= most, "{}", trace.prompt_tokens);
            let last = provider.requests()[1].messages.last().unwrap().text();
            assert_eq!(last, ask.message.text(), "the question is there, whole");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_shortened_once_and_no_more() {
    let provider = ScriptedProvider::always("p", Script::error(ErrorKind::ContextTooLong));
    let syntra = full(&provider, &["m"], &[]).await;
    let answer = syntra.ask(&ada(), question()).await.unwrap();
    assert!(answer.turn.degraded);
    assert_eq!(provider.calls(), 2);
    let error = syntra.ask(&ada(), question().with_model("p/m")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextTooLong);
    assert_eq!(provider.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_clearly_irrelevant_is_left_out_of_the_prompt_and_nowhere_else() {
    let provider = ScriptedProvider::always("p", Script::text("In 1851."));
    let builder = Syntra::builder().in_memory().clock(Arc::new(FakeClock::default()));
    let syntra = builder.provider(provider.clone()).models("p", ["m"]).build().unwrap();
    let known = [
        (MemoryType::Semantic, "The lighthouse on the northern cape was built in 1851."),
        (MemoryType::Semantic, "The northern cape's lighthouse was built by three brothers."),
        (MemoryType::Semantic, "Bread dough has to rest for an hour."),
        (MemoryType::Semantic, "Tennis rackets are strung with nylon."),
        (MemoryType::Profile, "I am allergic to nuts."),
        (MemoryType::Procedural, "Always answer in one sentence."),
    ];
    let items = known.iter().map(|(kind, text)| NewMemory::new(*kind, *text)).collect();
    syntra.remember(&ada(), items).await.unwrap();
    let asked = "When was the lighthouse on the northern cape built?";
    let answer = syntra.ask(&ada(), Ask::new(asked).with_remember(false)).await.unwrap();
    let prompt = sent(&provider);
    for (kind, text) in known {
        let irrelevant = text.contains("Bread") || text.contains("Tennis");
        assert_eq!(prompt.contains(text), !irrelevant, "{kind:?} {text}: {prompt}");
    }
    let reasons: Vec<_> = answer.trace.dropped.iter().filter(|d| d.reason.contains("not relevant enough")).collect();
    assert_eq!(reasons.len(), 2, "{:?}", answer.trace.dropped);
    assert!(reasons.iter().all(|d| d.memory_id.is_some() && d.tokens > 0));
    // Recall finds what it found.
    assert_eq!(answer.trace.recalled.len(), known.len());
    assert_eq!(syntra.recall(&ada(), asked).await.unwrap().items.len(), known.len());
}

#[tokio::test(start_paused = true)]
async fn memories_that_fit_about_as_well_all_stay() {
    let provider = ScriptedProvider::always("p", Script::text("Three."));
    let builder = Syntra::builder().in_memory().clock(Arc::new(FakeClock::default()));
    let syntra = builder.provider(provider.clone()).models("p", ["m"]).build().unwrap();
    let capes = ["northern", "southern", "eastern"];
    let text = |cape: &str| format!("The lighthouse on the {cape} cape was built long ago.");
    let items = capes.iter().map(|cape| NewMemory::new(MemoryType::Semantic, text(cape))).collect();
    syntra.remember(&ada(), items).await.unwrap();
    syntra.ask(&ada(), "Which lighthouse was built on a cape?").await.unwrap();
    let prompt = sent(&provider);
    assert!(capes.iter().all(|cape| prompt.contains(&text(cape))), "{prompt}");
}

#[tokio::test(start_paused = true)]
async fn the_adaptive_classic_ranker_gives_a_bonus_for_shared_topics() {
    use syntra_core::search::{ClassicRanker, HybridRanker, Signal};
    let parts = async |ranker: Arc<dyn HybridRanker>| {
        let syntra =
            Syntra::builder().in_memory().clock(Arc::new(FakeClock::default())).ranker(ranker).build().unwrap();
        let texts = ["The lighthouse on the cape is tall.", "A lighthouse needs oil.", "Bread has to rest."];
        let items = texts.iter().map(|text| NewMemory::new(MemoryType::Semantic, *text)).collect();
        syntra.remember(&ada(), items).await.unwrap();
        let recall = syntra.recall(&ada(), "how tall is the lighthouse on the cape").await.unwrap();
        let topic = |text: &str| {
            let item = recall.items.iter().find(|i| i.memory.text == text).unwrap();
            item.parts.iter().find(|(signal, _)| *signal == Signal::Topic).map(|(_, part)| (part * 100.0).round())
        };
        texts.map(topic)
    };
    // .1 for each of tall, lighthouse, cape; at most .3.
    assert_eq!(parts(Arc::new(ClassicRanker::adaptive())).await, [Some(30.0), Some(10.0), None]);
    assert_eq!(parts(Arc::new(ClassicRanker::fixed())).await, [None; 3]);
}
