//! What the script answers, read into the ledger's words. What has another shape is an error, and never a grant.

use std::collections::HashMap;
use std::time::Duration;

use redis::Value;

use super::link::Failure;
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::store::embedded::record::Record;
use crate::store::ledger::{
    Basis, Denied, EntryKey, Kept, Line, Lines, Place, State, Statement, Transfer, Used, Whose,
};
use crate::store::operation::Chunk;

/// What became of an order.
#[derive(Debug)]
pub(super) enum Reserved {
    /// Nothing is on record where the amount is zero.
    Granted(Yen, Option<Denied>),
    Denied(Denied),
    /// The sum is larger than what can be counted.
    Uncountable,
}

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Entered {
    /// The largest amount under its key, and the entry as it is kept now.
    Kept(Yen, Lines, jiff::Timestamp),
    InUse,
    TooMany,
    Full,
}

/// What became of an operator's word.
#[derive(Debug)]
pub(super) enum Reconciled {
    Done(Box<Record>),
    None,
    NotUnknown(State),
}

/// What became of an operator's addition.
#[derive(Debug)]
pub(super) enum Added {
    Done(Box<Record>),
    Uncountable,
}

/// What became of an operator's correction.
#[derive(Debug)]
pub(super) enum Corrected {
    Done(Box<Record>),
    None,
    NotSettled(State),
    AlreadySo(State),
    Uncountable,
}

/// How the store stands after a batch.
#[derive(Debug)]
pub(super) struct Status {
    pub sequence: u64,
    pub reserved: u64,
    pub unknown: u64,
    /// The last day that has ended.
    pub ended: Option<JstDate>,
}

/// Who shares the store, and in which epoch.
#[derive(Debug)]
pub(super) struct Fleet {
    pub session: String,
    pub epoch: String,
    pub is_open: bool,
    pub sequence: u64,
    /// The server's clock.
    pub time: jiff::Timestamp,
    /// Each with the epoch that it has replayed its journal in.
    pub members: Vec<(String, String)>,
}

const NONSENSE: Failure = Failure::Nonsense("not the shape that was expected");

/// Takes an answer apart. Before anything else: whether the server takes us for who we are.
pub(super) fn parts(answer: Value) -> Result<Vec<Value>, Failure> {
    match answer {
        Value::Array(parts) => match parts.first() {
            Some(Value::BulkString(word)) if word == b"stale" || word == b"closed" => Err(Failure::Stale),
            _ => Ok(parts),
        },
        Value::ServerError(error) => Err(Failure::Refused(error.to_string())),
        _ => Err(NONSENSE),
    }
}

/// Reads the values of an array one after the other.
struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    fn of(answer: Value) -> Result<Self, Failure> {
        Ok(Self(parts(answer)?.into_iter()))
    }

    fn text(&mut self) -> Result<String, Failure> {
        match self.0.next() {
            Some(Value::BulkString(text)) => String::from_utf8(text).map_err(|_| NONSENSE),
            _ => Err(NONSENSE),
        }
    }

    fn number(&mut self) -> Result<u64, Failure> {
        self.text()?.parse().map_err(|_| NONSENSE)
    }

    fn yen(&mut self) -> Result<Yen, Failure> {
        Yen::new(self.number()?).ok_or(NONSENSE)
    }

    fn own_limit(&mut self) -> Result<Option<Yen>, Failure> {
        let own = self.text()?;
        if own.is_empty() { Ok(None) } else { yen(&own).map(Some) }
    }

    fn day(&mut self) -> Result<JstDate, Failure> {
        day(&self.text()?)
    }

    fn moment(&mut self) -> Result<jiff::Timestamp, Failure> {
        let microseconds = self.text()?.parse().map_err(|_| NONSENSE)?;
        jiff::Timestamp::from_microsecond(microseconds).map_err(|_| NONSENSE)
    }

    fn array(&mut self) -> Result<Vec<Value>, Failure> {
        match self.0.next() {
            Some(Value::Array(found)) => Ok(found),
            _ => Err(NONSENSE),
        }
    }

    fn rest_is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

