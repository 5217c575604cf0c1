//! What this gateway must be able to tell Redis again: every reservation that Redis granted it, on its own disk.
//!
//! Written before a grant is heard, so that nothing is forwarded that only Redis knows (LIM-24). It has the tables of
//! the embedded store, and none of its rules: it remembers, and decides nothing. It also remembers who shares the
//! store, because a Redis that has lost everything has lost that too.

use std::collections::HashMap;

use jiff::Timestamp;
use redb::{Database, WriteTransaction};

use crate::domain::{ContractId, JstDate, TransferId, Yen};
use crate::store::database::{Failure, Occasion, OpenDatabase, guarded};
use crate::store::embedded::record::Record;
use crate::store::embedded::shelf::{Shelf, Standing};
use crate::store::ledger::{KeptEntry, Mark, Place, Settlement, State, Transfer};

/// How much of the past is looked through in one transaction.
const PRUNED_AT_ONCE: usize = 1_000;

/// Something to remember.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Redis granted it.
    Reserved(Record),
    /// Its end, as far as the application has told.
    Settled(Settlement),
    /// An operator decided here how it stands, or added it; it may be another gateway's.
    Decided(Record),
    /// An entry as Redis keeps it now: this gateway's, or one that was renewed here.
    Entered(KeptEntry),
    Learned(ContractId, Option<Yen>, Timestamp),
    /// Who shares the store.
    Members(Vec<String>),
    /// Why an operator must accept this gateway's memory first (LIM-41).
    NotAccepted(Option<String>),
    /// What was accepted before a day that so many days with transfers have followed is old; so are the entries that ended
    /// before a moment.
    Forget {
        before: JstDate,
        days: i32,
        entries_before: Timestamp,
    },
}

/// The numbers of the reservations in one write.
pub(super) type Sequences = HashMap<TransferId, u64>;

/// What a start finds.
pub(super) struct Found {
    /// What was reserved when the last process ended, and is unknown now.
    pub recovered: Vec<Transfer>,
    /// What was settled before, since the moment that was asked for.
    pub settled: Vec<Transfer>,
    /// Whether there was nothing before.
    pub is_new: bool,
}

/// The open file.
pub(super) struct Journal {
    /// `None` while the disk fails.
    database: Option<Database>,
    open_database: OpenDatabase,
    standing: Standing,
    members: Vec<String>,
}

impl Journal {
    /// Opens it, or makes it. What was reserved when the last process ended is unknown from now on.
    pub fn open(
        mut open_database: OpenDatabase,
        at: Timestamp,
        settled_since: Option<Timestamp>,
    ) -> Result<(Self, Found), Failure> {
        let (database, (standing, members, found)) = guarded(|| {
            let database = open_database(Occasion::Start)?;
            let found = in_transaction(&database, |shelf, is_new| {
                let settled = settled_since.map(|since| shelf.settled_since(since)).transpose()?.unwrap_or_default();
                let found = Found { recovered: recover(shelf, at)?, settled, is_new };
                Ok((shelf.standing()?, shelf.members()?, found))
            })?;
            Ok((database, found))
        })?;
        Ok((Self { database: Some(database), open_database, standing, members }, found))
    }

    /// Writes all of it durably, or nothing.
    ///
    /// # Errors
    /// Then the file is closed; the next call opens it again.
    pub fn write(&mut self, changes: &[Change]) -> Result<Sequences, Failure> {
        if changes.is_empty() {
            return Ok(Sequences::new());
        }
        let (mut standing, mut members) = (self.standing.clone(), self.members.clone());
        let written = self.act(|shelf| {
            let mut sequences = Sequences::new();
            for change in changes {
                apply(shelf, change, (&mut standing, &mut members), &mut sequences)?;
            }
            if shelf.changed() || standing.not_accepted != shelf.standing()?.not_accepted {
                shelf.put_standing(&standing)?;
            }
            Ok(sequences)
        })?;
        (self.standing, self.members) = (standing, members);
        Ok(written)
    }

    /// What is remembered of a transfer.
    pub fn find(&mut self, id: TransferId) -> Result<Option<Record>, Failure> {
        self.act(|shelf| Ok(shelf.find(id)?.map(|(_, record)| record)))
    }

    /// Some of the transfers from a place on, and where to go on.
    pub fn records(&mut self, from: Place, most: usize) -> Result<(Vec<Record>, Option<Place>), Failure> {
        self.act(|shelf| shelf.records(from, most))
    }

    /// Everything that earlier screens entered.
    pub fn entries(&mut self) -> Result<Vec<KeptEntry>, Failure> {
        self.act(|shelf| shelf.entries())
    }

    /// Every contract's own limit, and when it was learned.
    pub fn own_limits(&mut self) -> Result<Vec<(ContractId, Yen, Timestamp)>, Failure> {
        self.act(|shelf| shelf.own_limits())
    }

