use super::*;
use crate::chat::{Message, Scope};
use crate::clock::SystemClock;
use crate::memory::{IndexLimits, MemoryPatch, MemoryStore, MemoryType, NewMemory, NewVector, Page, SqliteMemoryStore};
use crate::query::QueryAnalysis;
use crate::search::{Filter, SearchQuery, Strategy};
use crate::testing::{memory_store_conformance, thread_store_conformance};
use crate::thread::{SqliteThreadStore, ThreadStore, ThreadSummary};
use jiff::Timestamp;

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

fn scope() -> Scope {
    Scope::new("acme", "ada").unwrap()
}

fn fact(id: &str, text: &str) -> NewMemory {
    NewMemory::new(MemoryType::Semantic, text).with_id(id)
}

async fn keyword(store: &dyn MemoryStore, scope: &Scope, text: &str) -> Vec<String> {
    let (analysis, filter) = (QueryAnalysis::default(), Filter::default());
    let query = SearchQuery {
        text,
        analysis: &analysis,
        vector: None,
        filter: &filter,
        now: Timestamp::UNIX_EPOCH,
        limit: 10,
        topics: false,
    };
    store.recall(scope, Strategy::Keyword, &query).await.unwrap().into_iter().map(|c| c.id.to_string()).collect()
}

fn refused(dir: &Path, code: &str) {
    let error = Database::open(dir).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Storage, Some(code)), "{error}");
    assert!(error.message().contains(FILE_NAME), "the error names the file: {error}");
}

/// Version 1 as it was: written out here, so that changing the migration that made it fails this test.
const VERSION_1: &str = r#"
CREATE TABLE change_counter (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL CHECK (value >= 0)) STRICT;
INSERT INTO change_counter VALUES (1, 7);
CREATE TABLE memory_scopes (org TEXT NOT NULL, user TEXT NOT NULL, revision INTEGER NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (org, user)) STRICT, WITHOUT ROWID;
INSERT INTO memory_scopes VALUES ('acme', 'ada', 7, 0);
CREATE TABLE memories (seq INTEGER PRIMARY KEY, org TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
  text TEXT NOT NULL, title TEXT, speaker TEXT, role TEXT, conversation TEXT, said_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER, superseded_by TEXT, source_document TEXT,
  line_from INTEGER, line_to INTEGER, reliability REAL, access_count INTEGER NOT NULL DEFAULT 0, last_accessed INTEGER,
  metadata TEXT NOT NULL DEFAULT '{}', content_hash BLOB NOT NULL, revision INTEGER NOT NULL, UNIQUE (org, user, id)) STRICT;
CREATE INDEX memories_order ON memories (org, user);
CREATE INDEX memories_changed ON memories (org, user, revision);
CREATE INDEX memories_content ON memories (org, user, content_hash, said_at) WHERE valid_to IS NULL;
CREATE INDEX memories_conversation ON memories (org, user, conversation) WHERE conversation IS NOT NULL;
CREATE INDEX memories_successor ON memories (org, user, superseded_by) WHERE superseded_by IS NOT NULL;
CREATE TABLE embedding_models (model INTEGER PRIMARY KEY, name TEXT NOT NULL, dimensions INTEGER NOT NULL,
  UNIQUE (name, dimensions)) STRICT;
CREATE TABLE memory_vectors (memory INTEGER NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
  model INTEGER NOT NULL REFERENCES embedding_models (model), vector BLOB NOT NULL, PRIMARY KEY (memory, model)) STRICT;
INSERT INTO memories (org, user, id, kind, text, metadata, said_at, created_at, valid_from, content_hash, revision)
  VALUES ('acme', 'ada', 'old', 'semantic', 'The harbour is in Lisbon', '{"a":1}', 1767225600000000, 1767225600000001,
          1767225600000000, zeroblob(16), 7);
