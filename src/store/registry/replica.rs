//! The registry as a copy of what gateways share: read from the log, in force at once, on the disk soon.

use std::collections::HashMap;
use std::time::Instant;

use jiff::Timestamp;

use super::file::{Version, Versioned};
use super::{ActError, Acting, Draft, Index, Key, NUMBER, POSITION, Place, Reach, Registry, TOKEN, WRITTEN_AT_ONCE};

impl Registry {
    /// It is what gateways share, as of a look that was begun at `at`.
    pub(in crate::store) fn confirm(&self, at: Instant) {
        self.known.confirm(at);
    }

    /// What an act would change, numbered, and the place in the shared log that it was drafted at; nothing is kept.
    pub(in crate::store) fn draft<T>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, ActError>,
    ) -> Result<(T, Vec<Versioned>, Place), ActError> {
        // A long act must not hold up what other gateways do.
        let (index, number, place) = {
            // Drafts read whole rows from the disk.
            self.write_out();
            let mut acting = self.acting();
            self.write_all(&mut acting)?;
            (self.index(), acting.number, acting.place.clone())
        };
        let drafted = self.drafted(index, number, now, act)?;
        Ok((drafted.done, drafted.rows, place))
    }

    /// How far the shared log was read, when what is known here was put together.
    pub(in crate::store) fn place(&self) -> Place {
        self.acting().place.clone()
    }

    /// Takes over what the shared log says up to a place: it is in force when this returns, and on the disk when all is
    /// [written](Self::write_some). Of each row the later version holds.
    pub(in crate::store) fn take(&self, rows: Vec<Versioned>, place: Place, reach: Reach) -> Result<(), ActError> {
        let mut acting = self.acting();
        let highest = acting.number;
        let mut reach = reach;
        let mut later = Vec::with_capacity(rows.len());
        for row in rows {
            let key = row.change.key();
            if row.version.number > highest {
                later.push((key, row));
            } else if self.is_later(&row, &key, &acting)? {
                // What was known otherwise here may have given somebody standing.
                reach = Reach::Everybody;
                later.push((key, row));
            }
        }
        (acting.place, acting.is_behind) = (place, true);
        if later.is_empty() {
            return Ok(());
        }
        let mut index = Index::clone(&self.index.load());
        for (key, row) in later {
            index.apply(&row.change);
            acting.number = acting.number.max(row.version.number);
            acting.unwritten.insert(key, row);
        }
        self.publish(index, reach);
        Ok(())
    }

    /// Whether a row is later than what is known of it here.
    fn is_later(&self, row: &Versioned, key: &Key, acting: &Acting) -> Result<bool, ActError> {
        let known = match acting.unwritten.get(key) {
            Some(known) => Some(known.version.clone()),
            None => self.shelf.get(key)?.map(|known| known.version),
        };
        Ok(known.is_none_or(|known| row.version > known))
    }

    /// Writes some of what was taken over and lies on no disk yet; whether there is more. While the disk refuses, it stays in
    /// force, and is read again after a restart.
    pub(in crate::store) fn write_some(&self, most: usize) -> Result<bool, ActError> {
        let mut acting = self.acting();
        if !acting.is_behind {
            return Ok(false);
        }
        let rows: Vec<Versioned> = acting.unwritten.values().take(most).cloned().collect();
        let is_all = rows.len() == acting.unwritten.len();
        // How far the log was read is true of the disk once all of it lies there.
        let number = acting.number.to_string();
        let (position, token) = (acting.place.position.to_string(), acting.place.token.clone());
        let notes = [(NUMBER, number.as_str()), (POSITION, position.as_str()), (TOKEN, token.as_str())];
        self.shelf.put(&rows, if is_all { &notes } else { &notes[..1] })?;
        for row in &rows {
            acting.unwritten.remove(&row.change.key());
        }
        acting.is_behind = !is_all;
        Ok(!is_all)
    }

    /// The same for all of it, a part at a time, so that nobody waits long. What the disk refuses is missing there.
    pub(super) fn write_out(&self) {
        // Whoever looks whether a doubtful act was done sees what is in force.
        let _ = self.settle_doubt(&mut self.acting());
        while self.write_some(WRITTEN_AT_ONCE).unwrap_or(false) {}
    }

    pub(super) fn write_all(&self, acting: &mut Acting) -> Result<(), ActError> {
        if acting.unwritten.is_empty() {
            return Ok(());
        }
        let rows: Vec<Versioned> = acting.unwritten.values().cloned().collect();
        self.shelf.put(&rows, &[(NUMBER, &acting.number.to_string())])?;
        acting.unwritten.clear();
        Ok(())
    }

    /// What is known here and is later than what others hold, who hold these versions.
    pub(in crate::store) fn later_than(&self, theirs: &HashMap<Key, Version>) -> Result<Vec<Versioned>, ActError> {
        self.write_all(&mut self.acting())?;
        let mut later = Vec::new();
        self.shelf.each(|row| {
            if theirs.get(&row.change.key()).is_none_or(|their| row.version > *their) {
                later.push(row);
            }
        })?;
        Ok(later)
    }
}
