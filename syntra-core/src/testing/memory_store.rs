//! What every [`MemoryStore`] has to do, as one call.

mod finding;
mod writing;

use crate::chat::Scope;
use crate::error::{Error, ErrorKind};
use crate::memory::{MemoryStore, MemoryType, NewMemory, Remembered};
use crate::query::QueryAnalysis;
use crate::search::{Candidate, Filter, SearchQuery, Strategy};
use jiff::Timestamp;
use std::future::Future;
use std::sync::Arc;

/// A store that a suite may use.
pub(super) type Store = Arc<dyn MemoryStore>;
/// A breach of the contract, in words.
pub(super) type Check = std::result::Result<(), String>;

/// Breaks off a check, saying what was expected.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}
pub(super) use ensure;

/// Checks a store against the contract of [`MemoryStore`] and returns every breach, in words.
///
/// Each call of `open` gives a handle to the same data: what one writes, the others find at once. The store's embedding model has
/// `dimensions` numbers, at least 4. Everything happens in scopes of organisations whose names begin with `conformance-`; they
/// are erased first and last.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use syntra_core::{SystemClock, memory::{MemoryStore, SqliteMemoryStore}, storage::Database};
/// let database = Database::in_memory().unwrap();
/// let open = || {
///     let store = SqliteMemoryStore::new(database.clone(), Arc::new(SystemClock::new())).with_model("test", 4);
///     async { store.map(|store| Arc::new(store) as Arc<dyn MemoryStore>) }
/// };
/// syntra_core::testing::memory_store_conformance(open, 4).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// The list of breaches, at least one.
pub async fn memory_store_conformance<F, O>(open: F, dimensions: usize) -> Result<(), Vec<String>>
where
    F: Fn() -> O,
    O: Future<Output = crate::Result<Store>>,
{
    let opened = |e: Error| vec![format!("the store cannot be opened: {e}")];
    if dimensions < 4 {
        return Err(vec!["the suite needs an embedding model of at least 4 dimensions".into()]);
    }
    let suite = Suite { a: open().await.map_err(opened)?, b: open().await.map_err(opened)?, dimensions };
    let mut breaches = Vec::new();
    writing::all(&suite, &mut breaches).await;
    finding::all(&suite, &mut breaches).await;
    if breaches.is_empty() { Ok(()) } else { Err(breaches) }
}

/// Two handles to the same data.
struct Suite {
    a: Store,
    b: Store,
    dimensions: usize,
}

/// A check's own scope, erased before and after.
async fn checked<'s>(
    suite: &'s Suite,
    name: &str,
    breaches: &mut Vec<String>,
    check: impl AsyncFnOnce(&'s Suite, Scope) -> Check,
) {
    let result = async {
        let scope = Scope::new(format!("conformance-{name}"), "ada").map_err(|e| e.to_string())?;
        suite.a.erase(&scope).await.map_err(|e| format!("erase failed: {e}"))?;
        check(suite, scope.clone()).await?;
        suite.a.erase(&scope).await.map_err(|e| format!("erase failed: {e}"))?;
        Ok(())
    };
    if let Err(breach) = result.await {
        let breach: String = breach;
        breaches.push(format!("{name}: {breach}"));
    }
}

impl Suite {
    /// A unit vector along one axis.
    fn axis(&self, axis: usize) -> Vec<f32> {
        (0..self.dimensions).map(|i| if i == axis { 1.0 } else { 0.0 }).collect()
    }

    async fn remember(&self, scope: &Scope, items: Vec<NewMemory>) -> Result<Vec<Remembered>, String> {
        let wanted = items.len();
        let done = self.a.remember(scope, items).await.map_err(|e| format!("remember failed: {e}"))?;
        ensure!(done.len() == wanted, "remember answered {} of {wanted} items", done.len());
        Ok(done)
    }

    /// What a strategy of the other handle finds.
    async fn find(&self, scope: &Scope, strategy: Strategy, ask: &Ask) -> Result<Vec<String>, String> {
        let found =
            self.b.recall(scope, strategy, &ask.query()).await.map_err(|e| format!("{strategy:?} failed: {e}"))?;
        ensure!(found.len() <= ask.limit, "{strategy:?} found {}, more than the limit {}", found.len(), ask.limit);
        Ok(found.into_iter().map(|candidate| candidate.id.to_string()).collect())
    }

    async fn signals(&self, scope: &Scope, ids: &[&str], ask: &Ask) -> Result<Vec<Candidate>, String> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.b.signals(scope, &ids, &ask.query()).await.map_err(|e| format!("signals failed: {e}"))
    }
}

/// A question and all that a [`SearchQuery`] borrows.
struct Ask {
    text: String,
    analysis: QueryAnalysis,
    vector: Option<Vec<f32>>,
    filter: Filter,
    limit: usize,
}

impl Ask {
    fn new(text: &str) -> Self {
        let analysis =
            QueryAnalysis { keywords: text.split(' ').map(str::to_lowercase).collect(), ..QueryAnalysis::default() };
        Self { text: text.to_owned(), analysis, vector: None, filter: Filter::default(), limit: 10 }
    }

    fn vector(vector: Vec<f32>) -> Self {
        Self { vector: Some(vector), ..Self::new("anything") }
    }

    fn within(self, filter: Filter) -> Self {
        Self { filter, ..self }
    }

    fn query(&self) -> SearchQuery<'_> {
        SearchQuery {
            text: &self.text,
            analysis: &self.analysis,
            vector: self.vector.as_deref(),
            filter: &self.filter,
            now: day(100),
            limit: self.limit,
            topics: false,
        }
    }
}

/// Midnight, `n` days after the first of January 2026.
fn day(n: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + n * 86_400).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn semantic(id: &str, text: &str) -> NewMemory {
    NewMemory::new(MemoryType::Semantic, text).with_id(id)
}

/// Expects an error of `kind`.
fn refused<T: std::fmt::Debug>(what: &str, kind: ErrorKind, result: crate::Result<T>) -> Check {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(format!("{what} should be {kind}, was {error}")),
        Ok(value) => Err(format!("{what} should be {kind}, succeeded with {value:?}")),
    }
}

fn ids(of: &[&str]) -> Vec<String> {
    of.iter().map(|id| (*id).to_owned()).collect()
}

/// Words that no analyser takes for one another, or apart.
fn word(i: usize) -> &'static str {
    const WORDS: [&str; 26] = [
        "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima",
        "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whisky",
        "xray", "yankee", "zulu",
    ];
    WORDS.get(i).copied().unwrap_or("beyond")
}
