//! Owns: the variables that cron gives a job, and whom it mails.
//! Never: reading them from anywhere.

use super::address::is_safe;
use super::assignment::Variable;
use crate::domain::EnvVar;
use crate::schedule::Dialect;

/// The user that a job runs as: what cron takes from passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The home directory.
    pub home: Vec<u8>,
}

/// Whom cron mails the output of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRule {
    /// These addresses, or the job's user.
    To(String),
    /// Nobody: `MAILTO` is empty.
    Nobody,
    /// Nobody: an address has characters that cron does not give to sendmail(8).
    Unsafe,
}

/// What cron sets where a table does not.
const SHELL: &[u8] = b"/bin/sh";

fn default_path(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Debian => b"/usr/bin:/bin",
        Dialect::Cronie => b"/usr/bin:/bin:/usr/sbin:/sbin",
    }
}

/// Returns the environment of a job: `login`, which pam_env(8) sets for every session, then the table's own
/// variables, then what cron sets. What comes later wins, but `SHELL`, `HOME` and `PATH` of a table stay. No
/// name is twice in `table`.
pub fn environment(table: &[Variable], account: &Account, login: &[EnvVar], dialect: Dialect) -> Vec<EnvVar> {
    let mut own: Vec<(&[u8], &[u8])> =
        table.iter().map(|variable| (variable.name.as_slice(), variable.value.as_slice())).collect();
    let name = account.name.as_bytes();
    let defaults: [(&[u8], &[u8]); 3] =
        [(b"SHELL", SHELL), (b"HOME", &account.home), (b"PATH", default_path(dialect))];
    for (variable, value) in defaults {
        if !own.iter().any(|(known, _)| *known == variable) {
            own.push((variable, value));
        }
    }
    set(&mut own, b"LOGNAME", name);
    if dialect == Dialect::Cronie {
        set(&mut own, b"USER", name);
    }
    let own_names: Vec<&[u8]> = own.iter().map(|(known, _)| *known).collect();
    let is_own =
        |var: &EnvVar| own_names.contains(&var.split(|byte| *byte == b'=').next().unwrap_or_default());
    let joined = own.iter().map(|(name, value)| [name, b"=".as_slice(), value].concat());
    joined.chain(login.iter().filter(|var| !is_own(var)).cloned()).collect()
}

fn set<'a>(vars: &mut Vec<(&'a [u8], &'a [u8])>, name: &'a [u8], value: &'a [u8]) {
    match vars.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => vars.push((name, value)),
    }
}

/// Returns the value of a table's variable.
pub(super) fn value<'a>(table: &'a [Variable], name: &[u8]) -> Option<&'a [u8]> {
    table.iter().rev().find(|variable| variable.name == name).map(|variable| variable.value.as_slice())
}

/// Returns whom cron mails: `MAILTO`, else the user. cronie expands `$NAME` in it.
pub fn mail_rule(table: &[Variable], env: &[EnvVar], account: &Account, dialect: Dialect) -> MailRule {
    let Some(to) = value(table, b"MAILTO") else { return MailRule::To(account.name.clone()) };
    let to = match dialect {
        Dialect::Debian => to.to_vec(),
        Dialect::Cronie => expanded(to, env),
    };
    match String::from_utf8(to) {
        Ok(to) if to.is_empty() => MailRule::Nobody,
        Ok(to) if is_safe(to.as_bytes(), dialect) => MailRule::To(to),
        Ok(_) | Err(_) => MailRule::Unsafe,
    }
}

