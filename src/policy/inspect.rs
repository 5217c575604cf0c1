//! Reads what must be read before a request may leave: the bodies of inspected routes, in whole and with one meaning.
//!
//! Invariant: what an [`Inspected`] request demands of the ledger was read from exactly the bytes that it carries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::activity::term_of;
use super::alarms::Payee;
use super::body::reference::reference;
use super::body::{Amount, BodyFormat, Fault, Head, Inspection, Submission};
use super::buffers::{Buffers, Room};
use super::login;
use super::rate_limit::{Admitted, OnTrial};
use super::route::{CanonicalPath, Enforcement, Route, Routed};
use super::treatment::{Act, Filling, InspectionRules, Key, NumberInAnswer, Treatment};
use crate::connection::Limits;
use crate::connection::body::{Patience, RequestBody};
use crate::connection::request::Understood;
use crate::domain::{JstDate, LoginId, RequestId, Yen};
use crate::operator::audit::{Action, Record};
use crate::refusal::{BodyRefusal, Refusal, TransferRefusal};
use crate::store::ledger::{Claim, EntryKey, Line, Lines, Term};

/// A request that was read as far as its route demands. Only [`inspect`] makes one.
#[derive(Debug)]
pub struct Inspected {
    pub(super) request: Box<Understood>,
    pub(super) route: Arc<Route>,
    pub(super) demand: Demand,
    /// Whom it pays, where its route names the field.
    pub(super) payee: Option<Payee>,
    /// What it moves that counts against no ceiling, as far as its form says.
    pub(super) exempt: Option<Yen>,
    /// What would have been refused, were it enforced.
    pub observed: Option<Refusal>,
    pub(super) room: Option<Room>,
    pub(super) on_trial: OnTrial,
}

/// What a request wants of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// To keep an amount for a later request.
    Enter {
        /// Under which key.
        key: EntryKey,
        /// How much, on which lines.
        lines: Lines,
        /// How long.
        term: Term,
    },
    /// The same, under a number that the answer will tell.
    EnterAnswered {
        /// Where it tells it.
        place: NumberInAnswer,
        /// How much, on which lines.
        lines: Lines,
        /// How long.
        term: Term,
    },
    /// To move money.
    Commit(Commit),
    /// To free what was counted for the order with a number of the application's.
    Cancel {
        /// The number.
        number: String,
    },
    /// To change the customer's own limit, of one or several accounts.
    ChangeLimit {
        /// The new limits.
        limits: Vec<Yen>,
    },
}

/// An order that moves money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// How much.
    pub claim: Claim,
    /// What it leaves in a form that another request may commit.
    pub leaves: Option<Left>,
    /// On which day, where the customer said.
    pub date: Option<JstDate>,
    /// What makes two commits the same.
    pub token: Option<EntryKey>,
    /// Whether a failure means that nothing of it was executed.
    pub fails_whole: bool,
    /// Where the answer tells the number by which it can be cancelled.
    pub number: Option<NumberInAnswer>,
}

/// What an order of one step leaves in a form of the application's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Under which key a commit of that form looks.
    pub key: EntryKey,
    /// How much, on which lines.
    pub lines: Lines,
    /// How long.
    pub term: Term,
}

impl Demand {
    /// What it would move, if it moves money: zero where only an earlier screen said that.
    pub fn moves(&self) -> Option<Yen> {
        match self {
            Self::Commit(Commit { claim: Claim::Stated(amount), .. }) => Some(*amount),
            Self::Commit(Commit { claim: Claim::Entered { repeated, .. }, .. }) => {
                Some(repeated.as_ref().map_or(Yen::ZERO, Lines::total))
            }
            Self::Nothing
            | Self::Enter { .. }
            | Self::EnterAnswered { .. }
            | Self::Cancel { .. }
            | Self::ChangeLimit { .. } => None,
        }
    }
}

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Between two parts of it.
    pub body_timeout: Duration,
    /// From its beginning to its end.
    pub inspection_timeout: Duration,
}

