//! Two gateways, one set of blocks: TLS-08, TLS-18, OPS-12, and what holds while the Redis between them does not answer.

use std::time::{Duration, Instant};

use crate::support::desk::{ask, sekisho};
use crate::support::redis::RedisServer;
use crate::support::{Customer, Pki, TestGateway, eventually, within};

const SECOND: Duration = Duration::from_secs(1);

/// Two gateways, and a customer's way to each.
struct Pair {
    gateways: [TestGateway; 2],
    pki: Pki,
}

impl Pair {
    async fn on(redis: &RedisServer) -> Self {
        let pki = Pki::fresh();
        let spawn = async || TestGateway::builder().pki(&pki).layer(redis.store()).spawn().await;
        let pair = Self { gateways: [spawn().await, spawn().await], pki };
        pair.until_known().await;
        pair
    }

    async fn until_known(&self) {
        for gateway in &self.gateways {
            until_known(gateway).await;
        }
    }

    /// The same customer at both.
    fn customers(&self, login_id: &str) -> [Customer; 2] {
        let identity = self.pki.issuing.customer(login_id);
        self.gateways.each_ref().map(|gateway| gateway.customer(&identity).forgetful())
    }

    fn bank_heard(&self) -> usize {
        self.gateways.iter().map(|gateway| gateway.backend.count()).sum()
    }

    async fn block(&self, at: usize, login_id: &str) {
        self.order(at, "/certificates/blocks", login_id).await;
    }

    async fn lift(&self, at: usize, login_id: &str) {
        self.order(at, "/certificates/blocks/lift", login_id).await;
    }

    async fn order(&self, at: usize, target: &str, login_id: &str) {
        let (status, said) = order(&self.gateways[at], target, login_id).await;
        assert_eq!(status, 200, "{said}");
    }

    /// Waits until so many login IDs are blocked at both.
    async fn until_blocked(&self, count: f64) {
        for gateway in &self.gateways {
            let blocked = async || gateway.operator.metric("sekisho_blocks", &[]).await;
            eventually("the blocks", blocked, |now| (*now - count).abs() < 0.5).await;
        }
    }

    /// Whether a customer is let in at both, or at neither.
    async fn assert_let_in(&self, login_id: &str, is_let_in: bool) {
        for (gateway, customer) in self.gateways.iter().zip(self.customers(login_id)) {
            match is_let_in {
                true => gateway.assert_served(&customer).await,
                false => gateway.assert_refused(&customer, "blocked").await,
            }
        }
    }

    async fn drain(self) {
        for gateway in self.gateways {
            gateway.drain().await;
        }
    }
}

async fn until_known(gateway: &TestGateway) {
    let ready = async || gateway.operator.get("/health/ready").await.status;
    eventually("a gateway that knows who is blocked", ready, |status| *status == 200).await;
}

