//! A candidate of a plan: its place among the others, and the sentence that says why.

use crate::chat::NanoDollars;
use crate::router::catalogue::canonical_provider;
use crate::router::{ModelInfo, Quick, RouteQuery, RoutingStrategy, Target, TargetHealth, WebSearch, fnv, stable_hash};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::hash::Hasher as _;

/// A candidate that meets every hard constraint.
pub(super) struct Candidate<'a> {
    pub(super) target: &'a Target,
    pub(super) info: &'a ModelInfo,
    pub(super) health: &'a TargetHealth,
    pub(super) cost: Option<NanoDollars>,
    /// Tokens of the prompt that are expected to come out of its cache.
    pub(super) cached: u64,
    pub(super) quality: f32,
    /// Where that was from before any outcome.
    pub(super) prior_source: Cow<'a, str>,
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
    pub(super) tie: &'a Tie<'a>,
}

/// What breaks a tie: a hash of question and target that is the same everywhere, made where it is needed, which is seldom.
pub(super) struct Tie<'a> {
    text: &'a str,
    of_text: OnceCell<u64>,
}

impl<'a> Tie<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, of_text: OnceCell::new() }
    }

    pub(super) fn hash(&self, target: &Target) -> u64 {
        let text = *self.of_text.get_or_init(|| stable_hash(self.text.as_bytes()));
        fnv(fnv(text, target.provider.as_bytes()), target.model.as_bytes())
    }
}

/// What puts a candidate behind all that lack it, whatever the score; the first that differs decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Drawbacks {
    pub(super) cannot_search: bool,
    pub(super) unsure_ability: bool,
    pub(super) window_outgrown: bool,
    pub(super) price_unknown: bool,
}

impl<'a> Candidate<'a> {
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
            .then_with(|| self.tie.hash(self.target).cmp(&other.tie.hash(other.target)))
            .then_with(|| self.target.cmp(other.target))
    }

    /// Seconds to the end of its answer.
    pub(super) fn seconds(&self) -> f64 {
        self.waiting + self.writing
    }

    /// Where its quality is from.
    pub(super) fn source(&self) -> Cow<'a, str> {
        let outcomes = self.outcomes.round();
        let mut source = match outcomes as u64 {
            0 => self.prior_source.clone(),
            1 => Cow::Borrowed("learned from 1 outcome"),
            n => {
                let mut out = String::with_capacity(40);
                out.push_str("learned from ");
                push_number(&mut out, n);
                out.push_str(" outcomes");
                Cow::Owned(out)
            }
        };
        if self.signs.abs() >= 0.01 {
            let what = if self.signs < 0.0 { "for answers that were no good" } else { "for answers of use" };
            let _ = write!(source.to_mut(), ", {:+.2} {what}", self.signs);
        }
        source
    }

    /// Why it stands at `rank`, after `previous`, in one sentence; `source` is where its quality is from.
    pub(super) fn reason(
        &self,
        rank: usize,
        query: &RouteQuery,
        source: &str,
        previous: Option<&Self>,
        alternated: bool,
    ) -> Cow<'static, str> {
        let strategy = query.policies.strategy();
        if rank >= TOLD {
            return Cow::Borrowed(match strategy {
                _ if alternated => "next, at another provider",
                RoutingStrategy::Ladder => "further up the ladder",
                _ => "next best",
            });
        }
        // Written by hand: this is most of what a plan costs, and formatting takes thrice as long.
        let mut out = String::with_capacity(160);
        let mut leads = |words: &str, named: &str| {
            out.push_str(words);
            out.push_str(named);
        };
        let intent = query.intent.as_str();
        match (rank, previous) {
            (0, _) if query.pinned.is_some() => leads("the caller insists on it", ""),
            (0, _) => match strategy {
                RoutingStrategy::Cheapest => leads("the cheapest for ", intent),
                RoutingStrategy::Fastest => leads("the fastest for ", intent),
                RoutingStrategy::Best => leads("the best for ", intent),
                RoutingStrategy::RoundRobin => leads("it is its turn", ""),
                RoutingStrategy::Weighted => leads("drawn by its weight", ""),
                RoutingStrategy::Ladder => leads("the lowest rung of the ladder", ""),
                RoutingStrategy::Balanced => leads("best balance for ", intent),
            },
            (_, Some(previous)) if alternated => {
                leads("next, at another provider in case ", &previous.target.provider);
                leads(" is down", "");
            }
            _ if strategy == RoutingStrategy::Ladder => leads("up the ladder", ""),
            _ => leads("next best for ", intent),
        }
        let hundredths = (self.quality.clamp(0.0, 1.0) * 100.0).round() as u64;
        out.push_str(": quality ");
        push_number(&mut out, hundredths / 100);
        out.push_str(if hundredths % 100 < 10 { ".0" } else { "." });
        push_number(&mut out, hundredths % 100);
        out.push_str(" (");
        out.push_str(source);
        out.push(')');
        match self.cost {
            Some(cost) if self.info.local && cost == NanoDollars::ZERO => out.push_str(", free on your own machine"),
            Some(cost) => {
                out.push_str(", about ");
                push_dollars(&mut out, cost);
            }
            None => out.push_str(", at a price that is not known"),
        }
        let mut figure = |before: &str, n: u64, after: &str| {
            out.push_str(before);
            push_number(&mut out, n);
            out.push_str(after);
        };
        if self.cached > 0 {
            figure(", ", self.cached, " tokens of the prompt in its cache");
        }
        if let Some(seen) = self.health.first_token {
            figure(", first token in ", u64::try_from(seen.as_millis()).unwrap_or(u64::MAX), " ms");
        }
        if let Some(pace) = self.health.tokens_per_second {
            figure(", ", pace.round() as u64, " tokens a second");
        }
        if self.health.failure_rate >= 0.05 {
            figure(", ", (self.health.failure_rate * 100.0).round() as u64, " % of its calls failing");
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
        if let Some(day) = self.info.deprecated_on {
            // Writing into a String cannot fail.
            let _ = write!(out, ", to be retired on {day}");
        }
        Cow::Owned(out)
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
    /// What stands where nobody is left.
    const NOBODY: usize = usize::MAX;
    let mut names: Vec<(u64, &str)> = Vec::with_capacity(16);
    let all: Vec<(usize, usize, bool)> = ranked
        .iter()
        .filter_map(|at| {
            let candidate = candidates.get(*at)?;
            let name = canonical_provider(&candidate.target.provider);
            let mut hash = Quick::default();
            hash.write(name.as_bytes());
            let key = (hash.finish(), name);
            let provider = names.iter().position(|known| *known == key).unwrap_or_else(|| {
                names.push(key);
                names.len() - 1
            });
            Some((*at, provider, candidate.drawbacks.price_unknown))
        })
        .collect();
    let mut out = Vec::with_capacity(all.len());
    let mut last = NOBODY;
    for unknown in [false, true] {
        // Those that are left, as a list in which each knows the next.
        let group: Vec<(usize, usize)> =
            all.iter().filter(|(_, _, price)| *price == unknown).map(|(at, provider, _)| (*at, *provider)).collect();
        let mut next: Vec<usize> = (1..=group.len()).collect();
        let mut left = vec![0usize; names.len()];
        group.iter().for_each(|(_, provider)| left.get_mut(*provider).into_iter().for_each(|n| *n += 1));
        let mut first = 0;
        for remaining in (1..=group.len()).rev() {
            let (mut before, mut at) = (NOBODY, first);
            if left.get(last).is_some_and(|own| *own < remaining) {
                while let (Some((_, provider)), Some(after)) = (group.get(at), next.get(at))
                    && *provider == last
                {
                    (before, at) = (at, *after);
                }
            }
            let (Some((place, provider)), Some(after)) = (group.get(at), next.get(at).copied()) else { break };
            out.push((*place, at != first));
            match next.get_mut(before) {
                Some(next) => *next = after,
                None => first = after,
            }
            last = *provider;
            left.get_mut(last).into_iter().for_each(|n| *n -= 1);
        }
    }
    out
}

