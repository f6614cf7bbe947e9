//! A turn's stream as a binding holds it: opened by the first read, closed from anywhere.

use super::{Batches, Bridged, stream};
use crate::chat::Event;
use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

enum State {
    Unopened(Box<(Bridged, String)>),
    Open(Batches, Bridged),
    Ended,
}

/// Reads the turn that `params` (those of `ask`) describes, batch by batch. Clones read the same turn; the last one dropped, or
/// [`Reader::close`], cancels it.
#[derive(Clone)]
pub struct Reader {
    state: Arc<Mutex<State>>,
    closed: CancellationToken,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("closed", &self.closed.is_cancelled()).finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader that has not begun: nothing happens before the first [`Reader::next`].
    pub fn new(bridged: Bridged, params: String) -> Self {
        let state = State::Unopened(Box::new((bridged, params)));
        Self { state: Arc::new(Mutex::new(state)), closed: CancellationToken::new() }
    }

    /// Waits for the next event and all that are ready behind it; `None` at the end and once closed.
    ///
    /// # Errors
    /// What is wrong with the question, at the first read.
    pub async fn next(&self) -> Result<Option<Vec<Event>>> {
        let read = self.read();
        tokio::select! {
            biased;
            () = self.closed.cancelled() => {}
            out = read => return out,
        }
        // The read was dropped unfinished; what it had open goes with the state.
        *self.state.lock().await = State::Ended;
        Ok(None)
    }

    async fn read(&self) -> Result<Option<Vec<Event>>> {
        let mut state = self.state.lock().await;
        let opened_now = matches!(*state, State::Unopened(_));
        if let State::Unopened(question) = &*state {
            let (bridged, params) = &**question;
            let opened = stream(bridged, params).await;
            let (next, failed): (State, Option<Error>) = match opened {
                Ok(batches) => (State::Open(batches, bridged.clone()), None),
                Err(error) => (State::Ended, Some(error)),
            };
            *state = next;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        let State::Open(batches, bridged) = &mut *state else { return Ok(None) };
        if !opened_now {
            bridged.tick().await?;
        }
        let batch = batches.next().await;
        if batch.is_none() {
            *state = State::Ended;
        }
        Ok(batch)
    }

    /// Cancels the turn, if it has not ended, and wakes who waits for it.
    pub fn close(&self) {
        self.closed.cancel();
        // If somebody reads, the read ends and does this itself.
        if let Ok(mut state) = self.state.try_lock() {
            *state = State::Ended;
        }
    }
}