INSERT INTO embedding_models VALUES (1, 'test', 8);
INSERT INTO memory_vectors VALUES (1, 1, x'0000803f00000000000000000000000000000000000000000000000000000000');
PRAGMA application_id = 0x73796e74;
PRAGMA user_version = 1;
"#;

#[tokio::test]
async fn an_older_file_is_migrated_with_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let old = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    drop(old);
    let database = Database::open(dir.path()).unwrap();
    database.check().await.unwrap();
    let store = memories(database.clone()).unwrap();
    let memory = store.get(&scope(), &["old".into()]).await.unwrap().remove(0);
    assert_eq!(memory.said_at.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(memory.metadata["a"], 1);
    assert_eq!(keyword(&*store, &scope(), "harbour").await, ["old"]);
    assert_eq!(store.stats(&scope()).await.unwrap().with_vector, 1);
    threads(database).create(&scope(), Some("t"), None).await.unwrap();
    drop(store);
    let version: i64 = Connection::open(dir.path().join(FILE_NAME))
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, Database::schema_version());
}

#[tokio::test]
async fn threads_of_an_older_file_have_no_summary_yet() {
    let dir = tempfile::tempdir().unwrap();
    let old = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    old.execute_batch(include_str!("schema/0002_threads.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO threads (org, user, id, created_at, updated_at, written, messages) VALUES ('acme', 'ada', 't', 1, 1, 1, 9);
         PRAGMA user_version = 2;",
    )
    .unwrap();
    drop(old);
    let threads = threads(Database::open(dir.path()).unwrap());
    assert_eq!(threads.summary(&scope(), "t").await.unwrap(), ThreadSummary::default());
    let summary = ThreadSummary { covered: 8, text: Some("It was said.".into()) };
    assert!(threads.set_summary(&scope(), "t", 0, summary.clone()).await.unwrap());
    assert_eq!(threads.summary(&scope(), "t").await.unwrap(), summary);
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let sql = |sql: &str| {
        let dir = tempfile::tempdir().unwrap();
        Connection::open(dir.path().join(FILE_NAME)).unwrap().execute_batch(sql).unwrap();
        dir
    };
    let newer = sql("CREATE TABLE t (x); PRAGMA application_id = 0x73796e74; PRAGMA user_version = 9999;");
    refused(newer.path(), "newer_schema");
    let foreign = sql("CREATE TABLE invoices (x); INSERT INTO invoices VALUES (1);");
    refused(foreign.path(), "foreign_database");
    let rows: i64 = Connection::open(foreign.path().join(FILE_NAME))
        .unwrap()
        .query_row("SELECT count(*) FROM invoices", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);

    let noise = tempfile::tempdir().unwrap();
    std::fs::write(noise.path().join(FILE_NAME), "this is no database, it is a letter. ".repeat(300)).unwrap();
    refused(noise.path(), "not_a_database");
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(Database::open(file.path()).unwrap_err().code(), Some("cannot_open"));
}

#[tokio::test]
async fn a_damaged_file_is_a_typed_error_not_a_wrong_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    {
        let store = memories(Database::open(dir.path()).unwrap()).unwrap();
        let items = (0..500).map(|i| fact(&format!("m{i}"), &format!("entry {i} {}", "x".repeat(200)))).collect();
        store.remember(&scope(), items).await.unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    // The damage may be seen at opening or later; it is never a panic and never passes the check.
    let error = match Database::open(dir.path()) {
        Ok(database) => database.check().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Storage, Some("corrupt")), "{error}");
}

