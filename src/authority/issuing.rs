//! The certificates of the development authority: what stands in them, and how they are signed.
//!
//! The subjects follow the shipped `config.toml`, letter by letter; a real authority's layout is the bank's own.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::development::Mistake;
use crate::domain::LoginId;

const ORGANIZATION: &str = "OOZORA SHINKUMI";
const ORGANIZATIONAL_UNIT: &str = "OOZORA SHINKUMI for Corporate Edition";

/// Certificates begin a little in the past, for clients whose clock is behind.
const BACKDATED: Duration = Duration::minutes(5);
const AUTHORITY_LIFETIME: Duration = Duration::days(3650);
const LEAF_LIFETIME: Duration = Duration::days(365);

/// A certificate and its private key.
pub(super) struct Issued {
    pub(super) certificate: Certificate,
    pub(super) key: KeyPair,
}

/// An authority that signs: what it says of itself, its certificate, its key.
pub(super) struct Authority {
    pub(super) params: CertificateParams,
    pub(super) issued: Issued,
}

/// Which of the two authorities. They are two so that whoever may name customers cannot name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Clients,
    Servers,
}

impl Role {
    fn common_name(self) -> &'static str {
        match self {
            Self::Clients => "OOZORA SHINKUMI Client CA",
            Self::Servers => "OOZORA SHINKUMI Server CA",
        }
    }
}

impl Authority {
    /// A new authority with a key of its own.
    pub(super) fn new(role: Role, now: OffsetDateTime) -> Result<Self, Mistake> {
        let mut params = authority_params(role)?;
        params.serial_number = Some(random_serial()?);
        (params.not_before, params.not_after) = (now - BACKDATED, now + AUTHORITY_LIFETIME);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { params, issued: Issued { certificate, key } })
    }

    /// The signer of certificates and revocation lists.
    pub(super) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.issued.key)
    }

    /// A customer's certificate.
    pub(super) fn issue_client(&self, login_id: &LoginId, now: OffsetDateTime) -> Result<Issued, Mistake> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&[
            (DnType::OrganizationName, ORGANIZATION),
            (DnType::OrganizationalUnitName, ORGANIZATIONAL_UNIT),
            (DnType::CommonName, &format!("{ORGANIZATION} ANSER SERVICE {login_id} ~")),
        ])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, now)
    }

    /// The gateway's own certificate, for this machine's names.
    pub(super) fn issue_server(&self, now: OffsetDateTime) -> Result<Issued, Mistake> {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name =
            subject(&[(DnType::OrganizationName, ORGANIZATION), (DnType::CommonName, "localhost")])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, now)
    }

    fn issue(&self, mut params: CertificateParams, now: OffsetDateTime) -> Result<Issued, Mistake> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(random_serial()?);
        (params.not_before, params.not_after) = (now - BACKDATED, now + LEAF_LIFETIME);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer())?;
        Ok(Issued { certificate, key })
    }
}

/// What an authority says of itself, but for its serial number and dates: enough to sign again with a saved key.
pub(super) fn authority_params(role: Role) -> Result<CertificateParams, Mistake> {
    let mut params = CertificateParams::default();
    params.distinguished_name =
        subject(&[(DnType::OrganizationName, ORGANIZATION), (DnType::CommonName, role.common_name())])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn subject(parts: &[(DnType, &str)]) -> Result<DistinguishedName, Mistake> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, DnValue::PrintableString("JP".try_into()?));
    for (kind, value) in parts {
        name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
    }
    Ok(name)
}

/// 128 bits: positive, and never shorter, so that every serial has the same look in a log.
fn random_serial() -> Result<SerialNumber, Mistake> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Mistake::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
