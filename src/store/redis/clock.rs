//! The clock of Redis, which this gateway's own is held against (LIM-22).
//!
//! The gateways' clocks decide which day it is. One that is a day ahead would grant tomorrow's budget today, and everybody
//! else would lie behind what it records: so a gateway whose clock differs from the server's moves no money. Between two looks
//! the server's clock is known from the last one and from monotonic time, which nobody can set.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::clerk::Clerk;

/// Below it, two clocks that are well kept may differ.
const LEAST_TOLERANCE: Duration = Duration::from_secs(1);
/// How long an order may have waited for its turn.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// The server's clock, as it was heard last.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerClock {
    told: Timestamp,
    heard: Instant,
    /// How far another clock may be from it.
    allowed: SignedDuration,
}

impl ServerClock {
    /// What the server told just now, within `round_trip`.
    fn heard(told: Timestamp, tolerance: Duration, round_trip: Duration) -> Self {
        let allowed = tolerance.max(LEAST_TOLERANCE).saturating_add(round_trip);
        let allowed = SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX);
        Self { told, heard: Instant::now(), allowed }
    }

    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.heard.elapsed()).unwrap_or(SignedDuration::MAX);
        self.told.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// When something happened by a clock that may not be good: not in the future. What is on record with a moment that has
    /// not come puts all other gateways behind it.
    pub fn that_has_come(&self, at: Timestamp) -> Timestamp {
        let now = self.now();
        if at.duration_since(now) > self.allowed { now } else { at }
    }

    /// Why a clock that tells this moment is not good.
    fn differs_from(&self, now: Timestamp) -> Option<String> {
        let ahead = now.duration_since(self.now());
        (ahead.abs() > self.allowed).then(|| reason(ahead))
    }

    /// Why an order cannot be of this moment: it would be counted on the day of a clock that was wrong then.
    fn denies(&self, at: Timestamp) -> Option<String> {
        let ahead = at.duration_since(self.now());
        (ahead > self.allowed || ahead < -(self.allowed + LONGEST_WAIT)).then(|| reason(ahead))
    }
}

fn reason(ahead: SignedDuration) -> String {
    let (seconds, direction) = (ahead.as_secs().abs(), if ahead.is_negative() { "behind" } else { "ahead of" });
    format!("the gateway's clock is {seconds} s {direction} that of Redis; one of them is wrong")
}

impl Clerk {
    /// Takes in what the server's clock says, which is shown.
    pub fn hear_clock(&mut self, told: Timestamp) {
        let habits = &self.habits;
        habits.metrics.ledger_clock_skew.set(habits.clock.now().duration_since(told).as_secs());
        let server = ServerClock::heard(told, habits.clock_tolerance, self.way.response_timeout);
        self.caller.server_clock = habits.clock.is_comparable().then_some(server);
    }

    /// Why this gateway's clock must not decide about money.
    pub fn mistrusts_clock(&self) -> Option<String> {
        self.caller.server_clock?.differs_from(self.habits.clock.now())
    }

    /// Why an order of this moment is not asked for.
    pub fn mistrusts_moment(&self, at: Timestamp) -> Option<String> {
        self.caller.server_clock?.denies(at)
    }

    /// Before anything is asked: a clock that was set since the last look moves no money.
    pub fn check_clock(&mut self) {
        if self.is_open
            && let Some(reason) = self.mistrusts_clock()
        {
            self.is_open = false;
            self.gauges.fail(reason);
        }
    }
}