pub(super) fn reserved(answer: Value) -> Result<Reserved, Failure> {
    let mut from = Parts::of(answer)?;
    match &*from.text()? {
        "granted" => {
            let amount = from.yen()?;
            let would_deny = if from.rest_is_empty() { None } else { Some(denied(&mut from)?) };
            Ok(Reserved::Granted(amount, would_deny))
        }
        "denied" => Ok(Reserved::Denied(denied(&mut from)?)),
        "uncountable" => Ok(Reserved::Uncountable),
        _ => Err(NONSENSE),
    }
}

fn denied(from: &mut Parts) -> Result<Denied, Failure> {
    Ok(match &*from.text()? {
        "over_limit" => {
            let whose = match &*from.text()? {
                "contract" => Whose::Contract,
                "login_id" => Whose::LoginId,
                _ => return Err(NONSENSE),
            };
            Denied::OverLimit { whose, day: from.day()?, limit: from.yen()?, used: from.yen()? }
        }
        "above_ceiling" => Denied::OwnLimitAboveCeiling { own: from.yen()?, ceiling: from.yen()? },
        "duplicate" => Denied::Duplicate,
        "too_many" => Denied::TooManyInFlight,
        "no_entry" => Denied::NoEntry,
        "in_use" => Denied::EntryInUse,
        "more_than_entered" => Denied::MoreThanEntered,
        "clock" => Denied::ClockBehind { recorded: from.moment()? },
        _ => return Err(NONSENSE),
    })
}

pub(super) fn entered(answer: Value) -> Result<Entered, Failure> {
    let mut from = Parts::of(answer)?;
    match &*from.text()? {
        "kept" => Ok(Entered::Kept(from.yen()?, lines(&from.text()?)?, from.moment()?)),
        "in_use" => Ok(Entered::InUse),
        "too_many" => Ok(Entered::TooMany),
        "full" => Ok(Entered::Full),
        _ => Err(NONSENSE),
    }
}

/// What of a login ID's was renewed.
pub(super) fn renewed(answer: Value) -> Result<Vec<(EntryKey, Kept)>, Failure> {
    let read = |entry| {
        let mut from = Parts::of(entry)?;
        let key = key(&from.text()?)?.ok_or(NONSENSE)?;
        let (lines, until) = (lines(&from.text()?)?, from.moment()?);
        Ok((key, Kept { lines, until, outlives: Some(Duration::from_micros(from.number()?)) }))
    };
    parts(answer)?.into_iter().map(read).collect()
}

/// Where a transfer stands; `None` where there is none.
pub(super) fn settled(answer: Value) -> Result<Option<State>, Failure> {
    let word = Parts::of(answer)?.text()?;
    if word == "none" { Ok(None) } else { state(&word).map(Some) }
}

pub(super) fn reconciled(answer: Value) -> Result<Reconciled, Failure> {
    let mut from = Parts::of(answer)?;
    match &*from.text()? {
        "none" => Ok(Reconciled::None),
        "not_unknown" => Ok(Reconciled::NotUnknown(state(&from.text()?)?)),
        "done" => Ok(Reconciled::Done(Box::new(whole(&mut from)?))),
        _ => Err(NONSENSE),
    }
}

pub(super) fn added(answer: Value) -> Result<Added, Failure> {
    let mut from = Parts::of(answer)?;
    match &*from.text()? {
        "done" => Ok(Added::Done(Box::new(whole(&mut from)?))),
        "uncountable" => Ok(Added::Uncountable),
        _ => Err(NONSENSE),
    }
}

pub(super) fn corrected(answer: Value) -> Result<Corrected, Failure> {
    let mut from = Parts::of(answer)?;
    match &*from.text()? {
        "none" => Ok(Corrected::None),
        "not_settled" => Ok(Corrected::NotSettled(state(&from.text()?)?)),
        "already" => Ok(Corrected::AlreadySo(state(&from.text()?)?)),
        "uncountable" => Ok(Corrected::Uncountable),
        "done" => Ok(Corrected::Done(Box::new(whole(&mut from)?))),
        _ => Err(NONSENSE),
    }
}

