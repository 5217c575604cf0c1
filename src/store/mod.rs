//! What must not be forgotten: the ledger of transfers, and beside it [`registry`], who the customers are, and [`blocks`], which
//! shut some of them out.
//!
//! ```text
//! requests ─ reserve, enter ─┐                     ┌ embedded: a thread, and a file of this gateway
//! pipeline ─ settle ─────────┼─▶ inbox ─▶ keeper ──┤
//! operators ─ reconcile … ───┘                     └ redis: a task, and a server that gateways share
//! ```
//!
//! [`ledger`] says what is asked of it and what it promises. [`Ledger`] asks; each keeper keeps the promises in its own
//! way, and the same tests hold all of them to it.

mod acts;
pub mod blocks;
#[cfg(test)]
mod contract;
mod database;
pub mod durable;
pub mod embedded;
mod gauges;
mod inbox;
mod known;
pub mod ledger;
mod operation;
pub mod redis;
pub mod registry;
mod reply;

pub use self::acts::RegistryActs;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;

use self::gauges::Gauges;
use self::inbox::Inbox;
use self::ledger::{
    Addition, CorrectError, Counts, Decision, Entered, Entry, Mark, Member, Order, OrderNumber, Place, ReconcileError,
    Renewal, Settlement, State, Statement, StoreError, Transfer, Verdict,
};
use self::operation::{Asker, Operation};
use self::reply::{Answer, Reply};
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::operator::audit::Audit;

/// `[store]` as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// `embedded`: a file of this gateway.
    Embedded {
        /// The file.
        path: PathBuf,
        /// For how many days settled transfers and sums are kept.
        retention_days: u16,
    },
    /// `redis`: a server that several gateways share.
    Redis(redis::Settings),
}

