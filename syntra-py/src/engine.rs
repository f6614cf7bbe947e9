//! The engine: JSON in, JSON out, blocking or by callback.

use crate::host::PyHost;
use crate::inbox::{Inbox, Place};
use crate::outcome::{Outcome, events, row};
use crate::rt;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, RwLock};
use syntra_core::bridge::{self, Bridged, Host, Reader};
use syntra_core::{Error, ErrorKind};
use tokio::task::AbortHandle;

create_exception!(_native, NativeError, PyException, "An error of the library; its one argument is JSON.");

pub(crate) fn raise(error: &Error) -> PyErr {
    NativeError::new_err(bridge::error_json(error).to_string())
}

fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "this Syntra is closed")
}

/// A `Syntra` and what it was made from.
#[pyclass(frozen, module = "syntra._native")]
pub(crate) struct Engine {
    config: String,
    dispatch: Option<Arc<Py<PyAny>>>,
    /// The `Syntra` and the fork generation it was made in; `None` when closed.
    inner: RwLock<Option<(u64, Bridged)>>,
}

impl fmt::Debug for Engine {
    /// Without the set-up, which holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    fn build(py: Python<'_>, config: &str, dispatch: Option<&Arc<Py<PyAny>>>) -> PyResult<Bridged> {
        let host = dispatch.map(|d| Arc::new(PyHost::new(d.clone_ref(py))) as Arc<dyn Host>);
        rt::block_on(py, bridge::build(config, host))?.map_err(|e| raise(&e))
    }

    /// The `Syntra` of this process. A fork's child makes its own: connections and threads of the parent are not here.
    fn syntra(&self, py: Python<'_>) -> PyResult<Bridged> {
        let now = rt::generation();
        if let Some((generation, syntra)) = self.inner.read().map_err(|_| raise(&closed()))?.as_ref()
            && *generation == now
        {
            return Ok(syntra.clone());
        }
        let mut inner = self.inner.write().map_err(|_| raise(&closed()))?;
        let Some((generation, _)) = inner.as_ref() else { return Err(raise(&closed())) };
        if *generation != now {
            let new = Self::build(py, &self.config, self.dispatch.as_ref())?;
            std::mem::forget(inner.replace((now, new)));
        }
        inner.as_ref().map(|(_, syntra)| syntra.clone()).ok_or_else(|| raise(&closed()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Ok(inner) = self.inner.get_mut()
            && let Some((generation, syntra)) = inner.take()
        {
            discard(generation, syntra);
        }
    }
}

/// Drops `value` inside the runtime it belongs to, or not at all when that runtime is another process's or gone.
fn discard<T>(generation: u64, value: T) {
    match rt::handle() {
        Ok(handle) if generation == rt::generation() => {
            let _entered = handle.enter();
            drop(value);
        }
        _ => std::mem::forget(value),
    }
}

/// Runs `future` and puts what it comes to into its place.
fn start<F>(future: F, place: Place) -> PyResult<Task>
where
    F: Future<Output = Result<Outcome, Error>> + Send + 'static,
{
    let task = rt::handle()?.spawn(async move { place.end(future.await).await });
    Ok(Task { abort: task.abort_handle() })
}

#[pymethods]
impl Engine {
    /// Makes a `Syntra` from `config` (JSON); `dispatch` reaches the Python objects that it names.
    #[new]
    #[pyo3(signature = (config, dispatch=None))]
    fn new(py: Python<'_>, config: String, dispatch: Option<Py<PyAny>>) -> PyResult<Self> {
        let dispatch = dispatch.map(Arc::new);
        let generation = rt::generation();
        let syntra = Self::build(py, &config, dispatch.as_ref())?;
        Ok(Self { config, dispatch, inner: RwLock::new(Some((generation, syntra))) })
    }

    /// Calls `method` with `params` (JSON) and waits for the reply, JSON.
    fn call(&self, py: Python<'_>, method: &str, params: &str) -> PyResult<String> {
        let syntra = self.syntra(py)?;
        rt::block_on(py, bridge::call(&syntra, method, params))?.map_err(|e| raise(&e))
    }

    /// Calls `method` with `params` and returns at once; the end goes into `inbox`, as that of the call `number`.
    fn start(
        &self,
        py: Python<'_>,
        inbox: &Bound<'_, Inbox>,
        number: u64,
        method: String,
        params: String,
    ) -> PyResult<Task> {
        let syntra = self.syntra(py)?;
        let place = inbox.get().place(number);
        start(async move { Ok(Outcome::Json(bridge::call(&syntra, &method, &params).await?)) }, place)
    }

    /// As `call` of `ask`, with the fields of the answer in order.
    fn ask<'py>(&self, py: Python<'py>, params: &str) -> PyResult<Bound<'py, PyTuple>> {
        let syntra = self.syntra(py)?;
        row(py, rt::block_on(py, bridge::answer(&syntra, params))?.map_err(|e| raise(&e))?)
    }

    /// As `start` of `ask`, with the fields of the answer in order.
    fn start_ask(&self, py: Python<'_>, inbox: &Bound<'_, Inbox>, number: u64, params: String) -> PyResult<Task> {
        let syntra = self.syntra(py)?;
        let place = inbox.get().place(number);
        start(async move { Ok(Outcome::Answer(Box::new(bridge::answer(&syntra, &params).await?))) }, place)
    }

    /// A stream of the turn that `params` describes; it begins with the first read.
    fn stream(&self, py: Python<'_>, params: String) -> PyResult<Stream> {
        let syntra = self.syntra(py)?;
        Ok(Stream { reader: Some((rt::generation(), Reader::new(syntra, params))) })
    }

    /// Lets go of files and connections; every later call fails.
    fn close(&self, py: Python<'_>) {
        let inner = self.inner.write().ok().and_then(|mut inner| inner.take());
        if let Some((generation, syntra)) = inner {
            py.detach(|| discard(generation, syntra));
        }
    }
}

