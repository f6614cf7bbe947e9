//! HTTP: one pool, deadlines that are told apart, bodies within bounds.

use super::options::{HttpOptions, Lanes, Place};
use super::patience::Patience;
use crate::error::{Error, ErrorKind, Phase, Result};
use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long each stretch of a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From sending a streamed request to its first content. Whole answers have [`Deadlines::total`] alone.
    pub first_token: Duration,
    /// Between two pieces of a stream once content has begun.
    pub between_chunks: Duration,
    /// From sending to the end.
    pub total: Duration,
}

impl Default for Deadlines {
    /// 5 s to connect, 60 s to the first token, 60 s between chunks, 600 s in all: reasoning models think for minutes.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(60),
            between_chunks: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

impl Deadlines {
    /// The same for a quick probe: everything within `total`.
    pub fn within(total: Duration) -> Self {
        Self { connect: total.min(Duration::from_secs(5)), first_token: total, between_chunks: total, total }
    }

    /// Sets [`Deadlines::connect`].
    pub fn with_connect(mut self, wait: Duration) -> Self {
        self.connect = wait;
        self
    }

    /// Sets [`Deadlines::first_token`].
    pub fn with_first_token(mut self, wait: Duration) -> Self {
        self.first_token = wait;
        self
    }

    /// Sets [`Deadlines::between_chunks`].
    pub fn with_between_chunks(mut self, wait: Duration) -> Self {
        self.between_chunks = wait;
        self
    }

    /// Sets [`Deadlines::total`].
    pub fn with_total(mut self, wait: Duration) -> Self {
        self.total = wait;
        self
    }
}

/// Which of the [`Deadlines`] passed; the code of the [`ErrorKind::Timeout`] error says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutStage {
    /// [`Deadlines::connect`].
    Connect,
    /// [`Deadlines::first_token`].
    FirstToken,
    /// [`Deadlines::between_chunks`].
    BetweenChunks,
    /// [`Deadlines::total`].
    Total,
}

impl TimeoutStage {
    /// The error's code: `connect_timeout`, `first_token_timeout`, `idle_timeout` or `total_timeout`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect_timeout",
            Self::FirstToken => "first_token_timeout",
            Self::BetweenChunks => "idle_timeout",
            Self::Total => "total_timeout",
        }
    }

    /// The error that says that this deadline, of length `limit`, has passed.
    pub fn error(self, limit: Duration) -> Error {
        let what = match self {
            Self::Connect => "no connection",
            Self::FirstToken => "no first token",
            Self::BetweenChunks => "nothing more",
            Self::Total => "no end of the answer",
        };
        Error::new(ErrorKind::Timeout, format!("{what} within {limit:?}")).with_code(self.code())
    }
}

/// A pool of connections. Cloning shares the pool; build one and clone it, since building reads the machine's certificates.
#[derive(Clone, Debug)]
pub struct HttpClient {
    lanes: Arc<Lanes>,
    /// For servers on this machine, which no proxy can reach; the same where there is no proxy.
    direct: Arc<Lanes>,
    options: HttpOptions,
    /// Addresses that were called, taken apart: there are few, and taking one apart costs as much as many a step of a call.
    urls: Arc<Mutex<HashMap<String, url::Url>>>,
}

/// Addresses that are kept.
const URLS: usize = 256;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// An answer whose body is still coming. Dropping it closes the connection.
#[derive(Debug)]
pub struct HttpResponse {
    response: reqwest::Response,
    patience: Patience,
    /// Held until the body has ended or is dropped.
    _place: Place,
    pub(crate) max_body: usize,
    pub(crate) max_stream: u64,
    pub(crate) max_frame: usize,
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case and their values.
    pub headers: Vec<(String, String)>,
}

impl HttpClient {
    /// A pool with the default connect deadline. Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`) and are never used for
    /// loopback; Mozilla's root certificates are added to the machine's, so that it works where there are none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when TLS or a proxy cannot be set up.
    pub fn new() -> Result<Self> {
        Self::with_connect_deadline(Deadlines::default().connect)
    }

