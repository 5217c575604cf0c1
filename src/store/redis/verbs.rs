//! The ledger's verbs: each is queued for the clerk, and its answer waited for.

use std::sync::Arc;
use std::sync::PoisonError;

use jiff::Timestamp;
use tokio::sync::mpsc::error::SendError;

use super::operation::Operation;
use super::{Redis, Shared};
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::operator::audit::Audit;
use crate::store::embedded::shelf::Place;
use crate::store::ledger::{
    Addition, CorrectError, Counts, Decision, Entered, Entry, Mark, Member, Order, ReconcileError, Renewal, Settlement,
    State, Statement, StoreError, Transfer, Verdict,
};
use crate::store::reply::{self, Answer, Reply};

impl Redis {
    /// Decides an order and reserves what it moves: in Redis, in the journal, and on the replicas that were asked for.
    /// If the caller goes away before the answer, the reservation is taken back.
    ///
    /// # Errors
    /// Then the order must not be forwarded.
    pub async fn reserve(&self, order: Order) -> Result<Decision, StoreError> {
        self.admit()?;
        let (reply, answer) = reply::expect();
        let asker = uuid::Uuid::now_v7().simple().to_string();
        let withdrawal = Some((order.withdrawal("abandoned"), asker.clone()));
        let mut waiting = Waiting { answer, withdrawal, ledger: self };
        self.push(Operation::Reserve(Box::new(order), asker, reply));
        let heard = (&mut waiting.answer).await;
        waiting.withdrawal = None;
        heard.unwrap_or_else(|_| Err(self.0.gauges.unavailable()))
    }

    /// Settles a transfer. While Redis is away the journal has it, and Redis hears of it when it is back.
    pub fn settle(&self, settlement: Settlement) {
        self.push(Operation::Settle(settlement, None));
    }

    /// Settles a transfer, and tells where it stands then; `None` where nothing was recorded under its ID.
    ///
    /// # Errors
    /// When Redis has not heard of it yet. It is not lost.
    pub async fn settle_and_wait(&self, settlement: Settlement) -> Result<Option<State>, StoreError> {
        self.ask_anyway(|reply| Operation::Settle(settlement, Some(reply))).await
    }

    /// Keeps an amount that another screen will commit.
    ///
    /// # Errors
    /// Then the entry must not be forwarded.
    pub async fn enter(&self, entry: Entry) -> Result<Entered, StoreError> {
        self.ask(|reply| Operation::Enter(Box::new(entry), reply)).await
    }

    /// A login ID was active, at whichever gateway: its entries live on. Whoever asks while Redis is away asks again.
    pub fn renew(&self, renewal: Renewal) {
        self.push(Operation::Renew(renewal));
    }

