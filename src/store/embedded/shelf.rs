//! The tables of the file, within one transaction: rows in, rows out, no rules.
//!
//! One row per transfer, under the day of its acceptance and its number in the order of reservation, so that an export
//! reads along; its ID leads to that place. What is not settled for good stands in a table of its own, so that a start
//! reads what is open and not what is done. One row per sum, under the day first, so that old days are cut off in a run.

mod entered;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use redb::{ReadableTable as _, Table, TableDefinition, WriteTransaction};

use self::entered::{ENTRIES, EntryPlace, KeptRow};
use super::record::{Reader, Record, basis_octet, day_of, moment_numbers, moment_of, put_moment, put_option, yen_of};
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::store::database::{Damage, Failure};
use crate::store::ledger::{Basis, OrderNumber, Place, State, Transfer};

pub(in crate::store) const TRANSFERS: TableDefinition<'_, Place, &[u8]> = TableDefinition::new("transfers");
pub(in crate::store) const PLACES: TableDefinition<'_, &[u8; 16], Place> = TableDefinition::new("places");
pub(in crate::store) const OPEN: TableDefinition<'_, Place, ()> = TableDefinition::new("open");
pub(in crate::store) const SUMS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("sums");
pub(in crate::store) const OWN_LIMITS: TableDefinition<'_, &str, (u64, i64, i32)> = TableDefinition::new("own-limits");
/// By the application's number of an order: its ID, or zeros where two have it. And the way back, to forget both together.
const NUMBERS: TableDefinition<'_, &[u8; 32], &[u8; 16]> = TableDefinition::new("numbers");
const NUMBERED: TableDefinition<'_, &[u8; 16], &[u8; 32]> = TableDefinition::new("numbered");
const AMBIGUOUS: [u8; 16] = [0; 16];
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// No configuration lets an answer be waited for so long, with all that comes before it.
const LONGEST_ON_ITS_WAY: SignedDuration = SignedDuration::from_hours(2);
/// So many transfers in a row that were reserved long ago do not stand there by an operator's hand.
const MOST_OUT_OF_TURN: u32 = 1_000;

/// The layout of all of it; another number is another layout.
const FORMAT: u32 = 1;

/// What is true of the store as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Standing {
    /// Its name: random, made with it.
    pub store: Arc<str>,
    /// Grows with every reservation.
    pub sequence: u64,
    /// The latest moment of anything recorded (LIM-22).
    pub latest: Option<Timestamp>,
    /// Why an operator must accept it first (LIM-41).
    pub not_accepted: Option<String>,
}

/// The tables, open in one transaction.
pub(in crate::store) struct Shelf<'t> {
    meta: Table<'t, &'static str, &'static [u8]>,
    transfers: Table<'t, Place, &'static [u8]>,
    places: Table<'t, &'static [u8; 16], Place>,
    open: Table<'t, Place, ()>,
    sums: Table<'t, &'static [u8], u64>,
    entries: Table<'t, EntryPlace, KeptRow>,
    own_limits: Table<'t, &'static str, (u64, i64, i32)>,
    numbers: Table<'t, &'static [u8; 32], &'static [u8; 16]>,
    numbered: Table<'t, &'static [u8; 16], &'static [u8; 32]>,
    /// For the table that few transactions need.
    transaction: &'t WriteTransaction,
    changed: bool,
}

