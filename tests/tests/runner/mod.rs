//! Takes the steps of a case with a `Syntra`.

mod words;

use futures::StreamExt as _;
use serde_json::{Map, Value, json};
use std::time::Duration;
use syntra_core::context::Budget;
use syntra_core::exec::{HedgePolicy, PaceLimits, ResponseCacheOptions, RetryPolicy, SemanticCacheOptions};
use syntra_core::memory::IndexLimits;
use syntra_core::provider::HttpProvider;
use syntra_core::router::HealthOptions;
use syntra_core::voice::Persona;
use syntra_core::{Error, ErrorKind, Scope, Syntra};
use syntra_tests::cases::{Case, Step, check, substitute};
use syntra_tests::mock::Mock;

type Outcome = Result<Value, Error>;

pub(crate) async fn run(case: &Case) -> Result<(), String> {
    let script = match &case.server {
        Value::Null => json!({}),
        script => script.clone(),
    };
    let mock = Mock::start(serde_json::from_value(script).map_err(text)?).await.map_err(text)?;
    let files = tempfile::tempdir().map_err(text)?;
    words::write_files(files.path(), &case.setup.files)?;
    let data = tempfile::tempdir().map_err(text)?;
    let mut saved = Map::new();
    saved.insert("dir".into(), files.path().to_string_lossy().into());
    let open = || open(case, &mock, data.path());
    let mut syntra = open().map_err(text)?;
    for (number, step) in case.steps.iter().enumerate() {
        let with = substitute(&Value::Object(step.with.clone()), &saved)?;
        let mut tries = 0;
        loop {
            let outcome = match step.action.as_str() {
                "sent" => Ok(json!(mock.log())),
                "files" => words::write_files(files.path(), &serde_json::from_value(with.clone()).map_err(text)?)
                    .map(|()| Value::Null)
                    .map_err(Error::invalid),
                "reopen" => {
                    drop(syntra);
                    syntra = open().map_err(text)?;
                    Ok(Value::Null)
                }
                _ => take(&syntra, step, &with).await,
            };
            let result = judge(step, outcome, &saved);
            match result {
                Ok(value) => {
                    if let Some(name) = &step.save {
                        saved.insert(name.clone(), value);
                    }
                    break;
                }
                Err(_) if step.eventually && tries < 100 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(why) => return Err(format!("step {} ({}): {why}", number + 1, step.action)),
            }
        }
    }
    Ok(())
}

