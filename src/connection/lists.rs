//! The revocation lists in force: one per issuing CA, replaced only by a later one (TLS-06, TLS-16).
//!
//! Whatever is wrong with a file, the last good list of that issuer stays in force, over restarts too: accepted lists
//! are kept in the state directory, where they serve against a rolled-back file and for nothing else (DESIGN 4.2).

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use super::issuing_ca::{IssuerId, IssuingCa};
use super::revocation::{ListDefect, RevocationList, UnverifiedList};
use crate::domain::Fingerprint;

/// A list larger than this is not read: a bound on memory, three times a list of a million entries in PEM.
const MAX_FILE_BYTES: u64 = 192 << 20;

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
            Self::Accepted { .. } | Self::Unchanged => false,
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
            ListOutcome::Rejected(defect) => write!(f, "list of {issuer} not accepted: {defect}"),
            ListOutcome::Unreadable(cause) => f.write_str(cause),
            ListOutcome::Missing => write!(f, "no revocation list of {issuer} was found"),
        }
    }
}

/// The lists in force. Never changed, only replaced.
#[derive(Debug, Default)]
pub(super) struct Lists {
    of_issuer: HashMap<IssuerId, Installed>,
    /// Lists of CAs that no file configures: intermediates that clients present. Verified when such a CA is first seen.
    unclaimed: Vec<Unclaimed>,
    claimed: Mutex<HashMap<IssuerId, Option<Arc<RevocationList>>>>,
}

#[derive(Debug, Clone)]
struct Installed {
    list: Arc<RevocationList>,
    digest: Fingerprint,
}

#[derive(Debug, Clone)]
struct Unclaimed {
    issuer: Vec<u8>,
    der: Arc<Vec<u8>>,
    facts: super::revocation::ListFacts,
}

/// Reads lists for a set of CAs.
pub(super) struct ListLoader<'a> {
    pub authorities: &'a [IssuingCa],
    /// What is in force now.
    pub current: &'a Lists,
    /// Where accepted lists are kept; `None` for a mere check.
    pub archive: Option<&'a Path>,
    pub now: Timestamp,
}

impl Lists {
    /// The list of an issuer. One that is not configured is verified once with the issuer's key from the proven path.
    pub fn of(&self, id: &IssuerId, name: &[u8], spki: &[u8]) -> Option<Arc<RevocationList>> {
        if let Some(installed) = self.of_issuer.get(id) {
            return Some(Arc::clone(&installed.list));
        }
        if self.unclaimed.is_empty() {
            return None;
        }
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.entry(*id).or_insert_with(|| self.claim(name, spki).map(Arc::new)).clone()
    }

    /// Every list in force whose issuer is known, for metrics and health.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.of_issuer.values().map(|installed| &installed.list)
    }

    fn claim(&self, name: &[u8], spki: &[u8]) -> Option<RevocationList> {
        self.unclaimed.iter().filter(|unclaimed| unclaimed.issuer == name).find_map(|unclaimed| {
            let list = UnverifiedList::parse(&unclaimed.der, Timestamp::MAX).ok()?;
            list.is_signed_by(spki).then(|| list.into_verified().ok()).flatten()
        })
    }
}

