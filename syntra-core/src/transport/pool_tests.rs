//! The pool over real sockets: HTTP/2 below its ceiling, own roots, proxies.

use super::{Deadlines, HttpClient, HttpOptions, HttpResponse, HttpVersion, TimeoutStage, after};
use crate::error::{ErrorKind, Result};
use crate::testing::loopback::{Answer, Loopback};
use bytes::Bytes;
use futures::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server of HTTP/2 that lets `ceiling` streams run on a connection, begins each answer at once and ends it when told.
struct H2 {
    port: u16,
    connections: Arc<AtomicUsize>,
    finish: watch::Sender<bool>,
    /// Streams that the client gave up.
    resets: watch::Receiver<usize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn h2_connection(
    io: impl AsyncRead + AsyncWrite + Unpin,
    ceiling: u32,
    finish: watch::Receiver<bool>,
    resets: watch::Sender<usize>,
) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(ceiling);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = http::Response::builder().header("content-type", "text/event-stream").body(()).unwrap();
        let mut body = respond.send_response(head, false).unwrap();
        body.send_data("data: 1\n\n".into(), false).unwrap();
        let (mut finish, resets) = (finish.clone(), resets.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = finish.wait_for(|told| *told) => { let _ = body.send_data("data: 2\n\n".into(), true); }
                _ = std::future::poll_fn(|cx| body.poll_reset(cx)) => resets.send_modify(|n| *n += 1),
            }
        });
    }
}

async fn h2_server(ceiling: u32, tls: Option<TlsAcceptor>) -> H2 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let (finish, told) = watch::channel(false);
    let (reset, resets) = watch::channel(0);
    let count = connections.clone();
    let task = tokio::spawn(async move {
        let mut running = tokio::task::JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (tls, told, count, reset) = (tls.clone(), told.clone(), count.clone(), reset.clone());
            running.spawn(async move {
                match tls {
                    None => {
                        count.fetch_add(1, Ordering::Relaxed);
                        h2_connection(socket, ceiling, told, reset).await;
                    }
                    Some(tls) => {
                        if let Ok(socket) = tls.accept(socket).await {
                            count.fetch_add(1, Ordering::Relaxed);
                            h2_connection(socket, ceiling, told, reset).await;
                        }
                    }
                }
            });
        }
    });
    H2 { port, connections, finish, resets, task }
}

const STAGE: (TimeoutStage, Duration) = (TimeoutStage::Total, Duration::from_secs(30));

async fn post(client: &HttpClient, url: &str) -> Result<HttpResponse> {
    client.post(url, &[], "{}".into(), after(STAGE.1), STAGE).await
}

async fn next(response: &mut HttpResponse) -> Bytes {
    response.chunk(after(STAGE.1), STAGE).await.unwrap().unwrap()
}

