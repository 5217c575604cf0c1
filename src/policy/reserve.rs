//! The last question before a request may leave: does the ledger grant it? (LIM-13, LIM-14)
//!
//! What it grants is held by a [`Reservation`] until the application's answer settles it.

use std::sync::Arc;

use super::activity::Activity;
use super::alarms::{self, Watched};
use super::buffers::Room;
use super::ceiling;
use super::consequence::{Cancelling, Consequence, Keeping, Learning, Progress, Reservation};
use super::inspect::{Commit, Demand, Inspected, Left};
use super::limit_notice::Shown;
use super::rate_limit::OnTrial;
use super::route::{Enforcement, Route};
use super::session::Expected;
use crate::connection::Standing;
use crate::connection::affiliation::Affiliation;
use crate::connection::request::Understood;
use crate::domain::{Clock, JstDate, LoginId, RequestId, Yen};
use crate::operator::audit::Audit;
use crate::operator::metrics::Metrics;
use crate::refusal::{LocalLink, Refusal, TransferRefusal};
use crate::store::Ledger;
use crate::store::ledger::{
    Decision, Denied, Entered, Entry, EntryKey, Holder, Lines, Mode, Order, Renewal, State, StoreError, Term, Whose,
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
    pub(crate) request: Box<Understood>,
    /// Its route.
    pub(crate) route: Arc<Route>,
    /// What its answer will decide.
    pub(crate) consequence: Consequence,
    /// What its answer will decide about rates.
    pub(crate) on_trial: OnTrial,
    /// Whose the sessions are that its answer begins.
    pub(crate) answer: Expected,
    /// What it moves that counts against no ceiling.
    pub(crate) exempt: Option<Yen>,
    /// What would have been refused, were it enforced.
    pub observed: Option<Refusal>,
    /// The memory that its body takes, until it has left.
    pub(crate) room: Option<Room>,
}

