//! The router that ships: hard constraints, then one score of quality, cost and latency, then a chain over providers.

mod candidate;
mod rounds;

use super::catalogue::{canonical_provider, is_local};
use super::constraints::{Ask, Exclusion};
use super::learning::{Learner, Scored, View};
use super::near::near_misses;
use super::{
    CandidateReport, Catalogue, Fleet, Intent, ModelInfo, Plan, Planned, Quick, QuickHash, RouteOutcome, RouteQuery,
    Router, RoutingStrategy, Standing, Target, TargetHealth, WebSearch, predicted_output_tokens, uniform,
};
use crate::chat::NanoDollars;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
pub(super) use candidate::Dollars;
use candidate::{Candidate, Drawbacks, Tie, alternate, ladder};
use jiff::tz::TimeZone;
use rounds::Rounds;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// What a host prefers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouterPreferences {
    /// Between the cheapest capable model (0) and the best (1). 0.5.
    pub quality: f32,
}

impl Default for RouterPreferences {
    fn default() -> Self {
        Self { quality: 0.5 }
    }
}

impl RouterPreferences {
    /// The preference for `quality`, from 0 (the cheapest capable model) to 1 (the best).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it is not between 0 and 1.
    pub fn quality(quality: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&quality) {
            return Err(Error::invalid(format!("quality {quality} is not between 0 (cheapest) and 1 (best)")));
        }
        Ok(Self { quality })
    }
}

/// Chooses by capability, then by expected quality, cost and latency. `docs/routing.md` explains the decision.
///
/// ```
/// use std::sync::Arc;
/// use syntra_core::SystemClock;
/// use syntra_core::router::{Catalogue, DefaultRouter, Fleet, Intent, RouteQuery, Router, RouterPreferences, Target};
///
/// let router = DefaultRouter::new(Catalogue::builtin(), RouterPreferences::default(), Arc::new(SystemClock::new()));
/// let fleet = Fleet::untried([Target::new("openai", "gpt-5.4-nano"), Target::new("anthropic", "claude-sonnet-5")]);
/// let small_talk = router.plan(&RouteQuery::new("hello!", Intent::SocialChat), &fleet)?;
/// assert_eq!(small_talk.order[0].target.model, "gpt-5.4-nano");
/// let code = router.plan(&RouteQuery::new("Write a parser in Rust", Intent::CodingHelp), &fleet)?;
/// assert_eq!(code.order[0].target.model, "claude-sonnet-5");
/// println!("{}", code.explain());
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Debug)]
pub struct DefaultRouter {
    catalogue: Catalogue,
    preferences: RouterPreferences,
    clock: Arc<dyn Clock>,
    learner: Learner,
    rounds: Rounds,
}

/// What a whole point of expected quality (a useless answer against a perfect one) is worth at a quality preference of one half, in
/// dollars, where the most is at stake. So there a model of quality .95 is chosen over one of .40 as long as the answer costs less
/// than three cents more.
const QUALITY_WORTH_USD: f64 = 0.05;

/// What a second of waiting for the first token costs, in dollars, at a quality preference of one half.
const SECOND_WORTH_USD: f64 = 0.001;

/// What a second in which the answer is being written costs beside one of waiting for its first word: who sees it come reads meanwhile.
const WRITING_SHARE: f64 = 0.25;

/// The latency assumed where none of the fleet was ever heard.
const FIRST_TOKEN_GUESS_S: f64 = 1.0;

/// Messages after which a conversation counts as long, and a window that it will soon outgrow as a drawback.
const LONG_CONVERSATION: usize = 10;

/// The window that local servers have when nobody sets another.
const LOCAL_WINDOW_GUESS: u64 = 4_096;

/// How much depends on the model, by intent: small talk is good with any, code and mathematics are not.
fn stakes(intent: Intent) -> f64 {
    match intent {
        Intent::CodingHelp | Intent::ReasoningMath => 1.0,
        Intent::EditingWriting | Intent::Vision => 0.5,
        Intent::QaRetrieval | Intent::WebSearch => 0.3,
        Intent::Shopping => 0.2,
        Intent::SocialChat => 0.01,
    }
}

/// The stakes of a question that is not understood.
const UNSURE_STAKES: f64 = 0.45;

impl DefaultRouter {
    /// A router over `catalogue`; `clock` tells which models are retired.
    pub fn new(catalogue: Catalogue, preferences: RouterPreferences, clock: Arc<dyn Clock>) -> Self {
        Self { catalogue, preferences, clock, learner: Learner::default(), rounds: Rounds::default() }
    }

    /// The models it knows.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What the host prefers.
    pub fn preferences(&self) -> &RouterPreferences {
        &self.preferences
    }

