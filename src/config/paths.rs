//! No file has two uses: what the gateway writes is a file of its own, which it neither writes nor reads as something else.
//!
//! Deliberately absent: what somebody does later, such as a link that is put in place while the gateway runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::mistake::{Mistake, Noted, Read};
use super::section::Context;
use crate::{operator, store};

/// A file that is written, and the key that names it.
struct Written<'a> {
    key: &'static str,
    path: &'a Path,
    identity: Identity,
}

/// What makes a file the same as another one.
#[derive(Debug)]
struct Identity {
    /// Where it lies, by the names of directories that are there.
    place: PathBuf,
    /// Device and inode, where it is there.
    node: Option<(u64, u64)>,
}

/// Compares the files that are written with each other, and with those that are read.
///
/// # Errors
/// One file has two uses: whichever comes second would destroy it.
pub(super) fn compare(
    context: &Context<'_>,
    store: &store::Settings,
    audit: Option<&operator::audit::Settings>,
    operator: &operator::Settings,
) -> Read<()> {
    let store = match store {
        store::Settings::Embedded { path, .. } => Written::new("store.path", path),
        store::Settings::Redis(settings) => Written::new("store.journal", &settings.journal),
    };
    let audit = audit.map(|audit| Written::new("audit.file", &audit.file));
    let control = Written::new("operator.control", &operator.control);
    let written: Vec<Written<'_>> = [Some(store), audit, Some(control)].into_iter().flatten().collect();
    let (files, lists) = (context.watched.borrow(), context.lists.borrow());
    let read: Vec<Identity> = files.paths().chain(lists.paths()).map(|path| Identity::of(path)).collect();
    let mut outcome = Ok(());
    for (index, file) in written.iter().enumerate() {
        let is_same = |identity: &Identity| file.identity.is_same(identity);
        if let Some(other) = written[..index].iter().find(|other| is_same(&other.identity)) {
            outcome = Err(mistake(context, file, &format!("is also {}", other.key)));
        } else if read.iter().any(is_same) {
            outcome = Err(mistake(context, file, "is also a file that is read"));
        }
    }
    outcome
}

fn mistake(context: &Context<'_>, file: &Written<'_>, text: &str) -> Noted {
    let place = context.layers.place_of_section(file.key);
    let text = format!("{} {text}", file.path.display());
    context.report.mistake(Mistake { place, key: file.key.to_owned(), text, remedy: None })
}

impl<'a> Written<'a> {
    fn new(key: &'static str, path: &'a Path) -> Self {
        Self { key, path, identity: Identity::of(path) }
    }
}

impl Identity {
    fn of(path: &Path) -> Self {
        let node = fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
        Self { place: place_of(path), node }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.place == other.place || (self.node.is_some() && self.node == other.node)
    }
}

/// The path without links and dots, as far as it exists.
fn place_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::Normal(_) => place.push(part),
        }
        // After each step, because `..` behind a link leads out of what the link leads to.
        if let Ok(found) = place.canonicalize() {
            place = found;
        }
    }
    place
}
