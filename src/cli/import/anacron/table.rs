//! Owns: the lines of an anacrontab(5).
//! Never: I/O, the fires of a line (see `jobs`).
//!
//! The rules are those of Debian's anacron 2.3 and of cronie's, which takes more names of periods and the
//! variables `START_HOURS_RANGE` and `RANDOM_DELAY`.

use std::ops::Range;

use crate::cli::import::items::ItemRefusal;

/// How often a line is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// At least one.
    Days(u32),
    Monthly,
    Yearly,
}

/// The longest period in days: a hundred years.
const DAYS_MAX: u32 = 36_525;

/// The longest delay in minutes: a day.
const DELAY_MAX: u32 = 1_440;

/// A line that describes a job, under the assignments above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnacronJob {
    pub period: Period,
    /// In minutes.
    pub delay: u32,
    pub id: String,
    pub command: Vec<u8>,
    /// Names and values, the last of each name.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
    /// `START_HOURS_RANGE`: the hours in which it starts.
    pub hours: Option<Range<u32>>,
    /// `RANDOM_DELAY`, in minutes; 0: none.
    pub random_delay: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnacronLine {
    Variable { name: Vec<u8> },
    Job(AnacronJob),
    Refused(ItemRefusal),
}

/// A line that is not blank and not a comment. A line that goes on has its continuations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedLine {
    /// From 1.
    pub number: usize,
    pub text: Vec<u8>,
    pub line: AnacronLine,
}

/// Reads a table.
pub fn read(table: &[u8]) -> Vec<NumberedLine> {
    let mut lines = Vec::new();
    let mut settings = Settings::default();
    let mut ids: Vec<String> = Vec::new();
    let mut rest = table.split(|byte| *byte == b'\n').enumerate();
    while let Some((index, first)) = rest.next() {
        let mut text = first.to_vec();
        while text.ends_with(b"\\") {
            let Some((_, next)) = rest.next() else { break };
            text.pop();
            text.extend_from_slice(next);
        }
        let trimmed = trim(&text);
        if trimmed.is_empty() || trimmed.starts_with(b"#") {
            continue;
        }
        let line = match variable(&text) {
            Some((name, value)) => settings.assign(name, value),
            None => match settings.job(&text) {
                Ok(job) if ids.contains(&job.id) => {
                    AnacronLine::Refused(at(&text, 2, format!("the id `{}` is that of a line above", job.id)))
                }
                Ok(job) => {
                    ids.push(job.id.clone());
                    AnacronLine::Job(job)
                }
                Err(refusal) => AnacronLine::Refused(refusal),
            },
        };
        lines.push(NumberedLine { number: index + 1, text, line });
    }
    lines
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    &text[begin..]
}

/// Splits an assignment into name and value: a word, blanks and `=`.
fn variable(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = trim(text);
    let end = text.iter().position(|byte| is_blank(*byte) || *byte == b'=').filter(|end| *end > 0)?;
    let (name, rest) = text.split_at(end);
    Some((name, trim(rest).strip_prefix(b"=")?))
}

#[derive(Default)]
struct Settings {
    variables: Vec<(Vec<u8>, Vec<u8>)>,
    hours: Option<Range<u32>>,
    random_delay: u32,
}

impl Settings {
    fn assign(&mut self, name: &[u8], value: &[u8]) -> AnacronLine {
        let text = String::from_utf8_lossy(value).trim().to_owned();
        let refused =
            |cause: String| AnacronLine::Refused(ItemRefusal { column: Some(1), ..ItemRefusal::of(cause) });
        match name {
            b"START_HOURS_RANGE" => match hours(&text) {
                Some(hours) => self.hours = Some(hours),
                None => {
                    return refused(format!(
                        "START_HOURS_RANGE `{text}` is not two hours of 0-24 such as `3-22`"
                    ));
                }
            },
            b"RANDOM_DELAY" => match text.parse() {
                Ok(minutes) if minutes <= DELAY_MAX => self.random_delay = minutes,
                Ok(_) | Err(_) => {
                    return refused(format!("RANDOM_DELAY `{text}` is not minutes in 0-{DELAY_MAX}"));
                }
            },
            _ => {}
        }
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_vec(), value.to_vec()));
        AnacronLine::Variable { name: name.to_vec() }
    }

    fn job(&self, text: &[u8]) -> Result<AnacronJob, ItemRefusal> {
        let word = |index: usize| {
            String::from_utf8_lossy(fields(text).nth(index).map_or(b"", |(_, word)| word)).into_owned()
        };
        let (period, delay, id) = (word(0), word(1), word(2));
        let (command, _) = fields(text).nth(3).ok_or_else(|| {
            at(text, 0, "it is neither an assignment nor `PERIOD DELAY ID COMMAND`".to_owned())
        })?;
        let delay = delay.parse().ok().filter(|minutes| *minutes <= DELAY_MAX);
        let delay = delay
            .ok_or_else(|| at(text, 1, format!("delay `{}` is not minutes in 0-{DELAY_MAX}", word(1))))?;
        if id.contains('/') || id.contains('\u{fffd}') {
            return Err(at(text, 2, format!("id `{id}` has a sign that no file name has")));
        }
        if text.contains(&0) {
            return Err(at(text, 3, "the command has a NUL byte".to_owned()));
        }
        Ok(AnacronJob {
            period: read_period(&period).map_err(|cause| at(text, 0, cause))?,
            delay,
            id,
            command: text[command..].to_vec(),
            variables: self.variables.clone(),
            hours: self.hours.clone(),
            random_delay: self.random_delay,
        })
    }
}

