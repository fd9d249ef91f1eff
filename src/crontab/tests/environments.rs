//! Owns: the environment of a job and the addresses of its mail, measured with Debian's cron and read from
//! the source of cronie. Never: sending mail.

use super::super::{Layout, MailRule, environment, mail_rule};
use super::last_entry;
use crate::domain::{EnvVar, Person};
use crate::schedule::Dialect;

const DEBIAN: [&str; 4] = ["SHELL=/bin/sh", "HOME=/home/alice", "PATH=/usr/bin:/bin", "LOGNAME=alice"];

fn alice() -> Person {
    Person { name: "alice".to_owned(), home: b"/home/alice".to_vec(), shell: b"/bin/sh".to_vec() }
}

/// Returns the environment and the mail rule of a job below these lines.
fn job_of(table: &str, login: &[&str], origin: Dialect) -> (Vec<String>, MailRule) {
    let file = format!("{table}* * * * * c\n");
    let entry = last_entry(&file, origin, Layout::User).expect("it is an entry");
    let login: Vec<EnvVar> = login.iter().map(|var| var.as_bytes().to_vec()).collect();
    let env = environment(&entry.variables, &alice(), &login, origin);
    let rule = mail_rule(&entry.variables, &env, &alice(), origin);
    (env.into_iter().map(|var| String::from_utf8(var).expect("it is text")).collect(), rule)
}

#[test]
fn cron_sets_the_variables_that_a_table_does_not() {
    let set = |table: &str, origin| job_of(table, &[], origin).0;
    assert_eq!(set("", Dialect::Debian), DEBIAN);
    let cronie = ["SHELL=/bin/sh", "HOME=/home/alice", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"];
    assert_eq!(set("", Dialect::Cronie), [&cronie[..], &["LOGNAME=alice", "USER=alice"]].concat());
    let table = "SHELL=/x\nB=1\nLOGNAME=x\nUSER=x\nB=2\nHOME=\"\"\n";
    let own = ["SHELL=/x", "B=2", "LOGNAME=alice", "USER=x", "HOME=", "PATH=/usr/bin:/bin"];
    assert_eq!(set(table, Dialect::Debian), own);
    let table = "LOGNAME=bob\nA=1\nHOME=/srv\nUSER=bob\nPATH=/x\n";
    let own = ["LOGNAME=alice", "A=1", "HOME=/srv", "USER=bob", "PATH=/x", "SHELL=/bin/sh"];
    assert_eq!(set(table, Dialect::Debian), own);
    assert!(set(table, Dialect::Cronie).contains(&"USER=alice".to_owned()));
}

#[test]
fn the_variables_of_a_session_come_last_and_replace_none() {
    let login = ["LANG=C", "PATH=/login", "HOME=/login", "B=login"];
    let expected = [&["B=1"], &DEBIAN[..], &["LANG=C"]].concat();
    assert_eq!(job_of("B=1\n", &login, Dialect::Debian).0, expected);
}

#[test]
fn mail_goes_to_the_user_unless_the_table_names_others() {
    let to = |name: &str| MailRule::To(name.to_owned());
    for origin in [Dialect::Debian, Dialect::Cronie] {
        let rule = |table: &str| job_of(table, &[], origin).1;
        assert_eq!(rule(""), to("alice"));
        assert_eq!(rule("MAILTO=bob\n"), to("bob"));
        assert_eq!(rule("MAILTO=bob\nMAILTO=eve\n"), to("eve"));
        assert_eq!(rule("MAILTO=\"a,b\"\n"), to("a,b"));
        assert_eq!(rule("MAILTO=a@b.c,d\n"), to("a@b.c,d"));
        assert_eq!(rule("MAILTO=a.b-c+d_e@example.org\n"), to("a.b-c+d_e@example.org"));
        assert_eq!(rule("MAILTO=\"\"\n"), MailRule::Nobody);
        // Only a letter or a digit may come first.
        for bad in [
            "a, b c",
            "a, b",
            "a b",
            "-froot",
            "x;y",
            "x(y)<z>'q",
            "a(b)",
            "ä",
            "j\u{f6}rg",
            "x\ty",
            "@x",
            ".x",
            "_x",
            "+x",
            ",x",
            "%x",
            "!x",
            ":x",
        ] {
            assert_eq!(rule(&format!("MAILTO={bad}\n")), MailRule::Unsafe, "{bad}");
        }
    }
}

#[test]
fn debian_accepts_two_more_characters_in_an_address_and_expands_nothing() {
    let rule = |table: &str, origin| job_of(table, &[], origin).1;
    let to = |name: &str| MailRule::To(name.to_owned());
    for address in ["SRS0=x=example.org=bob@example.net", "x/y", "a=b/c"] {
        let table = format!("MAILTO={address}\n");
        assert_eq!(rule(&table, Dialect::Debian), to(address));
        assert_eq!(rule(&table, Dialect::Cronie), MailRule::Unsafe);
    }
    assert_eq!(rule("MAILTO=\" \"\n", Dialect::Debian), MailRule::Nobody);
    assert_eq!(rule("MAILTO=\" \"\n", Dialect::Cronie), MailRule::Unsafe);
    for (table, expanded) in
        [("MAILTO=$LOGNAME\n", "alice"), ("TEAM=ops\nMAILTO=$TEAM@b.c,${LOGNAME}$NOBODY\n", "ops@b.c,alice")]
    {
        assert_eq!(rule(table, Dialect::Debian), MailRule::Unsafe);
        assert_eq!(rule(table, Dialect::Cronie), to(expanded));
    }
}

/// A table may set a thousand variables anew before each of its entries. A comparison of each with each would
/// take seconds.
#[test]
fn a_thousand_environments_of_a_thousand_variables_are_made_at_once() {
    let table: String = (0..1_000).map(|number| format!("A{number}=b\n")).collect();
    let file = format!("{table}* * * * * c\n");
    let entry = last_entry(&file, Dialect::Debian, Layout::User).expect("it is an entry");
    for _ in 0..1_000 {
        assert_eq!(environment(&entry.variables, &alice(), &[], Dialect::Debian).len(), 1_004);
    }
}
