//! What calls came to, carried into a host language's loop together.
//!
//! A thread that entered the host language for each result would stop for as long as that runs, and every result would wake its loop once more.
//! So a result is put into a box, the first of them rings once the others that are ready are in it too, and the loop takes all that are there.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ends of calls that a loop has not taken yet, and how it is told of them. Bounded by what is under way: each entry is the end of one call
/// that the host holds a promise of. Clones are the same box.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use syntra_core::bridge::Inbox;
/// static RUNG: AtomicUsize = AtomicUsize::new(0);
/// let inbox = Inbox::new(|| { RUNG.fetch_add(1, Ordering::Relaxed); });
/// let (one, other) = (inbox.place(1), inbox.place(2));
/// futures::join!(one.end(Ok("a")), other.end(Ok("b")));
/// assert_eq!((inbox.take().len(), RUNG.load(Ordering::Relaxed)), (2, 1));
/// # }
/// ```
pub struct Inbox<T>(Arc<Inner<T>>);

struct Inner<T> {
    ended: Mutex<Vec<(u64, Result<T>)>>,
    /// Calls that have not ended.
    under_way: AtomicUsize,
    ring: Box<dyn Fn() + Send + Sync>,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Inbox<T> {
    /// Without what anybody was answered.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.0.under_way.load(Ordering::Relaxed);
        f.debug_struct("Inbox").field("under_way", &under_way).field("ended", &self.ended().len()).finish()
    }
}

impl<T> Inbox<T> {
    /// A box that calls `ring` when there is something to take: once until it is taken, from any thread. It must not block.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { ended: Mutex::default(), under_way: AtomicUsize::new(0), ring: Box::new(ring) }))
    }

    fn ended(&self) -> MutexGuard<'_, Vec<(u64, Result<T>)>> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.ended().is_empty()
    }

    /// What calls came to since it was last asked, each with its number.
    pub fn take(&self) -> Vec<(u64, Result<T>)> {
        std::mem::take(&mut *self.ended())
    }

    /// A place for the end of the call `number`.
    pub fn place(&self, number: u64) -> Place<T> {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        Place { inbox: Some(self.clone()), number }
    }

    /// Puts what a call came to into the box. The loop is to be told, where that was the first that it does not know of.
    fn put(&self, number: u64, result: Result<T>) -> Option<Ring<T>> {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut all = self.ended();
        all.push((number, result));
        (all.len() == 1).then(|| Ring(self.clone()))
    }
}

/// Tells the loop when it is dropped, however that comes.
struct Ring<T>(Inbox<T>);

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        (self.0.0.ring)();
    }
}

/// Where a call's end goes. Dropped without one (it was aborted, it panicked, the runtime ends) it says so, or somebody would wait for ever.
#[derive(Debug)]
pub struct Place<T> {
    inbox: Option<Inbox<T>>,
    number: u64,
}

impl<T> Place<T> {
    /// The end. Calls that are about to end have theirs first, so that the loop wakes once for all of them; one that is alone is told of
    /// at once.
    pub async fn end(mut self, result: Result<T>) {
        if let Some(ring) = self.put(result)
            && ring.0.0.under_way.load(Ordering::Relaxed) > 0
        {
            tokio::task::yield_now().await;
        }
    }

    fn put(&mut self, result: Result<T>) -> Option<Ring<T>> {
        self.inbox.take()?.put(self.number, result)
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        drop(self.put(Err(Error::new(ErrorKind::Cancelled, "the call was dropped before its end"))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn counted() -> (Inbox<u64>, Arc<AtomicUsize>) {
        let rung = Arc::new(AtomicUsize::new(0));
        let ring = Arc::clone(&rung);
        let inbox = Inbox::new(move || {
            ring.fetch_add(1, Ordering::Relaxed);
        });
        (inbox, rung)
    }

    fn numbers(inbox: &Inbox<u64>) -> Vec<u64> {
        inbox.take().into_iter().map(|(number, _)| number).collect()
    }

    #[tokio::test]
    async fn the_loop_is_told_once_of_all_that_are_about_to_end_and_at_once_of_one_that_is_alone() {
        let (inbox, rung) = counted();
        for round in 1..=3 {
            let ends = (0..100).map(|n| inbox.place(n).end(Ok(n)));
            futures::future::join_all(ends).await;
            assert_eq!((numbers(&inbox), rung.load(Ordering::Relaxed)), ((0..100).collect(), round));
        }
        assert!(inbox.place(7).end(Ok(7)).now_or_never().is_some(), "it waits for nobody");
        assert_eq!((numbers(&inbox), rung.load(Ordering::Relaxed), inbox.is_empty()), (vec![7], 4, true));
    }

    #[tokio::test]
    async fn who_is_given_up_is_told_of_and_takes_no_others_with_it() {
        let (inbox, rung) = counted();
        let (one, other, aborted) = (inbox.place(1), inbox.place(2), inbox.place(3));
        // The first is put in, waits for the others, and is dropped there.
        let mut end = Box::pin(one.end(Ok(1)));
        assert!((&mut end).now_or_never().is_none() && rung.load(Ordering::Relaxed) == 0);
        drop(end);
        assert_eq!(rung.load(Ordering::Relaxed), 1, "the loop hears of it all the same");
        drop(aborted);
        other.end(Ok(2)).await;
        let all = inbox.take();
        assert_eq!((all.len(), rung.load(Ordering::Relaxed)), (3, 1));
        let of_aborted = all.iter().find(|(number, _)| *number == 3).and_then(|(_, result)| result.as_ref().err());
        assert_eq!(of_aborted.map(Error::kind), Some(ErrorKind::Cancelled));
    }
}
