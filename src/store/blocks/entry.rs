//! One subject's entry, and its JSON: the same on disk and in the shared store.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::{ContractId, LoginId, Serial};

/// Who is shut out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The holder of the certificate with this serial, of whichever issuing CA.
    Serial(Serial),
    /// The customer of this login ID, with whatever certificate; compared byte for byte.
    LoginId(LoginId),
    /// Every login ID of this contract, those that it gets later too; without a registry, the login ID of that name.
    Contract(ContractId),
}

impl Subject {
    /// The label `kind` of `sekisho_blocks`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Serial(_) => "serial",
            Self::LoginId(_) => "login_id",
            Self::Contract(_) => "contract",
        }
    }

    /// The serial in hexadecimal, the login ID, or the contract.
    pub fn name(&self) -> String {
        match self {
            Self::Serial(serial) => serial.to_string(),
            Self::LoginId(login_id) => login_id.to_string(),
            Self::Contract(contract) => contract.to_string(),
        }
    }
}

/// `serial:0a1b`, `login_id:hanakodt`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.name())
    }
}

/// The reverse of what is displayed.
impl FromStr for Subject {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let subject = match text.split_once(':') {
            Some(("serial", hex)) => Serial::from_hex(hex).map(Self::Serial),
            Some(("login_id", id)) => LoginId::parse(id).map(Self::LoginId),
            Some(("contract", id)) => ContractId::parse(id).map(Self::Contract),
            Some(_) | None => None,
        };
        subject.ok_or(())
    }
}

/// What the latest act on a subject made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is shut out.
    Blocked,
    /// It was, and is not any more.
    Lifted,
}

impl State {
    /// The word that is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Lifted => "lifted",
        }
    }
}

/// An act that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// On whom.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// Who acted.
    pub operator: Box<str>,
    /// Why.
    pub reason: Box<str>,
}

/// The latest act on a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which act.
    pub act: Draft,
    /// What it made of the subject.
    pub state: State,
    /// Acts are numbered; of two on one subject the higher number holds.
    pub number: u64,
    /// Which process of which gateway numbered it: where a store that forgot its numbers has given one twice, it decides.
    pub process: Box<str>,
    /// The block's name; one that was lifted keeps it, so that it is known again.
    pub block: Box<str>,
    /// Done here only: the shared store does not know of it yet, and its number is provisional.
    pub awaits_store: bool,
}

impl Entry {
    /// Whether this act came after the other.
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.number, &self.process) > (other.number, &other.process)
    }

    /// Whether its subject is shut out.
    pub fn is_in_force(&self) -> bool {
        self.state == State::Blocked
    }

    /// The entry without its number: that is the store's to give.
    pub fn unnumbered(&self) -> String {
        json!({
            "subject": self.act.subject.to_string(),
            "state": self.state.word(),
            "process": &*self.process,
            "block": &*self.block,
            "at": self.act.at.to_string(),
            "operator": &*self.act.operator,
            "reason": &*self.act.reason,
        })
        .to_string()
    }

    /// Number and entry, as a line.
    pub fn line(&self) -> String {
        let mark = if self.awaits_store { "*" } else { "" };
        format!("{}{mark} {}", self.number, self.unnumbered())
    }

    /// Reads a line; `None` where it is none.
    pub fn read(line: &str) -> Option<Self> {
        let (number, entry) = line.split_once(' ')?;
        let (number, awaits_store) = number.strip_suffix('*').map_or((number, false), |number| (number, true));
        let entry: Value = serde_json::from_str(entry).ok()?;
        let text = |name: &str| entry[name].as_str();
        let state = match text("state")? {
            "blocked" => State::Blocked,
            "lifted" => State::Lifted,
            _ => return None,
        };
        let act = Draft {
            subject: text("subject")?.parse().ok()?,
            at: text("at")?.parse().ok()?,
            operator: text("operator")?.into(),
            reason: text("reason")?.into(),
        };
        let (process, block) = (text("process")?.into(), text("block")?.into());
        Some(Self { act, state, number: number.parse().ok()?, process, block, awaits_store })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An act of some gateway on a login ID.
    pub(in super::super) fn entry(login_id: &str, number: u64, state: State) -> Entry {
        let act = Draft {
            subject: Subject::LoginId(LoginId::parse(login_id).unwrap()),
            at: "2026-11-02T01:00:00Z".parse().unwrap(),
            operator: "hana (uid 1000)".into(),
            reason: "lost \"on\" the train".into(),
        };
        Entry { act, state, number, process: "p".into(), block: "b".into(), awaits_store: false }
    }

    #[test]
    fn an_entry_comes_back_from_its_line() {
        let blocked = entry("a:b\"c\\d~", 7, State::Blocked);
        let waiting = Entry { awaits_store: true, ..blocked.clone() };
        let serial = Draft { subject: "serial:0A:1b".parse().unwrap(), ..blocked.act.clone() };
        assert_eq!(serial.subject.to_string(), "serial:0a1b");
        for entry in [blocked, waiting, Entry { act: serial, ..entry("x", u64::MAX, State::Lifted) }] {
            assert_eq!(Entry::read(&entry.line()), Some(entry));
        }
    }

    #[test]
    fn what_is_no_line_is_not_read() {
        let good = entry("hanakodt", 7, State::Blocked).line();
        for bad in [
            good.replace("7 ", ""),
            good.replace("7 ", "-7 "),
            good.replace("blocked", "Blocked"),
            good.replace("login_id:", "company:"),
            good.replace("2026-11-02", "2026-13-02"),
            good.replace("reason", "because"),
            good[..good.len() - 1].to_owned(),
        ] {
            assert_eq!(Entry::read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn of_two_acts_with_one_number_all_gateways_hold_the_same_for_later() {
        let one = entry("hanakodt", 7, State::Blocked);
        let other = Entry { process: "q".into(), ..one.clone() };
        assert!(other.is_later_than(&one) && !one.is_later_than(&other) && !one.is_later_than(&one));
        assert!(entry("hanakodt", 8, State::Lifted).is_later_than(&other));
    }
}
