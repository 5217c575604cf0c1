//! A proven path: from a customer's certificate to a configured CA, built and checked once per chain.
//!
//! What stays true while CAs and rules stay the same is remembered (signatures, usage, subject); what time and revocation
//! lists change is not part of the proof.

use std::sync::Arc;

use jiff::Timestamp;
use moka::sync::Cache;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Core;
use crate::connection::der;
use crate::connection::identity::Subject;
use crate::connection::issuing_ca::IssuerId;
use crate::domain::{Fingerprint, Serial};
use crate::refusal::CertificateRefusal;
use crate::store::registry::{Certificate, Name, State};

/// Octets of chains remembered as proven: about ten thousand customers.
const PROVEN_BYTES: u64 = 32 << 20;

/// Octets of certificates that a client may send: six of RSA-4096, or a chain of post-quantum ones.
const MAX_PRESENTED_BYTES: usize = 32 << 10;

/// CAs that a client may send along with its certificate. webpki's search is bounded too; this bounds what is hashed.
const MAX_PRESENTED_CAS: usize = 6;

/// The chains proven under one set of CAs and rules, by the hash of all they hold.
#[derive(Debug, Clone)]
pub(super) struct ProvenPaths {
    cache: Cache<[u8; 32], Arc<ProvenPath>>,
    /// Tells this set of rules from every other: a path remembers under which it was proven.
    token: Arc<()>,
}

impl Default for ProvenPaths {
    fn default() -> Self {
        let weight = |_: &[u8; 32], path: &Arc<ProvenPath>| {
            let bytes: usize = path.chain.iter().map(|certificate| certificate.len() + 512).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self { cache: Cache::builder().weigher(weight).max_capacity(PROVEN_BYTES).build(), token: Arc::new(()) }
    }
}

/// A chain that leads to a configured CA and names a customer.
#[derive(Debug)]
pub(crate) struct ProvenPath {
    token: Arc<()>,
    chain: Vec<CertificateDer<'static>>,
    links: Vec<Link>,
    not_before: i64,
    not_after: i64,
    /// When the customer's own certificate began.
    issued_at: i64,
    subject: Subject,
    fingerprint: Fingerprint,
}

/// One certificate below the anchor: what to look up, and in whose list.
#[derive(Debug)]
pub(super) struct Link {
    pub issuer: IssuerId,
    pub issuer_name: Box<[u8]>,
    pub issuer_spki: Box<[u8]>,
    /// Whether the issuer's key usage lets it sign lists; what it may not sign is no list.
    pub issuer_may_sign_lists: bool,
    pub serial: Serial,
}

impl ProvenPath {
    pub(super) fn was_proven_by(&self, rules: &ProvenPaths) -> bool {
        Arc::ptr_eq(&self.token, &rules.token)
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.links
    }

    pub(super) fn not_before(&self) -> i64 {
        self.not_before
    }

    pub(crate) fn not_after(&self) -> i64 {
        self.not_after
    }

    pub(crate) fn issued_at(&self) -> i64 {
        self.issued_at
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The customer's certificate, as the registry keeps it.
    pub(crate) fn to_register(&self) -> Option<Certificate> {
        let (_, certificate) = X509Certificate::from_der(self.chain.first()?).ok()?;
        Some(Certificate {
            sha256: self.fingerprint,
            serial: self.serial()?.clone(),
            issuer: Name::of_any(&certificate.issuer.to_string()),
            login_id: self.subject.login_id.clone(),
            not_before: certificate.validity.not_before.timestamp(),
            not_after: certificate.validity.not_after.timestamp(),
            state: State::Active,
        })
    }

    /// The customer certificate's serial: the first link.
    pub(crate) fn serial(&self) -> Option<&Serial> {
        self.links.first().map(|link| &link.serial)
    }
}

impl Core {
    /// The proven path of a chain, remembered or built.
    pub(super) fn prove(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<Arc<ProvenPath>, CertificateRefusal> {
        let (leaf, presented) = chain.split_first().ok_or(CertificateRefusal::NoCertificate)?;
        let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
        if presented.len() > MAX_PRESENTED_CAS || bytes > MAX_PRESENTED_BYTES {
            return Err(CertificateRefusal::Malformed);
        }
        let key = hash_of(chain);
        if let Some(path) = self.proven.cache.get(&key) {
            return Ok(path);
        }
        let path = Arc::new(self.build(leaf, presented, now)?);
        self.proven.cache.insert(key, Arc::clone(&path));
        Ok(path)
    }

    fn build(
        &self,
        leaf: &CertificateDer<'_>,
        presented: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<ProvenPath, CertificateRefusal> {
        let parsed = Leaf::read(leaf)?;
        let end_entity = EndEntityCert::try_from(leaf).map_err(refusal_of)?;
        let intermediates: Vec<CertificateDer<'_>> = presented.iter().chain(&self.links).cloned().collect();
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let path = end_entity
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &self.anchors,
                &intermediates,
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
                KeyUsage::client_auth(),
                None,
                Some(&|path| self.allows(path)),
            )
            .map_err(refusal_of)?;
        // Usage comes after the path, so that a stranger's certificate is a stranger's whatever it says of itself.
        parsed.may_authenticate_clients()?;
        let (links, not_before, not_after) = self.links_of(&path, &parsed).ok_or(CertificateRefusal::Malformed)?;
        let subject = self.rules.identify(&parsed.certificate.subject).map_err(|mismatch| {
            tracing::debug!(%mismatch, subject = %parsed.certificate.subject, "subject refused");
            CertificateRefusal::SubjectMismatch
        })?;
        Ok(ProvenPath {
            token: Arc::clone(&self.proven.token),
            fingerprint: Fingerprint::of(leaf),
            chain: std::iter::once(leaf).chain(presented).map(|der| der.clone().into_owned()).collect(),
            links,
            not_before,
            not_after,
            issued_at: parsed.certificate.validity.not_before.timestamp(),
            subject,
        })
    }

    /// What webpki does not check: the anchor's path length, and that each CA may sign certificates.
    fn allows(&self, path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
        let between = path.intermediate_certificates().count();
        let anchor = self.authority_of(path).ok_or(webpki::Error::UnknownIssuer)?;
        if anchor.path_length.is_some_and(|limit| between as u64 > u64::from(limit)) {
            return Err(webpki::Error::PathLenConstraintViolated);
        }
        for ca in path.intermediate_certificates() {
            let der = ca.der();
            let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| webpki::Error::BadDer)?;
            let usage = certificate.key_usage().map_err(|_| webpki::Error::BadDer)?;
            if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
                return Err(webpki::Error::EndEntityUsedAsCa);
            }
        }
        Ok(())
    }

