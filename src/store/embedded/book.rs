//! The ledger's state in memory, and each verb: decided here, written to the tables of the running transaction.
//!
//! A verb that fails halfway leaves memory and tables apart; the writer then throws both away and reads the file
//! again. Nothing here answers anybody: answers leave after the transaction is durable.
//!
//! Invariant: a sum in the file is never less than what the transfers that count in it add up to.

use std::collections::HashMap;

use jiff::Timestamp;

use super::entries::Entries;
use super::open::OpenTransfers;
use super::record::Record;
use super::shelf::{Shelf, Standing};
use super::sums::Sums;
use crate::domain::{ContractId, JstDate, TransferId, Yen};
use crate::store::database::Failure;
use crate::store::ledger::{
    Claim, Counts, Debit, Decision, Denied, Entered, Entry, Grant, Mark, Mode, Order, Place, ReconcileError,
    Settlement, State, StoreError, Transfer, Verdict,
};

/// How much of the past is looked through in one transaction.
const PRUNED_AT_ONCE: usize = 1_000;

/// The ledger's state.
#[derive(Debug)]
pub(super) struct Book {
    /// What is true of the store as a whole.
    pub(super) standing: Standing,
    /// The same as the file has it.
    stored: Standing,
    /// Reserved and unknown transfers.
    pub(super) open: OpenTransfers,
    pub(super) entries: Entries,
    pub(super) sums: Sums,
    own_limits: HashMap<ContractId, Option<Yen>>,
    retention_days: i32,
    /// The last day that has ended, until what is too old then is known.
    ended: Option<JstDate>,
    pruning: Option<Pruning>,
}

/// How far the past is cut off.
#[derive(Debug)]
struct Pruning {
    before: JstDate,
    transfers: Option<Place>,
    sums: bool,
}

/// What became of an order.
#[derive(Debug)]
pub(super) struct Reserved {
    /// The answer.
    pub answer: Result<Decision, StoreError>,
    /// Whether it is on record only since now.
    pub is_new: bool,
}

impl Book {
    /// The state in the file.
    pub fn load(shelf: &Shelf<'_>, retention_days: i32) -> Result<Self, Failure> {
        let standing = shelf.standing()?;
        let mut open = OpenTransfers::default();
        for (place, record) in shelf.open_transfers()? {
            open.insert(place, record);
        }
        let (entries, sums, own_limits) = (Entries::load(shelf)?, Sums::default(), HashMap::new());
        let stored = standing.clone();
        Ok(Self { standing, stored, open, entries, sums, own_limits, retention_days, ended: None, pruning: None })
    }

    /// Decides an order, and reserves what it moves.
    pub fn reserve(&mut self, shelf: &mut Shelf<'_>, order: &Order) -> Result<Reserved, Failure> {
        let old = |answer| Ok(Reserved { answer, is_new: false });
        if let Err(error) = self.accepted() {
            return old(Err(error));
        }
        // Such an order would be granted without counting anywhere.
        if order.debits.is_empty() {
            return old(Err(StoreError::Unavailable("the order counts against no day".into())));
        }
        if let Some(answer) = self.known(shelf, order)? {
            self.open.asked_again(order.id);
            return old(Ok(answer));
        }
        let amount = self.amount(order);
        let denied = self.denial(shelf, order, amount)?;
        let would_deny = match (denied, order.mode) {
            (Some(denied), Mode::Enforce) => return old(Ok(Decision::Denied(denied))),
            (denied, Mode::Enforce | Mode::Observe) => denied,
        };
        let Some(amount) = amount else {
            // Nothing is known that could count.
            return old(Ok(Decision::Granted(Grant { amount: Yen::ZERO, mark: self.mark(), would_deny })));
        };
        let Some(sums) = self.sums_with(shelf, order, amount)? else {
            return old(Err(StoreError::uncountable()));
        };
        for (debit, sum) in sums {
            self.sums.put(shelf, &order.holder.login_id, debit.basis, debit.day, sum)?;
        }
        self.record(shelf, order, amount)?;
        Ok(Reserved { answer: Ok(Decision::Granted(Grant { amount, mark: self.mark(), would_deny })), is_new: true })
    }

