//! Writing, duplicates, changes, removal.

use super::{Ask, Check, Suite, checked, day, ensure, ids, refused, semantic, word};
use crate::chat::{Role, Scope};
use crate::error::ErrorKind;
use crate::memory::{Memory, MemoryPatch, MemorySource, MemoryType, NewMemory, NewVector, Outcome, Page};
use crate::search::{Filter, Strategy};
use futures::future::join_all;
use serde_json::json;

pub(super) async fn all(suite: &Suite, breaches: &mut Vec<String>) {
    checked(suite, "round-trip", breaches, round_trip).await;
    checked(suite, "refusals", breaches, refusals).await;
    checked(suite, "caller-ids", breaches, caller_ids).await;
    checked(suite, "duplicates", breaches, duplicates).await;
    checked(suite, "merging", breaches, merging).await;
    checked(suite, "update", breaches, update).await;
    checked(suite, "vectors", breaches, vectors).await;
    checked(suite, "supersede", breaches, supersede).await;
    checked(suite, "facts", breaches, facts).await;
    checked(suite, "chunks", breaches, chunks).await;
    checked(suite, "forget", breaches, forget).await;
    checked(suite, "erase", breaches, erase).await;
    checked(suite, "concurrency", breaches, concurrency).await;
    checked(suite, "scopes", breaches, scopes).await;
}

async fn all_of(suite: &Suite, scope: &Scope) -> Result<Vec<Memory>, String> {
    suite
        .b
        .list(scope, &Filter::default(), Page { offset: 0, limit: 1000 })
        .await
        .map_err(|e| format!("list failed: {e}"))
}

async fn one(suite: &Suite, scope: &Scope, id: &str) -> Result<Memory, String> {
    let mut found = suite.b.get(scope, &ids(&[id])).await.map_err(|e| format!("get failed: {e}"))?;
    found.pop().ok_or_else(|| format!("{id:?} is not there"))
}

async fn round_trip(suite: &Suite, scope: Scope) -> Check {
    let mut full = semantic("full", "Zwölf Boxkämpfer 東京 \u{1F600}\u{0} end")
        .with_title("A title")
        .with_speaker("Ada")
        .with_role(Role::Assistant)
        .with_conversation("c1")
        .with_said_at(day(3))
        .with_source(MemorySource { document: "a/b.md".into(), line_from: Some(3), line_to: Some(9) })
        .with_reliability(0.75);
    full.metadata = [("n".to_owned(), json!({"a": [1, 2.5, null, "x"]}))].into_iter().collect();
    full.vector = Some(suite.axis(0));
    let bare = NewMemory::new(MemoryType::Episodic, "bare");
    let done = suite.remember(&scope, vec![full.clone(), bare]).await?;
    ensure!(done.iter().all(|r| r.outcome == Outcome::Created), "two new items were not created: {done:?}");
    let written = one(suite, &scope, "full").await?;
    let expected = Memory::from_new("full", full, written.created_at);
    ensure!(written == expected, "what came back differs:\n{written:?}\n{expected:?}");
    let bare = done.get(1).map(|r| r.id.clone()).unwrap_or_default();
    let bare = one(suite, &scope, &bare).await?;
    ensure!(bare.said_at == bare.created_at, "without a time, the time of writing should be that of saying");
    ensure!(
        bare.valid_from == bare.said_at && bare.valid_to.is_none(),
        "a new memory should hold from when it was said"
    );
    let asked = ids(&["full", "nobody", &bare.id, "full"]);
    let got: Vec<String> =
        suite.b.get(&scope, &asked).await.map_err(|e| e.to_string())?.into_iter().map(|m| m.id).collect();
    ensure!(got == ids(&["full", &bare.id, "full"]), "get should keep the order asked for: {got:?}");
    ensure!(suite.remember(&scope, Vec::new()).await?.is_empty(), "remembering nothing should do nothing");
    Ok(())
}