impl<'t> Shelf<'t> {
    /// Opens the tables, and makes them in a new file. The second value tells whether it is one.
    ///
    /// # Errors
    /// When the disk fails, or the format is not ours.
    pub fn open(transaction: &'t WriteTransaction) -> Result<(Self, bool), Failure> {
        let mut meta = transaction.open_table(META)?;
        let format = meta.get("format")?.map(|row| Reader(row.value()).octets().map(u32::from_be_bytes)).transpose()?;
        match format {
            Some(FORMAT) | None => {}
            Some(other) => return Err(Failure::Format(other)),
        }
        let is_new = format.is_none();
        if is_new {
            let name = uuid::Uuid::now_v7().simple().to_string();
            meta.insert("store", name.as_bytes())?;
            meta.insert("format", &FORMAT.to_be_bytes()[..])?;
        }
        let shelf = Self {
            meta,
            transfers: transaction.open_table(TRANSFERS)?,
            places: transaction.open_table(PLACES)?,
            open: transaction.open_table(OPEN)?,
            sums: transaction.open_table(SUMS)?,
            entries: transaction.open_table(ENTRIES)?,
            own_limits: transaction.open_table(OWN_LIMITS)?,
            numbers: transaction.open_table(NUMBERS)?,
            numbered: transaction.open_table(NUMBERED)?,
            transaction,
            changed: is_new,
        };
        // Rows without a format would be a file that lost its first page: not a new store.
        if is_new && (shelf.transfers.first()?.is_some() || shelf.sums.first()?.is_some()) {
            return Err(Damage("there are transfers, but nothing says in which format").into());
        }
        Ok((shelf, is_new))
    }

    /// Whether there is anything to commit.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// What is true of the store as a whole.
    pub fn standing(&self) -> Result<Standing, Failure> {
        let text = |key| -> Result<Option<String>, Failure> {
            let row = self.meta.get(key)?;
            let text = row.map(|row| String::from_utf8(row.value().to_vec())).transpose();
            Ok(text.map_err(|_| Damage("a name or a reason"))?)
        };
        let (sequence, latest) = match self.meta.get("progress")? {
            Some(row) => {
                let mut from = Reader(row.value());
                (u64::from_be_bytes(from.octets()?), from.option(Reader::moment)?)
            }
            None => (0, None),
        };
        let store = text("store")?.ok_or(Damage("the store has no name"))?.into();
        Ok(Standing { store, sequence, latest, not_accepted: text("not-accepted")? })
    }

    /// Keeps what is true of the store as a whole.
    pub fn put_standing(&mut self, standing: &Standing) -> Result<(), Failure> {
        self.changed = true;
        let mut progress = standing.sequence.to_be_bytes().to_vec();
        put_option(&mut progress, standing.latest, put_moment);
        self.meta.insert("progress", &progress[..])?;
        match &standing.not_accepted {
            Some(reason) => drop(self.meta.insert("not-accepted", reason.as_bytes())?),
            None => drop(self.meta.remove("not-accepted")?),
        }
        Ok(())
    }

    /// A transfer on record.
    pub fn find(&self, id: TransferId) -> Result<Option<(Place, Record)>, Failure> {
        let Some(place) = self.places.get(id.as_bytes())?.map(|row| row.value()) else { return Ok(None) };
        let row = self.transfers.get(place)?.ok_or(Damage("a transfer is not in its place"))?;
        Ok(Some((place, Record::decode(row.value())?)))
    }

    /// Keeps a transfer that is new.
    pub fn add(&mut self, place: Place, record: &Record) -> Result<(), Failure> {
        self.places.insert(record.transfer.id.as_bytes(), place)?;
        self.put(place, record)
    }

    /// Keeps a transfer as it stands now.
    pub fn put(&mut self, place: Place, record: &Record) -> Result<(), Failure> {
        self.changed = true;
        self.transfers.insert(place, &record.encode()[..])?;
        match record.transfer.state {
            State::Reserved | State::Unknown => drop(self.open.insert(place, ())?),
            State::Committed | State::Released => drop(self.open.remove(place)?),
        }
        Ok(())
    }

    /// Keeps the application's number of an order; one that another order has names neither from then on.
    pub fn put_number(&mut self, number: &OrderNumber, id: TransferId) -> Result<(), Failure> {
        self.changed = true;
        let known = self.numbers.get(number.as_bytes())?.map(|row| *row.value());
        let named = if known.is_none_or(|known| known == *id.as_bytes()) { id.as_bytes() } else { &AMBIGUOUS };
        self.numbers.insert(number.as_bytes(), named)?;
        self.numbered.insert(id.as_bytes(), number.as_bytes())?;
        Ok(())
    }

