//! What a request wants of the ledger, and what the ledger says to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::entry::EntryKey;
use super::lines::Lines;
use super::transfer::{Outcome, Settlement};
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};

/// One order that wants to leave for the application.
#[derive(Debug, Clone)]
pub struct Order {
    /// The request's own.
    pub id: TransferId,
    /// Whose money it is.
    pub holder: Holder,
    /// How much.
    pub claim: Claim,
    /// What it counts against: one or more days, each with the ceiling that holds on it.
    pub debits: Vec<Debit>,
    /// The route's name, for the record.
    pub route: Arc<str>,
    /// The clock's reading that the days were found with.
    pub at: Timestamp,
    /// What makes two commits the same one; while one is in flight the other is denied (LIM-17).
    pub token: Option<EntryKey>,
    /// What else the institution allows.
    pub bounds: Bounds,
    /// Whether denials hold.
    pub mode: Mode,
}

impl Order {
    /// Each sum once, also where the order names it twice.
    pub fn unique_debits(&self) -> impl Iterator<Item = &Debit> {
        let key = |debit: &Debit| -> (Basis, JstDate) { (debit.basis, debit.day) };
        self.debits.iter().enumerate().filter_map(move |(at, debit)| {
            let seen = self.debits[..at].iter().any(|earlier| key(earlier) == key(debit));
            (!seen).then_some(debit)
        })
    }

    /// The end of an order that never left.
    pub fn withdrawal(&self, why: &'static str) -> Settlement {
        Settlement { id: self.id, outcome: Outcome::Released, why, at: self.at }
    }
}

/// Whose money an order moves, and whose sums are added up for it (LIM-36).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The contract.
    pub contract: ContractId,
    /// The login ID that asks; its sum grows.
    pub login_id: LoginId,
    /// Every login ID of the contract, this one among them.
    pub members: Arc<[LoginId]>,
}

impl Holder {
    /// A login ID that is a contract of its own.
    pub fn alone(login_id: &LoginId) -> Self {
        Self { contract: ContractId::alone(login_id), login_id: login_id.clone(), members: [login_id.clone()].into() }
    }
}

/// Where the amount of an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// In the order itself.
    Stated(Yen),
    /// On an earlier screen: the most that the form can hold which was filled under this key (LIM-18, LIM-33, LIM-19).
    Entered {
        /// The key.
        key: EntryKey,
        /// What the order says of it once more; it must not make the form hold more.
        repeated: Option<Lines>,
    },
}

/// Which sum a day stands for (LIM-20, LIM-34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Basis {
    /// Orders finally accepted on the day.
    Accepted,
    /// Orders to be executed on the day.
    Designated,
}

/// One sum that an order counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debit {
    /// Which sum of the day.
    pub basis: Basis,
    /// The day.
    pub day: JstDate,
    /// The institution's ceiling on that day; the customer's own limit may be lower.
    pub ceiling: Yen,
}

/// A customer's own limit that is above the ceiling (LIM-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// The ceiling holds.
    Clamp,
    /// Nothing may be transferred until the customer has lowered it.
    BlockTransfers,
}

/// What an order is measured by besides the ceilings of its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Reserved and not yet settled, per login ID (LIM-40).
    pub in_flight_per_login_id: u32,
    /// The same per contract.
    pub in_flight_per_contract: u32,
    /// What one login ID may move of a contract's sum on one day.
    pub per_login_id: Option<Yen>,
    /// What a limit above the ceiling means.
    pub over_limit: OverLimit,
    /// How far the clock may lie behind what is recorded before money stops (DESIGN 4.11).
    pub clock_tolerance: Duration,
}

/// Whether denials hold (LIM-29).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    Enforce,
    /// The order is recorded and goes on; what would have been denied is told.
    Observe,
}

/// What the ledger says to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may leave; it counts from now on.
    Granted(Grant),
    /// It may not, and nothing is recorded.
    Denied(Denied),
}

/// A granted reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is reserved; of what was entered, the most that it can be.
    pub amount: Yen,
    /// Where the store stands with it.
    pub mark: super::Mark,
    /// In [`Mode::Observe`]: what would have been denied.
    pub would_deny: Option<Denied>,
}

/// Whose limit is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The contract's.
    Contract,
    /// The login ID's own within the contract's.
    LoginId,
}

/// Why an order may not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The sum would exceed the limit.
    OverLimit {
        /// Whose.
        whose: Whose,
        /// On which day.
        day: JstDate,
        /// The limit: the lower one of ceiling and own limit.
        limit: Yen,
        /// What is counted already.
        used: Yen,
    },
    /// The customer's own limit is above the ceiling and the institution wants it lowered first.
    OwnLimitAboveCeiling {
        /// The customer's.
        own: Yen,
        /// The institution's.
        ceiling: Yen,
    },
    /// The same commit is in flight (LIM-17).
    Duplicate,
    /// Too many are in flight (LIM-40).
    TooManyInFlight,
    /// Nothing was entered for this commit (LIM-18).
    NoEntry,
    /// What was entered is being committed, or nobody knows whether it was; another amount must not slip in between.
    EntryInUse,
    /// The order says more than was entered. Which of the two the application executes, nobody knows.
    MoreThanEntered,
    /// The clock lies behind what is recorded (LIM-22).
    ClockBehind {
        /// The latest moment on record.
        recorded: Timestamp,
    },
}
