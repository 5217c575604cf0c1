//! Buckets that gateways share: what the script does, and what becomes of those who ask when Redis does not.

use std::time::{Duration, Instant};

use redis::Pipeline;

use super::super::Settings;
use super::super::rates::{self, SCRIPT, SharedBucket, SharedBuckets, Taken};
use super::server::{self, RunningServer, told};
use super::site::Site;
use crate::operator::metrics::Metrics;
use crate::store::contract::stand::run;

const HOUR: u64 = 3_600_000_000;

/// One call of the script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Take,
    GiveBack,
}

/// Runs these calls on an untouched bucket, each at its moment, and tells what the script said to those that take.
pub(crate) fn run_script(interval: u64, burst: u32, steps: &[(Step, u64)]) -> Vec<Taken> {
    let bucket = SharedBucket::of(&["script"], interval, burst);
    let prefix = format!("{{{}}}:", server::some_prefix());
    let mut pipeline = Pipeline::new();
    for (step, at) in steps {
        let call = bucket.call(
            &prefix,
            match step {
                Step::Take => "take",
                Step::GiveBack => "give-back",
            },
        );
        pipeline.cmd("EVAL").arg(SCRIPT).arg(1).arg(call.key()).arg(call.arguments()).arg(*at);
    }
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server::plain().port)).unwrap();
    let answers: Vec<redis::Value> = pipeline.query(&mut client.get_connection().unwrap()).unwrap();
    let answers = answers.into_iter().zip(steps).filter(|(_, (step, _))| matches!(step, Step::Take));
    answers.map(|(answer, _)| rates::taken(answer).unwrap()).collect()
}

/// A gateway that shares limits, with its courier; as patient as a busy machine needs.
fn gateway(settings: &Settings) -> (SharedBuckets, Metrics) {
    gateway_with(settings, Duration::from_secs(20))
}

fn gateway_with(settings: &Settings, patience: Duration) -> (SharedBuckets, Metrics) {
    let metrics = Metrics::new(std::iter::empty()).unwrap();
    let (buckets, courier) = SharedBuckets::with_patience(settings, &metrics, patience).unwrap();
    tokio::spawn(courier.run());
    buckets.begin();
    (buckets, metrics)
}

async fn take(gateway: &SharedBuckets, bucket: SharedBucket) -> Option<Taken> {
    gateway.take(vec![bucket]).await.map(|taken| taken[0])
}

/// Waits until Redis takes part.
async fn reachable(gateway: &SharedBuckets) {
    while take(gateway, SharedBucket::of(&["is it there"], 1, 1)).await.is_none() {
        tokio::task::yield_now().await;
    }
}

fn hourly(whose: &str, burst: u32) -> SharedBucket {
    SharedBucket::of(&["hourly", "login-id", whose], HOUR, burst)
}

fn keys(server: &RunningServer) -> Vec<String> {
    redis::from_redis_value(server.ask(&["KEYS", "*"])).unwrap()
}

#[test]
fn two_gateways_fill_one_bucket_and_never_more() {
    let site = Site::new();
    run(async {
        let (one, _) = gateway(&site.settings("a"));
        let (other, _) = gateway(&site.settings("b"));
        reachable(&one).await;
        reachable(&other).await;
        let mut asking = Vec::new();
        for number in 0..400 {
            let gateway = if number % 2 == 0 { one.clone() } else { other.clone() };
            asking.push(tokio::spawn(async move { take(&gateway, hourly("hanakodt", 50)).await.unwrap() }));
        }
        let mut left = Vec::new();
        for answer in asking {
            match answer.await.unwrap() {
                Taken::Conforms(remaining) => left.push(remaining),
                Taken::Exceeds(wait) => assert!((HOUR - 20_000_000..=HOUR).contains(&wait), "{wait}"),
            }
        }
        left.sort_unstable();
        assert_eq!(left, (0..50).collect::<Vec<_>>());
        // What one gives back, the other may take.
        one.give_back(hourly("hanakodt", 50));
        while take(&other, hourly("hanakodt", 50)).await != Some(Taken::Conforms(0)) {
            tokio::task::yield_now().await;
        }
        assert_eq!(take(&one, hourly("tarokodt", 50)).await, Some(Taken::Conforms(49)));
    });
}

