//! Owns: the environment of a job and whom its output is mailed to, as measured of Debian's cron and as
//! cronie's source has it.
//! Never: sending mail.

use super::super::{Account, Layout, MailRule, Verdict, environment, mail_rule};
use super::findings;
use crate::domain::EnvVar;
use crate::schedule::Dialect;

/// Returns the environment and the rule of the job in the last line.
fn job_of(table: &str, login: &[&str], origin: Dialect) -> (Vec<String>, MailRule) {
    let file = format!("{table}* * * * * c\n");
    let found = findings(file.as_bytes(), origin, Layout::User);
    let Some(Verdict::Entry(entry)) = found.last().map(|finding| &finding.verdict) else {
        panic!("{found:?}")
    };
    let account = Account { name: "alice".to_owned(), home: b"/home/alice".to_vec() };
    let login: Vec<EnvVar> = login.iter().map(|var| var.as_bytes().to_vec()).collect();
    let env = environment(&entry.variables, &account, &login, origin);
    let rule = mail_rule(&entry.variables, &env, &account, origin);
    (env.into_iter().map(|var| String::from_utf8(var).expect("it is text")).collect(), rule)
}

#[test]
fn what_a_table_does_not_set_cron_does() {
    let set = |table: &str, login: &[&str], origin| job_of(table, login, origin).0;
    let debian = ["SHELL=/bin/sh", "HOME=/home/alice", "PATH=/usr/bin:/bin", "LOGNAME=alice"];
    assert_eq!(set("", &[], Dialect::Debian), debian);
    let cronie = [
        "SHELL=/bin/sh",
        "HOME=/home/alice",
        "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
        "LOGNAME=alice",
        "USER=alice",
    ];
    assert_eq!(set("", &[], Dialect::Cronie), cronie);
    let table = "SHELL=/x\nB=1\nLOGNAME=x\nUSER=x\nB=2\nHOME=\"\"\n";
    let own = ["SHELL=/x", "B=2", "LOGNAME=alice", "USER=x", "HOME=", "PATH=/usr/bin:/bin"];
    assert_eq!(set(table, &[], Dialect::Debian), own);
    let login = ["LANG=C", "PATH=/login", "HOME=/login", "B=login"];
    assert_eq!(set("B=1\n", &login, Dialect::Debian)[1..], [&debian[..], &["LANG=C"]].concat());
}

#[test]
fn mail_goes_to_the_user_unless_the_table_says_otherwise() {
    let to = |name: &str| MailRule::To(name.to_owned());
    for origin in [Dialect::Debian, Dialect::Cronie] {
        let rule = |table: &str| job_of(table, &[], origin).1;
        assert_eq!(rule(""), to("alice"));
        assert_eq!(rule("MAILTO=bob\n"), to("bob"));
        assert_eq!(rule("MAILTO=bob\nMAILTO=eve\n"), to("eve"));
        assert_eq!(rule("MAILTO=\"a,b\"\n"), to("a,b"));
        assert_eq!(rule("MAILTO=a.b-c+d_e@example.org\n"), to("a.b-c+d_e@example.org"));
        assert_eq!(rule("MAILTO=\"\"\n"), MailRule::Nobody);
        for unsafe_one in ["a, b c", "a b", "-froot", "x;y", "x(y)<z>'q", "ä", "x\ty"] {
            assert_eq!(rule(&format!("MAILTO={unsafe_one}\n")), MailRule::Unsafe, "{unsafe_one}");
        }
        // Only a letter or a digit may come first.
        for first in ["@x", ".x", "_x", "+x", ",x", "%x", "!x", ":x"] {
            assert_eq!(rule(&format!("MAILTO={first}\n")), MailRule::Unsafe, "{first}");
        }
    }
}

#[test]
fn debian_takes_two_more_characters_in_an_address_and_expands_nothing() {
    let rule = |table: &str, origin| job_of(table, &[], origin).1;
    for address in ["SRS0=x=example.org=bob@example.net", "x/y"] {
        let table = format!("MAILTO={address}\n");
        assert_eq!(rule(&table, Dialect::Debian), MailRule::To(address.to_owned()));
        assert_eq!(rule(&table, Dialect::Cronie), MailRule::Unsafe);
    }
    assert_eq!(rule("MAILTO=\" \"\n", Dialect::Debian), MailRule::Nobody);
    assert_eq!(rule("MAILTO=\" \"\n", Dialect::Cronie), MailRule::Unsafe);
    assert_eq!(rule("MAILTO=$LOGNAME\n", Dialect::Debian), MailRule::Unsafe);
    assert_eq!(rule("MAILTO=$LOGNAME\n", Dialect::Cronie), MailRule::To("alice".to_owned()));
}

/// A table may set a thousand variables anew before each of its entries: comparing each with each takes
/// seconds then.
#[test]
fn a_thousand_environments_of_a_thousand_variables_are_made_at_once() {
    let table: String = (0..1_000).map(|number| format!("A{number}=b\n")).collect();
    let file = format!("{table}* * * * * c\n");
    let found = findings(file.as_bytes(), Dialect::Debian, Layout::User);
    let Some(Verdict::Entry(entry)) = found.last().map(|finding| &finding.verdict) else {
        panic!("{found:?}")
    };
    let account = Account { name: "alice".to_owned(), home: b"/home/alice".to_vec() };
    for _ in 0..1_000 {
        assert_eq!(environment(&entry.variables, &account, &[], Dialect::Debian).len(), 1_004);
    }
}
