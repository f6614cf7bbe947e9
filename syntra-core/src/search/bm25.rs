//! BM25 in process, kept exact under insertion, replacement and removal.

use super::sheets::Sheets;
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

/// Whether a slot is let through.
pub(crate) type Keep<'a> = dyn Fn(u32) -> bool + 'a;

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

/// What can add less than this share of the best score does not make a candidate.
const NEGLIGIBLE: f32 = 1e-3;
/// A list of postings up to so many times as long as the slots that are looked for is read whole.
const READ_WHOLE: usize = 4;
/// Postings up to so many lie in a near cache, where they are sought quicker than each document is read.
const MOST_SOUGHT: usize = 32_768;

/// The most that a term's postings reach: what was inserted; a removal leaves it, which makes it an over-estimate.
#[derive(Clone, Copy, Debug)]
struct Reach {
    tf: f32,
    length: f32,
}

impl Default for Reach {
    fn default() -> Self {
        Self { tf: 0.0, length: f32::INFINITY }
    }
}

/// An inverted index over slots (small numbers that stand for documents), with the forward lists that exact removal needs.
#[derive(Debug, Default)]
pub(crate) struct Bm25Index {
    vocabulary: FxHashMap<Arc<str>, u32>,
    words: Vec<Option<Arc<str>>>,
    free: Vec<u32>,
    postings: Vec<Vec<Posting>>,
    /// The highest count and the shortest document of each term.
    reach: Vec<Reach>,
    /// Scores by slot.
    sheets: Sheets<f32>,
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
        self.place(slot, counts.into(), length);
    }

    /// Every word by its number; `None` for a number that is free.
    pub(crate) fn dictionary(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.words.iter().map(|word| word.as_deref())
    }

    /// An index with the words of a [`Bm25Index::dictionary`] and nothing in it.
    pub(crate) fn with_dictionary(words: Vec<Option<Arc<str>>>) -> Self {
        let named = |(term, word): (usize, &Option<Arc<str>>)| Some((Arc::clone(word.as_ref()?), term as u32));
        Self {
            vocabulary: words.iter().enumerate().filter_map(named).collect(),
            free: (0u32..).zip(&words).filter(|(_, word)| word.is_none()).map(|(term, _)| term).collect(),
            postings: vec![Vec::new(); words.len()],
            reach: vec![Reach::default(); words.len()],
            words,
            ..Self::default()
        }
    }

    /// Puts a document into the empty `slot`, its terms as [`Bm25Index::terms_of`] has them; `None`, and nothing changes, where they
    /// are not in order or not of the dictionary.
    pub(crate) fn restore(&mut self, slot: u32, counts: Box<[(u32, f32)]>, length: f32) -> Option<()> {
        let known = |(term, tf): &(u32, f32)| *tf > 0.0 && self.words.get(*term as usize).is_some_and(Option::is_some);
        if !counts.iter().all(known) || !counts.is_sorted_by(|a, b| a.0 < b.0) || !length.is_finite() {
            return None;
        }
        self.place(slot, counts, length);
        Some(())
    }

    fn place(&mut self, slot: u32, counts: Box<[(u32, f32)]>, length: f32) {
        for &(term, tf) in &counts {
            if let Some(list) = self.postings.get_mut(term as usize) {
                let at = list.partition_point(|p| p.slot < slot);
                list.insert(at, Posting { slot, tf });
                if let Some(reach) = self.reach.get_mut(term as usize) {
                    reach.tf = reach.tf.max(tf);
                    reach.length = reach.length.min(length);
                }
            }
        }
        let slot = slot as usize;
        if self.forward.len() <= slot {
            self.forward.resize_with(slot + 1, Default::default);
            self.lengths.resize(slot + 1, 0.0);
        }
        if let (Some(forward), Some(held)) = (self.forward.get_mut(slot), self.lengths.get_mut(slot)) {
            *forward = counts;
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
                if let Some(reach) = self.reach.get_mut(term as usize) {
                    *reach = Reach::default();
                }
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
                self.reach.push(Reach::default());
                (self.words.len() - 1) as u32
            }
        };
        self.vocabulary.insert(name, term);
        term
    }

    /// How often each of `terms`, which are in order, occurs in each of `slots`: a row of numbers a slot. `row_of` has the place of each
    /// slot among them, counted from one, and 0 for every other.
    pub(crate) fn counts(&self, slots: &[u32], row_of: &[u32], terms: &[QueryTerm]) -> Vec<f32> {
        self.counts_with(slots, row_of, terms, MOST_SOUGHT)
    }

    /// [`Bm25Index::counts`]. A term of few documents is read from its postings, one of some is sought in them, and those of more than
    /// `most_sought` are read together from the documents.
    fn counts_with(&self, slots: &[u32], row_of: &[u32], terms: &[QueryTerm], most_sought: usize) -> Vec<f32> {
        let width = terms.len();
        let mut counts = vec![0.0; slots.len() * width];
        let mut frequent: Vec<(usize, u32)> = Vec::new();
        for (column, t) in terms.iter().enumerate() {
            let postings = self.postings(t.term);
            if postings.len() > READ_WHOLE * slots.len() {
                if postings.len() > most_sought {
                    frequent.push((column, t.term));
                    continue;
                }
                seek(postings, slots, |row, tf| {
                    if let Some(count) = counts.get_mut(row * width + column) {
                        *count = tf;
                    }
                });
                continue;
            }
            for p in postings {
                let row = row_of.get(p.slot as usize).copied().unwrap_or(0) as usize;
                if row > 0
                    && let Some(count) = counts.get_mut((row - 1) * width + column)
                {
                    *count = p.tf;
                }
            }
        }
        if frequent.is_empty() {
            return counts;
        }
        for (slot, row) in slots.iter().zip(counts.chunks_exact_mut(width)) {
            let mut rest = self.terms_of(*slot);
            for (column, term) in &frequent {
                // Both are in order, and lists are short.
                let at = rest.partition_point(|(t, _)| t < term);
                rest = rest.get(at..).unwrap_or(&[]);
                if let (Some((found, tf)), Some(count)) = (rest.first(), row.get_mut(*column))
                    && found == term
                {
                    *count = *tf;
                }
            }
        }
        counts
    }

    /// The `limit` best documents of those that `keep` lets through, best first, ties by slot. Their scores are exact, though not
    /// every posting of every term is read. Terms go from the rarest to the commonest; when what the rest can add at the most is
    /// less than the last of the best has already, no new document can come in, and only those that are in are scored further.
    /// Nor can one come in that would have less than a thousandth of the best score: what the commonest words of all alone would
    /// bring is no answer, and to read their postings would cost more than all the rest.
    pub(crate) fn best(&self, terms: &[QueryTerm], limit: usize, keep: Option<&Keep<'_>>) -> Vec<(u32, f32)> {
        if terms.is_empty() || limit == 0 {
            return Vec::new();
        }
        let mut scores = self.sheets.take(self.lengths.len());
        let mut touched: Vec<u32> = Vec::new();
        let best = self.score(terms, limit, keep, &mut scores, &mut touched);
        self.sheets.give(scores, touched.into_iter());
        best
    }

    /// [`Bm25Index::best`] on a sheet of zeros; every slot whose score it sets is in `touched`.
    fn score(
        &self,
        terms: &[QueryTerm],
        limit: usize,
        keep: Option<&Keep<'_>>,
        scores: &mut [f32],
        touched: &mut Vec<u32>,
    ) -> Vec<(u32, f32)> {
        let params = Bm25Params::default();
        let average = self.average();
        let per_length = if average > 0.0 { params.k1 * params.b / average } else { 0.0 };
        let constant = if average > 0.0 { params.k1 * (1.0 - params.b) } else { params.k1 };
        let weight = |t: &QueryTerm| t.idf * (params.k1 + 1.0);
        // The most that a term can add: its highest count in its shortest document. A little more, for the sums are rounded.
        let bound = |t: &QueryTerm| {
            let reach = self.reach.get(t.term as usize).copied().unwrap_or_default();
            let length = if reach.length.is_finite() { reach.length } else { 0.0 };
            1.001 * weight(t) * reach.tf / (reach.tf + constant + per_length * length)
        };
        let mut terms = terms.to_vec();
        terms.sort_by(|a, b| b.idf.total_cmp(&a.idf).then(a.term.cmp(&b.term)));
        let mut left: f32 = terms.iter().map(bound).sum();
        // Those that may be among the best, once no other can come in.
        let mut closed: Option<Vec<u32>> = None;
        for t in &terms {
            if closed.is_none() && !touched.is_empty() {
                closed = close(scores, touched, limit, left);
            }
            left -= bound(t);
            if let Some(slots) = &closed {
                seek(self.postings(t.term), slots, |row, tf| {
                    let slot = slots.get(row).copied().unwrap_or(u32::MAX);
                    if let Some(score) = scores.get_mut(slot as usize) {
                        *score += weight(t) * tf / (tf + constant + per_length * self.length(slot));
                    }
                });
                continue;
            }
            let weight = weight(t);
            for p in self.postings(t.term) {
                let slot = p.slot as usize;
                let (Some(score), Some(length)) = (scores.get_mut(slot), self.lengths.get(slot)) else { continue };
                if *score == 0.0 {
                    if keep.is_some_and(|keep| !keep(p.slot)) {
                        continue;
                    }
                    touched.push(p.slot);
                }
                *score += weight * p.tf / (p.tf + constant + per_length * length);
            }
        }
        let mut top = TopK::new(limit);
        for slot in closed.as_deref().unwrap_or(touched) {
            top.push(*slot, scores.get(*slot as usize).copied().unwrap_or(0.0));
        }
        top.into_sorted()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let words: usize = self.words.iter().flatten().map(|w| w.len() + 16 + 24).sum();
        let postings: usize = self.postings.iter().map(|p| p.capacity() * 8 + 24).sum();
        let forward: usize = self.forward.iter().map(|f| f.len() * 8 + 16).sum();
        words
            + postings
            + forward
            + self.reach.capacity() * 8
            + self.lengths.capacity() * 4
            + self.sheets.memory_bytes()
    }
}

