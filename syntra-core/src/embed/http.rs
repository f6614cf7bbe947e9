//! Embeddings over HTTP: OpenAI, Gemini, and every server that speaks OpenAI's `/embeddings` (llama.cpp, Ollama, vLLM, …).

use super::{Embedder, at_place, check_vectors, is_blank, nothing_to_embed, to_unit, unusable};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Phase, Result, Retry};
use crate::provider::{WireFailure, error_shapes};
use crate::transport::{Deadlines, HttpClient, HttpReply, Secret, redact};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Which wire format a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbedApi {
    /// `POST {base}/embeddings` with `input: [texts]`; the answer's items carry their `index`.
    OpenAi,
    /// `POST {base}/models/{model}:batchEmbedContents`; questions and documents are told apart; answers come in order.
    Gemini,
}

/// Batches of one call that are under way at the same time.
const PARALLEL: usize = 4;
/// Bytes of text in one request. OpenAI takes 300,000 tokens a request, and a token is never less than one byte.
const BATCH_BYTES: usize = 250_000;
/// Longer than this nobody waits for a busy server within one call.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// An embedder behind an HTTP server.
///
/// Vectors come back in the order of the texts whatever the order of the answer, are checked (count, dimension, finite, not
/// zero) and scaled to length 1. Texts go in batches, a few at a time; failures that may pass are tried again a few times,
/// after what `Retry-After` asks. The key travels in a header, and is in no URL, error or debug output.
///
/// ```
/// use syntra_core::embed::{Embedder, HttpEmbedder};
/// let embedder = HttpEmbedder::openai("sk-...")?;
/// assert_eq!((embedder.model(), embedder.dimensions()), ("openai/text-embedding-3-small@1536", 1536));
/// // llama.cpp: `llama-server --embeddings`; Ollama serves the same under port 11434.
/// let local = HttpEmbedder::compatible("http://127.0.0.1:8080/v1", "nomic-embed-text", 768)?
///     .with_prefixes("search_document: ", "search_query: ");
/// assert!(!format!("{embedder:?} {local:?}").contains("sk-"));
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone)]
pub struct HttpEmbedder {
    client: HttpClient,
    api: EmbedApi,
    provider: String,
    base: String,
    key: Option<Secret>,
    /// As the server calls it; `id` is what the outside knows.
    wire_model: String,
    id: String,
    dimensions: usize,
    /// Whether the server is asked for that many dimensions, or simply has them.
    ask_dimensions: bool,
    batch: usize,
    document_prefix: String,
    query_prefix: String,
    deadlines: Deadlines,
    retries: u32,
}

impl fmt::Debug for HttpEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEmbedder")
            .field("api", &self.api)
            .field("base", &redact(&self.base))
            .field("model", &self.id)
            .field("dimensions", &self.dimensions)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a text is embedded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Document,
    Query,
}

#[derive(Deserialize)]
struct OpenAiReply {
    data: Vec<OpenAiItem>,
}

#[derive(Deserialize)]
struct OpenAiItem {
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct GeminiReply {
    embeddings: Vec<GeminiItem>,
}

#[derive(Deserialize)]
struct GeminiItem {
    values: Vec<f32>,
}

impl HttpEmbedder {
    /// OpenAI's `text-embedding-3-small` with its 1536 dimensions; [`HttpEmbedder::with_model`] for another.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the HTTP client cannot be set up.
    pub fn openai(key: impl Into<Secret>) -> Result<Self> {
        let this = Self::make(EmbedApi::OpenAi, "openai", "https://api.openai.com/v1", "text-embedding-3-small", 1536)?;
        Ok(Self { batch: 2048, ..this }.with_key(key))
    }

    /// Google's `gemini-embedding-001`, asked for 768 dimensions (it offers up to 3072).
    ///
    /// # Errors
    /// As [`HttpEmbedder::openai`].
    pub fn gemini(key: impl Into<Secret>) -> Result<Self> {
        let base = "https://generativelanguage.googleapis.com/v1beta";
        let this = Self::make(EmbedApi::Gemini, "gemini", base, "gemini-embedding-001", 768)?;
        Ok(Self { batch: 100, ask_dimensions: true, ..this }.with_key(key))
    }

