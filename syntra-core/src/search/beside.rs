//! Two parts of a search of very many, side by side on two threads.

use std::panic::resume_unwind;
use std::thread;

/// From how many of what is searched on a second thread is worth its beginning (some 50 us).
const BESIDE_FROM: usize = 250_000;

/// What both say; `other` on a thread of its own if `many` of what is searched are as many, and if there is one to be had.
pub(super) fn beside<A: Send, B>(many: usize, other: impl Fn() -> A + Sync, own: impl FnOnce() -> B) -> (A, B) {
    if many < BESIDE_FROM {
        let own = own();
        return (other(), own);
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("syntra-search".into()).spawn_scoped(scope, &other);
        let own = own();
        let other = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => other(),
        };
        (other, own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_whether_few_or_many() {
        for many in [0, BESIDE_FROM - 1, BESIDE_FROM] {
            let here = thread::current().id();
            let (other, own) = beside(many, || thread::current().id(), || thread::current().id());
            assert_eq!((own == here, other == here), (true, many < BESIDE_FROM));
        }
    }
}
