//! Orders that the application cancels (LIM-21). By default that frees nothing; where an institution wants it to, what was
//! counted on the order's days is released, and nothing on the day of the cancelling.

use super::entry::EntryKey;
use crate::domain::ContractId;

/// Why such a transfer was released, in a word for the record.
pub const CANCELLED: &str = "cancelled";

/// The application's number of an order, among those of its contract.
///
/// Invariant: a number that was given to two transfers names neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderNumber(EntryKey);

impl OrderNumber {
    /// The number as the application writes it, in the one form that all its spellings have.
    pub fn of(contract: &ContractId, number: &str) -> Self {
        Self(EntryKey::of(&["order number", contract.as_str(), number]))
    }

    /// As it is stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}
