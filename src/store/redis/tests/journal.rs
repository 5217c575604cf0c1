//! The journal's disk fails, or another journal lies in its place: a grant that it did not take is none (LIM-24).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;

use super::super::{Opened, Settings, Surroundings, open_with};
use super::server::{self, told};
use super::site::{Site, available, granted, order, over, refused, settlement, state, until_refused_because, used};
use crate::store::Ledger;
use crate::store::contract::disk::Disk;
use crate::store::contract::history::{Told, check, check_in_the_same_process, history};
use crate::store::contract::stand::{noon, run};
use crate::store::database::OpenDatabase;
use crate::store::ledger::{Outcome, State, StoreError, Verdict};

fn open_on(settings: &Settings, opening: OpenDatabase) -> Opened {
    open_with(settings, server::surroundings(noon()), opening, noon()).unwrap()
}

/// A gateway with its journal on this disk, and Redis to itself.
fn gateway_on(site: &Site, disk: &Disk) -> Ledger {
    open_on(&site.settings("none"), disk.opening()).ledger
}

/// What counts today, as Redis itself has it.
fn counted(site: &Site) -> String {
    told(&site.server.ask(&["HGET", &format!("{{{}}}:sums:20130520", site.prefix), "accepted:hanakodt"]))
}

/// Redis forgets everything, and is told again what the journal has.
async fn from_the_journal_alone(site: &Site, gateway: &Ledger) {
    site.server.ask(&["FLUSHALL"]);
    refused(gateway).await;
    available(gateway).await;
}

#[test]
fn a_grant_that_the_journal_did_not_take_is_heard_by_nobody_and_taken_back() {
    let (site, disk) = (Site::new(), Disk::default());
    run(async {
        let gateway = gateway_on(&site, &disk);
        let before = granted(&gateway, 30).await;
        disk.fail_after(0);
        let lost = order(40);
        let heard = gateway.reserve(lost.clone()).await;
        assert_eq!(heard, Err(StoreError::Unavailable("the journal: I/O error: the disk failed".into())));
        // Other gateways need not wait for the disk.
        let taken_back = async {
            while counted(&site) != "30" {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), taken_back).await.expect("what nobody heard of is not taken back");
        assert!(gateway.settle_and_wait(settlement(before.id, Outcome::Unknown)).await.is_err());
        refused(&gateway).await;
        disk.mend();
        available(&gateway).await;
        assert_eq!(state(&gateway, lost.id).await, Some(State::Released));
        assert_eq!(state(&gateway, before.id).await, Some(State::Unknown));
        assert_eq!(used(&gateway).await, 30);
        let later = granted(&gateway, 60).await;
        over(&gateway, 11, 90).await;
        from_the_journal_alone(&site, &gateway).await;
        assert_eq!(state(&gateway, before.id).await, Some(State::Unknown));
        assert_eq!(state(&gateway, later.id).await, Some(State::Reserved));
        over(&gateway, 11, 90).await;
    });
}

/// Neither the journal nor Redis hears of its end: it counts until an operator has looked.
#[test]
fn a_grant_that_could_not_be_taken_back_is_unknown_at_the_next_start() {
    let (mut site, disk) = (Site::with(&["--appendfsync", "always"]), Disk::default());
    run(async {
        // It does not come back to Redis before that has died.
        let around = Surroundings { retry: Duration::from_secs(3_600), ..server::surroundings(noon()) };
        let gateway = open_with(&site.settings("none"), around, disk.opening(), noon()).unwrap().ledger;
        disk.fail_after(0);
        let order = order(40);
        assert!(gateway.reserve(order.clone()).await.is_err());
        site.kill();
        gateway.close().await;
        drop(gateway);
        disk.mend();
        site.start_again();
        let opened = open_on(&site.settings("none"), disk.opening());
        let recovered: Vec<_> = opened.recovered.iter().map(|transfer| (transfer.id, transfer.state)).collect();
        assert_eq!(recovered, [(order.id, State::Unknown)]);
        let gateway = opened.ledger;
        available(&gateway).await;
        over(&gateway, 61, 40).await;
        from_the_journal_alone(&site, &gateway).await;
        over(&gateway, 61, 40).await;
        gateway.reconcile(order.id, Verdict::Released, "it was never sent".into(), noon()).await.unwrap();
        granted(&gateway, 100).await;
    });
}

