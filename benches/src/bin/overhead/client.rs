//! The layers that are compared, each a whole call to the same server.

use futures::StreamExt as _;
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use syntra_core::memory::{MemoryType, NewMemory};
use syntra_core::provider::{HttpProvider, Provider as _};
use syntra_core::{Ask, Event, Message, Request, Scope, Syntra};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// reqwest and serde_json, nothing of ours.
    Bare,
    /// The adapter alone: encoding, deadlines, decoding into events.
    Adapter,
    /// A turn without memory: routing, pacing, breaker, coalescing, accounting, trace.
    Turn,
    /// A turn that recalls from 1,000 memories, reads and writes its thread and remembers.
    Memory,
}

impl Layer {
    pub(crate) const ALL: [Layer; 4] = [Layer::Bare, Layer::Adapter, Layer::Turn, Layer::Memory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare reqwest",
            Self::Adapter => "provider adapter",
            Self::Turn => "turn, no memory",
            Self::Memory => "turn with memory",
        }
    }
}

/// Everything that is set up once.
pub(crate) struct World {
    bare: reqwest::Client,
    url: String,
    adapter: Arc<HttpProvider>,
    syntra: Syntra,
}

const QUESTION: &str = "Which country is Lisbon in, and since when?";
const SYSTEM: &str = "You are a helpful assistant. Be brief.";

impl World {
    pub(crate) fn new(base: &str) -> Result<Self, Box<dyn Error>> {
        let adapter = Arc::new(HttpProvider::compatible("mock", base, Some("key".into()))?);
        let syntra = Syntra::builder().in_memory().shared_provider(adapter.clone()).models("mock", ["mock"]).build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let memories = (0..1_000)
            .map(|n| NewMemory::new(MemoryType::Semantic, format!("Fact {n}: town {} has {n} streets.", n * 7)));
        runtime.block_on(syntra.remember(&Scope::local(), memories.collect()))?;
        let url = format!("{base}/chat/completions");
        Ok(Self { bare: reqwest::Client::builder().no_proxy().build()?, url, adapter, syntra })
    }

    /// `calls` calls, `concurrency` of them at once.
    pub(crate) async fn run(
        &self,
        layer: Layer,
        streaming: bool,
        concurrency: usize,
        calls: usize,
    ) -> Result<(), Box<dyn Error>> {
        let next = AtomicUsize::new(0);
        let worker = || async {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= calls {
                    return Outcome::Ok(());
                }
                self.call(layer, streaming, n).await?;
            }
        };
        let done = futures::future::join_all((0..concurrency).map(|_| worker())).await;
        done.into_iter().collect::<Outcome>().map_err(|e| e.to_string().into())
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
            Layer::Turn | Layer::Memory => {
                let memory = layer == Layer::Memory;
                let ask = Ask::new(question).with_recall(memory).with_remember(memory);
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
