//! A lost certificate, or a customer, is shut out at once and by hand: TLS-08, TLS-17, TLS-18.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::desk::{ask, records, sekisho};
use crate::support::pki::Authority;
use crate::support::{Customer, KeyKind, TestGateway, within};

const SECOND: Duration = Duration::from_secs(1);

async fn order(gateway: &TestGateway, target: &str, subject: &str) {
    let body = format!(r#"{{{subject},"reason":"lost on the train","operator":"hana"}}"#);
    let answer = ask(gateway, "POST", target, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// As the command line does it, without the time that a process takes to start.
async fn block(gateway: &TestGateway, subject: &str) {
    order(gateway, "/certificates/blocks", subject).await;
}

async fn lift(gateway: &TestGateway, subject: &str) {
    order(gateway, "/certificates/blocks/lift", subject).await;
}

/// The record appears when it is on the disk; refusals are told a moment later than they are answered.
async fn refusals(log: &Path) -> Vec<Value> {
    let read = || async { records(log, "refused") };
    crate::support::eventually("a refusal on record", read, |found| !found.is_empty()).await
}

#[tokio::test]
async fn open_connections_of_a_blocked_customer_end_and_nobody_elses() {
    let gateway = TestGateway::builder().workers(2).spawn().await;
    let (hanako, taro) = (gateway.enrol("hanakodt"), gateway.enrol("tarokodt"));
    let mut idle = hanako.connect().await;
    let mut streams = hanako.connect_http2().await;
    let mut other = taro.connect().await;
    for _ in 0..2 {
        assert_eq!(idle.get("/ib/menu.do").await.status, 200);
        assert_eq!(streams.get("/ib/menu.do").await.status, 200);
        assert_eq!(other.get("/ib/menu.do").await.status, 200);
    }
    let before = gateway.backend.count();

    block(&gateway, r#""login_id":"hanakodt""#).await;

    within(SECOND, "the end of the idle connection", idle.rest()).await;
    within(SECOND, "the end of the HTTP/2 connection", streams.expect_end()).await;
    assert_eq!(gateway.backend.count(), before);
    assert_eq!(other.get("/ib/menu.do").await.status, 200);
    gateway.assert_refused(&hanako.clone().forgetful(), "blocked").await;
    // A new certificate does not help who is blocked as a customer.
    gateway.assert_refused(&gateway.enrol("hanakodt"), "blocked").await;
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// No list has said anything, no connection has ended yet: the very next request is refused.
#[tokio::test]
async fn the_next_request_of_a_blocked_certificate_is_refused_and_audited() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.certificate().login_id("hanakodt").serial(0x0a1b).issue();
    let mut connection = gateway.customer(&hanako).connect().await;
    gateway.assert_served_on(&mut connection).await;
    block(&gateway, r#""serial":"0A:1B""#).await;
    match connection.try_request("GET", "/ib/menu.do", &[("Accept", "application/json")], b"").await {
        Ok(answer) => {
            assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("blocked")));
            let [refused] = refusals(&gateway.path("state/audit.jsonl")).await.try_into().unwrap();
            assert_eq!(refused["event.reason"], "blocked");
            assert_eq!(refused["user.id"], "hanakodt");
            assert_eq!(refused["tls.client.x509.serial_number"], "0A1B");
        }
        // On a busy machine the connection may have ended before.
        Err(error) => assert!(gateway.backend.count() == 1, "{error}"),
    }
    connection.rest().await;
    assert_eq!(gateway.backend.count(), 1);
}

/// TLS-17: what began before the block is looked at again before it leaves.
#[tokio::test]
async fn a_body_that_outlives_the_block_never_reaches_the_application() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut connection).await;
    let head = "POST /ib/transfer/commit.do HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\namou";
    connection.send_raw(head.as_bytes()).await.unwrap();
    block(&gateway, r#""login_id":"hanakodt""#).await;
    let _ = connection.send_raw(b"nt=1").await;
    if let Ok(answer) = connection.read("POST").await {
        assert_eq!(answer.status, 403);
    }
    connection.rest().await;
    assert_eq!(gateway.backend.count(), 1);
}

#[tokio::test]
async fn a_resumed_session_does_not_bring_a_blocked_customer_back() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let gateway = TestGateway::spawn().await;
        let hanako = gateway.pki.issuing.customer("hanakodt");
        let speaking = Customer::speaking(gateway.address(), &gateway.pki.web, &hanako, version);
        gateway.assert_served(&speaking).await;
        assert!(speaking.connect().await.is_resumed(), "{version:?}");

        block(&gateway, r#""login_id":"hanakodt""#).await;

        speaking.expect_refusal().await;
        gateway.operator.wait_for("sekisho_handshakes_total", &[("result", "blocked")], 1.0).await;
        assert_eq!(gateway.backend.count(), 1);
        // Whoever is let in again is let in as before.
        lift(&gateway, r#""login_id":"hanakodt""#).await;
        gateway.assert_served(&speaking).await;
    }
}

#[tokio::test]
async fn where_refusals_are_pages_a_blocked_customer_reads_one() {
    let page = "[[listener]]\nname = \"certificate\"\nrefusal = \"page\"";
    let gateway = TestGateway::builder().layer(page).spawn().await;
    block(&gateway, r#""login_id":"hanakodt""#).await;
    let hanako = gateway.enrol("hanakodt");
    let answer = hanako.connect().await.request("GET", "/", &[("Accept", "application/json")], b"").await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("blocked")));
    let answer = hanako.connect().await.request("GET", "/", &[("Accept", "text/html")], b"").await;
    assert!(answer.text().contains("停止しております"), "{}", answer.text());
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// Two CAs may give one serial; nobody at the help desk knows which one it was.
#[tokio::test]
async fn a_serial_is_blocked_for_every_issuing_ca_and_as_a_number() {
    let (one, other) = (Authority::root("ANSER CA 1", KeyKind::P256), Authority::root("ANSER CA 2", KeyKind::P256));
    let lists = one.list().pem() + &other.list().pem();
    let gateway = TestGateway::builder().authorities(&[&one, &other]).list(lists).spawn().await;
    block(&gateway, r#""serial":"serial=80""#).await;
    for authority in [&one, &other] {
        gateway.assert_refused(&gateway.customer(&authority.certificate().serial(0x80).issue()), "blocked").await;
        gateway.assert_served(&gateway.customer(&authority.certificate().serial(0x8000).issue())).await;
    }
}

#[tokio::test]
async fn a_block_outlives_a_restart_and_a_lift_does_too() {
    let gateway = TestGateway::spawn().await;
    let [hanako, taro] = ["hanakodt", "tarokodt"].map(|id| gateway.pki.issuing.customer(id));
    block(&gateway, r#""login_id":"hanakodt""#).await;
    block(&gateway, r#""login_id":"tarokodt""#).await;
    lift(&gateway, r#""login_id":"tarokodt""#).await;
    let again = TestGateway::builder().after(&gateway);
    gateway.drain().await;
    let gateway = again.spawn().await;
    gateway.assert_refused(&gateway.customer(&hanako), "blocked").await;
    gateway.assert_served(&gateway.customer(&taro)).await;
    assert_eq!(gateway.operator.metric("sekisho_blocks", &[("kind", "login_id")]).await, 1.0);

    lift(&gateway, r#""login_id":"hanakodt""#).await;
    gateway.assert_served(&gateway.customer(&hanako)).await;
    assert_eq!(gateway.operator.metric("sekisho_blocks", &[]).await, 0.0);
}

/// An empty set would let everybody in whom somebody has shut out.
#[tokio::test]
async fn a_damaged_file_of_blocks_refuses_the_start() {
    let gateway = TestGateway::spawn().await;
    block(&gateway, r#""login_id":"hanakodt""#).await;
    let file = gateway.path("state/blocks");
    let good = std::fs::read_to_string(&file).unwrap();
    let directory = gateway.directory();
    let again = || TestGateway::builder().after(&gateway);
    let starts = [again(), again(), again(), again()];
    gateway.drain().await;
    let bad = [String::new(), good.replace("hanakodt", "hanakodu"), good[..good.len() - 2].to_owned()];
    let [last, starts @ ..] = starts;
    for (content, start) in bad.into_iter().zip(starts) {
        std::fs::write(&file, &content).unwrap();
        let refused = start.try_spawn().await.err().expect(&content);
        assert!(refused.contains("state/blocks are damaged"), "{refused}");
    }
    std::fs::write(&file, good).unwrap();
    let gateway = last.spawn().await;
    gateway.assert_refused(&gateway.enrol("hanakodt"), "blocked").await;
    drop(directory);
}

#[tokio::test]
async fn a_block_that_cannot_be_kept_is_refused_to_the_operator() {
    let gateway = TestGateway::spawn().await;
    // Where the file would be written beside, something lies.
    std::fs::create_dir(gateway.path("state/blocks.new")).unwrap();
    let said =
        sekisho(&gateway, &["certificate", "block", "--login-id", "hanakodt", "--reason", "lost"]).await.failed();
    assert!(said.contains("cannot be kept on this gateway's disk") && said.contains("nothing has changed"), "{said}");
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    std::fs::remove_dir(gateway.path("state/blocks.new")).unwrap();
    block(&gateway, r#""login_id":"hanakodt""#).await;
    gateway.assert_refused(&gateway.enrol("hanakodt"), "blocked").await;
}

#[tokio::test]
async fn the_help_desk_blocks_lists_and_unblocks() {
    let gateway = TestGateway::spawn().await;
    let run = async |arguments: &[&str]| {
        let all: Vec<&str> = ["certificate"].iter().chain(arguments).copied().collect();
        sekisho(&gateway, &all).await
    };
    assert_eq!(run(&["blocks"]).await.well(), "nobody is blocked\n");
    let done = run(&["block", "--login-id", "hanakodt", "--reason", "PC stolen"]).await.well();
    assert_eq!(done, "login ID hanakodt is blocked, number 1\n");
    let done = run(&["block", "--serial", "00:0A:1b", "--reason", "token lost", "--operator", "Sato"]).await.well();
    assert_eq!(done, "serial 0a1b is blocked, number 2\n");
    let table = run(&["blocks"]).await.well();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert_eq!((&rows[1][..4], &rows[1][6..]), (&["1", "login", "ID", "hanakodt"][..], &["PC", "stolen"][..]));
    assert_eq!((&rows[2][..3], &rows[2][5..]), (&["2", "serial", "0a1b"][..], &["token", "lost"][..]));

    let said = run(&["block", "--serial", "0a1b", "--reason", "again"]).await.failed();
    assert!(said.contains("blocked already, by number 2") && said.contains("token lost"), "{said}");
    let said = run(&["unblock", "--login-id", "Hanakodt", "--reason", "found"]).await.failed();
    assert!(said.contains("Hanakodt is not blocked: nothing has changed"), "{said}");
    assert_eq!(run(&["blocks"]).await.well(), table, "nothing has changed");
    let done = run(&["unblock", "--login-id", "hanakodt", "--reason", "found again"]).await.well();
    assert_eq!(done, "login ID hanakodt is not blocked any more, number 3\n");

    let log = gateway.path("state/audit.jsonl");
    let told = |action: &str| -> Vec<[Value; 4]> {
        let fields = ["event.outcome", "event.reason", "user.id", "tls.client.x509.serial_number"];
        records(&log, action).iter().map(|record| fields.map(|field| record[field].clone())).collect()
    };
    let [first, second, third] = told("certificate_blocked").try_into().unwrap();
    assert_eq!(first, [Value::from("success"), "PC stolen".into(), "hanakodt".into(), Value::Null]);
    assert_eq!(second, [Value::from("success"), "token lost".into(), Value::Null, "0A1B".into()]);
    assert_eq!(third[0], "failure");
    assert_eq!(
        told("certificate_unblocked").iter().map(|act| act[0].clone()).collect::<Vec<_>>(),
        ["failure", "success"]
    );
    let user = rustix::process::getuid().as_raw();
    let operators: Vec<_> =
        records(&log, "certificate_blocked").iter().map(|act| act["sekisho.operator"].clone()).collect();
    assert_eq!(operators[..2], [format!("hana (uid {user})"), format!("Sato (uid {user})")]);
    sekisho(&gateway, &["audit", "verify"]).await.well();
}
