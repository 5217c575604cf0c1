//! A quota for log lines about strangers: connections without a certificate must not fill the disk (OPS-13).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

/// Lines per second that may be written about refused handshakes, per worker.
const LINES_PER_SECOND: u32 = 20;

/// Allows some lines each second and counts the rest.
#[derive(Debug)]
pub struct LogQuota {
    window: Mutex<(Instant, u32)>,
    suppressed: IntCounter,
}

impl LogQuota {
    /// A full quota.
    pub fn new(suppressed: IntCounter) -> Self {
        Self { window: Mutex::new((Instant::now(), 0)), suppressed }
    }

    /// Whether one more line may be written now.
    pub fn allows_line(&self) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        let allowed = window.1 <= LINES_PER_SECOND;
        if !allowed {
            self.suppressed.inc();
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_write_no_more_than_their_lines_and_the_rest_is_counted() {
        let suppressed = IntCounter::new("suppressed", "lines").unwrap();
        let quota = LogQuota::new(suppressed.clone());
        let began = Instant::now();
        let asked = 1_000;
        let written = (0..asked).filter(|_| quota.allows_line()).count() as u64;
        let most = u64::from(LINES_PER_SECOND) * (began.elapsed().as_secs() + 2);
        assert!((u64::from(LINES_PER_SECOND)..=most).contains(&written), "{written}");
        assert_eq!(suppressed.get(), asked - written);
    }
}
