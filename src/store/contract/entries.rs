//! Amounts of earlier screens: whose they are, how long they live, and how many there may be (LIM-18, LIM-33).

use std::time::Duration;

use super::stand::{Stand, each_store, yen};
use crate::domain::Yen;
use crate::store::ledger::{Claim, Denied, Entered, Entry, EntryKey, Line, Lines, Mode, Order, Outcome, Term};

fn key(name: &str) -> EntryKey {
    EntryKey::of(&[name])
}

async fn enter(stand: &Stand, owner: &str, name: &str, amount: u64) -> Entered {
    stand.ledger.enter(stand.entry(owner, key(name), amount)).await.unwrap()
}

fn commit(stand: &Stand, login_id: &str, name: &str) -> Order {
    Order { claim: Claim::Entered { key: key(name), repeated: None }, ..stand.order(login_id, 1) }
}

/// What a commit would move, by any login ID; nothing is left of it.
async fn holds(stand: &Stand, name: &str) -> u64 {
    let order = commit(stand, "nobody", name);
    let amount = stand.granted(&order).await.amount;
    stand.settle(&order, Outcome::Released).await;
    amount.get()
}

async fn is_gone(stand: &Stand, name: &str) {
    assert_eq!(stand.denied(&commit(stand, "nobody", name)).await, Denied::NoEntry, "{name}");
}

/// A session of the application that is looked at now and then lives for days, and with it what was entered there.
#[test]
fn an_entry_lives_while_its_owner_is_active() {
    each_store(async |mut stand| {
        enter(&stand, "hanakodt", "T1", 99).await;
        enter(&stand, "tarokdt", "T2", 50).await;
        for round in 0..5 {
            stand.pass(100);
            stand.renew("hanakodt");
            if round == 2 {
                stand.restart().await;
            }
        }
        assert_eq!(holds(&stand, "T1").await, 99);
        is_gone(&stand, "T2").await;
        // A smaller one beside it changes nothing while it lives.
        assert_eq!(enter(&stand, "hanakodt", "T1", 1).await, Entered::Kept(yen(99)));
        stand.pass(100);
        assert_eq!(holds(&stand, "T1").await, 99);
        // What has ended stays so.
        stand.pass(1);
        stand.renew("hanakodt");
        is_gone(&stand, "T1").await;
        assert_eq!(enter(&stand, "hanakodt", "T1", 1).await, Entered::Kept(yen(1)));
    });
}

/// Whoever opens a connection for each request causes no write for each; the ends are those of the contract all the same.
#[test]
fn a_renewal_may_pass_over_a_tenth_of_the_lifetime() {
    each_store(async |mut stand| {
        enter(&stand, "hanakodt", "T1", 99).await;
        enter(&stand, "tarokdt", "T2", 99).await;
        stand.pass(9);
        stand.renew("hanakodt");
        stand.pass(1);
        stand.renew("tarokdt");
        stand.pass(91);
        is_gone(&stand, "T1").await;
        assert_eq!(holds(&stand, "T2").await, 99);
    });
}

/// Each of those who entered something under one key keeps the own amount alive, and no other.
#[test]
fn an_entry_belongs_to_whoever_made_it() {
    each_store(async |mut stand| {
        assert_eq!(enter(&stand, "hanakodt", "T1", 1).await, Entered::Kept(yen(1)));
        assert_eq!(enter(&stand, "tarokdt", "T1", 99).await, Entered::Kept(yen(99)));
        assert_eq!(enter(&stand, "hanakodt", "T1", 2).await, Entered::Kept(yen(99)));
        stand.pass(60);
        stand.renew("tarokdt");
        stand.pass(60);
        assert_eq!(holds(&stand, "T1").await, 99);
        assert_eq!(enter(&stand, "hanakodt", "T1", 3).await, Entered::Kept(yen(99)));
        stand.pass(60);
        assert_eq!(holds(&stand, "T1").await, 3);
    });
}

/// LIM-19: an order waits for its approval whoever is active, and no longer.
#[test]
fn an_entry_of_a_fixed_term_is_not_renewed() {
    each_store(async |mut stand| {
        assert_eq!(stand.enter(key("order"), 10, 100).await, Entered::Kept(yen(10)));
        stand.pass(100);
        stand.renew("hanakodt");
        assert_eq!(holds(&stand, "order").await, 10);
        stand.pass(1);
        is_gone(&stand, "order").await;
    });
}

