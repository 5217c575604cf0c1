//! Every way to say no, and the one page that is shown before another ([`LimitNotice`]), which looks the same.
//!
//! A refusal's code is the same word in the answer, in the metric `sekisho_refusals_total` and in the documentation.
//! What the client reads is the code and a sentence; causes go to the log.
//!
//! Invariant: a new refusal is placed by hand in every `match` here; there is no `_`.

mod body;
mod notice;
mod page;
mod session;
mod transfer;

pub use body::BodyRefusal;
pub use notice::{LimitNotice, LocalLink, OverCeiling};
pub use page::{Guide, HelpDesk, Language, Reader};
pub use session::{NamedIn, SessionRefusal};
pub use transfer::{Alarm, TransferRefusal};

use http::StatusCode;

/// Why a client certificate gives no identity. The word is the label `result` of `sekisho_handshakes_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.word())]
pub enum CertificateRefusal {
    /// The client sent none.
    NoCertificate,
    /// It, or a CA above it, has ended.
    Expired,
    /// It, or a CA above it, has not begun.
    NotYetValid,
    /// It, or a CA above it, is on its issuer's revocation list.
    Revoked,
    /// The bank itself has shut it, or its holder, out (TLS-08).
    Blocked,
    /// No path to a configured CA: unknown issuer, bad signature, weak key.
    Untrusted,
    /// It is no certificate for client authentication.
    WrongUsage,
    /// It cannot be read, or breaks RFC 5280.
    Malformed,
    /// Its issuer's revocation list is past `nextUpdate` and the grace.
    CrlStale,
    /// There is no revocation list of its issuer.
    CrlMissing,
    /// The subject does not match the institution's layout.
    SubjectMismatch,
    /// The registry knows another certificate of this login ID, or none (TLS-09).
    Unregistered,
    /// It was the login ID's certificate: another has taken its place, or an operator has ended it (TLS-09).
    Retired,
}

impl CertificateRefusal {
    /// Every variant, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::Blocked,
        Self::Untrusted,
        Self::WrongUsage,
        Self::Malformed,
        Self::CrlStale,
        Self::CrlMissing,
        Self::SubjectMismatch,
        Self::Unregistered,
        Self::Retired,
    ];

    /// The word in the metric of handshakes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::Blocked => "blocked",
            Self::Untrusted => "untrusted",
            Self::WrongUsage => "wrong_usage",
            Self::Malformed => "malformed",
            Self::CrlStale => "crl_stale",
            Self::CrlMissing => "crl_missing",
            Self::SubjectMismatch => "subject_mismatch",
            Self::Unregistered => "unregistered",
            Self::Retired => "retired",
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::Revoked => "certificate_revoked",
            Self::Blocked => "blocked",
            Self::Untrusted => "certificate_untrusted",
            Self::WrongUsage => "certificate_wrong_usage",
            Self::Malformed => "certificate_malformed",
            Self::CrlStale => "crl_stale",
            Self::CrlMissing => "crl_missing",
            Self::SubjectMismatch => "subject_mismatch",
            Self::Unregistered => "certificate_unregistered",
            Self::Retired => "certificate_retired",
        }
    }
}

/// Why a request is answered here and not by the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.code())]
pub enum Refusal {
    /// The visitor's certificate is not, or no longer, good.
    Certificate(CertificateRefusal),
    /// Whether the visitor is blocked only the shared store knows, and it has not answered for a second (DESIGN 4.9).
    StandingUnknown,
    /// The path can be read in more than one way (LIM-25).
    AmbiguousPath,
    /// The login form names somebody else than the certificate does (BND-01).
    LoginIdMismatch,
    /// The sender asks too often (RTL-01).
    RateLimited {
        /// Seconds until it may ask again.
        retry_after: u32,
    },
    /// The body is longer than its route allows (HTP-04).
    BodyTooLarge,
    /// Too many bodies are being read, in all or of this customer (LIM-40).
    InspectionBusy,
    /// The body does not have one meaning.
    Body(BodyRefusal),
    /// The application's session is not the visitor's own.
    Session(SessionRefusal),
    /// A transfer may not leave.
    Transfer(TransferRefusal),
    /// The listener was changed by a reload: what the visitor came in by is no longer so (TLS-17).
    ListenerChanged,
    /// Host names another entrance than the one whose TLS connection this is (RFC 9110 15.5.20).
    MisdirectedRequest,
    /// The request target is not one path and query in ASCII.
    BadTarget,
    /// `Content-Length` or `Transfer-Encoding` stands twice, or names anything but one number or `chunked` (HTP-01).
    BadFraming,
    /// The request target is longer than `limits.max-target-bytes`.
    TargetTooLong,
    /// More header fields than `limits.max-header-count`.
    TooManyHeaders,
    /// Host is missing, repeated, not a host, or differs from the target's authority.
    BadHost,
    /// CONNECT, TRACE and their like.
    MethodNotAllowed,
    /// `Connection` nominates a field that belongs to the message, not to the connection (IDN-11).
    NominatedField,
    /// A field name holds an underscore, and the configuration refuses those (IDN-05).
    UnderscoreHeader,
    /// `Expect` asks for something other than `100-continue`.
    UnknownExpectation,
    /// The assertion cannot be signed: the system gives no randomness.
    CannotSign,
    /// The client did not send the rest of its body in time.
    BodyTimeout,
    /// The client's body broke off or was wrongly framed.
    BadBody,
    /// No server of the application could be reached.
    UpstreamUnreachable,
    /// Every connection to the application is in use.
    UpstreamBusy,
    /// The application did not answer in time.
    UpstreamTimeout,
    /// The application's answer broke off or could not be understood.
    UpstreamBroken,
}

