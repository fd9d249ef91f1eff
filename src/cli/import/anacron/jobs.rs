//! Owns: making a job of a line of an anacrontab, which runs as anacron(8) would run it.
//! Never: reading the line (see `table`).
//!
//! anacron counts dates and looks once an hour; taskq has triggers. A daily line becomes a time of each day,
//! which is made up for until the end of the day. A line for several days counts from the end of its last
//! run. A monthly or yearly line becomes a date. Gates hold back what comes too soon after a boot, or at
//! other hours.

use std::ops::Range;
use std::path::Path;

use chrono::{Datelike, NaiveDate};

use super::dates::{due, of_each_month, read_stamp};
use super::source::time_stamp;
use super::table::{AnacronJob, AnacronLine, NumberedLine, Period, read};
use crate::cli::import::items::{ItemRefusal, ItemVerdict, PlannedItem, SourceItem, imported_job};
use crate::cli::import::place::Place;
use crate::cli::import::planned::ImportContext;
use crate::cli::job::jitter;
use crate::crontab::is_safe;
use crate::domain::{
    CommandLine, EnvVar, Execution, Gate, Mail, MailFormat, MailWhen, Missed, Requirement, Span, Timestamp,
    TriggerSpec, value_of,
};
use crate::schedule::{Dialect, compile, parse_instant};
use crate::shown;
use crate::store::FirstFire;
use crate::system::{login, machine};

/// The tag of its jobs.
const TAG: &str = "anacron";

/// The minutes of a day.
const DAY: u32 = 1_440;

/// The first start of anacron on a day, in minutes, if the table has no `START_HOURS_RANGE`: that of
/// Debian's timer.
const FIRST_START: u32 = 7 * 60 + 30;

/// By how much the span from the end of a run is shorter than the period, in minutes. So the time of day does
/// not get later with each run: a run that was late is followed by one that is less late.
const SLACK: u32 = 3 * 60;

/// The variables that are for anacron itself.
const OWN_VARIABLES: [&[u8]; 3] = [b"START_HOURS_RANGE", b"RANDOM_DELAY", b"PREFERRED_HOUR"];

/// Makes a job of each line of a table that describes one.
pub fn anacron_items(table: &[u8], here: &ImportContext) -> Vec<SourceItem> {
    read(table).into_iter().map(|line| item(line, here, time_stamp)).collect()
}

fn item(line: NumberedLine, here: &ImportContext, stamp: fn(&str) -> Option<String>) -> SourceItem {
    let NumberedLine { number, text, line } = line;
    let mut notes = Vec::new();
    let verdict = match line {
        AnacronLine::Variable { name } => {
            if name == b"PREFERRED_HOUR" {
                notes.push("PREFERRED_HOUR has no effect in taskq".to_owned());
            }
            ItemVerdict::Environment
        }
        AnacronLine::Refused(refusal) => ItemVerdict::Refused(refusal),
        AnacronLine::Job(job) => match planned(&job, here, stamp(&job.id), &mut notes) {
            Ok(planned) => ItemVerdict::Job(Box::new(planned)),
            Err(refusal) => ItemVerdict::Refused(refusal),
        },
    };
    let words: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let text = shown::escaped_bytes(&words.join(&b' '));
    SourceItem { place: Place::Line(number), text, verdict, notes }
}

/// The minutes of a day in which a line may start, and its first start there.
struct Hours {
    window: Range<u32>,
    first: u32,
}

impl Hours {
    fn of(job: &AnacronJob) -> Self {
        let window = job.hours.as_ref().map_or(FIRST_START..DAY, |hours| hours.start * 60..hours.end * 60);
        Self { first: (window.start + job.delay).min(DAY - 1), window }
    }

    /// The last minute of a start, which is on the same day.
    fn last(&self) -> u32 {
        let length = self.window.end - self.window.start;
        (self.first + length).min(DAY)
    }

    /// Returns the gate that is open in these hours.
    fn gate(&self) -> String {
        let (first, last) = (self.first, self.last());
        let minute = "set -- $(date '+1%H 1%M'); m=$((($1 - 100) * 60 + $2 - 100))";
        format!("cmd:{minute}; [ $m -ge {first} ] && [ $m -lt {last} ]")
    }
}

