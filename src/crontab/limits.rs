//! Owns: the bounds of a crontab: those of the crons, and those that keep a table small enough for memory.
//! Never: what happens beyond one (see `table` and `assignment`).

use crate::schedule::Dialect;

/// Debian's cron refuses a longer command, and cuts a longer assignment.
pub(super) const DEBIAN_BYTES_MAX: usize = 998;

/// Debian's crontab(1) refuses a file with more lines.
pub(super) const DEBIAN_LINES_MAX: usize = 10_000;

/// cronie refuses a table that sets more variables.
const CRONIE_VARIABLES_MAX: usize = 1_000;

/// The longest command, and the longest variable with its name: execve(2)'s bound for a string, less its NUL.
pub(super) const STRING_BYTES_MAX: usize = 128 * 1024 - 1;

/// The most variables in all environments of a table together. A person's table has a few dozen. With an
/// assignment between every two of a hundred thousand entries they would fill gigabytes.
pub(super) const ENVIRONMENTS_MAX: usize = 1_000_000;

/// cronie's largest RANDOM_DELAY, in minutes.
pub(super) const DELAY_MINUTES_MAX: u32 = 1_440;

/// An error repeats no more characters of a bad text.
pub(super) const SHOWN_MAX: usize = 40;

/// Returns how many variables a table may set. Debian's cron counts lines only.
pub(super) fn variables_max(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Debian => DEBIAN_LINES_MAX,
        Dialect::Cronie => CRONIE_VARIABLES_MAX,
    }
}
