//! Where what the router learned and what came of experiments is kept: one file an organisation in the data directory, with its checksum in the
//! first line.

use crate::chat::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::router::{Experiments, Router};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folder in the data directory.
const FOLDER: &str = "learned";
/// Files that are read at the start.
const FILES: usize = 64;
/// A file beyond this is none of ours.
const MAX_BYTES: u64 = 64 << 20;

/// Who learns, and the files that it is kept in: none where everything is in memory.
#[derive(Clone, Debug)]
pub(crate) struct LearnedFiles {
    place: Option<Arc<(PathBuf, Mutex<()>)>>,
    router: Arc<dyn Router>,
    experiments: Arc<Experiments>,
    /// By organisation, whose scores the router learned from.
    givers: Arc<Mutex<HashMap<String, Givers>>>,
}

/// Users remembered of an organisation, and organisations; of more it is not known whose scores there are.
const GIVERS: usize = 1 << 16;
const ORGANISATIONS: usize = 1_024;

/// Whose scores an organisation's router learned from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Givers {
    /// Hashes of their names.
    users: BTreeSet<u64>,
    /// How many scores they gave.
    scores: u64,
}

impl Givers {
    fn hash(scope: &Scope) -> u64 {
        crate::router::stable_hash(format!("{}\0{}", scope.org(), scope.user()).as_bytes())
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    organisation: String,
    #[serde(default)]
    learned: Option<serde_json::Value>,
    #[serde(default)]
    experiments: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    givers: Option<Givers>,
}

/// It finds damage, not forgery.
fn checksum(bytes: &[u8]) -> u64 {
    crate::router::stable_hash(bytes)
}

fn failed(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Storage, format!("what the router learned, {}: {why}", path.display()))
}

impl LearnedFiles {
    /// The files under `data_dir`, with what is in them told to `router` and `experiments`.
    pub(crate) fn open(
        data_dir: Option<&Path>,
        router: Arc<dyn Router>,
        experiments: Arc<Experiments>,
    ) -> Result<Self> {
        let dir = data_dir.map(|dir| dir.join(FOLDER));
        let place = dir.clone().map(|dir| Arc::new((dir, Mutex::new(()))));
        let files = Self { place, router, experiments, givers: Arc::default() };
        let Some(dir) = dir else { return Ok(files) };
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(files),
            Err(e) => return Err(failed(&dir, e)),
        };
        let mut found: Vec<_> = entries
            .filter_map(std::result::Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "json"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort();
        // The newest last, so that they are the ones that stay where there are too many.
        let from = found.len().saturating_sub(FILES);
        for (_, path) in found.into_iter().skip(from) {
            // Another process may have forgotten it meanwhile.
            let Some(Kept { organisation, learned, experiments, givers }) = read(&path)? else { continue };
            if let Some(givers) = givers {
                files.givers().insert(organisation.clone(), givers);
            }
            let corrupt = |e: Error| failed(&path, e.message()).with_code("corrupt");
            if let Some(results) = experiments {
                files.experiments.import(&organisation, &results).map_err(corrupt)?;
            }
            match learned.map(|learned| files.router.import_learned(&organisation, &learned)) {
                // A host's router that does not learn has no use for it.
                Some(Err(error)) if error.kind() == ErrorKind::Unsupported => {}
                Some(told) => told.map_err(corrupt)?,
                None => {}
            }
        }
        Ok(files)
    }

    /// Writes what is known of `organisation`; when it returns it is on the disk.
    pub(crate) async fn save(&self, organisation: &str) -> Result<()> {
        self.written(organisation, |_| {}).await.map(|_| ())
    }

    fn givers(&self) -> MutexGuard<'_, HashMap<String, Givers>> {
        self.givers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the router learned from a score of the scope's user.
    pub(crate) fn gave(&self, scope: &Scope) {
        let mut all = self.givers();
        if all.len() >= ORGANISATIONS && !all.contains_key(scope.org()) {
            all.clear();
        }
        let givers = all.entry(scope.org().to_owned()).or_default();
        let user = Givers::hash(scope);
        if givers.users.len() < GIVERS || givers.users.contains(&user) {
            givers.users.insert(user);
            givers.scores += 1;
        }
    }

    /// Says that what the router knows of `organisation` is from elsewhere, nobody knows from whom.
    pub(crate) fn anybodys(&self, organisation: &str) {
        self.givers().remove(organisation);
    }

