//! A bucket of this gateway, and how many of them are shared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Rate, Verdict};
use crate::store::redis::SharedBucket;

/// One key's requests at this gateway.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The moment at which it will be empty, in microseconds.
    empty_at: AtomicU64,
    /// The same one, of all gateways.
    pub elsewhere: Option<SharedBucket>,
}

impl Bucket {
    /// An empty one.
    pub const fn new(elsewhere: Option<SharedBucket>) -> Self {
        Self { empty_at: AtomicU64::new(0), elsewhere }
    }

    /// Takes one request; how many more there may be, or for how many microseconds it must wait.
    pub fn take(&self, rate: Rate, now: u64) -> Result<u32, u64> {
        let mut empty_at = self.empty_at.load(Ordering::Relaxed);
        loop {
            match rate.judge(empty_at, now) {
                Verdict::Exceeds(wait) => return Err(wait),
                Verdict::Conforms(next) => {
                    match self.empty_at.compare_exchange_weak(empty_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                        Ok(_) => return Ok(rate.remaining(next, now)),
                        Err(other) => empty_at = other,
                    }
                }
            }
        }
    }

    /// Gives one back.
    pub fn give_back(&self, rate: Rate) {
        let give_back = |empty_at| Some(rate.give_back(empty_at));
        // Never fails: the closure always answers.
        let _ = self.empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give_back);
    }
}

/// Counts the buckets that a limit begins to share. Whoever has very many addresses must not fill the memory of a Redis in
/// which money lies as well.
///
/// Bound: a key lives there for one window after its last request. Of `most` that this gateway remembers, and `most` that
/// began to be shared in this stretch of time and in the one before, no more than three times `most` can be there.
#[derive(Debug)]
pub(super) struct Newcomers {
    window: u64,
    most: u64,
    /// When this stretch of time began, and how many have come in it.
    come: Mutex<(u64, u64)>,
}

impl Newcomers {
    /// Of a limit that remembers so many.
    pub fn new(rate: Rate, most: u64) -> Self {
        let window = u64::try_from(rate.window().as_micros()).unwrap_or(u64::MAX);
        Self { window, most, come: Mutex::default() }
    }

    /// Whether one more may be shared; it is counted then.
    pub fn has_room(&self, now: u64) -> bool {
        let mut come = self.come.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(come.0) >= self.window {
            *come = (now, 0);
        }
        let has_room = come.1 < self.most;
        come.1 += u64::from(has_room);
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_buckets_begin_to_be_shared_in_a_window_than_are_remembered() {
        let newcomers = Newcomers::new(Rate::new(1, Duration::from_secs(1), 10).unwrap(), 3);
        let shared_at = |second: u64| (0..10).filter(|_| newcomers.has_room(second * 1_000_000)).count();
        assert_eq!([shared_at(0), shared_at(9), shared_at(10), shared_at(19), shared_at(25)], [3, 0, 3, 0, 3]);
    }
}
