//! Syntra: one embeddable assistant over many language-model providers.
//!
//! It understands what is asked, picks the model, remembers across providers and conversations, fits the context to a token
//! budget, calls the provider and survives its failures, and streams back one voice. See [`Syntra`] for the front door and
//! `docs/architecture.md` for the house.

#[cfg(feature = "bridge")]
pub mod bridge;
pub mod chat;
pub mod clock;
pub mod context;
pub mod documents;
pub mod embed;
pub mod error;
pub mod exec;
pub mod memory;
pub mod provider;
pub mod query;
pub mod router;
pub mod search;
pub mod storage;
mod syntra;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod thread;
pub mod tools;
pub mod transport;
pub mod turn;
pub mod voice;

pub use chat::*;
pub use clock::{Clock, SystemClock};
pub use error::{Attempt, Error, ErrorKind, Phase, Result, Retry};
pub use jiff::Timestamp;
pub use syntra::{Health, ModelHealth, ModelKey, Syntra, SyntraBuilder};
pub use turn::{Answer, Ask, Trace, TurnStream};