    /// Forgets an order's number. One that two orders had stays nobody's.
    pub fn remove_number(&mut self, id: TransferId) -> Result<(), Failure> {
        let Some(number) = self.numbered.remove(id.as_bytes())?.map(|row| *row.value()) else { return Ok(()) };
        self.changed = true;
        let named = self.numbers.get(&number)?.map(|row| *row.value());
        if named == Some(*id.as_bytes()) {
            self.numbers.remove(&number)?;
        }
        Ok(())
    }

    /// The order that alone has a number.
    pub fn numbered(&self, number: &OrderNumber) -> Result<Option<TransferId>, Failure> {
        let found = self.numbers.get(number.as_bytes())?.map(|row| *row.value());
        Ok(found.filter(|id| *id != AMBIGUOUS).map(TransferId::from_bytes))
    }

    /// Every transfer that is not settled for good.
    pub fn open_transfers(&self) -> Result<Vec<(Place, Record)>, Failure> {
        let mut found = Vec::new();
        for row in self.open.iter()? {
            let place = row?.0.value();
            let record = self.transfers.get(place)?.ok_or(Damage("an open transfer is not in its place"))?;
            found.push((place, Record::decode(record.value())?));
        }
        Ok(found)
    }

    /// What was settled at a moment or later, the first first: of what was reserved last, and of what is unknown.
    pub fn settled_since(&self, since: Timestamp) -> Result<Vec<Transfer>, Failure> {
        let reserved_since = since.checked_sub(LONGEST_ON_ITS_WAY).unwrap_or(Timestamp::MIN);
        let is_meant = |transfer: &Transfer| transfer.settled_at.is_some_and(|settled| settled >= since);
        let (mut found, mut too_old) = (Vec::new(), 0);
        for row in self.transfers.iter()?.rev() {
            let transfer = Record::decode(row?.1.value())?.transfer;
            // Operators put single ones between the others; the end is where all are old.
            too_old = if transfer.reserved_at < reserved_since { too_old + 1 } else { 0 };
            if too_old > MOST_OUT_OF_TURN {
                break;
            }
            found.extend(Some(transfer).filter(is_meant));
        }
        found.extend(self.open_transfers()?.into_iter().map(|(_, record)| record.transfer).filter(is_meant));
        found.sort_by_key(|transfer| (transfer.settled_at, transfer.id));
        found.dedup_by_key(|transfer| transfer.id);
        Ok(found)
    }

    /// What counts for a login ID on a day.
    pub fn sum(&self, login_id: &LoginId, basis: Basis, day: JstDate) -> Result<Yen, Failure> {
        let row = self.sums.get(&sum_key(day, basis, login_id)[..])?;
        Ok(row.map_or(Ok(Yen::ZERO), |row| yen_of(row.value()))?)
    }

    /// Keeps what counts for a login ID on a day.
    pub fn put_sum(&mut self, login_id: &LoginId, basis: Basis, day: JstDate, sum: Yen) -> Result<(), Failure> {
        self.changed = true;
        self.sums.insert(&sum_key(day, basis, login_id)[..], sum.get())?;
        Ok(())
    }

    /// A contract's own limit.
    pub fn own_limit(&self, contract: &ContractId) -> Result<Option<Yen>, Failure> {
        let row = self.own_limits.get(contract.as_str())?;
        Ok(row.map(|row| yen_of(row.value().0)).transpose()?)
    }

    /// Keeps a contract's own limit, and when it was learned.
    pub fn put_own_limit(&mut self, contract: &ContractId, own: Option<Yen>, at: Timestamp) -> Result<(), Failure> {
        self.changed = true;
        let (seconds, nanoseconds) = moment_numbers(at);
        match own {
            Some(own) => drop(self.own_limits.insert(contract.as_str(), (own.get(), seconds, nanoseconds))?),
            None => drop(self.own_limits.remove(contract.as_str())?),
        }
        Ok(())
    }

