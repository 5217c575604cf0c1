//! Requests whose session of the application is not the visitor's own.

use http::StatusCode;

/// Why a request with a session of the application does not reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionRefusal {
    /// It names more than one session, or one in a way that applications read differently (BND-03, BND-10).
    Ambiguous,
    /// Nobody here knows the session: it has ended, or began elsewhere (BND-05).
    Unknown,
    /// The session belongs to another visitor (BND-02).
    Foreign,
    /// The application answered with a session that belongs to another visitor.
    Conflict,
}

impl SessionRefusal {
    /// Every variant, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Ambiguous, Self::Unknown, Self::Foreign, Self::Conflict];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "session_ambiguous",
            Self::Unknown => "session_unknown",
            Self::Foreign => "session_foreign",
            Self::Conflict => "session_conflict",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Unknown | Self::Foreign => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether logging in is what helps: browsers are led to the application's login page (BND-12).
    pub(super) const fn leads_to_login(self) -> bool {
        match self {
            Self::Unknown | Self::Foreign => true,
            Self::Ambiguous | Self::Conflict => false,
        }
    }

    pub(super) const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::Ambiguous => (
                "セッションを1つに特定できません。このサイトのCookieを削除し、もう一度ログインしてください。",
                "Your browser names more than one session. Please delete this site's cookies and log in again.",
            ),
            Self::Unknown => (
                "ログインの有効期限が切れています。もう一度ログインしてください。",
                "Your session has ended. Please log in again.",
            ),
            Self::Foreign => (
                "このセッションはご利用いただけません。もう一度ログインしてください。",
                "This session is not yours. Please log in again.",
            ),
            Self::Conflict => ("サービスから正しい応答がありませんでした。", "The service gave no usable answer."),
        }
    }
}
