//! Owns: comparisons with other programs: the readings of `crontab -n` of Debian and `crontab -T` of cronie,
//! the fires of cronsim, and the elapses of systemd-analyze (see `calendars`).
//! Never: ground truth in files (see tests/oracle.rs).
//!
//! All programs are optional: `TASKQ_REQUIRE` makes them required. `TASKQ_DIFFERENTIAL=n` makes each
//! test n times longer, and `TASKQ_CRONIE` names a crontab of cronie that is not installed.
#![allow(clippy::disallowed_types, reason = "tests start programs")]

#[path = "differential/calendars.rs"]
mod calendars;
#[path = "differential/lines.rs"]
mod lines;
#[path = "differential/random.rs"]
mod random;
#[path = "shared/mod.rs"]
mod shared;
#[path = "differential/tables.rs"]
mod tables;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use random::Random;
use shared::{has, setting};
use taskq::domain::Timestamp;
use taskq::schedule::{Dialect, Zone, parse_cron};

/// The version of `Dialect::Debian`.
const DEBIAN: &str = "3.0pl1-162";

/// Fewer than the 10,000 lines that Debian's cron accepts.
const LINES_MAX: usize = 9_000;

const EXPRESSIONS: usize = 2_400;

fn times() -> usize {
    setting("TASKQ_DIFFERENTIAL").unwrap_or(1)
}

/// Runs a program on an input. `None` if there is no such program.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    thread::scope(|scope| {
        // It may stop reading at the first error.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().ok()
    })
}

/// Returns whether `crontab -n` of that version is installed and works.
fn has_crontab() -> bool {
    let version = run("dpkg-query", &["-W", "-f", "${Version}", "cron"], b"");
    let is_right = version.is_some_and(|output| output.stdout.starts_with(DEBIAN.as_bytes()));
    has("cron", is_right && check(b"* * * * * x\n") == Ok(()))
}

/// Checks a table by `crontab -n`. The error is the first that it reports.
fn check(table: &[u8]) -> Result<(), String> {
    let output = run("crontab", &["-n", "-"], table).ok_or("there is no crontab")?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned())
}

fn table<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    lines.into_iter().flat_map(|line| [line, b" x\n"].concat()).collect()
}

#[test]
fn debians_crontab_reads_exactly_the_fields_that_our_dialect_of_it_reads() {
    if !has_crontab() {
        return;
    }
    let mut random = Random(1);
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..EXPRESSIONS * times() {
        let fields = random.odd_fields();
        let line = fields.join(&b' ');
        match Dialect::Debian.read(&fields.each_ref().map(Vec::as_slice), 0) {
            Ok(_) => read.push(line),
            Err(bad) => refused.push((line, bad)),
        }
    }
    assert!(read.len() > EXPRESSIONS / 4 && refused.len() > EXPRESSIONS / 4, "both kinds are tried");
    // It stops at the first error. So all good lines are checked at once, and bad lines one by one.
    for lines in read.chunks(LINES_MAX) {
        if let Err(first) = check(&table(lines.iter().map(Vec::as_slice))) {
            let alone = lines.iter().find(|line| check(&table([line.as_slice()])).is_err());
            panic!("{first}: {}", alone.expect("one of the lines is refused").escape_ascii());
        }
    }
    thread::scope(|scope| {
        for part in refused.chunks(refused.len().div_ceil(4)) {
            scope.spawn(move || {
                for (line, bad) in part {
                    let answer = check(&table([line.as_slice()]));
                    let is_same = answer.as_ref().is_err_and(|error| error.ends_with(bad.message()));
                    assert!(is_same, "{}: {bad:?} is {answer:?}", line.escape_ascii());
                }
            });
        }
    });
    println!("{} read, {} refused", read.len(), refused.len());
}

/// Prints `FIRES` fires for each line of zone, start and expression.
const CRONSIM: &str = "
import sys, datetime, zoneinfo, itertools
from cronsim import CronSim
for line in sys.stdin:
    zone, start, expression = line.rstrip('\\n').split('\\t')
    at = datetime.datetime.fromtimestamp(int(start), zoneinfo.ZoneInfo(zone))
    print(*(int(fire.timestamp()) for fire in itertools.islice(CronSim(expression, at), FIRES)))
";

const FIRES: usize = 8;

#[test]
fn five_fields_fire_when_cronsim_says() {
    let import = "import cronsim, zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')";
    let has_cronsim = run("python3", &["-c", import], b"").is_some_and(|output| output.status.success());
    if !has("cronsim", has_cronsim) {
        return;
    }
    let mut random = Random(2);
    let mut cases = Vec::new();
    while cases.len() < EXPRESSIONS * times() {
        let expression = random.strict_fields().join(" ");
        if parse_cron(&expression).is_ok() {
            let zone = if random.below(4) == 0 { "UTC" } else { "Europe/Berlin" };
            cases.push((zone, random.instant(), expression));
        }
    }
    let input: String =
        cases.iter().map(|(zone, start, text)| format!("{zone}\t{start}\t{text}\n")).collect();
    let program = CRONSIM.replace("FIRES", &FIRES.to_string());
    let output = run("python3", &["-c", &program], input.as_bytes()).expect("python3 was there before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8(output.stdout).expect("digits");
    assert_eq!(theirs.lines().count(), cases.len());
    for ((zone, start, text), theirs) in cases.iter().zip(theirs.lines()) {
        let schedule = parse_cron(text).expect("it was read before");
        let place = Zone::named(zone).expect("tzdata has it");
        let theirs: Vec<i64> =
            theirs.split(' ').filter(|at| !at.is_empty()).map(|at| at.parse().expect("digits")).collect();
        let next = |at: &Timestamp| schedule.next_after(*at, &place);
        let ours = std::iter::successors(next(&Timestamp::from_seconds(*start)), next);
        let ours: Vec<i64> = ours.take(FIRES).map(Timestamp::as_seconds).collect();
        assert!(ours.starts_with(&theirs), "{text} in {zone} after {start}: {ours:?}, {theirs:?}");
        // cronsim gives up after 50 years.
        assert!(
            ours.get(theirs.len()).is_none_or(|far| far - start > 49 * 31_557_600),
            "{text} in {zone}: {ours:?}"
        );
    }
}
