//! A partition as bytes: what reading its texts told and what was computed of its vectors, so that neither is done again.
//!
//! It lies in the file as it lies in memory, column by column, so that to read it is to copy it. Postings and edges follow from what each document
//! has and are made again, which is quick; tables of ids and names when they are first asked for. Reading trusts nothing: bytes that do
//! not fit together give no partition.

use super::conversation::Conversation;
use super::document::{Document, Mark};
use super::newest::Newest;
use super::wording::Pairs;
use super::{Partition, Speaker, document};
use crate::chat::Role;
use crate::memory::MemoryType;
use crate::search::bm25::Bm25Index;
use crate::search::bytes::{ColumnsIn, ColumnsOut};
use crate::search::dictionary::Dictionary;
use crate::search::entities::entities_in;
use crate::search::graph::EntityGraph;
use crate::search::lists::{Arena, Lists};
use crate::search::text::{self, TextAnalyzer};
use crate::search::{FlatIndex, IndexDocument, VectorIndex as _};
use jiff::Timestamp;
use rustc_hash::FxHasher;
use std::hash::Hasher as _;

/// What this version of the library reads out of texts, as a number: a snapshot of another one is not used. It is of a text that has
/// something of everything, so that a change of the analysis changes it.
pub(crate) fn fingerprint() -> u64 {
    const PROBE: &str = "When did Jane Roe's dogs paint 3 sunrises yesterday? I told her: \"parseHttpHeader\" fails, twice!\n\
        Wir sahen die Häuser am 7. Mai 2023. L'école était fermée. Мы читали книги. 東京都に行った。 ελληνικά पढ़ना";
    let doc = IndexDocument {
        id: "probe",
        kind: MemoryType::Episodic,
        text: PROBE,
        title: Some("The Lake Houses of Oslo"),
        speaker: Some("Ada Lovelace"),
        role: Some(Role::User),
        conversation: None,
        said_at: Some(Timestamp::UNIX_EPOCH),
        created_at: Timestamp::UNIX_EPOCH,
        reliability: None,
        access_count: 0,
        vector: None,
    };
    let reading = document::read(&TextAnalyzer::default(), &doc);
    let mut hasher = FxHasher::default();
    hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.write(format!("{reading:?}").as_bytes());
    hasher.write(format!("{:?}", entities_in(PROBE)).as_bytes());
    hasher.finish()
}

