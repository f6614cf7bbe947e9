//! Every signal that can be computed of a document for a question.

use super::Partition;
use super::document::{Document, Mark};
use super::find::{Found, found};
use super::times::Asked;
use super::wording::{Pairs, pairs_asked};
use crate::chat::Role;
use crate::memory::MemoryType;
use crate::query::AnswerKind;
use crate::search::bm25::{Bm25Params, QueryTerm, idf};
use crate::search::vector::{FULL_AHEAD, Rounded, normalised, prefetch_at};
use crate::search::{Candidate, SearchQuery, Signal, Signals, Strategies, text};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// What a slot is looked at for.
const CANDIDATE: u32 = 1;
const BESIDE: u32 = 2;

struct Context<'a> {
    partition: &'a Partition,
    query: &'a SearchQuery<'a>,
    found: &'a Found,
    vector: Option<Vec<f32>>,
    /// Speakers named in the question.
    named: Vec<u32>,
    /// The terms of each exact string asked for.
    exact: Vec<Vec<Option<u32>>>,
    /// The question's pairs of neighbouring words.
    pairs: Vec<u16>,
    /// The time asked for.
    time: Option<Asked>,
    /// The terms of each keyword of the question, where that is wanted.
    topics: Vec<Vec<Option<u32>>>,
    conversation_terms: Vec<QueryTerm>,
    conversation_average: f32,
    /// A row of counts, one a term of the question, for each slot that is looked at.
    counts: Vec<f32>,
    /// The cosine of each of those slots with the question; not a number where there is no vector.
    cosines: Vec<f32>,
    /// How well each of them fits, see [`Context::fit`]: worked out when it is first asked for, not a number until then.
    fits: Vec<Cell<f32>>,
}

pub(super) fn compute(partition: &Partition, ids: &[String], query: &SearchQuery<'_>) -> Vec<Candidate> {
    let slots: Vec<u32> = ids.iter().filter_map(|id| partition.ids.number(id)).collect();
    let candidate = |(slot, signals): (&u32, Option<Signals>)| {
        Some(Candidate { id: partition.id(*slot)?.into(), found_by: Strategies::new(), signals: signals? })
    };
    slots.iter().zip(of_slots(partition, &slots, query)).filter_map(candidate).collect()
}

