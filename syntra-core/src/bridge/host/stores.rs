//! Stores of memories and threads that live in a host language.

use super::{Host, ask_of};
use crate::chat::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{
    Erased, Memory, MemoryPatch, MemoryStats, MemoryStore, MemoryType, NewMemory, NewVector, Outcome, Page, Remembered,
};
use crate::search::{Candidate, Filter, SearchQuery, Signal, Signals, Strategy};
use crate::thread::{NewThreadMessage, Thread, ThreadMessage, ThreadStore, ThreadSummary};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The host's object behind a store, and which of the methods that need not be there it has.
#[derive(Clone, Debug)]
struct Object {
    name: String,
    host: Arc<dyn Host>,
    has: HashSet<String>,
}

impl Object {
    fn new(name: impl Into<String>, host: Arc<dyn Host>, has: impl IntoIterator<Item = String>) -> Self {
        Self { name: name.into(), host, has: has.into_iter().collect() }
    }

    fn has(&self, method: &str) -> bool {
        self.has.contains(method)
    }

    /// An exception of no kind of ours means that the store failed.
    async fn ask<T: DeserializeOwned>(&self, method: &str, argument: Value) -> Result<T> {
        ask_of(&self.host, &self.name, method, &argument, ErrorKind::Storage).await
    }

    fn wrong(&self, what: String) -> Error {
        Error::new(ErrorKind::Storage, format!("the host's store {what}"))
    }
}

/// A memory store that lives in a host language. It keeps to the contract of [`MemoryStore`], whose conformance suite it can be run
/// against; `signals`, `speakers`, `replaced`, `missing_vectors` and `set_vectors` need not be there.
#[derive(Clone, Debug)]
pub struct HostMemoryStore(Object);

impl HostMemoryStore {
    /// The host's object `name`, which has those of the methods that need not be there that `has` names.
    pub fn new(name: impl Into<String>, host: Arc<dyn Host>, has: impl IntoIterator<Item = String>) -> Self {
        Self(Object::new(name, host, has))
    }

    async fn one<T: DeserializeOwned>(&self, method: &str, argument: Value) -> Result<T> {
        self.0.ask(method, argument).await
    }
}

/// JSON has no word for what is no number: it would arrive as absent.
fn check_numbers(reliability: Option<f32>, vector: Option<&Vec<f32>>) -> Result<()> {
    if let Some(odd) = reliability.filter(|reliability| !(0.0..=1.0).contains(reliability)) {
        return Err(Error::invalid(format!("a reliability is between 0 and 1, not {odd}")));
    }
    if vector.is_some_and(|vector| vector.iter().any(|x| !x.is_finite())) {
        return Err(Error::invalid("a vector has a number that is not finite"));
    }
    Ok(())
}

fn new_json(item: &NewMemory) -> Result<Value> {
    check_numbers(item.reliability, item.vector.as_ref())?;
    let mut value = json!(item);
    if let Some(vector) = &item.vector {
        value["vector"] = json!(vector);
    }
    Ok(value)
}

fn filter_json(filter: &Filter) -> Value {
    json!({"kinds": filter.kinds, "conversation": filter.conversation, "from": filter.from, "to": filter.to})
}

fn page_json(page: Page) -> Value {
    json!({"offset": page.offset, "limit": page.limit})
}

fn query_json(query: &SearchQuery<'_>) -> Value {
    json!({
        "text": query.text, "analysis": query.analysis, "vector": query.vector, "filter": filter_json(query.filter),
        "now": query.now, "limit": query.limit, "topics": query.topics,
    })
}

/// What became of an item: its id alone says that it was written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Id(String),
    Whole { id: String, outcome: OutcomeWords },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeWords {
    Created,
    Duplicate,
    Superseded,
}

impl From<Kept> for Remembered {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Id(id) => Self { id, outcome: Outcome::Created },
            Kept::Whole { id, outcome } => {
                let outcome = match outcome {
                    OutcomeWords::Created => Outcome::Created,
                    OutcomeWords::Duplicate => Outcome::Duplicate,
                    OutcomeWords::Superseded => Outcome::Superseded,
                };
                Self { id, outcome }
            }
        }
    }
}

/// A candidate: its id, an id with a score (which is the strategy's own signal), or the id with signals by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Found {
    Id(String),
    Scored(String, f32),
    Signals {
        id: String,
        #[serde(default)]
        signals: BTreeMap<Signal, f32>,
    },
}

