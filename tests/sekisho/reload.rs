//! Everything new is built and checked before it is swapped in: TLS-10.

use crate::support::pki::Authority;
use crate::support::{Customer, KeyKind, TestGateway};

/// A layer to be replaced later.
const LATER: &str = "state-directory = \"state\"";

async fn reloads(gateway: &TestGateway, result: &str) -> f64 {
    gateway.operator.metric("sekisho_config_reloads_total", &[("result", result)]).await
}

#[tokio::test]
async fn the_servers_certificate_is_rotated_without_dropping_a_connection() {
    let gateway = TestGateway::spawn().await;
    let identity = gateway.pki.issuing.customer("hanakodt");
    let mut open = gateway.customer(&identity).connect().await;
    let mut streams = gateway.customer(&identity).connect_http2().await;
    assert_eq!(open.get("/ib/menu.do").await.status, 200);
    assert_eq!(streams.get("/ib/menu.do").await.status, 200);

    let new_web = Authority::root("New Web CA", KeyKind::P256);
    let server = new_web.server(&["bank.example"]);
    gateway.write("certs/server.key", server.key_pem());
    gateway.write("certs/server.pem", server.pem());
    gateway.reload().await.unwrap();

    assert_eq!(open.get("/ib/menu.do").await.status, 200);
    assert_eq!(streams.get("/ib/menu.do").await.status, 200);
    let trusting_old = gateway.customer(&identity).forgetful().try_connect().await;
    assert!(trusting_old.is_err(), "the old certificate is gone");
    let trusting_new = Customer::new(gateway.address(), &new_web, Some(&identity));
    gateway.assert_served(&trusting_new).await;
}

/// Nobody has to send a signal: a changed file is noticed.
#[tokio::test]
async fn a_changed_certificate_is_noticed() {
    let gateway = TestGateway::spawn().await;
    let identity = gateway.pki.issuing.customer("hanakodt");
    let new_web = Authority::root("New Web CA", KeyKind::P256);
    let server = new_web.server(&[]);
    gateway.write("certs/server.key", server.key_pem());
    gateway.write("certs/server.pem", server.pem());
    let served = || async { Customer::new(gateway.address(), &new_web, Some(&identity)).try_get("/").await.is_ok() };
    crate::support::eventually("the new certificate", served, |served| *served).await;
    assert!(reloads(&gateway, "ok").await >= 1.0);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_but_a_metric() {
    let other_key = Authority::root("Elsewhere", KeyKind::P256).server(&[]).key_pem();
    let table: [(&str, &str, &str); 6] = [
        ("not TOML", "layer-0.toml", "this is [not"),
        ("an unknown key", "layer-0.toml", "[limits]\nmax-patience = 1"),
        ("another certificate's key", "certs/server.key", &other_key),
        ("an empty certificate", "certs/server.pem", ""),
        ("an empty CA", "certs/ca.pem", ""),
        ("a short assertion key", "certs/assertion.key", "short"),
    ];
    for (what, file, content) in table {
        let gateway = TestGateway::builder().layer(LATER).spawn().await;
        let mut open = gateway.enrol("hanakodt").connect().await;
        gateway.assert_served_on(&mut open).await;
        gateway.write(file, content);
        let reason = gateway.reload().await.expect_err(what);
        println!("{what}: {reason}");
        assert!(reloads(&gateway, "rejected").await >= 1.0, "{what}");
        assert_eq!(reloads(&gateway, "ok").await, 0.0, "{what}");
        gateway.assert_served_on(&mut open).await;
        gateway.assert_served(&gateway.enrol("tarokodt")).await;
    }
}

#[tokio::test]
async fn another_application_takes_over_between_two_requests() {
    let gateway = TestGateway::builder().layer(LATER).spawn().await;
    let second = crate::support::Backend::start().await;
    let mut open = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut open).await;
    gateway.write("layer-0.toml", format!("[upstream]\nservers = [\"http://{}\"]", second.address()));
    gateway.reload().await.unwrap();
    // Workers take their new connections up at their next sweep.
    let moved = async || {
        assert_eq!(open.get("/ib/menu.do").await.status, 200);
        second.count()
    };
    crate::support::eventually("the new application", moved, |count| *count == 1).await;
    let before = gateway.backend.count();
    assert_eq!(open.get("/ib/menu.do").await.status, 200);
    assert_eq!((gateway.backend.count(), second.count()), (before, 2), "there is no way back");
}

#[tokio::test]
async fn a_new_assertion_key_signs_from_the_next_request_on() {
    let gateway = TestGateway::builder().layer(LATER).spawn().await;
    let mut open = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut open).await;
    gateway.write("certs/next.key", [7; 32]);
    let key = "{ id = \"next\", algorithm = \"HS256\", file = \"certs/next.key\" }";
    gateway.write("layer-0.toml", format!("[assertion]\nkeys = [{key}]"));
    gateway.reload().await.unwrap();
    gateway.assert_served_on(&mut open).await;
    let token = gateway.backend.last().header("X-Login-Assertion").unwrap();
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some("next"));
}