    /// What is known of `target`.
    fn info(&self, target: &Target) -> Cow<'_, ModelInfo> {
        match self.catalogue.find(&target.provider, &target.model) {
            Some(row) => Cow::Borrowed(row),
            None => Cow::Owned(unlisted(target)),
        }
    }

    /// The place in `fleet` of the target that `pinned` names.
    fn resolve_pinned(&self, pinned: &str, fleet: &Fleet) -> Result<usize> {
        let targets = || fleet.targets.iter().map(|(target, _)| target);
        let exact = targets().position(|t| {
            pinned.strip_prefix(t.provider.as_str()).and_then(|r| r.strip_prefix('/')) == Some(t.model.as_str())
        });
        let by_alias = || {
            let (provider, model) = pinned.split_once('/')?;
            let row = self.catalogue.find(provider, model)?;
            targets().position(|t| {
                canonical_provider(&t.provider) == row.provider
                    && self.catalogue.find(&t.provider, &t.model).is_some_and(|r| r.model == row.model)
            })
        };
        let by_model = || {
            let mut found = targets().enumerate().filter(|(_, t)| t.model == pinned).map(|(at, _)| at);
            found.next().filter(|_| found.next().is_none())
        };
        exact.or_else(by_alias).or_else(by_model).ok_or_else(|| {
            let names: Vec<String> = targets().map(Target::to_string).collect();
            let near = near_misses(pinned, names.iter().map(String::as_str), 3);
            let (word, list) = if near.is_empty() {
                ("there are", names.iter().map(String::as_str).take(8).collect())
            } else {
                ("near misses", near)
            };
            Error::new(
                ErrorKind::NotFound,
                format!("`{pinned}` is none of the models that can be called; {word}: {}", list.join(", ")),
            )
        })
    }

    fn score(&self, query: &RouteQuery, candidate: &Candidate<'_>, stakes: f64) -> f64 {
        let failing = f64::from(candidate.health.failure_rate.clamp(0.0, 0.9));
        let quality = f64::from(candidate.quality + candidate.hope) * (1.0 - failing);
        // A call that fails is made again, so what an answer costs is the price of a call by its chance to succeed.
        let usd = candidate.cost.map_or(0.0, NanoDollars::usd) / (1.0 - failing);
        let k = match query.policies.strategy() {
            RoutingStrategy::Cheapest | RoutingStrategy::Ladder => return -usd,
            RoutingStrategy::Best => return quality,
            RoutingStrategy::Fastest => return -candidate.seconds() / (1.0 - failing),
            RoutingStrategy::RoundRobin => {
                return -(self.rounds.of(candidate.target) as f64 + f64::from(candidate.health.in_flight));
            }
            RoutingStrategy::Weighted => {
                // The largest of u^(1/w) is each with the chance w / Σw: Efraimidis and Spirakis, "Weighted random sampling with a
                // reservoir", 2006; here its logarithm.
                let weight = query.policies.weight(candidate.target);
                let seed = candidate.tie.hash(candidate.target) ^ query.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                return if weight > 0.0 { uniform(seed).ln() / weight } else { f64::NEG_INFINITY };
            }
            RoutingStrategy::Balanced => query.quality.or(query.policies.quality()).filter(|k| !k.is_nan()),
        };
        let k = f64::from(k.unwrap_or(self.preferences.quality).clamp(0.0, 1.0));
        // At 0 the cost alone counts, at 1 the quality alone; latency counts in between.
        k.powi(3) * QUALITY_WORTH_USD * stakes * quality
            - (1.0 - k).powi(3) * usd
            - 0.5 * k * (1.0 - k) * SECOND_WORTH_USD * (candidate.waiting + WRITING_SHARE * candidate.writing)
    }
}

impl Router for DefaultRouter {
    fn plan(&self, query: &RouteQuery, fleet: &Fleet) -> Result<Plan> {
        if fleet.targets.is_empty() {
            let wanted = query.pinned.as_deref().map(|name| format!(" (`{name}` was asked for)")).unwrap_or_default();
            let problem = format!("there is no model to choose from{wanted}; configure a provider");
            return Err(Error::new(ErrorKind::Config, problem));
        }
        let pinned = query.pinned.as_deref().map(|name| self.resolve_pinned(name, fleet)).transpose()?;
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let predicted = predicted_output_tokens(query.intent) + if query.needs.reasoning { THINKING_TOKENS } else { 0 };
        let ask = Ask { query, today, pinned: pinned.is_some(), output: predicted.min(query.output_tokens.max(1)) };
        let confidence = f64::from(query.confidence.clamp(0.0, 1.0));
        let stakes = confidence * stakes(query.intent) + (1.0 - confidence) * UNSURE_STAKES;
        self.learner.with_view(query, |learned| self.choose(query, fleet, &ask, pinned, stakes, learned))
    }