/// Returns the fields of a line with the places where they begin.
fn fields(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut begin = 0;
    text.split(|byte| is_blank(*byte)).filter_map(move |word| {
        let place = begin;
        begin += word.len() + 1;
        (!word.is_empty()).then_some((place, word))
    })
}

/// Returns a refusal at a field.
fn at(text: &[u8], field: usize, cause: String) -> ItemRefusal {
    let column = fields(text).nth(field).map_or(text.len(), |(place, _)| place);
    ItemRefusal { column: Some(column + 1), ..ItemRefusal::of(cause) }
}

fn read_period(text: &str) -> Result<Period, String> {
    match text {
        "@daily" => return Ok(Period::Days(1)),
        "@weekly" => return Ok(Period::Days(7)),
        "@monthly" => return Ok(Period::Monthly),
        "@yearly" | "@annually" => return Ok(Period::Yearly),
        _ => {}
    }
    match text.parse() {
        Ok(0) => Err("period `0` runs at each start of anacron: taskq has no such thing".to_owned()),
        Ok(days) if days <= DAYS_MAX => Ok(Period::Days(days)),
        Ok(_) | Err(_) => Err(format!(
            "period `{text}` is not days in 1-{DAYS_MAX}, `@daily`, `@weekly`, `@monthly` or `@yearly`"
        )),
    }
}

fn hours(text: &str) -> Option<Range<u32>> {
    let (from, to) = text.split_once('-')?;
    let hour = |text: &str| text.parse::<u32>().ok().filter(|hour| *hour <= 24);
    let (from, to) = (hour(from)?, hour(to)?);
    (from < to).then_some(from..to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jobs(table: &str) -> Vec<AnacronJob> {
        let job = |line: NumberedLine| match line.line {
            AnacronLine::Job(job) => Some(job),
            AnacronLine::Variable { .. } | AnacronLine::Refused(_) => None,
        };
        read(table.as_bytes()).into_iter().filter_map(job).collect()
    }

    #[test]
    fn a_line_has_a_period_a_delay_an_id_and_a_command_under_the_variables_above() {
        let table = "# x\nA=1\n A =  b \nSTART_HOURS_RANGE=3-22\n\t7 10\tcron.weekly  run  it \nA=2\n\
                     START_HOURS_RANGE=0-24\nRANDOM_DELAY=45\n@monthly 0 m x\\\ny\n";
        let found = jobs(table);
        let first = &found[0];
        assert_eq!((first.period, first.delay, first.id.as_str()), (Period::Days(7), 10, "cron.weekly"));
        assert_eq!(first.command, b"run  it ");
        assert_eq!((first.hours.clone(), first.random_delay), (Some(3..22), 0));
        assert_eq!(first.variables[0], (b"A".to_vec(), b"  b ".to_vec()));
        let second = &found[1];
        assert_eq!((second.period, second.command.as_slice()), (Period::Monthly, b"xy".as_slice()));
        assert_eq!((second.hours.clone(), second.random_delay), (Some(0..24), 45));
        assert_eq!(read(table.as_bytes()).last().map(|line| line.number), Some(9));
    }

    #[test]
    fn a_line_that_is_none_is_refused_with_its_column() {
        for (line, column, cause) in [
            ("0 5 x true", 1, "period `0` runs at each start of anacron: taskq has no such thing"),
            ("@hourly 5 x true", 1, "period `@hourly` is not days in 1-36525, `@daily`, `@weekly`"),
            ("-1 5 x true", 1, "period `-1` is not days"),
            ("  1 5m x true", 5, "delay `5m` is not minutes in 0-1440"),
            ("1 5 a/b true", 5, "id `a/b` has a sign that no file name has"),
            ("1 5 x", 1, "it is neither an assignment nor `PERIOD DELAY ID COMMAND`"),
            ("START_HOURS_RANGE=22-3", 1, "START_HOURS_RANGE `22-3` is not two hours of 0-24"),
            ("RANDOM_DELAY=x", 1, "RANDOM_DELAY `x` is not minutes in 0-1440"),
        ] {
            let read = read(line.as_bytes());
            let AnacronLine::Refused(refusal) = &read[0].line else { panic!("{line} is refused") };
            assert!(refusal.cause.starts_with(cause), "{line}: {}", refusal.cause);
            assert_eq!(refusal.column, Some(column), "{line}");
        }
        let twice = read(b"1 5 x true\n2 5 x true\n");
        assert!(matches!(twice[1].line, AnacronLine::Refused(_)));
    }

    proptest! {
        #[test]
        fn no_table_panics(bytes: Vec<u8>, text in "([@0-9a-z=\\\\ \t-]{0,12}[\n]?)*") {
            let _ = (read(&bytes), read(text.as_bytes()));
        }
    }
}
