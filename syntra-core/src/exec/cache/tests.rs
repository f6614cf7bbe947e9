//! What is kept, for whom, and for how long.

use super::*;
use crate::chat::{Message, Tool, ToolCall};
use crate::error::Phase;
use crate::testing::FakeClock;
use serde_json::json;

fn scope(user: &str) -> Scope {
    Scope::new("acme", user).unwrap()
}

fn request(text: &str) -> Request {
    Request::new("m", vec![Message::system("You are kind."), Message::user(text)])
}

fn set_up(exact: bool, semantic: Option<SemanticCacheOptions>) -> (Arc<FakeClock>, ResponseCache) {
    let clock = Arc::new(FakeClock::default());
    let exact = exact.then(ResponseCacheOptions::default);
    (clock.clone(), ResponseCache::new(exact, semantic, clock).unwrap())
}

fn words(text: &str, reason: FinishReason) -> Vec<Result<Event>> {
    let usage = Usage { output_tokens: Some(7), ..Usage::default() };
    let words = text.split_inclusive(' ').map(|word| Ok(Event::Text { text: word.into() }));
    words.chain([Ok(Event::Usage(usage)), Ok(Event::Finish { reason })]).collect()
}

fn upstream(events: Vec<Result<Event>>) -> EventStream {
    futures::stream::iter(events).boxed()
}

async fn fill(cache: &ResponseCache, place: CachePlace, events: Vec<Result<Event>>) {
    let seen = cache.filling(place, upstream(events.clone())).collect::<Vec<_>>().await;
    assert_eq!(seen.len(), events.len(), "whoever asked first sees all of it");
}

async fn text(hit: Option<(EventStream, CacheHit)>) -> Option<String> {
    let events: Vec<_> = hit?.0.collect().await;
    Some(events.into_iter().filter_map(|e| if let Ok(Event::Text { text }) = e { Some(text) } else { None }).collect())
}

#[tokio::test]
async fn the_same_request_gets_the_answer_again_as_a_stream_that_is_free() {
    let (clock, cache) = set_up(true, None);
    let long = "word ".repeat(400);
    let place = |user: &str, text: &str| cache.place(&scope(user), "p", &request(text), None).unwrap();
    assert!(cache.get(&place("ada", "q")).is_none());
    fill(&cache, place("ada", "q"), words(&long, FinishReason::Stop)).await;
    let (stream, hit) = cache.get(&place("ada", "q")).unwrap();
    let events: Vec<Event> = stream.map(|e| e.unwrap()).collect().await;
    assert_eq!(hit.similarity, None);
    let texts: Vec<&str> =
        events.iter().filter_map(|e| if let Event::Text { text } = e { Some(text.as_str()) } else { None }).collect();
    assert_eq!(texts.concat(), long);
    assert!(texts.len() >= 5, "still a stream");
    assert!(matches!(events.last(), Some(Event::Finish { reason: FinishReason::Stop })));
    let usage: Vec<&Usage> =
        events.iter().filter_map(|e| if let Event::Usage(u) = e { Some(u) } else { None }).collect();
    assert_eq!(usage.iter().map(|u| u.total_tokens()).collect::<Vec<_>>(), [Some(0)]);
    // The same organisation's other user too, but no other organisation, provider or question.
    assert!(cache.get(&place("bob", "q")).is_some());
    assert!(cache.get(&place("ada", "other")).is_none());
    let other = Scope::new("other", "ada").unwrap();
    assert!(cache.get(&cache.place(&other, "p", &request("q"), None).unwrap()).is_none());
    assert!(cache.get(&cache.place(&scope("ada"), "q", &request("q"), None).unwrap()).is_none());
    assert!(cache.get(&cache.place(&scope("ada"), "p", &request("q").with_temperature(0.5), None).unwrap()).is_none());
    clock.advance(Duration::from_secs(299));
    assert!(cache.get(&place("ada", "q")).is_some());
    clock.advance(Duration::from_secs(1));
    assert!(cache.get(&place("ada", "q")).is_none(), "its time is over");
}

