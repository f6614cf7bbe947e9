//! The adapter that joins a [`Dialect`] to the wire.

use super::stream::Live;
use super::whole::read_whole;
use super::{Dialect, Provider, WireFailure, WireRequest};
use crate::chat::{EventStream, Request, Response};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Phase, Result, Retry};
use crate::transport::{Deadlines, HttpClient, RateLimits, Secret, TimeoutStage, after, rate_limits, redact};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most of an error's body that is read.
const ERROR_BODY: usize = 64 << 10;

/// How a server is told who asks. A key goes into a header, never into a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Not at all: a server of one's own.
    #[default]
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// The header of this name, `x-api-key` say.
    Header(String, Secret),
}

/// A request as it goes out.
struct Call {
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Auth {
    fn header(&self) -> Option<(String, String)> {
        match self {
            Self::None => None,
            Self::Bearer(key) => Some(("authorization".into(), format!("Bearer {}", key.expose()))),
            Self::Header(name, key) => Some((name.clone(), key.expose().to_owned())),
        }
    }

    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Bearer(key) | Self::Header(_, key) => Some(key),
        }
    }
}

/// A model server behind HTTP: a [`Dialect`], a base URL and a key. See [`super::servers`] for those known by name.
///
/// ```
/// use syntra_core::provider::{HttpProvider, Provider};
/// let provider = HttpProvider::openai("sk-…");
/// assert_eq!(provider.name(), "openai");
/// assert!(!format!("{provider:?}").contains("sk-"));
/// ```
#[derive(Clone, Debug)]
pub struct HttpProvider {
    name: String,
    dialect: Arc<dyn Dialect>,
    base_url: String,
    auth: Auth,
    headers: Vec<(String, Secret)>,
    deadlines: Deadlines,
    client: Option<HttpClient>,
    clock: Arc<dyn Clock>,
    key_id: String,
    /// What answers said last is left, by model.
    limits: Arc<Mutex<HashMap<String, RateLimits>>>,
}

/// Models whose limits are kept until they are taken.
const LIMITS: usize = 256;

impl HttpProvider {
    /// A server named `name` that speaks `dialect` at `base_url`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `base_url` is no `http` or `https` URL, or holds a user name or password: a key belongs into `auth`.
    pub fn new(name: impl Into<String>, dialect: impl Dialect, base_url: impl AsRef<str>, auth: Auth) -> Result<Self> {
        let mut provider = Self::unchecked(name.into(), Arc::new(dialect), String::new(), auth);
        provider.base_url = checked_url(&provider.name, base_url.as_ref())?;
        Ok(provider)
    }

