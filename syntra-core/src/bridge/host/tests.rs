//! The stores of a host against the conformance suites: the host here is a SQLite store behind the JSON, so that what a breach finds is
//! lost on the way.

use super::*;
use crate::chat::Scope;
use crate::clock::{Clock, SystemClock};
use crate::memory::{MemoryStore, NewVector, Page, SqliteMemoryStore};
use crate::query::{QueryAnalysis, TimeRange};
use crate::search::{Filter, SearchQuery, Strategy};
use crate::storage::Database;
use crate::testing::{memory_store_conformance, thread_store_conformance};
use crate::thread::{NewThreadMessage, SqliteThreadStore, ThreadStore};
use jiff::Timestamp;
use std::sync::Mutex;

const DIMENSIONS: usize = 4;

/// Answers for a store of its own.
#[derive(Debug)]
struct Mirror {
    memories: SqliteMemoryStore,
    threads: SqliteThreadStore,
}

impl Mirror {
    fn new(database: &Database) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let memories = SqliteMemoryStore::new(database.clone(), clock.clone()).with_model("test", DIMENSIONS).unwrap();
        Self { memories, threads: SqliteThreadStore::new(database.clone(), clock) }
    }

    async fn memories(&self, method: &str, scope: &Scope, given: &Value) -> Result<Value> {
        let store = &self.memories;
        let ids: Vec<String> = field(given, "ids");
        let id: String = field(given, "id");
        Ok(match method {
            "remember" => json!(store.remember(scope, field(given, "items")).await?),
            "recall" | "signals" => {
                let query = &given["query"];
                let text: String = field(query, "text");
                let now: Timestamp = time(&query["now"]);
                let analysis = understood(&query["analysis"]);
                let vector: Option<Vec<f32>> = field(query, "vector");
                let (filter, limit, topics) = (filter(&query["filter"]), field(query, "limit"), field(query, "topics"));
                let query = SearchQuery {
                    text: &text,
                    analysis: &analysis,
                    vector: vector.as_deref(),
                    filter: &filter,
                    now,
                    limit,
                    topics,
                };
                let found = match serde_json::from_value::<Strategy>(given["strategy"].clone()) {
                    Ok(strategy) => store.recall(scope, strategy, &query).await?,
                    Err(_) => store.signals(scope, &ids, &query).await?,
                };
                found.iter().map(rooms::signals_json).collect()
            }
            "get" => json!(store.get(scope, &ids).await?),
            "update" => {
                let patch = &given["patch"];
                let patch = crate::memory::MemoryPatch {
                    text: field(patch, "text"),
                    vector: field(patch, "vector"),
                    title: field(patch, "title"),
                    reliability: field(patch, "reliability"),
                    metadata: field(patch, "metadata"),
                };
                json!(store.update(scope, &id, patch).await?)
            }
            "supersede" => {
                let new = serde_json::from_value(given["new"].clone()).unwrap();
                json!(store.supersede(scope, &field::<String>(given, "old"), new).await?)
            }
            "forget" => json!(store.forget(scope, &ids).await?),
            "touch" => json!(store.touch(scope, &ids, time(&given["at"])).await?),
            "list" => {
                let page = Page { offset: field(&given["page"], "offset"), limit: field(&given["page"], "limit") };
                json!(store.list(scope, &filter(&given["filter"]), page).await?)
            }
            "speakers" => json!(store.speakers(scope).await?),
            "replaced" => json!(store.replaced(scope, &ids, time(&given["since"]), time(&given["until"])).await?),
            "missing_vectors" => json!(store.missing_vectors(scope, field(given, "limit")).await?),
            "set_vectors" => {
                let one =
                    |v: &Value| NewVector { id: field(v, "id"), text: field(v, "text"), vector: field(v, "vector") };
                let vectors = given["vectors"].as_array().unwrap().iter().map(one).collect();
                json!(store.set_vectors(scope, vectors).await?)
            }
            "stats" => {
                let stats = store.stats(scope).await?;
                let by_type: serde_json::Map<String, Value> =
                    stats.by_type.iter().map(|(kind, n)| (kind.clone(), json!(n))).collect();
                let mut value = json!(stats);
                value["by_type"] = by_type.into();
                value
            }
            "erase" => json!(store.erase(scope).await?),
            _ => panic!("no method {method}"),
        })
    }

    async fn threads(&self, method: &str, scope: &Scope, given: &Value) -> Result<Value> {
        let store = &self.threads;
        let id: Option<String> = field(given, "id");
        let known = id.as_deref().unwrap_or_default();
        let messages = || {
            let one = |m: &Value| NewThreadMessage {
                id: field(m, "id"),
                message: serde_json::from_value(m["message"].clone()).unwrap(),
                metadata: field(m, "metadata"),
            };
            given["messages"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
        };
        Ok(match method {
            "create" => {
                json!(store.create(scope, id.as_deref(), field::<Option<String>>(given, "title").as_deref()).await?)
            }
            "read" => json!(store.read(scope, known).await?),
            "list" => json!(store.list(scope, field(given, "offset"), field(given, "limit")).await?),
            "delete" => json!(store.delete(scope, known).await?),
            "append" => json!(store.append(scope, known, messages()).await?),
            "append_or_create" => json!(store.append_or_create(scope, known, messages()).await?),
            "history" => json!(store.history(scope, known, field(given, "limit"), field(given, "before")).await?),
            "summary" => json!(store.summary(scope, known).await?),
            "set_summary" => {
                json!(store.set_summary(scope, known, field(given, "from"), field(given, "new")).await?)
            }
            "erase" => json!(store.erase(scope).await?),
            _ => panic!("no method {method}"),
        })
    }
}

