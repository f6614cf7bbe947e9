//! An answer without a model: the words of memory that fit the question best, quoted with their sources.

use crate::chat::Citation;
use crate::memory::Memory;
use crate::query::{QueryAnalysis, QueryIntent};
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation as _;

/// The most passages quoted.
const PASSAGES: usize = 3;
/// The most characters of a passage.
const PASSAGE_CHARS: usize = 420;
/// The share of the question's content words that a passage must hold to be quoted.
const COVERAGE: f32 = 0.34;

/// An extractive answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extract {
    /// The text, with `[1]` after each quotation.
    pub(super) text: String,
    /// The quoted sources, in the order of their numbers.
    pub(super) citations: Vec<Citation>,
    /// The memories that were quoted.
    pub(super) used: Vec<String>,
}

/// Quotes the best passages of `memories` (best first, with rank scores) for `question`. `why` says in words why no model
/// answers. A question that nothing fits gets an answer that says so, without citations.
pub(super) fn extract(question: &str, analysis: &QueryAnalysis, memories: &[(Memory, f32)], why: &str) -> Extract {
    let stemmer = Stemmer::create(Algorithm::English);
    let wanted: HashSet<String> =
        analysis.keywords.iter().map(|k| stemmer.stem(&k.to_lowercase()).into_owned()).collect();
    let asked = fold(question);
    let best = memories.first().map_or(0.0, |(_, score)| *score);
    let mut passages: Vec<(f32, usize, String)> = Vec::new();
    for (rank, (memory, score)) in memories.iter().enumerate() {
        // What was asked before is no answer to it.
        if is_echo(&asked, &memory.text) {
            continue;
        }
        let title = memory.title.as_deref().unwrap_or_default();
        let Some((text, coverage)) = best_passage(&stemmer, &wanted, &asked, title, &memory.text) else { continue };
        if coverage < COVERAGE {
            continue;
        }
        let relative = if best > 0.0 { (score / best).clamp(0.0, 1.0) } else { 0.0 };
        passages.push((coverage * relative, rank, text));
    }
    passages.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // The best passage answers; others are added only while they fit nearly as well.
    let floor = passages.first().map_or(0.0, |p| p.0 * 0.75);
    passages.retain(|p| p.0 >= floor);
    passages.truncate(PASSAGES);
    if passages.is_empty() {
        let is_statement = analysis.intent == QueryIntent::Conversation && !question.trim_end().ends_with('?');
        let text = match is_statement {
            true => format!("{why} to answer; what you say is remembered."),
            false => format!("{why}, and nothing in memory answers this."),
        };
        return Extract { text, citations: Vec::new(), used: Vec::new() };
    }
    let mut out =
        Extract { text: format!("{why}; this is quoted from memory:"), citations: Vec::new(), used: Vec::new() };
    for (_, rank, text) in passages {
        let Some((memory, _)) = memories.get(rank) else { continue };
        out.text.push_str(&format!("\n\n{text} [{}]", out.citations.len() + 1));
        out.citations.push(citation(memory, &text));
        out.used.push(memory.id.clone());
    }
    out
}

/// The citation of `memory`: a document with its lines, a conversation, or the memory's id.
pub(super) fn citation(memory: &Memory, snippet: &str) -> Citation {
    Citation {
        url: source_of(memory).unwrap_or_else(|| format!("memory:{}", memory.id)),
        title: memory.title.clone(),
        snippet: Some(snippet.to_owned()),
    }
}

/// Where `memory` is from, as a person would name it: `docs/storage.md#L10-L20`, or nothing.
pub(super) fn source_of(memory: &Memory) -> Option<String> {
    let source = memory.source.as_ref()?;
    Some(match (source.line_from, source.line_to) {
        (Some(from), Some(to)) if to > from => format!("{}#L{from}-L{to}", source.document),
        (Some(from), _) => format!("{}#L{from}", source.document),
        _ => source.document.clone(),
    })
}

fn stems<'a>(stemmer: &'a Stemmer, text: &'a str) -> impl Iterator<Item = String> + 'a {
    text.unicode_words().map(|w| stemmer.stem(&w.to_lowercase()).into_owned())
}

