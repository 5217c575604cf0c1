//! The registry: contracts, their login IDs with roles, and the certificate that each login ID has (TLS-09, BND-09, LIM-05).
//!
//! ```text
//! operators, first logins ─ draft ─▶ registry ─┬ file    this gateway's own disk, before anything else
//! other gateways ─ redis ───────────────────┘└ index   in memory: what every judgement and every order looks at
//! ```
//!
//! An act is done as a whole or not at all, also one that imports a million rows. Each row has a version, and of two the
//! later one holds, so that stores which knew different things can be put together.
//!
//! Deliberately absent: a way to forget that a login ID has had a certificate. Otherwise the next one that comes would be taken
//! for its first.

mod draft;
mod file;
mod index;
mod row;
mod shards;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus::IntGaugeVec;

pub use self::draft::{ActError, Done, Draft, MOST_MEMBERS};
use self::file::Shelf;
pub(in crate::store) use self::file::{Version, Versioned};
pub use self::index::{Index, Membership, Registered, Sizes};
#[cfg(test)]
pub(in crate::store) use self::row::tests::certificate;
pub use self::row::{Access, Certificate, Change, Contract, Key, Login, Name, Row, State};
use crate::domain::{ContractId, Fingerprint, LoginId};
use crate::operator::metrics::Metrics;
use crate::store::database::Failure;
use crate::store::known::Known;

/// Why the registry cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the registry {} cannot be used: {why}", path.display())]
pub struct OpenError {
    path: PathBuf,
    why: Failure,
}

/// The registry of this gateway. All that changes it, or reads whole rows, blocks its thread while the disk works.
#[derive(Debug)]
pub struct Registry {
    shelf: Shelf,
    index: ArcSwap<Index>,
    generation: AtomicU64,
    /// Where gateways share it, how long it is known to be what they share.
    known: Known,
    /// Whoever holds it acts.
    acting: Mutex<Acting>,
    /// Which process this is, in versions.
    process: Box<str>,
    gauge: IntGaugeVec,
}

#[derive(Debug)]
struct Acting {
    /// The highest number that is known.
    number: u64,
    /// How far the shared log was read.
    place: Place,
    /// What is in force and lies on no disk yet.
    unwritten: BTreeMap<Key, Versioned>,
    /// Whether the disk knows another place, or lacks rows.
    is_behind: bool,
}

/// An act that was drafted and not kept.
struct Drafted<T> {
    done: T,
    rows: Vec<Versioned>,
    index: Index,
}

/// How far the log that gateways share was read: so many of its entries, and what the last of them is known by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Entries.
    pub position: u64,
    /// The first line of the last one, which no other has; empty before the first.
    pub token: String,
}

/// The notes beside the rows.
const NUMBER: &str = "number";
const POSITION: &str = "position";
const TOKEN: &str = "token";

impl Registry {
    /// Reads what is registered in a file, or makes it. Where it `is_shared`, changes come from the store.
    ///
    /// # Errors
    /// Another process uses the file, it cannot be read, or is damaged.
    pub fn open(path: PathBuf, is_shared: bool, metrics: &Metrics) -> Result<Self, OpenError> {
        let (name, path_of) = (path.clone(), path.clone());
        let open = || {
            let shelf = Shelf::open(path)?;
            let mut index = Index::default();
            shelf.each(|row| index.apply(&row.change))?;
            let count = |name| -> Result<u64, Failure> {
                Ok(shelf.note(name)?.and_then(|number| number.parse().ok()).unwrap_or(0))
            };
            let place = Place { position: count(POSITION)?, token: shelf.note(TOKEN)?.unwrap_or_default() };
            let acting = Acting { number: count(NUMBER)?, place, unwritten: BTreeMap::new(), is_behind: false };
            Ok((shelf, index, acting))
        };
        let (shelf, index, acting) = open().map_err(|why| OpenError { path: name, why })?;
        let id = uuid::Uuid::now_v7().simple().to_string();
        let registry = Self {
            shelf,
            index: ArcSwap::from_pointee(index),
            generation: AtomicU64::new(1),
            known: Known::new(is_shared),
            acting: Mutex::new(acting),
            // Its end is random; its beginning is the time.
            process: id[id.len() - 12..].into(),
            gauge: metrics.registered.clone(),
        };
        let Sizes { contracts, login_ids, certificates } = registry.index().sizes();
        // One that is not there says the same as an empty one: whoever knows better reads it here.
        tracing::info!(path = %path_of.display(), contracts, login_ids, certificates, "who the customers are");
        registry.count();
        Ok(registry)
    }

    /// What is registered now. Whoever holds it sees no later change.
    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    /// Grows with every change that may take somebody's standing, or give it another contract or role: one atomic load.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether it is what gateways share, as of a second ago at most.
    pub fn is_known(&self) -> bool {
        self.known.is_known()
    }

    /// It is what gateways share, as of a look that was begun at `at`.
    pub(in crate::store) fn confirm(&self, at: Instant) {
        self.known.confirm(at);
    }

