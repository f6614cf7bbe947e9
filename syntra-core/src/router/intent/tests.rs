use super::*;
use crate::chat::{Image, Tool};
use proptest::prelude::*;

fn intent(text: &str) -> Intent {
    classify(text, false, &[]).intent
}

#[test]
fn structure_and_common_words_in_english() {
    use Intent::*;
    for (text, is) in [
        ("hello there", SocialChat),
        ("thanks, that helped a lot!", SocialChat),
        ("how are you doing?", SocialChat),
        ("good", SocialChat),
        ("Who painted the ceiling of the Sistine Chapel?", QaRetrieval),
        ("What is photosynthesis?", QaRetrieval),
        ("explain how a bill becomes law", QaRetrieval),
        ("Why is my borrow checker angry about this struct?", CodingHelp),
        ("```rust\nfn main() {}\n```\nwhat is wrong here?", CodingHelp),
        ("Traceback (most recent call last):\n  File \"a.py\", line 3\nKeyError: 'x'", CodingHelp),
        ("write a function that reverses a string", CodingHelp),
        ("main.rs does not compile", CodingHelp),
        ("Write a short poem about autumn", EditingWriting),
        ("Translate this into French: good morning", EditingWriting),
        ("please proofread the following paragraph", EditingWriting),
        ("What is 17 * 23 + 4?", ReasoningMath),
        ("Solve $x^2 - 5x + 6 = 0$", ReasoningMath),
        (
            "Anna has 3 apples and buys 4 more, then gives half of them to Ben. How many apples does she have left?",
            ReasoningMath,
        ),
        ("what's the weather in Oslo tomorrow", WebSearch),
        ("latest news about the election", WebSearch),
        ("Who is the current prime minister of Japan?", WebSearch),
        ("summarise https://example.com/a for me? what does it say", WebSearch),
        ("I am looking for a black leather wallet under $40", Shopping),
        ("where can I buy cheap running shoes", Shopping),
    ] {
        assert_eq!(intent(text), is, "{text}");
    }
}

#[test]
fn other_languages() {
    use Intent::*;
    for (text, is) in [
        ("Hola, ¿cómo estás?", SocialChat),
        ("Guten Morgen!", SocialChat),
        ("Bonjour, ça va ?", SocialChat),
        ("你好", SocialChat),
        ("こんにちは", SocialChat),
        ("नमस्ते", SocialChat),
        ("¿Quién escribió Don Quijote?", QaRetrieval),
        ("Was ist der Unterschied zwischen Affen und Menschenaffen?", QaRetrieval),
        ("Pourquoi le ciel est-il bleu ?", QaRetrieval),
        ("为什么天空是蓝色的", QaRetrieval),
        ("Escribe un poema sobre el mar", EditingWriting),
        ("Übersetze diesen Satz ins Englische", EditingWriting),
        ("请翻译这句话", EditingWriting),
        ("この文章を要約して", EditingWriting),
        ("Wie ist das Wetter heute in Berlin?", WebSearch),
        ("今天北京天气怎么样", WebSearch),
        ("आज का मौसम कैसा है", WebSearch),
        ("Quais são as últimas notícias de hoje?", WebSearch),
        ("Quiero comprar unos zapatos baratos, talla 42, color negro", Shopping),
        ("如何用python写一个排序算法", CodingHelp),
        ("Löse die Gleichung 3x + 5 = 20", ReasoningMath),
    ] {
        assert_eq!(intent(text), is, "{text}");
    }
}

#[test]
fn what_changes_with_time_is_looked_up_without_being_called_fresh() {
    use Intent::*;
    for (text, is) in [
        ("humidity in mumbai", WebSearch),
        ("is the northern line running", WebSearch),
        ("what movies are on at the odeon", WebSearch),
        ("euro to dollar", WebSearch),
        ("where's the nearest atm", WebSearch),
        ("who won the last match", WebSearch),
        ("is the post office open on saturday", WebSearch),
        // What does not change is knowledge, though its words are those of the weather and of the stock market.
        ("what does humidity mean", QaRetrieval),
        ("what is a stock split", QaRetrieval),
        ("what causes hail", QaRetrieval),
    ] {
        assert_eq!(intent(text), is, "{text}");
    }
}