/// So the memory that they take is bounded by who came within a window.
#[test]
fn a_bucket_is_forgotten_when_it_is_empty() {
    let site = Site::new();
    run(async {
        let (gateway, _) = gateway(&site.settings("a"));
        reachable(&gateway).await;
        let lives = async |bucket: SharedBucket| -> i64 {
            take(&gateway, bucket).await.unwrap();
            take(&gateway, bucket).await.unwrap();
            let call = bucket.call(&format!("{{{}/rates}}:", site.prefix), "take");
            redis::from_redis_value(site.server.ask(&["PTTL", call.key().unwrap()])).unwrap()
        };
        let two_hours = 2 * 3_600_000;
        let found = lives(hourly("hanakodt", 5)).await;
        assert!((two_hours - 60_000..=two_hours).contains(&found), "{found}");
        site.server.ask(&["FLUSHALL"]);
        assert!(lives(SharedBucket::of(&["soon empty"], 100_000, 5)).await <= 200);
        while !keys(&site.server).is_empty() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn keys_hold_no_login_id_and_lie_apart_from_the_ledger() {
    let site = Site::new();
    run(async {
        let (gateway, _) = gateway(&site.settings("a"));
        reachable(&gateway).await;
        for whose in ["hanakodt", "}{*?[\\\"]", "\u{0}\r\n"] {
            assert_eq!(take(&gateway, hourly(whose, 2)).await, Some(Taken::Conforms(1)), "{whose:?}");
        }
        // Those that lived for a moment only are gone.
        let mut found = keys(&site.server);
        while found.len() > 3 {
            found = keys(&site.server);
        }
        assert_eq!(found.len(), 3, "{found:?}");
        let start = format!("{{{}/rates}}:", site.prefix);
        for key in &found {
            let hash = key.strip_prefix(&start).unwrap();
            assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
        }
    });
}

#[test]
fn a_paused_server_delays_nobody_for_long_and_is_asked_again_when_it_is_back() {
    let site = Site::new();
    run(async {
        let (gateway, metrics) = gateway_with(&site.settings("a"), Duration::from_millis(100));
        reachable(&gateway).await;
        let before = metrics.rate_limit_fallbacks.get();
        site.server.send("-STOP");
        let begun = Instant::now();
        assert_eq!(take(&gateway, hourly("hanakodt", 2)).await, None);
        for _ in 0..10_000 {
            assert_eq!(take(&gateway, hourly("hanakodt", 2)).await, None);
        }
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(metrics.rate_limit_fallbacks.get(), before + 10_001);
        site.server.send("-CONT");
        reachable(&gateway).await;
        // What was on its way when the server fell asleep may have counted.
        let mut taken = take(&gateway, hourly("hanakodt", 2)).await;
        while taken.is_none() {
            taken = take(&gateway, hourly("hanakodt", 2)).await;
            tokio::task::yield_now().await;
        }
        assert!(matches!(taken, Some(Taken::Conforms(0 | 1))), "{taken:?}");
    });
}

#[test]
fn a_killed_server_is_noticed_at_once_and_a_new_one_found() {
    let mut site = Site::new();
    run(async {
        let (gateway, metrics) = gateway(&site.settings("a"));
        reachable(&gateway).await;
        let available = metrics.rate_limit_store_available.with_label_values::<&str>(&[]);
        assert_eq!(available.get(), 1);
        site.kill();
        while take(&gateway, hourly("hanakodt", 2)).await.is_some() {}
        while available.get() != 0 {
            tokio::task::yield_now().await;
        }
        site.start_empty();
        reachable(&gateway).await;
        assert_eq!(take(&gateway, hourly("hanakodt", 2)).await, Some(Taken::Conforms(1)));
        // A server that forgot its scripts is told them again.
        site.server.ask(&["SCRIPT", "FLUSH"]);
        assert_eq!(take(&gateway, hourly("hanakodt", 2)).await, Some(Taken::Conforms(0)));
    });
}

#[test]
fn any_node_of_a_cluster_leads_to_the_buckets() {
    let [holder, other] = server::cluster();
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let prefix = server::some_prefix();
        for (entrance, left) in [(other, 1), (holder, 0)] {
            let (gateway, _) = gateway(&server::settings(&[entrance], &prefix, &directory.path().join("a")));
            reachable(&gateway).await;
            assert_eq!(take(&gateway, hourly("hanakodt", 2)).await, Some(Taken::Conforms(left)));
        }
        let slot = |key: String| told(&holder.ask(&["CLUSTER", "KEYSLOT", &key]));
        assert_ne!(slot(format!("{{{prefix}}}:meta")), slot(format!("{{{prefix}/rates}}:some")));
    });
}

/// The rights that the README lists are enough, and reach neither the ledger nor other keys.
#[test]
fn a_user_of_few_rights_may_share_limits() {
    let site = Site::new();
    run(async {
        let settings = site.settings_of_few_rights("a", &format!("{}/rates", site.prefix));
        let (allowed, _) = gateway(&settings);
        reachable(&allowed).await;
        assert_eq!(take(&allowed, hourly("hanakodt", 2)).await, Some(Taken::Conforms(1)));
        allowed.give_back(hourly("hanakodt", 2));
        assert_eq!(take(&allowed, hourly("hanakodt", 2)).await, Some(Taken::Conforms(1)));
    });
}