    /// Forgets what the router learned for the organisation of `scope` where scores of its user are in it, or where nobody knows whose are: sums
    /// cannot be taken apart. Whether there was something to forget.
    pub(crate) async fn forget_user(&self, scope: &Scope) -> Result<bool> {
        let Some(learned) = self.router.export_learned(scope.org()) else { return Ok(false) };
        // Scores that came by another way than `gave` are in the count of outcomes alone.
        let outcomes = learned.get("outcomes").and_then(serde_json::Value::as_u64).unwrap_or(u64::MAX);
        let others = {
            let all = self.givers();
            let givers = all.get(scope.org()).cloned().unwrap_or_default();
            outcomes <= givers.scores && !givers.users.contains(&Givers::hash(scope))
        };
        if others { Ok(false) } else { self.forget(scope.org()).await }
    }

    /// Forgets what the router learned for `organisation`, on the disk too; whether there was something.
    pub(crate) async fn forget(&self, organisation: &str) -> Result<bool> {
        self.anybodys(organisation);
        let organisation_ = organisation.to_owned();
        self.written(organisation, move |router| {
            router.reset_learned(&organisation_);
        })
        .await
    }

    /// Writes what is known after `change`; whether the router had learned something before.
    async fn written(&self, organisation: &str, change: impl FnOnce(&dyn Router) + Send + 'static) -> Result<bool> {
        let Some(place) = self.place.clone() else {
            let known = self.router.export_learned(organisation).is_some();
            change(&*self.router);
            return Ok(known);
        };
        let (files, organisation) = (self.clone(), organisation.to_owned());
        let (router, experiments) = (self.router.clone(), self.experiments.clone());
        let job = move || {
            let (dir, one) = &*place;
            // One at a time, and what is written is what is known then: the last to write knows all.
            let _one = one.lock().unwrap_or_else(PoisonError::into_inner);
            let known = router.export_learned(&organisation).is_some();
            change(&*router);
            let (learned, experiments) = (router.export_learned(&organisation), experiments.export(&organisation));
            let givers = files.givers().get(&organisation).cloned();
            write(dir, &Kept { organisation, learned, experiments, givers }).map(|()| known)
        };
        let done = tokio::task::spawn_blocking(job).await;
        done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Storage, format!("what was learned was not written: {e}"))))
    }
}

