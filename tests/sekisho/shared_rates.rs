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
            // Who is blocked must be known too.
            let ready = async || gateway.operator.get("/health/ready").await.status;
            eventually("a gateway that is ready", ready, |status| *status == 200).await;
        }
    }

    /// Told again with another customer until nothing was decided without Redis: a machine that is too busy for a tenth of
    /// a second is no part of the story.
    async fn undisturbed<T>(&self, mut story: impl AsyncFnMut([Customer; 2]) -> T) -> T {
        for number in 0.. {
            self.until_shared().await;
            let before = self.fallbacks().await;
            let told = story(self.customers(&format!("hanako{number:02}"))).await;
            if self.fallbacks().await == before {
                return told;
            }
        }
        unreachable!()
    }

    async fn fallbacks(&self) -> [f64; 2] {
        let [one, other] = self.gateways.each_ref();
        [one.operator.metric(FALLBACKS, &[]).await, other.operator.metric(FALLBACKS, &[]).await]
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

    /// The same stranger at both: at the password listener nobody's standing is asked for.
    fn strangers(&self, address: u8) -> [Customer; 2] {
        let ends = [192, 0, 2, address, 192, 0, 2, 1, 0x9c, 0x40, 0x01, 0xbb];
        let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &ends].concat();
        self.gateways.each_ref().map(|gateway| {
            gateway.stranger().at(gateway.address_of("password")).visiting("password.example").with_preamble(&header)
        })
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
    let story = async |[one, other]: [Customer; 2]| {
        let mut told = Vec::new();
        for customer in [&one, &other, &one] {
            let answer = customer.get("/ib/menu.do").await;
            told.push((answer.status, answer.header("RateLimit").unwrap_or_default()));
        }
        (told, other.get("/ib/menu.do").await, ask(&one).await)
    };
    let (told, refused, again) = pair.undisturbed(story).await;
    let left = |count: u32| (200, format!("\"per-customer\";r={count}"));
    assert_eq!(told, [left(2), left(1), left(0)]);
    assert_eq!((refused.status, again), (429, 429));
    let seconds: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    // Somebody else's is untouched.
    for customer in pair.customers("tarokodt") {
        assert_eq!(ask(&customer).await, 200);
    }
    for gateway in &pair.gateways {
        assert!(gateway.operator.metric("sekisho_rate_limited_total", &[("limit", "per-customer")]).await >= 1.0);
    }
    pair.drain().await;
}

#[tokio::test]
async fn limits_of_a_gateway_alone_hold_beside_shared_ones() {
    let redis = RedisServer::start();
    let alone = "[[rate-limit]]\nname = \"alone\"\nkey = \"login-id\"\nrate = \"1/h\"\nburst = 2\nroutes = [\"*\"]\n";
    let pair = Pair::on(&redis, &format!("{THREE_AN_HOUR}{alone}")).await;
    let story = async |[one, other]: [Customer; 2]| {
        [ask(&one).await, ask(&one).await, ask(&one).await, ask(&other).await, ask(&other).await]
    };
    assert_eq!(pair.undisturbed(story).await, [200, 200, 429, 200, 429], "two alone, three together");
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
    login-id = { field = "loginId", rule = "forbid" }
    success = { status = 302, location = "/ib/menu.do" }
    failure = { status = 200, contains = "<p>BLGI900</p>" }
"#;

/// RTL-03: only what the application calls a failure counts, and guesses at both gateways are added up.
#[tokio::test]
async fn guesses_are_added_up_and_successes_given_back() {
    let redis = RedisServer::start();
    let pair = Pair::on(&redis, GUESSES).await;
    let wrong = || Reply::Bytes(Reply::bytes_of("200 OK", &[], b"<html><p>BLGI900</p></html>"));
    let right = || Reply::Bytes(Reply::bytes_of("302 Found", &[("Location", "/ib/menu.do")], b""));
    let log_in = async |customers: &[Customer; 2], at: usize, reply: Reply| {
        pair.gateways[at].backend.next(reply);
        let answer = customers[at].connect().await.submit("/ib/login.do", "password=guess").await;
        (answer.status, answer.header("RateLimit"))
    };
    let left = |count: u32| Some(format!("\"guesses\";r={count}"));
    let story = async |customers: [Customer; 2]| {
        let before = pair.fallbacks().await;
        for at in [0, 1, 0, 1, 0] {
            // What a good one has cost comes back a moment after its answer.
            let again = async || (log_in(&customers, at, right()).await, pair.fallbacks().await != before);
            let is_whole = |(said, is_disturbed): &(_, bool)| *said == (302, left(2)) || *is_disturbed;
            eventually("nothing is counted", again, is_whole).await;
        }
        let mut said = Vec::new();
        for at in [0, 1, 0] {
            said.push(log_in(&customers, at, wrong()).await);
        }
        let mut refused = Vec::new();
        for customer in &customers {
            refused.push(customer.connect().await.submit("/ib/login.do", "password=guess").await.status);
        }
        (said, refused)
    };
    let (said, refused) = pair.undisturbed(story).await;
    assert_eq!(said, [(200, left(2)), (200, left(1)), (200, left(0))]);
    assert_eq!(refused, [429, 429]);
    pair.drain().await;
}

const DOOR: &str = r#"
    [[listener]]
    name = "password"
    address = "127.0.0.2:0"
    server-names = ["password.example"]
    certificate = "certs/server.pem"
    private-key = "certs/server.key"
    authentication = "password"
    proxy-protocol-from = ["127.0.0.0/8"]
"#;

#[tokio::test]
async fn while_redis_is_away_each_gateway_limits_by_itself_and_delays_nobody() {
    let mut redis = RedisServer::start();
    let pair = Pair::on(&redis, &format!("{THREE_AN_HOUR}{DOOR}")).await;
    let [one, other] = pair.strangers(7);
    assert_eq!([ask(&one).await, ask(&one).await], [200, 200]);

    redis.pause();
    let begun = Instant::now();
    // What was taken here is remembered here: one is left, and the other gateway knows of nothing.
    assert_eq!([ask(&one).await, ask(&one).await], [200, 429]);
    assert_eq!([ask(&other).await, ask(&other).await, ask(&other).await, ask(&other).await], [200, 200, 200, 429]);
    pair.until_alone().await;
    let stranger = pair.strangers(8);
    for _ in 0..3 {
        assert_eq!(ask(&stranger[0]).await, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(pair.gateways[0].operator.metric(FALLBACKS, &[]).await >= 3.0);

    redis.go_on();
    pair.until_shared().await;
    // What the first gateway knows to be used up is not asked for again.
    assert_eq!(ask(&stranger[0]).await, 429);
    redis.kill();
    let late = pair.strangers(9);
    assert_eq!(ask(&late[0]).await, 200);
    assert_eq!(ask(&late[1]).await, 200);
    pair.until_alone().await;

    redis.start_again();
    let together =
        async |[one, other]: [Customer; 2]| [ask(&one).await, ask(&other).await, ask(&one).await, ask(&other).await];
    assert_eq!(pair.undisturbed(together).await, [200, 200, 200, 429]);
    pair.drain().await;
}
