//! The entries on this gateway's own disk: a line for each, under a first line that says how many and what their hash is.
//!
//! Written whole each time: there are few, and half a file must never look like a shorter one. A file that cannot be read is
//! an error and never an empty set; only one that was never there is empty.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::entry::{Entry, Subject};
use crate::store::durable::write_atomically;

const HEADER: &str = "sekisho-blocks 1";

/// Why the blocks of this gateway are not known, so that nobody may be let in.
#[derive(Debug, thiserror::Error)]
pub enum FileDefect {
    /// The file system refuses.
    #[error("the blocks in {path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It is not what was written.
    #[error(
        "the blocks in {path} are damaged ({what}): restore the file from a backup; without it, who was shut out is not known"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

pub(super) type Entries = BTreeMap<Subject, Entry>;

/// What the file holds.
pub(super) fn read(path: &Path) -> Result<Entries, FileDefect> {
    match std::fs::read(path) {
        Ok(content) => parse(&content).map_err(|what| FileDefect::Damaged { path: path.to_owned(), what }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Entries::new()),
        Err(error) => Err(FileDefect::Unreadable { path: path.to_owned(), error }),
    }
}

/// Replaces what it holds; on the disk when this returns.
pub(super) fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    write_atomically(path, content(entries).as_bytes())
}

fn content(entries: &Entries) -> String {
    let mut lines = String::new();
    for entry in entries.values() {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{}", entry.line());
    }
    format!("{HEADER} {} {}\n{lines}", entries.len(), hash(&lines))
}

fn parse(content: &[u8]) -> Result<Entries, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "it is no text")?;
    let (first, lines) = text.split_once('\n').ok_or("its first line is missing")?;
    let header = first.strip_prefix(HEADER).ok_or("its first line is not that of blocks")?;
    let (count, sum) = header.trim_start().split_once(' ').ok_or("its first line is not whole")?;
    if sum != hash(lines) {
        return Err("its hash does not fit");
    }
    let entries = lines.lines().map(|line| Entry::read(line).map(|entry| (entry.act.subject.clone(), entry)));
    let entries: Entries = entries.collect::<Option<_>>().ok_or("a line is no entry")?;
    if count != entries.len().to_string() {
        return Err("it holds another number of entries than it says");
    }
    Ok(entries)
}

fn hash(lines: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, lines.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blocks::State;
    use crate::store::blocks::entry::tests::entry;

    fn some() -> Entries {
        let entries = [entry("hanakodt", 1, State::Blocked), entry("tarokodt", 2, State::Lifted)];
        entries.into_iter().map(|entry| (entry.act.subject.clone(), entry)).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks");
        assert_eq!(read(&path).unwrap(), Entries::new(), "never written");
        for entries in [some(), Entries::new()] {
            write(&path, &entries).unwrap();
            assert_eq!(read(&path).unwrap(), entries);
        }
    }

    /// Each byte that is changed or cut off is noticed.
    #[test]
    fn damage_is_never_a_smaller_set() {
        let good = content(&some()).into_bytes();
        for at in 0..good.len() {
            assert!(parse(&good[..at]).is_err(), "cut at {at}");
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(parse(&changed).is_err(), "changed at {at}");
        }
        let empty = content(&Entries::new());
        assert_eq!(parse(empty.as_bytes()), Ok(Entries::new()));
        assert!(parse(b"").is_err());
        assert!(parse(&[&good[..], b"\n"].concat()).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read(directory.path()), Err(FileDefect::Unreadable { .. })));
    }
}
