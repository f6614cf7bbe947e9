//! What every [`ThreadStore`] has to do, as one call.

use super::memory_store::{Check, ensure};
use crate::chat::{Image, Message, Part, Reasoning, Role, Scope, ToolCall};
use crate::error::{Error, ErrorKind};
use crate::thread::{NewThreadMessage, ThreadMessage, ThreadStore, ThreadSummary};
use futures::future::join_all;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;

type Store = Arc<dyn ThreadStore>;

/// Checks a store against the contract of [`ThreadStore`] and returns every breach, in words.
///
/// Each call of `open` gives a handle to the same data: what one writes, the others read at once. Everything happens in scopes of
/// organisations whose names begin with `conformance-`; they are erased first and last.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use syntra_core::{SystemClock, storage::Database, thread::{SqliteThreadStore, ThreadStore}};
/// let database = Database::in_memory().unwrap();
/// let open = || {
///     let store = SqliteThreadStore::new(database.clone(), Arc::new(SystemClock::new()));
///     async { Ok(Arc::new(store) as Arc<dyn ThreadStore>) }
/// };
/// syntra_core::testing::thread_store_conformance(open).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// The list of breaches, at least one.
pub async fn thread_store_conformance<F, O>(open: F) -> Result<(), Vec<String>>
where
    F: Fn() -> O,
    O: Future<Output = crate::Result<Store>>,
{
    let opened = |e: Error| vec![format!("the store cannot be opened: {e}")];
    let suite = Suite { a: open().await.map_err(opened)?, b: open().await.map_err(opened)? };
    let mut breaches = Vec::new();
    checked(&suite, "create", &mut breaches, create).await;
    checked(&suite, "append", &mut breaches, append).await;
    checked(&suite, "history", &mut breaches, history).await;
    checked(&suite, "retry", &mut breaches, retry).await;
    checked(&suite, "list", &mut breaches, list).await;
    checked(&suite, "summary", &mut breaches, summary).await;
    checked(&suite, "removal", &mut breaches, removal).await;
    checked(&suite, "concurrency", &mut breaches, concurrency).await;
    checked(&suite, "scopes", &mut breaches, scopes).await;
    if breaches.is_empty() { Ok(()) } else { Err(breaches) }
}

struct Suite {
    a: Store,
    b: Store,
}

async fn checked<'s>(
    suite: &'s Suite,
    name: &str,
    breaches: &mut Vec<String>,
    check: impl AsyncFnOnce(&'s Suite, Scope) -> Check,
) {
    let result = async {
        let scope = Scope::new(format!("conformance-{name}"), "ada").map_err(failed)?;
        suite.a.erase(&scope).await.map_err(failed)?;
        check(suite, scope.clone()).await?;
        suite.a.erase(&scope).await.map(|_| ()).map_err(failed)
    };
    if let Err(breach) = result.await {
        breaches.push(format!("{name}: {breach}"));
    }
}

fn failed(error: Error) -> String {
    format!("a call failed: {error}")
}

fn not_found<T: std::fmt::Debug>(what: &str, result: crate::Result<T>) -> Check {
    ensure!(
        result.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound),
        "{what} should be not_found, was {result:?}"
    );
    Ok(())
}

fn texts(messages: &[ThreadMessage]) -> Vec<String> {
    messages.iter().map(|m| m.message.text()).collect()
}

async fn create(suite: &Suite, scope: Scope) -> Check {
    let made = suite.a.create(&scope, None, Some("A title")).await.map_err(failed)?;
    ensure!(made.title.as_deref() == Some("A title") && made.messages == 0, "a new thread is empty: {made:?}");
    ensure!(suite.b.read(&scope, &made.id).await.map_err(failed)? == made, "read should return what create did");
    let other = suite.a.create(&scope, None, None).await.map_err(failed)?;
    ensure!(other.id != made.id && other.title.is_none(), "ids that are made up differ");
    let own = suite.a.create(&scope, Some("mine"), Some("One")).await.map_err(failed)?;
    let again = suite.b.create(&scope, Some("mine"), Some("Two")).await.map_err(failed)?;
    ensure!(own == again, "a thread that is there is returned as it is: {again:?}");
    for bad in [String::new(), "x".repeat(600), "a\nb".into()] {
        let made = suite.a.create(&scope, Some(&bad), None).await;
        ensure!(
            made.as_ref().is_err_and(|e| e.kind() == ErrorKind::InvalidInput),
            "an id of {} bytes should be refused: {made:?}",
            bad.len()
        );
    }
    not_found("reading nobody's thread", suite.a.read(&scope, "nobody").await)
}

