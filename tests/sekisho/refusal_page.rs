//! `refusal = "page"`: the reason is told, and nothing else is given (TLS-13, TLS-15).

use crate::support::der::Text;
use crate::support::pki::{Authority, Identity, SERVER_AUTH, subject_with};
use crate::support::{Answer, Customer, KeyKind, TestGateway};

const PAGE: &str = "[[listener]]\nname = \"certificate\"\nrefusal = \"page\"";

/// Each reason with a visitor who meets it.
fn visitors(gateway: &TestGateway, revoked: &Identity) -> Vec<(&'static str, Customer)> {
    let issuing = &gateway.pki.issuing;
    let with = |identity: Identity| gateway.customer(&identity);
    let elsewhere = Authority::root("Elsewhere", KeyKind::P256);
    vec![
        ("no_certificate", gateway.stranger()),
        ("expired", with(issuing.certificate().days(-9, -1).issue())),
        ("not_yet_valid", with(issuing.certificate().days(1, 9).issue())),
        ("revoked", gateway.customer(revoked)),
        ("untrusted", with(elsewhere.customer("hanakodt"))),
        ("untrusted", with(issuing.certificate().self_signed().issue())),
        ("wrong_usage", with(issuing.certificate().usages(&[SERVER_AUTH]).issue())),
        ("subject_mismatch", with(issuing.certificate().subject(subject_with(Text::Utf8("x".into()))).issue())),
    ]
}

async fn gateway_with_a_revoked_customer() -> (TestGateway, Identity) {
    let pki = crate::support::Pki::fresh();
    let revoked = pki.issuing.customer("revoked1");
    let list = pki.issuing.list().revoking(&revoked).pem();
    (TestGateway::builder().pki(&pki).list(list).layer(PAGE).spawn().await, revoked)
}

async fn asked_for(customer: &Customer, headers: &[(&str, &str)]) -> Answer {
    let mut connection = customer.connect().await;
    let answer = connection.request("GET", "/ib/menu.do", headers, b"").await;
    connection.expect_end().await;
    answer
}

#[tokio::test]
async fn each_reason_has_its_page_and_none_reaches_the_application() {
    let (gateway, revoked) = gateway_with_a_revoked_customer().await;
    for (reason, customer) in visitors(&gateway, &revoked) {
        println!("{reason}");
        let before = gateway.handshakes(reason).await;
        let page = asked_for(&customer, &[]).await;
        assert_eq!(page.status, 403, "{reason}");
        assert!(page.header("Content-Type").unwrap().starts_with("text/html"), "{reason}");
        assert!(page.text().contains("lang=\"ja\""), "{reason}: {}", page.text());
        assert!(page.text().contains(&page.header("X-Request-Id").unwrap()), "{reason}: the page names the request");
        assert_eq!(page.header("Connection").as_deref(), Some("close"), "{reason}");

        let problem = asked_for(&customer, &[("Accept", "application/json")]).await;
        assert_eq!(problem.status, 403, "{reason}");
        assert_eq!(problem.header("Content-Type").as_deref(), Some("application/problem+json"), "{reason}");
        assert!(problem.json()["code"].as_str().unwrap().contains(reason), "{reason}: {}", problem.json());
        assert_eq!(problem.json()["request_id"].as_str(), problem.header("X-Request-Id").as_deref(), "{reason}");
        gateway.wait_for_handshakes(reason, before + 2.0).await;
    }
    assert_eq!(gateway.handshakes("ok").await, 0.0);
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn the_page_speaks_the_visitors_language() {
    let (gateway, revoked) = gateway_with_a_revoked_customer().await;
    let customer = gateway.customer(&revoked);
    let languages = [
        (None, "ja"),
        (Some("ja-JP,en;q=0.5"), "ja"),
        (Some("en-GB"), "en"),
        (Some("fr, en;q=0.8, ja;q=0.2"), "en"),
        (Some("xx"), "ja"),
    ];
    for (accepted, language) in languages {
        let headers: Vec<_> = accepted.map(|value| ("Accept-Language", value)).into_iter().collect();
        let page = asked_for(&customer, &headers).await.text();
        assert!(page.contains(&format!("lang=\"{language}\"")), "{accepted:?}: {page}");
    }
}

#[tokio::test]
async fn http2_visitors_get_the_page_too() {
    let (gateway, revoked) = gateway_with_a_revoked_customer().await;
    for (reason, customer) in visitors(&gateway, &revoked) {
        let mut connection = customer.connect_http2().await;
        let headers = [("accept", "application/json")];
        let answer = connection.request("GET", "/", &headers, b"").await;
        assert_eq!(answer.status, 403, "{reason}");
        assert!(answer.json()["code"].as_str().unwrap().contains(reason), "{reason}: {}", answer.json());
        connection.expect_end().await;
    }
    gateway.assert_backend_untouched();
}

/// A self-signed certificate with the victim's subject finishes the handshake; a session out of it must not exist.
#[tokio::test]
async fn a_refused_visitor_cannot_resume() {
    let (gateway, revoked) = gateway_with_a_revoked_customer().await;
    for (reason, customer) in visitors(&gateway, &revoked) {
        for attempt in 0..3 {
            let mut connection = customer.connect().await;
            assert!(!connection.is_resumed(), "{reason}, attempt {attempt}");
            assert_eq!(connection.get("/ib/menu.do").await.status, 403, "{reason}");
        }
    }
    let resumed = [("kind", "resumed")];
    assert_eq!(gateway.operator.metric("sekisho_handshakes_total", &resumed).await, 0.0);
    gateway.assert_backend_untouched();
}

/// One page and the end: what is sent behind the first request is not even read.
#[tokio::test]
async fn a_refused_visitor_has_one_request() {
    let (gateway, revoked) = gateway_with_a_revoked_customer().await;
    let mut connection = gateway.customer(&revoked).connect().await;
    let request = b"GET /ib/menu.do HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.send_raw(&[&request[..], request].concat()).await.unwrap();
    assert_eq!(connection.read("GET").await.unwrap().status, 403);
    connection.expect_end().await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn good_customers_are_served_beside_the_pages() {
    let (gateway, _) = gateway_with_a_revoked_customer().await;
    let customer = gateway.enrol("hanakodt");
    gateway.assert_served(&customer).await;
    let mut again = customer.connect().await;
    assert!(again.is_resumed(), "a good customer resumes");
    assert_eq!(again.get("/ib/menu.do").await.status, 200);
    assert_eq!(gateway.backend.last().header("X-Login-Id").as_deref(), Some("hanakodt"));
}
