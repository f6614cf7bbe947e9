//! For tests of ours and of third-party adapters: a scripted provider, a fake clock, conformance suites. Feature `testing`.

mod embedder;
mod memory_store;
mod thread_store;

pub use embedder::embedder_conformance;
pub use memory_store::memory_store_conformance;
pub use thread_store::thread_store_conformance;
