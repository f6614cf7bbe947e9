//! What calls came to, see [`bridge::Inbox`]: a promise of the binding's own makes and ends a thread-safe function for each call, which costs more than
//! many a call.

use napi::Status;
use napi::bindgen_prelude::Result;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use std::sync::Arc;
use syntra_core::{Trace, bridge};

/// Weak: what keeps the process alive is that somebody waits, which `ts/inbox.ts` knows.
type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

/// What a call came to: a result as JSON, and the trace of a turn.
type Outcome = (Option<String>, Option<Arc<Trace>>);

/// Takes the ends of calls.
#[napi]
pub struct Inbox(bridge::Inbox<Outcome>);

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
        Self(bridge::Inbox::new(move || {
            // What it says is that JavaScript is gone, and then nobody waits.
            let _ = bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }))
    }

    /// What calls came to since it was last asked.
    #[napi]
    pub fn take(&self) -> Vec<Ended> {
        let ended = |(number, result): (u64, syntra_core::Result<Outcome>)| {
            // They are numbered with 32 bits.
            let number = number as u32;
            match result {
                Ok((payload, trace)) => Ended { number, ok: true, payload, trace: trace.map(NativeTrace) },
                Err(error) => {
                    Ended { number, ok: false, payload: Some(bridge::error_json(&error).to_string()), trace: None }
                }
            }
        };
        self.0.take().into_iter().map(ended).collect()
    }
}

impl Inbox {
    /// A place for the end of the call `number`.
    pub(crate) fn place(&self, number: u32) -> bridge::Place<Outcome> {
        self.0.place(number.into())
    }
}
