//! A revoked certificate is worth nothing from the second its list is installed: TLS-05 to TLS-07, A15.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::io::AsyncReadExt as _;

use crate::support::pki::{Authority, days};
use crate::support::{KeyKind, PATIENCE, Pki, Reply, TestGateway, within};

#[tokio::test]
async fn a_revoked_certificate_is_refused_at_the_handshake() {
    let pki = Pki::fresh();
    let revoked = pki.issuing.customer("revoked1");
    let gateway = TestGateway::builder().pki(&pki).list(pki.issuing.list().revoking(&revoked).der()).spawn().await;
    gateway.assert_refused(&gateway.customer(&revoked), "revoked").await;
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

/// A connection opened before the revocation must not outlive it, and nobody else's may end.
#[tokio::test]
async fn revocation_closes_the_open_connections_of_the_revoked_customer_and_no_others() {
    let gateway = TestGateway::builder().workers(2).spawn().await;
    let (hanako, taro) = (gateway.pki.issuing.customer("hanakodt"), gateway.pki.issuing.customer("tarokodt"));
    let mut idle = gateway.customer(&hanako).connect().await;
    let mut streams = gateway.customer(&hanako).connect_http2().await;
    let mut other = gateway.customer(&taro).connect().await;
    for _ in 0..2 {
        assert_eq!(idle.get("/ib/menu.do").await.status, 200);
        assert_eq!(streams.get("/ib/menu.do").await.status, 200);
        assert_eq!(other.get("/ib/menu.do").await.status, 200);
    }
    let before = gateway.backend.count();

    gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;

    within(Duration::from_secs(1), "the end of the idle connection", idle.rest()).await;
    within(Duration::from_secs(1), "the end of the HTTP/2 connection", streams.expect_end()).await;
    assert_eq!(gateway.backend.count(), before);
    assert_eq!(other.get("/ib/menu.do").await.status, 200);
    gateway.assert_refused(&gateway.customer(&hanako), "revoked").await;
}

/// Not even a download that began before goes on.
#[tokio::test]
async fn a_download_of_the_revoked_customer_is_cut() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    gateway.backend.next(Reply::Endless(1 << 40));
    let mut connection = gateway.customer(&hanako).connect().await;
    connection.send_raw(b"GET /statements.zip HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while connection.stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    });
    gateway.backend.wait_for(1).await;
    gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;
    within(Duration::from_secs(1), "the end of the download", reading).await.unwrap();
    let open = || async { gateway.backend.open_connections() };
    crate::support::eventually("the application's end of it", open, |open| *open == 0).await;
}

/// The request that was on its way when the list came is answered 403, or its connection ends; the bank never sees it.
#[tokio::test]
async fn a_request_after_the_revocation_never_reaches_the_application() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    let mut connection = gateway.customer(&hanako).connect().await;
    assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    // The head first: what follows is the rest of a request that began before the revocation.
    connection.send_raw(b"POST /ib/transfer/commit.do HTTP/1.1\r\nHost: localhost\r\nContent-Le").await.unwrap();
    gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;
    let _ = connection.send_raw(b"ngth: 8\r\n\r\namount=1").await;
    if let Ok(answer) = connection.read("POST").await {
        assert_eq!(answer.status, 403);
    }
    connection.rest().await;
    assert_eq!(gateway.backend.count(), 1);
    gateway.backend.assert_clean();
}

/// rustls resumes without asking the verifier.
#[tokio::test]
async fn a_resumed_session_does_not_bring_a_revoked_certificate_back() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let gateway = TestGateway::spawn().await;
        let hanako = gateway.pki.issuing.customer("hanakodt");
        let speaking = crate::support::Customer::speaking(gateway.address(), &gateway.pki.web, &hanako, version);
        gateway.assert_served(&speaking).await;
        let mut resumed = speaking.connect().await;
        assert!(resumed.is_resumed(), "{version:?}: a list without him changes nothing");
        assert_eq!(resumed.get("/ib/menu.do").await.status, 200);
        drop(resumed);

        gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;

        speaking.expect_refusal().await;
        let labels = [("result", "revoked")];
        gateway.operator.wait_for("sekisho_handshakes_total", &labels, 1.0).await;
        assert_eq!(gateway.backend.count(), 2);
    }
}

/// A15: data that comes before the certificate is looked at again. There is none: no ticket allows it.
#[tokio::test]
async fn nobody_is_heard_before_the_handshake_is_done() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    gateway.assert_served(&customer).await;
    let mut resumed = customer.connect().await;
    assert!(resumed.is_resumed());
    gateway.assert_served_on(&mut resumed).await;
    assert!(!customer.may_send_early_data(), "the ticket that came just now allows no early data");
}

/// Swapping a list keeps the ticket keys: ten thousand customers do not shake hands anew each hour.
#[tokio::test]
async fn sessions_of_other_customers_survive_a_new_list() {
    let gateway = TestGateway::spawn().await;
    let taro = gateway.enrol("tarokodt");
    gateway.assert_served(&taro).await;
    gateway.publish(gateway.pki.issuing.list().number(2).revoking_serial(7).pem(), "ok").await;
    let mut resumed = taro.connect().await;
    assert!(resumed.is_resumed());
    assert_eq!(resumed.get("/ib/menu.do").await.status, 200);
    let labels = [("result", "ok"), ("kind", "resumed")];
    gateway.operator.wait_for("sekisho_handshakes_total", &labels, 1.0).await;
}

