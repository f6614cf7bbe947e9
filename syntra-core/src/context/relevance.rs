//! What of the memories recalled is worth a place in a prompt.

use super::{Dropped, Section, TokenCounter};
use crate::memory::{Memory, MemoryType};
use crate::search::{is_stop_word, words};
use std::collections::HashSet;

/// A memory is clearly irrelevant when its score lies in the last part of the spread between the best and the worst, and is less than
/// this share of the best: of scores that lie close together none is, and of two neither unless one is far below.
const SPREAD: f32 = 0.8;
const OF_BEST: f32 = 0.5;
/// One that names at least this share of what the memory naming most of the question names stays: scores are relative to what else was
/// found, and among memories that are all alike somebody has to be last.
const NAMED: f32 = 0.5;

/// Parts `memories` (best first, with rank scores) recalled for `question` into those worth a place and those that are clearly irrelevant beside the best. What is
/// known of the user and their standing wishes stay whatever is asked.
///
/// ```
/// use syntra_core::context::{counter_for, relevant};
/// let (kept, dropped) = relevant("Where do I live?", &[], &*counter_for("gpt-4o-mini"));
/// assert!(kept.is_empty() && dropped.is_empty());
/// ```
pub fn relevant(
    question: &str,
    memories: &[(Memory, f32)],
    counter: &dyn TokenCounter,
) -> (Vec<(Memory, f32)>, Vec<Dropped>) {
    if memories.is_empty() {
        return (Vec::new(), Vec::new());
    }
    // What was asked before fits a question best and answers nothing: it is no measure for what does.
    let scores = || {
        let answers = memories.iter().filter(|(memory, _)| !memory.text.trim_end().ends_with(['?', '？', '؟']));
        answers.map(|(_, score)| *score).filter(|score| score.is_finite())
    };
    let best = scores().fold(f32::NEG_INFINITY, f32::max);
    let worst = scores().fold(f32::INFINITY, f32::min);
    let floor = (best - SPREAD * (best - worst)).min(OF_BEST * best);
    let asked: HashSet<String> = words(question).into_iter().filter(|word| !is_stop_word(word)).collect();
    let named = |memory: &Memory| {
        let of: HashSet<String> = words(&memory.text).into_iter().filter(|word| asked.contains(word)).collect();
        of.len() as f32
    };
    let most_named = memories.iter().map(|(memory, _)| named(memory)).fold(0.0, f32::max);
    let names_enough = |memory: &Memory| most_named > 0.0 && named(memory) >= NAMED * most_named;
    let (mut kept, mut dropped) = (Vec::with_capacity(memories.len()), Vec::new());
    for (memory, score) in memories {
        let worth = !score.is_finite() || *score >= floor || names_enough(memory);
        let section = match memory.kind {
            MemoryType::Semantic if !worth => Section::Semantic,
            MemoryType::Episodic if !worth => Section::Episodic,
            _ => {
                kept.push((memory.clone(), *score));
                continue;
            }
        };
        dropped.push(Dropped {
            section,
            memory_id: Some(memory.id.clone()),
            tokens: counter.count(&memory.text),
            reason: format!("not relevant enough: {score:.2}, the best has {best:.2}"),
        });
    }
    (kept, dropped)
}
