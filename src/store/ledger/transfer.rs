//! A transfer on record: from its reservation to its settlement.

use std::fmt;

use jiff::Timestamp;

use super::order::Basis;
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};

/// Where a transfer stands. The word is the label `state` of the metrics, and stands in audit records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It may be on its way to the application.
    Reserved,
    /// The application executed it.
    Committed,
    /// The application did not execute it; it does not count.
    Released,
    /// Nobody can tell; it counts.
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Reserved, Self::Committed, Self::Released, Self::Unknown];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Unknown => "unknown",
        }
    }

    /// The state that follows when the application is heard; `None` where what it says changes nothing.
    pub const fn after(self, outcome: Outcome) -> Option<Self> {
        match (self, outcome) {
            (Self::Reserved, outcome) => Some(outcome.state()),
            // Its late yes costs nothing to believe. Its late no would free money: that is for people.
            (Self::Unknown, Outcome::Committed) => Some(Self::Committed),
            (Self::Unknown, Outcome::Released | Outcome::Unknown) | (Self::Committed | Self::Released, _) => None,
        }
    }

    /// Whether a transfer in this state uses up the limit.
    pub const fn counts(self) -> bool {
        match self {
            Self::Reserved | Self::Committed | Self::Unknown => true,
            Self::Released => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the application made of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It executed it.
    Committed,
    /// It did not.
    Released,
    /// Nobody can tell.
    Unknown,
}

impl Outcome {
    /// The state that follows.
    pub const fn state(self) -> State {
        match self {
            Self::Committed => State::Committed,
            Self::Released => State::Released,
            Self::Unknown => State::Unknown,
        }
    }
}

/// What an operator found out about an unknown transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The application executed it.
    Committed,
    /// It did not.
    Released,
}

impl Verdict {
    /// The state that follows.
    pub const fn state(self) -> State {
        match self {
            Self::Committed => State::Committed,
            Self::Released => State::Released,
        }
    }
}

/// How a transfer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which.
    pub id: TransferId,
    /// How.
    pub outcome: Outcome,
    /// Why, in a word for the record: `success_marker`, `no_marker`, `timeout`, …
    pub why: &'static str,
    /// When.
    pub at: Timestamp,
}

/// A transfer's place: the number of the day on which it was accepted, and its sequence.
pub(in crate::store) type Place = (u32, u64);

/// A transfer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The request's ID.
    pub id: TransferId,
    /// Whose money.
    pub contract: ContractId,
    /// Who asked.
    pub login_id: LoginId,
    /// By which route.
    pub route: String,
    /// How much.
    pub amount: Yen,
    /// The sums it counts in.
    pub debits: Vec<(Basis, JstDate)>,
    /// Where it stands.
    pub state: State,
    /// Why it stands there: the settlement's word, or an operator's reason.
    pub why: String,
    /// When it was reserved.
    pub reserved_at: Timestamp,
    /// When it was settled last.
    pub settled_at: Option<Timestamp>,
}

/// What one login ID has used of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Who.
    pub login_id: LoginId,
    /// Which sum.
    pub basis: Basis,
    /// Everything that counts: reserved, committed, unknown.
    pub amount: Yen,
}

/// A contract's day, for operators (LIM-28).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The sums of its members.
    pub used: Vec<Used>,
    /// The customer's own limit, where it was learned or imported.
    pub own_limit: Option<Yen>,
    /// Its transfers of the day, in the order of their reservation.
    pub transfers: Vec<Transfer>,
}
