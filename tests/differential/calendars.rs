//! Owns: calendar expressions against systemd-analyze(1): what is refused, the normal form, the next elapses.
//! Never: our own expressions as calendar lines (see the tests of `schedule`).
//!
//! systemd 252 differs from its manual in these cases, and taskq follows the manual:
//!
//! - *An open repetition.* A step that runs past the end of its field and of the next ones loses what comes
//!   first after it: `*-*-01/4` loses 1 January, `*:0/7` loses midnight. Now and then the search gives up.
//!   With an end for the range, `*-*-01..31/4`, systemd elapses right.
//! - *A clock that shows a time twice.* systemd elapses at the first of the two, but in some searches of days
//!   from the end of a month, and after a base within the second hour, at the second.
//! - *Zones whose saving time is in winter, or that leave out a day* (Dublin, Casablanca, Apia): it loses
//!   hours or more there. They are not in `ZONES`.

use std::process::Command;

use super::random::Random;
use super::shared::{has, note};
use super::times;
use taskq::domain::Timestamp;
use taskq::schedule::{Schedule, Zone, parse_calendar};

/// How many expressions one call asks for, and how many elapses of each.
const EXPRESSIONS: usize = 40;
const ELAPSES: usize = 6;

const CALLS: usize = 50;

/// The zones of the comparison. The first is the most frequent.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Europe/London",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Santiago",
    "Pacific/Auckland",
    "Asia/Jerusalem",
];

/// What systemd-analyze says about an expression.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Refused,
    /// It gives up after a thousand steps ("Infinite loop in calendar calculation").
    Stuck,
    Elapses {
        /// The normalised form.
        normal: String,
        /// The next elapses, to the second. Fewer than asked for if it never elapses again.
        at: Vec<i64>,
    },
}

/// Asks for the next elapses of many expressions after an instant. Without a zone of its own, an expression
/// is in `zone`. `None` if there is no systemd-analyze.
fn ask(expressions: &[String], zone: &str, from: i64, iterations: usize) -> Option<Vec<Answer>> {
    let mut command = Command::new("systemd-analyze");
    command.env("TZ", zone).env("LC_ALL", "C").env_remove("SYSTEMD_LOG_LEVEL").arg("calendar");
    command.args([format!("--iterations={iterations}"), format!("--base-time=@{from}"), "--".to_owned()]);
    let output = command.args(expressions).output();
    if !has("systemd", output.is_ok()) {
        return None;
    }
    let output = output.expect("systemd-analyze ran");
    let text = String::from_utf8(output.stdout).expect("it is text");
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines();
    let answers: Vec<_> = expressions
        .iter()
        .map(|expression| {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let is_stuck = errors.contains(&format!("Failed to determine next elapse for '{expression}':"));
            if is_stuck { Answer::Stuck } else { answer(&block) }
        })
        .collect();
    assert_eq!(lines.next(), None, "an answer for each expression");
    Some(answers)
}

fn answer(block: &[&str]) -> Answer {
    let values = |head: &'static str| {
        block
            .iter()
            .filter_map(move |line| line.trim().split_once(": ").filter(|(of, _)| of.starts_with(head)))
    };
    let Some((_, normal)) = values("Normalized form").next() else { return Answer::Refused };
    let shown: Vec<&str> = values("Next elapse").chain(values("Iter")).map(|(_, at)| at).collect();
    let in_utc: Vec<&str> = values("(in UTC)").map(|(_, at)| at).collect();
    let elapses = if in_utc.is_empty() { shown } else { in_utc };
    let at = elapses.into_iter().filter(|at| *at != "never").map(read).collect();
    Answer::Elapses { normal: normal.to_owned(), at }
}

/// Reads `Thu 2026-01-01 00:03:17 UTC`.
fn read(shown: &str) -> i64 {
    let words: Vec<&str> = shown.split(' ').collect();
    assert_eq!(words.get(3), Some(&"UTC"), "{shown}");
    let at = chrono::NaiveDateTime::parse_from_str(&words[1..3].join(" "), "%Y-%m-%d %H:%M:%S");
    at.unwrap_or_else(|error| panic!("{shown}: {error}")).and_utc().timestamp()
}

