//! What calls came to, carried into JavaScript together: a promise of the binding's own makes and ends a thread-safe function for each call, which
//! costs more than many a call. Here the first result rings a bell, and who hears it takes all that are there.

use napi::Status;
use napi::bindgen_prelude::Result;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};
use syntra_core::bridge;
use syntra_core::{Error, ErrorKind, Trace};

/// Weak: what keeps the process alive is that somebody waits, which `ts/inbox.ts` knows.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Bounded by what is under way: each entry is the end of one call that JavaScript has a promise of.
struct Shared {
    ended: Mutex<Vec<Ended>>,
    bell: Bell,
}

/// Takes the ends of calls.
#[napi]
pub struct Inbox(Arc<Shared>);

/// How a call ended.
#[napi(object, object_from_js = false)]
pub struct Ended {
    /// The number that it was begun with.
    pub number: u32,
    /// Whether it went well.
    pub ok: bool,
    /// The result, or the error, as JSON.
    pub payload: Option<String>,
    /// The trace of a turn.
    pub trace: Option<NativeTrace>,
}

/// Why a turn did what it did, written when somebody wants to know.
#[napi]
pub struct NativeTrace(Arc<Trace>);

#[napi]
impl NativeTrace {
    /// The trace as JSON.
    #[napi]
    pub fn json(&self) -> Result<String> {
        bridge::trace_json(&self.0).map_err(|e| crate::engine::raise(&e))
    }
}

#[napi]
impl Inbox {
    /// An inbox that calls `bell` when there is something to take.
    #[napi(constructor)]
    pub fn new(bell: Bell) -> Self {
        Self(Arc::new(Shared { ended: Mutex::default(), bell }))
    }

    /// What calls came to since it was last asked.
    #[napi]
    pub fn take(&self) -> Vec<Ended> {
        std::mem::take(&mut *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inbox {
    /// A place for the end of the call `number`.
    pub(crate) fn place(&self, number: u32) -> Place {
        Place { inbox: Some(self.0.clone()), number }
    }
}

/// Where a call's end goes. Dropped without one (it was aborted, it panicked, the runtime ends) it says so, or somebody would wait for ever.
pub(crate) struct Place {
    inbox: Option<Arc<Shared>>,
    number: u32,
}

impl Place {
    /// The end.
    pub(crate) fn end(mut self, result: syntra_core::Result<(Option<String>, Option<Arc<Trace>>)>) {
        self.put(result);
    }

    fn put(&mut self, result: syntra_core::Result<(Option<String>, Option<Arc<Trace>>)>) {
        let Some(inbox) = self.inbox.take() else { return };
        let number = self.number;
        let ended = match result {
            Ok((payload, trace)) => Ended { number, ok: true, payload, trace: trace.map(NativeTrace) },
            Err(error) => {
                Ended { number, ok: false, payload: Some(bridge::error_json(&error).to_string()), trace: None }
            }
        };
        let first = {
            let mut all = inbox.ended.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(ended);
            all.len() == 1
        };
        if first {
            // What it says is that JavaScript is gone, and then nobody waits.
            let _ = inbox.bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.put(Err(Error::new(ErrorKind::Cancelled, "the call was dropped before its end")));
    }
}
