//! Which documents name the same things: a graph of documents and entities, walked one or two explicit hops.

use super::bytes::{ColumnsIn, ColumnsOut};
use super::dictionary::Dictionary;
use super::entities::{entities_in, entity_key};
use super::lists::Lists;
use rustc_hash::FxHashMap;

/// Entities in more documents than this, or in more than one in `SHARE`, say nothing about one of them.
const MOST_DOCUMENTS: usize = 30;
const SHARE: usize = 20;
/// What of a seed's score one hop hands on: `GAMMA * score / ln(2 + df)`.
const GAMMA: f32 = 0.8;
/// The share of that where neither document has the entity as its title, but one of them has a title that others mention.
const UNTITLED: f32 = 0.3;
/// The same where neither has: turns of a conversation, code and papers mention names in passing.
const IN_PASSING: f32 = 0.1;
/// Both, in a collection of documents about named things, such as an encyclopedia: where one titled document in ten has a title
/// that another one mentions. What has fewer of them is in between.
const AMONG_NAMED: f32 = 0.5;
const NAMED_SHARE: f32 = 0.1;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    slot: u32,
    titled: bool,
}

/// Documents (by slot) and the entities they name.
#[derive(Debug, Default)]
pub(crate) struct EntityGraph {
    names: Dictionary,
    edges: Vec<Vec<Edge>>,
    /// What each document names, its title first.
    forward: Lists<u32>,
    /// Whether the document of a slot has a title.
    has_title: Vec<bool>,
    /// Of how many documents an entity is the title.
    titles: Vec<u32>,
    documents: usize,
    /// How many documents have a title, and how many of these one that another document mentions.
    titled: usize,
    named: usize,
}

impl EntityGraph {
    /// In how many documents an entity may be and still say something about one of them.
    fn most_documents(&self) -> usize {
        (self.documents / SHARE).clamp(2, MOST_DOCUMENTS)
    }

    /// How much a document's naming an entity counts where neither it nor the one it leads to has it as a title: where one of
    /// their titles is mentioned by others, and where not.
    fn shares(&self) -> (f32, f32) {
        let among = (self.named as f32 / (NAMED_SHARE * self.titled.max(1) as f32)).min(1.0);
        let share = |least: f32| least + (AMONG_NAMED - least) * among;
        (share(UNTITLED), share(IN_PASSING))
    }

    /// How many documents have this entity as a title that another document mentions.
    fn named_by(&self, entity: u32) -> usize {
        let titles = self.titles.get(entity as usize).copied().unwrap_or(0) as usize;
        let mentioned = self.edges.get(entity as usize).is_some_and(|list| list.len() > titles);
        if mentioned { titles } else { 0 }
    }

    /// Adds the entities of a document to an empty slot.
    pub(crate) fn insert(&mut self, slot: u32, text: &str, title: Option<&str>) {
        let mut entities: Vec<(u32, bool)> = Vec::new();
        if let Some(title) = title {
            let key = entity_key(title);
            if !key.is_empty() {
                entities.push((self.intern(&key), true));
            }
        }
        for key in entities_in(text) {
            let entity = self.intern(&key);
            if !entities.iter().any(|(e, _)| *e == entity) {
                entities.push((entity, false));
            }
        }
        self.place(slot, &entities);
    }

