//! A fresh public key infrastructure for each test: authorities, certificates good and bad, revocation lists.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use jiff::{SignedDuration, Timestamp};

use super::crl::RevocationList;
use super::der::{self, COMMON_NAME, ORGANIZATION, Text, UNIT};

/// The institution of the shipped configuration.
pub const INSTITUTION: &str = "OOZORA SHINKUMI";
/// Its organizational unit.
pub const EDITION: &str = "OOZORA SHINKUMI for Corporate Edition";
/// Extended key usage: TLS client.
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// Extended key usage: TLS server.
pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// Key usage: digitalSignature, as the bits of a BIT STRING with its count of unused ones.
pub const DIGITAL_SIGNATURE: [u8; 2] = [7, 0x80];
/// Key usage: keyEncipherment.
pub const KEY_ENCIPHERMENT: [u8; 2] = [5, 0x20];
/// Key usage: keyCertSign and cRLSign.
const CERTIFICATE_AND_LIST_SIGN: [u8; 2] = [1, 0x06];

/// The kinds of keys that customers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    P384,
    Rsa,
    Ed25519,
}

/// A key that can sign.
#[derive(Debug, Clone)]
pub enum Key {
    Ecdsa(Arc<EcdsaKeyPair>, KeyKind),
    Rsa(Arc<RsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl Key {
    /// A new key; RSA keys, slow to make, are made once per process.
    pub fn generate(kind: KeyKind) -> Self {
        static RSA: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        let ecdsa = |algorithm| Self::Ecdsa(Arc::new(EcdsaKeyPair::generate(algorithm).unwrap()), kind);
        match kind {
            KeyKind::P256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyKind::P384 => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyKind::Ed25519 => Self::Ed25519(Arc::new(Ed25519KeyPair::generate().unwrap())),
            KeyKind::Rsa => {
                let generate = || Arc::new(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());
                Self::Rsa(Arc::clone(RSA.get_or_init(generate)))
            }
        }
    }

    /// SubjectPublicKeyInfo.
    pub fn public(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ecdsa(key, _) => key.public_key().as_der(),
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
        }
        .unwrap();
        der.as_ref().to_vec()
    }

    /// PKCS#8.
    pub fn private(&self) -> Vec<u8> {
        let der: Pkcs8V1Der<'_> = match self {
            Self::Ecdsa(key, _) => return key.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Self::Rsa(key) => key.as_der(),
            Self::Ed25519(key) => key.as_der(),
        }
        .unwrap();
        der.as_ref().to_vec()
    }

    /// AlgorithmIdentifier of this key's signatures.
    pub fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(_, KeyKind::P384) => der::sequence(&[der::oid("1.2.840.10045.4.3.3")]),
            Self::Ecdsa(..) => der::sequence(&[der::oid("1.2.840.10045.4.3.2")]),
            Self::Rsa(_) => der::sequence(&[der::oid("1.2.840.113549.1.1.11"), der::tlv(0x05, &[])]),
            Self::Ed25519(_) => der::sequence(&[der::oid("1.3.101.112")]),
        }
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        match self {
            Self::Ecdsa(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The signed envelope of certificates and lists.
    pub fn sign(&self, body: &[u8]) -> Vec<u8> {
        der::sequence(&[body.to_vec(), self.algorithm(), der::bit_string(&self.signature(body))])
    }

    /// The key identifier that this key's certificates carry.
    pub fn identifier(&self) -> Vec<u8> {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.public()).as_ref()[..20].to_vec()
    }
}

/// Days from now.
pub fn days(count: i64) -> Timestamp {
    day_after(Timestamp::now(), count)
}

fn next_serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0x1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A subject of the shipped institution whose CN carries the given login ID.
pub fn subject(login_id: &str) -> Vec<u8> {
    subject_with(Text::Utf8(format!("{INSTITUTION} ANSER SERVICE {login_id} ~")))
}

/// A subject of the shipped institution with the given CN.
pub fn subject_with(common_name: Text) -> Vec<u8> {
    subject_of(INSTITUTION, EDITION, common_name)
}

/// A subject with the given O, OU and CN.
pub fn subject_of(organization: &str, unit: &str, common_name: Text) -> Vec<u8> {
    let text = |text: &str| Text::Utf8(text.into());
    der::name(&[&[(ORGANIZATION, text(organization))], &[(UNIT, text(unit))], &[(COMMON_NAME, common_name)]])
}

/// Who signs certificates and lists.
#[derive(Debug, Clone)]
pub struct Authority {
    pub name: Vec<u8>,
    pub key: Key,
    pub certificate: Vec<u8>,
    pub serial: u64,
}

