//! Why an order may not leave: every rule, in the order in which the first that fails is told.

use std::iter;

use jiff::SignedDuration;

use super::book::Book;
use super::shelf::Shelf;
use crate::domain::{JstDate, Yen};
use crate::store::database::Failure;
use crate::store::ledger::{Basis, Claim, Denied, Mode, Order, OverLimit, Whose};

impl Book {
    /// What an order moves; `None` where nothing is known, and nothing is not an amount.
    pub(super) fn amount(&self, order: &Order) -> Option<Yen> {
        let amount = match &order.claim {
            Claim::Stated(amount) => Some(*amount),
            Claim::Entered { key, repeated } => {
                let entered = self.entries.lines(key, order.at);
                // What is only observed leaves all the same, with what it says more.
                let said = repeated.as_ref().filter(|_| order.mode == Mode::Observe);
                entered.map(|lines| said.map_or_else(|| lines.total(), |said| lines.joined(said).total()))
            }
        };
        amount.filter(|amount| *amount != Yen::ZERO)
    }

    /// The first rule that speaks against an order of this amount.
    pub(super) fn denial(
        &mut self,
        shelf: &Shelf<'_>,
        order: &Order,
        amount: Option<Yen>,
    ) -> Result<Option<Denied>, Failure> {
        if let Some(denied) = self.clock_behind(order) {
            return Ok(Some(denied));
        }
        let (contract, login_id) = (&order.holder.contract, &order.holder.login_id);
        if order.token.is_some_and(|token| self.open.holds_token(contract, &token)) {
            return Ok(Some(Denied::Duplicate));
        }
        if self.open.in_flight_of(login_id) >= order.bounds.in_flight_per_login_id
            || self.open.in_flight_within(contract) >= order.bounds.in_flight_per_contract
        {
            return Ok(Some(Denied::TooManyInFlight));
        }
        let Some(amount) = amount else { return Ok(Some(Denied::NoEntry)) };
        if let Claim::Entered { key, repeated } = &order.claim {
            if self.open.locks(key) {
                return Ok(Some(Denied::EntryInUse));
            }
            let entered = self.entries.lines(key, order.at);
            if entered.zip(repeated.as_ref()).is_some_and(|(entered, repeated)| entered.grow_by(repeated)) {
                return Ok(Some(Denied::MoreThanEntered));
            }
        }
        self.over_limit(shelf, order, amount)
    }

    /// The clock lies behind what is recorded (LIM-22): by more than it may, or on an earlier day.
    ///
    /// An order on the earlier side of midnight that also counts on the later day reopens nothing: two workers may
    /// read the clock in one order and reach the ledger in the other (LIM-35 makes every such order count on both).
    fn clock_behind(&self, order: &Order) -> Option<Denied> {
        let recorded = self.standing.latest?;
        let today = JstDate::of(recorded);
        let tolerance = SignedDuration::try_from(order.bounds.clock_tolerance).unwrap_or(SignedDuration::MAX);
        let counts_today = || order.debits.iter().any(|debit| debit.basis == Basis::Accepted && debit.day >= today);
        let behind = recorded.duration_since(order.at) > tolerance;
        let reopens = JstDate::of(order.at) < today && !counts_today();
        (behind || reopens).then_some(Denied::ClockBehind { recorded })
    }

    /// Some sum would be larger than its limit, which is inclusive (LIM-02): the contract's on each day, then the
    /// login ID's own (LIM-40).
    fn over_limit(&mut self, shelf: &Shelf<'_>, order: &Order, amount: Yen) -> Result<Option<Denied>, Failure> {
        let own = self.own_limit(shelf, &order.holder.contract)?;
        let exceeded = |debit_ceiling: &Yen| own.is_some_and(|own| own > *debit_ceiling);
        let above = order.debits.iter().map(|debit| debit.ceiling).find(exceeded);
        match (order.bounds.over_limit, own, above) {
            (OverLimit::BlockTransfers, Some(own), Some(ceiling)) => {
                return Ok(Some(Denied::OwnLimitAboveCeiling { own, ceiling }));
            }
            (OverLimit::BlockTransfers | OverLimit::Clamp, _, _) => {}
        }
        let login_id = &order.holder.login_id;
        // The asking one counts, also where the list of members forgot it.
        let asking = Some(login_id).filter(|asking| !order.holder.members.contains(asking));
        for debit in &order.debits {
            let limit = own.map_or(debit.ceiling, |own| own.min(debit.ceiling));
            let members = order.holder.members.iter().chain(asking);
            let used = self.sums.together(shelf, members, debit.basis, debit.day)?;
            if exceeds(used, amount, limit) {
                return Ok(Some(Denied::OverLimit { whose: Whose::Contract, day: debit.day, limit, used }));
            }
        }
        let Some(limit) = order.bounds.per_login_id else { return Ok(None) };
        for debit in &order.debits {
            let used = self.sums.together(shelf, iter::once(login_id), debit.basis, debit.day)?;
            if exceeds(used, amount, limit) {
                return Ok(Some(Denied::OverLimit { whose: Whose::LoginId, day: debit.day, limit, used }));
            }
        }
        Ok(None)
    }
}

/// Whether the sum would be above the limit, or beyond counting.
fn exceeds(used: Yen, amount: Yen, limit: Yen) -> bool {
    used.checked_add(amount).is_none_or(|sum| sum > limit)
}
