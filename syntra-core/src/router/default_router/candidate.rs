//! A candidate of a plan: its place among the others, and the sentence that says why.

use crate::chat::NanoDollars;
use crate::router::catalogue::canonical_provider;
use crate::router::{ModelInfo, RouteQuery, RoutingStrategy, Target, TargetHealth, WebSearch};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

/// A candidate that meets every hard constraint.
pub(super) struct Candidate<'a> {
    pub(super) target: &'a Target,
    pub(super) info: &'a ModelInfo,
    pub(super) health: &'a TargetHealth,
    pub(super) cost: Option<NanoDollars>,
    /// Tokens of the prompt that are expected to come out of its cache.
    pub(super) cached: u64,
    pub(super) quality: f32,
    /// What it is hoped to be beyond that.
    pub(super) hope: f32,
    /// Outcomes of its own that the quality rests on.
    pub(super) outcomes: f32,
    /// What signs without a score make of its quality.
    pub(super) signs: f32,
    /// Seconds to the first token, and from there to the end.
    pub(super) waiting: f64,
    pub(super) writing: f64,
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
            .then_with(|| self.seconds().total_cmp(&other.seconds()))
            .then_with(|| other.info.context_window.cmp(&self.info.context_window))
            .then_with(|| self.hash.cmp(&other.hash))
            .then_with(|| self.target.cmp(other.target))
    }

    /// Seconds to the end of its answer.
    pub(super) fn seconds(&self) -> f64 {
        self.waiting + self.writing
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

    /// Why it stands at `rank`, after `previous`, in one sentence; `source` is where its quality is from.
    pub(super) fn reason(
        &self,
        rank: usize,
        query: &RouteQuery,
        source: &str,
        previous: Option<&Self>,
        alternated: bool,
    ) -> String {
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
        out.push_str(source);
        out.push(')');
        let _ = match self.cost {
            Some(cost) if self.info.local && cost == NanoDollars::ZERO => write!(out, ", free on your own machine"),
            Some(cost) => write!(out, ", about {}", Dollars(cost)),
            None => write!(out, ", at a price that is not known"),
        };
        if self.cached > 0 {
            let _ = write!(out, ", {} tokens of the prompt in its cache", self.cached);
        }
        if let Some(seen) = self.health.first_token {
            let _ = write!(out, ", first token in {} ms", seen.as_millis());
        }
        if let Some(pace) = self.health.tokens_per_second {
            let _ = write!(out, ", {} tokens a second", pace.round() as u64);
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

/// Takes those that are dearer and no better than one before them out of a ladder and puts them at its end. `ranked` has places in
/// `candidates`, best first.
pub(super) fn ladder(candidates: &[Candidate<'_>], ranked: Vec<usize>) -> Vec<(usize, bool)> {
    let (mut rungs, mut rest, mut best) =
        (Vec::with_capacity(ranked.len()), Vec::new(), (Drawbacks::default(), -1.0f32));
    for at in ranked {
        let Some(candidate) = candidates.get(at) else { continue };
        // Those with a drawback are a ladder of their own, behind.
        if candidate.drawbacks > best.0 {
            best = (candidate.drawbacks, -1.0);
            rungs.append(&mut rest);
        }
        if candidate.quality > best.1 {
            best.1 = candidate.quality;
            rungs.push((at, false));
        } else {
            rest.push((at, false));
        }
    }
    rungs.append(&mut rest);
    rungs
}

/// Puts the chain in an order in which no provider follows itself while another is left, so that one provider's outage does not
/// take two tries in a row. Candidates of unknown price stay behind those of known price. The flag says that a candidate stands
/// before a better one for this reason. `ranked` has places in `candidates`, best first.
pub(super) fn alternate(candidates: &[Candidate<'_>], ranked: &[usize]) -> Vec<(usize, bool)> {
    /// What stands where a provider has nobody left.
    const NOBODY: usize = usize::MAX;
    let unknown = |at: &usize| candidates.get(*at).is_some_and(|c| c.drawbacks.price_unknown);
    let mut names: Vec<&str> = Vec::new();
    // By rank, the place of the provider; the next rank of the same provider; by provider, the ranks of the next and of the last.
    let mut providers = Vec::with_capacity(ranked.len());
    let mut next = vec![NOBODY; ranked.len()];
    let (mut heads, mut tails): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut out = Vec::with_capacity(ranked.len());
    let mut last = NOBODY;
    for known in [true, false] {
        heads.fill(NOBODY);
        providers.clear();
        for (rank, at) in ranked.iter().enumerate() {
            let name = candidates.get(*at).map_or("", |c| canonical_provider(&c.target.provider));
            let provider = names.iter().position(|n| *n == name).unwrap_or_else(|| {
                names.push(name);
                heads.push(NOBODY);
                tails.push(NOBODY);
                names.len() - 1
            });
            providers.push(provider);
            let (Some(head), Some(tail)) = (heads.get_mut(provider), tails.get_mut(provider)) else { continue };
            if unknown(at) == known {
                continue;
            }
            if *head == NOBODY {
                *head = rank;
            } else if let Some(next) = next.get_mut(*tail) {
                *next = rank;
            }
            *tail = rank;
        }
        loop {
            let best = heads.iter().copied().min().unwrap_or(NOBODY);
            let held = heads.get_mut(last).map(|head| std::mem::replace(head, NOBODY));
            let other = heads.iter().copied().min().unwrap_or(NOBODY);
            if let (Some(held), Some(head)) = (held, heads.get_mut(last)) {
                *head = held;
            }
            let taken = if other == NOBODY { best } else { other };
            let (Some(at), Some(provider)) = (ranked.get(taken), providers.get(taken)) else { break };
            out.push((*at, taken != best));
            last = *provider;
            if let Some(head) = heads.get_mut(last) {
                *head = next.get(taken).copied().unwrap_or(NOBODY);
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
