//! A cache over any embedder: bounded by memory, one call for identical texts asked for at the same time.

use super::Embedder;
use crate::error::{Error, ErrorKind, Result};
use async_trait::async_trait;
use moka::future::Cache;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Model, use and text, hashed: texts themselves are not kept.
type Key = [u8; 32];
/// What a leader tells those who wait for the same text.
type Slot = Option<Result<Arc<[f32]>>>;
type Flights = Mutex<HashMap<Key, watch::Receiver<Slot>>>;

/// What a text is embedded for; some models tell the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Document,
    Query,
}

/// Remembers vectors, and asks only once for a text that several callers want at the same time.
///
/// What is asked for together is asked for in one call of the embedder below. A caller who is cancelled or whose call fails
/// because of *another* text of the same batch does not take those who wait down: one of them asks again.
///
/// ```
/// use std::sync::Arc;
/// use syntra_core::embed::{CachedEmbedder, Embedder, StaticEmbedder};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cached = CachedEmbedder::new(Arc::new(StaticEmbedder::bundled()?), 16 << 20);
/// cached.embed(&["a text", "another", "a text"]).await?;
/// cached.embed(&["another"]).await?;
/// let stats = cached.stats();
/// assert_eq!((stats.misses, stats.hits, stats.coalesced), (2, 1, 1));
/// # Ok::<(), syntra_core::Error>(()) }).unwrap();
/// ```
pub struct CachedEmbedder {
    inner: Arc<dyn Embedder>,
    vectors: Cache<Key, Arc<[f32]>>,
    flights: Arc<Flights>,
    hits: AtomicU64,
    misses: AtomicU64,
    coalesced: AtomicU64,
}

/// What a [`CachedEmbedder`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbedCacheStats {
    /// Texts whose vector was there.
    pub hits: u64,
    /// Texts that were sent to the embedder below.
    pub misses: u64,
    /// Texts that waited for a call already under way, or stood twice in one batch.
    pub coalesced: u64,
    /// Vectors held now, approximately.
    pub entries: u64,
}

impl EmbedCacheStats {
    /// Share of the texts that did not reach the embedder below, 0 to 1; 0 when none was asked for.
    pub fn hit_rate(&self) -> f64 {
        let saved = self.hits + self.coalesced;
        match saved + self.misses {
            0 => 0.0,
            all => saved as f64 / all as f64,
        }
    }
}

impl fmt::Debug for CachedEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedEmbedder").field("inner", &self.inner).field("stats", &self.stats()).finish()
    }
}

/// The texts that this call has to fetch. Dropped before they are settled (cancelled, failed), they are open to others again.
struct Lead<'a> {
    flights: &'a Flights,
    open: Vec<(Key, watch::Sender<Slot>)>,
}

impl Lead<'_> {
    fn settle(&mut self, key: &Key, outcome: Result<Arc<[f32]>>) {
        if let Some(at) = self.open.iter().position(|(k, _)| k == key) {
            let (key, sender) = self.open.swap_remove(at);
            lock(self.flights).remove(&key);
            sender.send_replace(Some(outcome));
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut flights = lock(self.flights);
        for (key, _) in &self.open {
            flights.remove(key);
        }
    }
}

