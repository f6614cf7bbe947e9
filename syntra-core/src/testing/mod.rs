//! For tests of ours and of third-party adapters: a scripted provider, a fake clock, conformance suites. Feature `testing`.

mod embedder;

pub use embedder::embedder_conformance;
