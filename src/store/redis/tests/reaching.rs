//! How Redis is reached, and what the gateway does while it is not: at once, and without losing a settlement (LIM-23).

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;

use super::super::call::SCRIPT;
use super::super::{Password, Server, Settings};
use super::server::{self, RunningServer, told};
use super::site::{
    Site, available, entry, granted, now, order, refused, renewal, settlement, state, today, unavailable, used,
};
use crate::store::Ledger;
use crate::store::contract::stand::{debit, noon, run, yen};
use crate::store::ledger::{Addition, Basis, Decision, Entered, EntryKey, Order, OrderNumber, Outcome, State, Verdict};

#[test]
fn a_paused_server_stops_money_at_once_and_loses_no_settlement() {
    let site = Site::new();
    run(async {
        let mut settings = site.settings("a");
        settings.response_timeout = Duration::from_millis(100);
        let gateway = server::open(&settings, noon()).ledger;
        let order = granted(&gateway, 60).await;
        site.server.send("-STOP");
        gateway.settle(settlement(order.id, Outcome::Committed));
        refused(&gateway).await;
        let begun = Instant::now();
        for _ in 0..100 {
            refused(&gateway).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        site.server.send("-CONT");
        available(&gateway).await;
        assert_eq!(state(&gateway, order.id).await, Some(State::Committed));
        // The order that was under way may have been reserved when the server woke up, and is taken back.
        while used(&gateway).await != 60 {
            tokio::task::yield_now().await;
        }
        granted(&gateway, 40).await;
    });
}

/// The gateway starts without Redis: reading pages go on.
#[test]
fn a_gateway_starts_without_redis_and_waits_for_it() {
    let mut site = Site::new();
    run(async {
        site.kill();
        let gateway = site.gateway("a");
        refused(&gateway).await;
        site.start_empty();
        available(&gateway).await;
        granted(&gateway, 100).await;
    });
}

/// A44: a store that makes room by forgetting.
#[test]
fn a_server_that_evicts_moves_no_money() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        granted(&gateway, 10).await;
        site.server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        unavailable(&gateway).await;
        let why = refused(&gateway).await;
        assert!(why.contains("maxmemory-policy allkeys-lru"), "{why}");
        site.server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        available(&gateway).await;
        granted(&gateway, 90).await;
    });
}

/// A full server reserves nothing by halves.
#[test]
fn a_server_without_memory_moves_no_money_until_it_has_some() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        let order = granted(&gateway, 60).await;
        site.server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        refused(&gateway).await;
        gateway.settle(settlement(order.id, Outcome::Released));
        site.server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        available(&gateway).await;
        while state(&gateway, order.id).await != Some(State::Released) {
            tokio::task::yield_now().await;
        }
        granted(&gateway, 100).await;
    });
}

/// An entry's digits say what they are: what an operator sees is what counts.
#[test]
fn sums_are_readable_where_they_lie() {
    let site = Site::new();
    run(async {
        let gateway = site.gateway("a");
        granted(&gateway, 60).await;
        let sum = site.server.ask(&["HGET", &format!("{{{}}}:sums:20130520", site.prefix), "accepted:hanakodt"]);
        assert_eq!(told(&sum), "60");
        gateway.accept(now()).await.unwrap();
    });
}

/// The rights that the README lists are enough for every verb of the script, and reach no other key. Some verbs nobody waits
/// for; so Redis itself is asked what it was asked, and what it refused.
#[test]
fn a_user_of_few_rights_is_enough() {
    let site = Site::new();
    site.server.ask(&["CONFIG", "SET", "slowlog-max-len", "1000000", "slowlog-log-slower-than", "0"]);
    let mut settings = site.settings_of_few_rights("a", &site.prefix);
    run(async {
        let other = server::open(&Settings { journal: site.path("b"), ..settings.clone() }, noon()).ledger;
        let gateway = server::open(&settings, noon()).ledger;
        available(&gateway).await;
        other.close().await;
        assert_eq!(gateway.write_off(&other.mark().store, now()).await, Ok(true));
        use_in_every_way(&gateway).await;
        site.server.ask(&["FLUSHALL"]);
        refused(&gateway).await;
        available(&gateway).await;
        assert_eq!(used(&gateway).await, 5);
        outlive_retention(&gateway).await;
        assert_eq!(server::list(&site.server.ask(&["ACL", "LOG"])), Vec::<redis::Value>::new());
        assert_eq!(told(&site.server.ask(&["ACL", "DRYRUN", "gateway", "WAIT", "1", "100"])), "OK");
        assert_eq!(verbs_called(&site.server), verbs_of_the_script());
        settings.prefix = "another".into();
        settings.journal = site.path("c");
        refused(&server::open(&settings, noon()).ledger).await;
    });
}

