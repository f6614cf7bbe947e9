//! Approximate nearest neighbours over a graph, for partitions too large to scan.

use super::{FlatIndex, Rounded, kernel, normalised};
use crate::error::Result;
use crate::search::VectorIndex;
use crate::search::top::TopK;
use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use std::collections::HashMap;
use std::fmt;
use std::thread::JoinHandle;

/// Neighbours a node keeps (twice as many in the lowest layer), and how many candidates are looked at when one is added. (More than
/// 256 neighbours would end the process, hnsw_rs says.)
const NEIGHBOURS: usize = 24;
const EF_CONSTRUCTION: usize = 200;
const LAYERS: usize = 16;
/// How many candidates a search looks at, at least, and for each vector asked for.
const EF_LEAST: usize = 160;
const EF_FACTOR: usize = 2;
/// A graph of which more than one node in this many is dead is built anew, once it has this many nodes.
const DEAD_SHARE: usize = 3;
const REBUILD_FROM: usize = 1_000;

/// The graph is over 8-bit numbers: a quarter of the memory of full precision, which is what building and walking it wait for.
/// All vectors share one scale, so that any two can be compared.
#[derive(Clone, Copy)]
struct Rounding {
    scale: f32,
}

impl Rounding {
    /// Eight times the root mean square of a unit vector's numbers is the largest that is told apart; up to 64 dimensions that is 1,
    /// the largest there can be.
    fn new(dimensions: usize) -> Self {
        Self { scale: 127.0 * (dimensions as f32 / 64.0).sqrt().max(1.0) }
    }

    fn of(self, unit: &[f32]) -> Vec<i8> {
        unit.iter().map(|x| (x * self.scale).round().clamp(-127.0, 127.0) as i8).collect()
    }
}

/// One minus the cosine of rounded vectors. (hnsw_rs asserts that this is never negative, which rounding breaks.)
impl Distance<i8> for Rounding {
    fn eval(&self, a: &[i8], b: &[i8]) -> f32 {
        (1.0 - kernel::dot_i8_of_any(a, b) as f32 / (self.scale * self.scale)).max(0.0)
    }
}

/// A graph over nodes, which are never removed: a key that is replaced or removed leaves a dead node behind.
struct Graph {
    nodes: Hnsw<'static, i8, Rounding>,
    rounding: Rounding,
    key_of: Vec<u32>,
    node_of: HashMap<u32, u32>,
}

impl Graph {
    fn new(dimensions: usize, expected: usize) -> Self {
        let rounding = Rounding::new(dimensions);
        let nodes = Hnsw::new(NEIGHBOURS, expected.max(1_000), LAYERS, EF_CONSTRUCTION, rounding);
        Self { nodes, rounding, key_of: Vec::new(), node_of: HashMap::new() }
    }

    /// Of rounded vectors.
    fn of(dimensions: usize, vectors: Vec<(u32, Vec<i8>)>) -> Self {
        let mut graph = Self::new(dimensions, vectors.len() * 2);
        for (key, vector) in vectors {
            graph.add(key, &vector);
        }
        graph
    }

    fn insert(&mut self, key: u32, unit: &[f32]) {
        self.add(key, &self.rounding.of(unit));
    }

    fn add(&mut self, key: u32, rounded: &[i8]) {
        let node = self.key_of.len();
        self.key_of.push(key);
        self.node_of.insert(key, node as u32);
        self.nodes.insert((rounded, node));
    }

    fn dead(&self) -> usize {
        self.key_of.len() - self.node_of.len()
    }

    /// At most `limit` live keys near `unit`.
    fn near(&self, unit: &[f32], limit: usize) -> impl Iterator<Item = u32> {
        // Dead nodes take places in the answer: ask for as many more as their share says.
        let live = self.node_of.len().max(1);
        let asked = (limit * self.key_of.len()).div_ceil(live) + limit.min(16);
        self.nodes.search(&self.rounding.of(unit), asked, (asked * EF_FACTOR).max(EF_LEAST)).into_iter().filter_map(
            |found| {
                let node = found.get_origin_id();
                let key = *self.key_of.get(node)?;
                (self.node_of.get(&key) == Some(&(node as u32))).then_some(key)
            },
        )
    }
}

/// A graph in the making, and the keys written since its snapshot was taken.
struct Building {
    thread: JoinHandle<Graph>,
    changed: Vec<u32>,
}

