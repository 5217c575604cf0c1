//! The amounts of earlier screens, and when the application will have forgotten them.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::shelf::{Failure, Shelf};
use crate::domain::Yen;
use crate::store::ledger::{Entry, EntryKey};

/// The most that is kept at once: about 200 MB. Customers that keep more screens open than this are an attack.
const MOST: usize = 1_000_000;

/// How many expired ones go when one comes: more than one, so that there are fewer and fewer of them.
const SWEPT_AT_ONCE: usize = 16;

/// Every entry that the application may remember.
#[derive(Debug, Default)]
pub(super) struct Entries {
    kept: HashMap<EntryKey, (Yen, Timestamp)>,
    ends: BTreeSet<(Timestamp, EntryKey)>,
}

impl Entries {
    /// Those in the file.
    pub fn load(shelf: &Shelf<'_>) -> Result<Self, Failure> {
        let mut entries = Self::default();
        for (key, amount, until) in shelf.entries()? {
            entries.kept.insert(key, (amount, until));
            entries.ends.insert((until, key));
        }
        Ok(entries)
    }

    /// The largest amount under a key, unless it has expired.
    pub fn amount(&self, key: &EntryKey, at: Timestamp) -> Option<Yen> {
        self.kept.get(key).filter(|(_, until)| *until >= at).map(|(amount, _)| *amount)
    }

    /// Keeps an entry: of two under one key the larger amount and the later end. `None` where there are too many.
    pub fn keep(&mut self, shelf: &mut Shelf<'_>, entry: &Entry) -> Result<Option<Yen>, Failure> {
        self.sweep(shelf, entry.at)?;
        let before = self.kept.get(&entry.key).copied().filter(|(_, until)| *until >= entry.at);
        let (amount, until) = match before {
            Some((amount, until)) => (amount.max(entry.amount), until.max(entry.until)),
            None if self.kept.len() >= MOST && !self.kept.contains_key(&entry.key) => return Ok(None),
            None => (entry.amount, entry.until),
        };
        if before != Some((amount, until)) {
            if let Some((_, old_end)) = self.kept.insert(entry.key, (amount, until)) {
                self.ends.remove(&(old_end, entry.key));
            }
            self.ends.insert((until, entry.key));
            shelf.put_entry(&entry.key, amount, until)?;
        }
        Ok(Some(amount))
    }

    /// Forgets a few of those that have expired.
    fn sweep(&mut self, shelf: &mut Shelf<'_>, at: Timestamp) -> Result<(), Failure> {
        for _ in 0..SWEPT_AT_ONCE {
            let Some((until, key)) = self.ends.first().copied().filter(|(until, _)| *until < at) else { break };
            self.ends.remove(&(until, key));
            self.kept.remove(&key);
            shelf.remove_entry(&key)?;
        }
        Ok(())
    }
}
