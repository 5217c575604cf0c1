//! Two gateways, one ledger: OPS-12, A32.

use std::sync::Arc;

use jiff::Timestamp;
use sekisho::demo::bank::Bank;
use sekisho::domain::{JstDate, ManualClock};
use tokio::net::TcpListener;

use crate::support::redis::RedisServer;
use crate::support::{Customer, Pki, TestGateway};

const COMMIT: &str = "/ib/transfer/commit.do";
const LIMIT: u64 = 100_000_000;
/// Only the ledger decides.
const OPEN: &str = "[[rate-limit]]\nname = \"per-customer\"\nrate = \"100000/s\"\nburst = 100000\n\
                    [transfer]\nmax-in-flight-per-login-id = 1000\nmax-in-flight-per-contract = 1000\n";

async fn gateway_on(redis: &RedisServer, bank: &Bank, pki: &Pki) -> TestGateway {
    let upstream = format!("http://{}", bank.address());
    TestGateway::builder().pki(pki).upstream(upstream).layer(OPEN).layer(redis.store()).spawn().await
}

/// With a second member a new epoch begins, in which money waits until both have told what they know.
async fn until_both_take_part(gateways: [&TestGateway; 2]) {
    for gateway in gateways {
        gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        gateway.operator.wait_until_at_most("sekisho_ledger_members_waiting", &[], 0.0).await;
    }
}

async fn transfer(customer: &Customer, yen: u64) -> u16 {
    customer.connect().await.submit(COMMIT, &format!("amount={yen}")).await.status
}

#[tokio::test]
async fn two_gateways_sell_the_last_yen_once() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let (one, other) = (gateway_on(&redis, &bank, &pki).await, gateway_on(&redis, &bank, &pki).await);
    until_both_take_part([&one, &other]).await;
    let identity = pki.issuing.customer("hanakodt");
    let doors = [one.customer(&identity), other.customer(&identity)];
    let today = JstDate::of(Timestamp::now());

    let first =
        crate::support::eventually("the first transfer", async || transfer(&doors[0], LIMIT - 1).await, |s| *s == 302);
    assert_eq!(first.await, 302);
    let mut waiting = Vec::new();
    for number in 0..200 {
        let customer = doors[number % 2].clone();
        waiting.push(tokio::spawn(async move { transfer(&customer, 1).await }));
    }
    let mut statuses = Vec::new();
    for answer in waiting {
        statuses.push(answer.await.unwrap());
    }

    assert_eq!(statuses.iter().filter(|status| **status == 302).count(), 1, "{statuses:?}");
    assert_eq!(bank.executed_sum("hanakodt", today), LIMIT);
    assert_eq!(transfer(&doors[1], 1).await, 403, "the other gateway knows it too");
    one.drain().await;
    other.drain().await;
}

/// LIM-22: tomorrow's budget is not to be had today.
#[tokio::test]
async fn a_gateway_whose_clock_is_a_day_ahead_moves_no_money_and_the_other_one_does() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let clocks = [(); 2].map(|()| Arc::new(ManualClock::beside_the_machine()));
    let on = async |clock| {
        let upstream = format!("http://{}", bank.address());
        let builder = TestGateway::builder().pki(&pki).upstream(upstream).clock(clock);
        builder.layer(OPEN).layer(redis.store()).spawn().await
    };
    let (good, bad) = (on(&clocks[0]).await, on(&clocks[1]).await);
    until_both_take_part([&good, &bad]).await;
    let identity = pki.issuing.customer("hanakodt");
    let (at_good, at_bad) = (good.customer(&identity), bad.customer(&identity));
    // A gateway that has just come may still stop money for a moment; what is answered 503 moves nothing.
    let soon = async |customer, amount| {
        crate::support::eventually(
            "an answer of the ledger",
            async || transfer(customer, amount).await,
            |status| *status != 503,
        )
        .await
    };
    assert_eq!(soon(&at_bad, LIMIT - 1).await, 302);

    clocks[1].advance(86_400);
    assert_eq!(transfer(&at_bad, LIMIT).await, 503);
    bad.operator.wait_until_at_most("sekisho_ledger_available", &[], 0.0).await;
    bad.operator.wait_for("sekisho_ledger_clock_skew_seconds", &[], 86_399.0).await;
    let ready = bad.operator.get("/health/ready").await;
    assert_eq!(ready.json()["degraded"]["ledger"], "store_unavailable");
    let said = crate::support::desk::sekisho(&bad, &["ledger", "members"]).await.well();
    assert!(said.contains("s ahead of that of Redis"), "{said}");
    assert_eq!(soon(&at_good, 1).await, 302, "the other one does not wait for it");

    clocks[1].advance(-86_400);
    bad.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    assert_eq!(soon(&at_bad, 1).await, 403);
    assert_eq!(bank.executed().iter().map(|order| order.amount).sum::<i128>(), i128::from(LIMIT));
}