    fn observe(&self, outcome: &RouteOutcome) {
        match outcome.sign {
            Some(sign) => self.learner.sign(&outcome.organisation, &outcome.target, sign),
            None if outcome.score.is_none() => self.rounds.called(&outcome.target),
            None => {}
        }
        let Some(score) = outcome.score.filter(|score| (0.0..=1.0).contains(score)) else { return };
        let info = self.info(&outcome.target);
        // What the cache made cheaper is known from elsewhere; what is learned is the rest.
        let cached = outcome.cached_input_tokens.unwrap_or(0);
        let predicted = predicted_output_tokens(outcome.intent);
        let expected = info.price.estimate_cached(outcome.input_tokens, cached, predicted);
        self.learner.learn(&Scored {
            organisation: &outcome.organisation,
            question: &outcome.question,
            intent: outcome.intent,
            target: &outcome.target,
            prior: info.expected_quality(outcome.intent).0,
            score,
            cost: outcome.cost.zip(expected).map(|(cost, expected)| (cost.usd(), expected.usd())),
        });
    }

    fn export_learned(&self, organisation: &str) -> Option<serde_json::Value> {
        self.learner.export(organisation)
    }

    fn import_learned(&self, organisation: &str, learned: &serde_json::Value) -> Result<()> {
        self.learner.import(organisation, learned)
    }

    fn reset_learned(&self, organisation: &str) -> bool {
        self.learner.reset(organisation)
    }
}

impl DefaultRouter {
    /// The plan, given what was learned for the question.
    fn choose(
        &self,
        query: &RouteQuery,
        fleet: &Fleet,
        ask: &Ask<'_>,
        pinned: Option<usize>,
        stakes: f64,
        learned: Option<&View<'_>>,
    ) -> Result<Plan> {
        // What is at stake is a guess as well, and outcomes say how much quality differs.
        let certain = learned.map_or(0.0, View::certainty);
        let stakes = (1.0 - certain) * stakes + certain * UNSURE_STAKES;
        let usual = Usual::of(fleet);
        let tie = Tie::of(&query.text);

        let strategy = query.policies.strategy();
        let counts_cost =
            matches!(strategy, RoutingStrategy::Balanced | RoutingStrategy::Cheapest | RoutingStrategy::Ladder);
        // What the catalogue does not have stands beside it.
        let rows: Vec<Option<&ModelInfo>> =
            fleet.targets.iter().map(|(target, _)| self.catalogue.find(&target.provider, &target.model)).collect();
        let unlisted: Vec<(usize, ModelInfo)> = fleet
            .targets
            .iter()
            .enumerate()
            .filter(|(at, _)| rows.get(*at).is_none_or(Option::is_none))
            .map(|(at, (target, _))| (at, unlisted(target)))
            .collect();
        let mut others = unlisted.iter();
        let mut seen: HashMap<u64, usize, QuickHash> =
            HashMap::with_capacity_and_hasher(fleet.targets.len(), QuickHash::default());
        let mut passed: Vec<Candidate<'_>> = Vec::with_capacity(fleet.targets.len());
        let mut excluded: Vec<(CandidateReport, Exclusion)> = Vec::new();
        for (at, ((target, health), row)) in fleet.targets.iter().zip(&rows).enumerate() {
            let Some(info) = row.or_else(|| others.next().map(|(_, info)| info)) else { continue };
            let mut hash = Quick::default();
            target.hash(&mut hash);
            let hash = hash.finish();
            let before = *seen.entry(hash).or_insert(at);
            if before != at && fleet.targets.get(before).is_some_and(|(before, _)| before == target) {
                continue;
            }
            let cached = query.cached_tokens(target);
            let mut cost = info.price.estimate_cached(query.input_tokens, cached, ask.output);
            let exclusion = if pinned.is_some_and(|p| p != at) {
                Some(Exclusion::NotPinned)
            } else {
                ask.exclusion(target, info, health)
            };
            if let Some(exclusion) = exclusion {
                let sentence = exclusion.sentence(info, query);
                let mut report = CandidateReport::new(target.clone(), Standing::Excluded, None, sentence);
                fill(&mut report, info, health, cost, cached, ask.output);
                excluded.push((report, exclusion));
                continue;
            }
            let (mut quality, prior_source) = info.expected_quality(query.intent);
            let (mut hope, mut outcomes, mut signs) = (0.0, 0.0, 0.0);
            if let Some(learned) = learned {
                let expected = learned.of(target, quality, cost.map(NanoDollars::usd));
                (quality, hope, outcomes, signs) = (expected.quality, expected.hope, expected.outcomes, expected.signs);
                cost = cost.map(|cost| NanoDollars::from_usd(cost.usd() * expected.cost_factor).unwrap_or(cost));
            }
            let needed = query.input_tokens.saturating_add(query.output_tokens);
            let window_outgrown = match info.context_window {
                Some(window) => query.history_messages > LONG_CONVERSATION && window < needed.saturating_mul(2),
                None => needed > LOCAL_WINDOW_GUESS,
            };
            let drawbacks = Drawbacks {
                cannot_search: query.needs.web_search && info.web_search != Some(WebSearch::Always),
                unsure_ability: ask.is_unsure(info),
                window_outgrown,
                price_unknown: counts_cost && cost.is_none(),
            };
            let waiting = health.first_token.map_or(usual.first_token, |t| t.as_secs_f64());
            let writing = health.tokens_per_second.map(f64::from).or(usual.tokens_per_second);
            let writing = writing.map_or(0.0, |pace| ask.output as f64 / pace.max(1e-3));
            let mut candidate = Candidate {
                target,
                info,
                health,
                cost,
                cached,
                quality,
                prior_source,
                hope,
                outcomes,
                signs,
                waiting,
                writing,
                drawbacks,
                score: 0.0,
                tie: &tie,
            };
            candidate.score = self.score(query, &candidate, stakes);
            passed.push(candidate);
        }
        if passed.is_empty() {
            return Err(Exclusion::error(&excluded, query));
        }
        let mut ranked: Vec<usize> = (0..passed.len()).collect();
        ranked.sort_unstable_by(|a, b| match (passed.get(*a), passed.get(*b)) {
            (Some(a), Some(b)) => a.order(b),
            _ => a.cmp(b),
        });
        let ranked =
            if strategy == RoutingStrategy::Ladder { ladder(&passed, ranked) } else { alternate(&passed, &ranked) };

        let mut order = Vec::with_capacity(ranked.len());
        let mut candidates = Vec::with_capacity(ranked.len() + excluded.len());
        let mut previous = None;
        for (rank, (candidate, alternated)) in
            ranked.iter().filter_map(|(at, alternated)| Some((passed.get(*at)?, *alternated))).enumerate()
        {
            let source = candidate.source();
            let reason = candidate.reason(rank, query, &source, previous, alternated);
            let standing = if rank == 0 { Standing::Chosen } else { Standing::Fallback };
            let mut report = CandidateReport::new(candidate.target.clone(), standing, Some(rank), reason.clone());
            fill(&mut report, candidate.info, candidate.health, candidate.cost, candidate.cached, ask.output);
            report.predicted_quality = Some(candidate.quality);
            report.quality_source = Some(Cow::Owned(source.into_owned()));
            candidates.push(report);
            order.push(Planned { target: candidate.target.clone(), reason });
            previous = Some(candidate);
        }
        candidates.extend(excluded.into_iter().map(|(report, _)| report));
        let mut plan = Plan::new(order, candidates, query.intent, query.confidence);
        plan.strategy = strategy;
        Ok(plan)
    }
}

