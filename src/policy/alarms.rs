//! Transfers that are allowed, and look like those that frauds make (RTL-07, A42): told to whoever watches, or held.
//!
//! What alarms go by is remembered by each gateway for itself, since its start, and bounded: it is no ledger. Nothing that
//! is counted depends on it, and what it forgets makes an alarm less, never a transfer more than the ceiling.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;

use super::inspect::{Demand, Inspected};
use super::reserve::Treasury;
use super::route::Enforcement;
use super::session::{Bound, Expected};
use crate::domain::{ContractId, JstDate, LoginId, RequestId, Yen};
use crate::operator::audit::{Action as Audited, Outcome, Record};
use crate::refusal::{Alarm, Refusal, TransferRefusal};
use crate::store::ledger::EntryKey;

/// The longest span that `new-certificate` and `raised-limit` may name.
pub const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// The most that `many-payees` may name: so many are remembered of each login ID.
pub const MOST_PAYEES: usize = 100;

/// Login IDs whose payees are remembered, and contracts whose raised limit is; the least used are forgotten.
const MAX_REMEMBERED: u64 = 50_000;

/// Payees are forgotten by day; this is when nobody asks any more.
const A_DAY_AND_MORE: Duration = Duration::from_secs(26 * 3600);

/// What becomes of a transfer that raises an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It is recorded, and goes on.
    #[default]
    Record,
    /// It is recorded and refused.
    Refuse,
}

/// `[transfer.alarms]`; what is not set raises no alarm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How long after its beginning a certificate is new.
    pub new_certificate: Option<Duration>,
    /// How many payees a login ID may have on one day in Japan.
    pub many_payees: Option<usize>,
    /// How long after it was raised a contract's own limit is new.
    pub raised_limit: Option<Duration>,
    /// What follows.
    pub action: Action,
}

/// Whom an order pays: eight bytes of a hash, enough to tell a hundred apart, and nobody's account number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payee([u8; 8]);

impl Payee {
    /// Who stands in the route's field.
    pub fn of(text: &str) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&EntryKey::of(&["payee", text]).as_bytes()[..8]);
        Self(first)
    }
}

/// What alarms go by. It outlives a reload.
#[derive(Debug)]
pub struct Memory {
    payees: Cache<LoginId, Arc<Mutex<Day>>>,
    /// When a contract's own limit was raised last.
    raised: Cache<ContractId, Timestamp>,
}

/// The payees of a login ID on a day, the first so many.
#[derive(Debug)]
struct Day {
    day: JstDate,
    payees: Vec<Payee>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            payees: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_idle(A_DAY_AND_MORE).build(),
            raised: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(LONGEST).build(),
        }
    }
}

impl Memory {
    /// Whether it is one more than so many on this day. Whoever was paid before on it is none.
    fn is_one_too_many(&self, login_id: &LoginId, payee: Payee, day: JstDate, most: usize) -> bool {
        let begin = || Arc::new(Mutex::new(Day { day, payees: Vec::new() }));
        let known = self.payees.get(login_id).unwrap_or_else(|| self.payees.get_with(login_id.clone(), begin));
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.day != day {
            *known = Day { day, payees: Vec::new() };
        }
        if known.payees.contains(&payee) {
            return false;
        }
        if known.payees.len() >= most {
            return true;
        }
        known.payees.push(payee);
        false
    }

    /// The application has accepted a contract's own limit. One that was not known before may have been lower.
    pub fn note_limit(&self, contract: &ContractId, before: Option<Yen>, now: Yen, at: Timestamp) {
        if before.is_none_or(|before| now > before) {
            self.raised.insert(contract.clone(), at);
        }
    }
}

/// A request that was looked at for alarms. Only [`watch`] makes one.
#[derive(Debug)]
pub struct Watched {
    pub(super) inspected: Inspected,
    pub(super) answer: Expected,
}

/// Raises the alarms that a request is a case for.
///
/// # Errors
/// 403 where alarms hold a transfer.
pub fn watch(treasury: Option<&Arc<Treasury>>, bound: Bound, id: &RequestId) -> Result<Watched, Refusal> {
    let Bound { mut inspected, answer } = bound;
    let Some(treasury) = treasury.filter(|_| inspected.concerns_the_ledger()) else {
        return Ok(Watched { inspected, answer });
    };
    let found = cases(treasury, &inspected);
    let held = found.first().filter(|_| treasury.alarms.action == Action::Refuse);
    let held = held.map(|alarm| Refusal::Transfer(TransferRefusal::Held(*alarm)));
    let is_refused = held.is_some() && treasury.settings.enforcement == Enforcement::Enforce;
    for alarm in &found {
        tell(treasury, &inspected, id, *alarm, if is_refused { Outcome::Failure } else { Outcome::Success });
    }
    match held {
        Some(refusal) if is_refused => Err(refusal),
        Some(_) | None => {
            inspected.observed = inspected.observed.or(held);
            Ok(Watched { inspected, answer })
        }
    }
}