/// Candidates whose sentence has all figures.
const TOLD: usize = 16;

fn push_number(out: &mut String, n: u64) {
    out.push_str(itoa::Buffer::new().format(n));
}

/// Writes an amount in two significant digits, for people: `$0.0038`.
fn push_dollars(out: &mut String, amount: NanoDollars) {
    const DOLLAR: u64 = 1_000_000_000;
    let nanos = two_digits(amount.nanos());
    out.push('$');
    push_number(out, nanos / DOLLAR);
    // A one before it keeps the zeros with which the fraction begins.
    let mut buffer = itoa::Buffer::new();
    let fraction = buffer.format(DOLLAR + nanos % DOLLAR).get(1..).unwrap_or_default();
    let trimmed = fraction.trim_end_matches('0');
    out.push('.');
    out.push_str(if trimmed.len() < 2 { fraction.get(..2).unwrap_or(fraction) } else { trimmed });
}

fn two_digits(nanos: u64) -> u64 {
    let digits = nanos.checked_ilog10().unwrap_or(0);
    let unit = 10u64.pow(digits.saturating_sub(1));
    (nanos / unit + u64::from(nanos % unit >= unit.div_ceil(2) && unit > 1)).saturating_mul(unit)
}

/// An amount in two significant digits, for people.
pub(in crate::router) struct Dollars(pub(in crate::router) NanoDollars);

impl std::fmt::Display for Dollars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::with_capacity(16);
        push_dollars(&mut out, self.0);
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn amounts_are_written_as_elsewhere(nanos in proptest::prelude::any::<u64>(), small in 0u64..100_000_000_000) {
            for nanos in [nanos, small] {
                let mut out = String::new();
                push_dollars(&mut out, NanoDollars::from_nanos(nanos));
                proptest::prop_assert_eq!(out, NanoDollars::from_nanos(two_digits(nanos)).to_string());
            }
        }
    }
}
