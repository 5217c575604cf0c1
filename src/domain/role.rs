//! What a login ID may do within its contract (BND-09, S2-12).

use std::fmt;

/// The three kinds of login IDs that a contract has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// 管理者: opens and looks after the contract's other IDs.
    Administrator,
    /// 承認者: approves what others have entered.
    Approver,
    /// 一般者: enters.
    General,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Approver, Self::General];

    /// The word in the assertion, in files and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Approver => "approver",
            Self::General => "general",
        }
    }

    /// Reads the word; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
