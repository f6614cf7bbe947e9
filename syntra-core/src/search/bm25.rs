//! BM25 in process, kept exact under insertion, replacement and removal.

use std::collections::HashMap;
use std::sync::Arc;

/// The two constants of BM25.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25Params {
    /// How soon a repeated term stops to count.
    pub k1: f32,
    /// How much a long text is held against it, 0 to 1.
    pub b: f32,
}

impl Bm25Params {
    /// k1 1.5, b 0.75: those that [`crate::search::ClassicRanker`]'s formula was made for.
    pub const CLASSIC: Bm25Params = Bm25Params { k1: 1.5, b: 0.75 };
}

impl Default for Bm25Params {
    /// k1 1.2, b 0.75.
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

impl Bm25Params {
    /// What a term that occurs `tf` times adds to a text of `length` where the average is `average`, before its IDF:
    /// `tf (k1 + 1) / (tf + k1 (1 - b + b length / average))`.
    pub fn saturate(&self, tf: f32, length: f32, average: f32) -> f32 {
        if tf <= 0.0 {
            return 0.0;
        }
        let relative = if average > 0.0 { length / average } else { 1.0 };
        tf * (self.k1 + 1.0) / (tf + self.k1 * (1.0 - self.b + self.b * relative))
    }
}

/// `ln(1 + (n - df + 0.5) / (df + 0.5))`, which is never negative (the variant of Lucene).
pub fn idf(documents: usize, containing: usize) -> f32 {
    let (n, df) = (documents as f32, containing.min(documents) as f32);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

/// A term of a question, looked up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QueryTerm {
    pub(crate) term: u32,
    pub(crate) idf: f32,
}

/// Where a term occurs: a slot and how often, field weights applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Posting {
    pub(crate) slot: u32,
    pub(crate) tf: f32,
}

/// An inverted index over slots (small numbers that stand for documents), with the forward lists that exact removal needs.
#[derive(Debug, Default)]
pub(crate) struct Bm25Index {
    vocabulary: HashMap<Arc<str>, u32>,
    words: Vec<Option<Arc<str>>>,
    free: Vec<u32>,
    postings: Vec<Vec<Posting>>,
    forward: Vec<Box<[(u32, f32)]>>,
    lengths: Vec<f32>,
    live: usize,
    total: f64,
}

impl Bm25Index {
    /// The mean length of a document.
    pub(crate) fn average(&self) -> f32 {
        if self.live == 0 { 0.0 } else { (self.total / self.live as f64) as f32 }
    }

    pub(crate) fn length(&self, slot: u32) -> f32 {
        self.lengths.get(slot as usize).copied().unwrap_or(0.0)
    }

    pub(crate) fn lengths(&self) -> &[f32] {
        &self.lengths
    }

    pub(crate) fn term(&self, word: &str) -> Option<u32> {
        self.vocabulary.get(word).copied()
    }

    pub(crate) fn postings(&self, term: u32) -> &[Posting] {
        self.postings.get(term as usize).map_or(&[], Vec::as_slice)
    }

    /// The terms of a document and their weighted counts, ordered by term.
    pub(crate) fn terms_of(&self, slot: u32) -> &[(u32, f32)] {
        self.forward.get(slot as usize).map_or(&[], |terms| &**terms)
    }

    /// How often `term` occurs in `slot`.
    pub(crate) fn tf(&self, slot: u32, term: u32) -> f32 {
        let terms = self.terms_of(slot);
        terms.binary_search_by_key(&term, |(t, _)| *t).ok().and_then(|at| terms.get(at)).map_or(0.0, |(_, tf)| *tf)
    }

    /// The words of a question that some document has, with their IDF.
    pub(crate) fn lookup(&self, words: &[String]) -> Vec<QueryTerm> {
        let mut terms: Vec<QueryTerm> = words
            .iter()
            .filter_map(|word| self.term(word))
            .map(|term| QueryTerm { term, idf: idf(self.live, self.postings(term).len()) })
            .collect();
        terms.sort_unstable_by_key(|t| t.term);
        terms.dedup_by_key(|t| t.term);
        terms
    }

    /// Puts a document with these terms (and weights; a term may repeat) into `slot`, which must be empty.
    pub(crate) fn insert(&mut self, slot: u32, terms: &[(&str, f32)]) {
        let mut counts: Vec<(u32, f32)> = terms.iter().map(|(word, weight)| (self.intern(word), *weight)).collect();
        let length: f32 = counts.iter().map(|(_, w)| w).sum();
        counts.sort_unstable_by_key(|(term, _)| *term);
        counts.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        for &(term, tf) in &counts {
            if let Some(list) = self.postings.get_mut(term as usize) {
                let at = list.partition_point(|p| p.slot < slot);
                list.insert(at, Posting { slot, tf });
            }
        }
        let slot = slot as usize;
        if self.forward.len() <= slot {
            self.forward.resize_with(slot + 1, Default::default);
            self.lengths.resize(slot + 1, 0.0);
        }
        if let (Some(forward), Some(held)) = (self.forward.get_mut(slot), self.lengths.get_mut(slot)) {
            *forward = counts.into_boxed_slice();
            *held = length;
        }
        self.live += 1;
        self.total += f64::from(length);
    }

    /// Takes the document out of `slot`.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(forward) = self.forward.get_mut(slot as usize).map(std::mem::take) else { return };
        for &(term, _) in &forward {
            let Some(list) = self.postings.get_mut(term as usize) else { continue };
            if let Ok(at) = list.binary_search_by_key(&slot, |p| p.slot) {
                list.remove(at);
            }
            if list.is_empty() {
                *list = Vec::new();
                if let Some(word) = self.words.get_mut(term as usize).and_then(Option::take) {
                    self.vocabulary.remove(&word);
                    self.free.push(term);
                }
            }
        }
        if let Some(length) = self.lengths.get_mut(slot as usize) {
            self.total -= f64::from(*length);
            *length = 0.0;
        }
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            self.total = 0.0;
        }
    }

    fn intern(&mut self, word: &str) -> u32 {
        if let Some(&term) = self.vocabulary.get(word) {
            return term;
        }
        let name: Arc<str> = Arc::from(word);
        let term = match self.free.pop() {
            Some(term) => {
                if let Some(place) = self.words.get_mut(term as usize) {
                    *place = Some(Arc::clone(&name));
                }
                term
            }
            None => {
                self.words.push(Some(Arc::clone(&name)));
                self.postings.push(Vec::new());
                (self.words.len() - 1) as u32
            }
        };
        self.vocabulary.insert(name, term);
        term
    }

    /// The score of one document, from its forward list.
    pub(crate) fn score_one(&self, slot: u32, terms: &[QueryTerm], params: Bm25Params) -> f32 {
        let (length, average) = (self.length(slot), self.average());
        terms.iter().map(|t| t.idf * params.saturate(self.tf(slot, t.term), length, average)).sum()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let words: usize = self.words.iter().flatten().map(|w| w.len() + 16 + 24).sum();
        let postings: usize = self.postings.iter().map(|p| p.capacity() * 8 + 24).sum();
        let forward: usize = self.forward.iter().map(|f| f.len() * 8 + 16).sum();
        words + postings + forward + self.lengths.capacity() * 4
    }
}