fn cases(treasury: &Treasury, inspected: &Inspected) -> Vec<Alarm> {
    let Settings { new_certificate, many_payees, raised_limit, .. } = &treasury.alarms;
    let Some(customer) = inspected.request.standing().customer() else { return Vec::new() };
    let now = treasury.clock.now();
    let is_within = |span: Duration, since: Timestamp| {
        now.duration_since(since) < SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
    };
    let moves_money = match inspected.demand {
        Demand::Commit(_) => true,
        Demand::Nothing
        | Demand::Enter { .. }
        | Demand::EnterAnswered { .. }
        | Demand::Cancel { .. }
        | Demand::ChangeLimit { .. } => false,
    };
    let mut found = Vec::new();
    if moves_money && new_certificate.is_some_and(|span| is_within(span, customer.issued_at())) {
        found.push(Alarm::FirstTransfer);
    }
    // Also where payees are told on a screen before the one that moves money.
    if let Some((most, payee)) = many_payees.zip(inspected.payee)
        && treasury.memory.is_one_too_many(customer.login_id(), payee, JstDate::of(now), most)
    {
        found.push(Alarm::ManyPayees);
    }
    let raised_at = || treasury.memory.raised.get(inspected.request.standing().contract()?);
    if let Some(span) = raised_limit
        && moves_money
        && raised_at().is_some_and(|at| is_within(*span, at))
    {
        found.push(Alarm::RaisedLimit);
    }
    found
}

fn tell(treasury: &Treasury, inspected: &Inspected, id: &RequestId, alarm: Alarm, outcome: Outcome) {
    treasury.metrics.transfer_alarms.with_label_values(&[alarm.word()]).inc();
    treasury.audit.record(Record {
        outcome,
        reason: Some(alarm.word().into()),
        amount: inspected.moves().filter(|amount| *amount > Yen::ZERO),
        ..inspected.record(id, Audited::TransferAlarm)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payees_are_counted_once_and_anew_on_each_day() {
        let memory = Memory::default();
        let (hanako, taro) = (LoginId::parse("hanakodt").unwrap(), LoginId::parse("tarokodt").unwrap());
        let (day, next) = (JstDate::parse("2013-05-20").unwrap(), JstDate::parse("2013-05-21").unwrap());
        let pay = |who: &LoginId, payee: &str, day| memory.is_one_too_many(who, Payee::of(payee), day, 2);
        let said = ["a", "b", "a", "c", "b", "c"].map(|payee| pay(&hanako, payee, day));
        assert_eq!(said, [false, false, false, true, false, true]);
        assert!(!pay(&taro, "c", day));
        assert!(!pay(&hanako, "c", next));
    }

    /// An attacker's most: every login ID with as many payees as are remembered.
    #[test]
    fn no_number_of_payees_grows_what_is_remembered_of_a_login_id() {
        let memory = Memory::default();
        let (hanako, day) = (LoginId::parse("hanakodt").unwrap(), JstDate::parse("2013-05-20").unwrap());
        for number in 0..10_000 {
            memory.is_one_too_many(&hanako, Payee::of(&number.to_string()), day, MOST_PAYEES);
        }
        assert_eq!(memory.payees.get(&hanako).unwrap().lock().unwrap().payees.len(), MOST_PAYEES);
    }

    #[test]
    fn a_limit_is_raised_where_it_is_higher_or_nobody_knew_it() {
        let yen = |yen| Yen::new(yen).unwrap();
        for (before, now, is_raised) in [(None, 1, true), (Some(5), 6, true), (Some(5), 5, false), (Some(5), 4, false)]
        {
            let (memory, contract) = (Memory::default(), ContractId::alone(&LoginId::parse("hanakodt").unwrap()));
            memory.note_limit(&contract, before.map(yen), yen(now), Timestamp::UNIX_EPOCH);
            assert_eq!(memory.raised.get(&contract).is_some(), is_raised, "{before:?} {now}");
        }
    }
}