fn planned(
    job: &AnacronJob,
    here: &ImportContext,
    stamp: Option<String>,
    notes: &mut Vec<String>,
) -> Result<PlannedItem, ItemRefusal> {
    let hours = Hours::of(job);
    let mut new = imported_job(&job.id, TAG, execution(job, here));
    new.mail = mail(job, here, notes);
    new.jitter = (job.random_delay > 0).then(|| minutes(job.random_delay));
    let jitter = jitter::delay(&new, &machine::machine_id());
    if job.random_delay > 0 {
        let (most, fixed) = (job.random_delay, shown::span(jitter));
        notes.push(format!(
            "RANDOM_DELAY `{most}`: cronie draws a delay at each start; taskq delays this line by {fixed}"
        ));
    }
    let mut gates = Vec::new();
    if job.delay > 0 {
        // anacron starts with the machine, and waits for so long.
        gates.push(format!("cmd:read -r up rest </proc/uptime; [ \"${{up%%.*}}\" -ge {} ]", job.delay * 60));
    }
    let today = here.zone.reading(here.now).date();
    let today: NaiveDate = today.parse().map_err(|_| ItemRefusal::of("the date of today is out of range"))?;
    let due = due(job.period, stamp.and_then(|stamp| read_stamp(&stamp, today)), today);
    let (spec, next_at) = match job.period {
        Period::Days(1) => {
            let within = hours.last() - hours.first;
            new.policy.missed = Missed { within: Some(minutes(within)), ..Missed::default() };
            let next = on(due, hours.first, here)?.max(here.now - minutes(within));
            cron(&hours, "* * *", next, jitter, here)?
        }
        Period::Days(days) => {
            gates.push(hours.gate());
            let slack = SLACK.min(hours.first);
            notes.push(format!(
                "the {days} days count from the end of a run, which starts at {} or later",
                clock(hours.first)
            ));
            let spec = TriggerSpec::AfterEnd { period: minutes(days * DAY - slack), delay: jitter };
            (spec, on(due, hours.first, here)?.max(here.now) + jitter)
        }
        Period::Monthly => {
            if job.hours.is_some() {
                gates.push(hours.gate());
            }
            let date = of_each_month(due);
            let day = format!("{} * *", date.day());
            notes.push(format!(
                "it is due on day {} of each month, also after a run that was late",
                date.day()
            ));
            cron(&hours, &day, on(date, 0, here)?, jitter, here)?
        }
        Period::Yearly => {
            if job.hours.is_some() {
                gates.push(hours.gate());
            }
            let date = of_each_month(due);
            notes.push(format!(
                "it is due on {} of each year, also after a run that was late",
                date.format("%d %b")
            ));
            cron(&hours, &format!("{} {} *", date.day(), date.month()), on(date, 0, here)?, jitter, here)?
        }
    };
    let read_gate = |gate: &String| Gate::read(gate.as_bytes(), Path::new("/")).expect("it is a gate");
    new.requirement = Requirement { gates: gates.iter().map(read_gate).collect(), ..Requirement::default() };
    Ok(PlannedItem {
        item: job.id.clone(),
        basis: format!("{:?} {} {}-{}", job.period, hours.first, hours.window.start, hours.window.end),
        is_once: false,
        job: new,
        triggers: vec![FirstFire { spec, next_at: Some(next_at), boot_id: None, marks: None }],
        next_at: Some(next_at),
    })
}

fn minutes(minutes: u32) -> Span {
    Span::from_seconds(u64::from(minutes) * 60)
}

