//! The default [`ContextBuilder`].

mod render;
mod units;

use super::tokens::{MESSAGE_OVERHEAD, REPLY_OVERHEAD, count_message};
use super::{Budget, Context, ContextBuilder, ContextInput, ContextLine, Dropped, Section};
use crate::chat::{Message, Part, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::MemoryType;
use std::collections::HashSet;
use units::{Unit, units};

/// The most memories a context can hold: labels of three digits cost one token, so that counting a line needs no number yet.
const MOST_LABELS: usize = 999;
/// Messages at the end of the history that are shortened rather than left out.
const SHORTENED: usize = 2;
/// The least room, in tokens, in which a shortened message still says something.
const LEAST_SHORT: usize = 48;

/// Fits memories, history and the question into a [`Budget`].
///
/// - Layout: one system message whose first part is the system text, unchanged (a provider's prompt cache keeps it), and whose second
///   part is the memory block; then the history, newest last; then the current message, once, also when the history already ends
///   with it.
/// - Memory text is data: it stands in a delimited block that says so, a line each numbered `[1]`, `[2]`, …, continuation lines
///   indented, the delimiter escaped, so that no text can pass for a line or for the end of the block.
/// - Each section is filled from its own budget first, best first, smaller items tried where larger do not fit. What all sections
///   leave of the total is then offered in the order of the budget's fields. Neither a section's reach nor the total is exceeded.
/// - A tool call and its results are one unit. A call without its result, or a result without its call, is dropped.
/// - The newest two messages of the history are shortened rather than left out; then comes the summary, then older messages. System
///   messages in the history stay. A history never begins with an assistant's message, which some providers refuse.
/// - Everything given is in [`Context::lines`] or in [`Context::dropped`], with a reason.
///
/// With more budget the choice within a section only gets better in rank: the first item on which two budgets differ is kept
/// by the larger. (A larger budget may keep one large item instead of two small ones after it.)
///
/// ```
/// use syntra_core::context::{Budget, ContextBuilder, ContextInput, DefaultContextBuilder, counter_for};
/// use syntra_core::Message;
/// let history = [Message::user("I moved to Lisbon."), Message::assistant("Lovely!"), Message::user("Where do I live?")];
/// let current = Message::user("Where do I live?");
/// let counter = counter_for("gpt-4o-mini");
/// let context = DefaultContextBuilder::new().build(&ContextInput {
///     system: "You are Syntra.",
///     memories: &[],
///     entities: &[],
///     summary: None,
///     history: &history,
///     current: &current,
///     budget: &Budget::default(),
///     counter: &*counter,
///     now: "2026-01-01T00:00:00Z".parse().unwrap(),
/// })?;
/// let texts: Vec<String> = context.messages.iter().map(Message::text).collect();
/// assert_eq!(texts, ["You are Syntra.", "I moved to Lisbon.", "Lovely!", "Where do I live?"]);
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultContextBuilder(());

impl DefaultContextBuilder {
    /// The builder; it has no settings, everything is in its input.
    pub fn new() -> Self {
        Self(())
    }
}

/// The sections in the order of the budget's fields.
const ORDER: [Section; 6] =
    [Section::Profile, Section::Semantic, Section::Episodic, Section::Procedural, Section::Entities, Section::History];

fn share(budget: &Budget, section: Section) -> usize {
    match section {
        Section::Profile => budget.profile,
        Section::Semantic => budget.semantic,
        Section::Episodic => budget.episodic,
        Section::Procedural => budget.procedural,
        Section::Entities => budget.entities,
        Section::History => budget.history,
        Section::System | Section::Current => 0,
    }
}

/// A line that may come into the memory block.
struct Item {
    section: Section,
    memory_id: Option<String>,
    /// The memories that an entity line is known from.
    sources: Vec<String>,
    /// The line without its label.
    body: String,
    tokens: usize,
    taken: bool,
}

/// A section while it is filled.
struct Shelf {
    section: Section,
    heading: usize,
    items: Vec<Item>,
    used: usize,
}

impl Shelf {
    /// Takes every item, best first, that fits into `room` more tokens; how many tokens that took.
    fn fill(&mut self, room: usize, labels: &mut usize) -> usize {
        let before = self.used;
        for item in self.items.iter_mut().filter(|item| !item.taken) {
            let heading = if self.used == 0 { self.heading } else { 0 };
            let labelled = item.memory_id.is_some();
            if self.used - before + heading + item.tokens > room || (labelled && *labels >= MOST_LABELS) {
                continue;
            }
            item.taken = true;
            *labels += usize::from(labelled);
            self.used += heading + item.tokens;
        }
        self.used - before
    }
}

impl ContextBuilder for DefaultContextBuilder {
    fn build(&self, input: &ContextInput<'_>) -> Result<Context> {
        let counter = input.counter;
        let mut dropped = Vec::new();
        let history = units(input, &mut dropped)?;

        // What has to be there whatever it costs: the system text, the current message, the calls that it answers.
        let remembered = !input.memories.is_empty() || !input.entities.is_empty() || input.summary.is_some();
        let frame = if remembered { counter.count(render::OPENING) + counter.count(render::CLOSING) } else { 0 };
        let system = if input.system.is_empty() { 0 } else { counter.count(input.system) };
        let current = count_message(counter, input.current)
            + history.iter().filter(|unit| unit.pinned).map(|unit| unit.tokens).sum::<usize>();
        let fixed = REPLY_OVERHEAD + MESSAGE_OVERHEAD + system + current;
        let mut room = input.budget.total;
        if let Some(window) = input.budget.window {
            if fixed > window {
                return Err(Error::new(
                    ErrorKind::ContextTooLong,
                    format!(
                        "the system text ({system} tokens) and the current message ({current} tokens) do not fit into the \
                         context window of {window} tokens: shorten them or use a model with a larger window"
                    ),
                ));
            }
            room = room.min(window - fixed).saturating_sub(frame);
        }

        // Its own share to each, then what is left over to whoever has something left to say.
        let mut shelves = shelves(input, &mut dropped);
        let mut labels = 0;
        let mut left = room;
        for shelf in &mut shelves {
            left -= shelf.fill(share(input.budget, shelf.section).min(left), &mut labels);
        }
        let own = pick(&history, input, share(input.budget, Section::History).min(left));
        left -= own.used;
        for shelf in &mut shelves {
            left -= shelf.fill(left, &mut labels);
        }
        let talk = pick(&history, input, own.used + left);
        left = left + own.used - talk.used;
        debug_assert!(left <= room);

        Ok(assemble(input, shelves, history, talk, dropped, (system, current, frame, room)))
    }
}

/// Every memory and entity as a line in its section; what cannot be one is dropped.
fn shelves(input: &ContextInput<'_>, dropped: &mut Vec<Dropped>) -> Vec<Shelf> {
    let counter = input.counter;
    let mut shelves: Vec<Shelf> = ORDER
        .iter()
        .filter(|section| **section != Section::History)
        .map(|&section| Shelf { section, heading: 0, items: Vec::new(), used: 0 })
        .collect();
    let mut put = |item: Item| {
        if let Some(shelf) = shelves.iter_mut().find(|shelf| shelf.section == item.section) {
            // Most questions fill few of the shelves, and counting is what takes time here.
            if shelf.items.is_empty() {
                shelf.heading = counter.count(render::heading(shelf.section));
            }
            shelf.items.push(item);
        }
    };
    let asked = input.current.text();
    let (mut ids, mut texts) = (HashSet::new(), HashSet::new());
    for (memory, _) in input.memories {
        let section = match memory.kind {
            MemoryType::Profile => Section::Profile,
            MemoryType::Semantic => Section::Semantic,
            MemoryType::Episodic => Section::Episodic,
            MemoryType::Procedural => Section::Procedural,
        };
        let text = memory.text.trim();
        let reason = if text.is_empty() {
            Some("empty")
        } else if !ids.insert(memory.id.as_str()) {
            Some("listed twice")
        } else if text == asked.trim() {
            Some("is the current message")
        } else if !texts.insert((section, text)) {
            Some("same text as another")
        } else {
            None
        };
        if let Some(reason) = reason {
            dropped.push(Dropped { section, memory_id: Some(memory.id.clone()), tokens: 0, reason: reason.into() });
            continue;
        }
        let body = render::memory_line(memory);
        let tokens = counter.count(&format!("[888]{body}"));
        put(Item { section, memory_id: Some(memory.id.clone()), sources: Vec::new(), body, tokens, taken: false });
    }
    for line in input.entities {
        let text = line.text.trim();
        if text.is_empty() || !texts.insert((Section::Entities, text)) {
            let reason = if text.is_empty() { "empty" } else { "listed twice" };
            dropped.push(Dropped { section: Section::Entities, memory_id: None, tokens: 0, reason: reason.into() });
            continue;
        }
        let body = render::entity_line(text);
        let (section, tokens, sources) = (Section::Entities, counter.count(&body), line.sources.clone());
        put(Item { section, memory_id: None, sources, tokens, body, taken: false });
    }
    shelves
}

/// What of the history goes along.
#[derive(Default)]
struct Talk {
    /// By unit: taken as it is, or shortened.
    units: Vec<Option<Option<Message>>>,
    summary: Option<(String, usize)>,
    used: usize,
    /// Tokens that a unit has after shortening.
    shortened: Vec<(usize, usize)>,
}

/// Chooses from the history within `room` tokens: system messages, the newest two, the summary, then older ones.
fn pick(units: &[Unit], input: &ContextInput<'_>, room: usize) -> Talk {
    let counter = input.counter;
    let mut talk = Talk { units: vec![None; units.len()], ..Talk::default() };
    for (i, unit) in units.iter().enumerate().filter(|(_, unit)| unit.system && !unit.pinned) {
        if talk.used + unit.tokens <= room {
            talk.used += unit.tokens;
            talk.units[i] = Some(None);
        }
    }
    let newest: Vec<usize> =
        units.iter().enumerate().rev().filter(|(_, unit)| !unit.system && !unit.pinned).map(|(i, _)| i).collect();
    let take = |talk: &mut Talk, i: usize, shorten: bool| {
        let Some(unit) = units.get(i) else { return };
        let left = room - talk.used;
        if unit.tokens <= left {
            talk.used += unit.tokens;
            talk.units[i] = Some(None);
        } else if shorten
            && left >= LEAST_SHORT
            && let Some((message, tokens)) = unit.shortened(counter, left)
        {
            talk.used += tokens;
            talk.units[i] = Some(Some(message));
            talk.shortened.push((i, tokens));
        }
    };
    for &i in newest.iter().take(SHORTENED) {
        take(&mut talk, i, true);
    }
    if let Some(summary) = input.summary.filter(|s| !s.trim().is_empty()) {
        let body = render::summary_lines(summary);
        let tokens = counter.count(render::heading(Section::History)) + counter.count(&body);
        if talk.used + tokens <= room {
            talk.used += tokens;
            talk.summary = Some((body, tokens));
        }
    }
    for &i in newest.iter().skip(SHORTENED) {
        take(&mut talk, i, false);
    }
    // Some providers refuse a conversation that begins with an answer.
    for (i, unit) in units.iter().enumerate() {
        if unit.pinned || (unit.role() == Role::User && talk.units[i].is_some()) {
            break;
        }
        if !unit.system && talk.units[i].take().is_some() {
            let tokens = talk.shortened.iter().find(|(k, _)| *k == i).map_or(unit.tokens, |(_, tokens)| *tokens);
            talk.used -= tokens;
        }
    }
    talk
}

fn assemble(
    input: &ContextInput<'_>,
    shelves: Vec<Shelf>,
    history: Vec<Unit>,
    talk: Talk,
    mut dropped: Vec<Dropped>,
    (system, current, frame, room): (usize, usize, usize, usize),
) -> Context {
    let mut lines = Vec::new();
    let mut tokens: Vec<(Section, usize)> = Vec::new();
    let spent = shelves.iter().map(|shelf| shelf.used).sum::<usize>() + talk.used;
    let no_fit = |tokens: usize| format!("does not fit: {tokens} tokens, {} left", room - spent);

    let mut block = String::new();
    let mut label = 0u32;
    let mut block_lines = Vec::new();
    for shelf in shelves {
        if shelf.used > 0 {
            block.push_str(render::heading(shelf.section));
            tokens.push((shelf.section, shelf.used));
        }
        for item in shelf.items {
            let Item { section, memory_id, sources, body, tokens, taken } = item;
            if !taken {
                dropped.push(Dropped { section, memory_id, tokens, reason: no_fit(tokens) });
                continue;
            }
            let number = memory_id.is_some().then(|| {
                label += 1;
                block.push_str(&format!("[{label}]"));
                label
            });
            block.push_str(&body);
            let text = memory_id.is_none().then(|| render::said(&body));
            block_lines.push(ContextLine {
                label: number,
                memory_id,
                text,
                sources,
                ..ContextLine::new(section, tokens)
            });
        }
    }
    match (&talk.summary, input.summary) {
        (Some((body, tokens)), _) => {
            block.push_str(render::heading(Section::History));
            block.push_str(body);
            let text = Some(render::said(body));
            block_lines.push(ContextLine { text, ..ContextLine::new(Section::History, *tokens) });
        }
        (None, Some(text)) => {
            let (tokens, reason) = match input.counter.count(text) {
                _ if text.trim().is_empty() => (0, "empty".to_owned()),
                tokens => (tokens, no_fit(tokens)),
            };
            dropped.push(Dropped { section: Section::History, memory_id: None, tokens, reason });
        }
        (None, None) => {}
    }

    let mut parts = Vec::new();
    if !input.system.is_empty() {
        parts.push(Part::Text { text: input.system.to_owned() });
    }
    let mut system = system;
    if !block.is_empty() {
        let opening = if parts.is_empty() { render::OPENING.trim_start() } else { render::OPENING };
        parts.push(Part::Text { text: format!("{opening}{block}{}", render::CLOSING) });
        system += frame;
    }
    let mut messages = Vec::new();
    if !parts.is_empty() {
        system += MESSAGE_OVERHEAD;
        messages.push(Message::new(Role::System, parts));
        lines.push(ContextLine::new(Section::System, system));
        tokens.insert(0, (Section::System, system));
    }
    lines.append(&mut block_lines);
    if talk.used > 0 {
        tokens.push((Section::History, talk.used));
    }
    tokens.push((Section::Current, current));

    let mut line = |section: Section, tokens: usize| lines.push(ContextLine::new(section, tokens));
    for (unit, taken) in history.into_iter().zip(talk.units) {
        let section = if unit.pinned { Section::Current } else { Section::History };
        match taken {
            _ if unit.pinned => {}
            None => {
                let reason =
                    if unit.tokens > room - spent { no_fit(unit.tokens) } else { "answers what was left out".into() };
                for &tokens in &unit.each {
                    dropped.push(Dropped { section, memory_id: None, tokens, reason: reason.clone() });
                }
                continue;
            }
            Some(Some(short)) => {
                let tokens = count_message(input.counter, &short);
                let reason = format!("shortened from {} tokens to {tokens}", unit.tokens);
                dropped.push(Dropped { section, memory_id: None, tokens: unit.tokens.saturating_sub(tokens), reason });
                line(section, tokens);
                messages.push(short);
                continue;
            }
            Some(None) => {}
        }
        unit.each.iter().for_each(|&tokens| line(section, tokens));
        messages.extend(unit.messages);
    }
    line(Section::Current, count_message(input.counter, input.current));
    messages.push(input.current.clone());

    let total_tokens = REPLY_OVERHEAD + tokens.iter().map(|(_, n)| n).sum::<usize>();
    let counter = (input.counter.name().to_owned(), input.counter.is_exact());
    Context { messages, lines, dropped, tokens, total_tokens, counter }
}

#[cfg(test)]
mod tests;