/// The signals of each of `slots`; nothing for an empty one.
pub(super) fn of_slots(partition: &Partition, slots: &[u32], query: &SearchQuery<'_>) -> Vec<Option<Signals>> {
    let words_only = SearchQuery { vector: None, ..query.clone() };
    let Ok(found) = found(partition, query).or_else(|_| found(partition, &words_only)) else {
        return slots.iter().map(|_| None).collect();
    };
    let mut context = Context::new(partition, query, &found);
    partition.fetch(slots);
    let documents: Vec<(u32, Option<&Document>)> =
        slots.iter().map(|slot| (*slot, partition.document(*slot))).collect();
    let windows: Vec<Option<[Option<u32>; 3]>> =
        documents.iter().map(|(_, doc)| doc.and_then(|d| context.beside(d))).collect();
    // Each slot once, in order: the candidates, and those that are only beside one.
    let mut row_of = partition.sheets.take(partition.slots.len());
    let mut needed: Vec<u32> = Vec::with_capacity(slots.len() * 3);
    let beside = windows.iter().flatten().flatten().flatten();
    for (slot, mark) in slots.iter().map(|slot| (slot, CANDIDATE)).chain(beside.map(|slot| (slot, BESIDE))) {
        if let Some(held) = row_of.get_mut(*slot as usize).filter(|held| **held == 0) {
            *held = mark;
            needed.push(*slot);
        }
    }
    needed.sort_unstable();
    let mut is_beside: Vec<bool> = Vec::with_capacity(needed.len());
    for (row, slot) in needed.iter().enumerate() {
        if let Some(held) = row_of.get_mut(*slot as usize) {
            is_beside.push(*held == BESIDE);
            *held = row as u32 + 1;
        }
    }
    partition.fetch(&needed);
    partition.words.fetch(&needed);
    context.counts = partition.words.counts(&needed, &row_of, &found.terms);
    if let Some(query) = &context.vector {
        let mut cosines = vec![f32::NAN; needed.len()];
        for (slot, cosine) in &found.vector {
            let row = row_of.get(*slot as usize).and_then(|row| (*row as usize).checked_sub(1));
            if let Some(place) = row.and_then(|row| cosines.get_mut(row)) {
                *place = *cosine;
            }
        }
        let rounded = Rounded::new(query);
        let ahead = FULL_AHEAD * 2;
        for at in 0..needed.len() + ahead {
            // Some rows are on their way while one is compared.
            if let (Some(slot), Some(is_beside), Some(place)) = (needed.get(at), is_beside.get(at), cosines.get(at))
                && place.is_nan()
            {
                partition.vectors.fetch(*slot, !is_beside);
            }
            let Some(at) = at.checked_sub(ahead) else { continue };
            let (Some(slot), Some(is_beside), Some(place)) = (needed.get(at), is_beside.get(at), cosines.get_mut(at))
            else {
                break;
            };
            if !place.is_nan() {
                continue;
            }
            let cosine = match is_beside {
                // For context some thousandths are nothing, and it is most of what is read.
                true => partition.vectors.roughly(*slot, &rounded),
                false => partition.vectors.cosine(*slot, query),
            };
            *place = cosine.unwrap_or(f32::NAN);
        }
        context.cosines = cosines;
    }

    context.fits = vec![Cell::new(f32::NAN); needed.len()];
    context.fetch(&documents);

    let mut conversations: FxHashMap<u32, f32> = FxHashMap::default();
    let place = |slot: u32| {
        let row = row_of.get(slot as usize).and_then(|row| (*row as usize).checked_sub(1))?;
        Some(Place { slot, row })
    };
    let mut signals_of = |slot: u32, doc: &Document, beside: &Option<[Option<u32>; 3]>| {
        let own = place(slot)?;
        let mut signals = Signals::new();
        context.relevance(own, doc, &mut signals);
        if let Some([before, after, earlier]) = beside {
            let window = [Some(own), before.and_then(place), after.and_then(place)];
            context.neighbours(&window, doc, &mut signals);
            let [_, at_before, at_after] = window;
            let fit = |at: Option<Place>| at.and_then(|at| context.fit(at));
            let fit_before = fit(at_before);
            let was_asked = before.is_some_and(|slot| partition.document(slot).is_some_and(|d| d.is(Mark::Question)));
            let asked = fit_before.filter(|_| was_asked);
            let both = [fit_before, fit(at_after)];
            let beside = both.iter().flatten().sum::<f32>() / 2.0;
            let beside = both.iter().any(Option::is_some).then_some(beside);
            let earlier = fit(earlier.and_then(place));
            for (signal, of) in [(Signal::Asked, asked), (Signal::Earlier, earlier), (Signal::Beside, beside)] {
                if let Some(fit) = of {
                    signals.set(signal, fit);
                }
            }
        }
        if let Some(conversation) = doc.conversation()
            && partition.conversations.get(conversation as usize).is_some_and(|c| c.slots.len() > 1)
        {
            let score = *conversations.entry(conversation).or_insert_with(|| context.conversation(conversation));
            signals.set(Signal::Conversation, score);
        }
        context.nature(doc, &mut signals);
        Some(signals)
    };
    let all = documents.iter().zip(&windows).map(|((slot, doc), beside)| signals_of(*slot, (*doc)?, beside)).collect();
    partition.sheets.give(row_of, needed.into_iter());
    all
}

/// A slot, and its row in the counts and cosines of the context.
#[derive(Clone, Copy)]
struct Place {
    slot: u32,
    row: usize,
}

impl<'a> Context<'a> {
    fn new(partition: &'a Partition, query: &'a SearchQuery<'a>, found: &'a Found) -> Self {
        let vector = query.vector.and_then(|v| normalised(partition.dimensions, v).ok());
        let asked = text::words(query.text);
        let named = partition
            .speakers
            .iter()
            .enumerate()
            .filter(|(_, s)| s.documents > 0 && s.words.first().is_some_and(|first| asked.contains(first)))
            .map(|(at, _)| at as u32)
            .collect();
        let terms_of = |of: &[String]| -> Vec<Vec<Option<u32>>> {
            of.iter().map(|s| partition.analyzer.terms(s).iter().map(|t| partition.words.term(t)).collect()).collect()
        };
        let exact = terms_of(&query.analysis.exact);
        let topics = if query.topics { terms_of(&query.analysis.keywords) } else { Vec::new() };
        let (count, length) = partition.in_conversations;
        let conversation_terms = found
            .terms
            .iter()
            .map(|t| QueryTerm {
                term: t.term,
                idf: idf(count, partition.conversation_df.get(t.term as usize).copied().unwrap_or(0) as usize),
            })
            .collect();
        let conversation_average = if count == 0 { 0.0 } else { (length / count as f64) as f32 };
        Self {
            partition,
            query,
            found,
            vector,
            named,
            exact,
            pairs: pairs_asked(&partition.analyzer, query.text),
            time: query.analysis.time.as_ref().map(Asked::of),
            topics,
            conversation_terms,
            conversation_average,
            counts: Vec::new(),
            cosines: Vec::new(),
            fits: Vec::new(),
        }
    }