async fn refusals(suite: &Suite, scope: Scope) -> Check {
    let mut bad: Vec<(&str, NewMemory)> = vec![
        ("an empty text", semantic("x", "")),
        ("white space", semantic("x", " \n\t")),
        ("an empty id", semantic("", "text")),
        ("an id of 600 bytes", semantic(&"x".repeat(600), "text")),
        ("a reliability of 2", semantic("x", "text").with_reliability(2.0)),
        ("a reliability that is no number", semantic("x", "text").with_reliability(f32::NAN)),
    ];
    let wrong = [
        ("a vector that is too short", vec![1.0]),
        ("a vector of zeros", vec![0.0; suite.dimensions]),
        ("a vector with NaN", vec![f32::NAN; suite.dimensions]),
        ("a vector with infinity", vec![f32::INFINITY; suite.dimensions]),
    ];
    for (what, vector) in wrong {
        bad.push((what, NewMemory { vector: Some(vector), ..semantic("x", "text") }));
    }
    for (what, item) in bad {
        let batch = vec![semantic("before", "good"), item, semantic("after", "good too")];
        refused(what, ErrorKind::InvalidInput, suite.a.remember(&scope, batch).await)?;
        ensure!(all_of(suite, &scope).await?.is_empty(), "{what}: a batch that fails should write nothing");
    }
    suite.remember(&scope, vec![semantic("there", "one thing")]).await?;
    let batch = vec![semantic("new", "something"), semantic("there", "another thing")];
    refused("a taken id", ErrorKind::InvalidInput, suite.a.remember(&scope, batch).await)?;
    ensure!(all_of(suite, &scope).await?.len() == 1, "a batch that fails should write nothing");
    let patch = |text: &str| MemoryPatch { text: Some(text.into()), ..MemoryPatch::default() };
    refused("updating nobody", ErrorKind::NotFound, suite.a.update(&scope, "nobody", patch("x")).await)?;
    refused("an empty new text", ErrorKind::InvalidInput, suite.a.update(&scope, "there", patch(" ")).await)?;
    let short = MemoryPatch { vector: Some(vec![1.0]), ..MemoryPatch::default() };
    refused("a short new vector", ErrorKind::InvalidInput, suite.a.update(&scope, "there", short).await)?;
    let unsure = MemoryPatch { reliability: Some(-1.0), ..MemoryPatch::default() };
    refused("a reliability of -1", ErrorKind::InvalidInput, suite.a.update(&scope, "there", unsure).await)?;
    ensure!(one(suite, &scope, "there").await?.text == "one thing", "a refused update should change nothing");
    Ok(())
}

async fn caller_ids(suite: &Suite, scope: Scope) -> Check {
    let turn = |id: &str| {
        NewMemory::new(MemoryType::Episodic, "Thanks!").with_id(id).with_conversation("c").with_said_at(day(1))
    };
    let first = suite.remember(&scope, vec![turn("t1"), turn("t2"), turn("t1")]).await?;
    let outcomes: Vec<_> = first.iter().map(|r| (r.id.as_str(), r.outcome)).collect();
    let expected = [("t1", Outcome::Created), ("t2", Outcome::Created), ("t1", Outcome::Duplicate)];
    ensure!(outcomes == expected, "an item with an id of its own is that memory, whatever others say: {outcomes:?}");
    ensure!(all_of(suite, &scope).await?.len() == 2, "both turns should be there");
    Ok(())
}

