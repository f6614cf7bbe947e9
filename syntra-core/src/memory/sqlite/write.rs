//! What changes rows. Each function runs inside the writer's transaction, which holds the write lock.

use super::identity::{self, content_hash, unit_vector};
use super::index::{Change, Document, IndexOp};
use super::rows::{find, insert, rewrite};
use crate::chat::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Erased, Memory, MemoryPatch, MemoryType, NewMemory, NewVector, Outcome, Remembered};
use crate::storage::values::{count, micros, new_id, stored, vector, vector_blob};
use crate::storage::{next_change, storage};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashSet;

/// The embedding model whose vectors the store keeps and compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) dimensions: usize,
}

/// A checked item: what the writer's thread need not do.
pub(super) struct Prepared {
    new: NewMemory,
    vector: Option<Vec<f32>>,
    hash: [u8; 16],
}

/// Checks an item and computes what does not need the database.
pub(super) fn prepare(mut new: NewMemory, model: Option<&Model>) -> Result<Prepared> {
    identity::check(&new)?;
    let vector = new.vector.take().map(|v| unit_vector(v, model.map(|m| m.dimensions))).transpose()?;
    let hash = content_hash(&new);
    Ok(Prepared { new, vector, hash })
}

/// One change of one scope.
pub(super) struct Write<'c> {
    connection: &'c Connection,
    scope: &'c Scope,
    model: Option<&'c Model>,
    model_number: Option<i64>,
    now: Timestamp,
    revisions: Option<(i64, i64)>,
    ops: Vec<IndexOp>,
}

impl<'c> Write<'c> {
    pub(super) fn new(connection: &'c Connection, scope: &'c Scope, model: Option<&'c Model>, now: Timestamp) -> Self {
        Self { connection, scope, model, model_number: None, now: stored(now), revisions: None, ops: Vec::new() }
    }

    /// What the indexes have to follow; `None` when nothing was changed.
    pub(super) fn finish(self) -> Option<Change> {
        self.revisions.map(|(previous, revision)| Change { previous, revision, ops: self.ops })
    }

    pub(super) fn remember(&mut self, item: Prepared) -> Result<Remembered> {
        if let Some((seq, there)) = self.duplicate(&item)? {
            let id = there.id.clone();
            self.merge(seq, there, item)?;
            return Ok(Remembered { id, outcome: Outcome::Duplicate });
        }
        let id = self.create(item)?;
        Ok(Remembered { id, outcome: Outcome::Created })
    }