/// Some of the writes, syncs and changes of size that the history makes: a transaction makes about ten, so that each of its steps
/// is met in one or the other.
fn calls_of_the_history(site: &mut Site) -> impl Iterator<Item = u64> + use<> {
    site.prefix = server::some_prefix();
    let disk = Disk::default();
    let gateway = gateway_on(site, &disk);
    let before = disk.calls();
    assert_eq!(run(history(&gateway)).granted.len(), 12);
    (0..disk.calls() - before).step_by(7)
}

#[test]
fn any_write_of_the_journal_may_fail() {
    let mut site = Site::new();
    let (mut tried, mut stopped) = (0, 0);
    for failing in calls_of_the_history(&mut site) {
        let when = format!("call {failing}");
        let disk = Disk::default();
        site.prefix = server::some_prefix();
        let gateway = gateway_on(&site, &disk);
        disk.fail_after(failing);
        run(async {
            let told = history(&gateway).await;
            (tried, stopped) = (tried + 1, stopped + u32::from(!gateway.is_available()));
            disk.mend();
            available(&gateway).await;
            check_in_the_same_process(&gateway, &told, &when).await;
            from_the_journal_alone(&site, &gateway).await;
            check_in_the_same_process(&gateway, &told, &format!("{when}, told again")).await;
        });
    } // The database joins neighbouring writes as they come, so that a history may make a few less.
    assert!(stopped > tried / 2, "{stopped} of {tried}");
}

/// The gateway's power goes; what it had heard of is in the journal, whether Redis still has it or not.
#[test]
fn the_power_may_go_at_any_write_of_the_journal() {
    let mut site = Site::new();
    for failing in calls_of_the_history(&mut site) {
        let disk = Disk::default();
        site.prefix = server::some_prefix();
        let gateway = gateway_on(&site, &disk);
        disk.fail_after(failing);
        let told = run(history(&gateway));
        drop(gateway);
        let seed = failing % 3;
        let when = format!("call {failing}, seed {seed}");
        run(async {
            let later = gateway_on(&site, &disk.after_a_crash(seed));
            available(&later).await;
            check_later(&later, &told, &when).await;
            from_the_journal_alone(&site, &later).await;
            check_later(&later, &told, &format!("{when}, told again")).await;
        });
    }
}

async fn check_later(gateway: &Ledger, told: &Told, when: &str) {
    check(gateway, told, when).await;
    assert_eq!(gateway.counts().reserved, 0, "{when}");
}

#[test]
fn another_journal_in_the_place_of_this_one_moves_no_money() {
    let (site, disk) = (Site::new(), Disk::default());
    let place = Arc::new(Mutex::new(disk.clone()));
    let there = Arc::clone(&place);
    let opening: OpenDatabase = Box::new(move |occasion| {
        let disk = there.lock().unwrap().clone();
        disk.opening()(occasion)
    });
    run(async {
        let gateway = open_on(&site.settings("none"), opening).ledger;
        granted(&gateway, 30).await;
        let older = disk.after_a_crash(1);
        granted(&gateway, 20).await;
        // One that has come further.
        let (another, prefix) = (Disk::default(), server::some_prefix());
        let elsewhere = open_on(&Settings { prefix, ..site.settings("none") }, another.opening()).ledger;
        for _ in 0..3 {
            granted(&elsewhere, 1).await;
        }
        elsewhere.close().await;
        disk.fail_after(0);
        refused(&gateway).await;
        for other in [Disk::default(), older, another] {
            *place.lock().unwrap() = other;
            until_refused_because(&gateway, "another store lies in the place of this one, or an older copy of it")
                .await;
            *place.lock().unwrap() = disk.clone();
            until_refused_because(&gateway, "the disk failed").await;
        }
        assert_eq!(counted(&site), "50");
        disk.mend();
        available(&gateway).await;
        granted(&gateway, 50).await;
        from_the_journal_alone(&site, &gateway).await;
        over(&gateway, 1, 100).await;
    });
}
