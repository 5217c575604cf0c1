//! What was written is read back by those who will read it: x509-parser, webpki, PKCS#12.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use p12_keystore::Pkcs12ImportPolicy;
use rustls::RootCertStore;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

use super::*;
use crate::domain::ManualClock;

fn clock() -> ManualClock {
    ManualClock::at("2026-11-02T10:00:00+09:00".parse().unwrap())
}

fn pki() -> TempDir {
    let directory = TempDir::new().unwrap();
    Plan::default().write(directory.path(), &clock()).unwrap();
    directory
}

fn login_id(text: &str) -> LoginId {
    LoginId::parse(text).unwrap()
}

fn certificate(directory: &TempDir, path: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(directory.path().join(path)).unwrap()
}

/// Whether webpki lets the customer in, by the list as it lies there.
fn is_admitted(directory: &TempDir, authority: &str, client: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(directory, authority)).unwrap();
    let list = CertificateRevocationListDer::from_pem_file(directory.path().join("ca.crl")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls([list])
        .enforce_revocation_expiration()
        .build()
        .unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(clock().unix_seconds().try_into().unwrap()));
    verifier.verify_client_cert(&certificate(directory, client), &[], now).is_ok()
}

#[test]
fn the_authority_admits_its_customers_and_not_the_revoked_one() {
    let directory = pki();
    for customer in CUSTOMERS {
        assert!(is_admitted(&directory, "ca.pem", &format!("clients/{customer}.pem")), "{customer}");
    }
    assert!(!is_admitted(&directory, "ca.pem", "clients/revoked1.pem"));
    assert!(!is_admitted(&directory, "ca.pem", "server.pem"), "the client authority vouches for no server");
    assert!(
        !is_admitted(&directory, "server-ca.pem", "clients/hanakodt.pem"),
        "nor the server authority for customers"
    );
}

#[test]
fn a_customers_certificate_has_the_layout_of_the_shipped_configuration() {
    let directory = pki();
    let der = certificate(&directory, "clients/hanakodt.pem");
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let subject = certificate.subject().to_string();
    assert_eq!(
        subject,
        "C=JP, O=OOZORA SHINKUMI, OU=OOZORA SHINKUMI for Corporate Edition, CN=OOZORA SHINKUMI ANSER SERVICE hanakodt ~"
    );
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    assert!(certificate.key_usage().unwrap().unwrap().value.digital_signature());
    assert!(!certificate.is_ca());
    assert_eq!((certificate.raw_serial().len(), certificate.raw_serial()[0] & 0x80), (16, 0));
    let validity = certificate.validity();
    let now = clock().unix_seconds();
    assert_eq!((validity.not_before.timestamp(), validity.not_after.timestamp()), (now - 300, now + 365 * 86_400));
}

#[test]
fn the_authority_may_sign_certificates_and_lists_and_name_no_further_authority() {
    let directory = pki();
    let der = certificate(&directory, "ca.pem");
    let (_, authority) = X509Certificate::from_der(&der).unwrap();
    let constraints = authority.basic_constraints().unwrap().unwrap().value;
    assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
    let usage = authority.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    assert_eq!(authority.subject().to_string(), "C=JP, O=OOZORA SHINKUMI, CN=OOZORA SHINKUMI Client CA");
}

#[test]
fn keys_are_for_their_owner_alone() {
    let directory = pki();
    let mut secrets = 0;
    for folder in [directory.path().to_owned(), directory.path().join("clients")] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".key") || name.ends_with(".p12") {
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
                secrets += 1;
            }
        }
    }
    assert_eq!(secrets, 4 * 2 + 4);
    assert_eq!(fs::read(directory.path().join("assertion.key")).unwrap().len(), 32);
}

#[test]
fn the_pkcs12_file_opens_with_the_password_and_holds_the_key_of_the_certificate() {
    let directory = pki();
    let content = fs::read(directory.path().join("clients/hanakodt.p12")).unwrap();
    assert!(KeyStore::from_pkcs12(&content, "wrong", Pkcs12ImportPolicy::Strict).is_err());
    let store = KeyStore::from_pkcs12(&content, DEFAULT_PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
    let (alias, chain) = store.private_key_chain().unwrap();
    assert_eq!((alias, chain.certs().len()), ("hanakodt", 1));
    assert_eq!(chain.certs()[0].as_der(), certificate(&directory, "clients/hanakodt.pem").as_ref());
}

#[test]
fn a_second_run_names_what_it_would_have_overwritten_and_touches_nothing() {
    let directory = pki();
    let before = fs::read(directory.path().join("ca.pem")).unwrap();
    fs::remove_file(directory.path().join("ca.crl")).unwrap();
    match Plan::default().write(directory.path(), &clock()) {
        Err(Mistake::Exists(paths)) => assert_eq!(paths.len(), 3 + 4 * 3 + 5 - 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(directory.path().join("ca.pem")).unwrap(), before);
    assert!(!directory.path().join("ca.crl").exists());

    let force = Plan { existing: Existing::Replace, ..Plan::default() };
    force.write(directory.path(), &clock()).unwrap();
    assert_ne!(fs::read(directory.path().join("ca.pem")).unwrap(), before);
}

#[test]
fn a_revocation_keeps_those_before_it_and_raises_the_number() {
    let directory = pki();
    let clock = clock();
    clock.advance(60);
    assert_eq!(revoke(directory.path(), &login_id("sachiko1"), &clock).unwrap().number, 2);
    assert_eq!(revoke(directory.path(), &login_id("taroykdt"), &clock).unwrap().number, 3);
    for gone in ["revoked1", "sachiko1", "taroykdt"] {
        assert!(!is_admitted(&directory, "ca.pem", &format!("clients/{gone}.pem")), "{gone}");
    }
    assert!(is_admitted(&directory, "ca.pem", "clients/hanakodt.pem"));

    let list = CertificateRevocationListDer::from_pem_file(directory.path().join("ca.crl")).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
    assert_eq!(list.crl_number().map(ToString::to_string), Some("3".to_owned()));
    assert_eq!(list.last_update().timestamp(), clock.unix_seconds() - 60);
    assert!(list.iter_revoked_certificates().all(|entry| entry.reason_code().is_some_and(|(_, code)| code.0 == 1)));
}

#[test]
fn a_revocation_that_cannot_be_leaves_the_list_alone() {
    let directory = pki();
    let path = directory.path().join("ca.crl");
    let before = fs::read(&path).unwrap();
    assert!(matches!(revoke(directory.path(), &login_id("revoked1"), &clock()), Err(Mistake::AlreadyRevoked(_))));
    assert!(matches!(revoke(directory.path(), &login_id("nobody99"), &clock()), Err(Mistake::Read { .. })));
    assert!(matches!(revoke(directory.path(), &login_id("../ca"), &clock()), Err(Mistake::Read { .. })));
    fs::copy(directory.path().join("server-ca.key"), directory.path().join("ca.key")).unwrap();
    assert!(matches!(revoke(directory.path(), &login_id("hanakodt"), &clock()), Err(Mistake::Foreign { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}
