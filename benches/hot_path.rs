//! What a change could slow down, piece by piece: judging a certificate, the revocation index, the subject's layout, the
//! signed header, the removal of headers, the body of a transfer.
//!
//! Everything is made at run time: authorities, customers, lists of a million entries. Whole requests are measured
//! against other proxies, see `README.md` beside this file.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up should end")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use sekisho::connection::affiliation::Affiliation;
use sekisho::connection::identity::SubjectRules;
use sekisho::connection::revocation::{RevocationList, UnverifiedList};
use sekisho::connection::trust::{Books, RegistryMode, Settings as TrustSettings, Trust};
use sekisho::domain::{Clock, Serial, SystemClock};
use sekisho::operator::metrics::Metrics;
use sekisho::policy::body::{
    AmountFormat, BodyFormat, BodyRules, Charset, Head, MediaType, Settings as BodySettings, Submission,
};
use sekisho::store::registry::Registry;
use sekisho::upstream::UnderscoreHeaders;
use sekisho::upstream::assertion::{
    Algorithm, Bound, ExtraHeaders, Key, Settings as AssertionSettings, Signer, claims_of,
};
use sekisho::upstream::head::Fields;
use sekisho::upstream::scrub::Scrubber;
use tempfile::TempDir;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

/// As in the binary: what allocates here costs what it costs there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZES: [usize; 2] = [10, 1_000_000];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let authority = Authority::new();
    judge(&mut criterion, &authority);
    revocation(&mut criterion, &authority);
    subject(&mut criterion, &authority);
    assertion(&mut criterion, &authority);
    scrub(&mut criterion);
    inspect(&mut criterion);
    criterion.final_summary();
}

/// A chain as a handshake presents it: met for the first time, and met before.
fn judge(criterion: &mut Criterion, authority: &Authority) {
    let mut group = criterion.benchmark_group("judge");
    for revoked in SIZES {
        let (trust, _directory) = authority.trust(revoked);
        let now = SystemClock.now();
        group.bench_function(BenchmarkId::new("first", revoked), |bencher| {
            bencher.iter_batched(
                || [authority.customer().der().clone()],
                |chain| trust.judge(&chain, now).unwrap(),
                BatchSize::SmallInput,
            );
        });
        let known = [authority.customer().der().clone()];
        trust.judge(&known, now).unwrap();
        group.bench_function(BenchmarkId::new("remembered", revoked), |bencher| {
            bencher.iter(|| trust.judge(black_box(&known), now).unwrap());
        });
        // What a request asks after a list was replaced; while nothing changed it compares two numbers.
        let (who, _) = trust.judge(&known, now).unwrap();
        group.bench_function(BenchmarkId::new("again", revoked), |bencher| {
            bencher.iter(|| trust.still_good(black_box(&who), now).unwrap());
        });
    }
    group.finish();
}

