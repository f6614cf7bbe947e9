//! What the ranker was given for each question, for `benches/scripts/learn_ranker.py` to learn from: JSON lines, gzipped.

use super::data::{Question, Set, Space};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use syntra_core::query::QueryAnalysis;
use syntra_core::search::{Candidate, HybridRanker, RankQuery, Ranked};
use syntra_core::{Error, Result};

/// A ranker that keeps what it was given last.
#[derive(Debug)]
pub(super) struct Seen {
    inner: Arc<dyn HybridRanker>,
    last: Mutex<Vec<Candidate>>,
}

impl Seen {
    pub(super) fn new(inner: Arc<dyn HybridRanker>) -> Self {
        Self { inner, last: Mutex::default() }
    }

    /// The candidates of the last question.
    pub(super) fn take(&self) -> Vec<Candidate> {
        std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HybridRanker for Seen {
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// The classic adaptive ranker is among those that are compared.
    fn wants_topics(&self) -> bool {
        true
    }

    fn rank(&self, query: &RankQuery<'_>, candidates: Vec<Candidate>) -> Vec<Ranked> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&candidates);
        self.inner.rank(query, candidates)
    }
}

/// The file.
pub(super) struct Dump {
    out: GzEncoder<BufWriter<File>>,
}

fn wrong(e: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("the dump cannot be written: {e}"))
}

impl Dump {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| wrong(&e))?;
        Ok(Self { out: GzEncoder::new(BufWriter::new(file), Compression::fast()) })
    }

    /// A line: the question, what was understood of it, its gold, and every candidate with its signals.
    pub(super) fn add(
        &mut self,
        set: &Set,
        space: &Space,
        question: &Question,
        analysis: &QueryAnalysis,
        candidates: &[Candidate],
    ) -> Result<()> {
        let candidates: Vec<Value> = candidates
            .iter()
            .map(|c| {
                let mut row = Map::new();
                row.insert("id".into(), json!(&*c.id));
                row.insert("gold".into(), json!(question.gold.iter().any(|id| **id == *c.id)));
                row.insert("signals".into(), c.signals.iter().map(|(s, v)| named(&s, v)).collect());
                Value::Object(row)
            })
            .collect();
        let line = json!({
            "set": set.name,
            "space": space.id,
            "id": question.id,
            "text": question.text,
            "category": question.category,
            "gold": question.gold,
            "asks_when": analysis.asks_when,
            "asks_for": analysis.asks_for,
            "time": analysis.time,
            "about_now": analysis.about_now,
            "intent": analysis.intent,
            "candidates": candidates,
        });
        writeln!(self.out, "{line}").map_err(|e| wrong(&e))
    }

    pub(super) fn finish(self) -> Result<()> {
        self.out.finish().and_then(|mut file| file.flush()).map_err(|e| wrong(&e))
    }
}

/// A signal under the name that it has in a trace.
fn named(signal: &impl serde::Serialize, value: f32) -> (String, Value) {
    let name = serde_json::to_value(signal).ok().and_then(|name| name.as_str().map(str::to_owned));
    (name.unwrap_or_default(), json!(value))
}
