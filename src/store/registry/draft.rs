//! What operators change in the registry, decided here and kept by [`Registry`](super::Registry): all of an act, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::file::Shelf;
use super::index::{Index, Registered};
use super::row::{Access, Certificate, Change, Contract, Key, Login, Name, Row, State};
use crate::domain::{ContractId, Fingerprint, JstDate, LoginId, Role};
use crate::store::blocks::Blocks;
use crate::store::database::Failure;

/// The most login IDs that one contract may have: each transfer adds up the sums of all of them.
pub const MOST_MEMBERS: usize = 1_000;

/// Orders can be dated 400 days ahead, and count a day longer where they began before midnight: until they are over it is known
/// who left a contract.
const REMEMBERED_DAYS: i32 = 402;

/// Why the registry is not changed. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// It is not known.
    #[error("there is no contract {0}")]
    NoContract(ContractId),
    /// The login ID is nobody's.
    #[error("no contract has the login ID {0}")]
    NoLogin(LoginId),
    /// No such certificate is registered.
    #[error("no certificate with the SHA-256 {0} is registered")]
    NoCertificate(Fingerprint),
    /// It is there.
    #[error("there is a contract {0} already")]
    ContractExists(ContractId),
    /// Login IDs would be nobody's.
    #[error("the contract {0} still has {1} login IDs")]
    HasLogins(ContractId, usize),
    /// What they moved would not count any more.
    #[error(
        "the contract {0} had login IDs until {1}, and orders of theirs may count for {REMEMBERED_DAYS} days: it stays until then, without login IDs"
    )]
    HadLogins(ContractId, JstDate),
    /// The login ID is another contract's.
    #[error("the login ID {login_id} belongs to the contract {contract}")]
    Elsewhere {
        /// Which.
        login_id: LoginId,
        /// Whose.
        contract: ContractId,
    },
    /// The contract has as many as it may.
    #[error("the contract {0} has {MOST_MEMBERS} login IDs, and no contract may have more")]
    TooManyLogins(ContractId),
    /// The certificate is another login ID's.
    #[error("the certificate is registered for the login ID {0}")]
    AnotherOwner(LoginId),
    /// One login ID has one certificate (ENR-04).
    #[error("the login ID {login_id} has the certificate with the SHA-256 {sha256}, which has not ended")]
    HasCertificate {
        /// Whose.
        login_id: LoginId,
        /// The one that it has.
        sha256: Fingerprint,
    },
    /// It is not the login ID's certificate any more.
    #[error("the certificate is retired already")]
    RetiredAlready,
    /// It was the login ID's certificate, and was ended.
    #[error("the certificate was retired")]
    WasRetired,
    /// Who left it would not be shut out any more.
    #[error("the contract {0} is blocked: lift the block first")]
    Blocked(ContractId),
    /// A file with mistakes; the text says in which lines.
    #[error("{0}")]
    Mistaken(String),
    /// The store was asked, and nobody heard what became of it.
    #[error("the store was asked, and its answer was not heard; look whether it was done before you try again: {0}")]
    Unheard(String),
    /// The disk does not take part.
    #[error("the registry cannot be read or written: {0}")]
    Unkept(String),
}

impl From<Failure> for ActError {
    fn from(failure: Failure) -> Self {
        Self::Unkept(failure.to_string())
    }
}

/// The registry as it would be after an act.
#[derive(Debug)]
pub struct Draft<'a> {
    pub(super) index: Index,
    pub(super) changes: Vec<Change>,
    /// Certificates that the act has changed.
    certificates: HashMap<Fingerprint, Certificate>,
    shelf: &'a Shelf,
    /// Who is shut out, where that is asked.
    blocks: Option<Arc<Blocks>>,
    now: Timestamp,
}

/// What an act did to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was not there.
    Added,
    /// It was otherwise.
    Changed,
    /// It was so already.
    Unchanged,
}

impl<'a> Draft<'a> {
    pub(super) fn new(index: Index, shelf: &'a Shelf, now: Timestamp) -> Self {
        Self { index, changes: Vec::new(), certificates: HashMap::new(), shelf, blocks: None, now }
    }

    /// The registry as the act has left it so far.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// A contract that is new.
    ///
    /// # Errors
    /// There is one of that name.
    pub fn add_contract(&mut self, id: ContractId, name: Option<Name>, access: Access) -> Result<(), ActError> {
        if self.index.contract(&id).is_some() {
            return Err(ActError::ContractExists(id));
        }
        self.put(Row::Contract(Contract { id, name, access, former: Vec::new() }));
        Ok(())
    }

