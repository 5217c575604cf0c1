//! What must not be forgotten: the ledger of transfers.
//!
//! [`ledger`] says what is asked of it and what it promises; each store beside it keeps the promises in its own way,
//! and the same tests hold all of them to it.

#[cfg(test)]
mod contract;
pub mod embedded;
mod gauges;
pub mod ledger;
pub mod redis;
mod reply;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use self::ledger::{
    Addition, CorrectError, Counts, Decision, Entered, Entry, Mark, Member, Order, ReconcileError, Renewal, Settlement,
    State, Statement, StoreError, Transfer, Verdict,
};
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

/// The ledger of transfers, in the store that the institution chose.
#[derive(Debug, Clone)]
pub enum Ledger {
    /// In a file of this gateway.
    Embedded(embedded::Embedded),
    /// In a server that several gateways share.
    Redis(redis::Redis),
}

/// An export, read in chunks.
#[derive(Debug)]
pub enum Transfers {
    /// From a file of this gateway.
    Embedded(embedded::Transfers),
    /// From a server that several gateways share.
    Redis(redis::Transfers),
}

impl Ledger {
    /// Decides an order and reserves what it moves, durably. If the caller goes away before the answer, the
    /// reservation is taken back.
    ///
    /// # Errors
    /// Then the order must not be forwarded.
    pub async fn reserve(&self, order: Order) -> Result<Decision, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.reserve(order).await,
            Self::Redis(ledger) => ledger.reserve(order).await,
        }
    }

    /// Settles a transfer without waiting. It is not lost while the process lives.
    pub fn settle(&self, settlement: Settlement) {
        match self {
            Self::Embedded(ledger) => ledger.settle(settlement),
            Self::Redis(ledger) => ledger.settle(settlement),
        }
    }

    /// Settles a transfer, and tells where it stands then; `None` where nothing was recorded under its ID.
    ///
    /// # Errors
    /// When it is not durable yet. It is not lost: it is written as soon as the store answers again.
    pub async fn settle_and_wait(&self, settlement: Settlement) -> Result<Option<State>, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.settle_and_wait(settlement).await,
            Self::Redis(ledger) => ledger.settle_and_wait(settlement).await,
        }
    }

    /// Keeps an amount that another screen will commit, durably.
    ///
    /// # Errors
    /// Then the entry must not be forwarded.
    pub async fn enter(&self, entry: Entry) -> Result<Entered, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.enter(entry).await,
            Self::Redis(ledger) => ledger.enter(entry).await,
        }
    }

    /// A login ID was active: its entries live on from then, where their term says so. Nobody waits for it. Whoever asks
    /// while the ledger [is not available](Self::is_available) asks again.
    pub fn renew(&self, renewal: Renewal) {
        match self {
            Self::Embedded(ledger) => ledger.renew(renewal),
            Self::Redis(ledger) => ledger.renew(renewal),
        }
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
        match self {
            Self::Embedded(ledger) => ledger.learn_own_limit(contract, own, at).await,
            Self::Redis(ledger) => ledger.learn_own_limit(contract, own, at).await,
        }
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
        match self {
            Self::Embedded(ledger) => ledger.reconcile(id, verdict, reason, at).await,
            Self::Redis(ledger) => ledger.reconcile(id, verdict, reason, at).await,
        }
    }

    /// Keeps an order that the bank executed by hand (LIM-28). A second one with the same ID changes nothing.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn add(&self, addition: Addition) -> Result<Transfer, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.add(addition).await,
            Self::Redis(ledger) => ledger.add(addition).await,
        }
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
        match self {
            Self::Embedded(ledger) => ledger.correct(id, verdict, reason, at).await,
            Self::Redis(ledger) => ledger.correct(id, verdict, reason, at).await,
        }
    }

    /// An operator takes this store and the present clock for the right ones (LIM-41). Sums stay what they are.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn accept(&self, at: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.accept(at).await,
            Self::Redis(ledger) => ledger.accept(at).await,
        }
    }

    /// Refuses money, also after a restart, until an operator accepts the store (LIM-41).
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn require_acceptance(&self, reason: String) -> Result<(), StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.require_acceptance(reason).await,
            Self::Redis(ledger) => ledger.require_acceptance(reason).await,
        }
    }

    /// A contract's day.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn statement(
        &self,
        contract: ContractId,
        members: Arc<[LoginId]>,
        day: JstDate,
    ) -> Result<Statement, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.statement(contract, members, day).await,
            Self::Redis(ledger) => ledger.statement(contract, members, day).await,
        }
    }

    /// One transfer.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.transfer(id).await,
            Self::Redis(ledger) => ledger.transfer(id).await,
        }
    }

    /// Every unknown transfer, in the order of their reservation.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn unknown(&self) -> Result<Vec<Transfer>, StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.unknown().await,
            Self::Redis(ledger) => ledger.unknown().await,
        }
    }

    /// The transfers accepted from one day to another, both included, as they stand now.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn transfers(&self, from: JstDate, to: JstDate) -> Result<Transfers, StoreError> {
        match self {
            Self::Embedded(ledger) => Ok(Transfers::Embedded(ledger.transfers(from, to).await?)),
            Self::Redis(ledger) => Ok(Transfers::Redis(ledger.transfers(from, to).await?)),
        }
    }

    /// Which store this is, and how far it has come.
    pub fn mark(&self) -> Mark {
        match self {
            Self::Embedded(ledger) => ledger.mark(),
            Self::Redis(ledger) => ledger.mark(),
        }
    }

    /// From now on, tells the audit log how far it has come (LIM-41); a store that waits to be accepted tells nothing.
    pub fn tell_marks(&self, audit: &Audit) {
        match self {
            Self::Embedded(ledger) => ledger.tell_marks(audit),
            Self::Redis(ledger) => ledger.tell_marks(audit),
        }
    }

    /// Whether the store took part the last time.
    pub fn is_available(&self) -> bool {
        match self {
            Self::Embedded(ledger) => ledger.is_available(),
            Self::Redis(ledger) => ledger.is_available(),
        }
    }

    /// Why money is refused; `None` where the store takes part.
    pub fn unavailable(&self) -> Option<StoreError> {
        match self {
            Self::Embedded(ledger) => ledger.unavailable(),
            Self::Redis(ledger) => ledger.unavailable(),
        }
    }

    /// Whether other gateways may share the store.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Redis(_) => true,
        }
    }

    /// Why the store waits for an operator to accept it; `None` where it does not (LIM-41).
    pub fn awaits_acceptance(&self) -> Option<Arc<str>> {
        match self {
            Self::Embedded(ledger) => ledger.awaits_acceptance(),
            Self::Redis(ledger) => ledger.awaits_acceptance(),
        }
    }

    /// How many transfers are not settled for good.
    pub fn counts(&self) -> Counts {
        match self {
            Self::Embedded(ledger) => ledger.counts(),
            Self::Redis(ledger) => ledger.counts(),
        }
    }

    /// The gateways that share the store, and whether money waits for one of them (LIM-39); none where it is not shared.
    ///
    /// # Errors
    /// When the ledger is closed.
    pub async fn members(&self) -> Result<Vec<Member>, StoreError> {
        match self {
            Self::Embedded(_) => Ok(Vec::new()),
            Self::Redis(ledger) => ledger.members().await,
        }
    }

    /// Gives up a gateway that shares the store and will not come back (LIM-39). Whether there was such a one.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn write_off(&self, member: &str, at: Timestamp) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(_) => Ok(false),
            Self::Redis(ledger) => ledger.write_off(member, at).await,
        }
    }

    /// Writes what was asked for, and closes the store. What is asked afterwards is not done.
    pub async fn close(&self) {
        match self {
            Self::Embedded(ledger) => ledger.close().await,
            Self::Redis(ledger) => ledger.close().await,
        }
    }
}

impl Transfers {
    /// The next of them, in the order of their reservation; empty at the end.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn next_chunk(&mut self) -> Result<Vec<Transfer>, StoreError> {
        match self {
            Self::Embedded(transfers) => transfers.next_chunk().await,
            Self::Redis(transfers) => transfers.next_chunk().await,
        }
    }
}
