//! Whose money it is: the contract, a company with all its login IDs.

use std::fmt;

use super::LoginId;

/// A contract's name: 1 to 64 characters of visible ASCII, like a login ID.
///
/// Until a registry says otherwise a login ID is a contract of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContractId(LoginId);

impl ContractId {
    /// Reads a contract's name; `None` where it is empty, too long, or holds anything but visible ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        LoginId::parse(text).map(Self)
    }

    /// The contract of a login ID that no registry knows.
    pub fn alone(login_id: &LoginId) -> Self {
        Self(login_id.clone())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
