//! From the reservation to the settlement: what is final, what is repeated, what a restart leaves behind.

use std::sync::Arc;

use super::stand::{each_store, yen};
use crate::domain::{JstDate, RequestId};
use crate::store::ledger::{
    Basis, Decision, Denied, Outcome, ReconcileError, Settlement, State, StoreError, Verdict, Whose,
};

/// LIM-14, LIM-15: the states, the sums and the counts after each settlement of each state.
#[test]
fn only_what_was_surely_not_executed_stops_counting() {
    use Outcome::{Committed, Released, Unknown};
    let table = [
        (&[Committed][..], State::Committed, 10),
        (&[Released], State::Released, 0),
        (&[Unknown], State::Unknown, 10),
        (&[Committed, Released], State::Committed, 10),
        (&[Committed, Unknown], State::Committed, 10),
        (&[Released, Committed], State::Released, 0),
        (&[Released, Released], State::Released, 0),
        (&[Unknown, Released], State::Unknown, 10),
        (&[Unknown, Committed], State::Committed, 10),
        (&[Unknown, Unknown], State::Unknown, 10),
    ];
    for (outcomes, state, used) in table {
        each_store(async |stand| {
            let order = stand.order("hanakodt", 10);
            stand.granted(&order).await;
            assert_eq!((stand.ledger.counts().reserved, stand.ledger.counts().unknown), (1, 0));
            let mut last = None;
            for outcome in outcomes {
                last = stand.settle(&order, *outcome).await;
            }
            assert_eq!(last, Some(state), "{outcomes:?}");
            assert_eq!(stand.state(order.id).await, Some(state));
            assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, used, "{outcomes:?}");
            let unknown = u64::from(state == State::Unknown);
            assert_eq!((stand.ledger.counts().reserved, stand.ledger.counts().unknown), (0, unknown));
        });
    }
}

#[test]
fn only_an_operator_releases_what_is_unknown() {
    each_store(async |stand| {
        let (first, second) = (stand.order("hanakodt", 40), stand.order("hanakodt", 50));
        stand.granted(&first).await;
        let reconcile =
            async |id, verdict| stand.ledger.reconcile(id, verdict, "asked the branch".into(), stand.now).await;
        assert_eq!(reconcile(first.id, Verdict::Released).await, Err(ReconcileError::NotUnknown(State::Reserved)));
        stand.granted(&second).await;
        stand.settle(&first, Outcome::Unknown).await;
        stand.settle(&second, Outcome::Unknown).await;
        let unknown = stand.ledger.unknown().await.unwrap();
        assert_eq!(unknown.iter().map(|transfer| transfer.id).collect::<Vec<_>>(), [first.id, second.id]);
        let released = reconcile(first.id, Verdict::Released).await.unwrap();
        assert_eq!((released.state, &*released.why), (State::Released, "asked the branch"));
        assert_eq!(reconcile(second.id, Verdict::Committed).await.unwrap().state, State::Committed);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 50);
        assert_eq!(reconcile(first.id, Verdict::Committed).await, Err(ReconcileError::NotUnknown(State::Released)));
        let nobody = RequestId::new().transfer();
        assert_eq!(reconcile(nobody, Verdict::Released).await, Err(ReconcileError::NotFound(nobody)));
    });
}

#[test]
fn an_order_sent_again_counts_once_and_never_leaves_twice() {
    each_store(async |mut stand| {
        let order = stand.order("hanakodt", 60);
        let grant = stand.granted(&order).await;
        stand.somebody_moves(1).await;
        assert_eq!(stand.granted(&order).await, grant);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 60);
        // Another order under the same name is not that order.
        let mut other = order.clone();
        other.claim = stand.order("hanakodt", 59).claim;
        assert_eq!(stand.denied(&other).await, Denied::Duplicate);
        stand.settle(&order, Outcome::Released).await;
        assert_eq!(stand.denied(&order).await, Denied::Duplicate);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 0);
        stand.restart().await;
        assert_eq!(stand.denied(&order).await, Denied::Duplicate);
    });
}

