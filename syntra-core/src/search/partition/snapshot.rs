//! A partition as bytes: what reading its texts told and what was computed of its vectors, so that neither is done again.
//!
//! First comes the dictionary (words, names, speakers, conversations), then documents, some at a time. Everything that follows from them
//! (postings, edges, who stands beside whom) is built again, which is quick. Reading trusts nothing: bytes that do not fit together
//! give no partition.

use super::document::Document;
use super::times::Stretch;
use super::wording::Pairs;
use super::{Partition, document};
use crate::chat::Role;
use crate::memory::MemoryType;
use crate::search::IndexDocument;
use crate::search::bm25::Bm25Index;
use crate::search::bytes::{In, Out};
use crate::search::entities::entities_in;
use crate::search::graph::EntityGraph;
use crate::search::text::TextAnalyzer;
use jiff::Timestamp;
use rustc_hash::FxHasher;
use std::hash::Hasher as _;
use std::sync::Arc;

/// Documents in one part.
const IN_A_PART: usize = 2_048;
/// Stands for none.
const NONE: u32 = u32::MAX;
const ROLES: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];

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
    /// Hands `write` the partition in parts, to be given to [`Partition::restore`] in that order.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) fn save<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut out = Out::default();
        out.u32(self.dimensions as u32);
        out.u64(self.len() as u64);
        for dictionary in [self.words.dictionary().collect::<Vec<_>>(), self.graph.dictionary().collect()] {
            out.u32(dictionary.len() as u32);
            // What is free is an empty text.
            dictionary.into_iter().for_each(|word| out.text(word.unwrap_or("")));
        }
        out.u32(self.speakers.len() as u32);
        self.speakers.iter().for_each(|speaker| out.text(&speaker.name));
        let mut names = vec![""; self.conversations.len()];
        for (name, at) in &self.conversation_ids {
            if let Some(place) = names.get_mut(*at as usize) {
                *place = name;
            }
        }
        out.u32(names.len() as u32);
        names.into_iter().for_each(|name| out.text(name));
        write(&out.0)?;

        let live: Vec<(u32, &Document)> =
            (0u32..).zip(&self.slots).filter_map(|(slot, doc)| Some((slot, doc.as_ref()?))).collect();
        for part in live.chunks(IN_A_PART) {
            out.0.clear();
            out.u32(part.len() as u32);
            for (slot, doc) in part {
                self.save_one(*slot, doc, &mut out);
            }
            write(&out.0)?;
        }
        Ok(())
    }

    fn save_one(&self, slot: u32, doc: &Document, out: &mut Out) {
        let vector = self.vectors.get(slot).is_some();
        let flags = [
            doc.is_question,
            doc.time_cue,
            doc.is_code,
            doc.first_person,
            doc.has_name,
            doc.has_number,
            self.graph.is_titled(slot),
            doc.said_at.is_some(),
            doc.reliability.is_some(),
            doc.spoken.is_some(),
            vector,
        ];
        out.u32(flags.iter().enumerate().fold(0, |all, (bit, set)| all | u32::from(*set) << bit));
        out.text(&doc.id);
        out.u8(MemoryType::ALL.iter().position(|kind| *kind == doc.kind).unwrap_or(0) as u8);
        out.u8(ROLES.iter().position(|role| Some(*role) == doc.role).map_or(u8::MAX, |at| at as u8));
        out.u32(doc.speaker.unwrap_or(NONE));
        out.u32(doc.conversation.unwrap_or(NONE));
        out.u32(doc.position);
        for at in [doc.said_at.unwrap_or(doc.created_at), doc.created_at] {
            out.u64(at.as_second().cast_unsigned());
            out.u32(at.subsec_nanosecond().cast_unsigned());
        }
        out.f32(doc.reliability.unwrap_or(0.0));
        out.u64(doc.access_count);
        out.u32(doc.content_words);
        doc.spoken.map_or([0.0; 2], Stretch::ends).into_iter().for_each(|end| out.f64(end));
        out.list(doc.pairs.table().iter().map(|pair| pair.to_le_bytes()));
        out.list(doc.title.iter().map(|term| term.to_le_bytes()));
        out.f32(self.words.length(slot));
        let pair = |(term, tf): &(u32, f32)| (u64::from(*term) << 32 | u64::from(tf.to_bits())).to_le_bytes();
        out.list(self.words.terms_of(slot).iter().map(pair));
        out.list(self.graph.entities_of(slot).iter().map(|entity| entity.to_le_bytes()));
        if vector {
            self.vectors.save(slot, out);
        }
    }

    /// The partition of parts that [`Partition::save`] handed out; `part` gives the next of them, `None` at the end. `None` where they
    /// do not fit together or are of vectors of another length.
    pub(crate) fn restore(
        dimensions: usize,
        graph_from: usize,
        mut part: impl FnMut() -> Option<Vec<u8>>,
    ) -> Option<Self> {
        let head = part()?;
        let mut head = In(&head);
        if head.u32()? as usize != dimensions {
            return None;
        }
        let documents = usize::try_from(head.u64()?).ok()?;
        let mut partition = Self::with_graph_from(dimensions, graph_from);
        partition.words = Bm25Index::with_dictionary(dictionary(&mut head)?);
        partition.graph = EntityGraph::with_dictionary(dictionary(&mut head)?);
        let speakers = dictionary(&mut head)?;
        // Places in conversations, filled when all documents are there.
        let mut places: Vec<(u32, u32, u32)> = Vec::new();
        for name in dictionary(&mut head)? {
            partition.conversation(name.as_deref().unwrap_or(""));
        }
        let conversations = partition.conversations.len() as u32;
        let mut newest = Vec::new();
        // A wrong number must not take all memory.
        partition.vectors.flat_mut().reserve(documents.min(1 << 22));
        while partition.by_id.len() < documents {
            let bytes = part()?;
            let mut bytes = In(&bytes);
            let count = bytes.u32()?;
            if count == 0 {
                return None;
            }
            for _ in 0..count {
                let slot = partition.slots.len() as u32;
                let (doc, position) = partition.restore_one(slot, &speakers, &mut bytes)?;
                if let Some(conversation) = doc.conversation {
                    if conversation >= conversations {
                        return None;
                    }
                    places.push((conversation, position, slot));
                }
                newest.push((doc.at(), slot));
                if partition.by_id.insert(Arc::clone(&doc.id), slot).is_some() {
                    return None;
                }
                partition.slots.push(Some(doc));
            }
        }
        places.sort_unstable();
        for (conversation, _, slot) in places {
            let role = partition.document(slot)?.role;
            partition.join(conversation, slot, None, role);
        }
        let is_profile = |slot: u32| partition.document(slot).is_some_and(|doc| doc.kind == MemoryType::Profile);
        partition.profile = newest.iter().copied().filter(|(_, slot)| is_profile(*slot)).collect();
        partition.newest = newest.into_iter().collect();
        partition.vectors.restored();
        Some(partition)
    }

    fn restore_one(&mut self, slot: u32, speakers: &[Option<Arc<str>>], bytes: &mut In<'_>) -> Option<(Document, u32)> {
        let flags = bytes.u32()?;
        let mut bit = 0u32;
        let mut flag = || {
            bit += 1;
            flags >> (bit - 1) & 1 == 1
        };
        let (is_question, time_cue, is_code) = (flag(), flag(), flag());
        let (first_person, has_name, has_number) = (flag(), flag(), flag());
        let (titled, has_time, has_reliability, has_spoken, has_vector) = (flag(), flag(), flag(), flag(), flag());
        let id: Arc<str> = bytes.text()?.into();
        let kind = *MemoryType::ALL.get(usize::from(bytes.u8()?))?;
        let role = match bytes.u8()? {
            u8::MAX => None,
            at => Some(*ROLES.get(usize::from(at))?),
        };
        let speaker = match bytes.u32()? {
            NONE => None,
            at => Some(self.speaker(speakers.get(at as usize)?.as_deref()?)),
        };
        let conversation = Some(bytes.u32()?).filter(|at| *at != NONE);
        let position = bytes.u32()?;
        let mut time = || Timestamp::new(bytes.u64()?.cast_signed(), bytes.u32()?.cast_signed()).ok();
        let (said_at, created_at) = (time()?, time()?);
        let reliability = Some(bytes.f32()?).filter(|_| has_reliability);
        let (access_count, content_words) = (bytes.u64()?, bytes.u32()?);
        let spoken = Some(Stretch::between([bytes.f64()?, bytes.f64()?])).filter(|_| has_spoken);
        let pairs = Pairs::with_table(bytes.list()?.iter().map(|pair| u16::from_le_bytes(*pair)).collect())?;
        let title = bytes.list()?.iter().map(|term| u32::from_le_bytes(*term)).collect();
        let length = bytes.f32()?;
        let pair = |pair: &[u8; 8]| {
            let pair = u64::from_le_bytes(*pair);
            ((pair >> 32) as u32, f32::from_bits(pair as u32))
        };
        self.words.restore(slot, bytes.list()?.iter().map(pair).collect(), length)?;
        let entities: Vec<u32> = bytes.list()?.iter().map(|entity| u32::from_le_bytes(*entity)).collect();
        self.graph.restore(slot, &entities, titled)?;
        if has_vector {
            self.vectors.flat_mut().restore(slot, bytes)?;
        }
        let doc = Document {
            id,
            kind,
            role,
            speaker,
            conversation,
            position: 0,
            said_at: Some(said_at).filter(|_| has_time),
            created_at,
            reliability,
            access_count,
            content_words,
            is_question,
            time_cue,
            is_code,
            first_person,
            has_name,
            has_number,
            spoken,
            pairs,
            title,
        };
        Some((doc, position))
    }
}

