//! Whatever write fails, and whenever the power goes: what was acknowledged is there, and sums are never too small.

use std::time::Duration;

use super::super::{OpenError, Opened, open_with};
use crate::domain::{LoginId, TransferId};
use crate::store::contract::disk::Disk;
use crate::store::contract::history::{
    LOGIN_ID, Told, check, check_in_the_same_process, history, order, recovered, settlement,
};
use crate::store::contract::stand::{noon, run, settings, yen};
use crate::store::ledger::{Claim, Decision, Entry, EntryKey, Grant, Lines, Order, Outcome, Renewal, Term, Verdict};

fn open(disk: &Disk) -> Result<Opened, OpenError> {
    open_with(&settings("memory".into()), disk.opening(), noon())
}

/// How many writes, syncs and changes of size the whole history makes.
fn calls_of_the_history() -> (u64, u64) {
    let disk = Disk::default();
    let opened = open(&disk).unwrap();
    let before = disk.calls();
    run(history(&opened.ledger));
    let after = disk.calls();
    drop(opened);
    (before, after - before)
}

#[test]
fn any_write_may_fail() {
    let (_, calls) = calls_of_the_history();
    let mut stopped = 0;
    for failing in 0..calls {
        let when = format!("call {failing}");
        let disk = Disk::default();
        let opened = open(&disk).unwrap();
        disk.fail_after(failing);
        run(async {
            let told = history(&opened.ledger).await;
            stopped += u64::from(!opened.ledger.is_available());
            disk.mend();
            recovered(&opened.ledger).await;
            check_in_the_same_process(&opened.ledger, &told, &when).await;
            opened.ledger.close().await;
        });
        run(check(&open(&disk).unwrap().ledger, &Told::default(), &when));
    }
    // The database joins neighbouring writes as they come, so that a history may make a few less.
    assert!(stopped > calls * 9 / 10, "{stopped} of {calls}");
}

#[test]
fn the_power_may_go_at_any_write() {
    let (_, calls) = calls_of_the_history();
    for failing in 0..calls {
        let disk = Disk::default();
        let opened = open(&disk).unwrap();
        disk.fail_after(failing);
        let told = run(history(&opened.ledger));
        for seed in [0, 1, 2] {
            let when = format!("call {failing}, seed {seed}");
            let later = open(&disk.after_a_crash(seed)).unwrap_or_else(|error| panic!("{when}: {error:?}"));
            run(async {
                check(&later.ledger, &told, &when).await;
                assert_eq!(later.ledger.counts().reserved, 0, "{when}");
                for transfer in later.ledger.unknown().await.unwrap() {
                    let verdict = later.ledger.reconcile(transfer.id, Verdict::Released, "lost".into(), noon()).await;
                    assert!(verdict.is_ok(), "{when}");
                }
            });
        }
    }
}

/// Also while the file is made, or what was left in it is recovered: an error, or a store that works.
#[test]
fn a_start_may_fail_at_any_write() {
    let (calls, _) = calls_of_the_history();
    for failing in 0..calls {
        let disk = Disk::default();
        disk.fail_after(failing);
        assert!(open(&disk).is_err(), "call {failing}");
        for seed in [0, 1, 2] {
            let later = disk.after_a_crash(seed);
            // Half a first page is damage that an operator must see: it is told, never taken for an empty store.
            let Ok(opened) = open(&later) else { continue };
            let told = run(history(&opened.ledger));
            assert_eq!(told.granted.len(), 12, "call {failing}, seed {seed}");
        }
    }
}

/// Nobody waits for a renewal; it is written all the same when the disk is back.
#[test]
fn a_renewal_is_not_lost_where_its_write_fails() {
    let mut stopped = 0;
    for failing in 0..8 {
        let disk = Disk::default();
        let ledger = open(&disk).unwrap().ledger;
        let (owner, key) = (LoginId::parse(LOGIN_ID).unwrap(), EntryKey::of(&["session"]));
        let term = Term::WhileActive(Duration::from_secs(100));
        let entry = Entry { key, owner: owner.clone(), lines: Lines::whole(yen(70)), at: noon(), term, most: 1 };
        run(async {
            ledger.enter(entry).await.unwrap();
            disk.fail_after(failing);
            ledger.renew(Renewal { owner, at: noon() + Duration::from_secs(90), lifetime: Duration::ZERO });
            // With what waits for an answer, so that it is known when it was tried.
            let told = ledger.transfer(order(1).id).await;
            stopped += u32::from(told.is_err());
            disk.mend();
            recovered(&ledger).await;
            let at = noon() + Duration::from_secs(190);
            let commit = Order { claim: Claim::Entered { key, repeated: None }, at, ..order(1) };
            let decision = ledger.reserve(commit).await.unwrap();
            assert!(matches!(decision, Decision::Granted(Grant { amount, .. }) if amount == yen(70)), "{decision:?}");
        });
    }
    assert!(stopped > 2, "{stopped}");
}

#[test]
fn a_full_disk_stops_money_until_there_is_room() {
    let disk = Disk::default();
    let opened = open(&disk).unwrap();
    disk.fill();
    run(async {
        let mut number = 0;
        let mut last = order(0);
        let refused = loop {
            last.id = TransferId::from_bytes([&[1; 12][..], &u32::to_be_bytes(number)].concat().try_into().unwrap());
            last.debits[0].ceiling = yen(1_000_000);
            last.bounds.in_flight_per_login_id = u32::MAX;
            last.bounds.in_flight_per_contract = u32::MAX;
            last.route = "x".repeat(10_000).into();
            if let Err(refused) = opened.ledger.reserve(last.clone()).await {
                break refused;
            }
            number += 1;
        };
        assert!(refused.to_string().contains("the store does not answer"), "{refused}");
        disk.mend();
        recovered(&opened.ledger).await;
        assert_eq!(opened.ledger.counts().reserved, u64::from(number));
        last.id = order(9).id;
        assert!(matches!(opened.ledger.reserve(last).await, Ok(Decision::Granted(_))));
        assert_eq!(opened.ledger.counts().reserved, u64::from(number) + 1);
    });
}

/// Whoever lets go of the ledger joins its thread, which must end although its last transaction fails.
#[test]
fn a_ledger_whose_last_write_fails_still_closes() {
    for failing in 0..4 {
        let disk = Disk::default();
        let ledger = open(&disk).unwrap().ledger;
        let granted = run(ledger.reserve(order(1)));
        assert!(matches!(granted, Ok(Decision::Granted(_))));
        disk.fail_after(failing);
        // It waits a moment for company, so that the end comes with it.
        ledger.settle(settlement(1, Outcome::Committed));
        let (closed, is_closed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(ledger);
            closed.send(())
        });
        let ended = is_closed.recv_timeout(Duration::from_secs(5));
        assert!(ended.is_ok(), "call {failing}: the ledger's thread never ends");
    }
}
