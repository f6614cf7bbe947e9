//! Servers of models and of embeddings as a description in JSON says them.

use super::config::{config_error, seconds};
use super::limits::PaceWords;
use super::local::{Embeds, FASTEMBED, LocalWords};
use crate::embed::{CachedEmbedder, Embedder, HttpEmbedder, StaticEmbedder};
use crate::error::Result;
use crate::provider::{HttpProvider, servers};
use crate::transport::{Deadlines, HttpClient, HttpVersion, Secret};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

#[derive(Deserialize)]
struct Key(String);

impl Key {
    fn secret(&self) -> Secret {
        Secret::from(self.0.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeoutWords {
    connect: Option<f64>,
    first_token: Option<f64>,
    between_chunks: Option<f64>,
    total: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VersionWords {
    Negotiated,
    Http1,
    Http2,
}

/// What the connection to a server may be told.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Connection {
    timeout: Option<TimeoutWords>,
    /// `http://user:password@host:port`.
    proxy: Option<Key>,
    /// A file of root certificates in PEM, trusted beside the machine's.
    ca_file: Option<String>,
    /// Bytes of a whole answer.
    max_response_bytes: Option<usize>,
    /// Bytes of all of a stream.
    max_stream_bytes: Option<u64>,
    /// Bytes of one event of a stream.
    max_event_bytes: Option<usize>,
    http_version: Option<VersionWords>,
    /// Calls at a time over one connection of HTTP/2.
    streams_per_connection: Option<usize>,
}

impl Connection {
    /// The deadlines, `all` where nothing is said, and `client` or, where a setting belongs to the pool, a pool of its own.
    fn made(&self, all: Deadlines, client: &HttpClient) -> Result<(Deadlines, HttpClient)> {
        let (mut deadlines, mut options) = (all, client.options().clone());
        if let Some(timeout) = &self.timeout {
            deadlines = all
                .with_connect(seconds("timeout.connect", timeout.connect, all.connect)?)
                .with_first_token(seconds("timeout.first_token", timeout.first_token, all.first_token)?)
                .with_between_chunks(seconds("timeout.between_chunks", timeout.between_chunks, all.between_chunks)?)
                .with_total(seconds("timeout.total", timeout.total, all.total)?);
            if timeout.connect.is_some() {
                options = options.with_connect(deadlines.connect);
            }
        }
        if let Some(url) = &self.proxy {
            options = options.with_proxy(url.0.as_str())?;
        }
        if let Some(file) = &self.ca_file {
            let pem = std::fs::read(file).map_err(|e| config_error(format!("ca_file {file:?} cannot be read: {e}")))?;
            options =
                options.with_root_pem(pem).map_err(|e| config_error(format!("ca_file {file:?}: {}", e.message())))?;
        }
        options.max_body = self.max_response_bytes.unwrap_or(options.max_body);
        options.max_stream = self.max_stream_bytes.unwrap_or(options.max_stream);
        options.max_frame = self.max_event_bytes.unwrap_or(options.max_frame);
        options.version = match self.http_version {
            None => options.version,
            Some(VersionWords::Negotiated) => HttpVersion::Negotiated,
            Some(VersionWords::Http1) => HttpVersion::Http1,
            Some(VersionWords::Http2) => HttpVersion::Http2,
        };
        if let Some(n) = self.streams_per_connection {
            options = options.with_streams_per_connection(n);
        }
        let client = if options == *client.options() { client.clone() } else { HttpClient::with_options(options)? };
        Ok((deadlines, client))
    }
}

/// A server of models.
#[derive(Deserialize)]
pub(super) struct ServerWords {
    pub(super) name: String,
    api_key: Option<Key>,
    base_url: Option<String>,
    pub(super) models: Option<Vec<String>>,
    dialect: Option<String>,
    /// Sent with every request.
    #[serde(default)]
    headers: BTreeMap<String, Key>,
    pub(super) pacing: Option<PaceWords>,
    #[serde(flatten)]
    connection: Connection,
    /// What nobody knows.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl ServerWords {
    /// The provider, over `client` where it may be.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming what is wrong or missing.
    pub(super) fn provider(&self, client: &HttpClient) -> Result<HttpProvider> {
        check_known("the provider", &self.name, &self.rest)?;
        let key = self.api_key.as_ref().map(Key::secret);
        let dialect = self.dialect.as_deref();
        let row = servers().find(|s| s.name == self.name && dialect.is_none_or(|d| d == s.dialect));
        let mut provider = match (row, dialect) {
            (Some(row), _) => row.provider(key),
            // Another server that speaks a known dialect: the first of the table that does, under another name.
            (None, dialect) => {
                let Some(url) = self.base_url.as_deref() else {
                    let known: Vec<&str> = servers().map(|s| s.name).collect();
                    return Err(config_error(format!(
                        "no server is named {:?} (known are {}); any other needs its `base_url`",
                        self.name,
                        known.join(", ")
                    )));
                };
                match dialect.filter(|d| *d != "chat") {
                    None => HttpProvider::compatible(self.name.as_str(), url, key)?,
                    Some(wire) => {
                        let row = servers().find(|s| s.dialect == wire).ok_or_else(|| {
                            let mut known: Vec<&str> = servers().map(|s| s.dialect).collect();
                            known.sort_unstable();
                            known.dedup();
                            config_error(format!("unknown dialect {wire:?}: use one of {}", known.join(", ")))
                        })?;
                        row.provider(key).with_name(self.name.as_str())
                    }
                }
            }
        };
        if let Some(url) = &self.base_url {
            provider = provider.with_base_url(url)?;
        }
        for (name, value) in &self.headers {
            provider = provider.with_header(name, value.secret());
        }
        let (deadlines, client) = self.connection.made(Deadlines::default(), client)?;
        Ok(provider.with_deadlines(deadlines).with_client(client))
    }
}

/// A server of embeddings, a static model in a file, or a sentence transformer in a folder.
#[derive(Deserialize)]
pub(super) struct EmbedServerWords {
    /// `openai`, `gemini`, `static`, `fastembed`, or any other, which needs its `base_url` and `model`.
    name: String,
    api_key: Option<Key>,
    base_url: Option<String>,
    model: Option<String>,
    /// How many the model has; asked of the server where nothing is said and it is none of the known.
    dimensions: Option<usize>,
    /// Fewer than the model has, for models that allow it.
    shortened: Option<usize>,
    #[serde(default)]
    document_prefix: String,
    #[serde(default)]
    query_prefix: String,
    /// Texts in one request.
    batch: Option<usize>,
    retries: Option<u32>,
    /// Of `static`: the file.
    file: Option<String>,
    /// Of `fastembed`: the folder and how the model is run.
    #[serde(flatten)]
    local: LocalWords,
    /// Of `fastembed`: whether the first token's vector is the text's.
    first_token: Option<bool>,
    /// Bytes of vectors that are kept, to be given again for the same text.
    cache_bytes: Option<u64>,
    #[serde(flatten)]
    connection: Connection,
    /// What nobody knows.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl EmbedServerWords {
    /// The embedder, over `client` where it may be.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming what is wrong or missing; what a server says that is asked for its dimensions.
    pub(super) async fn embedder(&self, client: &HttpClient) -> Result<Arc<dyn Embedder>> {
        check_known("the embedder", &self.name, &self.rest)?;
        let embedder: Arc<dyn Embedder> = match (self.name.as_str(), &self.file) {
            ("static", Some(file)) => Arc::new(StaticEmbedder::from_file(file)?),
            ("static", None) => {
                return Err(config_error("the embedder \"static\" needs the `file` of its model".into()));
            }
            (FASTEMBED, _) => {
                let (document_prefix, query_prefix) = (self.document_prefix.clone(), self.query_prefix.clone());
                self.local.embedder(Embeds { first_token: self.first_token, document_prefix, query_prefix }).await?
            }
            _ if self.local.folder.is_some() => {
                let words = format!("the embedder {:?} has no `folder`: it is for {FASTEMBED:?}", self.name);
                return Err(config_error(words));
            }
            _ => Arc::new(self.server(client).await?),
        };
        Ok(match self.cache_bytes {
            Some(bytes) => Arc::new(CachedEmbedder::new(embedder, bytes)),
            None => embedder,
        })
    }

    async fn server(&self, client: &HttpClient) -> Result<HttpEmbedder> {
        let needed = |what: &str| config_error(format!("the embedder {:?} needs its `{what}`", self.name));
        let key = self.api_key.as_ref().map_or_else(|| Secret::from(""), Key::secret);
        let known = match self.name.as_str() {
            "openai" => Some(HttpEmbedder::openai(key.clone())?),
            "gemini" => Some(HttpEmbedder::gemini(key.clone())?),
            _ => None,
        };
        let measured = known.is_none() && self.dimensions.is_none();
        let mut embedder = match known {
            Some(known) => match (&self.model, self.dimensions) {
                (Some(model), Some(dimensions)) => known.with_model(model, dimensions),
                (None, None) => known,
                (Some(_), None) => return Err(needed("dimensions")),
                (None, Some(_)) => return Err(needed("model")),
            },
            None => {
                let base = self.base_url.as_deref().ok_or_else(|| needed("base_url"))?;
                let model = self.model.as_deref().ok_or_else(|| needed("model"))?;
                let other = HttpEmbedder::compatible(base, model, self.dimensions.unwrap_or_default())?;
                other.with_key(key).with_provider_name(self.name.as_str())
            }
        };
        if let Some(url) = &self.base_url {
            embedder = embedder.with_base(url)?;
        }
        if let Some(dimensions) = self.shortened {
            embedder = embedder.with_shortened(dimensions);
        }
        if let Some(texts) = self.batch {
            embedder = embedder.with_batch(texts);
        }
        if let Some(retries) = self.retries {
            embedder = embedder.with_retries(retries);
        }
        let (deadlines, client) = self.connection.made(embedder.deadlines(), client)?;
        embedder = embedder
            .with_prefixes(self.document_prefix.as_str(), self.query_prefix.as_str())
            .with_deadlines(deadlines)
            .with_client(client);
        if measured && self.shortened.is_none() { embedder.measured().await } else { Ok(embedder) }
    }
}

/// That nothing is said that nobody knows.
pub(super) fn check_known(what: &str, name: &str, rest: &BTreeMap<String, Value>) -> Result<()> {
    match rest.keys().next() {
        Some(unknown) => Err(config_error(format!("{what} {name:?} has no setting {unknown:?}"))),
        None => Ok(()),
    }
}
