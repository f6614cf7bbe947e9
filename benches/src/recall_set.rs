//! Made-up turns, and questions about them, for the benches of recall.

use std::path::Path;
use std::sync::Arc;
use syntra_core::embed::{Embedder as _, StaticEmbedder};
use syntra_core::memory::{Memories, MemoryType, NewMemory, SqliteMemoryStore};
use syntra_core::search::DefaultRanker;
use syntra_core::storage::Database;
use syntra_core::{Result, SystemClock, Timestamp};

const SPEAKERS: [&str; 2] = ["Ada", "Bo"];
const VERBS: [&str; 12] = [
    "painted", "bought", "lost", "visited", "sold", "repaired", "read", "wrote", "cooked", "planned", "missed", "found",
];
const THINGS: [&str; 16] = [
    "a bicycle",
    "the garden",
    "an old map",
    "a violin",
    "the harbour",
    "a novel",
    "the kitchen",
    "a telescope",
    "a letter",
    "the museum",
    "a lamp",
    "some bread",
    "the roof",
    "a camera",
    "a boat",
    "the library",
];
const WHERE: [&str; 14] = [
    "in Lisbon",
    "near the river",
    "with my sister",
    "after work",
    "for the party",
    "on the mountain",
    "at the station",
    "during the storm",
    "before breakfast",
    "with the neighbours",
    "in the old town",
    "by train",
    "on holiday",
    "at school",
];

/// The turn number `i`: a sentence that few others share, a day after the one before for each conversation of 25.
pub fn turn(i: usize) -> NewMemory {
    let pick = |list: &[&'static str], by: usize| list.get((i / by) % list.len().max(1)).copied().unwrap_or("");
    let text = format!(
        "I {} {} {} and then we talked about item {} for a while.",
        pick(&VERBS, 1),
        pick(&THINGS, 5),
        pick(&WHERE, 3),
        i * 7 % 9_973
    );
    let day = (i / 25) as i64 * 86_400;
    let said_at = Timestamp::from_second(1_600_000_000 + day + i as i64 % 25).unwrap_or(Timestamp::UNIX_EPOCH);
    NewMemory::new(MemoryType::Episodic, text)
        .with_id(format!("turn-{i}"))
        .with_speaker(pick(&SPEAKERS, 1))
        .with_conversation(format!("session-{}", i / 25))
        .with_said_at(said_at)
}

/// Memories in the SQLite file of the folder `dir`, embedded by the model in the package.
///
/// # Errors
/// Those of opening the file.
pub fn memories(dir: &Path) -> Result<Memories> {
    let (embedder, clock) = (StaticEmbedder::bundled()?, Arc::new(SystemClock::new()));
    let store = SqliteMemoryStore::new(Database::open(dir)?, clock.clone())
        .with_model(embedder.model(), embedder.dimensions())?;
    Ok(Memories::new(Arc::new(store), Arc::new(embedder), Arc::new(DefaultRanker::default()), clock))
}

/// The question number `i`: about a thing, a place, a person or an item; no two in a row are the same, so no memo of the last one
/// is timed.
pub fn question(i: usize) -> String {
    let pick = |list: &[&'static str], by: usize| list.get((i / by) % list.len().max(1)).copied().unwrap_or("");
    match i % 4 {
        0 => format!("What did Ada do with {} {}?", pick(&THINGS, 4), pick(&WHERE, 1)),
        1 => format!("When did Bo say that he {} {}?", pick(&VERBS, 4), pick(&THINGS, 1)),
        2 => format!("Who {} something {}?", pick(&VERBS, 1), pick(&WHERE, 4)),
        _ => format!("Where did we talk about item {}?", i * 13 % 9_973),
    }
}
