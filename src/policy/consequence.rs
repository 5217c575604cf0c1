//! What the application's answer decides of a request that the ledger has granted (LIM-14, LIM-15).
//!
//! Whatever becomes of a [`Reservation`] on the way, it ends: released while nothing has left, unknown afterwards.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::inspect::{told_number, told_order_key};
use super::reserve::{Treasury, refusal_of};
use super::route::Route;
use super::treatment::NumberInAnswer;
use crate::domain::{ContractId, LoginId, Serial, TransferId, Yen};
use crate::operator::audit::{Action, Record, StoreMark, TransferState};
use crate::refusal::{BodyRefusal, Refusal, TransferRefusal};
use crate::store::ledger::{CANCELLED, Grant, Holder, Lines, OrderNumber, Outcome, Settlement, Term};

/// What the application's answer decides.
#[derive(Debug)]
pub enum Consequence {
    /// Nothing.
    Nothing,
    /// A transfer's outcome.
    Settle(Reservation),
    /// Under which number an amount is kept.
    Keep(Keeping),
    /// The customer's own limit.
    Learn(Learning),
    /// Whether an order still counts.
    Cancel(Cancelling),
}

/// A granted transfer that is not settled yet.
#[derive(Debug)]
pub struct Reservation {
    pub(super) treasury: Arc<Treasury>,
    pub(super) id: TransferId,
    pub(super) holder: Holder,
    pub(super) certificate: Option<Serial>,
    pub(super) client: IpAddr,
    pub(super) route: Arc<Route>,
    pub(super) grant: Grant,
    pub(super) reserved_at: Timestamp,
    /// Whether a failure means that nothing of it was executed (LIM-31).
    pub(super) fails_whole: bool,
    /// Where the answer tells the number by which it can be cancelled.
    pub(super) number: Option<NumberInAnswer>,
    pub(super) progress: Progress,
}

/// How far a reserved transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing has left for the application.
    Here,
    /// Something may have.
    Gone,
    Settled,
}

/// An amount whose order has no number yet.
#[derive(Debug)]
pub struct Keeping {
    pub(super) treasury: Arc<Treasury>,
    /// Where the answer tells the number.
    pub place: NumberInAnswer,
    pub(super) owner: LoginId,
    pub(super) lines: Lines,
    pub(super) term: Term,
}

/// A limit that holds once the application has accepted it.
#[derive(Debug)]
pub struct Learning {
    pub(super) treasury: Arc<Treasury>,
    pub(super) contract: ContractId,
    pub(super) limit: Yen,
}

/// An order that counts until the application has cancelled it.
#[derive(Debug)]
pub struct Cancelling {
    pub(super) treasury: Arc<Treasury>,
    pub(super) login_id: LoginId,
    pub(super) contract: ContractId,
    pub(super) number: String,
}

impl Consequence {
    /// Where in the answer a number stands that is needed.
    pub fn number_in_answer(&self) -> Option<&NumberInAnswer> {
        match self {
            Self::Keep(keeping) => Some(&keeping.place),
            Self::Settle(reservation) => reservation.number.as_ref(),
            Self::Nothing | Self::Learn(_) | Self::Cancel(_) => None,
        }
    }

    /// The request begins to leave: from here on its outcome is the application's.
    ///
    /// # Errors
    /// It has waited so long that the application would execute it on another day than those it counts on (LIM-35).
    pub fn leaves(&mut self, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::Settle(reservation) => {
                if !reservation.treasury.settings.may_still_leave(reservation.reserved_at, now) {
                    return Err(Refusal::Transfer(TransferRefusal::DayEnded));
                }
                reservation.progress = Progress::Gone;
            }
            Self::Nothing | Self::Keep(_) | Self::Learn(_) | Self::Cancel(_) => {}
        }
        Ok(())
    }
}

impl Reservation {
    /// The application has executed it. `number` is the one that its answer tells, where it was to tell one.
    pub fn commit(mut self, number: Option<&str>) {
        self.conclude(Outcome::Committed, "success_marker");
        if self.number.is_none() {
            return;
        }
        match number.and_then(told_number) {
            Some(number) => {
                self.treasury.ledger.number(OrderNumber::of(&self.holder.contract, &number), self.id);
            }
            None => {
                tracing::warn!(transfer = %self.id, "an answer tells no number for its order: cancelling it frees nothing");
            }
        }
    }

