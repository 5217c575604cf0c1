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

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus::IntGaugeVec;

pub use self::draft::{ActError, Done, Draft, MOST_MEMBERS};
use self::file::Shelf;
pub use self::file::{Version, Versioned};
pub use self::index::{Index, Membership, Registered, Sizes};
pub use self::row::{Access, Certificate, Change, Contract, Key, Login, Name, Row, State};
use crate::domain::{ContractId, Fingerprint, LoginId};
use crate::operator::metrics::Metrics;
use crate::store::database::Failure;

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
    /// The highest number that is known. Whoever holds it acts.
    number: Mutex<u64>,
    /// Which process this is, in versions.
    process: Box<str>,
    gauge: IntGaugeVec,
}

/// The note of the highest number.
const NUMBER: &str = "number";

impl Registry {
    /// Reads what is registered in a file, or makes it.
    ///
    /// # Errors
    /// Another process uses the file, it cannot be read, or is damaged.
    pub fn open(path: PathBuf, metrics: &Metrics) -> Result<Self, OpenError> {
        let name = path.clone();
        let open = || {
            let shelf = Shelf::open(path)?;
            let mut index = Index::default();
            shelf.each(|row| index.apply(&row.change))?;
            let number = shelf.note(NUMBER)?.and_then(|number| number.parse().ok()).unwrap_or(0);
            Ok((shelf, index, number))
        };
        let (shelf, index, number) = open().map_err(|why| OpenError { path: name, why })?;
        let id = uuid::Uuid::now_v7().simple().to_string();
        let registry = Self {
            shelf,
            index: ArcSwap::from_pointee(index),
            generation: AtomicU64::new(1),
            number: Mutex::new(number),
            // Its end is random; its beginning is the time.
            process: id[id.len() - 12..].into(),
            gauge: metrics.registered.clone(),
        };
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

    /// Does an act as a whole: on the disk first, and then in force.
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
        // Nobody else's standing changes: whoever came with another certificate has none yet. Only where the first certificate
        // of a contract takes the password entrance from it, all who are open must be looked at.
        let index = self.index();
        let contract = index.place(&certificate.login_id).and_then(|(contract, _)| index.contract(contract));
        let switches = contract.is_some_and(|contract| contract.access == Access::CertificateFromFirstIssue);
        let reach = if switches { Reach::Everybody } else { Reach::Nobody };
        self.act_as(reach, now, move |draft| draft.learn(certificate))
    }

    fn act_as<T>(
        &self,
        reach: Reach,
        now: Timestamp,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, ActError>,
    ) -> Result<T, ActError> {
        let mut number = self.acting();
        let mut draft = Draft::new(Index::clone(&self.index.load()), &self.shelf, now);
        let done = act(&mut draft)?;
        let Draft { index, changes, .. } = draft;
        if changes.is_empty() {
            return Ok(done);
        }
        let version = Version { number: *number + 1, process: self.process.clone() };
        let version = |change| Versioned { version: version.clone(), change };
        let rows: Vec<Versioned> = changes.into_iter().map(version).collect();
        let next = *number + 1;
        self.shelf.put(&rows, &[(NUMBER, &next.to_string())])?;
        *number = next;
        self.publish(index, reach);
        Ok(done)
    }

    /// A certificate that is registered.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificate(&self, sha256: &Fingerprint) -> Result<Option<Certificate>, ActError> {
        Draft::new(Index::clone(&self.index.load()), &self.shelf, Timestamp::UNIX_EPOCH).certificate(sha256)
    }

    /// All that a login ID has had.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificates_of(&self, login_id: &LoginId) -> Result<Vec<Certificate>, ActError> {
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
        Ok(self.shelf.certificates_after(after, most)?)
    }

    /// Up to so many contracts after one, in the order of their names.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn contracts_after(&self, after: Option<&ContractId>, most: usize) -> Result<Vec<ContractId>, ActError> {
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

    fn acting(&self) -> MutexGuard<'_, u64> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose standing a change may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Anybody's.
    Everybody,
    /// That of nobody who has one.
    Nobody,
}
