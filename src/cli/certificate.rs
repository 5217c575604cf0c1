//! `sekisho certificate`: shuts certificates and customers out before their CA does (TLS-08), and lets them in again.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::Failure;
use super::control::RunningProcess;
use super::orders::{By, acted, told};
use super::table::{Align, Table};
use crate::domain::{Clock, LoginId, Serial};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Block(Block),
    Unblock(Unblock),
    Blocks(Blocks),
}

/// Shut a certificate or a customer out, at once
///
/// From then on no handshake and no request of theirs is let through, and their open connections end. It holds over restarts and
/// until it is lifted by `unblock`, whatever the CA's lists say; where gateways share a store in Redis, it holds at all of them.
/// A serial is blocked for every issuing CA that is configured.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho certificate block --login-id hanakodt --reason 'PC stolen, called 10:15, ticket 4711'
  sekisho certificate block --serial 0A:1B:2C --reason 'USB token lost'

Exit codes: 0 blocked and on record · 70 blocked already, or it cannot be kept · 78 mistakes in the configuration")]
pub(super) struct Block {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Lift a block
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho certificate unblock --login-id hanakodt --reason 'new certificate issued, ticket 4711'

Exit codes: 0 lifted and on record · 70 not blocked, or refused · 78 mistakes in the configuration")]
pub(super) struct Unblock {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// List the blocks in force
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 listed · 70 the process does not answer · 78 mistakes in the configuration")]
pub(super) struct Blocks {
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Subject {
    /// The certificate's serial, in hexadecimal, as `openssl x509 -serial` prints it
    #[arg(long, value_name = "HEX", value_parser = serial)]
    serial: Option<Serial>,
    /// The customer's login ID, as it stands in the certificate: all of its certificates
    #[arg(long, value_name = "ID", value_parser = login_id)]
    login_id: Option<LoginId>,
}

impl Subject {
    fn order(&self) -> Value {
        match (&self.serial, &self.login_id) {
            (Some(serial), _) => json!({ "serial": serial.to_string() }),
            (None, login_id) => json!({ "login_id": login_id.as_ref().map(LoginId::as_str) }),
        }
    }
}

pub(super) fn certificate(command: Command, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Command::Block(Block { subject, by, process }) => {
            acted(&process, clock, "/certificates/blocks", subject.order(), by, print_act)
        }
        Command::Unblock(Unblock { subject, by, process }) => {
            acted(&process, clock, "/certificates/blocks/lift", subject.order(), by, print_act)
        }
        Command::Blocks(Blocks { json, process }) => {
            let answer = process.control(clock)?.ask(Method::GET, "/certificates/blocks", None)?.followed()?;
            told(&answer, json, print_blocks)
        }
    }
}

fn serial(text: &str) -> Result<Serial, String> {
    Serial::from_hex(text).ok_or_else(|| "a serial is hexadecimal, of at most 20 octets and not 0".to_owned())
}

fn login_id(text: &str) -> Result<LoginId, String> {
    LoginId::parse(text).ok_or_else(|| "a login ID is 1 to 64 characters of visible ASCII".to_owned())
}

fn print_act(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let number = answer["number"].as_u64().unwrap_or_default();
    match answer["state"].as_str() {
        Some("blocked") => writeln!(out, "{} is blocked, number {number}", name_of(answer))?,
        Some(_) | None => writeln!(out, "{} is not blocked any more, number {number}", name_of(answer))?,
    }
    if answer["awaits_store"] == true {
        writeln!(out, "{HERE_ONLY}")?;
    }
    Ok(())
}

const HERE_ONLY: &str =
    "HERE ONLY UNTIL THE STORE IS BACK: Redis does not answer, and the other gateways do not know of it yet";

fn print_blocks(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let blocks = answer["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if blocks.is_empty() {
        return writeln!(out, "nobody is blocked");
    }
    let header =
        [("number", Align::Right), ("what", Align::Left), ("since, in Japan", Align::Left), ("reason", Align::Left)];
    let mut table = Table::new(header);
    let text = |block: &Value, name: &str| block[name].as_str().unwrap_or_default().to_owned();
    for block in blocks {
        let mark = if block["awaits_store"] == true { "*" } else { "" };
        table.row([
            format!("{}{mark}", block["number"]),
            name_of(block),
            // 2026-11-02T10:00:00.123+09:00
            text(block, "since").chars().take(19).collect::<String>().replace('T', " "),
            text(block, "reason"),
        ]);
    }
    table.print(out)?;
    if blocks.iter().any(|block| block["awaits_store"] == true) {
        writeln!(out, "* {HERE_ONLY}")?;
    }
    Ok(())
}

fn name_of(block: &Value) -> String {
    let name = block["name"].as_str().unwrap_or_default().replace(char::is_control, "\u{fffd}");
    match block["kind"].as_str() {
        Some("serial") => format!("serial {name}"),
        Some(_) | None => format!("login ID {name}"),
    }
}
