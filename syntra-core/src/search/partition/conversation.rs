//! Conversations (or documents of several chunks): who stands beside whom, and the words of the whole.

use super::Partition;
use crate::chat::Role;
use crate::search::vector::prefetch_at;

/// A count of less is none: counts are sums of weights.
const LEAST: f32 = 1e-4;

#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Its documents in the order they were said.
    pub(super) slots: Vec<u32>,
    /// Weighted counts of the terms of all of them, in order.
    pub(super) terms: Vec<(u32, f32)>,
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

    /// Has the places at which a search for a term begins brought near.
    pub(super) fn fetch(&self) {
        let eighth = self.terms.len() / 8;
        [4, 2, 6].into_iter().for_each(|eighths| prefetch_at(&self.terms, eighth * eighths));
    }

    /// How often a term occurs in all of them.
    pub(super) fn tf(&self, term: u32) -> f32 {
        let at = self.terms.binary_search_by_key(&term, |(term, _)| *term);
        at.ok().and_then(|at| self.terms.get(at)).map_or(0.0, |(_, tf)| *tf)
    }

    /// Adds the terms of a document, which are in order; `new` is called with each that none had before.
    fn add(&mut self, terms: &[(u32, f32)], mut new: impl FnMut(u32)) {
        let mut missing = 0;
        for (term, tf) in terms {
            let at = self.terms.binary_search_by_key(term, |(term, _)| *term);
            match at.ok().and_then(|at| self.terms.get_mut(at)) {
                Some((_, held)) => *held += tf,
                None => {
                    missing += 1;
                    new(*term);
                }
            }
        }
        if missing == 0 {
            return;
        }
        // Both lists from behind, each to its place.
        let (mut from, mut to) = (self.terms.len(), self.terms.len() + missing);
        self.terms.resize(to, (0, 0.0));
        let mut terms = terms.iter().rev().peekable();
        while to > from {
            let last = from.checked_sub(1).and_then(|at| self.terms.get(at)).copied();
            let Some((term, tf)) = terms.peek() else { break };
            let taken = match last {
                Some(last) if last.0 >= *term => {
                    from -= 1;
                    if last.0 == *term {
                        terms.next();
                    }
                    last
                }
                _ => {
                    let taken = (*term, *tf);
                    terms.next();
                    taken
                }
            };
            to -= 1;
            if let Some(place) = self.terms.get_mut(to) {
                *place = taken;
            }
        }
    }

    /// Takes the terms of a document off; `gone` is called with each that none has any more.
    fn take_off(&mut self, terms: &[(u32, f32)], mut gone: impl FnMut(u32)) {
        let mut any = false;
        for (term, tf) in terms {
            let at = self.terms.binary_search_by_key(term, |(term, _)| *term);
            if let Some((_, held)) = at.ok().and_then(|at| self.terms.get_mut(at)) {
                *held -= tf;
                if *held <= LEAST {
                    any = true;
                    gone(*term);
                }
            }
        }
        if any {
            self.terms.retain(|(_, tf)| *tf > LEAST);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * 4 + self.near.capacity() * 8 + self.terms.capacity() * 8 + 96
    }
}

impl Partition {
    /// The number of the conversation `name`, made where it is new.
    pub(super) fn conversation(&mut self, name: &str) -> u32 {
        let conversation = self.conversation_ids.intern(name);
        if self.conversations.len() < self.conversation_ids.numbers() {
            self.conversations.resize_with(self.conversation_ids.numbers(), Conversation::default);
        }
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
        let df = &mut self.conversation_df;
        of.add(self.words.terms_of(slot), |term| {
            let at = term as usize;
            df.resize(df.len().max(at + 1), 0);
            if let Some(df) = df.get_mut(at) {
                *df += 1;
            }
        });
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
        let df = &mut self.conversation_df;
        of.take_off(self.words.terms_of(slot), |term| {
            if let Some(df) = df.get_mut(term as usize) {
                *df = df.saturating_sub(1);
            }
        });
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
            if let Some(doc) = self.slots.get_mut(*slot as usize) {
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
            (Some(a), Some(b)) => vectors.get(*a).and_then(|a| vectors.cosine(*b, &a)).unwrap_or(0.0),
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
