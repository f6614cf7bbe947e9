//! What SQLite's errors mean for a caller.

use crate::error::{Error, ErrorKind, Retry};
use rusqlite::ffi::ErrorCode;

/// The error of a statement that failed. It says what was being done and SQLite's own code, never a value that was bound.
pub(crate) fn storage(what: &str, error: rusqlite::Error) -> Error {
    let (code, advice) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ("busy", "another process is writing; try again"),
        Some(ErrorCode::DatabaseCorrupt) => ("corrupt", "the file is damaged; restore it from a copy"),
        Some(ErrorCode::NotADatabase) => ("not_a_database", "the file is not a SQLite database"),
        Some(ErrorCode::DiskFull) => ("disk_full", "the disk is full; make room and try again"),
        Some(ErrorCode::ReadOnly) => ("read_only", "the file or its directory cannot be written to"),
        Some(ErrorCode::CannotOpen) => {
            ("cannot_open", "the file cannot be opened; check the directory and its permissions")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            ("permission_denied", "the file may not be used; check its permissions")
        }
        Some(ErrorCode::SystemIoFailure) => ("io", "the disk failed"),
        Some(ErrorCode::ConstraintViolation) => ("constraint", "the schema refuses the row"),
        _ => ("sqlite", "SQLite refused"),
    };
    let retry = if code == "busy" { Retry::SameTarget } else { Retry::Never };
    // SQLite's messages name tables, columns and syntax; values are bound and do not appear in them.
    let detail = match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqliteFailure(inner, None) => inner.to_string(),
        other => other.to_string(),
    };
    Error::new(ErrorKind::Storage, format!("{what}: {advice} ({detail})")).with_code(code).with_retry(retry)
}

/// A value in the file that cannot be what we wrote.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Storage, format!("the database holds a value that this library did not write: {what}"))
        .with_code("corrupt")
}
