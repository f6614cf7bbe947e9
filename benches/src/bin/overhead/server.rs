//! The server: OpenAI Chat Completions with one fixed answer, whole or streamed, as fast as it can.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The largest request that is read.
const LARGEST: usize = 1 << 20;

/// Serves on a free port, which it prints, until standard input ends.
pub(crate) fn run(events: usize) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?.port());
        io::stdout().flush()?;
        accept(listener, events).await
    })
}

/// Answers whoever connects.
pub(crate) async fn accept(listener: TcpListener, events: usize) -> io::Result<()> {
    let answers = Arc::new((whole(), streamed(events)));
    loop {
        let (socket, _) = listener.accept().await?;
        let answers = answers.clone();
        // A client that hangs up is no failure of the server.
        tokio::spawn(async move { serve(socket, &answers.0, &answers.1).await });
    }
}

async fn serve(mut socket: TcpStream, whole: &[u8], streamed: &[u8]) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(8 << 10);
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if buffer.len() > LARGEST || socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let headers = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = headers.lines().find_map(|l| l.strip_prefix("content-length:")).map_or("0", str::trim);
        let end = head + length.parse::<usize>().unwrap_or(0).min(LARGEST);
        while buffer.len() < end {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let streams = buffer[head..end].windows(13).any(|w| w == b"\"stream\":true");
        buffer.drain(..end);
        socket.write_all(if streams { streamed } else { whole }).await?;
    }
}

fn whole() -> Vec<u8> {
    let body = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Lisbon is in Portugal. ".repeat(10) }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 30, "completion_tokens": 60, "total_tokens": 90 },
    })
    .to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

/// Each event an HTTP chunk of its own, all in one write: what is measured is reading them, not waiting for them.
fn streamed(events: usize) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let mut chunk = |data: String| {
        let frame = format!("data: {data}\n\n");
        out.extend_from_slice(format!("{:x}\r\n{frame}\r\n", frame.len()).as_bytes());
    };
    let delta = |delta: serde_json::Value, finish: Option<&str>| {
        serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "mock",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
        .to_string()
    };
    for n in 0..events {
        chunk(delta(serde_json::json!({ "content": format!("word{n} ") }), None));
    }
    chunk(delta(serde_json::json!({}), Some("stop")));
    chunk(
        serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "mock", "choices": [],
            "usage": { "prompt_tokens": 30, "completion_tokens": 200, "total_tokens": 230 },
        })
        .to_string(),
    );
    chunk("[DONE]".into());
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
