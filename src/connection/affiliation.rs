//! Which contract a customer belongs to (LIM-05, BND-09).

use crate::domain::{ContractId, LoginId, Role};
use crate::store::registry::Membership;

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affiliation {
    /// No registry is asked: a login ID is a contract of its own.
    Alone(ContractId),
    /// What the registry says.
    Member(Membership),
    /// The registry knows no contract of this login ID: whose money it would move, nobody knows (LIM-36).
    Nowhere,
}

impl Affiliation {
    /// That of a login ID where no registry is asked.
    pub fn alone(login_id: &LoginId) -> Self {
        Self::Alone(ContractId::alone(login_id))
    }

    /// The contract.
    pub fn contract(&self) -> Option<&ContractId> {
        match self {
            Self::Alone(contract) => Some(contract),
            Self::Member(membership) => Some(&membership.contract),
            Self::Nowhere => None,
        }
    }

    /// What the registry says of it, for the application.
    pub fn registered(&self) -> Option<(&ContractId, Role)> {
        match self {
            Self::Member(membership) => Some((&membership.contract, membership.role)),
            Self::Alone(_) | Self::Nowhere => None,
        }
    }
}
