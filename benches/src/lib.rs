//! What the evaluations and benches share.
