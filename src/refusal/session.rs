//! Requests whose session of the application is not the visitor's own.

use http::StatusCode;

/// Where a request names the session that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamedIn {
    /// In a cookie, which its browser can be told to forget.
    Cookie,
    /// In the target alone, which anybody can write into a link: no reason to forget a cookie.
    Target,
}

/// Why a request with a session of the application does not reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionRefusal {
    /// It names more than one session, or one in a way that applications read differently (BND-03, BND-10).
    Ambiguous(NamedIn),
    /// Nobody here knows the session: it has ended, or began elsewhere (BND-05).
    Unknown(NamedIn),
    /// The session belongs to another visitor (BND-02).
    Foreign(NamedIn),
    /// The application answered with a session that belongs to another visitor.
    Conflict,
}

impl SessionRefusal {
    /// Every variant, for tables and tests.
    pub const ALL: [Self; 4] = [
        Self::Ambiguous(NamedIn::Cookie),
        Self::Unknown(NamedIn::Cookie),
        Self::Foreign(NamedIn::Cookie),
        Self::Conflict,
    ];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous(_) => "session_ambiguous",
            Self::Unknown(_) => "session_unknown",
            Self::Foreign(_) => "session_foreign",
            Self::Conflict => "session_conflict",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous(_) => StatusCode::BAD_REQUEST,
            Self::Unknown(_) | Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether logging in is what helps: browsers are led to the application's login page (BND-12).
    pub(super) const fn leads_to_login(self) -> bool {
        match self {
            Self::Unknown(_) | Self::Foreign(_) => true,
            Self::Ambiguous(_) | Self::Conflict => false,
        }
    }

    pub(super) const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::Ambiguous(_) => (
                "セッションを1つに特定できません。このサイトのCookieを削除し、もう一度ログインしてください。",
                "Your browser names more than one session. Please delete this site's cookies and log in again.",
            ),
            Self::Unknown(_) => (
                "ログインの有効期限が切れています。もう一度ログインしてください。",
                "Your session has ended. Please log in again.",
            ),
            Self::Foreign(_) => (
                "このセッションはご利用いただけません。もう一度ログインしてください。",
                "This session is not yours. Please log in again.",
            ),
            Self::Conflict => ("サービスから正しい応答がありませんでした。", "The service gave no usable answer."),
        }
    }
}