impl Authority {
    /// A self-signed authority.
    pub fn root(common_name: &str, kind: KeyKind) -> Self {
        Self::root_valid(common_name, kind, (days(-30), days(3650)))
    }

    /// The same with dates of its own.
    fn root_valid(common_name: &str, kind: KeyKind, validity: (Timestamp, Timestamp)) -> Self {
        let (name, key) = (authority_name(common_name), Key::generate(kind));
        let signer = Self { name, key, certificate: Vec::new(), serial: 0 };
        signer.vouching_for(common_name, signer.key.clone(), validity)
    }

    /// An authority that this one vouches for.
    pub fn subordinate(&self, common_name: &str, kind: KeyKind) -> Self {
        self.subordinate_with(common_name, Key::generate(kind))
    }

    /// The same with a given key.
    pub fn subordinate_with(&self, common_name: &str, key: Key) -> Self {
        self.vouching_for(common_name, key, (days(-30), days(3650)))
    }

    fn vouching_for(&self, common_name: &str, key: Key, (from, until): (Timestamp, Timestamp)) -> Self {
        let name = authority_name(common_name);
        let mut request =
            self.certificate().subject(name.clone()).usages(&[]).key_usage(Some(CERTIFICATE_AND_LIST_SIGN));
        request.key = key.clone();
        let identity = request.authority().valid(from, until).issue();
        Self { name, key, certificate: identity.certificate, serial: identity.serial }
    }

    /// A certificate to be issued: unless told otherwise a good one, for the customer `hanakodt`.
    pub fn certificate(&self) -> Request {
        Request {
            issuer: self.clone(),
            subject: subject("hanakodt"),
            key: Key::generate(KeyKind::P256),
            serial: next_serial(),
            validity: (days(-1), days(300)),
            usages: vec![CLIENT_AUTH.into()],
            key_usage: Some(DIGITAL_SIGNATURE),
            is_authority: false,
            extensions: Vec::new(),
            intermediates: Vec::new(),
        }
    }

    /// A good certificate for a customer.
    pub fn customer(&self, login_id: &str) -> Identity {
        self.certificate().subject(subject(login_id)).issue()
    }

    /// A server certificate for the given names, `localhost` and 127.0.0.1.
    pub fn server(&self, names: &[&str]) -> Identity {
        let mut alternatives: Vec<Vec<u8>> = names.iter().map(|name| der::tlv(0x82, name.as_bytes())).collect();
        alternatives.push(der::tlv(0x82, b"localhost"));
        alternatives.push(der::tlv(0x87, &[127, 0, 0, 1]));
        let extension = der::extension("2.5.29.17", false, &der::sequence(&alternatives));
        self.certificate().subject(authority_name("server")).usages(&[SERVER_AUTH]).extension(extension).issue()
    }

    /// A revocation list to be signed: number 1, of this hour, good for a week, empty.
    pub fn list(&self) -> RevocationList {
        RevocationList::of(self)
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        der::pem("CERTIFICATE", &self.certificate)
    }
}

fn authority_name(common_name: &str) -> Vec<u8> {
    der::name(&[&[(ORGANIZATION, Text::Utf8("ANSER".into()))], &[(COMMON_NAME, Text::Utf8(common_name.into()))]])
}

/// A certificate to be issued.
#[derive(Debug, Clone)]
pub struct Request {
    issuer: Authority,
    subject: Vec<u8>,
    key: Key,
    serial: u64,
    validity: (Timestamp, Timestamp),
    usages: Vec<String>,
    key_usage: Option<[u8; 2]>,
    is_authority: bool,
    extensions: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
}

impl Request {
    pub fn subject(mut self, name: Vec<u8>) -> Self {
        self.subject = name;
        self
    }

    pub fn login_id(self, login_id: &str) -> Self {
        self.subject(subject(login_id))
    }

    pub fn key(mut self, kind: KeyKind) -> Self {
        self.key = Key::generate(kind);
        self
    }

    pub fn serial(mut self, serial: u64) -> Self {
        self.serial = serial;
        self
    }

    /// Valid from and until so many days from now.
    pub fn days(self, from: i64, until: i64) -> Self {
        self.valid(days(from), days(until))
    }

    pub fn valid(mut self, from: Timestamp, until: Timestamp) -> Self {
        self.validity = (from, until);
        self
    }

    /// Extended key usages; none leaves the extension out.
    pub fn usages(mut self, usages: &[&str]) -> Self {
        self.usages = usages.iter().map(ToString::to_string).collect();
        self
    }

    pub fn key_usage(mut self, bits: Option<[u8; 2]>) -> Self {
        self.key_usage = bits;
        self
    }

