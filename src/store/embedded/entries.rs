//! The amounts of earlier screens, and when the application will have forgotten them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::shelf::Shelf;
use crate::domain::LoginId;
use crate::store::database::Failure;
use crate::store::ledger::{Entered, Entry, EntryKey, Kept, Lines, Renewal, StoreError};

/// The most lines that are kept at once: about 400 MB. One login ID has few of them; so many that keep so many are an
/// attack.
const MOST: usize = 1_000_000;

/// How many expired ones go when one comes: more than one, so that there are fewer and fewer of them.
const SWEPT_AT_ONCE: usize = 16;

/// Every entry that the application may remember.
#[derive(Debug, Default)]
pub(super) struct Entries {
    kept: BTreeMap<(LoginId, EntryKey), Kept>,
    /// Who has entered something under a key: nearly always one.
    owners: HashMap<EntryKey, Vec<LoginId>>,
    ends: BTreeSet<(Timestamp, EntryKey, LoginId)>,
    /// Of all of them.
    lines: usize,
}

impl Entries {
    /// Those in the file.
    pub fn load(shelf: &Shelf<'_>) -> Result<Self, Failure> {
        let mut entries = Self::default();
        for (owner, key, kept) in shelf.entries()? {
            entries.insert(&owner, key, kept);
        }
        Ok(entries)
    }

    /// What the form under a key may hold, whoever filled it: of what has not ended, the largest of each line.
    pub fn lines(&self, key: &EntryKey, at: Timestamp) -> Option<Lines> {
        let of = |owner: &LoginId| self.kept.get(&(owner.clone(), *key));
        let kept = self.owners.get(key)?.iter().filter_map(of).filter(|kept| kept.lives(at));
        kept.map(|kept| kept.lines.clone()).reduce(|all, lines| all.joined(&lines))
    }

    /// Keeps an entry, unless its owner has too many; an error where all owners together have.
    pub fn keep(&mut self, shelf: &mut Shelf<'_>, entry: &Entry) -> Result<Result<Entered, StoreError>, Failure> {
        self.sweep(shelf, entry.at)?;
        let known = self.kept.get(&(entry.owner.clone(), entry.key));
        let before = known.filter(|known| known.lives(entry.at)).cloned();
        let new = Kept::of(entry);
        let kept = match &before {
            Some(before) => new.or_before(before),
            None => new,
        };
        let had = before.as_ref().map_or(0, |before| before.lines.count());
        if kept.lines.count() > had {
            let same_kind =
                |kept: &&Kept, of: &Kept| kept.lives(entry.at) && kept.outlives.is_some() == of.outlives.is_some();
            let others = self.of(&entry.owner).filter(|(key, other)| *key != entry.key && same_kind(other, &kept));
            let amounts = others.map(|(_, other)| other.lines.count()).sum::<usize>() + kept.lines.count();
            if u32::try_from(amounts).is_ok_and(|amounts| amounts > entry.most) {
                return Ok(Ok(Entered::TooMany));
            }
        }
        let replaced = known.map_or(0, |known| known.lines.count());
        let (total, count) = (kept.lines.total(), kept.lines.count());
        if count > replaced && self.lines - replaced + count > MOST {
            return Ok(Err(StoreError::full_of_entries()));
        }
        if before.as_ref() != Some(&kept) {
            self.put(shelf, &entry.owner, entry.key, kept)?;
        }
        Ok(Ok(Entered::Kept(self.lines(&entry.key, entry.at).map_or(total, |lines| lines.total()))))
    }

    /// A login ID was active: what it has entered, the application may remember for longer.
    pub fn renew(&mut self, shelf: &mut Shelf<'_>, renewal: &Renewal) -> Result<(), Failure> {
        let renewed = self.of(&renewal.owner).filter_map(|(key, kept)| Some((key, kept.renewed(renewal)?)));
        let renewed: Vec<(EntryKey, Kept)> = renewed.collect();
        renewed.into_iter().try_for_each(|(key, kept)| self.put(shelf, &renewal.owner, key, kept))
    }

    /// Those of one login ID.
    fn of(&self, owner: &LoginId) -> impl Iterator<Item = (EntryKey, &Kept)> {
        let [first, last] = EntryKey::BOUNDS.map(|key| (owner.clone(), key));
        self.kept.range(first..=last).map(|((_, key), kept)| (*key, kept))
    }

    fn put(&mut self, shelf: &mut Shelf<'_>, owner: &LoginId, key: EntryKey, kept: Kept) -> Result<(), Failure> {
        shelf.put_entry(owner, &key, &kept)?;
        self.insert(owner, key, kept);
        Ok(())
    }

    fn insert(&mut self, owner: &LoginId, key: EntryKey, kept: Kept) {
        self.ends.insert((kept.until, key, owner.clone()));
        self.lines += kept.lines.count();
        let until = kept.until;
        match self.kept.insert((owner.clone(), key), kept) {
            Some(before) => {
                self.lines -= before.lines.count();
                if before.until != until {
                    self.ends.remove(&(before.until, key, owner.clone()));
                }
            }
            None => self.owners.entry(key).or_default().push(owner.clone()),
        }
    }

    /// Forgets a few of those that have expired.
    fn sweep(&mut self, shelf: &mut Shelf<'_>, at: Timestamp) -> Result<(), Failure> {
        for _ in 0..SWEPT_AT_ONCE {
            if self.ends.first().is_none_or(|(until, ..)| *until >= at) {
                break;
            }
            let Some((_, key, owner)) = self.ends.pop_first() else { break };
            shelf.remove_entry(&owner, &key)?;
            if let Some(owners) = self.owners.get_mut(&key) {
                owners.retain(|other| *other != owner);
                if owners.is_empty() {
                    self.owners.remove(&key);
                }
            }
            if let Some(kept) = self.kept.remove(&(owner, key)) {
                self.lines -= kept.lines.count();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::ToSpan as _;
    use redb::{Database, backends::InMemoryBackend};

    use super::*;
    use crate::domain::Yen;
    use crate::store::ledger::{Line, Lines, Term};

    /// What is forgotten takes no room, in memory nor in the file.
    #[test]
    fn lines_that_have_gone_are_gone_everywhere() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let (mut shelf, _) = Shelf::open(&transaction).unwrap();
        let (mut entries, begun) = (Entries::default(), Timestamp::UNIX_EPOCH);
        let list = Lines::of((1..=5).map(|line| (Line::from_number(line), Yen::new(1).unwrap()))).unwrap();
        let whole = Lines::whole(Yen::new(1).unwrap());
        let mut enter = |key: &str, lines: &Lines, seconds: i64| {
            let (owner, at) = (LoginId::parse("hanakodt").unwrap(), begun + seconds.seconds());
            let (key, term) = (EntryKey::of(&[key]), Term::Fixed(Duration::from_secs(10)));
            let entry = Entry { key, owner, lines: lines.clone(), at, term, most: 100 };
            assert!(matches!(entries.keep(&mut shelf, &entry), Ok(Ok(Entered::Kept(_)))));
            (entries.lines, shelf.rows_of_lines().unwrap())
        };
        assert_eq!(enter("T1", &list, 0), (5, 1));
        assert_eq!(enter("T2", &list, 0), (10, 2));
        assert_eq!(enter("T2", &list, 1), (10, 2));
        // Both have ended: one goes because it does, the other because it is entered anew.
        assert_eq!(enter("T1", &whole, 20), (1, 0));
        assert_eq!(enter("T3", &list, 20), (6, 1));
        assert_eq!(enter("T4", &whole, 40), (1, 0));
    }
}