impl Time {
    /// As the limits say.
    pub const fn of(limits: &Limits) -> Self {
        Self { body_timeout: limits.body_timeout, inspection_timeout: limits.inspection_timeout }
    }
}

impl Inspected {
    /// Its route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// What it would move.
    pub fn moves(&self) -> Option<Yen> {
        self.demand.moves()
    }

    /// What every record about it says: who asks, from where, and for what.
    pub(super) fn record(&self, id: &RequestId, action: Action) -> Record {
        let standing = self.request.standing();
        let customer = standing.customer();
        Record {
            login_id: customer.map(|who| who.login_id().clone()),
            certificate: customer.and_then(|who| who.certificate_serial().cloned()),
            contract: standing.contract().cloned(),
            client: Some(standing.visit().client()),
            request: Some(id.clone()),
            route: Some(Arc::clone(&self.route.name)),
            ..Record::new(action)
        }
    }

    /// It is answered here, by what is no refusal: the application cannot call it a failure any more.
    pub fn answered_here(self) {
        self.on_trial.acquit();
    }

    /// Whether the ledger has a part in it; then it runs on when its client hangs up.
    pub fn concerns_the_ledger(&self) -> bool {
        self.demand != Demand::Nothing
    }
}

/// Reads the body where a route demands it.
///
/// # Errors
/// A body that is too long, too slow, or has more than one meaning; a request about money without an identity.
pub async fn inspect(
    admitted: Admitted,
    buffers: &Arc<Buffers>,
    time: Time,
    enforcement: Enforcement,
) -> Result<Inspected, Refusal> {
    let Admitted { routed: Routed { mut request, candidates, observed }, on_trial, .. } = admitted;
    let Some(first) = candidates.first() else { return Err(Refusal::Transfer(TransferRefusal::UnknownRoute)) };
    match &first.treatment {
        Treatment::Streamed { max_body, .. } => {
            request.limit_body(*max_body)?;
            let route = Arc::clone(first);
            let exempt = route.is_exempt.then_some(Yen::ZERO);
            Ok(Inspected {
                request,
                route,
                demand: Demand::Nothing,
                payee: None,
                exempt,
                observed,
                room: None,
                on_trial,
            })
        }
        // On the heap: most requests carry no room for it.
        Treatment::Inspected(rules) => {
            let read = Box::pin(read(request, &candidates, rules, observed, (buffers, time, enforcement))).await?;
            Ok(Inspected { on_trial, ..read })
        }
    }
}

async fn read(
    mut request: Box<Understood>,
    candidates: &[Arc<Route>],
    rules: &InspectionRules,
    observed: Option<Refusal>,
    (buffers, time, enforcement): (&Arc<Buffers>, Time, Enforcement),
) -> Result<Inspected, Refusal> {
    let login_id = request.standing().customer().map(|who| who.login_id().clone());
    let is_about_money = candidates.iter().any(|route| is_about_money(route));
    if is_about_money && login_id.is_none() && enforcement == Enforcement::Enforce {
        return Err(Refusal::Transfer(TransferRefusal::NoIdentity));
    }
    // Who somebody is, is nothing to be watched first.
    let enforcement =
        if candidates.iter().any(|route| route.binds_a_login()) { Enforcement::Enforce } else { enforcement };
    // Candidates differ in what tells them apart, not in how they are written; the configuration sees to it.
    let room = Some(buffers.room_for(&request, rules.max_body)?);
    let body = collect(&mut request, rules.max_body, time).await?;
    let understood = understand(&request, rules.rules.format(), candidates, &body, login_id.as_ref());
    let (read, observed) = match (understood, candidates.first()) {
        (Ok(read), _) => (read, observed),
        (Err(refusal), Some(first)) if enforcement == Enforcement::Observe => {
            let route = Arc::clone(first);
            (Read { route, demand: Demand::Nothing, payee: None, amount: None, body }, Some(refusal))
        }
        (Err(refusal), _) => return Err(refusal),
    };
    let Read { route, demand, payee, amount, body } = read;
    request.replace_body(body);
    let exempt = route.is_exempt.then(|| amount.unwrap_or_default());
    Ok(Inspected { request, route, demand, payee, exempt, observed, room, on_trial: OnTrial::default() })
}