const WEEKDAYS: [&str; 14] = [
    "Mon..Fri",
    "Sat,Sun",
    "mon",
    "Tuesday",
    "Wed,Fri..Sun",
    "Thu-Sat",
    "SUN",
    "Mon,Mon",
    "Fri..Sun,Mon",
    "Mon..Sun",
    "Sat",
    "Tue,Thu",
    "Wednesday..Saturday",
    "Sun,",
];
const WORDS: [&str; 13] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "semi-annually",
    "biannually",
    "bi-annually",
    "yearly",
    "annually",
    "Daily",
];
const YEARS: [&str; 10] = [
    "2026",
    "2025..2031",
    "2026/2",
    "2024..2040/4",
    "26,28,30",
    "27..29",
    "2100",
    "2000,2028",
    "1999..2003",
    "99",
];
const JUNK: [&str; 26] = [
    "",
    "Mon..",
    "Mon..Fri..Sun",
    "Fri..Mon",
    "Mon12:00",
    "12",
    "12:",
    ":30",
    "*/2:00",
    "1..:00",
    "5..4:00",
    "20/9:00",
    "*-*-31/1",
    "*-*~01/1",
    "*-*~01,28",
    "~01",
    "*~*~01",
    "*-13-01",
    "*-*-32",
    "24:00",
    "12:60",
    "12:00:60",
    "0/0:00",
    "12:0:5..5",
    "*-*-* 12:00 12:00",
    "1969-01-01",
];

impl Random {
    fn number(&mut self, low: u64, high: u64) -> String {
        let value = low + self.below(high - low + 1);
        match self.below(3) {
            0 => value.to_string(),
            _ => format!("{value:02}"),
        }
    }

    fn item(&mut self, low: u64, high: u64) -> String {
        let (one, other) = (low + self.below(high - low + 1), low + self.below(high - low + 1));
        let (one, other) = (one.min(other), one.max(other));
        let longest = if self.below(3) == 0 { high - low + 1 } else { 9 };
        let step = 1 + self.below(longest);
        match self.below(6) {
            0 => format!("{one}..{other}"),
            1 => format!("{one:02}/{step}"),
            2 => format!("{one}..{other:02}/{step}"),
            _ => self.number(low, high),
        }
    }

    fn chain(&mut self, low: u64, high: u64, star_in: u64) -> String {
        if self.below(star_in) != 0 {
            return "*".to_owned();
        }
        let items = self.of(&[1, 1, 1, 2, 3]);
        (0..items).map(|_| self.item(low, high)).collect::<Vec<_>>().join(",")
    }

    fn seconds(&mut self) -> String {
        let micros = self.of(&["", "", "", ".5", ".25", ".000001", ".9999995", ".1234567"]);
        let step = self.of(&["0.5", "1.5", "0.7", "7", "10", "20.25", "1"]);
        let second = self.below(60);
        match self.below(6) {
            0 => "*".to_owned(),
            1 => format!("{second}{micros}/{step}"),
            2 => format!("0..{second}{micros}/{step}"),
            3 => self.chain(0, 59, 1),
            _ => format!("{second:02}{micros}"),
        }
    }

    fn date(&mut self) -> String {
        let year = match self.below(5) {
            0 => self.of(&YEARS).to_owned() + "-",
            1 | 2 => "*-".to_owned(),
            _ => String::new(),
        };
        let month = self.chain(1, 12, 2);
        match self.below(4) {
            0 => format!("{year}{month}~{}", self.chain(1, 9, 1)),
            _ => format!("{year}{month}-{}", self.chain(1, 31, 2)),
        }
    }