    /// The answer to an order whose ID is on record.
    fn known(&self, shelf: &Shelf<'_>, order: &Order) -> Result<Option<Decision>, Failure> {
        let (place, record) = match self.open.get(order.id) {
            Some((place, record)) => (*place, record.clone()),
            None => match shelf.find(order.id)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let transfer = &record.transfer;
        let same_amount = match &order.claim {
            Claim::Stated(amount) => *amount == transfer.amount,
            Claim::Entered { key, .. } => record.entry == Some(*key),
        };
        let same = transfer.login_id == order.holder.login_id
            && transfer.contract == order.holder.contract
            && transfer.debits == order.unique_debits().map(|debit| (debit.basis, debit.day)).collect::<Vec<_>>()
            && same_amount;
        Ok(Some(match transfer.state {
            State::Reserved if same => Decision::Granted(Grant {
                amount: transfer.amount,
                mark: Mark { store: self.standing.store.clone(), sequence: place.1 },
                would_deny: None,
            }),
            // It has left already, or never will; or it is another order under the same name.
            State::Reserved | State::Committed | State::Released | State::Unknown => {
                Decision::Denied(Denied::Duplicate)
            }
        }))
    }

    /// The sums of the order's own login ID with its amount added; `None` where they cannot be counted.
    fn sums_with(
        &mut self,
        shelf: &Shelf<'_>,
        order: &Order,
        amount: Yen,
    ) -> Result<Option<Vec<(Debit, Yen)>>, Failure> {
        let mut sums = Vec::with_capacity(order.debits.len());
        for debit in order.unique_debits() {
            let used = self.sums.get(shelf, &order.holder.login_id, debit.basis, debit.day)?;
            let Some(sum) = used.checked_add(amount) else { return Ok(None) };
            sums.push((*debit, sum));
        }
        Ok(Some(sums))
    }

    fn record(&mut self, shelf: &mut Shelf<'_>, order: &Order, amount: Yen) -> Result<(), Failure> {
        self.note(order.at);
        self.standing.sequence += 1;
        let place = (JstDate::of(order.at).to_number(), self.standing.sequence);
        let record = Record::reserved(order, amount);
        shelf.add(place, &record)?;
        self.open.reserve(place, record);
        Ok(())
    }

    /// Settles a transfer, and tells where it stands then; `None` where none was recorded.
    pub fn settle(&mut self, shelf: &mut Shelf<'_>, settlement: &Settlement) -> Result<Option<State>, Failure> {
        let Some((_, record)) = self.open.get(settlement.id) else {
            return Ok(shelf.find(settlement.id)?.map(|(_, record)| record.transfer.state));
        };
        let state = record.transfer.state;
        let Some(next) = state.after(settlement.outcome) else { return Ok(Some(state)) };
        self.close(shelf, settlement.id, next, settlement.why, settlement.at)?;
        Ok(Some(next))
    }

    /// Takes back a reservation whose grant nobody heard: it is never forwarded, and would stay reserved.
    pub fn abandon(&mut self, shelf: &mut Shelf<'_>, settlement: &Settlement) -> Result<(), Failure> {
        if self.open.was_asked_once(settlement.id) {
            self.settle(shelf, settlement)?;
        }
        Ok(())
    }

    /// What an operator found out about an unknown transfer.
    pub fn reconcile(
        &mut self,
        shelf: &mut Shelf<'_>,
        (id, verdict): (TransferId, Verdict),
        reason: &str,
        at: Timestamp,
    ) -> Result<Result<Transfer, ReconcileError>, Failure> {
        let state = match self.open.get(id) {
            Some((_, record)) => record.transfer.state,
            None => match shelf.find(id)? {
                Some((_, record)) => record.transfer.state,
                None => return Ok(Err(ReconcileError::NotFound(id))),
            },
        };
        if state != State::Unknown {
            return Ok(Err(ReconcileError::NotUnknown(state)));
        }
        let transfer = self.close(shelf, id, verdict.state(), reason, at)?;
        Ok(transfer.ok_or(ReconcileError::NotFound(id)))
    }

    /// Every reserved transfer is unknown from now on: the process that could have known has ended.
    pub fn recover(&mut self, shelf: &mut Shelf<'_>, at: Timestamp) -> Result<Vec<Transfer>, Failure> {
        let reserved = self.open.iter().filter(|record| record.transfer.state == State::Reserved);
        let mut ids: Vec<TransferId> = reserved.map(|record| record.transfer.id).collect();
        ids.sort_unstable();
        let mut recovered = Vec::new();
        for id in ids {
            recovered.extend(self.close(shelf, id, State::Unknown, "restart", at)?);
        }
        Ok(recovered)
    }

    /// Puts an open transfer into its next state. What it does not move any more, it does not count.
    fn close(
        &mut self,
        shelf: &mut Shelf<'_>,
        id: TransferId,
        next: State,
        why: &str,
        at: Timestamp,
    ) -> Result<Option<Transfer>, Failure> {
        let Some((place, mut record)) = self.open.remove(id) else { return Ok(None) };
        let transfer = &mut record.transfer;
        (transfer.state, transfer.why, transfer.settled_at) = (next, why.to_owned(), Some(at));
        if !next.counts() {
            self.subtract(shelf, transfer)?;
        }
        let answer = transfer.clone();
        shelf.put(place, &record)?;
        self.open.insert(place, record);
        self.note(at);
        Ok(Some(answer))
    }

    /// Takes a transfer out of its sums.
    pub(super) fn subtract(&mut self, shelf: &mut Shelf<'_>, transfer: &Transfer) -> Result<(), Failure> {
        for (basis, day) in &transfer.debits {
            let used = self.sums.get(shelf, &transfer.login_id, *basis, *day)?;
            if used >= transfer.amount {
                let left = used.saturating_sub(transfer.amount);
                self.sums.put(shelf, &transfer.login_id, *basis, *day, left)?;
            } else if used != Yen::ZERO {
                // Old sums are gone altogether; one that is too small is damage, and damage frees nothing.
                tracing::error!(transfer = %transfer.id, %day, "a sum is smaller than a transfer in it: left as it is");
            }
        }
        Ok(())
    }

    /// Keeps an amount that another screen will commit.
    pub fn enter(&mut self, shelf: &mut Shelf<'_>, entry: &Entry) -> Result<Result<Entered, StoreError>, Failure> {
        if let Err(error) = self.accepted() {
            return Ok(Err(error));
        }
        if self.open.locks(&entry.key) {
            return Ok(Ok(Entered::InUse));
        }
        let entered = self.entries.keep(shelf, entry)?;
        if matches!(entered, Ok(Entered::Kept(_))) {
            self.note(entry.at);
        }
        Ok(entered)
    }

    /// A contract's own limit.
    pub fn own_limit(&mut self, shelf: &Shelf<'_>, contract: &ContractId) -> Result<Option<Yen>, Failure> {
        if let Some(known) = self.own_limits.get(contract) {
            return Ok(*known);
        }
        let own = shelf.own_limit(contract)?;
        self.own_limits.insert(contract.clone(), own);
        Ok(own)
    }

    /// Keeps a contract's own limit.
    pub fn learn(
        &mut self,
        shelf: &mut Shelf<'_>,
        contract: &ContractId,
        own: Option<Yen>,
        at: Timestamp,
    ) -> Result<(), Failure> {
        self.own_limits.insert(contract.clone(), own);
        shelf.put_own_limit(contract, own, at)
    }

    /// An operator takes the store and the present clock for the right ones. Sums stay what they are.
    pub fn accept(&mut self, at: Timestamp) {
        self.standing.not_accepted = None;
        self.standing.latest = Some(at);
        // What is old by a clock that was wrong need not be old.
        (self.ended, self.pruning) = (None, None);
    }

    /// Refuses money until an operator accepts the store (LIM-41).
    pub fn require_acceptance(&mut self, reason: String) {
        self.standing.not_accepted = Some(reason);
    }

    pub(super) fn accepted(&self) -> Result<(), StoreError> {
        match &self.standing.not_accepted {
            None => Ok(()),
            Some(reason) => Err(StoreError::NotAccepted(reason.clone())),
        }
    }

    /// How many transfers are not settled for good.
    pub fn counts(&self) -> Counts {
        self.open.counts()
    }

    /// Where the store stands.
    pub fn mark(&self) -> Mark {
        Mark { store: self.standing.store.clone(), sequence: self.standing.sequence }
    }

    /// Remembers the latest moment. At the end of a day, what is too old goes.
    pub(super) fn note(&mut self, at: Timestamp) {
        let Some(latest) = self.standing.latest else {
            self.standing.latest = Some(at);
            return;
        };
        if at <= latest {
            return;
        }
        let (ended, today) = (JstDate::of(latest), JstDate::of(at));
        if today > ended {
            self.ended = Some(ended);
            self.sums.forget();
            self.own_limits.clear();
        }
        self.standing.latest = Some(at);
    }

    /// Writes what belongs to no single transfer: the end of each transaction.
    pub fn finish(&mut self, shelf: &mut Shelf<'_>) -> Result<(), Failure> {
        if let Some(ended) = self.ended.take()
            && let Some(followed) = shelf.day_followed_by(self.retention_days)?
        {
            let before = followed.min(ended.plus_days(-self.retention_days));
            self.pruning = Some(Pruning { before, transfers: Some((0, 0)), sums: true });
        }
        if let Some(pruning) = &mut self.pruning {
            if let Some(from) = pruning.transfers {
                pruning.transfers = shelf.prune_transfers(from, pruning.before, PRUNED_AT_ONCE)?;
            }
            if pruning.sums {
                pruning.sums = shelf.prune_sums(pruning.before, PRUNED_AT_ONCE)?;
            }
            if pruning.transfers.is_none() && !pruning.sums {
                self.pruning = None;
            }
        }
        if self.standing != self.stored {
            shelf.put_standing(&self.standing)?;
            self.stored = self.standing.clone();
        }
        Ok(())
    }
}
