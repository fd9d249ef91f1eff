//! Owns: a whole table: the meaning of each line, after the lines above it.
//! Never: one line by itself (see `reading` and `annotate`), jobs (see `cli`).

use std::rc::Rc;

use super::annotate;
use super::assignment::Variable;
use super::environment::value;
use super::finding::{Entry, Finding, Options, Timing, Variables, Verdict};
use super::limits::{ENVIRONMENTS_MAX, STRING_BYTES_MAX, variables_max};
use super::line::{Line, lines};
use super::reading::{EntryMeaning, LineMeaning, LineReadings};
use super::refusal::{offset_of, refused, shortened};
use super::settings;
use crate::domain::Span;
use crate::schedule::{Dialect, Schedule};

pub fn read<'a>(file: &'a [u8], options: &Options<'_>) -> Vec<Finding<'a>> {
    let mut above = Above { options, variables: Variables::default(), cron_tz: None, environments: 0 };
    lines(file).map(|line| above.finding(line)).collect()
}

/// The state that the lines above leave.
struct Above<'o> {
    options: &'o Options<'o>,
    variables: Variables,
    /// The zone of `CRON_TZ`, or the reason why it is not one.
    cron_tz: Option<Result<String, String>>,
    /// The number of variables in the environments of all entries.
    environments: usize,
}

impl Above<'_> {
    fn finding<'a>(&mut self, line: Line<'a>) -> Finding<'a> {
        let readings = LineReadings::of(&line, self.options);
        let zone = self.cron_tz.as_ref().and_then(|zone| zone.as_ref().ok());
        let mut notes = annotate::notes(&line, &readings, self.options, zone.map(String::as_str));
        let verdict = self.verdict(&line, readings.into_ours());
        if matches!(verdict, Verdict::Refused { .. }) {
            notes.clear();
        }
        notes.extend(annotate::too_many_lines(&line));
        Finding { line, verdict, notes }
    }

    fn verdict<'a>(&mut self, line: &Line<'a>, meaning: LineMeaning<'a>) -> Verdict<'a> {
        let nul = line.text.iter().position(|byte| *byte == 0);
        match (meaning, nul) {
            (LineMeaning::Nothing, _) => Verdict::Nothing,
            (_, Some(at)) => refused(line, at, "the line has a NUL byte, so it is not text".to_owned(), None),
            (LineMeaning::Variable(variable), _) => self.variable(line, variable),
            (LineMeaning::Entry(entry), _) => self.entry(line, *entry),
            (LineMeaning::Refused(fault), _) => fault.verdict(line),
        }
    }

    fn variable<'a>(&mut self, line: &Line<'a>, variable: Variable) -> Verdict<'a> {
        let known = self.variables.iter().position(|known| known.name == variable.name);
        let most = variables_max(self.options.origin);
        if known.is_none() && self.variables.len() >= most {
            let cause = format!("a table may set {most} variables, and this is one too many");
            return refused(line, 0, cause, None);
        }
        let length = variable.name.len() + 1 + variable.value.len();
        if length > STRING_BYTES_MAX {
            let cause =
                format!("the variable has {length} bytes, the system accepts up to {STRING_BYTES_MAX}");
            return refused(line, 0, cause, None);
        }
        if variable.name == b"CRON_TZ" {
            self.cron_tz = settings::zone(&variable.value);
        }
        let variables = Rc::make_mut(&mut self.variables);
        match known {
            Some(index) => variables[index].value.clone_from(&variable.value),
            None => variables.push(variable.clone()),
        }
        Verdict::Variable(variable)
    }

    fn entry<'a>(&mut self, line: &Line<'a>, entry: EntryMeaning<'a>) -> Verdict<'a> {
        let text = entry.text;
        if let Some(user) = text.user.filter(|user| !(self.options.knows_user)(user)) {
            let cause = format!("there is no user `{}`", shortened(user));
            let hint = "a system table has a user between the weekday and the command".to_owned();
            return refused(line, offset_of(line.text, user), cause, Some(hint));
        }
        if text.command.len() > STRING_BYTES_MAX {
            let length = text.command.len();
            let cause =
                format!("the command has {length} bytes, the system accepts up to {STRING_BYTES_MAX}");
            return refused(line, offset_of(line.text, text.command), cause, None);
        }
        // No entry above shares these variables: this is another environment.
        if Rc::strong_count(&self.variables) == 1 {
            self.environments += self.variables.len();
        }
        if self.environments > ENVIRONMENTS_MAX {
            let cause =
                format!("the environments of the table have more than {ENVIRONMENTS_MAX} variables together");
            return refused(line, 0, cause, None);
        }
        let zone = match (self.options.origin, &self.cron_tz) {
            (Dialect::Debian, _) | (Dialect::Cronie, None) => None,
            (Dialect::Cronie, Some(Ok(zone))) => Some(zone.clone()),
            (Dialect::Cronie, Some(Err(cause))) => {
                let hint = "set CRON_TZ to a zone such as `Europe/Paris`".to_owned();
                return refused(line, 0, cause.clone(), Some(hint));
            }
        };
        let schedule = entry.schedule().filter(|_| !entry.is_empty());
        let timing = schedule.zip(entry.expression()).map(|(schedule, expr)| Timing {
            expr,
            delay: self.delay(&schedule),
            schedule,
            zone,
        });
        Verdict::Entry(Entry {
            timing,
            is_fixed: entry.is_fixed(),
            user: text.user,
            command: entry.command,
            mails_failures_only: text.mails_failures_only,
            variables: Rc::clone(&self.variables),
        })
    }

    fn delay(&self, schedule: &Schedule) -> Span {
        let is_delayed = self.options.origin == Dialect::Cronie && *schedule != Schedule::Reboot;
        let delay = value(&self.variables, b"RANDOM_DELAY").filter(|_| is_delayed);
        let delay = delay.and_then(|value| settings::random_delay(value, self.options.host));
        Span::from_seconds(delay.map_or(0, |delay| u64::from(delay.drawn) * 60))
    }
}
