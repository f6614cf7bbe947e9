//! What a host allows and wants of the choice: lists, residency, a budget, and a strategy by name.

use super::catalogue::{canonical_provider, is_local};
use super::{Target, types::Regions};
use crate::chat::NanoDollars;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Patterns of one list at the most.
const MOST_PATTERNS: usize = 1_000;

/// How the models that can answer are put in order. Whatever it is, hard constraints come first, and what a model is not known to do puts
/// it behind those that are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RoutingStrategy {
    /// Expected quality against cost and latency; the preference for quality says how much of each. The default.
    #[default]
    Balanced,
    /// The lowest expected cost.
    Cheapest,
    /// The shortest time to the first token, as it was seen lately.
    Fastest,
    /// The highest expected quality.
    Best,
    /// In turns: the model that was called least lately, calls on their way included.
    RoundRobin,
    /// Drawn in proportion to [`RoutingPolicy::weights`], in the same way for the same turn.
    Weighted,
    /// The cheapest first, then each next that costs more and is expected to be better: the ladder that an answer which is no good is
    /// sent up (see [`RoutingPolicy::escalate`]).
    Ladder,
}

impl RoutingStrategy {
    /// All of them.
    pub const ALL: [RoutingStrategy; 7] =
        [Self::Balanced, Self::Cheapest, Self::Fastest, Self::Best, Self::RoundRobin, Self::Weighted, Self::Ladder];

    /// Its name in `snake_case`, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Best => "best",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::Ladder => "ladder",
        }
    }
}

/// What is allowed and wanted of the choice of a model: for everybody, for an organisation, in an experiment or for one question. What
/// any of these forbids is forbidden; of the rest the more particular one decides.
///
/// A pattern names models: `provider/model`, with `*` for any run of characters; one without `/` names a whole provider.
///
/// ```
/// use syntra_core::router::{RoutingPolicy, RoutingStrategy, Target};
/// let policy = RoutingPolicy::new().with_strategy(RoutingStrategy::Cheapest).with_deny(["openai/*-pro", "xai"]);
/// assert!(policy.permits(&Target::new("openai", "gpt-4o")));
/// assert!(!policy.permits(&Target::new("openai", "o3-pro")) && !policy.permits(&Target::new("xai", "grok-4")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RoutingPolicy {
    /// How the models are put in order.
    pub strategy: Option<RoutingStrategy>,
    /// Between the cheapest (0) and the best (1), for [`RoutingStrategy::Balanced`].
    pub quality: Option<f32>,
    /// Patterns of the models that may be called; empty for all.
    pub allow: Vec<String>,
    /// Patterns of the models that may not be called, whatever is allowed.
    pub deny: Vec<String>,
    /// Regions in which the data may be worked on; empty for all. A provider's regions are what the host says of it
    /// ([`crate::SyntraBuilder::region`]); one of which nothing is said is left out, one on the user's own machine never is.
    pub residency: Vec<String>,
    /// The most that one call may cost.
    pub max_cost: Option<NanoDollars>,
    /// By pattern, how often a model is drawn by [`RoutingStrategy::Weighted`]; of those that fit the longest counts, 1 where none does, 0 for
    /// only when nothing else is left.
    pub weights: BTreeMap<String, f64>,
    /// Whether an answer that is refused, empty or against its JSON schema is asked of a stronger model. It is by default.
    pub escalate: Option<bool>,
}

