//! Which version of a file was read: so that a change is noticed however soon after the reading it comes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The versions of some files, and of the files in some directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<PathBuf, Option<Version>>);

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Versions {
    /// The present versions. Take them before the files are read: then what changes in between is seen.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut versions = Self::default();
        for path in paths {
            versions.note(path);
        }
        versions
    }

    /// The files and directories.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// Notes the present version of a file, unless one is noted already.
    pub(super) fn note(&mut self, path: &Path) {
        self.0.entry(path.to_owned()).or_insert_with(|| Version::of(path));
        for inside in fs::read_dir(path).into_iter().flatten().flatten() {
            let inside = inside.path();
            let version = Version::of(&inside);
            self.0.entry(inside).or_insert(version);
        }
    }
}

impl Version {
    /// `None` for what is not there.
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}
