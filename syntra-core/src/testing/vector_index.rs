//! What every vector index must do.

use crate::error::ErrorKind;
use crate::search::VectorIndex;
use std::collections::BTreeMap;

const DIMENSIONS: usize = 24;
const VECTORS: u32 = 1_100;

/// Checks the vector index that `make` makes (for a number of dimensions) against the contract of [`VectorIndex`]: what it finds
/// against a plain comparison with every vector, before and after replacing and removing; filters; ties; wrong input.
/// `least_recall` is the share of the ten nearest that it must find on average: 1 for an exact index.
///
/// ```
/// use syntra_core::search::FlatIndex;
/// syntra_core::testing::vector_index_conformance(|dimensions| Box::new(FlatIndex::new(dimensions)), 1.0).unwrap();
/// ```
///
/// # Errors
/// The list of breaches, at least one.
pub fn vector_index_conformance(
    make: impl Fn(usize) -> Box<dyn VectorIndex>,
    least_recall: f64,
) -> Result<(), Vec<String>> {
    let mut suite = Suite { index: make(DIMENSIONS), model: BTreeMap::new(), breaches: Vec::new(), state: 11 };
    suite.empty();
    suite.wrong_input();
    suite.nearest(least_recall);
    suite.ties(make(2));
    suite.changes(least_recall);
    if suite.breaches.is_empty() { Ok(()) } else { Err(suite.breaches) }
}

struct Suite {
    index: Box<dyn VectorIndex>,
    /// The vectors it should hold, at length 1.
    model: BTreeMap<u32, Vec<f32>>,
    breaches: Vec<String>,
    state: u64,
}

impl Suite {
    fn check(&mut self, holds: bool, breach: impl FnOnce() -> String) {
        if !holds {
            self.breaches.push(breach());
        }
    }