impl Refusal {
    /// Every variant, for tables and tests.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = CertificateRefusal::ALL.into_iter().map(Self::Certificate).collect();
        all.extend(BodyRefusal::ALL.into_iter().map(Self::Body));
        all.extend(SessionRefusal::ALL.into_iter().map(Self::Session));
        all.extend(TransferRefusal::ALL.into_iter().map(Self::Transfer));
        all.extend([
            Self::StandingUnknown,
            Self::AmbiguousPath,
            Self::LoginIdMismatch,
            Self::RateLimited { retry_after: 1 },
            Self::BodyTooLarge,
            Self::InspectionBusy,
            Self::ListenerChanged,
            Self::MisdirectedRequest,
            Self::BadTarget,
            Self::BadFraming,
            Self::TargetTooLong,
            Self::TooManyHeaders,
            Self::BadHost,
            Self::MethodNotAllowed,
            Self::NominatedField,
            Self::UnderscoreHeader,
            Self::UnknownExpectation,
            Self::CannotSign,
            Self::BodyTimeout,
            Self::BadBody,
            Self::UpstreamUnreachable,
            Self::UpstreamBusy,
            Self::UpstreamTimeout,
            Self::UpstreamBroken,
        ]);
        all
    }

    /// The word that others rely on.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Certificate(reason) => reason.code(),
            Self::StandingUnknown => "standing_unknown",
            Self::AmbiguousPath => "ambiguous_path",
            Self::LoginIdMismatch => "login_id_mismatch",
            Self::RateLimited { .. } => "rate_limited",
            Self::BodyTooLarge => "body_too_large",
            Self::InspectionBusy => "inspection_busy",
            Self::Body(reason) => reason.code(),
            Self::Session(reason) => reason.code(),
            Self::Transfer(reason) => reason.code(),
            Self::ListenerChanged => "listener_changed",
            Self::MisdirectedRequest => "misdirected_request",
            Self::BadTarget => "bad_target",
            Self::BadFraming => "bad_framing",
            Self::TargetTooLong => "target_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::BadHost => "bad_host",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NominatedField => "nominated_field",
            Self::UnderscoreHeader => "underscore_header",
            Self::UnknownExpectation => "unknown_expectation",
            Self::CannotSign => "cannot_sign",
            Self::BodyTimeout => "body_timeout",
            Self::BadBody => "bad_body",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamBusy => "upstream_busy",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamBroken => "upstream_broken",
        }
    }

    /// The status of the answer; always 4xx or 5xx.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Certificate(_) | Self::LoginIdMismatch => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(reason) => reason.status(),
            Self::Session(reason) => reason.status(),
            Self::Transfer(reason) => reason.status(),
            Self::ListenerChanged | Self::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            Self::BadFraming
            | Self::AmbiguousPath
            | Self::BadTarget
            | Self::BadHost
            | Self::NominatedField
            | Self::UnderscoreHeader
            | Self::BadBody => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownExpectation => StatusCode::EXPECTATION_FAILED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UpstreamUnreachable | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::StandingUnknown | Self::CannotSign | Self::UpstreamBusy | Self::InspectionBusy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whether the connection ends with this answer: where the visitor has no standing, or the message no single meaning.
    pub const fn ends_connection(self) -> bool {
        match self {
            Self::Certificate(_)
            | Self::AmbiguousPath
            | Self::ListenerChanged
            | Self::BadFraming
            | Self::BadTarget
            | Self::TargetTooLong
            | Self::TooManyHeaders
            | Self::BadHost
            | Self::NominatedField
            | Self::UnderscoreHeader
            | Self::BodyTimeout
            | Self::BadBody => true,
            Self::StandingUnknown
            | Self::RateLimited { .. }
            | Self::LoginIdMismatch
            | Self::BodyTooLarge
            | Self::InspectionBusy
            | Self::Body(_)
            | Self::Session(_)
            | Self::Transfer(_)
            | Self::MisdirectedRequest
            | Self::MethodNotAllowed
            | Self::UnknownExpectation
            | Self::CannotSign
            | Self::UpstreamUnreachable
            | Self::UpstreamBusy
            | Self::UpstreamTimeout
            | Self::UpstreamBroken => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_refusal_is_an_error_with_a_word_of_its_own() {
        let all = Refusal::all();
        let codes: HashSet<_> = all.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), all.len());
        for refusal in all {
            assert!(refusal.status().is_client_error() || refusal.status().is_server_error(), "{refusal}");
        }
    }
}
