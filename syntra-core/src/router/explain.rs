//! A plan as a table for people.

use super::default_router::Dollars;
use super::{Plan, RoutingStrategy, Standing};
use std::fmt::Write as _;

impl Plan {
    /// The decision as text: the intent, then a line for each candidate with its place, estimated cost, expected first token, window
    /// and reason; excluded ones last. The same is there as data in [`Plan::candidates`].
    pub fn explain(&self) -> String {
        let width =
            self.candidates.iter().map(|c| c.target.to_string().chars().count()).max().unwrap_or(6).clamp(6, 48);
        let mut out = String::with_capacity(160 * (self.candidates.len() + 2));
        // Writing into a String cannot fail.
        let _ = write!(out, "{} (confidence {:.2})", self.intent.as_str(), self.confidence);
        if self.strategy != RoutingStrategy::default() {
            let _ = write!(out, ", {}", self.strategy.as_str());
        }
        for experiment in &self.experiments {
            let diverted = if experiment.diverted { " (its own was ended)" } else { "" };
            let _ = write!(out, ", experiment {}: {}{diverted}", experiment.experiment, experiment.arm);
        }
        out.push('\n');
        let _ =
            writeln!(out, " #  {:<width$}  {:>10}  {:>11}  {:>7}  why", "model", "est. cost", "first token", "window");
        for candidate in &self.candidates {
            let place = match (candidate.standing, candidate.rank) {
                (Standing::Excluded, _) | (_, None) => "-".to_owned(),
                (_, Some(rank)) => (rank + 1).to_string(),
            };
            let cost = candidate.estimated_cost.map_or("unknown".to_owned(), |c| Dollars(c).to_string());
            let latency = candidate.expected_first_token_ms.map_or("not seen".to_owned(), |ms| format!("{ms} ms"));
            let window = candidate.context_window.map_or("unknown".to_owned(), tokens);
            let _ = writeln!(
                out,
                "{place:>2}  {:<width$}  {cost:>10}  {latency:>11}  {window:>7}  {}",
                candidate.target.to_string(),
                candidate.reason
            );
        }
        out
    }
}

/// A number of tokens in thousands or millions.
fn tokens(n: u64) -> String {
    match n {
        0..=9_999 => n.to_string(),
        10_000..=999_999 => format!("{}k", n / 1_000),
        _ => format!("{}.{}M", n / 1_000_000, n % 1_000_000 / 100_000),
    }
}
