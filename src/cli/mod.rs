//! The command line: which commands there are, and what a shell learns from each.
//!
//! One file per command. Every failure ends here and becomes an exit code: 64 for a command that was not understood, 78
//! for a configuration with mistakes, 75 for what was proposed and takes a second person, 70 for everything else that went wrong.

mod assertion;
mod audit;
mod certificate;
mod check;
mod contract;
mod control;
mod demo;
mod ledger;
mod logging;
mod observed;
mod orders;
mod output;
mod pki;
mod registry_files;
mod reload;
mod run;
mod table;

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Mistakes};
use crate::domain::{Clock, SystemClock};

/// The command was not understood (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;
/// It was understood and failed (`EX_SOFTWARE`).
const EXIT_FAILURE: u8 = 70;
/// It was proposed, and somebody else must ask for the same (`EX_TEMPFAIL`).
const EXIT_PROPOSED: u8 = 75;
/// The configuration has mistakes (`EX_CONFIG`).
const EXIT_CONFIGURATION: u8 = 78;

const AFTER_HELP: &str = "\
The first minute:
  sekisho demo                       see it work, nothing to prepare

Then, in an empty directory with a config.toml:
  sekisho pki dev certs              make certificates, a revocation list and keys for development
  sekisho check                      list every mistake of the configuration
  sekisho run                        start; SIGHUP reloads, SIGTERM drains

Exit codes: 0 done · 64 command not understood · 70 failed · 78 mistakes in the configuration";

/// The checkpoint in front of a bank: admits holders of its client certificates, tells the application who they are in
/// a header that cannot be forged, and forwards the rest untouched.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    Demo(demo::Arguments),
    /// Make certificates for development, or revoke one of them
    #[command(subcommand)]
    Pki(pki::Command),
    /// Look into the signed header
    #[command(subcommand)]
    Assertion(assertion::Command),
    /// Look into the audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look into the ledger of transfers, and correct it
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Tell the registry of contracts and their login IDs
    #[command(subcommand)]
    Contract(contract::Command),
    /// Register certificates; shut certificates and customers out at once, before the CA publishes a list
    #[command(subcommand)]
    Certificate(certificate::Command),
    Reload(reload::Arguments),
}

/// Which configuration a command is about.
#[derive(Debug, Clone, Args)]
struct ConfigurationFiles {
    /// Configuration file; repeat it to lay further files over the first. SEKISHO_… variables come last:
    /// SEKISHO_TRUST__CRL_GRACE sets trust.crl-grace. Relative paths in the files begin at the directory of the first
    #[arg(long = "config", value_name = "FILE", default_value = "config.toml")]
    files: Vec<PathBuf>,
}

impl ConfigurationFiles {
    fn load(&self, clock: &dyn Clock) -> Result<Config, Mistakes> {
        // A variable that is no text cannot be a setting.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::load(&self.files, environment, clock)
    }
}

/// Why a command failed.
enum Failure {
    /// The configuration has mistakes; the text is one line for each.
    Configuration(String),
    /// It takes two people, and this was the first; the text says until when the second may come.
    Proposed(String),
    /// Everything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Configuration(mistakes.to_string())
    }
}

/// Parses the arguments, runs one command, and says how it went.
pub fn run_command() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            // `--help` and `--version` come this way too. Nobody is left to tell if printing fails.
            let _ = answer.print();
            return if answer.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let done = match arguments.command {
        Command::Run(arguments) => run::run(arguments, clock),
        Command::Check(arguments) => check::check(&arguments, &*clock),
        Command::Demo(arguments) => demo::demo(&arguments, clock),
        Command::Pki(command) => pki::pki(command, &*clock),
        Command::Assertion(command) => assertion::assertion(command, &*clock),
        Command::Audit(command) => audit::audit(&command, &*clock),
        Command::Ledger(command) => ledger::ledger(command, &*clock),
        Command::Contract(command) => contract::contract(command, &*clock),
        Command::Certificate(command) => certificate::certificate(command, &*clock),
        Command::Reload(arguments) => reload::reload(&arguments, &*clock),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(mistakes)) => {
            complain(format_args!("{mistakes}"));
            ExitCode::from(EXIT_CONFIGURATION)
        }
        Err(Failure::Proposed(said)) => {
            eprintln!("{said}");
            ExitCode::from(EXIT_PROPOSED)
        }
        Err(Failure::Other(error)) if is_broken_pipe(&error) => ExitCode::from(EXIT_FAILURE),
        Err(Failure::Other(error)) => {
            complain(format_args!("sekisho: {error:#}"));
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// Writes a line to standard error. Where that cannot be written the exit code says it alone, and must be the promised one.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether whoever read our output went away, as `head` does: no reason to complain.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref()).any(|io: &io::Error| io.kind() == io::ErrorKind::BrokenPipe)
}

/// A runtime for commands that need one: signals, a socket, the demo. The gateway's workers have their own.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests;