#[tokio::test]
async fn errors_name_no_content() {
    let store = memories(Database::in_memory().unwrap()).unwrap();
    store.remember(&scope(), vec![fact("id", "the first secret")]).await.unwrap();
    let error = store.remember(&scope(), vec![fact("id", "the second secret")]).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn opening_is_quick_whatever_the_file_holds_and_nothing_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = memories(Database::open(dir.path()).unwrap()).unwrap();
        let items = (0..2_000).map(|i| fact(&format!("m{i}"), &format!("entry {i}"))).collect();
        store.remember(&scope(), items).await.unwrap();
    }
    let store = SqliteMemoryStore::new(Database::open(dir.path()).unwrap(), Arc::new(SystemClock::new()));
    assert_eq!(store.index_usage().partitions, 0);
    assert_eq!(store.get(&scope(), &["m7".into()]).await.unwrap().len(), 1);
    assert_eq!(store.index_usage().partitions, 0, "reading rows needs no index");
    assert_eq!(keyword(&store, &scope(), "entry").await.len(), 10);
    assert_eq!(store.index_usage().partitions, 1);
}

#[tokio::test]
async fn cold_indexes_are_evicted_and_come_back() {
    let database = Database::in_memory().unwrap();
    let scopes: Vec<Scope> = (0..5).map(|i| Scope::new("acme", format!("user{i}")).unwrap()).collect();
    let store = SqliteMemoryStore::new(database.clone(), Arc::new(SystemClock::new())).with_index_limits(IndexLimits {
        partitions: 2,
        bytes: usize::MAX,
        ..IndexLimits::default()
    });
    for scope in &scopes {
        store.remember(scope, vec![fact("m", "the lighthouse")]).await.unwrap();
        assert_eq!(keyword(&store, scope, "lighthouse").await, ["m"]);
        assert!(store.index_usage().partitions <= 2);
    }
    for scope in &scopes {
        store.remember(scope, vec![fact("n", "the lighthouse keeper")]).await.unwrap();
        assert_eq!(keyword(&store, scope, "lighthouse").await.len(), 2);
    }
    let tiny = SqliteMemoryStore::new(database, Arc::new(SystemClock::new())).with_index_limits(IndexLimits {
        partitions: 100,
        bytes: 1,
        ..IndexLimits::default()
    });
    for scope in &scopes {
        assert_eq!(keyword(&tiny, scope, "lighthouse").await.len(), 2);
        assert_eq!(tiny.index_usage().partitions, 1, "over the bound only the one in use stays");
    }
}

