//! The words of memory.

use crate::chat::Role;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The four types of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryType {
    /// Who the user is and what they prefer.
    Profile,
    /// Facts and documents.
    Semantic,
    /// What was said and happened.
    Episodic,
    /// How things are to be done; standing instructions.
    Procedural,
}

impl MemoryType {
    /// All four.
    pub const ALL: [MemoryType; 4] =
        [MemoryType::Profile, MemoryType::Semantic, MemoryType::Episodic, MemoryType::Procedural];

    /// Its name in lower case, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Semantic => "semantic",
            Self::Episodic => "episodic",
            Self::Procedural => "procedural",
        }
    }
}

impl std::str::FromStr for MemoryType {
    type Err = crate::Error;
    fn from_str(s: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == s).ok_or_else(|| {
            crate::Error::invalid(format!("unknown memory type {s:?}: use profile, semantic, episodic or procedural"))
        })
    }
}

/// Where in a document a memory is from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySource {
    /// The document: a path relative to the indexed folder, or a URL.
    pub document: String,
    /// First line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_from: Option<u32>,
    /// Last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_to: Option<u32>,
}

/// What the metadata of a chunk says: the folder that it was indexed from, the hash of its file, and how many chunks the file has.
pub(crate) const FOLDER: &str = "folder";
pub(crate) const FILE_HASH: &str = "file_hash";
pub(crate) const FILE_CHUNKS: &str = "file_chunks";
/// What the metadata of a fact says of which there is one at a time, see [`super::MemoryStore::remember_fact`].
const ATTRIBUTE: &str = "attribute";

/// A memory that is a chunk of an indexed file, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentChunk {
    /// The memory's id.
    pub id: String,
    /// The folder that was indexed.
    pub folder: String,
    /// The file's path relative to the folder.
    pub path: String,
    /// The hash of the file's bytes when it was read; empty where the memory does not say.
    pub file_hash: String,
    /// How many chunks the file had then; 0 where the memory does not say.
    pub file_chunks: u64,
}

impl DocumentChunk {
    /// `memory` as a chunk, if it is one: semantic, with a source, its file's path as its conversation, and metadata that names the folder.
    pub fn of(memory: &Memory) -> Option<Self> {
        let is_one = memory.kind == MemoryType::Semantic && memory.source.is_some();
        is_one.then(|| Self::read(&memory.id, memory.conversation.as_deref(), &memory.metadata)).flatten()
    }

    /// As [`DocumentChunk::of`], of what a row says.
    pub(super) fn read(id: &str, path: Option<&str>, metadata: &Map<String, Value>) -> Option<Self> {
        let word = |name| metadata.get(name).and_then(Value::as_str);
        Some(Self {
            id: id.to_owned(),
            folder: word(FOLDER)?.to_owned(),
            path: path?.to_owned(),
            file_hash: word(FILE_HASH).unwrap_or_default().to_owned(),
            file_chunks: metadata.get(FILE_CHUNKS).and_then(Value::as_u64).unwrap_or(0),
        })
    }
}

/// Something to remember.
///
/// ```
/// use syntra_core::memory::{MemoryType, NewMemory};
/// let memory = NewMemory::new(MemoryType::Episodic, "We moved to Lisbon.").with_speaker("Ada");
/// assert_eq!(memory.speaker.as_deref(), Some("Ada"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewMemory {
    /// An id of the caller's, which makes writing it twice harmless; a UUIDv7 is made where there is none.
    #[serde(default)]
    pub id: Option<String>,
    /// Its type.
    pub kind: MemoryType,
    /// Its text.
    pub text: String,
    /// A title or heading path.
    #[serde(default)]
    pub title: Option<String>,
    /// Who said it, by name.
    #[serde(default)]
    pub speaker: Option<String>,
    /// Who said it, by role.
    #[serde(default)]
    pub role: Option<Role>,
    /// The conversation or document it belongs to; neighbours in it are context for each other.
    #[serde(default)]
    pub conversation: Option<String>,
    /// When it was said; the time of writing where nobody knows.
    #[serde(default)]
    pub said_at: Option<Timestamp>,
    /// Where in a document it is from.
    #[serde(default)]
    pub source: Option<MemorySource>,
    /// How far it is to be trusted, 0 to 1.
    #[serde(default)]
    pub reliability: Option<f32>,
    /// Anything else, kept as it is.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Its vector, where the caller has one; otherwise the embedder makes it.
    #[serde(default, skip_serializing)]
    pub vector: Option<Vec<f32>>,
}

impl NewMemory {
    /// A memory of type `kind` with `text` and nothing else known.
    pub fn new(kind: MemoryType, text: impl Into<String>) -> Self {
        Self {
            id: None,
            kind,
            text: text.into(),
            title: None,
            speaker: None,
            role: None,
            conversation: None,
            said_at: None,
            source: None,
            reliability: None,
            metadata: Map::new(),
            vector: None,
        }
    }

    /// Sets the caller's own id.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets who said it, by name.
    pub fn with_speaker(mut self, speaker: impl Into<String>) -> Self {
        self.speaker = Some(speaker.into());
        self
    }

    /// Sets who said it, by role.
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// Sets the conversation it belongs to.
    pub fn with_conversation(mut self, conversation: impl Into<String>) -> Self {
        self.conversation = Some(conversation.into());
        self
    }

    /// Sets when it was said.
    pub fn with_said_at(mut self, at: Timestamp) -> Self {
        self.said_at = Some(at);
        self
    }

