//! Tools that run here: functions of the application that a turn calls for the model, and with whose results it asks it again.
//!
//! May use [`crate::chat`] and [`crate::error`]. The corridor calls it; nothing else does.

mod function;
mod toolbox;

pub use function::FunctionTool;
pub(crate) use toolbox::Toolbox;

use crate::chat::{Scope, Tool};
use crate::error::Result;
use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::time::Duration;

/// One call of a tool by a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolUse {
    /// The arguments; they follow the schema of the tool's [`Tool::parameters`].
    pub arguments: Map<String, Value>,
    /// For whom the model asks.
    pub scope: Scope,
    /// The turn.
    pub turn_id: String,
    /// The call's id, unique in the conversation.
    pub call_id: String,
}

/// A function of the application that models may call and that runs here: a turn gives the model what it returns and goes on,
/// until there is an answer. [`FunctionTool`] makes one of a closure. Tools that the application runs itself are
/// [`crate::Ask::tools`].
#[async_trait]
pub trait ToolHandler: Send + Sync + Debug + 'static {
    /// What a model is told of it.
    fn definition(&self) -> &Tool;

    /// How long a call may take. 30 seconds by default.
    fn timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Runs it and returns what the model is to read. Calls of one answer run side by side; dropping the future cancels the call.
    ///
    /// # Errors
    /// Any: the model reads the message, and the turn goes on.
    async fn call(&self, call: ToolUse) -> Result<String>;
}

/// A call of a tool that a turn ran, for the trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolRun {
    /// The tool's name.
    pub name: String,
    /// The call's id.
    pub call_id: String,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Why it failed, if it did; the model was told.
    pub error: Option<String>,
}
