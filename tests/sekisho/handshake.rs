//! Who gets through the handshake, and who does not: TLS-01, TLS-03, TLS-11, TLS-12, A13.

use std::io::ErrorKind;

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::der::{self, COMMON_NAME, Text};
use crate::support::pki::{Authority, DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, Request, SERVER_AUTH, days, subject};
use crate::support::{Customer, KeyKind, PATIENCE, Pki, TestGateway, within};

#[tokio::test]
async fn a_customer_with_a_good_certificate_reaches_the_application() {
    let gateway = TestGateway::spawn().await;
    let answer = gateway.enrol("hanakodt").get("/ib/menu.do?a=1").await;

    assert_eq!((answer.status, answer.text().as_str()), (200, "<p>BTMN000</p>"));
    let seen = gateway.backend.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/ib/menu.do?a=1"));
    assert_eq!(seen.header("X-Login-Id").as_deref(), Some("hanakodt"));
    gateway.wait_for_handshakes("ok", 1.0).await;
    assert_eq!(gateway.operator.metric("sekisho_handshakes_total", &[]).await, 1.0);
}

#[tokio::test]
async fn nobody_without_a_certificate_gets_in() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_refused(&gateway.stranger(), "no_certificate").await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn certificates_of_other_issuers_are_untrusted() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let (ours, sibling) = (root.subordinate("Issuing 1", KeyKind::P256), root.subordinate("Issuing 2", KeyKind::P256));
    let gateway = TestGateway::builder().authorities(&[&ours]).list(ours.list().pem()).spawn().await;
    let namesake = Authority::root("Issuing 1", KeyKind::P256);
    let table = [
        ("self-signed", ours.certificate().self_signed().issue()),
        ("another root", Authority::root("Elsewhere", KeyKind::P256).customer("hanakodt")),
        ("another key under the same name", namesake.customer("hanakodt")),
        ("a sibling under the same root", sibling.certificate().sent_with(&sibling).issue()),
        ("the sibling's, with the root sent along", sibling.certificate().sent_with(&sibling).sent_with(&root).issue()),
        ("the root itself", root.customer("hanakodt")),
        ("the server's authority", gateway.pki.web.customer("hanakodt")),
    ];
    for (what, identity) in table {
        println!("{what}");
        gateway.assert_refused(&gateway.customer(&identity), "untrusted").await;
    }
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.customer(&ours.customer("hanakodt"))).await;
}

#[tokio::test]
async fn dates_and_usages_are_checked_at_the_handshake() {
    let gateway = TestGateway::spawn().await;
    let good = || gateway.pki.issuing.certificate();
    let table = [
        ("expired", "expired", good().days(-30, -1)),
        ("not yet valid", "not_yet_valid", good().days(1, 30)),
        ("no extended key usage", "wrong_usage", good().usages(&[])),
        ("a server's", "wrong_usage", good().usages(&[SERVER_AUTH])),
        ("an authority's", "wrong_usage", good().authority()),
        ("key usage without digitalSignature", "wrong_usage", good().key_usage(Some(KEY_ENCIPHERMENT))),
    ];
    for (what, result, request) in table {
        println!("{what}");
        gateway.assert_refused(&gateway.customer(&request.issue()), result).await;
    }
    gateway.assert_backend_untouched();
    for request in [good(), good().key_usage(None), good().key_usage(Some(DIGITAL_SIGNATURE))] {
        gateway.assert_served(&gateway.customer(&request.issue())).await;
    }
}

#[tokio::test]
async fn malformed_certificates_are_refused() {
    let gateway = TestGateway::spawn().await;
    let issuing = &gateway.pki.issuing;
    let mut garbage = issuing.customer("hanakodt");
    garbage.certificate = b"\x30\x03\x02\x01\x00".to_vec();
    let mut truncated = issuing.customer("hanakodt");
    truncated.certificate.truncate(200);
    let mut tail = issuing.customer("hanakodt");
    tail.certificate.push(0);
    for identity in [garbage, truncated, tail] {
        gateway.assert_refused(&gateway.customer(&identity), "malformed").await;
    }
    // The bank never said what a critical extension that nobody knows means: no.
    let unknown = issuing.certificate().extension(der::extension("1.2.3.4.5", true, b"\x05\x00")).issue();
    gateway.customer(&unknown).expect_refusal().await;
    let mut forged = issuing.customer("hanakodt");
    *forged.certificate.last_mut().unwrap() ^= 1;
    gateway.assert_refused(&gateway.customer(&forged), "untrusted").await;
    gateway.assert_backend_untouched();
}

