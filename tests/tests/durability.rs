//! Nothing acknowledged is lost: a process is killed while it writes, many times; two processes write to one file.

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use syntra_core::SystemClock;
use syntra_core::memory::{MemoryStore, SqliteMemoryStore};
use syntra_core::query::QueryAnalysis;
use syntra_core::search::{Filter, SearchQuery, Strategy};
use syntra_core::storage::Database;
use syntra_core::thread::{SqliteThreadStore, ThreadStore};
use syntra_core::{Scope, Timestamp};
use syntra_tests::{store_scope, word};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What a writer said it had done.
#[derive(Debug, Default)]
struct Acknowledged {
    memories: HashSet<String>,
    superseded: HashSet<String>,
    forgetting: HashSet<String>,
    forgotten: HashSet<String>,
    touched: HashSet<String>,
    messages: HashSet<String>,
}

impl Acknowledged {
    fn take(&mut self, line: &str) {
        let (what, id) = line.split_once(' ').unwrap_or_else(|| panic!("cut line {line:?}"));
        let set = match what {
            "memory" => &mut self.memories,
            "superseded" => &mut self.superseded,
            "forgetting" => &mut self.forgetting,
            "forgotten" => &mut self.forgotten,
            "touched" => &mut self.touched,
            "message" => &mut self.messages,
            _ => panic!("unknown line {line:?}"),
        };
        set.insert(id.to_owned());
    }
}

struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(dir: &Path, name: &str, rounds: Option<usize>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_store_writer"));
        command.arg(dir).arg(name).args(rounds.map(|rounds| rounds.to_string()));
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads at most `most` lines; whether there were so many.
    async fn read(&mut self, most: usize, into: &mut Acknowledged) -> bool {
        for _ in 0..most {
            // A hang is a failure, not an endless test.
            let line = tokio::time::timeout(Duration::from_secs(60), self.lines.next_line()).await;
            match line.expect("the writer hangs").unwrap() {
                Some(line) => into.take(&line),
                None => return false,
            }
        }
        true
    }
}

struct Stores {
    database: Database,
    memories: SqliteMemoryStore,
    threads: SqliteThreadStore,
}

fn open(dir: &Path) -> Stores {
    let clock = Arc::new(SystemClock::new());
    let database = Database::open(dir).unwrap();
    let memories = SqliteMemoryStore::new(database.clone(), clock.clone()).with_model("test", 4).unwrap();
    Stores { threads: SqliteThreadStore::new(database.clone(), clock), database, memories }
}

async fn found(stores: &Stores, scope: &Scope, id: &str) -> bool {
    let (analysis, filter, text) = (QueryAnalysis::default(), Filter::default(), word(id));
    let query = SearchQuery {
        text: &text,
        analysis: &analysis,
        vector: None,
        filter: &filter,
        now: Timestamp::UNIX_EPOCH,
        limit: 10,
        topics: false,
    };
    let found = stores.memories.recall(scope, Strategy::Keyword, &query).await.unwrap();
    found.iter().any(|candidate| *candidate.id == *id)
}

async fn verify(stores: &Stores, said: &Acknowledged) {
    let scope = store_scope().unwrap();
    stores.database.check().await.unwrap();
    for id in &said.memories {
        let memory = stores.memories.get(&scope, std::slice::from_ref(id)).await.unwrap().pop();
        if said.forgotten.contains(id) {
            assert_eq!(memory, None, "{id} was forgotten");
            assert!(!found(stores, &scope, id).await, "{id} was forgotten and is still found");
            continue;
        }
        let Some(memory) = memory else {
            assert!(said.forgetting.contains(id), "{id} was acknowledged and is lost");
            continue;
        };
        if said.superseded.contains(id) {
            assert!(memory.valid_to.is_some() && memory.superseded_by.is_some(), "{id} was superseded: {memory:?}");
        }
        assert!(memory.access_count > 0 || !said.touched.contains(id), "{id} was touched");
        assert_eq!(found(stores, &scope, id).await, memory.valid_to.is_none(), "the index differs from the rows: {id}");
    }
    let stats = stores.memories.stats(&scope).await.unwrap();
    assert_eq!(stats.with_vector, stats.total, "each memory was written with its vector: {stats:?}");
    if !said.messages.is_empty() {
        let history = stores.threads.history(&scope, "talk", 1_000_000, None).await.unwrap();
        let places: Vec<u64> = history.iter().map(|m| m.place).collect();
        assert_eq!(places, (0..history.len() as u64).collect::<Vec<_>>(), "places without gaps");
        assert_eq!(history.len() % 2, 0, "an append is written whole or not at all");
        let there: HashSet<&str> = history.iter().map(|m| m.id.as_str()).collect();
        for id in &said.messages {
            assert!(there.contains(id.as_str()), "message {id} was acknowledged and is lost");
        }
    }
}

#[tokio::test]
async fn a_process_killed_while_it_writes_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = Acknowledged::default();
    for round in 0..20 {
        let mut writer = Writer::start(dir.path(), &format!("w{round}"), None);
        // Killed after so many lines, while it is at the next write; from the very first on.
        assert!(writer.read(1 + round * 2, &mut said).await, "the writer ended by itself");
        writer.child.start_kill().unwrap();
        writer.child.wait().await.unwrap();
        // What it still said before it was killed is acknowledged too. A last line may be cut: it ends without a newline.
        let mut rest = String::new();
        tokio::io::AsyncReadExt::read_to_string(writer.lines.get_mut(), &mut rest).await.unwrap();
        rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).for_each(|line| said.take(line));
        verify(&open(dir.path()), &said).await;
    }
    assert!(said.memories.len() > 100 && !said.forgotten.is_empty(), "the writers did too little: {said:?}");
}

#[tokio::test]
async fn two_processes_write_to_one_file_and_a_third_sees_it_all() {
    let dir = tempfile::tempdir().unwrap();
    let here = open(dir.path());
    let scope = store_scope().unwrap();
    // Loaded before the others write: what they write has to be noticed.
    assert!(!found(&here, &scope, "a-0-0").await);
    let (mut one, mut two) = (Acknowledged::default(), Acknowledged::default());
    let mut first = Writer::start(dir.path(), "a", Some(25));
    let mut second = Writer::start(dir.path(), "b", Some(25));
    let (ended, ended_too) = tokio::join!(first.read(usize::MAX, &mut one), second.read(usize::MAX, &mut two));
    assert!(!ended && !ended_too);
    for writer in [&mut first, &mut second] {
        assert!(writer.child.wait().await.unwrap().success(), "a writer failed");
    }
    verify(&here, &one).await;
    verify(&here, &two).await;
    let history = here.threads.history(&scope, "talk", 1_000, None).await.unwrap();
    assert_eq!(history.len(), 100, "25 pairs of each");
    for pair in history.chunks(2) {
        assert_eq!(pair[1].message.text(), "yes", "another process's message came in between");
    }
}