    pub(super) fn supersede(&mut self, old: &str, item: Prepared) -> Result<Remembered> {
        let (seq, before) = find(self.connection, self.scope, old)?.ok_or_else(not_found)?;
        if before.valid_to.is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the memory is superseded already: supersede what replaced it",
            ));
        }
        let said_at = item.new.said_at.map_or(self.now, stored);
        let id = match self.duplicate(&item)? {
            Some((same, there)) if same == seq => {
                let id = there.id.clone();
                self.merge(seq, there, item)?;
                return Ok(Remembered { id, outcome: Outcome::Duplicate });
            }
            // Two memories that replace each other would leave neither valid.
            Some((_, there)) if there.valid_to.is_some() => {
                return Err(Error::invalid(
                    "the id of the new memory is that of one that is superseded itself: give it an id of its own",
                ));
            }
            Some((same, there)) => {
                let id = there.id.clone();
                self.merge(same, there, item)?;
                id
            }
            None => self.create(item)?,
        };
        self.end(seq, before, said_at, &id)?;
        Ok(Remembered { id, outcome: Outcome::Superseded })
    }

    pub(super) fn remember_fact(&mut self, attribute: &str, item: Prepared) -> Result<Remembered> {
        let mut held = super::rows::facts(self.connection, self.scope, attribute)?;
        let Some((_, newest)) = held.pop() else { return self.remember(item) };
        if newest.stands_against(&item.new) {
            return Ok(Remembered { id: newest.id, outcome: Outcome::Duplicate });
        }
        let said_at = item.new.said_at.map_or(self.now, stored);
        let written = self.supersede(&newest.id, item)?;
        for (seq, older) in held.into_iter().filter(|(_, older)| older.id != written.id) {
            self.end(seq, older, said_at, &written.id)?;
        }
        Ok(written)
    }

    /// Ends the validity of `before`, whose row is `seq`, at `at`, `by` having taken its place.
    fn end(&mut self, seq: i64, before: Memory, at: Timestamp, by: &str) -> Result<()> {
        let revision = self.revision()?;
        self.execute(
            "UPDATE memories SET valid_to = ?2, superseded_by = ?3, revision = ?4 WHERE seq = ?1",
            params![seq, micros(at.max(before.valid_from)), by, revision],
        )?;
        self.ops.push(IndexOp::Remove(before.id));
        Ok(())
    }

    pub(super) fn update(&mut self, id: &str, patch: MemoryPatch) -> Result<Memory> {
        let (seq, mut memory) = find(self.connection, self.scope, id)?.ok_or_else(not_found)?;
        let revision = self.revision()?;
        let retold = patch.text.as_ref().is_some_and(|text| *text != memory.text);
        if let Some(text) = patch.text {
            memory.text = text;
        }
        if patch.title.is_some() {
            memory.title = patch.title;
        }
        if patch.reliability.is_some() {
            memory.reliability = patch.reliability;
        }
        for (key, value) in patch.metadata.unwrap_or_default() {
            if value.is_null() {
                memory.metadata.remove(&key);
            } else {
                memory.metadata.insert(key, value);
            }
        }
        rewrite(self.connection, seq, &memory, &content_hash(&as_new(&memory)), revision)?;
        if retold {
            super::snapshot::forget(self.connection, self.scope)?;
            self.execute("DELETE FROM memory_vectors WHERE memory = ?1", params![seq])?;
        }
        match patch.vector {
            Some(vector) => {
                self.put_vector(seq, &vector)?;
                self.reindex(&memory, Some(vector));
            }
            None => {
                let vector = self.vector_of(seq)?;
                self.reindex(&memory, vector);
            }
        }
        Ok(memory)
    }

    pub(super) fn set_vector(&mut self, new: NewVector) -> Result<bool> {
        let Some((seq, memory)) = find(self.connection, self.scope, &new.id)? else { return Ok(false) };
        if memory.text != new.text {
            return Ok(false);
        }
        let revision = self.revision()?;
        self.put_vector(seq, &new.vector)?;
        self.execute("UPDATE memories SET revision = ?2 WHERE seq = ?1", params![seq, revision])?;
        self.reindex(&memory, Some(new.vector));
        Ok(true)
    }

    pub(super) fn touch(&mut self, ids: &[String], at: Timestamp) -> Result<()> {
        let mut seen = HashSet::new();
        for id in ids.iter().filter(|id| seen.insert(id.as_str())) {
            let there: bool = self.query(
                "SELECT EXISTS (SELECT 1 FROM memories WHERE org = ?1 AND user = ?2 AND id = ?3)",
                params![self.scope.org(), self.scope.user(), id],
            )?;
            if !there {
                continue;
            }
            let revision = self.revision()?;
            let uses: i64 = self.query(
                "UPDATE memories SET access_count = access_count + 1, last_accessed = max(coalesce(last_accessed, ?4), ?4),
                   revision = ?5 WHERE org = ?1 AND user = ?2 AND id = ?3 RETURNING access_count",
                params![self.scope.org(), self.scope.user(), id, micros(at), revision],
            )?;
            self.ops.push(IndexOp::Access(id.clone(), count(uses)?));
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, ids: &[String]) -> Result<u64> {
        let mut forgotten = 0;
        for id in ids {
            let key = params![self.scope.org(), self.scope.user(), id];
            if self.execute("DELETE FROM memories WHERE org = ?1 AND user = ?2 AND id = ?3", key)? == 0 {
                continue;
            }
            forgotten += 1;
            let revision = self.revision()?;
            self.execute(
                "UPDATE memories SET superseded_by = NULL WHERE org = ?1 AND user = ?2 AND superseded_by = ?3",
                key,
            )?;
            self.execute(
                "UPDATE memory_scopes SET removed = ?3 WHERE org = ?1 AND user = ?2",
                params![self.scope.org(), self.scope.user(), revision],
            )?;
            self.ops.push(IndexOp::Remove(id.clone()));
        }
        if forgotten > 0 {
            super::snapshot::forget(self.connection, self.scope)?;
        }
        Ok(forgotten)
    }

    /// The memory that `item` would repeat.
    fn duplicate(&self, item: &Prepared) -> Result<Option<(i64, Memory)>> {
        let (connection, scope) = (self.connection, self.scope);
        if let Some(id) = &item.new.id {
            let Some((seq, there)) = find(connection, scope, id)? else { return Ok(None) };
            if content_hash(&as_new(&there)) != item.hash {
                return Err(Error::invalid(
                    "the id of a memory is taken by another content: use an id of its own, or update or supersede that one",
                ));
            }
            return Ok(Some((seq, there)));
        }
        // What was said at two times was said twice; a fact is one fact whenever it was noted.
        let time = item.new.said_at.filter(|_| item.new.kind == MemoryType::Episodic).map(micros);
        let and_time = if time.is_some() { "AND said_at = ?4" } else { "AND ?4 IS NULL" };
        let id: Option<String> = connection
            .prepare_cached(&format!(
                "SELECT id FROM memories INDEXED BY memories_content
                  WHERE org = ?1 AND user = ?2 AND content_hash = ?3 AND valid_to IS NULL {and_time} ORDER BY seq LIMIT 1"
            ))
            .and_then(|mut s| {
                s.query_row(params![scope.org(), scope.user(), item.hash, time], |row| row.get(0)).optional()
            })
            .map_err(|e| storage("could not look for a duplicate", e))?;
        id.map_or(Ok(None), |id| find(connection, scope, &id))
    }

    fn create(&mut self, item: Prepared) -> Result<String> {
        let Prepared { mut new, vector, hash } = item;
        let id = new.id.take().unwrap_or_else(|| new_id(self.now));
        let revision = self.revision()?;
        new.said_at = new.said_at.map(stored);
        let memory = Memory::from_new(id.clone(), new, self.now);
        let seq = insert(self.connection, self.scope, &memory, &hash, revision)?;
        if let Some(vector) = &vector {
            self.put_vector(seq, vector)?;
        }
        self.reindex(&memory, vector);
        Ok(id)
    }

    /// Adds what `item` has and the memory that is there has not.
    fn merge(&mut self, seq: i64, mut there: Memory, item: Prepared) -> Result<()> {
        let before = there.clone();
        let new = item.new;
        there.reliability = match (there.reliability, new.reliability) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        there.title = there.title.or(new.title);
        there.source = there.source.or(new.source);
        for (key, value) in new.metadata {
            there.metadata.entry(key).or_insert(value);
        }
        let mut vector = self.vector_of(seq)?;
        let news = if vector.is_none() { item.vector } else { None };
        if there == before && news.is_none() {
            return Ok(());
        }
        let revision = self.revision()?;
        rewrite(self.connection, seq, &there, &item.hash, revision)?;
        if let Some(news) = news {
            self.put_vector(seq, &news)?;
            vector = Some(news);
        }
        self.reindex(&there, vector);
        Ok(())
    }

    fn reindex(&mut self, memory: &Memory, vector: Option<Vec<f32>>) {
        if memory.valid_to.is_none() {
            self.ops.push(IndexOp::Upsert(Box::new(Document::new(memory, vector))));
        }
    }

    /// The number of this change; counts it when asked first.
    fn revision(&mut self) -> Result<i64> {
        if let Some((_, revision)) = self.revisions {
            return Ok(revision);
        }
        let previous = super::index::revision(self.connection, self.scope)
            .map_err(|e| storage("could not read a scope's revision", e))?;
        let revision = next_change(self.connection)?;
        // A scope that begins may have been erased: whoever holds what was there before reads everything again.
        self.execute(
            "INSERT INTO memory_scopes (org, user, revision, removed) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (org, user) DO UPDATE SET revision = excluded.revision",
            params![self.scope.org(), self.scope.user(), revision],
        )?;
        self.revisions = Some((previous, revision));
        Ok(revision)
    }

    fn put_vector(&mut self, seq: i64, vector: &[f32]) -> Result<()> {
        let number = match (self.model_number, self.model) {
            (Some(number), _) => number,
            (None, Some(model)) => {
                let key = params![model.name, model.dimensions as i64];
                self.execute("INSERT OR IGNORE INTO embedding_models (name, dimensions) VALUES (?1, ?2)", key)?;
                self.query("SELECT model FROM embedding_models WHERE name = ?1 AND dimensions = ?2", key)?
            }
            // Vectors are checked against the model before they come here.
            (None, None) => return Err(Error::invalid("the store has no embedding model")),
        };
        self.model_number = Some(number);
        self.execute(
            "INSERT INTO memory_vectors (memory, model, vector) VALUES (?1, ?2, ?3)
             ON CONFLICT (memory, model) DO UPDATE SET vector = excluded.vector",
            params![seq, number, vector_blob(vector)],
        )?;
        Ok(())
    }

    /// The row's vector of the present model.
    fn vector_of(&self, seq: i64) -> Result<Option<Vec<f32>>> {
        let Some(model) = self.model else { return Ok(None) };
        let blob: Option<Vec<u8>> = self
            .connection
            .prepare_cached(
                "SELECT vector FROM memory_vectors JOIN embedding_models USING (model)
                  WHERE memory = ?1 AND name = ?2 AND dimensions = ?3",
            )
            .and_then(|mut s| {
                s.query_row(params![seq, model.name, model.dimensions as i64], |row| row.get(0)).optional()
            })
            .map_err(|e| storage("could not read a vector", e))?;
        blob.map(|blob| vector(&blob, model.dimensions)).transpose()
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(|e| storage("could not write a memory", e))
    }

    fn query<T: rusqlite::types::FromSql>(&self, sql: &str, params: impl rusqlite::Params) -> Result<T> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, |row| row.get(0)))
            .map_err(|e| storage("could not write a memory", e))
    }
}

