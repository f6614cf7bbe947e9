//! The results as a table.

use super::faults::{FaultGroup, faults};
use super::run::{Asked, ChaosRow};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// `rows` (of any number of dialects) as a table in Markdown, one line a fault. Where dialects differ, each result names those that
/// it is of.
pub fn chaos_table(rows: &[ChaosRow]) -> String {
    let mut out = String::new();
    let mut group = None;
    for fault in faults() {
        if group != Some(fault.group) {
            group = Some(fault.group);
            let title = match fault.group {
                FaultGroup::Status => "Status",
                FaultGroup::Header => "Header",
                FaultGroup::Body => "Body",
                FaultGroup::Stream => "Stream",
                FaultGroup::Connection => "Connection",
            };
            let _ = write!(
                out,
                "\n{title}\n\n| fault | the server | `complete` | `stream` | a turn with a fallback |\n|---|---|---|---|---|\n"
            );
        }
        let of = |asked| rows.iter().filter(move |r| r.fault == fault.name && r.asked == asked);
        let cell = |asked, seen: fn(&ChaosRow) -> &str| told(of(asked).map(|r| (r.dialect, seen(r))));
        let (whole, stream) = (cell(Asked::Whole, |r| &r.alone), cell(Asked::Stream, |r| &r.alone));
        let (asked, streamed) = (cell(Asked::Whole, |r| &r.in_turn), cell(Asked::Stream, |r| &r.in_turn));
        let turn = if asked == streamed { asked } else { format!("asked: {asked}; streamed: {streamed}") };
        let _ = writeln!(out, "| `{}` | {} | {whole} | {stream} | {turn} |", fault.name, fault.about);
    }
    out.trim_start().to_owned()
}

/// One result where all dialects agree; else each with the dialects that it is of, the commonest first and without names.
fn told<'a>(seen: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (dialect, words) in seen {
        by.entry(words).or_default().push(dialect);
    }
    let mut results: Vec<(&str, Vec<&str>)> = by.into_iter().collect();
    results.sort_by_key(|(_, dialects)| std::cmp::Reverse(dialects.len()));
    let named = |(at, (words, dialects)): (usize, &(&str, Vec<&str>))| {
        if at == 0 { (*words).to_owned() } else { format!("{}: {words}", dialects.join(", ")) }
    };
    results.iter().enumerate().map(named).collect::<Vec<_>>().join("; ")
}
