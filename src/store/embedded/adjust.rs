//! What an operator adds and corrects (LIM-28), and what the application cancels (LIM-21): transfers come, or change sides, and the sums with them.

use jiff::Timestamp;

use super::book::Book;
use super::record::Record;
use super::shelf::Shelf;
use crate::domain::{TransferId, Yen};
use crate::store::database::Failure;
use crate::store::ledger::{Addition, CANCELLED, CorrectError, OrderNumber, State, StoreError, Transfer, Verdict};

impl Book {
    /// Keeps an order that the bank executed by hand, whatever the limit: it has happened.
    pub fn add(&mut self, shelf: &mut Shelf<'_>, addition: &Addition) -> Result<Result<Transfer, StoreError>, Failure> {
        if let Some((_, known)) = shelf.find(addition.id)? {
            return Ok(Ok(known.transfer));
        }
        let transfer = addition.transfer();
        if !self.count(shelf, &transfer)? {
            return Ok(Err(StoreError::uncountable()));
        }
        self.note(addition.at);
        self.standing.sequence += 1;
        let place = (addition.day.to_number(), self.standing.sequence);
        let record = Record::of(transfer);
        shelf.add(place, &record)?;
        Ok(Ok(record.transfer))
    }

    /// Puts a settled transfer to the other side.
    pub fn correct(
        &mut self,
        shelf: &mut Shelf<'_>,
        (id, verdict): (TransferId, Verdict),
        reason: &str,
        at: Timestamp,
    ) -> Result<Result<Transfer, CorrectError>, Failure> {
        let Some((place, mut record)) = shelf.find(id)? else { return Ok(Err(CorrectError::NotFound(id))) };
        let transfer = &mut record.transfer;
        match (transfer.state, verdict) {
            (state @ (State::Reserved | State::Unknown), _) => return Ok(Err(CorrectError::NotSettled(state))),
            (state @ State::Committed, Verdict::Committed) | (state @ State::Released, Verdict::Released) => {
                return Ok(Err(CorrectError::AlreadySo(state)));
            }
            (State::Committed, Verdict::Released) => self.subtract(shelf, transfer)?,
            (State::Released, Verdict::Committed) => {
                if !self.count(shelf, transfer)? {
                    return Ok(Err(StoreError::uncountable().into()));
                }
            }
        }
        (transfer.state, transfer.why, transfer.settled_at) = (verdict.state(), reason.to_owned(), Some(at));
        record.revision += 1;
        shelf.put(place, &record)?;
        self.note(at);
        Ok(Ok(record.transfer))
    }

    /// Keeps the application's number of an order.
    pub fn number(&mut self, shelf: &mut Shelf<'_>, number: &OrderNumber, id: TransferId) -> Result<(), Failure> {
        // What is not on record cannot be cancelled, and would leave its number here for ever.
        if shelf.find(id)?.is_some() { shelf.put_number(number, id) } else { Ok(()) }
    }

    /// Releases the committed order with a number.
    pub fn cancel(
        &mut self,
        shelf: &mut Shelf<'_>,
        number: &OrderNumber,
        at: Timestamp,
    ) -> Result<Result<Option<Transfer>, StoreError>, Failure> {
        if let Err(error) = self.accepted() {
            return Ok(Err(error));
        }
        let Some(id) = shelf.numbered(number)? else { return Ok(Ok(None)) };
        // One that is not settled, or not there, or released before, stays as it is.
        let released = self.correct(shelf, (id, Verdict::Released), CANCELLED, at)?.ok();
        if released.is_some() {
            // Where an operator puts it back, the customer does not undo that by the same number.
            shelf.remove_number(id)?;
        }
        Ok(Ok(released))
    }

    /// Adds a transfer to its sums; whether they can be counted. If not, nothing has changed.
    fn count(&mut self, shelf: &mut Shelf<'_>, transfer: &Transfer) -> Result<bool, Failure> {
        let mut sums: Vec<(_, Yen)> = Vec::with_capacity(transfer.debits.len());
        for (basis, day) in &transfer.debits {
            let used = self.sums.get(shelf, &transfer.login_id, *basis, *day)?;
            let Some(sum) = used.checked_add(transfer.amount) else { return Ok(false) };
            sums.push(((*basis, *day), sum));
        }
        for ((basis, day), sum) in sums {
            self.sums.put(shelf, &transfer.login_id, basis, day, sum)?;
        }
        Ok(true)
    }
}
