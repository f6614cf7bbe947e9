//! BM25 in process, kept exact under insertion, replacement and removal.

use super::top::TopK;
use rustc_hash::FxHashMap;
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
    vocabulary: FxHashMap<Arc<str>, u32>,
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

    /// How often each of `terms` occurs in each of `slots`, which are in order: a row of numbers a slot. It walks the postings,
    /// leaping over what is not asked for.
    pub(crate) fn counts(&self, slots: &[u32], terms: &[QueryTerm]) -> Vec<f32> {
        let mut counts = vec![0.0; slots.len() * terms.len()];
        for (column, t) in terms.iter().enumerate() {
            let mut rest = self.postings(t.term);
            for (row, slot) in slots.iter().enumerate() {
                // Exponential steps, then halving.
                let mut step = 1;
                while rest.get(step).is_some_and(|p| p.slot < *slot) {
                    step *= 2;
                }
                let near = rest.get(..step + 1).unwrap_or(rest);
                rest = rest.get(near.partition_point(|p| p.slot < *slot)..).unwrap_or(&[]);
                match rest.first() {
                    None => break,
                    Some(p) if p.slot == *slot => {
                        if let Some(count) = counts.get_mut(row * terms.len() + column) {
                            *count = p.tf;
                        }
                    }
                    Some(_) => {}
                }
            }
        }
        counts
    }

    /// The `limit` best documents of those that `keep` lets through, best first, ties by slot: exact, though not every posting of
    /// every term is read. Terms go from the rarest to the commonest; when what the rest can add at the most is less than the
    /// last of the best has already, no new document can come in, and only those that are in are scored further.
    pub(crate) fn best(&self, terms: &[QueryTerm], limit: usize, keep: &dyn Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let params = Bm25Params::default();
        let average = self.average();
        let per_length = if average > 0.0 { params.k1 * params.b / average } else { 0.0 };
        let constant = if average > 0.0 { params.k1 * (1.0 - params.b) } else { params.k1 };
        let mut terms = terms.to_vec();
        terms.sort_by(|a, b| b.idf.total_cmp(&a.idf).then(a.term.cmp(&b.term)));
        let mut left: f32 = terms.iter().map(|t| t.idf * (params.k1 + 1.0)).sum();
        let mut scores = vec![0.0f32; self.lengths.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut closed = false;
        for t in &terms {
            if !closed && touched.len() > limit && limit > 0 {
                let mut held: Vec<f32> = touched.iter().filter_map(|s| scores.get(*s as usize).copied()).collect();
                let (_, worst, _) = held.select_nth_unstable_by(limit - 1, |a, b| b.total_cmp(a));
                // The sum of the bounds is rounded: a little more than it is certain.
                if *worst > left * 1.001 {
                    closed = true;
                    let floor = *worst - left * 1.001;
                    touched.retain(|s| scores.get(*s as usize).is_some_and(|score| *score >= floor));
                    touched.sort_unstable();
                }
            }
            left -= t.idf * (params.k1 + 1.0);
            let weight = t.idf * (params.k1 + 1.0);
            if closed {
                for (slot, tf) in touched.iter().zip(self.counts(&touched, std::slice::from_ref(t))) {
                    if let Some(score) = scores.get_mut(*slot as usize) {
                        *score += weight * tf / (tf + constant + per_length * self.length(*slot));
                    }
                }
                continue;
            }
            for p in self.postings(t.term) {
                let slot = p.slot as usize;
                let (Some(score), Some(length)) = (scores.get_mut(slot), self.lengths.get(slot)) else { continue };
                if *score == 0.0 {
                    if !keep(p.slot) {
                        continue;
                    }
                    touched.push(p.slot);
                }
                *score += weight * p.tf / (p.tf + constant + per_length * length);
            }
        }
        let mut top = TopK::new(limit);
        for slot in touched {
            top.push(slot, scores.get(slot as usize).copied().unwrap_or(0.0));
        }
        top.into_sorted()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let words: usize = self.words.iter().flatten().map(|w| w.len() + 16 + 24).sum();
        let postings: usize = self.postings.iter().map(|p| p.capacity() * 8 + 24).sum();
        let forward: usize = self.forward.iter().map(|f| f.len() * 8 + 16).sum();
        words + postings + forward + self.lengths.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Leaving out what cannot be among the best leaves out nothing that is.
        #[test]
        fn the_best_are_those_of_all(
            documents in proptest::collection::vec(proptest::collection::vec(0u8..12, 0..9), 1..60),
            asked in proptest::collection::vec(0u8..14, 0..6),
            limit in 0usize..12,
            odd in proptest::bool::ANY,
        ) {
            let mut index = Bm25Index::default();
            // Word 0 is in every document: its score is the least, and it is read last.
            for (slot, words) in documents.iter().enumerate() {
                let words: Vec<String> = words.iter().chain([&0]).map(|w| format!("w{}", w / 2 * w)).collect();
                let terms: Vec<(&str, f32)> = words.iter().map(|w| (w.as_str(), 1.0)).collect();
                index.insert(slot as u32, &terms);
            }
            let asked: Vec<String> = asked.iter().map(|w| format!("w{}", w / 2 * w)).collect();
            let terms = index.lookup(&asked);
            let keep = |slot: u32| !odd || slot % 2 == 1;
            let best = index.best(&terms, limit, &keep);

            let score = |slot: u32| -> f32 {
                let saturated = |t: &QueryTerm| {
                    Bm25Params::default().saturate(index.tf(slot, t.term), index.length(slot), index.average())
                };
                terms.iter().map(|t| t.idf * saturated(t)).sum()
            };
            let mut all: Vec<f32> =
                (0..documents.len() as u32).filter(|s| keep(*s)).map(score).filter(|score| *score > 0.0).collect();
            all.sort_by(|a, b| b.total_cmp(a));
            all.truncate(limit);
            proptest::prop_assert_eq!(best.len(), all.len());
            for ((slot, found), expected) in best.iter().zip(&all) {
                proptest::prop_assert!((found - expected).abs() < 1e-4, "{} is not {}", found, expected);
                proptest::prop_assert!((found - score(*slot)).abs() < 1e-4);
            }

            let slots: Vec<u32> = (0..documents.len() as u32).step_by(3).collect();
            let counts = index.counts(&slots, &terms);
            for (row, slot) in slots.iter().enumerate() {
                for (column, t) in terms.iter().enumerate() {
                    proptest::prop_assert_eq!(counts[row * terms.len() + column], index.tf(*slot, t.term));
                }
            }
        }
    }
}
