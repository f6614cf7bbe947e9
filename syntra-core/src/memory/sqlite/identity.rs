//! What makes two memories the same, and what may be written at all.

use crate::error::{Error, Result};
use crate::memory::NewMemory;
use crate::storage::values::{check_id, role_name};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// The longest text of one memory, in bytes; longer ones are documents, to be cut into chunks first.
const MAX_TEXT: usize = 1 << 20;
/// A vector whose length is this close to 1 is kept as it is.
const UNIT: f32 = 1e-3;

/// The text as it is compared: Unicode NFKC, lower case, every run of white space one space.
fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Most text is ASCII, for which NFKC is the identity.
    let folded: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
    };
    for word in folded.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The first half of a SHA-256 over type, conversation, speaker (by name and role) and normalised text.
pub(super) fn content_hash(memory: &NewMemory) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut field = |value: Option<&str>| {
        // Lengths keep fields apart; an absent one is not an empty one.
        hash.update(value.map_or(u64::MAX, |v| v.len() as u64).to_le_bytes());
        hash.update(value.unwrap_or_default());
    };
    field(Some(memory.kind.as_str()));
    field(memory.conversation.as_deref());
    field(memory.speaker.as_deref());
    field(memory.role.map(role_name));
    field(Some(&normalised(&memory.text)));
    let digest = hash.finalize();
    std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
}

/// Refuses what cannot be remembered; says what would be right.
pub(super) fn check(new: &NewMemory) -> Result<()> {
    if let Some(id) = &new.id {
        check_id("memory", id)?;
    }
    check_text(&new.text)?;
    check_reliability(new.reliability)
}

pub(super) fn check_text(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid("a memory needs a text, this one is empty or white space"));
    }
    if text.len() > MAX_TEXT {
        return Err(Error::invalid(format!(
            "a memory's text may have {MAX_TEXT} bytes, this one has {}: cut it into chunks",
            text.len()
        )));
    }
    Ok(())
}

pub(super) fn check_reliability(reliability: Option<f32>) -> Result<()> {
    match reliability {
        Some(r) if !(0.0..=1.0).contains(&r) => {
            Err(Error::invalid(format!("a reliability lies between 0 and 1, this one is {r}")))
        }
        _ => Ok(()),
    }
}

/// The vector at unit length, if it fits a model of `dimensions`.
pub(super) fn unit_vector(mut vector: Vec<f32>, dimensions: Option<usize>) -> Result<Vec<f32>> {
    let Some(dimensions) = dimensions else {
        return Err(Error::invalid(
            "the store has no embedding model, so it cannot take a vector: name the model first",
        ));
    };
    if vector.len() != dimensions {
        return Err(Error::invalid(format!(
            "a vector of the store's embedding model has {dimensions} numbers, this one has {}",
            vector.len()
        )));
    }
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    if !length.is_finite() || length <= f32::MIN_POSITIVE {
        return Err(Error::invalid("a vector needs finite numbers that are not all zero"));
    }
    if (length - 1.0).abs() > UNIT {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryType;
    use proptest::prelude::*;

    #[test]
    fn case_space_and_unicode_form_do_not_matter() {
        for (a, b) in [
            ("I  LIKE tea.", "i like\n tea. "),
            ("Caf\u{e9} am Fluß", "CAFE\u{301} am FLUß"),
            ("ﬁne \u{a0}day", "fine day"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
        ] {
            assert_eq!(normalised(a), normalised(b), "{a:?} {b:?}");
        }
        assert_ne!(normalised("I like tea"), normalised("I liketea"));
        assert_ne!(normalised("5 apples"), normalised("6 apples"));
    }

    #[test]
    fn fields_are_kept_apart() {
        let base = NewMemory::new(MemoryType::Semantic, "tea");
        let variants = [
            base.clone(),
            NewMemory { kind: MemoryType::Profile, ..base.clone() },
            base.clone().with_speaker("Ada"),
            base.clone().with_conversation("Ada"),
            base.clone().with_conversation(""),
            base.clone().with_role(crate::Role::User),
            NewMemory { text: "teas".into(), ..base },
        ];
        for (i, a) in variants.iter().enumerate() {
            for (j, b) in variants.iter().enumerate() {
                assert_eq!(content_hash(a) == content_hash(b), i == j, "{i} {j}");
            }
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC*") {
            let once = normalised(&text);
            prop_assert_eq!(normalised(&once), once);
        }

        #[test]
        fn vectors_come_out_at_unit_length(vector in prop::collection::vec(-1e6f32..1e6, 1..50)) {
            let dimensions = vector.len();
            if let Ok(unit) = unit_vector(vector, Some(dimensions)) {
                let length = unit.iter().map(|x| x * x).sum::<f32>().sqrt();
                prop_assert!((length - 1.0).abs() < 2e-3, "{}", length);
            }
        }
    }
}
