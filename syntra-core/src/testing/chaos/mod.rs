//! The chaos suite: every fault that a model server, an edge or a network is known for, played to an adapter over real sockets on
//! loopback, each with what the caller has to see, what has to reach which server, and what has to be billed.
//!
//! [`chaos`] runs all of [`faults`] against one adapter, for a whole answer and for a stream, alone and within a turn with a healthy
//! fallback beside it. An adapter of your own needs a [`DialectScript`] (what the wire looks like when nothing is wrong) and a
//! function that makes the adapter for an address and [`Limits`]; see `docs/reliability.md`.
//!
//! ```no_run
//! use std::sync::Arc;
//! use syntra_core::provider::{HttpProvider, Provider};
//! use syntra_core::testing::chaos::{ChaosSubject, ChatScript, chaos};
//! # async fn run() -> syntra_core::Result<()> {
//! let subject = ChaosSubject::new(Arc::new(ChatScript), |url, limits| {
//!     let adapter = HttpProvider::compatible("primary", url, None)?.with_deadlines(limits.deadlines);
//!     Ok(Arc::new(adapter) as Arc<dyn Provider>)
//! });
//! for row in chaos(&subject).await? {
//!     assert!(row.breaches.is_empty(), "{row:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod faults;
mod run;
mod script;
mod stage;
mod table;
mod turn;
mod wires;

pub use faults::{Fault, FaultGroup, faults};
pub use run::{Asked, ChaosRow, ChaosSubject, chaos, own_subjects};
pub use script::{DialectScript, FrameRole, Problem, Reply, ScriptFrame};
pub use stage::Limits;
pub use table::chaos_table;
pub use wires::{AnthropicScript, ChatScript, GeminiScript, OllamaScript, ResponsesScript, scripts};
