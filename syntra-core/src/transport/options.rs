//! How a pool of connections is set up, and the lanes that keep HTTP/2 below its ceiling.

use super::http::chain;
use super::{Deadlines, Secret};
use crate::error::{Error, ErrorKind, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most clients of one pool. At the default of [`HttpOptions::streams_per_connection`] this is room for 5,120 streams to one host.
const MAX_LANES: usize = 64;

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// What the server chooses by ALPN where there is TLS, HTTP/1.1 where there is none.
    #[default]
    Negotiated,
    /// HTTP/1.1 alone: a connection for each call at a time.
    Http1,
    /// HTTP/2 at once, without being asked: for servers in the clear that are known to speak it.
    Http2,
}

/// The settings of an [`HttpClient`](super::HttpClient). Every bound has a default, and none is without end.
///
/// ```
/// use std::time::Duration;
/// use syntra_core::transport::{HttpClient, HttpOptions};
/// let options = HttpOptions::default()
///     .with_connect(Duration::from_secs(2))
///     .with_proxy("http://user:secret@proxy.example:3128")?;
/// assert!(!format!("{options:?}").contains("secret"));
/// let client = HttpClient::with_options(options)?;
/// # let _ = client;
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How long a connection may take to stand, TLS included. 5 s by default.
    pub connect: Duration,
    /// The most bytes of a whole body. 64 MiB by default.
    pub max_body: usize,
    /// The most bytes of all of a stream. 256 MiB by default: pictures come in streams too.
    pub max_stream: u64,
    /// The most bytes of one line or event of a stream. 16 MiB by default.
    pub max_frame: usize,
    /// Which HTTP is spoken.
    pub version: HttpVersion,
    /// How many calls at a time go over one HTTP/2 connection before the pool opens another. Servers allow 100 or more, and one more
    /// than that waits, unseen, until another ends; 80 by default. Means nothing to HTTP/1.1.
    pub streams_per_connection: usize,
    proxy: Option<Secret>,
    roots: Vec<Vec<u8>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect: Deadlines::default().connect,
            max_body: 64 << 20,
            max_stream: 256 << 20,
            max_frame: super::DEFAULT_FRAME_LIMIT,
            version: HttpVersion::Negotiated,
            streams_per_connection: 80,
            proxy: None,
            roots: Vec::new(),
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("connect", &self.connect)
            .field("max_body", &self.max_body)
            .field("max_stream", &self.max_stream)
            .field("max_frame", &self.max_frame)
            .field("version", &self.version)
            .field("streams_per_connection", &self.streams_per_connection)
            .field("proxy", &self.proxy.as_ref().map(|url| without_credentials(url.expose())))
            .field("roots", &self.roots.len())
            .finish()
    }
}

impl HttpOptions {
    /// Sets [`HttpOptions::connect`].
    pub fn with_connect(mut self, wait: Duration) -> Self {
        self.connect = wait;
        self
    }

    /// Sets [`HttpOptions::max_body`].
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets [`HttpOptions::max_stream`].
    pub fn with_max_stream(mut self, bytes: u64) -> Self {
        self.max_stream = bytes;
        self
    }

    /// Sets [`HttpOptions::max_frame`].
    pub fn with_max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Sets [`HttpOptions::version`].
    pub fn with_version(mut self, version: HttpVersion) -> Self {
        self.version = version;
        self
    }

    /// Sets [`HttpOptions::streams_per_connection`]; at least 1.
    pub fn with_streams_per_connection(mut self, n: usize) -> Self {
        self.streams_per_connection = n.max(1);
        self
    }

    /// Sends everything through the proxy at `url` (`http://` or `https://`, with user name and password if it wants them) instead of
    /// those that the environment names; loopback is reached directly all the same.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is no such URL; the message leaves the credentials out.
    pub fn with_proxy(mut self, url: impl Into<Secret>) -> Result<Self> {
        let url = url.into();
        proxy(&url)?;
        self.proxy = Some(url);
        Ok(self)
    }

    /// Trusts the root certificates in `pem` beside the machine's and Mozilla's: a company's own, say.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it holds no certificate in PEM.
    pub fn with_root_pem(mut self, pem: impl Into<Vec<u8>>) -> Result<Self> {
        let pem = pem.into();
        let found = certificates(&pem)
            .map_err(|_| config("the root certificates are no PEM; a file begins with -----BEGIN CERTIFICATE-----"))?;
        if found.is_empty() {
            return Err(config("the root certificates hold none; a file begins with -----BEGIN CERTIFICATE-----"));
        }
        self.roots.push(pem);
        Ok(self)
    }

    /// Whether a proxy stands between this pool and the world, given or of the environment.
    pub(super) fn proxied(&self) -> bool {
        let by_environment = || {
            std::env::vars_os().any(|(name, value)| {
                !value.is_empty() && name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy")
            })
        };
        self.proxy.is_some() || by_environment()
    }

