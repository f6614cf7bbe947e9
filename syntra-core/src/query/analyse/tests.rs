use super::super::{QueryIntent, Rewrite, rewrite};
use super::*;
use crate::chat::Message;
use crate::memory::MemoryType;
use proptest::prelude::*;

fn at_noon(text: &str) -> crate::query::QueryAnalysis {
    analyse(text, "2023-06-12T12:00:00Z".parse().unwrap(), &TimeZone::UTC)
}

#[test]
fn intents() {
    use QueryIntent::{Command, Conversation, Question, Recall};
    for (text, expected) in [
        ("Do you remember what I said about Lisbon?", Recall),
        ("What did I tell you yesterday?", Recall),
        ("where did we park the car", Recall),
        ("Remind me what the code was", Recall),
        ("¿Qué te dije ayer?", Recall),
        ("Was habe ich gesagt?", Recall),
        ("你记得我的名字吗", Recall),
        ("Remind me to buy milk", Command),
        ("Remember that I like tea.", Command),
        ("Write a poem about spring", Command),
        ("Could you please translate this into German?", Command),
        ("hey, summarize the meeting", Command),
        ("/help", Command),
        ("erkläre mir Quantenphysik", Command),
        ("请帮我翻译", Command),
        ("What is the capital of France?", Question),
        ("is the server running", Question),
        ("tell me who wrote it", Question),
        ("Wo ist der Bahnhof", Question),
        ("où est la gare", Question),
        ("quem é ela", Question),
        ("这是什么", Question),
        ("What a lovely day", Conversation),
        ("I had pasta for lunch.", Conversation),
        ("When I was young I sang", Conversation),
        ("good goal, well done", Conversation),
        ("", Conversation),
    ] {
        assert_eq!(at_noon(text).intent, expected, "{text}");
    }
}

#[test]
fn keywords_are_content_words() {
    for (text, expected) in [
        ("What did I say about the good goat?", vec!["good", "goat"]),
        ("Where did I live in May 2022?", vec!["live", "2022"]),
        ("What's my sister's name?", vec!["sister", "name"]),
        ("was habe ich über die Reise gesagt", vec!["reise"]),
        ("我喜欢的城市是什么", vec!["喜欢", "城市", "什么"]),
        ("hello", vec!["hello"]),
        ("", vec![]),
    ] {
        assert_eq!(at_noon(text).keywords, expected, "{text}");
    }
    let many: String = (0..40).map(|i| format!("word{i} ")).collect();
    assert_eq!(at_noon(&many).keywords.len(), 15);
}

#[test]
fn entities_and_exact_matches() {
    for (text, entities, exact) in [
        ("When did Caroline go to the LGBTQ support group?", vec!["Caroline", "LGBTQ"], vec![]),
        ("Melanie's dog is called Rex", vec!["Melanie", "Rex"], vec![]),
        ("Where is the University of Oslo?", vec!["University of Oslo"], vec![]),
        ("Where is it?", vec![], vec![]),
        ("Paint the fence", vec![], vec![]),
        ("Ask Ada about it", vec!["Ada"], vec![]),
        (
            "mail ada@example.com, see https://example.com/a?b=c.",
            vec!["ada@example.com", "https://example.com/a?b=c"],
            vec!["ada@example.com", "https://example.com/a?b=c"],
        ),
        (
            "ping @grace_h about \"The Art of War\"",
            vec!["@grace_h", "The Art of War"],
            vec!["@grace_h", "The Art of War"],
        ),
        (
            "why does parse_header() call HttpClient::send with 3.14?",
            vec!["parse_header()", "HttpClient::send"],
            vec!["parse_header()", "HttpClient::send", "3.14"],
        ),
        ("is GPT-4o better than README.md says", vec!["GPT-4o", "README.md"], vec!["GPT-4o", "README.md"]),
        ("WHAT IS MY NAME", vec![], vec![]),
        ("I'm sure on Monday in May", vec![], vec![]),
        ("東京でマリアさんに会った", vec!["マリア"], vec![]),
        ("What did J. R. Smith say on 7 May 2023?", vec!["J. R. Smith"], vec![]),
        ("I paid $20 and 1,000 more", vec![], vec!["$20", "1,000"]),
    ] {
        let a = at_noon(text);
        assert_eq!(a.entities, entities, "{text}");
        assert_eq!(a.exact, exact, "{text}");
    }
    let many: String = (0..40).map(|i| format!("saw Name{i} and ")).collect();
    assert_eq!(at_noon(&many).entities.len(), 10);
}

#[test]
fn small_talk_needs_no_memory() {
    for text in [
        "hi",
        "Hello there!",
        "good morning",
        "Thanks a lot!",
        "thank you so much for your help",
        "how are you?",
        "Hey, how's it going?",
        "bye, see you tomorrow",
        "ok cool",
        "👍",
        "",
        "   ",
        "¡Hola! ¿Qué tal?",
        "Guten Morgen",
        "merci beaucoup",
        "bom dia",
        "你好",
        "ありがとうございます",
    ] {
        assert!(!at_noon(text).needs_memory, "{text}");
    }
    for text in [
        "hi, where did I park?",
        "thanks, and what about Rome?",
        "good restaurants",
        "What is my name?",
        "know",
        "Hilfe bei Rust",
        "that was it?",
        "how are you different from Bob?",
        "2+2",
    ] {
        assert!(at_noon(text).needs_memory, "{text}");
    }
}

