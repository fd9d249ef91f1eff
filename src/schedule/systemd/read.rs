//! Owns: the grammar of calendar expressions, and what is wrong with a text that is none.
//! Never: what its values mean (see the module around it).
//!
//! It follows `calendar_spec_from_string` of systemd 252 step by step. Only the zone differs: it is `UTC` or
//! a name of tzdata.

use std::fmt;

use super::super::calendar::WEEKDAYS_OF_SYSTEMD;
use super::super::parse_error::ParseError;
use super::super::vixie;
use super::super::zone::Zone;
use super::chain::{
    Chain, DAY, DAY_FROM_END, Field, HOUR, Item, MICROS, MINUTE, MONTH, Misfit, SECOND, YEAR,
};

/// The most items of a field.
const ITEMS_MAX: usize = 241;

/// Full names come before their beginnings.
const WEEKDAYS: [(&str, u32); 14] = [
    ("monday", 0),
    ("mon", 0),
    ("tuesday", 1),
    ("tue", 1),
    ("wednesday", 2),
    ("wed", 2),
    ("thursday", 3),
    ("thu", 3),
    ("friday", 4),
    ("fri", 4),
    ("saturday", 5),
    ("sat", 5),
    ("sunday", 6),
    ("sun", 6),
];

const ALL_WEEKDAYS: u64 = 0x7f;

/// The words, with an expression for each.
pub const WORDS: [(&str, &str); 8] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
];

/// Other words for these. systemd keeps the last one for old units.
const SYNONYMS: [(&str, &str); 5] = [
    ("biannually", "semiannually"),
    ("bi-annually", "semiannually"),
    ("semi-annually", "semiannually"),
    ("annually", "yearly"),
    ("anually", "yearly"),
];

/// Returns the expression of a word in small letters.
fn expression_of(word: &str) -> Option<&'static str> {
    let meant = SYNONYMS.iter().find(|(synonym, _)| *synonym == word).map_or(word, |(_, word)| word);
    WORDS.iter().find(|(word, _)| *word == meant).map(|(_, expression)| *expression)
}

const GRAMMAR: &str = "it is `[WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [ZONE]`, such as \
    `Mon..Fri 09:30`, `*:0/15` or `daily`";

/// The parts of an expression, normalised and checked.
pub(super) struct Expression {
    /// Bit 0 is Monday. 0: every day.
    pub(super) weekdays: u64,
    pub(super) years: Chain,
    pub(super) months: Chain,
    pub(super) days: Chain,
    /// The days count from the end of the month.
    pub(super) days_from_end: bool,
    pub(super) hours: Chain,
    pub(super) minutes: Chain,
    /// In microseconds.
    pub(super) seconds: Chain,
    pub(super) zone: Option<String>,
}

/// Reads a text without spaces around it.
pub(super) fn read(text: &str) -> Result<Expression, ParseError> {
    let (body, zone) = split_zone(text);
    let of_word = expression_of(&body.to_ascii_lowercase());
    let mut reader = Reader { text, body: of_word.unwrap_or(body), at: 0 };
    let mut expression = reader.expression()?;
    expression.zone = expression.zone.or(zone);
    expression.normalise();
    expression.check(&reader)?;
    Ok(expression)
}

/// Returns a text before its zone, and the name of the zone.
fn split_zone(text: &str) -> (&str, Option<String>) {
    let Some((body, word)) = text.rsplit_once(' ') else { return (text, None) };
    if word.eq_ignore_ascii_case("utc") {
        return (body, Some("UTC".to_owned()));
    }
    // systemd looks for a file, so the case of the name counts.
    let is_zone = |word: &str| Zone::known(word).is_some_and(|zone| zone.name() == word);
    match word.starts_with(char::is_alphabetic) && is_zone(word) {
        true => (body, Some(word.to_owned())),
        false => (text, None),
    }
}

impl Expression {
    fn fields(&mut self) -> [(&mut Chain, Field); 6] {
        let day = if self.days_from_end { DAY_FROM_END } else { DAY };
        [
            (&mut self.years, YEAR),
            (&mut self.months, MONTH),
            (&mut self.days, day),
            (&mut self.hours, HOUR),
            (&mut self.minutes, MINUTE),
            (&mut self.seconds, SECOND),
        ]
    }

