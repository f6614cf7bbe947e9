//! A whole answer, and how it is put together from events.

use super::{Citation, Event, Message, Part, Reasoning, Role, ToolCall, Usage};
use serde::{Deserialize, Serialize};

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It was done, or met a stop text.
    Stop,
    /// It met the token limit or the end of its window.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// A filter of the provider stopped it.
    ContentFilter,
    /// It declined to answer.
    Refusal,
    /// It paused a long turn (Anthropic's `pause_turn`): send the conversation back to go on.
    Pause,
    /// The provider's own word, for what has no name here.
    Other(String),
}

/// One model's whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Response {
    /// The provider's id of the answer, where it has one.
    #[serde(default)]
    pub id: Option<String>,
    /// The model that the server says answered.
    #[serde(default)]
    pub model: Option<String>,
    /// The answer as an assistant message, ready to be appended to the conversation.
    pub message: Message,
    /// Why it stopped.
    pub finish: FinishReason,
    /// What it consumed.
    pub usage: Usage,
    /// What it leans on, one per URL.
    #[serde(default)]
    pub citations: Vec<Citation>,
    /// The model's own words when it declined, where the provider tells them apart from text.
    #[serde(default)]
    pub refusal: Option<String>,
}

impl Response {
    /// The answer's text.
    pub fn text(&self) -> String {
        self.message.text()
    }

    /// The thinking, in words.
    pub fn reasoning(&self) -> String {
        self.message
            .parts
            .iter()
            .filter_map(|p| if let Part::Reasoning(r) = p { Some(r.text.as_str()) } else { None })
            .collect()
    }

    /// The calls that the model asks for.
    pub fn tool_calls(&self) -> Vec<&ToolCall> {
        self.message.tool_calls().collect()
    }

    /// The same answer as the events of a stream, ending in [`Event::Finish`].
    pub fn into_events(self) -> Vec<Event> {
        let mut events = vec![Event::Started { id: self.id, model: self.model }];
        for part in self.message.parts {
            match part {
                Part::Text { text } => events.push(Event::Text { text }),
                Part::Reasoning(Reasoning { text, opaque }) => events.push(Event::Reasoning { text, opaque }),
                Part::ToolCall(call) => events.push(Event::ToolCall(call)),
                _ => {}
            }
        }
        if let Some(text) = self.refusal {
            events.push(Event::Refusal { text });
        }
        events.extend(self.citations.into_iter().map(Event::Citation));
        events.push(Event::Usage(self.usage));
        events.push(Event::Finish { reason: self.finish });
        events
    }
}

/// Folds a stream of events into a [`Response`]; the same fold serves every provider, so streaming and non-streaming agree.
#[derive(Clone, Debug, Default)]
pub struct ResponseBuilder {
    id: Option<String>,
    model: Option<String>,
    parts: Vec<Part>,
    usage: Usage,
    citations: Vec<Citation>,
    refusal: Option<String>,
    finish: Option<FinishReason>,
}

impl ResponseBuilder {
    /// Nothing received yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event. Text and reasoning deltas are joined with the part before them; usage is merged, last value wins;
    /// a citation whose URL is known is dropped.
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Started { id, model } => {
                self.id = id.clone().or(self.id.take());
                self.model = model.clone().or(self.model.take());
            }
            Event::Text { text } => match self.parts.last_mut() {
                Some(Part::Text { text: last }) => last.push_str(text),
                _ => self.parts.push(Part::Text { text: text.clone() }),
            },
            Event::Reasoning { text, opaque } => match self.parts.last_mut() {
                // A part that has its opaque token is closed: the next delta begins another.
                Some(Part::Reasoning(last)) if last.opaque.is_none() => {
                    last.text.push_str(text);
                    last.opaque = opaque.clone();
                }
                _ => self.parts.push(Part::Reasoning(Reasoning { text: text.clone(), opaque: opaque.clone() })),
            },
            Event::ToolCall(call) => self.parts.push(Part::ToolCall(call.clone())),
            Event::Refusal { text } => self.refusal.get_or_insert_default().push_str(text),
            Event::Citation(citation) if !self.citations.iter().any(|c| c.url == citation.url) => {
                self.citations.push(citation.clone());
            }
            Event::Usage(usage) => self.usage.merge(usage),
            Event::Finish { reason } => self.finish = Some(reason.clone()),
            Event::Restart(_) => {
                let usage = std::mem::take(&mut self.usage);
                *self = Self { usage, ..Self::default() };
            }
            _ => {}
        }
    }

    /// Whether anything a reader would see has arrived (text, reasoning, a refusal or a tool call).
    pub fn has_content(&self) -> bool {
        !self.parts.is_empty() || self.refusal.is_some()
    }

    /// The text so far.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(|p| if let Part::Text { text } = p { Some(text.as_str()) } else { None }).collect()
    }

    /// What was consumed so far.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Whether [`Event::Finish`] has arrived.
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The answer so far; without a finish event its reason is `Other("unfinished")`.
    pub fn build(self) -> Response {
        Response {
            id: self.id,
            model: self.model,
            message: Message { role: Role::Assistant, parts: self.parts, name: None },
            finish: self.finish.unwrap_or_else(|| FinishReason::Other("unfinished".into())),
            usage: self.usage,
            citations: self.citations,
            refusal: self.refusal,
        }
    }
}
