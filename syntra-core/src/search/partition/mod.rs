//! All indexes over one user's memories, in process: words, vectors, entities, conversations, and what each memory is like.
//!
//! A partition is derived data: a store feeds it its rows and can rebuild it at any time.

mod conversation;
mod document;
mod find;
mod gather;
mod known;
mod newest;
mod signals;
mod snapshot;
#[cfg(test)]
mod tests;
mod times;
mod wording;

use super::bm25::Bm25Index;
use super::dictionary::Dictionary;
use super::graph::EntityGraph;
use super::lists::{Arena, Lists};
use super::sheets::Sheets;
use super::text::TextAnalyzer;
use super::vector::{HnswIndex, normalised, prefetch_at};
use super::{Candidate, EntityFact, IndexDocument, SearchQuery, Strategy, VectorIndex};
use crate::error::{Error, Result};
use crate::memory::MemoryType;
use conversation::Conversation;
use document::{Document, Mark};
use find::Memo;
use newest::Newest;
pub(crate) use snapshot::fingerprint;
use std::sync::Mutex;
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
    /// What is known of the document in each slot.
    slots: Vec<Document>,
    /// Its id; the number of an id is its slot.
    ids: Dictionary,
    /// Its table of pairs of words.
    pairs: Arena<u16>,
    /// The terms of its title that mean something, each once.
    titles: Lists<u32>,
    words: Bm25Index,
    vectors: HnswIndex,
    graph: EntityGraph,
    conversations: Vec<Conversation>,
    conversation_ids: Dictionary,
    /// How many conversations hold something, and the length of them all.
    in_conversations: (usize, f64),
    /// In how many conversations each term occurs.
    conversation_df: Vec<u32>,
    /// By time: all documents, and those of the profile.
    newest: Newest,
    profile: Newest,
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
            ids: Dictionary::default(),
            pairs: Arena::default(),
            titles: Lists::default(),
            words: Bm25Index::default(),
            vectors: HnswIndex::starting_at(dimensions, graph_from.max(1)),
            graph: EntityGraph::default(),
            conversations: Vec::new(),
            conversation_ids: Dictionary::default(),
            in_conversations: (0, 0.0),
            conversation_df: Vec::new(),
            newest: Newest::default(),
            profile: Newest::default(),
            speakers: Vec::new(),
            version: 0,
            memo: Mutex::new(None),
            sheets: Sheets::default(),
        }
    }

    /// How many documents it holds.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, about.
    pub fn memory_bytes(&self) -> usize {
        let conversations: usize = self.conversations.iter().map(Conversation::memory_bytes).sum();
        self.slots.capacity() * size_of::<Document>()
            + self.ids.memory_bytes()
            + self.pairs.memory_bytes()
            + self.titles.memory_bytes()
            + conversations
            + self.conversation_ids.memory_bytes()
            + self.conversation_df.capacity() * 4
            + self.newest.memory_bytes()
            + self.profile.memory_bytes()
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
        let mut position = None;
        if let Some(slot) = self.ids.number(doc.id) {
            let before = self.detach(slot);
            position = before.filter(|(c, _)| Some(*c) == conversation).map(|(_, p)| p);
        }
        let slot = self.ids.intern(doc.id);
        if self.slots.len() <= slot as usize {
            self.slots.resize(slot as usize + 1, Document::EMPTY);
        }
        let terms: Vec<(&str, f32)> = reading.terms.iter().map(|(t, w)| (t.as_str(), *w)).collect();
        self.words.insert(slot, &terms);
        let title: Vec<u32> = reading.title.iter().filter_map(|term| self.words.term(term)).collect();
        self.titles.set(slot, &title);
        self.graph.insert(slot, doc.text, doc.title);
        if let Some(vector) = doc.vector {
            self.vectors.upsert(slot, vector)?;
        }
        let speaker = doc.speaker.map(|name| self.speaker(name));
        let document = Document::new(doc, &reading, speaker, conversation, self.pairs.push(&reading.pairs));
        self.newest.insert(document.at(), slot);
        if doc.kind == MemoryType::Profile {
            self.profile.insert(document.at(), slot);
        }
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = document;
        }
        if let Some(conversation) = conversation {
            self.join(conversation, slot, position, doc.role);
        }
        Ok(())
    }

    /// Removes a document; whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(slot) = self.ids.number(id) else { return false };
        self.version += 1;
        self.detach(slot);
        self.ids.remove(slot);
        true
    }

    /// Sets how often a document was used; nothing happens for an id that is not there.
    pub fn set_access(&mut self, id: &str, count: u64) {
        if let Some(slot) = self.ids.number(id)
            && let Some(doc) = self.slots.get_mut(slot as usize)
        {
            doc.access_count = document::uses(count);
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
        self.slots.get(slot as usize).filter(|doc| doc.is(Mark::Live))
    }

    /// Has what is known of the documents in `slots`, and of who stands beside them, brought near.
    fn fetch(&self, slots: &[u32]) {
        slots.iter().for_each(|slot| prefetch_at(&self.slots, *slot as usize));
        let conversation = |slot: &u32| {
            let doc = self.document(*slot)?;
            Some((doc.conversation()? as usize, doc.position as usize))
        };
        let places: Vec<(usize, usize)> = slots.iter().filter_map(conversation).collect();
        places.iter().for_each(|(conversation, _)| prefetch_at(&self.conversations, *conversation));
        for (conversation, position) in places {
            if let Some(of) = self.conversations.get(conversation) {
                prefetch_at(&of.slots, position);
            }
        }
    }

    /// The id of the document in `slot`.
    fn id(&self, slot: u32) -> Option<&str> {
        self.ids.text(slot)
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
        let doc = *self.document(slot)?;
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Document::EMPTY;
        }
        self.pairs.free(doc.pairs);
        if self.pairs.is_due() {
            self.pairs.clear_away(self.slots.iter_mut().map(|doc| &mut doc.pairs));
        }
        self.titles.set(slot, &[]);
        self.newest.remove(doc.at(), slot);
        self.profile.remove(doc.at(), slot);
        let place = doc.conversation().map(|conversation| {
            self.leave(conversation, slot, doc.position, doc.role);
            (conversation, doc.position)
        });
        self.words.remove(slot);
        self.vectors.remove(slot);
        self.graph.remove(slot);
        if let Some(speaker) = doc.speaker().and_then(|s| self.speakers.get_mut(s as usize)) {
            speaker.documents = speaker.documents.saturating_sub(1);
        }
        place
    }
}
