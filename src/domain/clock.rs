//! The one clock, an argument everywhere: real in production, set by hand in tests.
//!
//! Durations (time-outs, idle times) are measured with monotonic time and do not pass here.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Whether it can be held against other machines' clocks. One that a test sets by hand cannot.
    fn is_comparable(&self) -> bool {
        true
    }

    /// The present moment in whole seconds since 1970, the unit of certificates and assertions.
    fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that moves when told to; in milliseconds, the last of which decides whose day it is.
#[derive(Debug)]
pub struct ManualClock {
    /// Where it stands, or how far it is ahead of the machine's.
    milliseconds: AtomicI64,
    goes_along: bool,
}

impl ManualClock {
    /// A clock that stands at `start` until it is moved.
    pub fn at(start: Timestamp) -> Self {
        Self { milliseconds: AtomicI64::new(start.as_millisecond()), goes_along: false }
    }

    /// A clock that goes along with the machine's, as far from it as it is moved.
    pub fn beside_the_machine() -> Self {
        Self { milliseconds: AtomicI64::new(0), goes_along: true }
    }

    /// Moves the clock by `seconds`, backwards if negative.
    pub fn advance(&self, seconds: i64) {
        self.advance_milliseconds(seconds * 1000);
    }

    /// The same in milliseconds.
    pub fn advance_milliseconds(&self, milliseconds: i64) {
        self.milliseconds.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// Puts the clock at `moment`.
    pub fn set(&self, moment: Timestamp) {
        self.milliseconds.store(moment.as_millisecond() - self.machine(), Ordering::SeqCst);
    }

    /// What it adds to.
    fn machine(&self) -> i64 {
        if self.goes_along { Timestamp::now().as_millisecond() } else { 0 }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let milliseconds = self.machine() + self.milliseconds.load(Ordering::SeqCst);
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
    }

    fn is_comparable(&self) -> bool {
        self.goes_along
    }
}
