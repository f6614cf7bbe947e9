//! The failure taxonomy: one action for each kind of failure, in one place.

use crate::error::{Error, ErrorKind, Retry};

/// What an execution does about a failed call. Whatever it is, an untried target comes before any wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End at once: no other target can do better.
    End,
    /// This target may be called again, after the wait that the server asks for or a backoff.
    Again,
    /// As [`Action::Again`], but only when every other target is used up: it said itself that it has no capacity.
    LastResort,
    /// Other targets; this one is left alone for the rest of the execution.
    Elsewhere,
    /// As [`Action::Elsewhere`], with other providers first: what is wrong most likely holds for all models behind this key.
    OtherProviderFirst,
    /// Only targets with a larger window: known larger ones first, then those whose window is unknown.
    LargerWindow,
    /// A model of another provider, once: its filter may judge otherwise, and a second refusal is an answer.
    OtherProviderOnce,
}

/// The action for `error`. `resumed` says that the call carried an answer's beginning for the model to go on from: a server that
/// calls such a request malformed speaks of our doing, not of the caller's.
///
/// | kind | action |
/// |---|---|
/// | transient, timeout, connection, truncated, decode, rate limit | again |
/// | overloaded | last resort |
/// | quota exhausted, model unavailable, unsupported, unknown | elsewhere |
/// | credential, region | other provider first |
/// | context too long | larger window |
/// | content policy | other provider, once |
/// | everything else is the caller's own fault or ours | end |
///
/// An error whose [`Error::retry`] was set to something else than its kind says is believed: whoever set it knew more.
///
/// Unknown failures go elsewhere: nothing shows that the caller is to blame, and nothing that this target will do better.
pub fn action(error: &Error, resumed: bool) -> Action {
    use ErrorKind::*;
    let kind = error.kind();
    if error.retry() != kind.advice() {
        return match error.retry() {
            Retry::Never => Action::End,
            Retry::SameTarget => Action::Again,
            Retry::OtherTarget => Action::Elsewhere,
        };
    }
    match kind {
        Transient | Timeout | Connection | Truncated | Decode | RateLimit => Action::Again,
        Overloaded => Action::LastResort,
        QuotaExhausted | ModelUnavailable | Unsupported | Unknown => Action::Elsewhere,
        Credential | Region => Action::OtherProviderFirst,
        ContextTooLong => Action::LargerWindow,
        ContentPolicy => Action::OtherProviderOnce,
        BadRequest | InvalidInput if resumed => Action::Elsewhere,
        BadRequest | InvalidInput | NotFound | Conflict | Embedding | Storage | Cancelled | Config | LimitReached => {
            Action::End
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_action_for_each_kind() {
        use ErrorKind::*;
        for (kind, fresh, resumed) in [
            (Transient, Action::Again, Action::Again),
            (Timeout, Action::Again, Action::Again),
            (Connection, Action::Again, Action::Again),
            (Truncated, Action::Again, Action::Again),
            (Decode, Action::Again, Action::Again),
            (RateLimit, Action::Again, Action::Again),
            (Overloaded, Action::LastResort, Action::LastResort),
            (QuotaExhausted, Action::Elsewhere, Action::Elsewhere),
            (ModelUnavailable, Action::Elsewhere, Action::Elsewhere),
            (Unsupported, Action::Elsewhere, Action::Elsewhere),
            (Unknown, Action::Elsewhere, Action::Elsewhere),
            (Credential, Action::OtherProviderFirst, Action::OtherProviderFirst),
            (Region, Action::OtherProviderFirst, Action::OtherProviderFirst),
            (ContextTooLong, Action::LargerWindow, Action::LargerWindow),
            (ContentPolicy, Action::OtherProviderOnce, Action::OtherProviderOnce),
            (BadRequest, Action::End, Action::Elsewhere),
            (InvalidInput, Action::End, Action::Elsewhere),
            (NotFound, Action::End, Action::End),
            (Conflict, Action::End, Action::End),
            (Embedding, Action::End, Action::End),
            (Storage, Action::End, Action::End),
            (Cancelled, Action::End, Action::End),
            (Config, Action::End, Action::End),
            (LimitReached, Action::End, Action::End),
        ] {
            let error = Error::new(kind, "");
            assert_eq!(action(&error, false), fresh, "{kind}");
            assert_eq!(action(&error, true), resumed, "{kind}, resumed");
            // The advice that callers read and the action that is taken never contradict each other.
            let advised = match error.retry() {
                Retry::Never => fresh == Action::End,
                Retry::SameTarget => fresh == Action::Again,
                Retry::OtherTarget => !matches!(fresh, Action::End | Action::Again),
            };
            assert!(advised, "{kind}: {:?} and {fresh:?}", error.retry());
        }
    }

    #[test]
    fn advice_of_its_own_is_believed() {
        let of = |kind, retry| action(&Error::new(kind, "").with_retry(retry), false);
        assert_eq!(of(ErrorKind::Transient, Retry::Never), Action::End);
        assert_eq!(of(ErrorKind::Overloaded, Retry::SameTarget), Action::Again);
        assert_eq!(of(ErrorKind::Config, Retry::OtherTarget), Action::Elsewhere);
    }
}