/// A field that may be absent.
fn field<T: DeserializeOwned + Default>(of: &Value, name: &str) -> T {
    serde_json::from_value(of[name].clone()).unwrap_or_default()
}

fn time(value: &Value) -> Timestamp {
    serde_json::from_value(value.clone()).unwrap()
}

fn understood(words: &Value) -> QueryAnalysis {
    let range = words["time"].as_object().map(|range| TimeRange {
        phrase: serde_json::from_value(range["phrase"].clone()).unwrap(),
        from: time(&range["from"]),
        to: time(&range["to"]),
        yearly: range["yearly"] == true,
    });
    QueryAnalysis {
        keywords: field(words, "keywords"),
        entities: field(words, "entities"),
        about_now: field(words, "about_now"),
        asks_when: field(words, "asks_when"),
        needs_memory: field(words, "needs_memory"),
        memory_types: field(words, "memory_types"),
        exact: field(words, "exact"),
        time: range,
        ..QueryAnalysis::default()
    }
}

fn filter(words: &Value) -> Filter {
    let conversation = field(words, "conversation");
    Filter { kinds: field(words, "kinds"), conversation, from: field(words, "from"), to: field(words, "to") }
}

#[async_trait]
impl Host for Mirror {
    async fn call(&self, object: &str, method: &str, argument: String) -> Result<String> {
        let given: Value = serde_json::from_str(&argument).unwrap();
        let scope: Scope = serde_json::from_value(given["scope"].clone()).unwrap();
        let done = match object {
            "memory_store:room" => self.memories(method, &scope, &given).await,
            _ => self.threads(method, &scope, &given).await,
        };
        Ok(match done {
            Ok(value) => json!({"ok": value}).to_string(),
            Err(error) => json!({"error": {"kind": error.kind(), "message": error.message()}}).to_string(),
        })
    }

    fn notify(&self, _: &str, _: &str, _: String) {}
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn a_memory_store_of_a_host_keeps_to_the_contract() {
    let database = Database::in_memory().unwrap();
    let has = names(&["signals", "speakers", "replaced", "missing_vectors", "set_vectors"]);
    let open = || {
        let host = Arc::new(Mirror::new(&database));
        let store = HostMemoryStore::new("memory_store:room", host, has.clone());
        async { Ok(Arc::new(store) as Arc<dyn MemoryStore>) }
    };
    memory_store_conformance(open, DIMENSIONS).await.unwrap();
}

#[tokio::test]
async fn a_thread_store_of_a_host_keeps_to_the_contract() {
    let database = Database::in_memory().unwrap();
    let has = names(&["append_or_create", "summary", "set_summary"]);
    let open = || {
        let host = Arc::new(Mirror::new(&database));
        let store = HostThreadStore::new("thread_store:room", host, has.clone());
        async { Ok(Arc::new(store) as Arc<dyn ThreadStore>) }
    };
    thread_store_conformance(open).await.unwrap();
}

/// Says the times it is given, one after the other.
#[derive(Debug)]
struct Times(Mutex<VecDeque<(&'static str, Option<f64>)>>);

#[async_trait]
impl Host for Times {
    async fn call(&self, _: &str, _: &str, _: String) -> Result<String> {
        let next = self.0.lock().unwrap().pop_front();
        Ok(match next {
            Some((now, monotonic)) => json!({"ok": {"now": now, "monotonic": monotonic}}).to_string(),
            None => json!({"error": {"message": "no hands"}}).to_string(),
        })
    }

    fn notify(&self, _: &str, _: &str, _: String) {}
}

#[tokio::test]
async fn a_clock_of_a_host_stands_between_askings_and_its_durations_never_go_back() {
    let told = [
        ("2026-01-02T12:00:00Z", Some(50.0)),
        ("2026-01-02T13:00:00Z", Some(3_650.0)),
        ("2026-01-01T00:00:00Z", Some(-1e300)),
        ("2026-01-03T00:00:00Z", None),
    ];
    let clock = HostClock::new("clock:room", Arc::new(Times(Mutex::new(told.into())))).await.unwrap();
    let now = |clock: &HostClock| clock.now().to_string();
    assert_eq!((now(&clock).as_str(), now(&clock).as_str()), ("2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z"));
    assert!(clock.monotonic() < Duration::from_secs(1_800));
    clock.ask().await.unwrap();
    let hour = clock.monotonic();
    assert!(hour >= Duration::from_secs(3_600), "it jumps ahead with the host: {hour:?}");
    for expected in ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"] {
        clock.ask().await.unwrap();
        assert_eq!(now(&clock), expected);
        assert!(clock.monotonic() >= hour);
    }
    let error = clock.ask().await.unwrap_err();
    assert!(error.message().contains("the host's clock: no hands"), "{error}");
    assert_eq!(now(&clock), "2026-01-03T00:00:00Z", "it stays as it was");
}
