//! Rows of the `memories` table.

use crate::chat::Scope;
use crate::error::Result;
use crate::memory::{Memory, MemorySource, MemoryType};
use crate::search::IndexDocument;
use crate::storage::values::{count, micros, object, role, role_name, timestamp, vector};
use crate::storage::{damaged, storage};
use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

/// The columns of a memory in the order that [`memory`] reads.
pub(super) const COLUMNS: &str = "m.seq, m.id, m.kind, m.text, m.title, m.speaker, m.role, m.conversation, m.said_at, \
     m.created_at, m.valid_from, m.valid_to, m.superseded_by, m.source_document, m.line_from, m.line_to, m.reliability, \
     m.access_count, m.last_accessed, m.metadata";

/// The row of an id in a scope.
pub(super) const FIND: &str = "SELECT m.seq, m.id, m.kind, m.text, m.title, m.speaker, m.role, m.conversation, m.said_at, \
     m.created_at, m.valid_from, m.valid_to, m.superseded_by, m.source_document, m.line_from, m.line_to, m.reliability, \
     m.access_count, m.last_accessed, m.metadata FROM memories m WHERE m.org = ?1 AND m.user = ?2 AND m.id = ?3";

/// The columns of an index document, and whether it is valid, in the order that [`document`] reads; joined with `v`, the vectors.
pub(super) const DOCUMENT: &str = "m.id, m.kind, m.text, m.title, m.speaker, m.role, m.conversation, m.said_at, m.created_at, \
     m.reliability, m.access_count, v.vector, m.valid_to IS NULL";

/// A memory and the place of its row.
pub(super) fn memory(row: &Row<'_>) -> Result<(i64, Memory)> {
    let failed = |e| storage("could not read a memory", e);
    let time = |column| -> Result<Option<Timestamp>> {
        row.get::<_, Option<i64>>(column).map_err(failed)?.map(timestamp).transpose()
    };
    let needed = |column| -> Result<Timestamp> { timestamp(row.get(column).map_err(failed)?) };
    let mut source = None;
    if let Some(document) = row.get(13).map_err(failed)? {
        source = Some(MemorySource {
            document,
            line_from: row.get(14).map_err(failed)?,
            line_to: row.get(15).map_err(failed)?,
        });
    }
    let memory = Memory {
        id: row.get(1).map_err(failed)?,
        kind: kind(text(row, 2)?)?,
        text: row.get(3).map_err(failed)?,
        title: row.get(4).map_err(failed)?,
        speaker: row.get(5).map_err(failed)?,
        role: optional(row, 6)?.map(role).transpose()?,
        conversation: row.get(7).map_err(failed)?,
        said_at: needed(8)?,
        created_at: needed(9)?,
        valid_from: needed(10)?,
        valid_to: time(11)?,
        superseded_by: row.get(12).map_err(failed)?,
        source,
        reliability: row.get(16).map_err(failed)?,
        access_count: count(row.get(17).map_err(failed)?)?,
        last_accessed: time(18)?,
        metadata: object(text(row, 19)?)?,
    };
    Ok((row.get(0).map_err(failed)?, memory))
}

