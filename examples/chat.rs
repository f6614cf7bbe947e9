//! Runs a REPL over the library.
fn main() {}
