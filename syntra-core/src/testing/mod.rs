//! For tests of ours and of third-party adapters: a scripted provider, a fake clock, conformance suites. Feature `testing`.