async fn duplicates(suite: &Suite, scope: Scope) -> Check {
    let fact = |text: &str| NewMemory::new(MemoryType::Semantic, text);
    let first = suite.remember(&scope, vec![fact("Ada likes  Tea")]).await?;
    let base = first.first().map(|r| r.id.clone()).unwrap_or_default();
    let same = vec![fact("ada LIKES tea"), fact(" Ada\nlikes ｔｅａ "), fact("Ada likes tea").with_said_at(day(5))];
    for (item, done) in same.iter().zip(suite.remember(&scope, same.clone()).await?) {
        ensure!(
            done.outcome == Outcome::Duplicate && done.id == base,
            "{:?} repeats a fact, but was {done:?}",
            item.text
        );
    }
    let other = vec![
        fact("Ada likes tea!"),
        NewMemory::new(MemoryType::Profile, "Ada likes tea"),
        fact("Ada likes tea").with_speaker("Bo"),
        fact("Ada likes tea").with_role(Role::User),
        fact("Ada likes tea").with_conversation("c"),
        fact("Ada likes teas"),
    ];
    for (item, done) in other.iter().zip(suite.remember(&scope, other.clone()).await?) {
        ensure!(done.outcome == Outcome::Created, "{item:?} is not the same, but was {done:?}");
    }
    let said = |text: &str, at| {
        let item = NewMemory::new(MemoryType::Episodic, text).with_conversation("talk");
        suite.remember(&scope, vec![if let Some(at) = at { item.with_said_at(at) } else { item }])
    };
    let outcome = |done: Vec<crate::memory::Remembered>| done.first().map(|r| r.outcome);
    ensure!(outcome(said("ok", Some(day(1))).await?) == Some(Outcome::Created), "the first ok is new");
    ensure!(outcome(said("ok", Some(day(2))).await?) == Some(Outcome::Created), "ok at another time was said again");
    ensure!(outcome(said("OK", Some(day(1))).await?) == Some(Outcome::Duplicate), "ok at the same time is a retry");
    ensure!(outcome(said("ok", None).await?) == Some(Outcome::Duplicate), "ok at no known time is nothing new");
    Ok(())
}

async fn merging(suite: &Suite, scope: Scope) -> Check {
    let mut less = semantic("m", "The sky is blue").with_reliability(0.9);
    less.metadata.insert("kept".into(), json!(1));
    suite.remember(&scope, vec![less]).await?;
    let mut more = semantic("m", "the sky is blue").with_reliability(0.4).with_title("Sky");
    more.vector = Some(suite.axis(2));
    more.metadata = [("kept".to_owned(), json!(2)), ("new".to_owned(), json!(3))].into_iter().collect();
    let done = suite.remember(&scope, vec![more]).await?;
    ensure!(done.iter().all(|r| r.outcome == Outcome::Duplicate), "it is there already: {done:?}");
    let merged = one(suite, &scope, "m").await?;
    ensure!(merged.text == "The sky is blue", "the text that is there stays");
    ensure!(merged.reliability == Some(0.9), "the higher reliability stays, got {:?}", merged.reliability);
    ensure!(merged.title.as_deref() == Some("Sky"), "a missing title is added");
    ensure!(
        merged.metadata.get("kept") == Some(&json!(1)) && merged.metadata.get("new") == Some(&json!(3)),
        "metadata is added, not replaced: {:?}",
        merged.metadata
    );
    let near = suite.find(&scope, Strategy::Vector, &Ask::vector(suite.axis(2))).await?;
    ensure!(near == ["m"], "the added vector should be found: {near:?}");
    Ok(())
}

