//! A short life of a ledger in which any step may fail, and what must hold whatever became of it.

use std::time::Duration;

use super::stand::{debit, noon, yen};
use crate::domain::{JstDate, LoginId, TransferId};
use crate::store::Ledger;
use crate::store::ledger::{
    Basis, Bounds, Claim, Decision, Holder, Mode, Order, Outcome, OverLimit, Settlement, State,
};

pub(crate) const LOGIN_ID: &str = "hanakodt";

pub(crate) fn order(number: u8) -> Order {
    Order {
        id: TransferId::from_bytes([number; 16]),
        holder: Holder::alone(&LoginId::parse(LOGIN_ID).unwrap()),
        claim: Claim::Stated(yen(1)),
        debits: vec![debit(JstDate::of(noon()), 1000)],
        route: "furikomi".into(),
        at: noon(),
        token: None,
        bounds: Bounds {
            in_flight_per_login_id: 1000,
            in_flight_per_contract: 1000,
            per_login_id: None,
            over_limit: OverLimit::Clamp,
            clock_tolerance: Duration::ZERO,
        },
        mode: Mode::Enforce,
    }
}

pub(crate) fn settlement(number: u8, outcome: Outcome) -> Settlement {
    Settlement { id: order(number).id, outcome, why: "test", at: noon() }
}

/// What the caller was told.
#[derive(Default)]
pub(crate) struct Told {
    pub granted: Vec<u8>,
    pub committed: Vec<u8>,
    /// Asked to be released, whether or not the answer came.
    pub released: Vec<u8>,
}

/// Twelve orders; each third is committed, each third released, the rest stay as they are. Any step may fail.
pub(crate) async fn history(ledger: &Ledger) -> Told {
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

/// However it went on: every grant that was heard is on record, in a state that agrees with what was asked; the sum is that of the
/// transfers that count.
pub(crate) async fn check(ledger: &Ledger, told: &Told, when: &str) {
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

/// In the same process what is in flight stays so, what was refused does not, and nothing settled is lost.
pub(crate) async fn check_in_the_same_process(ledger: &Ledger, told: &Told, when: &str) {
    check(ledger, told, when).await;
    assert_eq!(ledger.counts().unknown, 0, "{when}");
    for number in 1..=12 {
        let state = ledger.transfer(order(number).id).await.unwrap().map(|transfer| transfer.state);
        let expected = match (told.granted.contains(&number), number % 3) {
            (true, 0) => Some(State::Committed),
            (true, 1) => Some(State::Released),
            (true, _) => Some(State::Reserved),
            (false, _) => state.map(|_| State::Released),
        };
        assert_eq!(state, expected, "{when}: {number}");
    }
}

/// Waits until the ledger takes part again.
pub(crate) async fn recovered(ledger: &Ledger) {
    while !ledger.is_available() {
        tokio::task::yield_now().await;
    }
}
