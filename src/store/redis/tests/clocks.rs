//! A gateway whose clock is wrong decides nothing, and leaves nothing behind that stops the others (LIM-22).

use std::sync::Arc;

use super::super::{Surroundings, open};
use super::server;
use super::site::{Site, available, order, state};
use crate::domain::{Clock as _, JstDate, ManualClock};
use crate::store::Ledger;
use crate::store::contract::stand::{debit, run};
use crate::store::ledger::{Decision, Order, Outcome, Settlement, State, StoreError};

const DAY: i64 = 86_400;

/// A gateway whose clock goes along with the machine's, and with it that of Redis.
fn gateway(site: &Site, name: &str) -> (Ledger, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::beside_the_machine());
    let around = Surroundings { clock: clock.clone(), ..server::surroundings(clock.now()) };
    (open(&site.settings(name), around, clock.now()).unwrap().ledger, clock)
}

/// An order of what such a clock takes for today.
fn order_by(clock: &ManualClock, amount: u64) -> Order {
    let at = clock.now();
    Order { at, debits: vec![debit(JstDate::of(at), 100)], ..order(amount) }
}

async fn granted(gateway: &Ledger, clock: &ManualClock, amount: u64) -> Order {
    let order = order_by(clock, amount);
    let decision = gateway.reserve(order.clone()).await;
    assert!(matches!(decision, Ok(Decision::Granted(_))), "{decision:?}");
    order
}

/// At once, not only after the next look.
async fn refused(gateway: &Ledger, clock: &ManualClock, direction: &str) {
    match gateway.reserve(order_by(clock, 1)).await {
        Err(StoreError::Unavailable(why)) => {
            assert!(why.contains("the gateway's clock") && why.contains(direction), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_gateway_whose_clock_leaps_moves_no_money_and_the_others_go_on() {
    for (leap, direction) in [(DAY, "ahead of"), (-DAY, "behind")] {
        let site = Site::new();
        run(async {
            let ((good, of_good), (bad, of_bad)) = (gateway(&site, "good"), gateway(&site, "bad"));
            available(&good).await;
            available(&bad).await;
            let under_way = granted(&bad, &of_bad, 40).await;

            of_bad.advance(leap);
            refused(&bad, &of_bad, direction).await;
            bad.settle(Settlement { id: under_way.id, outcome: Outcome::Committed, why: "test", at: of_bad.now() });
            granted(&good, &of_good, 50).await;
            refused(&bad, &of_bad, direction).await;

            of_bad.advance(-leap);
            available(&bad).await;
            while state(&bad, under_way.id).await != Some(State::Committed) {
                tokio::task::yield_now().await;
            }
            granted(&good, &of_good, 5).await;
            granted(&bad, &of_bad, 5).await;
            assert!(matches!(bad.reserve(order_by(&of_bad, 1)).await, Ok(Decision::Denied(_))));
        });
    }
}

/// What its last process left behind becomes unknown at a moment that has not come yet.
#[test]
fn a_gateway_that_starts_with_a_clock_ahead_stops_nobody() {
    let site = Site::new();
    run(async {
        let (good, of_good) = gateway(&site, "good");
        let (bad, of_bad) = gateway(&site, "bad");
        available(&good).await;
        available(&bad).await;
        let under_way = granted(&bad, &of_bad, 40).await;
        bad.close().await;
        drop(bad);

        of_bad.advance(DAY);
        let around = Surroundings { clock: of_bad.clone(), ..server::surroundings(of_bad.now()) };
        let opened = open(&site.settings("bad"), around, of_bad.now()).unwrap();
        assert_eq!(opened.recovered.len(), 1);
        refused(&opened.ledger, &of_bad, "ahead of").await;
        while state(&good, under_way.id).await != Some(State::Unknown) {
            tokio::task::yield_now().await;
        }
        granted(&good, &of_good, 60).await;
    });
}

/// A well-kept clock may be a little off.
#[test]
fn a_clock_within_the_tolerance_moves_money() {
    let site = Site::new();
    run(async {
        let (gateway, clock) = gateway(&site, "a");
        available(&gateway).await;
        granted(&gateway, &clock, 10).await;
        clock.advance(4);
        granted(&gateway, &clock, 10).await;
        clock.advance(-8);
        // It lies behind its own orders by more than the tolerance, and not behind Redis.
        assert!(matches!(gateway.reserve(order_by(&clock, 10)).await, Ok(Decision::Denied(_))));
        assert!(gateway.is_available());
    });
}