/// Returns a time of day: `07:35`.
fn clock(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Returns a minute of a date.
fn on(date: NaiveDate, minute: u32, here: &ImportContext) -> Result<Timestamp, ItemRefusal> {
    parse_instant(&format!("{date} {}", clock(minute)), here.now, &here.zone)
        .map_err(|_| ItemRefusal::of(format!("it is due on {date}, which is out of range")))
}

/// Returns a trigger at this minute of such days, with its first fire at or after `from`.
fn cron(
    hours: &Hours,
    days: &str,
    from: Timestamp,
    delay: Span,
    here: &ImportContext,
) -> Result<(TriggerSpec, Timestamp), ItemRefusal> {
    let expr = format!("{} {} {days}", hours.first % 60, hours.first / 60);
    let spec = TriggerSpec::Cron { expr, zone: None, delay };
    let schedule = compile(&spec).expect("the expression is one of ours");
    let first = schedule.next_after(from - Span::from_micros(1), &here.zone);
    first.map(|first| (spec, first)).ok_or_else(|| ItemRefusal::of("it is never due"))
}

/// Returns how anacron runs a command: by `/bin/sh` in `/`, with the table's variables.
fn execution(job: &AnacronJob, here: &ImportContext) -> Execution {
    let mut env: Vec<EnvVar> = login::clean_environment(Some(&here.own));
    for (name, value) in job.variables.iter().filter(|(name, _)| !OWN_VARIABLES.contains(&name.as_slice())) {
        let prefix = [name.as_slice(), b"="].concat();
        env.retain(|known| !known.starts_with(&prefix));
        env.push([prefix.as_slice(), value].concat());
    }
    Execution { env, ..Execution::of(CommandLine::Script(job.command.clone())) }
}

/// Returns the mail of output, which anacron sends to `MAILTO` or to its own user.
fn mail(job: &AnacronJob, here: &ImportContext, notes: &mut Vec<String>) -> Option<Mail> {
    let env: Vec<EnvVar> =
        job.variables.iter().map(|(name, value)| [name.as_slice(), b"=", value].concat()).collect();
    let to = match value_of(&env, "MAILTO") {
        Some(b"") => return None,
        Some(to) => String::from_utf8_lossy(to).into_owned(),
        None => here.own.name.clone(),
    };
    if !is_safe(to.as_bytes(), Dialect::Debian) {
        notes.push(format!("MAILTO `{to}` is not an address that taskq gives to sendmail: no mail is sent"));
        return None;
    }
    Some(Mail { to, when: MailWhen::Output, format: MailFormat::Taskq })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::tests::import_context;

    /// Returns the job of a table with one line, on Friday 2026-11-20 at 12:00 UTC.
    fn planned_line(table: &str, stamp: fn(&str) -> Option<String>) -> (PlannedItem, Vec<String>) {
        let here = import_context(Dialect::Debian);
        let mut items: Vec<SourceItem> =
            read(table.as_bytes()).into_iter().map(|line| item(line, &here, stamp)).collect();
        let last = items.pop().expect("it has a line");
        match last.verdict {
            ItemVerdict::Job(planned) => (*planned, last.notes),
            ItemVerdict::Environment | ItemVerdict::Refused(_) | ItemVerdict::NeverFires => {
                panic!("{table} is a job")
            }
        }
    }

    fn first(table: &str, stamp: fn(&str) -> Option<String>) -> String {
        let (planned, _) = planned_line(table, stamp);
        format!("{} {}", planned.basis, planned.next_at.expect("it fires"))
    }

    #[test]
    fn a_daily_line_that_ran_today_waits_for_tomorrow_and_else_is_made_up_for() {
        let today = |_: &str| Some("20261120\n".to_owned());
        let never = |_: &str| None;
        for line in ["1 5 x true", "@daily 5 x true"] {
            assert_eq!(first(line, today), "Days(1) 455 450-1440 2026-11-21T07:35:00Z");
            assert_eq!(first(line, never), "Days(1) 455 450-1440 2026-11-20T07:35:00Z");
        }
        let (planned, notes) = planned_line("1 5 x true", never);
        // Until the end of the day: at midnight the next one is due.
        let missed = planned.job.policy.missed;
        assert_eq!((missed.within, notes), (Some(minutes(985)), Vec::new()));
        let range = "START_HOURS_RANGE=3-11\n1 0 x true";
        // The hours of today are over.
        assert_eq!(first(range, never), "Days(1) 180 180-660 2026-11-21T03:00:00Z");
    }

    #[test]
    fn a_line_for_several_days_counts_from_its_stamp_and_then_from_the_end_of_a_run() {
        let monday = |_: &str| Some("20261116".to_owned());
        let long_ago = |_: &str| Some("20260101".to_owned());
        assert_eq!(first("7 10 x true", monday), "Days(7) 460 450-1440 2026-11-23T07:40:00Z");
        assert_eq!(first("7 10 x true", long_ago), "Days(7) 460 450-1440 2026-11-20T12:00:00Z");
        let (planned, notes) = planned_line("7 10 x true", monday);
        let period = minutes(7 * DAY - SLACK);
        assert_eq!(planned.triggers[0].spec, TriggerSpec::AfterEnd { period, delay: Span::ZERO });
        let gates: Vec<String> = planned.job.requirement.gates.iter().map(ToString::to_string).collect();
        assert!(gates[0].contains("/proc/uptime") && gates[0].contains("-ge 600 "), "{gates:?}");
        assert!(gates[1].contains("-ge 460 ") && gates[1].contains("-lt 1440 "), "{gates:?}");
        assert_eq!(notes, ["the 7 days count from the end of a run, which starts at 07:40 or later"]);
    }

    #[test]
    fn a_month_and_a_year_are_dates() {
        let stamp = |_: &str| Some("20261031".to_owned());
        let monthly = "Monthly 450 450-1440 2026-11-28T07:30:00Z";
        assert_eq!(first("@monthly 0 x true", stamp), monthly);
        assert_eq!(first("@yearly 0 x true", stamp), "Yearly 450 450-1440 2027-10-28T07:30:00Z");
        let never = |_: &str| None;
        assert_eq!(first("@monthly 0 x true", never), "Monthly 450 450-1440 2026-11-20T07:30:00Z");
    }

    #[test]
    fn a_command_has_the_variables_of_the_table_and_not_those_of_anacron() {
        let table = "PATH=/x\nRANDOM_DELAY=0\nSTART_HOURS_RANGE=0-24\nMAILTO=ops\n1 0 x true";
        let (planned, _) = planned_line(table, |_| None);
        let env: Vec<String> =
            planned.job.execution.env.iter().map(|var| String::from_utf8_lossy(var).into_owned()).collect();
        assert_eq!(env, ["HOME=/home/root", "SHELL=/bin/sh", "LOGNAME=root", "PATH=/x", "MAILTO=ops"]);
        assert_eq!(planned.job.mail.expect("it mails").to, "ops");
        assert!(planned_line("MAILTO=\n1 0 x true", |_| None).0.job.mail.is_none());
    }
}
