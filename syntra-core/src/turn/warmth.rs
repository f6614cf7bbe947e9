//! What each model was sent lately, and so is likely to have in its provider's prompt cache.
//!
//! Providers keep the beginning of a prompt for some minutes and charge less for reading it again. What is kept here are hashes of a few beginnings of each
//! prompt that was answered, by model: where its fixed system text ends, where the system message ends, where the last message begins and
//! where it ends. What a next prompt has in common with them is expected to be cached, as far as the provider's own counts bear that out.

use crate::chat::{Part, Request, Usage};
use crate::clock::Clock;
use crate::router::Target;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a provider keeps a beginning: five minutes is what Anthropic says and the least that OpenAI does.
const KEPT: Duration = Duration::from_secs(300);
/// Providers keep no beginning that is shorter, in tokens (OpenAI, Anthropic's larger models).
const SHORTEST: u64 = 1_024;
/// Beginnings that are remembered, and models by beginning.
const BEGINNINGS: usize = 4_096;
const MODELS: usize = 16;
/// Tokens' worth of trust in a provider's cache before it says anything, and after how many half is forgotten.
const TRUST: f64 = 4_096.0;
const FULL: f64 = 262_144.0;
/// Models of which it is known how much of what was expected came from the cache.
const TRUSTED: usize = 1_024;

/// What was sent lately.
#[derive(Debug)]
pub(crate) struct Warmth {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By hash of a beginning: to whom it was sent, and when last.
    sent: HashMap<u64, Vec<(Target, Duration)>>,
    /// By model: tokens that were expected from its cache, and that came from it.
    came: HashMap<Target, (f64, f64)>,
}

/// The beginnings of a prompt, the shortest first: a hash, and the bytes that it is of.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    ends: Vec<(u64, usize)>,
    /// Places in `ends` that are worth remembering.
    marks: Vec<usize>,
    bytes: usize,
}

impl Beginnings {
    /// Those of `request`, of nobody but `organisation`. They end before the first picture or document.
    pub(super) fn of(organisation: &str, request: &Request) -> Self {
        let mut hash = DefaultHasher::new();
        organisation.hash(&mut hash);
        for tool in &request.tools {
            // A tool that cannot be written cannot be sent either.
            serde_json::to_vec(tool).unwrap_or_default().hash(&mut hash);
        }
        let mut out = Self::default();
        let mut whole = true;
        let last = request.messages.len().saturating_sub(1);
        for (at, message) in request.messages.iter().enumerate() {
            if at == last || at == 1 {
                out.marks.extend(out.ends.len().checked_sub(1));
            }
            message.role.hash(&mut hash);
            for (part_at, part) in message.parts.iter().enumerate() {
                match part {
                    Part::Text { text } => {
                        text.hash(&mut hash);
                        out.bytes += text.len();
                    }
                    Part::ToolCall(_) | Part::ToolResult(_) => {
                        let json = serde_json::to_vec(part).unwrap_or_default();
                        json.hash(&mut hash);
                        out.bytes += json.len();
                    }
                    // Thinking is not sent to everybody.
                    Part::Reasoning(_) => {}
                    _ => whole = false,
                }
                if whole {
                    if at == 0 && part_at == 0 {
                        out.marks.push(out.ends.len());
                    }
                    out.ends.push((hash.finish(), out.bytes));
                }
            }
        }
        out.marks.extend(out.ends.len().checked_sub(1));
        out.marks.dedup();
        out
    }

    fn tokens(&self, bytes: usize, prompt: u64) -> u64 {
        let share = bytes as f64 / self.bytes.max(1) as f64;
        (share * prompt as f64) as u64
    }
}

impl Warmth {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By model, the tokens of a prompt of `prompt` tokens that it is likely to have in its cache.
    pub(super) fn of(&self, beginnings: &Beginnings, prompt: u64) -> Vec<(Target, u64)> {
        let (now, kept) = (self.clock.monotonic(), self.lock());
        let mut all = kept.common(beginnings, prompt, now);
        for (target, tokens) in &mut all {
            *tokens = (*tokens as f64 * kept.trust(target)) as u64;
        }
        all.retain(|(_, tokens)| *tokens > 0);
        all
    }

    /// Remembers that `target` answered a prompt of `prompt` tokens with these beginnings, of which `usage` says how many were cached.
    pub(super) fn sent(&self, beginnings: &Beginnings, prompt: u64, target: &Target, usage: &Usage) {
        let now = self.clock.monotonic();
        let mut kept = self.lock();
        let expected = kept.common(beginnings, prompt, now).into_iter().find(|(warm, _)| warm == target);
        if let (Some((_, expected)), Some(came)) = (expected, usage.cached_input_tokens) {
            if kept.came.len() >= TRUSTED && !kept.came.contains_key(target) {
                kept.came.clear();
            }
            let (sum, of) = kept.came.entry(target.clone()).or_default();
            if *of >= FULL {
                (*sum, *of) = (*sum / 2.0, *of / 2.0);
            }
            // More than was expected is no reason to expect more than all.
            *sum += came.min(expected) as f64;
            *of += expected as f64;
        }
        let marks = beginnings.marks.iter().filter_map(|mark| beginnings.ends.get(*mark));
        for (hash, _) in marks.filter(|(_, bytes)| beginnings.tokens(*bytes, prompt) >= SHORTEST) {
            kept.note(*hash, target, now);
        }
    }
}

impl Kept {
    /// By model, how many tokens of the prompt it was sent within the time that they are kept: the longest beginning counts.
    fn common(&self, beginnings: &Beginnings, prompt: u64, now: Duration) -> Vec<(Target, u64)> {
        let mut out: Vec<(Target, u64)> = Vec::new();
        if self.sent.is_empty() {
            return out;
        }
        for (hash, bytes) in beginnings.ends.iter().rev() {
            let tokens = beginnings.tokens(*bytes, prompt);
            if tokens < SHORTEST {
                break;
            }
            for (target, at) in self.sent.get(hash).into_iter().flatten() {
                if now.saturating_sub(*at) < KEPT && !out.iter().any(|(known, _)| known == target) {
                    out.push((target.clone(), tokens));
                }
            }
        }
        out
    }

    /// The share of what is expected from a model's cache that comes from it.
    fn trust(&self, target: &Target) -> f64 {
        let (came, expected) = self.came.get(target).copied().unwrap_or_default();
        (came + TRUST) / (expected + TRUST)
    }

    fn note(&mut self, hash: u64, target: &Target, now: Duration) {
        if self.sent.len() >= BEGINNINGS && !self.sent.contains_key(&hash) {
            self.make_room(now);
        }
        let models = self.sent.entry(hash).or_default();
        match models.iter_mut().find(|(known, _)| known == target) {
            Some((_, at)) => *at = now,
            None => {
                if models.len() >= MODELS {
                    models.remove(0);
                }
                models.push((target.clone(), now));
            }
        }
    }

    /// Forgets what is no longer cached, and the older half where that is not enough.
    fn make_room(&mut self, now: Duration) {
        let last = |models: &[(Target, Duration)]| models.iter().map(|(_, at)| *at).max().unwrap_or_default();
        self.sent.retain(|_, models| now.saturating_sub(last(models)) < KEPT);
        if self.sent.len() >= BEGINNINGS {
            let mut times: Vec<Duration> = self.sent.values().map(|models| last(models)).collect();
            let half = times.len() / 2;
            let (_, middle, _) = times.select_nth_unstable(half);
            let middle = *middle;
            self.sent.retain(|_, models| last(models) > middle);
        }
    }
}

#[cfg(test)]
mod tests;