/// A call under way.
#[pyclass(frozen, module = "syntra._native")]
#[derive(Debug)]
pub(crate) struct Task {
    abort: AbortHandle,
}

#[pymethods]
impl Task {
    /// Drops the call, which closes what it has open.
    fn cancel(&self) {
        self.abort.abort();
    }
}

/// A turn's events in batches.
#[pyclass(frozen, module = "syntra._native")]
#[derive(Debug)]
pub(crate) struct Stream {
    /// The reader and the fork generation it was made in; `None` once dropped.
    reader: Option<(u64, Reader)>,
}

impl Stream {
    fn reader(&self) -> PyResult<Reader> {
        match &self.reader {
            Some((generation, reader)) if *generation == rt::generation() => Ok(reader.clone()),
            _ => Err(raise(&Error::new(ErrorKind::Cancelled, "this stream belongs to the process before the fork"))),
        }
    }
}

#[pymethods]
impl Stream {
    /// Waits for the next batch, see [`events`]; `None` at the end.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let reader = self.reader()?;
        events(py, rt::block_on(py, reader.next())?.map_err(|e| raise(&e))?)
    }

    /// As `next`, with the batch put into `inbox` as the end of the call `number`.
    fn start_next(&self, inbox: &Bound<'_, Inbox>, number: u64) -> PyResult<Task> {
        let reader = self.reader()?;
        start(async move { reader.next().await.map(Outcome::Events) }, inbox.get().place(number))
    }

    /// Cancels the turn, if it has not ended.
    fn close(&self, py: Python<'_>) {
        if let (Ok(reader), Ok(handle)) = (self.reader(), rt::handle()) {
            py.detach(|| {
                let _entered = handle.enter();
                reader.close();
            });
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some((generation, reader)) = self.reader.take() {
            discard(generation, reader);
        }
    }
}
