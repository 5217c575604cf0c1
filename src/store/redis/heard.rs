//! What one batch has come to: the answers, held back until they are durable, and what the journal must learn.

use std::sync::Arc;

use redis::Value;

use super::answer::{self, Added, Corrected, Reconciled, Reserved};
use super::journal::{Change, Sequences};
use super::link::Failure;
use crate::domain::{TransferId, Yen};
use crate::store::embedded::record::Record;
use crate::store::inbox::Inbox;
use crate::store::ledger::{
    CorrectError, Decision, Denied, Entered, Entry, Grant, Kept, Mark, Order, Outcome, ReconcileError, Settlement,
    State, StoreError, Transfer,
};
use crate::store::operation::{Asker, Operation};
use crate::store::reply::{Letter, Reply};

/// What leaves at the end of a batch.
pub(super) enum Answer {
    Granted { order: Box<Order>, asker: Asker, reply: Reply<Decision>, amount: Yen, would_deny: Option<Denied> },
    Other(Box<dyn FnOnce() -> Letter + Send>),
}

/// What one batch has come to so far.
#[derive(Default)]
pub(super) struct Heard {
    pub changes: Vec<Change>,
    pub sequences: Sequences,
    pub answers: Vec<Answer>,
    /// What Redis must hear again.
    pub carried: Vec<Operation>,
    /// The first thing that went wrong.
    pub trouble: Option<Failure>,
    /// The journal could not be written: every waiter hears that the store does not answer.
    pub is_forgotten: bool,
}

impl Answer {
    /// As it leaves. A grant that nobody hears comes back, to be taken back: nobody forwards it.
    pub fn write(self, mark: &Mark, sequences: &Sequences, back: &Arc<Inbox>) -> Letter {
        match self {
            Self::Granted { order, asker, reply, amount, would_deny } => {
                let sequence = sequences.get(&order.id).copied().unwrap_or(mark.sequence);
                let grant = Grant { amount, mark: Mark { store: mark.store.clone(), sequence }, would_deny };
                let back = Arc::clone(back);
                reply.write(Ok(Decision::Granted(grant)), move |_| {
                    // Where the clerk has ended, the reservation is unknown at the next start.
                    drop(back.push(Operation::Abandon(order.withdrawal("abandoned"), asker)));
                })
            }
            Self::Other(write) => write(),
        }
    }
}

impl Heard {
    /// Keeps an answer.
    pub fn answer<T: Send + 'static, E: Send + 'static>(&mut self, reply: Reply<T, E>, answer: Result<T, E>) {
        // Whoever has gone needs no answer.
        self.answers.push(Answer::Other(Box::new(move || reply.write(answer, drop))));
    }

    /// Keeps a reply that will have no answer; when it is dropped, its waiter reads why.
    fn drop_later<T: Send + 'static, E: Send + 'static>(&mut self, reply: Reply<T, E>) {
        self.answers.push(Answer::Other(Box::new(move || reply.forgo())));
    }

