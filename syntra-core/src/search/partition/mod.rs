//! All indexes over one user's memories, in process: words, vectors, entities, conversations, and what each memory is like.
//!
//! A partition is derived data: a store feeds it its rows and can rebuild it at any time.

mod conversation;
mod document;
mod find;
mod gather;
mod known;
mod signals;
mod snapshot;
#[cfg(test)]
mod tests;
mod times;
mod wording;

use super::bm25::Bm25Index;
use super::graph::EntityGraph;
use super::sheets::Sheets;
use super::text::TextAnalyzer;
use super::vector::{HnswIndex, normalised};
use super::{Candidate, EntityFact, IndexDocument, SearchQuery, Strategy, VectorIndex};
use crate::error::{Error, Result};
use crate::memory::MemoryType;
use conversation::Conversation;
use document::Document;
use find::Memo;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
pub(crate) use snapshot::fingerprint;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// From how many vectors on a graph is built beside the scan, where nobody says otherwise. At a million the scan is as quick as a graph that
/// finds less; a scan's time grows with the number of vectors, that of a walk hardly (`docs/benchmarks.md`).
pub(crate) const LARGE: usize = 2_000_000;

/// The indexes over the memories of one user.
///
/// Documents of a conversation are to be added in the order in which they were said: neighbours are context for each other.
///
/// ```
/// use syntra_core::memory::MemoryType;
/// use syntra_core::query::QueryAnalysis;
/// use syntra_core::search::{Filter, IndexDocument, Partition, SearchQuery, Strategy};
/// use syntra_core::Timestamp;
///
/// let mut partition = Partition::new(2);
/// partition.upsert(&IndexDocument {
///     id: "m1", kind: MemoryType::Episodic, text: "We moved to Lisbon", title: None, speaker: Some("Ada"), role: None,
///     conversation: Some("c1"), said_at: None, created_at: Timestamp::UNIX_EPOCH, reliability: None, access_count: 0,
///     vector: Some(&[1.0, 0.0]),
/// })?;
/// let (analysis, filter) = (QueryAnalysis::default(), Filter::default());
/// let query = SearchQuery {
///     text: "Where did Ada move?", analysis: &analysis, vector: None, filter: &filter, now: Timestamp::UNIX_EPOCH, limit: 10,
///     topics: false,
/// };
/// assert_eq!(&*partition.search(Strategy::Keyword, &query)?[0].id, "m1");
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Partition {
    dimensions: usize,
    analyzer: TextAnalyzer,
    slots: Vec<Option<Document>>,
    free: Vec<u32>,
    by_id: FxHashMap<Arc<str>, u32>,
    words: Bm25Index,
    vectors: HnswIndex,
    graph: EntityGraph,
    conversations: Vec<Conversation>,
    conversation_ids: FxHashMap<Box<str>, u32>,
    /// How many conversations hold something, and the length of them all.
    in_conversations: (usize, f64),
    /// In how many conversations a term occurs.
    conversation_df: FxHashMap<u32, u32>,
    /// By time: all documents, and those of the profile.
    newest: BTreeSet<(Timestamp, u32)>,
    profile: BTreeSet<(Timestamp, u32)>,
    speakers: Vec<Speaker>,
    version: u64,
    memo: Mutex<Option<Memo>>,
    /// Numbers by slot, for the questions.
    sheets: Sheets<u32>,
}

/// What one strategy of several found, see [`Partition::gather`].
#[derive(Clone, Debug)]
pub struct Found {
    /// How many documents, or why it failed.
    pub found: Result<usize, Error>,
    /// How long it took.
    pub elapsed: Duration,
}

#[derive(Debug)]
struct Speaker {
    name: Box<str>,
    /// Its words in lower case.
    words: Vec<String>,
    documents: u32,
}

impl Partition {
    /// An empty partition for vectors of `dimensions` numbers.
    pub fn new(dimensions: usize) -> Self {
        Self::with_graph_from(dimensions, LARGE)
    }