async fn append(suite: &Suite, scope: Scope) -> Check {
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    let call =
        ToolCall { id: "c1".into(), name: "look".into(), arguments: json!({"q": [1, "é", null]}), signature: None };
    let reasoning = Reasoning { text: "hm".into(), opaque: Some(json!({"signature": "abc"})) };
    let mut named =
        Message::user("Zwölf 東京 \u{1F600}\u{0} end").with_image(Image::bytes("image/png", vec![0u8, 255]));
    named.name = Some("Ada".into());
    let messages = [
        Message::system("Be kind."),
        named,
        Message::new(Role::Assistant, vec![Part::Reasoning(reasoning), Part::ToolCall(call)]),
        Message::tool_result("c1", "look", "seen"),
        Message::assistant(""),
    ];
    let mut new: Vec<NewThreadMessage> = messages.iter().cloned().map(Into::into).collect();
    if let Some(first) = new.first_mut() {
        first.metadata.insert("model".into(), json!("m"));
    }
    let written = suite.a.append(&scope, "t", new.clone()).await.map_err(failed)?;
    let places: Vec<u64> = written.iter().map(|m| m.place).collect();
    ensure!(places == [0, 1, 2, 3, 4], "places count from 0: {places:?}");
    let read = suite.b.history(&scope, "t", 10, None).await.map_err(failed)?;
    ensure!(read == written, "history should return what append did");
    for (one, expected) in read.iter().zip(&new) {
        ensure!(one.message == expected.message && one.metadata == expected.metadata, "it differs: {one:?}");
    }
    let thread = suite.b.read(&scope, "t").await.map_err(failed)?;
    ensure!(thread.messages == 5 && thread.updated_at >= thread.created_at, "five messages: {thread:?}");
    ensure!(
        suite.a.append(&scope, "t", Vec::new()).await.map_err(failed)?.is_empty(),
        "appending nothing does nothing"
    );
    not_found("appending to nobody", suite.a.append(&scope, "nobody", vec![Message::user("x").into()]).await)?;
    for (at, place) in [(0, 0), (1, 1)] {
        let new = vec![Message::user(format!("m{at}")).into()];
        let made = suite.a.append_or_create(&scope, "new", new).await.map_err(failed)?;
        ensure!(made.iter().map(|m| m.place).eq([place]), "the thread is made once: {made:?}");
    }
    let thread = suite.b.read(&scope, "new").await.map_err(failed)?;
    ensure!(thread.messages == 2 && thread.title.is_none(), "two messages: {thread:?}");
    let refused = suite.a.append_or_create(&scope, "", vec![Message::user("x").into()]).await;
    ensure!(refused.is_err(), "an empty id should be refused: {refused:?}");
    Ok(())
}

async fn history(suite: &Suite, scope: Scope) -> Check {
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    let newest = suite.b.history(&scope, "t", 5, None).await.map_err(failed)?;
    ensure!(newest.is_empty(), "a new thread has no history");
    for i in 0..10 {
        suite.a.append(&scope, "t", vec![Message::user(format!("m{i}")).into()]).await.map_err(failed)?;
    }
    let cases: [(u64, Option<u64>, &[&str]); 7] = [
        (3, None, &["m7", "m8", "m9"]),
        (3, Some(7), &["m4", "m5", "m6"]),
        (3, Some(2), &["m0", "m1"]),
        (3, Some(0), &[]),
        (0, None, &[]),
        (2, Some(u64::MAX), &["m8", "m9"]),
        (u64::MAX, Some(2), &["m0", "m1"]),
    ];
    for (limit, before, expected) in cases {
        let read = texts(&suite.b.history(&scope, "t", limit, before).await.map_err(failed)?);
        ensure!(read == expected, "the newest {limit} before {before:?} are {expected:?}, not {read:?}");
    }
    not_found("nobody's history", suite.b.history(&scope, "nobody", 5, None).await)
}

