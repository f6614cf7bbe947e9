//! A stream's events in batches: those that are ready cross into a host language together, and none is held back.

use super::host::error_json;
use crate::chat::Event;
use futures::{FutureExt, Stream, StreamExt};
use serde_json::{Value, json};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// The most events in one batch.
const MOST: usize = 256;
/// How many times others are let run while nothing is ready: a connection hands its chunks over one by one, from a task of its own, and
/// a crossing costs fifty times what that does. It takes microseconds; who has nothing to hand over holds nothing back.
const YIELDS: usize = 4;

/// A turn's events, read in batches. Dropping it cancels the turn.
pub struct Batches {
    events: Option<Pin<Box<dyn Stream<Item = Event> + Send>>>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("open", &self.events.is_some()).finish()
    }
}

impl Batches {
    /// Reads `events`.
    pub fn new(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        Self { events: Some(Box::pin(events)) }
    }

    /// Waits for the next event and returns it with all that are ready behind it; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        let Some(first) = self.events.as_mut()?.next().await else {
            self.events = None;
            return None;
        };
        let (mut batch, mut patience) = (vec![first], YIELDS);
        loop {
            if matches!(batch.last(), Some(Event::Done(_) | Event::Error(_))) {
                // Nothing follows these, which need not be asked for.
                self.events = None;
            }
            let Some(events) = self.events.as_mut().filter(|_| batch.len() < MOST) else { return Some(batch) };
            // Whoever has the next one runs first: to look before that is to walk through the whole turn for nothing.
            match patience {
                0 => return Some(batch),
                // What has come from the network is looked for too, which asks the system.
                1 => tokio::task::yield_now().await,
                _ => let_others_run().await,
            }
            match events.next().now_or_never() {
                Some(Some(event)) => {
                    batch.push(event);
                    patience = YIELDS;
                }
                Some(None) => self.events = None,
                None => patience -= 1,
            }
        }
    }

    /// Cancels the turn, if it has not ended.
    pub fn close(&mut self) {
        self.events = None;
    }
}

/// Goes to the end of the queue of what is ready to run.
async fn let_others_run() {
    let mut ran = false;
    poll_fn(|context| {
        if std::mem::replace(&mut ran, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Events as a JSON array of objects, each with a `type`.
pub fn events_json(events: &[Event]) -> String {
    let mut out = vec![b'['];
    for event in events {
        if out.len() > 1 {
            out.push(b',');
        }
        write_event(event, &mut out);
    }
    out.push(b']');
    // It is UTF-8, being JSON that was just written.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends `event` as JSON. Text, which is nearly all of a stream, is written without a tree of it first.
fn write_event(event: &Event, out: &mut Vec<u8>) {
    let from = out.len();
    let written = match event {
        Event::Error(_) => false,
        event => serde_json::to_writer(&mut *out, event).is_ok(),
    };
    if !written {
        out.truncate(from);
        out.extend_from_slice(event_json(event).to_string().as_bytes());
    }
}

/// An event as an object with a `type`; a terminal error keeps the number of the host's exception that caused it.
pub fn event_json(event: &Event) -> Value {
    let value = serde_json::to_value(event);
    match (event, value) {
        (Event::Error(error), _) => {
            let mut value = error_json(error);
            value["type"] = "error".into();
            value
        }
        (_, Ok(value)) => value,
        (_, Err(error)) => json!({"type": "error", "kind": "decode", "message": error.to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use futures::channel::mpsc;
    use futures::stream;

    fn text(text: &str) -> Event {
        Event::Text { text: text.into() }
    }

    fn texts(batch: &[Event]) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Text { text } => text.clone(),
            other => panic!("{other:?}"),
        };
        batch.iter().map(text).collect()
    }

    #[tokio::test]
    async fn ready_events_cross_together_and_a_slow_one_alone() {
        let (sender, receiver) = mpsc::unbounded();
        let mut batches = Batches::new(receiver);
        sender.unbounded_send(text("a")).unwrap();
        sender.unbounded_send(text("b")).unwrap();
        let both = batches.next().await.unwrap();
        assert_eq!(texts(&both), ["a", "b"]);
        let json = r#"[{"text":"a","type":"text"},{"text":"b","type":"text"}]"#;
        assert_eq!(serde_json::from_str::<Value>(&events_json(&both)).ok(), serde_json::from_str(json).ok());
        assert!(batches.next().now_or_never().is_none());
        sender.unbounded_send(text("c")).unwrap();
        assert_eq!(texts(&batches.next().await.unwrap()), ["c"]);
        drop(sender);
        assert!(batches.next().await.is_none());
        assert!(batches.next().await.is_none());
    }

    #[tokio::test]
    async fn what_another_task_hands_over_one_by_one_crosses_together() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for n in 0..200 {
                sender.send(text(&n.to_string())).await.unwrap();
            }
        });
        let mut batches = Batches::new(stream::poll_fn(move |cx| receiver.poll_recv(cx)));
        let (mut crossings, mut all) = (0, Vec::new());
        while let Some(batch) = batches.next().await {
            crossings += 1;
            all.extend(texts(&batch));
        }
        assert_eq!(all, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(crossings <= 4, "{crossings} crossings for 200 events");
    }

    #[tokio::test]
    async fn a_long_stream_comes_in_bounded_batches_in_order() {
        let mut batches = Batches::new(stream::iter((0..1000).map(|n| text(&n.to_string()))));
        let mut all = Vec::new();
        while let Some(batch) = batches.next().await {
            assert!(batch.len() <= MOST);
            all.extend(texts(&batch));
        }
        assert_eq!(all, (0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_last_event_ends_them_without_a_further_read() {
        let last = Event::Error(Error::invalid("no"));
        let mut batches = Batches::new(stream::iter([text("a"), last]).chain(stream::pending()));
        assert_eq!(batches.next().await.map(|batch| batch.len()), Some(2));
        assert!(batches.next().now_or_never().unwrap().is_none());
    }

    #[test]
    fn a_terminal_error_is_flat_and_keeps_its_type() {
        let value = event_json(&Event::Error(Error::invalid("no")));
        assert_eq!((value["type"].as_str(), value["kind"].as_str()), (Some("error"), Some("invalid_input")));
    }
}