/// Removes everything of the scope.
pub(super) fn erase(connection: &Connection, scope: &Scope) -> Result<Erased> {
    let failed = |e| storage("could not erase a scope's memories", e);
    let key = params![scope.org(), scope.user()];
    let one = |sql: &str| -> Result<u64> { count(connection.query_row(sql, key, |row| row.get(0)).map_err(failed)?) };
    let erased = Erased {
        memories: one("SELECT count(*) FROM memories WHERE org = ?1 AND user = ?2")?,
        vectors: one(
            "SELECT count(*) FROM memory_vectors v JOIN memories m ON m.seq = v.memory WHERE m.org = ?1 AND m.user = ?2",
        )?,
        ..Erased::default()
    };
    connection.execute("DELETE FROM memories WHERE org = ?1 AND user = ?2", key).map_err(failed)?;
    connection.execute("DELETE FROM memory_scopes WHERE org = ?1 AND user = ?2", key).map_err(failed)?;
    super::snapshot::forget(connection, scope)?;
    next_change(connection)?;
    Ok(erased)
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "there is no memory of this id in the scope")
}

/// The parts of a memory that make its content, as they came.
fn as_new(memory: &Memory) -> NewMemory {
    NewMemory {
        speaker: memory.speaker.clone(),
        role: memory.role,
        conversation: memory.conversation.clone(),
        ..NewMemory::new(memory.kind, memory.text.clone())
    }
}