/// One customer who enters much is refused, and nobody else.
#[test]
fn the_entries_of_one_login_id_are_bounded() {
    each_store(async |mut stand| {
        for name in ["T1", "T2", "T3"] {
            enter(&stand, "hanakodt", name, 10).await;
        }
        assert_eq!(enter(&stand, "hanakodt", "T4", 1).await, Entered::TooMany);
        is_gone(&stand, "T4").await;
        assert_eq!(enter(&stand, "tarokdt", "T4", 20).await, Entered::Kept(yen(20)));
        // Also where the key is another's already.
        assert_eq!(enter(&stand, "hanakodt", "T4", 30).await, Entered::TooMany);
        assert_eq!(enter(&stand, "hanakodt", "T1", 40).await, Entered::Kept(yen(40)));
        // Each kind has a number of its own.
        assert_eq!(stand.enter(key("order"), 5, 1000).await, Entered::Kept(yen(5)));
        stand.restart().await;
        assert_eq!(enter(&stand, "hanakodt", "T5", 1).await, Entered::TooMany);
        stand.pass(90);
        stand.renew("hanakodt");
        stand.pass(100);
        assert_eq!(enter(&stand, "hanakodt", "T5", 1).await, Entered::TooMany);
        stand.pass(1);
        for name in ["T5", "T1", "T6"] {
            assert_eq!(enter(&stand, "hanakodt", name, 1).await, Entered::Kept(yen(1)), "{name}");
        }
        assert_eq!(enter(&stand, "hanakodt", "T7", 1).await, Entered::TooMany);
        assert_eq!(holds(&stand, "order").await, 5);
    });
}

/// As many as one login ID may have, all of them ended, are no burden for the next.
#[test]
fn what_has_ended_makes_room() {
    each_store(async |mut stand| {
        for round in 0..4 {
            for number in 0..40 {
                let entry = Entry { most: 40, ..stand.entry("hanakodt", key(&format!("{round} {number}")), 1) };
                assert_eq!(stand.ledger.enter(entry).await, Ok(Entered::Kept(yen(1))), "{round} {number}");
            }
            stand.pass(101);
        }
    });
}

/// Of the lifetime of an earlier configuration and the present one, the longer holds for what was entered before.
#[test]
fn an_entry_is_renewed_by_its_own_lifetime_or_a_longer_one() {
    each_store(async |mut stand| {
        let term = Term::WhileActive(Duration::from_secs(1000));
        let long = Entry { term, ..stand.entry("hanakodt", key("long"), 7) };
        assert_eq!(stand.ledger.enter(long).await, Ok(Entered::Kept(yen(7))));
        enter(&stand, "hanakodt", "short", 8).await;
        stand.pass(100);
        stand.renew("hanakodt");
        stand.pass(101);
        is_gone(&stand, "short").await;
        stand.pass(899);
        assert_eq!(holds(&stand, "long").await, 7);
        enter(&stand, "hanakodt", "short", 8).await;
        stand.renew_for("hanakodt", 500);
        stand.restart().await;
        stand.pass(500);
        assert_eq!(holds(&stand, "short").await, 8);
        // From now on that is its own.
        stand.renew("hanakodt");
        stand.pass(500);
        assert_eq!(holds(&stand, "short").await, 8);
    });
}

fn lines(of: &[(&str, u64)]) -> Lines {
    Lines::of(of.iter().map(|(name, amount)| (Line::named(name), yen(*amount)))).unwrap()
}

async fn fill(stand: &Stand, owner: &str, name: &str, of: &[(&str, u64)]) -> Entered {
    let entry = Entry { lines: lines(of), ..stand.entry(owner, key(name), 1) };
    stand.ledger.enter(entry).await.unwrap()
}

/// LIM-10, LIM-33: a form that the application keeps is filled line by line, by whoever has its session.
#[test]
fn of_each_line_the_largest_amount_is_kept() {
    each_store(async |mut stand| {
        assert_eq!(fill(&stand, "hanakodt", "T1", &[("kingaku1", 30), ("kingaku2", 1)]).await, Entered::Kept(yen(31)));
        assert_eq!(fill(&stand, "hanakodt", "T1", &[("kingaku2", 20)]).await, Entered::Kept(yen(50)));
        assert_eq!(fill(&stand, "hanakodt", "T1", &[("kingaku1", 2)]).await, Entered::Kept(yen(50)));
        assert_eq!(fill(&stand, "tarokdt", "T1", &[("kingaku3", 7), ("kingaku1", 31)]).await, Entered::Kept(yen(58)));
        stand.restart().await;
        assert_eq!(holds(&stand, "T1").await, 58);
        // One lives as long as its owner is active, with all its lines.
        stand.pass(60);
        stand.renew("hanakodt");
        stand.restart().await;
        stand.pass(60);
        assert_eq!(holds(&stand, "T1").await, 50);
        // One amount beside a list is a line of its own.
        assert_eq!(enter(&stand, "hanakodt", "T1", 9).await, Entered::Kept(yen(59)));
        stand.pass(101);
        is_gone(&stand, "T1").await;
        assert_eq!(enter(&stand, "hanakodt", "T1", 8).await, Entered::Kept(yen(8)));
        stand.restart().await;
        assert_eq!(holds(&stand, "T1").await, 8);
    });
}

