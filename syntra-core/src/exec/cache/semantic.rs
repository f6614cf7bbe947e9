//! Answers by meaning.

use super::{Meaning, Stored};
use crate::chat::{Part, Request, Role, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::CallKey;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Among whom answers by meaning are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheScope {
    /// One user's questions alone.
    #[default]
    User,
    /// All users of an organisation: for questions whose answers are the same for everybody.
    Organisation,
}

/// Gives an answer again to a question that means the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SemanticCacheOptions {
    /// The cosine of the questions' vectors from which they mean the same, above 0 and up to 1.
    pub threshold: f32,
    /// How long an answer is given again.
    pub ttl: Duration,
    /// The most answers that are kept; the oldest go first. At most 100,000: each is compared.
    pub max_entries: usize,
    /// Among whom they are shared.
    pub scope: CacheScope,
}

impl Default for SemanticCacheOptions {
    /// A cosine of 0.95, 5 minutes, 1,000 answers, one user.
    fn default() -> Self {
        Self { threshold: 0.95, ttl: Duration::from_secs(300), max_entries: 1_000, scope: CacheScope::User }
    }
}

#[derive(Debug)]
pub(super) struct Semantic {
    options: SemanticCacheOptions,
    /// Oldest first.
    entries: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    group: CallKey,
    vector: Vec<f32>,
    stored: Arc<Stored>,
}

impl Semantic {
    pub(super) fn new(options: SemanticCacheOptions) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Config, format!("semantic_cache: {what}")));
        if !(options.threshold > 0.0 && options.threshold <= 1.0) {
            return wrong(format!("threshold must be above 0 and at most 1, got {}", options.threshold));
        }
        if options.ttl.is_zero() {
            return wrong("ttl must be more than 0; leave it out for no cache".into());
        }
        if !(1..=100_000).contains(&options.max_entries) {
            return wrong(format!("max_entries must be between 1 and 100000, got {}", options.max_entries));
        }
        Ok(Self { options, entries: Mutex::default() })
    }

    pub(super) fn ttl(&self) -> Duration {
        self.options.ttl
    }

    /// What must be the same for two questions to be compared at all: everything but the words of the last message, and of those what
    /// has to be exact. `None` for a request that is not answered by meaning: its last message is no plain text of the user's, or
    /// it has tools.
    pub(super) fn group(
        &self,
        scope: &Scope,
        provider: &str,
        request: &Request,
        meaning: &Meaning,
    ) -> Result<Option<CallKey>> {
        let Some((last, _)) = request.messages.split_last() else { return Ok(None) };
        let plain = last.role == Role::User && last.parts.iter().all(|part| matches!(part, Part::Text { .. }));
        if !plain || !request.tools.is_empty() {
            return Ok(None);
        }
        let mut frame = request.clone();
        if let Some(last) = frame.messages.last_mut() {
            last.parts = meaning.exactly.iter().map(|word| Part::Text { text: word.clone() }).collect();
        }
        // Organisation and user in the place of the provider's name cannot be taken for another: lengths are hashed too.
        let of = match self.options.scope {
            CacheScope::User => format!("{provider}\0{}", scope.user()),
            CacheScope::Organisation => provider.to_owned(),
        };
        CallKey::new(scope, &of, &frame, false).map(Some)
    }

    /// The answer to the nearest question of `group`, if it is near enough.
    pub(super) fn nearest(&self, group: &CallKey, vector: &[f32], now: Duration) -> Option<(Arc<Stored>, f32)> {
        let entries = self.lock();
        let near =
            entries.iter().filter(|e| e.group == *group && now < e.stored.until && e.vector.len() == vector.len());
        let near = near.map(|e| (e, e.vector.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>()));
        let near = near.filter(|(_, cosine)| *cosine >= self.options.threshold - 1e-6);
        near.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(e, cosine)| (e.stored.clone(), cosine.min(1.0)))
    }

    pub(super) fn keep(&self, group: CallKey, vector: Vec<f32>, stored: Arc<Stored>, now: Duration) {
        let mut entries = self.lock();
        entries.retain(|e| now < e.stored.until && !(e.group == group && e.vector == vector));
        while entries.len() >= self.options.max_entries {
            entries.pop_front();
        }
        entries.push_back(Entry { group, vector, stored });
    }

    pub(super) fn erase(&self, scope: &Scope) {
        self.lock().retain(|e| e.stored.owner != *scope);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        // A panic elsewhere leaves whole entries behind.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
