//! `sekisho audit`: what an auditor asks before believing the log, and what else is read out of it.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use super::observed::Observed;
use super::{ConfigurationFiles, Failure};
use crate::domain::Clock;
use crate::operator::audit::Digest;
use crate::operator::audit::verify::{self, Kept, Verified};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Verify(Verify),
    Observed(Observed),
}

/// Verify that no record of an audit log was changed, removed, inserted or swapped
///
/// Each line carries the hash of the one before it. Several files, the oldest first, are read as one chain, so that what
/// was moved away is verified together with what is written now. The log of a running gateway may be read too.
///
/// A file alone cannot tell that its end was cut off, or that somebody wrote the whole chain anew: keep the head that
/// this command prints somewhere else, and give it to --head the next time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho audit verify
  sekisho audit verify archive/audit-2026-10.jsonl state/audit.jsonl
  sekisho audit verify --head 9f86d081884c7d65… state/audit.jsonl

Exit codes: 0 the chain is whole · 70 it is not · 78 mistakes in the configuration")]
pub(super) struct Verify {
    /// The files, the oldest first; without one it is that of [audit] in the configuration
    #[arg(value_name = "FILE")]
    logs: Vec<PathBuf>,
    /// A head that was printed before; it must be the hash of a line, the last or an earlier one
    #[arg(long, value_name = "HASH")]
    head: Option<Digest>,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

pub(super) fn audit(command: &Command, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Command::Verify(verify) => verify.run(clock),
        Command::Observed(observed) => observed.run(clock),
    }
}

impl Verify {
    fn run(&self, clock: &dyn Clock) -> Result<(), Failure> {
        let files = files(&self.logs, &self.configuration, clock)?;
        let verified = verify::verify(&files, self.head).context("the audit log is not whole")?;
        Ok(print(&verified, &mut io::stdout().lock())?)
    }
}

/// The logs that were named, or that of the configuration.
pub(super) fn files(
    logs: &[PathBuf],
    configuration: &ConfigurationFiles,
    clock: &dyn Clock,
) -> Result<Vec<PathBuf>, Failure> {
    if !logs.is_empty() {
        return Ok(logs.to_vec());
    }
    let settings = configuration.load(clock)?.audit;
    Ok(vec![settings.ok_or_else(|| anyhow!("the configuration has no [audit]"))?.file])
}

fn print(verified: &Verified, out: &mut impl Write) -> io::Result<()> {
    let Verified { records, first, last, continues, recoveries, head, unfinished, kept } = verified;
    writeln!(out, "records   {records}, sequence {} to {}", first.sequence, last.sequence)?;
    writeln!(out, "time      {} to {}", first.time, last.time)?;
    match continues {
        None => writeln!(out, "begins    with the first record of the chain")?,
        Some(hash) => writeln!(out, "begins    after a line of an earlier file, {hash}")?,
    }
    for recovery in recoveries {
        let (file, line) = (recovery.told_at.file.display(), recovery.told_at.line);
        writeln!(out, "recovered {file} line {line} tells of {} bytes that a crash tore", recovery.bytes)?;
    }
    if let Some(bytes) = unfinished {
        writeln!(out, "ends      with {bytes} bytes of an unfinished line: being written, or torn by a crash")?;
    }
    match kept {
        None => {}
        Some(Kept::BeforeTheFirst) => writeln!(out, "kept head is the line before the first")?,
        Some(Kept::At(place)) => writeln!(out, "kept head is {} line {}", place.file.display(), place.line)?,
    }
    writeln!(out, "head      {head}")?;
    writeln!(out, "the chain is whole")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::domain::{ManualClock, SystemClock};
    use crate::operator::audit::{Action, Audit, OperatorAct, Record, Settings};
    use crate::operator::metrics::Metrics;

    #[test]
    fn a_whole_log_is_described_and_a_broken_one_named() {
        let directory = tempfile::TempDir::new().unwrap();
        let settings = Settings::of(directory.path().join("audit.jsonl"));
        let clock = Arc::new(ManualClock::at("2026-11-02T01:00:00Z".parse().unwrap()));
        let metrics = Metrics::new(std::iter::empty()).unwrap();
        let log = Audit::open(&settings, None, clock, &metrics.audit).unwrap();
        log.record(Record::new(Action::Operator(OperatorAct::LedgerExported)));
        drop(log);
        let files = [settings.file.clone()];
        let verified = verify::verify(&files, None).unwrap();
        let mut out = Vec::new();
        print(&verified, &mut out).unwrap();
        let expected = format!(
            "records   3, sequence 1 to 3\n\
             time      2026-11-02T01:00:00.000Z to 2026-11-02T01:00:00.000Z\n\
             begins    with the first record of the chain\n\
             head      {}\n\
             the chain is whole\n",
            verified.head
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);

        let changed = fs::read_to_string(&settings.file).unwrap().replace("exported", "adjusted");
        fs::write(&settings.file, changed).unwrap();
        let command = Command::Verify(Verify {
            logs: files.to_vec(),
            head: None,
            configuration: ConfigurationFiles { files: Vec::new() },
        });
        let Err(Failure::Other(error)) = audit(&command, &SystemClock) else { panic!() };
        let file = settings.file.display();
        let expected = format!(
            "the audit log is not whole: the chain is broken at {file} line 3: it does not follow the line before it: one \
             of the two was changed"
        );
        assert_eq!(format!("{error:#}"), expected);
    }
}
