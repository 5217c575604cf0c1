//! The signed header, read as an application reads it: IDN-06, A09, A10.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use sekisho::domain::Clock as _;
use serde_json::Value;

use crate::support::TestGateway;
use crate::support::gateway::ASSERTION_KEY;
use crate::support::pki::{Key, KeyKind};

fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&["sekisho"]);
    validation.set_audience(&["core-banking"]);
    validation.leeway = 5;
    validation
}

pub fn claims(token: &str) -> Value {
    let key = DecodingKey::from_secret(ASSERTION_KEY);
    decode::<Value>(token, &key, &validation(Algorithm::HS256)).expect("the assertion verifies").claims
}

/// The same of another day, whose clock has moved on by no more than an assertion lives.
pub fn claims_at(token: &str, now: jiff::Timestamp) -> Value {
    let mut validation = validation(Algorithm::HS256);
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(ASSERTION_KEY);
    let claims = decode::<Value>(token, &key, &validation).expect("the assertion verifies").claims;
    assert!(claims["exp"].as_i64().unwrap() > now.as_second() && claims["iat"].as_i64().unwrap() <= now.as_second());
    claims
}

fn last_token(gateway: &TestGateway) -> String {
    gateway.backend.last().header("X-Login-Assertion").expect("an assertion")
}

#[tokio::test]
async fn the_assertion_says_who_asks_for_what() {
    let gateway = TestGateway::builder().unbound().spawn().await;
    let identity = gateway.pki.issuing.customer("hanakodt");
    let mut connection = gateway.customer(&identity).connect().await;
    let mut seen_before = HashSet::new();
    for (method, target) in
        [("GET", "/"), ("GET", "/ib/menu.do?a=1&b=%83%5c"), ("POST", "/ib/x;jsessionid=1?"), ("HEAD", "/h")]
    {
        connection.request(method, target, &[], b"").await;
        let token = last_token(&gateway);
        let header = decode_header(&token).unwrap();
        assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some("sekisho+jwt"), Some("2026-11")));
        let claims = claims(&token);
        assert_eq!(claims["sub"], "hanakodt");
        assert_eq!((&claims["htm"], &claims["htu"]), (&Value::from(method), &Value::from(target)));
        assert_eq!(claims["cnf"]["x5t#S256"], Value::from(identity.thumbprint()));
        assert_eq!(claims["amr"], serde_json::json!(["cert"]));
        assert_eq!(claims["listener"], "certificate");
        assert_eq!(claims["iat"], Value::from(gateway.clock.unix_seconds()));
        assert_eq!(claims["exp"], Value::from(gateway.clock.unix_seconds() + 30));
        assert!(seen_before.insert(claims["jti"].as_str().unwrap().to_owned()), "jti is used once");
        assert_eq!(gateway.backend.last().target, target, "htu is what is forwarded");
    }
}

/// A09: replayed directly to the application on another path, at another time, for another customer.
#[tokio::test]
async fn a_captured_assertion_fits_no_other_request() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let token = last_token(&gateway);
    assert_eq!(claims(&token)["htu"], "/ib/menu.do", "an application that asks for another path refuses it");

    let key = DecodingKey::from_secret(ASSERTION_KEY);
    let wrong = |validation: &Validation| decode::<Value>(&token, &key, validation).is_err();
    let mut other = validation(Algorithm::HS256);
    other.set_audience(&["another-bank"]);
    assert!(wrong(&other), "another audience");
    let parts: Vec<&str> = token.split('.').collect();
    let forged = claims(&token).to_string().replace("hanakodt", "tarokodt");
    let forged = [parts[0], &data_encoding::BASE64URL_NOPAD.encode(forged.as_bytes()), parts[2]].join(".");
    assert!(decode::<Value>(&forged, &key, &validation(Algorithm::HS256)).is_err(), "another customer");

    // The gateway's clock stands an hour back: what it signs now is what was captured an hour ago.
    gateway.clock.advance(-3600);
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let old = last_token(&gateway);
    assert!(decode::<Value>(&old, &key, &validation(Algorithm::HS256)).is_err(), "an hour ago");
}

/// A customer who sends a captured assertion along gains nothing by it.
#[tokio::test]
async fn a_captured_assertion_sent_by_another_customer_is_replaced() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let captured = last_token(&gateway);
    let mut thief = gateway.enrol("tarokodt").connect().await;
    thief.request("GET", "/ib/menu.do", &[("X-Login-Assertion", &captured)], b"").await;
    assert_eq!(claims(&last_token(&gateway))["sub"], "tarokodt");
}

/// A10: a login ID that holds the signature's separators, quotes and escapes.
#[tokio::test]
async fn symbols_in_a_login_id_are_only_text() {
    let gateway = TestGateway::spawn().await;
    for login_id in ["a.b.c.d.", "\",\"sub\":\"", "\\\"admin\\", "{\"a\":1}", "a;b,c=d&e", "%22%2c%22"] {
        gateway.assert_served(&gateway.enrol(login_id)).await;
        let claims = claims(&last_token(&gateway));
        assert_eq!(claims["sub"], login_id);
        assert_eq!(gateway.backend.last().header("X-Login-Id").as_deref(), Some(login_id));
    }
}

#[tokio::test]
async fn keys_overlap_and_public_ones_are_published() {
    let (es256, eddsa) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::Ed25519));
    let pem = |key: &Key| crate::support::der::pem("PRIVATE KEY", &key.private());
    let key = |id: &str, algorithm: &str| {
        format!("{{ id = \"{id}\", algorithm = \"{algorithm}\", file = \"certs/{id}.key\" }}")
    };
    let (first, second) = (key("new", "ES256"), key("old", "EdDSA"));
    for (keys, algorithm, kid) in
        [([&first, &second], Algorithm::ES256, "new"), ([&second, &first], Algorithm::EdDSA, "old")]
    {
        let builder = TestGateway::builder().file("certs/new.key", pem(&es256)).file("certs/old.key", pem(&eddsa));
        let layer = format!("[assertion]\nkeys = [{}, {}]", keys[0], keys[1]);
        let gateway = builder.layer(layer).spawn().await;
        gateway.assert_served(&gateway.enrol("hanakodt")).await;

        let published = gateway.operator.get("/.well-known/jwks.json").await;
        assert_eq!(published.status, 200);
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&published.body).unwrap();
        assert_eq!(set.keys.len(), 2, "the one that signs, and the one that did or will");
        let token = last_token(&gateway);
        assert_eq!(decode_header(&token).unwrap().kid.as_deref(), Some(kid));
        let public = DecodingKey::from_jwk(set.find(kid).unwrap()).unwrap();
        assert_eq!(decode::<Value>(&token, &public, &validation(algorithm)).unwrap().claims["sub"], "hanakodt");
        let private = ["\"d\"", "\"k\""].iter().any(|member| published.text().contains(member));
        assert!(!private, "no private part in {}", published.text());
    }
}

#[tokio::test]
async fn a_shared_secret_is_never_published() {
    let gateway = TestGateway::spawn().await;
    let published = gateway.operator.get("/.well-known/jwks.json").await;
    assert_eq!((published.status, &published.json()["keys"]), (200, &serde_json::json!([])));
}