    fn authority_of(&self, path: &VerifiedPath<'_>) -> Option<&crate::connection::issuing_ca::IssuingCa> {
        let anchor = path.anchor();
        let id = IssuerId::of(&anchor.subject, &anchor.subject_public_key_info);
        self.authorities.iter().find(|ca| ca.id == id)
    }

    /// Each certificate below the anchor with its issuer, and the time in which all of the path is valid.
    fn links_of(&self, path: &VerifiedPath<'_>, leaf: &Leaf<'_>) -> Option<(Vec<Link>, i64, i64)> {
        let anchor = self.authority_of(path)?;
        let (mut not_before, mut not_after) = (anchor.not_before, anchor.not_after);
        let mut within = |certificate: &X509Certificate<'_>| {
            not_before = not_before.max(certificate.validity.not_before.timestamp());
            not_after = not_after.min(certificate.validity.not_after.timestamp());
        };
        within(&leaf.certificate);
        let mut links = Vec::new();
        let mut serial = leaf.serial.clone();
        for ca in path.intermediate_certificates() {
            let der = ca.der();
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            within(&certificate);
            let name = der::content(certificate.subject.as_raw())?;
            let spki = der::content(certificate.subject_pki.raw)?;
            let may_sign_lists = certificate.key_usage().ok()?.is_none_or(|usage| usage.value.crl_sign());
            links.push(Link::new(serial, name, spki, may_sign_lists));
            serial = Serial::from_der_content(certificate.raw_serial())?;
        }
        links.push(Link::new(serial, &anchor.name, &anchor.spki, anchor.may_sign_lists));
        Some((links, not_before, not_after))
    }
}

impl Link {
    fn new(serial: Serial, issuer_name: &[u8], issuer_spki: &[u8], issuer_may_sign_lists: bool) -> Self {
        Self {
            issuer: IssuerId::of(issuer_name, issuer_spki),
            issuer_name: issuer_name.into(),
            issuer_spki: issuer_spki.into(),
            issuer_may_sign_lists,
            serial,
        }
    }
}

/// A customer's certificate as x509-parser reads it, with what RFC 5280 asks of one.
struct Leaf<'a> {
    certificate: X509Certificate<'a>,
    serial: Serial,
}

impl<'a> Leaf<'a> {
    fn read(der: &'a CertificateDer<'a>) -> Result<Self, CertificateRefusal> {
        let malformed = CertificateRefusal::Malformed;
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| malformed)?;
        let serial = Serial::from_der_content(certificate.raw_serial()).ok_or(malformed)?;
        // Extensions that stand twice have no meaning; the map is where x509-parser notices.
        if !rest.is_empty() || certificate.extensions_map().is_err() {
            return Err(malformed);
        }
        Ok(Self { certificate, serial })
    }

    /// Client authentication must be named (TLS-03); where key usage is there it must allow signatures.
    fn may_authenticate_clients(&self) -> Result<(), CertificateRefusal> {
        let malformed = |_| CertificateRefusal::Malformed;
        let purposes = self.certificate.extended_key_usage().map_err(malformed)?;
        let usage = self.certificate.key_usage().map_err(malformed)?;
        let named = purposes.is_some_and(|purposes| purposes.value.client_auth);
        let may_sign = usage.is_none_or(|usage| usage.value.digital_signature());
        if named && may_sign && !self.certificate.is_ca() { Ok(()) } else { Err(CertificateRefusal::WrongUsage) }
    }
}

fn hash_of(chain: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for certificate in chain {
        context.update(&(certificate.len() as u64).to_be_bytes());
        context.update(certificate);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// webpki's many errors as the few words that operators count.
fn refusal_of(error: webpki::Error) -> CertificateRefusal {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => CertificateRefusal::Expired,
        Error::CertNotValidYet { .. } => CertificateRefusal::NotYetValid,
        Error::CaUsedAsEndEntity | Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            CertificateRefusal::WrongUsage
        }
        Error::UnknownIssuer
        | Error::InvalidSignatureForPublicKey
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::EndEntityUsedAsCa
        | Error::PathLenConstraintViolated
        | Error::NameConstraintViolation
        | Error::MaximumNameConstraintComparisonsExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded => CertificateRefusal::Untrusted,
        // What is left is about the certificate's form. webpki's enum is open, so new errors land here, refused too.
        _ => CertificateRefusal::Malformed,
    }
}
