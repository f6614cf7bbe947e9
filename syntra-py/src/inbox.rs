//! What calls of one event loop came to, carried into it together.
//!
//! A runtime thread that took the GIL for each result would stop for as long as Python runs, and every result would wake the loop once more.
//! So a result is put into a box, the first of them wakes the loop by a byte in a pipe once the others that are ready are in it too, and the
//! loop, which has the GIL anyway, takes all that are there.

use crate::deliver::deliver;
use crate::outcome::Outcome;
use crate::rt;
use pyo3::prelude::*;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use syntra_core::{Error, ErrorKind};

/// What a call came to, with its number.
type Ended = (u64, Outcome);

/// How the event loop is told.
#[derive(Debug)]
enum Bell {
    /// By a byte in this pipe, which the loop watches.
    Pipe(PipeReader, PipeWriter),
    /// By calling this, on a thread of its own: the loop of Windows watches no pipes.
    Call(Py<PyAny>),
}

#[derive(Debug)]
struct Inner {
    ended: Mutex<Vec<Ended>>,
    /// Calls that have not ended.
    under_way: AtomicUsize,
    bell: Bell,
    /// The process it was made in.
    generation: u64,
}

/// Bounded by what is under way: each entry is the end of one call that Python holds a future of.
#[pyclass(frozen, module = "syntra._native")]
#[derive(Clone, Debug)]
pub(crate) struct Inbox(Arc<Inner>);

impl Inner {
    fn ended(&self) -> MutexGuard<'_, Vec<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Inbox {
    /// A box that rings by a pipe, or by calling `ring` where one is given, which must not block.
    #[new]
    #[pyo3(signature = (ring=None))]
    fn new(ring: Option<Py<PyAny>>) -> PyResult<Self> {
        let bell = match ring {
            Some(ring) => Bell::Call(ring),
            None => {
                let (reader, writer) = std::io::pipe()?;
                Bell::Pipe(reader, writer)
            }
        };
        Ok(Self(Arc::new(Inner {
            ended: Mutex::default(),
            under_way: AtomicUsize::new(0),
            bell,
            generation: rt::generation(),
        })))
    }

    /// What to watch: it can be read from when there is something to take. -1 where there is no pipe.
    fn fileno(&self) -> i64 {
        match &self.0.bell {
            #[cfg(unix)]
            Bell::Pipe(reader, _) => std::os::fd::AsRawFd::as_raw_fd(reader).into(),
            _ => -1,
        }
    }

    /// What calls came to since it was last asked: `(number, ok, value)` each.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, bool, Bound<'py, PyAny>)>> {
        // The child of a fork has the parent's pipe, whose bytes are the parent's.
        if self.0.generation != rt::generation() || self.0.ended().is_empty() {
            return Ok(Vec::new());
        }
        if let Bell::Pipe(reader, _) = &self.0.bell {
            // There is one byte for all that are there, written already or about to be.
            let _ = { reader }.read(&mut [0]);
        }
        let all = std::mem::take(&mut *self.0.ended());
        let value = |(number, outcome): Ended| outcome.into_python(py).map(|(ok, value)| (number, ok, value));
        all.into_iter().map(value).collect()
    }
}

/// Tells the loop when it is dropped, however that comes.
struct Ring(Inbox);

impl Drop for Ring {
    fn drop(&mut self) {
        match &self.0.0.bell {
            // It cannot fail: both ends are ours, and there is room for the only byte.
            Bell::Pipe(_, writer) => drop({ writer }.write(&[0])),
            Bell::Call(_) => {
                let inner = self.0.0.clone();
                deliver(move |py| {
                    if let Bell::Call(ring) = &inner.bell
                        && let Err(error) = ring.call0(py)
                    {
                        error.write_unraisable(py, None);
                    }
                });
            }
        }
    }
}

impl Inbox {
    /// Puts what a call came to into the box. The loop is to be told, where that was the first that it does not know of.
    fn put(&self, ended: Ended) -> Option<Ring> {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut all = self.0.ended();
        all.push(ended);
        (all.len() == 1).then(|| Ring(self.clone()))
    }

    /// A place for the end of the call `number`.
    pub(crate) fn place(&self, number: u64) -> Place {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        Place { inbox: Some(self.clone()), number }
    }
}

/// Where a call's end goes. Dropped without one (a panic, the end of the runtime) it says so, or somebody would wait for ever.
#[derive(Debug)]
pub(crate) struct Place {
    inbox: Option<Inbox>,
    number: u64,
}

impl Place {
    /// The end. Calls that are about to end have theirs first, so that the loop wakes once for all of them.
    pub(crate) async fn end(mut self, result: Result<Outcome, Error>) {
        if let Some(ring) = self.put(result)
            && ring.0.0.under_way.load(Ordering::Relaxed) > 0
        {
            tokio::task::yield_now().await;
        }
    }

    fn put(&mut self, result: Result<Outcome, Error>) -> Option<Ring> {
        self.inbox.take()?.put((self.number, result.unwrap_or_else(|error| Outcome::failed(&error))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.put(Err(Error::new(ErrorKind::Cancelled, "the call was dropped before its end"))));
    }
}