/// Asks the ledger for what a request demands, if it demands anything.
///
/// # Errors
/// The ceiling, an order in flight, a limit above the ceiling; 503 where ledger or audit log cannot take part.
pub async fn reserve(treasury: Option<&Arc<Treasury>>, watched: Watched, id: &RequestId) -> Result<Reserved, Refusal> {
    let Watched { inspected, answer } = watched;
    let Inspected { request, route, demand, exempt, observed, on_trial, room, .. } = inspected;
    if let Some(treasury) = treasury {
        treasury.renew(&request);
    }
    // What counts against no ceiling is money all the same (BND-09).
    let is_nobodys = exempt.is_some() && matches!(request.standing().affiliation(), Some(Affiliation::Nowhere));
    let unknown = is_nobodys.then_some(Refusal::Transfer(TransferRefusal::ContractUnknown));
    if demand == Demand::Nothing {
        let observes = treasury.is_none_or(|treasury| treasury.settings.enforcement == Enforcement::Observe);
        let observed = match unknown {
            Some(unknown) if !observes => return Err(unknown),
            unknown => observed.or(unknown),
        };
        return Ok(Reserved {
            request,
            route,
            consequence: Consequence::Nothing,
            on_trial,
            answer,
            exempt,
            observed,
            room,
        });
    }
    let treasury = treasury.ok_or(Refusal::Transfer(TransferRefusal::StoreUnavailable))?;
    match Box::pin(treasury.grant(&request, &route, demand, id)).await {
        Ok((consequence, would_refuse)) => {
            let observed = observed.or(would_refuse);
            Ok(Reserved { request, route, consequence, on_trial, answer, exempt, observed, room })
        }
        Err(refusal) if treasury.settings.enforcement == Enforcement::Observe => {
            let observed = observed.or(Some(refusal));
            Ok(Reserved { request, route, consequence: Consequence::Nothing, on_trial, answer, exempt, observed, room })
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
        let unknown = Refusal::Transfer(TransferRefusal::ContractUnknown);
        let contract = || request.standing().contract().cloned().ok_or(unknown);
        // Also where only an amount is entered: nobody could commit it.
        contract()?;
        let treasury = Arc::clone(self);
        if let Some(amount) = demand.moves() {
            self.may_be_moved(amount)?;
        }
        match demand {
            Demand::Nothing => Ok((Consequence::Nothing, None)),
            Demand::Enter { key, lines, term } => {
                self.may_be_moved(lines.total())?;
                self.enter(key, owner(), lines, term).await?;
                Ok((Consequence::Nothing, None))
            }
            Demand::EnterAnswered { place, lines, term } => {
                self.may_be_moved(lines.total())?;
                Ok((Consequence::Keep(Keeping { treasury, place, owner: owner(), lines, term }), None))
            }
            Demand::ChangeLimit { limits } => {
                let ceiling = self.settings.on(JstDate::of(now))?;
                if limits.iter().any(|limit| *limit > ceiling) {
                    return Err(Refusal::Transfer(TransferRefusal::LimitTooHigh { ceiling }));
                }
                // Of several accounts, the contract can move what all of them may.
                let sum = limits.iter().try_fold(Yen::ZERO, |sum, limit| sum.checked_add(*limit));
                let (limit, contract) = (sum.unwrap_or(Yen::MAX), contract()?);
                Ok((Consequence::Learn(Learning { treasury, contract, limit }), None))
            }
            Demand::Cancel { number } => {
                let (login_id, contract) = (owner(), contract()?);
                Ok((Consequence::Cancel(Cancelling { treasury, login_id, contract, number }), None))
            }
            Demand::Commit(commit) => self.reserve(request, route, commit, id).await,
        }
    }

    /// Counts what an order moves, before it leaves.
    async fn reserve(
        self: &Arc<Self>,
        request: &Understood,
        route: &Arc<Route>,
        Commit { claim, leaves, date, token, fails_whole, number }: Commit,
        id: &RequestId,
    ) -> Result<(Consequence, Option<Refusal>), Refusal> {
        let now = self.clock.now();
        let customer = request.standing().customer().ok_or(Refusal::Transfer(TransferRefusal::NoIdentity))?;
        if let Some(Left { key, lines, term }) = leaves {
            self.enter(key, customer.login_id().clone(), lines, term).await?;
        }
        let debits = self.settings.debits(now, date)?;
        let holder = holder(request.standing(), customer.login_id(), self.settings.counted_since(&debits))?;
        let order = Order {
            id: id.transfer(),
            holder: holder.clone(),
            claim,
            debits,
            route: Arc::clone(&route.name),
            at: now,
            token,
            bounds: self.settings.bounds(),
            mode: match self.settings.enforcement {
                Enforcement::Enforce => Mode::Enforce,
                Enforcement::Observe => Mode::Observe,
            },
        };
        let grant = match self.ledger.reserve(order).await.map_err(refusal_of)? {
            Decision::Granted(grant) => grant,
            Decision::Denied(denied) => return Err(denial(&denied)),
        };
        self.metrics.count_transfer(State::Reserved.word(), grant.amount);
        let would_refuse = grant.would_deny.as_ref().map(denial);
        let reservation = Reservation {
            treasury: Arc::clone(self),
            id: id.transfer(),
            holder,
            certificate: customer.certificate_serial().cloned(),
            client: request.standing().visit().client(),
            route: Arc::clone(route),
            grant,
            reserved_at: now,
            fails_whole,
            number,
            progress: Progress::Here,
        };
        // Several screens together may say more than each. Where it is refused, the reservation goes with it, as never sent.
        match (self.may_be_moved(reservation.grant.amount), self.settings.enforcement) {
            (Err(refusal), Enforcement::Enforce) => Err(refusal),
            (moved, _) => Ok((Consequence::Settle(reservation), would_refuse.or(moved.err()))),
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

    pub(super) async fn enter(&self, key: EntryKey, owner: LoginId, lines: Lines, term: Term) -> Result<(), Refusal> {
        let most = self.settings.most_entries(term);
        let entry = Entry { key, owner, lines, at: self.clock.now(), term, most };
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

/// Whose sums are added up for an order: those of the contract's login IDs, as the registry has them (LIM-05, LIM-36).
fn holder(standing: &Standing, login_id: &LoginId, counted_since: JstDate) -> Result<Holder, Refusal> {
    match standing.affiliation() {
        Some(Affiliation::Alone(_)) => Ok(Holder::alone(login_id)),
        Some(Affiliation::Member(membership)) => Ok(Holder {
            contract: membership.contract.clone(),
            login_id: login_id.clone(),
            members: membership.counted_since(counted_since),
        }),
        Some(Affiliation::Nowhere) | None => Err(Refusal::Transfer(TransferRefusal::ContractUnknown)),
    }
}

pub(super) fn refusal_of(error: StoreError) -> Refusal {
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
        Denied::MoreThanEntered => Refusal::Transfer(TransferRefusal::MoreThanEntered),
        Denied::ClockBehind { .. } => Refusal::Transfer(TransferRefusal::ClockBehind),
    }
}
