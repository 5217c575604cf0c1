//! The registry as every judgement sees it: in memory, never changed, only replaced.
//!
//! Of a certificate only its login ID and its state lie here; the rest is on the disk, for whoever asks to see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::row::{Access, Certificate, Change, Contract, Login, Row, State};
use super::shards::Shards;
use crate::domain::{ContractId, Fingerprint, JstDate, LoginId, Role};

/// What is registered at one moment.
#[derive(Debug, Clone, Default)]
pub struct Index {
    contracts: Shards<ContractId, Kept>,
    logins: Shards<LoginId, Known>,
    certificates: Shards<Fingerprint, (LoginId, State)>,
    contracts_in_force: usize,
    members: usize,
}

/// A contract and its login IDs.
#[derive(Debug, Clone, Default)]
struct Kept {
    /// `None` where rows of its login IDs came before its own.
    contract: Option<Arc<Contract>>,
    /// In their order.
    members: Arc<[LoginId]>,
}

/// What is known of a login ID.
#[derive(Debug, Clone, Default)]
struct Known {
    place: Option<(ContractId, Role)>,
    /// Those that are active, with when they begin: one, unless stores were put together that had learned different ones. Then
    /// the one that begins last is in force.
    active: Vec<(i64, Fingerprint)>,
    /// All that it ever had.
    certificates: u32,
}

/// A login ID's place in its contract, and who counts together with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its contract.
    pub contract: ContractId,
    /// What it may do.
    pub role: Role,
    /// The contract's row.
    of: Arc<Contract>,
    members: Arc<[LoginId]>,
}

impl Membership {
    /// Whose sums are the contract's on days from `first` on: its login IDs, and those that left on such a day. Who left
    /// takes along what it moved later, and nothing of what it had moved before (LIM-36).
    pub fn counted_since(&self, first: JstDate) -> Arc<[LoginId]> {
        counted_since(&self.of, &self.members, first)
    }
}

fn counted_since(contract: &Contract, members: &Arc<[LoginId]>, first: JstDate) -> Arc<[LoginId]> {
    let left = contract.former.iter().filter(|(id, day)| *day >= first && !members.contains(id));
    let left: BTreeSet<&LoginId> = left.map(|(id, _)| id).collect();
    if left.is_empty() {
        return Arc::clone(members);
    }
    members.iter().chain(left).cloned().collect()
}

/// What the registry says of a visitor's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// It is the one of this login ID.
    Active,
    /// It was.
    Retired,
    /// It is another one than the login ID's, or another login ID's.
    Other,
    /// The login ID has never had one.
    Never,
}

/// How much is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Contracts.
    pub contracts: usize,
    /// Login IDs in them.
    pub login_ids: usize,
    /// Certificates, retired ones too.
    pub certificates: usize,
}

impl Index {
    /// The login ID's place in its contract; `None` where it is in none.
    pub fn membership(&self, login_id: &LoginId) -> Option<Membership> {
        let (contract, role) = self.logins.get(login_id)?.place.as_ref()?;
        let Kept { contract: of, members } = self.contracts.get(contract)?;
        let (of, members) = (Arc::clone(of.as_ref()?), Arc::clone(members));
        Some(Membership { contract: contract.clone(), role: *role, of, members })
    }

    /// What a visitor's certificate is here.
    pub fn registered(&self, sha256: &Fingerprint, login_id: &LoginId) -> Registered {
        match self.certificates.get(sha256) {
            Some((owner, _)) if owner != login_id => Registered::Other,
            // Two that are active could only come of stores that were put together: one of them holds.
            Some((_, State::Active)) if self.active(login_id) == Some(*sha256) => Registered::Active,
            Some((_, State::Active)) => Registered::Other,
            Some((_, State::Retired)) => Registered::Retired,
            None if self.had_certificate(login_id) => Registered::Other,
            None => Registered::Never,
        }
    }

    /// Whether any certificate was ever registered for a login ID.
    pub fn had_certificate(&self, login_id: &LoginId) -> bool {
        self.logins.get(login_id).is_some_and(|known| known.certificates > 0)
    }

    /// The login ID's certificate.
    pub fn active(&self, login_id: &LoginId) -> Option<Fingerprint> {
        self.logins.get(login_id)?.active.iter().max().map(|(_, sha256)| *sha256)
    }

    /// All that are active of a login ID, also those that are not in force.
    pub(super) fn all_active(&self, login_id: &LoginId) -> Vec<Fingerprint> {
        let known = self.logins.get(login_id);
        known.map(|known| known.active.iter().map(|(_, sha256)| *sha256).collect()).unwrap_or_default()
    }

    /// Whose certificate it is, wherever it is registered.
    pub fn owner(&self, sha256: &Fingerprint) -> Option<&LoginId> {
        self.certificates.get(sha256).map(|(owner, _)| owner)
    }

