//! Conversations (or documents of several chunks): who stands beside whom, and the words of the whole.

use super::Partition;
use crate::chat::Role;
use crate::search::vector::dot;
use rustc_hash::FxHashMap;

#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Its documents in the order they were said.
    pub(super) slots: Vec<u32>,
    /// Weighted counts of the terms of all of them.
    pub(super) terms: FxHashMap<u32, f32>,
    pub(super) length: f64,
    /// How many of them an assistant said.
    pub(super) assistant: u32,
    /// For each place the cosines of its document with the one before it and the one before that; 0 where either has no vector.
    pub(super) near: Vec<[f32; 2]>,
}

impl Conversation {
    /// Whether neighbours are context for each other: they are between people, and not where a long answer of an assistant
    /// stands beside a short question.
    pub(super) fn neighbourly(&self) -> bool {
        self.assistant == 0 && self.slots.len() > 1
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * 4 + self.near.capacity() * 8 + self.terms.capacity() * 9 + 64
    }
}

impl Partition {
    /// The number of the conversation `name`, made where it is new.
    pub(super) fn conversation(&mut self, name: &str) -> u32 {
        if let Some(&conversation) = self.conversation_ids.get(name) {
            return conversation;
        }
        let conversation = self.conversations.len() as u32;
        self.conversations.push(Conversation::default());
        self.conversation_ids.insert(name.into(), conversation);
        conversation
    }

    /// Puts the document in `slot` into its conversation, at `position` or at the end.
    pub(super) fn join(&mut self, conversation: u32, slot: u32, position: Option<u32>, role: Option<Role>) {
        let Some(of) = self.conversations.get_mut(conversation as usize) else { return };
        let at = position.map_or(of.slots.len(), |p| (p as usize).min(of.slots.len()));
        self.in_conversations.0 += usize::from(of.slots.is_empty());
        self.in_conversations.1 += f64::from(self.words.length(slot));
        of.slots.insert(at, slot);
        of.near.insert(at, [0.0; 2]);
        of.length += f64::from(self.words.length(slot));
        of.assistant += u32::from(role == Some(Role::Assistant));
        for &(term, tf) in self.words.terms_of(slot) {
            let held = of.terms.entry(term).or_insert(0.0);
            if *held == 0.0 {
                *self.conversation_df.entry(term).or_insert(0) += 1;
            }
            *held += tf;
        }
        self.renumber(conversation, at);
    }

    /// Takes the document in `slot` out of its conversation, before its words are removed.
    pub(super) fn leave(&mut self, conversation: u32, slot: u32, position: u32, role: Option<Role>) {
        let Some(of) = self.conversations.get_mut(conversation as usize) else { return };
        let at = position as usize;
        if of.slots.get(at) != Some(&slot) {
            return;
        }
        of.slots.remove(at);
        of.near.remove(at);
        self.in_conversations.1 -= f64::from(self.words.length(slot));
        of.length -= f64::from(self.words.length(slot));
        of.assistant -= u32::from(role == Some(Role::Assistant) && of.assistant > 0);
        for &(term, tf) in self.words.terms_of(slot) {
            let Some(held) = of.terms.get_mut(&term) else { continue };
            *held -= tf;
            if *held <= 1e-4 {
                of.terms.remove(&term);
                if let Some(df) = self.conversation_df.get_mut(&term) {
                    *df -= 1;
                    if *df == 0 {
                        self.conversation_df.remove(&term);
                    }
                }
            }
        }
        if of.slots.is_empty() {
            of.length = 0.0;
            self.in_conversations.0 -= 1;
            if self.in_conversations.0 == 0 {
                self.in_conversations.1 = 0.0;
            }
        }
        self.renumber(conversation, at);
    }

    fn renumber(&mut self, conversation: u32, from: usize) {
        let Some(of) = self.conversations.get(conversation as usize) else { return };
        for (position, slot) in of.slots.iter().enumerate().skip(from) {
            if let Some(Some(doc)) = self.slots.get_mut(*slot as usize) {
                doc.position = position as u32;
            }
        }
        self.compare_near(conversation, from);
    }

    /// Compares the document at `at`, and the two after it, with the two before each.
    fn compare_near(&mut self, conversation: u32, at: usize) {
        let vectors = &self.vectors;
        let Some(of) = self.conversations.get_mut(conversation as usize) else { return };
        let cosine = |a: Option<&u32>, b: Option<&u32>| match (a, b) {
            (Some(a), Some(b)) => vectors.get(*a).zip(vectors.get(*b)).map_or(0.0, |(a, b)| dot(a, b)),
            _ => 0.0,
        };
        for place in at..(at + 3).min(of.slots.len()) {
            let own = of.slots.get(place);
            let before = |by: usize| place.checked_sub(by).and_then(|p| of.slots.get(p));
            let near = [cosine(own, before(1)), cosine(own, before(2))];
            if let Some(held) = of.near.get_mut(place) {
                *held = near;
            }
        }
    }

    /// The document `offset` places after (or before) the one at `position`.
    pub(super) fn neighbour(&self, conversation: u32, position: u32, offset: i64) -> Option<u32> {
        let at = usize::try_from(i64::from(position) + offset).ok()?;
        self.conversations.get(conversation as usize)?.slots.get(at).copied()
    }
}
