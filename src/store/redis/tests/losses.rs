//! Redis forgets (LIM-24, A44): whatever it acknowledged is counted again before money moves.

use std::time::Duration;

use jiff::ToSpan as _;

use super::super::Settings;
use super::server::{self, RunningServer};
use super::site::{
    Site, available, granted, order, over, refused, renewal, settlement, state, today, unavailable, used,
};
use crate::domain::Yen;
use crate::store::Ledger;
use crate::store::contract::stand::{noon, run, yen};
use crate::store::ledger::{
    Addition, Basis, Claim, Decision, Denied, Entered, Entry, EntryKey, Line, Lines, Order, OrderNumber, Outcome,
    State, Verdict,
};

/// Forty committed, thirty on their way, twenty unknown, and ten that were released.
async fn history(gateway: &Ledger) -> [crate::store::ledger::Order; 4] {
    let orders = [
        granted(gateway, 40).await,
        granted(gateway, 30).await,
        granted(gateway, 20).await,
        granted(gateway, 10).await,
    ];
    for (order, outcome) in
        [(&orders[0], Outcome::Committed), (&orders[2], Outcome::Unknown), (&orders[3], Outcome::Released)]
    {
        gateway.settle_and_wait(settlement(order.id, outcome)).await.unwrap();
    }
    orders
}

async fn as_it_was(gateway: &Ledger, orders: &[crate::store::ledger::Order; 4]) {
    assert_eq!(used(gateway).await, 90);
    let states = [State::Committed, State::Reserved, State::Unknown, State::Released];
    for (order, expected) in orders.iter().zip(states) {
        assert_eq!(state(gateway, order.id).await, Some(expected));
    }
    assert_eq!((gateway.counts().reserved, gateway.counts().unknown), (1, 1));
    over(gateway, 11, 90).await;
    assert_eq!(gateway.reserve(orders[0].clone()).await, Ok(Decision::Denied(Denied::Duplicate)));
}

#[test]
fn what_a_dead_server_had_on_its_disk_is_still_there() {
    let mut site = Site::with(&["--appendfsync", "always"]);
    run(async {
        let gateway = site.gateway("a");
        let orders = history(&gateway).await;
        site.kill();
        unavailable(&gateway).await;
        refused(&gateway).await;
        site.start_again();
        available(&gateway).await;
        as_it_was(&gateway, &orders).await;
    });
}

#[test]
fn a_server_that_lost_its_disk_is_told_again() {
    let mut site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        let orders = history(&gateway).await;
        site.kill();
        unavailable(&gateway).await;
        site.start_empty();
        available(&gateway).await;
        as_it_was(&gateway, &orders).await;
        gateway.settle_and_wait(settlement(orders[1].id, Outcome::Released)).await.unwrap();
        granted(&gateway, 40).await;
    });
}

/// Nothing breaks the connection: the very next order must see it.
#[test]
fn after_flushall_no_order_finds_an_empty_sum() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        let orders = history(&gateway).await;
        for flush in [["FLUSHALL", "SYNC"], ["FLUSHALL", "ASYNC"]] {
            site.server.ask(&flush);
            refused(&gateway).await;
            available(&gateway).await;
            as_it_was(&gateway, &orders).await;
        }
    });
}

#[test]
fn a_script_that_was_flushed_is_sent_again() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        granted(&gateway, 60).await;
        site.server.ask(&["SCRIPT", "FLUSH"]);
        over(&gateway, 41, 60).await;
        site.server.ask(&["SCRIPT", "FLUSH"]);
        granted(&gateway, 40).await;
        assert!(gateway.is_available());
    });
}

