//! BM25 in process, kept exact under insertion, replacement and removal.

mod best;
mod dense;

use super::bytes::{ColumnsIn, ColumnsOut};
use super::dictionary::Dictionary;
use super::lists::Lists;
use super::sheets::Sheets;
use super::vector::prefetch_at;
use best::seek;
use dense::Dense;

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

/// Where a term occurs: a slot and how often, field weights applied; and the length of the document, so that it need not be sought elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Posting {
    pub(crate) slot: u32,
    pub(crate) tf: f32,
    length: f32,
}

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
    words: Dictionary,
    postings: Vec<Vec<Posting>>,
    /// The highest count and the shortest document of each term.
    reach: Vec<Reach>,
    /// The documents of each frequent term.
    dense: Vec<Dense>,
    /// Scores by slot.
    sheets: Sheets<f32>,
    forward: Lists<(u32, f32)>,
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
        self.words.number(word)
    }

    pub(crate) fn postings(&self, term: u32) -> &[Posting] {
        self.postings.get(term as usize).map_or(&[], Vec::as_slice)
    }

    /// The terms of a document and their weighted counts, ordered by term.
    pub(crate) fn terms_of(&self, slot: u32) -> &[(u32, f32)] {
        self.forward.get(slot)
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
        self.place(slot, &counts, length);
    }

    fn place(&mut self, slot: u32, counts: &[(u32, f32)], length: f32) {
        for &(term, tf) in counts {
            if let Some(list) = self.postings.get_mut(term as usize) {
                let at = list.partition_point(|p| p.slot < slot);
                list.insert(at, Posting { slot, tf, length });
                if let Some(dense) = self.dense.get_mut(term as usize) {
                    dense.inserted(slot, list, self.lengths.len());
                }
                if let Some(reach) = self.reach.get_mut(term as usize) {
                    reach.tf = reach.tf.max(tf);
                    reach.length = reach.length.min(length);
                }
            }
        }
        self.forward.set(slot, counts);
        let slot = slot as usize;
        if self.lengths.len() <= slot {
            self.lengths.resize(slot + 1, 0.0);
        }
        if let Some(held) = self.lengths.get_mut(slot) {
            *held = length;
        }
        self.live += 1;
        self.total += f64::from(length);
    }

    /// Takes the document out of `slot`.
    pub(crate) fn remove(&mut self, slot: u32) {
        if slot as usize >= self.lengths.len() {
            return;
        }
        for (term, _) in self.forward.take(slot) {
            let Some(list) = self.postings.get_mut(term as usize) else { continue };
            if let Ok(at) = list.binary_search_by_key(&slot, |p| p.slot) {
                list.remove(at);
            }
            if let Some(dense) = self.dense.get_mut(term as usize) {
                dense.removed(slot, list, self.lengths.len());
            }
            if list.is_empty() {
                *list = Vec::new();
                if let Some(reach) = self.reach.get_mut(term as usize) {
                    *reach = Reach::default();
                }
                self.words.remove(term);
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
        let term = self.words.intern(word);
        if self.postings.len() < self.words.numbers() {
            self.postings.resize_with(self.words.numbers(), Vec::new);
            self.reach.resize(self.words.numbers(), Reach::default());
            self.dense.resize_with(self.words.numbers(), Dense::default);
        }
        term
    }

    /// Writes what [`Bm25Index::restore`] reads.
    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        self.words.save(out)?;
        let pair = |(term, tf): &(u32, f32)| (u64::from(*term) << 32 | u64::from(tf.to_bits())).to_le_bytes();
        self.forward.save(out, pair)?;
        out.floats(&self.lengths)
    }

    /// The index of `slots` slots that [`Bm25Index::save`] wrote; `is_live` says which of them are in use. Postings are made anew from what
    /// each document holds, so that the two agree.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>>(
        from: &mut ColumnsIn<R>,
        is_live: impl Fn(u32) -> bool,
    ) -> Option<Self> {
        let words = Dictionary::restore(from)?;
        let pair = |pair: &[u8; 8]| {
            let pair = u64::from_le_bytes(*pair);
            ((pair >> 32) as u32, f32::from_bits(pair as u32))
        };
        let forward: Lists<(u32, f32)> = Lists::restore(from, pair)?;
        let lengths = from.floats()?;
        let mut held = vec![0u32; words.numbers()];
        for (slot, terms) in (0u32..).zip(forward.iter()) {
            let known = |(term, tf): &(u32, f32)| *tf > 0.0 && (*term as usize) < held.len();
            if !terms.iter().all(known)
                || !terms.is_sorted_by(|a, b| a.0 < b.0)
                || (!terms.is_empty() && !is_live(slot))
            {
                return None;
            }
            for (term, _) in terms {
                if let Some(count) = held.get_mut(*term as usize) {
                    *count += 1;
                }
            }
        }
        if (0u32..).zip(&held).any(|(term, count)| *count > 0 && words.text(term).is_none()) {
            return None;
        }
        let mut postings: Vec<Vec<Posting>> = held.iter().map(|count| Vec::with_capacity(*count as usize)).collect();
        let mut reach = vec![Reach::default(); words.numbers()];
        let (mut live, mut total) = (0, 0.0);
        for (slot, length) in (0u32..).zip(&lengths).filter(|(slot, _)| is_live(*slot)) {
            if !length.is_finite() {
                return None;
            }
            live += 1;
            total += f64::from(*length);
            for &(term, tf) in forward.get(slot) {
                if let (Some(list), Some(reach)) = (postings.get_mut(term as usize), reach.get_mut(term as usize)) {
                    list.push(Posting { slot, tf, length: *length });
                    reach.tf = reach.tf.max(tf);
                    reach.length = reach.length.min(*length);
                }
            }
        }
        let dense = postings.iter().map(|list| Dense::of(list, lengths.len())).collect();
        Some(Self { words, postings, reach, dense, sheets: Sheets::default(), forward, lengths, live, total })
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
                seek(postings, slots, |row, p| {
                    if let Some(count) = counts.get_mut(row * width + column) {
                        *count = p.tf;
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
        self.forward.fetch(slots);
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

    /// Has the lengths of `slots` brought near.
    pub(crate) fn fetch(&self, slots: &[u32]) {
        slots.iter().for_each(|slot| prefetch_at(&self.lengths, *slot as usize));
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let postings: usize = self.postings.iter().map(|p| p.capacity() * size_of::<Posting>() + 24).sum();
        self.words.memory_bytes()
            + postings
            + self.forward.memory_bytes()
            + self.reach.capacity() * 8
            + self.dense.iter().map(Dense::memory_bytes).sum::<usize>()
            + self.lengths.capacity() * 4
            + self.sheets.memory_bytes()
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

    fn score_of(index: &Bm25Index, terms: &[QueryTerm], slot: u32) -> f32 {
        let saturated =
            |t: &QueryTerm| Bm25Params::default().saturate(index.tf(slot, t.term), index.length(slot), index.average());
        terms.iter().map(|t| t.idf * saturated(t)).sum()
    }

    /// The `limit` best scores by reading every document.
    fn scores(index: &Bm25Index, terms: &[QueryTerm], limit: usize, keep: &dyn Fn(u32) -> bool) -> Vec<f32> {
        let slots = (0..index.lengths.len() as u32).filter(|slot| keep(*slot));
        let mut all: Vec<f32> = slots.map(|slot| score_of(index, terms, slot)).filter(|score| *score > 0.0).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        all.truncate(limit);
        all
    }

    /// Documents of which many have the same frequent words, in several lengths.
    #[test]
    fn frequent_words_find_what_reading_every_document_does() {
        let mut index = Bm25Index::default();
        let words_of = |slot: u32| {
            let mut words = vec!["all".to_owned(), format!("v{}", slot % 3), format!("x{}", slot / 7 % 5)];
            words.extend((0..slot % 4).map(|_| format!("y{}", slot / 3 % 11)));
            words
        };
        let insert = |index: &mut Bm25Index, slot: u32, of: u32| {
            let words = words_of(of);
            index.insert(slot, &words.iter().map(|word| (word.as_str(), 1.0)).collect::<Vec<_>>());
        };
        (0..24_000).for_each(|slot| insert(&mut index, slot, slot));
        // Some go, some of their places are taken by others.
        (0..24_000).step_by(5).for_each(|slot| index.remove(slot));
        (0..24_000).step_by(10).for_each(|slot| insert(&mut index, slot, slot + 3));
        for asked in
            [&["v1", "x2"][..], &["v1", "x2", "y3"], &["y3", "all"], &["v0", "v1", "all"], &["x1", "y2", "y4", "v2"]]
        {
            let words: Vec<String> = asked.iter().map(|word| (*word).to_owned()).collect();
            let terms = index.lookup(&words);
            assert!(terms.iter().any(|t| index.dense[t.term as usize].is_there()), "{asked:?}");
            for keep in [&(|_| true) as &Keep<'_>, &|slot| slot % 3 != 1] {
                for limit in [1, 10, 150] {
                    let best = index.best(&terms, limit, Some(keep));
                    let expected = scores(&index, &terms, limit, keep);
                    assert_eq!(best.len(), expected.len());
                    assert!(best.iter().zip(&expected).all(|(a, b)| (a.1 - b).abs() < 1e-4), "{asked:?} {limit}");
                    assert!(
                        best.iter()
                            .all(|(slot, score)| (score - score_of(&index, &terms, *slot)).abs() < 1e-4 && keep(*slot))
                    );
                }
            }
        }
        // What was frequent and is not any more is looked up as what never was.
        (1_000..24_000).for_each(|slot| index.remove(slot));
        let terms = index.lookup(&["v1".to_owned(), "x2".to_owned()]);
        assert!(index.dense.iter().all(|dense| !dense.is_there()));
        assert_eq!(index.best(&terms, 50, None).len(), 50);
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
            let least = best::NEGLIGIBLE * all.first().copied().unwrap_or_default();
            proptest::prop_assert!(best.len() <= all.len() && all.iter().skip(best.len()).all(|score| *score < least));
            // The sheet of scores is clean again.
            proptest::prop_assert_eq!(&index.best(&terms, limit, Some(&keep)), &best);
            for ((slot, found), expected) in best.iter().zip(&all) {
                proptest::prop_assert!((found - expected).abs() < 1e-4, "{} is not {}", found, expected);
                proptest::prop_assert!((found - score_of(&index, &terms, *slot)).abs() < 1e-4);
            }

            // Neither does a removal, which leaves the bounds higher than they need be.
            for slot in (0..documents.len() as u32).step_by(4) {
                index.remove(slot);
            }
            let terms = index.lookup(&asked);
            let found = index.best(&terms, limit, Some(&keep));
            let all = scores(&index, &terms, limit, &keep);
            let least = best::NEGLIGIBLE * all.first().copied().unwrap_or_default();
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