    /// The process's own pool with the defaults, built when first asked for. A forked child gets a new one, because connections do
    /// not survive a fork.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn shared() -> Result<Self> {
        static SHARED: Mutex<Option<(u32, HttpClient)>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = std::process::id();
        match &*shared {
            Some((owner, client)) if *owner == pid => Ok(client.clone()),
            _ => {
                let client = Self::new()?;
                *shared = Some((pid, client.clone()));
                Ok(client)
            }
        }
    }

    /// A pool whose connections have to stand within `connect`.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn with_connect_deadline(connect: Duration) -> Result<Self> {
        Self::with_options(HttpOptions::default().with_connect(connect))
    }

    /// A pool that is set up as `options` say.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn with_options(options: HttpOptions) -> Result<Self> {
        let lanes = Arc::new(Lanes::new(options.clone(), false)?);
        let direct = if options.proxied() { Arc::new(Lanes::new(options.clone(), true)?) } else { lanes.clone() };
        Ok(Self { lanes, direct, options, urls: Arc::default() })
    }

    /// How the pool is set up.
    pub fn options(&self) -> &HttpOptions {
        &self.options
    }

    fn parsed(&self, url: &str) -> Result<url::Url> {
        if let Some(known) = self.urls.lock().unwrap_or_else(PoisonError::into_inner).get(url) {
            return Ok(known.clone());
        }
        let parsed = parse(url)?;
        let mut urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        if urls.len() < URLS {
            urls.insert(url.to_owned(), parsed.clone());
        }
        Ok(parsed)
    }

    fn lanes(&self, url: &url::Url) -> &Lanes {
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if local { &self.direct } else { &self.lanes }
    }

    /// The same pool with another bound, in bytes, on a whole body.
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.options.max_body = bytes;
        self
    }

    /// Posts `body` as JSON to `url` and returns when the headers of the answer have come. `wait` bounds that.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an impossible URL or header, [`ErrorKind::Connection`], [`ErrorKind::Timeout`]. A status that
    /// means failure is no error here.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        until: Instant,
        stage: (TimeoutStage, Duration),
    ) -> Result<HttpResponse> {
        let mut map = header_map(headers)?;
        map.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let url = self.parsed(url)?;
        let (client, place) = self.lanes(&url).take(url.scheme())?;
        self.send(client.post(url).headers(map).body(body), place, until, stage).await
    }

    /// Posts `body` as JSON and returns the whole answer, within [`Deadlines::total`].
    ///
    /// # Errors
    /// As [`HttpClient::post`], and [`ErrorKind::Decode`] when the body passes the bound.
    pub async fn post_json(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &serde_json::Value,
        deadlines: Deadlines,
    ) -> Result<HttpReply> {
        let until = after(deadlines.total);
        let stage = (TimeoutStage::Total, deadlines.total);
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::new(ErrorKind::InvalidInput, format!("the request is no JSON: {e}")))?;
        self.post(url, headers, body.into(), until, stage).await?.whole(until, stage).await
    }

    /// Gets `url` and returns the whole answer, within [`Deadlines::total`].
    ///
    /// # Errors
    /// As [`HttpClient::post_json`].
    pub async fn get(&self, url: &str, headers: &[(&str, &str)], deadlines: Deadlines) -> Result<HttpReply> {
        let until = after(deadlines.total);
        let stage = (TimeoutStage::Total, deadlines.total);
        let url = parse(url)?;
        let (client, place) = self.lanes(&url).take(url.scheme())?;
        let request = client.get(url).headers(header_map(headers)?);
        self.send(request, place, until, stage).await?.whole(until, stage).await
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        place: Place,
        until: Instant,
        stage: (TimeoutStage, Duration),
    ) -> Result<HttpResponse> {
        let response = match timeout_at(until, request.send()).await {
            Err(_) => return Err(stage.0.error(stage.1).with_phase(Phase::BeforeContent)),
            Ok(Err(error)) => return Err(self.failed(error)),
            Ok(Ok(response)) => response,
        };
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let HttpOptions { max_body, max_stream, max_frame, .. } = self.options;
        let status = response.status().as_u16();
        let patience = Patience::default();
        Ok(HttpResponse { status, headers, response, patience, _place: place, max_body, max_stream, max_frame })
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        let error = error.without_url();
        if error.is_connect() {
            let made = if error.is_timeout() {
                TimeoutStage::Connect.error(self.options.connect)
            } else {
                Error::new(ErrorKind::Connection, format!("the connection could not be made: {}", chain(&error)))
            };
            return made.with_phase(Phase::BeforeSend).with_source(error);
        }
        if error.is_builder() {
            return Error::new(ErrorKind::Config, format!("the request cannot be sent: {}", chain(&error)));
        }
        broken(error)
    }
}

