//! Owns: pressure as the difference of two samples.
//! Never: reading a sample (see `proc`).
//!
//! The averages of the kernel go back ten seconds and more, too slow for what starts each second.

use std::time::Duration;

use crate::domain::Decimal;

/// The shortest time between two samples. The calls of a loop with a period of 1 s are not exactly 1 s apart.
const INTERVAL_MIN: Duration = Duration::from_millis(900);

/// After a longer time without a call, the former sample says nothing about the present.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The share of the time in which a task waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    NotYet,
    /// In percent, rounded down: it is below a bound of hundredths if, and only if, the exact value is.
    Known(Decimal),
}

/// Measures one kind of pressure.
#[derive(Debug, Default)]
pub(super) struct PressureMeter(Option<Sampled>);

#[derive(Debug)]
struct Sampled {
    at: Duration,
    /// How long tasks have waited since the machine has booted.
    total: Duration,
    share: Share,
    asked_at: Duration,
}

impl PressureMeter {
    /// Returns the share at `now`, with a new sample if it is time for one.
    ///
    /// # Errors
    ///
    /// Those of `sample`. The next sample is then a first one.
    pub(super) fn share(
        &mut self,
        now: Duration,
        sample: impl FnOnce() -> Result<Duration, String>,
    ) -> Result<Share, String> {
        let former = self.0.take().filter(|former| now.saturating_sub(former.asked_at) <= PAUSE_MAX);
        if let Some(former) = &former
            && now.saturating_sub(former.at) < INTERVAL_MIN
        {
            let share = former.share;
            self.0 = Some(Sampled { asked_at: now, ..*former });
            return Ok(share);
        }
        let total = sample()?;
        let share = former.map_or(Share::NotYet, |former| former.share_until(now, total));
        self.0 = Some(Sampled { at: now, total, share, asked_at: now });
        Ok(share)
    }
}

impl Sampled {
    fn share_until(&self, now: Duration, total: Duration) -> Share {
        // A total that has shrunk is that of another machine: this process was moved.
        let Some(waited) = total.checked_sub(self.total) else { return Share::NotYet };
        let elapsed = now.saturating_sub(self.at).as_micros().max(1);
        // The kernel and we read our clocks at different instants.
        let hundredths = (waited.as_micros() * 10_000 / elapsed).min(10_000);
        Share::Known(Decimal::from_hundredths(u64::try_from(hundredths).expect("it is at most 10,000")))
    }
}
