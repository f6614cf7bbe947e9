//! Strategies, signals, use, listing, counts.

use super::{Ask, Check, Suite, checked, day, ensure, ids, semantic, word};
use crate::chat::{Role, Scope};
use crate::memory::{MemoryType, NewMemory, Page};
use crate::search::{Filter, Signal, Strategy};

pub(super) async fn all(suite: &Suite, breaches: &mut Vec<String>) {
    checked(suite, "strategies", breaches, strategies).await;
    checked(suite, "filters", breaches, filters).await;
    checked(suite, "signals", breaches, signals).await;
    checked(suite, "touch", breaches, touch).await;
    checked(suite, "list", breaches, list).await;
    checked(suite, "stats", breaches, stats).await;
    checked(suite, "handles", breaches, handles).await;
}

async fn strategies(suite: &Suite, scope: Scope) -> Check {
    let kinds = [MemoryType::Semantic, MemoryType::Profile, MemoryType::Episodic, MemoryType::Procedural];
    let items =
        kinds.into_iter().zip(["apples", "bananas", "cherries", "dates"]).enumerate().map(|(i, (kind, fruit))| {
            let mut item = NewMemory::new(kind, format!("Something about {fruit} in Lisbon"))
                .with_id(fruit)
                .with_said_at(day(i as i64));
            item.vector = Some(suite.axis(i));
            item
        });
    suite.remember(&scope, items.collect()).await?;
    for (axis, fruit) in ["apples", "bananas", "cherries", "dates"].into_iter().enumerate() {
        let found = suite.find(&scope, Strategy::Keyword, &Ask::new(fruit)).await?;
        ensure!(found == [fruit], "the keyword {fruit} should find it alone: {found:?}");
        let mut ask = Ask::vector(suite.axis(axis));
        ask.limit = 1;
        let found = suite.find(&scope, Strategy::Vector, &ask).await?;
        ensure!(found == [fruit], "the nearest vector should be {fruit}: {found:?}");
    }
    let recent = suite.find(&scope, Strategy::Recent, &Ask { limit: 2, ..Ask::new("what is new") }).await?;
    ensure!(recent == ["dates", "cherries"], "the newest should come first: {recent:?}");
    let profile = suite.find(&scope, Strategy::Profile, &Ask::new("who am I")).await?;
    ensure!(profile.first().is_some_and(|id| id == "bananas"), "the profile should be found: {profile:?}");
    let graph = suite.find(&scope, Strategy::Graph, &Ask::new("What of Lisbon?")).await?;
    ensure!(graph.iter().all(|id| ["apples", "bananas", "cherries", "dates"].contains(&id.as_str())), "{graph:?}");
    let nothing = suite.find(&scope, Strategy::Keyword, &Ask::new("zzzzz")).await?;
    ensure!(nothing.is_empty(), "a word that nobody said finds nothing: {nothing:?}");
    Ok(())
}

async fn filters(suite: &Suite, scope: Scope) -> Check {
    let items = (0..6i64).map(|i| {
        let kind = if i % 2 == 0 { MemoryType::Episodic } else { MemoryType::Semantic };
        let mut item = NewMemory::new(kind, format!("shared word number{i}"))
            .with_id(format!("m{i}"))
            .with_conversation(if i < 3 { "first" } else { "second" })
            .with_said_at(day(i));
        item.vector = Some(suite.axis((i % 4) as usize));
        item
    });
    suite.remember(&scope, items.collect()).await?;
    let cases = [
        (Filter { kinds: vec![MemoryType::Semantic], ..Filter::default() }, vec!["m1", "m3", "m5"]),
        (Filter { conversation: Some("second".into()), ..Filter::default() }, vec!["m3", "m4", "m5"]),
        (Filter { from: Some(day(2)), to: Some(day(4)), ..Filter::default() }, vec!["m2", "m3"]),
        (
            Filter {
                kinds: vec![MemoryType::Episodic, MemoryType::Procedural],
                conversation: Some("first".into()),
                from: Some(day(1)),
                ..Filter::default()
            },
            vec!["m2"],
        ),
        (Filter { conversation: Some("third".into()), ..Filter::default() }, vec![]),
    ];
    for (filter, expected) in cases {
        let listed = suite.b.list(&scope, &filter, Page::default()).await.map_err(|e| format!("list failed: {e}"))?;
        let listed: Vec<String> = listed.into_iter().map(|m| m.id).collect();
        ensure!(listed == ids(&expected), "{filter:?} should list {expected:?}: {listed:?}");
        let ask = Ask { vector: Some(suite.axis(0)), ..Ask::new("shared word") }.within(filter.clone());
        for strategy in [Strategy::Keyword, Strategy::Vector, Strategy::Recent] {
            let mut found = suite.find(&scope, strategy, &ask).await?;
            found.sort();
            ensure!(
                found.iter().all(|id| expected.contains(&id.as_str())),
                "{strategy:?} found what {filter:?} excludes: {found:?}"
            );
            // Pre-filtered: what the filter lets through is found even where better hits lie outside of it.
            ensure!(strategy == Strategy::Vector || found == ids(&expected), "{strategy:?} with {filter:?}: {found:?}");
        }
    }
    Ok(())
}

