//! Reading lists: which of those in the files are in force from now on, issuer by issuer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::files::{Archive, files_of, read_lists};
use super::{Installed, ListOutcome, ListReport, Lists, Seen, Waiting, kept};
use crate::connection::issuing_ca::{IssuerId, IssuingCa};
use crate::connection::revocation::{ListDefect, UnverifiedList};
use crate::domain::Fingerprint;

/// Lists of unknown issuers that may wait at once. Who can write the files could fill memory with more.
const MAX_WAITING: usize = 16;

/// Reads lists for a set of CAs.
pub(in crate::connection) struct ListLoader<'a> {
    pub authorities: &'a [IssuingCa],
    /// What is in force now.
    pub current: &'a Lists,
    /// Where accepted lists are kept; `None` for a mere check.
    pub archive: Option<Archive>,
    pub now: Timestamp,
}

impl ListLoader<'_> {
    /// Reads every source and decides which list is in force from now on.
    pub fn load(&self, sources: &[PathBuf]) -> (Lists, Vec<ListReport>) {
        let mut reports = Vec::new();
        let is_configured = |id: &IssuerId| self.authorities.iter().any(|ca| ca.id == *id);
        let mut configured = self.current.configured.clone();
        configured.retain(|id, _| is_configured(id));
        // An intermediate without a list may get one now, so only those with one are remembered.
        let mut seen = self.current.seen().clone();
        seen.retain(|id, claimed| claimed.is_some() && !is_configured(id));
        let mut lists =
            Lists { configured, waiting: HashMap::new(), seen: Mutex::new(seen), archive: self.archive.clone() };
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
                    let outcome = ListOutcome::Unreadable(cause);
                    reports.push(ListReport { file: Some(file), issuer: None, outcome });
                }
            }
        }
        self.conclude(&supplied, &mut reports);
        (lists, reports)
    }

    /// What can be said only when every file was read: which list is missing, and which is merely the older of two.
    fn conclude(&self, supplied: &HashMap<IssuerId, bool>, reports: &mut Vec<ListReport>) {
        for ca in self.authorities {
            let name = Some(&ca.common_name);
            match supplied.get(&ca.id) {
                // Another file holds the list in force, so an older one beside it is no roll-back.
                Some(true) => {
                    let older = |report: &&mut ListReport| {
                        report.issuer.as_ref() == name
                            && matches!(report.outcome, ListOutcome::Rejected(ListDefect::RolledBack))
                    };
                    reports.iter_mut().filter(older).for_each(|report| report.outcome = ListOutcome::Unchanged);
                }
                Some(false) => {}
                None => {
                    reports.push(ListReport { file: None, issuer: name.cloned(), outcome: ListOutcome::Missing });
                }
            }
        }
    }

    /// Decides about one list. The CA is given where its own list is at hand, installed or not.
    fn take(&self, der: Vec<u8>, lists: &mut Lists) -> (Option<&IssuingCa>, ListOutcome) {
        let digest = Fingerprint::of(&der);
        let has_it = |ca: &&IssuingCa| lists.configured.get(&ca.id).is_some_and(|installed| installed.digest == digest);
        if let Some(ca) = self.authorities.iter().find(has_it) {
            return (Some(ca), ListOutcome::Unchanged);
        }
        let list = match UnverifiedList::parse(&der, self.now) {
            Ok(list) => list,
            Err(defect) => return (None, ListOutcome::Rejected(defect)),
        };
        let mut named = self.authorities.iter().filter(|ca| ca.name == list.issuer).peekable();
        if named.peek().is_none() {
            let issuer = list.issuer.to_vec();
            return (None, self.take_of_intermediate(issuer, der, digest, lists));
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
        if !lists.configured.contains_key(&ca.id)
            && let Some(kept) = self.archive.as_ref().and_then(|archive| kept(archive, ca.id, &ca.spki, digest))
        {
            lists.configured.insert(ca.id, kept);
        }
        if lists.configured.get(&ca.id).is_some_and(|in_force| !list.may_follow(&in_force.list)) {
            return (Some(ca), ListOutcome::Rejected(ListDefect::RolledBack));
        }
        self.keep(ca.id, &der);
        let entries = list.len();
        lists.configured.insert(ca.id, Installed { list, digest });
        (Some(ca), ListOutcome::Accepted { entries })
    }

    /// A list of a CA that is not configured: of one that was seen, it follows that one's list; of another, it waits.
    fn take_of_intermediate(
        &self,
        issuer: Vec<u8>,
        der: Vec<u8>,
        digest: Fingerprint,
        lists: &mut Lists,
    ) -> ListOutcome {
        if !self.authorities.iter().any(IssuingCa::may_have_subordinates) {
            return ListOutcome::Rejected(ListDefect::Foreign);
        }
        let known: Vec<(IssuerId, Seen)> =
            lists.seen().iter().filter_map(|(id, seen)| Some((*id, seen.clone()?))).collect();
        if known.iter().any(|(_, seen)| seen.installed.digest == digest) {
            return ListOutcome::Unchanged;
        }
        for (id, seen) in known.into_iter().filter(|(_, seen)| *seen.name == *issuer) {
            let Some(list) = super::verified(&der, &seen.spki) else { continue };
            if !list.may_follow(&seen.installed.list) {
                return ListOutcome::Rejected(ListDefect::RolledBack);
            }
            self.keep(id, &der);
            let entries = list.len();
            let installed = Installed { list: Arc::new(list), digest };
            lists.seen().insert(id, Some(Seen { installed, ..seen }));
            return ListOutcome::Accepted { entries };
        }
        if lists.waiting.len() >= MAX_WAITING {
            return ListOutcome::Rejected(ListDefect::TooManyWaiting);
        }
        lists.waiting.insert(digest, Arc::new(Waiting { issuer, der }));
        ListOutcome::Waiting
    }

    fn keep(&self, issuer: IssuerId, der: &[u8]) {
        if let Some(archive) = &self.archive {
            archive.keep(issuer, der);
        }
    }
}
