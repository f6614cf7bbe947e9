//! Remembering and recalling: the embedder, the store's strategies side by side, and one ranking over what they find.

use super::rerank::{self, RerankReport};
use super::{
    DocumentChunk, Gathered, Memory, MemoryPatch, MemoryStats, MemoryStore, NewMemory, NewVector, Page, Remembered,
    history, vectors,
};
use crate::chat::Scope;
use crate::clock::Clock;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::query::{self, QueryAnalysis};
use crate::search::{EntityFact, Filter, HybridRanker, RankQuery, Reranker, SearchQuery, Signal, Strategy};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use unicode_segmentation::UnicodeSegmentation as _;

/// How many candidates the two relevance strategies may each return, the graph, the profile, and the newest.
const RELEVANCE_POOL: usize = 150;
const GRAPH_POOL: usize = 50;
const PROFILE_POOL: usize = 20;
const RECENT_POOL: usize = 10;
/// How many memories without a vector are looked for at once: each time the store goes through all.
const MISSING_AT_ONCE: u64 = 2_048;
/// How many candidates are ranked.
const MOST_CANDIDATES: usize = 400;
/// How many memories one recall returns at the most.
pub(super) const MOST_RECALLED: usize = 200;

/// What is to be recalled.
///
/// ```
/// use syntra_core::memory::RecallRequest;
/// let request = RecallRequest::new("Where does Ada live?").with_limit(5);
/// assert_eq!(request.limit, 5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecallRequest {
    /// The question.
    pub text: String,
    /// How many memories to return, 1 to 200; 10 where nothing is said.
    pub limit: usize,
    /// What to search within.
    pub filter: Filter,
    /// The strategies to use; all five where nothing is said.
    pub strategies: Vec<Strategy>,
    /// The time of asking; the clock's where nothing is said.
    pub now: Option<Timestamp>,
    /// The time zone that words like "yesterday" are meant in; UTC where nothing is said.
    pub time_zone: Option<TimeZone>,
}

impl RecallRequest {
    /// A question over everything, with all strategies.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            limit: 10,
            filter: Filter::default(),
            strategies: Strategy::ALL.to_vec(),
            now: None,
            time_zone: None,
        }
    }

    /// Sets how many memories to return.
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets what to search within.
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the strategies to use.
    pub fn with_strategies(mut self, strategies: impl IntoIterator<Item = Strategy>) -> Self {
        self.strategies = strategies.into_iter().collect();
        self
    }

    /// Sets the time of asking.
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Sets the time zone of the one who asks.
    pub fn with_time_zone(mut self, zone: TimeZone) -> Self {
        self.time_zone = Some(zone);
        self
    }
}

impl From<&str> for RecallRequest {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for RecallRequest {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A memory that was recalled, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recalled {
    /// The memory.
    pub memory: Memory,
    /// The sum of `parts`.
    pub score: f32,
    /// What each signal contributed.
    pub parts: Vec<(Signal, f32)>,
    /// The strategies that found it.
    pub found_by: Vec<Strategy>,
}

/// What became of one strategy.
#[derive(Clone, Debug, Serialize)]
pub struct StrategyReport {
    /// The strategy.
    pub strategy: Strategy,
    /// How many candidates it found.
    pub found: usize,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
    /// How it failed, if it did; the others are not affected.
    pub error: Option<Error>,
}

/// What a recall found.
#[derive(Clone, Debug, Serialize)]
pub struct Recall {
    /// The memories, best first.
    pub items: Vec<Recalled>,
    /// What is known of whom and what the question names, with [`Strategy::Graph`] among the strategies.
    pub entities: Vec<EntityFact>,
    /// What was understood of the question.
    pub analysis: QueryAnalysis,
    /// One report a strategy, in the order asked for.
    pub strategies: Vec<StrategyReport>,
    /// What became of the second look, where there is a [`Reranker`].
    pub rerank: Option<RerankReport>,
    /// How many candidates the strategies found together.
    pub before_dedup: usize,
    /// How many of them were different ones.
    pub after_dedup: usize,
    /// How long each step took: `analyse`, `embed`, `strategies` (with the signals of what they found), `rank`, `fetch`, and
    /// `rerank` where there is a [`Reranker`].
    pub spans: Vec<(&'static str, Duration)>,
}

/// Remembers and recalls for one application: a store, an embedder and a ranker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memories {
    store: Arc<dyn MemoryStore>,
    embedder: Arc<dyn Embedder>,
    ranker: Arc<dyn HybridRanker>,
    reranker: Option<Arc<dyn Reranker>>,
    clock: Arc<dyn Clock>,
}

impl Memories {
    /// Memories kept by `store`, embedded by `embedder` and ordered by `ranker`.
    pub fn new(
        store: Arc<dyn MemoryStore>,
        embedder: Arc<dyn Embedder>,
        ranker: Arc<dyn HybridRanker>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, embedder, ranker, reranker: None, clock }
    }