    /// Any server that speaks OpenAI's embeddings under `base` (`…/v1`), for a model of known `dimensions`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a `base` that is no http or https URL, or holds a user name, a password or a query: keys do not
    /// belong there.
    pub fn compatible(base: impl AsRef<str>, model: impl Into<String>, dimensions: usize) -> Result<Self> {
        Self::make(EmbedApi::OpenAi, "compatible", base.as_ref(), model, dimensions)
    }

    /// As [`HttpEmbedder::compatible`], with the number of dimensions asked from the server by embedding one word.
    ///
    /// # Errors
    /// As [`HttpEmbedder::compatible`]; also what the server says to that first call.
    pub async fn connect(base: impl AsRef<str>, model: impl Into<String>, key: Option<Secret>) -> Result<Self> {
        let mut this = Self::make(EmbedApi::OpenAi, "compatible", base.as_ref(), model, 0)?;
        this.key = key;
        this.measured().await
    }

    /// The same with the number of dimensions asked from the server by embedding one word.
    ///
    /// # Errors
    /// What the server says to that call.
    pub async fn measured(mut self) -> Result<Self> {
        self.dimensions = 0;
        let vectors = self.send_with_retries(Use::Query, &["dimensions".to_owned()]).await?;
        self.dimensions = vectors.first().map_or(0, Vec::len);
        if self.dimensions == 0 {
            return Err(unusable("the server's vectors have no dimensions").with_code("wrong_dimension"));
        }
        self.name();
        Ok(self)
    }

    fn make(api: EmbedApi, provider: &str, base: &str, model: impl Into<String>, dimensions: usize) -> Result<Self> {
        check_base(base)?;
        let mut this = Self {
            client: HttpClient::new()?,
            api,
            provider: provider.to_owned(),
            base: base.trim_end_matches('/').to_owned(),
            key: None,
            wire_model: model.into(),
            id: String::new(),
            dimensions,
            ask_dimensions: false,
            // Small servers take few texts at once; some 32.
            batch: 32,
            document_prefix: String::new(),
            query_prefix: String::new(),
            deadlines: Deadlines::within(Duration::from_secs(60)),
            retries: 2,
        };
        this.name();
        Ok(this)
    }

    fn name(&mut self) {
        self.id = format!("{}/{}@{}", self.provider, self.wire_model, self.dimensions);
    }

