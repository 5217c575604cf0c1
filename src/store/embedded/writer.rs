//! The one thread that writes: it takes all that is asked, decides it in memory, commits once, then answers.
//!
//! While one fdatasync runs, the next transaction's orders gather: the disk is asked once for all of them. When a
//! transaction fails, everybody is told so, memory is thrown away, and the file is opened again until that succeeds.
//! Settlements survive all of it: they are carried along until a transaction with them is durable.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::acted::{Acted, Answer};
use super::desk::Desk;
use super::reader::Reader;
use crate::store::database::{Failure, Occasion, OpenDatabase, guarded};
use crate::store::gauges::Gauges;
use crate::store::inbox::{For, Inbox};
use crate::store::ledger::{Decision, Mark, Settlement, StoreError};
use crate::store::operation::{Asker, Operation};
use crate::store::reply::{self, Letter, Reply};

/// The most that one transaction takes.
const BATCH: usize = 512;

/// How long settlements alone wait for company: nobody waits for them, and each fdatasync costs the others one.
const COMPANY: Duration = Duration::from_millis(2);

/// From the beginning of one transaction to the next, at least: who comes meanwhile shares its cost. Who comes alone does
/// not wait.
const PACE: Duration = Duration::from_millis(4);

/// The thread's state.
pub(super) struct Writer {
    pub inbox: Arc<Inbox>,
    pub desk: Option<Desk>,
    pub reader: Reader,
    pub open_database: OpenDatabase,
    pub retention_days: i32,
    /// How long to wait before the file is opened again.
    pub retry: Duration,
    pub gauges: Arc<Gauges>,
    /// What the file must hold at least when it is opened again.
    pub mark: Mark,
    /// What must be done and has no transaction yet, to go before everything else.
    pub owed: Vec<Operation>,
    pub retry_at: Instant,
    /// Before then no transaction begins, unless nobody could join it.
    pub next_at: Instant,
}

/// How a turn ends.
enum Turn {
    Next,
    /// Somebody asked to close.
    Last(Option<Reply<()>>),
}

/// However it ends: who asks then is told so.
impl Drop for Writer {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Writer {
    /// Works until it is closed.
    pub fn run(mut self) {
        loop {
            match self.turn() {
                Turn::Next => {}
                Turn::Last(reply) => return self.close(reply),
            }
        }
    }

    fn turn(&mut self) -> Turn {
        if self.desk.is_none() {
            return self.wait_for_the_disk();
        }
        let mut batch = self.gather();
        // Whoever lets go of the ledger waits for its end, also where this transaction fails.
        let mut last = Turn::Next;
        for closing in batch.extract_if(.., |operation| matches!(operation, Operation::Close(_))) {
            if let Operation::Close(reply) = closing {
                last = Turn::Last(reply);
            }
        }
        self.work(batch);
        last
    }

    /// Everything asked so far; waits for the first of it unless something is carried.
    fn gather(&mut self) -> Vec<Operation> {
        if self.owed.is_empty() {
            self.inbox.wait(For::Anything, None);
            thread::sleep(self.next_at.saturating_duration_since(Instant::now()));
            self.inbox.wait(For::Urgent, Some(Instant::now() + COMPANY));
        }
        self.inbox.take(BATCH)
    }

    /// One transaction.
    fn work(&mut self, batch: Vec<Operation>) {
        let Some(desk) = &mut self.desk else {
            self.put_off(batch);
            return;
        };
        let mut owed: Vec<Operation> = self.owed.iter().chain(&batch).filter_map(Operation::duty).collect();
        let (mut acted, mut operations) = (Acted::default(), mem::take(&mut self.owed).into_iter().chain(batch));
        let begun = Instant::now();
        self.next_at = begun + PACE;
        let outcome =
            guarded(|| desk.act(|book, shelf| operations.try_for_each(|operation| acted.act(operation, book, shelf))));
        match outcome {
            Ok(((), wrote)) => {
                self.mark = desk.book().mark();
                let committed_in = wrote.then(|| begun.elapsed());
                let book = desk.book();
                let waits = book.standing.not_accepted.as_deref();
                self.gauges.publish(self.mark.sequence, book.counts(), waits, committed_in);
                self.answer(acted.answers);
            }
            Err(failure) => {
                self.owed.append(&mut acted.withdrawals);
                self.owed.append(&mut owed);
                self.fail(&failure);
                // Now that everybody can see it, the waiters hear of it: their replies are dropped.
                drop((acted, operations));
            }
        }
    }

