//! `eval week [--svg OUT]`: a week of questions in virtual time, against each model alone and against an oracle.
//!
//! Three models answer four kinds of questions, each with its own quality, price and pace; a third of the answers gets a score, of the model that
//! was asked alone. On the second day one gets dearer, which the bills say and no catalogue; on the third the best is away for six hours; on
//! the fourth another is slow for six; on the fifth a better one appears, of which nothing is known but its price. What an answer is worth is
//! its quality in money, less its price, less the time to its first token: what the router aims at by default.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use syntra_core::chat::NanoDollars;
use syntra_core::router::{
    Catalogue, DefaultRouter, Fleet, FleetHealth, Intent, ModelInfo, Price, QualityPrior, RouteOutcome, RouteQuery,
    Router, RouterPreferences, Target,
};
use syntra_core::{Clock, ErrorKind, Timestamp};

/// Minutes between questions, and how many there are.
const EVERY: u64 = 2;
const TURNS: u64 = 7 * 24 * 60 / EVERY;
/// What a whole point of quality and a second of waiting are worth, in dollars.
const QUALITY: f64 = 0.0225;
const SECOND: f64 = 0.001;
/// Seconds that a call takes which fails, and what somebody waits who has nobody else to ask.
const FAILING: f64 = 0.5;
const NOBODY: f64 = 10.0;
/// Share of answers that somebody scores.
const SCORED: f64 = 0.33;

struct Model {
    name: &'static str,
    /// Chance of a good answer by kind.
    quality: [f64; 4],
    prior: f32,
    usd: f64,
    seconds: f64,
    /// The hour from which it is there.
    from: f64,
}

const MODELS: [Model; 4] = [
    Model { name: "small", quality: [0.40, 0.30, 0.78, 0.62], prior: 0.50, usd: 0.0004, seconds: 0.4, from: 0.0 },
    Model { name: "middle", quality: [0.72, 0.55, 0.80, 0.78], prior: 0.65, usd: 0.003, seconds: 0.8, from: 0.0 },
    Model { name: "large", quality: [0.93, 0.88, 0.84, 0.86], prior: 0.85, usd: 0.008, seconds: 1.5, from: 0.0 },
    Model { name: "newcomer", quality: [0.90, 0.90, 0.85, 0.84], prior: 0.65, usd: 0.003, seconds: 0.7, from: 96.0 },
];

const KINDS: [(&str, Intent); 4] = [
    ("What is {} + 17 * 3, and why?", Intent::ReasoningMath),
    ("Write a Python function that parses format {}", Intent::CodingHelp),
    ("Who was king of France in the year {}?", Intent::QaRetrieval),
    ("Please reword this letter to my landlord, draft {}.", Intent::EditingWriting),
];

impl Model {
    fn away(&self, hour: f64) -> bool {
        hour < self.from || self.name == "large" && (58.0..64.0).contains(&hour)
    }
    fn usd(&self, hour: f64) -> f64 {
        if self.name == "middle" && hour >= 24.0 { 2.5 * self.usd } else { self.usd }
    }
    fn seconds(&self, hour: f64) -> f64 {
        if self.name == "middle" && (86.0..92.0).contains(&hour) { 8.0 * self.seconds } else { self.seconds }
    }
    fn worth(&self, kind: usize, hour: f64) -> f64 {
        let quality = self.quality.get(kind).copied().unwrap_or(0.0);
        QUALITY * quality - self.usd(hour) - SECOND * self.seconds(hour)
    }
}

/// SplitMix64, as numbers from 0 to 1.
struct Dice(u64);
impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Virtual time.
#[derive(Debug, Default)]
struct Hands(AtomicU64);
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// Sums over some turns.
#[derive(Clone, Copy, Default)]
struct Sum {
    turns: f64,
    worth: f64,
    quality: f64,
    usd: f64,
    seconds: f64,
}

impl Sum {
    fn add(&mut self, quality: f64, usd: f64, seconds: f64) {
        self.turns += 1.0;
        self.worth += QUALITY * quality - usd - SECOND * seconds;
        self.quality += quality;
        self.usd += usd;
        self.seconds += seconds;
    }
    fn mean(&self, of: impl Fn(&Self) -> f64) -> f64 {
        of(self) / self.turns.max(1.0)
    }
}

/// Six hours each.
const SLICES: usize = 28;
type Line = [Sum; SLICES];

fn total(line: &Line) -> Sum {
    line.iter().fold(Sum::default(), |mut all, s| {
        all.turns += s.turns;
        all.worth += s.worth;
        all.quality += s.quality;
        all.usd += s.usd;
        all.seconds += s.seconds;
        all
    })
}

