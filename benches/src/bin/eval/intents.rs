//! `eval intents FILE [--errors]`: does the classifier know what is asked for? With `--learn OUT` its model is learned from the rows
//! instead (`syntra-core/src/router/intent/meaning.bin` from `benches/data/intents_own.jsonl`), and judged, source by source, by what it learns from the others.
//!
//! FILE has one JSON object a line: `text`, `intent`, and optionally `has_image`, `source`, and `practice`: how much a row counts that is only
//! learned from, never judged.

#[path = "intents_learn.rs"]
mod learn;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Instant;
use syntra_core::router::{Intent, classify};

const USAGE: &str = "usage: eval intents FILE [--errors] [--learn OUT]";
#[derive(Deserialize)]
pub(crate) struct Row {
    text: String,
    intent: Intent,
    #[serde(default)]
    has_image: bool,
    #[serde(default)]
    source: String,
    practice: Option<f32>,
}

#[derive(Default)]
pub(crate) struct Tally {
    right: usize,
    all: usize,
}

impl Tally {
    fn add(&mut self, right: bool) {
        self.all += 1;
        self.right += usize::from(right);
    }
    fn rate(&self) -> f64 {
        if self.all == 0 { 0.0 } else { self.right as f64 / self.all as f64 }
    }
}

pub(crate) fn run(args: &[String]) -> Result<serde_json::Value, String> {
    let show_errors = args.iter().any(|a| a == "--errors");
    let out = match args.iter().position(|a| a == "--learn") {
        Some(at) => Some(args.get(at + 1).ok_or(USAGE)?),
        None => None,
    };
    let path = args.iter().find(|a| !a.starts_with("--") && Some(*a) != out).ok_or(USAGE)?;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let rows = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(n, line)| serde_json::from_str(line).map_err(|e| format!("{path}:{}: {e}", n + 1)))
        .collect::<Result<Vec<Row>, _>>()?;
    if rows.is_empty() {
        return Err(format!("{path}: no rows"));
    }

    if let Some(out) = out {
        return learn::run(&rows, out, show_errors);
    }
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.practice.is_none()).collect();
    let (mut with, mut without) = (Tally::default(), Tally::default());
    let mut sources: BTreeMap<String, Tally> = BTreeMap::new();
    // For each intent: right, said, meant.
    let mut matrix: BTreeMap<(Intent, Intent), usize> = BTreeMap::new();
    let mut calibration: [(f64, Tally); 5] = Default::default();
    for row in &rows {
        let guess = classify(&row.text, row.has_image, &[]);
        let right = guess.intent == row.intent;
        with.add(right);
        without.add(classify(&row.text, false, &[]).intent == row.intent);
        let source = row.source.split(':').next().unwrap_or_default().to_owned();
        sources.entry(format!("{source} / {}", row.intent.as_str())).or_default().add(right);
        *matrix.entry((row.intent, guess.intent)).or_default() += 1;
        let bin = ((guess.confidence * 5.0) as usize).min(4);
        if let Some((sum, tally)) = calibration.get_mut(bin) {
            *sum += f64::from(guess.confidence);
            tally.add(right);
        }
        if show_errors && !right {
            let start: String = row.text.chars().take(110).collect();
            println!("{:>15} for {:<15} {:.2} {start:?}", guess.intent.as_str(), row.intent.as_str(), guess.confidence);
        }
    }

    println!("{:<62} {:>5} {:>8}", "source / intent", "rows", "accuracy");
    for (name, tally) in &sources {
        println!("{name:<62} {:>5} {:>8.3}", tally.all, tally.rate());
    }
    println!("\n{:<16} {:>5} {:>9} {:>7} {:>6}", "intent", "rows", "precision", "recall", "F1");
    let mut per_intent = serde_json::Map::new();
    for intent in Intent::ALL {
        let count = |f: &dyn Fn(Intent, Intent) -> bool| -> usize {
            matrix.iter().filter(|((meant, said), _)| f(*meant, *said)).map(|(_, n)| n).sum()
        };
        let right = count(&|meant, said| meant == intent && said == intent) as f64;
        let (meant, said) = (count(&|m, _| m == intent), count(&|_, s| s == intent));
        let share = |of: usize| if of == 0 { 0.0 } else { right / of as f64 };
        let (precision, recall) = (share(said), share(meant));
        let f1 = if right == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
        println!("{:<16} {meant:>5} {precision:>9.3} {recall:>7.3} {f1:>6.3}", intent.as_str());
        per_intent.insert(
            intent.as_str().to_owned(),
            serde_json::json!({"precision": round(precision), "recall": round(recall), "f1": round(f1)}),
        );
    }
    println!("\nconfidence: mean said, accuracy, rows");
    for (sum, tally) in calibration.iter().filter(|(_, t)| t.all > 0) {
        println!("  {:.2}  {:.2}  {}", sum / tally.all as f64, tally.rate(), tally.all);
    }

    // Each decision timed by itself, best of several rounds, so that the shared machine's other work does not count.
    let mut times: Vec<f64> = rows
        .iter()
        .map(|row| {
            (0..20)
                .map(|_| {
                    let start = Instant::now();
                    std::hint::black_box(classify(std::hint::black_box(&row.text), row.has_image, &[]));
                    start.elapsed().as_secs_f64() * 1e6
                })
                .fold(f64::INFINITY, f64::min)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get(((times.len() - 1) as f64 * q) as usize).copied().unwrap_or(0.0);
    println!(
        "\naccuracy {:.3} with the image flag, {:.3} without; {:.1} us a decision (p50), {:.1} (p99)",
        with.rate(),
        without.rate(),
        at(0.5),
        at(0.99)
    );
    Ok(serde_json::json!({
        "rows": rows.len(), "accuracy": round(with.rate()), "accuracy_without_image": round(without.rate()),
        "us_p50": round(at(0.5)), "us_p99": round(at(0.99)), "intents": per_intent,
    }))
}

fn round(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use syntra_core::router::INTENT_INPUTS;

    /// Questions of the project's own making; a change of weights must not lose them.
    #[test]
    fn our_own_questions_are_understood() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/data/intents_own.jsonl").to_owned();
        let report = super::run(&[file]).unwrap();
        let accuracy = report["accuracy"].as_f64().unwrap();
        assert!(accuracy >= 0.93, "{accuracy}");
        // Never learned from.
        let unseen = concat!(env!("CARGO_MANIFEST_DIR"), "/data/intents_eighth.jsonl").to_owned();
        let report = super::run(&[unseen]).unwrap();
        assert!(report["accuracy"].as_f64().unwrap() >= 0.9, "{report}");
        assert!(report["intents"]["web_search"]["recall"].as_f64().unwrap() >= 0.9, "{report}");
        assert!(super::run(&["no such file".to_owned()]).is_err());
    }

    /// A model that is learned from a few rows says what they say.
    #[test]
    fn a_model_is_learned() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rows.jsonl");
        let mut text = String::new();
        for n in 0..12 {
            for (word, intent) in [("gloves for winter", "shopping"), ("the moon of Mars", "qa_retrieval")] {
                let source = if n % 2 == 0 { "even" } else { "odd" };
                text.push_str(&format!(
                    "{{\"text\": \"{word} {n}\", \"intent\": \"{intent}\", \"source\": \"{source}\"}}\n"
                ));
            }
        }
        // Rows to practise with are neither judged nor, when they count little, believed.
        text.push_str("{\"text\": \"gloves for winter 1\", \"intent\": \"qa_retrieval\", \"source\": \"odd\", \"practice\": 0.01}\n");
        std::fs::write(&file, text).unwrap();
        let out = dir.path().join("model.bin").to_str().unwrap().to_owned();
        let args = [file.to_str().unwrap().to_owned(), "--learn".to_owned(), out.clone()];
        let report = super::run(&args).unwrap();
        assert_eq!(report["by_source"]["odd"]["learned"], 1.0, "{report}");
        assert_eq!(report["accuracy"], 1.0, "{report}");
        assert_eq!(report["rows"], 24, "{report}");
        let first = std::fs::read(&out).unwrap();
        assert_eq!(first.len(), 8 * (3 * 4 + INTENT_INPUTS.iter().sum::<usize>()));
        super::run(&args).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), first, "the same rows give the same model");
    }
}
