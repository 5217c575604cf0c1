//! Each rule that may deny an order, at its edge.

use super::stand::{debit, each_store, within, yen};
use crate::domain::JstDate;
use crate::store::ledger::{
    Basis, Claim, Debit, Decision, Denied, Entered, EntryKey, Mode, Outcome, OverLimit, State, StoreError, Whose,
};

fn over(day: JstDate, limit: u64, used: u64) -> Denied {
    Denied::OverLimit { whose: Whose::Contract, day, limit: yen(limit), used: yen(used) }
}

/// LIM-02: 以下, so the limit itself may be reached.
#[test]
fn a_sum_may_reach_the_limit_and_not_pass_it() {
    each_store(async |stand| {
        stand.granted(&stand.order("hanakodt", 99)).await;
        assert_eq!(stand.denied(&stand.order("hanakodt", 2)).await, over(stand.today(), 100, 99));
        stand.granted(&stand.order("hanakodt", 1)).await;
        assert_eq!(stand.denied(&stand.order("hanakodt", 1)).await, over(stand.today(), 100, 100));
        stand.granted(&stand.order("tarokdt", 100)).await;
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 100);
    });
}

/// LIM-05, LIM-36: splitting over the login IDs of a company gains nothing.
#[test]
fn the_members_of_a_contract_share_its_limit() {
    each_store(async |stand| {
        let members = ["aaaaaa", "bbbbbb", "cccccc"];
        let order = |login_id, amount| within(stand.order(login_id, amount), "company", &members);
        stand.granted(&order("aaaaaa", 40)).await;
        stand.granted(&order("bbbbbb", 40)).await;
        assert_eq!(stand.denied(&order("cccccc", 21)).await, over(stand.today(), 100, 80));
        // Sums belong to login IDs: leaving the contract leaves what was used behind, joining brings it along.
        stand.granted(&within(stand.order("cccccc", 100), "alone", &["cccccc"])).await;
        assert_eq!(stand.denied(&order("aaaaaa", 1)).await, over(stand.today(), 100, 180));
        // The asking login ID counts, also where the list of members forgot it.
        let forgotten = within(stand.order("cccccc", 1), "company", &["dddddd"]);
        assert_eq!(stand.denied(&forgotten).await, over(stand.today(), 100, 100));
    });
}

#[test]
fn a_login_id_may_have_a_limit_within_its_contracts() {
    each_store(async |stand| {
        let mut order = within(stand.order("aaaaaa", 31), "company", &["aaaaaa", "bbbbbb"]);
        order.bounds.per_login_id = Some(yen(30));
        let whose = Whose::LoginId;
        let denied = Denied::OverLimit { whose, day: stand.today(), limit: yen(30), used: yen(0) };
        assert_eq!(stand.denied(&order).await, denied);
        order.claim = Claim::Stated(yen(30));
        stand.granted(&order).await;
    });
}

/// LIM-06, LIM-08
#[test]
fn the_lower_one_of_ceiling_and_own_limit_holds() {
    each_store(async |stand| {
        let mut order = stand.order("hanakodt", 51);
        let contract = order.holder.contract.clone();
        assert_eq!(stand.ledger.own_limit(contract.clone()).await, Ok(None));
        stand.ledger.learn_own_limit(contract.clone(), Some(yen(50)), stand.now).await.unwrap();
        assert_eq!(stand.ledger.own_limit(contract.clone()).await, Ok(Some(yen(50))));
        assert_eq!(stand.denied(&order).await, over(stand.today(), 50, 0));
        stand.ledger.learn_own_limit(contract.clone(), Some(yen(101)), stand.now).await.unwrap();
        order.bounds.over_limit = OverLimit::BlockTransfers;
        let above = Denied::OwnLimitAboveCeiling { own: yen(101), ceiling: yen(100) };
        assert_eq!(stand.denied(&order).await, above);
        order.bounds.over_limit = OverLimit::Clamp;
        stand.granted(&order).await;
        assert_eq!(stand.denied(&stand.order("hanakodt", 50)).await, over(stand.today(), 100, 51));
        stand.ledger.learn_own_limit(contract.clone(), None, stand.now).await.unwrap();
        assert_eq!(stand.ledger.own_limit(contract).await, Ok(None));
        stand.granted(&stand.order("hanakodt", 49)).await;
    });
}

