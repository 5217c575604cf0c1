//! How Redis is reached, and what the gateway does while it is not: at once, and without losing a settlement (LIM-23).

use std::fs;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;

use super::super::{Password, Server};
use super::server::{self, RunningServer, told};
use super::site::{
    Site, available, entry, granted, now, order, refused, renewal, settlement, state, today, unavailable, used,
};
use crate::store::Ledger;
use crate::store::contract::stand::{noon, run, yen};
use crate::store::ledger::{Addition, Basis, Entered, EntryKey, Outcome, State, Verdict};

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

/// The rights that the README lists are enough, and reach no other key.
#[test]
fn a_user_of_few_rights_is_enough() {
    let site = Site::new();
    let readme = include_str!("../../../../README.md");
    let (_, rights) = readme.split_once("`~{sekisho}:* ").unwrap();
    let (rights, _) = rights.split_once('`').unwrap();
    let keys = format!("~{{{}}}:*", site.prefix);
    let words: Vec<&str> =
        ["ACL", "SETUSER", "gateway", "on", ">hunter2", &keys].into_iter().chain(rights.split_whitespace()).collect();
    site.server.ask(&words);
    run(async {
        let mut settings = site.settings("a");
        (settings.username, settings.password) = (Some("gateway".into()), Some(Password::new("hunter2".into())));
        let gateway = server::open(&settings, noon()).ledger;
        let by_hand = order(5);
        let order = granted(&gateway, 60).await;
        gateway.settle_and_wait(settlement(order.id, Outcome::Committed)).await.unwrap();
        assert_eq!(used(&gateway).await, 60);
        let entered = entry(EntryKey::of(&["session"]), 1);
        assert_eq!(gateway.enter(entered.clone()).await, Ok(Entered::Kept(yen(1))));
        gateway.renew(renewal(90));
        gateway.correct(order.id, Verdict::Released, "the books".into(), noon()).await.unwrap();
        let (contract, login_id) = (by_hand.holder.contract, by_hand.holder.login_id);
        let (bases, why) = (vec![Basis::Accepted], "receipt 4711".into());
        let (id, amount, day, at) = (by_hand.id, yen(5), today(), noon());
        let addition = Addition { id, contract, login_id, amount, day, bases, why, at };
        gateway.add(addition).await.unwrap();
        assert_eq!(used(&gateway).await, 5);
        assert!(gateway.is_available());
        settings.prefix = "another".into();
        settings.journal = site.path("b");
        refused(&server::open(&settings, noon()).ledger).await;
    });
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
        let open_with = |settings: &super::super::Settings| -> Ledger { server::open(settings, noon()).ledger };
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
