//! `eval routing FILE [--folds 5] [--cold]`: quality for money.
//!
//! FILE (`.jsonl` or `.jsonl.gz`) has one question a line: `prompt`, and by model its `score` (0 to 1) and `cost` (dollars). For each
//! fold a fresh router is told what every model made of the questions of the other folds, and then chooses for this one over a grid
//! of the knob between cheapest and best. It knows the mean cost of each model's calls as its price, and no quality; with `--cold` it
//! is told no outcome, but each model's mean quality as a prior.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};
use syntra_core::SystemClock;
use syntra_core::chat::NanoDollars;
use syntra_core::router::{
    Catalogue, DefaultRouter, Fleet, Intent, ModelInfo, Price, QualityPrior, RouteOutcome, RouteQuery, Router,
    RouterPreferences, Target, classify,
};

const USAGE: &str = "usage: eval routing FILE [--folds 5] [--cold]";
const PROVIDER: &str = "data";
/// Steps of the knob.
const GRID: usize = 80;

#[derive(Deserialize)]
struct Line {
    prompt: String,
    score: BTreeMap<String, f64>,
    cost: BTreeMap<String, f64>,
}

/// A question with its intent, and score and cost by place of the model.
struct Row {
    prompt: String,
    intent: Intent,
    confidence: f32,
    results: Vec<(f64, f64)>,
}

struct Data {
    models: Vec<String>,
    rows: Vec<Row>,
}

fn read(path: &str) -> Result<Data, String> {
    let file = File::open(path).map_err(|e| format!("{path}: {e}"))?;
    let file: Box<dyn Read> = if path.ends_with(".gz") { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut models: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| format!("{path}: {e}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: &str| format!("{path}:{}: {what}", at + 1);
        let Line { prompt, score, cost } = serde_json::from_str(&line).map_err(|e| wrong(&e.to_string()))?;
        if models.is_empty() {
            models = score.keys().cloned().collect();
        }
        let result = |model: &String| score.get(model).copied().zip(cost.get(model).copied());
        let results: Option<Vec<(f64, f64)>> = models.iter().map(result).collect();
        let results =
            results.filter(|r| !r.is_empty()).ok_or_else(|| wrong("not every model has a score and a cost"))?;
        let guess = classify(&prompt, false, &[]);
        rows.push(Row { prompt, intent: guess.intent, confidence: guess.confidence, results });
    }
    if rows.is_empty() { Err(format!("{path}: no rows")) } else { Ok(Data { models, rows }) }
}

/// Mean score and mean cost of each model over `rows`.
fn means<'a>(rows: impl Iterator<Item = &'a Row>, models: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); models];
    let mut n = 0.0;
    for row in rows {
        n += 1.0;
        for (sum, result) in sums.iter_mut().zip(&row.results) {
            *sum = (sum.0 + result.0, sum.1 + result.1);
        }
    }
    sums.iter().map(|(score, cost)| (score / n, cost / n)).collect()
}

/// A fresh router that knows what a call to each model costs on the average, and with `priors` how good it is.
fn router(models: &[String], means: &[(f64, f64)], priors: bool) -> Result<DefaultRouter, String> {
    let mut catalogue = Catalogue::empty();
    for (model, (score, cost)) in models.iter().zip(means) {
        let mut info = ModelInfo::new(PROVIDER, model);
        info.context_window = Some(1_000_000);
        info.price = Price::per_million_usd(0.0, 0.0).map_err(|e| e.to_string())?;
        info.price.request = NanoDollars::from_usd(*cost);
        if priors {
            let prior = QualityPrior { score: *score as f32, source: "mean of the data".to_owned() };
            info.quality = Intent::ALL.into_iter().map(|intent| (intent, prior.clone())).collect();
        }
        catalogue.insert(info);
    }
    Ok(DefaultRouter::new(catalogue, RouterPreferences::default(), Arc::new(SystemClock::new())))
}

