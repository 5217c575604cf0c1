//! The transfers that are not settled for good, and what they hold on to.
//!
//! A reserved transfer takes up room among those in flight. Reserved and unknown ones lock the entry that they commit,
//! and keep their token taken: as long as nobody knows whether the application executed the first commit, a second
//! one of the same kind could be its twin. An unknown one lets go when an operator has said how it ended.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::record::Record;
use crate::domain::{ContractId, LoginId, TransferId};
use crate::store::ledger::{Counts, EntryKey, Place, State};

/// Every reserved and every unknown transfer.
#[derive(Debug, Default)]
pub(super) struct OpenTransfers {
    by_id: HashMap<TransferId, (Place, Record)>,
    login_ids: HashMap<LoginId, u32>,
    contracts: HashMap<ContractId, u32>,
    tokens: HashMap<ContractId, Vec<EntryKey>>,
    locked: HashMap<EntryKey, u32>,
    counts: Counts,
    /// Reserved since the file was opened, and asked for once: if that one has gone, nobody forwards it.
    asked_once: HashSet<TransferId>,
}

impl OpenTransfers {
    /// Takes in a transfer that was reserved just now.
    pub fn reserve(&mut self, place: Place, record: Record) {
        self.asked_once.insert(record.transfer.id);
        self.insert(place, record);
    }

    /// A transfer was asked for a second time, and that answer may have been heard.
    pub fn asked_again(&mut self, id: TransferId) {
        self.asked_once.remove(&id);
    }

    /// Whether a transfer is forwarded by nobody, once the one who asked for it has gone.
    pub fn was_asked_once(&self, id: TransferId) -> bool {
        self.asked_once.contains(&id)
    }

    /// One of them.
    pub fn get(&self, id: TransferId) -> Option<&(Place, Record)> {
        self.by_id.get(&id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.by_id.values().map(|(_, record)| record)
    }

    /// How many there are.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Reserved by a login ID.
    pub fn in_flight_of(&self, login_id: &LoginId) -> u32 {
        self.login_ids.get(login_id).copied().unwrap_or(0)
    }

    /// Reserved by a contract.
    pub fn in_flight_within(&self, contract: &ContractId) -> u32 {
        self.contracts.get(contract).copied().unwrap_or(0)
    }

    /// Whether a commit with this token may still be on its way.
    pub fn holds_token(&self, contract: &ContractId, token: &EntryKey) -> bool {
        self.tokens.get(contract).is_some_and(|taken| taken.contains(token))
    }

    /// Whether a commit of this entry may still be on its way.
    pub fn locks(&self, entry: &EntryKey) -> bool {
        self.locked.contains_key(entry)
    }

    /// Takes a transfer in, if it is open.
    pub fn insert(&mut self, place: Place, record: Record) {
        let transfer = &record.transfer;
        match transfer.state {
            State::Reserved => {
                self.counts.reserved += 1;
                count_up(&mut self.login_ids, &transfer.login_id);
                count_up(&mut self.contracts, &transfer.contract);
            }
            State::Unknown => self.counts.unknown += 1,
            State::Committed | State::Released => return,
        }
        if let Some(entry) = &record.entry {
            count_up(&mut self.locked, entry);
        }
        if let Some(token) = record.token {
            self.tokens.entry(transfer.contract.clone()).or_default().push(token);
        }
        self.by_id.insert(transfer.id, (place, record));
    }

    /// Takes a transfer out, with all that it holds on to.
    pub fn remove(&mut self, id: TransferId) -> Option<(Place, Record)> {
        let (place, record) = self.by_id.remove(&id)?;
        self.asked_once.remove(&id);
        let transfer = &record.transfer;
        match transfer.state {
            State::Reserved => {
                self.counts.reserved -= 1;
                count_down(&mut self.login_ids, &transfer.login_id);
                count_down(&mut self.contracts, &transfer.contract);
            }
            State::Unknown => self.counts.unknown -= 1,
            // `insert` takes none of these.
            State::Committed | State::Released => {}
        }
        if let Some(entry) = &record.entry {
            count_down(&mut self.locked, entry);
        }
        if let Some(token) = &record.token
            && let Some(taken) = self.tokens.get_mut(&transfer.contract)
        {
            if let Some(at) = taken.iter().position(|other| other == token) {
                taken.swap_remove(at);
            }
            if taken.is_empty() {
                self.tokens.remove(&transfer.contract);
            }
        }
        Some((place, record))
    }
}

fn count_up<K: Clone + Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.clone(), 1)),
    }
}

fn count_down<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
