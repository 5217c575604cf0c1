//! What an operator adds to the ledger, and corrects in it (LIM-28). Sums stay what the transfers add up to.

use jiff::Timestamp;

use super::order::Basis;
use super::transfer::{State, Transfer};
use super::{StoreError, TransferId};
use crate::domain::{ContractId, JstDate, LoginId, Yen};

/// The route's word of transfers that came by no route.
pub const ADJUSTMENT: &str = "adjustment";

/// An order that the bank executed by hand, which no gateway has seen. No limit is asked: it has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Its own.
    pub id: TransferId,
    /// Whose money it was.
    pub contract: ContractId,
    /// The login ID whose sum grows.
    pub login_id: LoginId,
    /// How much.
    pub amount: Yen,
    /// The day on which it was executed, today or before.
    pub day: JstDate,
    /// Which sums of that day it counts in.
    pub bases: Vec<Basis>,
    /// Who added it, and why.
    pub why: String,
    /// When it was added.
    pub at: Timestamp,
}

impl Addition {
    /// As it is kept. Nobody knows the hour at which an earlier day's was executed: it stands at that day's beginning.
    pub fn transfer(&self) -> Transfer {
        let is_today = JstDate::of(self.at) == self.day;
        Transfer {
            id: self.id,
            contract: self.contract.clone(),
            login_id: self.login_id.clone(),
            route: ADJUSTMENT.to_owned(),
            amount: self.amount,
            debits: self.bases.iter().map(|basis| (*basis, self.day)).collect(),
            state: State::Committed,
            why: self.why.clone(),
            reserved_at: if is_today { self.at } else { self.day.begins_at() },
            settled_at: Some(self.at),
        }
    }
}

/// Why a settled transfer was not corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorrectError {
    /// No such transfer.
    #[error("there is no transfer {0}: it was never reserved, or is older than what is kept")]
    NotFound(TransferId),
    /// It waits for its answer, or for an operator to reconcile it.
    #[error("the transfer is {0}: only what was settled can be corrected")]
    NotSettled(State),
    /// There is nothing to correct.
    #[error("the transfer is {0} already")]
    AlreadySo(State),
    /// The ledger cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreError {
    /// A sum that would be larger than what can be counted.
    pub fn uncountable() -> Self {
        Self::Unavailable("the sum is larger than what can be counted".into())
    }
}