async fn update(suite: &Suite, scope: Scope) -> Check {
    let mut item = semantic("u", "The meeting is on monday").with_title("Meeting");
    item.vector = Some(suite.axis(0));
    item.metadata = [("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))].into_iter().collect();
    suite.remember(&scope, vec![item]).await?;
    let failed = |e: crate::Error| format!("update failed: {e}");
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("monday")).await? == ["u"], "monday should be found");
    let patch = MemoryPatch {
        reliability: Some(0.5),
        metadata: Some([("a".to_owned(), json!(null)), ("c".to_owned(), json!(3))].into_iter().collect()),
        ..MemoryPatch::default()
    };
    let updated = suite.a.update(&scope, "u", patch).await.map_err(failed)?;
    ensure!(updated == one(suite, &scope, "u").await?, "update should return what is there now");
    ensure!(
        updated.reliability == Some(0.5) && updated.title.as_deref() == Some("Meeting"),
        "only what is named changes"
    );
    let keys: Vec<_> = updated.metadata.keys().map(String::as_str).collect();
    ensure!(keys.len() == 2 && keys.contains(&"b") && keys.contains(&"c"), "null removes a field: {keys:?}");
    let near = suite.find(&scope, Strategy::Vector, &Ask::vector(suite.axis(0))).await?;
    ensure!(near == ["u"], "without a new text the vector stays: {near:?}");
    let patch = MemoryPatch { text: Some("The meeting is on thursday".into()), ..MemoryPatch::default() };
    suite.a.update(&scope, "u", patch).await.map_err(failed)?;
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("monday")).await?.is_empty(), "monday is gone");
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("thursday")).await? == ["u"], "thursday is there");
    let near = suite.find(&scope, Strategy::Vector, &Ask::vector(suite.axis(0))).await?;
    ensure!(near.is_empty(), "the old text's vector should be gone");
    let patch = MemoryPatch {
        text: Some("The meeting is on friday".into()),
        vector: Some(suite.axis(1)),
        ..MemoryPatch::default()
    };
    suite.a.update(&scope, "u", patch).await.map_err(failed)?;
    let near = suite.find(&scope, Strategy::Vector, &Ask::vector(suite.axis(1))).await?;
    ensure!(near == ["u"], "the new text's vector should be found: {near:?}");
    Ok(())
}

async fn vectors(suite: &Suite, scope: Scope) -> Check {
    let items = (0..5).map(|i| semantic(&format!("v{i}"), &format!("number {i}"))).collect();
    suite.remember(&scope, items).await?;
    let failed = |e: crate::Error| format!("missing_vectors or set_vectors failed: {e}");
    let missing = suite.b.missing_vectors(&scope, 3).await.map_err(failed)?;
    let named: Vec<&str> = missing.iter().map(|m| m.id.as_str()).collect();
    ensure!(named == ["v0", "v1", "v2"], "the oldest without a vector come first: {named:?}");
    let of = |id: &str, text: &str, axis| NewVector { id: id.into(), text: text.into(), vector: suite.axis(axis) };
    let wrong = vec![of("v0", "number 0", 0), NewVector { vector: vec![1.0], ..of("v1", "number 1", 1) }];
    refused("a short vector", ErrorKind::InvalidInput, suite.a.set_vectors(&scope, wrong).await)?;
    let batch = vec![
        of("v0", "number 0", 0),
        of("v1", "a text of the past", 1),
        of("nobody", "number 0", 1),
        // Twice as long as it should be: its direction is what counts.
        NewVector { vector: suite.axis(3).iter().map(|x| x * 2.0).collect(), ..of("v4", "number 4", 3) },
    ];
    let set = suite.a.set_vectors(&scope, batch).await.map_err(failed)?;
    ensure!(set == 2, "two of four fit a memory as it is, {set} were set");
    let missing = suite.b.missing_vectors(&scope, 10).await.map_err(failed)?;
    let named: Vec<&str> = missing.iter().map(|m| m.id.as_str()).collect();
    ensure!(named == ["v1", "v2", "v3"], "three still wait: {named:?}");
    let near = suite.find(&scope, Strategy::Vector, &Ask::vector(suite.axis(3))).await?;
    ensure!(near.first().is_some_and(|id| id == "v4"), "a vector that was set should be found: {near:?}");
    let stats = suite.b.stats(&scope).await.map_err(|e| e.to_string())?;
    ensure!(stats.with_vector == 2 && stats.total == 5, "two of five have a vector: {stats:?}");
    Ok(())
}

