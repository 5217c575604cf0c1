//! What is asked of the writer, and the answers it holds back until they are durable.

use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadTransaction;

use super::book::Book;
use super::shelf::{Failure, Shelf};
use crate::domain::{ContractId, TransferId, Yen};
use crate::store::ledger::{
    Addition, CorrectError, Decision, Entered, Entry, Order, ReconcileError, Renewal, Settlement, State, StoreError,
    Transfer, Verdict,
};
use crate::store::reply::{Letter, Reply};

/// One thing asked of the writer.
#[derive(Debug)]
pub(super) enum Operation {
    Reserve(Box<Order>, Reply<Decision>),
    /// Whoever does not wait is told nothing.
    Settle(Settlement, Option<Reply<Option<State>>>),
    /// Whoever asked for this reservation went away before hearing of the grant.
    Abandon(Settlement),
    Enter(Box<Entry>, Reply<Entered>),
    /// A login ID was active.
    Renew(Renewal),
    Learn(ContractId, Option<Yen>, Timestamp, Reply<()>),
    Reconcile(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, ReconcileError>),
    Add(Box<Addition>, Reply<Transfer>),
    Correct(TransferId, Verdict, Arc<str>, Timestamp, Reply<Transfer, CorrectError>),
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
    Other(Box<dyn FnOnce() -> Letter>),
}

impl Operation {
    /// Whether somebody waits: then the writer does not wait for more.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Settle(_, None) | Self::Abandon(_) | Self::Renew(_) => false,
            Self::Settle(_, Some(_))
            | Self::Reserve(..)
            | Self::Enter(..)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Add(..)
            | Self::Correct(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Read(_)
            | Self::Close(_) => true,
        }
    }

    /// The withdrawal in it, which must not be lost either: what it takes back would count for ever.
    pub fn withdrawal(&self) -> Option<&Settlement> {
        match self {
            Self::Abandon(withdrawal) => Some(withdrawal),
            Self::Settle(..)
            | Self::Reserve(..)
            | Self::Enter(..)
            | Self::Renew(_)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Add(..)
            | Self::Correct(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Read(_)
            | Self::Close(_) => None,
        }
    }

    /// The settlement in it, which must not be lost whatever happens to the rest.
    pub fn settlement(&self) -> Option<&Settlement> {
        match self {
            Self::Settle(settlement, _) => Some(settlement),
            Self::Reserve(..)
            | Self::Abandon(_)
            | Self::Enter(..)
            | Self::Renew(_)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Add(..)
            | Self::Correct(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Read(_)
            | Self::Close(_) => None,
        }
    }

    /// The renewal in it: what is lost of it, another request of that login ID may be too late to ask for again.
    pub fn renewal(&self) -> Option<&Renewal> {
        match self {
            Self::Renew(renewal) => Some(renewal),
            Self::Settle(..)
            | Self::Reserve(..)
            | Self::Abandon(_)
            | Self::Enter(..)
            | Self::Learn(..)
            | Self::Reconcile(..)
            | Self::Add(..)
            | Self::Correct(..)
            | Self::Accept(..)
            | Self::RequireAcceptance(..)
            | Self::Read(_)
            | Self::Close(_) => None,
        }
    }

    /// Decides it within a transaction.
    ///
    /// # Errors
    /// Then the transaction must not be committed. The reply is among the answers also then, so that nobody hears of
    /// the failure before the rest of the gateway can see it.
    pub fn act(self, book: &mut Book, shelf: &mut Shelf<'_>, acted: &mut Acted) -> Result<(), Failure> {
        match self {
            Self::Reserve(order, reply) => match book.reserve(shelf, &order) {
                Ok(reserved) => {
                    if reserved.is_new {
                        acted.withdrawals.push(order.withdrawal("store_error"));
                    }
                    let (answer, withdrawal) = (reserved.answer, order.withdrawal("abandoned"));
                    acted.answers.push(Answer::Reserved { reply, answer, withdrawal });
                    Ok(())
                }
                Err(failure) => acted.later::<_, StoreError>(reply, Err(failure)),
            },
            Self::Settle(settlement, None) => book.settle(shelf, &settlement).map(drop),
            Self::Settle(settlement, Some(reply)) => acted.later(reply, book.settle(shelf, &settlement).map(Ok)),
            Self::Abandon(settlement) => book.abandon(shelf, &settlement),
            Self::Enter(entry, reply) => acted.later(reply, book.enter(shelf, &entry)),
            Self::Renew(renewal) => book.entries.renew(shelf, &renewal),
            Self::Learn(contract, own, at, reply) => acted.later(reply, book.learn(shelf, &contract, own, at).map(Ok)),
            Self::Reconcile(id, verdict, reason, at, reply) => {
                acted.later(reply, book.reconcile(shelf, (id, verdict), &reason, at))
            }
            Self::Add(addition, reply) => acted.later(reply, book.add(shelf, &addition)),
            Self::Correct(id, verdict, reason, at, reply) => {
                acted.later(reply, book.correct(shelf, (id, verdict), &reason, at))
            }
            Self::Accept(at, reply) => {
                book.accept(at);
                acted.later(reply, Ok(Ok(())))
            }
            Self::RequireAcceptance(reason, reply) => {
                book.require_acceptance(reason);
                acted.later(reply, Ok(Ok(())))
            }
            Self::Read(reply) => {
                acted.answers.push(Answer::Read(reply));
                Ok(())
            }
            Self::Close(reply) => {
                acted.answers.push(Answer::Close(reply));
                Ok(())
            }
        }
    }
}

/// What one transaction has come to so far.
#[derive(Default)]
pub(super) struct Acted {
    /// To be sent when it is durable, to be dropped when it failed.
    pub answers: Vec<Answer>,
    /// What it reserved anew. When it fails, the waiters are told so and forward nothing; what is on the disk after
    /// all is to be released.
    pub withdrawals: Vec<Settlement>,
}

impl Acted {
    /// Keeps an answer, or a reply that will have none.
    fn later<T: Send + 'static, E: Send + 'static>(
        &mut self,
        reply: Reply<T, E>,
        outcome: Result<Result<T, E>, Failure>,
    ) -> Result<(), Failure> {
        let (letter, outcome): (Box<dyn FnOnce() -> Letter>, _) = match outcome {
            // Whoever has gone needs no answer.
            Ok(answer) => (Box::new(move || reply.write(answer, drop)), Ok(())),
            Err(failure) => (Box::new(move || reply.forgo()), Err(failure)),
        };
        self.answers.push(Answer::Other(letter));
        outcome
    }
}
