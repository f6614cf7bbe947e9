//! `eval wire`: recorded answers of real servers, served from loopback in pieces through the real adapters and HTTP stack, and
//! compared strictly with what is expected of them.

use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use syntra_core::provider::openai::Chat;
use syntra_core::provider::responses::Responses;
use syntra_core::provider::{Auth, HttpProvider, Provider};
use syntra_core::testing::loopback::{Answer, Loopback};
use syntra_core::{
    Citation, Error, ErrorKind, FinishReason, Message, NanoDollars, Request, Response, ResponseBuilder, ToolCall, Usage,
};

/// Runs the evaluation; gives the JSON object of the last line.
pub(crate) fn run(args: &[String]) -> Result<Value, String> {
    let mut directory = None;
    let mut sizes = vec![1, 3, 0];
    let mut only = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--write-size" => {
                let size = rest.next().and_then(|s| s.parse().ok());
                sizes = vec![size.ok_or("--write-size wants a number of bytes; 0 writes each body whole")?];
            }
            "--case" => only = rest.next().cloned(),
            other => directory = Some(other.to_owned()),
        }
    }
    let directory = directory.ok_or("eval wire wants the directory that holds the cases")?;
    let cases = load(Path::new(&directory))?;
    let cases: Vec<Case> = cases.into_iter().filter(|c| only.as_ref().is_none_or(|id| c.id == *id)).collect();
    if cases.is_empty() {
        return Err(format!("{directory} holds no case"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    let wrong = runtime.block_on(judge(&cases, &sizes))?;
    Ok(report(&cases, &sizes, &wrong))
}

struct Case {
    id: String,
    file: String,
    /// Made up, or put together from several: counted apart.
    apart: bool,
    row: Value,
}

fn load(directory: &Path) -> Result<Vec<Case>, String> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .map_err(|e| format!("{}: {e}", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row: Value = serde_json::from_str(line).map_err(|e| format!("{}:{}: {e}", path.display(), at + 1))?;
            let flags = row["flags"].as_array().map_or(&[][..], Vec::as_slice);
            let apart = flags.iter().any(|f| f == "synthetic" || f == "spliced_messages");
            let id = row["id"].as_str().unwrap_or("?").to_owned();
            cases.push(Case { id, file: file.clone(), apart, row });
        }
    }
    Ok(cases)
}

/// What is wrong with each case, by write size.
type Wrong = BTreeMap<(usize, usize), String>;

async fn judge(cases: &[Case], sizes: &[usize]) -> Result<Wrong, String> {
    let server = Loopback::start([]).await.map_err(|e| e.to_string())?;
    let mut wrong = Wrong::new();
    for (n, size) in sizes.iter().enumerate() {
        for (at, case) in cases.iter().enumerate() {
            let reply = &case.row["response"];
            let status = reply["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(200);
            let body = reply["body"].as_str().unwrap_or_default().to_owned();
            let mut answer = Answer::in_pieces(status, body, *size);
            for (name, value) in reply["headers"].as_object().into_iter().flatten() {
                answer = answer.with_header(name, value.as_str().unwrap_or_default());
            }
            let provider = match adapter(&case.row, &server.url()) {
                Ok(provider) => provider,
                Err(error) => {
                    wrong.insert((at, n), format!("no adapter: {error}"));
                    continue;
                }
            };
            server.push(answer);
            let seen = ask(case, &provider).await;
            let why = compare(&case.row["expected"], &seen);
            if !why.is_empty() {
                wrong.insert((at, n), why);
            }
        }
    }
    Ok(wrong)
}

/// What came through the adapter: an answer, an error, or both where a stream failed on its way.
struct Seen {
    answer: Option<Response>,
    error: Option<Error>,
}

async fn ask(case: &Case, provider: &HttpProvider) -> Seen {
    let row = &case.row;
    let model = row.pointer("/request/body/model").and_then(Value::as_str).unwrap_or("recorded");
    let request = Request::new(model, vec![Message::user("recorded")]);
    if row["stream"] != true {
        return match provider.complete(&request).await {
            Ok(answer) => Seen { answer: Some(answer), error: None },
            Err(error) => Seen { answer: None, error: Some(error) },
        };
    }
    let mut stream = match provider.stream(&request).await {
        Ok(stream) => stream,
        Err(error) => return Seen { answer: None, error: Some(error) },
    };
    let mut folded = ResponseBuilder::new();
    let mut error = None;
    while let Some(item) = stream.next().await {
        match item {
            Ok(event) => folded.push(&event),
            Err(e) => error = Some(e),
        }
    }
    Seen { answer: Some(folded.build()), error }
}

/// The adapter that a user would have for this case, at loopback.
fn adapter(row: &Value, url: &str) -> syntra_core::Result<HttpProvider> {
    let provider = row["provider"].as_str().unwrap_or_default();
    let events = row.pointer("/response/body").and_then(Value::as_str).is_some_and(|b| b.contains("event: response."));
    let api = row["api"].as_str().unwrap_or(match provider {
        "anthropic" | "gemini" | "ollama" => provider,
        _ if events => "responses",
        _ => "chat",
    });
    let key = Some("sk-recorded-0123456789".into());
    match api {
        "chat" => {
            let name = match provider {
                "moonshot" => "kimi",
                "llamacpp" => "llama.cpp",
                other => other,
            };
            match HttpProvider::named(name, key) {
                Ok(known) if known.dialect().name() == "chat" => known.with_base_url(url),
                _ => HttpProvider::new(provider, Chat::new(), url, Auth::None),
            }
        }
        "responses" => HttpProvider::new(provider, Responses::new(), url, Auth::None),
        other => HttpProvider::named(other, key)?.with_base_url(url),
    }
}

/// Everything that differs from what is expected, empty when nothing does.
fn compare(expected: &Value, seen: &Seen) -> String {
    let mut why = String::new();
    let class = expected.get("cls").or_else(|| expected.pointer("/error/cls")).and_then(Value::as_str);
    if let Some(class) = class {
        match &seen.error {
            None => note(&mut why, "error", "none", class),
            Some(error) if !classes(error.kind()).contains(&class) => {
                note(&mut why, "error class", &error.to_string(), class);
            }
            Some(error) => {
                if let Some(status) = expected.pointer("/error/status").and_then(Value::as_u64)
                    && error.status().map(u64::from) != Some(status)
                {
                    note(&mut why, "error status", &format!("{:?}", error.status()), &status.to_string());
                }
            }
        }
        return why;
    }
    let broken = expected.get("mid_stream_error").is_some_and(|e| !e.is_null());
    match (&seen.error, broken) {
        (Some(error), false) => {
            note(&mut why, "error", &error.to_string(), "none");
            return why;
        }
        (None, true) => note(&mut why, "mid-stream error", "none", &expected["mid_stream_error"].to_string()),
        _ => {}
    }
    let Some(answer) = &seen.answer else { return why };
    same(&mut why, "text", &answer.text(), expected["text"].as_str().unwrap_or_default());
    same(&mut why, "reasoning", &answer.reasoning(), expected["reasoning"].as_str().unwrap_or_default());
    same(
        &mut why,
        "refusal",
        answer.refusal.as_deref().unwrap_or_default(),
        expected["refusal"].as_str().unwrap_or_default(),
    );
    calls(&mut why, &answer.tool_calls(), &expected["tool_calls"]);
    // A stream that broke ends in its error, which takes the place of the reason to finish.
    if !broken {
        same(&mut why, "finish", finish(&answer.finish), expected["finish"].as_str().unwrap_or("none"));
    }
    usage(&mut why, &answer.usage, &expected["usage"]);
    citations(&mut why, &answer.citations, &expected["citations"]);
    why
}

fn note(why: &mut String, what: &str, got: &str, want: &str) {
    let short = |s: &str| s.chars().take(160).collect::<String>();
    let _ =
        write!(why, "{}{what}: got {:?}, want {:?}", if why.is_empty() { "" } else { "; " }, short(got), short(want));
}

fn same(why: &mut String, what: &str, got: &str, want: &str) {
    if got != want {
        note(why, what, got, want);
    }
}

fn calls(why: &mut String, got: &[&ToolCall], want: &Value) {
    let want = want.as_array().map_or(&[][..], Vec::as_slice);
    let agree = got.len() == want.len()
        && got.iter().zip(want).all(|(g, w)| {
            // Where the server gives no id ours is made up, and has to be there.
            let id = w["id"].as_str().map_or(!g.id.is_empty(), |id| id == g.id);
            id && w["name"].as_str() == Some(&g.name) && w["arguments"] == g.arguments
        });
    if !agree {
        let got: Vec<Value> =
            got.iter().map(|c| json!({"id": c.id, "name": c.name, "arguments": c.arguments})).collect();
        note(why, "tool calls", &Value::from(got).to_string(), &Value::from(want).to_string());
    }
}

fn usage(why: &mut String, got: &Usage, want: &Value) {
    let fields = [
        ("input_tokens", got.input_tokens),
        ("output_tokens", got.output_tokens),
        ("cached_input_tokens", got.cached_input_tokens),
        ("cache_write_tokens", got.cache_write_tokens),
        ("reasoning_tokens", got.reasoning_tokens),
    ];
    for (name, got) in fields {
        if got != want[name].as_u64() {
            note(why, name, &format!("{got:?}"), &want[name].to_string());
        }
    }
    let cost = want["provider_reported_cost"].as_f64().and_then(NanoDollars::from_usd);
    if got.provider_cost != cost {
        note(why, "provider cost", &format!("{:?}", got.provider_cost), &format!("{cost:?}"));
    }
    if got.estimated {
        note(why, "usage", "estimated", "the server's own");
    }
}

fn citations(why: &mut String, got: &[Citation], want: &Value) {
    let got: Vec<&str> = got.iter().map(|c| c.url.as_str()).collect();
    let mut wanted: Vec<&str> = Vec::new();
    // One per address, as they are stored.
    for url in want.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !wanted.contains(&url) {
            wanted.push(url);
        }
    }
    if got != wanted {
        note(why, "citations", &got.join(" "), &wanted.join(" "));
    }
}

/// The data's words for a reason to finish.
fn finish(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Pause => "pause",
        FinishReason::Other(word) => word,
        _ => "?",
    }
}