/// Entries, own limits and an operator's word are put back too; what is committed is not committed again.
#[test]
fn everything_that_decides_is_told_again() {
    let mut site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        let key = EntryKey::of(&["session"]);
        let entry = super::site::entry(key, 70);
        assert_eq!(gateway.enter(entry.clone()).await, Ok(Entered::Kept(yen(70))));
        let order = granted(&gateway, 20).await;
        gateway.learn_own_limit(order.holder.contract.clone(), Some(yen(80)), noon()).await.unwrap();
        gateway.settle_and_wait(settlement(order.id, Outcome::Unknown)).await.unwrap();
        gateway.reconcile(order.id, Verdict::Released, "asked the branch".into(), noon()).await.unwrap();
        site.kill();
        unavailable(&gateway).await;
        site.start_empty();
        available(&gateway).await;
        let told = gateway.transfer(order.id).await.unwrap().unwrap();
        assert_eq!((told.state, &*told.why), (State::Released, "asked the branch"));
        let mut commit = super::site::order(1);
        commit.claim = Claim::Entered { key, repeated: None };
        let Ok(Decision::Granted(grant)) = gateway.reserve(commit).await else { panic!("it was denied") };
        assert_eq!(grant.amount, yen(70));
        let used = Yen::new(70).unwrap();
        let own = Denied::OverLimit {
            whose: crate::store::ledger::Whose::Contract,
            day: super::site::today(),
            limit: yen(80),
            used,
        };
        assert_eq!(gateway.reserve(super::site::order(11)).await, Ok(Decision::Denied(own)));
        let entry = Entry { lines: Lines::whole(yen(1)), ..entry };
        assert_eq!(gateway.enter(entry).await, Ok(Entered::InUse));
    });
}

/// The settlement is in the journal; Redis hears of it when it is back, also from the next process.
#[test]
fn a_settlement_outlives_redis_and_the_process() {
    let mut site = Site::with(&["--appendfsync", "always"]);
    run(async {
        let gateway = site.gateway("a");
        let (first, second) = (granted(&gateway, 10).await, granted(&gateway, 20).await);
        site.kill();
        let told = gateway.settle_and_wait(settlement(first.id, Outcome::Committed)).await;
        assert!(told.is_err());
        gateway.settle(settlement(second.id, Outcome::Released));
        gateway.close().await;
        drop(gateway);
        let later = site.opened("a");
        assert!(later.recovered.is_empty());
        assert!(!later.ledger.is_available());
        site.start_again();
        available(&later.ledger).await;
        assert_eq!(state(&later.ledger, first.id).await, Some(State::Committed));
        assert_eq!(state(&later.ledger, second.id).await, Some(State::Released));
        assert_eq!(used(&later.ledger).await, 10);
    });
}

/// LIM-39: what the replica never heard of is put back before money moves on the new primary.
#[test]
fn a_replica_that_lagged_is_told_what_it_missed() {
    let site = Site::with(&server::AT_ONCE);
    let place = site.path("replica");
    std::fs::create_dir(&place).unwrap();
    let primary = site.server.port.to_string();
    let replica = RunningServer::start(&place, &["--appendonly", "yes", "--replicaof", "127.0.0.1", &primary]);
    replica.until(&["INFO", "replication"], "master_link_status:up");
    run(async {
        // The gateway is never sent to the replica while there is a primary.
        let settings = server::settings(&[&replica, &site.server], &site.prefix, &site.path("a"));
        let mut strict = settings.clone();
        (strict.replicas, strict.journal) = (1, site.path("b"));
        let gateway = server::open(&settings, noon()).ledger;
        available(&gateway).await;
        granted(&gateway, 30).await;
        let other = server::open(&strict, noon()).ledger;
        available(&other).await;
        available(&gateway).await;
        granted(&other, 30).await;
        replica.send("-STOP");
        granted(&gateway, 30).await;
        // Who wants a replica to have it is refused, and nothing is left behind once both have come back.
        refused(&other).await;
        site.kill();
        unavailable(&gateway).await;
        unavailable(&other).await;
        replica.send("-CONT");
        replica.ask(&["REPLICAOF", "NO", "ONE"]);
        available(&gateway).await;
        available(&other).await;
        assert_eq!(used(&gateway).await, 90);
        over(&gateway, 11, 90).await;
        granted(&gateway, 10).await;
    });
}

