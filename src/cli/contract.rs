//! `sekisho contract`: tells the registry of contracts and their login IDs (LIM-05, BND-09, MOD-01).

use std::io::{self, Write};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::Failure;
use super::control::RunningProcess;
use super::orders::{By, acted, told};
use super::registry_files::{Export, Import, each_page};
use super::table::{Align, Table};
use crate::domain::{Clock, ContractId, LoginId, Role};
use crate::operator::control::encoded;
use crate::store::registry::Access;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Add(Add),
    Change(Change),
    Remove(Remove),
    AddId(AddId),
    RemoveId(RemoveId),
    Show(Show),
    List(List),
    Import(ImportContracts),
    Export(ExportContracts),
}

/// Add a contract
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho contract add yamada --name 山田商店 --access certificate-from=2026-12-01 --reason 'application 4711'

Exit codes: 0 added and on record · 70 there is one already, or refused · 78 mistakes in the configuration")]
pub(super) struct Add {
    #[command(flatten)]
    what: Said,
}

/// Change a contract's name or access
///
/// What is not said stays as it is. A change of access holds for all login IDs of the contract, also for those that it gets later.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 changed and on record · 70 there is none, or refused · 78 mistakes in the configuration"
)]
pub(super) struct Change {
    #[command(flatten)]
    what: Said,
}

