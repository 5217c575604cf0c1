//! The last question before a request may leave: does the ledger grant it? (LIM-13, LIM-14)
//!
//! What it grants is held by a [`Reservation`] until the application's answer settles it. Whatever happens to one on the way,
//! it ends: released while nothing has left, unknown afterwards.

use std::sync::Arc;

use jiff::Timestamp;

use super::activity::Activity;
use super::alarms::{self, Watched};
use super::buffers::Room;
use super::ceiling;
use super::inspect::{Demand, Inspected, told_order_key};
use super::own_limit::{Shown, own_limit};
use super::rate_limit::OnTrial;
use super::route::{Enforcement, Route};
use super::treatment::NumberInAnswer;
use crate::connection::request::Understood;
use crate::domain::{Clock, ContractId, JstDate, LoginId, RequestId, TransferId, Yen};
use crate::operator::audit::{Action, Audit, Record, StoreMark, TransferState};
use crate::operator::metrics::Metrics;
use crate::refusal::{BodyRefusal, LocalLink, Refusal, TransferRefusal};
use crate::store::Ledger;
use crate::store::ledger::{
    Claim, Decision, Denied, Entered, Entry, EntryKey, Grant, Holder, Mode, Order, Outcome, Renewal, Settlement, State,
    StoreError, Term, Whose,
};

/// Asks the ledger.
#[derive(Debug)]
pub struct Treasury {
    /// `[transfer]`.
    pub settings: ceiling::Settings,
    /// Where the sums are.
    pub ledger: Ledger,
    /// Where transfers are told.
    pub audit: Audit,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// `[transfer.alarms]`.
    pub alarms: alarms::Settings,
    /// What they go by.
    pub memory: Arc<alarms::Memory>,
    /// `[transfer] limit-screen`: where the application lets customers change their own limit.
    pub limit_screen: Option<LocalLink>,
    /// Who was told today that the own limit is above the ceiling.
    pub shown: Arc<Shown>,
    /// How the ledger is told that customers are active; `None` where that keeps nothing alive.
    pub activity: Option<Activity>,
}

/// A request that may leave. Only [`reserve`] makes one.
#[derive(Debug)]
pub struct Reserved {
    /// The request.
    pub(crate) request: Understood,
    /// Its route.
    pub(crate) route: Arc<Route>,
    /// What its answer will decide.
    pub(crate) consequence: Consequence,
    /// What its answer will decide about rates.
    pub(crate) on_trial: OnTrial,
    /// What would have been refused, were it enforced.
    pub observed: Option<Refusal>,
    /// The memory that its body takes, until it has left.
    pub(crate) room: Option<Room>,
}

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
}

/// A granted transfer that is not settled yet.
#[derive(Debug)]
pub struct Reservation {
    treasury: Arc<Treasury>,
    id: TransferId,
    holder: Holder,
    route: Arc<Route>,
    grant: Grant,
    reserved_at: Timestamp,
    /// Whether a failure means that nothing of it was executed (LIM-31).
    fails_whole: bool,
    progress: Progress,
}

/// How far a reserved transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing has left for the application.
    Here,
    /// Something may have.
    Gone,
    Settled,
}

/// An amount whose order has no number yet.
#[derive(Debug)]
pub struct Keeping {
    treasury: Arc<Treasury>,
    /// Where the answer tells the number.
    pub place: NumberInAnswer,
    owner: LoginId,
    amount: Yen,
    term: Term,
}

/// A limit that holds once the application has accepted it.
#[derive(Debug)]
pub struct Learning {
    treasury: Arc<Treasury>,
    contract: ContractId,
    limit: Yen,
}

