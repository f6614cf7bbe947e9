//! What the evaluations and benches share.

pub mod recall_set;
