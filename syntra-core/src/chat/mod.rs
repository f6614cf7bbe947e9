//! The words everybody speaks: messages, requests, responses, events, usage, money, scope.
//!
//! This room imports nothing of ours but [`crate::error`]. A provider dialect turns these words into a server's
//! wire format and back; nothing else in the crate knows a wire format.

mod event;
mod message;
mod money;
mod request;
mod response;
mod scope;
mod usage;

pub use event::{Answered, Event, EventStream, NodeStatus, RecalledItem, Restart, Routed};
pub use message::{
    Citation, Document, DocumentSource, Image, ImageSource, Message, Part, Reasoning, Role, ToolCall, ToolResult,
};
pub use money::NanoDollars;
pub use request::{OutputFormat, ReasoningEffort, Request, Tool, ToolChoice};
pub use response::{FinishReason, Response, ResponseBuilder};
pub use scope::Scope;
pub use usage::Usage;
