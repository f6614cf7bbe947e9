//! A closure as a tool.

use super::{ToolHandler, ToolUse};
use crate::chat::Tool;
use crate::error::Result;
use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

type Function = dyn Fn(ToolUse) -> BoxFuture<'static, Result<String>> + Send + Sync;

/// A tool that is an async closure.
///
/// ```
/// use serde_json::json;
/// use syntra_core::tools::FunctionTool;
/// use syntra_core::Syntra;
/// let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
/// let weather = FunctionTool::new("weather", "The weather in a city now.", schema, |call| async move {
///     Ok(format!("18 °C and sunny in {}", call.arguments["city"].as_str().unwrap_or("?")))
/// });
/// let syntra = Syntra::builder().in_memory().tool(weather).build()?;
/// # Ok::<(), syntra_core::Error>(())
/// ```
pub struct FunctionTool {
    definition: Tool,
    timeout: Duration,
    function: Box<Function>,
}

impl FunctionTool {
    /// The tool `name`, whose arguments follow the JSON schema `parameters`.
    pub fn new<F, R>(name: impl Into<String>, description: impl Into<String>, parameters: Value, function: F) -> Self
    where
        F: Fn(ToolUse) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String>> + Send + 'static,
    {
        Self {
            definition: Tool { name: name.into(), description: description.into(), parameters },
            timeout: Duration::from_secs(30),
            function: Box::new(move |call| Box::pin(function(call))),
        }
    }

    /// Sets how long a call may take.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool").field("name", &self.definition.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl ToolHandler for FunctionTool {
    fn definition(&self) -> &Tool {
        &self.definition
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn call(&self, call: ToolUse) -> Result<String> {
        (self.function)(call).await
    }
}