    fn answer(&mut self, answers: Vec<Answer>) {
        let mut letters = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Answer::Reserved { reply, answer, withdrawal } => {
                    letters.push(self.grant(reply, answer, withdrawal));
                }
                Answer::Look(look) => {
                    if let Some(Ok(view)) = self.desk.as_ref().map(|desk| guarded(|| desk.read())) {
                        self.reader.look(view, look);
                    }
                }
                Answer::Other(write) => letters.push(write()),
            }
        }
        reply::dispatch(letters);
    }

    /// A grant that nobody hears comes back, to be taken back.
    fn grant(
        &self,
        reply: Reply<Decision>,
        answer: Result<Decision, StoreError>,
        (withdrawal, asker): (Settlement, Asker),
    ) -> Letter {
        let inbox = Arc::clone(&self.inbox);
        reply.write(answer, move |unheard| match unheard {
            // Where the writer has ended, the reservation is unknown at the next start.
            Ok(Decision::Granted(_)) => drop(inbox.push(Operation::Abandon(withdrawal, asker))),
            Ok(Decision::Denied(_)) | Err(_) => {}
        })
    }

    fn fail(&mut self, failure: &Failure) {
        self.gauges.fail(failure.to_string());
        if let Some(desk) = self.desk.take() {
            // The database writes when it is closed, which fails on the same disk.
            let _ = guarded(|| {
                drop(desk);
                Ok(())
            });
        }
        self.retry_at = Instant::now() + self.retry;
    }

    /// Answers that the store is away, and opens it again when it is time.
    fn wait_for_the_disk(&mut self) -> Turn {
        if Instant::now() >= self.retry_at {
            self.reopen();
            return Turn::Next;
        }
        self.inbox.wait(For::Anything, Some(self.retry_at));
        let batch = self.inbox.take(BATCH);
        self.put_off(batch)
    }

    /// Keeps the settlements; everybody else hears that the store is away when their reply is dropped.
    fn put_off(&mut self, batch: Vec<Operation>) -> Turn {
        let mut last = Turn::Next;
        for operation in batch {
            self.owed.extend(operation.duty());
            if let Operation::Close(reply) = operation {
                last = Turn::Last(reply);
            }
        }
        last
    }

    fn reopen(&mut self) {
        let opened = guarded(|| {
            let (desk, _) = Desk::open((self.open_database)(Occasion::Again)?, self.retention_days)?;
            let found = desk.book().mark();
            if found.store != self.mark.store || found.sequence < self.mark.sequence {
                return Err(Failure::Replaced);
            }
            Ok(desk)
        });
        match opened {
            Ok(desk) => {
                self.desk = Some(desk);
                // With what is carried, before anything else is decided.
                self.work(Vec::new());
                if self.desk.is_some() {
                    self.gauges.recover();
                }
            }
            Err(failure) => self.fail(&failure),
        }
    }

    /// Writes what is left and closes the file.
    fn close(mut self, reply: Option<Reply<()>>) {
        if self.desk.is_none() {
            self.reopen();
        }
        loop {
            let rest = self.inbox.take(usize::MAX);
            if rest.is_empty() && self.owed.is_empty() {
                break;
            }
            self.work(rest);
            if self.desk.is_none() {
                break;
            }
        }
        self.gauges.close();
        if !self.owed.is_empty() {
            // They are on record as reserved, and will be unknown at the next start: counted, not lost.
            tracing::error!(settlements = self.owed.len(), "the ledger closes without having written all of it");
        }
        let desk = mem::take(&mut self.desk);
        let _ = guarded(|| {
            drop(desk);
            Ok(())
        });
        if let Some(reply) = reply {
            reply.send(Ok(()));
        }
    }
}