/// The index: a look-up must not follow the length of the list; loading is bounded (1,000,000 in two seconds).
fn revocation(criterion: &mut Criterion, authority: &Authority) {
    let mut group = criterion.benchmark_group("look-up");
    for entries in SIZES {
        let list = loaded(&authority.list(entries), authority);
        assert_eq!(list.len(), entries);
        // Another serial each time, so that a list larger than the caches is felt.
        let serials: Vec<Serial> =
            (0..65_536).map(|n| Serial::from_der_content(&serial(n * 15 % entries)).unwrap()).collect();
        let strangers: Vec<Serial> =
            (0..65_536).map(|n| Serial::from_der_content(&serial(entries + n)).unwrap()).collect();
        for (name, asked, expected) in [("revoked", &serials, true), ("not revoked", &strangers, false)] {
            group.bench_function(BenchmarkId::new(name, entries), |bencher| {
                let mut next = (0..asked.len()).cycle();
                bencher.iter(|| {
                    let answer = list.revokes(&asked[next.next().unwrap()]);
                    assert_eq!(answer, expected);
                });
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("load");
    for entries in SIZES {
        let der = authority.list(entries);
        group.bench_function(entries.to_string(), |bencher| bencher.iter(|| loaded(&der, authority)));
    }
    group.finish();
}

/// A list as it is installed: read, its signature checked, indexed.
fn loaded(der: &[u8], authority: &Authority) -> RevocationList {
    let anchor = webpki::anchor_from_trusted_cert(authority.certificate.der()).unwrap();
    let list = UnverifiedList::parse(der, SystemClock.now()).unwrap();
    assert!(list.is_signed_by(&anchor.subject_public_key_info));
    list.into_verified().unwrap()
}

/// O, OU and CN against the institution's layout. Part of judging a chain for the first time.
fn subject(criterion: &mut Criterion, authority: &Authority) {
    let rules = rules();
    let certificate = authority.customer();
    let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
    criterion.bench_function("subject", |bencher| {
        bencher.iter(|| rules.identify(black_box(&parsed.subject)).unwrap());
    });
}

/// The signed header, by algorithm. HS256 is the default.
fn assertion(criterion: &mut Criterion, authority: &Authority) {
    let (trust, _directory) = authority.trust(10);
    let (who, _) = trust.judge(&[authority.customer().der().clone()], SystemClock.now()).unwrap();
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem().into_bytes();
    let ed25519 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let ed25519 = pem_of(ed25519.as_ref()).into_bytes();
    let mut group = criterion.benchmark_group("assertion");
    for (algorithm, content) in [(Algorithm::Hs256, vec![7; 32]), (Algorithm::Es256, p256), (Algorithm::EdDsa, ed25519)]
    {
        let visitor = claims_of(&who, &Affiliation::alone(who.login_id()), "certificate");
        let signer = Signer::new(&assertion_settings(Key::parse("2026-11", algorithm, &content).unwrap())).unwrap();
        group.bench_function(algorithm.name(), |bencher| {
            bencher.iter(|| {
                let request = Bound {
                    method: "GET",
                    target: "/ib/menu.do?lang=ja",
                    body_digest: None,
                    id: "01a202bd-85e8-758c-8867-3a58f3734ed2",
                    issued_at: 1_795_342_304,
                };
                signer.sign(black_box(&visitor), request).unwrap()
            });
        });
    }
    group.finish();
}

/// What a client may not say: a browser's request, and one that tries.
fn scrub(criterion: &mut Criterion) {
    let key = Key::parse("2026-11", Algorithm::Hs256, &[7; 32]).unwrap();
    let scrubber = Scrubber::new(&assertion_settings(key), UnderscoreHeaders::Drop);
    let fields = |fields: &[(&'static str, &'static str)]| {
        let pairs = fields.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        pairs.collect::<HeaderMap>()
    };
    let browser = fields(&[
        ("user-agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"),
        ("accept", "text/html,application/xhtml+xml"),
        ("accept-language", "ja,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("referer", "https://localhost:8443/ib/menu.do"),
        ("cookie", "JSESSIONID=0123456789ABCDEF0123456789ABCDEF"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("upgrade-insecure-requests", "1"),
    ]);
    let mut forger = browser.clone();
    forger.extend(fields(&[
        ("x-login-id", "taroykdt"),
        ("x_login_id", "taroykdt"),
        ("x-login-assertion", "e30.e30."),
        ("x-forwarded-for", "203.0.113.9"),
        ("ssl_client_s_dn", "CN=taroykdt"),
    ]));
    let mut group = criterion.benchmark_group("scrub");
    for (name, headers, removed) in [("browser", browser, 0), ("forger", forger, 4)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut fields = Fields::new(false);
                assert_eq!(scrubber.pass_on(black_box(&headers), &mut fields), Ok(removed));
                fields
            });
        });
    }
    group.finish();
}

/// The body of a transfer, read with one meaning, in each type that it may have.
fn inspect(criterion: &mut Criterion) {
    let form = "csrf=8c1f0e2b5a&fromBranch=100&fromAccount=1234567&toBank=0001&toBranch=230&toAccount=7654321\
                &payeeName=%83J%83u%83V%83L%83K%83C%83V%83%83&amount=1000&date=20261122&memo="
        .to_owned()
        + &"x".repeat(120);
    let parts = [("csrf", "8c1f0e2b5a"), ("toAccount", "7654321"), ("amount", "1000"), ("date", "20261122")];
    let part = |(name, value)| format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let multipart = parts.map(part).concat() + "--X--\r\n";
    let json = r#"{"orders":[{"to":"7654321","amount":1000},{"to":"7654322","amount":2000}],"date":"20261122"}"#;
    let mut group = criterion.benchmark_group("inspect");
    for (name, media, charset, amount, content_type, body) in [
        ("form", MediaType::Form, Charset::Windows31J, "amount", "application/x-www-form-urlencoded", form),
        (
            "multipart",
            MediaType::Multipart,
            Charset::Windows31J,
            "amount",
            "multipart/form-data; boundary=X",
            multipart,
        ),
        ("json", MediaType::Json, Charset::Utf8, "/orders/*/amount", "application/json", json.to_owned()),
    ] {
        let rules = BodyRules::new(BodySettings {
            format: BodyFormat { media, charset, max_fields: 200 },
            amount: vec![amount.to_owned()],
            earlier: Vec::new(),
            is_complete: false,
            amount_format: AmountFormat::Strict,
            fields: None,
            fixed: Vec::new(),
            date: None,
            transaction: None,
            token: None,
            payee: None,
            login_id: None,
            parameters: Vec::new(),
        });
        let (rules, body) = (rules.unwrap(), Bytes::from(body));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let head = Head { headers: &headers, query: None, path_parameters: &[] };
                let submission = Submission::read(rules.format(), head, black_box(&body)).unwrap();
                submission.inspect(&rules).unwrap().amount.unwrap()
            });
        });
    }
    group.finish();
}

