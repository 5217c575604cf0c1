//! Notices when the clock is set (OPS-07, LIM-22): a day that begins too early opens a budget that nobody meant to open.
//!
//! Between two looks the clock of the day must go on as far as the monotonic one. That tells only of steps; a clock that
//! was wrong from the start is compared with what the ledger has on record.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Smaller ones are what time servers do.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// The last look at both clocks.
#[derive(Debug)]
pub(super) struct Steps {
    wall: Timestamp,
    monotonic: Instant,
}

impl Steps {
    /// The first look.
    pub fn begin(wall: Timestamp, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// Looks again; by how much the clock was set since, if it was.
    pub fn look(&mut self, wall: Timestamp, monotonic: Instant) -> Option<SignedDuration> {
        let passed: Duration = monotonic.saturating_duration_since(self.monotonic);
        let told = wall.duration_since(self.wall);
        let step = told.saturating_sub(SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX));
        *self = Self { wall, monotonic };
        (step.abs() > TOLERANCE).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once() {
        let (wall, monotonic) = (Timestamp::from_second(1_400_000_000).unwrap(), Instant::now());
        let mut steps = Steps::begin(wall, monotonic);
        let mut look = |told: i64, passed: u64| {
            let wall = wall + SignedDuration::from_secs(told);
            steps.look(wall, monotonic + Duration::from_secs(passed)).map(|step| step.as_secs())
        };
        assert_eq!(look(1, 1), None);
        assert_eq!(look(6, 2), None, "what a time server does");
        assert_eq!(look(86_406, 3), Some(86_399), "a day ahead");
        assert_eq!(look(86_407, 4), None);
        assert_eq!(look(7, 5), Some(-86_401), "and back");
    }
}