/// Points (mean cost, mean score) as the upper hull that never falls, beginning at nothing for nothing.
fn hull(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.push((0.0, 0.0));
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if hull.last().is_some_and(|last| point.1 <= last.1) {
            continue;
        }
        while let [.., a, b] = hull[..] {
            let falls = (b.1 - a.1) * (point.0 - a.0) > (point.1 - a.1) * (b.0 - a.0);
            if falls {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

fn height(hull: &[(f64, f64)], cost: f64) -> f64 {
    let after = hull.partition_point(|p| p.0 <= cost);
    match (after.checked_sub(1).and_then(|at| hull.get(at)), hull.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (cost - a.0) / (b.0 - a.0),
        (Some(a), None) => a.1,
        (None, _) => 0.0,
    }
}

/// AIQ, and the cost at 95 % of the best single model's score as a share of that model's.
fn judge(points: Vec<(f64, f64)>, singles: &[(f64, f64)]) -> (f64, Option<f64>) {
    const STEPS: usize = 4_000;
    let hull = hull(points);
    let costs = || singles.iter().map(|s| s.1);
    let (low, high) = (costs().fold(f64::INFINITY, f64::min), costs().fold(0.0, f64::max));
    let at = |step: usize| low + (high - low) * step as f64 / STEPS as f64;
    let aiq = (0..=STEPS).map(|step| height(&hull, at(step))).sum::<f64>() / (STEPS + 1) as f64;
    let best = singles.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    let wanted = 0.95 * best.0;
    let crossing = hull.windows(2).find_map(|pair| match pair {
        [a, b] if b.1 >= wanted => Some(a.0 + (b.0 - a.0) * (wanted - a.1).max(0.0) / (b.1 - a.1)),
        _ => None,
    });
    (aiq, crossing.map(|cost| cost / best.1))
}

pub(crate) fn run(args: &[String]) -> Result<serde_json::Value, String> {
    let cold = args.iter().any(|a| a == "--cold");
    let folds = match args.iter().position(|a| a == "--folds") {
        Some(at) => args.get(at + 1).and_then(|n| n.parse().ok()).filter(|n| *n >= 2).ok_or(USAGE)?,
        None => 5usize,
    };
    let path = args.iter().find(|a| a.ends_with(".jsonl") || a.ends_with(".gz")).ok_or(USAGE)?;
    let Data { models, rows } = read(path)?;
    let targets: Vec<Target> = models.iter().map(|model| Target::new(PROVIDER, model)).collect();
    let fleet = Fleet::untried(targets.iter().cloned());
    // A shuffle that is the same on every machine: by the hash of the place.
    let fold_of = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % folds;

    let mut chosen = vec![(0.0, 0.0); GRID + 1];
    let (mut plans, mut planning, mut told, mut telling) = (0u32, Duration::ZERO, 0u32, Duration::ZERO);
    for fold in 0..folds {
        let others = || rows.iter().enumerate().filter(|(at, _)| fold_of(*at) != fold).map(|(_, row)| row);
        let router = router(&models, &means(others(), models.len()), cold)?;
        for row in others().filter(|_| !cold) {
            for (target, (score, cost)) in targets.iter().zip(&row.results) {
                let outcome = RouteOutcome::new(target.clone(), row.intent, Duration::ZERO);
                let mut outcome = outcome.scored(row.prompt.as_str(), *score as f32).map_err(|e| e.to_string())?;
                outcome.cost = NanoDollars::from_usd(*cost);
                let from = Instant::now();
                router.observe(&outcome);
                telling += from.elapsed();
                told += 1;
            }
        }
        for (_, row) in rows.iter().enumerate().filter(|(at, _)| fold_of(*at) == fold) {
            let mut query = RouteQuery::new(row.prompt.as_str(), row.intent);
            query.confidence = row.confidence;
            for (step, sum) in chosen.iter_mut().enumerate() {
                query.quality = Some(step as f32 / GRID as f32);
                let from = Instant::now();
                let plan = router.plan(&query, &fleet).map_err(|e| e.to_string())?;
                planning += from.elapsed();
                plans += 1;
                let first = plan.order.first().map(|planned| &planned.target);
                let place = targets.iter().position(|target| Some(target) == first).ok_or("no model was chosen")?;
                let (score, cost) = row.results.get(place).copied().unwrap_or_default();
                *sum = (sum.0 + cost, sum.1 + score);
            }
        }
    }
    let n = rows.len() as f64;
    let points: Vec<(f64, f64)> = chosen.iter().map(|(cost, score)| (cost / n, score / n)).collect();
    let singles = means(rows.iter(), models.len());

    let share = |share: Option<f64>| share.map_or("never".to_owned(), |s| format!("{:.1} %", 100.0 * s));
    println!("{:<40} {:>7} {:>12}", "single model", "score", "USD a call");
    for (model, (score, cost)) in models.iter().zip(&singles) {
        println!("{model:<40} {score:>7.3} {cost:>12.6}");
    }
    // An oracle knows scores and costs before it asks.
    let oracle = (0..=GRID).map(|step| {
        let k = step as f64 / GRID as f64;
        let worth = |r: &(f64, f64)| k.powi(3) * 0.02 * r.0 - (1.0 - k).powi(3) * r.1;
        let best =
            |row: &Row| row.results.iter().copied().max_by(|a, b| worth(a).total_cmp(&worth(b))).unwrap_or_default();
        let sum = rows.iter().map(best).fold((0.0, 0.0), |sum, (score, cost)| (sum.0 + cost, sum.1 + score));
        (sum.0 / n, sum.1 / n)
    });
    let mix = judge(singles.iter().map(|(score, cost)| (*cost, *score)).collect(), &singles);
    let oracle = judge(oracle.collect(), &singles);
    println!("\n{:>5} {:>7} {:>12}", "knob", "score", "USD a call");
    for (step, (cost, score)) in points.iter().enumerate().step_by(GRID / 10) {
        println!("{:>5.2} {score:>7.3} {cost:>12.6}", step as f64 / GRID as f64);
    }
    let ours = judge(points, &singles);
    println!("\n{:<24} {:>6} {:>8}", "", "AIQ", "cost95");
    for (name, (aiq, cost95)) in [("random mix", mix), ("router", ours), ("oracle", oracle)] {
        println!("{name:<24} {aiq:>6.3} {:>8}", share(cost95));
    }
    let micros = |time: Duration, of: u32| time.checked_div(of).map_or(0.0, |t| t.as_nanos() as f64 / 1e3);
    println!("\n{:.1} us a plan, {:.1} us an outcome (means)", micros(planning, plans), micros(telling, told));
    let round = |x: f64| (x * 1e4).round() / 1e4;
    Ok(serde_json::json!({
        "questions": rows.len(), "models": models.len(), "cold": cold, "folds": folds,
        "AIQ": round(ours.0), "cost95": ours.1.map(round),
        "mix": {"AIQ": round(mix.0), "cost95": mix.1.map(round)},
        "oracle": {"AIQ": round(oracle.0), "cost95": oracle.1.map(round)},
        "plan_us": round(micros(planning, plans)), "observe_us": round(micros(telling, told)),
    }))
}

#[cfg(test)]
mod tests {
    /// Sums are done well by `sums`, rhymes by `rhymes`, and `both` does both at fifty times the price.
    #[test]
    fn what_was_learned_beats_any_mix() {
        let mut text = String::new();
        for n in 0..120 {
            // One of the two cheap ones is the better on the whole, or which one a fold tells apart would be chance.
            let sum = n % 3 != 0;
            let prompt = if sum {
                format!("What is {n} + {} * 3?", n + 2)
            } else {
                format!("Write a rhyme about my cat number {n}.")
            };
            let (a, b) = (f64::from(u8::from(sum)), f64::from(u8::from(!sum)));
            let line = serde_json::json!({"prompt": prompt, "score": {"sums": a, "rhymes": b, "both": 1.0},
                "cost": {"sums": 1e-4, "rhymes": 1e-4, "both": 5e-3}});
            text.push_str(&format!("{line}\n"));
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("routing.jsonl");
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let told = super::run(std::slice::from_ref(&file)).unwrap();
        assert!(told["AIQ"].as_f64().unwrap() > 0.98, "{told}");
        assert!(told["cost95"].as_f64().unwrap() < 0.05, "{told}");
        let cold = super::run(&[file, "--cold".to_owned()]).unwrap();
        assert!(cold["AIQ"].as_f64().unwrap() >= cold["mix"]["AIQ"].as_f64().unwrap() - 1e-3, "{cold}");
        assert!(super::run(&["no such file.jsonl".to_owned()]).is_err());
    }
}