    /// For rows of the table, whose URLs are right.
    pub(super) fn unchecked(name: String, dialect: Arc<dyn Dialect>, base_url: String, auth: Auth) -> Self {
        let key_id = fingerprint(&auth);
        Self {
            name,
            dialect,
            base_url,
            auth,
            key_id,
            limits: Arc::default(),
            headers: Vec::new(),
            deadlines: Deadlines::default(),
            client: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same under another name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same at another address, a gateway's say.
    ///
    /// # Errors
    /// As [`HttpProvider::new`].
    pub fn with_base_url(mut self, base_url: impl AsRef<str>) -> Result<Self> {
        self.base_url = checked_url(&self.name, base_url.as_ref())?;
        Ok(self)
    }

    /// The same with other deadlines. [`Deadlines::connect`] belongs to the pool: see [`HttpProvider::with_client`].
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// The same over a pool of one's own instead of [`HttpClient::shared`].
    pub fn with_client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// The same with one more header in every request (an organisation, a referer); its value is kept out of sight like a key.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with another clock, for tests of `Retry-After` dates.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The address, without key.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The dialect that is spoken.
    pub fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    /// The models that the server says it has, sorted; for a local server those that are loaded or pulled. Everything within five
    /// seconds, so that it serves as a probe.
    ///
    /// # Errors
    /// Classified as for a call; [`ErrorKind::Decode`] when the answer is no list of models.
    pub async fn list_models(&self) -> Result<Vec<String>> {
        self.list_models_within(Duration::from_secs(5)).await
    }

    /// [`HttpProvider::list_models`] within `wait`, which a probe for a local server wants short.
    ///
    /// # Errors
    /// As [`HttpProvider::list_models`].
    pub async fn list_models_within(&self, wait: Duration) -> Result<Vec<String>> {
        self.models(wait).await.map_err(|e| self.sign(e, None))
    }

    async fn models(&self, wait: Duration) -> Result<Vec<String>> {
        let path = match self.dialect.name() {
            "anthropic" => "/v1/models?limit=1000",
            "gemini" => "/v1beta/models?pageSize=1000",
            "ollama" => "/api/tags",
            _ => "/models",
        };
        let probe = WireRequest { path: path.into(), headers: Vec::new(), body: Value::Null };
        let mut headers = self.request_headers(&probe);
        if self.dialect.name() == "anthropic" {
            headers.push(("anthropic-version".into(), "2023-06-01".into()));
        }
        let url = format!("{}{path}", self.base_url);
        let reply = self.client()?.get(&url, &borrowed(&headers), Deadlines::within(wait)).await?;
        if !(200..300).contains(&reply.status) {
            return Err(self.failure(reply.status, &reply.headers, reply.body));
        }
        let list: Value = serde_json::from_slice(&reply.body).map_err(|_| no_list())?;
        let rows = list.get("data").or_else(|| list.get("models")).unwrap_or(&list).as_array().ok_or_else(no_list)?;
        let mut names: Vec<String> = rows
            .iter()
            .filter_map(|row| ["id", "name", "model"].iter().find_map(|key| row.get(key).and_then(Value::as_str)))
            .map(|name| name.strip_prefix("models/").unwrap_or(name).to_owned())
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn client(&self) -> Result<HttpClient> {
        self.client.clone().map_or_else(HttpClient::shared, Ok)
    }

    fn request_headers(&self, request: &WireRequest) -> Vec<(String, String)> {
        let wire = request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let own = self.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        wire.chain(own).chain(self.auth.header()).collect()
    }

    /// The error that a non-2xx answer means.
    fn failure(&self, status: u16, headers: &[(String, String)], body: Bytes) -> Error {
        // Before the message is cut: half a key is a secret too.
        let body = match (self.auth.secret(), std::str::from_utf8(&body)) {
            (Some(key), Ok(text)) if !key.is_empty() && text.contains(key.expose()) => Bytes::from(key.scrub(text)),
            _ => body,
        };
        if (300..400).contains(&status) {
            let to = headers.iter().find(|(n, _)| n == "location").map(|(_, v)| v.as_str()).unwrap_or_default();
            let host = url::Url::parse(to).ok().and_then(|u| u.host_str().map(str::to_owned));
            let host = host.unwrap_or_else(|| "somewhere else".into());
            let words = format!("the server redirects to {host}, which is not followed; set that as base URL");
            // Set up wrongly is this server alone: another may answer.
            return Error::new(ErrorKind::Config, words)
                .with_retry(Retry::OtherTarget)
                .with_status(status)
                .with_phase(Phase::BeforeContent);
        }
        let error = self.dialect.classify(&WireFailure { status, headers, body: &body, now: self.clock.now() });
        error.with_status(status).with_phase(Phase::BeforeContent)
    }

    fn sign(&self, error: Error, model: Option<&str>) -> Error {
        let error = scrubbed(error, self.auth.secret()).with_provider(&self.name);
        if let Some(model) = model { error.with_model(model) } else { error }
    }

    fn encode(&self, request: &Request, stream: bool) -> Result<Call> {
        let wire = self.dialect.encode(request, stream)?;
        let body = serde_json::to_vec(&wire.body)
            .map_err(|e| Error::new(ErrorKind::InvalidInput, format!("the request cannot be written as JSON: {e}")))?;
        let url = format!("{}{}", self.base_url, wire.path);
        Ok(Call { url, headers: self.request_headers(&wire), body: body.into() })
    }

    fn note_limits(&self, model: &str, headers: &[(String, String)]) {
        let Some(seen) = rate_limits(headers, self.clock.now()) else { return };
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.len() < LIMITS || limits.contains_key(model) {
            limits.insert(model.to_owned(), seen);
        }
    }

    async fn ask(&self, request: &Request) -> Result<Response> {
        let call = self.encode(request, false)?;
        let until = after(self.deadlines.total);
        let stage = (TimeoutStage::Total, self.deadlines.total);
        let response = self.client()?.post(&call.url, &borrowed(&call.headers), call.body, until, stage).await?;
        self.note_limits(&request.model, &response.headers);
        if !(200..300).contains(&response.status) {
            let (status, headers, body) = response.beginning(ERROR_BODY, until, stage).await;
            return Err(self.failure(status, &headers, body));
        }
        let reply = response.whole(until, stage).await?;
        read_whole(&*self.dialect, &reply.body).map_err(|e| {
            let status = e.status().unwrap_or(reply.status);
            e.with_status(status).with_phase(Phase::BeforeContent)
        })
    }

    async fn open(&self, request: &Request) -> Result<EventStream> {
        let call = self.encode(request, true)?;
        let total = after(self.deadlines.total);
        let first = after(self.deadlines.first_token);
        let stage = (TimeoutStage::FirstToken, self.deadlines.first_token);
        let response =
            self.client()?.post(&call.url, &borrowed(&call.headers), call.body, first.min(total), stage).await?;
        self.note_limits(&request.model, &response.headers);
        if !(200..300).contains(&response.status) {
            let (status, headers, body) = response.beginning(ERROR_BODY, first.min(total), stage).await;
            return Err(self.failure(status, &headers, body));
        }
        let sign = {
            let (name, model, key) = (self.name.clone(), request.model.clone(), self.auth.secret().cloned());
            move |e: Error| scrubbed(e, key.as_ref()).with_provider(name.clone()).with_model(model.clone())
        };
        Ok(Live::new(response, self.dialect.clone(), self.deadlines, first, total).into_stream(sign))
    }
}

#[async_trait]
impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        self.ask(request).await.map_err(|e| self.sign(e, Some(&request.model)))
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        self.open(request).await.map_err(|e| self.sign(e, Some(&request.model)))
    }

    fn can_resume(&self, request: &Request) -> bool {
        self.dialect.can_resume(request)
    }

    fn deadlines(&self) -> Option<Deadlines> {
        // The wire keeps them, closer to what is going on.
        None
    }

    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn pace_group(&self) -> Option<String> {
        (!self.key_id.is_empty()).then(|| format!("{} {} {}", self.name, self.base_url, self.key_id))
    }

    fn take_rate_limits(&self, model: &str) -> Option<RateLimits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).remove(model)
    }
}

