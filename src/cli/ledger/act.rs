//! Commands that correct the ledger: each says who acts and why, and stands in the audit log.

use clap::Args;
use serde_json::json;

use super::{By, acted, contract, day, member, print, transfer, yen};
use crate::cli::Failure;
use crate::cli::contract::login_id;
use crate::cli::control::RunningProcess;
use crate::domain::{Clock, ContractId, JstDate, LoginId, TransferId, Yen};
use crate::operator::control::encoded;

/// Settle an unknown transfer by what the bank's own books say
///
/// Look into the bank's books first. A transfer that is released is counted no longer: where the bank did execute it, the
/// customer can now move more than the limit, at once. What was settled by mistake is put right by `correct`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --committed --reason 'receipt 1234, asked Mr Sato'
  sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --released --reason 'not in the books of 2026-11-02'

Exit codes: 0 settled and on record · 70 it is not unknown, or refused · 75 proposed · 78 mistakes in the configuration")]
pub(in crate::cli) struct Reconcile {
    #[command(flatten)]
    settling: Settling,
}

/// Add a transfer that the bank executed by hand, so that it counts (LIM-28)
///
/// It stands in the ledger with an ID of its own and the route "adjustment", committed, on the day that is named. It may go above
/// the limit, because it has happened; then nothing is left of that day. Added by mistake, it is taken back by `correct`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger add hanakodt --yen 5000000 --reason 'executed at the branch, slip 0815'
  sekisho ledger add hanakodt --yen 70000 --day 2026-11-02 --reason 'forgotten by the lost store, ticket 4711'

Exit codes: 0 added and on record · 70 refused · 78 mistakes in the configuration")]
pub(in crate::cli) struct Add {
    /// The contract
    #[arg(value_name = "CONTRACT", value_parser = contract)]
    contract: ContractId,
    /// The amount in yen
    #[arg(long, value_name = "N", value_parser = yen)]
    yen: Yen,
    /// Whose of the contract's login IDs it was [default: the first one; all of them count together]
    #[arg(long, value_name = "ID", value_parser = login_id)]
    login_id: Option<LoginId>,
    /// The day in Japan on which it was executed, at most 40 days ago [default: today]
    #[arg(long, value_parser = day)]
    day: Option<JstDate>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Correct a transfer that was settled the wrong way (LIM-28)
///
/// Committed becomes released, or released committed, and the day's sum follows. Look into the bank's books first: what is released
/// is counted no longer. An unknown transfer is not settled: that is for `reconcile`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger correct 01a202c4-adb8-77c7-a5c5-951b7a59c562 --released --reason 'returned by the other bank, slip 0815'
  sekisho ledger correct 01a202c4-adb8-77c7-a5c5-951b7a59c562 --committed --reason 'receipt 1234: reconciled by mistake'

Exit codes: 0 corrected and on record · 70 no such transfer, not settled, or so already · 75 proposed · 78 mistakes in the configuration")]
pub(in crate::cli) struct Correct {
    #[command(flatten)]
    settling: Settling,
}

/// What became of which transfer.
#[derive(Debug, Args)]
struct Settling {
    /// The transfer's ID, as `sekisho ledger unknown` and `show` list it; it is the request's X-Request-Id
    #[arg(value_parser = transfer)]
    id: TransferId,
    #[command(flatten)]
    outcome: Outcome,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
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

/// Accept the store as it is, and the present clock (LIM-41)
///
/// A gateway refuses transfers when its store is missing, another, or older than the audit log knows, and when the clock
/// lies behind what is recorded. Find out why first: sums that the store does not know are not counted again.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho ledger accept --reason 'restored the backup of 02:00, ticket 4711'

Exit codes: 0 accepted and on record · 70 refused · 75 proposed · 78 mistakes in the configuration")]
pub(in crate::cli) struct Accept {
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// Give up a gateway that shares the ledger and will not come back (LIM-39)
///
/// After a loss in Redis, money waits until every gateway has put back what its journal holds. Bring the gateway back if you can:
/// what only its journal knew is not counted again. What it had on its way becomes unknown. Should it come back after all, it
/// is a new member, and what it remembers is counted then.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho ledger write-off 019ab1c2d3e47f608192a3b4c5d6e7f8 --reason 'its disk is lost, ticket 4711'

Exit codes: 0 given up and on record · 70 no such gateway, or refused · 75 proposed · 78 mistakes in the configuration")]
pub(in crate::cli) struct WriteOff {
    /// Its name, as `sekisho ledger members` lists it
    #[arg(value_parser = member)]
    member: String,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

impl Reconcile {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        self.settling.ask("reconcile", clock)
    }
}

impl Add {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let target = format!("/ledger/contracts/{}/transfers", encoded(self.contract.as_str()));
        let order = json!({
            "yen": self.yen.get(),
            "day": self.day.map(|day| day.to_string()),
            "login_id": self.login_id.as_ref().map(LoginId::as_str),
        });
        acted(&self.process, clock, &target, order, self.by, print::added)
    }
}

impl Correct {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        self.settling.ask("correct", clock)
    }
}

impl Accept {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        acted(&self.process, clock, "/ledger/accept", json!({}), self.by, print::accepted)
    }
}

impl WriteOff {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let target = format!("/ledger/members/{}/write-off", self.member);
        acted(&self.process, clock, &target, json!({}), self.by, print::written_off)
    }
}

impl Settling {
    fn ask(self, verb: &str, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { id, outcome, by, process } = self;
        let order = json!({ "outcome": outcome.word() });
        acted(&process, clock, &format!("/ledger/transfers/{id}/{verb}"), order, by, print::settled)
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        if self.committed { "committed" } else { "released" }
    }
}