    /// Settles it by what the application did; a failure of one that may be executed in part stays counted (LIM-31).
    pub fn settle(mut self, outcome: Outcome, why: &'static str) {
        match outcome {
            Outcome::Released if !self.fails_whole => self.conclude(Outcome::Unknown, "partial"),
            Outcome::Committed | Outcome::Released | Outcome::Unknown => self.conclude(outcome, why),
        }
    }

    fn conclude(&mut self, outcome: Outcome, why: &'static str) {
        self.progress = Progress::Settled;
        let Self { treasury, id, holder, certificate, client, route, grant, .. } = &*self;
        let at = treasury.clock.now();
        treasury.audit.record(Record {
            reason: Some(why.into()),
            login_id: Some(holder.login_id.clone()),
            certificate: certificate.clone(),
            client: Some(*client),
            contract: Some(holder.contract.clone()),
            route: Some(Arc::clone(&route.name)),
            amount: Some(grant.amount),
            transfer: Some(id.to_string().into()),
            store: Some(StoreMark { id: Arc::clone(&grant.mark.store), sequence: grant.mark.sequence }),
            ..Record::new(Action::Transfer(match outcome {
                Outcome::Committed => TransferState::Committed,
                Outcome::Released => TransferState::Released,
                Outcome::Unknown => TransferState::Unknown,
            }))
        });
        // After the record: where this process is killed in between, the ledger still knows that something is open.
        treasury.ledger.settle(Settlement { id: *id, outcome, why, at });
        treasury.metrics.count_transfer(outcome.state().word(), grant.amount);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match self.progress {
            Progress::Here => self.conclude(Outcome::Released, "not_sent"),
            Progress::Gone => self.conclude(Outcome::Unknown, "abandoned"),
            Progress::Settled => {}
        }
    }
}

impl Cancelling {
    /// The application has cancelled the order.
    ///
    /// # Errors
    /// The ledger cannot answer; the order still counts.
    pub async fn cancel(self) -> Result<(), Refusal> {
        let Self { treasury, login_id, contract, number } = self;
        let (order, at) = (OrderNumber::of(&contract, &number), treasury.clock.now());
        let Some(transfer) = treasury.ledger.cancel(order, at).await.map_err(refusal_of)? else {
            tracing::info!(%contract, "an order was cancelled that is not known by its number: it still counts");
            return Ok(());
        };
        treasury.metrics.count_transfer(transfer.state.word(), transfer.amount);
        let mark = treasury.ledger.mark();
        treasury.audit.record(Record {
            reason: Some(CANCELLED.into()),
            login_id: Some(login_id),
            contract: Some(contract),
            route: Some(transfer.route.as_str().into()),
            amount: Some(transfer.amount),
            transfer: Some(transfer.id.to_string().into()),
            store: Some(StoreMark { id: mark.store, sequence: mark.sequence }),
            ..Record::new(Action::Transfer(TransferState::Released))
        });
        Ok(())
    }
}

impl Keeping {
    /// Keeps the amount under the number that the answer told.
    ///
    /// # Errors
    /// The number is none that a form could name, or the ledger cannot keep it; the order cannot be approved then.
    pub async fn keep(self, number: &str) -> Result<(), Refusal> {
        let Self { treasury, owner, lines, term, .. } = self;
        let key = told_order_key(number).ok_or(Refusal::Body(BodyRefusal::AmbiguousField))?;
        treasury.enter(key, owner, lines, term).await
    }
}

impl Learning {
    /// The application has accepted the limit.
    ///
    /// # Errors
    /// The ledger cannot keep it; the limit before holds on.
    pub async fn learn(self) -> Result<(), Refusal> {
        let Self { treasury, contract, limit } = self;
        let at = treasury.clock.now();
        if treasury.alarms.raised_limit.is_some() {
            let before = treasury.ledger.own_limit(contract.clone()).await.ok().flatten();
            treasury.memory.note_limit(&contract, before, limit, at);
        }
        treasury.ledger.learn_own_limit(contract, Some(limit), at).await.map_err(refusal_of)
    }
}