#[tokio::test]
async fn only_whole_answers_that_ended_in_good_order_are_kept() {
    let (_, cache) = set_up(true, None);
    let broken = || Err(Error::new(ErrorKind::Connection, "gone").with_phase(Phase::AfterContent));
    let mut cut = words("half an ", FinishReason::Stop);
    cut.truncate(2);
    let mut failed = cut.clone();
    failed.push(broken());
    let huge = "x".repeat(MOST_BYTES + 1);
    for (n, events) in [
        words("cut off", FinishReason::Length),
        words("hm", FinishReason::ContentFilter),
        words("no", FinishReason::Refusal),
        words("wait", FinishReason::Pause),
        words("", FinishReason::Stop),
        words(&huge, FinishReason::Stop),
        cut,
        failed,
        vec![broken()],
    ]
    .into_iter()
    .enumerate()
    {
        let place = cache.place(&scope("ada"), "p", &request(&format!("q{n}")), None).unwrap();
        fill(&cache, place.clone(), events).await;
        assert!(cache.get(&place).is_none(), "{n}");
    }
    let place = cache.place(&scope("ada"), "p", &request("tool"), None).unwrap();
    let call = ToolCall { id: "1".into(), name: "search".into(), arguments: json!({}), signature: None };
    let finish = Event::Finish { reason: FinishReason::ToolCalls };
    fill(&cache, place.clone(), vec![Ok(Event::ToolCall(call)), Ok(finish)]).await;
    assert!(cache.get(&place).is_some());
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_nothing_behind() {
    let (_, cache) = set_up(true, None);
    let place = cache.place(&scope("ada"), "p", &request("q"), None).unwrap();
    let mut stream = cache.filling(place.clone(), upstream(words("one two three", FinishReason::Stop)));
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    assert!(cache.get(&place).is_none());
}

#[tokio::test]
async fn what_belongs_to_a_user_goes_with_the_user_and_never_comes_back() {
    let (_, cache) = set_up(true, Some(SemanticCacheOptions::default()));
    let meaning = Meaning::new("how are you", vec![1.0, 0.0]);
    let place = |user: &str, text: &str| cache.place(&scope(user), "p", &request(text), Some(&meaning)).unwrap();
    fill(&cache, place("ada", "a"), words("for ada", FinishReason::Stop)).await;
    fill(&cache, place("bob", "b"), words("for bob", FinishReason::Stop)).await;
    let on_its_way = cache.filling(place("ada", "late"), upstream(words("late", FinishReason::Stop)));
    cache.erase(&scope("ada"));
    assert!(cache.get(&place("ada", "a")).is_none());
    assert_eq!(text(cache.get(&place("bob", "b"))).await.as_deref(), Some("for bob"));
    on_its_way.collect::<Vec<_>>().await;
    assert!(cache.get(&place("ada", "late")).is_none());
    fill(&cache, place("ada", "new"), words("after", FinishReason::Stop)).await;
    assert!(cache.get(&place("ada", "new")).is_some());
}

#[tokio::test]
async fn bytes_are_bounded() {
    let clock = Arc::new(FakeClock::default());
    let options = ResponseCacheOptions { max_bytes: 50_000, ..ResponseCacheOptions::default() };
    let cache = ResponseCache::new(Some(options), None, clock).unwrap();
    for n in 0..200 {
        let place = cache.place(&scope("ada"), "p", &request(&format!("q{n}")), None).unwrap();
        fill(&cache, place, words(&"x".repeat(2_000), FinishReason::Stop)).await;
    }
    let exact = cache.0.exact.as_ref().unwrap();
    exact.run_pending_tasks();
    assert!(exact.weighted_size() <= 50_000 && exact.entry_count() > 5, "{}", exact.weighted_size());
}

fn near(cosine: f32) -> Vec<f32> {
    vec![cosine, (1.0 - cosine * cosine).sqrt()]
}

#[tokio::test]
async fn a_question_that_means_the_same_gets_the_answer_and_the_nearest_one() {
    let options = SemanticCacheOptions { threshold: 0.9, ..SemanticCacheOptions::default() };
    let (clock, cache) = set_up(false, Some(options));
    let place = |user: &str, text: &str, vector: Vec<f32>| {
        let meaning = Meaning::new(text, vector);
        cache.place(&scope(user), "p", &request(text), Some(&meaning)).unwrap()
    };
    let opening = "when do you open";
    fill(&cache, place("ada", opening, near(1.0)), words("at nine", FinishReason::Stop)).await;
    fill(&cache, place("ada", "what is the time of opening", near(0.95)), words("nine", FinishReason::Stop)).await;
    let hit = cache.get(&place("ada", "what are the opening hours", near(0.99)));
    assert!((hit.as_ref().unwrap().1.similarity.unwrap() - 0.99).abs() < 1e-5);
    assert_eq!(text(hit).await.as_deref(), Some("at nine"));
    assert!(cache.get(&place("ada", "who are you", near(0.4))).is_none(), "too far from both");
    assert!(cache.get(&place("bob", opening, near(1.0))).is_none(), "another user");
    for other in
        ["when do you not open", "when do you open on floor 2", "when do you open in Paris", "when do you \"open\""]
    {
        assert!(cache.get(&place("ada", other, near(1.0))).is_none(), "{other}");
    }
    let other = request(opening).with_temperature(0.1);
    let meaning = Meaning::new(opening, near(1.0));
    assert!(cache.get(&cache.place(&scope("ada"), "p", &other, Some(&meaning)).unwrap()).is_none());
    let mut later = request(opening);
    later.messages.insert(1, Message::user("hello"));
    let later = cache.place(&scope("ada"), "p", &later, Some(&meaning)).unwrap();
    assert!(cache.get(&later).is_none(), "in another conversation it may mean something else");
    clock.advance(Duration::from_secs(300));
    assert!(cache.get(&place("ada", opening, near(1.0))).is_none());
}

#[tokio::test]
async fn nothing_is_answered_by_meaning_where_tools_or_pictures_are() {
    let (_, cache) = set_up(false, Some(SemanticCacheOptions::default()));
    let meaning = Meaning::new("q", vec![1.0]);
    let tool = Tool { name: "t".into(), description: String::new(), parameters: json!({}) };
    let mut result = request("q");
    result.messages.push(Message::assistant("a"));
    for request in [request("q").with_tool(tool), result, Request::new("m", vec![])] {
        let place = cache.place(&scope("ada"), "p", &request, Some(&meaning)).unwrap();
        fill(&cache, place.clone(), words("x", FinishReason::Stop)).await;
        assert!(cache.get(&place).is_none());
    }
}

#[tokio::test]
async fn an_organisation_may_share_and_entries_are_bounded() {
    let options = SemanticCacheOptions { scope: CacheScope::Organisation, max_entries: 3, ..Default::default() };
    let (_, cache) = set_up(false, Some(options));
    let place = |org: &str, user: &str, n: usize| {
        let mut vector = vec![0.0; 8];
        vector[n] = 1.0;
        let scope = Scope::new(org, user).unwrap();
        cache.place(&scope, "p", &request("q"), Some(&Meaning::new("q", vector))).unwrap()
    };
    for n in 0..5 {
        fill(&cache, place("acme", "ada", n), words("x", FinishReason::Stop)).await;
    }
    assert!(cache.get(&place("acme", "ada", 0)).is_none(), "the oldest went");
    assert!(cache.get(&place("acme", "bob", 4)).is_some());
    assert!(cache.get(&place("other", "bob", 4)).is_none());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let new = |exact, semantic| ResponseCache::new(exact, semantic, Arc::new(FakeClock::default()));
    let exact = ResponseCacheOptions::default();
    for wrong in [ResponseCacheOptions { ttl: Duration::ZERO, ..exact }, ResponseCacheOptions { max_bytes: 0, ..exact }]
    {
        assert_eq!(new(Some(wrong), None).unwrap_err().kind(), ErrorKind::Config);
    }
    let semantic = SemanticCacheOptions::default();
    for wrong in [
        SemanticCacheOptions { threshold: 0.0, ..semantic },
        SemanticCacheOptions { threshold: 1.1, ..semantic },
        SemanticCacheOptions { threshold: f32::NAN, ..semantic },
        SemanticCacheOptions { ttl: Duration::ZERO, ..semantic },
        SemanticCacheOptions { max_entries: 0, ..semantic },
        SemanticCacheOptions { max_entries: 1_000_000, ..semantic },
    ] {
        assert_eq!(new(None, Some(wrong)).unwrap_err().kind(), ErrorKind::Config, "{wrong:?}");
    }
}
