//! The ledger's contract: what is asked of it, what it answers, and what every store promises.
//!
//! ```text
//!            reserve               settle
//!   (nothing) ─────▶ reserved ───▶ committed      the application said yes
//!                       ├────────▶ released       it said no, or heard nothing
//!                       └────────▶ unknown        nobody can tell: stays counted
//!                                     └─ reconcile ─▶ committed or released, by an operator
//!   (nothing) ── add ──▶ committed ◀─ correct ─▶ released      by an operator, as the bank's books say
//!                        committed ─── cancel ─▶ released      the application cancelled it, where that frees (LIM-21)
//! ```
//!
//! Promises of every store (DESIGN 4.7 and 4.8; `contract` holds them against each):
//!
//! 1. A granted reservation is durable before the answer, and counts until it is released.
//! 2. For each debit, the sum of the contract's members never exceeds the limit; deciding and reserving are one act.
//! 3. Every verb may be sent again: the second time changes nothing and answers what is stored. An order that was
//!    settled is not granted again: whoever asks for it would forward it a second time.
//! 4. What was reserved when a process died is unknown afterwards, never free.
//! 5. What cannot be done is an error, and an error never means granted.
//! 6. An entry lives at least for its term after its owner's last activity, and nobody's entries crowd out another's.

mod adjust;
mod cancel;
mod entry;
mod lines;
mod order;
mod transfer;

pub use adjust::{ADJUSTMENT, Addition, CorrectError};
pub use cancel::{CANCELLED, OrderNumber};
pub use entry::{Entered, Entry, EntryKey, Renewal, STEPS_OF_RENEWAL, Term};
pub(in crate::store) use entry::{Kept, KeptEntry};
pub use lines::{Line, Lines};
pub use order::{Basis, Bounds, Claim, Debit, Decision, Denied, Grant, Holder, Mode, Order, OverLimit, Whose};
pub(in crate::store) use transfer::Place;
pub use transfer::{Outcome, Settlement, State, Statement, Transfer, Used, Verdict};

use std::sync::Arc;

use crate::domain::TransferId;

/// Sums go back at least so many days, whatever is configured (LIM-22); what lies before counts nowhere.
pub const LEAST_RETENTION_DAYS: u16 = 40;

/// Why the ledger cannot answer. Money is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk or the server does not take part.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// The store is not the one that the audit log knows, or older (LIM-41); an operator must accept it.
    #[error("the store waits for an operator to accept it: {0}")]
    NotAccepted(String),
}

impl StoreError {
    /// More amounts wait for their commit than can be kept.
    pub(in crate::store) fn full_of_entries() -> Self {
        Self::Unavailable("too many amounts wait for their commit".into())
    }
}

/// Why an operator's act was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// No such transfer.
    #[error("there is no transfer {0}")]
    NotFound(TransferId),
    /// Only unknown ones wait for a decision.
    #[error("the transfer is {0}, not unknown")]
    NotUnknown(State),
    /// The ledger cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which store this is, and how far it has come: noted in the audit log, compared at the next start (LIM-41).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Random, made with the store.
    pub store: Arc<str>,
    /// Grows with every reservation.
    pub sequence: u64,
}

/// What the audit log knows of the store that was used last (LIM-41).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing keeps an audit log.
    NoLog,
    /// No store is named in it.
    Nothing,
    /// This one.
    Store(Mark),
}

impl Known {
    /// Why a store cannot be taken for that one as it was left. Where nothing was recorded, nothing can be forgotten.
    pub fn doubts(&self, found: &Mark) -> Option<String> {
        match self {
            Self::NoLog => None,
            Self::Nothing if found.sequence == 0 => None,
            Self::Nothing => Some(format!("the audit log knows no store, this one has come to {}", found.sequence)),
            Self::Store(known) if known.store != found.store => {
                let both_are_new = known.sequence == 0 && found.sequence == 0;
                (!both_are_new)
                    .then(|| format!("the audit log knows the store {}, this is {}", known.store, found.store))
            }
            Self::Store(known) if found.sequence < known.sequence => {
                let (known, found) = (known.sequence, found.sequence);
                Some(format!("the audit log knows reservation {known}, the store has come to {found}"))
            }
            Self::Store(_) => None,
        }
    }
}

/// How many transfers are not settled for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// On their way.
    pub reserved: u64,
    /// Waiting for an operator.
    pub unknown: u64,
}

/// A gateway that shares the store with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its journal's name.
    pub name: Arc<str>,
    /// Whether it is this one.
    pub is_this: bool,
    /// Whether it has put back what the store may have lost; money waits for all of them (LIM-39).
    pub has_replayed: bool,
}