#[tokio::test]
async fn vectors_of_another_model_are_kept_and_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path()).unwrap();
    let with = |name: &str, dimensions| {
        SqliteMemoryStore::new(database.clone(), Arc::new(SystemClock::new())).with_model(name, dimensions).unwrap()
    };
    let (old, new) = (with("old", 2), with("new", 3));
    let item = NewMemory { vector: Some(vec![3.0, 4.0]), ..fact("m", "the lighthouse") };
    old.remember(&scope(), vec![item]).await.unwrap();
    let stats = new.stats(&scope()).await.unwrap();
    assert_eq!((stats.total, stats.with_vector, stats.with_other_vector), (1, 0, 1));
    assert_eq!(keyword(&new, &scope(), "lighthouse").await, ["m"], "other strategies work");
    let missing = new.missing_vectors(&scope(), 10).await.unwrap().remove(0);
    let vector = NewVector { id: missing.id, text: missing.text, vector: vec![1.0, 0.0, 0.0] };
    assert_eq!(new.set_vectors(&scope(), vec![vector]).await.unwrap(), 1);
    for store in [&old, &new] {
        let stats = store.stats(&scope()).await.unwrap();
        assert_eq!((stats.with_vector, stats.with_other_vector), (1, 0));
        assert!(store.missing_vectors(&scope(), 10).await.unwrap().is_empty());
    }
    let blob: Vec<u8> = Connection::open(dir.path().join(FILE_NAME))
        .unwrap()
        .query_row("SELECT vector FROM memory_vectors ORDER BY model LIMIT 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(blob, [0.6f32.to_le_bytes(), 0.8f32.to_le_bytes()].concat(), "unit length, little-endian");
    let without = SqliteMemoryStore::new(database.clone(), Arc::new(SystemClock::new()));
    let item = NewMemory { vector: Some(vec![1.0]), ..fact("v", "v") };
    assert_eq!(without.remember(&scope(), vec![item]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_is_erased_is_on_the_disk_no_more() {
    const SECRET: &str = "Rumpelstiltskin";
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path()).unwrap();
    let (memories, threads) = (memories(database.clone()).unwrap(), threads(database));
    let other = Scope::new("acme", "bo").unwrap();
    let on_disk = || {
        let contains = |entry: std::io::Result<std::fs::DirEntry>| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
        };
        std::fs::read_dir(dir.path()).unwrap().any(contains)
    };
    memories.remember(&other, vec![fact("kept", "a straw")]).await.unwrap();
    for round in 0..3 {
        let items =
            (0..50).map(|i| fact(&format!("{SECRET}{i}"), &format!("{SECRET} spins {i} {}", "gold ".repeat(100))));
        memories.remember(&scope(), items.collect()).await.unwrap();
        let patch = MemoryPatch { title: Some(SECRET.into()), ..MemoryPatch::default() };
        memories.update(&scope(), &format!("{SECRET}1"), patch).await.unwrap();
        threads.create(&scope(), Some(SECRET), Some(SECRET)).await.unwrap();
        threads.append(&scope(), SECRET, vec![Message::user(SECRET).into()]).await.unwrap();
        let summary = ThreadSummary { covered: 1, text: Some(SECRET.into()) };
        assert!(threads.set_summary(&scope(), SECRET, 0, summary).await.unwrap());
        assert!(on_disk());
        if round == 0 {
            let ids: Vec<String> = (0..50).map(|i| format!("{SECRET}{i}")).collect();
            assert_eq!(memories.forget(&scope(), &ids).await.unwrap(), 50);
            assert!(threads.delete(&scope(), SECRET).await.unwrap());
        } else {
            assert_eq!(memories.erase(&scope()).await.unwrap().memories, 50);
            assert_eq!(threads.erase(&scope()).await.unwrap(), 1);
        }
        assert!(!on_disk(), "round {round}");
    }
    assert_eq!(memories.get(&other, &["kept".into()]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_rows_and_indexes_in_step() {
    let store = memories(Database::in_memory().unwrap()).unwrap();
    assert!(keyword(&*store, &scope(), "entry").await.is_empty());
    for i in 0..40 {
        let scope = scope();
        let mut write = Box::pin(store.remember(&scope, vec![fact(&format!("m{i}"), "an entry")]));
        // Polled a few times and dropped, at whatever step it is.
        for _ in 0..i % 5 {
            if futures::poll!(&mut write).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    store.remember(&scope(), vec![fact("last", "the last entry")]).await.unwrap();
    let page = Page { offset: 0, limit: 100 };
    let rows = store.list(&scope(), &Filter::default(), page).await.unwrap();
    assert!(rows.iter().any(|row| row.id == "last"));
    for row in rows {
        let (analysis, filter) = (QueryAnalysis::default(), Filter::default());
        let query = SearchQuery {
            text: "entry",
            analysis: &analysis,
            vector: None,
            filter: &filter,
            now: Timestamp::UNIX_EPOCH,
            limit: 100,
            topics: false,
        };
        let found = store.recall(&scope(), Strategy::Keyword, &query).await.unwrap();
        assert!(found.iter().any(|c| *c.id == *row.id), "{} is written and not found", row.id);
    }
}

#[tokio::test]
async fn a_write_that_panics_harms_nobody_else() {
    let database = Database::in_memory().unwrap();
    let panics = database.write(|connection| -> Result<()> {
        connection.execute("INSERT INTO embedding_models (name, dimensions) VALUES ('x', 1)", []).unwrap();
        panic!("a bug")
    });
    let (panicked, fine) = tokio::join!(panics, database.write(|_| Ok(7)));
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Storage);
    assert_eq!(fine.unwrap(), 7);
    let models = database.write(|connection| {
        connection
            .query_row("SELECT count(*) FROM embedding_models", [], |row| row.get::<_, i64>(0))
            .map_err(|e| storage("count", e))
    });
    assert_eq!(models.await.unwrap(), 0, "what it wrote was rolled back");
}

#[test]
fn outside_of_a_runtime_there_is_an_error_instead_of_a_panic() {
    let store = memories(Database::in_memory().unwrap()).unwrap();
    let scope = scope();
    let error = futures::executor::block_on(store.stats(&scope)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn one_thread_that_may_block_is_enough_for_all_who_write_and_search_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for database in [Database::open(dir.path()).unwrap(), Database::in_memory().unwrap()] {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
        let store = memories(database).unwrap();
        let calls = (0..200).map(|n| {
            let store = Arc::clone(&store);
            runtime.spawn(async move {
                store.remember(&scope(), vec![fact(&format!("m{n}"), &format!("Lisbon, number {n}"))]).await.unwrap();
                // It sees at least its own.
                assert!(keyword(&*store, &scope(), &format!("number {n}")).await.contains(&format!("m{n}")));
            })
        });
        let all = futures::future::join_all(calls.collect::<Vec<_>>());
        // It takes less than a second; it would wait forever if one who has that thread waited for one who needs it.
        let done = runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(60), all).await });
        // Without a wait for what would never end.
        runtime.shutdown_background();
        done.expect("they wait for each other").into_iter().for_each(|done| done.unwrap());
    }
}

#[tokio::test]
async fn an_erasure_that_nobody_waits_for_is_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = memories(Database::open(dir.path()).unwrap()).unwrap();
    let mut erased = 0;
    for n in 0..40 {
        let (old, new) = (format!("old{n}"), format!("new{n}"));
        store.remember(&scope(), vec![fact(&old, &format!("Lisbon, number {n}"))]).await.unwrap();
        assert_eq!(keyword(&*store, &scope(), &format!("number {n}")).await, [old.as_str()]);
        // It is under way when it is dropped, and done, if it is, before what comes after it.
        assert!(futures::poll!(store.erase(&scope())).is_pending());
        store.remember(&scope(), vec![fact(&new, "Porto")]).await.unwrap();
        let there = store.get(&scope(), &[old]).await.unwrap().len();
        assert_eq!(keyword(&*store, &scope(), &format!("number {n}")).await.len(), there, "what is found is there");
        erased += 1 - there;
        store.erase(&scope()).await.unwrap();
    }
    println!("{erased} of 40 were done");
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b");
    drop(Database::open(&deep).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&deep), mode(&deep.join(FILE_NAME))), (0o700, 0o600));
}

