//! For tests of ours and of third-party adapters: a scripted provider, a fake clock, conformance suites. Feature `testing`.

pub mod chaos;
mod clock;
mod dialect;
mod embedder;
pub mod fuzz;
mod fuzz_seeds;
pub mod loopback;
mod memory_store;
mod provider;
mod scripted;
mod thread_store;
mod vector_index;

pub use clock::{FakeClock, TokioClock};
pub use dialect::{DialectFixture, dialect_conformance, fold, stream_events};
pub use embedder::embedder_conformance;
pub use memory_store::memory_store_conformance;
pub use provider::{provider_conformance, provider_failure_conformance};
pub use scripted::{Script, ScriptedProvider};
pub use thread_store::thread_store_conformance;
pub use vector_index::vector_index_conformance;
