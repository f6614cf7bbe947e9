//! A candidate of a plan: its place among the others, and the sentence that says why.

use crate::chat::NanoDollars;
use crate::router::catalogue::canonical_provider;
use crate::router::{ModelInfo, RouteQuery, RoutingStrategy, Target, TargetHealth, WebSearch};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// A candidate that meets every hard constraint.
pub(super) struct Candidate<'a> {
    pub(super) target: &'a Target,
    pub(super) info: Cow<'a, ModelInfo>,
    pub(super) health: &'a TargetHealth,
    pub(super) cost: Option<NanoDollars>,
    pub(super) quality: f32,
    /// What it is hoped to be beyond that.
    pub(super) hope: f32,
    /// Outcomes of its own that the quality rests on.
    pub(super) outcomes: f32,
    /// What signs without a score make of its quality.
    pub(super) signs: f32,
    pub(super) seconds: f64,
    pub(super) drawbacks: Drawbacks,
    pub(super) score: f64,
    pub(super) hash: u64,
}

/// What puts a candidate behind all that lack it, whatever the score; the first that differs decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Drawbacks {
    pub(super) cannot_search: bool,
    pub(super) unsure_ability: bool,
    pub(super) window_outgrown: bool,
    pub(super) price_unknown: bool,
}

impl Candidate<'_> {
    /// Better first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let cost = |c: &Self| c.cost.map_or(u64::MAX, NanoDollars::nanos);
        self.drawbacks
            .cmp(&other.drawbacks)
            .then_with(|| other.score.total_cmp(&self.score))
            .then_with(|| self.health.failure_rate.total_cmp(&other.health.failure_rate))
            .then_with(|| cost(self).cmp(&cost(other)))
            .then_with(|| other.quality.total_cmp(&self.quality))
            .then_with(|| self.seconds.total_cmp(&other.seconds))
            .then_with(|| other.info.context_window.cmp(&self.info.context_window))
            .then_with(|| self.hash.cmp(&other.hash))
            .then_with(|| self.target.cmp(other.target))
    }

    /// Where its quality is from.
    pub(super) fn source(&self, query: &RouteQuery) -> Cow<'_, str> {
        let source = match self.outcomes.round() {
            n if n >= 2.0 => Cow::Owned(format!("learned from {n:.0} outcomes")),
            n if n >= 1.0 => Cow::Borrowed("learned from 1 outcome"),
            _ => self.info.expected_quality(query.intent).1,
        };
        match self.signs {
            signs if signs <= -0.01 => Cow::Owned(format!("{source}, {signs:.2} for answers that were no good")),
            signs if signs >= 0.01 => Cow::Owned(format!("{source}, +{signs:.2} for answers of use")),
            _ => source,
        }
    }

    pub(super) fn reason(&self, rank: usize, query: &RouteQuery, previous: Option<&Self>, alternated: bool) -> String {
        let mut out = String::with_capacity(160);
        let intent = query.intent.as_str();
        // Writing into a String cannot fail.
        let _ = match (rank, previous) {
            (0, _) if query.pinned.is_some() => write!(out, "the caller insists on it"),
            (0, _) => match query.policies.strategy() {
                RoutingStrategy::Cheapest => write!(out, "the cheapest for {intent}"),
                RoutingStrategy::Fastest => write!(out, "the fastest for {intent}"),
                RoutingStrategy::Best => write!(out, "the best for {intent}"),
                RoutingStrategy::RoundRobin => write!(out, "it is its turn"),
                RoutingStrategy::Weighted => write!(out, "drawn by its weight"),
                RoutingStrategy::Ladder => write!(out, "the lowest rung of the ladder"),
                RoutingStrategy::Balanced => write!(out, "best balance for {intent}"),
            },
            (_, Some(previous)) if alternated => {
                write!(out, "next, at another provider in case {} is down", previous.target.provider)
            }
            _ if query.policies.strategy() == RoutingStrategy::Ladder => write!(out, "up the ladder"),
            _ => write!(out, "next best for {intent}"),
        };
        // In hundredths: writing a float exactly takes longer than all the rest of the sentence.
        let hundredths = (self.quality.clamp(0.0, 1.0) * 100.0).round() as u32;
        let _ = write!(out, ": quality {}.{:02} (", hundredths / 100, hundredths % 100);
        out.push_str(&self.source(query));
        out.push(')');
        let _ = match self.cost {
            Some(cost) if self.info.local && cost == NanoDollars::ZERO => write!(out, ", free on your own machine"),
            Some(cost) => write!(out, ", about {}", Dollars(cost)),
            None => write!(out, ", at a price that is not known"),
        };
        if let Some(seen) = self.health.first_token {
            let _ = write!(out, ", first token in {} ms", seen.as_millis());
        }
        if self.health.failure_rate >= 0.05 {
            let _ = write!(out, ", {:.0} % of its calls failing", self.health.failure_rate * 100.0);
        }
        if query.needs.web_search {
            out.push_str(match self.info.web_search {
                Some(WebSearch::Always) => ", searches the web",
                Some(WebSearch::Tool) => ", searches the web only if the request switches its server's tool on",
                None => ", does not search the web",
            });
        }
        if self.drawbacks.unsure_ability {
            out.push_str(", not known to do all that is asked");
        }
        if self.drawbacks.window_outgrown {
            out.push_str(match self.info.context_window {
                Some(_) => ", its window will soon be outgrown",
                None => ", its window is not known",
            });
        }
        if self.info.deprecated_on.is_some() {
            let _ = write!(out, ", to be retired on {}", self.info.deprecated_on.unwrap_or_default());
        }
        out
    }
}

