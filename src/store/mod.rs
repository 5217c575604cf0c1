//! What must not be forgotten: the ledger of transfers.

pub mod ledger;
