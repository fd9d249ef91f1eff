//! Owns: what becomes of each line of a table: the entry it is, the variable it sets, or why it is refused;
//! and what is to be known about it.
//! Never: jobs (see `cli`).
//!
//! A line is read as its own cron reads it, and beside it as the other one and as taskq do; where they part,
//! a note says so. Two things are taken that Debian's cron refuses, because everybody can see what they mean:
//! a line of blanks and carriage returns, and `NAME=` with nothing behind it.

use std::rc::Rc;

use super::calls::crontab_calls;
use super::command::{CommandText, open_quote, split_command};
use super::environment::value;
use super::finding::{Entry, Finding, Options, Timing, Variable, Variables, Verdict};
use super::line::{DEBIAN_BYTES_MAX, Ending, EntryText, Line, Syntax, When, is_blank, lines};
use super::note::{Fires, Note};
use super::refusal::{BAD_NICKNAME, bad_field, bad_form, bad_nickname, offset_of, refused, shortened};
use crate::domain::Span;
use crate::schedule::{BadField, Dialect, FieldsReading, Schedule, Zone, parse_cron};

/// The most variables that a table may set: cronie's own bound, and of Debian's cron as many as it takes
/// lines.
fn variables_max(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Debian => DEBIAN_LINES_MAX,
        Dialect::Cronie => 1_000,
    }
}

/// The longest command, and the longest variable with its name: what execve(2) takes as one string, less its
/// NUL.
const STRING_BYTES_MAX: usize = 128 * 1024 - 1;

/// The most variables that all the environments of a table may have together. What a person writes has a few
/// dozen; an assignment between every two of a hundred thousand entries would need memory by the gigabyte.
const ENVIRONMENTS_MAX: usize = 1_000_000;

/// Debian's crontab(1) takes so many lines.
const DEBIAN_LINES_MAX: usize = 10_000;

/// Right behind the five fields Debian's cron takes this byte for the end of the file.
const DEBIAN_END: u8 = 0xff;

/// The largest RANDOM_DELAY, in minutes, as cronie has it.
const DELAY_MINUTES_MAX: u32 = 1_440;

/// Reads a whole table.
pub fn read<'a>(file: &'a [u8], options: &Options<'_>) -> Vec<Finding<'a>> {
    let mut reader = Reader {
        options,
        variables: Variables::default(),
        cron_tz: None,
        environments: 0,
        notes: Vec::new(),
    };
    lines(file).map(|line| reader.finding(line)).collect()
}

