//! Owns: how long a command that has ended waits for its next start.
//! Never: starting it.

use std::time::Duration;

/// A command that ends earlier than this after its start waits twice as long the next time.
const BRIEF: Duration = Duration::from_secs(10);

/// A command that has run for longer than this starts its waits anew.
const STEADY: Duration = Duration::from_secs(60);

/// The longest wait, unless the first one is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// The second wait, if the first one is shorter than half of this: twice no time would be no time, for ever.
const SECOND_LEAST: Duration = Duration::from_millis(100);

/// The waits of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    /// Returns how long the command waits, which has ended after it had run for `ran`.
    pub fn wait_after(&mut self, ran: Duration) -> Duration {
        if ran > STEADY {
            self.next = self.first;
        }
        let wait = self.next;
        if ran < BRIEF {
            let doubled = wait.saturating_mul(2).max(SECOND_LEAST);
            self.next = doubled.min(LONGEST.max(self.first));
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(first_ms: u64, ran_seconds: &[u64]) -> Vec<u64> {
        let mut backoff = Backoff::new(Duration::from_millis(first_ms));
        let wait = |ran: &u64| backoff.wait_after(Duration::from_secs(*ran)).as_millis();
        ran_seconds.iter().map(wait).map(|ms| u64::try_from(ms).expect("it is small")).collect()
    }

    #[test]
    fn the_waits_double_up_to_a_minute_while_the_command_ends_soon() {
        assert_eq!(waits(1_000, &[0; 8]), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(waits(90_000, &[0; 3]), [90_000; 3]);
        assert_eq!(waits(0, &[0; 4]), [0, 100, 200, 400]);
    }

    #[test]
    fn a_command_that_runs_for_some_time_keeps_its_wait_and_one_that_runs_long_begins_anew() {
        assert_eq!(
            waits(1_000, &[0, 9, 10, 60, 0, 61, 0, 0]),
            [1_000, 2_000, 4_000, 4_000, 4_000, 1_000, 1_000, 2_000]
        );
    }
}