/// Asks the ledger for what a request demands, if it demands anything.
///
/// # Errors
/// The ceiling, an order in flight, a limit above the ceiling; 503 where ledger or audit log cannot take part.
pub async fn reserve(treasury: Option<&Arc<Treasury>>, watched: Watched, id: &RequestId) -> Result<Reserved, Refusal> {
    let Inspected { request, route, demand, observed, on_trial, room, .. } = watched.0;
    if let Some(treasury) = treasury {
        treasury.renew(&request);
    }
    if demand == Demand::Nothing {
        return Ok(Reserved { request, route, consequence: Consequence::Nothing, on_trial, observed, room });
    }
    let treasury = treasury.ok_or(Refusal::Transfer(TransferRefusal::StoreUnavailable))?;
    match Box::pin(treasury.grant(&request, &route, demand, id)).await {
        Ok((consequence, would_refuse)) => {
            Ok(Reserved { request, route, consequence, on_trial, observed: observed.or(would_refuse), room })
        }
        Err(refusal) if treasury.settings.enforcement == Enforcement::Observe => {
            let observed = observed.or(Some(refusal));
            Ok(Reserved { request, route, consequence: Consequence::Nothing, on_trial, observed, room })
        }
        Err(refusal) => Err(refusal),
    }
}

impl Treasury {
    async fn grant(
        self: &Arc<Self>,
        request: &Understood,
        route: &Arc<Route>,
        demand: Demand,
        id: &RequestId,
    ) -> Result<(Consequence, Option<Refusal>), Refusal> {
        let now = self.clock.now();
        let customer = request.standing().customer().ok_or(Refusal::Transfer(TransferRefusal::NoIdentity))?;
        if !self.audit.is_writable() {
            return Err(Refusal::Transfer(TransferRefusal::AuditUnavailable));
        }
        let owner = || customer.login_id().clone();
        let treasury = Arc::clone(self);
        match demand {
            Demand::Nothing => Ok((Consequence::Nothing, None)),
            Demand::Enter { key, amount, term } => {
                self.may_be_moved(amount)?;
                self.enter(key, owner(), amount, term).await?;
                Ok((Consequence::Nothing, None))
            }
            Demand::EnterAnswered { place, amount, term } => {
                self.may_be_moved(amount)?;
                Ok((Consequence::Keep(Keeping { treasury, place, owner: owner(), amount, term }), None))
            }
            Demand::ChangeLimit { limits } => {
                let ceiling = self.settings.on(JstDate::of(now))?;
                if limits.iter().any(|limit| *limit > ceiling) {
                    return Err(Refusal::Transfer(TransferRefusal::LimitTooHigh { ceiling }));
                }
                // Of several accounts, the contract can move what all of them may.
                let sum = limits.iter().try_fold(Yen::ZERO, |sum, limit| sum.checked_add(*limit));
                let (limit, contract) = (sum.unwrap_or(Yen::MAX), ContractId::alone(customer.login_id()));
                Ok((Consequence::Learn(Learning { treasury, contract, limit }), None))
            }
            Demand::Commit { claim, date, token, fails_whole } => {
                if let Claim::Stated(amount) = claim {
                    self.may_be_moved(amount)?;
                }
                let holder = Holder::alone(customer.login_id());
                let order = Order {
                    id: id.transfer(),
                    holder: holder.clone(),
                    claim,
                    debits: self.settings.debits(now, date)?,
                    route: Arc::clone(&route.name),
                    at: now,
                    token,
                    bounds: self.settings.bounds(),
                    mode: match self.settings.enforcement {
                        Enforcement::Enforce => Mode::Enforce,
                        Enforcement::Observe => Mode::Observe,
                    },
                };
                let decision = self.ledger.reserve(order).await.map_err(refusal_of)?;
                let grant = match decision {
                    Decision::Granted(grant) => grant,
                    Decision::Denied(denied) => return Err(denial(&denied)),
                };
                self.metrics.count_transfer(State::Reserved.word(), grant.amount);
                let would_refuse = grant.would_deny.as_ref().map(denial);
                let (id, route) = (id.transfer(), Arc::clone(route));
                let (reserved_at, progress) = (now, Progress::Here);
                let reservation =
                    Reservation { treasury, id, holder, route, grant, reserved_at, fails_whole, progress };
                Ok((Consequence::Settle(reservation), would_refuse))
            }
        }
    }

    /// The customer is about to be active: the application's session lives on, and so must what was entered in it. While
    /// the ledger is away, the next request asks again.
    fn renew(&self, request: &Understood) {
        let Some((activity, customer)) = self.activity.zip(request.standing().customer()) else { return };
        let at = self.clock.now();
        if self.ledger.is_available() && request.standing().visit().is_active_again(at, activity.told_every) {
            self.ledger.renew(Renewal { owner: customer.login_id().clone(), at, lifetime: activity.lifetime });
        }
    }

