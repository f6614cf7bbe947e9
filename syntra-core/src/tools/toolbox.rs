//! The tools of an assistant, checked, and their calls run.

use super::{ToolHandler, ToolRun, ToolUse};
use crate::chat::{Scope, Tool, ToolCall, ToolResult};
use crate::error::{Error, ErrorKind, Result};
use futures::future::join_all;
use jsonschema::Validator;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The most characters of a result that a model reads.
const MOST_CHARACTERS: usize = 50_000;
/// The longest name that every provider takes.
const LONGEST_NAME: usize = 64;

/// The tools of an assistant.
#[derive(Debug, Default)]
pub(crate) struct Toolbox(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    handler: Arc<dyn ToolHandler>,
    arguments: Validator,
}

impl Toolbox {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that a provider would refuse or that two tools have, and for a schema that is none.
    pub(crate) fn new(handlers: Vec<Arc<dyn ToolHandler>>) -> Result<Self> {
        let mut names = HashSet::new();
        let mut entries = Vec::with_capacity(handlers.len());
        for handler in handlers {
            let Tool { name, parameters, .. } = handler.definition();
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if name.is_empty() || name.len() > LONGEST_NAME || !plain {
                return Err(Error::invalid(format!(
                    "{name:?} is no name for a tool: use 1 to {LONGEST_NAME} letters, digits, _ and -"
                )));
            }
            if !names.insert(name.clone()) {
                return Err(Error::invalid(format!("there are two tools of the name {name}")));
            }
            if !parameters.is_object() {
                let problem = "are no JSON schema: use an object like {\"type\": \"object\", \"properties\": {}}";
                return Err(Error::invalid(format!("the parameters of the tool {name} {problem}")));
            }
            let arguments = jsonschema::validator_for(parameters)
                .map_err(|e| Error::invalid(format!("the parameters of the tool {name} are no JSON schema: {e}")))?;
            entries.push(Entry { handler, arguments });
        }
        Ok(Self(entries))
    }

    pub(crate) fn definitions(&self) -> impl Iterator<Item = &Tool> {
        self.0.iter().map(|entry| entry.handler.definition())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.definitions().any(|tool| tool.name == name)
    }

    /// Runs `calls` side by side, none longer than `limit`, and says what the model is to read of each, in their order. Those of no tool
    /// of ours are left out.
    pub(crate) async fn run(
        &self,
        calls: &[ToolCall],
        scope: &Scope,
        turn_id: &str,
        limit: Option<Duration>,
    ) -> Vec<(ToolResult, ToolRun)> {
        join_all(calls.iter().filter_map(|call| {
            let entry = self.0.iter().find(|entry| entry.handler.definition().name == call.name)?;
            Some(one(entry, call, scope, turn_id, limit))
        }))
        .await
    }
}

async fn one(
    entry: &Entry,
    call: &ToolCall,
    scope: &Scope,
    turn_id: &str,
    limit: Option<Duration>,
) -> (ToolResult, ToolRun) {
    let begun = Instant::now();
    let limit = limit.map_or(entry.handler.timeout(), |limit| limit.min(entry.handler.timeout()));
    let called = match arguments(entry, call) {
        Err(error) => Err(error),
        Ok(arguments) => {
            let asked =
                ToolUse { arguments, scope: scope.clone(), turn_id: turn_id.to_owned(), call_id: call.id.clone() };
            timeout(limit, entry.handler.call(asked)).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Timeout, format!("it took longer than {limit:?}")).with_code("tool_timeout"))
            })
        }
    };
    let error = called.as_ref().err().map(|error| error.message().to_owned());
    let (content, is_error) = match called {
        Ok(content) => (content, false),
        Err(error) => (format!("The tool failed: {}", error.message()), true),
    };
    let content = cut(content);
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    (
        ToolResult { call_id: call.id.clone(), name: Some(call.name.clone()), content, is_error },
        ToolRun { name: call.name.clone(), call_id: call.id.clone(), elapsed_ms, error },
    )
}

