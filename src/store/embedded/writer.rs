//! The one thread that writes: it takes all that is asked, decides it in memory, commits once, then answers.
//!
//! While one fdatasync runs, the next transaction's orders gather: the disk is asked once for all of them. When a
//! transaction fails, everybody is told so, memory is thrown away, and the file is opened again until that succeeds.
//! Settlements survive all of it: they are carried along until a transaction with them is durable.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::desk::{Desk, Occasion, OpenDatabase, guarded};
use super::operation::{Acted, Answer, Operation, Reply};
use super::shelf::Failure;
use crate::store::gauges::Gauges;
use crate::store::ledger::{Decision, Mark, Settlement};

/// The most that one transaction takes.
const BATCH: usize = 512;

/// How long settlements alone wait for company: nobody waits for them, and each fdatasync costs the others one.
const COMPANY: Duration = Duration::from_millis(2);

/// From the beginning of one transaction to the next, at least: who comes meanwhile shares its cost. Who comes alone does
/// not wait.
const PACE: Duration = Duration::from_millis(2);

/// The thread's state.
pub(super) struct Writer {
    pub queue: Receiver<Operation>,
    pub desk: Option<Desk>,
    pub open_database: OpenDatabase,
    pub retention_days: i32,
    /// How long to wait before the file is opened again.
    pub retry: Duration,
    pub gauges: Arc<Gauges>,
    /// What the file must hold at least when it is opened again.
    pub mark: Mark,
    /// Settlements without a transaction yet, to go before everything else.
    pub carried: Vec<Settlement>,
    /// Reservations whose grant nobody heard.
    pub abandoned: Vec<Settlement>,
    pub retry_at: Instant,
    /// Before then no transaction begins, unless nobody could join it.
    pub next_at: Instant,
}

/// How a turn ends.
enum Turn {
    Next,
    /// Nobody asks any more, or somebody asked to close.
    Last(Option<Reply<()>>),
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
        match self.gather() {
            Some(batch) => self.work(batch),
            None => Turn::Last(None),
        }
    }

    /// Everything asked so far; waits for the first of it unless settlements are carried. `None` when all have gone.
    fn gather(&mut self) -> Option<Vec<Operation>> {
        let mut batch = Vec::new();
        let mut deadline = None;
        if self.carried.is_empty() && self.abandoned.is_empty() {
            let first = self.queue.recv().ok()?;
            std::thread::sleep(self.next_at.saturating_duration_since(Instant::now()));
            deadline = (!first.is_urgent()).then(|| Instant::now() + COMPANY);
            batch.push(first);
        }
        while batch.len() < BATCH {
            let next = match (self.queue.try_recv(), deadline) {
                (Ok(operation), _) => operation,
                (Err(TryRecvError::Empty), Some(until)) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let Ok(operation) = self.queue.recv_timeout(left) else { break };
                    operation
                }
                (Err(TryRecvError::Empty), None) | (Err(TryRecvError::Disconnected), _) => break,
            };
            if next.is_urgent() {
                deadline = None;
            }
            batch.push(next);
        }
        self.gauges.taken(batch.len());
        Some(batch)
    }

    /// One transaction.
    fn work(&mut self, batch: Vec<Operation>) -> Turn {
        let Some(desk) = &mut self.desk else { return self.put_off(batch) };
        let mut settlements: Vec<Settlement> = batch.iter().filter_map(Operation::settlement).cloned().collect();
        let (carried, abandoned) = (&self.carried, &self.abandoned);
        let (mut acted, mut operations) = (Acted::default(), batch.into_iter());
        let begun = Instant::now();
        self.next_at = begun + PACE;
        let outcome = guarded(|| {
            desk.act(|book, shelf| {
                for settlement in carried {
                    book.settle(shelf, settlement)?;
                }
                for settlement in abandoned {
                    book.abandon(shelf, settlement)?;
                }
                operations.try_for_each(|operation| operation.act(book, shelf, &mut acted))
            })
        });
        match outcome {
            Ok(((), wrote)) => {
                self.carried.clear();
                self.abandoned.clear();
                self.mark = desk.book().mark();
                let committed_in = wrote.then(|| begun.elapsed());
                let book = desk.book();
                let waits = book.standing.not_accepted.as_deref();
                self.gauges.publish(self.mark.sequence, book.counts(), waits, committed_in);
                self.answer(acted.answers)
            }
            Err(failure) => {
                self.carried.append(&mut acted.withdrawals);
                self.carried.append(&mut settlements);
                self.fail(&failure);
                // Now that everybody can see it, the waiters hear of it: their replies are dropped.
                drop((acted, operations));
                Turn::Next
            }
        }
    }

    fn answer(&mut self, answers: Vec<Answer>) -> Turn {
        let mut last = Turn::Next;
        for answer in answers {
            match answer {
                Answer::Reserved { reply, answer, withdrawal } => {
                    if let Err(Ok(Decision::Granted(_))) = reply.send(answer) {
                        self.abandoned.push(withdrawal);
                    }
                }
                Answer::Read(reply) => {
                    if let Some(Ok(transaction)) = self.desk.as_ref().map(|desk| guarded(|| desk.read())) {
                        drop(reply.send(Ok(transaction)));
                    }
                }
                Answer::Close(reply) => last = Turn::Last(reply),
                Answer::Other(send) => send(),
            }
        }
        last
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
        let left = self.retry_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.reopen();
            return Turn::Next;
        }
        match self.queue.recv_timeout(left) {
            Ok(operation) => {
                self.gauges.taken(1);
                self.put_off(vec![operation])
            }
            Err(RecvTimeoutError::Timeout) => Turn::Next,
            Err(RecvTimeoutError::Disconnected) => Turn::Last(None),
        }
    }

    /// Keeps the settlements; everybody else hears that the store is away when their reply is dropped.
    fn put_off(&mut self, batch: Vec<Operation>) -> Turn {
        let mut last = Turn::Next;
        for operation in batch {
            self.carried.extend(operation.settlement().cloned());
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
            let rest: Vec<Operation> = self.queue.try_iter().collect();
            if rest.is_empty() && self.carried.is_empty() && self.abandoned.is_empty() {
                break;
            }
            self.gauges.taken(rest.len());
            self.work(rest);
            if self.desk.is_none() {
                break;
            }
        }
        self.gauges.close();
        if !self.carried.is_empty() {
            // They are on record as reserved, and will be unknown at the next start: counted, not lost.
            tracing::error!(settlements = self.carried.len(), "the ledger closes without having written all of it");
        }
        let desk = mem::take(&mut self.desk);
        let _ = guarded(|| {
            drop(desk);
            Ok(())
        });
        if let Some(reply) = reply {
            drop(reply.send(Ok(())));
        }
    }
}