/// The one who corrected is not the one who remembers how it was settled; whoever replays first, the correction holds.
#[test]
fn a_correction_outlives_a_loss_whoever_remembers_what_was_before() {
    for owner_first in [true, false] {
        let site = Site::new();
        run(async {
            let (owner, corrector) = site.both().await;
            let order = granted(&owner, 40).await;
            owner.settle_and_wait(settlement(order.id, Outcome::Committed)).await.unwrap();
            corrector.correct(order.id, Verdict::Released, "the books".into(), noon()).await.unwrap();
            assert_eq!(used(&owner).await, 0);
            let [first, second] = if owner_first { ["a", "b"] } else { ["b", "a"] };
            owner.close().await;
            corrector.close().await;
            drop((owner, corrector));
            site.server.ask(&["FLUSHALL"]);
            let gateways = [site.gateway(first), site.gateway(second)];
            available(&gateways[0]).await;
            available(&gateways[1]).await;
            assert_eq!(state(&gateways[0], order.id).await, Some(State::Released));
            assert_eq!(used(&gateways[0]).await, 0);
            // The next correction is the next one, also of the other.
            gateways[1].correct(order.id, Verdict::Committed, "no".into(), noon()).await.unwrap();
            site.server.ask(&["FLUSHALL"]);
            refused(&gateways[0]).await;
            available(&gateways[0]).await;
            assert_eq!(state(&gateways[0], order.id).await, Some(State::Committed));
            assert_eq!(used(&gateways[0]).await, 40);
        });
    }
}

/// The customer cancelled at the other gateway. What of the order's number is lost frees nothing.
#[test]
fn a_cancelled_order_stays_released_after_a_loss_and_its_number_is_gone() {
    let site = Site::new();
    run(async {
        let (owner, other) = site.both().await;
        let (cancelled, kept) = (granted(&owner, 40).await, granted(&owner, 2).await);
        for (order, number) in [(&cancelled, "7"), (&kept, "8")] {
            owner.settle_and_wait(settlement(order.id, Outcome::Committed)).await.unwrap();
            owner.number(OrderNumber::of(&order.holder.contract, number), order.id);
        }
        let number = |text| OrderNumber::of(&kept.holder.contract, text);
        // The next answer tells that the numbers have arrived.
        assert_eq!(used(&owner).await, 42);
        assert!(other.cancel(number("7"), noon()).await.unwrap().is_some());
        site.server.ask(&["FLUSHALL"]);
        refused(&owner).await;
        available(&owner).await;
        available(&other).await;
        assert_eq!(state(&owner, cancelled.id).await, Some(State::Released));
        assert_eq!(other.cancel(number("8"), noon()).await, Ok(None));
        assert_eq!(used(&owner).await, 2);
    });
}

#[test]
fn what_an_operator_added_outlives_a_loss() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        available(&gateway).await;
        let order = order(70);
        let addition = Addition {
            id: order.id,
            contract: order.holder.contract,
            login_id: order.holder.login_id,
            amount: yen(70),
            day: today(),
            bases: vec![Basis::Accepted],
            why: "receipt 4711".into(),
            at: noon(),
        };
        let added = gateway.add(addition).await.unwrap();
        site.server.ask(&["FLUSHALL"]);
        refused(&gateway).await;
        available(&gateway).await;
        assert_eq!(gateway.transfer(order.id).await, Ok(Some(added)));
        over(&gateway, 31, 70).await;
    });
}