/// The ledger of transfers. Copies are the same ledger; it is closed with the last one.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    inbox: Arc<Inbox>,
    gauges: Arc<Gauges>,
    /// The store's name; of one that several gateways share, that of this gateway's journal.
    store: Arc<str>,
    is_shared: bool,
    max_queue: usize,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// A ledger that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Ledger,
    /// What this gateway had reserved when its last process ended, and is unknown now.
    pub recovered: Vec<Transfer>,
    /// What it had settled before, since the moment that was asked for.
    pub settled: Vec<Transfer>,
    /// Whether there was nothing before (LIM-41).
    pub is_new: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("store", &self.store).field("gauges", &self.gauges).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Decides an order and reserves what it moves, durably. If the caller goes away before the answer, the
    /// reservation is taken back.
    ///
    /// # Errors
    /// Then the order must not be forwarded.
    pub async fn reserve(&self, order: Order) -> Result<Decision, StoreError> {
        self.admit()?;
        let (reply, answer) = reply::expect();
        let asker = Asker::new();
        let withdrawal = Some((order.withdrawal("abandoned"), asker));
        let mut waiting = Waiting { answer, withdrawal, ledger: self };
        self.push(Operation::Reserve(Box::new(order), asker, reply));
        let heard = (&mut waiting.answer).await;
        waiting.withdrawal = None;
        heard.unwrap_or_else(|_| Err(self.0.gauges.unavailable()))
    }

    /// Settles a transfer without waiting. It is not lost while the process lives.
    pub fn settle(&self, settlement: Settlement) {
        self.push(Operation::Settle(settlement, None));
    }

    /// Settles a transfer, and tells where it stands then; `None` where nothing was recorded under its ID.
    ///
    /// # Errors
    /// When it is not durable yet. It is not lost: it is written as soon as the store answers again.
    pub async fn settle_and_wait(&self, settlement: Settlement) -> Result<Option<State>, StoreError> {
        self.ask_anyway(|reply| Operation::Settle(settlement, Some(reply))).await
    }

    /// Keeps an amount that another screen will commit, durably.
    ///
    /// # Errors
    /// Then the entry must not be forwarded.
    pub async fn enter(&self, entry: Entry) -> Result<Entered, StoreError> {
        self.ask(|reply| Operation::Enter(Box::new(entry), reply)).await
    }

    /// A login ID was active: its entries live on from then, where their term says so. Nobody waits for it. Whoever asks
    /// while the ledger [is not available](Self::is_available) asks again.
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

    /// A customer's own limit, as it was learned last.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn own_limit(&self, contract: ContractId) -> Result<Option<Yen>, StoreError> {
        self.ask(|reply| Operation::OwnLimit(contract, reply)).await
    }

    /// What an operator found out about an unknown transfer.
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
        self.ask(|reply| Operation::Reconcile(id, verdict, reason.into(), at, reply)).await
    }

    /// Keeps an order that the bank executed by hand (LIM-28). A second one with the same ID changes nothing.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn add(&self, addition: Addition) -> Result<Transfer, StoreError> {
        self.ask(|reply| Operation::Add(Box::new(addition), reply)).await
    }

    /// What an operator found out about a transfer that was settled the other way (LIM-28).
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
        self.ask(|reply| Operation::Correct(id, verdict, reason.into(), at, reply)).await
    }

    /// Keeps the application's number of an order, so that it can be cancelled by it (LIM-21). Nobody waits for it: an order
    /// whose number was lost stays counted when it is cancelled.
    pub fn number(&self, number: OrderNumber, id: TransferId) {
        self.push(Operation::Number(number, id));
    }

    /// The application has cancelled an order: it is released, on the days on which it counted (LIM-21). `None`, and nothing
    /// is done, where the number does not name one transfer, or that one is not committed.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn cancel(&self, number: OrderNumber, at: Timestamp) -> Result<Option<Transfer>, StoreError> {
        self.ask(|reply| Operation::Cancel(number, at, reply)).await
    }

    /// An operator takes this store and the present clock for the right ones (LIM-41). Sums stay what they are.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn accept(&self, at: Timestamp) -> Result<(), StoreError> {
        self.ask_anyway(|reply| Operation::Accept(at, reply)).await
    }

    /// Refuses money, also after a restart, until an operator accepts the store (LIM-41).
    ///
    /// # Errors
    /// When it cannot be written.
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

    /// Every unknown transfer, in the order of their reservation; in a store that lost some, in the order in which they
    /// were put back.
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

    /// The transfers accepted from one day to another, both included.
    pub fn transfers(&self, from: JstDate, to: JstDate) -> Transfers {
        Transfers { ledger: self.clone(), next: Some((from.to_number(), 0)), to }
    }

    /// Which store this is, and how far it has come.
    pub fn mark(&self) -> Mark {
        Mark { store: Arc::clone(&self.0.store), sequence: self.0.gauges.sequence() }
    }

    /// From now on, tells the audit log how far it has come (LIM-41); a store that waits to be accepted tells nothing.
    pub fn tell_marks(&self, audit: &Audit) {
        self.0.gauges.tell_marks(Arc::clone(&self.0.store), audit);
    }

    /// Whether money may move.
    pub fn is_available(&self) -> bool {
        self.0.gauges.is_available()
    }

    /// Why it may not; `None` where it may.
    pub fn unavailable(&self) -> Option<StoreError> {
        (!self.is_available()).then(|| self.0.gauges.unavailable())
    }

    /// Whether other gateways may share the store.
    pub fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    /// Why the store waits for an operator to accept it; `None` where it does not (LIM-41).
    pub fn awaits_acceptance(&self) -> Option<Arc<str>> {
        self.0.gauges.awaits_acceptance()
    }

    /// How many transfers are not settled for good, those of all gateways that share the store.
    pub fn counts(&self) -> Counts {
        self.0.gauges.counts()
    }

    /// The gateways that share the store, and whether money waits for one of them (LIM-39); none where it is not shared.
    ///
    /// # Errors
    /// When the ledger is closed.
    pub async fn members(&self) -> Result<Vec<Member>, StoreError> {
        self.ask_anyway(Operation::Members).await
    }

    /// Gives up a gateway that shares the store and will not come back (LIM-39): nobody waits for its journal any more, and
    /// what it had on its way is unknown. Whether there was such a one. One that lives after all comes back as a new one.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn write_off(&self, member: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.ask_anyway(|reply| Operation::WriteOff(member.to_owned(), at, reply)).await
    }

    /// Writes what was asked for, and closes the store. What is asked afterwards is not done.
    pub async fn close(&self) {
        // An error is a keeper that has ended already.
        drop(self.ask_anyway(|reply| Operation::Close(Some(reply))).await);
    }

    fn admit(&self) -> Result<(), StoreError> {
        if !self.is_available() {
            return Err(self.0.gauges.unavailable());
        }
        if self.0.inbox.len() >= self.0.max_queue {
            return Err(StoreError::Unavailable("too many wait for it".into()));
        }
        Ok(())
    }

    async fn ask<T, E: From<StoreError>>(&self, operation: impl FnOnce(Reply<T, E>) -> Operation) -> Result<T, E> {
        self.admit()?;
        self.ask_anyway(operation).await
    }

    /// Also where the store does not take part: some of it is done all the same, or done later.
    async fn ask_anyway<T, E: From<StoreError>>(
        &self,
        operation: impl FnOnce(Reply<T, E>) -> Operation,
    ) -> Result<T, E> {
        let (reply, answer) = reply::expect();
        self.push(operation(reply));
        answer.await.unwrap_or_else(|_| Err(self.0.gauges.unavailable().into()))
    }

    fn push(&self, operation: Operation) {
        if let Err(missed) = self.0.inbox.push(operation) {
            missed.miss();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closed already, if this fails.
        drop(self.inbox.push(Operation::Close(None)));
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper
            && keeper.join().is_err()
        {
            tracing::error!("the ledger's keeper panicked");
        }
    }
}

/// Somebody who waits for an order's answer.
struct Waiting<'a> {
    answer: Answer<Decision>,
    /// Until the answer has been heard.
    withdrawal: Option<(Settlement, Asker)>,
    ledger: &'a Ledger,
}

/// A customer who hangs up between the grant and its hearing must not leave a reservation behind for ever. A grant
/// that has not been given yet finds nobody, which the keeper notices.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some((withdrawal, asker)) = self.withdrawal.take() else { return };
        self.answer.close();
        if let Ok(Ok(Decision::Granted(_))) = self.answer.try_recv() {
            self.ledger.push(Operation::Abandon(withdrawal, asker));
        }
    }
}

/// An export, read in chunks. Each transfer stands as it does when its chunk is read.
#[derive(Debug)]
pub struct Transfers {
    ledger: Ledger,
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
