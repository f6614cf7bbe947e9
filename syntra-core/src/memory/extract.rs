//! What a user says of themselves, found by rules: profile facts and standing instructions, without a model.
//!
//! The rules are few and strict on purpose: a wrong fact costs more than a missed one, and what was said is remembered
//! verbatim anyway. Questions, quotations and hypotheticals yield nothing.

use super::MemoryType;
use regex::Regex;
use serde::Serialize;
use std::sync::LazyLock;
use unicode_segmentation::UnicodeSegmentation as _;

/// A fact that a user stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtractedFact {
    /// [`MemoryType::Profile`] or [`MemoryType::Procedural`].
    pub kind: MemoryType,
    /// The fact in the third person: `The user lives in Lisbon.`
    pub text: String,
    /// What the fact is about where a user has only one of it (`name`, `home`, `favourite colour`): a newer one supersedes an
    /// older one. `None` where several may hold (`likes`).
    pub attribute: Option<String>,
    /// The sentence it was read from.
    pub evidence: String,
}

struct Rule {
    pattern: Regex,
    /// `$1`, `$2` are the groups.
    text: &'static str,
    attribute: Option<&'static str>,
    kind: MemoryType,
}

/// A value: up to twelve words that do not cross a clause.
const VALUE: &str = r"([\p{L}\p{N}][^,.;:!?\n]{0,80}?)";
/// Where a value ends: the clause does, or goes on to something else.
const END: &str =
    r"(?:\s+(?:and|but|because|since|so|with|now|these days|right now|at the moment|,)\b.*|[,.;:!\n].*|\s*)$";

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    use MemoryType::{Procedural, Profile};
    let rule = |pattern: String, text, attribute, kind| {
        // The patterns are constants and a test compiles them all; one that did not compile would just not be there.
        Regex::new(&format!("(?i)^{pattern}")).ok().map(|pattern| Rule { pattern, text, attribute, kind })
    };
    let lead = r"(?:(?:hi|hello|hey|well|so|oh|yes|no|by the way|actually|please note that|note that|remember that|remember,?)[,!]?\s+)*";
    [
        rule(format!(r"{lead}(?:my name is|my name's|please call me|call me|you can call me)\s+{VALUE}{END}"), "The user's name is $1.", Some("name"), Profile),
        rule(format!(r"{lead}(?:i (?:now |currently )?live in|i(?:'ve| have)? (?:just |recently )?moved (?:from .+? )?to|i'm based in|i am based in)\s+{VALUE}{END}"), "The user lives in $1.", Some("home"), Profile),
        rule(format!(r"{lead}(?:i'm|i am|i come) (?:originally )?from\s+{VALUE}{END}"), "The user is from $1.", Some("origin"), Profile),
        rule(format!(r"{lead}i (?:now |currently )?work (?:at|for)\s+{VALUE}{END}"), "The user works at $1.", Some("employer"), Profile),
        rule(format!(r"{lead}i (?:now |currently )?work as\s+{VALUE}{END}"), "The user works as $1.", Some("occupation"), Profile),
        rule(format!(r"{lead}my favou?rite ([\p{{L}} ]{{2,30}}?) (?:is|are)\s+{VALUE}{END}"), "The user's favourite $1 is $2.", Some("favourite $1"), Profile),
        rule(format!(r"{lead}my (birthday|age|email|email address|phone number|job|native language|time ?zone) is\s+{VALUE}{END}"), "The user's $1 is $2.", Some("$1"), Profile),
        rule(format!(r"{lead}my (wife|husband|partner|girlfriend|boyfriend|son|daughter|brother|sister|mother|father|mom|dad|dog|cat|boss|best friend)(?:'s name is| is (?:called|named))\s+{VALUE}{END}"), "The user's $1 is called $2.", Some("$1"), Profile),
        rule(format!(r"{lead}i(?:'m| am) (allergic to|vegetarian|vegan)(?:\s+{VALUE})?{END}"), "The user is $1 $2.", None, Profile),
        rule(format!(r"{lead}i (?:really |absolutely |just )?(love|like|enjoy|prefer|hate|dislike|can't stand)\s+{VALUE}{END}"), "The user says: I $1 $2.", None, Profile),
        rule(format!(r"{lead}(?:please )?((?:always|never)\s+\p{{L}}.{{3,160}}?)[.!]?$"), "Standing instruction: $1.", None, Procedural),
        rule(format!(r"{lead}(?:from now on|in future|in the future),?\s+(?:please )?(\p{{L}}.{{3,160}}?)[.!]?$"), "Standing instruction: $1.", None, Procedural),
    ]
    .into_iter()
    .flatten()
    .collect()
});

