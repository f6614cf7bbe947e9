//! The catalogue of models: what each can do and what it costs.
//!
//! The built-in one is `catalogue.json` beside this file, made from two public price lists by `benches/scripts/build_catalogue.py`;
//! `docs/catalogue.md` says how to refresh it. A host adds to it or corrects it with [`Catalogue::merge`] and [`Catalogue::insert`].

use super::Intent;
use super::near::near_misses;
use super::price::{Price, Rates, Tier, TokenPrice};
use crate::chat::{NanoDollars, Usage};
use crate::error::{Error, ErrorKind, Result};
use jiff::civil::Date;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// How a model reaches the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WebSearch {
    /// It searches on every plain call.
    Always,
    /// It can search through a tool of its server, if the request switches that on.
    Tool,
}

/// How good a model is expected to be before anything was observed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct QualityPrior {
    /// 0 to 1, comparable between models for the same intent.
    pub score: f32,
    /// Where it comes from.
    pub source: String,
}

/// What is known of one model at one provider. `None` means not known, never no.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The provider's name, as in [`crate::provider::Provider::name`].
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Other names of the very same model: dated versions of equal price, `latest` names.
    pub aliases: Vec<String>,
    /// What its tokens cost.
    pub price: Price,
    /// Tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// Tokens of the prompt, where that is bounded below the window.
    pub max_input: Option<u64>,
    /// Tokens of the answer.
    pub max_output: Option<u64>,
    /// What it reads: `text`, `image`, `pdf`, `audio`, `video`; empty when not known.
    pub modalities: Vec<String>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it answers in JSON that follows a schema.
    pub json_schema: Option<bool>,
    /// Whether it reasons before it answers.
    pub reasoning: Option<bool>,
    /// How it reaches the web, if at all.
    pub web_search: Option<WebSearch>,
    /// The end of its knowledge, `2025-08` or `2025-08-31`.
    pub knowledge_cutoff: Option<String>,
    /// The day from which its provider no longer serves it.
    pub deprecated_on: Option<Date>,
    /// Quality by intent, where a benchmark says so.
    pub quality: BTreeMap<Intent, QualityPrior>,
    /// It runs on a machine of the user's: free, and its window is the server's business.
    pub local: bool,
    /// How many price lists agree on it; 0 for what a host added.
    pub sources: u8,
}

impl ModelInfo {
    /// A model of which nothing is known yet; set what is.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into(), ..Self::default() }
    }

    /// A model on a machine of the user's: known to be free, everything else unknown.
    pub fn local(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { price: Price::free(), local: true, ..Self::new(provider, model) }
    }

    /// Whether it reads pictures; `None` when not known.
    pub fn vision(&self) -> Option<bool> {
        (!self.modalities.is_empty()).then(|| self.modalities.iter().any(|m| m == "image"))
    }

    /// Whether its provider no longer serves it on `today`.
    pub fn is_retired(&self, today: Date) -> bool {
        self.deprecated_on.is_some_and(|day| day <= today)
    }

    /// The expected quality for `intent`, 0 to 1, and where that comes from: its prior for the intent, else the mean of its
    /// priors for others, else a guess from its price (providers price their models by what they can do).
    pub fn expected_quality(&self, intent: Intent) -> (f32, Cow<'_, str>) {
        if let Some(prior) = self.quality.get(&intent) {
            return (prior.score.clamp(0.0, 1.0), Cow::Borrowed(&prior.source));
        }
        if !self.quality.is_empty() {
            let mean = self.quality.values().map(|p| p.score).sum::<f32>() / self.quality.len() as f32;
            let source = self.quality.values().next().map_or("", |p| p.source.as_str());
            return (mean.clamp(0.0, 1.0), Cow::Borrowed(source));
        }
        if self.local {
            return (LOCAL_QUALITY, Cow::Borrowed("guess for a local model"));
        }
        match self.price.base.output.map(TokenPrice::usd_per_million) {
            // Fitted by eye to the benchmarked models of the catalogue: 0.4 USD a million .21, 4 USD .56, 15 USD .76.
            Some(usd) if usd > 0.0 => {
                ((0.35 + 0.35 * usd.log10()).clamp(0.1, 0.85) as f32, Cow::Borrowed("guess from its price"))
            }
            _ => (UNKNOWN_QUALITY, Cow::Borrowed("guess, nothing is known of it")),
        }
    }

    /// Takes over what `newer` states; what it leaves out stays.
    fn update(&mut self, newer: Self) {
        fn take<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        for alias in newer.aliases {
            if !self.aliases.contains(&alias) {
                self.aliases.push(alias);
            }
        }
        if newer.price != Price::default() {
            self.price = newer.price;
        }
        take(&mut self.context_window, newer.context_window);
        take(&mut self.max_input, newer.max_input);
        take(&mut self.max_output, newer.max_output);
        if !newer.modalities.is_empty() {
            self.modalities = newer.modalities;
        }
        take(&mut self.tools, newer.tools);
        take(&mut self.json_schema, newer.json_schema);
        take(&mut self.reasoning, newer.reasoning);
        take(&mut self.web_search, newer.web_search);
        take(&mut self.knowledge_cutoff, newer.knowledge_cutoff);
        take(&mut self.deprecated_on, newer.deprecated_on);
        self.quality.extend(newer.quality);
        self.local |= newer.local;
        self.sources = newer.sources;
    }
}

