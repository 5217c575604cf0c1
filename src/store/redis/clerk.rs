//! The one task that speaks with Redis: it takes all that is asked, asks the script in one pipeline, writes the journal
//! once, then answers.
//!
//! While one batch is under way the next gathers. One after the other is what makes it simple: nothing is granted while
//! the journal is replayed, and what a new epoch must know is in the journal before the epoch begins.
//!
//! Invariant: a grant is heard only when Redis has it, the journal has it, and so many replicas as were asked for.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redis::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer;
use super::call::{Call, Caller};
use super::heard::{Answer, Heard};
use super::journal::{Change, Journal};
use super::link::{Failure, Link, Way};
use crate::domain::{Clock, JstDate};
use crate::operator::metrics::Metrics;
use crate::store::gauges::Gauges;
use crate::store::inbox::{For, Inbox};
use crate::store::ledger::{Counts, Member, StoreError, Transfer};
use crate::store::operation::Operation;
use crate::store::reply::{self, Reply};

/// The most that one batch takes, and one chunk of an export holds.
pub(super) const BATCH: usize = 500;

/// How long settlements alone wait for company: nobody waits for them, and each fdatasync costs the others one.
const COMPANY: Duration = Duration::from_millis(2);

/// How the clerk works.
pub(super) struct Habits {
    pub replicas: u32,
    pub retention_days: i32,
    pub retry: Duration,
    /// How often it looks how the store is.
    pub look: Duration,
    pub grace: Duration,
    pub clock: Arc<dyn Clock>,
    pub clock_tolerance: Duration,
    pub metrics: Arc<Metrics>,
}

/// The task's state.
pub(super) struct Clerk {
    pub inbox: Arc<Inbox>,
    pub habits: Habits,
    pub way: Way,
    pub journal: Journal,
    pub gauges: Arc<Gauges>,
    pub caller: Caller,
    /// `None` while Redis is away.
    pub link: Option<Link>,
    /// Whether everybody has replayed: money may move.
    pub is_open: bool,
    /// Reserved by an earlier process of this gateway; gone once Redis knows it.
    pub left_behind: Option<Vec<Transfer>>,
    pub members: Vec<Member>,
    /// Settlements and withdrawals that Redis has not heard, to go before everything else.
    pub carried: Vec<Operation>,
    /// What the journal has yet to learn.
    pub unwritten: Vec<Change>,
    /// The day since whose end what is old has been forgotten.
    pub pruned: Option<JstDate>,
    pub next_look: Instant,
}

/// How a turn ends.
enum Turn {
    Next,
    /// Somebody asked to close.
    Last(Option<Reply<()>>),
}

