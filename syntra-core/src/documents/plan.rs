//! What there is to do to bring the index of a folder up to date.

use super::FileKind;
use crate::error::{Error, ErrorKind, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The largest file that is read: 10 MB.
pub const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// The most files of a folder, and how deep folders may lie.
const MAX_FILES: usize = 50_000;
const MAX_DEPTH: usize = 64;
/// Folders that hold what others made.
const SKIPPED_FOLDERS: [&str; 5] = ["node_modules", "__pycache__", "dist", "build", "target"];

/// The SHA-256 of a file's bytes, in hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ContentHash(String);

impl ContentHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect())
    }

    /// A hash that was kept as text.
    pub fn from_hex(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }

    /// Its 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..12).unwrap_or(&self.0))
    }
}

/// A file that is to be indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundFile {
    /// Its path relative to the folder, with `/` between its parts.
    pub path: String,
    /// Where it is, links resolved.
    #[serde(skip)]
    pub location: PathBuf,
    /// Its kind.
    pub kind: FileKind,
    /// Its hash when it was looked at.
    pub hash: ContentHash,
    /// Its size.
    pub bytes: u64,
}

/// Something that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path relative to the folder.
    pub path: String,
    /// Why, in words.
    pub reason: String,
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexPlan {
    /// Files that are not known.
    pub new: Vec<FoundFile>,
    /// Files that are known with another content.
    pub changed: Vec<FoundFile>,
    /// How many are as they were.
    pub unchanged: usize,
    /// Known paths of which there is no file any more.
    pub gone: Vec<String>,
    /// What was left out and may surprise: too large, unreadable, a link. Files of no known kind and skipped folders are not listed.
    pub skipped: Vec<Skipped>,
}

/// Compares the folder `dir` with what is `known` of it: path relative to the folder to hash. Looks into all folders but those that
/// begin with a dot, `node_modules`, `__pycache__`, `dist`, `build` and `target`; at files of a kind that [`FileKind::of`] knows,
/// not beginning with a dot (such hold secrets), of at most [`MAX_FILE_BYTES`]. Links to folders are not followed, links to files
/// only if those lie in the folder. A file that is there but cannot be read is not taken for gone. Reads every file; blocks.
///
/// ```
/// use syntra_core::documents::plan;
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("notes.md"), "# Notes")?;
/// let plan = plan(dir.path(), &Default::default())?;
/// assert_eq!(plan.new[0].path, "notes.md");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ErrorKind::NotFound`] when `dir` is no folder that can be read; [`crate::ErrorKind::LimitReached`] for more than 50,000 files.
pub fn plan(dir: &Path, known: &BTreeMap<String, ContentHash>) -> Result<IndexPlan> {
    plan_within(dir, &[], known)
}

/// As [`plan`], of the files and folders `only` alone (paths relative to `dir`, or in it; none means all). What is known beside them is left
/// as it is. A file that is named and of no kind that is read is among the skipped.
///
/// # Errors
/// As [`plan`]; [`ErrorKind::NotFound`] when one of `only` is not there, [`ErrorKind::InvalidInput`] when it does not lie in `dir`.
pub fn plan_within(dir: &Path, only: &[String], known: &BTreeMap<String, ContentHash>) -> Result<IndexPlan> {
    let root = root(dir)?;
    let mut named = only.iter().map(|path| within(&root, path)).collect::<Result<Vec<_>>>()?;
    if named.iter().any(String::is_empty) {
        // The folder itself.
        named.clear();
    }
    let only = named.as_slice();
    if let Some(missing) = only.iter().find(|path| !root.join(path).exists()) {
        let problem = format!("there is no {missing:?} in {}: give paths relative to the folder", dir.display());
        return Err(Error::new(ErrorKind::NotFound, problem));
    }
    let mut walk = Walk { root: &root, only, known, plan: IndexPlan::default(), seen: BTreeMap::new() };
    walk.folder(&root, "", 0)?;
    let Walk { mut plan, seen, .. } = walk;
    let gone = known.keys().filter(|path| selected(only, path) && !seen.contains_key(*path));
    plan.gone = gone.cloned().collect();
    for path in only.iter().filter(|path| root.join(path).is_file() && !seen.contains_key(*path)) {
        if plan.skipped.iter().all(|skipped| skipped.path != *path) {
            let reason = "of no kind that is read, or where nothing is read".to_owned();
            plan.skipped.push(Skipped { path: path.clone(), reason });
        }
    }
    Ok(plan)
}

