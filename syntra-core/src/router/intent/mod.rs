//! What is asked for: structure first, then words by class, weighed by hand, then what was learned of these and of the meaning. No model
//! call, no I/O, microseconds.

mod gloss;
mod lexicon;
mod meaning;
mod scan;

use super::{Intent, Needs};
use crate::chat::{Message, OutputFormat, ReasoningEffort, Request, Role, ToolChoice};
use lexicon::Class;
use scan::{Features, scan};
use serde::Serialize;

/// What a question seems to ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IntentGuess {
    /// The likeliest intent.
    pub intent: Intent,
    /// How sure that is, 0 to 1.
    pub confidence: f32,
    /// Other intents that hold beside it, the likelier first: a picture of an error message is vision and coding help.
    pub also: Vec<Intent>,
}

/// Below this confidence a question counts as ambiguous, and the conversation decides where it can.
const AMBIGUOUS: f32 = 0.45;

/// The intent of `text`, a user's current message, given whether it carries a picture and the conversation before it (oldest
/// first, the current message not included).
///
/// What counts is structure (pictures, code, formulae, addresses, numbers and prices, dates, the form of the question, the verb it begins
/// with, its length), then general words by class in eight languages. A follow-up that says little by itself ("and in French?",
/// "shorter") keeps the intent of the user's message before it; after coding help, one that asks why or for an explanation is a
/// question of knowledge.
///
/// ```
/// use syntra_core::router::{Intent, classify};
/// assert_eq!(classify("How do I reverse a list in Python?", false, &[]).intent, Intent::CodingHelp);
/// assert_eq!(classify("What's the weather in Lisbon today?", false, &[]).intent, Intent::WebSearch);
/// assert_eq!(classify("good", false, &[]).intent, Intent::SocialChat);
/// ```
pub fn classify(text: &str, has_image: bool, history: &[Message]) -> IntentGuess {
    let features = scan(text);
    let guess = guess(&features, text, has_image);
    if !has_image
        && let Some(previous) = history.iter().rev().find(|m| m.role == Role::User)
        && is_follow_up(&features, &guess)
    {
        let before = guess_of(previous);
        return follow(guess, &features, &before);
    }
    guess
}

fn guess_of(message: &Message) -> IntentGuess {
    let text = message.text();
    guess(&scan(&text), &text, message.has_image())
}

/// Whether a message says too little to be understood alone.
fn is_follow_up(f: &Features, guess: &IntentGuess) -> bool {
    if f.length > 14 || f.fences > 0 || guess.intent == Intent::SocialChat && guess.confidence > 0.6 {
        return false;
    }
    let points_back = f.leads(Class::FollowUp) || f.has(Class::Pronoun) || f.length <= 3;
    points_back && (guess.confidence < AMBIGUOUS + 0.25 || f.leads(Class::FollowUp) || f.leads(Class::Why))
}

/// The intent of a follow-up after a message of intent `before`.
fn follow(guess: IntentGuess, f: &Features, before: &IntentGuess) -> IntentGuess {
    let intent = match before.intent {
        // An ambiguous follow-up to coding help with "why" or "explain" asks for knowledge, not for code.
        Intent::CodingHelp if f.has(Class::Why) => Intent::QaRetrieval,
        // After small talk, or after a picture that is not sent again, a message stands for itself.
        Intent::SocialChat | Intent::Vision => return guess,
        same => same,
    };
    let mut also: Vec<Intent> = std::iter::once(guess.intent).chain(guess.also).filter(|i| *i != intent).collect();
    also.dedup();
    IntentGuess { intent, confidence: guess.confidence.max(before.confidence * 0.8).min(0.9), also }
}

/// The likeliest of `scores`, and a soft maximum as confidence.
fn likeliest(scores: &[f32; 8]) -> ((Intent, f32), f32) {
    let top = Intent::ALL.iter().zip(scores).fold((Intent::QaRetrieval, f32::MIN), |best, (intent, score)| {
        if *score > best.1 { (*intent, *score) } else { best }
    });
    let mass: f32 = scores.iter().map(|s| ((s - top.1) / TEMPERATURE).exp()).sum();
    (top, 1.0 / mass)
}

