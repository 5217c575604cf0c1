//! A configured CA: what it is called, which key it has, what it may do.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::der;

/// A CA by name **and** key: a CA that rolled its key under the same name is another issuer (TLS-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IssuerId([u8; 32]);

impl IssuerId {
    /// From the contents of a Name and of a SubjectPublicKeyInfo.
    pub(super) fn of(name: &[u8], spki: &[u8]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name);
        context.update(spki);
        let mut id = [0; 32];
        id.copy_from_slice(context.finish().as_ref());
        Self(id)
    }

    /// For file names.
    pub(super) fn to_hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

/// Why a file in `trust.ca` holds no CA that can vouch for customers. webpki checks none of this for its anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaDefect {
    /// It cannot be read as a certificate.
    #[error("it is not a certificate that can be read")]
    Unreadable,
    /// basicConstraints do not say CA:TRUE.
    #[error("it is not a CA certificate (basicConstraints CA:TRUE is missing)")]
    NotACa,
    /// keyUsage is there and lacks keyCertSign.
    #[error("its key usage does not allow signing certificates (keyCertSign is missing)")]
    MayNotSignCertificates,
    /// Its time is over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// Its time has not come.
    #[error("it is not valid before {0}")]
    NotYetValid(Timestamp),
}

/// A configured CA.
#[derive(Debug)]
pub(super) struct IssuingCa {
    pub der: CertificateDer<'static>,
    pub id: IssuerId,
    pub name: Vec<u8>,
    pub spki: Vec<u8>,
    /// For messages.
    pub common_name: String,
    pub not_before: i64,
    pub not_after: i64,
    pub may_sign_lists: bool,
    /// How many CAs may stand between it and a customer.
    pub path_length: Option<u32>,
    pub is_self_issued: bool,
}

impl IssuingCa {
    pub fn parse(der: &CertificateDer<'static>, now: Timestamp) -> Result<Self, CaDefect> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CaDefect::Unreadable)?;
        if !rest.is_empty() {
            return Err(CaDefect::Unreadable);
        }
        let constraints = certificate.basic_constraints().map_err(|_| CaDefect::Unreadable)?;
        let constraints = constraints.filter(|extension| extension.value.ca).ok_or(CaDefect::NotACa)?;
        let usage = certificate.key_usage().map_err(|_| CaDefect::Unreadable)?;
        if usage.as_ref().is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(CaDefect::MayNotSignCertificates);
        }
        let (not_before, not_after) =
            (certificate.validity.not_before.timestamp(), certificate.validity.not_after.timestamp());
        let moment = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        if now.as_second() > not_after {
            return Err(CaDefect::Expired(moment(not_after)));
        }
        if now.as_second() < not_before {
            return Err(CaDefect::NotYetValid(moment(not_before)));
        }
        let name = der::content(certificate.subject.as_raw()).ok_or(CaDefect::Unreadable)?;
        let spki = der::content(certificate.subject_pki.raw).ok_or(CaDefect::Unreadable)?;
        Ok(Self {
            id: IssuerId::of(name, spki),
            name: name.to_vec(),
            spki: spki.to_vec(),
            common_name: certificate.subject.to_string(),
            not_before,
            not_after,
            may_sign_lists: usage.is_none_or(|usage| usage.value.crl_sign()),
            path_length: constraints.value.path_len_constraint,
            is_self_issued: certificate.issuer.as_raw() == certificate.subject.as_raw(),
            der: der.clone(),
        })
    }

    /// Whether `self` issued `other`.
    pub fn issued(&self, other: &Self) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(&other.der) else { return false };
        let Some(signature) = signed_parts(&other.der) else { return false };
        der::content(certificate.issuer.as_raw()) == Some(&self.name)
            && der::verify_signature(&self.spki, signature.algorithm, signature.message, signature.value)
    }

    /// Whether certificates of further CAs can stand below it.
    pub fn may_have_subordinates(&self) -> bool {
        self.path_length != Some(0)
    }
}

struct SignedParts<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    value: &'a [u8],
}

fn signed_parts(certificate: &[u8]) -> Option<SignedParts<'_>> {
    let (outer, _) = der::Element::read(certificate)?;
    let (message, rest) = der::Element::read(outer.content)?;
    let (algorithm, rest) = der::Element::read(rest)?;
    let (value, _) = der::Element::read(rest)?;
    Some(SignedParts { message: message.whole, algorithm: algorithm.content, value: value.as_bit_string()? })
}
