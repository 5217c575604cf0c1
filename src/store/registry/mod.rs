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
mod replica;
mod row;
mod shards;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Whether an act failed of which the disk may have something all the same.
    is_doubtful: bool,
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

/// How many rows are brought to the disk in one transaction: it takes a fraction of the time between two looks.
pub(in crate::store) const WRITTEN_AT_ONCE: usize = 2_000;

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
            let acting = Acting {
                number: count(NUMBER)?,
                place,
                unwritten: BTreeMap::new(),
                is_behind: false,
                is_doubtful: false,
            };
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
        self.settle_doubt(&mut acting)?;
        let drafted = self.drafted(self.index(), acting.number, now, act)?;
        if !drafted.rows.is_empty() {
            let number = acting.number + 1;
            // No shared log has it: one that is met later is compared.
            let notes = [(NUMBER, &*number.to_string()), (POSITION, "0"), (TOKEN, "")];
            if let Err(failure) = self.shelf.put(&drafted.rows, &notes) {
                // It may be on the disk all the same.
                acting.is_doubtful = true;
                self.settle_doubt(&mut acting).map_err(|_| ActError::Unheard(failure.to_string()))?;
                if acting.number != number {
                    return Err(failure.into());
                }
                return Ok(drafted.done);
            }
            (acting.number, acting.place) = (number, Place::default());
            self.publish(drafted.index, reach);
        }
        Ok(drafted.done)
    }

    /// After a write that failed: what the disk has is in force.
    fn settle_doubt(&self, acting: &mut Acting) -> Result<(), ActError> {
        if !acting.is_doubtful {
            return Ok(());
        }
        let number = self.shelf.note(NUMBER)?.and_then(|number| number.parse().ok()).unwrap_or(0);
        if number != acting.number {
            let mut index = Index::default();
            self.shelf.each(|row| index.apply(&row.change))?;
            (acting.number, acting.place) = (number, Place::default());
            self.publish(index, Reach::Everybody);
        }
        acting.is_doubtful = false;
        Ok(())
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

    /// A certificate that is registered.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificate(&self, sha256: &Fingerprint) -> Result<Option<Certificate>, ActError> {
        self.write_out();
        Draft::new(Index::clone(&self.index.load()), &self.shelf, Timestamp::UNIX_EPOCH).certificate(sha256)
    }

    /// All that a login ID has had.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificates_of(&self, login_id: &LoginId) -> Result<Vec<Certificate>, ActError> {
        self.write_out();
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
        self.write_out();
        Ok(self.shelf.certificates_after(after, most)?)
    }

    /// Up to so many contracts after one, in the order of their names.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn contracts_after(&self, after: Option<&ContractId>, most: usize) -> Result<Vec<ContractId>, ActError> {
        self.write_out();
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