fn guess(f: &Features, text: &str, has_image: bool) -> IntentGuess {
    let mut scores = scores(f, has_image);
    if !has_image {
        meaning::add(f, text, &mut scores);
    }
    let (top, confidence) = likeliest(&scores);
    let mut also: Vec<(Intent, f32)> = Intent::ALL
        .iter()
        .zip(scores)
        .filter(|(intent, score)| **intent != top.0 && *score > ALSO_AT_LEAST && *score > top.1 - ALSO_WITHIN)
        .map(|(intent, score)| (*intent, score))
        .collect();
    if has_image {
        // The text beside a picture says what for; the picture itself says nothing about that.
        also = Intent::ALL
            .iter()
            .zip(scores)
            .filter(|(i, s)| **i != top.0 && *s > ALSO_AT_LEAST + 1.0)
            .map(|(i, s)| (*i, s))
            .collect();
    }
    also.sort_by(|a, b| b.1.total_cmp(&a.1));
    also.truncate(2);
    IntentGuess { intent: top.0, confidence, also: also.into_iter().map(|(i, _)| i).collect() }
}

/// Set so that confidence and accuracy agree on rows that nothing was fitted to.
const TEMPERATURE: f32 = 1.25;
const ALSO_AT_LEAST: f32 = 1.5;
const ALSO_WITHIN: f32 = 1.2;

