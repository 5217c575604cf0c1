//! A certificate's dates hold for each request: TLS-04, TLS-17, A18.

use jiff::{SignedDuration, Timestamp};

use crate::support::pki::{Authority, days};
use crate::support::{KeyKind, Pki, TestGateway};

/// A layer to be replaced later.
const LATER: &str = "state-directory = \"state\"";

#[tokio::test]
async fn a_certificate_that_expires_during_the_session_ends_it() {
    let gateway = TestGateway::spawn().await;
    let end = Timestamp::now() + SignedDuration::from_mins(30);
    let identity = gateway.pki.issuing.certificate().valid(days(-1), end).issue();
    let customer = gateway.customer(&identity);
    let mut connection = customer.connect().await;
    let mut streams = customer.connect_http2().await;
    assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    assert_eq!(streams.get("/ib/menu.do").await.status, 200);

    gateway.clock.set(end + SignedDuration::from_secs(1));

    let answer = connection.request("GET", "/ib/menu.do", &[("Accept", "application/json")], b"").await;
    assert_eq!((answer.status, answer.header("Connection").as_deref()), (403, Some("close")));
    assert!(answer.json()["code"].as_str().unwrap().contains("expired"), "{}", answer.json());
    connection.expect_end().await;
    assert_eq!(streams.get("/ib/menu.do").await.status, 403);
    streams.expect_end().await;
    assert_eq!(gateway.backend.count(), 2);
    assert!(gateway.operator.metric("sekisho_refusals_total", &[]).await >= 2.0);
    gateway.assert_refused(&customer.clone().forgetful(), "expired").await;
}

#[tokio::test]
async fn an_expired_certificate_does_not_resume() {
    let gateway = TestGateway::spawn().await;
    let end = Timestamp::now() + SignedDuration::from_mins(30);
    let customer = gateway.customer(&gateway.pki.issuing.certificate().valid(days(-1), end).issue());
    gateway.assert_served(&customer).await;
    gateway.clock.set(end + SignedDuration::from_secs(1));
    customer.expect_refusal().await;
    gateway.operator.wait_for("sekisho_handshakes_total", &[("result", "expired")], 1.0).await;
    assert_eq!(gateway.backend.count(), 1);
}

/// A clock that is set back must not bring the dead to life, nor let the unborn in.
#[tokio::test]
async fn a_certificate_of_tomorrow_serves_tomorrow() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.customer(&gateway.pki.issuing.certificate().days(1, 30).issue());
    gateway.assert_refused(&customer, "not_yet_valid").await;
    gateway.clock.advance(25 * 3600);
    gateway.assert_served(&customer).await;
    gateway.clock.advance(-25 * 3600);
    let status = customer.try_get("/ib/menu.do").await.map(|answer| answer.status);
    assert_ne!(status.unwrap_or(0), 200);
    assert_eq!(gateway.backend.count(), 1);
}

/// Keep-alive must not outlive a CA's removal (TLS-17).
#[tokio::test]
async fn a_removed_authority_takes_its_customers_open_connections_along() {
    let pki = Pki::fresh();
    let leaving = Authority::root("Leaving CA", KeyKind::P256);
    let lists = pki.issuing.list().pem() + &leaving.list().pem();
    let builder = TestGateway::builder().pki(&pki).authorities(&[&pki.issuing, &leaving]);
    let gateway = builder.list(lists).spawn().await;
    let theirs = gateway.customer(&leaving.customer("hanakodt"));
    let (mut connection, mut ours) = (theirs.connect().await, gateway.enrol("tarokodt").connect().await);
    assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    assert_eq!(ours.get("/ib/menu.do").await.status, 200);

    gateway.write("certs/ca.crl", pki.issuing.list().number(2).pem());
    gateway.write("certs/ca.pem", pki.issuing.pem());
    gateway.reload().await.unwrap();

    let status = connection.try_get("/ib/menu.do").await.map(|answer| answer.status);
    assert!(matches!(status, Err(_) | Ok(403)), "{status:?}");
    theirs.expect_refusal().await;
    assert_eq!(ours.get("/ib/menu.do").await.status, 200);
    assert_eq!(gateway.backend.count(), 3);
}

/// A new identity layout is a new question to every open connection (TLS-17).
#[tokio::test]
async fn a_new_subject_layout_is_applied_to_open_connections() {
    let gateway = TestGateway::builder().layer(LATER).spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    gateway.write("layer-0.toml", "[identity]\norganization = \"ANOTHER SHINKUMI\"");
    gateway.reload().await.unwrap();
    let status = connection.try_get("/ib/menu.do").await.map(|answer| answer.status);
    assert!(matches!(status, Err(_) | Ok(403)), "{status:?}");
    assert_eq!(gateway.backend.count(), 1);
    gateway.assert_refused(&gateway.enrol("hanakodt"), "subject_mismatch").await;
}
