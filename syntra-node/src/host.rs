//! JavaScript objects lent to the library.

use async_trait::async_trait;
use napi::Status;
use napi::bindgen_prelude::{FnArgs, Promise};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use syntra_core::bridge::Host;
use syntra_core::{Error, ErrorKind, Result};

type Arguments = FnArgs<(String, String, String, u32)>;

/// `dispatch(object, method, argument, call)` of `ts/host.ts`. Weak: an object that is lent does not keep the process alive.
pub(crate) type Dispatch = ThreadsafeFunction<Arguments, Promise<String>, Arguments, Status, false, true>;

pub(crate) struct NodeHost {
    dispatch: std::sync::Arc<Dispatch>,
    calls: AtomicU32,
}

impl NodeHost {
    pub(crate) fn new(dispatch: Dispatch) -> Self {
        Self { dispatch: std::sync::Arc::new(dispatch), calls: AtomicU32::new(1) }
    }
}

impl fmt::Debug for NodeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHost").finish_non_exhaustive()
    }
}

/// Tells JavaScript that nobody waits for a call any more.
struct Pending {
    dispatch: std::sync::Arc<Dispatch>,
    object: String,
    call: u32,
    done: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            let arguments = (std::mem::take(&mut self.object), "cancel".into(), "null".into(), self.call);
            self.dispatch.call(arguments.into(), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

#[async_trait]
impl Host for NodeHost {
    async fn call(&self, object: &str, method: &str, argument: String) -> Result<String> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut pending = Pending { dispatch: self.dispatch.clone(), object: object.into(), call, done: false };
        let gone = |_| Error::new(ErrorKind::Cancelled, "the JavaScript object did not answer");
        let arguments = (object.to_owned(), method.to_owned(), argument, call);
        let promise = self.dispatch.call_async(arguments.into()).await.map_err(gone)?;
        let reply = promise.await.map_err(gone);
        pending.done = true;
        reply
    }

    fn notify(&self, object: &str, method: &str, argument: String) {
        let arguments = (object.to_owned(), method.to_owned(), argument, 0);
        self.dispatch.call(arguments.into(), ThreadsafeFunctionCallMode::NonBlocking);
    }
}