impl HttpResponse {
    /// The value of the header `name`, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] of `stage` when nothing comes before `until`; [`ErrorKind::Connection`] when the connection breaks.
    pub async fn chunk(&mut self, until: Instant, stage: (TimeoutStage, Duration)) -> Result<Option<Bytes>> {
        match self.patience.wait(until, self.response.chunk()).await {
            None => Err(stage.0.error(stage.1).with_phase(Phase::BeforeContent)),
            Some(Err(error)) => Err(broken(error)),
            Some(Ok(chunk)) => Ok(chunk),
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`HttpResponse::chunk`], and [`ErrorKind::Decode`] when it passes the bound.
    pub async fn whole(mut self, until: Instant, stage: (TimeoutStage, Duration)) -> Result<HttpReply> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(until, stage).await? {
            if body.len() + chunk.len() > self.max_body {
                return Err(Error::new(
                    ErrorKind::Decode,
                    format!("the server sent a body of more than {} bytes", self.max_body),
                )
                .with_status(self.status)
                .with_code("body_too_large")
                .with_phase(Phase::BeforeContent));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply { status: self.status, headers: self.headers, body: body.freeze() })
    }

    /// Lets the connection be used again: the end of a body whose answer is complete is still under way, and a body that is dropped
    /// before it closes the connection. Waits in the background for at most a second and some kilobytes.
    pub(crate) fn drain(mut self) {
        const MOST: usize = 64 << 10;
        let mut end = async move {
            let until = after(Duration::from_secs(1));
            let mut read = 0;
            while let Ok(Some(bytes)) = self.chunk(until, (TimeoutStage::Total, Duration::from_secs(1))).await {
                read += bytes.len();
                if read > MOST {
                    break;
                }
            }
        }
        .boxed();
        // Mostly it is there already.
        if (&mut end).now_or_never().is_none() {
            tokio::spawn(end);
        }
    }

    /// At most `limit` bytes of the body, for the message of an error; what cannot be read is left out.
    pub async fn beginning(
        mut self,
        limit: usize,
        until: Instant,
        stage: (TimeoutStage, Duration),
    ) -> (u16, Vec<(String, String)>, Bytes) {
        let mut body = BytesMut::new();
        while let Ok(Some(chunk)) = self.chunk(until, stage).await {
            let room = limit.saturating_sub(body.len());
            body.extend_from_slice(chunk.get(..chunk.len().min(room)).unwrap_or_default());
            if body.len() >= limit {
                break;
            }
        }
        (self.status, self.headers, body.freeze())
    }
}

/// The instant `wait` from now; far away where that cannot be said.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + Duration::from_secs(365 * 24 * 3600))
}

fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    Error::new(ErrorKind::Connection, format!("the connection broke: {}", chain(&error)))
        .with_phase(Phase::BeforeContent)
        .with_source(error)
}

/// An error and its causes in one line; reqwest's own words alone say little.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    super::redact(&text)
}

fn parse(url: &str) -> Result<url::Url> {
    let parsed = url::Url::parse(url).map_err(|e| Error::new(ErrorKind::Config, format!("the URL is wrong: {e}")))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        other => Err(Error::new(ErrorKind::Config, format!("the URL has scheme `{other}`; it must be http or https"))),
    }
}

fn header_map(headers: &[(&str, &str)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let bad = || {
            Error::new(
                ErrorKind::Config,
                format!("the value of header `{name}` has characters that headers cannot have"),
            )
        };
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::new(ErrorKind::Config, format!("`{name}` is no header name")))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}
