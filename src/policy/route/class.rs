//! What a route is for: the institution's own words for the application's screens.

/// What a request on a route does. The word stands in `[[route]] class` and may select routes for rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Opens a session.
    Login,
    /// Ends one.
    Logout,
    /// Moves money now or on a day to come (振込・振替).
    Transfer,
    /// Moves money to many (総合振込).
    Bulk,
    /// Moves money to staff (給与・賞与振込).
    Payroll,
    /// Changes the customer's own limit.
    LimitChange,
    /// Issues a certificate.
    Issue,
    /// Issues another one.
    Reissue,
    /// Ends a certificate.
    Revoke,
    /// The first page after login.
    Top,
    /// Everything else.
    Other,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::Logout,
        Self::Transfer,
        Self::Bulk,
        Self::Payroll,
        Self::LimitChange,
        Self::Issue,
        Self::Reissue,
        Self::Revoke,
        Self::Top,
        Self::Other,
    ];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Transfer => "transfer",
            Self::Bulk => "bulk",
            Self::Payroll => "payroll",
            Self::LimitChange => "limit-change",
            Self::Issue => "issue",
            Self::Reissue => "reissue",
            Self::Revoke => "revoke",
            Self::Top => "top",
            Self::Other => "other",
        }
    }

    /// Whether routes of this class move money, counted or exempt.
    pub const fn moves_money(self) -> bool {
        match self {
            Self::Transfer | Self::Bulk | Self::Payroll => true,
            Self::Login
            | Self::Logout
            | Self::LimitChange
            | Self::Issue
            | Self::Reissue
            | Self::Revoke
            | Self::Top
            | Self::Other => false,
        }
    }
}

/// Which step of moving money a route is. The word stands in `[[route]] step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The final act, or the only one.
    Commit,
    /// A screen of a wizard whose amount a later screen commits (LIM-18).
    Entry,
    /// A screen between the two: it commits nothing, and brings an amount only where it declares one, which is entered too.
    Confirm,
    /// An order that somebody else must approve (LIM-19, LIM-34).
    Request,
    /// The approval: the final act.
    Approve,
    /// Data of an exempt class becomes an ordinary transfer (LIM-04).
    Switch,
    /// An order is taken back, which frees nothing unless the institution says so (LIM-21).
    Cancel,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 7] =
        [Self::Commit, Self::Entry, Self::Confirm, Self::Request, Self::Approve, Self::Switch, Self::Cancel];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Entry => "entry",
            Self::Confirm => "confirm",
            Self::Request => "request",
            Self::Approve => "approve",
            Self::Switch => "switch",
            Self::Cancel => "cancel",
        }
    }
}