/// The quality assumed for a local model that nothing is known of: below every current hosted model but the smallest.
const LOCAL_QUALITY: f32 = 0.2;
/// The quality assumed where not even a price is known.
const UNKNOWN_QUALITY: f32 = 0.3;

/// What a call to `model` with `usage` cost: what the provider itself reported, else what its prices give; `None` when a count
/// or price that is needed is not known.
///
/// ```
/// use syntra_core::{Usage, router::{self, Catalogue}};
/// let catalogue = Catalogue::builtin();
/// let model = catalogue.get("openai", "gpt-4o-mini").unwrap();
/// let mut usage = Usage::default();
/// usage.input_tokens = Some(1_000);
/// usage.output_tokens = Some(100);
/// assert_eq!(router::cost(&model, &usage).unwrap().to_string(), "$0.00021");
/// ```
pub fn cost(model: &ModelInfo, usage: &Usage) -> Option<NanoDollars> {
    usage.provider_cost.or_else(|| model.price.of(usage))
}

/// The models that are known.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    models: Vec<ModelInfo>,
    /// Provider, then model name or alias, to the place in `models`.
    index: HashMap<String, HashMap<String, usize>>,
    date: Option<Date>,
}

static BUILTIN: LazyLock<Catalogue> =
    // A catalogue that does not parse fails the tests of this file; it cannot reach a release.
    LazyLock::new(|| Catalogue::from_json(include_str!("catalogue.json")).unwrap_or_default());

impl Catalogue {
    /// The catalogue that ships with the crate.
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// A catalogue without models; local ones are still known to be free.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads a catalogue in the format of `docs/catalogue.md`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the row and what is wrong with it.
    pub fn from_json(json: &str) -> Result<Self> {
        let file: File =
            serde_json::from_str(json).map_err(|e| Error::invalid(format!("the catalogue is not valid: {e}")))?;
        if file.header.schema != 1 {
            return Err(Error::invalid(format!(
                "catalogue schema {} is not known; this crate reads schema 1",
                file.header.schema
            )));
        }
        let mut catalogue = Self { date: file.header.date, ..Self::default() };
        for row in file.models {
            catalogue.insert(row.into_info()?);
        }
        Ok(catalogue)
    }

    /// The models, in no meaningful order.
    pub fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    /// The day of the newer price list it was built from.
    pub fn date(&self) -> Option<Date> {
        self.date
    }

