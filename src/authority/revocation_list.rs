//! The development authority's revocation list: signed new, or signed again with one more certificate.

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateRevocationListDer;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::development::Mistake;

const LIFETIME: Duration = Duration::days(30);
/// A list from the future is refused, so it begins a little in the past.
const BACKDATED: Duration = Duration::minutes(1);

/// What a list says.
#[derive(Debug, Clone)]
pub(super) struct Content {
    number: u64,
    revoked: Vec<RevokedCertParams>,
}

impl Content {
    /// The first list of an authority: number 1, nobody revoked.
    pub(super) fn first() -> Self {
        Self { number: 1, revoked: Vec::new() }
    }

    /// The list that follows `list`: the same certificates, the number raised.
    pub(super) fn after(list: &CertificateRevocationListDer<'_>) -> Option<Self> {
        let (_, list) = CertificateRevocationList::from_der(list.as_ref()).ok()?;
        let number = u64::try_from(list.crl_number()?).ok()?.checked_add(1)?;
        let revoked = list.iter_revoked_certificates().map(|entry| {
            let reason_code = entry.reason_code().and_then(|(_, code)| reason(code.0));
            let revocation_time = entry.revocation_date.to_datetime();
            let serial_number = SerialNumber::from_slice(entry.raw_serial());
            RevokedCertParams { serial_number, revocation_time, reason_code, invalidity_date: None }
        });
        Some(Self { number, revoked: revoked.collect() })
    }

    /// Whether the certificate with this serial number (content octets of its INTEGER) is on the list.
    pub(super) fn holds(&self, serial: &[u8]) -> bool {
        self.revoked.iter().any(|entry| entry.serial_number.as_ref() == serial)
    }

    /// Adds a certificate, revoked now.
    pub(super) fn revoke(&mut self, serial: &[u8], now: OffsetDateTime) {
        self.revoked.push(RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: now,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
    }

    /// The list's number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Signs the list; PEM.
    pub(super) fn sign(self, issuer: &Issuer<'_, &KeyPair>, now: OffsetDateTime) -> Result<String, Mistake> {
        let list = CertificateRevocationListParams {
            this_update: now - BACKDATED,
            next_update: now + LIFETIME,
            crl_number: SerialNumber::from(self.number),
            issuing_distribution_point: None,
            revoked_certs: self.revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(issuer)?.pem()?)
    }
}

fn reason(code: u8) -> Option<RevocationReason> {
    use RevocationReason as Reason;
    let reasons = [
        Reason::Unspecified,
        Reason::KeyCompromise,
        Reason::CaCompromise,
        Reason::AffiliationChanged,
        Reason::Superseded,
        Reason::CessationOfOperation,
        Reason::CertificateHold,
        Reason::RemoveFromCrl,
        Reason::PrivilegeWithdrawn,
        Reason::AaCompromise,
    ];
    reasons.into_iter().find(|reason| *reason as u8 == code)
}