fn target(model: &Model) -> Target {
    Target::new("sim", model.name)
}

fn router(clock: Arc<Hands>) -> Result<DefaultRouter, String> {
    let mut catalogue = Catalogue::empty();
    for model in &MODELS {
        let mut info = ModelInfo::new("sim", model.name);
        info.context_window = Some(1_000_000);
        info.price = Price::per_million_usd(0.0, 0.0).map_err(|e| e.to_string())?;
        info.price.request = NanoDollars::from_usd(model.usd);
        let prior = QualityPrior { score: model.prior, source: "guess".to_owned() };
        info.quality = Intent::ALL.into_iter().map(|intent| (intent, prior.clone())).collect();
        catalogue.insert(info);
    }
    Ok(DefaultRouter::new(catalogue, RouterPreferences::default(), clock))
}

/// The lines of the router, of the oracle and of each model.
fn week(seed: u64) -> Result<Vec<(&'static str, Line)>, String> {
    let clock = Arc::new(Hands::default());
    let router = router(clock.clone())?;
    let health = FleetHealth::new(clock.clone()).with_seed(seed);
    let mut dice = Dice(seed);
    let mut lines: Vec<(&'static str, Line)> = ["router", "oracle"].map(|name| (name, Line::default())).to_vec();
    lines.extend(MODELS.iter().map(|model| (model.name, Line::default())));
    for turn in 0..TURNS {
        clock.0.store(turn * EVERY * 60, Ordering::Relaxed);
        let hour = (turn * EVERY) as f64 / 60.0;
        let slice = (hour / 6.0) as usize;
        let kind = ((dice.roll() * 4.0) as usize).min(3);
        let (text, intent) = KINDS.get(kind).copied().ok_or("a kind")?;
        let mut note = |name: &str, quality: f64, usd: f64, seconds: f64| {
            let line = lines.iter_mut().find(|(n, _)| *n == name).and_then(|(_, line)| line.get_mut(slice));
            line.into_iter().for_each(|sum| sum.add(quality, usd, seconds));
        };
        let quality_of = |model: &Model| model.quality.get(kind).copied().unwrap_or(0.0);
        for model in &MODELS {
            match model.away(hour) {
                true if hour < model.from => {}
                true => note(model.name, 0.0, 0.0, NOBODY),
                false => note(model.name, quality_of(model), model.usd(hour), model.seconds(hour)),
            }
        }
        let there = MODELS.iter().filter(|model| !model.away(hour));
        if let Some(best) = there.max_by(|a, b| a.worth(kind, hour).total_cmp(&b.worth(kind, hour))) {
            note("oracle", quality_of(best), best.usd(hour), best.seconds(hour));
        }

        let targets: Vec<Target> = MODELS.iter().filter(|model| hour >= model.from).map(target).collect();
        let fleet: Fleet = health.snapshot(&targets);
        let question = text.replace("{}", &turn.to_string());
        let plan = router.plan(&RouteQuery::new(question.as_str(), intent), &fleet).map_err(|e| e.to_string())?;
        let mut waited = 0.0;
        let mut answered = false;
        for planned in &plan.order {
            let Some(model) = MODELS.iter().find(|model| target(model) == planned.target) else { continue };
            let mut outcome = RouteOutcome::new(planned.target.clone(), intent, Duration::from_secs_f64(FAILING));
            if model.away(hour) {
                outcome.error = Some(ErrorKind::Transient);
                health.record(&outcome);
                router.observe(&outcome);
                waited += FAILING;
                continue;
            }
            outcome.first_token = Some(Duration::from_secs_f64(model.seconds(hour)));
            health.record(&outcome);
            router.observe(&outcome);
            note("router", quality_of(model), model.usd(hour), waited + model.seconds(hour));
            let good = dice.roll() < quality_of(model);
            if dice.roll() < SCORED {
                let score = if good { 1.0 } else { 0.0 };
                let mut scored = outcome.scored(question.as_str(), score).map_err(|e| e.to_string())?;
                scored.cost = NanoDollars::from_usd(model.usd(hour));
                router.observe(&scored);
            }
            answered = true;
            break;
        }
        if !answered {
            note("router", 0.0, 0.0, waited + NOBODY);
        }
    }
    Ok(lines)
}

const COLOURS: [&str; 6] = ["#0b6", "#999", "#c90", "#36c", "#c36", "#93c"];

/// Worth of a turn over the week, a line each.
fn svg(lines: &[(&'static str, Line)]) -> String {
    let (width, height, left, top) = (860.0, 360.0, 60.0, 30.0);
    let (low, high) = (-0.004, 0.022);
    let x = |slice: f64| left + slice / SLICES as f64 * (width - left - 120.0);
    let y = |worth: f64| top + (high - worth.clamp(low, high)) / (high - low) * (height - top - 40.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{left}\" y=\"18\">What a turn is worth, in dollars, over a week (means of six hours; `eval week`)</text>\n"
    );
    // Writing into a String cannot fail.
    for step in 0..=5 {
        let worth = f64::from(step) * 0.004;
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{:.0}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/><text x=\"8\" y=\"{:.1}\">{worth:.3}</text>",
            x(SLICES as f64),
            y(worth),
            y(worth),
            y(worth) + 4.0
        );
    }
    for (hour, what) in [(24.0, "middle dearer"), (58.0, "large away"), (86.0, "middle slow"), (96.0, "newcomer")] {
        let at = x(hour / 6.0);
        let place = if hour > 90.0 { height - 8.0 } else { height - 22.0 };
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{:.0}\" stroke=\"#bbb\" stroke-dasharray=\"3\"/><text x=\"{at:.1}\" y=\"{place:.0}\" fill=\"#555\">{what}</text>",
            height - 40.0
        );
    }
    for ((name, line), colour) in lines.iter().zip(COLOURS) {
        let seen = line.iter().enumerate().filter(|(_, sum)| sum.turns > 0.0);
        let points: Vec<(f64, f64)> = seen.map(|(at, sum)| (x(at as f64 + 0.5), y(sum.mean(|s| s.worth)))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let wide = if *name == "router" { 3 } else { 1 };
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{wide}\"/>",
            path.join(" ")
        );
    }
    for (at, ((name, _), colour)) in lines.iter().zip(COLOURS).enumerate() {
        let place = top + 20.0 + 18.0 * at as f64;
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{place:.0}\" fill=\"{colour}\">{name}</text>",
            x(SLICES as f64) + 12.0
        );
    }
    out.push_str("</svg>\n");
    out
}

