//! Several gateways on one store: who waits for whom (LIM-13, LIM-39, OPS-12).

use std::fs;

use super::super::{Surroundings, open};
use super::server;
use super::site::{Site, available, granted, now, order, over, refused, settlement, state, unavailable, used};
use crate::store::contract::stand::{noon, run};
use crate::store::ledger::{Decision, Known, Mark, Outcome, ReconcileError, State, StoreError, Verdict};

/// A32: 200 orders over two gateways.
#[test]
fn two_gateways_race_for_the_last_yen_and_one_order_is_granted() {
    let site = Site::new();
    run(async {
        let gateways = [site.gateway("a"), site.gateway("b")];
        for gateway in &gateways {
            available(gateway).await;
        }
        granted(&gateways[0], 99).await;
        let mut asked = Vec::new();
        for number in 0..200 {
            let mut order = order(1);
            (order.bounds.in_flight_per_login_id, order.bounds.in_flight_per_contract) = (1000, 1000);
            let gateway = gateways[number % 2].clone();
            asked.push(tokio::spawn(async move { gateway.reserve(order).await }));
        }
        let mut count = 0;
        for asked in asked {
            count += usize::from(matches!(asked.await.unwrap().unwrap(), Decision::Granted(_)));
        }
        assert_eq!(count, 1);
        assert_eq!(used(&gateways[1]).await, 100);
    });
}

#[test]
fn nobody_spends_before_everybody_has_replayed() {
    let site = Site::new();
    run(async {
        let (first, second) = site.both().await;
        granted(&first, 60).await;
        first.close().await;
        // While the store is what it was, one that is down is missed by nobody.
        granted(&second, 30).await;
        site.server.ask(&["FLUSHALL"]);
        refused(&second).await;
        let members = second.members().await.unwrap();
        assert_eq!(members.len(), 2);
        while second.members().await.unwrap().iter().filter(|member| !member.has_replayed).count() != 1 {
            tokio::task::yield_now().await;
        }
        let why = refused(&second).await;
        assert!(why.contains(&*first.mark().store), "{why}");
        drop(first);
        let first = site.gateway("a");
        available(&second).await;
        available(&first).await;
        over(&second, 11, 90).await;
        over(&first, 11, 90).await;
    });
}

#[test]
fn an_operator_writes_off_a_gateway_that_will_not_come_back() {
    let site = Site::new();
    run(async {
        let (lost, stays) = site.both().await;
        let name = lost.mark().store;
        let under_way = granted(&lost, 60).await;
        lost.close().await;
        drop(lost);
        // With the data still there, what it had on its way waits for people.
        assert_eq!(stays.write_off(&name, now()).await, Ok(true));
        assert_eq!(stays.write_off(&name, now()).await, Ok(false));
        available(&stays).await;
        assert_eq!(state(&stays, under_way.id).await, Some(State::Unknown));
        assert_eq!(stays.members().await.unwrap().len(), 1);
        site.server.ask(&["FLUSHALL"]);
        refused(&stays).await;
        available(&stays).await;
        // It comes back after all, and brings what it remembers.
        let back = site.opened("a");
        assert_eq!(back.recovered.len(), 1);
        available(&back.ledger).await;
        available(&stays).await;
        assert_eq!(used(&stays).await, 60);
        assert_eq!(state(&stays, under_way.id).await, Some(State::Unknown));
    });
}

#[test]
fn a_gateway_that_is_gone_is_written_off_while_money_waits_for_it() {
    let site = Site::new();
    run(async {
        let (lost, stays) = site.both().await;
        let name = lost.mark().store;
        lost.close().await;
        site.server.ask(&["FLUSHALL"]);
        unavailable(&stays).await;
        // Until it has looked again, it cannot ask.
        while stays.write_off(&name, now()).await != Ok(true) {
            tokio::task::yield_now().await;
        }
        available(&stays).await;
        granted(&stays, 100).await;
    });
}

/// What one gateway reserved, no other settles by restarting; what is unknown any of them reconciles.
#[test]
fn reservations_belong_to_the_gateway_that_made_them() {
    let site = Site::new();
    run(async {
        let (first, second) = site.both().await;
        let under_way = granted(&first, 60).await;
        second.close().await;
        drop(second);
        let opened = site.opened("b");
        assert!(opened.recovered.is_empty());
        let second = opened.ledger;
        available(&second).await;
        assert_eq!(state(&second, under_way.id).await, Some(State::Reserved));
        let released = Verdict::Released;
        let early = second.reconcile(under_way.id, released, "x".into(), now()).await;
        assert_eq!(early, Err(ReconcileError::NotUnknown(State::Reserved)));
        first.settle_and_wait(settlement(under_way.id, Outcome::Unknown)).await.unwrap();
        second.reconcile(under_way.id, released, "asked the branch".into(), now()).await.unwrap();
        assert_eq!(state(&first, under_way.id).await, Some(State::Released));
        // The one remembers it as unknown, the other as released: the further state holds, whoever comes first.
        site.server.ask(&["FLUSHALL"]);
        for gateway in [&first, &second] {
            refused(gateway).await;
        }
        available(&first).await;
        available(&second).await;
        assert_eq!(state(&first, under_way.id).await, Some(State::Released));
        granted(&first, 100).await;
    });
}

/// LIM-41: a restored journal cannot tell what it has forgotten, so nobody relies on it.
#[test]
fn an_older_journal_waits_for_an_operator() {
    let site = Site::new();
    let at = noon();
    run(async {
        let gateway = site.gateway("a");
        granted(&gateway, 10).await;
        let store = gateway.mark().store;
        gateway.close().await;
        drop(gateway);
        fs::copy(site.path("a"), site.path("older")).unwrap();
        let gateway = site.gateway("a");
        let forgotten = granted(&gateway, 20).await;
        let known = gateway.mark();
        gateway.close().await;
        drop(gateway);
        fs::copy(site.path("older"), site.path("a")).unwrap();
        let around = Surroundings { known: Known::Store(Mark { store, ..known }), ..server::surroundings(at) };
        let opened = open(&site.settings("a"), around, at).unwrap();
        // Redis still knew it.
        assert!(opened.recovered.iter().any(|transfer| transfer.id == forgotten.id));
        let gateway = opened.ledger;
        assert!(matches!(gateway.reserve(order(1)).await, Err(StoreError::NotAccepted(_))));
        site.server.ask(&["FLUSHALL"]);
        unavailable(&gateway).await;
        refused(&gateway).await;
        while gateway.accept(at).await.is_err() {
            tokio::task::yield_now().await;
        }
        available(&gateway).await;
        assert_eq!(used(&gateway).await, 30);
    });
}

/// A second process on a copy of the journal: the later one is heard, the earlier one refused.
#[test]
fn two_processes_with_one_journal_do_not_both_move_money() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        granted(&gateway, 60).await;
        gateway.close().await;
        drop(gateway);
        fs::copy(site.path("a"), site.path("copy")).unwrap();
        let first = site.gateway("a");
        available(&first).await;
        let second = site.gateway("copy");
        assert!(second.is_available());
        refused(&first).await;
    });
}
