//! Documents: reading them, cutting them into chunks by their kind, and keeping a folder indexed as memories.
//!
//! [`extract_text`] turns a file's bytes into text, [`chunk`] cuts it, [`plan`] finds what is new, changed and gone in a folder, and
//! [`DirectoryIndexer`] carries that out. May use [`crate::chat`], [`crate::error`] and [`crate::memory`].

mod chunk;
mod extract;
mod index;
mod kind;
mod plan;
mod sections;

pub use chunk::{Chunk, ChunkOptions, chunk};
pub use extract::{Extracted, extract_text};
pub use index::{DirectoryIndexer, DocumentStats, IndexProgress, IndexReport};
pub use kind::FileKind;
pub use plan::{ContentHash, FoundFile, IndexPlan, MAX_FILE_BYTES, Skipped, plan, plan_within};
