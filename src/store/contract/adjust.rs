//! What an operator adds and corrects (LIM-28): sums stay what the transfers add up to.

use super::stand::{Stand, each_store, yen};
use crate::domain::{ContractId, LoginId, RequestId, Yen};
use crate::store::ledger::{
    ADJUSTMENT, Addition, Basis, CorrectError, Denied, Outcome, State, StoreError, Transfer, Verdict, Whose,
};

/// An order of the day that a branch executed.
fn addition(stand: &Stand, amount: u64) -> Addition {
    Addition {
        id: RequestId::new().transfer(),
        contract: ContractId::parse("hanakodt").unwrap(),
        login_id: LoginId::parse("hanakodt").unwrap(),
        amount: yen(amount),
        day: stand.today(),
        bases: vec![Basis::Accepted],
        why: "hana: receipt 4711".into(),
        at: stand.now,
    }
}

async fn exported(stand: &Stand) -> Vec<Transfer> {
    let mut export = stand.ledger.transfers(stand.today().plus_days(-50), stand.today());
    export.next_chunk().await.unwrap()
}

#[test]
fn what_a_branch_executed_counts_whatever_the_limit() {
    each_store(async |mut stand| {
        stand.granted(&stand.order("hanakodt", 60)).await;
        let before = stand.ledger.mark().sequence;
        let addition = addition(&stand, 70);
        let added = stand.ledger.add(addition.clone()).await.unwrap();
        assert_eq!(added, addition.transfer());
        assert_eq!((added.state, &*added.route, added.settled_at), (State::Committed, ADJUSTMENT, Some(stand.now)));
        assert_eq!(stand.ledger.mark().sequence, before + 1);
        let again = stand.ledger.add(addition.clone()).await;
        assert_eq!(again, Ok(added.clone()), "a second one with the same ID changes nothing");
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 130);
        let over = Denied::OverLimit { whose: Whose::Contract, day: stand.today(), limit: yen(100), used: yen(130) };
        assert_eq!(stand.denied(&stand.order("hanakodt", 1)).await, over);
        assert_eq!((stand.ledger.counts().reserved, stand.ledger.counts().unknown), (1, 0), "it is under way nowhere");
        stand.restart().await;
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 130);
        assert_eq!(stand.ledger.transfer(addition.id).await, Ok(Some(added.clone())));
        assert_eq!(exported(&stand).await.last(), Some(&added));
    });
}

#[test]
fn what_was_executed_on_an_earlier_day_counts_and_is_shown_on_that_day() {
    each_store(async |mut stand| {
        let first_day = stand.today();
        stand.now = first_day.plus_days(2).begins_at();
        stand.granted(&stand.order("hanakodt", 5)).await;
        let late = Addition { day: first_day, bases: vec![Basis::Accepted, Basis::Designated], ..addition(&stand, 7) };
        stand.ledger.add(late.clone()).await.unwrap();
        for (day, accepted, designated) in [(first_day, 7, 7), (stand.today(), 5, 0)] {
            assert_eq!(stand.used("hanakodt", Basis::Accepted, day).await, accepted);
            assert_eq!(stand.used("hanakodt", Basis::Designated, day).await, designated);
        }
        let members = [late.login_id.clone()].into();
        let statement = stand.ledger.statement(late.contract.clone(), members, first_day).await.unwrap();
        assert_eq!(statement.transfers.iter().map(|transfer| transfer.id).collect::<Vec<_>>(), [late.id]);
        assert_eq!(exported(&stand).await.first().map(|transfer| transfer.id), Some(late.id));
        // Nothing of the clock went back with it.
        stand.somebody_moves(1).await;
    });
}

#[test]
fn a_settled_transfer_is_corrected_as_often_as_it_takes_and_the_sums_follow() {
    each_store(async |mut stand| {
        let (order, other) = (stand.order("hanakodt", 60), stand.order("hanakodt", 30));
        for (order, outcome) in [(&order, Outcome::Committed), (&other, Outcome::Released)] {
            stand.granted(order).await;
            stand.settle(order, outcome).await;
        }
        for (verdict, state, used) in [
            (Verdict::Released, State::Released, 0),
            (Verdict::Committed, State::Committed, 60),
            (Verdict::Released, State::Released, 0),
        ] {
            let corrected = stand.ledger.correct(order.id, verdict, "the books".into(), stand.now).await.unwrap();
            assert_eq!((corrected.state, &*corrected.why), (state, "the books"));
            assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, used);
            let again = stand.ledger.correct(order.id, verdict, "again".into(), stand.now).await;
            assert_eq!(again, Err(CorrectError::AlreadySo(state)));
            stand.restart().await;
            assert_eq!(stand.state(order.id).await, Some(state));
            assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, used);
        }
        // It has happened: no limit is asked.
        stand.granted(&stand.order("hanakodt", 100)).await;
        stand.ledger.correct(other.id, Verdict::Committed, "the books".into(), stand.now).await.unwrap();
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 130);
        // The application's word comes too late.
        assert_eq!(stand.settle(&other, Outcome::Released).await, Some(State::Committed));
        let added = addition(&stand, 9);
        stand.ledger.add(added.clone()).await.unwrap();
        stand.ledger.correct(added.id, Verdict::Released, "added twice".into(), stand.now).await.unwrap();
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 130);
    });
}

#[test]
fn what_is_open_or_not_on_record_cannot_be_corrected() {
    each_store(async |mut stand| {
        let (order, old) = (stand.order("hanakodt", 10), stand.order("hanakodt", 20));
        stand.granted(&order).await;
        stand.granted(&old).await;
        stand.settle(&old, Outcome::Committed).await;
        let correct = async |stand: &Stand, id| {
            stand.ledger.correct(id, Verdict::Released, "the books".into(), stand.now).await.unwrap_err()
        };
        assert_eq!(correct(&stand, order.id).await, CorrectError::NotSettled(State::Reserved));
        stand.settle(&order, Outcome::Unknown).await;
        assert_eq!(correct(&stand, order.id).await, CorrectError::NotSettled(State::Unknown));
        let nobody = RequestId::new().transfer();
        assert_eq!(correct(&stand, nobody).await, CorrectError::NotFound(nobody));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 30);
        // The end of a day cuts off what is too old.
        let first_day = stand.today();
        for days in 1..=42 {
            stand.now = first_day.plus_days(days).begins_at();
            stand.somebody_moves(1).await;
        }
        assert_eq!(correct(&stand, old.id).await, CorrectError::NotFound(old.id));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, first_day).await, 0);
    });
}

#[test]
fn a_sum_that_cannot_be_counted_is_not_added_to() {
    each_store(async |stand| {
        let most = Addition { amount: Yen::MAX, ..addition(&stand, 1) };
        stand.ledger.add(most.clone()).await.unwrap();
        assert_eq!(stand.ledger.add(addition(&stand, 1)).await, Err(StoreError::uncountable()));
        let sum = stand.used("hanakodt", Basis::Accepted, stand.today()).await;
        assert_eq!(sum, Yen::MAX.get());
        stand.ledger.correct(most.id, Verdict::Released, "a slip of the pen".into(), stand.now).await.unwrap();
        stand.ledger.add(addition(&stand, 1)).await.unwrap();
        let refused = stand.ledger.correct(most.id, Verdict::Committed, "no".into(), stand.now).await;
        assert_eq!(refused, Err(StoreError::uncountable().into()));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 1);
        assert_eq!(stand.state(most.id).await, Some(State::Released));
    });
}