#[test]
fn few_words_and_long_material() {
    use Intent::*;
    for (text, is) in [
        ("247+389", ReasoningMath),
        ("cordless drill set", Shopping),
        ("blackout curtains 84 inch grey", Shopping),
        ("how to exit vim", CodingHelp),
        ("wie sortiere ich ein array absteigend", CodingHelp),
        ("welche kaffeemaschine ist gut und nicht zu teuer", Shopping),
        (
            "Passage: In 1903 the company had 12 ships, in 1914 it had 47. Nineteen were lost in the war.\n\nQuestion: How \
             were the ships lost?",
            QaRetrieval,
        ),
    ] {
        assert_eq!(intent(text), is, "{text}");
    }
}

#[test]
fn words_match_whole() {
    // The keyword routers of old saw "go" in "good", "now" in "know" and "hi" in "this".
    assert_ne!(intent("Do you know who wrote Faust?"), Intent::WebSearch);
    assert_ne!(intent("Is this history book about Chinese philosophy?"), Intent::SocialChat);
    assert_ne!(intent("Who founded the Javanese kingdom of Majapahit?"), Intent::CodingHelp);
}

#[test]
fn a_picture_is_vision_and_its_text_says_what_for() {
    let guess = classify("Fix the error in this Python code, it throws a TypeError", true, &[]);
    assert_eq!(guess.intent, Intent::Vision);
    assert!(guess.also.contains(&Intent::CodingHelp), "{guess:?}");
    assert!(guess.confidence > 0.5);
    assert_eq!(classify("", true, &[]).intent, Intent::Vision);
}

#[test]
fn a_follow_up_is_understood_from_the_conversation() {
    let coding =
        [Message::user("Write a Python function that sorts a list of dictionaries"), Message::assistant("def f(): …")];
    assert_eq!(classify("why?", false, &coding).intent, Intent::QaRetrieval);
    assert_eq!(classify("explain that", false, &coding).intent, Intent::QaRetrieval);
    assert_eq!(classify("and shorter", false, &coding).intent, Intent::CodingHelp);
    let editing = [
        Message::user("Translate this sentence into German: the cat sleeps"),
        Message::assistant("Die Katze schläft."),
    ];
    assert_eq!(classify("and in French?", false, &editing).intent, Intent::EditingWriting);
    assert_eq!(classify("shorter", false, &editing).intent, Intent::EditingWriting);
    // A new subject is a new subject.
    assert_eq!(classify("What's the weather in Rome tomorrow?", false, &coding).intent, Intent::WebSearch);
    assert_eq!(classify("thank you!", false, &coding).intent, Intent::SocialChat);
}

#[test]
fn needs_follow_from_the_request() {
    let plain = Request::new("m", vec![Message::user("hi")]);
    assert_eq!(needs_of(&plain, Intent::SocialChat), Needs::default());
    assert!(needs_of(&plain, Intent::WebSearch).web_search);
    let tool = Tool { name: "t".into(), description: String::new(), parameters: serde_json::json!({}) };
    let mut request = Request::new(
        "m",
        vec![Message::user("look").with_image(Image::url("https://example.com/a.png")), Message::user("and?")],
    )
    .with_tool(tool)
    .with_json_schema("s", serde_json::json!({}))
    .with_reasoning(ReasoningEffort::High);
    let needs = needs_of(&request, Intent::Vision);
    assert!(needs.vision && needs.tools && needs.json_schema && needs.reasoning && !needs.web_search);
    request.tool_choice = ToolChoice::None;
    request.reasoning = Some(ReasoningEffort::Minimal);
    let needs = needs_of(&request, Intent::Vision);
    assert!(!needs.tools && !needs.reasoning);
}

proptest! {
    #[test]
    fn any_text_has_one_intent_with_a_confidence(text in "\\PC{0,400}", image: bool) {
        let guess = classify(&text, image, &[]);
        prop_assert!(guess.confidence > 0.0 && guess.confidence <= 1.0);
        prop_assert!(!guess.also.contains(&guess.intent) && guess.also.len() <= 2);
        prop_assert_eq!(&guess, &classify(&text, image, &[]));
    }

    #[test]
    fn marks_and_scripts_never_panic(text in "[a-z0-9 `$\\\\{}()\\[\\]<>/=+*^?.!\n'éß你好नमस्तेか\u{20AC}]{0,3000}") {
        classify(&text, false, &[Message::user(text.clone())]);
    }
}
