//! What is asked of the writer, and the answers it holds back until they are durable.

use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadTransaction;
use tokio::sync::oneshot;

use super::book::Book;
use super::shelf::{Failure, Shelf};
use crate::domain::{ContractId, TransferId, Yen};
use crate::store::ledger::{
    Decision, Entered, Entry, Order, ReconcileError, Settlement, State, StoreError, Transfer, Verdict,
};

/// Where an answer goes. One that is dropped tells its waiter that the store does not answer.
pub(super) type Reply<T, E = StoreError> = oneshot::Sender<Result<T, E>>;

/// One thing asked of the writer.
#[derive(Debug)]
pub(super) enum Operation {
    Reserve(Box<Order>, Reply<Decision>),
    /// Whoever does not wait is told nothing.
    Settle(Settlement, Option<Reply<Option<State>>>),
    /// Whoever asked for this reservation went away before hearing of the grant.
    Abandon(Settlement),
    Enter(Entry, Reply<Entered>),
    Learn(ContractId, Option<Yen>, Timestamp, Reply<()>),
    Reconcile(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, ReconcileError>),
    Accept(Timestamp, Reply<()>),
    RequireAcceptance(String, Reply<()>),
    /// A view of everything asked for before it.
    Read(Reply<ReadTransaction>),
    /// Write what has been asked for, then close the file. Whoever does not wait joins the thread.
    Close(Option<Reply<()>>),
}

/// What leaves once the transaction is durable.
pub(super) enum Answer {
    Reserved {
        reply: Reply<Decision>,
        answer: Result<Decision, StoreError>,
        /// How to take it back if nobody waits for the answer any more.
        withdrawal: Settlement,
    },
    Read(Reply<ReadTransaction>),
    Close(Option<Reply<()>>),
    Other(Box<dyn FnOnce()>),
}

impl Operation {
    /// Whether somebody waits: then the writer does not wait for more.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Settle(_, None) | Self::Abandon(_) => false,
            Self::Settle(_, Some(_))
            | Self::Reserve(..)
            | Self::Enter(..)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Read(_)
            | Self::Close(_) => true,
        }
    }

    /// The settlement in it, which must not be lost whatever happens to the rest.
    pub fn settlement(&self) -> Option<&Settlement> {
        match self {
            Self::Settle(settlement, _) => Some(settlement),
            Self::Reserve(..)
            | Self::Abandon(_)
            | Self::Enter(..)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Read(_)
            | Self::Close(_) => None,
        }
    }

    /// Decides it within a transaction. What was reserved anew is noted in `withdrawals`: if the transaction fails,
    /// its waiter is told so, forwards nothing, and what may be on the disk after all is to be released.
    pub fn act(
        self,
        book: &mut Book,
        shelf: &mut Shelf<'_>,
        withdrawals: &mut Vec<Settlement>,
    ) -> Result<Answer, Failure> {
        Ok(match self {
            Self::Reserve(order, reply) => {
                let reserved = book.reserve(shelf, &order)?;
                if reserved.is_new {
                    withdrawals.push(order.withdrawal("store_error"));
                }
                Answer::Reserved { reply, answer: reserved.answer, withdrawal: order.withdrawal("abandoned") }
            }
            Self::Abandon(settlement) => {
                book.abandon(shelf, &settlement)?;
                Answer::Other(Box::new(|| ()))
            }
            Self::Settle(settlement, reply) => {
                let state = book.settle(shelf, &settlement)?;
                match reply {
                    Some(reply) => later(reply, Ok(state)),
                    None => Answer::Other(Box::new(|| ())),
                }
            }
            Self::Enter(entry, reply) => later(reply, book.enter(shelf, &entry)?),
            Self::Learn(contract, own, at, reply) => later(reply, Ok(book.learn(shelf, &contract, own, at)?)),
            Self::Reconcile(id, verdict, reason, at, reply) => {
                later(reply, book.reconcile(shelf, (id, verdict), &reason, at)?)
            }
            Self::Accept(at, reply) => later(reply, Ok(book.accept(at))),
            Self::RequireAcceptance(reason, reply) => later(reply, Ok(book.require_acceptance(reason))),
            Self::Read(reply) => Answer::Read(reply),
            Self::Close(reply) => Answer::Close(reply),
        })
    }
}

fn later<T: 'static, E: 'static>(reply: Reply<T, E>, answer: Result<T, E>) -> Answer {
    // Whoever has gone needs no answer.
    Answer::Other(Box::new(move || drop(reply.send(answer))))
}
