//! Who changes the set: first on the disk, then on the board. What comes from the shared store is in force at once, because
//! a full disk must not let anybody in.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGaugeVec;

use super::board::Board;
use super::entry::{Draft, Entry, State, Subject};
use super::file::{self, Entries, FileDefect};
use crate::operator::metrics::Metrics;

/// The most subjects that are remembered, lifted ones too: the CA's list is the place for more.
const MOST: usize = 10_000;

/// Why an act is not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The subject is blocked; the entry says since when.
    #[error("it is blocked already")]
    Blocked(Box<Entry>),
    /// The subject is not blocked.
    #[error("it is not blocked")]
    NotBlocked,
    /// Too many subjects are remembered.
    #[error("{MOST} subjects are remembered already, and no more can be")]
    TooMany,
    /// It could not be kept, so it does not hold.
    #[error("it cannot be kept on this gateway's disk: {0}")]
    Unwritten(#[from] io::Error),
}

/// What a comparison with the shared store found.
#[derive(Debug, Default)]
pub struct Merged {
    /// What the store has to be told.
    pub missing: Vec<Entry>,
}

/// Keeps the blocks of this gateway. All of it blocks its thread while the disk works.
#[derive(Debug)]
pub struct Keeper {
    board: Arc<Board>,
    path: PathBuf,
    is_shared: bool,
    process: Box<str>,
    gauge: IntGaugeVec,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    entries: Entries,
    /// Whether the disk lacks some of it.
    is_unwritten: bool,
}

impl Keeper {
    /// Reads what is kept in a file. Where it `is_shared`, blocks wait until the shared store knows of them.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged: then nobody may be let in.
    pub fn open(path: PathBuf, is_shared: bool, metrics: &Metrics) -> Result<Self, FileDefect> {
        let entries = file::read(&path)?;
        let in_force = entries.values().filter(|entry| entry.is_in_force()).count();
        // A file that is not there says the same as an empty one: whoever knows better reads it here.
        tracing::info!(path = %path.display(), in_force, is_new = !path.exists(), "who is shut out");
        let process = uuid::Uuid::now_v7().simple().to_string().into();
        let board = Arc::new(Board::new(entries.values(), is_shared));
        let kept = Mutex::new(Kept { entries, is_unwritten: false });
        let keeper = Self { board, path, is_shared, process, gauge: metrics.blocks.clone(), kept };
        keeper.count();
        Ok(keeper)
    }

    /// Where the set in force is seen.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The entries in force, by their numbers.
    pub fn in_force(&self) -> Vec<Entry> {
        let mut found: Vec<Entry> = self.kept().entries.values().filter(|entry| entry.is_in_force()).cloned().collect();
        found.sort_by_key(|entry| entry.number);
        found
    }

    /// The latest act on a subject.
    pub fn entry(&self, subject: &Subject) -> Option<Entry> {
        self.kept().entries.get(subject).cloned()
    }

    /// Shuts a subject out, durably. Where the set is shared, the number is provisional until the store has given one.
    ///
    /// # Errors
    /// It is blocked already, or cannot be kept; then nothing has changed.
    pub fn block(&self, draft: Draft) -> Result<Entry, ActError> {
        let mut kept = self.kept();
        match kept.entries.get(&draft.subject) {
            Some(known) if known.is_in_force() => return Err(ActError::Blocked(Box::new(known.clone()))),
            None if kept.entries.len() >= MOST => return Err(ActError::TooMany),
            Some(_) | None => {}
        }
        let entry = Entry {
            act: draft,
            state: State::Blocked,
            number: kept.highest() + 1,
            process: self.process.clone(),
            block: uuid::Uuid::now_v7().simple().to_string().into(),
            awaits_store: self.is_shared,
        };
        self.keep(&mut kept, entry.clone())?;
        Ok(entry)
    }

