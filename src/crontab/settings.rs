//! Owns: the variables by which a table steers cron itself: `CRON_TZ` and `RANDOM_DELAY`.
//! Never: variables of jobs (see `environment`).

use super::limits::DELAY_MINUTES_MAX;
use super::refusal::shortened;
use crate::schedule::Zone;

/// Reads `CRON_TZ`. `None` if it is empty, for the system's zone. The error refuses the entries below.
pub(super) fn zone(value: &[u8]) -> Option<Result<String, String>> {
    let name = String::from_utf8_lossy(value);
    if name.is_empty() {
        return None;
    }
    let cause = || format!("CRON_TZ above: `{}` is not a zone of this machine's tzdata", shortened(value));
    Some(Zone::find(&name).map(|_| name.clone().into_owned()).ok_or_else(cause))
}

/// Minutes of a delay.
pub(super) struct RandomDelay {
    pub(super) most: u32,
    /// A random share of the most, the same for all tables of a machine.
    pub(super) drawn: u32,
}

/// Reads `RANDOM_DELAY` and draws cronie's delay. `None` if it is not such a number.
pub(super) fn random_delay(value: &[u8], host: u64) -> Option<RandomDelay> {
    // By strtol(3): `45 minutes` is 45.
    let value = value.trim_ascii_start();
    let value = value.strip_prefix(b"+").unwrap_or(value);
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let most: u32 = std::str::from_utf8(&value[..digits]).ok()?.parse().ok()?;
    if most > DELAY_MINUTES_MAX {
        return None;
    }
    // The upper half of the seed is a fraction of one.
    let drawn = u32::try_from((u64::from(most) * (host >> 32)) >> 32).ok()?;
    Some(RandomDelay { most, drawn })
}
