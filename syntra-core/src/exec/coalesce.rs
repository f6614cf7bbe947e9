//! Identical calls in flight share one call upstream.
//!
//! A flight is a log of events that its members read from the beginning, each at its own pace. There is no task behind it: whichever
//! member comes to the end of the log drives the upstream stream one event further, and what is upstream wakes all that wait, so that
//! it needs no member in particular: neither one that leaves nor one that stops reading holds the others up. When the last is dropped
//! the flight is, and with it the connection. A finished flight is never joined: a second "yes" gets an answer of its own.

use crate::chat::{Event, EventStream, Request, Scope};
use crate::error::{Error, ErrorKind, Result};
use futures::{Stream, StreamExt as _};
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};

/// What makes two calls the same: organisation, provider and the whole request as it would be sent, model and persona's text
/// included.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallKey([u8; 32]);

impl CallKey {
    /// The key of `request` to `provider` for the organisation of `scope`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the request cannot be serialised.
    pub fn new(scope: &Scope, provider: &str, request: &Request, streaming: bool) -> Result<Self> {
        let body = serde_json::to_vec(request)
            .map_err(|e| Error::new(ErrorKind::InvalidInput, "the request cannot be serialised").with_source(e))?;
        let mut hash = Sha256::new();
        for part in [scope.org().as_bytes(), provider.as_bytes(), &[u8::from(streaming)], &body] {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Self(hash.finalize().into()))
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Joins identical calls.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use futures::StreamExt as _;
/// use syntra_core::exec::{CallKey, Coalescer};
/// use syntra_core::{Event, Request, Scope};
///
/// let coalescer = Coalescer::new();
/// let key = CallKey::new(&Scope::local(), "p", &Request::new("m", vec![]), true)?;
/// let upstream = || futures::stream::iter([Ok(Event::Text { text: "once".into() })]).boxed();
/// let (first, began) = coalescer.join(key, upstream);
/// let (second, joined) = coalescer.join(key, || unreachable!("the first call is still in flight"));
/// assert!(began && !joined);
/// assert_eq!((first.count().await, second.count().await), (1, 1));
/// # Ok::<(), syntra_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Cheap to clone; clones share their flights.
#[derive(Clone, Debug, Default)]
pub struct Coalescer {
    flights: Arc<Mutex<HashMap<CallKey, Weak<Flight>>>>,
}

struct Flight {
    key: CallKey,
    log: Mutex<Log>,
    waiting: Arc<Waiting>,
    flights: Arc<Mutex<HashMap<CallKey, Weak<Flight>>>>,
}

struct Log {
    upstream: EventStream,
    events: Vec<Logged>,
    ended: bool,
    /// Members so far, for their numbers.
    members: u64,
}

/// An event of the log. Most are words, which are small so: with a thousand streams at once, room is time.
enum Logged {
    Text(Box<str>),
    Other(Box<Result<Event>>),
}

impl Logged {
    fn of(event: &Result<Event>) -> Self {
        match event {
            Ok(Event::Text { text }) => Self::Text(text.as_str().into()),
            other => Self::Other(Box::new(other.clone())),
        }
    }

    fn event(&self) -> Result<Event> {
        match self {
            Self::Text(text) => Ok(Event::Text { text: text.to_string() }),
            Self::Other(event) => Result::clone(event),
        }
    }
}

/// The members that wait for the next event, by their numbers. Upstream is polled with it: whatever happens there wakes them all.
#[derive(Default)]
struct Waiting(Mutex<FxHashMap<u64, Waker>>);

impl Waiting {
    fn wait(&self, member: u64, waker: &Waker) {
        lock(&self.0).entry(member).and_modify(|known| known.clone_from(waker)).or_insert_with(|| waker.clone());
    }

    fn leave(&self, member: u64) {
        // The waker is dropped after the lock: it may hold the last of a task, and that a member.
        let _waker = lock(&self.0).remove(&member);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut waiting = lock(&self.0);
        if waiting.len() < 2 {
            // The usual case keeps its room.
            let only = waiting.drain().next();
            drop(waiting);
            only.into_iter().for_each(|(_, waker)| waker.wake());
            return;
        }
        let all = std::mem::take(&mut *waiting);
        drop(waiting);
        all.into_values().for_each(Waker::wake);
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A panic while one of these is held leaves plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Coalescer {
    /// No flights yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins the flight of `key`, or begins it with `start`. The second value is true for the one that began it.
    pub fn join(&self, key: CallKey, start: impl FnOnce() -> EventStream) -> (EventStream, bool) {
        let mut flights = lock(&self.flights);
        let known = flights.get(&key).and_then(Weak::upgrade);
        let open = known.clone().and_then(|flight| flight.join().map(|number| Member { flight, number, place: 0 }));
        let (member, began) = match open {
            Some(member) => (member, false),
            None => {
                let flight = Arc::new(Flight {
                    key,
                    log: Mutex::new(Log { upstream: start(), events: Vec::new(), ended: false, members: 1 }),
                    waiting: Arc::default(),
                    flights: self.flights.clone(),
                });
                flights.insert(key, Arc::downgrade(&flight));
                (Member { flight, number: 0, place: 0 }, true)
            }
        };
        drop(flights);
        // Only now: this may be the last hold on an ended flight, whose drop takes the lock again.
        drop(known);
        (member.boxed(), began)
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> usize {
        lock(&self.flights).len()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        // A newer flight of the same key has its own entry.
        if flights.get(&self.key).is_some_and(|entry| entry.strong_count() == 0) {
            flights.remove(&self.key);
        }
    }
}

impl Flight {
    /// The number of a new member; `None` where the flight has ended.
    fn join(&self) -> Option<u64> {
        let mut log = lock(&self.log);
        let number = log.members;
        log.members += 1;
        (!log.ended).then_some(number)
    }

    /// The event at `place`; whoever comes to the end of the log drives the stream.
    fn read(&self, place: usize, member: u64, waker: &Waker) -> Poll<Option<Result<Event>>> {
        let mut log = lock(&self.log);
        if let Some(event) = log.events.get(place) {
            return Poll::Ready(Some(event.event()));
        }
        if log.ended {
            return Poll::Ready(None);
        }
        // Before the poll, so that nothing that happens meanwhile is missed.
        self.waiting.wait(member, waker);
        let everybody = Waker::from(self.waiting.clone());
        let polled =
            catch_unwind(AssertUnwindSafe(|| log.upstream.poll_next_unpin(&mut Context::from_waker(&everybody))));
        let item = match polled {
            Ok(polled) => ready!(polled),
            Err(_) => Some(Err(Error::new(ErrorKind::Unknown, "the provider's adapter panicked"))),
        };
        // Nothing follows these, and whoever has read them reads no further.
        log.ended = matches!(item, None | Some(Err(_) | Ok(Event::Finish { .. })));
        log.events.extend(item.as_ref().map(Logged::of));
        drop(log);
        self.waiting.leave(member);
        everybody.wake();
        Poll::Ready(item)
    }
}

/// One reader of a flight.
struct Member {
    flight: Arc<Flight>,
    number: u64,
    /// Events that it has read.
    place: usize,
}

impl Stream for Member {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.flight.read(self.place, self.number, cx.waker()));
        self.place += 1;
        Poll::Ready(item)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.flight.waiting.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{FinishReason, Message};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    fn key(org: &str, text: &str) -> CallKey {
        let scope = Scope::new(org, "ada").unwrap();
        CallKey::new(&scope, "p", &Request::new("m", vec![Message::user(text)]), true).unwrap()
    }

    fn words(n: usize) -> Vec<Event> {
        let mut events: Vec<Event> = (0..n).map(|i| Event::Text { text: format!("{i} ") }).collect();
        events.push(Event::Finish { reason: FinishReason::Stop });
        events
    }

    /// An upstream whose events each need a permit, that counts its beginnings and knows when it is dropped.
    #[derive(Clone)]
    struct Upstream {
        events: Vec<Event>,
        gate: Arc<Semaphore>,
        begun: Arc<AtomicUsize>,
        open: Arc<AtomicUsize>,
    }

    struct Open(Arc<AtomicUsize>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Upstream {
        fn new(n: usize, permits: usize) -> Self {
            let zero = || Arc::new(AtomicUsize::new(0));
            Self { events: words(n), gate: Arc::new(Semaphore::new(permits)), begun: zero(), open: zero() }
        }

        fn start(&self) -> EventStream {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.open.fetch_add(1, Ordering::SeqCst);
            let open = Open(self.open.clone());
            let state = (self.events.clone().into_iter(), self.gate.clone(), open);
            futures::stream::unfold(state, |(mut events, gate, open)| async move {
                gate.acquire().await.unwrap().forget();
                events.next().map(|event| (Ok(event), (events, gate, open)))
            })
            .boxed()
        }
    }

    async fn text(stream: EventStream) -> String {
        let events: Vec<Result<Event>> = stream.collect().await;
        events
            .iter()
            .filter_map(|e| if let Ok(Event::Text { text }) = e { Some(text.as_str()) } else { None })
            .collect()
    }

    #[tokio::test]
    async fn fifty_identical_streams_are_one_call_and_all_whole() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(40, 1_000));
        let members: Vec<_> = (0..50).map(|_| coalescer.join(key("a", "q"), || upstream.start()).0).collect();
        let texts = futures::future::join_all(members.into_iter().map(|m| tokio::spawn(text(m)))).await;
        let whole: String = (0..40).map(|i| format!("{i} ")).collect();
        assert!(texts.into_iter().all(|t| t.unwrap() == whole));
        assert_eq!(upstream.begun.load(Ordering::SeqCst), 1);
        assert_eq!(coalescer.in_flight(), 0);
    }

    #[tokio::test]
    async fn when_the_first_leaves_the_others_get_everything() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(10, 3));
        let (mut first, began) = coalescer.join(key("a", "q"), || upstream.start());
        let (second, joined) = coalescer.join(key("a", "q"), || upstream.start());
        assert!(began && !joined);
        let second = tokio::spawn(text(second));
        for _ in 0..3 {
            first.next().await.unwrap().unwrap();
        }
        drop(first);
        upstream.gate.add_permits(100);
        let late = text(coalescer.join(key("a", "q"), || upstream.start()).0);
        let (second, late) = tokio::join!(second, late);
        assert_eq!((second.unwrap().split(' ').count(), late.split(' ').count()), (11, 11));
        assert_eq!(upstream.begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_driver_that_is_dropped_while_it_waits_hands_over() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(2, 0));
        let first = coalescer.join(key("a", "q"), || upstream.start()).0;
        let second = coalescer.join(key("a", "q"), || upstream.start()).0;
        let driver = tokio::spawn(text(first));
        tokio::task::yield_now().await;
        let follower = tokio::spawn(text(second));
        tokio::task::yield_now().await;
        driver.abort();
        upstream.gate.add_permits(10);
        assert_eq!(follower.await.unwrap(), "0 1 ");
    }

    #[tokio::test]
    async fn a_driver_that_stops_reading_holds_nobody_up() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(2, 0));
        let mut first = coalescer.join(key("a", "q"), || upstream.start()).0;
        let second = coalescer.join(key("a", "q"), || upstream.start()).0;
        // It waits for the first event, and is never polled again.
        assert!(futures::poll!(first.next()).is_pending());
        let second = tokio::spawn(text(second));
        tokio::task::yield_now().await;
        upstream.gate.add_permits(10);
        assert_eq!(second.await.unwrap(), "0 1 ");
        assert_eq!(text(first).await, "0 1 ");
    }

    #[tokio::test]
    async fn only_the_last_to_leave_cancels_the_call() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(10, 1));
        let (mut first, _) = coalescer.join(key("a", "q"), || upstream.start());
        let (second, _) = coalescer.join(key("a", "q"), || upstream.start());
        first.next().await.unwrap().unwrap();
        drop(first);
        assert_eq!(upstream.open.load(Ordering::SeqCst), 1);
        drop(second);
        assert_eq!(upstream.open.load(Ordering::SeqCst), 0);
        assert_eq!(coalescer.in_flight(), 0);
    }

    #[tokio::test]
    async fn a_finished_call_is_never_joined() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(1, 100));
        let (mut held, _) = coalescer.join(key("a", "yes"), || upstream.start());
        while held.next().await.is_some() {}
        let (again, began) = coalescer.join(key("a", "yes"), || upstream.start());
        assert!(began, "the first is still held, but it has ended");
        drop(held);
        assert_eq!(coalescer.in_flight(), 1, "the older flight does not take the newer one's place away");
        assert_eq!(text(again).await, "0 ");
    }

    #[tokio::test]
    async fn organisations_and_requests_are_told_apart() {
        let (coalescer, upstream) = (Coalescer::new(), Upstream::new(1, 100));
        let keys = [key("a", "q"), key("b", "q"), key("a", "other")];
        let _members: Vec<_> = keys.into_iter().map(|k| coalescer.join(k, || upstream.start()).0).collect();
        assert_eq!(upstream.begun.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn an_adapter_that_panics_is_an_error_for_everybody() {
        let coalescer = Coalescer::new();
        let broken = || futures::stream::once(async { panic!("adapter") }).boxed();
        let (first, _) = coalescer.join(key("a", "q"), broken);
        let (second, _) = coalescer.join(key("a", "q"), || unreachable!());
        for member in [first, second] {
            let events: Vec<Result<Event>> = member.collect().await;
            assert_eq!(events[0].as_ref().unwrap_err().kind(), ErrorKind::Unknown);
            assert_eq!(events.len(), 1);
        }
    }
}