    /// Adds `model`, replacing the row of that name whole.
    pub fn insert(&mut self, mut model: ModelInfo) {
        model.provider = canonical_provider(&model.provider).to_owned();
        let names = self.index.entry(model.provider.clone()).or_default();
        let place = match names.get(&model.model).copied() {
            Some(at) if self.models.get(at).is_some_and(|m| m.model == model.model) => at,
            _ => self.models.len(),
        };
        // A name of its own wins over somebody's alias; an alias never takes a name away.
        names.insert(model.model.clone(), place);
        for alias in &model.aliases {
            names.entry(alias.clone()).or_insert(place);
        }
        match self.models.get_mut(place) {
            Some(old) => *old = model,
            None => self.models.push(model),
        }
    }

    /// Takes over what `newer` states, model by model and field by field: a row with a price alone corrects the price alone, a row
    /// under an alias is about the model it names.
    ///
    /// ```
    /// use syntra_core::router::{Catalogue, ModelInfo};
    /// let mut mine = ModelInfo::local("ollama", "llama3.2");
    /// mine.context_window = Some(8_192);
    /// let mut correction = Catalogue::empty();
    /// correction.insert(mine);
    /// let mut catalogue = Catalogue::builtin();
    /// catalogue.merge(correction);
    /// assert_eq!(catalogue.get("ollama", "llama3.2").unwrap().context_window, Some(8_192));
    /// ```
    pub fn merge(&mut self, newer: Catalogue) {
        for model in newer.models {
            let mut row = match self.find(&model.provider, &model.model) {
                Some(known) => known.clone(),
                None => ModelInfo::new(model.provider.clone(), model.model.clone()),
            };
            row.update(model);
            self.insert(row);
        }
        self.date = self.date.max(newer.date);
    }

    /// The model of that name or alias, `None` when it is not listed.
    pub fn find(&self, provider: &str, model: &str) -> Option<&ModelInfo> {
        let names = self.index.get(canonical_provider(provider))?;
        // Gemini's own API lists its models as `models/gemini-…`.
        let at = names.get(model).or_else(|| names.get(model.strip_prefix("models/")?))?;
        self.models.get(*at)
    }

    /// What is known of `model` at `provider`, by its name, an alias or a dated version that is listed as the same model. A model at a
    /// local server that is not listed is known to be free and nothing else.
    ///
    /// ```
    /// use syntra_core::router::Catalogue;
    /// let catalogue = Catalogue::builtin();
    /// assert_eq!(catalogue.get("openai", "gpt-4o-2024-08-06").unwrap().model, "gpt-4o");
    /// // The first version was dearer, so it is a model of its own.
    /// assert_eq!(catalogue.get("openai", "gpt-4o-2024-05-13").unwrap().model, "gpt-4o-2024-05-13");
    /// let error = catalogue.get("openai", "gpt4o").unwrap_err();
    /// assert!(error.message().contains("gpt-4o"), "{error}");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] naming the nearest names.
    pub fn get(&self, provider: &str, model: &str) -> Result<Cow<'_, ModelInfo>> {
        if let Some(found) = self.find(provider, model) {
            return Ok(Cow::Borrowed(found));
        }
        if is_local(provider) && !model.trim().is_empty() {
            return Ok(Cow::Owned(ModelInfo::local(provider, model)));
        }
        Err(self.unknown(provider, model))
    }

    fn unknown(&self, provider: &str, model: &str) -> Error {
        let provider = canonical_provider(provider);
        let Some(names) = self.index.get(provider) else {
            let mut known: Vec<&str> = self.index.keys().map(String::as_str).collect();
            known.sort_unstable();
            let near = near_misses(provider, known.iter().copied(), 1);
            let hint = near.first().map(|n| format!("; did you mean `{n}`?")).unwrap_or_else(|| ".".into());
            let text = format!("the catalogue has no provider `{provider}`{hint} It has {}", known.join(", "));
            return Error::new(ErrorKind::NotFound, text);
        };
        let mut near: Vec<String> =
            near_misses(model, names.keys().map(String::as_str), 3).into_iter().map(|n| format!("`{n}`")).collect();
        if near.is_empty() {
            let elsewhere = self.models.iter().filter(|m| m.provider != provider && m.model == model).take(3);
            near.extend(elsewhere.map(|m| format!("`{}/{}`", m.provider, m.model)));
        }
        let hint = if near.is_empty() { String::new() } else { format!("; near misses: {}", near.join(", ")) };
        Error::new(
            ErrorKind::NotFound,
            format!("the catalogue has no model `{model}`{hint}. A model of your own is added with Catalogue::insert"),
        )
        .with_provider(provider)
    }
}

