//! Writes to the stores in a directory and prints what was acknowledged, a line each, until it is killed or has done its rounds.
//!
//! `store_writer DIR NAME [ROUNDS]`; the tests of durability and of two processes on one file run it.

use std::io::Write as _;
use std::sync::Arc;
use syntra_core::memory::{MemoryStore as _, MemoryType, NewMemory, SqliteMemoryStore};
use syntra_core::storage::Database;
use syntra_core::thread::{SqliteThreadStore, ThreadStore as _};
use syntra_core::{Message, Result, SystemClock};
use syntra_tests::{store_scope, word};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(name)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: store_writer DIR NAME [ROUNDS]");
        std::process::exit(2);
    };
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(usize::MAX);
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            std::process::exit(1);
        }
    };
    if let Err(error) = runtime.block_on(write(&dir, &name, rounds)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

/// Says that something is acknowledged. The reader may be gone, which ends us.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

async fn write(dir: &str, name: &str, rounds: usize) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let database = Database::open(dir)?;
    let memories = SqliteMemoryStore::new(database.clone(), clock.clone()).with_model("test", 4)?;
    let threads = SqliteThreadStore::new(database, clock);
    let scope = store_scope()?;
    let item = |id: &str| {
        let mut item = NewMemory::new(MemoryType::Semantic, format!("something about {}", word(id))).with_id(id);
        item.vector = Some(vec![1.0, 2.0, 3.0, 4.0]);
        item
    };
    threads.create(&scope, Some("talk"), None).await?;
    for round in 0..rounds {
        let ids: Vec<String> = (0..1 + round % 4).map(|i| format!("{name}-{round}-{i}")).collect();
        memories.remember(&scope, ids.iter().map(|id| item(id)).collect()).await?;
        for id in &ids {
            say(format_args!("memory {id}"));
        }
        let pair = vec![Message::user(format!("{name} {round}")).into(), Message::assistant("yes").into()];
        for message in threads.append(&scope, "talk", pair).await? {
            say(format_args!("message {}", message.id));
        }
        if let [first, second, third, ..] = &ids[..] {
            let new = format!("{first}-new");
            memories.supersede(&scope, first, item(&new)).await?;
            say(format_args!("superseded {first}"));
            say(format_args!("memory {new}"));
            // Announced before, for it may be gone without having been acknowledged as gone.
            say(format_args!("forgetting {second}"));
            memories.forget(&scope, std::slice::from_ref(second)).await?;
            say(format_args!("forgotten {second}"));
            memories.touch(&scope, std::slice::from_ref(third), syntra_core::Timestamp::UNIX_EPOCH).await?;
            say(format_args!("touched {third}"));
        }
    }
    Ok(())
}