async fn supersede(suite: &Suite, scope: Scope) -> Check {
    let home = |id: &str, city: &str, at| semantic(id, &format!("Ada lives in {city}")).with_said_at(day(at));
    suite.remember(&scope, vec![home("h1", "Berlin", 0), semantic("x", "unrelated").with_said_at(day(0))]).await?;
    let failed = |e: crate::Error| format!("supersede failed: {e}");
    // A handle that has loaded its indexes must notice.
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("Berlin")).await? == ["h1"], "Berlin should be found");
    let done = suite.a.supersede(&scope, "h1", home("h2", "Lisbon", 30)).await.map_err(failed)?;
    ensure!(done.id == "h2" && done.outcome == Outcome::Superseded, "the new one should be written: {done:?}");
    let old = one(suite, &scope, "h1").await?;
    ensure!(
        old.valid_to == Some(day(30)) && old.superseded_by.as_deref() == Some("h2"),
        "the old one should end when the new one was said: {old:?}"
    );
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("Berlin")).await?.is_empty(), "Berlin holds no more");
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("Lisbon")).await? == ["h2"], "Lisbon holds");
    let every = Filter::default();
    let lived = |at| suite.b.as_of(&scope, at, &every, Page::default());
    for (at, expected) in [(-1, vec![]), (0, vec!["h1", "x"]), (29, vec!["h1", "x"]), (30, vec!["x", "h2"])] {
        let then: Vec<String> = lived(day(at)).await.map_err(failed)?.into_iter().map(|m| m.id).collect();
        ensure!(then == ids(&expected), "on day {at} there held {expected:?}, not {then:?}");
    }
    replaced(suite, &scope, "h2", (-9, -1), &[]).await?;
    for held in [(-9, 1), (3, 4), (29, 60)] {
        replaced(suite, &scope, "h2", held, &["h1"]).await?;
    }
    replaced(suite, &scope, "h2", (30, 60), &[]).await?;
    replaced(suite, &scope, "x", (0, 60), &[]).await?;
    let listed: Vec<String> = all_of(suite, &scope).await?.into_iter().map(|m| m.id).collect();
    ensure!(listed == ids(&["h1", "x", "h2"]), "history stays readable: {listed:?}");
    let again = suite.a.supersede(&scope, "h1", home("h3", "Rome", 40)).await;
    refused("superseding what is superseded", ErrorKind::Conflict, again)?;
    let nobody = suite.a.supersede(&scope, "nobody", home("h3", "Rome", 40)).await;
    refused("superseding nobody", ErrorKind::NotFound, nobody)?;
    let back = suite.a.supersede(&scope, "h2", home("h1", "Berlin", 50)).await;
    refused("a circle of two", ErrorKind::InvalidInput, back)?;
    ensure!(all_of(suite, &scope).await?.len() == 3, "refused calls should write nothing");
    let same = NewMemory::new(MemoryType::Semantic, "ada lives in lisbon");
    let done = suite.a.supersede(&scope, "h2", same).await.map_err(failed)?;
    ensure!(done.id == "h2" && done.outcome == Outcome::Duplicate, "the same again changes nothing: {done:?}");
    ensure!(one(suite, &scope, "h2").await?.valid_to.is_none(), "Lisbon still holds");
    let early = suite.a.supersede(&scope, "h2", home("h0", "Oslo", -5)).await.map_err(failed)?;
    ensure!(early.outcome == Outcome::Superseded, "what was said earlier may replace too");
    let ended = one(suite, &scope, "h2").await?;
    ensure!(ended.valid_to == Some(day(30)), "nothing ends before it began: {ended:?}");
    // Over what never held, to what did.
    replaced(suite, &scope, "h0", (0, 60), &["h1"]).await?;
    let stats = suite.b.stats(&scope).await.map_err(|e| e.to_string())?;
    ensure!(stats.total == 2 && stats.superseded == 2, "two hold, two do not: {stats:?}");
    Ok(())
}

/// What `id` took the place of held on some day of those from `first` to before `last`; a store need not know.
async fn replaced(suite: &Suite, scope: &Scope, id: &str, (first, last): (i64, i64), expected: &[&str]) -> Check {
    let found = suite.b.replaced(scope, &ids(&[id, "nobody"]), day(first), day(last)).await;
    let found = found.map_err(|e| format!("replaced failed: {e}"))?;
    ensure!(found.iter().all(|(of, _)| of == id), "each goes with {id}: {found:?}");
    let found: Vec<String> = found.into_iter().map(|(_, memory)| memory.id).collect();
    ensure!(
        found.is_empty() || found == ids(expected),
        "from day {first} to {last} there held {expected:?}, not {found:?}"
    );
    Ok(())
}