    async fn enter(&self, key: EntryKey, owner: LoginId, amount: Yen, term: Term) -> Result<(), Refusal> {
        let most = self.settings.most_entries(term);
        let entry = Entry { key, owner, amount, at: self.clock.now(), term, most };
        match self.ledger.enter(entry).await.map_err(refusal_of)? {
            Entered::Kept(_) => Ok(()),
            Entered::InUse => Err(Refusal::Transfer(TransferRefusal::EntryInUse)),
            Entered::TooMany => Err(Refusal::Transfer(TransferRefusal::TooManyEntries)),
        }
    }

    /// Whether one order may be as large.
    fn may_be_moved(&self, amount: Yen) -> Result<(), Refusal> {
        match self.settings.per_transfer {
            Some(limit) if amount > limit => Err(Refusal::Transfer(TransferRefusal::OverTransferLimit { limit })),
            Some(_) | None => Ok(()),
        }
    }
}

impl Consequence {
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
            Self::Nothing | Self::Keep(_) | Self::Learn(_) => {}
        }
        Ok(())
    }
}

impl Reservation {
    /// Settles it by what the application did; a failure of one that may be executed in part stays counted (LIM-31).
    pub fn settle(mut self, outcome: Outcome, why: &'static str) {
        match outcome {
            Outcome::Released if !self.fails_whole => self.conclude(Outcome::Unknown, "partial"),
            Outcome::Committed | Outcome::Released | Outcome::Unknown => self.conclude(outcome, why),
        }
    }

    fn conclude(&mut self, outcome: Outcome, why: &'static str) {
        self.progress = Progress::Settled;
        let Self { treasury, id, holder, route, grant, .. } = &*self;
        let at = treasury.clock.now();
        treasury.audit.record(Record {
            reason: Some(why.into()),
            login_id: Some(holder.login_id.clone()),
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

impl Keeping {
    /// Keeps the amount under the number that the answer told.
    ///
    /// # Errors
    /// The number is none that a form could name, or the ledger cannot keep it; the order cannot be approved then.
    pub async fn keep(self, number: &str) -> Result<(), Refusal> {
        let Self { treasury, owner, amount, term, .. } = self;
        let key = told_order_key(number).ok_or(Refusal::Body(BodyRefusal::AmbiguousField))?;
        treasury.enter(key, owner, amount, term).await
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
            let before = own_limit(&treasury.ledger, contract.clone()).await.ok().flatten();
            treasury.memory.note_limit(&contract, before, limit, at);
        }
        treasury.ledger.learn_own_limit(contract, Some(limit), at).await.map_err(refusal_of)
    }
}

fn refusal_of(error: StoreError) -> Refusal {
    tracing::warn!(%error, "the ledger cannot answer");
    match error {
        StoreError::Unavailable(_) => Refusal::Transfer(TransferRefusal::StoreUnavailable),
        StoreError::NotAccepted(_) => Refusal::Transfer(TransferRefusal::StoreNotAccepted),
    }
}

fn denial(denied: &Denied) -> Refusal {
    match *denied {
        Denied::OverLimit { whose: Whose::Contract, limit, used, .. } => {
            Refusal::Transfer(TransferRefusal::OverCeiling { limit, used })
        }
        Denied::OverLimit { whose: Whose::LoginId, limit, used, .. } => {
            Refusal::Transfer(TransferRefusal::OverLoginIdLimit { limit, used })
        }
        Denied::OwnLimitAboveCeiling { ceiling, .. } => {
            Refusal::Transfer(TransferRefusal::LimitAboveCeiling { ceiling })
        }
        Denied::Duplicate => Refusal::Transfer(TransferRefusal::InProgress),
        Denied::TooManyInFlight => Refusal::Transfer(TransferRefusal::TooMany),
        Denied::NoEntry => Refusal::Transfer(TransferRefusal::NoEntry),
        Denied::EntryInUse => Refusal::Transfer(TransferRefusal::EntryInUse),
        Denied::ClockBehind { .. } => Refusal::Transfer(TransferRefusal::ClockBehind),
    }
}