#[derive(Debug, Args)]
struct Said {
    /// The institution's name for it: 1 to 64 characters of visible ASCII
    #[arg(value_name = "CONTRACT", value_parser = contract_id)]
    contract: ContractId,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// By which entrance its login IDs come: password, certificate, certificate-from=DAY or certificate-from=first-issue
    #[arg(long, value_name = "ACCESS", value_parser = access)]
    access: Option<Access>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Remove a contract that has no login IDs
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 removed and on record · 70 it has login IDs, or had some today · 78 mistakes in the configuration"
)]
pub(super) struct Remove {
    /// The institution's name for it
    #[arg(value_name = "CONTRACT", value_parser = contract_id)]
    contract: ContractId,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Put a login ID into a contract, or give it another role
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho contract add-id yamada hanakodt --role administrator --reason 'application 4711'

Exit codes: 0 done and on record · 70 it is another contract's, or refused · 78 mistakes in the configuration")]
pub(super) struct AddId {
    /// The institution's name for it
    #[arg(value_name = "CONTRACT", value_parser = contract_id)]
    contract: ContractId,
    /// As it stands in the certificate
    #[arg(value_name = "LOGIN_ID", value_parser = login_id)]
    login_id: LoginId,
    /// administrator, approver or general
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// Also where it is another contract's. What it moved today then counts in both
    #[arg(long = "move")]
    may_move: bool,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Take a login ID out of its contract: it can come, and move no money
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done and on record · 70 it is in no contract, or refused · 78 mistakes in the configuration"
)]
pub(super) struct RemoveId {
    /// As it stands in the certificate
    #[arg(value_name = "LOGIN_ID", value_parser = login_id)]
    login_id: LoginId,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Show a contract with its login IDs
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 shown · 70 there is none · 78 mistakes in the configuration")]
pub(super) struct Show {
    /// The institution's name for it
    #[arg(value_name = "CONTRACT", value_parser = contract_id)]
    contract: ContractId,
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

/// List the contracts, in the order of their names
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 listed · 70 the process does not answer · 78 mistakes in the configuration")]
pub(super) struct List {
    /// Begin after this one
    #[arg(long, value_name = "CONTRACT", value_parser = contract_id)]
    after: Option<ContractId>,
    /// So many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// One JSON object per line, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

/// Import contracts and login IDs from a file: all of it, or nothing
///
/// Fields: contract, and where they are said name, access, login_id with role. One line for each login ID. What is there stays,
/// what is otherwise is changed, and nothing is removed.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  printf 'contract,name,login_id,role\\nyamada,山田商店,hanakodt,administrator\\n' > contracts.csv
  sekisho contract import contracts.csv --reason 'registry goes live'

Exit codes: 0 imported and on record · 70 nothing was imported: the lines with mistakes are listed · 78 mistakes in the configuration")]
pub(super) struct ImportContracts {
    /// Also move login IDs of other contracts
    #[arg(long = "move")]
    may_move: bool,
    #[command(flatten)]
    import: Import,
}

/// Export contracts and login IDs, as `import` reads them
///
/// In CSV, a value that a spreadsheet would take for a formula begins with an apostrophe; JSON lines hold every value as it is.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 whole · 70 it broke off, or was refused · 78 mistakes in the configuration")]
pub(super) struct ExportContracts {
    #[command(flatten)]
    export: Export,
}

pub(super) fn contract(command: Command, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Command::Add(Add { what }) => what.order("", clock),
        Command::Change(Change { what }) => what.order("/change", clock),
        Command::Remove(Remove { contract, by, process }) => {
            let target = format!("/contracts/{}/remove", encoded(contract.as_str()));
            acted(&process, clock, &target, json!({}), by, |answer, out| {
                writeln!(out, "the contract {} is removed", text(answer, "contract"))
            })
        }
        Command::AddId(AddId { contract, login_id, role, may_move, by, process }) => {
            let target = format!("/contracts/{}/login-ids", encoded(contract.as_str()));
            let order = json!({ "login_id": login_id.as_str(), "role": role.word(), "move": may_move });
            acted(&process, clock, &target, order, by, print_contract)
        }
        Command::RemoveId(RemoveId { login_id, by, process }) => {
            let target = format!("/login-ids/{}/remove", encoded(login_id.as_str()));
            acted(&process, clock, &target, json!({}), by, print_contract)
        }
        Command::Show(Show { contract, json, process }) => {
            let target = format!("/contracts/{}", encoded(contract.as_str()));
            let answer = process.control(clock)?.ask(Method::GET, &target, None)?.followed()?;
            told(&answer, json, print_contract)
        }
        Command::List(list) => list.run(clock),
        Command::Import(ImportContracts { may_move, import }) => {
            import.run("contracts", may_move.then_some("move"), clock)
        }
        Command::Export(ExportContracts { export }) => export.run("contracts", clock),
    }
}

impl Said {
    fn order(self, verb: &str, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { contract, name, access, by, process } = self;
        let target = format!("/contracts/{}{verb}", encoded(contract.as_str()));
        let order = json!({ "name": name, "access": access.map(|access| access.to_string()) });
        acted(&process, clock, &target, order, by, print_contract)
    }
}

impl List {
    fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { after, limit, json, process } = self;
        let control = process.control(clock)?;
        let target = |next: &Value, most: usize| {
            let after = next.as_str().map(str::to_owned).or_else(|| after.as_ref().map(ToString::to_string));
            let after = after.map_or_else(String::new, |after| format!("&after={}", encoded(&after)));
            format!("/contracts?limit={most}{after}")
        };
        each_page(&control, limit, target, "contracts", |page| {
            let mut out = io::stdout().lock();
            if json {
                return page.iter().try_for_each(|contract| writeln!(out, "{contract}"));
            }
            if page.is_empty() {
                return writeln!(out, "there is no contract");
            }
            let mut table = Table::new(COLUMNS);
            page.iter().for_each(|contract| table.row(row(contract)));
            table.print(&mut out)
        })
    }
}

const COLUMNS: [(&str, Align); 4] =
    [("contract", Align::Left), ("login IDs", Align::Right), ("access", Align::Left), ("name", Align::Left)];

fn row(contract: &Value) -> [String; 4] {
    [text(contract, "contract"), contract["count"].to_string(), text(contract, "access"), text(contract, "name")]
}

fn print_contract(contract: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(COLUMNS);
    table.row(row(contract));
    table.print(out)?;
    if contract["by_certificate_only"] == true {
        writeln!(out, "its login IDs come by certificate only")?;
    }
    let login_ids = contract["login_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !login_ids.is_empty() {
        writeln!(out)?;
        let mut table =
            Table::new([("login ID", Align::Left), ("role", Align::Left), ("certificate, SHA-256", Align::Left)]);
        for login in login_ids {
            table.row([text(login, "login_id"), text(login, "role"), text(login, "certificate")]);
        }
        table.print(out)?;
    }
    for former in contract["former"].as_array().into_iter().flatten() {
        let (id, day) = (text(former, "login_id"), text(former, "left"));
        writeln!(out, "{id} left on {day}: what it moved that day counts here")?;
    }
    Ok(())
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

pub(super) fn contract_id(text: &str) -> Result<ContractId, String> {
    ContractId::parse(text).ok_or_else(|| "a contract is 1 to 64 characters of visible ASCII".to_owned())
}

pub(super) fn login_id(text: &str) -> Result<LoginId, String> {
    LoginId::parse(text).ok_or_else(|| "a login ID is 1 to 64 characters of visible ASCII".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "a role is administrator, approver or general".to_owned())
}

fn access(text: &str) -> Result<Access, String> {
    let what = "access is password, certificate, certificate-from=2026-12-01 (a day) or certificate-from=first-issue";
    Access::parse(text).ok_or_else(|| what.to_owned())
}
