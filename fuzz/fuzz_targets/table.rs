//! Owns: the properties of every file that is read as a crontab, for both crons and in both layouts.
//! Never: the answers of a cron (see tests/differential.rs).
//!
//! libFuzzer checks that every search for a fire ends (`-timeout`).

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use taskq::crontab::{
    CommandText, Entry, Finding, Layout, Line, MailRule, Note, Options, Timing, Variables, Verdict,
    environment, lines, mail_rule, read, write,
};
use taskq::domain::{Person, Timestamp};
use taskq::schedule::{Dialect, Schedule, Zone, parse_cron};

const USERS: [&[u8]; 5] = [b"root", b"daemon", b"nobody", b"www-data", b"backup"];

/// The most variables that a table sets, and the longest command that can be run.
const VARIABLES_MAX: usize = 10_000;
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
    let options =
        Options { origin, layout, host: file.len() as u64, knows_user: &|name| USERS.contains(&name) };
    let findings = read(file, &options);
    assert!(findings.iter().map(|finding| finding.line).eq(lines(file)), "each line gives one finding");
    let bytes: Vec<u8> =
        findings.iter().flat_map(|finding| finding.line.bytes().collect::<Vec<_>>()).collect();
    assert_eq!(bytes, file, "the lines are the file");
    for finding in &findings {
        check(finding, origin, layout);
    }
    assert_eq!(read(file, &options), findings, "reading is repeatable");
    if layout == Layout::User {
        written(&findings, origin);
    }
    // The lines below do not change the meaning of a line.
    let above = &findings[..findings.len() / 2];
    let length = above.iter().map(|finding| finding.line.bytes().count()).sum();
    let upper = Options { host: file.len() as u64, ..options };
    assert_eq!(read(&file[..length], &upper), above, "a line does not depend on those below");
}

fn check(finding: &Finding<'_>, origin: Dialect, layout: Layout) {
    for note in &finding.notes {
        assert!(!note.to_string().is_empty(), "a note has words");
        if let Note::OtherTimes { fires: Some(fires), .. } = note {
            fire(&fires.schedule);
            assert!(fires.zone.as_deref().is_none_or(|name| Zone::find(name).is_some()), "a zone is one");
        }
    }
    match &finding.verdict {
        Verdict::Nothing => assert!(is_nothing(&finding.line), "a comment or a blank line"),
        Verdict::Variable(variable) => {
            assert!(!variable.name.contains(&0) && !variable.value.contains(&0), "a variable can be set");
        }
        Verdict::Entry(entry) => {
            assert_eq!(entry.user.is_some(), layout == Layout::System, "only a system table has users");
            check_entry(entry, &finding.notes, origin);
        }
        Verdict::Refused { column, cause, hint } => {
            let columns = String::from_utf8_lossy(finding.line.text).chars().count() + 1;
            assert!((1..=columns).contains(column), "column {column} of {columns}");
            assert!(
                !cause.is_empty() && hint.as_ref().is_none_or(|hint| !hint.is_empty()),
                "an error has words"
            );
        }
    }
}

fn is_nothing(line: &Line<'_>) -> bool {
    line.text.trim_ascii().first().is_none_or(|byte| *byte == b'#')
        || line.text.iter().all(u8::is_ascii_whitespace)
}

fn check_entry(entry: &Entry<'_>, notes: &[Note], origin: Dialect) {
    assert!(!entry.command.command.contains(&0), "a shell can be given it");
    assert!(entry.command.command.len() <= COMMAND_BYTES_MAX, "the system takes it");
    let is_never = notes.iter().any(|note| matches!(note, Note::NoCommand | Note::NeverFires));
    assert_eq!(entry.timing.is_none(), is_never, "a note explains why there is no job: {notes:?}");
    if let Some(Timing { expr, schedule, zone, delay: _ }) = &entry.timing {
        assert_eq!(parse_cron(expr).as_ref(), Ok(schedule), "{expr}");
        assert!(zone.as_deref().is_none_or(|name| Zone::find(name).is_some()), "a zone is one");
        assert!(origin == Dialect::Cronie || zone.is_none(), "Debian's cron knows no zones");
        fire(schedule);
    }
    check_variables(&entry.variables, origin);
}

/// A schedule of a table fires, because an entry that never fires makes no job.
fn fire(schedule: &Schedule) {
    let from = Timestamp::from_seconds(1_774_738_000);
    let next = schedule.next_after(from, &Zone::utc());
    assert_eq!(next.is_none(), *schedule == Schedule::Reboot, "it fires");
    assert!(next.is_none_or(|next| next > from), "a fire comes after");
    let _ = schedule.next_after(from, &BERLIN);
}