impl Partition {
    /// Hands `write` all but the vectors in parts, to be given to [`Partition::restore`] in that order.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) fn save<E>(&self, write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut out = ColumnsOut::new(write);
        out.number(self.dimensions as u64)?;
        out.column(self.slots.iter().map(Document::written))?;
        self.ids.save(&mut out)?;
        self.pairs.save(&mut out, |pair| pair.to_le_bytes())?;
        self.titles.save(&mut out, |term| term.to_le_bytes())?;
        self.words.save(&mut out)?;
        self.graph.save(&mut out)?;
        self.save_conversations(&mut out)?;
        out.number(self.speakers.len() as u64)?;
        for speaker in &self.speakers {
            out.bytes(speaker.name.as_bytes())?;
            out.number(u64::from(speaker.documents))?;
        }
        Ok(())
    }

    /// As [`Partition::save`], for the vectors, which are most of it: whoever reads may read both at once.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) fn save_vectors<E>(&self, write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.vectors.flat().save(&mut ColumnsOut::new(write))
    }

    /// Has searches of very many vectors look at a part of them, see [`FlatIndex::arrange`]; before it is saved and shared.
    pub(crate) fn arrange(&mut self) {
        self.vectors.arrange();
    }

    /// The partition of parts that [`Partition::save`] handed out, without vectors, which [`Partition::with_vectors`] adds; `part` puts the
    /// next of them into a buffer, and all of them have `bytes` bytes. `None` where they do not fit together or are of vectors of another
    /// length.
    pub(crate) fn restore(
        dimensions: usize,
        graph_from: usize,
        part: impl FnMut(&mut Vec<u8>) -> Option<()>,
        bytes: u64,
    ) -> Option<Self> {
        let mut from = ColumnsIn::new(part, bytes);
        if from.number()? != dimensions as u64 {
            return None;
        }
        let mut partition = Self::with_graph_from(dimensions, graph_from);
        partition.slots = from.column_of(Document::read)?;
        partition.ids = Dictionary::restore(&mut from)?;
        let live = |slot: u32| partition.slots.get(slot as usize).is_some_and(|doc| doc.is(Mark::Live));
        let (slots, ids) = (partition.slots.len(), &partition.ids);
        if ids.numbers() != slots || (0..slots as u32).any(|slot| live(slot) != ids.text(slot).is_some()) {
            return None;
        }
        partition.pairs = Arena::restore(&mut from, |pair| u16::from_le_bytes(*pair))?;
        let sound = |doc: &Document| Pairs(partition.pairs.get(doc.pairs)).is_sound();
        if !partition.slots.iter().all(sound) {
            return None;
        }
        partition.titles = Lists::restore(&mut from, |term| u32::from_le_bytes(*term))?;
        partition.words = Bm25Index::restore(&mut from, live)?;
        partition.graph = EntityGraph::restore(&mut from, live)?;
        partition.restore_conversations(&mut from)?;
        for _ in 0..from.number()? {
            let name = String::from_utf8(from.bytes()?).ok()?;
            let documents = u32::try_from(from.number()?).ok()?;
            let words = text::words(&name);
            partition.speakers.push(Speaker { name: name.into(), words, documents });
        }
        let speakers = partition.speakers.len();
        let mut newest = Vec::with_capacity(slots);
        let mut profile = Vec::new();
        for (slot, doc) in (0u32..).zip(&partition.slots).filter(|(_, doc)| doc.is(Mark::Live)) {
            if doc.speaker().is_some_and(|speaker| speaker as usize >= speakers) {
                return None;
            }
            newest.push((doc.at(), slot));
            if doc.kind == MemoryType::Profile {
                profile.push((doc.at(), slot));
            }
        }
        partition.newest = Newest::of(newest);
        partition.profile = Newest::of(profile);
        Some(partition)
    }

    /// The vectors of parts that [`Partition::save_vectors`] handed out, see [`Partition::restore`].
    pub(crate) fn restore_vectors(
        dimensions: usize,
        part: impl FnMut(&mut Vec<u8>) -> Option<()>,
        bytes: u64,
    ) -> Option<FlatIndex> {
        FlatIndex::restore(dimensions, &mut ColumnsIn::new(part, bytes))
    }

    /// With the vectors that were saved with it; `None` where they are of other slots.
    pub(crate) fn with_vectors(mut self, vectors: FlatIndex) -> Option<Self> {
        if vectors.dimensions() != self.dimensions || vectors.keys().iter().any(|slot| self.document(*slot).is_none()) {
            return None;
        }
        self.vectors.restored(vectors);
        Some(self)
    }

    fn save_conversations<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        let all = &self.conversations;
        self.conversation_ids.save(out)?;
        let counts: Vec<u32> = all.iter().flat_map(|of| [of.slots.len() as u32, of.terms.len() as u32]).collect();
        out.numbers(&counts)?;
        out.numbers(&all.iter().flat_map(|of| of.slots.iter().copied()).collect::<Vec<_>>())?;
        out.floats(&all.iter().flat_map(|of| of.near.iter().flatten().copied()).collect::<Vec<_>>())?;
        let terms: Vec<(u32, f32)> = all.iter().flat_map(|of| of.terms.iter().copied()).collect();
        out.numbers(&terms.iter().map(|(term, _)| *term).collect::<Vec<_>>())?;
        out.floats(&terms.iter().map(|(_, tf)| *tf).collect::<Vec<_>>())
    }

    fn restore_conversations<R: FnMut(&mut Vec<u8>) -> Option<()>>(&mut self, from: &mut ColumnsIn<R>) -> Option<()> {
        self.conversation_ids = Dictionary::restore(from)?;
        let counts = from.numbers()?;
        let (slots, near, terms, tfs) = (from.numbers()?, from.floats()?, from.numbers()?, from.floats()?);
        let (counts, rest) = counts.as_chunks::<2>();
        if !rest.is_empty() || counts.len() != self.conversation_ids.numbers() {
            return None;
        }
        let (mut slots, mut near) = (slots.as_slice(), near.as_chunks::<2>().0);
        let (mut terms, mut tfs) = (terms.as_slice(), tfs.as_slice());
        for (number, [members, words]) in (0u32..).zip(counts) {
            let (members, words) = (*members as usize, *words as usize);
            let mut of = Conversation {
                slots: slots.split_off(..members)?.to_vec(),
                near: near.split_off(..members)?.to_vec(),
                terms: terms.split_off(..words)?.iter().copied().zip(tfs.split_off(..words)?.iter().copied()).collect(),
                ..Conversation::default()
            };
            for (position, slot) in of.slots.iter().enumerate() {
                let doc = self.document(*slot)?;
                if doc.conversation() != Some(number) || doc.position as usize != position {
                    return None;
                }
                of.length += f64::from(self.words.length(*slot));
                of.assistant += u32::from(doc.role == Some(Role::Assistant));
            }
            if !of.terms.is_sorted_by(|a, b| a.0 < b.0) {
                return None;
            }
            for (term, _) in &of.terms {
                let at = *term as usize;
                self.conversation_df.resize(self.conversation_df.len().max(at + 1), 0);
                *self.conversation_df.get_mut(at)? += 1;
            }
            self.in_conversations.0 += usize::from(!of.slots.is_empty());
            self.in_conversations.1 += of.length;
            self.conversations.push(of);
        }
        // Each document of a conversation is in it.
        let members: usize = self.conversations.iter().map(|of| of.slots.len()).sum();
        let claimed = self.slots.iter().filter(|doc| doc.conversation().is_some()).count();
        (members == claimed).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::QueryAnalysis;
    use crate::search::{Filter, SearchQuery, Strategy};
    use std::convert::Infallible;

    type Parts = Vec<Vec<u8>>;

    fn saved(partition: &Partition) -> [Parts; 2] {
        let (mut parts, mut vectors) = (Vec::new(), Vec::new());
        let put = |parts: &mut Parts, part: &[u8]| {
            parts.push(part.to_vec());
            Ok::<(), Infallible>(())
        };
        let Ok(()) = partition.save(|part| put(&mut parts, part));
        let Ok(()) = partition.save_vectors(|part| put(&mut vectors, part));
        [parts, vectors]
    }

    fn restored([parts, vectors]: &[Parts; 2]) -> Option<Partition> {
        let (mut parts, mut vectors) = (parts.iter().cloned(), vectors.iter().cloned());
        let vectors = Partition::restore_vectors(4, |buffer| vectors.next().map(|part| *buffer = part), 1 << 20)?;
        let partition = Partition::restore(4, usize::MAX, |buffer| parts.next().map(|part| *buffer = part), 1 << 20)?;
        partition.with_vectors(vectors)
    }

    fn filled(texts: &[(String, u8)]) -> Partition {
        let mut partition = Partition::new(4);
        for (at, (text, kind)) in texts.iter().enumerate() {
            let conversation = format!("c{}", kind % 3);
            let vector = [1.0, f32::from(*kind), at as f32, 0.5];
            partition
                .upsert(&IndexDocument {
                    id: &format!("m{at}"),
                    kind: MemoryType::ALL[usize::from(kind % 4)],
                    text,
                    title: (kind % 5 == 0).then_some("Jane Roe"),
                    speaker: (kind % 2 == 0).then_some("Ada Lovelace"),
                    role: [Role::System, Role::User, Role::Assistant, Role::Tool].get(usize::from(kind % 6)).copied(),
                    conversation: (kind % 7 != 0).then_some(conversation.as_str()),
                    said_at: (kind % 4 != 0).then(|| Timestamp::new(i64::from(*kind) * 86_400, 17).unwrap()),
                    created_at: Timestamp::new(at as i64, 0).unwrap(),
                    reliability: (kind % 3 == 0).then_some(0.25),
                    access_count: u64::from(*kind),
                    vector: (kind % 8 != 7).then_some(&vector),
                })
                .unwrap();
        }
        partition
    }

    proptest::proptest! {
        #[test]
        fn what_is_restored_answers_as_what_was_saved(
            texts in proptest::collection::vec(("(I|Jane Roe|painted|Oslo|the lake| yesterday|7 boats|parseHeader|[a-d]{1,3}| ){1,8}", 0u8..64), 1..40),
            gone in proptest::collection::vec(0usize..40, 0..6),
            cut in 0usize..4_000,
        ) {
            let mut before = filled(&texts);
            for at in gone {
                before.remove(&format!("m{at}"));
            }
            let parts = saved(&before);
            let mut after = restored(&parts).unwrap();
            let (analysis, filter) = (QueryAnalysis::default(), Filter::default());
            let strategies = Strategy::ALL.map(|strategy| (strategy, 50));
            let same = |before: &Partition, after: &Partition| {
                for text in ["Who painted the lake in Oslo?", "Jane Roe yesterday", "a b"] {
                    let query = SearchQuery {
                        text, analysis: &analysis, vector: Some(&[1.0, 2.0, 3.0, 0.5]), filter: &filter,
                        now: Timestamp::new(9_000_000, 0).unwrap(), limit: 50, topics: true,
                    };
                    let of = |partition: &Partition| {
                        let (_, mut found) = partition.gather(&strategies, &query, 400, &|| std::time::Duration::ZERO);
                        found.sort_by(|a, b| a.id.cmp(&b.id));
                        found
                    };
                    proptest::prop_assert_eq!(of(before), of(after));
                    proptest::prop_assert_eq!(before.entities(&query), after.entities(&query));
                }
                proptest::prop_assert_eq!(before.speakers(), after.speakers());
                Ok(())
            };
            same(&before, &after)?;
            // It goes on from there as the other does.
            for partition in [&mut before, &mut after] {
                let ids: Vec<String> = (0..3).map(|at| format!("m{at}")).collect();
                partition.remove(&ids[0]);
                partition.upsert(&IndexDocument {
                    id: &ids[1], kind: MemoryType::Episodic, text: "Jane Roe painted the sky", title: None, speaker: None, role: None,
                    conversation: Some("c1"), said_at: None, created_at: Timestamp::UNIX_EPOCH, reliability: None, access_count: 0,
                    vector: Some(&[0.5, 0.5, 0.5, 0.5]),
                }).unwrap();
            }
            same(&before, &after)?;
            // Cut short, or with a part missing, it is nothing, and no panic.
            for of in 0..2 {
                let mut cut_short = parts.clone();
                let count = cut_short[of].len();
                let part = &mut cut_short[of][cut % count];
                if part.pop().is_some() {
                    proptest::prop_assert!(restored(&cut_short).is_none());
                }
                let mut missing = parts.clone();
                missing[of].remove(cut % count);
                proptest::prop_assert!(restored(&missing).is_none());
            }
        }

        #[test]
        fn damaged_bytes_never_panic(texts in proptest::collection::vec(("[a-d ]{1,8}", 0u8..64), 1..6), at in 0usize..3_000, byte: u8) {
            let mut parts = saved(&filled(&texts));
            let mut at = at;
            for part in parts.iter_mut().flatten() {
                if let Some(place) = part.get_mut(at) {
                    *place = byte;
                    break;
                }
                at -= part.len().min(at);
            }
            restored(&parts);
        }
    }
}
