//! Owns: instants and spans.
//! Never: the current time (see `clock`), zones (see `schedule`).

use std::fmt;
use std::ops::{Add, Sub};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};

/// An instant: microseconds since 1970-01-01T00:00:00 UTC, without leap seconds (time(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last instant, 9999-12-31T23:59:59Z: the end of RFC 3339.
    pub const MAX: Self = Self(253_402_300_799_000_000);
    /// The first instant, 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000_000);

    /// Makes an instant of microseconds since the epoch, clamped to `MIN..=MAX`.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Makes an instant of whole seconds since the epoch, clamped to `MIN..=MAX`.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Returns the microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Returns how long `self` is after `earlier`; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Span {
        Span::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with `Z`, with as many of 0, 3 or 6 decimals as the instant has.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = DateTime::from_timestamp_micros(self.0).expect("chrono covers the range of a Timestamp");
        f.write_str(&utc.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

/// A length of real time in microseconds, never negative. A day is always 24 hours, and a week 7 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span(u64);

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// Makes a span of microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Makes a span of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Returns the microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Returns the span as the standard library's type.
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }
}

/// The form that `SPAN` options read: `1w 2d` is written `9d`, ninety seconds `1m30s`, shorter spans `250ms`
/// or `7us`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, micros) in [
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
            ("m", 60_000_000),
            ("s", 1_000_000),
            ("ms", 1_000),
            ("us", 1),
        ] {
            let count = rest / micros;
            rest %= micros;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_in_utc_with_the_decimals_it_has() {
        assert_eq!(Timestamp::from_seconds(1_772_418_900).to_string(), "2026-03-02T02:35:00Z");
        assert_eq!(Timestamp::from_micros(1_772_418_900_250_000).to_string(), "2026-03-02T02:35:00.250Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_span_is_shown_in_the_form_that_is_read() {
        assert_eq!(Span::from_seconds(90).to_string(), "1m30s");
        assert_eq!(Span::from_seconds(777_600).to_string(), "9d");
        assert_eq!(Span::from_micros(250_007).to_string(), "250ms7us");
        assert_eq!(Span::ZERO.to_string(), "0s");
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        assert_eq!(Timestamp::MAX + Span::from_micros(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Span::from_micros(u64::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Span::ZERO);
    }
}