/// The same where what can be held is beyond counting, in each store's own arithmetic.
#[test]
fn a_form_beyond_counting_is_above_every_limit() {
    each_store(async |stand| {
        let most = Yen::MAX.get();
        fill(&stand, "hanakodt", "T1", &[("kingaku1", most)]).await;
        assert_eq!(fill(&stand, "hanakodt", "T1", &[("kingaku2", 2)]).await, Entered::Kept(Yen::MAX));
        let denied = stand.denied(&commit(&stand, "hanakodt", "T1")).await;
        assert!(matches!(denied, Denied::OverLimit { .. }), "{denied:?}");
    });
}

/// Whichever the application executes, what was entered or what is said once more, the grant covers it.
#[test]
fn a_commit_that_makes_a_form_hold_more_is_denied() {
    each_store(async |stand| {
        fill(&stand, "hanakodt", "T1", &[("kingaku1", 30), ("kingaku2", 20)]).await;
        let says = |of: &[(&str, u64)]| {
            let claim = Claim::Entered { key: key("T1"), repeated: Some(lines(of)) };
            Order { claim, ..stand.order("hanakodt", 1) }
        };
        for more in
            [&[("kingaku1", 31)][..], &[("kingaku3", 1)], &[("kingaku1", 30), ("kingaku2", 21)], &[("amount", 50)]]
        {
            assert_eq!(stand.denied(&says(more)).await, Denied::MoreThanEntered, "{more:?}");
        }
        let whole = Claim::Entered { key: key("T1"), repeated: Some(Lines::whole(yen(1))) };
        assert_eq!(stand.denied(&Order { claim: whole, ..says(&[("kingaku1", 1)]) }).await, Denied::MoreThanEntered);
        for order in [says(&[("kingaku1", 30), ("kingaku2", 20)]), says(&[("kingaku2", 1)])] {
            assert_eq!(stand.granted(&order).await.amount, yen(50));
            assert_eq!(stand.denied(&says(&[("kingaku1", 31)])).await, Denied::EntryInUse);
            stand.settle(&order, Outcome::Released).await;
        }
        let watched = Order { mode: Mode::Observe, ..says(&[("kingaku1", 99)]) };
        let grant = stand.granted(&watched).await;
        // It leaves with what it says, and the bank may execute that.
        assert_eq!((grant.amount, grant.would_deny), (yen(119), Some(Denied::MoreThanEntered)));
    });
}

/// Each line is an amount: one login ID that enters long lists leaves room for the others.
#[test]
fn the_lines_of_one_login_id_are_bounded() {
    each_store(async |mut stand| {
        let all = [("kingaku1", 1), ("kingaku2", 2), ("kingaku3", 3)];
        assert_eq!(fill(&stand, "hanakodt", "T1", &all[..2]).await, Entered::Kept(yen(3)));
        assert_eq!(fill(&stand, "hanakodt", "T2", &all[..2]).await, Entered::TooMany);
        assert_eq!(fill(&stand, "hanakodt", "T1", &all).await, Entered::Kept(yen(6)));
        assert_eq!(fill(&stand, "hanakodt", "T1", &[("kingaku4", 4)]).await, Entered::TooMany);
        assert_eq!(fill(&stand, "hanakodt", "T1", &[("kingaku1", 9)]).await, Entered::Kept(yen(14)), "raised");
        assert_eq!(enter(&stand, "hanakodt", "T2", 1).await, Entered::TooMany);
        assert_eq!(fill(&stand, "tarokdt", "T1", &[("kingaku4", 1)]).await, Entered::Kept(yen(15)));
        // Each kind has a number of its own.
        assert_eq!(stand.enter(key("order"), 5, 1000).await, Entered::Kept(yen(5)));
        stand.restart().await;
        assert_eq!(enter(&stand, "hanakodt", "T2", 1).await, Entered::TooMany);
        stand.pass(101);
        for round in ["T3", "T1"] {
            assert_eq!(fill(&stand, "hanakodt", round, &all).await, Entered::Kept(yen(6)), "{round}");
            assert_eq!(fill(&stand, "hanakodt", "T9", &all[..1]).await, Entered::TooMany);
            stand.pass(101);
        }
    });
}
