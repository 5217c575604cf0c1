//! `sekisho audit observed`: what a bank asks before it enforces.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::table::{Align, Table};
use super::{ConfigurationFiles, Failure, audit};
use crate::domain::{Clock, Yen};
use crate::operator::audit::observed::{Tallied, tally};

/// List what would have been refused while [transfer] mode was "observe": method, path, reason, and how often
///
/// Below a wide prefix, such as "/ib/", the reasons unknown_route and method_not_routed are the screens that no [[route]]
/// declares. The first of a kind stands in the log at once; how many followed is told once an hour, and when the gateway ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho audit observed
  sekisho audit observed archive/audit-2026-10.jsonl state/audit.jsonl

Exit codes: 0 listed · 70 a file cannot be read · 78 mistakes in the configuration")]
pub(super) struct Observed {
    /// The files; without one it is that of [audit] in the configuration
    #[arg(value_name = "FILE")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

impl Observed {
    pub(super) fn run(&self, clock: &dyn Clock) -> Result<(), Failure> {
        let files = audit::files(&self.logs, &self.configuration, clock)?;
        Ok(print(&tally(&files)?, &mut io::stdout().lock())?)
    }
}

fn print(tallied: &[Tallied], out: &mut dyn Write) -> io::Result<()> {
    if tallied.is_empty() {
        return writeln!(out, "nothing was observed that would have been refused");
    }
    let mut table = Table::new([
        ("count", Align::Right),
        ("method", Align::Left),
        ("path", Align::Left),
        ("reason", Align::Left),
        ("route", Align::Left),
    ]);
    for Tallied { count, method, path, reason, route } in tallied {
        let count = Yen::new(*count).unwrap_or(Yen::MAX).grouped();
        let path = if path.is_empty() { "(more kinds than are told)" } else { path };
        table.row([count, method.clone(), path.to_owned(), reason.clone(), route.clone()]);
    }
    table.print(out)
}