/// LIM-13: 200 orders for the last yen.
#[test]
fn of_many_orders_for_the_last_yen_one_is_granted() {
    each_store(async |stand| {
        stand.granted(&stand.order("hanakodt", 99)).await;
        let mut orders = Vec::new();
        for _ in 0..200 {
            let mut order = stand.order("hanakodt", 1);
            order.bounds.in_flight_per_login_id = 1000;
            order.bounds.in_flight_per_contract = 1000;
            let ledger = stand.ledger.clone();
            orders.push(tokio::spawn(async move { ledger.reserve(order).await.unwrap() }));
        }
        let mut granted = 0;
        for order in orders {
            granted += usize::from(matches!(order.await.unwrap(), Decision::Granted(_)));
        }
        assert_eq!(granted, 1);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 100);
    });
}

#[test]
fn what_was_reserved_when_the_process_died_is_unknown() {
    each_store(async |mut stand| {
        let (reserved, committed) = (stand.order("hanakodt", 10), stand.order("hanakodt", 20));
        let mark = stand.ledger.mark();
        stand.granted(&reserved).await;
        stand.granted(&committed).await;
        stand.settle(&committed, Outcome::Committed).await;
        let recovered = stand.restart().await;
        assert_eq!(recovered.iter().map(|transfer| transfer.id).collect::<Vec<_>>(), [reserved.id]);
        assert_eq!(recovered[0].state, State::Unknown);
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 30);
        assert_eq!(stand.ledger.mark().store, mark.store);
        assert_eq!(stand.ledger.mark().sequence, mark.sequence + 2);
        assert!(stand.restart().await.is_empty());
        assert_eq!(stand.ledger.unknown().await.unwrap().len(), 1);
    });
}

/// A settlement that nobody waits for is written before the file is closed.
#[test]
fn what_was_asked_before_closing_is_done_and_after_it_refused() {
    each_store(async |mut stand| {
        let order = stand.order("hanakodt", 10);
        stand.granted(&order).await;
        stand.ledger.settle(Settlement {
            id: order.id,
            outcome: Outcome::Committed,
            why: "success_marker",
            at: stand.now,
        });
        stand.ledger.close().await;
        assert!(!stand.ledger.is_available());
        let late = stand.ledger.reserve(stand.order("hanakodt", 1)).await;
        assert_eq!(late, Err(StoreError::Unavailable("it was closed".into())));
        assert!(stand.restart().await.is_empty());
        assert_eq!(stand.state(order.id).await, Some(State::Committed));
    });
}

