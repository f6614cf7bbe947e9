//! Learns the model of intents, and says how well it does on each source when learned from the others.

use super::{Row, Tally, round};
use std::collections::{BTreeMap, BTreeSet};
use syntra_core::router::{INTENT_INPUTS, Intent, intent_features};

/// What large weights cost, for each kind of input.
const RIDGE: [f64; 3] = [0.001, 0.0005, 0.001];
/// Steps at the most, and earlier ones that are remembered (L-BFGS).
const STEPS: usize = 150;
const MEMORY: usize = 8;
/// How much more a row that wants the web counts.
const SEARCH: f32 = 1.4;
/// For each input a weight for each intent, one after another.
type Weights = Vec<f64>;

/// A row as the model sees it: what it says, what structure says, the inputs that are not 0, the place of its intent.
struct Point<'a> {
    text: &'a str,
    offset: [f32; 8],
    inputs: Vec<(usize, f32)>,
    place: usize,
    weight: f64,
    /// Of a row that is judged.
    source: Option<&'a str>,
}

fn scored(point: &Point<'_>, weights: &[f64]) -> [f64; 8] {
    let mut scores = point.offset.map(f64::from);
    for (place, x) in &point.inputs {
        let own = weights.get(place * 8..place * 8 + 8).unwrap_or_default();
        scores.iter_mut().zip(own).for_each(|(score, weight)| *score += f64::from(*x) * weight);
    }
    scores
}

fn soft_maximum(scores: &mut [f64; 8]) {
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    scores.iter_mut().for_each(|s| *s = (*s - top).exp());
    let mass: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= mass);
}

