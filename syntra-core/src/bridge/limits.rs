//! Pacing, breaker and caches as a description in JSON says them.

use super::config::seconds;
use crate::error::Result;
use crate::exec::{CacheScope, PaceLimits, ResponseCacheOptions, SemanticCacheOptions};
use crate::memory::IndexLimits;
use crate::router::HealthOptions;
use crate::syntra::SyntraBuilder;
use serde::Deserialize;

/// How much of the indexes is held.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexWords {
    partitions: Option<usize>,
    bytes: Option<usize>,
    graph_from: Option<usize>,
}

impl IndexWords {
    pub(super) fn limits(self) -> IndexLimits {
        let all = IndexLimits::default();
        IndexLimits {
            partitions: self.partitions.unwrap_or(all.partitions),
            bytes: self.bytes.unwrap_or(all.bytes),
            graph_from: self.graph_from.unwrap_or(all.graph_from),
        }
    }
}

/// Limits, or the name of limits.
#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "pacing must be \"classic\", \"unlimited\", or limits: requests_per_second, burst, concurrency, tokens_per_minute"
)]
pub(super) enum PaceWords {
    Named(NamedPace),
    Limits(LimitWords),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NamedPace {
    /// [`PaceLimits::classic`].
    Classic,
    /// None of our own.
    Unlimited,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitWords {
    requests_per_second: Option<f64>,
    burst: Option<u32>,
    concurrency: Option<usize>,
    tokens_per_minute: Option<u64>,
}

impl PaceWords {
    /// The limits of `provider`.
    pub(super) fn limits(&self, provider: &str) -> PaceLimits {
        let mut limits = PaceLimits::default();
        match self {
            Self::Named(NamedPace::Classic) => return PaceLimits::classic(provider),
            Self::Named(NamedPace::Unlimited) => {}
            Self::Limits(words) => {
                limits.requests_per_second = words.requests_per_second;
                limits.burst = words.burst.unwrap_or(limits.burst);
                limits.concurrency = words.concurrency;
                limits.tokens_per_minute = words.tokens_per_minute;
            }
        }
        limits
    }

    /// The limits of every provider but those of `own`, which have limits of their own.
    pub(super) fn apply_to_all(&self, builder: SyntraBuilder, own: &[String]) -> SyntraBuilder {
        let others = builder.provider_names().into_iter().filter(|name| !own.contains(name)).collect::<Vec<_>>();
        let each = |builder: SyntraBuilder, name: String| {
            let limits = self.limits(&name);
            builder.pacing(name, limits)
        };
        others.into_iter().fold(builder, each).default_pacing(self.limits(""))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerWords {
    failures: Option<u32>,
    failure_rate: Option<f64>,
    minimum_calls: Option<u32>,
    /// Seconds.
    cool_down: Option<f64>,
    /// Seconds.
    longest_cool_down: Option<f64>,
    jitter: Option<f64>,
    /// Seconds.
    probe_interval: Option<f64>,
    /// Seconds.
    half_life: Option<f64>,
    latency_weight: Option<f64>,
    capacity: Option<usize>,
}

impl BreakerWords {
    pub(super) fn options(self) -> Result<HealthOptions> {
        let mut options = HealthOptions::default();
        options.failures = self.failures.unwrap_or(options.failures);
        options.failure_rate = self.failure_rate.unwrap_or(options.failure_rate);
        options.minimum_calls = self.minimum_calls.unwrap_or(options.minimum_calls);
        options.cool_down = seconds("breaker.cool_down", self.cool_down, options.cool_down)?;
        options.longest_cool_down =
            seconds("breaker.longest_cool_down", self.longest_cool_down, options.longest_cool_down)?;
        options.jitter = self.jitter.unwrap_or(options.jitter);
        options.probe_interval = seconds("breaker.probe_interval", self.probe_interval, options.probe_interval)?;
        options.half_life = seconds("breaker.half_life", self.half_life, options.half_life)?;
        options.latency_weight = self.latency_weight.unwrap_or(options.latency_weight);
        options.capacity = self.capacity.unwrap_or(options.capacity);
        Ok(options)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponseCacheWords {
    /// Seconds.
    ttl: Option<f64>,
    max_bytes: Option<u64>,
}

impl ResponseCacheWords {
    pub(super) fn options(self) -> Result<ResponseCacheOptions> {
        let all = ResponseCacheOptions::default();
        let ttl = seconds("response_cache.ttl", self.ttl, all.ttl)?;
        Ok(ResponseCacheOptions { ttl, max_bytes: self.max_bytes.unwrap_or(all.max_bytes) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SemanticCacheWords {
    threshold: Option<f32>,
    /// Seconds.
    ttl: Option<f64>,
    max_entries: Option<usize>,
    scope: Option<CacheScope>,
}

impl SemanticCacheWords {
    pub(super) fn options(self) -> Result<SemanticCacheOptions> {
        let all = SemanticCacheOptions::default();
        Ok(SemanticCacheOptions {
            threshold: self.threshold.unwrap_or(all.threshold),
            ttl: seconds("semantic_cache.ttl", self.ttl, all.ttl)?,
            max_entries: self.max_entries.unwrap_or(all.max_entries),
            scope: self.scope.unwrap_or(all.scope),
        })
    }
}