    /// Sets a title.
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets where in a document it is from.
    pub fn with_source(mut self, source: MemorySource) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets how far it is to be trusted.
    pub fn with_reliability(mut self, reliability: f32) -> Self {
        self.reliability = Some(reliability);
        self
    }
}

/// A remembered thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Memory {
    /// Its id, unique in its scope.
    pub id: String,
    /// Its type.
    pub kind: MemoryType,
    /// Its text.
    pub text: String,
    /// A title or heading path.
    pub title: Option<String>,
    /// Who said it, by name.
    pub speaker: Option<String>,
    /// Who said it, by role.
    pub role: Option<Role>,
    /// The conversation or document it belongs to.
    pub conversation: Option<String>,
    /// When it was said; the time of writing where nobody knew.
    pub said_at: Timestamp,
    /// When it was written.
    pub created_at: Timestamp,
    /// From when it holds.
    pub valid_from: Timestamp,
    /// Until when it held; `None` while it does.
    pub valid_to: Option<Timestamp>,
    /// The memory that replaced it.
    pub superseded_by: Option<String>,
    /// Where in a document it is from.
    pub source: Option<MemorySource>,
    /// How far it is to be trusted, 0 to 1.
    pub reliability: Option<f32>,
    /// How often it was used in a context.
    pub access_count: u64,
    /// When it was last used.
    pub last_accessed: Option<Timestamp>,
    /// Anything else.
    pub metadata: Map<String, Value>,
}

/// `new` as a fact of which there is one at a time.
pub(super) fn fact(attribute: &str, mut new: NewMemory) -> Result<NewMemory> {
    if new.kind != MemoryType::Profile || attribute.is_empty() {
        return Err(Error::invalid(format!(
            "a fact of which a user has one is a profile memory with the name of its attribute, not a {} one of {attribute:?}",
            new.kind.as_str()
        )));
    }
    new.metadata.insert(ATTRIBUTE.into(), attribute.into());
    Ok(new)
}

impl Memory {
    /// Of which attribute it is the one fact, if it is.
    pub(super) fn attribute(&self) -> Option<&str> {
        self.metadata.get(ATTRIBUTE).and_then(Value::as_str)
    }

    /// Whether it stays where `new` is written of the same attribute: it says that already, or was said later.
    pub(super) fn stands_against(&self, new: &NewMemory) -> bool {
        self.text == new.text || new.said_at.is_some_and(|said_at| self.valid_from > said_at)
    }

    /// What `new` becomes when it is written at `now` under `id`: valid from the time it was said, never used. For stores of
    /// others' making; `new`'s own id and vector are theirs to look after.
    ///
    /// ```
    /// use syntra_core::memory::{Memory, MemoryType, NewMemory};
    /// let now = "2026-05-01T12:00:00Z".parse()?;
    /// let memory = Memory::from_new("1", NewMemory::new(MemoryType::Semantic, "The office is in Lisbon."), now);
    /// assert_eq!((memory.said_at, memory.valid_to), (now, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_new(id: impl Into<String>, new: NewMemory, now: Timestamp) -> Self {
        let said_at = new.said_at.unwrap_or(now);
        Self {
            id: id.into(),
            kind: new.kind,
            text: new.text,
            title: new.title,
            speaker: new.speaker,
            role: new.role,
            conversation: new.conversation,
            said_at,
            created_at: now,
            valid_from: said_at,
            valid_to: None,
            superseded_by: None,
            source: new.source,
            reliability: new.reliability,
            access_count: 0,
            last_accessed: None,
            metadata: new.metadata,
        }
    }

    /// Whether it holds at `at`.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.valid_from <= at && self.valid_to.is_none_or(|end| at < end)
    }
}

/// A vector for a memory that is there already.
#[derive(Clone, Debug, PartialEq)]
pub struct NewVector {
    /// The memory's id.
    pub id: String,
    /// Its text when the vector was made; a memory whose text has changed since keeps waiting for its own.
    pub text: String,
    /// The vector.
    pub vector: Vec<f32>,
}

/// Changes to a memory; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryPatch {
    /// A new text; its vector must come with it or is made by the embedder.
    pub text: Option<String>,
    /// The vector of the new text.
    pub vector: Option<Vec<f32>>,
    /// A new title.
    pub title: Option<String>,
    /// A new reliability.
    pub reliability: Option<f32>,
    /// Metadata fields to set; `null` removes one.
    pub metadata: Option<Map<String, Value>>,
}

/// What became of an item that was to be remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// The id under which it can be found.
    pub id: String,
    /// What was done.
    pub outcome: Outcome,
}

/// What remembering did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Written.
    Created,
    /// It was there already.
    Duplicate,
    /// Written, ending the validity of an older one.
    Superseded,
}

/// A page of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many to skip.
    pub offset: u64,
    /// How many to return at the most.
    pub limit: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: 100 }
    }
}

/// How many memories a scope has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Valid ones by type, in the order of [`MemoryType::ALL`].
    pub by_type: Vec<(String, u64)>,
    /// Valid ones in all.
    pub total: u64,
    /// Superseded ones.
    pub superseded: u64,
    /// Valid ones that have a vector of the store's embedding model.
    pub with_vector: u64,
    /// Valid ones that have a vector, but only of other models; it is not used.
    pub with_other_vector: u64,
}

/// What erasing removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Erased {
    /// Memories.
    pub memories: u64,
    /// Their vectors.
    pub vectors: u64,
    /// Messages of threads.
    pub messages: u64,
}