/// Those of `touched`, in order, that may still be among the `limit` best when no other document can reach as much as they have or
/// would have a share of the best score worth naming: `left` is the most that the terms to come can add. `None` where one can.
fn close(scores: &[f32], touched: &[u32], limit: usize, left: f32) -> Option<Vec<u32>> {
    let mut held: Vec<f32> = touched.iter().filter_map(|s| scores.get(*s as usize).copied()).collect();
    let best = held.iter().fold(0.0f32, |a, b| a.max(*b));
    let mut floor = 0.0;
    if held.len() > limit {
        let (_, worst, _) = held.select_nth_unstable_by(limit - 1, |a, b| b.total_cmp(a));
        floor = *worst - left;
    }
    if floor <= 0.0 && left > NEGLIGIBLE * best {
        return None;
    }
    let mut slots: Vec<u32> =
        touched.iter().copied().filter(|s| scores.get(*s as usize).is_some_and(|score| *score >= floor)).collect();
    // Each term's postings were in order: runs, which this sort merges.
    slots.sort();
    Some(slots)
}

/// Calls `found` with the place in `slots` and the count of each posting whose slot is among them; both are in order.
#[inline]
fn seek(postings: &[Posting], slots: &[u32], mut found: impl FnMut(usize, f32)) {
    let mut rest = postings;
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
            Some(p) if p.slot == *slot => found(row, p.tf),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_document_says_makes_no_candidate_beside_a_rare_word() {
        let mut index = Bm25Index::default();
        for slot in 0..3_000u32 {
            let rare = format!("n{}", slot / 3);
            index.insert(slot, &[("item", 1.0), ("talk", 1.0), (&rare, 1.0)]);
        }
        let ask = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            index.best(&index.lookup(&words), 150, None)
        };
        let found = ask(&["talk", "item", "n7"]);
        assert_eq!(found.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [21, 22, 23]);
        assert_eq!(ask(&["talk", "item"]).len(), 150, "alone they are all there is");
    }

    fn score(index: &Bm25Index, terms: &[QueryTerm], slot: u32) -> f32 {
        let saturated =
            |t: &QueryTerm| Bm25Params::default().saturate(index.tf(slot, t.term), index.length(slot), index.average());
        terms.iter().map(|t| t.idf * saturated(t)).sum()
    }

    /// The `limit` best scores by reading every document.
    fn scores(index: &Bm25Index, terms: &[QueryTerm], limit: usize, keep: &dyn Fn(u32) -> bool) -> Vec<f32> {
        let slots = (0..index.lengths.len() as u32).filter(|slot| keep(*slot));
        let mut all: Vec<f32> = slots.map(|slot| score(index, terms, slot)).filter(|score| *score > 0.0).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        all.truncate(limit);
        all
    }

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
            let best = index.best(&terms, limit, Some(&keep));

            let all = scores(&index, &terms, limit, &keep);
            // What would have less than a thousandth of the best may be left out.
            let least = NEGLIGIBLE * all.first().copied().unwrap_or_default();
            proptest::prop_assert!(best.len() <= all.len() && all.iter().skip(best.len()).all(|score| *score < least));
            // The sheet of scores is clean again.
            proptest::prop_assert_eq!(&index.best(&terms, limit, Some(&keep)), &best);
            for ((slot, found), expected) in best.iter().zip(&all) {
                proptest::prop_assert!((found - expected).abs() < 1e-4, "{} is not {}", found, expected);
                proptest::prop_assert!((found - score(&index, &terms, *slot)).abs() < 1e-4);
            }

            // Neither does a removal, which leaves the bounds higher than they need be.
            for slot in (0..documents.len() as u32).step_by(4) {
                index.remove(slot);
            }
            let terms = index.lookup(&asked);
            let found = index.best(&terms, limit, Some(&keep));
            let all = scores(&index, &terms, limit, &keep);
            let least = NEGLIGIBLE * all.first().copied().unwrap_or_default();
            proptest::prop_assert!(found.len() <= all.len() && all.iter().skip(found.len()).all(|score| *score < least));
            for ((_, found), expected) in found.iter().zip(&all) {
                proptest::prop_assert!((found - expected).abs() < 1e-4, "{} is not {}", found, expected);
            }

            let slots: Vec<u32> = (0..documents.len() as u32).step_by(3).collect();
            let mut row_of = vec![0; documents.len()];
            slots.iter().enumerate().for_each(|(row, slot)| row_of[*slot as usize] = row as u32 + 1);
            let counts = index.counts_with(&slots, &row_of, &terms, if odd { 0 } else { usize::MAX });
            for (row, slot) in slots.iter().enumerate() {
                for (column, t) in terms.iter().enumerate() {
                    proptest::prop_assert_eq!(counts[row * terms.len() + column], index.tf(*slot, t.term));
                }
            }
        }
    }
}
