//! Orders that the application cancels (LIM-21): what was counted is released once, on its own days.

use super::stand::{Stand, debit, each_store};
use crate::store::ledger::{Basis, CANCELLED, Debit, Order, OrderNumber, Outcome, State, StoreError, Verdict};

fn number(order: &Order, text: &str) -> OrderNumber {
    OrderNumber::of(&order.holder.contract, text)
}

/// An order that the application executed and gave a number.
async fn numbered(stand: &Stand, amount: u64, text: &str) -> Order {
    let order = stand.order("hanakodt", amount);
    stand.granted(&order).await;
    stand.settle(&order, Outcome::Committed).await;
    stand.ledger.number(number(&order, text), order.id);
    order
}

async fn cancelled(stand: &Stand, number: OrderNumber) -> Option<u64> {
    let released = stand.ledger.cancel(number, stand.now).await.unwrap()?;
    assert_eq!((released.state, &*released.why), (State::Released, CANCELLED));
    Some(released.amount.get())
}

#[test]
fn a_cancelled_order_is_released_once_and_on_its_own_day() {
    each_store(async |mut stand| {
        let first_day = stand.today();
        let order = numbered(&stand, 60, "7").await;
        stand.restart().await;
        stand.now = first_day.plus_days(1).begins_at();
        stand.somebody_moves(1).await;
        let next = numbered(&stand, 100, "8").await;
        assert_eq!(cancelled(&stand, number(&order, "7")).await, Some(60));
        // Nothing is credited today, and nothing twice.
        assert_eq!(cancelled(&stand, number(&order, "7")).await, None);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, first_day).await, 0);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 100);
        stand.restart().await;
        assert_eq!(stand.state(order.id).await, Some(State::Released));
        assert_eq!(stand.state(next.id).await, Some(State::Committed));
    });
}

#[test]
fn every_day_that_an_order_counted_on_is_released() {
    each_store(async |stand| {
        let mut order = stand.order("hanakodt", 60);
        let designated = stand.today().plus_days(9);
        order.debits.push(Debit { basis: Basis::Designated, ..debit(designated, 100) });
        stand.granted(&order).await;
        stand.settle(&order, Outcome::Committed).await;
        stand.ledger.number(number(&order, "7"), order.id);
        assert_eq!(cancelled(&stand, number(&order, "7")).await, Some(60));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 0);
        assert_eq!(stand.used("hanakodt", Basis::Designated, designated).await, 0);
    });
}

#[test]
fn what_is_not_committed_or_not_named_alone_is_not_released() {
    each_store(async |stand| {
        let (order, other) = (numbered(&stand, 10, "7").await, numbered(&stand, 20, "7").await);
        assert_eq!(cancelled(&stand, number(&order, "7")).await, None, "two orders have the number");
        assert_eq!(cancelled(&stand, number(&order, "9")).await, None, "nobody has it");
        let unknown = stand.order("hanakodt", 30);
        stand.granted(&unknown).await;
        stand.ledger.number(number(&unknown, "10"), unknown.id);
        assert_eq!(cancelled(&stand, number(&unknown, "10")).await, None, "it is on its way");
        stand.settle(&unknown, Outcome::Unknown).await;
        assert_eq!(cancelled(&stand, number(&unknown, "10")).await, None, "nobody knows how it ended");
        let stranger = stand.order("tarokdt", 1);
        assert_eq!(cancelled(&stand, number(&stranger, "10")).await, None, "another contract's number is another");
        // An ID that is on no record names nothing.
        stand.ledger.number(number(&stranger, "11"), stranger.id);
        assert_eq!(cancelled(&stand, number(&stranger, "11")).await, None);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 60);
        assert_eq!(stand.state(other.id).await, Some(State::Committed));
    });
}

/// LIM-41: what a doubtful store would free, it may have forgotten to count elsewhere.
#[test]
fn a_store_that_is_not_accepted_frees_nothing() {
    each_store(async |stand| {
        let order = numbered(&stand, 10, "7").await;
        // The next answer tells that the number has arrived.
        assert_eq!(stand.state(order.id).await, Some(State::Committed));
        stand.ledger.require_acceptance("older than the audit log".into()).await.unwrap();
        let refused = Err(StoreError::NotAccepted("older than the audit log".into()));
        assert_eq!(stand.ledger.cancel(number(&order, "7"), stand.now).await, refused);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 10);
        stand.ledger.accept(stand.now).await.unwrap();
        assert_eq!(cancelled(&stand, number(&order, "7")).await, Some(10));
    });
}

/// What is too old goes with its number.
#[test]
fn a_number_is_forgotten_with_its_order() {
    each_store(async |mut stand| {
        let (first_day, order) = (stand.today(), numbered(&stand, 10, "7").await);
        for days in 1..=42 {
            stand.now = first_day.plus_days(days).begins_at();
            stand.somebody_moves(1).await;
        }
        assert_eq!(stand.state(order.id).await, None);
        let later = numbered(&stand, 20, "7").await;
        assert_eq!(cancelled(&stand, number(&later, "7")).await, Some(20));
    });
}

/// A number that two orders had stays nobody's when the elder of them is forgotten: the younger still stands under it.
#[test]
fn a_number_of_two_orders_names_neither_also_when_one_is_forgotten() {
    each_store(async |mut stand| {
        let (first_day, elder) = (stand.today(), numbered(&stand, 10, "7").await);
        let mut younger = None;
        for days in 1..=42 {
            stand.now = first_day.plus_days(days).begins_at();
            stand.somebody_moves(1).await;
            if days == 20 {
                younger = Some(numbered(&stand, 1, "7").await);
            }
        }
        assert_eq!(stand.state(elder.id).await, None);
        assert_eq!(stand.state(younger.unwrap().id).await, Some(State::Committed));
        let third = numbered(&stand, 20, "7").await;
        assert_eq!(cancelled(&stand, number(&third, "7")).await, None, "two orders have the number");
    });
}

/// A person found out that a cancelled order was executed all the same; an application that says yes to every repetition of
/// the cancelling does not undo that.
#[test]
fn a_cancelling_that_is_repeated_does_not_undo_an_operators_correction() {
    each_store(async |stand| {
        let order = numbered(&stand, 60, "7").await;
        assert_eq!(cancelled(&stand, number(&order, "7")).await, Some(60));
        let corrected = stand.ledger.correct(order.id, Verdict::Committed, "it was executed".into(), stand.now).await;
        assert_eq!(corrected.unwrap().state, State::Committed);
        assert_eq!(cancelled(&stand, number(&order, "7")).await, None, "it was cancelled before");
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 60);
    });
}
