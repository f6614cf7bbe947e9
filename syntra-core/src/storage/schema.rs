//! The schema and its migrations.

use super::failure::storage;
use crate::error::{Error, ErrorKind, Result};
use rusqlite::{Connection, TransactionBehavior};

/// What SQLite's header says the file is for: `synt`, so that another application's file is not mistaken for ours.
const APPLICATION_ID: i64 = 0x7379_6e74;

/// Each step from one version of the schema to the next; `user_version` says how many are done. A step that was released is
/// never changed, a new one is added at the end.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_memory.sql"),
    include_str!("schema/0002_threads.sql"),
    include_str!("schema/0003_summaries.sql"),
    include_str!("schema/0004_snapshots.sql"),
    include_str!("schema/0005_lookups.sql"),
];

/// The version of the schema that this library writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the file to the present schema, one transaction a step. Two processes doing so at once wait for each other.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let failed = |e| storage("could not read the schema's version", e);
    let version = user_version(connection).map_err(failed)?;
    check(connection, version)?;
    if version == VERSION {
        return Ok(());
    }
    for (step, sql) in (1i64..).zip(MIGRATIONS) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| storage("could not begin a migration", e))?;
        // Read again inside: another process may have done this step while we waited.
        if user_version(&transaction).map_err(failed)? < step {
            transaction
                .execute_batch(&format!(
                    "{sql}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {step};"
                ))
                .map_err(|e| storage(&format!("could not migrate the database to version {step}"), e))?;
        }
        transaction.commit().map_err(|e| storage(&format!("could not migrate the database to version {step}"), e))?;
    }
    Ok(())
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Refuses a file that is not ours to migrate.
fn check(connection: &Connection, version: i64) -> Result<()> {
    if version > VERSION {
        return Err(Error::new(
            ErrorKind::Storage,
            format!(
                "the database has schema version {version}, this library knows up to {VERSION}: open it with the newer version \
                 of the library that wrote it"
            ),
        )
        .with_code("newer_schema"));
    }
    let failed = |e| storage("could not read the schema", e);
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if version < 0 || (tables > 0 && application != APPLICATION_ID) {
        return Err(Error::new(
            ErrorKind::Storage,
            "the database belongs to another application: its application_id is not Syntra's; give a directory of its own",
        )
        .with_code("foreign_database"));
    }
    Ok(())
}