/// Whatever a client sends along is hashed and searched before anybody knows it.
#[tokio::test]
async fn a_chain_of_more_than_32_kib_is_malformed() {
    let gateway = TestGateway::spawn().await;
    let issuing = &gateway.pki.issuing;
    let of_size = |size: usize| issuing.certificate().extension(der::extension("1.2.3.4.5", false, &vec![0; size]));
    let mut along = of_size(16 << 10).issue();
    along.intermediates = vec![issuing.certificate.clone(); 2];
    gateway.assert_served(&gateway.customer(&along)).await;
    gateway.assert_served(&gateway.customer(&of_size(30 << 10).issue())).await;
    let before = gateway.backend.count();

    gateway.assert_refused(&gateway.customer(&of_size(33 << 10).issue()), "malformed").await;
    along.intermediates.push(of_size(17 << 10).issue().certificate);
    gateway.assert_refused(&gateway.customer(&along), "malformed").await;
    assert_eq!(gateway.backend.count(), before);
}

#[tokio::test]
async fn every_kind_of_key_serves_on_both_versions_of_tls() {
    let gateway = TestGateway::spawn().await;
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa, KeyKind::Ed25519] {
        for version in [&TLS12, &TLS13] {
            println!("{kind:?} {version:?}");
            let identity = gateway.pki.issuing.certificate().key(kind).issue();
            let customer = Customer::speaking(gateway.address(), &gateway.pki.web, &identity, version);
            gateway.assert_served(&customer).await;
        }
    }
}

#[tokio::test]
async fn refusals_hold_on_tls_1_2_too() {
    let gateway = TestGateway::spawn().await;
    let (pki, address) = (&gateway.pki, gateway.address());
    let speaking = |request: Request| Customer::speaking(address, &pki.web, &request.issue(), &TLS12);
    gateway.assert_refused(&speaking(pki.issuing.certificate().days(-9, -1)), "expired").await;
    gateway.assert_refused(&speaking(pki.issuing.certificate().self_signed()), "untrusted").await;
    gateway.assert_backend_untouched();
}

/// An RSA root that vouches for an issuing authority which vouches for the customer, configured in each sensible way.
#[tokio::test]
async fn chains_are_built_to_whatever_the_bank_configured() {
    let root = Authority::root("ANSER Root", KeyKind::Rsa);
    let issuing = root.subordinate("ANSER Issuing", KeyKind::P384);
    let lists = root.list().pem() + &issuing.list().pem();
    let table = [
        ("root alone, intermediate sent", vec![&root], lists.clone(), true),
        ("issuing alone", vec![&issuing], issuing.list().pem(), false),
        ("issuing alone, intermediate sent", vec![&issuing], issuing.list().pem(), true),
        ("both", vec![&root, &issuing], lists.clone(), false),
        ("both, intermediate sent", vec![&issuing, &root], lists, true),
    ];
    for (what, authorities, list, is_sent) in table {
        println!("{what}");
        let gateway = TestGateway::builder().authorities(&authorities).list(list).spawn().await;
        let request = issuing.certificate();
        let request = if is_sent { request.sent_with(&issuing) } else { request };
        gateway.assert_served(&gateway.customer(&request.issue())).await;
    }
}

#[tokio::test]
async fn a_missing_intermediate_is_untrusted() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let issuing = root.subordinate("ANSER Issuing", KeyKind::P256);
    let lists = root.list().pem() + &issuing.list().pem();
    let gateway = TestGateway::builder().authorities(&[&root]).list(lists).spawn().await;
    gateway.assert_refused(&gateway.customer(&issuing.customer("hanakodt")), "untrusted").await;
    gateway.assert_backend_untouched();
}