/// Replaces `$NAME` and `${NAME}` by the job's variables; one that is not set is left out.
fn expanded(text: &[u8], env: &[EnvVar]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        out.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let is_braced = rest.first() == Some(&b'{');
        let from = &rest[usize::from(is_braced)..];
        let length = from.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let prefix = [&from[..length], b"="].concat();
        if let Some(value) = env.iter().find_map(|var| var.strip_prefix(prefix.as_slice())) {
            out.extend_from_slice(value);
        }
        rest = &from[length..];
        if is_braced {
            rest = rest.strip_prefix(b"}").unwrap_or(rest);
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(vars: &[(&str, &str)]) -> Vec<Variable> {
        let variable =
            |(name, value): &(&str, &str)| Variable { name: (*name).into(), value: (*value).into() };
        vars.iter().map(variable).collect()
    }

    fn alice() -> Account {
        Account { name: "alice".to_owned(), home: b"/home/alice".to_vec() }
    }

    fn shown(vars: &[(&str, &str)], login: &[&str], dialect: Dialect) -> Vec<String> {
        let login: Vec<EnvVar> = login.iter().map(|var| var.as_bytes().to_vec()).collect();
        let env = environment(&table(vars), &alice(), &login, dialect);
        env.into_iter().map(|var| String::from_utf8(var).expect("text went in")).collect()
    }

    #[test]
    fn a_job_gets_crons_four_variables_and_nothing_of_the_importers() {
        let debian = ["SHELL=/bin/sh", "HOME=/home/alice", "PATH=/usr/bin:/bin", "LOGNAME=alice"];
        assert_eq!(shown(&[], &[], Dialect::Debian), debian);
        let cronie = [
            "SHELL=/bin/sh",
            "HOME=/home/alice",
            "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
            "LOGNAME=alice",
            "USER=alice",
        ];
        assert_eq!(shown(&[], &[], Dialect::Cronie), cronie);
    }

    #[test]
    fn a_tables_variables_stand_in_their_order_and_only_the_name_of_the_user_is_crons_own() {
        let table = [("LOGNAME", "bob"), ("A", "1"), ("HOME", "/srv"), ("USER", "bob"), ("PATH", "/x")];
        let debian = ["LOGNAME=alice", "A=1", "HOME=/srv", "USER=bob", "PATH=/x", "SHELL=/bin/sh"];
        assert_eq!(shown(&table, &[], Dialect::Debian), debian);
        assert!(shown(&table, &[], Dialect::Cronie).contains(&"USER=alice".to_owned()));
    }

    #[test]
    fn what_every_session_gets_comes_last_and_gives_way() {
        let login = ["LANG=de_DE.UTF-8", "PATH=/session", "A=session"];
        let env = shown(&[("A", "1")], &login, Dialect::Debian);
        let expected = [
            "A=1",
            "SHELL=/bin/sh",
            "HOME=/home/alice",
            "PATH=/usr/bin:/bin",
            "LOGNAME=alice",
            "LANG=de_DE.UTF-8",
        ];
        assert_eq!(env, expected);
    }

    #[test]
    fn mail_goes_to_the_user_unless_the_table_says_otherwise() {
        let rule = |vars: &[(&str, &str)], dialect| {
            let table = table(vars);
            mail_rule(&table, &environment(&table, &alice(), &[], dialect), &alice(), dialect)
        };
        let to = |to: &str| MailRule::To(to.to_owned());
        for dialect in [Dialect::Debian, Dialect::Cronie] {
            assert_eq!(rule(&[], dialect), to("alice"));
            assert_eq!(rule(&[("MAILTO", "a@b.c,d")], dialect), to("a@b.c,d"));
            assert_eq!(rule(&[("MAILTO", "")], dialect), MailRule::Nobody);
            for odd in ["a, b", "-froot", "x;y", "j\u{f6}rg", "a(b)"] {
                assert_eq!(rule(&[("MAILTO", odd)], dialect), MailRule::Unsafe, "{odd}");
            }
        }
        assert_eq!(rule(&[("MAILTO", "a=b/c")], Dialect::Debian), to("a=b/c"));
        assert_eq!(rule(&[("MAILTO", "a=b/c")], Dialect::Cronie), MailRule::Unsafe);
        let expanded = [("TEAM", "ops"), ("MAILTO", "$TEAM@b.c,${LOGNAME}$NOBODY")];
        assert_eq!(rule(&expanded, Dialect::Cronie), to("ops@b.c,alice"));
        assert_eq!(rule(&expanded, Dialect::Debian), MailRule::Unsafe);
    }
}
