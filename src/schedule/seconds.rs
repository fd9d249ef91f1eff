//! Owns: expressions of six and seven fields: the dialect of the `cron` crate, and the parts of it we refuse.
//! Never: the crate's `after` and `upcoming`, which go back in time in a fold (0.17).
//!
//! The fields are second, minute, hour, day of month, month, weekday and, in seven, year. A day must match
//! both the day of month and the weekday: unlike crontab(5), the crate has no "either".

use std::str::FromStr;

use cron::TimeUnitSpec;

use super::parse_error::ParseError;
use super::pattern::{Follows, Pattern, Years};
use super::vixie::{MONTHS, WEEKDAYS, meant_step};

/// The name and the bounds of each field.
const FIELDS: [(&str, u32, u32); 7] = [
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("weekday", 1, 7),
    ("year", 1970, 2100),
];

const MONTH: usize = 4;
const WEEKDAY: usize = 5;
const YEAR: usize = 6;

/// Reads six or seven fields that are separated by single spaces.
pub(super) fn parse(text: &str) -> Result<Pattern, ParseError> {
    let fields: Vec<&str> = text.split(' ').collect();
    check_connectors(text, &fields)?;
    check_weekday(text, fields[WEEKDAY])?;
    // Always seven fields: without a year the crate would read two fields in `MON*`.
    let whole = if fields.len() == 6 { format!("{text} *") } else { text.to_owned() };
    let schedule = cron::Schedule::from_str(&whole).map_err(|_| diagnose(text, &fields))?;
    let real_time = fields[..3].iter().any(|field| field.starts_with('*'));
    let pattern = Pattern {
        seconds: bits(schedule.seconds()),
        minutes: bits(schedule.minutes()),
        hours: bits(schedule.hours()),
        days: bits(schedule.days_of_month()),
        last_days: None,
        months: bits(schedule.months()),
        // The crate counts weekdays from 1 = Sunday.
        weekdays: bits(schedule.days_of_week()) >> 1,
        either_day: false,
        years: Years::set(schedule.years().iter().map(i64::from), i64::from(FIELDS[YEAR].2)),
        follows: if real_time { Follows::RealTime } else { Follows::WallClock },
    };
    if !pattern.ever_matches() {
        return Err(ParseError::new(format!(
            "`{text}` never fires: no date matches all of its day, month, weekday and year"
        )));
    }
    Ok(pattern)
}

fn bits(unit: &impl TimeUnitSpec) -> u64 {
    unit.iter().fold(0, |set, value| set | 1 << value)
}

/// Refuses fields that begin or end with a connector: the crate would read on into the next field.
fn check_connectors(text: &str, fields: &[&str]) -> Result<(), ParseError> {
    let open = |field: &&str| field.starts_with([',', '-', '/']) || field.ends_with([',', '-', '/']);
    match fields.iter().position(open) {
        Some(index) => Err(refuse(text, index, fields[index], "is not understood")),
        None => Ok(()),
    }
}

/// Refuses numbers for weekdays, except as steps: the crate counts from 1 = Sunday, crontab(5) from 0.
fn check_weekday(text: &str, field: &str) -> Result<(), ParseError> {
    let digits =
        |item: &str| item.split('/').next().is_some_and(|range| range.contains(|c: char| c.is_ascii_digit()));
    if !field.split(',').any(digits) {
        return Ok(());
    }
    Err(ParseError {
        cause: format!("weekday `{field}` in `{text}` is a number, which six and seven fields do not accept"),
        column: Some(column_of(text, WEEKDAY)),
        hint: Some("weekdays have names there: `MON-FRI`, `SAT,SUN`".to_owned()),
    })
}

/// Finds the item that the crate refuses. Its own messages are carets under the text.
fn diagnose(text: &str, fields: &[&str]) -> ParseError {
    for (index, field) in fields.iter().enumerate() {
        let Some(item) = field.split(',').find(|item| !accepts(index, item)) else { continue };
        let (_, low, high) = FIELDS[index];
        let is_outside = |value: &str| {
            !value.is_empty()
                && value.bytes().all(|byte| byte.is_ascii_digit())
                && value.parse().map_or(true, |value: u32| !(low..=high).contains(&value))
        };
        let (range, step) = item.split_once('/').unwrap_or((item, ""));
        let is_bad_step = |step: u32| step == 0 || step > high;
        return if range.split('-').any(is_outside) {
            refuse(text, index, item, &format!("is outside {low}-{high}"))
        } else if step.split('/').next().is_some_and(|step| step.parse().is_ok_and(is_bad_step)) {
            refuse(text, index, item, &format!("has a step outside 1-{high}"))
        } else {
            refuse(text, index, item, "is not understood")
        };
    }
    ParseError::new(format!("`{text}` is not understood"))
        .hint("six fields are second, minute, hour, day of month, month, weekday; a seventh is the year")
}

/// Returns whether the crate accepts one item of one field, if all other fields are stars.
fn accepts(index: usize, item: &str) -> bool {
    let mut fields = ["*"; 7];
    fields[index] = item;
    cron::Schedule::from_str(&fields.join(" ")).is_ok()
}

fn refuse(text: &str, index: usize, item: &str, why: &str) -> ParseError {
    let (name, low, high) = FIELDS[index];
    let article = if name == "hour" { "an" } else { "a" };
    let accepted = match index {
        WEEKDAY => format!("`{}` to `{}`", WEEKDAYS[0], WEEKDAYS[6]),
        MONTH => format!("{low}-{high} or `{}` to `{}`", MONTHS[0], MONTHS[11]),
        _ => format!("{low}-{high}"),
    };
    let hint = format!(
        "six fields begin with the second; {article} {name} is {accepted}, `*`, `*/n`, `a/n`, `a-b`, `a-b/n` \
         or a list by commas"
    );
    ParseError {
        cause: format!("{name} `{item}` in `{text}` {why}"),
        column: Some(column_of(text, index)),
        hint: Some(meant_step(item).unwrap_or(hint)),
    }
}

/// Returns the column at which a field begins, from 1.
fn column_of(text: &str, index: usize) -> usize {
    text.split(' ').take(index).map(|field| field.chars().count() + 1).sum::<usize>() + 1
}
