//! Owns: the instants of a timestamp trigger: cron and calendar expressions, times of at(1), spans, zones.
//! Never: the clock, the environment, storage. Only jiff reads the system: its tzdata.

mod calendar;
mod daylight;
mod dialect;
mod expression;
mod fires;
mod grammar;
mod on_calendar;
mod parse_error;
mod pattern;
mod reading;
mod seconds;
mod span;
mod systemd;
#[cfg(test)]
mod tests;
mod time;
mod tokens;
mod unlike;
mod vixie;
mod walk;
mod zone;

pub use daylight::{Change, ClockEffect, Daylight, Readings};
pub use dialect::{BadField, Dialect, FieldsReading, Oddity, Quirk};
pub use expression::{compile, fold_cron, parse_cron};
pub use fires::Schedule;
pub use parse_error::ParseError;
pub use pattern::Pattern;
pub use reading::Reading;
pub use span::parse_span;
pub use systemd::{CALENDAR_WORDS, Calendar, parse_calendar};
pub use time::{left_out_reading, parse_instant, parse_lasting, parse_since, parse_time};
pub use vixie::{FieldError, parse_field};
pub use zone::Zone;
