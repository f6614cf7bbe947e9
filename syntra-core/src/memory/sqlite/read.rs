//! What only reads rows.

use super::rows::{COLUMNS, FIND, memory, optional, text};
use super::write::Model;
use crate::chat::Scope;
use crate::error::Result;
use crate::memory::{DocumentChunk, Memory, MemoryStats, MemoryType, Page};
use crate::search::Filter;
use crate::storage::storage;
use crate::storage::values::{count, limit, micros, object};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use std::collections::VecDeque;

pub(super) fn get(connection: &mut Connection, scope: &Scope, ids: &[String]) -> Result<Vec<Memory>> {
    let failed = |e| storage("could not read memories", e);
    let snapshot = connection.transaction().map_err(failed)?;
    let mut memories = Vec::with_capacity(ids.len());
    let mut statement = snapshot.prepare_cached(FIND).map_err(failed)?;
    for id in ids {
        let mut rows = statement.query(params![scope.org(), scope.user(), id]).map_err(failed)?;
        if let Some(row) = rows.next().map_err(failed)? {
            memories.push(memory(row)?.1);
        }
    }
    Ok(memories)
}

/// A listing: those that `filter` lets through, those that held at `at` if it is given.
pub(super) fn list(
    connection: &Connection,
    scope: &Scope,
    filter: &Filter,
    at: Option<Timestamp>,
    page: Page,
) -> Result<Vec<Memory>> {
    let mut sql = format!("SELECT {COLUMNS} FROM memories m WHERE m.org = ? AND m.user = ?");
    let mut values: Vec<Value> = vec![scope.org().to_owned().into(), scope.user().to_owned().into()];
    let mut condition = |clause: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(clause);
            values.push(value);
        }
    };
    if !filter.kinds.is_empty() {
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        // A list in one parameter, so that the statement's text stays the same.
        condition("instr(?, m.kind) > 0", Some(kinds.join(",").into()));
    }
    condition("m.conversation = ?", filter.conversation.clone().map(Into::into));
    condition("m.said_at >= ?", filter.from.map(|t| micros(t).into()));
    condition("m.said_at < ?", filter.to.map(|t| micros(t).into()));
    condition("m.valid_from <= ?", at.map(|t| micros(t).into()));
    condition("(m.valid_to IS NULL OR m.valid_to > ?)", at.map(|t| micros(t).into()));
    sql.push_str(" ORDER BY m.seq LIMIT ? OFFSET ?");
    values.extend([limit(page.limit).into(), limit(page.offset).into()]);
    collect(connection, &sql, params_from_iter(values))
}

/// The chunks of indexed files: all, or those of `folder`.
pub(super) fn chunks(connection: &Connection, scope: &Scope, folder: Option<&str>) -> Result<Vec<DocumentChunk>> {
    let failed = |e| storage("could not list the chunks of files", e);
    let of = if folder.is_some() { "= ?3" } else { "IS NOT ?3" };
    let sql = format!(
        "SELECT m.id, m.conversation, m.metadata FROM memories m INDEXED BY memories_chunks
          WHERE m.org = ?1 AND m.user = ?2 AND m.kind = 'semantic' AND m.source_document IS NOT NULL
            AND json_extract(m.metadata, '$.folder') {of}"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement.query(params![scope.org(), scope.user(), folder]).map_err(failed)?;
    let mut chunks = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        chunks.extend(DocumentChunk::read(text(row, 0)?, optional(row, 1)?, &object(text(row, 2)?)?));
    }
    Ok(chunks)
}

/// What held at some time from `since` to before `until` and led to one of `ids`, with that id; the latest first.
pub(super) fn replaced(
    connection: &mut Connection,
    scope: &Scope,
    ids: &[String],
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<(String, Memory)>> {
    let failed = |e| storage("could not read memories", e);
    let snapshot = connection.transaction().map_err(failed)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM memories m WHERE m.org = ?1 AND m.user = ?2 AND m.superseded_by = ?3 ORDER BY m.seq DESC"
    );
    let mut statement = snapshot.prepare_cached(&sql).map_err(failed)?;
    let mut found = Vec::new();
    for id in ids {
        let mut open = VecDeque::from([id.clone()]);
        while let Some(later) = open.pop_front() {
            let mut rows = statement.query(params![scope.org(), scope.user(), later]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let earlier = memory(row)?.1;
                // What it replaced ended before it began.
                if earlier.valid_from > since {
                    open.push_back(earlier.id.clone());
                }
                let held = earlier.valid_to.is_some_and(|end| end > since && end > earlier.valid_from);
                if held && earlier.valid_from < until {
                    found.push((id.clone(), earlier));
                }
            }
        }
    }
    Ok(found)
}

pub(super) fn missing_vectors(connection: &Connection, scope: &Scope, model: &Model, most: u64) -> Result<Vec<Memory>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memories m WHERE m.org = ?1 AND m.user = ?2 AND m.valid_to IS NULL AND NOT EXISTS (
           SELECT 1 FROM memory_vectors v JOIN embedding_models e USING (model)
            WHERE v.memory = m.seq AND e.name = ?3 AND e.dimensions = ?4)
         ORDER BY m.seq LIMIT ?5"
    );
    collect(connection, &sql, params![scope.org(), scope.user(), model.name, model.dimensions as i64, limit(most)])
}

pub(super) fn stats(connection: &mut Connection, scope: &Scope, model: Option<&Model>) -> Result<MemoryStats> {
    let failed = |e| storage("could not count memories", e);
    let snapshot = connection.transaction().map_err(failed)?;
    let mut stats =
        MemoryStats { by_type: MemoryType::ALL.map(|t| (t.as_str().to_owned(), 0)).into(), ..MemoryStats::default() };
    let mut by_type = snapshot
        .prepare_cached(
            "SELECT kind, valid_to IS NULL, count(*) FROM memories WHERE org = ?1 AND user = ?2 GROUP BY 1, 2",
        )
        .map_err(failed)?;
    let mut rows = by_type.query(params![scope.org(), scope.user()]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let kind: String = row.get(0).map_err(failed)?;
        let number = count(row.get(2).map_err(failed)?)?;
        if !row.get::<_, bool>(1).map_err(failed)? {
            stats.superseded += number;
            continue;
        }
        stats.total += number;
        if let Some((_, of_type)) = stats.by_type.iter_mut().find(|(name, _)| *name == kind) {
            *of_type += number;
        }
    }
    let (name, dimensions) = model.map_or(("", 0), |m| (m.name.as_str(), m.dimensions as i64));
    let (own, any): (i64, i64) = snapshot
        .prepare_cached(
            "SELECT coalesce(sum(own), 0), count(*) FROM (
               SELECT max(e.name = ?3 AND e.dimensions = ?4) AS own
                 FROM memories m JOIN memory_vectors v ON v.memory = m.seq JOIN embedding_models e USING (model)
                WHERE m.org = ?1 AND m.user = ?2 AND m.valid_to IS NULL GROUP BY m.seq)",
        )
        .and_then(|mut s| {
            s.query_row(params![scope.org(), scope.user(), name, dimensions], |row| Ok((row.get(0)?, row.get(1)?)))
        })
        .map_err(failed)?;
    stats.with_vector = count(own)?;
    stats.with_other_vector = count(any - own)?;
    Ok(stats)
}

fn collect(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Memory>> {
    let failed = |e| storage("could not list memories", e);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let mut memories = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        memories.push(memory(row)?.1);
    }
    Ok(memories)
}
