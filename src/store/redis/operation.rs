//! What is asked of the clerk, and how each of it is asked of the script.

use std::sync::Arc;

use jiff::Timestamp;

use super::call::{Call, Caller};
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::store::embedded::shelf::Place;
use crate::store::ledger::{
    Addition, CorrectError, Decision, Entered, Entry, Member, Order, ReconcileError, Renewal, Settlement, State,
    Statement, Transfer, Verdict,
};
use crate::store::reply::Reply;

/// Some transfers, and where to go on.
pub(super) type Chunk<P> = (Vec<Transfer>, Option<P>);

/// One thing asked of the clerk.
#[derive(Debug)]
pub(super) enum Operation {
    /// The text is this call's own name: who takes it back must have asked for it.
    Reserve(Box<Order>, String, Reply<Decision>),
    /// Whoever does not wait is told nothing.
    Settle(Settlement, Option<Reply<Option<State>>>),
    /// Whoever asked for this reservation never heard of the grant.
    Abandon(Settlement, String),
    Enter(Box<Entry>, Reply<Entered>),
    /// A login ID was active.
    Renew(Renewal),
    Learn(ContractId, Option<Yen>, Timestamp, Reply<()>),
    Reconcile(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, ReconcileError>),
    Add(Box<Addition>, Reply<Transfer>),
    Correct(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, CorrectError>),
    Accept(Timestamp, Reply<()>),
    RequireAcceptance(String, Reply<()>),
    Transfer(TransferId, Reply<Option<Transfer>>),
    Unknown(u64, Reply<Chunk<u64>>),
    Statement(ContractId, Arc<[LoginId]>, JstDate, Reply<Statement>),
    Chunk(Place, JstDate, Reply<Chunk<Place>>),
    Members(Reply<Vec<Member>>),
    WriteOff(String, Timestamp, Reply<bool>),
    /// Write what has been asked for, then end. Whoever does not wait joins the thread.
    Close(Option<Reply<()>>),
}

impl Operation {
    /// Whether somebody waits: then the clerk does not wait for more.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Settle(_, None) | Self::Abandon(..) | Self::Renew(_) => false,
            Self::Settle(_, Some(_))
            | Self::Reserve(..)
            | Self::Enter(..)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Add(..)
            | Self::Correct(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Transfer(..)
            | Self::Unknown(..)
            | Self::Statement(..)
            | Self::Chunk(..)
            | Self::Members(_)
            | Self::WriteOff(..)
            | Self::Close(_) => true,
        }
    }

    /// How it is asked; `None` for what is answered here.
    pub fn call(&self, caller: &Caller, most: usize) -> Option<Call> {
        Some(match self {
            Self::Reserve(order, asker, _) => caller.reserve(order, asker),
            Self::Settle(settlement, _) => caller.settle(settlement),
            Self::Abandon(settlement, asker) => caller.abandon(settlement, asker),
            Self::Enter(entry, _) => caller.enter(entry),
            Self::Renew(renewal) => caller.renew(renewal),
            Self::Learn(contract, own, at, _) => caller.learn(contract, *own, *at),
            Self::Reconcile(id, verdict, reason, at, _) => caller.reconcile(*id, *verdict, reason, *at),
            Self::Add(addition, _) => caller.add(addition),
            Self::Correct(id, verdict, reason, at, _) => caller.correct(*id, *verdict, reason, *at),
            Self::Accept(at, _) => caller.accept(*at),
            Self::Transfer(id, _) => caller.transfer(*id),
            Self::Unknown(after, _) => caller.unknown(*after, most),
            Self::Statement(contract, members, day, _) => caller.statement(contract, members, *day),
            Self::Chunk(from, to, _) => caller.chunk(*from, *to, most),
            Self::WriteOff(member, at, _) => caller.write_off(member, *at),
            Self::RequireAcceptance(..) | Self::Members(_) | Self::Close(_) => return None,
        })
    }
}
