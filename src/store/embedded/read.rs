//! What operators look at: read from the file, beside the writer, in a view that stands still.

use redb::{ReadTransaction, ReadableTable as _};

use super::record::{Record, yen_of};
use super::shelf::{OPEN, OWN_LIMITS, PLACES, SUMS, TRANSFERS, place_day, sum_key};
use crate::domain::{ContractId, JstDate, LoginId, TransferId};
use crate::store::database::{Damage, Failure};
use crate::store::ledger::{Basis, Place, State, Statement, Transfer, Used};
use crate::store::operation::Chunk;

/// One transfer.
pub(super) fn transfer(view: &ReadTransaction, id: TransferId) -> Result<Option<Transfer>, Failure> {
    let Some(place) = view.open_table(PLACES)?.get(id.as_bytes())?.map(|row| row.value()) else { return Ok(None) };
    let transfers = view.open_table(TRANSFERS)?;
    let row = transfers.get(place)?.ok_or(Damage("a transfer is not in its place"))?;
    Ok(Some(Record::decode(row.value())?.transfer))
}

/// Some of the unknown transfers behind a sequence, in the order of their reservation, and where to go on.
pub(super) fn unknown(view: &ReadTransaction, after: u64, most: usize) -> Result<Chunk<u64>, Failure> {
    let transfers = view.open_table(TRANSFERS)?;
    let mut places = Vec::new();
    for row in view.open_table(OPEN)?.iter()? {
        places.push(row?.0.value());
    }
    // While a clock is behind, a later one has the place of an earlier day.
    places.retain(|(_, sequence)| *sequence > after);
    places.sort_unstable_by_key(|(_, sequence)| *sequence);
    let mut found = Vec::new();
    for place in places {
        if found.len() == most {
            return Ok((found, Some(place.1 - 1)));
        }
        let stored = transfers.get(place)?.ok_or(Damage("an open transfer is not in its place"))?;
        let transfer = Record::decode(stored.value())?.transfer;
        if transfer.state == State::Unknown {
            found.push(transfer);
        }
    }
    Ok((found, None))
}

/// Some of the transfers from a place on, up to the end of a day, and where to go on.
pub(super) fn chunk(view: &ReadTransaction, from: Place, last: JstDate, most: usize) -> Result<Chunk<Place>, Failure> {
    let end: Place = (last.to_number(), u64::MAX);
    let mut found = Vec::new();
    if from > end {
        return Ok((found, None));
    }
    for row in view.open_table(TRANSFERS)?.range(from..=end)? {
        let (place, stored) = row?;
        if found.len() == most {
            return Ok((found, Some(place.value())));
        }
        found.push(Record::decode(stored.value())?.transfer);
    }
    Ok((found, None))
}

/// A contract's day: its members' sums, and the transfers that they accepted on it or that count on it.
pub(super) fn statement(
    view: &ReadTransaction,
    contract: &ContractId,
    members: &[LoginId],
    day: JstDate,
) -> Result<Statement, Failure> {
    let mut used = Vec::new();
    let sums = view.open_table(SUMS)?;
    for login_id in members {
        for basis in [Basis::Accepted, Basis::Designated] {
            if let Some(row) = sums.get(&sum_key(day, basis, login_id)[..])? {
                used.push(Used { login_id: login_id.clone(), basis, amount: yen_of(row.value())? });
            }
        }
    }
    // An order may be accepted just before the day on which it also counts (LIM-35), or long before the day on which
    // it is to be executed; only then is the whole past looked through.
    let designated = used.iter().any(|used| used.basis == Basis::Designated);
    let from: Place = if designated { (0, 0) } else { (day.plus_days(-1).to_number(), 0) };
    let mut transfers = Vec::new();
    for row in view.open_table(TRANSFERS)?.range(from..=(day.to_number(), u64::MAX))? {
        let (place, stored) = row?;
        let transfer = Record::decode(stored.value())?.transfer;
        let here = place_day(place.value())? == day || transfer.debits.iter().any(|(_, counted)| *counted == day);
        if here && members.contains(&transfer.login_id) {
            transfers.push(transfer);
        }
    }
    let own = view.open_table(OWN_LIMITS)?.get(contract.as_str())?.map(|row| row.value().0);
    Ok(Statement { used, own_limit: own.map(yen_of).transpose()?, transfers })
}
