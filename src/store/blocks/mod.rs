//! Blocks: certificates and customers that the bank itself has shut out, at once and whatever the CA's lists say (TLS-08).
//!
//! ```text
//! operators ─ block, lift ─▶ keeper ─┬ file    this gateway's own disk, before anything else
//! other gateways ─ redis ───────────┘└ board   what every judgement looks at
//! ```
//!
//! Each subject has one entry, that of the latest act on it. Acts are numbered, and the highest number holds; a lifted block
//! is kept as an entry too, so that no older copy of the set revives it, and none loses a block (TLS-18).
//!
//! Deliberately absent: expiry. Only an act ends a block.

mod board;
mod entry;
mod file;
mod keeper;

pub use self::board::{Blocks, Board};
pub use self::entry::{Draft, Entry, State, Subject};
pub use self::file::FileDefect;
pub use self::keeper::{ActError, Keeper, Merged};