    /// Which journal this is, and how far it has come: the gateway's name among those that share the store.
    pub fn mark(&self) -> Mark {
        Mark { store: self.standing.store.clone(), sequence: self.standing.sequence }
    }

    /// Why an operator must accept it first.
    pub fn not_accepted(&self) -> Option<&str> {
        self.standing.not_accepted.as_deref()
    }

    /// Who shares the store, as far as this gateway knows.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Shelf<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let expected = (self.standing.store.clone(), self.standing.sequence);
        let open_database = &mut self.open_database;
        let kept = self.database.take();
        let (database, value) = guarded(|| {
            let database = match kept {
                Some(database) => database,
                None => {
                    let database = open_database(Occasion::Again)?;
                    let found = in_transaction(&database, |shelf, _| shelf.standing())?;
                    if found.store != expected.0 || found.sequence < expected.1 {
                        return Err(Failure::Replaced);
                    }
                    database
                }
            };
            let value = in_transaction(&database, |shelf, _| act(shelf))?;
            Ok((database, value))
        })?;
        self.database = Some(database);
        Ok(value)
    }
}

/// One transaction, durable when this returns if anything was written.
fn in_transaction<T>(
    database: &Database,
    act: impl FnOnce(&mut Shelf<'_>, bool) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction: WriteTransaction = database.begin_write()?;
    let (mut shelf, is_new) = Shelf::open(&transaction)?;
    let value = act(&mut shelf, is_new)?;
    let changed = shelf.changed();
    drop(shelf);
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(value)
}

/// The process that could have known how these ended has ended.
fn recover(shelf: &mut Shelf<'_>, at: Timestamp) -> Result<Vec<Transfer>, Failure> {
    let mut recovered = Vec::new();
    for (place, mut record) in shelf.open_transfers()? {
        if record.transfer.state == State::Reserved {
            let transfer = &mut record.transfer;
            (transfer.state, transfer.why, transfer.settled_at) = (State::Unknown, "restart".into(), Some(at));
            shelf.put(place, &record)?;
            recovered.push(record.transfer);
        }
    }
    Ok(recovered)
}

fn apply(
    shelf: &mut Shelf<'_>,
    change: &Change,
    (standing, members): (&mut Standing, &mut Vec<String>),
    sequences: &mut Sequences,
) -> Result<(), Failure> {
    match change {
        Change::Reserved(record) => {
            let id = record.transfer.id;
            if let Some((place, _)) = shelf.find(id)? {
                sequences.insert(id, place.1);
                return Ok(());
            }
            add(shelf, standing, record)?;
            sequences.insert(id, standing.sequence);
            Ok(())
        }
        Change::Settled(settlement) => {
            let Some((place, mut record)) = shelf.find(settlement.id)? else { return Ok(()) };
            let transfer = &mut record.transfer;
            let Some(next) = transfer.state.after(settlement.outcome) else { return Ok(()) };
            (transfer.state, transfer.why) = (next, settlement.why.into());
            transfer.settled_at = Some(settlement.at);
            shelf.put(place, &record)
        }
        Change::Decided(record) => match shelf.find(record.transfer.id)? {
            Some((place, _)) => shelf.put(place, record),
            None => add(shelf, standing, record),
        },
        Change::Entered((owner, key, kept)) => shelf.put_entry(owner, key, kept),
        Change::Learned(contract, own, at) => shelf.put_own_limit(contract, *own, *at),
        Change::Members(now) => {
            shelf.put_members(now)?;
            members.clone_from(now);
            Ok(())
        }
        Change::NotAccepted(reason) => {
            standing.not_accepted.clone_from(reason);
            Ok(())
        }
        Change::Forget { before, days, entries_before } => {
            if let Some(followed) = shelf.day_followed_by(*days)? {
                forget_transfers(shelf, followed.min(*before))?;
            }
            forget_entries(shelf, *entries_before)
        }
    }
}

fn add(shelf: &mut Shelf<'_>, standing: &mut Standing, record: &Record) -> Result<(), Failure> {
    standing.sequence += 1;
    shelf.add((JstDate::of(record.transfer.reserved_at).to_number(), standing.sequence), record)
}

fn forget_transfers(shelf: &mut Shelf<'_>, before: JstDate) -> Result<(), Failure> {
    let mut from = Some((0, 0));
    while let Some(place) = from {
        from = shelf.prune_transfers(place, before, PRUNED_AT_ONCE)?;
    }
    Ok(())
}

fn forget_entries(shelf: &mut Shelf<'_>, before: Timestamp) -> Result<(), Failure> {
    for (owner, key, kept) in shelf.entries()? {
        if !kept.lives(before) {
            shelf.remove_entry(&owner, &key)?;
        }
    }
    Ok(())
}
