//! One thread that carries results into Python, so that no runtime thread waits for the GIL and results that are ready together
//! share one taking of it.

use pyo3::prelude::*;
use std::sync::RwLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

type Parcel = Box<dyn FnOnce(Python<'_>) + Send>;

/// Where parcels go in, `None` for the end, and the thread that carries them.
type Line = (Sender<Option<Parcel>>, JoinHandle<()>);

static LINE: RwLock<Option<Line>> = RwLock::new(None);

/// Runs `parcel` with the GIL, soon. It must not block; after the interpreter has gone it is dropped.
///
/// The queue is bounded by what is under way: each parcel is the end of one call that Python holds a future of.
pub(crate) fn deliver(parcel: impl FnOnce(Python<'_>) + Send + 'static) {
    let parcel: Option<Parcel> = Some(Box::new(parcel));
    if let Ok(line) = LINE.read()
        && let Some((sender, _)) = line.as_ref()
    {
        let _ = sender.send(parcel);
        return;
    }
    if let Ok(mut line) = LINE.write() {
        if line.is_none() {
            let (sender, receiver) = channel();
            let Ok(thread) = std::thread::Builder::new().name("syntra-deliver".into()).spawn(move || carry(&receiver))
            else {
                return;
            };
            *line = Some((sender, thread));
        }
        if let Some((sender, _)) = line.as_ref() {
            let _ = sender.send(parcel);
        }
    }
}

fn carry(receiver: &Receiver<Option<Parcel>>) {
    while let Ok(first) = receiver.recv() {
        let mut next = first;
        let mut stopped = false;
        Python::try_attach(|py| {
            loop {
                match next.take() {
                    Some(parcel) => parcel(py),
                    None => {
                        stopped = true;
                        break;
                    }
                }
                match receiver.try_recv() {
                    Ok(parcel) => next = parcel,
                    Err(_) => break,
                }
            }
        });
        if stopped {
            break;
        }
    }
}

/// Ends the thread after what it has; call without the GIL.
pub(crate) fn stop() {
    let line = LINE.write().ok().and_then(|mut line| line.take());
    if let Some((sender, thread)) = line {
        let _ = sender.send(None);
        let _ = thread.join();
    }
}

/// In the child of a fork, where the thread does not exist.
pub(crate) fn forget() {
    if let Ok(mut line) = LINE.try_write() {
        std::mem::forget(line.take());
    }
}
