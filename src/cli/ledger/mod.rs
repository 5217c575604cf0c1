//! `sekisho ledger`: what the bank's people see of the ledger of transfers, and what they correct in it (LIM-28).
//!
//! Everything is asked of the running process, over its control socket: it holds the ledger's lock, and it writes the
//! audit log.

mod print;

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::control::Control;
use super::{ConfigurationFiles, Failure};
use crate::domain::{Clock, ContractId, JstDate, TransferId, Yen};
use crate::operator::control::encoded;

/// Look into the ledger of transfers, and correct it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Unknown(Unknown),
    Reconcile(Reconcile),
    Export(Export),
    Accept(Accept),
    Limit(Limit),
}

/// Show a contract's day: its limit, what is used and left of it, and its transfers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger show hanakodt
  sekisho ledger show hanakodt --day 2026-11-02 --json

Exit codes: 0 shown · 70 the process does not answer, or refuses · 78 mistakes in the configuration")]
struct Show {
    /// The contract; until there is a registry, a login ID is a contract of its own
    #[arg(value_name = "CONTRACT", value_parser = contract)]
    contract: ContractId,
    /// The day in Japan, such as 2026-11-02 [default: today]
    #[arg(long, value_parser = day)]
    day: Option<JstDate>,
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

/// List the transfers of which nobody knows whether the bank executed them; they stay counted
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 listed · 70 the process does not answer · 78 mistakes in the configuration")]
struct Unknown {
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

/// Settle an unknown transfer by what the bank's own books say
///
/// Look into the bank's books first. A transfer that is released is counted no longer: where the bank did execute it, the
/// customer can now move more than the limit. There is no way back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --committed --reason 'receipt 1234, asked Mr Sato'
  sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --released --reason 'not in the books of 2026-11-02'

Exit codes: 0 settled and on record · 70 it is not unknown, or refused · 78 mistakes in the configuration")]
struct Reconcile {
    /// The transfer's ID, as `sekisho ledger unknown` lists it; it is the request's X-Request-Id
    #[arg(value_parser = transfer)]
    id: TransferId,
    #[command(flatten)]
    outcome: Outcome,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Outcome {
    /// The bank executed it: it stays counted
    #[arg(long)]
    committed: bool,
    /// The bank did not execute it: it is counted no longer
    #[arg(long)]
    released: bool,
}

/// Write the ledger's transfers to a file or the standard output
///
/// In CSV, a value that a spreadsheet would take for a formula begins with an apostrophe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger export --from 2026-11-01 --to 2026-11-30 --format csv --output november.csv
  sekisho ledger export | jq -r 'select(.state == \"unknown\") | .id'

Exit codes: 0 whole · 70 it broke off, or was refused · 78 mistakes in the configuration")]
struct Export {
    /// The first day in Japan on which a transfer was accepted [default: the ledger's first]
    #[arg(long, value_parser = day)]
    from: Option<JstDate>,
    /// The last one [default: the ledger's last]
    #[arg(long, value_parser = day)]
    to: Option<JstDate>,
    /// One JSON object per line, or CSV
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file, made with mode 0600; it appears once it is whole
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Who asks [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

/// Accept the store as it is, and the present clock (LIM-41)
///
/// A gateway refuses transfers when its store is missing, another, or older than the audit log knows, and when the clock
/// lies behind what is recorded. Find out why first: sums that the store does not know are not counted again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho ledger accept --reason 'restored the backup of 02:00, ticket 4711'

Exit codes: 0 accepted and on record · 70 refused · 78 mistakes in the configuration")]
struct Accept {
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

/// Import a customer's own daily limit, or forget it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger limit hanakodt --yen 5000000 --reason 'paper form of 2026-11-02'
  sekisho ledger limit hanakodt --forget --reason 'imported for the wrong contract'

Exit codes: 0 kept and on record · 70 refused · 78 mistakes in the configuration")]
struct Limit {
    /// The contract
    #[arg(value_name = "CONTRACT", value_parser = contract)]
    contract: ContractId,
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Own {
    /// The limit in yen
    #[arg(long, value_name = "N", value_parser = yen)]
    yen: Option<Yen>,
    /// The customer has none: the ceiling holds
    #[arg(long)]
    forget: bool,
}

/// Who acts, and why: for the audit log.
#[derive(Debug, Args)]
struct By {
    /// Why; it stands in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who acts [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

pub(super) fn ledger(arguments: Arguments, clock: &dyn Clock) -> Result<(), Failure> {
    match arguments.command {
        Command::Show(show) => {
            let control = Control::of(&show.configuration, clock)?;
            let day = show.day.map(|day| format!("?day={day}")).unwrap_or_default();
            let target = format!("/ledger/contracts/{}{day}", encoded(show.contract.as_str()));
            told(&control.ask(Method::GET, &target, None)?.followed()?, show.json, print::statement)
        }
        Command::Unknown(unknown) => {
            let control = Control::of(&unknown.configuration, clock)?;
            let answer = control.ask(Method::GET, "/ledger/unknown", None)?.followed()?;
            told(&answer, unknown.json, print::unknown)
        }
        Command::Reconcile(Reconcile { id, outcome, by, configuration }) => {
            let outcome = if outcome.committed { "committed" } else { "released" };
            let target = format!("/ledger/transfers/{id}/reconcile");
            acted(&configuration, clock, &target, json!({ "outcome": outcome }), by, print::reconciled)
        }
        Command::Export(arguments) => export(&arguments, clock),
        Command::Accept(Accept { by, configuration }) => {
            acted(&configuration, clock, "/ledger/accept", json!({}), by, print::accepted)
        }
        Command::Limit(Limit { contract, own, by, configuration }) => {
            let target = format!("/ledger/limits/{}", encoded(contract.as_str()));
            acted(&configuration, clock, &target, json!({ "yen": own.yen.map(Yen::get) }), by, print::own_limit)
        }
    }
}

type Print = fn(&Value, &mut dyn Write) -> io::Result<()>;

/// Gives an order that changes something, and says what came of it.
fn acted(
    configuration: &ConfigurationFiles,
    clock: &dyn Clock,
    target: &str,
    mut order: Value,
    by: By,
    print: Print,
) -> Result<(), Failure> {
    order["reason"] = by.reason.into();
    order["operator"] = by.operator.unwrap_or_else(user_of_this_shell).into();
    let control = Control::of(configuration, clock)?;
    told(&control.ask(Method::POST, target, Some(&order))?.followed()?, false, print)
}

/// Prints an answer as it came, or for people.
fn told(answer: &str, as_json: bool, print: Print) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if as_json {
        out.write_all(answer.as_bytes())?;
    } else {
        let answer = serde_json::from_str(answer).context("the process answered what is no JSON")?;
        print(&answer, &mut out)?;
    }
    Ok(out.flush()?)
}

fn export(arguments: &Export, clock: &dyn Clock) -> Result<(), Failure> {
    let control = Control::of(&arguments.configuration, clock)?;
    let format = match arguments.format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
    };
    let operator = arguments.operator.clone().unwrap_or_else(user_of_this_shell);
    let mut target = format!("/ledger/export?format={format}&operator={}", encoded(&operator));
    for (name, day) in [("from", arguments.from), ("to", arguments.to)] {
        if let Some(day) = day {
            target.push_str(&format!("&{name}={day}"));
        }
    }
    match &arguments.output {
        None => control.fetch(&target, &mut BufWriter::new(io::stdout().lock())),
        Some(file) => into_file(file, |out| control.fetch(&target, out)),
    }
}

/// Writes a file that appears once it is whole.
fn into_file(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
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

/// The name that the record gets where none is given; the process adds the user that the kernel knows.
fn user_of_this_shell() -> String {
    let names = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(|name| std::env::var(name).ok());
    names.map(|name| name.trim().to_owned()).find(|name| !name.is_empty()).unwrap_or_else(|| "unnamed".to_owned())
}

fn contract(text: &str) -> Result<ContractId, String> {
    ContractId::parse(text).ok_or_else(|| "a contract's name is 1 to 64 characters of visible ASCII".to_owned())
}

fn day(text: &str) -> Result<JstDate, String> {
    JstDate::parse(text).ok_or_else(|| "a day is written 2026-11-02".to_owned())
}

fn transfer(text: &str) -> Result<TransferId, String> {
    TransferId::parse(text).ok_or_else(|| "a transfer's ID is a UUID in lower case".to_owned())
}

fn yen(text: &str) -> Result<Yen, String> {
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.and_then(Yen::new).ok_or_else(|| "an amount is whole yen, digits only".to_owned())
}