fn dictionary(bytes: &mut In<'_>) -> Option<Vec<Option<Arc<str>>>> {
    let count = bytes.u32()?;
    // No text takes less than the four bytes of its length.
    let mut texts = Vec::with_capacity((count as usize).min(bytes.0.len() / 4));
    for _ in 0..count {
        let text = bytes.text()?;
        texts.push((!text.is_empty()).then(|| Arc::from(text)));
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::QueryAnalysis;
    use crate::search::{Filter, SearchQuery, Strategy};
    use std::convert::Infallible;

    fn saved(partition: &Partition) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        let Ok(()) = partition.save(|part| {
            parts.push(part.to_vec());
            Ok::<(), Infallible>(())
        });
        parts
    }

    fn restored(parts: &[Vec<u8>]) -> Option<Partition> {
        let mut parts = parts.iter().cloned();
        Partition::restore(4, usize::MAX, || parts.next())
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
                    role: ROLES.get(usize::from(kind % 6)).copied(),
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
            // Cut short it is nothing, and no panic.
            let mut bytes = parts.clone();
            if let Some(last) = bytes.last_mut().filter(|last| cut < last.len()) {
                last.truncate(cut);
                proptest::prop_assert!(restored(&bytes).is_none());
            }
            proptest::prop_assert!(before.is_empty() || restored(&parts[..1]).is_none_or(|p| p.is_empty()));
        }

        #[test]
        fn damaged_bytes_never_panic(texts in proptest::collection::vec(("[a-d ]{1,8}", 0u8..64), 1..6), at in 0usize..3_000, byte: u8) {
            let mut parts = saved(&filled(&texts));
            let mut at = at;
            for part in &mut parts {
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