    /// How often each term of the question occurs there.
    fn counts(&self, at: Place) -> &[f32] {
        let width = self.found.terms.len();
        self.counts.get(at.row * width..(at.row + 1) * width).unwrap_or(&[])
    }

    /// The cosine with the question.
    fn cosine(&self, at: Place) -> Option<f32> {
        self.cosines.get(at.row).copied().filter(|cosine| !cosine.is_nan())
    }

    /// The document before, the one after and the one two before, where neighbours are context for each other.
    fn beside(&self, doc: &Document) -> Option<[Option<u32>; 3]> {
        let conversation = doc.conversation()?;
        let neighbourly = self.partition.conversations.get(conversation as usize).is_some_and(|c| c.neighbourly());
        neighbourly.then(|| [-1, 1, -2].map(|offset| self.partition.neighbour(conversation, doc.position, offset)))
    }

    /// How well a document fits the question, as a share of the best one's score in words and in vectors: 0 to 1.
    fn fit(&self, at: Place) -> Option<f32> {
        let cell = self.fits.get(at.row)?;
        if cell.get().is_nan() {
            // Below 0 stands for nothing to tell it by.
            cell.set(self.work_out_fit(at).unwrap_or(-1.0));
        }
        Some(cell.get()).filter(|fit| *fit >= 0.0)
    }

    fn work_out_fit(&self, at: Place) -> Option<f32> {
        let words = &self.partition.words;
        let best = self.found.keyword.first().map_or(0.0, |(_, score)| *score);
        let keyword = (best > 1e-6).then(|| {
            let (length, average) = (words.length(at.slot), words.average());
            let params = Bm25Params::default();
            let saturated = |(t, tf): (&QueryTerm, &f32)| t.idf * params.saturate(*tf, length, average);
            (self.found.terms.iter().zip(self.counts(at)).map(saturated).sum::<f32>() / best).min(1.0)
        });
        let vector = match (self.cosine(at), self.found.vector.as_slice()) {
            (Some(cosine), [(_, first), .., (_, last)]) if first - last > 1e-6 => {
                Some(((cosine - last) / (first - last)).clamp(0.0, 1.0))
            }
            _ => None,
        };
        match (keyword, vector) {
            (Some(keyword), Some(vector)) => Some((keyword + vector) / 2.0),
            (one, other) => one.or(other),
        }
    }

    /// Has what lies apart in memory for each document brought near, all of it at once.
    fn fetch(&self, documents: &[(u32, Option<&Document>)]) {
        for doc in documents.iter().filter_map(|(_, doc)| *doc) {
            let pairs = Pairs(self.partition.pairs.get(doc.pairs));
            self.pairs.iter().for_each(|pair| pairs.fetch(*pair));
            if let Some(of) = doc.conversation().and_then(|c| self.partition.conversations.get(c as usize)) {
                prefetch_at(&of.near, doc.position as usize);
                of.fetch();
            }
        }
    }

    /// Words, vector, entities and exact strings of the document itself.
    fn relevance(&self, at: Place, doc: &Document, signals: &mut Signals) {
        let slot = at.slot;
        let words = &self.partition.words;
        if !self.found.terms.is_empty() {
            let (row, length, average) = (self.counts(at), words.length(slot), words.average());
            let score = |params: Bm25Params| -> f32 {
                self.found.terms.iter().zip(row).map(|(t, tf)| t.idf * params.saturate(*tf, length, average)).sum()
            };
            signals.set(Signal::Keyword, score(Bm25Params::default()));
            signals.set(Signal::ClassicKeyword, score(Bm25Params::CLASSIC));
        }
        if let Some(cosine) = self.cosine(at) {
            signals.set(Signal::Vector, cosine);
        }
        if let Some(gain) = self.found.graph.get(&slot) {
            signals.set(Signal::Graph, *gain);
        }
        if !self.found.entities.is_empty() {
            signals.set(Signal::Entity, self.partition.graph.overlap(slot, &self.found.entities));
        }
        let row = self.counts(at);
        // Most of them are terms of the question, whose counts are there.
        let tf = |term: u32| match self.found.terms.binary_search_by_key(&term, |t| t.term) {
            Ok(column) => row.get(column).copied().unwrap_or(0.0),
            Err(_) => words.tf(slot, term),
        };
        let has = |terms: &&Vec<Option<u32>>| !terms.is_empty() && terms.iter().all(|t| t.is_some_and(|t| tf(t) > 0.0));
        for (signal, of) in [(Signal::Exact, &self.exact), (Signal::Topic, &self.topics)] {
            if !of.is_empty() {
                signals.set(signal, of.iter().filter(has).count() as f32 / of.len() as f32);
            }
        }
        if !self.pairs.is_empty() {
            let held = Pairs(self.partition.pairs.get(doc.pairs));
            let there = self.pairs.iter().filter(|pair| held.contains(**pair)).count();
            signals.set(Signal::Phrase, there as f32 / self.pairs.len() as f32);
        }
        if doc.is(Mark::Title) {
            let (terms, title) = (&self.found.terms, self.partition.titles.get(slot));
            let asked = |term: &&u32| terms.binary_search_by_key(*term, |t| t.term).is_ok();
            if !title.is_empty() {
                signals.set(Signal::Title, title.iter().filter(asked).count() as f32 / title.len() as f32);
            }
        }
        if let Some(asked) = &self.time {
            if let Some(at) = doc.said_at() {
                signals.set(Signal::Time, asked.nearness(at));
            }
            if let Some(spoken) = doc.spoken() {
                signals.set(Signal::Spoken, asked.share(spoken));
            }
        }
        match self.query.analysis.asks_for {
            Some(AnswerKind::Name) => signals.set(Signal::Answers, f32::from(u8::from(doc.is(Mark::Name)))),
            Some(AnswerKind::Number) => signals.set(Signal::Answers, f32::from(u8::from(doc.is(Mark::Number)))),
            None => {}
        }
    }

