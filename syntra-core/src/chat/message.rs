//! What is said: messages and their parts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions by the application.
    System,
    /// The person (or program) that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool, answering a tool call of the assistant.
    Tool,
}

/// One message of a conversation: a role and its parts in order.
///
/// ```
/// use syntra_core::{Image, Message, Role};
/// let message = Message::user("What is on this picture?").with_image(Image::url("https://example.com/cat.png"));
/// assert_eq!(message.role, Role::User);
/// assert_eq!(message.text(), "What is on this picture?");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// The speaker's name, where several people share a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image(Image),
    /// A document (a PDF, say) handed to the model as such.
    Document(Document),
    /// The assistant asks for a tool to be called.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
    /// The model's thinking, with what its provider needs to see again on the next turn.
    Reasoning(Reasoning),
}

/// A picture for a vision model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where the pixels are.
    pub source: ImageSource,
    /// How closely the model should look (`low`, `high`, `auto`), where the provider has such a setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where an image's pixels are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageSource {
    /// The file itself; base64 where it is serialised.
    Bytes {
        /// Its MIME type, `image/png` say.
        media_type: String,
        /// The bytes of the file.
        #[serde(with = "base64_bytes")]
        data: Bytes,
    },
    /// An address that the provider fetches.
    Url(String),
}

impl fmt::Debug for ImageSource {
    /// The type and the size, never the pixels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { media_type, data } => write!(f, "Bytes({media_type}, {} bytes)", data.len()),
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
        }
    }
}

impl Image {
    /// A picture that the provider fetches from `url`.
    pub fn url(url: impl Into<String>) -> Self {
        Self { source: ImageSource::Url(url.into()), detail: None }
    }

    /// A picture given as the bytes of its file.
    pub fn bytes(media_type: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self { source: ImageSource::Bytes { media_type: media_type.into(), data: data.into() }, detail: None }
    }
}

/// A document handed to the model as part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its title, for citations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its content.
    pub source: DocumentSource,
}

/// Where a document's content is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DocumentSource {
    /// Plain text.
    Text(String),
    /// The file itself; base64 where it is serialised.
    Bytes {
        /// Its MIME type, `application/pdf` say.
        media_type: String,
        /// The bytes of the file.
        #[serde(with = "base64_bytes")]
        data: Bytes,
    },
    /// An address that the provider fetches.
    Url(String),
}

impl fmt::Debug for DocumentSource {
    /// The kind and the size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes { media_type, data } => write!(f, "Bytes({media_type}, {} bytes)", data.len()),
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
        }
    }
}

/// A call that the model asks the application to make. Tools that the provider runs itself are never shown as these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the conversation; made up by us where the provider has none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, parsed: a JSON object. A JSON string with the model's own text where that is no object, because the token limit
    /// cut it off or the model wrote it wrongly: such a call cannot be made, but the model can be told.
    pub arguments: Value,
    /// An opaque token of the provider (Gemini's `thoughtSignature`) that has to be sent back with the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// What a tool answered to a [`ToolCall`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The id of the call that this answers.
    pub call_id: String,
    /// The tool's name; Gemini matches by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The answer as text (JSON is sent as its text).
    pub content: String,
    /// True when the tool failed and `content` says how.
    #[serde(default)]
    pub is_error: bool,
}

/// A stretch of the model's thinking.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// The thinking, or its summary, in words; empty where the provider hides it.
    pub text: String,
    /// What the provider needs to see again, unchanged, when the conversation goes on: Anthropic's signature or redacted
    /// block, Gemini's `thoughtSignature`, a Responses reasoning item, OpenRouter's `reasoning_details`. The dialect
    /// that wrote it under its own name is the only one to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opaque: Option<Value>,
}

/// A source that an answer leans on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Where it is: a URL, or the id of a memory of ours.
    pub url: String,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The words cited, or a summary of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

impl Message {
    /// A message of `role` with `parts`.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None }
    }

    /// A system message.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, vec![Part::Text { text: text.into() }])
    }

    /// A user's message.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, vec![Part::Text { text: text.into() }])
    }

    /// An assistant's message.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, vec![Part::Text { text: text.into() }])
    }

    /// The message that answers the tool call `call_id` of tool `name`.
    pub fn tool_result(call_id: impl Into<String>, name: impl Into<String>, content: impl Into<String>) -> Self {
        let result =
            ToolResult { call_id: call_id.into(), name: Some(name.into()), content: content.into(), is_error: false };
        Self::new(Role::Tool, vec![Part::ToolResult(result)])
    }

    /// The same message with a picture added.
    pub fn with_image(mut self, image: Image) -> Self {
        self.parts.push(Part::Image(image));
        self
    }

    /// The same message with one more part.
    pub fn with_part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// The text parts, joined; reasoning, tools, pictures and documents are left out.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(|p| if let Part::Text { text } = p { Some(text.as_str()) } else { None }).collect()
    }

    /// The tool calls in this message.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|p| if let Part::ToolCall(call) = p { Some(call) } else { None })
    }

    /// The tool results in this message.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.parts.iter().filter_map(|p| if let Part::ToolResult(result) = p { Some(result) } else { None })
    }

    /// Whether it carries a picture.
    pub fn has_image(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Image(_)))
    }
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(data))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes::from).map_err(de::Error::custom)
    }
}