/// A score for each of [`Intent::ALL`].
fn scores(f: &Features, has_image: bool) -> [f32; 8] {
    use Class::*;
    let flag = |b: bool| f32::from(u8::from(b));
    let asks = f.leads(Question) || f.ends_with_question || f.questions > 0 && f.length < 60;
    let long = f.length > 80;
    let writes = f.leads(WriteVerb) || f.leads(TextVerb);
    let wants = f.has(Want) && !writes;

    let code_structure = 2.5 * f.fences.min(2) as f32
        + 0.7 * f.code_marks.min(6) as f32
        + 0.9 * f.identifiers.min(3) as f32
        + 2.2 * f.errors.min(2) as f32
        + 1.6 * f.file_names.min(2) as f32;
    // An article about software is an article.
    let several = f.count(CodeStrong) + f.count(CodeWeak) / 2 >= 3;
    let about = if writes && f.has(TextNoun) && code_structure < 1.5 && !several { 0.45 } else { 1.0 };
    let code_words = about * 2.3 * f.up_to(CodeStrong, 2) + 1.4 * flag(f.leads(CodeVerb)) + 0.6 * f.up_to(CodeVerb, 2);
    // Words that code shares with life count when something else points to code, or when there are several.
    let code_weak = f.up_to(CodeWeak, 6);
    let code_context =
        code_structure > 0.0 || code_words > 0.0 || (f.leads(WriteVerb) || f.leads(CodeVerb)) && code_weak >= 1.0;
    let how_to = flag(f.has(HowTo) && f.has(CodeWeak) && f.length < 25);
    let coding = code_structure
        + code_words
        + 1.4 * how_to
        + 0.6 * how_to * flag(f.count(CodeWeak) > 1)
        + if code_context { 0.55 * code_weak } else { 0.22 * code_weak };
    // What is said in code or in its error messages is no evidence for anything else.
    let in_code = (code_structure / 4.0).min(1.0);

    let word_problem = asks
        && f.length >= 12
        && (f.numbers >= 2 && (f.has(Count) || f.has(MathWeak)) || f.numbers >= 3 && f.sentences >= 2);
    // Long texts are full of figures; they are sums when the text asks something or is short.
    let sums = flag(!long || asks) * (1.0 - in_code);
    let few_sums = asks && f.numbers >= 2 && f.length < 12 && !f.has(FreshStrong) && !f.recent_year;
    let math = 1.1 * f.latex.min(3) as f32
        + 0.8 * f.operators.min(4) as f32 * (1.0 - in_code) * if long && !asks { 0.3 } else { 1.0 }
        + 1.5 * f.up_to(MathStrong, 3) * if long && !asks || writes { 0.4 } else { 1.0 }
        + 0.3 * f.up_to(MathWeak, 5) * sums
        + 1.4 * f.percents.min(1) as f32 * flag(!long && f.has(Question))
        + 0.9 * flag(few_sums)
        + 1.5 * flag(f.numbers >= 4 && f.length < 15 && f.times == 0) * (1.0 - in_code)
        + 1.6 * flag(word_problem)
        + 0.8 * flag(word_problem && f.has(Count))
        + 0.8 * flag(word_problem && f.numbers >= 3)
        + 1.2 * flag(f.operators >= 2 && f.numbers >= 2) * (1.0 - in_code)
        + 0.3 * f.numbers.min(4) as f32 * flag(f.length >= 12) * sums;

    let text_nouns = f.up_to(TextNoun, 5);
    let editing = 2.0 * flag(f.leads(WriteVerb))
        + 3.0 * flag(f.leads(TextVerb))
        + 0.9 * f.up_to(TextVerb, 2)
        + 0.6 * f.up_to(WriteVerb, 3)
        + 0.7 * text_nouns * flag(writes || f.has(WriteVerb))
        + 0.3 * text_nouns
        + 1.6 * flag(wants && f.has(TextNoun) && !f.has(Attribute))
        + 1.0 * flag(long)
        + 1.5 * flag(long && f.has(WriteVerb) && f.has(TextNoun))
        - 0.6 * flag(f.leads(Question) && f.length < 15 && !f.has(TextVerb))
        // What stands at an address has to be fetched before it can be reworded.
        - 2.0 * flag(f.urls > 0 && f.length < 40)
        - 1.4 * (coding / 3.0).min(1.5);

    let present = f.has(Is) || f.has(Have);
    let web = 2.1 * f.up_to(FreshStrong, 2)
        + 0.9 * f.up_to(FreshWeak, 2)
        + 1.0 * flag(f.has(FreshWeak) && asks)
        + 2.5 * f.urls.min(1) as f32
        + 3.0 * flag(f.urls > 0 && f.length < 40)
        + 1.1 * flag(f.recent_year)
        + 1.4 * flag(f.has(Office) && present && asks)
        + 2.6 * flag(f.has(Have) && f.has(Count) && asks && f.length < 20)
        + 1.2 * f.times.min(1) as f32
        - 2.0 * in_code
        - 0.8 * flag(writes)
        - 1.5 * flag(writes && f.has(TextNoun))
        - 0.5 * flag(f.length > 60)
        - 1.2 * flag(f.length < 13 && f.leads(FirstPerson) && !asks)
        - 0.8 * flag(f.has(Class::You) && f.length < 8 && !f.has(FreshStrong));

    let shopping = 2.0 * f.up_to(ShopStrong, 2)
        + 1.0 * flag(wants)
        + 0.7 * f.up_to(Attribute, 4) * flag(wants || f.has(ShopStrong))
        + 0.25 * f.up_to(Attribute, 4)
        + 0.25 * f.up_to(Attribute, 4) * flag(!asks && !long && !writes)
        + 0.9 * f.prices.min(1) as f32 * flag(f.latex == 0)
        + 0.8 * flag(wants && !asks && f.length > 4)
        - 2.0 * in_code
        - 1.2 * flag(word_problem)
        - 0.8 * flag(f.length > 60);

    let short = f.length <= 12;
    // "I had a rough day": somebody tells of himself and asks for nothing.
    let states = short && f.leads(FirstPerson) && !asks && !wants && !writes && f.up_to(Attribute, 1) == 0.0;
    let about_you = f.has(Class::You) && short;
    let social = 2.3 * flag(f.has(Chatter) && f.length <= 4)
        + 2.3 * f.up_to(Social, 2) * if f.length <= 9 { 1.0 } else { 0.4 }
        + 1.7 * flag(about_you)
        + 1.6 * flag(states)
        + 0.8 * flag(f.exclaims && f.length <= 9)
        + 0.9 * f.up_to(Personal, 2) * flag(about_you)
        + 0.5 * f.up_to(Personal, 2) * flag(short)
        + 1.1 * flag(f.length <= 2 && !asks)
        - 1.8 * flag(f.leads(Polite) && !f.has(Social) && !f.has(Personal))
        - 1.5 * flag(f.length > 25)
        - 2.0 * in_code
        - 1.5 * flag(f.has(FreshStrong) && !f.has(Social))
        - 1.2 * flag(f.has(TextVerb) || writes && f.has(TextNoun));

    let qa = 0.9 + 1.2 * flag(f.leads(Question)) + 0.4 * flag(f.ends_with_question) + 0.6 * f.up_to(Knowledge, 2)
        - 0.8 * flag(about_you)
        - 1.3 * flag(f.has(FreshStrong))
        - 1.2 * flag(f.has(CodeStrong))
        - 0.6 * how_to
        - 0.7 * flag(f.has(ShopStrong))
        - 0.9 * flag(f.has(FreshWeak))
        - 0.8 * flag(f.has(Office) && present && asks)
        - 0.8 * f.up_to(MathStrong, 2)
        - 0.5 * f.times.min(1) as f32
        - 0.8 * flag(word_problem)
        - 0.6 * flag(few_sums)
        - 1.0 * in_code
        - 0.7 * flag(f.length > 60);

    let vision = if has_image {
        9.0
    } else {
        1.6 * f.up_to(Picture, 2) * flag(!writes || f.has(Scene)) + 0.7 * f.up_to(Scene, 3) * flag(f.length < 40)
            - 0.6
            - 2.0 * in_code
    };

    [social, qa, coding, editing, math, web, shopping, vision]
}

