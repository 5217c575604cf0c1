//! Commands that look: nothing changes.

use clap::Args;
use http::Method;

use super::{contract, day, print, told};
use crate::cli::Failure;
use crate::cli::control::RunningProcess;
use crate::domain::{Clock, ContractId, JstDate};
use crate::operator::control::encoded;

/// Show a contract's day: its limit, what is used and left of it, and its transfers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger show hanakodt
  sekisho ledger show hanakodt --day 2026-11-02 --json

Exit codes: 0 shown · 70 the process does not answer, or refuses · 78 mistakes in the configuration")]
pub(in crate::cli) struct Show {
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
    process: RunningProcess,
}

/// List the transfers of which nobody knows whether the bank executed them; they stay counted
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 listed · 70 the process does not answer · 78 mistakes in the configuration")]
pub(in crate::cli) struct Unknown {
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

/// List the gateways that share the ledger in Redis, and say for which of them money waits
///
/// A gateway's name is that of its journal; it stands in its audit log as sekisho.store.id. Ask each gateway which one it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger members
  sekisho ledger members --json | jq -r '.members[] | select(.money_waits_for_it) | .name'

Exit codes: 0 listed · 70 the process does not answer · 78 mistakes in the configuration")]
pub(in crate::cli) struct Members {
    /// Print what the process answers, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    process: RunningProcess,
}

impl Show {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let day = self.day.map(|day| format!("?day={day}")).unwrap_or_default();
        let target = format!("/ledger/contracts/{}{day}", encoded(self.contract.as_str()));
        let answer = self.process.control(clock)?.ask(Method::GET, &target, None)?.followed()?;
        told(&answer, self.json, print::statement)
    }
}

impl Unknown {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let answer = self.process.control(clock)?.ask(Method::GET, "/ledger/unknown", None)?.followed()?;
        told(&answer, self.json, print::unknown)
    }
}

impl Members {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let answer = self.process.control(clock)?.ask(Method::GET, "/ledger/members", None)?.followed()?;
        told(&answer, self.json, print::members)
    }
}
