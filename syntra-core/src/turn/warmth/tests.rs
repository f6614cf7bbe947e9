use super::*;
use crate::chat::{Image, Message};
use crate::testing::FakeClock;

fn model(name: &str) -> Target {
    Target::new("p", name)
}

/// A prompt whose fixed text, memories, earlier messages and question are these.
fn request(system: &str, memories: &str, before: &[&str], question: &str) -> Request {
    let mut messages = vec![Message::system(system)];
    messages[0].parts.push(Part::Text { text: memories.to_owned() });
    messages.extend(before.iter().map(|text| Message::user(*text)));
    messages.push(Message::user(question));
    Request::new("", messages)
}

fn beginnings(request: &Request) -> Beginnings {
    Beginnings::of("acme", request)
}

fn cached(tokens: Option<u64>) -> Usage {
    Usage { cached_input_tokens: tokens, ..Usage::default() }
}

fn set_up() -> (Arc<FakeClock>, Warmth) {
    let clock = Arc::new(FakeClock::default());
    (clock.clone(), Warmth::new(clock))
}

#[test]
fn what_was_sent_before_is_cached_for_five_minutes() {
    let (clock, warmth) = set_up();
    let fixed = "s".repeat(8_000);
    let first = beginnings(&request(&fixed, "m", &[], "q"));
    assert!(warmth.of(&first, 2_000).is_empty());
    warmth.sent(&first, 2_000, &model("a"), &cached(None));
    // The same once more, and then the conversation as it goes on.
    assert_eq!(warmth.of(&first, 2_000), [(model("a"), 2_000)]);
    let second = beginnings(&request(&fixed, "m", &["q", "answer"], &"n".repeat(1_999)));
    let (_, tokens) = warmth.of(&second, 2_500)[0].clone();
    assert!((1_950..2_050).contains(&tokens), "{tokens}");
    // With other memories it is the fixed text alone, with another fixed text nothing; nothing of another organisation either.
    let (_, tokens) = warmth.of(&beginnings(&request(&fixed, "other", &[], "q")), 2_000)[0].clone();
    assert!((1_990..2_000).contains(&tokens), "{tokens}");
    assert!(warmth.of(&beginnings(&request("other", "m", &[], "q")), 2_000).is_empty());
    assert!(warmth.of(&Beginnings::of("umbrella", &request(&fixed, "m", &[], "q")), 2_000).is_empty());
    clock.advance(Duration::from_secs(299));
    assert_eq!(warmth.of(&first, 2_000).len(), 1);
    clock.advance(Duration::from_secs(1));
    assert!(warmth.of(&first, 2_000).is_empty());
}

#[test]
fn short_prompts_are_not_cached_and_pictures_end_what_is() {
    let (_, warmth) = set_up();
    let short = beginnings(&request("s", "m", &[], "q"));
    warmth.sent(&short, 1_000, &model("a"), &cached(None));
    assert!(warmth.of(&short, 1_000).is_empty());
    let mut seen = request(&"s".repeat(8_000), "m", &[], "q");
    seen.messages[1] = Message::user("What is this?").with_image(Image::url("https://example.com/cat.png"));
    seen.messages.push(Message::user("x".repeat(8_000)));
    let seen = beginnings(&seen);
    warmth.sent(&seen, 4_000, &model("a"), &cached(None));
    let (_, tokens) = warmth.of(&seen, 4_000)[0].clone();
    assert!((1_990..2_010).contains(&tokens), "what comes before the picture: {tokens}");
}

#[test]
fn a_provider_that_caches_nothing_is_believed() {
    let (_, warmth) = set_up();
    let prompt = beginnings(&request(&"s".repeat(8_000), "m", &[], "q"));
    let tell = |name: &str, tokens| {
        for _ in 0..40 {
            warmth.sent(&prompt, 8_000, &model(name), &cached(tokens));
        }
    };
    tell("none", Some(0));
    tell("all", Some(8_000));
    tell("silent", None);
    let expected: HashMap<Target, u64> = warmth.of(&prompt, 8_000).into_iter().collect();
    assert!(expected[&model("none")] < 200, "{expected:?}");
    assert_eq!((expected[&model("all")], expected[&model("silent")]), (8_000, 8_000));
}

#[test]
fn what_is_remembered_is_bounded() {
    let (clock, warmth) = set_up();
    for n in 0..3 * BEGINNINGS {
        let prompt = beginnings(&request(&format!("{n} {}", "s".repeat(50)), "m", &[], "q"));
        warmth.sent(&prompt, 2_000, &model(&(n % 40).to_string()), &cached(Some(1)));
        clock.advance(Duration::from_millis(1));
    }
    let same = beginnings(&request(&"s".repeat(50), "m", &[], "q"));
    (0..100).for_each(|n| warmth.sent(&same, 2_000, &model(&n.to_string()), &cached(None)));
    let kept = warmth.lock();
    assert!(kept.sent.len() <= BEGINNINGS && kept.sent.len() > BEGINNINGS / 4, "{}", kept.sent.len());
    assert!(kept.sent.values().all(|models| models.len() <= MODELS));
    drop(kept);
    assert_eq!(warmth.of(&same, 2_000).len(), MODELS);
}
