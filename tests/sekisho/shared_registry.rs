//! Two gateways, one registry: TLS-09, LIM-05, OPS-12, and what holds while the Redis between them does not answer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use sekisho::demo::bank::Bank;
use sekisho::domain::JstDate;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::desk::sekisho;
use crate::support::pki::Identity;
use crate::support::redis::RedisServer;
use crate::support::registry::{ENFORCE, LEARN, add_contract, order, register};
use crate::support::{Pki, TestGateway, eventually, within};

const SECOND: Duration = Duration::from_secs(1);
const COMMIT: &str = "/ib/transfer/commit.do";

/// Two gateways on one Redis, with this registry, in front of this application.
async fn pair(redis: &RedisServer, pki: &Pki, registry: &str, upstream: Option<&str>) -> [TestGateway; 2] {
    let spawn = async || {
        let builder = TestGateway::builder().pki(pki).layer(redis.store()).layer(registry);
        let builder = upstream.into_iter().fold(builder, |builder, upstream| builder.upstream(upstream));
        builder.spawn().await
    };
    let pair = [spawn().await, spawn().await];
    for gateway in &pair {
        until_ready(gateway).await;
    }
    pair
}

async fn until_ready(gateway: &TestGateway) {
    let ready = async || gateway.operator.get("/health/ready").await.status;
    eventually("a gateway that knows the customers", ready, |status| *status == 200).await;
}

/// Waits until both hold so many of these.
async fn until_registered(pair: &[TestGateway; 2], kind: &str, count: f64) {
    for gateway in pair {
        gateway.operator.wait_for("sekisho_registered", &[("kind", kind)], count).await;
    }
}

async fn drain(pair: [TestGateway; 2]) {
    for gateway in pair {
        gateway.drain().await;
    }
}

#[tokio::test]
async fn a_certificate_registered_at_one_gateway_is_let_in_at_the_other_and_retired_everywhere_within_a_second() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let pair = pair(&redis, &pki, ENFORCE, None).await;
    let [old, new] = ["hanakodt", "hanakodt"].map(|id| pki.issuing.customer(id));
    pair[1].assert_refused(&pair[1].customer(&old), "unregistered").await;
    register(&pair[0], &old).await;
    until_registered(&pair, "certificate", 1.0).await;
    let mut open = pair[1].customer(&old).connect().await;
    pair[1].assert_served_on(&mut open).await;

    let begun = Instant::now();
    register(&pair[0], &new).await;
    within(SECOND.saturating_sub(begun.elapsed()), "the end of the connection", open.rest()).await;
    pair[1].assert_refused(&pair[1].customer(&old), "retired").await;
    pair[1].assert_served(&pair[1].customer(&new)).await;
    // Said by the other gateway.
    let listed = sekisho(&pair[1], &["certificate", "list", "--login-id", "hanakodt"]).await.well();
    assert!(listed.contains("active") && listed.contains("retired"), "{listed}");
    drain(pair).await;
}

/// One login ID comes with two certificates, at two gateways at once: the bank hears of one of them.
#[tokio::test]
async fn of_two_first_certificates_at_two_gateways_one_is_the_first() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let pair = pair(&redis, &pki, LEARN, None).await;
    for number in 0..5 {
        let login_id = format!("hanako{number}");
        let identities: [Identity; 2] = [(); 2].map(|()| pki.issuing.customer(&login_id));
        let visits = identities.iter().zip(&pair).map(|(identity, gateway)| {
            let customer = gateway.customer(identity);
            tokio::spawn(async move { customer.try_get("/ib/menu.do").await.map(|answer| answer.status).ok() })
        });
        let visits: Vec<_> = visits.collect();
        let mut served = Vec::new();
        for visit in visits {
            served.push(visit.await.unwrap() == Some(200));
        }
        assert_eq!(served.iter().filter(|served| **served).count(), 1, "{login_id}");
        until_registered(&pair, "certificate", f64::from(number + 1)).await;
        // And so it stays, at both.
        for (identity, is_first) in identities.iter().zip(served) {
            for gateway in &pair {
                match is_first {
                    true => gateway.assert_served(&gateway.customer(identity)).await,
                    false => gateway.assert_refused(&gateway.customer(identity), "unregistered").await,
                }
            }
        }
    }
    drain(pair).await;
}