    fn settled<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, Failure>) {
        match answer {
            Ok(answer) => self.answer(reply, Ok(answer)),
            Err(failure) => {
                self.trouble.get_or_insert(failure);
                self.drop_later(reply);
            }
        }
    }

    /// Redis is away, and was not asked.
    pub fn refuse(&mut self, operation: Operation) {
        match operation {
            Operation::Reserve(_, _, reply) => self.drop_later(reply),
            operation => self.put_off(operation),
        }
    }

    /// Nobody knows whether Redis did it, or Redis is away. Settlements wait for it; orders are refused, and what Redis
    /// may have reserved is taken back.
    pub fn put_off(&mut self, operation: Operation) {
        match operation {
            Operation::Settle(settlement, reply) => {
                self.changes.push(Change::Settled(settlement.clone()));
                self.carried.push(Operation::Settle(settlement, None));
                if let Some(reply) = reply {
                    self.drop_later(reply);
                }
            }
            Operation::Abandon(..) | Operation::Renew(_) => self.carried.push(operation),
            // Where it is lost, its order stays counted.
            Operation::Number(..) => {}
            Operation::Reserve(order, asker, reply) => {
                self.carried.push(Operation::Abandon(order.withdrawal("store_error"), asker));
                self.drop_later(reply);
            }
            Operation::Enter(_, reply) => self.drop_later(reply),
            Operation::Learn(_, _, _, reply)
            | Operation::Accept(_, reply)
            | Operation::RequireAcceptance(_, reply)
            | Operation::Close(Some(reply)) => self.drop_later(reply),
            Operation::Reconcile(_, _, _, _, reply) => self.drop_later(reply),
            Operation::Add(_, reply) => self.drop_later(reply),
            Operation::Correct(_, _, _, _, reply) => self.drop_later(reply),
            Operation::OwnLimit(_, reply) => self.drop_later(reply),
            Operation::Cancel(_, _, reply) => self.drop_later(reply),
            Operation::Transfer(_, reply) => self.drop_later(reply),
            Operation::Unknown(_, reply) => self.drop_later(reply),
            Operation::Statement(_, _, _, reply) => self.drop_later(reply),
            Operation::Chunk(_, _, reply) => self.drop_later(reply),
            Operation::Members(reply) => self.drop_later(reply),
            Operation::WriteOff(_, _, reply) => self.drop_later(reply),
            Operation::Close(None) => {}
        }
    }

    /// Grants that are not durable enough are none.
    pub fn take_back(&mut self, failure: Failure) {
        for answer in std::mem::take(&mut self.answers) {
            match answer {
                Answer::Granted { order, asker, reply, .. } => {
                    self.put_off(Operation::Reserve(order, asker, reply));
                }
                Answer::Other(_) => self.answers.push(answer),
            }
        }
        self.trouble.get_or_insert(failure);
    }

    /// Takes in what Redis answers to an operation.
    pub fn hear(&mut self, operation: Operation, said: Value) {
        match operation {
            Operation::Reserve(order, asker, reply) => self.reserved(order, asker, reply, said),
            Operation::Settle(settlement, reply) => match answer::settled(said) {
                Ok(state) => {
                    self.changes.push(Change::Settled(settlement));
                    if let Some(reply) = reply {
                        self.answer(reply, Ok(state));
                    }
                }
                Err(failure) => self.not_heard(Operation::Settle(settlement, reply), failure),
            },
            Operation::Abandon(settlement, asker) => match answer::settled(said) {
                Ok(state) => self.abandoned(settlement, state),
                Err(failure) => self.not_heard(Operation::Abandon(settlement, asker), failure),
            },
            Operation::Enter(entry, reply) => {
                self.entered(*entry, reply, said);
            }
            Operation::Renew(renewal) => match answer::renewed(said) {
                Ok(renewed) => {
                    // Also what was entered at another gateway, which does not hear of this activity.
                    let entered = |(key, kept)| Change::Entered((renewal.owner.clone(), key, kept));
                    self.changes.extend(renewed.into_iter().map(entered));
                }
                Err(failure) => self.not_heard(Operation::Renew(renewal), failure),
            },
            Operation::Learn(contract, own, at, reply) => {
                let done = answer::done(said);
                if done.is_ok() {
                    self.changes.push(Change::Learned(contract, own, at));
                }
                self.settled(reply, done);
            }
            Operation::OwnLimit(_, reply) => self.settled(reply, answer::own_limit(said)),
            Operation::Reconcile(id, _, _, _, reply) => self.reconciled(id, reply, said),
            Operation::Add(_, reply) => self.added(reply, said),
            Operation::Correct(id, _, _, _, reply) => self.corrected(id, reply, said),
            Operation::Number(number, id) => {
                if let Err(failure) = answer::done(said) {
                    self.not_heard(Operation::Number(number, id), failure);
                }
            }
            Operation::Cancel(_, _, reply) => match answer::cancelled(said) {
                Ok(Some(record)) => {
                    self.answer(reply, Ok(Some(record.transfer.clone())));
                    self.changes.push(Change::Decided(*record));
                }
                Ok(None) => self.answer(reply, Ok(None)),
                Err(failure) => self.settled(reply, Err(failure)),
            },
            Operation::Accept(_, reply) => {
                let done = answer::done(said);
                if done.is_ok() {
                    self.changes.push(Change::NotAccepted(None));
                }
                self.settled(reply, done);
            }
            Operation::Transfer(id, reply) => self.settled(reply, answer::transfer(id, said)),
            Operation::Unknown(_, reply) => {
                let found = answer::rows(said).map(|rows| {
                    let last = rows.last().map(|(_, sequence)| *sequence);
                    (rows.into_iter().map(|(record, _)| record.transfer).collect(), last)
                });
                self.settled(reply, found);
            }
            Operation::Statement(_, _, _, reply) => self.settled(reply, answer::statement(said)),
            Operation::Chunk(_, _, reply) => self.settled(reply, answer::chunk(said)),
            Operation::WriteOff(_, _, reply) => self.settled(reply, answer::written_off(said)),
            // Answered without Redis.
            Operation::RequireAcceptance(..) | Operation::Members(_) | Operation::Close(_) => self.put_off(operation),
        }
    }

    fn not_heard(&mut self, operation: Operation, failure: Failure) {
        self.trouble.get_or_insert(failure);
        self.put_off(operation);
    }

    fn reserved(&mut self, order: Box<Order>, asker: Asker, reply: Reply<Decision>, said: Value) {
        match answer::reserved(said) {
            Ok(Reserved::Granted(amount, would_deny)) => {
                // Where nothing is known that could count, nothing is on record either.
                if amount != Yen::ZERO {
                    self.changes.push(Change::Reserved(Record::reserved(&order, amount)));
                }
                self.answers.push(Answer::Granted { order, asker, reply, amount, would_deny });
            }
            Ok(Reserved::Denied(denied)) => self.answer(reply, Ok(Decision::Denied(denied))),
            Ok(Reserved::Uncountable) => {
                self.answer(reply, Err(StoreError::uncountable()));
            }
            Err(failure) => self.not_heard(Operation::Reserve(order, asker, reply), failure),
        }
    }

    fn entered(&mut self, entry: Entry, reply: Reply<Entered>, said: Value) {
        let answer = match answer::entered(said) {
            Ok(answer::Entered::Kept(total, lines, until)) => {
                let kept = Kept { lines, until, ..Kept::of(&entry) };
                self.changes.push(Change::Entered((entry.owner, entry.key, kept)));
                Ok(Entered::Kept(total))
            }
            Ok(answer::Entered::InUse) => Ok(Entered::InUse),
            Ok(answer::Entered::TooMany) => Ok(Entered::TooMany),
            Ok(answer::Entered::Full) => Err(StoreError::full_of_entries()),
            Err(failure) => return self.settled(reply, Err(failure)),
        };
        self.answer(reply, answer);
    }

    fn reconciled(&mut self, id: TransferId, reply: Reply<Transfer, ReconcileError>, said: Value) {
        match answer::reconciled(said) {
            Ok(Reconciled::Done(record)) => self.decided(reply, *record),
            Ok(Reconciled::None) => self.answer(reply, Err(ReconcileError::NotFound(id))),
            Ok(Reconciled::NotUnknown(state)) => self.answer(reply, Err(ReconcileError::NotUnknown(state))),
            Err(failure) => {
                self.trouble.get_or_insert(failure);
                self.drop_later(reply);
            }
        }
    }

    fn added(&mut self, reply: Reply<Transfer>, said: Value) {
        match answer::added(said) {
            Ok(Added::Done(record)) => self.decided(reply, *record),
            Ok(Added::Uncountable) => self.answer(reply, Err(StoreError::uncountable())),
            Err(failure) => self.settled(reply, Err(failure)),
        }
    }

    /// An operator's word holds, and the journal learns it.
    fn decided<E: Send + 'static>(&mut self, reply: Reply<Transfer, E>, record: Record) {
        self.answer(reply, Ok(record.transfer.clone()));
        self.changes.push(Change::Decided(record));
    }

    fn corrected(&mut self, id: TransferId, reply: Reply<Transfer, CorrectError>, said: Value) {
        let refused = match answer::corrected(said) {
            Ok(Corrected::Done(record)) => return self.decided(reply, *record),
            Ok(Corrected::None) => CorrectError::NotFound(id),
            Ok(Corrected::NotSettled(state)) => CorrectError::NotSettled(state),
            Ok(Corrected::AlreadySo(state)) => CorrectError::AlreadySo(state),
            Ok(Corrected::Uncountable) => StoreError::uncountable().into(),
            Err(failure) => {
                self.trouble.get_or_insert(failure);
                return self.drop_later(reply);
            }
        };
        self.answer(reply, Err(refused));
    }

    fn abandoned(&mut self, settlement: Settlement, state: Option<State>) {
        if state == Some(State::Released) {
            self.changes.push(Change::Settled(Settlement { outcome: Outcome::Released, ..settlement }));
        }
    }
}
