//! A model server on loopback that speaks OpenAI Chat Completions and answers as a script says.
//!
//! The same server serves the behaviour cases of all three languages: Rust starts it in process, Python and Node as the program
//! `mock_server`. Models answer at `/{provider}/v1/chat/completions`; `GET /log` tells what was asked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The largest request that is read.
const LARGEST: usize = 16 << 20;

/// What each model answers: its answers in order, the last one again and again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Answers by model name.
    #[serde(default)]
    pub models: HashMap<String, VecDeque<Answer>>,
}

/// One answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// The text in the pieces it is streamed in.
    pub pieces: Vec<String>,
    /// The thinking, as `reasoning_content`.
    pub reasoning: Option<String>,
    /// Tool calls: `id`, `name` and `arguments` (an object).
    pub tool_calls: Vec<Value>,
    /// `finish_reason`; `stop` or `tool_calls` where it is not given.
    pub finish: Option<String>,
    /// The `usage` object; left out of the answer where it is not given.
    pub usage: Option<Value>,
    /// Another status than 200, with `error` as the body.
    pub status: Option<u16>,
    /// The body of a failure.
    pub error: Option<Value>,
    /// Further headers.
    pub headers: HashMap<String, String>,
    /// After the pieces: says nothing more, until the client hangs up.
    pub hang: bool,
    /// After the pieces: closes the connection without the end of a stream.
    pub truncate: bool,
}

/// One request that was received.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// The provider part of the path.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The `authorization` header.
    pub authorization: Option<String>,
    /// Headers that a client made up, by lower-case name: those that begin with `x-`.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Value,
    /// Whether the client hung up while an answer was under way.
    pub aborted: bool,
}

#[derive(Debug, Default)]
struct State {
    script: Script,
    log: Vec<Received>,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Mock {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// When loopback cannot be bound.
    pub async fn start(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { script, log: Vec::new() }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, shared.clone()));
            }
        });
        Ok(Self { address, state, task })
    }

    /// Where `provider` is: its base URL.
    pub fn base_url(&self, provider: &str) -> String {
        format!("http://{}/{provider}/v1", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What was asked so far.
    pub fn log(&self) -> Vec<Received> {
        lock(&self.state).log.clone()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

async fn read(socket: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > 64 << 10 || socket.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0).min(LARGEST);
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if socket.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    body.truncate(length);
    Ok(Some(Request { method, path, headers, body }))
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    if let Ok(Some(request)) = read(&mut socket).await {
        // The client may hang up at any time; there is nobody to tell.
        let _ = answer(&mut socket, request, &state).await;
        let _ = socket.shutdown().await;
    }
}

async fn answer(socket: &mut TcpStream, request: Request, state: &Mutex<State>) -> io::Result<()> {
    if request.method == "GET" && request.path == "/log" {
        let log = json!(lock(state).log);
        return whole(socket, 200, &HashMap::new(), &log).await;
    }
    let Some(provider) = request.path.strip_suffix("/v1/chat/completions").and_then(|p| p.strip_prefix('/')) else {
        return whole(socket, 404, &HashMap::new(), &json!({"error": {"message": "no such path"}})).await;
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let stream = body["stream"].as_bool().unwrap_or(false);
    let wants_usage = body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
    let (number, answer) = {
        let mut state = lock(state);
        state.log.push(Received {
            provider: provider.to_owned(),
            model: model.clone(),
            stream,
            authorization: request.headers.get("authorization").cloned(),
            headers: request
                .headers
                .iter()
                .filter(|(name, _)| name.starts_with("x-"))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
            body,
            aborted: false,
        });
        let number = state.log.len() - 1;
        let answer = state.script.models.get_mut(&model).and_then(|answers| match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
        (number, answer)
    };
    let Some(answer) = answer else {
        let error =
            json!({"error": {"message": format!("The model `{model}` does not exist"), "code": "model_not_found"}});
        return whole(socket, 404, &HashMap::new(), &error).await;
    };
    if let Some(status) = answer.status {
        let error = answer.error.clone().unwrap_or_else(|| json!({"error": {"message": "scripted failure"}}));
        return whole(socket, status, &answer.headers, &error).await;
    }
    if !stream {
        if answer.hang {
            return hang(socket, state, number).await;
        }
        return whole(socket, 200, &answer.headers, &completion(&model, &answer)).await;
    }
    head(socket, 200, "text/event-stream", &answer.headers, None).await?;
    for chunk in chunks(&model, &answer, wants_usage) {
        socket.write_all(format!("data: {chunk}\n\n").as_bytes()).await?;
        socket.flush().await?;
    }
    if answer.hang {
        return hang(socket, state, number).await;
    }
    if !answer.truncate {
        socket.write_all(b"data: [DONE]\n\n").await?;
    }
    Ok(())
}

/// Waits until the client hangs up and notes it.
async fn hang(socket: &mut TcpStream, state: &Mutex<State>, number: usize) -> io::Result<()> {
    let mut rest = [0; 256];
    while socket.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    if let Some(received) = lock(state).log.get_mut(number) {
        received.aborted = true;
    }
    Ok(())
}

fn calls(answer: &Answer) -> Vec<Value> {
    let call = |(index, call): (usize, &Value)| {
        let function = json!({"name": call["name"], "arguments": call["arguments"].to_string()});
        json!({"index": index, "id": call["id"], "type": "function", "function": function})
    };
    answer.tool_calls.iter().enumerate().map(call).collect()
}

fn finish(answer: &Answer) -> String {
    let default = if answer.tool_calls.is_empty() { "stop" } else { "tool_calls" };
    answer.finish.clone().unwrap_or_else(|| default.to_owned())
}

fn completion(model: &str, answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.pieces.concat()});
    if let Some(reasoning) = &answer.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    if !answer.tool_calls.is_empty() {
        message["tool_calls"] = json!(calls(answer));
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish(answer)});
    let mut out =
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]});
    if let Some(usage) = &answer.usage {
        out["usage"] = usage.clone();
    }
    out
}

fn chunks(model: &str, answer: &Answer, wants_usage: bool) -> Vec<Value> {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]})
    };
    let mut out = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    out.extend(answer.reasoning.iter().map(|text| chunk(json!({"reasoning_content": text}), Value::Null)));
    out.extend(answer.pieces.iter().map(|text| chunk(json!({"content": text}), Value::Null)));
    out.extend(calls(answer).into_iter().map(|call| chunk(json!({"tool_calls": [call]}), Value::Null)));
    if !answer.hang && !answer.truncate {
        out.push(chunk(Value::Object(Map::new()), json!(finish(answer))));
        if let (Some(usage), true) = (&answer.usage, wants_usage) {
            let mut last = chunk(Value::Null, Value::Null);
            last["choices"] = json!([]);
            last["usage"] = usage.clone();
            out.push(last);
        }
    }
    out
}

async fn head(
    socket: &mut TcpStream,
    status: u16,
    media_type: &str,
    headers: &HashMap<String, String>,
    length: Option<usize>,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: {media_type}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await
}

async fn whole(socket: &mut TcpStream, status: u16, headers: &HashMap<String, String>, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    head(socket, status, "application/json", headers, Some(body.len())).await?;
    socket.write_all(body.as_bytes()).await
}