/// Writes the entries of a table as a table, and reads each of them back.
fn written(findings: &[Finding<'_>], origin: Dialect) {
    let entries: Vec<write::TableJob> =
        running(findings).filter_map(|entry| as_written(entry, origin)).collect();
    let base = vars(&Variables::default(), origin);
    let (text, refused) = write::write(&entries, &base, origin);
    let mut wanted: Vec<Meaning> = entries
        .iter()
        .enumerate()
        .filter(|(index, _)| refused.iter().all(|(place, _)| place != index))
        .map(|(_, entry)| meaning(&entry.schedules[0], &entry.vars, &entry.command, entry.input.as_deref()))
        .collect();
    let options = Options { origin, layout: Layout::User, host: 0, knows_user: &|_| false };
    let found = read(&text, &options);
    let is_refused = |finding: &Finding<'_>| {
        let is_noted = |note: &Note| note.refusal_by(origin).is_some();
        matches!(finding.verdict, Verdict::Refused { .. }) || finding.notes.iter().any(is_noted)
    };
    assert!(!found.iter().any(is_refused), "each written line is read: {}", text.escape_ascii());
    let mut found: Vec<Meaning> = running(&found)
        .map(|entry| {
            let expr = &entry.timing.as_ref().expect("it had one").expr;
            let CommandText { command, stdin } = &entry.command;
            meaning(expr, &vars(&entry.variables, origin), command, stdin.as_deref())
        })
        .collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted, "{}", text.escape_ascii());
}

fn running<'a, 'b>(findings: &'b [Finding<'a>]) -> impl Iterator<Item = &'b Entry<'a>> {
    findings.iter().filter_map(|finding| match &finding.verdict {
        Verdict::Entry(entry) if entry.timing.is_some() => Some(entry),
        _ => None,
    })
}

/// Returns an entry to write. `None` if a variable that every job has cannot be written.
fn as_written(entry: &Entry<'_>, origin: Dialect) -> Option<write::TableJob> {
    let mut vars = vars(&entry.variables, origin);
    let is_needed = |name: &[u8]| name == write::MAILTO || write::OWN.contains(&name);
    vars.retain(|name, value| is_needed(name) || write::assignment(name, value).is_ok());
    vars.iter().all(|(name, value)| write::assignment(name, value).is_ok()).then(|| write::TableJob {
        title: None,
        schedules: vec![entry.timing.as_ref().expect("it has one").expr.clone()],
        vars,
        command: entry.command.command.clone(),
        input: entry.command.stdin.clone(),
        is_off: false,
    })
}

/// Returns the environment by name, with an address in any case.
fn vars(variables: &Variables, origin: Dialect) -> write::Vars {
    let env = environment(variables, &nobody(), &[], origin);
    let pairs = env.iter().map(|var| (name(var).to_vec(), var[name(var).len() + 1..].to_vec()));
    let mut vars: write::Vars = pairs.collect();
    vars.entry(write::MAILTO.to_vec()).or_insert_with(|| b"nobody".to_vec());
    vars
}

/// Expression, variables, command and input.
type Meaning = (String, write::Vars, Vec<u8>, Option<Vec<u8>>);

/// Undoes `unset`, which the writer puts before a command with fewer variables than the lines above.
fn meaning(expr: &str, vars: &write::Vars, command: &[u8], stdin: Option<&[u8]>) -> Meaning {
    let mut vars = vars.clone();
    let mut command = command.trim_ascii_start();
    while let Some(rest) = command.strip_prefix(b"unset ")
        && let Some(end) = rest.windows(2).position(|pair| pair == b"; ")
    {
        rest[..end].split(|byte| *byte == b' ').for_each(|name| drop(vars.remove(name)));
        command = rest[end + 2..].trim_ascii_start();
    }
    (expr.to_owned(), vars, command.to_vec(), stdin.map(<[u8]>::to_vec))
}

fn nobody() -> Person {
    Person { name: "nobody".to_owned(), home: b"/nonexistent".to_vec(), shell: b"/bin/sh".to_vec() }
}

fn check_variables(variables: &Variables, origin: Dialect) {
    assert!(variables.len() <= VARIABLES_MAX, "a table sets no more");
    let account = nobody();
    let env = environment(variables, &account, &[b"LANG=C.UTF-8".to_vec(), b"HOME=/login".to_vec()], origin);
    let mut names: Vec<&[u8]> = env.iter().map(|var| name(var)).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a variable is set once");
    if let MailRule::To(to) = mail_rule(variables, &env, &account, origin) {
        assert!(
            !to.is_empty() && !to.starts_with('-') && !to.contains(char::is_whitespace),
            "an address is one: {to}"
        );
    }
}

/// Returns the name of a variable: the bytes before the first `=`, also of a quoted name.
fn name(var: &[u8]) -> &[u8] {
    let end = var.iter().position(|byte| *byte == b'=').expect("a variable has a value");
    &var[..end]
}
