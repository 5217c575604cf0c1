//! Amounts that stand on one screen and are committed by another (LIM-18, LIM-33, LIM-19).
//!
//! What the application remembers of them ends with its session, and nobody tells the gateway when: pages that are only
//! looked at keep a session alive for days. So an entry belongs to the login ID that made it, and outlives that one's last
//! request by a lifetime that must be longer than the application's sessions wait for the next request.
//!
//! Invariant: an entry is never forgotten before it has ended. The application might still commit it, and a smaller one
//! under the same key would be counted instead.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::{SignedDuration, Timestamp};

use super::lines::Lines;
use crate::domain::{LoginId, Yen};

/// A renewal that would move an end by less than this part of the lifetime does not: a customer who opens a connection
/// for each request causes no write for each. Whoever sets a lifetime allows for it.
pub const STEPS_OF_RENEWAL: u32 = 10;

/// Under what an earlier screen's amount is kept: a hash, so that its size is bounded whatever a customer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryKey([u8; 32]);

impl EntryKey {
    /// The first and the last that there can be.
    pub(in crate::store) const BOUNDS: [Self; 2] = [Self([0; 32]), Self([0xff; 32])];

    /// The key of these parts; two lists of parts share one only if they are equal.
    pub fn of(parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// A key that was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As it is stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a screen says that another screen commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Under what it is kept.
    pub key: EntryKey,
    /// Who entered it. Another one's under the same key is another entry.
    pub owner: LoginId,
    /// The amounts on the screen.
    pub lines: Lines,
    /// When it was entered.
    pub at: Timestamp,
    /// How long it is kept.
    pub term: Term,
    /// How many amounts of its kind its owner may have at once, each line being one; what is kept already may always be raised.
    pub most: u32,
}

/// How long an entry is kept: its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// From its owner's last activity on: it stands in a session of the application.
    WhileActive(Duration),
    /// From when it was made, whoever is active: an order that waits for its approval.
    Fixed(Duration),
}

/// A login ID was active: what it entered in sessions of the application lives on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Who was.
    pub owner: LoginId,
    /// When.
    pub at: Timestamp,
    /// How long its entries outlive that, at least: those of an earlier configuration may have been made for less.
    pub lifetime: Duration,
}

/// What the ledger says to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It is kept; what the form under its key may hold now, whoever filled it.
    Kept(Yen),
    /// A commit under this key is in flight, or its outcome is unknown: [`Denied::EntryInUse`](super::Denied::EntryInUse).
    InUse,
    /// Its owner has as many as one login ID may.
    TooMany,
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Kept {
    /// The largest amount of each line that its owner entered.
    pub lines: Lines,
    /// The last moment at which it counts.
    pub until: Timestamp,
    /// How long it outlives its owner's last activity; `None` where that does not matter.
    pub outlives: Option<Duration>,
}

/// An entry of the ledger, with whose it is and under which key.
pub(in crate::store) type KeptEntry = (LoginId, EntryKey, Kept);

impl Kept {
    /// An entry beside which its owner has none under the same key.
    pub fn of(entry: &Entry) -> Self {
        let (lifetime, outlives) = match entry.term {
            Term::WhileActive(lifetime) => (lifetime, Some(lifetime)),
            Term::Fixed(lifetime) => (lifetime, None),
        };
        Self { lines: entry.lines.clone(), until: after(entry.at, lifetime), outlives }
    }

    /// Of two by one owner under one key: the larger amount of each line and the later end; for the rest, the later one.
    pub fn or_before(self, before: &Self) -> Self {
        Self { lines: self.lines.joined(&before.lines), until: self.until.max(before.until), ..self }
    }

    /// Whether it has not ended.
    pub fn lives(&self, at: Timestamp) -> bool {
        self.until >= at
    }

    /// As it is after its owner was active; `None` where that changes nothing: it has ended, it does not depend on it,
    /// or it was renewed not long before.
    pub fn renewed(&self, renewal: &Renewal) -> Option<Self> {
        let lifetime = self.outlives.filter(|_| self.lives(renewal.at))?.max(renewal.lifetime);
        let until = after(renewal.at, lifetime);
        let is_worth_it = until >= after(self.until, lifetime / STEPS_OF_RENEWAL);
        is_worth_it.then(|| Self { until, outlives: Some(lifetime), lines: self.lines.clone() })
    }
}

fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    moment.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