    fn time(&mut self) -> String {
        // Changes of the clock come in these hours.
        let hour = if self.below(3) == 0 { self.chain(0, 4, 1) } else { self.chain(0, 23, 2) };
        let minute = self.chain(0, 59, 2);
        match self.below(3) {
            0 => format!("{hour}:{minute}:{}", self.seconds()),
            _ => format!("{hour}:{minute}"),
        }
    }

    /// Returns an expression without a zone. Some are refused.
    pub fn calendar(&mut self) -> String {
        match self.below(20) {
            0 => return self.of(&WORDS).to_owned(),
            1 => return self.of(&JUNK).to_owned(),
            2 => return format!("@{}", self.below(7_000_000_000)),
            _ => {}
        }
        let mut parts = Vec::new();
        if self.below(3) == 0 {
            parts.push(self.of(&WEEKDAYS).to_owned());
        }
        if self.below(2) == 0 {
            parts.push(self.date());
        }
        if parts.is_empty() || self.below(4) != 0 {
            parts.push(self.time());
        }
        parts.join(" ")
    }

    /// Returns a zone, and where it is to be set: in the text or beside it.
    pub fn zone(&mut self) -> (&'static str, bool) {
        let zone = if self.below(4) == 0 { ZONES[0] } else { self.of(&ZONES) };
        (zone, self.below(2) == 0)
    }
}

/// Returns a normalised expression with an end for each open repetition: as second, `00/7` is
/// `00..59.999999/7`.
fn bounded(normal: &str) -> String {
    let is_date = |part: &str| part.starts_with(|c: char| c.is_ascii_digit() || c == '*');
    let bound = |part: &str| match part {
        time if time.contains(':') => bounded_part(time, ["23", "59", "59.999999"]),
        date if is_date(date) => bounded_part(date, ["2199", "12", "31"]),
        weekdays_or_zone => weekdays_or_zone.to_owned(),
    };
    normal.split(' ').map(bound).collect::<Vec<_>>().join(" ")
}

/// Returns a date or a time with an end for each open repetition of its three fields.
fn bounded_part(part: &str, ends: [&str; 3]) -> String {
    let mut text = String::new();
    let mut rest = part;
    for end in ends {
        let length = rest.find([':', '-', '~']).unwrap_or(rest.len());
        let is_from_end = text.ends_with('~');
        let items: Vec<String> =
            rest[..length].split(',').map(|item| bounded_item(item, end, is_from_end)).collect();
        text.push_str(&items.join(","));
        text.push_str(rest.get(length..=length).unwrap_or_default());
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    text
}

fn bounded_item(item: &str, end: &str, is_from_end: bool) -> String {
    match item.split_once('/').filter(|(start, _)| !start.contains("..")) {
        Some((start, step)) if is_from_end => {
            let number = |text: &str| text.parse::<usize>().expect("a number");
            let days = (1..=number(start)).rev().step_by(number(step));
            days.map(|day| day.to_string()).collect::<Vec<_>>().join(",")
        }
        Some((start, step)) => format!("{start}..{end}/{step}"),
        None => item.to_owned(),
    }
}

/// Returns our answer, and the zone in which the expression is.
fn ours(text: &str, zone: &Zone, from: i64) -> (Answer, Zone) {
    let Ok(calendar) = parse_calendar(text) else { return (Answer::Refused, zone.clone()) };
    let zone = calendar.zone().map_or_else(|| zone.clone(), |name| Zone::named(name).expect("it was read"));
    let normal = calendar.to_string();
    let schedule = Schedule::Calendar(Box::new(calendar));
    let next = |at: &Timestamp| schedule.next_after(*at, &zone);
    let fires = std::iter::successors(next(&Timestamp::from_seconds(from)), next).take(ELAPSES);
    (Answer::Elapses { normal, at: fires.map(Timestamp::as_seconds).collect() }, zone)
}

/// Why an answer may differ from ours.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    OpenRepetition,
    SecondPass,
}