/// Whoever holds a certificate could sign another's name with its key; no authority said that it may.
#[tokio::test]
async fn a_customer_cannot_vouch_for_another() {
    let gateway = TestGateway::spawn().await;
    for request in [gateway.pki.issuing.certificate(), gateway.pki.issuing.certificate().key_usage(Some([1, 6]))] {
        let own = request.issue();
        let name = subject("hanakodt");
        let pretender = Authority { name, key: own.key, certificate: own.certificate, serial: own.serial };
        let victim = pretender.certificate().login_id("victim01").sent_with(&pretender).issue();
        gateway.assert_refused(&gateway.customer(&victim), "untrusted").await;
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn an_expired_authority_between_root_and_customer_vouches_for_nobody() {
    let root = Authority::root("ANSER Root", KeyKind::P256);
    let name = der::name(&[&[(COMMON_NAME, Text::Utf8("Expired Issuing".into()))]]);
    let request = root.certificate().subject(name.clone()).usages(&[]).authority().key_usage(Some([1, 6]));
    let expired = request.days(-30, -1).issue();
    let issuing = Authority { name, key: expired.key, certificate: expired.certificate, serial: expired.serial };
    let lists = root.list().pem() + &issuing.list().pem();
    let gateway = TestGateway::builder().authorities(&[&root]).list(lists).spawn().await;
    let customer = gateway.customer(&issuing.certificate().sent_with(&issuing).issue());
    gateway.assert_refused(&customer, "expired").await;
    gateway.assert_backend_untouched();
}

/// TLS-11: a chain is a few certificates, not a book.
#[tokio::test]
async fn an_endless_chain_is_refused() {
    let gateway = TestGateway::spawn().await;
    for length in [20, 300] {
        let other = Authority::root("Elsewhere", KeyKind::P256);
        let request = (0..length).fold(other.certificate(), |request, _| request.sent_with(&other));
        gateway.customer(&request.issue()).expect_refusal().await;
    }
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn a_serial_of_zero_names_no_certificate() {
    let gateway = TestGateway::spawn().await;
    let zero = gateway.pki.issuing.certificate().serial(0).issue();
    gateway.assert_refused(&gateway.customer(&zero), "malformed").await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn two_authorities_serve_side_by_side() {
    let (old, new) = (Authority::root("ANSER CA 1", KeyKind::Rsa), Authority::root("ANSER CA 2", KeyKind::P256));
    let lists = old.list().pem() + &new.list().pem();
    let gateway = TestGateway::builder().authorities(&[&old, &new]).list(lists).spawn().await;
    gateway.assert_served(&gateway.customer(&old.customer("hanakodt"))).await;
    gateway.assert_served(&gateway.customer(&new.customer("tarokodt"))).await;
}

#[tokio::test]
async fn an_authority_that_is_rolled_over_keeps_its_name_and_serves_with_both_keys() {
    let (old, new) = (Authority::root("ANSER CA", KeyKind::P256), Authority::root("ANSER CA", KeyKind::P256));
    let revoked = old.customer("oldold01");
    let lists = old.list().revoking(&revoked).pem() + &new.list().pem();
    let gateway = TestGateway::builder().authorities(&[&old, &new]).list(lists).spawn().await;
    gateway.assert_served(&gateway.customer(&old.customer("hanakodt"))).await;
    gateway.assert_served(&gateway.customer(&new.customer("tarokodt"))).await;
    gateway.assert_refused(&gateway.customer(&revoked), "revoked").await;
    let same_serial_of_the_new_key = new.certificate().serial(revoked.serial).issue();
    gateway.assert_served(&gateway.customer(&same_serial_of_the_new_key)).await;
}

/// A ClientHello of an old version, with one suite and no extensions.
fn old_client_hello(version: [u8; 2]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut handshake = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
    handshake.extend(body);
    let mut record = vec![0x16, 3, 1, 0, u8::try_from(handshake.len()).unwrap()];
    record.extend(handshake);
    record
}

#[tokio::test]
async fn old_versions_of_tls_get_an_alert() {
    let gateway = TestGateway::spawn().await;
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(&old_client_hello(version)).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(PATIENCE, "an alert", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer.first(), Some(&0x15), "{version:?}: an alert, not {answer:?}");
    }
    gateway.operator.wait_for("sekisho_handshakes_total", &[("result", "protocol_error")], 3.0).await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn what_is_not_tls_is_a_protocol_error() {
    let gateway = TestGateway::spawn().await;
    let garbage: [&[u8]; 3] = [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[0; 64], &[0x16, 3, 1, 0xff, 0xff, 1, 0]];
    for (count, bytes) in garbage.into_iter().enumerate() {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(PATIENCE, "the end", stream.read_to_end(&mut answer)).await;
        assert_ne!(answer.first(), Some(&b'H'), "answered in plain text");
        let labels = [("result", "protocol_error")];
        gateway.operator.wait_for("sekisho_handshakes_total", &labels, count as f64 + 1.0).await;
    }
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_timed_out() {
    let gateway = TestGateway::builder().layer("[limits]\nhandshake-timeout = \"300ms\"").spawn().await;
    let mut silent = TcpStream::connect(gateway.address()).await.unwrap();
    let mut dribbling = TcpStream::connect(gateway.address()).await.unwrap();
    dribbling.write_all(&[0x16, 3, 1]).await.unwrap();
    for stream in [&mut silent, &mut dribbling] {
        let end = within(PATIENCE, "the end of a slow handshake", stream.read(&mut [0; 64])).await;
        assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    gateway.operator.wait_for("sekisho_handshakes_total", &[("result", "timeout")], 2.0).await;
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn an_authority_that_must_not_sign_is_a_mistake_in_the_configuration() {
    let pki = Pki::fresh();
    let parent = &pki.issuing;
    let as_authority = |request: Request| {
        let name = der::name(&[&[(COMMON_NAME, Text::Utf8("No Authority".into()))]]);
        let identity = request.subject(name.clone()).usages(&[]).issue();
        Authority { name, key: identity.key, certificate: identity.certificate, serial: identity.serial }
    };
    let table = [
        ("no keyCertSign", as_authority(parent.certificate().authority().key_usage(Some(DIGITAL_SIGNATURE)))),
        ("no authority", as_authority(parent.certificate())),
        ("expired", as_authority(parent.certificate().authority().key_usage(Some([1, 6])).valid(days(-9), days(-1)))),
    ];
    for (what, authority) in table {
        let builder = TestGateway::builder().authorities(&[&authority]).list(authority.list().pem());
        assert!(builder.try_spawn().await.is_err(), "{what}");
    }
}
