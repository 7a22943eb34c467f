//! How long to wait before asking again.

use std::time::Duration;

/// Exponential back-off with jitter, without a clock and without a random source of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits about `first` after the first failure, doubling up to `most`.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, attempts: 0 }
    }

    /// The wait after one more failure. `dice` is any number between 0 and 1; the wait is 50 to 100 % of the nominal one,
    /// so that many clients do not come back at once.
    pub fn after_failure(&mut self, dice: f64) -> Duration {
        let nominal = self.first.saturating_mul(2_u32.saturating_pow(self.attempts.min(16))).min(self.most);
        self.attempts += 1;
        nominal.mul_f64(0.5 + 0.5 * dice.clamp(0.0, 1.0))
    }

    /// Failures since the last success.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A success: start again from the first wait.
    pub fn succeeded(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit_and_starts_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let waits: Vec<u64> = (0..7).map(|_| backoff.after_failure(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        backoff.succeeded();
        assert_eq!(backoff.after_failure(0.0), Duration::from_millis(500));
    }
}