    /// Every contract's own limit, and when it was learned.
    pub fn own_limits(&self) -> Result<Vec<(ContractId, Yen, Timestamp)>, Failure> {
        let mut found = Vec::new();
        for row in self.own_limits.iter()? {
            let (contract, value) = row?;
            let contract = ContractId::parse(contract.value()).ok_or(Damage("a contract"))?;
            let (own, seconds, nanoseconds) = value.value();
            found.push((contract, yen_of(own)?, moment_of((seconds, nanoseconds))?));
        }
        Ok(found)
    }

    /// Who else shares the store that this file is the journal of, one to a line.
    pub fn members(&self) -> Result<Vec<String>, Failure> {
        let Some(row) = self.meta.get("members")? else { return Ok(Vec::new()) };
        let text = str::from_utf8(row.value()).map_err(|_| Damage("the members"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Keeps them.
    pub fn put_members(&mut self, members: &[String]) -> Result<(), Failure> {
        self.changed = true;
        self.meta.insert("members", members.join("\n").as_bytes())?;
        Ok(())
    }

    /// Some of the transfers from a place on, and where to go on.
    pub fn records(&self, from: Place, most: usize) -> Result<(Vec<Record>, Option<Place>), Failure> {
        let mut found = Vec::new();
        for row in self.transfers.range(from..)? {
            let (place, stored) = row?;
            if found.len() == most {
                return Ok((found, Some(place.value())));
            }
            found.push(Record::decode(stored.value())?);
        }
        Ok((found, None))
    }

    /// The day that so many other days with transfers have followed; `None` where there were not so many.
    ///
    /// What is old is counted in days on which transfers came: a clock that leaps ahead adds one, however far it leaps, so
    /// that a day which is still to come back is never cut off.
    pub fn day_followed_by(&self, days: i32) -> Result<Option<JstDate>, Failure> {
        let mut end: Place = (u32::MAX, 0);
        for _ in 0..=days {
            let Some(row) = self.transfers.range(..end)?.next_back() else { return Ok(None) };
            end = (row?.0.value().0, 0);
        }
        Ok(Some(place_day(end)?))
    }

    /// Forgets settled transfers accepted before `day`, looking at no more than `most` from a place on. The place to
    /// go on from, if there is more. What is open stays.
    pub fn prune_transfers(&mut self, from: Place, day: JstDate, most: usize) -> Result<Option<Place>, Failure> {
        let end: Place = (day.to_number(), 0);
        if from >= end {
            return Ok(None);
        }
        let mut seen = Vec::new();
        for row in self.transfers.range(from..end)?.take(most) {
            let (place, record) = row?;
            seen.push((place.value(), Record::decode(record.value())?.transfer));
        }
        for (place, transfer) in &seen {
            match transfer.state {
                State::Reserved | State::Unknown => {}
                State::Committed | State::Released => {
                    self.changed = true;
                    self.transfers.remove(place)?;
                    self.places.remove(transfer.id.as_bytes())?;
                    self.remove_number(transfer.id)?;
                }
            }
        }
        let last = seen.last().filter(|_| seen.len() == most);
        Ok(last.map(|((day, sequence), _)| (*day, sequence + 1)))
    }

    /// Forgets up to `most` sums of days before `day`; whether there is more.
    pub fn prune_sums(&mut self, day: JstDate, most: usize) -> Result<bool, Failure> {
        let end = day.to_number().to_be_bytes();
        let mut old = Vec::new();
        for row in self.sums.range::<&[u8]>(..&end[..])?.take(most) {
            old.push(row?.0.value().to_vec());
        }
        for key in &old {
            self.changed = true;
            self.sums.remove(&key[..])?;
        }
        Ok(old.len() == most)
    }
}

/// Under what a sum stands: the day, which sum of it, whose.
pub(in crate::store) fn sum_key(day: JstDate, basis: Basis, login_id: &LoginId) -> Vec<u8> {
    let mut key = day.to_number().to_be_bytes().to_vec();
    key.push(basis_octet(basis));
    key.extend(login_id.as_str().as_bytes());
    key
}

/// The day of a place.
pub(in crate::store) fn place_day(place: Place) -> Result<JstDate, Damage> {
    day_of(place.0)
}
