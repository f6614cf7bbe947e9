//! Documents: cutting them into chunks by their kind, and keeping a folder indexed.
//!
//! May use [`crate::error`] and [`crate::memory`].
