//! How Rust's values are written in columns.

use super::failure::damaged;
use crate::chat::Role;
use crate::error::Result;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Microseconds since 1970, PostgreSQL's precision too; what is finer is cut off.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time as it comes back from the file.
pub(crate) fn stored(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// A time from its column.
pub(crate) fn timestamp(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| damaged(format_args!("time {micros}")))
}

/// A role's name.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// A role from its column.
pub(crate) fn role(name: &str) -> Result<Role> {
    match name {
        "system" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" => Ok(Role::Tool),
        _ => Err(damaged("an unknown role")),
    }
}

/// A JSON object from its column; the empty one, which is by far the most frequent, without parsing.
pub(crate) fn object(json: &str) -> Result<Map<String, Value>> {
    if json == "{}" {
        return Ok(Map::new());
    }
    serde_json::from_str(json).map_err(|_| damaged("metadata that is not a JSON object"))
}

/// A count from its column.
pub(crate) fn count(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| damaged(format_args!("count {value}")))
}

/// A count as SQLite takes it; one that no table can reach stands for all.
pub(crate) fn limit(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A vector as a blob of little-endian 32-bit floats.
pub(crate) fn vector_blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A vector from its blob.
pub(crate) fn vector(blob: &[u8], dimensions: usize) -> Result<Vec<f32>> {
    if blob.len() != dimensions * 4 {
        return Err(damaged(format_args!("a vector of {} bytes where {} are right", blob.len(), dimensions * 4)));
    }
    Ok(blob.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// A fresh id, a UUIDv7: in the order of time, whose clock is the caller's.
pub(crate) fn new_id(now: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds)).to_string()
}

/// Refuses an id that is empty, longer than 512 bytes or holds a control character.
pub(crate) fn check_id(what: &str, id: &str) -> Result<()> {
    if id.is_empty() || id.len() > 512 || id.chars().any(char::is_control) {
        return Err(crate::Error::invalid(format!(
            "a {what} id must be 1 to 512 bytes without control characters, got {} bytes",
            id.len()
        )));
    }
    Ok(())
}
