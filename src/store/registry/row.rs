//! What the registry holds, a row for each thing, and its line: the same on disk and in the shared store.
//!
//! A line's fields are parted by tabs, and none of them can hold one: names are visible ASCII, or text without control
//! characters.

use std::fmt;

use crate::domain::{ContractId, Fingerprint, JstDate, LoginId, Role, Serial};

/// By which entrance a contract's login IDs may come (MOD-01). All of them alike, also those that it gets later (ENR-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// By password, and by certificate whoever has one.
    #[default]
    Password,
    /// By certificate only.
    Certificate,
    /// By certificate only, from a day on.
    CertificateFrom(JstDate),
    /// By certificate only, as soon as one of its login IDs has had one.
    CertificateFromFirstIssue,
}

impl Access {
    /// Reads `password`, `certificate`, `certificate-from=2026-12-01` or `certificate-from=first-issue`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "password" => Some(Self::Password),
            "certificate" => Some(Self::Certificate),
            "certificate-from=first-issue" => Some(Self::CertificateFromFirstIssue),
            other => JstDate::parse(other.strip_prefix("certificate-from=")?).map(Self::CertificateFrom),
        }
    }
}

/// The reverse of [`Access::parse`].
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("password"),
            Self::Certificate => f.write_str("certificate"),
            Self::CertificateFrom(day) => write!(f, "certificate-from={day}"),
            Self::CertificateFromFirstIssue => f.write_str("certificate-from=first-issue"),
        }
    }
}

/// A name for people: 1 to 200 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Box<str>);

impl Name {
    const MAX_CHARACTERS: usize = 200;

    /// Reads a name; `None` where it is empty, too long, begins or ends with a blank, or holds a control character.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.chars().count() <= Self::MAX_CHARACTERS && text.trim() == text;
        (fits && !text.contains(char::is_control)).then(|| Self(text.into()))
    }

    /// What can be kept of a text that somebody else chose.
    pub fn of_any(text: &str) -> Self {
        let kept: String = text.chars().filter(|letter| !letter.is_control()).take(Self::MAX_CHARACTERS).collect();
        Self::parse(kept.trim()).unwrap_or_else(|| Self("-".into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A company, or a sole proprietor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The institution's name for it.
    pub id: ContractId,
    /// What people call it.
    pub name: Option<Name>,
    /// By which entrance its login IDs may come.
    pub access: Access,
    /// Login IDs that it had, and the day on which each left: what they moved that day still counts here.
    pub former: Vec<(LoginId, JstDate)>,
}

/// A login ID of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Which.
    pub id: LoginId,
    /// Whose.
    pub contract: ContractId,
    /// What it may do.
    pub role: Role,
}

/// Whether a certificate is the one of its login ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Active,
    /// It was: another has taken its place, or an operator has ended it.
    Retired,
}

impl State {
    /// The word in files and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    /// Reads the word; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Retired].into_iter().find(|state| state.word() == text)
    }
}

/// A customer's certificate, as it was registered (TLS-09).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The hash of all of it: what a visitor's certificate is compared by.
    pub sha256: Fingerprint,
    /// Its number at its issuer.
    pub serial: Serial,
    /// Its issuer's distinguished name, for people.
    pub issuer: Name,
    /// Whose it is.
    pub login_id: LoginId,
    /// When it begins, in seconds since 1970.
    pub not_before: i64,
    /// When it ends.
    pub not_after: i64,
    /// Whether it is the one of its login ID.
    pub state: State,
}

/// What a row is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A contract.
    Contract(ContractId),
    /// A login ID's place in its contract.
    Login(LoginId),
    /// A certificate: by its login ID first, so that lists are in the order of login IDs.
    Certificate(LoginId, Fingerprint),
}

/// One thing that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A contract.
    Contract(Contract),
    /// A login ID's place in its contract.
    Login(Login),
    /// A certificate.
    Certificate(Certificate),
}

/// What becomes of a row. A certificate's never goes: who has had one is known for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is so from now on.
    Put(Row),
    /// There is no such contract any more.
    NoContract(ContractId),
    /// The login ID is in no contract any more.
    NoLogin(LoginId),
}

impl Row {
    /// What it is found by.
    pub fn key(&self) -> Key {
        match self {
            Self::Contract(contract) => Key::Contract(contract.id.clone()),
            Self::Login(login) => Key::Login(login.id.clone()),
            Self::Certificate(certificate) => Key::Certificate(certificate.login_id.clone(), certificate.sha256),
        }
    }
}

impl Change {
    /// Which row it is about.
    pub fn key(&self) -> Key {
        match self {
            Self::Put(row) => row.key(),
            Self::NoContract(id) => Key::Contract(id.clone()),
            Self::NoLogin(id) => Key::Login(id.clone()),
        }
    }

    /// The change as a line without its end.
    pub fn line(&self) -> String {
        match self {
            Self::Put(Row::Contract(Contract { id, name, access, former })) => {
                let name = name.as_ref().map_or("", Name::as_str);
                let former: Vec<String> = former.iter().map(|(id, day)| format!("{id} {day}")).collect();
                format!("contract\t{id}\t{name}\t{access}\t{}", former.join(" "))
            }
            Self::Put(Row::Login(Login { id, contract, role })) => format!("login\t{id}\t{contract}\t{role}"),
            Self::Put(Row::Certificate(certificate)) => {
                let Certificate { sha256, serial, issuer, login_id, not_before, not_after, state } = certificate;
                let (issuer, state) = (issuer.as_str(), state.word());
                format!("certificate\t{login_id}\t{sha256}\t{serial}\t{issuer}\t{not_before}\t{not_after}\t{state}")
            }
            Self::NoContract(id) => format!("no-contract\t{id}"),
            Self::NoLogin(id) => format!("no-login\t{id}"),
        }
    }

