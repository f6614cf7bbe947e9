//! What the integration tests share: a scripted model server on loopback, the behaviour cases that Rust, Python and Node run, and the
//! words of the durability tests.

pub mod cases;
pub mod mock;
pub mod onnx;

use syntra_core::{Result, Scope};

/// The scope that the store's writer process writes to.
///
/// # Errors
/// Never; it is a valid one.
pub fn store_scope() -> Result<Scope> {
    Scope::new("acme", "ada")
}

/// A word that stands for `id` alone and that no analyser takes apart: letters only, no vowels, no plural.
pub fn word(id: &str) -> String {
    const LETTERS: &[u8; 16] = b"bcdfghjklmnpqrtv";
    let mut word = String::from("z");
    for byte in id.bytes() {
        for half in [byte >> 4, byte & 15] {
            word.push(char::from(LETTERS[usize::from(half)]));
        }
    }
    word
}