async fn retry(suite: &Suite, scope: Scope) -> Check {
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    let with_id = |id: &str, text: &str| NewThreadMessage { id: Some(id.into()), ..Message::user(text).into() };
    let first = suite.a.append(&scope, "t", vec![with_id("1", "one")]).await.map_err(failed)?;
    let again = suite.b.append(&scope, "t", vec![with_id("1", "one"), with_id("2", "two")]).await.map_err(failed)?;
    ensure!(again.first() == first.first(), "the message that is there is returned: {again:?}");
    let all = suite.b.history(&scope, "t", 10, None).await.map_err(failed)?;
    ensure!(texts(&all) == ["one", "two"], "trying again writes nothing twice: {:?}", texts(&all));
    let taken = suite.a.append(&scope, "t", vec![Message::user("three").into(), with_id("1", "other")]).await;
    ensure!(
        taken.as_ref().is_err_and(|e| e.kind() == ErrorKind::InvalidInput),
        "an id taken by another message should be refused: {taken:?}"
    );
    let all = suite.b.history(&scope, "t", 10, None).await.map_err(failed)?;
    ensure!(all.len() == 2, "an append that fails writes nothing: {:?}", texts(&all));
    Ok(())
}

async fn list(suite: &Suite, scope: Scope) -> Check {
    for id in ["a", "b", "c", "d"] {
        suite.a.create(&scope, Some(id), None).await.map_err(failed)?;
    }
    suite.a.append(&scope, "b", vec![Message::user("hello").into()]).await.map_err(failed)?;
    let mut listed = Vec::new();
    for offset in [0, 3, 6] {
        let page = suite.b.list(&scope, offset, 3).await.map_err(failed)?;
        listed.push(page.into_iter().map(|t| t.id).collect::<Vec<_>>().join(" "));
    }
    ensure!(listed == ["b d c", "a", ""], "the one written to last comes first: {listed:?}");
    Ok(())
}

async fn summary(suite: &Suite, scope: Scope) -> Check {
    let of = |covered, text: &str| ThreadSummary { covered, text: Some(text.into()) };
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    let none = suite.b.summary(&scope, "t").await.map_err(failed)?;
    ensure!(none == ThreadSummary::default(), "a new thread's summary covers nothing: {none:?}");
    let talk = |n: usize| (0..n).map(|i| Message::user(format!("m{i}")).into()).collect::<Vec<NewThreadMessage>>();
    suite.a.append(&scope, "t", talk(6)).await.map_err(failed)?;
    let thread = suite.a.read(&scope, "t").await.map_err(failed)?;
    let steps = [
        (0, of(7, "too far"), false, "it covers more than the thread has"),
        (0, of(0, "nothing"), false, "it covers nothing"),
        (2, of(4, "lost"), false, "it follows one that is not there"),
        (0, of(2, "zwei\nLinien"), true, "it is the first"),
        (0, of(4, "late"), false, "another writer was quicker"),
        (2, of(2, "same"), false, "it covers no more than the one before"),
        (2, of(1, "less"), false, "it covers less than the one before"),
        (2, ThreadSummary { covered: 4, text: None }, true, "it goes on"),
        (4, of(6, "all"), true, "it may cover all"),
    ];
    let mut held = none;
    for (from, new, kept, why) in steps {
        let was = suite.a.set_summary(&scope, "t", from, new.clone()).await.map_err(failed)?;
        ensure!(was == kept, "{new:?} in place of {from} should {}be kept: {why}", if kept { "" } else { "not " });
        held = if kept { new } else { held };
        let read = suite.b.summary(&scope, "t").await.map_err(failed)?;
        ensure!(read == held, "{read:?} should be {held:?}: {why}");
    }
    let after = suite.b.read(&scope, "t").await.map_err(failed)?;
    ensure!(after == thread, "a summary is no news in the thread: {after:?}");
    // Of writers at once exactly one goes first.
    suite.a.create(&scope, Some("race"), None).await.map_err(failed)?;
    suite.a.append(&scope, "race", talk(12)).await.map_err(failed)?;
    let write = |i: u64| {
        let store = if i.is_multiple_of(2) { &suite.a } else { &suite.b };
        store.set_summary(&scope, "race", 0, of(i, &i.to_string()))
    };
    let mut kept = 0;
    for written in join_all((1..=12).map(write)).await {
        kept += u64::from(written.map_err(failed)?);
    }
    let read = suite.b.summary(&scope, "race").await.map_err(failed)?;
    ensure!(kept == 1 && read.text == Some(read.covered.to_string()), "{kept} of 12 were kept, the last is {read:?}");
    // It goes with its thread.
    suite.a.delete(&scope, "t").await.map_err(failed)?;
    not_found("a deleted thread's summary", suite.b.summary(&scope, "t").await)?;
    not_found("a deleted thread's summary", suite.b.set_summary(&scope, "t", 6, of(8, "x")).await)?;
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    let anew = suite.b.summary(&scope, "t").await.map_err(failed)?;
    ensure!(anew == ThreadSummary::default(), "a thread made again has no summary: {anew:?}");
    suite.a.append(&scope, "t", talk(2)).await.map_err(failed)?;
    ensure!(
        !suite.a.set_summary(&scope, "t", 0, of(8, "of the one before")).await.map_err(failed)?,
        "the summary of a deleted thread is not that of the one after it"
    );
    suite.a.erase(&scope).await.map_err(failed)?;
    not_found("an erased thread's summary", suite.b.summary(&scope, "race").await)
}