    /// An empty partition that has a graph (see [`HnswIndex`]) built beside the scan of its vectors once there are `graph_from` of them.
    pub fn with_graph_from(dimensions: usize, graph_from: usize) -> Self {
        Self {
            dimensions,
            analyzer: TextAnalyzer::default(),
            slots: Vec::new(),
            free: Vec::new(),
            by_id: FxHashMap::default(),
            words: Bm25Index::default(),
            vectors: HnswIndex::starting_at(dimensions, graph_from.max(1)),
            graph: EntityGraph::default(),
            conversations: Vec::new(),
            conversation_ids: FxHashMap::default(),
            in_conversations: (0, 0.0),
            conversation_df: FxHashMap::default(),
            newest: BTreeSet::new(),
            profile: BTreeSet::new(),
            speakers: Vec::new(),
            version: 0,
            memo: Mutex::new(None),
            sheets: Sheets::default(),
        }
    }

    /// How many documents it holds.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Bytes held, about.
    pub fn memory_bytes(&self) -> usize {
        let documents = self.slots.capacity() * size_of::<Option<Document>>()
            + self.by_id.keys().map(|id| id.len() + 64).sum::<usize>()
            + self.slots.iter().flatten().map(|doc| doc.pairs.memory_bytes() + doc.title.len() * 4).sum::<usize>();
        let conversations: usize = self.conversations.iter().map(Conversation::memory_bytes).sum();
        documents
            + conversations
            + self.conversation_df.capacity() * 9
            + (self.newest.len() + self.profile.len()) * 32
            + self.words.memory_bytes()
            + self.vectors.memory_bytes()
            + self.graph.memory_bytes()
            + self.sheets.memory_bytes()
    }

    /// The names of those who said something here, the most frequent first.
    pub fn speakers(&self) -> Vec<String> {
        let mut speakers: Vec<&Speaker> = self.speakers.iter().filter(|s| s.documents > 0).collect();
        speakers.sort_by(|a, b| b.documents.cmp(&a.documents).then(a.name.cmp(&b.name)));
        speakers.into_iter().map(|s| s.name.to_string()).collect()
    }

    /// Adds a document, or replaces the one with its id, which then keeps its place in its conversation.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a vector of the wrong dimension, of no length or with numbers that are not finite;
    /// nothing changes then.
    pub fn upsert(&mut self, doc: &IndexDocument<'_>) -> Result<()> {
        if let Some(vector) = doc.vector {
            normalised(self.dimensions, vector)?;
        }
        self.version += 1;
        let reading = document::read(&self.analyzer, doc);
        let conversation = doc.conversation.map(|name| self.conversation(name));
        let old = self.by_id.get(doc.id).copied();
        let mut position = None;
        if let Some(slot) = old {
            let before = self.detach(slot);
            position = before.filter(|(c, _)| Some(*c) == conversation).map(|(_, p)| p);
        }
        let slot = match old.or_else(|| self.free.pop()) {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        let terms: Vec<(&str, f32)> = reading.terms.iter().map(|(t, w)| (t.as_str(), *w)).collect();
        self.words.insert(slot, &terms);
        let title = reading.title.iter().filter_map(|term| self.words.term(term)).collect();
        self.graph.insert(slot, doc.text, doc.title);
        if let Some(vector) = doc.vector {
            self.vectors.upsert(slot, vector)?;
        }
        let speaker = doc.speaker.map(|name| self.speaker(name));
        let at = doc.said_at.unwrap_or(doc.created_at);
        self.newest.insert((at, slot));
        if doc.kind == MemoryType::Profile {
            self.profile.insert((at, slot));
        }
        let id: Arc<str> = doc.id.into();
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(Document {
                id: Arc::clone(&id),
                kind: doc.kind,
                role: doc.role,
                speaker,
                conversation,
                position: 0,
                said_at: doc.said_at,
                created_at: doc.created_at,
                reliability: doc.reliability.filter(|r| r.is_finite()),
                access_count: doc.access_count,
                content_words: reading.content_words,
                is_question: reading.is_question,
                time_cue: reading.time_cue,
                is_code: reading.is_code,
                first_person: reading.first_person,
                has_name: reading.has_name,
                has_number: reading.has_number,
                spoken: reading.spoken,
                pairs: reading.pairs,
                title,
            });
        }
        self.by_id.insert(id, slot);
        if let Some(conversation) = conversation {
            self.join(conversation, slot, position, doc.role);
        }
        Ok(())
    }