/// Eight hexadecimal digits of the SHA-256 of the key, which say nothing about it; empty without a key.
fn fingerprint(auth: &Auth) -> String {
    let Some(key) = auth.secret().filter(|key| !key.is_empty()) else { return String::new() };
    let hash = Sha256::digest([b"syntra key ".as_slice(), key.expose().as_bytes()].concat());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// `error` without the provider's own key, whatever the key looks like: redaction knows only those that look like keys.
fn scrubbed(error: Error, key: Option<&Secret>) -> Error {
    let Some(key) = key else { return error };
    let (message, code) = (key.scrub(error.message()), error.code().map(|code| key.scrub(code)));
    if message == error.message() && code.as_deref() == error.code() {
        return error;
    }
    let mut clean = Error::new(error.kind(), message).with_retry(error.retry()).with_phase(error.phase());
    if let Some(code) = code {
        clean = clean.with_code(code);
    }
    if let Some(status) = error.status() {
        clean = clean.with_status(status);
    }
    if let Some(wait) = error.retry_after() {
        clean = clean.with_retry_after(wait);
    }
    clean
}

fn no_list() -> Error {
    Error::new(ErrorKind::Decode, "the answer is no list of models").with_phase(Phase::BeforeContent)
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn checked_url(name: &str, base_url: &str) -> Result<String> {
    let wrong = |why: String| Error::new(ErrorKind::Config, format!("the base URL of `{name}` {why}"));
    let url = url::Url::parse(base_url.trim())
        .map_err(|e| wrong(format!("is no URL ({e}); it should look like https://host/v1")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("has scheme `{}`; it must be http or https", redact(url.scheme()))));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong("holds a user name, a password or a query; a key belongs into a header".into()));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
