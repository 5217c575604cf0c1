//! `sekisho ledger`: what the bank's people see of the ledger of transfers, and what they correct in it (LIM-28).
//!
//! Everything is asked of the running process, over its control socket: it holds the ledger's lock, and it writes the
//! audit log.

mod act;
mod export;
mod look;
mod own_limit;
mod print;

use clap::Subcommand;

use super::Failure;
use super::orders::{By, acted, ordered, told, user_of_this_shell};
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