    /// Does an act as a whole, where gateways share none: on the disk first, and then in force.
    ///
    /// # Errors
    /// What the act says, or the disk; then nothing has changed.
    pub fn act<T>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, ActError>,
    ) -> Result<T, ActError> {
        self.act_as(Reach::Everybody, now, act)
    }

    /// Takes a certificate for the one of its login ID, where that has never had one.
    ///
    /// # Errors
    /// It has had another, or the disk.
    pub fn learn(&self, certificate: Certificate, now: Timestamp) -> Result<Done, ActError> {
        self.act_as(self.reach_of(&certificate), now, move |draft| draft.learn(certificate))
    }

    /// Whom it concerns that a certificate is learned. Nobody else's standing changes: whoever came with another certificate has
    /// none yet. Only where the first certificate of a contract takes the password entrance from it, all who are there must be
    /// looked at.
    pub(in crate::store) fn reach_of(&self, certificate: &Certificate) -> Reach {
        let index = self.index();
        let contract = index.place(&certificate.login_id).and_then(|(contract, _)| index.contract(contract));
        let switches = contract.is_some_and(|contract| contract.access == Access::CertificateFromFirstIssue);
        if switches { Reach::Everybody } else { Reach::Nobody }
    }

    fn act_as<T>(
        &self,
        reach: Reach,
        now: Timestamp,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, ActError>,
    ) -> Result<T, ActError> {
        let mut acting = self.acting();
        self.write_all(&mut acting)?;
        let drafted = self.drafted(self.index(), acting.number, now, act)?;
        if !drafted.rows.is_empty() {
            let number = acting.number + 1;
            // No shared log has it: one that is met later is compared.
            self.shelf.put(&drafted.rows, &[(NUMBER, &number.to_string()), (POSITION, "0"), (TOKEN, "")])?;
            (acting.number, acting.place) = (number, Place::default());
            self.publish(drafted.index, reach);
        }
        Ok(drafted.done)
    }

    /// What an act would change, numbered, and the place in the shared log that it was drafted at; nothing is kept.
    pub(in crate::store) fn draft<T>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, ActError>,
    ) -> Result<(T, Vec<Versioned>, Place), ActError> {
        // A long act must not hold up what other gateways do.
        let (index, number, place) = {
            let mut acting = self.acting();
            // Drafts read whole rows from the disk.
            self.write_all(&mut acting)?;
            (self.index(), acting.number, acting.place.clone())
        };
        let drafted = self.drafted(index, number, now, act)?;
        Ok((drafted.done, drafted.rows, place))
    }

    fn drafted<T>(
        &self,
        index: Arc<Index>,
        number: u64,
        now: Timestamp,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, ActError>,
    ) -> Result<Drafted<T>, ActError> {
        let mut draft = Draft::new(Index::clone(&index), &self.shelf, now);
        let done = act(&mut draft)?;
        let Draft { index, changes, .. } = draft;
        let version = Version { number: number + 1, process: self.process.clone() };
        // An act has one version: of what it changed more than once, others learn the last.
        let mut seen = HashSet::new();
        let mut rows: Vec<Versioned> = changes
            .into_iter()
            .rev()
            .filter(|change| seen.insert(change.key()))
            .map(|change| Versioned { version: version.clone(), change })
            .collect();
        rows.reverse();
        Ok(Drafted { done, rows, index })
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

    fn write_all(&self, acting: &mut Acting) -> Result<(), ActError> {
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

    /// A certificate that is registered.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificate(&self, sha256: &Fingerprint) -> Result<Option<Certificate>, ActError> {
        self.write_all(&mut self.acting())?;
        Draft::new(Index::clone(&self.index.load()), &self.shelf, Timestamp::UNIX_EPOCH).certificate(sha256)
    }

    /// All that a login ID has had.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificates_of(&self, login_id: &LoginId) -> Result<Vec<Certificate>, ActError> {
        self.write_all(&mut self.acting())?;
        Ok(self.shelf.certificates_of(login_id)?)
    }

    /// Up to so many certificates after one, in the order of their login IDs.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificates_after(
        &self,
        after: Option<(&LoginId, &Fingerprint)>,
        most: usize,
    ) -> Result<Vec<Certificate>, ActError> {
        self.write_all(&mut self.acting())?;
        Ok(self.shelf.certificates_after(after, most)?)
    }

    /// Up to so many contracts after one, in the order of their names.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn contracts_after(&self, after: Option<&ContractId>, most: usize) -> Result<Vec<ContractId>, ActError> {
        self.write_all(&mut self.acting())?;
        Ok(self.shelf.contracts_after(after, most)?)
    }

    fn publish(&self, index: Index, reach: Reach) {
        // The index first: whoever sees the new generation finds no older one.
        self.index.store(Arc::new(index));
        match reach {
            Reach::Everybody => drop(self.generation.fetch_add(1, Ordering::AcqRel)),
            Reach::Nobody => {}
        }
        self.count();
    }

    fn count(&self) {
        let Sizes { contracts, login_ids, certificates } = self.index.load().sizes();
        for (kind, count) in [("contract", contracts), ("login_id", login_ids), ("certificate", certificates)] {
            self.gauge.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn acting(&self) -> MutexGuard<'_, Acting> {
        self.acting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose standing a change may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Reach {
    /// Anybody's.
    Everybody,
    /// That of nobody who has one.
    Nobody,
}
