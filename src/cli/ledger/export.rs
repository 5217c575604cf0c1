//! `sekisho ledger export`: a copy of the ledger, whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{day, user_of_this_shell};
use crate::cli::Failure;
use crate::cli::control::RunningProcess;
use crate::domain::{Clock, JstDate};
use crate::operator::control::encoded;

/// Write the ledger's transfers to a file or the standard output
///
/// In CSV, a value that a spreadsheet would take for a formula begins with an apostrophe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger export --from 2026-11-01 --to 2026-11-30 --format csv --output november.csv
  sekisho ledger export | jq -r 'select(.state == \"unknown\") | .id'

Exit codes: 0 whole · 70 it broke off, or was refused · 78 mistakes in the configuration")]
pub(in crate::cli) struct Export {
    /// The first day in Japan on which a transfer was accepted [default: the ledger's first]
    #[arg(long, value_parser = day)]
    from: Option<JstDate>,
    /// The last one [default: the ledger's last]
    #[arg(long, value_parser = day)]
    to: Option<JstDate>,
    /// One JSON object per line, or CSV
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file, made with mode 0600; it appears once it is whole. A pipe or a device is written to as it is
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Who asks [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    #[command(flatten)]
    process: RunningProcess,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

impl Export {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let control = self.process.control(clock)?;
        let format = match self.format {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
        };
        let operator = self.operator.unwrap_or_else(user_of_this_shell);
        let mut target = format!("/ledger/export?format={format}&operator={}", encoded(&operator));
        for (name, day) in [("from", self.from), ("to", self.to)] {
            if let Some(day) = day {
                target.push_str(&format!("&{name}={day}"));
            }
        }
        match &self.output {
            None => control.fetch(&target, &mut BufWriter::new(io::stdout().lock())),
            Some(file) => into_file(file, |out| control.fetch(&target, out)),
        }
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
        // What is not whole must not be taken for the ledger.
        let _ = fs::remove_file(&part);
    }
    written
}
