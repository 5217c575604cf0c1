//! A store that is missing, another or older than the audit log knows moves no money until an operator accepts it: LIM-41.

use std::fs;
use std::sync::Arc;

use sekisho::demo::bank::{Bank, Fault, Gate};
use tokio::net::TcpListener;

use crate::support::desk::{expect_refused, records, sekisho, transfer};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::{Backend, Customer, Payer, Pki, Said, TestGateway, eventually};

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
    let import = ["ledger", "own-limit", "tarokodt", "1", "--reason", "while it waits"];
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

/// The log must know of an order before it ends: here it never does.
#[tokio::test]
async fn a_backup_that_lacks_only_what_was_at_the_bank_moves_no_money_until_it_is_accepted() {
    let bank = Arc::new(Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap());
    let pki = Pki::fresh();
    let builder = TestGateway::builder().pki(&pki).upstream(format!("http://{}", bank.address()));
    let (directory, files) = builder.write(&Backend::start().await);
    let (store, log) = (directory.path().join(STORE), directory.path().join("state/audit.jsonl"));
    let payer = |program: &Program| {
        let customer = Customer::new(program.address, &pki.web, Some(&pki.issuing.customer("hanakodt")));
        Payer::over_http1("hanakodt", customer)
    };
    let program = Program::start(&files).await;
    assert_eq!(payer(&program).transfer(1).await, Said::done());
    program.end();
    let backup = directory.path().join("backup.redb");
    fs::copy(&store, &backup).unwrap();

    let program = Program::start(&files).await;
    let gate = Gate::shut();
    bank.fail_next(Fault::HoldAnswer(gate.clone()));
    let mut hanako = payer(&program);
    let held = tokio::spawn(async move { hanako.transfer(99_999_999).await });
    gate.arrived(1).await;
    let reached = async || records(&log, "store_reached");
    let told = eventually("what the log knows", reached, |marks| marks.last().unwrap()["sekisho.store.sequence"] == 2);
    assert!(told.await.last().unwrap()["sekisho.store.id"].is_string());
    program.kill();
    gate.open();
    bank.until_executed(2).await;
    assert!(held.await.is_err(), "nobody was answered");
    fs::rename(&backup, &store).unwrap();

    let program = Program::start(&files).await;
    assert_eq!(payer(&program).transfer(1).await, Said::refused(503, "store_not_accepted"));
    program.end();
}

/// A new log knows nothing: it cannot vouch for the store that lies beside it.
#[tokio::test]
async fn a_log_that_was_moved_away_while_the_gateway_was_down_is_noticed() {
    let redis = RedisServer::start();
    for store in ["[store]\nkind = \"embedded\"\n".to_owned(), redis.store()] {
        let gateway = TestGateway::builder().layer(&store).spawn().await;
        gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302);
        let (builder, log) = (TestGateway::builder().after(&gateway).layer(&store), gateway.path("state/audit.jsonl"));
        gateway.drain().await;
        fs::rename(&log, log.with_extension("moved")).unwrap();

        let gateway = builder.spawn().await;
        assert_eq!(expect_refused(&gateway, &gateway.enrol("hanakodt"), 1).await, (503, "store_not_accepted".into()));
        let said = accept(&gateway).await;
        assert!(said.contains("it had waited because the audit log knows no store, this one has come to 1"), "{said}");
        let builder = TestGateway::builder().after(&gateway).layer(&store);
        gateway.drain().await;
        let gateway = builder.spawn().await;
        gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 6).await.status, 302);
    }
}

/// As it is told to: while the gateway runs.
#[tokio::test]
async fn a_log_that_was_rotated_goes_on_knowing_the_store() {
    let gateway = TestGateway::spawn().await;
    let log = gateway.path("state/audit.jsonl");
    fs::rename(&log, log.with_extension("moved")).unwrap();
    gateway.reload().await.unwrap();
    assert_eq!(records(&log, "rotated")[0]["sekisho.store.sequence"], 0, "also where nothing was moved yet");
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302);
    fs::rename(&log, log.with_extension("moved-too")).unwrap();
    gateway.reload().await.unwrap();
    let gateway = restarted(gateway).await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 6).await.status, 302);
}
