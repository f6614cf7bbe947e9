//! Where what the router learned is kept: one file an organisation in the data directory, with its checksum in the first line.

use crate::error::{Error, ErrorKind, Result};
use crate::router::Router;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The folder in the data directory.
const FOLDER: &str = "learned";
/// Files that are read at the start.
const FILES: usize = 64;
/// A file beyond this is none of ours.
const MAX_BYTES: u64 = 64 << 20;

/// The files, or none where everything is kept in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct LearnedFiles(Option<Arc<(PathBuf, Mutex<()>)>>);

#[derive(Serialize, Deserialize)]
struct Kept {
    organisation: String,
    learned: serde_json::Value,
}

/// It finds damage, not forgery.
fn checksum(bytes: &[u8]) -> u64 {
    crate::router::stable_hash(bytes)
}

fn failed(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Storage, format!("what the router learned, {}: {why}", path.display()))
}

impl LearnedFiles {
    /// The files under `data_dir`, with what is in them told to `router`.
    pub(crate) fn open(data_dir: Option<&Path>, router: &dyn Router) -> Result<Self> {
        let Some(dir) = data_dir.map(|dir| dir.join(FOLDER)) else { return Ok(Self(None)) };
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self(Some(Arc::new((dir, Mutex::new(()))))));
            }
            Err(e) => return Err(failed(&dir, e)),
        };
        let mut files: Vec<_> = entries
            .filter_map(std::result::Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "json"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        // The newest last, so that they are the ones that stay where there are too many.
        let from = files.len().saturating_sub(FILES);
        for (_, path) in files.into_iter().skip(from) {
            let kept = read(&path)?;
            match router.import_learned(&kept.organisation, &kept.learned) {
                // A host's router that does not learn has no use for it.
                Err(error) if error.kind() == ErrorKind::Unsupported => break,
                told => told.map_err(|e| failed(&path, e.message()).with_code("corrupt"))?,
            }
        }
        Ok(Self(Some(Arc::new((dir, Mutex::new(()))))))
    }

    /// Writes what `router` learned for `organisation`; when it returns it is on the disk.
    pub(crate) async fn save(&self, router: Arc<dyn Router>, organisation: &str) -> Result<()> {
        let Some(place) = self.0.clone() else { return Ok(()) };
        let organisation = organisation.to_owned();
        let job = move || {
            let (dir, one) = &*place;
            // One at a time, and what is written is what is known then: the last to write knows all.
            let _one = one.lock().unwrap_or_else(PoisonError::into_inner);
            match router.export_learned(&organisation) {
                Some(learned) => write(dir, &Kept { organisation, learned }),
                None => Ok(()),
            }
        };
        let done = tokio::task::spawn_blocking(job).await;
        done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Storage, format!("what was learned was not written: {e}"))))
    }

    /// Forgets what `router` learned for `organisation`, on the disk too; whether there was something.
    pub(crate) async fn erase(&self, router: Arc<dyn Router>, organisation: &str) -> Result<bool> {
        let organisation = organisation.to_owned();
        let Some(place) = self.0.clone() else { return Ok(router.reset_learned(&organisation)) };
        let job = move || {
            let (dir, one) = &*place;
            let _one = one.lock().unwrap_or_else(PoisonError::into_inner);
            let known = router.reset_learned(&organisation);
            let path = path_of(dir, &organisation);
            match std::fs::remove_file(&path) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(known),
                Err(e) => Err(failed(&path, e)),
            }
        };
        let done = tokio::task::spawn_blocking(job).await;
        done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Storage, format!("what was learned was not erased: {e}"))))
    }
}

fn path_of(dir: &Path, organisation: &str) -> PathBuf {
    dir.join(format!("{:016x}.json", checksum(organisation.as_bytes())))
}

fn read(path: &Path) -> Result<Kept> {
    let length = std::fs::metadata(path).map_err(|e| failed(path, e))?.len();
    if length > MAX_BYTES {
        return Err(failed(path, "it is too large to be ours").with_code("corrupt"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failed(path, e))?;
    let parts = text.split_once('\n').filter(|(sum, json)| *sum == format!("{:016x}", checksum(json.as_bytes())));
    let kept = parts.and_then(|(_, json)| serde_json::from_str(json).ok());
    kept.ok_or_else(|| failed(path, "the file is damaged; remove it to begin anew").with_code("corrupt"))
}

/// Beside the file, flushed, then in its place: a crash leaves the old one or the new one.
fn write(dir: &Path, kept: &Kept) -> Result<()> {
    let path = path_of(dir, &kept.organisation);
    let json = serde_json::to_string(kept).map_err(|e| failed(&path, e))?;
    let beside = path.with_extension("new");
    let written = || {
        std::fs::create_dir_all(dir)?;
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(format!("{:016x}\n{json}", checksum(json.as_bytes())).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    };
    written().map_err(|e: std::io::Error| failed(&path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::router::{Catalogue, DefaultRouter, Intent, RouteOutcome, RouterPreferences, Target};
    use std::time::Duration;

    fn router() -> Arc<dyn Router> {
        let clock = Arc::new(SystemClock::new());
        Arc::new(DefaultRouter::new(Catalogue::builtin(), RouterPreferences::default(), clock))
    }

    #[tokio::test]
    async fn what_was_learned_is_there_after_a_restart_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let first = router();
        let files = LearnedFiles::open(Some(dir.path()), &*first).unwrap();
        let mut outcome = RouteOutcome::new(Target::new("openai", "gpt-4o"), Intent::CodingHelp, Duration::ZERO)
            .scored("Sort a list", 0.9)
            .unwrap();
        outcome.organisation = "acme".into();
        first.observe(&outcome);
        files.save(first.clone(), "acme").await.unwrap();
        files.save(first.clone(), "nobody").await.unwrap();
        assert!(!files.erase(first.clone(), "nobody").await.unwrap());

        let second = router();
        LearnedFiles::open(Some(dir.path()), &*second).unwrap();
        assert_eq!(second.export_learned("acme"), first.export_learned("acme"));
        assert!(second.export_learned("nobody").is_none());

        let path = std::fs::read_dir(dir.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
        let damaged = std::fs::read_to_string(&path).unwrap().replace("gpt-4o", "gpt-4x");
        std::fs::write(&path, damaged).unwrap();
        let error = LearnedFiles::open(Some(dir.path()), &*router()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Storage, Some("corrupt")));
        assert!(files.erase(first.clone(), "acme").await.unwrap());
        assert!(first.export_learned("acme").is_none() && !path.exists());
        // In memory there is nothing to read or write.
        LearnedFiles::open(None, &*router()).unwrap().save(first, "acme").await.unwrap();
    }
}