    /// Writes what [`EntityGraph::restore`] reads.
    pub(crate) fn save<E, W: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut ColumnsOut<W>) -> Result<(), E> {
        self.names.save(out)?;
        self.forward.save(out, |entity| entity.to_le_bytes())?;
        out.column(self.has_title.iter().map(|titled| [u8::from(*titled)]))
    }

    /// The graph that [`EntityGraph::save`] wrote; `is_live` says which slots are in use. Edges are made anew from what each document names.
    pub(crate) fn restore<R: FnMut(&mut Vec<u8>) -> Option<()>>(
        from: &mut ColumnsIn<R>,
        is_live: impl Fn(u32) -> bool,
    ) -> Option<Self> {
        let names = Dictionary::restore(from)?;
        let forward: Lists<u32> = Lists::restore(from, |entity| u32::from_le_bytes(*entity))?;
        let has_title = from.column(|[titled]| *titled != 0)?;
        let mut graph = Self {
            edges: vec![Vec::new(); names.numbers()],
            titles: vec![0; names.numbers()],
            names,
            has_title,
            ..Self::default()
        };
        for slot in 0..graph.has_title.len() as u32 {
            let (entities, titled) = (forward.get(slot), graph.has_title.get(slot as usize) == Some(&true));
            let twice = |(at, entity): (usize, &u32)| entities.get(..at).is_some_and(|before| before.contains(entity));
            if !is_live(slot) {
                if !entities.is_empty() || titled {
                    return None;
                }
                continue;
            }
            if entities.iter().enumerate().any(twice) || (titled && entities.is_empty()) {
                return None;
            }
            graph.documents += 1;
            for (at, entity) in entities.iter().enumerate() {
                let titled = titled && at == 0;
                graph.edges.get_mut(*entity as usize)?.push(Edge { slot, titled });
                *graph.titles.get_mut(*entity as usize)? += u32::from(titled);
                graph.titled += usize::from(titled);
            }
        }
        if (0u32..).zip(&graph.edges).any(|(entity, list)| !list.is_empty() && graph.names.text(entity).is_none()) {
            return None;
        }
        graph.named = (0..graph.edges.len() as u32).map(|entity| graph.named_by(entity)).sum();
        graph.forward = forward;
        Some(graph)
    }

    fn place(&mut self, slot: u32, entities: &[(u32, bool)]) {
        for &(entity, titled) in entities {
            self.named -= self.named_by(entity);
            if let Some(list) = self.edges.get_mut(entity as usize) {
                let at = list.partition_point(|e| e.slot < slot);
                list.insert(at, Edge { slot, titled });
            }
            if let Some(titles) = self.titles.get_mut(entity as usize) {
                *titles += u32::from(titled);
            }
            self.titled += usize::from(titled);
            self.named += self.named_by(entity);
        }
        self.documents += 1;
        let place = slot as usize;
        if self.has_title.len() <= place {
            self.has_title.resize(place + 1, false);
        }
        if let Some(has_title) = self.has_title.get_mut(place) {
            *has_title = entities.iter().any(|(_, titled)| *titled);
        }
        self.forward.set(slot, &entities.iter().map(|(e, _)| *e).collect::<Vec<_>>());
    }

    /// Takes a document out.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(has_title) = self.has_title.get_mut(slot as usize) else { return };
        *has_title = false;
        let forward = self.forward.take(slot);
        self.documents = self.documents.saturating_sub(1);
        for &entity in &forward {
            self.named -= self.named_by(entity);
            let Some(list) = self.edges.get_mut(entity as usize) else { continue };
            if let Ok(at) = list.binary_search_by_key(&slot, |e| e.slot)
                && list.remove(at).titled
                && let Some(titles) = self.titles.get_mut(entity as usize)
            {
                *titles -= 1;
                self.titled -= 1;
            }
            self.named += self.named_by(entity);
            let Some(list) = self.edges.get_mut(entity as usize) else { continue };
            if list.is_empty() {
                *list = Vec::new();
                self.names.remove(entity);
            }
        }
    }

    fn intern(&mut self, key: &str) -> u32 {
        let entity = self.names.intern(key);
        if self.edges.len() < self.names.numbers() {
            self.edges.resize_with(self.names.numbers(), Vec::new);
            self.titles.resize(self.names.numbers(), 0);
        }
        entity
    }

    /// The entities of a question that some document names.
    pub(crate) fn named(&self, names: &[String], text: &str) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        for key in names.iter().map(|name| entity_key(name)).chain(entities_in(text)) {
            if let Some(entity) = self.names.number(&key)
                && !found.contains(&entity)
            {
                found.push(entity);
            }
        }
        found
    }

    /// The key of an entity.
    pub(crate) fn name(&self, entity: u32) -> Option<&str> {
        self.names.text(entity)
    }

    /// The documents that name an entity, and whether it is their title.
    pub(crate) fn documents(&self, entity: u32) -> impl Iterator<Item = (u32, bool)> + '_ {
        self.edges.get(entity as usize).into_iter().flatten().map(|edge| (edge.slot, edge.titled))
    }

    /// The entities that a document names.
    pub(crate) fn entities_of(&self, slot: u32) -> &[u32] {
        self.forward.get(slot)
    }

    /// The share of `entities` that the document names.
    pub(crate) fn overlap(&self, slot: u32, entities: &[u32]) -> f32 {
        if entities.is_empty() {
            return 0.0;
        }
        let of = self.forward.get(slot);
        entities.iter().filter(|e| of.contains(e)).count() as f32 / entities.len() as f32
    }

    /// Whether the title of the document is a name that another one mentions.
    fn is_named(&self, slot: u32) -> bool {
        let at = slot as usize;
        // The title is the first of a document's entities.
        let title = if self.has_title.get(at) == Some(&true) { self.forward.get(slot).first() } else { None };
        title.is_some_and(|entity| self.named_by(*entity) > 0)
    }

    /// What documents gain by sharing an entity with a seed (slot and score), best seed first: for each shared entity
    /// `GAMMA * score / ln(2 + df)`, and less of it where the entity is neither document's title.
    pub(crate) fn hop(&self, seeds: &[(u32, f32)]) -> FxHashMap<u32, f32> {
        let most = self.most_documents();
        let (untitled, in_passing) = self.shares();
        let mut gains: FxHashMap<u32, f32> = FxHashMap::default();
        for &(seed, score) in seeds {
            for &entity in self.forward.get(seed) {
                let Some(list) = self.edges.get(entity as usize) else { continue };
                if list.len() < 2 || list.len() > most {
                    continue;
                }
                let gain = GAMMA * score / (2.0 + list.len() as f32).ln();
                let seed_titled = list.iter().any(|e| e.slot == seed && e.titled);
                for edge in list.iter().filter(|e| e.slot != seed) {
                    let share = if seed_titled || edge.titled {
                        1.0
                    } else if self.is_named(seed) || self.is_named(edge.slot) {
                        untitled
                    } else {
                        in_passing
                    };
                    let held = gains.entry(edge.slot).or_insert(0.0);
                    *held = held.max(gain * share);
                }
            }
        }
        gains
    }

    /// Documents that name one of `entities`, the rarer the more.
    pub(crate) fn naming(&self, entities: &[u32]) -> FxHashMap<u32, f32> {
        let most = self.most_documents();
        let (untitled, in_passing) = self.shares();
        let mut gains: FxHashMap<u32, f32> = FxHashMap::default();
        for entity in entities {
            let Some(list) = self.edges.get(*entity as usize) else { continue };
            if list.len() > most {
                continue;
            }
            let gain = GAMMA / (2.0 + list.len() as f32).ln();
            for edge in list {
                *gains.entry(edge.slot).or_insert(0.0) += gain
                    * match edge.titled {
                        true => 1.0,
                        false if self.is_named(edge.slot) => untitled,
                        false => in_passing,
                    };
            }
        }
        gains
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let edges: usize = self.edges.iter().map(|e| e.capacity() * 8 + 24).sum();
        self.names.memory_bytes()
            + edges
            + self.forward.memory_bytes()
            + self.has_title.capacity()
            + self.titles.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hop_reaches_what_shares_a_name() {
        let mut graph = EntityGraph::default();
        graph.insert(0, "The film was made by Jane Roe.", Some("Red Door"));
        graph.insert(1, "Jane Roe was born in Oslo.", Some("Jane Roe"));
        graph.insert(2, "Nothing to see here.", Some("Elsewhere"));
        let gains = graph.hop(&[(0, 1.0)]);
        assert!((gains[&1] - 0.8 / 4f32.ln()).abs() < 1e-6, "{gains:?}");
        assert!(!gains.contains_key(&2));
        graph.remove(1);
        assert!(graph.hop(&[(0, 1.0)]).is_empty());
    }

    #[test]
    fn names_count_more_among_documents_about_named_things() {
        let mut graph = EntityGraph::default();
        // Two papers that happen to name the same hospital: in passing.
        graph.insert(0, "Patients of Saint Olaf were asked.", Some("Sleep and age"));
        graph.insert(1, "Samples came from Saint Olaf too.", Some("Iron in blood"));
        let passing = graph.hop(&[(0, 1.0)])[&1];
        assert!((passing - 0.1 * 0.8 / 4f32.ln()).abs() < 1e-6, "{passing}");
        // A page that another one mentions makes it a collection about named things, until it is gone.
        graph.insert(2, "Jane Roe was born in Oslo.", Some("Jane Roe"));
        graph.insert(3, "A film by Jane Roe.", Some("Red Door"));
        let among = graph.hop(&[(0, 1.0)])[&1];
        assert!((among - 0.5 * 0.8 / 4f32.ln()).abs() < 1e-6, "{among}");
        graph.remove(3);
        assert!((graph.hop(&[(0, 1.0)])[&1] - passing).abs() < 1e-6);
        // Pieces of one document share its title; that is no mention.
        graph.insert(3, "More of it.", Some("Jane Roe"));
        assert!((graph.hop(&[(0, 1.0)])[&1] - passing).abs() < 1e-6);
        (0..4).for_each(|slot| graph.remove(slot));
        assert_eq!((graph.titled, graph.named), (0, 0));
    }
}
