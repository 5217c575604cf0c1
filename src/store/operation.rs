//! What is asked of the one who keeps a ledger, and the way each answer takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::ledger::{
    Addition, CorrectError, Decision, Entered, Entry, Member, Order, OrderNumber, Place, ReconcileError, Renewal,
    Settlement, State, Statement, Transfer, Verdict,
};
use super::reply::Reply;
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};

/// Some transfers, and where to go on.
pub(super) type Chunk<P> = (Vec<Transfer>, Option<P>);

/// One call's own name in this process: who takes a reservation back must have asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker(pub u64);

impl Asker {
    /// Another than all before.
    pub fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// One thing asked of the keeper.
#[derive(Debug)]
pub(super) enum Operation {
    Reserve(Box<Order>, Asker, Reply<Decision>),
    /// Whoever does not wait is told nothing.
    Settle(Settlement, Option<Reply<Option<State>>>),
    /// Whoever asked for this reservation never heard of the grant.
    Abandon(Settlement, Asker),
    Enter(Box<Entry>, Reply<Entered>),
    /// A login ID was active.
    Renew(Renewal),
    Learn(ContractId, Option<Yen>, Timestamp, Reply<()>),
    OwnLimit(ContractId, Reply<Option<Yen>>),
    Reconcile(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, ReconcileError>),
    Add(Box<Addition>, Reply<Transfer>),
    Correct(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, CorrectError>),
    /// The application's number of an order.
    Number(OrderNumber, TransferId),
    Cancel(OrderNumber, Timestamp, Reply<Option<Transfer>>),
    Accept(Timestamp, Reply<()>),
    RequireAcceptance(String, Reply<()>),
    Transfer(TransferId, Reply<Option<Transfer>>),
    /// Those reserved behind a sequence.
    Unknown(u64, Reply<Chunk<u64>>),
    Statement(ContractId, Arc<[LoginId]>, JstDate, Reply<Statement>),
    Chunk(Place, JstDate, Reply<Chunk<Place>>),
    Members(Reply<Vec<Member>>),
    WriteOff(String, Timestamp, Reply<bool>),
    /// Write what has been asked for, then end. Whoever does not wait joins the thread.
    Close(Option<Reply<()>>),
}

impl Operation {
    /// Whether somebody waits: then the keeper does not wait for more.
    pub fn is_urgent(&self) -> bool {
        !matches!(self, Self::Settle(_, None) | Self::Abandon(..) | Self::Renew(_) | Self::Number(..))
    }

    /// The keeper has ended, and nothing is done.
    pub fn miss(self) {
        if let Self::Settle(settlement, _) = self {
            // It is on record as reserved, and will be unknown at the next start.
            tracing::error!(transfer = %settlement.id, outcome = ?settlement.outcome, "settled after the ledger closed");
        }
    }

    /// What of it must be done whatever happens to the rest, and whoever hears that it was not: a settlement; a withdrawal,
    /// or what it takes back would count for ever; a renewal, which another request may be too late to ask for again.
    pub fn duty(&self) -> Option<Self> {
        match self {
            Self::Settle(settlement, _) => Some(Self::Settle(settlement.clone(), None)),
            Self::Abandon(settlement, asker) => Some(Self::Abandon(settlement.clone(), *asker)),
            Self::Renew(renewal) => Some(Self::Renew(renewal.clone())),
            Self::Reserve(..)
            | Self::Enter(..)
            | Self::Learn(..)
            | Self::OwnLimit(..)
            | Self::Reconcile(..)
            | Self::Add(..)
            | Self::Correct(..)
            | Self::Number(..)
            | Self::Cancel(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Transfer(..)
            | Self::Unknown(..)
            | Self::Statement(..)
            | Self::Chunk(..)
            | Self::Members(_)
            | Self::WriteOff(..)
            | Self::Close(_) => None,
        }
    }
}
