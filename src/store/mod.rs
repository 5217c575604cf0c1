//! What must not be forgotten: the ledger of transfers.

pub mod embedded;
pub mod ledger;