impl Found {
    fn candidate(self, strategy: Option<Strategy>) -> Candidate {
        let mut signals = Signals::new();
        let id = match self {
            Self::Id(id) => id,
            Self::Scored(id, score) => {
                let own = match strategy {
                    Some(Strategy::Vector) => Some(Signal::Vector),
                    Some(Strategy::Keyword) => Some(Signal::Keyword),
                    Some(Strategy::Graph) => Some(Signal::Graph),
                    _ => None,
                };
                if let Some(signal) = own {
                    signals.set(signal, score);
                }
                id
            }
            Self::Signals { id, signals: named } => {
                named.into_iter().for_each(|(signal, value)| signals.set(signal, value));
                id
            }
        };
        Candidate { id: id.into(), found_by: strategy.into_iter().collect(), signals }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatsWords {
    by_type: BTreeMap<MemoryType, u64>,
    total: Option<u64>,
    superseded: u64,
    with_vector: u64,
    with_other_vector: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErasedWords {
    memories: u64,
    vectors: u64,
    messages: u64,
}

#[async_trait]
impl MemoryStore for HostMemoryStore {
    async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        let given: Vec<Value> = items.iter().map(new_json).collect::<Result<_>>()?;
        let kept: Vec<Kept> = self.one("remember", json!({"scope": scope, "items": given})).await?;
        if kept.len() != items.len() {
            return Err(self.0.wrong(format!(
                "answered {} of {} items that it was to remember",
                kept.len(),
                items.len()
            )));
        }
        Ok(kept.into_iter().map(Remembered::from).collect())
    }

    async fn recall(&self, scope: &Scope, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        let argument = json!({"scope": scope, "strategy": strategy, "query": query_json(query)});
        let mut found: Vec<Found> = self.one("recall", argument).await?;
        found.truncate(query.limit);
        Ok(found.into_iter().map(|one| one.candidate(Some(strategy))).collect())
    }

    async fn signals(&self, scope: &Scope, ids: &[String], query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        if !self.0.has("signals") {
            return Ok(Vec::new());
        }
        let argument = json!({"scope": scope, "ids": ids, "query": query_json(query)});
        let found: Vec<Found> = self.one("signals", argument).await?;
        Ok(found.into_iter().map(|one| one.candidate(None)).collect())
    }

    async fn get(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>> {
        self.one("get", json!({"scope": scope, "ids": ids})).await
    }

    async fn update(&self, scope: &Scope, id: &str, patch: MemoryPatch) -> Result<Memory> {
        let MemoryPatch { text, vector, title, reliability, metadata } = patch;
        check_numbers(reliability, vector.as_ref())?;
        let patch =
            json!({"text": text, "vector": vector, "title": title, "reliability": reliability, "metadata": metadata});
        self.one("update", json!({"scope": scope, "id": id, "patch": patch})).await
    }

    async fn supersede(&self, scope: &Scope, old: &str, new: NewMemory) -> Result<Remembered> {
        let kept: Kept = self.one("supersede", json!({"scope": scope, "old": old, "new": new_json(&new)?})).await?;
        Ok(kept.into())
    }

    async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64> {
        self.one("forget", json!({"scope": scope, "ids": ids})).await
    }

    async fn touch(&self, scope: &Scope, ids: &[String], at: Timestamp) -> Result<()> {
        let _: Value = self.one("touch", json!({"scope": scope, "ids": ids, "at": at})).await?;
        Ok(())
    }

    async fn list(&self, scope: &Scope, filter: &Filter, page: Page) -> Result<Vec<Memory>> {
        self.one("list", json!({"scope": scope, "filter": filter_json(filter), "page": page_json(page)})).await
    }

    async fn speakers(&self, scope: &Scope) -> Result<Vec<String>> {
        if self.0.has("speakers") { self.one("speakers", json!({"scope": scope})).await } else { Ok(Vec::new()) }
    }

    async fn replaced(
        &self,
        scope: &Scope,
        ids: &[String],
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(String, Memory)>> {
        if !self.0.has("replaced") {
            return Ok(Vec::new());
        }
        self.one("replaced", json!({"scope": scope, "ids": ids, "since": since, "until": until})).await
    }

    async fn missing_vectors(&self, scope: &Scope, limit: u64) -> Result<Vec<Memory>> {
        if !self.0.has("missing_vectors") {
            return Err(Error::new(ErrorKind::Unsupported, "this store cannot tell which memories lack a vector"));
        }
        self.one("missing_vectors", json!({"scope": scope, "limit": limit})).await
    }

    async fn set_vectors(&self, scope: &Scope, vectors: Vec<NewVector>) -> Result<u64> {
        if !self.0.has("set_vectors") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this store takes vectors only together with their memories",
            ));
        }
        vectors.iter().try_for_each(|new| check_numbers(None, Some(&new.vector)))?;
        let one = |NewVector { id, text, vector }: NewVector| json!({"id": id, "text": text, "vector": vector});
        let vectors: Vec<Value> = vectors.into_iter().map(one).collect();
        self.one("set_vectors", json!({"scope": scope, "vectors": vectors})).await
    }

    async fn stats(&self, scope: &Scope) -> Result<MemoryStats> {
        let words: StatsWords = self.one("stats", json!({"scope": scope})).await?;
        let count = |kind: MemoryType| words.by_type.get(&kind).copied().unwrap_or_default();
        let by_type: Vec<(String, u64)> =
            MemoryType::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), count(kind))).collect();
        let total = words.total.unwrap_or_else(|| by_type.iter().map(|(_, n)| n).sum());
        let (superseded, with_vector) = (words.superseded, words.with_vector);
        Ok(MemoryStats { by_type, total, superseded, with_vector, with_other_vector: words.with_other_vector })
    }

    async fn erase(&self, scope: &Scope) -> Result<Erased> {
        let words: ErasedWords = self.one("erase", json!({"scope": scope})).await?;
        Ok(Erased { memories: words.memories, vectors: words.vectors, messages: words.messages })
    }
}