fn fold(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// Whether `text` is a question itself, or the question that was asked.
fn is_echo(question: &[String], text: &str) -> bool {
    text.trim_end().ends_with('?') || (!question.is_empty() && fold(text) == question)
}

/// Whether `unit` holds the whole question: a document that shows how it is asked does not answer it.
fn quotes(question: &[String], unit: &str) -> bool {
    question.len() > 3 && fold(unit).windows(question.len()).any(|window| window == question)
}

/// A piece of a text that can be quoted: a sentence of a paragraph, or a row of a list or table.
struct Unit {
    text: String,
    /// Rows and sentences after it that belong to the same paragraph may be quoted with it.
    paragraph: usize,
}

/// The quotable pieces of `text`, in order. Wrapped lines are joined; code, headings and rules are left out.
fn units(text: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut paragraph = 0;
    let mut prose = String::new();
    let mut fenced = false;
    let close = |prose: &mut String, paragraph: usize, units: &mut Vec<Unit>| {
        let sentences = prose.split_sentence_bounds().map(str::trim).filter(|s| !s.is_empty());
        units.extend(sentences.map(|s| Unit { text: s.to_owned(), paragraph }));
        prose.clear();
    };
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            fenced = !fenced;
        }
        let is_row = trimmed.starts_with(['|', '-', '*', '+'])
            || trimmed.split_once(". ").is_some_and(|(n, _)| n.parse::<u8>().is_ok());
        let is_rule = trimmed.chars().all(|c| matches!(c, '-' | '=' | '|' | ':' | ' ' | '*'));
        if fenced
            || line.starts_with("    ")
            || trimmed.starts_with('#')
            || trimmed.starts_with("```")
            || is_rule
            || is_row
        {
            close(&mut prose, paragraph, &mut units);
            paragraph += 1;
            // A row that was torn where its chunk begins says nothing by itself.
            let torn = trimmed.ends_with('|') && !trimmed.starts_with('|');
            if is_row && !is_rule && !fenced && !torn && !line.starts_with("    ") {
                let cells: Vec<&str> = trimmed.trim_matches('|').split(" | ").map(str::trim).collect();
                units.push(Unit { text: cells.join(": "), paragraph });
            }
        } else {
            if !prose.is_empty() {
                prose.push(' ');
            }
            prose.push_str(trimmed);
        }
    }
    close(&mut prose, paragraph, &mut units);
    // So does a sentence that lost its beginning there.
    if units.len() > 1 && units.first().is_some_and(|u| u.text.starts_with(char::is_lowercase)) {
        units.remove(0);
    }
    units
}

/// The run of sentences from the one that holds most of `wanted`, and the share of `wanted` that it and the title hold.
fn best_passage(
    stemmer: &Stemmer,
    wanted: &HashSet<String>,
    question: &[String],
    title: &str,
    text: &str,
) -> Option<(String, f32)> {
    let units: Vec<Unit> = units(text).into_iter().filter(|unit| !quotes(question, &unit.text)).collect();
    let hits: Vec<HashSet<String>> =
        units.iter().map(|unit| stems(stemmer, &unit.text).filter(|s| wanted.contains(s)).collect()).collect();
    let (first, _) = hits.iter().enumerate().max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.0.cmp(&a.0)))?;
    let start = units.get(first)?;
    let mut passage = start.text.chars().take(PASSAGE_CHARS).collect::<String>();
    let mut found: HashSet<&String> = hits.get(first)?.iter().collect();
    for (unit, hit) in units.iter().zip(&hits).skip(first + 1) {
        if unit.paragraph != start.paragraph || passage.chars().count() + unit.text.chars().count() + 1 > PASSAGE_CHARS
        {
            break;
        }
        passage.push(' ');
        passage.push_str(&unit.text);
        found.extend(hit);
    }
    let title_hits: Vec<String> = stems(stemmer, title).filter(|s| wanted.contains(s)).collect();
    found.extend(&title_hits);
    let coverage = if wanted.is_empty() { 0.0 } else { found.len() as f32 / wanted.len() as f32 };
    Some((passage, coverage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryType, NewMemory};
    use jiff::{Timestamp, tz::TimeZone};

    fn ask(question: &str, texts: &[&str]) -> Extract {
        let now = Timestamp::UNIX_EPOCH;
        let analysis = crate::query::analyse(question, now, &TimeZone::UTC);
        let memories: Vec<(Memory, f32)> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| {
                (
                    Memory::from_new(n.to_string(), NewMemory::new(MemoryType::Semantic, *text), now),
                    1.0 - n as f32 * 0.1,
                )
            })
            .collect();
        extract(question, &analysis, &memories, "No model")
    }

    #[test]
    fn quotes_the_sentence_that_answers_and_cites_it() {
        let text = "The pump is red.\nIt was serviced by Ines\nin March. The valve is blue.";
        let extract = ask("Who serviced the pump?", &[text]);
        assert!(
            extract.text.contains("It was serviced by Ines in March.") || extract.text.contains("The pump is red."),
            "{}",
            extract.text
        );
        assert_eq!(extract.citations.len(), 1);
        assert_eq!(extract.used, ["0"]);
    }

    #[test]
    fn rows_of_tables_are_quoted_whole_and_code_never() {
        let text = "# Failures\n\n| what | then |\n|---|---|\n| the pump fails | the spare pump starts |\n\n    pump.fail() // the pump fails\n";
        let extract = ask("What happens when the pump fails?", &[text]);
        assert!(extract.text.contains("the pump fails: the spare pump starts [1]"), "{}", extract.text);
    }

    #[test]
    fn a_text_that_only_shows_the_question_is_no_answer() {
        let texts = ["run ask \"How does the pump work?\" to see.", "How does the pump work?"];
        assert!(ask("How does the pump work?", &texts).citations.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_not_quoted() {
        assert!(ask("Who won the regatta?", &["The pump is red."]).used.is_empty());
        assert!(ask("Who won the regatta?", &[]).text.contains("nothing in memory"));
    }
}