#[tokio::test]
async fn more_streams_than_a_connection_may_have_run_side_by_side() {
    let server = h2_server(10, None).await;
    let options = HttpOptions::default().with_version(HttpVersion::Http2).with_streams_per_connection(10);
    let client = HttpClient::with_options(options).unwrap();
    let url = format!("http://127.0.0.1:{}/v1", server.port);
    // None of these ends before all have begun: had one to wait for another's end, this would never get on.
    let mut streams =
        join_all((0..35).map(|_| post(&client, &url))).await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    for stream in &mut streams {
        assert_eq!(next(stream).await, "data: 1\n\n");
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 4);
    server.finish.send(true).unwrap();
    for stream in &mut streams {
        assert_eq!(next(stream).await, "data: 2\n\n");
    }
    // The places are given back: what comes later needs no further connection.
    drop(streams);
    for _ in 0..20 {
        let mut stream = post(&client, &url).await.unwrap();
        assert_eq!(next(&mut stream).await, "data: 1\n\n");
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_dropped_call_ends_its_stream_and_no_other() {
    let mut server = h2_server(10, None).await;
    let client = HttpClient::with_options(HttpOptions::default().with_version(HttpVersion::Http2)).unwrap();
    let url = format!("http://127.0.0.1:{}/v1", server.port);
    let (mut kept, mut dropped) = (post(&client, &url).await.unwrap(), post(&client, &url).await.unwrap());
    assert_eq!((next(&mut kept).await, next(&mut dropped).await), ("data: 1\n\n".into(), "data: 1\n\n".into()));
    drop(dropped);
    server.resets.wait_for(|n| *n == 1).await.unwrap();
    server.finish.send(true).unwrap();
    assert_eq!(next(&mut kept).await, "data: 2\n\n");
    assert_eq!((*server.resets.borrow(), server.connections.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn a_connection_that_does_not_come_to_stand_has_a_deadline_of_its_own() {
    // Takes the connection and never answers the greeting of TLS.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://localhost:{}/v1", listener.local_addr().unwrap().port());
    let options = HttpOptions::default().with_connect(Duration::from_millis(100));
    let error = post(&HttpClient::with_options(options).unwrap(), &url).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, Some("connect_timeout")), "{error}");
    assert_eq!(error.phase(), crate::Phase::BeforeSend);
}

fn certified() -> (String, TlsAcceptor) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (root.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_company_root_is_trusted_when_it_is_given_and_http2_is_negotiated() {
    let (root, tls) = certified();
    let server = h2_server(3, Some(tls)).await;
    let url = format!("https://localhost:{}/v1", server.port);
    let error = post(&HttpClient::new().unwrap(), &url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    let options = HttpOptions::default().with_root_pem(root).unwrap().with_streams_per_connection(3);
    let client = HttpClient::with_options(options).unwrap();
    let mut streams =
        join_all((0..8).map(|_| post(&client, &url))).await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    for stream in &mut streams {
        assert_eq!(next(stream).await, "data: 1\n\n");
    }
}

#[test]
fn wrong_settings_are_named_and_no_secret_is_shown() {
    for wrong in ["", "proxy:3128", "ftp://proxy/", "socks5://hidden:hunter2@proxy:1080"] {
        let error = HttpOptions::default().with_proxy(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
        assert!(error.message().contains("proxy") && !error.message().contains("hunter2"), "{error}");
    }
    for wrong in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
        let error = HttpOptions::default().with_root_pem(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
    }
    let options = HttpOptions::default().with_proxy("http://ada:hunter2@proxy.example:3128").unwrap();
    let shown = format!("{options:?} {:?}", HttpClient::with_options(options.clone()).unwrap());
    assert!(shown.contains("proxy.example:3128") && !shown.contains("hunter2") && !shown.contains("ada"), "{shown}");
}

#[tokio::test]
async fn a_proxy_stands_between_and_never_before_loopback() {
    let proxy = Loopback::start_with(|_| Answer::json(200, &json!({ "by": "proxy" }))).await.unwrap();
    let server = Loopback::start_with(|_| Answer::json(200, &json!({ "by": "server" }))).await.unwrap();
    let address = proxy.url().replace("http://", "http://ada:hunter2@");
    let client = HttpClient::with_options(HttpOptions::default().with_proxy(address).unwrap()).unwrap();
    let ask = |url: String| {
        let client = client.clone();
        async move { client.post_json(&url, &[], &json!({}), Deadlines::default()).await.unwrap().body }
    };
    assert_eq!(ask("http://model.example/v1/chat".into()).await, r#"{"by":"proxy"}"#);
    assert_eq!(ask(format!("{}/v1/chat", server.url())).await, r#"{"by":"server"}"#);
    let seen = &proxy.received()[0];
    assert_eq!(seen.path, "http://model.example/v1/chat");
    assert!(seen.header("proxy-authorization").is_some_and(|h| h.starts_with("Basic ")), "{:?}", seen.headers);
    assert_eq!((proxy.received().len(), server.received().len()), (1, 1));
    assert!(server.received()[0].header("proxy-authorization").is_none());
}
