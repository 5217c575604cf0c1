//! A million customers and addresses do not grow the memory of a limit (RTL-04).

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use super::{Counts, KeyKind, Limit, Rate, Settings};
use crate::connection::census::neighbourhood;
use crate::domain::LoginId;
use crate::operator::metrics::Metrics;
use crate::policy::route::Selector;

const MAX_KEYS: usize = 2_000;

/// Half of them login IDs, half addresses. Without optimisation each costs twenty times as much, and fewer say the same.
const KEYS: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// Of each kind there may be so many more for a moment: what the cache has noted and not yet acted upon.
const NOTED: usize = 1_000;

/// What allocators keep for themselves. Remembering every key takes more than twice as much.
const SLACK_BYTES: u64 = 12 << 20;

/// Hourly, so that nothing is forgotten because it is empty.
fn limit() -> Limit {
    let settings = Settings {
        name: "soak".into(),
        key: KeyKind::LoginId,
        counts: Counts::Requests,
        rate: Rate::new(1, Duration::from_secs(3600), 3).unwrap(),
        routes: Selector::All,
        headers: false,
        max_keys: MAX_KEYS as u64,
        shared: false,
    };
    Limit::new(settings, &Metrics::new(std::iter::empty()).unwrap(), None)
}

fn resident_bytes() -> u64 {
    let told = fs::read_to_string("/proc/self/statm").unwrap();
    told.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Steele's SplitMix64: spread, and the same in each run.
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Takes once from each of these buckets; the most that were remembered at any moment of it.
fn soak(limit: &Limit, keys: Range<u64>, take: fn(&Limit, u64) -> usize) -> usize {
    keys.map(|number| take(limit, number)).max().unwrap_or_default()
}

/// Now and then, as it takes a while.
fn count_at(number: u64, count: impl Fn() -> usize) -> usize {
    if number % 5_000 == 4_999 { count() } else { 0 }
}

fn by_login_id(limit: &Limit, number: u64) -> usize {
    let login_id = LoginId::parse(&format!("{:011x}", random(number) >> 20)).unwrap();
    limit.take(&limit.bucket_of_customer(&login_id, number), number).unwrap();
    count_at(number, || limit.by_login_id.iter().count())
}

fn by_address(limit: &Limit, number: u64) -> usize {
    let address = IpAddr::V6(Ipv6Addr::from(u128::from(random(number)) << 64));
    limit.take(&limit.bucket_of_address(neighbourhood(address), number), number).unwrap();
    count_at(number, || limit.by_address.iter().count())
}

#[test]
fn a_million_keys_leave_the_memory_of_a_limit_flat() {
    let limit = limit();
    // Two workers, as fast as they can: no pause in which the cache could tidy up.
    let run = |keys: Range<u64>| {
        let most = thread::scope(|scope| {
            let workers = [by_login_id, by_address].map(|take: fn(&Limit, u64) -> usize| {
                let (limit, keys) = (&limit, keys.clone());
                scope.spawn(move || soak(limit, keys, take))
            });
            workers.map(|worker| worker.join().unwrap())
        });
        for most in most {
            assert!((MAX_KEYS..=MAX_KEYS + NOTED).contains(&most), "{most}");
        }
        resident_bytes()
    };
    let filled = run(0..KEYS / 10);
    let soaked = run(KEYS / 10..KEYS / 2);
    assert!(soaked <= filled + SLACK_BYTES, "{filled} bytes grew to {soaked}");
}