/// Hands the index document of a row to `index`, without copying its texts.
pub(super) fn document<T>(
    row: &Row<'_>,
    dimensions: usize,
    index: impl FnOnce(&IndexDocument<'_>, bool) -> Result<T>,
) -> Result<T> {
    let failed = |e| storage("could not read a memory for its index", e);
    let blob = match row.get_ref(11).map_err(failed)? {
        ValueRef::Null => None,
        ValueRef::Blob(blob) => Some(vector(blob, dimensions)?),
        _ => return Err(damaged("a vector that is no blob")),
    };
    let document = IndexDocument {
        id: text(row, 0)?,
        kind: kind(text(row, 1)?)?,
        text: text(row, 2)?,
        title: optional(row, 3)?,
        speaker: optional(row, 4)?,
        role: optional(row, 5)?.map(role).transpose()?,
        conversation: optional(row, 6)?,
        said_at: Some(timestamp(row.get(7).map_err(failed)?)?),
        created_at: timestamp(row.get(8).map_err(failed)?)?,
        reliability: row.get(9).map_err(failed)?,
        access_count: count(row.get(10).map_err(failed)?)?,
        vector: blob.as_deref(),
    };
    index(&document, row.get(12).map_err(failed)?)
}

/// The row of `id`.
pub(super) fn find(connection: &Connection, scope: &Scope, id: &str) -> Result<Option<(i64, Memory)>> {
    let failed = |e| storage("could not read a memory", e);
    let mut statement = connection.prepare_cached(FIND).map_err(failed)?;
    let mut rows = statement.query(params![scope.org(), scope.user(), id]).map_err(failed)?;
    rows.next().map_err(failed)?.map(memory).transpose()
}

/// The valid facts of `attribute`, the one that holds longest first, each with the place of its row.
pub(super) fn facts(connection: &Connection, scope: &Scope, attribute: &str) -> Result<Vec<(i64, Memory)>> {
    let failed = |e| storage("could not read the facts of a user", e);
    let sql = format!(
        "SELECT {COLUMNS} FROM memories m INDEXED BY memories_profile
          WHERE m.org = ?1 AND m.user = ?2 AND m.kind = 'profile' AND m.valid_to IS NULL
            AND json_extract(m.metadata, '$.attribute') = ?3 ORDER BY m.valid_from, m.seq"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement.query(params![scope.org(), scope.user(), attribute]).map_err(failed)?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        facts.push(memory(row)?);
    }
    Ok(facts)
}

/// Writes a new row; its place.
pub(super) fn insert(
    connection: &Connection,
    scope: &Scope,
    memory: &Memory,
    hash: &[u8; 16],
    revision: i64,
) -> Result<i64> {
    let source = memory.source.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO memories (org, user, id, kind, text, title, speaker, role, conversation, said_at, created_at,
               valid_from, source_document, line_from, line_to, reliability, metadata, content_hash, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                scope.org(),
                scope.user(),
                memory.id,
                memory.kind.as_str(),
                memory.text,
                memory.title,
                memory.speaker,
                memory.role.map(role_name),
                memory.conversation,
                micros(memory.said_at),
                micros(memory.created_at),
                micros(memory.valid_from),
                source.map(|s| &s.document),
                source.and_then(|s| s.line_from),
                source.and_then(|s| s.line_to),
                memory.reliability,
                json(memory)?,
                hash,
                revision
            ])
        })
        .map_err(|e| storage("could not write a memory", e))
}

/// Writes what may change of a row.
pub(super) fn rewrite(
    connection: &Connection,
    seq: i64,
    memory: &Memory,
    hash: &[u8; 16],
    revision: i64,
) -> Result<()> {
    let source = memory.source.as_ref();
    connection
        .prepare_cached(
            "UPDATE memories SET text = ?2, title = ?3, source_document = ?4, line_from = ?5, line_to = ?6, reliability = ?7,
               metadata = ?8, content_hash = ?9, revision = ?10 WHERE seq = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                seq,
                memory.text,
                memory.title,
                source.map(|s| &s.document),
                source.and_then(|s| s.line_from),
                source.and_then(|s| s.line_to),
                memory.reliability,
                json(memory)?,
                hash,
                revision
            ])
        })
        .map(|_| ())
        .map_err(|e| storage("could not write a memory", e))
}

fn json(memory: &Memory) -> rusqlite::Result<String> {
    if memory.metadata.is_empty() {
        return Ok("{}".to_owned());
    }
    serde_json::to_string(&memory.metadata).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn kind(name: &str) -> Result<MemoryType> {
    name.parse().map_err(|_| damaged("an unknown type of memory"))
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str> {
    optional(row, column)?.ok_or_else(|| damaged("a missing text"))
}

pub(super) fn optional<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>> {
    let value = row.get_ref(column).map_err(|e| storage("could not read a memory", e))?;
    value.as_str_or_null().map_err(|_| damaged("a value that is no text"))
}
