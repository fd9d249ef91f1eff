//! Owns: texts of cron expressions, and the schedule of a stored trigger.
//! Never: the fields themselves (see `vixie` and `seconds`), calendars (see `systemd`).

use super::fires::Schedule;
use super::parse_error::ParseError;
use super::systemd::parse_calendar;
use super::{seconds, vixie};
use crate::domain::{Span, TriggerSpec};

const FIELDS_ACCEPTED: &str =
    "an expression has 5 fields as in crontab(5), or 6 with seconds, or 7 with years too";

/// Returns the schedule of a stored trigger.
///
/// # Errors
/// If the expression is not valid, or the period is zero. taskq stores neither.
pub fn compile(spec: &TriggerSpec) -> Result<Schedule, ParseError> {
    match spec {
        TriggerSpec::At { at, delay } => Ok(Schedule::At(*at + *delay)),
        TriggerSpec::Cron { expr, zone: _, delay } => Ok(match parse_cron(expr)? {
            // Only the daemon knows when the machine has started, so nothing can be delayed here.
            Schedule::Reboot => Schedule::Reboot,
            schedule => delayed(schedule, *delay),
        }),
        TriggerSpec::Calendar { expr, zone: _, delay } => {
            Ok(delayed(Schedule::Calendar(Box::new(parse_calendar(expr)?)), *delay))
        }
        TriggerSpec::Every { period: Span::ZERO, .. } | TriggerSpec::AfterEnd { period: Span::ZERO, .. } => {
            Err(ParseError::new("a period of `0s` never passes".to_owned()))
        }
        TriggerSpec::AfterEnd { period, delay } => {
            let period = Span::from_micros(period.as_micros().saturating_add(delay.as_micros()));
            Ok(Schedule::AfterEnd { period })
        }
        TriggerSpec::Event(_) => Ok(Schedule::Events),
        TriggerSpec::Every { period, anchor, delay } => {
            Ok(Schedule::Every { period: *period, anchor: *anchor + *delay })
        }
    }
}

fn delayed(schedule: Schedule, by: Span) -> Schedule {
    if by == Span::ZERO { schedule } else { Schedule::Delayed { of: Box::new(schedule), by } }
}

/// Reads a cron expression: five fields or a nickname by crontab(5), six or seven by the `cron` crate.
///
/// Five fields accept names of three letters in any case, 0 and 7 for Sunday, lists, ranges and steps. Both
/// day fields must match if one of them begins with `*`, otherwise one is enough. Six fields begin with the
/// second and seven end with the year. There both days must match, and weekdays have names only.
///
/// # Errors
/// If a field is outside its range, runs backwards or has a tail, and if no date ever matches.
pub fn parse_cron(text: &str) -> Result<Schedule, ParseError> {
    let text = fold_cron(text);
    if text == "@reboot" {
        return Ok(Schedule::Reboot);
    }
    if text.starts_with('@') {
        return vixie::parse_nickname(&text).map(Schedule::Cron);
    }
    match text.split(' ').filter(|field| !field.is_empty()).count() {
        5 => vixie::parse(&text).map(Schedule::Cron),
        6 | 7 => seconds::parse(&text).map(Schedule::Cron),
        count => {
            let plural = if count == 1 { "" } else { "s" };
            let calendar = || parse_calendar(&text).ok().map(|_| format!("use `--calendar '{text}'`"));
            let hint = vixie::meant_nickname(&text).or_else(calendar);
            let hint = hint.unwrap_or_else(|| FIELDS_ACCEPTED.to_owned());
            Err(ParseError::new(format!("`{text}` has {count} field{plural}")).hint(hint))
        }
    }
}

/// Returns an expression in its stored form, with single spaces between fields and none around them.
pub fn fold_cron(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
