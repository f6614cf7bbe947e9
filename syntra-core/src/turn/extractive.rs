//! An answer without a model: the words of memory that fit the question best, quoted with their sources.

use crate::chat::Citation;
use crate::memory::Memory;
use crate::query::QueryAnalysis;
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
    let best = memories.first().map_or(0.0, |(_, score)| *score);
    let mut passages: Vec<(f32, usize, String)> = Vec::new();
    for (rank, (memory, score)) in memories.iter().enumerate() {
        // What was asked before is no answer to it.
        if is_echo(question, &memory.text) {
            continue;
        }
        let title = memory.title.as_deref().unwrap_or_default();
        let Some((text, coverage)) = best_passage(&stemmer, &wanted, title, &memory.text) else { continue };
        if coverage < COVERAGE {
            continue;
        }
        let relative = if best > 0.0 { (score / best).clamp(0.0, 1.0) } else { 0.0 };
        passages.push((coverage + relative, rank, text));
    }
    passages.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // The best passage answers; others are added only while they fit nearly as well.
    let floor = passages.first().map_or(0.0, |p| p.0 * 0.7);
    passages.retain(|p| p.0 >= floor);
    passages.truncate(PASSAGES);
    if passages.is_empty() {
        let text = format!("{why}, and nothing in memory answers this.");
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

fn is_echo(question: &str, text: &str) -> bool {
    let fold = |s: &str| s.unicode_words().map(str::to_lowercase).collect::<Vec<_>>();
    text.trim_end().ends_with('?') || fold(question) == fold(text)
}

/// The run of whole lines or sentences around the one that holds most of `wanted`, and the share of `wanted` that it and
/// the title hold.
fn best_passage(stemmer: &Stemmer, wanted: &HashSet<String>, title: &str, text: &str) -> Option<(String, f32)> {
    let units: Vec<&str> = text
        .split('\n')
        .flat_map(|line| line.split_sentence_bounds())
        .map(str::trim)
        .filter(|unit| !unit.is_empty())
        .collect();
    let hits: Vec<HashSet<String>> =
        units.iter().map(|unit| stems(stemmer, unit).filter(|s| wanted.contains(s)).collect()).collect();
    let (first, _) = hits.iter().enumerate().max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.0.cmp(&a.0)))?;
    let mut passage = units.get(first)?.chars().take(PASSAGE_CHARS).collect::<String>();
    let mut found: HashSet<&String> = hits.get(first)?.iter().collect();
    for (unit, hit) in units.iter().zip(&hits).skip(first + 1) {
        if passage.chars().count() + unit.chars().count() + 1 > PASSAGE_CHARS {
            break;
        }
        passage.push(' ');
        passage.push_str(unit);
        found.extend(hit);
    }
    let title_hits: Vec<String> = stems(stemmer, title).filter(|s| wanted.contains(s)).collect();
    found.extend(&title_hits);
    let coverage = if wanted.is_empty() { 0.0 } else { found.len() as f32 / wanted.len() as f32 };
    Some((passage, coverage))
}