/// Two entrances on one address; what the second one demands is filled in.
fn two(names: &str, authentication: &str) -> String {
    format!(
        "[[listener]]\nname = \"certificate\"\naddress = \"127.0.0.1:0\"\nserver-names = {names}\n\
         [[listener]]\nname = \"second\"\naddress = \"127.0.0.1:0\"\nserver-names = [\"password.example\"]\n\
         certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\n\
         authentication = \"{authentication}\""
    )
}

/// The next request on this connection is told to connect again, or finds the connection closed.
async fn assert_sent_away(connection: &mut crate::support::Connection) {
    match connection.try_request("GET", "/ib/menu.do", &[("Accept", "application/json")], b"").await {
        Err(closed) => println!("{closed}"),
        Ok(answer) => {
            assert_eq!((answer.status, answer.json()["code"].as_str()), (421, Some("listener_changed")));
            connection.expect_end().await;
        }
    }
}

/// TLS-17: whoever came in without a certificate does not stay where one is demanded now.
#[tokio::test]
async fn a_listener_that_begins_to_demand_certificates_ends_its_old_connections() {
    let names = "[\"bank.example\", \"localhost\"]";
    let gateway = TestGateway::builder().layer(two(names, "password")).spawn().await;
    let stranger = gateway.stranger().visiting("password.example");
    let (mut old, mut idle) = (stranger.connect().await, stranger.connect().await);
    let mut old_streams = stranger.connect_http2().await;
    let customer = gateway.enrol("hanakodt").visiting("bank.example");
    let (mut staying, mut staying_streams) = (customer.connect().await, customer.connect_http2().await);
    for connection in [&mut old, &mut idle, &mut staying] {
        gateway.assert_served_on(connection).await;
    }
    for streams in [&mut old_streams, &mut staying_streams] {
        assert_eq!(streams.get("/ib/menu.do").await.status, 200);
    }
    let before = gateway.backend.count();

    gateway.write("layer-0.toml", two(names, "certificate"));
    gateway.reload().await.unwrap();

    assert_sent_away(&mut old).await;
    let answer = old_streams.try_request("GET", "/ib/menu.do", &[], b"").await;
    assert!(answer.as_ref().is_err() || answer.as_ref().is_ok_and(|answer| answer.status == 421), "{answer:?}");
    old_streams.expect_end().await;
    idle.expect_end().await;
    stranger.expect_refusal().await;
    assert_eq!(gateway.backend.count(), before, "what came in without a certificate reached the application");
    gateway.assert_served_on(&mut staying).await;
    assert_eq!(staying_streams.get("/ib/menu.do").await.status, 200);
    gateway.assert_served(&gateway.enrol("tarokodt").visiting("password.example")).await;
}

#[tokio::test]
async fn a_name_taken_away_ends_the_connections_of_its_listener() {
    let gateway = TestGateway::builder().layer(two("[\"bank.example\", \"localhost\"]", "password")).spawn().await;
    let mut old = gateway.enrol("hanakodt").visiting("bank.example").connect().await;
    let mut idle = gateway.enrol("tarokodt").visiting("bank.example").connect().await;
    let mut staying = gateway.stranger().visiting("password.example").connect().await;
    for connection in [&mut old, &mut idle, &mut staying] {
        gateway.assert_served_on(connection).await;
    }
    let before = gateway.backend.count();

    gateway.write("layer-0.toml", two("[\"localhost\"]", "password"));
    gateway.reload().await.unwrap();

    assert_sent_away(&mut old).await;
    idle.expect_end().await;
    gateway.enrol("hanakodt").visiting("bank.example").expect_refusal().await;
    assert_eq!(gateway.backend.count(), before, "a name that nobody serves reached the application");
    gateway.assert_served_on(&mut staying).await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

/// A reload that changes nothing of what listeners demand leaves everybody where they are.
#[tokio::test]
async fn a_reload_without_a_change_ends_no_connection() {
    let layer = two("[\"bank.example\", \"localhost\"]", "password");
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let mut customer = gateway.enrol("hanakodt").connect().await;
    let mut stranger = gateway.stranger().visiting("password.example").connect().await;
    for _ in 0..3 {
        gateway.assert_served_on(&mut customer).await;
        gateway.assert_served_on(&mut stranger).await;
        gateway.reload().await.unwrap();
        crate::support::settled(|| gateway.backend.connections()).await;
    }
    gateway.assert_served_on(&mut customer).await;
    gateway.assert_served_on(&mut stranger).await;
}
