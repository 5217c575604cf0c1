//! Files that commands write: whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;

use super::Failure;

/// How an export is written, and how a file that is imported was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Jsonl,
    Csv,
}

impl Format {
    /// The word in a request.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Writes to a file, or to the standard output where none is named.
pub(super) fn write_to(
    file: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match file {
        None => write(&mut BufWriter::new(io::stdout().lock())),
        Some(file) => into_file(file, write),
    }
}

/// Writes to what is named: a new file appears once it is whole, and one that is there is replaced then. What is no regular
/// file (a pipe, a device) is somebody's, and is written to as it is.
fn into_file(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = || format!("{} cannot be written", file.display());
    match fs::metadata(file) {
        Ok(found) if found.is_file() => replace(&fs::canonicalize(file).with_context(failed)?, write),
        Ok(_) => {
            let opened = OpenOptions::new().write(true).open(file).with_context(failed)?;
            let mut out = BufWriter::new(opened);
            write(&mut out)?;
            Ok(out.flush().with_context(failed)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(file, write),
        Err(error) => Err(anyhow::Error::new(error).context(failed()).into()),
    }
}

/// Writes a file that appears once it is whole.
fn replace(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut name = file.file_name().context("--output names no file")?.to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let failed = || format!("{} cannot be written", part.display());
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let mut out = BufWriter::new(opened.with_context(failed)?);
    let written = write(&mut out).and_then(|()| {
        let opened = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(failed)?;
        opened.sync_all().with_context(failed)?;
        Ok(fs::rename(&part, file).with_context(failed)?)
    });
    if written.is_err() {
        // What is not whole must not be taken for what it is a part of.
        let _ = fs::remove_file(&part);
    }
    written
}