    /// Keeps a customer's own limit; `None` where there is none any more.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn learn_own_limit(
        &self,
        contract: ContractId,
        own: Option<Yen>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.ask(|reply| Operation::Learn(contract, own, at, reply)).await
    }

    /// What an operator found out about an unknown transfer, of this gateway or of another.
    ///
    /// # Errors
    /// When there is no such transfer, or it is not unknown.
    pub async fn reconcile(
        &self,
        id: TransferId,
        verdict: Verdict,
        reason: String,
        at: Timestamp,
    ) -> Result<Transfer, ReconcileError> {
        self.admit()?;
        let (reply, answer) = reply::expect();
        self.push(Operation::Reconcile(id, verdict, reason.into(), at, reply));
        answer.await.unwrap_or_else(|_| Err(self.0.gauges.unavailable().into()))
    }

    /// Keeps an order that the bank executed by hand.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn add(&self, addition: Addition) -> Result<Transfer, StoreError> {
        self.ask(|reply| Operation::Add(Box::new(addition), reply)).await
    }

    /// What an operator found out about a transfer that was settled the other way, of this gateway or of another.
    ///
    /// # Errors
    /// When there is no such transfer, it is not settled, or settled so already.
    pub async fn correct(
        &self,
        id: TransferId,
        verdict: Verdict,
        reason: String,
        at: Timestamp,
    ) -> Result<Transfer, CorrectError> {
        self.admit()?;
        let (reply, answer) = reply::expect();
        self.push(Operation::Correct(id, verdict, reason.into(), at, reply));
        answer.await.unwrap_or_else(|_| Err(self.0.gauges.unavailable().into()))
    }

    /// An operator takes this gateway's journal and the present clock for the right ones (LIM-41).
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn accept(&self, at: Timestamp) -> Result<(), StoreError> {
        self.ask_anyway(|reply| Operation::Accept(at, reply)).await
    }

    /// Refuses money at this gateway, also after a restart, until an operator accepts its journal (LIM-41).
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn require_acceptance(&self, reason: String) -> Result<(), StoreError> {
        self.ask_anyway(|reply| Operation::RequireAcceptance(reason, reply)).await
    }

    /// A contract's day, with all that was asked for before.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn statement(
        &self,
        contract: ContractId,
        members: Arc<[LoginId]>,
        day: JstDate,
    ) -> Result<Statement, StoreError> {
        self.ask(|reply| Operation::Statement(contract, members, day, reply)).await
    }

    /// One transfer.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.ask(|reply| Operation::Transfer(id, reply)).await
    }

    /// Every unknown transfer, in the order of their reservation; after a loss, in the order in which they were put
    /// back.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn unknown(&self) -> Result<Vec<Transfer>, StoreError> {
        let mut found = Vec::new();
        let mut after = Some(0);
        while let Some(sequence) = after {
            let (mut some, next) = self.ask(|reply| Operation::Unknown(sequence, reply)).await?;
            found.append(&mut some);
            after = next;
        }
        Ok(found)
    }

    /// The transfers accepted from one day to another, both included. Each stands as it does when it is read.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn transfers(&self, from: JstDate, to: JstDate) -> Result<Transfers, StoreError> {
        self.admit()?;
        Ok(Transfers { ledger: self.clone(), next: Some((from.to_number(), 0)), to })
    }

    /// Which journal this is, and how far it has come: what this gateway must be able to tell Redis again.
    pub fn mark(&self) -> Mark {
        Mark { store: Arc::clone(&self.0.store), sequence: self.0.gauges.sequence() }
    }

    /// From now on, tells the audit log how far it has come.
    pub fn tell_marks(&self, audit: &Audit) {
        self.0.gauges.tell_marks(Arc::clone(&self.0.store), audit);
    }

    /// Whether money may move.
    pub fn is_available(&self) -> bool {
        self.0.gauges.is_available()
    }

    /// Why it may not.
    pub fn unavailable(&self) -> Option<StoreError> {
        (!self.is_available()).then(|| self.0.gauges.unavailable())
    }

    /// Why this gateway's memory waits for an operator to accept it.
    pub fn awaits_acceptance(&self) -> Option<Arc<str>> {
        self.0.gauges.awaits_acceptance()
    }

    /// How many transfers are not settled for good, those of all gateways, as of the last that was asked.
    pub fn counts(&self) -> Counts {
        self.0.gauges.counts()
    }

    /// Who shares the store, as of the last look.
    ///
    /// # Errors
    /// When the ledger is closed.
    pub async fn members(&self) -> Result<Vec<Member>, StoreError> {
        self.ask_anyway(Operation::Members).await
    }

    /// Gives up a gateway that will not come back: nobody waits for its journal any more, and what it had on its way
    /// is unknown. Whether there was such a member. One that lives after all comes back as a new one.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn write_off(&self, member: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.ask_anyway(|reply| Operation::WriteOff(member.to_owned(), at, reply)).await
    }

    /// Tells Redis what is left, and closes the journal. What is asked afterwards is not done.
    pub async fn close(&self) {
        let (reply, closed) = reply::expect();
        self.push(Operation::Close(Some(reply)));
        // An error is a thread that has ended already.
        drop(closed.await);
    }

    fn admit(&self) -> Result<(), StoreError> {
        if !self.is_available() {
            return Err(self.0.gauges.unavailable());
        }
        if self.0.queue.len() >= self.0.max_queue {
            return Err(StoreError::Unavailable("too many wait for it".into()));
        }
        Ok(())
    }

    pub(super) async fn ask<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T, StoreError> {
        self.admit()?;
        self.ask_anyway(operation).await
    }

    async fn ask_anyway<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T, StoreError> {
        let (reply, answer) = reply::expect();
        self.push(operation(reply));
        answer.await.unwrap_or_else(|_| Err(self.0.gauges.unavailable()))
    }

    fn push(&self, operation: Operation) {
        if let Err(SendError(Operation::Settle(settlement, _))) = self.0.queue.push(operation) {
            // It is on record as reserved, and will be unknown at the next start.
            tracing::error!(transfer = %settlement.id, outcome = ?settlement.outcome, "settled after the ledger closed");
        }
    }
}

/// Somebody who waits for an order's answer.
struct Waiting<'a> {
    answer: Answer<Decision>,
    /// Until the answer has been heard.
    withdrawal: Option<(Settlement, String)>,
    ledger: &'a Redis,
}

/// A customer who hangs up between the grant and its hearing must not leave a reservation behind for ever. A grant
/// that has not been given yet finds nobody, which the clerk notices.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some((withdrawal, asker)) = self.withdrawal.take() else { return };
        self.answer.close();
        if let Ok(Ok(Decision::Granted(_))) = self.answer.try_recv() {
            self.ledger.push(Operation::Abandon(withdrawal, asker));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closed already, if this fails.
        drop(self.queue.push(Operation::Close(None)));
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the ledger's clerk panicked");
        }
    }
}

/// An export, read in chunks.
#[derive(Debug)]
pub struct Transfers {
    ledger: Redis,
    next: Option<Place>,
    to: JstDate,
}

impl Transfers {
    /// The next of them, in the order of their reservation; empty at the end.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn next_chunk(&mut self) -> Result<Vec<Transfer>, StoreError> {
        let Some(from) = self.next else { return Ok(Vec::new()) };
        let to = self.to;
        let (chunk, next) = self.ledger.ask(|reply| Operation::Chunk(from, to, reply)).await?;
        self.next = next;
        Ok(chunk)
    }
}
