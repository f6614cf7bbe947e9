//! The catalogue of models: what each can do and what it costs.
//!
//! The built-in one is `catalogue.json` beside this file, made from two public price lists by `benches/scripts/build_catalogue.py`;
//! `docs/catalogue.md` says how to refresh it. A host adds to it or corrects it with [`Catalogue::merge`] and [`Catalogue::insert`].

mod file;

use super::near::near_misses;
use super::price::{Price, TokenPrice};
use super::{Intent, QuickHash};
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
    /// priors for others (a model that always searches is good at questions about today whatever else it can), else a guess from its price (providers price their models by what they can do).
    pub fn expected_quality(&self, intent: Intent) -> (f32, Cow<'_, str>) {
        if let Some(prior) = self.quality.get(&intent) {
            return (prior.score.clamp(0.0, 1.0), Cow::Borrowed(&prior.source));
        }
        if intent == Intent::WebSearch && self.web_search == Some(WebSearch::Always) {
            // What it finds matters more here than what it can work out by itself.
            return (SEARCHING_QUALITY, Cow::Borrowed("it searches the web"));
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

/// The quality assumed for a question about today of a model that searches on every call.
const SEARCHING_QUALITY: f32 = 0.75;
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
    index: HashMap<String, HashMap<String, usize, QuickHash>, QuickHash>,
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
        let file: file::File =
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
        // Aliases of the row that is replaced go with it.
        names.retain(|_, at| *at != place);
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
        self.known(provider, model).ok_or_else(|| self.unknown(provider, model))
    }

    /// As [`Catalogue::get`], for who has no use for the nearest names: looking for them takes longer than all else.
    pub(crate) fn known(&self, provider: &str, model: &str) -> Option<Cow<'_, ModelInfo>> {
        let local = || (is_local(provider) && !model.trim().is_empty()).then(|| ModelInfo::local(provider, model));
        self.find(provider, model).map(Cow::Borrowed).or_else(|| local().map(Cow::Owned))
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
        "openai-responses" => "openai",
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

#[cfg(test)]
mod tests;