    /// Sets the key.
    pub fn with_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into()).filter(|k: &Secret| !k.is_empty());
        self
    }

    /// Another model of the same server, with the number of dimensions that it has.
    pub fn with_model(mut self, model: impl Into<String>, dimensions: usize) -> Self {
        (self.wire_model, self.dimensions) = (model.into(), dimensions);
        self.name();
        self
    }

    /// Asks the server for vectors of `dimensions`, fewer than the model has; for models that allow it.
    pub fn with_shortened(mut self, dimensions: usize) -> Self {
        (self.ask_dimensions, self.dimensions) = (true, dimensions);
        self.name();
        self
    }

    /// The name under which errors and [`Embedder::model`] know the server.
    pub fn with_provider_name(mut self, name: impl Into<String>) -> Self {
        self.provider = name.into();
        self.name();
        self
    }

    /// Another base URL for the same wire format: a proxy, a gateway, a mock.
    ///
    /// # Errors
    /// As [`HttpEmbedder::compatible`].
    pub fn with_base(self, base: impl AsRef<str>) -> Result<Self> {
        check_base(base.as_ref())?;
        Ok(Self { base: base.as_ref().trim_end_matches('/').to_owned(), ..self })
    }

    /// Words put before documents and questions, for models trained so (`search_document: `, `query: `).
    pub fn with_prefixes(mut self, document: impl Into<String>, query: impl Into<String>) -> Self {
        (self.document_prefix, self.query_prefix) = (document.into(), query.into());
        self
    }

    /// The most texts in one request, at least 1.
    pub fn with_batch(mut self, texts: usize) -> Self {
        self.batch = texts.max(1);
        self
    }

    /// How long a request may take.
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// How often a request is tried again after a failure that may pass; 2 unless set.
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The pool to use, so that a program has one.
    pub fn with_client(mut self, client: HttpClient) -> Self {
        self.client = client;
        self
    }

    /// How long a request may take.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// Which wire format it speaks.
    pub fn api(&self) -> EmbedApi {
        self.api
    }

    async fn run(&self, purpose: Use, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if let Some(i) = texts.iter().position(|t| is_blank(t)) {
            return Err(at_place(nothing_to_embed(), i, texts.len()));
        }
        let prefix = if purpose == Use::Query { &self.query_prefix } else { &self.document_prefix };
        let batches = self.batches(texts.iter().map(|text| format!("{prefix}{text}")));
        let vectors: Vec<Vec<Vec<f32>>> = stream::iter(batches)
            .map(|batch| async move { self.send_with_retries(purpose, &batch).await })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let vectors: Vec<Vec<f32>> = vectors.into_iter().flatten().collect();
        check_vectors(&vectors, texts.len(), self.dimensions).map_err(|e| self.named(e))?;
        Ok(vectors)
    }

    fn batches(&self, texts: impl Iterator<Item = String>) -> Vec<Vec<String>> {
        let mut out: Vec<Vec<String>> = Vec::new();
        let mut bytes = 0;
        for text in texts {
            bytes += text.len();
            match out.last_mut() {
                Some(batch) if batch.len() < self.batch && bytes <= BATCH_BYTES => batch.push(text),
                _ => {
                    bytes = text.len();
                    out.push(vec![text]);
                }
            }
        }
        out
    }

    async fn send_with_retries(&self, purpose: Use, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut attempt = 0;
        loop {
            let error = match self.send(purpose, texts).await {
                Ok(vectors) => return Ok(vectors),
                Err(error) => self.named(error),
            };
            let pause = Duration::from_millis((250u64 << attempt.min(6)) + rand::random_range(0..100));
            let wait = error.retry_after().unwrap_or(pause);
            // Only this model's vectors can be compared with those stored, so there is no other target to go to.
            let may_pass = error.retry() == Retry::SameTarget || error.kind() == ErrorKind::Overloaded;
            if attempt >= self.retries || !may_pass || wait > LONGEST_WAIT {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }

    fn named(&self, error: Error) -> Error {
        error.with_provider(self.provider.clone()).with_model(self.wire_model.clone())
    }

    /// One request, its answer decoded, vectors in order and of length 1.
    async fn send(&self, purpose: Use, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let (url, body) = self.request(purpose, texts);
        let bearer = self.key.as_ref().map(|k| format!("Bearer {}", k.expose()));
        let headers: Vec<(&str, &str)> = match (self.api, &self.key, &bearer) {
            (EmbedApi::Gemini, Some(key), _) => vec![("x-goog-api-key", key.expose())],
            (EmbedApi::OpenAi, _, Some(bearer)) => vec![("authorization", bearer)],
            _ => Vec::new(),
        };
        let reply = self.client.post_json(&url, &headers, &body, self.deadlines).await?;
        if !(200..300).contains(&reply.status) {
            return Err(self.failure(reply));
        }
        let mut vectors = self.decode(&reply, texts.len())?;
        for (i, vector) in vectors.iter_mut().enumerate() {
            to_unit(vector, i)?;
        }
        Ok(vectors)
    }

    fn request(&self, purpose: Use, texts: &[String]) -> (String, Value) {
        match self.api {
            EmbedApi::OpenAi => {
                let mut body = json!({ "model": self.wire_model, "input": texts, "encoding_format": "float" });
                if self.ask_dimensions {
                    body["dimensions"] = self.dimensions.into();
                }
                (format!("{}/embeddings", self.base), body)
            }
            EmbedApi::Gemini => {
                let model = format!("models/{}", self.wire_model.trim_start_matches("models/"));
                let task = if purpose == Use::Query { "RETRIEVAL_QUERY" } else { "RETRIEVAL_DOCUMENT" };
                let requests: Vec<Value> = texts
                    .iter()
                    .map(|text| {
                        let mut one =
                            json!({ "model": model, "content": { "parts": [{ "text": text }] }, "taskType": task });
                        if self.ask_dimensions {
                            one["outputDimensionality"] = self.dimensions.into();
                        }
                        one
                    })
                    .collect();
                (format!("{}/{model}:batchEmbedContents", self.base), json!({ "requests": requests }))
            }
        }
    }

    /// The error that a status other than 2xx means. The key is cut out of the server's words first: some quote it.
    fn failure(&self, mut reply: HttpReply) -> Error {
        if let Some(key) = &self.key {
            reply.body = key.scrub(&String::from_utf8_lossy(&reply.body)).into();
        }
        let failure = WireFailure {
            status: reply.status,
            headers: &reply.headers,
            body: &reply.body,
            now: SystemClock::new().now(),
        };
        error_shapes::classify_failure(&failure).with_status(reply.status).with_phase(Phase::BeforeContent)
    }

    fn decode(&self, reply: &HttpReply, texts: usize) -> Result<Vec<Vec<f32>>> {
        let items: Vec<(Option<usize>, Vec<f32>)> = match self.api {
            EmbedApi::OpenAi => {
                let reply: OpenAiReply = self.parse(reply)?;
                reply.data.into_iter().map(|item| (item.index, item.embedding)).collect()
            }
            EmbedApi::Gemini => {
                let reply: GeminiReply = self.parse(reply)?;
                reply.embeddings.into_iter().map(|item| (None, item.values)).collect()
            }
        };
        if items.len() != texts {
            return Err(unusable(&format!("{} vectors for {texts} texts", items.len())).with_code("count_mismatch"));
        }
        // Servers without an index answer in order; one that numbers some and not others cannot be trusted.
        let numbered = items.iter().filter(|(index, _)| index.is_some()).count();
        let mut out: Vec<Option<Vec<f32>>> = vec![None; texts];
        for (place, (index, vector)) in items.into_iter().enumerate() {
            let at = if numbered == 0 { Some(place) } else { index };
            match at.and_then(|at| out.get_mut(at)) {
                Some(slot @ None) => *slot = Some(vector),
                _ => {
                    let what = format!("item {place} has the index {at:?}, missing, taken or out of range");
                    return Err(unusable(&what).with_code("bad_index"));
                }
            }
        }
        out.into_iter().map(|v| v.ok_or_else(|| unusable("a text has no vector").with_code("bad_index"))).collect()
    }

    /// The body as `T`; an error inside a 200 is an error.
    fn parse<T: for<'a> Deserialize<'a>>(&self, reply: &HttpReply) -> Result<T> {
        serde_json::from_slice(&reply.body).map_err(|cause| {
            let text = String::from_utf8_lossy(&reply.body);
            let text = self.key.as_ref().map_or_else(|| text.clone().into_owned(), |key| key.scrub(&text));
            if let Some(error) = serde_json::from_str(&text).ok().as_ref().and_then(error_shapes::error_in) {
                return error.with_status(reply.status);
            }
            let what = format!("the answer is no list of embeddings: {}", redact(&cause.to_string()));
            Error::new(ErrorKind::Decode, what).with_status(reply.status).with_phase(Phase::BeforeContent)
        })
    }
}

fn check_base(base: &str) -> Result<()> {
    let config = |what: String| Error::new(ErrorKind::Config, what);
    let url = url::Url::parse(base).map_err(|e| config(format!("the base URL of the embedder is wrong: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(config("the base URL of the embedder must begin with http:// or https://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        let what = "the base URL of the embedder must hold no user, password or query; give a key with `with_key`";
        return Err(config(what.to_owned()));
    }
    Ok(())
}

#[async_trait]
impl Embedder for HttpEmbedder {
    fn model(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.run(Use::Document, texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vectors = self.run(Use::Query, &[text]).await?;
        vectors.pop().ok_or_else(|| self.named(unusable("the server returned no vector")))
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
