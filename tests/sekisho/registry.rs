//! Whose certificate is whose (TLS-09).

use serde_json::{Value, json};

use crate::support::desk::records;
use crate::support::registry::{ENFORCE, LEARN, SECOND, order, register};
use crate::support::{TestGateway, eventually, within};

#[tokio::test]
async fn of_two_valid_certificates_only_the_registered_one_is_let_in() {
    let gateway = TestGateway::builder().layer(ENFORCE).spawn().await;
    let [own, other, taro] = ["hanakodt", "hanakodt", "tarokodt"].map(|id| gateway.pki.issuing.customer(id));
    gateway.assert_refused(&gateway.customer(&own), "unregistered").await;
    register(&gateway, &own).await;
    gateway.assert_served(&gateway.customer(&own)).await;
    let before = gateway.backend.count();
    gateway.assert_refused(&gateway.customer(&other), "unregistered").await;
    gateway.assert_refused(&gateway.customer(&taro), "unregistered").await;
    assert_eq!(gateway.backend.count(), before);
}

#[tokio::test]
async fn a_refusal_page_says_that_the_certificate_is_not_the_registered_one() {
    let page = "[[listener]]\nname = \"certificate\"\nrefusal = \"page\"\n";
    let gateway = TestGateway::builder().layer(ENFORCE).layer(page).spawn().await;
    let [old, new] = ["hanakodt", "hanakodt"].map(|id| gateway.pki.issuing.customer(id));
    for (identity, code) in [(&old, "certificate_unregistered"), (&new, "certificate_unregistered")] {
        let answer = gateway.customer(identity).get("/ib/menu.do").await;
        assert_eq!((answer.status, answer.text().contains(code)), (403, true), "{}", answer.text());
    }
    register(&gateway, &old).await;
    register(&gateway, &new).await;
    let answer = gateway.customer(&old).get("/ib/menu.do").await;
    assert!(answer.status == 403 && answer.text().contains("certificate_retired"), "{}", answer.text());
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn a_superseded_certificate_loses_its_open_connections_within_a_second() {
    let gateway = TestGateway::builder().layer(ENFORCE).workers(2).spawn().await;
    let [old, new, taro] = ["hanakodt", "hanakodt", "tarokodt"].map(|id| gateway.pki.issuing.customer(id));
    for identity in [&old, &taro] {
        register(&gateway, identity).await;
    }
    let mut idle = gateway.customer(&old).connect().await;
    let mut streams = gateway.customer(&old).connect_http2().await;
    let mut other = gateway.customer(&taro).connect().await;
    assert_eq!(idle.get("/ib/menu.do").await.status, 200);
    assert_eq!(streams.get("/ib/menu.do").await.status, 200);
    assert_eq!(other.get("/ib/menu.do").await.status, 200);
    let before = gateway.backend.count();

    register(&gateway, &new).await;

    within(SECOND, "the end of the idle connection", idle.rest()).await;
    within(SECOND, "the end of the HTTP/2 connection", streams.expect_end()).await;
    assert_eq!(gateway.backend.count(), before);
    assert_eq!(other.get("/ib/menu.do").await.status, 200);
    gateway.assert_refused(&gateway.customer(&old), "retired").await;
    gateway.assert_served(&gateway.customer(&new)).await;
}

/// rustls restores a session without asking anybody: who resumes is judged all the same.
#[tokio::test]
async fn a_resumed_session_of_a_retired_certificate_is_refused() {
    let gateway = TestGateway::builder().layer(ENFORCE).spawn().await;
    let hanako = gateway.pki.issuing.customer("hanakodt");
    let sha256 = register(&gateway, &hanako).await;
    let customer = gateway.customer(&hanako);
    gateway.assert_served(&customer).await;
    assert!(customer.connect().await.is_resumed());
    order(&gateway, &format!("/certificates/{sha256}/retire"), json!({})).await;
    customer.expect_refusal().await;
    gateway.operator.wait_for("sekisho_handshakes_total", &[("result", "retired")], 1.0).await;
    assert_eq!(gateway.backend.count(), 1);
}

#[tokio::test]
async fn the_first_certificate_is_learned_and_no_other_after_it() {
    let gateway = TestGateway::builder().layer(LEARN).spawn().await;
    let [first, second, taro] = ["hanakodt", "hanakodt", "tarokodt"].map(|id| gateway.pki.issuing.customer(id));
    gateway.assert_served(&gateway.customer(&first)).await;
    gateway.assert_refused(&gateway.customer(&second), "unregistered").await;
    gateway.assert_served(&gateway.customer(&first)).await;
    gateway.assert_served(&gateway.customer(&taro)).await;
    let log = gateway.path("state/audit.jsonl");
    let learned = eventually(
        "two certificates on record",
        || async { records(&log, "certificate_learned") },
        |found| found.len() >= 2,
    );
    let ids: Vec<Value> = learned.await.iter().map(|record| record["user.id"].clone()).collect();
    assert_eq!(ids, ["hanakodt", "tarokodt"]);
    // It holds over a restart.
    let builder = TestGateway::builder().layer(LEARN).after(&gateway);
    gateway.drain().await;
    let gateway = builder.spawn().await;
    gateway.assert_refused(&gateway.customer(&second), "unregistered").await;
    gateway.assert_served(&gateway.customer(&first)).await;
}

#[tokio::test]
async fn who_had_a_certificate_once_is_taught_no_other_one() {
    let gateway = TestGateway::builder().layer(LEARN).spawn().await;
    let [first, second] = ["hanakodt", "hanakodt"].map(|id| gateway.pki.issuing.customer(id));
    let sha256 = register(&gateway, &first).await;
    order(&gateway, &format!("/certificates/{sha256}/retire"), json!({})).await;
    gateway.assert_refused(&gateway.customer(&first), "retired").await;
    gateway.assert_refused(&gateway.customer(&second), "unregistered").await;
    gateway.assert_backend_untouched();
}

/// Two certificates of one login ID come at once, many times each: one of them is the first, and the bank sees only that one.
#[tokio::test]
async fn of_certificates_that_come_at_once_one_is_the_first() {
    let gateway = TestGateway::builder().layer(LEARN).workers(2).spawn().await;
    let identities = [(); 4].map(|()| gateway.pki.issuing.customer("hanakodt"));
    let visits = identities.iter().flat_map(|identity| {
        [(); 4].map(|()| {
            let (customer, thumbprint) = (gateway.customer(identity), identity.thumbprint());
            tokio::spawn(async move {
                let answer = customer.try_get("/ib/menu.do").await;
                (thumbprint, answer.map(|answer| answer.status).ok())
            })
        })
    });
    let visits: Vec<_> = visits.collect();
    let mut served = Vec::new();
    for visit in visits {
        match visit.await.unwrap() {
            (thumbprint, Some(200)) => served.push(thumbprint),
            (_, Some(403) | None) => {}
            other => panic!("{other:?}"),
        }
    }
    let count = served.len();
    served.dedup();
    assert_eq!((served.len(), gateway.backend.count()), (1, count));
}

/// A reload that switches the registry on is no way around it for who is here already.
#[tokio::test]
async fn open_connections_are_judged_by_a_registry_that_is_switched_on() {
    let gateway = TestGateway::builder().layer("[trust]\nregistry = \"off\"\n").spawn().await;
    let [own, other] = ["hanakodt", "hanakodt"].map(|id| gateway.pki.issuing.customer(id));
    register(&gateway, &own).await;
    let (mut own, mut other) = (gateway.customer(&own).connect().await, gateway.customer(&other).connect().await);
    gateway.assert_served_on(&mut own).await;
    gateway.assert_served_on(&mut other).await;
    gateway.write("layer-0.toml", ENFORCE);
    gateway.reload().await.unwrap();
    within(SECOND, "the end of the other connection", other.rest()).await;
    gateway.assert_served_on(&mut own).await;
    // And one that learns takes whom it finds.
    gateway.write("layer-0.toml", "[trust]\nregistry = \"off\"\n");
    gateway.reload().await.unwrap();
    let taro = gateway.pki.issuing.customer("tarokodt");
    let mut connection = gateway.customer(&taro).connect().await;
    gateway.assert_served_on(&mut connection).await;
    gateway.write("layer-0.toml", LEARN);
    gateway.reload().await.unwrap();
    gateway.assert_served_on(&mut connection).await;
    gateway.assert_refused(&gateway.enrol("tarokodt"), "unregistered").await;
}