/// The mean loss of `weights` with what their size costs, and its slope.
fn loss(points: &[&Point<'_>], ridge: &[f64], weights: &[f64], slope: &mut [f64]) -> f64 {
    let all: f64 = points.iter().map(|point| point.weight).sum();
    let mut loss = 0.0;
    for ((slope, weight), ridge) in slope.iter_mut().zip(weights).zip(ridge) {
        *slope = ridge * weight;
        loss += 0.5 * ridge * weight * weight;
    }
    for point in points {
        let mut error = scored(point, weights);
        soft_maximum(&mut error);
        let share = point.weight / all;
        if let Some(own) = error.get_mut(point.place) {
            loss -= share * own.max(1e-12).ln();
            *own -= 1.0;
        }
        for (place, x) in &point.inputs {
            let own = slope.get_mut(place * 8..place * 8 + 8).unwrap_or_default();
            own.iter_mut().zip(error).for_each(|(slope, error)| *slope += share * f64::from(*x) * error);
        }
    }
    loss
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

/// Multinomial logistic regression with what structure says as an offset, by L-BFGS from nothing: the same on every run.
fn fit(points: &[&Point<'_>]) -> Weights {
    let ridge: Vec<f64> =
        INTENT_INPUTS.iter().zip(RIDGE).flat_map(|(inputs, ridge)| std::iter::repeat_n(ridge, inputs * 8)).collect();
    let mut weights = vec![0.0; ridge.len()];
    let mut slope = vec![0.0; ridge.len()];
    let mut now = loss(points, &ridge, &weights, &mut slope);
    // Steps taken, and by how much the slope changed over each.
    let mut memory: std::collections::VecDeque<(Vec<f64>, Vec<f64>)> = Default::default();
    for _ in 0..STEPS {
        let mut way: Vec<f64> = slope.iter().map(|s| -s).collect();
        let mut shares = Vec::new();
        for (step, change) in memory.iter().rev() {
            let share = dot(step, &way) / dot(step, change);
            add(&mut way, -share, change);
            shares.push(share);
        }
        if let Some((step, change)) = memory.back() {
            let scale = dot(step, change) / dot(change, change);
            way.iter_mut().for_each(|w| *w *= scale);
        }
        for ((step, change), share) in memory.iter().zip(shares.iter().rev()) {
            let back = dot(change, &way) / dot(step, change);
            add(&mut way, share - back, step);
        }
        let down = dot(&way, &slope);
        let (mut length, mut next, mut next_slope) = (1.0, weights.clone(), vec![0.0; slope.len()]);
        let after = loop {
            next.clone_from(&weights);
            add(&mut next, length, &way);
            let after = loss(points, &ridge, &next, &mut next_slope);
            if after <= now + 1e-4 * length * down || length < 1e-6 {
                break after;
            }
            length *= 0.5;
        };
        let step: Vec<f64> = next.iter().zip(&weights).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_slope.iter().zip(&slope).map(|(a, b)| a - b).collect();
        let gain = now - after;
        if dot(&step, &change) > 1e-12 {
            memory.push_back((step, change));
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        (weights, slope, now) = (next, next_slope, after);
        if gain < 1e-7 {
            break;
        }
    }
    weights
}

/// What was judged: right with structure alone, right as learned, rows; of web search: found, said, meant; and confidence beside it.
#[derive(Default)]
struct Judged {
    structure: Tally,
    learned: Tally,
    web: [usize; 3],
    calibration: [(f64, Tally); 5],
}

impl Judged {
    fn add(&mut self, point: &Point<'_>, weights: &[f64]) -> Option<usize> {
        let likeliest =
            |scores: &[f64; 8]| scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| at);
        self.structure.add(likeliest(&point.offset.map(f64::from)) == Some(point.place));
        let mut scores = scored(point, weights);
        let said = likeliest(&scores);
        self.learned.add(said == Some(point.place));
        let web = Intent::ALL.iter().position(|intent| *intent == Intent::WebSearch);
        let (said_web, is_web) = (said == web, Some(point.place) == web);
        for (count, holds) in self.web.iter_mut().zip([said_web && is_web, said_web, is_web]) {
            *count += usize::from(holds);
        }
        soft_maximum(&mut scores);
        let confidence = scores.iter().copied().fold(0.0, f64::max);
        if let Some((sum, tally)) = self.calibration.get_mut(((confidence * 5.0) as usize).min(4)) {
            *sum += confidence;
            tally.add(said == Some(point.place));
        }
        said
    }
}

/// Learns the model from `rows`, says what it makes of each source when learned from the others, and writes it to `out`.
pub(super) fn run(rows: &[Row], out: &str, show_errors: bool) -> Result<serde_json::Value, String> {
    let mut points = Vec::new();
    for row in rows.iter().filter(|row| !row.has_image) {
        let (offset, inputs) = intent_features(&row.text);
        // An answer from memory where the web was wanted is worse than a search too many.
        let weight = row.practice.unwrap_or(1.0) * if row.intent == Intent::WebSearch { SEARCH } else { 1.0 };
        let place = Intent::ALL.iter().position(|intent| *intent == row.intent).ok_or("an intent without a place")?;
        let source = row.practice.is_none().then_some(row.source.as_str());
        points.push(Point { text: &row.text, offset, inputs, place, weight: weight.into(), source });
    }
    let sources: BTreeSet<&str> = points.iter().filter_map(|point| point.source).collect();
    let mut by_source: BTreeMap<&str, serde_json::Value> = BTreeMap::new();
    let (mut all, mut macro_sum) = (Judged::default(), 0.0);
    println!("{:<24} {:>5} {:>10} {:>8}", "learned from the others", "rows", "structure", "learned");
    for source in &sources {
        let (own, others): (Vec<&Point<'_>>, Vec<&Point<'_>>) = points.iter().partition(|p| p.source == Some(*source));
        if others.iter().all(|point| point.source.is_none()) {
            continue;
        }
        let weights = fit(&others);
        let mut judged = Judged::default();
        for point in own {
            let said = judged.add(point, &weights);
            all.add(point, &weights);
            if let (true, Some(said)) =
                (show_errors && said != Some(point.place), said.and_then(|at| Intent::ALL.get(at)))
            {
                let start: String = point.text.chars().take(110).collect();
                let meant = Intent::ALL.get(point.place).map_or("", |intent| intent.as_str());
                println!("{:>15} for {meant:<15} {start:?}", said.as_str());
            }
        }
        let (before, after) = (judged.structure.rate(), judged.learned.rate());
        macro_sum += after;
        println!("{source:<24} {:>5} {before:>10.3} {after:>8.3}", judged.learned.all);
        by_source.insert(
            source,
            serde_json::json!({"rows": judged.learned.all, "structure": round(before), "learned": round(after)}),
        );
    }
    let mean = if by_source.is_empty() { 0.0 } else { macro_sum / by_source.len() as f64 };
    let [found, said, meant] = all.web;
    let share = |of: usize| if of == 0 { 0.0 } else { found as f64 / of as f64 };
    println!(
        "cross-validated by source: {:.3} of {} rows ({:.3} by structure alone), {mean:.3} as the mean of the sources; web search recall {:.3}, precision {:.3}",
        all.learned.rate(),
        all.learned.all,
        all.structure.rate(),
        share(meant),
        share(said)
    );
    println!("confidence: mean said, accuracy, rows");
    for (sum, tally) in all.calibration.iter().filter(|(_, tally)| tally.all > 0) {
        println!("  {:.2}  {:.2}  {}", sum / tally.all as f64, tally.rate(), tally.all);
    }

    let weights = fit(&points.iter().collect::<Vec<_>>());
    let mut bytes = Vec::new();
    let mut rest = weights.as_slice();
    for inputs in INTENT_INPUTS {
        let (part, after) = rest.split_at_checked(inputs * 8).ok_or("weights are missing")?;
        rest = after;
        for place in 0..8 {
            let own: Vec<f64> = part.iter().skip(place).step_by(8).copied().collect();
            let scale = own.iter().fold(1e-9f64, |most, w| most.max(w.abs())) / 127.0;
            bytes.extend((scale as f32).to_le_bytes());
            bytes.extend(own.iter().map(|w| ((w / scale).round() as i8).cast_unsigned()));
        }
    }
    std::fs::write(out, &bytes).map_err(|e| format!("{out}: {e}"))?;
    Ok(serde_json::json!({
        "rows": all.learned.all, "practice": points.iter().filter(|point| point.source.is_none()).count(), "bytes": bytes.len(),
        "accuracy": round(all.learned.rate()), "mean_of_sources": round(mean), "structure": round(all.structure.rate()),
        "web_search": {"recall": round(share(meant)), "precision": round(share(said))}, "by_source": by_source,
    }))
}