/// All that is asked of a ledger; in the end an order of five that was added by hand is all that counts.
async fn use_in_every_way(gateway: &Ledger) {
    let committed = async |amount| {
        let order = granted(gateway, amount).await;
        gateway.settle_and_wait(settlement(order.id, Outcome::Committed)).await.unwrap();
        order
    };
    let cancelled = committed(60).await;
    let number = OrderNumber::of(&cancelled.holder.contract, "7");
    gateway.number(number, cancelled.id);
    assert_eq!(used(gateway).await, 60);
    assert!(gateway.cancel(number, noon()).await.unwrap().is_some());
    let corrected = committed(50).await;
    gateway.correct(corrected.id, Verdict::Released, "the books".into(), noon()).await.unwrap();
    let unknown = granted(gateway, 40).await;
    gateway.settle_and_wait(settlement(unknown.id, Outcome::Unknown)).await.unwrap();
    assert_eq!(gateway.unknown().await.unwrap().len(), 1);
    gateway.reconcile(unknown.id, Verdict::Released, "asked the branch".into(), noon()).await.unwrap();
    let entered = entry(EntryKey::of(&["session"]), 1);
    assert_eq!(gateway.enter(entered).await, Ok(Entered::Kept(yen(1))));
    gateway.renew(renewal(90));
    let (contract, login_id) = (unknown.holder.contract.clone(), unknown.holder.login_id.clone());
    gateway.learn_own_limit(contract.clone(), Some(yen(100)), noon()).await.unwrap();
    assert_eq!(gateway.own_limit(contract.clone()).await, Ok(Some(yen(100))));
    let abandoned = order(1);
    // Asked, and given up before it is answered.
    tokio::select! {
        biased;
        answer = gateway.reserve(abandoned.clone()) => panic!("{answer:?}"),
        () = std::future::ready(()) => {}
    }
    while state(gateway, abandoned.id).await != Some(State::Released) {
        tokio::task::yield_now().await;
    }
    gateway.accept(now()).await.unwrap();
    let (id, amount, day, at) = (order(5).id, yen(5), today(), noon());
    let (bases, why) = (vec![Basis::Accepted], "receipt 4711".into());
    gateway.add(Addition { id, contract, login_id, amount, day, bases, why, at }).await.unwrap();
    assert_eq!(gateway.transfers(day, day).next_chunk().await.unwrap().len(), 5);
    assert!(gateway.is_available());
}

/// So many days with an order each that what came before them is forgotten, with the number of the first of them.
async fn outlive_retention(gateway: &Ledger) {
    let mut first = None;
    for days in 1..=43 {
        let day = today().plus_days(days);
        let order = Order { debits: vec![debit(day, 100)], at: day.begins_at(), ..order(1) };
        assert!(matches!(gateway.reserve(order.clone()).await, Ok(Decision::Granted(_))));
        gateway.settle_and_wait(settlement(order.id, Outcome::Committed)).await.unwrap();
        if first.is_none() {
            gateway.number(OrderNumber::of(&order.holder.contract, "8"), order.id);
            first = Some(order.id);
        }
    }
    assert_eq!(state(gateway, first.unwrap()).await, None);
}

fn verbs_of_the_script() -> BTreeSet<String> {
    let functions = SCRIPT.split("function ").filter_map(|text| text.split_once("()")).map(|(name, _)| name);
    functions.filter_map(|name| name.strip_prefix("verbs.").or(name.strip_prefix("free."))).map(str::to_owned).collect()
}

fn verbs_called(server: &RunningServer) -> BTreeSet<String> {
    let slow = server::list(&server.ask(&["SLOWLOG", "GET", "-1"]));
    let commands = slow.iter().map(|entry| server::list(&server::list(entry)[3]).iter().map(told).collect::<Vec<_>>());
    commands.filter(|words| words[0].starts_with("EVAL")).map(|words| words[4].clone()).collect()
}

/// A CA of our own, and a server that wants a password; the journal's directory holds the keys.
#[test]
fn an_encrypted_server_is_known_by_its_ca_and_knows_us_by_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca: CertificateDer<'static> = authority.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(authority, key);
    let server_key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&server_key, &issuer).unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, server_key) = (file("pem", &certificate.pem()), file("key", &server_key.serialize_pem()));
    let tls_port = server::free_port();
    let port = tls_port.to_string();
    let arguments = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &server_key];
    let rest = ["--tls-ca-cert-file", &certificate, "--tls-auth-clients", "no", "--requirepass", "hunter2"];
    let running = RunningServer::start(directory.path(), &[&arguments[..], &rest[..]].concat());
    let mut settings = server::settings(&[&running], "bank", &directory.path().join("a"));
    settings.servers = vec![Server { host: "localhost".into(), port: tls_port }];
    settings.ca = Some(vec![ca]);
    settings.password = Some(Password::new("hunter2".into()));
    assert!(!format!("{settings:?}").contains("hunter2"));
    run(async {
        granted(&server::open(&settings, noon()).ledger, 10).await;
        let open_with = |settings: &Settings| -> Ledger { server::open(settings, noon()).ledger };
        // Another name than the certificate's, another CA, another password.
        let mut wrong = settings.clone();
        wrong.servers[0].host = "127.0.0.1".into();
        refused(&open_with(&wrong)).await;
        let mut wrong = settings.clone();
        let other = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        wrong.ca = Some(vec![other.der().clone()]);
        refused(&open_with(&wrong)).await;
        let mut wrong = settings.clone();
        wrong.password = Some(Password::new("hunter3".into()));
        let why = refused(&open_with(&wrong)).await;
        assert!(!why.contains("hunter"), "{why}");
    });
}
