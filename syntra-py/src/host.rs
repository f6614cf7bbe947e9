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

/// Cancels the coroutine that works on a reply nobody waits for any more.
struct Pending(Arc<Mutex<Option<Py<PyAny>>>>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(future) = self.0.lock().ok().and_then(|mut f| f.take()) {
            deliver(move |py| {
                let _ = future.call_method0(py, "cancel");
            });
        }
    }
}

#[async_trait]
impl Host for PyHost {
    async fn call(&self, object: &str, method: &str, argument: String) -> Result<String> {
        let (sender, receiver) = oneshot::channel();
        let (object, method) = (object.to_owned(), method.to_owned());
        let dispatch = self.dispatch.clone();
        let future = Arc::new(Mutex::new(None));
        let pending = Pending(future.clone());
        // A plain function runs right here, on a thread that may block; a coroutine function is handed to an event loop.
        tokio::task::spawn_blocking(move || {
            Python::try_attach(|py| {
                let done = Done { sender: Mutex::new(Some(sender)) };
                match dispatch.call1(py, (object, method, argument, done)) {
                    Ok(waiting) if !waiting.is_none(py) => {
                        if let Ok(mut slot) = future.lock() {
                            *slot = Some(waiting);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => error.write_unraisable(py, None),
                }
            })
        });
        let reply = receiver.await;
        if let Ok(mut slot) = pending.0.lock() {
            // The reply is here: nothing is left to cancel. Its reference is given back where the GIL is.
            if let Some(future) = slot.take() {
                deliver(move |_| drop(future));
            }
        }
        reply.map_err(|_| Error::new(ErrorKind::Cancelled, "the Python object did not answer"))
    }

    fn notify(&self, object: &str, method: &str, argument: String) {
        let Ok(handle) = crate::rt::handle() else { return };
        let dispatch = self.dispatch.clone();
        let (object, method) = (object.to_owned(), method.to_owned());
        handle.spawn_blocking(move || {
            Python::try_attach(|py| {
                let done = Done { sender: Mutex::new(None) };
                if let Err(error) = dispatch.call1(py, (object, method, argument, done)) {
                    error.write_unraisable(py, None);
                }
            })
        });
    }
}