/// `path` as a plan writes it: relative to `root`, with `/` between its parts.
fn within(root: &Path, path: &str) -> Result<String> {
    let given = Path::new(path);
    let parts = given.strip_prefix(root).unwrap_or(given).components().filter(|part| *part != Component::CurDir);
    let name = |part| if let Component::Normal(name) = part { name.to_str() } else { None };
    let parts: Option<Vec<&str>> = parts.map(name).collect();
    parts.map(|parts| parts.join("/")).ok_or_else(|| {
        Error::invalid(format!(
            "{path:?} does not lie in {}: give paths relative to the folder, without \"..\"",
            root.display()
        ))
    })
}

/// Where the folder `dir` is, or was: links are resolved as far as there is something.
pub(super) fn place(dir: &Path) -> PathBuf {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let found = dir.ancestors().find_map(|above| Some((above.canonicalize().ok()?, dir.strip_prefix(above).ok()?)));
    match found {
        // To join what is empty would end it in a slash.
        Some((found, rest)) if rest.as_os_str().is_empty() => found,
        Some((found, rest)) => found.join(rest),
        None => dir,
    }
}

/// Whether `path` is one of `only` or lies below one.
fn selected(only: &[String], path: &str) -> bool {
    only.is_empty() || only.iter().any(|o| path == o || below(path, o))
}

fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder's own place, links resolved.
pub(super) fn root(dir: &Path) -> Result<PathBuf> {
    let root = dir.canonicalize().map_err(|e| unreadable(dir).with_source(e))?;
    if root.is_dir() { Ok(root) } else { Err(unreadable(dir)) }
}

fn unreadable(dir: &Path) -> Error {
    let problem = "is not a folder that can be read: give the path of an existing folder";
    Error::new(ErrorKind::NotFound, format!("{} {problem}", dir.display()))
}

/// The bytes of a file that is not larger than [`MAX_FILE_BYTES`], now.
pub(super) fn read(location: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // A file that grows while it is read stays within bounds.
    std::fs::File::open(location)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than 10 MB"));
    }
    Ok(bytes)
}

struct Walk<'a> {
    root: &'a Path,
    only: &'a [String],
    known: &'a BTreeMap<String, ContentHash>,
    plan: IndexPlan,
    /// Every path that exists, whether it could be read or not.
    seen: BTreeMap<String, ()>,
}

