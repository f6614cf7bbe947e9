//! One timer for all the waits of a body or a stream.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep_until};

/// Waits with deadlines that move on: the timer stays where it was set and is moved when it goes off, so that each of a thousand waits does not
/// enter one and take it out again.
#[derive(Debug, Default)]
pub(crate) struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// What `work` comes to; `None` where it has not by `until`.
    pub(crate) async fn wait<T>(&mut self, until: Instant, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(until, context).map(|()| None),
        })
        .await
    }

    fn poll(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_at_its_own_time_whether_that_moved_on_or_back() {
        let (begin, mut patience) = (Instant::now(), Patience::default());
        let at = |seconds| begin + Duration::from_secs(seconds);
        for later in 1..=5 {
            let done = patience.wait(at(later + 10), sleep(Duration::from_secs(1))).await;
            assert_eq!((done, Instant::now()), (Some(()), at(later)));
        }
        assert_eq!((patience.wait(at(30), pending::<()>()).await, Instant::now()), (None, at(30)));
        // Set far ahead, and then wanted earlier.
        assert_eq!(patience.wait(at(90), sleep(Duration::from_secs(1))).await, Some(()));
        assert_eq!((patience.wait(at(40), pending::<()>()).await, Instant::now()), (None, at(40)));
        // What is there is taken however late it is.
        assert_eq!(patience.wait(at(35), ready(7)).await, Some(7));
        assert_eq!((patience.wait(at(35), pending::<()>()).await, Instant::now()), (None, at(40)));
    }
}