/// A graph over the vectors (hnsw_rs) beside the exact index of the same vectors.
///
/// The graph answers unfiltered searches once there are `from` vectors. It is built, and built anew when a third of it is dead, by a
/// thread of its own; until that is done, and for every filtered search (a graph walk gets slower the fewer pass the filter),
/// the exact scan answers. What the graph finds is scored exactly.
///
/// ```
/// use syntra_core::search::{HnswIndex, VectorIndex};
/// let mut index = HnswIndex::new(2);
/// index.upsert(7, &[1.0, 0.0])?;
/// index.upsert(9, &[0.0, 2.0])?;
/// index.remove(7);
/// assert_eq!(index.search(&[1.0, 0.1], 5, None)?, [(9, index.search(&[1.0, 0.1], 5, Some(&|_| true))?[0].1)]);
/// # Ok::<(), syntra_core::Error>(())
/// ```
pub struct HnswIndex {
    flat: FlatIndex,
    from: usize,
    graph: Option<Graph>,
    building: Option<Building>,
}

impl fmt::Debug for HnswIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HnswIndex")
            .field("dimensions", &self.flat.dimensions())
            .field("len", &self.flat.len())
            .field("from", &self.from)
            .field("nodes", &self.graph.as_ref().map(|g| g.key_of.len()))
            .field("building", &self.building.is_some())
            .finish()
    }
}

impl HnswIndex {
    /// An empty index with a graph from the first vector on.
    pub fn new(dimensions: usize) -> Self {
        let graph = (dimensions <= kernel::LONGEST).then(|| Graph::new(dimensions, 0));
        Self { flat: FlatIndex::new(dimensions), from: 0, graph, building: None }
    }

    /// An empty index that scans until it holds `from` vectors, and has a graph built then.
    pub fn starting_at(dimensions: usize, from: usize) -> Self {
        Self { flat: FlatIndex::new(dimensions), from, graph: None, building: None }
    }

    /// Whether a graph answers unfiltered searches now.
    pub fn has_graph(&self) -> bool {
        self.graph.is_some()
    }

    /// The vector of `key`, see [`FlatIndex::get`].
    pub fn get(&self, key: u32) -> Option<Vec<f32>> {
        self.flat.get(key)
    }

    /// See [`FlatIndex::cosine`].
    pub(crate) fn cosine(&self, key: u32, question: &[f32]) -> Option<f32> {
        self.flat.cosine(key, question)
    }

    /// See [`FlatIndex::fetch`].
    pub(crate) fn fetch(&self, key: u32, in_full: bool) {
        self.flat.fetch(key, in_full);
    }

    /// See [`FlatIndex::roughly`].
    pub(crate) fn roughly(&self, key: u32, question: &Rounded) -> Option<f32> {
        self.flat.roughly(key, question)
    }

    /// The exact index.
    pub(crate) fn flat(&self) -> &FlatIndex {
        &self.flat
    }

    /// See [`FlatIndex::arrange`]; nothing where a graph answers.
    pub(crate) fn arrange(&mut self) {
        if self.graph.is_none() {
            self.flat.arrange();
        }
    }

    /// Takes the exact index over, and has a graph begun where there are vectors enough for one.
    pub(crate) fn restored(&mut self, flat: FlatIndex) {
        self.flat = flat;
        self.begin_if_due();
    }

    /// Waits for a graph in the making, and takes it into use.
    pub fn settle(&mut self) {
        self.take_built(true);
    }

    /// After a write of `key`: the graph follows, a finished one is taken into use, and one is begun where it is time.
    fn written(&mut self, key: u32) {
        if let Some(building) = &mut self.building {
            building.changed.push(key);
        }
        if let Some(graph) = &mut self.graph {
            follow(graph, &self.flat, key);
        }
        self.take_built(false);
        self.begin_if_due();
    }

    fn begin_if_due(&mut self) {
        let stale = self.graph.as_ref().is_some_and(|graph| {
            let nodes = graph.key_of.len();
            nodes >= REBUILD_FROM && graph.dead() * DEAD_SHARE > nodes
        });
        let due = self.graph.is_none() && self.flat.len() >= self.from && self.flat.dimensions() <= kernel::LONGEST;
        if self.building.is_none() && (stale || due) {
            let dimensions = self.flat.dimensions();
            let rounding = Rounding::new(dimensions);
            let vectors: Vec<(u32, Vec<i8>)> = self.flat.iter().map(|(key, v)| (key, rounding.of(&v))).collect();
            let thread = std::thread::Builder::new().name("syntra-hnsw".into());
            let thread = thread.spawn(move || Graph::of(dimensions, vectors));
            // Without a thread the exact scan goes on answering.
            self.building = thread.ok().map(|thread| Building { thread, changed: Vec::new() });
        }
    }

