//! The layers that are compared, each a whole call to the same server.

use futures::StreamExt as _;
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use syntra_core::exec::{Admissions, Coalescer, Execution, ExecutionUpdate, execute};
use syntra_core::memory::{MemoryType, NewMemory};
use syntra_core::provider::{HttpProvider, Provider};
use syntra_core::router::{
    Catalogue, DefaultRouter, ModelInfo, RouteQuery, Router, RouterPreferences, Target, classify, cost,
};
use syntra_core::{Ask, Clock, Event, Message, Request, Scope, Syntra, SystemClock};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// reqwest and serde_json, nothing of ours.
    Bare,
    /// The adapter alone: encoding, deadlines, decoding into events.
    Adapter,
    /// Intent, plan, breaker, pace, coalescing, commit point, bill: all that stands between a question and the adapter.
    Executed,
    /// A turn whose conversation is the caller's own: that, with the context and the trace; nothing is read or written.
    Stateless,
    /// A turn without memory: that, with the exchange saved in its thread.
    Turn,
    /// A turn that recalls from 1,000 memories and counts their uses. It does not remember: thousands of the same question in one
    /// memory are nobody's memory.
    Memory,
}

impl Layer {
    pub(crate) const ALL: [Layer; 6] =
        [Layer::Bare, Layer::Adapter, Layer::Executed, Layer::Stateless, Layer::Turn, Layer::Memory];

    /// Its name as an argument.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Adapter => "adapter",
            Self::Executed => "execute",
            Self::Stateless => "stateless",
            Self::Turn => "turn",
            Self::Memory => "memory",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare reqwest",
            Self::Adapter => "provider adapter",
            Self::Executed => "routed and executed",
            Self::Stateless => "turn, stateless",
            Self::Turn => "turn, no memory",
            Self::Memory => "turn with recall",
        }
    }
}

/// Everything that is set up once.
pub(crate) struct World {
    bare: reqwest::Client,
    url: String,
    adapter: Arc<HttpProvider>,
    syntra: Syntra,
    clock: Arc<dyn Clock>,
    catalogue: Catalogue,
    targets: Vec<Target>,
    router: DefaultRouter,
    admissions: Admissions,
    coalescer: Coalescer,
}

const QUESTION: &str = "Which country is Lisbon in, and since when?";
const SYSTEM: &str = "You are a helpful assistant. Be brief.";