impl RoutingPolicy {
    /// A policy that forbids nothing and wants nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how the models are put in order.
    pub fn with_strategy(mut self, strategy: RoutingStrategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets the preference between the cheapest (0) and the best (1).
    pub fn with_quality(mut self, quality: f32) -> Self {
        self.quality = Some(quality);
        self
    }

    /// Allows the models that these patterns name, and no others.
    pub fn with_allow<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.allow.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Forbids the models that these patterns name.
    pub fn with_deny<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.deny.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Keeps the data in these regions.
    pub fn with_residency<S: Into<String>>(mut self, regions: impl IntoIterator<Item = S>) -> Self {
        self.residency.extend(regions.into_iter().map(Into::into));
        self
    }

    /// Leaves out models whose call would cost more.
    pub fn with_max_cost(mut self, cost: NanoDollars) -> Self {
        self.max_cost = Some(cost);
        self
    }

    /// Sets how often the models that `pattern` names are drawn.
    pub fn with_weight(mut self, pattern: impl Into<String>, weight: f64) -> Self {
        self.weights.insert(pattern.into(), weight);
        self
    }

    /// Sets whether an answer that is no good is asked of a stronger model.
    pub fn with_escalate(mut self, escalate: bool) -> Self {
        self.escalate = Some(escalate);
        self
    }

    /// Whether its lists let `target` be called.
    pub fn permits(&self, target: &Target) -> bool {
        let names = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, target));
        (self.allow.is_empty() || names(&self.allow)) && !names(&self.deny)
    }

    /// Whether `target` works on data where this policy wants it, given where each provider does.
    pub fn resides(&self, target: &Target, regions: &Regions) -> bool {
        let at = || regions.get(&target.provider).or_else(|| regions.get(canonical_provider(&target.provider)));
        self.residency.is_empty()
            || match at() {
                // Where several are possible, none of them may be another.
                Some(at) => !at.is_empty() && at.iter().all(|region| self.residency.contains(region)),
                None => is_local(&target.provider),
            }
    }

    /// Checks what cannot be checked by its type.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] naming the field and what would be right.
    pub fn check(&self) -> Result<()> {
        if self.quality.is_some_and(|q| !(0.0..=1.0).contains(&q)) {
            let got = self.quality.unwrap_or_default();
            return Err(Error::invalid(format!("policy: quality {got} is not between 0 (cheapest) and 1 (best)")));
        }
        for (name, list) in [("allow", &self.allow), ("deny", &self.deny), ("residency", &self.residency)] {
            if list.len() > MOST_PATTERNS {
                return Err(Error::invalid(format!("policy: {name} has more than {MOST_PATTERNS} entries")));
            }
            if list.iter().any(|entry| entry.trim().is_empty()) {
                return Err(Error::invalid(format!("policy: an entry of {name} is empty")));
            }
        }
        if self.weights.len() > MOST_PATTERNS {
            return Err(Error::invalid(format!("policy: there are more than {MOST_PATTERNS} weights")));
        }
        match self.weights.iter().find(|(pattern, w)| pattern.trim().is_empty() || !w.is_finite() || **w < 0.0) {
            Some((pattern, weight)) => Err(Error::invalid(format!(
                "policy: the weight {weight} of {pattern:?} has to be a number of at least 0 for a pattern such as openai/*"
            ))),
            None => Ok(()),
        }
    }

    /// The weight of `target`.
    pub(super) fn weight(&self, target: &Target) -> f64 {
        let fitting = self.weights.iter().filter(|(pattern, _)| fits(pattern, target));
        fitting.max_by_key(|(pattern, _)| pattern.len()).map_or(1.0, |(_, weight)| *weight)
    }
}

/// Several policies as one: what any forbids is forbidden, of the rest the last word counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies(Vec<Arc<RoutingPolicy>>);

impl Policies {
    /// `policies`, the most general first.
    pub fn new(policies: impl IntoIterator<Item = Arc<RoutingPolicy>>) -> Self {
        Self(policies.into_iter().filter(|policy| **policy != RoutingPolicy::default()).collect())
    }

    fn last<T>(&self, read: impl Fn(&RoutingPolicy) -> Option<T>) -> Option<T> {
        self.0.iter().rev().find_map(|policy| read(policy))
    }

    /// How the models are put in order.
    pub fn strategy(&self) -> RoutingStrategy {
        self.last(|policy| policy.strategy).unwrap_or_default()
    }

    /// The preference for quality, where one of them has one.
    pub fn quality(&self) -> Option<f32> {
        self.last(|policy| policy.quality)
    }

    /// The least of the limits on the cost of a call.
    pub fn max_cost(&self) -> Option<NanoDollars> {
        self.0.iter().filter_map(|policy| policy.max_cost).min()
    }

    /// Whether an answer that is no good is asked of a stronger model.
    pub fn escalate(&self) -> bool {
        self.last(|policy| policy.escalate).unwrap_or(true)
    }

    /// Whether all lists let `target` be called.
    pub fn permits(&self, target: &Target) -> bool {
        self.0.iter().all(|policy| policy.permits(target))
    }