fn lock(flights: &Flights) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Slot>>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CachedEmbedder {
    /// A cache of at most about `max_bytes` over `inner`. A vector of 384 numbers takes some 1.6 kB.
    pub fn new(inner: Arc<dyn Embedder>, max_bytes: u64) -> Self {
        let vectors = Cache::builder()
            .max_capacity(max_bytes)
            // The numbers, the key, and what the cache keeps about an entry.
            .weigher(|_: &Key, v: &Arc<[f32]>| u32::try_from(v.len() * 4 + 128).unwrap_or(u32::MAX))
            .build();
        Self {
            inner,
            vectors,
            flights: Arc::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            coalesced: AtomicU64::new(0),
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> EmbedCacheStats {
        EmbedCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            coalesced: self.coalesced.load(Ordering::Relaxed),
            entries: self.vectors.entry_count(),
        }
    }

    /// Forgets every vector.
    pub fn clear(&self) {
        self.vectors.invalidate_all();
    }

    fn key(&self, purpose: Use, text: &str) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.inner.model().as_bytes());
        // No model name holds this byte followed by one of these two, so no two triples run together alike.
        hash.update([0, purpose as u8]);
        hash.update(text.as_bytes());
        hash.finalize().into()
    }

    /// The vectors of distinct keys, in order.
    async fn fetch(&self, purpose: Use, wanted: &[(Key, &str)]) -> Result<Vec<Arc<[f32]>>> {
        let mut found: Vec<Option<Arc<[f32]>>> = vec![None; wanted.len()];
        let mut first_round = true;
        loop {
            let mut lead = Lead { flights: &self.flights, open: Vec::new() };
            let mut ours: Vec<usize> = Vec::new();
            let mut waiting = Vec::new();
            for (i, (key, _)) in wanted.iter().enumerate() {
                if found[i].is_some() {
                    continue;
                }
                if let Some(vector) = self.vectors.get(key).await {
                    found[i] = Some(vector);
                    if first_round {
                        self.hits.fetch_add(1, Ordering::Relaxed);
                    }
                    continue;
                }
                let mut flights = lock(&self.flights);
                if let Some(flight) = flights.get(key) {
                    waiting.push((i, flight.clone()));
                    continue;
                }
                let (sender, receiver) = watch::channel(None);
                flights.insert(*key, receiver);
                lead.open.push((*key, sender));
                drop(flights);
                ours.push(i);
            }
            // Between the look into the cache and the flight, the leader before us may have landed: look again.
            let mut ask = Vec::with_capacity(ours.len());
            for i in ours {
                let (key, text) = wanted[i];
                match self.vectors.get(&key).await {
                    Some(vector) => {
                        self.hits.fetch_add(1, Ordering::Relaxed);
                        lead.settle(&key, Ok(vector.clone()));
                        found[i] = Some(vector);
                    }
                    None => ask.push((i, text)),
                }
            }
            if first_round {
                self.coalesced.fetch_add(waiting.len() as u64, Ordering::Relaxed);
                first_round = false;
            }
            if !ask.is_empty() {
                self.misses.fetch_add(ask.len() as u64, Ordering::Relaxed);
                let texts: Vec<&str> = ask.iter().map(|(_, text)| *text).collect();
                match self.ask(purpose, &texts).await {
                    Ok(vectors) => {
                        for ((i, _), vector) in ask.into_iter().zip(vectors) {
                            let vector: Arc<[f32]> = vector.into();
                            // Into the cache before the flight ends, so that nobody finds neither.
                            self.vectors.insert(wanted[i].0, vector.clone()).await;
                            lead.settle(&wanted[i].0, Ok(vector.clone()));
                            found[i] = Some(vector);
                        }
                    }
                    Err(error) => {
                        // Those who wait share an error that is theirs too; an error that another text may have caused is not.
                        let shared = texts.len() == 1
                            || !matches!(
                                error.kind(),
                                ErrorKind::InvalidInput | ErrorKind::Embedding | ErrorKind::BadRequest
                            );
                        if shared {
                            for (i, _) in &ask {
                                lead.settle(&wanted[*i].0, Err(error.clone()));
                            }
                        }
                        return Err(error);
                    }
                }
            }
            drop(lead);
            let mut again = false;
            for (i, mut flight) in waiting {
                let outcome = match flight.wait_for(Option::is_some).await {
                    Ok(slot) => slot.clone(),
                    // The leader went away without an answer.
                    Err(_) => None,
                };
                match outcome {
                    Some(vector) => found[i] = Some(vector?),
                    None => again = true,
                }
            }
            if !again {
                break;
            }
        }
        let lost = || Error::new(ErrorKind::Embedding, "a vector was lost on its way through the cache");
        found.into_iter().map(|v| v.ok_or_else(lost)).collect()
    }

    async fn ask(&self, purpose: Use, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let vectors = match (purpose, texts) {
            (Use::Query, [text]) => vec![self.inner.embed_query(text).await?],
            _ => self.inner.embed(texts).await?,
        };
        super::check_vectors(&vectors, texts.len(), self.inner.dimensions())?;
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for CachedEmbedder {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        // Every text once; `place` says where each text of the caller found itself.
        let mut wanted: Vec<(Key, &str)> = Vec::with_capacity(texts.len());
        let mut places: HashMap<Key, usize> = HashMap::with_capacity(texts.len());
        let place: Vec<usize> = texts
            .iter()
            .map(|text| {
                let key = self.key(Use::Document, text);
                *places.entry(key).or_insert_with(|| {
                    wanted.push((key, text));
                    wanted.len() - 1
                })
            })
            .collect();
        self.coalesced.fetch_add((texts.len() - wanted.len()) as u64, Ordering::Relaxed);
        let vectors = self.fetch(Use::Document, &wanted).await?;
        Ok(place.into_iter().map(|i| vectors[i].to_vec()).collect())
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let vectors = self.fetch(Use::Query, &[(self.key(Use::Query, text), text)]).await?;
        vectors
            .first()
            .map(|v| v.to_vec())
            .ok_or_else(|| Error::new(ErrorKind::Embedding, "the embedder returned no vector"))
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