/// Returns a number for bytes that is the same in every release: FNV-1a, begun with another number.
pub fn stable_hash(begin: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(begin ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

struct Reader<'a> {
    options: &'a Options<'a>,
    variables: Variables,
    /// The zone of `CRON_TZ`, or why it is none.
    cron_tz: Option<Result<String, String>>,
    /// How many variables the environments of all entries so far have.
    environments: usize,
    /// Of the line that is being read.
    notes: Vec<Note>,
}

/// A reading of a line by one cron.
enum Meaning {
    Nothing,
    Variable,
    Entry(Box<Times>, CommandText),
    Refused(&'static str),
}

/// When one of the crons fires an entry.
enum Times {
    Nickname(Schedule),
    Fields(FieldsReading),
}

impl Times {
    fn schedule(&self) -> Option<Schedule> {
        match self {
            Self::Nickname(schedule) => Some(schedule.clone()),
            Self::Fields(reading) => reading.schedule(),
        }
    }
}

fn other(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::Debian => Dialect::Cronie,
        Dialect::Cronie => Dialect::Debian,
    }
}

impl<'o> Reader<'o> {
    fn finding<'a>(&mut self, line: Line<'a>) -> Finding<'a> {
        self.notes.clear();
        let verdict = self.verdict(&line);
        if matches!(verdict, Verdict::Variable(_) | Verdict::Entry(_)) && line.ending == Ending::File {
            self.notes.push(Note::NoNewline);
        }
        if line.number == DEBIAN_LINES_MAX + 1 {
            self.note_refusal(Dialect::Debian, "crontab is too long; maximum number of lines is 10000");
        }
        Finding { line, verdict, notes: std::mem::take(&mut self.notes) }
    }

    fn note_refusal(&mut self, by: Dialect, what: &str) {
        self.notes.push(Note::RefusedBy { by, what: what.to_owned() });
    }

    /// Says that a cron takes an assignment for none.
    fn note_no_assignment(&mut self, name: &[u8], value: &[u8], by: Dialect, what: &str) {
        let what = what.to_owned();
        self.notes.push(match by == Dialect::Debian && value.is_empty() {
            true => Note::EmptyValue { is_mailto: name == b"MAILTO", what },
            false => Note::RefusedBy { by, what },
        });
    }

    fn verdict<'a>(&mut self, line: &Line<'a>) -> Verdict<'a> {
        let origin = self.options.origin;
        let syntax = line.syntax(origin, self.options.layout);
        if syntax == Syntax::Nothing {
            return Verdict::Nothing;
        }
        if let Some(at) = line.text.iter().position(|byte| *byte == 0) {
            return refused(line, at, "there is a NUL byte: this is no text".to_owned(), None);
        }
        match syntax {
            Syntax::Nothing => Verdict::Nothing,
            Syntax::Assignment { name, value } => self.variable(line, Variable { name, value }),
            Syntax::Entry(text) => self.entry(line, text),
            Syntax::Bad { what, at, fields } => self.bad(line, what, at, &fields),
        }
    }

    /// A line that its cron refuses by its form.
    fn bad<'a>(&mut self, line: &Line<'a>, what: &'static str, at: usize, fields: &[&[u8]]) -> Verdict<'a> {
        // A field that is there and bad comes before one that is missing.
        let mut padded = [b"*".as_slice(); 5];
        padded[..fields.len()].copy_from_slice(fields);
        let earlier = self.options.origin.read(&padded, 0).err().filter(|bad| bad.index < fields.len());
        let said = earlier.map_or(what, BadField::message);
        if line.text.iter().all(u8::is_ascii_whitespace) {
            self.note_refusal(self.options.origin, said);
            return Verdict::Nothing;
        }
        if let Syntax::Assignment { name, value } = line.syntax(Dialect::Cronie, self.options.layout) {
            self.note_no_assignment(&name, &value, Dialect::Debian, said);
            return self.variable(line, Variable { name, value });
        }
        if let Some(bad) = earlier {
            return bad_field(line, &padded, bad);
        }
        bad_form(line, what, at, fields)
    }

    fn variable<'a>(&mut self, line: &Line<'a>, variable: Variable) -> Verdict<'a> {
        let is_new = self.variables.iter().all(|known| known.name != variable.name);
        let most = variables_max(self.options.origin);
        if is_new && self.variables.len() >= most {
            let cause = format!("a table may set {most} variables, and this is one more");
            return refused(line, 0, cause, None);
        }
        let length = variable.name.len() + 1 + variable.value.len();
        if length > STRING_BYTES_MAX {
            let cause = format!("the variable has {length} bytes, the system takes up to {STRING_BYTES_MAX}");
            return refused(line, 0, cause, None);
        }
        self.note_value(line, &variable);
        self.note_purpose(&variable);
        if variable.name == b"CRON_TZ" {
            self.cron_tz = read_zone(&variable.value);
        }
        let variables = Rc::make_mut(&mut self.variables);
        match variables.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => known.value.clone_from(&variable.value),
            None => variables.push(variable.clone()),
        }
        Verdict::Variable(variable)
    }

    fn note_value(&mut self, line: &Line<'_>, variable: &Variable) {
        let layout = self.options.layout;
        let by = other(self.options.origin);
        match line.syntax(by, layout) {
            Syntax::Assignment { value, .. } if value != variable.value => {
                let is_cut =
                    value.len().abs_diff(variable.value.len()) > 1 && line.text.len() > DEBIAN_BYTES_MAX;
                self.notes.push(if is_cut { Note::CutByDebian } else { Note::OtherValue { by, value } });
            }
            Syntax::Assignment { .. } | Syntax::Nothing => {}
            Syntax::Entry(_) | Syntax::Bad { .. } => {
                // Of a line that is read as cronie's it was said before.
                if self.notes.iter().all(|note| note.refusal_by(by).is_none()) {
                    self.note_no_assignment(
                        &variable.name,
                        &variable.value,
                        by,
                        BadField { index: 0 }.message(),
                    );
                }
            }
        }
        let name = &variable.name;
        let is_plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && name.first().is_some_and(|byte| !byte.is_ascii_digit());
        if !is_plain {
            self.notes.push(Note::OddName);
        }
        let is_quoted =
            line.text.trim_ascii_end().ends_with(b"\"") || line.text.trim_ascii_end().ends_with(b"'");
        if !is_quoted && variable.value.windows(2).any(|pair| is_blank(pair[0]) && pair[1] == b'#') {
            self.notes.push(Note::HashInValue);
        }
    }

    fn note_purpose(&mut self, variable: &Variable) {
        let origin = self.options.origin;
        let is_debian = origin == Dialect::Debian;
        let shown = || shortened(&String::from_utf8_lossy(&variable.value));
        match variable.name.as_slice() {
            b"CRON_TZ" => {
                let is_none = matches!(read_zone(&variable.value), Some(Err(_)));
                self.notes.extend((is_debian && is_none).then(|| Note::NoZone(shown())));
            }
            b"RANDOM_DELAY" => self.notes.extend(match self.drawn_delay(&variable.value) {
                Some((0, _)) => None,
                Some(_) | None if is_debian => Some(Note::DelayIgnored(shown())),
                Some((_, drawn)) => Some(Note::Delayed { most: shown(), drawn }),
                None => Some(Note::NoDelay(shown())),
            }),
            b"LOGNAME" => self.notes.push(Note::SetByCron),
            b"USER" if !is_debian => self.notes.push(Note::SetByCron),
            b"MAILTO" | b"MAILFROM" if !is_debian => {}
            _ => self.notes.extend(not_expanded(&variable.value).map(Note::NotExpanded)),
        }
    }

    /// Reads RANDOM_DELAY and draws cronie's delay: a random share of it, the same for all tables of a
    /// machine. `None`: no such number.
    fn drawn_delay(&self, value: &[u8]) -> Option<(u32, u32)> {
        // As strtol(3) reads it: `45 minutes` is 45.
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b"+").unwrap_or(value);
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let minutes: u32 = std::str::from_utf8(&value[..digits]).ok()?.parse().ok()?;
        if minutes > DELAY_MINUTES_MAX {
            return None;
        }
        // The upper half of the seed as a fraction of one.
        let drawn = u32::try_from((u64::from(minutes) * (self.options.host >> 32)) >> 32).ok()?;
        Some((minutes, drawn))
    }

    fn entry<'a>(&mut self, line: &Line<'a>, text: EntryText<'a>) -> Verdict<'a> {
        let seed = self.seed(line);
        let times = match times(&text.when, self.options.origin, seed) {
            Ok(times) => times,
            Err(Unreadable::Field(fields, bad)) => return bad_field(line, &fields, bad),
            Err(Unreadable::Nickname(nickname)) => return bad_nickname(line, nickname),
        };
        if let Some(user) = text.user.filter(|user| !(self.options.knows_user)(user)) {
            let shown = shortened(&String::from_utf8_lossy(user));
            let hint = "a system table has a user between the weekday and the command".to_owned();
            return refused(
                line,
                offset_of(line.text, user),
                format!("there is no user `{shown}`"),
                Some(hint),
            );
        }
        if let Some(refusal) = self.exceeds(line, text.command) {
            return refusal;
        }
        let zone = match self.zone() {
            Ok(zone) => zone,
            Err(cause) => {
                return refused(
                    line,
                    0,
                    cause,
                    Some("set CRON_TZ to a zone such as `Europe/Paris`".to_owned()),
                );
            }
        };
        let command = split_command(text.command, self.options.origin);
        let is_empty = command.command.iter().all(|byte| is_blank(*byte));
        self.note_times(&text, &times);
        self.note_other(line, &times, &command, seed);
        self.note_command(line, &text, &command);
        let schedule = times.schedule();
        let is_fixed = match &times {
            Times::Nickname(_) => text.when != When::Nickname(b"@hourly"),
            Times::Fields(reading) => !reading.has_star_in_minute_or_hour(),
        };
        let expr = match &times {
            Times::Nickname(_) => text.when.text(),
            Times::Fields(reading) => reading.expression().unwrap_or_default(),
        };
        let timing = schedule.filter(|_| !is_empty).map(|schedule| Timing {
            expr,
            delay: self.delay(&schedule),
            schedule,
            zone,
        });
        Verdict::Entry(Entry {
            timing,
            is_fixed,
            user: text.user,
            command,
            mails_failures_only: text.mails_failures_only,
            variables: Rc::clone(&self.variables),
        })
    }

    /// Counts an entry's environment, and refuses an entry that is over a limit.
    fn exceeds<'a>(&mut self, line: &Line<'a>, command: &[u8]) -> Option<Verdict<'a>> {
        if command.len() > STRING_BYTES_MAX {
            let cause =
                format!("the command has {} bytes, the system takes up to {STRING_BYTES_MAX}", command.len());
            return Some(refused(line, offset_of(line.text, command), cause, None));
        }
        // Nobody else has these variables yet: they are another environment.
        if Rc::strong_count(&self.variables) == 1 {
            self.environments += self.variables.len();
        }
        (self.environments > ENVIRONMENTS_MAX).then(|| {
            let cause =
                format!("the environments of the table have more than {ENVIRONMENTS_MAX} variables together");
            refused(line, 0, cause, None)
        })
    }

    /// What decides the draws of this line: the machine and the text, so that they stay while it does.
    fn seed(&self, line: &Line<'_>) -> u64 {
        stable_hash(self.options.host, line.text)
    }

    /// Returns the zone of the entries here: cronie's `CRON_TZ`.
    fn zone(&self) -> Result<Option<String>, String> {
        match (self.options.origin, &self.cron_tz) {
            (Dialect::Debian, _) | (Dialect::Cronie, None) => Ok(None),
            (Dialect::Cronie, Some(zone)) => zone.clone().map(Some),
        }
    }

    fn delay(&self, schedule: &Schedule) -> Span {
        let is_put_off = self.options.origin == Dialect::Cronie && *schedule != Schedule::Reboot;
        let minutes = value(&self.variables, b"RANDOM_DELAY").and_then(|value| self.drawn_delay(value));
        Span::from_seconds(minutes.filter(|_| is_put_off).map_or(0, |(_, drawn)| u64::from(drawn) * 60))
    }

    fn note_times(&mut self, text: &EntryText<'_>, times: &Times) {
        let (Times::Fields(reading), When::Fields(fields)) = (times, &text.when) else { return };
        self.notes.extend(reading.oddities().iter().cloned().map(Note::Odd));
        let Some(expr) = reading.expression() else {
            self.notes.push(Note::NeverFires);
            return;
        };
        let written = fields.map(String::from_utf8_lossy);
        if expr != written.join(" ") {
            self.notes.push(Note::Rewritten(expr.clone()));
        }
        let (day, weekday) = (&written[2], &written[4]);
        if reading.either_day() {
            self.notes.push(match reading.whole_day_field() {
                Some(index) => Note::EveryDay { field: written[index].clone().into_owned() },
                None => Note::EitherDay,
            });
        } else if day != "*" && weekday != "*" {
            let star = if day.starts_with('*') { day } else { weekday };
            self.notes.push(Note::BothDays { field: star.clone().into_owned() });
        }
    }

    /// Says where the other cron parts from the line's own. That its zone is another is said where `CRON_TZ`
    /// is set.
    fn note_other(&mut self, line: &Line<'_>, times: &Times, command: &CommandText, seed: u64) {
        let by = other(self.options.origin);
        match self.meaning(line, by, seed) {
            Meaning::Refused(what) => self.note_refusal(by, what),
            Meaning::Nothing | Meaning::Variable => {
                self.note_refusal(by, "it takes the line for something else");
            }
            Meaning::Entry(others, other_command) => {
                let schedule = others.schedule();
                if schedule != times.schedule() {
                    let zone = match by {
                        Dialect::Debian => None,
                        Dialect::Cronie => self.cron_tz.clone().and_then(Result::ok),
                    };
                    let fires = schedule.map(|schedule| Fires { schedule, zone });
                    self.notes.push(Note::OtherTimes { by, fires });
                }
                if other_command != *command {
                    self.notes.push(Note::OtherCommand { by, command: other_command.command });
                }
            }
        }
    }

    /// Reads a line as a cron does, all of it but the user and the zone.
    fn meaning(&self, line: &Line<'_>, dialect: Dialect, seed: u64) -> Meaning {
        let text = match line.syntax(dialect, self.options.layout) {
            Syntax::Nothing => return Meaning::Nothing,
            Syntax::Assignment { .. } => return Meaning::Variable,
            Syntax::Bad { what, .. } => return Meaning::Refused(what),
            Syntax::Entry(text) => text,
        };
        if dialect == Dialect::Debian && text.command.len() > DEBIAN_BYTES_MAX {
            return Meaning::Refused("command too long");
        }
        match times(&text.when, dialect, seed) {
            Ok(times) => Meaning::Entry(Box::new(times), split_command(text.command, dialect)),
            Err(Unreadable::Field(_, bad)) => Meaning::Refused(bad.message()),
            Err(Unreadable::Nickname(_)) => Meaning::Refused(BAD_NICKNAME),
        }
    }

    fn note_command(&mut self, line: &Line<'_>, text: &EntryText<'_>, command: &CommandText) {
        let is_behind_fields = matches!(text.when, When::Fields(_)) && text.user.is_none();
        if is_behind_fields && text.command.first() == Some(&DEBIAN_END) {
            self.note_refusal(Dialect::Debian, "bad day-of-week");
        }
        if self.options.origin == Dialect::Debian && text.command.len() > DEBIAN_BYTES_MAX {
            self.note_refusal(Dialect::Debian, "command too long");
        }
        if command.command.iter().all(|byte| is_blank(*byte)) {
            self.notes.push(Note::NoCommand);
            return;
        }
        if command.stdin.is_some() || text.command.ends_with(b"%") && !text.command.ends_with(b"\\%") {
            self.notes.push(Note::PercentSign);
        }
        if let Some(quote) = open_quote(&command.command) {
            self.notes.push(Note::OpenQuote(quote));
        }
        if command.command.contains(&b'\r') {
            self.notes.push(Note::CarriageReturn);
        }
        if line.text.ends_with(b"\\") {
            self.notes.push(Note::Continuation);
        }
        self.notes.extend(crontab_calls(&command.command).into_iter().map(Note::CallsCrontab));
        let first = command.command.split(|byte| is_blank(*byte)).next().unwrap_or_default();
        let shown = || String::from_utf8_lossy(first).into_owned();
        if first.iter().all(|byte| byte.is_ascii_digit() || b"*,-/?".contains(byte)) {
            self.notes.push(Note::LooksLikeField(shown()));
        } else if text.user.is_none()
            && is_before_word(&command.command[first.len()..])
            && (self.options.knows_user)(first)
        {
            self.notes.push(Note::LooksLikeUser { user: shown(), others: 0 });
        }
    }
}

