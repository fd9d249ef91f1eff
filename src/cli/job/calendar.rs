//! Owns: reading `--calendar`.
//! Never: what an expression means (see `schedule`).

use super::options::JobOptions;
use crate::cli::context::parse_failure;
use crate::domain::{Span, TriggerSpec};
use crate::error::Result;
use crate::schedule::parse_calendar;

impl JobOptions {
    /// Reads the calendars. A zone in the text goes before `zone_name`.
    pub(super) fn calendar_specs(&self, zone_name: Option<&String>, what: &str) -> Result<Vec<TriggerSpec>> {
        let read = |text: &String| {
            let calendar = parse_calendar(text).map_err(|error| {
                let error = self.unquoted(error, "--calendar", text, |text| parse_calendar(text).is_ok());
                parse_failure(what, error)
            })?;
            let zone = calendar.zone().map(str::to_owned).or_else(|| zone_name.cloned());
            Ok(TriggerSpec::Calendar { expr: text.trim().to_owned(), zone, delay: Span::ZERO })
        };
        self.calendar.iter().map(read).collect()
    }
}
