//! Files that appear whole or not at all.
//!
//! A gateway that watches a directory must never read half a revocation list. Nothing is flushed to the disk: a
//! development authority that a power cut spoils is made again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Everybody: certificates and revocation lists.
    Everyone,
    /// The owner alone: keys.
    Owner,
}

/// Writes `content` beside `path` and renames it into place.
pub(super) fn write_whole(path: &Path, readers: Readers, content: &[u8]) -> io::Result<()> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{:016x}", u64::from_be_bytes(random)));
    let mode = match readers {
        Readers::Everyone => 0o644,
        Readers::Owner => 0o600,
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&beside);
    }
    written
}