    fn normalise(&mut self) {
        if self.weekdays == ALL_WEEKDAYS {
            self.weekdays = 0;
        }
        self.days_from_end &= !self.days.is_star();
        for year in &mut self.years.0 {
            year.start = full_year(year.start);
            year.stop = year.stop.map(full_year);
        }
        for (chain, _) in self.fields() {
            chain.normalise();
        }
    }

    fn check(&mut self, reader: &Reader<'_>) -> Result<(), ParseError> {
        for (chain, field) in self.fields() {
            if let Some((item, misfit)) = chain.misfit(field) {
                return Err(reader.refuse_item(field, item, &misfit));
            }
        }
        Ok(())
    }
}

/// The normal form of systemd-analyze(1).
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<usize> = (0..7).filter(|day| self.weekdays >> day & 1 == 1).collect();
        for (index, run) in days.chunk_by(|one, other| one + 1 == *other).enumerate() {
            let (first, last) = (WEEKDAYS_OF_SYSTEMD[run[0]], WEEKDAYS_OF_SYSTEMD[run[run.len() - 1]]);
            f.write_str(if index > 0 { "," } else { "" })?;
            match run.len() {
                1 => f.write_str(first)?,
                2 => write!(f, "{first},{last}")?,
                _ => write!(f, "{first}..{last}")?,
            }
        }
        let gap = if days.is_empty() { "" } else { " " };
        let before_day = if self.days_from_end { '~' } else { '-' };
        let (years, months, days) = (self.years.shown(YEAR), self.months.shown(MONTH), self.days.shown(DAY));
        write!(f, "{gap}{years}-{months}{before_day}{days}")?;
        let (hours, minutes) = (self.hours.shown(HOUR), self.minutes.shown(MINUTE));
        write!(f, " {hours}:{minutes}:{}", self.seconds.shown(SECOND))?;
        match &self.zone {
            Some(zone) => write!(f, " {zone}"),
            None => Ok(()),
        }
    }
}

/// Turns 12 into 2012, and 89 into 1989.
fn full_year(year: i32) -> i32 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        _ => year,
    }
}

/// Why reading stopped.
#[derive(Clone, Copy)]
enum Fault {
    NotUnderstood,
    /// A number that no field has.
    TooLarge,
    ZeroStep,
    /// Weekdays run from Monday to Sunday.
    BackwardDays,
    TooManyItems,
    /// A range of seconds that ends before it has a second value.
    ShortRange,
}

