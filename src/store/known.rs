//! Until when what is shared is known here: where gateways share something, each believes its own copy for a second after a
//! look at the store, and then no longer (TLS-18, DESIGN 4.9).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Without a look at the shared store for so long, nobody's standing is known.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Whether a copy is known to be the shared one.
#[derive(Debug, Default)]
pub(super) struct Known(Option<Shared>);

/// Milliseconds since `began`.
#[derive(Debug)]
struct Shared {
    began: Instant,
    until: AtomicU64,
}

impl Known {
    /// Of something that nobody has looked for in the shared store yet, where it `is_shared`; a gateway alone knows it always.
    pub fn new(is_shared: bool) -> Self {
        Self(is_shared.then(|| Shared { began: Instant::now(), until: AtomicU64::new(0) }))
    }

    /// Whether it is the shared one, as of a second ago at most.
    pub fn is_known(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| shared.now() < shared.until.load(Ordering::Acquire))
    }

    /// It is the shared one, as of a look that was begun at `at`.
    pub fn confirm(&self, at: Instant) {
        if let Some(shared) = &self.0 {
            shared.until.fetch_max(shared.at(at + KNOWN_FOR), Ordering::AcqRel);
        }
    }
}

impl Shared {
    fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_known_for_a_second_after_a_look_began() {
        assert!(Known::new(false).is_known());
        let known = Known::new(true);
        assert!(!known.is_known(), "before the first look");
        known.confirm(Instant::now());
        assert!(known.is_known());
        let late = Known::new(true);
        if let Some(long_ago) = Instant::now().checked_sub(KNOWN_FOR) {
            late.confirm(long_ago);
        }
        assert!(!late.is_known(), "an answer that took a second is too old");
    }
}