async fn removal(suite: &Suite, scope: Scope) -> Check {
    for id in ["a", "b", "c"] {
        suite.a.create(&scope, Some(id), None).await.map_err(failed)?;
        suite
            .a
            .append(&scope, id, vec![Message::user(id).into(), Message::assistant("yes").into()])
            .await
            .map_err(failed)?;
    }
    ensure!(suite.a.delete(&scope, "a").await.map_err(failed)?, "it was there");
    ensure!(!suite.b.delete(&scope, "a").await.map_err(failed)?, "it is gone");
    not_found("a deleted thread's history", suite.b.history(&scope, "a", 5, None).await)?;
    let anew = suite.a.create(&scope, Some("a"), None).await.map_err(failed)?;
    ensure!(anew.messages == 0, "a thread made again begins empty: {anew:?}");
    let erased = suite.a.erase(&scope).await.map_err(failed)?;
    ensure!(erased == 4, "four messages were left, {erased} were erased");
    ensure!(suite.b.list(&scope, 0, 10).await.map_err(failed)?.is_empty(), "nothing is left to list");
    not_found("an erased thread", suite.b.read(&scope, "b").await)
}

async fn concurrency(suite: &Suite, scope: Scope) -> Check {
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    let write = |i: usize| {
        let store = if i.is_multiple_of(2) { &suite.a } else { &suite.b };
        let pair = vec![Message::user(format!("q{i}")).into(), Message::assistant(format!("a{i}")).into()];
        store.append(&scope, "t", pair)
    };
    for written in join_all((0..24).map(write)).await {
        let places: Vec<u64> = written.map_err(failed)?.iter().map(|m| m.place).collect();
        ensure!(matches!(places[..], [q, a] if q + 1 == a), "a call's messages stay together: {places:?}");
    }
    let all = suite.b.history(&scope, "t", 100, None).await.map_err(failed)?;
    let places: Vec<u64> = all.iter().map(|m| m.place).collect();
    ensure!(places == (0..48).collect::<Vec<_>>(), "places have no gaps and no doubles: {places:?}");
    Ok(())
}

async fn scopes(suite: &Suite, scope: Scope) -> Check {
    let other = Scope::new(scope.org(), "bo").map_err(failed)?;
    suite.a.erase(&other).await.map_err(failed)?;
    suite.a.create(&scope, Some("t"), None).await.map_err(failed)?;
    suite.a.append(&scope, "t", vec![Message::user("mine").into()]).await.map_err(failed)?;
    not_found("another's thread", suite.b.read(&other, "t").await)?;
    not_found("another's history", suite.b.history(&other, "t", 5, None).await)?;
    let theirs = ThreadSummary { covered: 1, text: Some("x".into()) };
    not_found("another's summary", suite.b.summary(&other, "t").await)?;
    not_found("another's summary", suite.b.set_summary(&other, "t", 0, theirs).await)?;
    not_found("another's thread", suite.b.append(&other, "t", vec![Message::user("x").into()]).await)?;
    ensure!(!suite.b.delete(&other, "t").await.map_err(failed)?, "another's thread cannot be deleted");
    ensure!(suite.b.list(&other, 0, 10).await.map_err(failed)?.is_empty(), "another's threads are not listed");
    suite.b.create(&other, Some("t"), None).await.map_err(failed)?;
    ensure!(suite.b.erase(&other).await.map_err(failed)? == 0, "another's messages are not erased");
    ensure!(suite.b.summary(&scope, "t").await.map_err(failed)?.covered == 0, "its summary is not another's");
    let own = suite.a.history(&scope, "t", 5, None).await.map_err(failed)?;
    ensure!(texts(&own) == ["mine"], "it is as it was: {own:?}");
    Ok(())
}
