//! The arithmetic in memory and its twin in Redis say the same.

use std::time::Duration;

use proptest::prelude::*;

use super::Rate;
use super::bucket::Bucket;
use crate::store::redis::Taken;
use crate::store::redis::tests::rates::{Step, run_script};

/// About now, in microseconds since 1970: numbers as large as the server's clock tells.
const NOW: u64 = 1_795_000_000_000_000;

/// The same calls on a bucket of this gateway.
fn run_here(rate: Rate, steps: &[(Step, u64)]) -> Vec<Taken> {
    let bucket = Bucket::new(None);
    let mut said = Vec::new();
    for (step, at) in steps {
        match step {
            Step::Take => said.push(bucket.take(rate, *at).map_or_else(Taken::Exceeds, Taken::Conforms)),
            Step::GiveBack => bucket.give_back(rate),
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Verdicts, waits and remainders, at rates from one a second to one in months, also when the clock goes back. The
    /// server forgets buckets by its own clock; at these rates no bucket is empty while the test runs.
    #[test]
    fn a_script_in_redis_says_what_the_memory_of_a_gateway_says(
        requests in 1_u64..=3_600,
        per in prop_oneof![Just(3_600_u64), Just(86_400), Just(31_536_000)],
        burst in 1_u32..=99,
        schedule in prop::collection::vec((-2_000_i64..3_000, prop::bool::weighted(0.8)), 1..200),
    ) {
        let rate = Rate::new(requests, Duration::from_secs(per), burst).unwrap();
        let mut now = NOW;
        let steps: Vec<(Step, u64)> = schedule.iter().map(|(thousandths, takes)| {
            // Steps of about one interval, with a remainder that no interval divides.
            now = now.saturating_add_signed(thousandths * i64::try_from(rate.interval()).unwrap() / 1_000 + thousandths % 7);
            (if *takes { Step::Take } else { Step::GiveBack }, now)
        }).collect();
        prop_assert_eq!(run_script(rate.interval(), burst, &steps), run_here(rate, &steps));
    }
}

#[test]
fn the_longest_window_is_exact_in_a_script_too() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    let rate = Rate::new(10_000_000, century, 10_000_000).unwrap();
    let steps: Vec<(Step, u64)> = (0..9).map(|number| (Step::Take, NOW + number)).collect();
    assert_eq!(run_script(rate.interval(), rate.burst(), &steps), run_here(rate, &steps));
    let slow = Rate::new(1, century, 1).unwrap();
    let steps = [(Step::Take, NOW), (Step::Take, NOW + 1)];
    assert_eq!(run_script(slow.interval(), 1, &steps), [Taken::Conforms(0), Taken::Exceeds(3_153_600_000_000_000 - 1)]);
    assert_eq!(run_here(slow, &steps), [Taken::Conforms(0), Taken::Exceeds(3_153_600_000_000_000 - 1)]);
}