/// A31 with two doors: one limit.
#[tokio::test]
async fn a_company_that_splits_a_transfer_over_login_ids_and_gateways_is_stopped_at_the_ceiling() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let upstream = format!("http://{}", bank.address());
    let pair = pair(&redis, &pki, ENFORCE, Some(&upstream)).await;
    add_contract(&pair[0], "tanaka", &["tanaka01", "tanaka02"]).await;
    let identities = ["tanaka01", "tanaka02"].map(|id| pki.issuing.customer(id));
    for identity in &identities {
        register(&pair[1], identity).await;
    }
    until_registered(&pair, "login_id", 2.0).await;
    until_registered(&pair, "certificate", 2.0).await;
    for id in ["tanaka01", "tanaka02"] {
        bank.set_contract(id, "tanaka");
    }
    for gateway in &pair {
        gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        gateway.operator.wait_until_at_most("sekisho_ledger_members_waiting", &[], 0.0).await;
    }
    let transfer = async |at: usize, yen: u64| {
        let customer = pair[at].customer(&identities[at]);
        customer.connect().await.submit(COMMIT, &format!("amount={yen}")).await.status
    };
    let first = eventually("the first transfer", async || transfer(0, 60_000_000).await, |status| *status == 302);
    assert_eq!(first.await, 302);
    assert_eq!(transfer(1, 40_000_001).await, 403);
    assert_eq!(transfer(1, 40_000_000).await, 302);
    assert_eq!(transfer(0, 1).await, 403);
    assert_eq!(bank.executed_sum("tanaka", JstDate::of(Timestamp::now())), 100_000_000);
    drain(pair).await;
}

#[tokio::test]
async fn a_contract_blocked_at_one_gateway_is_shut_out_at_the_other() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let pair = pair(&redis, &pki, ENFORCE, None).await;
    add_contract(&pair[0], "tanaka", &["tanaka01"]).await;
    let identity = pki.issuing.customer("tanaka01");
    register(&pair[0], &identity).await;
    until_registered(&pair, "certificate", 1.0).await;
    let mut open = pair[1].customer(&identity).connect().await;
    pair[1].assert_served_on(&mut open).await;
    let begun = Instant::now();
    order(&pair[0], "/certificates/blocks", json!({ "contract": "tanaka" })).await;
    within(SECOND.saturating_sub(begun.elapsed()), "the end of the connection", open.rest()).await;
    pair[1].assert_refused(&pair[1].customer(&identity), "blocked").await;
    drain(pair).await;
}

/// DESIGN 4.9: what only Redis can know is not guessed, and nothing is lost that Redis forgot.
#[tokio::test]
async fn without_redis_nobody_is_let_through_and_what_it_forgot_is_put_back() {
    let (redis, pki) = (RedisServer::start(), Pki::fresh());
    let pair = pair(&redis, &pki, LEARN, None).await;
    let [known, new] = ["hanakodt", "tarokodt"].map(|id| pki.issuing.customer(id));
    pair[0].assert_served(&pair[0].customer(&known)).await;
    until_registered(&pair, "certificate", 1.0).await;
    let heard = || pair.iter().map(|gateway| gateway.backend.count()).sum::<usize>();
    let before = heard();

    redis.pause();
    for gateway in &pair {
        let status = async || gateway.operator.get("/health/ready").await.status;
        eventually("nobody's standing is known", status, |status| *status == 503).await;
        for identity in [&known, &new] {
            assert_eq!(gateway.customer(identity).get("/ib/menu.do").await.status, 503);
        }
    }
    assert_eq!(heard(), before);
    redis.go_on();
    for gateway in &pair {
        until_ready(gateway).await;
    }
    pair[1].assert_served(&pair[1].customer(&new)).await;
    until_registered(&pair, "certificate", 2.0).await;

    redis.flush();
    for gateway in &pair {
        until_ready(gateway).await;
        gateway.assert_refused(&gateway.enrol("hanakodt"), "unregistered").await;
        gateway.assert_served(&gateway.customer(&known)).await;
    }
    // One that comes only now learns it all from there.
    let third = TestGateway::builder().pki(&pki).layer(redis.store()).layer(LEARN).spawn().await;
    third.operator.wait_for("sekisho_registered", &[("kind", "certificate")], 2.0).await;
    until_ready(&third).await;
    third.assert_refused(&third.enrol("hanakodt"), "unregistered").await;
    third.assert_served(&third.customer(&known)).await;
    drain(pair).await;
}