impl World {
    pub(crate) fn new(base: &str) -> Result<Self, Box<dyn Error>> {
        // The workspace's reqwest brings no cryptography of its own. Where there is some already it serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let adapter = Arc::new(HttpProvider::compatible("mock", base, Some("key".into()))?);
        let syntra = Syntra::builder().in_memory().shared_provider(adapter.clone()).models("mock", ["mock"]).build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let memories = (0..1_000)
            .map(|n| NewMemory::new(MemoryType::Semantic, format!("Fact {n}: town {} has {n} streets.", n * 7)));
        runtime.block_on(syntra.remember(&Scope::local(), memories.collect()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut catalogue = Catalogue::builtin();
        // A price, so that there is a bill.
        let priced = catalogue.models().iter().find(|m| m.model == "gpt-4o-mini").cloned().ok_or("no model to copy")?;
        let mut model: ModelInfo = priced;
        (model.provider, model.model) = ("mock".into(), "mock".into());
        catalogue.insert(model);
        let providers: Vec<Arc<dyn Provider>> = vec![adapter.clone()];
        Ok(Self {
            bare: reqwest::Client::builder().no_proxy().build()?,
            url: format!("{base}/chat/completions"),
            adapter,
            syntra,
            targets: vec![Target::new("mock", "mock")],
            router: DefaultRouter::new(catalogue.clone(), RouterPreferences::default(), clock.clone()),
            admissions: Admissions::new(providers, Default::default(), clock.clone()),
            coalescer: Coalescer::new(),
            catalogue,
            clock,
        })
    }

    /// `calls` calls, `concurrency` of them at once, each a task of the runtime as a server would have it.
    pub(crate) async fn run(
        self: &Arc<Self>,
        layer: Layer,
        streaming: bool,
        concurrency: usize,
        calls: usize,
    ) -> Result<(), Box<dyn Error>> {
        let next = Arc::new(AtomicUsize::new(0));
        let worker = |world: Arc<Self>, next: Arc<AtomicUsize>| async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= calls {
                    return Outcome::Ok(());
                }
                world.call(layer, streaming, n).await?;
            }
        };
        let tasks: Vec<_> = (0..concurrency).map(|_| tokio::spawn(worker(self.clone(), next.clone()))).collect();
        for task in tasks {
            task.await?.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    async fn call(&self, layer: Layer, streaming: bool, n: usize) -> Outcome {
        // No two questions are the same, or calls would be shared.
        let question = format!("{QUESTION} ({n})");
        match layer {
            Layer::Bare => self.bare(&question, streaming).await,
            Layer::Adapter => {
                let messages = vec![Message::system(SYSTEM), Message::user(question)];
                let request = Request::new("mock", messages);
                if !streaming {
                    return check(&self.adapter.complete(&request).await?.text());
                }
                let mut stream = self.adapter.stream(&request).await?;
                let mut text = 0;
                while let Some(event) = stream.next().await {
                    if let Event::Text { text: more } = event? {
                        text += more.len();
                    }
                }
                if text == 0 { Err("no text".into()) } else { Ok(()) }
            }
            Layer::Executed => self.executed(question, streaming).await,
            Layer::Stateless | Layer::Turn | Layer::Memory => {
                let mut ask = Ask::new(question).with_recall(layer == Layer::Memory).with_remember(false);
                if layer == Layer::Stateless {
                    ask = ask.with_history(Vec::new());
                }
                let scope = Scope::local();
                if !streaming {
                    return check(&self.syntra.ask(&scope, ask).await?.text);
                }
                let mut stream = self.syntra.stream(&scope, ask)?;
                while let Some(event) = stream.next().await {
                    match event {
                        Event::Error(error) => return Err(error.into()),
                        Event::Done(done) if done.degraded => return Err("the server did not answer".into()),
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }

    async fn executed(&self, question: String, streaming: bool) -> Outcome {
        let guess = classify(&question, false, &[]);
        let mut query = RouteQuery::new(question.as_str(), guess.intent);
        query.input_tokens = 30;
        let fleet = self.admissions.health().snapshot(&self.targets);
        let plan = self.router.plan(&query, &fleet)?;
        let request = Request::new("", vec![Message::system(SYSTEM), Message::user(question)]);
        let mut execution = Execution::new(plan, Scope::local(), self.admissions.clone(), request, self.clock.clone());
        execution.estimated_tokens = 500;
        execution.streaming = streaming;
        execution.coalescer = self.coalescer.clone();
        let (mut updates, mut text, mut bill) = (execute(execution), 0, None);
        while let Some(update) = updates.next().await {
            match update? {
                ExecutionUpdate::Event(Event::Text { text: more }) => text += more.len(),
                ExecutionUpdate::Attempt(record) => {
                    bill = cost(&*self.catalogue.get(&record.target.provider, &record.target.model)?, &record.usage);
                }
                ExecutionUpdate::Event(_) => {}
            }
        }
        if text == 0 || bill.is_none() { Err("no text or no bill".into()) } else { Ok(()) }
    }

    /// What an application without a library writes: post, read, parse.
    async fn bare(&self, question: &str, streaming: bool) -> Outcome {
        let mut body = json!({
            "model": "mock",
            "messages": [{ "role": "system", "content": SYSTEM }, { "role": "user", "content": question }],
        });
        if streaming {
            body["stream"] = json!(true);
            body["stream_options"] = json!({ "include_usage": true });
        }
        let mut response = self.bare.post(&self.url).bearer_auth("key").json(&body).send().await?.error_for_status()?;
        if !streaming {
            let answer: Value = serde_json::from_slice(&response.bytes().await?)?;
            return check(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default());
        }
        let (mut buffer, mut text) = (Vec::new(), 0);
        while let Some(chunk) = response.chunk().await? {
            buffer.extend_from_slice(&chunk);
            let mut from = 0;
            while let Some(at) = buffer[from..].windows(2).position(|w| w == b"\n\n") {
                let frame = &buffer[from..from + at];
                from += at + 2;
                let data = frame.strip_prefix(b"data: ").unwrap_or(frame);
                if data == b"[DONE]" {
                    continue;
                }
                let event: Value = serde_json::from_slice(data)?;
                text += event["choices"][0]["delta"]["content"].as_str().map_or(0, str::len);
            }
            buffer.drain(..from);
        }
        if text == 0 { Err("no text".into()) } else { Ok(()) }
    }
}

fn check(text: &str) -> Outcome {
    if text.is_empty() { Err("an empty answer".into()) } else { Ok(()) }
}