    fn number(&mut self) -> f32 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSIONS).map(|_| self.number()).collect()
    }

    fn put(&mut self, key: u32, vector: &[f32]) {
        if let Err(error) = self.index.upsert(key, vector) {
            self.breaches.push(format!("upsert of a good vector failed: {error}"));
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        self.model.insert(key, vector.iter().map(|x| x / norm).collect());
    }

    fn expected(&self, query: &[f32], limit: usize, keep: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let norm = query.iter().map(|x| x * x).sum::<f32>().sqrt();
        let cosine = |v: &[f32]| v.iter().zip(query).map(|(x, y)| x * y).sum::<f32>() / norm;
        let mut all: Vec<(u32, f32)> =
            self.model.iter().filter(|(key, _)| keep(**key)).map(|(key, v)| (*key, cosine(v))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(limit);
        all
    }

    fn empty(&mut self) {
        let found = self.index.search(&[1.0; DIMENSIONS], 5, None);
        self.check(found.is_ok_and(|f| f.is_empty()), || "an empty index must find nothing, without an error".into());
        let holds = self.index.is_empty() && self.index.dimensions() == DIMENSIONS && !self.index.remove(3);
        self.check(holds, || "an empty index must say so, name its dimensions and remove nothing".into());
    }

    fn wrong_input(&mut self) {
        let good = self.vector();
        self.put(1, &good);
        let mut wrong = vec![vec![1.0; DIMENSIONS - 1], vec![1.0; DIMENSIONS + 1], vec![0.0; DIMENSIONS], Vec::new()];
        for bad in [f32::NAN, f32::INFINITY] {
            let mut vector = good.clone();
            if let Some(place) = vector.last_mut() {
                *place = bad;
            }
            wrong.push(vector);
        }
        for vector in wrong {
            let invalid = |outcome: Option<ErrorKind>| outcome == Some(ErrorKind::InvalidInput);
            let upsert = self.index.upsert(1, &vector).err().map(|e| e.kind());
            self.check(invalid(upsert), || format!("upsert of {vector:?} must be InvalidInput, was {upsert:?}"));
            let search = self.index.search(&vector, 3, None).err().map(|e| e.kind());
            self.check(invalid(search), || format!("search for {vector:?} must be InvalidInput, was {search:?}"));
        }
        let found = self.index.search(&good, 3, None).unwrap_or_default();
        self.check(self.index.len() == 1 && found.first().is_some_and(|f| f.0 == 1 && f.1 > 0.999), || {
            "a refused vector must change nothing".into()
        });
    }

    fn nearest(&mut self, least_recall: f64) {
        for key in 0..VECTORS {
            let vector = self.vector();
            self.put(key, &vector);
        }
        self.compare("after adding", least_recall);
    }

    /// Searches with and without a filter against the plain comparison.
    fn compare(&mut self, when: &str, least_recall: f64) {
        let held = self.index.len();
        let expected = self.model.len();
        self.check(held == expected, || format!("{when}: holds {held} instead of {expected}"));
        let (mut found_all, mut asked) = (0usize, 0usize);
        for _ in 0..40 {
            let query = self.vector();
            let expected = self.expected(&query, 10, |_| true);
            let found = self.index.search(&query, 10, None).unwrap_or_default();
            self.sound(when, &query, &found);
            found_all += found.iter().filter(|(key, _)| expected.iter().any(|(k, _)| k == key)).count();
            asked += 10;
            // A filter that one in fifty passes: exact, or what is rare is never found.
            let rare = |key: u32| key % 50 == 7;
            let expected: Vec<u32> = self.expected(&query, 10, rare).into_iter().map(|(k, _)| k).collect();
            let found = self.index.search(&query, 10, Some(&rare)).unwrap_or_default();
            let kept = found.iter().all(|(key, _)| rare(*key));
            self.check(kept, || format!("{when}: a filtered search returned what the filter keeps out"));
            let hits = found.iter().filter(|(key, _)| expected.contains(key)).count();
            self.check(hits * 10 >= expected.len() * 9, || {
                format!("{when}: a filtered search found {hits} of {}", expected.len())
            });
        }
        let recall = found_all as f64 / asked as f64;
        // Neighbours at all but the same distance may change places by rounding.
        self.check(recall >= least_recall - 0.003, || format!("{when}: recall {recall:.3}, at least {least_recall}"));
    }

    /// Best first, no key twice, none that is not there, each with its own cosine.
    fn sound(&mut self, when: &str, query: &[f32], found: &[(u32, f32)]) {
        let ordered = found.windows(2).all(|w| match w {
            [a, b] => a.1 > b.1 || (a.1 == b.1 && a.0 < b.0),
            _ => true,
        });
        self.check(ordered, || format!("{when}: not best first, ties by key: {found:?}"));
        let scores: BTreeMap<u32, f32> = self.expected(query, usize::MAX, |_| true).into_iter().collect();
        let right = found.iter().all(|(key, score)| scores.get(key).is_some_and(|s| (s - score).abs() < 1e-4));
        self.check(right, || format!("{when}: a key that is not there, or a score that is not its cosine: {found:?}"));
    }

    fn ties(&mut self, mut index: Box<dyn VectorIndex>) {
        let written = [9u32, 3, 5].into_iter().all(|key| index.upsert(key, &[2.0, 0.0]).is_ok());
        let keys: Vec<u32> =
            index.search(&[1.0, 0.0], 2, None).unwrap_or_default().into_iter().map(|(k, _)| k).collect();
        self.check(written && keys == [3, 5], || format!("equal vectors come by lower key, got {keys:?}"));
        let none = index.search(&[1.0, 0.0], 0, None);
        self.check(none.is_ok_and(|f| f.is_empty()), || "a limit of 0 finds nothing".into());
    }

    fn changes(&mut self, least_recall: f64) {
        for key in 0..VECTORS {
            match key % 3 {
                0 => {
                    let vector = self.vector();
                    self.put(key, &vector);
                }
                1 => {
                    let there = self.index.remove(key);
                    self.check(there, || format!("{key} was there and could not be removed"));
                    let again = self.index.remove(key);
                    self.check(!again, || format!("{key} was removed twice"));
                    self.model.remove(&key);
                }
                _ => {}
            }
        }
        self.compare("after replacing and removing", least_recall);
        let bytes = self.index.memory_bytes();
        self.check(bytes >= self.model.len() * DIMENSIONS, || format!("{bytes} bytes cannot hold the vectors"));
    }
}