async fn order(gateway: &TestGateway, target: &str, login_id: &str) -> (u16, String) {
    let body = format!(r#"{{"login_id":"{login_id}","reason":"lost","operator":"hana"}}"#);
    let answer = ask(gateway, "POST", target, &body).await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn a_block_at_one_gateway_is_refused_at_the_other_within_a_second_and_so_is_its_end() {
    let redis = RedisServer::start();
    let pair = Pair::on(&redis).await;
    for (here, there, login_id) in [(0, 1, "hanakodt"), (1, 0, "tarokodt")] {
        let customer = &pair.customers(login_id)[there];
        let mut open = customer.connect().await;
        let mut stays = pair.customers("sachiko1")[there].connect().await;
        assert_eq!(open.get("/ib/menu.do").await.status, 200);
        let heard = pair.bank_heard();
        let begun = Instant::now();
        pair.block(here, login_id).await;
        within(SECOND.saturating_sub(begun.elapsed()), "the end of the connection", open.rest()).await;
        assert_eq!(pair.bank_heard(), heard);
        pair.assert_let_in(login_id, false).await;
        assert_eq!(stays.get("/ib/menu.do").await.status, 200);
        let said = sekisho(&pair.gateways[there], &["certificate", "blocks"]).await.well();
        assert!(said.contains(login_id), "{said}");
    }
    let (status, said) = order(&pair.gateways[1], "/certificates/blocks", "hanakodt").await;
    assert_eq!(status, 409, "{said}");
    // Lifted where it was not blocked.
    pair.lift(1, "hanakodt").await;
    pair.until_blocked(1.0).await;
    pair.assert_let_in("hanakodt", true).await;
    pair.assert_let_in("tarokodt", false).await;
    pair.drain().await;
}

/// What it missed, it learns before anybody is let in.
#[tokio::test]
async fn a_gateway_that_was_away_comes_back_with_what_the_others_did() {
    let redis = RedisServer::start();
    let Pair { gateways: [stays, goes], pki } = Pair::on(&redis).await;
    let pair_order = async |login_id: &str, target: &str| assert_eq!(order(&stays, target, login_id).await.0, 200);
    pair_order("hanakodt", "/certificates/blocks").await;
    goes.operator.wait_for("sekisho_blocks", &[], 1.0).await;
    let builder = TestGateway::builder().after(&goes).layer(redis.store());
    goes.drain().await;
    pair_order("hanakodt", "/certificates/blocks/lift").await;
    pair_order("tarokodt", "/certificates/blocks").await;

    let pair = Pair { gateways: [stays, builder.spawn().await], pki };
    pair.until_known().await;
    pair.assert_let_in("hanakodt", true).await;
    pair.assert_let_in("tarokodt", false).await;
    pair.drain().await;
}

#[tokio::test]
async fn a_redis_that_forgot_the_blocks_gets_them_back_and_revives_nothing() {
    let redis = RedisServer::start();
    let pair = Pair::on(&redis).await;
    pair.block(0, "hanakodt").await;
    pair.block(1, "tarokodt").await;
    pair.lift(0, "hanakodt").await;
    pair.until_blocked(1.0).await;
    redis.flush();
    let held = async || redis.counts_blocks();
    eventually("the acts in Redis", held, |acts| *acts >= 2).await;
    pair.until_known().await;
    pair.until_blocked(1.0).await;
    pair.assert_let_in("tarokodt", false).await;
    pair.assert_let_in("hanakodt", true).await;
    // Numbers go on where they were.
    pair.block(1, "hanakodt").await;
    pair.until_blocked(2.0).await;
    pair.assert_let_in("hanakodt", false).await;
    pair.drain().await;
}

/// DESIGN 4.9: after a second nobody's standing is known.
#[tokio::test]
async fn without_redis_nobody_is_let_through_after_a_second_until_it_is_back() {
    let redis = RedisServer::start();
    let pair = Pair::on(&redis).await;
    let mut open = [pair.customers("hanakodt")[0].connect().await, pair.customers("tarokodt")[1].connect().await];
    for connection in &mut open {
        assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    }
    let heard = pair.bank_heard();

    redis.pause();
    for (gateway, connection) in pair.gateways.iter().zip(&mut open) {
        until_unknown(gateway).await;
        let answer = connection.request("GET", "/ib/menu.do", &[("Accept", "application/json")], b"").await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("standing_unknown")));
    }
    assert_eq!(pair.customers("sachiko1")[0].get("/ib/menu.do").await.status, 503, "a new one neither");
    assert_eq!(pair.bank_heard(), heard);

    redis.go_on();
    pair.until_known().await;
    for connection in &mut open {
        assert_eq!(connection.get("/ib/menu.do").await.status, 200, "the same connection goes on");
    }
    pair.drain().await;
}

async fn until_unknown(gateway: &TestGateway) {
    let reasons = async || gateway.operator.get("/health/ready").await.json()["reasons"].clone();
    eventually("nobody's standing is known", reasons, |reasons| reasons[0] == "standing_unknown").await;
}

/// Whatever was lifted meanwhile, and whatever numbers were given.
#[tokio::test]
async fn a_block_that_was_done_while_redis_was_away_is_shared_when_it_is_back() {
    let mut redis = RedisServer::start();
    let pair = Pair::on(&redis).await;
    pair.block(1, "tarokodt").await;
    pair.lift(1, "tarokodt").await;
    pair.block(1, "jirokodt").await;
    pair.until_blocked(1.0).await;
    redis.kill();
    until_unknown(&pair.gateways[0]).await;
    let run = async |verb: &str, login_id: &str| {
        sekisho(&pair.gateways[0], &["certificate", verb, "--login-id", login_id, "--reason", "PC stolen"]).await
    };
    let said = run("block", "hanakodt").await.well();
    assert!(said.contains("hanakodt is blocked") && said.contains("HERE ONLY UNTIL THE STORE IS BACK"), "{said}");
    assert!(run("block", "tarokodt").await.well().contains("HERE ONLY"));
    let said = sekisho(&pair.gateways[0], &["certificate", "blocks"]).await.well();
    assert!(said.contains("HERE ONLY"), "{said}");
    let said = run("unblock", "jirokodt").await.failed();
    assert!(said.contains("nothing has changed: Redis does not answer"), "{said}");
    assert_eq!(pair.gateways[1].operator.metric("sekisho_blocks", &[]).await, 1.0);

    redis.start_again();
    pair.until_known().await;
    pair.until_blocked(3.0).await;
    for login_id in ["hanakodt", "tarokodt", "jirokodt"] {
        pair.assert_let_in(login_id, false).await;
    }
    let said = sekisho(&pair.gateways[0], &["certificate", "blocks"]).await.well();
    assert!(!said.contains("HERE ONLY"), "{said}");
    pair.drain().await;
}

/// A gateway that starts without Redis does not know what it has missed.
#[tokio::test]
async fn a_gateway_that_starts_without_redis_lets_nobody_through() {
    let mut redis = RedisServer::start();
    redis.kill();
    let gateway = TestGateway::builder().layer(redis.store()).spawn().await;
    assert_eq!(gateway.enrol("hanakodt").get("/ib/menu.do").await.status, 503);
    gateway.assert_backend_untouched();
    redis.start_again();
    until_known(&gateway).await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}