    /// CA:TRUE.
    pub fn authority(mut self) -> Self {
        self.is_authority = true;
        self
    }

    pub fn extension(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// What the customer sends along with the certificate.
    pub fn sent_with(mut self, intermediate: &Authority) -> Self {
        self.intermediates.push(intermediate.certificate.clone());
        self
    }

    /// Signed by its own key instead of the authority's.
    pub fn self_signed(mut self) -> Self {
        self.issuer = Authority { name: self.subject.clone(), key: self.key.clone(), ..self.issuer };
        self
    }

    pub fn issue(self) -> Identity {
        let mut extensions = vec![
            der::extension("2.5.29.35", false, &der::sequence(&[der::tlv(0x80, &self.issuer.key.identifier())])),
            der::extension("2.5.29.14", false, &der::octet_string(&self.key.identifier())),
        ];
        if self.is_authority {
            extensions.push(der::extension("2.5.29.19", true, &der::sequence(&[der::truth()])));
        }
        if let Some(bits) = self.key_usage {
            extensions.push(der::extension("2.5.29.15", true, &der::tlv(0x03, &bits)));
        }
        if !self.usages.is_empty() {
            let usages: Vec<Vec<u8>> = self.usages.iter().map(|usage| der::oid(usage)).collect();
            extensions.push(der::extension("2.5.29.37", false, &der::sequence(&usages)));
        }
        extensions.extend(self.extensions);
        let body = der::sequence(&[
            der::tlv(0xa0, &der::integer(2)),
            der::integer(self.serial),
            self.issuer.key.algorithm(),
            self.issuer.name,
            der::sequence(&[der::time(self.validity.0), der::time(self.validity.1)]),
            self.subject,
            self.key.public(),
            der::tlv(0xa3, &der::sequence(&extensions)),
        ]);
        let certificate = self.issuer.key.sign(&body);
        Identity { certificate, key: self.key, serial: self.serial, intermediates: self.intermediates }
    }
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Key,
    pub serial: u64,
    pub intermediates: Vec<Vec<u8>>,
}

impl Identity {
    /// The certificate and what is sent along, as PEM.
    pub fn pem(&self) -> String {
        let intermediates = self.intermediates.iter().map(|der| der::pem("CERTIFICATE", der));
        der::pem("CERTIFICATE", &self.certificate) + &intermediates.collect::<String>()
    }

    /// The key as PKCS#8 PEM.
    pub fn key_pem(&self) -> String {
        der::pem("PRIVATE KEY", &self.key.private())
    }

    /// `x5t#S256`.
    pub fn thumbprint(&self) -> String {
        sekisho::domain::Fingerprint::of(&self.certificate).to_base64url()
    }
}

/// What most tests start from: one issuing authority, and another one for the server's certificate.
#[derive(Debug, Clone)]
pub struct Pki {
    pub issuing: Authority,
    pub web: Authority,
    pub server: Identity,
    /// When it issues.
    today: Timestamp,
    /// The institution's layout.
    subject: fn(&str) -> Vec<u8>,
}

impl Pki {
    pub fn fresh() -> Self {
        Self::at(Timestamp::now(), subject)
    }

    /// What an institution had at that moment. The server's certificate is of today: clients have no clock of the tests'.
    pub fn at(today: Timestamp, subject: fn(&str) -> Vec<u8>) -> Self {
        let web = Authority::root("Public Web CA", KeyKind::P256);
        let server = web.server(&["bank.example", "password.example", "other.example"]);
        let validity = (day_after(today, -30), day_after(today, 3650));
        Self {
            issuing: Authority::root_valid("ANSER Issuing CA", KeyKind::P256, validity),
            web,
            server,
            today,
            subject,
        }
    }

    /// A good certificate for a customer.
    pub fn customer(&self, login_id: &str) -> Identity {
        self.certificate().subject((self.subject)(login_id)).issue()
    }

    /// A certificate to be issued to `hanakodt`, on that day.
    pub fn certificate(&self) -> Request {
        let validity = (day_after(self.today, -1), day_after(self.today, 300));
        self.issuing.certificate().subject((self.subject)("hanakodt")).valid(validity.0, validity.1)
    }

    /// A revocation list of that day: number 1, good for a week, empty.
    pub fn list(&self) -> RevocationList {
        let begins = self.today - SignedDuration::from_hours(1);
        self.issuing.list().this_update(begins).next_update(day_after(self.today, 7))
    }
}

fn day_after(moment: Timestamp, days: i64) -> Timestamp {
    moment + SignedDuration::from_hours(24 * days)
}
