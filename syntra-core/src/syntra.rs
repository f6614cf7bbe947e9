//! The front door.

/// The assistant.
#[derive(Clone, Debug)]
pub struct Syntra {}

impl Syntra {
    /// The trace of a turn.
    pub fn trace(&self) {}
}