/// A transfer behind its ID.
fn whole(from: &mut Parts) -> Result<Record, Failure> {
    let id = from.text()?;
    Ok(record(&id, from.array()?)?.0)
}

pub(super) fn done(answer: Value) -> Result<(), Failure> {
    match &*Parts::of(answer)?.text()? {
        "done" => Ok(()),
        _ => Err(NONSENSE),
    }
}

/// The order that was released.
pub(super) fn cancelled(answer: Value) -> Result<Option<Box<Record>>, Failure> {
    let mut from = Parts::of(answer)?;
    match &*from.text()? {
        "none" => Ok(None),
        "done" => Ok(Some(Box::new(whole(&mut from)?))),
        _ => Err(NONSENSE),
    }
}

/// Whether there was such a member.
pub(super) fn written_off(answer: Value) -> Result<bool, Failure> {
    match &*Parts::of(answer)?.text()? {
        "done" => Ok(true),
        "none" => Ok(false),
        _ => Err(NONSENSE),
    }
}

pub(super) fn transfer(id: TransferId, answer: Value) -> Result<Option<Transfer>, Failure> {
    let fields = parts(answer)?;
    if fields.is_empty() { Ok(None) } else { Ok(Some(record(&id.to_string(), fields)?.0.transfer)) }
}

/// Transfers with their place in the order of reservation.
pub(super) fn rows(answer: Value) -> Result<Vec<(Record, u64)>, Failure> {
    parts(answer)?.into_iter().map(row).collect()
}

fn row(answer: Value) -> Result<(Record, u64), Failure> {
    let mut from = Parts::of(answer)?;
    let id = from.text()?;
    record(&id, from.array()?)
}

/// A customer's own limit, where one is known.
pub(super) fn own_limit(answer: Value) -> Result<Option<Yen>, Failure> {
    Parts::of(answer)?.own_limit()
}

pub(super) fn statement(answer: Value) -> Result<Statement, Failure> {
    let mut from = Parts::of(answer)?;
    let own_limit = from.own_limit()?;
    let used = from.array()?.into_iter().map(|sum| {
        let mut sum = Parts::of(sum)?;
        let login_id = LoginId::parse(&sum.text()?).ok_or(NONSENSE)?;
        Ok(Used { login_id, basis: basis(&sum.text()?)?, amount: sum.yen()? })
    });
    let used = used.collect::<Result<_, Failure>>()?;
    let mut found: Vec<(Record, u64)> = from.array()?.into_iter().map(row).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|(_, sequence)| *sequence);
    let transfers = found.into_iter().map(|(record, _)| record.transfer).collect();
    Ok(Statement { used, own_limit, transfers })
}

/// Some of an export, and where to go on.
pub(super) fn chunk(answer: Value) -> Result<Chunk<Place>, Failure> {
    let mut from = Parts::of(answer)?;
    if from.rest_is_empty() {
        return Ok((Vec::new(), None));
    }
    let on = from.day()?.to_number();
    let found: Vec<(Record, u64)> = from.array()?.into_iter().map(row).collect::<Result<_, _>>()?;
    let next = found.last().map(|(_, sequence)| (on, sequence + 1));
    Ok((found.into_iter().map(|(record, _)| record.transfer).collect(), next))
}

/// Where forgetting goes on; `None` when all that is old is gone.
pub(super) fn pruned(answer: Value) -> Result<Option<Place>, Failure> {
    let mut from = Parts::of(answer)?;
    if from.rest_is_empty() { Ok(None) } else { Ok(Some((from.day()?.to_number(), from.number()?))) }
}

pub(super) fn status(answer: Value) -> Result<Status, Failure> {
    let mut from = Parts::of(answer)?;
    let (sequence, reserved, unknown, ended) = (from.number()?, from.number()?, from.number()?, from.text()?);
    let ended = if ended.is_empty() { None } else { Some(day(&ended)?) };
    Ok(Status { sequence, reserved, unknown, ended })
}

