//! What rustls asks during a handshake: is this certificate good, and may this session be resumed?
//!
//! One [`Inspector`] per connection answers both, because the second answer needs the first: a session is kept only with
//! the identity that was proven for it, and given back only while that identity is still good. A refused certificate
//! gets no ticket (TLS-15), and a revoked one falls back to a full handshake, where it is refused (TLS-07).
//!
//! Invariant: nothing here grants anything. After the handshake the chain is judged again, by the same trust.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::StoresServerSessions;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::identity::VerifiedIdentity;
use super::listener::RefusalManner;
use super::sessions::{KeptSession, Sessions};
use super::trust::Trust;
use crate::domain::Clock;
use crate::refusal::CertificateRefusal;

/// What all connections of a certificate listener share.
#[derive(Debug)]
pub(super) struct Inspection {
    pub trust: Arc<ArcSwap<Trust>>,
    pub clock: Arc<dyn Clock>,
    pub sessions: Sessions<VerifiedIdentity>,
    pub hints: Vec<DistinguishedName>,
    pub algorithms: WebPkiSupportedAlgorithms,
    pub manner: RefusalManner,
}

/// Inspects one handshake.
#[derive(Debug)]
pub(super) struct Inspector {
    shared: Arc<Inspection>,
    proven: Mutex<Option<VerifiedIdentity>>,
}

impl Inspector {
    pub fn new(shared: Arc<Inspection>) -> Self {
        Self { shared, proven: Mutex::new(None) }
    }

    fn remember(&self, who: VerifiedIdentity) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(who);
    }

    /// A kept session, while its owner is good. Another's session does not become good by being asked for.
    fn still_resumable(&self, session: KeptSession<VerifiedIdentity>) -> Option<Vec<u8>> {
        let trust = self.shared.trust.load();
        trust.still_good(&session.proven, self.shared.clock.now()).ok()?;
        self.remember(session.proven);
        Some(session.value.to_vec())
    }
}

impl ClientCertVerifier for Inspector {
    fn client_auth_mandatory(&self) -> bool {
        match self.shared.manner {
            RefusalManner::Close => true,
            // The visitor without a certificate is told so by a page.
            RefusalManner::Page => false,
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.shared.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        match (self.shared.trust.load().judge(&chain, self.shared.clock.now()), self.shared.manner) {
            (Ok((who, _)), _) => self.remember(who),
            (Err(refusal), RefusalManner::Close) => return Err(Error::InvalidCertificate(alert_for(refusal))),
            (Err(_), RefusalManner::Page) => {}
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.shared.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.shared.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.shared.algorithms.supported_schemes()
    }
}

impl StoresServerSessions for Inspector {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(who) = proven else { return false };
        self.shared.sessions.keep(key, value, who)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.still_resumable(self.shared.sessions.find(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.still_resumable(self.shared.sessions.remove(key)?)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// The alert that each refusal ends the handshake with, by way of rustls's own words (RFC 8446 6.2).
fn alert_for(refusal: CertificateRefusal) -> CertificateError {
    match refusal {
        CertificateRefusal::NoCertificate | CertificateRefusal::Untrusted => CertificateError::UnknownIssuer,
        CertificateRefusal::Expired => CertificateError::Expired,
        CertificateRefusal::NotYetValid => CertificateError::NotValidYet,
        CertificateRefusal::Revoked => CertificateError::Revoked,
        // certificate_unknown: what the bank itself decided is none of the CA's reasons.
        CertificateRefusal::Blocked | CertificateRefusal::Unregistered | CertificateRefusal::Retired => {
            CertificateError::Other(OtherError(Arc::new(refusal)))
        }
        CertificateRefusal::WrongUsage => CertificateError::InvalidPurpose,
        CertificateRefusal::Malformed => CertificateError::BadEncoding,
        CertificateRefusal::CrlStale => CertificateError::ExpiredRevocationList,
        CertificateRefusal::CrlMissing => CertificateError::UnknownRevocationStatus,
        CertificateRefusal::SubjectMismatch => CertificateError::ApplicationVerificationFailure,
    }
}

/// Back from a failed handshake to the refusal behind it; `None` where the failure was not about the certificate.
pub(super) fn refusal_behind(error: &Error) -> Option<CertificateRefusal> {
    match error {
        Error::NoCertificatesPresented => Some(CertificateRefusal::NoCertificate),
        Error::InvalidCertificate(reason) => Some(match reason {
            CertificateError::Expired => CertificateRefusal::Expired,
            CertificateError::NotValidYet => CertificateRefusal::NotYetValid,
            CertificateError::Revoked => CertificateRefusal::Revoked,
            CertificateError::InvalidPurpose => CertificateRefusal::WrongUsage,
            CertificateError::BadEncoding => CertificateRefusal::Malformed,
            CertificateError::ExpiredRevocationList => CertificateRefusal::CrlStale,
            CertificateError::UnknownRevocationStatus => CertificateRefusal::CrlMissing,
            CertificateError::ApplicationVerificationFailure => CertificateRefusal::SubjectMismatch,
            CertificateError::Other(OtherError(cause)) => {
                *cause.downcast_ref().unwrap_or(&CertificateRefusal::Untrusted)
            }
            // A bad signature in CertificateVerify, a key that is too weak for one: nobody vouched for this client.
            _ => CertificateRefusal::Untrusted,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_back_from_its_alert() {
        for refusal in CertificateRefusal::ALL {
            let back = refusal_behind(&Error::InvalidCertificate(alert_for(refusal)));
            let expected = match refusal {
                CertificateRefusal::NoCertificate => CertificateRefusal::Untrusted,
                other => other,
            };
            assert_eq!(back, Some(expected));
        }
        assert_eq!(refusal_behind(&Error::NoCertificatesPresented), Some(CertificateRefusal::NoCertificate));
    }
}