    /// The text of the one before, this one and the one after, as one.
    fn neighbours(&self, window: &[Option<Place>; 3], doc: &Document, signals: &mut Signals) {
        let words = &self.partition.words;
        if !self.found.terms.is_empty() {
            let length: f32 = window.iter().flatten().map(|at| words.length(at.slot)).sum();
            let average = 3.0 * words.average();
            let rows = window.map(|at| at.map_or(&[][..], |at| self.counts(at)));
            let score = self.found.terms.iter().enumerate().map(|(at, t)| {
                let tf: f32 = rows.iter().filter_map(|row| row.get(at)).sum();
                t.idf * Bm25Params::default().saturate(tf, length, average)
            });
            signals.set(Signal::WindowKeyword, score.sum());
        }
        // The cosine with the sum of the three: the sum of the cosines over the length of the sum, for which those of the three
        // with each other are kept.
        let cosines = window.map(|at| at.and_then(|at| self.cosine(at)));
        let there = cosines.iter().flatten().count();
        if there > 0 {
            let near = |offset: u32| {
                let conversation = self.partition.conversations.get(doc.conversation()? as usize)?;
                conversation.near.get((doc.position + offset) as usize).copied()
            };
            let [with_before, _] = near(0).unwrap_or_default();
            let [with_after, across] = near(1).unwrap_or_default();
            let norm = (there as f32 + 2.0 * (with_before + with_after + across)).max(0.0).sqrt();
            if norm > 1e-3 {
                signals.set(Signal::WindowVector, cosines.iter().flatten().sum::<f32>() / norm);
            }
        }
    }

    fn conversation(&self, conversation: u32) -> f32 {
        let Some(of) = self.partition.conversations.get(conversation as usize) else { return 0.0 };
        let score = self.conversation_terms.iter().map(|t| {
            let tf = of.tf(t.term);
            t.idf * Bm25Params::default().saturate(tf, of.length as f32, self.conversation_average)
        });
        score.sum()
    }

    /// What the document is like, whatever is asked.
    fn nature(&self, doc: &Document, signals: &mut Signals) {
        signals.set(Signal::Length, doc.content_words as f32);
        signals.set(Signal::IsQuestion, f32::from(u8::from(doc.is(Mark::Question))));
        signals.set(Signal::FirstPerson, f32::from(u8::from(doc.is(Mark::FirstPerson))));
        signals.set(Signal::Code, f32::from(u8::from(doc.is(Mark::Code))));
        signals.set(Signal::Episodic, f32::from(u8::from(doc.kind == MemoryType::Episodic)));
        signals.set(Signal::TimeCue, f32::from(u8::from(doc.is(Mark::TimeCue))));
        if let Some(speaker) = doc.speaker()
            && !self.named.is_empty()
        {
            signals.set(Signal::Speaker, f32::from(u8::from(self.named.contains(&speaker))));
        }
        match doc.role {
            Some(Role::User) => signals.set(Signal::UserSaid, 1.0),
            Some(Role::Assistant) => signals.set(Signal::UserSaid, 0.0),
            _ => {}
        }
        let age = self.query.now.duration_since(doc.at()).as_secs_f64() / 86_400.0;
        signals.set(Signal::AgeDays, age.max(0.0) as f32);
        signals.set(Signal::AccessCount, doc.access_count as f32);
        if let Some(reliability) = doc.reliability() {
            signals.set(Signal::Reliability, reliability.clamp(0.0, 1.0));
        }
    }
}