/// The name that the catalogue uses for a provider that goes by several.
pub(super) fn canonical_provider(name: &str) -> &str {
    match name {
        "google" | "google-gemini" => "gemini",
        "moonshot" | "moonshotai" => "kimi",
        "x-ai" | "x.ai" | "grok" => "xai",
        "llama.cpp" | "llama-cpp" | "llama_cpp" => "llamacpp",
        other => other,
    }
}

/// Whether a provider of that name is a server on a machine of the user's.
pub(super) fn is_local(provider: &str) -> bool {
    matches!(canonical_provider(provider), "llamacpp" | "ollama" | "lmstudio" | "vllm" | "local")
}

#[derive(Deserialize)]
struct File {
    header: Header,
    models: Vec<Row>,
}

#[derive(Deserialize)]
struct Header {
    schema: u32,
    date: Option<Date>,
}

/// A row as it is written; unknown fields are left alone, so that a newer file is still read.
#[derive(Deserialize)]
struct Row {
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
    fn into_info(self) -> Result<ModelInfo> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_whole() {
        let catalogue = Catalogue::from_json(include_str!("catalogue.json")).unwrap();
        assert!(catalogue.models().len() > 100);
        assert!(catalogue.date().is_some());
        assert!(include_str!("catalogue.json").len() < 100_000);
        for provider in
            ["openai", "anthropic", "gemini", "perplexity", "kimi", "deepseek", "mistral", "groq", "xai", "openrouter"]
        {
            assert!(catalogue.models().iter().any(|m| m.provider == provider), "{provider}");
        }
        for model in catalogue.models() {
            let at = format!("{}/{}", model.provider, model.model);
            for price in [model.price.base.input, model.price.base.output].into_iter().flatten() {
                assert!(price > TokenPrice::FREE, "{at}: no hosted model is free; unknown is absent");
            }
            assert_eq!(model.price.base.input.is_some(), model.price.base.output.is_some(), "{at}");
            if let (Some(read), Some(input)) = (model.price.base.cache_read, model.price.base.input) {
                assert!(read <= input, "{at}");
            }
            assert!(model.price.tiers.is_sorted_by_key(|t| t.above), "{at}");
            assert!(model.context_window.is_some_and(|w| w >= 8_000), "{at}");
            assert!(model.vision().is_some(), "{at}");
            for alias in &model.aliases {
                assert_eq!(catalogue.find(&model.provider, alias).unwrap().model, model.model, "{at}: {alias}");
            }
        }
    }

    #[test]
    fn names_resolve_where_that_is_right_and_nowhere_else() {
        let catalogue = Catalogue::builtin();
        for (provider, name, is) in [
            ("openai", "gpt-4o", "gpt-4o"),
            ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
            ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
            ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
            ("openai", "gpt-5.6", "gpt-5.6-sol"),
            ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("google", "models/gemini-2.5-flash", "gemini-2.5-flash"),
            ("moonshot", "kimi-k2.6", "kimi-k2.6"),
            ("mistral", "mistral-medium-3.5", "mistral-medium-latest"),
            ("openrouter", "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ] {
            assert_eq!(catalogue.get(provider, name).unwrap().model, is, "{provider}/{name}");
        }
        // A date nobody listed may be another model at another price.
        let error = catalogue.get("openai", "gpt-4o-2031-01-01").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("`gpt-4o-2024-"), "{error}");
        assert!(catalogue.get("openai", "gpt-4o-").is_err() && catalogue.get("openai", "").is_err());
        assert!(catalogue.get("openia", "gpt-4o").unwrap_err().message().contains("did you mean `openai`"));
        assert!(catalogue.get("mistral", "claude-opus-5").unwrap_err().message().contains("anthropic/claude-opus-5"));
    }

