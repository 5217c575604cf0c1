//! The tables of what was entered on earlier screens.

use std::time::Duration;

use redb::{ReadableTable as _, TableDefinition};

use super::Shelf;
use crate::domain::{LoginId, Yen};
use crate::store::database::{Damage, Failure};
use crate::store::embedded::record::{Reader, moment_numbers, moment_of, yen_of};
use crate::store::ledger::{EntryKey, Kept, KeptEntry, Line, Lines};

/// By owner and key: the amount, the end, and for how many microseconds it outlives its owner's last activity.
pub(super) const ENTRIES: TableDefinition<'_, EntryPlace, KeptRow> = TableDefinition::new("entries");
pub(super) type EntryPlace = (&'static str, &'static [u8; 32]);
pub(super) type KeptRow = (u64, i64, i32, Option<u64>);
/// Beside the amount of an entry whose lines stand in a table of their own.
const HAS_LINES: u64 = 1 << 63;
/// By owner and key: the lines, each with its amount. Most entries have none.
const LINES: TableDefinition<'_, EntryPlace, &[u8]> = TableDefinition::new("entry-lines");

impl Shelf<'_> {
    /// Everything that was entered.
    pub fn entries(&self) -> Result<Vec<KeptEntry>, Failure> {
        let mut found = Vec::new();
        let lists = self.transaction.open_table(LINES)?;
        for row in self.entries.iter()? {
            let (place, value) = row?;
            let (owner, key) = place.value();
            let (amount, seconds, nanoseconds, outlives) = value.value();
            let owner = LoginId::parse(owner).ok_or(Damage("an entry's login ID"))?;
            let lines = match lists.get((owner.as_str(), key))?.filter(|_| amount & HAS_LINES != 0) {
                Some(list) => lines_of(list.value())?,
                None => Lines::whole(yen_of(amount)?),
            };
            let until = moment_of((seconds, nanoseconds))?;
            let kept = Kept { lines, until, outlives: outlives.map(Duration::from_micros) };
            found.push((owner, EntryKey::from_bytes(*key), kept));
        }
        Ok(found)
    }

    /// Keeps what was entered.
    pub fn put_entry(&mut self, owner: &LoginId, key: &EntryKey, kept: &Kept) -> Result<(), Failure> {
        self.changed = true;
        let place = (owner.as_str(), key.as_bytes());
        let whole = kept.lines.only_whole();
        let amount = whole.map_or_else(|| kept.lines.total().get() | HAS_LINES, Yen::get);
        let (seconds, nanoseconds) = moment_numbers(kept.until);
        let outlives = kept.outlives.map(|outlives| u64::try_from(outlives.as_micros()).unwrap_or(u64::MAX));
        let before = self.entries.insert(place, (amount, seconds, nanoseconds, outlives))?.map(|row| row.value().0);
        if whole.is_none() {
            self.transaction.open_table(LINES)?.insert(place, &octets_of(&kept.lines)[..])?;
        } else if before.is_some_and(|before| before & HAS_LINES != 0) {
            self.transaction.open_table(LINES)?.remove(place)?;
        }
        Ok(())
    }

    /// How many entries have a row of their own for their lines.
    #[cfg(test)]
    pub fn rows_of_lines(&self) -> Result<u64, Failure> {
        use redb::ReadableTableMetadata as _;
        Ok(self.transaction.open_table(LINES)?.len()?)
    }

    /// Forgets what was entered.
    pub fn remove_entry(&mut self, owner: &LoginId, key: &EntryKey) -> Result<(), Failure> {
        self.changed = true;
        let place = (owner.as_str(), key.as_bytes());
        let before = self.entries.remove(place)?.map(|row| row.value().0);
        if before.is_some_and(|before| before & HAS_LINES != 0) {
            self.transaction.open_table(LINES)?.remove(place)?;
        }
        Ok(())
    }
}

fn octets_of(lines: &Lines) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|(line, amount)| [line.number().to_be_bytes(), amount.get().to_be_bytes()])
        .flatten()
        .collect()
}

fn lines_of(stored: &[u8]) -> Result<Lines, Damage> {
    let mut from = Reader(stored);
    let mut lines = Vec::new();
    while !from.0.is_empty() {
        let line = Line::from_number(u64::from_be_bytes(from.octets()?));
        lines.push((line, yen_of(u64::from_be_bytes(from.octets()?))?));
    }
    Lines::of(lines).ok_or(Damage("the lines of an entry"))
}
