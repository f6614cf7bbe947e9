//! The history as units that go together: a message, or a tool call with its results.

use crate::chat::{Message, Part, Role};
use crate::context::tokens::count_message;
use crate::context::{ContextInput, Dropped, Section, TokenCounter};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Messages that are kept or left out together.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) messages: Vec<Message>,
    /// Tokens of each message.
    pub(super) each: Vec<usize>,
    /// Tokens of all.
    pub(super) tokens: usize,
    /// A system message of the host's.
    pub(super) system: bool,
    /// The current message answers its tool calls: it goes along whatever it costs.
    pub(super) pinned: bool,
}

impl Unit {
    fn new(messages: Vec<Message>, pinned: bool, counter: &dyn TokenCounter) -> Self {
        let each: Vec<usize> = messages.iter().map(|m| count_message(counter, m)).collect();
        let system = messages.first().is_some_and(|m| m.role == Role::System);
        Self { tokens: each.iter().sum(), each, messages, system, pinned }
    }

    /// Who speaks first.
    pub(super) fn role(&self) -> Role {
        self.messages.first().map_or(Role::System, |m| m.role)
    }

    /// A lone text message cut in the middle to at most `room` tokens, and its tokens.
    pub(super) fn shortened(&self, counter: &dyn TokenCounter, room: usize) -> Option<(Message, usize)> {
        let [message] = self.messages.as_slice() else { return None };
        if self.system || !message.parts.iter().all(|p| matches!(p, Part::Text { .. })) {
            return None;
        }
        let text = message.text();
        let chars: Vec<(usize, char)> = text.char_indices().collect();
        let mut keep = (chars.len() as f64 * room as f64 / self.tokens as f64 * 0.9) as usize;
        for _ in 0..6 {
            let (head, tail) = (keep * 3 / 5, keep - keep * 3 / 5);
            let head_end = chars.get(head).map_or(text.len(), |(at, _)| *at);
            let tail_start = chars.get(chars.len().saturating_sub(tail)).map_or(text.len(), |(at, _)| *at);
            if keep < 16 || head_end >= tail_start {
                return None;
            }
            let (head, tail) = (text.get(..head_end)?, text.get(tail_start..)?);
            let head = head.rsplit_once(char::is_whitespace).map_or(head, |(words, _)| words);
            let tail = tail.split_once(char::is_whitespace).map_or(tail, |(_, words)| words);
            let mut short = Message::new(message.role, vec![Part::Text { text: format!("{head} […] {tail}") }]);
            short.name.clone_from(&message.name);
            let tokens = count_message(counter, &short);
            if tokens <= room {
                return Some((short, tokens));
            }
            keep = keep * 4 / 5;
        }
        None
    }
}

/// The units of the history, oldest first. Orphans of tool calls are dropped, as is the current message where the history ends with it.
pub(super) fn units(input: &ContextInput<'_>, dropped: &mut Vec<Dropped>) -> Result<Vec<Unit>> {
    let counter = input.counter;
    let mut drop = |tokens: usize, reason: &str| {
        dropped.push(Dropped { section: Section::History, memory_id: None, tokens, reason: reason.into() });
    };
    let mut history = input.history;
    if let Some((last, before)) = history.split_last()
        && last == input.current
    {
        drop(count_message(counter, last), "is the current message");
        history = before;
    }

    let mut out = Vec::new();
    let mut i = 0;
    while let Some(message) = history.get(i) {
        i += 1;
        if has_results(message) {
            drop(count_message(counter, message), "tool result without its call");
            continue;
        }
        if message.tool_calls().next().is_none() {
            out.push(Unit::new(vec![message.clone()], false, counter));
            continue;
        }
        let asked: HashSet<&str> = message.tool_calls().map(|call| call.id.as_str()).collect();
        let mut answered: HashSet<&str> = HashSet::new();
        let mut results = Vec::new();
        let start = i;
        while let Some(result) = history.get(i).filter(|m| has_results(m)) {
            i += 1;
            let kept = keep(result, |part| match part {
                Part::ToolResult(r) => asked.contains(r.call_id.as_str()) && answered.insert(&r.call_id),
                _ => true,
            });
            match kept {
                Some(kept) => results.push(kept),
                None => drop(count_message(counter, result), "tool result without its call"),
            }
        }
        // In an agent's loop the current message is the last result.
        let mut pinned = false;
        if i == history.len() {
            for result in input.current.tool_results() {
                pinned |= asked.contains(result.call_id.as_str()) && answered.insert(&result.call_id);
            }
        }
        let all = answered.len() == asked.len();
        let call = keep(message, |part| match part {
            Part::ToolCall(call) => answered.contains(call.id.as_str()),
            _ => true,
        });
        match call {
            Some(call) if all || !answered.is_empty() || says(&call) => {
                let mut messages = vec![call];
                messages.append(&mut results);
                out.push(Unit::new(messages, pinned, counter));
            }
            _ => drop(count_message(counter, message), "tool call without its result"),
        }
        debug_assert!(i >= start);
    }

    let called: HashSet<&str> = out
        .last()
        .into_iter()
        .flat_map(|u| u.messages.iter().flat_map(Message::tool_calls))
        .map(|c| c.id.as_str())
        .collect();
    if let Some(orphan) = input.current.tool_results().find(|r| !called.contains(r.call_id.as_str())) {
        return Err(Error::invalid(format!(
            "the current message answers tool call {:?}, which is not in the last messages of the history: append the assistant's \
             message with that call to the history first",
            orphan.call_id
        )));
    }
    Ok(out)
}

fn has_results(message: &Message) -> bool {
    message.tool_results().next().is_some()
}

/// Whether a message says something besides its tool calls.
fn says(message: &Message) -> bool {
    message.parts.iter().any(|part| match part {
        Part::Text { text } => !text.trim().is_empty(),
        Part::Image(_) | Part::Document(_) => true,
        _ => false,
    })
}

/// `message` with the parts that `wanted` lets through; `None` when only reasoning would be left.
fn keep<'a>(message: &'a Message, mut wanted: impl FnMut(&'a Part) -> bool) -> Option<Message> {
    let parts: Vec<Part> = message.parts.iter().filter(|part| wanted(part)).cloned().collect();
    let some = parts.iter().any(|part| !matches!(part, Part::Reasoning(_)));
    some.then(|| Message { role: message.role, parts, name: message.name.clone() })
}
