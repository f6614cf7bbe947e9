//! The engine: JSON in, JSON out, by promise.

use crate::host::{Dispatch, NodeHost};
use napi::{Error as NapiError, Result, Status};
use napi_derive::napi;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use syntra_core::bridge::{self, Bridged, Host, Reader, Reply};
use syntra_core::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// An error crosses as text; `ts/errors.ts` makes a class of it.
fn raise(error: &Error) -> NapiError {
    NapiError::new(Status::GenericFailure, format!("@syntra:{}", bridge::error_json(error)))
}

/// Makes an engine as `config` (JSON) says; `dispatch` reaches the JavaScript objects that it names.
#[napi]
pub async fn open(config: String, dispatch: Option<Dispatch>) -> Result<Engine> {
    let host = dispatch.map(|dispatch| Arc::new(NodeHost::new(dispatch)) as Arc<dyn Host>);
    let bridged = bridge::build(&config, host).await.map_err(|e| raise(&e))?;
    Ok(Engine { bridged: Mutex::new(Some(bridged)), calls: Arc::default(), runtime: Handle::current() })
}

/// Lets go of `value` as if on the runtime it belongs to, which a finalizer is not on and may outlive. Whatever goes wrong in it stays
/// here: a panic in a finalizer ends the process.
fn discard<T>(runtime: &Handle, value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _entered = runtime.enter();
        drop(value);
    }));
}

/// A `Syntra`.
#[napi]
pub struct Engine {
    bridged: Mutex<Option<Bridged>>,
    /// Calls under way that may be aborted, by the wrapper's number.
    calls: Arc<Mutex<HashMap<u32, CancellationToken>>>,
    runtime: Handle,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    fn bridged(&self) -> Result<Bridged> {
        let closed = || raise(&Error::new(ErrorKind::Cancelled, "this Syntra is closed"));
        lock(&self.bridged).clone().ok_or_else(closed)
    }
}

impl Engine {
    async fn reply(&self, method: &str, params: &str, number: u32) -> Result<Reply> {
        let bridged = self.bridged()?;
        if number == 0 {
            return bridge::reply(&bridged, method, params).await.map_err(|e| raise(&e));
        }
        let token = CancellationToken::new();
        lock(&self.calls).insert(number, token.clone());
        let out = tokio::select! {
            biased;
            () = token.cancelled() => Err(Error::new(ErrorKind::Cancelled, "the call was aborted")),
            out = bridge::reply(&bridged, method, params) => out,
        };
        lock(&self.calls).remove(&number);
        out.map_err(|e| raise(&e))
    }
}

/// An answer, and why it is what it is.
#[napi]
pub struct NativeAnswer {
    reply: Reply,
}

#[napi]
impl NativeAnswer {
    /// The answer as JSON, without its trace.
    #[napi]
    pub fn json(&self) -> String {
        self.reply.json.clone()
    }

    /// The trace as JSON.
    #[napi]
    pub fn trace(&self) -> Result<String> {
        match &self.reply.trace {
            Some(trace) => bridge::trace_json(trace).map_err(|e| raise(&e)),
            None => Ok("null".into()),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        discard(&self.runtime, lock(&self.bridged).take());
    }
}

#[napi]
impl Engine {
    /// Calls `method` with `params` (JSON); `number`, if it is not 0, is what `abort` knows the call by.
    #[napi]
    pub async fn call(&self, method: String, params: String, number: u32) -> Result<String> {
        self.reply(&method, &params, number).await.map(|reply| reply.json)
    }

    /// As `call` of `ask`, with the turn's trace beside the answer.
    #[napi]
    pub async fn ask(&self, params: String, number: u32) -> Result<NativeAnswer> {
        self.reply("ask", &params, number).await.map(|reply| NativeAnswer { reply })
    }

    /// Drops the call `number`, which closes what it has open.
    #[napi]
    pub fn abort(&self, number: u32) {
        if let Some(token) = lock(&self.calls).remove(&number) {
            token.cancel();
        }
    }

    /// A stream of the turn that `params` describes; it begins with the first read.
    #[napi]
    pub fn stream(&self, params: String) -> Result<NativeStream> {
        Ok(NativeStream { reader: Some(Reader::new(self.bridged()?, params)), runtime: self.runtime.clone() })
    }

    /// Lets go of files and connections; every later call fails.
    #[napi]
    pub fn close(&self) {
        let bridged = lock(&self.bridged).take();
        discard(&self.runtime, bridged);
    }
}

/// A turn's events in batches.
#[napi]
pub struct NativeStream {
    /// `None` once dropped.
    reader: Option<Reader>,
    runtime: Handle,
}

#[napi]
impl NativeStream {
    /// Waits for the next batch, a JSON array; `null` at the end.
    #[napi]
    pub async fn next(&self) -> Result<Option<String>> {
        match self.reader.clone() {
            Some(reader) => reader.next().await.map_err(|e| raise(&e)),
            None => Ok(None),
        }
    }

    /// Cancels the turn, if it has not ended.
    #[napi]
    pub fn close(&self) {
        if let Some(reader) = &self.reader {
            let _entered = self.runtime.enter();
            reader.close();
        }
    }
}

impl Drop for NativeStream {
    fn drop(&mut self) {
        discard(&self.runtime, self.reader.take());
    }
}

/// The version of the native half.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}