async fn collect(request: &mut Understood, max: usize, time: Time) -> Result<Bytes, Refusal> {
    request.limit_body(Some(max as u64))?;
    let progress = request.standing().visit().progress().clone();
    let deadline = Instant::now() + time.inspection_timeout;
    let announced = request.length;
    let body = std::mem::replace(&mut request.body, RequestBody::Empty);
    let body = body.collect(max, Patience::new(time.body_timeout), deadline, &progress).await?;
    match announced {
        Some(length) if length != body.len() as u64 => Err(Refusal::BadBody),
        Some(_) | None => Ok(body),
    }
}

/// What a body says, and to which route it belongs.
struct Read {
    route: Arc<Route>,
    demand: Demand,
    payee: Option<Payee>,
    amount: Option<Yen>,
    body: Bytes,
}

/// Finds the one route of those it may be, and what the body demands by its rules.
fn understand(
    request: &Understood,
    format: &BodyFormat,
    candidates: &[Arc<Route>],
    body: &Bytes,
    login_id: Option<&LoginId>,
) -> Result<Read, Refusal> {
    let target = request.target();
    let path = CanonicalPath::of(target.path()).map_err(|_| Refusal::AmbiguousPath)?;
    let head = Head { headers: &request.parts.headers, query: target.query(), path_parameters: &path.parameters };
    let submission = Submission::read(format, head, body).map_err(refusal_of)?;
    let mut found: Option<(&Arc<Route>, &InspectionRules)> = None;
    for route in candidates {
        let Treatment::Inspected(rules) = &route.treatment else { continue };
        let dispatch = rules.rules.dispatch();
        if submission.carries(dispatch).map_err(refusal_of)? {
            found = match found {
                None => Some((route, rules)),
                Some((_, other)) if dispatch.narrows(other.rules.dispatch()) => Some((route, rules)),
                Some((_, other)) if other.rules.dispatch().narrows(dispatch) => found,
                // The buttons of two forms at once: which one the application looks for first, nobody knows.
                Some(_) => return Err(Refusal::Body(BodyRefusal::AmbiguousField)),
            };
        }
    }
    let (route, rules) = found.ok_or(Refusal::Transfer(TransferRefusal::UnknownRoute))?;
    let mut inspection = submission.inspect(&rules.rules).map_err(refusal_of)?;
    if let Some((login, login_id)) = rules.login.as_ref().zip(login_id) {
        inspection = login::hold_to(login, login_id, inspection)?;
    }
    let demand = demand_of(rules, &inspection, login_id)?;
    let payee = inspection.payee.as_deref().map(Payee::of);
    let Inspection { amount, body, .. } = inspection;
    Ok(Read { route: Arc::clone(route), demand, payee, amount, body })
}