/// Tells whether what follows a command's first word is a word, and no option: of a user, a command would
/// follow.
fn is_before_word(rest: &[u8]) -> bool {
    rest.iter()
        .find(|byte| !is_blank(**byte))
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"/.".contains(byte))
}

/// Reads the value of `CRON_TZ`; `None`: it is empty, and that is the system's zone.
fn read_zone(value: &[u8]) -> Option<Result<String, String>> {
    let name = String::from_utf8_lossy(value);
    if name.is_empty() {
        return None;
    }
    let zone = Zone::find(&name).map(|_| name.clone().into_owned());
    Some(zone.ok_or_else(|| {
        format!("CRON_TZ above: `{}` is not a zone of this machine's tzdata", shortened(&name))
    }))
}

/// Why the times of an entry cannot be read.
enum Unreadable<'a> {
    Field([&'a [u8]; 5], BadField),
    Nickname(&'a [u8]),
}

fn times<'a>(when: &When<'a>, dialect: Dialect, seed: u64) -> Result<Times, Unreadable<'a>> {
    match when {
        When::Fields(fields) => {
            dialect.read(fields, seed).map(Times::Fields).map_err(|bad| Unreadable::Field(*fields, bad))
        }
        When::Nickname(nickname) => {
            // A carriage return belongs to it, and is not white space to be folded.
            let text = std::str::from_utf8(nickname).ok().filter(|text| !text.contains(char::is_whitespace));
            let schedule = text.and_then(|text| parse_cron(text).ok());
            schedule.map(Times::Nickname).ok_or(Unreadable::Nickname(nickname))
        }
    }
}

/// Returns the parts of a value that a shell would have expanded: `$NAME`, `$(…)`, `~` in front, backquotes.
fn not_expanded(value: &[u8]) -> Option<String> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if value.starts_with(b"~") || value.windows(2).any(|pair| pair == b":~") {
        return Some("~".to_owned());
    }
    if value.contains(&b'`') {
        return Some("`".to_owned());
    }
    let dollar = value
        .windows(2)
        .position(|pair| pair[0] == b'$' && (is_name(&pair[1]) || b"{(".contains(&pair[1])))?;
    let length = 2 + value[dollar + 2..].iter().take_while(|byte| is_name(byte)).count();
    Some(String::from_utf8_lossy(&value[dollar..dollar + length]).into_owned())
}
