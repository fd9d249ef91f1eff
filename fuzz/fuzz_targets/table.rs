//! Owns: what must hold for every file that is read as a crontab, of either cron and in either layout.
//! Never: what a cron says to a file (see tests/differential.rs).
//!
//! That every search for a fire ends is libFuzzer's to watch (`-timeout`).

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use taskq::crontab::{
    Account, Entry, Finding, Layout, Line, MailRule, Note, Options, Timing, Variables, Verdict, environment, lines,
    mail_rule, read,
};
use taskq::domain::Timestamp;
use taskq::schedule::{Dialect, Schedule, Zone, parse_cron};

const USERS: [&[u8]; 5] = [b"root", b"daemon", b"nobody", b"www-data", b"backup"];

/// The most variables that a table sets, and the longest command that can be run.
const VARIABLES_MAX: usize = 1_000;
const COMMAND_BYTES_MAX: usize = 128 * 1024 - 1;

static BERLIN: LazyLock<Zone> = LazyLock::new(|| Zone::named("Europe/Berlin").expect("tzdata has it"));

fuzz_target!(|file: &[u8]| {
    for origin in Dialect::ALL {
        for layout in [Layout::User, Layout::System] {
            table(file, *origin, layout);
        }
    }
});

fn table(file: &[u8], origin: Dialect, layout: Layout) {
    let options = Options { origin, layout, host: file.len() as u64, knows_user: &|name| USERS.contains(&name) };
    let findings = read(file, &options);
    assert!(findings.iter().map(|finding| finding.line).eq(lines(file)), "each line gives one finding");
    let bytes: Vec<u8> = findings.iter().flat_map(|finding| finding.line.bytes().collect::<Vec<_>>()).collect();
    assert_eq!(bytes, file, "the lines are the file");
    for finding in &findings {
        check(finding, origin, layout);
    }
    assert_eq!(read(file, &options), findings, "what is read twice is the same");
    // What stands below a line has no say in it.
    let above = &findings[..findings.len() / 2];
    let length = above.iter().map(|finding| finding.line.bytes().count()).sum();
    let upper = Options { host: file.len() as u64, ..options };
    assert_eq!(read(&file[..length], &upper), above, "a line is read from above");
}

fn check(finding: &Finding<'_>, origin: Dialect, layout: Layout) {
    for note in &finding.notes {
        assert!(!note.to_string().is_empty(), "a note says something");
        if let Note::OtherTimes { fires: Some(fires), .. } = note {
            fire(&fires.schedule);
            assert!(fires.zone.as_deref().is_none_or(|name| Zone::find(name).is_some()), "a zone is one");
        }
    }
    match &finding.verdict {
        Verdict::Nothing => assert!(is_nothing(&finding.line), "what runs or sets anything is no comment"),
        Verdict::Variable(variable) => {
            assert!(!variable.name.contains(&0) && !variable.value.contains(&0), "a variable can be set");
        }
        Verdict::Entry(entry) => {
            assert_eq!(entry.user.is_some(), layout == Layout::System, "a system's table has users, and it alone");
            check_entry(entry, &finding.notes, origin);
        }
        Verdict::Refused { column, cause, hint } => {
            let columns = String::from_utf8_lossy(finding.line.text).chars().count() + 1;
            assert!((1..=columns).contains(column), "column {column} of {columns}");
            assert!(!cause.is_empty() && hint.as_ref().is_none_or(|hint| !hint.is_empty()), "an error says something");
        }
    }
}

fn is_nothing(line: &Line<'_>) -> bool {
    line.text.trim_ascii().first().is_none_or(|byte| *byte == b'#') || line.text.iter().all(u8::is_ascii_whitespace)
}

fn check_entry(entry: &Entry<'_>, notes: &[Note], origin: Dialect) {
    assert!(!entry.command.command.contains(&0), "a shell can be given it");
    assert!(entry.command.command.len() <= COMMAND_BYTES_MAX, "the system takes it");
    let is_never = notes.iter().any(|note| matches!(note, Note::NoCommand | Note::NeverFires));
    assert_eq!(entry.timing.is_none(), is_never, "what makes no job says why: {notes:?}");
    if let Some(Timing { expr, schedule, zone, delay: _ }) = &entry.timing {
        assert_eq!(parse_cron(expr).as_ref(), Ok(schedule), "{expr}");
        assert!(zone.as_deref().is_none_or(|name| Zone::find(name).is_some()), "a zone is one");
        assert!(origin == Dialect::Cronie || zone.is_none(), "Debian's cron knows no zones");
        fire(schedule);
    }
    check_variables(&entry.variables, origin);
}

/// A schedule of a table comes to a fire, for what never does makes no job.
fn fire(schedule: &Schedule) {
    let from = Timestamp::from_seconds(1_774_738_000);
    let next = schedule.next_after(from, &Zone::utc());
    assert_eq!(next.is_none(), *schedule == Schedule::Reboot, "it comes to a fire");
    assert!(next.is_none_or(|next| next > from), "a fire comes after");
    let _ = schedule.next_after(from, &BERLIN);
}

fn check_variables(variables: &Variables, origin: Dialect) {
    assert!(variables.len() <= VARIABLES_MAX, "a table sets no more");
    let account = Account { name: "nobody".to_owned(), home: b"/nonexistent".to_vec() };
    let env = environment(variables, &account, &[b"LANG=C.UTF-8".to_vec(), b"HOME=/login".to_vec()], origin);
    let mut names: Vec<&[u8]> = env.iter().map(|var| name(var)).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a variable is set once");
    if let MailRule::To(to) = mail_rule(variables, &env, &account, origin) {
        assert!(!to.is_empty() && !to.starts_with('-') && !to.contains(char::is_whitespace), "an address is one: {to}");
    }
}

/// Returns the name of a variable; of one without a name, as of a quoted name, what stands before the first `=`.
fn name(var: &[u8]) -> &[u8] {
    let end = var.iter().position(|byte| *byte == b'=').expect("a variable has a value");
    &var[..end]
}
