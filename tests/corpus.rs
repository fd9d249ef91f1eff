//! Owns: the reports of the crontabs in `tests/corpus/`, each a snapshot beside its table.
//! Never: single rules (see the tests of `src/crontab`), the answers of Debian's cron (see `differential`).
//!
//! Time, zone, users and directories are fixed, so that a report is the same on every machine.

use std::fs;
use std::path::{Path, PathBuf};

use taskq::cli::import::diff::Diff;
use taskq::cli::import::plan::read_table;
use taskq::cli::import::planned::{ImportContext, TableLine};
use taskq::cli::import::report::table_report;
use taskq::crontab::{Layout, lines};
use taskq::domain::{Person, Timestamp};
use taskq::schedule::{Dialect, Zone};

/// Friday 2026-11-20 12:00:00 UTC.
const NOW: i64 = 1_795_176_000;

/// The users of the system tables.
const USERS: [&str; 5] = ["root", "daemon", "nobody", "www-data", "backup"];

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), home: format!("/home/{name}").into_bytes(), shell: b"/bin/sh".to_vec() }
}

fn import_context(origin: Dialect) -> ImportContext {
    ImportContext {
        now: Timestamp::from_seconds(NOW),
        zone: Zone::named("Europe/Berlin").expect("a zone"),
        origin,
        own: person("root"),
        is_root: true,
        login: Vec::new(),
        host: 0x9e37_79b9_7f4a_7c15,
        boot_id: "this boot".to_owned(),
        find_user: |name| USERS.contains(&name).then(|| person(name)),
        is_directory: |_| true,
    }
}

/// Returns the cron of a table: cronie if its first comment names an RPM-based host.
fn origin_of(text: &[u8]) -> Dialect {
    let head = lines(text).take_while(|line| line.text.starts_with(b"#"));
    let is_rpm_based = head.into_iter().any(|line| String::from_utf8_lossy(line.text).contains("RPM-based"));
    if is_rpm_based { Dialect::Cronie } else { Dialect::Debian }
}

fn tables(layout: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(layout);
    let entries =
        fs::read_dir(dir).expect("the corpus is there").map(|entry| entry.expect("it is readable").path());
    let mut tables: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "crontab")).collect();
    tables.sort();
    tables
}

fn report(text: &[u8], layout: Layout, name: &str) -> String {
    let origin = origin_of(text);
    let here = import_context(origin);
    let lines = read_table(text, layout, None, &here);
    let report = table_report(name, &lines, &Diff::of_new(&lines), true, &here);
    let refused = lines.iter().filter(|line| TableLine::is_refused(line)).count();
    let sentences = report.sentences(&here.zone, |_| true);
    let head = format!("read as {}, {refused} refused\n", origin.as_str());
    let table = report.table(&here.zone).render(None);
    format!("{head}{}\n{}", anstream::adapter::strip_str(&table), sentences.join("\n"))
}

fn check(layout: Layout, directory: &str) {
    let tables = tables(directory);
    assert!(tables.len() >= 30, "most of the corpus is missing");
    for path in tables {
        let text = fs::read(&path).expect("it is readable");
        let whole: Vec<u8> = lines(&text).flat_map(|line| line.bytes().collect::<Vec<u8>>()).collect();
        assert!(whole == text, "{} does not come back byte for byte", path.display());
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(path.parent().expect("it has a directory"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name.as_str(), report(&text, layout, &name)));
    }
}

#[test]
fn every_table_of_users_has_its_report() {
    check(Layout::User, "user");
}

#[test]
fn every_table_of_systems_has_its_report() {
    check(Layout::System, "system");
}

#[test]
fn the_jobs_of_a_table_from_crons_spool_are_its_users() {
    let here = import_context(Dialect::Debian);
    let user_of = |owner| {
        let lines = read_table(b"1 1 * * * x\n", Layout::User, owner, &here);
        lines[0].job.as_ref().map(|job| (job.job().execution.user, job.job().execution.env))
    };
    let (user, env) = user_of(Some("backup")).expect("it is an entry");
    assert_eq!(user.as_deref(), Some("backup"));
    assert!(env.contains(&b"HOME=/home/backup".to_vec()) && env.contains(&b"LOGNAME=backup".to_vec()));
    assert_eq!(user_of(Some("root")).expect("it is an entry").0, None);
    assert_eq!(user_of(Some("nosuch")), None);
}