pub(crate) fn run(args: &[String]) -> Result<serde_json::Value, String> {
    let lines = week(1)?;
    println!("{:<10} {:>14} {:>8} {:>12} {:>12}", "", "worth, USD", "quality", "USD a turn", "first token");
    let mut report = serde_json::Map::new();
    for (name, line) in &lines {
        let sum = total(line);
        let (worth, quality) = (sum.mean(|s| s.worth), sum.mean(|s| s.quality));
        let (usd, seconds) = (sum.mean(|s| s.usd), sum.mean(|s| s.seconds));
        println!("{name:<10} {worth:>14.5} {quality:>8.3} {usd:>12.5} {seconds:>10.2} s");
        let round = |x: f64| (x * 1e6).round() / 1e6;
        let means = serde_json::json!({"worth_usd": round(worth), "quality": round(quality), "usd": round(usd), "first_token_s": round(seconds)});
        report.insert((*name).to_owned(), means);
    }
    if let Some(at) = args.iter().position(|a| a == "--svg") {
        let out = args.get(at + 1).ok_or("usage: eval week [--svg OUT]")?;
        std::fs::write(out, svg(&lines)).map_err(|e| format!("{out}: {e}"))?;
    }
    Ok(serde_json::Value::Object(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Better than every model alone that is there all week, not far from the oracle, and nobody is left without an answer.
    #[test]
    fn the_router_is_better_than_any_model_and_near_the_oracle() {
        for seed in [1, 2, 3] {
            let lines = week(seed).unwrap();
            let of = |name: &str| total(&lines.iter().find(|(n, _)| *n == name).unwrap().1);
            let worth = |name: &str| of(name).mean(|s| s.worth);
            let ours = worth("router");
            for model in MODELS.iter().filter(|model| model.from == 0.0) {
                assert!(ours > worth(model.name), "{} {ours} {}", model.name, worth(model.name));
            }
            assert!(ours > 0.88 * worth("oracle"), "{ours} {}", worth("oracle"));
            assert_eq!(of("router").turns, TURNS as f64);
            // During the outage others answer.
            let (_, line) = &lines[0];
            assert!(line[9].mean(|s| s.quality) > 0.5 && line[10].mean(|s| s.quality) > 0.5);
        }
        assert!(svg(&week(1).unwrap()).ends_with("</svg>\n"));
    }
}