/// LIM-20, LIM-34, LIM-35: every day that an order names must have room, and is used up by it.
#[test]
fn an_order_counts_on_each_of_its_days() {
    each_store(async |stand| {
        let (today, tomorrow) = (stand.today(), stand.today().plus_days(1));
        let designated = Debit { basis: Basis::Designated, day: tomorrow, ceiling: yen(50) };
        let mut order = stand.order("hanakodt", 60);
        order.debits = vec![debit(today, 100), designated];
        assert_eq!(stand.denied(&order).await, over(tomorrow, 50, 0));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, today).await, 0);
        order.claim = Claim::Stated(yen(50));
        // Named twice, it counts once.
        order.debits.push(designated);
        stand.granted(&order).await;
        assert_eq!(stand.used("hanakodt", Basis::Accepted, today).await, 50);
        assert_eq!(stand.used("hanakodt", Basis::Designated, tomorrow).await, 50);
        stand.settle(&order, Outcome::Released).await;
        assert_eq!(stand.used("hanakodt", Basis::Accepted, today).await, 0);
        assert_eq!(stand.used("hanakodt", Basis::Designated, tomorrow).await, 0);
    });
}

/// LIM-17: also while nobody knows whether the first was executed.
#[test]
fn the_same_commit_is_denied_while_the_first_may_be_executed() {
    each_store(async |stand| {
        let order = |login_id| {
            let mut order = stand.order(login_id, 1);
            order.token = Some(EntryKey::of(&["form"]));
            order
        };
        let first = order("hanakodt");
        stand.granted(&first).await;
        assert_eq!(stand.denied(&order("hanakodt")).await, Denied::Duplicate);
        stand.granted(&order("tarokdt")).await;
        stand.settle(&first, Outcome::Unknown).await;
        assert_eq!(stand.denied(&order("hanakodt")).await, Denied::Duplicate);
        stand.settle(&first, Outcome::Committed).await;
        stand.granted(&order("hanakodt")).await;
    });
}

/// LIM-40
#[test]
fn orders_in_flight_are_bounded() {
    each_store(async |stand| {
        let order = |login_id| {
            let mut order = within(stand.order(login_id, 1), "company", &["aaaaaa", "bbbbbb", "cccccc"]);
            (order.bounds.in_flight_per_login_id, order.bounds.in_flight_per_contract) = (2, 3);
            order
        };
        let first = order("aaaaaa");
        stand.granted(&first).await;
        stand.granted(&order("aaaaaa")).await;
        assert_eq!(stand.denied(&order("aaaaaa")).await, Denied::TooManyInFlight);
        stand.granted(&order("bbbbbb")).await;
        assert_eq!(stand.denied(&order("cccccc")).await, Denied::TooManyInFlight);
        stand.settle(&first, Outcome::Unknown).await;
        stand.granted(&order("cccccc")).await;
    });
}

/// LIM-18, LIM-33
#[test]
fn the_largest_amount_entered_is_reserved() {
    each_store(async |mut stand| {
        let key = EntryKey::of(&["session"]);
        let mut commit = stand.order("hanakodt", 1);
        commit.claim = Claim::Entered { key, repeated: None };
        assert_eq!(stand.denied(&commit).await, Denied::NoEntry);
        assert_eq!(stand.enter(key, 1, 60).await, Entered::Kept(yen(1)));
        assert_eq!(stand.enter(key, 99, 60).await, Entered::Kept(yen(99)));
        assert_eq!(stand.enter(key, 2, 30).await, Entered::Kept(yen(99)));
        stand.pass(60);
        commit.at = stand.now;
        assert_eq!(stand.granted(&commit).await.amount, yen(99));
        // While it is on its way, no other amount slips in and nothing is committed twice.
        assert_eq!(stand.enter(key, 3, 60).await, Entered::InUse);
        let mut again = stand.order("hanakodt", 1);
        again.claim = Claim::Entered { key, repeated: None };
        assert_eq!(stand.denied(&again).await, Denied::EntryInUse);
        stand.settle(&commit, Outcome::Unknown).await;
        assert_eq!(stand.enter(key, 3, 60).await, Entered::InUse);
        stand.settle(&commit, Outcome::Committed).await;
        // Each commit reserves again in full.
        assert_eq!(stand.denied(&again).await, over(stand.today(), 100, 99));
        stand.pass(1);
        again.at = stand.now;
        assert_eq!(stand.denied(&again).await, Denied::NoEntry);
        assert_eq!(stand.enter(key, 3, 60).await, Entered::Kept(yen(3)));
    });
}

