//! `sekisho ledger`: what the bank's people see of the ledger of transfers, and what they correct in it (LIM-28).
//!
//! Everything is asked of the running process, over its control socket: it holds the ledger's lock, and it writes the
//! audit log.

mod act;
mod export;
mod look;
mod own_limit;
mod print;

use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::Value;

use super::Failure;
use super::control::{Control, RunningProcess};
use crate::domain::{Clock, ContractId, JstDate, TransferId, Yen};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Show(look::Show),
    Unknown(look::Unknown),
    Reconcile(act::Reconcile),
    Add(act::Add),
    Correct(act::Correct),
    Export(export::Export),
    Accept(act::Accept),
    OwnLimit(own_limit::OwnLimit),
    Members(look::Members),
    WriteOff(act::WriteOff),
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

pub(super) fn ledger(command: Command, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Command::Show(command) => command.run(clock),
        Command::Unknown(command) => command.run(clock),
        Command::Reconcile(command) => command.run(clock),
        Command::Add(command) => command.run(clock),
        Command::Correct(command) => command.run(clock),
        Command::Export(command) => command.run(clock),
        Command::Accept(command) => command.run(clock),
        Command::OwnLimit(command) => command.run(clock),
        Command::Members(command) => command.run(clock),
        Command::WriteOff(command) => command.run(clock),
    }
}

type Print = fn(&Value, &mut dyn Write) -> io::Result<()>;

/// Gives an order that changes something, and says what came of it.
fn acted(
    process: &RunningProcess,
    clock: &dyn Clock,
    target: &str,
    order: Value,
    by: By,
    print: Print,
) -> Result<(), Failure> {
    ordered(&process.control(clock)?, target, order, by, print)
}

/// The same of a process that is known already.
fn ordered(control: &Control, target: &str, mut order: Value, by: By, print: Print) -> Result<(), Failure> {
    order["reason"] = by.reason.into();
    order["operator"] = by.operator.unwrap_or_else(user_of_this_shell).into();
    let answer = control.ask(Method::POST, target, Some(&order))?;
    if answer.status == StatusCode::ACCEPTED {
        return Err(Failure::Proposed(answer.text.trim_end().to_owned()));
    }
    told(&answer.followed()?, false, print)
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

/// The name that the record gets where none is given; the process adds the user that the kernel knows.
fn user_of_this_shell() -> String {
    let names = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(|name| std::env::var(name).ok());
    names.map(|name| name.trim().to_owned()).find(|name| !name.is_empty()).unwrap_or_else(|| "unnamed".to_owned())
}

fn contract(text: &str) -> Result<ContractId, String> {
    ContractId::parse(text).ok_or_else(|| "a contract's name is 1 to 64 characters of visible ASCII".to_owned())
}

fn member(text: &str) -> Result<String, String> {
    let is_name = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_name { Ok(text.to_owned()) } else { Err("a gateway's name is letters and digits".to_owned()) }
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
