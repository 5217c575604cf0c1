//! Two gateways, one rate: RTL-01, and what holds while the Redis between them does not answer.

use std::time::{Duration, Instant};

use crate::support::redis::RedisServer;
use crate::support::{Customer, Pki, Reply, TestGateway, eventually};

const AVAILABLE: &str = "sekisho_rate_limit_store_available";
const FALLBACKS: &str = "sekisho_rate_limit_fallbacks_total";

/// So slow that nothing is forgiven during a test.
const THREE_AN_HOUR: &str =
    "[[rate-limit]]\nname = \"per-customer\"\nrate = \"1/h\"\nburst = 3\nheaders = true\nshared = true\n";

/// Two gateways, and a customer's way to each.
struct Pair {
    gateways: [TestGateway; 2],
    pki: Pki,
}

impl Pair {
    async fn on(redis: &RedisServer, limits: &str) -> Self {
        let pki = Pki::fresh();
        let spawn =
            async || TestGateway::builder().pki(&pki).layer(redis.store()).layer(limits.to_owned()).spawn().await;
        let gateways = [spawn().await, spawn().await];
        let pair = Self { gateways, pki };
        pair.until_shared().await;
        pair
    }

    async fn until_shared(&self) {
        for gateway in &self.gateways {
            gateway.operator.wait_for(AVAILABLE, &[], 1.0).await;
        }
    }

    async fn until_alone(&self) {
        for gateway in &self.gateways {
            gateway.operator.wait_until_at_most(AVAILABLE, &[], 0.0).await;
        }
    }

    /// The same customer at both.
    fn customers(&self, login_id: &str) -> [Customer; 2] {
        let identity = self.pki.issuing.customer(login_id);
        self.gateways.each_ref().map(|gateway| gateway.customer(&identity))
    }

    async fn drain(self) {
        for gateway in self.gateways {
            gateway.drain().await;
        }
    }
}

async fn ask(customer: &Customer) -> u16 {
    customer.get("/ib/menu.do").await.status
}

#[tokio::test]
async fn who_has_used_up_a_shared_limit_finds_it_used_up_at_the_other_gateway() {
    let redis = RedisServer::start();
    let pair = Pair::on(&redis, THREE_AN_HOUR).await;
    let [one, other] = pair.customers("hanakodt");
    for (customer, left) in [(&one, "2"), (&other, "1"), (&one, "0")] {
        let answer = customer.get("/ib/menu.do").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("RateLimit").unwrap(), format!("\"per-customer\";r={left}"));
    }
    let refused = other.get("/ib/menu.do").await;
    assert_eq!(refused.status, 429);
    let seconds: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(ask(&one).await, 429);
    // Somebody else's is untouched, and so is each gateway's own judgement.
    for customer in pair.customers("tarokodt") {
        assert_eq!(ask(&customer).await, 200);
    }
    for gateway in &pair.gateways {
        assert_eq!(gateway.operator.metric("sekisho_rate_limited_total", &[("limit", "per-customer")]).await, 1.0);
        assert_eq!(gateway.operator.metric(FALLBACKS, &[]).await, 0.0);
    }
    pair.drain().await;
}

#[tokio::test]
async fn limits_of_a_gateway_alone_hold_beside_shared_ones() {
    let redis = RedisServer::start();
    let alone = "[[rate-limit]]\nname = \"alone\"\nkey = \"login-id\"\nrate = \"1/h\"\nburst = 2\nroutes = [\"*\"]\n";
    let pair = Pair::on(&redis, &format!("{THREE_AN_HOUR}{alone}")).await;
    let [one, other] = pair.customers("hanakodt");
    let statuses = [ask(&one).await, ask(&one).await, ask(&one).await, ask(&other).await, ask(&other).await];
    assert_eq!(statuses, [200, 200, 429, 200, 429], "two alone, three together");
    pair.drain().await;
}

const GUESSES: &str = r#"
    [[rate-limit]]
    name = "guesses"
    key = "login-id"
    counts = "failures"
    rate = "1/h"
    burst = 3
    routes = ["login"]
    headers = true
    shared = true

    [[route]]
    name = "login"
    method = "POST"
    path = "/ib/login.do"
    class = "login"
    charset = "windows-31j"
    success = { status = 302, location = "/ib/menu.do" }
    failure = { status = 200, contains = "<p>BLGI900</p>" }
"#;

/// RTL-03: only what the application calls a failure counts, and guesses at both gateways are added up.
#[tokio::test]
async fn guesses_are_added_up_and_successes_given_back() {
    let redis = RedisServer::start();
    let pair = Pair::on(&redis, GUESSES).await;
    let customers = pair.customers("hanakodt");
    let wrong = || Reply::Bytes(Reply::bytes_of("200 OK", &[], b"<html><p>BLGI900</p></html>"));
    let right = || Reply::Bytes(Reply::bytes_of("302 Found", &[("Location", "/ib/menu.do")], b""));
    let log_in = async |at: usize, reply: Reply| {
        pair.gateways[at].backend.next(reply);
        let answer = customers[at].connect().await.submit("/ib/login.do", "password=guess").await;
        (answer.status, answer.header("RateLimit"))
    };
    for at in [0, 1, 0, 1, 0] {
        // What a good one has cost comes back a moment after its answer.
        let whole = Some("\"guesses\";r=2".to_owned());
        eventually("nothing is counted", async || log_in(at, right()).await, |said| *said == (302, whole.clone()))
            .await;
    }
    for (at, left) in [(0, 2), (1, 1), (0, 0)] {
        assert_eq!(log_in(at, wrong()).await, (200, Some(format!("\"guesses\";r={left}"))));
    }
    for customer in &customers {
        assert_eq!(customer.connect().await.submit("/ib/login.do", "password=guess").await.status, 429);
    }
    pair.drain().await;
}

#[tokio::test]
async fn while_redis_is_away_each_gateway_limits_by_itself_and_delays_nobody() {
    let mut redis = RedisServer::start();
    let pair = Pair::on(&redis, THREE_AN_HOUR).await;
    let [one, other] = pair.customers("hanakodt");
    assert_eq!([ask(&one).await, ask(&one).await], [200, 200]);

    redis.pause();
    let begun = Instant::now();
    // What was taken here is remembered here: one is left, and the other gateway knows of nothing.
    assert_eq!([ask(&one).await, ask(&one).await], [200, 429]);
    assert_eq!([ask(&other).await, ask(&other).await, ask(&other).await, ask(&other).await], [200, 200, 200, 429]);
    pair.until_alone().await;
    let stranger = pair.customers("tarokodt");
    for _ in 0..3 {
        assert_eq!(ask(&stranger[0]).await, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(pair.gateways[0].operator.metric(FALLBACKS, &[]).await >= 3.0);

    redis.go_on();
    pair.until_shared().await;
    // What the first gateway knows to be used up is not asked for again.
    assert_eq!(ask(&stranger[0]).await, 429);
    redis.kill();
    let late = pair.customers("jirokodt");
    assert_eq!(ask(&late[0]).await, 200);
    assert_eq!(ask(&late[1]).await, 200);
    pair.until_alone().await;

    redis.start_again();
    pair.until_shared().await;
    let [one, other] = pair.customers("saburodt");
    assert_eq!([ask(&one).await, ask(&other).await, ask(&one).await, ask(&other).await], [200, 200, 200, 429]);
    pair.drain().await;
}