/// The arguments of `call`, if the tool can be called with them. What a model is told of those that are wrong names them.
fn arguments(entry: &Entry, call: &ToolCall) -> Result<serde_json::Map<String, Value>> {
    let problems: Vec<String> = entry
        .arguments
        .iter_errors(&call.arguments)
        .take(3)
        .map(|e| match e.instance_path.as_str() {
            "" => e.to_string(),
            path => format!("{path}: {e}"),
        })
        .collect();
    match call.arguments.as_object() {
        Some(arguments) if problems.is_empty() => Ok(arguments.clone()),
        Some(_) => Err(Error::invalid(format!("wrong arguments: {}", problems.join("; ")))),
        None => Err(Error::invalid("wrong arguments: they are no JSON object")),
    }
}

fn cut(mut content: String) -> String {
    if let Some((at, _)) = content.char_indices().nth(MOST_CHARACTERS) {
        content.truncate(at);
        content.push_str("\n[the rest was cut off]");
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::FunctionTool;
    use serde_json::json;

    fn call(name: &str, arguments: Value) -> ToolCall {
        ToolCall { id: format!("id-{name}"), name: name.into(), arguments, signature: None }
    }

    fn schema() -> Value {
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    }

    fn toolbox() -> Toolbox {
        let double = FunctionTool::new("double", "Twice n.", schema(), |call| async move {
            Ok((call.arguments["n"].as_i64().unwrap_or(0) * 2).to_string())
        });
        let fails = FunctionTool::new("fails", "", json!({}), |_| async { Err(Error::invalid("no such city")) });
        let hangs = FunctionTool::new("hangs", "", json!({}), |_| futures::future::pending());
        let long = FunctionTool::new("long", "", json!({}), |_| async { Ok("ä".repeat(60_000)) });
        Toolbox::new(vec![Arc::new(double), Arc::new(fails), Arc::new(hangs), Arc::new(long)]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_model_reads_of_each_call() {
        let calls = [
            call("double", json!({"n": 21})),
            call("double", json!({"n": "x"})),
            call("double", json!("{\"n\": ")),
            call("fails", json!({})),
            call("hangs", json!({})),
            call("theirs", json!({})),
            call("long", json!({})),
        ];
        let ran = toolbox().run(&calls, &Scope::local(), "t", None).await;
        let read: Vec<(&str, bool)> =
            ran.iter().map(|(result, _)| (result.content.as_str(), result.is_error)).collect();
        assert_eq!(read[0], ("42", false));
        assert!(read[1].0.contains("/n") && read[1].0.contains("integer") && read[1].1, "{read:?}");
        assert!(read[2].1 && read[2].0.contains("no JSON object"));
        assert_eq!(read[3], ("The tool failed: no such city", true));
        assert_eq!(read[4], ("The tool failed: it took longer than 30s", true));
        assert!(read[5].0.ends_with("\n[the rest was cut off]") && read[5].0.chars().count() < 50_100);
        assert_eq!(ran.len(), 6);
        assert_eq!(ran[4].1.elapsed_ms, 30_000);
        // The turn's own end comes first.
        let ran = toolbox().run(&calls[4..5], &Scope::local(), "t", Some(Duration::from_secs(2))).await;
        assert_eq!(ran[0].1.elapsed_ms, 2_000);
    }

    #[test]
    fn what_is_no_tool_is_refused_by_name() {
        let tool = |name: &str, parameters| -> Arc<dyn ToolHandler> {
            Arc::new(FunctionTool::new(name, "", parameters, |_| async { Ok(String::new()) }))
        };
        for (tools, problem) in [
            (vec![tool("a b", json!({}))], "\"a b\""),
            (vec![tool("", json!({}))], "\"\""),
            (vec![tool(&"x".repeat(65), json!({}))], "at most 64".trim_start_matches("at most ")),
            (vec![tool("a", json!({})), tool("a", json!({}))], "two tools of the name a"),
            (vec![tool("a", json!("string"))], "no JSON schema"),
            (vec![tool("a", json!({"type": 7}))], "no JSON schema"),
        ] {
            let error = Toolbox::new(tools).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(problem), "{error}");
        }
    }
}