    fn take_built(&mut self, wait: bool) {
        let Some(building) = self.building.take() else { return };
        if !wait && !building.thread.is_finished() {
            self.building = Some(building);
            return;
        }
        // A thread that panicked leaves the exact scan, and another attempt at the next write.
        let Ok(mut graph) = building.thread.join() else { return };
        for key in building.changed {
            follow(&mut graph, &self.flat, key);
        }
        self.graph = Some(graph);
    }
}

/// Brings the node of `key` to what the exact index holds.
fn follow(graph: &mut Graph, flat: &FlatIndex, key: u32) {
    match flat.get(key) {
        Some(vector) => graph.insert(key, &vector),
        None => {
            graph.node_of.remove(&key);
        }
    }
}

impl VectorIndex for HnswIndex {
    fn dimensions(&self) -> usize {
        self.flat.dimensions()
    }

    fn len(&self) -> usize {
        self.flat.len()
    }

    fn upsert(&mut self, key: u32, vector: &[f32]) -> Result<()> {
        self.flat.upsert(key, vector)?;
        self.written(key);
        Ok(())
    }

    fn remove(&mut self, key: u32) -> bool {
        let there = self.flat.remove(key);
        if there {
            self.written(key);
        }
        there
    }

    fn search(&self, query: &[f32], limit: usize, keep: Option<&dyn Fn(u32) -> bool>) -> Result<Vec<(u32, f32)>> {
        let (Some(graph), None) = (&self.graph, keep) else { return self.flat.search(query, limit, keep) };
        let unit = normalised(self.flat.dimensions(), query)?;
        // Asking for a good part of all is a scan, and what a graph lost sight of is found by one.
        if limit * 4 >= self.flat.len() {
            return self.flat.search(query, limit, None);
        }
        let mut top = TopK::new(limit);
        let mut found = 0;
        for key in graph.near(&unit, limit) {
            if let Some(cosine) = self.flat.cosine(key, &unit) {
                top.push(key, cosine);
                found += 1;
            }
        }
        if found < limit { self.flat.search(query, limit, None) } else { Ok(top.into_sorted()) }
    }

    fn memory_bytes(&self) -> usize {
        let graph = self.graph.as_ref().map_or(0, |g| {
            // The numbers, the links (each an allocation of its own) and an empty list for each layer.
            g.key_of.len() * (self.flat.dimensions() + NEIGHBOURS * 2 * 40 + LAYERS * 24 + 200)
                + g.node_of.capacity() * 9
        });
        self.flat.memory_bytes() + graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::vector::tests::cloud;

    #[test]
    fn a_graph_is_built_beside_the_scan_and_again_when_it_is_stale() {
        let vectors = cloud(1_200, 16);
        let mut index = HnswIndex::starting_at(16, 800);
        for (key, vector) in vectors.iter().enumerate() {
            assert!(key >= 799 || !index.has_graph());
            index.upsert(key as u32, vector).unwrap();
        }
        index.settle();
        assert!(index.has_graph());
        // Move most, remove some: the graph is built anew, and knows neither old places nor removed keys.
        for key in 0..800u32 {
            index.upsert(key, &vectors[(key as usize + 400) % 1_200]).unwrap();
        }
        for key in 800..900u32 {
            assert!(index.remove(key));
        }
        index.settle();
        let graph = index.graph.as_ref().unwrap();
        assert!(graph.dead() * DEAD_SHARE <= graph.key_of.len() + 3 * 900, "{}", graph.dead());
        for (key, vector) in vectors.iter().enumerate().take(800).step_by(97) {
            let found = index.search(&vectors[(key + 400) % 1_200], 10, None).unwrap();
            assert!(found.iter().any(|(k, score)| *k == key as u32 && *score > 0.999), "{key}: {found:?}");
            let old = index.search(vector, 10, None).unwrap();
            assert!(old.iter().all(|(k, _)| !(800..900).contains(k)));
        }
    }
}