    /// The same, with the best read again by `reranker`; it reads nothing where nobody sets one.
    pub fn with_reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        self.reranker = Some(reranker);
        self
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn MemoryStore> {
        &self.store
    }

    /// The embedder behind it.
    pub fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.embedder
    }

    /// Writes `items` in order, all or none; those without a vector are embedded first.
    ///
    /// # Errors
    /// Those of the embedder (then nothing is written) and of [`MemoryStore::remember`].
    pub async fn remember(&self, scope: &Scope, mut items: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        let missing: Vec<usize> =
            items.iter().enumerate().filter(|(_, item)| item.vector.is_none()).map(|(at, _)| at).collect();
        for batch in missing.chunks(vectors::BATCH) {
            let texts: Vec<(&str, Option<&str>)> = batch
                .iter()
                .filter_map(|at| items.get(*at))
                .map(|item| (item.text.as_str(), item.title.as_deref()))
                .collect();
            let vectors = vectors::of_texts(&*self.embedder, &texts).await?;
            for (at, vector) in batch.iter().zip(vectors) {
                if let Some(item) = items.get_mut(*at) {
                    item.vector = Some(vector);
                }
            }
        }
        self.store.remember(scope, items).await
    }

    /// Finds what helps with a question: every strategy at once, one union, one ranking. A strategy that fails, the embedder
    /// included, is reported and the rest goes on. Where the question asks about a time that began in the past, what held then and was
    /// replaced since stands beside what replaced it, with the same score.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for an empty question, a limit of 0 or over 200, or no strategy; the store's when every strategy
    /// failed or the memories cannot be read.
    pub async fn recall(&self, scope: &Scope, request: RecallRequest) -> Result<Recall> {
        check(&request)?;
        let mut watch = Watch::new(&*self.clock);
        let now = request.now.unwrap_or_else(|| self.clock.now());
        let zone = request.time_zone.clone().unwrap_or(TimeZone::UTC);
        let analysis = query::analyse(&request.text, now, &zone);
        watch.lap("analyse");

        let wants_vector = request.strategies.contains(&Strategy::Vector);
        let vector = if wants_vector { Some(self.question_vector(scope, &request.text).await) } else { None };
        let (vector, embed_error) = match vector {
            Some(Ok(vector)) => (Some(vector), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        watch.lap("embed");

        let base = SearchQuery {
            text: &request.text,
            analysis: &analysis,
            vector: vector.as_deref(),
            filter: &request.filter,
            now,
            limit: RELEVANCE_POOL.max(request.limit),
            topics: self.ranker.wants_topics(),
        };
        let runs: Vec<(Strategy, usize)> = request
            .strategies
            .iter()
            .filter(|strategy| embed_error.is_none() || **strategy != Strategy::Vector)
            .map(|strategy| (*strategy, pool(*strategy, base.limit)))
            .collect();
        let Gathered { mut reports, candidates, mut entities } =
            self.store.gather(scope, &runs, &base, MOST_CANDIDATES, &*self.clock).await?;
        // The vector strategy fails with the embedder.
        if let Some(error) = embed_error
            && let Some(at) = request.strategies.iter().position(|s| *s == Strategy::Vector)
        {
            let strategy = Strategy::Vector;
            let report = StrategyReport { strategy, found: 0, elapsed_us: 0, error: Some(error) };
            reports.insert(at.min(reports.len()), report);
        }
        if reports.iter().all(|r: &StrategyReport| r.error.is_some())
            && let Some(error) = reports.iter().find_map(|r| r.error.clone())
        {
            return Err(error);
        }
        let before_dedup = reports.iter().map(|report| report.found).sum();
        let after_dedup = candidates.len();
        watch.lap("strategies");

        let intent = analysis.intent;
        // A second look needs more than are wanted, to choose from.
        let limit = self.reranker.as_deref().map_or(request.limit, |r| request.limit.max(rerank::depth(r)));
        let query = RankQuery { text: &request.text, analysis: &analysis, intent, now, limit };
        let mut ranked = self.ranker.rank_async(&query, candidates).await?;
        ranked.truncate(limit);
        watch.lap("rank");

        // The memories that entities are known from go along: they tell how a name is spelt.
        let mut ids: Vec<String> = ranked.iter().map(|r| r.candidate.id.to_string()).collect();
        ids.extend(entities.iter().flat_map(|entity| entity.sources.iter().cloned()));
        ids.sort_unstable();
        ids.dedup();
        let mut memories: HashMap<String, Memory> =
            self.store.get(scope, &ids).await?.into_iter().map(|m| (m.id.clone(), m)).collect();
        for entity in &mut entities {
            spell(entity, &memories);
        }
        let mut items: Vec<Recalled> = ranked
            .into_iter()
            .filter_map(|r| {
                let memory = memories.remove(&*r.candidate.id)?;
                Some(Recalled {
                    memory,
                    score: r.score,
                    parts: r.parts,
                    found_by: r.candidate.found_by.iter().collect(),
                })
            })
            .collect();
        watch.lap("fetch");
        let mut rerank = None;
        if let Some(reranker) = self.reranker.as_deref() {
            let mut report = rerank::rerank(reranker, &request.text, &mut items).await;
            report.elapsed_us = watch.lap("rerank").as_micros() as u64;
            rerank = Some(report);
            items.truncate(request.limit);
        }
        history::add_what_held(&*self.store, scope, analysis.time.as_ref(), now, &request.filter, &mut items).await?;
        items.truncate(request.limit);
        let spans = watch.spans;
        Ok(Recall { items, entities, analysis, strategies: reports, rerank, before_dedup, after_dedup, spans })
    }

    /// Says that memories were used, so that they count as used from now on.
    ///
    /// # Errors
    /// Those of [`MemoryStore::touch`].
    pub async fn used(&self, scope: &Scope, ids: &[String]) -> Result<()> {
        self.store.touch(scope, ids, self.clock.now()).await
    }

    /// Changes a memory; a new text is embedded.
    ///
    /// # Errors
    /// Those of the embedder and of [`MemoryStore::update`].
    pub async fn update(&self, scope: &Scope, id: &str, mut patch: MemoryPatch) -> Result<Memory> {
        if let (Some(text), None) = (&patch.text, &patch.vector) {
            let old = self.store.get(scope, &[id.to_owned()]).await?;
            let title = patch.title.clone().or_else(|| old.first().and_then(|m| m.title.clone()));
            patch.vector = vectors::of_texts(&*self.embedder, &[(text, title.as_deref())]).await?.pop();
        }
        self.store.update(scope, id, patch).await
    }

    /// Gives a vector of the present embedder to the valid memories that have none: those of another embedding model, and those that were written
    /// without one. How many got one. What was done stays where it ends early, and it goes on from there when it is called again.
    ///
    /// # Errors
    /// Those of the embedder, of [`MemoryStore::missing_vectors`] and of [`MemoryStore::set_vectors`].
    pub async fn embed_missing(&self, scope: &Scope) -> Result<u64> {
        let mut all = 0;
        loop {
            let missing = self.store.missing_vectors(scope, MISSING_AT_ONCE).await?;
            let last = (missing.len() as u64) < MISSING_AT_ONCE;
            let (mut missing, mut given) = (missing.into_iter(), 0);
            loop {
                let batch: Vec<Memory> = missing.by_ref().take(vectors::BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                let texts: Vec<(&str, Option<&str>)> =
                    batch.iter().map(|memory| (memory.text.as_str(), memory.title.as_deref())).collect();
                let vectors = vectors::of_texts(&*self.embedder, &texts).await?;
                let new = batch.into_iter().zip(vectors);
                let new = new.map(|(Memory { id, text, .. }, vector)| NewVector { id, text, vector });
                given += self.store.set_vectors(scope, new.collect()).await?;
            }
            all += given;
            // What cannot be given one, changed or forgotten meanwhile, is not asked for again and again.
            if last || given == 0 {
                return Ok(all);
            }
        }
    }

    /// Writes `new`, a fact of which a user has one at a time, in place of the one of `attribute` that holds.
    ///
    /// # Errors
    /// Those of the embedder and of [`MemoryStore::remember_fact`].
    pub async fn remember_fact(&self, scope: &Scope, attribute: &str, new: NewMemory) -> Result<Remembered> {
        let new = self.embedded(new).await?;
        self.store.remember_fact(scope, attribute, new).await
    }

    /// Writes `new` and ends the validity of `old`; history stays readable.
    ///
    /// # Errors
    /// Those of the embedder and of [`MemoryStore::supersede`].
    pub async fn supersede(&self, scope: &Scope, old: &str, new: NewMemory) -> Result<Remembered> {
        let new = self.embedded(new).await?;
        self.store.supersede(scope, old, new).await
    }

    async fn embedded(&self, mut new: NewMemory) -> Result<NewMemory> {
        if new.vector.is_none() {
            new.vector = vectors::of_texts(&*self.embedder, &[(&new.text, new.title.as_deref())]).await?.pop();
        }
        Ok(new)
    }

    /// Removes memories for good; how many there were.
    ///
    /// # Errors
    /// Those of [`MemoryStore::forget`].
    pub async fn forget(&self, scope: &Scope, ids: &[String]) -> Result<u64> {
        self.store.forget(scope, ids).await
    }

    /// The memories with these ids, in the order asked for; superseded ones too.
    ///
    /// # Errors
    /// Those of [`MemoryStore::get`].
    pub async fn get(&self, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>> {
        self.store.get(scope, ids).await
    }

    /// Memories in the order they were written, a page at a time.
    ///
    /// # Errors
    /// Those of [`MemoryStore::list`].
    pub async fn list(&self, scope: &Scope, filter: &Filter, page: Page) -> Result<Vec<Memory>> {
        self.store.list(scope, filter, page).await
    }

    /// The chunks of indexed files, in no order: all of the scope, or those of `folder`.
    ///
    /// # Errors
    /// Those of [`MemoryStore::chunks`].
    pub async fn chunks(&self, scope: &Scope, folder: Option<&str>) -> Result<Vec<DocumentChunk>> {
        self.store.chunks(scope, folder).await
    }

    /// How many there are.
    ///
    /// # Errors
    /// Those of [`MemoryStore::stats`].
    pub async fn stats(&self, scope: &Scope) -> Result<MemoryStats> {
        self.store.stats(scope).await
    }

    /// The vector of a question, without the names of those who speak in the scope.
    async fn question_vector(&self, scope: &Scope, text: &str) -> Result<Vec<f32>> {
        let names = self.store.speakers(scope).await.unwrap_or_default();
        vectors::of_question(&*self.embedder, text, &names).await
    }
}

/// Gives the names of `entity` the spelling of the memories that it is known from.
fn spell(entity: &mut EntityFact, memories: &HashMap<String, Memory>) {
    let sources: Vec<&Memory> = entity.sources.iter().filter_map(|id| memories.get(id)).collect();
    let texts = || sources.iter().flat_map(|m| m.title.as_deref().into_iter().chain([m.text.as_str()]));
    for name in std::iter::once(&mut entity.name).chain(&mut entity.aliases).chain(&mut entity.related) {
        if let Some(spelt) = texts().find_map(|text| spelling(text, name)) {
            *name = spelt;
        }
    }
}

/// The first place in `text` where the words of `name` stand one after another, as they are written there.
fn spelling(text: &str, name: &str) -> Option<String> {
    let wanted: Vec<String> = name.unicode_words().map(str::to_lowercase).collect();
    let words: Vec<(usize, &str)> = text.unicode_word_indices().collect();
    let bare =
        |word: &'_ str| word.strip_suffix("'s").or_else(|| word.strip_suffix("\u{2019}s")).map_or(word.len(), str::len);
    let same = |(_, word): &(usize, &str), wanted: &String| {
        word.get(..bare(word)).is_some_and(|word| word.to_lowercase() == *wanted)
    };
    let found =
        words.windows(wanted.len().max(1)).find(|window| window.iter().zip(&wanted).all(|(w, n)| same(w, n)))?;
    let ((from, _), (last, word)) = (found.first()?, found.last()?);
    text.get(*from..last + bare(word)).map(|spelt| spelt.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// How many candidates a strategy may return.
fn pool(strategy: Strategy, relevance: usize) -> usize {
    match strategy {
        Strategy::Vector | Strategy::Keyword => relevance,
        Strategy::Graph => GRAPH_POOL,
        Strategy::Profile => PROFILE_POOL,
        Strategy::Recent => RECENT_POOL,
    }
}

fn check(request: &RecallRequest) -> Result<()> {
    if request.text.trim().is_empty() {
        return Err(Error::invalid("the question to recall for is empty"));
    }
    if request.limit == 0 || request.limit > MOST_RECALLED {
        return Err(Error::invalid(format!("a recall returns 1 to {MOST_RECALLED} memories, not {}", request.limit)));
    }
    if request.strategies.is_empty() {
        return Err(Error::invalid("no strategy to recall with: name one or leave the default of all five"));
    }
    Ok(())
}

/// Times the steps of a recall.
struct Watch<'a> {
    clock: &'a dyn Clock,
    last: Duration,
    spans: Vec<(&'static str, Duration)>,
}

impl<'a> Watch<'a> {
    fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, last: clock.monotonic(), spans: Vec::with_capacity(6) }
    }

    fn lap(&mut self, name: &'static str) -> Duration {
        let now = self.clock.monotonic();
        let took = now.saturating_sub(self.last);
        self.spans.push((name, took));
        self.last = now;
        took
    }
}
