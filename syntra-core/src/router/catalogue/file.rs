//! The catalogue as it is written, `docs/catalogue.md`.

use super::{ModelInfo, QualityPrior, WebSearch};
use crate::chat::NanoDollars;
use crate::error::{Error, Result};
use crate::router::Intent;
use crate::router::price::{Price, Rates, Tier, TokenPrice};
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) header: Header,
    pub(super) models: Vec<Row>,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) schema: u32,
    pub(super) date: Option<Date>,
}

/// A row as it is written; unknown fields are left alone, so that a newer file is still read.
#[derive(Deserialize)]
pub(super) struct Row {
    provider: String,
    model: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    price: Option<RowPrice>,
    #[serde(default)]
    context_window: Option<u64>,
    #[serde(default)]
    max_input: Option<u64>,
    #[serde(default)]
    max_output: Option<u64>,
    #[serde(default)]
    input: Vec<String>,
    #[serde(default)]
    tools: Option<bool>,
    #[serde(default)]
    json_schema: Option<bool>,
    #[serde(default)]
    reasoning: Option<bool>,
    #[serde(default)]
    web_search: Option<WebSearch>,
    #[serde(default)]
    knowledge_cutoff: Option<String>,
    #[serde(default)]
    deprecated_on: Option<Date>,
    #[serde(default)]
    quality: BTreeMap<Intent, QualityPrior>,
    #[serde(default)]
    local: bool,
    #[serde(default)]
    sources: u8,
}

#[derive(Deserialize)]
struct RowPrice {
    #[serde(flatten)]
    rates: RowRates,
    #[serde(default)]
    request: Option<f64>,
    #[serde(default)]
    tiers: Vec<RowTier>,
}

#[derive(Deserialize)]
struct RowTier {
    above: u64,
    #[serde(flatten)]
    rates: RowRates,
}

#[derive(Deserialize)]
struct RowRates {
    input: Option<f64>,
    output: Option<f64>,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
}

impl Row {
    pub(super) fn into_info(self) -> Result<ModelInfo> {
        let at = format!("{}/{}", self.provider, self.model);
        let wrong = |what: String| Error::invalid(format!("catalogue row {at}: {what}"));
        if self.provider.trim().is_empty() || self.model.trim().is_empty() {
            return Err(wrong("provider and model must not be empty".into()));
        }
        let amount = |what: &str, usd: Option<f64>| match usd {
            None => Ok(None),
            Some(usd) => TokenPrice::per_million_usd(usd).map(Some).ok_or_else(|| {
                wrong(format!("{what} price {usd} is not between 0 and 1000000 USD per million tokens"))
            }),
        };
        let rates = |r: &RowRates| -> Result<Rates> {
            Ok(Rates {
                input: amount("input", r.input)?,
                output: amount("output", r.output)?,
                cache_read: amount("cache_read", r.cache_read)?,
                cache_write: amount("cache_write", r.cache_write)?,
            })
        };
        let mut price = if self.local { Price::free() } else { Price::default() };
        if let Some(row) = &self.price {
            price = Price { base: rates(&row.rates)?, request: None, tiers: Vec::new() };
            if let Some(usd) = row.request {
                let fee = NanoDollars::from_usd(usd).ok_or_else(|| wrong(format!("request fee {usd} is no amount")))?;
                price.request = Some(fee);
            }
            for tier in &row.tiers {
                price.tiers.push(Tier { above: tier.above, rates: rates(&tier.rates)? });
            }
            price.tiers.sort_by_key(|tier| tier.above);
        }
        if let Some((intent, prior)) = self.quality.iter().find(|(_, p)| !(0.0..=1.0).contains(&p.score)) {
            return Err(wrong(format!("quality {} for {} is not between 0 and 1", prior.score, intent.as_str())));
        }
        Ok(ModelInfo {
            provider: self.provider,
            model: self.model,
            aliases: self.aliases,
            price,
            context_window: self.context_window,
            max_input: self.max_input,
            max_output: self.max_output,
            modalities: self.input,
            tools: self.tools,
            json_schema: self.json_schema,
            reasoning: self.reasoning,
            web_search: self.web_search,
            knowledge_cutoff: self.knowledge_cutoff,
            deprecated_on: self.deprecated_on,
            quality: self.quality,
            local: self.local,
            sources: self.sources,
        })
    }
}