    /// A contract.
    pub fn contract(&self, id: &ContractId) -> Option<&Arc<Contract>> {
        self.contracts.get(id)?.contract.as_ref()
    }

    /// Its login IDs, in their order.
    pub fn members(&self, id: &ContractId) -> Arc<[LoginId]> {
        self.contracts.get(id).map(|kept| Arc::clone(&kept.members)).unwrap_or_default()
    }

    /// Whose sums are a contract's on days from `first` on; `None` where there is no such contract.
    pub fn counted_in(&self, id: &ContractId, first: JstDate) -> Option<Arc<[LoginId]>> {
        let Kept { contract, members } = self.contracts.get(id)?;
        Some(counted_since(contract.as_ref()?, members, first))
    }

    /// The login ID's contract and role.
    pub fn place(&self, login_id: &LoginId) -> Option<(&ContractId, Role)> {
        self.logins.get(login_id)?.place.as_ref().map(|(contract, role)| (contract, *role))
    }

    /// Whether all of a contract's login IDs come by certificate only (MOD-01).
    pub fn demands_certificate(&self, contract: &ContractId, today: JstDate) -> bool {
        let Some(access) = self.contract(contract).map(|contract| contract.access) else { return true };
        match access {
            Access::Password => false,
            Access::Certificate => true,
            Access::CertificateFrom(day) => today >= day,
            Access::CertificateFromFirstIssue => self.members(contract).iter().any(|id| self.had_certificate(id)),
        }
    }

    /// How much there is.
    pub fn sizes(&self) -> Sizes {
        Sizes { contracts: self.contracts_in_force, login_ids: self.members, certificates: self.certificates.len() }
    }

