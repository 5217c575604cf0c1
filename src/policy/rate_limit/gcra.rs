//! The generic cell rate algorithm (ITU-T I.371): one number per key, the moment at which its bucket will be empty again.
//!
//! The same arithmetic, in the same unit, runs as a script in Redis (`store/redis/script/rates.lua`). The unit is the
//! microsecond: a Lua number is exact to 2^53, which is 285 years of them.

use std::time::Duration;

/// A rate and how much of it may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Between two requests at the steady rate, in microseconds; at least one.
    interval: u64,
    /// Requests that may come at once; at least one.
    burst: u32,
}

/// The longest that a bucket may take to become empty: moments since 1970 and this together stay exact in Lua until the
/// year 2155.
const LONGEST_WINDOW: u64 = 100 * 365 * 86_400 * 1_000_000;

/// What the algorithm says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It conforms; the bucket will be empty at this moment.
    Conforms(u64),
    /// It does not; it would after so many microseconds.
    Exceeds(u64),
}

impl Rate {
    /// So many requests in a span of time. `None` where either is zero, where more than one comes in a microsecond, and
    /// where a full bucket takes longer than a century to become empty.
    pub fn new(requests: u64, per: Duration, burst: u32) -> Option<Self> {
        let interval = u64::try_from(per.as_micros().checked_div(requests.into())?).ok()?;
        let window = interval.checked_mul(burst.into())?;
        (1..=LONGEST_WINDOW).contains(&window).then_some(Self { interval, burst })
    }

    /// Between two requests at the steady rate, in microseconds.
    pub const fn interval(self) -> u64 {
        self.interval
    }

    /// Requests that may come at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// How long a full bucket takes to become empty: after that it need not be remembered.
    pub const fn window(self) -> Duration {
        Duration::from_micros(self.capacity())
    }

    /// The same in microseconds.
    const fn capacity(self) -> u64 {
        self.interval * self.burst as u64
    }

    /// Judges a request that comes at `now`, in microseconds since some fixed moment, to a bucket that will be empty at
    /// `empty_at`. No bucket is more than full: a clock that was set back makes nobody wait for as long as it was.
    pub fn judge(self, empty_at: u64, now: u64) -> Verdict {
        let full_at = now.saturating_add(self.capacity());
        let next = empty_at.clamp(now, full_at).saturating_add(self.interval);
        match next.checked_sub(full_at) {
            None | Some(0) => Verdict::Conforms(next),
            Some(excess) => Verdict::Exceeds(excess),
        }
    }

    /// The bucket as it would be without one of the requests that it let pass.
    pub fn give_back(self, empty_at: u64) -> u64 {
        empty_at.saturating_sub(self.interval)
    }

    /// How many more requests conform at `now`.
    pub fn remaining(self, empty_at: u64, now: u64) -> u32 {
        let filled = empty_at.saturating_sub(now);
        let free = self.capacity().saturating_sub(filled);
        u32::try_from(free / self.interval).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(requests: u64, burst: u32) -> Rate {
        Rate::new(requests, Duration::from_secs(1), burst).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let rate = rate(10, 3);
        let mut empty_at = 0;
        let now = 5_000_000;
        for left in [2, 1, 0] {
            let Verdict::Conforms(next) = rate.judge(empty_at, now) else { panic!("within the burst") };
            empty_at = next;
            assert_eq!(rate.remaining(empty_at, now), left);
        }
        assert_eq!(rate.judge(empty_at, now), Verdict::Exceeds(100_000));
        assert!(matches!(rate.judge(empty_at, now + 100_000), Verdict::Conforms(_)));
    }

    #[test]
    fn nothing_is_no_rate() {
        assert_eq!(Rate::new(0, Duration::from_secs(1), 1), None);
        assert_eq!(Rate::new(1, Duration::ZERO, 1), None);
        assert_eq!(Rate::new(1, Duration::from_secs(1), 0), None);
        assert_eq!(Rate::new(1_000_001, Duration::from_secs(1), 1), None, "not one of them can be told from another");
        assert_eq!(Rate::new(1, Duration::from_secs(3600), 10_000_000), None, "longer than a century");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_longer_than_at_a_full_bucket() {
        let rate = rate(10, 3);
        assert_eq!(rate.judge(90_000_000, 5_000_000), Verdict::Exceeds(100_000));
    }

    proptest! {
        /// In any span of time no more pass than the burst and what the rate allows in it.
        #[test]
        fn never_more_than_the_rate_and_the_burst(
            requests in 1_u64..1_000, burst in 1_u32..50, steps in prop::collection::vec(0_u64..50_000, 1..300),
        ) {
            let rate = rate(requests, burst);
            let (mut now, mut empty_at) = (1_u64 << 40, 0);
            let mut passed = Vec::new();
            for step in steps {
                now += step;
                if let Verdict::Conforms(next) = rate.judge(empty_at, now) {
                    empty_at = next;
                    passed.push(now);
                }
            }
            for (at, from) in passed.iter().enumerate() {
                for (count, to) in passed[at..].iter().enumerate() {
                    // The first of them, and those behind it.
                    let allowed = 1 + u64::from(burst) + (to - from) / rate.interval;
                    prop_assert!((count as u64) < allowed);
                }
            }
        }

        /// A request that waits as long as it is told to conforms.
        #[test]
        fn waiting_as_told_suffices(requests in 1_u64..1_000, burst in 1_u32..50, ahead in 0_u64..10_000_000) {
            let rate = rate(requests, burst);
            let now = 1 << 40;
            let ahead = ahead.min(rate.capacity());
            if let Verdict::Exceeds(wait) = rate.judge(now + ahead, now) {
                prop_assert!(matches!(rate.judge(now + ahead, now + wait), Verdict::Conforms(_)));
                prop_assert!(matches!(rate.judge(now + ahead, now + wait - 1), Verdict::Exceeds(_)));
            }
        }
    }
}