/// Returns the exception that explains a difference of the answers from an instant on.
fn exception(
    own: &Answer,
    theirs: &Answer,
    (zone, from): (&Zone, i64),
    ask: impl Fn(String) -> Answer,
) -> Option<Exception> {
    let Answer::Elapses { normal, at } = own else { return None };
    if let Answer::Elapses { normal: other, at: others } = theirs {
        if normal != other {
            return None;
        }
        let reading = |at: i64| zone.reading(Timestamp::from_seconds(at)).to_string();
        // Half an hour on Lord Howe.
        let is_second = |at: i64| [1_800, 3_600].iter().any(|by| reading(at) == reading(at - by));
        let is_later = |(own, other): (&i64, &i64)| own <= other && reading(*own) == reading(*other);
        let is_late = at.len() == others.len() && at.iter().zip(others).all(is_later);
        let firsts: Vec<i64> = others.iter().copied().filter(|at| !is_second(*at)).collect();
        if is_late || is_second(from) && at.starts_with(&firsts) {
            return Some(Exception::SecondPass);
        }
    }
    let bounded = bounded(normal);
    let is_open = *theirs != Answer::Refused && bounded != *normal;
    let is_right = || matches!(ask(bounded), Answer::Elapses { at: bounded, .. } if bounded == *at);
    (is_open && is_right()).then_some(Exception::OpenRepetition)
}

#[test]
fn systemd_elapses_when_our_calendars_fire() {
    let mut random = Random(99);
    let (mut same, mut repetitions, mut passes) = (0, 0, 0);
    for _ in 0..CALLS * times() {
        let from = random.instant();
        let (name, is_in_text) = random.zone();
        let zone = Zone::named(name).expect("in every tzdata");
        let (suffix, beside) = if is_in_text { (format!(" {name}"), "UTC") } else { (String::new(), name) };
        let texts: Vec<String> = (0..EXPRESSIONS).map(|_| random.calendar() + &suffix).collect();
        let ask_one = |text: String| {
            let answers = ask(&[text], beside, from, ELAPSES);
            answers.and_then(|mut answers| answers.pop()).expect("it answered before")
        };
        let Some(answers) = ask(&texts, beside, from, ELAPSES) else { return };
        for (text, theirs) in texts.iter().zip(answers) {
            let (own, zone) = ours(text, &zone, from);
            // We refuse a date that never comes.
            let is_never = matches!(&theirs, Answer::Elapses { at, .. } if at.is_empty());
            if own == theirs || own == Answer::Refused && is_never {
                same += 1;
                continue;
            }
            match exception(&own, &theirs, (&zone, from), ask_one) {
                Some(Exception::OpenRepetition) => repetitions += 1,
                Some(Exception::SecondPass) => passes += 1,
                None => panic!("`{text}` in {beside} from @{from}: {own:?}, but systemd {theirs:?}"),
            }
        }
    }
    note(&format!(
        "{same} alike; systemd lost {repetitions} to open repetitions, {passes} to the second pass"
    ));
    assert!((repetitions + passes) * 100 < same, "{repetitions} and {passes} exceptions of {same}");
}

#[test]
fn systemd_252_loses_1_january_after_an_open_repetition_and_we_do_not() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    let is_252 = version.is_ok_and(|output| output.stdout.starts_with(b"systemd 252 "));
    if !has("systemd", is_252) {
        return;
    }
    // The eve of Christmas 2026.
    let from = 1_798_070_400;
    let of = |text: &str| ask(&[text.to_owned()], "UTC", from, ELAPSES).expect("it is there").remove(0);
    let days = |answer: &Answer| -> Vec<String> {
        let Answer::Elapses { at, .. } = answer else { panic!("{answer:?}") };
        at.iter().map(|at| Zone::utc().reading(Timestamp::from_seconds(*at)).date()).collect()
    };
    let (own, _) = ours("*-*-01/4", &Zone::utc(), from);
    assert_eq!(days(&own)[..3], ["2026-12-25", "2026-12-29", "2027-01-01"]);
    assert_eq!(days(&of("*-*-01/4"))[2], "2027-01-05");
    assert_eq!(days(&of("*-*-01..31/4")), days(&own));
}