fn demand_of(rules: &InspectionRules, inspection: &Inspection, login_id: Option<&LoginId>) -> Result<Demand, Refusal> {
    let missing = Refusal::Body(BodyRefusal::MissingField);
    let Some(login_id) = login_id.filter(|_| rules.act != Act::Nothing) else {
        return if rules.act == Act::Nothing {
            Ok(Demand::Nothing)
        } else {
            Err(Refusal::Transfer(TransferRefusal::NoIdentity))
        };
    };
    let key = |key: &Key| {
        let number = || inspection.transaction.as_deref().ok_or(missing);
        match key {
            Key::LoginId => Ok(EntryKey::of(&["login-id", login_id.as_str()])),
            // Whoever entered it: with another's session, the application commits what stands in that session.
            Key::Transaction => Ok(EntryKey::of(&["transaction", number()?])),
            Key::Order | Key::AnsweredOrder(_) => Ok(order_key(number()?)),
        }
    };
    match &rules.act {
        Act::Nothing => Ok(Demand::Nothing),
        Act::Enter { key: kept, lifetime, filling } => {
            let lines = lines(rules, inspection, *filling).ok_or(missing)?;
            let term = term_of(kept, *lifetime);
            Ok(match kept {
                Key::AnsweredOrder(place) => Demand::EnterAnswered { place: place.clone(), lines, term },
                Key::LoginId | Key::Transaction | Key::Order => Demand::Enter { key: key(kept)?, lines, term },
            })
        }
        Act::Commit { entered, leaves, is_atomic, has_token, number } => {
            let claim = match entered {
                Some((kept, filling)) => {
                    Claim::Entered { key: key(kept)?, repeated: lines(rules, inspection, *filling) }
                }
                None => Claim::Stated(inspection.amount.ok_or(missing)?),
            };
            let left = |lifetime: &Duration| {
                let lines = lines(rules, inspection, Filling::ByLine)?;
                Some(Left { key: key(&Key::LoginId).ok()?, lines, term: term_of(&Key::LoginId, *lifetime) })
            };
            let token = inspection.token.as_deref();
            // Without it, a repeated order would look like a new one.
            if token.is_none() && *has_token {
                return Err(missing);
            }
            Ok(Demand::Commit(Commit {
                claim,
                leaves: leaves.as_ref().and_then(left),
                date: inspection.date,
                token: token.map(|token| EntryKey::of(&["token", login_id.as_str(), token])),
                fails_whole: *is_atomic || (entered.is_none() && inspection.amounts.len() <= 1),
                number: number.clone(),
            }))
        }
        Act::Cancel => Ok(Demand::Cancel { number: inspection.transaction.clone().ok_or(missing)? }),
        Act::ChangeLimit => {
            let limits = inspection.amounts.iter().map(|amount| amount.yen).collect();
            Ok(Demand::ChangeLimit { limits })
        }
    }
}

/// What a form says of an amount that several screens bring; `None` where it says none.
fn lines(rules: &InspectionRules, inspection: &Inspection, filling: Filling) -> Option<Lines> {
    match filling {
        Filling::Whole => inspection.amount.map(Lines::whole),
        Filling::ByLine => {
            let line = |amount: &Amount| (Line::named(&rules.rules.name_of(amount)), amount.yen);
            Lines::of(inspection.amounts.iter().map(line))
        }
    }
}

/// Under which key an order waits for its approval, whoever approves it. The number is one that is [compared](reference).
fn order_key(number: &str) -> EntryKey {
    EntryKey::of(&["order", number])
}

/// A number that stands in an answer, as it is compared with those in forms; `None` where no form could name it.
pub(super) fn told_number(number: &str) -> Option<String> {
    reference(number).ok().flatten()
}

/// Under which key an order waits whose number stands in an answer.
pub(super) fn told_order_key(number: &str) -> Option<EntryKey> {
    told_number(number).map(|number| order_key(&number))
}

fn is_about_money(route: &Route) -> bool {
    match &route.treatment {
        Treatment::Inspected(rules) => rules.act != Act::Nothing,
        Treatment::Streamed { .. } => false,
    }
}

fn refusal_of(fault: Fault) -> Refusal {
    tracing::debug!(%fault, "a body is refused");
    Refusal::Body(match fault {
        Fault::MalformedBody(_) => BodyRefusal::Malformed,
        Fault::AmbiguousField(_) => BodyRefusal::AmbiguousField,
        Fault::BadAmount => BodyRefusal::BadAmount,
        Fault::BadDate => BodyRefusal::BadDate,
        Fault::MissingField => BodyRefusal::MissingField,
        Fault::WrongFixedValue => BodyRefusal::WrongFixedValue,
        Fault::UnknownField => BodyRefusal::UnknownField,
        Fault::TooManyFields => BodyRefusal::TooManyFields,
        Fault::UnsupportedMediaType => BodyRefusal::MediaType,
        Fault::UnsupportedCharset => BodyRefusal::Charset,
        Fault::UnsupportedEncoding => BodyRefusal::Encoding,
    })
}
