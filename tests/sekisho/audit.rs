//! What stands in the audit log, and that it stays whole: OPS-03, OPS-14.

use std::fs;

use aws_lc_rs::digest::{SHA256, digest};

use crate::support::desk::{records, sekisho, transfer};
use crate::support::{MoneyStory, Said, TestGateway};

/// What `cat FILE… | sha256sum` says.
fn sha256(gateway: &TestGateway, files: &[&str]) -> String {
    let bytes: Vec<u8> = files.iter().flat_map(|file| fs::read(gateway.path(file)).unwrap()).collect();
    data_encoding::HEXLOWER.encode(digest(&SHA256, &bytes).as_ref())
}

#[tokio::test]
async fn whoever_comes_in_is_recorded_and_whoever_does_not() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    gateway.assert_served(&customer).await;
    let mut resumed = customer.connect().await;
    assert_eq!(resumed.get("/").await.status, 200);
    assert!(resumed.is_resumed());
    gateway.assert_refused(&gateway.stranger(), "no_certificate").await;
    let log = gateway.path("state/audit.jsonl");
    let builder = TestGateway::builder().after(&gateway);
    gateway.drain().await;

    let logins = records(&log, "login");
    assert_eq!(logins.len(), 2, "one for each connection, full or resumed");
    for login in &logins {
        assert_eq!((&login["user.id"], &login["client.ip"]), (&"hanakodt".into(), &"127.0.0.1".into()));
        assert_eq!((&login["sekisho.listener"], &login["event.outcome"]), (&"certificate".into(), &"success".into()));
        assert!(login["tls.client.x509.serial_number"].is_string(), "{login}");
    }
    let [refused] = records(&log, "handshake_refused").try_into().unwrap();
    assert_eq!((&refused["event.reason"], &refused["event.outcome"]), (&"no_certificate".into(), &"failure".into()));
    assert_eq!(refused.get("user.id"), None);
    let gateway = builder.spawn().await;
    sekisho(&gateway, &["audit", "verify"]).await.well();
}

/// Whoever gets a page that says why is refused all the same.
#[tokio::test]
async fn a_visitor_who_gets_the_refusals_page_is_no_login() {
    let page = "[[listener]]\nname = \"certificate\"\nrefusal = \"page\"";
    let gateway = TestGateway::builder().layer(page).spawn().await;
    assert_eq!(gateway.stranger().get("/").await.status, 403);
    let log = gateway.path("state/audit.jsonl");
    let _directory = TestGateway::builder().after(&gateway);
    gateway.drain().await;
    assert_eq!(records(&log, "login").len(), 0);
    assert_eq!(records(&log, "handshake_refused")[0]["event.reason"], "no_certificate");
}

#[tokio::test]
async fn each_start_and_each_reload_tells_the_configuration() {
    let gateway = TestGateway::builder().layer("drain-timeout = \"2s\"").spawn().await;
    let files = ["config.toml", "test.toml", "layer-0.toml"];
    let log = gateway.path("state/audit.jsonl");
    let first = sha256(&gateway, &files);
    assert_eq!(records(&log, "started")[0]["sekisho.config.sha256"], first.as_str());

    gateway.write("layer-0.toml", "[limits]\nidle-timeout = \"30s\"");
    let second = sha256(&gateway, &files);
    sekisho(&gateway, &["reload"]).await.well();
    gateway.write("layer-0.toml", "workers = 0");
    gateway.reload().await.unwrap_err();
    let _directory = TestGateway::builder().after(&gateway);
    gateway.drain().await;

    let reloads = records(&log, "reloaded");
    let good = reloads.iter().filter(|record| record["event.outcome"] == "success");
    assert!(good.clone().count() >= 1);
    assert!(good.clone().all(|record| record["sekisho.config.sha256"] == second.as_str()), "{reloads:?}");
    let rejected = reloads.iter().filter(|record| record["event.outcome"] == "failure");
    assert!(rejected.clone().count() >= 1);
    assert!(rejected.clone().all(|record| record["event.reason"] == "rejected"), "{reloads:?}");
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_log_that_was_moved_away_goes_on_in_a_new_file_after_a_reload() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    assert_eq!(transfer(&gateway, &customer, 5).await.status, 302);
    let (log, old) = (gateway.path("state/audit.jsonl"), gateway.path("state/audit-1.jsonl"));
    fs::rename(&log, &old).unwrap();
    let said = sekisho(&gateway, &["reload"]).await.well();
    assert!(said.contains("the audit log goes on in a new file"), "{said}");
    let said = sekisho(&gateway, &["reload"]).await.well();
    assert!(!said.contains("audit"), "{said}");
    assert_eq!(transfer(&gateway, &customer, 6).await.status, 302);
    sekisho(&gateway, &["ledger", "export", "--output", "ledger.jsonl"]).await.well();

    assert_eq!(records(&log, "rotated").len(), 1);
    let said = sekisho(&gateway, &["audit", "verify", "state/audit-1.jsonl", "state/audit.jsonl"]).await.well();
    assert!(said.ends_with("the chain is whole\n"), "{said}");
    let said = sekisho(&gateway, &["audit", "verify"]).await.well();
    assert!(said.contains("after a line of an earlier file"), "{said}");

    // What the log knew of the store has moved along.
    let (builder, store) = (TestGateway::builder().after(&gateway), gateway.path("state/sekisho.redb"));
    gateway.drain().await;
    fs::remove_file(store).unwrap();
    let gateway = builder.spawn().await;
    let degraded = gateway.operator.get("/health/ready").await.json()["degraded"].clone();
    assert_eq!(degraded, serde_json::json!({ "ledger": "store_not_accepted" }));
}

/// A configuration with mistakes must not keep a log from being moved away.
#[tokio::test]
async fn a_rejected_reload_rotates_the_log_all_the_same() {
    let gateway = TestGateway::builder().layer("drain-timeout = \"2s\"").spawn().await;
    let (log, old) = (gateway.path("state/audit.jsonl"), gateway.path("state/audit-1.jsonl"));
    fs::rename(&log, &old).unwrap();
    gateway.write("layer-0.toml", "workers = 0");
    gateway.reload().await.unwrap_err();
    assert_eq!(records(&log, "rotated").len(), 1);
}

/// OPS-13: what cannot be told does not happen; what moves nothing goes on.
#[tokio::test]
async fn while_the_log_cannot_be_written_no_money_moves() {
    let disk = rustix::fs::statvfs("/").unwrap();
    // More than there is.
    let reserve = ((disk.f_blocks * disk.f_frsize) >> 30) + 1;
    let story = MoneyStory::with(format!("[audit]\nreserve = \"{reserve}GiB\"\n")).await;
    let operator = &story.gateway.operator;
    let ready = operator.get("/health/ready").await;
    assert_eq!((ready.status, &ready.json()["degraded"]["audit"]), (200, &"audit_unavailable".into()));
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        assert_eq!(payer.transfer(1).await, Said::refused(503, "audit_unavailable"));
        assert_eq!(payer.get("/ib/balance.do").await, Said::Screen("BPT001".into()));
    }
    assert!(story.executed().is_empty());
    assert_eq!((story.transfers("reserved").await, story.transfers("refused").await), (0.0, 2.0));
}
