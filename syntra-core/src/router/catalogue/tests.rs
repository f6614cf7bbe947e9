use super::*;

#[test]
fn the_built_in_catalogue_is_whole() {
    let catalogue = Catalogue::from_json(include_str!("../catalogue.json")).unwrap();
    assert!(catalogue.models().len() > 100);
    assert!(catalogue.date().is_some());
    assert!(include_str!("../catalogue.json").len() < 100_000);
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
fn a_row_that_is_replaced_takes_its_aliases_with_it() {
    let mut catalogue = Catalogue::builtin();
    catalogue.insert(ModelInfo::new("openai", "gpt-4o"));
    assert!(!catalogue.get("openai", "gpt-4o").unwrap().price.is_known());
    assert!(catalogue.get("openai", "gpt-4o-2024-08-06").is_err());
    let before = catalogue.models().len();
    catalogue.insert(ModelInfo::new("openai", "gpt-4o-2024-08-06"));
    assert_eq!(catalogue.models().len(), before + 1);
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
    assert!(says(r#"{"header":{"schema":1},"models":[{"provider":" ","model":"b"}]}"#).contains("must not be empty"));
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
    let (guess, source) = ModelInfo { price: Price::per_million_usd(1.0, 10.0).unwrap(), ..ModelInfo::new("a", "b") }
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