/// What the model of intents is learned from (`eval intents FILE --learn OUT`): the scores of structure and words by place in [`Intent::ALL`], as
/// logits, and the inputs of the model that are not 0, by place.
pub fn intent_features(text: &str) -> ([f32; 8], Vec<(usize, f32)>) {
    let features = scan(text);
    let mut inputs = Vec::new();
    meaning::inputs(&features, text, |place, x| inputs.push((place, x)));
    (scores(&features, false).map(|score| score / TEMPERATURE), inputs)
}

/// How many inputs of the model there are of each kind: the embedding with a bias, structure and words by class, and words in buckets.
pub const INTENT_INPUTS: [usize; 3] = meaning::PARTS;

/// What `request` requires of a model, beside its window.
///
/// Pictures anywhere in the conversation need a model that sees; a tool list that may not be used needs nothing.
pub fn needs_of(request: &Request, intent: Intent) -> Needs {
    Needs {
        vision: request.has_image(),
        tools: !request.tools.is_empty() && request.tool_choice != ToolChoice::None,
        json_schema: matches!(request.output, OutputFormat::JsonSchema { .. }),
        reasoning: matches!(
            request.reasoning,
            Some(ReasoningEffort::Low | ReasoningEffort::Medium | ReasoningEffort::High)
        ),
        web_search: intent == Intent::WebSearch,
    }
}

/// Output tokens to be expected of an answer to a question of `intent`: rounded medians of chat answers as they are published
/// (a greeting is a line, an answer a few paragraphs, code and letters a page); thinking is not in them.
pub fn predicted_output_tokens(intent: Intent) -> u64 {
    match intent {
        Intent::SocialChat => 60,
        Intent::QaRetrieval => 250,
        Intent::CodingHelp => 600,
        Intent::EditingWriting => 700,
        Intent::ReasoningMath => 500,
        Intent::WebSearch => 350,
        Intent::Shopping => 300,
        Intent::Vision => 250,
    }
}

#[cfg(test)]
mod tests;