/// The data's words for an error of this kind. It knows one word for a permission that is missing, we know two reasons.
fn classes(kind: ErrorKind) -> &'static [&'static str] {
    match kind {
        ErrorKind::Overloaded => &["overloaded"],
        ErrorKind::RateLimit => &["rate_limit"],
        ErrorKind::QuotaExhausted => &["quota"],
        ErrorKind::ContextTooLong => &["context_length"],
        ErrorKind::BadRequest => &["invalid_request"],
        ErrorKind::Credential => &["auth", "permission"],
        ErrorKind::Region => &["permission", "region"],
        ErrorKind::Transient => &["server"],
        ErrorKind::ModelUnavailable => &["model_not_found"],
        ErrorKind::ContentPolicy => &["content_filter"],
        _ => &[],
    }
}

fn report(cases: &[Case], sizes: &[usize], wrong: &Wrong) -> Value {
    let bad = |at: usize| (0..sizes.len()).any(|n| wrong.contains_key(&(at, n)));
    let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut failures = Vec::new();
    let (mut main, mut apart) = ((0, 0), (0, 0));
    for (at, case) in cases.iter().enumerate() {
        let right = usize::from(!bad(at));
        let total = if case.apart { &mut apart } else { &mut main };
        *total = (total.0 + 1, total.1 + right);
        let row = table.entry(&case.file).or_default();
        *row = (row.0 + 1, row.1 + right);
        for (n, size) in sizes.iter().enumerate() {
            if let Some(why) = wrong.get(&(at, n)) {
                let mut failure = json!({ "id": case.id, "write_size": size, "why": why });
                if case.apart {
                    failure["apart"] = true.into();
                }
                failures.push(failure);
            }
        }
    }
    println!("{:<16} {:>6} {:>8}", "file", "cases", "correct");
    for (file, (all, right)) in &table {
        println!("{file:<16} {all:>6} {right:>8}");
    }
    for (n, size) in sizes.iter().enumerate() {
        let right = (0..cases.len()).filter(|at| !wrong.contains_key(&(*at, n))).count();
        let label = if *size == 0 { "whole".to_owned() } else { format!("{size} B") };
        println!("write size {label:<5} {:>6} {right:>8}", cases.len());
    }
    println!("apart (synthetic or spliced): {} of {}", apart.1, apart.0);
    for failure in &failures {
        println!("FAILED {} at {}: {}", failure["id"], failure["write_size"], failure["why"]);
    }
    let rate = |(all, right): (usize, usize)| if all == 0 { 1.0 } else { right as f64 / all as f64 };
    json!({
        "cases": main.0, "correct": main.1, "rate": rate(main), "write_sizes": sizes,
        "apart": { "cases": apart.0, "correct": apart.1, "rate": rate(apart) }, "failures": failures,
    })
}