async fn facts(suite: &Suite, scope: Scope) -> Check {
    let failed = |e: crate::Error| format!("remember_fact failed: {e}");
    let home = |id: &str, city: &str, said: i64| {
        let text = format!("The user lives in {city}.");
        NewMemory::new(MemoryType::Profile, text).with_id(id).with_said_at(day(said))
    };
    let state = async |new: NewMemory| suite.a.remember_fact(&scope, "home", new).await.map_err(failed);
    let first = state(home("oslo", "Oslo", 1)).await?;
    ensure!((first.id.as_str(), first.outcome) == ("oslo", Outcome::Created), "the first fact is written: {first:?}");
    let same = state(home("again", "Oslo", 2)).await?;
    ensure!((same.id.as_str(), same.outcome) == ("oslo", Outcome::Duplicate), "what is known is known: {same:?}");
    let cat = NewMemory::new(MemoryType::Profile, "The user's cat is called Kit.").with_id("kit");
    suite.b.remember_fact(&scope, "cat", cat).await.map_err(failed)?;
    let moved = state(home("rome", "Rome", 30)).await?;
    ensure!((moved.id.as_str(), moved.outcome) == ("rome", Outcome::Superseded), "a newer one replaces it: {moved:?}");
    let old = one(suite, &scope, "oslo").await?;
    ensure!(
        old.valid_to == Some(day(30)) && old.superseded_by.as_deref() == Some("rome"),
        "the older one ends when the newer one was said: {old:?}"
    );
    let late = state(home("bergen", "Bergen", 20)).await?;
    ensure!((late.id.as_str(), late.outcome) == ("rome", Outcome::Duplicate), "what was said later stays: {late:?}");
    // Two that hold, from a time when nothing saw to it.
    let mut other = home("lima", "Lima", 25);
    other.metadata.insert("attribute".into(), json!("home"));
    suite.remember(&scope, vec![other]).await?;
    state(home("back", "Oslo", 60)).await?;
    let valid: Vec<String> =
        all_of(suite, &scope).await?.into_iter().filter(|m| m.valid_to.is_none()).map(|m| m.text).collect();
    ensure!(
        valid == ["The user's cat is called Kit.", "The user lives in Oslo."],
        "one fact of each attribute should hold: {valid:?}"
    );
    let found = suite.find(&scope, Strategy::Keyword, &Ask::new("lives")).await?;
    ensure!(found == ["back"], "what holds should be found: {found:?}");
    for (what, attribute, new) in [
        ("a fact that is no profile memory", "home", semantic("s", "a house")),
        ("a fact of nothing", "", home("x", "Oslo", 70)),
        ("an empty fact", "home", NewMemory::new(MemoryType::Profile, " ")),
    ] {
        refused(what, ErrorKind::InvalidInput, suite.a.remember_fact(&scope, attribute, new).await)?;
    }
    Ok(())
}