struct Reader<'a> {
    /// The whole text, for errors.
    text: &'a str,
    /// The part before the zone, or the expression of a word.
    body: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        &self.body.as_bytes()[self.at..]
    }

    /// Returns the next byte. Nothing is read as the end, so NUL is not one.
    fn next(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn skips(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token.as_bytes());
        self.at += if is_next { token.len() } else { 0 };
        is_next
    }

    fn skip_spaces(&mut self) {
        while self.skips(" ") {}
    }

    fn expression(&mut self) -> Result<Expression, ParseError> {
        let mut expression = Expression {
            weekdays: self.weekdays()?,
            years: Chain::default(),
            months: Chain::default(),
            days: Chain::default(),
            days_from_end: false,
            hours: Chain::default(),
            minutes: Chain::default(),
            seconds: Chain::default(),
            zone: None,
        };
        if self.body.is_empty() {
            return Err(self.refuse(Fault::NotUnderstood));
        }
        if self.skips("@") {
            self.epoch(&mut expression)?;
        } else {
            self.date(&mut expression)?;
            self.time(&mut expression)?;
        }
        match self.next() {
            None => Ok(expression),
            Some(_) => Err(self.refuse(Fault::NotUnderstood)),
        }
    }

    /// Reads `Mon`, `Mon..Fri`, `Sat,Sun`, and the spaces after it. Nothing is every day.
    fn weekdays(&mut self) -> Result<u64, ParseError> {
        let mut set = 0;
        let mut range_from: Option<u32> = None;
        let mut is_first = true;
        loop {
            let rest = self.rest();
            let begins = |name: &str| {
                rest.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
            };
            let Some((name, day)) = WEEKDAYS.iter().find(|(name, _)| begins(name)) else {
                return if is_first { Ok(0) } else { Err(self.refuse(Fault::NotUnderstood)) };
            };
            if !matches!(rest.get(name.len()), None | Some(b'-' | b'.' | b',' | b' ')) {
                return Err(self.refuse(Fault::NotUnderstood));
            }
            let from = range_from.unwrap_or(*day);
            if from > *day {
                return Err(self.refuse(Fault::BackwardDays));
            }
            set |= (from..=*day).fold(0, |set, day| set | 1 << day);
            self.at += name.len();
            match self.next() {
                None => return Ok(set),
                Some(b' ') => {
                    self.skip_spaces();
                    return Ok(set);
                }
                Some(b'.' | b'-') if range_from.is_none() && (self.skips("..") || self.skips("-")) => {
                    range_from = Some(*day);
                }
                Some(b',') => {
                    self.at += 1;
                    range_from = None;
                }
                Some(_) => return Err(self.refuse(Fault::NotUnderstood)),
            }
            // A comma may be the last, an open range may not.
            if matches!(self.next(), None | Some(b' ')) {
                if range_from.is_some() {
                    return Err(self.refuse(Fault::NotUnderstood));
                }
                self.skip_spaces();
                return Ok(set);
            }
            is_first = false;
        }
    }

    /// Reads the seconds since 1970 after an `@`, as strtoul(3) does.
    fn epoch(&mut self, expression: &mut Expression) -> Result<(), ParseError> {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0b) {
            self.at += 1;
        }
        let is_negative = self.skips("-");
        if !is_negative {
            self.skips("+");
        }
        let start = self.at;
        let Some(seconds) = self.number()? else { return Err(self.refuse(Fault::NotUnderstood)) };
        let at = i64::try_from(seconds).ok().filter(|at| *at == 0 || !is_negative);
        let at = at.and_then(|at| chrono::DateTime::from_timestamp(at, 0));
        let Some(at) = at else {
            self.at = start;
            return Err(self.refuse(Fault::TooLarge));
        };
        let part = |format: &str| at.format(format).to_string().parse::<i32>().expect("a number");
        let chain = |format: &str, unit| {
            Chain(vec![Item { source: start..self.at, ..Item::value(part(format) * unit) }])
        };
        expression.years = chain("%Y", 1);
        expression.months = chain("%m", 1);
        expression.days = chain("%d", 1);
        expression.hours = chain("%H", 1);
        expression.minutes = chain("%M", 1);
        expression.seconds = chain("%S", MICROS);
        expression.zone = Some("UTC".to_owned());
        Ok(())
    }

    /// Reads `YEAR-MONTH-DAY` or `MONTH-DAY`, and the spaces after it. Stays where it is at a time.
    fn date(&mut self, expression: &mut Expression) -> Result<(), ParseError> {
        let start = self.at;
        if self.next().is_none() {
            return Ok(());
        }
        let first = self.chain(false)?;
        if matches!(self.next(), None | Some(b':')) {
            self.at = start;
            return Ok(());
        }
        expression.days_from_end = self.date_separator()?;
        let second = self.chain(false)?;
        if matches!(self.next(), None | Some(b' ')) {
            self.skip_spaces();
            (expression.months, expression.days) = (first, second);
            return Ok(());
        }
        if expression.days_from_end {
            return Err(self.refuse(Fault::NotUnderstood));
        }
        expression.days_from_end = self.date_separator()?;
        let third = self.chain(false)?;
        if !matches!(self.next(), None | Some(b' ')) {
            return Err(self.refuse(Fault::NotUnderstood));
        }
        self.skip_spaces();
        (expression.years, expression.months, expression.days) = (first, second, third);
        Ok(())
    }

    /// Reads a separator, and returns whether it is `~`.
    fn date_separator(&mut self) -> Result<bool, ParseError> {
        match self.next() {
            Some(b'~' | b'-') => Ok(self.skips("~") || !self.skips("-")),
            Some(_) | None => Err(self.refuse(Fault::NotUnderstood)),
        }
    }

    /// Reads `HOUR:MINUTE` or `HOUR:MINUTE:SECOND`. Nothing is midnight.
    fn time(&mut self, expression: &mut Expression) -> Result<(), ParseError> {
        let zero = || Chain::value(0);
        if self.next().is_none() {
            (expression.hours, expression.minutes, expression.seconds) = (zero(), zero(), zero());
            return Ok(());
        }
        expression.hours = self.chain(false)?;
        if !self.skips(":") {
            return Err(self.refuse(Fault::NotUnderstood));
        }
        expression.minutes = self.chain(false)?;
        expression.seconds = match self.skips(":") {
            true => self.chain(true)?,
            false => zero(),
        };
        Ok(())
    }

    /// Reads a star or items by commas, of seconds in microseconds.
    fn chain(&mut self, of_seconds: bool) -> Result<Chain, ParseError> {
        if self.skips("*") {
            let every_second = Item { step: Some(MICROS), ..Item::value(0) };
            return Ok(if of_seconds { Chain(vec![every_second]) } else { Chain::default() });
        }
        let mut items = Vec::new();
        loop {
            if items.len() == ITEMS_MAX {
                return Err(self.refuse(Fault::TooManyItems));
            }
            items.push(self.item(of_seconds)?);
            if !self.skips(",") {
                return Ok(Chain(items));
            }
        }
    }

    fn item(&mut self, of_seconds: bool) -> Result<Item, ParseError> {
        let from = self.at;
        let unit = if of_seconds { MICROS } else { 1 };
        let start = self.value(of_seconds)?;
        let stop = if self.skips("..") { Some(self.value(of_seconds)?) } else { None };
        let mut step = stop.map(|_| unit);
        if self.skips("/") {
            let at = self.at;
            step = Some(self.value(of_seconds)?).filter(|step| *step != 0);
            if step.is_none() {
                self.at = at;
                return Err(self.refuse(Fault::ZeroStep));
            }
        } else if of_seconds && stop.is_some_and(|stop| start.saturating_add(unit) > stop) {
            // Its step is a whole second.
            self.at = from;
            return Err(self.refuse(Fault::ShortRange));
        }
        match self.next() {
            None | Some(b' ' | b',' | b'-' | b'~' | b':') => {
                Ok(Item { start, stop, step, source: from..self.at })
            }
            Some(_) => Err(self.refuse(Fault::NotUnderstood)),
        }
    }

    /// Reads a value, of seconds with decimals.
    fn value(&mut self, of_seconds: bool) -> Result<i32, ParseError> {
        let start = self.at;
        let Some(whole) = self.number()? else { return Err(self.refuse(Fault::NotUnderstood)) };
        let mut value = Some(whole);
        if of_seconds {
            value = whole.checked_mul(u64::from(MICROS.cast_unsigned()));
            // A second point makes it a range.
            if !self.rest().starts_with(b"..") && self.skips(".") {
                let micros = self.fraction()?;
                value = value.and_then(|value| value.checked_add(micros));
            }
        }
        value.and_then(|value| i32::try_from(value).ok()).ok_or_else(|| {
            self.at = start;
            self.refuse(Fault::TooLarge)
        })
    }

    /// Reads digits. `None` if there are none.
    fn number(&mut self) -> Result<Option<u64>, ParseError> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = self.body[self.at..self.at + digits].parse();
        if digits == 0 {
            return Ok(None);
        }
        let number = number.map_err(|_| self.refuse(Fault::TooLarge))?;
        self.at += digits;
        Ok(Some(number))
    }

    /// Reads decimals as microseconds. From the seventh on they only round.
    fn fraction(&mut self) -> Result<u64, ParseError> {
        let digits: Vec<u8> = self.rest().iter().copied().take_while(u8::is_ascii_digit).collect();
        if digits.is_empty() {
            return Err(self.refuse(Fault::NotUnderstood));
        }
        self.at += digits.len();
        let digit = |index: usize| digits.get(index).map_or(0, |digit| u64::from(digit - b'0'));
        Ok((0..6).fold(0, |micros, index| micros * 10 + digit(index)) + u64::from(digit(6) >= 5))
    }

    fn refuse(&self, fault: Fault) -> ParseError {
        // The expression of a word has no faults, so positions are those of the text.
        let text = self.text;
        let begin = text.get(..self.at).and_then(|read| read.rfind(' ')).map_or(0, |space| space + 1);
        let part = text.get(begin..).unwrap_or_default().split(' ').next().unwrap_or_default();
        let in_text = if part == text { String::new() } else { format!(" in `{text}`") };
        let (cause, hint) = match fault {
            Fault::NotUnderstood => return self.not_understood(part, &in_text),
            Fault::TooLarge => (format!("a number of `{part}`{in_text} is too large"), GRAMMAR),
            Fault::ZeroStep => (format!("the step of `{part}`{in_text} is 0"), "steps begin with 1"),
            Fault::BackwardDays => {
                let cause = format!("`{part}`{in_text} runs backwards: weeks begin with Monday");
                (cause, "name two ranges: `Fri..Sun,Mon`")
            }
            Fault::TooManyItems => (format!("a field of `{text}` has more than {ITEMS_MAX} items"), GRAMMAR),
            Fault::ShortRange => {
                let cause = format!("the seconds of `{part}`{in_text} end before a second value");
                (cause, "give a step below a second: `0..0.5/0.1`")
            }
        };
        self.refusal(self.at, cause, hint)
    }

    fn refusal(&self, at: usize, cause: String, hint: impl Into<String>) -> ParseError {
        let column = self.text.get(..at).unwrap_or_default().chars().count() + 1;
        ParseError { cause, column: Some(column), hint: Some(hint.into()) }
    }

    /// Finds out what was meant by a word that is not understood.
    fn not_understood(&self, part: &str, in_text: &str) -> ParseError {
        let text = self.text;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let is_cron = fields.len() == 5 && vixie::parse(&fields.join(" ")).is_ok();
        if let Some(refusal) = self.not_a_zone().filter(|_| !is_cron) {
            return refusal;
        }
        let cause = match (text.is_empty(), part.is_empty()) {
            (true, _) => "an empty text is no calendar expression".to_owned(),
            (false, true) => format!("`{text}` ends too early"),
            (false, false) => format!("`{part}`{in_text} is not understood"),
        };
        let word = text.strip_prefix('@').filter(|word| expression_of(word).is_some());
        let hint = if is_cron {
            format!("five fields are a cron expression: `--cron '{text}'`")
        } else if let Some(word) = word {
            format!("systemd writes `{word}`; `{text}` is one of `--cron`")
        } else if part.contains("*/") {
            format!("a repetition needs a first value: `{}`", part.replace("*/", "0/"))
        } else if part.contains(':') && part.contains('-') {
            format!("a range has two points: `{}`", part.replace('-', ".."))
        } else {
            GRAMMAR.to_owned()
        };
        self.refusal(self.at, cause, hint)
    }

    /// Returns the error for a last word that looks like a zone and is none.
    fn not_a_zone(&self) -> Option<ParseError> {
        let (body, last) = self.text.rsplit_once(' ').filter(|_| self.body == self.text)?;
        let is_weekday = WEEKDAYS.iter().any(|(name, _)| name.eq_ignore_ascii_case(last));
        if !last.starts_with(char::is_alphabetic) || is_weekday {
            return None;
        }
        let near = match Zone::named(last) {
            Ok(zone) => Some(format!("did you mean `{}`?", zone.name())),
            // Short words are like some city or other.
            Err(error) => error.hint.filter(|_| last.contains('/')),
        };
        let hint = near.unwrap_or_else(|| "a zone is `UTC` or a name such as `Europe/Berlin`".to_owned());
        let cause = format!("`{last}` in `{}` is not a zone of this machine's tzdata", self.text);
        Some(self.refusal(body.len() + 1, cause, hint))
    }

    fn refuse_item(&self, field: Field, item: &Item, misfit: &Misfit) -> ParseError {
        let (text, name, low) = (self.text, field.name, field.low);
        let shown = text.get(item.source.clone()).unwrap_or_default();
        let why = match misfit {
            Misfit::Outside(last) => format!("is outside {low}-{}", last / field.unit),
            Misfit::Backward => "runs backwards".to_owned(),
            Misfit::LongStep => format!("has no second value in {low}-{}", field.high / field.unit),
        };
        let in_text = if shown == text { String::new() } else { format!(" in `{text}`") };
        let hint = match misfit {
            Misfit::Outside(_) => GRAMMAR,
            Misfit::Backward => "name two ranges by a comma, such as `22..23,0..5`",
            Misfit::LongStep => "leave out the step",
        };
        self.refusal(item.source.start, format!("{name} `{shown}`{in_text} {why}"), hint)
    }
}
