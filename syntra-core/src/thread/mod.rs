//! Conversations and their messages. May use [`crate::chat`], [`crate::error`] and [`crate::storage`].

mod sqlite;

pub use sqlite::SqliteThreadStore;

use crate::chat::{Message, Scope};
use crate::error::Result;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt::Debug;

/// Keeps threads. Every method names its [`Scope`]; another scope's thread does not exist.
#[async_trait]
pub trait ThreadStore: Send + Sync + Debug + 'static {
    /// Creates a thread; with an `id` of the caller's, returns the one that is there, as it is.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for an empty or too long id; [`crate::ErrorKind::Storage`].
    async fn create(&self, scope: &Scope, id: Option<&str>, title: Option<&str>) -> Result<Thread>;

    /// A thread.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`].
    async fn read(&self, scope: &Scope, id: &str) -> Result<Thread>;

    /// Threads, the one written to last first.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn list(&self, scope: &Scope, offset: u64, limit: u64) -> Result<Vec<Thread>>;

    /// Deletes a thread with its messages and summary; whether it was there.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn delete(&self, scope: &Scope, id: &str) -> Result<bool>;

    /// Appends `messages` together; concurrent writers get places of their own and never interleave within one call. A message
    /// whose id the thread has already is not written again: the one that is there is returned, so that trying again is harmless.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`]; [`crate::ErrorKind::InvalidInput`] for an id that is empty, too long or taken by another
    /// message; [`crate::ErrorKind::Storage`]. Then none is written.
    async fn append(&self, scope: &Scope, id: &str, messages: Vec<NewThreadMessage>) -> Result<Vec<ThreadMessage>>;

    /// As [`ThreadStore::append`], to a thread that is made (without a title) where it is not there. A store that can do both in one
    /// step should: a failure then leaves no empty thread behind.
    ///
    /// # Errors
    /// As [`ThreadStore::create`] and [`ThreadStore::append`].
    async fn append_or_create(
        &self,
        scope: &Scope,
        id: &str,
        messages: Vec<NewThreadMessage>,
    ) -> Result<Vec<ThreadMessage>> {
        self.create(scope, Some(id), None).await?;
        self.append(scope, id, messages).await
    }

    /// The newest `limit` messages, oldest of them first; those before place `before`, if given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`].
    async fn history(&self, scope: &Scope, id: &str, limit: u64, before: Option<u64>) -> Result<Vec<ThreadMessage>>;

    /// What is kept of the thread's older messages; it covers none where nothing was kept yet.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`].
    async fn summary(&self, scope: &Scope, id: &str) -> Result<ThreadSummary>;

    /// Keeps `new` in place of the summary that covers `from` messages; whether it was kept. It is not where another writer has
    /// put one in its place since, where it covers no more than that one, or where it covers more messages than the thread has (it
    /// was made of another thread of this id, which was deleted): an older state never replaces a newer one, and nothing is covered
    /// twice.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`]; [`crate::ErrorKind::Storage`].
    async fn set_summary(&self, scope: &Scope, id: &str, from: u64, new: ThreadSummary) -> Result<bool>;

    /// Deletes all threads of the scope; how many messages there were.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Storage`].
    async fn erase(&self, scope: &Scope) -> Result<u64>;
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Thread {
    /// Its id, unique in its scope.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written to.
    pub updated_at: Timestamp,
    /// How many messages it has.
    pub messages: u64,
}

impl Thread {
    /// A thread without messages, for stores of others' making.
    pub fn new(id: impl Into<String>, title: Option<String>, created_at: Timestamp) -> Self {
        Self { id: id.into(), title, created_at, updated_at: created_at, messages: 0 }
    }
}

/// What the older messages of a thread said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSummary {
    /// How many messages, from the thread's first, it covers.
    pub covered: u64,
    /// What they said; `None` where that was nothing worth a line.
    pub text: Option<String>,
}

/// A message to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewThreadMessage {
    /// An id of the caller's; a UUIDv7 is made where there is none.
    pub id: Option<String>,
    /// The message.
    pub message: Message,
    /// Anything else: provider, model, usage, turn.
    pub metadata: Map<String, Value>,
}

impl From<Message> for NewThreadMessage {
    fn from(message: Message) -> Self {
        Self { id: None, message, metadata: Map::new() }
    }
}

/// A message in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadMessage {
    /// Its id.
    pub id: String,
    /// Its place in the thread, counted from 0 without gaps.
    pub place: u64,
    /// The message.
    pub message: Message,
    /// When it was written.
    pub created_at: Timestamp,
    /// Anything else.
    pub metadata: Map<String, Value>,
}
