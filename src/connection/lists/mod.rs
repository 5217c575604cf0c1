//! The revocation lists in force: one per issuing CA, replaced only by a later one (TLS-06, TLS-16).
//!
//! Whatever is wrong with a file, the last good list of that issuer stays in force, over restarts too: accepted lists
//! are kept in the state directory, where they serve against a rolled-back file and for nothing else (DESIGN 4.2).
//!
//! A CA that no file configures, an intermediate that clients present, has a list too. Nobody can vouch for that list
//! before the CA is first seen on a proven path; until then it waits, and from then on it is a list like any other.

mod files;
mod load;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::issuing_ca::IssuerId;
use super::revocation::{ListDefect, RevocationList, UnverifiedList};
use crate::domain::Fingerprint;

pub(super) use files::Archive;
pub(super) use load::ListLoader;

/// What came of one list, for the log, the metric and `check`.
#[derive(Debug)]
pub struct ListReport {
    /// The file, where the list came from one.
    pub file: Option<PathBuf>,
    /// The issuer's name, where it is known.
    pub issuer: Option<String>,
    /// What happened.
    pub outcome: ListOutcome,
}

/// What came of one list.
#[derive(Debug)]
pub enum ListOutcome {
    /// Installed: it is newer than what was in force.
    Accepted {
        /// Its entries.
        entries: usize,
    },
    /// The same as what is in force, or older than another file's list of the same issuer.
    Unchanged,
    /// Its issuer is not configured and has not been seen: it waits until somebody can vouch for it.
    Waiting,
    /// Not installed; the last good list stays.
    Rejected(ListDefect),
    /// The file cannot be read.
    Unreadable(String),
    /// No file supplies the list of this CA.
    Missing,
}

impl ListOutcome {
    /// Whether something is wrong with the list.
    pub fn is_defect(&self) -> bool {
        match self {
            Self::Accepted { .. } | Self::Unchanged | Self::Waiting => false,
            Self::Rejected(_) | Self::Unreadable(_) | Self::Missing => true,
        }
    }
}

impl std::fmt::Display for ListReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let issuer = self.issuer.as_deref().unwrap_or("an unknown issuer");
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match &self.outcome {
            ListOutcome::Accepted { entries } => write!(f, "list of {issuer} accepted, {entries} entries"),
            ListOutcome::Unchanged => write!(f, "list of {issuer} unchanged"),
            ListOutcome::Waiting => write!(f, "list of a CA that is not configured waits until that CA is seen"),
            ListOutcome::Rejected(defect) => write!(f, "list of {issuer} not accepted: {defect}"),
            ListOutcome::Unreadable(cause) => f.write_str(cause),
            ListOutcome::Missing => write!(f, "no revocation list of {issuer} was found"),
        }
    }
}

/// The lists in force. Never changed, only replaced; but an issuer's waiting list is claimed when it is first seen.
#[derive(Debug, Default)]
pub(super) struct Lists {
    configured: HashMap<IssuerId, Installed>,
    /// By digest, so that a list that is the same in two files waits once.
    waiting: HashMap<Fingerprint, Arc<Waiting>>,
    seen: Mutex<HashMap<IssuerId, Option<Seen>>>,
    archive: Option<Archive>,
}

#[derive(Debug, Clone)]
struct Installed {
    list: Arc<RevocationList>,
    digest: Fingerprint,
}

/// A list whose issuer is not configured.
#[derive(Debug)]
struct Waiting {
    issuer: Vec<u8>,
    der: Vec<u8>,
}

/// An intermediate that was seen on a proven path, with its list.
#[derive(Debug, Clone)]
struct Seen {
    name: Arc<[u8]>,
    spki: Arc<[u8]>,
    installed: Installed,
}

impl Lists {
    /// The list of an issuer.
    pub fn of(&self, id: &IssuerId, name: &[u8], spki: &[u8]) -> Option<Arc<RevocationList>> {
        if let Some(installed) = self.configured.get(id) {
            return Some(Arc::clone(&installed.list));
        }
        let mut seen = self.seen();
        let claimed = seen.entry(*id).or_insert_with(|| self.claim(*id, name, spki));
        claimed.as_ref().map(|seen| Arc::clone(&seen.installed.list))
    }

    /// Every list in force whose issuer is known, for metrics and health.
    pub fn all(&self) -> Vec<Arc<RevocationList>> {
        let configured = self.configured.values().map(|installed| Arc::clone(&installed.list));
        let seen = self.seen();
        configured.chain(seen.values().flatten().map(|seen| Arc::clone(&seen.installed.list))).collect()
    }

    /// The latest of the waiting lists that the issuer's key signed, unless the archive has a later one. Verifying takes
    /// as long as the list is, once per issuer.
    fn claim(&self, id: IssuerId, name: &[u8], spki: &[u8]) -> Option<Seen> {
        let mut best: Option<(Installed, &[u8])> = None;
        for (digest, waiting) in self.waiting.iter().filter(|(_, waiting)| waiting.issuer == name) {
            let Some(list) = verified(&waiting.der, spki) else { continue };
            if best.as_ref().is_none_or(|(best, _)| list.may_follow(&best.list)) {
                best = Some((Installed { list: Arc::new(list), digest: *digest }, &waiting.der));
            }
        }
        // Without a list in the files there is none: the archive serves against roll-back and for nothing else.
        let (found, der) = best?;
        let kept = self.archive.as_ref().and_then(|archive| kept(archive, id, spki, found.digest));
        let installed = match kept {
            Some(kept) if !found.list.may_follow(&kept.list) => {
                tracing::error!(defect = %ListDefect::RolledBack, "the list of an intermediate is not accepted; the one kept stays in force");
                kept
            }
            Some(_) | None => {
                if let Some(archive) = &self.archive {
                    archive.keep(id, der);
                }
                found
            }
        };
        Some(Seen { name: name.into(), spki: spki.into(), installed })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<IssuerId, Option<Seen>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list in `der`, if the key in `spki` signed it. Its dates were checked when it was first read.
fn verified(der: &[u8], spki: &[u8]) -> Option<RevocationList> {
    let list = UnverifiedList::parse(der, Timestamp::MAX).ok()?;
    list.is_signed_by(spki).then(|| list.into_verified().ok())?
}

/// The list that was in force before the restart, unless it is the one just read.
fn kept(archive: &Archive, issuer: IssuerId, spki: &[u8], just_read: Fingerprint) -> Option<Installed> {
    let der = archive.kept(issuer)?;
    let digest = Fingerprint::of(&der);
    if digest == just_read {
        return None;
    }
    let Some(list) = verified(&der, spki) else {
        tracing::error!(issuer = %issuer.to_hex(), "the list kept in the state directory is damaged; a roll-back over this restart would go unnoticed");
        return None;
    };
    Some(Installed { list: Arc::new(list), digest })
}
