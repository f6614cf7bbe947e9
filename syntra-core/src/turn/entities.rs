//! What memory knows of whom and what the question names, a line each.

use crate::context::EntityLine;
use crate::search::EntityFact;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;

/// The most characters of a name in a line.
const MOST_NAME: usize = 60;

/// The lines of `facts`. One that a single memory names and nothing beside is left out: that memory says it all.
pub(super) fn lines(facts: &[EntityFact]) -> Vec<EntityLine> {
    let worth = |fact: &&EntityFact| fact.memories > 1 || !fact.related.is_empty();
    facts.iter().filter(worth).map(|fact| EntityLine::new(line(fact)).with_sources(&fact.sources)).collect()
}

fn line(fact: &EntityFact) -> String {
    let mut out = short(&fact.name);
    if !fact.aliases.is_empty() {
        let _ = write!(out, " (also {})", names(&fact.aliases));
    }
    let memories = if fact.memories == 1 { "memory" } else { "memories" };
    let _ = write!(out, ": named in {} {memories}", fact.memories);
    let kinds: Vec<String> = fact.kinds.iter().map(|(kind, count)| format!("{count} {}", words(kind))).collect();
    if !kinds.is_empty() {
        let _ = write!(out, " ({})", kinds.join(", "));
    }
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date().to_string();
    match (fact.first_said_at.map(day), fact.last_said_at.map(day)) {
        (Some(first), Some(last)) if first != last => {
            let _ = write!(out, ", from {first} to {last}");
        }
        (Some(day), _) => {
            let _ = write!(out, ", on {day}");
        }
        _ => {}
    }
    if !fact.related.is_empty() {
        let _ = write!(out, "; together with {}", names(&fact.related));
    }
    out
}

/// A memory type as the headings of the context call it.
fn words(kind: &str) -> &str {
    match kind {
        "profile" => "about the user",
        "semantic" => "in facts and documents",
        "episodic" => "in what was said and done",
        "procedural" => "in standing wishes",
        other => other,
    }
}

fn names(of: &[String]) -> String {
    of.iter().map(|name| short(name)).collect::<Vec<_>>().join(", ")
}

/// A name on one line.
fn short(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_NAME).collect()
}
