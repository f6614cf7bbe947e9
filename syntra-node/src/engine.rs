//! The engine: JSON in, JSON out, by promise.

use crate::host::{Dispatch, NodeHost};
use crate::inbox::Inbox;
use napi::{Error as NapiError, Result, Status};
use napi_derive::napi;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use syntra_core::bridge::{self, Bridged, Host, Reader};
use syntra_core::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// An error crosses as text; `ts/errors.ts` makes a class of it.
pub(crate) fn raise(error: &Error) -> NapiError {
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
    calls: Arc<Mutex<HashMap<u32, AbortHandle>>>,
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

impl Drop for Engine {
    fn drop(&mut self) {
        discard(&self.runtime, lock(&self.bridged).take());
    }
}

#[napi]
impl Engine {
    /// Calls `method` with `params` (JSON) and returns at once; the end goes into `inbox`, as that of the call `number`, by which `abort` knows it
    /// where it is `abortable`.
    #[napi]
    pub fn start(&self, inbox: &Inbox, number: u32, method: String, params: String, abortable: bool) -> Result<()> {
        let bridged = self.bridged()?;
        let place = inbox.place(number);
        let call = async move {
            let reply = bridge::reply(&bridged, &method, &params).await;
            place.end(reply.map(|reply| (Some(reply.json), reply.trace))).await;
        };
        if abortable {
            let known = self.calls.clone();
            // Held, so that it is known before it is forgotten.
            let mut calls = lock(&self.calls);
            let task = self.runtime.spawn(async move {
                call.await;
                lock(&known).remove(&number);
            });
            calls.insert(number, task.abort_handle());
        } else {
            self.runtime.spawn(call);
        }
        Ok(())
    }

    /// Drops the call `number`, which closes what it has open.
    #[napi]
    pub fn abort(&self, number: u32) {
        let call = lock(&self.calls).remove(&number);
        if let Some(call) = call {
            call.abort();
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
    /// Reads the next batch, a JSON array, nothing at the end; it goes into `inbox` as the end of the call `number`.
    #[napi]
    pub fn next(&self, inbox: &Inbox, number: u32) {
        let (reader, place) = (self.reader.clone(), inbox.place(number));
        self.runtime.spawn(async move {
            let batch = match reader {
                Some(reader) => reader.next().await,
                None => Ok(None),
            };
            place.end(batch.map(|batch| (batch.map(|events| bridge::events_json(&events)), None))).await;
        });
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
