//! The sections of a document that a chunk never crosses, and what they are called.

use super::FileKind;

/// A stretch of a text with its heading path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) heading: Option<String>,
}

/// The sections of `text`, in order and without gaps.
pub(super) fn sections(text: &str, kind: FileKind) -> Vec<Section> {
    match kind {
        FileKind::Markdown | FileKind::Html => markdown(text),
        _ => vec![Section { start: 0, end: text.len(), heading: None }],
    }
}

/// Lines with their byte offsets, line breaks included.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    })
}

/// A section begins at each heading outside fenced code; headings without text of their own go with what follows them.
fn markdown(text: &str) -> Vec<Section> {
    let mut out: Vec<Section> = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    let mut current = Section { start: 0, end: 0, heading: None };
    let mut has_body = false;
    // In an unclosed fence nothing would be a heading to the end of the file; that is how Markdown reads it, too.
    for (start, line) in lines(text) {
        if let Some((mark, length)) = fence_mark(line) {
            match fence {
                None => fence = Some((mark, length)),
                Some((open, least)) if open == mark && length >= least && line.trim().chars().all(|c| c == mark) => {
                    fence = None
                }
                Some(_) => {}
            }
        }
        match (fence, heading(line)) {
            (None, Some((level, title))) => {
                if has_body {
                    out.push(Section {
                        end: start,
                        ..std::mem::replace(&mut current, Section { start, end: 0, heading: None })
                    });
                }
                has_body = false;
                path.retain(|(l, _)| *l < level);
                path.push((level, title));
                let names: Vec<&str> = path.iter().map(|(_, title)| title.as_str()).collect();
                current.heading = Some(names.join(" > "));
            }
            _ => has_body |= !line.trim().is_empty(),
        }
    }
    out.push(Section { end: text.len(), ..current });
    out
}

fn fence_mark(line: &str) -> Option<(char, usize)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == mark).count();
    (length >= 3).then_some((mark, length))
}

/// The level and text of an ATX heading.
fn heading(line: &str) -> Option<(usize, String)> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let line = line.trim();
    let level = line.bytes().take_while(|b| *b == b'#').count();
    if indent > 3 || !(1..=6).contains(&level) {
        return None;
    }
    let rest = line.get(level..)?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let title: String = rest.trim().trim_end_matches('#').trim_end().chars().take(120).collect();
    (!title.is_empty()).then_some((level, title))
}

/// The first definition in a piece of code, as its title.
pub(super) fn definition(code: &str) -> Option<String> {
    const WORDS: [&str; 22] = [
        "fn",
        "def",
        "class",
        "function",
        "impl",
        "struct",
        "enum",
        "trait",
        "interface",
        "func",
        "type",
        "module",
        "namespace",
        "mod",
        "CREATE",
        "create",
        "macro_rules!",
        "record",
        "object",
        "protocol",
        "component",
        "message",
    ];
    const BEFORE: [&str; 17] = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "async",
        "export",
        "default",
        "public",
        "private",
        "protected",
        "static",
        "abstract",
        "final",
        "const",
        "unsafe",
        "extern",
        "open",
        "override",
    ];
    code.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| BEFORE.contains(word));
        let first = words.next()?;
        let bare = first.split(['<', '(']).next().unwrap_or(first);
        if !WORDS.contains(&bare) || (words.next().is_none() && first == bare) {
            return None;
        }
        let title: String = line.trim().trim_end_matches(['{', ':', '(', ' ']).chars().take(80).collect();
        (!title.is_empty()).then_some(title)
    })
}
