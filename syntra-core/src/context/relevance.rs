//! What of the memories recalled is worth a place in a prompt.

use super::{Dropped, Section, TokenCounter};
use crate::memory::{Memory, MemoryType};

/// A memory is clearly irrelevant when its score lies in the last part of the spread between the best and the worst, and is less than
/// this share of the best: of scores that lie close together none is, and of two neither unless one is far below.
const SPREAD: f32 = 0.8;
const OF_BEST: f32 = 0.5;

/// Parts `memories` (best first, with rank scores) into those worth a place and those that are clearly irrelevant beside the best. What is
/// known of the user and their standing wishes stay whatever is asked.
///
/// ```
/// use syntra_core::context::{counter_for, relevant};
/// let (kept, dropped) = relevant(&[], &*counter_for("gpt-4o-mini"));
/// assert!(kept.is_empty() && dropped.is_empty());
/// ```
pub fn relevant(memories: &[(Memory, f32)], counter: &dyn TokenCounter) -> (Vec<(Memory, f32)>, Vec<Dropped>) {
    // What was asked before fits a question best and answers nothing: it is no measure for what does.
    let scores = || {
        let answers = memories.iter().filter(|(memory, _)| !memory.text.trim_end().ends_with(['?', '？', '؟']));
        answers.map(|(_, score)| *score).filter(|score| score.is_finite())
    };
    let best = scores().fold(f32::NEG_INFINITY, f32::max);
    let worst = scores().fold(f32::INFINITY, f32::min);
    let floor = (best - SPREAD * (best - worst)).min(OF_BEST * best);
    let (mut kept, mut dropped) = (Vec::with_capacity(memories.len()), Vec::new());
    for (memory, score) in memories {
        let section = match memory.kind {
            MemoryType::Semantic if *score < floor => Section::Semantic,
            MemoryType::Episodic if *score < floor => Section::Episodic,
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