    /// What would lift a block; its number is the shared store's to give.
    ///
    /// # Errors
    /// The subject is not blocked.
    pub fn draft_of_lift(&self, draft: Draft) -> Result<Entry, ActError> {
        self.lift_of(&self.kept(), draft)
    }

    /// Lifts a block where gateways share none, durably.
    ///
    /// # Errors
    /// The subject is not blocked, or it cannot be kept; then nothing has changed.
    pub fn lift(&self, draft: Draft) -> Result<Entry, ActError> {
        let mut kept = self.kept();
        let entry = self.lift_of(&kept, draft)?;
        self.keep(&mut kept, entry.clone())?;
        Ok(entry)
    }

    fn lift_of(&self, kept: &Kept, draft: Draft) -> Result<Entry, ActError> {
        let block = kept.entries.get(&draft.subject).filter(|entry| entry.is_in_force());
        let block = block.ok_or(ActError::NotBlocked)?.block.clone();
        let (number, process) = (kept.highest() + 1, self.process.clone());
        Ok(Entry { act: draft, state: State::Lifted, number, process, block, awaits_store: false })
    }

    /// The highest number that is known here.
    pub fn highest(&self) -> u64 {
        self.kept().highest()
    }

    /// What the shared store does not know of yet.
    pub fn awaiting_store(&self) -> Vec<Entry> {
        self.kept().entries.values().filter(|entry| entry.awaits_store).cloned().collect()
    }

    /// Takes over what the shared store holds and is later than what is known here. What is known here and is later than
    /// that is missing there. A block that the store does not know of yet stays until it has been told.
    pub fn merge(&self, theirs: Vec<Entry>) -> Merged {
        let mut kept = self.kept();
        let mut missing = kept.entries.clone();
        missing.retain(|_, own| !own.awaits_store);
        let mut is_changed = false;
        for their in theirs {
            match kept.entries.get(&their.act.subject) {
                Some(own) if own.awaits_store => continue,
                Some(own) if own.is_later_than(&their) => continue,
                Some(own) => is_changed |= their.is_later_than(own),
                None => is_changed = true,
            }
            missing.remove(&their.act.subject);
            kept.entries.insert(their.act.subject.clone(), their);
        }
        if is_changed {
            self.publish(&mut kept);
        } else if kept.is_unwritten {
            self.write(&mut kept);
        }
        Merged { missing: missing.into_values().collect() }
    }

    /// Takes over what the shared store made of an act of this gateway.
    pub fn adopt(&self, entry: Entry) {
        let mut kept = self.kept();
        let known = kept.entries.get(&entry.act.subject);
        if known.is_none_or(|known| known.awaits_store || entry.is_later_than(known)) {
            kept.entries.insert(entry.act.subject.clone(), entry);
            self.publish(&mut kept);
        }
    }

    /// On the disk first, and then in force.
    fn keep(&self, kept: &mut Kept, entry: Entry) -> io::Result<()> {
        let mut entries = kept.entries.clone();
        entries.insert(entry.act.subject.clone(), entry);
        file::write(&self.path, &entries)?;
        *kept = Kept { entries, is_unwritten: false };
        self.show(kept);
        Ok(())
    }

    /// In force, and on the disk as soon as that takes it.
    fn publish(&self, kept: &mut Kept) {
        self.show(kept);
        self.write(kept);
    }

    fn show(&self, kept: &Kept) {
        self.board.publish(kept.entries.values());
        self.count();
    }

    fn write(&self, kept: &mut Kept) {
        let was_unwritten = std::mem::replace(&mut kept.is_unwritten, false);
        if let Err(error) = file::write(&self.path, &kept.entries) {
            kept.is_unwritten = true;
            if !was_unwritten {
                tracing::error!(path = %self.path.display(), %error, "blocks of other gateways are in force and cannot be kept on this disk");
            }
        }
    }

    fn count(&self) {
        for (kind, count) in self.board.blocks().counts() {
            self.gauge.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn highest(&self) -> u64 {
        self.entries.values().map(|entry| entry.number).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
