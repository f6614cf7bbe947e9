//! A tool that is a function of a host language.

use super::{Host, ask};
use crate::chat::Tool;
use crate::error::Result;
use crate::tools::{ToolHandler, ToolUse};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A tool that is a function of a host language. What it returns is read as text; what is no text as JSON.
#[derive(Clone, Debug)]
pub struct HostTool {
    object: String,
    host: Arc<dyn Host>,
    definition: Tool,
    timeout: Duration,
}

impl HostTool {
    /// The host's object `object`, which may take `timeout` for a call.
    pub fn new(object: impl Into<String>, host: Arc<dyn Host>, definition: Tool, timeout: Duration) -> Self {
        Self { object: object.into(), host, definition, timeout }
    }
}

#[async_trait]
impl ToolHandler for HostTool {
    fn definition(&self) -> &Tool {
        &self.definition
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn call(&self, call: ToolUse) -> Result<String> {
        let argument = json!({
            "arguments": call.arguments, "scope": call.scope, "turn_id": call.turn_id, "call_id": call.call_id,
        });
        Ok(match ask(&self.host, &self.object, "call", &argument).await? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }
}