/// Nobody forwards an order whose answer nobody heard: whether the caller goes before the grant or after it.
#[test]
fn a_caller_who_goes_away_leaves_no_reservation() {
    for granted in [false, true] {
        each_store(async |stand| {
            let order = stand.order("hanakodt", 100);
            let mut asking = Box::pin(stand.ledger.reserve(order.clone()));
            // Polled once, so that it is asked.
            std::future::poll_fn(|context| {
                assert!(asking.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            if granted {
                assert_eq!(stand.state(order.id).await, Some(State::Reserved));
            }
            drop(asking);
            // It is taken back as soon as the writer notices; until then it counts.
            while stand.state(order.id).await != Some(State::Released) {
                tokio::task::yield_now().await;
            }
            stand.granted(&stand.order("hanakodt", 100)).await;
        });
    }
}

/// LIM-22: midnight in Japan opens a new budget; the old sums stay, and what is old enough goes.
#[test]
fn days_end_and_are_forgotten_when_they_are_old() {
    each_store(async |mut stand| {
        let (settled, unknown) = (stand.order("hanakodt", 60), stand.order("hanakodt", 40));
        let first_day = stand.today();
        for order in [&settled, &unknown] {
            stand.granted(order).await;
        }
        stand.settle(&settled, Outcome::Committed).await;
        stand.settle(&unknown, Outcome::Unknown).await;
        for day in 1..=41 {
            stand.now = first_day.plus_days(day).begins_at();
            stand.somebody_moves(100).await;
            assert_eq!(stand.used("hanakodt", Basis::Accepted, first_day).await, 100);
        }
        stand.now = first_day.plus_days(42).begins_at();
        stand.somebody_moves(100).await;
        assert_eq!(stand.state(settled.id).await, None);
        assert_eq!(stand.state(unknown.id).await, Some(State::Unknown));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, first_day).await, 0);
        let released = stand.ledger.reconcile(unknown.id, Verdict::Released, "found".into(), stand.now).await;
        assert_eq!(released.unwrap().state, State::Released);
    });
}

/// LIM-22: what is too old is counted in days that were seen, not in days that a wrong clock names.
#[test]
fn a_clock_that_leaps_ahead_for_some_days_cuts_off_nothing() {
    each_store(async |mut stand| {
        let (today, begun) = (stand.today(), stand.now);
        stand.somebody_moves(1).await;
        stand.pass(86_400);
        let settled = stand.order("hanakodt", 100);
        stand.granted(&settled).await;
        stand.settle(&settled, Outcome::Committed).await;
        let true_time = stand.now;
        for leap in [500, 1_000] {
            for day in 0..4 {
                stand.now = today.plus_days(leap + day).begins_at();
                stand.somebody_moves(1).await;
            }
            stand.now = true_time;
            stand.ledger.accept(stand.now).await.unwrap();
            let day = stand.today();
            let used = Denied::OverLimit { whose: Whose::Contract, day, limit: yen(100), used: yen(100) };
            assert_eq!(stand.denied(&stand.order("hanakodt", 1)).await, used);
            assert_eq!(stand.state(settled.id).await, Some(State::Committed));
        }
        assert_eq!(stand.used("tarokdt", Basis::Accepted, JstDate::of(begun)).await, 1);
        // The days that were never lived are in nobody's way when days go on.
        for day in 1..=50 {
            stand.now = true_time + jiff::SignedDuration::from_hours(24 * day);
            stand.somebody_moves(100).await;
        }
        assert_eq!(stand.state(settled.id).await, None);
    });
}

#[test]
fn an_export_holds_the_days_asked_for_in_order() {
    each_store(async |mut stand| {
        let first_day = stand.today();
        let mut ids = Vec::new();
        for day in 0..4 {
            stand.now = first_day.plus_days(day).begins_at();
            for _ in 0..400 {
                let mut order = stand.order("hanakodt", 1);
                order.debits[0].ceiling = yen(1000);
                order.bounds.in_flight_per_login_id = 10_000;
                order.bounds.in_flight_per_contract = 10_000;
                ids.push((day, order.id));
                let ledger = stand.ledger.clone();
                let asked = tokio::spawn(async move { ledger.reserve(order).await });
                // Asked in this order, answered together.
                tokio::task::yield_now().await;
                drop(asked);
            }
        }
        let mut found = Vec::new();
        let mut export = stand.ledger.transfers(first_day.plus_days(1), first_day.plus_days(3));
        loop {
            let chunk = export.next_chunk().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            found.extend(chunk.into_iter().map(|transfer| transfer.id));
        }
        let expected: Vec<_> = ids.iter().filter(|(day, _)| *day >= 1).map(|(_, id)| *id).collect();
        assert_eq!(found, expected);
        let members: Arc<[_]> = stand.order("hanakodt", 1).holder.members;
        let contract = stand.order("hanakodt", 1).holder.contract;
        let statement = stand.ledger.statement(contract, members, first_day).await.unwrap();
        assert_eq!((statement.transfers.len(), statement.used[0].amount), (400, yen(400)));
    });
}