/// A customer who entered an amount at one gateway and looks at pages at the other, which remembers the amount then.
#[test]
fn what_was_renewed_outlives_a_loss_whoever_renewed_it() {
    let site = Site::new();
    run(async {
        let (first, second) = site.both().await;
        let entry = super::site::entry(EntryKey::of(&["session"]), 70);
        first.enter(entry.clone()).await.unwrap();
        second.renew(renewal(90));
        assert_eq!(used(&second).await, 0, "it was heard before this was asked");
        for flushed in [false, true] {
            if flushed {
                site.server.ask(&["FLUSHALL"]);
                refused(&first).await;
                available(&first).await;
            }
            let at = noon() + 190.seconds();
            let commit = Order { claim: Claim::Entered { key: entry.key, repeated: None }, at, ..order(1) };
            let Ok(Decision::Granted(grant)) = first.reserve(commit.clone()).await else { panic!("it was denied") };
            assert_eq!(grant.amount, yen(70));
            first.settle_and_wait(settlement(commit.id, Outcome::Released)).await.unwrap();
        }
    });
}

/// Nobody waits for a renewal; Redis hears of it all the same when it is back.
#[test]
fn a_renewal_outlives_redis() {
    let mut site = Site::with(&["--appendfsync", "always"]);
    run(async {
        let gateway = site.gateway("a");
        let entry = super::site::entry(EntryKey::of(&["session"]), 70);
        gateway.enter(entry.clone()).await.unwrap();
        site.kill();
        gateway.renew(renewal(90));
        unavailable(&gateway).await;
        site.start_again();
        available(&gateway).await;
        let commit =
            Order { claim: Claim::Entered { key: entry.key, repeated: None }, at: noon() + 190.seconds(), ..order(1) };
        let Ok(Decision::Granted(grant)) = gateway.reserve(commit).await else { panic!("it was denied") };
        assert_eq!(grant.amount, yen(70));
    });
}

/// What a gateway of the version before has written in Redis is what was entered, without lines.
#[test]
fn an_entry_of_the_version_before_counts() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        let key = EntryKey::of(&["T1"]);
        assert_eq!(gateway.enter(super::site::entry(key, 60)).await, Ok(Entered::Kept(yen(60))));
        let place = format!("{{{}}}:entry:{}", site.prefix, data_encoding::HEXLOWER.encode(key.as_bytes()));
        let redis::Value::BulkString(kept) = site.server.ask(&["HGET", &place, "hanakodt"]) else { panic!("{place}") };
        let kept = String::from_utf8(kept).unwrap();
        let (_, rest) = kept.split_once(' ').unwrap();
        site.server.ask(&["HSET", &place, "hanakodt", &format!("60 {rest}")]);
        let claim = Claim::Entered { key, repeated: None };
        let commit = Order { claim, ..order(1) };
        let decision = gateway.reserve(commit.clone()).await;
        assert!(matches!(&decision, Ok(Decision::Granted(grant)) if grant.amount == yen(60)), "{decision:?}");
        gateway.settle_and_wait(settlement(commit.id, Outcome::Released)).await.unwrap();
        for seconds in [50, 90] {
            gateway.renew(renewal(seconds));
            granted(&gateway, 1).await;
        }
        assert!(gateway.is_available());
    });
}

/// Redis is everybody's: whoever has entered as much as one login ID may, and comes again on a few connections, holds up nobody.
#[test]
fn renewals_of_many_lines_do_not_hold_up_the_store() {
    const CONNECTIONS: u64 = 5;
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        // As many as a form of max-fields = 200 brings beside its number.
        let lines = Lines::of((1..=199).map(|at| (Line::named(&format!("kingaku{at}")), yen(1)))).unwrap();
        for number in 0..1000 {
            let key = EntryKey::of(&["T", &number.to_string()]);
            let entry = Entry { lines: lines.clone(), most: 199_000, ..super::site::entry(key, 2) };
            assert_eq!(gateway.enter(entry).await, Ok(Entered::Kept(yen(199))));
        }
        gateway.close().await;
        // As shipped.
        let settings = Settings { response_timeout: Duration::from_millis(500), ..site.settings("a") };
        let gateway = server::open(&settings, noon()).ledger;
        available(&gateway).await;
        for seconds in 1..=CONNECTIONS {
            gateway.renew(renewal(seconds));
        }
        granted(&gateway, 1).await;
    });
}
