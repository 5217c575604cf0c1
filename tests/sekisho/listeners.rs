//! Several entrances, kept apart: TLS-02, HTP-05, A20.

use crate::support::{Connection, Customer, KeyKind, Pki, TestGateway};

/// A certificate entrance and a password entrance, on one address.
const TWO: &str = r#"
[[listener]]
name = "certificate"
address = "127.0.0.1:0"
server-names = ["bank.example", "localhost"]
[[listener]]
name = "password"
address = "127.0.0.1:0"
server-names = ["password.example"]
certificate = "certs/server.pem"
private-key = "certs/server.key"
authentication = "password"
"#;

async fn two_on_one_address() -> TestGateway {
    TestGateway::builder().layer(TWO).spawn().await
}

/// The same two on addresses of their own.
fn apart() -> String {
    TWO.replacen("127.0.0.1:0", "127.0.0.2:0", 1)
}

fn raw(target: &str, host: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

async fn status(connection: &mut Connection, request: &[u8]) -> u16 {
    connection.send_raw(request).await.unwrap();
    connection.read("GET").await.unwrap().status
}

#[tokio::test]
async fn the_name_asked_for_picks_the_entrance() {
    let gateway = two_on_one_address().await;
    assert_eq!(gateway.address(), gateway.address_of("password"));

    assert_eq!(gateway.enrol("hanakodt").visiting("bank.example").get("/ib/menu.do").await.status, 200);
    assert_eq!(gateway.backend.last().header("X-Login-Id").as_deref(), Some("hanakodt"));

    assert_eq!(gateway.stranger().visiting("password.example").get("/ib/menu.do").await.status, 200);
    assert_eq!(gateway.backend.last().folded("X-Login-Id"), Vec::<String>::new());
    gateway.stranger().visiting("bank.example").expect_refusal().await;
    assert_eq!(gateway.backend.count(), 2);
}

#[tokio::test]
async fn an_unknown_name_and_no_name_are_refused_where_there_is_a_choice() {
    let gateway = two_on_one_address().await;
    gateway.enrol("hanakodt").visiting("other.example").expect_refusal().await;
    gateway.enrol("hanakodt").visiting("bank.example").without_server_name().expect_refusal().await;
    gateway.stranger().visiting("password.example").without_server_name().expect_refusal().await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn a_single_entrance_serves_without_a_name_but_not_under_a_wrong_one() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt").without_server_name()).await;
    gateway.enrol("hanakodt").visiting("other.example").expect_refusal().await;
    let mut by_address = gateway.enrol("hanakodt").visiting("127.0.0.1").connect().await;
    assert_eq!(by_address.get("/ib/menu.do").await.status, 200, "an IP literal matches Host, and never stands in SNI");
    assert_eq!(gateway.backend.count(), 2);
}

/// Domain fronting: the handshake of one entrance, the Host of the other.
#[tokio::test]
async fn a_host_of_another_entrance_is_misdirected() {
    let gateway = two_on_one_address().await;
    let hosts = ["bank.example", "localhost", "other.example", "password.example.", "password.example@bank.example"];
    for host in hosts {
        let mut connection = gateway.stranger().visiting("password.example").connect().await;
        let status = status(&mut connection, &raw("/ib/menu.do", host)).await;
        assert!(matches!(status, 400 | 421), "{host}: {status}");
    }
    let mut connection = gateway.stranger().visiting("password.example").connect().await;
    assert_eq!(status(&mut connection, &raw("/ib/menu.do", "bank.example")).await, 421);
    let mut connection = gateway.enrol("hanakodt").visiting("bank.example").connect().await;
    assert_eq!(status(&mut connection, &raw("/ib/menu.do", "password.example")).await, 421);
    gateway.assert_backend_untouched();
    assert!(gateway.operator.metric("sekisho_refusals_total", &[]).await >= 7.0);
}

#[tokio::test]
async fn ports_and_case_do_not_matter_in_host() {
    let gateway = TestGateway::spawn().await;
    for host in ["localhost:8443", "LocalHost", "bank.example:1"] {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        assert_eq!(status(&mut connection, &raw("/ib/menu.do", host)).await, 200, "{host}");
    }
}

#[tokio::test]
async fn http2_authority_is_compared_too() {
    let gateway = two_on_one_address().await;
    let mut connection = gateway.stranger().visiting("password.example").connect_http2().await;
    assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    connection.pretend_to_visit("bank.example");
    assert_eq!(connection.get("/ib/menu.do").await.status, 421);
    assert_eq!(gateway.backend.count(), 1);
}

#[tokio::test]
async fn an_absolute_target_with_another_authority_does_not_reach_the_application_as_such() {
    let gateway = TestGateway::spawn().await;
    let targets =
        ["https://other.example/ib/menu.do", "http://169.254.169.254/latest", "https://localhost@other.example/"];
    for target in targets {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let status = status(&mut connection, &raw(target, "localhost")).await;
        assert!(matches!(status, 400 | 421), "{target}: {status}");
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn host_stands_exactly_once() {
    let gateway = TestGateway::spawn().await;
    let heads: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    ];
    for head in heads {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let status = status(&mut connection, head).await;
        assert!(matches!(status, 400 | 421), "{:?}: {status}", String::from_utf8_lossy(head));
    }
    gateway.assert_backend_untouched();
}

/// A20: a session of one entrance is offered at another, under the name that rustls compares.
#[tokio::test]
async fn a_ticket_of_one_entrance_is_worth_nothing_at_another() {
    let gateway = TestGateway::builder().layer(apart()).spawn().await;
    // The same customer, the same name in the handshake, two ports: nothing but the entrance differs.
    let customer = gateway.enrol("hanakodt").visiting("bank.example").without_server_name();
    gateway.assert_served(&customer).await;
    assert!(customer.connect().await.is_resumed(), "where it was issued, the ticket is good");
    let elsewhere = customer.clone().at(gateway.address_of("password"));
    match elsewhere.try_connect().await {
        Ok(connection) => assert!(!connection.is_resumed()),
        Err(refused) => println!("{refused}"),
    }

    let stranger = gateway.stranger().at(gateway.address_of("password")).visiting("password.example");
    let stranger = stranger.without_server_name();
    assert_eq!(stranger.get("/ib/menu.do").await.status, 200);
    assert!(stranger.connect().await.is_resumed());
    let before = gateway.backend.count();
    stranger.at(gateway.address()).expect_refusal().await;
    assert_eq!(gateway.backend.count(), before);
}

/// A customer at the certificate entrance and a stranger at the password entrance, with no session yet.
fn visitors(gateway: &TestGateway) -> [(&'static str, Customer); 2] {
    let stranger = gateway.stranger().at(gateway.address_of("password")).visiting("password.example");
    [("certificate", gateway.enrol("hanakodt").visiting("bank.example")), ("password", stranger)]
}

#[tokio::test]
async fn where_no_sessions_are_kept_none_is_resumed() {
    for (limit, is_resumed) in [("session-cache = \"0B\"", false), ("session-lifetime = \"0s\"", false), ("", true)] {
        let gateway = TestGateway::builder().layer(apart()).layer(format!("[limits]\n{limit}")).spawn().await;
        for (entrance, visitor) in visitors(&gateway) {
            assert_eq!(visitor.get("/ib/menu.do").await.status, 200);
            assert_eq!(visitor.connect().await.is_resumed(), is_resumed, "{entrance} {limit}");
        }
    }
}

/// Everybody has a session of their own, and comes back one after the other.
#[tokio::test]
async fn a_session_ends_with_its_lifetime() {
    const MANY: usize = 30;
    let gateway = TestGateway::builder().layer(apart()).layer("[limits]\nsession-lifetime = \"1s\"").spawn().await;
    let mut all: Vec<_> = (0..MANY).map(|_| visitors(&gateway)).collect();
    for (_, visitor) in all.iter().flatten() {
        assert_eq!(visitor.get("/ib/menu.do").await.status, 200);
    }
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    let mut resumed = [true; 2];
    while resumed != [false; 2] {
        tick.tick().await;
        let next = all.pop().expect("sessions should have ended");
        for (resumed, (_, visitor)) in resumed.iter_mut().zip(next) {
            *resumed = visitor.connect().await.is_resumed();
        }
    }
}

#[tokio::test]
async fn no_certificate_of_a_visitor_means_anything_at_the_password_entrance() {
    let gateway = TestGateway::builder().layer(TWO).spawn().await;
    let password = |customer: Customer| customer.at(gateway.address_of("password")).visiting("password.example");
    let forged = [("X-Login-Id", "hanakodt"), ("X_Login_Id", "hanakodt"), ("X-Login-Assertion", "a.b.c")];
    for customer in [gateway.stranger(), gateway.enrol("hanakodt")] {
        let mut connection = password(customer).connect().await;
        assert_eq!(connection.request("GET", "/ib/menu.do", &forged, b"").await.status, 200);
        let seen = gateway.backend.last();
        assert_eq!(seen.folded("X-Login-Id"), Vec::<String>::new());
        assert_eq!(seen.folded("X-Login-Assertion"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn each_entrance_shows_its_own_certificate() {
    let pki = Pki::fresh();
    let other = crate::support::pki::Authority::root("Another Web CA", KeyKind::P256).server(&["password.example"]);
    let layer = TWO.replace("server.pem\"\nprivate", "other.pem\"\nprivate").replace("server.key", "other.key");
    let builder = TestGateway::builder().pki(&pki).file("certs/other.pem", other.pem());
    let gateway = builder.file("certs/other.key", other.key_pem()).layer(layer).spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let password = gateway.stranger().at(gateway.address_of("password")).visiting("password.example");
    assert!(password.try_connect().await.is_err(), "signed by an authority that this client does not trust");
}
