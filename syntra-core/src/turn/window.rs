//! How large a prompt may be: the windows of the models, and what a server says when one was too large.

use super::Turn;
use super::policies::planned;
use crate::context::counter_for;
use crate::router::{Catalogue, RouteQuery, Target};

/// The most tokens of prompt that `target` takes, as the catalogue has it, with room left for the answer; `None` where nobody
/// knows, or where the answer alone would fill it.
pub(super) fn window_of(turn: &Turn, target: &Target, query: &RouteQuery) -> Option<u64> {
    let info = turn.rooms.catalogue.find(&target.provider, &target.model)?;
    let window = info.context_window.map(|window| window.saturating_sub(query.output_tokens));
    [window, info.max_input].into_iter().flatten().min().filter(|tokens| *tokens > 0)
}

/// The most that any of `targets` takes; `None` where one of them takes nobody knows how much, or there is none.
pub(super) fn largest<'a>(
    turn: &Turn,
    targets: impl IntoIterator<Item = &'a Target>,
    query: &RouteQuery,
) -> Option<u64> {
    targets
        .into_iter()
        .map(|target| window_of(turn, target, query))
        .try_fold(0, |most, next| Some(most.max(next?)))
        .filter(|most| *most > 0)
}

/// The least window of `targets`, where all of their tokenizers are known and one.
pub(crate) fn alike(targets: &[Target], catalogue: &Catalogue) -> Option<u64> {
    let counter = |target: &Target| {
        let counter = counter_for(&target.model);
        counter.is_exact().then(|| counter.name().to_owned())
    };
    let first = counter(targets.first()?)?;
    let takes = |target: &Target| {
        let info = catalogue.find(&target.provider, &target.model)?;
        let least = [info.context_window, info.max_input].into_iter().flatten().min();
        least.filter(|_| counter(target).as_ref() == Some(&first))
    };
    targets.iter().map(takes).try_fold(u64::MAX, |least, next| Some(least.min(next?)))
}

/// The model that a plan is likely to begin with. What the prompt will take is not known yet: `tokens` is a guess.
pub(super) async fn likely(turn: &Turn, query: &RouteQuery, tokens: u64) -> Option<Target> {
    let rooms = &turn.rooms;
    if let ([only], None) = (&rooms.targets[..], &query.pinned) {
        return Some(only.clone());
    }
    // Where all count alike and there is plenty of room in each, it makes no difference which.
    if query.pinned.is_none()
        && rooms.alike.is_some_and(|least| (tokens + query.output_tokens).saturating_mul(4) < least)
    {
        return rooms.targets.first().cloned();
    }
    let fleet = rooms.fleet();
    for input_tokens in [tokens, 0] {
        let plan = planned(turn, &RouteQuery { input_tokens, ..query.clone() }, &fleet).await;
        if let Some(first) = plan.ok().and_then(|plan| plan.order.into_iter().next()) {
            return Some(first.target);
        }
    }
    rooms.targets.first().cloned()
}

/// Tokens for a prompt after one of `counted` tokens (by our count; `exact` or estimated) was refused with `message`: what the
/// server says it takes, less `output` for the answer and in our way of counting; half of it where it does not say, or where that
/// would change little.
pub(super) fn smaller(counted: u64, exact: bool, output: u64, message: &str) -> u64 {
    const LIMIT: [&str; 10] = [
        "maximum context length is",
        "maximum context length of",
        "context length is",
        "context length of",
        "context window of",
        "context size",
        "tokens allowed",
        "maximum of",
        "limit of",
        ">",
    ];
    const COUNT: [&str; 7] = [
        "resulted in",
        "you requested",
        "prompt is too long:",
        "token count",
        "prompt contains",
        "the request",
        "request (",
    ];
    let told = |phrases: &[&str]| phrases.iter().find_map(|phrase| number_after(message, phrase));
    let half = counted / 2;
    let Some(limit) = told(&LIMIT) else { return half };
    let theirs = told(&COUNT).filter(|theirs| *theirs > limit);
    let room = limit.saturating_sub(output);
    let room = match theirs {
        Some(theirs) if theirs > counted => u128::from(room) * u128::from(counted) / u128::from(theirs),
        Some(_) => u128::from(room),
        // An estimate is not to be wrong a second time.
        None if exact => u128::from(room),
        None => u128::from(room) * 9 / 10,
    };
    match u64::try_from(room) {
        Ok(room) if room > 0 && room < counted - counted / 20 => room,
        _ => half,
    }
}

/// The number that comes within a few characters after `phrase`; commas between digits are passed over.
fn number_after(text: &str, phrase: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (_, rest) = lower.split_once(phrase)?;
    let at = rest.char_indices().take(16).find(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at)?;
    let digits: String =
        rest.get(at..)?.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|n| *n >= 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_how_much_they_take() {
        for (message, room) in [
            // OpenAI, old and new.
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9900 tokens.",
                7_692 * 9_000 / 9_900,
            ),
            (
                "This model's maximum context length is 4097 tokens. However, you requested 9500 tokens (8500 in the messages, \
                 1000 in the completion).",
                3_597 * 9_000 / 9_500,
            ),
            ("prompt is too long: 9034 tokens > 5,000 maximum", 4_500 * 9_000 / 9_034),
            (
                "The input token count (9100) exceeds the maximum number of tokens allowed (4096).",
                3_596 * 9_000 / 9_100,
            ),
            ("the request exceeds the available context size (2048 tokens), try increasing it", 1_548),
            (
                "request (14773 tokens) exceeds the available context size (2048 tokens), try increasing it",
                1_548 * 9_000 / 14_773,
            ),
            ("the context window is full", 4_500),
            ("", 4_500),
            // What it says would change nothing, or leave nothing.
            ("maximum context length is 100000 tokens", 4_500),
            ("maximum context length is 400 tokens", 4_500),
        ] {
            assert_eq!(smaller(9_000, true, 500, message), room, "{message}");
        }
        assert_eq!(smaller(9_000, false, 500, "available context size (2048 tokens)"), 1_548 * 9 / 10);
    }

    #[test]
    fn which_models_count_alike() {
        let catalogue = Catalogue::builtin();
        let of = |models: &[(&str, &str)]| {
            let targets: Vec<Target> = models.iter().map(|(provider, model)| Target::new(*provider, *model)).collect();
            alike(&targets, &catalogue)
        };
        let window = |model: &str| catalogue.find("openai", model).and_then(|info| info.context_window).unwrap();
        assert_eq!(of(&[("openai", "gpt-4o-mini")]), Some(window("gpt-4o-mini")));
        let least = window("gpt-4o").min(window("gpt-4.1"));
        assert_eq!(of(&[("openai", "gpt-4.1"), ("openai", "gpt-4o")]), Some(least));
        // Another tokenizer, one that nobody knows, a window that nobody knows, nothing at all.
        assert_eq!(of(&[("openai", "gpt-4o"), ("openai", "gpt-4-turbo")]), None);
        assert_eq!(of(&[("openai", "gpt-4o"), ("anthropic", "claude-sonnet-5")]), None);
        assert_eq!(of(&[("openai", "gpt-4o"), ("mine", "gpt-4o")]), None);
        assert_eq!(of(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn it_always_gets_smaller(counted in 2u64..1_000_000, output in 0u64..100_000, exact: bool,
                                  message in "(maximum context length is|context size|>|resulted in|[a-z 0-9,()]{0,9}){0,6}") {
            let room = smaller(counted, exact, output, &message);
            proptest::prop_assert!(room > 0 && room < counted);
        }
    }
}