    fn build(&self, direct: bool) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .connect_timeout(self.connect)
            .pool_idle_timeout(Duration::from_secs(90))
            // As many as may be in use at once: a thousand calls would open most of their connections anew with fewer.
            .pool_max_idle_per_host(1_024)
            .user_agent(concat!("syntra/", env!("CARGO_PKG_VERSION")))
            // A server that fell silent without a word is found out, and not only by the deadline of a call.
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(20))
            // Custom authentication headers would travel along, so another host is never followed to.
            .redirect(reqwest::redirect::Policy::custom(|attempt| {
                let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
                if same && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
            }));
        builder = match self.version {
            HttpVersion::Negotiated => builder,
            HttpVersion::Http1 => builder.http1_only(),
            HttpVersion::Http2 => builder.http2_prior_knowledge(),
        };
        builder = match (&self.proxy, direct) {
            (_, true) => builder.no_proxy(),
            (Some(url), false) => builder.no_proxy().proxy(proxy(url)?),
            (None, false) => builder,
        };
        builder.build().map_err(|e| unusable(&e))
    }

    /// TLS with the machine's roots, Mozilla's and the caller's own, by the cryptography that the process has chosen or by `ring`. It is
    /// handed over whole: asking for a default of the process would take that choice from the host.
    fn tls(&self) -> Result<rustls::ClientConfig> {
        let provider = match CryptoProvider::get_default() {
            Some(chosen) => chosen.clone(),
            None => Arc::new(rustls::crypto::ring::default_provider()),
        };
        let own = self.roots.iter().filter_map(|pem| certificates(pem).ok()).flatten();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned().chain(own);
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider.clone())
            .map_err(|e| unusable(&e))?;
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let versions: &[&[u8]] = match self.version {
            HttpVersion::Negotiated => &[b"h2", b"http/1.1"],
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2 => &[b"h2"],
        };
        tls.alpn_protocols = versions.iter().map(|v| v.to_vec()).collect();
        Ok(tls)
    }
}

/// The certificates of a file in PEM.
fn certificates(pem: &[u8]) -> std::result::Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

fn unusable(why: &(dyn std::error::Error + 'static)) -> Error {
    config(&format!("the HTTP client cannot be set up: {}", chain(why)))
}

fn config(words: &str) -> Error {
    Error::new(ErrorKind::Config, words)
}

fn proxy(url: &Secret) -> Result<reqwest::Proxy> {
    let wrong =
        |why: &str| config(&format!("the proxy's URL {why}; it should look like http://user:password@host:3128"));
    let parsed = url::Url::parse(url.expose()).map_err(|_| wrong("is no URL"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong("must begin with http:// or https://"));
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(wrong("names no host"));
    }
    reqwest::Proxy::all(parsed).map_err(|_| wrong("cannot be used"))
}

fn without_credentials(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return "[redacted]".into() };
    if !url.username().is_empty() || url.password().is_some() {
        // Neither can fail for a URL with a host, and what is shown then is the host alone.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    url.to_string()
}

/// Clients with the same settings, each with a connection of its own to a host that speaks HTTP/2: a call goes over the first that
/// has room, so that no call waits, unseen, for the end of another.
#[derive(Debug)]
pub(super) struct Lanes {
    options: HttpOptions,
    direct: bool,
    lanes: Mutex<Vec<Lane>>,
}

#[derive(Debug)]
struct Lane {
    client: reqwest::Client,
    busy: Arc<AtomicUsize>,
}

/// A place in a lane; given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    pub(super) fn new(options: HttpOptions, direct: bool) -> Result<Self> {
        let first = Lane { client: options.build(direct)?, busy: Arc::default() };
        Ok(Self { options, direct, lanes: Mutex::new(vec![first]) })
    }

    /// A client for a call with `scheme`, and the place that the call holds until it ends.
    pub(super) fn take(&self, scheme: &str) -> Result<(reqwest::Client, Place)> {
        let multiplexed = match self.options.version {
            HttpVersion::Negotiated => scheme == "https",
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
        };
        let room = if multiplexed { self.options.streams_per_connection } else { usize::MAX };
        if let Some(found) = self.with_room(room) {
            return Ok(found);
        }
        // Built without the lock: it reads the machine's certificates.
        let client = self.options.build(self.direct)?;
        let mut lanes = self.lock();
        if lanes.len() < MAX_LANES {
            lanes.push(Lane { client, busy: Arc::default() });
        }
        drop(lanes);
        self.with_room(room).or_else(|| self.with_room(usize::MAX)).ok_or_else(|| config("the pool has no client"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first lane with less than `room` calls under way; without a bound the first of all, or the least busy where they are full.
    fn with_room(&self, room: usize) -> Option<(reqwest::Client, Place)> {
        let lanes = self.lock();
        let busy = |lane: &Lane| lane.busy.load(Ordering::Relaxed);
        let lane = match room {
            usize::MAX if lanes.len() == MAX_LANES => lanes.iter().min_by_key(|lane| busy(lane)),
            usize::MAX => lanes.first(),
            room => lanes.iter().find(|lane| busy(lane) < room),
        }?;
        lane.busy.fetch_add(1, Ordering::Relaxed);
        Some((lane.client.clone(), Place(lane.busy.clone())))
    }
}
