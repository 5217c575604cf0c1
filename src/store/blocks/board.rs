//! The set in force, as every judgement sees it, and until when it is known to be the one that gateways share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::entry::{Entry, Subject};
use crate::domain::{ContractId, LoginId, Serial};
use crate::store::known::Known;

/// Who is shut out at one moment. Never changed, only replaced.
#[derive(Debug, Default)]
pub struct Blocks {
    generation: u64,
    serials: HashSet<Serial>,
    login_ids: HashSet<LoginId>,
    contracts: HashSet<ContractId>,
}

impl Blocks {
    fn new<'a>(generation: u64, entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut blocks = Self { generation, ..Self::default() };
        for entry in entries.filter(|entry| entry.is_in_force()) {
            match &entry.act.subject {
                Subject::Serial(serial) => drop(blocks.serials.insert(serial.clone())),
                Subject::LoginId(login_id) => drop(blocks.login_ids.insert(login_id.clone())),
                Subject::Contract(contract) => drop(blocks.contracts.insert(contract.clone())),
            }
        }
        blocks
    }

    /// Which of the sets that were published this is.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a customer is shut out: by the certificate, altogether, or with all of the contract.
    pub fn bar(&self, serial: Option<&Serial>, login_id: &LoginId, contract: &ContractId) -> bool {
        self.login_ids.contains(login_id)
            || self.contracts.contains(contract)
            || serial.is_some_and(|serial| self.serials.contains(serial))
    }

    /// Whether a contract is shut out.
    pub fn bar_contract(&self, contract: &ContractId) -> bool {
        self.contracts.contains(contract)
    }

    /// How many are in force, by the label `kind`.
    pub fn counts(&self) -> [(&'static str, usize); 3] {
        [("serial", self.serials.len()), ("login_id", self.login_ids.len()), ("contract", self.contracts.len())]
    }
}

/// Where the set in force is published.
#[derive(Debug)]
pub struct Board {
    blocks: ArcSwap<Blocks>,
    generation: AtomicU64,
    /// Where gateways share it; a gateway alone knows it always.
    known: Known,
}

impl Board {
    /// The board of a set that nobody has looked for in the shared store yet, where it `is_shared`.
    pub(super) fn new<'a>(entries: impl Iterator<Item = &'a Entry>, is_shared: bool) -> Self {
        let (blocks, known) = (ArcSwap::from_pointee(Blocks::new(1, entries)), Known::new(is_shared));
        Self { blocks, generation: AtomicU64::new(1), known }
    }

    /// The set in force.
    pub fn blocks(&self) -> Arc<Blocks> {
        self.blocks.load_full()
    }

    /// Which set is in force: one atomic load.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the set is the one that the gateways share, as of a second ago at most.
    pub fn is_known(&self) -> bool {
        self.known.is_known()
    }

    /// The set is the shared one, as of a look that was begun at `at`.
    pub fn confirm(&self, at: Instant) {
        self.known.confirm(at);
    }

    /// Replaces the set. One at a time: the keeper sees to that.
    pub(super) fn publish<'a>(&self, entries: impl Iterator<Item = &'a Entry>) {
        let generation = self.generation() + 1;
        // The set first: whoever sees the new generation finds no older set.
        self.blocks.store(Arc::new(Blocks::new(generation, entries)));
        self.generation.store(generation, Ordering::Release);
    }
}

/// The board of a gateway alone, on which nobody stands.
impl Default for Board {
    fn default() -> Self {
        Self::new([].iter(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blocks::entry::tests::entry;
    use crate::store::blocks::{Draft, State};

    #[test]
    fn serials_and_login_ids_bar_each_for_itself() {
        let blocked = entry("hanakodt", 1, State::Blocked);
        let serial =
            Entry { act: Draft { subject: "serial:80".parse().unwrap(), ..blocked.act.clone() }, ..blocked.clone() };
        let lifted = entry("tarokodt", 2, State::Lifted);
        let contract = Entry {
            act: Draft { subject: "contract:yamada".parse().unwrap(), ..blocked.act.clone() },
            ..blocked.clone()
        };
        let blocks = Blocks::new(1, [blocked, serial, lifted, contract].iter());
        let (yamada, ito) = (ContractId::parse("yamada").unwrap(), ContractId::parse("ito").unwrap());
        let id = |text: &str| LoginId::parse(text).unwrap();
        let number = |text: &str| Serial::from_hex(text).unwrap();
        assert!(blocks.bar(None, &id("hanakodt"), &ito));
        assert!(!blocks.bar(Some(&number("8000")), &id("Hanakodt"), &ito));
        assert!(blocks.bar(Some(&number("0080")), &id("jirokodt"), &ito));
        assert!(!blocks.bar(Some(&number("81")), &id("tarokodt"), &ito));
        assert!(blocks.bar(None, &id("tarokodt"), &yamada));
        assert_eq!(blocks.counts(), [("serial", 1), ("login_id", 1), ("contract", 1)]);
    }
}
