use super::*;
use crate::clock::SystemClock;
use crate::memory::{MemoryStore, SqliteMemoryStore};
use crate::testing::{memory_store_conformance, thread_store_conformance};
use crate::thread::{SqliteThreadStore, ThreadStore};

fn memories(database: Database) -> Result<Arc<dyn MemoryStore>> {
    let store = SqliteMemoryStore::new(database, Arc::new(SystemClock::new()));
    Ok(Arc::new(store.with_model("test", 8)?))
}

fn threads(database: Database) -> Arc<dyn ThreadStore> {
    Arc::new(SqliteThreadStore::new(database, Arc::new(SystemClock::new())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_store_conforms_on_a_file_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    let open = || async { memories(Database::open(dir.path())?) };
    memory_store_conformance(open, 8).await.unwrap();
}

#[tokio::test]
async fn memory_store_conforms_in_memory() {
    let database = Database::in_memory().unwrap();
    memory_store_conformance(|| async { memories(database.clone()) }, 8).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thread_store_conforms_on_a_file_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    thread_store_conformance(|| async { Ok(threads(Database::open(dir.path())?)) }).await.unwrap();
}

#[tokio::test]
async fn thread_store_conforms_in_memory() {
    let database = Database::in_memory().unwrap();
    thread_store_conformance(|| async { Ok(threads(database.clone())) }).await.unwrap();
}
