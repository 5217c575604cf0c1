//! `sekisho ledger export`: a copy of the ledger, whole or not at all.

use std::path::PathBuf;

use clap::Args;

use super::{day, user_of_this_shell};
use crate::cli::Failure;
use crate::cli::control::RunningProcess;
use crate::cli::output::{Format, write_to};
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

impl Export {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let control = self.process.control(clock)?;
        let format = self.format.word();
        let operator = self.operator.unwrap_or_else(user_of_this_shell);
        let mut target = format!("/ledger/export?format={format}&operator={}", encoded(&operator));
        for (name, day) in [("from", self.from), ("to", self.to)] {
            if let Some(day) = day {
                target.push_str(&format!("&{name}={day}"));
            }
        }
        write_to(self.output.as_deref(), |out| control.fetch(&target, out))
    }
}