/// The list that was good all day runs out while customers are connected.
#[tokio::test]
async fn past_its_next_update_a_list_lets_nobody_in_and_nobody_stay() {
    let pki = Pki::fresh();
    let list = pki.issuing.list().next_update(jiff::Timestamp::now() + SignedDuration::from_hours(2));
    let gateway = TestGateway::builder().pki(&pki).list(list.pem()).spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let mut streams = gateway.enrol("tarokodt").connect_http2().await;
    gateway.clock.advance(3600);
    assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    assert_eq!(streams.get("/ib/menu.do").await.status, 200);

    gateway.clock.advance(3601);

    let answer = connection.request("GET", "/ib/menu.do", &[("Accept", "application/json")], b"").await;
    assert_eq!((answer.status, answer.header("Connection").as_deref()), (403, Some("close")));
    assert!(answer.json()["code"].as_str().unwrap().contains("crl_stale"), "{}", answer.json());
    assert_eq!(streams.get("/ib/menu.do").await.status, 403);
    gateway.assert_refused(&gateway.enrol("newnew01"), "crl_stale").await;
    assert_eq!(gateway.backend.count(), 2);

    gateway.publish(pki.issuing.list().number(2).next_update(days(7)).pem(), "ok").await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn the_grace_of_the_configuration_is_counted_from_next_update() {
    let pki = Pki::fresh();
    let list = pki.issuing.list().next_update(jiff::Timestamp::now() + SignedDuration::from_hours(1));
    let layer = "[trust]\ncrl-grace = \"1h\"";
    let gateway = TestGateway::builder().pki(&pki).list(list.pem()).layer(layer).spawn().await;
    gateway.clock.advance(3600 + 3000);
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    gateway.clock.advance(700);
    gateway.assert_refused(&gateway.enrol("hanakodt"), "crl_stale").await;
}

#[tokio::test]
async fn an_intermediate_that_its_root_revoked_vouches_for_nobody() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let (good, bad) = (root.subordinate("Issuing 1", KeyKind::P256), root.subordinate("Issuing 2", KeyKind::P256));
    let lists = root.list().revoking_serial(bad.serial).pem() + &good.list().pem() + &bad.list().pem();
    let gateway = TestGateway::builder().authorities(&[&root]).list(lists).spawn().await;
    gateway.assert_served(&gateway.customer(&good.certificate().sent_with(&good).issue())).await;
    gateway.assert_refused(&gateway.customer(&bad.certificate().sent_with(&bad).issue()), "revoked").await;
}

#[tokio::test]
async fn an_intermediate_without_a_list_vouches_for_nobody() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let issuing = root.subordinate("ANSER Issuing", KeyKind::P256);
    let gateway = TestGateway::builder().authorities(&[&root]).list(root.list().pem()).spawn().await;
    let customer = gateway.customer(&issuing.certificate().sent_with(&issuing).issue());
    gateway.assert_refused(&customer, "crl_missing").await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn serials_are_compared_as_numbers_and_in_whole() {
    let pki = Pki::fresh();
    let list = pki.issuing.list().revoking_serial(0x80).revoking_serial(0x0102_0304_0506_0708);
    let gateway = TestGateway::builder().pki(&pki).list(list.pem()).spawn().await;
    for (serial, is_revoked) in [(0x80, true), (0x8000, false), (0x0102_0304_0506_0708, true), (0x0708, false)] {
        let customer = gateway.customer(&pki.issuing.certificate().serial(serial).issue());
        if is_revoked {
            gateway.assert_refused(&customer, "revoked").await;
        } else {
            gateway.assert_served(&customer).await;
        }
    }
}

/// Somebody saves half a configuration, and the list that cannot wait comes right behind it, or right before.
#[tokio::test]
async fn a_broken_configuration_does_not_hold_a_revocation_up() {
    for delay in [0, 60, 100, 150, 200, 250] {
        let gateway = TestGateway::spawn().await;
        let hanako = gateway.pki.issuing.customer("hanakodt");
        let customer = gateway.customer(&hanako).forgetful();
        let mut open = customer.connect().await;
        gateway.assert_served_on(&mut open).await;
        let list = gateway.pki.issuing.list().number(2).revoking(&hanako).pem();

        gateway.write("config.toml", "workers = \"auto\"\n[trust\n");
        let moment = tokio::time::Instant::now() + std::time::Duration::from_millis(delay);
        tokio::time::interval_at(moment, PATIENCE).tick().await;
        gateway.publish(list, "ok").await;

        gateway.assert_refused(&customer, "revoked").await;
        let answer = open.try_get("/ib/menu.do").await;
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 403), "{delay} ms: {answer:?}");
        assert_eq!(gateway.backend.count(), 1, "{delay} ms");
        let reloads = "sekisho_config_reloads_total";
        gateway.operator.wait_for(reloads, &[("result", "rejected")], 1.0).await;
        assert_eq!(gateway.operator.metric(reloads, &[("result", "ok")]).await, 0.0);
        gateway.assert_served(&gateway.enrol("tarokodt")).await;
    }
}

/// Where the list cannot be kept for the next start, it is in force all the same.
#[tokio::test]
async fn a_state_directory_that_is_gone_does_not_hold_a_revocation_up() {
    let gateway = TestGateway::spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    let customer = gateway.customer(&hanako).forgetful();
    gateway.assert_served(&customer).await;
    std::fs::rename(gateway.path("state"), gateway.path("elsewhere")).unwrap();
    std::fs::write(gateway.path("state"), "no directory").unwrap();

    gateway.publish(gateway.pki.issuing.list().number(2).revoking(&hanako).pem(), "ok").await;

    gateway.assert_refused(&customer, "revoked").await;
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}
