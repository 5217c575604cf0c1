//! What operators ask of the ledger, and what they correct in it.

use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadTransaction;

use super::export::{Transfers, beside};
use super::operation::Operation;
use super::shelf::Failure;
use super::{Embedded, read};
use crate::domain::{ContractId, JstDate, LoginId, TransferId};
use crate::store::ledger::{Addition, CorrectError, ReconcileError, Statement, StoreError, Transfer, Verdict};
use crate::store::reply;

impl Embedded {
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

    /// What an operator found out about a transfer that was settled the other way.
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

    /// An operator takes this store and the present clock for the right ones (LIM-41). Sums stay what they are.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn accept(&self, at: Timestamp) -> Result<(), StoreError> {
        self.ask(|reply| Operation::Accept(at, reply)).await
    }

    /// Refuses money, also after a restart, until an operator accepts the store (LIM-41).
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn require_acceptance(&self, reason: String) -> Result<(), StoreError> {
        self.ask(|reply| Operation::RequireAcceptance(reason, reply)).await
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
        self.read(move |view| read::statement(view, &contract, &members, day)).await
    }

    /// One transfer.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn transfer(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.read(move |view| read::transfer(view, id)).await
    }

    /// Every unknown transfer, in the order of their reservation.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn unknown(&self) -> Result<Vec<Transfer>, StoreError> {
        self.read(read::unknown).await
    }

    /// The transfers accepted from one day to another, both included, as they stand now.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn transfers(&self, from: JstDate, to: JstDate) -> Result<Transfers, StoreError> {
        let view = self.ask(Operation::Read).await?;
        Ok(Transfers::of(view, from, to))
    }

    /// Runs on a thread for blocking work: a statement of a busy day reads many pages.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let view = self.ask(Operation::Read).await?;
        beside(move || look(&view)).await
    }
}