    /// The reverse; `None` where it is no such line.
    pub fn read(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (kind, name) = (fields.next()?, fields.next()?);
        let change = match kind {
            "contract" => {
                let text = fields.next()?;
                let text = if text.is_empty() { None } else { Some(Name::parse(text)?) };
                let access = Access::parse(fields.next()?)?;
                let former = read_former(fields.next()?)?;
                Self::Put(Row::Contract(Contract { id: ContractId::parse(name)?, name: text, access, former }))
            }
            "login" => {
                let (contract, role) = (ContractId::parse(fields.next()?)?, Role::parse(fields.next()?)?);
                Self::Put(Row::Login(Login { id: LoginId::parse(name)?, contract, role }))
            }
            "certificate" => Self::Put(Row::Certificate(Certificate {
                login_id: LoginId::parse(name)?,
                sha256: Fingerprint::from_hex(fields.next()?)?,
                serial: Serial::from_hex(fields.next()?)?,
                issuer: Name::parse(fields.next()?)?,
                not_before: fields.next()?.parse().ok()?,
                not_after: fields.next()?.parse().ok()?,
                state: State::parse(fields.next()?)?,
            })),
            "no-contract" => Self::NoContract(ContractId::parse(name)?),
            "no-login" => Self::NoLogin(LoginId::parse(name)?),
            _ => return None,
        };
        fields.next().is_none().then_some(change)
    }
}

fn read_former(text: &str) -> Option<Vec<(LoginId, JstDate)>> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let mut former = Vec::new();
    while let Some(id) = words.next() {
        former.push((LoginId::parse(id)?, JstDate::parse(words.next()?)?));
    }
    Some(former)
}

#[cfg(test)]
pub(in crate::store) mod tests {
    use super::*;

    pub(in crate::store) fn login_id(text: &str) -> LoginId {
        LoginId::parse(text).unwrap()
    }

    pub(in crate::store) fn contract_id(text: &str) -> ContractId {
        ContractId::parse(text).unwrap()
    }

    pub(in crate::store) fn certificate(login_id: &str, tag: u8) -> Certificate {
        Certificate {
            sha256: Fingerprint::of(&[tag]),
            serial: Serial::from_der_content(&[1, tag]).unwrap(),
            issuer: Name::parse("CN=Oozora CA, O=大空信用組合").unwrap(),
            login_id: LoginId::parse(login_id).unwrap(),
            not_before: 1_700_000_000,
            not_after: 1_800_000_000,
            state: State::Active,
        }
    }

    #[test]
    fn a_change_comes_back_from_its_line() {
        let contract = Contract {
            id: contract_id("yamada=1,2"),
            name: Name::parse("山田商店 (本店)"),
            access: Access::CertificateFrom(JstDate::parse("2026-12-01").unwrap()),
            former: vec![(login_id("a,b=c"), JstDate::parse("2026-11-02").unwrap()), (login_id("-"), JstDate::MIN)],
        };
        let plain = Contract { name: None, access: Access::Password, former: Vec::new(), ..contract.clone() };
        let login = Login { id: login_id("hanakodt"), contract: contract.id.clone(), role: Role::Approver };
        let retired = Certificate { state: State::Retired, not_before: -1, ..certificate("han~kodt", 9) };
        let changes = [
            Change::NoContract(contract.id.clone()),
            Change::NoLogin(login.id.clone()),
            Change::Put(Row::Contract(contract)),
            Change::Put(Row::Contract(plain)),
            Change::Put(Row::Login(login)),
            Change::Put(Row::Certificate(retired)),
            Change::Put(Row::Certificate(certificate("x", 1))),
        ];
        for change in changes {
            let line = change.line();
            assert_eq!(Change::read(&line), Some(change), "{line}");
            assert!(!line.contains('\n'));
            // What was cut off, or is followed by more, is no line.
            let last = line.rfind('\t').unwrap();
            assert_eq!(Change::read(&line[..last]), None, "{line}");
            assert_eq!(Change::read(&format!("{line}\tx")), None, "{line}");
        }
    }

    #[test]
    fn access_is_read_as_it_is_written() {
        for text in ["password", "certificate", "certificate-from=2026-12-01", "certificate-from=first-issue"] {
            assert_eq!(Access::parse(text).map(|access| access.to_string()), Some(text.to_owned()));
        }
        for bad in ["", "Password", "certificate-from=", "certificate-from=2026-13-01", "certificate-from", "both"] {
            assert_eq!(Access::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_is_text_without_control_characters() {
        assert!(Name::parse("山田商店").is_some());
        assert_eq!(Name::of_any(" CN=a\tb "), Name("CN=ab".into()));
        assert_eq!(Name::of_any("\n"), Name("-".into()));
        for bad in ["", " ", " a", "a ", "a\tb", "a\nb", "\u{85}", &"x".repeat(201)] {
            assert_eq!(Name::parse(bad), None, "{bad:?}");
        }
    }
}
