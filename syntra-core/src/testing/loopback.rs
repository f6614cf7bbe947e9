//! A small HTTP/1.1 server on loopback that answers as scripted: in pieces, held back at gates, broken off.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// The most bytes of one request that are read.
const MOST: usize = 64 << 20;

/// One scripted answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    steps: Vec<Step>,
    /// The steps write the whole answer, its head included.
    raw: bool,
    /// The connection is closed after the answer.
    closing: bool,
}

/// One step of an answer's body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Write these bytes, at once, as one HTTP chunk (of a raw answer: as they are).
    Write(Bytes),
    /// Go on when the gate is opened.
    Wait(Gate),
    /// Write these bytes again and again, this far apart, for as long as the client listens.
    Repeat(Bytes, Duration),
    /// Break the connection off, without the end of the body.
    Disconnect,
    /// The same with a reset: what was written and not yet read is lost.
    Reset,
}

/// Something that a test opens: no test sleeps and hopes.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one waiter pass.
    pub fn open(&self) {
        self.0.add_permits(1);
    }

    /// Lets `n` waiters pass.
    pub fn open_for(&self, n: usize) {
        self.0.add_permits(n);
    }

    async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// An answer with this status and a body that is written whole.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self::in_pieces(status, body, 0)
    }

    /// An answer whose body is written in pieces of `size` bytes, each a chunk and a write of its own; 0 writes it whole.
    pub fn in_pieces(status: u16, body: impl Into<Bytes>, size: usize) -> Self {
        let mut body = body.into();
        let mut steps = Vec::new();
        while !body.is_empty() {
            let n = if size == 0 { body.len() } else { size.min(body.len()) };
            steps.push(Step::Write(body.split_to(n)));
        }
        Self::steps(status, steps)
    }

    /// An answer with this status whose body follows `steps`.
    pub fn steps(status: u16, steps: Vec<Step>) -> Self {
        Self { status, headers: Vec::new(), steps, raw: false, closing: false }
    }

    /// An answer whose every byte the script writes, from the status line on; the connection is closed after it. For what no proper
    /// server would say.
    pub fn raw(steps: Vec<Step>) -> Self {
        Self { raw: true, closing: true, ..Self::steps(200, steps) }
    }

    /// The same, with the connection closed after it and nothing said of that before.
    pub fn closing(mut self) -> Self {
        self.closing = true;
        self
    }

    /// A 200 with `text` as server-sent events.
    pub fn events(text: impl Into<Bytes>) -> Self {
        Self::new(200, text).with_header("content-type", "text/event-stream")
    }

    /// An answer with this status and a JSON body.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, value.to_string()).with_header("content-type", "application/json")
    }

    /// The same with one more header.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with one more step at the end.
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names in lower case and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// The value of the header `name`, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

type Handler = Box<dyn Fn(&Received) -> Answer + Send + Sync>;

struct Shared {
    script: Mutex<VecDeque<Answer>>,
    handler: Option<Handler>,
    received: Mutex<Vec<Received>>,
    /// How many answers were broken off because the client went away.
    abandoned: watch::Sender<usize>,
    /// How many connections were made.
    connections: AtomicUsize,
}

/// A server on a free port of loopback. It ends when it is dropped.
pub struct Loopback {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Loopback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loopback").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Loopback {
    /// A server that gives `answers` in order, and then a 500 that says that nothing is left.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> std::io::Result<Self> {
        Self::run(answers.into_iter().collect(), None).await
    }

    /// A server that asks `handler` for each answer.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn start_with(handler: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> std::io::Result<Self> {
        Self::run(VecDeque::new(), Some(Box::new(handler))).await
    }

    async fn run(script: VecDeque<Answer>, handler: Option<Handler>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            handler,
            received: Mutex::default(),
            abandoned: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            // Dropped with this task, so that no connection outlives the server.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            let shared = serving.clone();
                            shared.connections.fetch_add(1, Ordering::Relaxed);
                            connections.spawn(async move { serve(stream, &shared).await });
                        }
                        Err(_) => break,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { address, shared, task })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds an answer to the script.
    pub fn push(&self, answer: Answer) {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
    }

    /// The requests so far, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests so far, oldest first, which the server then forgets.
    pub fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Waits until `n` answers were broken off because the client had closed its connection.
    pub async fn abandoned(&self, n: usize) {
        let mut watch = self.shared.abandoned.subscribe();
        let _ = watch.wait_for(|count| *count >= n).await;
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let scripted = shared.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let answer = scripted
            .or_else(|| shared.handler.as_ref().map(|handler| handler(&request)))
            .unwrap_or_else(|| Answer::new(500, "no answer is scripted for this request"));
        shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        match write_answer(&mut stream, answer).await {
            Wrote::All => {}
            Wrote::BrokenOff => return,
            Wrote::Abandoned => {
                shared.abandoned.send_modify(|n| *n += 1);
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Received> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > MOST || stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = buffer.split_to(head_end + 4);
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse::<usize>().ok());
    let length = length.unwrap_or(0).min(MOST);
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { method, path, headers, body: buffer.split_to(length).freeze() })
}

enum Wrote {
    All,
    BrokenOff,
    Abandoned,
}

async fn write_answer(stream: &mut TcpStream, answer: Answer) -> Wrote {
    if !answer.raw && stream.write_all(head(&answer).as_bytes()).await.is_err() {
        return Wrote::Abandoned;
    }
    for step in answer.steps {
        match step {
            Step::Write(bytes) if bytes.is_empty() => {}
            Step::Write(bytes) => {
                if write_piece(stream, &bytes, answer.raw).await.is_err() {
                    return Wrote::Abandoned;
                }
            }
            Step::Repeat(bytes, apart) => loop {
                let mut more = [0; 1];
                tokio::select! {
                    () = tokio::time::sleep(apart) => {}
                    read = stream.read(&mut more) => if !matches!(read, Ok(n) if n > 0) { return Wrote::Abandoned },
                }
                if write_piece(stream, &bytes, answer.raw).await.is_err() {
                    return Wrote::Abandoned;
                }
            },
            Step::Wait(gate) => {
                let mut more = [0; 1];
                tokio::select! {
                    () = gate.pass() => {}
                    // A client that waits for an answer sends nothing; what can be read here is its end.
                    read = stream.read(&mut more) => if !matches!(read, Ok(n) if n > 0) { return Wrote::Abandoned },
                }
            }
            Step::Disconnect => return Wrote::BrokenOff,
            Step::Reset => {
                let _ = stream.set_zero_linger();
                return Wrote::BrokenOff;
            }
        }
    }
    let bare = answer.raw || matches!(answer.status, 204 | 304);
    if !bare && stream.write_all(b"0\r\n\r\n").await.is_err() {
        return Wrote::Abandoned;
    }
    if answer.closing { Wrote::BrokenOff } else { Wrote::All }
}

/// One piece of a body, as an HTTP chunk unless the answer is raw.
async fn write_piece(stream: &mut TcpStream, bytes: &[u8], raw: bool) -> std::io::Result<()> {
    if raw {
        return stream.write_all(bytes).await;
    }
    let mut chunk = BytesMut::with_capacity(bytes.len() + 16);
    chunk.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    stream.write_all(&chunk).await
}

fn head(answer: &Answer) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    // These statuses have no body, not even an empty one.
    if !matches!(answer.status, 204 | 304) {
        head.push_str("transfer-encoding: chunked\r\n");
    }
    for (name, value) in &answer.headers {
        // The framing is this server's own.
        let own = ["content-length", "transfer-encoding", "content-encoding"];
        if !own.iter().any(|o| name.eq_ignore_ascii_case(o)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    head
}