/// However it ends: who asks then is told so.
impl Drop for Clerk {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Clerk {
    /// Works until it is closed. `begun` is told what an earlier process left behind, after the first look.
    pub async fn run(mut self, at: Timestamp, begun: std::sync::mpsc::Sender<Vec<Transfer>>) {
        let found = self.begin(at).await;
        // Whoever opened it may have gone.
        drop(begun.send(found));
        loop {
            match self.turn().await {
                Turn::Next => {}
                Turn::Last(reply) => return self.close(reply).await,
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        if Instant::now() >= self.next_look {
            self.look().await;
        }
        if timeout_at(self.next_look, self.inbox.came(For::Anything)).await.is_err() {
            return Turn::Next;
        }
        // Somebody comes, or nobody.
        drop(timeout(COMPANY, self.inbox.came(For::Urgent)).await);
        self.take(self.inbox.take(BATCH)).await
    }

    async fn take(&mut self, mut batch: Vec<Operation>) -> Turn {
        let mut last = Turn::Next;
        for closing in batch.extract_if(.., |operation| matches!(operation, Operation::Close(_))) {
            if let Operation::Close(reply) = closing {
                last = Turn::Last(reply);
            }
        }
        self.work(batch).await;
        last
    }

    /// One batch, with what was carried before it.
    pub async fn work(&mut self, batch: Vec<Operation>) {
        let begun = Instant::now();
        self.check_clock();
        let mut heard = Heard { changes: mem::take(&mut self.unwritten), ..Heard::default() };
        let (mut asked, mut calls) = (Vec::new(), Vec::new());
        for operation in mem::take(&mut self.carried).into_iter().chain(batch) {
            let Some(operation) = self.answer_here(operation, &mut heard) else { continue };
            match self.caller.ask(&operation, BATCH) {
                Some(call) if self.may_ask(&operation) => {
                    calls.push(call);
                    asked.push(operation);
                }
                Some(_) | None => heard.refuse(operation),
            }
        }
        let status = self.ask_all(asked, calls, &mut heard).await;
        let written = self.write(&mut heard);
        if let Err(failure) = self.replicate(&heard).await {
            heard.take_back(failure);
        }
        if let Some(status) = status {
            self.caller.seen = self.caller.seen.max(status.sequence);
            let counts = Counts { reserved: status.reserved, unknown: status.unknown };
            let (sequence, waits) = (self.journal.mark().sequence, self.journal.not_accepted());
            self.gauges.publish(sequence, counts, waits, written.then(|| begun.elapsed()));
            if let Err(failure) = self.forget(status.ended).await {
                heard.trouble.get_or_insert(failure);
            }
        }
        self.carried.append(&mut heard.carried);
        if let Some(failure) = heard.trouble.take() {
            self.fail(&failure);
        }
        // Those whose reply is dropped read why it was, so it had to be told before.
        let mark = self.journal.mark();
        if !heard.is_forgotten {
            let answers = mem::take(&mut heard.answers);
            reply::dispatch(answers.into_iter().map(|answer| answer.write(&mark, &heard.sequences, &self.inbox)));
        }
    }

    /// Answers what needs no Redis, and refuses what need not be asked.
    fn answer_here(&self, operation: Operation, heard: &mut Heard) -> Option<Operation> {
        let refusal = self.journal.not_accepted().map(|reason| StoreError::NotAccepted(reason.to_owned()));
        match (operation, refusal) {
            (Operation::Reserve(_, _, reply), Some(refusal)) => heard.answer(reply, Err(refusal)),
            (Operation::Enter(_, reply), Some(refusal)) => heard.answer(reply, Err(refusal)),
            (Operation::Cancel(_, _, reply), Some(refusal)) => heard.answer(reply, Err(refusal)),
            // Such an order would be granted without counting anywhere.
            (Operation::Reserve(order, _, reply), None) if order.debits.is_empty() => {
                heard.answer(reply, Err(StoreError::Unavailable("the order counts against no day".into())));
            }
            (Operation::Reserve(order, asker, reply), None) => match self.mistrusts_moment(order.at) {
                Some(reason) => heard.answer(reply, Err(StoreError::Unavailable(reason))),
                None => return Some(Operation::Reserve(order, asker, reply)),
            },
            (Operation::RequireAcceptance(reason, reply), _) => {
                heard.changes.push(Change::NotAccepted(Some(reason)));
                heard.answer(reply, Ok(()));
            }
            (Operation::Members(reply), _) => heard.answer(reply, Ok(self.members.clone())),
            (operation, _) => return Some(operation),
        }
        None
    }

    /// Money waits until everybody has replayed; an operator who ends the waiting does not.
    fn may_ask(&self, operation: &Operation) -> bool {
        let ends_the_waiting = matches!(operation, Operation::WriteOff(..) | Operation::Accept(..));
        self.link.is_some() && (self.is_open || ends_the_waiting)
    }

    async fn ask_all(
        &mut self,
        asked: Vec<Operation>,
        mut calls: Vec<Call>,
        heard: &mut Heard,
    ) -> Option<answer::Status> {
        if asked.is_empty() {
            return None;
        }
        calls.push(self.caller.plain("status"));
        let mut answers = match self.ask(&calls).await {
            Ok(answers) => answers.into_iter(),
            Err(failure) => {
                heard.trouble = Some(failure);
                asked.into_iter().for_each(|operation| heard.put_off(operation));
                return None;
            }
        };
        for operation in asked {
            if matches!(operation, Operation::WriteOff(..) | Operation::Accept(..)) {
                self.next_look = Instant::now();
            }
            heard.hear(operation, answers.next().unwrap_or(Value::Nil));
        }
        match answer::status(answers.next().unwrap_or(Value::Nil)) {
            Ok(status) => Some(status),
            Err(failure) => {
                heard.trouble.get_or_insert(failure);
                None
            }
        }
    }

    pub async fn ask(&mut self, calls: &[Call]) -> Result<Vec<Value>, Failure> {
        match &mut self.link {
            Some(link) => link.ask(calls).await,
            None => Err(Failure::TimedOut),
        }
    }

    /// Writes the journal; whether there was anything to write. What cannot be written is answered to nobody.
    fn write(&mut self, heard: &mut Heard) -> bool {
        match self.journal.write(&heard.changes) {
            Ok(sequences) => heard.sequences = sequences,
            Err(failure) => {
                let changes = mem::take(&mut heard.changes);
                self.unwritten.extend(changes.into_iter().filter(|change| !matches!(change, Change::Reserved(_))));
                heard.take_back(failure.into());
                heard.is_forgotten = true;
            }
        }
        !heard.changes.is_empty()
    }

    async fn replicate(&mut self, heard: &Heard) -> Result<(), Failure> {
        let grants = heard.answers.iter().any(|answer| matches!(answer, Answer::Granted { .. }));
        match &mut self.link {
            Some(link) if grants && self.habits.replicas > 0 => {
                // Answered before the connection gives up on it.
                link.wait(self.habits.replicas, self.way.response_timeout / 2).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// When a day has ended, what is too old goes.
    async fn forget(&mut self, ended: Option<JstDate>) -> Result<(), Failure> {
        let Some(ended) = ended.filter(|_| self.is_open && ended != self.pruned) else { return Ok(()) };
        let days = self.habits.retention_days;
        let before = ended.plus_days(-days);
        let mut from = Some((0, 0));
        while let Some(place) = from {
            let answer = self.ask(&[self.caller.prune(before, days, place, BATCH)]).await?.pop();
            from = answer::pruned(answer.unwrap_or(Value::Nil))?;
        }
        self.journal.write(&[Change::Forget { before, days, entries_before: ended.begins_at() }])?;
        self.pruned = Some(ended);
        Ok(())
    }

    /// Redis, or the journal, does not take part; who comes now is refused at once.
    pub fn fail(&mut self, failure: &Failure) {
        self.gauges.fail(failure.to_string());
        (self.link, self.is_open) = (None, false);
        let soon = matches!(failure, Failure::Stale);
        self.next_look = Instant::now() + if soon { self.waiting() } else { self.habits.retry };
    }

    /// How often it looks while it waits for others.
    pub fn waiting(&self) -> Duration {
        self.habits.look / 10
    }

    /// Tells Redis what is left, and closes the journal.
    async fn close(mut self, reply: Option<Reply<()>>) {
        if !self.is_open {
            self.look().await;
        }
        loop {
            let rest = self.inbox.take(usize::MAX);
            if rest.is_empty() && (self.carried.is_empty() || !self.is_open) {
                break;
            }
            self.take(rest).await;
        }
        self.gauges.close();
        if !self.carried.is_empty() || !self.unwritten.is_empty() {
            // What the journal has, Redis hears at the next start.
            tracing::error!(settlements = self.carried.len(), "the ledger closes before Redis has heard all of it");
        }
        drop(self);
        if let Some(reply) = reply {
            reply.send(Ok(()));
        }
    }
}
