//! `sekisho certificate`: registers certificates (TLS-09), shuts certificates and customers out before their CA does (TLS-08), and
//! lets them in again.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::Failure;
use super::contract::{contract_id, login_id};
use super::control::RunningProcess;
use super::orders::{By, acted, told};
use super::registry_files::{Export, Import, each_page};
use super::table::{Align, Table};
use crate::domain::{Clock, ContractId, Fingerprint, LoginId, Serial};
use crate::operator::control::encoded;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Add(Add),
    Retire(Retire),
    Show(Show),
    List(List),
    Import(ImportCertificates),
    Export(ExportCertificates),
    Block(Block),
    Unblock(Unblock),
    Blocks(Blocks),
}

/// Register a login ID's certificate
///
/// A login ID has one. Where the configuration says `registry = "enforce"` or `"learn-first"`, no other one of it is let in.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho certificate add hanakodt.pem --supersede --reason 'new PC, application 4711'

Exit codes: 0 registered and on record · 70 the login ID has another, or refused · 78 mistakes in the configuration")]
pub(super) struct Add {
    /// The certificate in PEM; of a chain, the first. Its subject says whose it is
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Retire the one that the login ID has, also where that has not ended
    #[arg(long)]
    supersede: bool,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// End a certificate's registration: its login ID has none then, and its open connections end
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 retired and on record · 70 not registered, or retired already · 78 mistakes in the configuration"
)]
pub(super) struct Retire {
    /// As `openssl x509 -fingerprint -sha256` prints it
    #[arg(value_name = "SHA256", value_parser = fingerprint)]
    sha256: Fingerprint,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Show a registered certificate
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 shown · 70 not registered · 78 mistakes in the configuration")]
pub(super) struct Show {
    /// As `openssl x509 -fingerprint -sha256` prints it
    #[arg(value_name = "SHA256", value_parser = fingerprint)]
    sha256: Fingerprint,
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

/// List the registered certificates, in the order of their login IDs
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 listed · 70 the process does not answer · 78 mistakes in the configuration")]
pub(super) struct List {
    /// Only those of this login ID
    #[arg(long, value_name = "ID", value_parser = login_id, conflicts_with_all = ["contract", "limit"])]
    login_id: Option<LoginId>,
    /// Only those of this contract's login IDs
    #[arg(long, value_name = "CONTRACT", value_parser = contract_id, conflicts_with = "limit")]
    contract: Option<ContractId>,
    /// So many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// One JSON object per line, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

/// Import certificates from a file: all of it, or nothing
///
/// Fields: login_id, sha256, serial, issuer, not_before, not_after, and state where it is said. What is there stays, what is
/// otherwise is changed, and nothing is removed.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 imported and on record · 70 nothing was imported: the lines with mistakes are listed · 78 mistakes in the configuration"
)]
pub(super) struct ImportCertificates {
    /// Retire those that login IDs have, also where these have not ended
    #[arg(long)]
    supersede: bool,
    #[command(flatten)]
    import: Import,
}

/// Export certificates, as `import` reads them
///
/// In CSV, a value that a spreadsheet would take for a formula begins with an apostrophe; JSON lines hold every value as it is.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 whole · 70 it broke off, or was refused · 78 mistakes in the configuration")]
pub(super) struct ExportCertificates {
    #[command(flatten)]
    export: Export,
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
  sekisho certificate block --contract yamada --reason 'contract cancelled'

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
    /// The customer's contract, as the registry has it: all of its login IDs, those that it gets later too
    #[arg(long, value_name = "CONTRACT", value_parser = contract_id)]
    contract: Option<ContractId>,
}

impl Subject {
    fn order(&self) -> Value {
        match (&self.serial, &self.login_id, &self.contract) {
            (Some(serial), _, _) => json!({ "serial": serial.to_string() }),
            (None, Some(login_id), _) => json!({ "login_id": login_id.as_str() }),
            (None, None, contract) => json!({ "contract": contract.as_ref().map(ContractId::as_str) }),
        }
    }
}

pub(super) fn certificate(command: Command, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Command::Add(Add { file, supersede, by, process }) => {
            let pem = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let order = json!({ "pem": pem, "supersede": supersede });
            acted(&process, clock, "/certificates", order, by, print_certificate)
        }
        Command::Retire(Retire { sha256, by, process }) => {
            acted(&process, clock, &format!("/certificates/{sha256}/retire"), json!({}), by, print_certificate)
        }
        Command::Show(Show { sha256, json, process }) => {
            let target = format!("/certificates/{sha256}");
            let answer = process.control(clock)?.ask(Method::GET, &target, None)?.followed()?;
            told(&answer, json, print_certificate)
        }
        Command::List(list) => list.run(clock),
        Command::Import(ImportCertificates { supersede, import }) => {
            import.run("certificates", supersede.then_some("supersede"), clock)
        }
        Command::Export(ExportCertificates { export }) => export.run("certificates", clock),
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

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    Fingerprint::from_hex(text).ok_or_else(|| "a SHA-256 is 64 hexadecimal digits".to_owned())
}

impl List {
    fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { login_id, contract, limit, json, process } = self;
        let control = process.control(clock)?;
        let target = |next: &Value, most: usize| match (&login_id, &contract) {
            (Some(login_id), _) => format!("/certificates?login_id={}", encoded(login_id.as_str())),
            (None, Some(contract)) => format!("/certificates?contract={}", encoded(contract.as_str())),
            (None, None) => match (next["login_id"].as_str(), next["sha256"].as_str()) {
                (Some(login_id), Some(sha256)) => {
                    format!("/certificates?limit={most}&after_login_id={}&after_sha256={sha256}", encoded(login_id))
                }
                (_, _) => format!("/certificates?limit={most}"),
            },
        };
        each_page(&control, limit, target, "certificates", |page| {
            let mut out = io::stdout().lock();
            if json {
                return page.iter().try_for_each(|certificate| writeln!(out, "{certificate}"));
            }
            if page.is_empty() {
                return writeln!(out, "no certificate is registered");
            }
            let mut table = Table::new([
                ("login ID", Align::Left),
                ("state", Align::Left),
                ("serial", Align::Left),
                ("until", Align::Left),
                ("SHA-256", Align::Left),
            ]);
            let text = |certificate: &Value, name: &str| certificate[name].as_str().unwrap_or_default().to_owned();
            for certificate in page {
                table.row(["login_id", "state", "serial", "not_after", "sha256"].map(|name| text(certificate, name)));
            }
            table.print(&mut out)
        })
    }
}

fn print_certificate(certificate: &Value, out: &mut dyn Write) -> io::Result<()> {
    for name in ["login_id", "state", "serial", "sha256", "issuer", "not_before", "not_after"] {
        let text = certificate[name].as_str().unwrap_or_default().replace(char::is_control, "\u{fffd}");
        writeln!(out, "{:<11} {text}", name.replace('_', " "))?;
    }
    Ok(())
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
        Some("contract") => format!("contract {name}"),
        Some(_) | None => format!("login ID {name}"),
    }
}