pub(super) fn fleet(answer: Value) -> Result<Fleet, Failure> {
    let mut from = Parts::of(answer)?;
    if from.text()? != "fleet" {
        return Err(NONSENSE);
    }
    let (session, epoch, open, sequence) = (from.text()?, from.text()?, from.text()?, from.number()?);
    let mut time = Parts(from.array()?.into_iter());
    let (seconds, microseconds) = (time.number()?, time.number()?);
    let time = i64::try_from(seconds).ok().zip(i32::try_from(microseconds).ok());
    let time = time.and_then(|(seconds, micros)| jiff::Timestamp::new(seconds, micros * 1000).ok()).ok_or(NONSENSE)?;
    let mut flat = Parts(from.array()?.into_iter());
    let mut members = Vec::new();
    while !flat.rest_is_empty() {
        members.push((flat.text()?, flat.text()?));
    }
    members.sort_unstable();
    Ok(Fleet { session, epoch, is_open: open == "1", sequence, time, members })
}

/// A transfer out of its fields, and its number in the order of reservation.
fn record(id: &str, flat: Vec<Value>) -> Result<(Record, u64), Failure> {
    let mut from = Parts(flat.into_iter());
    let mut fields = HashMap::new();
    while !from.rest_is_empty() {
        fields.insert(from.text()?, from.text()?);
    }
    let mut take = |name: &str| fields.remove(name).ok_or(Failure::Nonsense("a transfer lacks a field"));
    let debits = take("debits")?;
    let debits = debits.split(' ').map(|debit| {
        let (of, on) = debit.split_once(':').ok_or(NONSENSE)?;
        Ok((basis(of)?, day(on)?))
    });
    let settled_at = take("settled-at")?;
    let transfer = Transfer {
        id: TransferId::parse(id).ok_or(NONSENSE)?,
        contract: ContractId::parse(&take("contract")?).ok_or(NONSENSE)?,
        login_id: LoginId::parse(&take("login")?).ok_or(NONSENSE)?,
        route: take("route")?,
        amount: yen(&take("amount")?)?,
        debits: debits.collect::<Result<_, Failure>>()?,
        state: state(&take("state")?)?,
        why: take("why")?,
        reserved_at: take("reserved-at")?.parse().map_err(|_| NONSENSE)?,
        settled_at: if settled_at.is_empty() { None } else { Some(settled_at.parse().map_err(|_| NONSENSE)?) },
    };
    let (entry, token) = (key(&take("entry")?)?, key(&take("token")?)?);
    let sequence = take("sequence")?;
    // What nobody has corrected need not say so.
    let revision = fields.remove("revision").map_or(Ok(0), |revision| revision.parse()).map_err(|_| NONSENSE)?;
    Ok((Record { transfer, entry, token, revision }, sequence.parse().map_err(|_| NONSENSE)?))
}

fn key(text: &str) -> Result<Option<EntryKey>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(|bytes| Some(EntryKey::from_bytes(bytes))).ok_or(NONSENSE)
}

/// As a call writes them; a number alone is what the version before wrote.
fn lines(text: &str) -> Result<Lines, Failure> {
    if let Ok(whole) = yen(text) {
        return Ok(Lines::whole(whole));
    }
    let line = |written: &str| {
        let (line, amount) = written.split_once('=').ok_or(NONSENSE)?;
        let line = u64::from_str_radix(line, 16).map_err(|_| NONSENSE)?;
        Ok((Line::from_number(line), yen(amount)?))
    };
    let lines = text.split(',').map(line).collect::<Result<Vec<_>, Failure>>()?;
    Lines::of(lines).ok_or(NONSENSE)
}

fn yen(text: &str) -> Result<Yen, Failure> {
    text.parse().ok().and_then(Yen::new).ok_or(NONSENSE)
}

fn day(text: &str) -> Result<JstDate, Failure> {
    text.parse().ok().and_then(JstDate::from_number).ok_or(NONSENSE)
}

fn state(word: &str) -> Result<State, Failure> {
    State::ALL.into_iter().find(|state| state.word() == word).ok_or(NONSENSE)
}

fn basis(word: &str) -> Result<Basis, Failure> {
    [Basis::Accepted, Basis::Designated].into_iter().find(|basis| super::call::basis(*basis) == word).ok_or(NONSENSE)
}