#[test]
fn nothing_is_not_an_amount() {
    each_store(async |stand| {
        assert_eq!(stand.denied(&stand.order("hanakodt", 0)).await, Denied::NoEntry);
        let mut order = stand.order("hanakodt", 1);
        order.debits.clear();
        assert!(matches!(stand.ledger.reserve(order).await, Err(StoreError::Unavailable(_))));
    });
}

/// LIM-22
#[test]
fn a_clock_that_goes_back_stops_money() {
    each_store(async |mut stand| {
        let recorded = stand.now;
        stand.granted(&stand.order("hanakodt", 1)).await;
        stand.pass(-5);
        stand.granted(&stand.order("hanakodt", 1)).await;
        stand.pass(-1);
        assert_eq!(stand.denied(&stand.order("hanakodt", 1)).await, Denied::ClockBehind { recorded });
        stand.restart().await;
        assert_eq!(stand.denied(&stand.order("hanakodt", 1)).await, Denied::ClockBehind { recorded });
        stand.ledger.accept(stand.now).await.unwrap();
        stand.granted(&stand.order("hanakodt", 1)).await;
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 3);
    });
}

/// LIM-22, LIM-35: not even within the tolerance, unless the order counts on the new day as well.
#[test]
fn yesterday_is_not_opened_again() {
    each_store(async |mut stand| {
        let yesterday = stand.today();
        stand.now = yesterday.plus_days(1).begins_at();
        stand.granted(&stand.order("hanakodt", 100)).await;
        let recorded = stand.now;
        stand.pass(-1);
        assert_eq!(stand.denied(&stand.order("hanakodt", 1)).await, Denied::ClockBehind { recorded });
        let mut both = stand.order("tarokdt", 1);
        both.debits.push(debit(yesterday.plus_days(1), 100));
        stand.granted(&both).await;
    });
}

/// LIM-29: what would be denied is told, recorded, and goes on.
#[test]
fn observed_orders_go_on() {
    each_store(async |stand| {
        let mut order = stand.order("hanakodt", 101);
        order.mode = Mode::Observe;
        let grant = stand.granted(&order).await;
        assert_eq!((grant.amount, grant.would_deny), (yen(101), Some(over(stand.today(), 100, 0))));
        assert_eq!(stand.used("hanakodt", Basis::Accepted, stand.today()).await, 101);
        let mut unknown = stand.order("hanakodt", 1);
        (unknown.mode, unknown.claim) =
            (Mode::Observe, Claim::Entered { key: EntryKey::of(&["nothing"]), repeated: None });
        let grant = stand.granted(&unknown).await;
        assert_eq!((grant.amount, grant.would_deny), (yen(0), Some(Denied::NoEntry)));
        assert_eq!(stand.state(unknown.id).await, None);
        assert_eq!(stand.settle(&unknown, Outcome::Committed).await, None);
        assert_eq!(stand.ledger.mark().sequence, 1);
    });
}

/// LIM-41
#[test]
fn a_store_that_is_not_accepted_moves_no_money() {
    each_store(async |mut stand| {
        let before = stand.order("hanakodt", 10);
        stand.granted(&before).await;
        stand.ledger.require_acceptance("older than the audit log".into()).await.unwrap();
        let refused = Err(StoreError::NotAccepted("older than the audit log".into()));
        assert_eq!(stand.ledger.reserve(stand.order("hanakodt", 1)).await, refused);
        assert_eq!(stand.settle(&before, Outcome::Unknown).await, Some(State::Unknown));
        stand.restart().await;
        assert_eq!(stand.ledger.reserve(stand.order("hanakodt", 1)).await, refused);
        stand.ledger.accept(stand.now).await.unwrap();
        assert!(matches!(stand.reserve(&stand.order("hanakodt", 91)).await, Decision::Denied(_)));
        stand.granted(&stand.order("hanakodt", 90)).await;
    });
}
