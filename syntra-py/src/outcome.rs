//! What a call came to, as it crosses: JSON, or the fields of an answer.

use crate::engine::raise;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use std::fmt;
use std::sync::Arc;
use syntra_core::bridge::{error_json, event_json, trace_json};
use syntra_core::{Answer, Error, Event, Message, Trace};

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A result as JSON.
    Json(String),
    /// Events that are ready; `None` for the end of a stream.
    Events(Option<Vec<Event>>),
    /// A turn's answer.
    Answer(Box<Answer>),
    /// An error as JSON.
    Failed(String),
}

impl Outcome {
    pub(crate) fn failed(error: &Error) -> Self {
        Self::Failed(error_json(error).to_string())
    }

    /// Whether it went well, and the value for Python.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<(bool, Bound<'_, PyAny>)> {
        Ok(match self {
            Self::Json(json) => (true, json.into_bound_py_any(py)?),
            Self::Events(batch) => (true, events(py, batch)?),
            Self::Answer(answer) => (true, row(py, *answer)?.into_any()),
            Self::Failed(json) => (false, json.into_bound_py_any(py)?),
        })
    }
}

/// A list: of each text, which is nearly all of a stream, the words; of any other event its JSON, as bytes.
pub(crate) fn events(py: Python<'_>, batch: Option<Vec<Event>>) -> PyResult<Bound<'_, PyAny>> {
    let Some(batch) = batch else { return Ok(py.None().into_bound(py)) };
    let each = batch.into_iter().map(|event| match event {
        Event::Text { text } => PyString::new(py, &text).into_any(),
        event => PyBytes::new(py, event_json(&event).to_string().as_bytes()).into_any(),
    });
    Ok(PyList::new(py, each.collect::<Vec<_>>())?.into_any())
}

/// What most callers never look at: written as JSON when one does.
#[pyclass(frozen, module = "syntra._native")]
pub(crate) struct Lazy(Unwritten);

enum Unwritten {
    Message(Message),
    Trace(Arc<Trace>),
}

impl fmt::Debug for Lazy {
    /// Without the words of anybody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").finish_non_exhaustive()
    }
}

#[pymethods]
impl Lazy {
    fn json(&self) -> PyResult<String> {
        match &self.0 {
            Unwritten::Message(message) => {
                serde_json::to_string(message).map_err(|e| PyValueError::new_err(e.to_string()))
            }
            Unwritten::Trace(trace) => trace_json(trace).map_err(|e| raise(&e)),
        }
    }
}

/// The fields of `answer` in the order of the dataclass `Answer` of `python/syntra/_types.py`. Lists that have something in them are JSON; a reason to finish that has no name of ours is its word.
pub(crate) fn row(py: Python<'_>, answer: Answer) -> PyResult<Bound<'_, PyTuple>> {
    let usage = &answer.turn.usage;
    let usage = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.provider_cost.map(|cost| cost.nanos()),
        usage.estimated,
    );
    let finish = match serde_json::to_value(&answer.finish) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(value) => value.get("other").and_then(|word| word.as_str()).unwrap_or_default().to_owned(),
        Err(_) => String::new(),
    };
    let listed = |json: serde_json::Result<String>| json.ok().filter(|json| json != "[]");
    let turn = answer.turn;
    PyTuple::new(
        py,
        [
            answer.text.into_bound_py_any(py)?,
            answer.reasoning.into_bound_py_any(py)?,
            listed(serde_json::to_string(&answer.tool_calls)).into_bound_py_any(py)?,
            listed(serde_json::to_string(&answer.citations)).into_bound_py_any(py)?,
            finish.into_bound_py_any(py)?,
            Lazy(Unwritten::Message(answer.message)).into_bound_py_any(py)?,
            turn.message_id.into_bound_py_any(py)?,
            turn.thread_id.into_bound_py_any(py)?,
            turn.turn_id.into_bound_py_any(py)?,
            turn.degraded.into_bound_py_any(py)?,
            turn.cached.into_bound_py_any(py)?,
            usage.into_bound_py_any(py)?,
            turn.elapsed_ms.into_bound_py_any(py)?,
            Lazy(Unwritten::Trace(answer.trace)).into_bound_py_any(py)?,
            turn.provider.into_bound_py_any(py)?,
            turn.model.into_bound_py_any(py)?,
            turn.cost.map(|cost| cost.nanos()).into_bound_py_any(py)?,
            turn.first_token_ms.into_bound_py_any(py)?,
            answer.refusal.into_bound_py_any(py)?,
        ],
    )
}