    #[test]
    fn local_models_are_free_and_their_window_unknown() {
        let catalogue = Catalogue::builtin();
        for provider in ["ollama", "llama.cpp", "llamacpp"] {
            let model = catalogue.get(provider, "whatever:7b").unwrap();
            assert_eq!(model.price.estimate(1_000_000, 1_000_000), Some(NanoDollars::ZERO));
            assert_eq!((model.context_window, model.vision(), model.tools), (None, None, None));
        }
    }

    #[test]
    fn a_host_corrects_a_field_and_keeps_the_rest() {
        let mut catalogue = Catalogue::builtin();
        let before = catalogue.get("openai", "gpt-4o").unwrap().into_owned();
        let json = r#"{"header":{"schema":1},"models":[
            {"provider":"openai","model":"gpt-4o-2024-08-06","price":{"input":1,"output":2}},
            {"provider":"house","model":"own-1","context_window":4096}]}"#;
        catalogue.merge(Catalogue::from_json(json).unwrap());
        let after = catalogue.get("openai", "gpt-4o").unwrap();
        assert_eq!(after.price.estimate(1_000_000, 0).unwrap().to_string(), "$1.00");
        assert_eq!((after.context_window, &after.modalities), (before.context_window, &before.modalities));
        let own = catalogue.get("house", "own-1").unwrap();
        assert!(!own.price.is_known() && own.context_window == Some(4096));
        assert_eq!(catalogue.date(), Catalogue::builtin().date());
    }

    #[test]
    fn a_bad_file_says_what_is_wrong_with_it() {
        let says = |json: &str| Catalogue::from_json(json).unwrap_err().message().to_owned();
        assert!(says("{").contains("not valid"));
        assert!(says(r#"{"header":{"schema":9},"models":[]}"#).contains("schema 9"));
        let bad = |price: &str| {
            says(&format!(r#"{{"header":{{"schema":1}},"models":[{{"provider":"a","model":"b",{price}}}]}}"#))
        };
        assert!(bad(r#""price":{"input":-1}"#).contains("a/b: input price -1"));
        assert!(bad(r#""quality":{"vision":{"score":2,"source":"x"}}"#).contains("quality 2 for vision"));
        assert!(
            says(r#"{"header":{"schema":1},"models":[{"provider":" ","model":"b"}]}"#).contains("must not be empty")
        );
    }

    #[test]
    fn what_the_provider_charged_is_believed() {
        let model = Catalogue::builtin().get("openai", "gpt-4o").unwrap().into_owned();
        assert_eq!(cost(&model, &Usage::default()), None);
        let usage = Usage { provider_cost: Some(NanoDollars::from_nanos(7)), ..Usage::default() };
        assert_eq!(cost(&model, &usage), Some(NanoDollars::from_nanos(7)));
    }

    #[test]
    fn quality_comes_from_the_prior_the_proxy_or_the_price() {
        let catalogue = Catalogue::builtin();
        let strong = catalogue.get("openai", "gpt-5.5").unwrap();
        let weak = catalogue.get("openai", "gpt-4o-mini").unwrap();
        assert!(strong.expected_quality(Intent::CodingHelp).0 > weak.expected_quality(Intent::CodingHelp).0 + 0.3);
        assert!(strong.expected_quality(Intent::ReasoningMath).0 > weak.expected_quality(Intent::ReasoningMath).0);
        let (guess, source) =
            ModelInfo { price: Price::per_million_usd(1.0, 10.0).unwrap(), ..ModelInfo::new("a", "b") }
                .expected_quality(Intent::QaRetrieval)
                .into_owned_pair();
        assert!((0.6..0.8).contains(&guess) && source.contains("price"));
    }

    trait OwnedPair {
        fn into_owned_pair(self) -> (f32, String);
    }
    impl OwnedPair for (f32, Cow<'_, str>) {
        fn into_owned_pair(self) -> (f32, String) {
            (self.0, self.1.into_owned())
        }
    }
}
