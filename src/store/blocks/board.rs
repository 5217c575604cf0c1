//! The set in force, as every judgement sees it, and until when it is known to be the one that gateways share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::entry::{Entry, Subject};
use crate::domain::{ContractId, LoginId, Serial};

/// Without a look at the shared store for so long, nobody's standing is known (TLS-18, DESIGN 4.9).
const KNOWN_FOR: Duration = Duration::from_secs(1);

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
    known: Option<Known>,
}

/// Until when the set is known to be the shared one: milliseconds since `began`.
#[derive(Debug)]
struct Known {
    began: Instant,
    until: AtomicU64,
}

impl Board {
    /// The board of a set that nobody has looked for in the shared store yet, where it `is_shared`.
    pub(super) fn new<'a>(entries: impl Iterator<Item = &'a Entry>, is_shared: bool) -> Self {
        let known = is_shared.then(|| Known { began: Instant::now(), until: AtomicU64::new(0) });
        Self { blocks: ArcSwap::from_pointee(Blocks::new(1, entries)), generation: AtomicU64::new(1), known }
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
        self.known.as_ref().is_none_or(|known| known.now() < known.until.load(Ordering::Acquire))
    }

    /// The set is the shared one, as of a look that was begun at `at`.
    pub fn confirm(&self, at: Instant) {
        if let Some(known) = &self.known {
            let until = known.at(at + KNOWN_FOR);
            known.until.fetch_max(until, Ordering::AcqRel);
        }
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

impl Known {
    fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
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

    #[test]
    fn what_is_shared_is_known_for_a_second_after_a_look_began() {
        assert!(Board::new([].iter(), false).is_known());
        let board = Board::new([].iter(), true);
        assert!(!board.is_known(), "before the first look");
        board.confirm(Instant::now());
        assert!(board.is_known());
        let late = Board::new([].iter(), true);
        if let Some(long_ago) = Instant::now().checked_sub(KNOWN_FOR) {
            late.confirm(long_ago);
        }
        assert!(!late.is_known(), "an answer that took a second is too old");
    }
}
