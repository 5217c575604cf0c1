//! Two gateways, one ledger: OPS-12, A32.

use jiff::Timestamp;
use sekisho::demo::bank::Bank;
use sekisho::domain::JstDate;
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