async fn chunks(suite: &Suite, scope: Scope) -> Check {
    let chunk = |id: &str, folder: &str, path: &str| {
        let source = MemorySource { document: path.into(), line_from: None, line_to: None };
        let mut item = semantic(id, &format!("chunk {id}")).with_conversation(path).with_source(source);
        item.metadata.insert("folder".into(), json!(folder));
        item.metadata.insert("file_hash".into(), json!("00ff"));
        item.metadata.insert("file_chunks".into(), json!(2));
        item
    };
    let mut items = vec![chunk("a1", "/one", "a.md"), chunk("a2", "/one", "a.md"), chunk("b1", "/two", "a.md")];
    // What only looks like one.
    items.push(NewMemory { kind: MemoryType::Episodic, ..chunk("no1", "/one", "a.md") });
    items.push(NewMemory { source: None, ..chunk("no2", "/one", "a.md") });
    items.push(NewMemory { conversation: None, ..chunk("no3", "/one", "a.md") });
    items.push(NewMemory {
        metadata: [("folder".to_owned(), json!(7))].into_iter().collect(),
        ..chunk("no4", "", "a.md")
    });
    items.push(semantic("no5", "something else"));
    suite.remember(&scope, items).await?;
    for (folder, expected) in [(Some("/one"), &["a1", "a2"][..]), (None, &["a1", "a2", "b1"]), (Some("/on"), &[])] {
        let found = suite.b.chunks(&scope, folder).await.map_err(|e| format!("chunks failed: {e}"))?;
        let mut found_ids: Vec<&str> = found.iter().map(|chunk| chunk.id.as_str()).collect();
        found_ids.sort_unstable();
        ensure!(found_ids == expected, "the chunks of {folder:?} are {expected:?}, not {found_ids:?}");
        let wrong =
            found.iter().find(|c| (c.path.as_str(), c.file_hash.as_str(), c.file_chunks) != ("a.md", "00ff", 2));
        ensure!(wrong.is_none(), "a chunk should say of which file it is: {wrong:?}");
    }
    Ok(())
}

async fn forget(suite: &Suite, scope: Scope) -> Check {
    let mut items: Vec<_> = (0..4).map(|i| semantic(&format!("f{i}"), &format!("{} fact", word(i)))).collect();
    for (axis, item) in items.iter_mut().enumerate() {
        item.vector = Some(suite.axis(axis));
    }
    suite.remember(&scope, items).await?;
    let failed = |e: crate::Error| format!("forget failed: {e}");
    suite.a.supersede(&scope, "f0", semantic("f9", "papa fact")).await.map_err(failed)?;
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("bravo")).await? == ["f1"], "bravo should be found");
    let gone = suite.a.forget(&scope, &ids(&["f1", "f9", "nobody", "f1"])).await.map_err(failed)?;
    ensure!(gone == 2, "two were there, {gone} were forgotten");
    for text in ["bravo", "papa"] {
        let found = suite.find(&scope, Strategy::Keyword, &Ask::new(text)).await?;
        ensure!(found.is_empty(), "{text} is forgotten: {found:?}");
    }
    let near = suite.find(&scope, Strategy::Vector, &Ask::vector(suite.axis(1))).await?;
    ensure!(!near.contains(&"f1".to_owned()), "its vector is forgotten too");
    let old = one(suite, &scope, "f0").await?;
    ensure!(old.superseded_by.is_none() && old.valid_to.is_some(), "no mention of the forgotten is left: {old:?}");
    let written = suite.remember(&scope, vec![semantic("f1", "another bravo")]).await?;
    ensure!(written.iter().all(|r| r.outcome == Outcome::Created), "a forgotten id is free again");
    Ok(())
}

async fn erase(suite: &Suite, scope: Scope) -> Check {
    let mut items: Vec<_> = (0..3).map(|i| semantic(&format!("e{i}"), &format!("{} matter", word(i)))).collect();
    if let Some(first) = items.first_mut() {
        first.vector = Some(suite.axis(0));
    }
    suite.remember(&scope, items).await?;
    let failed = |e: crate::Error| format!("erase failed: {e}");
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("bravo")).await? == ["e1"], "it should be found");
    let erased = suite.a.erase(&scope).await.map_err(failed)?;
    ensure!(erased.memories == 3 && erased.vectors == 1, "three memories and a vector were there: {erased:?}");
    ensure!(all_of(suite, &scope).await?.is_empty(), "nothing is left to list");
    for strategy in Strategy::ALL {
        let found = suite.find(&scope, strategy, &Ask { vector: Some(suite.axis(0)), ..Ask::new("bravo") }).await?;
        ensure!(found.is_empty(), "nothing is left for {strategy:?}: {found:?}");
    }
    let stats = suite.b.stats(&scope).await.map_err(failed)?;
    ensure!(stats.total == 0 && stats.superseded == 0 && stats.with_vector == 0, "nothing is left to count: {stats:?}");
    let again = suite.a.erase(&scope).await.map_err(failed)?;
    ensure!(again.memories == 0, "there is nothing left to erase");
    suite.remember(&scope, vec![semantic("e1", "a bravo beginning")]).await?;
    ensure!(suite.find(&scope, Strategy::Keyword, &Ask::new("bravo")).await? == ["e1"], "a scope can begin again");
    suite.a.erase(&scope).await.map_err(failed)?;
    suite.remember(&scope, vec![semantic("e2", "a charlie ending")]).await?;
    // The other handle still holds what was erased, and looks again only now.
    for (strategy, there) in [(Strategy::Keyword, &[][..]), (Strategy::Recent, &["e2"][..])] {
        let found = suite.find(&scope, strategy, &Ask::new("bravo")).await?;
        ensure!(found == there, "what was erased is gone though more was written since: {strategy:?} {found:?}");
    }
    Ok(())
}