impl Walk<'_> {
    fn skip(&mut self, path: String, reason: impl Into<String>) {
        self.plan.skipped.push(Skipped { path, reason: reason.into() });
    }

    fn folder(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<()> {
        let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            // Nothing is known of what is in it: that is no reason to forget it.
            Err(error) if prefix.is_empty() => return Err(unreadable(dir).with_source(error)),
            Err(error) => {
                // What lies in it may still be there.
                let below = format!("{prefix}/");
                let kept: Vec<String> = self.known.keys().filter(|p| p.starts_with(&below)).cloned().collect();
                self.seen.extend(kept.into_iter().map(|p| (p, ())));
                self.skip(prefix.to_owned(), format!("cannot be read: {error}"));
                return Ok(());
            }
        };
        // In the order of their names, so that two runs do the same.
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.skip(format!("{prefix}/{}", name.display()), "its name is not Unicode");
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            let Ok(file_type) = entry.file_type() else { continue };
            // A folder on the way to one of `only` has to be entered.
            let on_the_way = file_type.is_dir() && self.only.iter().any(|o| below(o, &path));
            if !on_the_way && !selected(self.only, &path) {
                continue;
            }
            if file_type.is_dir() {
                if SKIPPED_FOLDERS.contains(&name) {
                    continue;
                }
                if depth + 1 >= MAX_DEPTH {
                    self.skip(path, format!("folders more than {MAX_DEPTH} deep"));
                    continue;
                }
                self.folder(&entry.path(), &path, depth + 1)?;
            } else if let Some(kind) = FileKind::of(Path::new(name)) {
                self.file(&entry.path(), path, kind, file_type.is_symlink())?;
            } else if file_type.is_symlink() && entry.path().is_dir() {
                self.skip(path, "a link to a folder");
            }
        }
        Ok(())
    }

    fn file(&mut self, place: &Path, path: String, kind: FileKind, link: bool) -> Result<()> {
        let location = match place.canonicalize() {
            Ok(location) => location,
            Err(error) => {
                self.skip(path, format!("cannot be found: {error}"));
                return Ok(());
            }
        };
        if link && !location.starts_with(self.root) {
            self.skip(path, "a link that leads out of the folder");
            return Ok(());
        }
        match std::fs::metadata(&location) {
            Ok(about) if !about.is_file() => {
                self.skip(path, "not a regular file");
                return Ok(());
            }
            Ok(about) if about.len() > MAX_FILE_BYTES => {
                self.skip(path, format!("{} bytes, more than {MAX_FILE_BYTES}", about.len()));
                return Ok(());
            }
            _ => {}
        }
        if self.seen.len() >= MAX_FILES {
            return Err(Error::new(
                ErrorKind::LimitReached,
                format!("more than {MAX_FILES} files: index the folders below one by one"),
            ));
        }
        self.seen.insert(path.clone(), ());
        match read(&location) {
            Ok(bytes) => {
                let hash = ContentHash::of(&bytes);
                let known = self.known.get(&path);
                if known == Some(&hash) {
                    self.plan.unchanged += 1;
                    return Ok(());
                }
                let list = if known.is_some() { &mut self.plan.changed } else { &mut self.plan.new };
                list.push(FoundFile { path, location, kind, hash, bytes: bytes.len() as u64 });
            }
            Err(error) => self.skip(path, format!("cannot be read: {error}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn paths(files: &[FoundFile]) -> Vec<&str> {
        files.iter().map(|f| f.path.as_str()).collect()
    }

    #[test]
    fn only_what_is_selected_is_planned_and_the_rest_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in
            [("README.md", "# a"), ("docs/b.md", "b"), ("docs/deep/c.md", "c"), ("docs2/d.md", "d"), ("e.md", "e")]
        {
            let place = dir.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }
        let known = BTreeMap::from([
            ("docs/gone.md".to_owned(), ContentHash::of(b"x")),
            ("elsewhere.md".to_owned(), ContentHash::of(b"y")),
        ]);
        let only = ["README.md".to_owned(), "docs".to_owned()];
        let plan = plan_within(dir.path(), &only, &known).unwrap();
        assert_eq!(paths(&plan.new), ["README.md", "docs/b.md", "docs/deep/c.md"]);
        assert_eq!(plan.gone, ["docs/gone.md"]);
        let deep = plan_within(dir.path(), &["docs/deep".to_owned()], &BTreeMap::new()).unwrap();
        assert_eq!(paths(&deep.new), ["docs/deep/c.md"]);
        let missing = plan_within(dir.path(), &["nowhere".to_owned()], &known).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);

        // However they are written.
        let found = |only: &str| plan_within(dir.path(), &[only.to_owned()], &known);
        let absolute = dir.path().canonicalize().unwrap().join("docs/deep");
        for only in ["./docs/deep", "docs//deep/", "docs/./deep/.", absolute.to_str().unwrap()] {
            assert_eq!(paths(&found(only).unwrap().new), ["docs/deep/c.md"], "{only}");
        }
        let all = found(".").unwrap();
        assert_eq!((all.new.len(), all.gone.len()), (5, 2));
        for outside in ["../docs", "docs/../../x", "/elsewhere"] {
            assert_eq!(found(outside).unwrap_err().kind(), ErrorKind::InvalidInput, "{outside}");
        }
        // Whoever names a file is told that it is not read.
        fs::write(dir.path().join("docs/photo.jpg"), "x").unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        fs::write(dir.path().join("target/made.md"), "x").unwrap();
        for named in ["docs/photo.jpg", "target/made.md"] {
            let plan = found(named).unwrap();
            assert_eq!((plan.new.len(), plan.skipped.len(), plan.skipped[0].path.as_str()), (0, 1, named));
        }
        assert!(found("docs").unwrap().skipped.is_empty());
    }

    #[test]
    fn new_changed_unchanged_and_gone() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let place = dir.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        };
        for path in [
            "a.md",
            "sub/b.rs",
            "sub/deep/c.txt",
            ".git/x.md",
            "node_modules/y.js",
            "target/z.rs",
            ".env",
            "photo.jpg",
            "build/q.md",
        ] {
            write(path, "one");
        }
        let first = plan(dir.path(), &BTreeMap::new()).unwrap();
        assert_eq!(paths(&first.new), ["a.md", "sub/b.rs", "sub/deep/c.txt"]);
        assert!(first.changed.is_empty() && first.gone.is_empty() && first.skipped.is_empty());

        let known: BTreeMap<String, ContentHash> = first.new.iter().map(|f| (f.path.clone(), f.hash.clone())).collect();
        write("a.md", "two");
        write("d.md", "new");
        fs::remove_file(dir.path().join("sub/b.rs")).unwrap();
        let second = plan(dir.path(), &known).unwrap();
        assert_eq!((paths(&second.new), paths(&second.changed)), (vec!["d.md"], vec!["a.md"]));
        assert_eq!((second.unchanged, second.gone), (1, vec!["sub/b.rs".to_owned()]));
    }

    #[cfg(unix)]
    #[test]
    fn links_never_lead_out() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.md"), "secret").unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("in.md"), "in").unwrap();
        symlink(outside.path().join("secret.md"), dir.path().join("out.md")).unwrap();
        symlink(dir.path().join("in.md"), dir.path().join("same.md")).unwrap();
        symlink(outside.path(), dir.path().join("folder")).unwrap();
        symlink(dir.path(), dir.path().join("loop")).unwrap();
        symlink("nowhere", dir.path().join("broken.md")).unwrap();
        let plan = plan(dir.path(), &BTreeMap::new()).unwrap();
        assert_eq!(paths(&plan.new), ["in.md", "same.md"]);
        let skipped: Vec<&str> = plan.skipped.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(skipped, ["broken.md", "folder", "loop", "out.md"]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let known = BTreeMap::from([
            ("sub/a.md".to_owned(), ContentHash::of(b"a")),
            ("b.md".to_owned(), ContentHash::of(b"b")),
        ]);
        let walk = |prefix: &str| {
            let plan = IndexPlan::default();
            let mut walk = Walk { root: dir.path(), only: &[], known: &known, plan, seen: BTreeMap::new() };
            // It was taken away after it was found.
            walk.folder(&dir.path().join("gone"), prefix, 0).map(|()| (walk.seen, walk.plan.skipped))
        };
        let (seen, skipped) = walk("sub").unwrap();
        assert_eq!(
            (seen.into_keys().collect::<Vec<_>>(), skipped[0].path.as_str()),
            (vec!["sub/a.md".to_owned()], "sub")
        );
        assert_eq!(walk("").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_too_large_is_named_and_a_missing_folder_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("big.txt")).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let plan_of = |path: &Path| plan(path, &BTreeMap::from([("gone.md".to_owned(), ContentHash::of(b""))]));
        let found = plan_of(dir.path()).unwrap();
        assert_eq!((found.new.len(), found.skipped.len(), found.gone.len()), (0, 1, 1));
        assert_eq!(plan_of(&dir.path().join("nowhere")).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(plan_of(&dir.path().join("big.txt")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