/// What is known of a target without a row: of a local model nothing but that it is free, of any other nothing.
fn unlisted(target: &Target) -> ModelInfo {
    match is_local(&target.provider) {
        true => ModelInfo::local(&target.provider, &target.model),
        false => ModelInfo::new(&target.provider, &target.model),
    }
}

/// Tokens that thinking is expected to take when it is asked for.
const THINKING_TOKENS: u64 = 1_500;

fn fill(
    report: &mut CandidateReport,
    info: &ModelInfo,
    health: &TargetHealth,
    cost: Option<NanoDollars>,
    cached: u64,
    output: u64,
) {
    let millis = |seconds: f64| (seconds * 1e3).round() as u64;
    report.estimated_cost = cost;
    report.cached_tokens = (cached > 0).then_some(cached);
    report.expected_first_token_ms = health.first_token.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
    report.tokens_per_second = health.tokens_per_second;
    report.expected_latency_ms = health
        .first_token
        .zip(health.tokens_per_second)
        .map(|(first, pace)| millis(first.as_secs_f64() + output as f64 / f64::from(pace).max(1e-3)));
    report.context_window = info.context_window;
}

/// The medians of what is known of a fleet's latencies, for those of which it is not.
struct Usual {
    /// Seconds.
    first_token: f64,
    /// `None` where it is known of nobody: then it makes no difference.
    tokens_per_second: Option<f64>,
}

impl Usual {
    fn of(fleet: &Fleet) -> Self {
        let health = || fleet.targets.iter().map(|(_, health)| health);
        let first_token = median(health().filter_map(|h| h.first_token).map(|t| t.as_secs_f64()));
        let tokens_per_second = median(health().filter_map(|h| h.tokens_per_second).map(f64::from));
        Self { first_token: first_token.unwrap_or(FIRST_TOKEN_GUESS_S), tokens_per_second }
    }
}

fn median(known: impl Iterator<Item = f64>) -> Option<f64> {
    let mut known: Vec<f64> = known.collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied()
}

#[cfg(test)]
mod strategy_tests;
#[cfg(test)]
mod tests;