    /// Takes a change in.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(Row::Contract(contract)) => {
                let kept = self.contracts.get_or_default(&contract.id);
                self.contracts_in_force += usize::from(kept.contract.is_none());
                kept.contract = Some(Arc::new(contract.clone()));
            }
            Change::Put(Row::Login(login)) => self.put_login(login),
            Change::Put(Row::Certificate(certificate)) => self.put_certificate(certificate),
            Change::NoContract(id) => self.remove_contract(id),
            Change::NoLogin(id) => {
                self.leave(id);
                if self.logins.get(id).is_some_and(|known| known.certificates == 0) {
                    self.logins.remove(id);
                }
            }
        }
    }

    fn put_login(&mut self, Login { id, contract, role }: &Login) {
        self.leave(id);
        self.logins.get_or_default(id).place = Some((contract.clone(), *role));
        let kept = self.contracts.get_or_default(contract);
        let place = kept.members.partition_point(|member| member < id);
        let (before, after) = kept.members.split_at(place);
        kept.members = before.iter().chain([id]).chain(after).cloned().collect();
        self.members += 1;
    }

    /// Out of the contract in which the login ID is, if it is in one.
    fn leave(&mut self, id: &LoginId) {
        let left = self.logins.get_mut(id).and_then(|known| known.place.take());
        let Some((contract, _)) = left else { return };
        self.members -= 1;
        if let Some(kept) = self.contracts.get_mut(&contract) {
            kept.members = kept.members.iter().filter(|member| *member != id).cloned().collect();
        }
        self.forget_if_empty(&contract);
    }

    fn remove_contract(&mut self, id: &ContractId) {
        let removed = self.contracts.get_mut(id).and_then(|kept| kept.contract.take());
        self.contracts_in_force -= usize::from(removed.is_some());
        self.forget_if_empty(id);
    }

    fn forget_if_empty(&mut self, id: &ContractId) {
        let is_empty = |kept: &Kept| kept.contract.is_none() && kept.members.is_empty();
        if self.contracts.get(id).is_some_and(is_empty) {
            self.contracts.remove(id);
        }
    }

    fn put_certificate(&mut self, Certificate { sha256, login_id, state, not_before, .. }: &Certificate) {
        let before = self.certificates.insert(*sha256, (login_id.clone(), *state));
        let known = self.logins.get_or_default(login_id);
        known.certificates += u32::from(before.is_none());
        known.active.retain(|(_, active)| active != sha256);
        if *state == State::Active {
            known.active.push((*not_before, *sha256));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{certificate, contract_id, login_id};
    use super::*;

    fn day(text: &str) -> JstDate {
        JstDate::parse(text).unwrap()
    }

    fn contract(id: &str, access: Access) -> Change {
        Change::Put(Row::Contract(Contract { id: contract_id(id), name: None, access, former: Vec::new() }))
    }

    fn login(id: &str, contract: &str) -> Change {
        Change::Put(Row::Login(Login { id: login_id(id), contract: contract_id(contract), role: Role::General }))
    }

    fn index(changes: &[Change]) -> Index {
        let mut index = Index::default();
        changes.iter().for_each(|change| index.apply(change));
        index
    }

    #[test]
    fn members_are_those_who_are_in_the_contract_now() {
        let yamada = contract("yamada", Access::Password);
        let mut index = index(&[
            login("b", "yamada"),
            yamada,
            login("a", "yamada"),
            contract("ito", Access::Password),
            login("c", "ito"),
        ]);
        assert_eq!(*index.members(&contract_id("yamada")), [login_id("a"), login_id("b")]);
        assert_eq!(index.membership(&login_id("b")).unwrap().contract, contract_id("yamada"));
        index.apply(&login("b", "ito"));
        assert_eq!(*index.members(&contract_id("yamada")), [login_id("a")]);
        assert_eq!(*index.members(&contract_id("ito")), [login_id("b"), login_id("c")]);
        index.apply(&Change::NoLogin(login_id("a")));
        assert_eq!(index.membership(&login_id("a")), None);
        assert_eq!(index.sizes(), Sizes { contracts: 2, login_ids: 2, certificates: 0 });
        index.apply(&Change::NoContract(contract_id("ito")));
        assert_eq!(index.membership(&login_id("b")), None, "a contract without a row is none");
        assert_eq!(index.sizes().contracts, 1);
    }

    #[test]
    fn who_left_counts_until_the_end_of_that_day() {
        let former = vec![(login_id("a"), day("2026-11-02")), (login_id("b"), day("2026-11-02"))];
        let yamada = Contract { id: contract_id("yamada"), name: None, access: Access::Password, former };
        let index = index(&[Change::Put(Row::Contract(yamada)), login("b", "yamada"), login("c", "yamada")]);
        let membership = index.membership(&login_id("c")).unwrap();
        assert_eq!(*membership.counted_since(day("2026-11-02")), [login_id("b"), login_id("c"), login_id("a")]);
        assert_eq!(*membership.counted_since(day("2026-11-03")), [login_id("b"), login_id("c")]);
    }

    #[test]
    fn only_the_certificate_that_is_registered_for_the_login_id_is_its_own() {
        let (first, second) = (certificate("hanakodt", 1), certificate("hanakodt", 2));
        let hanako = login_id("hanakodt");
        let mut index = index(&[Change::Put(Row::Certificate(first.clone()))]);
        assert_eq!(index.registered(&first.sha256, &hanako), Registered::Active);
        assert_eq!(index.registered(&first.sha256, &login_id("Hanakodt")), Registered::Other);
        assert_eq!(index.registered(&second.sha256, &hanako), Registered::Other);
        assert_eq!(index.registered(&second.sha256, &login_id("tarokodt")), Registered::Never);
        index.apply(&Change::Put(Row::Certificate(Certificate { state: State::Retired, ..first.clone() })));
        assert_eq!(index.registered(&first.sha256, &hanako), Registered::Retired);
        assert_eq!(index.registered(&second.sha256, &hanako), Registered::Other, "one was registered once");
        index.apply(&Change::Put(Row::Certificate(second.clone())));
        assert_eq!(index.registered(&second.sha256, &hanako), Registered::Active);
        assert_eq!(index.registered(&first.sha256, &hanako), Registered::Retired);
        // As if two stores were put together.
        let newer = certificate("hanakodt", 3);
        let newer = Certificate { not_before: newer.not_before + 1, ..newer };
        index.apply(&Change::Put(Row::Certificate(newer.clone())));
        index.apply(&Change::Put(Row::Certificate(second.clone())));
        assert_eq!(index.registered(&newer.sha256, &hanako), Registered::Active);
        assert_eq!(index.registered(&second.sha256, &hanako), Registered::Other);
    }

    #[test]
    fn a_contract_switches_as_a_whole() {
        let from = Access::CertificateFrom(day("2026-12-01"));
        let mut index = index(&[
            contract("password", Access::Password),
            contract("certificate", Access::Certificate),
            contract("from", from),
            contract("first", Access::CertificateFromFirstIssue),
            login("a", "first"),
            login("b", "first"),
        ]);
        let demands = |index: &Index, id: &str, today: &str| index.demands_certificate(&contract_id(id), day(today));
        assert!(!demands(&index, "password", "2026-12-01"));
        assert!(demands(&index, "certificate", "2026-11-02"));
        assert!(!demands(&index, "from", "2026-11-30") && demands(&index, "from", "2026-12-01"));
        assert!(demands(&index, "unknown", "2026-12-01"));
        assert!(!demands(&index, "first", "2026-12-01"));
        index.apply(&Change::Put(Row::Certificate(certificate("b", 1))));
        assert!(demands(&index, "first", "2026-11-02"));
    }
}