fn open(case: &Case, mock: &Mock, data: &std::path::Path) -> syntra_core::Result<Syntra> {
    let setup = &case.setup;
    let mut builder = Syntra::builder();
    if setup.disk {
        builder = builder.data_dir(data);
    }
    for provider in &setup.providers {
        let key = provider.api_key.as_deref().map(Into::into);
        let made = HttpProvider::named(&provider.name, key);
        let made = match made {
            Ok(known) => known.with_base_url(mock.base_url(&provider.name))?,
            Err(_) => HttpProvider::compatible(
                provider.name.as_str(),
                mock.base_url(&provider.name),
                provider.api_key.as_deref().map(Into::into),
            )?,
        };
        builder = builder.provider(made).models(provider.name.as_str(), provider.models.iter().cloned());
    }
    let number = |map: &Map<String, Value>, name: &str, default: usize| {
        map.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    if let Some(words) = &setup.budget {
        let all = Budget::default();
        builder = builder.budget(Budget {
            profile: number(words, "profile", all.profile),
            semantic: number(words, "semantic", all.semantic),
            episodic: number(words, "episodic", all.episodic),
            procedural: number(words, "procedural", all.procedural),
            entities: number(words, "entities", all.entities),
            history: number(words, "history", all.history),
            total: number(words, "total", all.total),
            window: all.window,
        });
    }
    if let Some(words) = &setup.persona {
        let text = |name: &str| words.get(name).and_then(Value::as_str);
        let mut persona = Persona::default();
        persona = text("name").map_or(persona.clone(), |t| persona.with_name(t));
        persona = text("tone").map_or(persona.clone(), |t| persona.with_tone(t));
        persona = text("instructions").map_or(persona.clone(), |t| persona.with_instructions(t));
        builder = builder.persona(persona);
    }
    if let Some(policy) = &setup.policy {
        builder = builder.policy(words::policy(policy)?);
    }
    for (organisation, policy) in &setup.organisation_policies {
        builder = builder.organisation_policy(organisation.as_str(), words::policy(policy)?);
    }
    if let Some(zone) = &setup.time_zone {
        builder = builder.time_zone(zone)?;
    }
    for experiment in &setup.experiments {
        builder = builder.experiment(words::read(experiment)?);
    }
    for (provider, regions) in &setup.regions {
        builder = regions.iter().fold(builder, |builder, region| builder.region(provider.as_str(), region.as_str()));
    }
    if let Some(words) = &setup.retry_policy {
        let mut policy = RetryPolicy::default();
        policy.max_attempts = number(words, "max_attempts", policy.max_attempts);
        policy.max_per_target = number(words, "max_per_target", policy.max_per_target);
        if let Some(seconds) = words.get("backoff").and_then(Value::as_f64) {
            policy.backoff = Duration::from_secs_f64(seconds);
        }
        builder = builder.retry_policy(policy);
    }
    if let Some(recovery) = &setup.recovery {
        builder = builder.recovery(words::read(recovery)?);
    }
    if let Some(seconds) = setup.deadline {
        builder = builder.deadline(Duration::from_secs_f64(seconds));
    }
    if let Some(words) = &setup.hedging {
        let mut policy = HedgePolicy::default();
        policy.after = words.get("after").and_then(Value::as_f64).map(Duration::from_secs_f64);
        policy.most_share = words.get("most_share").and_then(Value::as_f64).unwrap_or(policy.most_share);
        builder = builder.hedging(policy)?;
    }
    let seconds = |map: &Map<String, Value>, name: &str, default: Duration| {
        map.get(name).and_then(Value::as_f64).map_or(default, Duration::from_secs_f64)
    };
    if let Some(words) = &setup.pacing {
        let mut limits = PaceLimits::default();
        limits.requests_per_second = words.get("requests_per_second").and_then(Value::as_f64);
        limits.burst = number(words, "burst", limits.burst as usize) as u32;
        builder = builder.default_pacing(limits);
    }
    if let Some(words) = &setup.breaker {
        let mut options = HealthOptions::default();
        options.failures = number(words, "failures", options.failures as usize) as u32;
        options.cool_down = seconds(words, "cool_down", options.cool_down);
        builder = builder.breaker(options);
    }
    if let Some(words) = &setup.response_cache {
        let mut options = ResponseCacheOptions::default();
        options.ttl = seconds(words, "ttl", options.ttl);
        builder = builder.response_cache(options);
    }
    if let Some(words) = &setup.semantic_cache {
        let mut options = SemanticCacheOptions::default();
        options.threshold = words.get("threshold").and_then(Value::as_f64).map_or(options.threshold, |n| n as f32);
        builder = builder.semantic_cache(options);
    }
    if let Some(words) = &setup.index_limits {
        let all = IndexLimits::default();
        builder = builder.index_limits(IndexLimits {
            partitions: number(words, "partitions", all.partitions),
            bytes: number(words, "bytes", all.bytes),
            graph_from: number(words, "graph_from", all.graph_from),
        });
    }
    for (name, tool) in &setup.tools {
        builder = builder.tool(words::tool(name, tool.clone()));
    }
    if let Some(rounds) = setup.max_tool_rounds {
        builder = builder.max_tool_rounds(rounds);
    }
    if let Some(yes) = setup.extractive_fallback {
        builder = builder.extractive_fallback(yes);
    }
    if let Some(yes) = setup.thinking {
        builder = builder.thinking(yes);
    }
    if let Some(n) = setup.history_messages {
        builder = builder.history_messages(n);
    }
    builder.build()
}

/// The step's result, if it is as expected; a stream that ends in an error has both.
fn judge(step: &Step, outcome: Outcome, saved: &Map<String, Value>) -> Result<Value, String> {
    let (value, error) = match outcome {
        Ok(mut value) => {
            let error = value.as_object_mut().and_then(|fields| fields.remove("raised"));
            (value, error)
        }
        Err(error) => (Value::Null, Some(json!(error))),
    };
    match (&step.error, error) {
        (None, Some(error)) => return Err(format!("failed: {error}")),
        (Some(wanted), None) => return Err(format!("should have failed with {wanted:?}, gave {value}")),
        (Some(wanted), Some(error)) => {
            for (name, expected) in wanted {
                let (path, operation) = match name.as_str() {
                    "message_contains" => ("message", "contains"),
                    name => (name, "equals"),
                };
                check(&error, path, operation, expected)?;
            }
        }
        (None, None) => {}
    }
    for (path, operation, expected) in &step.expect {
        check(&value, path, operation, &substitute(expected, saved)?)?;
    }
    Ok(value)
}

async fn stream(syntra: &Syntra, scope: &Scope, step: &Step, with: &Value) -> Outcome {
    let mut events = syntra.stream(scope, words::ask(with)?)?;
    let mut seen: Vec<Value> = Vec::new();
    let mut raised = Value::Null;
    let mut terminals = 0;
    while let Some(event) = events.next().await {
        terminals += usize::from(event.is_terminal());
        if let syntra_core::Event::Error(error) = &event {
            raised = json!(error);
            continue;
        }
        let value = json!(event);
        let stop = step.stop_after.is_some() && value["type"].as_str() == step.stop_after.as_deref();
        seen.push(value);
        if stop {
            break;
        }
    }
    drop(events);
    let mut out = words::streamed(seen, terminals);
    out["raised"] = raised;
    if out["raised"].is_null()
        && let Some(fields) = out.as_object_mut()
    {
        fields.remove("raised");
    }
    Ok(out)
}

async fn take(syntra: &Syntra, step: &Step, with: &Value) -> Outcome {
    let scope = words::scope(step)?;
    let text = |name: &str| with[name].as_str().unwrap_or_default();
    Ok(match step.action.as_str() {
        "ask" => {
            let answer = syntra.ask(&scope, words::ask(with)?).await?;
            let mut value = json!(answer);
            value["trace"]["explanation"] = answer.trace.explain().into();
            value
        }
        "stream" => stream(syntra, &scope, step, with).await?,
        "plan" => {
            let plan = syntra.plan(&scope, words::ask(with)?).await?;
            let mut value = json!(plan);
            value["explanation"] = plan.explain().into();
            value
        }
        "trace" => match syntra.trace(&scope, text("turn_id")) {
            Some(trace) => {
                let mut value = json!(trace);
                value["explanation"] = trace.explain().into();
                value
            }
            None => Value::Null,
        },
        "feedback" => {
            syntra.feedback(&scope, text("turn_id"), with["score"].as_f64().unwrap_or(f64::NAN) as f32).await?;
            Value::Null
        }
        "experiments" => json!(syntra.experiments(&scope)),
        "export_learned" => json!({"learned": syntra.export_learned(&scope)}),
        "import_learned" => {
            syntra.import_learned(&scope, &with["learned"]).await?;
            Value::Null
        }
        "reset_learned" => json!(syntra.reset_learned(&scope).await?),
        "complete" => json!(syntra.complete(text("provider"), &words::read(&with["request"])?).await?),
        "remember" => json!(syntra.remember(&scope, words::memories(&with["items"])?).await?),
        "recall" => json!(syntra.recall(&scope, words::recall(with)?).await?),
        "update_memory" => json!(syntra.update_memory(&scope, text("id"), words::patch(with)?).await?),
        "supersede" => {
            let new = words::memories(&json!([with["new"]]))?.remove(0);
            json!(syntra.supersede(&scope, text("old"), new).await?)
        }
        "forget" => json!(syntra.forget(&scope, &words::read::<Vec<String>>(&with["ids"])?).await?),
        "memories" => json!(syntra.memories(&scope, &words::read::<Vec<String>>(&with["ids"])?).await?),
        "list_memories" => json!(syntra.list_memories(&scope, &words::filter(with)?, words::page(with)).await?),
        "memories_as_of" => {
            let at = words::read(&with["at"])?;
            json!(syntra.memories_as_of(&scope, at, &words::filter(with)?, words::page(with)).await?)
        }
        "memory_stats" => json!(syntra.memory_stats(&scope).await?),
        "embed_missing" => json!(syntra.embed_missing(&scope).await?),
        "erase" => json!(syntra.erase(&scope).await?),
        "index_directory" => {
            let only: Vec<String> = with.get("only").map(words::read).transpose()?.unwrap_or_default();
            json!(syntra.index_directory(&scope, text("path"), &only, |_| {}).await?)
        }
        "remove_directory" => json!(syntra.remove_directory(&scope, text("path")).await?),
        "document_stats" => json!(syntra.document_stats(&scope).await?),
        "create_thread" => {
            json!(syntra.create_thread(&scope, with["id"].as_str(), with["title"].as_str()).await?)
        }
        "thread" => json!(syntra.thread(&scope, text("id")).await?),
        "threads" => json!(syntra.threads(&scope, words::page(with)).await?),
        "history" => {
            let limit = with["limit"].as_u64().unwrap_or(100);
            json!(syntra.history(&scope, text("thread"), limit, with["before"].as_u64()).await?)
        }
        "append" => json!(syntra.append(&scope, text("thread"), words::read(&with["messages"])?).await?),
        "delete_thread" => json!(syntra.delete_thread(&scope, text("id")).await?),
        "count_tokens" => {
            let (tokens, exact) = syntra.count_tokens(text("model"), text("text"));
            json!({"tokens": tokens, "exact": exact})
        }
        "embed" => {
            let texts: Vec<String> = words::read(&with["texts"])?;
            json!(syntra.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await?)
        }
        "providers" => json!(syntra.providers()),
        "models" => json!(syntra.models()),
        "health" => json!(syntra.health().await),
        other => return Err(Error::new(ErrorKind::InvalidInput, format!("the runner knows no step {other:?}"))),
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