async fn signals(suite: &Suite, scope: Scope) -> Check {
    let mut item = semantic("s1", "Grace wrote the compiler").with_reliability(0.5).with_said_at(day(90));
    item.vector = Some(suite.axis(0));
    suite.remember(&scope, vec![item, semantic("s2", "Something else")]).await?;
    let ask = Ask { vector: Some(suite.axis(0)), ..Ask::new("compiler") };
    let found = suite.signals(&scope, &["s2", "nobody", "s1"], &ask).await?;
    let named: Vec<&str> = found.iter().map(|c| &*c.id).collect();
    ensure!(named == ["s2", "s1"], "signals of those that are there, in order: {named:?}");
    for candidate in &found {
        let has = |signal| candidate.signals.get(signal);
        if &*candidate.id == "s1" {
            ensure!(has(Signal::Keyword).is_some_and(|v| v > 0.0), "a keyword hit has a score: {candidate:?}");
            ensure!(has(Signal::Vector).is_some_and(|v| (v - 1.0).abs() < 1e-2), "its cosine is 1: {candidate:?}");
            ensure!(has(Signal::Reliability) == Some(0.5), "its reliability is known: {candidate:?}");
        } else {
            ensure!(has(Signal::Vector).is_none(), "without a vector there is no cosine, not a zero: {candidate:?}");
            ensure!(has(Signal::Reliability).is_none(), "nobody said how reliable it is: {candidate:?}");
        }
    }
    Ok(())
}

async fn touch(suite: &Suite, scope: Scope) -> Check {
    suite.remember(&scope, vec![semantic("t1", "tea"), semantic("t2", "coffee")]).await?;
    let failed = |e: crate::Error| format!("touch failed: {e}");
    suite.find(&scope, Strategy::Keyword, &Ask::new("tea")).await?;
    suite.a.touch(&scope, &ids(&["t1", "t1", "nobody"]), day(5)).await.map_err(failed)?;
    suite.a.touch(&scope, &ids(&["t1"]), day(3)).await.map_err(failed)?;
    let used = suite.b.get(&scope, &ids(&["t1", "t2"])).await.map_err(failed)?;
    let uses: Vec<_> = used.iter().map(|m| (m.access_count, m.last_accessed)).collect();
    ensure!(uses == [(2, Some(day(5))), (0, None)], "two uses, the last on day 5: {uses:?}");
    let found = suite.signals(&scope, &["t1"], &Ask::new("tea")).await?;
    let count = found.first().and_then(|c| c.signals.get(Signal::AccessCount));
    ensure!(count == Some(2.0), "the count reaches the index: {count:?}");
    Ok(())
}

async fn list(suite: &Suite, scope: Scope) -> Check {
    for i in 0..7 {
        // One by one, said in the other order: the order of writing is what counts.
        suite
            .remember(&scope, vec![semantic(&format!("l{i}"), &format!("entry {i}")).with_said_at(day(50 - i))])
            .await?;
    }
    let mut pages = Vec::new();
    for offset in [0, 3, 6, 9] {
        let page = suite.b.list(&scope, &Filter::default(), Page { offset, limit: 3 }).await;
        pages.push(page.map_err(|e| format!("list failed: {e}"))?.into_iter().map(|m| m.id).collect::<Vec<_>>());
    }
    let expected = [ids(&["l0", "l1", "l2"]), ids(&["l3", "l4", "l5"]), ids(&["l6"]), Vec::new()];
    ensure!(pages == expected, "pages in the order of writing: {pages:?}");
    let all = suite.b.list(&scope, &Filter::default(), Page { offset: 0, limit: u64::MAX }).await;
    ensure!(all.is_ok_and(|all| all.len() == 7), "the largest limit means all");
    Ok(())
}

async fn stats(suite: &Suite, scope: Scope) -> Check {
    let items = [(MemoryType::Profile, 1), (MemoryType::Semantic, 2), (MemoryType::Procedural, 3)]
        .into_iter()
        .flat_map(|(kind, n)| (0..n).map(move |i| NewMemory::new(kind, format!("{kind:?} {i}"))));
    suite.remember(&scope, items.collect()).await?;
    let stats = suite.b.stats(&scope).await.map_err(|e| format!("stats failed: {e}"))?;
    let by_type: Vec<(&str, u64)> = stats.by_type.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let expected = [("profile", 1), ("semantic", 2), ("episodic", 0), ("procedural", 3)];
    ensure!(by_type == expected && stats.total == 6, "counts by type: {stats:?}");
    Ok(())
}

async fn handles(suite: &Suite, scope: Scope) -> Check {
    let said = |i: usize, who: &str| {
        NewMemory::new(MemoryType::Episodic, format!("utterance {}", word(i)))
            .with_id(format!("u{i}"))
            .with_speaker(who)
            .with_role(Role::User)
            .with_conversation("talk")
    };
    suite.remember(&scope, vec![said(0, "Ada")]).await?;
    // Both handles have their indexes now; each has to notice what the other writes.
    for store in [&suite.a, &suite.b] {
        let found = store.recall(&scope, Strategy::Keyword, &Ask::new(word(0)).query()).await;
        ensure!(found.is_ok_and(|found| found.len() == 1), "both handles should find the first");
    }
    for i in 1..9 {
        let (writer, reader) = if i % 2 == 0 { (&suite.a, &suite.b) } else { (&suite.b, &suite.a) };
        let written = writer.remember(&scope, vec![said(i, if i < 3 { "Ada" } else { "Bo" })]).await;
        written.map_err(|e| format!("remember failed: {e}"))?;
        let found = reader.recall(&scope, Strategy::Keyword, &Ask::new(word(i)).query()).await;
        let found = found.map_err(|e| format!("recall failed: {e}"))?;
        ensure!(
            found.iter().any(|c| *c.id == *format!("u{i}")),
            "{} was written by the other handle: {found:?}",
            word(i)
        );
    }
    let speakers = suite.a.speakers(&scope).await.map_err(|e| format!("speakers failed: {e}"))?;
    ensure!(
        speakers.is_empty() || speakers == ["Bo", "Ada"],
        "speakers, the most frequent first, or none: {speakers:?}"
    );
    Ok(())
}