/// Takes those that are dearer and no better than one before them out of a ladder and puts them at its end.
pub(super) fn ladder(ranked: Vec<Candidate<'_>>) -> Vec<(Candidate<'_>, bool)> {
    let (mut rungs, mut rest, mut best) =
        (Vec::with_capacity(ranked.len()), Vec::new(), (Drawbacks::default(), -1.0f32));
    for candidate in ranked {
        // Those with a drawback are a ladder of their own, behind.
        if candidate.drawbacks > best.0 {
            best = (candidate.drawbacks, -1.0);
            rungs.append(&mut rest);
        }
        if candidate.quality > best.1 {
            best.1 = candidate.quality;
            rungs.push(candidate);
        } else {
            rest.push(candidate);
        }
    }
    rungs.append(&mut rest);
    rungs.into_iter().map(|candidate| (candidate, false)).collect()
}

/// Puts the chain in an order in which no provider follows itself while another is left, so that one provider's outage does not
/// take two tries in a row. Candidates of unknown price stay behind those of known price. The flag says that a candidate stands
/// before a better one for this reason.
pub(super) fn alternate(ranked: Vec<Candidate<'_>>) -> Vec<(Candidate<'_>, bool)> {
    // One queue a provider, in order of rank; the next is the best head of another provider than the last.
    let mut out: Vec<(Candidate<'_>, bool)> = Vec::with_capacity(ranked.len());
    let (known, unknown): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|c| !c.drawbacks.price_unknown);
    for group in [known, unknown] {
        let mut queues: Vec<(&str, VecDeque<(usize, Candidate<'_>)>)> = Vec::new();
        for (rank, candidate) in group.into_iter().enumerate() {
            let provider = canonical_provider(&candidate.target.provider);
            match queues.iter_mut().find(|(name, _)| *name == provider) {
                Some((_, queue)) => queue.push_back((rank, candidate)),
                None => queues.push((provider, std::iter::once((rank, candidate)).collect())),
            }
        }
        loop {
            let last = out.last().map(|(c, _)| canonical_provider(&c.target.provider));
            let head = |queue: &VecDeque<(usize, Candidate<'_>)>| queue.front().map(|(rank, _)| *rank);
            let best = queues.iter().filter_map(|(_, q)| head(q)).min();
            let other = queues.iter().filter(|(name, _)| Some(*name) != last).filter_map(|(_, q)| head(q)).min();
            let Some(next) = other.or(best) else { break };
            let taken = queues.iter_mut().find(|(_, q)| head(q) == Some(next)).and_then(|(_, q)| q.pop_front());
            if let Some((_, candidate)) = taken {
                out.push((candidate, Some(next) != best));
            }
        }
    }
    out
}

/// An amount in two significant digits, for people.
pub(in crate::router) struct Dollars(pub(in crate::router) NanoDollars);

impl std::fmt::Display for Dollars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.nanos();
        let digits = nanos.checked_ilog10().unwrap_or(0);
        let unit = 10u64.pow(digits.saturating_sub(1));
        let rounded = (nanos / unit + u64::from(nanos % unit >= unit.div_ceil(2) && unit > 1)).saturating_mul(unit);
        write!(f, "{}", NanoDollars::from_nanos(rounded))
    }
}
