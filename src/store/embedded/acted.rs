//! What is asked of the writer, done within a transaction; the answers are held back until it is durable.

use redb::ReadTransaction;

use super::book::Book;
use super::read;
use super::reader::Look;
use super::shelf::Shelf;
use crate::store::database::{Failure, guarded};
use crate::store::ledger::{Decision, Settlement, StoreError};
use crate::store::operation::{Asker, Operation};
use crate::store::reply::{Letter, Reply};

/// How many transfers one chunk of an export holds.
const CHUNK: usize = 1_000;

/// What leaves once the transaction is durable.
pub(super) enum Answer {
    Reserved {
        reply: Reply<Decision>,
        answer: Result<Decision, StoreError>,
        /// How to take it back if nobody waits for the answer any more.
        withdrawal: (Settlement, Asker),
    },
    /// To be read beside the writer, in a view of everything asked for before.
    Look(Look),
    Other(Box<dyn FnOnce() -> Letter>),
}

/// What one transaction has come to so far.
#[derive(Default)]
pub(super) struct Acted {
    /// To be sent when it is durable, to be dropped when it failed.
    pub answers: Vec<Answer>,
    /// What it reserved anew. When it fails, the waiters are told so and forward nothing; what is on the disk after
    /// all is to be released.
    pub withdrawals: Vec<Operation>,
}

impl Acted {
    /// Does one thing.
    ///
    /// # Errors
    /// Then the transaction must not be committed. The reply is among the answers also then, so that nobody hears of
    /// the failure before the rest of the gateway can see it.
    pub fn act(&mut self, operation: Operation, book: &mut Book, shelf: &mut Shelf<'_>) -> Result<(), Failure> {
        match operation {
            Operation::Reserve(order, asker, reply) => match book.reserve(shelf, &order) {
                Ok(reserved) => {
                    if reserved.is_new {
                        self.withdrawals.push(Operation::Settle(order.withdrawal("store_error"), None));
                    }
                    let (answer, withdrawal) = (reserved.answer, (order.withdrawal("abandoned"), asker));
                    self.answers.push(Answer::Reserved { reply, answer, withdrawal });
                    Ok(())
                }
                Err(failure) => self.later::<_, StoreError>(reply, Err(failure)),
            },
            Operation::Settle(settlement, None) => book.settle(shelf, &settlement).map(drop),
            Operation::Settle(settlement, Some(reply)) => {
                let settled = book.settle(shelf, &settlement);
                self.later(reply, settled.map(Ok))
            }
            Operation::Abandon(settlement, _) => book.abandon(shelf, &settlement),
            Operation::Enter(entry, reply) => self.later(reply, book.enter(shelf, &entry)),
            Operation::Renew(renewal) => book.entries.renew(shelf, &renewal),
            Operation::Learn(contract, own, at, reply) => {
                self.later(reply, book.learn(shelf, &contract, own, at).map(Ok))
            }
            Operation::OwnLimit(contract, reply) => self.later(reply, book.own_limit(shelf, &contract).map(Ok)),
            Operation::Reconcile(id, verdict, reason, at, reply) => {
                self.later(reply, book.reconcile(shelf, (id, verdict), &reason, at))
            }
            Operation::Add(addition, reply) => self.later(reply, book.add(shelf, &addition)),
            Operation::Correct(id, verdict, reason, at, reply) => {
                self.later(reply, book.correct(shelf, (id, verdict), &reason, at))
            }
            Operation::Number(number, id) => book.number(shelf, &number, id),
            Operation::Cancel(number, at, reply) => self.later(reply, book.cancel(shelf, &number, at)),
            Operation::Accept(at, reply) => {
                book.accept(at);
                self.later(reply, Ok(Ok(())))
            }
            Operation::RequireAcceptance(reason, reply) => {
                book.require_acceptance(reason);
                self.later(reply, Ok(Ok(())))
            }
            Operation::Transfer(id, reply) => self.look(reply, move |view| read::transfer(view, id)),
            Operation::Unknown(after, reply) => self.look(reply, move |view| read::unknown(view, after, CHUNK)),
            Operation::Statement(contract, members, day, reply) => {
                self.look(reply, move |view| read::statement(view, &contract, &members, day))
            }
            Operation::Chunk(from, to, reply) => self.look(reply, move |view| read::chunk(view, from, to, CHUNK)),
            // The lock on the file keeps everybody else out.
            Operation::Members(reply) => self.later(reply, Ok(Ok(Vec::new()))),
            Operation::WriteOff(_, _, reply) => self.later(reply, Ok(Ok(false))),
            // The writer ends by itself; another one who asks for it hears so.
            Operation::Close(_) => Ok(()),
        }
    }

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

    /// Keeps a question that is answered beside the writer.
    fn look<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        look: impl FnOnce(&ReadTransaction) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        self.answers.push(Answer::Look(Box::new(move |view| {
            let found = guarded(|| look(view));
            reply.send(found.map_err(|failure| StoreError::Unavailable(failure.to_string())));
        })));
        Ok(())
    }
}
