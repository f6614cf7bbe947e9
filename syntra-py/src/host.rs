//! Python objects lent to the library.

use crate::deliver::deliver;
use async_trait::async_trait;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex};
use syntra_core::bridge::Host;
use syntra_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

/// Where a host function's reply goes. It may be called from any thread, once; later calls do nothing.
#[pyclass(frozen, module = "syntra._native")]
#[derive(Debug)]
pub(crate) struct Done {
    sender: Mutex<Option<oneshot::Sender<String>>>,
}

#[pymethods]
impl Done {
    fn __call__(&self, reply: String) {
        if let Some(sender) = self.sender.lock().ok().and_then(|mut sender| sender.take()) {
            let _ = sender.send(reply);
        }
    }
}

/// The dispatcher of `python/syntra/_host.py`: `dispatch(object, method, argument, done)`.
#[derive(Debug)]
pub(crate) struct PyHost {
    dispatch: Arc<Py<PyAny>>,
}

impl PyHost {
    pub(crate) fn new(dispatch: Py<PyAny>) -> Self {
        Self { dispatch: Arc::new(dispatch) }
    }
}

/// How far a call has come, for cancelling the coroutine that works on it.
enum Progress {
    /// The dispatcher has not returned yet; its coroutine may run already.
    Dispatching,
    /// A coroutine works on it; the future is Python's.
    Running(Py<PyAny>),
    /// The reply is here.
    Answered,
    /// Nobody waits any more.
    Abandoned,
}

/// Cancels the coroutine that works on a reply nobody waits for any more.
struct Pending(Arc<Mutex<Progress>>);

impl Pending {
    fn set(&self, next: Progress) -> Option<Progress> {
        self.0.lock().ok().map(|mut progress| std::mem::replace(&mut *progress, next))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let answered = self.0.lock().is_ok_and(|progress| matches!(*progress, Progress::Answered));
        if !answered && let Some(Progress::Running(future)) = self.set(Progress::Abandoned) {
            deliver(move |py| cancel(py, &future));
        }
    }
}

fn cancel(py: Python<'_>, future: &Py<PyAny>) {
    if let Err(error) = future.call_method0(py, "cancel") {
        error.write_unraisable(py, None);
    }
}

#[async_trait]
impl Host for PyHost {
    async fn call(&self, object: &str, method: &str, argument: String) -> Result<String> {
        let (sender, receiver) = oneshot::channel();
        let (object, method) = (object.to_owned(), method.to_owned());
        let dispatch = self.dispatch.clone();
        let pending = Pending(Arc::new(Mutex::new(Progress::Dispatching)));
        let progress = pending.0.clone();
        // A plain function runs right here, on a thread that may block; a coroutine function is handed to an event loop.
        let functions =
            crate::rt::functions().map_err(|_| Error::new(ErrorKind::Cancelled, "the interpreter is shutting down"))?;
        functions.spawn_blocking(move || {
            Python::try_attach(|py| {
                let done = Done { sender: Mutex::new(Some(sender)) };
                match dispatch.call1(py, (object, method, argument, done)) {
                    Ok(future) if !future.is_none(py) => {
                        let late = progress.lock().ok().and_then(|mut progress| match *progress {
                            Progress::Dispatching => {
                                *progress = Progress::Running(future);
                                None
                            }
                            Progress::Abandoned => Some(future),
                            Progress::Running(_) | Progress::Answered => None,
                        });
                        // Without the lock: Python may let another thread run in between.
                        if let Some(future) = late {
                            cancel(py, &future);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => error.write_unraisable(py, None),
                }
            })
        });
        let reply = receiver.await;
        // Nothing is left to cancel. The reference is given back where the GIL is.
        if let Some(Progress::Running(future)) = pending.set(Progress::Answered) {
            deliver(move |_| drop(future));
        }
        reply.map_err(|_| Error::new(ErrorKind::Cancelled, "the Python object did not answer"))
    }

    fn notify(&self, object: &str, method: &str, argument: String) {
        let Ok(functions) = crate::rt::functions() else { return };
        let dispatch = self.dispatch.clone();
        let (object, method) = (object.to_owned(), method.to_owned());
        functions.spawn_blocking(move || {
            Python::try_attach(|py| {
                let done = Done { sender: Mutex::new(None) };
                if let Err(error) = dispatch.call1(py, (object, method, argument, done)) {
                    error.write_unraisable(py, None);
                }
            })
        });
    }
}
