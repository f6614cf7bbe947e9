//! Every fuzz target on random and mutated inputs, on stable Rust, in ordinary runs. `tests/fuzz` goes deeper.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use syntra_core::testing::fuzz::{ALL, seed};

/// One change of a seed.
#[derive(Clone, Debug)]
enum Change {
    /// Replaces a JSON value in a line by another.
    Replace { line: usize, value: usize, with: usize },
    /// Takes a line out.
    Drop { line: usize },
    /// Repeats a line elsewhere.
    Repeat { line: usize, at: usize },
    /// Cuts the end off.
    Cut { at: usize },
    /// Puts bytes in.
    Insert { at: usize, bytes: Vec<u8> },
    /// Changes one byte.
    Flip { at: usize, with: u8 },
    /// Changes the line ends.
    CarriageReturns,
}

fn change() -> impl Strategy<Value = Change> {
    let n = any::<usize>;
    prop_oneof![
        8 => (n(), n(), n()).prop_map(|(line, value, with)| Change::Replace { line, value, with }),
        1 => n().prop_map(|line| Change::Drop { line }),
        1 => (n(), n()).prop_map(|(line, at)| Change::Repeat { line, at }),
        1 => n().prop_map(|at| Change::Cut { at }),
        1 => (n(), proptest::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => (n(), any::<u8>()).prop_map(|(at, with)| Change::Flip { at, with }),
        1 => Just(Change::CarriageReturns),
    ]
}

fn others() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-7),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!("{\"x\": "),
        json!("\u{0}\u{feff}é\u{1f600}"),
        json!("a".repeat(3000)),
        json!([]),
        json!([null, {}, [[]]]),
        json!({}),
        json!({"type": "error", "error": {"message": 1}}),
        json!({"type": "text", "text": "t", "index": 0, "content": "c"}),
    ]
}

fn pointers(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| pointers(v, format!("{at}/{k}"), out)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| pointers(v, format!("{at}/{i}"), out)),
        _ => {}
    }
    out.push(at);
}

/// The line with one of its JSON values replaced; the line itself where it holds no JSON.
fn replace(line: &str, at: usize, with: usize) -> String {
    let Some(start) = line.find(['{', '[']) else { return line.to_owned() };
    let (head, text) = line.split_at(start);
    let Ok(mut value) = serde_json::from_str::<Value>(text.trim_end()) else { return line.to_owned() };
    let mut all = Vec::new();
    pointers(&value, String::new(), &mut all);
    let others = others();
    if let Some(place) = value.pointer_mut(&all[at % all.len()]) {
        *place = others[with % others.len()].clone();
    }
    format!("{head}{value}\n")
}

fn mutate(seed: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for change in changes {
        let len = bytes.len().max(1);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let count = lines.len().max(1);
        match change {
            Change::Replace { line, value, with } => {
                if let Some(line) = lines.get_mut(line % count) {
                    *line = replace(line, *value, *with);
                }
                bytes = lines.concat().into_bytes();
            }
            Change::Drop { line } => {
                if line % count < lines.len() {
                    lines.remove(line % count);
                }
                bytes = lines.concat().into_bytes();
            }
            Change::Repeat { line, at } => {
                if let Some(line) = lines.get(line % count).cloned() {
                    lines.insert(at % count, line);
                }
                bytes = lines.concat().into_bytes();
            }
            Change::Cut { at } => bytes.truncate(at % len),
            Change::Insert { at, bytes: new } => {
                let at = (at % len).min(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Flip { at, with } => {
                if let Some(byte) = bytes.get_mut(at % len) {
                    *byte = *with;
                }
            }
            Change::CarriageReturns => bytes = text.replace('\n', "\r\n").into_bytes(),
        }
    }
    bytes
}

#[test]
fn seeds_run_as_they_are() {
    for (name, target) in ALL {
        assert!(!seed(name).is_empty(), "{name} has no seed");
        target(seed(name).as_bytes());
        target(b"");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        // The same inputs each time: exploring is what the fuzzers are for.
        rng_seed: RngSeed::Fixed(20_260_101),
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_seeds(changes in proptest::collection::vec(change(), 1..5)) {
        for (name, target) in ALL {
            target(&mutate(seed(name), &changes));
        }
    }

    #[test]
    fn one_targets_seed_is_another_targets_noise(from in 0..ALL.len(), changes in proptest::collection::vec(change(), 0..3)) {
        let bytes = mutate(seed(ALL[from].0), &changes);
        ALL.iter().for_each(|(_, target)| target(&bytes));
    }

    #[test]
    fn random_text(text in "\\PC{0,200}") {
        ALL.iter().for_each(|(_, target)| target(text.as_bytes()));
    }
}