/// An issuing CA of the shipped configuration's institution.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
    /// All customers share one key: its kind is what costs, not its value.
    customer_key: KeyPair,
    issued: std::cell::Cell<usize>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "OOZORA SHINKUMI Client CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let customer_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { params, key, certificate, customer_key, issued: std::cell::Cell::new(0) }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate that nobody has seen before, and that is on no list.
    fn customer(&self) -> Certificate {
        let number = self.issued.get();
        self.issued.set(number + 1);
        let mut params = CertificateParams::default();
        for (kind, text) in [
            (DnType::OrganizationName, "OOZORA SHINKUMI"),
            (DnType::OrganizationalUnitName, "OOZORA SHINKUMI for Corporate Edition"),
            (DnType::CommonName, "OOZORA SHINKUMI ANSER SERVICE hanakodt ~"),
        ] {
            params.distinguished_name.push(kind, text);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from_slice(&serial(usize::MAX - number)));
        params.signed_by(&self.customer_key, &self.issuer()).unwrap()
    }

    /// A list of this many serials, in DER.
    fn list(&self, entries: usize) -> Vec<u8> {
        let now = OffsetDateTime::now_utc();
        let entry = |n| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial(n)),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::from_secs(60),
            next_update: now + Duration::from_secs(86_400),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: (0..entries).map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer()).unwrap().der().to_vec()
    }

    /// Trust in this CA, with a list of this many serials.
    fn trust(&self, revoked: usize) -> (Trust, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.crl");
        std::fs::write(&file, self.list(revoked)).unwrap();
        let authorities: Vec<CertificateDer<'static>> = vec![self.certificate.der().clone()];
        let (crl_grace, registry) = (Duration::ZERO, RegistryMode::Off);
        let settings = TrustSettings { authorities, crl_sources: vec![file], crl_grace, registry };
        let metrics = Metrics::new([].iter()).unwrap();
        let registry = Registry::open(directory.path().join("registry.redb"), false, &metrics).unwrap();
        let books = Books { board: Arc::default(), registry: Arc::new(registry) };
        let (trust, _) = Trust::establish(&settings, rules(), directory.path(), &books, &SystemClock).unwrap();
        assert_eq!(trust.revoked_count(), revoked);
        (trust, directory)
    }
}

/// The `n`th serial: 16 octets that look random, as issuing CAs choose them.
fn serial(n: usize) -> [u8; 16] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &n.to_be_bytes());
    let mut octets = [0; 16];
    octets.copy_from_slice(&digest.as_ref()[..16]);
    // Positive, and without leading zeros.
    octets[0] = octets[0] & 0x7f | 0x40;
    octets
}

/// The shipped configuration's layout.
fn rules() -> SubjectRules {
    SubjectRules::new(
        Some("OOZORA SHINKUMI".into()),
        Some("OOZORA SHINKUMI for Corporate Edition".into()),
        &["OOZORA SHINKUMI ANSER SERVICE {login-id} ~".into()],
        "[!-~]{6,12}",
    )
    .unwrap()
}

fn assertion_settings(key: Key) -> AssertionSettings {
    AssertionSettings {
        login_id_header: HeaderName::from_static("x-login-id"),
        header: HeaderName::from_static("x-login-assertion"),
        issuer: "sekisho".into(),
        audience: "core-banking".into(),
        lifetime: Duration::from_secs(30),
        keys: vec![key],
        extra_headers: ExtraHeaders::default(),
    }
}

fn pem_of(pkcs8: &[u8]) -> String {
    let body = data_encoding::BASE64.encode(pkcs8);
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}