async fn concurrency(suite: &Suite, scope: Scope) -> Check {
    let write = |i: usize| {
        let store = if i.is_multiple_of(2) { &suite.a } else { &suite.b };
        let scope = scope.clone();
        async move {
            let own = semantic(&format!("own{i}"), &format!("matter {}", word(i)));
            let shared = NewMemory::new(MemoryType::Semantic, "everybody says this");
            store.remember(&scope, vec![own, shared]).await.map_err(|e| format!("remember failed: {e}"))
        }
    };
    let mut created = 0;
    for done in join_all((0..24).map(write)).await {
        let done = done?;
        created += done.iter().filter(|r| r.outcome == Outcome::Created).count();
    }
    ensure!(created == 25, "24 things of their own and one shared should be created, {created} were");
    for i in 0..24 {
        let found = suite.find(&scope, Strategy::Keyword, &Ask::new(word(i))).await?;
        ensure!(found == [format!("own{i}")], "{} should be found: {found:?}", word(i));
    }
    Ok(())
}

async fn scopes(suite: &Suite, scope: Scope) -> Check {
    let invalid = |e: crate::Error| e.to_string();
    let others = [
        Scope::new(scope.org(), "bo").map_err(invalid)?,
        Scope::new(format!("{}2", scope.org()), scope.user()).map_err(invalid)?,
        // Names that would run together if they were joined.
        Scope::new(format!("{}{}", scope.org(), "a"), "da").map_err(invalid)?,
    ];
    for other in &others {
        suite.a.erase(other).await.map_err(invalid)?;
    }
    let mut item = semantic("same", "the same words");
    item.vector = Some(suite.axis(0));
    suite.remember(&scope, vec![item]).await?;
    for other in &others {
        let get = suite.b.get(other, &ids(&["same"])).await.map_err(invalid)?;
        ensure!(get.is_empty(), "{other} sees a memory of {scope}");
        let ask = Ask { vector: Some(suite.axis(0)), ..Ask::new("the same words") };
        for strategy in Strategy::ALL {
            let found = suite.find(other, strategy, &ask).await?;
            ensure!(found.is_empty(), "{strategy:?} shows {other} a memory of {scope}: {found:?}");
        }
        ensure!(suite.signals(other, &["same"], &ask).await?.is_empty(), "{other} sees signals of {scope}");
        let patch = MemoryPatch { text: Some("mine now".into()), ..MemoryPatch::default() };
        refused("another's memory", ErrorKind::NotFound, suite.a.update(other, "same", patch).await)?;
        let forgotten = suite.a.forget(other, &ids(&["same"])).await.map_err(invalid)?;
        ensure!(forgotten == 0, "{other} removes a memory of {scope}");
        suite.a.touch(other, &ids(&["same"]), day(1)).await.map_err(invalid)?;
        suite.a.erase(other).await.map_err(invalid)?;
    }
    let own = one(suite, &scope, "same").await?;
    ensure!(own.text == "the same words" && own.access_count == 0, "others changed it: {own:?}");
    Ok(())
}