/// A thread store that lives in a host language. `append_or_create`, and `summary` with `set_summary`, need not be there; without the
/// latter nothing is kept of what is older than the history.
#[derive(Clone, Debug)]
pub struct HostThreadStore(Object);

impl HostThreadStore {
    /// The host's object `name`, which has those of the methods that need not be there that `has` names.
    pub fn new(name: impl Into<String>, host: Arc<dyn Host>, has: impl IntoIterator<Item = String>) -> Self {
        Self(Object::new(name, host, has))
    }

    async fn written(
        &self,
        method: &str,
        scope: &Scope,
        id: &str,
        new: Vec<NewThreadMessage>,
    ) -> Result<Vec<ThreadMessage>> {
        let one = |m: &NewThreadMessage| json!({"id": m.id, "message": m.message, "metadata": m.metadata});
        let messages: Vec<Value> = new.iter().map(one).collect();
        let argument = json!({"scope": scope, "id": id, "messages": messages});
        let written: Vec<ThreadMessage> = self.0.ask(method, argument).await?;
        if written.len() != new.len() {
            return Err(self.0.wrong(format!(
                "answered {} of {} messages that it was to append",
                written.len(),
                new.len()
            )));
        }
        Ok(written)
    }
}

#[async_trait]
impl ThreadStore for HostThreadStore {
    async fn create(&self, scope: &Scope, id: Option<&str>, title: Option<&str>) -> Result<Thread> {
        self.0.ask("create", json!({"scope": scope, "id": id, "title": title})).await
    }

    async fn read(&self, scope: &Scope, id: &str) -> Result<Thread> {
        self.0.ask("read", json!({"scope": scope, "id": id})).await
    }

    async fn list(&self, scope: &Scope, offset: u64, limit: u64) -> Result<Vec<Thread>> {
        self.0.ask("list", json!({"scope": scope, "offset": offset, "limit": limit})).await
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<bool> {
        self.0.ask("delete", json!({"scope": scope, "id": id})).await
    }

    async fn append(&self, scope: &Scope, id: &str, messages: Vec<NewThreadMessage>) -> Result<Vec<ThreadMessage>> {
        self.written("append", scope, id, messages).await
    }

    async fn append_or_create(
        &self,
        scope: &Scope,
        id: &str,
        messages: Vec<NewThreadMessage>,
    ) -> Result<Vec<ThreadMessage>> {
        if self.0.has("append_or_create") {
            return self.written("append_or_create", scope, id, messages).await;
        }
        self.create(scope, Some(id), None).await?;
        self.append(scope, id, messages).await
    }

    async fn history(&self, scope: &Scope, id: &str, limit: u64, before: Option<u64>) -> Result<Vec<ThreadMessage>> {
        self.0.ask("history", json!({"scope": scope, "id": id, "limit": limit, "before": before})).await
    }

    async fn summary(&self, scope: &Scope, id: &str) -> Result<ThreadSummary> {
        if !self.0.has("summary") {
            return Ok(ThreadSummary::default());
        }
        let summary: Option<ThreadSummary> = self.0.ask("summary", json!({"scope": scope, "id": id})).await?;
        Ok(summary.unwrap_or_default())
    }

    async fn set_summary(&self, scope: &Scope, id: &str, from: u64, new: ThreadSummary) -> Result<bool> {
        if !self.0.has("set_summary") {
            return Ok(false);
        }
        self.0.ask("set_summary", json!({"scope": scope, "id": id, "from": from, "new": new})).await
    }

    async fn erase(&self, scope: &Scope) -> Result<u64> {
        self.0.ask("erase", json!({"scope": scope})).await
    }
}
