//! A turn as a stream.

use super::Trace;
use crate::chat::Event;
use futures::Stream;
use futures::future::BoxFuture;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Events of one turn, ending in exactly one [`Event::Done`] or [`Event::Error`].
///
/// The turn runs only while the stream is polled, and not in a task of its own: dropping the stream drops the turn with its
/// upstream connection, and a reader that is slow slows the turn down (a few events are buffered).
pub struct TurnStream {
    turn_id: String,
    trace: Arc<OnceLock<Arc<Trace>>>,
    driver: Option<BoxFuture<'static, ()>>,
    events: mpsc::Receiver<Event>,
}

/// How the corridor speaks to the stream's reader.
#[derive(Clone, Debug)]
pub(crate) struct Emitter(mpsc::Sender<Event>);

impl Emitter {
    pub(crate) async fn emit(&self, event: Event) {
        // A closed channel means that the stream was dropped, and then this future is being dropped too.
        let _ = self.0.send(event).await;
    }

    /// An emitter whose events nobody reads, for steps that are run without a stream.
    pub(crate) fn discard() -> Self {
        let (sender, _) = mpsc::channel(1);
        Self(sender)
    }
}

/// Events that may wait for a slow reader.
const BUFFERED: usize = 32;

impl TurnStream {
    /// The stream of `run`, which leaves its trace in the cell that it is given before it emits the terminal event.
    pub(crate) fn new<F>(turn_id: String, run: impl FnOnce(Emitter, Arc<OnceLock<Arc<Trace>>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(BUFFERED);
        let trace = Arc::new(OnceLock::new());
        Self { turn_id, driver: Some(Box::pin(run(Emitter(sender), trace.clone()))), trace, events }
    }

    /// Why the turn did what it did; there when the terminal event has come.
    pub fn trace(&self) -> Option<Arc<Trace>> {
        self.trace.get().cloned()
    }

    /// The turn's id, to ask [`crate::Syntra::trace`] about it when it has ended.
    pub fn turn_id(&self) -> &str {
        &self.turn_id
    }
}

impl Stream for TurnStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Poll::Ready(event) = self.events.poll_recv(cx) {
            return Poll::Ready(event);
        }
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            // Drops the sender, so that the channel ends after what is buffered.
            self.driver = None;
        }
        self.events.poll_recv(cx)
    }
}

impl fmt::Debug for TurnStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnStream").field("turn_id", &self.turn_id).finish_non_exhaustive()
    }
}