    /// Removes a document; whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(slot) = self.by_id.remove(id) else { return false };
        self.version += 1;
        self.detach(slot);
        self.free.push(slot);
        true
    }

    /// Sets how often a document was used; nothing happens for an id that is not there.
    pub fn set_access(&mut self, id: &str, count: u64) {
        if let Some(slot) = self.by_id.get(id)
            && let Some(Some(doc)) = self.slots.get_mut(*slot as usize)
        {
            doc.access_count = count;
        }
    }

    /// What `strategy` finds for `query`, best first, at most [`SearchQuery::limit`]; ties by id.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a query vector that does not fit.
    pub fn search(&self, strategy: Strategy, query: &SearchQuery<'_>) -> Result<Vec<Candidate>> {
        find::search(self, strategy, query)
    }

    /// What several strategies (each with the most that it returns) find together, each document once with every signal that
    /// can be computed of it and the strategies that found it, at most `most`, the strategies taking turns; and a report a
    /// strategy. `elapsed` is a clock that only goes forward. What several strategies need is computed once and counts as the
    /// time of the first of them. It is what [`Partition::search`] and [`Partition::signals`] say one after the other.
    pub fn gather(
        &self,
        strategies: &[(Strategy, usize)],
        query: &SearchQuery<'_>,
        most: usize,
        elapsed: &dyn Fn() -> Duration,
    ) -> (Vec<Found>, Vec<Candidate>) {
        gather::gather(self, strategies, query, most, elapsed)
    }

    /// All signals that can be computed of the documents `ids`, in that order; ids that are not there are left out. A query
    /// vector that does not fit leaves the vector signals out.
    pub fn signals(&self, ids: &[String], query: &SearchQuery<'_>) -> Vec<Candidate> {
        signals::compute(self, ids, query)
    }

    /// What the documents say of the entities of the question, those first that it names first, at most five.
    pub fn entities(&self, query: &SearchQuery<'_>) -> Vec<EntityFact> {
        known::known(self, query)
    }

    fn document(&self, slot: u32) -> Option<&Document> {
        self.slots.get(slot as usize).and_then(Option::as_ref)
    }

    fn speaker(&mut self, name: &str) -> u32 {
        if let Some(at) = self.speakers.iter().position(|s| &*s.name == name) {
            if let Some(speaker) = self.speakers.get_mut(at) {
                speaker.documents += 1;
            }
            return at as u32;
        }
        let words = super::text::words(name);
        let speaker = Speaker { name: name.into(), words, documents: 1 };
        match self.speakers.iter().position(|s| s.documents == 0) {
            Some(at) => {
                if let Some(place) = self.speakers.get_mut(at) {
                    *place = speaker;
                }
                at as u32
            }
            None => {
                self.speakers.push(speaker);
                (self.speakers.len() - 1) as u32
            }
        }
    }

    /// Takes a document out of every index but its slot; returns its conversation and place in it.
    fn detach(&mut self, slot: u32) -> Option<(u32, u32)> {
        let doc = self.slots.get_mut(slot as usize).and_then(Option::take)?;
        self.newest.remove(&(doc.at(), slot));
        self.profile.remove(&(doc.at(), slot));
        let place = doc.conversation.map(|conversation| {
            self.leave(conversation, slot, doc.position, doc.role);
            (conversation, doc.position)
        });
        self.words.remove(slot);
        self.vectors.remove(slot);
        self.graph.remove(slot);
        if let Some(speaker) = doc.speaker.and_then(|s| self.speakers.get_mut(s as usize)) {
            speaker.documents = speaker.documents.saturating_sub(1);
        }
        place
    }
}