fn read(path: &Path) -> Result<Option<Kept>> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| failed(path, e))?,
    };
    if file.metadata().map_err(|e| failed(path, e))?.len() > MAX_BYTES {
        return Err(failed(path, "it is too large to be ours").with_code("corrupt"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|e| failed(path, e))?;
    let parts = text.split_once('\n').filter(|(sum, json)| *sum == format!("{:016x}", checksum(json.as_bytes())));
    let kept = parts.and_then(|(_, json)| serde_json::from_str(json).ok());
    kept.map(Some).ok_or_else(|| failed(path, "the file is damaged; remove it to begin anew").with_code("corrupt"))
}

/// Beside the file, flushed, then in its place: a crash leaves the old one or the new one. Nothing known is no file. Processes take turns, for
/// they write beside it in the same place.
fn write(dir: &Path, kept: &Kept) -> Result<()> {
    let path = dir.join(format!("{:016x}.json", checksum(kept.organisation.as_bytes())));
    let nothing = kept.learned.is_none() && kept.experiments.is_none();
    if nothing && !path.exists() {
        return Ok(());
    }
    let turn = std::fs::create_dir_all(dir).and_then(|()| File::create(dir.join("lock")));
    let turn = turn.map_err(|e| failed(dir, e))?;
    match turn.lock() {
        Err(e) if e.kind() != std::io::ErrorKind::Unsupported => return Err(failed(dir, e)),
        _ => {}
    }
    if nothing {
        return match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(&path, e)),
            _ => Ok(()),
        };
    }
    let json = serde_json::to_string(kept).map_err(|e| failed(&path, e))?;
    let beside = path.with_extension("new");
    let written = || {
        let mut file = File::create(&beside)?;
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
    use crate::router::{
        Catalogue, DefaultRouter, Experiment, Intent, RouteOutcome, RouterPreferences, RoutingPolicy, Target,
    };
    use std::time::Duration;

    fn router() -> Arc<dyn Router> {
        let clock = Arc::new(SystemClock::new());
        Arc::new(DefaultRouter::new(Catalogue::builtin(), RouterPreferences::default(), clock))
    }

    fn experiments() -> Arc<Experiments> {
        let arm = |e: Experiment, name: &str| e.with_arm(name, 1.0, RoutingPolicy::new());
        Arc::new(Experiments::new(vec![arm(arm(Experiment::new("x"), "a"), "b")]).unwrap())
    }

    fn open(dir: &Path) -> Result<LearnedFiles> {
        LearnedFiles::open(Some(dir), router(), experiments())
    }

    fn scores(files: &LearnedFiles) -> (u64, Option<f64>) {
        let arms = files.experiments.report("acme").remove(0).arms;
        arms.iter().find(|arm| arm.score.count > 0).map_or((0, None), |arm| (arm.score.count, arm.score.mean))
    }

    #[tokio::test]
    async fn a_user_without_a_score_takes_nothing_along() {
        let dir = tempfile::tempdir().unwrap();
        let [ada, bob] = ["ada", "bob"].map(|user| Scope::new("acme", user).unwrap());
        let scored = || {
            let outcome = RouteOutcome::new(Target::new("openai", "gpt-4o"), Intent::CodingHelp, Duration::ZERO);
            let mut outcome = outcome.scored("Sort a list", 0.9).unwrap();
            outcome.organisation = "acme".into();
            outcome
        };
        let first = open(dir.path()).unwrap();
        assert!(!first.forget_user(&bob).await.unwrap(), "there is nothing yet");
        first.router.observe(&scored());
        first.gave(&ada);
        first.save("acme").await.unwrap();
        // After a restart too.
        let files = open(dir.path()).unwrap();
        assert!(!files.forget_user(&bob).await.unwrap());
        assert!(files.router.export_learned("acme").is_some());
        assert!(files.forget_user(&ada).await.unwrap());
        assert!(files.router.export_learned("acme").is_none());
        assert!(open(dir.path()).unwrap().router.export_learned("acme").is_none());
        // A score that came another way may be anybody's, and so may what was learned elsewhere.
        files.router.observe(&scored());
        assert!(files.forget_user(&bob).await.unwrap());
        files.router.observe(&scored());
        files.gave(&ada);
        files.anybodys("acme");
        assert!(files.forget_user(&bob).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_learned_is_there_after_a_restart_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let mut outcome = RouteOutcome::new(Target::new("openai", "gpt-4o"), Intent::CodingHelp, Duration::ZERO)
            .scored("Sort a list", 0.9)
            .unwrap();
        outcome.organisation = "acme".into();
        first.router.observe(&outcome);
        let arms: Vec<_> = first.experiments.assign(&Scope::new("acme", "ada").unwrap());
        let arms: Vec<_> = arms.into_iter().map(|(arm, _)| arm).collect();
        first.experiments.score("acme", &arms, 1.0);
        first.save("acme").await.unwrap();
        first.save("nobody").await.unwrap();
        assert!(!first.forget("nobody").await.unwrap());

        let second = open(dir.path()).unwrap();
        assert_eq!(second.router.export_learned("acme"), first.router.export_learned("acme"));
        assert_eq!(scores(&second), (1, Some(1.0)));
        assert!(second.router.export_learned("nobody").is_none());

        let path = std::fs::read_dir(dir.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole.replace("gpt-4o", "gpt-4x")).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Storage, Some("corrupt")));
        std::fs::write(&path, whole).unwrap();

        assert!(first.forget("acme").await.unwrap());
        assert!(first.router.export_learned("acme").is_none());
        // Counts of an experiment say nothing of any question and stay.
        let third = open(dir.path()).unwrap();
        assert!(third.router.export_learned("acme").is_none());
        assert_eq!(scores(&third), (1, Some(1.0)));
        // In memory there is nothing to read or write.
        let memory = LearnedFiles::open(None, first.router.clone(), experiments()).unwrap();
        memory.save("acme").await.unwrap();
        assert!(!memory.forget("acme").await.unwrap());
    }

    #[test]
    fn those_who_write_and_read_at_once_never_see_half_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let kept = |n: usize| Kept {
            organisation: "acme".into(),
            learned: Some(serde_json::json!("x".repeat(n * 50_000 + 1))),
            experiments: None,
            givers: None,
        };
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|n| scope.spawn(move || (0..25).try_for_each(|round| write(dir, &kept((n + round) % 5)))))
                .collect();
            while !writers.iter().all(|writer| writer.is_finished()) {
                for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| entry.ok()) {
                    if entry.path().extension().is_some_and(|e| e == "json") {
                        read(&entry.path()).unwrap();
                    }
                }
            }
            writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
        });
        assert!(read(&dir.join("nothing.json")).unwrap().is_none());
    }
}