/// The facts stated in a user's message `text`, in order, at most 10.
///
/// ```
/// use syntra_core::memory::extract_facts;
/// let facts = extract_facts("Hi! My name is Ada. I live in Lisbon and I love tea. Where do you live?");
/// assert_eq!(facts[0].text, "The user's name is Ada.");
/// assert_eq!(facts[1].attribute.as_deref(), Some("home"));
/// assert_eq!(facts[2].text, "The user says: I love tea.");
/// assert_eq!(facts.len(), 3, "a question states nothing");
/// ```
pub fn extract_facts(text: &str) -> Vec<ExtractedFact> {
    let mut facts: Vec<ExtractedFact> = Vec::new();
    // Code and pasted documents are not statements of the user.
    if text.len() > 4_000 || text.contains("```") {
        return facts;
    }
    let sentences = text.split('\n').flat_map(|line| line.split_sentence_bounds()).map(str::trim);
    // A question is no statement in any of its clauses.
    for sentence in sentences.filter(|s| !s.ends_with('?')).flat_map(clauses) {
        if sentence.starts_with(['"', '“', '\'', '>']) || sentence.len() > 300 {
            continue;
        }
        let straight = sentence.replace('’', "'");
        for rule in RULES.iter() {
            let Some(captures) = rule.pattern.captures(&straight) else { continue };
            let fill = |template: &str| {
                let mut out = String::new();
                captures.expand(template, &mut out);
                out.replace(" .", ".").trim().to_owned()
            };
            let fact = ExtractedFact {
                kind: rule.kind,
                text: fill(rule.text),
                attribute: rule.attribute.map(|a| fill(a).to_lowercase()),
                evidence: sentence.to_owned(),
            };
            if !facts.contains(&fact) {
                facts.push(fact);
            }
            break;
        }
        if facts.len() >= 10 {
            break;
        }
    }
    facts
}

/// The statements that a sentence joins: `My name is Ada and I live in Lisbon.` makes two.
fn clauses(sentence: &str) -> Vec<&str> {
    static JOINT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)(?:,\s*|;\s*|,?\s+)(?:and|but)\s+(?:i\b|my\b)").ok());
    let Some(joint) = JOINT.as_ref() else { return vec![sentence] };
    let mut out = Vec::new();
    let mut rest = sentence;
    while let Some(found) = joint.find(rest) {
        // The pronoun belongs to the clause that it begins.
        let pronoun = found.as_str().rfind(char::is_whitespace).map_or(found.end(), |at| found.start() + at + 1);
        out.push(&rest[..found.start()]);
        rest = &rest[pronoun..];
    }
    out.push(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(said: &str) -> Vec<String> {
        extract_facts(said).into_iter().map(|f| f.text).collect()
    }

    #[test]
    fn every_rule_compiles() {
        assert_eq!(RULES.len(), 12);
    }

    #[test]
    fn states_facts_in_the_third_person() {
        for (said, fact) in [
            ("Call me Ishmael.", "The user's name is Ishmael."),
            ("I’ve just moved from Paris to New York, and it is loud.", "The user lives in New York."),
            ("I work at the city hospital.", "The user works at the city hospital."),
            ("I work as a nurse", "The user works as a nurse."),
            ("My favourite colour is dark green!", "The user's favourite colour is dark green."),
            ("my dog is called Rex", "The user's dog is called Rex."),
            ("I'm allergic to peanuts.", "The user is allergic to peanuts."),
            ("I'm vegan.", "The user is vegan."),
            ("I prefer short answers.", "The user says: I prefer short answers."),
            ("Please always answer in French.", "Standing instruction: always answer in French."),
            ("From now on, use metric units.", "Standing instruction: use metric units."),
        ] {
            assert_eq!(texts(said), [fact], "{said}");
        }
    }

    #[test]
    fn joined_statements_are_told_apart() {
        assert_eq!(
            texts("My name is Ada and I live in Lisbon, but my dog is called Rex."),
            ["The user's name is Ada.", "The user lives in Lisbon.", "The user's dog is called Rex."]
        );
        assert!(texts("Do you know that my name is Ada and I live in Lisbon?").is_empty());
    }

    #[test]
    fn leaves_questions_code_and_talk_alone() {
        for said in [
            "Do you think I live in Lisbon?",
            "\"My name is Bond,\" he said.",
            "```\nmy name is code\n```",
            "What a day!",
            "She lives in Rome.",
            "If I lived in Rome I would be happy.",
        ] {
            assert!(texts(said).is_empty(), "{said}: {:?}", texts(said));
        }
    }

    #[test]
    fn single_valued_facts_name_their_attribute() {
        let facts = extract_facts("I live in Oslo. My favourite food is soup. I like rain.");
        let attributes: Vec<_> = facts.iter().map(|f| f.attribute.as_deref()).collect();
        assert_eq!(attributes, [Some("home"), Some("favourite food"), None]);
    }
}