#[tokio::test]
async fn views_show_times_as_people_write_them() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path()).unwrap();
    let at: Timestamp = "2026-05-01T12:30:00.25Z".parse().unwrap();
    let store = memories(database).unwrap();
    store.remember(&scope(), vec![fact("m", "text").with_said_at(at).with_speaker("Ada")]).await.unwrap();
    let row: (String, String, i64) = Connection::open(dir.path().join(FILE_NAME))
        .unwrap()
        .query_row(
            "SELECT r.said_at, said_by, m.said_at FROM memories_readable r JOIN memories m USING (org, user, id)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(row, ("2026-05-01T12:30:00.250Z".into(), "Ada".into(), at.as_microsecond()));
}

#[tokio::test]
async fn forgetting_works_while_another_process_reads() {
    let dir = tempfile::tempdir().unwrap();
    let store = memories(Database::open(dir.path()).unwrap()).unwrap();
    store.remember(&scope(), vec![fact("m", "text")]).await.unwrap();
    // A snapshot that stays open keeps the log from being emptied.
    let other = Connection::open(dir.path().join(FILE_NAME)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM memories;").unwrap();
    assert_eq!(store.forget(&scope(), &["m".into()]).await.unwrap(), 1);
    assert_eq!(store.erase(&scope()).await.unwrap().memories, 0);
    assert!(store.list(&scope(), &Filter::default(), Page::default()).await.unwrap().is_empty());
}