    /// A contract as a file has it: what the file does not say stays as it is.
    pub fn put_contract(&mut self, id: ContractId, name: Option<Name>, access: Option<Access>) -> Done {
        let Some(known) = self.index.contract(&id).cloned() else {
            self.put(Row::Contract(Contract { id, name, access: access.unwrap_or_default(), former: Vec::new() }));
            return Done::Added;
        };
        let (name, access) = (name.or_else(|| known.name.clone()), access.unwrap_or(known.access));
        if (&name, access) == (&known.name, known.access) {
            return Done::Unchanged;
        }
        self.put(Row::Contract(Contract { name, access, ..Contract::clone(&known) }));
        Done::Changed
    }

    /// The same of one that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn change_contract(
        &mut self,
        id: ContractId,
        name: Option<Name>,
        access: Option<Access>,
    ) -> Result<Done, ActError> {
        match self.index.contract(&id) {
            Some(_) => Ok(self.put_contract(id, name, access)),
            None => Err(ActError::NoContract(id)),
        }
    }

    /// Takes a contract away that has no login IDs.
    ///
    /// # Errors
    /// There is none, or it has some, or had some so lately that orders of theirs may still count.
    pub fn remove_contract(&mut self, id: ContractId) -> Result<(), ActError> {
        let contract = self.index.contract(&id).ok_or_else(|| ActError::NoContract(id.clone()))?;
        let (members, today) = (self.index.members(&id).len(), JstDate::of(self.now));
        if members > 0 {
            return Err(ActError::HasLogins(id, members));
        }
        let oldest = today.plus_days(-REMEMBERED_DAYS);
        if let Some(day) = contract.former.iter().map(|(_, day)| *day).max().filter(|day| *day >= oldest) {
            return Err(ActError::HadLogins(id, day));
        }
        self.change(Change::NoContract(id));
        Ok(())
    }

    /// A login ID of a contract, with its role. One of another contract is moved where that is allowed: what it moved today
    /// still counts there, and here too (LIM-36).
    ///
    /// # Errors
    /// There is no such contract, it has too many, or the login ID is another contract's.
    pub fn put_login(&mut self, login: Login, may_move: bool) -> Result<Done, ActError> {
        if self.index.contract(&login.contract).is_none() {
            return Err(ActError::NoContract(login.contract));
        }
        let place = self.index.place(&login.id).map(|(contract, role)| (contract.clone(), role));
        let done = match place {
            Some((contract, role)) if contract == login.contract && role == login.role => return Ok(Done::Unchanged),
            Some((contract, _)) if contract == login.contract => Done::Changed,
            Some((contract, _)) if !may_move => return Err(ActError::Elsewhere { login_id: login.id, contract }),
            Some((contract, _)) => {
                self.may_leave(&contract)?;
                self.remember_leaving(&contract, &login.id);
                Done::Changed
            }
            None => Done::Added,
        };
        let members = self.index.members(&login.contract);
        if members.len() >= MOST_MEMBERS && !members.contains(&login.id) {
            return Err(ActError::TooManyLogins(login.contract));
        }
        self.put(Row::Login(login));
        Ok(done)
    }

    /// Takes a login ID out of its contract: it may come, and move no money.
    ///
    /// # Errors
    /// It is in none.
    pub fn remove_login(&mut self, id: LoginId) -> Result<(ContractId, Role), ActError> {
        let place = self.index.place(&id).map(|(contract, role)| (contract.clone(), role));
        let (contract, role) = place.ok_or_else(|| ActError::NoLogin(id.clone()))?;
        self.may_leave(&contract)?;
        self.remember_leaving(&contract, &id);
        self.change(Change::NoLogin(id));
        Ok((contract, role))
    }

    /// Registers a certificate, as it is given. One login ID has one that is active: another one's end must have come, or be
    /// meant (`supersede`).
    ///
    /// # Errors
    /// The login ID has another, or the certificate is another login ID's.
    pub fn register(&mut self, certificate: Certificate, supersede: bool) -> Result<Done, ActError> {
        let Certificate { sha256, ref login_id, state, .. } = certificate;
        let done = match self.index.owner(&sha256) {
            Some(owner) if owner != login_id => return Err(ActError::AnotherOwner(owner.clone())),
            Some(_) if self.certificate(&sha256)?.as_ref() == Some(&certificate) => return Ok(Done::Unchanged),
            Some(_) => Done::Changed,
            None => Done::Added,
        };
        if state == State::Active {
            if done == Done::Changed && !supersede && !self.index.all_active(login_id).contains(&sha256) {
                return Err(ActError::WasRetired);
            }
            for other in self.index.all_active(login_id).into_iter().filter(|active| *active != sha256) {
                let other = self.certificate(&other)?.ok_or(ActError::NoCertificate(other))?;
                if !supersede && other.not_after >= self.now.as_second() {
                    let login_id = login_id.clone();
                    return Err(ActError::HasCertificate { login_id, sha256: other.sha256 });
                }
                self.put(Row::Certificate(Certificate { state: State::Retired, ..other }));
            }
        }
        if state == State::Retired {
            self.end_others(login_id, sha256)?;
        }
        self.put(Row::Certificate(certificate));
        Ok(done)
    }

    /// Where the one in force ends, none takes its place: of several that are active, which only stores that were put together
    /// have.
    fn end_others(&mut self, login_id: &LoginId, ending: Fingerprint) -> Result<(), ActError> {
        if self.index.active(login_id) != Some(ending) {
            return Ok(());
        }
        for other in self.index.all_active(login_id).into_iter().filter(|active| *active != ending) {
            let other = self.certificate(&other)?.ok_or(ActError::NoCertificate(other))?;
            self.put(Row::Certificate(Certificate { state: State::Retired, ..other }));
        }
        Ok(())
    }

    /// The certificate with which a login ID comes that has never had one becomes its own (TLS-09).
    ///
    /// # Errors
    /// It has had another.
    pub fn learn(&mut self, certificate: Certificate) -> Result<Done, ActError> {
        match self.index.registered(&certificate.sha256, &certificate.login_id) {
            Registered::Active => Ok(Done::Unchanged),
            Registered::Never => self.register(certificate, false),
            Registered::Retired => Err(ActError::RetiredAlready),
            Registered::Other => Err(match self.index.active(&certificate.login_id) {
                Some(sha256) => ActError::HasCertificate { login_id: certificate.login_id, sha256 },
                None => ActError::RetiredAlready,
            }),
        }
    }

    /// Ends a certificate: its login ID has none then.
    ///
    /// # Errors
    /// There is none such, or it has been ended.
    pub fn retire(&mut self, sha256: Fingerprint) -> Result<Certificate, ActError> {
        let known = self.certificate(&sha256)?.ok_or(ActError::NoCertificate(sha256))?;
        if known.state == State::Retired {
            return Err(ActError::RetiredAlready);
        }
        self.end_others(&known.login_id, sha256)?;
        let retired = Certificate { state: State::Retired, ..known };
        self.put(Row::Certificate(retired.clone()));
        Ok(retired)
    }

    /// A certificate that is registered, as the act has left it.
    ///
    /// # Errors
    /// The disk does not take part.
    pub fn certificate(&self, sha256: &Fingerprint) -> Result<Option<Certificate>, ActError> {
        if let Some(changed) = self.certificates.get(sha256) {
            return Ok(Some(changed.clone()));
        }
        let Some(owner) = self.index.owner(sha256) else { return Ok(None) };
        let row = self.shelf.get(&Key::Certificate(owner.clone(), *sha256))?;
        Ok(row.and_then(|row| match row.change {
            Change::Put(Row::Certificate(certificate)) => Some(certificate),
            Change::Put(_) | Change::NoContract(_) | Change::NoLogin(_) => None,
        }))
    }

    /// Refuses to let login IDs out of contracts that are shut out.
    pub fn respect(&mut self, blocks: Arc<Blocks>) {
        self.blocks = Some(blocks);
    }

    fn may_leave(&self, contract: &ContractId) -> Result<(), ActError> {
        let is_blocked = self.blocks.as_ref().is_some_and(|blocks| blocks.bar_contract(contract));
        if is_blocked { Err(ActError::Blocked(contract.clone())) } else { Ok(()) }
    }

    fn remember_leaving(&mut self, contract: &ContractId, id: &LoginId) {
        let Some(known) = self.index.contract(contract) else { return };
        let today = JstDate::of(self.now);
        let oldest = today.plus_days(-REMEMBERED_DAYS);
        let mut former: Vec<_> =
            known.former.iter().filter(|(other, day)| other != id && *day >= oldest).cloned().collect();
        former.push((id.clone(), today));
        self.put(Row::Contract(Contract { former, ..Contract::clone(known) }));
    }

    fn put(&mut self, row: Row) {
        if let Row::Certificate(certificate) = &row {
            self.certificates.insert(certificate.sha256, certificate.clone());
        }
        self.change(Change::Put(row));
    }

    fn change(&mut self, change: Change) {
        self.index.apply(&change);
        self.changes.push(change);
    }
}