impl ListLoader<'_> {
    /// Reads every source and decides, issuer by issuer, which list is in force from now on.
    pub fn load(&self, sources: &[PathBuf]) -> (Lists, Vec<ListReport>) {
        let mut reports = Vec::new();
        let mut lists = Lists {
            of_issuer: self.current.of_issuer.clone(),
            unclaimed: self.current.unclaimed.clone(),
            ..Lists::default()
        };
        lists.of_issuer.retain(|id, _| self.authorities.iter().any(|ca| ca.id == *id));
        let mut supplied = HashMap::new();
        for file in files_of(sources, &mut reports) {
            match read_lists(&file) {
                Ok(ders) => {
                    for der in ders {
                        let (ca, outcome) = self.take(der, &mut lists);
                        let issuer = ca.map(|ca| ca.common_name.clone());
                        if let Some(ca) = ca {
                            *supplied.entry(ca.id).or_default() |= !outcome.is_defect();
                        }
                        reports.push(ListReport { file: Some(file.clone()), issuer, outcome });
                    }
                }
                Err(cause) => {
                    reports.push(ListReport { file: Some(file), issuer: None, outcome: ListOutcome::Unreadable(cause) })
                }
            }
        }
        for ca in self.authorities {
            let name = Some(&ca.common_name);
            if supplied.get(&ca.id) == Some(&true) {
                // Another file holds the list in force, so an older one beside it is no roll-back.
                let older = |report: &&mut ListReport| {
                    report.issuer.as_ref() == name
                        && matches!(report.outcome, ListOutcome::Rejected(ListDefect::RolledBack))
                };
                reports.iter_mut().filter(older).for_each(|report| report.outcome = ListOutcome::Unchanged);
            }
        }
        for ca in self.authorities.iter().filter(|ca| !supplied.contains_key(&ca.id)) {
            reports.push(ListReport {
                file: None,
                issuer: Some(ca.common_name.clone()),
                outcome: ListOutcome::Missing,
            });
        }
        (lists, reports)
    }

    /// Decides about one list. The CA is given where its own list is at hand, installed or not.
    fn take(&self, der: Vec<u8>, lists: &mut Lists) -> (Option<&IssuingCa>, ListOutcome) {
        let digest = Fingerprint::of(&der);
        if let Some(ca) =
            self.authorities.iter().find(|ca| lists.of_issuer.get(&ca.id).is_some_and(|i| i.digest == digest))
        {
            return (Some(ca), ListOutcome::Unchanged);
        }
        let list = match UnverifiedList::parse(&der, self.now) {
            Ok(list) => list,
            Err(defect) => return (None, ListOutcome::Rejected(defect)),
        };
        let mut named = self.authorities.iter().filter(|ca| ca.name == list.issuer).peekable();
        if named.peek().is_none() {
            return (None, self.take_unclaimed(list.issuer.to_vec(), list.facts().clone(), der, lists));
        }
        let Some(ca) = named.find(|ca| list.is_signed_by(&ca.spki)) else {
            return (None, ListOutcome::Rejected(ListDefect::BadSignature));
        };
        if !ca.may_sign_lists {
            return (Some(ca), ListOutcome::Rejected(ListDefect::IssuerMayNotSign));
        }
        let list = match list.into_verified() {
            Ok(list) => Arc::new(list),
            Err(defect) => return (None, ListOutcome::Rejected(defect)),
        };
        if !lists.of_issuer.contains_key(&ca.id)
            && let Some(kept) = self.kept(ca, digest)
        {
            lists.of_issuer.insert(ca.id, kept);
        }
        if lists.of_issuer.get(&ca.id).is_some_and(|in_force| !list.may_follow(&in_force.list)) {
            return (Some(ca), ListOutcome::Rejected(ListDefect::RolledBack));
        }
        self.keep(ca, &der);
        let entries = list.len();
        lists.of_issuer.insert(ca.id, Installed { list, digest });
        (Some(ca), ListOutcome::Accepted { entries })
    }

    fn take_unclaimed(
        &self,
        issuer: Vec<u8>,
        facts: super::revocation::ListFacts,
        der: Vec<u8>,
        lists: &mut Lists,
    ) -> ListOutcome {
        if !self.authorities.iter().any(IssuingCa::may_have_subordinates) {
            return ListOutcome::Rejected(ListDefect::Foreign);
        }
        let same = |unclaimed: &Unclaimed| unclaimed.issuer == issuer;
        if lists.unclaimed.iter().any(|unclaimed| same(unclaimed) && *unclaimed.der == der) {
            return ListOutcome::Unchanged;
        }
        if lists.unclaimed.iter().any(|unclaimed| same(unclaimed) && !facts.are_not_before(&unclaimed.facts)) {
            return ListOutcome::Rejected(ListDefect::RolledBack);
        }
        lists.unclaimed.retain(|unclaimed| !same(unclaimed));
        lists.unclaimed.push(Unclaimed { issuer, der: Arc::new(der), facts });
        ListOutcome::Accepted { entries: 0 }
    }

    fn archived(&self, ca: &IssuingCa) -> Option<PathBuf> {
        self.archive.map(|directory| directory.join(format!("{}.crl", ca.id.to_hex())))
    }

    /// The list that was in force before the restart, unless it is the one just read.
    fn kept(&self, ca: &IssuingCa, just_read: Fingerprint) -> Option<Installed> {
        let der = fs::read(self.archived(ca)?).ok()?;
        let digest = Fingerprint::of(&der);
        if digest == just_read {
            return None;
        }
        let list = UnverifiedList::parse(&der, Timestamp::MAX).ok()?;
        let list = list.is_signed_by(&ca.spki).then(|| list.into_verified().ok())??;
        Some(Installed { list: Arc::new(list), digest })
    }

    /// Keeps an accepted list for the next start. A full disk must not keep a revocation from being installed, so a
    /// failure is only logged.
    fn keep(&self, ca: &IssuingCa, der: &[u8]) {
        let Some(path) = self.archived(ca) else { return };
        if let Err(error) = write_atomically(&path, der) {
            tracing::error!(path = %path.display(), %error, "the accepted revocation list cannot be kept for the next start");
        }
    }
}

/// The files behind the sources: a directory stands for the files in it, hidden ones left out.
fn files_of(sources: &[PathBuf], reports: &mut Vec<ListReport>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for source in sources {
        if !source.is_dir() {
            files.push(source.clone());
            continue;
        }
        match fs::read_dir(source) {
            Ok(entries) => {
                let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                found.retain(|path| {
                    path.is_file() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
                });
                found.sort();
                files.extend(found);
            }
            Err(error) => reports.push(ListReport {
                file: Some(source.clone()),
                issuer: None,
                outcome: ListOutcome::Unreadable(format!("the directory cannot be read: {error}")),
            }),
        }
    }
    files
}

/// The lists in a file, PEM or DER.
fn read_lists(file: &Path) -> Result<Vec<Vec<u8>>, String> {
    let cannot = |error: io::Error| format!("the file cannot be read: {error}");
    let mut content = Vec::new();
    fs::File::open(file).map_err(cannot)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(cannot)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file is larger than {MAX_FILE_BYTES} bytes"));
    }
    match content.first() {
        None => Err("the file is empty".into()),
        Some(0x30) => Ok(vec![content]),
        Some(_) => {
            let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&content)
                .map(|list| list.map(|l| l.as_ref().to_vec()))
                .collect();
            match lists {
                Ok(lists) if lists.is_empty() => {
                    Err("the file holds no revocation list (PEM `X509 CRL` or DER)".into())
                }
                Ok(lists) => Ok(lists),
                Err(error) => Err(format!("the file is not a PEM that can be read: {error}")),
            }
        }
    }
}

/// Writes beside, syncs, renames: after a crash the file is the old one or the new one.
fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(directory)?.sync_all()
}
