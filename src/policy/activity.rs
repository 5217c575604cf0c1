//! Customers who are active keep alive what they have entered (LIM-18): the application's sessions do the same.
//!
//! The ledger hears of it now and then, not of every request, and an entry is kept for longer by what it may be told too
//! late: until `entry-lifetime` after its owner's last request, and at most a quarter of it longer.

use std::time::Duration;

use super::route::Route;
use super::treatment::{Act, Key, Treatment};
use crate::store::ledger::{STEPS_OF_RENEWAL, Term};

/// The part of the lifetime by which an entry is kept longer, because the ledger may not have heard of its owner's latest
/// activity: half of it is [`Activity::told_every`], the other half what the ledger [passes over](STEPS_OF_RENEWAL).
const ALLOWANCE: u32 = 4;

/// Half of the allowance.
const INTERVALS: u32 = 8;

// A tenth of five quarters is an eighth.
const _: () = assert!(STEPS_OF_RENEWAL == INTERVALS + INTERVALS / ALLOWANCE);

/// How the ledger is told that customers are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Not more often, for each connection.
    pub told_every: Duration,
    /// How long what they have entered outlives what was told.
    pub lifetime: Duration,
}

impl Activity {
    /// As these routes need it; `None` where nothing is entered that activity keeps alive.
    pub fn of<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Option<Self> {
        // One lifetime for all of them: that of `[transfer]`.
        let lifetime = routes.into_iter().find_map(|route| match &route.treatment {
            Treatment::Inspected(rules) => match &rules.act {
                Act::Enter { key: Key::LoginId | Key::Transaction, lifetime, .. } => Some(*lifetime),
                Act::Enter { key: Key::Order | Key::AnsweredOrder(_), .. }
                | Act::Nothing
                | Act::Commit { .. }
                | Act::Cancel
                | Act::ChangeLimit => None,
            },
            Treatment::Streamed { .. } => None,
        })?;
        Some(Self { told_every: lifetime / INTERVALS, lifetime: with_allowance(lifetime) })
    }
}

/// How long an entry with such a key is kept.
pub(super) fn term_of(key: &Key, lifetime: Duration) -> Term {
    match key {
        Key::LoginId | Key::Transaction => Term::WhileActive(with_allowance(lifetime)),
        // No session of the application holds it.
        Key::Order | Key::AnsweredOrder(_) => Term::Fixed(lifetime),
    }
}

fn with_allowance(lifetime: Duration) -> Duration {
    lifetime + lifetime / ALLOWANCE
}
