//! Whatever write fails, and whenever the power goes: what was acknowledged is there, and sums are never too small.

use std::time::Duration;

use super::super::{OpenError, Opened, open_with};
use super::disk::Disk;
use crate::domain::{LoginId, TransferId};
use crate::store::Ledger;
use crate::store::contract::stand::{debit, noon, run, settings, yen};
use crate::store::ledger::{
    Basis, Bounds, Claim, Decision, Entry, EntryKey, Grant, Holder, Lines, Mode, Order, Outcome, OverLimit, Renewal,
    Settlement, State, Term, Verdict,
};

const LOGIN_ID: &str = "hanakodt";

fn open(disk: &Disk) -> Result<Opened, OpenError> {
    open_with(&settings("memory".into()), disk.opening(), noon())
}

fn order(number: u8) -> Order {
    Order {
        id: TransferId::from_bytes([number; 16]),
        holder: Holder::alone(&LoginId::parse(LOGIN_ID).unwrap()),
        claim: Claim::Stated(yen(1)),
        debits: vec![debit(crate::domain::JstDate::of(noon()), 1000)],
        route: "furikomi".into(),
        at: noon(),
        token: None,
        bounds: Bounds {
            in_flight_per_login_id: 1000,
            in_flight_per_contract: 1000,
            per_login_id: None,
            over_limit: OverLimit::Clamp,
            clock_tolerance: std::time::Duration::ZERO,
        },
        mode: Mode::Enforce,
    }
}

fn settlement(number: u8, outcome: Outcome) -> Settlement {
    Settlement { id: order(number).id, outcome, why: "test", at: noon() }
}

/// What the caller was told.
#[derive(Default)]
struct Told {
    granted: Vec<u8>,
    committed: Vec<u8>,
    /// Asked to be released, whether or not the answer came.
    released: Vec<u8>,
}

/// Twelve orders; each third is committed, each third released, the rest stay as they are. Any step may fail.
async fn history(ledger: &Ledger) -> Told {
    let mut told = Told::default();
    for number in 1..=12 {
        if !matches!(ledger.reserve(order(number)).await, Ok(Decision::Granted(_))) {
            continue;
        }
        told.granted.push(number);
        match number % 3 {
            0 => {
                let answer = ledger.settle_and_wait(settlement(number, Outcome::Committed)).await;
                told.committed.extend(answer.is_ok().then_some(number));
            }
            1 => {
                told.released.push(number);
                let _ = ledger.settle_and_wait(settlement(number, Outcome::Released)).await;
            }
            _ => {}
        }
    }
    told
}

/// Every grant that was heard is on record, in a state that agrees with what was asked; the sum is that of the
/// transfers that count.
async fn check(ledger: &Ledger, told: &Told, when: &str) {
    for number in &told.granted {
        let transfer = ledger.transfer(order(*number).id).await.unwrap();
        let state = transfer.unwrap_or_else(|| panic!("{when}: grant {number} is forgotten")).state;
        if told.committed.contains(number) {
            assert_eq!(state, State::Committed, "{when}: {number}");
        } else if !told.released.contains(number) {
            assert_ne!(state, State::Released, "{when}: {number}");
        }
    }
    let members = order(1).holder.members;
    let statement = ledger.statement(order(1).holder.contract, members, order(1).debits[0].day).await.unwrap();
    let counted = statement.transfers.iter().filter(|transfer| transfer.state.counts()).count();
    let used = statement.used.iter().find(|used| used.basis == Basis::Accepted).map_or(0, |used| used.amount.get());
    assert_eq!(used, counted as u64, "{when}");
    assert!(counted >= told.granted.len() - told.released.len(), "{when}");
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
            check(&opened.ledger, &told, &when).await;
            // In the same process what is in flight stays so, what was refused does not, and nothing settled is lost.
            let unknown = opened.ledger.counts().unknown;
            assert_eq!(unknown, 0, "{when}");
            for number in 1..=12 {
                let state = opened.ledger.transfer(order(number).id).await.unwrap().map(|transfer| transfer.state);
                let expected = match (told.granted.contains(&number), number % 3) {
                    (true, 0) => Some(State::Committed),
                    (true, 1) => Some(State::Released),
                    (true, _) => Some(State::Reserved),
                    (false, _) => state.map(|_| State::Released),
                };
                assert_eq!(state, expected, "{when}: {number}");
            }
            opened.ledger.close().await;
        });
        run(check(&open(&disk).unwrap().ledger, &Told::default(), &when));
    }
    // The database joins neighbouring writes as they come, so that a history may make a few less.
    assert!(stopped > calls * 9 / 10, "{stopped} of {calls}");
}

/// Waits until the ledger takes part again.
async fn recovered(ledger: &Ledger) {
    while !ledger.is_available() {
        tokio::task::yield_now().await;
    }
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
