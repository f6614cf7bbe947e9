//! The best documents for a question's terms.

use super::dense::Dense;
use super::{Bm25Index, Bm25Params, Keep, Posting, QueryTerm};
use crate::search::top::TopK;

/// What can add less than this share of the best score does not make a candidate.
pub(super) const NEGLIGIBLE: f32 = 1e-3;
/// How many postings for each document that is asked for the rarest term has where it pays to look at some documents first, and the square
/// of it how many of them are looked through.
const PRIMED_FROM: usize = 4;

impl Bm25Index {
    /// The `limit` best documents of those that `keep` lets through, best first, ties by slot. Their scores are exact, though not
    /// every posting of every term is read. Where the rarest term has many, some documents that have the two rarest tell what the last of the
    /// best has at the least. A term without which nothing can reach that is needed: then only what has all such terms is scored. Else terms go from the rarest to the commonest; when what the rest can add at the most is
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
        let adds = |t: &QueryTerm, p: &Posting| weight(t) * p.tf / (p.tf + constant + per_length * p.length);
        let mut left: f32 = terms.iter().map(bound).sum();
        // Sums are rounded.
        let least = 0.9999 * self.least(&terms, limit, keep, adds);
        let needed: Vec<QueryTerm> = terms.iter().copied().filter(|t| left - bound(t) < least).collect();
        if !needed.is_empty() {
            let mut held: Vec<u32> = self.having(&needed);
            held.retain(|slot| keep.is_none_or(|keep| keep(*slot)));
            let mut scores = vec![0.0; held.len()];
            for t in &terms {
                seek(self.postings(t.term), &held, |row, p| {
                    if let Some(score) = scores.get_mut(row) {
                        *score += adds(t, p);
                    }
                });
                left -= bound(t);
                // What cannot be among the best any more is not looked up in the lists to come.
                let may = |score: f32| score + left.max(0.0) >= least;
                let mut flags = scores.iter().map(|score| may(*score));
                held.retain(|_| flags.next().unwrap_or(false));
                scores.retain(|score| may(*score));
            }
            let mut top = TopK::new(limit);
            held.iter().zip(&scores).for_each(|(slot, score)| top.push(*slot, *score));
            return top.into_sorted();
        }
        // Those that may be among the best, once no other can come in.
        let mut closed: Option<Vec<u32>> = None;
        for t in &terms {
            if closed.is_none() && !touched.is_empty() {
                closed = close(scores, touched, limit, left, least);
            }
            left -= bound(t);
            if let Some(slots) = &closed {
                seek(self.postings(t.term), slots, |_, p| {
                    if let Some(score) = scores.get_mut(p.slot as usize) {
                        *score += adds(t, p);
                    }
                });
                continue;
            }
            for p in self.postings(t.term) {
                let Some(score) = scores.get_mut(p.slot as usize) else { continue };
                if *score == 0.0 {
                    if keep.is_some_and(|keep| !keep(p.slot)) {
                        continue;
                    }
                    touched.push(p.slot);
                }
                *score += adds(t, p);
            }
        }
        let mut top = TopK::new(limit);
        for slot in closed.as_deref().unwrap_or(touched) {
            top.push(*slot, scores.get(*slot as usize).copied().unwrap_or(0.0));
        }
        top.into_sorted()
    }

    /// What the last of the `limit` best has at the least, 0 where nothing is known: the scores of some documents that have the rarest two
    /// of `terms`, which begin with them.
    fn least(
        &self,
        terms: &[QueryTerm],
        limit: usize,
        keep: Option<&Keep<'_>>,
        adds: impl Fn(&QueryTerm, &Posting) -> f32,
    ) -> f32 {
        let [first, second, ..] = terms else { return 0.0 };
        let rarest = self.postings(first.term);
        if rarest.len() < PRIMED_FROM * limit {
            return 0.0;
        }
        let begin: Vec<u32> = rarest.iter().take(PRIMED_FROM * PRIMED_FROM * limit).map(|p| p.slot).collect();
        let mut slots: Vec<u32> = Vec::with_capacity(limit);
        seek(self.postings(second.term), &begin, |row, _| {
            let slot = begin.get(row).filter(|slot| slots.len() < limit && keep.is_none_or(|keep| keep(**slot)));
            slots.extend(slot);
        });
        if slots.len() < limit {
            return 0.0;
        }
        let mut scores = vec![0.0; slots.len()];
        for t in terms {
            seek(self.postings(t.term), &slots, |row, p| {
                if let Some(score) = scores.get_mut(row) {
                    *score += adds(t, p);
                }
            });
        }
        scores.into_iter().fold(f32::INFINITY, f32::min)
    }

    /// The documents that have all of `terms`, the rarest of which comes first; in order.
    fn having(&self, terms: &[QueryTerm]) -> Vec<u32> {
        let dense = |t: &QueryTerm| self.dense.get(t.term as usize).filter(|dense| dense.is_there());
        let bits: Vec<_> = terms.iter().filter_map(dense).collect();
        let mut slots: Vec<u32> = match terms.first() {
            Some(first) if dense(first).is_none() => {
                let slots = self.postings(first.term).iter().map(|p| p.slot);
                slots.filter(|slot| bits.iter().all(|bits| bits.has(*slot))).collect()
            }
            _ => Dense::shared(&bits),
        };
        for t in terms.iter().skip(1).filter(|t| dense(t).is_none()) {
            let mut both = Vec::new();
            seek(self.postings(t.term), &slots, |row, _| both.extend(slots.get(row)));
            slots = both;
        }
        slots
    }
}

/// Those of `touched`, in order, that may still be among the `limit` best when no other document can reach as much as they have or
/// would have a share of the best score worth naming: `left` is the most that the terms to come can add, `least` what the last of the best
/// has at the least. `None` where one can.
fn close(scores: &[f32], touched: &[u32], limit: usize, left: f32, least: f32) -> Option<Vec<u32>> {
    let mut held: Vec<f32> = touched.iter().filter_map(|s| scores.get(*s as usize).copied()).collect();
    let best = held.iter().fold(0.0f32, |a, b| a.max(*b));
    let mut floor = least - left;
    if held.len() > limit {
        let (_, worst, _) = held.select_nth_unstable_by(limit - 1, |a, b| b.total_cmp(a));
        floor = floor.max(*worst - left);
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

/// Calls `found` with the place in `slots` and each posting whose slot is among them; both are in order.
#[inline]
pub(super) fn seek(postings: &[Posting], slots: &[u32], mut found: impl FnMut(usize, &Posting)) {
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
            Some(p) if p.slot == *slot => found(row, p),
            Some(_) => {}
        }
    }
}