#[test]
fn now_and_when() {
    for (text, now) in [
        ("What is the latest version?", true),
        ("Where do I live now?", true),
        ("Do I still work at Acme?", true),
        ("Was ist der aktuelle Stand?", true),
        ("现在几点", true),
        ("Do you know Bob?", false),
        ("Is there any snow?", false),
        ("Where did I live in 2020?", false),
    ] {
        assert_eq!(at_noon(text).about_now, now, "{text}");
    }
    for (text, when) in [
        ("When did Caroline go?", true),
        ("Do you know when the train leaves?", true),
        ("since when has he smoked?", true),
        ("What year did we marry?", true),
        ("How long ago was it?", true),
        ("¿Cuándo nos vimos?", true),
        ("Wann war das?", true),
        ("Quand est-ce qu'elle part?", true),
        ("いつ会った？", true),
        ("What did I say when we met?", false),
        ("Remember when we met?", false),
        ("When I was young I sang.", false),
        ("Whenever you like", false),
    ] {
        assert_eq!(at_noon(text).asks_when, when, "{text}");
    }
}

#[test]
fn what_is_asked_for_is_told_by_the_question_word() {
    use crate::query::AnswerKind::{Name, Number};
    for (text, kind) in [
        ("Who came to the party?", Some(Name)),
        ("Where does Ada live?", Some(Name)),
        ("Hi, which book did she like?", Some(Name)),
        ("What is the name of her dog?", Some(Name)),
        ("¿Dónde vive?", Some(Name)),
        ("Wer war das?", Some(Name)),
        ("他住在哪里？", Some(Name)),
        ("How many cats has she?", Some(Number)),
        ("And for how long did they stay?", Some(Number)),
        ("Combien de chats a-t-elle ?", Some(Number)),
        ("有多少只猫？", Some(Number)),
        ("What did she paint?", None),
        ("However many there are", None),
        ("The man who came", None),
    ] {
        assert_eq!(at_noon(text).asks_for, kind, "{text}");
    }
}

#[test]
fn types_are_ordered_never_invented() {
    assert_eq!(at_noon("What is my name?").memory_types.first(), Some(&MemoryType::Profile));
    assert_eq!(at_noon("What did we talk about?").memory_types.first(), Some(&MemoryType::Episodic));
    assert_eq!(at_noon("From now on answer in French").memory_types.first(), Some(&MemoryType::Procedural));
    assert!(at_noon("What is the capital of France?").memory_types.is_empty());
}

proptest! {
    #[test]
    fn anything_can_be_analysed(text in "\\PC{0,200}", seconds in -300_000_000_000i64..250_000_000_000) {
        let now = Timestamp::from_second(seconds).unwrap();
        let a = analyse(&text, now, &TimeZone::UTC);
        prop_assert!(a.keywords.len() <= 15 && a.entities.len() <= 10 && a.exact.len() <= 15);
        if let Some(time) = &a.time {
            prop_assert!(time.from < time.to);
        }
        let _ = rewrite(&text, &[Message::user(text.clone())]);
    }

    /// Words that mean something to the analyser, in any order: the grammar's own corners.
    #[test]
    fn any_sentence_of_known_words_can_be_analysed(
        picks in prop::collection::vec(prop::sample::select(vec![
            "last", "next", "this", "week", "day", "years", "ago", "before", "after", "between", "and", "from", "to", "since", "May",
            "may", "7", "31", "2023", "0", "9999", "1990s", "the", "of", "in", "on", "a", "few", "couple", "Monday", "weekend", "summer",
            "early", "end", "yesterday", "night", "morning", "Christmas", "now", "quarter", "decade", "-", "/", ".", ",", "\"", "'",
            "«", "hace", "vor", "il", "y", "Tagen", "días", "February", "29th", "@", "they", "it", "昨天", "マリア", "さん", "?", "will",
            "hours", "until", "other", "past", "::", "()", "💥", "\n",
        ]), 0..14),
        seconds in -60_000_000_000i64..250_000_000_000,
    ) {
        let text = picks.join(" ");
        let now = Timestamp::from_second(seconds).unwrap();
        let a = analyse(&text, now, &TimeZone::UTC);
        if let Some(time) = &a.time {
            prop_assert!(time.from < time.to, "{text}");
            prop_assert!(text.contains(&time.phrase));
        }
        // Spaces decide nothing but numeric dates and joined marks.
        let _ = analyse(&picks.concat(), now, &TimeZone::UTC);
        if let Rewrite::Ambiguous { options, .. } = rewrite(&text, &[Message::user(text.clone()), Message::assistant("Ada met Bob")]) {
            prop_assert!((2..=3).contains(&options.len()));
        }
    }
}
