//! The traces of the last turns, for who asks about one when it has ended.

use super::Trace;
use crate::chat::Scope;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are kept.
const MOST: usize = 1_000;

/// The traces of the last 1,000 turns, by the turn's id. The oldest goes first, whether or not it was asked for: the last turns are what is
/// asked about, and each turn puts one in, so that it has to cost next to nothing.
#[derive(Default)]
pub(crate) struct Traces(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_turn: HashMap<String, (Scope, Arc<Trace>)>,
    /// Turns as they ended, those that were erased since among them.
    order: VecDeque<String>,
}

impl Traces {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the trace of a turn of `scope` that has ended.
    pub(crate) fn keep(&self, scope: Scope, trace: Arc<Trace>) {
        let (key, turn) = (trace.turn_id.clone(), trace.turn_id.clone());
        let mut kept = self.kept();
        let oldest = if kept.order.len() < MOST { None } else { kept.order.pop_front() };
        let gone = oldest.and_then(|turn| kept.by_turn.remove(&turn));
        kept.order.push_back(turn);
        kept.by_turn.insert(key, (scope, trace));
        drop(kept);
        // Outside the lock: a trace is large.
        drop(gone);
    }

    /// The trace of the turn `turn` of `scope`.
    pub(crate) fn get(&self, scope: &Scope, turn: &str) -> Option<Arc<Trace>> {
        let kept = self.kept();
        kept.by_turn.get(turn).filter(|(owner, _)| owner == scope).map(|(_, trace)| trace.clone())
    }

    /// Forgets the turns of `scope`.
    pub(crate) fn erase(&self, scope: &Scope) {
        self.kept().by_turn.retain(|_, (owner, _)| owner != scope);
    }
}

impl fmt::Debug for Traces {
    /// Without the traces, which hold questions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("kept", &self.kept().by_turn.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(turn: usize) -> Arc<Trace> {
        Arc::new(Trace::new(turn.to_string(), "thread".into(), jiff::Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn the_last_thousand_turns_are_kept_each_for_its_own_scope() {
        let (traces, ana, ben) = (Traces::default(), Scope::new("o", "ana").unwrap(), Scope::new("o", "ben").unwrap());
        for turn in 0..1_010 {
            traces.keep(if turn % 2 == 0 { ana.clone() } else { ben.clone() }, trace(turn));
        }
        let found = |scope, turn: usize| traces.get(scope, &turn.to_string()).map(|trace| trace.turn_id.clone());
        assert_eq!((found(&ana, 8), found(&ben, 9)), (None, None), "the oldest are gone");
        assert_eq!((found(&ana, 10), found(&ben, 1_009)), (Some("10".into()), Some("1009".into())));
        assert_eq!(found(&ben, 10), None, "another's turn");
        traces.erase(&ana);
        assert_eq!((found(&ana, 1_008), found(&ben, 1_009)), (None, Some("1009".into())));
        (2_000..3_000).for_each(|turn| traces.keep(ana.clone(), trace(turn)));
        assert_eq!(
            (found(&ben, 1_009), found(&ana, 2_000)),
            (None, Some("2000".into())),
            "what was erased takes no place"
        );
        assert_eq!(format!("{traces:?}"), "Traces { kept: 1000 }");
    }
}
