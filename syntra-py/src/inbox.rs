//! What calls of one event loop came to, see [`bridge::Inbox`]: the loop is woken by a byte in a pipe that it watches, and having the GIL anyway
//! takes all that are there.

use crate::deliver::deliver;
use crate::outcome::Outcome;
use crate::rt;
use pyo3::prelude::*;
use std::io::{PipeReader, Read as _, Write as _};
use std::sync::Arc;
use syntra_core::bridge;

/// Where a call's end goes.
pub(crate) type Place = bridge::Place<Outcome>;

/// Takes the ends of calls.
#[pyclass(frozen, module = "syntra._native")]
#[derive(Debug)]
pub(crate) struct Inbox {
    inbox: bridge::Inbox<Outcome>,
    /// Where the loop is woken: `None` where it watches no pipes, as that of Windows.
    pipe: Option<PipeReader>,
    /// The process it was made in.
    generation: u64,
}

#[pymethods]
impl Inbox {
    /// A box that rings by a pipe, or by calling `ring` where one is given, which must not block.
    #[new]
    #[pyo3(signature = (ring=None))]
    fn new(ring: Option<Py<PyAny>>) -> PyResult<Self> {
        let (inbox, pipe) = match ring {
            Some(ring) => (called(Arc::new(ring)), None),
            None => {
                let (reader, writer) = std::io::pipe()?;
                // It cannot fail: both ends are ours, and there is room for the only byte.
                (bridge::Inbox::new(move || drop((&writer).write(&[0]))), Some(reader))
            }
        };
        Ok(Self { inbox, pipe, generation: rt::generation() })
    }

    /// What to watch: it can be read from when there is something to take. -1 where there is no pipe.
    fn fileno(&self) -> i64 {
        match &self.pipe {
            #[cfg(unix)]
            Some(pipe) => std::os::fd::AsRawFd::as_raw_fd(pipe).into(),
            _ => -1,
        }
    }

    /// What calls came to since it was last asked: `(number, ok, value)` each.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, bool, Bound<'py, PyAny>)>> {
        // The child of a fork has the parent's pipe, whose bytes are the parent's.
        if self.generation != rt::generation() || self.inbox.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(mut pipe) = self.pipe.as_ref() {
            // There is one byte for all that are there, written already or about to be.
            let _ = pipe.read(&mut [0]);
        }
        let value = |(number, result): (u64, Result<Outcome, _>)| {
            let outcome = result.unwrap_or_else(|error| Outcome::failed(&error));
            outcome.into_python(py).map(|(ok, value)| (number, ok, value))
        };
        self.inbox.take().into_iter().map(value).collect()
    }
}

impl Inbox {
    /// A place for the end of the call `number`.
    pub(crate) fn place(&self, number: u64) -> Place {
        self.inbox.place(number)
    }
}

/// A box that calls `ring`, on a thread of its own.
fn called(ring: Arc<Py<PyAny>>) -> bridge::Inbox<Outcome> {
    bridge::Inbox::new(move || {
        let ring = Arc::clone(&ring);
        deliver(move |py| {
            if let Err(error) = ring.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    })
}
