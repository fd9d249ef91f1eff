//! Owns: tests of where the notes about a whole table stand.
//! Never: their words (see `crontab`).

use super::plan::read_table;
use super::planned::{ImportContext, TableLine};
use crate::crontab::{Layout, Note};
use crate::domain::{Person, Timestamp};
use crate::schedule::{Dialect, Zone};

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), home: format!("/home/{name}").into_bytes(), shell: b"/bin/sh".to_vec() }
}

/// On 2026-11-20 at 12:00 UTC, where no directory is there.
pub(super) fn import_context(origin: Dialect) -> ImportContext {
    ImportContext {
        now: Timestamp::from_seconds(1_795_176_000),
        zone: Zone::utc(),
        origin,
        own: person("root"),
        is_root: true,
        login: Vec::new(),
        host: 1 << 63,
        boot_id: String::new(),
        find_user: |name| ["root", "www-data"].contains(&name).then(|| person(name)),
        is_directory: |path| path == std::path::Path::new("/srv"),
    }
}

/// Returns the notes of a table in an existing home, each after the number of its line.
fn notes(table: &str, origin: Dialect, layout: Layout) -> Vec<String> {
    let table = format!("HOME=/srv\n{table}");
    notes_as_is(&table, origin, layout)
}

fn notes_as_is(table: &str, origin: Dialect, layout: Layout) -> Vec<String> {
    let here = import_context(origin);
    let lines = read_table(table.as_bytes(), layout, None, &here);
    let of_line = |line: &TableLine<'_>| {
        let number = line.finding.line.number;
        line.finding.notes.iter().map(|note| format!("{number}: {note}")).collect::<Vec<_>>()
    };
    lines.iter().flat_map(of_line).collect()
}

#[test]
fn a_zone_that_makes_no_difference_gets_no_note() {
    for origin in Dialect::ALL {
        for table in [
            "CRON_TZ=Asia/Tokyo\n*/5 * * * * x\n0 * * * * y\n@hourly z\n",
            "CRON_TZ=Asia/Kolkata\n*/30 * * * * x\n",
            "CRON_TZ=Africa/Abidjan\n0 9 * * * x\n",
            "CRON_TZ=Asia/Tokyo\n",
            "CRON_TZ=Asia/Tokyo\n@reboot x\n",
            "TZ=Asia/Tokyo\n*/5 * * * * x\n",
            "TZ=Africa/Abidjan\n0 9 * * * x\n",
        ] {
            assert_eq!(notes(table, *origin, Layout::User), [""; 0], "{table}");
        }
    }
}

#[test]
fn a_zone_that_makes_a_difference_gets_one_note_with_name_value_and_the_first_line() {
    let table = "CRON_TZ=Asia/Tokyo\n*/5 * * * * x\n0 9 * * * y\n0 10 * * * z\n\
                 CRON_TZ=Europe/London\n0 9 * * * x\n";
    let debian = "the times below are in the system's zone; the first difference is in line";
    let expected = [
        format!("2: only cronie uses CRON_TZ `Asia/Tokyo`: {debian} 4"),
        format!("6: only cronie uses CRON_TZ `Europe/London`: {debian} 7"),
    ];
    assert_eq!(notes(table, Dialect::Debian, Layout::User), expected);
    let cronie =
        "is the zone of the times below; Debian's cron uses the system's zone; the first difference is";
    let expected = [
        format!("2: CRON_TZ `Asia/Tokyo` {cronie} in line 4"),
        format!("6: CRON_TZ `Europe/London` {cronie} in line 7"),
    ];
    assert_eq!(notes(table, Dialect::Cronie, Layout::User), expected);
    let lines = read_table(table.as_bytes(), Layout::User, None, &import_context(Dialect::Debian));
    // Here, where winter is London's time.
    let [Note::OtherZone { first, .. }] = lines[4].finding.notes.as_slice() else { panic!("one note") };
    assert_eq!(first.to_string(), "2027-03-28T08:00:00Z");
}

#[test]
fn tz_gets_a_note_where_a_reader_could_take_it_for_the_zone_of_the_times() {
    let said = "TZ `Asia/Tokyo` is for the commands only: no cron uses it for the times below";
    let expected = [format!("2: {said}; the first difference is in line 3")];
    for origin in Dialect::ALL {
        assert_eq!(notes("TZ=Asia/Tokyo\n0 9 * * * x\n1 9 * * * y\n", *origin, Layout::User), expected);
    }
    // Under the same CRON_TZ it is true for cronie.
    let both = "CRON_TZ=Asia/Tokyo\nTZ=Asia/Tokyo\n0 9 * * * x\n";
    assert_eq!(notes(both, Dialect::Cronie, Layout::User).len(), 1);
    assert_eq!(notes(both, Dialect::Debian, Layout::User).len(), 2);
}

#[test]
fn a_delay_is_told_of_where_it_is_set_and_nowhere_else() {
    let table = "RANDOM_DELAY=45\n0 9 * * * x\n0 10 * * * y\nRANDOM_DELAY=0\n0 11 * * * z\n";
    let debian = ["2: only cronie uses RANDOM_DELAY `45`: nothing is delayed"];
    assert_eq!(notes(table, Dialect::Debian, Layout::User), debian);
    let cronie = "2: RANDOM_DELAY `45`: cronie draws a delay at each start; \
                  taskq delays the lines below by 22 min";
    assert_eq!(notes(table, Dialect::Cronie, Layout::User), [cronie]);
}

#[test]
fn a_variable_with_a_bad_value_is_told_of_once_and_at_its_own_line() {
    let table =
        "MAILTO=a b\nSHELL=bash\nHOME=/none\n0 9 * * * x\nA=1\n0 10 * * * y\nMAILTO=c d\n0 11 * * * z\n";
    let found = notes_as_is(table, Dialect::Debian, Layout::User);
    let begins: Vec<&str> =
        found.iter().map(|note| note.split_inclusive("` ").next().unwrap_or_default()).collect();
    assert_eq!(begins, ["1: MAILTO `a b` ", "2: SHELL `bash` ", "3: HOME `/none` ", "7: MAILTO `c d` "]);
    // What no job has is none's concern.
    assert_eq!(notes_as_is("MAILTO=a b\nHOME=/none\n", Dialect::Debian, Layout::User), [""; 0]);
}

#[test]
fn a_home_that_no_line_sets_is_told_of_once_for_each_user() {
    let table = "0 9 * * * root x\n0 9 * * * www-data x\nA=1\n0 9 * * * root x\n0 9 * * * www-data x\n";
    let found = notes_as_is(table, Dialect::Debian, Layout::System);
    let begins: Vec<&str> = found.iter().map(|note| note.split(" is ").next().unwrap_or_default()).collect();
    assert_eq!(begins, ["1: HOME `/home/root`", "2: HOME `/home/www-data`"]);
}

#[test]
fn a_user_column_is_told_of_once_with_the_number_of_lines() {
    let said = |others: &str| {
        format!(
            "2: the command begins with a user, `root`{others}: only system tables have users \
             (`--system`)"
        )
    };
    let of = |table: &str| notes(table, Dialect::Debian, Layout::User);
    assert_eq!(of("0 9 * * * root x\n"), [said("")]);
    assert_eq!(of("0 9 * * * root x\n0 9 * * * www-data x\n"), [said(" (one more line does so)")]);
    let three = "0 9 * * * root x\n0 9 * * * y\n0 9 * * * root x\n0 9 * * * root x\n";
    assert_eq!(of(three), [said(" (2 more lines do so)")]);
}