    /// Whether `target` works on data where all of them want it.
    pub fn resides(&self, target: &Target, regions: &Regions) -> bool {
        self.0.iter().all(|policy| policy.resides(target, regions))
    }

    /// The weight of `target`, as the last of them that has weights says.
    pub(super) fn weight(&self, target: &Target) -> f64 {
        self.0.iter().rev().find(|policy| !policy.weights.is_empty()).map_or(1.0, |policy| policy.weight(target))
    }
}

/// Whether `pattern` names `target`.
fn fits(pattern: &str, target: &Target) -> bool {
    match pattern.split_once('/') {
        None => glob(pattern, &target.provider) || glob(pattern, canonical_provider(&target.provider)),
        Some((provider, model)) => {
            (glob(provider, &target.provider) || glob(provider, canonical_provider(&target.provider)))
                && glob(model, &target.model)
        }
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(begin) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_name_models_and_providers() {
        let target = Target::new("openai", "gpt-4o-mini");
        for (pattern, named) in [
            ("openai", true),
            ("openai/*", true),
            ("openai/gpt-4o-mini", true),
            ("openai/gpt-4o", false),
            ("*/gpt-*", true),
            ("*/*-mini", true),
            ("*/*4o*", true),
            ("open*", true),
            ("anthropic", false),
            ("*/*mini*x", false),
            ("gpt-4o-mini", false),
        ] {
            assert_eq!(fits(pattern, &target), named, "{pattern}");
        }
        // An adapter's other name is the same provider.
        assert!(fits("gemini", &Target::new("google", "x")));
    }

    #[test]
    fn of_several_what_any_forbids_is_forbidden_and_the_last_word_counts() {
        let cents = |n: u64| NanoDollars::from_nanos(n * 10_000_000);
        let host = RoutingPolicy::new().with_deny(["xai"]).with_quality(0.2).with_max_cost(cents(5));
        let org = RoutingPolicy::new().with_allow(["openai", "xai"]).with_strategy(RoutingStrategy::Best);
        let ask = RoutingPolicy::new().with_allow(["*/gpt-*"]).with_quality(0.9).with_max_cost(cents(9));
        let all = Policies::new([host, org, ask].map(Arc::new));
        assert!(all.permits(&Target::new("openai", "gpt-5")));
        for (provider, model) in [("openai", "o3"), ("xai", "gpt-1"), ("anthropic", "gpt-1")] {
            assert!(!all.permits(&Target::new(provider, model)), "{provider}/{model}");
        }
        assert_eq!((all.quality(), all.strategy()), (Some(0.9), RoutingStrategy::Best));
        assert_eq!(all.max_cost(), Some(cents(5)));
        assert!(all.escalate() && Policies::default().permits(&Target::new("a", "b")));
    }

    #[test]
    fn data_stays_where_it_may_be() {
        let policy = RoutingPolicy::new().with_residency(["eu", "ch"]);
        let regions: Regions = [("a", vec!["eu"]), ("b", vec!["eu", "us"]), ("c", vec!["us"]), ("ollama", vec!["us"])]
            .into_iter()
            .map(|(provider, at)| (provider.to_owned(), at.into_iter().map(str::to_owned).collect()))
            .collect();
        let resides = |provider: &str| policy.resides(&Target::new(provider, "m"), &regions);
        assert!(resides("a") && resides("llamacpp"));
        // In either of two places is not in the one; what nothing is said of is not known to be anywhere; what is said of a server counts.
        assert!(!resides("b") && !resides("c") && !resides("d") && !resides("ollama"));
        assert!(RoutingPolicy::new().resides(&Target::new("d", "m"), &regions));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (policy, word) in [
            (RoutingPolicy::new().with_quality(1.5), "quality"),
            (RoutingPolicy::new().with_allow([" "]), "allow"),
            (RoutingPolicy::new().with_weight("a", -1.0), "weight"),
            (RoutingPolicy::new().with_weight("a", f64::NAN), "weight"),
        ] {
            let error = policy.check().unwrap_err();
            assert!(error.message().contains(word), "{error}");
        }
        RoutingPolicy::new().with_quality(1.0).with_weight("a/*", 0.0).check().unwrap();
    }

    proptest! {
        #[test]
        fn a_pattern_is_a_regular_expression(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let regex = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap();
            prop_assert_eq!(glob(&pattern, &text), regex.is_match(&text));
        }
    }
}
