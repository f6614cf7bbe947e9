//! The words of the cases as those of the API.

use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use syntra_core::memory::{MemoryPatch, MemoryType, NewMemory, Page, RecallRequest};
use syntra_core::router::RoutingPolicy;
use syntra_core::search::Filter;
use syntra_core::tools::FunctionTool;
use syntra_core::{Ask, Error, Image, Message, NanoDollars, Part, Result, Role, Scope, Timestamp, ToolResult};
use syntra_tests::cases::{Step, ToolSetup};

pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|e| Error::invalid(format!("{value}: {e}")))
}

pub(crate) fn write_files(folder: &Path, files: &HashMap<String, String>) -> std::result::Result<(), String> {
    for (name, content) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

pub(crate) fn scope(step: &Step) -> Result<Scope> {
    let (org, user) = step.scope.as_deref().unwrap_or("acme/ada").split_once('/').unwrap_or_default();
    Scope::new(org, user)
}

/// A tool of a case.
pub(crate) fn tool(name: &str, setup: ToolSetup) -> FunctionTool {
    FunctionTool::new(name, setup.description, setup.parameters, move |call| {
        let mut text = setup.returns.replace("{user}", call.scope.user());
        for (name, value) in &call.arguments {
            text = text.replace(&format!("{{{name}}}"), value.as_str().unwrap_or_default());
        }
        let fails = setup.fails.clone();
        async move { fails.map_or(Ok(text), |words| Err(Error::invalid(words))) }
    })
}

/// A question with its options. An option that this does not know is an error: a case must not pass for being misread.
pub(crate) fn ask(with: &Value) -> Result<Ask> {
    let mut ask = Ask::new(with["question"].as_str().unwrap_or_default());
    let fields = with.as_object().ok_or_else(|| Error::invalid("a question is an object"))?;
    for (name, value) in fields {
        let text = value.as_str().unwrap_or_default();
        match name.as_str() {
            "question" => {}
            "thread" => ask = ask.with_thread(text),
            "history" => ask = ask.with_history(read(value)?),
            "model" => ask = ask.with_model(text),
            "instructions" => ask = ask.with_instructions(text),
            "temperature" => ask.temperature = Some(read(value)?),
            "max_tokens" => ask.max_tokens = Some(read(value)?),
            "seed" => ask.seed = Some(read(value)?),
            "stop" => ask.stop = read(value)?,
            "reasoning" => ask.reasoning = Some(read(value)?),
            "extra" => ask.extra = read(value)?,
            "recall" => ask.recall = read(value)?,
            "remember" => ask.remember = read(value)?,
            "recall_limit" => ask.recall_limit = read(value)?,
            "now" => ask.now = Some(read(value)?),
            "policy" => ask.policy = Some(policy(value)?),
            "cache" => ask.cache = value.as_bool(),
            "recovery" => ask.recovery = Some(read(value)?),
            "deadline" => ask.deadline = value.as_f64().map(std::time::Duration::from_secs_f64),
            "max_cost_usd" => ask.max_cost = value.as_f64().and_then(NanoDollars::from_usd),
            "tools" => ask.tools = read(value)?,
            "max_tool_rounds" => ask.max_tool_rounds = Some(read(value)?),
            "tool_choice" => ask.tool_choice = read(value)?,
            "json_schema" => ask = ask.with_json_schema("answer", value.clone()),
            "images" => {
                for image in value.as_array().into_iter().flatten() {
                    ask = ask.with_image(Image::url(image["url"].as_str().unwrap_or_default()));
                }
            }
            "tool_results" => {
                let results: Vec<ToolResult> = read(value)?;
                let parts = results.into_iter().map(Part::ToolResult).collect();
                ask.message = Message::new(Role::Tool, parts);
            }
            other => return Err(Error::invalid(format!("the runner knows no option {other:?}"))),
        }
    }
    Ok(ask)
}

/// A policy; its limit is in dollars, as in Python and Node.
pub(crate) fn policy(value: &Value) -> Result<RoutingPolicy> {
    let mut value = value.clone();
    let limit = value.as_object_mut().and_then(|fields| fields.remove("max_cost_usd"));
    let mut policy: RoutingPolicy = read(&value)?;
    policy.max_cost = limit.and_then(|usd| usd.as_f64()).and_then(NanoDollars::from_usd);
    Ok(policy)
}

pub(crate) fn memories(items: &Value) -> Result<Vec<NewMemory>> {
    let whole = items.as_array().cloned().unwrap_or_default();
    let item = |item: Value| {
        let mut item = if item.is_string() { json!({"text": item}) } else { item };
        if item["kind"].is_null() {
            item["kind"] = json!("semantic");
        }
        read(&item)
    };
    whole.into_iter().map(item).collect()
}

pub(crate) fn filter(with: &Value) -> Result<Filter> {
    let time = |name: &str| with.get(name).map(read::<Timestamp>).transpose();
    let mut filter = Filter::default();
    filter.kinds = with.get("kinds").map(read::<Vec<MemoryType>>).transpose()?.unwrap_or_default();
    filter.conversation = with["conversation"].as_str().map(str::to_owned);
    filter.from = time("said_from")?;
    filter.to = time("said_to")?;
    Ok(filter)
}

pub(crate) fn page(with: &Value) -> Page {
    let all = Page::default();
    Page { offset: with["offset"].as_u64().unwrap_or(all.offset), limit: with["limit"].as_u64().unwrap_or(all.limit) }
}

pub(crate) fn recall(with: &Value) -> Result<RecallRequest> {
    let mut request = RecallRequest::new(with["query"].as_str().unwrap_or_default());
    request.filter = filter(with)?;
    if let Some(limit) = with.get("limit") {
        request.limit = read(limit)?;
    }
    request.now = with.get("now").map(read).transpose()?;
    if let Some(name) = with["time_zone"].as_str() {
        let zone = TimeZone::get(name).map_err(|_| Error::invalid(format!("no time zone {name}")))?;
        request = request.with_time_zone(zone);
    }
    if let Some(strategies) = with.get("strategies") {
        request.strategies = read(strategies)?;
    }
    Ok(request)
}

pub(crate) fn patch(with: &Value) -> Result<MemoryPatch> {
    Ok(MemoryPatch {
        text: with["text"].as_str().map(str::to_owned),
        title: with["title"].as_str().map(str::to_owned),
        reliability: with.get("reliability").map(read).transpose()?,
        metadata: with.get("metadata").map(read).transpose()?,
        ..MemoryPatch::default()
    })
}

/// What the cases see of a stream.
pub(crate) fn streamed(events: Vec<Value>, terminals: usize) -> Value {
    let types: Vec<&Value> = events.iter().map(|e| &e["type"]).collect();
    let mut order: Vec<&Value> = Vec::new();
    types.iter().for_each(|t| {
        if !order.contains(t) {
            order.push(t);
        }
    });
    let text: String = events.iter().filter(|e| e["type"] == "text").filter_map(|e| e["text"].as_str()).collect();
    let done = events.iter().find(|e| e["type"] == "done");
    json!({"order": order, "last": types.last(), "text": text, "terminals": terminals, "done": done, "events": events})
}
