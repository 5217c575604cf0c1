//! A store that is missing, another or older than the audit log knows moves no money until an operator accepts it: LIM-41.

use std::fs;

use crate::support::TestGateway;
use crate::support::desk::{expect_refused, records, sekisho, transfer};

const STORE: &str = "state/sekisho.redb";

/// Money is refused, pages go on, and health says why.
async fn assert_waits(gateway: &TestGateway) {
    let customer = gateway.enrol("hanakodt");
    assert_eq!(expect_refused(gateway, &customer, 1).await, (503, "store_not_accepted".into()));
    gateway.assert_served(&customer).await;
    let ready = gateway.operator.get("/health/ready").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()), "pages are to be served");
    assert_eq!(ready.json()["degraded"]["ledger"], "store_not_accepted");
    let shown = sekisho(gateway, &["ledger", "show", "hanakodt"]).await.well();
    assert!(shown.contains("NO TRANSFER IS POSSIBLE"), "{shown}");
}

async fn accept(gateway: &TestGateway) -> String {
    let said = sekisho(gateway, &["ledger", "accept", "--reason", "restored, ticket 4711"]).await.well();
    let ready = gateway.operator.get("/health/ready").await;
    assert_eq!((ready.status, ready.json()["degraded"].clone()), (200, serde_json::json!({})));
    said
}

/// A restart changes nothing about what was found.
async fn restarted(gateway: TestGateway) -> TestGateway {
    let builder = TestGateway::builder().after(&gateway);
    gateway.drain().await;
    builder.spawn().await
}

#[tokio::test]
async fn a_deleted_store_beside_an_audit_log_moves_no_money_until_it_is_accepted() {
    let gateway = TestGateway::spawn().await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302);
    let (builder, store) = (TestGateway::builder().after(&gateway), gateway.path(STORE));
    gateway.drain().await;
    fs::remove_file(store).unwrap();

    let gateway = builder.spawn().await;
    assert_waits(&gateway).await;
    let import = ["ledger", "limit", "tarokodt", "--yen", "1", "--reason", "while it waits"];
    sekisho(&gateway, &import).await.well();
    let gateway = restarted(gateway).await;
    assert_waits(&gateway).await;

    let said = accept(&gateway).await;
    assert!(said.contains("it had waited because the audit log knows the store"), "{said}");
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 6).await.status, 302);
    let gateway = restarted(gateway).await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 7).await.status, 302);

    let log = gateway.path("state/audit.jsonl");
    let [accepted] = records(&log, "store_accepted").try_into().unwrap();
    assert_eq!(accepted["event.reason"], "restored, ticket 4711");
    assert!(accepted["sekisho.operator"].as_str().unwrap().starts_with("hana (uid "), "{accepted}");
    assert!(accepted["sekisho.store.id"].is_string(), "{accepted}");
    let [imported] = records(&log, "own_limit_set").try_into().unwrap();
    assert_eq!(imported.get("sekisho.store.id"), None, "a store that waits is not the one the log knows");
    sekisho(&gateway, &["audit", "verify"]).await.well();
}

#[tokio::test]
async fn a_restored_backup_moves_no_money_until_it_is_accepted() {
    let gateway = TestGateway::spawn().await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302);
    let (builder, store, backup) =
        (TestGateway::builder().after(&gateway), gateway.path(STORE), gateway.path("backup.redb"));
    gateway.drain().await;
    fs::copy(&store, &backup).unwrap();

    let gateway = builder.spawn().await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 99_999_995).await.status, 302);
    let builder = TestGateway::builder().after(&gateway);
    gateway.drain().await;
    fs::rename(&backup, &store).unwrap();

    let gateway = builder.spawn().await;
    assert_waits(&gateway).await;
    let said = accept(&gateway).await;
    assert!(
        said.contains("it had waited because the audit log knows reservation 2, the store has come to 1"),
        "{said}"
    );
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302, "what it forgot is not counted");
    let gateway = restarted(gateway).await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 6).await.status, 302);
    sekisho(&gateway, &["audit", "verify"]).await.well();
}

/// An operator's acceptance also takes the present clock for the right one (LIM-22).
#[tokio::test]
async fn a_clock_that_was_wrong_is_accepted_by_an_operator() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    gateway.clock.advance(600);
    assert_eq!(transfer(&gateway, &customer, 1).await.status, 302);
    gateway.clock.advance(-600);
    assert_eq!(expect_refused(&gateway, &customer, 1).await, (503, "clock_behind".into()));
    let said = accept(&gateway).await;
    assert!(said.contains("it had not waited"), "{said}");
    assert_eq!(transfer(&gateway, &customer, 1).await.status, 302);
}

/// Without a transfer on record there is nothing that a new store could have forgotten.
#[tokio::test]
async fn a_store_that_nothing_was_recorded_of_may_be_new() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let (builder, store) = (TestGateway::builder().after(&gateway), gateway.path(STORE));
    gateway.drain().await;
    fs::remove_file(store).unwrap();
    let gateway = builder.spawn().await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302);
}

/// LIM-28: what the audit log tells of the day is put back while money still waits.
#[tokio::test]
async fn what_a_lost_store_forgot_is_added_before_it_is_accepted() {
    let gateway = TestGateway::spawn().await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 60_000_000).await.status, 302);
    let (builder, store) = (TestGateway::builder().after(&gateway), gateway.path(STORE));
    gateway.drain().await;
    fs::remove_file(store).unwrap();

    let gateway = builder.spawn().await;
    let add = ["ledger", "add", "hanakodt", "--yen", "60000000", "--reason", "forgotten, ticket 4711"];
    sekisho(&gateway, &add).await.well();
    assert_waits(&gateway).await;
    let gateway = restarted(gateway).await;
    assert_waits(&gateway).await;
    accept(&gateway).await;
    let customer = gateway.enrol("hanakodt");
    assert_eq!(expect_refused(&gateway, &customer, 40_000_001).await, (403, "over_ceiling".into()));
    assert_eq!(transfer(&gateway, &customer, 40_000_000).await.status, 302);
    sekisho(&gateway, &["audit", "verify"]).await.well();
}
